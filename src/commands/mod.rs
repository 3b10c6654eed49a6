//! What the binary does: each command reads its options, calls the library, and reports.

pub mod models;
