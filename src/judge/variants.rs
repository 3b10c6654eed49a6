//! The variants of a text that are judged: without its disguises, in its original form, and with its spelling
//! corrected.

use crate::report::{Answer, DisguiseReport, MisspellingReport, OtherReading, ProvenanceReport, Warning};
use std::collections::BTreeMap;
use whowrote_input::disguise::{Disguise, DisguiseKind};
use whowrote_input::spelling::{Misspelling, corrected, misspellings};
use whowrote_input::{Disguised, Document};
use whowrote_stats::conformal_scores::beginning;
use whowrote_stats::verdict::DomainCheck;

/// Odd spaces also occur by accident. Fewer than this, or than one in this many words, mean nothing.
const FEW_SPACES: usize = 3;
const WORDS_A_SPACE: usize = 50;
/// A text with fewer misspelt words than this, or than one in this many, is ordinary: 99.5% of human-written texts are
/// (docs/VALIDITY.md).
const FEW_MISSPELT: usize = 2;
const WORDS_A_MISSPELLING: usize = 50;
/// The number of misspelt words that a report lists.
const LISTED_WORDS: usize = 100;

/// A document, and its variants that are also judged.
pub(super) struct Variants<'a> {
    /// The text without its disguises, with its spelling.
    document: &'a Document,
    /// The original text, if its disguises may be meant to mislead.
    original: Option<Document>,
    /// Its misspelt words, if they are many.
    misspelt: Vec<Misspelling>,
    /// The text with these words corrected.
    respelt: Option<Document>,
}

impl<'a> Variants<'a> {
    /// The variants of a document. `part_read` returns the part of a text that is read.
    pub(super) fn of(document: &'a Document, part_read: impl Fn(&str) -> &str) -> Self {
        let disguised = document.disguised.as_ref();
        let words = || document.text.split_whitespace().count();
        let telling = disguised.filter(|disguised| is_telling(&disguised.kinds, words()));
        let read = part_read(&document.text);
        let mut misspelt = misspellings(read);
        // Models are judged by the beginning.
        let first = beginning(read);
        let in_first = misspelt.iter().filter(|word| word.end <= first.len()).count();
        if !has_many(misspelt.len(), read) && !has_many(in_first, first) {
            misspelt.clear();
        }
        let respelt = (!misspelt.is_empty()).then(|| variant(document, corrected(&document.text, &misspelt)));
        Self {
            document,
            original: telling.map(|disguised| variant(document, disguised.text.clone())),
            misspelt,
            respelt,
        }
    }

    /// All texts that are judged, the document first.
    pub(super) fn documents(&self) -> impl Iterator<Item = &Document> {
        [self.document].into_iter().chain(&self.original).chain(&self.respelt)
    }

    /// The report on the document, with the verdicts on the other variants. `reports` are the reports on
    /// [`Self::documents`] in the same order. None if there are too few.
    pub(super) fn report(&self, reports: &mut impl Iterator<Item = ProvenanceReport>) -> Option<ProvenanceReport> {
        let mut report = reports.next()?;
        // If the judge was stopped before a variant, the document has no report either.
        let mut next = |variant: &Option<Document>| match variant {
            Some(_) => reports.next().map(Some),
            None => Some(None),
        };
        let (original, respelt) = (next(&self.original)?, next(&self.respelt)?);
        if let Some(respelt) = respelt {
            add_misspellings(&mut report, &self.misspelt, respelt);
        }
        if self.document.is_changed() {
            place_in_original(&mut report, self.document);
        }
        if let Some(disguised) = &self.document.disguised {
            add_disguises(&mut report, disguised, original);
        }
        Some(report)
    }
}

/// A document with another text.
fn variant(document: &Document, text: String) -> Document {
    Document {
        name: document.name.clone(),
        id: document.id.clone(),
        kept: document.kept.clone(),
        text,
        disguised: None,
        layout: None,
        sha256: document.sha256.clone(),
        bytes: document.bytes,
        chars: document.chars,
        extraction: document.extraction.clone(),
        continues: document.continues,
    }
}

/// Whether these disguises may be deliberate in a text of this many words. Others come from typesetting, or are slips.
fn is_telling(kinds: &BTreeMap<DisguiseKind, usize>, words: usize) -> bool {
    kinds.iter().any(|(&kind, &count)| match kind {
        DisguiseKind::OddSpace => count >= FEW_SPACES.max(words / WORDS_A_SPACE),
        kind => !kind.is_typographic(),
    })
}

/// Makes the spans of tokens, words and pieces in a report spans of the text as decoded.
fn place_in_original(report: &mut ProvenanceReport, document: &Document) {
    let per_token = report
        .models
        .values_mut()
        .filter_map(|figures| figures.per_token.as_mut());
    let tokens = per_token.flatten().map(|token| (&mut token.start, &mut token.end));
    let words = report
        .misspellings
        .iter_mut()
        .flat_map(|misspellings| &mut misspellings.first);
    let pieces = report.pieces.iter_mut().map(|piece| (&mut piece.start, &mut piece.end));
    let mut spans = tokens
        .chain(words.map(|word| (&mut word.start, &mut word.end)))
        .chain(pieces)
        .peekable();
    if spans.peek().is_some() {
        let original = document.original_offsets();
        for (start, end) in spans {
            (*start, *end) = (original(*start), original(*end));
        }
    }
}

/// Adds to a report the disguises of the text and, if they may be deliberate, the verdict on the text with them.
fn add_disguises(report: &mut ProvenanceReport, disguised: &Disguised, original: Option<ProvenanceReport>) {
    let is_reported = |found: &&Disguise| !found.kind.is_typographic();
    if let (Some(other), Some(first)) = (&original, disguised.disguises.iter().find(is_reported)) {
        let kinds = disguised.kinds.iter().filter(|(kind, _)| !kind.is_typographic());
        report.warnings.push(Warning::Disguised {
            kinds: kinds.map(|(&kind, &count)| (kind, count)).collect(),
            first: first.clone(),
            otherwise: otherwise(other, report),
        });
    }
    report.disguises = Some(DisguiseReport {
        kinds: disguised.kinds.clone(),
        first: disguised.disguises.clone(),
        raw: original.map(OtherReading::from),
    });
}

/// Whether an English text has so many misspelt words that the report warns about it.
fn has_many(misspelt: usize, text: &str) -> bool {
    misspelt >= FEW_MISSPELT.max(text.split_whitespace().count() / WORDS_A_MISSPELLING)
        && DomainCheck::of(text).outside().is_none()
}

/// Adds to a report the misspelt words, and the verdict on the text with them corrected.
fn add_misspellings(report: &mut ProvenanceReport, misspellings: &[Misspelling], respelt: ProvenanceReport) {
    let Some(first) = misspellings.first() else { return };
    report.warnings.push(Warning::Misspelt {
        count: misspellings.len(),
        first: first.clone(),
        otherwise: otherwise(&respelt, report),
    });
    report.misspellings = Some(MisspellingReport {
        count: misspellings.len(),
        first: misspellings.iter().take(LISTED_WORDS).cloned().collect(),
        corrected: respelt.into(),
    });
}

/// The answer on another variant, if it differs from the report's.
fn otherwise(other: &ProvenanceReport, report: &ProvenanceReport) -> Option<Answer> {
    let answer = |report: &ProvenanceReport| Answer {
        verdict: report.verdict,
        authors: report.authors.clone(),
    };
    Some(answer(other)).filter(|other| *other != answer(report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{ModelFigures, TokenFigures};
    use crate::sentences::warning;
    use whowrote_input::disguise::{LISTED, undisguise};
    use whowrote_stats::verdict::Verdict;

    fn report(verdict: Verdict, authors: &[&str]) -> ProvenanceReport {
        let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
        report.warnings.clear();
        report.verdict = verdict;
        report.authors = authors.iter().map(|author| (*author).to_owned()).collect();
        report
    }

    #[test]
    fn deliberate_disguises_are_told_from_typesetting() {
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
    fn the_warning_has_the_verdict_on_the_original_text() {
        let text = disguised("the h\u{435}n had ha\u{200b}ts and a hy\u{ad}phen");
        let mut judged = report(Verdict::Attributed, &["gemma"]);
        add_disguises(&mut judged, &text, Some(report(Verdict::Attributed, &["human"])));
        let said = warning(&judged.warnings[0]);
        assert!(
            said.contains("1 look-alike letters, 1 zero-width characters, the first at byte 5 (U+0435)"),
            "{said}"
        );
        assert!(said.ends_with("the verdict would have been: a person."), "{said}");
        let listed = judged.disguises.unwrap();
        assert_eq!((listed.first.len(), listed.kinds.len()), (3, 3));
        assert_eq!(listed.raw.unwrap().authors, ["human"]);
    }

    #[test]
    fn typesetting_has_no_warning_and_a_long_list_is_cut() {
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
    fn the_warning_about_misspelt_words_has_the_verdict_on_the_corrected_text() {
        let told = |text: &str| has_many(misspellings(text).len(), text);
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
        let said = warning(&judged.warnings[0]);
        assert!(
            said.starts_with("2 of the words that were read are misspelt, the first \"recieved\" (\"received\")"),
            "{said}"
        );
        assert!(
            said.ends_with("With them corrected, the verdict would be: gemma."),
            "{said}"
        );
        assert_eq!(judged.misspellings.unwrap().corrected.authors, ["gemma"]);
        let mut judged = report(Verdict::Attributed, &["gemma"]);
        add_misspellings(&mut judged, &wrong, report(Verdict::Attributed, &["gemma"]));
        assert!(warning(&judged.warnings[0]).ends_with("the verdict is the same."));
    }

    #[test]
    fn tokens_have_their_places_in_the_original_text() {
        let text = Document::from_text(String::new(), "the h\u{435}n had".to_owned());
        let as_it_came = text.disguised.as_ref().unwrap().text.clone();
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
        place_in_original(&mut judged, &text);
        let spans = judged.models["m"].per_token.as_ref().unwrap();
        let spans: Vec<&str> = spans.iter().map(|token| &as_it_came[token.start..token.end]).collect();
        assert_eq!(spans, ["the ", "h\u{435}n", " had"]);
    }
}
