//! The loops of a model's layers: activations, the norm, and packed weights.

use crate::exp;
use multiversion::multiversion;

/// Unpacks Q8_0 blocks (an f16 scale and 32 signed bytes each). Most files store the vocabulary in this format. In a
/// build for generic x86-64, candle's own loop is not vectorised, and every pass unpacks the head.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn unpack_q8_0(blocks: &[u8], out: &mut [f32]) {
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

/// x·sigmoid(z). z is clamped to the range where [`exp`] is accurate; beyond it the sigmoid is 0 or 1 in f32.
#[inline(always)]
fn times_sigmoid(x: f32, z: f32) -> f32 {
    let z = if z < -87.0 { -87.0 } else { z };
    let z = if z > 87.0 { 87.0 } else { z };
    x / (1.0 + exp(-z))
}

/// silu(gate)·up, into `out`: silu(x) = x·sigmoid(x).
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn silu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, &x), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = times_sigmoid(x, x) * up;
    }
}

/// gelu(gate)·up, into `out`, in the tanh form: ½x(1 + tanh z) = x·sigmoid(2z), z = √(2/π)(x + 0.044715x³).
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn gelu(gate: &[f32], up: &[f32], out: &mut [f32]) {
    const TWICE_ROOT: f32 = 1.595_769;
    for ((out, &x), &up) in out.iter_mut().zip(gate).zip(up) {
        *out = times_sigmoid(x, TWICE_ROOT * (x + 0.044_715 * x * x * x)) * up;
    }
}

/// A row divided by its root mean square and multiplied by the weight, number by number, into `out`.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
pub fn rms_norm(row: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
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
