//! From text to tokens to logits: the catalogue of models, their files, their tokenisers and their decoder.

pub mod catalogue;
pub mod store;
