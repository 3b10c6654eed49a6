//! From texts to lines. Texts are read ahead, judged, and written in their order.

use super::tally::Tally;
use super::{BatchConfig, Output};
use crate::commands::detect::TextJudge;
use crate::commands::{ExitStatus, OutputError, write_sentence};
use crate::output::{Finished, Journal, OutFile, TableNames};
use crate::report::ProvenanceReport;
use crate::sentences::verdicts as sentences;
use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use whowrote_input::InputSummary;
use whowrote_input::{Corpus, CorpusOptions, CorpusSource, Document, Record, printable};
use whowrote_stats::calibration::HUMAN;

/// The largest number of texts that are read ahead.
const WINDOW: usize = 256;
/// The number of bytes of text at which reading ahead stops.
const WINDOW_BYTES: usize = 8 << 20;
/// The number of judged texts that are remembered, so that a repeated text is not judged again: 64 MiB of digests and
/// places.
const MOST_KNOWN: usize = 1 << 20;

/// Where lines are written.
enum LineSink<'a> {
    Journal(Box<Journal>),
    Stream(&'a mut dyn Write),
}

/// Judges all texts that have no line yet, and writes a line for each in their order.
///
/// `settings` has everything that verdicts depend on. Once `stop` is set, no more texts are begun.
///
/// # Errors
/// If there are results of other texts or settings, a model cannot be used, or the results cannot be written.
pub fn run(
    config: BatchConfig,
    settings: &Value,
    judge: &mut dyn TextJudge,
    stop: &AtomicBool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let lines = match &config.output {
        None => LineSink::Stream(out),
        Some(Output { lines, table }) => {
            if let Some((table, _)) = table
                .as_ref()
                .filter(|(table, _)| table.exists() && !lines.exists() && !config.overwrite)
            {
                bail!(
                    "`{}` exists, but the lines it was made from do not; name another file with -o, or start again \
                     with --overwrite",
                    printable(&table.to_string_lossy())
                );
            }
            let mut settings = settings.clone();
            // Everything that decides which texts there are, except the files.
            let CorpusOptions { columns, shard, .. } = &config.corpus;
            settings["text"] = columns.text.as_str().into();
            settings["id"] = columns.id.as_deref().into();
            settings["keep"] = columns.keep.clone().into();
            settings["shard"] = format!("{}/{}", shard.index + 1, shard.of).into();
            LineSink::Journal(Box::new(Journal::open(lines, &settings, config.overwrite)?))
        }
    };
    let levels = (config.judging.alpha, config.judging.alpha_human);
    let mut batch = Batch {
        lines,
        known: HashMap::new(),
        levels,
        tally: Tally::default(),
        progress: progress(&config),
        stop,
    };
    let kept = config.corpus.columns.keep.clone();
    let mut corpus = Corpus::new(config.roots, config.corpus);
    batch.pass_over_finished(&mut corpus)?;
    let before = batch.tally.texts;
    let begin = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        let window = next_window(&mut corpus);
        if window.is_empty() {
            break;
        }
        batch.judge(window, judge)?;
    }
    if let LineSink::Journal(journal) = &mut batch.lines {
        journal.sync()?;
    }
    batch.progress.finish_and_clear();
    // The journal stays locked until the table is made.
    let tally = &batch.tally;
    let stopped = stop.load(Ordering::Relaxed);
    if !config.quiet {
        // If standard error is closed, nobody can be told.
        let _ = tally.print(before, begin.elapsed().as_secs_f64(), err);
    }
    if stopped {
        let message = match &config.output {
            Some(Output { lines, .. }) => format!(
                "stopped after {}, written to `{}`; run the same command again{} to resume",
                sentences::texts(tally.texts),
                printable(&lines.to_string_lossy()),
                if config.overwrite { ", without --overwrite," } else { "" }
            ),
            None => format!(
                "stopped after {}; only runs with -o can be resumed",
                sentences::texts(tally.texts)
            ),
        };
        let _ = write_sentence(err, &message);
        return Ok(ExitStatus::Incomplete);
    }
    if let Some(Output {
        lines,
        table: Some((table, write_table)),
    }) = &config.output
    {
        let names = |key: &str| -> Vec<String> {
            match &settings[key] {
                Value::Object(models) => models.keys().cloned().collect(),
                authors => {
                    let authors = authors.as_array().into_iter().flatten();
                    let named = authors.filter_map(|author| Some(author["author"].as_str()?.to_owned()));
                    named.chain([HUMAN.to_owned()]).collect()
                }
            }
        };
        let mut file = OutFile::create(table, [])?;
        let read = File::open(lines).with_context(|| file.cannot_write())?;
        let names = TableNames {
            authors: names("authors"),
            models: names("models"),
            kept,
        };
        write_table(&mut BufReader::new(read), &mut file, &names, table)?;
        file.finish()?;
    }
    Ok(ExitStatus::Done)
}

/// The progress line on standard error. Another thread counts the texts, and then the line shows how many are left.
/// Texts from standard input cannot be counted.
fn progress(config: &BatchConfig) -> ProgressBar {
    if config.quiet || !config.watched {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} texts, {msg}, {elapsed} so far") {
        bar.set_style(style);
    }
    let again = config.roots.iter().map(CorpusSource::again);
    if let Some(roots) = again.collect::<Option<Vec<CorpusSource>>>() {
        let (counted, options) = (bar.clone(), config.corpus.clone());
        std::thread::spawn(move || {
            let texts = Corpus::count(roots, options);
            counted.set_length(texts);
            if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos} of {len} texts, {msg}, {eta} left") {
                counted.set_style(style);
            }
        });
    }
    bar
}

/// The next texts to judge together.
fn next_window(corpus: &mut Corpus) -> Vec<Record> {
    let (mut window, mut bytes) = (Vec::new(), 0);
    while window.len() < WINDOW && bytes < WINDOW_BYTES {
        let Some(record) = corpus.next() else { break };
        bytes += record.document.as_ref().map_or(0, |document| document.text.len());
        window.push(record);
    }
    window
}

struct Batch<'a> {
    lines: LineSink<'a>,
    /// The places of lines, by the beginnings of the digests of their texts.
    known: HashMap<[u8; 16], u64>,
    /// The levels at which models and a person are excluded.
    levels: (f64, f64),
    tally: Tally,
    progress: ProgressBar,
    stop: &'a AtomicBool,
}

/// The line of a text in the window.
enum PendingLine {
    /// The text is being judged.
    Waiting,
    /// The line is ready to be written.
    Ready(Vec<u8>),
    /// The text has a line already, at this place of the results.
    Again(InputSummary, u64),
    /// The text is the same as an earlier one of the window.
    Like(InputSummary, usize),
    Written,
}

impl Batch<'_> {
    /// Compares the finished lines with the texts that they should be about.
    fn pass_over_finished(&mut self, corpus: &mut Corpus) -> anyhow::Result<()> {
        let LineSink::Journal(journal) = &mut self.lines else {
            return Ok(());
        };
        let remedy = "restore the inputs, name another file with -o, or start again with --overwrite";
        while !self.stop.load(Ordering::Relaxed) {
            let Some((place, finished)) = journal.next_finished()? else {
                break;
            };
            let line = self.tally.texts + 1;
            let Some(record) = corpus.next() else {
                bail!(
                    "the results have a line {line} (for {}), but there are fewer texts now; {remedy}",
                    printable(&finished.input.name)
                );
            };
            let sha256 = record.document.as_ref().map_or("", |document| &document.sha256);
            let same = (finished.input.name == record.name) && (finished.input.id == record.id);
            if !same || finished.input.sha256 != sha256 {
                let now = if same {
                    "its text has changed".to_owned()
                } else {
                    format!("that place now has {}", called(&record.name, record.id.as_deref()))
                };
                bail!(
                    "line {line} of the results is for {}, but {now}; {remedy}",
                    called(&finished.input.name, finished.input.id.as_deref())
                );
            }
            if finished.input.kept != record.kept {
                bail!(
                    "line {line} of the results repeats other values of --keep than {} has now; {remedy}",
                    called(&record.name, record.id.as_deref())
                );
            }
            know(&mut self.known, sha256, place);
            self.tally.add_finished(&finished);
            self.progress.inc(1);
        }
        Ok(())
    }

    /// Judges the texts of a window and writes their lines.
    fn judge(&mut self, window: Vec<Record>, judge: &mut dyn TextJudge) -> anyhow::Result<()> {
        let mut pending = Vec::with_capacity(window.len());
        let (mut documents, mut places) = (Vec::new(), Vec::new());
        let mut first: HashMap<String, usize> = HashMap::new();
        for (i, record) in window.into_iter().enumerate() {
            let document = match record.document {
                Ok(document) => document,
                Err(error) => {
                    let why = error.to_string();
                    self.tally.refused(&why);
                    let mut report = ProvenanceReport::unreadable(record.name, record.id, self.levels, why);
                    report.input.kept = record.kept;
                    pending.push(PendingLine::Ready(serde_json::to_vec(&report)?));
                    continue;
                }
            };
            let document = Document {
                id: record.id,
                kept: record.kept,
                ..document
            };
            let again = digest(&document.sha256).and_then(|digest| self.known.get(&digest));
            let waiting_line = match (again, first.get(&document.sha256)) {
                (Some(&place), _) => PendingLine::Again(document.summary(), place),
                (None, Some(&place)) => PendingLine::Like(document.summary(), place),
                (None, None) => {
                    first.insert(document.sha256.clone(), i);
                    places.push(i);
                    documents.push(document);
                    PendingLine::Waiting
                }
            };
            pending.push(waiting_line);
        }
        let mut next = 0;
        self.write_ready(&mut pending, &mut next)?;
        if documents.is_empty() {
            return Ok(());
        }
        judge.judge(&documents, &mut |i, report| {
            let Some(&place) = places.get(i) else {
                bail!("there is a verdict on text {i}, which does not exist");
            };
            self.tally.scored(&report);
            pending[place] = PendingLine::Ready(serde_json::to_vec(&report)?);
            self.write_ready(&mut pending, &mut next)
        })?;
        if next < pending.len() && !self.stop.load(Ordering::Relaxed) {
            bail!("some texts have no verdict");
        }
        Ok(())
    }

    /// Writes the lines up to the first text that has no verdict yet.
    fn write_ready(&mut self, pending: &mut [PendingLine], next: &mut usize) -> anyhow::Result<()> {
        while let Some(waiting_line) = pending.get_mut(*next) {
            let line = match std::mem::replace(waiting_line, PendingLine::Written) {
                PendingLine::Ready(line) => line,
                PendingLine::Again(input, place) => {
                    let LineSink::Journal(journal) = &self.lines else {
                        bail!("a line is needed that was not kept");
                    };
                    repeated(&journal.line_at(place)?, input)?
                }
                waiting => {
                    *waiting_line = waiting;
                    break;
                }
            };
            for waiting_line in &mut pending[*next + 1..] {
                if let PendingLine::Like(input, place) = waiting_line
                    && place == next
                {
                    *waiting_line = PendingLine::Ready(repeated(std::str::from_utf8(&line)?, input.clone())?);
                }
            }
            let finished: Finished = serde_json::from_slice(&line)?;
            match &mut self.lines {
                LineSink::Journal(journal) => {
                    let place = journal.add(line)?;
                    know(&mut self.known, &finished.input.sha256, place);
                }
                LineSink::Stream(out) => {
                    let written = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
                    written.and_then(|()| out.flush()).map_err(OutputError)?;
                }
            }
            *next += 1;
            self.tally.add_finished(&finished);
            self.progress.inc(1);
            self.progress.set_message(self.tally.rate());
        }
        Ok(())
    }
}

fn digest(sha256: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(sha256.get(..32)?, 16).ok()?;
    Some(number.to_be_bytes())
}

/// Remembers the place of a text's line, if there is room.
fn know(known: &mut HashMap<[u8; 16], u64>, sha256: &str, place: u64) {
    if let Some(digest) = digest(sha256).filter(|_| known.len() < MOST_KNOWN) {
        known.entry(digest).or_insert(place);
    }
}

/// A text's name, and its name inside its file.
fn called(name: &str, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("{} ({})", printable(name), printable(id)),
        None => printable(name),
    }
}

/// The line of an equal text, with the input of this one. It took no time to judge.
fn repeated(line: &str, input: InputSummary) -> anyhow::Result<Vec<u8>> {
    /// The fields of a [`ProvenanceReport`], in the same order.
    #[derive(Deserialize, Serialize)]
    struct RawReport<'a> {
        #[serde(borrow)]
        schema: &'a RawValue,
        #[serde(skip_deserializing)]
        input: Option<InputSummary>,
        #[serde(borrow)]
        verdict: &'a RawValue,
        #[serde(borrow)]
        authors: &'a RawValue,
        #[serde(borrow)]
        alpha: &'a RawValue,
        #[serde(borrow)]
        alpha_human: &'a RawValue,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        confidence: Option<&'a RawValue>,
        #[serde(borrow)]
        hypotheses: &'a RawValue,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        pieces: Option<&'a RawValue>,
        #[serde(borrow)]
        models: &'a RawValue,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        disguises: Option<&'a RawValue>,
        #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
        misspellings: Option<&'a RawValue>,
        #[serde(borrow)]
        warnings: &'a RawValue,
        #[serde(skip_deserializing)]
        timing: crate::report::Timing,
    }
    let mut line: RawReport = serde_json::from_str(line).context("a line of the results cannot be read again")?;
    line.input = Some(input);
    Ok(serde_json::to_vec(&line)?)
}
