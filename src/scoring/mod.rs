//! Tokens in, figures out: one streaming pass of a model over a text.

mod cross;
mod kernel;
mod ladder;
mod reduce;
mod scorer;
mod token_stats;

pub use cross::cross;
pub use reduce::{Penalty, reduce};
pub use scorer::{Hidden, Prefix, Scoring, score, score_after, score_all, score_keeping};
pub use token_stats::{
    ABOVE, CrossScores, CrossTokenStats, DecodingStats, LADDER, Reduced, SPACE, TILT_COUNT, TILTS, TOP, TextScores,
    TokenStats,
};

#[cfg(test)]
#[path = "../../tests/common/tiny.rs"]
mod tiny;
