//! One decoder for every covered architecture: embedding, layers, last norm, head.
//!
//! The forward pass stops at the last norm. Logits are `hidden·headᵀ`, and the caller multiplies by one tile of the
//! head at a time. So the logits of a document never exist as `(tokens, vocab)`.

use super::architecture::{Architecture, RotaryScaling};
use super::error::{ModelError, Result};
pub use super::kv_cache::KvCache;
use super::layer::{Layer, Loader, RmsNorm, RotaryTable};
use super::ops;
use super::weights::{Checkpoint, MatrixPart, Residence, Role, Weight};
use candle_core::{D, Device, Tensor};
use rayon::prelude::*;

/// The longest window of a forward pass: rotary tables have this many positions.
pub const MAX_POSITIONS: usize = 8192;

/// A loaded model without its tokeniser.
pub struct Decoder {
    architecture: Architecture,
    embedding: Weight,
    layers: Vec<Layer>,
    final_norm: RmsNorm,
    /// The output projection, if it is not the embedding.
    head: Option<Weight>,
    /// One table for each position encoding.
    rotary: Vec<RotaryTable>,
    vocab: usize,
    device: Device,
}

impl Decoder {
    /// Loads the weights of a checkpoint onto a device.
    ///
    /// # Errors
    /// When a tensor is missing, has another shape than the description says, or cannot be read.
    pub fn load(
        checkpoint: &Checkpoint,
        mut architecture: Architecture,
        residence: Residence,
        device: &Device,
    ) -> Result<Self> {
        let Architecture { hidden, head_dim, .. } = architecture;
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
        let loader = Loader {
            checkpoint,
            architecture: &architecture,
            residence,
            device,
        };
        let layers = (0..architecture.layers.len())
            .map(|layer| Layer::load(&loader, layer))
            .collect::<Result<_>>()?;
        // The head's rows are needed as f32 only one tile at a time. If they unpack faster than they multiply, keeping
        // them packed costs no time. It saves the longest step of loading, and half the memory of a small model. An
        // embedding that is not the head is only looked up, and never multiplied.
        let vocabulary = |role, looked_up: bool| {
            let packed = looked_up || checkpoint.unpacks_fast(role);
            let residence = if packed { Residence::Packed } else { residence };
            checkpoint.matrix(&[MatrixPart::plain(role, vocab)], hidden, residence, device)
        };
        let head = if architecture.tied_head {
            None
        } else if checkpoint.has(Role::Head)? {
            Some(vocabulary(Role::Head, false)?)
        } else {
            return Err(checkpoint.without_head());
        };
        let positions = architecture.context_length.min(MAX_POSITIONS);
        let rotary = architecture
            .rotary
            .iter()
            .map(|rotary| RotaryTable::new(rotary, head_dim, positions, device))
            .collect::<candle_core::Result<_>>()?;
        Ok(Self {
            embedding: vocabulary(Role::Embedding, head.is_some())?,
            layers,
            final_norm: RmsNorm::load(&loader, Role::FinalNorm, hidden)?,
            head,
            rotary,
            vocab,
            device: device.clone(),
            architecture,
        })
    }

    /// The description of the model.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The number of symbols K.
    pub fn vocab(&self) -> usize {
        self.vocab
    }

    /// The device of the weights.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The output projection `(vocab, hidden)`.
    pub fn head(&self) -> &Weight {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// The longest window of a forward pass, in tokens.
    pub fn max_window(&self) -> usize {
        self.architecture.context_length.min(MAX_POSITIONS)
    }

    /// Bytes that generation takes for one text of `tokens` tokens: its keys and values, and twice its logits.
    pub fn bytes_of_row(&self, tokens: usize) -> u64 {
        let Architecture { kv_heads, head_dim, .. } = self.architecture;
        let held = 2 * self.layers.len() * kv_heads * head_dim * tokens;
        4 * (held + 2 * self.vocab) as u64
    }

    /// Hidden states after the last norm, `(batch · tokens, hidden)`, of `batch` rows of ids of equal length.
    ///
    /// With a cache, row b of the ids continues row b of the cache and is added to it. The rows of the cache may differ
    /// in length. An empty cache takes any number of rows.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, the cache has another number of rows, the window is longer than
    /// [`Self::max_window`], or the tensor library fails.
    pub fn forward(&self, ids: &[u32], batch: usize, mut cache: Option<&mut KvCache>) -> Result<Tensor> {
        let tokens = ids.len() / batch.max(1);
        let mut past = vec![0; batch];
        if let Some(cache) = cache.as_deref().filter(|cache| !cache.lengths().is_empty()) {
            if cache.lengths().len() != batch {
                return Err(ModelError::computation(
                    "a cache can only be continued by as many rows as it has",
                ));
            }
            past.copy_from_slice(cache.lengths());
        }
        let rows: Vec<(usize, usize)> = past.iter().map(|&past| (past, tokens)).collect();
        self.check(ids, &rows)?;
        if let Some(cache) = cache.as_deref_mut() {
            let longest = past.iter().max().map_or(0, |past| past + tokens);
            let Architecture { kv_heads, head_dim, .. } = self.architecture;
            cache.reserve(batch, longest, self.layers.len(), (kv_heads, head_dim), &self.device)?;
        }
        let held = cache.as_deref();
        let attend = |layer, q, k, v| {
            let by_row = |x: Tensor| {
                let (_, heads, head_dim) = x.dims3()?;
                x.reshape((batch, tokens, heads, head_dim))
            };
            let (q, mut k, mut v) = (by_row(q)?, by_row(k)?, by_row(v)?);
            if let Some(cache) = held {
                (k, v) = cache.append(layer, &k, &v, &past)?;
            }
            ops::attention(&q, &k, &v, &self.mask(layer, &past))
        };
        let hidden = self.pass(ids, &rows, attend, |_, _| Ok(()))?;
        if let Some(cache) = cache {
            cache.set_lengths(past.iter().map(|past| past + tokens).collect());
        }
        Ok(hidden)
    }

    /// Hidden states after the last norm, `(ids, hidden)`, of several texts. `ids` contains the texts one after
    /// another, and `lengths` has the number of tokens of each. No text attends to another. All follow the only row of
    /// `prefix`, which does not change. `show` gets the residual stream `(ids, hidden)` after each layer, with the number of
    /// layers so far.
    ///
    /// # Errors
    /// When an id is not in the vocabulary, the lengths do not add up, the prefix does not have exactly one row, a text
    /// with its prefix is longer than [`Self::max_window`], or the tensor library fails.
    pub fn forward_packed(
        &self,
        ids: &[u32],
        lengths: &[usize],
        prefix: Option<&KvCache>,
        show: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let past = match prefix.map(KvCache::lengths) {
            None => 0,
            Some(&[past]) => past,
            Some(_) => return Err(ModelError::computation("the prefix of texts must have one row")),
        };
        let rows: Vec<(usize, usize)> = lengths.iter().map(|&tokens| (past, tokens)).collect();
        self.check(ids, &rows)?;
        let starts: Vec<usize> = lengths
            .iter()
            .scan(0, |end, tokens| {
                *end += tokens;
                Some(*end - tokens)
            })
            .collect();
        let attend = |layer, q: Tensor, k: Tensor, v: Tensor| {
            let mask_past = [past];
            let mask = self.mask(layer, &mask_past);
            let before = prefix.map(|prefix| prefix.first_row(layer, past)).transpose()?;
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
        };
        self.pass(ids, &rows, attend, show)
    }

    /// Refuses ids outside the vocabulary, lengths that do not add up, and rows that are longer than the window.
    fn check(&self, ids: &[u32], rows: &[(usize, usize)]) -> Result<()> {
        let tokens: usize = rows.iter().map(|(_, tokens)| tokens).sum();
        let unknown = ids.iter().any(|&id| id as usize >= self.vocab);
        if unknown || tokens != ids.len() || rows.is_empty() || rows.iter().any(|&(_, tokens)| tokens == 0) {
            return Err(ModelError::computation("the token ids do not fit the model"));
        }
        let longest = rows.iter().map(|(past, tokens)| past + tokens).max().unwrap_or(0);
        if longest > self.max_window() {
            let most = self.max_window();
            return Err(ModelError::computation(&format!(
                "a row of {longest} tokens exceeds the model's window of {most}"
            )));
        }
        Ok(())
    }

    /// The layers over rows of tokens, one row after another, each `(past, tokens)`. `attend` is the attention of the
    /// layer with an index. It gets queries `(ids, heads, head_dim)`, and keys and values `(ids, kv_heads, head_dim)`.
    /// The shape of its result does not matter.
    fn pass(
        &self,
        ids: &[u32],
        rows: &[(usize, usize)],
        attend: impl Fn(usize, Tensor, Tensor, Tensor) -> candle_core::Result<Tensor>,
        mut show: impl FnMut(usize, &Tensor) -> Result<()>,
    ) -> Result<Tensor> {
        let rotary = self
            .rotary
            .iter()
            .map(|table| table.at(rows))
            .collect::<candle_core::Result<Vec<_>>>()?;
        let mut x = self.embedding.select(ids, &self.device)?;
        if let Some(scale) = self.architecture.embedding_scale {
            x = (x * scale)?;
        }
        for (i, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x, &rotary, |q, k, v| attend(i, q, k, v))?;
            show(i + 1, &x)?;
        }
        Ok(self.final_norm.forward(&x)?)
    }

    /// The mask of a layer, for queries after `past[b]` keys in row b.
    fn mask<'a>(&self, layer: usize, past: &'a [usize]) -> ops::Mask<'a> {
        ops::Mask {
            past,
            window: self.architecture.layers[layer].window,
            scale: self.architecture.attention_scale,
            softcap: self.architecture.attention_softcap,
        }
    }

    /// Logits `(rows, vocab)` of hidden states `(rows, hidden)`, for sampling: a row is a sequence.
    pub fn logits(&self, hidden: &Tensor) -> Result<Tensor> {
        Ok(self.cap(self.head().forward(hidden)?)?)
    }

    /// Applies the model's cap on logits, if it has one.
    pub fn cap(&self, logits: Tensor) -> candle_core::Result<Tensor> {
        match self.architecture.final_softcap {
            Some(cap) => (logits / cap)?.tanh()? * cap,
            None => Ok(logits),
        }
    }

    /// The hidden states of the last token of each sequence, `(batch, hidden)`, from the result of [`Self::forward`].
    pub fn last(&self, hidden: &Tensor, batch: usize) -> Result<Tensor> {
        let width = hidden.dim(D::Minus1)?;
        let tokens = hidden.dim(0)? / batch.max(1);
        Ok(hidden
            .reshape((batch, tokens, width))?
            .narrow(1, tokens - 1, 1)?
            .squeeze(1)?)
    }
}
