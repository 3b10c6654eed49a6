//! Draws the next token from a row of logits.
//!
//! This module does not use candle-transformers' `LogitsProcessor`, for two reasons. It has no min-p. And after top-k
//! it takes the nucleus without renormalising, so top-k and top-p together cut off less than the same settings
//! elsewhere.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cmp::Ordering;
use whowrote_kernels::exp_over;
use whowrote_stats::sampling_params::SamplingParams;

/// Draws tokens with the settings of a [`SamplingParams`]. The same seed gives the same draws on every machine.
#[derive(Clone, Debug)]
pub struct Sampler {
    decoding: SamplingParams,
    rng: ChaCha8Rng,
}

/// Buffers that draws reuse.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    /// exp((logit - largest) / T) of every symbol.
    weights: Vec<f32>,
    /// The symbols that may be drawn, likeliest first.
    order: Vec<u32>,
}

impl Sampler {
    /// A sampler with this seed.
    pub fn new(decoding: SamplingParams, seed: u64) -> Self {
        Self {
            decoding,
            rng: ChaCha8Rng::seed_from_u64(seed),
        }
    }

    /// Draws one symbol from the logits. The repetition penalty applies to `seen`, the symbols of the prompt and the
    /// text so far. Among equally likely symbols, a smaller id ranks first. An empty row gives 0.
    pub fn draw(&mut self, logits: &mut [f32], seen: &[u32], scratch: &mut Scratch) -> u32 {
        self.penalise(logits, seen);
        if self.decoding.temperature == 0.0 {
            return likeliest(logits);
        }
        let Scratch { weights, order } = scratch;
        exp_over(logits, self.decoding.beta() as f32, weights);
        let u: f64 = self.rng.random();
        if !self.decoding.truncates() {
            return draw_all(weights, u);
        }
        let SamplingParams { top_k, top_p, .. } = self.decoding;
        match (top_k.map(|k| k as usize), top_p) {
            (Some(k), p) if k < weights.len() => {
                sort_likeliest(weights, order, &FLOORS, |symbols, _| symbols >= k);
                order.truncate(k);
                let mass = order.iter().map(|&id| f64::from(weights[id as usize])).sum::<f64>();
                p.inspect(|p| keep_nucleus(weights, order, p * mass));
            }
            (_, Some(p)) => {
                let needed = p * weights.iter().map(|&w| f64::from(w)).sum::<f64>();
                sort_likeliest(weights, order, &FLOORS, |_, mass| mass >= needed);
                keep_nucleus(weights, order, needed);
            }
            (_, None) => sort_likeliest(weights, order, &[], |_, _| false),
        }
        if let Some(least) = self.decoding.min_p {
            // The largest weight is 1.
            let kept = order.iter().take_while(|&&id| f64::from(weights[id as usize]) >= least);
            order.truncate(kept.count().max(1));
        }
        let weight = |id: &u32| f64::from(weights[*id as usize]);
        let mut rest = u * order.iter().map(weight).sum::<f64>();
        for id in order.iter() {
            rest -= weight(id);
            if rest < 0.0 {
                return *id;
            }
        }
        order.last().copied().unwrap_or(0)
    }

    fn penalise(&self, logits: &mut [f32], seen: &[u32]) {
        let penalty = self.decoding.repetition_penalty as f32;
        if penalty == 1.0 {
            return;
        }
        let mut once = seen.to_vec();
        once.sort_unstable();
        once.dedup();
        for id in once {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit = penalised(*logit, penalty);
            }
        }
    }
}

/// The logit, under a repetition penalty, of a symbol that already occurs in the text (N. S. Keskar and others, *CTRL*,
/// 2019, arXiv 1909.05858, section 4.1; a negative logit is multiplied, as all later implementations do).
pub fn penalised(logit: f32, penalty: f32) -> f32 {
    if logit > 0.0 { logit / penalty } else { logit * penalty }
}

fn likelier(weights: &[f32], a: u32, b: u32) -> Ordering {
    weights[b as usize].total_cmp(&weights[a as usize]).then(a.cmp(&b))
}

fn likeliest(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// The floors of [`sort_likeliest`]. A vocabulary has a quarter of a million symbols, of which a few hundred matter.
const FLOORS: [f32; 3] = [1e-2, 1e-4, 1e-6];

/// Fills `order` with the likeliest symbols, likeliest first: with all whose weight reaches a floor. The floor falls
/// until `enough` holds of their number and their mass, and at last to 0.
fn sort_likeliest(weights: &[f32], order: &mut Vec<u32>, floors: &[f32], enough: impl Fn(usize, f64) -> bool) {
    for &floor in floors.iter().chain(&[0.0]) {
        let reaching = weights.iter().enumerate().filter(|(_, weight)| **weight >= floor);
        order.clear();
        order.extend(reaching.map(|(id, _)| id as u32));
        if floor == 0.0
            || enough(
                order.len(),
                order.iter().map(|&id| f64::from(weights[id as usize])).sum(),
            )
        {
            break;
        }
    }
    order.sort_unstable_by(|a, b| likelier(weights, *a, *b));
}

/// Keeps the first symbols of `order` that together reach the weight `needed`.
fn keep_nucleus(weights: &[f32], order: &mut Vec<u32>, needed: f64) {
    let mut mass = 0.0;
    let reached = order.iter().position(|&id| {
        mass += f64::from(weights[id as usize]);
        mass >= needed
    });
    if let Some(last) = reached {
        order.truncate(last + 1);
    }
}

/// Draws one of all symbols in proportion to the weights, at the uniform number `u`.
fn draw_all(weights: &[f32], u: f64) -> u32 {
    /// Symbols that are skipped at a time.
    const BLOCK: usize = 256;
    let sums: Vec<f64> = weights
        .chunks(BLOCK)
        .map(|block| block.iter().map(|&w| f64::from(w)).sum())
        .collect();
    let mut rest = u * sums.iter().sum::<f64>();
    let mut last = 0;
    for (i, &sum) in sums.iter().enumerate() {
        if rest >= sum {
            rest -= sum;
            continue;
        }
        for (j, &w) in weights.iter().enumerate().skip(i * BLOCK).take(BLOCK) {
            rest -= f64::from(w);
            last = j as u32;
            if rest < 0.0 {
                return last;
            }
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The distribution that a decoding draws from, computed step by step from its definition.
    fn plain(logits: &[f32], seen: &[u32], decoding: &SamplingParams) -> Vec<f64> {
        let mut scores: Vec<f64> = logits.iter().map(|&x| f64::from(x)).collect();
        let penalty = decoding.repetition_penalty;
        for (_, score) in scores
            .iter_mut()
            .enumerate()
            .filter(|(id, _)| seen.contains(&(*id as u32)))
        {
            *score = if *score > 0.0 {
                *score / penalty
            } else {
                *score * penalty
            };
        }
        scores.iter_mut().for_each(|score| *score /= decoding.temperature);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
        order.truncate(decoding.top_k.map_or(order.len(), |k| k as usize));
        let shares = |order: &[usize]| -> Vec<f64> {
            let weights: Vec<f64> = order.iter().map(|&id| (scores[id] - scores[order[0]]).exp()).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|w| w / sum).collect()
        };
        if let Some(p) = decoding.top_p {
            let mut before = 0.0;
            let kept = shares(&order).into_iter().take_while(|share| {
                let kept = before < p;
                before += share;
                kept
            });
            order.truncate(kept.count());
        }
        if let Some(least) = decoding.min_p {
            let all = shares(&order);
            let kept = all.iter().take_while(|share| **share >= least * all[0]).count();
            order.truncate(kept);
        }
        let mut probabilities = vec![0.0; logits.len()];
        for (share, id) in shares(&order).into_iter().zip(&order) {
            probabilities[*id] = share;
        }
        probabilities
    }

    fn frequencies(logits: &[f32], seen: &[u32], decoding: &SamplingParams, draws: usize) -> Vec<f64> {
        let mut sampler = Sampler::new(decoding.clone(), 11);
        let mut scratch = Scratch::default();
        let mut counts = vec![0.0; logits.len()];
        for _ in 0..draws {
            counts[sampler.draw(&mut logits.to_vec(), seen, &mut scratch) as usize] += 1.0 / draws as f64;
        }
        counts
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn symbols_are_drawn_as_often_as_the_definition_says(
            logits in proptest::collection::vec(-4f32..4.0, 2..40),
            temperature in 0.2f64..2.0,
            top_k in proptest::option::of(1u32..20),
            top_p in proptest::option::of(0.1f64..0.99),
            min_p in proptest::option::of(0.01f64..0.5),
            repetition_penalty in prop_oneof![Just(1.0), 0.8f64..1.5],
        ) {
            const DRAWS: usize = 20_000;
            let decoding = SamplingParams { temperature, top_k, top_p, min_p, repetition_penalty };
            let seen = [0, 0, 1, 7];
            let expected = plain(&logits, &seen, &decoding);
            for (got, p) in frequencies(&logits, &seen, &decoding, DRAWS).into_iter().zip(expected) {
                if p == 0.0 {
                    prop_assert_eq!(got, 0.0);
                }
                // Within six standard deviations.
                prop_assert!((got - p).abs() < 6.0 * (p * (1.0 - p) / DRAWS as f64).sqrt() + 1e-3, "{} {}", got, p);
            }
        }
    }

    #[test]
    fn a_large_vocabulary_is_cut_where_a_small_one_is() {
        let logits: Vec<f32> = (0..30_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 16) as f32 / 9e3)
            .collect();
        for text in [
            "top-p=0.3",
            "top-p=0.9",
            "top-k=700,top-p=0.95",
            "min-p=0.2",
            "temperature=0.6,top-k=40",
        ] {
            let decoding: SamplingParams = text.parse().unwrap();
            let expected = plain(&logits, &[], &decoding);
            let got = frequencies(&logits, &[], &decoding, 3_000);
            let outside = got
                .iter()
                .zip(&expected)
                .filter(|(got, p)| **got > 0.0 && **p == 0.0)
                .count();
            assert_eq!(outside, 0, "{text}");
            let mean = |p: &[f64]| {
                p.iter()
                    .enumerate()
                    .map(|(id, p)| p * f64::from(logits[id]))
                    .sum::<f64>()
            };
            assert!((mean(&got) - mean(&expected)).abs() < 0.05, "{text}");
        }
    }

    #[test]
    fn greedy_decoding_takes_the_first_of_the_likeliest() {
        let decoding = SamplingParams::untruncated(0.0);
        let got = frequencies(&[0.0, 3.0, 3.0, 1.0], &[], &decoding, 10);
        assert!((got[1] - 1.0).abs() < 1e-12);
        let penalised = SamplingParams {
            repetition_penalty: 2.0,
            ..decoding
        };
        assert!((frequencies(&[0.0, 3.0, 2.0], &[1], &penalised, 10)[2] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_seed_gives_the_same_draws_again() {
        let draws = |seed| -> Vec<u32> {
            let mut sampler = Sampler::new(SamplingParams::untruncated(1.0), seed);
            (0..20)
                .map(|_| sampler.draw(&mut [0.0; 100], &[], &mut Scratch::default()))
                .collect()
        };
        assert_eq!(draws(3), draws(3));
        assert_ne!(draws(3), draws(4));
    }
}
