//! Why texts could not be judged at all.

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
    /// The catalogue cannot be used, or lacks a name.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// A model could not be fetched.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of the prompt could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A calibration could not be read.
    #[error(transparent)]
    Calibration(#[from] CalibrationError),
    /// A model could not do its part.
    #[error("{what}")]
    Model {
        /// What failed, with the model's name.
        what: String,
        /// Why.
        source: ModelError,
    },
    /// The device is not there.
    #[error(transparent)]
    Device(ModelError),
    /// An author in both sets, or twice in one.
    #[error("the author {0} is named twice; an author belongs to one set")]
    AuthorTwice(String),
    /// Nobody to consider.
    #[error("there is no author to consider; name one with --a or --b")]
    NoAuthor,
    /// Two models of one name.
    #[error("two different models are called {0}; rename one of them")]
    ModelTwice(String),
    /// A genre that no calibration has.
    #[error(
        "no calibration has human-written texts of the genre \"{genre}\"; choose one of {}, or leave out --genre",
        known.join(", ")
    )]
    NoGenre {
        /// What was asked for.
        genre: String,
        /// What there is, each in quotation marks.
        known: Vec<String>,
    },
    /// A tokeniser refused a text that was to calibrate.
    #[error("a text of {origin} could not be scored with {model}: {reason}")]
    TextRefused {
        /// Where the text comes from.
        origin: String,
        /// The model.
        model: String,
        /// What its tokeniser said.
        reason: String,
    },
    /// A calibration was asked for under a decoding that the scores do not cover.
    #[error("texts cannot be calibrated for `{0}`; choose a temperature of the grid in docs/THEORY.md")]
    NotCovered(SamplingParams),
    /// The system does not start as many threads.
    #[error("{threads} threads cannot be started: {reason}; ask for fewer with --threads")]
    Threads {
        /// How many were asked for.
        threads: NonZeroUsize,
        /// What the system said.
        reason: String,
    },
}

impl JudgeError {
    /// Says what a model failed at.
    pub(crate) fn model(what: String) -> impl FnOnce(ModelError) -> Self {
        |source| Self::Model { what, source }
    }
}
