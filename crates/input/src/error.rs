//! What can be wrong with an input. Each error is a sentence that names the input and says what to do.

use super::printable;
use std::io;

/// Why an input cannot be judged. The names in it are already safe to print.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Nothing exists at the path.
    #[error("`{name}` does not exist; check the path")]
    Missing {
        /// The input.
        name: String,
    },
    /// This user may not read the file.
    #[error(
        "`{name}` cannot be read: you have no permission; change its permissions, or run this as a user who may read it"
    )]
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
    #[error("`{name}` could not be read ({source}); check the file and its disk")]
    Unreadable {
        /// The input.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// The input exceeds the size limit.
    #[error("`{name}` is larger than {limit_mib} MiB, the largest size allowed; split it into parts")]
    TooLarge {
        /// The input.
        name: String,
        /// The limit.
        limit_mib: u64,
    },
    /// The input has no bytes, or only white space.
    #[error("`{name}` is empty or holds only white space; there is nothing to judge")]
    Empty {
        /// The input.
        name: String,
    },
    /// The file is of a document format, not plain text.
    #[error("`{name}` is {format}, not plain text; extract the text first, e.g. with {remedy}")]
    Wrapped {
        /// The input.
        name: String,
        /// The format, with its article.
        format: &'static str,
        /// A program that extracts the text.
        remedy: &'static str,
    },
    /// The bytes are not text.
    #[error("`{name}` is binary, not text ({reason}); extract the text first, or name another file")]
    Binary {
        /// The input.
        name: String,
        /// How that is known.
        reason: String,
    },
    /// The text is in another Unicode encoding, which is recognised but not decoded.
    #[error("`{name}` looks like {encoding}; convert it to UTF-8, e.g. with `iconv -f {charset} -t UTF-8`")]
    Encoding {
        /// The input.
        name: String,
        /// The encoding it seems to have.
        encoding: &'static str,
        /// The name of that encoding for iconv.
        charset: &'static str,
    },
    /// The path is a pipe, a socket or a device, and only a regular file will do.
    #[error("`{name}` is a pipe or a device, not a file; write its content to a file first")]
    Special {
        /// The input.
        name: String,
    },
    /// A line cannot be read as a JSON object.
    #[error("`{name}` cannot be read as a JSON object ({reason}); write one object per line, in UTF-8")]
    NotJson {
        /// The file and the line.
        name: String,
        /// What the parser said.
        reason: String,
    },
    /// A JSON object runs over many lines of a file.
    #[error("`{name}` holds a JSON object that runs over many lines; put each object on one line, e.g. with `jq -c .`")]
    JsonOverLines {
        /// The file.
        name: String,
    },
    /// A JSON array has no end.
    #[error("`{name}` ends before its JSON array does, as if it were cut off; get the whole file")]
    ArrayWithoutEnd {
        /// The file.
        name: String,
    },
    /// A row of CSV has a quotation mark that is not closed.
    #[error(
        "`{name}` opens a quotation mark and never closes it, so this row is left out; close it, and double each \
         quotation mark inside a value"
    )]
    OpenQuote {
        /// The file, or the file and the row.
        name: String,
    },
    /// The file is no JSON object with two lists of texts.
    #[error(
        "`{name}` cannot be read as pairs ({reason}); it should be one JSON object with two lists of texts of one length, \
         `original` and `sampled`"
    )]
    NotPairs {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is not Parquet, or is damaged.
    #[error("`{name}` cannot be read as Parquet ({reason}); write the file again, or name another one")]
    NotParquet {
        /// The file.
        name: String,
        /// What the library said.
        reason: String,
    },
    /// A Parquet file inside a compressed file. Parquet is read from its end, so it cannot be streamed.
    #[error("`{name}` is a Parquet file inside a compressed file; decompress it first")]
    PackedParquet {
        /// The file.
        name: String,
    },
    /// A record has no text where it should have one.
    #[error(
        "`{name}` has no text in `{column}`, which is null or missing; if the texts are elsewhere, name the field or \
         column with --text"
    )]
    NoText {
        /// The file and the record.
        name: String,
        /// The field or column.
        column: String,
    },
    /// An object lacks the field of the text.
    #[error("`{name}` has no field `{field}`, but {known}; name the field of the text with --text")]
    NoField {
        /// The file and the object.
        name: String,
        /// The field.
        field: String,
        /// The fields that it has.
        known: String,
    },
    /// An object holds a chat instead of a text.
    #[error(
        "`{name}` holds a chat in `{chat}` and no `{field}`; copy the message to judge into a field of its own, e.g. \
         with `jq -c '.{field} = .{chat}[-1].{message}'`"
    )]
    Chat {
        /// The file and the object.
        name: String,
        /// The field of the text.
        field: String,
        /// The field of the chat.
        chat: &'static str,
        /// The field of a message's text.
        message: &'static str,
    },
    /// The file lacks a column.
    #[error("`{name}` has no column `{column}`, but {known}; name the right columns with --text, --id and --keep")]
    NoColumn {
        /// The file.
        name: String,
        /// The column.
        column: String,
        /// The columns that it has.
        known: String,
    },
    /// A field or column does not hold text.
    #[error("`{name}` holds {kind} in `{column}`, not text; name another field or column with --text")]
    NotText {
        /// The file, or the file and the record.
        name: String,
        /// The field or column.
        column: String,
        /// The type of its values.
        kind: String,
    },
    /// A column of ids that are not single values.
    #[error(
        "`{name}` holds {kind} in the column `{column}`, which cannot be repeated in results; name another column with --id or --keep"
    )]
    NotId {
        /// The file.
        name: String,
        /// The column.
        column: String,
        /// What its values are.
        kind: String,
    },
    /// A file in another format, without prose.
    #[error("`{name}` was read as {format} and contains no prose; use --plain to judge the file as it is")]
    NoProse {
        /// The file.
        name: String,
        /// The format.
        format: &'static str,
    },
    /// A record exceeds the size limit.
    #[error(
        "`{name}` is longer than {limit_mib} MiB, the longest text allowed{}; split it into parts",
        if *rest { ", and the rest of the file is not read" } else { "" }
    )]
    LongRecord {
        /// The file and the record.
        name: String,
        /// The limit.
        limit_mib: u64,
        /// Whether the rest of the file is given up too.
        rest: bool,
    },
    /// The bytes are not UTF-8.
    #[error(
        "`{name}` is not valid UTF-8 at byte {offset}; convert it to UTF-8, e.g. with \
         `iconv -f WINDOWS-1252 -t UTF-8` if it comes from an older Windows program"
    )]
    InvalidUtf8 {
        /// The input.
        name: String,
        /// The position of the first wrong byte, counted from 0 in the input as read.
        offset: usize,
    },
    /// The input ends in the middle of a character.
    #[error(
        "`{name}` ends in the middle of a character at byte {offset}, as if it were cut off; get the whole file, or \
         delete its last character"
    )]
    Truncated {
        /// The input.
        name: String,
        /// Where the character begins, counted from 0 in the input as read.
        offset: usize,
    },
    /// A word processor's file cannot be read.
    #[error(transparent)]
    Office(#[from] super::prose::OfficeError),
    /// A mail cannot be read.
    #[error("`{name}` is not a mail; if it is plain text, give it the ending `.txt` or read it with `--plain`")]
    Mail {
        /// The file.
        name: String,
    },
    /// A PDF file cannot be read.
    #[error(transparent)]
    Pdf(#[from] super::prose::PdfError),
    /// Half of a surrogate pair stands alone.
    #[error(
        "`{name}` is not valid UTF-16 at byte {offset}: half of a surrogate pair stands alone; open it in the program \
         that made it, and save it as UTF-8"
    )]
    UnpairedSurrogate {
        /// The input.
        name: String,
        /// The position of the first wrong byte, counted from 0 in the input as read.
        offset: usize,
    },
}

impl InputError {
    /// The input has more than [`super::MAX_BYTES`].
    pub(super) fn too_large(name: &str) -> Self {
        InputError::TooLarge {
            name: printable(name),
            limit_mib: super::MAX_BYTES >> 20,
        }
    }

    /// The sentence for an error of the operating system.
    pub(super) fn from_io(name: &str, source: io::Error) -> Self {
        let name = printable(name);
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => InputError::Missing { name },
            io::ErrorKind::FileTooLarge => InputError::too_large(&name),
            io::ErrorKind::PermissionDenied => InputError::Permission { name, source },
            io::ErrorKind::IsADirectory => InputError::Directory { name },
            _ => InputError::Unreadable { name, source },
        }
    }
}
