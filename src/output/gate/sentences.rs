//! What is said of the texts of a run. The author of a text may read these sentences, so each has to be true as it stands.

use super::super::sentences::{author_and_set, list, p_value, percent, texts};
use crate::gate::{GateReport, GateText, Outcome};
use crate::input::printable;
use crate::input::prose::LineUnit;
use crate::verdict::{Hypothesis, Verdict};

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
        let why = text.report.warnings.first();
        return format!(
            "This could not be judged: {}",
            why.map(|warning| warning.message.as_str()).unwrap_or_default()
        );
    }
    if text.ruled_out_alone {
        return format!(
            "Judged alone, no author that is allowed here could have written this; in a run of several texts the evidence is too \
             weak for that. {}",
            match left_others.is_empty() {
                true => "Nobody else that was considered is left either.".to_owned(),
                false => format!("Not ruled out: {}.", list(&left_others, "and")),
            }
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
    let p = text.p_value?;
    let run = report.texts.len();
    let together = match text.together {
        1 => String::new(),
        // A calibration that tells so little can never count.
        many if many > run => ", which the calibration is too small for".to_owned(),
        many => format!(" and at least {many} texts of the run do (the calibration is too small for fewer)"),
    };
    let of = match run {
        1 => String::new(),
        _ => format!(" in a run of {} (e-BH)", texts(run as u64)),
    };
    Some(format!(
        "Evidence this strong comes up in at most this share of the texts that an allowed author writes: {}. A text fails where it is \
         at most {}{together}{of}.",
        number(p),
        number(text.level.min(1.0))
    ))
}

/// The finding with what it rests on.
pub fn message(report: &GateReport, text: &GateText) -> String {
    let sentences = [Some(finding(text)), basis(report, text)];
    sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A p-value without its name.
fn number(p: f64) -> String {
    let shown = p_value(p);
    shown.trim_start_matches("p = ").trim_start_matches("p < ").to_owned()
}

/// What a reader must know before acting on the finding.
pub fn warnings(text: &GateText) -> impl Iterator<Item = &str> {
    text.report.warnings.iter().map(|warning| warning.message.as_str())
}

/// How the run ended, in one or two sentences.
pub fn summary(report: &GateReport) -> String {
    let count = |outcome: Outcome| report.texts.iter().filter(|text| text.outcome == outcome).count();
    let (failed, warned) = (count(Outcome::Fail), count(Outcome::Warn));
    let texts = |n: usize| texts(n as u64);
    let judged = report.texts.len();
    let mut said = match (judged, failed) {
        (0, _) => "No text to judge: passed.".to_owned(),
        (_, 0) => format!("{} judged: passed.", texts(judged)),
        (_, _) => format!("{} judged, {failed} failed.", texts(judged)),
    };
    if warned > 0 {
        said += &format!(" {} left open.", texts(warned));
    }
    let open = report
        .texts
        .iter()
        .filter(|text| text.undecided && text.outcome == Outcome::Pass)
        .count();
    if open > 0 {
        said += &format!(" Of {open} that passed the evidence does not tell who wrote them.");
    }
    if judged > 0 {
        let by_choice = report
            .texts
            .iter()
            .any(|text| text.outcome == Outcome::Fail && !text.ruled_out);
        said += &match by_choice {
            false => format!(
                " Of runs whose texts were all written by allowed authors at most {} fail.",
                percent(report.alpha),
            ),
            true => " Texts whose author the evidence does not tell fail by the policy; nothing is promised of how often that is wrong."
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
