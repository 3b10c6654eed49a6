//! What is said of the texts of a run. The author of a text may read these sentences, so each has to be true as it stands.

use super::verdicts::{author_and_set, list, percent, texts};
use super::warning;
use crate::gate::{GateReport, GateText, TextOutcome};
use whowrote_input::printable;
use whowrote_input::prose::LineUnit;
use whowrote_stats::verdict::{Hypothesis, Verdict};

/// The file and the lines of a text.
pub fn place(text: &GateText) -> String {
    let stretch = |[first, last]: &[usize; 2]| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let stretches: Vec<String> = text.lines.iter().map(stretch).collect();
    let unit = match text.unit {
        LineUnit::Line => "",
        LineUnit::Paragraph => "paragraph ",
    };
    format!("{}:{unit}{}", printable(&text.path), stretches.join(","))
}

/// What became of a text, and why.
pub fn finding(text: &GateText) -> String {
    let names = |of: &dyn Fn(&Hypothesis) -> bool| -> Vec<String> {
        let hypotheses = text.report.hypotheses.iter();
        hypotheses.filter(|h| of(h)).map(author_and_set).collect()
    };
    let allowed = |h: &Hypothesis| text.allows(h);
    let left_allowed = names(&|h| h.retained && allowed(h));
    let left_others = names(&|h| h.retained && !allowed(h));
    if text.ruled_out {
        let left = match left_others.is_empty() {
            true => "Of the authors considered here nobody is left.".to_owned(),
            false => format!("Not ruled out: {}.", list(&left_others, "and")),
        };
        return format!(
            "No author that is allowed here can have written this; ruled out: {}. {left}",
            list(&names(&allowed), "and")
        );
    }
    if text.report.verdict == Verdict::Unable {
        let why = text.report.warnings.first().map(warning);
        return format!("This could not be judged: {}", why.unwrap_or_default());
    }
    let left_out_of_allowed = match left_others.is_empty() {
        true => "Nobody else that was considered is left either.".to_owned(),
        false => format!("Not ruled out: {}.", list(&left_others, "and")),
    };
    if text.ruled_out_alone && text.is_later {
        return format!(
            "Read as the beginning of a text, no author that is allowed here could have written this. It goes on where another piece \
             ends, and of such pieces the calibrations of models say too little for it to fail: look at it. {left_out_of_allowed}"
        );
    }
    if text.ruled_out_alone {
        return format!(
            "Judged alone, no author that is allowed here could have written this; in a run of several texts the evidence is too \
             weak for that. {left_out_of_allowed}"
        );
    }
    if text.ruled_out_corrected() {
        return format!(
            "With its misspelt words put right no author that is allowed here could have written this; as it is spelt the evidence does \
             not tell. As it is spelt, {} may have written it.",
            list(&[left_allowed, left_others].concat(), "or")
        );
    }
    if text.undecided {
        return format!(
            "{} may have written this, and so may {}: the evidence does not tell.",
            list(&left_others, "or"),
            list(&left_allowed, "or")
        );
    }
    format!(
        "Only authors that are allowed here are left: {}.",
        list(&left_allowed, "or")
    )
}

/// What the finding rests on.
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
        // A calibration that tells so little can never count.
        many if many > run => ", which the calibration is too small for".to_owned(),
        many => format!(", where {many} texts of the run reach it (the calibration is too small for fewer)"),
    };
    let of = match run {
        1 => String::new(),
        _ => format!(" in a run of {} (e-BH)", texts(run as u64)),
    };
    Some(format!(
        "Of the texts that an allowed author writes at most {} look as little like the author's; the limit is {}{of}{together}.",
        share(p),
        share(text.level.min(1.0))
    ))
}

/// Who may write the text, as the policy says.
pub fn rule(text: &GateText) -> String {
    let hypotheses = text.report.hypotheses.iter();
    let allowed: Vec<String> = hypotheses.filter(|h| text.allows(h)).map(author_and_set).collect();
    let who = match allowed.is_empty() {
        // Of what could not be judged nobody was considered.
        true => text.allow.join(", "),
        false => list(&allowed, "or"),
    };
    format!(
        "Rule {} ({}) lets it be written by {who}.",
        text.rule,
        text.rule_paths.join(", ")
    )
}

/// What can be done about a text that failed.
pub const REMEDY: &str = "What can be done: have an allowed author write it; or, where it is quoted or was judged wrongly, have the policy let it pass by its \
                          digest ([[exception]]), or mark it in the file (whowrote: ignore).";

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
    match text.ruled_out {
        true => "forbidden-author",
        false => "author-undecided",
    }
}

/// A probability in percent, with two figures that count.
fn share(p: f64) -> String {
    let percent = 100.0 * p;
    let digits = (1.0 - percent.log10().floor()).clamp(0.0, 6.0) as usize;
    format!("{percent:.digits$}%")
}

/// What a reader must know before acting on the finding.
pub fn warnings(text: &GateText) -> impl Iterator<Item = String> {
    text.report.warnings.iter().map(warning)
}

/// How the run ended, in one or two sentences.
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
        said += &format!(" Of {open} that passed the evidence does not tell who wrote them.");
    }
    if judged > 0 {
        said += &match report.promised {
            true => format!(
                " Of runs whose texts were all written by allowed authors at most {} fail.",
                percent(report.alpha),
            ),
            false => " Texts whose author the evidence does not tell fail by the policy; nothing is promised of how often that is wrong."
                .to_owned(),
        };
    }
    said
}

/// What was not judged, each with its number.
pub fn skipped(report: &GateReport) -> Vec<String> {
    let skipped = &report.skipped;
    let counts = [
        (skipped.unnamed, "files that no rule of the policy has judged"),
        (skipped.no_prose, "files of a kind that no prose is taken from"),
        (skipped.too_short, "files without a new text that is long enough"),
        (skipped.short_words, "new words in too short texts"),
        (skipped.ignored_words, "words that marks in the files exempt"),
        (skipped.excepted, "texts that the policy lets pass whoever wrote them"),
    ];
    let said = |(count, what): (usize, &str)| (count > 0).then(|| format!("{what}: {count}"));
    counts.into_iter().filter_map(said).collect()
}
