//! Says who wrote a text: a language model of set A, one of set B, or a person.
//!
//! The modules lie in the order of the data's way: bytes become a document ([`input`]), a document becomes tokens
//! and logits ([`model`]), those become figures ([`scoring`]), figures become evidence ([`stats`]), which is held
//! against texts of known authors ([`calibration`]) and becomes a confidence set ([`verdict`]); of many texts of one run a policy says which may not
//! stay ([`gate`]); and that is printed ([`output`]). [`attacks`] are what others do to texts, to measure what becomes of verdicts.

// What is printed goes through the writers that the command line sets up.
#![warn(clippy::print_stderr, clippy::print_stdout)]

pub mod attacks;
pub mod calibration;
pub mod commands;
mod fence;
pub mod gate;
pub mod input;
pub mod model;
pub mod output;
pub mod scoring;
pub mod stats;
pub mod verdict;
