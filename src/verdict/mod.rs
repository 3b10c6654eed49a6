//! From evidence to a confidence set.

mod decide;
mod report;
mod scope;

pub use decide::{
    ALPHA, Candidate, Decision, HUMAN_DIVISOR, Policy, PromptKnowledge, Reading, cross_betas, decide, figures,
    long_text_warning, scoring,
};
pub use report::*;
pub use scope::Scope;
