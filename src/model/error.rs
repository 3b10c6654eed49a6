//! What can go wrong between a file on disk and a model that scores, as sentences to a person.

use std::path::{Path, PathBuf};

/// Errors of loading and running a model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be opened or mapped.
    #[error("cannot read the model file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file does not hold what its format promises.
    #[error("{}: {reason}; the file is damaged or not a model file: fetch it again, or name another one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The model is of a kind that this program does not run.
    #[error("{}: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what is.
        reason: String,
    },
    /// The device cannot be used.
    #[error("{0}")]
    Device(String),
    /// The tensor library refused a computation.
    #[error("the computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The tokeniser refused a text.
    #[error("the tokeniser of {model} failed: {reason}")]
    Tokenise {
        /// The model's name.
        model: String,
        /// What it said.
        reason: String,
    },
    /// Logits that are not numbers.
    #[error(
        "{0} computes no numbers: its weights are damaged, or too large for 32 bits; fetch or convert the model again"
    )]
    NoNumbers(String),
    /// A prompt that leaves no room for the text.
    #[error("the prompt has {tokens} tokens and {model} can be given at most {most}; shorten it to its end")]
    PromptTooLong {
        /// The model's name.
        model: String,
        /// The prompt's length.
        tokens: usize,
        /// The longest possible.
        most: usize,
    },
    /// The chat template does not make a prompt.
    #[error(
        "the chat template of {model} cannot be used: {reason}; set `chat = false` for the model in the catalogue to have it continue texts instead"
    )]
    Template {
        /// The model's name.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

impl ModelError {
    /// The file's content is not what it should be.
    pub fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// The file asks for something that is not built.
    pub fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// The system refused the file.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// Result of everything in [`crate::model`].
pub type Result<T> = std::result::Result<T, ModelError>;
