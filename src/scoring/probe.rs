//! What a probe makes of hidden states.

use crate::model::error::Result;
use candle_core::{D, Tensor};
use whowrote_stats::calibration::probe::Probe;
use whowrote_stats::token_stats::LOGITS;

/// Each row of a residual stream `(rows, hidden)` divided by its root mean square.
pub fn scaled_states(states: &Tensor) -> Result<Tensor> {
    let squares = states.sqr()?.mean_keepdim(D::Minus1)?;
    Ok(states.broadcast_div(&squares.sqrt()?)?)
}

/// The logits of each row of a residual stream `(rows, hidden)`.
pub(super) fn probe_logits(probe: &Probe, states: &Tensor) -> Result<Vec<[f32; LOGITS]>> {
    let width = probe.weights[0].len();
    let weights = Tensor::from_iter(probe.weights.iter().flatten().copied(), states.device())?;
    let products = scaled_states(states)?.matmul(&weights.reshape((LOGITS, width))?.t()?)?;
    let rows = products.to_vec2::<f32>()?;
    let logits = |row: Vec<f32>| std::array::from_fn(|class| row[class] + probe.constants[class]);
    Ok(rows.into_iter().map(logits).collect())
}
