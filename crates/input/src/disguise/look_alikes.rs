//! The second pass: ligatures, styled letters, and letters of other scripts that look Latin.
//!
//! The confusables of UTS 39 (Unicode Security Mechanisms, section 4) say which letters look alike; the crate
//! `unicode-security` has them. UTS 39 calls two strings confusable, but does not say which one the writer meant. The
//! words around decide that here, and only ever in favour of Latin.
//!
//! # When a letter is replaced
//!
//! A *word* is a run of letters, digits and marks, with apostrophes between letters. Each of its letters is one of
//! these:
//!
//! - *Latin*;
//! - *exact*: a letter of another alphabet with the very shape of a Latin letter (`а`, `о`, `Ρ`);
//! - *near*: a Cyrillic letter that passes for Latin at a glance (`к`, `т`, `н`);
//! - *symbol*: a Greek letter that sciences use as a sign (`α`, `μ`, `Δ`);
//! - *phonetic*: `ɑ` or `ɡ`, which are Latin by script;
//! - *foreign*: any other letter.
//!
//! A word is one of these:
//!
//! - **Latin** if it has Latin letters, and otherwise only symbols that serve as signs (`TNFα`, `μm`, `Δt`);
//! - **mixed** if it has no foreign letter, and one of three things: Latin letters with exact or near ones; symbols in
//!   place of letters; or nothing but exact letters of two scripts. Near letters count only if the word has a small
//!   Latin letter, and if they do not outnumber the other letters;
//! - **undecided** if all its letters are exact and of one script: `со` is Russian, `co` is not;
//! - **foreign** if it has no Latin letter, and has foreign letters, near letters, or more than two small Greek
//!   letters;
//! - **neutral** otherwise: a Greek sign, or a mixture that cannot be read as Latin.
//!
//! A symbol serves as a sign, with two exceptions: small Latin letters stand on both sides of it (`thαt`), or a small
//! Latin letter stands on one side in a word of at least five letters (`αttack`, but not `sinα`).
//!
//! A text is *mostly Latin* if it has more Latin and mixed words than foreign ones, or no foreign words. So is a line.
//! In the mostly Latin lines of a mostly Latin text,
//!
//! 1. every mixed word becomes Latin;
//! 2. an undecided word becomes Latin under three conditions. Four in five words of the text are Latin or mixed. The
//!    nearest decided word of the line is not foreign on either side. And there is evidence: either a mixed word became
//!    Latin somewhere in the text, or the text has two undecided words that are common English when made Latin (`а`, or
//!    `he` from `һе`) and do not stand in quotation marks.
//!
//! These rules undo RAID's attack completely, which replaces every letter that has a look-alike. «Москва», «оса» or a
//! Russian sentence in an English text remain.

use super::{Character, Disguise, DisguiseKind, is_blank, lines, note};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};
use unicode_security::skeleton;

/// From this length on, a word in mathematical letters is writing. Products of variables are shorter.
const SHORTEST_STYLED: usize = 3;
/// From this length on, a symbol at the edge of a word stands for a letter. `sinα` is shorter, and mathematics.
const SHORTEST_WITH_SYMBOL: usize = 5;
/// Undecided words become Latin only if the text has this many Latin words for each foreign one.
const LATIN_PER_FOREIGN: usize = 4;

/// Common English words that can be written entirely in exact letters.
#[rustfmt::skip]
const COMMON: [&str; 36] = [
    "a", "i", "as", "is", "so", "he", "she", "his", "has", "had", "hi", "oh", "ok", "do", "did", "does", "also", "all",
    "see", "say", "says", "said", "side", "idea", "each", "else", "case", "place", "please", "space", "police", "choice",
    "paid", "ice", "eye", "age",
];

/// Replaces look-alikes by the Latin letters that they stand for.
pub(super) fn replace(characters: Vec<Character>, disguises: &mut Vec<Disguise>) -> Vec<Character> {
    if characters.iter().all(|character| character.ch < '\u{250}') {
        return characters;
    }
    let mut characters = open_ligatures(characters, disguises);
    let lines = lines(&characters);
    let words: Vec<Vec<Range<usize>>> = lines.iter().map(|line| words(&characters, line.clone())).collect();
    straighten(&mut characters, &lines, &words, disguises);
    make_latin(&mut characters, &words, disguises);
    characters
}

/// The plain Latin letter or digit that a character looks like. `None` if it is plain already, or looks like none.
pub(super) fn plain_form(c: char) -> Option<char> {
    styled(c).map(|(_, plain)| plain).or(match letter(c) {
        Letter::Exact(plain) | Letter::Near(plain) | Letter::Phonetic(plain) => Some(plain),
        Letter::Symbol(plain) => plain,
        _ => None,
    })
}

fn open_ligatures(characters: Vec<Character>, disguises: &mut Vec<Disguise>) -> Vec<Character> {
    let is_ligature = |character: &Character| matches!(character.ch, '\u{fb00}'..='\u{fb06}');
    if !characters.iter().any(is_ligature) {
        return characters;
    }
    let mut opened = Vec::with_capacity(characters.len() + 16);
    for character in characters {
        if is_ligature(&character) {
            let letters: String = std::iter::once(character.ch).nfkc().collect();
            opened.extend(letters.chars().map(|ch| Character { ch, ..character }));
            note(disguises, DisguiseKind::Ligature, &[character], letters);
        } else {
            opened.push(character);
        }
    }
    opened
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() && !is_blank(c)
}

/// The words of a line.
fn words(characters: &[Character], line: Range<usize>) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for at in line.clone() {
        let c = characters[at].ch;
        let inside = (c.is_alphanumeric() && !is_blank(c))
            || (start.is_some()
                && (is_combining_mark(c)
                    || (matches!(c, '\'' | '’')
                        && is_letter(characters[at - 1].ch)
                        && at + 1 < line.end
                        && is_letter(characters[at + 1].ch))));
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

/// The style and the plain form of a styled letter or digit. Letters in circles and letters that may be emoji are
/// signs.
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

/// Replaces fullwidth letters in lines without ideographs, where nobody uses them, and mathematical letters that spell
/// words. A single mathematical letter is a variable, unless the text has more words than variables in such letters.
fn straighten(
    characters: &mut [Character],
    lines: &[Range<usize>],
    words: &[Vec<Range<usize>>],
    disguises: &mut Vec<Disguise>,
) {
    let mathematical = |character: &Character| matches!(styled(character.ch), Some((Style::Mathematical, _)));
    let length = |word: &[Character]| word.iter().filter(|character| character.ch.is_alphanumeric()).count();
    let (mut long, mut short) = (0, 0);
    for word in words.iter().flatten().map(|word| &characters[word.clone()]) {
        if word.iter().any(mathematical) {
            *(if length(word) >= SHORTEST_STYLED {
                &mut long
            } else {
                &mut short
            }) += 1;
        }
    }
    for (line, words) in lines.iter().zip(words) {
        let is_wide = characters[line.clone()]
            .iter()
            .any(|character| is_east_asian(character.ch));
        for word in words {
            let is_writing = length(&characters[word.clone()]) >= SHORTEST_STYLED || long > short;
            for character in &mut characters[word.clone()] {
                let Some((style, plain)) = styled(character.ch) else {
                    continue;
                };
                let replaces = match style {
                    Style::Fullwidth => !is_wide,
                    Style::Mathematical => is_writing,
                };
                if replaces {
                    note(disguises, DisguiseKind::StyledLetter, &[*character], plain);
                    character.ch = plain;
                }
            }
        }
    }
}

fn is_east_asian(c: char) -> bool {
    use Script::*;
    is_letter(c) && matches!(c.script(), Han | Hiragana | Katakana | Hangul | Bopomofo)
}

/// The classes of letters in the rules above, with the Latin letter that each looks like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letter {
    Latin,
    Phonetic(char),
    Exact(char),
    Near(char),
    Symbol(Option<char>),
    Foreign,
    /// A letter without a script, such as `ª`, or a character that is not a letter.
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

/// The letters that look Latin, computed once.
static LETTERS: LazyLock<HashMap<char, Letter>> = LazyLock::new(|| {
    // Alphabets whose letters neither join nor stack. Scripts that spell with invisible characters are left out: the
    // first pass kept those characters for letters that must not turn Latin afterwards.
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

/// The Latin letter, perhaps with marks, that has the same shape by UTS 39.
fn likeness(c: char) -> Option<char> {
    let mut marks = std::iter::once(c).nfd();
    let base = marks.next()?;
    let prototype: String = skeleton(base.encode_utf8(&mut [0; 4])).collect();
    let plain = match prototype.as_str() {
        // UTS 39 has one prototype for all upright strokes, and the prototype of m is rn.
        "l" if !base.is_lowercase() => 'I',
        "rn" => 'm',
        one => one
            .chars()
            .next()
            .filter(|first| first.is_ascii_alphabetic() && one.len() == 1)?,
    };
    // ў has no Latin counterpart in one character. It stays, so that no new mark appears.
    let mut composed = std::iter::once(plain).chain(marks).nfc();
    composed.next().filter(|_| composed.next().is_none())
}

/// The classes of words in the rules above.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Latin,
    Mixed,
    Undecided,
    Foreign,
    Neutral,
}

fn classify(word: &[Character], before: Option<char>) -> Word {
    let (mut latin, mut exact, mut near, mut symbols, mut foreign, mut phonetic) = (0, 0, 0, 0, 0, 0);
    let mut has_small_latin = false;
    let mut scripts = None;
    let mut is_two_scripts = false;
    for character in word {
        match letter(character.ch) {
            Letter::Latin => {
                latin += 1;
                has_small_latin |= character.ch.is_lowercase();
            }
            Letter::Phonetic(_) => phonetic += 1,
            Letter::Exact(_) => exact += 1,
            Letter::Near(_) => near += 1,
            Letter::Symbol(_) => symbols += 1,
            Letter::Foreign => foreign += 1,
            Letter::Neutral => continue,
        }
        let script = character.ch.script();
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
    // SMSки is Russian: an abbreviation with a Russian ending.
    if foreign > 0 || near > latin + phonetic + exact || (near > 0 && !has_small_latin) {
        return Word::Neutral;
    }
    match symbols_are_letters(word) {
        None => Word::Neutral,
        Some(are_letters) if are_letters || exact + near > 0 || reads_phonetic(word, before) => Word::Mixed,
        Some(_) => Word::Latin,
    }
}

/// Whether any symbol of a word stands in place of a Latin letter. `None` if such a symbol does not look like one.
fn symbols_are_letters(word: &[Character]) -> Option<bool> {
    let runs = runs_in_place_of_letters(word);
    let has_likeness = |character: &Character| letter(character.ch) != Letter::Symbol(None);
    let all_have = runs.iter().all(|run| word[run.clone()].iter().all(has_likeness));
    all_have.then_some(!runs.is_empty())
}

/// The runs of symbols in a word that stand in place of Latin letters.
fn runs_in_place_of_letters(word: &[Character]) -> Vec<Range<usize>> {
    let is_symbol = |character: &Character| matches!(letter(character.ch), Letter::Symbol(_));
    // The neighbours count as what they will become, so that a second run gives the same answer.
    let is_small = |character: &Character| match letter(character.ch) {
        Letter::Latin => character.ch.is_lowercase(),
        Letter::Exact(plain) | Letter::Near(plain) | Letter::Phonetic(plain) => plain.is_lowercase(),
        _ => false,
    };
    let length = word.iter().filter(|character| is_letter(character.ch)).count();
    let mut runs = Vec::new();
    let mut at = 0;
    while at < word.len() {
        let end = at + word[at..].iter().take_while(|character| is_symbol(character)).count();
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

/// Whether the phonetic letters of a word are disguises: the rest of the word is plain, and it is not a transcription
/// in brackets.
fn reads_phonetic(word: &[Character], before: Option<char>) -> bool {
    let plain = |character: &Character| match letter(character.ch) {
        Letter::Latin => character.ch.is_ascii(),
        Letter::Neutral => character.ch.is_ascii(),
        _ => true,
    };
    word.len() >= 3
        && !matches!(before, Some('/' | '['))
        && word
            .iter()
            .any(|character| matches!(letter(character.ch), Letter::Phonetic(_)))
        && word.iter().all(plain)
}

/// Makes mixed words Latin, and undecided words where the evidence suffices.
fn make_latin(characters: &mut [Character], words: &[Vec<Range<usize>>], disguises: &mut Vec<Disguise>) {
    let before = |characters: &[Character], word: &Range<usize>| word.start.checked_sub(1).map(|at| characters[at].ch);
    let kinds: Vec<Vec<Word>> = words
        .iter()
        .map(|words| {
            words
                .iter()
                .map(|word| classify(&characters[word.clone()], before(characters, word)))
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
        undecided.retain(|word| is_common(characters, word));
        if undecided.len() < 2 {
            undecided.clear();
        }
    }
    for word in mixed.into_iter().chain(undecided) {
        let before = before(characters, &word);
        spell_in_latin(&mut characters[word], before, disguises);
    }
}

/// The undecided words of a line that have no foreign word as their nearest decided neighbour.
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

/// Whether an undecided word is common English when made Latin, and does not stand in quotation marks.
fn is_common(characters: &[Character], word: &Range<usize>) -> bool {
    let latin: String = characters[word.clone()]
        .iter()
        .filter_map(|character| plain_form(character.ch))
        .flat_map(char::to_lowercase)
        .collect();
    let before = word.start.checked_sub(1).map(|at| characters[at].ch);
    let is_quoted = matches!(
        before,
        Some('"' | '\'' | '“' | '‘' | '«' | '„' | '‚' | '‹' | '*' | '_' | '/' | '[')
    );
    !is_quoted && COMMON.contains(&latin.as_str())
}

fn spell_in_latin(word: &mut [Character], before: Option<char>, disguises: &mut Vec<Disguise>) {
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
