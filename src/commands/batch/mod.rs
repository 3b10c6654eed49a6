//! `whowrote batch`: many texts in, one JSON line each out, and nothing lost whatever ends the program.

mod run;
mod tally;

pub use run::run;

use super::choices::choices;
use super::config::judge_settings;
use super::{JudgeArgs, Terminal};
use crate::judge::JudgeSettings;
use crate::output::{TableWriter, beside, table_with_ending};
use anyhow::{Context, bail};
use clap::Args;
use ignore::overrides::OverrideBuilder;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use whowrote_input::{Columns, CorpusOptions, CorpusSource, FileFormat, Shard, printable};

/// What the user typed after `batch`; [`BatchConfig`] is what the program works with.
#[derive(Clone, Debug, Args)]
pub struct BatchArgs {
    /// Folders, and files of one text or many; `-` is JSONL on standard input, or what --input-format says
    ///
    /// A folder is walked in the order of names; hidden files and those that a .gitignore or .ignore names are left out. Files that
    /// end in .jsonl, .ndjson, .json, .csv, .tsv or .parquet hold many texts; any other holds one. All but Parquet may be
    /// compressed (.gz, .zst).
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<OsString>,

    /// A file that lists paths, one a line; `-` is standard input
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub files_from: Vec<PathBuf>,

    /// The paths of --files-from end in a NUL, as `find -print0` writes them, and not in a line feed
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Where the results go; the same command goes on where it was stopped. Without it, standard output
    ///
    /// A name that ends in .parquet makes a Parquet file, at the end and out of the lines in FILE.jsonl.
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub output: Option<PathBuf>,

    /// Throws away the results that are there, and begins anew
    #[arg(long, requires = "output")]
    pub overwrite: bool,

    /// The field or column of the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub text: String,

    /// The field or column of a name for each text, which the results repeat as `input.id`
    #[arg(long, value_name = "NAME")]
    pub id: Option<String>,

    /// What all files hold, whatever their names say
    #[arg(long, value_name = "FORMAT", value_parser = choices(FileFormat::NAMED))]
    pub input_format: Option<FileFormat>,

    /// Judge files of one text as they are, whatever their names say
    #[arg(long)]
    pub plain: bool,

    /// Takes only files of folders that match, or leaves out those that match after a `!`; may be repeated
    ///
    /// As in ripgrep, a file that matches is taken even if it is hidden or ignored.
    #[arg(short, long = "glob", value_name = "GLOB")]
    pub globs: Vec<String>,

    /// Takes hidden files of folders too
    #[arg(long)]
    pub hidden: bool,

    /// Takes files of folders that a .gitignore or .ignore names too
    #[arg(long)]
    pub no_ignore: bool,

    /// Takes every N-th text, from the I-th on, for several runs that share the work: 1/N to N/N
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// Memory for the models, such as 4GiB; without it, three quarters of what is free
    ///
    /// Where it does not hold all models at once, or a model only as its file has it, they take turns and are slower.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// Prints no progress and no summary
    #[arg(short, long)]
    pub quiet: bool,
}

fn parse_size(text: &str) -> Result<u64, String> {
    let parse = || {
        let digits = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let number: f64 = text[..digits].parse().ok()?;
        let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" | "kib" => 1024.0,
            "m" | "mb" | "mib" => 1_048_576.0,
            "g" | "gb" | "gib" => 1_073_741_824.0,
            "t" | "tb" | "tib" => 1_099_511_627_776.0,
            _ => return None,
        };
        let bytes = number * unit;
        (1.0..1e18).contains(&bytes).then_some(bytes as u64)
    };
    parse().ok_or_else(|| "a size is a number of bytes, or one with a unit, such as 4GiB or 500MiB".to_owned())
}

/// What `batch` works with. No two of its fields contradict each other.
#[derive(Debug)]
pub struct BatchConfig {
    /// Where texts come from; at least one.
    pub roots: Vec<CorpusSource>,
    /// How they are found.
    pub corpus: CorpusOptions,
    /// Where results go; none for standard output.
    pub output: Option<Output>,
    /// Whether those that are there are thrown away.
    pub overwrite: bool,
    /// Bytes for the models; none for what is free.
    pub memory: Option<u64>,
    /// How texts are judged.
    pub judging: JudgeSettings,
    /// Whether neither progress nor a summary is printed.
    pub quiet: bool,
    /// Whether somebody watches standard error.
    pub watched: bool,
}

/// The files of the results.
#[derive(Clone, Debug)]
pub struct Output {
    /// One JSON object a line.
    pub lines: PathBuf,
    /// The table that is made of them, if one is asked for, and what makes it.
    pub table: Option<(PathBuf, TableWriter)>,
}

impl Output {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        if let Some(ending @ ("csv" | "tsv" | "gz" | "zst" | "zstd" | "txt")) = ending.as_deref() {
            bail!(
                "results are JSON lines or Parquet, not {ending}; let `{}` end in .jsonl or .parquet",
                printable(&path.to_string_lossy())
            );
        }
        Ok(match ending.as_deref().and_then(table_with_ending) {
            Some(writer) => Self {
                lines: beside(&path, ".jsonl"),
                table: Some((path, writer)),
            },
            None => Self {
                lines: path,
                table: None,
            },
        })
    }

    /// All files that are written, none of which is a text.
    fn files(&self) -> Vec<PathBuf> {
        let of_lines = [self.lines.clone(), beside(&self.lines, ".state")];
        of_lines
            .into_iter()
            .chain(self.table.as_ref().map(|(path, _)| path.clone()))
            .collect()
    }
}

impl BatchConfig {
    /// Checks what the user typed as a whole.
    ///
    /// # Errors
    /// Contradictions, and paths that are not there.
    pub fn new(args: BatchArgs, terminal: Terminal) -> anyhow::Result<Self> {
        let mut roots = Vec::new();
        let mut reads_stdin = 0;
        for path in args.paths {
            if path == "-" {
                reads_stdin += 1;
                match args.input_format.unwrap_or(FileFormat::Jsonl) {
                    format @ (FileFormat::Text | FileFormat::Parquet) => bail!(
                        "standard input is read as JSONL, CSV or TSV, not as {}; name a file, or judge one text with `whowrote \
                         detect`",
                        format!("{format:?}").to_lowercase()
                    ),
                    format => roots.push(CorpusSource::Stdin(format)),
                }
                continue;
            }
            let path = PathBuf::from(path);
            if !path.exists() {
                bail!(
                    "`{}` does not exist; check the path",
                    printable(&path.to_string_lossy())
                );
            }
            roots.push(CorpusSource::Path(path));
        }
        for list in args.files_from {
            let path = (list.as_os_str() != "-").then_some(list);
            reads_stdin += usize::from(path.is_none());
            if let Some(list) = path.as_ref().filter(|list| !list.is_file()) {
                bail!(
                    "the list `{}` does not exist or is no file; check the path given with --files-from, or take `-` for standard input",
                    printable(&list.to_string_lossy())
                );
            }
            roots.push(CorpusSource::List { path, null: args.null });
        }
        if reads_stdin > 1 {
            bail!("standard input (`-`) is named more than once, but can be read only once");
        }
        if roots.is_empty() {
            bail!(
                "there is nothing to judge; name folders or files, a list of paths with --files-from, or `-` for JSONL on standard input (CSV \
                 with --input-format csv)"
            );
        }
        let mut globs = OverrideBuilder::new(".");
        for glob in &args.globs {
            globs
                .add(glob)
                .with_context(|| format!("`{}` is no pattern for files; one reads like `*.txt`", printable(glob)))?;
        }
        let output = args.output.map(Output::new).transpose()?;
        let except = output.as_ref().map(Output::files).unwrap_or_default();
        // A pattern of the shell may name results of before. They are no texts.
        let is_ours = |path: &Path| except.iter().any(|ours| same_file(path, ours));
        roots.retain(|root| !matches!(root, CorpusSource::Path(path) if is_ours(path)));
        if let (true, Some(Output { lines, .. })) = (roots.is_empty(), &output) {
            bail!(
                "`{}` is read by this very command; name another file to write",
                printable(&lines.to_string_lossy())
            );
        }
        Ok(Self {
            roots,
            corpus: CorpusOptions {
                columns: Columns {
                    text: args.text,
                    id: args.id,
                },
                format: args.input_format,
                globs: args.globs,
                hidden: args.hidden,
                ignored: args.no_ignore,
                plain: args.plain,
                shard: args.shard.unwrap_or(Shard::ALL),
                except,
            },
            output,
            overwrite: args.overwrite,
            memory: args.memory,
            judging: judge_settings(args.judging)?,
            quiet: args.quiet,
            watched: terminal.stderr_is_watched,
        })
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
