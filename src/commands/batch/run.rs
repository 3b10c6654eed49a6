//! From texts to lines: read ahead, judged, and written in their order.

use super::tally::Tally;
use super::{BatchConfig, Output};
use crate::commands::detect::TextJudge;
use crate::commands::{ExitStatus, OutputError, write_sentence};
use crate::output::{Finished, Journal, OutFile};
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

/// Texts that are read ahead, at most.
const WINDOW: usize = 256;
/// Bytes of text at which fewer are.
const WINDOW_BYTES: usize = 8 << 20;
/// Texts that are known again where they come a second time: 64 MiB of their digests and places.
const MOST_KNOWN: usize = 1 << 20;

/// The lines that are printed, wherever they go.
enum Lines<'a> {
    Journal(Box<Journal>),
    Stream(&'a mut dyn Write),
}

/// Judges all texts that have no line yet, and writes one line each in their order.
///
/// `settings` is an object of all that verdicts depend on. When `stop` is set, the texts in flight are finished and no more begun.
///
/// # Errors
/// When results are there that do not belong to these texts and settings, a model cannot be used, or the results cannot be
/// written.
pub fn run(
    config: BatchConfig,
    settings: &Value,
    judge: &mut dyn TextJudge,
    stop: &AtomicBool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let lines = match &config.output {
        None => Lines::Stream(out),
        Some(Output { lines, table }) => {
            if let Some((table, _)) = table
                .as_ref()
                .filter(|(table, _)| table.exists() && !lines.exists() && !config.overwrite)
            {
                bail!(
                    "`{}` is there already and the lines that it was made of are not; name another file with -o, or begin anew with \
                     --overwrite",
                    printable(&table.to_string_lossy())
                );
            }
            let mut settings = settings.clone();
            // What decides which texts there are, but their files.
            let CorpusOptions { columns, shard, .. } = &config.corpus;
            settings["text"] = columns.text.as_str().into();
            settings["id"] = columns.id.as_deref().into();
            settings["shard"] = format!("{}/{}", shard.index + 1, shard.of).into();
            Lines::Journal(Box::new(Journal::open(lines, &settings, config.overwrite)?))
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
    if let Lines::Journal(journal) = &mut batch.lines {
        journal.sync()?;
    }
    batch.progress.finish_and_clear();
    // The journal stays locked until the table is made of it.
    let tally = &batch.tally;
    let stopped = stop.load(Ordering::Relaxed);
    if !config.quiet {
        // With standard error closed there is nobody to tell.
        let _ = tally.print(before, begin.elapsed().as_secs_f64(), err);
    }
    if stopped {
        let told = match &config.output {
            Some(Output { lines, .. }) => format!(
                "stopped after {}, written to `{}`; run the same command again{} to go on",
                sentences::texts(tally.texts),
                printable(&lines.to_string_lossy()),
                if config.overwrite { ", without --overwrite," } else { "" }
            ),
            None => format!(
                "stopped after {}; only results that go to a file (-o) can be gone on with",
                sentences::texts(tally.texts)
            ),
        };
        let _ = write_sentence(err, &told);
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
        write_table(
            &mut BufReader::new(read),
            &mut file,
            &names("authors"),
            &names("models"),
            table,
        )?;
        file.finish()?;
    }
    Ok(ExitStatus::Done)
}

/// A line on standard error, of which the rest is known as soon as another thread has counted the texts; where the texts come
/// once and go, it is not.
fn progress(config: &BatchConfig) -> ProgressBar {
    if config.quiet || !config.watched {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} texts, {msg}, {elapsed} so far") {
        bar.set_style(style);
    }
    let paths = config.roots.iter().map(|root| match root {
        CorpusSource::Path(path) => Some(CorpusSource::Path(path.clone())),
        CorpusSource::Stdin(_) | CorpusSource::List { .. } => None,
    });
    if let Some(roots) = paths.collect::<Option<Vec<CorpusSource>>>() {
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

/// Texts that are in memory at the same time.
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
    lines: Lines<'a>,
    /// Where the lines of texts are, by the beginnings of their digests.
    known: HashMap<[u8; 16], u64>,
    /// The levels at which models, and a person, are ruled out.
    levels: (f64, f64),
    tally: Tally,
    progress: ProgressBar,
    stop: &'a AtomicBool,
}

/// What a text's line is made from.
enum Slot {
    /// It is judged.
    Waiting,
    /// Its line is there.
    Ready(Vec<u8>),
    /// The text of another line, which is written already.
    Again(InputSummary, u64),
    /// That of another place of the window.
    Like(InputSummary, usize),
    Written,
}

impl Batch<'_> {
    /// Holds the lines that are there against the texts that they should be about.
    fn pass_over_finished(&mut self, corpus: &mut Corpus) -> anyhow::Result<()> {
        let Lines::Journal(journal) = &mut self.lines else {
            return Ok(());
        };
        let remedy = "put the inputs back as they were, name another file with -o, or begin anew with --overwrite";
        while !self.stop.load(Ordering::Relaxed) {
            let Some((place, finished)) = journal.next_finished()? else {
                break;
            };
            let line = self.tally.texts + 1;
            let Some(record) = corpus.next() else {
                bail!(
                    "the results have a line {line} (of {}) and there are fewer texts now; {remedy}",
                    printable(&finished.input.name)
                );
            };
            let sha256 = record.document.as_ref().map_or("", |document| &document.sha256);
            let same = (finished.input.name == record.name) && (finished.input.id == record.id);
            if !same || finished.input.sha256 != sha256 {
                bail!(
                    "line {line} of the results is of {}, and {} there now; {remedy}",
                    called(&finished.input.name, finished.input.id.as_deref()),
                    match same {
                        true => "another text is".to_owned(),
                        false => format!("{} comes", called(&record.name, record.id.as_deref())),
                    }
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
        let mut slots = Vec::with_capacity(window.len());
        let (mut documents, mut places) = (Vec::new(), Vec::new());
        let mut first: HashMap<String, usize> = HashMap::new();
        for (i, record) in window.into_iter().enumerate() {
            let document = match record.document {
                Ok(document) => document,
                Err(error) => {
                    let why = error.to_string();
                    self.tally.refused(&why);
                    let report = ProvenanceReport::unreadable(record.name, record.id, self.levels, why);
                    slots.push(Slot::Ready(serde_json::to_vec(&report)?));
                    continue;
                }
            };
            let document = Document {
                id: record.id,
                ..document
            };
            let again = digest(&document.sha256).and_then(|digest| self.known.get(&digest));
            let slot = match (again, first.get(&document.sha256)) {
                (Some(&place), _) => Slot::Again(document.summary(), place),
                (None, Some(&place)) => Slot::Like(document.summary(), place),
                (None, None) => {
                    first.insert(document.sha256.clone(), i);
                    places.push(i);
                    documents.push(document);
                    Slot::Waiting
                }
            };
            slots.push(slot);
        }
        let mut next = 0;
        self.write_ready(&mut slots, &mut next)?;
        if documents.is_empty() {
            return Ok(());
        }
        judge.judge(&documents, &mut |i, report| {
            let Some(&place) = places.get(i) else {
                bail!("a verdict was given on text {i}, which does not exist");
            };
            self.tally.scored(&report);
            slots[place] = Slot::Ready(serde_json::to_vec(&report)?);
            self.write_ready(&mut slots, &mut next)
        })?;
        if next < slots.len() && !self.stop.load(Ordering::Relaxed) {
            bail!("no verdict was given on some of the texts");
        }
        Ok(())
    }

    /// Writes the lines up to the first text that still waits for its verdict.
    fn write_ready(&mut self, slots: &mut [Slot], next: &mut usize) -> anyhow::Result<()> {
        while let Some(slot) = slots.get_mut(*next) {
            let line = match std::mem::replace(slot, Slot::Written) {
                Slot::Ready(line) => line,
                Slot::Again(input, place) => {
                    let Lines::Journal(journal) = &self.lines else {
                        bail!("a line is looked for that was not kept");
                    };
                    repeated(&journal.line_at(place)?, input)?
                }
                waiting => {
                    *slot = waiting;
                    break;
                }
            };
            for slot in &mut slots[*next + 1..] {
                if let Slot::Like(input, place) = slot
                    && place == next
                {
                    *slot = Slot::Ready(repeated(std::str::from_utf8(&line)?, input.clone())?);
                }
            }
            let finished: Finished = serde_json::from_slice(&line)?;
            match &mut self.lines {
                Lines::Journal(journal) => {
                    let place = journal.add(line)?;
                    know(&mut self.known, &finished.input.sha256, place);
                }
                Lines::Stream(out) => {
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

/// Remembers where the line of a text is, as long as there is room.
fn know(known: &mut HashMap<[u8; 16], u64>, sha256: &str, place: u64) {
    if let Some(digest) = digest(sha256).filter(|_| known.len() < MOST_KNOWN) {
        known.entry(digest).or_insert(place);
    }
}

/// A text by its name, and what its file calls it.
fn called(name: &str, id: Option<&str>) -> String {
    match id {
        Some(id) => format!("{} ({})", printable(name), printable(id)),
        None => printable(name),
    }
}

/// A line, with the input of another text that is the same; it took no time.
fn repeated(line: &str, input: InputSummary) -> anyhow::Result<Vec<u8>> {
    /// The fields of a [`ProvenanceReport`], in its order.
    #[derive(Deserialize, Serialize)]
    struct Line<'a> {
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
        #[serde(borrow)]
        hypotheses: &'a RawValue,
        #[serde(borrow)]
        models: &'a RawValue,
        #[serde(borrow)]
        warnings: &'a RawValue,
        #[serde(skip_deserializing)]
        timing: crate::report::Timing,
    }
    let mut line: Line = serde_json::from_str(line).context("a line of the results cannot be read again")?;
    line.input = Some(input);
    Ok(serde_json::to_vec(&line)?)
}
