//! `whowrote eval`: how well the program does on texts whose authors are known.

use super::batch::{BatchArgs, BatchConfig};
use super::calibrate::{alone, alone_by_digest};
use super::choices::{choices, named};
use super::help::headings;
use super::{ExitStatus, OutputError, Terminal, batch_on_terminal};
use crate::judge::Judge;
use crate::output::{Detail, Format, Layout, formats_of_evaluations};
use crate::sentences::verdicts as sentences;
use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use whowrote_evaluation::{LabelledText, Labels, evaluate, plots};
use whowrote_input::{Corpus, CorpusSource, FileFormat, JsonLine, JsonLines, printable};
use whowrote_stats::calibration::Calibration;

/// The values of the label that mean a person, if none are named.
const PEOPLE: [&str; 4] = ["human", "person", "people", "human-written"];

/// A field with more values than this is not what texts are parted by.
const MOST_VALUES: usize = 200;

/// The arguments of `eval`. The program works with [`EvalConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct EvalArgs {
    /// Which texts, and how they are judged: as for `batch`.
    #[command(flatten)]
    pub batch: BatchArgs,

    /// Field or column that says who wrote the text
    #[arg(long, value_name = "NAME", default_value = "label", help_heading = headings::LABELS)]
    pub label: String,

    /// Label that means a person; may be repeated [default: human, person, people, human-written]
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

    /// The files are CSV as RAID has them: by model, source_id, domain, decoding and attack
    #[arg(long, conflicts_with_all = ["label", "document", "input_format"], help_heading = headings::LABELS)]
    pub raid: bool,

    /// Leave out texts that a calibration in use holds, instead of refusing them
    #[arg(long, help_heading = headings::LABELS)]
    pub leave_out_known: bool,

    /// The files are results of an earlier `eval`, or of `batch` with --keep; nothing is judged
    #[arg(long, conflicts_with_all = ["output", "raid", "leave_out_known", "files_from", "input_format"], help_heading = headings::LABELS)]
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
        if let Some(given) = args.by.iter().find(|field| matches!(field.as_str(), "words" | "label")) {
            bail!("figures by {given} are always given; leave out --by {given}");
        }
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
/// If a text has no label or is one of a calibration in use, a model or file cannot be used, or the results cannot be
/// written.
pub fn run(config: EvalConfig, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let EvalConfig {
        labels,
        verdicts,
        leave_out_known,
        plots,
        format,
        width,
    } = config;
    let files = match verdicts {
        Verdicts::Earlier(files) => files,
        Verdicts::Judged(mut batch) => {
            let judge = Judge::new(batch.judging.clone())?;
            let known = known_texts(&batch, &labels, judge.calibrations())?;
            match known.first_key_value() {
                Some((first, author)) if !leave_out_known => bail!(
                    "{} of the texts stand in calibrations that this run uses, the first of them `{}` in that of {}: what is \
                     measured on them says nothing about others; take other texts, or leave these out with \
                     --leave-out-known",
                    known.len(),
                    printable(first),
                    printable(author)
                ),
                Some(_) if !batch.quiet => {
                    let left_out = sentences::texts(known.len() as u64);
                    let _ = writeln!(err, "left out because a calibration of this run holds them: {left_out}");
                }
                _ => {}
            }
            batch.corpus.leave_out = known.into_keys().collect();
            let lines = batch.output.as_ref().map(|output| output.lines.clone());
            match batch_on_terminal(*batch)? {
                ExitStatus::Done => {}
                status => return Ok(status),
            }
            lines.into_iter().collect()
        }
    };
    let mut texts = Vec::new();
    for file in &files {
        read(file, &labels, &mut texts)?;
    }
    check(&texts, &labels, &files)?;
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

/// Reads the texts of a file of results.
fn read(path: &Path, labels: &Labels, texts: &mut Vec<LabelledText>) -> anyhow::Result<()> {
    let shown = path.to_string_lossy();
    let name = printable(&shown);
    // Reading a pipe that nobody writes to would never end.
    if !path.is_file() {
        bail!("`{name}` is not a file; name the results of `batch` or `eval`");
    }
    let file = File::open(path).with_context(|| format!("`{name}` cannot be read; check its permissions"))?;
    for line in JsonLines::new(shown, file).objects::<Map<String, Value>>() {
        let JsonLine { number, object } = line?;
        let text = LabelledText::from_line(object, labels);
        texts.push(text.map_err(|unusable| anyhow::anyhow!("line {number} of `{name}` {unusable}"))?);
    }
    Ok(())
}

/// Refuses texts that no figures can be made of, and fields that none of them has.
fn check(texts: &[LabelledText], labels: &Labels, files: &[PathBuf]) -> anyhow::Result<()> {
    let judged = || texts.iter().filter(|text| text.is_judged);
    if judged().next().is_none() {
        let files: Vec<String> = files
            .iter()
            .map(|file| format!("`{}`", printable(&file.to_string_lossy())))
            .collect();
        bail!(
            "no text was judged, so there is nothing to evaluate; see {}",
            files.join(", ")
        );
    }
    let mut once = HashSet::new();
    if let Some(text) = texts.iter().find(|text| !once.insert((&text.name, &text.sha256))) {
        bail!(
            "`{}` stands twice in the results; name each file of results once",
            printable(&text.name)
        );
    }
    let missing = |field: &str, option: &str| {
        anyhow::anyhow!(
            "no text has a value of the field `{}`; check --{option}, and that the first run kept it",
            printable(field)
        )
    };
    if let Some(field) = labels
        .document
        .as_ref()
        .filter(|_| judged().all(|text| !text.has_document))
    {
        return Err(missing(field, "document"));
    }
    for field in &labels.by {
        let values: HashSet<&String> = judged().filter_map(|text| text.values.get(field)).collect();
        if values.is_empty() {
            return Err(missing(field, "by"));
        }
        refuse_many(values.len(), field, "by")?;
    }
    let values: HashSet<&String> = judged().map(|text| &text.label).collect();
    refuse_many(values.len(), &labels.label, "label")
}

/// Refuses a field that has a value for nearly every text.
fn refuse_many(values: usize, field: &str, option: &str) -> anyhow::Result<()> {
    if values > MOST_VALUES {
        bail!(
            "the field `{}` has {values} values, as if it named texts; name another one with --{option}",
            printable(field)
        );
    }
    Ok(())
}

/// The texts that stand in a calibration, by their names, each with the author of the calibration. Texts from a pipe cannot be
/// read twice, so nobody looks at them.
///
/// # Errors
/// If a text has no label: it is better told before hours of work than after.
fn known_texts(
    batch: &BatchConfig,
    labels: &Labels,
    calibrations: &[Calibration],
) -> anyhow::Result<BTreeMap<String, String>> {
    let mut documents: HashMap<&str, &str> = HashMap::new();
    for calibration in calibrations {
        for text in calibration.groups.iter().flat_map(|group| &group.texts) {
            documents.entry(&text.document).or_insert(&calibration.author);
            // The built-in names begin with the kind of text.
            if let Some((_, rest)) = text.document.split_once('/').filter(|(_, rest)| rest.contains('/')) {
                documents.entry(rest).or_insert(&calibration.author);
            }
        }
    }
    let roots = batch.roots.iter().filter_map(CorpusSource::again).collect();
    let mut known = BTreeMap::new();
    for record in Corpus::new(roots, batch.corpus.clone()) {
        let Ok(document) = &record.document else { continue };
        if !record.kept.contains_key(&labels.label) {
            bail!(
                "`{}` has no value of the field `{}`, so nobody knows who wrote the text; name the field with --label, or \
                 leave such texts out",
                printable(&record.name),
                printable(&labels.label)
            );
        }
        let of_text = [alone_by_digest(&document.sha256), alone(&document.text)];
        let named = labels.document.as_ref().and_then(|field| record.kept.get(field));
        let mut names = named.into_iter().chain(&of_text);
        if let Some(author) = names.find_map(|name| documents.get(name.as_str())) {
            known.insert(record.name, (*author).to_owned());
        }
    }
    Ok(known)
}
