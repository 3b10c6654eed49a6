//! Scores of the beginning of a text, from four numbers per model.
//!
//! If the prompt is unknown, no likelihood ratio has a bounded mean. So these are scores, not e-values.
//! [`super::conformal`] bounds their error, against texts by known authors that the same rule scores. All texts are
//! first cut to the same number of words, so that only the author differs (docs/THEORY.md 12).

use super::truncated_likelihood::LnLikelihoods;
use crate::sampling_params::SamplingParams;
use crate::token_stats::{DecodingStats, LOGITS, SPACE, TEMPERATURE_GRID, TextScores};

/// The lengths, in words between white space, to which texts are cut before they are compared. Each is at most half as
/// long again as the one before, and at most 30% longer from 40 words on; that much of a text's end may remain unused.
pub const LENGTHS: [usize; 9] = [20, 30, 40, 50, 65, 80, 100, 125, 150];

/// The words of a piece of a long text: as many as texts are compared at.
pub const PIECE: usize = LENGTHS[LENGTHS.len() - 1];

/// A last piece of fewer words is read with the one before. At this length most texts can be told apart.
pub const LEAST_PIECE: usize = 80;

/// How many words at the beginning of a text no score looks at. If the prompt is unknown, these words look odd to every
/// model, even to their own author, and drown out the rest (docs/VALIDITY.md has the difference).
pub const SKIPPED_WORDS: usize = 1;

/// What one model says about the beginning of a text: sums over its tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextFeatures {
    /// The greatest log-likelihood over a family of decodings, nats.
    pub deployed: f64,
    /// The greatest log-likelihood over the untruncated model at T = 1.14, 1 and 0.89, nats: how well the model
    /// explains the text, whatever the decoding.
    pub untruncated: f64,
    /// The entropy at T = 1, nats: how well the model expected to explain it.
    pub entropy: f64,
    /// The varentropy at T = 1, nat².
    pub varentropy: f64,
    /// The logits of the probe; none if it reads another model's states.
    pub probe: Option<[f64; LOGITS]>,
}

impl TextFeatures {
    /// The standard deviation of the surprisal, nats; at least 1.
    fn deviation(&self) -> f64 {
        self.varentropy.max(1.0).sqrt()
    }
}

/// A model's features of the first 20, 30, … words of a text, without the skipped words: one entry for each of
/// [`LENGTHS`] that the text reaches. The scores may also be of a longer text that begins with this one.
///
/// `decodings` are those of the family; see [`LnLikelihoods::covers`]. `scores` must have figures at an inverse
/// temperature of 1.
pub fn text_features(text: &str, scores: &TextScores, decodings: &[SamplingParams]) -> Vec<TextFeatures> {
    let ends = word_ends(text);
    let cuts: Vec<usize> = LENGTHS
        .iter()
        .map_while(|&words| ends.get(words - 1).copied())
        .collect();
    let spans = scores.spans.get(scores.first_scored..).unwrap_or_default();
    // However long the text is, nothing after the last cut is looked at.
    let last = cuts.last().copied().unwrap_or(0);
    let within = spans.partition_point(|span| span.end <= last);
    let skipped = match SKIPPED_WORDS.checked_sub(1).and_then(|word| ends.get(word)) {
        Some(&end) => spans.partition_point(|span| span.end <= end),
        None => 0,
    };
    let family = LnLikelihoods::of_first(within, scores, decodings);
    let Some(at_one) = scores.beta_index(1.0).map(|beta| scores.at(beta)) else {
        return Vec::new();
    };
    let rows = family.rows().zip(&scores.decoding).zip(at_one).zip(spans);
    let mut rows = rows.skip(skipped).peekable();
    let mut deployed = vec![0.0; family.decodings()];
    let mut untruncated = [0.0; SPACE.len()];
    let (mut entropy, mut varentropy) = (0.0, 0.0);
    let at = |cut: usize| {
        while let Some((((row, stats), at_one), _)) = rows.next_if(|(_, span)| span.end <= cut) {
            for (total, &ln_p) in deployed.iter_mut().zip(row) {
                *total += f64::from(ln_p);
            }
            for (total, &point) in untruncated.iter_mut().zip(&SPACE) {
                *total += ln_p_at(stats, point);
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
            probe: scores
                .logits(spans.partition_point(|span| span.end <= cut))
                .map(|logits| logits.map(hundredths)),
        }
    };
    cuts.into_iter().map(at).collect()
}

/// Calibrations hold tenths of a nat. The text at hand is rounded in the same way: all scores must follow one rule, or
/// their ranks are not exchangeable.
fn tenths(nats: f64) -> f64 {
    (nats * 10.0).round() / 10.0
}

/// The same for logits.
fn hundredths(logit: f64) -> f64 {
    (logit * 100.0).round() / 100.0
}

/// `ln p` of the seen token at a point of the temperature grid, nats.
pub fn ln_p_at(stats: &DecodingStats, point: usize) -> f64 {
    TEMPERATURE_GRID[point] * f64::from(stats.seen) - f64::from(stats.ln_z[point])
}

/// Byte offsets at which the words of a text end. A word is a stretch between white space.
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

/// The most bytes of a beginning: more than three times the length of 150 words of English prose. A longer stretch has
/// no words, such as a picture made of letters or a language without spaces, and is outside all calibrations.
const BEGINNING_BYTES: usize = 4096;

/// The part of a text that is judged if its prompt is unknown: the first 150 words (the last of [`LENGTHS`]), at most
/// 4,096 bytes.
pub fn beginning(text: &str) -> &str {
    let text = &text[..text.floor_char_boundary(BEGINNING_BYTES)];
    let ends = word_ends(text);
    let end = ends.get(LENGTHS[LENGTHS.len() - 1] - 1).or(ends.last());
    &text[..end.copied().unwrap_or(0)]
}

/// The weight of the strongest model's lead over all others in [`typicality`]. The strongest model explains
/// human-written texts best, so its lead says little, and a weaker model's lead says much. Chosen by measured power
/// (docs/VALIDITY.md).
pub const LEAD_OF_STRONGEST: f64 = 0.5;
/// The weight of any other model's lead.
pub const LEAD_OF_OTHERS: f64 = 2.0;

/// For each model, how typical each of the texts is of its own writing, in standard deviations of the text's surprisal:
///
/// ```text
/// (D + H + c·(U - U'))/sqrt(V)
/// ```
///
/// D is the log-likelihood under the model as deployed, H the entropy and V the varentropy. So D + H says how much
/// likelier the text is than the model expects of its own untruncated writing. U - U' is the model's lead: how much
/// better it explains the text untruncated than the best other model does. The lead is weighted by
/// [`LEAD_OF_STRONGEST`] or [`LEAD_OF_OTHERS`]. The strongest model is the one that explains all of the texts together
/// best. The order of the texts does not change which one it is, so these scores are exchangeable if the texts are.
pub fn typicality(texts: &[Vec<TextFeatures>]) -> Vec<Vec<f64>> {
    let models = texts.first().map_or(0, Vec::len);
    let total = |model: usize| texts.iter().map(|text| text[model].untruncated).sum::<f64>();
    let strongest = (0..models).max_by(|&a, &b| total(a).total_cmp(&total(b)));
    let of_model = |model: usize| {
        let weight = if strongest == Some(model) {
            LEAD_OF_STRONGEST
        } else {
            LEAD_OF_OTHERS
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

/// Whether what the models say about a text includes the probe's logits.
pub(crate) fn is_probed(models: &[TextFeatures]) -> bool {
    models.iter().any(|model| model.probe.is_some())
}

/// The figures that a fitted score looks at: five for each model, three for each two neighbouring models, and, if it looks at
/// the probe, the logits.
///
/// Of a model: how much likelier the text is than the model expects of its own untruncated writing, first as deployed and
/// then untruncated, both in standard deviations of the text's surprisal; the entropy, nats; the logarithm of that
/// standard deviation; and how much likelier the text is as deployed than untruncated, nats. Of two models: the differences
/// of their log-likelihoods, untruncated and as deployed, and of their entropies, nats.
///
/// Texts are compared at one length, so sums over their tokens serve as averages.
pub fn figures(text: &[TextFeatures], with_probe: bool) -> Vec<f64> {
    let logits = text.iter().filter_map(|model| model.probe.filter(|_| with_probe));
    let of_model = |own: &TextFeatures| {
        let deviation = own.deviation();
        [
            (own.deployed + own.entropy) / deviation,
            (own.untruncated + own.entropy) / deviation,
            own.entropy,
            deviation.ln(),
            own.deployed - own.untruncated,
        ]
    };
    let of_two = |two: &[TextFeatures]| {
        [
            two[0].untruncated - two[1].untruncated,
            two[0].entropy - two[1].entropy,
            two[0].deployed - two[1].deployed,
        ]
    };
    text.iter()
        .flat_map(of_model)
        .chain(text.windows(2).flat_map(of_two))
        .chain(logits.flatten())
        .collect()
}

/// The scores for "model `author` wrote it", each with one value per text, in standard deviations of the text's
/// surprisal. Low values are evidence against the author.
///
/// The first score is how much better the author as deployed explains the text than the best alternative does: every
/// model untruncated, and every other model as deployed. The second is how typical the text is of the author's own
/// writing ([`typicality`]).
pub fn own_scores(texts: &[Vec<TextFeatures>], author: usize) -> Vec<Vec<f64>> {
    let over_alternatives = |models: &Vec<TextFeatures>| {
        let others = models.iter().enumerate().filter(|(i, _)| *i != author);
        let alternative = others
            .map(|(_, model)| model.untruncated.max(model.deployed))
            .fold(models[author].untruncated, f64::max);
        (models[author].deployed - alternative) / models[author].deviation()
    };
    let first = texts.iter().map(over_alternatives).collect();
    let second = typicality(texts).into_iter().nth(author).unwrap_or_default();
    vec![first, second]
}

/// The scores for "a person wrote it", one per model, each with one value per text: how untypical the text is of the
/// model's writing ([`typicality`]). Low values are evidence against a person.
pub fn human_scores(texts: &[Vec<TextFeatures>]) -> Vec<Vec<f64>> {
    let mut scores = typicality(texts);
    scores.iter_mut().flatten().for_each(|score| *score = -*score);
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_stats::{TILT_COUNT, TOP, TokenStats};

    /// From the likelihoods as deployed and untruncated, the entropy and the varentropy.
    fn models(figures: &[[f64; 4]]) -> Vec<TextFeatures> {
        let of = |&[deployed, untruncated, entropy, varentropy]: &[f64; 4]| TextFeatures {
            deployed,
            untruncated,
            entropy,
            varentropy,
            probe: None,
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
        // No deviation counts as less than one nat.
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
    fn a_text_has_five_figures_a_model_and_three_for_two_models() {
        let text = models(&[[-10.0, -12.0, 9.0, 4.0], [-15.0, -11.0, 7.0, 25.0]]);
        let of_models = [-0.5, -1.5, 9.0, 2f64.ln(), 2.0, -1.6, -0.8, 7.0, 5f64.ln(), -4.0];
        let expected = [&of_models[..], &[-1.0, 2.0, 5.0]].concat();
        let found = figures(&text, false);
        assert_eq!(found.len(), expected.len());
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| (found - expected).abs() < 1e-12)
        );
        assert_eq!(figures(&text[..1], false).len(), 5);
    }

    #[test]
    fn the_logits_of_a_text_are_means_over_its_tokens_without_the_first() {
        let words = 30;
        let text = "ab ".repeat(words);
        let scores = TextScores {
            model: "toy".into(),
            vocab: 9,
            symbols: [0; 32],
            ids: vec![0; words],
            spans: (0..words).map(|i| (3 * i).saturating_sub(1)..3 * i + 2).collect(),
            first_scored: 0,
            betas: vec![1.0],
            ranks: vec![1; words],
            stats: vec![
                TokenStats {
                    surprisal: 1.0,
                    entropy: 1.0,
                    varentropy: 1.0,
                    ln_space_mass: 0.0,
                    cgf: [0.0; TILT_COUNT],
                };
                words
            ],
            decoding: vec![
                DecodingStats {
                    ln_z: [0.0; TEMPERATURE_GRID.len()],
                    ln_above: Default::default(),
                    ln_space: Default::default(),
                    top: [0.0; TOP],
                    seen: -1.0,
                };
                words
            ],
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: (0..words).map(|i| [i as f32, -1.0, 0.333]).collect(),
        };
        let features = |scores: &TextScores| text_features(&text, scores, &[SamplingParams::untruncated(1.0)]);
        let logits: Vec<_> = features(&scores).iter().map(|features| features.probe).collect();
        // The tokens 3 to 19, and 3 to 29.
        assert_eq!(logits, [Some([11.0, -1.0, 0.33]), Some([16.0, -1.0, 0.33])]);
        let unread = TextScores {
            probed: Vec::new(),
            ..scores
        };
        assert!(features(&unread).iter().all(|features| features.probe.is_none()));
        let read = |probe| {
            [TextFeatures {
                probe,
                ..features(&unread)[0]
            }]
        };
        let figures = |probe, with_probe| figures(&read(probe), with_probe).len();
        assert_eq!(
            [figures(Some([0.0; LOGITS]), true), figures(Some([0.0; LOGITS]), false)],
            [8, 5]
        );
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
