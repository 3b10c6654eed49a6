//! Finds and removes disguises. A disguise changes what a model reads, but not what a person sees.
//!
//! A person does not see a zero-width space or a Cyrillic `а` among Latin letters. A model sees tokens that no author
//! writes. RAID measures both attacks (Dugan et al. 2024, arXiv 2405.07940). Both can be undone, because an honest text
//! has no use for these characters *where they stand*. The difficulty is in that last clause. The same characters are
//! spelling in Persian, in emoji, in Russian and in mathematics, so every rule looks at the neighbours first.
//!
//! There are three passes, each over the result of the one before:
//!
//! 1. `invisible` removes characters without a glyph, and stacks of combining marks.
//! 2. `look_alikes` replaces ligatures, styled letters, and letters of other scripts, by the confusables of UTS 39.
//! 3. `spaces` makes odd white space and runs of spaces plain.
//!
//! Every change is reported, so a text without disguises comes back byte for byte. The result has no disguises left:
//! each decision rests on things that no pass changes, and a pass only strengthens the evidence that it used. A text of
//! more than [`BLOCK`] bytes is processed in blocks, which bounds the cost of a hostile text. A habit of one block then
//! counts for nothing in the next.

mod invisible;
mod look_alikes;
mod spaces;

use crate::offset_map::OffsetMap;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

/// The kind of a disguise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DisguiseKind {
    /// A letter of another script that looks Latin, in a Latin word or among Latin words.
    Homoglyph,
    /// A fullwidth or mathematical letter or digit in place of a plain one.
    StyledLetter,
    /// A typographic ligature such as `ﬁ`. Typesetting programs leave it behind.
    Ligature,
    /// A character without width that does nothing here: zero-width space, joiner, word joiner, byte order mark.
    ZeroWidth,
    /// A variation selector that selects no variant.
    VariationSelector,
    /// A tag character outside of a flag.
    Tag,
    /// A control of writing direction in a line that has only one direction, or an override.
    BidiControl,
    /// White space of unusual width in place of a plain space, or several spaces between words.
    OddSpace,
    /// More combining marks on a letter than any spelling needs.
    CombiningMark,
    /// A soft hyphen. Typesetting programs and web pages leave it behind.
    SoftHyphen,
}

impl DisguiseKind {
    /// Whether typesetting produces this without any intent to hide.
    pub fn is_typographic(self) -> bool {
        matches!(self, DisguiseKind::Ligature | DisguiseKind::SoftHyphen)
    }
}

/// A disguise found at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Disguise {
    /// Its kind.
    pub kind: DisguiseKind,
    /// Byte offset in the text as read.
    pub start: usize,
    /// Byte offset just after it in the text as read.
    pub end: usize,
    /// The characters as codes such as `U+200B`, because most are invisible.
    pub found: String,
    /// What replaces them; empty if they were removed.
    pub replaced_by: String,
}

/// The largest block that is processed at once, in bytes.
pub const BLOCK: usize = 64 << 10;
/// How many disguises of each kind are listed one by one.
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
    /// Where `text` stood in the text as read.
    map: OffsetMap,
}

impl Undisguised {
    /// Maps a byte offset in `text` to its byte offset in the text as read; see [`OffsetMap::original`].
    pub fn original_offset(&self, offset: usize) -> usize {
        self.map.original(offset)
    }

    /// Adds characters that begin at byte `there` of the text as read.
    fn push(&mut self, characters: &str, there: usize) {
        self.map.push(self.text.len(), there);
        self.text.push_str(characters);
    }

    /// Lists the disguises of the block that starts at byte `start`.
    fn list(&mut self, mut found: Vec<Disguise>, start: usize) {
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

/// Finds and removes the disguises of a text, in linear time.
pub fn undisguise(text: &str) -> Undisguised {
    let mut plain = Undisguised {
        text: String::with_capacity(text.len()),
        kinds: BTreeMap::new(),
        disguises: Vec::new(),
        map: OffsetMap::default(),
    };
    let mut start = 0;
    while start < text.len() {
        let block = first_block(&text[start..]);
        undisguise_block(block, start, &mut plain);
        start += block.len();
    }
    plain.map.end(plain.text.len(), text.len());
    plain
}

/// The beginning of a text, up to the last line end within [`BLOCK`] bytes, or else up to the last space.
fn first_block(text: &str) -> &str {
    if text.len() <= BLOCK {
        return text;
    }
    let most = &text[..text.floor_char_boundary(BLOCK)];
    let behind = |at: usize| at + most[at..].chars().next().map_or(0, char::len_utf8);
    let end = most
        .rfind(ends_line)
        .or_else(|| most.rfind(char::is_whitespace))
        .map(behind);
    end.map_or(most, |end| &most[..end])
}

fn undisguise_block(block: &str, start: usize, plain: &mut Undisguised) {
    // Most blocks need no work: in ASCII, only two spaces in a row can be a disguise.
    if block.is_ascii() && !block.contains("  ") {
        return plain.push(block, start);
    }
    let mut found = Vec::new();
    let characters = invisible::remove(block, &mut found);
    let characters = look_alikes::replace(characters, &mut found);
    let characters = spaces::collapse(characters, &mut found);
    for character in &characters {
        plain.push(character.ch.encode_utf8(&mut [0; 4]), start + character.start);
    }
    plain.list(found, start);
}

/// A character, and its bytes in the text as read.
#[derive(Clone, Copy, Debug)]
struct Character {
    ch: char,
    start: usize,
    len: u8,
}

impl Character {
    fn end(&self) -> usize {
        self.start + usize::from(self.len)
    }
}

/// Notes that adjacent characters were replaced.
fn note(disguises: &mut Vec<Disguise>, kind: DisguiseKind, characters: &[Character], replaced_by: impl Into<String>) {
    let (Some(first), Some(last)) = (characters.first(), characters.last()) else {
        return;
    };
    let mut found = String::with_capacity(7 * characters.len());
    for character in characters {
        let gap = if found.is_empty() { "" } else { " " };
        // Writing to a String cannot fail.
        let _ = write!(found, "{gap}U+{:04X}", u32::from(character.ch));
    }
    disguises.push(Disguise {
        kind,
        start: first.start,
        end: last.end(),
        found,
        replaced_by: replaced_by.into(),
    });
}

/// Whether a character ends a line. Many rules look at the rest of the line.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}')
}

/// The ranges of the lines, each without its end.
fn lines(characters: &[Character]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (at, character) in characters.iter().enumerate() {
        if ends_line(character.ch) {
            lines.push(start..at);
            start = at + 1;
        }
    }
    lines.push(start..characters.len());
    lines
}

/// Whether a character looks like a wide space, although Unicode classes it as a letter or symbol.
///
/// Hangul fillers and the empty Braille cell serve as spaces that no tool recognises.
pub(crate) fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}')
}

#[cfg(test)]
mod tests;
