//! Bytes become a document.
//!
//! A [`Document`] is made from a file or from standard input, never from more than [`MAX_BYTES`], and every way in
//! which that can fail is an [`InputError`]: one sentence that names the input and says what to do.

mod catch_panic;
mod charset;
mod corpus;
pub mod disguise;
mod error;
mod parquet;
mod printable;
pub mod prose;
mod records;
mod revisions;
pub mod spelling;
mod unpack;

pub use catch_panic::catch_panic;
pub use charset::with_line_feeds;
pub use corpus::{Corpus, Finding, Holding, Root, Shard, files_of};
pub use error::InputError;
pub use printable::printable;
pub use records::{Columns, Record};
pub use revisions::{Change, Comparison, Repository, RevisionError, Version};

use disguise::{Disguise, DisguiseKind};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

/// The largest input that is read, in bytes.
///
/// A long novel has about 3 MB; 64 MiB is far beyond any one text and still fits in memory several times over.
pub const MAX_BYTES: u64 = 64 << 20;

/// Where a text comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Standard input, written `-` on the command line.
    Stdin,
    /// A file.
    File(PathBuf),
}

impl Source {
    /// The name that reports give the input: the path as the user typed it, or `-`.
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

/// What is known about a text itself.
#[derive(Clone, Debug, Serialize)]
pub struct InputSummary {
    /// The path as the user gave it, or `-` for standard input; with the number of a line or row of a file of many texts.
    pub name: String,
    /// What such a file calls the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// SHA-256 of the bytes as read, in lower-case hexadecimal.
    pub sha256: String,
    /// Length of the input as read.
    pub bytes: usize,
    /// Unicode scalar values after decoding.
    pub chars: usize,
}

/// A text that can be judged: it is decoded, not empty, and not binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The path as the user gave it, or `-` for standard input; with the number of a line or row of a file of many.
    pub name: String,
    /// What such a file calls it.
    pub id: Option<String>,
    /// The text without a byte order mark, with every line end as a single line feed, and without disguises.
    pub text: String,
    /// The same with its disguises, where it has any.
    pub disguised: Option<Disguised>,
    /// SHA-256 of the bytes as read, before decoding, in lower-case hexadecimal.
    pub sha256: String,
    /// Number of bytes as read.
    pub bytes: usize,
    /// Number of Unicode scalar values of the text, with its disguises.
    pub chars: usize,
}

/// A text that was disguised, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disguised {
    /// The text as it came.
    pub text: String,
    /// How many disguises of each kind were taken off.
    pub kinds: BTreeMap<DisguiseKind, usize>,
    /// The first of them, in the order of the text.
    pub disguises: Vec<Disguise>,
}

impl Document {
    /// Reads a file, or standard input to its end.
    pub fn read(source: &Source) -> Result<Self, InputError> {
        match source {
            Source::Stdin => Self::from_reader("-", io::stdin().lock()),
            Source::File(path) => {
                let name = source.name();
                // Unix opens a directory and fails at the first read; Windows refuses to open it as if for want of
                // permission. Asking first gives both the same sentence.
                if path.is_dir() {
                    return Err(InputError::Directory { name: printable(&name) });
                }
                let file = File::open(path).map_err(|error| InputError::from_io(&name, error))?;
                Self::from_reader(&name, file)
            }
        }
    }

    /// Reads a document from anything that can be read, to its end or to one byte more than [`MAX_BYTES`].
    pub fn from_reader(name: &str, reader: impl Read) -> Result<Self, InputError> {
        let mut bytes = Vec::new();
        reader
            .take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| InputError::from_io(name, error))?;
        Self::from_bytes(name, &bytes)
    }

    /// Decodes a document that is already in memory.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, InputError> {
        let text = decoded(name, bytes)?;
        let digest = lower_hex(&Sha256::digest(bytes));
        Ok(Self::new(name.to_owned(), text, digest, bytes.len()))
    }

    /// A text that was taken out of something else, as it is.
    pub fn from_text(name: String, text: String) -> Self {
        let (digest, bytes) = (lower_hex(&Sha256::digest(&text)), text.len());
        Self::new(name, text, digest, bytes)
    }

    /// The document of a text that was decoded from so many bytes of this digest.
    fn new(name: String, text: String, sha256: String, bytes: usize) -> Self {
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
            text: plain.text,
            disguised,
            sha256,
            bytes,
            chars,
        }
    }

    /// What a report says of the input.
    pub fn summary(&self) -> InputSummary {
        InputSummary {
            name: self.name.clone(),
            id: self.id.clone(),
            sha256: self.sha256.clone(),
            bytes: self.bytes,
            chars: self.chars,
        }
    }
}

/// The bytes of a file that is no pipe and no device.
///
/// # Errors
/// When it cannot be read, or has more than [`MAX_BYTES`].
pub fn read_file(path: &std::path::Path) -> Result<Vec<u8>, InputError> {
    let name = path.to_string_lossy();
    let mut bytes = Vec::new();
    let read = unpack::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| InputError::from_io(&name, error))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::too_large(&name));
    }
    Ok(bytes)
}

/// The text in a file's bytes, with line feeds as line ends.
fn decoded(name: &str, bytes: &[u8]) -> Result<String, InputError> {
    if bytes.len() as u64 > MAX_BYTES {
        return Err(InputError::too_large(name));
    }
    charset::decode(name, bytes)
}

/// A digest as it is mostly written.
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
    fn a_missing_file_and_a_directory_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("nothing.txt");
        let error = Document::read(&Source::File(missing.clone())).unwrap_err();
        assert!(matches!(error, InputError::Missing { .. }));
        assert!(error.to_string().contains("nothing.txt"), "{error}");
        let error = Document::read(&Source::File(folder.path().to_owned())).unwrap_err();
        assert!(matches!(error, InputError::Directory { .. }), "{error}");
        // A file in the place of a folder is one more way of not being there.
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
        let error = Document::from_reader("endless", io::repeat(b'a')).unwrap_err();
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
