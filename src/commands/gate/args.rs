//! The arguments of `whowrote gate`.

use crate::commands::JudgeArgs;
use crate::commands::choices::{choices, named};
use crate::commands::help::headings;
use crate::output::{Format, formats_of_runs};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::str::FromStr;

/// The arguments of `gate`. The program works with [`super::GateConfig`], which is made from them.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct GateArgs {
    /// Another task.
    #[command(subcommand)]
    pub command: Option<GateCommand>,

    /// Files and folders to judge; with --diff or --staged, only their changes
    ///
    /// In folders, hidden files and files that a .gitignore or .ignore names are left out, as with `batch`.
    #[arg(value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Judge what changed between two revisions, such as main...HEAD, or since one revision
    ///
    /// With two revisions, the gate judges what a branch adds. With one, it compares the revision with the files on
    /// disk. Moved or re-wrapped text is ignored.
    #[arg(long, value_name = "RANGE", conflicts_with = "staged", help_heading = headings::TEXTS)]
    pub diff: Option<String>,

    /// Judge what the next commit would change
    #[arg(long, help_heading = headings::TEXTS)]
    pub staged: bool,

    /// Policy [default: the nearest whowrote.toml, up to the top of the repository]
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        help_heading = headings::TEXTS,
    )]
    pub policy: Option<PathBuf>,

    /// Print which rule of the policy applies to these paths, and judge nothing
    #[arg(
        long,
        requires = "paths",
        conflicts_with_all = ["diff", "staged"],
        help_heading = headings::TEXTS,
    )]
    pub explain: bool,

    /// How texts are judged.
    #[command(flatten)]
    pub judging: JudgeArgs,

    /// Output format
    #[arg(
        long,
        value_name = "FORMAT",
        value_parser = choices(named(formats_of_runs())),
        default_value = "text",
        help_heading = headings::OUTPUT,
    )]
    pub format: &'static Format,

    /// Write the run to a file as well, such as sarif=whowrote.sarif; may be repeated
    #[arg(long = "report", value_name = "FORMAT=FILE", help_heading = headings::OUTPUT)]
    pub reports: Vec<ReportFile>,

    /// Print no progress
    #[arg(short, long, help_heading = headings::OUTPUT)]
    pub quiet: bool,

    /// Print the texts that pass, and what was not judged, as well
    #[arg(short, long, help_heading = headings::OUTPUT)]
    pub verbose: bool,
}

/// The other tasks of `gate`.
#[derive(Clone, Debug, Subcommand)]
pub enum GateCommand {
    /// Write a policy with comments to whowrote.toml in this folder
    Init,
}

/// A file for the results of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    /// The format.
    pub format: &'static Format,
    /// The file.
    pub path: PathBuf,
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
