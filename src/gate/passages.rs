//! The texts of a file that are judged: its new prose, in pieces of the length that calibrations cover.
//!
//! A sentence is new unless most of its words stand in runs of [`RUN`] words that occurred before, in any file of the
//! change. So text that was moved or re-wrapped is not new. New sentences in a row form a passage, which is cut into
//! pieces of [`PIECE`] words. Passages that are too short to be judged alone are judged together.

use ahash::{AHashSet, RandomState};
use sha2::{Digest, Sha256};
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::{Range, RangeInclusive};
use unicode_segmentation::UnicodeSegmentation;
use whowrote_input::prose::{Block, BlockKind, Piece, Prose};
use whowrote_input::{lower_hex, neighbours, parts};
use whowrote_stats::conformal_scores::{PIECE, word_ends};

/// The number of equal words in a row that make text old. Any two texts on one subject share shorter runs.
const RUN: usize = 5;

/// A text to be judged, and its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// The text. An empty line separates blocks, but not the items of a list.
    pub text: String,
    /// Its lines in the file, counted from 1, in order and without overlap.
    pub lines: Vec<RangeInclusive<usize>>,
    /// The number of words.
    pub words: usize,
    /// Whether it continues another piece of the same passage.
    pub is_later: bool,
}

/// The texts of a file that are judged, and what is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passages {
    /// The texts that are long enough.
    pub judged: Vec<Passage>,
    /// New words that are not judged because the file has too few of them.
    pub too_few: usize,
    /// New words that marks in the file exempt.
    pub ignored: usize,
}

/// The words that existed before a change.
pub struct Before {
    runs: AHashSet<u64>,
    /// Whole blocks that are shorter than a run.
    short: AHashSet<u64>,
    state: RandomState,
}

impl Default for Before {
    fn default() -> Self {
        Self {
            runs: AHashSet::new(),
            short: AHashSet::new(),
            state: RandomState::new(),
        }
    }
}

/// A word, and a digest that ignores markup, capitals and punctuation.
struct Word {
    block: usize,
    span: Range<usize>,
    plain: u64,
}

impl Before {
    /// Adds a file as it was before the change. Blocks that marks exempted are left out, because they were never
    /// judged.
    pub fn add(&mut self, prose: &Prose) {
        let mut words = self.plain_words(&prose.blocks);
        words.retain(|word| !prose.blocks[word.block].ignored);
        for run in words.windows(RUN) {
            let digest = self.digest(run);
            self.runs.insert(digest);
        }
        for block in short_blocks(&words) {
            let digest = self.digest(&words[block]);
            self.short.insert(digest);
        }
    }

    /// The words of all blocks, in order.
    fn plain_words(&self, blocks: &[Block]) -> Vec<Word> {
        let of_block = |(block, found): (usize, &Block)| {
            let words = found.text.split_word_bound_indices();
            let words = words.filter_map(move |(start, word)| {
                let mut plain = word
                    .chars()
                    .filter(|c| c.is_alphanumeric())
                    .flat_map(char::to_lowercase)
                    .peekable();
                plain.peek()?;
                let mut hasher = self.state.build_hasher();
                plain.for_each(|c| c.hash(&mut hasher));
                Some(Word {
                    block,
                    span: start..start + word.len(),
                    plain: hasher.finish(),
                })
            });
            words.collect::<Vec<_>>()
        };
        blocks.iter().enumerate().flat_map(of_block).collect()
    }

    fn digest(&self, words: &[Word]) -> u64 {
        let mut hasher = self.state.build_hasher();
        words.iter().for_each(|word| word.plain.hash(&mut hasher));
        hasher.finish()
    }

    /// Whether each of these words existed before.
    fn old(&self, words: &[Word]) -> Vec<bool> {
        let mut old = vec![false; words.len()];
        for (i, run) in words.windows(RUN).enumerate() {
            if self.runs.contains(&self.digest(run)) {
                old[i..i + RUN].fill(true);
            }
        }
        for block in short_blocks(words) {
            if self.short.contains(&self.digest(&words[block.clone()])) {
                old[block].fill(true);
            }
        }
        old
    }
}

/// The blocks of fewer words than a run, as ranges of their words.
fn short_blocks(words: &[Word]) -> impl Iterator<Item = Range<usize>> {
    let mut start = 0;
    let blocks = words.chunk_by(|a, b| a.block == b.block).map(move |block| {
        let range = start..start + block.len();
        start = range.end;
        range
    });
    blocks.filter(|block| block.len() < RUN)
}

/// A new sentence.
struct Sentence {
    block: usize,
    span: Range<usize>,
    words: usize,
    /// Whether the sentence before it is new as well.
    follows: bool,
}

/// The texts of a file that are judged: the prose that did not exist before, in pieces of at least `least_words` words.
pub fn passages(prose: &Prose, before: &Before, least_words: usize) -> Passages {
    let mut found = Passages::default();
    let mut runs: Vec<Vec<Sentence>> = Vec::new();
    for sentence in new_sentences(prose, before, &mut found.ignored) {
        match runs.last_mut() {
            Some(run) if sentence.follows => run.push(sentence),
            _ => runs.push(vec![sentence]),
        }
    }
    let words = |run: &[Sentence]| run.iter().map(|sentence| sentence.words).sum::<usize>();
    let (long, short): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| words(run) >= least_words);
    let together: Vec<Sentence> = short.into_iter().flatten().collect();
    let mut runs = long;
    if words(&together) >= least_words {
        runs.push(together);
    } else {
        found.too_few = words(&together);
    }
    for run in runs {
        let pieces = neighbours(run.iter().map(|sentence| sentence.words), PIECE, least_words);
        found.judged.extend(pieces.into_iter().map(|piece| Passage {
            is_later: piece.start > 0,
            ..passage(prose, &run[piece])
        }));
    }
    found
        .judged
        .sort_by_key(|passage| passage.lines.first().map(|lines| *lines.start()));
    found
}

fn new_sentences(prose: &Prose, before: &Before, ignored: &mut usize) -> Vec<Sentence> {
    let words = before.plain_words(&prose.blocks);
    let old = before.old(&words);
    let mut sentences = Vec::new();
    let mut next = 0;
    let mut follows = false;
    for (block, found) in prose.blocks.iter().enumerate() {
        for (start, text) in found.text.split_sentence_bound_indices() {
            let span = start..start + text.trim_end().len();
            let first = next;
            while words
                .get(next)
                .is_some_and(|word| word.block == block && word.span.start < span.end)
            {
                next += 1;
            }
            let known = old[first..next].iter().filter(|old| **old).count();
            // A sentence that is longer than a piece is cut: otherwise only its beginning would be judged.
            let parts = parts(&found.text[span.clone()], PIECE);
            // A part without words, such as a horizontal rule, is not new and does not split a passage.
            if first == next {
                continue;
            }
            if 2 * known > next - first {
                follows = false;
            } else if found.ignored {
                *ignored += parts.iter().map(|(_, words)| words).sum::<usize>();
            } else {
                for (part, words) in parts {
                    sentences.push(Sentence {
                        block,
                        span: span.start + part.start..span.start + part.end,
                        words,
                        follows,
                    });
                    follows = true;
                }
            }
        }
    }
    sentences
}

/// Joins sentences into one text.
fn passage(prose: &Prose, sentences: &[Sentence]) -> Passage {
    let mut text = String::new();
    let mut lines: Vec<RangeInclusive<usize>> = Vec::new();
    let mut previous: Option<&Sentence> = None;
    for sentence in sentences {
        let block = &prose.blocks[sentence.block];
        if let Some(previous) = previous {
            let is_item = |block: &Block| block.kind == BlockKind::Item;
            text.push_str(if previous.block == sentence.block {
                " "
            } else if is_item(block) && is_item(&prose.blocks[previous.block]) {
                "\n"
            } else {
                "\n\n"
            });
        }
        text.push_str(&block.text[sentence.span.clone()]);
        let inside = |piece: &&Piece| piece.span.start < sentence.span.end && sentence.span.start < piece.span.end;
        let on = block.pieces.iter().filter(inside).map(|piece| piece.line);
        let (Some(first), Some(last)) = (on.clone().min(), on.max()) else {
            continue;
        };
        match lines.last_mut() {
            // A sentence that follows another extends the range over the lines between them: blank lines and code.
            Some(range) if sentence.follows || first <= *range.end() => {
                *range = (*range.start()).min(first)..=(*range.end()).max(last);
            }
            _ => lines.push(first..=last),
        }
        previous = Some(sentence);
    }
    Passage {
        words: word_ends(&text).len(),
        text,
        lines,
        is_later: false,
    }
}

impl Passage {
    /// SHA-256 of the words with single spaces between them, in lower-case hexadecimal. Re-wrapping does not change it.
    pub fn sha256(&self) -> String {
        let words: Vec<&str> = self.text.split_whitespace().collect();
        lower_hex(&Sha256::digest(words.join(" ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use whowrote_input::prose::{Markup, of_file};

    /// Distinct sentences of nine words.
    fn sentences(from: usize, count: usize) -> Vec<String> {
        let word = |i: usize, j: usize| format!("w{}x{j}", i * 31 % 977);
        let sentence = |i: usize| {
            let words: Vec<String> = (0..8).map(|j| word(i, j)).collect();
            format!("The {}.", words.join(" "))
        };
        (from..from + count).map(sentence).collect()
    }

    fn prose(text: &str) -> Prose {
        // An empty file would be refused, so add a paragraph without words.
        of_file("x", Markup::Plain, format!("{text}\n\n.").as_bytes()).unwrap()
    }

    fn found(text: &str, before: &[&str], least: usize) -> Passages {
        let mut known = Before::default();
        for text in before {
            known.add(&prose(text));
        }
        passages(&prose(text), &known, least)
    }

    fn lines(passages: &Passages) -> Vec<Vec<RangeInclusive<usize>>> {
        passages.judged.iter().map(|passage| passage.lines.clone()).collect()
    }

    #[test]
    fn without_a_past_all_of_a_file_is_one_text() {
        let text = format!("{}\n\n{}\n", sentences(0, 3).join("\n"), sentences(3, 2).join(" "));
        let found = found(&text, &[], 20);
        assert_eq!(lines(&found), [[1..=5]]);
        assert_eq!(found.judged[0].words, 45);
        assert_eq!(
            found.judged[0].text,
            format!("{}\n\n{}", sentences(0, 3).join("\n"), sentences(3, 2).join(" "))
        );
    }

    #[test]
    fn a_sentence_that_does_not_end_is_judged_to_its_end() {
        let text = format!("{} and on", sentences(0, 60).join(" ").replace('.', ",").to_lowercase());
        let found = found(&text, &[], 20);
        let words: Vec<usize> = found.judged.iter().map(|passage| passage.words).collect();
        assert_eq!(words, [PIECE, PIECE, PIECE, 542 - 3 * PIECE]);
        let later: Vec<bool> = found.judged.iter().map(|passage| passage.is_later).collect();
        assert_eq!(later, [false, true, true, true]);
        let all: Vec<&str> = found
            .judged
            .iter()
            .flat_map(|passage| passage.text.split(' '))
            .collect();
        assert_eq!(all.join(" "), text);
    }

    #[test]
    fn what_marks_exempted_is_not_known_from_before() {
        let passage = sentences(0, 6).join(" ");
        let exempt = format!("whowrote: ignore\n\n{passage}");
        assert!(found(&exempt, &[], 20).judged.is_empty());
        assert_eq!(found(&passage, &[&exempt], 20).judged.len(), 1);
    }

    #[test]
    fn what_was_moved_or_wrapped_anew_is_not_new() {
        let old = format!("{}\n\n{}", sentences(0, 6).join("\n"), sentences(6, 6).join(" "));
        let moved = format!(
            "{}\n\n{}",
            sentences(6, 6).join("\n"),
            sentences(0, 6).join(" ").replace("w0x3", "W0X3,")
        );
        assert_eq!(found(&moved, &[&old], 5), Passages::default());
        // Moved into another file, beside new text.
        let new = sentences(50, 4).join(" ");
        let mixed = format!(
            "{}\n\n{new}\n\n{}",
            sentences(0, 6).join(" "),
            sentences(6, 6).join("\n")
        );
        let found = found(&mixed, &[&old], 20);
        assert_eq!(lines(&found), [[3..=3]]);
        assert_eq!(found.judged[0].text, new);
    }

    #[test]
    fn a_changed_word_is_no_new_sentence_and_a_new_sentence_is() {
        let old = sentences(0, 10).join(" ");
        let edited = old.replace("w0x4", "changed");
        assert!(found(&edited, &[&old], 1).judged.is_empty());
        let mut with_one_more = sentences(0, 10);
        with_one_more.insert(5, sentences(70, 1).remove(0));
        let found = found(&with_one_more.join("\n"), &[&old], 5);
        assert_eq!(lines(&found), [[6..=6]]);
    }

    #[test]
    fn short_passages_are_judged_together_and_too_few_words_are_counted() {
        let old = sentences(0, 9);
        let mut new = old.clone();
        new.insert(3, sentences(60, 1).remove(0));
        new.insert(7, sentences(70, 1).remove(0));
        let (old, new) = (old.join("\n"), new.join("\n"));
        let together = found(&new, &[&old], 15);
        assert_eq!(lines(&together), [[4..=4, 8..=8]]);
        assert_eq!(together.judged[0].words, 18);
        let few = found(&new, &[&old], 19);
        assert_eq!((few.judged.len(), few.too_few), (0, 18));
    }

    #[test]
    fn a_long_passage_is_judged_in_pieces_and_nothing_of_it_is_lost() {
        let text = sentences(0, 40).join("\n");
        let found = found(&text, &[], 40);
        let words: Vec<usize> = found.judged.iter().map(|passage| passage.words).collect();
        assert_eq!(words, [153, 153, 54]);
        assert_eq!(lines(&found), [[1..=17], [18..=34], [35..=40]]);
    }

    #[test]
    fn the_digest_is_that_of_the_words() {
        let wrapped = |with: &str| found(&sentences(0, 5).join(with), &[], 5).judged[0].sha256();
        assert_eq!(wrapped(" "), wrapped("\n"));
        assert_ne!(
            wrapped(" "),
            found(&sentences(1, 5).join(" "), &[], 5).judged[0].sha256()
        );
    }

    proptest! {
        #[test]
        fn no_text_is_new_against_itself_and_every_word_is_counted_against_nothing(
            text in "([a-c]{1,4}[ .\n]{1,2}|é |\u{200b}|- ){0,60}", least in 1..30usize,
        ) {
            let same = found(&text, &[&text], least);
            prop_assert!(same.judged.is_empty());
            prop_assert_eq!(same.too_few, 0);
            let all = found(&text, &[], least);
            for passage in &all.judged {
                prop_assert!(passage.words >= least && !passage.lines.is_empty());
            }
        }
    }
}
