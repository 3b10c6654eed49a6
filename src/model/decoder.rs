//! One decoder for every covered architecture.
//!
//! The forward pass stops at the last norm. Logits are `hidden·headᵀ`, and the caller multiplies by a tile of the
//! head at a time: a document's logits never exist as `(tokens, vocab)`.

use super::architecture::{Architecture, RotaryScaling};
use super::error::{ModelError, Result};
use super::ops;
use super::weights::{Checkpoint, LayerRole, MatrixPart, Residence, Role, Weight};
use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

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

/// Keys and values of the tokens seen so far, a sequence a row. Rows may hold different numbers of tokens, and one
/// may be replaced or taken out while the others go on.
#[derive(Default)]
pub struct KvCache {
    /// Keys and values layer by layer, each `(room for rows, room for tokens, kv_heads, head_dim)`; row b's tokens are
    /// the first `lengths[b]`, and what lies behind them means nothing.
    layers: Vec<(Tensor, Tensor)>,
    lengths: Vec<usize>,
    room: (usize, usize),
}

impl KvCache {
    /// A cache that grows no further before it holds so many rows of so many tokens.
    pub fn with_room(rows: usize, tokens: usize) -> Self {
        Self {
            room: (rows, tokens),
            ..Self::default()
        }
    }

    /// The number of tokens held of each row.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Puts the only row of `other` at `row`, or behind the last row.
    ///
    /// # Errors
    /// When `other` has not one row, there is no such place, or the tensor library fails.
    pub fn set_row(&mut self, row: usize, other: &KvCache) -> Result<()> {
        let &[tokens] = other.lengths.as_slice() else {
            return Err(refused("a row is put into a cache out of a cache of one row"));
        };
        if row > self.lengths.len() {
            return Err(refused("a cache has no gap between its rows"));
        }
        let (_, _, kv_heads, head_dim) = match other.layers.first() {
            Some((keys, _)) => keys.dims4()?,
            None => return Err(refused("a cache without tokens has no row to give")),
        };
        let device = other.layers[0].0.device();
        self.reserve(row + 1, tokens, other.layers.len(), (kv_heads, head_dim), device)?;
        for ((keys, values), (new_keys, new_values)) in self.layers.iter().zip(&other.layers) {
            for (held, new) in [(keys, new_keys), (values, new_values)] {
                put(held, row, 0, &new.narrow(0, 0, 1)?.narrow(1, 0, tokens)?)?;
            }
        }
        match self.lengths.get_mut(row) {
            Some(length) => *length = tokens,
            None => self.lengths.push(tokens),
        }
        Ok(())
    }

    /// Takes a row out; the last row moves to its place.
    ///
    /// # Errors
    /// When there is no such row, or the tensor library fails.
    pub fn swap_remove(&mut self, row: usize) -> Result<()> {
        let Some(last) = self.lengths.len().checked_sub(1).filter(|&last| row <= last) else {
            return Err(refused("a cache gives up only a row that it has"));
        };
        if row != last {
            for tensor in self.layers.iter().flat_map(|(keys, values)| [keys, values]) {
                let moved = tensor.narrow(0, last, 1)?.narrow(1, 0, self.lengths[last])?.copy()?;
                put(tensor, row, 0, &moved)?;
            }
        }
        self.lengths.swap_remove(row);
        Ok(())
    }

    /// Makes room for `rows` rows of `tokens` tokens, and keeps what is held. Room at least doubles, so that the copies
    /// of a growing text stay in proportion to it.
    fn reserve(
        &mut self,
        rows: usize,
        tokens: usize,
        layers: usize,
        (kv_heads, head_dim): (usize, usize),
        device: &Device,
    ) -> Result<()> {
        if self.layers.len() == layers && rows <= self.room.0 && tokens <= self.room.1 {
            return Ok(());
        }
        let grown = |needed: usize, room: usize| if needed > room { needed.max(2 * room) } else { room };
        let room = (grown(rows, self.room.0), grown(tokens, self.room.1));
        let shape = (room.0, room.1, kv_heads, head_dim);
        let held = self.lengths.iter().copied().max().unwrap_or(0);
        let larger = |old: Option<&Tensor>| -> Result<Tensor> {
            let new = Tensor::zeros(shape, DType::F32, device)?;
            if let Some(old) = old.filter(|_| held > 0) {
                for row in 0..self.lengths.len() {
                    put(&new, row, 0, &old.narrow(0, row, 1)?.narrow(1, 0, held)?)?;
                }
            }
            Ok(new)
        };
        self.layers = (0..layers)
            .map(|i| {
                let old = self.layers.get(i);
                Ok((
                    larger(old.map(|(keys, _)| keys))?,
                    larger(old.map(|(_, values)| values))?,
                ))
            })
            .collect::<Result<_>>()?;
        self.room = room;
        Ok(())
    }
}

/// Writes tokens `(1, tokens, kv_heads, head_dim)` into a row of the room of a cache, from `at` on.
fn put(room: &Tensor, row: usize, at: usize, new: &Tensor) -> candle_core::Result<()> {
    let (rows, tokens, kv_heads, head_dim) = room.dims4()?;
    room.reshape((rows * tokens, kv_heads, head_dim))?
        .slice_set(&new.squeeze(0)?.contiguous()?, 0, row * tokens + at)
}

/// The rows of a rotary table for rows of so many tokens, each behind so many others: `(all tokens, head_dim / 2)`.
fn positions(table: &Tensor, rows: &[(usize, usize)]) -> candle_core::Result<Tensor> {
    if let &[(past, tokens)] = rows {
        return table.narrow(0, past, tokens);
    }
    let places: Vec<u32> = rows
        .iter()
        .flat_map(|&(past, tokens)| (past..past + tokens).map(|place| place as u32))
        .collect();
    table.index_select(&Tensor::new(places, table.device())?, 0)
}

/// The `tokens` keys or values that the only row of a cache holds, `(1, tokens, kv_heads, head_dim)`.
fn held(room: &Tensor, tokens: usize) -> candle_core::Result<Tensor> {
    room.narrow(0, 0, 1)?.narrow(1, 0, tokens)
}

fn refused(message: &str) -> ModelError {
    ModelError::Tensor(candle_core::Error::Msg(message.into()))
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

    /// Bytes that drawing takes for one text of so many tokens: its keys and values, and its logits, twice.
    pub fn bytes_of_row(&self, tokens: usize) -> u64 {
        let Architecture { kv_heads, head_dim, .. } = self.architecture;
        let held = 2 * self.layers.len() * kv_heads * head_dim * tokens;
        4 * (held + 2 * self.vocab) as u64
    }

    /// Hidden states after the last norm, `(batch · tokens, hidden)`, of `batch` rows of ids of equal length.
    ///
    /// With a cache, row b of the ids continues row b of the cache, whose rows may differ in length, and the cache is
    /// extended by them. An empty cache takes as many rows as there are.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, the cache has other rows, the window is longer than [`Self::max_window`], or
    /// the tensor library fails.
    pub fn forward(&self, ids: &[u32], batch: usize, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let tokens = ids.len() / batch.max(1);
        let mut past = vec![0; batch];
        if let Some(cache) = cache.as_deref().filter(|cache| !cache.lengths.is_empty()) {
            if cache.lengths.len() != batch {
                return Err(refused("a cache is continued by as many rows as it has"));
            }
            past.clone_from(&cache.lengths);
        }
        let rows: Vec<(usize, usize)> = past.iter().map(|&past| (past, tokens)).collect();
        self.refuse(ids, &rows)?;
        if let Some(cache) = cache.as_deref_mut() {
            let longest = past.iter().max().map_or(0, |past| past + tokens);
            let Architecture { kv_heads, head_dim, .. } = self.architecture;
            cache.reserve(batch, longest, self.layers.len(), (kv_heads, head_dim), &self.device)?;
        }
        let held = cache.as_deref();
        let hidden = self.pass(ids, &rows, |layer, q, k, v| {
            let by_row = |x: Tensor| {
                let (_, heads, head_dim) = x.dims3()?;
                x.reshape((batch, tokens, heads, head_dim))
            };
            let (q, mut k, mut v) = (by_row(q)?, by_row(k)?, by_row(v)?);
            if let Some(cache) = held {
                let (keys, values) = &cache.layers[layer];
                for (room, new) in [(keys, &k), (values, &v)] {
                    for (row, &past) in past.iter().enumerate() {
                        put(room, row, past, &new.narrow(0, row, 1)?)?;
                    }
                }
                (k, v) = (keys.clone(), values.clone());
            }
            ops::attention(&q, &k, &v, &self.mask(layer, &past))
        })?;
        if let Some(cache) = cache {
            cache.lengths = past.iter().map(|past| past + tokens).collect();
        }
        Ok(hidden)
    }

    /// Hidden states after the last norm, `(ids, hidden)`, of texts that lie in `ids` one behind the other, of so many
    /// tokens each. None sees another; all follow the one row of `prefix`, which stays as it is.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, the lengths do not add up, the prefix has other than one row, a text is longer
    /// with it than [`Self::max_window`], or the tensor library fails.
    pub fn forward_packed(&self, ids: &[u32], lengths: &[usize], prefix: Option<&KvCache>) -> Result<Tensor> {
        let past = match prefix.map(KvCache::lengths) {
            None => 0,
            Some(&[past]) => past,
            Some(_) => return Err(refused("texts follow a prefix of one row")),
        };
        let rows: Vec<(usize, usize)> = lengths.iter().map(|&tokens| (past, tokens)).collect();
        self.refuse(ids, &rows)?;
        let starts: Vec<usize> = lengths
            .iter()
            .scan(0, |end, tokens| {
                *end += tokens;
                Some(*end - tokens)
            })
            .collect();
        self.pass(ids, &rows, |layer, q, k, v| {
            let mask_past = [past];
            let mask = self.mask(layer, &mask_past);
            let before = prefix.map(|prefix| &prefix.layers[layer]);
            let before = match before {
                None => None,
                Some((keys, values)) => Some((held(keys, past)?, held(values, past)?)),
            };
            let attend = |(&start, &tokens): (&usize, &usize)| {
                let own = |x: &Tensor| x.narrow(0, start, tokens)?.unsqueeze(0);
                let (q, mut k, mut v) = (own(&q)?, own(&k)?, own(&v)?);
                if let Some((keys, values)) = &before {
                    (k, v) = (Tensor::cat(&[keys, &k], 1)?, Tensor::cat(&[values, &v], 1)?);
                }
                ops::attention(&q, &k, &v, &mask)?.squeeze(0)
            };
            let mixed: Vec<Tensor> = starts
                .par_iter()
                .zip(lengths)
                .map(attend)
                .collect::<candle_core::Result<_>>()?;
            Tensor::cat(&mixed, 0)
        })
    }

    /// Refuses ids that are no rows of these lengths, or that the model cannot see.
    fn refuse(&self, ids: &[u32], rows: &[(usize, usize)]) -> Result<()> {
        let tokens: usize = rows.iter().map(|(_, tokens)| tokens).sum();
        let unknown = ids.iter().any(|&id| id as usize >= self.vocab);
        if unknown || tokens != ids.len() || rows.is_empty() || rows.iter().any(|&(_, tokens)| tokens == 0) {
            return Err(refused("token ids do not fit the model"));
        }
        let longest = rows.iter().map(|(past, tokens)| past + tokens).max().unwrap_or(0);
        match longest > self.max_window() {
            true => Err(refused(&format!(
                "{longest} tokens exceed the model's {}",
                self.max_window()
            ))),
            false => Ok(()),
        }
    }

    /// The layers over rows of tokens, one behind the other, of `(past, tokens)` each. `mix` is the attention of a
    /// layer: of queries `(ids, heads, head_dim)` and keys and values `(ids, kv_heads, head_dim)`, whatever shape it
    /// returns.
    fn pass(
        &self,
        ids: &[u32],
        rows: &[(usize, usize)],
        mix: impl Fn(usize, Tensor, Tensor, Tensor) -> candle_core::Result<Tensor>,
    ) -> Result<Tensor> {
        let rotary = self
            .rotary
            .iter()
            .map(|(cos, sin)| Ok((positions(cos, rows)?, positions(sin, rows)?)))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let mut x = self.embedding.select(ids, &self.device)?;
        if let Some(scale) = self.architecture.embedding_scale {
            x = (x * scale)?;
        }
        let epsilon = self.architecture.norm_epsilon;
        for (i, layer) in self.layers.iter().enumerate() {
            let normed = ops::rms_norm(&x, &layer.attention_norm, epsilon)?;
            let mut attended = self.attend(i, &normed, &rotary, &mix)?;
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
        Ok(ops::rms_norm(&x, &self.final_norm, epsilon)?)
    }

    /// The attention block of layer `index`, with its projections.
    fn attend(
        &self,
        index: usize,
        x: &Tensor,
        rotary: &[(Tensor, Tensor)],
        mix: impl Fn(usize, Tensor, Tensor, Tensor) -> candle_core::Result<Tensor>,
    ) -> candle_core::Result<Tensor> {
        let tokens = x.dim(0)?;
        let Architecture {
            heads,
            kv_heads,
            head_dim,
            norm_epsilon,
            ..
        } = self.architecture;
        let attention = &self.layers[index].attention;
        let mut qkv = attention.qkv.forward(x)?;
        if let Some(bias) = &attention.qkv_bias {
            qkv = qkv.broadcast_add(bias)?;
        }
        let part = |start: usize, n: usize| {
            qkv.narrow(1, start * head_dim, n * head_dim)?
                .reshape((tokens, n, head_dim))
        };
        let (mut q, mut k) = (part(0, heads)?, part(heads, kv_heads)?);
        let v = part(heads + kv_heads, kv_heads)?;
        if let Some(norm) = &attention.query_norm {
            q = ops::rms_norm(&q, norm, norm_epsilon)?;
        }
        if let Some(norm) = &attention.key_norm {
            k = ops::rms_norm(&k, norm, norm_epsilon)?;
        }
        if let Some(rotary_kind) = self.architecture.layers[index].rotary {
            let (cos, sin) = &rotary[rotary_kind];
            q = ops::rotate(&q, cos, sin)?;
            k = ops::rotate(&k, cos, sin)?;
        }
        let mixed = mix(index, q, k, v)?.reshape((tokens, heads * head_dim))?;
        let out = attention.output.forward(&mixed)?;
        match &attention.output_bias {
            Some(bias) => out.broadcast_add(bias),
            None => Ok(out),
        }
    }

    /// What the queries of a layer see that follow so many keys, row by row.
    fn mask<'a>(&self, layer: usize, past: &'a [usize]) -> ops::Mask<'a> {
        ops::Mask {
            past,
            window: self.architecture.layers[layer].window,
            scale: self.architecture.attention_scale,
            softcap: self.architecture.attention_softcap,
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
