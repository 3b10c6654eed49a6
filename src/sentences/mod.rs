//! Every sentence that a person reads about a text or a run is made here, so that its wording is judged in one place: each
//! must be true when it is read out to the person whom it concerns.

pub mod runs;
pub mod verdicts;
mod warnings;

pub use warnings::warning;
