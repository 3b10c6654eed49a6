//! Says who wrote a text: a language model of set A, one of set B, or a person.
//!
//! The modules lie in the order of the data's way. Bytes become a document ([`input`]), a document becomes tokens and logits
//! ([`model`]), those become figures ([`scoring`]), figures become evidence and a confidence set of authors ([`stats`]).
//! [`judge`] does all of it and makes a [`report`]; a policy says which texts of a run may stay ([`gate`]); [`sentences`] puts
//! reports into words, [`output`] prints them, and [`commands`] is the program.
//!
//! [`Judge`] does what `whowrote detect` does. Here it judges with two models from folders; without `a` and `b` it takes the
//! authors of the catalogue.
//!
//! ```
//! use whowrote::input::Document;
//! use whowrote::judge::AuthorChoice;
//! use whowrote::{Judge, JudgeSettings};
//!
//! # mod tiny { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/tiny.rs")); }
//! # let [ours, theirs] = tiny::two_models().clone();
//! let mut judge = Judge::new(JudgeSettings {
//!     a: vec![AuthorChoice::Path(ours)],
//!     b: vec![AuthorChoice::Path(theirs)],
//!     ..JudgeSettings::default()
//! })?;
//! let text = Document::from_text("letter.txt".to_owned(), "Dear Anna, thank you for your letter.".to_owned());
//! for report in judge.judge(&[text])? {
//!     println!("{}: {:?} of {:?}", report.input.name, report.verdict, report.authors);
//! #   assert_eq!(report.authors, ["one", "two", "human"]);
//! }
//! # Ok::<(), whowrote::JudgeError>(())
//! ```

#![deny(unsafe_code)]
// What is printed goes through the writers that the command line sets up.
#![warn(clippy::print_stderr, clippy::print_stdout)]

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
