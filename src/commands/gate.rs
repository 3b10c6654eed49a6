//! `whowrote gate`: what was submitted is judged by a policy, and the exit code says whether it passes.

use super::choices::{choices, named};
use super::config::judge_settings;
use super::{ExitStatus, JudgeArgs, OutputError, Terminal, fetch_progress, write_sentence};
use crate::gate::{
    Before, Excepted, GatePolicy, GateReport, JudgedText, Note, NoteLevel, POLICY_FILE, Passage, Rule, Skipped,
    TEMPLATE, Undecided, apply_rules, passages,
};
use crate::judge::{Judge, JudgeError, JudgeSettings, considered};
use crate::output::{Detail, Format, Layout, OutFile, formats_of_runs};
use crate::report::ProvenanceReport;
use anyhow::{Context, bail, ensure};
use chrono::{NaiveDate, Utc};
use clap::{Args, Subcommand};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use whowrote_input::prose::{self, LineUnit, Markup, Prose};
use whowrote_input::{Change, Comparison, Document, InputError, Repository, files_of, printable, read_file};
use whowrote_stats::verdict::AuthorSet;

/// What the user typed after `gate`; [`GateConfig`] is what the program works with.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct GateArgs {
    /// Writes a policy to begin with.
    #[command(subcommand)]
    pub command: Option<GateCommand>,

    /// Files and folders to judge; with --diff or --staged only what changed in them
    ///
    /// A folder is walked as `batch` does: hidden files, and those that a .gitignore or .ignore names, are left out.
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Judges what changed between two revisions, such as main...HEAD, or between one and the files as they lie
    ///
    /// What was moved or wrapped anew is not new.
    #[arg(long, value_name = "RANGE", conflicts_with = "staged")]
    pub diff: Option<String>,

    /// Judges what the next commit would change
    #[arg(long)]
    pub staged: bool,

    /// The policy; without it, the nearest whowrote.toml up to the top of the repository
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub policy: Option<PathBuf>,

    /// Says which rule of the policy holds for these paths, and judges nothing
    #[arg(long, requires = "paths", conflicts_with_all = ["diff", "staged"])]
    pub explain: bool,

    /// How the run is printed
    #[arg(long, value_name = "FORMAT", value_parser = choices(named(formats_of_runs())), default_value = "text")]
    pub format: &'static Format,

    /// Writes the run to a file as well, such as sarif=whowrote.sarif; may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE")]
    pub reports: Vec<ReportFile>,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// Prints no progress
    #[arg(short, long)]
    pub quiet: bool,

    /// Prints texts that pass, and what was not judged, as well
    #[arg(short, long)]
    pub verbose: bool,
}

/// What `gate` can do besides.
#[derive(Clone, Debug, Subcommand)]
pub enum GateCommand {
    /// Writes a policy with comments to whowrote.toml in this folder
    Init,
}

/// A file that the run is written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    format: &'static Format,
    path: PathBuf,
}

impl FromStr for ReportFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "a report is a format and a file, such as sarif=whowrote.sarif".to_owned();
        let (format, path) = text
            .split_once('=')
            .filter(|(_, path)| !path.is_empty())
            .ok_or_else(wrong)?;
        Ok(Self {
            format: formats_of_runs().find(|known| known.name == format).ok_or_else(|| {
                let known: Vec<&str> = formats_of_runs().map(|format| format.name).collect();
                format!("`{format}` is not a format; choose one of {}", known.join(", "))
            })?,
            path: path.into(),
        })
    }
}

/// What `gate` works with.
#[derive(Debug)]
pub struct GateConfig {
    /// What is judged.
    pub submission: Submission,
    /// By which policy.
    pub policy: GatePolicy,
    /// How the run is printed.
    pub format: &'static Format,
    /// Files that it is written to as well.
    pub reports: Vec<ReportFile>,
    /// How texts are judged.
    pub judging: JudgeSettings,
    /// Whether no progress is printed.
    pub quiet: bool,
    /// Whether texts that pass are printed as well.
    pub verbose: bool,
    /// The width that text is wrapped at, in columns.
    pub width: usize,
    /// Whether somebody watches standard error.
    pub watched: bool,
}

/// What was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Files and folders as they lie.
    Paths(Vec<PathBuf>),
    /// What changed between two states of the repository, in some paths or in all.
    Changes(Comparison, Vec<PathBuf>),
    /// Nothing: of these paths it is said which rule holds.
    Explain(Vec<PathBuf>),
}

impl GateConfig {
    /// Checks what the user typed and what the policy says as a whole.
    ///
    /// # Errors
    /// When there is nothing to judge, or the policy cannot be used.
    pub fn new(args: GateArgs, terminal: Terminal) -> anyhow::Result<Self> {
        let submission = match (args.diff, args.staged, args.explain) {
            (_, _, true) => Submission::Explain(args.paths),
            (Some(range), ..) => Submission::Changes(Comparison::Range(range), args.paths),
            (None, true, _) => Submission::Changes(Comparison::Staged, args.paths),
            (None, false, _) if args.paths.is_empty() => {
                bail!("there is nothing to judge: name files or folders, or what changed with --diff or --staged")
            }
            (None, false, _) => Submission::Paths(args.paths),
        };
        let policy = match &args.policy {
            Some(file) => {
                let policy = GatePolicy::read(file)?;
                match Repository::find(Path::new(".")) {
                    Ok(repository) => policy.within(repository.top()),
                    Err(_) => policy,
                }
            }
            None => GatePolicy::find(Path::new("."))?,
        };
        let mut judging = args.judging;
        let policy_alpha = policy.alpha;
        let alpha = *judging.alpha.get_or_insert(policy_alpha);
        let names = |names: &[String]| names.iter().map(OsString::from).collect::<Vec<_>>();
        if judging.a.is_empty() {
            judging.a = names(&policy.a);
        }
        if judging.b.is_empty() {
            judging.b = names(&policy.b);
        }
        judging.calibrations.extend(policy.calibrations.iter().cloned());
        judging.run.models = judging.run.models.or_else(|| policy.models.clone());
        Ok(Self {
            submission,
            policy: GatePolicy { alpha, ..policy },
            format: args.format,
            reports: args.reports,
            judging: judge_settings(judging)?,
            quiet: args.quiet,
            verbose: args.verbose,
            width: terminal.width_or_default(),
            watched: terminal.stderr_is_watched && !args.quiet,
        })
    }
}

/// Writes the policy to begin with.
///
/// # Errors
/// When there is one already, or it cannot be written.
pub fn init(out: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let path = Path::new(POLICY_FILE);
    let file = std::fs::File::options().write(true).create_new(true).open(path);
    let written = file.and_then(|mut file| file.write_all(TEMPLATE.as_bytes()));
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("`{POLICY_FILE}` is there already; change it, or delete it first")
        }
        written => written.with_context(|| format!("cannot write `{POLICY_FILE}`; check the folder"))?,
    }
    writeln!(
        out,
        "wrote {POLICY_FILE}; say in it who may write what, and run `whowrote gate --diff main...HEAD`"
    )
    .map_err(OutputError)?;
    Ok(ExitStatus::Done)
}

/// Judges what was submitted and prints what became of it.
///
/// # Errors
/// When the work as a whole cannot be done, or the results cannot be written.
pub fn run(config: &GateConfig, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let considered = considered(&config.judging)?;
    check_names(config, &considered)?;
    if let Submission::Explain(paths) = &config.submission {
        return explain(config, paths, &considered, out);
    }
    // Where results cannot go is known before the work is done.
    let targets = config.reports.iter().map(|report| {
        let target = OutFile::create(&report.path, [])?;
        Ok((report.format, target))
    });
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let today = Utc::now().date_naive();
    let mut gathered = match &config.submission {
        Submission::Changes(comparison, paths) => of_changes(config, comparison, paths, today)?,
        Submission::Paths(paths) => of_paths(config, paths, today)?,
        Submission::Explain(_) => unreachable!("explained above"),
    };
    if config.policy.file.is_none() && !config.quiet {
        let _ = writeln!(
            err,
            "no {POLICY_FILE} was found, so the default policy holds (models of set A and people may write prose); `whowrote gate init` \
             writes one"
        );
    }
    for note in &gathered.unreadable {
        let _ = write_sentence(err, &note.message);
    }
    let texts = std::mem::take(&mut gathered.texts);
    let report = judge(config, texts, gathered, err)?;
    let layout = Layout {
        detail: if config.verbose {
            Detail::Verbose
        } else {
            Detail::Normal
        },
        width: config.width,
    };
    let print = |format: &Format, out: &mut dyn Write| match format.run {
        Some(write) => write(&report, layout, out).and_then(|()| out.flush()),
        None => Ok(()),
    };
    print(config.format, out).map_err(OutputError)?;
    for (format, mut target) in targets {
        let failed = target.cannot_write();
        let mut written = Vec::new();
        if format.is_styled {
            // A file has no colours.
            print(format, &mut anstream::StripStream::new(&mut written))?;
        } else {
            print(format, &mut written)?;
        }
        target.write_all(&written).context(failed)?;
        target.finish()?;
    }
    Ok(match (report.passed, report.unreadable.is_empty()) {
        (false, _) => ExitStatus::Failed,
        (true, false) => ExitStatus::Incomplete,
        (true, true) => ExitStatus::Done,
    })
}

/// Refuses rules for authors that are not considered: they could never be ruled out, and nothing would ever fail.
fn check_names(config: &GateConfig, considered: &[(String, AuthorSet)]) -> anyhow::Result<()> {
    for (rule, number) in config.policy.rules.iter().zip(1..) {
        for name in &rule.allow {
            let set = matches!(name.as_str(), "a" | "b" | "human");
            ensure!(
                set || considered.iter().any(|(author, _)| author == name),
                "rule {number} of the policy allows `{}`, which is no author that is considered; take a, b, human, or one of {}",
                printable(name),
                considered
                    .iter()
                    .map(|(author, _)| author.as_str())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
        }
    }
    Ok(())
}

/// A text that will be judged.
struct Text<'a> {
    path: String,
    unit: LineUnit,
    passage: Passage,
    sha256: String,
    rule: (usize, &'a Rule),
}

/// The texts of a submission, and what is no text of it.
#[derive(Default)]
struct Gathered<'a> {
    texts: Vec<Text<'a>>,
    skipped: Skipped,
    notes: Vec<Note>,
    unreadable: Vec<Note>,
}

impl<'a> Gathered<'a> {
    /// Reads a file, if the policy has it judged, and adds what is new in it.
    fn take(
        &mut self,
        policy: &'a GatePolicy,
        full: &Path,
        name: &str,
        read: impl FnOnce() -> Result<Vec<u8>, InputError>,
        before: &Before,
        today: NaiveDate,
    ) {
        let Some(rule) = policy.rule_for(full).filter(|(_, rule)| rule.judge) else {
            self.skipped.unnamed += 1;
            return;
        };
        let Some(markup) = Markup::of_path(full) else {
            self.skipped.no_prose += 1;
            return;
        };
        match read().and_then(|bytes| prose::of_file(name, markup, &bytes)) {
            Ok(prose) => self.add(policy, rule, name, &prose, before, today),
            Err(error) => self.failed(name, &error),
        }
    }

    /// Adds the new texts of a file.
    fn add(
        &mut self,
        policy: &GatePolicy,
        rule: (usize, &'a Rule),
        name: &str,
        prose: &Prose,
        before: &Before,
        today: NaiveDate,
    ) {
        for (line, message) in &prose.notes {
            self.note(NoteLevel::Warning, name, Some(*line), message.clone());
        }
        let found = passages(prose, before, policy.least_words);
        self.skipped.ignored_words += found.ignored;
        if found.ignored > 0 {
            let message = format!("Marks in this file exempt {} of its new words.", found.ignored);
            self.note(NoteLevel::Notice, name, None, message);
        }
        self.skipped.short_words += found.too_few;
        if found.judged.is_empty() {
            self.skipped.too_short += 1;
        }
        for passage in found.judged {
            let sha256 = passage.sha256();
            let first = passage.lines.first().map(|lines| *lines.start());
            match policy.exception(&sha256, today) {
                Some(Excepted::Holds(exception)) => {
                    self.skipped.excepted += 1;
                    let message = format!("The policy lets this text pass: {}", printable(&exception.reason));
                    self.note(NoteLevel::Notice, name, first, message);
                    continue;
                }
                Some(Excepted::Expired(exception)) => {
                    let day = exception.expires.map(|day| day.to_string()).unwrap_or_default();
                    let message = format!("The exception for this text ended on {day}, so it is judged again.");
                    self.note(NoteLevel::Notice, name, first, message);
                }
                None => {}
            }
            self.texts.push(Text {
                path: name.to_owned(),
                unit: prose.line_unit,
                passage,
                sha256,
                rule,
            });
        }
    }

    fn note(&mut self, level: NoteLevel, path: &str, line: Option<usize>, message: String) {
        self.notes.push(Note {
            level,
            path: path.to_owned(),
            line,
            message,
        });
    }

    /// A file without a word is no mistake, whatever else cannot be read is.
    fn failed(&mut self, path: &str, error: &InputError) {
        match error {
            InputError::Empty { .. } => self.skipped.too_short += 1,
            error => self.unreadable.push(Note {
                level: NoteLevel::Warning,
                path: path.to_owned(),
                line: None,
                message: error.to_string(),
            }),
        }
    }
}

fn of_changes<'a>(
    config: &'a GateConfig,
    comparison: &Comparison,
    paths: &[PathBuf],
    today: NaiveDate,
) -> anyhow::Result<Gathered<'a>> {
    let mut repository = Repository::find(Path::new("."))?;
    let within = paths
        .iter()
        .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
    let changes = repository.changes(comparison, &within.collect::<Vec<_>>())?;
    let mut gathered = Gathered::default();
    let mut before = Before::default();
    for change in &changes {
        let (Some(old), Some(markup)) = (&change.old, Markup::of_path(&change.path)) else {
            continue;
        };
        // What no rule has judged is not known to be written by anybody who may.
        let full = repository.top().join(&change.path);
        if !config.policy.rule_for(&full).is_some_and(|(_, rule)| rule.judge) {
            continue;
        }
        // What was no prose before holds nothing that could have been moved.
        let name = change.path.to_string_lossy();
        let bytes = repository.read(&change.path, old);
        if let Ok(prose) = bytes.and_then(|bytes| prose::of_file(&name, markup, &bytes)) {
            before.add(&prose);
        }
    }
    let policy_file = config
        .policy
        .file
        .as_ref()
        .and_then(|file| std::path::absolute(file).ok());
    let decisive: Vec<PathBuf> = config.policy.files().chain(policy_file).collect();
    for Change { path, new, is_link, .. } in &changes {
        let full = repository.top().join(path);
        let name = shown(path);
        if decisive.contains(&full) || path.file_name().is_some_and(|name| name == POLICY_FILE) {
            let message = match new.is_some() || *is_link {
                true => {
                    "This change changes a file that the gate decides by. Whoever can change it can let anything pass."
                }
                false => "This change removes a file that the gate decides by, and with it what it forbids.",
            };
            gathered.note(NoteLevel::Warning, &name, None, message.to_owned());
        }
        let Some(new) = new else { continue };
        let read = || repository.read(path, new);
        gathered.take(&config.policy, &full, &name, read, &before, today);
    }
    Ok(gathered)
}

fn of_paths<'a>(config: &'a GateConfig, paths: &[PathBuf], today: NaiveDate) -> anyhow::Result<Gathered<'a>> {
    let mut gathered = Gathered::default();
    // Annotations name files as the repository does.
    let top = Repository::find(Path::new(".")).map(|repository| repository.top().to_owned());
    let top = top.or_else(|_| Path::new(".").canonicalize()).unwrap_or_default();
    let before = Before::default();
    for root in paths {
        for found in files_of(root) {
            let path = match found {
                Ok(path) => path,
                Err((name, error)) => {
                    gathered.failed(&name, &error);
                    continue;
                }
            };
            let Ok(full) = path.canonicalize() else {
                // It is not there, or lies where nobody may look: reading it says which.
                if let Err(error) = read_file(&path) {
                    gathered.failed(&path.to_string_lossy(), &error);
                }
                continue;
            };
            let name = shown(full.strip_prefix(&top).unwrap_or(&path));
            gathered.take(&config.policy, &full, &name, || read_file(&path), &before, today);
        }
    }
    Ok(gathered)
}

/// A path as results name it: with slashes, on every system.
fn shown(path: &Path) -> String {
    let name = path.to_string_lossy();
    match cfg!(windows) {
        true => name.replace('\\', "/"),
        false => name.into_owned(),
    }
}

fn judge(config: &GateConfig, texts: Vec<Text>, gathered: Gathered, err: &mut dyn Write) -> anyhow::Result<GateReport> {
    let document = |text: &Text| {
        let first = text.passage.lines.first().map_or(1, |lines| *lines.start());
        Document::from_text(format!("{}:{first}", text.path), text.passage.text.clone())
    };
    let documents: Vec<Document> = texts.iter().map(document).collect();
    let mut reports: Vec<Option<ProvenanceReport>> = documents.iter().map(|_| None).collect();
    let can_fail = texts
        .iter()
        .filter(|text| text.rule.1.can_fail(text.passage.is_later))
        .count();
    if !documents.is_empty() {
        let judging = JudgeSettings {
            alpha_together: Some(config.policy.alpha / can_fail.max(1) as f64),
            ..config.judging.clone()
        };
        let mut judge = Judge::new(judging)?.with_progress(fetch_progress(config.quiet));
        let mut done = 0;
        let mut progress = |done: usize| {
            if config.watched {
                let _ = write!(err, "{done} of {} texts judged\r", documents.len()).and_then(|()| err.flush());
            }
        };
        progress(done);
        judge.judge_each(&documents, |i, report| -> Result<(), JudgeError> {
            reports[i] = Some(report);
            done += 1;
            progress(done);
            Ok(())
        })?;
        if config.watched {
            let _ = write!(err, "{:40}\r", "");
        }
    }
    let judged = texts.into_iter().zip(reports).map(|(text, report)| {
        Ok(JudgedText {
            path: text.path,
            unit: text.unit,
            lines: text.passage.lines,
            words: text.passage.words,
            sha256: text.sha256,
            is_later: text.passage.is_later,
            rule: text.rule,
            report: report.context("no verdict was given on some of the texts")?,
        })
    });
    let judged = judged.collect::<anyhow::Result<Vec<_>>>()?;
    let file = config.policy.file.as_deref().map(shown);
    Ok(GateReport {
        policy: file,
        skipped: gathered.skipped,
        notes: gathered.notes,
        unreadable: gathered.unreadable,
        ..apply_rules(judged, config.policy.alpha)
    })
}

/// Says which rule holds for each path.
fn explain(
    config: &GateConfig,
    paths: &[PathBuf],
    considered: &[(String, AuthorSet)],
    out: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    let mut said = String::new();
    for path in paths {
        let full = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let full = full.canonicalize().unwrap_or(full);
        said += &explained(config, path, &full, considered);
    }
    out.write_all(said.as_bytes()).map_err(OutputError)?;
    Ok(ExitStatus::Done)
}

fn explained(config: &GateConfig, path: &Path, full: &Path, considered: &[(String, AuthorSet)]) -> String {
    let policy = &config.policy;
    let file = match &policy.file {
        Some(file) => printable(&file.to_string_lossy()),
        None => "the default policy".to_owned(),
    };
    let mut lines = vec![printable(&path.to_string_lossy()), format!("  policy: {file}")];
    let kind = Markup::of_path(full);
    match policy.rule_for(full) {
        None => lines.push("  not judged: no rule names it".to_owned()),
        Some((number, rule)) => {
            lines.push(format!("  rule {number}: {}", printable(&rule.paths.join(", "))));
            match kind {
                _ if !rule.judge => lines.push("  not judged: the rule says so".to_owned()),
                None => lines.push("  not judged: no prose is taken from files of this kind".to_owned()),
                Some(kind) => {
                    let of = |allowed: bool| {
                        let authors = considered
                            .iter()
                            .filter(|(author, set)| rule.allows(author, *set) == allowed);
                        let names: Vec<String> = authors
                            .map(|(author, set)| match set {
                                AuthorSet::Human => "a person".to_owned(),
                                _ => printable(author),
                            })
                            .collect();
                        match names.is_empty() {
                            true => "nobody".to_owned(),
                            false => names.join(", "),
                        }
                    };
                    let undecided = match rule.undecided {
                        Undecided::Pass => "pass",
                        Undecided::Warn => "are told and pass",
                        Undecided::Fail => "fail",
                    };
                    lines.push(format!("  judged as {}", kind.name()));
                    lines.push(format!("  allowed: {}", of(true)));
                    lines.push(format!("  not allowed: {}", of(false)));
                    lines.push(format!(
                        "  texts of fewer than {} words are not judged",
                        policy.least_words
                    ));
                    lines.push(format!("  texts whose author the evidence does not tell {undecided}"));
                    if rule.undecided != Undecided::Fail {
                        lines.push(format!(
                            "  of runs whose texts were all written by allowed authors at most {}% fail",
                            (policy.alpha * 1e4).round() / 1e2
                        ));
                    }
                }
            }
        }
    }
    lines.push(String::new());
    lines.join("\n")
}
