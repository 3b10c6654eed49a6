//! The likelihood of a text under decodings: any temperature of the grid, any truncation.
//!
//! At an inverse temperature b, every symbol of a row has a mass. A truncation keeps the n likeliest symbols and
//! divides by their total mass. [`DecodingStats`] has the 128 likeliest one by one. Bisection in their running sum
//! finds n and the kept mass of every top-k, top-p and min-p, so one row serves all decodings (docs/THEORY.md 10).
//!
//! If a nucleus is wider than these symbols, its mass is known to within the mass of one symbol, 1/128 of its own. The
//! code then takes the least possible mass: p for a nucleus, the sum of the known symbols for a top-k. A mass that is
//! too small makes the likelihood too great, so the error favours the author.

use crate::sampling_params::{FamilyLimits, SamplingFamily, SamplingParams};
use crate::token_stats::{ABOVE, DecodingStats, TEMPERATURE_GRID, TOP, TextScores, TokenStats};

/// A floor: no token is less likely under a decoding than this share of its probability under the untruncated model at
/// T = 1. So one edited or re-encoded token costs an author at most ln(1/share) = 3.9 nats against the model itself.
/// The code takes the greater of the two, not their mixture: a likelihood that is never below the decoding's own leaves
/// the guarantee unchanged.
pub const UNTRUNCATED_SHARE: f64 = 0.02;

/// The decodings that stand for a family. A named family has its [`FamilyLimits::members`]. A stated range of
/// temperatures has its two ends and the points of the temperature grid between them.
pub fn members(family: &SamplingFamily) -> Vec<SamplingParams> {
    let SamplingFamily::Stated(coldest, hottest) = family else {
        return family.limits().map_or_else(Vec::new, FamilyLimits::members);
    };
    let inside = |&t: &f64| t > coldest.temperature + 1e-9 && t < hottest - 1e-9;
    let between = TEMPERATURE_GRID.into_iter().map(|beta| 1.0 / beta).filter(inside);
    let mut temperatures: Vec<f64> = [coldest.temperature, *hottest].into_iter().chain(between).collect();
    temperatures.sort_by(f64::total_cmp);
    temperatures.dedup();
    temperatures
        .into_iter()
        .map(|temperature| SamplingParams {
            temperature,
            ..coldest.clone()
        })
        .collect()
}

/// The natural logarithm of every scored token's probability under every decoding, nats: `(tokens, decodings)`.
#[derive(Clone, Debug, PartialEq)]
pub struct LnLikelihoods {
    decodings: usize,
    values: Vec<f32>,
}

impl LnLikelihoods {
    /// Computes every decoding of a scored text, none below [`UNTRUNCATED_SHARE`] of the model itself. A decoding that
    /// the scores do not cover ([`Self::covers`]) has probability 0.
    pub fn new(scores: &TextScores, decodings: &[SamplingParams]) -> Self {
        Self::of_first(scores.decoding.len(), scores, decodings)
    }

    /// The same for the first `tokens` scored tokens.
    pub fn of_first(tokens: usize, scores: &TextScores, decodings: &[SamplingParams]) -> Self {
        let plain = scores.decoding.get(..tokens).unwrap_or(&scores.decoding);
        let mut values = vec![f32::NEG_INFINITY; plain.len() * decodings.len()];
        let ln_share = UNTRUNCATED_SHARE.ln();
        for Group {
            beta,
            ln_z,
            figures,
            members,
        } in groups(scores, decodings)
        {
            for (token, (row, plain)) in figures.decoding.iter().zip(plain).enumerate() {
                let least = ln_share + (f64::from(plain.seen) - f64::from(plain.ln_z[UNIT_TEMPERATURE]));
                let out = &mut values[token * decodings.len()..][..decodings.len()];
                let ln_z = match ln_z {
                    LnZ::Grid(point) => f64::from(row.ln_z[point]),
                    LnZ::Scored(i) => {
                        let surprisal = figures.stats[token * scores.betas.len() + i].surprisal;
                        surprisal + beta * f64::from(row.seen)
                    }
                };
                let masses = Masses::new(row, beta, ln_z);
                for &i in &members {
                    let ln_p = masses.ln_probability(&decodings[i], figures.ranks[token]);
                    out[i] = ln_p.max(least) as f32;
                }
            }
        }
        Self {
            decodings: decodings.len(),
            values,
        }
    }

    /// Whether a decoding's likelihood can be computed from these scores.
    pub fn covers(scores: &TextScores, decoding: &SamplingParams) -> bool {
        ln_z_source(scores, decoding.beta()).is_some() && Figures::of(scores, decoding.repetition_penalty).is_some()
    }

    /// The number of decodings.
    pub fn decodings(&self) -> usize {
        self.decodings
    }

    /// One row per scored token, one value per decoding.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
        self.values.chunks_exact(self.decodings.max(1))
    }

    /// The sums over the first `tokens` scored tokens, one per decoding, nats.
    pub fn totals(&self, tokens: usize) -> Vec<f64> {
        let mut totals = vec![0.0; self.decodings];
        for row in self.rows().take(tokens) {
            for (total, &ln_p) in totals.iter_mut().zip(row) {
                *total += f64::from(ln_p);
            }
        }
        totals
    }
}

/// The relative error of sums over a vocabulary.
pub(super) const SUM_ERROR: f64 = 1e-5;

/// The index of T = 1 in the temperature grid.
pub(super) const UNIT_TEMPERATURE: usize = 2;

/// The source of the log-partition at an inverse temperature.
#[derive(Clone, Copy)]
enum LnZ {
    Grid(usize),
    Scored(usize),
}

fn ln_z_source(scores: &TextScores, beta: f64) -> Option<LnZ> {
    let point = TEMPERATURE_GRID.iter().position(|b| (b - beta).abs() < 1e-9);
    point
        .map(LnZ::Grid)
        .or_else(|| scores.beta_index(beta).map(LnZ::Scored))
}

/// A model's figures under one repetition penalty, or without one.
#[derive(Clone, Copy)]
pub(super) struct Figures<'a> {
    pub(super) ranks: &'a [u32],
    pub(super) stats: &'a [TokenStats],
    pub(super) decoding: &'a [DecodingStats],
}

impl<'a> Figures<'a> {
    pub(super) fn of(scores: &'a TextScores, penalty: f64) -> Option<Self> {
        if penalty == 1.0 {
            return Some(Self {
                ranks: &scores.ranks,
                stats: &scores.stats,
                decoding: &scores.decoding,
            });
        }
        let (_, figures) = scores.penalised.iter().find(|(known, _)| *known == penalty)?;
        Some(Self {
            ranks: &figures.ranks,
            stats: &figures.stats,
            decoding: &figures.decoding,
        })
    }
}

/// Decodings that share an inverse temperature and a repetition penalty, so that one row serves all of them.
struct Group<'a> {
    beta: f64,
    ln_z: LnZ,
    figures: Figures<'a>,
    /// The indices of the decodings.
    members: Vec<usize>,
}

fn groups<'a>(scores: &'a TextScores, decodings: &[SamplingParams]) -> Vec<Group<'a>> {
    let mut groups: Vec<(f64, Group)> = Vec::new();
    for (i, decoding) in decodings.iter().enumerate() {
        let (beta, penalty) = (decoding.beta(), decoding.repetition_penalty);
        let same = |(known, group): &&mut (f64, Group)| *known == penalty && (group.beta - beta).abs() < 1e-9;
        if let Some((_, group)) = groups.iter_mut().find(same) {
            group.members.push(i);
        } else if let Some(ln_z) = ln_z_source(scores, beta)
            && let Some(figures) = Figures::of(scores, penalty)
        {
            let members = vec![i];
            groups.push((
                penalty,
                Group {
                    beta,
                    ln_z,
                    figures,
                    members,
                },
            ));
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// One row at one inverse temperature: the running mass of the likeliest symbols, and the place of the seen token.
struct Masses<'a> {
    row: &'a DecodingStats,
    beta: f64,
    /// `cumulative[n]`: the mass of the n + 1 likeliest symbols.
    cumulative: [f64; TOP],
    ln_p: f64,
    /// How many of the kept logits are above the seen token's.
    likelier: usize,
    /// The mass of the symbols likelier than the seen token.
    above: f64,
}

impl<'a> Masses<'a> {
    fn new(row: &'a DecodingStats, beta: f64, ln_z: f64) -> Self {
        let mut cumulative = [0.0; TOP];
        let mut sum = 0.0;
        for (total, &logit) in cumulative.iter_mut().zip(&row.top) {
            // The sum is at least exp(-ln_z); f64 would lose terms this small.
            let exponent = beta * f64::from(logit) - ln_z;
            if exponent > -45.0 {
                sum += exponent.exp();
            }
            *total = f64::min(sum, 1.0);
        }
        let likelier = row.top.partition_point(|&logit| logit > row.seen);
        let above = match likelier {
            0 => 0.0,
            TOP => {
                let total = ln_z.exp();
                least_above(row, beta, cumulative[TOP - 1] * total, total)
            }
            n => cumulative[n - 1],
        };
        Self {
            row,
            beta,
            cumulative,
            ln_p: beta * f64::from(row.seen) - ln_z,
            likelier,
            above,
        }
    }

    /// `ln p` of the seen token under a truncation; minus infinity outside it.
    fn ln_probability(&self, decoding: &SamplingParams, rank: u32) -> f64 {
        if decoding.temperature == 0.0 {
            return if self.row.seen >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        }
        let mut kept = 1.0f64;
        // An upper bound on what top-k leaves, where `kept` is a lower bound.
        let mut left = 1.0f64;
        let mut inside = true;
        if let Some(k) = decoding.top_k {
            // Symbols that tie with the seen one do not push it out, nor does a rank from a matrix product that rounded
            // differently.
            inside &= rank <= k || self.likelier < TOP.min(k as usize);
            kept = self.cumulative[(k as usize).min(TOP) - 1];
            let beyond = (k as usize).saturating_sub(TOP) as f64;
            left = f64::min(
                1.0,
                kept + beyond * (self.cumulative[TOP - 1] - self.cumulative[TOP - 2]),
            );
        }
        if let Some(p) = decoding.top_p {
            // The nucleus of what top-k has left: p is a share of that mass.
            let wanted = p * kept;
            inside &= self.above < p * left;
            let n = self.cumulative.partition_point(|&mass| mass < wanted);
            kept = self.cumulative.get(n).map_or(wanted, |&mass| mass.min(kept));
        }
        if let Some(share) = decoding.min_p {
            let least = share.ln() / self.beta;
            inside &= f64::from(self.row.seen) >= least;
            let n = self.row.top.partition_point(|&logit| f64::from(logit) >= least);
            kept = kept.min(self.cumulative[n.clamp(1, TOP) - 1]);
        }
        if inside {
            (self.ln_p - kept.ln()).min(0.0)
        } else {
            f64::NEG_INFINITY
        }
    }
}

/// The function `exp(at_zero + slope·b)`, by its logarithm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) at_zero: f64,
    pub(super) slope: f64,
}

impl Line {
    fn through(b: f64, value: f64, slope: f64) -> Self {
        let at_zero = value - slope * b;
        Self { at_zero, slope }
    }

    pub(super) fn at(&self, b: f64) -> f64 {
        self.at_zero + self.slope * b
    }
}

/// The line below a convex function on `[b1, b2]` that is highest in the middle. At each knot the function lies between
/// `low` and `high`; no knot is inside the interval; and its slope is at most `steepest` everywhere.
pub(super) fn line_below(knots: &[f64], low: &[f64], high: &[f64], betas: (f64, f64), steepest: f64) -> Option<Line> {
    let middle = f64::midpoint(betas.0, betas.1);
    // The first knot to the right of the interval.
    let right = knots.partition_point(|&knot| knot < middle);
    let chord = |i: usize, from: f64, to: f64| (to - from) / (knots[i + 1] - knots[i]);
    // To the right the function rises at least as steeply as the chord on the left, and the other way round.
    let from_left = right
        .checked_sub(2)
        .map(|i| Line::through(knots[i + 1], low[i + 1], chord(i, high[i], low[i + 1])));
    let from_right = knots.get(right).map(|&knot| {
        let slope = if right + 1 < knots.len() {
            chord(right, low[right], high[right + 1]).min(steepest)
        } else {
            steepest
        };
        Line::through(knot, low[right], slope)
    });
    let usable = |line: &Line| line.at_zero.is_finite() && line.slope.is_finite();
    let lines = [from_left, from_right].into_iter().flatten().filter(usable);
    lines.max_by(|a, b| a.at(middle).total_cmp(&b.at(middle)))
}

/// A lower bound on the mass of the symbols likelier than a token that is outside the likeliest, at this inverse
/// temperature and at all greater ones. `known` is the weight of the likeliest, `total` the greatest weight of all
/// symbols.
///
/// The logarithm of the weight of the likelier symbols is convex in b and known at [`ABOVE`], and their mass grows as
/// the temperature falls. A lower bound keeps a token at the border inside the nucleus, which favours the author.
pub(super) fn least_above(row: &DecodingStats, beta: f64, known: f64, total: f64) -> f64 {
    let knots = ABOVE.map(|point| TEMPERATURE_GRID[point]);
    let mass = |i: usize| f64::from(row.ln_above[i]);
    let weight: [f64; ABOVE.len()] = std::array::from_fn(|i| mass(i) + f64::from(row.ln_z[ABOVE[i]]));
    let [low, high] = [-SUM_ERROR, SUM_ERROR].map(|error| weight.map(|ln| ln + error));
    let line = line_below(&knots, &low, &high, (beta, beta), 0.0);
    let between = line.map_or(0.0, |line| line.at(beta).exp());
    let hotter = knots.partition_point(|&knot| knot <= beta + 1e-12).checked_sub(1);
    let grown = hotter.map_or(0.0, |i| mass(i).exp());
    (known.max(between) / total).max(grown) * (1.0 - SUM_ERROR)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{LnLikelihoods, UNTRUNCATED_SHARE, members};
    use crate::sampling_params::{SamplingFamily, SamplingParams};
    use crate::token_stats::{ABOVE, DecodingStats, SPACE, TEMPERATURE_GRID, TextScores};
    use proptest::prelude::*;

    /// A row's figures, straight from the definitions.
    pub fn row(logits: &[f64], seen: usize) -> (DecodingStats, u32) {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut sorted: Vec<f64> = logits.iter().map(|l| l - max).collect();
        let seen = sorted[seen];
        sorted.sort_by(|a, b| b.total_cmp(a));
        let z = |beta: f64| sorted.iter().map(|x| (beta * x).exp()).sum::<f64>();
        let above = |beta: f64| {
            let likelier = sorted.iter().filter(|&&x| x as f32 > seen as f32);
            (likelier.map(|x| (beta * x).exp()).sum::<f64>() / z(beta)).ln()
        };
        let rank = 1 + sorted.iter().filter(|&&x| x as f32 > seen as f32).count() as u32;
        let stats = DecodingStats {
            seen: seen as f32,
            top: std::array::from_fn(|i| sorted.get(i).map_or(f32::NEG_INFINITY, |&x| x as f32)),
            ln_z: TEMPERATURE_GRID.map(|beta| z(beta).ln() as f32),
            ln_above: ABOVE.map(|point| above(TEMPERATURE_GRID[point]) as f32),
            // Every symbol begins with a space.
            ln_space: [0.0; SPACE.len()],
        };
        (stats, rank)
    }

    fn scores(row: DecodingStats, rank: u32) -> TextScores {
        TextScores {
            model: "toy".into(),
            vocab: 1,
            symbols: [0; 32],
            ids: vec![0],
            spans: std::iter::once(0..1).collect(),
            first_scored: 0,
            betas: Vec::new(),
            ranks: vec![rank],
            stats: Vec::new(),
            decoding: vec![row],
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
        }
    }

    /// Sorts, truncates and renormalises, as a sampler does.
    pub fn by_sorting(logits: &[f64], seen: usize, decoding: &SamplingParams) -> f64 {
        let beta = decoding.beta();
        let mut order: Vec<usize> = (0..logits.len()).collect();
        // Among equally likely symbols the seen one comes first.
        order.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]).then((b == seen).cmp(&(a == seen))));
        let likeliest = logits[order[0]];
        let weight = |i: usize| (beta * (logits[i] - likeliest)).exp();
        if let Some(k) = decoding.top_k {
            order.truncate(k as usize);
        }
        if let Some(p) = decoding.top_p {
            let total: f64 = order.iter().map(|&i| weight(i)).sum();
            let mut before = 0.0;
            let inside = |i: &usize| {
                let inside = before < p * total;
                before += weight(*i);
                inside
            };
            order = order.iter().copied().take_while(inside).collect();
        }
        if let Some(share) = decoding.min_p {
            order = order.iter().copied().filter(|&i| weight(i) >= share).collect();
        }
        let total: f64 = order.iter().map(|&i| weight(i)).sum();
        if order.contains(&seen) {
            weight(seen) / total
        } else {
            0.0
        }
    }

    fn some_decoding() -> impl Strategy<Value = SamplingParams> {
        let point = prop::sample::select(TEMPERATURE_GRID.to_vec());
        let k = prop::option::of(1u32..100);
        let p = prop::option::of(0.1..0.99f64);
        let min_p = prop::option::of(0.01..0.5f64);
        (point, k, p, min_p).prop_map(|(beta, top_k, top_p, min_p)| SamplingParams {
            top_k,
            top_p,
            min_p,
            ..SamplingParams::untruncated(1.0 / beta)
        })
    }

    proptest! {
        #[test]
        fn truncations_of_a_small_vocabulary_equal_sorting_and_cutting(
            logits in prop::collection::vec(-8.0..8.0f64, 2..120), seen in any::<prop::sample::Index>(),
            decoding in some_decoding()
        ) {
            let seen = seen.index(logits.len());
            let (stats, rank) = row(&logits, seen);
            let found = LnLikelihoods::new(&scores(stats, rank), std::slice::from_ref(&decoding)).totals(1)[0];
            let z: f64 = logits.iter().map(|l| l.exp()).sum();
            let itself = logits[seen].exp() / z;
            let share = UNTRUNCATED_SHARE;
            let wanted = by_sorting(&logits, seen, &decoding).max(share * itself).ln();
            prop_assert!((found - wanted).abs() < 1e-4, "{} {} {}", found, wanted, decoding);
        }

        /// If more symbols are kept than the likeliest, no token has less than its own probability.
        #[test]
        fn top_k_beyond_the_likeliest_stays_on_the_authors_side(
            fall in 0.1..1.5f64, seen in 0usize..1500, k in 1u32..2000, p in prop::option::of(0.3..0.99f64),
            point in 0usize..8
        ) {
            let logits: Vec<f64> = (1..=1500).map(|i| -fall * f64::from(i).ln()).collect();
            let (stats, rank) = row(&logits, seen);
            let untruncated = SamplingParams::untruncated(1.0 / TEMPERATURE_GRID[point]);
            let decoding = SamplingParams { top_k: Some(k), top_p: p, ..untruncated };
            let found = LnLikelihoods::new(&scores(stats, rank), std::slice::from_ref(&decoding)).totals(1)[0];
            let wanted = by_sorting(&logits, seen, &decoding).ln();
            prop_assert!(found > wanted - 1e-4, "{} {}", found, wanted);
        }

        /// For a nucleus wider than the likeliest, the kept mass is short by less than one symbol's mass. It is never
        /// too great.
        #[test]
        fn a_flat_nucleus_is_kept_to_the_safe_side(
            spread in 0.0..2.0f64, seen in 0usize..2000, p in 0.3..0.95f64, point in 0usize..8
        ) {
            let logits: Vec<f64> = (0..2000).map(|i| -spread * f64::from(i as u32) / 700.0).collect();
            let (stats, rank) = row(&logits, seen);
            let decoding = SamplingParams::nucleus(1.0 / TEMPERATURE_GRID[point], p);
            let found = LnLikelihoods::new(&scores(stats, rank), std::slice::from_ref(&decoding)).totals(1)[0];
            let z: f64 = logits.iter().map(|l| l.exp()).sum();
            let share = UNTRUNCATED_SHARE;
            let floor = share * logits[seen].exp() / z;
            let wanted = by_sorting(&logits, seen, &decoding).max(floor).ln();
            // Between the points of the grid the border of the nucleus is known to within a part of its mass.
            let border = p + 0.025;
            let wider = SamplingParams::nucleus(1.0 / TEMPERATURE_GRID[point], border);
            let wider = by_sorting(&logits, seen, &wider) * border / p;
            let next = wider.max(floor).ln();
            prop_assert!(found > wanted - 1e-4, "{} {}", found, wanted);
            prop_assert!(found < wanted.max(next) + 0.02, "{} {}", found, wanted);
        }
    }

    #[test]
    fn a_stated_range_has_its_ends_and_the_points_of_the_grid_between() {
        let stated = members(&"temperature=0.6..1,top-p=0.9".parse().unwrap());
        let temperatures: Vec<f64> = stated.iter().map(|d| d.temperature).collect();
        assert_eq!(temperatures.first(), Some(&0.6));
        assert_eq!(temperatures.last(), Some(&1.0));
        assert!(temperatures.len() == 6 && temperatures.is_sorted(), "{temperatures:?}");
        assert_eq!(
            members(&SamplingFamily::Stated(SamplingParams::nucleus(0.7, 0.9), 0.7)),
            [SamplingParams::nucleus(0.7, 0.9)]
        );
    }
}
