//! Which texts of a run fail.
//!
//! A text fails if every author that may write it is excluded. Its p-value for "one of the allowed authors wrote it" is
//! the greatest p-value of the allowed authors. [`e_bh`] gives all texts of the run one error: if allowed authors wrote
//! all texts of a run, the run fails with probability at most alpha (docs/THEORY.md 14.1).
//!
//! If a model may write a file, a later piece of a passage in it does not fail by the evidence: known later pieces are
//! few, and the more texts can fail, the stronger the evidence must be against each. The report shows such a piece.
//!
//! For each text it is fixed before its p-value is known how many texts must fail together. The more they are, the weaker
//! the evidence that suffices for each. A conformal p-value among n calibration texts is at least 1/(n + 1), so a
//! calibration may be too small for a single text of the run to fail. And if texts in other files look foreign, more of
//! them are expected to fail.

use super::policy::{Rule, Undecided, allows};
use crate::report::{ProvenanceReport, Warning};
use petgraph::unionfind::UnionFind;
use serde::Serialize;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use whowrote_input::prose::LineUnit;
use whowrote_stats::verdict::{Hypothesis, Verdict};
use whowrote_stats::{counting_e_value, e_bh, expected_rejections, least_rejections};

/// The version of the JSON that a [`GateReport`] serialises to.
const GATE_SCHEMA: u32 = 1;

/// A text with its verdict, before the rules of the policy are applied.
#[derive(Clone, Debug)]
pub struct JudgedText<'a> {
    /// The file's name in results.
    pub path: String,
    /// The unit of `lines`.
    pub unit: LineUnit,
    /// The text's lines in the file, counted from 1.
    pub lines: Vec<RangeInclusive<usize>>,
    /// The number of words.
    pub words: usize,
    /// SHA-256 of the words.
    pub sha256: String,
    /// Whether it continues another piece of the same passage.
    pub is_later: bool,
    /// The number of its rule, counted from 1, and the rule.
    pub rule: (usize, &'a Rule),
    /// The verdict on the text by itself.
    pub report: ProvenanceReport,
}

/// The outcome of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextOutcome {
    /// Only allowed authors are left, or the policy lets the text pass.
    Pass,
    /// The evidence is inconclusive, and the policy asks for a warning.
    Warn,
    /// No allowed author is left; or the evidence is inconclusive, and the policy says that this fails.
    Fail,
}

/// A judged text and its outcome.
#[derive(Clone, Debug, Serialize)]
pub struct GateText {
    /// The file.
    pub path: String,
    /// The unit of `lines`.
    pub unit: LineUnit,
    /// The first and the last line of each stretch of the text, counted from 1.
    pub lines: Vec<[usize; 2]>,
    /// The number of words.
    pub words: usize,
    /// SHA-256 of the words.
    pub sha256: String,
    /// Whether it continues another piece of the same passage.
    pub is_later: bool,
    /// The number of its rule, counted from 1.
    pub rule: usize,
    /// The patterns of its rule.
    pub rule_paths: Vec<String>,
    /// The authors that its rule allows.
    pub allow: Vec<String>,
    /// The outcome.
    pub outcome: TextOutcome,
    /// Whether every allowed author is excluded at the level of the run.
    pub ruled_out: bool,
    /// Whether every allowed author would be excluded if this text were the whole run, and the beginning of a text.
    pub ruled_out_alone: bool,
    /// Whether the evidence is inconclusive. At the level of the run an allowed author may have written the text, but
    /// an author that is not allowed may have written it too, or the text could not be judged, or no allowed author is
    /// left if it is judged alone or with its misspelt words corrected.
    pub undecided: bool,
    /// If an allowed author wrote the text, evidence this strong has at most this probability. None if one of the
    /// allowed authors is not tested.
    pub p_value: Option<f64>,
    /// The text counts against the run if its p-value is at most this.
    pub level: f64,
    /// The number of texts that must count for this one to fail: more than one if the calibration is too small for one to
    /// fail, or if texts of other files look foreign. It exceeds the number of texts in the run if the calibration is too
    /// small for any of them to fail.
    pub together: usize,
    /// The verdict on the text by itself.
    pub report: ProvenanceReport,
}

impl GateText {
    /// Whether it fails only because the policy fails texts whose evidence is inconclusive.
    pub fn fails_by_choice(&self) -> bool {
        self.outcome == TextOutcome::Fail && !self.ruled_out
    }

    /// Whether a reader should see it whatever its outcome: judged alone, or with misspelt words corrected, no allowed
    /// author is left.
    pub fn is_suspect(&self) -> bool {
        self.ruled_out_alone || self.ruled_out_corrected()
    }

    /// Whether no allowed author is left if misspelt words are corrected.
    pub fn ruled_out_corrected(&self) -> bool {
        ruled_out_corrected(&self.report, |hypothesis| self.allows(hypothesis))
    }

    /// Whether the rule allows an author.
    pub fn allows(&self, hypothesis: &Hypothesis) -> bool {
        allows(&self.allow, &hypothesis.author, hypothesis.set)
    }
}

/// How important a note is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    /// The policy or a mark in the file lets something pass.
    Notice,
    /// Something could let any text pass.
    Warning,
}

/// A note about a file, apart from the texts that were judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How important it is.
    pub level: NoteLevel,
    /// The file.
    pub path: String,
    /// The line, if the note is about one.
    pub line: Option<usize>,
    /// One sentence.
    pub message: String,
}

/// What was not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Files that no rule names, or whose rule says `judge = false`.
    pub unnamed: usize,
    /// Files that a rule names but whose format the program cannot extract prose from.
    pub no_prose: usize,
    /// Changed files without a new sentence, or with too few new words.
    pub too_short: usize,
    /// New words in files that have too few new words.
    pub short_words: usize,
    /// New words that marks in the files exempt.
    pub ignored_words: usize,
    /// Texts that pass by an exception in the policy.
    pub excepted: usize,
}

/// The outcome of a run.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// The version of this object.
    pub schema: u32,
    /// Whether no text failed.
    pub passed: bool,
    /// The policy's file; none for the default policy.
    pub policy: Option<String>,
    /// If allowed authors wrote all texts of a run, the run fails with probability at most alpha.
    pub alpha: f64,
    /// Whether that bound holds. It does not if the policy fails texts whose evidence is inconclusive.
    pub promised: bool,
    /// The texts, in the order of files and lines.
    pub texts: Vec<GateText>,
    /// What was not judged.
    pub skipped: Skipped,
    /// What else the reader must know, with file and line.
    pub notes: Vec<Note>,
    /// Files that could not be read. If there are any, the run is incomplete.
    pub unreadable: Vec<Note>,
}

/// Applies the rules to the judged texts of a run. The report contains the texts; the caller adds the policy's file,
/// the notes, and what was skipped or could not be read.
pub fn apply_rules(texts: Vec<JudgedText>, alpha: f64) -> GateReport {
    let promised = texts.iter().all(|text| text.rule.1.undecided != Undecided::Fail);
    // Which texts can fail depends only on the policy and on their place in the file, not on what they say.
    let can_fail = texts
        .iter()
        .enumerate()
        .filter(|(_, text)| text.rule.1.can_fail(text.is_later));
    let can_fail: Vec<usize> = can_fail.map(|(i, _)| i).collect();
    let single = alpha / can_fail.len().max(1) as f64;
    let mut evidence: Vec<Against> = texts.iter().map(|text| Against::new(text, single)).collect();
    expect(&mut evidence, &texts, &can_fail, single);
    let mut rejected = vec![false; texts.len()];
    let e_values: Vec<f64> = can_fail.iter().map(|&i| evidence[i].e_value(single)).collect();
    for (&i, is_rejected) in can_fail.iter().zip(e_bh(&e_values, alpha)) {
        rejected[i] = is_rejected;
    }
    let texts = texts
        .into_iter()
        .zip(evidence)
        .zip(rejected)
        .map(|((text, found), ruled_out)| {
            let (number, rule) = text.rule;
            let allowed = |h: &&Hypothesis| rule.allows(&h.author, h.set);
            let hypotheses = &text.report.hypotheses;
            let ruled_out_alone = found.p_value.is_some() && hypotheses.iter().filter(allowed).all(|h| !h.retained);
            let undecided = !ruled_out
                && (text.report.verdict == Verdict::Unable
                    || hypotheses.iter().any(|h| h.retained && !rule.allows(&h.author, h.set))
                    || ruled_out_alone
                    || ruled_out_corrected(&text.report, |h| rule.allows(&h.author, h.set)));
            GateText {
                outcome: match (ruled_out, undecided, rule.undecided) {
                    (true, ..) | (_, true, Undecided::Fail) => TextOutcome::Fail,
                    (_, true, Undecided::Warn) => TextOutcome::Warn,
                    _ => TextOutcome::Pass,
                },
                lines: text.lines.iter().map(|lines| [*lines.start(), *lines.end()]).collect(),
                path: text.path,
                unit: text.unit,
                words: text.words,
                sha256: text.sha256,
                is_later: text.is_later,
                rule: number,
                rule_paths: rule.paths.clone(),
                allow: rule.allow.clone(),
                ruled_out,
                ruled_out_alone,
                undecided,
                p_value: found.p_value,
                level: found.level(single),
                together: found.together,
                report: text.report,
            }
        });
    let texts: Vec<GateText> = texts.collect();
    GateReport {
        schema: GATE_SCHEMA,
        passed: texts.iter().all(|text| text.outcome != TextOutcome::Fail),
        policy: None,
        alpha,
        promised,
        texts,
        skipped: Skipped::default(),
        notes: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// Whether a text with many misspelt words has no allowed author left after they are corrected.
fn ruled_out_corrected(report: &ProvenanceReport, allows: impl Fn(&Hypothesis) -> bool) -> bool {
    let corrected = report.misspellings.as_ref().map(|misspellings| &misspellings.corrected);
    corrected.is_some_and(|corrected| {
        let left = |h: &Hypothesis| allows(h) && corrected.authors.contains(&h.author);
        corrected.verdict != Verdict::Unable && !report.hypotheses.iter().any(left)
    })
}

/// The evidence against all allowed authors of a text.
struct Against {
    p_value: Option<f64>,
    /// How many texts must count for this one to fail.
    together: usize,
    /// What the p-value will roughly be, by nothing that the p-values of other documents' texts are ranked among.
    expected: f64,
    /// Whether the p-value itself is ranked among nothing that tells what to expect.
    is_fitted: bool,
}

impl Against {
    /// `single` is the level of a text that fails by itself.
    fn new(text: &JudgedText, single: f64) -> Self {
        let (_, rule) = text.rule;
        let hypotheses = text.report.hypotheses.iter();
        let allowed: Vec<&Hypothesis> = hypotheses.filter(|h| rule.allows(&h.author, h.set)).collect();
        let is_telling = |warning: &Warning| match warning {
            Warning::Decision(caveat) => caveat.is_telling(),
            _ => true,
        };
        // If no allowed author was considered, there is no evidence against them.
        let tested = text.report.warnings.iter().all(is_telling)
            && !allowed.is_empty()
            && allowed.iter().all(|h| h.p_value.is_some());
        let greatest = |of: fn(&Hypothesis) -> f64| allowed.iter().map(|h| of(h)).fold(0.0, f64::max);
        let or_one = |of: fn(&Hypothesis) -> f64| if tested { greatest(of) } else { 1.0 };
        Self {
            p_value: tested.then(|| greatest(|h| h.p_value.unwrap_or(1.0))),
            together: least_rejections(or_one(Hypothesis::least_p_value), single),
            expected: or_one(expected_p_value),
            is_fitted: allowed
                .iter()
                .flat_map(|h| h.places())
                .all(|place| place.by_fit.is_some()),
        }
    }

    /// The text counts if its p-value is at most this.
    fn level(&self, single: f64) -> f64 {
        single * self.together as f64
    }

    /// The inverse of the level if the text counts, else 0.
    fn e_value(&self, single: f64) -> f64 {
        self.p_value
            .map_or(0.0, |p_value| counting_e_value(p_value, self.level(single)))
    }
}

/// Raises the number of texts that must count, for each text, to three quarters of the number that is expected to fail if
/// this text does. Only texts of other files tell what to expect. Files that have a text in common count as one, and so
/// do files that each have one in common with a third.
///
/// Three quarters, because a text fails only if so many really count: it is worse to expect too many than too few
/// (docs/VALIDITY.md).
fn expect(evidence: &mut [Against], texts: &[JudgedText], can_fail: &[usize], single: f64) {
    let mut documents = UnionFind::<usize>::new(texts.len());
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (i, text) in texts.iter().enumerate() {
        for name in [&text.path, &text.sha256] {
            documents.union(i, *known.entry(name).or_insert(i));
        }
    }
    let documents = documents.into_labeling();
    let expected_alone = |&i: &usize| (documents[i], least_rejections(evidence[i].expected, single));
    let alone: Vec<(usize, usize)> = can_fail.iter().map(expected_alone).collect();
    let mut expected: HashMap<usize, usize> = HashMap::new();
    for &i in can_fail {
        if !evidence[i].is_fitted {
            continue;
        }
        let document = documents[i];
        let expected = *expected.entry(document).or_insert_with(|| {
            let others = alone.iter().filter(|(of, _)| *of != document);
            expected_rejections(others.map(|(_, alone)| *alone))
        });
        evidence[i].together = evidence[i].together.max(expected - expected / 4);
    }
}

/// What the p-value of an author will roughly be, by the documents that its score was fitted to. 1 if the score has no fit.
fn expected_p_value(hypothesis: &Hypothesis) -> f64 {
    match hypothesis.places().next() {
        Some(_) => hypothesis
            .places()
            .map(|place| place.by_fit.unwrap_or(1.0))
            .fold(0.0, f64::max),
        None => hypothesis.p_value.unwrap_or(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{GatePolicy, TEMPLATE};
    use std::path::Path;
    use whowrote_stats::verdict::{AuthorSet, Basis, CalibrationFigures, Caveat, Evidence, Test};

    fn hypothesis(author: &str, set: AuthorSet, p: Option<f64>, least: f64) -> Hypothesis {
        let evidence = Evidence {
            test: Test::Conformal,
            ln_e_value: f64::NEG_INFINITY,
            statistic: 0.0,
            threshold: 0.0,
            closed_form_threshold: None,
            against: Vec::new(),
            calibration: Some(CalibrationFigures {
                texts: 500,
                least_p_value: least,
                documents: 100,
                words: 150,
                group: String::new(),
                by_fit: None,
            }),
        };
        Hypothesis {
            author: author.to_owned(),
            set,
            model: None,
            decoding: None,
            basis: Basis::Calibration,
            retained: p.is_none_or(|p| p > 0.05),
            p_value: p,
            ln_e_value: None,
            later_known: false,
            pieces: 1,
            evidence: vec![evidence],
        }
    }

    /// The report on texts with this p-value of both allowed authors, by fitted scores. Each text has a path.
    fn by_fit(texts: &[(f64, &str)], least: f64) -> GateReport {
        let policy = GatePolicy::parse(TEMPLATE, None, Path::new("/")).unwrap();
        let p_values: Vec<_> = texts.iter().map(|(p, _)| [Some(*p), Some(0.9), Some(*p)]).collect();
        let mut judged = judged(&policy, &p_values, least, 0);
        for (i, (text, (p, path))) in judged.iter_mut().zip(texts).enumerate() {
            (text.path, text.sha256) = ((*path).to_owned(), i.to_string());
            for evidence in text.report.hypotheses.iter_mut().flat_map(|h| &mut h.evidence) {
                evidence.calibration.as_mut().unwrap().by_fit = Some(*p);
            }
        }
        apply_rules(judged, policy.alpha)
    }

    fn found(report: &GateReport) -> Vec<bool> {
        report.texts.iter().map(|text| text.ruled_out).collect()
    }

    #[test]
    fn texts_of_other_files_tell_how_many_to_expect() {
        let texts = [(0.012, "a"), (0.02, "b"), (0.03, "c"), (0.03, "d"), (0.9, "e")];
        let report = by_fit(&texts, 0.001);
        // Four are expected to fail with each of the first four, and three must.
        assert_eq!(found(&report), [true, true, true, true, false]);
        assert!(
            report.texts[..4]
                .iter()
                .all(|text| text.together == 3 && (text.level - 0.03).abs() < 1e-12)
        );
        // If the last one is as strong as can be, the others are expected to fail with it.
        assert_eq!(report.texts[4].together, 4);
        // What other files do not tell is not expected.
        let one_file = texts.map(|(p, _)| (p, "a"));
        let report = by_fit(&one_file, 0.001);
        assert!(report.passed && report.texts.iter().all(|text| text.together == 1));
        let fixed = decided(TEMPLATE, &texts.map(|(p, _)| [Some(p), Some(0.9), Some(p)]), 0.001);
        assert!(fixed.passed);
    }

    #[test]
    fn a_text_that_is_left_alone_has_to_be_found_by_its_own_evidence() {
        // Its companion is expected to fail, and does not.
        let policy = GatePolicy::parse(TEMPLATE, None, Path::new("/")).unwrap();
        let outcome = |of_companion: f64| {
            let mut texts = judged(
                &policy,
                &[[Some(0.02), Some(0.9), Some(0.02)], [Some(0.9); 3]],
                0.001,
                0,
            );
            for (i, text) in texts.iter_mut().enumerate() {
                (text.path, text.sha256) = (i.to_string(), i.to_string());
                for evidence in text.report.hypotheses.iter_mut().flat_map(|h| &mut h.evidence) {
                    evidence.calibration.as_mut().unwrap().by_fit = Some([0.02, of_companion][i]);
                }
            }
            found(&apply_rules(texts, policy.alpha))
        };
        assert_eq!(outcome(0.9), [true, false]);
        assert_eq!(outcome(0.03), [false, false]);
    }

    #[test]
    fn a_copy_tells_nothing_new() {
        let policy = GatePolicy::parse(TEMPLATE, None, Path::new("/")).unwrap();
        let together = |copies: bool| {
            let mut texts = judged(&policy, &[[Some(0.01); 3]; 4], 0.001, 0);
            for (i, text) in texts.iter_mut().enumerate() {
                text.path = i.to_string();
                text.sha256 = if copies { String::new() } else { i.to_string() };
                for evidence in text.report.hypotheses.iter_mut().flat_map(|h| &mut h.evidence) {
                    evidence.calibration.as_mut().unwrap().by_fit = Some(0.01);
                }
            }
            apply_rules(texts, policy.alpha).texts[0].together
        };
        assert_eq!((together(false), together(true)), (3, 1));
    }

    /// The report on texts with these p-values of the in-house model, the other model and a person.
    fn decided(policy: &str, p_values: &[[Option<f64>; 3]], least: f64) -> GateReport {
        decided_of_pieces(policy, p_values, least, 0)
    }

    /// The same, with the last `later` texts as later pieces.
    fn decided_of_pieces(policy: &str, p_values: &[[Option<f64>; 3]], least: f64, later: usize) -> GateReport {
        let policy = GatePolicy::parse(policy, None, Path::new("/")).unwrap();
        apply_rules(judged(&policy, p_values, least, later), policy.alpha)
    }

    fn judged<'a>(
        policy: &'a GatePolicy,
        p_values: &[[Option<f64>; 3]],
        least: f64,
        later: usize,
    ) -> Vec<JudgedText<'a>> {
        let judged = p_values.iter().enumerate().map(|(i, &[own, other, person])| {
            let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
            report.verdict = Verdict::Undecided;
            report.hypotheses = vec![
                hypothesis("own", AuthorSet::A, own, least),
                hypothesis("other", AuthorSet::B, other, least),
                hypothesis("human", AuthorSet::Human, person, least),
            ];
            JudgedText {
                path: "a.md".to_owned(),
                unit: LineUnit::Line,
                lines: vec![3..=9],
                words: 150,
                sha256: String::new(),
                is_later: i + later >= p_values.len(),
                rule: (1, &policy.rules[0]),
                report,
            }
        });
        judged.collect()
    }

    #[test]
    fn a_known_or_repeating_text_does_not_fail() {
        let policy = GatePolicy::parse(TEMPLATE, None, Path::new("/")).unwrap();
        let outcome = |caveat: Option<Caveat>| {
            let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
            report.verdict = Verdict::Attributed;
            report.hypotheses = vec![
                hypothesis("own", AuthorSet::A, Some(0.001), 0.001),
                hypothesis("other", AuthorSet::B, Some(0.9), 0.001),
                hypothesis("human", AuthorSet::Human, Some(0.001), 0.001),
            ];
            report.warnings = caveat.map(Warning::Decision).into_iter().collect();
            let text = JudgedText {
                path: "a.md".to_owned(),
                unit: LineUnit::Line,
                lines: vec![3..=9],
                words: 150,
                sha256: String::new(),
                is_later: false,
                rule: (1, &policy.rules[0]),
                report,
            };
            apply_rules(vec![text], policy.alpha).texts.swap_remove(0)
        };
        assert_eq!(outcome(None).outcome, TextOutcome::Fail);
        for caveat in [
            Caveat::Memorised {
                models: vec!["other".to_owned()],
            },
            Caveat::Repeats,
        ] {
            let text = outcome(Some(caveat));
            assert!(text.outcome != TextOutcome::Fail && text.p_value.is_none());
        }
    }

    /// For every quotient, however it is rounded.
    #[test]
    fn a_p_value_that_equals_its_level_counts() {
        for (texts, known) in [
            (45u32, 299u32),
            (45, 149),
            (90, 599),
            (91, 90),
            (99, 395),
            (38, 39),
            (123, 491),
        ] {
            for rank in 1..=texts {
                let p = f64::from(rank) / f64::from(known + 1);
                let least = 1.0 / f64::from(known + 1);
                let text = [Some(p), Some(0.9), Some(p)];
                let report = decided(TEMPLATE, &vec![text; texts as usize], least);
                let found = report.texts[0].ruled_out;
                let together = (20 * texts).div_ceil(known + 1);
                let counts = rank * 20 * texts <= together * (known + 1) && together <= texts;
                assert_eq!(found, counts, "{texts} texts, {rank} of {known} + 1");
            }
        }
    }

    fn outcomes(report: &GateReport) -> Vec<TextOutcome> {
        report.texts.iter().map(|text| text.outcome).collect()
    }

    #[test]
    fn a_text_fails_where_every_allowed_author_is_ruled_out() {
        let p = Some;
        let one = |own, other, person| outcomes(&decided(TEMPLATE, &[[own, other, person]], 0.001))[0];
        assert_eq!(one(p(0.04), p(0.9), p(0.05)), TextOutcome::Fail);
        assert_eq!(one(p(0.04), p(0.9), p(0.06)), TextOutcome::Pass);
        assert_eq!(one(p(0.9), p(0.9), p(0.01)), TextOutcome::Pass);
        // An author that is not tested is not excluded.
        assert_eq!(one(None, p(0.9), p(0.001)), TextOutcome::Pass);
        // An unknown author is not allowed.
        assert_eq!(one(p(0.001), p(0.001), p(0.001)), TextOutcome::Fail);
    }

    #[test]
    fn a_later_piece_fails_only_where_no_model_may_write_it() {
        let text = [Some(0.01), Some(0.9), Some(0.01)];
        let report = decided_of_pieces(TEMPLATE, &[text; 3], 0.001, 2);
        assert_eq!(
            outcomes(&report),
            [TextOutcome::Fail, TextOutcome::Pass, TextOutcome::Pass]
        );
        // The level of the texts that can fail stays the same.
        assert!((report.texts[0].level - 0.05).abs() < 1e-12);
        assert!(report.texts[1].ruled_out_alone && report.texts[1].undecided && report.texts[1].is_suspect());
        let people = "[[rule]]\npaths = [\"*\"]\nallow = [\"human\"]";
        let report = decided_of_pieces(people, &[text; 3], 0.001, 2);
        assert_eq!(outcomes(&report), [TextOutcome::Fail; 3]);
    }

    #[test]
    fn what_the_evidence_does_not_tell_is_for_the_policy_to_say() {
        let rule = |undecided: &str| {
            format!("[[rule]]\npaths = [\"*\"]\nallow = [\"own\", \"human\"]\nundecided = \"{undecided}\"")
        };
        let text = [Some(0.3), Some(0.4), Some(0.5)];
        for (undecided, outcome) in [
            ("pass", TextOutcome::Pass),
            ("warn", TextOutcome::Warn),
            ("fail", TextOutcome::Fail),
        ] {
            let report = decided(&rule(undecided), &[text], 0.001);
            assert_eq!(outcomes(&report), [outcome]);
            assert_eq!(report.passed, outcome != TextOutcome::Fail);
            assert!(report.texts[0].undecided && !report.texts[0].ruled_out);
        }
        // After the other model is excluded, only allowed authors are left.
        let report = decided(&rule("fail"), &[[Some(0.3), Some(0.01), Some(0.5)]], 0.001);
        assert_eq!(outcomes(&report), [TextOutcome::Pass]);
    }

    #[test]
    fn the_more_texts_the_stronger_the_evidence_has_to_be() {
        let text = |p| [Some(p), Some(0.9), Some(p)];
        let with = |p: f64, others: usize| {
            let mut texts = vec![text(p)];
            texts.extend((0..others).map(|_| text(0.5)));
            let report = decided(TEMPLATE, &texts, 0.001);
            (report.texts[0].ruled_out, report.texts[0].ruled_out_alone)
        };
        assert_eq!(with(0.012, 0), (true, true));
        assert_eq!(with(0.012, 3), (true, true));
        assert_eq!(with(0.012, 4), (false, true));
        // Judged alone the text would have failed, so its evidence counts as inconclusive.
        let report = decided(TEMPLATE, &[text(0.02), text(0.5), text(0.5), text(0.5)], 0.001);
        assert!(report.texts[0].undecided && report.passed);
    }

    #[test]
    fn where_a_calibration_cannot_tell_one_text_several_must_count() {
        let text = |p| [Some(p), Some(0.9), Some(p)];
        let run = |counting: usize| {
            let texts: Vec<_> = (0..20).map(|i| text(if i < counting { 0.0125 } else { 0.5 })).collect();
            decided(TEMPLATE, &texts, 1.0 / 80.0)
        };
        // 0.05/20 is a fifth of the least p-value with 79 calibration texts.
        let few = run(4);
        assert!(few.passed && few.texts.iter().all(|text| text.together == 5));
        assert!((few.texts[0].level - 0.0125).abs() < 1e-12);
        let enough = run(5);
        assert_eq!(enough.texts.iter().filter(|text| text.ruled_out).count(), 5);
        // A text without a calibration can never fail.
        let never = decided(TEMPLATE, &[text(0.5), [None; 3]], 0.001);
        assert_eq!(never.texts[1].together, 40);
    }

    #[test]
    fn a_run_without_texts_passes() {
        let report = decided(TEMPLATE, &[], 0.001);
        assert!(report.passed && report.texts.is_empty());
    }
}
