//! What the beginning of a text says for one author, in four numbers a model.
//!
//! With the prompt unknown no likelihood ratio has a bounded mean, so that these are scores, not e-values: they get
//! their error from [`super::conformal`], against texts of known authors scored by the very same rule. All texts are
//! cut to the same number of words first, so that only the author differs (docs/THEORY.md 12).

use super::truncated_likelihood::LnLikelihoods;
use crate::sampling_params::SamplingParams;
use crate::token_stats::{DecodingStats, SPACE, TEMPERATURE_GRID, TextScores};
use serde::{Deserialize, Serialize};

/// The lengths, in words between white space, that texts are cut to before they are compared. From one to the next is a
/// step of at most a half at the beginning and a quarter later on: that much of a text's end may go unused.
pub const LENGTHS: [usize; 9] = [20, 30, 40, 50, 65, 80, 100, 125, 150];

/// Words at the beginning of a text that no score looks at. Where the prompt is unknown they look odd to every model, their
/// author's own among them, and drown what the others say (docs/VALIDITY.md has the difference).
pub const PASSED_OVER: usize = 1;

/// How one model accounts for the beginning of a text: sums over its tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TextFeatures {
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

impl TextFeatures {
    /// The standard deviation of the surprisal, nats; at least 1.
    fn deviation(&self) -> f64 {
        self.varentropy.max(1.0).sqrt()
    }
}

/// A model's accounts of the first 20, 30, ... words of a text but for the first, for each of [`LENGTHS`] that the text
/// reaches, from its scores of the text, or of a longer one that begins with it.
///
/// `decodings` are those of the family; see [`LnLikelihoods::covers`]. `scores` has figures at an inverse temperature of 1.
pub fn text_features(text: &str, scores: &TextScores, decodings: &[SamplingParams]) -> Vec<TextFeatures> {
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
        TextFeatures {
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
    TEMPERATURE_GRID[rung] * f64::from(stats.seen) - f64::from(stats.ln_z[rung])
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

/// Bytes of a beginning at most: more than three times what 150 words of English prose take. What takes more has no words, as a
/// picture in letters or a language without spaces, and is outside all calibrations.
const BEGINNING_BYTES: usize = 4096;

/// What is judged of a text whose prompt is unknown: as many words as the greatest of [`LENGTHS`], within 4,096 bytes.
pub fn beginning(text: &str) -> &str {
    let cut = (0..=BEGINNING_BYTES.min(text.len()))
        .rev()
        .find(|&at| text.is_char_boundary(at));
    let text = &text[..cut.unwrap_or(0)];
    let ends = word_ends(text);
    let end = ends.get(LENGTHS[LENGTHS.len() - 1] - 1).or(ends.last());
    &text[..end.copied().unwrap_or(0)]
}

/// What the lead of one model over all others counts for in [`likeness`], for the strongest model and for the rest:
/// people's texts are explained best by the strongest model, so that its lead says little and that of a weaker one much.
/// Chosen by measured power (docs/VALIDITY.md).
pub const LEAD_OF_STRONGEST: f64 = 0.5;
/// The same of the rest.
pub const LEAD_OF_OTHERS: f64 = 2.0;

/// For each model, how like its own writing each of the texts is, in standard deviations of the text's surprisal:
///
/// ```text
/// (D + H + c·(U - U'))/sqrt(V)
/// ```
///
/// where D is the log-likelihood under the model as deployed, H the entropy and V the varentropy, so that D + H is how much
/// likelier the text is than the model itself expects of its untruncated writing; and U - U' is how much better it
/// explains the text untruncated than the best other model does, weighted by [`LEAD_OF_STRONGEST`] or
/// [`LEAD_OF_OTHERS`]. The strongest model is the one that explains all of the texts together best. As that is the same in
/// whatever order the texts come, scores made of this are exchangeable where the texts are.
pub fn likeness(texts: &[Vec<TextFeatures>]) -> Vec<Vec<f64>> {
    let models = texts.first().map_or(0, Vec::len);
    let total = |model: usize| texts.iter().map(|text| text[model].untruncated).sum::<f64>();
    let strongest = (0..models).max_by(|&a, &b| total(a).total_cmp(&total(b)));
    let of_model = |model: usize| {
        let weight = match strongest == Some(model) {
            true => LEAD_OF_STRONGEST,
            false => LEAD_OF_OTHERS,
        };
        let of_text = move |text: &Vec<TextFeatures>| {
            let own = &text[model];
            let others = text.iter().enumerate().filter(|(i, _)| *i != model);
            let lead = others
                .map(|(_, other)| own.untruncated - other.untruncated)
                .min_by(f64::total_cmp);
            (own.deployed + own.entropy + weight * lead.unwrap_or(0.0)) / own.deviation()
        };
        texts.iter().map(of_text).collect()
    };
    (0..models).map(of_model).collect()
}

/// What the models' accounts of a text say of its author, five figures a model: by how much likelier the text is as deployed, and
/// untruncated, than the model expects of its own untruncated writing, and how much better it explains the text than the
/// best other model does, all three in standard deviations of the text's surprisal; the entropy, nats; and the logarithm of
/// that standard deviation.
///
/// Texts are compared at one length, so that sums over their tokens do for averages. With one model the lead is 0.
pub fn feature_vector(text: &[TextFeatures]) -> Vec<f64> {
    let of_model = |(model, own): (usize, &TextFeatures)| {
        let others = text.iter().enumerate().filter(|(i, _)| *i != model);
        let best = others.map(|(_, other)| other.untruncated).max_by(f64::total_cmp);
        let deviation = own.deviation();
        [
            (own.deployed + own.entropy) / deviation,
            (own.untruncated + own.entropy) / deviation,
            best.map_or(0.0, |best| (own.untruncated - best) / deviation),
            own.entropy,
            deviation.ln(),
        ]
    };
    text.iter().enumerate().flat_map(of_model).collect()
}

/// The scores of "model `author` wrote it", each one a text, in standard deviations of the text's surprisal; low scores
/// speak against the author.
///
/// The first is how much better it explains the text as deployed than the best alternative does: every model
/// untruncated, and every other model as deployed. The second is how like its own writing the text is ([`likeness`]).
pub fn own_scores(texts: &[Vec<TextFeatures>], author: usize) -> Vec<Vec<f64>> {
    let over_alternatives = |models: &Vec<TextFeatures>| {
        let others = models.iter().enumerate().filter(|(i, _)| *i != author);
        let alternative = others
            .map(|(_, model)| model.untruncated.max(model.deployed))
            .fold(models[author].untruncated, f64::max);
        (models[author].deployed - alternative) / models[author].deviation()
    };
    let first = texts.iter().map(over_alternatives).collect();
    let second = likeness(texts).into_iter().nth(author).unwrap_or_default();
    vec![first, second]
}

/// The scores of "a person wrote it", one a text for each model: how unlike its writing the text is ([`likeness`]). Low
/// scores speak against a person.
pub fn human_scores(texts: &[Vec<TextFeatures>]) -> Vec<Vec<f64>> {
    let mut scores = likeness(texts);
    scores.iter_mut().flatten().for_each(|score| *score = -*score);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of deployed, untruncated, entropy and varentropy.
    fn models(figures: &[[f64; 4]]) -> Vec<TextFeatures> {
        let of = |&[deployed, untruncated, entropy, varentropy]: &[f64; 4]| TextFeatures {
            deployed,
            untruncated,
            entropy,
            varentropy,
        };
        figures.iter().map(of).collect()
    }

    #[test]
    fn an_author_is_held_against_the_best_alternative() {
        let texts = [
            models(&[[-10.0, -12.0, 9.0, 4.0], [-15.0, -11.0, 9.0, 25.0]]),
            models(&[[-30.0, -20.0, 9.0, 1.0], [-18.0, -25.0, 9.0, 100.0]]),
        ];
        // The first model explains the two texts best.
        assert_eq!(own_scores(&texts, 0), [vec![0.5, -12.0], vec![-0.75, -18.5]]);
        assert_eq!(own_scores(&texts, 1), [vec![-1.0, 0.2], vec![-0.8, -1.9]]);
        // No deviation is taken for less than one nat.
        assert_eq!(
            own_scores(&[models(&[[-3.0, -5.0, 4.0, 0.0]])], 0),
            [vec![2.0], vec![1.0]]
        );
    }

    #[test]
    fn a_person_is_held_against_every_model() {
        // The second model explains the three texts best.
        let texts = [
            models(&[[-10.0, -12.0, 11.0, 4.0], [-15.0, -11.0, 12.0, 1.0]]),
            models(&[[-30.0, -20.0, 22.0, 1.0], [-18.0, -14.0, 15.0, 9.0]]),
            models(&[[-9.0, -9.0, 9.0, 1.0], [-9.0, -9.5, 9.0, 1.0]]),
        ];
        assert_eq!(human_scores(&texts), [vec![0.5, 20.0, -1.0], vec![2.5, 0.0, 0.25]]);
        assert_eq!(human_scores(&[models(&[[-3.0, -5.0, 4.0, 1.0]])]), [vec![-1.0]]);
        assert_eq!(human_scores(&[]), Vec::<Vec<f64>>::new());
    }

    #[test]
    fn a_text_has_five_figures_a_model() {
        let text = models(&[[-10.0, -12.0, 9.0, 4.0], [-15.0, -11.0, 9.0, 25.0]]);
        let expected = [-0.5, -1.5, -0.5, 9.0, 2f64.ln(), -1.2, -0.4, 0.2, 9.0, 5f64.ln()];
        let found = feature_vector(&text);
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-12)
        );
        assert_eq!(found.len(), expected.len());
        assert_eq!(feature_vector(&text[..1])[2], 0.0);
    }

    #[test]
    fn words_end_before_white_space_and_at_the_end() {
        assert_eq!(word_ends(""), Vec::<usize>::new());
        assert_eq!(word_ends(" a  bc\n\nd"), vec![2, 6, 9]);
        assert_eq!(word_ends("é\u{a0}x "), vec![2, 5]);
        assert_eq!(
            (beginning(""), beginning(" \n"), beginning(" a  bc\n\nd ")),
            ("", "", " a  bc\n\nd")
        );
        assert_eq!(beginning(&"ab ".repeat(200)).len(), 150 * 3 - 1);
    }
}
