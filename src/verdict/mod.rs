//! From evidence to a confidence set.

mod decide;
mod readings;
mod report;
mod scope;

pub use decide::{
    ALPHA, Candidate, Decision, HUMAN_DIVISOR, Policy, PromptKnowledge, Reading, cross_betas, decide, figures,
    long_text_warning, scoring,
};
pub use readings::{add_disguises, add_misspellings, has_many, is_telling};
pub use report::*;
pub use scope::Scope;
