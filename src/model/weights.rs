//! The weights of a model. Each tensor is found by its role, because each format gives it another name.

use super::architecture::Architecture;
use super::cpu_kernels::multiply_into;
use super::error::{ModelError, Result};
use super::gguf::{Gguf, TensorInfo};
use super::ops;
use super::recognise;
use super::shards::Shards;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;
use safetensors::SafeTensors;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use whowrote_kernels::unpack_q8_0;

/// Rows that one thread unpacks at a time.
const CHUNK_ROWS: usize = 256;

/// The role of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Token embeddings `(vocab, hidden)`.
    Embedding,
    /// Output projection `(vocab, hidden)`, if it is not the embedding.
    Head,
    /// Last norm `(hidden)`.
    FinalNorm,
    /// Divisors of the rotary frequencies `(head_dim / 2)`.
    RotaryFactors,
    /// A tensor of the layer with this index.
    Layer(usize, LayerRole),
}

/// The role of a tensor in its layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the tensors say it")]
pub enum LayerRole {
    AttentionNorm,
    Query,
    Key,
    Value,
    QueryBias,
    KeyBias,
    ValueBias,
    QueryNorm,
    KeyNorm,
    Output,
    OutputBias,
    PostAttentionNorm,
    FeedForwardNorm,
    Gate,
    Up,
    Down,
    PostFeedForwardNorm,
}

impl Role {
    /// The name in a GGUF file.
    pub fn gguf_name(self) -> String {
        use LayerRole::*;
        match self {
            Self::Embedding => "token_embd.weight".into(),
            Self::Head => "output.weight".into(),
            Self::FinalNorm => "output_norm.weight".into(),
            Self::RotaryFactors => "rope_freqs.weight".into(),
            Self::Layer(i, role) => {
                let part = match role {
                    AttentionNorm => "attn_norm.weight",
                    Query => "attn_q.weight",
                    Key => "attn_k.weight",
                    Value => "attn_v.weight",
                    QueryBias => "attn_q.bias",
                    KeyBias => "attn_k.bias",
                    ValueBias => "attn_v.bias",
                    QueryNorm => "attn_q_norm.weight",
                    KeyNorm => "attn_k_norm.weight",
                    Output => "attn_output.weight",
                    OutputBias => "attn_output.bias",
                    PostAttentionNorm => "post_attention_norm.weight",
                    FeedForwardNorm => "ffn_norm.weight",
                    Gate => "ffn_gate.weight",
                    Up => "ffn_up.weight",
                    Down => "ffn_down.weight",
                    PostFeedForwardNorm => "post_ffw_norm.weight",
                };
                format!("blk.{i}.{part}")
            }
        }
    }

    /// The name in a Hugging Face checkpoint. In a model without norms after the blocks, the norm before the
    /// feed-forward block is named after the attention.
    pub fn hub_name(self, sandwich_norms: bool) -> String {
        use LayerRole::*;
        match self {
            Self::Embedding => "model.embed_tokens.weight".into(),
            Self::Head => "lm_head.weight".into(),
            Self::FinalNorm => "model.norm.weight".into(),
            Self::RotaryFactors => "rope_freqs.weight".into(),
            Self::Layer(i, role) => {
                let part = match role {
                    AttentionNorm => "input_layernorm.weight",
                    Query => "self_attn.q_proj.weight",
                    Key => "self_attn.k_proj.weight",
                    Value => "self_attn.v_proj.weight",
                    QueryBias => "self_attn.q_proj.bias",
                    KeyBias => "self_attn.k_proj.bias",
                    ValueBias => "self_attn.v_proj.bias",
                    QueryNorm => "self_attn.q_norm.weight",
                    KeyNorm => "self_attn.k_norm.weight",
                    Output => "self_attn.o_proj.weight",
                    OutputBias => "self_attn.o_proj.bias",
                    FeedForwardNorm if sandwich_norms => "pre_feedforward_layernorm.weight",
                    FeedForwardNorm | PostAttentionNorm => "post_attention_layernorm.weight",
                    Gate => "mlp.gate_proj.weight",
                    Up => "mlp.up_proj.weight",
                    Down => "mlp.down_proj.weight",
                    PostFeedForwardNorm => "post_feedforward_layernorm.weight",
                };
                format!("model.layers.{i}.{part}")
            }
        }
    }
}

/// How weights are kept while the model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residence {
    /// As f32, unpacked once: fastest.
    Unpacked,
    /// In the file's format, unpacked tile by tile at every use: for models whose f32 form does not fit into memory.
    Packed,
}

/// A matrix W `(rows, columns)`, used as `x·Wᵀ`.
pub enum Weight {
    /// As f32.
    Unpacked(Tensor),
    /// Consecutive tiles of at most 256 rows, each unpacked when it is used.
    Packed {
        /// The tiles in order.
        tiles: Vec<PackedTile>,
        /// The number of rows of all tiles.
        rows: usize,
    },
}

/// Rows of a matrix in the file's format.
pub enum PackedTile {
    /// Quantised blocks.
    Quantised(QTensor),
    /// f16 or bf16.
    Half(Tensor),
}

impl PackedTile {
    /// Unpacks the first `out.len()` numbers of the tile.
    fn unpack_into(&self, out: &mut [f32]) -> candle_core::Result<()> {
        match self {
            Self::Quantised(tensor) if tensor.dtype() == GgmlDType::Q8_0 => {
                unpack_q8_0(&tensor.data()?, out);
                Ok(())
            }
            _ => ops::with_values(&self.unpack(&Device::Cpu)?, |values| {
                out.copy_from_slice(&values[..out.len()]);
                Ok(())
            }),
        }
    }

    fn unpack(&self, device: &Device) -> candle_core::Result<Tensor> {
        match self {
            Self::Quantised(tensor) => tensor.dequantize(device),
            Self::Half(tensor) => tensor.to_dtype(DType::F32),
        }
    }
}

impl Weight {
    /// The number of rows of the matrix, which is the width of a product.
    pub fn rows(&self) -> usize {
        match self {
            Self::Unpacked(tensor) => tensor.dims()[0],
            Self::Packed { rows, .. } => *rows,
        }
    }

    /// Rows `rows` as an f32 matrix. For packed weights the range must begin at a multiple of 256, and end at one or at
    /// the last row.
    pub fn tile(&self, rows: Range<usize>, device: &Device) -> candle_core::Result<Tensor> {
        match self {
            Self::Unpacked(tensor) => tensor.narrow(0, rows.start, rows.len()),
            Self::Packed { tiles, .. } => {
                let chosen = &tiles[rows.start / CHUNK_ROWS..rows.end.div_ceil(CHUNK_ROWS)];
                let unpacked: Vec<Tensor> = chosen
                    .par_iter()
                    .map(|tile| tile.unpack(device))
                    .collect::<candle_core::Result<_>>()?;
                Tensor::cat(&unpacked, 0)
            }
        }
    }

    /// Runs `f` on rows `rows` as f32 in main memory, row-major. Packed rows are unpacked into `buffer`, which is
    /// reused from call to call; then `rows` must begin at a multiple of 256.
    pub fn with_rows<T>(
        &self,
        rows: Range<usize>,
        columns: usize,
        buffer: &mut Vec<f32>,
        f: impl FnOnce(&[f32]) -> candle_core::Result<T>,
    ) -> candle_core::Result<T> {
        match self {
            Self::Unpacked(tensor) => ops::with_values(&tensor.narrow(0, rows.start, rows.len())?, f),
            Self::Packed { tiles, .. } => {
                buffer.resize(rows.len() * columns, 0.0);
                let chosen = &tiles[rows.start / CHUNK_ROWS..rows.end.div_ceil(CHUNK_ROWS)];
                chosen
                    .par_iter()
                    .zip(buffer.par_chunks_mut(CHUNK_ROWS * columns))
                    .try_for_each(|(tile, out)| tile.unpack_into(out))?;
                f(buffer)
            }
        }
    }

    /// `x·Wᵀ` for `x` of `(tokens, columns)`: `(tokens, rows)`.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        /// Rows that are unpacked at a time: enough for an efficient multiplication.
        const TILE_ROWS: usize = 16 * CHUNK_ROWS;
        match self {
            Self::Unpacked(tensor) => ops::linear(x, tensor),
            Self::Packed { rows, .. } if matches!(x.device(), Device::Cpu) => {
                let (tokens, columns) = x.dims2()?;
                let x = x.contiguous()?;
                let mut out = vec![0f32; tokens * rows];
                let (mut unpacked, mut product) = (Vec::new(), Vec::new());
                for start in (0..*rows).step_by(TILE_ROWS) {
                    let range = start..(start + TILE_ROWS).min(*rows);
                    self.with_rows(range.clone(), columns, &mut unpacked, |w| {
                        ops::with_values(&x, |x| multiply_into(x, tokens, w, range.len(), &mut product))
                    })?;
                    for (out, product) in out.chunks_exact_mut(*rows).zip(product.chunks_exact(range.len())) {
                        out[range.clone()].copy_from_slice(product);
                    }
                }
                Tensor::from_vec(out, (tokens, *rows), x.device())
            }
            Self::Packed { rows, .. } => {
                let parts: Vec<Tensor> = (0..*rows)
                    .step_by(TILE_ROWS)
                    .map(|start| ops::linear(x, &self.tile(start..(start + TILE_ROWS).min(*rows), x.device())?))
                    .collect::<candle_core::Result<_>>()?;
                Tensor::cat(&parts, 1)
            }
        }
    }

    /// The rows of the tokens `ids`, f32 `(tokens, columns)`.
    pub fn select(&self, ids: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        match self {
            Self::Unpacked(tensor) => tensor.index_select(&Tensor::new(ids, device)?, 0),
            Self::Packed { tiles, .. } => {
                // A text repeats its tokens, so unpack each tile only once.
                let mut by_tile: HashMap<usize, Tensor> = HashMap::new();
                let mut rows = Vec::with_capacity(ids.len());
                for &id in ids {
                    let index = id as usize / CHUNK_ROWS;
                    if let std::collections::hash_map::Entry::Vacant(slot) = by_tile.entry(index) {
                        slot.insert(tiles[index].unpack(device)?);
                    }
                    rows.push(by_tile[&index].narrow(0, id as usize % CHUNK_ROWS, 1)?);
                }
                Tensor::cat(&rows, 0)
            }
        }
    }
}

/// An opened model file or folder.
pub enum Checkpoint {
    /// One GGUF file.
    Gguf(Gguf),
    /// A folder with safetensors.
    Folder(Folder),
}

/// A tensor of a safetensors file.
struct InFile {
    /// Index into [`Folder::files`].
    file: usize,
    /// Its name there.
    name: String,
}

/// The name of a tensor without the prefix that it has in a model that also reads pictures.
fn text_name(name: &str) -> Cow<'_, str> {
    match name.strip_prefix("model.language_model.") {
        Some(rest) => format!("model.{rest}").into(),
        None => name.strip_prefix("language_model.").unwrap_or(name).into(),
    }
}

/// The mapped safetensors files of one folder, and the names of their tensors.
pub struct Folder {
    path: PathBuf,
    files: Vec<memmap2::Mmap>,
    /// By [`text_name`].
    tensors: HashMap<String, InFile>,
    sandwich_norms: bool,
    norm_offset: f64,
}

impl Folder {
    /// Maps every `.safetensors` file of the folder and checks its header.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged or is missing, the weights are quantised, or two files contain the same
    /// tensor.
    pub fn open(path: &Path, architecture: &Architecture) -> Result<Self> {
        let entries = std::fs::read_dir(path).map_err(|e| ModelError::io(path, e))?;
        let mut paths: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|p| p.extension().is_some_and(|e| e == "safetensors"))
            .collect();
        paths.sort();
        if paths.is_empty() {
            let reason =
                "the folder holds no .safetensors file; save the model with save_pretrained(), and name that folder";
            return Err(ModelError::unsupported(path, reason));
        }
        let shards = Shards::of(path, &paths)?;
        let (mut files, mut tensors) = (Vec::new(), HashMap::<String, InFile>::new());
        for file_path in &paths {
            let file = File::open(file_path).map_err(|e| ModelError::io(file_path, e))?;
            let map = super::map_file(&file).map_err(|e| ModelError::io(file_path, e))?;
            if let Some(pointer) = recognise::pointer(&map) {
                return Err(pointer.at(file_path));
            }
            let directory =
                SafeTensors::deserialize(&map).map_err(|e| ModelError::malformed(file_path, e.to_string()))?;
            for name in directory.names() {
                if let Some(refusal) = recognise::quantised_tensor(name) {
                    return Err(refusal.at(file_path));
                }
                let tensor = InFile {
                    file: files.len(),
                    name: name.to_string(),
                };
                if let Some(other) = tensors.insert(text_name(name).into_owned(), tensor) {
                    return Err(shards.twice(name, &paths[other.file], file_path));
                }
            }
            files.push(map);
        }
        let holder = |name: &str| tensors.get(&*text_name(name)).filter(|tensor| tensor.name == name);
        shards.check(|name| holder(name).map(|tensor| paths[tensor.file].as_path()))?;
        let Architecture {
            sandwich_norms,
            norm_offset,
            ..
        } = *architecture;
        Ok(Self {
            path: path.to_owned(),
            files,
            tensors,
            sandwich_norms,
            norm_offset,
        })
    }

    /// Runs `read` on a tensor's type, dimensions and bytes.
    fn with<T>(&self, name: &str, read: impl FnOnce(DType, &[usize], &[u8]) -> Result<T>) -> Result<Option<T>> {
        let Some(InFile { file, name }) = self.tensors.get(name) else {
            return Ok(None);
        };
        let malformed = |reason: String| ModelError::malformed(&self.path, reason);
        let directory = SafeTensors::deserialize(&self.files[*file]).map_err(|e| malformed(e.to_string()))?;
        let view = directory.tensor(name).map_err(|e| malformed(e.to_string()))?;
        let dtype = match view.dtype() {
            safetensors::Dtype::F32 => DType::F32,
            safetensors::Dtype::F16 => DType::F16,
            safetensors::Dtype::BF16 => DType::BF16,
            other => {
                return Err(ModelError::unsupported(
                    &self.path,
                    format!("the tensor {name} has the type {other:?}; convert the model to f32, f16 or bf16"),
                ));
            }
        };
        read(dtype, view.shape(), view.data()).map(Some)
    }

    /// Tells the system to drop a tensor's pages from resident memory, because they will not be read again.
    fn release(&self, name: &str) {
        let Some(InFile { file, name }) = self.tensors.get(name) else {
            return;
        };
        let map = &self.files[*file];
        let range = SafeTensors::deserialize(map).ok().and_then(|directory| {
            let bytes = directory.tensor(name).ok()?.data().as_ptr_range();
            let start = (bytes.start as usize).checked_sub(map.as_ptr() as usize)?;
            Some(start..start + (bytes.end as usize - bytes.start as usize))
        });
        if let Some(range) = range {
            super::release_pages(map, range);
        }
    }
}

impl Checkpoint {
    fn path(&self) -> &Path {
        match self {
            Self::Gguf(file) => file.path(),
            Self::Folder(folder) => &folder.path,
        }
    }

    /// The dimensions of a tensor, outermost first, if the checkpoint has it.
    pub fn dims(&self, role: Role) -> Result<Option<Vec<usize>>> {
        match self {
            Self::Gguf(file) => Ok(file.info(&role.gguf_name()).map(|info| info.dims.clone())),
            Self::Folder(folder) => folder.with(&role.hub_name(folder.sandwich_norms), |_, dims, _| Ok(dims.to_vec())),
        }
    }

    /// The bytes of all weights as f32.
    pub fn unpacked_bytes(&self) -> u64 {
        4 * match self {
            Self::Gguf(file) => file.parameters(),
            // A parameter takes two or four bytes. Two is the safe guess.
            Self::Folder(folder) => folder.files.iter().map(|f| f.len() as u64 / 2).sum(),
        }
    }

    /// Whether a tensor's rows unpack as fast as memory is read.
    pub fn unpacks_fast(&self, role: Role) -> bool {
        match self {
            Self::Gguf(file) => file
                .info(&role.gguf_name())
                .is_some_and(|info| info.dtype == GgmlDType::Q8_0),
            Self::Folder(_) => false,
        }
    }

    /// Whether the checkpoint has the tensor.
    pub fn has(&self, role: Role) -> Result<bool> {
        Ok(self.dims(role)?.is_some())
    }

    /// A vector of `len` numbers as f32, if the checkpoint has it. The offset of norms is added.
    pub fn vector(&self, role: Role, len: usize, device: &Device) -> Result<Option<Tensor>> {
        if !self.has(role)? {
            return Ok(None);
        }
        self.expect(role, &[len])?;
        let is_norm = !matches!(
            role,
            Role::RotaryFactors
                | Role::Layer(
                    _,
                    LayerRole::QueryBias | LayerRole::KeyBias | LayerRole::ValueBias | LayerRole::OutputBias
                )
        );
        let vector = match self {
            Self::Gguf(file) => {
                let info = self.info(file, role)?;
                file.rows(info, 0..1, device)?.dequantize(device)?.flatten_all()?
            }
            Self::Folder(folder) => {
                let read = |dtype, _: &[usize], bytes: &[u8]| {
                    let raw = Tensor::from_raw_buffer(bytes, dtype, &[len], device)?;
                    let offset = if is_norm { folder.norm_offset } else { 0.0 };
                    Ok((raw.to_dtype(DType::F32)? + offset)?)
                };
                match folder.with(&role.hub_name(folder.sandwich_norms), read)? {
                    Some(vector) => vector,
                    None => return Ok(None),
                }
            }
        };
        Ok(Some(vector))
    }

    /// [`Self::vector`], with an error if the checkpoint does not have it.
    pub fn required_vector(&self, role: Role, len: usize, device: &Device) -> Result<Tensor> {
        self.vector(role, len, device)?.ok_or_else(|| self.missing(role))
    }

    /// One matrix from the rows of several tensors of `columns` columns, in order. For example, the query, key and
    /// value projections become one multiplication.
    ///
    /// If a part's `interleaved_heads` is not 0, its rows are taken out of llama's interleaved order.
    pub fn matrix(
        &self,
        parts: &[MatrixPart],
        columns: usize,
        residence: Residence,
        device: &Device,
    ) -> Result<Weight> {
        for part in parts {
            self.expect(part.role, &[part.rows, columns])?;
        }
        let rows: usize = parts.iter().map(|p| p.rows).sum();
        // A chunk never crosses from one part to the next, so each packed tile has one format.
        let whole_chunks = parts.iter().all(|p| p.rows % CHUNK_ROWS == 0) || parts.len() == 1;
        let weight = match residence {
            Residence::Packed if whole_chunks => {
                let chunks = parts.iter().flat_map(|part| {
                    (0..part.rows)
                        .step_by(CHUNK_ROWS)
                        .map(move |at| (part, at..(at + CHUNK_ROWS).min(part.rows)))
                });
                let tiles = chunks
                    .map(|(part, range)| self.chunk(part, range, device))
                    .collect::<Result<_>>()?;
                Weight::Packed { tiles, rows }
            }
            _ => {
                let mut out = vec![0f32; rows * columns];
                let mut rest = out.as_mut_slice();
                for part in parts {
                    let (mine, after) = rest.split_at_mut(part.rows * columns);
                    rest = after;
                    mine.par_chunks_mut(CHUNK_ROWS * columns)
                        .enumerate()
                        .try_for_each(|(i, chunk)| {
                            let start = i * CHUNK_ROWS;
                            let range = start..(start + CHUNK_ROWS).min(part.rows);
                            let tile = self.chunk(part, range, &Device::Cpu)?.unpack(&Device::Cpu)?;
                            chunk.copy_from_slice(&tile.flatten_all()?.to_vec1::<f32>()?);
                            Ok::<(), ModelError>(())
                        })?;
                }
                Weight::Unpacked(Tensor::from_vec(out, (rows, columns), device)?)
            }
        };
        for part in parts {
            self.release(part.role);
        }
        Ok(weight)
    }

    /// Rows `range` of a part, in the file's format.
    fn chunk(&self, part: &MatrixPart, range: Range<usize>, device: &Device) -> Result<PackedTile> {
        match self {
            Self::Gguf(file) => {
                let info = self.info(file, part.role)?;
                let tile = match part.rows.checked_div(part.interleaved_heads) {
                    None => file.rows(info, range, device)?,
                    Some(head_dim) => {
                        // Row i·(d/2) + j of a head is stored at 2j + i.
                        let order = range.map(|row| {
                            let (head, within) = (row / head_dim, row % head_dim);
                            let (half, j) = (within / (head_dim / 2), within % (head_dim / 2));
                            head * head_dim + 2 * j + half
                        });
                        file.gather(info, order, device)?
                    }
                };
                Ok(PackedTile::Quantised(tile))
            }
            Self::Folder(folder) => {
                let read = |dtype: DType, dims: &[usize], bytes: &[u8]| {
                    let row = dims[1] * dtype.size_in_bytes();
                    let slice = &bytes[range.start * row..range.end * row];
                    let raw = Tensor::from_raw_buffer(slice, dtype, &[range.len(), dims[1]], device)?;
                    Ok(PackedTile::Half(raw))
                };
                let tile = folder.with(&part.role.hub_name(folder.sandwich_norms), read)?;
                tile.ok_or_else(|| self.missing(part.role))
            }
        }
    }

    fn info<'a>(&self, file: &'a Gguf, role: Role) -> Result<&'a TensorInfo> {
        file.info(&role.gguf_name()).ok_or_else(|| self.missing(role))
    }

    fn release(&self, role: Role) {
        match self {
            Self::Gguf(file) => {
                if let Some(info) = file.info(&role.gguf_name()) {
                    file.release(info);
                }
            }
            Self::Folder(folder) => folder.release(&role.hub_name(folder.sandwich_norms)),
        }
    }

    /// The error for an output projection that is missing although the configuration asks for it.
    pub(super) fn without_head(&self) -> ModelError {
        let reason = "its configuration asks for an output projection of its own, but no file holds lm_head.weight; \
                      add the file that does, or, if the embedding is the projection, set tie_word_embeddings to true \
                      in config.json";
        ModelError::unsupported(self.path(), reason)
    }

    /// The error for a required tensor that is missing.
    pub(super) fn missing(&self, role: Role) -> ModelError {
        ModelError::malformed(self.path(), format!("it lacks the tensor for {role:?}"))
    }

    /// Refuses a tensor whose dimensions differ from the description.
    fn expect(&self, role: Role, dims: &[usize]) -> Result<()> {
        match self.dims(role)? {
            Some(found) if found == dims => Ok(()),
            Some(found) => Err(ModelError::malformed(
                self.path(),
                format!("the tensor for {role:?} has the shape {found:?}, not {dims:?}"),
            )),
            None => Err(self.missing(role)),
        }
    }
}

/// A tensor whose rows are part of a matrix.
pub struct MatrixPart {
    /// The role of the tensor.
    pub role: Role,
    /// The number of its rows.
    pub rows: usize,
    /// The number of heads whose rows are interleaved; 0 if the rows are in order.
    pub interleaved_heads: usize,
}

impl MatrixPart {
    /// A part whose rows are in order.
    pub fn plain(role: Role, rows: usize) -> Self {
        Self {
            role,
            rows,
            interleaved_heads: 0,
        }
    }
}
