//! Tokens come in, figures go out: one streaming pass of a model over a text.
//!
//! [`score_all`] reads texts in windows, [`reduce`] turns the hidden states of a window into figures, [`scaled_states`] are
//! what a probe reads, and [`cross_entropy_pass`] compares two models of one vocabulary.

mod cross_entropy_pass;
mod probe;
mod reduce;
mod scorer;

pub use cross_entropy_pass::cross_entropy_pass;
pub use probe::scaled_states;
pub use reduce::{Penalty, reduce};
pub use scorer::{Hidden, Prefix, Scoring, score, score_after, score_all, score_keeping};

#[cfg(test)]
#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "../../tests/common/tiny.rs"]
mod tiny;
