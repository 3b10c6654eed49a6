//! One decoder for every covered architecture.
//!
//! The forward pass stops at the last norm. Logits are `hidden·headᵀ`, and the caller multiplies by a tile of the
//! head at a time: a document's logits never exist as `(tokens, vocab)`.

use super::architecture::{Architecture, RotaryScaling};
use super::error::{ModelError, Result};
use super::ops;
use super::weights::{Checkpoint, LayerRole, MatrixPart, Residence, Role, Weight};
use candle_core::{D, Device, Tensor};

/// Positions for which rotary tables are made: the longest window that a forward pass may have.
pub const MAX_POSITIONS: usize = 8192;

/// The attention block.
struct Attention {
    /// Query, key and value projections, one below the other.
    qkv: Weight,
    qkv_bias: Option<Tensor>,
    query_norm: Option<Tensor>,
    key_norm: Option<Tensor>,
    output: Weight,
    output_bias: Option<Tensor>,
}

/// The gated feed-forward block.
struct FeedForward {
    /// Gate and up projections, one below the other.
    gate_up: Weight,
    down: Weight,
}

struct Layer {
    attention_norm: Tensor,
    attention: Attention,
    post_attention_norm: Option<Tensor>,
    feed_forward_norm: Tensor,
    feed_forward: FeedForward,
    post_feed_forward_norm: Option<Tensor>,
}

/// Keys and values of the tokens seen so far, layer by layer, each `(batch, tokens, kv_heads, head_dim)`.
#[derive(Clone, Default)]
pub struct KvCache {
    layers: Vec<Option<(Tensor, Tensor)>>,
    tokens: usize,
}

impl KvCache {
    /// The number of tokens held.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}

/// A loaded model without its tokeniser.
pub struct Decoder {
    architecture: Architecture,
    embedding: Weight,
    /// The output projection, where it is not the embeddings.
    head: Option<Weight>,
    layers: Vec<Layer>,
    final_norm: Tensor,
    /// Cosines and sines of every position encoding, `(positions, head_dim / 2)`.
    rotary: Vec<(Tensor, Tensor)>,
    vocab: usize,
    device: Device,
}

impl Decoder {
    /// Loads the weights of a checkpoint onto a device.
    ///
    /// # Errors
    /// When a tensor is missing, of another shape than the description promises, or cannot be read.
    pub fn load(
        checkpoint: &Checkpoint,
        mut architecture: Architecture,
        residence: Residence,
        device: &Device,
    ) -> Result<Self> {
        let Architecture {
            hidden,
            intermediate,
            heads,
            kv_heads,
            head_dim,
            ..
        } = architecture;
        if let Some(factors) = checkpoint.vector(Role::RotaryFactors, head_dim / 2, &Device::Cpu)? {
            let factors = factors.to_vec1::<f32>()?.into_iter().map(f64::from).collect();
            architecture.rotary[0].scaling = RotaryScaling::Factors(factors);
        }
        let vocab = checkpoint
            .dims(Role::Embedding)?
            .and_then(|dims| dims.first().copied())
            .unwrap_or(0);
        if vocab == 0 {
            return Err(checkpoint.missing(Role::Embedding));
        }
        let matrix = |parts: &[MatrixPart], columns| checkpoint.matrix(parts, columns, residence, device);
        let interleaved = |n: usize| if architecture.interleaved_rows { n } else { 0 };
        let layer = |i: usize| -> Result<Layer> {
            let role = |part| Role::Layer(i, part);
            let norm = |part| checkpoint.required_vector(role(part), hidden, device);
            let bias = |part, len| checkpoint.vector(role(part), len, device);
            let sandwich = |part| architecture.sandwich_norms.then(|| norm(part)).transpose();
            let head_norm = |part| {
                architecture
                    .head_norms
                    .then(|| checkpoint.required_vector(role(part), head_dim, device))
                    .transpose()
            };
            let qkv = [
                MatrixPart {
                    role: role(LayerRole::Query),
                    rows: heads * head_dim,
                    interleaved_heads: interleaved(heads),
                },
                MatrixPart {
                    role: role(LayerRole::Key),
                    rows: kv_heads * head_dim,
                    interleaved_heads: interleaved(kv_heads),
                },
                MatrixPart::plain(role(LayerRole::Value), kv_heads * head_dim),
            ];
            let biases = (
                bias(LayerRole::QueryBias, heads * head_dim)?,
                bias(LayerRole::KeyBias, kv_heads * head_dim)?,
                bias(LayerRole::ValueBias, kv_heads * head_dim)?,
            );
            let qkv_bias = match biases {
                (Some(q), Some(k), Some(v)) => Some(Tensor::cat(&[q, k, v], 0)?),
                (None, None, None) => None,
                (None, ..) => return Err(checkpoint.missing(role(LayerRole::QueryBias))),
                (_, None, _) => return Err(checkpoint.missing(role(LayerRole::KeyBias))),
                _ => return Err(checkpoint.missing(role(LayerRole::ValueBias))),
            };
            let gate_up = [
                MatrixPart::plain(role(LayerRole::Gate), intermediate),
                MatrixPart::plain(role(LayerRole::Up), intermediate),
            ];
            Ok(Layer {
                attention_norm: norm(LayerRole::AttentionNorm)?,
                attention: Attention {
                    qkv: matrix(&qkv, hidden)?,
                    qkv_bias,
                    query_norm: head_norm(LayerRole::QueryNorm)?,
                    key_norm: head_norm(LayerRole::KeyNorm)?,
                    output: matrix(&[MatrixPart::plain(role(LayerRole::Output), hidden)], heads * head_dim)?,
                    output_bias: bias(LayerRole::OutputBias, hidden)?,
                },
                post_attention_norm: sandwich(LayerRole::PostAttentionNorm)?,
                feed_forward_norm: norm(LayerRole::FeedForwardNorm)?,
                feed_forward: FeedForward {
                    gate_up: matrix(&gate_up, hidden)?,
                    down: matrix(&[MatrixPart::plain(role(LayerRole::Down), hidden)], intermediate)?,
                },
                post_feed_forward_norm: sandwich(LayerRole::PostFeedForwardNorm)?,
            })
        };
        let layers = (0..architecture.layers.len()).map(layer).collect::<Result<Vec<_>>>()?;
        // The head's rows are needed in memory one tile at a time. Where they unpack faster than they multiply, keeping
        // them packed costs no time, and saves the longest step of loading and half the memory of a small model.
        // Embeddings that are not the head are looked up, not multiplied.
        let vocabulary = |role, looked_up: bool| {
            let packed = looked_up || checkpoint.unpacks_fast(role);
            let residence = if packed { Residence::Packed } else { residence };
            checkpoint.matrix(&[MatrixPart::plain(role, vocab)], hidden, residence, device)
        };
        let head = match checkpoint.has(Role::Head)? {
            true => Some(vocabulary(Role::Head, false)?),
            false => None,
        };
        let positions = architecture.context_length.min(MAX_POSITIONS);
        let rotary = architecture
            .rotary
            .iter()
            .map(|rotary| {
                let frequencies = rotary.frequencies(head_dim);
                let table = |f: fn(f64) -> f64| {
                    let angles = (0..positions).flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32));
                    Tensor::from_iter(angles, device)?.reshape((positions, frequencies.len()))
                };
                Ok((table(f64::cos)?, table(f64::sin)?))
            })
            .collect::<candle_core::Result<_>>()?;
        Ok(Self {
            embedding: vocabulary(Role::Embedding, head.is_some())?,
            head,
            layers,
            final_norm: checkpoint.required_vector(Role::FinalNorm, hidden, device)?,
            rotary,
            vocab,
            device: device.clone(),
            architecture,
        })
    }

    /// What the model looks like.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The number of symbols K.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The output projection `(vocab, hidden)`.
    pub fn head(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// The longest window that one pass may have, tokens.
    pub fn max_window(&self) -> usize {
        self.architecture.context_length.min(MAX_POSITIONS)
    }

    /// Hidden states after the last norm, `(batch · tokens, hidden)`, of `batch` rows of ids of equal length.
    ///
    /// With a cache, the ids continue the tokens that it holds, and it is extended by them.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, the window is longer than [`Self::max_window`], or the tensor library fails.
    pub fn forward(&self, ids: &[u32], batch: usize, cache: Option<&mut KvCache>) -> Result<Tensor> {
        let tokens = ids.len() / batch.max(1);
        let mut scratch = KvCache::default();
        let keep = cache.is_some();
        let cache = cache.unwrap_or(&mut scratch);
        let past = cache.tokens;
        if ids.iter().any(|&id| id as usize >= self.vocab) || ids.len() != tokens * batch || tokens == 0 {
            return Err(ModelError::Tensor(candle_core::Error::Msg(
                "token ids do not fit the model".into(),
            )));
        }
        if past + tokens > self.max_window() {
            let message = format!("{} tokens exceed the model's {}", past + tokens, self.max_window());
            return Err(ModelError::Tensor(candle_core::Error::Msg(message)));
        }
        cache.layers.resize_with(self.layers.len(), || None);
        let mut x = self.embedding.select(ids, &self.device)?;
        if let Some(scale) = self.architecture.embedding_scale {
            x = (x * scale)?;
        }
        let epsilon = self.architecture.norm_epsilon;
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = ops::rms_norm(&x, &layer.attention_norm, epsilon)?;
            let mut attended = self.attend(i, &normed, batch, tokens, past, &mut cache.layers[i], keep)?;
            if let Some(norm) = &layer.post_attention_norm {
                attended = ops::rms_norm(&attended, norm, epsilon)?;
            }
            x = (x + attended)?;
            let normed = ops::rms_norm(&x, &layer.feed_forward_norm, epsilon)?;
            let gate_up = layer.feed_forward.gate_up.forward(&normed)?;
            let gated = ops::gate(&gate_up, self.architecture.activation)?;
            let mut fed = layer.feed_forward.down.forward(&gated)?;
            if let Some(norm) = &layer.post_feed_forward_norm {
                fed = ops::rms_norm(&fed, norm, epsilon)?;
            }
            x = (x + fed)?;
        }
        cache.tokens += tokens;
        Ok(ops::rms_norm(&x, &self.final_norm, epsilon)?)
    }

    #[allow(clippy::too_many_arguments)]
    fn attend(
        &self,
        index: usize,
        x: &Tensor,
        batch: usize,
        tokens: usize,
        past: usize,
        cache: &mut Option<(Tensor, Tensor)>,
        keep: bool,
    ) -> candle_core::Result<Tensor> {
        let Architecture {
            heads,
            kv_heads,
            head_dim,
            norm_epsilon,
            ..
        } = self.architecture;
        let attention = &self.layers[index].attention;
        let kind = self.architecture.layers[index];
        let mut qkv = attention.qkv.forward(x)?;
        if let Some(bias) = &attention.qkv_bias {
            qkv = qkv.broadcast_add(bias)?;
        }
        let part = |start: usize, n: usize| {
            qkv.narrow(1, start * head_dim, n * head_dim)?
                .reshape((batch, tokens, n, head_dim))
        };
        let (mut q, mut k) = (part(0, heads)?, part(heads, kv_heads)?);
        let mut v = part(heads + kv_heads, kv_heads)?;
        if let Some(norm) = &attention.query_norm {
            q = ops::rms_norm(&q, norm, norm_epsilon)?;
        }
        if let Some(norm) = &attention.key_norm {
            k = ops::rms_norm(&k, norm, norm_epsilon)?;
        }
        if let Some(rotary) = kind.rotary {
            let (cos, sin) = &self.rotary[rotary];
            let (cos, sin) = (cos.narrow(0, past, tokens)?, sin.narrow(0, past, tokens)?);
            q = ops::rotate(&q, &cos, &sin)?;
            k = ops::rotate(&k, &cos, &sin)?;
        }
        if let Some((old_k, old_v)) = cache.as_ref() {
            k = Tensor::cat(&[old_k, &k], 1)?;
            v = Tensor::cat(&[old_v, &v], 1)?;
        }
        if keep {
            *cache = Some((k.contiguous()?, v.contiguous()?));
        }
        let mask = ops::Mask {
            past,
            window: kind.window,
            scale: self.architecture.attention_scale,
            softcap: self.architecture.attention_softcap,
        };
        let mixed = ops::attention(&q, &k, &v, &mask)?.reshape((batch * tokens, heads * head_dim))?;
        let out = attention.output.forward(&mixed)?;
        match &attention.output_bias {
            Some(bias) => out.broadcast_add(bias),
            None => Ok(out),
        }
    }

    /// Logits `(rows, vocab)` of hidden states `(rows, hidden)`: for sampling, where a row is a sequence.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.cap(self.head().forward(hidden)?)?)
    }

    /// Applies the cap on logits, where the model has one.
    pub fn cap(&self, logits: Tensor) -> candle_core::Result<Tensor> {
        match self.architecture.final_softcap {
            Some(cap) => (logits / cap)?.tanh()? * cap,
            None => Ok(logits),
        }
    }

    /// Hidden states of the last token of each sequence, `(batch, hidden)`, out of [`Self::forward`]'s.
    pub fn last(&self, hidden: &Tensor, batch: usize) -> Result<Tensor> {
        let width = hidden.dim(D::Minus1)?;
        let tokens = hidden.dim(0)? / batch.max(1);
        Ok(hidden
            .reshape((batch, tokens, width))?
            .narrow(1, tokens - 1, 1)?
            .squeeze(1)?)
    }
}
