//! What the beginning of a text says for one author, in four numbers a model.
//!
//! With the prompt unknown no likelihood ratio has a bounded mean, so that these are scores, not e-values: they get
//! their error from [`super::conformal`], against texts of known authors scored by the very same rule. All texts are
//! cut to the same number of words first, so that only the author differs (docs/THEORY.md 12).

use super::decoding::LnLikelihoods;
use crate::model::Decoding;
use crate::scoring::{DecodingStats, LADDER, SPACE, TextScores};
use serde::{Deserialize, Serialize};

/// The lengths, in words between white space, that texts are cut to before they are compared. From one to the next is a
/// step of at most a half at the beginning and a quarter later on: that much of a text's end may go unused.
pub const LENGTHS: [usize; 9] = [20, 30, 40, 50, 65, 80, 100, 125, 150];

/// Words at the beginning of a text that no score looks at. Where the prompt is unknown they look odd to every model, their
/// author's own among them, and drown what the others say (docs/VALIDITY.md has the difference).
pub const PASSED_OVER: usize = 1;

/// How one model accounts for the beginning of a text: sums over its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Account {
    /// The greatest log-likelihood over a family of decodings, nats.
    pub deployed: f64,
    /// The greatest log-likelihood over the untruncated model at T = 1.14, 1 and 0.89, nats: how well the model explains
    /// the text however it came about.
    pub untruncated: f64,
    /// The entropy at T = 1, nats: how well the model expected to explain it.
    pub entropy: f64,
    /// The varentropy at T = 1, nat².
    pub varentropy: f64,
}

/// A model's accounts of the first 20, 30, ... words of a text but for the first, for each of [`LENGTHS`] that the text
/// reaches.
///
/// `decodings` are those of the family; see [`LnLikelihoods::covers`]. `scores` has figures at an inverse temperature of 1.
pub fn accounts(text: &str, scores: &TextScores, decodings: &[Decoding]) -> Vec<Account> {
    let ends = word_ends(text);
    let cuts: Vec<usize> = LENGTHS
        .iter()
        .map_while(|&words| ends.get(words - 1).copied())
        .collect();
    let spans = scores.spans.get(scores.first_scored..).unwrap_or_default();
    // What comes after the last cut is not looked at, however long the text is.
    let last = cuts.last().copied().unwrap_or(0);
    let within = spans.partition_point(|span| span.end <= last);
    let passed_over = match PASSED_OVER.checked_sub(1).and_then(|word| ends.get(word)) {
        Some(&end) => spans.partition_point(|span| span.end <= end),
        None => 0,
    };
    let family = LnLikelihoods::of_first(within, scores, decodings);
    let Some(at_one) = scores.beta_index(1.0).map(|beta| scores.at(beta)) else {
        return Vec::new();
    };
    let rows = family.rows().zip(&scores.decoding).zip(at_one).zip(spans);
    let mut rows = rows.skip(passed_over).peekable();
    let mut deployed = vec![0.0; family.decodings()];
    let mut untruncated = [0.0; SPACE.len()];
    let (mut entropy, mut varentropy) = (0.0, 0.0);
    let at = |cut: usize| {
        while let Some((((row, stats), at_one), _)) = rows.next_if(|(_, span)| span.end <= cut) {
            for (total, &ln_p) in deployed.iter_mut().zip(row) {
                *total += f64::from(ln_p);
            }
            for (total, &rung) in untruncated.iter_mut().zip(&SPACE) {
                *total += ln_p_at(stats, rung);
            }
            entropy += at_one.entropy;
            varentropy += at_one.varentropy;
        }
        let greatest = |totals: &[f64]| totals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Account {
            deployed: tenths(greatest(&deployed)),
            untruncated: tenths(greatest(&untruncated)),
            entropy: tenths(entropy),
            varentropy: tenths(varentropy),
        }
    };
    cuts.into_iter().map(at).collect()
}

/// Calibrations hold tenths of a nat. The text at hand is rounded like them: one rule for all, or their places in the
/// order would not be exchangeable.
fn tenths(nats: f64) -> f64 {
    (nats * 10.0).round() / 10.0
}

/// `ln p` of the seen token at a rung of the ladder, nats.
pub fn ln_p_at(stats: &DecodingStats, rung: usize) -> f64 {
    LADDER[rung] * f64::from(stats.seen) - f64::from(stats.ln_z[rung])
}

/// Byte offsets at which the words of a text end; a word is what stands between white space.
pub fn word_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut inside = false;
    for (i, c) in text.char_indices() {
        if inside && c.is_whitespace() {
            ends.push(i);
        }
        inside = !c.is_whitespace();
    }
    if inside {
        ends.push(text.len());
    }
    ends
}

/// The score of "model `author` wrote it", one a text: how much better it explains the text as deployed than the best
/// alternative does, nats. The alternatives are every model untruncated, and every other model as deployed. Low scores
/// speak against the author.
pub fn own_scores(texts: &[Vec<Account>], author: usize) -> Vec<Vec<f64>> {
    let score = |models: &Vec<Account>| {
        let others = models.iter().enumerate().filter(|(i, _)| *i != author);
        let alternative = others
            .map(|(_, model)| model.untruncated.max(model.deployed))
            .fold(models[author].untruncated, f64::max);
        models[author].deployed - alternative
    };
    vec![texts.iter().map(score).collect()]
}

/// The scores of "a person wrote it", each one a text, nats; low scores speak against a person.
///
/// The first is how much better the best model explains the text untruncated than the best of them does as deployed. Then,
/// for every model but the strongest, how much better the best of the others explains it untruncated than this model does
/// as deployed: a weaker model writes what it finds likelier than a stronger one does, and a person does not. The
/// strongest is the one that explains all of the texts together best. As that is the same in whatever order the texts
/// come, the scores are exchangeable where the texts are.
pub fn human_scores(texts: &[Vec<Account>]) -> Vec<Vec<f64>> {
    let models = texts.first().map_or(0, Vec::len);
    let total = |model: usize| texts.iter().map(|text| text[model].untruncated).sum::<f64>();
    let strongest = (0..models).max_by(|&a, &b| total(a).total_cmp(&total(b)));
    let greatest = |values: &mut dyn Iterator<Item = f64>| values.fold(f64::NEG_INFINITY, f64::max);
    let machine_likeness = |text: &Vec<Account>| {
        greatest(&mut text.iter().map(|model| model.untruncated))
            - greatest(&mut text.iter().map(|model| model.deployed))
    };
    let mut scores = vec![texts.iter().map(machine_likeness).collect()];
    for author in (0..models).filter(|&author| Some(author) != strongest) {
        let against = |text: &Vec<Account>| {
            let others = text.iter().enumerate().filter(|(i, _)| *i != author);
            greatest(&mut others.map(|(_, model)| model.untruncated)) - text[author].deployed
        };
        scores.push(texts.iter().map(against).collect());
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    fn models(figures: &[(f64, f64)]) -> Vec<Account> {
        let of = |&(deployed, untruncated)| Account {
            deployed,
            untruncated,
            entropy: -untruncated,
            varentropy: 1.0,
        };
        figures.iter().map(of).collect()
    }

    #[test]
    fn an_author_is_held_against_the_best_alternative() {
        let texts = [
            models(&[(-10.0, -12.0), (-15.0, -11.0)]),
            models(&[(-30.0, -20.0), (-18.0, -25.0)]),
        ];
        assert_eq!(own_scores(&texts, 0), [vec![1.0, -12.0]]);
        assert_eq!(own_scores(&texts, 1), [vec![-5.0, 2.0]]);
        assert_eq!(own_scores(&[models(&[(-3.0, -5.0)])], 0), [vec![2.0]]);
    }

    #[test]
    fn a_person_is_held_against_every_model_but_the_strongest() {
        // The second model explains the three texts best.
        let texts = [
            models(&[(-10.0, -12.0), (-15.0, -11.0)]),
            models(&[(-30.0, -20.0), (-18.0, -14.0)]),
            models(&[(-9.0, -9.0), (-9.0, -9.5)]),
        ];
        assert_eq!(human_scores(&texts), [vec![-1.0, 4.0, 0.0], vec![-1.0, 16.0, -0.5]]);
        assert_eq!(human_scores(&[models(&[(-3.0, -5.0)])]), [vec![-2.0]]);
        assert_eq!(human_scores(&[]), [Vec::<f64>::new()]);
    }

    #[test]
    fn words_end_before_white_space_and_at_the_end() {
        assert_eq!(word_ends(""), Vec::<usize>::new());
        assert_eq!(word_ends(" a  bc\n\nd"), vec![2, 6, 9]);
        assert_eq!(word_ends("é\u{a0}x "), vec![2, 5]);
    }
}
