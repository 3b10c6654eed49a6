//! `whowrote generate`: samples texts from a model, one JSON object for each.

use super::config::author;
use super::fetch_progress;
use super::help::headings;
use super::{Contradiction, ExitStatus, OutputError, RunArgs, Terminal};
use crate::judge::{AuthorChoice, ModelPool, continue_texts, resolve, use_threads};
use crate::model::LanguageModel;
use crate::model::catalogue::Catalogue;
use crate::model::chat::{Prompt, prompt_ids};
use crate::model::generate::{Finish, Generated, Job, Limits, Listener, generate};
use crate::output::OutFile;
use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use whowrote_input::{Document, JsonLine, JsonLines, Source, printable};
use whowrote_stats::sampling_params::SamplingParams;
use whowrote_stats::verdict::AuthorSet;

/// The arguments of `generate`. The program works with [`GenerateConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// Model that writes: an author or a model of the catalogue, or a path
    ///
    /// `whowrote models list` lists the names. A path is a GGUF file, or a folder with config.json, tokenizer.json and
    /// safetensors. It is a path if it contains a slash or ends in .gguf.
    #[arg(
        long,
        value_name = "NAME|PATH",
        value_hint = clap::ValueHint::AnyPath,
        help_heading = headings::MODELS,
    )]
    pub model: OsString,

    /// File of prompts, one JSON object on each line
    ///
    /// A chat model is given the object's "instruction". Any other model continues its "opening". An object can have
    /// both. "id", "kind" and "part" name and group the prompt; other fields are ignored.
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::PROMPTS,
    )]
    pub prompts: Option<PathBuf>,

    /// Prompt, used as instruction or opening; `-` reads it from standard input; may be repeated
    #[arg(long = "prompt", value_name = "TEXT|-", help_heading = headings::PROMPTS)]
    pub texts: Vec<String>,

    /// Use only the prompts of this part
    #[arg(long, value_name = "NAME", help_heading = headings::PROMPTS)]
    pub part: Option<String>,

    /// Use only the prompts of this kind
    #[arg(long, value_name = "NAME", help_heading = headings::PROMPTS)]
    pub kind: Option<String>,

    /// How to sample, such as temperature=0.7,top-p=0.9; may be repeated [default: temperature=1]
    ///
    /// Any of temperature, top-k, top-p, min-p and repetition-penalty.
    #[arg(long = "decoding", value_name = "SPEC", help_heading = headings::SAMPLING)]
    pub decodings: Vec<SamplingParams>,

    /// Number of decodings for each prompt, in rotation [default: all]
    #[arg(long, value_name = "N", help_heading = headings::SAMPLING)]
    pub decodings_per_prompt: Option<NonZeroUsize>,

    /// Number of texts for each prompt and decoding
    #[arg(long, value_name = "N", default_value = "1", help_heading = headings::SAMPLING)]
    pub per_prompt: NonZeroUsize,

    /// Cut a text after this many words
    #[arg(long, value_name = "N", default_value = "200", help_heading = headings::SAMPLING)]
    pub max_words: NonZeroUsize,

    /// Cut a text after this many tokens
    #[arg(long, value_name = "N", default_value = "400", help_heading = headings::SAMPLING)]
    pub max_tokens: NonZeroUsize,

    /// Leave out texts with fewer words, and print how many
    #[arg(long, value_name = "N", help_heading = headings::SAMPLING)]
    pub min_words: Option<usize>,

    /// Seed; the same seed gives the same texts
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = headings::SAMPLING)]
    pub seed: u64,

    /// Number of texts that are written at once
    #[arg(long, value_name = "N", default_value = "32", help_heading = headings::SAMPLING)]
    pub batch: NonZeroUsize,

    /// Where models come from and run.
    #[command(flatten)]
    pub run: RunArgs,

    /// File for the texts [default: standard output]
    ///
    /// If the file exists, it is replaced once all texts are written.
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::OUTPUT,
    )]
    pub output: Option<PathBuf>,

    /// Print no progress
    #[arg(short, long, help_heading = headings::OUTPUT)]
    pub quiet: bool,
}

/// The settings of `generate`.
#[derive(Clone, Debug)]
pub struct GenerateConfig {
    /// The model that writes.
    pub model: AuthorChoice,
    /// The prompts; at least one.
    pub prompts: Vec<PromptEntry>,
    /// How it samples; at least one.
    pub decodings: Vec<SamplingParams>,
    /// The number of decodings for each prompt; no more than there are.
    pub decodings_per_prompt: usize,
    /// The number of texts for each prompt and decoding.
    pub per_prompt: usize,
    /// The length at which texts are cut.
    pub limits: Limits,
    /// The least number of words of a text that is printed.
    pub min_words: usize,
    /// The seed.
    pub seed: u64,
    /// The number of texts that are written at once.
    pub batch: usize,
    /// The file for the texts; none for standard output.
    pub output: Option<PathBuf>,
    /// The files and folders that are read.
    pub inputs: Vec<PathBuf>,
    /// Where the model comes from and runs.
    pub run: RunArgs,
    /// Whether no progress is printed.
    pub quiet: bool,
    /// Whether standard error is a terminal.
    pub watched: bool,
}

/// A prompt, with its names in the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptEntry {
    /// Its unique name.
    pub id: String,
    /// The kind of text that it requests.
    pub kind: Option<String>,
    /// The part of the prompts that it belongs to.
    pub part: Option<String>,
    /// The request for a chat model.
    pub instruction: Option<String>,
    /// The beginning that any other model continues.
    pub opening: Option<String>,
    /// Its place, for messages.
    place: String,
}

/// A line of a file of prompts.
#[derive(Deserialize)]
struct PromptLine {
    id: Option<String>,
    kind: Option<String>,
    part: Option<String>,
    instruction: Option<String>,
    opening: Option<String>,
}

impl GenerateConfig {
    /// The settings from these arguments. Reads the prompts.
    ///
    /// # Errors
    /// If the arguments contradict one another, or a prompt cannot be read.
    pub fn new(args: GenerateArgs, terminal: Terminal) -> anyhow::Result<Self> {
        args.run.check()?;
        let model = author(&args.model, "model")?;
        let mut inputs: Vec<PathBuf> = args.prompts.iter().chain(&args.run.models).cloned().collect();
        if let AuthorChoice::Path(path) = &model {
            inputs.push(path.clone());
        }
        let mut prompts = match &args.prompts {
            Some(path) => read_prompts(path)?,
            None => Vec::new(),
        };
        if args.texts.iter().filter(|text| *text == "-").count() > 1 {
            return Err(Contradiction::StdinTwice.into());
        }
        for (i, text) in args.texts.into_iter().enumerate() {
            let text = match text.as_str() {
                "-" => Document::read_plain(&Source::Stdin)?.text,
                _ => text,
            };
            let id = format!("prompt-{}", i + 1);
            prompts.push(PromptEntry {
                place: format!("the prompt {id}"),
                id,
                kind: None,
                part: None,
                instruction: Some(text.clone()),
                opening: Some(text),
            });
        }
        if prompts.is_empty() {
            bail!("there is no prompt; name a file of prompts with --prompts, or write one after --prompt");
        }
        let mut ids = HashSet::new();
        if let Some(twice) = prompts.iter().find(|prompt| !ids.insert(prompt.id.clone())) {
            bail!(
                "{} has the id `{}`, which another prompt has too; give each prompt its own id",
                twice.place,
                printable(&twice.id)
            );
        }
        let wanted = |name: &Option<String>, wanted: &Option<String>| wanted.is_none() || name == wanted;
        prompts.retain(|prompt| wanted(&prompt.part, &args.part) && wanted(&prompt.kind, &args.kind));
        if prompts.is_empty() {
            bail!("no prompt has this part and kind; check --part and --kind");
        }
        let decodings = if args.decodings.is_empty() {
            vec![SamplingParams::untruncated(1.0)]
        } else {
            args.decodings
        };
        if let Some((i, twice)) = decodings.iter().enumerate().find(|(i, d)| decodings[..*i].contains(d)) {
            bail!(
                "the decoding `{twice}` is named twice, the second time as number {}; name it once",
                i + 1
            );
        }
        Ok(Self {
            model,
            prompts,
            decodings_per_prompt: match args.decodings_per_prompt.map(NonZeroUsize::get) {
                Some(n) if n > decodings.len() => bail!(
                    "--decodings-per-prompt {n} is more than the {} decodings named with --decoding",
                    decodings.len()
                ),
                n => n.unwrap_or(decodings.len()),
            },
            decodings,
            per_prompt: args.per_prompt.get(),
            limits: Limits {
                words: args.max_words.get(),
                tokens: args.max_tokens.get(),
            },
            min_words: args.min_words.unwrap_or(0),
            seed: args.seed,
            batch: args.batch.get(),
            output: args.output,
            inputs,
            run: args.run,
            quiet: args.quiet,
            watched: terminal.stderr_is_watched,
        })
    }
}

fn read_prompts(path: &Path) -> anyhow::Result<Vec<PromptEntry>> {
    let name = printable(&path.to_string_lossy());
    let mut prompts = Vec::new();
    for line in JsonLines::open(path)?.objects::<PromptLine>() {
        let JsonLine { number, object: prompt } = line?;
        let place = format!("`{name}`, line {number}");
        if prompt.instruction.is_none() && prompt.opening.is_none() {
            bail!("{place} has neither an instruction nor an opening; add one");
        }
        prompts.push(PromptEntry {
            id: prompt.id.unwrap_or_else(|| format!("line-{number}")),
            kind: prompt.kind,
            part: prompt.part,
            instruction: prompt.instruction,
            opening: prompt.opening,
            place,
        });
    }
    Ok(prompts)
}

/// One text of the output.
#[derive(Serialize)]
struct TextLine<'a> {
    id: &'a str,
    text: &'a str,
    author: &'a str,
    model_sha256: &'a str,
    prompt: PromptNames<'a>,
    decoding: &'a SamplingParams,
    seed: u64,
    tokens: usize,
    words: usize,
    copied: f64,
    finish: Finish,
}

#[derive(Serialize)]
struct PromptNames<'a> {
    id: &'a str,
    kind: Option<&'a str>,
    part: Option<&'a str>,
}

/// What the line of a job says besides its text.
struct Label {
    id: String,
    prompt: usize,
    /// The part of the prompt that the model was given.
    given: Arc<str>,
}

/// Loads the model, writes all texts, and prints each as soon as it is finished.
///
/// # Errors
/// If the model cannot be loaded, a prompt does not fit it, or the output cannot be written.
pub fn run(config: &GenerateConfig) -> anyhow::Result<ExitStatus> {
    let run = &config.run;
    use_threads(run.threads)?;
    let inputs = || config.inputs.iter().map(PathBuf::as_path);
    let output = config.output.as_ref();
    let output = output.map(|path| OutFile::create(path, inputs())).transpose()?;
    let catalogue = Catalogue::load(run.models.as_deref())?;
    let (entry, author) = resolve(&catalogue, &config.model, AuthorSet::A)?;
    let Some(entry) = entry else {
        bail!(
            "{} is known by its texts alone, so it cannot write here; name an author with a model, or a model",
            printable(&author.name)
        );
    };
    let mut entries = vec![entry];
    continue_texts(&catalogue, &mut entries, &run.no_chat()?)?;
    let pool = ModelPool::fetch(entries, run.device, run.offline, fetch_progress(config.quiet))?;
    let model = pool.load(0)?;
    let (jobs, labels) = jobs(config, &model)?;
    let mut writer = GeneratedWriter {
        config,
        author: &author.name,
        sha256: &pool.stored[0].sha256,
        jobs: &jobs,
        labels: &labels,
        output,
        began: Instant::now(),
        told: Instant::now(),
        texts: 0,
        tokens: 0,
        short: 0,
    };
    let done = generate(&model, &jobs, config.limits, config.batch, &mut writer);
    match (done, writer.output.take()) {
        (Ok(()), None) => {}
        (Ok(()), Some(file)) => file.finish()?,
        // The texts so far may have taken hours, so keep them.
        (Err(error), Some(file)) if writer.texts > 0 => {
            return Err(match file.leave() {
                Some(left) => error.context(format!(
                    "not all texts were written; the finished ones are in `{}`",
                    printable(&left.to_string_lossy())
                )),
                None => error,
            });
        }
        (Err(error), _) => return Err(error),
    }
    writer.conclude();
    Ok(ExitStatus::Done)
}

/// The largest number of texts of one run. Each takes a few hundred bytes until it is written.
const MOST_TEXTS: usize = 1_000_000;

/// The texts to write. Those of one prompt are side by side.
fn jobs(config: &GenerateConfig, model: &LanguageModel) -> anyhow::Result<(Vec<Job>, Vec<Label>)> {
    let texts = config.prompts.len().saturating_mul(config.per_prompt);
    let texts = texts.saturating_mul(config.decodings_per_prompt);
    if texts > MOST_TEXTS {
        bail!(
            "{texts} texts are too many for one run, which writes at most {MOST_TEXTS}; use several runs, each with \
             another --seed"
        );
    }
    let window = model.decoder().max_window();
    let (mut jobs, mut labels) = (Vec::new(), Vec::new());
    for (index, entry) in config.prompts.iter().enumerate() {
        let missing = |what: &str, why: &str| {
            format!(
                "{} has no {what}, and {} {why}; add one, or use another model",
                entry.place,
                model.name()
            )
        };
        let prompt = match model.chat_template() {
            Some(_) => Prompt::Chat {
                system: None,
                user: (entry.instruction.clone())
                    .with_context(|| missing("instruction", "is a chat model, so it needs one"))?,
            },
            None => Prompt::Text((entry.opening.clone()).with_context(|| missing("opening", "only continues texts"))?),
        };
        let given: Arc<str> = match &prompt {
            Prompt::Chat { user, .. } => user.as_str().into(),
            Prompt::Text(text) => text.as_str().into(),
        };
        let ids = prompt_ids(model, &prompt).with_context(|| format!("{} cannot be used", entry.place))?;
        if ids.is_empty() {
            bail!(
                "{} is empty, and {} needs a word to continue",
                entry.place,
                model.name()
            );
        }
        if ids.len() >= window {
            bail!(
                "{} has {} tokens, and {} can read {window}; shorten it",
                entry.place,
                ids.len(),
                model.name()
            );
        }
        let ids = Arc::new(ids);
        for k in 0..config.decodings_per_prompt {
            let number = (index * config.decodings_per_prompt + k) % config.decodings.len();
            let decoding = &config.decodings[number];
            for i in 0..config.per_prompt {
                jobs.push(Job {
                    prompt: ids.clone(),
                    decoding: decoding.clone(),
                    seed: seed(config.seed, &entry.id, decoding, i),
                });
                labels.push(Label {
                    id: format!("{}/{decoding}/{}", entry.id, i + 1),
                    prompt: index,
                    given: given.clone(),
                });
            }
        }
    }
    Ok((jobs, labels))
}

/// The number of words in a run, for [`copied`].
const RUN: usize = 5;

/// The share of a text's runs of five words that also occur in its prompt: copied text is not the model's own.
/// Punctuation and capitals are ignored.
fn copied(prompt: &str, text: &str) -> f64 {
    let words = |text: &str| -> Vec<String> {
        let plain = |word: &str| {
            word.chars()
                .filter(|c| c.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .collect()
        };
        text.split_whitespace().map(plain).collect()
    };
    let (prompt, text) = (words(prompt), words(text));
    let known: HashSet<&[String]> = prompt.windows(RUN).collect();
    let runs = text.windows(RUN);
    let of = runs.len();
    match of {
        0 => 0.0,
        _ => runs.filter(|run| known.contains(run)).count() as f64 / of as f64,
    }
}

/// A text's own seed, so that it does not depend on the other texts of the run. Below 2⁵³, because JSON numbers are
/// exact up to there.
fn seed(seed: u64, prompt: &str, decoding: &SamplingParams, index: usize) -> u64 {
    let digest = Sha256::digest(serde_json::json!([seed, prompt, decoding, index]).to_string());
    let first = digest
        .iter()
        .take(8)
        .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    first >> 11
}

/// Prints each text as it is finished.
struct GeneratedWriter<'a> {
    config: &'a GenerateConfig,
    author: &'a str,
    sha256: &'a str,
    jobs: &'a [Job],
    labels: &'a [Label],
    /// None for standard output.
    output: Option<OutFile>,
    began: Instant,
    told: Instant,
    texts: usize,
    tokens: usize,
    short: usize,
}

impl Listener for GeneratedWriter<'_> {
    type Error = anyhow::Error;

    fn finished(&mut self, job: usize, text: Generated) -> anyhow::Result<()> {
        self.texts += 1;
        if text.words < self.config.min_words {
            self.short += 1;
            return Ok(());
        }
        let (job, label) = (&self.jobs[job], &self.labels[job]);
        let prompt = &self.config.prompts[label.prompt];
        let line = TextLine {
            id: &label.id,
            text: &text.text,
            author: self.author,
            model_sha256: self.sha256,
            prompt: PromptNames {
                id: &prompt.id,
                kind: prompt.kind.as_deref(),
                part: prompt.part.as_deref(),
            },
            decoding: &job.decoding,
            seed: job.seed,
            tokens: text.tokens,
            words: text.words,
            copied: copied(&label.given, &text.text),
            finish: text.finish,
        };
        let line = format!("{}\n", serde_json::to_string(&line)?);
        match &mut self.output {
            None => {
                let mut stdout = io::stdout();
                let written = stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush());
                Ok(written.map_err(OutputError)?)
            }
            Some(file) => {
                let written = file.write_all(line.as_bytes());
                Ok(written.with_context(|| file.cannot_write())?)
            }
        }
    }

    fn step(&mut self, tokens: usize) {
        self.tokens += tokens;
        let pause = Duration::from_secs(if self.config.watched { 1 } else { 30 });
        if !self.config.quiet && self.told.elapsed() >= pause {
            self.told = Instant::now();
            let end = if self.config.watched { '\r' } else { '\n' };
            // If progress cannot be shown, continue without it.
            let _ = write!(io::stderr(), "{:78}{end}", self.progress());
        }
    }
}

impl GeneratedWriter<'_> {
    fn progress(&self) -> String {
        let rate = self.tokens as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        format!(
            "{} of {} texts, {} tokens, {rate:.0} tokens/s",
            self.texts,
            self.jobs.len(),
            self.tokens
        )
    }

    fn conclude(&self) {
        let mut stderr = io::stderr();
        if !self.config.quiet {
            let _ = writeln!(stderr, "{:78}", self.progress());
        }
        if self.short > 0 {
            let (short, least) = (self.short, self.config.min_words);
            let _ = writeln!(stderr, "{short} texts with fewer than {least} words were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::copied;

    #[test]
    fn copied_runs_are_counted_whatever_their_punctuation_and_capitals() {
        let prompt = "Write a summary: The swift hardly ever lands, and eats upon the wing.";
        assert_eq!(copied(prompt, "the swift hardly ever lands and"), 1.0);
        assert_eq!(copied(prompt, "A bird: the swift hardly ever lands again"), 0.25);
        assert_eq!(copied(prompt, "hardly ever lands"), 0.0);
        assert_eq!(copied("", "one two three four five six"), 0.0);
    }
}
