//! A model that scores: a decoder and a tokeniser, loaded from a file or a folder.

use super::architecture::Architecture;
use super::chat::{ChatTemplate, read_if_there};
use super::decoder::Decoder;
use super::error::{ModelError, Result};
use super::gguf::Gguf;
use super::recognise;
use super::tokenizer::Tokenizer;
use super::weights::{Checkpoint, Folder, Residence, Role};
use candle_core::Device;
use std::path::Path;
use whowrote_input::printable;

/// A loaded model.
pub struct LanguageModel {
    name: String,
    decoder: Decoder,
    tokenizer: Tokenizer,
    /// [`Tokenizer::digest`].
    symbols: [u8; 32],
    /// 1 for every symbol that begins with a space, else 0.
    space_mask: Vec<f32>,
    template: Option<ChatTemplate>,
}

impl LanguageModel {
    /// Loads a GGUF file, or a folder with `config.json`, `tokenizer.json` and safetensors.
    ///
    /// Weights are unpacked to f32 if they fit into `memory` bytes, and otherwise stay in the file's format.
    ///
    /// # Errors
    /// When the file or folder cannot be read, is damaged, or holds a model that is not covered.
    pub fn load(name: &str, path: &Path, device: &Device, memory: u64) -> Result<Self> {
        let (checkpoint, architecture, tokenizer, template) = open(name, path)?;
        let residence = if checkpoint.unpacked_bytes() <= memory {
            Residence::Unpacked
        } else {
            Residence::Packed
        };
        let decoder = Decoder::load(&checkpoint, architecture, residence, device)?;
        if tokenizer.len() > decoder.vocab() {
            let first = decoder.vocab() as u32;
            let reason = format!(
                "its tokeniser has {} tokens, but its weights have rows for only {first}: tokens were added (the first \
                 is {:?}), and the weights were not enlarged; use the tokeniser that the weights were trained with, or \
                 enlarge them with resize_token_embeddings() and save the model again",
                tokenizer.len(),
                printable(&tokenizer.decode(&[first])),
            );
            return Err(ModelError::unsupported(path, reason));
        }
        let space_mask = tokenizer.begins_with_space(decoder.vocab());
        let space_mask = space_mask.into_iter().map(|space| f32::from(u8::from(space))).collect();
        Ok(Self {
            name: name.to_owned(),
            decoder,
            symbols: tokenizer.digest(),
            tokenizer,
            space_mask,
            template,
        })
    }

    /// The same model without its chat template: it continues texts.
    pub fn without_chat(mut self) -> Self {
        self.template = None;
        self
    }

    /// The template for conversations. None for a model that continues texts.
    pub fn chat_template(&self) -> Option<&ChatTemplate> {
        self.template.as_ref()
    }

    /// The name that the user gave to the model.
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

    /// What the symbols stand for: [`Tokenizer::digest`].
    pub fn symbols(&self) -> [u8; 32] {
        self.symbols
    }

    /// `(vocab)`: 1 for every symbol that begins with a space, else 0.
    pub fn space_mask(&self) -> &[f32] {
        &self.space_mask
    }
}

/// What a file or folder contains beside the weights, and the checkpoint to load the weights from.
fn open(name: &str, path: &Path) -> Result<(Checkpoint, Architecture, Tokenizer, Option<ChatTemplate>)> {
    if path.is_dir() {
        if let Some(reason) = recognise::adapter_in(path) {
            return Err(ModelError::unsupported(path, reason));
        }
        let (json, architecture) = read_config(path)?;
        let mut tokenizer = Tokenizer::from_json(&path.join("tokenizer.json"), name)?;
        tokenizer.add_ends(&ends_of_folder(path, &json)?);
        let checkpoint = Checkpoint::Folder(Folder::open(path, &architecture)?);
        Ok((checkpoint, architecture, tokenizer, ChatTemplate::from_folder(path)?))
    } else {
        let file = Gguf::open(path)?;
        let architecture = Architecture::from_gguf(&file)?;
        let tokenizer = Tokenizer::from_gguf(&file, name)?;
        let template = ChatTemplate::from_gguf(&file);
        Ok((Checkpoint::Gguf(file), architecture, tokenizer, template))
    }
}

/// Identifies the symbols of a model's logits. Two models of one vocabulary have equal values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The number of symbols, padding included.
    pub symbols: usize,
    /// [`Tokenizer::digest`].
    pub digest: [u8; 32],
}

impl Vocabulary {
    /// Reads it from a model's file or folder, without loading the weights.
    ///
    /// # Errors
    /// When the file or folder cannot be read, is damaged, or holds a model that is not covered.
    pub fn read(name: &str, path: &Path) -> Result<Self> {
        let (checkpoint, _, tokenizer, _) = open(name, path)?;
        Ok(Self {
            symbols: symbols(&checkpoint)?,
            digest: tokenizer.digest(),
        })
    }

    /// Reads only the number of symbols, without building the tokeniser.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_symbols(path: &Path) -> Result<usize> {
        if path.is_dir() {
            let architecture = read_config(path)?.1;
            symbols(&Checkpoint::Folder(Folder::open(path, &architecture)?))
        } else {
            symbols(&Checkpoint::Gguf(Gguf::open(path)?))
        }
    }
}

/// The number of rows of the embedding.
fn symbols(checkpoint: &Checkpoint) -> Result<usize> {
    let dims = checkpoint.dims(Role::Embedding)?.unwrap_or_default();
    Ok(dims.first().copied().unwrap_or(0))
}

/// The `config.json` of a folder, and the architecture that it describes.
fn read_config(path: &Path) -> Result<(String, Architecture)> {
    let config = path.join("config.json");
    let missing = || ModelError::io(&config, std::io::ErrorKind::NotFound.into());
    let json = read_if_there(&config)?.ok_or_else(missing)?;
    let architecture = Architecture::from_config(&config, &json)?;
    Ok((json, architecture))
}

/// The end-of-text tokens that a folder's `config.json` and `generation_config.json` name. Each names one, or a list.
fn ends_of_folder(path: &Path, config: &str) -> Result<Vec<u32>> {
    let generation = read_if_there(&path.join("generation_config.json"))?.unwrap_or_default();
    let mut ends = Vec::new();
    for json in [config, &generation] {
        let json: serde_json::Value = serde_json::from_str(json).unwrap_or_default();
        for eos in [&json["eos_token_id"], &json["text_config"]["eos_token_id"]] {
            let ids = eos.as_array().map_or(std::slice::from_ref(eos), Vec::as_slice);
            ends.extend(ids.iter().filter_map(|id| u32::try_from(id.as_u64()?).ok()));
        }
    }
    Ok(ends)
}
