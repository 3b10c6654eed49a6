//! From evidence to a confidence set.

mod decide;
mod report;

pub use decide::{Candidate, Decision, Policy, betas, decide, figures, long_text_warning};
pub use report::*;
