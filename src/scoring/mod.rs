//! Tokens in, figures out: one streaming pass of a model over a text.

mod kernel;
mod reduce;
mod scorer;
mod token_stats;

pub use reduce::{Reduced, reduce};
pub use scorer::{Scoring, score};
pub use token_stats::{TILT_COUNT, TILTS, TextScores, TokenStats};
