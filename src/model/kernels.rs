//! All unsafe code of the crate: memory maps, and CPU kernels where a benchmark shows that they pay.
//!
//! The kernels compute what [`super::ops`] writes in candle's own operations, and are tested against it. They pay
//! because candle's softmax, activations and masks call the C library's exponential a number at a time and pass over
//! memory once an operation; together that took longer than the multiplications of a small model.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, bail};
use gemm::Parallelism;
use memmap2::Mmap;
use multiversion::multiversion;
use rayon::prelude::*;
use std::fs::File;
use std::ops::Range;

use super::architecture::Activation;
use super::ops::Mask;

/// Maps a file, read-only.
pub(super) fn map_file(file: &File) -> std::io::Result<Mmap> {
    // SAFETY: the map is only read, as bytes. Should another process shorten the file meanwhile, the system ends this
    // one with a bus error; models are installed by rename and never written in place, so that takes a user who
    // overwrites a model while it runs.
    unsafe { Mmap::map(file) }
}

/// Lets the pages of a range leave resident memory; they are read from the file again if touched.
#[cfg(unix)]
pub(super) fn release_pages(map: &Mmap, range: Range<usize>) {
    // SAFETY: the map is a read-only view of a file, so dropped pages come back with the same content.
    // The result is advice: a system that does not take it only uses more memory.
    let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, range.start, range.len()) };
}

/// Only Unix takes such advice. Elsewhere the system finds out by itself which pages are not used.
#[cfg(not(unix))]
pub(super) fn release_pages(_: &Mmap, _: Range<usize>) {}

/// exp(y) for |y| at most 87, relative error below 2⁻²². Cephes' polynomial; no call, so that loops over it vectorise.
#[inline(always)]
pub(crate) fn exp(y: f32) -> f32 {
    /// 1.5·2²³: adding it rounds to an integer and leaves that integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let shifted = y * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts, so that n·ln 2 is exact.
    let f = (y - n * 0.693_359_4) - n * -2.121_944_4e-4;
    let p = ((((1.987_569_1e-4 * f + 1.398_199_9e-3) * f + 8.333_452e-3) * f + 4.166_579_6e-2) * f + 1.666_666_6e-1)
        * f
        + 0.5;
    let value = p * (f * f) + f + 1.0;
    value * f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23)
}

/// A matrix of f32 in a slice: rows lie `stride` numbers apart, a row's numbers side by side.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

impl<'a> Rows<'a> {
    /// None where the matrix would reach beyond the slice.
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

/// `out = a·bᵀ` (`transposed`) or `a·b`, where `out` has `a.rows` rows `out_stride` apart.
///
/// # Safety
/// `out` must be valid for writes of every `(row, column)` of the product, and no other thread may touch those.
unsafe fn multiply(a: Rows, b: Rows, transposed: bool, out: *mut f32, out_stride: usize, parallelism: Parallelism) {
    let (n, b_rs, b_cs) = match transposed {
        true => (b.rows, 1, b.stride),
        false => (b.columns, b.stride, 1),
    };
    assert_eq!(a.columns, if transposed { b.columns } else { b.rows });
    // SAFETY: `Rows` reaches no further than its slice, the inner dimensions agree, and the caller vouches for `out`.
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

/// `x·wᵀ` for x of `(rows, columns)` and w of `(n, columns)`, into a buffer that is reused from call to call:
/// `(rows, n)`. A fresh buffer would be zeroed, or faulted in page by page, before it is overwritten.
pub(crate) fn multiply_into(x: &[f32], rows: usize, w: &[f32], n: usize, out: &mut Vec<f32>) -> Result<()> {
    let columns = x.len() / rows.max(1);
    let (Some(a), Some(b)) = (Rows::new(x, rows, columns, columns), Rows::new(w, n, columns, columns)) else {
        bail!("a multiplication of {rows} and {n} rows does not fit its operands")
    };
    out.clear();
    out.reserve(rows * n);
    // SAFETY: the buffer has room for rows·n numbers, all of which the product writes before the length says so.
    unsafe {
        multiply(a, b, true, out.as_mut_ptr(), n, threads());
        out.set_len(rows * n);
    }
    Ok(())
}

/// Unpacks Q8_0 blocks (an f16 scale and 32 signed bytes each), the format that vocabularies are mostly stored in.
/// candle's own loop is not vectorised on a build for any x86-64; the head is unpacked at every pass, so it counts.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn unpack_q8_0(blocks: &[u8], out: &mut [f32]) {
    const BLOCK: usize = 32;
    let (blocks, _) = blocks.as_chunks::<{ BLOCK + 2 }>();
    let (out, _) = out.as_chunks_mut::<BLOCK>();
    for (block, out) in blocks.iter().zip(out) {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        for (to, &byte) in out.iter_mut().zip(&block[2..]) {
            *to = f32::from(byte as i8) * scale;
        }
    }
}

fn contiguous<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a kernel's operand is not contiguous"),
    }
}

/// `x·wᵀ`: `(rows, columns)` by `(n, columns)`.
pub(super) struct Linear;

impl CustomOp2 for Linear {
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
/// A single query of each row, as when a text is drawn, takes all heads that share keys at once: the keys are then read
/// once, and not once a head.
pub(super) struct Attention<'a>(pub Mask<'a>);

/// Queries of one head that are worked on at a time: their scores stay in the second-level cache.
const QUERY_BLOCK: usize = 64;

impl CustomOp3 for Attention<'_> {
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
            bail!("attention over room for {room} keys does not follow {past:?} and {tokens}")
        }
        // Heads of one task, and how far the rows of its queries lie apart.
        let (together, row_stride) = if tokens == 1 { (group, head_dim) } else { (1, q_stride) };
        let mut out = vec![0f32; q.len()];
        let blocks = tokens.div_ceil(QUERY_BLOCK);
        let target = Shared(out.as_mut_ptr());
        // Long blocks first would balance better; two threads and dozens of blocks do not need it.
        (0..batch * heads / together * blocks)
            .into_par_iter()
            .try_for_each_init(Vec::new, |scores, task| {
                let (block, unit) = (task % blocks, task / blocks);
                let (head, b) = (unit % (heads / together) * together, unit / (heads / together));
                let first = block * QUERY_BLOCK;
                let queries = (tokens - first).min(QUERY_BLOCK);
                let rows = queries * together;
                let past = past[b];
                // Keys that any query of the block sees.
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
                // SAFETY: the scores are this thread's own and as large as the product.
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
                // SAFETY: the output is as large as the queries; this task alone writes the rows of its block at its heads.
                unsafe { multiply(p, v, false, target.at(q_at), row_stride, Parallelism::None) };
                Ok(())
            })?;
        Ok((CpuStorage::F32(out), lq.shape().clone()))
    }
}

/// A pointer that tasks may take to disjoint places.
struct Shared(*mut f32);

// SAFETY: only [`Attention`] uses it, where every task writes rows and columns that no other task touches.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// `offset` must lie inside the buffer.
    unsafe fn at(&self, offset: usize) -> *mut f32 {
        // SAFETY: the caller keeps the offset inside.
        unsafe { self.0.add(offset) }
    }
}

/// exp(scale·x) over its sum, in place.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn softmax(row: &mut [f32], scale: f32) {
    const LANES: usize = 8;
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    let max = rest
        .iter()
        .chain(&lanes)
        .fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    let weight = |x: f32| {
        let y = (x - max) * scale;
        exp(if y < -87.0 { -87.0 } else { y })
    };
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks_mut::<LANES>();
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *x = weight(*x);
            *lane += *x;
        }
    }
    let mut sum: f32 = lanes.iter().sum();
    for x in rest {
        *x = weight(*x);
        sum += *x;
    }
    let factor = 1.0 / sum;
    row.iter_mut().for_each(|x| *x *= factor);
}

/// exp(factor·(x - largest x)) of every number, into a buffer that is reused: the largest becomes 1.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub(super) fn exp_over(row: &[f32], factor: f32, out: &mut Vec<f32>) {
    let max = row.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m });
    out.clear();
    out.extend(row.iter().map(|&x| {
        let y = (x - max) * factor;
        exp(if y < -87.0 { -87.0 } else { y })
    }));
}

/// `activation(gate)·up`; see [`super::ops::gate`].
pub(super) struct Gate(pub Activation);

impl CustomOp1 for Gate {
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

/// x·sigmoid(z), with z held where [`exp`] is exact enough and the sigmoid is 0 or 1 to f32.
#[inline(always)]
fn times_sigmoid(x: f32, z: f32) -> f32 {
    let z = if z < -87.0 { -87.0 } else { z };
    let z = if z > 87.0 { 87.0 } else { z };
    x / (1.0 + exp(-z))
}

#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn silu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &x), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = times_sigmoid(x, x) * up;
    }
}

/// The tanh form: ½x(1 + tanh z) = x·sigmoid(2z), z = √(2/π)(x + 0.044715x³).
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn gelu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    const TWICE_ROOT: f32 = 1.595_769;
    for ((out, &x), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = times_sigmoid(x, TWICE_ROOT * (x + 0.044_715 * x * x * x)) * up;
    }
}

/// Root-mean-square norm; see [`super::ops::rms_norm`].
pub(super) struct RmsNorm(pub f32);

impl CustomOp2 for RmsNorm {
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
            .for_each(|(out, row)| rms_norm_row(row, weight, self.0, out));
        Ok((CpuStorage::F32(out), lx.shape().clone()))
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn rms_norm_row(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let (chunks, rest) = row.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += x * x;
        }
    }
    let squares: f32 = lanes.iter().sum::<f32>() + rest.iter().map(|x| x * x).sum::<f32>();
    let factor = 1.0 / (squares / row.len() as f32 + epsilon).sqrt();
    for ((out, &x), &w) in out.iter_mut().zip(row).zip(weight) {
        *out = x * factor * w;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_bits() {
        for i in -20_000..=20_000 {
            let y = 87.0 * i as f32 / 20_000.0;
            let exact = f64::from(y).exp();
            assert!((f64::from(exp(y)) / exact - 1.0).abs() < 2.4e-7, "{y}");
        }
    }

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
