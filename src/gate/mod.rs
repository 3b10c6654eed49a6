//! A run of many texts against a policy: which files may be whose, what of them is judged, and what fails.
//!
//! `policy` says who may write what, `passages` what of a file is a text to be judged, `decide` which of the judged texts
//! fail, so that the whole run has one error.

mod decide;
mod passages;
mod policy;

pub use decide::{GateReport, GateText, Judged, Note, NoteLevel, Skipped, TextOutcome, decide};
pub use passages::{Before, Passage, Passages, passages};
pub use policy::{Excepted, Exception, GatePolicy, POLICY_FILE, PolicyError, Rule, TEMPLATE, Undecided};
