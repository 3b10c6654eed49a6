//! The verdict on one text, as a plain value that every output format prints.

use crate::input::disguise::{Disguise, DisguiseKind};
use crate::input::spelling::Misspelling;
pub use crate::model::catalogue::AuthorSet;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the JSON that a report serialises to.
pub const SCHEMA: u32 = 1;

/// What is known about the text itself.
#[derive(Clone, Debug, Serialize)]
pub struct InputSummary {
    /// The path as the user gave it, or `-` for standard input; with the number of a line or row of a file of many texts.
    pub name: String,
    /// What such a file calls the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// SHA-256 of the bytes as read, in lower-case hexadecimal.
    pub sha256: String,
    /// Length of the input as read.
    pub bytes: usize,
    /// Unicode scalar values after decoding.
    pub chars: usize,
}

/// The four answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// One author is left.
    Attributed,
    /// Several authors are left.
    Undecided,
    /// Every author was ruled out.
    Unknown,
    /// The text could not be judged.
    Unable,
}

/// The tests that can speak against an author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// Entropy gap, with the exact conditional cumulants of the model (e-process).
    EntropyGap,
    /// Entropy gap, with the closed-form bound that needs only the vocabulary's size.
    EntropyGapVocab,
    /// The surprisal under another model of the same vocabulary, against what the author expects of it (e-process).
    CrossEntropy,
    /// Likelihood ratio of the other models, and of the author's own at other temperatures, against the author.
    LikelihoodRatio,
    /// The text's score among those of texts that the author is known to have written.
    #[value(skip)]
    Conformal,
}

/// What a hypothesis' p-value rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The prompt is known, so that the theorems hold for this very text.
    Prompt,
    /// Texts that the author is known to have written, of which this one would be another.
    Calibration,
    /// Nothing: the author is not tested, and stays.
    Untested,
}

/// What one test says against one author.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// The test.
    pub test: Test,
    /// Natural logarithm of the e-value; minus infinity (null in JSON) when the test is void.
    pub ln_e_value: f64,
    /// Entropy gap: log-perplexity less entropy, nat a token. Cross-entropy: log-perplexity under the other model less
    /// the cross-entropy that the author expects, nat a token. Likelihood ratio: log ratio in nats.
    /// Conformal: the first score, in standard deviations of the surprisal.
    pub statistic: f64,
    /// By this test alone, at its share of alpha, the author is ruled out when the statistic (entropy gap and
    /// cross-entropy: its absolute value) reaches this.
    pub threshold: f64,
    /// Cross-entropy: the absolute value of the statistic at which the closed form, at the same share of alpha, would rule
    /// the author out; none where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_form_threshold: Option<f64>,
    /// The authors whose models form the numerator of a likelihood ratio; the author whose model's surprisal a
    /// cross-entropy is about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
    /// The texts that a conformal p-value is a place among.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationFigures>,
}

/// The texts that a conformal p-value is a place among.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CalibrationFigures {
    /// How many there are.
    pub texts: usize,
    /// The least p-value that a text can have, for the group of them that has fewest.
    pub least_p_value: f64,
    /// The words that each of them, and the text itself, was cut to.
    pub words: usize,
    /// The group that the text is least unlike.
    pub group: String,
}

/// One author, and whether the evidence rules it out.
#[derive(Clone, Debug, Serialize)]
pub struct Hypothesis {
    /// The author's name.
    pub author: String,
    /// The set it belongs to.
    pub set: AuthorSet,
    /// The model that stands for the author; none for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// How the author is supposed to have sampled, as `--decoding` reads it; none for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoding: Option<String>,
    /// What the p-value rests on.
    pub basis: Basis,
    /// Whether the author stays in the confidence set.
    pub retained: bool,
    /// Probability, at most, of evidence this strong if the author wrote the text; none where nothing tests it.
    pub p_value: Option<f64>,
    /// Natural logarithm of the combined evidence; see [`crate::verdict::decide`].
    pub ln_e_value: Option<f64>,
    /// Test by test.
    pub evidence: Vec<Evidence>,
}

/// One model's figures of the text, at temperature 1.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ModelFigures {
    /// Tokens of the text.
    pub tokens: usize,
    /// Tokens that have a context and so were scored.
    pub scored_tokens: usize,
    /// Mean surprisal, nat a token.
    pub log_perplexity: f64,
    /// Mean entropy, nat a token.
    pub entropy: f64,
    /// Mean varentropy, nat² a token.
    pub varentropy: f64,
    /// Mean of the natural logarithm of the rank.
    pub mean_log_rank: f64,
    /// Surprisal in bits over the bytes of the scored tokens.
    pub bits_per_byte: f64,
    /// The file's SHA-256.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// What the model was taken to have been asked before the text, where the prompt is unknown and it holds
    /// conversations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Per-token figures, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_token: Option<Vec<TokenFigures>>,
}

/// One token's figures, at temperature 1.
#[derive(Clone, Debug, Serialize)]
pub struct TokenFigures {
    /// Byte span in the decoded text, as it came.
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

/// What the reader must know before resting anything on the verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// Stable machine-readable name.
    pub code: WarningCode,
    /// One sentence.
    pub message: String,
}

/// The kinds of [`Warning`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningCode {
    /// Too few tokens for any test to decide.
    FewTokens,
    /// The likelihood ratio could not be formed.
    RatioVoid,
    /// Nothing tests whether a person wrote the text.
    HumanUntested,
    /// The prompt is not known and there is no calibration for a model, so that it is not tested.
    Uncalibrated,
    /// None of the tests that were asked for applies to a model.
    Untested,
    /// The text is of a kind that no calibration covers.
    OutsideCalibration,
    /// The text, or a part of it, is so predictable that it may be a known text.
    Memorised,
    /// Characters that hide a text from a model were taken off it.
    Disguised,
    /// Many words are misspelt.
    Misspelt,
    /// The text is longer than the model's context; a sliding window was used.
    LongText,
    /// The input could not be judged.
    Unreadable,
    /// A model's tokeniser refused the text.
    Unscored,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Timing {
    /// Scoring under all models, milliseconds.
    pub score_ms: f64,
}

/// What a text was disguised with, and what it would have been taken for with it.
#[derive(Clone, Debug, Serialize)]
pub struct DisguiseReport {
    /// How many disguises of each kind were taken off.
    pub kinds: BTreeMap<DisguiseKind, usize>,
    /// The first of each kind, with their places in the text as it came.
    pub first: Vec<Disguise>,
    /// The verdict on the text as it came; none where nothing but the marks of typesetting were taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<OtherReading>,
}

/// Words of a text that are misspelt, and what it would be taken for without them.
#[derive(Clone, Debug, Serialize)]
pub struct MisspellingReport {
    /// How many words of what was read.
    pub count: usize,
    /// The first of them, with their places in the text that was read.
    pub first: Vec<Misspelling>,
    /// The verdict on the text with them put right.
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

/// The verdict on one text.
#[derive(Clone, Debug, Serialize)]
pub struct ProvenanceReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The text.
    pub input: InputSummary,
    /// The answer.
    pub verdict: Verdict,
    /// The authors that are left, by name; empty when the verdict is `unable`.
    pub authors: Vec<String>,
    /// The level at which models are ruled out.
    pub alpha: f64,
    /// The level at which a person is.
    pub alpha_human: f64,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// Figures by model name.
    pub models: BTreeMap<String, ModelFigures>,
    /// What the text was disguised with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disguises: Option<DisguiseReport>,
    /// Which of its words are misspelt, where they are many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub misspellings: Option<MisspellingReport>,
    /// Warnings.
    pub warnings: Vec<Warning>,
    /// Timing.
    pub timing: Timing,
}

impl ProvenanceReport {
    /// The report on an input that is no text. Nothing is said of bytes that were not, or not all, read.
    pub fn unreadable(name: String, id: Option<String>, levels: (f64, f64), why: String) -> Self {
        let input = InputSummary {
            name,
            id,
            sha256: String::new(),
            bytes: 0,
            chars: 0,
        };
        Self::unable(input, levels, WarningCode::Unreadable, why)
    }

    /// The report on what could not be judged, at the levels for models and for a person.
    pub fn unable(input: InputSummary, (alpha, alpha_human): (f64, f64), code: WarningCode, message: String) -> Self {
        Self {
            schema: SCHEMA,
            input,
            verdict: Verdict::Unable,
            authors: Vec::new(),
            alpha,
            alpha_human,
            hypotheses: Vec::new(),
            models: BTreeMap::new(),
            disguises: None,
            misspellings: None,
            warnings: vec![Warning { code, message }],
            timing: Timing::default(),
        }
    }
}
