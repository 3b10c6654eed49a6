//! RAID's mechanical attacks. Tests use them to measure how an attack changes a verdict, and how much of it
//! [`undisguise`] undoes.
//!
//! Liam Dugan and others: *RAID: A Shared Benchmark for Robust Evaluation of Machine-Generated Text Detectors*, ACL
//! 2024, arXiv 2405.07940. The paper names eleven attacks. Their definitions and rates come from RAID's program (GitHub
//! `liamdugan/raid` at 97706fe): `generation/adversarial/attack.py` has the rates, and the files under `attackers/`
//! have the definitions. The synonym and paraphrase attacks need a model and are left out.
//!
//! The rate of an attack is the share of its candidates that it changes, rounded down. The candidates are drawn at
//! random. The same text, rate and state of the generator give the same result. Each file says where its attacks differ
//! from RAID's.
//!
//! [`undisguise`]: whowrote_input::disguise::undisguise

mod characters;
mod misspelling;
mod spelling;
mod word_edits;

use rand::Rng;
use rand::seq::index;
use whowrote_input::spelling::edited;

/// An attack of RAID that needs no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attack {
    /// Letters become look-alikes of other scripts.
    Homoglyph,
    /// Zero-width spaces follow characters.
    ZeroWidthSpace,
    /// Additional spaces follow words.
    Whitespace,
    /// The first letters of words change their case.
    UpperLower,
    /// The digits of numbers become random digits.
    Number,
    /// Articles are deleted.
    ArticleDeletion,
    /// American spellings become British ones.
    AlternativeSpelling,
    /// Empty lines appear between sentences.
    InsertParagraphs,
    /// Words become common misspellings of themselves.
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

    /// The name in RAID's column `attack`, with hyphens. RAID calls the last one `perplexity_misspelling`.
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

    /// The rate that RAID uses (`get_attack` in `generation/adversarial/attack.py`).
    pub fn rate(self) -> f64 {
        match self {
            Attack::Homoglyph | Attack::ZeroWidthSpace | Attack::AlternativeSpelling => 1.0,
            Attack::Number | Attack::ArticleDeletion | Attack::InsertParagraphs => 0.5,
            Attack::Whitespace | Attack::Misspelling => 0.2,
            Attack::UpperLower => 0.05,
        }
    }

    /// Attacks a text. A rate below 0 counts as 0, and a rate above 1 counts as 1.
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

/// A change to a text: the range of bytes to remove, and the text to put there.
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

/// A share of a number, rounded down like RAID.
fn share(of: usize, rate: f64) -> usize {
    // A NaN becomes 0 in the conversion.
    ((of as f64 * rate.clamp(0.0, 1.0)) as usize).min(of)
}

/// Draws `amount` of the candidates without replacement, and keeps their order.
fn draw<T: Clone>(candidates: &[T], amount: usize, rng: &mut impl Rng) -> Vec<T> {
    let mut drawn = index::sample(rng, candidates.len(), amount.min(candidates.len())).into_vec();
    drawn.sort_unstable();
    drawn.into_iter().map(|at| candidates[at].clone()).collect()
}

/// The words of a text, each with its start. A word is a run of letters and digits, perhaps with apostrophes inside.
fn words(text: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut start = None;
    let mut characters = text.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let is_inner_apostrophe = start.is_some()
            && matches!(c, '\'' | '’')
            && characters.peek().is_some_and(|&(_, next)| next.is_alphabetic());
        match (c.is_alphanumeric() || is_inner_apostrophe, start) {
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
