//! What an author expects of another model's surprisal, from a row of logits of each over one vocabulary.
//!
//! Let p = exp(b·l - Z) be the author's distribution and q = exp(c·k - Y) the other model's. Every figure of a token
//! comes from the sums of exp(b·l), k·exp(b·l) and exp(b·l - s·c·k) over the vocabulary, for s in [`TILTS`]. As in
//! [`crate::row_stats`], multiplications make every exp(-s·c·k) from r = exp(c·(k - max k)/128).
//!
//! The author's exponentials are f32. All sums share their rounding, which is at most 128 ulp and equals the rounding
//! of a logit. The other model's exponentials, all products and all sums are f64, for two reasons. If a symbol is
//! likely for the author and unlikely for the other model, exp(-s·c·k) is far above 1 and overflows f32. And the
//! cumulants of small tilts are differences of nearly equal numbers.

use crate::exp;
use crate::row_stats::{BLOCK, LANES};
use multiversion::multiversion;
use whowrote_stats::token_stats::{CrossTokenStats, TILT_COUNT, TILTS};

/// The widest range of b·l, in nats, for which the sums are valid: f64 can hold 3/4 of it as an exponent, summed over a
/// vocabulary. No model that samples text comes near it. The figures of a wider row are NaN, which voids the test.
const WIDEST: f64 = 600.0;

/// The running sums of one author at one pair of inverse temperatures: b of the author, c of the other model. x is a
/// logit of the author less its greatest so far, y the same of the other model.
#[derive(Clone, Copy, Debug)]
struct PairSums {
    /// Σ exp(b·x).
    weight: f64,
    /// Σ y·exp(b·x).
    first: f64,
    /// Σ exp(b·x - s·c·y) for each tilt s.
    tilted: [f64; TILT_COUNT],
}

impl PairSums {
    const EMPTY: Self = Self {
        weight: 0.0,
        first: 0.0,
        tilted: [0.0; TILT_COUNT],
    };

    /// Moves the sums to greater maxima: every x becomes x + d, and every y becomes y + e.
    fn shift(&mut self, b: f64, c: f64, d: f64, e: f64) {
        let factor = (b * d).exp();
        self.first = factor * (self.first + e * self.weight);
        self.weight *= factor;
        for (sum, s) in self.tilted.iter_mut().zip(TILTS) {
            *sum *= (b * d - s * c * e).exp();
        }
    }
}

/// The range of one model's logits in one row, and the seen token's logit.
#[derive(Clone, Copy, Debug)]
struct Extent {
    greatest: f32,
    least: f32,
    /// The seen token's.
    seen: f32,
}

/// The state of one row between the tiles of the two heads.
#[derive(Clone, Debug)]
pub struct PairRow {
    extents: [Extent; 2],
    /// For each pair of inverse temperatures: the first model as the author, then the second.
    sums: Vec<[PairSums; 2]>,
}

impl PairRow {
    /// A row before its first tile, for `pairs` pairs of inverse temperatures.
    pub fn new(pairs: usize) -> Self {
        let none = Extent {
            greatest: f32::NEG_INFINITY,
            least: f32::INFINITY,
            seen: f32::NAN,
        };
        Self {
            extents: [none; 2],
            sums: vec![[PairSums::EMPTY; 2]; pairs],
        }
    }

    /// Adds both models' logits of the symbols from `first` on.
    pub fn add(&mut self, logits: [&[f32]; 2], first: usize, betas: &[(f64, f64)], seen: u32) {
        let mut shifts = [0.0; 2];
        for ((extent, logits), shift) in self.extents.iter_mut().zip(logits).zip(&mut shifts) {
            let before = extent.greatest;
            for &logit in logits {
                // These comparisons skip a NaN; the sums below receive it.
                extent.greatest = if logit > extent.greatest {
                    logit
                } else {
                    extent.greatest
                };
                extent.least = if logit < extent.least { logit } else { extent.least };
            }
            if before.is_finite() {
                *shift = f64::from(before) - f64::from(extent.greatest);
            }
            if let Some(&logit) = (seen as usize).checked_sub(first).and_then(|i| logits.get(i)) {
                extent.seen = logit;
            }
        }
        let greatest = self.extents.map(|extent| extent.greatest);
        for (sums, &(a, b)) in self.sums.iter_mut().zip(betas) {
            for (sums, [author, other]) in sums.iter_mut().zip([[0, 1], [1, 0]]) {
                let (beta, other_beta) = if author == 0 { (a, b) } else { (b, a) };
                if shifts != [0.0; 2] {
                    sums.shift(beta, other_beta, shifts[author], shifts[other]);
                }
                for (x, y) in logits[author].chunks(BLOCK).zip(logits[other].chunks(BLOCK)) {
                    let max = (greatest[author], greatest[other]);
                    let block = block_sums(x, y, max, (beta, other_beta));
                    sums.weight += block[0];
                    sums.first += block[1];
                    for (sum, part) in sums.tilted.iter_mut().zip(&block[2..]) {
                        *sum += part;
                    }
                }
            }
        }
    }

    /// The figures at a pair of inverse temperatures: with the first model as the author, then with the second.
    pub fn stats(&self, pair: usize, (a, b): (f64, f64)) -> [CrossTokenStats; 2] {
        let sums = &self.sums[pair];
        let range = |side: usize, beta: f64| {
            let extent = self.extents[side];
            beta * (f64::from(extent.greatest) - f64::from(extent.least))
        };
        let holds = range(0, a) <= WIDEST && range(1, b) <= WIDEST;
        [(0, 1, b), (1, 0, a)].map(|(author, other, beta)| {
            let (author, other_weight, extent) = (&sums[author], sums[other].weight, self.extents[other]);
            let (ln_author, ln_other) = (author.weight.ln(), other_weight.ln());
            let mean = beta * author.first / author.weight;
            let mut cgf = [f64::NAN; TILT_COUNT];
            if holds {
                for ((psi, s), sum) in cgf.iter_mut().zip(TILTS).zip(author.tilted) {
                    // By Jensen's inequality the CGF about the mean is never negative. Rounding must not make it so.
                    let value = sum.ln() - ln_author + s * mean;
                    *psi = if value < 0.0 { 0.0 } else { value };
                }
            }
            CrossTokenStats {
                surprisal: ln_other + beta * (f64::from(extent.greatest) - f64::from(extent.seen)),
                cross_entropy: ln_other - mean,
                cgf,
                range: range(other, beta),
            }
        })
    }
}

/// One f64 for each logit of a chunk.
type Lanes = [f64; LANES];

#[inline(always)]
fn times(a: &Lanes, b: &Lanes) -> Lanes {
    std::array::from_fn(|lane| a[lane] * b[lane])
}

#[inline(always)]
fn add(sum: &mut Lanes, term: &Lanes) {
    for lane in 0..LANES {
        sum[lane] += term[lane];
    }
}

/// exp(y) for y from -700 to 0, with a relative error below 10⁻¹²: Taylor's polynomial about the nearest power of two.
/// It makes no call, so loops over it vectorise. It is [`exp`] in f64.
#[inline(always)]
fn exp_f64(y: f64) -> f64 {
    /// 1.5·2⁵². Adding it rounds to an integer and leaves that integer in the low bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    /// 1/n! for n from 10 down to 2.
    const FACTORS: [f64; 9] = [
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
    ];
    let shifted = y * std::f64::consts::LOG2_E + ROUND;
    let f = y - (shifted - ROUND) * std::f64::consts::LN_2;
    let p = FACTORS.into_iter().fold(0.0, |p, factor| p * f + factor);
    let value = p * (f * f) + f + 1.0;
    value * f64::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52)
}

/// Adds `e·root^k` for k = 1, 2, 4, …, 64 and 96 to the sums, in this order.
#[inline(always)]
fn add_powers(sums: [&mut Lanes; TILT_COUNT / 2], e: &Lanes, root: &Lanes) {
    let [s1, s2, s4, s8, s16, s32, s64, s96] = sums;
    let r2 = times(root, root);
    let r4 = times(&r2, &r2);
    let r8 = times(&r4, &r4);
    let r16 = times(&r8, &r8);
    let r32 = times(&r16, &r16);
    let r64 = times(&r32, &r32);
    let r96 = times(&r64, &r32);
    for (sum, power) in [
        (s1, root),
        (s2, &r2),
        (s4, &r4),
        (s8, &r8),
        (s16, &r16),
        (s32, &r32),
        (s64, &r64),
        (s96, &r96),
    ] {
        add(sum, &times(e, power));
    }
}

/// Adds logits of the author and of the other model, each less the greatest so far. `mask` is 1 for the logits that
/// count. `scale` is 1/128 of the two inverse temperatures.
#[inline(always)]
fn take(sums: &mut [Lanes; 2 + TILT_COUNT], x: &[f32; LANES], y: &[f32; LANES], scale: (f64, f64), mask: &Lanes) {
    let root = x.map(|x| exp(x * scale.0 as f32));
    let y = y.map(f64::from);
    let other_root = y.map(|y| exp_f64(y * scale.1));
    let mut e: Lanes = root.map(f64::from);
    for _ in 0..7 {
        e = times(&e, &e);
    }
    let e = times(&e, mask);
    let inverse = other_root.map(|r| 1.0 / r);
    let [
        weight,
        first,
        down96,
        down64,
        down32,
        down16,
        down8,
        down4,
        down2,
        down1,
        up1,
        up2,
        up4,
        up8,
        up16,
        up32,
        up64,
        up96,
    ] = sums;
    add(weight, &e);
    add(first, &times(&e, &y));
    add_powers(
        [down1, down2, down4, down8, down16, down32, down64, down96],
        &e,
        &inverse,
    );
    add_powers([up1, up2, up4, up8, up16, up32, up64, up96], &e, &other_root);
}

/// The weight, first moment and tilted sums of one block. `max` and `beta` are the author's, then the other model's.
#[multiversion(targets(
    "x86_64+avx512f+avx512vl+avx512dq+avx512bw+avx2+fma",
    "x86_64+avx2+fma",
    "aarch64+neon"
))]
fn block_sums(author: &[f32], other: &[f32], max: (f32, f32), beta: (f64, f64)) -> [f64; 2 + TILT_COUNT] {
    let mut sums = [[0f64; LANES]; 2 + TILT_COUNT];
    let scale = (beta.0 / 128.0, beta.1 / 128.0);
    let below = |logits: &[f32; LANES], max: f32| logits.map(|logit| logit - max);
    let (chunks, rest) = author.as_chunks::<LANES>();
    let (other_chunks, other_rest) = other.as_chunks::<LANES>();
    for (x, y) in chunks.iter().zip(other_chunks) {
        take(&mut sums, &below(x, max.0), &below(y, max.1), scale, &[1.0; LANES]);
    }
    if !rest.is_empty() {
        let (mut x, mut y, mut mask) = ([max.0; LANES], [max.1; LANES], [0f64; LANES]);
        x[..rest.len()].copy_from_slice(rest);
        y[..rest.len()].copy_from_slice(other_rest);
        mask[..rest.len()].fill(1.0);
        take(&mut sums, &below(&x, max.0), &below(&y, max.1), scale, &mask);
    }
    sums.map(|lanes| lanes.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same figures in f64, formula by formula: p holds the author's logits at b, q the other model's at c.
    fn reference(p: &[f32], q: &[f32], seen: usize, b: f64, c: f64) -> CrossTokenStats {
        let log_sum_exp = |values: &[f64]| {
            let m = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            m + values.iter().map(|v| (v - m).exp()).sum::<f64>().ln()
        };
        let scaled = |l: &[f32], b: f64| l.iter().map(|&v| b * f64::from(v)).collect::<Vec<f64>>();
        let (p, q) = (scaled(p, b), scaled(q, c));
        let (z, y) = (log_sum_exp(&p), log_sum_exp(&q));
        let surprisals: Vec<f64> = q.iter().map(|v| y - v).collect();
        let cross_entropy: f64 = p.iter().zip(&surprisals).map(|(l, s)| (l - z).exp() * s).sum();
        let cgf = TILTS.map(|s| {
            let terms: Vec<f64> = p
                .iter()
                .zip(&surprisals)
                .map(|(l, surprisal)| l - z + s * (surprisal - cross_entropy))
                .collect();
            log_sum_exp(&terms)
        });
        let greatest = surprisals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let least = surprisals.iter().copied().fold(f64::INFINITY, f64::min);
        CrossTokenStats {
            surprisal: surprisals[seen],
            cross_entropy,
            cgf,
            range: greatest - least,
        }
    }

    fn near(found: &CrossTokenStats, wanted: &CrossTokenStats) -> bool {
        within(found, wanted, 0.0)
    }

    /// Allows the logits to be shifted by `shift` nats.
    fn within(found: &CrossTokenStats, wanted: &CrossTokenStats, shift: f64) -> bool {
        let near = |a: f64, b: f64| (a - b).abs() < 2e-4 + 1e-5 * b.abs();
        near(found.surprisal, wanted.surprisal)
            && near(found.cross_entropy, wanted.cross_entropy)
            && near(found.range, wanted.range)
            && (found.cgf.iter().zip(wanted.cgf).zip(TILTS))
                .all(|((a, b), s)| (a - b).abs() < 3e-6 + 2e-4 * b.abs() + shift * s.abs())
    }

    fn streamed(a: &[f32], b: &[f32], tile: usize, seen: usize, betas: (f64, f64)) -> [CrossTokenStats; 2] {
        let mut row = PairRow::new(1);
        for (i, (a, b)) in a.chunks(tile).zip(b.chunks(tile)).enumerate() {
            row.add([a, b], i * tile, &[betas], seen as u32);
        }
        row.stats(0, betas)
    }

    proptest! {
        #[test]
        fn streamed_figures_equal_the_formulas(
            logits in prop::collection::vec((-30f32..30.0, -30f32..30.0), 2..900),
            lean in 0f32..1.0,
            tile in 1usize..400,
            betas in prop::sample::select(vec![(1.0, 1.0), (0.5, 2.0), (1.25, 0.8), (5.0, 5.0), (1.0, 0.1)]),
            seen in any::<prop::sample::Index>(),
        ) {
            // From two unrelated models to two equal ones.
            let a: Vec<f32> = logits.iter().map(|(a, _)| *a).collect();
            let b: Vec<f32> = logits.iter().map(|(a, b)| a + lean * (b - a)).collect();
            let seen = seen.index(a.len());
            let [first, second] = streamed(&a, &b, tile, seen, betas);
            let wanted = reference(&a, &b, seen, betas.0, betas.1);
            prop_assert!(near(&first, &wanted), "{first:?} {wanted:?}");
            let wanted = reference(&b, &a, seen, betas.1, betas.0);
            prop_assert!(near(&second, &wanted), "{second:?} {wanted:?}");
        }
    }

    #[test]
    fn opposite_logits_at_the_end_of_the_range_keep_their_figures() {
        // The author's likeliest symbol is the other model's least likely one, 590 nats below.
        for rising in [false, true] {
            let a: Vec<f32> = (0..60)
                .map(|i| if rising { i as f32 } else { -i as f32 } * 10.0)
                .collect();
            let b: Vec<f32> = a.iter().map(|l| -l).collect();
            for tile in [7, 60] {
                let [first, second] = streamed(&a, &b, tile, 3, (1.0, 1.0));
                for (found, wanted) in [
                    (first, reference(&a, &b, 3, 1.0, 1.0)),
                    (second, reference(&b, &a, 3, 1.0, 1.0)),
                ] {
                    assert!(within(&found, &wanted, 4e-5), "{found:?} {wanted:?}");
                }
            }
        }
    }

    #[test]
    fn logits_that_are_nan_or_too_far_apart_leave_no_cumulants() {
        let fine = [0.0, 1.0, -2.0];
        for bad in [f32::NAN, f32::NEG_INFINITY, f32::INFINITY, -700.0, 1e30] {
            for (a, b) in [(fine, [0.5, bad, 1.0]), ([0.5, bad, 1.0], fine)] {
                for stats in streamed(&a, &b, 2, 0, (1.0, 1.0)) {
                    assert!(stats.cgf.iter().all(|psi| psi.is_nan()), "{bad} {stats:?}");
                }
            }
        }
    }
}
