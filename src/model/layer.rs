//! The parts of a decoder: norms, rotary positions, attention and the gated feed-forward block, joined into a layer.
//!
//! Each part is a small struct with `load` and `forward`.

use super::architecture::{Activation, Architecture, Rotary};
use super::error::Result;
use super::ops;
use super::weights::{Checkpoint, LayerRole, MatrixPart, Residence, Role, Weight};
use candle_core::{Device, Tensor};

/// What the parts are loaded with.
pub(super) struct Loader<'a> {
    pub(super) checkpoint: &'a Checkpoint,
    pub(super) architecture: &'a Architecture,
    pub(super) residence: Residence,
    pub(super) device: &'a Device,
}

impl Loader<'_> {
    /// One matrix from the rows of several tensors.
    fn matrix(&self, parts: &[MatrixPart], columns: usize) -> Result<Weight> {
        self.checkpoint.matrix(parts, columns, self.residence, self.device)
    }

    fn bias(&self, role: Role, len: usize) -> Result<Option<Tensor>> {
        self.checkpoint.vector(role, len, self.device)
    }
}

/// A root-mean-square norm.
pub(super) struct RmsNorm {
    weight: Tensor,
    epsilon: f64,
}

impl RmsNorm {
    pub(super) fn load(loader: &Loader, role: Role, width: usize) -> Result<Self> {
        Ok(Self {
            weight: loader.checkpoint.required_vector(role, width, loader.device)?,
            epsilon: loader.architecture.norm_epsilon,
        })
    }

    /// `x / sqrt(mean(x²) + epsilon) · weight` along the last dimension.
    pub(super) fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        ops::rms_norm(x, &self.weight, self.epsilon)
    }
}

/// Cosines and sines of a rotary position encoding, `(positions, head_dim / 2)`.
pub(super) struct RotaryTable {
    cos: Tensor,
    sin: Tensor,
}

impl RotaryTable {
    /// The table of the first `positions` positions.
    pub(super) fn new(
        rotary: &Rotary,
        head_dim: usize,
        positions: usize,
        device: &Device,
    ) -> candle_core::Result<Self> {
        let frequencies = rotary.frequencies(head_dim);
        let table = |f: fn(f64) -> f64| {
            let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32));
            Tensor::from_iter(angles, device)?.reshape((positions, frequencies.len()))
        };
        Ok(Self {
            cos: table(f64::cos)?,
            sin: table(f64::sin)?,
        })
    }

    /// The positions of `rows` rows of tokens, one row after another. Each row is `(past, tokens)`: its first token has
    /// the position `past`.
    pub(super) fn at(&self, rows: &[(usize, usize)]) -> candle_core::Result<Self> {
        if let &[(past, tokens)] = rows {
            return Ok(Self {
                cos: self.cos.narrow(0, past, tokens)?,
                sin: self.sin.narrow(0, past, tokens)?,
            });
        }
        let positions: Vec<u32> = rows
            .iter()
            .flat_map(|&(past, tokens)| (past..past + tokens).map(|position| position as u32))
            .collect();
        let positions = Tensor::new(positions, self.cos.device())?;
        Ok(Self {
            cos: self.cos.index_select(&positions, 0)?,
            sin: self.sin.index_select(&positions, 0)?,
        })
    }

    /// Rotates the heads `(tokens, heads, head_dim)` of tokens at the positions of the table.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        ops::rotate(x, &self.cos, &self.sin)
    }
}

/// The attention block, with its projections.
struct Attention {
    /// Query, key and value projections, one below the other.
    qkv: Weight,
    qkv_bias: Option<Tensor>,
    query_norm: Option<RmsNorm>,
    key_norm: Option<RmsNorm>,
    output: Weight,
    output_bias: Option<Tensor>,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    /// Index of the position encoding; none for a layer without positions.
    rotary: Option<usize>,
}

impl Attention {
    fn load(loader: &Loader, layer: usize) -> Result<Self> {
        let &Architecture {
            hidden,
            heads,
            kv_heads,
            head_dim,
            head_norms,
            interleaved_rows,
            ..
        } = loader.architecture;
        let role = |part| Role::Layer(layer, part);
        let interleaved_heads = |heads| if interleaved_rows { heads } else { 0 };
        let projection = |part, heads| MatrixPart {
            role: role(part),
            rows: heads * head_dim,
            interleaved_heads: interleaved_heads(heads),
        };
        let qkv = [
            projection(LayerRole::Query, heads),
            projection(LayerRole::Key, kv_heads),
            MatrixPart::plain(role(LayerRole::Value), kv_heads * head_dim),
        ];
        let biases = (
            loader.bias(role(LayerRole::QueryBias), heads * head_dim)?,
            loader.bias(role(LayerRole::KeyBias), kv_heads * head_dim)?,
            loader.bias(role(LayerRole::ValueBias), kv_heads * head_dim)?,
        );
        let missing = |part| Err(loader.checkpoint.missing(role(part)));
        let qkv_bias = match biases {
            (Some(q), Some(k), Some(v)) => Some(Tensor::cat(&[q, k, v], 0)?),
            (None, None, None) => None,
            (None, ..) => return missing(LayerRole::QueryBias),
            (_, None, _) => return missing(LayerRole::KeyBias),
            _ => return missing(LayerRole::ValueBias),
        };
        let head_norm = |part| {
            head_norms
                .then(|| RmsNorm::load(loader, role(part), head_dim))
                .transpose()
        };
        let output = [MatrixPart::plain(role(LayerRole::Output), hidden)];
        Ok(Self {
            qkv: loader.matrix(&qkv, hidden)?,
            qkv_bias,
            query_norm: head_norm(LayerRole::QueryNorm)?,
            key_norm: head_norm(LayerRole::KeyNorm)?,
            output: loader.matrix(&output, heads * head_dim)?,
            output_bias: loader.bias(role(LayerRole::OutputBias), hidden)?,
            heads,
            kv_heads,
            head_dim,
            rotary: loader.architecture.layers[layer].rotary,
        })
    }

    /// `x` is `(tokens, hidden)`, and so is the result. `attend` mixes the values: it gets queries
    /// `(tokens, heads, head_dim)`, and keys and values `(tokens, kv_heads, head_dim)`.
    fn forward(
        &self,
        x: &Tensor,
        rotary: &[RotaryTable],
        attend: impl FnOnce(Tensor, Tensor, Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        let qkv = add_bias(self.qkv.forward(x)?, self.qkv_bias.as_ref())?;
        let part = |start: usize, heads: usize| {
            qkv.narrow(1, start * self.head_dim, heads * self.head_dim)?
                .reshape((tokens, heads, self.head_dim))
        };
        let mut q = part(0, self.heads)?;
        let mut k = part(self.heads, self.kv_heads)?;
        let v = part(self.heads + self.kv_heads, self.kv_heads)?;
        q = norm_if_any(q, self.query_norm.as_ref())?;
        k = norm_if_any(k, self.key_norm.as_ref())?;
        if let Some(index) = self.rotary {
            q = rotary[index].forward(&q)?;
            k = rotary[index].forward(&k)?;
        }
        let mixed = attend(q, k, v)?.reshape((tokens, self.heads * self.head_dim))?;
        add_bias(self.output.forward(&mixed)?, self.output_bias.as_ref())
    }
}

/// The gated feed-forward block.
struct FeedForward {
    /// Gate and up projections, one below the other.
    gate_up: Weight,
    down: Weight,
    activation: Activation,
}

impl FeedForward {
    fn load(loader: &Loader, layer: usize) -> Result<Self> {
        let &Architecture {
            hidden,
            intermediate,
            activation,
            ..
        } = loader.architecture;
        let role = |part| Role::Layer(layer, part);
        let gate_up = [
            MatrixPart::plain(role(LayerRole::Gate), intermediate),
            MatrixPart::plain(role(LayerRole::Up), intermediate),
        ];
        let down = [MatrixPart::plain(role(LayerRole::Down), hidden)];
        Ok(Self {
            gate_up: loader.matrix(&gate_up, hidden)?,
            down: loader.matrix(&down, intermediate)?,
            activation,
        })
    }

    /// `down(activation(gate(x))·up(x))` of `(tokens, hidden)`.
    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let gate_up = self.gate_up.forward(x)?;
        self.down.forward(&ops::gate(&gate_up, self.activation)?)
    }
}

/// A layer: attention, then the feed-forward block, each with norms and a residual connection.
pub(super) struct Layer {
    attention_norm: RmsNorm,
    attention: Attention,
    post_attention_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    feed_forward: FeedForward,
    post_feed_forward_norm: Option<RmsNorm>,
}

impl Layer {
    pub(super) fn load(loader: &Loader, layer: usize) -> Result<Self> {
        let norm = |part| RmsNorm::load(loader, Role::Layer(layer, part), loader.architecture.hidden);
        let post_norm = |part| loader.architecture.sandwich_norms.then(|| norm(part)).transpose();
        Ok(Self {
            attention_norm: norm(LayerRole::AttentionNorm)?,
            attention: Attention::load(loader, layer)?,
            post_attention_norm: post_norm(LayerRole::PostAttentionNorm)?,
            feed_forward_norm: norm(LayerRole::FeedForwardNorm)?,
            feed_forward: FeedForward::load(loader, layer)?,
            post_feed_forward_norm: post_norm(LayerRole::PostFeedForwardNorm)?,
        })
    }

    /// `x` is the residual stream `(tokens, hidden)`, and so is the result. `rotary` has one table for each position
    /// encoding of the model; `attend` is as in [`Attention::forward`].
    pub(super) fn forward(
        &self,
        x: Tensor,
        rotary: &[RotaryTable],
        attend: impl FnOnce(Tensor, Tensor, Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let attended = self
            .attention
            .forward(&self.attention_norm.forward(&x)?, rotary, attend)?;
        let x = (x + norm_if_any(attended, self.post_attention_norm.as_ref())?)?;
        let fed = self.feed_forward.forward(&self.feed_forward_norm.forward(&x)?)?;
        x + norm_if_any(fed, self.post_feed_forward_norm.as_ref())?
    }
}

fn add_bias(x: Tensor, bias: Option<&Tensor>) -> candle_core::Result<Tensor> {
    match bias {
        Some(bias) => x.broadcast_add(bias),
        None => Ok(x),
    }
}

fn norm_if_any(x: Tensor, norm: Option<&RmsNorm>) -> candle_core::Result<Tensor> {
    match norm {
        Some(norm) => norm.forward(&x),
        None => Ok(x),
    }
}
