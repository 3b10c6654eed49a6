//! How well the program does on texts whose authors are known, computed from the lines that `whowrote batch` writes.
//!
//! Nothing here is a guarantee: these are measurements, each with an interval. All intervals are by document, because texts
//! of one document are not independent.
//!
//! - [`texts`]: a line of results becomes a [`LabelledText`]: who wrote it, and what the program found.
//! - [`scores`]: the scores that are compared, as formulas of the stored figures.
//! - [`evaluate()`]: areas under ROC curves, verdicts and p-values, overall and for parts of the texts.
//! - [`plots`]: the same as pictures.

mod bootstrap;
pub mod evaluate;
pub mod plots;
pub mod scores;
pub mod texts;

pub use evaluate::{Evaluation, evaluate};
pub use texts::{LabelledText, Labels, Unusable};

/// The probability with which every interval holds what it is an interval of.
pub const CONFIDENCE: f64 = 0.95;
