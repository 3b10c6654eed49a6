//! Workflow commands of GitHub Actions, which GitHub shows as annotations on the lines of a pull request. Reference:
//! "Workflow commands for GitHub Actions" in its documentation.

use super::{Format, Layout};
use crate::gate::{GateReport, NoteLevel, TextOutcome};
use crate::sentences::runs as sentences;
use std::io::{self, Write};
use whowrote_input::printable;
use whowrote_input::prose::LineUnit;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "github",
    help: "annotations of GitHub Actions",
    is_styled: false,
    reports: None,
    run: Some(write),
    evaluation: None,
    table: None,
};

fn write(report: &GateReport, _: Layout, out: &mut dyn Write) -> io::Result<()> {
    for text in &report.texts {
        let command = match text.outcome {
            TextOutcome::Fail => "error",
            TextOutcome::Warn => "warning",
            TextOutcome::Pass if text.is_suspect() => "notice",
            TextOutcome::Pass => continue,
        };
        let title = "whowrote";
        let remedy = if text.outcome == TextOutcome::Fail {
            sentences::REMEDY
        } else {
            ""
        };
        let message = format!("{} Digest: {}. {remedy}", sentences::message(report, text), text.sha256);
        for [first, last] in &text.lines {
            let lines = match text.unit {
                LineUnit::Line => format!(",line={first},endLine={last}"),
                LineUnit::Paragraph => String::new(),
            };
            let path = property(&printable(&text.path));
            writeln!(out, "::{command} file={path}{lines},title={title}::{}", value(&message))?;
        }
    }
    for (unread, notes) in [(false, &report.notes), (true, &report.unreadable)] {
        for note in notes {
            let command = match (unread, note.level) {
                (true, _) => "error",
                (false, NoteLevel::Warning) => "warning",
                (false, NoteLevel::Notice) => "notice",
            };
            let line = note.line.map(|line| format!(",line={line}")).unwrap_or_default();
            let path = property(&printable(&note.path));
            writeln!(
                out,
                "::{command} file={path}{line},title=whowrote::{}",
                value(&note.message)
            )?;
        }
    }
    // This line is not a command, so its percent signs are not escaped.
    writeln!(out, "{}", sentences::summary(report))
}

/// Escapes a message. A line feed would end it, and what follows could be another command.
fn value(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// Escapes the value of a property, which ends at a comma or a colon.
fn property(text: &str) -> String {
    value(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_becomes_a_command_or_a_property() {
        assert_eq!(property("a,b:c%\r\nd"), "a%2Cb%3Ac%25%0D%0Ad");
        assert_eq!(value("50%\n::error::x"), "50%25%0A::error::x");
    }
}
