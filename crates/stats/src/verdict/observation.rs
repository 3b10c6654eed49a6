//! The observation of one text that a decision rests on: figures only.

use super::caveats::Outside;
use super::domain_check::{DomainCheck, OutsideDomain};
use super::hypothesis::Candidate;
use super::settings::{DecisionSettings, PromptKnowledge};
use crate::calibration::{CalibratedModel, Place};
use crate::conformal_scores::{LENGTHS, TextFeatures, beginning, is_probed, text_features, word_ends};
use crate::sampling_params::SamplingFamily;
use crate::token_stats::TextScores;
use crate::truncated_likelihood::members;
use std::collections::{BTreeMap, HashSet};

/// One text, as [`decide`](super::decide) sees it.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// The number of words of the text.
    pub words: usize,
    /// The number of scored tokens, under the model that scored most.
    pub scored_tokens: usize,
    /// Why the text is of another kind than the calibration texts; none if it is of their kind.
    pub outside: Option<OutsideDomain>,
    /// The readers: models whose features of the text are compared with those of calibration texts.
    pub readers: &'a [CalibratedModel],
    /// By family: at every length that the text reaches, the features under each reader, in their order.
    pub features: Vec<(SamplingFamily, Vec<Vec<TextFeatures>>)>,
    /// Models that predict a stretch of the text so well that it may be a known text.
    pub memorised: Vec<String>,
    /// Whether the text repeats itself so much that little else is left of it.
    pub repeats: bool,
    /// Where it stands in the text that it is a piece of.
    pub place: Place,
    /// The number of pieces of that text.
    pub pieces: usize,
    /// The scores of every token after the known prompt; none if the prompt is unknown.
    pub prompted: Option<Prompted<'a>>,
}

/// A text that was scored after its prompt. The theorems apply to it.
#[derive(Clone, Copy, Debug)]
pub struct Prompted<'a> {
    /// The text.
    pub text: &'a str,
    /// Each model's scores, by its name.
    pub scores: &'a BTreeMap<String, TextScores>,
}

/// A text's scores without its prompt, computed as for the calibration texts.
#[derive(Clone, Copy, Debug)]
pub struct Unprompted<'a> {
    /// The text, or the piece of it that is judged.
    pub text: &'a str,
    /// The models, with what they were asked.
    pub models: &'a [CalibratedModel],
    /// Their scores of `text`, or of its [`beginning`], at an inverse temperature of 1.
    pub scores: &'a BTreeMap<String, TextScores>,
    /// Where it stands in the text that it is a piece of.
    pub place: Place,
    /// The number of pieces of that text.
    pub pieces: usize,
}

impl<'a> Observation<'a> {
    /// Reduces a scored text to what the decision needs.
    ///
    /// `scores` holds each model's scores, after the prompt if it is known. Calibrations use `unprompted`, even if the
    /// prompt is known: a text that its prompt gives away is predictable to every model, which says nothing about its
    /// author.
    pub fn new(
        text: &'a str,
        scores: &'a BTreeMap<String, TextScores>,
        unprompted: Unprompted<'a>,
        candidates: &[Candidate],
        settings: &DecisionSettings,
    ) -> Self {
        // Calibration texts are also checked by their beginnings.
        let beginning = beginning(unprompted.text);
        let is_prompted = settings.prompt == PromptKnowledge::Known && unprompted.place != Place::Later;
        let outside = DomainCheck::of(beginning).outside();
        let mut features: Vec<(SamplingFamily, Vec<Vec<TextFeatures>>)> = Vec::new();
        if outside.is_none() {
            // A person, and the range of the calibrations, are tested under the deployed family.
            let mut families = vec![&SamplingFamily::Deployed];
            if !is_prompted {
                let is_calibrated = |family: &&SamplingFamily| {
                    let name = family.to_string();
                    settings.calibrations.iter().any(|known| known.family == name)
                };
                let decodings = candidates.iter().map(|candidate| &candidate.decoding);
                families.extend(decodings.filter(is_calibrated));
            }
            for family in families {
                if !features.iter().any(|(known, _)| known == family) {
                    features.push((family.clone(), features_under(beginning, unprompted, family)));
                }
            }
        }
        let of_piece = unprompted.scores;
        let repeated: Vec<Vec<bool>> = of_piece.values().map(|scores| repeated(&scores.ids)).collect();
        Self {
            words: word_ends(unprompted.text).len(),
            scored_tokens: scores.values().map(TextScores::scored).max().unwrap_or(0),
            outside,
            readers: unprompted.models,
            memorised: memorised(of_piece, &repeated),
            repeats: repeated.iter().any(|repeated| repeats(repeated)),
            place: match unprompted.place {
                // It does not end before the longest length.
                Place::Whole if features.iter().any(|(_, lengths)| lengths.len() == LENGTHS.len()) => Place::Beginning,
                place => place,
            },
            pieces: unprompted.pieces,
            features,
            prompted: is_prompted.then_some(Prompted { text, scores }),
        }
    }

    /// The features under a family, at every length that the text reaches; empty if they were not computed.
    pub(super) fn features_under(&self, family: &SamplingFamily) -> &[Vec<TextFeatures>] {
        let found = self.features.iter().find(|(known, _)| known == family);
        found.map_or(&[], |(_, features)| features)
    }

    /// Whether the probe has read the text.
    pub(super) fn is_probed(&self) -> bool {
        let mut lengths = self.features.iter().flat_map(|(_, lengths)| lengths);
        lengths.any(|models| is_probed(models))
    }

    /// The index of a reader by its name.
    pub(super) fn reader(&self, name: &str) -> Option<usize> {
        self.readers.iter().position(|model| model.name == name)
    }

    /// [`Self::outside`] as a caveat.
    pub(super) fn outside_domain(&self) -> Option<Outside> {
        self.outside.map(Outside::Domain)
    }
}

/// At every length that the beginning reaches, the features under each model; empty if one of them did not score it.
fn features_under(beginning: &str, unprompted: Unprompted, family: &SamplingFamily) -> Vec<Vec<TextFeatures>> {
    let Unprompted { models, scores, .. } = unprompted;
    let decodings = members(family);
    let by_model: Option<Vec<Vec<TextFeatures>>> = models
        .iter()
        .map(|model| Some(text_features(beginning, scores.get(&model.name)?, &decodings)))
        .collect();
    let by_model = by_model.unwrap_or_default();
    let reached = by_model.iter().map(Vec::len).min().unwrap_or(0);
    (0..reached)
        .map(|length| by_model.iter().map(|lengths| lengths[length]).collect())
        .collect()
}

/// The length, in tokens, of the stretches that are checked for a known text.
const KNOWN_STRETCH: usize = 40;
/// A text may be memorised if the mean surprisal of such a stretch is below this, nat a token. Genesis, the Gettysburg
/// Address and the opening of A Tale of Two Cities have 0.3 to 0.55 under gemma-3-270m; docs/VALIDITY.md has the share
/// of other texts.
const KNOWN_BELOW: f64 = 0.6;
/// A model that samples at a low temperature surprises itself less than it expects, throughout: 0.5 to 0.65 times as much
/// in the texts at temperatures 0.2 and 0.7 that come nearest to such a stretch. A known text surprises it 0.74 to 0.98
/// times as much as it expects: it is certain of what follows, and right (docs/VALIDITY.md).
const KNOWN_ABOVE: f64 = 0.72;
/// The length, in tokens, of a run that occurred before in the text and so counts as repeated.
const REPEATED_RUN: usize = 8;

/// Whether each token of a text is part of a run that occurred before.
fn repeated(ids: &[u32]) -> Vec<bool> {
    let mut repeated = vec![false; ids.len()];
    let mut seen = HashSet::new();
    for (at, run) in ids.windows(REPEATED_RUN).enumerate() {
        if !seen.insert(run) {
            repeated[at..at + REPEATED_RUN].fill(true);
        }
    }
    repeated
}

/// Whether most of a text repeats what stood in it before, and what is left is too little to be judged.
fn repeats(repeated: &[bool]) -> bool {
    let count = repeated.iter().filter(|repeated| **repeated).count();
    repeated.len() - count < KNOWN_STRETCH && count > repeated.len() / 2
}

/// The models that predict a stretch of the text as well as one that they have memorised. What the text repeats is not
/// looked at: every model predicts it. `repeated` says for each model which tokens that are.
fn memorised(scores: &BTreeMap<String, TextScores>, repeated: &[Vec<bool>]) -> Vec<String> {
    let is_known = |scores: &TextScores, repeated: &[bool]| -> Option<bool> {
        let stats = scores.at(scores.beta_index(1.0)?);
        let new: Vec<(f64, f64)> = stats
            .zip(repeated.iter().skip(scores.first_scored))
            .filter(|(_, repeated)| !**repeated)
            .map(|(stats, _)| (stats.surprisal, stats.entropy))
            .collect();
        let sums = new
            .windows(KNOWN_STRETCH)
            .map(|stretch| stretch.iter().map(|(s, _)| s).sum::<f64>());
        let least = sums.min_by(f64::total_cmp)?;
        let (surprisal, entropy) = new.iter().fold((0.0, 0.0), |sum, new| (sum.0 + new.0, sum.1 + new.1));
        Some(least < KNOWN_BELOW * KNOWN_STRETCH as f64 && surprisal > KNOWN_ABOVE * entropy)
    };
    let texts = scores.iter().zip(repeated);
    let known = texts.filter(|((_, scores), repeated)| is_known(scores, repeated) == Some(true));
    known.map(|((model, _), _)| model.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token_stats::{TILT_COUNT, TokenStats};

    fn scores(surprisals: impl Iterator<Item = f64>) -> BTreeMap<String, TextScores> {
        let stats: Vec<TokenStats> = surprisals
            .map(|surprisal| TokenStats {
                surprisal,
                entropy: 1.0,
                varentropy: 1.0,
                ln_space_mass: 0.0,
                cgf: [0.0; TILT_COUNT],
            })
            .collect();
        let scores = TextScores {
            model: "toy".into(),
            vocab: 9,
            symbols: [0; 32],
            ids: (0..stats.len() as u32).collect(),
            spans: (0..stats.len()).map(|i| i..i + 1).collect(),
            first_scored: 0,
            betas: vec![1.0],
            ranks: vec![1; stats.len()],
            stats,
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
        };
        BTreeMap::from([("toy".to_owned(), scores)])
    }

    fn memorised(scores: &BTreeMap<String, TextScores>) -> Vec<String> {
        super::memorised(scores, &[repeated(&scores["toy"].ids)])
    }

    fn repeats(scores: &TextScores) -> bool {
        super::repeats(&repeated(&scores.ids))
    }

    #[test]
    fn a_stretch_known_by_heart_is_found_wherever_it_stands() {
        let known = |from: usize| scores((0..200).map(move |i| if (from..from + 45).contains(&i) { 0.4 } else { 3.0 }));
        for from in [0, 77, 155] {
            assert_eq!(memorised(&known(from)), ["toy"]);
        }
        assert!(memorised(&scores((0..200).map(|i| f64::from(i % 7)))).is_empty());
        assert!(memorised(&scores((0..30).map(|_| 0.1))).is_empty());
    }

    #[test]
    fn low_temperatures_and_repetition_are_no_memory() {
        // Half as surprised as expected, everywhere.
        assert!(memorised(&scores((0..200).map(|_| 0.5))).is_empty());
        let mut looped = scores((0..200).map(|i| if i < 60 { 3.0 } else { 0.01 }));
        let ids = (0..60).chain((0..140).map(|i| 40 + i % 20));
        looped.get_mut("toy").unwrap().ids = ids.collect();
        assert!(memorised(&looped).is_empty() && !repeats(&looped["toy"]));
        looped.get_mut("toy").unwrap().ids = (0..200).map(|i| i % 20).collect();
        assert!(memorised(&looped).is_empty() && repeats(&looped["toy"]));
        assert!(!repeats(&scores((0..30).map(|_| 1.0))["toy"]));
    }
}
