//! The first pass: characters without a glyph, and stacks of combining marks.
//!
//! The Unicode Standard says where invisible characters are spelling. It treats joiners in chapters 9 (Arabic), 12 and
//! 13 (Indic) and 23.2 (layout controls), variation selectors in 23.4, emoji and flags in UTS 51, and marks of
//! direction in UAX 9.

use super::look_alikes::plain_form;
use super::{Character, Disguise, DisguiseKind, ends_line, is_blank, note};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_script::{Script, UnicodeScript};

/// The most marks on a letter that do not compose with it. Phonetic transcription uses two.
const MOST_MARKS: usize = 2;
/// The most letters and digits in the flag of a region, such as `usca` or `gbeng`.
const LONGEST_REGION: usize = 6;

const ZERO_WIDTH_SPACE: char = '\u{200b}';
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const BLACK_FLAG: char = '\u{1f3f4}';
const KEYCAP: char = '\u{20e3}';
const END_OF_TAG: char = '\u{e007f}';

/// The characters of a text, without invisible ones that do nothing where they stand and without stacked marks.
pub(super) fn remove(text: &str, disguises: &mut Vec<Disguise>) -> Vec<Character> {
    let mut kept = Vec::with_capacity(text.len());
    let mut line = Vec::new();
    for (start, ch) in text.char_indices() {
        line.push(Character {
            ch,
            start,
            // It is at most four.
            len: ch.len_utf8() as u8,
        });
        if ends_line(ch) {
            clean_line(&line, &mut kept, disguises);
            line.clear();
        }
    }
    clean_line(&line, &mut kept, disguises);
    kept
}

fn clean_line(line: &[Character], kept: &mut Vec<Character>, disguises: &mut Vec<Disguise>) {
    let first = kept.len();
    // Most lines have nothing that this pass can change.
    if line.iter().all(|character| character.ch < '\u{ad}') {
        kept.extend_from_slice(line);
        return;
    }
    let right_to_left = line.iter().any(|character| is_right_to_left(character.ch));
    // For each character, the next one with a glyph of its own. Going backwards keeps this linear.
    let mut next = vec![None; line.len()];
    for at in (1..line.len()).rev() {
        next[at - 1] = match line[at].ch {
            c if is_transparent(c) => next[at],
            c => Some(c),
        };
    }
    let mut previous = None;
    // The last character kept. Marks do not count, because they may still go with their stack.
    let mut neighbour = None;
    let mut in_flag = 0;
    for (at, &character) in line.iter().enumerate() {
        let c = character.ch;
        let last = kept[first..].last().map(|character| character.ch);
        let keep = match kind_of(c) {
            None => true,
            Some(DisguiseKind::Tag) => {
                if last == Some(BLACK_FLAG) {
                    in_flag = flag_length(&line[at..]);
                }
                let keep = in_flag > 0;
                in_flag = in_flag.saturating_sub(1);
                keep
            }
            Some(DisguiseKind::VariationSelector) => {
                let after = line.get(at + 1).map(|character| character.ch);
                last.is_some_and(|last| has_variant(last, c, after))
            }
            Some(DisguiseKind::BidiControl) => {
                right_to_left && !matches!(c, '\u{202d}' | '\u{202e}') && neighbour != Some(c)
            }
            Some(DisguiseKind::ZeroWidth) => {
                let is_second =
                    matches!(neighbour, Some(NON_JOINER | JOINER | ZERO_WIDTH_SPACE)) || neighbour == Some(c);
                !is_second
                    && match c {
                        JOINER => {
                            joins(previous, next[at], has_joiners)
                                || (previous.is_some_and(is_pictograph) && next[at].is_some_and(is_pictograph))
                        }
                        NON_JOINER => joins(previous, next[at], has_joiners),
                        ZERO_WIDTH_SPACE => joins(previous, next[at], is_written_without_spaces),
                        '\u{1160}' => joins(previous, next[at], |c| c.script() == Script::Hangul && !is_blank(c)),
                        '\u{180e}' => joins(previous, next[at], is_mongolian),
                        '\u{34f}' => previous.is_some_and(|c| is_right_to_left(c) || has_joiners(c)),
                        _ => false,
                    }
            }
            Some(_) => false,
        };
        if !keep {
            note(
                disguises,
                kind_of(c).unwrap_or(DisguiseKind::ZeroWidth),
                &[character],
                "",
            );
            continue;
        }
        if !is_transparent(c) {
            previous = Some(c);
        }
        if !can_be_stacked(c) {
            neighbour = Some(c);
        }
        kept.push(character);
    }
    flatten_stacks(first, kept, disguises);
}

/// Removes the marks of every letter that has more than spelling needs.
fn flatten_stacks(first: usize, kept: &mut Vec<Character>, disguises: &mut Vec<Disguise>) {
    let mut read = first;
    let mut written = first;
    while read < kept.len() {
        let base = kept[read];
        let marks = kept[read + 1..]
            .iter()
            .take_while(|character| can_be_stacked(character.ch))
            .count();
        let stack = read + 1..read + 1 + marks;
        let is_stacked = !can_be_stacked(base.ch) && is_too_high(base.ch, &kept[stack.clone()]);
        if is_stacked {
            note(disguises, DisguiseKind::CombiningMark, &kept[stack.clone()], "");
        }
        let stays = if is_stacked { read + 1 } else { stack.end };
        kept.copy_within(read..stays, written);
        written += stays - read;
        read = stack.end;
    }
    kept.truncate(written);
}

/// Whether more than [`MOST_MARKS`] marks are left after composition with the letter, or with the Latin letter it looks
/// like.
fn is_too_high(base: char, marks: &[Character]) -> bool {
    marks.len() > MOST_MARKS
        && [Some(base), plain_form(base)].into_iter().flatten().any(|base| {
            let composed = std::iter::once(base)
                .chain(marks.iter().map(|mark| mark.ch))
                .nfc()
                .count();
            // A base can compose of several characters only in Hangul and in singletons, and never of marks.
            composed > MOST_MARKS + 1
        })
}

/// Whether a character is a combining mark that no script stacks. Enclosing marks belong to keycaps and signs.
fn can_be_stacked(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{34e}' | '\u{350}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20dc}' | '\u{20e1}' | '\u{20e5}'..='\u{20f0}' | '\u{fe20}'..='\u{fe2f}')
}

/// The kind of disguise that an invisible character is where it does nothing. `None` for visible characters.
fn kind_of(c: char) -> Option<DisguiseKind> {
    match c {
        '\u{ad}' => Some(DisguiseKind::SoftHyphen),
        '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' => Some(DisguiseKind::ZeroWidth),
        '\u{34f}' | '\u{1160}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => Some(DisguiseKind::ZeroWidth),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Some(DisguiseKind::BidiControl)
        }
        '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Some(DisguiseKind::VariationSelector),
        _ if is_mongolian_selector(c) => Some(DisguiseKind::VariationSelector),
        '\u{e0000}'..='\u{e007f}' => Some(DisguiseKind::Tag),
        _ => None,
    }
}

/// Whether a character does not separate its neighbours: it is invisible, or a mark on the character before.
fn is_transparent(c: char) -> bool {
    kind_of(c).is_some() || (is_combining_mark(c) && c.script() == Script::Inherited)
}

/// Whether an invisible character stands beside a character that it is made for.
///
/// One neighbour is enough: a joiner at the end of a word gives the last letter the form it has inside a word.
fn joins(previous: Option<char>, next: Option<char>, belongs: impl Fn(char) -> bool) -> bool {
    previous.is_some_and(&belongs) || next.is_some_and(&belongs)
}

fn is_right_to_left(c: char) -> bool {
    use Script::*;
    matches!(
        c.script(),
        Hebrew | Arabic | Syriac | Thaana | Nko | Samaritan | Mandaic | Adlam | Hanifi_Rohingya | Mende_Kikakui
    )
}

/// Whether joiners are part of spelling in the script, as in cursive and Indic scripts.
fn has_joiners(c: char) -> bool {
    use Script::*;
    matches!(
        c.script(),
        Arabic
            | Syriac
            | Mandaic
            | Nko
            | Adlam
            | Hanifi_Rohingya
            | Mongolian
            | Phags_Pa
            | Manichaean
            | Sogdian
            | Devanagari
            | Bengali
            | Gurmukhi
            | Gujarati
            | Oriya
            | Tamil
            | Telugu
            | Kannada
            | Malayalam
            | Sinhala
            | Khmer
            | Myanmar
            | Tibetan
            | Thai
            | Lao
            | Javanese
            | Balinese
            | Sundanese
            | Grantha
            | Chakma
            | Newa
            | Tirhuta
            | Sharada
            | Meetei_Mayek
            | Limbu
            | Kaithi
            | Modi
            | Nandinagari
            | Siddham
            | Brahmi
    )
}

/// Whether the script uses a zero-width space to mark where a line may break.
fn is_written_without_spaces(c: char) -> bool {
    use Script::*;
    matches!(
        c.script(),
        Thai | Lao
            | Khmer
            | Myanmar
            | Tibetan
            | Javanese
            | Balinese
            | Tai_Tham
            | New_Tai_Lue
            | Han
            | Hiragana
            | Katakana
    )
}

fn is_mongolian(c: char) -> bool {
    matches!(c.script(), Script::Mongolian | Script::Phags_Pa)
}

fn is_mongolian_selector(c: char) -> bool {
    matches!(c, '\u{180b}'..='\u{180d}' | '\u{180f}')
}

/// Whether a variation selector has an effect. It does right after an emoji, the digit of a keycap, a mathematical
/// sign, an ideograph, or a letter of a script with standardised variants.
fn has_variant(base: char, selector: char, after: Option<char>) -> bool {
    use Script::*;
    match selector {
        '\u{fe0e}' | '\u{fe0f}' => {
            is_pictograph(base) || (matches!(base, '0'..='9' | '#' | '*') && after == Some(KEYCAP))
        }
        '\u{fe00}'..='\u{fe0d}' => {
            matches!(base, '0' | '\u{2190}'..='\u{22ff}' | '\u{2a00}'..='\u{2aff}' | '、' | '。' | '！' | '，' | '．' | '：' | '；' | '？')
                || matches!(
                    base.script(),
                    Han | Myanmar | Phags_Pa | Manichaean | Egyptian_Hieroglyphs
                )
        }
        '\u{e0100}'..='\u{e01ef}' => base.script() == Han,
        _ => is_mongolian(base),
    }
}

/// Whether a character is in a block with emoji of UTS 51. Blocks are enough: the aim is only to leave every emoji
/// intact.
fn is_pictograph(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}' | '\u{2190}'..='\u{21ff}'
        | '\u{2300}'..='\u{23ff}' | '\u{24c2}' | '\u{25a0}'..='\u{27bf}' | '\u{2934}' | '\u{2935}'
        | '\u{2b00}'..='\u{2bff}' | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

/// The number of tag characters that complete a flag here, including its end tag. 0 if they do not spell a flag.
fn flag_length(tags: &[Character]) -> usize {
    let letters = tags
        .iter()
        .take(LONGEST_REGION + 1)
        .take_while(|tag| matches!(tag.ch, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}'))
        .count();
    match tags.get(letters) {
        Some(end) if end.ch == END_OF_TAG && (1..=LONGEST_REGION).contains(&letters) => letters + 1,
        _ => 0,
    }
}
