//! A text held against texts by known authors: the score, and what it is ranked among.

use super::probe::Probe;
use super::{
    Calibration, Group, KnownText, LEAST_DOCUMENTS, Place, is_for_fit, least_documents, least_p_value, random,
};
use crate::conformal;
use crate::conformal_scores::{LEAST_PIECE, LENGTHS, TextFeatures, figures, human_scores, is_probed, own_scores};
use crate::e_bh::least_rejections;
use crate::logistic_regression::{Example, LogisticRegression};
use std::collections::{BTreeMap, HashMap};
use std::ops::Deref;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The calibrations of a run, and the scores that have been fitted to them. Each score is fitted once.
#[derive(Debug)]
pub struct Calibrations {
    known: Vec<Calibration>,
    /// With what probability over calibrations an author's error must be kept; none if the mean over calibrations is enough.
    confidence: Option<f64>,
    /// For each calibration, length and place. Every text that is judged asks for some, and counting
    /// documents takes time.
    counts: Vec<[[OnceLock<Counts>; Place::COUNT]; LENGTHS.len()]>,
    fits: Mutex<HashMap<FitKey, Option<Arc<Fit>>>>,
}

/// The authors of a fit, in their order, and what it is fitted to.
type FitKey = (Vec<Member>, FitKind);

/// An author in a comparison.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Member {
    /// The index of its calibration.
    pub calibration: usize,
    /// The index in [`Calibration::models`] of each model that is compared, in the order of the text's features.
    pub columns: Vec<usize>,
}

/// The length at which a text is compared with an author's texts, with which of them, and the kind of score. None of these
/// depends on anything in the text but its length and whether the probe has read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The groups of this place are compared.
    pub place: Place,
    /// The index into [`LENGTHS`].
    pub class: usize,
    /// Whether the score is fitted to texts of all authors. If not, or if the fit fails, it needs no texts by others.
    pub fitted: bool,
    /// Whether a fitted score looks at the probe's logits.
    pub probed: bool,
    /// The number of documents (or prompts) that are compared, in the smallest group.
    pub documents: usize,
}

/// What a score is fitted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FitKind {
    /// The index of the length in [`LENGTHS`].
    class: usize,
    /// Whether it knows texts that end early.
    with_early: bool,
    /// Whether it looks at the probe's logits, and so knows only texts that have them.
    probed: bool,
}

/// How many documents of a calibration have texts of a length.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// In the smallest group.
    documents: usize,
    /// Of them, those that are not part of the fit; in the group that has fewest.
    compared: usize,
    /// Whether any document of any group is part of the fit.
    has_fit: bool,
    /// Whether any of them has the probe's logits.
    has_probed_fit: bool,
    /// Whether all texts of this length have them.
    all_probed: bool,
}

/// What a calibration says about one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Conformal {
    /// The largest of the groups' p-values.
    pub p_value: f64,
    /// The text's score in the nearest group; low scores are evidence against the author. If the score is fitted, it is
    /// how much likelier the text is the author's than anyone else's, nats. Otherwise it is in standard deviations of the
    /// text's surprisal.
    pub score: f64,
    /// By this score alone, the author is excluded below this; minus infinity if no score is low enough.
    pub threshold: f64,
    /// The number of calibration texts that it is compared with, one of each document, over all groups.
    pub texts: usize,
    /// The name of the group nearest to the text.
    pub group: String,
    /// The same rank among the documents of the fit; none without a fit. It tells roughly what the p-value will be and
    /// depends on no document that the p-value depends on. It is no p-value: these documents made the score.
    pub by_fit: Option<f64>,
}

/// A score fitted to texts of several authors, and the scores of one text of each document.
#[derive(Debug)]
struct Fit {
    regression: LogisticRegression,
    /// For each author and group, the scores of the texts that a text is ranked among.
    compared: Vec<Vec<Vec<f64>>>,
    /// For each author and group, the scores of texts that the score was fitted to.
    fitted: Vec<Vec<Vec<f64>>>,
}

impl Clone for Calibrations {
    fn clone(&self) -> Self {
        Self::with_confidence(self.known.clone(), self.confidence)
    }
}

impl From<Vec<Calibration>> for Calibrations {
    fn from(known: Vec<Calibration>) -> Self {
        Self::with_confidence(known, None)
    }
}

impl Deref for Calibrations {
    type Target = [Calibration];

    fn deref(&self) -> &[Calibration] {
        &self.known
    }
}

impl Calibrations {
    /// Calibrations that exclude an author only if the error is kept with this probability over calibrations. Only scores
    /// that are fitted then exclude anybody: the others are not fixed before the texts are compared.
    pub fn with_confidence(known: Vec<Calibration>, confidence: Option<f64>) -> Self {
        Self {
            confidence,
            counts: known.iter().map(|_| Default::default()).collect(),
            known,
            fits: Mutex::default(),
        }
    }

    /// The confidence with which an author's error is kept; none for its mean over calibrations.
    pub fn confidence(&self) -> Option<f64> {
        self.confidence
    }

    /// How a text at a place that reaches this many of [`LENGTHS`] is compared with an author's texts, if `others` are all
    /// other possible authors. None if every length has a group with texts in fewer than [`LEAST_DOCUMENTS`] documents.
    ///
    /// At each length, the score is fitted if every author has texts for the fit, and enough other documents are left for
    /// the author to be excluded at `level`. Among the lengths it is the one whose least p-value comes nearest to the
    /// level `of_length` ([`least_rejections`]), and the longest of several.
    pub fn comparison(
        &self,
        author: &Member,
        others: &[Member],
        place: Place,
        reached: usize,
        level: f64,
        of_length: f64,
    ) -> Option<Comparison> {
        let at = |class: usize| {
            let Counts {
                documents,
                compared,
                all_probed,
                ..
            } = self.counts(author, class, place);
            let all = |has: fn(&Counts) -> bool| {
                let mut authors = others.iter().chain([author]);
                authors.all(|member| has(&self.counts(member, class, place)))
            };
            let fitted = !others.is_empty()
                && compared >= least_documents(level, self.confidence)
                && all(|counts| counts.has_fit);
            Comparison {
                place,
                class,
                fitted,
                probed: fitted && all_probed && self.has_probed_model(author) && all(|counts| counts.has_probed_fit),
                documents: if fitted || self.confidence.is_some() {
                    compared
                } else {
                    documents
                },
            }
        };
        let lengths = (0..reached.min(LENGTHS.len())).rev().map(at);
        // Of several minima the first is taken, which is the longest.
        lengths
            .filter(|comparison| comparison.documents >= LEAST_DOCUMENTS)
            .min_by_key(|comparison| {
                let least = least_p_value(comparison.documents, self.confidence);
                // With a confidence, only a fitted score excludes anybody.
                let is_void = self.confidence.is_some() && !comparison.fitted;
                (is_void, least_rejections(least, of_length))
            })
    }

    /// Whether the model that the probe reads is among those that are compared.
    fn has_probed_model(&self, member: &Member) -> bool {
        let models = &self.known[member.calibration].models;
        let mut compared = member.columns.iter().map(|column| &models[*column]);
        compared.any(|model| *model == Probe::built_in().model)
    }

    /// Whether later pieces of a text, which have [`LEAST_PIECE`] words or more, can be compared with enough documents of an
    /// author.
    pub fn knows_later_pieces(&self, author: &Member) -> bool {
        let class = LENGTHS.iter().take_while(|length| **length < LEAST_PIECE).count();
        self.counts(author, class, Place::Later).documents >= LEAST_DOCUMENTS
    }

    fn counts(&self, member: &Member, class: usize, place: Place) -> Counts {
        let calibration = &self.known[member.calibration];
        *self.counts[member.calibration][class][place as usize].get_or_init(|| Counts {
            documents: calibration.fewest(class, place),
            compared: calibration.fewest_compared(class, place),
            has_fit: calibration.has_texts_for_fit(class, false),
            has_probed_fit: calibration.has_texts_for_fit(class, true),
            all_probed: calibration
                .features_at(class, place, false)
                .all(|features| is_probed(features)),
        })
    }

    /// The conformal p-value of a text, given its features at the length of the comparison under the models of `author`.
    ///
    /// `own` is the index of the author's model among them; none for people. `others` are as in [`Self::comparison`].
    pub fn judge(
        &self,
        author: &Member,
        others: &[Member],
        comparison: Comparison,
        text: &[TextFeatures],
        own: Option<usize>,
        level: f64,
    ) -> Option<Conformal> {
        let calibration = &self.known[author.calibration];
        let class = comparison.class;
        let groups: Vec<(usize, &Group)> = calibration
            .groups
            .iter()
            .enumerate()
            .filter(|(_, group)| group.covers(comparison.place))
            .collect();
        let fit = comparison
            .fitted
            .then(|| self.fit(author, others, comparison))
            .flatten();
        let (ranked, by_fit): (Vec<Ranked>, Option<f64>) = if let Some((fit, of_author)) = fit {
            let score = fit.regression.ln_odds(of_author, &figures(text, comparison.probed));
            let rank = |known: &Vec<f64>| conformal::p_of_low(known, score);
            let fitted = groups.iter().map(|(place, _)| &fit.fitted[of_author][*place]);
            let compared = groups.iter().map(|(place, _)| &fit.compared[of_author][*place]);
            let by_fit = fitted.map(rank).fold(0.0, f64::max);
            let ranked = compared.map(|known| {
                let p_value = rank(known);
                let (p_value, level) = self.confidence.map_or((p_value, level), |confidence| {
                    (
                        conformal::confident_p(p_value, known.len(), confidence),
                        conformal::level_of_confident(level, known.len(), confidence),
                    )
                });
                Ranked::new(known, score, p_value, level)
            });
            (ranked.collect(), Some(by_fit))
        } else if self.confidence.is_some() {
            return None;
        } else {
            // If the fit fails, the documents of the fit have decided it.
            let meets = |document: &str| !comparison.fitted || !is_for_fit(document);
            let groups = groups.iter().map(|(_, group)| group.drawn(class, meets));
            let ranked = groups.map(|known| by_fixed_scores(&known, &author.columns, class, text, own, level));
            (ranked.collect(), None)
        };
        let p_values: Vec<f64> = ranked.iter().map(|ranked| ranked.p_value).collect();
        let (p_value, nearest) = conformal::largest_p_value(&p_values);
        let nearest = nearest?;
        Some(Conformal {
            p_value,
            score: ranked[nearest].score,
            threshold: ranked[nearest].threshold,
            texts: ranked.iter().map(|ranked| ranked.among).sum(),
            group: groups[nearest].1.name.clone(),
            by_fit,
        })
    }

    /// The score fitted to the texts of these authors, and the author's place among them. None if it cannot be fitted.
    fn fit(&self, author: &Member, others: &[Member], comparison: Comparison) -> Option<(Arc<Fit>, usize)> {
        let mut members: Vec<Member> = others.iter().chain([author]).cloned().collect();
        members.sort();
        let place = members.iter().position(|member| member == author)?;
        // An author with texts that end early is judged by a score that has learnt from them. The others keep the score that
        // tells them apart best.
        let mut own = self.known[author.calibration].groups.iter();
        let with_early = comparison.place == Place::Whole && own.any(|group| group.place == Some(Place::Whole));
        let kind = FitKind {
            class: comparison.class,
            with_early,
            probed: comparison.probed,
        };
        // A fit either is in the map or is not, even if a thread died while it held the lock.
        let mut fits = self.fits.lock().unwrap_or_else(PoisonError::into_inner);
        let fit = fits
            .entry((members.clone(), kind))
            .or_insert_with(|| Fit::new(&self.known, &members, kind).map(Arc::new));
        Some((fit.clone()?, place))
    }
}

impl Fit {
    fn new(known: &[Calibration], members: &[Member], kind: FitKind) -> Option<Self> {
        let FitKind {
            class,
            with_early,
            probed,
        } = kind;
        // One score judges the beginning and all later pieces, and it is learnt from beginnings.
        let learnt_from = if with_early { Place::Whole } else { Place::Beginning };
        let mut examples = Vec::new();
        for (author, member) in members.iter().enumerate() {
            let groups = known[member.calibration].groups_at(learnt_from);
            let groups: Vec<Vec<(&KnownText, f64)>> = groups
                .map(|group| group.for_fit(class, probed))
                .filter(|texts| !texts.is_empty())
                .collect();
            for (text, share) in groups.iter().flatten() {
                examples.push(Example {
                    figures: figures(&text.at(class, &member.columns), probed),
                    author,
                    // Each author counts the same, and so does each of its groups, and each document of a group.
                    weight: share / groups.len() as f64,
                });
            }
        }
        let regression = LogisticRegression::fit(&examples, members.len())?;
        let scores = |of_fit: bool| {
            let of_author = |(author, member): (usize, &Member)| {
                let of_group = |group: &Group| {
                    let texts = group
                        .drawn(class, |document| is_for_fit(document) == of_fit)
                        .into_iter();
                    let score = |text: &KnownText| {
                        regression.ln_odds(author, &figures(&text.at(class, &member.columns), probed))
                    };
                    texts
                        .filter(|text| !probed || text.is_probed(class))
                        .map(score)
                        .collect()
                };
                known[member.calibration].groups.iter().map(of_group).collect()
            };
            members.iter().enumerate().map(of_author).collect()
        };
        Some(Self {
            compared: scores(false),
            fitted: scores(true),
            regression,
        })
    }
}

impl Calibration {
    fn has_texts_for_fit(&self, class: usize, probed: bool) -> bool {
        let beginnings = self.groups_at(Place::Beginning);
        let mut texts = beginnings.flat_map(|group| group.texts_reaching(class));
        texts.any(|(_, text)| is_for_fit(&text.document) && (!probed || text.is_probed(class)))
    }
}

impl Group {
    /// One text of each document among the texts that reach a length, of the documents whose names meet a condition.
    ///
    /// The text at hand is one text of its document, whose others nobody knows. So of each document one text is
    /// compared, drawn at random. The draw is the same in every run, and looks at nothing but the place of the text.
    fn drawn(&self, class: usize, meets: impl Fn(&str) -> bool) -> Vec<&KnownText> {
        let mut drawn: BTreeMap<&str, (u64, &KnownText)> = BTreeMap::new();
        for (at, text) in self.texts_reaching(class).filter(|(_, text)| meets(&text.document)) {
            let ticket = random(at as u64);
            let best = drawn.entry(&text.document).or_insert((ticket, text));
            if ticket < best.0 {
                *best = (ticket, text);
            }
        }
        drawn.into_values().map(|(_, text)| text).collect()
    }

    /// The texts of a length that are part of the fit, each with its share of the group: every document has the same. If the
    /// fit looks at the probe's logits, texts without them are left out.
    fn for_fit(&self, class: usize, probed: bool) -> Vec<(&KnownText, f64)> {
        let texts = self.texts_reaching(class).map(|(_, text)| text);
        let is_known = |text: &&KnownText| is_for_fit(&text.document) && (!probed || text.is_probed(class));
        let texts: Vec<&KnownText> = texts.filter(is_known).collect();
        let mut pieces: HashMap<&str, f64> = HashMap::new();
        for text in &texts {
            *pieces.entry(&text.document).or_default() += 1.0;
        }
        let documents = pieces.len() as f64;
        texts
            .into_iter()
            .map(|text| (text, 1.0 / (documents * pieces[text.document.as_str()])))
            .collect()
    }
}

/// A score, and where it ranks in a group.
struct Ranked {
    p_value: f64,
    score: f64,
    threshold: f64,
    among: usize,
}

impl Ranked {
    fn new(known: &[f64], score: f64, p_value: f64, level: f64) -> Self {
        Self {
            p_value,
            score,
            threshold: conformal::threshold_of_low(known, level),
            among: known.len(),
        }
    }
}

/// The rank by scores that need no texts by other authors.
fn by_fixed_scores(
    known: &[&KnownText],
    columns: &[usize],
    class: usize,
    text: &[TextFeatures],
    own: Option<usize>,
    level: f64,
) -> Ranked {
    let mut texts: Vec<Vec<TextFeatures>> = known.iter().map(|known| known.at(class, columns)).collect();
    texts.push(text.to_vec());
    let scores = match own {
        Some(own) => own_scores(&texts, own),
        None => human_scores(&texts),
    };
    let p_value = conformal::p_of_low_jointly(&scores);
    match scores.first().and_then(|first| first.split_last()) {
        Some((score, known)) => Ranked::new(known, *score, p_value, level),
        None => Ranked::new(&[], f64::NAN, p_value, level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::CalibratedModel;
    use crate::{ROUNDING, clopper_pearson};
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A text of 20 words as one model sees it, from three numbers near 0.
    fn text(numbers: [f64; 3]) -> TextFeatures {
        let [likelihood, entropy, varentropy] = numbers;
        TextFeatures {
            deployed: -60.0 + 10.0 * likelihood,
            untruncated: -60.0 + 8.0 * likelihood,
            entropy: 60.0 + 5.0 * entropy,
            varentropy: 90.0 * varentropy.exp(),
            probe: None,
        }
    }

    /// The texts of some documents: for each text, the number of its document.
    fn group(texts: Vec<(usize, TextFeatures)>) -> Group {
        let known = |(document, features)| KnownText {
            id: String::new(),
            document: format!("document {document}"),
            features: vec![vec![features]],
        };
        Group {
            name: String::new(),
            place: None,
            source: String::new(),
            licence: String::new(),
            date: String::new(),
            texts: texts.into_iter().map(known).collect(),
        }
    }

    fn calibration(author: &str, mut groups: Vec<Group>) -> Calibration {
        for (i, group) in groups.iter_mut().enumerate() {
            group.name = format!("group {i}");
        }
        Calibration {
            author: author.to_owned(),
            family: "deployed".to_owned(),
            models: vec![CalibratedModel {
                name: "toy".to_owned(),
                sha256: String::new(),
                request: None,
            }],
            groups,
        }
    }

    /// The same texts as the model reads them whose states the probe reads, with this logit of another model.
    fn probed(mut known: Calibration, logit: impl Fn(usize) -> f64) -> Calibration {
        known.models = vec![Probe::built_in().model.clone()];
        let texts = known.groups.iter_mut().flat_map(|group| &mut group.texts);
        for (i, text) in texts.enumerate() {
            text.features[0][0].probe = Some([logit(i), 0.0, 0.0]);
        }
        known
    }

    /// Texts that nothing but the probe tells apart.
    #[test]
    fn a_score_looks_at_the_probe_if_every_text_that_counts_has_been_read_by_it() {
        let mut rng = StdRng::seed_from_u64(11);
        let own = probed(calibration("own", vec![alone(0.0, 200, &mut rng)]), |i| {
            (i % 7) as f64 / 10.0
        });
        let other = probed(calibration("other", vec![alone(0.0, 200, &mut rng)]), |i| {
            2.0 + (i % 7) as f64 / 10.0
        });
        let of_other = TextFeatures {
            probe: Some([2.3, 0.0, 0.0]),
            ..text([0.0; 3])
        };
        let all = Calibrations::from(vec![own.clone(), other.clone()]);
        let (comparison, found) = judge(&all, &of_other, 0.05);
        assert!(comparison.fitted && comparison.probed);
        assert!(found.p_value < 0.02, "{}", found.p_value);
        // One text of its own that the probe has not read, among those that are compared: nobody is judged by the probe then.
        let mut partly = own.clone();
        let mut texts = partly.groups[0].texts.iter_mut();
        let compared = texts.find(|text| !is_for_fit(&text.document)).unwrap();
        compared.features[0][0].probe = None;
        let (comparison, found) = judge(&Calibrations::from(vec![partly, other.clone()]), &of_other, 0.05);
        assert!(comparison.fitted && !comparison.probed);
        assert!(found.p_value > 0.05, "{}", found.p_value);
        // The other author's texts are in the fit only. Those that the probe has not read are left out of it.
        let mut partly = other;
        for text in partly.groups[0].texts.iter_mut().step_by(2) {
            text.features[0][0].probe = None;
        }
        let (comparison, found) = judge(&Calibrations::from(vec![own, partly]), &of_other, 0.05);
        assert!(comparison.probed && found.p_value < 0.02);
    }

    /// Numbers that are not normal, and higher for a greater `shift`.
    fn numbers(shift: f64, rng: &mut StdRng) -> [f64; 3] {
        [(); 3].map(|()| shift - 0.5 * (1.0 - rng.random::<f64>()).ln() - 0.5)
    }

    /// Documents with one text each.
    fn alone(shift: f64, count: usize, rng: &mut StdRng) -> Group {
        group((0..count).map(|i| (i, text(numbers(shift, rng)))).collect())
    }

    fn member(calibration: usize) -> Member {
        Member {
            calibration,
            columns: vec![0],
        }
    }

    /// What the first calibration says of a text of 20 words, if the others are all other authors.
    fn judge(calibrations: &Calibrations, text: &TextFeatures, level: f64) -> (Comparison, Conformal) {
        let others: Vec<Member> = (1..calibrations.len()).map(member).collect();
        let begins = Place::Beginning;
        let comparison = calibrations
            .comparison(&member(0), &others, begins, 1, level, level)
            .unwrap();
        let judged = calibrations.judge(&member(0), &others, comparison, &[*text], Some(0), level);
        (comparison, judged.unwrap())
    }

    #[test]
    fn a_text_is_held_against_what_all_authors_wrote() {
        let mut rng = StdRng::seed_from_u64(1);
        let own = calibration("own", vec![alone(0.0, 90, &mut rng), alone(0.3, 60, &mut rng)]);
        let other = calibration("other", vec![alone(3.0, 50, &mut rng)]);
        let compared = own.fewest_compared(0, Place::Beginning);
        assert!((30..50).contains(&compared), "{compared}");
        let all = Calibrations::from(vec![own.clone(), other]);
        let (comparison, like_own) = judge(&all, &text([0.1, 0.0, 0.1]), 0.05);
        assert_eq!(
            (comparison.class, comparison.fitted, comparison.documents),
            (0, true, compared)
        );
        assert!(like_own.p_value > 0.2 && like_own.score > like_own.threshold);
        let (_, like_other) = judge(&all, &text([3.0, 2.9, 3.1]), 0.05);
        // Less typical of the author than any of its texts.
        assert_eq!(like_other.p_value, least_p_value(compared, None));
        assert!(like_other.score < 0.0 && like_other.score < like_other.threshold);
        // The documents of the fit are not compared.
        assert!(like_own.texts < 150 && like_own.texts >= 2 * compared);
        // Without other authors there is nothing to fit, and all documents are compared.
        let (comparison, judged) = judge(&Calibrations::from(vec![own.clone()]), &text([0.1, 0.0, 0.1]), 0.05);
        assert_eq!(
            (comparison.fitted, comparison.documents, judged.texts),
            (false, 60, 150)
        );
        // An author without texts of this length cannot be fitted.
        let mut silent = calibration("silent", vec![alone(3.0, 1, &mut rng)]);
        silent.groups[0].texts[0].features.clear();
        assert!(
            !judge(&Calibrations::from(vec![own, silent]), &text([0.1, 0.0, 0.1]), 0.05)
                .0
                .fitted
        );
    }

    #[test]
    fn a_calibration_that_is_too_small_for_a_fit_is_compared_as_a_whole() {
        let mut rng = StdRng::seed_from_u64(4);
        let of = |documents: usize, rng: &mut StdRng| {
            let own = calibration("own", vec![alone(0.0, documents, rng)]);
            let all = Calibrations::from(vec![own, calibration("other", vec![alone(1.0, 50, rng)])]);
            let comparison = all.comparison(&member(0), &[member(1)], Place::Beginning, 1, 0.05, 0.05);
            comparison.map(|comparison| (comparison.fitted, comparison.documents))
        };
        assert_eq!(of(18, &mut rng), None);
        assert_eq!(of(20, &mut rng), Some((false, 20)));
        assert!(of(60, &mut rng).unwrap().0);
    }

    #[test]
    fn a_group_can_be_taken_alone() {
        let mut rng = StdRng::seed_from_u64(2);
        let both = calibration("own", vec![alone(0.0, 30, &mut rng), alone(2.0, 60, &mut rng)]);
        let other = calibration("other", vec![alone(3.0, 50, &mut rng)]);
        let alone = both.only("group 1").unwrap();
        assert_eq!((alone.groups.len(), alone.groups[0].texts.len()), (1, 60));
        let (_, found) = judge(&Calibrations::from(vec![alone, other]), &text([2.0, 2.1, 1.9]), 0.05);
        assert!(found.texts <= 60 && found.group == "group 1");
        assert_eq!(both.only("group 2"), None);
    }

    #[test]
    fn the_length_is_one_at_which_the_level_can_be_reached() {
        let features = text([0.0; 3]);
        let texts = [(2, 80), (5, 30), (7, 20)]
            .iter()
            .flat_map(|&(lengths, count)| vec![lengths; count]);
        let mut own = group(texts.clone().enumerate().map(|(i, _)| (i, features)).collect());
        for (known, lengths) in own.texts.iter_mut().zip(texts) {
            known.features = vec![vec![features]; lengths];
        }
        let all = Calibrations::from(vec![calibration("own", vec![own])]);
        let class = |reached: usize, level: f64| {
            let comparison = all.comparison(&member(0), &[], Place::Beginning, reached, level, level);
            comparison.map(|comparison| comparison.class)
        };
        assert_eq!(class(9, 0.05), Some(6));
        assert_eq!(class(6, 0.05), Some(5));
        assert_eq!(class(9, 0.02), Some(4));
        assert_eq!(class(9, 0.01), Some(1));
        // Texts of 130 documents at 30 words cannot reach this level either, but come nearest.
        assert_eq!(class(9, 0.001), Some(1));
        assert_eq!(class(0, 0.05), None);
        let needed = |confidence: Option<f64>| [0.05, 0.01, 0.5, 0.03].map(|level| least_documents(level, confidence));
        assert_eq!(needed(None), [19, 99, 19, 33]);
        assert_eq!(needed(Some(0.95)), [59, 299, 19, 99]);
    }

    /// Which documents are in the fit says nothing about them, and is the same for every author.
    #[test]
    fn one_document_in_three_is_for_the_fit() {
        let names = (0..30_000).map(|i| format!("essay-{i}"));
        let (low, high) = clopper_pearson(names.filter(|name| is_for_fit(name)).count() as u64, 30_000, 0.999);
        assert!(low < 1.0 / 3.0 && high > 1.0 / 3.0, "{low} {high}");
    }

    /// How often a text by the author is excluded at each level. The author's texts come in documents of up to `pieces`
    /// pieces, which share this part of their variance. The text at hand is a piece of a document of its own. With
    /// `fitted`, so many documents are compared, and up to half as many more are for the fit.
    fn sizes(documents: usize, pieces: usize, shared: f64, fitted: bool, levels: [f64; 3], runs: u64) -> [u64; 3] {
        let mut rng = StdRng::seed_from_u64((1_000 * documents + pieces) as u64);
        let other = calibration("other", vec![alone(0.5, 60, &mut rng)]);
        let mut excluded = [0; 3];
        for _ in 0..runs {
            let mut document = |number: usize| -> Vec<(usize, TextFeatures)> {
                let common = numbers(0.0, &mut rng);
                let count = if pieces == 2 { 2 } else { rng.random_range(1..=pieces) };
                let piece = |rng: &mut StdRng| {
                    let own = numbers(0.0, rng);
                    text(std::array::from_fn(|i| {
                        shared.sqrt() * common[i] + (1.0 - shared).sqrt() * own[i]
                    }))
                };
                (0..count).map(|_| (number, piece(&mut rng))).collect()
            };
            let at_hand = document(0).swap_remove(0).1;
            let (mut for_fit, mut compared) = (0, 0);
            let used = |name: &usize| {
                let is_for_fit = fitted && is_for_fit(&format!("document {name}"));
                let (count, most) = if is_for_fit {
                    (&mut for_fit, documents / 2)
                } else {
                    (&mut compared, documents)
                };
                *count += 1;
                *count <= most
            };
            let names: Vec<usize> = (0..4 * documents + 20).filter(used).collect();
            let own = calibration("own", vec![group(names.into_iter().flat_map(&mut document).collect())]);
            let mut all = vec![own];
            all.extend(fitted.then(|| other.clone()));
            let (comparison, found) = judge(&Calibrations::from(all), &at_hand, 0.05);
            assert_eq!((comparison.documents, comparison.fitted), (documents, fitted));
            for (count, level) in excluded.iter_mut().zip(levels) {
                *count += u64::from(found.p_value <= level * (1.0 + ROUNDING));
            }
        }
        excluded
    }

    /// Pieces of a document resemble each other. Were all of them compared, 99 documents of two equal texts would
    /// exclude the author by two scores at the level 0.01 in 0.02 of cases.
    #[test]
    fn a_piece_of_a_document_is_excluded_no_more_often_than_alpha() {
        for (documents, pieces, shared, fitted, runs) in [
            (19, 10, 0.9, true, 1_000),
            (19, 10, 0.9, false, 2_000),
            (19, 1, 0.0, true, 1_000),
            (39, 10, 0.7, true, 1_000),
            (39, 3, 0.0, true, 1_000),
            (99, 2, 1.0, false, 4_000),
            (99, 2, 1.0, true, 1_000),
            (400, 5, 0.5, true, 300),
            (400, 10, 0.9, false, 300),
        ] {
            let levels = [0.01, 0.05, 0.1];
            let excluded = sizes(documents, pieces, shared, fitted, levels, runs);
            println!(
                "{documents} documents, up to {pieces} pieces, {shared} shared, fitted {fitted}: {excluded:?} of {runs}"
            );
            for (count, level) in excluded.into_iter().zip(levels) {
                assert!(
                    clopper_pearson(count, runs, 0.999).0 <= level,
                    "{count} of {runs} at {level}"
                );
            }
        }
    }

    #[test]
    fn of_each_document_one_text_is_drawn() {
        let mut rng = StdRng::seed_from_u64(9);
        let own = group((0..60).map(|i| (i / 3, text(numbers(0.0, &mut rng)))).collect());
        let drawn = own.drawn(0, |_| true);
        assert_eq!((drawn.len(), own.documents(0)), (20, 20));
        let mut places: Vec<usize> = drawn
            .iter()
            .map(|drawn| own.texts.iter().position(|known| known == *drawn).unwrap())
            .collect();
        places.sort_unstable();
        let documents: Vec<usize> = places.iter().map(|place| place / 3).collect();
        assert_eq!(documents, (0..20).collect::<Vec<_>>());
        // Every place in a document is drawn.
        let within: Vec<usize> = places.iter().map(|place| place % 3).collect();
        assert!((0..3).all(|place| within.contains(&place)), "{within:?}");
        assert!(own.drawn(1, |_| true).is_empty());
        let some = own.drawn(0, |document| document.ends_with('7'));
        assert_eq!(some.len(), 2);
    }

    #[test]
    fn a_document_counts_the_same_in_the_fit_however_many_texts_it_has() {
        let features = text([0.0; 3]);
        let own = group((0..90).map(|i| (i / 3 * (i % 2 + 1), features)).collect());
        let shares = own.for_fit(0, false);
        let mut documents: HashMap<&str, f64> = HashMap::new();
        for (text, share) in &shares {
            *documents.entry(&text.document).or_default() += share;
        }
        let of_each = 1.0 / documents.len() as f64;
        assert!(documents.len() > 5 && documents.values().all(|share| (share - of_each).abs() < 1e-12));
        assert!(documents.keys().all(|document| is_for_fit(document)));
    }

    /// Of calibrations with a confidence, few exclude more than alpha of what the author writes.
    #[test]
    fn with_a_confidence_few_calibrations_exclude_too_many_texts() {
        const CALIBRATIONS: u64 = 100;
        let mut rng = StdRng::seed_from_u64(12);
        let new: Vec<TextFeatures> = (0..1_000).map(|_| text(numbers(0.0, &mut rng))).collect();
        let (mut exceeding, mut excluded) = (0, 0);
        for _ in 0..CALIBRATIONS {
            let own = calibration("own", vec![alone(0.0, 120, &mut rng)]);
            let other = calibration("other", vec![alone(2.0, 60, &mut rng)]);
            let all = Calibrations::with_confidence(vec![own, other], Some(0.95));
            let of_new = new.iter().filter(|text| {
                let (comparison, found) = judge(&all, text, 0.05);
                assert!(comparison.fitted);
                assert_eq!(found.score < found.threshold, found.p_value <= 0.05);
                found.p_value <= 0.05
            });
            let count = of_new.count();
            exceeding += u64::from(count as f64 > 0.05 * new.len() as f64);
            excluded += count;
        }
        println!(
            "{exceeding} of {CALIBRATIONS} exceed 0.05, mean {}",
            excluded as f64 / 100_000.0
        );
        assert!(excluded > 0 && clopper_pearson(exceeding, CALIBRATIONS, 0.999).0 <= 0.05);
    }

    #[test]
    fn with_a_confidence_only_fitted_scores_exclude() {
        let mut rng = StdRng::seed_from_u64(13);
        let own = calibration("own", vec![alone(0.0, 300, &mut rng)]);
        let all = Calibrations::with_confidence(vec![own], Some(0.95));
        let comparison = all
            .comparison(&member(0), &[], Place::Beginning, 1, 0.05, 0.05)
            .unwrap();
        assert!(!comparison.fitted && comparison.documents < 300);
        let far = text([9.0; 3]);
        assert_eq!(all.judge(&member(0), &[], comparison, &[far], Some(0), 0.05), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        /// Exactness without a distribution: over all choices of the text at hand out of n + 1, at most a share alpha
        /// has a p-value of at most alpha. The fit never changes with the choice.
        #[test]
        fn with_a_fit_p_is_exact_over_all_places(
            numbers in prop::collection::vec(prop::array::uniform3(-2.0..2.0f64), 20..26), seed in any::<u64>(),
            alpha in 0.0..1.0f64
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let other = calibration("other", vec![alone(1.0, 30, &mut rng), alone(-1.0, 20, &mut rng)]);
            let for_fit = (0..60).filter(|i| is_for_fit(&format!("document {i}")));
            let for_fit: Vec<_> = for_fit.map(|i| (i, text(self::numbers(0.0, &mut rng)))).collect();
            let others = (0..).filter(|i| !is_for_fit(&format!("document {i}")));
            let all: Vec<(usize, TextFeatures)> = others.zip(numbers.iter().map(|&numbers| text(numbers))).collect();
            let excluded = (0..all.len()).filter(|&i| {
                let mut rest = all.clone();
                let (_, judged) = rest.remove(i);
                let own = calibration("own", vec![group([&for_fit[..], &rest].concat())]);
                let (comparison, found) = judge(&Calibrations::from(vec![own, other.clone()]), &judged, 0.05);
                assert!(comparison.fitted);
                found.p_value <= alpha
            });
            prop_assert!(excluded.count() as f64 <= alpha * all.len() as f64);
        }
    }
}
