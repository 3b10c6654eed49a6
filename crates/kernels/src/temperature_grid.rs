//! The figures that decodings need, from the streaming pass: log-partitions at every temperature of the
//! [`TEMPERATURE_GRID`], the mass above the seen token, and the greatest logits.
//! [`whowrote_stats::truncated_likelihood`] computes truncation from them afterwards. So one pass serves every nucleus,
//! and the vocabulary is never sorted.

use crate::exp;
use crate::row_stats::{BLOCK, EXPONENT_FLOOR, LANES, R32_FLOOR, R64_FLOOR, in_lanes};
use multiversion::multiversion;
use whowrote_stats::token_stats::{ABOVE, DecodingStats, SPACE, TEMPERATURE_GRID, TOP};

/// The floor of `exp(x)` before it is raised to a power of two or more. The fifth power stays a normal number, and the
/// floor adds less than 10⁻⁶ to a sum over a million symbols.
const POWER_FLOOR: f32 = 1e-6;

const SUMS: usize = TEMPERATURE_GRID.len() + ABOVE.len() + SPACE.len();

/// Running sums of one row, relative to its greatest logit so far: the weight at each temperature of the grid, then the
/// weight of the symbols above the seen token, then the weight of the tokens that begin with a space.
#[derive(Clone, Copy, Debug)]
pub struct GridSums([f64; SUMS]);

/// The inverse temperature of each sum.
fn betas() -> impl Iterator<Item = f64> {
    let parts = ABOVE.iter().chain(&SPACE).map(|&i| TEMPERATURE_GRID[i]);
    TEMPERATURE_GRID.into_iter().chain(parts)
}

impl GridSums {
    /// No logit yet.
    pub const EMPTY: Self = Self([0.0; SUMS]);

    /// Moves the reference of the sums from m to m - d, where d is at most 0.
    pub(crate) fn shift(&mut self, d: f64) {
        for (sum, beta) in self.0.iter_mut().zip(betas()) {
            *sum *= (beta * d).exp();
        }
    }

    pub(crate) fn add(&mut self, logits: &[f32], space: &[f32], max: f32, seen_logit: f32) {
        for (logits, space) in logits.chunks(BLOCK).zip(space.chunks(BLOCK)) {
            for (sum, part) in self.0.iter_mut().zip(block_sums(logits, space, max, seen_logit)) {
                *sum += f64::from(part);
            }
        }
    }

    /// Removes the seen token from the mass above it. `x` is its logit less the maximum.
    pub(crate) fn forget_above(&mut self, x: f32) {
        for (sum, i) in self.0[TEMPERATURE_GRID.len()..].iter_mut().zip(ABOVE) {
            *sum = (*sum - (TEMPERATURE_GRID[i] * f64::from(x)).exp()).max(0.0);
        }
    }

    /// The figures of a token whose logit is `seen`; the greatest logits are `top`. All are less the greatest logit.
    pub fn stats(&self, seen: f32, top: [f32; TOP]) -> DecodingStats {
        let ln = |i: usize| self.0[i].ln();
        let ln_z: [f64; TEMPERATURE_GRID.len()] = std::array::from_fn(ln);
        let mass = |sum: usize, index: usize| (ln(sum) - ln_z[index]).min(0.0) as f32;
        DecodingStats {
            // `f32::min` would turn a NaN into 0, and 0 means certainty.
            seen: if seen > 0.0 { 0.0 } else { seen },
            top,
            ln_z: ln_z.map(|z| z as f32),
            ln_above: std::array::from_fn(|i| mass(TEMPERATURE_GRID.len() + i, ABOVE[i])),
            ln_space: std::array::from_fn(|i| mass(TEMPERATURE_GRID.len() + ABOVE.len() + i, SPACE[i])),
        }
    }

    /// From sums that were computed elsewhere, in the order of this type.
    pub fn from_sums(sums: impl IntoIterator<Item = f64>) -> Self {
        let mut all = Self::EMPTY;
        all.0.iter_mut().zip(sums).for_each(|(to, from)| *to = from);
        all
    }
}

/// The greatest logits of a row, collected tile by tile. Every logit above the floor is added; when `2·TOP` logits are
/// held, the lesser half is dropped and the floor rises. A row in random order adds about `TOP·ln(vocab/TOP)` logits;
/// each of the others costs one comparison.
#[derive(Clone, Debug)]
pub(crate) struct Top {
    held: Vec<f32>,
    /// A logit that is not above this is not among the greatest.
    floor: f32,
}

impl Default for Top {
    fn default() -> Self {
        Self {
            held: Vec::with_capacity(2 * TOP),
            floor: f32::NEG_INFINITY,
        }
    }
}

impl Top {
    pub(crate) fn add(&mut self, logits: &[f32]) {
        for chunk in logits.chunks(4 * LANES) {
            if any_above(chunk, self.floor) {
                for &logit in chunk {
                    if logit > self.floor {
                        self.held.push(logit);
                        if self.held.len() == 2 * TOP {
                            self.halve();
                        }
                    }
                }
            }
        }
    }

    fn halve(&mut self) {
        let (_, least, _) = self.held.select_nth_unstable_by(TOP - 1, |a, b| b.total_cmp(a));
        self.floor = *least;
        self.held.truncate(TOP);
    }

    /// The greatest logits less `max`, in descending order.
    pub(crate) fn sorted(&self, max: f32) -> [f32; TOP] {
        let mut held = self.held.clone();
        held.sort_unstable_by(|a, b| b.total_cmp(a));
        std::array::from_fn(|i| held.get(i).map_or(f32::NEG_INFINITY, |logit| logit - max))
    }
}

#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn any_above(chunk: &[f32], floor: f32) -> bool {
    chunk.iter().fold(false, |any, &logit| any | (logit > floor))
}

/// The sums of one block. The powers are as in [`crate::row_stats`], with r = exp(x/128).
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn block_sums(logits: &[f32], space: &[f32], max: f32, seen_logit: f32) -> [f32; SUMS] {
    let mut sums = [[0f32; LANES]; SUMS];
    in_lanes(logits, space, |logits: &[f32; LANES], space: &[f32; LANES]| {
        let mut r8 = [0f32; LANES];
        let mut above = [0f32; LANES];
        for lane in 0..LANES {
            // Written so that a NaN stays a NaN and reaches every sum.
            let below = logits[lane] - max;
            let x = if below < EXPONENT_FLOOR { EXPONENT_FLOOR } else { below };
            r8[lane] = exp(x * (8.0 / 128.0));
            above[lane] = if logits[lane] > seen_logit { 1.0 } else { 0.0 };
        }
        for lane in 0..LANES {
            let r8 = r8[lane];
            let r16 = r8 * r8;
            let r32 = r16 * r16;
            let r32 = if r32 > R32_FLOOR { r32 } else { R32_FLOOR };
            let r64 = if r32 * r32 > R64_FLOOR { r32 * r32 } else { R64_FLOOR };
            let e = r64 * r64;
            let power = if e < POWER_FLOOR { POWER_FLOOR } else { e };
            let r96 = r64 * r32;
            let r112 = r96 * r16;
            let e_r16 = e * r16;
            let e_r24 = e_r16 * r8;
            let e_r40 = e * (r32 * r8);
            let e_r56 = e_r24 * r32;
            let square = power * power;
            let terms = [
                r96,
                r112,
                e,
                e_r16,
                e_r24,
                e_r40,
                e_r56,
                power * r96,
                square,
                square * power,
                square * square,
                square * square * power,
                above[lane] * r96,
                above[lane] * e,
                above[lane] * e_r24,
                above[lane] * e_r56,
                space[lane] * r112,
                space[lane] * e,
                space[lane] * e_r16,
            ];
            for (sum, term) in sums.iter_mut().zip(terms) {
                sum[lane] += term;
            }
        }
    });
    sums.map(|lanes| lanes.iter().sum())
}
