//! Plain text. Its paragraphs are those that remain when its layout is taken off.

use super::{BlockKind, Builder, LineUnit, Lines, Prose};
use crate::layout::{WithoutLayout, without_layout};

/// The prose of a plain text.
pub fn extract(text: &str) -> Prose {
    let lines = Lines::of(text);
    let plain = without_layout(text);
    let mut builder = Builder::default();
    let mut at = 0;
    let laid: &str = plain.as_ref().map_or(text, |plain| &plain.text);
    let mut is_first = true;
    for line in laid.split('\n') {
        let original = |offset: usize| {
            plain
                .as_ref()
                .map_or(offset, |plain: &WithoutLayout| plain.map.original(offset))
        };
        let blanks = line.len() - line.trim_start().len();
        if line.trim().is_empty() {
            builder.end();
            is_first = true;
        } else if !builder.mark(line, lines.at(original(at + blanks))) {
            // A line that is not joined to the one before stays a line of its own.
            if !is_first {
                builder.begin(BlockKind::Item);
            }
            is_first = false;
            let mut start = at;
            for word in line.split_inclusive(' ') {
                builder.add(word, lines.at(original(start)));
                start += word.len();
            }
        } else {
            is_first = true;
        }
        at += line.len() + 1;
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
            ("Roses are red,", BlockKind::Paragraph),
            ("Violets are blue,", BlockKind::Item),
            ("Sugar is sweet.", BlockKind::Item),
        ];
        assert_eq!(found, expected.map(|(text, kind)| (text.to_owned(), kind)));
    }
}
