//! The texts of a run in words. The author of a text may read these sentences, so each must be true as it stands.

use super::verdicts::{author_and_set, list, percent, texts};
use super::warning;
use crate::gate::{GateReport, GateText, TextOutcome};
use whowrote_input::printable;
use whowrote_input::prose::LineUnit;
use whowrote_stats::verdict::{Hypothesis, Verdict};

/// The file and the lines of a text.
pub fn place(text: &GateText) -> String {
    let stretch = |[first, last]: &[usize; 2]| {
        if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        }
    };
    let stretches: Vec<String> = text.lines.iter().map(stretch).collect();
    let unit = match text.unit {
        LineUnit::Line => "",
        LineUnit::Paragraph => "paragraph ",
    };
    format!("{}:{unit}{}", printable(&text.path), stretches.join(","))
}

/// The outcome of a text, and the reason.
pub fn finding(text: &GateText) -> String {
    let names = |of: &dyn Fn(&Hypothesis) -> bool| -> Vec<String> {
        let hypotheses = text.report.hypotheses.iter();
        hypotheses.filter(|h| of(h)).map(author_and_set).collect()
    };
    let allowed = |h: &Hypothesis| text.allows(h);
    let left_allowed = names(&|h| h.retained && allowed(h));
    let left_others = names(&|h| h.retained && !allowed(h));
    let not_excluded = |nobody: &str| {
        if left_others.is_empty() {
            nobody.to_owned()
        } else {
            format!("Not excluded: {}.", list(&left_others, "and"))
        }
    };
    if text.ruled_out {
        return format!(
            "No allowed author can have written this; excluded: {}. {}",
            list(&names(&allowed), "and"),
            not_excluded("No author considered here is left.")
        );
    }
    if text.report.verdict == Verdict::Unable {
        let why = text.report.warnings.first().map(warning);
        return format!("This could not be judged: {}", why.unwrap_or_default());
    }
    let nobody_else = "No other author considered here is left either.";
    if text.ruled_out_alone && text.is_later {
        return format!(
            "Judged alone, no allowed author could have gone on like this. It continues another piece, and where a model \
             may write, a run fails by beginnings only; review it by hand. {}",
            not_excluded(nobody_else)
        );
    }
    if text.ruled_out_alone {
        return format!(
            "Judged alone, no allowed author could have written this. In a run of several texts, the evidence is too \
             weak to exclude them all. {}",
            not_excluded(nobody_else)
        );
    }
    if text.ruled_out_corrected() {
        return format!(
            "With its misspelt words corrected, no allowed author could have written this. As it is spelt, the \
             evidence is inconclusive: {} may have written it.",
            list(&[left_allowed, left_others].concat(), "or")
        );
    }
    if text.undecided {
        return format!(
            "The evidence is inconclusive: {} may have written this, and so may {}.",
            list(&left_others, "or"),
            list(&left_allowed, "or")
        );
    }
    format!("Only allowed authors are left: {}.", list(&left_allowed, "or"))
}

/// The evidence behind the finding.
pub fn basis(report: &GateReport, text: &GateText) -> Option<String> {
    if text.fails_by_choice() {
        return Some(format!(
            "It fails because rule {} of the policy says undecided = \"fail\".",
            text.rule
        ));
    }
    let p = text.p_value?;
    if text.is_later && text.ruled_out_alone && !text.ruled_out {
        return None;
    }
    let run = report.texts.len();
    let together = match text.together {
        1 => String::new(),
        // With so small a calibration, no text of the run can count.
        many if many > run => ", and the calibration is too small to reach it".to_owned(),
        many => format!(", if {many} texts of the run reach it (the calibration is too small for fewer)"),
    };
    let of = match run {
        1 => String::new(),
        _ => format!(" in a run of {}", texts(run as u64)),
    };
    Some(format!(
        "At most {} of an allowed author's texts give evidence this strong; the limit is {}{of}{together}.",
        share(p),
        share(text.level.min(1.0))
    ))
}

/// Who may write the text by the policy.
pub fn rule(text: &GateText) -> String {
    let hypotheses = text.report.hypotheses.iter();
    let allowed: Vec<String> = hypotheses.filter(|h| text.allows(h)).map(author_and_set).collect();
    // If the text could not be judged, no author was considered.
    let who = if allowed.is_empty() {
        text.allow.join(", ")
    } else {
        list(&allowed, "or")
    };
    format!("Rule {} ({}) allows {who}.", text.rule, text.rule_paths.join(", "))
}

/// What to do about a text that failed.
pub const REMEDY: &str = "What you can do: have an allowed author write the text. If it is a quotation, or was \
                          judged wrongly, add its digest to the policy as an [[exception]], or mark it in the file \
                          (whowrote: ignore).";

/// The finding with what it rests on.
pub fn message(report: &GateReport, text: &GateText) -> String {
    let mut sentences = vec![finding(text)];
    sentences.extend(basis(report, text));
    if text.outcome == TextOutcome::Fail {
        sentences.push(rule(text));
    }
    sentences.join(" ")
}

/// The kind of a finding, by the names that the formats for programs share.
pub fn kind(text: &GateText) -> &'static str {
    if text.ruled_out {
        "forbidden-author"
    } else {
        "author-undecided"
    }
}

/// A probability in percent, with two significant digits.
fn share(p: f64) -> String {
    let percent = 100.0 * p;
    let digits = (1.0 - percent.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{percent:.digits$}%")
}

/// The warnings that a reader must know before acting on the finding.
pub fn warnings(text: &GateText) -> impl Iterator<Item = String> {
    text.report.warnings.iter().map(warning)
}

/// The outcome of the run in a few sentences.
pub fn summary(report: &GateReport) -> String {
    let count = |outcome: TextOutcome| report.texts.iter().filter(|text| text.outcome == outcome).count();
    let (failed, warned) = (count(TextOutcome::Fail), count(TextOutcome::Warn));
    let texts = |n: usize| texts(n as u64);
    let judged = report.texts.len();
    let unread = report.unreadable.len();
    let mut said = match (judged, failed) {
        (0, _) => match skipped(report) {
            skipped if skipped.is_empty() => "No text to judge".to_owned(),
            skipped => format!("No text to judge ({})", skipped.join("; ")),
        },
        (_, 0) => format!("{} judged", texts(judged)),
        (_, _) => format!("{} judged, {failed} failed", texts(judged)),
    };
    said += &match (failed, unread) {
        (0, 0) => ": passed.".to_owned(),
        (_, 0) => ".".to_owned(),
        (_, 1) => "; 1 file could not be read.".to_owned(),
        (_, unread) => format!("; {unread} files could not be read."),
    };
    if warned > 0 {
        said += &format!(" {} left open.", texts(warned));
    }
    let open = report
        .texts
        .iter()
        .filter(|text| text.undecided && text.outcome == TextOutcome::Pass)
        .count();
    if open > 0 {
        said += &format!(" The evidence on {} that passed is inconclusive.", texts(open));
    }
    if judged > 0 {
        said += &if report.promised {
            format!(
                " If allowed authors wrote all texts of a run, it fails at most {} of the time.",
                percent(report.alpha)
            )
        } else {
            " The policy fails texts whose evidence is inconclusive; how often that is wrong has no bound.".to_owned()
        };
    }
    said
}

/// What was not judged, with its number.
pub fn skipped(report: &GateReport) -> Vec<String> {
    let skipped = &report.skipped;
    let counts = [
        (skipped.unnamed, "files that the policy does not judge"),
        (skipped.no_prose, "files of a format that is not supported"),
        (skipped.too_short, "files without a new text that is long enough"),
        (skipped.short_words, "new words in texts that are too short"),
        (skipped.ignored_words, "words exempted by marks in the files"),
        (skipped.excepted, "texts that pass by an exception in the policy"),
    ];
    let said = |(count, what): (usize, &str)| (count > 0).then(|| format!("{what}: {count}"));
    counts.into_iter().filter_map(said).collect()
}
