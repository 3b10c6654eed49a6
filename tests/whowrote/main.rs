//! The tests of the program and its library, in one binary: it links the tensor library once.
//!
//! - `cargo test --test whowrote quick::` takes tiny random models or none. It is the loop for work on the command
//!   line.
//! - `cargo test --release --test whowrote models::` takes the default models, which it fetches. That takes minutes.
//! - `cargo test --release --test whowrote tools:: -- --include-ignored` takes other programs: pre-commit, Spark,
//!   `mount`.
//!
//! What cannot run everywhere is ignored, and says what it needs. `.ci/run` runs it where that is there.
//!
//! All tests share this process: its threads, its environment and its folder. None of them changes these; a test that
//! must starts a process of its own.

#[path = "../common/mod.rs"]
mod common;
mod models;
mod quick;
mod tools;
