//! `whowrote batch`: one JSON line for each of many texts. An interrupted run can be resumed.

mod run;
mod tally;

pub use run::run;

use super::choices::choices;
use super::config::{each_once, judge_settings};
use super::help::headings;
use super::{EachTextArgs, JudgeArgs, Terminal};
use crate::judge::JudgeSettings;
use crate::output::{TableWriter, beside, table_with_ending};
use anyhow::{Context, bail};
use clap::Args;
use ignore::overrides::OverrideBuilder;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use whowrote_input::{Columns, CorpusOptions, CorpusSource, FileFormat, Shard, printable};

/// The arguments of `batch`. The program works with [`BatchConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
pub struct BatchArgs {
    /// Folders, and files with one text or many; `-` is JSONL on standard input
    ///
    /// Folders are read in the order of names. Hidden files, and files that a .gitignore or .ignore names, are left
    /// out. Files that end in .jsonl, .ndjson, .json, .csv, .tsv or .parquet have many texts; any other file is one
    /// text. All but Parquet may be compressed (.gz, .zst). Standard input can have another format (--input-format).
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<OsString>,

    /// File with paths, one on each line; `-` is standard input
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::TEXTS,
    )]
    pub files_from: Vec<PathBuf>,

    /// The paths of --files-from end in NUL, as `find -print0` writes them
    #[arg(short = '0', long, requires = "files_from", help_heading = headings::TEXTS)]
    pub null: bool,

    /// Field or column of the text
    #[arg(long, value_name = "NAME", default_value = "text", help_heading = headings::TEXTS)]
    pub text: String,

    /// Field or column of each text's own name, which the results repeat as `input.id`
    #[arg(long, value_name = "NAME", help_heading = headings::TEXTS)]
    pub id: Option<String>,

    /// Another field or column, which the results repeat in `input.kept`; may be repeated
    #[arg(long, value_name = "NAME", help_heading = headings::TEXTS)]
    pub keep: Vec<String>,

    /// Format of all files, whatever their endings
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = choices(FileFormat::NAMED),
        help_heading = headings::TEXTS,
    )]
    pub input_format: Option<FileFormat>,

    /// Judge files of one text as they are, whatever their endings
    #[arg(long, help_heading = headings::TEXTS)]
    pub plain: bool,

    /// In folders, take only files that match; with `!`, leave them out; may be repeated
    ///
    /// As in ripgrep, a file that matches is taken even if it is hidden or ignored.
    #[arg(short, long = "glob", value_name = "GLOB", help_heading = headings::TEXTS)]
    pub globs: Vec<String>,

    /// In folders, also take hidden files
    #[arg(long, help_heading = headings::TEXTS)]
    pub hidden: bool,

    /// In folders, also take files that a .gitignore or .ignore names
    #[arg(long, help_heading = headings::TEXTS)]
    pub no_ignore: bool,

    /// Share the work between N runs: each takes every N-th text, from the I-th on
    ///
    /// The shards are 1/N to N/N.
    #[arg(long, value_name = "I/N", help_heading = headings::TEXTS)]
    pub shard: Option<Shard>,

    /// Memory budget for the models, such as 4GiB [default: three quarters of what is free]
    ///
    /// Models stay loaded if all of them fit. Otherwise they take turns, which is slower. A model that does not fit
    /// in full stays packed as in its file, which is slower too.
    #[arg(long, value_name = "SIZE", value_parser = parse_size, help_heading = headings::MODELS)]
    pub memory: Option<u64>,

    /// How each text is judged, as no other counts.
    #[command(flatten)]
    pub each_text: EachTextArgs,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// File for the results; run the same command again to resume [default: standard output]
    ///
    /// If the name ends in .parquet, the lines go to FILE.jsonl, and the Parquet file is made from them at the end.
    #[arg(
        short,
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::OUTPUT,
    )]
    pub output: Option<PathBuf>,

    /// Discard the earlier results and start again
    #[arg(long, requires = "output", help_heading = headings::OUTPUT)]
    pub overwrite: bool,

    /// Print no progress and no summary
    #[arg(short, long, help_heading = headings::OUTPUT)]
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

/// The settings of `batch`, without contradictions.
#[derive(Debug)]
pub struct BatchConfig {
    /// The sources of texts; at least one.
    pub roots: Vec<CorpusSource>,
    /// How texts are found in them.
    pub corpus: CorpusOptions,
    /// The files of the results; none for standard output.
    pub output: Option<Output>,
    /// Whether earlier results are discarded.
    pub overwrite: bool,
    /// The memory budget for the models, in bytes; none for what is free.
    pub memory: Option<u64>,
    /// How texts are judged.
    pub judging: JudgeSettings,
    /// Whether neither progress nor a summary is printed.
    pub quiet: bool,
    /// Whether standard error is a terminal.
    pub watched: bool,
}

/// The files of the results.
#[derive(Clone, Debug)]
pub struct Output {
    /// The file with one JSON object on each line.
    pub lines: PathBuf,
    /// The table made from them, if one was requested, and the function that makes it.
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

    /// All files that are written. None of them is a text to judge.
    fn files(&self) -> Vec<PathBuf> {
        let of_lines = [self.lines.clone(), beside(&self.lines, ".state")];
        of_lines
            .into_iter()
            .chain(self.table.as_ref().map(|(path, _)| path.clone()))
            .collect()
    }
}

impl BatchConfig {
    /// The settings from these arguments.
    ///
    /// # Errors
    /// If they contradict one another, or a path does not exist.
    pub fn new(args: BatchArgs, terminal: Terminal) -> anyhow::Result<Self> {
        let mut roots = Vec::new();
        let mut reads_stdin = 0;
        for path in args.paths {
            if path == "-" {
                reads_stdin += 1;
                match args.input_format.unwrap_or(FileFormat::Jsonl) {
                    format @ (FileFormat::Text | FileFormat::Parquet) => bail!(
                        "standard input is read as JSONL, CSV or TSV, not as {}; name a file, or judge one text with \
                         `whowrote detect`",
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
                    "the list `{}` does not exist or is not a file; check the path given with --files-from, or use `-` \
                     for standard input",
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
                "there is nothing to judge; name folders or files, a list of paths with --files-from, or `-` for \
                 JSONL on standard input (CSV with --input-format csv)"
            );
        }
        let mut globs = OverrideBuilder::new(".");
        for glob in &args.globs {
            globs.add(glob).with_context(|| {
                format!(
                    "`{}` is not a pattern for files; a pattern reads like `*.txt`",
                    printable(glob)
                )
            })?;
        }
        let output = args.output.map(Output::new).transpose()?;
        let except = output.as_ref().map(Output::files).unwrap_or_default();
        // A shell pattern may include earlier results. They are not texts.
        let is_ours = |path: &Path| except.iter().any(|ours| same_file(path, ours));
        roots.retain(|root| !matches!(root, CorpusSource::Path(path) if is_ours(path)));
        if let (true, Some(Output { lines, .. })) = (roots.is_empty(), &output) {
            bail!(
                "`{}` is an input of this command; name another file to write",
                printable(&lines.to_string_lossy())
            );
        }
        Ok(Self {
            roots,
            corpus: CorpusOptions {
                columns: Columns {
                    text: args.text,
                    id: args.id,
                    keep: each_once(args.keep),
                },
                format: args.input_format,
                globs: args.globs,
                hidden: args.hidden,
                ignored: args.no_ignore,
                plain: args.plain,
                shard: args.shard.unwrap_or(Shard::ALL),
                except,
                leave_out: BTreeSet::new(),
            },
            output,
            overwrite: args.overwrite,
            memory: args.memory,
            judging: args.each_text.settings(judge_settings(args.judging)?)?,
            quiet: args.quiet,
            watched: terminal.stderr_is_watched,
        })
    }
}

fn same_file(a: &Path, b: &Path) -> bool {
    a.canonicalize().is_ok_and(|a| b.canonicalize().is_ok_and(|b| a == b))
}
