//! Takes the layout off a text: what a mail program, a typewriter or a printer does to lines, and no author does.
//!
//! A model writes a paragraph as one line. When a program breaks it at 72 columns, every line end is a symbol that the
//! model never wrote, and its own text reads as somebody else's. So a text is put back as it was before anything is
//! scored:
//!
//! 1. The marks of quoted mail (`> `) go.
//! 2. The dates and names that a chat program writes before each message go.
//! 3. The heads, feet and numbers of pages go, and so do form feeds.
//! 4. The lines of a paragraph are joined, and words that were parted at a line's end are put together. Indentation and
//!    runs of blanks in such a text go.
//!
//! Lists, verse, headings, tables and code keep their lines. A text that no program has broken comes back byte for
//! byte.
//!
//! **How a broken text is known.** A program that fills lines breaks only where the next word does not fit. So a line
//! together with the first word of the next is longer than the longest line, at every break. No author's lines do
//! that by chance: the lines of verse or of a list end where they please, and most begin with a capital. Letters of
//! unequal width (a page of a printer) blur the border, so a weaker form of the rule also asks that most lines begin
//! with a small letter and end within a sentence.

use crate::hyphens::{LineEnd, LineWords};
use crate::offset_map::OffsetMap;
use std::collections::{HashMap, HashSet};

/// A text without its layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WithoutLayout {
    /// The text.
    pub text: String,
    /// Where its bytes stood in the text as it came.
    pub map: OffsetMap,
}

/// The largest block whose lines are looked at together, in bytes. It bounds the memory that a text of a million short
/// lines takes.
const BLOCK: usize = 256 << 10;

/// Takes the layout off a text whose lines end in line feeds, in linear time. None if it has none.
pub fn without_layout(text: &str) -> Option<WithoutLayout> {
    let mut plain = WithoutLayout {
        text: String::with_capacity(text.len()),
        map: OffsetMap::default(),
    };
    let (mut start, mut any) = (0, false);
    while start < text.len() {
        let block = first_block(&text[start..]);
        match block_without_layout(block) {
            Some(found) => {
                any = true;
                plain.map.append(&found.map, plain.text.len(), start);
                plain.text.push_str(&found.text);
            }
            None => {
                plain.map.push(plain.text.len(), start);
                plain.text.push_str(block);
            }
        }
        start += block.len();
    }
    plain.map.end(plain.text.len(), text.len());
    any.then_some(plain)
}

/// The beginning of a text, up to the last empty line within [`BLOCK`] bytes, or else the last line.
fn first_block(text: &str) -> &str {
    if text.len() <= BLOCK {
        return text;
    }
    let most = &text[..text.floor_char_boundary(BLOCK)];
    let end = most.rfind("\n\n").map(|at| at + 2);
    let end = end.or_else(|| most.rfind(['\n', '\u{c}']).map(|at| at + 1));
    &most[..end.unwrap_or(most.len())]
}

fn block_without_layout(text: &str) -> Option<WithoutLayout> {
    let mut lines = lines(text);
    let quoted = unquote(&mut lines);
    let is_chat = leave_out_chat_heads(&mut lines);
    let furnished = leave_out_page_edges(&mut lines);
    lines.retain(|line| line.is_kept);
    // A text that is layout alone stays as it is.
    if lines.iter().all(Line::is_blank) {
        return None;
    }
    let wrapping = Wrapping::of(&lines);
    (wrapping.is_some() || quoted || is_chat || furnished).then(|| Writer::new(text, wrapping, &lines).write(&lines))
}

/// A line of the text.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// What stands between the blanks at its two ends, behind the marks of a quotation.
    content: &'a str,
    /// Where its content begins.
    start: usize,
    /// How deep it is quoted.
    depth: usize,
    /// The number of blanks before its content.
    indent: usize,
    /// The number of the page.
    page: usize,
    is_kept: bool,
    /// Whether it begins a message of a chat.
    is_message: bool,
}

impl Line<'_> {
    fn is_blank(&self) -> bool {
        self.content.is_empty()
    }

    /// Its length in characters, indentation included.
    fn width(&self) -> usize {
        self.indent + self.content.chars().count()
    }

    fn first_word(&self) -> usize {
        let word = self.content.split([' ', '\t']).next().unwrap_or_default();
        word.chars().count()
    }

    fn begins_small(&self) -> bool {
        self.content.starts_with(char::is_lowercase)
    }

    fn ends_sentence(&self) -> bool {
        let content = self.content.trim_end_matches(['”', '"', '’', ')', '\'', ']', '*', '_']);
        content.ends_with(['.', '!', '?', ':', '…'])
    }

    /// Whether the line begins an item of a list, a heading, a row of a table, a message or a mark.
    fn begins_anew(&self) -> bool {
        let content = self.content;
        let (head, rest) = content.split_once([' ', '\t']).unwrap_or((content, ""));
        let is_bullet = match head {
            "*" | "+" | "•" | "◦" | "▪" | "‣" | "●" | "○" | "■" => true,
            // Within a sentence it is a dash.
            "-" | "–" | "—" => !rest.trim_start().starts_with(char::is_lowercase),
            _ => false,
        };
        let number = head
            .strip_suffix(['.', ')'])
            .map(|number| number.trim_start_matches('('));
        let is_number = number.is_some_and(|number| {
            !number.is_empty()
                && !rest.is_empty()
                && (number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit())
                    || number.len() == 1 && head.ends_with(')') && number.bytes().all(|b| b.is_ascii_alphabetic()))
        });
        let is_heading = !head.is_empty() && head.bytes().all(|byte| byte == b'#');
        is_bullet || is_number || is_heading || content.starts_with('|') || self.is_mark() || self.is_message
    }

    /// Whether it says to this program what not to judge.
    fn is_mark(&self) -> bool {
        self.content.starts_with("whowrote:")
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines = Vec::new();
    let (mut start, mut page) = (0, 0);
    for part in text.split_inclusive(['\n', '\u{c}']) {
        let line = part.trim_end_matches(['\n', '\u{c}']);
        let content = line.trim();
        let blanks = line.len() - line.trim_start().len();
        lines.push(Line {
            content,
            start: start + blanks,
            depth: 0,
            indent: line[..blanks].chars().count(),
            page,
            is_kept: true,
            is_message: false,
        });
        page += usize::from(part.ends_with('\u{c}'));
        start += part.len();
    }
    lines
}

/// Takes the marks of quotations off, where they stand on lines beside each other. Says whether there were any.
fn unquote(lines: &mut [Line]) -> bool {
    let is_quoted = |line: &Line| line.content.starts_with('>') && line.indent <= 3;
    let quoted: Vec<bool> = lines.iter().map(is_quoted).collect();
    let mut any = false;
    for i in 0..lines.len() {
        let beside = |j: Option<usize>| j.and_then(|j| quoted.get(j)).copied().unwrap_or(false);
        if !quoted[i] || !(beside(i.checked_sub(1)) || beside(Some(i + 1))) {
            continue;
        }
        any = true;
        let line = &mut lines[i];
        let mut rest = line.content;
        while let Some(inner) = rest.strip_prefix('>') {
            line.depth += 1;
            // Blanks between two marks belong to the marks.
            rest = if inner.trim_start().starts_with('>') {
                inner.trim_start()
            } else {
                inner
            };
        }
        // One blank belongs to the mark.
        rest = rest.strip_prefix(' ').unwrap_or(rest);
        let content = rest.trim_start();
        line.indent = rest.len() - content.len();
        line.start += line.content.len() - content.len();
        line.content = content;
    }
    any
}

/// The fewest messages of a chat, and the least share of lines that begin one.
const LEAST_MESSAGES: usize = 3;
const MESSAGES: f64 = 0.5;

/// Leaves out the dates and names before the messages of an exported chat, and the lines of the chat program itself.
/// Says whether the text is a chat.
fn leave_out_chat_heads(lines: &mut [Line]) -> bool {
    let heads: Vec<Option<usize>> = lines.iter().map(|line| after_date(line.content)).collect();
    let messages = heads.iter().flatten().count();
    let with_text = lines.iter().filter(|line| !line.is_blank()).count();
    if messages < LEAST_MESSAGES || (messages as f64) < MESSAGES * with_text as f64 {
        return false;
    }
    for (line, head) in lines.iter_mut().zip(heads) {
        let Some(date) = head else { continue };
        let said = &line.content[date..];
        // Without a name the line is the program's: "Anna joined".
        let Some((name, said)) = said.split_once(": ").filter(|(name, _)| name.chars().count() <= 60) else {
            line.is_kept = false;
            continue;
        };
        let blanks = said.len() - said.trim_start().len();
        line.start += date + name.len() + 2 + blanks;
        line.content = said.trim_start();
        line.is_message = true;
    }
    true
}

/// The byte behind a date and a time such as `[12/01/2024, 10:33:21]` or `12.01.24, 10:33 -`; none without one.
fn after_date(content: &str) -> Option<usize> {
    let plain = content.trim_start_matches(['\u{200e}', '[']);
    let is_bracketed = content.len() > plain.len();
    let end = if is_bracketed {
        plain.find("] ")
    } else {
        plain.find(" - ")
    }?;
    let date = &plain[..end];
    let digits = date.chars().filter(char::is_ascii_digit).count();
    let is_date = (6..=40).contains(&date.len())
        && date.starts_with(|c: char| c.is_ascii_digit())
        && date.contains(':')
        && date.contains(['/', '.', '-'])
        && (6..=14).contains(&digits)
        && date.chars().filter(|c| c.is_alphabetic()).count() <= 4;
    let width = if is_bracketed { 2 } else { 3 };
    is_date.then(|| content.len() - plain.len() + end + width)
}

/// How many lines at the top and at the bottom of a page can be its head and its foot.
const EDGE_LINES: usize = 2;

/// Leaves out the heads, feet and numbers of pages, if form feeds tell where pages end. A head or foot stands on three
/// pages and on one page in three, whatever its numbers are. Says whether there were pages.
fn leave_out_page_edges(lines: &mut [Line]) -> bool {
    let pages = lines.last().map_or(0, |line| line.page + 1);
    if pages < 2 {
        return false;
    }
    let mut edges: Vec<usize> = Vec::new();
    let with_text: Vec<usize> = (0..lines.len()).filter(|&i| !lines[i].is_blank()).collect();
    for page in with_text.chunk_by(|&a, &b| lines[a].page == lines[b].page) {
        let (top, rest) = page.split_at(EDGE_LINES.min(page.len()));
        edges.extend(top);
        edges.extend(&rest[rest.len().saturating_sub(EDGE_LINES)..]);
    }
    let mut seen: HashMap<String, HashSet<usize>> = HashMap::new();
    for &i in &edges {
        seen.entry(key(lines[i].content)).or_default().insert(lines[i].page);
    }
    let enough = 3.max(pages.div_ceil(3));
    for i in edges {
        let content = lines[i].content;
        let is_repeated = seen.get(&key(content)).is_some_and(|on| on.len() >= enough);
        lines[i].is_kept = !is_repeated && !is_page_number(content);
    }
    true
}

/// What a line says but for its numbers.
fn key(content: &str) -> String {
    let mut key = String::new();
    for c in content.chars() {
        if c.is_ascii_digit() {
            if !key.ends_with('#') {
                key.push('#');
            }
        } else if !c.is_whitespace() {
            key.extend(c.to_lowercase());
        }
    }
    key
}

/// Whether a line is a number such as `12`, `- 12 -`, `Page 12` or `12 of 30`.
fn is_page_number(content: &str) -> bool {
    let key = key(content);
    let plain = key.trim_matches(|c: char| matches!(c, '-' | '–' | '—' | '.' | '|' | '[' | ']' | '(' | ')'));
    let plain = plain
        .strip_prefix("page")
        .or_else(|| plain.strip_prefix("p."))
        .unwrap_or(plain);
    matches!(plain, "#" | "#of#" | "#/#") && content.chars().filter(char::is_ascii_digit).count() <= 8
}

/// The fewest breaks that show that a text was broken, and the least width. Shorter lines are verse or a list.
const LEAST_BREAKS: usize = 2;
const LEAST_WIDTH: usize = 25;
/// The share of the width that a line of a printed page fills before a break.
const FILLED: f64 = 0.85;
/// The share that is enough within a sentence.
const HALF_FILLED: f64 = 0.7;

/// How the lines of a text are broken.
#[derive(Clone, Copy, Debug)]
struct Wrapping {
    /// The longest line, but for a few such as addresses.
    width: usize,
    /// Whether lines are broken only where the next word does not fit.
    is_exact: bool,
    /// Whether a blank line stands between all lines.
    is_double_spaced: bool,
}

impl Wrapping {
    /// None if no program has broken the lines.
    fn of(lines: &[Line]) -> Option<Self> {
        let all = pairs(lines);
        if let Some(found) = Self::of_pairs(&all, false) {
            return Some(found);
        }
        // Between verse or short lines some paragraphs may be broken all the same: the longest lines tell.
        let longest = lines.iter().map(Line::width).max().unwrap_or(0);
        let is_long = |(line, _): &&(Line, Line)| 4 * line.width() >= 3 * longest;
        let long: Vec<_> = all.iter().filter(is_long).copied().collect();
        if long.len() > LEAST_BREAKS
            && let Some(found) = Self::of_pairs(&long, false).filter(|found| found.is_exact)
            && lines.iter().all(|line| line.width() <= found.width)
        {
            return Some(found);
        }
        // With double spacing, every line stands between blank lines.
        let with_text: Vec<Line> = lines.iter().copied().filter(|line| !line.is_blank()).collect();
        let is_double_spaced = with_text.len() > 4 && all.is_empty();
        is_double_spaced
            .then(|| Self::of_pairs(&pairs(&with_text), true))
            .flatten()
    }

    fn of_pairs(pairs: &[(Line, Line)], is_double_spaced: bool) -> Option<Self> {
        if pairs.len() < LEAST_BREAKS {
            return None;
        }
        let mut widths: Vec<usize> = pairs.iter().map(|(line, _)| line.width()).collect();
        widths.sort_unstable();
        let width = widths[(widths.len() - 1) * 98 / 100];
        if width < LEAST_WIDTH {
            return None;
        }
        let share = |holds: &dyn Fn(&Line, &Line) -> bool| {
            pairs.iter().filter(|(line, next)| holds(line, next)).count() as f64 / pairs.len() as f64
        };
        let small = share(&|_, next| next.begins_small());
        let full = |least: f64| share(&|line, next| (line.width() + 1 + next.first_word()) as f64 > least);
        let is_exact = full(width as f64) >= 0.9 && small >= 0.3;
        let within = share(&|line, _| !line.ends_sentence());
        let is_filled = full(FILLED * width as f64) >= 0.7 && small >= 0.5 && within >= 0.5;
        (is_exact || is_filled).then_some(Self {
            width,
            is_exact,
            is_double_spaced,
        })
    }

    /// Whether a line goes on in the next.
    fn joins(&self, line: &Line, next: &Line) -> bool {
        if next.begins_anew() || line.is_mark() || line.depth != next.depth {
            return false;
        }
        let filled = (line.width() + 1 + next.first_word()) as f64 / self.width as f64;
        let is_full = filled > if self.is_exact { 1.0 } else { FILLED };
        let is_set_in = next.indent >= line.indent + 2 && line.ends_sentence();
        let goes_on = !line.ends_sentence() && filled > HALF_FILLED && (next.begins_small() || !self.is_exact);
        let is_parted = line.content.ends_with(['-', '\u{2010}']) && next.begins_small();
        (is_full && !is_set_in) || goes_on || is_parted
    }
}

/// The lines that stand directly below each other, in pairs, where the second may go on with the first.
fn pairs<'a>(lines: &[Line<'a>]) -> Vec<(Line<'a>, Line<'a>)> {
    let pairs = lines.windows(2).map(|pair| (pair[0], pair[1]));
    pairs
        .filter(|(line, next)| !line.is_blank() && !next.is_blank() && line.page == next.page)
        .filter(|(line, next)| line.depth == next.depth && !next.begins_anew() && !line.is_mark())
        .collect()
}

/// Whether no blank line stands between two lines of one page.
fn is_dense(lines: &[Line]) -> bool {
    let blocks = lines.chunk_by(|a, b| !a.is_blank() && !b.is_blank());
    let pages: Vec<usize> = blocks
        .filter(|block| !block[0].is_blank())
        .map(|block| block[0].page)
        .collect();
    pages.windows(2).all(|pair| pair[0] != pair[1])
}

/// What stands between two lines of the result.
enum Between {
    Line(LineEnd),
    /// Line feeds.
    Feeds(usize),
}

/// Writes the lines of a text anew.
struct Writer<'a> {
    original: &'a str,
    wrapping: Option<Wrapping>,
    /// Whether no blank line stands between paragraphs.
    is_dense: bool,
    text: String,
    map: OffsetMap,
}

impl<'a> Writer<'a> {
    fn new(original: &'a str, wrapping: Option<Wrapping>, lines: &[Line]) -> Self {
        Self {
            original,
            wrapping,
            is_dense: is_dense(lines),
            text: String::with_capacity(original.len()),
            map: OffsetMap::default(),
        }
    }

    fn write(mut self, lines: &[Line]) -> WithoutLayout {
        let with_text: Vec<(usize, &Line)> = lines.iter().enumerate().filter(|(_, line)| !line.is_blank()).collect();
        let words = match self.wrapping {
            Some(_) => LineWords::of(with_text.iter().map(|(_, line)| line.content)),
            None => LineWords::default(),
        };
        let flowing = self.flowing(lines);
        let mut before: Option<(usize, &Line)> = None;
        for &(at, line) in &with_text {
            if let Some((last, above)) = before {
                let between = self.between((last, above), (at, line), flowing[last] && flowing[at], &words);
                // The end of the line before is where its last byte ends.
                let end = above.start + above.content.len();
                match between {
                    Between::Line(LineEnd::Space) => self.push(" ", end),
                    Between::Line(LineEnd::Nothing) => {}
                    Between::Line(LineEnd::WithoutHyphen) => {
                        self.text.pop();
                    }
                    Between::Feeds(count) => self.push(&"\n".repeat(count), end),
                }
            }
            self.push_line(line, flowing[at]);
            before = Some((at, line));
        }
        let feeds = self.original.len() - self.original.trim_end_matches('\n').len();
        if feeds > 0 {
            self.push(&"\n".repeat(feeds), self.original.len() - feeds);
        }
        self.map.end(self.text.len(), self.original.len());
        WithoutLayout {
            text: self.text,
            map: self.map,
        }
    }

    /// For each line, whether it is of a paragraph that a program has broken. Verse, lists and code within such a text
    /// are not.
    fn flowing(&self, lines: &[Line]) -> Vec<bool> {
        let Some(wrapping) = self.wrapping else {
            return vec![false; lines.len()];
        };
        if wrapping.is_double_spaced {
            return vec![true; lines.len()];
        }
        let mut flowing = Vec::with_capacity(lines.len());
        for block in lines.chunk_by(|a, b| !a.is_blank() && !b.is_blank()) {
            let pairs = pairs(block);
            let joined = pairs.iter().filter(|(line, next)| wrapping.joins(line, next)).count();
            let small = pairs.iter().filter(|(_, next)| next.begins_small()).count();
            let is_flowing = pairs.len() < 3 || 2 * joined >= pairs.len() && 4 * small >= pairs.len();
            flowing.extend(block.iter().map(|_| is_flowing));
        }
        flowing
    }

    fn between(
        &self,
        (last, above): (usize, &Line),
        (at, line): (usize, &Line),
        are_flowing: bool,
        words: &LineWords,
    ) -> Between {
        let blanks = at - last - 1;
        let Some(wrapping) = self.wrapping else {
            return Between::Feeds(if above.page == line.page { 1 + blanks } else { 2 });
        };
        let is_next = above.page == line.page && (blanks == 0 || wrapping.is_double_spaced);
        let goes_on = if is_next {
            are_flowing && wrapping.joins(above, line)
        } else {
            above.page != line.page && line.begins_small() && !above.ends_sentence() && !line.begins_anew()
        };
        if goes_on {
            Between::Line(LineEnd::between(above.content, line.content, words))
        } else if is_next && blanks == 0 && line.depth == above.depth {
            // A paragraph that begins set in has no blank line before it, and some programs write none anywhere.
            let is_paragraph =
                line.indent >= above.indent + 2 || self.is_dense && !wrapping.is_exact && above.ends_sentence();
            Between::Feeds(if are_flowing && is_paragraph && !line.begins_anew() {
                2
            } else {
                1
            })
        } else {
            Between::Feeds(if above.page == line.page {
                (1 + blanks).max(2)
            } else {
                2
            })
        }
    }

    /// Adds a line. In a paragraph its indentation and its runs of blanks go.
    fn push_line(&mut self, line: &Line, is_flowing: bool) {
        if !is_flowing {
            let start = line.start - self.indentation(line);
            return self.push(&self.original[start..line.start + line.content.len()], start);
        }
        let mut at = line.start;
        for part in line.content.split_inclusive([' ', '\t']) {
            let word = part.trim_end_matches([' ', '\t']);
            // A blank behind a blank is an empty word.
            if !word.is_empty() {
                self.push(word, at);
                if word.len() < part.len() {
                    self.push(" ", at + word.len());
                }
            }
            at += part.len();
        }
    }

    /// The bytes of a line's indentation.
    fn indentation(&self, line: &Line) -> usize {
        let before = self.original[..line.start].chars().rev().take(line.indent);
        before.map(char::len_utf8).sum()
    }

    fn push(&mut self, text: &str, there: usize) {
        self.map.push(self.text.len(), there);
        self.text.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        without_layout(text).map_or_else(|| text.to_owned(), |plain| plain.text)
    }

    const PARAGRAPHS: &str = "The keeper of the lighthouse had not spoken to anybody for a week, and when the boat came \
                              at last he found that he had forgotten how to begin. So he made tea.\n\nThey drank it \
                              on the step, in the wind. Nobody asked about the storm, because the well-known damage \
                              was plain to see from where they sat, and it could wait until Monday.\n";

    fn wrapped(text: &str, width: usize) -> String {
        let options = textwrap::Options::new(width).word_splitter(textwrap::WordSplitter::NoHyphenation);
        text.split('\n')
            .map(|line| textwrap::fill(line, &options))
            .collect::<Vec<_>>()
            .join("\n")
    }

    #[test]
    fn paragraphs_broken_at_any_width_are_joined() {
        for width in 30..100 {
            assert_eq!(plain(&wrapped(PARAGRAPHS, width)), PARAGRAPHS, "{width}");
        }
        assert_eq!(without_layout(PARAGRAPHS), None);
    }

    #[test]
    fn a_long_text_is_put_back_block_by_block() {
        let paragraphs = PARAGRAPHS.repeat(1300).replace("Monday.\n", "Monday.\n\n");
        assert!(paragraphs.len() > BLOCK + BLOCK / 2);
        let broken = wrapped(&paragraphs, 72);
        let found = without_layout(&broken).unwrap();
        assert_eq!(found.text, paragraphs);
        let last = found.text.rfind("Monday").unwrap();
        assert!(broken[found.map.original(last)..].starts_with("Monday"));
        assert_eq!(without_layout(&"\n".repeat(3 * BLOCK)), None);
    }

    #[test]
    fn marks_of_a_quotation_go() {
        for mark in ["> ", ">", "> > ", ">> "] {
            let quoted: String = wrapped(PARAGRAPHS, 60)
                .lines()
                .map(|line| format!("{mark}{line}\n"))
                .collect();
            assert_eq!(plain(&quoted), PARAGRAPHS);
        }
        let reply = "> Shall we meet?\n> On Monday?\n\nYes, gladly.\n";
        assert_eq!(plain(reply), "Shall we meet?\nOn Monday?\n\nYes, gladly.\n");
        // One such line is no quotation.
        assert_eq!(without_layout("We found that\n> 5 of them\nwere late."), None);
        assert_eq!(without_layout("> \n>\n\u{c}12\n"), None);
    }

    #[test]
    fn dates_and_names_of_a_chat_go() {
        let chat = "[12/01/2024, 10:33:21] Anna Berg: Are the hens at home?\n[12/01/2024, 10:34:02] Ben: All ten.\nAnd \
                    the cat.\n12/01/2024, 10:40 - Anna joined\n12/01/24, 10:41 pm - Anna Berg: Good: I was worried.\n";
        assert_eq!(
            plain(chat),
            "Are the hens at home?\nAll ten.\nAnd the cat.\nGood: I was worried.\n"
        );
        assert_eq!(
            without_layout("12/01/2024, 10:33 - Anna: One message is a text.\n"),
            None
        );
    }

    #[test]
    fn heads_feet_and_numbers_of_pages_go() {
        let pages = [
            "The Lighthouse            Anna Berg\n\nThe keeper of the lighthouse had not spoken to anybody\nfor a week, \
             and when the boat came at last he found that\n\n1\n",
            "The Lighthouse            Anna Berg\n\nhe had forgotten how to begin, so he made some tea for\nall of \
             them and sat down on the step in the wind.\n\n2\n",
            "The Lighthouse            Anna Berg\n\nNobody asked about the storm, because the damage was so\nplain to \
             see from where they sat.\n\n3\n",
        ];
        assert_eq!(
            plain(&pages.join("\u{c}")),
            "The keeper of the lighthouse had not spoken to anybody for a week, and when the boat came at last he \
             found that he had forgotten how to begin, so he made some tea for all of them and sat down on the step in \
             the wind.\n\nNobody asked about the storm, because the damage was so plain to see from where they sat.\n"
        );
    }

    #[test]
    fn words_that_are_parted_are_put_together_and_compounds_are_not() {
        let text = "The commit-\ntee met every week in the old library, and its mem-\nbers said that the plan was a life-\n\
                    changing chance for the town, if not for the coun-\ntry as a whole, and then went home by the first \
                    re-\nliable train.\n";
        assert_eq!(
            plain(text),
            "The committee met every week in the old library, and its members said that the plan was a lifechanging \
             chance for the town, if not for the country as a whole, and then went home by the first reliable train.\n"
        );
        let text = "The committee met every week in the old library, and a life-\nchanging chance for the town was \
                    voted down by all of its\nmembers, who then went home by the first reliable train.\n";
        assert!(plain(text).contains("a life-changing chance"));
    }

    #[test]
    fn verse_lists_headings_tables_and_code_keep_their_lines() {
        for text in [
            "Roses are red,\nViolets are blue,\nSugar is sweet,\nAnd so are you.\n",
            "Shopping\n\n- a loaf of bread and a dozen eggs from the farm\n- milk\n- butter, if they have the salted one\n",
            "1. Open the lid of the machine with both of your hands\n2. wait\n3. close the lid and press the green button\n",
            "fn main() {\n    let hats = 10;\n    println!(\"{hats}\");\n}\n",
            "| a | b |\n|---|---|\n| the first of them | the second of them |\n| x | y |\n",
            "# Title\n## Below the title\ntext\n",
        ] {
            assert_eq!(without_layout(text), None, "{text}");
        }
        let mixed = format!(
            "{}\nRoses are red,\nViolets are blue,\nSugar is sweet,\nAnd so are you.\n\n- eggs\n- milk\n",
            wrapped(PARAGRAPHS, 72)
        );
        assert_eq!(plain(&mixed), mixed.replace(&wrapped(PARAGRAPHS, 72), PARAGRAPHS));
    }

    #[test]
    fn double_spacing_and_indented_paragraphs_are_layout() {
        let double = wrapped(PARAGRAPHS.split_once("\n\n").unwrap().0, 35).replace('\n', "\n\n");
        assert_eq!(plain(&double), PARAGRAPHS.split_once("\n\n").unwrap().0);
        let indented = wrapped(PARAGRAPHS, 60).replace("\n\n", "\n    ");
        assert_eq!(plain(&indented), PARAGRAPHS);
        // The left margin of a printed page, and lines that are spread to its right margin.
        let printed = format!(
            "        {}",
            wrapped(PARAGRAPHS, 60)
                .trim_end()
                .replace('\n', "\n        ")
                .replace("the ", "the  ")
        );
        assert_eq!(plain(&printed).trim_end(), PARAGRAPHS.trim_end());
    }

    /// Prose-like text: sentences of words, in paragraphs.
    fn prose() -> impl Strategy<Value = String> {
        let sentence = prop::collection::vec("[a-z]{1,11}", 4..16).prop_map(|words| {
            let text = words.join(" ");
            format!("{}{}.", text[..1].to_uppercase(), &text[1..])
        });
        let paragraph = prop::collection::vec(sentence, 3..8).prop_map(|sentences| sentences.join(" "));
        prop::collection::vec(paragraph, 1..5).prop_map(|paragraphs| paragraphs.join("\n\n") + "\n")
    }

    proptest! {
        #[test]
        fn broken_prose_is_put_back_and_every_letter_knows_its_place(text in prose(), width in 30usize..90, quoted: bool) {
            let mut broken = wrapped(&text, width);
            if quoted {
                broken = broken.lines().map(|line| format!("> {line}\n")).collect();
            }
            let found = without_layout(&broken);
            prop_assume!(text.len() > 3 * width);
            // If the lines of a paragraph end where sentences do, nothing tells them from lines that the author wrote.
            let lines: Vec<&str> = broken.lines().map(|line| line.trim_start_matches(['>', ' '])).collect();
            let mut breaks = 0;
            for paragraph in lines.split(|line| line.is_empty()) {
                let ends = &paragraph[..paragraph.len().saturating_sub(1)];
                let within = ends.iter().filter(|line| !line.ends_with('.')).count();
                prop_assume!(2 * within >= ends.len());
                breaks += ends.len();
            }
            prop_assume!(breaks >= 2 * LEAST_BREAKS);
            let Some(found) = found else { return Err(TestCaseError::fail("not found")) };
            prop_assert_eq!(&found.text, &text);
            let mut before = 0;
            for (at, c) in found.text.char_indices() {
                let there = found.map.original(at);
                prop_assert!(there >= before);
                before = there;
                if !c.is_whitespace() {
                    prop_assert!(broken[there..].starts_with(c));
                }
            }
            prop_assert_eq!(found.map.original(found.text.len()), broken.len());
        }

        #[test]
        fn any_text_keeps_its_letters(text in "([a-zA-Z0-9>.\u{c}\t -]{0,30}\n){0,12}[éß\u{2010}#|* a-z]{0,9}") {
            if let Some(found) = without_layout(&text) {
                let letters = |text: &str| text.chars().filter(|c| c.is_alphabetic()).collect::<String>();
                // Without pages nothing but marks and hyphens goes.
                if !text.contains('\u{c}') {
                    prop_assert_eq!(letters(&found.text), letters(&text));
                }
                let mut before = 0;
                for (at, _) in found.text.char_indices() {
                    let there = found.map.original(at);
                    prop_assert!(there >= before && there <= text.len() && text.is_char_boundary(there));
                    before = there;
                }
            }
        }
    }
}
