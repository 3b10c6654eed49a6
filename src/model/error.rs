//! The errors of loading and running a model, as sentences to a person.

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
    /// The content of the file does not fit its format.
    #[error(
        "{}: {reason}; the file is damaged or not a model file: fetch it again, or name another one",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The program does not run models of this kind.
    #[error("{}: {reason}", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// What is not supported, and what is supported.
        reason: String,
    },
    /// The program cannot use the device.
    #[error("{0}")]
    Device(String),
    /// The tensor library reported an error.
    #[error("the computation failed: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The tokeniser could not read a text.
    #[error("the tokeniser of {model} failed: {reason}")]
    Tokenise {
        /// The model's name.
        model: String,
        /// What it said.
        reason: String,
    },
    /// The logits are NaN.
    #[error(
        "{0} computes no numbers: its weights are damaged, or too large for 32 bits; fetch or convert the model again"
    )]
    NoNumbers(String),
    /// The prompt leaves no room for the text.
    #[error("the prompt has {tokens} tokens, and {model} can read at most {most}; keep only the end of the prompt")]
    PromptTooLong {
        /// The model's name.
        model: String,
        /// The prompt's length in tokens.
        tokens: usize,
        /// The greatest possible length.
        most: usize,
    },
    /// The chat template does not give a prompt.
    #[error(
        "the chat template of {model} cannot be used: {reason}; to let the model continue texts instead, name it with \
         --no-chat, or set `chat = false` for it in the catalogue"
    )]
    Template {
        /// The model's name.
        model: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why a part of a file is refused, before the file's path is known.
pub(super) enum Refusal {
    /// [`ModelError::Malformed`].
    Damaged(String),
    /// [`ModelError::Unsupported`].
    Unsupported(String),
}

impl Refusal {
    /// The error for the file at `path`.
    pub(super) fn at(self, path: &Path) -> ModelError {
        match self {
            Self::Damaged(reason) => ModelError::malformed(path, reason),
            Self::Unsupported(reason) => ModelError::unsupported(path, reason),
        }
    }
}

impl From<String> for Refusal {
    fn from(reason: String) -> Self {
        Self::Damaged(reason)
    }
}

impl From<&str> for Refusal {
    fn from(reason: &str) -> Self {
        Self::Damaged(reason.to_owned())
    }
}

impl ModelError {
    /// [`ModelError::Malformed`].
    pub fn malformed(path: &Path, reason: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// [`ModelError::Unsupported`].
    pub fn unsupported(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsupported {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// [`ModelError::Tensor`], for a computation that this crate refuses.
    pub(super) fn computation(reason: &str) -> Self {
        Self::Tensor(candle_core::Error::Msg(reason.into()))
    }

    /// [`ModelError::Io`].
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            source,
        }
    }
}

/// The result type of [`crate::model`].
pub type Result<T> = std::result::Result<T, ModelError>;
