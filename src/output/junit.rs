//! JUnit XML: a test suite with one test for each text.

use super::{Format, Layout};
use crate::gate::{GateReport, TextOutcome};
use crate::sentences::runs as sentences;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::io::{self, Write};
use whowrote_input::printable;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "junit",
    help: "JUnit XML, for the test pages of CI services",
    is_styled: false,
    reports: None,
    run: Some(write),
    evaluation: None,
    table: None,
};

fn write(report: &GateReport, _: Layout, out: &mut dyn Write) -> io::Result<()> {
    let mut suite = TestSuite::new("whowrote gate");
    for text in &report.texts {
        let finding = sentences::finding(text);
        let status = match text.outcome {
            TextOutcome::Fail => {
                let mut failed = TestCaseStatus::non_success(NonSuccessKind::Failure);
                failed.set_message(finding.as_str()).set_type(sentences::kind(text));
                let message = sentences::message(report, text);
                failed.set_description(format!("{message} Digest: {}. {}", text.sha256, sentences::REMEDY));
                failed
            }
            TextOutcome::Warn | TextOutcome::Pass => TestCaseStatus::success(),
        };
        let mut case = TestCase::new(sentences::place(text), status);
        case.set_classname(printable(&text.path));
        if text.outcome == TextOutcome::Warn {
            case.set_system_out(finding);
        }
        suite.add_test_case(case);
    }
    for note in &report.unreadable {
        let mut failed = TestCaseStatus::non_success(NonSuccessKind::Error);
        failed.set_message(note.message.as_str()).set_type("unreadable");
        let path = printable(&note.path);
        let mut case = TestCase::new(path.as_str(), failed);
        case.set_classname(path.as_str());
        suite.add_test_case(case);
    }
    let notes = report
        .notes
        .iter()
        .map(|note| format!("{}: {}", printable(&note.path), note.message));
    let said: Vec<String> = notes.chain([sentences::summary(report)]).collect();
    suite.set_system_out(said.join("\n"));
    let mut run = Report::new("whowrote gate");
    run.add_test_suite(suite);
    let xml = run.to_string().map_err(io::Error::other)?;
    writeln!(out, "{}", xml.trim_end())
}
