//! Areas under ROC curves, verdicts and p-values: of all texts, and of parts of them.

use crate::CONFIDENCE;
use crate::bootstrap::found_intervals;
use crate::scores::Score;
use crate::texts::{LabelledText, Labels};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use whowrote_stats::calibration::HUMAN;
use whowrote_stats::interval::share_by_document;
use whowrote_stats::roc::{Area, AreaDifference, ScoredText, found_at};

/// The version of the JSON.
pub const SCHEMA: u32 = 1;
/// The shares of false alarms at which the share that is found is stated.
pub const FALSE_ALARMS: [f64; 2] = [0.05, 0.01];
/// The least numbers of words of the parts by length.
const WORDS: [usize; 5] = [0, 40, 80, 150, 300];
/// The most points of a curve.
const POINTS: usize = 400;
/// With fewer false alarms than this among the documents of people, nothing is said about how little may be found.
const LEAST_ALARMS: f64 = 5.0;
/// The bars of a histogram of p-values.
const BARS: usize = 10;

/// How well the program does on texts whose authors are known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// The version of the JSON.
    pub schema: u32,
    /// The number of texts.
    pub texts: usize,
    /// The number of documents that they are from.
    pub documents: usize,
    /// How many of them the program could not judge.
    pub unable: usize,
    /// The probability with which an interval holds what it is an interval of.
    pub confidence: f64,
    /// How well each score tells texts by models from texts by people.
    pub scores: Vec<ScoreRow>,
    /// The ROC curves of the scores over all texts; those with the greatest areas first.
    pub curves: Vec<Curve>,
    /// What became of the texts of each label.
    pub verdicts: Vec<VerdictRow>,
    /// The p-values of authors for texts that they wrote.
    pub p_values: Vec<PValueRow>,
}

/// A part of the texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Part {
    /// What the texts are parted by: `label`, `words`, or one of the named fields; none for all of them.
    pub by: Option<String>,
    /// The value of the part.
    pub value: Option<String>,
}

/// A share of texts, with its interval by document.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// The number of texts.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// An estimate with its interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How well a score tells texts by models from texts by people.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScoreRow {
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// The texts.
    #[serde(flatten)]
    pub part: Part,
    /// The number of texts by models that have the score.
    pub by_models: usize,
    /// The number of texts by people that have it.
    pub by_people: usize,
    /// The area under the ROC curve; none if the texts of one kind are from fewer than two documents.
    pub auroc: Option<Estimate>,
    /// Whether no score has a greater area on these texts.
    pub is_best: bool,
    /// By how much the area is less than that of the best score, on the texts that have both; none for that score.
    pub below_best: Option<Estimate>,
    /// The share of texts by models that is found at each share of false alarms.
    pub found: Vec<Found>,
}

/// A ROC curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Curve {
    /// The score.
    #[serde(flatten)]
    pub score: Score,
    /// The area under it.
    pub auroc: f64,
    /// Its points: the share of texts by people and the share of texts by models above a threshold, as the threshold falls. A
    /// long curve is thinned.
    pub points: Vec<(f64, f64)>,
}

/// The share that is found at a share of false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The share of texts by people above the threshold, at most.
    pub false_alarms: f64,
    /// The share of texts by models above it.
    pub share: Share,
}

/// What became of the texts of a label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VerdictRow {
    /// The label.
    pub label: String,
    /// The texts of the label.
    #[serde(flatten)]
    pub part: Part,
    /// What its author is called in verdicts; none if it was not considered.
    pub author: Option<String>,
    /// The number of texts that could be judged.
    pub texts: usize,
    /// The number of documents that they are from.
    pub documents: usize,
    /// The author alone is left.
    pub alone: Share,
    /// The author is left.
    pub retained: Share,
    /// Another author alone is left.
    pub wrong_alone: Share,
    /// Several authors are left.
    pub undecided: Share,
    /// No author is left.
    pub unknown: Share,
    /// For each author, the share of texts of which it alone is left.
    pub alone_by_author: BTreeMap<String, Share>,
}

/// The p-values of an author for texts that it wrote. They should be at most u with probability at most u.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PValueRow {
    /// The author.
    pub author: String,
    /// Its texts.
    #[serde(flatten)]
    pub part: Part,
    /// The number of p-values.
    pub texts: usize,
    /// The number of documents that they are from.
    pub documents: usize,
    /// How many lie between 0 and 0.1, 0.1 and 0.2, and so on; each with its upper end.
    pub histogram: [u64; BARS],
    /// The shares that are at most 0.01, 0.05 and 0.1.
    pub at_most: Vec<AtMost>,
    /// By how much the share of p-values of at most u exceeds u, at the worst u. One text of each document counts.
    pub excess: f64,
    /// If the p-values keep their promise, about how probable such an excess is.
    pub excess_p_value: f64,
}

/// A share of p-values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtMost {
    /// The level.
    pub level: f64,
    /// The share of p-values that are at most that.
    pub share: Share,
}

/// Evaluates texts whose authors are known. Those that could not be judged are counted, and have no other part in it.
pub fn evaluate(texts: &[LabelledText], labels: &Labels) -> Evaluation {
    let all: Vec<&LabelledText> = texts.iter().filter(|text| text.is_judged).collect();
    let scores = Score::of(&all);
    let parts = parts(&all, labels);
    let score_rows = parts.iter().flat_map(|part| {
        // A part is held against the people in it. Labels of models have none, nor have ways of sampling: they are held against
        // all people.
        let has_people = all.iter().any(|text| text.is_human && part.has(text));
        let of_part = |text: &&LabelledText| part.has(text) || (!has_people && text.is_human);
        let of_part: Vec<&LabelledText> = all.iter().copied().filter(of_part).collect();
        score_rows(&scores, part, &of_part)
    });
    let verdict_rows = parts.iter().filter(|part| !part.is_label()).flat_map(|part| {
        let of_part = all.iter().copied().filter(|text| part.has(text));
        let mut by_label: BTreeMap<&str, Vec<&LabelledText>> = BTreeMap::new();
        for text in of_part {
            by_label.entry(&text.label).or_default().push(text);
        }
        let row = |(label, of_label): (&str, Vec<&LabelledText>)| verdict_row(label, part, &of_label);
        by_label.into_iter().filter_map(row).collect::<Vec<_>>()
    });
    let p_value_rows = parts.iter().filter(|part| !part.is_label()).flat_map(|part| {
        let mut by_author: BTreeMap<&str, OwnPValues> = BTreeMap::new();
        for text in all.iter().filter(|text| part.has(text)) {
            let Some(considered) = text.true_author().and_then(|author| text.considered(author)) else {
                continue;
            };
            if let Some(p_value) = considered.p_value {
                let own = by_author.entry(&considered.author).or_default();
                own.p_values.push((&text.document, p_value));
                let calibrations = considered.evidence.iter().filter_map(|evidence| evidence.calibration);
                let documents = calibrations.map(|calibration| 1.0 / calibration.least_p_value - 1.0);
                own.calibrated = documents.fold(own.calibrated, f64::min);
            }
        }
        let row = |(author, own): (&str, OwnPValues)| p_value_row(author, part, &own.p_values, own.calibrated);
        by_author.into_iter().map(row).collect::<Vec<_>>()
    });
    Evaluation {
        schema: SCHEMA,
        texts: texts.len(),
        documents: count_documents(&all),
        unable: texts.len() - all.len(),
        confidence: CONFIDENCE,
        scores: score_rows.collect(),
        curves: curves(&scores, &all),
        verdicts: verdict_rows.collect(),
        p_values: p_value_rows.collect(),
    }
}

/// The p-values of an author for its own texts.
struct OwnPValues<'a> {
    /// Each with its document.
    p_values: Vec<(&'a str, f64)>,
    /// The documents of the calibration that they rest on, where it has fewest; infinite if they rest on none.
    calibrated: f64,
}

impl Default for OwnPValues<'_> {
    fn default() -> Self {
        Self {
            p_values: Vec::new(),
            calibrated: f64::INFINITY,
        }
    }
}

impl Estimate {
    fn new(value: f64, (low, high): (f64, f64)) -> Self {
        Self { value, low, high }
    }
}

/// The place in [`WORDS`] of a length.
fn length_class(words: usize) -> usize {
    WORDS.iter().rposition(|least| words >= *least).unwrap_or(0)
}

/// What the lengths of a class are called.
fn class_name(class: usize) -> String {
    match WORDS.get(class + 1) {
        Some(next) => format!("{}-{}", WORDS[class], next - 1),
        None => format!("{}+", WORDS[class]),
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.by, &self.value) {
            (Some(by), Some(value)) => write!(f, "{by} {value}"),
            _ => f.write_str("all"),
        }
    }
}

impl Part {
    /// All texts.
    pub const ALL: Self = Self { by: None, value: None };

    fn is_label(&self) -> bool {
        self.by.as_deref() == Some("label")
    }

    fn has(&self, text: &LabelledText) -> bool {
        let value = match self.by.as_deref() {
            None => return true,
            Some("label") => Some(text.label.clone()),
            Some("words") => Some(class_name(length_class(text.words))),
            Some(field) => text.values.get(field).cloned(),
        };
        value == self.value
    }
}

/// All texts, each label of models, each length, and each value of the named fields.
fn parts(texts: &[&LabelledText], labels: &Labels) -> Vec<Part> {
    let part = |by: &str, value: &str| Part {
        by: Some(by.to_owned()),
        value: Some(value.to_owned()),
    };
    let mut parts = vec![Part::ALL];
    let of_models = texts.iter().filter(|text| !text.is_human).map(|text| &text.label);
    parts.extend(
        of_models
            .collect::<BTreeSet<_>>()
            .into_iter()
            .map(|label| part("label", label)),
    );
    let lengths: BTreeSet<usize> = texts.iter().map(|text| length_class(text.words)).collect();
    if lengths.len() > 1 {
        parts.extend(lengths.into_iter().map(|class| part("words", &class_name(class))));
    }
    for field in &labels.by {
        let values: BTreeSet<&String> = texts.iter().filter_map(|text| text.values.get(field)).collect();
        parts.extend(values.into_iter().map(|value| part(field, value)));
    }
    parts
}

fn count_documents(texts: &[&LabelledText]) -> usize {
    texts.iter().map(|text| &text.document).collect::<BTreeSet<_>>().len()
}

/// The texts that have a score, each with its place among all.
fn scored<'a>(score: &Score, texts: &[&'a LabelledText]) -> impl Iterator<Item = (usize, ScoredText<'a>)> {
    texts.iter().enumerate().filter_map(|(i, text)| {
        let text = ScoredText {
            score: score.value(text)?,
            is_sought: !text.is_human,
            document: &text.document,
        };
        Some((i, text))
    })
}

fn score_rows(scores: &[Score], part: &Part, texts: &[&LabelledText]) -> Vec<ScoreRow> {
    let all: Vec<Vec<(usize, ScoredText)>> = scores.iter().map(|score| scored(score, texts).collect()).collect();
    let areas: Vec<Option<Area>> = all
        .iter()
        .map(|scored| Area::of(&scored.iter().map(|(_, text)| *text).collect::<Vec<_>>()))
        .collect();
    let best = (0..scores.len())
        .filter_map(|i| Some((i, areas[i]?.value)))
        // Of several, the first.
        .min_by(|a, b| b.1.total_cmp(&a.1))
        .map(|(i, _)| i);
    let mut rows = Vec::new();
    for (i, score) in scores.iter().enumerate() {
        let scored: Vec<ScoredText> = all[i].iter().map(|(_, text)| *text).collect();
        let by_models = scored.iter().filter(|text| text.is_sought).count();
        let by_people = scored.len() - by_models;
        if by_models == 0 || by_people == 0 {
            continue;
        }
        let below_best = best.filter(|best| *best != i).and_then(|best| {
            let own: BTreeMap<usize, ScoredText> = all[i].iter().copied().collect();
            let both: Vec<(ScoredText, ScoredText)> = all[best]
                .iter()
                .filter_map(|(place, text)| Some((*text, *own.get(place)?)))
                .collect();
            let (of_best, own): (Vec<_>, Vec<_>) = both.into_iter().unzip();
            let difference = AreaDifference::of(&of_best, &own)?;
            Some(Estimate::new(difference.value, difference.interval(CONFIDENCE)))
        });
        rows.push(ScoreRow {
            score: score.clone(),
            part: part.clone(),
            by_models,
            by_people,
            auroc: areas[i].map(|area| Estimate::new(area.value, area.interval(CONFIDENCE))),
            is_best: best == Some(i),
            below_best,
            found: found(&scored),
        });
    }
    rows
}

/// The curves of the scores over all texts.
fn curves(scores: &[Score], texts: &[&LabelledText]) -> Vec<Curve> {
    let curve = |score: &Score| {
        let mut scored: Vec<ScoredText> = scored(score, texts).map(|(_, text)| text).collect();
        let auroc = Area::of(&scored)?.value;
        scored.sort_by(|a, b| b.score.total_cmp(&a.score));
        let count = |kind: bool| scored.iter().filter(|text| text.is_sought == kind).count() as f64;
        let (people, models) = (count(false), count(true));
        let mut above = (0.0, 0.0);
        let mut points = vec![above];
        for tied in scored.chunk_by(|a, b| a.score == b.score) {
            let found = tied.iter().filter(|text| text.is_sought).count() as f64;
            above = (above.0 + tied.len() as f64 - found, above.1 + found);
            points.push((above.0 / people, above.1 / models));
        }
        let step = points.len().div_ceil(POINTS);
        let last = points.len() - 1;
        // What is found at few false alarms decides, so no point is left out there.
        let is_kept =
            |(i, point): &(usize, (f64, f64))| i.is_multiple_of(step) || *i == last || point.0 <= FALSE_ALARMS[1];
        let points = points
            .into_iter()
            .enumerate()
            .filter(is_kept)
            .map(|(_, point)| point)
            .collect();
        Some(Curve {
            score: score.clone(),
            auroc,
            points,
        })
    };
    let mut curves: Vec<Curve> = scores.iter().filter_map(curve).collect();
    curves.sort_by(|a, b| b.auroc.total_cmp(&a.auroc));
    curves
}

/// The shares that are found, each with an interval that holds both what the choice of the threshold and what the number of
/// documents leave open.
fn found(texts: &[ScoredText]) -> Vec<Found> {
    let documents = |kind: bool| {
        let of_kind = texts.iter().filter(|text| text.is_sought == kind);
        of_kind.map(|text| text.document).collect::<BTreeSet<_>>().len()
    };
    let (people, trials) = (documents(false), documents(true) as u64);
    let resampled = found_intervals(texts, &FALSE_ALARMS, CONFIDENCE);
    let shares = FALSE_ALARMS.into_iter().zip(resampled);
    shares
        .map(|(false_alarms, (low, high))| {
            let (count, of) = found_at(texts, false_alarms);
            // At a fixed threshold, were the texts of a document all alike.
            let alike =
                whowrote_stats::clopper_pearson((count * trials).checked_div(of).unwrap_or(0), trials, CONFIDENCE);
            // The threshold is then one of the greatest scores of people, above which resampling does not see.
            let is_extreme = false_alarms * (people as f64) < LEAST_ALARMS;
            let share = Share {
                count,
                of,
                low: match (is_extreme, count == of) {
                    (true, _) => 0.0,
                    (false, true) => low.min(alike.0),
                    (false, false) => low,
                },
                high: if count == 0 { high.max(alike.1) } else { high },
            };
            Found { false_alarms, share }
        })
        .collect()
}

/// The share of texts of which something is true, by document.
fn share<'a>(texts: impl Iterator<Item = (&'a str, bool)>) -> Share {
    let mut documents: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (document, is_true) in texts {
        let counts = documents.entry(document).or_default();
        counts.0 += u64::from(is_true);
        counts.1 += 1;
    }
    let counts: Vec<(u64, u64)> = documents.into_values().collect();
    let (low, high) = share_by_document(&counts, CONFIDENCE);
    Share {
        count: counts.iter().map(|counts| counts.0).sum(),
        of: counts.iter().map(|counts| counts.1).sum(),
        low,
        high,
    }
}

fn verdict_row(label: &str, part: &Part, texts: &[&LabelledText]) -> Option<VerdictRow> {
    let author = texts.first()?.true_author().map(str::to_owned);
    let of = |is_true: &dyn Fn(&LabelledText) -> bool| {
        let of_text = |text: &&'_ LabelledText| is_true(text);
        share(texts.iter().map(|text| (text.document.as_str(), of_text(text))))
    };
    let is_left = |text: &LabelledText| author.as_ref().is_some_and(|author| text.authors.contains(author));
    let alone = |text: &LabelledText, name: &str| matches!(text.authors.as_slice(), [only] if only == name);
    let considered: BTreeSet<&str> = texts
        .iter()
        .flat_map(|text| text.hypotheses.iter().map(|considered| considered.author.as_str()))
        .chain([HUMAN])
        .collect();
    Some(VerdictRow {
        label: label.to_owned(),
        part: part.clone(),
        texts: texts.len(),
        documents: count_documents(texts),
        alone: of(&|text| is_left(text) && text.authors.len() == 1),
        retained: of(&is_left),
        wrong_alone: of(&|text| !is_left(text) && text.authors.len() == 1),
        undecided: of(&|text| text.authors.len() > 1),
        unknown: of(&|text| text.authors.is_empty()),
        alone_by_author: considered
            .into_iter()
            .map(|name| (name.to_owned(), of(&|text| alone(text, name))))
            .collect(),
        author,
    })
}

/// `calibrated` is the number of documents behind the p-values; infinite if they rest on none.
fn p_value_row(author: &str, part: &Part, p_values: &[(&str, f64)], calibrated: f64) -> PValueRow {
    let mut histogram = [0; BARS];
    for (_, p_value) in p_values {
        let bar = ((p_value * BARS as f64).ceil() as usize).clamp(1, BARS) - 1;
        histogram[bar] += 1;
    }
    let first: BTreeMap<&str, f64> = p_values.iter().rev().copied().collect();
    let mut once: Vec<f64> = first.into_values().collect();
    once.sort_by(f64::total_cmp);
    let count = once.len() as f64;
    let excess = once
        .iter()
        .enumerate()
        .map(|(i, p_value)| (i + 1) as f64 / count - p_value);
    let excess = excess.fold(0.0, f64::max);
    // All p-values rest on one calibration, so they are no independent uniforms: their ranks are those of two samples, as in
    // Smirnov's test. With as many documents as its harmonic size the bound for one sample (Massart 1990) is near enough.
    let size = if calibrated.is_finite() {
        count * calibrated.max(1.0) / (count + calibrated.max(1.0))
    } else {
        count
    };
    PValueRow {
        author: author.to_owned(),
        part: part.clone(),
        texts: p_values.len(),
        documents: once.len(),
        histogram,
        at_most: [0.01, 0.05, 0.1]
            .into_iter()
            .map(|level| AtMost {
                level,
                share: share(
                    p_values
                        .iter()
                        .map(|(document, p_value)| (*document, *p_value <= level)),
                ),
            })
            .collect(),
        excess,
        excess_p_value: (-2.0 * size * excess * excess).exp().min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::{Considered, Figures};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    fn text(label: &str, document: usize, log_perplexity: f64, authors: &[&str], p_values: [f64; 2]) -> LabelledText {
        let considered = |(author, p_value): (&str, f64)| Considered {
            author: author.to_owned(),
            p_value: Some(p_value),
            evidence: Vec::new(),
        };
        LabelledText {
            name: document.to_string(),
            sha256: String::new(),
            has_document: true,
            label: label.to_owned(),
            is_human: label == "human",
            document: document.to_string(),
            words: 100 + document,
            values: BTreeMap::from([("domain".to_owned(), ["news", "mail"][document % 2].to_owned())]),
            is_judged: true,
            authors: authors.iter().map(|author| (*author).to_owned()).collect(),
            hypotheses: [("ours", p_values[0]), (HUMAN, p_values[1])].map(considered).to_vec(),
            models: BTreeMap::from([(
                "m".to_owned(),
                Figures {
                    scored_tokens: 100,
                    log_perplexity: Some(log_perplexity),
                    entropy: Some(2.0),
                    varentropy: Some(4.0),
                    mean_log_rank: Some(1.0),
                    bits_per_byte: Some(1.0),
                    probe: None,
                },
            )]),
        }
    }

    fn labels() -> Labels {
        Labels {
            label: "label".to_owned(),
            people: vec!["human".to_owned()],
            document: None,
            by: vec!["domain".to_owned()],
        }
    }

    fn texts() -> Vec<LabelledText> {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        (0..120)
            .map(|i| {
                let p_values = [rng.random(), rng.random()];
                let noise: f64 = rng.random();
                match i % 3 {
                    0 => text("human", i, 3.0 + noise, &["human"], p_values),
                    1 => text("ours", i, 2.5 + noise, &["human", "ours"], p_values),
                    _ => text("gpt-4", i, 2.0 + noise, &[], p_values),
                }
            })
            .collect()
    }

    #[test]
    fn the_rows_are_of_the_texts_that_they_name() {
        let texts = texts();
        let found = evaluate(&texts, &labels());
        assert_eq!((found.texts, found.documents, found.unable), (120, 120, 0));
        let row = |score: &str, by: Option<&str>, value: Option<&str>| {
            let is_it = |row: &&ScoreRow| {
                row.score.score == score && row.part.by.as_deref() == by && row.part.value.as_deref() == value
            };
            found.scores.iter().find(is_it).unwrap()
        };
        let all = row("log-perplexity", None, None);
        assert_eq!((all.by_models, all.by_people, all.below_best), (80, 40, None));
        let gpt = row("log-perplexity", Some("label"), Some("gpt-4"));
        assert_eq!((gpt.by_models, gpt.by_people), (40, 40));
        assert!(gpt.auroc.unwrap().value > 0.99);
        assert_eq!(gpt.found[0].share.count, 40);
        assert!(gpt.found[0].share.low < 0.92, "as if of 40 trials: {:?}", gpt.found[0]);
        let news = row("log-perplexity", Some("domain"), Some("news"));
        assert_eq!(news.by_models + news.by_people, 60);
        // A score that is the same for all tells nothing, and is below the best by as much as that is above a half.
        let bits = row("bits-per-byte", None, None);
        assert_eq!(bits.auroc.unwrap().value, 0.5);
        let below = bits.below_best.unwrap();
        assert!((below.value - (all.auroc.unwrap().value - 0.5)).abs() < 1e-12 && below.low > 0.2);
        // 100 to 149 words, and 150 to 219.
        assert_eq!(row("curvature", Some("words"), Some("80-149")).by_people, 17);
        assert_eq!(row("curvature", Some("words"), Some("150-299")).by_people, 23);

        let of = |label: &str| {
            let is_it = |row: &&VerdictRow| row.label == label && row.part == Part::ALL;
            found.verdicts.iter().find(is_it).unwrap()
        };
        let counts = |label: &str| {
            let row = of(label);
            [row.alone, row.retained, row.wrong_alone, row.undecided, row.unknown].map(|share| share.count)
        };
        assert_eq!(counts("human"), [40, 40, 0, 0, 0]);
        assert_eq!(counts("ours"), [0, 40, 0, 40, 0]);
        assert_eq!(counts("gpt-4"), [0, 0, 0, 0, 40]);
        assert_eq!(
            (of("gpt-4").author.as_deref(), of("ours").author.as_deref()),
            (None, Some("ours"))
        );
        assert_eq!(of("human").alone_by_author["human"].count, 40);
    }

    #[test]
    fn p_values_that_keep_their_promise_have_no_excess() {
        let found = evaluate(&texts(), &labels());
        let of = |author: &str| {
            let is_it = |row: &&PValueRow| row.author == author && row.part == Part::ALL;
            found.p_values.iter().find(is_it).unwrap()
        };
        for author in ["human", "ours"] {
            let row = of(author);
            assert_eq!((row.texts, row.histogram.iter().sum::<u64>()), (40, 40));
            assert!(row.excess_p_value > 0.01, "{row:?}");
        }
        let row = p_value_row(
            "x",
            &Part::ALL,
            &[("1", 0.05), ("1", 0.9), ("2", 0.1), ("3", 1.0)],
            f64::INFINITY,
        );
        assert_eq!((row.documents, row.histogram), (3, [2, 0, 0, 0, 0, 0, 0, 0, 1, 1]));
        assert!((row.excess - (2.0 / 3.0 - 0.1)).abs() < 1e-12);
        assert_eq!((row.at_most[1].share.count, row.at_most[2].share.count), (1, 2));
    }

    /// If p-values are those of ranks in one calibration, an excess is significant at a level in at most that share of cases.
    #[test]
    fn an_excess_is_seldom_significant_without_reason() {
        const RUNS: u64 = 2_000;
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        for (documents, texts) in [(0, 50), (130, 50), (130, 1_000), (400, 200)] {
            let names: Vec<String> = (0..texts).map(|i| i.to_string()).collect();
            let mut significant = 0;
            for _ in 0..RUNS {
                let mut calibration: Vec<f64> = (0..documents).map(|_| rng.random()).collect();
                calibration.sort_by(f64::total_cmp);
                let mut p_value = || {
                    let score: f64 = rng.random();
                    if documents == 0 {
                        return score;
                    }
                    (1 + calibration.partition_point(|known| *known <= score)) as f64 / (documents + 1) as f64
                };
                let p_values: Vec<(&str, f64)> = names.iter().map(|name| (name.as_str(), p_value())).collect();
                let known = if documents == 0 {
                    f64::INFINITY
                } else {
                    f64::from(documents)
                };
                significant += u64::from(p_value_row("x", &Part::ALL, &p_values, known).excess_p_value <= 0.05);
            }
            println!("{documents} documents, {texts} texts: {significant} of {RUNS}");
            assert!(whowrote_stats::clopper_pearson(significant, RUNS, 0.999).0 <= 0.05);
        }
    }

    #[test]
    fn nothing_gives_empty_tables() {
        let found = evaluate(&[], &labels());
        assert!(found.scores.is_empty() && found.verdicts.is_empty() && found.p_values.is_empty());
    }
}
