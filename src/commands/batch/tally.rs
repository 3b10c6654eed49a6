//! The summary of a run.

use crate::output::Finished;
use crate::report::ProvenanceReport;
use crate::sentences::verdicts as sentences;
use std::collections::BTreeMap;
use std::io::Write;
use whowrote_input::printable;

/// The numbers of texts and verdicts.
#[derive(Default)]
pub(super) struct Tally {
    /// The number of texts with a line.
    pub texts: u64,
    verdicts: BTreeMap<String, u64>,
    /// The number of texts that are attributed to each author.
    authors: BTreeMap<String, u64>,
    tokens: u64,
    score_ms: f64,
    reasons: Vec<String>,
}

/// The number of reasons that are printed.
const REASONS: usize = 3;

impl Tally {
    /// Adds the tokens and the time of a verdict.
    pub fn scored(&mut self, report: &ProvenanceReport) {
        self.tokens += report.models.values().map(|model| model.tokens as u64).sum::<u64>();
        self.score_ms += report.timing.score_ms;
    }

    /// Keeps the first reasons why texts could not be judged.
    pub fn refused(&mut self, why: &str) {
        if self.reasons.len() < REASONS {
            self.reasons.push(why.to_owned());
        }
    }

    /// Counts a line.
    pub fn add_finished(&mut self, finished: &Finished) {
        self.texts += 1;
        if let ("attributed", [author]) = (finished.verdict.as_str(), finished.authors.as_slice()) {
            *self.authors.entry(author.clone()).or_default() += 1;
        }
        *self.verdicts.entry(finished.verdict.clone()).or_default() += 1;
    }

    /// The scoring speed of all models together.
    pub fn rate(&self) -> String {
        if self.score_ms > 0.0 {
            format!("{:.0} tokens/s", self.tokens as f64 / self.score_ms * 1e3)
        } else {
            "no tokens yet".to_owned()
        }
    }

    /// Prints the summary. `before` texts had their line before this run.
    pub fn print(&self, before: u64, seconds: f64, out: &mut dyn Write) -> std::io::Result<()> {
        let now = self.texts - before.min(self.texts);
        let earlier = if before > 0 {
            format!(", {before} of them earlier")
        } else {
            String::new()
        };
        writeln!(
            out,
            "{}{earlier}; {now} in {seconds:.1} s, {}",
            sentences::texts(self.texts),
            self.rate()
        )?;
        for (verdict, count) in &self.verdicts {
            writeln!(out, "  {count:>8} {verdict}")?;
            if verdict == "unable" {
                let more = if *count > self.reasons.len() as u64 {
                    ", and others"
                } else {
                    ""
                };
                if !self.reasons.is_empty() {
                    writeln!(out, "             {}{more}", self.reasons.join("\n             "))?;
                }
            }
            if verdict == "attributed" {
                for (author, count) in &self.authors {
                    writeln!(out, "  {count:>8}   {}", printable(author))?;
                }
            }
        }
        Ok(())
    }
}
