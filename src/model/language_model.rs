//! A model that scores: decoder and tokeniser, loaded from a file or a folder.

use super::architecture::Architecture;
use super::decoder::Decoder;
use super::error::{ModelError, Result};
use super::gguf::Gguf;
use super::tokenizer::Tokenizer;
use super::weights::{Checkpoint, Folder, Residence};
use candle_core::Device;
use std::path::Path;

/// A loaded model.
pub struct LanguageModel {
    name: String,
    decoder: Decoder,
    tokenizer: Tokenizer,
    /// 1 for every symbol that begins with a space, else 0.
    space_mask: Vec<f32>,
}

impl LanguageModel {
    /// Loads a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.
    ///
    /// Weights are unpacked to f32 where `memory` bytes hold them, and kept as the file has them otherwise.
    ///
    /// # Errors
    /// When the file or folder cannot be read, is damaged, or holds a model that is not covered.
    pub fn load(name: &str, path: &Path, device: &Device, memory: u64) -> Result<Self> {
        let (checkpoint, architecture, tokenizer) = if path.is_dir() {
            let config = path.join("config.json");
            let json = std::fs::read_to_string(&config).map_err(|e| ModelError::io(&config, e))?;
            let architecture = Architecture::from_config(&config, &json)?;
            let tokenizer = Tokenizer::from_json(&path.join("tokenizer.json"), name)?;
            (
                Checkpoint::Folder(Folder::open(path, &architecture)?),
                architecture,
                tokenizer,
            )
        } else {
            let file = Gguf::open(path)?;
            let architecture = Architecture::from_gguf(&file)?;
            let tokenizer = Tokenizer::from_gguf(&file, name)?;
            (Checkpoint::Gguf(file), architecture, tokenizer)
        };
        let residence = match checkpoint.unpacked_bytes() <= memory {
            true => Residence::Unpacked,
            false => Residence::Packed,
        };
        let decoder = Decoder::load(&checkpoint, architecture, residence, device)?;
        if tokenizer.len() > decoder.vocab() {
            let reason = format!(
                "its tokeniser has {} tokens and its weights {}",
                tokenizer.len(),
                decoder.vocab()
            );
            return Err(ModelError::malformed(path, reason));
        }
        let space_mask = tokenizer.begins_with_space(decoder.vocab());
        let space_mask = space_mask.into_iter().map(|space| f32::from(u8::from(space))).collect();
        Ok(Self {
            name: name.to_owned(),
            decoder,
            tokenizer,
            space_mask,
        })
    }

    /// The name that the user gave.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The weights.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// The tokeniser.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// `(vocab)`: 1 for every symbol that begins with a space, else 0.
    pub fn space_mask(&self) -> &[f32] {
        &self.space_mask
    }
}
