//! The report on one text: a plain value that every output format prints.

use serde::Serialize;
use std::collections::BTreeMap;
use whowrote_input::InputSummary;
use whowrote_input::disguise::{Disguise, DisguiseKind};
use whowrote_input::spelling::Misspelling;
use whowrote_stats::calibration::CalibratedModel;
use whowrote_stats::calibration::probe::Probe;
use whowrote_stats::token_stats::{TextScores, TokenStats};
use whowrote_stats::verdict::{Caveat, Hypothesis, Verdict};

/// The version of the report's JSON.
pub const SCHEMA: u32 = 1;

/// One model's figures for the text, at temperature 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelFigures {
    /// The number of tokens in the text.
    pub tokens: usize,
    /// The number of scored tokens: those that have a context.
    pub scored_tokens: usize,
    /// Mean surprisal, nat per token.
    pub log_perplexity: f64,
    /// Mean entropy, nat per token.
    pub entropy: f64,
    /// Mean varentropy, nat² per token.
    pub varentropy: f64,
    /// Mean of the natural logarithm of the rank.
    pub mean_log_rank: f64,
    /// Surprisal in bits, divided by the bytes of the scored tokens.
    pub bits_per_byte: f64,
    /// The bytes of the scored tokens.
    #[serde(skip)]
    pub scored_bytes: usize,
    /// The file's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The request that stands for the unknown prompt, if the model is a chat model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What the probe makes of the model's hidden states; none if it reads another model's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe: Option<ProbeFigures>,
    /// Per-token figures, if they were requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_token: Option<Vec<TokenFigures>>,
}

impl ModelFigures {
    /// A model's figures for a text. `model` is the model as it scored the text.
    pub fn new(scores: &TextScores, model: CalibratedModel, per_token: bool) -> Option<Self> {
        let beta = scores.beta_index(1.0)?;
        let n = scores.scored();
        let mean = |f: &dyn Fn(usize, &TokenStats) -> f64| {
            scores.at(beta).enumerate().map(|(i, stats)| f(i, stats)).sum::<f64>() / n as f64
        };
        let scored_spans = scores.spans.get(scores.first_scored..).unwrap_or_default();
        let bytes = match (scored_spans.first(), scored_spans.last()) {
            (Some(first), Some(last)) => last.end - first.start,
            _ => 0,
        };
        let log_perplexity = mean(&|_, stats| stats.surprisal);
        let token = |i: usize| {
            let row = i.checked_sub(scores.first_scored);
            let stats = row.and_then(|row| scores.at(beta).nth(row));
            TokenFigures {
                start: scores.spans[i].start,
                end: scores.spans[i].end,
                id: scores.ids[i],
                surprisal: stats.map(|s| s.surprisal),
                entropy: stats.map(|s| s.entropy),
                varentropy: stats.map(|s| s.varentropy),
                rank: row.and_then(|row| scores.ranks.get(row).copied()),
            }
        };
        Some(Self {
            tokens: scores.ids.len(),
            scored_tokens: n,
            log_perplexity,
            entropy: mean(&|_, stats| stats.entropy),
            varentropy: mean(&|_, stats| stats.varentropy),
            mean_log_rank: mean(&|i, _| f64::from(scores.ranks[i]).ln()),
            bits_per_byte: log_perplexity * n as f64 / std::f64::consts::LN_2 / bytes as f64,
            scored_bytes: bytes,
            sha256: Some(model.sha256),
            request: model.request,
            probe: None,
            per_token: per_token.then(|| (0..scores.ids.len()).map(token).collect()),
        })
    }

    /// Adds the figures of another piece of the text.
    pub fn add(&mut self, piece: &Self) {
        let mean = |own: f64, others: f64, own_count: usize, other_count: usize| match (own_count, other_count) {
            (_, 0) => own,
            (0, _) => others,
            (a, b) => (own * a as f64 + others * b as f64) / (a + b) as f64,
        };
        let (own, others) = (self.scored_tokens, piece.scored_tokens);
        self.log_perplexity = mean(self.log_perplexity, piece.log_perplexity, own, others);
        self.entropy = mean(self.entropy, piece.entropy, own, others);
        self.varentropy = mean(self.varentropy, piece.varentropy, own, others);
        self.mean_log_rank = mean(self.mean_log_rank, piece.mean_log_rank, own, others);
        let (own, others) = (self.scored_bytes, piece.scored_bytes);
        self.bits_per_byte = mean(self.bits_per_byte, piece.bits_per_byte, own, others);
        if let (Some(own_probe), Some(probe)) = (&mut self.probe, &piece.probe) {
            let (own, others) = (self.scored_tokens, piece.scored_tokens);
            for (class, logit) in &mut own_probe.logits {
                *logit = mean(*logit, probe.logits[class], own, others);
            }
        }
        self.tokens += piece.tokens;
        self.scored_tokens += piece.scored_tokens;
        self.scored_bytes += piece.scored_bytes;
    }
}

/// What the probe makes of the hidden states behind a text.
#[derive(Clone, Debug, Serialize)]
pub struct ProbeFigures {
    /// SHA-256 of the probe.
    pub sha256: &'static str,
    /// How likely each kind of author is against a person, by the probe alone: logits, means over the tokens.
    pub logits: BTreeMap<&'static str, f64>,
}

impl ProbeFigures {
    /// The figures of a text; none if the probe has not read it.
    pub fn new(scores: &TextScores) -> Option<Self> {
        let probe = Probe::built_in();
        let classes = probe.classes.iter().skip(1).map(String::as_str);
        Some(Self {
            sha256: &probe.sha256,
            logits: classes.zip(scores.logits(scores.scored())?).collect(),
        })
    }
}

/// A piece of a text that is read in several.
#[derive(Clone, Debug, Serialize)]
pub struct PieceReport {
    /// Where it starts, in bytes of the decoded text.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// The number of words.
    pub words: usize,
    /// Its first words.
    pub begins: String,
    /// The p-values of the authors that are tested, if it is judged by itself.
    pub p_values: BTreeMap<String, f64>,
    /// The authors whose writing it is unlike, judged together with all other pieces.
    pub unlike: Vec<String>,
    /// All other authors: each may have written it.
    pub authors: Vec<String>,
}

/// One token's figures, at temperature 1.
#[derive(Clone, Debug, Serialize)]
pub struct TokenFigures {
    /// Start of the byte span in the decoded text, before disguises were removed.
    pub start: usize,
    /// End of the span.
    pub end: usize,
    /// Token id.
    pub id: u32,
    /// Surprisal, nat; none for a first token without context.
    pub surprisal: Option<f64>,
    /// Entropy, nat.
    pub entropy: Option<f64>,
    /// Varentropy, nat².
    pub varentropy: Option<f64>,
    /// Rank, 1 for the likeliest.
    pub rank: Option<u32>,
}

/// What the reader must know before relying on the verdict. [`crate::sentences`] puts it into words.
#[derive(Clone, Debug, PartialEq)]
pub enum Warning {
    /// A warning of the decision itself.
    Decision(Caveat),
    /// The text has more than the `room` tokens that a model sees at once, so a sliding window was used.
    LongText {
        /// The model.
        model: String,
        /// The number of tokens in the text.
        tokens: usize,
        /// The number of tokens in a window.
        room: usize,
    },
    /// A calibration that the user gave is not used for this verdict.
    CalibrationUnused {
        /// Its file.
        file: String,
        /// Why.
        why: CalibrationUnused,
    },
    /// Characters that disguise a text from a model were removed.
    Disguised {
        /// How many of each kind, without those that come from typesetting.
        kinds: BTreeMap<DisguiseKind, usize>,
        /// The first of them.
        first: Disguise,
        /// The answer on the text with its disguises, if it differs.
        otherwise: Option<Answer>,
    },
    /// Many words are misspelt.
    Misspelt {
        /// How many of the words that were read are misspelt.
        count: usize,
        /// The first of them.
        first: Misspelling,
        /// The answer on the text with them corrected, if it differs.
        otherwise: Option<Answer>,
    },
    /// The input could not be read, for this reason.
    Unreadable(String),
    /// A model's tokeniser refused the text, for this reason.
    Unscored(String),
}

/// Why a calibration that the user gave is not used for a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CalibrationUnused {
    /// Its author is not one of those considered.
    AuthorNotConsidered {
        /// The author.
        author: String,
    },
    /// It was made for another family of decodings.
    OtherFamily {
        /// The family that it was made for.
        made_for: String,
        /// The author.
        author: String,
        /// The families that the author is judged as.
        judged_as: Vec<String>,
    },
    /// Its texts were scored by other models, or after another request.
    OtherModels,
}

/// The answer of a verdict, without its evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub verdict: Verdict,
    /// The authors that are left.
    pub authors: Vec<String>,
}

impl Warning {
    /// Its stable code for programs.
    pub fn code(&self) -> WarningCode {
        match self {
            Self::Decision(caveat) => match caveat {
                Caveat::RatioVoid(_) => WarningCode::RatioVoid,
                Caveat::Untested { .. } => WarningCode::Untested,
                Caveat::Uncalibrated { .. }
                | Caveat::ReadByOthers { .. }
                | Caveat::ReadByFewer { .. }
                | Caveat::SmallCalibration { .. } => WarningCode::Uncalibrated,
                Caveat::HumanUntested(_) => WarningCode::HumanUntested,
                Caveat::Outside(_) | Caveat::PiecesOutside { .. } => WarningCode::OutsideCalibration,
                Caveat::Memorised { .. } => WarningCode::Memorised,
                Caveat::Repeats => WarningCode::Repeats,
                Caveat::TooShort(_) => WarningCode::FewTokens,
            },
            Self::LongText { .. } => WarningCode::LongText,
            Self::CalibrationUnused { .. } => WarningCode::Uncalibrated,
            Self::Disguised { .. } => WarningCode::Disguised,
            Self::Misspelt { .. } => WarningCode::Misspelt,
            Self::Unreadable(_) => WarningCode::Unreadable,
            Self::Unscored(_) => WarningCode::Unscored,
        }
    }
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// The text has too few tokens for any test to decide.
    FewTokens,
    /// The likelihood ratio could not be formed.
    RatioVoid,
    /// No test could exclude a person.
    HumanUntested,
    /// The prompt is not known and there is no calibration for a model, so it is not tested.
    Uncalibrated,
    /// None of the chosen tests applies to a model.
    Untested,
    /// The text is of a kind that no calibration covers.
    OutsideCalibration,
    /// The text, or a part of it, is so predictable that it may be a well-known text.
    Memorised,
    /// The text mostly repeats itself.
    Repeats,
    /// Characters that disguise a text from a model were removed.
    Disguised,
    /// Many words are misspelt.
    Misspelt,
    /// The text is longer than the model's context, so a sliding window was used.
    LongText,
    /// The input could not be judged.
    Unreadable,
    /// A model's tokeniser refused the text.
    Unscored,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timing {
    /// Scoring with all models, milliseconds.
    pub score_ms: f64,
}

/// The disguises of a text, and the verdict on the text with them.
#[derive(Clone, Debug, Serialize)]
pub struct DisguiseReport {
    /// How many disguises of each kind were removed.
    pub kinds: BTreeMap<DisguiseKind, usize>,
    /// The first of each kind, with their places in the original text.
    pub first: Vec<Disguise>,
    /// The verdict on the original text; none if only marks of typesetting were removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<OtherReading>,
}

/// The misspelt words of a text, and the verdict on the text with them corrected.
#[derive(Clone, Debug, Serialize)]
pub struct MisspellingReport {
    /// How many of the words that were read are misspelt.
    pub count: usize,
    /// The first of them, with their places in the text that was read.
    pub first: Vec<Misspelling>,
    /// The verdict on the text with them corrected.
    pub corrected: OtherReading,
}

/// The verdict on a text in another form.
#[derive(Clone, Debug, Serialize)]
pub struct OtherReading {
    /// The answer.
    pub verdict: Verdict,
    /// The authors that would be left.
    pub authors: Vec<String>,
    /// Figures by model name.
    pub models: BTreeMap<String, ModelFigures>,
}

impl From<ProvenanceReport> for OtherReading {
    fn from(report: ProvenanceReport) -> Self {
        OtherReading {
            verdict: report.verdict,
            authors: report.authors,
            models: report.models,
        }
    }
}

/// The report on one text.
#[derive(Clone, Debug, Serialize)]
pub struct ProvenanceReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The text.
    pub input: InputSummary,
    /// The answer.
    pub verdict: Verdict,
    /// The authors that are left, by name; empty if the verdict is `unable`.
    pub authors: Vec<String>,
    /// The level at which models are excluded.
    pub alpha: f64,
    /// The level at which a person is excluded.
    pub alpha_human: f64,
    /// With what probability over calibrations the levels are kept, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// The pieces in which the text was read without its prompt; empty if it is one piece.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pieces: Vec<PieceReport>,
    /// Figures by model name.
    pub models: BTreeMap<String, ModelFigures>,
    /// The disguises of the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disguises: Option<DisguiseReport>,
    /// Its misspelt words, if they are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misspellings: Option<MisspellingReport>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// Timing.
    pub timing: Timing,
}

impl ProvenanceReport {
    /// The report on an input that could not be read. It has no figures of the input's bytes.
    pub fn unreadable(name: String, id: Option<String>, levels: (f64, f64), why: String) -> Self {
        let input = InputSummary {
            name,
            id,
            kept: Default::default(),
            sha256: String::new(),
            bytes: 0,
            chars: 0,
            words: 0,
            extraction: None,
        };
        Self::unable(input, levels, Warning::Unreadable(why))
    }

    /// The report on an input that could not be judged, with the levels for models and for a person.
    pub fn unable(input: InputSummary, (alpha, alpha_human): (f64, f64), warning: Warning) -> Self {
        Self {
            schema: SCHEMA,
            input,
            verdict: Verdict::Unable,
            authors: Vec::new(),
            alpha,
            alpha_human,
            confidence: None,
            hypotheses: Vec::new(),
            pieces: Vec::new(),
            models: BTreeMap::new(),
            disguises: None,
            misspellings: None,
            warnings: vec![warning],
            timing: Timing::default(),
        }
    }
}
