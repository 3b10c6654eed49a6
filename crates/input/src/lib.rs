//! Reads texts: bytes become documents, without markup and without disguises. This crate knows nothing of models.
//!
//! The data takes this way:
//!
//! 1. **Find the texts.** [`Corpus`] walks folders, lists and standard input for `batch`. [`Repository`] asks Git what
//!    a branch changed, for `gate`.
//! 2. **Read the bytes.** `unpack` opens a file and decompresses it. `charset` decodes UTF-8 and UTF-16.
//! 3. **Split files of many texts.** `json_lines`, `records`, `parquet` and `pairs` give one [`Record`] per line, row or text.
//! 4. **Extract the prose.** [`prose`] takes the text out of Markdown, HTML, LaTeX, DOCX, PDF, program code and other markup.
//! 5. **Make a [`Document`]**: the text with its name, size and SHA-256. [`layout`] joins the lines that a program has broken.
//!    [`disguise`] removes look-alike letters, invisible characters and odd spaces.
//! 6. **Cut it.** [`pieces`] cuts a long text at the ends of sentences.
//! 7. **Correct the spelling.** [`spelling`] finds common misspellings, so that a report can say what they change.
//!
//! Whatever goes wrong is an [`InputError`], a sentence for the person who named the input.

mod catch_panic;
mod charset;
mod corpus;
pub mod disguise;
mod document;
mod error;
mod hyphens;
mod json_lines;
pub mod layout;
mod offset_map;
mod pairs;
mod parquet;
mod pieces;
mod printable;
pub mod prose;
mod records;
mod revisions;
pub mod spelling;
mod unpack;

pub use catch_panic::catch_panic;
pub use charset::with_line_feeds;
pub use corpus::{Corpus, CorpusOptions, CorpusSource, FileFormat, Shard, files_of};
pub use document::{Disguised, Document, Extraction, InputSummary, MAX_BYTES, Source, lower_hex, read_file};
pub use error::InputError;
pub use json_lines::{JsonLine, JsonLines};
pub use offset_map::OffsetMap;
pub use pieces::{neighbours, parts, pieces};
pub use printable::printable;
pub use records::{Columns, Kept, Record};
pub use revisions::{Change, Comparison, Repository, RevisionError, Version};
