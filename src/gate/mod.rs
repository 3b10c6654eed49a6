//! The gate judges a run of many texts by a policy.
//!
//! `policy` says who may write which files, `passages` finds the texts of a file that are judged, and `outcome` says
//! which of the judged texts fail, with one error for the whole run.

mod outcome;
mod passages;
mod policy;

pub use outcome::{GateReport, GateText, JudgedText, Note, NoteLevel, Skipped, TextOutcome, apply_rules};
pub use passages::{Before, Passage, Passages, passages};
pub use policy::{Excepted, Exception, GatePolicy, POLICY_FILE, PolicyError, Rule, TEMPLATE, Undecided};
