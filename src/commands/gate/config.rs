//! The settings of `whowrote gate`.

use super::args::{GateArgs, ReportFile};
use crate::commands::Terminal;
use crate::commands::config::judge_settings;
use crate::gate::{GatePolicy, Submission};
use crate::judge::JudgeSettings;
use crate::output::Format;
use anyhow::bail;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use whowrote_input::{Comparison, Repository};

/// The settings of `gate`.
#[derive(Debug)]
pub struct GateConfig {
    /// What to do.
    pub task: GateTask,
    /// The policy.
    pub policy: GatePolicy,
    /// The output format.
    pub format: &'static Format,
    /// Files that the run is also written to.
    pub reports: Vec<ReportFile>,
    /// How texts are judged.
    pub judging: JudgeSettings,
    /// Whether no progress is printed.
    pub quiet: bool,
    /// Whether texts that pass are printed as well.
    pub verbose: bool,
    /// The width that text is wrapped at, in columns.
    pub width: usize,
    /// Whether progress is shown on standard error.
    pub watched: bool,
}

/// What `gate` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateTask {
    /// Judge what was submitted.
    Judge(Submission),
    /// Print which rule applies to these paths.
    Explain(Vec<PathBuf>),
}

impl GateConfig {
    /// The settings from these arguments and the policy.
    ///
    /// # Errors
    /// If there is nothing to judge, or the policy cannot be used.
    pub fn new(args: GateArgs, terminal: Terminal) -> anyhow::Result<Self> {
        let paths = args.paths;
        let task = match args.diff {
            _ if args.explain => GateTask::Explain(paths),
            Some(range) => GateTask::Judge(Submission::Changes(Comparison::Range(range), paths)),
            None if args.staged => GateTask::Judge(Submission::Changes(Comparison::Staged, paths)),
            None if paths.is_empty() => {
                bail!("there is nothing to judge; name files or folders, or give changes with --diff or --staged")
            }
            None => GateTask::Judge(Submission::Paths(paths)),
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
        let alpha = *judging.alpha.get_or_insert(policy.alpha);
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
            task,
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
