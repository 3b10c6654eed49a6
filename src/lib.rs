//! Says who wrote a text: a language model of set A, one of set B, or a person.
//!
//! The modules lie in the order of the data's way: bytes become a document ([`input`]), a document becomes tokens
//! and logits ([`model`]), those become figures ([`scoring`]), figures become evidence ([`stats`]), which is held
//! against texts of known authors ([`calibration`]) and becomes a confidence set ([`verdict`]), and that is printed ([`output`]).

pub mod calibration;
pub mod commands;
mod fence;
pub mod input;
pub mod model;
pub mod output;
pub mod scoring;
pub mod stats;
pub mod verdict;
