//! What a verdict says of other forms of the text: as it came, with the disguises that were taken off before it was read, and
//! with its misspelt words put right.

use super::Scope;
use super::report::{DisguiseReport, MisspellingReport, OtherReading, ProvenanceReport, Verdict, Warning, WarningCode};
use crate::input::Disguised;
use crate::input::disguise::{Disguise, DisguiseKind, undisguise};
use crate::input::spelling::Misspelling;
use std::collections::BTreeMap;

/// Odd spaces come in by accident: fewer than this, or than one in so many words, say nothing.
const FEW_SPACES: usize = 3;
const WORDS_A_SPACE: usize = 50;
/// A text with fewer misspelt words than this, or than one in so many, is as well spelt as most: all but 0.5% of
/// people's texts are (docs/VALIDITY.md).
const FEW_MISSPELT: usize = 2;
const WORDS_A_MISSPELLING: usize = 50;
/// Misspelt words that a report lists one by one.
const LISTED_WORDS: usize = 100;

/// Whether somebody may have put these disguises on a text of so many words, rather than a typesetter or a slip of the hand.
pub fn is_telling(kinds: &BTreeMap<DisguiseKind, usize>, words: usize) -> bool {
    kinds.iter().any(|(&kind, &count)| match kind {
        DisguiseKind::OddSpace => count >= FEW_SPACES.max(words / WORDS_A_SPACE),
        kind => !kind.is_typographic(),
    })
}

/// Adds to a report what the text was disguised with and, where it is telling, the verdict on the text as it came. The spans of
/// tokens and words that the report holds become those of the text as it came.
pub fn add_disguises(report: &mut ProvenanceReport, disguised: &Disguised, raw: Option<ProvenanceReport>) {
    let per_token = report
        .models
        .values_mut()
        .filter_map(|figures| figures.per_token.as_mut());
    let tokens = per_token.flatten().map(|token| (&mut token.start, &mut token.end));
    let words = report
        .misspellings
        .iter_mut()
        .flat_map(|misspellings| &mut misspellings.first);
    let mut spans = tokens
        .chain(words.map(|word| (&mut word.start, &mut word.end)))
        .peekable();
    if spans.peek().is_some() {
        let plain = undisguise(&disguised.text);
        for (start, end) in spans {
            (*start, *end) = (plain.original_offset(*start), plain.original_offset(*end));
        }
    }
    let is_told = |found: &&Disguise| !found.kind.is_typographic();
    if let (Some(raw), Some(first)) = (&raw, disguised.disguises.iter().find(is_told)) {
        report.warnings.push(Warning {
            code: WarningCode::Disguised,
            message: message(&disguised.kinds, first, raw, report),
        });
    }
    report.disguises = Some(DisguiseReport {
        kinds: disguised.kinds.clone(),
        first: disguised.disguises.clone(),
        raw: raw.map(OtherReading::from),
    });
}

/// Whether so many words of an English text are misspelt that it must be told.
pub fn has_many(misspellings: &[Misspelling], text: &str) -> bool {
    misspellings.len() >= FEW_MISSPELT.max(text.split_whitespace().count() / WORDS_A_MISSPELLING)
        && Scope::of(text).outside().is_none()
}

/// Adds to a report which words are misspelt, and the verdict on the text with them put right.
pub fn add_misspellings(report: &mut ProvenanceReport, misspellings: &[Misspelling], corrected: ProvenanceReport) {
    let Some(first) = misspellings.first() else { return };
    let otherwise = match is_same(&corrected, report) {
        true => "With them put right the verdict is the same.".to_owned(),
        false => format!("With them put right the verdict would be: {}.", answer(&corrected)),
    };
    report.warnings.push(Warning {
        code: WarningCode::Misspelt,
        message: format!(
            "{} of the words that were read are misspelt, the first \"{}\" (\"{}\"). People misspell, models hardly ever, and \
             mistakes can be sown into what a model wrote. {otherwise}",
            misspellings.len(),
            first.found,
            first.meant,
        ),
    });
    report.misspellings = Some(MisspellingReport {
        count: misspellings.len(),
        first: misspellings.iter().take(LISTED_WORDS).cloned().collect(),
        corrected: corrected.into(),
    });
}

/// Whether two readings answer alike.
fn is_same(one: &ProvenanceReport, other: &ProvenanceReport) -> bool {
    one.verdict == other.verdict && one.authors == other.authors
}

fn message(
    kinds: &BTreeMap<DisguiseKind, usize>,
    first: &Disguise,
    raw: &ProvenanceReport,
    report: &ProvenanceReport,
) -> String {
    let counts = kinds.iter().filter(|(kind, _)| !kind.is_typographic());
    let counts: Vec<String> = counts
        .map(|(kind, count)| format!("{count} {}", plural(*kind)))
        .collect();
    let otherwise = match is_same(raw, report) {
        true => "They do not change the verdict.".to_owned(),
        false => format!("As it came, the verdict would have been: {}.", answer(raw)),
    };
    format!(
        "The text holds characters that a reader does not see and a model does: {}, the first at byte {} ({}). They were taken off \
         before it was read. {otherwise}",
        counts.join(", "),
        first.start,
        first.found.split(' ').next().unwrap_or_default(),
    )
}

fn answer(report: &ProvenanceReport) -> String {
    let names: Vec<&str> = report
        .authors
        .iter()
        .map(|author| match author.as_str() {
            crate::calibration::HUMAN => "a person",
            author => author,
        })
        .collect();
    match report.verdict {
        Verdict::Unable => "it cannot be judged".to_owned(),
        Verdict::Unknown => "an unknown author".to_owned(),
        Verdict::Attributed | Verdict::Undecided => names.join(" or "),
    }
}

fn plural(kind: DisguiseKind) -> &'static str {
    match kind {
        DisguiseKind::Homoglyph => "look-alike letters",
        DisguiseKind::StyledLetter => "styled letters",
        DisguiseKind::Ligature => "ligatures",
        DisguiseKind::ZeroWidth => "characters without width",
        DisguiseKind::VariationSelector => "variation selectors",
        DisguiseKind::Tag => "tag characters",
        DisguiseKind::BidiControl => "controls of the direction of writing",
        DisguiseKind::OddSpace => "odd spaces",
        DisguiseKind::CombiningMark => "stacks of combining marks",
        DisguiseKind::SoftHyphen => "soft hyphens",
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::{ModelFigures, TokenFigures};
    use super::*;
    use crate::input::Document;
    use crate::input::disguise::LISTED;
    use crate::input::spelling::misspellings;

    fn report(verdict: Verdict, authors: &[&str]) -> ProvenanceReport {
        let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
        report.warnings.clear();
        report.verdict = verdict;
        report.authors = authors.iter().map(|author| (*author).to_owned()).collect();
        report
    }

    #[test]
    fn what_an_attacker_sows_tells_and_what_typesetting_leaves_does_not() {
        let telling = |text: &str| is_telling(&undisguise(text).kinds, text.split_whitespace().count());
        assert!(telling("the h\u{435}n had hats"));
        assert!(telling("the he\u{200b}n had hats"));
        assert!(!telling("the \u{fb01}sh had hy\u{ad}phens"));
        assert!(!telling("the hen  had one slip"));
        assert!(telling("the  hen had  ten  hats and  no  slip"));
    }

    fn disguised(text: &str) -> Disguised {
        Document::from_text(String::new(), text.to_owned()).disguised.unwrap()
    }

    #[test]
    fn the_warning_says_what_the_text_would_have_been_taken_for() {
        let text = disguised("the h\u{435}n had ha\u{200b}ts and a hy\u{ad}phen");
        let mut judged = report(Verdict::Attributed, &["gemma"]);
        add_disguises(&mut judged, &text, Some(report(Verdict::Attributed, &["human"])));
        let said = &judged.warnings[0].message;
        assert!(
            said.contains("1 look-alike letters, 1 characters without width, the first at byte 5 (U+0435)"),
            "{said}"
        );
        assert!(said.ends_with("the verdict would have been: a person."), "{said}");
        let listed = judged.disguises.unwrap();
        assert_eq!((listed.first.len(), listed.kinds.len()), (3, 3));
        assert_eq!(listed.raw.unwrap().authors, ["human"]);
    }

    #[test]
    fn nothing_is_said_of_typesetting_and_a_long_list_is_cut() {
        let mut judged = report(Verdict::Undecided, &["a", "b"]);
        add_disguises(&mut judged, &disguised(&"of\u{fb01}ce ".repeat(300)), None);
        assert!(judged.warnings.is_empty());
        let listed = judged.disguises.unwrap();
        assert_eq!(
            (listed.first.len(), listed.kinds[&DisguiseKind::Ligature]),
            (LISTED, 300)
        );
    }

    #[test]
    fn misspelt_words_are_told_with_what_the_text_would_be_taken_for_without() {
        let told = |text: &str| has_many(&misspellings(text), text);
        assert!(told("They recieved thier hats"));
        assert!(!told("They recieved their hats"));
        assert!(!told(&format!(
            "They recieved thier hats. {}",
            "All was well. ".repeat(60)
        )));
        assert!(!told(
            "Ils ont recieve thier dans la maison de leur oncle, et ils y sont restés pendant tout un hiver"
        ));
        let mut judged = report(Verdict::Attributed, &["human"]);
        let wrong = misspellings("They recieved thier hats");
        add_misspellings(&mut judged, &wrong, report(Verdict::Attributed, &["gemma"]));
        let said = &judged.warnings[0].message;
        assert!(
            said.starts_with("2 of the words that were read are misspelt, the first \"recieved\" (\"received\")"),
            "{said}"
        );
        assert!(
            said.ends_with("With them put right the verdict would be: gemma."),
            "{said}"
        );
        assert_eq!(judged.misspellings.unwrap().corrected.authors, ["gemma"]);
        let mut judged = report(Verdict::Attributed, &["gemma"]);
        add_misspellings(&mut judged, &wrong, report(Verdict::Attributed, &["gemma"]));
        assert!(judged.warnings[0].message.ends_with("the verdict is the same."));
    }

    #[test]
    fn tokens_lie_where_they_came_from() {
        let text = disguised("the h\u{435}n had");
        let mut judged = report(Verdict::Undecided, &["a", "b"]);
        let token = |start, end| TokenFigures {
            start,
            end,
            id: 0,
            surprisal: None,
            entropy: None,
            varentropy: None,
            rank: None,
        };
        let figures = ModelFigures {
            per_token: Some(vec![token(0, 4), token(4, 7), token(7, 11)]),
            ..ModelFigures::default()
        };
        judged.models.insert("m".to_owned(), figures);
        add_disguises(&mut judged, &text, None);
        let spans = judged.models["m"].per_token.as_ref().unwrap();
        let spans: Vec<&str> = spans.iter().map(|token| &text.text[token.start..token.end]).collect();
        assert_eq!(spans, ["the ", "h\u{435}n", " had"]);
    }
}
