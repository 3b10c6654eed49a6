//! Tokens in, figures out: one streaming pass of a model over a text.

mod cross_entropy_pass;
mod reduce;
mod row_stats;
mod scorer;
mod temperature_grid;

pub use cross_entropy_pass::cross;
pub use reduce::{Penalty, reduce};
pub use scorer::{Hidden, Prefix, Scoring, score, score_after, score_all, score_keeping};

#[cfg(test)]
#[path = "../../tests/common/tiny.rs"]
mod tiny;
