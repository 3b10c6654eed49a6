//! Calibrations: features of texts by known authors, for comparison with a text by an unknown author.
//!
//! A calibration holds no text. For each text and each length of [`LENGTHS`] it holds the [`TextFeatures`] under every
//! model that scored the text. When it is used, the functions that score the text at hand compute scores from these
//! features, for any subset of the models. `whowrote calibrate` writes calibrations; those of the default models are
//! compiled in.

mod built_in;
mod file;

pub use built_in::built_in;
pub use file::CalibrationError;

use crate::conformal;
use crate::conformal_scores::{LENGTHS, TextFeatures, feature_vector, human_scores, own_scores};
use crate::discriminant::{Discriminant, Moments};
use crate::e_bh::least_rejections;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// The author of a calibration of human-written texts.
pub const HUMAN: &str = "human";

/// A group with texts of a length in fewer documents is not used at that length: with 19 documents the least p-value is
/// 0.05.
pub const LEAST_DOCUMENTS: usize = 19;

/// The least conformal p-value with this many documents.
pub fn least_p_value(documents: usize) -> f64 {
    1.0 / (documents as f64 + 1.0)
}

/// How many documents of a group must have texts of a length for its author to be excluded at a level, by
/// [`least_p_value`]; at least [`LEAST_DOCUMENTS`].
pub fn least_documents(alpha: f64) -> usize {
    // 1/0.05 may be 20 and a rounding error.
    let needed = (1.0 / alpha - 1.0 - 1e-9).ceil();
    (needed as usize).max(LEAST_DOCUMENTS)
}

/// A model whose features of texts a calibration holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CalibratedModel {
    /// The model's name.
    pub name: String,
    /// SHA-256 of its file, lower-case hexadecimal.
    pub sha256: String,
    /// What the model is assumed to have been asked; none for a model that does not hold conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// Texts of one kind: a genre of human-written texts, or one way of sampling from a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The group's name in verdicts.
    pub name: String,
    /// Where the texts come from.
    pub source: String,
    /// The licence of the texts.
    pub licence: String,
    /// When they were written.
    pub date: String,
    /// The texts.
    pub texts: Vec<KnownText>,
}

/// A text whose author is known: its figures, without any of its words.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownText {
    /// The text's name at its source.
    pub id: String,
    /// The number, within its group, of the document that it comes from or the prompt that it answers. Texts with one
    /// number resemble each other.
    pub document: usize,
    /// For each of [`LENGTHS`] that it reaches, its features under the calibration's models.
    pub features: Vec<Vec<TextFeatures>>,
}

/// Features of texts whose author is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The author of all of the texts; [`HUMAN`] for people.
    pub author: String,
    /// The name of the family of decodings under which the features were computed.
    pub family: String,
    /// The models that scored the texts.
    pub models: Vec<CalibratedModel>,
    /// The texts, by kind.
    pub groups: Vec<Group>,
}

/// What a calibration says about one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Conformal {
    /// The largest of the groups' p-values.
    pub p_value: f64,
    /// Whether the text is also compared with the texts of all other authors.
    pub compared: bool,
    /// The text's score in the nearest group; low scores are evidence against the author. If the text is compared with
    /// the other authors' texts, it is how much likelier the text is the author's than one of theirs, nats. Otherwise
    /// it is in standard deviations of the text's surprisal.
    pub score: f64,
    /// By this score alone, the author is excluded below this; minus infinity if no score is low enough.
    pub threshold: f64,
    /// The number of words that the text was cut to.
    pub words: usize,
    /// The number of calibration texts of that length that it is compared with, one of each document, over all groups.
    pub texts: usize,
    /// The number of documents (or prompts) of that length in the smallest group.
    pub fewest: usize,
    /// The name of the group nearest to the text.
    pub group: String,
}

impl Calibration {
    /// The models that scored the calibration's texts: for each, its index here and its index in [`Self::models`]. A
    /// model with the same name but another file, or another request, is another model.
    pub fn shared(&self, models: &[CalibratedModel]) -> Vec<(usize, usize)> {
        let column = |wanted: &CalibratedModel| self.models.iter().position(|model| model == wanted);
        let columns = models.iter().enumerate();
        columns.filter_map(|(i, model)| Some((i, column(model)?))).collect()
    }

    /// The calibration with one group only; none if it has no such group.
    pub fn only(&self, group: &str) -> Option<Self> {
        let group = self.groups.iter().find(|known| known.name == group)?;
        Some(Self {
            author: self.author.clone(),
            family: self.family.clone(),
            models: self.models.clone(),
            groups: vec![group.clone()],
        })
    }

    /// The index into [`LENGTHS`] of the length at which a text is compared. Among the lengths that the text reaches,
    /// it is the one whose least p-value comes nearest to this level ([`least_rejections`]), and the longest of several. None
    /// if every length has a group with texts in fewer than [`LEAST_DOCUMENTS`] documents.
    pub fn length_class(&self, reached: usize, level: f64) -> Option<usize> {
        let mut nearest = None;
        for class in (0..reached.min(LENGTHS.len())).rev() {
            let documents = self.fewest(class);
            if documents < LEAST_DOCUMENTS {
                continue;
            }
            let needed = least_rejections(least_p_value(documents), level);
            if nearest.is_none_or(|(_, least)| needed < least) {
                nearest = Some((class, needed));
            }
            // Every text that is judged comes here, and counting documents takes time. No other length is nearer.
            if needed == 1 {
                break;
            }
        }
        nearest.map(|(class, _)| class)
    }

    /// The number of documents with texts of a length, in the group that has fewest.
    pub fn fewest(&self, class: usize) -> usize {
        let reaching = self.groups.iter().map(|group| group.documents(class));
        reaching.min().unwrap_or(0)
    }

    /// The features of all texts of a length, in all groups.
    pub fn features_at(&self, class: usize) -> impl Iterator<Item = &Vec<TextFeatures>> {
        let texts = self.groups.iter().flat_map(|group| &group.texts);
        texts.filter_map(move |text| text.features.get(class))
    }

    /// The conformal p-value of a text, given its features under the models in `columns`, in that order, at every
    /// length that it reaches. None if the text is shorter than every length that the groups cover.
    ///
    /// `own` is the author's index in `columns`; none for people. `others` are all other possible authors, read by the
    /// same models. The text's score is then how much likelier the text is the author's than one of theirs
    /// ([`Discriminant`]). If some other author has no such texts, the text has two scores that need no texts by others
    /// ([`own_scores`], [`human_scores`]). Nothing about the text but its length decides between the two kinds of
    /// score.
    ///
    /// [`Self::length_class`] at `of_length` chooses the length that is compared. The threshold is for `level`.
    pub fn judge(
        &self,
        columns: &[usize],
        text: &[Vec<TextFeatures>],
        own: Option<usize>,
        others: &[OtherAuthor],
        level: f64,
        of_length: f64,
    ) -> Option<Conformal> {
        let class = self.length_class(text.len(), of_length)?;
        let text = &text[class];
        let groups: Vec<Vec<Vec<TextFeatures>>> =
            self.groups.iter().map(|group| group.sample(class, columns)).collect();
        let rivals = Rivals::new(class, &groups, others);
        let of_group = |i: usize| match &rivals {
            Some(rivals) => rivals.judge(i, text, level),
            None => by_fixed_scores(&groups[i], text, own, level),
        };
        let judged: Vec<GroupResult> = (0..groups.len()).map(of_group).collect();
        let p_values: Vec<f64> = judged.iter().map(|judged| judged.p_value).collect();
        let (p_value, nearest) = conformal::largest_p_value(&p_values);
        let nearest = nearest?;
        Some(Conformal {
            p_value,
            compared: rivals.is_some(),
            score: judged[nearest].score,
            threshold: judged[nearest].threshold,
            words: LENGTHS[class],
            texts: groups.iter().map(Vec::len).sum(),
            fewest: groups.iter().map(Vec::len).min().unwrap_or(0),
            group: self.groups[nearest].name.clone(),
        })
    }
}

/// Another possible author, as the same models read its texts.
#[derive(Clone, Debug)]
pub struct OtherAuthor<'a> {
    /// The author's texts.
    pub calibration: &'a Calibration,
    /// The index in [`Calibration::models`] of each model that is compared, in the order of the text's features.
    pub columns: Vec<usize>,
}

/// What one group says about a text.
struct GroupResult {
    p_value: f64,
    score: f64,
    threshold: f64,
}

/// The figures of an author's texts, by group, and the moments of the texts of all other authors.
struct Rivals {
    groups: Vec<Vec<Vec<f64>>>,
    moments: Vec<Moments>,
    others: Vec<Vec<Moments>>,
}

impl Rivals {
    /// None if there is no other author, or one of them has no texts of the length.
    fn new(class: usize, groups: &[Vec<Vec<TextFeatures>>], others: &[OtherAuthor]) -> Option<Self> {
        let rows = |texts: &Vec<Vec<TextFeatures>>| texts.iter().map(|text| feature_vector(text)).collect::<Vec<_>>();
        let moments = |other: &OtherAuthor| {
            let groups = other.calibration.groups.iter();
            let moments = groups.filter_map(|group| Moments::of(&rows(&group.at(class, &other.columns))));
            Some(moments.collect::<Vec<_>>()).filter(|moments| !moments.is_empty())
        };
        let others = others.iter().map(moments).collect::<Option<Vec<_>>>()?;
        let groups: Vec<Vec<Vec<f64>>> = groups.iter().map(rows).collect();
        let moments = groups.iter().map(|rows| Moments::of(rows)).collect::<Option<_>>()?;
        (!others.is_empty()).then_some(Self {
            groups,
            moments,
            others,
        })
    }

    /// Adds the text to this group, fits all authors, and counts how many of the group's texts are as untypical of the
    /// author as the text is. The fit treats all of them in the same way, so the p-value is exact.
    fn judge(&self, group: usize, text: &[TextFeatures], level: f64) -> GroupResult {
        let text = feature_vector(text);
        let mut own = self.moments.clone();
        own[group] = own[group].with(&text);
        let authors: Vec<Vec<Moments>> = [own].into_iter().chain(self.others.iter().cloned()).collect();
        let fitted = Discriminant::new(&authors);
        // Figures that cannot be compared are evidence against nobody.
        let score = |row: &Vec<f64>| fitted.as_ref().map_or(f64::NAN, |fitted| fitted.ln_odds(0, row));
        let known: Vec<f64> = self.groups[group].iter().map(score).collect();
        let score = score(&text);
        GroupResult {
            p_value: conformal::p_of_low(&known, score),
            score,
            threshold: conformal::threshold_of_low(&known, level),
        }
    }
}

/// The p-value from scores that need no texts by other authors.
fn by_fixed_scores(group: &[Vec<TextFeatures>], text: &[TextFeatures], own: Option<usize>, level: f64) -> GroupResult {
    let mut texts = group.to_vec();
    texts.push(text.to_vec());
    let scores = match own {
        Some(own) => own_scores(&texts, own),
        None => human_scores(&texts),
    };
    let p_value = conformal::p_of_low_jointly(&scores);
    let (score, known) = match scores.first().and_then(|first| first.split_last()) {
        Some((score, known)) => (*score, known),
        None => (f64::NAN, [].as_slice()),
    };
    GroupResult {
        p_value,
        score,
        threshold: conformal::threshold_of_low(known, level),
    }
}

impl Group {
    /// The texts that reach a length, each with its place.
    fn texts_reaching(&self, class: usize) -> impl Iterator<Item = (usize, &KnownText)> {
        let texts = self.texts.iter().enumerate();
        texts.filter(move |(_, text)| text.features.len() > class)
    }

    /// The number of texts that reach a length.
    pub fn reaching(&self, class: usize) -> usize {
        self.texts_reaching(class).count()
    }

    /// The number of documents with texts that reach a length.
    pub fn documents(&self, class: usize) -> usize {
        let documents = self.texts_reaching(class).map(|(_, text)| text.document);
        documents.collect::<HashSet<_>>().len()
    }

    /// The features, under the models in `columns`, of one text of each document among the texts that reach a length.
    ///
    /// The text at hand is one text of its document, whose others nobody knows. So of each document one text is
    /// compared, drawn at random. The draw is the same in every run, and looks at nothing but the place of the text.
    fn sample(&self, class: usize, columns: &[usize]) -> Vec<Vec<TextFeatures>> {
        let mut drawn: BTreeMap<usize, (u64, usize)> = BTreeMap::new();
        for (at, text) in self.texts_reaching(class) {
            let ticket = (random(at as u64), at);
            let best = drawn.entry(text.document).or_insert(ticket);
            *best = ticket.min(*best);
        }
        let texts = drawn.values().map(|&(_, at)| &self.texts[at]);
        texts.map(|text| text.at(class, columns)).collect()
    }

    /// The features, under the models in `columns`, of the texts that reach a length.
    fn at(&self, class: usize, columns: &[usize]) -> Vec<Vec<TextFeatures>> {
        let texts = self.texts_reaching(class);
        texts.map(|(_, text)| text.at(class, columns)).collect()
    }
}

impl KnownText {
    /// The features of a length that the text reaches, under the models in `columns`.
    fn at(&self, class: usize, columns: &[usize]) -> Vec<TextFeatures> {
        columns.iter().map(|&column| self.features[class][column]).collect()
    }
}

/// A number that looks random: one step of SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, *Fast splittable pseudorandom
/// number generators*, OOPSLA 2014).
fn random(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clopper_pearson;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng, rngs::StdRng};

    /// A text of 20 words as one model sees it, from three numbers near 0.
    fn text(numbers: [f64; 3]) -> Vec<Vec<TextFeatures>> {
        let [likelihood, entropy, varentropy] = numbers;
        let features = TextFeatures {
            deployed: -60.0 + 10.0 * likelihood,
            untruncated: -60.0 + 8.0 * likelihood,
            entropy: 60.0 + 5.0 * entropy,
            varentropy: 90.0 * varentropy.exp(),
        };
        vec![vec![features]]
    }

    fn calibration(author: &str, groups: Vec<Vec<Vec<Vec<TextFeatures>>>>) -> Calibration {
        let known = |(document, features)| KnownText {
            id: String::new(),
            document,
            features,
        };
        let group = |(i, texts): (usize, Vec<_>)| Group {
            name: format!("group {i}"),
            source: String::new(),
            licence: String::new(),
            date: String::new(),
            texts: texts.into_iter().enumerate().map(known).collect(),
        };
        Calibration {
            author: author.to_owned(),
            family: "deployed".to_owned(),
            models: vec![CalibratedModel {
                name: "toy".to_owned(),
                sha256: String::new(),
                request: None,
            }],
            groups: groups.into_iter().enumerate().map(group).collect(),
        }
    }

    /// Numbers that are not normal, and higher for a greater `shift`.
    fn numbers(shift: f64, rng: &mut StdRng) -> [f64; 3] {
        [(); 3].map(|()| shift - 0.5 * (1.0 - rng.random::<f64>()).ln() - 0.5)
    }

    fn texts(shift: f64, count: usize, rng: &mut StdRng) -> Vec<Vec<Vec<TextFeatures>>> {
        (0..count).map(|_| text(numbers(shift, rng))).collect()
    }

    fn known(calibration: &Calibration) -> [OtherAuthor<'_>; 1] {
        [OtherAuthor {
            calibration,
            columns: vec![0],
        }]
    }

    #[test]
    fn a_text_is_held_against_what_all_authors_wrote() {
        let mut rng = StdRng::seed_from_u64(1);
        let own = calibration("own", vec![texts(0.0, 60, &mut rng), texts(0.3, 40, &mut rng)]);
        let other = calibration("other", vec![texts(3.0, 50, &mut rng)]);
        let others = known(&other);
        let judge =
            |numbers, others: &[OtherAuthor]| own.judge(&[0], &text(numbers), Some(0), others, 0.05, 0.05).unwrap();
        let like_own = judge([0.1, 0.0, 0.1], &others);
        assert!(like_own.compared && like_own.p_value > 0.2 && like_own.score > like_own.threshold);
        assert_eq!((like_own.texts, like_own.words), (100, 20));
        let like_other = judge([3.0, 2.9, 3.1], &others);
        // Less typical of the author than any of its texts.
        assert_eq!(like_other.p_value, 1.0 / 41.0);
        assert!(like_other.score < 0.0 && like_other.score < like_other.threshold);
        assert!(!judge([0.1, 0.0, 0.1], &[]).compared);
        // An author without texts of this length cannot be compared.
        let silent = calibration("silent", vec![vec![Vec::new()]]);
        assert!(!judge([0.1, 0.0, 0.1], &[others[0].clone(), known(&silent)[0].clone()]).compared);
    }

    #[test]
    fn a_group_can_be_taken_alone() {
        let mut rng = StdRng::seed_from_u64(2);
        let both = calibration("own", vec![texts(0.0, 30, &mut rng), texts(2.0, 20, &mut rng)]);
        let other = calibration("other", vec![texts(3.0, 50, &mut rng)]);
        let alone = both.only("group 1").unwrap();
        assert_eq!((alone.groups.len(), alone.groups[0].texts.len()), (1, 20));
        let judged = text([2.0, 2.1, 1.9]);
        let found = alone.judge(&[0], &judged, Some(0), &known(&other), 0.05, 0.05).unwrap();
        assert_eq!((found.texts, found.group.as_str()), (20, "group 1"));
        assert_eq!(both.only("group 2"), None);
    }

    #[test]
    fn the_length_is_one_at_which_the_level_can_be_reached() {
        let features = text([0.0; 3]).remove(0);
        let reaching = |lengths: usize, count: usize| vec![vec![features.clone(); lengths]; count];
        let known = calibration(
            "own",
            vec![[reaching(2, 80), reaching(5, 30), reaching(7, 20)].concat()],
        );
        assert_eq!(known.length_class(9, 0.05), Some(6));
        assert_eq!(known.length_class(6, 0.05), Some(5));
        assert_eq!(known.length_class(9, 0.02), Some(4));
        assert_eq!(known.length_class(9, 0.01), Some(1));
        // Texts of 130 documents at 30 words cannot reach this level either, but come nearest.
        assert_eq!(known.length_class(9, 0.001), Some(1));
        assert_eq!(known.length_class(0, 0.05), None);
        assert_eq!([0.05, 0.01, 0.5, 0.03].map(least_documents), [19, 99, 19, 33]);
    }

    /// How often a text by the author is excluded at each level. The author's texts come in documents of up to `pieces`
    /// pieces, which share this part of their variance. The text at hand is a piece of a document of its own.
    fn sizes(documents: usize, pieces: usize, shared: f64, fitted: bool, levels: [f64; 3], runs: u64) -> [u64; 3] {
        let mut rng = StdRng::seed_from_u64((1_000 * documents + pieces) as u64);
        let other = calibration("other", vec![texts(0.5, 30, &mut rng)]);
        let mut excluded = [0; 3];
        for _ in 0..runs {
            let mut document = |number: usize| -> Vec<(usize, Vec<Vec<TextFeatures>>)> {
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
            let at_hand = document(documents).swap_remove(0).1;
            let (numbers, known_texts): (Vec<usize>, Vec<_>) = (0..documents).flat_map(&mut document).unzip();
            let mut own = calibration("own", vec![known_texts]);
            own.groups[0]
                .texts
                .iter_mut()
                .zip(numbers)
                .for_each(|(text, number)| text.document = number);
            let others = known(&other);
            let others: &[OtherAuthor] = if fitted { &others } else { &[] };
            let found = own.judge(&[0], &at_hand, Some(0), others, 0.05, 0.05).unwrap();
            assert_eq!((found.texts, found.compared), (documents, fitted));
            for (count, level) in excluded.iter_mut().zip(levels) {
                *count += u64::from(found.p_value <= level * (1.0 + crate::ROUNDING));
            }
        }
        excluded
    }

    /// Pieces of a document resemble each other. Were all of them compared, 19 documents of 10 pieces would exclude the
    /// author at the level 0.05 in 0.126 of cases, and 99 documents of two equal texts at 0.01 in 0.02.
    #[test]
    fn a_piece_of_a_document_is_excluded_no_more_often_than_alpha() {
        for (documents, pieces, shared, fitted, runs) in [
            (19, 10, 0.9, true, 2_000),
            (19, 10, 0.9, false, 2_000),
            (39, 10, 0.7, true, 2_000),
            (39, 3, 0.0, true, 1_000),
            (99, 2, 1.0, false, 4_000),
            (99, 2, 1.0, true, 4_000),
            (400, 5, 0.5, true, 300),
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
        let mut own = calibration("own", vec![texts(0.0, 60, &mut rng)]);
        for (i, known) in own.groups[0].texts.iter_mut().enumerate() {
            known.document = i / 3;
        }
        let group = &own.groups[0];
        let sample = group.sample(0, &[0]);
        assert_eq!((sample.len(), group.documents(0)), (20, 20));
        let places: Vec<usize> = sample
            .iter()
            .enumerate()
            .map(|(document, found)| {
                let own = &group.texts[3 * document..3 * document + 3];
                own.iter().position(|known| known.features[0] == *found).unwrap()
            })
            .collect();
        // Every place in a document is drawn.
        assert!((0..3).all(|place| places.contains(&place)), "{places:?}");
        assert_eq!(group.sample(1, &[0]), Vec::<Vec<TextFeatures>>::new());
    }

    /// With few texts in the fit, the text at hand would look odd too often if the fit left it out.
    #[test]
    fn a_text_by_the_author_is_ruled_out_no_more_often_than_alpha() {
        const RUNS: u64 = 4_000;
        let mut rng = StdRng::seed_from_u64(7);
        let other = calibration("other", vec![texts(0.5, 30, &mut rng)]);
        let excluded = (0..RUNS).filter(|_| {
            let own = calibration("own", vec![texts(0.0, 19, &mut rng)]);
            let judged = text(numbers(0.0, &mut rng));
            own.judge(&[0], &judged, Some(0), &known(&other), 0.05, 0.05)
                .unwrap()
                .p_value
                <= 0.05
        });
        let excluded = excluded.count() as u64;
        let (low, high) = clopper_pearson(excluded, RUNS, 0.999);
        println!("{excluded} of {RUNS} excluded at 0.05, {low:.4} to {high:.4}");
        assert!(low <= 0.05 && high >= 0.04, "{excluded}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        /// Exactness without a distribution: over all choices of the text at hand out of n + 1, at most a share alpha
        /// has a p-value of at most alpha.
        #[test]
        fn with_a_fit_p_is_exact_over_all_places(
            numbers in prop::collection::vec(prop::array::uniform3(-2.0..2.0f64), 20..26), seed in any::<u64>(),
            alpha in 0.0..1.0f64
        ) {
            let mut rng = StdRng::seed_from_u64(seed);
            let other = calibration("other", vec![texts(1.0, 9, &mut rng), texts(-1.0, 5, &mut rng)]);
            let all: Vec<_> = numbers.iter().map(|&numbers| text(numbers)).collect();
            let excluded = (0..all.len()).filter(|&i| {
                let mut rest = all.clone();
                let judged = rest.remove(i);
                let own = calibration("own", vec![rest]);
                let found = own.judge(&[0], &judged, Some(0), &known(&other), 0.05, 0.05).unwrap();
                assert!(found.compared);
                found.p_value <= alpha
            });
            prop_assert!(excluded.count() as f64 <= alpha * all.len() as f64);
        }
    }
}
