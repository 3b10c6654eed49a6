//! `whowrote generate`: prompts in, texts of a model out, one JSON object a text.

use super::config::author;
use super::fetch_progress;
use super::{Contradiction, ExitStatus, OutputError, RunArgs, Terminal};
use crate::judge::{AuthorChoice, ModelPool, resolve, use_threads};
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

/// What the user typed after `generate`; [`GenerateConfig`] is what the program works with.
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    /// The model that writes: an author or a model of the catalogue, or a path
    ///
    /// `whowrote models list` lists the names. A path is a GGUF file, or a folder with config.json, tokenizer.json and
    /// safetensors; what holds a slash or ends in .gguf is a path.
    #[arg(long, value_name = "NAME|PATH", value_hint = clap::ValueHint::AnyPath)]
    pub model: OsString,

    /// A file of prompts, one JSON object a line
    ///
    /// Each has an "instruction", which a model with a chat template is asked; or an "opening", which any other model
    /// continues; or both. "id", "kind" and "part" name it and group it; other fields are passed over.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub prompts: Option<PathBuf>,

    /// A prompt, as instruction and opening in one; `-` reads it from standard input; may be repeated
    #[arg(long = "prompt", value_name = "TEXT|-")]
    pub texts: Vec<String>,

    /// How tokens are drawn, such as temperature=0.7,top-p=0.9; may be repeated
    ///
    /// Any of temperature, top-k, top-p, min-p and repetition-penalty. Without it, temperature=1 and nothing cut off.
    #[arg(long = "decoding", value_name = "SPEC")]
    pub decodings: Vec<SamplingParams>,

    /// Decodings that each prompt gets, in rotation from prompt to prompt; without it, all of them
    #[arg(long, value_name = "N")]
    pub decodings_per_prompt: Option<NonZeroUsize>,

    /// Texts for each prompt and decoding
    #[arg(long, value_name = "N", default_value = "1")]
    pub per_prompt: NonZeroUsize,

    /// Words after which a text is cut
    #[arg(long, value_name = "N", default_value = "200")]
    pub max_words: NonZeroUsize,

    /// Tokens after which a text is cut
    #[arg(long, value_name = "N", default_value = "400")]
    pub max_tokens: NonZeroUsize,

    /// Leaves out texts of fewer words, and says how many
    #[arg(long, value_name = "N")]
    pub min_words: Option<usize>,

    /// Where random numbers begin; the same seed gives the same texts
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Texts that are written at once
    #[arg(long, value_name = "N", default_value = "32")]
    pub batch: NonZeroUsize,

    /// Only prompts of this part
    #[arg(long, value_name = "NAME")]
    pub part: Option<String>,

    /// Only prompts of this kind
    #[arg(long, value_name = "NAME")]
    pub kind: Option<String>,

    /// Where texts are written, instead of standard output; a file that is there is replaced when all are written
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Where models are looked for and run.
    #[command(flatten)]
    pub run: RunArgs,

    /// Prints no progress
    #[arg(short, long)]
    pub quiet: bool,
}

/// What `generate` works with.
#[derive(Clone, Debug)]
pub struct GenerateConfig {
    /// The model that writes.
    pub model: AuthorChoice,
    /// What it is asked; at least one.
    pub prompts: Vec<PromptEntry>,
    /// How it draws; at least one.
    pub decodings: Vec<SamplingParams>,
    /// Decodings that each prompt gets; no more than there are.
    pub decodings_per_prompt: usize,
    /// Texts for each prompt and decoding.
    pub per_prompt: usize,
    /// Where texts are cut.
    pub limits: Limits,
    /// Words that a text must have to be written out.
    pub min_words: usize,
    /// Where random numbers begin.
    pub seed: u64,
    /// Texts that are written at once.
    pub batch: usize,
    /// Where texts go; none for standard output.
    pub output: Option<PathBuf>,
    /// The files and folders that are read.
    pub inputs: Vec<PathBuf>,
    /// Where the model is looked for and runs.
    pub run: RunArgs,
    /// Whether nothing is said of the progress.
    pub quiet: bool,
    /// Whether somebody watches standard error.
    pub watched: bool,
}

/// A prompt, with the names that the output repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptEntry {
    /// Unlike that of every other prompt.
    pub id: String,
    /// The kind of text that it asks for.
    pub kind: Option<String>,
    /// The part of the work that it belongs to.
    pub part: Option<String>,
    /// What a model that holds conversations is asked.
    pub instruction: Option<String>,
    /// What any other model continues.
    pub opening: Option<String>,
    /// Where it stands, for messages.
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
    /// Checks what the user typed as a whole, and reads the prompts.
    ///
    /// # Errors
    /// When something contradicts something else, or a prompt cannot be read.
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
            bail!("there is no prompt; name a file of them with --prompts, or write one after --prompt");
        }
        let mut ids = HashSet::new();
        if let Some(twice) = prompts.iter().find(|prompt| !ids.insert(prompt.id.clone())) {
            bail!(
                "{} has the id `{}`, which another prompt has too; give each its own",
                twice.place,
                printable(&twice.id)
            );
        }
        let wanted = |name: &Option<String>, wanted: &Option<String>| wanted.is_none() || name == wanted;
        prompts.retain(|prompt| wanted(&prompt.part, &args.part) && wanted(&prompt.kind, &args.kind));
        if prompts.is_empty() {
            bail!("no prompt is of the part and the kind asked for; check --part and --kind");
        }
        let decodings = if args.decodings.is_empty() {
            vec![SamplingParams::untruncated(1.0)]
        } else {
            args.decodings
        };
        if let Some((i, twice)) = decodings.iter().enumerate().find(|(i, d)| decodings[..*i].contains(d)) {
            bail!(
                "the decoding `{twice}` is named again as number {}; name it once",
                i + 1
            );
        }
        Ok(Self {
            model,
            prompts,
            decodings_per_prompt: match args.decodings_per_prompt.map(NonZeroUsize::get) {
                Some(n) if n > decodings.len() => bail!(
                    "--decodings-per-prompt {n} asks for more decodings than the {} that are named with --decoding",
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
            bail!("{place} has neither an instruction nor an opening; give it one of them");
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
struct Line<'a> {
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

/// What one job's line says beside its text.
struct Label {
    id: String,
    prompt: usize,
    /// What the model was given of the prompt.
    given: Arc<str>,
}

/// Loads the model, has it write all texts, and prints each as soon as it is finished.
///
/// # Errors
/// When the model cannot be had, a prompt does not fit it, or the output cannot be written.
pub fn run(config: &GenerateConfig) -> anyhow::Result<ExitStatus> {
    let run = &config.run;
    use_threads(run.threads)?;
    let inputs = || config.inputs.iter().map(PathBuf::as_path);
    let output = config.output.as_ref();
    let output = output.map(|path| OutFile::create(path, inputs())).transpose()?;
    let catalogue = Catalogue::load(run.models.as_deref())?;
    let (entry, author) = resolve(&catalogue, &config.model, AuthorSet::A)?;
    let pool = ModelPool::fetch(vec![entry], run.device, run.offline, fetch_progress(config.quiet))?;
    let model = pool.load(0)?;
    let (jobs, labels) = jobs(config, &model)?;
    let mut writer = TextWriter {
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
        // Hours of writing may lie behind.
        (Err(error), Some(file)) if writer.texts > 0 => {
            return Err(match file.leave() {
                Some(left) => error.context(format!(
                    "not all texts were written; those that were are in `{}`",
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

/// Texts that one run writes: what is kept of each until it is written takes a few hundred bytes.
const MOST_TEXTS: usize = 1_000_000;

/// The texts to write, those of one prompt side by side.
fn jobs(config: &GenerateConfig, model: &LanguageModel) -> anyhow::Result<(Vec<Job>, Vec<Label>)> {
    let texts = config.prompts.len().saturating_mul(config.per_prompt);
    let texts = texts.saturating_mul(config.decodings_per_prompt);
    if texts > MOST_TEXTS {
        bail!(
            "{texts} texts are asked for, and one run writes at most {MOST_TEXTS}; take several, with another --seed each"
        );
    }
    let window = model.decoder().max_window();
    let (mut jobs, mut labels) = (Vec::new(), Vec::new());
    for (index, entry) in config.prompts.iter().enumerate() {
        let missing = |what: &str, why: &str| {
            format!(
                "{} has no {what}, and {} {why}; add one, or take another model",
                entry.place,
                model.name()
            )
        };
        let prompt = match model.chat_template() {
            Some(_) => Prompt::Chat {
                system: None,
                user: (entry.instruction.clone())
                    .with_context(|| missing("instruction", "holds conversations, so it has to be asked"))?,
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
                "{} is empty, and {} needs a word to begin with",
                entry.place,
                model.name()
            );
        }
        if ids.len() >= window {
            bail!(
                "{} has {} tokens, and {} reads {window}; shorten it",
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

/// Words in a row that make a run, for [`copied`].
const RUN: usize = 5;

/// The share of a text's runs of five words that stand in its prompt: what is copied from there is not the model's
/// writing. Signs and capitals are passed over.
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

/// A text's own seed, so that it is the same in whatever company it is written; below 2⁵³, which JSON numbers hold.
fn seed(seed: u64, prompt: &str, decoding: &SamplingParams, index: usize) -> u64 {
    let digest = Sha256::digest(serde_json::json!([seed, prompt, decoding, index]).to_string());
    let first = digest
        .iter()
        .take(8)
        .fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    first >> 11
}

/// Prints each text as it is finished.
struct TextWriter<'a> {
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

impl Listener for TextWriter<'_> {
    type Error = anyhow::Error;

    fn finished(&mut self, job: usize, text: Generated) -> anyhow::Result<()> {
        self.texts += 1;
        if text.words < self.config.min_words {
            self.short += 1;
            return Ok(());
        }
        let (job, label) = (&self.jobs[job], &self.labels[job]);
        let prompt = &self.config.prompts[label.prompt];
        let line = Line {
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
            // Progress that cannot be shown is no reason to stop.
            let _ = write!(io::stderr(), "{:78}{end}", self.progress());
        }
    }
}

impl TextWriter<'_> {
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
            let _ = writeln!(stderr, "{short} texts of fewer than {least} words were left out");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::copied;

    #[test]
    fn copied_runs_are_counted_whatever_their_signs_and_capitals() {
        let prompt = "Write a summary: The swift hardly ever lands, and eats upon the wing.";
        assert_eq!(copied(prompt, "the swift hardly ever lands and"), 1.0);
        assert_eq!(copied(prompt, "A bird: the swift hardly ever lands again"), 0.25);
        assert_eq!(copied(prompt, "hardly ever lands"), 0.0);
        assert_eq!(copied("", "one two three four five six"), 0.0);
    }
}
