//! One streaming pass over a row of logits. It computes all sums that the figures need at one inverse temperature, with
//! one exponential per logit.
//!
//! Let m be the row's greatest logit so far, x = l - m, and r = exp(b·x/128). Squaring gives r^64 and r^128 = exp(b·x).
//! Every tilt of [`TILTS`] is a multiple of 1/128, so exp((1-s)·b·x) = r^(128·(1-s)) takes one product more than its
//! neighbour. The sums run in f32 over at most [`BLOCK`] logits (eight lanes, 32 terms per lane), and in f64 from block
//! to block. When a block raises the maximum, the f64 sums move to the new reference exactly.
//!
//! All tilts of a logit share the rounding of its r. That is a relative error of at most 128 ulp in exp(b·x), or a
//! shift of the logit by less than 10⁻⁵, which is below the rounding of the multiplication that made the logit. The
//! tilts differ only by the few roundings of their products, so the small differences between them, the cumulants, stay
//! accurate.

use crate::exp;
use crate::temperature_grid::{GridSums, Top};
use multiversion::multiversion;
use whowrote_stats::token_stats::{DecodingStats, TILT_COUNT, TILTS, TokenStats};

/// Logits that are summed in f32 before their sum is added in f64.
pub(crate) const BLOCK: usize = 256;
pub(crate) const LANES: usize = 8;

/// Floors that keep every product in the range of normal f32 numbers (a subnormal costs a hundred cycles on some
/// machines). Over a million symbols they add less than 10⁻⁴ to any sum. They increase the cumulants, which is the safe
/// side.
pub(crate) const R64_FLOOR: f32 = 1e-10;
pub(crate) const R32_FLOOR: f32 = 1e-5;
/// The floor of the exponents b·x: `exp(-340/4)` is the least power that is used without another floor.
pub(crate) const EXPONENT_FLOOR: f32 = -340.0;

/// The running sums of one row at one inverse temperature, relative to a reference logit.
#[derive(Clone, Copy, Debug)]
pub struct RowSums {
    /// Σ exp(b·x).
    pub weight: f64,
    /// Σ x·exp(b·x).
    pub first: f64,
    /// Σ x²·exp(b·x).
    pub second: f64,
    /// Σ exp(b·x) over the symbols that begin with a space.
    pub space: f64,
    /// Σ exp((1-s)·b·x) for each tilt s.
    pub tilted: [f64; TILT_COUNT],
}

impl RowSums {
    /// No logit yet.
    pub const EMPTY: Self = Self {
        weight: 0.0,
        first: 0.0,
        second: 0.0,
        space: 0.0,
        tilted: [0.0; TILT_COUNT],
    };

    /// Moves the reference of the sums from m to m - d, where d is at most 0.
    fn shift(&mut self, beta: f64, d: f64) {
        let factor = (beta * d).exp();
        self.second = factor * (self.second + 2.0 * d * self.first + d * d * self.weight);
        self.first = factor * (self.first + d * self.weight);
        self.weight *= factor;
        self.space *= factor;
        for (sum, s) in self.tilted.iter_mut().zip(TILTS) {
            *sum *= ((1.0 - s) * beta * d).exp();
        }
    }

    /// The figures of a token whose logit lies `below` the reference.
    pub fn stats(&self, beta: f64, below: f64) -> TokenStats {
        let ln_weight = self.weight.ln();
        let mean = self.first / self.weight;
        let entropy = ln_weight - beta * mean;
        let variance = (self.second / self.weight - mean * mean).max(0.0);
        let mut cgf = [0.0; TILT_COUNT];
        for ((psi, s), sum) in cgf.iter_mut().zip(TILTS).zip(self.tilted) {
            // By Jensen's inequality the CGF about the mean is never negative. Rounding must not make it so.
            let value = sum.ln() - (1.0 - s) * ln_weight - s * entropy;
            *psi = if value < 0.0 { 0.0 } else { value };
        }
        TokenStats {
            surprisal: ln_weight + beta * below,
            entropy,
            varentropy: beta * beta * variance,
            ln_space_mass: self.space.ln() - ln_weight,
            cgf,
        }
    }
}

/// The state of one row between the tiles of the head.
#[derive(Clone, Debug)]
pub struct Row {
    /// The greatest logit so far.
    max: f32,
    /// The number of logits greater than the seen token's.
    above: u32,
    /// The seen token's logit, as its tile computed it.
    seen: f32,
    sums: Vec<RowSums>,
    grid: GridSums,
    top: Top,
}

impl Row {
    /// A row before its first tile, for `betas` inverse temperatures.
    pub fn new(betas: usize) -> Self {
        Self {
            max: f32::NEG_INFINITY,
            above: 0,
            seen: f32::NAN,
            sums: vec![RowSums::EMPTY; betas],
            grid: GridSums::EMPTY,
            top: Top::default(),
        }
    }

    /// Adds the logits of the symbols from `first` on.
    ///
    /// `space` is 1 for each of these symbols that begins with a space, else 0. `seen` is the token of the text at this
    /// position. `seen_logit` is its logit, computed beforehand so that the rank needs no second pass.
    pub fn add(&mut self, logits: &[f32], space: &[f32], first: usize, betas: &[f64], seen: u32, seen_logit: f32) {
        let (max, above) = scan(logits, seen_logit);
        if max > self.max {
            if self.max.is_finite() {
                let d = f64::from(self.max) - f64::from(max);
                for (sums, &beta) in self.sums.iter_mut().zip(betas) {
                    sums.shift(beta, d);
                }
                self.grid.shift(d);
            }
            self.max = max;
        }
        self.grid.add(logits, space, self.max, seen_logit);
        self.top.add(logits);
        self.above += above;
        if let Some(&logit) = (seen as usize).checked_sub(first).and_then(|i| logits.get(i)) {
            self.seen = logit;
            if logit > seen_logit {
                self.above -= 1;
                self.grid.forget_above(logit - self.max);
            }
        }
        for (sums, &beta) in self.sums.iter_mut().zip(betas) {
            for (logits, space) in logits.chunks(BLOCK).zip(space.chunks(BLOCK)) {
                let block = block_sums(logits, space, self.max, beta as f32);
                sums.weight += f64::from(block[0]);
                sums.first += f64::from(block[1]);
                sums.second += f64::from(block[2]);
                sums.space += f64::from(block[3]);
                for (sum, part) in sums.tilted.iter_mut().zip(&block[4..]) {
                    *sum += f64::from(*part);
                }
            }
        }
    }

    /// The rank of the seen token; 1 is the likeliest.
    pub fn rank(&self) -> u32 {
        self.above + 1
    }

    /// The figures that decodings need.
    pub fn decoding(&self) -> DecodingStats {
        self.grid.stats(self.seen - self.max, self.top.sorted(self.max))
    }

    /// The figures at each inverse temperature.
    pub fn stats(&self, betas: &[f64]) -> impl Iterator<Item = TokenStats> {
        let below = f64::from(self.max) - f64::from(self.seen);
        self.sums
            .iter()
            .zip(betas)
            .map(move |(sums, &beta)| sums.stats(beta, below))
    }
}

/// The greatest logit, and the number of logits greater than the seen token's.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn scan(logits: &[f32], seen: f32) -> (f32, u32) {
    let mut max = [f32::NEG_INFINITY; LANES];
    let mut above = [0u32; LANES];
    let chunks = logits.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..LANES {
            max[lane] = if chunk[lane] > max[lane] {
                chunk[lane]
            } else {
                max[lane]
            };
            above[lane] += u32::from(chunk[lane] > seen);
        }
    }
    for &logit in rest {
        max[0] = max[0].max(logit);
        above[0] += u32::from(logit > seen);
    }
    (
        max.into_iter().fold(f32::NEG_INFINITY, f32::max),
        above.into_iter().sum(),
    )
}

/// Takes the logits of a block lane by lane, each with its 1 for a symbol that begins with a space. The caller is compiled
/// for several instruction sets, and this must become part of it.
#[inline(always)]
pub(crate) fn in_lanes(logits: &[f32], space: &[f32], mut take: impl FnMut(&[f32; LANES], &[f32; LANES])) {
    let (chunks, rest) = logits.as_chunks::<LANES>();
    let (space_chunks, space_rest) = space.as_chunks::<LANES>();
    for (logits, space) in chunks.iter().zip(space_chunks) {
        take(logits, space);
    }
    if !rest.is_empty() {
        // A logit far below all others adds only the weight of the floors.
        let (mut logits, mut mask) = ([f32::NEG_INFINITY; LANES], [0f32; LANES]);
        logits[..rest.len()].copy_from_slice(rest);
        for (to, from) in mask.iter_mut().zip(space_rest) {
            *to = *from;
        }
        take(&logits, &mask);
    }
}

/// The weight, first and second moment, space mass and tilted sums of one block.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn block_sums(logits: &[f32], space: &[f32], max: f32, beta: f32) -> [f32; 4 + TILT_COUNT] {
    let mut sums = [[0f32; LANES]; 4 + TILT_COUNT];
    let scale = beta / 128.0;
    let floor = EXPONENT_FLOOR / beta;
    in_lanes(logits, space, |logits: &[f32; LANES], space: &[f32; LANES]| {
        let mut x = [0f32; LANES];
        let mut r = [0f32; LANES];
        for lane in 0..LANES {
            // Written so that a NaN stays a NaN and reaches every sum.
            let below = logits[lane] - max;
            x[lane] = if below < floor { floor } else { below };
            r[lane] = exp(x[lane] * scale);
        }
        for lane in 0..LANES {
            let r1 = r[lane];
            let r2 = r1 * r1;
            let r4 = r2 * r2;
            let r8 = r4 * r4;
            let r16 = r8 * r8;
            let r32 = r16 * r16;
            let r32_floored = if r32 > R32_FLOOR { r32 } else { R32_FLOOR };
            let r64 = if r32 * r32 > R64_FLOOR { r32 * r32 } else { R64_FLOOR };
            let e = r64 * r64;
            let r96 = r64 * r32_floored;
            let r112 = r96 * r16;
            let r120 = r112 * r8;
            let r124 = r120 * r4;
            let r126 = r124 * r2;
            let xe = x[lane] * e;
            let terms = [
                e,
                xe,
                x[lane] * xe,
                space[lane] * e,
                r32,
                r64,
                r96,
                r112,
                r120,
                r124,
                r126,
                r126 * r1,
                e * r1,
                e * r2,
                e * r4,
                e * r8,
                e * r16,
                e * r32_floored,
                e * r64,
                e * r96,
            ];
            for (sum, term) in sums.iter_mut().zip(terms) {
                sum[lane] += term;
            }
        }
    });
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use whowrote_stats::token_stats::{ABOVE, SPACE, TEMPERATURE_GRID};

    /// The same figures in f64, formula by formula, without a shared exponential and without streaming.
    fn reference(logits: &[f32], space: &[bool], seen: usize, beta: f64) -> TokenStats {
        let l: Vec<f64> = logits.iter().map(|&v| f64::from(v)).collect();
        let z = |b: f64| {
            let m = l.iter().fold(f64::NEG_INFINITY, |m, v| m.max(b * v));
            m + l.iter().map(|v| (b * v - m).exp()).sum::<f64>().ln()
        };
        let zb = z(beta);
        let p: Vec<f64> = l.iter().map(|v| (beta * v - zb).exp()).collect();
        let surprisal = |i: usize| zb - beta * l[i];
        let entropy: f64 = (0..l.len()).map(|i| p[i] * surprisal(i)).sum();
        let varentropy = (0..l.len()).map(|i| p[i] * (surprisal(i) - entropy).powi(2)).sum();
        let mass: f64 = (0..l.len()).filter(|&i| space[i]).map(|i| p[i]).sum();
        let cgf = TILTS.map(|s| z((1.0 - s) * beta) - (1.0 - s) * zb - s * entropy);
        TokenStats {
            surprisal: surprisal(seen),
            entropy,
            varentropy,
            ln_space_mass: mass.ln(),
            cgf,
        }
    }

    fn assert_close(found: &TokenStats, wanted: &TokenStats) {
        assert!(
            (found.surprisal - wanted.surprisal).abs() < 2e-4,
            "{found:?} {wanted:?}"
        );
        assert!((found.entropy - wanted.entropy).abs() < 2e-4, "{found:?} {wanted:?}");
        assert!(
            (found.varentropy - wanted.varentropy).abs() < 1e-3 * (1.0 + wanted.varentropy),
            "{found:?} {wanted:?}"
        );
        if wanted.ln_space_mass > -30.0 {
            assert!(
                (found.ln_space_mass - wanted.ln_space_mass).abs() < 2e-4,
                "{found:?} {wanted:?}"
            );
        }
        for (a, b) in found.cgf.iter().zip(wanted.cgf) {
            assert!((a - b).abs() < 3e-6 + 2e-4 * b.abs(), "{found:?} {wanted:?}");
        }
    }

    /// Compares log-partitions, masses and greatest logits with sums in f64 over a sorted row.
    fn check_decoding(found: &DecodingStats, logits: &[f32], space: &[bool], seen: usize) -> Result<(), TestCaseError> {
        let mut sorted = logits.to_vec();
        sorted.sort_by(|a, b| b.total_cmp(a));
        let max = sorted[0];
        for (i, top) in found.top.iter().enumerate() {
            prop_assert_eq!(*top, sorted.get(i).map_or(f32::NEG_INFINITY, |l| l - max));
        }
        prop_assert_eq!(found.seen, logits[seen] - max);
        let sum = |index: usize, of: &dyn Fn(usize) -> bool| -> f64 {
            let terms = (0..logits.len()).filter(|&i| of(i));
            terms
                .map(|i| (TEMPERATURE_GRID[index] * f64::from(logits[i] - max)).exp())
                .sum()
        };
        let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 2e-4 || (b < -25.0 && a < -20.0);
        for index in 0..TEMPERATURE_GRID.len() {
            let wanted = sum(index, &|_| true).ln();
            prop_assert!(
                near(found.ln_z[index], wanted),
                "{} {} {}",
                index,
                found.ln_z[index],
                wanted
            );
        }
        for (ln, index) in found.ln_above.iter().zip(ABOVE) {
            let wanted = (sum(index, &|i| logits[i] > logits[seen]) / sum(index, &|_| true)).ln();
            prop_assert!(near(*ln, wanted), "{} {} {}", index, ln, wanted);
        }
        for (ln, index) in found.ln_space.iter().zip(SPACE) {
            let wanted = (sum(index, &|i| space[i]) / sum(index, &|_| true)).ln();
            prop_assert!(near(*ln, wanted), "{} {} {}", index, ln, wanted);
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn streamed_figures_equal_the_formulas(
            logits in prop::collection::vec(-30f32..30.0, 2..900),
            tile in 1usize..400,
            beta in prop::sample::select(vec![0.5, 0.9, 1.0, 1.1, 1.4, 2.0, 5.0]),
            seen in any::<prop::sample::Index>(),
        ) {
            let seen = seen.index(logits.len());
            let space: Vec<bool> = (0..logits.len()).map(|i| i % 3 == 0).collect();
            let mask: Vec<f32> = space.iter().map(|&s| f32::from(u8::from(s))).collect();
            let mut row = Row::new(1);
            for (i, (part, mask)) in logits.chunks(tile).zip(mask.chunks(tile)).enumerate() {
                row.add(part, mask, i * tile, &[beta], seen as u32, logits[seen]);
            }
            let found = row.stats(&[beta]).next().unwrap();
            assert_close(&found, &reference(&logits, &space, seen, beta));
            let above = logits.iter().filter(|&&v| v > logits[seen]).count();
            prop_assert_eq!(row.rank() as usize, above + 1);
            check_decoding(&row.decoding(), &logits, &space, seen)?;
        }
    }

    #[test]
    fn a_nan_among_the_logits_makes_the_figures_nan() {
        let mut row = Row::new(1);
        row.add(&[1.0, f32::NAN, 2.0], &[0.0; 3], 0, &[1.0], 0, 1.0);
        assert!(row.stats(&[1.0]).next().unwrap().entropy.is_nan());
    }
}
