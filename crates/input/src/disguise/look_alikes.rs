//! The second pass: ligatures, styled letters, and letters of other scripts that look Latin.
//!
//! What looks like what is taken from the confusables of UTS 39 (Unicode Security Mechanisms, section 4), by way of
//! the crate `unicode-security`. UTS 39 calls two strings confusable; it does not say which of them was meant. That is
//! decided here, by the words around, and only ever for Latin.
//!
//! # When a letter is replaced
//!
//! A *word* is a run of letters, digits and marks, with apostrophes between letters. Its letters are each one of:
//! *Latin*; *exact* (of another alphabet, with the very shape of a Latin letter: `а`, `о`, `Ρ`); *near* (Cyrillic that
//! passes for Latin at a glance: `к`, `т`, `н`); *symbol* (the Greek letters that sciences use as signs: `α`, `μ`, `Δ`);
//! *phonetic* (`ɑ` and `ɡ`, which are Latin by script); *foreign* (all other letters). So a word is
//!
//! - **Latin** if it has Latin letters and nothing else but symbols that serve as signs (`TNFα`, `μm`, `Δt`);
//! - **mixed** if it has no foreign letter and either Latin letters together with exact or near ones (near ones only
//!   beside a small Latin letter somewhere in the word, and not more of them than of the others), or symbols in the place
//!   of letters, or exact letters of two scripts and nothing else;
//! - **undecided** if all its letters are exact and of one script: `со` is Russian and `co` is not;
//! - **foreign** if it has foreign or near letters, or more than two Greek small ones, and no Latin one;
//! - **neutral** otherwise: a Greek sign, or a mixture that cannot be read as Latin throughout.
//!
//! A symbol serves as a sign unless small Latin letters stand on both sides of it (`thαt`), or on one side in a word of
//! five letters or more (`αttack`, not `sinα`).
//!
//! In a *Latin place*, which is a line with more Latin and mixed than foreign words (or without foreign words) in a text
//! with more Latin and mixed than foreign words,
//!
//! 1. every mixed word is made Latin;
//! 2. an undecided word is made Latin if four in five words of the text are Latin or mixed, the nearest decided word of
//!    the line is foreign on neither side, and there is evidence: a mixed word that was made Latin anywhere in the text,
//!    or two such words that are common English when made Latin (`а`, `he` from `һе`) and not in quotation marks.
//!
//! So RAID's attack, which replaces every letter that has a look-alike, is undone to the last `а`, and «Москва», «оса» or
//! a Russian sentence inside an English text stays.

use super::{Disguise, DisguiseKind, Piece, is_blank, lines, note};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_security::skeleton;

/// From this length on, a mathematical word is writing: products of variables are shorter.
const SHORTEST_STYLED: usize = 3;
/// From this length on, a symbol at the edge of a word is a letter: `sinα` is mathematics.
const SHORTEST_WITH_SYMBOL: usize = 5;
/// How many times as many words must be Latin as foreign before words that could be either are Latin.
const LATIN_PER_FOREIGN: usize = 4;

/// Common English words that can be written wholly in letters with the very shape of Latin ones.
#[rustfmt::skip]
const COMMON: [&str; 36] = [
    "a", "i", "as", "is", "so", "he", "she", "his", "has", "had", "hi", "oh", "ok", "do", "did", "does", "also", "all",
    "see", "say", "says", "said", "side", "idea", "each", "else", "case", "place", "please", "space", "police", "choice",
    "paid", "ice", "eye", "age",
];

/// Replaces look-alikes by what they look like, where that is what they are.
pub(super) fn replace(pieces: Vec<Piece>, disguises: &mut Vec<Disguise>) -> Vec<Piece> {
    if pieces.iter().all(|piece| piece.ch < '\u{250}') {
        return pieces;
    }
    let mut pieces = open_ligatures(pieces, disguises);
    let lines = lines(&pieces);
    let words: Vec<Vec<Range<usize>>> = lines.iter().map(|line| words(&pieces, line.clone())).collect();
    straighten(&mut pieces, &lines, &words, disguises);
    make_latin(&mut pieces, &words, disguises);
    pieces
}

/// What a character would be if it were plain Latin; none for what is plain already and for what has no likeness.
pub(super) fn plain_form(c: char) -> Option<char> {
    styled(c).map(|(_, plain)| plain).or(match letter(c) {
        Letter::Exact(plain) | Letter::Near(plain) | Letter::Phonetic(plain) => Some(plain),
        Letter::Symbol(plain) => plain,
        _ => None,
    })
}

fn open_ligatures(pieces: Vec<Piece>, disguises: &mut Vec<Disguise>) -> Vec<Piece> {
    let is_ligature = |piece: &Piece| matches!(piece.ch, '\u{fb00}'..='\u{fb06}');
    if !pieces.iter().any(is_ligature) {
        return pieces;
    }
    let mut opened = Vec::with_capacity(pieces.len() + 16);
    for piece in pieces {
        if is_ligature(&piece) {
            let letters: String = std::iter::once(piece.ch).nfkc().collect();
            opened.extend(letters.chars().map(|ch| Piece { ch, ..piece }));
            note(disguises, DisguiseKind::Ligature, &[piece], letters);
        } else {
            opened.push(piece);
        }
    }
    opened
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !is_blank(c)
}

/// The words of a line.
fn words(pieces: &[Piece], line: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for at in line.clone() {
        let c = pieces[at].ch;
        let inside = (c.is_alphanumeric() && !is_blank(c))
            || (start.is_some()
                && (is_combining_mark(c)
                    || (matches!(c, '\'' | '’')
                        && is_letter(pieces[at - 1].ch)
                        && at + 1 < line.end
                        && is_letter(pieces[at + 1].ch))));
        match (inside, start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push(from..at);
                start = None;
            }
            _ => {}
        }
    }
    words.extend(start.map(|from| from..line.end));
    words
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Fullwidth,
    Mathematical,
}

/// The plain letter or digit of a styled one. Letters that may be emoji and letters in circles are signs, not styles.
fn styled(c: char) -> Option<(Style, char)> {
    let style = match c {
        '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' => Style::Fullwidth,
        '\u{2139}' => return None,
        '\u{2102}'..='\u{2149}' | '\u{1d400}'..='\u{1d7ff}' => Style::Mathematical,
        _ => return None,
    };
    let mut form = std::iter::once(c).nfkc();
    match (form.next(), form.next()) {
        (Some(plain), None) if plain.is_ascii_alphanumeric() => Some((style, plain)),
        _ => None,
    }
}

/// Replaces fullwidth letters in lines without ideographs, where nobody writes them, and mathematical letters that
/// spell words; a single one is a variable, unless more words than variables are written so.
fn straighten(
    pieces: &mut [Piece],
    lines: &[Range<usize>],
    words: &[Vec<Range<usize>>],
    disguises: &mut Vec<Disguise>,
) {
    let mathematical = |piece: &Piece| matches!(styled(piece.ch), Some((Style::Mathematical, _)));
    let length = |word: &[Piece]| word.iter().filter(|piece| piece.ch.is_alphanumeric()).count();
    let (mut long, mut short) = (0, 0);
    for word in words.iter().flatten().map(|word| &pieces[word.clone()]) {
        if word.iter().any(mathematical) {
            *(if length(word) >= SHORTEST_STYLED {
                &mut long
            } else {
                &mut short
            }) += 1;
        }
    }
    for (line, words) in lines.iter().zip(words) {
        let is_wide = pieces[line.clone()].iter().any(|piece| is_east_asian(piece.ch));
        for word in words {
            let is_writing = length(&pieces[word.clone()]) >= SHORTEST_STYLED || long > short;
            for piece in &mut pieces[word.clone()] {
                let Some((style, plain)) = styled(piece.ch) else {
                    continue;
                };
                let replaces = match style {
                    Style::Fullwidth => !is_wide,
                    Style::Mathematical => is_writing,
                };
                if replaces {
                    note(disguises, DisguiseKind::StyledLetter, &[*piece], plain);
                    piece.ch = plain;
                }
            }
        }
    }
}

fn is_east_asian(c: char) -> bool {
    use Script::*;
    is_letter(c) && matches!(c.script(), Han | Hiragana | Katakana | Hangul | Bopomofo)
}

/// What a letter is to the rules at the top; those with a likeness carry it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    Latin,
    Phonetic(char),
    Exact(char),
    Near(char),
    Symbol(Option<char>),
    Foreign,
    /// A letter of no script, as in `ª`, and anything that is no letter.
    Neutral,
}

fn letter(c: char) -> Letter {
    if c.is_ascii_alphabetic() {
        return Letter::Latin;
    }
    if c.is_ascii() || !is_letter(c) || is_combining_mark(c) {
        return Letter::Neutral;
    }
    if let Some(&known) = LETTERS.get(&c) {
        return known;
    }
    match c.script() {
        Script::Latin => Letter::Latin,
        Script::Common | Script::Inherited => Letter::Neutral,
        _ => Letter::Foreign,
    }
}

/// The letters that look Latin, worked out once.
static LETTERS: LazyLock<HashMap<char, Letter>> = LazyLock::new(|| {
    // Alphabets whose letters join nothing and stack nothing. Scripts in which invisible characters are spelling are
    // left out: a letter of theirs must not become Latin behind the first pass's back.
    const ALPHABETS: [Range<u32>; 22] = [
        0x370..0x400,     // Greek
        0x400..0x530,     // Cyrillic
        0x531..0x590,     // Armenian
        0x10a0..0x1100,   // Georgian
        0x13a0..0x1400,   // Cherokee
        0x1400..0x1680,   // Canadian Aboriginal
        0x16a0..0x1700,   // Runic
        0x1c80..0x1cc0,   // Cyrillic and Georgian again
        0x1d26..0x1d2b,   // Greek small capitals
        0x1f00..0x2000,   // Greek with breathings
        0x2c80..0x2d00,   // Coptic
        0x2d00..0x2d80,   // Georgian and Tifinagh
        0xa4d0..0xa500,   // Lisu
        0xa640..0xa6a0,   // Cyrillic again
        0xab70..0xabc0,   // Cherokee again
        0x10280..0x10330, // Lycian, Carian, Old Italic
        0x10400..0x10450, // Deseret
        0x104b0..0x10500, // Osage
        0x10500..0x10530, // Elbasan
        0x118a0..0x11900, // Warang Citi
        0x16f00..0x16fa0, // Miao
        0xa500..0xa640,   // Vai
    ];
    #[rustfmt::skip]
    const NEAR: [(char, char); 14] = [
        ('к', 'k'), ('т', 't'), ('м', 'm'), ('н', 'h'), ('в', 'b'), ('г', 'r'), ('п', 'n'), ('и', 'u'), ('ш', 'w'),
        ('ь', 'b'), ('Ь', 'b'), ('ѡ', 'w'), ('ԍ', 'g'), ('ћ', 'h'),
    ];
    #[rustfmt::skip]
    const SYMBOLS: [(char, char); 13] = [
        ('α', 'a'), ('γ', 'y'), ('ε', 'e'), ('η', 'n'), ('ι', 'i'), ('κ', 'k'), ('ν', 'v'), ('ρ', 'p'), ('σ', 'o'),
        ('τ', 't'), ('υ', 'u'), ('χ', 'x'), ('ω', 'w'),
    ];
    let mut letters = HashMap::new();
    for c in ALPHABETS
        .into_iter()
        .flatten()
        .filter_map(char::from_u32)
        .filter(|&c| is_letter(c))
    {
        if let Some(plain) = likeness(c) {
            letters.insert(c, Letter::Exact(plain));
        }
    }
    letters.extend(
        "αβγδεζηθικλμνξπρσςτυφχψωΓΔΘΛΞΠΣΦΨΩϑϕϖϱϵϰ"
            .chars()
            .map(|c| (c, Letter::Symbol(None))),
    );
    letters.extend(SYMBOLS.map(|(c, plain)| (c, Letter::Symbol(Some(plain)))));
    letters.extend(NEAR.map(|(c, plain)| (c, Letter::Near(plain))));
    letters.extend([('ɑ', 'a'), ('ɡ', 'g')].map(|(c, plain)| (c, Letter::Phonetic(plain))));
    letters
});

/// The Latin letter, perhaps with marks, that a letter has the very shape of by UTS 39.
fn likeness(c: char) -> Option<char> {
    let mut marks = std::iter::once(c).nfd();
    let base = marks.next()?;
    let prototype: String = skeleton(base.encode_utf8(&mut [0; 4])).collect();
    let plain = match prototype.as_str() {
        // UTS 39 gives all upright strokes the same prototype, and writes m as its likeness.
        "l" if !base.is_lowercase() => 'I',
        "rn" => 'm',
        one => one
            .chars()
            .next()
            .filter(|first| first.is_ascii_alphabetic() && one.len() == 1)?,
    };
    // ў has no Latin counterpart in one character: it stays, so that no mark appears that was not there.
    let mut composed = std::iter::once(plain).chain(marks).nfc();
    composed.next().filter(|_| composed.next().is_none())
}

/// What a word is to the rules at the top.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Latin,
    Mixed,
    Undecided,
    Foreign,
    Neutral,
}

fn classify(word: &[Piece], before: Option<char>) -> Word {
    let (mut latin, mut exact, mut near, mut symbols, mut foreign, mut phonetic) = (0, 0, 0, 0, 0, 0);
    let mut has_small_latin = false;
    let mut scripts = None;
    let mut is_two_scripts = false;
    for piece in word {
        match letter(piece.ch) {
            Letter::Latin => {
                latin += 1;
                has_small_latin |= piece.ch.is_lowercase();
            }
            Letter::Phonetic(_) => phonetic += 1,
            Letter::Exact(_) => exact += 1,
            Letter::Near(_) => near += 1,
            Letter::Symbol(_) => symbols += 1,
            Letter::Foreign => foreign += 1,
            Letter::Neutral => continue,
        }
        let script = piece.ch.script();
        is_two_scripts |= scripts.is_some_and(|first| first != script);
        scripts = Some(script);
    }
    if latin + phonetic == 0 {
        return match (foreign, near, symbols, exact) {
            (0, 0, 0, 0) => Word::Neutral,
            (0, 0, 0, _) if is_two_scripts => Word::Mixed,
            (0, 0, 0, _) => Word::Undecided,
            _ if is_two_scripts => Word::Neutral,
            (0, 0, _, _) if symbols + exact <= 2 => Word::Neutral,
            _ => Word::Foreign,
        };
    }
    // SMSки is Russian, with an ending behind the abbreviation.
    if foreign > 0 || near > latin + phonetic + exact || (near > 0 && !has_small_latin) {
        return Word::Neutral;
    }
    match symbols_are_letters(word) {
        None => Word::Neutral,
        Some(are_letters) if are_letters || exact + near > 0 || reads_phonetic(word, before) => Word::Mixed,
        Some(_) => Word::Latin,
    }
}

/// Whether any symbol of a word stands in the place of a Latin letter; none where one does that has no likeness.
fn symbols_are_letters(word: &[Piece]) -> Option<bool> {
    let runs = runs_in_place_of_letters(word);
    let has_likeness = |piece: &Piece| letter(piece.ch) != Letter::Symbol(None);
    let all_have = runs.iter().all(|run| word[run.clone()].iter().all(has_likeness));
    all_have.then_some(!runs.is_empty())
}

/// The runs of symbols in a word that stand in the place of Latin letters.
fn runs_in_place_of_letters(word: &[Piece]) -> Vec<Range<usize>> {
    let is_symbol = |piece: &Piece| matches!(letter(piece.ch), Letter::Symbol(_));
    // Looks at neighbours as they will be, so that the answer stays the same afterwards.
    let is_small = |piece: &Piece| match letter(piece.ch) {
        Letter::Latin => piece.ch.is_lowercase(),
        Letter::Exact(plain) | Letter::Near(plain) | Letter::Phonetic(plain) => plain.is_lowercase(),
        _ => false,
    };
    let length = word.iter().filter(|piece| is_letter(piece.ch)).count();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < word.len() {
        let end = at + word[at..].iter().take_while(|piece| is_symbol(piece)).count();
        if end > at {
            let before = at.checked_sub(1).is_some_and(|before| is_small(&word[before]));
            let after = word.get(end).is_some_and(is_small);
            if (before && after) || ((before || after) && length >= SHORTEST_WITH_SYMBOL) {
                runs.push(at..end);
            }
        }
        at = end + 1;
    }
    runs
}

/// Whether the phonetic letters of a word are disguises: a plain word otherwise, and no transcription in brackets.
fn reads_phonetic(word: &[Piece], before: Option<char>) -> bool {
    let plain = |piece: &Piece| match letter(piece.ch) {
        Letter::Latin => piece.ch.is_ascii(),
        Letter::Neutral => piece.ch.is_ascii(),
        _ => true,
    };
    word.len() >= 3
        && !matches!(before, Some('/' | '['))
        && word.iter().any(|piece| matches!(letter(piece.ch), Letter::Phonetic(_)))
        && word.iter().all(plain)
}

/// Makes mixed and, where the evidence is there, undecided words Latin.
fn make_latin(pieces: &mut [Piece], words: &[Vec<Range<usize>>], disguises: &mut Vec<Disguise>) {
    let before = |pieces: &[Piece], word: &Range<usize>| word.start.checked_sub(1).map(|at| pieces[at].ch);
    let kinds: Vec<Vec<Word>> = words
        .iter()
        .map(|words| {
            words
                .iter()
                .map(|word| classify(&pieces[word.clone()], before(pieces, word)))
                .collect()
        })
        .collect();
    let count = |kinds: &[Word]| {
        let foreign = kinds.iter().filter(|&&kind| kind == Word::Foreign).count();
        let latin = kinds
            .iter()
            .filter(|&&kind| matches!(kind, Word::Latin | Word::Mixed))
            .count();
        (latin, foreign)
    };
    let is_latin = |(latin, foreign): (usize, usize)| foreign == 0 || latin > foreign;
    let (latin, foreign) = kinds
        .iter()
        .map(|kinds| count(kinds))
        .fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    if !is_latin((latin, foreign)) {
        return;
    }
    let mut mixed = Vec::new();
    let mut undecided = Vec::new();
    for (words, kinds) in words.iter().zip(&kinds).filter(|(_, kinds)| is_latin(count(kinds))) {
        mixed.extend(
            words
                .iter()
                .zip(kinds)
                .filter(|&(_, &kind)| kind == Word::Mixed)
                .map(|(word, _)| word.clone()),
        );
        undecided.extend(away_from_foreign(words, kinds));
    }
    if latin == 0 && mixed.is_empty() || latin < LATIN_PER_FOREIGN * foreign {
        undecided.clear();
    }
    if mixed.is_empty() {
        undecided.retain(|word| is_common(pieces, word));
        if undecided.len() < 2 {
            undecided.clear();
        }
    }
    for word in mixed.into_iter().chain(undecided) {
        let before = before(pieces, &word);
        spell_in_latin(&mut pieces[word], before, disguises);
    }
}

/// The undecided words of a line whose nearest decided neighbours are foreign on neither side.
fn away_from_foreign(words: &[Range<usize>], kinds: &[Word]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut waiting = Vec::new();
    let mut previous = None;
    for (word, &kind) in words.iter().zip(kinds) {
        match kind {
            Word::Undecided => waiting.push(word.clone()),
            Word::Neutral => {}
            _ => {
                if previous == Some(Word::Foreign) || kind == Word::Foreign {
                    waiting.clear();
                }
                found.append(&mut waiting);
                previous = Some(kind);
            }
        }
    }
    if previous != Some(Word::Foreign) {
        found.append(&mut waiting);
    }
    found
}

/// Whether an undecided word is a common English one when made Latin, and not set in quotation marks.
fn is_common(pieces: &[Piece], word: &Range<usize>) -> bool {
    let latin: String = pieces[word.clone()]
        .iter()
        .filter_map(|piece| plain_form(piece.ch))
        .flat_map(char::to_lowercase)
        .collect();
    let before = word.start.checked_sub(1).map(|at| pieces[at].ch);
    let is_quoted = matches!(
        before,
        Some('"' | '\'' | '“' | '‘' | '«' | '„' | '‚' | '‹' | '*' | '_' | '/' | '[')
    );
    !is_quoted && COMMON.contains(&latin.as_str())
}

fn spell_in_latin(word: &mut [Piece], before: Option<char>, disguises: &mut Vec<Disguise>) {
    let mut is_sign = vec![true; word.len()];
    for run in runs_in_place_of_letters(word) {
        is_sign[run].fill(false);
    }
    let phonetic = reads_phonetic(word, before);
    for at in 0..word.len() {
        let plain = match letter(word[at].ch) {
            Letter::Exact(plain) | Letter::Near(plain) => plain,
            Letter::Symbol(Some(plain)) if !is_sign[at] => plain,
            Letter::Phonetic(plain) if phonetic => plain,
            _ => continue,
        };
        note(disguises, DisguiseKind::Homoglyph, &word[at..=at], plain);
        word[at].ch = plain;
    }
}
