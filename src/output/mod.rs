//! A report is printed: one file a format.

mod file;
mod gate;
mod journal;
mod json;
pub mod sentences;
mod table;
mod text;

pub use file::OutFile;
pub use gate::{GateFormat, write_gate};
pub use journal::{Finished, Journal, beside};
pub use json::JsonWriter;
pub use table::write_table;
pub use text::{Detail, TextWriter};

use crate::verdict::ProvenanceReport;
use std::io::{self, Write};

/// Prints reports one after the other.
pub trait ReportWriter {
    /// Prints one report, whole.
    fn write(&mut self, report: &ProvenanceReport, out: &mut dyn Write) -> io::Result<()>;
}

/// The formats that a report can be printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For reading: the verdict in a sentence, then what it rests on
    #[default]
    Text,
    /// For programs: one JSON object a line, as docs/OUTPUT.md says
    Json,
}
