//! `whowrote gate --explain`: the rule that applies to each path.

use super::GateConfig;
use crate::commands::{ExitStatus, OutputError};
use crate::gate::Undecided;
use crate::sentences::verdicts::{author_name, percent};
use std::io::Write;
use std::path::{Path, PathBuf};
use whowrote_input::printable;
use whowrote_input::prose::Markup;
use whowrote_stats::verdict::AuthorSet;

/// Prints the rule for each path.
pub(super) fn explain(
    config: &GateConfig,
    paths: &[PathBuf],
    considered: &[(String, AuthorSet)],
    out: &mut dyn Write,
) -> anyhow::Result<ExitStatus> {
    for path in paths {
        let full = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let full = full.canonicalize().unwrap_or(full);
        let name = printable(&path.to_string_lossy());
        writeln!(out, "{name}").map_err(OutputError)?;
        for line in explanation(config, &full, considered) {
            writeln!(out, "  {line}").map_err(OutputError)?;
        }
    }
    Ok(ExitStatus::Done)
}

fn explanation(config: &GateConfig, full: &Path, considered: &[(String, AuthorSet)]) -> Vec<String> {
    let policy = &config.policy;
    let file = policy.file.as_ref();
    let file = file.map_or("the default policy".to_owned(), |file| {
        printable(&file.to_string_lossy())
    });
    let mut lines = vec![format!("policy: {file}")];
    let Some((number, rule)) = policy.rule_for(full) else {
        lines.push("not judged: no rule names it".to_owned());
        return lines;
    };
    lines.push(format!("rule {number}: {}", printable(&rule.paths.join(", "))));
    if !rule.judge {
        lines.push("not judged: the rule says so".to_owned());
        return lines;
    }
    let Some(markup) = Markup::of_path(full) else {
        lines.push("not judged: its format is not supported".to_owned());
        return lines;
    };
    let authors = |allowed: bool| {
        let authors = considered
            .iter()
            .filter(|(author, set)| rule.allows(author, *set) == allowed);
        let names: Vec<String> = authors.map(|(author, _)| author_name(author)).collect();
        if names.is_empty() {
            "nobody".to_owned()
        } else {
            names.join(", ")
        }
    };
    let undecided = match rule.undecided {
        Undecided::Pass => "pass",
        Undecided::Warn => "pass with a warning",
        Undecided::Fail => "fail",
    };
    lines.extend([
        format!("judged as {}", markup.name()),
        format!("allowed: {}", authors(true)),
        format!("not allowed: {}", authors(false)),
        format!("texts of fewer than {} words are not judged", policy.least_words),
        format!("texts whose evidence is inconclusive {undecided}"),
    ]);
    if rule.undecided != Undecided::Fail {
        lines.push(format!(
            "if allowed authors wrote all texts of a run, it fails at most {} of the time",
            percent(policy.alpha)
        ));
    }
    lines
}
