//! From submitted files to the texts that are judged.

use super::outcome::{JudgedText, Note, NoteLevel, Skipped};
use super::passages::{Before, Passage, passages};
use super::policy::{Excepted, GatePolicy, POLICY_FILE, Rule};
use crate::report::ProvenanceReport;
use chrono::NaiveDate;
use std::path::{Path, PathBuf};
use whowrote_input::prose::{self, LineUnit, Markup, Prose};
use whowrote_input::{
    Change, Comparison, Document, InputError, Repository, RevisionError, files_of, printable, read_file,
};

/// What was submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Submission {
    /// Files and folders on the disk.
    Paths(Vec<PathBuf>),
    /// The changes between two states of the repository, in these paths, or in all if there are none.
    Changes(Comparison, Vec<PathBuf>),
}

/// A text that will be judged.
pub struct GatheredText<'a> {
    path: String,
    unit: LineUnit,
    passage: Passage,
    sha256: String,
    rule: (usize, &'a Rule),
}

impl GatheredText<'_> {
    /// The text, named after its file and its first line.
    pub fn document(&self) -> Document {
        let first = self.passage.lines.first().map_or(1, |lines| *lines.start());
        let name = format!("{}:{first}", self.path);
        Document::from_passage(name, self.passage.text.clone(), self.passage.is_later)
    }

    /// Whether it can fail by the evidence.
    pub fn can_fail(&self) -> bool {
        self.rule.1.can_fail(self.passage.is_later)
    }
}

impl<'a> GatheredText<'a> {
    /// The text with its report.
    pub fn judged(self, report: ProvenanceReport) -> JudgedText<'a> {
        JudgedText {
            path: self.path,
            unit: self.unit,
            lines: self.passage.lines,
            words: self.passage.words,
            sha256: self.sha256,
            is_later: self.passage.is_later,
            rule: self.rule,
            report,
        }
    }
}

/// The texts of a submission, and what is not judged.
#[derive(Default)]
pub struct Gathered<'a> {
    /// The texts, in the order of files and lines.
    pub texts: Vec<GatheredText<'a>>,
    /// What is not judged.
    pub skipped: Skipped,
    /// What else the reader must know.
    pub notes: Vec<Note>,
    /// Files that could not be read.
    pub unreadable: Vec<Note>,
}

impl<'a> Gathered<'a> {
    /// The texts that the policy has judged. `today` decides which exceptions have expired.
    ///
    /// # Errors
    /// If the repository or a revision cannot be read. A file that cannot be read is not an error.
    pub fn new(submission: &Submission, policy: &'a GatePolicy, today: NaiveDate) -> Result<Self, RevisionError> {
        let mut gatherer = Gatherer {
            policy,
            today,
            found: Self::default(),
        };
        match submission {
            Submission::Changes(comparison, paths) => gatherer.add_changes(comparison, paths)?,
            Submission::Paths(paths) => gatherer.add_paths(paths),
        }
        Ok(gatherer.found)
    }
}

struct Gatherer<'a> {
    policy: &'a GatePolicy,
    today: NaiveDate,
    found: Gathered<'a>,
}

impl<'a> Gatherer<'a> {
    fn add_changes(&mut self, comparison: &Comparison, paths: &[PathBuf]) -> Result<(), RevisionError> {
        let mut repository = Repository::find(Path::new("."))?;
        let within = paths
            .iter()
            .map(|path| std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        let changes = repository.changes(comparison, &within.collect::<Vec<_>>())?;
        let mut before = Before::default();
        for change in &changes {
            let Some(markup) = Markup::of_path(&change.path) else {
                continue;
            };
            // Text in a file without a rule was never judged, so it does not count as old.
            if self.rule_for(&repository.top().join(&change.path)).is_none() {
                continue;
            }
            // If the old file cannot be read as prose, no text can have come from it.
            let name = change.path.to_string_lossy();
            for old in &change.old {
                let bytes = repository.read(&change.path, old);
                if let Ok(prose) = bytes.and_then(|bytes| prose::of_file(&name, markup, &bytes)) {
                    before.add(&prose);
                }
            }
        }
        let policy_file = self.policy.file.as_ref();
        let policy_file = policy_file.and_then(|file| std::path::absolute(file).ok());
        let decisive: Vec<PathBuf> = self.policy.files().chain(policy_file).collect();
        for Change { path, new, is_link, .. } in changes.iter().filter(|change| !change.is_merged) {
            let full = repository.top().join(path);
            let name = shown(path);
            if decisive.contains(&full) || path.file_name().is_some_and(|name| name == POLICY_FILE) {
                let message = if new.is_some() || *is_link {
                    "This change edits a file that the gate decides by. Whoever can edit it can let anything pass."
                } else {
                    "This change removes a file that the gate decides by, and with it the rules in it."
                };
                self.note(NoteLevel::Warning, &name, None, message.to_owned());
            }
            let Some(new) = new else { continue };
            self.add_file(&full, &name, || repository.read(path, new), &before);
        }
        Ok(())
    }

    fn add_paths(&mut self, paths: &[PathBuf]) {
        // The gate names files as the repository does.
        let top = Repository::find(Path::new(".")).map(|repository| repository.top().to_owned());
        let top = top.or_else(|_| Path::new(".").canonicalize()).unwrap_or_default();
        let before = Before::default();
        for root in paths {
            for found in files_of(root) {
                let path = match found {
                    Ok(path) => path,
                    Err((name, error)) => {
                        self.failed(&name, &error);
                        continue;
                    }
                };
                let Ok(full) = path.canonicalize() else {
                    // It does not exist, or its folder cannot be entered. The error of reading says which.
                    if let Err(error) = read_file(&path) {
                        self.failed(&path.to_string_lossy(), &error);
                    }
                    continue;
                };
                let name = shown(full.strip_prefix(&top).unwrap_or(&path));
                self.add_file(&full, &name, || read_file(&path), &before);
            }
        }
    }

    /// The rule for a file, if it says that the file is judged.
    fn rule_for(&self, full: &Path) -> Option<(usize, &'a Rule)> {
        self.policy.rule_for(full).filter(|(_, rule)| rule.judge)
    }

    /// Reads a file, if the policy has it judged, and adds its new texts.
    fn add_file(
        &mut self,
        full: &Path,
        name: &str,
        read: impl FnOnce() -> Result<Vec<u8>, InputError>,
        before: &Before,
    ) {
        let Some(rule) = self.rule_for(full) else {
            self.found.skipped.unnamed += 1;
            return;
        };
        let Some(markup) = Markup::of_path(full) else {
            self.found.skipped.no_prose += 1;
            return;
        };
        match read().and_then(|bytes| prose::of_file(name, markup, &bytes)) {
            Ok(prose) => self.add_texts(rule, name, &prose, before),
            Err(error) => self.failed(name, &error),
        }
    }

    /// Adds the new texts of a file.
    fn add_texts(&mut self, rule: (usize, &'a Rule), name: &str, prose: &Prose, before: &Before) {
        for (line, message) in &prose.notes {
            self.note(NoteLevel::Warning, name, Some(*line), message.clone());
        }
        let new = passages(prose, before, self.policy.least_words);
        self.found.skipped.ignored_words += new.ignored;
        if new.ignored > 0 {
            let message = format!("Marks in this file exempt {} of its new words.", new.ignored);
            self.note(NoteLevel::Notice, name, None, message);
        }
        self.found.skipped.short_words += new.too_few;
        if new.judged.is_empty() {
            self.found.skipped.too_short += 1;
        }
        for passage in new.judged {
            let sha256 = passage.sha256();
            let first = passage.lines.first().map(|lines| *lines.start());
            match self.policy.exception(&sha256, self.today) {
                Some(Excepted::Holds(exception)) => {
                    self.found.skipped.excepted += 1;
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
            self.found.texts.push(GatheredText {
                path: name.to_owned(),
                unit: prose.line_unit,
                passage,
                sha256,
                rule,
            });
        }
    }

    fn note(&mut self, level: NoteLevel, path: &str, line: Option<usize>, message: String) {
        self.found.notes.push(Note {
            level,
            path: path.to_owned(),
            line,
            message,
        });
    }

    /// Notes why a file cannot be read. An empty file is not an error.
    fn failed(&mut self, path: &str, error: &InputError) {
        match error {
            InputError::Empty { .. } => self.found.skipped.too_short += 1,
            error => self.found.unreadable.push(Note {
                level: NoteLevel::Warning,
                path: path.to_owned(),
                line: None,
                message: error.to_string(),
            }),
        }
    }
}

/// A path as results name it: with slashes, on every system.
pub fn shown(path: &Path) -> String {
    let name = path.to_string_lossy();
    if cfg!(windows) {
        name.replace('\\', "/")
    } else {
        name.into_owned()
    }
}
