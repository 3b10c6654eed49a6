//! Output formats: each is one file and one line in [`FORMATS`].

mod annotations;
mod code_quality;
mod file;
mod journal;
mod json;
mod junit;
mod sarif;
mod table;
mod text;
mod text_evaluations;
mod text_runs;

pub use file::OutFile;
pub use journal::{Finished, Journal, beside};
pub use text::Detail;

use crate::gate::GateReport;
use crate::report::ProvenanceReport;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::path::Path;
use whowrote_evaluation::Evaluation;

/// All output formats. Each command offers those that can print its results.
pub const FORMATS: [&Format; 7] = [
    &text::FORMAT,
    &json::FORMAT,
    &table::FORMAT,
    &sarif::FORMAT,
    &junit::FORMAT,
    &annotations::FORMAT,
    &code_quality::FORMAT,
];

/// A way to print results.
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// Its description in the help.
    pub help: &'static str,
    /// Whether it has ANSI styles, which must be stripped if the stream is not a terminal.
    pub is_styled: bool,
    /// Prints reports on single texts, one after another (`detect`).
    pub reports: Option<fn(Layout) -> Box<dyn ReportWriter>>,
    /// Prints a whole run of the gate (`gate`).
    pub run: Option<RunWriter>,
    /// Prints how well texts whose authors are known were judged (`eval`).
    pub evaluation: Option<EvaluationWriter>,
    /// Makes a table from JSON lines (`batch`), in a file with this ending.
    pub table: Option<(&'static str, TableWriter)>,
}

/// Prints a whole run of the gate.
pub type RunWriter = fn(&GateReport, Layout, &mut dyn Write) -> io::Result<()>;

/// Prints how well texts whose authors are known were judged.
pub type EvaluationWriter = fn(&Evaluation, Layout, &mut dyn Write) -> io::Result<()>;

/// Makes a table from JSON lines. The arguments are the lines, the output, the names of the columns, and the path for
/// messages.
pub type TableWriter = fn(&mut dyn BufRead, &mut (dyn Write + Send), &TableNames, &Path) -> anyhow::Result<()>;

/// The names that decide the columns of a table.
#[derive(Clone, Debug, Default)]
pub struct TableNames {
    /// The authors of the verdicts.
    pub authors: Vec<String>,
    /// The models.
    pub models: Vec<String>,
    /// The fields whose values are kept.
    pub kept: Vec<String>,
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

/// The layout of results for reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// How much is printed.
    pub detail: Detail,
    /// The width that text is wrapped at, in columns.
    pub width: usize,
}

/// Prints reports one after another.
pub trait ReportWriter {
    /// Prints one report, whole.
    fn write(&mut self, report: &ProvenanceReport, out: &mut dyn Write) -> io::Result<()>;
}

/// The formats that can print reports on single texts.
pub fn formats_of_reports() -> impl Iterator<Item = &'static Format> {
    FORMATS.into_iter().filter(|format| format.reports.is_some())
}

/// The formats that can print runs of the gate.
pub fn formats_of_runs() -> impl Iterator<Item = &'static Format> {
    FORMATS.into_iter().filter(|format| format.run.is_some())
}

/// The formats that can print evaluations.
pub fn formats_of_evaluations() -> impl Iterator<Item = &'static Format> {
    FORMATS.into_iter().filter(|format| format.evaluation.is_some())
}

/// Makes a table for a file with this ending; none if no format has the ending.
pub fn table_with_ending(ending: &str) -> Option<TableWriter> {
    FORMATS.into_iter().find_map(|format| {
        let (known, write) = format.table?;
        (known == ending).then_some(write)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_format_has_its_own_name_and_something_to_print() {
        let names: BTreeSet<&str> = FORMATS.iter().map(|format| format.name).collect();
        assert_eq!(names.len(), FORMATS.len());
        for format in FORMATS {
            assert!(
                format.reports.is_some() || format.run.is_some() || format.table.is_some(),
                "{format:?}"
            );
        }
    }
}
