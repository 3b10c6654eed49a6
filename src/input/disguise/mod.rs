//! Finds the disguises that are put on a text to make it look other to a model than to a reader, and takes them off.
//!
//! A reader does not see a zero-width space or a Cyrillic `а` among Latin letters; a model sees tokens that no author
//! writes. Both are among the attacks that RAID measures (Dugan et al. 2024, arXiv 2405.07940), and both can be undone,
//! because no honest text has a use for them *where they stand*. That last clause is the work: the same characters are
//! spelling in Persian, in emoji, in Russian and in mathematics, so every rule here looks at the neighbours first.
//!
//! Three passes, each over the result of the one before:
//!
//! 1. `invisible`: characters without a glyph, and stacks of combining marks;
//! 2. `look_alikes`: ligatures, styled letters, and letters of other scripts, by the confusables of UTS 39;
//! 3. `spaces`: odd white space and runs of spaces.
//!
//! What is not reported is not changed: a text without disguises comes back byte for byte. What comes back holds no
//! disguise any more: every decision rests on things that the passes do not change, and each pass only ever adds to
//! the side that it decided for.

mod invisible;
mod look_alikes;
mod spaces;

use serde::Serialize;
use std::fmt::Write;
use std::ops::Range;

/// What a disguise is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisguiseKind {
    /// A letter of another script that looks like a Latin one, in a word or among words that are Latin.
    Homoglyph,
    /// A fullwidth or mathematical letter or digit where a plain one belongs.
    StyledLetter,
    /// A typographic ligature such as `ﬁ`. Typesetting programs leave it behind.
    Ligature,
    /// A character without width where it does nothing: zero-width space, joiners, word joiner, byte order mark.
    ZeroWidth,
    /// A variation selector that selects no variant.
    VariationSelector,
    /// A tag character outside the flags that are spelt with them.
    Tag,
    /// A control of the direction of writing in a line that is written in one direction, or an override.
    BidiControl,
    /// White space of unusual width where a plain space belongs, or more than one space between words.
    OddSpace,
    /// Combining marks stacked higher than any spelling needs.
    CombiningMark,
    /// A soft hyphen. Typesetting programs and web pages leave it behind.
    SoftHyphen,
}

impl DisguiseKind {
    /// Whether typesetting leaves this behind without anybody's wish to hide something.
    pub fn is_typographic(self) -> bool {
        matches!(self, DisguiseKind::Ligature | DisguiseKind::SoftHyphen)
    }
}

/// One kind of disguise found at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disguise {
    /// What it is made of.
    pub kind: DisguiseKind,
    /// Byte offset in the text as read.
    pub start: usize,
    /// Byte offset in the text as read, just behind it.
    pub end: usize,
    /// The characters, as codes such as `U+200B`, because most of them cannot be seen.
    pub found: String,
    /// What stands there now; empty where it was removed.
    pub replaced_by: String,
}

/// A text without its disguises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undisguised {
    /// The text to score.
    pub text: String,
    /// What was found, in the order of the text. Empty exactly when `text` is the text as read.
    pub disguises: Vec<Disguise>,
    /// Where the distance between a byte here and its byte in the text as read changes: (here, there), both ascending.
    anchors: Vec<(usize, usize)>,
}

impl Undisguised {
    /// The byte offset in the text as read of a byte offset of `text`.
    ///
    /// Never descends, takes 0 to the first character that stayed, and the end to the end.
    pub fn original_offset(&self, offset: usize) -> usize {
        let next = self.anchors.partition_point(|&(here, _)| here <= offset);
        let limit = self
            .anchors
            .get(next)
            .or(self.anchors.last())
            .map_or(offset, |&(_, there)| there);
        match next.checked_sub(1).and_then(|last| self.anchors.get(last)) {
            Some(&(here, there)) => (there + (offset - here)).min(limit),
            None => limit,
        }
    }

    /// The bytes of the text as read that a range of `text` came from.
    pub fn original_range(&self, range: Range<usize>) -> Range<usize> {
        self.original_offset(range.start)..self.original_offset(range.end)
    }
}

/// Finds the disguises of a text and takes them off. Linear in the length of the text.
pub fn undisguise(text: &str) -> Undisguised {
    // Most texts need no look: only spaces can be a disguise in ASCII, and only when there are two of them.
    if text.is_ascii() && !text.contains("  ") {
        return untouched(text);
    }
    let mut disguises = Vec::new();
    let pieces = invisible::remove(text, &mut disguises);
    let pieces = look_alikes::replace(pieces, &mut disguises);
    let pieces = spaces::collapse(pieces, &mut disguises);
    if disguises.is_empty() {
        return untouched(text);
    }
    disguises.sort_by_key(|disguise| (disguise.start, disguise.end));
    let mut plain = String::with_capacity(text.len());
    let mut anchors = Vec::new();
    let mut distance = None;
    for piece in &pieces {
        let here = plain.len();
        // It wraps inside a ligature of three, whose letters all come from the same place.
        let now = piece.start.wrapping_sub(here);
        if distance != Some(now) {
            anchors.push((here, piece.start));
            distance = Some(now);
        }
        plain.push(piece.ch);
    }
    anchors.push((plain.len(), text.len()));
    Undisguised {
        text: plain,
        disguises,
        anchors,
    }
}

fn untouched(text: &str) -> Undisguised {
    Undisguised {
        text: text.to_owned(),
        disguises: Vec::new(),
        anchors: vec![(0, 0), (text.len(), text.len())],
    }
}

/// A character and the bytes of the text as read that it stands for.
#[derive(Clone, Copy, Debug)]
struct Piece {
    ch: char,
    start: usize,
    len: u8,
}

impl Piece {
    fn end(&self) -> usize {
        self.start + usize::from(self.len)
    }
}

/// Notes that pieces which follow each other became something else.
fn note(disguises: &mut Vec<Disguise>, kind: DisguiseKind, pieces: &[Piece], replaced_by: impl Into<String>) {
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return;
    };
    let mut found = String::with_capacity(7 * pieces.len());
    for piece in pieces {
        let gap = if found.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(found, "{gap}U+{:04X}", u32::from(piece.ch));
    }
    disguises.push(Disguise {
        kind,
        start: first.start,
        end: last.end(),
        found,
        replaced_by: replaced_by.into(),
    });
}

/// Ends a line of writing, for the rules that look at the rest of the line.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// The ranges of the lines, each without its end.
fn lines(pieces: &[Piece]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, piece) in pieces.iter().enumerate() {
        if ends_line(piece.ch) {
            lines.push(start..at);
            start = at + 1;
        }
    }
    lines.push(start..pieces.len());
    lines
}

/// A character that looks like a wide space and is classed as a letter or symbol.
///
/// Hangul fillers and the empty Braille cell are sown as spaces that no tool takes for white space.
fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
}

#[cfg(test)]
mod tests;
