//! The mechanical attacks of RAID, to measure what they do to a verdict and how far [`undisguise`] takes them back.
//!
//! Liam Dugan and others: *RAID: A Shared Benchmark for Robust Evaluation of Machine-Generated Text Detectors*, ACL 2024,
//! arXiv 2405.07940. The paper names eleven attacks; what each does and at which rate is taken from its program (GitHub
//! `liamdugan/raid` at 97706fe: `generation/adversarial/attack.py` for the rates, the files under `attackers/` for the
//! definitions). Two of the eleven need a model, synonym and paraphrase, and are not here.
//!
//! As there, a rate is the share of an attack's candidates that are changed, rounded down, and the candidates are drawn
//! at random. The same text, rate and state of the generator give the same result. Where an attack here differs from
//! RAID's, its file says so.
//!
//! [`undisguise`]: whowrote_input::disguise::undisguise

mod characters;
mod misspelling;
mod spelling;
mod word_edits;

use rand::Rng;
use rand::seq::index;
use whowrote_input::spelling::edited;

/// One of RAID's attacks that need no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attack {
    /// Letters become look-alikes of other scripts.
    Homoglyph,
    /// Zero-width spaces are put behind characters.
    ZeroWidthSpace,
    /// Spaces are put behind words.
    Whitespace,
    /// The first letters of words change their case.
    UpperLower,
    /// The digits of numbers become random ones.
    Number,
    /// Articles are deleted.
    ArticleDeletion,
    /// American spellings become British ones.
    AlternativeSpelling,
    /// Empty lines are put between sentences.
    InsertParagraphs,
    /// Words become common misspellings of theirs.
    Misspelling,
}

impl Attack {
    /// All attacks, in the order of the type.
    pub const ALL: [Attack; 9] = [
        Attack::Homoglyph,
        Attack::ZeroWidthSpace,
        Attack::Whitespace,
        Attack::UpperLower,
        Attack::Number,
        Attack::ArticleDeletion,
        Attack::AlternativeSpelling,
        Attack::InsertParagraphs,
        Attack::Misspelling,
    ];

    /// The name in RAID's column `attack`, with hyphens; RAID calls the last `perplexity_misspelling`.
    pub fn name(self) -> &'static str {
        match self {
            Attack::Homoglyph => "homoglyph",
            Attack::ZeroWidthSpace => "zero-width-space",
            Attack::Whitespace => "whitespace",
            Attack::UpperLower => "upper-lower",
            Attack::Number => "number",
            Attack::ArticleDeletion => "article-deletion",
            Attack::AlternativeSpelling => "alternative-spelling",
            Attack::InsertParagraphs => "insert-paragraphs",
            Attack::Misspelling => "misspelling",
        }
    }

    /// The rate at which RAID runs the attack (`get_attack` in `generation/adversarial/attack.py`).
    pub fn rate(self) -> f64 {
        match self {
            Attack::Homoglyph | Attack::ZeroWidthSpace | Attack::AlternativeSpelling => 1.0,
            Attack::Number | Attack::ArticleDeletion | Attack::InsertParagraphs => 0.5,
            Attack::Whitespace | Attack::Misspelling => 0.2,
            Attack::UpperLower => 0.05,
        }
    }

    /// The text under attack. A rate outside 0 to 1 counts as the nearer of the two.
    pub fn apply(self, text: &str, rate: f64, rng: &mut impl Rng) -> String {
        let edits = match self {
            Attack::Homoglyph => characters::homoglyphs(text, rate, rng),
            Attack::ZeroWidthSpace => characters::zero_width_spaces(text, rate, rng),
            Attack::Whitespace => characters::spaces(text, rate, rng),
            Attack::UpperLower => characters::cases(text, rate, rng),
            Attack::Number => characters::numbers(text, rate, rng),
            Attack::ArticleDeletion => word_edits::articles(text, rate, rng),
            Attack::AlternativeSpelling => word_edits::british(text, rate, rng),
            Attack::InsertParagraphs => word_edits::paragraphs(text, rate, rng),
            Attack::Misspelling => word_edits::misspellings(text, rate, rng),
        };
        edited(text, edits.iter().map(|edit| (edit.start..edit.end, edit.by.as_str())))
    }
}

/// A change to a text: the bytes that go, and what comes in their place.
struct Edit {
    start: usize,
    end: usize,
    by: String,
}

impl Edit {
    fn insert(at: usize, by: &str) -> Self {
        Edit {
            start: at,
            end: at,
            by: by.to_owned(),
        }
    }
}

/// A share of a number, rounded down as RAID does.
fn share(of: usize, rate: f64) -> usize {
    // A NaN becomes 0 in the conversion.
    ((of as f64 * rate.clamp(0.0, 1.0)) as usize).min(of)
}

/// Draws so many of the candidates without replacement, and keeps them in their order.
fn draw<T: Clone>(candidates: &[T], amount: usize, rng: &mut impl Rng) -> Vec<T> {
    let mut drawn = index::sample(rng, candidates.len(), amount.min(candidates.len())).into_vec();
    drawn.sort_unstable();
    drawn.into_iter().map(|at| candidates[at].clone()).collect()
}

/// The words of a text: where they start, and themselves. Letters and digits, with apostrophes inside.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let goes_on = start.is_some()
            && matches!(c, '\'' | '’')
            && characters.peek().is_some_and(|&(_, next)| next.is_alphabetic());
        match (c.is_alphanumeric() || goes_on, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((from, &text[from..at]));
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| (from, &text[from..])));
    words
}

#[cfg(test)]
mod tests;
