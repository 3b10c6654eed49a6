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
//! What is not told is not changed: a text without disguises comes back byte for byte. What comes back holds no
//! disguise any more: every decision rests on things that the passes do not change, and each pass only ever adds to
//! the side that it decided for. Texts of more than [`BLOCK`] bytes are looked at block by block, so that what a hostile one
//! takes is bounded: there, what is common in one block may be odd in the next.

mod invisible;
mod look_alikes;
mod spaces;

use serde::Serialize;
use std::collections::BTreeMap;
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

/// Bytes that are looked at as one text, at most.
pub const BLOCK: usize = 64 << 10;
/// Disguises of each kind that are told one by one.
pub const LISTED: usize = 100;

/// A text without its disguises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undisguised {
    /// The text to score.
    pub text: String,
    /// How many disguises of each kind were found. Empty exactly when `text` is the text as read.
    pub kinds: BTreeMap<DisguiseKind, usize>,
    /// The first [`LISTED`] of each kind, in the order of the text.
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

    /// Adds characters that come from this byte of the text as read on.
    fn push(&mut self, characters: &str, there: usize) {
        let here = self.text.len();
        // It wraps inside a ligature of three, whose letters all come from the same place.
        let distance = |&(here, there): &(usize, usize)| there.wrapping_sub(here);
        let now = (here, there);
        if self.anchors.last().map(distance) != Some(distance(&now)) {
            self.anchors.push(now);
        }
        self.text.push_str(characters);
    }

    /// Tells of disguises that were found in a block that starts here.
    fn tell(&mut self, mut found: Vec<Disguise>, start: usize) {
        found.sort_by_key(|disguise| (disguise.start, disguise.end));
        for mut disguise in found {
            let count = self.kinds.entry(disguise.kind).or_default();
            *count += 1;
            if *count <= LISTED {
                disguise.start += start;
                disguise.end += start;
                self.disguises.push(disguise);
            }
        }
    }
}

/// Finds the disguises of a text and takes them off. Linear in the length of the text.
pub fn undisguise(text: &str) -> Undisguised {
    let mut plain = Undisguised {
        text: String::with_capacity(text.len()),
        kinds: BTreeMap::new(),
        disguises: Vec::new(),
        anchors: Vec::new(),
    };
    let mut start = 0;
    while start < text.len() {
        let block = first_block(&text[start..]);
        undisguise_block(block, start, &mut plain);
        start += block.len();
    }
    plain.anchors.push((plain.text.len(), text.len()));
    plain
}

/// The beginning of a text, up to a line's end if there is one in reach, else up to a space.
fn first_block(text: &str) -> &str {
    if text.len() <= BLOCK {
        return text;
    }
    let most = &text[..(0..=BLOCK).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0)];
    let behind = |at: usize| at + most[at..].chars().next().map_or(0, char::len_utf8);
    let end = most
        .rfind(ends_line)
        .or_else(|| most.rfind(char::is_whitespace))
        .map(behind);
    end.map_or(most, |end| &most[..end])
}

fn undisguise_block(block: &str, start: usize, plain: &mut Undisguised) {
    // Most texts need no look: only spaces can be a disguise in ASCII, and only when there are two of them.
    if block.is_ascii() && !block.contains("  ") {
        return plain.push(block, start);
    }
    let mut found = Vec::new();
    let pieces = invisible::remove(block, &mut found);
    let pieces = look_alikes::replace(pieces, &mut found);
    let pieces = spaces::collapse(pieces, &mut found);
    for piece in &pieces {
        plain.push(piece.ch.encode_utf8(&mut [0; 4]), start + piece.start);
    }
    plain.tell(found, start);
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
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
}

#[cfg(test)]
mod tests;
