//! SARIF 2.1.0 (OASIS, *Static Analysis Results Interchange Format Version 2.1.0*), which code scanning reads.

use super::{Format, Layout};
use crate::gate::{GateReport, GateText, Note, NoteLevel, TextOutcome};
use crate::sentences::runs as sentences;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::io::{self, Write};
use whowrote_input::prose::LineUnit;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "sarif",
    help: "SARIF 2.1.0, for code scanning",
    is_styled: false,
    reports: None,
    run: Some(write),
    evaluation: None,
    table: None,
};

/// Percent-encodes all of a path except these characters.
const PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The kinds of findings, with their names and descriptions.
const RULES: [(&str, &str); 3] = [
    (
        "forbidden-author",
        "No author that the policy allows can have written this text.",
    ),
    (
        "author-undecided",
        "The evidence is inconclusive: it does not show whether an author that the policy allows wrote this text.",
    ),
    ("note", "A note about a file, apart from the texts that were judged."),
];

fn write(report: &GateReport, _: Layout, out: &mut dyn Write) -> io::Result<()> {
    let rules = RULES.map(|(id, text)| {
        let text = json!({"text": text});
        json!({"id": id, "shortDescription": text, "fullDescription": text, "help": {"text": sentences::REMEDY}})
    });
    let of_texts = report.texts.iter().filter_map(|text| of_text(report, text));
    let of_notes = report.notes.iter().map(of_note);
    let notifications: Vec<Value> = report.unreadable.iter().map(unread).collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "whowrote",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "invocations": [{
                "executionSuccessful": report.unreadable.is_empty(),
                "toolExecutionNotifications": notifications,
            }],
            "results": of_texts.chain(of_notes).collect::<Vec<_>>(),
            "columnKind": "unicodeCodePoints",
            "properties": {"summary": sentences::summary(report)},
        }],
    });
    serde_json::to_writer_pretty(&mut *out, &sarif)?;
    writeln!(out)
}

/// The result for a text; none if it passes.
fn of_text(report: &GateReport, text: &GateText) -> Option<Value> {
    let level = match text.outcome {
        TextOutcome::Fail => "error",
        TextOutcome::Warn => "warning",
        TextOutcome::Pass => return None,
    };
    let rule = RULES
        .iter()
        .position(|(id, _)| *id == sentences::kind(text))
        .unwrap_or_default();
    let locations = text.lines.iter().map(|[first, last]| {
        let region = match text.unit {
            LineUnit::Line => Some((*first, *last)),
            LineUnit::Paragraph => None,
        };
        location(&text.path, region)
    });
    Some(json!({
        "ruleId": RULES[rule].0,
        "ruleIndex": rule,
        "level": level,
        "message": {"text": sentences::message(report, text)},
        "locations": locations.collect::<Vec<_>>(),
        "partialFingerprints": {"wordsSha256/v1": text.sha256},
        "properties": {"p_value": text.p_value, "level": text.level, "words": text.words},
    }))
}

fn of_note(note: &Note) -> Value {
    json!({
        "ruleId": RULES[2].0,
        "ruleIndex": 2,
        "level": match note.level {
            NoteLevel::Warning => "warning",
            NoteLevel::Notice => "note",
        },
        "message": {"text": note.message},
        "locations": [location(&note.path, note.line.map(|line| (line, line)))],
    })
}

fn unread(note: &Note) -> Value {
    json!({
        "level": "error",
        "message": {"text": note.message},
        "locations": [location(&note.path, None)],
    })
}

fn location(path: &str, lines: Option<(usize, usize)>) -> Value {
    let mut location = json!({
        "artifactLocation": {"uri": utf8_percent_encode(path, PATH).to_string(), "uriBaseId": "%SRCROOT%"},
    });
    if let Some((first, last)) = lines {
        location["region"] = json!({"startLine": first, "endLine": last});
    }
    json!({"physicalLocation": location})
}
