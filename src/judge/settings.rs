//! The settings of a judge.

use crate::model::DeviceChoice;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use whowrote_input::printable;
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::verdict::{ALPHA, HUMAN_DIVISOR, Test};

/// An author that the user chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorChoice {
    /// The name of an author, or of a model, in the catalogue.
    Named(String),
    /// A model of the user's own: a GGUF file, or a folder.
    Path(PathBuf),
}

impl fmt::Display for AuthorChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuthorChoice::Named(name) => f.write_str(&printable(name)),
            AuthorChoice::Path(path) => f.write_str(&printable(&path.to_string_lossy())),
        }
    }
}

/// What the user knows about the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PromptChoice {
    /// Nothing.
    Unknown,
    /// There was none.
    None,
    /// It is in a file. The system turn before it may be in another.
    Given {
        /// The file of the user's turn.
        user: PathBuf,
        /// The file of the system turn.
        system: Option<PathBuf>,
    },
}

/// How texts are judged. [`Default`] is what `whowrote detect` does without options.
#[derive(Clone, Debug)]
pub struct JudgeSettings {
    /// The level at which models are excluded, above 0 and below 1.
    pub alpha: f64,
    /// The level at which a person is excluded, above 0 and below 1.
    pub alpha_human: f64,
    /// The level for each of several texts that are judged together; none if each is judged by itself.
    pub alpha_together: Option<f64>,
    /// With what probability over calibrations the levels must be kept, above 0 and below 1. None if their means over
    /// calibrations are enough.
    pub confidence: Option<f64>,
    /// Set A; if empty, the authors of the catalogue.
    pub a: Vec<AuthorChoice>,
    /// Set B; if empty, the authors of the catalogue.
    pub b: Vec<AuthorChoice>,
    /// Models that continue texts, even if their files have chat templates.
    pub no_chat: Vec<AuthorChoice>,
    /// The catalogue; none for the user's own, or else the built-in one.
    pub catalogue: Option<PathBuf>,
    /// The tests, each once; at least one.
    pub tests: Vec<Test>,
    /// How every author is assumed to have sampled. None: each as the catalogue says, or else `deployed`.
    pub decoding: Option<SamplingFamily>,
    /// What is known about the prompt.
    pub prompt: PromptChoice,
    /// The user's own calibrations, in the order in which they are tried.
    pub calibrations: Vec<PathBuf>,
    /// The group of human-written texts that the texts belong to, if the user knows it.
    pub genre: Option<String>,
    /// The number of threads; none for one for each core.
    pub threads: Option<NonZeroUsize>,
    /// The device for the models.
    pub device: DeviceChoice,
    /// Whether no connection may be opened.
    pub offline: bool,
    /// Whether reports have the figures of every token.
    pub tokens: bool,
    /// The number of words that are read at the beginning of a text if its prompt is not known; none for all.
    pub first: Option<NonZeroUsize>,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self {
            alpha: ALPHA,
            alpha_human: ALPHA / HUMAN_DIVISOR,
            alpha_together: None,
            confidence: None,
            a: Vec::new(),
            b: Vec::new(),
            no_chat: Vec::new(),
            catalogue: None,
            tests: vec![Test::EntropyGap, Test::LikelihoodRatio, Test::CrossEntropy],
            decoding: None,
            prompt: PromptChoice::Unknown,
            calibrations: Vec::new(),
            genre: None,
            threads: None,
            device: DeviceChoice::Auto,
            offline: false,
            tokens: false,
            first: None,
        }
    }
}
