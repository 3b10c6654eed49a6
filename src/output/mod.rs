//! A report is printed: one file a format.

mod file;
mod gate;
mod journal;
mod json;
mod table;
mod text;

pub use file::OutFile;
pub use gate::{GateFormat, write_gate};
pub use journal::{Finished, Journal, beside};
pub use json::JsonWriter;
pub use table::write_table;
pub use text::{Detail, TextWriter};

use crate::report::ProvenanceReport;
use std::io::{self, Write};

/// Prints reports one after the other.
pub trait ReportWriter {
    /// Prints one report, whole.
    fn write(&mut self, report: &ProvenanceReport, out: &mut dyn Write) -> io::Result<()>;
}

/// The formats that a report can be printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For reading.
    #[default]
    Text,
    /// For programs.
    Json,
}

impl Format {
    /// All formats, each with its name and what it is.
    pub const NAMED: [(Self, &'static str, &'static str); 2] = [
        (
            Self::Text,
            "text",
            "For reading: the verdict in a sentence, then what it rests on",
        ),
        (
            Self::Json,
            "json",
            "For programs: one JSON object a line, as docs/OUTPUT.md says",
        ),
    ];
}
