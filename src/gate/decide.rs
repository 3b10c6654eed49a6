//! Which texts of a run fail.
//!
//! A text fails where every author that may write it is ruled out. Its p-value for "one of the allowed authors wrote it" is the
//! greatest of theirs, and [`e_bh`] gives all texts of the run one error: of runs whose texts were all written by allowed
//! authors at most a share alpha fails (docs/THEORY.md 14.1).
//!
//! A later piece of a passage does not fail by the evidence where a model may write it: calibrations of models hold beginnings of
//! texts, and of what a model goes on to write they rule out more than they promise (docs/VALIDITY.md, "Pieces of long texts"). It is
//! told.
//!
//! A conformal p-value is never below one over the number of texts that it is a place among, and one. Where a calibration is too
//! small for a single text of the run to fail by itself, several have to be as unlike the allowed authors as it can tell. How many
//! depends on the number of texts and their lengths, and on nothing else of them.

use super::policy::{Rule, Undecided, allows};
use crate::report::ProvenanceReport;
use serde::Serialize;
use std::ops::RangeInclusive;
use whowrote_input::prose::LineUnit;
use whowrote_stats::verdict::{Hypothesis, Verdict};
use whowrote_stats::{ROUNDING, e_bh, together};

/// The version of the JSON that a [`GateReport`] serialises to.
const GATE_SCHEMA: u32 = 1;

/// A text with its verdict, before the run is decided.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    /// The file, as results name it.
    pub path: String,
    /// What `lines` counts.
    pub unit: LineUnit,
    /// Where in the file it stands, counted from 1.
    pub lines: Vec<RangeInclusive<usize>>,
    /// The number of its words.
    pub words: usize,
    /// SHA-256 of its words.
    pub sha256: String,
    /// Whether it goes on where another piece of the same passage ends.
    pub is_later: bool,
    /// The rule's number, counted from 1, and the rule.
    pub rule: (usize, &'a Rule),
    /// The verdict on the text by itself.
    pub report: ProvenanceReport,
}

/// What becomes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TextOutcome {
    /// Nothing speaks for an author that is not allowed, or the policy lets it pass.
    Pass,
    /// The evidence does not tell, and the policy wants that told.
    Warn,
    /// No allowed author is left; or the evidence does not tell, and the policy wants that to fail.
    Fail,
}

/// A judged text, and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub struct GateText {
    /// The file.
    pub path: String,
    /// What `lines` counts.
    pub unit: LineUnit,
    /// The first and the last of each stretch of it, counted from 1.
    pub lines: Vec<[usize; 2]>,
    /// The number of its words.
    pub words: usize,
    /// SHA-256 of its words.
    pub sha256: String,
    /// Whether it goes on where another piece of the same passage ends.
    pub is_later: bool,
    /// The rule's number, counted from 1.
    pub rule: usize,
    /// The rule's patterns.
    pub rule_paths: Vec<String>,
    /// Who may write it, as the rule says.
    pub allow: Vec<String>,
    /// What becomes of it.
    pub outcome: TextOutcome,
    /// Whether every allowed author is ruled out at the level of the run.
    pub ruled_out: bool,
    /// Whether every allowed author is ruled out at the level that one text alone has, read as the beginning of one.
    pub ruled_out_alone: bool,
    /// Whether the evidence does not tell: it is not ruled out that an allowed author wrote it, and an author that is not allowed is
    /// left, or no allowed author where the text is judged alone or with its misspelt words put right.
    pub undecided: bool,
    /// Probability, at most, of evidence this strong if an allowed author wrote it; none where one of them is not tested.
    pub p_value: Option<f64>,
    /// The text counts against the run where its p-value is at most this.
    pub level: f64,
    /// How many texts of the run have to count for it to fail; more than there are where the calibration can never tell.
    pub together: usize,
    /// The verdict on the text by itself.
    pub report: ProvenanceReport,
}

impl GateText {
    /// Whether it fails because the policy has texts fail of which the evidence does not tell, and not because of the evidence.
    pub fn fails_by_choice(&self) -> bool {
        self.outcome == TextOutcome::Fail && !self.ruled_out
    }

    /// Whether a reader wants to see it, whatever the policy makes of it: judged in another way, no allowed author could have written
    /// it.
    pub fn is_suspect(&self) -> bool {
        self.ruled_out_alone || self.ruled_out_corrected()
    }

    /// Whether no allowed author is left once misspelt words are put right.
    pub fn ruled_out_corrected(&self) -> bool {
        ruled_out_corrected(&self.report, |hypothesis| self.allows(hypothesis))
    }

    /// Whether the rule allows an author.
    pub fn allows(&self, hypothesis: &Hypothesis) -> bool {
        allows(&self.allow, &hypothesis.author, hypothesis.set)
    }
}

/// How much a note asks for a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoteLevel {
    /// Something that was let pass as the policy or the file says.
    Notice,
    /// Something that can let anything pass.
    Warning,
}

/// Something about a file that is no text to be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Note {
    /// How much it asks for a look.
    pub level: NoteLevel,
    /// The file.
    pub path: String,
    /// The line, where it is about one.
    pub line: Option<usize>,
    /// One sentence.
    pub message: String,
}

/// What was not judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// Files that no rule names, or whose rule wants none judged.
    pub unnamed: usize,
    /// Files that a rule names and that hold no prose that is known how to take out.
    pub no_prose: usize,
    /// Files of the change without a new sentence, or with too few new words.
    pub too_short: usize,
    /// New words of files that have too few of them.
    pub short_words: usize,
    /// New words that marks in the files exempt.
    pub ignored_words: usize,
    /// Texts that an exception of the policy lets pass.
    pub excepted: usize,
}

/// What became of a run.
#[derive(Clone, Debug, Serialize)]
pub struct GateReport {
    /// The version of this object.
    pub schema: u32,
    /// Whether no text failed.
    pub passed: bool,
    /// The policy's file; none for the default policy.
    pub policy: Option<String>,
    /// The share of runs, at most, that fail although allowed authors wrote all their texts.
    pub alpha: f64,
    /// Whether that is promised: not where the policy has texts fail of which the evidence does not tell.
    pub promised: bool,
    /// How the error is shared out among the texts.
    pub correction: &'static str,
    /// The texts, in the order of files and lines.
    pub texts: Vec<GateText>,
    /// What was not judged.
    pub skipped: Skipped,
    /// What else the reader must know, with its place.
    pub notes: Vec<Note>,
    /// Files that could not be read; the run is incomplete.
    pub unreadable: Vec<Note>,
}

/// Decides a run: the report knows its texts and nothing else of it yet.
pub fn decide(judged: Vec<Judged>, alpha: f64) -> GateReport {
    let promised = judged.iter().all(|text| text.rule.1.undecided != Undecided::Fail);
    // Which texts can fail depends on the policy and on where they stand, and on nothing that they say.
    let can_fail = judged
        .iter()
        .enumerate()
        .filter(|(_, text)| text.rule.1.can_fail(text.is_later));
    let can_fail: Vec<usize> = can_fail.map(|(i, _)| i).collect();
    let evidence: Vec<Against> = judged.iter().map(|text| against(text, can_fail.len(), alpha)).collect();
    let e_values: Vec<f64> = can_fail.iter().map(|&i| evidence[i].e_value()).collect();
    let mut rejected = vec![false; judged.len()];
    for (&i, is_rejected) in can_fail.iter().zip(e_bh(&e_values, alpha)) {
        rejected[i] = is_rejected;
    }
    let texts = judged
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
                level: found.level,
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
        correction: "e-bh",
        texts,
        skipped: Skipped::default(),
        notes: Vec::new(),
        unreadable: Vec::new(),
    }
}

/// Whether no allowed author is left of a text with its misspelt words put right, where it has many.
fn ruled_out_corrected(report: &ProvenanceReport, allows: impl Fn(&Hypothesis) -> bool) -> bool {
    let corrected = report.misspellings.as_ref().map(|misspellings| &misspellings.corrected);
    corrected.is_some_and(|corrected| {
        let left = |h: &Hypothesis| allows(h) && corrected.authors.contains(&h.author);
        corrected.verdict != Verdict::Unable && !report.hypotheses.iter().any(left)
    })
}

/// What speaks against all allowed authors of a text.
struct Against {
    p_value: Option<f64>,
    level: f64,
    together: usize,
}

impl Against {
    /// The inverse of the level where the p-value reaches it, which is an e-value.
    fn e_value(&self) -> f64 {
        match self.p_value {
            Some(p) if p <= self.level * (1.0 + ROUNDING) => 1.0 / self.level,
            _ => 0.0,
        }
    }
}

fn against(text: &Judged, of: usize, alpha: f64) -> Against {
    let (_, rule) = text.rule;
    let hypotheses = text.report.hypotheses.iter();
    let allowed: Vec<&Hypothesis> = hypotheses.filter(|h| rule.allows(&h.author, h.set)).collect();
    // Without an allowed author among those that were considered nothing is known of them.
    let tested = !allowed.is_empty() && allowed.iter().all(|h| h.p_value.is_some());
    let greatest = |values: &mut dyn Iterator<Item = f64>| values.fold(0.0, f64::max);
    let least = match tested {
        true => greatest(&mut allowed.iter().map(|h| least_p_value(h))),
        false => 1.0,
    };
    let single = alpha / of.max(1) as f64;
    let together = together(least, single);
    Against {
        p_value: tested.then(|| greatest(&mut allowed.iter().filter_map(|h| h.p_value))),
        level: single * together as f64,
        together,
    }
}

/// The least p-value that an author can have: theorems know of none.
fn least_p_value(hypothesis: &Hypothesis) -> f64 {
    let places = hypothesis
        .evidence
        .iter()
        .filter_map(|evidence| evidence.calibration.as_ref());
    places.map(|place| place.least_p_value).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{GatePolicy, TEMPLATE};
    use std::path::Path;
    use whowrote_stats::verdict::{AuthorSet, Basis, CalibrationFigures, Evidence, Test};

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
                words: 150,
                group: String::new(),
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
            evidence: vec![evidence],
        }
    }

    /// Texts with these p-values of the in-house model, the other model and a person, decided by a rule.
    fn decided(policy: &str, p_values: &[[Option<f64>; 3]], least: f64) -> GateReport {
        decided_of_pieces(policy, p_values, least, 0)
    }

    /// The same with so many of the last texts later pieces.
    fn decided_of_pieces(policy: &str, p_values: &[[Option<f64>; 3]], least: f64, later: usize) -> GateReport {
        let policy = GatePolicy::parse(policy, None, Path::new("/")).unwrap();
        let judged = p_values.iter().enumerate().map(|(i, &[own, other, person])| {
            let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
            report.verdict = Verdict::Undecided;
            report.hypotheses = vec![
                hypothesis("own", AuthorSet::A, own, least),
                hypothesis("other", AuthorSet::B, other, least),
                hypothesis("human", AuthorSet::Human, person, least),
            ];
            Judged {
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
        decide(judged.collect(), policy.alpha)
    }

    /// Whatever doubles make of their quotients.
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
        // Whom nothing tests, nothing rules out.
        assert_eq!(one(None, p(0.9), p(0.001)), TextOutcome::Pass);
        // An unknown author is none that is allowed.
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
        // It costs the texts that can fail nothing.
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
        // Once the other model is ruled out, only allowed authors are left.
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
        // Alone it would have been ruled out, which is told as what the evidence does not tell.
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
        // 0.05/20 is a fifth of the least p-value that 79 texts allow.
        let few = run(4);
        assert!(few.passed && few.texts.iter().all(|text| text.together == 5));
        assert!((few.texts[0].level - 0.0125).abs() < 1e-12);
        let enough = run(5);
        assert_eq!(enough.texts.iter().filter(|text| text.ruled_out).count(), 5);
        // Nothing can tell what no calibration covers.
        let never = decided(TEMPLATE, &[text(0.5), [None; 3]], 0.001);
        assert_eq!(never.texts[1].together, 40);
    }

    #[test]
    fn a_run_without_texts_passes() {
        let report = decided(TEMPLATE, &[], 0.001);
        assert!(report.passed && report.texts.is_empty());
    }
}
