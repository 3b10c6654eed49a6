//! From a model's name to logits: the catalogue, the files of the models, their tokenisers and their decoder.

pub mod architecture;
pub mod catalogue;
pub mod chat;
#[allow(unsafe_code, reason = "memory maps, and matrix products without bounds checks")]
mod cpu_kernels;
pub mod decoder;
pub mod device;
mod device_choice;
pub mod error;
pub mod generate;
pub mod gguf;
mod jinja;
mod kv_cache;
mod language_model;
mod layer;
mod ops;
mod recognise;
pub mod sampler;
mod shards;
pub mod store;
pub mod tokenizer;
pub mod weights;

use std::fs::File;
use std::ops::Range;

pub(crate) use cpu_kernels::multiply_into;
pub use device_choice::DeviceChoice;
pub use error::{ModelError, Result};
pub use language_model::{LanguageModel, Vocabulary};
pub(crate) use ops::with_values;
pub use sampler::Sampler;

/// Maps a file into memory, read-only.
fn map_file(file: &File) -> std::io::Result<memmap2::Mmap> {
    cpu_kernels::map_file(file)
}

/// Lets the pages of a range of a map be dropped from resident memory.
fn release_pages(map: &memmap2::Mmap, range: Range<usize>) {
    cpu_kernels::release_pages(map, range);
}
