//! Tests that take tiny random models, or none.

pub mod batch;
mod cli;
pub mod cross_entropy;
mod eval;
pub mod gate;
mod generate;
#[cfg(unix)]
mod hub_server;
mod known_by_texts;
mod model_files;
#[cfg(unix)]
mod packaging;
pub mod referee;
#[cfg(unix)]
mod store_wheel;
mod whole_text;
