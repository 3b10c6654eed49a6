//! `whowrote detect`: one verdict for each text.

use super::{DetectConfig, ExitStatus, OutputError, write_sentence};
use crate::judge::Judge;
use crate::output::{Layout, ReportWriter};
use crate::report::{ProvenanceReport, WarningCode};
use anyhow::ensure;
use std::io::Write;
use whowrote_input::{Document, printable};
use whowrote_stats::verdict::Verdict;

/// Judges texts: a [`Judge`], or a stand-in for tests.
pub trait TextJudge {
    /// Judges every document, and hands each report to `each` as soon as it is known, with the index of its document.
    ///
    /// There is at least one document. The documents may be judged in any order, each exactly once. Load models here
    /// and not earlier: there may be nothing to judge. An error of `each` is returned at once, because nobody reads
    /// the results any more.
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;
}

impl TextJudge for Judge {
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.judge_each(documents, each)
    }
}

/// Reads and judges all texts. The verdicts are printed in the order of the inputs, each as early as that order allows.
///
/// If a text cannot be read, the others are still judged. Its error goes to `err`, JSON has an object for it too, and
/// the status is [`ExitStatus::Incomplete`].
pub fn run(
    config: &DetectConfig,
    judge: &mut dyn TextJudge,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let mut documents = Vec::new();
    let mut places = Vec::new();
    let mut reports = Vec::new();
    for source in &config.sources {
        let read = if config.plain {
            Document::read_plain
        } else {
            Document::read
        };
        match read(source) {
            Ok(document) => {
                places.push(reports.len());
                documents.push(document);
                reports.push(PendingReport::Waiting);
            }
            Err(error) => {
                // Even if standard error is closed, the other texts must still be judged.
                let _ = write_sentence(err, &error);
                let levels = (config.judging.alpha, config.judging.alpha_human);
                let report = ProvenanceReport::unreadable(source.name(), None, levels, error.to_string());
                reports.push(PendingReport::Ready(Box::new(report)));
            }
        }
    }

    let mut printer = Printer {
        reports,
        next: 0,
        writer: writer(config),
        config,
        status: ExitStatus::Done,
        out,
        err,
    };
    printer.print_what_is_ready()?;
    if !documents.is_empty() {
        printer.show_progress();
        let judged = judge.judge(&documents, &mut |index, report| {
            let Some(place) = places.get(index) else {
                anyhow::bail!("there is a verdict on text {index}, which does not exist");
            };
            printer.reports[*place] = PendingReport::Ready(Box::new(report));
            printer.hide_progress();
            printer.print_what_is_ready()?;
            printer.show_progress();
            Ok(())
        });
        printer.hide_progress();
        judged?;
    }
    ensure!(printer.next == printer.reports.len(), "some texts have no verdict");
    Ok(printer.status)
}

fn writer(config: &DetectConfig) -> Box<dyn ReportWriter> {
    let layout = Layout {
        detail: config.detail,
        width: config.width,
    };
    let reports = config.format.reports.expect("only formats of reports can be chosen");
    reports(layout)
}

/// The report of one input.
enum PendingReport {
    Waiting,
    Ready(Box<ProvenanceReport>),
    Printed,
}

struct Printer<'a> {
    reports: Vec<PendingReport>,
    next: usize,
    writer: Box<dyn ReportWriter>,
    config: &'a DetectConfig,
    status: ExitStatus,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

/// Shows how much of a long text has been read, in the line of the progress.
pub fn show_pieces(read: usize, all: usize, err: &mut dyn Write) {
    let line = format!("reading piece {} of {all}", read + 1);
    let _ = write!(err, "{line:78}\r").and_then(|()| err.flush());
}

impl Printer<'_> {
    /// Prints and flushes the reports up to the first text that still waits for its verdict.
    fn print_what_is_ready(&mut self) -> Result<(), OutputError> {
        while let Some(pending) = self.reports.get_mut(self.next) {
            let report = match std::mem::replace(pending, PendingReport::Printed) {
                PendingReport::Ready(report) => report,
                waiting => {
                    *pending = waiting;
                    break;
                }
            };
            if report.verdict == Verdict::Unable {
                self.status = ExitStatus::Incomplete;
            }
            // For a reader the error on standard error is enough. A program needs an object for every input.
            let was_reported = report
                .warnings
                .iter()
                .any(|warning| warning.code() == WarningCode::Unreadable);
            if !self.config.format.is_styled || !was_reported {
                self.writer.write(&report, self.out)?;
                self.out.flush()?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Option<String> {
        let left = self
            .reports
            .iter()
            .filter(|pending| matches!(pending, PendingReport::Waiting))
            .count();
        let name = self
            .config
            .sources
            .get(self.next)
            .map(|source| printable(&source.name()));
        // Short enough for one line, so that a carriage return can overwrite it.
        let name: String = name.unwrap_or_default().chars().take(40).collect();
        (self.config.progress && left > 0).then(|| {
            let of = self.reports.len();
            format!("judging text {} of {of}: {name}", of - left + 1)
        })
    }

    // If progress cannot be shown, continue without it.
    fn show_progress(&mut self) {
        if let Some(line) = self.progress() {
            let _ = write!(self.err, "{line}\r").and_then(|()| self.err.flush());
        }
    }

    fn hide_progress(&mut self) {
        if self.config.progress {
            let _ = write!(self.err, "{:78}\r", "").and_then(|()| self.err.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Terminal;
    use crate::commands::{Cli, Command};
    use crate::report::{SCHEMA, Timing};
    use clap::Parser;
    use std::collections::BTreeMap;
    use std::io;
    use std::path::PathBuf;

    /// Finds every text undecided, in the order of `order`.
    struct Fake {
        order: fn(usize) -> Vec<usize>,
        calls: usize,
    }

    impl Fake {
        fn forwards() -> Self {
            Fake {
                order: |n| (0..n).collect(),
                calls: 0,
            }
        }

        fn backwards() -> Self {
            Fake {
                order: |n| (0..n).rev().collect(),
                calls: 0,
            }
        }
    }

    fn verdict_on(document: &Document) -> ProvenanceReport {
        ProvenanceReport {
            schema: SCHEMA,
            input: document.summary(),
            verdict: if document.text.contains("unjudgeable") {
                Verdict::Unable
            } else {
                Verdict::Undecided
            },
            authors: Vec::new(),
            alpha: 0.05,
            alpha_human: 0.01,
            confidence: None,
            hypotheses: Vec::new(),
            pieces: Vec::new(),
            models: BTreeMap::new(),
            disguises: None,
            misspellings: None,
            warnings: Vec::new(),
            timing: Timing::default(),
        }
    }

    impl TextJudge for Fake {
        fn judge(
            &mut self,
            documents: &[Document],
            each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
        ) -> anyhow::Result<()> {
            for index in (self.order)(documents.len()) {
                self.calls += 1;
                each(index, verdict_on(&documents[index]))?;
            }
            Ok(())
        }
    }

    fn config(options: &[&str], files: &[PathBuf]) -> DetectConfig {
        let files = files.iter().map(|path| path.to_str().unwrap());
        let line = ["whowrote", "detect"]
            .into_iter()
            .chain(options.iter().copied())
            .chain(files);
        let Command::Detect(args) = Cli::try_parse_from(line).unwrap().command else {
            panic!("not detect")
        };
        DetectConfig::new(
            args,
            Terminal {
                width: None,
                stderr_is_watched: false,
            },
        )
        .unwrap()
    }

    /// A folder with the texts `0.txt`, `1.txt` and so on; a text of `None` is not written.
    fn texts(texts: &[Option<&str>]) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..texts.len())
            .map(|i| folder.path().join(format!("{i}.txt")))
            .collect();
        for (path, text) in paths.iter().zip(texts) {
            if let Some(text) = text {
                std::fs::write(path, text).unwrap();
            }
        }
        (folder, paths)
    }

    struct Outcome {
        result: anyhow::Result<ExitStatus>,
        out: String,
        err: String,
    }

    fn outcome(config: &DetectConfig, judge: &mut dyn TextJudge) -> Outcome {
        let (mut out, mut err) = (Vec::new(), anstream::StripStream::new(Vec::new()));
        let result = run(config, judge, &mut out, &mut err);
        Outcome {
            result,
            out: String::from_utf8(out).unwrap(),
            err: String::from_utf8(err.into_inner()).unwrap(),
        }
    }

    fn names(json_lines: &str) -> Vec<String> {
        let name = |line: &str| {
            let object: serde_json::Value = serde_json::from_str(line).unwrap();
            let path = PathBuf::from(object["input"]["name"].as_str().unwrap());
            path.file_name().unwrap().to_string_lossy().into_owned()
        };
        json_lines.lines().map(name).collect()
    }

    #[test]
    fn verdicts_come_in_the_order_of_the_inputs_whatever_the_judge_does() {
        let (_folder, paths) = texts(&[Some("a"), None, Some("b"), Some("c"), None]);
        for mut judge in [Fake::forwards(), Fake::backwards()] {
            let outcome = outcome(&config(&["--format", "json"], &paths), &mut judge);
            assert_eq!(names(&outcome.out), ["0.txt", "1.txt", "2.txt", "3.txt", "4.txt"]);
            assert_eq!(outcome.result.unwrap(), ExitStatus::Incomplete);
            assert_eq!(judge.calls, 3);
        }
    }

    #[test]
    fn a_bad_input_has_its_error_and_its_object_and_the_others_are_judged() {
        let (_folder, paths) = texts(&[Some("%PDF-1.7"), Some("fine")]);
        let outcome = outcome(&config(&["--format", "json"], &paths), &mut Fake::forwards());
        assert!(
            outcome.err.starts_with("Error: `") && outcome.err.contains("is not a PDF file"),
            "{}",
            outcome.err
        );
        let objects: Vec<serde_json::Value> = outcome
            .out
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects[0]["verdict"], "unable");
        assert_eq!(objects[0]["authors"], serde_json::json!([]));
        assert_eq!(objects[0]["warnings"][0]["code"], "unreadable");
        assert_eq!(objects[1]["verdict"], "undecided");
        assert_eq!(outcome.result.unwrap(), ExitStatus::Incomplete);
    }

    #[test]
    fn a_bad_input_is_reported_once_to_a_reader() {
        let (_folder, paths) = texts(&[None, Some("fine")]);
        let outcome = outcome(&config(&["-q"], &paths), &mut Fake::forwards());
        assert_eq!(outcome.out.lines().count(), 1);
        assert!(outcome.out.contains("1.txt"));
        assert_eq!(outcome.err.lines().count(), 1);
    }

    #[test]
    fn without_a_readable_text_no_model_is_loaded() {
        let (_folder, paths) = texts(&[None, Some(" \n")]);
        let mut judge = Fake::forwards();
        let outcome = outcome(&config(&[], &paths), &mut judge);
        assert_eq!((judge.calls, outcome.out.as_str()), (0, ""));
        assert_eq!(outcome.err.lines().count(), 2);
        assert_eq!(outcome.result.unwrap(), ExitStatus::Incomplete);
    }

    #[test]
    fn good_texts_end_well_and_an_unable_verdict_does_not() {
        let (_folder, paths) = texts(&[Some("a"), Some("b")]);
        assert_eq!(
            outcome(&config(&[], &paths), &mut Fake::forwards()).result.unwrap(),
            ExitStatus::Done
        );
        let (_folder, paths) = texts(&[Some("unjudgeable")]);
        let outcome = outcome(&config(&[], &paths), &mut Fake::forwards());
        assert_eq!(outcome.result.unwrap(), ExitStatus::Incomplete);
        assert!(outcome.out.contains("could not be judged"));
    }

    #[test]
    fn a_judge_that_skips_or_invents_a_text_is_an_error() {
        let (_folder, paths) = texts(&[Some("a"), Some("b")]);
        let config = config(&["--format", "json"], &paths);
        let skips = outcome(
            &config,
            &mut Fake {
                order: |_| vec![0],
                calls: 0,
            },
        );
        assert!(skips.result.unwrap_err().to_string().contains("no verdict"));
        assert_eq!(names(&skips.out), ["0.txt"]);
        let invents = outcome(&config, &mut Invents);
        assert!(invents.result.unwrap_err().to_string().contains("text 7"));
    }

    struct Invents;

    impl TextJudge for Invents {
        fn judge(
            &mut self,
            documents: &[Document],
            each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
        ) -> anyhow::Result<()> {
            each(7, verdict_on(&documents[0]))
        }
    }

    /// Counts flushes, and breaks after `room` bytes.
    struct Pipe {
        room: usize,
        flushes: usize,
    }

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if bytes.len() > self.room {
                return Err(io::Error::from(io::ErrorKind::BrokenPipe));
            }
            self.room -= bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.flushes += 1;
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_stops_the_judge_at_once() {
        let (_folder, paths) = texts(&[Some("a"), Some("b"), Some("c")]);
        let config = config(&["--format", "json"], &paths);
        let mut judge = Fake::forwards();
        let error = run(&config, &mut judge, &mut Pipe { room: 10, flushes: 0 }, &mut io::sink()).unwrap_err();
        assert!(crate::commands::is_closed_pipe(&error));
        assert_eq!(judge.calls, 1);
    }

    #[test]
    fn every_verdict_is_flushed() {
        let (_folder, paths) = texts(&[Some("a"), Some("b"), Some("c")]);
        let mut pipe = Pipe {
            room: usize::MAX,
            flushes: 0,
        };
        run(&config(&[], &paths), &mut Fake::forwards(), &mut pipe, &mut io::sink()).unwrap();
        assert_eq!(pipe.flushes, 3);
    }

    #[test]
    fn progress_names_the_text_and_is_erased() {
        let (_folder, paths) = texts(&[Some("a"), Some("b")]);
        let mut config = config(&["--format", "json"], &paths);
        assert_eq!(outcome(&config, &mut Fake::forwards()).err, "");
        config.progress = true;
        let shown = outcome(&config, &mut Fake::forwards());
        assert!(shown.err.contains("judging text 1 of 2") && shown.err.contains("judging text 2 of 2"));
        assert!(shown.err.ends_with(" \r") && !shown.err.contains('\n'));
        let mut err = Vec::new();
        show_pieces(11, 640, &mut err);
        assert!(String::from_utf8(err).unwrap().starts_with("reading piece 12 of 640  "));
    }
}
