//! What can be wrong with an input: each a sentence that names it and says what to do.

use super::printable;
use std::io;

/// Why an input could not be judged. The names are already safe to print.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Nothing lies at the path.
    #[error("`{name}` does not exist; check the path")]
    Missing {
        /// The input.
        name: String,
    },
    /// The system refuses to let this user read it.
    #[error("`{name}` may not be read for want of permission; change its permissions or read it as another user")]
    Permission {
        /// The input.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The path is a folder.
    #[error("`{name}` is a directory; name the files in it, e.g. `{name}/*.txt`")]
    Directory {
        /// The input.
        name: String,
    },
    /// The system failed while reading.
    #[error("`{name}` could not be read ({source}); check the file and the disk that it lies on")]
    Unreadable {
        /// The input.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// More bytes than are ever read.
    #[error("`{name}` is larger than {limit_mib} MiB, the most that is read; split it into parts")]
    TooLarge {
        /// The input.
        name: String,
        /// The limit.
        limit_mib: u64,
    },
    /// No bytes, or nothing but white space.
    #[error("`{name}` is empty or holds only white space; there is nothing to judge")]
    Empty {
        /// The input.
        name: String,
    },
    /// A document format that wraps its text.
    #[error("`{name}` is {format}, not plain text; extract the text first, e.g. with {remedy}")]
    Wrapped {
        /// The input.
        name: String,
        /// The format, with its article.
        format: &'static str,
        /// A program that extracts the text.
        remedy: &'static str,
    },
    /// Not text at all.
    #[error("`{name}` is binary, not text ({reason}); extract the text first, or name another file")]
    Binary {
        /// The input.
        name: String,
        /// What gave it away.
        reason: String,
    },
    /// Another Unicode encoding, recognised but not read.
    #[error("`{name}` looks like {encoding}; convert it to UTF-8, e.g. with `iconv -f {charset} -t UTF-8`")]
    Encoding {
        /// The input.
        name: String,
        /// What it looks like.
        encoding: &'static str,
        /// The name of that encoding for iconv.
        charset: &'static str,
    },
    /// A pipe, a socket or a device, where only a file will do.
    #[error(
        "`{name}` is no file but a pipe or a device, which can be read only once or never ends; write it to a file first"
    )]
    Special {
        /// The input.
        name: String,
    },
    /// A line that is no JSON object.
    #[error("`{name}` is no JSON ({reason}); write one object a line, in UTF-8")]
    NotJson {
        /// The file and the line.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// A file or row that is no CSV.
    #[error(
        "`{name}` cannot be read as CSV ({reason}); write values with commas between them, and quotes around those that hold some"
    )]
    NotCsv {
        /// The file, or the file and the row.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// A file that is no Parquet, or is damaged.
    #[error("`{name}` cannot be read as Parquet ({reason}); write it again, or name another file")]
    NotParquet {
        /// The file.
        name: String,
        /// What the library said.
        reason: String,
    },
    /// A Parquet file in a compressed file.
    #[error("`{name}` is a compressed Parquet file, which cannot be read from its end; unpack it first")]
    PackedParquet {
        /// The file.
        name: String,
    },
    /// A record without a text where one should be.
    #[error("`{name}` has no text in `{column}`; name the field or column of the text with --text")]
    NoText {
        /// The file and the record.
        name: String,
        /// The field or column.
        column: String,
    },
    /// A file without a column.
    #[error("`{name}` has no column `{column}`, but {known}; name the columns with --text and --id")]
    NoColumn {
        /// The file.
        name: String,
        /// The column.
        column: String,
        /// Those that it has.
        known: String,
    },
    /// A column that holds no text.
    #[error("`{name}` holds {kind} in the column `{column}`, not text; name another column with --text")]
    NotText {
        /// The file.
        name: String,
        /// The column.
        column: String,
        /// The type of its values.
        kind: String,
    },
    /// A record that is longer than any text.
    #[error("`{name}` is longer than {limit_mib} MiB, the most that is read of one text{}; split it into parts", if *rest {", and nothing behind it is read"} else {""})]
    LongRecord {
        /// The file and the record.
        name: String,
        /// The limit.
        limit_mib: u64,
        /// Whether the rest of the file is given up as well.
        rest: bool,
    },
    /// Bytes that are not UTF-8.
    #[error(
        "`{name}` is not valid UTF-8 at byte {offset}; convert it to UTF-8, e.g. with \
         `iconv -f WINDOWS-1252 -t UTF-8` if it comes from an older Windows program"
    )]
    InvalidUtf8 {
        /// The input.
        name: String,
        /// The first byte that is wrong, counted from 0 in the input as read.
        offset: usize,
    },
    /// The end lies within a character.
    #[error(
        "`{name}` ends in the middle of a character at byte {offset}, as if it had been cut off; get the whole file, \
         or delete its last character"
    )]
    Truncated {
        /// The input.
        name: String,
        /// Where the character begins, counted from 0 in the input as read.
        offset: usize,
    },
    /// A file of a word processor that is none, or cannot be read.
    #[error(transparent)]
    Office(#[from] super::prose::OfficeError),
    /// A PDF file that is none, or cannot be read.
    #[error(transparent)]
    Pdf(#[from] super::prose::PdfError),
    /// Half of a surrogate pair.
    #[error(
        "`{name}` is not valid UTF-16 at byte {offset}, where half of a surrogate pair stands alone; save it again as \
         UTF-8 from the program that it comes from"
    )]
    UnpairedSurrogate {
        /// The input.
        name: String,
        /// The first byte that is wrong, counted from 0 in the input as read.
        offset: usize,
    },
}

impl InputError {
    /// More than [`super::MAX_BYTES`].
    pub(super) fn too_large(name: &str) -> Self {
        InputError::TooLarge {
            name: printable(name),
            limit_mib: super::MAX_BYTES >> 20,
        }
    }

    /// What an error of the system means for an input of this name.
    pub(super) fn from_io(name: &str, source: io::Error) -> Self {
        let name = printable(name);
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => InputError::Missing { name },
            io::ErrorKind::PermissionDenied => InputError::Permission { name, source },
            io::ErrorKind::IsADirectory => InputError::Directory { name },
            _ => InputError::Unreadable { name, source },
        }
    }
}
