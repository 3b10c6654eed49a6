//! Lines become paragraphs.

use super::super::{BlockKind, Builder, LineUnit, Prose};
use super::lines::Line;
use super::text::PageText;
use crate::hyphens::{LineEnd, LineWords};
use std::collections::{HashMap, HashSet};

/// How many lines at the top and at the bottom of a page can be its head and its foot.
const EDGE_LINES: usize = 2;

/// The share of a page's height in which a line that the file calls no part of the text is left out. Elsewhere it is
/// read: a reader sees it too.
const MARGIN: f64 = 0.15;

/// Signs that begin an item of a list.
const BULLETS: [char; 7] = ['•', '◦', '▪', '‣', '●', '○', '■'];

/// The prose of the pages, with what its reader must know.
pub fn prose(mut pages: Vec<PageText>, known: usize, unknown: usize) -> Prose {
    let left_out = leave_out_edges(&mut pages);
    let mut builder = Builder::default();
    if left_out > 0 {
        builder.note(1, format!("Left out as heads and feet of pages: {left_out} lines."));
    }
    if unknown > 0 {
        let message = format!(
            "The fonts do not say what {unknown} of {} letters are.",
            known + unknown
        );
        builder.note(1, message);
    }
    let empty = pages
        .iter()
        .filter(|page| page.lines.is_empty() && page.has_pictures)
        .count();
    if empty > 0 && empty < pages.len() {
        let message = format!(
            "Of {} pages {empty} hold pictures but no text, and are not read.",
            pages.len()
        );
        builder.note(1, message);
    }
    let paragraphs = paragraphs(&pages);
    let size = common_size(&pages);
    let words = LineWords::of(pages.iter().flat_map(|page| &page.lines).map(|line| line.text.as_str()));
    for (paragraph, number) in paragraphs.iter().zip(1..) {
        let text = joined(paragraph, &words);
        if builder.mark(&text, number) {
            continue;
        }
        let item = text.strip_prefix(BULLETS).filter(|rest| rest.starts_with(' '));
        let is_large = paragraph[0].place.size > 1.15 * size;
        let kind = if item.is_some() {
            BlockKind::Item
        } else if is_large && paragraph.len() <= 3 {
            BlockKind::Heading
        } else {
            BlockKind::Paragraph
        };
        builder.begin(kind);
        builder.add(item.unwrap_or(&text), number);
        builder.end();
    }
    builder.finish(LineUnit::Paragraph)
}

/// Takes off heads and feet of pages, and says how many lines that were. They are
/// - what the file itself calls no part of the text, in the margin of a page,
/// - lines at the edge of a page that are but a number, with a gap between them and the text, and
/// - lines at the edge that stand at the same height with the same words, whatever their numbers are, on three pages
///   and on one page in three: heads often differ on left and right pages, and no text has the same line in the same
///   place so often.
fn leave_out_edges(pages: &mut [PageText]) -> usize {
    let mut seen: HashMap<(String, i64), HashSet<usize>> = HashMap::new();
    for (number, page) in pages.iter().enumerate() {
        for at in edges(page) {
            let (text, height) = key(&page.lines[at]);
            for height in height - 1..=height + 1 {
                seen.entry((text.clone(), height)).or_default().insert(number);
            }
        }
    }
    let enough = 3.max(pages.len().div_ceil(3));
    let mut left_out = 0;
    for page in pages {
        let edges = edges(page);
        let is_edge = |at: usize| {
            let line = &page.lines[at];
            let from_edge = line.place.y.min(page.height - line.place.y);
            let is_repeated = || seen.get(&key(line)).is_some_and(|on| on.len() >= enough);
            let is_marked = line.place.is_artifact && from_edge < MARGIN * page.height;
            is_marked || edges.contains(&at) && (is_repeated() || is_lone_number(page, at))
        };
        let kept: Vec<bool> = (0..page.lines.len()).map(|at| !is_edge(at)).collect();
        left_out += kept.iter().filter(|kept| !**kept).count();
        let mut kept = kept.into_iter();
        page.lines.retain(|_| kept.next() == Some(true));
    }
    left_out
}

/// The lines at the top and at the bottom of a page.
fn edges(page: &PageText) -> Vec<usize> {
    let mut by_height: Vec<usize> = (0..page.lines.len()).collect();
    by_height.sort_by(|a, b| page.lines[*a].place.y.total_cmp(&page.lines[*b].place.y));
    let upper = by_height
        .len()
        .saturating_sub(EDGE_LINES)
        .max(EDGE_LINES.min(by_height.len()));
    let top = by_height.split_off(upper);
    by_height.truncate(EDGE_LINES);
    by_height.extend(top);
    by_height
}

/// What a line says but for its numbers, and how high it stands.
fn key(line: &Line) -> (String, i64) {
    let mut text = String::new();
    for c in line.text.chars() {
        if !c.is_ascii_digit() {
            text.push(c);
        } else if !text.ends_with('#') {
            text.push('#');
        }
    }
    // A page is a few thousand points high.
    (text, (line.place.y / 2.0).round() as i64)
}

fn is_lone_number(page: &PageText, at: usize) -> bool {
    let line = &page.lines[at];
    let digits = line.text.chars().filter(char::is_ascii_digit).count();
    let is_number = (1..=4).contains(&digits)
        && line
            .text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '–' | '—' | '.'));
    let mut others = page.lines.iter().enumerate().filter(|(other, _)| *other != at);
    let reach = 1.8 * line.place.size;
    is_number && others.all(|(_, other)| (other.place.y - line.place.y).abs() > reach)
}

/// The size of most letters.
fn common_size(pages: &[PageText]) -> f64 {
    let mut sizes: HashMap<i64, usize> = HashMap::new();
    for line in pages.iter().flat_map(|page| &page.lines) {
        // In tenths of a point; sizes are those of letters on a page.
        *sizes.entry((line.place.size * 10.0).round() as i64).or_default() += line.text.len();
    }
    let most = sizes.into_iter().max_by_key(|(size, letters)| (*letters, *size));
    most.map_or(0.0, |(size, _)| size as f64 / 10.0)
}

/// The usual distance of lines, in sizes of their font.
fn common_leading(pages: &[PageText]) -> f64 {
    let mut leadings: Vec<f64> = Vec::new();
    for page in pages {
        for pair in page.lines.windows(2) {
            let (above, below) = (&pair[0].place, &pair[1].place);
            let leading = (above.y - below.y) / below.size.max(above.size);
            if (0.8..3.0).contains(&leading) {
                leadings.push(leading);
            }
        }
    }
    leadings.sort_by(f64::total_cmp);
    // Gaps between paragraphs are the larger ones.
    leadings.get(leadings.len() / 4).copied().unwrap_or(1.2)
}

fn paragraphs(pages: &[PageText]) -> Vec<Vec<&Line>> {
    let leading = common_leading(pages);
    let mut paragraphs: Vec<Vec<&Line>> = Vec::new();
    let mut last_page = 0;
    for (number, page) in pages.iter().enumerate() {
        for line in &page.lines {
            match paragraphs.last_mut() {
                Some(paragraph) if goes_on(paragraph, line, number != last_page, leading) => paragraph.push(line),
                _ => paragraphs.push(vec![line]),
            }
            last_page = number;
        }
    }
    paragraphs
}

/// Whether a line is of the paragraph that the lines before it are of.
fn goes_on(paragraph: &[&Line], line: &Line, is_new_page: bool, leading: f64) -> bool {
    let Some(last) = paragraph.last() else { return false };
    let size = last.place.size.max(line.place.size);
    let is_of_size = (last.place.size - line.place.size).abs() < 0.12 * size;
    if !is_of_size || line.text.starts_with(BULLETS) {
        return false;
    }
    let down = last.place.y - line.place.y;
    let begins = paragraph.iter().map(|line| line.place.x0).fold(f64::INFINITY, f64::min);
    if is_new_page || down < -0.5 * size {
        // In the next column or on the next page: whether the sentence is at its end has to tell.
        return !last.text.ends_with(['.', '!', '?', ':', '”', '"', '’', ')']);
    }
    if down < 0.5 * size {
        // Beside it: the next cell of a table, or what stands behind a wide gap.
        return line.place.x0 > last.place.x0;
    }
    // The first line may be set in, or all but the first; a line that is set in after others that are not begins a
    // paragraph.
    let is_set_in =
        paragraph.len() > 1 && line.place.x0 > begins + 0.8 * size && line.place.x0 > last.place.x0 + 0.8 * size
            || paragraph.len() == 1 && line.place.x0 > last.place.x0 + 0.8 * size && ends_sentence(&last.text);
    down < 1.25 * leading * size && !is_set_in
}

fn ends_sentence(text: &str) -> bool {
    let text = text.trim_end_matches(['”', '"', '’', ')', '\'']);
    text.ends_with(['.', '!', '?'])
}

/// The text of a paragraph. A word that is parted at a line's end is put together again.
fn joined(paragraph: &[&Line], words: &LineWords) -> String {
    let mut text = String::new();
    for line in paragraph {
        match LineEnd::between(&text, &line.text, words) {
            LineEnd::Space => push_space(&mut text),
            LineEnd::Nothing => {}
            LineEnd::WithoutHyphen => {
                text.pop();
            }
        }
        text.push_str(&line.text);
    }
    text
}

fn push_space(text: &mut String) {
    if !text.is_empty() {
        text.push(' ');
    }
}
