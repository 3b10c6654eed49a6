//! What a verdict says of a text that was disguised: what was taken off before it was read, and what it would have been taken for.

use super::report::{DisguiseReport, ProvenanceReport, RawReading, Verdict, Warning, WarningCode};
use crate::input::disguise::{Disguise, DisguiseKind};
use std::collections::BTreeMap;

/// Disguises that a report lists one by one.
const LISTED: usize = 100;
/// Odd spaces come in by accident: fewer than this, or than one in so many words, say nothing.
const FEW_SPACES: usize = 3;
const WORDS_A_SPACE: usize = 50;

/// Whether somebody may have put these disguises on a text of so many words, rather than a typesetter or a slip of the hand.
pub fn is_telling(disguises: &[Disguise], words: usize) -> bool {
    let (spaces, others): (Vec<_>, Vec<_>) = disguises
        .iter()
        .filter(|disguise| !disguise.kind.is_typographic())
        .partition(|disguise| disguise.kind == DisguiseKind::OddSpace);
    !others.is_empty() || spaces.len() >= FEW_SPACES.max(words / WORDS_A_SPACE)
}

/// Adds to a report what the text was disguised with and, where it is telling, the verdict on the text as it came.
pub fn add_disguises(report: &mut ProvenanceReport, disguises: &[Disguise], raw: Option<ProvenanceReport>) {
    let mut kinds = BTreeMap::new();
    for disguise in disguises {
        *kinds.entry(disguise.kind).or_default() += 1;
    }
    if let (Some(raw), Some(first)) = (&raw, disguises.iter().find(|found| !found.kind.is_typographic())) {
        report.warnings.push(Warning {
            code: WarningCode::Disguised,
            message: message(&kinds, first, raw, report),
        });
    }
    report.disguises = Some(DisguiseReport {
        kinds,
        first: disguises.iter().take(LISTED).cloned().collect(),
        raw: raw.map(|raw| RawReading {
            verdict: raw.verdict,
            authors: raw.authors,
            models: raw.models,
        }),
    });
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
    let otherwise = match raw.verdict == report.verdict && raw.authors == report.authors {
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
    use super::*;
    use crate::input::disguise::undisguise;

    fn report(verdict: Verdict, authors: &[&str]) -> ProvenanceReport {
        let mut report = ProvenanceReport::unreadable(String::new(), None, (0.05, 0.01), String::new());
        report.warnings.clear();
        report.verdict = verdict;
        report.authors = authors.iter().map(|author| (*author).to_owned()).collect();
        report
    }

    #[test]
    fn what_an_attacker_sows_tells_and_what_typesetting_leaves_does_not() {
        let telling = |text: &str| is_telling(&undisguise(text).disguises, text.split_whitespace().count());
        assert!(telling("the h\u{435}n had hats"));
        assert!(telling("the he\u{200b}n had hats"));
        assert!(!telling("the \u{fb01}sh had hy\u{ad}phens"));
        assert!(!telling("the hen  had one slip"));
        assert!(telling("the  hen had  ten  hats and  no  slip"));
    }

    #[test]
    fn the_warning_says_what_the_text_would_have_been_taken_for() {
        let disguises = undisguise("the h\u{435}n had ha\u{200b}ts and a hy\u{ad}phen").disguises;
        let mut judged = report(Verdict::Attributed, &["gemma"]);
        add_disguises(&mut judged, &disguises, Some(report(Verdict::Attributed, &["human"])));
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
        let disguises = undisguise(&"of\u{fb01}ce ".repeat(300)).disguises;
        add_disguises(&mut judged, &disguises, None);
        assert!(judged.warnings.is_empty());
        let listed = judged.disguises.unwrap();
        assert_eq!(
            (listed.first.len(), listed.kinds[&DisguiseKind::Ligature]),
            (LISTED, 300)
        );
    }
}
