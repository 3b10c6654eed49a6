//! The third pass: odd white space, and runs of spaces inside a line.
//!
//! RAID's whitespace attack puts a second space into a fifth of the gaps between words. People do so too: at the start
//! of a line, between the columns of a table, and, those who learnt it on a typewriter, behind every sentence. Those are
//! told apart by the lines around and by the habits of the text.

use super::{Disguise, DisguiseKind, Piece, is_blank, lines, note};
use std::cmp::Ordering;
use unicode_normalization::char::is_combining_mark;

/// One gap in so many may be wide or odd by accident; beyond, the text was sown with them.
///
/// A choice, not a measurement: RAID's attack widens one gap in five, and nobody's thumb slips as often as one in twenty.
const ACCIDENTS: usize = 20;
/// Lines that are longer are paragraphs, in which columns coincide by chance.
const LONGEST_ROW: usize = 200;
/// A gap this wide is seen by every reader, and so is layout and no disguise.
const SURELY_LAYOUT: usize = 8;
/// Gaps this wide in two lines that follow each other are columns, even if they do not line up.
const WIDE_COLUMN: usize = 4;
/// Gaps this wide that end in the same column are columns.
const COLUMN: usize = 3;

/// What opens an item of a list is no longer than `(12).`.
const LONGEST_OPENER: usize = 5;

/// White space between two words of a line.
struct Gap {
    first: usize,
    len: usize,
    /// Characters of the line up to the next word.
    column: usize,
    before: char,
    after: char,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With a tab, beside a rule, behind a bullet, or of ideographic spaces among ideographs.
    Layout,
    /// One plain space.
    Plain,
    /// One odd space.
    Odd,
    /// Two spaces behind a sentence.
    AfterSentence,
    /// Several spaces.
    Wide,
}

struct Line {
    gaps: Vec<Gap>,
    columns: usize,
    /// White space behind the last word: where it starts, and how much there is.
    trailing: (usize, usize),
}

/// Makes plain the white space that is neither layout, nor typography, nor a habit of the text.
pub(super) fn collapse(pieces: Vec<Piece>, disguises: &mut Vec<Disguise>) -> Vec<Piece> {
    let lines: Vec<Line> = lines(&pieces).into_iter().map(|line| gaps(&pieces, line)).collect();
    let is_layout: Vec<bool> = (0..lines.len())
        .map(|at| {
            let next = lines.get(at + 1).is_some_and(|next| are_rows(&lines[at], next));
            let previous = at
                .checked_sub(1)
                .is_some_and(|previous| are_rows(&lines[previous], &lines[at]));
            next || previous || wide(&lines[at]).any(|gap| gap.len >= SURELY_LAYOUT)
        })
        .collect();
    let habits = Habits::of(&pieces, &lines, &is_layout);
    let mut stays = vec![true; pieces.len()];
    let mut pieces = pieces;
    for (line, &is_layout) in lines.iter().zip(&is_layout) {
        for gap in &line.gaps {
            let changes = match gap.kind {
                Kind::Layout | Kind::Plain => false,
                Kind::Odd => !is_at_home(&pieces, gap) && (habits.odd_everywhere || is_out_of_place(&pieces, gap)),
                Kind::AfterSentence => !is_layout && habits.sown,
                Kind::Wide => !is_layout,
            };
            if changes {
                let range = gap.first..gap.first + gap.len;
                note(disguises, DisguiseKind::OddSpace, &pieces[range.clone()], ' ');
                pieces[gap.first].ch = ' ';
                stays[range].iter_mut().skip(1).for_each(|stays| *stays = false);
            }
        }
        let (first, len) = line.trailing;
        if habits.sown && len > 0 {
            note(disguises, DisguiseKind::OddSpace, &pieces[first..first + len], "");
            stays[first..first + len].fill(false);
        }
    }
    let mut stays = stays.into_iter();
    pieces.retain(|_| stays.next().unwrap_or(true));
    pieces
}

/// White space that does not end a line; blanks count, for a reader sees white.
fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    ) || is_blank(c)
}

fn gaps(pieces: &[Piece], line: std::ops::Range<usize>) -> Line {
    let mut gaps = Vec::new();
    let mut at = line.start;
    let mut first_word = line.start;
    let mut trailing = (line.end, 0);
    while at < line.end {
        let first = at;
        while at < line.end && is_space(pieces[at].ch) {
            at += 1;
        }
        let len = at - first;
        if at == line.end {
            let has_tab = pieces[first..at]
                .iter()
                .any(|piece| piece.ch == '\t' || is_blank(piece.ch));
            trailing = (first, if has_tab { 0 } else { len });
        } else if len > 0 && first > line.start {
            let (before, after) = (pieces[first - 1].ch, pieces[at].ch);
            let mut gap = Gap {
                first,
                len,
                column: at - line.start,
                before,
                after,
                kind: Kind::Plain,
            };
            gap.kind = kind(pieces, line.start, &gap);
            if gaps.is_empty() && len > 1 && opens_item(&pieces[first_word..first]) {
                gap.kind = Kind::Layout;
            }
            gaps.push(gap);
        }
        if first == line.start {
            first_word = at;
        }
        while at < line.end && !is_space(pieces[at].ch) {
            at += 1;
        }
    }
    Line {
        gaps,
        columns: line.len(),
        trailing,
    }
}

fn kind(pieces: &[Piece], line_start: usize, gap: &Gap) -> Kind {
    let spaces = &pieces[gap.first..gap.first + gap.len];
    let all = |are: fn(char) -> bool| spaces.iter().all(|piece| are(piece.ch));
    let has_tab = spaces.iter().any(|piece| piece.ch == '\t');
    if has_tab || (gap.len > 1 && (is_framed(gap) || all(|c| c == '\u{3000}') && is_east_asian(gap))) {
        Kind::Layout
    } else if gap.len == 1 {
        if spaces[0].ch == ' ' { Kind::Plain } else { Kind::Odd }
    } else if gap.len == 2 && all(|c| matches!(c, ' ' | '\u{a0}')) && ends_sentence(pieces, line_start, gap) {
        Kind::AfterSentence
    } else {
        Kind::Wide
    }
}

/// Whether a gap stands beside the rule of a table.
fn is_framed(gap: &Gap) -> bool {
    [gap.before, gap.after]
        .iter()
        .any(|c| matches!(c, '|' | '\u{2500}'..='\u{257f}'))
}

/// Whether the first word of a line opens an item of a list or a quotation: `*`, `>`, `12.`, `(a)`.
fn opens_item(word: &[Piece]) -> bool {
    let letters = word
        .iter()
        .take(LONGEST_OPENER)
        .filter(|piece| piece.ch.is_alphabetic())
        .count();
    let sign = word.last().map(|piece| piece.ch);
    let is_number = matches!(sign, Some('.' | ')' | ']'));
    let is_bullet = matches!(
        sign,
        Some('*' | '-' | '+' | '>' | '#' | '/' | ':' | '•' | '·' | '◦' | '▪' | '‣' | '–' | '—')
    );
    word.len() <= LONGEST_OPENER && (letters == 0 && is_bullet || letters <= 1 && is_number)
}

/// Whether the word before a gap ends a sentence, or announces one.
fn ends_sentence(pieces: &[Piece], line_start: usize, gap: &Gap) -> bool {
    let closes = |c: char| matches!(c, '"' | '\'' | '”' | '’' | '»' | '›' | ')' | ']');
    pieces[line_start..gap.first]
        .iter()
        .rev()
        .take(4)
        .map(|piece| piece.ch)
        .find(|&c| !closes(c))
        .is_some_and(|c| matches!(c, '.' | '?' | '!' | ':' | '…'))
}

fn wide(line: &Line) -> impl Iterator<Item = &Gap> {
    line.gaps.iter().filter(|gap| gap.kind == Kind::Wide)
}

/// Whether two lines that follow each other are rows of a table. The same seen from either line.
fn are_rows(above: &Line, below: &Line) -> bool {
    if above.columns > LONGEST_ROW || below.columns > LONGEST_ROW {
        return false;
    }
    let widest = |line| wide(line).map(|gap| gap.len).max().unwrap_or(0);
    let is_half_wide = |line: &Line| 2 * wide(line).count() >= line.gaps.len();
    if widest(above).min(widest(below)) >= WIDE_COLUMN {
        return true;
    }
    let any_width = is_half_wide(above) && is_half_wide(below);
    let (mut above, mut below) = (wide(above).peekable(), wide(below).peekable());
    while let (Some(a), Some(b)) = (above.peek(), below.peek()) {
        match a.column.cmp(&b.column) {
            Ordering::Less => above.next(),
            Ordering::Greater => below.next(),
            Ordering::Equal if any_width || a.len.min(b.len) >= COLUMN => return true,
            Ordering::Equal => above.next(),
        };
    }
    false
}

/// What a text does throughout.
struct Habits {
    /// It has more than one space between words more often than by accident.
    sown: bool,
    /// It has odd spaces between words more often than by accident.
    odd_everywhere: bool,
}

impl Habits {
    fn of(pieces: &[Piece], lines: &[Line], is_layout: &[bool]) -> Self {
        let (mut others, mut wide, mut all, mut odd) = (0, 0, 0, 0);
        for (line, is_layout) in lines.iter().zip(is_layout) {
            let mut start = None;
            for gap in &line.gaps {
                let start = *start.get_or_insert(gap.first - (gap.column - gap.len));
                all += 1;
                odd += usize::from(gap.kind == Kind::Odd && !is_at_home(pieces, gap) && is_out_of_place(pieces, gap));
                if *is_layout || gap.kind == Kind::Layout {
                    continue;
                }
                if !ends_sentence(pieces, start, gap) {
                    others += 1;
                    wide += usize::from(gap.kind == Kind::Wide);
                }
            }
        }
        Habits {
            sown: wide >= 2 && ACCIDENTS * wide > others,
            odd_everywhere: odd >= 2 && ACCIDENTS * odd > all,
        }
    }
}

/// Whether one odd space stands among the characters that it is made for.
fn is_at_home(pieces: &[Piece], gap: &Gap) -> bool {
    let beside = |belongs: fn(char) -> bool| belongs(gap.before) || belongs(gap.after);
    match pieces[gap.first].ch {
        '\u{2800}' => beside(|c| matches!(c, '\u{2801}'..='\u{28ff}')),
        '\u{1680}' => beside(|c| matches!(c, '\u{1681}'..='\u{169f}')),
        _ => is_east_asian(gap),
    }
}

/// Whether one odd space stands where typography has none.
///
/// No-break and thin spaces belong before and behind figures, signs and punctuation (`10 km`, `« oui »`, `J. Smith`), and
/// beside the short words that must not end a line (`v Praze`, `à Paris`). Between two longer words they are odd.
fn is_out_of_place(pieces: &[Piece], gap: &Gap) -> bool {
    if is_blank(pieces[gap.first].ch) || pieces[gap.first].ch == '\u{1680}' {
        return true;
    }
    let letter = |piece: &&Piece| piece.ch.is_alphabetic() || is_combining_mark(piece.ch);
    let before = pieces[..gap.first].iter().rev().take(3).take_while(letter).count();
    let after = pieces[gap.first + gap.len..].iter().take(3).take_while(letter).count();
    before > 2 && after > 2
}

fn is_east_asian(gap: &Gap) -> bool {
    [gap.before, gap.after].iter().any(|c| {
        !is_blank(*c)
            && matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
    })
}
