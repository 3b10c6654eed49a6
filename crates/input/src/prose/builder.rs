//! Builds blocks from pieces of text, in the order in which an extractor finds them.

use super::{Block, BlockKind, LineUnit, Piece, Prose};
use crate::disguise::is_blank;

/// The starts of the lines of a text.
#[derive(Clone, Debug)]
pub struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    /// The lines of a text.
    pub fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self {
            starts: [0].into_iter().chain(ends.map(|(at, _)| at + 1)).collect(),
        }
    }

    /// The line of a byte, counted from 1.
    pub fn at(&self, byte: usize) -> usize {
        self.starts.partition_point(|start| *start <= byte).max(1)
    }
}

/// The most notes about one file.
const MOST_NOTES: usize = 20;

/// What the marks so far exempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ignoring {
    Nothing,
    /// The next block.
    Next,
    /// Everything from this line on.
    From(usize),
}

/// Builds the blocks of one file.
#[derive(Clone, Debug)]
pub struct Builder {
    blocks: Vec<Block>,
    notes: Vec<(usize, String)>,
    text: String,
    pieces: Vec<Piece>,
    kind: BlockKind,
    ignoring: Ignoring,
    /// Whether something was left out after the last word.
    gap: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            notes: Vec::new(),
            text: String::new(),
            pieces: Vec::new(),
            kind: BlockKind::Paragraph,
            ignoring: Ignoring::Nothing,
            gap: false,
        }
    }
}

impl Builder {
    /// Begins a block of a kind and ends the one before.
    pub fn begin(&mut self, kind: BlockKind) {
        self.end();
        self.kind = kind;
    }

    /// Adds text that begins on `line` and may run over several lines. White space becomes single spaces, and separate
    /// words stay separate.
    pub fn add(&mut self, text: &str, line: usize) {
        for (i, part) in text.split('\n').enumerate() {
            if i > 0 {
                self.space();
            }
            self.add_line(part, line + i);
        }
    }

    /// Notes that something is left out here. It separates words, but punctuation after it joins the word before it.
    pub fn left_out(&mut self) {
        self.space();
        self.gap = true;
    }

    fn add_line(&mut self, text: &str, line: usize) {
        let is_space = |c: char| c.is_whitespace() || is_blank(c);
        let is_empty = text.chars().all(is_space);
        if !is_empty
            && std::mem::take(&mut self.gap)
            && text.trim_start().starts_with(['.', ',', ';', ':', '!', '?', ')'])
        {
            self.text.truncate(self.text.trim_end().len());
        } else if text.starts_with(is_space) {
            self.space();
        }
        let start = self.text.len();
        // Letters that look like spaces separate words too.
        for word in text.split(is_space).filter(|word| !word.is_empty()) {
            if self.text.len() > start {
                self.space();
            }
            self.text.push_str(word);
        }
        if self.text.len() > start {
            match self.pieces.last_mut() {
                Some(piece) if piece.line == line => piece.span.end = self.text.len(),
                _ => self.pieces.push(Piece {
                    span: start..self.text.len(),
                    line,
                }),
            }
        }
        if text.ends_with(is_space) {
            self.space();
        }
    }

    /// Adds a space before the next word, unless the block is empty.
    pub fn space(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with(' ') {
            self.text.push(' ');
        }
    }

    /// Ends the block. A block without a letter or a digit is dropped.
    pub fn end(&mut self) {
        let mut text = std::mem::take(&mut self.text);
        let mut pieces = std::mem::take(&mut self.pieces);
        let kind = std::mem::replace(&mut self.kind, BlockKind::Paragraph);
        self.gap = false;
        if !text.contains(char::is_alphanumeric) {
            return;
        }
        text.truncate(text.trim_end().len());
        for piece in &mut pieces {
            piece.span.end = piece.span.end.min(text.len());
        }
        pieces.retain(|piece| !piece.span.is_empty());
        self.blocks.push(Block {
            text,
            pieces,
            kind,
            ignored: self.ignoring != Ignoring::Nothing,
        });
        if self.ignoring == Ignoring::Next {
            self.ignoring = Ignoring::Nothing;
        }
    }

    /// Looks for a mark in a comment on `line`. `whowrote: ignore` exempts the next block; `whowrote: ignore-start` and
    /// `whowrote: ignore-end` exempt everything between them. Returns whether the comment is a mark, and so not prose.
    pub fn mark(&mut self, comment: &str, line: usize) -> bool {
        let Some(said) = comment.trim().strip_prefix("whowrote:") else {
            return false;
        };
        self.end();
        match (said.trim(), self.ignoring) {
            ("ignore", Ignoring::Nothing) => self.ignoring = Ignoring::Next,
            ("ignore-start", Ignoring::Nothing | Ignoring::Next) => self.ignoring = Ignoring::From(line),
            ("ignore-end", Ignoring::From(_)) => self.ignoring = Ignoring::Nothing,
            ("ignore" | "ignore-start", _) => {}
            ("ignore-end", _) => self.note(line, "This ignore-end has no ignore-start before it.".to_owned()),
            (other, _) => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
                self.note(
                    line,
                    format!("`whowrote: {shown}` is not a known mark; use ignore, ignore-start or ignore-end."),
                );
            }
        }
        true
    }

    /// Adds a note about a line for the person who reads the results. A broken file may have many; only the first are
    /// kept.
    pub fn note(&mut self, line: usize, message: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push((line, message));
        }
    }

    /// Ends the last block, and returns all blocks and notes.
    pub fn finish(mut self, line_unit: LineUnit) -> Prose {
        self.end();
        if let Ignoring::From(line) = self.ignoring {
            self.note(
                line,
                "This ignore-start has no end, so everything after it is ignored.".to_owned(),
            );
        }
        Prose {
            blocks: self.blocks,
            line_unit,
            notes: self.notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_their_lines_and_stay_apart() {
        let mut builder = Builder::default();
        builder.add(" The hen\n  had ", 3);
        builder.add("ten", 4);
        builder.add("-gallon hats", 4);
        builder.begin(BlockKind::Heading);
        builder.add("---", 5);
        builder.begin(BlockKind::Item);
        builder.add("Next\n", 7);
        let prose = builder.finish(LineUnit::Line);
        assert_eq!(prose.blocks.len(), 2);
        let block = &prose.blocks[0];
        assert_eq!(block.text, "The hen had ten-gallon hats");
        let pieces: Vec<(&str, usize)> = block
            .pieces
            .iter()
            .map(|piece| (&block.text[piece.span.clone()], piece.line))
            .collect();
        assert_eq!(pieces, [("The hen", 3), ("had ten-gallon hats", 4)]);
        assert_eq!(
            (prose.blocks[1].text.as_str(), prose.blocks[1].kind),
            ("Next", BlockKind::Item)
        );
    }

    #[test]
    fn letters_that_look_like_spaces_separate_words() {
        let mut builder = Builder::default();
        builder.add("\u{2800}The\u{2800}hen\u{3164}had", 1);
        builder.add("\u{115f}ten", 1);
        assert_eq!(builder.finish(LineUnit::Line).blocks[0].text, "The hen had ten");
    }

    #[test]
    fn marks_exempt_the_next_block_or_all_between_two() {
        let mut builder = Builder::default();
        let mut block = |text: &str, line| {
            if !builder.mark(text, line) {
                builder.begin(BlockKind::Paragraph);
                builder.add(text, line);
            }
        };
        for (line, text) in [
            "one",
            " whowrote: ignore ",
            "two",
            "three",
            "whowrote: ignore-start",
            "four",
            "five",
            "whowrote:ignore-end",
            "six",
            "whowrote: ignore-end",
            "whowrote: forget",
            "whowrote: ignore-start",
            "seven",
        ]
        .iter()
        .zip(1..)
        .map(|(text, line)| (line, *text))
        {
            block(text, line);
        }
        let prose = builder.finish(LineUnit::Line);
        let ignored: Vec<&str> = prose
            .blocks
            .iter()
            .filter(|block| block.ignored)
            .map(|block| block.text.as_str())
            .collect();
        assert_eq!(ignored, ["two", "four", "five", "seven"]);
        assert_eq!(prose.blocks.len(), 7);
        let lines: Vec<usize> = prose.notes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [10, 11, 12]);
    }

    #[test]
    fn lines_are_counted_from_one() {
        let lines = Lines::of("a\nbc\n\nd");
        assert_eq!([0, 1, 2, 4, 5, 6, 99].map(|byte| lines.at(byte)), [1, 1, 2, 2, 3, 4, 4]);
        assert_eq!(Lines::of("").at(0), 1);
    }
}
