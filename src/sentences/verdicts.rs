//! A verdict in words.

use super::warning;
use crate::report::{PieceReport, ProvenanceReport, WarningCode};
use whowrote_input::printable;
use whowrote_stats::calibration::HUMAN;
use whowrote_stats::conformal_scores::PIECE;
use whowrote_stats::sampling_params::{ANY, DEPLOYED, SamplingFamily};
use whowrote_stats::verdict::{AuthorSet, Basis, Evidence, Hypothesis, Test, Verdict};

/// The name of a set of authors.
pub fn set(set: AuthorSet) -> &'static str {
    match set {
        AuthorSet::A => "in-house",
        AuthorSet::B => "not sanctioned",
        AuthorSet::Human => "human",
    }
}

/// An author's name, or "a person".
pub fn author(hypothesis: &Hypothesis) -> String {
    match hypothesis.set {
        AuthorSet::Human => "a person".to_owned(),
        _ => printable(&hypothesis.author),
    }
}

/// The same, from the author's name in verdicts.
pub fn author_name(author: &str) -> String {
    if author == HUMAN {
        "a person".to_owned()
    } else {
        printable(author)
    }
}

/// An author with its set.
pub fn author_and_set(hypothesis: &Hypothesis) -> String {
    match hypothesis.set {
        AuthorSet::Human => author(hypothesis),
        _ => format!("{} ({})", author(hypothesis), set(hypothesis.set)),
    }
}

/// The input's name.
pub fn input(report: &ProvenanceReport) -> String {
    match report.input.name.as_str() {
        "-" => "standard input".to_owned(),
        name => printable(name),
    }
}

/// What was left out when the text was extracted from its file; none if the file was judged as it is.
pub fn extraction(report: &ProvenanceReport) -> Option<String> {
    let extraction = report.input.extraction.as_ref()?;
    let words = extraction.words;
    let words = if words == 1 {
        "1 word is left".to_owned()
    } else {
        format!("{words} words are left")
    };
    Some(format!("Read without its {}; {words}.", extraction.left_out))
}

/// The authors whose list of unlike pieces a reader needs: a person, and the models that may have written all of the text.
pub fn authors_with_unlike_pieces(report: &ProvenanceReport) -> impl Iterator<Item = &str> {
    let judged = report.hypotheses.iter().filter(|h| h.retained || h.author == HUMAN);
    judged
        .map(|hypothesis| hypothesis.author.as_str())
        .filter(|author| unlike(report, author).next().is_some())
}

/// The pieces that are unlike an author's writing, judged together with all others: each with the places of its first and its
/// last word in the text that was read, counted from 1.
pub fn unlike<'a>(
    report: &'a ProvenanceReport,
    author: &'a str,
) -> impl Iterator<Item = (usize, usize, &'a PieceReport)> {
    let places = report.pieces.iter().scan(0, |words, piece| {
        let before = *words;
        *words += piece.words;
        Some((before + 1, *words, piece))
    });
    places.filter(move |(_, _, piece)| piece.unlike.iter().any(|unlike| unlike == author))
}

/// The heading of such a list.
pub fn unlike_heading(author: &str) -> String {
    match author {
        HUMAN => "Pieces unlike a person's writing".to_owned(),
        model => format!("Pieces unlike what {} writes", printable(model)),
    }
}

/// What it means that pieces are listed.
pub fn unlike_means(report: &ProvenanceReport, author: &str) -> String {
    let writes = match author {
        HUMAN => "people write".to_owned(),
        model => format!("{} writes", printable(model)),
    };
    format!(
        "Read them again. In at most {} of the texts that {writes} throughout, this list names any piece. It does not say \
         how likely it is that somebody else wrote a piece.",
        percent(report.alpha)
    )
}

/// A piece by its words: where they stand in the text, and the first of them.
pub fn piece((first, last, piece): (usize, usize, &PieceReport)) -> String {
    let (first, last) = (thousands(first as u64), thousands(last as u64));
    format!(
        "words {first} to {last}: \u{201c}{} \u{2026}\u{201d}",
        printable(&piece.begins)
    )
}

/// The verdict in one sentence. It begins with the set if all authors that are left are models of one set.
pub fn verdict(report: &ProvenanceReport) -> String {
    // Of a text in pieces the authors are told who may have written all of it.
    let this = if report.pieces.is_empty() {
        "this"
    } else {
        "all of this"
    };
    let of = |retained: bool| -> Vec<&Hypothesis> {
        let is_it = |h: &&Hypothesis| h.retained == retained;
        report.hypotheses.iter().filter(is_it).collect()
    };
    let left = of(true);
    match (report.verdict, &left[..]) {
        (Verdict::Unable, _) => format!("This text could not be judged: {}", unable_reason(report)),
        (Verdict::Unknown, _) => format!("Unknown author: {} did not write {this}.", excluded(report, &of(false))),
        (_, [first, others @ ..]) if first.set != AuthorSet::Human && others.iter().all(|h| h.set == first.set) => {
            let names: Vec<String> = left.iter().map(|h| author(h)).collect();
            let tail = match others {
                [] => "",
                _ => "; the text does not show which of them",
            };
            format!(
                "{}: of the authors considered here, only {} can have written {this}{tail}.",
                capitalised(set(first.set)),
                list(&names, "or")
            )
        }
        (Verdict::Attributed, _) if of(false).iter().all(|h| h.model.is_some()) => format!(
            "None of the loaded models{} wrote {this}; a person may have, or a model that is not loaded here.",
            qualifier(report)
        ),
        (Verdict::Attributed, _) => format!(
            "{} did not write {this}; a person may have, or an author who is not considered here.",
            excluded(report, &of(false))
        ),
        (Verdict::Undecided, _) => {
            let names: Vec<String> = left.iter().map(|h| author_and_set(h)).collect();
            let names = list(&names, "or");
            // If no test applies to the text at all, it has another warning.
            let untested = report.warnings.iter().any(|w| w.code() == WarningCode::HumanUntested);
            let tail = if untested && left.iter().any(|h| h.set == AuthorSet::Human) {
                "; no test here could exclude a person"
            } else {
                ""
            };
            let out = of(false);
            if out.is_empty() {
                let why = match report.pieces.len() {
                    0 => "The text is too short, or the authors are too alike, to tell.",
                    _ => "The evidence does not tell which of them did.",
                };
                format!("Undecided: {names} may have written {this}{tail}. {why}")
            } else {
                format!(
                    "{} did not write {this}; {names} may have{tail}.",
                    excluded(report, &out)
                )
            }
        }
    }
}

/// The excluded authors, and how the models among them are assumed to have been used.
fn excluded(report: &ProvenanceReport, hypotheses: &[&Hypothesis]) -> String {
    let (people, models): (Vec<&Hypothesis>, Vec<&Hypothesis>) =
        hypotheses.iter().partition(|h| h.set == AuthorSet::Human);
    // How models were used is told of those that are models here, which come first.
    let (models, known_by_texts): (Vec<&Hypothesis>, Vec<&Hypothesis>) =
        models.into_iter().partition(|h| h.model.is_some());
    let mut names: Vec<String> = models.into_iter().map(author).collect();
    if let Some(last) = names.last_mut() {
        last.push_str(&qualifier(report));
    }
    names.extend(known_by_texts.into_iter().map(author));
    // A model's name keeps its spelling, even at the beginning of a sentence.
    let begins_with_a_person = names.is_empty();
    names.extend(people.into_iter().map(author));
    let names = list(&names, "and");
    if begins_with_a_person {
        capitalised(&names)
    } else {
        names
    }
}

/// The text with a capital first letter.
fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// How the excluded models are assumed to have been used, in brackets.
fn qualifier(report: &ProvenanceReport) -> String {
    match decodings(report)[..] {
        [] => String::new(),
        [one] => match one.parse() {
            Ok(SamplingFamily::Deployed) => " (as such models are usually deployed)".to_owned(),
            Ok(SamplingFamily::Any) => format!(" (at any temperature up to {})", ANY.stated_hottest()),
            _ => format!(" (with {})", printable(one)),
        },
        _ => " (each with the sampling stated for it)".to_owned(),
    }
}

/// The distinct families of decodings of the hypotheses.
fn decodings(report: &ProvenanceReport) -> Vec<&str> {
    let mut families: Vec<&str> = report.hypotheses.iter().filter_map(|h| h.decoding.as_deref()).collect();
    families.sort_unstable();
    families.dedup();
    families
}

fn unable_reason(report: &ProvenanceReport) -> String {
    let found = report
        .warnings
        .iter()
        .find(|warning| matches!(warning.code(), WarningCode::Unreadable | WarningCode::FewTokens))
        .or(report.warnings.first());
    let reason = found.map_or("no reason is known".to_owned(), warning);
    format!("{}.", printable(reason.trim_end_matches('.')))
}

/// `1 text`, `2 texts`.
pub fn texts(count: u64) -> String {
    match count {
        1 => "1 text".to_owned(),
        count => format!("{count} texts"),
    }
}

/// `x`, `x or y`, `x, y or z`.
pub(crate) fn list(names: &[String], joint: &str) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} {joint} {last}", most.join(", ")),
    }
}

/// How strong the evidence against one author of a report is.
pub fn strength(report: &ProvenanceReport, hypothesis: &Hypothesis) -> String {
    let Some(p) = hypothesis.p_value else {
        return "not tested, so never excluded".to_owned();
    };
    let number = p_value(p);
    if hypothesis.retained {
        return if p >= 0.5 && hypothesis.pieces > 1 {
            format!("taken together, the pieces do not speak against it ({number})")
        } else if p >= 0.5 {
            format!("nothing speaks against it ({number})")
        } else {
            format!("the evidence against it is too weak to exclude it ({number})")
        };
    }
    let share = one_in(p);
    match (hypothesis.basis, hypothesis.set) {
        (Basis::Calibration, set) if hypothesis.pieces > 1 || report.confidence.is_some() => {
            let who = if set == AuthorSet::Human {
                "people write"
            } else {
                "it writes"
            };
            let throughout = if hypothesis.pieces > 1 { " throughout" } else { "" };
            format!("at most {share} of the texts that {who}{throughout} is this unusual ({number})")
        }
        (Basis::Calibration, AuthorSet::Human) => {
            format!("only {share} of the known human-written texts is this unusual for a person ({number})")
        }
        (Basis::Calibration, _) => format!("only {share} of its known texts is this unusual for it ({number})"),
        (_, AuthorSet::Human) => {
            format!("at most {share} of human-written texts gives evidence this strong ({number})")
        }
        _ => format!("at most {share} of its own texts gives evidence this strong ({number})"),
    }
}

/// `p = 0.04`, or a bound if the number is too small for a 64-bit float.
pub(crate) fn p_value(p: f64) -> String {
    match p {
        p if p <= 0.0 => "p < 1e-300".to_owned(),
        p if p < 1e-3 => format!("p = {p:.1e}"),
        p => format!("p = {}", significant(p, 2)),
    }
}

/// A share as "1 in 1,000". The count is rounded down to 1, 2 or 5 times a power of ten, so that "at most"
/// stays true.
fn one_in(p: f64) -> String {
    let count = 1.0 / p;
    // Larger numbers mean nothing to a reader. They rest on the assumptions, not on the text.
    if count.is_nan() || count >= 1e9 {
        return "1 in a billion".to_owned();
    }
    let power = 10f64.powf(count.log10().floor());
    let leading = [5.0, 2.0, 1.0]
        .into_iter()
        .find(|digit| digit * power <= count)
        .unwrap_or(1.0);
    // Counts below 10^9 are exact in both types.
    format!("1 in {}", thousands((leading * power).round().max(1.0) as u64))
}

/// `1,234,567`.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// A number below 1 with this many significant digits, without trailing zeros. Larger numbers keep all digits before
/// the point.
fn significant(number: f64, digits: i32) -> String {
    let decimals = (digits - 1 - number.abs().log10().floor() as i32).max(0) as usize;
    let shown = format!("{number:.decimals$}");
    if shown.contains('.') {
        shown.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        shown
    }
}

/// How the models are assumed to have been used, and what the error rests on; none if no model was considered.
pub fn decoding(report: &ProvenanceReport) -> Option<String> {
    const OTHERWISE: &str = "An excluded model may still have written the text with other sampling.";
    let used = match decodings(report)[..] {
        [] => String::new(),
        [one] => match one.parse() {
            Ok(SamplingFamily::Deployed) => format!(
                "as services run it: {DEPLOYED}. An excluded model may still have written the text at a higher \
                 temperature without truncation. To the model itself, such text reads like a person's."
            ),
            Ok(SamplingFamily::Any) => format!(
                "with any usual sampling: {ANY}. To the model itself, text sampled without truncation at a high \
                 temperature reads like a person's. Often no test can tell them apart."
            ),
            _ => format!("with {}. {OTHERWISE}", printable(one)),
        },
        _ => format!("with the sampling stated for it. {OTHERWISE}"),
    };
    let rests_on = |basis: Basis| report.hypotheses.iter().any(|h| h.basis == basis);
    let basis = match (rests_on(Basis::Prompt), rests_on(Basis::Calibration)) {
        (true, false) => " Each model read the text after the prompt that you gave, if any.",
        (true, true)
            if report
                .hypotheses
                .iter()
                .any(|h| h.basis == Basis::Calibration && h.author != HUMAN) =>
        {
            " Each model read the text after the prompt that you gave, if any. Without a prompt, the text is also compared \
             with known texts of the other authors."
        }
        (true, true) => {
            " Each model read the text after the prompt that you gave, if any. Without a prompt, the text is also compared \
             with known human-written texts."
        }
        (false, true) => " The prompt is not known, so the text is compared with known texts of each author.",
        (false, false) => "",
    };
    let in_pieces: Vec<&Hypothesis> = report.hypotheses.iter().filter(|h| h.pieces > 1).collect();
    let by_first = report.hypotheses.iter().filter(|h| h.pieces == 1);
    let by_first = by_first.flat_map(Hypothesis::places).map(|place| place.words).max();
    let prompted = rests_on(Basis::Prompt);
    let judged = match (&in_pieces[..], by_first) {
        ([], Some(words)) if !prompted => format!(" Only the first {words} words are judged."),
        ([], _) => String::new(),
        (authors, by_first) => {
            let is_tested = |piece: &&PieceReport| authors.iter().any(|h| piece.p_values.contains_key(&h.author));
            let tested = report.pieces.iter().filter(is_tested);
            let judged = thousands(tested.map(|piece| piece.words.min(PIECE) as u64).sum());
            let all = thousands(report.pieces.iter().map(|piece| piece.words as u64).sum());
            let pieces = authors[0].pieces;
            let names: Vec<String> = authors.iter().map(|h| author_name(&h.author)).collect();
            let are = match &names[..] {
                [name] => format!("{} is", begun(name)),
                names => format!("{} are", list(names, "and")),
            };
            let (who, others) = match by_first {
                // With a known prompt, the models are judged by the whole text.
                _ if prompted => (are, String::new()),
                None => ("It is".to_owned(), String::new()),
                Some(words) => (are, others_by(words)),
            };
            format!(" {who} judged by {judged} of its {all} words, in {pieces} pieces{others}.")
        }
    };
    let told = match used.as_str() {
        "" => format!("{basis}{judged}").trim_start().to_owned(),
        used => format!("Each model is judged {used}{basis}{judged}"),
    };
    (!told.is_empty()).then_some(told)
}

/// An author's name where a sentence begins. A model's name stays as it is.
fn begun(name: &str) -> String {
    if name == author_name(HUMAN) {
        capitalised(name)
    } else {
        name.to_owned()
    }
}

fn others_by(words: usize) -> String {
    format!("; the others by the first {words} words")
}

/// The meaning of the levels.
pub fn level(report: &ProvenanceReport) -> String {
    let (alpha, alpha_human) = (report.alpha, report.alpha_human);
    let person_tested = report
        .hypotheses
        .iter()
        .any(|h| h.set == AuthorSet::Human && h.basis != Basis::Untested);
    let models = percent(alpha);
    let rates = if person_tested {
        format!(
            "On texts that meet these conditions, the true author is wrongly excluded at most this often: {models} \
             if it is a model (alpha {alpha}), {} if it is a person (alpha {alpha_human}).",
            percent(alpha_human)
        )
    } else {
        format!(
            "On texts that meet these conditions, the true author is wrongly excluded at most this often: {models} \
             (alpha {alpha})."
        )
    };
    let compared = report.hypotheses.iter().any(|h| h.basis == Basis::Calibration);
    match report.confidence.filter(|_| compared) {
        Some(confidence) => format!(
            "{rates} At least {} of calibrations like this one keep each rate.",
            percent(confidence)
        ),
        None => rates,
    }
}

pub(crate) fn percent(share: f64) -> String {
    if share < 1e-5 {
        return format!("{:.1e}%", share * 100.0);
    }
    // Two digits are enough, and hide that 0.07 * 100 is not 7.
    format!("{}%", significant(share * 100.0, 2))
}

/// One test in one line.
pub fn evidence(evidence: &Evidence) -> String {
    let name = evidence.test.name();
    let unit = match evidence.test {
        Test::EntropyGap | Test::EntropyGapVocab | Test::CrossEntropy => "nat/token",
        Test::Conformal if evidence.against.is_empty() => "standard deviations",
        Test::LikelihoodRatio | Test::Conformal => "nat",
    };
    let against = if evidence.against.is_empty() {
        String::new()
    } else {
        let name = |author: &String| match author.as_str() {
            HUMAN => "people".to_owned(),
            model => printable(model),
        };
        let names: Vec<String> = evidence.against.iter().map(name).collect();
        format!(" against {}", list(&names, "and"))
    };
    if let Some(calibration) = &evidence.calibration {
        return format!(
            "{name}{against}: score {} {unit}, excluded below {}; {} known texts cut to {} words, nearest group {}",
            figure(evidence.statistic, 2),
            figure(evidence.threshold, 2),
            thousands(calibration.texts as u64),
            calibration.words,
            printable(&calibration.group),
        );
    }
    format!(
        "{name}{against}: {} {unit}, excluded from {}; ln e = {}",
        figure(evidence.statistic, 3),
        figure(evidence.threshold, 3),
        figure(evidence.ln_e_value, 2),
    )
}

/// A figure with this many decimals, or a dash if it is undefined.
pub fn figure(number: f64, decimals: usize) -> String {
    match number {
        n if n.is_nan() => "–".to_owned(),
        n if n.is_infinite() => if n > 0.0 { "∞" } else { "-∞" }.to_owned(),
        n => {
            let shown = format!("{n:.decimals$}");
            // A small negative number must not become -0.00.
            match shown.parse::<f64>() {
                Ok(0.0) => shown.trim_start_matches('-').to_owned(),
                _ => shown,
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::{ModelFigures, SCHEMA, Timing, Warning};
    use std::collections::BTreeMap;
    use whowrote_input::InputSummary;
    use whowrote_stats::verdict::CalibrationFigures;
    use whowrote_stats::verdict::{Caveat, HumanUntested};

    const SMOLLM: &str = "smollm2-135m-instruct";
    const GEMMA: &str = "gemma-3-270m";

    fn model(author: &str, set: AuthorSet, alpha: f64, ln_e: f64) -> Hypothesis {
        let p = (-ln_e).exp().min(1.0);
        Hypothesis {
            author: author.to_owned(),
            set,
            model: Some(author.to_owned()),
            decoding: Some("temperature=1".to_owned()),
            basis: Basis::Prompt,
            retained: p > alpha,
            p_value: Some(p),
            ln_e_value: Some(ln_e),
            later_known: false,
            pieces: 1,
            evidence: vec![Evidence {
                test: Test::LikelihoodRatio,
                ln_e_value: ln_e,
                statistic: ln_e,
                threshold: 3.0,
                closed_form_threshold: None,
                against: vec![if author == GEMMA { SMOLLM } else { GEMMA }.to_owned()],
                calibration: None,
            }],
        }
    }

    fn person(retained: bool, p_value: Option<f64>) -> Hypothesis {
        Hypothesis {
            author: "human".to_owned(),
            set: AuthorSet::Human,
            model: None,
            decoding: None,
            basis: if p_value.is_some() {
                Basis::Calibration
            } else {
                Basis::Untested
            },
            retained,
            p_value,
            ln_e_value: None,
            later_known: false,
            pieces: 1,
            evidence: vec![],
        }
    }

    fn report(hypotheses: Vec<Hypothesis>) -> ProvenanceReport {
        let authors: Vec<String> = hypotheses
            .iter()
            .filter(|h| h.retained)
            .map(|h| h.author.clone())
            .collect();
        let figures = |tokens, log_perplexity, entropy| ModelFigures {
            scored_bytes: 0,
            tokens,
            scored_tokens: tokens - 1,
            log_perplexity,
            entropy,
            varentropy: 6.4,
            mean_log_rank: 1.9,
            bits_per_byte: 1.18,
            sha256: None,
            request: None,
            probe: None,
            per_token: None,
        };
        ProvenanceReport {
            schema: SCHEMA,
            input: InputSummary {
                name: "essay.txt".to_owned(),
                id: None,
                kept: Default::default(),
                sha256: "ab".repeat(32),
                bytes: 1834,
                chars: 1821,
                words: 301,
                extraction: None,
            },
            verdict: match authors.len() {
                0 => Verdict::Unknown,
                1 => Verdict::Attributed,
                _ => Verdict::Undecided,
            },
            authors,
            alpha: 0.05,
            alpha_human: 0.01,
            confidence: None,
            hypotheses,
            pieces: Vec::new(),
            models: BTreeMap::from([
                (SMOLLM.to_owned(), figures(213, 3.71, 3.69)),
                (GEMMA.to_owned(), figures(1207, 3.02, 3.517)),
            ]),
            disguises: None,
            misspellings: None,
            warnings: vec![],
            timing: Timing { score_ms: 431.0 },
        }
    }

    /// Gemma is excluded; SmolLM2 and an untested person are left.
    pub(crate) fn undecided() -> ProvenanceReport {
        let mut report = report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, -9.4),
            model(GEMMA, AuthorSet::B, 0.05, 71.2),
            person(true, None),
        ]);
        let caveat = Caveat::HumanUntested(HumanUntested::NoCalibration);
        report.warnings.push(Warning::Decision(caveat));
        report
    }

    pub(crate) fn attributed_to_a_model() -> ProvenanceReport {
        report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 1.5),
            model(GEMMA, AuthorSet::B, 0.05, 6.3),
            person(false, Some(0.004)),
        ])
    }

    pub(crate) fn attributed_to_a_person() -> ProvenanceReport {
        report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 46.0),
            model(GEMMA, AuthorSet::B, 0.05, 5.5),
            person(true, None),
        ])
    }

    pub(crate) fn unknown() -> ProvenanceReport {
        report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 46.0),
            model(GEMMA, AuthorSet::B, 0.05, 5.5),
        ])
    }

    pub(crate) fn unreadable() -> ProvenanceReport {
        let message = "`essay.pdf` is a PDF, not plain text; extract the text first, e.g. with `pdftotext`".to_owned();
        let mut report = report(vec![]);
        report.input = InputSummary {
            name: "essay.pdf".to_owned(),
            id: None,
            kept: Default::default(),
            sha256: String::new(),
            bytes: 0,
            chars: 0,
            words: 0,
            extraction: None,
        };
        report.verdict = Verdict::Unable;
        report.models.clear();
        report.timing.score_ms = 0.0;
        report.warnings = vec![Warning::Unreadable(message)];
        report
    }

    #[test]
    fn each_verdict_has_its_sentence() {
        let all_left = report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 0.0),
            model(GEMMA, AuthorSet::B, 0.05, 0.0),
            person(true, None),
        ]);
        let no_person_left = report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 0.0),
            model(GEMMA, AuthorSet::B, 0.05, 0.0),
            person(false, Some(0.01)),
        ]);
        let in_house_left = report(vec![
            model(SMOLLM, AuthorSet::A, 0.05, 0.0),
            model(GEMMA, AuthorSet::A, 0.05, 0.0),
            person(false, Some(0.01)),
        ]);
        let said: Vec<String> = [
            undecided(),
            in_house_left,
            all_left,
            no_person_left,
            attributed_to_a_model(),
            attributed_to_a_person(),
            unknown(),
            unreadable(),
        ]
        .iter()
        .map(verdict)
        .collect();
        insta::assert_snapshot!(said.join("\n"), @r"
        gemma-3-270m (with temperature=1) did not write this; smollm2-135m-instruct (in-house) or a person may have; no test here could exclude a person.
        In-house: of the authors considered here, only smollm2-135m-instruct or gemma-3-270m can have written this; the text does not show which of them.
        Undecided: smollm2-135m-instruct (in-house), gemma-3-270m (not sanctioned) or a person may have written this. The text is too short, or the authors are too alike, to tell.
        A person did not write this; smollm2-135m-instruct (in-house) or gemma-3-270m (not sanctioned) may have.
        In-house: of the authors considered here, only smollm2-135m-instruct can have written this.
        None of the loaded models (with temperature=1) wrote this; a person may have, or a model that is not loaded here.
        Unknown author: smollm2-135m-instruct and gemma-3-270m (with temperature=1) did not write this.
        This text could not be judged: `essay.pdf` is a PDF, not plain text; extract the text first, e.g. with `pdftotext`.
        ");
    }

    #[test]
    fn a_share_in_words_never_claims_more_than_the_p_value() {
        for exponent in 1..120 {
            let p = 10f64.powf(-f64::from(exponent) / 10.0);
            let said = one_in(p);
            let count: f64 = match said.strip_prefix("1 in ").unwrap() {
                "a billion" => 1e9,
                number => number.replace(',', "").parse().unwrap(),
            };
            assert!(p <= 1.0 / count * (1.0 + 1e-12), "p {p} is said to be {said}");
            assert!(p >= 0.19 / count || count == 1e9, "p {p} is far below {said}");
        }
        assert_eq!(one_in(0.05), "1 in 20");
        assert_eq!(one_in(0.001), "1 in 1,000");
        assert_eq!(one_in(0.0), "1 in a billion");
        assert_eq!(one_in(1.0), "1 in 1");
    }

    #[test]
    fn numbers_are_short_and_readable() {
        assert_eq!(p_value(0.61), "p = 0.61");
        assert_eq!(p_value(1.0), "p = 1");
        assert_eq!(p_value(0.0042), "p = 0.0042");
        assert_eq!(p_value(1.23e-31), "p = 1.2e-31");
        assert_eq!(p_value(0.0), "p < 1e-300");
        assert_eq!(percent(0.05), "5%");
        assert_eq!(percent(0.07), "7%");
        assert_eq!(percent(0.001), "0.1%");
        assert_eq!(percent(0.25), "25%");
        assert_eq!(figure(f64::NAN, 2), "–");
        assert_eq!(figure(f64::NEG_INFINITY, 2), "-∞");
        assert_eq!(figure(-0.0001, 2), "0.00");
        assert_eq!(thousands(1_234_567), "1,234,567");
    }

    #[test]
    fn the_number_of_judged_words_is_stated_if_the_prompt_is_not_known() {
        let mut report = undecided();
        for (hypothesis, words) in report.hypotheses.iter_mut().take(2).zip([125, 150]) {
            hypothesis.basis = Basis::Calibration;
            hypothesis.evidence[0].calibration = Some(CalibrationFigures {
                texts: 200,
                least_p_value: 1.0 / 101.0,
                documents: 100,
                words,
                group: "news".to_owned(),
                by_fit: None,
            });
        }
        let said = decoding(&report).unwrap();
        assert!(
            said.ends_with("compared with known texts of each author. Only the first 150 words are judged."),
            "{said}"
        );
        report.hypotheses[0].basis = Basis::Prompt;
        let said = decoding(&report).unwrap();
        assert!(!said.contains("Only the first"), "{said}");
    }

    #[test]
    fn a_hostile_author_name_is_shown_as_codes() {
        let mut report = undecided();
        report.hypotheses[0].author = "a\u{1b}[2J".to_owned();
        assert!(!verdict(&report).contains('\u{1b}'));
    }
}
