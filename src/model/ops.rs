//! The steps of a layer that are no plain matrix multiplication.
//!
//! Each has a form in candle's own operations, which runs on every device, and on the CPU a kernel of
//! [`super::kernels`] that is tested against it.

use super::architecture::Activation;
use candle_core::{D, DType, Result, Tensor};

/// Which keys a query sees, and how products become weights.
#[derive(Clone, Copy, Debug)]
pub struct Mask {
    /// Keys before the first query.
    pub past: usize,
    /// A query sees this many keys, its own included.
    pub window: Option<usize>,
    /// Factor on products.
    pub scale: f64,
    /// `cap·tanh(x/cap)` on scaled products.
    pub softcap: Option<f64>,
}

/// `x / sqrt(mean(x²) + epsilon) · weight` along the last dimension.
pub fn rms_norm(x: &Tensor, weight: &Tensor, epsilon: f64) -> Result<Tensor> {
    candle_nn::ops::rms_norm(&x.contiguous()?, weight, epsilon as f32)
}

/// `activation(gate)·up` of `(tokens, 2·intermediate)`, gate before up: `(tokens, intermediate)`.
pub fn gate(gate_up: &Tensor, activation: Activation) -> Result<Tensor> {
    let width = gate_up.dim(D::Minus1)? / 2;
    let gate = gate_up.narrow(D::Minus1, 0, width)?;
    let up = gate_up.narrow(D::Minus1, width, width)?;
    activation.apply(&gate)? * up
}

/// Rotates the halves of every head of `(batch, tokens, heads, head_dim)` by tables `(tokens, head_dim / 2)`.
pub fn rotate(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    candle_nn::rotary_emb::rope_thd(&x.contiguous()?, cos, sin)
}

/// Causal attention of queries `(batch, tokens, heads, head_dim)` over keys and values
/// `(batch, keys, kv_heads, head_dim)`: `(batch, tokens, heads, head_dim)`.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<Tensor> {
    attention_in_candle(q, k, v, mask)
}

fn attention_in_candle(q: &Tensor, k: &Tensor, v: &Tensor, mask: &Mask) -> Result<Tensor> {
    let (batch, tokens, heads, head_dim) = q.dims4()?;
    let (_, keys, kv_heads, _) = k.dims4()?;
    let group = heads / kv_heads;
    let q = q
        .transpose(1, 2)?
        .reshape((batch, kv_heads, group * tokens, head_dim))?;
    let k = k.transpose(1, 2)?.contiguous()?;
    let v = v.transpose(1, 2)?.contiguous()?;
    let mut scores = (q.matmul(&k.t()?)? * mask.scale)?;
    if let Some(cap) = mask.softcap {
        scores = ((scores / cap)?.tanh()? * cap)?;
    }
    let hidden = (0..tokens).flat_map(|i| {
        let position = mask.past + i;
        (0..keys).map(move |j| {
            let seen = j <= position && mask.window.is_none_or(|w| position - j < w);
            if seen { 0f32 } else { f32::NEG_INFINITY }
        })
    });
    let hidden = Tensor::from_iter(hidden, q.device())?
        .reshape((1, 1, tokens, keys))?
        .to_dtype(DType::F32)?;
    let scores = scores
        .reshape((batch * kv_heads, group, tokens, keys))?
        .broadcast_add(&hidden)?;
    let weights = candle_nn::ops::softmax_last_dim(&scores)?.reshape((batch, kv_heads, group * tokens, keys))?;
    weights
        .matmul(&v)?
        .reshape((batch, heads, tokens, head_dim))?
        .transpose(1, 2)?
        .contiguous()
}
