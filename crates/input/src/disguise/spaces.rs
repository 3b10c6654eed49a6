//! The third pass: odd white space, and runs of spaces inside a line.
//!
//! RAID's whitespace attack puts a second space into a fifth of the gaps between words. People write several spaces
//! too: at the start of a line, between the columns of a table, and after a sentence if they learnt to type on a
//! typewriter. The lines around a gap and the habits of the text tell these cases from an attack.

use super::{Character, Disguise, DisguiseKind, is_blank, lines, note};
use std::cmp::Ordering;
use unicode_normalization::char::is_combining_mark;

/// One gap in this many may be wide or odd by accident. If more are, somebody put them there.
///
/// This is a choice, not a measurement: RAID's attack widens one gap in five, and no typist slips at one gap in twenty.
const ACCIDENTS: usize = 20;
/// Longer lines are paragraphs. In them, columns coincide by chance.
const LONGEST_ROW: usize = 200;
/// Every reader sees a gap this wide, so it is layout and not a disguise.
const SURELY_LAYOUT: usize = 8;
/// Gaps this wide in two adjacent lines are columns, even if they do not line up.
const WIDE_COLUMN: usize = 4;
/// Gaps this wide in two adjacent lines are columns if they end at the same column.
const COLUMN: usize = 3;

/// The longest opener of a list item, as long as `(12).`.
const LONGEST_OPENER: usize = 5;

/// White space between two words of a line.
struct Gap {
    first: usize,
    len: usize,
    /// The number of characters before the next word of the line.
    column: usize,
    before: char,
    after: char,
    kind: GapKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum GapKind {
    /// It has a tab, stands beside a rule or after a bullet, or has ideographic spaces among ideographs.
    Layout,
    /// One plain space.
    Plain,
    /// One odd space.
    Odd,
    /// Two spaces after a sentence.
    AfterSentence,
    /// Several spaces.
    Wide,
}

struct Line {
    gaps: Vec<Gap>,
    columns: usize,
    /// White space after the last word: its start and its length.
    trailing: (usize, usize),
}

/// Makes white space plain, unless it is layout, typography or a habit of the text.
pub(super) fn collapse(characters: Vec<Character>, disguises: &mut Vec<Disguise>) -> Vec<Character> {
    let lines: Vec<Line> = lines(&characters)
        .into_iter()
        .map(|line| gaps(&characters, line))
        .collect();
    let is_layout: Vec<bool> = (0..lines.len())
        .map(|at| {
            let next = lines.get(at + 1).is_some_and(|next| are_rows(&lines[at], next));
            let previous = at
                .checked_sub(1)
                .is_some_and(|previous| are_rows(&lines[previous], &lines[at]));
            next || previous || wide(&lines[at]).any(|gap| gap.len >= SURELY_LAYOUT)
        })
        .collect();
    let habits = Habits::of(&characters, &lines, &is_layout);
    let mut stays = vec![true; characters.len()];
    let mut characters = characters;
    for (line, &is_layout) in lines.iter().zip(&is_layout) {
        for gap in &line.gaps {
            let changes = match gap.kind {
                GapKind::Layout | GapKind::Plain => false,
                GapKind::Odd => {
                    !is_at_home(&characters, gap) && (habits.odd_everywhere || is_out_of_place(&characters, gap))
                }
                GapKind::AfterSentence => !is_layout && habits.sown,
                GapKind::Wide => !is_layout,
            };
            if changes {
                let range = gap.first..gap.first + gap.len;
                note(disguises, DisguiseKind::OddSpace, &characters[range.clone()], ' ');
                characters[gap.first].ch = ' ';
                stays[range].iter_mut().skip(1).for_each(|stays| *stays = false);
            }
        }
        let (first, len) = line.trailing;
        if habits.sown && len > 0 {
            note(disguises, DisguiseKind::OddSpace, &characters[first..first + len], "");
            stays[first..first + len].fill(false);
        }
    }
    let mut stays = stays.into_iter();
    characters.retain(|_| stays.next().unwrap_or(true));
    characters
}

/// Whether a character is white space that does not end a line. Blank letters count, because a reader sees white.
fn is_space(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}'
    ) || is_blank(c)
}

fn gaps(characters: &[Character], line: std::ops::Range<usize>) -> Line {
    let mut gaps = Vec::new();
    let mut at = line.start;
    let mut first_word = line.start;
    let mut trailing = (line.end, 0);
    while at < line.end {
        let first = at;
        while at < line.end && is_space(characters[at].ch) {
            at += 1;
        }
        let len = at - first;
        if at == line.end {
            let has_tab = characters[first..at]
                .iter()
                .any(|character| character.ch == '\t' || is_blank(character.ch));
            trailing = (first, if has_tab { 0 } else { len });
        } else if len > 0 && first > line.start {
            let (before, after) = (characters[first - 1].ch, characters[at].ch);
            let mut gap = Gap {
                first,
                len,
                column: at - line.start,
                before,
                after,
                kind: GapKind::Plain,
            };
            gap.kind = kind(characters, line.start, &gap);
            if gaps.is_empty() && len > 1 && opens_item(&characters[first_word..first]) {
                gap.kind = GapKind::Layout;
            }
            gaps.push(gap);
        }
        if first == line.start {
            first_word = at;
        }
        while at < line.end && !is_space(characters[at].ch) {
            at += 1;
        }
    }
    Line {
        gaps,
        columns: line.len(),
        trailing,
    }
}

fn kind(characters: &[Character], line_start: usize, gap: &Gap) -> GapKind {
    let spaces = &characters[gap.first..gap.first + gap.len];
    let all = |are: fn(char) -> bool| spaces.iter().all(|character| are(character.ch));
    let has_tab = spaces.iter().any(|character| character.ch == '\t');
    if has_tab || (gap.len > 1 && (is_framed(gap) || all(|c| c == '\u{3000}') && is_east_asian(gap))) {
        GapKind::Layout
    } else if gap.len == 1 {
        if spaces[0].ch == ' ' {
            GapKind::Plain
        } else {
            GapKind::Odd
        }
    } else if gap.len == 2 && all(|c| matches!(c, ' ' | '\u{a0}')) && ends_sentence(characters, line_start, gap) {
        GapKind::AfterSentence
    } else {
        GapKind::Wide
    }
}

/// Whether a gap stands beside the rule of a table.
fn is_framed(gap: &Gap) -> bool {
    [gap.before, gap.after]
        .iter()
        .any(|c| matches!(c, '|' | '\u{2500}'..='\u{257f}'))
}

/// Whether the first word of a line opens an item of a list or a quotation: `*`, `>`, `12.`, `(a)`.
fn opens_item(word: &[Character]) -> bool {
    let letters = word
        .iter()
        .take(LONGEST_OPENER)
        .filter(|character| character.ch.is_alphabetic())
        .count();
    let sign = word.last().map(|character| character.ch);
    let is_number = matches!(sign, Some('.' | ')' | ']'));
    let is_bullet = matches!(
        sign,
        Some('*' | '-' | '+' | '>' | '#' | '/' | ':' | '•' | '·' | '◦' | '▪' | '‣' | '–' | '—')
    );
    word.len() <= LONGEST_OPENER && (letters == 0 && is_bullet || letters <= 1 && is_number)
}

/// Whether the word before a gap ends a sentence, or announces one.
fn ends_sentence(characters: &[Character], line_start: usize, gap: &Gap) -> bool {
    let closes = |c: char| matches!(c, '"' | '\'' | '”' | '’' | '»' | '›' | ')' | ']');
    characters[line_start..gap.first]
        .iter()
        .rev()
        .take(4)
        .map(|character| character.ch)
        .find(|&c| !closes(c))
        .is_some_and(|c| matches!(c, '.' | '?' | '!' | ':' | '…'))
}

fn wide(line: &Line) -> impl Iterator<Item = &Gap> {
    line.gaps.iter().filter(|gap| gap.kind == GapKind::Wide)
}

/// Whether two adjacent lines are rows of a table. The order of the two lines does not matter.
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

/// What a text does throughout, and not only here and there.
struct Habits {
    /// It has several spaces between words more often than accidents explain.
    sown: bool,
    /// It has odd spaces between words more often than accidents explain.
    odd_everywhere: bool,
}

impl Habits {
    fn of(characters: &[Character], lines: &[Line], is_layout: &[bool]) -> Self {
        let (mut others, mut wide, mut all, mut odd) = (0, 0, 0, 0);
        for (line, is_layout) in lines.iter().zip(is_layout) {
            let mut start = None;
            for gap in &line.gaps {
                let start = *start.get_or_insert(gap.first - (gap.column - gap.len));
                all += 1;
                odd += usize::from(
                    gap.kind == GapKind::Odd && !is_at_home(characters, gap) && is_out_of_place(characters, gap),
                );
                if *is_layout || gap.kind == GapKind::Layout {
                    continue;
                }
                if !ends_sentence(characters, start, gap) {
                    others += 1;
                    wide += usize::from(gap.kind == GapKind::Wide);
                }
            }
        }
        Habits {
            sown: wide >= 2 && ACCIDENTS * wide > others,
            odd_everywhere: odd >= 2 && ACCIDENTS * odd > all,
        }
    }
}

/// Whether an odd space stands among the characters that it is made for.
fn is_at_home(characters: &[Character], gap: &Gap) -> bool {
    let beside = |belongs: fn(char) -> bool| belongs(gap.before) || belongs(gap.after);
    match characters[gap.first].ch {
        '\u{2800}' => beside(|c| matches!(c, '\u{2801}'..='\u{28ff}')),
        '\u{1680}' => beside(|c| matches!(c, '\u{1681}'..='\u{169f}')),
        _ => is_east_asian(gap),
    }
}

/// Whether an odd space stands where typography has none.
///
/// No-break and thin spaces belong beside figures, signs and punctuation (`10 km`, `« oui »`, `J. Smith`), and beside
/// short words that must not end a line (`v Praze`, `à Paris`). Between two longer words they are odd.
fn is_out_of_place(characters: &[Character], gap: &Gap) -> bool {
    if is_blank(characters[gap.first].ch) || characters[gap.first].ch == '\u{1680}' {
        return true;
    }
    let letter = |character: &&Character| character.ch.is_alphabetic() || is_combining_mark(character.ch);
    let before = characters[..gap.first].iter().rev().take(3).take_while(letter).count();
    let after = characters[gap.first + gap.len..]
        .iter()
        .take(3)
        .take_while(letter)
        .count();
    before > 2 && after > 2
}

fn is_east_asian(gap: &Gap) -> bool {
    [gap.before, gap.after].iter().any(|c| {
        !is_blank(*c)
            && matches!(c, '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ffef}' | '\u{20000}'..='\u{3ffff}')
    })
}
