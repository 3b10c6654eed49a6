//! GitLab's code quality report. Reference: "Code Quality" in its documentation, a subset of Code Climate's format.

use super::{Format, Layout};
use crate::gate::{GateReport, TextOutcome};
use crate::sentences::runs as sentences;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{self, Write};
use whowrote_input::lower_hex;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "gitlab",
    help: "code quality report of GitLab",
    is_styled: false,
    reports: None,
    run: Some(write),
    evaluation: None,
    table: None,
};

fn write(report: &GateReport, _: Layout, out: &mut dyn Write) -> io::Result<()> {
    let of_texts = report.texts.iter().filter_map(|text| {
        let severity = match text.outcome {
            TextOutcome::Fail => "major",
            TextOutcome::Warn => "minor",
            TextOutcome::Pass => return None,
        };
        let description = format!("{} Digest: {}", sentences::message(report, text), text.sha256);
        let issues = text.lines.iter().map(move |[first, last]| {
            let place = format!("{}\0{}\0{first}", text.path, text.sha256);
            issue(
                sentences::kind(text),
                severity,
                &description,
                &place,
                &text.path,
                *first,
                *last,
            )
        });
        Some(issues.collect::<Vec<_>>())
    });
    let of_notes = [
        ("note", "info", &report.notes),
        ("unreadable", "major", &report.unreadable),
    ];
    let of_notes = of_notes.into_iter().flat_map(|(check, severity, notes)| {
        notes.iter().map(move |note| {
            let line = note.line.unwrap_or(1);
            let place = format!("{}\0{}", note.path, note.message);
            issue(check, severity, &note.message, &place, &note.path, line, line)
        })
    });
    let issues: Vec<Value> = of_texts.flatten().chain(of_notes).collect();
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    writeln!(out)
}

fn issue(check: &str, severity: &str, description: &str, place: &str, path: &str, first: usize, last: usize) -> Value {
    json!({
        "description": description,
        "check_name": format!("whowrote/{check}"),
        // GitLab recognises the same finding in the same place in the next run.
        "fingerprint": lower_hex(&Sha256::digest(place)),
        "severity": severity,
        "location": {"path": path, "lines": {"begin": first, "end": last}},
    })
}
