//! All sentences about a text or a run.
//!
//! They are in one place so that one person can judge their wording. Each must be true when it is read out to the
//! person it is about.

pub mod runs;
pub mod verdicts;
mod warnings;

pub use warnings::warning;
