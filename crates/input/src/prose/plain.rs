//! Plain text. Its paragraphs are those that remain when its layout is taken off.

use super::{BlockKind, Builder, LineUnit, Lines, Prose};
use crate::layout::without_layout;

/// The prose of a plain text. Lines that stay apart within a paragraph are items.
pub fn extract(text: &str) -> Prose {
    let numbers = Lines::of(text);
    let plain = without_layout(text);
    let laid: &str = plain.as_ref().map_or(text, |plain| &plain.text);
    let number = |at: usize| numbers.at(plain.as_ref().map_or(at, |plain| plain.map.original(at)));
    let mut builder = Builder::default();
    let mut at = 0;
    let lines: Vec<(usize, &str)> = laid
        .split('\n')
        .map(|line| {
            at += line.len() + 1;
            (at - line.len() - 1, line)
        })
        .collect();
    let is_empty = |line: &str| line.trim().is_empty();
    for paragraph in lines.chunk_by(|a, b| is_empty(a.1) == is_empty(b.1)) {
        let marks = paragraph
            .iter()
            .filter(|(_, line)| line.trim_start().starts_with("whowrote:"))
            .count();
        let kind = if paragraph.len() - marks > 1 {
            BlockKind::Item
        } else {
            BlockKind::Paragraph
        };
        for &(start, line) in paragraph.iter().filter(|(_, line)| !is_empty(line)) {
            let blanks = line.len() - line.trim_start().len();
            if builder.mark(line, number(start + blanks)) {
                continue;
            }
            builder.begin(kind);
            let mut at = start;
            for word in line.split_inclusive(' ') {
                builder.add(word, number(at));
                at += word.len();
            }
            builder.end();
        }
    }
    builder.finish(LineUnit::Line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(text: &str) -> Vec<(String, BlockKind, bool, Vec<usize>)> {
        let block = |block: super::super::Block| {
            let lines = block.pieces.iter().map(|piece| piece.line).collect();
            (block.text, block.kind, block.ignored, lines)
        };
        extract(text).blocks.into_iter().map(block).collect()
    }

    #[test]
    fn lines_of_a_paragraph_are_joined_and_keep_their_numbers() {
        let text = "The hen had ten hats, and all of them were in the\nattic of the old house, under a sheet that nobody\n\
                    had lifted in years.\n\n  \nwhowrote: ignore\nThree.\n\nFour.\n";
        assert_eq!(
            blocks(text),
            [
                (
                    "The hen had ten hats, and all of them were in the attic of the old house, under a sheet that nobody had \
                     lifted in years."
                        .to_owned(),
                    BlockKind::Paragraph,
                    false,
                    vec![1, 2, 3]
                ),
                ("Three.".to_owned(), BlockKind::Paragraph, true, vec![7]),
                ("Four.".to_owned(), BlockKind::Paragraph, false, vec![9]),
            ]
        );
    }

    #[test]
    fn lines_that_nothing_has_broken_stay_apart() {
        let text = "Roses are red,\nViolets are blue,\nSugar is sweet.\n";
        let found: Vec<(String, BlockKind)> = blocks(text).into_iter().map(|(text, kind, ..)| (text, kind)).collect();
        let expected = [
            ("Roses are red,", BlockKind::Item),
            ("Violets are blue,", BlockKind::Item),
            ("Sugar is sweet.", BlockKind::Item),
        ];
        assert_eq!(found, expected.map(|(text, kind)| (text.to_owned(), kind)));
    }
}
