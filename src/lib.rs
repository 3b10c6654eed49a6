//! Says who wrote a text: a language model of set A, one of set B, or a person.
//!
//! The modules lie in the order of the data's way. Bytes become a document ([`input`]), a document becomes tokens and logits
//! ([`model`]), those become figures ([`scoring`]), figures become evidence and a confidence set of authors ([`stats`]).
//! [`judge`] does all of it and makes a [`report`]; a policy says which texts of a run may stay ([`gate`]); [`sentences`] puts
//! reports into words, [`output`] prints them, and [`commands`] is the program.

#![deny(unsafe_code)]

pub mod commands;
pub mod gate;
pub mod judge;
pub mod model;
pub mod output;
pub mod report;
pub mod scoring;
pub mod sentences;

pub use judge::{Judge, JudgeError, JudgeSettings};
pub use whowrote_input as input;
pub use whowrote_stats as stats;
