//! From a model file to logits.

pub mod architecture;
pub mod decoder;
pub mod error;
pub mod gguf;
mod kernels;
mod language_model;
mod ops;
pub mod tokenizer;
pub mod weights;

use std::fs::File;
use std::ops::Range;

pub use error::{ModelError, Result};
pub use language_model::LanguageModel;

/// Maps a file into memory, read-only.
fn map_file(file: &File) -> std::io::Result<memmap2::Mmap> {
    kernels::map_file(file)
}

/// Lets the pages of a range of a map leave resident memory.
fn release_pages(map: &memmap2::Mmap, range: Range<usize>) {
    kernels::release_pages(map, range);
}
