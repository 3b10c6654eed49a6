//! What several tests need.

pub mod document;
#[path = "../../crates/stats/tests/common/held_out.rs"]
pub mod held_out;
pub mod known;
mod model_file;
#[cfg(unix)]
pub mod program;
pub mod rows;
#[allow(dead_code, reason = "each test takes what it needs")]
pub mod tiny;

pub use model_file::model_file;
