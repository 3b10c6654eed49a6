//! Decodes bytes: UTF-8 with or without a byte order mark, and UTF-16 with one.
//!
//! Line ends become single line feeds. The models were trained on texts with line feeds, so a carriage return would
//! surprise them. It would say which editor saved the text, not who wrote it.
//!
//! Nothing is guessed, and no byte is replaced: a model would score a replacement character as part of the text. Bytes
//! that cannot be decoded are refused.

use super::{InputError, printable};
use encoding_rs::{Encoding, UTF_8, UTF_16LE};
use std::borrow::Cow;

/// The largest share of control characters in a text.
///
/// A quarter of all random bytes below 128 are control characters, and about as many of the bytes in compressed or
/// executable files. Real texts have far fewer: a form feed on each page, or a stray escape sequence.
const MAX_CONTROL_SHARE: f64 = 0.05;

/// Decodes a text and normalises its line ends. Errors call the input `name`.
pub(super) fn decode(name: &str, bytes: &[u8]) -> Result<String, InputError> {
    refuse_wrapped(name, bytes)?;
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, mark)) if encoding != UTF_8 => decode_utf16(name, bytes, mark, encoding)?,
        Some((_, mark)) => decode_utf8(name, bytes, mark)?,
        None => decode_utf8(name, bytes, 0)?,
    };
    let text = with_line_feeds(text);
    if text.trim().is_empty() {
        return Err(InputError::Empty { name: printable(name) });
    }
    refuse_controls(
        name,
        text.chars().filter(|c| is_stray_control(*c)).count(),
        text.chars().count(),
    )?;
    Ok(text)
}

/// Refuses common document formats, which it knows by their first bytes.
fn refuse_wrapped(name: &str, bytes: &[u8]) -> Result<(), InputError> {
    const FORMATS: [(&[u8], &str, &str); 5] = [
        (b"%PDF", "a PDF", "`pdftotext`"),
        (
            b"PK\x03\x04",
            "a ZIP archive (as DOCX, ODT and EPUB are)",
            "`pandoc -t plain`, or by saving it as plain text",
        ),
        (
            b"\xD0\xCF\x11\xE0",
            "an old Office document",
            "`antiword`, or by saving it as plain text",
        ),
        (
            b"version https://git-lfs.github.com/spec/",
            "a pointer of Git LFS, not the file that it stands for",
            "`git lfs pull`, and name the file as it lies",
        ),
        (
            b"{\\rtf",
            "rich text (RTF)",
            "`pandoc -t plain`, or by saving it as plain text",
        ),
    ];
    match FORMATS.iter().find(|(magic, ..)| bytes.starts_with(magic)) {
        Some(&(_, format, remedy)) => Err(InputError::Wrapped {
            name: printable(name),
            format,
            remedy,
        }),
        None => Ok(()),
    }
}

fn decode_utf8<'a>(name: &str, bytes: &'a [u8], mark: usize) -> Result<Cow<'a, str>, InputError> {
    let body = &bytes[mark..];
    if let Some(offset) = body.iter().position(|byte| *byte == 0) {
        return Err(match wide_encoding(bytes) {
            Some((encoding, charset)) => InputError::Encoding {
                name: printable(name),
                encoding,
                charset,
            },
            None => InputError::Binary {
                name: printable(name),
                reason: format!("a zero byte at byte {}", mark + offset),
            },
        });
    }
    match std::str::from_utf8(body) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(error) => {
            // A photograph is binary, not badly encoded text. Its control characters show it.
            let controls = body
                .iter()
                .filter(|byte| byte.is_ascii() && is_stray_control(char::from(**byte)));
            refuse_controls(name, controls.count(), body.len())?;
            let (name, offset) = (printable(name), mark + error.valid_up_to());
            Err(match error.error_len() {
                Some(_) => InputError::InvalidUtf8 { name, offset },
                None => InputError::Truncated { name, offset },
            })
        }
    }
}

fn decode_utf16<'a>(
    name: &str,
    bytes: &'a [u8],
    mark: usize,
    encoding: &'static Encoding,
) -> Result<Cow<'a, str>, InputError> {
    if let Some((encoding, charset)) = utf32_mark(bytes) {
        return Err(InputError::Encoding {
            name: printable(name),
            encoding,
            charset,
        });
    }
    let body = &bytes[mark..];
    if body.len() % 2 == 1 {
        return Err(InputError::Truncated {
            name: printable(name),
            offset: bytes.len() - 1,
        });
    }
    let Some(text) = encoding.decode_without_bom_handling_and_without_replacement(body) else {
        let (offset, at_the_end) = unpaired_surrogate(body, encoding);
        let (name, offset) = (printable(name), mark + offset);
        return Err(if at_the_end {
            InputError::Truncated { name, offset }
        } else {
            InputError::UnpairedSurrogate { name, offset }
        });
    };
    match text.find('\0') {
        Some(_) => Err(InputError::Binary {
            name: printable(name),
            reason: "a zero character behind a UTF-16 byte order mark".to_owned(),
        }),
        None => Ok(text),
    }
}

/// The byte offset of the first unpaired surrogate, and whether the input ends in the middle of its pair.
fn unpaired_surrogate(body: &[u8], encoding: &'static Encoding) -> (usize, bool) {
    let units = body.chunks_exact(2).map(|pair| {
        let bytes = [pair[0], pair[1]];
        if encoding == UTF_16LE {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        }
    });
    let mut offset = 0;
    for decoded in char::decode_utf16(units) {
        match decoded {
            Ok(character) => offset += 2 * character.len_utf16(),
            Err(error) => {
                let is_first_half = error.unpaired_surrogate() < 0xDC00;
                return (offset, is_first_half && offset + 2 == body.len());
            }
        }
    }
    (offset, true)
}

fn utf32_mark(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    match bytes {
        [0xFF, 0xFE, 0, 0, ..] => Some(("UTF-32", "UTF-32")),
        [0, 0, 0xFE, 0xFF, ..] => Some(("UTF-32", "UTF-32")),
        _ => None,
    }
}

/// Recognises UTF-32, and UTF-16 without a byte order mark. In Latin text, every other byte of UTF-16 is zero.
fn wide_encoding(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    if let Some(found) = utf32_mark(bytes) {
        return Some(found);
    }
    let zeros = |parity: usize| bytes.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let half = bytes.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, odd) if 2 * odd > half => Some(("UTF-16 without a byte order mark", "UTF-16LE")),
        (even, 0) if 2 * even > half => Some(("UTF-16 without a byte order mark", "UTF-16BE")),
        _ => None,
    }
}

/// A control character that has no place in a text: not white space.
fn is_stray_control(character: char) -> bool {
    character.is_control() && !character.is_whitespace()
}

fn refuse_controls(name: &str, controls: usize, of: usize) -> Result<(), InputError> {
    if controls as f64 > MAX_CONTROL_SHARE * of as f64 {
        return Err(InputError::Binary {
            name: printable(name),
            reason: format!("{controls} of its {of} characters are control characters"),
        });
    }
    Ok(())
}

/// CRLF and lone CR become LF.
pub fn with_line_feeds(text: Cow<'_, str>) -> String {
    if text.contains('\r') {
        text.replace("\r\n", "\n").replace('\r', "\n")
    } else {
        text.into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16le(units: &[u16]) -> Vec<u8> {
        [0xFF, 0xFE]
            .into_iter()
            .chain(units.iter().flat_map(|unit| unit.to_le_bytes()))
            .collect()
    }

    fn sentence(bytes: &[u8]) -> String {
        decode("f.txt", bytes).expect_err("must be refused").to_string()
    }

    #[test]
    fn line_ends_become_line_feeds() {
        assert_eq!(decode("f", b"a\r\nb\rc\n\r\nd").unwrap(), "a\nb\nc\n\nd");
    }

    #[test]
    fn a_byte_order_mark_is_not_part_of_the_text() {
        assert_eq!(decode("f", "\u{feff}über".as_bytes()).unwrap(), "über");
        assert_eq!(
            decode("f", &[0xFE, 0xFF, 0x00, 0xFC, 0x00, b'\r', 0x00, b'\n']).unwrap(),
            "ü\n"
        );
        assert_eq!(decode("f", &utf16le(&[0xD83D, 0xDE00])).unwrap(), "😀");
    }

    #[test]
    fn an_input_without_text_is_called_empty() {
        for bytes in [
            b"".as_slice(),
            b" \r\n\t",
            b"\xEF\xBB\xBF",
            b"\xFF\xFE",
            "\u{a0}\u{2003}".as_bytes(),
        ] {
            assert!(sentence(bytes).contains("empty or holds only white space"), "{bytes:?}");
        }
    }

    #[test]
    fn documents_that_wrap_their_text_name_the_program_that_unwraps_it() {
        assert!(sentence(b"%PDF-1.7\n%\xE2\xE3").contains("pdftotext"));
        assert!(sentence(b"PK\x03\x04\x14\x00").contains("DOCX"));
        assert!(sentence(b"\xD0\xCF\x11\xE0\xA1\xB1").contains("Office"));
        assert!(sentence(b"{\\rtf1\\ansi Hello").contains("RTF"));
        assert_eq!(decode("f", b"PK is a text too").unwrap(), "PK is a text too");
    }

    #[test]
    fn binary_files_and_wrong_encodings_have_different_sentences() {
        assert!(sentence(b"GIF89a\x00\x01").contains("zero byte at byte 6"));
        assert!(sentence(b"\x1f\x8b\x08\x01\x02\x03\xff\xfe\x04").contains("binary"));
        assert!(sentence(b"\x01\x02 ab").contains("control characters"));
        assert!(sentence(b"fa\xE7ade in Latin-1").contains("not valid UTF-8 at byte 2"));
        assert!(sentence(b"fa\xE7ade in Latin-1").contains("iconv"));
        assert!(
            sentence("cut off at €".as_bytes().split_last().unwrap().1).contains("middle of a character at byte 11")
        );
    }

    #[test]
    fn a_few_control_characters_do_not_make_a_text_binary() {
        let text = format!("{}\x1b[0m\x0c", "A page of text. ".repeat(10));
        assert_eq!(decode("f", text.as_bytes()).unwrap(), text);
    }

    #[test]
    fn broken_utf16_is_refused_with_the_place() {
        assert!(sentence(&[0xFF, 0xFE, b'a', 0, b'b']).contains("middle of a character at byte 4"));
        assert!(sentence(&utf16le(&[0x61, 0xD83D])).contains("middle of a character at byte 4"));
        assert!(sentence(&utf16le(&[0x61, 0xD83D, 0x62])).contains("not valid UTF-16 at byte 4"));
        assert!(sentence(&utf16le(&[0x61, 0xDE00])).contains("not valid UTF-16 at byte 4"));
        assert!(sentence(&utf16le(&[0x61, 0])).contains("binary"));
    }

    #[test]
    fn other_unicode_encodings_are_recognised_and_named() {
        let plain: Vec<u8> = "No mark here".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(sentence(&plain).contains("-f UTF-16LE"));
        let plain: Vec<u8> = "No mark here".encode_utf16().flat_map(u16::to_be_bytes).collect();
        assert!(sentence(&plain).contains("-f UTF-16BE"));
        assert!(sentence(b"\xFF\xFE\0\0a\0\0\0").contains("-f UTF-32"));
        assert!(sentence(b"\0\0\xFE\xFF\0\0\0a").contains("-f UTF-32"));
    }
}
