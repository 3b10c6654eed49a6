//! candle's custom operations over [`whowrote_kernels`], and all unsafe code: memory maps and matrix products.
//!
//! Each kernel computes what [`super::ops`] writes in candle's own operations, and is tested against it. There is a
//! kernel only if a benchmark shows that it is faster. candle's softmax, activations and masks call the C library's
//! exponential for one number at a time, and each operation passes over memory once. Together they took longer than the
//! multiplications of a small model.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, bail};
use gemm::Parallelism;
use memmap2::Mmap;
use rayon::prelude::*;
use std::fs::File;
use std::ops::Range;

use super::architecture::Activation;
use super::ops::Mask;
use whowrote_kernels::{gelu, rms_norm, silu, softmax};

/// Maps a file, read-only.
pub(super) fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read, as bytes. If another process shortens the file meanwhile, the system ends this
    // process with a bus error. The store installs models by rename and never writes in place, so this happens only if
    // a user overwrites a model while it runs.
    unsafe { Mmap::map(file) }
}

/// Lets the pages of a range be dropped from resident memory. They are read from the file again when accessed.
#[cfg(unix)]
pub(super) fn release_pages(map: &Mmap, range: Range<usize>) {
    // SAFETY: the map is a read-only view of a file, so dropped pages come back with the same content.
    // This is advice, so the result is ignored: a system that does not follow it only uses more memory.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
}

/// Only Unix takes such advice. Other systems find out by themselves which pages are not used.
#[cfg(not(unix))]
pub(super) fn release_pages(_: &Mmap, _: Range<usize>) {}

/// A matrix of f32 in a slice. Rows are `stride` numbers apart; the numbers of a row are contiguous.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// None if the matrix would reach beyond the slice.
    fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Option<Self> {
        let last = rows.checked_sub(1)?.checked_mul(stride)?.checked_add(columns)?;
        (columns > 0 && columns <= stride && last <= data.len()).then_some(Self {
            data,
            rows,
            columns,
            stride,
        })
    }
}

/// `out = a·bᵀ` (`transposed`) or `a·b`. `out` has `a.rows` rows, `out_stride` numbers apart.
///
/// # Safety
/// `out` must be valid for writes of every `(row, column)` of the product, and no other thread may access them.
unsafe fn multiply(a: Rows, b: Rows, transposed: bool, out: *mut f32, out_stride: usize, parallelism: Parallelism) {
    let (n, b_rs, b_cs) = if transposed {
        (b.rows, 1, b.stride)
    } else {
        (b.columns, b.stride, 1)
    };
    assert_eq!(a.columns, if transposed { b.columns } else { b.rows });
    // SAFETY: `Rows` never reaches beyond its slice, the inner dimensions agree, and the caller guarantees `out`.
    unsafe {
        gemm::gemm(
            a.rows,
            n,
            a.columns,
            out,
            1,
            out_stride as isize,
            false,
            a.data.as_ptr(),
            1,
            a.stride as isize,
            b.data.as_ptr(),
            b_cs as isize,
            b_rs as isize,
            0.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

fn threads() -> Parallelism {
    match rayon::current_num_threads() {
        0 | 1 => Parallelism::None,
        n => Parallelism::Rayon(n),
    }
}

/// `x·wᵀ` for x of `(rows, columns)` and w of `(n, columns)`: `(rows, n)`, in a buffer that is reused from call to
/// call. A new buffer would be zeroed, or faulted in page by page, before it is overwritten.
pub(crate) fn multiply_into(x: &[f32], rows: usize, w: &[f32], n: usize, out: &mut Vec<f32>) -> Result<()> {
    let columns = x.len() / rows.max(1);
    let (Some(a), Some(b)) = (Rows::new(x, rows, columns, columns), Rows::new(w, n, columns, columns)) else {
        bail!("a multiplication of {rows} and {n} rows does not fit its operands")
    };
    out.clear();
    out.reserve(rows * n);
    // SAFETY: the buffer has room for rows·n numbers. The product writes all of them before the length is set.
    unsafe {
        multiply(a, b, true, out.as_mut_ptr(), n, threads());
        out.set_len(rows * n);
    }
    Ok(())
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a kernel's operand is not contiguous"),
    }
}

/// `x·wᵀ`: `(rows, columns)` by `(n, columns)`.
pub(super) struct LinearKernel;

impl CustomOp2 for LinearKernel {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((rows, _), (n, _)) = (lx.shape().dims2()?, lw.shape().dims2()?);
        let mut out = Vec::new();
        multiply_into(contiguous(x, lx)?, rows, contiguous(w, lw)?, n, &mut out)?;
        Ok((CpuStorage::F32(out), (rows, n).into()))
    }
}

/// Causal attention; see [`super::ops::attention`].
///
/// If each row has a single query, as in generation, a task takes all heads that share keys. So it reads the keys once
/// for all of them, and not once per head.
pub(super) struct AttentionKernel<'a>(pub Mask<'a>);

/// Queries of one head that a task takes at a time. Their scores fit into the second-level cache.
const QUERY_BLOCK: usize = 64;

impl CustomOp3 for AttentionKernel<'_> {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        lq: &Layout,
        k: &CpuStorage,
        lk: &Layout,
        v: &CpuStorage,
        lv: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, tokens, heads, head_dim) = lq.shape().dims4()?;
        let (room_rows, room, kv_heads, _) = lk.shape().dims4()?;
        let (q, k, v) = (contiguous(q, lq)?, contiguous(k, lk)?, contiguous(v, lv)?);
        let (q_stride, k_stride) = (heads * head_dim, kv_heads * head_dim);
        let group = heads / kv_heads.max(1);
        let past = self.0.past;
        let fits = past.len() == batch && batch <= room_rows && past.iter().all(|past| past + tokens <= room);
        if !fits || group * kv_heads != heads || k.len() != room_rows * room * k_stride || v.len() != k.len() {
            bail!("attention with room for {room} keys does not fit {tokens} tokens after {past:?}")
        }
        // The number of heads in a task, and the distance between the rows of its queries.
        let (together, row_stride) = if tokens == 1 { (group, head_dim) } else { (1, q_stride) };
        let mut out = vec![0f32; q.len()];
        let blocks = tokens.div_ceil(QUERY_BLOCK);
        let target = Shared(out.as_mut_ptr());
        // Taking long blocks first would balance better, but dozens of blocks on a few threads do not need it.
        (0..batch * heads / together * blocks)
            .into_par_iter()
            .try_for_each_init(Vec::new, |scores, task| {
                let (block, unit) = (task % blocks, task / blocks);
                let (head, b) = (unit % (heads / together) * together, unit / (heads / together));
                let first = block * QUERY_BLOCK;
                let queries = (tokens - first).min(QUERY_BLOCK);
                let rows = queries * together;
                let past = past[b];
                // The keys that some query of the block sees.
                let end = past + first + queries;
                let start = self.0.window.map_or(0, |w| (past + first + 1).saturating_sub(w));
                let q_at = (b * tokens + first) * q_stride + head * head_dim;
                let k_at = (b * room + start) * k_stride + head / group * head_dim;
                let operands = (
                    q.get(q_at..).and_then(|s| Rows::new(s, rows, head_dim, row_stride)),
                    k.get(k_at..)
                        .and_then(|s| Rows::new(s, end - start, head_dim, k_stride)),
                    v.get(k_at..)
                        .and_then(|s| Rows::new(s, end - start, head_dim, k_stride)),
                );
                let (Some(q), Some(k), Some(v)) = operands else {
                    bail!("attention does not fit its operands")
                };
                scores.clear();
                scores.resize(rows * (end - start), 0f32);
                // SAFETY: the scores belong to this thread and are as large as the product.
                unsafe { multiply(q, k, true, scores.as_mut_ptr(), end - start, Parallelism::None) };
                for (i, row) in scores.chunks_exact_mut(end - start).enumerate() {
                    let position = past + first + i / together;
                    let from = self.0.window.map_or(0, |w| (position + 1).saturating_sub(w));
                    let seen = from.max(start) - start..position + 1 - start;
                    row[..seen.start].fill(0.0);
                    row[seen.end..].fill(0.0);
                    if let Some(cap) = self.0.softcap {
                        let (cap, scale) = (cap as f32, self.0.scale as f32);
                        row[seen.clone()]
                            .iter_mut()
                            .for_each(|x| *x = cap * (*x * scale / cap).tanh());
                        softmax(&mut row[seen], 1.0);
                    } else {
                        softmax(&mut row[seen], self.0.scale as f32);
                    }
                }
                let Some(p) = Rows::new(scores, rows, end - start, end - start) else {
                    bail!("no keys to attend to")
                };
                // SAFETY: the output is as large as the queries. Only this task writes the rows of its block at its
                // heads.
                unsafe { multiply(p, v, false, target.at(q_at), row_stride, Parallelism::None) };
                Ok(())
            })?;
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }
}

/// A pointer through which tasks write to disjoint places.
struct Shared(*mut f32);

// SAFETY: only [`AttentionKernel`] uses it, and there no two tasks write the same rows and columns.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// `offset` must lie inside the buffer.
    unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: the caller keeps the offset inside.
        unsafe { self.0.add(offset) }
    }
}

/// `activation(gate)·up`; see [`super::ops::gate`].
pub(super) struct GateKernel(pub Activation);

impl CustomOp1 for GateKernel {
    fn name(&self) -> &'static str {
        "gate"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, width) = layout.shape().dims2()?;
        let x = contiguous(x, layout)?;
        let half = width / 2;
        if half == 0 || width % 2 != 0 {
            bail!("a gate of width {width}")
        }
        let mut out = vec![0f32; rows * half];
        out.par_chunks_mut(half)
            .zip(x.par_chunks(width))
            .with_min_len(8)
            .for_each(|(out, row)| {
                let (gate, up) = row.split_at(half);
                match self.0 {
                    Activation::Silu => silu(gate, up, out),
                    Activation::GeluTanh => gelu(gate, up, out),
                }
            });
        Ok((CpuStorage::F32(out), (rows, half).into()))
    }
}

/// Root-mean-square norm; see [`super::ops::rms_norm`].
pub(super) struct RmsNormKernel(pub f32);

impl CustomOp2 for RmsNormKernel {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, lx: &Layout, w: &CpuStorage, lw: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (contiguous(x, lx)?, contiguous(w, lw)?);
        let width = lx.shape().dims().last().copied().unwrap_or(0);
        if width == 0 || weight.len() != width {
            bail!("a norm of width {} over {width} numbers", weight.len())
        }
        let mut out = vec![0f32; x.len()];
        out.par_chunks_mut(width)
            .zip(x.par_chunks(width))
            .with_min_len(16)
            .for_each(|(out, row)| rms_norm(row, weight, self.0, out));
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_never_reaches_beyond_its_slice() {
        let data = [0f32; 10];
        assert!(Rows::new(&data, 2, 5, 5).is_some());
        assert!(Rows::new(&data, 3, 5, 5).is_none());
        assert!(Rows::new(&data, 0, 5, 5).is_none());
        assert!(Rows::new(&data, 2, 5, 6).is_none());
        assert!(Rows::new(&data, 2, 6, 5).is_none());
        assert!(Rows::new(&data, usize::MAX, 5, 5).is_none());
    }
}
