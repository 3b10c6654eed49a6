//! Loops over rows of numbers, where the time of a run goes. They know neither tensors nor models.
//!
//! - `row_stats` and `temperature_grid` reduce a row of logits to the figures of a token, in one pass.
//! - `pair_stats` reduces a row of logits of each of two models to what one expects of the other.
//! - `layers` and `exponential` are the activations, the norm and the softmax of a model, and the unpacking of Q8_0.
//!
//! Each loop is compiled for several instruction sets, and the processor at hand chooses. This crate is fully optimised
//! in every profile; the rest of the program is not worth the time.

mod exponential;
mod layers;
mod pair_stats;
mod row_stats;
mod temperature_grid;

pub use exponential::{exp, exp_over, softmax};
pub use layers::{gelu, rms_norm, silu, unpack_q8_0};
pub use pair_stats::PairRow;
pub use row_stats::{Row, RowSums};
pub use temperature_grid::GridSums;
