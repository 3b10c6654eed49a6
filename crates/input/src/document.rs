//! One text, decoded and ready to judge.
//!
//! A [`Document`] comes from a file, from standard input or from bytes in memory. Nothing reads more than
//! [`MAX_BYTES`]. Every failure is an [`InputError`]: one sentence that names the input and says what to do.

use super::disguise::{self, Disguise, DisguiseKind};
use super::layout::without_layout;
use super::offset_map::OffsetMap;
use super::prose::{self, Markup};
use super::records::Kept;
use super::{InputError, charset, printable, unpack};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest input, in bytes.
///
/// A long novel has about 3 MB. 64 MiB is far more than any one text has, and still fits in memory several times.
pub const MAX_BYTES: u64 = 64 << 20;

/// Where one text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, written `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The name in reports: the path as the user typed it, or `-`.
    pub fn name(&self) -> String {
        match self {
            Source::Stdin => "-".to_owned(),
            Source::File(path) => path.to_string_lossy().into_owned(),
        }
    }
}

impl From<&OsStr> for Source {
    fn from(argument: &OsStr) -> Self {
        if argument == "-" {
            Source::Stdin
        } else {
            Source::File(PathBuf::from(argument))
        }
    }
}

impl From<OsString> for Source {
    fn from(argument: OsString) -> Self {
        Source::from(argument.as_os_str())
    }
}

/// What a report says about the input itself.
#[derive(Clone, Debug, Serialize)]
pub struct InputSummary {
    /// The path as the user typed it, or `-` for standard input. In a file of many texts, the number of the line or row
    /// follows.
    pub name: String,
    /// The name that a file of many texts gives this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Other values that the file gives for the text, by their fields.
    #[serde(skip_serializing_if = "Kept::is_empty")]
    pub kept: Kept,
    /// SHA-256 of the bytes as read, in lower-case hexadecimal.
    pub sha256: String,
    /// Number of bytes as read.
    pub bytes: usize,
    /// Number of Unicode scalar values after decoding.
    pub chars: usize,
    /// Number of words after the layout was taken off.
    pub words: usize,
    /// How the text was taken out of a file in another format; none if the file is judged as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extraction: Option<Extraction>,
}

/// How a text was taken out of a file in another format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extraction {
    /// The format, such as `markdown`.
    pub format: &'static str,
    /// What was left out, in words.
    pub left_out: &'static str,
    /// Number of words that were left.
    pub words: usize,
}

/// A text that can be judged: it is decoded, not empty, and not binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path as the user typed it, or `-` for standard input. In a file of many texts, the number of the line or row
    /// follows.
    pub name: String,
    /// The name that a file of many texts gives this one.
    pub id: Option<String>,
    /// Other values that the file gives for the text, by their fields.
    pub kept: Kept,
    /// The text without a byte order mark, without layout and without disguises. Every line ends in a single line feed.
    pub text: String,
    /// The text with its disguises, if it has any.
    pub disguised: Option<Disguised>,
    /// Where the text with its disguises stood before its layout was taken off; none if it had no layout.
    pub layout: Option<OffsetMap>,
    /// SHA-256 of the bytes as read, before decoding, in lower-case hexadecimal.
    pub sha256: String,
    /// Number of bytes as read.
    pub bytes: usize,
    /// Number of Unicode scalar values of the text as decoded.
    pub chars: usize,
    /// How the text was taken out of a file in another format; none if the file is judged as it is.
    pub extraction: Option<Extraction>,
    /// Whether it continues another text by the same author.
    pub continues: bool,
}

/// A text with its disguises.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disguised {
    /// The text as decoded, without layout.
    pub text: String,
    /// How many disguises of each kind were removed.
    pub kinds: BTreeMap<DisguiseKind, usize>,
    /// The first disguises, in the order of the text. Their offsets are those of the text as decoded.
    pub disguises: Vec<Disguise>,
}

impl Document {
    /// Reads a file or standard input to its end. The ending of a file's name says whether its text must be taken out of
    /// another format ([`Markup::of_document`]), and a PDF file is known by its first bytes too. Anything else is read as it
    /// is.
    pub fn read(source: &Source) -> Result<Self, InputError> {
        let (name, bytes) = bytes_of(source)?;
        Self::by_ending(&name, &bytes, Path::new(&name))
    }

    /// Reads a file or standard input to its end as it is, whatever its name says. Its layout stays.
    pub fn read_plain(source: &Source) -> Result<Self, InputError> {
        let (name, bytes) = bytes_of(source)?;
        Self::as_it_is(&name, &bytes)
    }

    /// Reads a document to its end. Reading stops one byte after [`MAX_BYTES`]. If there is a `path`, its ending counts as
    /// in [`Self::read`]; without one the document is read as it is.
    pub fn from_reader(name: &str, reader: impl Read, path: Option<&Path>) -> Result<Self, InputError> {
        let bytes = limited(name, reader)?;
        match path {
            Some(path) => Self::by_ending(name, &bytes, path),
            None => Self::as_it_is(name, &bytes),
        }
    }

    /// Decodes a document whose layout stays.
    fn as_it_is(name: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let text = decoded(name, bytes)?;
        let digest = lower_hex(&Sha256::digest(bytes));
        Ok(Self::undisguised(name.to_owned(), text, digest, bytes.len()))
    }

    /// Takes the text out of bytes in another format, which the ending of the path or the first bytes tell.
    fn by_ending(name: &str, bytes: &[u8], path: &Path) -> Result<Self, InputError> {
        let is_pdf = bytes.starts_with(b"%PDF-");
        match Markup::of_document(path).or(is_pdf.then_some(Markup::Pdf)) {
            Some(markup) => Self::extracted(name, bytes, markup),
            None => Self::from_bytes(name, bytes),
        }
    }

    /// Takes the text out of a file in another format: its paragraphs, with an empty line between them.
    fn extracted(name: &str, bytes: &[u8], markup: Markup) -> Result<Self, InputError> {
        if bytes.len() as u64 > MAX_BYTES {
            return Err(InputError::too_large(name));
        }
        let prose = prose::of_file(name, markup, bytes)?;
        let text = prose.text();
        if text.is_empty() {
            return Err(InputError::NoProse {
                name: printable(name),
                format: markup.name(),
            });
        }
        let extraction = Extraction {
            format: markup.id(),
            left_out: markup.leaves_out(),
            words: text.split_whitespace().count(),
        };
        let digest = lower_hex(&Sha256::digest(bytes));
        Ok(Self {
            extraction: Some(extraction),
            ..Self::undisguised(name.to_owned(), text, digest, bytes.len())
        })
    }

    /// Decodes a document from bytes in memory.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let text = decoded(name, bytes)?;
        let digest = lower_hex(&Sha256::digest(bytes));
        Ok(Self::new(name.to_owned(), text, digest, bytes.len()))
    }

    /// Makes a document of a text that is already decoded.
    pub fn from_text(name: String, text: String) -> Self {
        let (digest, bytes) = (lower_hex(&Sha256::digest(&text)), text.len());
        Self::new(name, text, digest, bytes)
    }

    /// Makes a document of a passage of [`Prose`](prose::Prose), whose layout is off already and which may continue another
    /// passage.
    pub fn from_passage(name: String, text: String, continues: bool) -> Self {
        let (digest, bytes) = (lower_hex(&Sha256::digest(&text)), text.len());
        Self {
            continues,
            ..Self::undisguised(name, text, digest, bytes)
        }
    }

    /// Takes the layout and the disguises off a decoded text. `sha256` and `bytes` describe the input before decoding.
    fn new(name: String, text: String, sha256: String, bytes: usize) -> Self {
        let Some(plain) = without_layout(&text) else {
            return Self::undisguised(name, text, sha256, bytes);
        };
        let chars = text.chars().count();
        let mut document = Self::undisguised(name, plain.text, sha256, bytes);
        for disguise in document
            .disguised
            .iter_mut()
            .flat_map(|disguised| &mut disguised.disguises)
        {
            disguise.start = plain.map.original(disguise.start);
            disguise.end = plain.map.original(disguise.end);
        }
        Self {
            chars,
            layout: Some(plain.map),
            ..document
        }
    }

    /// Takes the disguises off a decoded text.
    fn undisguised(name: String, text: String, sha256: String, bytes: usize) -> Self {
        let chars = text.chars().count();
        let plain = disguise::undisguise(&text);
        let disguised = (!plain.kinds.is_empty()).then_some(Disguised {
            text,
            kinds: plain.kinds,
            disguises: plain.disguises,
        });
        Document {
            name,
            id: None,
            kept: Kept::new(),
            text: plain.text,
            disguised,
            layout: None,
            sha256,
            bytes,
            chars,
            extraction: None,
            continues: false,
        }
    }

    /// Whether the text is not as it was decoded.
    pub fn is_changed(&self) -> bool {
        self.disguised.is_some() || self.layout.is_some()
    }

    /// Maps byte offsets of [`Self::text`] to byte offsets of the text as decoded.
    pub fn original_offsets(&self) -> impl Fn(usize) -> usize {
        let plain = self
            .disguised
            .as_ref()
            .map(|disguised| disguise::undisguise(&disguised.text));
        move |offset| {
            let offset = plain.as_ref().map_or(offset, |plain| plain.original_offset(offset));
            self.layout.as_ref().map_or(offset, |layout| layout.original(offset))
        }
    }

    /// What a report says about the input.
    pub fn summary(&self) -> InputSummary {
        InputSummary {
            name: self.name.clone(),
            id: self.id.clone(),
            kept: self.kept.clone(),
            sha256: self.sha256.clone(),
            bytes: self.bytes,
            chars: self.chars,
            words: self.text.split_whitespace().count(),
            extraction: self.extraction.clone(),
        }
    }
}

/// The name of a source, and its bytes to its end or to one more than [`MAX_BYTES`].
fn bytes_of(source: &Source) -> Result<(String, Vec<u8>), InputError> {
    let name = source.name();
    let bytes = match source {
        Source::Stdin => limited(&name, io::stdin().lock())?,
        Source::File(path) => limited(&name, unpack::open_stream(path)?)?,
    };
    Ok((name, bytes))
}

/// The bytes of a reader to its end or to one more than [`MAX_BYTES`].
fn limited(name: &str, reader: impl Read) -> Result<Vec<u8>, InputError> {
    let mut bytes = Vec::new();
    let read = reader.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::from_io(name, error))?;
    Ok(bytes)
}

/// Reads the bytes of a regular file.
///
/// # Errors
/// When it cannot be read, is a pipe or a device, or has more than [`MAX_BYTES`].
pub fn read_file(path: &Path) -> Result<Vec<u8>, InputError> {
    let name = path.to_string_lossy();
    let mut bytes = Vec::new();
    let read = unpack::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::from_io(&name, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::too_large(&name));
    }
    Ok(bytes)
}

/// Decodes a file's bytes. Every line ends in a single line feed.
pub(super) fn decoded(name: &str, bytes: &[u8]) -> Result<String, InputError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::too_large(name));
    }
    charset::decode(name, bytes)
}

/// A digest in lower-case hexadecimal.
pub fn lower_hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest
        .iter()
        .fold(String::with_capacity(2 * digest.len()), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sentence(name: &str, bytes: &[u8]) -> String {
        Document::from_bytes(name, bytes)
            .expect_err("must be refused")
            .to_string()
    }

    #[test]
    fn the_checksum_is_of_the_raw_bytes_and_the_text_is_decoded() {
        let document = Document::from_bytes("x", b"\xef\xbb\xbfa\r\nb").unwrap();
        assert_eq!(document.text, "a\nb");
        assert_eq!((document.bytes, document.chars), (7, 3));
        assert_eq!(document.sha256, lower_hex(&Sha256::digest(b"\xef\xbb\xbfa\r\nb")));
        assert_eq!(
            Document::from_bytes("x", b"abc").unwrap().sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(document.summary().name, "x");
    }

    #[test]
    fn text_is_taken_out_of_markdown_unless_the_file_is_to_be_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("essay.md");
        let markdown = "# A *title*\n\nOne [link](http://example.org/x)\nand `code`.\n\n```\nfn main() {}\n```\n\n- an item\n- another\n";
        std::fs::write(&path, markdown).unwrap();
        let document = Document::read(&Source::File(path.clone())).unwrap();
        assert_eq!(document.text, "A title\n\nOne link and code.\n\nan item\nanother\n");
        let extraction = document.extraction.unwrap();
        assert_eq!((extraction.format, extraction.words), ("markdown", 9));
        assert_eq!(document.sha256, lower_hex(&Sha256::digest(markdown)));
        let as_it_is = Document::read_plain(&Source::File(path.clone())).unwrap();
        assert_eq!((as_it_is.text.as_str(), as_it_is.extraction), (markdown, None));
        std::fs::write(&path, "```\nfn main() {}\n```\n").unwrap();
        let error = Document::read(&Source::File(path)).unwrap_err();
        assert!(matches!(error, InputError::NoProse { .. }), "{error}");
    }

    #[test]
    fn a_pdf_file_is_known_whatever_its_ending() {
        let read = |path| Document::from_reader("x.txt", b"%PDF-1.7\n".as_slice(), path).unwrap_err();
        assert!(matches!(read(Some(Path::new("x.txt"))), InputError::Pdf(_)));
        assert!(matches!(read(None), InputError::Wrapped { .. }));
    }

    #[test]
    fn layout_is_taken_off_once_and_stays_where_a_file_is_read_as_it_is() {
        let text = "> The keeper of the lighthouse had not\n> spoken to anybody for a week, and when\n> the boat came at last he made some tea.\n";
        let read = |path| Document::from_reader("x.txt", text.as_bytes(), path).unwrap().text;
        assert!(read(Some(Path::new("x.txt"))).starts_with("The keeper of the lighthouse had not spoken to"));
        assert_eq!(read(None), text);
        assert_eq!(Document::from_passage(String::new(), text.to_owned(), false).text, text);
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing.txt");
        let error = Document::read(&Source::File(missing.clone())).unwrap_err();
        assert!(matches!(error, InputError::Missing { .. }));
        assert!(error.to_string().contains("nothing.txt"), "{error}");
        let error = Document::read(&Source::File(folder.path().to_owned())).unwrap_err();
        assert!(matches!(error, InputError::Directory { .. }), "{error}");
        // A path through a file instead of a folder does not exist either.
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let error = Document::read(&Source::File(file.join("below"))).unwrap_err();
        assert!(matches!(error, InputError::Missing { .. }), "{error}");
    }

    #[test]
    fn a_read_that_is_refused_says_what_to_check() {
        let error = InputError::from_io("x.txt", io::Error::from(io::ErrorKind::PermissionDenied));
        assert!(matches!(error, InputError::Permission { .. }));
        assert!(error.to_string().contains("permission"), "{error}");
        let error = InputError::from_io("x.txt", io::Error::other("the disk is on fire"));
        assert!(error.to_string().contains("x.txt"), "{error}");
    }

    #[test]
    fn reading_stops_at_the_limit_even_when_the_input_does_not_end() {
        let error = Document::from_reader("endless", io::repeat(b'a'), None).unwrap_err();
        assert!(matches!(error, InputError::TooLarge { .. }));
        assert!(error.to_string().contains("64 MiB"), "{error}");
    }

    #[test]
    fn a_hostile_name_cannot_move_the_cursor() {
        let said = sentence("a\x1b[2Jb\u{202e}", b"");
        assert!(!said.contains('\x1b') && !said.contains('\u{202e}'), "{said}");
    }

    #[test]
    fn a_dash_is_standard_input_and_anything_else_a_file() {
        assert_eq!(Source::from(OsStr::new("-")), Source::Stdin);
        assert_eq!(Source::from(OsStr::new("./-")), Source::File(PathBuf::from("./-")));
        assert_eq!(Source::from(OsStr::new("a.txt")).name(), "a.txt");
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_document_or_a_sentence(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            match Document::from_bytes("x.bin", &bytes) {
                Ok(document) => {
                    prop_assert!(!document.text.trim().is_empty());
                    prop_assert!(!document.text.contains('\r') && !document.text.contains('\0'));
                    prop_assert_eq!(document.chars, document.text.chars().count());
                }
                Err(error) => prop_assert!(error.to_string().contains("x.bin")),
            }
        }

        #[test]
        fn any_bytes_behind_a_byte_order_mark_give_a_document_or_a_sentence(
            mark in prop_oneof![Just(vec![0xFF, 0xFE]), Just(vec![0xFE, 0xFF]), Just(vec![0xEF, 0xBB, 0xBF])],
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let whole = [mark, bytes].concat();
            if let Err(error) = Document::from_bytes("x.bin", &whole) {
                prop_assert!(error.to_string().contains("x.bin"));
            }
        }

        #[test]
        fn every_encoding_of_a_text_gives_the_same_text(text in "[a-zäöü€😀 \n]{0,80}x") {
            let utf16: Vec<u16> = text.encode_utf16().collect();
            let little: Vec<u8> = [0xFF, 0xFE].into_iter().chain(utf16.iter().flat_map(|u| u.to_le_bytes())).collect();
            let big: Vec<u8> = [0xFE, 0xFF].into_iter().chain(utf16.iter().flat_map(|u| u.to_be_bytes())).collect();
            let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
            let windows = text.replace('\n', "\r\n");
            for bytes in [text.as_bytes(), &little, &big, &marked, windows.as_bytes()] {
                let document = Document::from_bytes("x", bytes).unwrap();
                let read = document.disguised.map_or(document.text, |disguised| disguised.text);
                prop_assert_eq!(&read, &text);
            }
        }
    }
}
