//! Runs for reading: what failed, where and why, and a summary of the run.

use super::Layout;
use super::text::{Detail, readable, wrapped};
use crate::gate::{GateReport, GateText, TextOutcome};
use crate::sentences::runs as sentences;
use anstyle::{AnsiColor, Style};
use std::io::{self, Write};
use whowrote_input::printable;

const FAIL: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default().bold();
const PASS: Style = AnsiColor::Green.on_default();
const BOLD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

pub(super) fn write(report: &GateReport, layout: Layout, out: &mut dyn Write) -> io::Result<()> {
    let width = readable(layout.width);
    let verbose = layout.detail >= Detail::Verbose;
    for text in &report.texts {
        if verbose || text.outcome != TextOutcome::Pass || text.is_suspect() {
            self::text(report, text, width, out)?;
        }
    }
    for (style, name, notes) in [(WARN, "note", &report.notes), (FAIL, "unread", &report.unreadable)] {
        for note in notes {
            let line = note.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(
                out,
                "{style}{name:<6}{style:#} {BOLD}{}{line}{BOLD:#}",
                printable(&note.path)
            )?;
            wrapped(out, width, 7, Style::new(), &printable(&note.message))?;
        }
    }
    if verbose {
        if let Some(policy) = &report.policy {
            writeln!(out, "{FAINT}policy: {}{FAINT:#}", printable(policy))?;
        }
        for line in sentences::skipped(report) {
            writeln!(out, "{FAINT}{line}{FAINT:#}")?;
        }
    }
    wrapped(out, width, 0, BOLD, &sentences::summary(report))?;
    if report.texts.iter().any(|text| text.outcome == TextOutcome::Fail) {
        wrapped(out, width, 0, Style::new(), sentences::REMEDY)?;
    }
    Ok(())
}

fn text(report: &GateReport, text: &GateText, width: usize, out: &mut dyn Write) -> io::Result<()> {
    let (style, name) = match text.outcome {
        TextOutcome::Fail => (FAIL, "FAILED"),
        TextOutcome::Warn => (WARN, "open"),
        TextOutcome::Pass => (PASS, "passed"),
    };
    let (place, words) = (sentences::place(text), text.words);
    writeln!(out, "{style}{name:<6}{style:#} {BOLD}{place}{BOLD:#} ({words} words)")?;
    wrapped(out, width, 7, Style::new(), &sentences::finding(text))?;
    if let Some(basis) = sentences::basis(report, text)
        && (text.outcome != TextOutcome::Pass || text.is_suspect())
    {
        wrapped(out, width, 7, FAINT, &basis)?;
    }
    for warning in sentences::warnings(text) {
        wrapped(out, width, 7, FAINT, &printable(&warning))?;
    }
    if text.outcome != TextOutcome::Pass {
        wrapped(out, width, 7, FAINT, &printable(&sentences::rule(text)))?;
        writeln!(out, "       {FAINT}digest {}{FAINT:#}", text.sha256)?;
    }
    Ok(())
}
