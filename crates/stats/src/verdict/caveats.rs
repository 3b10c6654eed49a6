//! What a reader must know before relying on a decision: typed values, without prose.

use super::domain_check::OutsideDomain;
use crate::likelihood_ratio::RatioVoid;

/// A reason to read the decision with care.
#[derive(Clone, Debug, PartialEq)]
pub enum Caveat {
    /// The models could not be compared with one another on this text.
    RatioVoid(RatioVoid),
    /// None of the requested tests applies to these authors.
    Untested {
        /// The authors.
        authors: Vec<String>,
    },
    /// The prompt is unknown, and there is no calibration for these authors with the models that are loaded.
    Uncalibrated {
        /// The authors.
        authors: Vec<String>,
    },
    /// These authors are known by their texts alone, and other models than the loaded ones read those texts.
    ReadByOthers {
        /// The authors.
        authors: Vec<String>,
    },
    /// The calibrations of these authors lack a model that others' texts were read by, so no score is fitted to the texts of all.
    ReadByFewer {
        /// The authors.
        authors: Vec<String>,
    },
    /// A group of an author's calibration is too small for the author to be excluded at this level.
    SmallCalibration {
        /// The author.
        author: String,
        /// The level.
        level: f64,
        /// The confidence with which it must be kept, if that was asked for.
        confidence: Option<f64>,
        /// The documents or prompts that each group needs.
        needed: usize,
        /// The documents or prompts of the smallest group.
        fewest: usize,
    },
    /// Nothing tests whether a person wrote the text.
    HumanUntested(HumanUntested),
    /// No calibration covers this text.
    Outside(Outside),
    /// No calibration covers some pieces of this text.
    PiecesOutside {
        /// How many.
        outside: usize,
        /// Of how many.
        pieces: usize,
        /// Whether the first is one of them, so that no model is tested.
        models_untested: bool,
    },
    /// A stretch of the text is so predictable to these models that it may be a known text. A person is not excluded.
    Memorised {
        /// The models.
        models: Vec<String>,
    },
    /// The text repeats itself, and little else is left of it. A person is not excluded.
    Repeats,
    /// No test could have decided on so little text.
    TooShort(TooShort),
}

impl Caveat {
    /// Whether evidence against an author counts in spite of it. A text that a model knows by heart, or that repeats
    /// itself, looks machine-made whoever wrote it.
    pub fn is_telling(&self) -> bool {
        !matches!(self, Self::Memorised { .. } | Self::Repeats)
    }
}

/// Why nothing tests whether a person wrote the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HumanUntested {
    /// No calibration holds human-written texts of this kind.
    OutsideCalibration,
    /// There is no calibration of human-written texts with the models that are loaded.
    NoCalibration,
}

/// Why no calibration covers a text.
#[derive(Clone, Debug, PartialEq)]
pub enum Outside {
    /// It is of another kind than the calibration texts.
    Domain(OutsideDomain),
    /// It is easier to predict for this model than every calibration text.
    Easier {
        /// The model.
        model: String,
    },
    /// It is harder to predict for this model than every calibration text.
    Harder {
        /// The model.
        model: String,
    },
}

/// Why a text is too short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooShort {
    /// No model could score a token of it.
    NoTokens,
    /// It has fewer words than the shortest calibration texts.
    FewWords {
        /// The words of the text.
        words: usize,
        /// The words of the shortest calibration texts.
        least: usize,
    },
    /// It has fewer scored tokens than the entropy gap needs on a text like it.
    FewTokens {
        /// The scored tokens.
        scored: usize,
        /// The least number with which the gap decides.
        needed: usize,
    },
}
