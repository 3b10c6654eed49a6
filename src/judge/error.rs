//! Errors of the judge.

use crate::model::ModelError;
use crate::model::catalogue::CatalogueError;
use crate::model::store::StoreError;
use std::num::NonZeroUsize;
use whowrote_input::InputError;
use whowrote_stats::calibration::CalibrationError;
use whowrote_stats::sampling_params::SamplingParams;

/// Why texts could not be judged at all.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A calibration that the catalogue names for an author is another's.
    #[error("{file} is a calibration of {of}, and the catalogue names it for {author}; name the right file there")]
    OtherAuthor {
        /// The file.
        file: String,
        /// Whose texts it holds.
        of: String,
        /// The author of the catalogue.
        author: String,
    },
    /// An author without a model was named where a model reads texts.
    #[error("{0} is known by its texts alone, so it cannot read others; name a model")]
    NoModelOf(String),
    /// Every author is known by texts, and no model is there to read them.
    #[error(
        "no author here has a model, and the models that read the texts of their calibrations are not in the catalogue; add \
         them to it"
    )]
    NoReader,
    /// The catalogue cannot be used, or does not have a name.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A model could not be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The prompt's file could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A calibration could not be read.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A model failed.
    #[error("{what}")]
    Model {
        /// What failed, with the model's name.
        what: String,
        /// The reason.
        source: ModelError,
    },
    /// The device cannot be used.
    #[error(transparent)]
    Device(ModelError),
    /// An author is in both sets, or twice in one.
    #[error("the author {0} is named twice; an author belongs to one set")]
    AuthorTwice(String),
    /// There is no author to consider.
    #[error("there is no author to consider; name one with --a or --b")]
    NoAuthor,
    /// Two models have the same name.
    #[error("two different models are called {0}; rename one of them, or name both in a catalogue (docs/MODELS.md)")]
    ModelTwice(String),
    /// A model that should continue texts has no part in the run.
    #[error(
        "--no-chat names {0}, which is not a model of this run; name it as with --a, --b or --model, or leave it out"
    )]
    NoChatUnused(String),
    /// No calibration has this genre.
    #[error(
        "no calibration has human-written texts of the genre \"{genre}\"; choose one of {}, or leave out --genre",
        known.join(", ")
    )]
    NoGenre {
        /// The genre.
        genre: String,
        /// The known genres, each in quotation marks.
        known: Vec<String>,
    },
    /// A tokeniser refused a text for a calibration.
    #[error("a text of {origin} could not be scored with {model}: {reason}")]
    TextRefused {
        /// Where the text comes from.
        origin: String,
        /// The model.
        model: String,
        /// What the tokeniser said.
        reason: String,
    },
    /// The scores do not cover the decoding of a calibration.
    #[error("a calibration for `{0}` is not possible; choose a temperature of the grid in docs/THEORY.md")]
    NotCovered(SamplingParams),
    /// The system does not start this many threads.
    #[error("{threads} threads cannot be started: {reason}; use fewer with --threads")]
    Threads {
        /// The number of threads.
        threads: NonZeroUsize,
        /// What the system said.
        reason: String,
    },
}

impl JudgeError {
    /// The error of a model that failed at `what`.
    pub(crate) fn model(what: String) -> impl FnOnce(ModelError) -> Self {
        |source| Self::Model { what, source }
    }
}
