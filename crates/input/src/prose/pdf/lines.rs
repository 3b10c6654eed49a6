//! Letters become lines.

use unicode_normalization::UnicodeNormalization;

/// A letter's place on the page, in points from its lower left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glyph {
    /// Where it begins.
    pub x0: f64,
    /// Where it ends.
    pub x1: f64,
    /// The line that it stands on.
    pub y: f64,
    /// The size of its font.
    pub size: f64,
    /// Whether it is placed but not drawn, as the text behind a scan is.
    pub is_invisible: bool,
    /// Whether the file says that it is no part of the text.
    pub is_artifact: bool,
}

/// A line of a page.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its words, with single spaces between them.
    pub text: String,
    /// Where it begins, ends and stands, and what is true of all of it.
    pub place: Glyph,
}

/// Letters further apart than this, in sizes of their font, are of two words. TeX shrinks a space to 0.22 and moves
/// letters of one word by up to 0.1.
const WORD_GAP: f64 = 0.17;

/// Letters further apart than this are not of one line: of two columns, or of two cells of a table.
const LINE_GAP: f64 = 3.0;

/// Makes lines out of letters, in the order in which they are drawn.
///
/// Programs draw a text in the order in which it is read, one column after the other. Sorting by place would have to
/// find the columns first, and it is what mixes them where it does not.
#[derive(Clone, Debug, Default)]
pub struct Lines {
    done: Vec<Line>,
    line: Option<Line>,
    /// Where the letters of the line begin.
    letters: Vec<(f64, char)>,
    /// An accent that waits for its letter: TeX draws it first.
    accent: Option<(char, Glyph)>,
}

impl Lines {
    /// Adds what a code stands for.
    pub fn add(&mut self, glyph: &Glyph, text: &str) {
        if ![glyph.x0, glyph.x1, glyph.y, glyph.size].iter().all(|n| n.is_finite()) {
            return;
        }
        let mut glyph = *glyph;
        let mut text = clean(text);
        if let Some((accent, place)) = self.accent.take() {
            let is_over = glyph.x0 < place.x1 && place.x0 < glyph.x1 && (glyph.y - place.y).abs() < glyph.size;
            if is_over && text.chars().next().is_some_and(char::is_alphabetic) {
                // Where there is an accent there is no dot.
                let bare = text.replace('ı', "i").replace('ȷ', "j");
                let length = bare.chars().next().map_or(0, char::len_utf8);
                text = bare;
                text.insert(length, accent);
                text = text.nfc().collect();
                glyph.x0 = glyph.x0.min(place.x0);
            } else {
                self.place(&place, spacing(accent));
            }
        }
        if let Some(accent) = combining(&text) {
            self.accent = Some((accent, glyph));
            return;
        }
        self.place(&glyph, &text);
    }

    fn place(&mut self, glyph: &Glyph, text: &str) {
        let Some(first) = text.chars().next() else { return };
        if let Some(line) = &mut self.line {
            let place = &line.place;
            let size = place.size.max(glyph.size);
            let (gap, up) = (glyph.x0 - place.x1, glyph.y - place.y);
            let is_level = up.abs() < 0.5 * size;
            let is_same = place.is_invisible == glyph.is_invisible && place.is_artifact == glyph.is_artifact;
            if is_level && is_same && self.is_shadow(glyph, first) {
                return;
            }
            // A space that goes back is one of a shadow.
            if is_level && first.is_whitespace() && gap < -0.5 * size {
                return;
            }
            let line = self.line.as_mut().expect("it was there above");
            if is_level && is_same && gap > -0.5 * size && gap < LINE_GAP * size {
                let is_small = glyph.size < 0.85 * line.place.size;
                // The mark of a note, which is not read.
                if is_small
                    && up > 0.2 * line.place.size
                    && text.chars().all(|c| c.is_ascii_digit() || "*†‡".contains(c))
                {
                    line.place.x1 = line.place.x1.max(glyph.x1);
                    return;
                }
                if gap > WORD_GAP * size || first.is_whitespace() {
                    push_space(&mut line.text);
                }
                line.text.push_str(text.trim_start());
                if text.len() > 1 && text.ends_with(char::is_whitespace) {
                    line.text.truncate(line.text.trim_end().len());
                    push_space(&mut line.text);
                }
                line.place.x1 = line.place.x1.max(glyph.x1);
                // Letters that hang above or below do not move the line.
                if glyph.size > line.place.size {
                    (line.place.size, line.place.y) = (glyph.size, glyph.y);
                }
                self.letters.push((glyph.x0, first));
                return;
            }
        }
        self.end_line();
        if first.is_whitespace() && text.trim().is_empty() {
            return;
        }
        self.letters.push((glyph.x0, first));
        self.line = Some(Line {
            text: text.trim_start().to_owned(),
            place: *glyph,
        });
    }

    /// Whether the same letter stands there already: bold letters and shadows are made by drawing twice.
    fn is_shadow(&self, glyph: &Glyph, first: char) -> bool {
        let reach = 0.1 * glyph.size;
        let from = self.letters.partition_point(|(x, _)| *x < glyph.x0 - reach);
        let near = self.letters[from..].iter().take(8);
        let mut near = near.take_while(|(x, _)| *x <= glyph.x0 + reach);
        !first.is_whitespace() && near.any(|(_, letter)| *letter == first)
    }

    fn end_line(&mut self) {
        self.letters.clear();
        if let Some(mut line) = self.line.take() {
            line.text.truncate(line.text.trim_end().len());
            if !line.text.is_empty() {
                self.done.push(line);
            }
        }
    }

    /// The lines of a page.
    pub fn finish(&mut self) -> Vec<Line> {
        if let Some((accent, place)) = self.accent.take() {
            self.place(&place, spacing(accent));
        }
        self.end_line();
        std::mem::take(&mut self.done)
    }
}

fn push_space(text: &mut String) {
    if !text.is_empty() && !text.ends_with(' ') {
        text.push(' ');
    }
}

/// Letters without the forms that only print has: ligatures are spelt out, and control characters are nothing.
fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{fb00}'..='\u{fb06}' => cleaned.extend(c.nfkc()),
            // Typst calls every hyphen a soft one. What is drawn is there to be seen.
            '\u{ad}' | '\u{2010}' => cleaned.push('-'),
            '\t' | '\n' | '\r' | '\u{a0}' => cleaned.push(' '),
            c if c.is_control() => {}
            c => cleaned.push(c),
        }
    }
    cleaned
}

const ACCENTS: [(&str, char); 10] = [
    ("`", '\u{300}'),
    ("\u{b4}", '\u{301}'),
    ("\u{2c6}", '\u{302}'),
    ("\u{2dc}", '\u{303}'),
    ("\u{af}", '\u{304}'),
    ("\u{2d8}", '\u{306}'),
    ("\u{a8}", '\u{308}'),
    ("\u{2da}", '\u{30a}'),
    ("\u{2c7}", '\u{30c}'),
    ("\u{b8}", '\u{327}'),
];

/// The accent that a sign is when it stands over a letter.
fn combining(text: &str) -> Option<char> {
    ACCENTS
        .iter()
        .find(|(sign, _)| *sign == text)
        .map(|(_, accent)| *accent)
}

/// The sign of an accent that stands alone.
fn spacing(accent: char) -> &'static str {
    ACCENTS.iter().find(|(_, a)| *a == accent).map_or("", |(sign, _)| sign)
}
