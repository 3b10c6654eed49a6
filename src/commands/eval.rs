//! `whowrote eval`: how well the program does on texts whose authors are known.

use super::batch::{BatchArgs, BatchConfig};
use super::choices::{choices, named};
use super::help::headings;
use super::{ExitStatus, OutputError, Terminal, batch_on_terminal};
use crate::judge::Judge;
use crate::output::{Detail, Format, Layout, formats_of_evaluations};
use anyhow::{Context, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use whowrote_evaluation::{LabelledText, Labels, evaluate, plots};
use whowrote_input::{Corpus, CorpusSource, FileFormat, Record, lower_hex, printable};
use whowrote_stats::calibration::Calibration;

/// The values of the label that mean a person, if none are named.
const PEOPLE: [&str; 4] = ["human", "person", "people", "human-written"];

/// The arguments of `eval`. The program works with [`EvalConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// Which texts, and how they are judged: as for `batch`.
    #[command(flatten)]
    pub batch: BatchArgs,

    /// Field or column that says who wrote the text
    #[arg(long, value_name = "NAME", default_value = "label", help_heading = headings::LABELS)]
    pub label: String,

    /// Value of --label that means a person; may be repeated [default: human, person, people, human-written]
    #[arg(long, value_name = "VALUE", help_heading = headings::LABELS)]
    pub human: Vec<String>,

    /// Field or column that names the text's document [default: each text is a document of its own]
    ///
    /// Texts of one document, or answers to one prompt, are alike. All intervals are by document.
    #[arg(long, value_name = "NAME", help_heading = headings::LABELS)]
    pub document: Option<String>,

    /// Field or column by whose values the figures are also given, such as a domain; may be repeated
    #[arg(long, value_name = "NAME", help_heading = headings::LABELS)]
    pub by: Vec<String>,

    /// The files are CSV with the columns of RAID: generation, model, source_id, domain, decoding and attack
    #[arg(long, conflicts_with_all = ["label", "document", "input_format"], help_heading = headings::LABELS)]
    pub raid: bool,

    /// Leave out texts that a calibration in use holds, instead of refusing them
    #[arg(long, help_heading = headings::LABELS)]
    pub leave_out_known: bool,

    /// The files are results of an earlier `eval`, or of `batch` with --keep; nothing is judged
    #[arg(long, conflicts_with_all = ["output", "raid", "leave_out_known"], help_heading = headings::LABELS)]
    pub results: bool,

    /// Folder for plots: ROC curves, what is found by part, and p-values, as SVG and PNG
    #[arg(long, value_name = "DIR", value_hint = clap::ValueHint::DirPath, help_heading = headings::OUTPUT)]
    pub plots: Option<PathBuf>,

    /// Output format
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = choices(named(formats_of_evaluations())),
        default_value = "text",
        help_heading = headings::OUTPUT,
    )]
    pub format: &'static Format,
}

/// The settings of `eval`.
#[derive(Debug)]
pub struct EvalConfig {
    labels: Labels,
    verdicts: Verdicts,
    leave_out_known: bool,
    plots: Option<PathBuf>,
    format: &'static Format,
    width: usize,
}

/// Where the verdicts come from.
#[derive(Debug)]
enum Verdicts {
    /// Texts that are judged first.
    Judged(Box<BatchConfig>),
    /// Results of an earlier run.
    Earlier(Vec<PathBuf>),
}

impl EvalConfig {
    /// The settings from these arguments.
    ///
    /// # Errors
    /// If they contradict one another, or a path does not exist.
    pub fn new(mut args: EvalArgs, terminal: Terminal) -> anyhow::Result<Self> {
        if args.raid {
            args.batch.text = "generation".to_owned();
            args.batch.input_format = Some(FileFormat::Csv);
            args.label = "model".to_owned();
            args.document = Some("source_id".to_owned());
            args.by.extend(["domain", "decoding", "attack"].map(str::to_owned));
        }
        if let Some(FileFormat::Pairs | FileFormat::WholePairs) = args.batch.input_format {
            args.document.get_or_insert_with(|| "document".to_owned());
        }
        let people: Vec<String> = match args.human.as_slice() {
            [] => PEOPLE.map(str::to_owned).to_vec(),
            named => named.iter().map(|value| value.to_lowercase()).collect(),
        };
        let labels = Labels {
            label: args.label,
            people,
            document: args.document,
            by: super::config::each_once(args.by),
        };
        let verdicts = if args.results {
            Verdicts::Earlier(paths(args.batch.paths)?)
        } else {
            let Some(output) = &args.batch.output else {
                bail!(
                    "name a file for the verdicts with -o, such as -o verdicts.jsonl; if the run stops, the same command \
                     resumes it, and --results evaluates the file again"
                );
            };
            if output
                .extension()
                .is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"))
            {
                bail!(
                    "`{}` should end in .jsonl: verdicts that are evaluated are JSON lines",
                    printable(&output.to_string_lossy())
                );
            }
            let fields = [&labels.label].into_iter().chain(&labels.document).chain(&labels.by);
            args.batch.keep.extend(fields.cloned());
            Verdicts::Judged(Box::new(BatchConfig::new(args.batch, terminal)?))
        };
        Ok(Self {
            labels,
            verdicts,
            leave_out_known: args.leave_out_known,
            plots: args.plots,
            format: args.format,
            width: terminal.width_or_default(),
        })
    }
}

impl EvalConfig {
    /// Whether the figures are printed with styles.
    pub fn is_styled(&self) -> bool {
        self.format.is_styled
    }
}

fn paths(named: Vec<OsString>) -> anyhow::Result<Vec<PathBuf>> {
    if named.is_empty() {
        bail!("name the results of `batch` or `eval` to evaluate, such as `whowrote eval --results verdicts.jsonl`");
    }
    Ok(named.into_iter().map(PathBuf::from).collect())
}

/// Judges the texts that have no verdict yet, and prints how well all of them were judged.
///
/// # Errors
/// If a text is one of a calibration in use, a model or file cannot be used, or the results cannot be written.
pub fn run(config: EvalConfig, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let EvalConfig {
        labels,
        verdicts,
        leave_out_known,
        plots,
        format,
        width,
    } = config;
    let (files, known) = match verdicts {
        Verdicts::Earlier(files) => (files, BTreeSet::new()),
        Verdicts::Judged(batch) => {
            let judge = Judge::new(batch.judging.clone())?;
            let known = known_texts(&batch, &labels, judge.calibrations());
            if let (Some((first, author)), false) = (known.first(), leave_out_known) {
                bail!(
                    "{} of the texts stand in calibrations that this run uses, the first of them `{}` in that of {author}: \
                     what is measured on them says nothing about others; take other texts, or leave these out with \
                     --leave-out-known",
                    known.len(),
                    printable(first)
                );
            }
            let lines = batch.output.as_ref().map(|output| output.lines.clone());
            let quiet = batch.quiet;
            match batch_on_terminal(*batch)? {
                ExitStatus::Done => {}
                status => return Ok(status),
            }
            if !known.is_empty() && !quiet {
                let _ = writeln!(
                    err,
                    "left out: {} texts that stand in calibrations of this run",
                    known.len()
                );
            }
            (
                lines.into_iter().collect(),
                known.into_iter().map(|(name, _)| name).collect(),
            )
        }
    };
    let mut texts = Vec::new();
    for file in &files {
        read(file, &labels, &known, &mut texts)?;
    }
    if texts.is_empty() {
        bail!("there is no text to evaluate");
    }
    let evaluation = evaluate(&texts, &labels);
    if let Some(folder) = &plots {
        plots::write(&evaluation, folder)?;
    }
    let layout = Layout {
        detail: Detail::Normal,
        width,
    };
    if let Some(write) = format.evaluation {
        write(&evaluation, layout, out).map_err(OutputError)?;
    }
    Ok(ExitStatus::Done)
}

/// The texts of a file of results, without those of these names.
fn read(path: &Path, labels: &Labels, without: &BTreeSet<String>, texts: &mut Vec<LabelledText>) -> anyhow::Result<()> {
    let name = printable(&path.to_string_lossy());
    let file = File::open(path).with_context(|| format!("`{name}` cannot be read; check the path"))?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| format!("`{name}` cannot be read to its end"))?;
        if line.trim().is_empty() {
            continue;
        }
        let text = LabelledText::from_line(&line, labels).map_err(|unusable| {
            anyhow::anyhow!(
                "line {} of `{name}` {unusable}; name the fields as the results do with --label, --document and --by",
                number + 1
            )
        })?;
        if !without.contains(&text.name) {
            texts.push(text);
        }
    }
    Ok(())
}

/// The texts that stand in a calibration, each with its name and the author of the calibration. Texts from a pipe cannot be
/// read twice, so nobody looks at them.
fn known_texts(batch: &BatchConfig, labels: &Labels, calibrations: &[Calibration]) -> Vec<(String, String)> {
    let paths = batch.roots.iter().map(|root| match root {
        CorpusSource::Path(path) => Some(CorpusSource::Path(path.clone())),
        CorpusSource::Stdin(_) | CorpusSource::List { .. } => None,
    });
    let Some(roots) = paths.collect::<Option<Vec<CorpusSource>>>() else {
        return Vec::new();
    };
    let mut documents: std::collections::HashMap<&str, &str> = std::collections::HashMap::new();
    for calibration in calibrations {
        for text in calibration.groups.iter().flat_map(|group| &group.texts) {
            documents.entry(&text.document).or_insert(&calibration.author);
            // The built-in names begin with the kind of text.
            if let Some((_, rest)) = text.document.split_once('/').filter(|(_, rest)| rest.contains('/')) {
                documents.entry(rest).or_insert(&calibration.author);
            }
        }
    }
    let author = |record: &Record| {
        let document = labels
            .document
            .as_ref()
            .and_then(|field| record.kept.get(field))
            .cloned();
        let of_text = record.document.as_ref().ok().into_iter().flat_map(|document| {
            // `calibrate` names a text without a document so.
            let alone = |digest: &str| format!("text {digest:.16}");
            [
                alone(&document.sha256),
                alone(&lower_hex(&Sha256::digest(&document.text))),
            ]
        });
        let names = document.into_iter().chain(of_text);
        names
            .filter_map(|name| documents.get(name.as_str()))
            .next()
            .map(|author| (*author).to_owned())
    };
    Corpus::new(roots, batch.corpus.clone())
        .filter_map(|record| Some((record.name.clone(), author(&record)?)))
        .collect()
}
