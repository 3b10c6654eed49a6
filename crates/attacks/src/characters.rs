//! Attacks that change single characters.

use super::{Edit, draw, share, words};
use rand::Rng;
use rand::seq::IndexedRandom;

/// The look-alikes that RAID uses for a letter (`attackers/homoglyph.py`): Cyrillic ones, and Greek ones for capitals.
fn look_alikes(c: char) -> &'static [char] {
    match c {
        'a' => &['а'],
        'c' => &['с'],
        'e' => &['е'],
        'i' => &['і'],
        'o' => &['о'],
        'p' => &['р'],
        'x' => &['х'],
        'y' => &['у'],
        'A' => &['А', 'Α'],
        'B' => &['В', 'Β'],
        'C' => &['С'],
        'E' => &['Е', 'Ε'],
        'H' => &['Н', 'Η'],
        'I' => &['І', 'Ι'],
        'K' => &['К', 'Κ'],
        'M' => &['М', 'Μ'],
        'N' => &['Ν'],
        'O' => &['О', 'Ο'],
        'P' => &['Р', 'Ρ'],
        'T' => &['Т', 'Τ'],
        'X' => &['Х', 'Χ'],
        'Z' => &['Ζ'],
        _ => &[],
    }
}

/// Replaces letters by look-alikes. RAID's program has no rate for this attack and replaces all of them.
pub(super) fn homoglyphs(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates: Vec<(usize, char)> = text
        .char_indices()
        .filter(|&(_, c)| !look_alikes(c).is_empty())
        .collect();
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .filter_map(|(start, c)| {
            let by = look_alikes(c).choose(rng)?.to_string();
            Some(Edit {
                start,
                end: start + c.len_utf8(),
                by,
            })
        })
        .collect()
}

/// Puts a zero-width space after a share of all characters (`attackers/zero_width_space.py`).
pub(super) fn zero_width_spaces(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let ends: Vec<usize> = text.char_indices().map(|(at, c)| at + c.len_utf8()).collect();
    draw(&ends, share(ends.len(), rate), rng)
        .into_iter()
        .map(|at| Edit::insert(at, "\u{200b}"))
        .collect()
}

/// Adds a space after words (`attackers/whitespace.py`). A word here is what stands between spaces, and the last one
/// counts.
///
/// RAID draws with replacement, so some gaps grow by two or three spaces. So does this.
pub(super) fn spaces(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let ends: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).chain([text.len()]).collect();
    let mut drawn: Vec<usize> = (0..share(ends.len(), rate))
        .filter_map(|_| ends.choose(rng).copied())
        .collect();
    drawn.sort_unstable();
    drawn.into_iter().map(|at| Edit::insert(at, " ")).collect()
}

/// Changes the case of the first letters of words (`attackers/upper_lower.py`).
///
/// RAID splits words with NLTK, which makes two of `don't`. Here it is one word.
pub(super) fn cases(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let candidates: Vec<(usize, char, char)> = words(text)
        .into_iter()
        .filter_map(|(start, word)| {
            let first = word.chars().next().filter(|c| c.is_alphabetic())?;
            let mut other: Box<dyn Iterator<Item = char>> = if first.is_uppercase() {
                Box::new(first.to_lowercase())
            } else {
                Box::new(first.to_uppercase())
            };
            // A letter without case cannot change. A letter such as ß, with two letters as its other case, cannot
            // change back.
            let flipped = other
                .next()
                .filter(|&flipped| flipped != first && other.next().is_none())?;
            Some((start, first, flipped))
        })
        .collect();
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|(start, first, flipped)| Edit {
            start,
            end: start + first.len_utf8(),
            by: flipped.to_string(),
        })
        .collect()
}

/// Replaces the digits of numbers by random digits (`attackers/alter_number.py`). `3.14` is one number, `1,000` is two.
pub(super) fn numbers(text: &str, rate: f64, rng: &mut impl Rng) -> Vec<Edit> {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut candidates = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let whole = digits(at);
        if whole == 0 {
            at += 1;
            continue;
        }
        let mut end = at + whole;
        if bytes.get(end) == Some(&b'.') {
            end += match digits(end + 1) {
                0 => 0,
                fraction => 1 + fraction,
            };
        }
        candidates.push((at, end));
        at = end;
    }
    draw(&candidates, share(candidates.len(), rate), rng)
        .into_iter()
        .map(|(start, end)| Edit {
            start,
            end,
            by: text[start..end]
                .chars()
                .map(|c| {
                    if c.is_ascii_digit() {
                        char::from(rng.random_range(b'0'..=b'9'))
                    } else {
                        c
                    }
                })
                .collect(),
        })
        .collect()
}
