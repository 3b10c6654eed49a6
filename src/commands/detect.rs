//! `whowrote detect`: texts in, one verdict a text out.

use super::{DetectConfig, ExitStatus, OutputError, write_sentence};
use crate::input::{Document, InputError, Source, printable};
use crate::output::{Format, JsonWriter, ReportWriter, TextWriter};
use crate::verdict::{InputSummary, ProvenanceReport, SCHEMA, Timing, Verdict, Warning, WarningCode};
use anyhow::ensure;
use std::collections::BTreeMap;
use std::io::Write;

/// What gives verdicts.
pub trait Judge {
    /// Judges every document and hands each report, with the document's index, to `each` as soon as it is known.
    ///
    /// The documents may be judged in any order, each exactly once, and are at least one: whatever is slow to get, a
    /// model above all, is best got here and not before, because there may be nothing to judge. An error of `each`
    /// is handed on at once: nobody reads the results any more.
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()>;
}

/// Reads all texts, has them judged, and prints the verdicts in the order of the inputs, each as soon as all before it
/// are printed.
///
/// A text that cannot be read does not keep the others from being judged: its sentence goes to `err`, JSON carries an
/// object for it too, and the status is [`ExitStatus::Incomplete`].
pub fn run(
    config: &DetectConfig,
    judge: &mut dyn Judge,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let mut documents = Vec::new();
    let mut places = Vec::new();
    let mut slots = Vec::new();
    for source in &config.sources {
        match Document::read(source) {
            Ok(document) => {
                places.push(slots.len());
                documents.push(document);
                slots.push(Slot::Waiting);
            }
            Err(error) => {
                // When standard error is closed there is nobody to tell, and the other texts are still to be judged.
                let _ = write_sentence(err, &error);
                slots.push(Slot::Ready(Box::new(unreadable(source, &error, config.alpha))));
            }
        }
    }

    let mut printer = Printer {
        slots,
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
        judge.judge(&documents, &mut |index, report| {
            let Some(place) = places.get(index) else {
                anyhow::bail!("a verdict was given on text {index}, which does not exist");
            };
            printer.slots[*place] = Slot::Ready(Box::new(report));
            printer.hide_progress();
            printer.print_what_is_ready()?;
            printer.show_progress();
            Ok(())
        })?;
        printer.hide_progress();
    }
    ensure!(
        printer.next == printer.slots.len(),
        "no verdict was given on some of the texts"
    );
    Ok(printer.status)
}

fn writer(config: &DetectConfig) -> Box<dyn ReportWriter> {
    match config.format {
        Format::Text => Box::new(TextWriter::new(config.detail, config.width)),
        Format::Json => Box::new(JsonWriter),
    }
}

/// The report on an input that is no text. Nothing is said of bytes that were not, or not all, read.
fn unreadable(source: &Source, error: &InputError, alpha: f64) -> ProvenanceReport {
    ProvenanceReport {
        schema: SCHEMA,
        input: InputSummary {
            name: source.name(),
            sha256: String::new(),
            bytes: 0,
            chars: 0,
        },
        verdict: Verdict::Unable,
        authors: Vec::new(),
        alpha,
        hypotheses: Vec::new(),
        models: BTreeMap::new(),
        warnings: vec![Warning {
            code: WarningCode::Unreadable,
            message: error.to_string(),
        }],
        timing: Timing::default(),
    }
}

enum Slot {
    Waiting,
    Ready(Box<ProvenanceReport>),
    Printed,
}

struct Printer<'a> {
    slots: Vec<Slot>,
    next: usize,
    writer: Box<dyn ReportWriter>,
    config: &'a DetectConfig,
    status: ExitStatus,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
}

impl Printer<'_> {
    /// Prints and flushes the reports up to the first text that still waits for its verdict.
    fn print_what_is_ready(&mut self) -> Result<(), OutputError> {
        while let Some(slot) = self.slots.get_mut(self.next) {
            let report = match std::mem::replace(slot, Slot::Printed) {
                Slot::Ready(report) => report,
                waiting => {
                    *slot = waiting;
                    break;
                }
            };
            if report.verdict == Verdict::Unable {
                self.status = ExitStatus::Incomplete;
            }
            // For a reader the sentence on standard error is enough; a program wants an object for every input.
            let was_told = report
                .warnings
                .iter()
                .any(|warning| warning.code == WarningCode::Unreadable);
            if self.config.format == Format::Json || !was_told {
                self.writer.write(&report, self.out)?;
                self.out.flush()?;
            }
            self.next += 1;
        }
        Ok(())
    }

    fn progress(&self) -> Option<String> {
        let left = self.slots.iter().filter(|slot| matches!(slot, Slot::Waiting)).count();
        let name = self
            .config
            .sources
            .get(self.next)
            .map(|source| printable(&source.name()));
        // Cut short, so that the line fits and a carriage return takes it back.
        let name: String = name.unwrap_or_default().chars().take(40).collect();
        (self.config.progress && left > 0).then(|| {
            let of = self.slots.len();
            format!("judging text {} of {of}: {name}", of - left + 1)
        })
    }

    // A progress line that cannot be shown is no reason to stop.
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
