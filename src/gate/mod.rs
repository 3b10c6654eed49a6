//! The gate judges a run of many texts by a policy.
//!
//! `policy` says who may write which files, `gather` finds the texts of the submitted files, `passages` finds those
//! of one file, and `outcome` says which of the judged texts fail, with one error for the whole run.

mod gather;
mod outcome;
mod passages;
mod policy;

pub use gather::{Gathered, GatheredText, Submission, shown};
pub use outcome::{GateReport, GateText, JudgedText, Note, NoteLevel, Skipped, TextOutcome, apply_rules};
pub use passages::{Before, Passage, Passages, passages};
pub use policy::{Excepted, Exception, GatePolicy, POLICY_FILE, PolicyError, Rule, TEMPLATE, Undecided};
