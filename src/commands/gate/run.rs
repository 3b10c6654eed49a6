//! Judges what was submitted, and prints the run.

use super::explain::explain;
use super::{GateConfig, GateTask};
use crate::commands::{ExitStatus, OutputError, fetch_progress, write_sentence};
use crate::gate::{GateReport, Gathered, POLICY_FILE, Submission, apply_rules, shown};
use crate::judge::{Judge, JudgeError, JudgeSettings, considered};
use crate::output::{Detail, Format, Layout, OutFile};
use anyhow::{Context, ensure};
use chrono::Utc;
use std::io::Write;
use std::num::NonZeroUsize;
use whowrote_input::{Document, printable};
use whowrote_stats::conformal_scores::PIECE;
use whowrote_stats::verdict::AuthorSet;

/// Judges what was submitted and prints the run, or explains the rules of some paths.
///
/// # Errors
/// If the work as a whole cannot be done, or the results cannot be written.
pub fn run(config: &GateConfig, out: &mut dyn Write, err: &mut dyn Write) -> anyhow::Result<ExitStatus> {
    let considered = considered(&config.judging)?;
    check_names(config, &considered)?;
    match &config.task {
        GateTask::Explain(paths) => explain(config, paths, &considered, out),
        GateTask::Judge(submission) => run_submission(config, submission, out, err),
    }
}

fn run_submission(
    config: &GateConfig,
    submission: &Submission,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    // If a report cannot be written, say so before the work is done.
    let targets = config.reports.iter().map(|report| {
        let target = OutFile::create(&report.path, [])?;
        Ok((report.format, target))
    });
    let targets = targets.collect::<anyhow::Result<Vec<_>>>()?;
    let gathered = Gathered::new(submission, &config.policy, Utc::now().date_naive())?;
    if config.policy.file.is_none() && !config.quiet {
        let _ = writeln!(
            err,
            "there is no {POLICY_FILE}, so the default policy applies: models of set A and people may write prose; \
             `whowrote gate init` writes one to start from"
        );
    }
    for note in &gathered.unreadable {
        let _ = write_sentence(err, &note.message);
    }
    let report = judge(config, gathered, err)?;
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
    Ok(if !report.passed {
        ExitStatus::Failed
    } else if report.unreadable.is_empty() {
        ExitStatus::Done
    } else {
        ExitStatus::Incomplete
    })
}

/// Refuses rules for authors that are not considered: they could never be excluded, and nothing would ever fail.
fn check_names(config: &GateConfig, considered: &[(String, AuthorSet)]) -> anyhow::Result<()> {
    for (rule, number) in config.policy.rules.iter().zip(1..) {
        for name in &rule.allow {
            let is_set = matches!(name.as_str(), "a" | "b" | "human");
            let known = || considered.iter().map(|(author, _)| author.as_str());
            ensure!(
                is_set || known().any(|author| author == name),
                "rule {number} of the policy allows `{}`, which is not an author considered here; choose a, b, \
                 human, or one of {}",
                printable(name),
                known().collect::<Vec<_>>().join(", ")
            );
        }
    }
    Ok(())
}

fn judge(config: &GateConfig, gathered: Gathered, err: &mut dyn Write) -> anyhow::Result<GateReport> {
    let Gathered {
        texts,
        skipped,
        notes,
        unreadable,
    } = gathered;
    let documents: Vec<Document> = texts.iter().map(|text| text.document()).collect();
    let mut reports = Vec::with_capacity(documents.len());
    if !documents.is_empty() {
        let can_fail = texts.iter().filter(|text| text.can_fail()).count();
        let judging = JudgeSettings {
            alpha_together: Some(config.policy.alpha / can_fail.max(1) as f64),
            // Passages come in pieces.
            first: NonZeroUsize::new(PIECE),
            ..config.judging.clone()
        };
        let mut judge = Judge::new(judging)?.with_progress(fetch_progress(config.quiet));
        let mut progress = |done: usize| {
            if config.watched {
                let _ = write!(err, "{done} of {} texts judged\r", documents.len()).and_then(|()| err.flush());
            }
        };
        progress(0);
        judge.judge_each(&documents, |_, report| -> Result<(), JudgeError> {
            reports.push(report);
            progress(reports.len());
            Ok(())
        })?;
        if config.watched {
            let _ = write!(err, "{:40}\r", "");
        }
    }
    ensure!(reports.len() == texts.len(), "some texts have no verdict");
    let judged = texts.into_iter().zip(reports);
    let judged = judged.map(|(text, report)| text.judged(report)).collect();
    Ok(GateReport {
        policy: config.policy.file.as_deref().map(shown),
        skipped,
        notes,
        unreadable,
        ..apply_rules(judged, config.policy.alpha)
    })
}
