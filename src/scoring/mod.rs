//! Tokens in, figures out.

mod token_stats;

pub use token_stats::{TILT_COUNT, TILTS, TextScores, TokenStats};
