//! What became of a run of `whowrote gate` is printed: one file a format.

mod annotations;
mod code_quality;
mod junit;
mod sarif;
mod text;

use crate::gate::GateReport;
use std::io::{self, Write};

/// The formats that a run can be printed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateFormat {
    /// For reading.
    #[default]
    Text,
    /// For programs.
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// JUnit XML.
    Junit,
    /// Workflow commands of GitHub Actions.
    Github,
    /// Code quality report of GitLab.
    Gitlab,
}

impl GateFormat {
    /// All formats, each with its name and what it is.
    pub const NAMED: [(Self, &'static str, &'static str); 6] = [
        (Self::Text, "text", "For reading: what failed, where, and why"),
        (
            Self::Json,
            "json",
            "For programs: one JSON object, as docs/GATE.md says",
        ),
        (
            Self::Sarif,
            "sarif",
            "SARIF 2.1.0, which code scanning of GitHub and others reads",
        ),
        (Self::Junit, "junit", "JUnit XML, which nearly every CI shows as tests"),
        (
            Self::Github,
            "github",
            "Workflow commands of GitHub Actions: annotations on the lines",
        ),
        (Self::Gitlab, "gitlab", "Code quality report of GitLab"),
    ];
}

/// Prints a run. `verbose` prints texts that pass as well, where the format is for reading.
///
/// # Errors
/// When it cannot be written.
pub fn write_gate(
    report: &GateReport,
    format: GateFormat,
    verbose: bool,
    width: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    match format {
        GateFormat::Text => text::write(report, verbose, width, out)?,
        GateFormat::Json => {
            serde_json::to_writer(&mut *out, report)?;
            writeln!(out)?;
        }
        GateFormat::Sarif => sarif::write(report, out)?,
        GateFormat::Junit => junit::write(report, out)?,
        GateFormat::Github => annotations::write(report, out)?,
        GateFormat::Gitlab => code_quality::write(report, out)?,
    }
    out.flush()
}
