//! From evidence to a confidence set.

mod report;

pub use report::*;
