//! Words that are parted at the ends of lines.

use crate::spelling::is_word;
use std::collections::HashSet;

/// What the lines of a text tell about its words.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineWords {
    /// The words that no line's end parts: all but the first and the last of each line.
    whole: HashSet<String>,
    /// Whether a program has parted words at the ends of lines.
    is_hyphenated: bool,
}

/// The share of lines with a hyphen at their end above which a program has parted words, and the fewest of them. A program
/// that breaks lines only at hyphens of the author leaves one in a hundred.
const HYPHENATED: f64 = 0.06;
const LEAST_HYPHENS: usize = 3;

impl LineWords {
    pub(crate) fn of<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut whole = HashSet::new();
        let (mut count, mut hyphens) = (0u32, 0usize);
        for line in lines {
            count += 1;
            let stem = line.strip_suffix(['-', '\u{2010}']);
            hyphens += usize::from(stem.is_some_and(|stem| stem.ends_with(char::is_alphabetic)));
            for word in line.split([' ', '\t']).skip(1) {
                let word = bare(word);
                if !word.is_empty() && !word.ends_with('-') {
                    whole.insert(word);
                }
            }
        }
        Self {
            whole,
            is_hyphenated: hyphens >= LEAST_HYPHENS && hyphens as f64 >= HYPHENATED * f64::from(count),
        }
    }
}

fn bare(word: &str) -> String {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '-');
    word.to_lowercase()
}

/// How a line goes on with the next line of its paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// With a space between them.
    Space,
    /// With nothing between them.
    Nothing,
    /// With nothing between them, and without the hyphen at the end of the first.
    WithoutHyphen,
}

impl LineEnd {
    /// Between two lines without blanks at their ends. `words` are those of the text.
    pub(crate) fn between(line: &str, next: &str, words: &LineWords) -> Self {
        let stem = line.strip_suffix(['-', '\u{2010}']).unwrap_or_default();
        let first = stem.rsplit([' ', '\t']).next().unwrap_or_default();
        let second = next.split([' ', '\t']).next().unwrap_or_default();
        if line.ends_with('/') {
            // An address that is parted behind its stroke.
            Self::Nothing
        } else if first.is_empty() || matches!(second, "and" | "or" | "to" | "und" | "oder" | "bis") {
            // A dash, or the first part of "left- and right-handed".
            Self::Space
        } else if is_one_word(first, second, words) {
            Self::WithoutHyphen
        } else {
            Self::Nothing
        }
    }
}

/// Words with which others begin.
const BEGINNINGS: [&str; 28] = [
    "an", "any", "as", "be", "by", "can", "down", "ever", "every", "for", "how", "in", "it", "no", "not", "off", "on",
    "or", "other", "out", "over", "some", "there", "to", "under", "up", "where", "with",
];

/// Whether the hyphen between two parts is there only because a line ends. The rest of the text tells, if it has the
/// word, and then the dictionary. Otherwise a hyphen is the word's own behind a single letter, beside another hyphen,
/// before a capital or a digit, between two words of the text ("data-driven", but not "an-other"), and before a word of some
/// length ("life-changing") where no program parts words.
fn is_one_word(first: &str, second: &str, words: &LineWords) -> bool {
    if !first.ends_with(char::is_alphabetic) {
        return false;
    }
    let whole = bare(&format!("{first}{second}"));
    if words.whole.contains(&whole) {
        return true;
    }
    let (left, right) = (bare(first), bare(second));
    if words.whole.contains(&bare(&format!("{first}-{second}"))) {
        return false;
    }
    let is_compound = left.chars().count() < 2
        || left.contains('-')
        || right.contains('-')
        || words.whole.contains(&left) && words.whole.contains(&right) && !BEGINNINGS.contains(&left.as_str())
        || !words.is_hyphenated && right.len() > 3 && is_word(&right)
        || matches!(left.as_str(), "half" | "self" | "well") && right.chars().count() > 3;
    (is_word(&whole) || !is_compound) && second.starts_with(char::is_lowercase)
}
