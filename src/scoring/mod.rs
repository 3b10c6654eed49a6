//! Tokens in, figures out: one streaming pass of a model over a text.

mod kernel;
mod ladder;
mod reduce;
mod scorer;
mod token_stats;

pub use reduce::{Penalty, reduce};
pub use scorer::{Scoring, score, score_after};
pub use token_stats::{ABOVE, DecodingStats, LADDER, Reduced, SPACE, TILT_COUNT, TILTS, TOP, TextScores, TokenStats};
