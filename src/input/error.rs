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
