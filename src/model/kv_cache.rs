//! The keys and values of the tokens that a model has read.

use super::error::{ModelError, Result};
use candle_core::{DType, Device, Tensor};

/// Keys and values of the tokens read so far, one sequence per row. Rows may hold different numbers of tokens. A row
/// can be replaced or removed while the others continue.
#[derive(Default)]
pub struct KvCache {
    /// Keys and values of each layer, `(room for rows, room for tokens, kv_heads, head_dim)`. The tokens of row b are
    /// the first `lengths[b]`; the rest of the room means nothing.
    layers: Vec<(Tensor, Tensor)>,
    lengths: Vec<usize>,
    room: (usize, usize),
}

impl KvCache {
    /// A cache that does not grow before it holds more than `rows` rows or `tokens` tokens in a row.
    pub fn with_room(rows: usize, tokens: usize) -> Self {
        Self {
            room: (rows, tokens),
            ..Self::default()
        }
    }

    /// The number of tokens in each row.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Copies the only row of `other` to `row`, which may be the next new row.
    ///
    /// # Errors
    /// When `other` does not have exactly one row, `row` would leave a gap, or the tensor library fails.
    pub fn set_row(&mut self, row: usize, other: &KvCache) -> Result<()> {
        let &[tokens] = other.lengths.as_slice() else {
            return Err(ModelError::computation(
                "a row can only be copied from a cache with one row",
            ));
        };
        if row > self.lengths.len() {
            return Err(ModelError::computation("a cache has no gap between its rows"));
        }
        let (_, _, kv_heads, head_dim) = match other.layers.first() {
            Some((keys, _)) => keys.dims4()?,
            None => return Err(ModelError::computation("a cache without tokens has no row to copy")),
        };
        let device = other.layers[0].0.device();
        self.reserve(row + 1, tokens, other.layers.len(), (kv_heads, head_dim), device)?;
        for ((keys, values), (new_keys, new_values)) in self.layers.iter().zip(&other.layers) {
            for (room, new) in [(keys, new_keys), (values, new_values)] {
                put(room, row, 0, &new.narrow(0, 0, 1)?.narrow(1, 0, tokens)?)?;
            }
        }
        match self.lengths.get_mut(row) {
            Some(length) => *length = tokens,
            None => self.lengths.push(tokens),
        }
        Ok(())
    }

    /// Removes a row. The last row takes its place.
    ///
    /// # Errors
    /// When the row does not exist, or the tensor library fails.
    pub fn swap_remove(&mut self, row: usize) -> Result<()> {
        let Some(last) = self.lengths.len().checked_sub(1).filter(|&last| row <= last) else {
            return Err(ModelError::computation(
                "only an existing row can be removed from a cache",
            ));
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

    /// Makes room for `rows` rows of `tokens` tokens, and keeps the tokens. Room at least doubles when it grows, so the
    /// cost of copying stays proportional to the length of the text.
    pub(super) fn reserve(
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
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        let larger = |old: Option<&Tensor>| -> Result<Tensor> {
            let new = Tensor::zeros(shape, DType::F32, device)?;
            if let Some(old) = old.filter(|_| longest > 0) {
                for row in 0..self.lengths.len() {
                    put(&new, row, 0, &old.narrow(0, row, 1)?.narrow(1, 0, longest)?)?;
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

    /// Writes new keys and values `(batch, tokens, kv_heads, head_dim)` of a layer, row b after its first `past[b]`
    /// tokens. Returns the layer's keys and values, with all their room.
    pub(super) fn append(
        &self,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
        past: &[usize],
    ) -> candle_core::Result<(Tensor, Tensor)> {
        let (key_room, value_room) = &self.layers[layer];
        for (room, new) in [(key_room, keys), (value_room, values)] {
            for (row, &past) in past.iter().enumerate() {
                put(room, row, past, &new.narrow(0, row, 1)?)?;
            }
        }
        Ok((key_room.clone(), value_room.clone()))
    }

    /// The keys and values of the first `tokens` tokens of the first row of a layer, `(1, tokens, kv_heads, head_dim)`.
    pub(super) fn first_row(&self, layer: usize, tokens: usize) -> candle_core::Result<(Tensor, Tensor)> {
        let (keys, values) = &self.layers[layer];
        let of = |room: &Tensor| room.narrow(0, 0, 1)?.narrow(1, 0, tokens);
        Ok((of(keys)?, of(values)?))
    }

    /// Sets the number of tokens in each row, after [`Self::append`] on every layer.
    pub(super) fn set_lengths(&mut self, lengths: Vec<usize>) {
        self.lengths = lengths;
    }
}

/// Writes tokens `(1, tokens, kv_heads, head_dim)` into a row of `room`, from token `at` on.
fn put(room: &Tensor, row: usize, at: usize, new: &Tensor) -> candle_core::Result<()> {
    let (rows, tokens, kv_heads, head_dim) = room.dims4()?;
    room.reshape((rows * tokens, kv_heads, head_dim))?
        .slice_set(&new.squeeze(0)?.contiguous()?, 0, row * tokens + at)
}
