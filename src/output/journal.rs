//! A file of results that grows line by line, and that an interrupted run can be resumed from.
//!
//! Beside the file of results, `OUT`, the file `OUT.state` has the settings of the run. While the program runs, it
//! holds a lock on that file. A line of the results is finished if its line end exists. A resumed run cuts off
//! everything after the last finished line, and compares the finished lines with the inputs before it adds more.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use whowrote_input::{Kept, printable};

/// How often lines are written to the disk, so that they survive a loss of power.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// No line of ours is longer than this, in bytes.
const MAX_LINE: u64 = 1 << 30;

/// A finished line without its figures.
#[derive(Debug, Deserialize)]
pub struct Finished {
    /// The text that it is about.
    pub input: FinishedInput,
    /// The verdict's name.
    pub verdict: String,
    /// The authors that are left.
    pub authors: Vec<String>,
}

/// The text that a finished line is about.
#[derive(Debug, Deserialize)]
pub struct FinishedInput {
    /// Its name.
    pub name: String,
    /// Its name inside its file.
    pub id: Option<String>,
    /// Other values that its file gives for it.
    #[serde(default)]
    pub kept: Kept,
    /// SHA-256 of its bytes; empty if they could not be read.
    pub sha256: String,
}

/// Results that are written line by line.
pub struct Journal {
    path: PathBuf,
    lines: File,
    /// Locked until the journal is dropped.
    _state: File,
    /// The end of the finished lines.
    end: u64,
    /// Reads the lines of earlier runs; none when all are read.
    before: Option<BufReader<File>>,
    synced: Instant,
}

/// The file beside a file of results.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}

impl Journal {
    /// Opens the results of this run, or of an earlier run to resume. `settings` has everything that the results
    /// depend on except the inputs. `anew` discards the earlier results.
    ///
    /// # Errors
    /// If another process is writing them, they were not written with these settings, or the system refuses.
    pub fn open(path: &Path, settings: &Value, anew: bool) -> anyhow::Result<Self> {
        let name = printable(&path.to_string_lossy());
        let cannot = || format!("cannot write `{name}`; check the path, or name another file");
        if path.is_dir() {
            bail!("cannot write `{name}`: it is a folder; name a file in it");
        }
        if path.exists() && !path.is_file() {
            bail!(
                "`{name}` is not a file, so a run could not be resumed from it; leave out -o to write to standard \
                 output"
            );
        }
        // A file has one state, whatever link leads to it.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let state_path = beside(path, ".state");
        let state_name = printable(&state_path.to_string_lossy());
        let has_lines = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
        if !anew && has_lines && !state_path.exists() {
            bail!("`{name}` exists, but `{state_name}`, which has its settings, does not; {REMEDY}");
        }
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false);
        let mut state = options.open(&state_path).with_context(cannot)?;
        match state.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another whowrote is writing `{name}`; wait for it to end, or name another file")
            }
            Err(TryLockError::Error(error)) => {
                return Err(error).with_context(|| {
                    format!(
                        "`{state_name}` cannot be locked against a second writer; put the results on a file \
                             system that has locks"
                    )
                });
            }
        }
        let mut begun = Vec::new();
        state.read_to_end(&mut begun).with_context(cannot)?;
        // Check again while holding the lock.
        let has_lines = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
        if !anew && has_lines {
            agree(&name, &state_name, &begun, settings)?;
        }
        let mut lines = options.open(path).with_context(cannot)?;
        if anew || !has_lines {
            lines.set_len(0).with_context(cannot)?;
            // Old lines must never appear with new settings.
            lines.sync_all().with_context(cannot)?;
            state.set_len(0).with_context(cannot)?;
            state.seek(SeekFrom::Start(0)).with_context(cannot)?;
            serde_json::to_writer_pretty(&mut state, settings).with_context(cannot)?;
            state.sync_all().with_context(cannot)?;
        }
        lines.seek(SeekFrom::Start(0)).with_context(cannot)?;
        let before = File::open(path).with_context(cannot)?;
        Ok(Self {
            path: path.to_owned(),
            lines,
            _state: state,
            end: 0,
            before: Some(BufReader::new(before)),
            synced: Instant::now(),
        })
    }

    /// The next line of an earlier run, with its place. After the last finished line, this cuts off the rest of the
    /// file; then lines can be added.
    ///
    /// # Errors
    /// If the system refuses, or the file contains something other than results.
    pub fn next_finished(&mut self) -> anyhow::Result<Option<(u64, Finished)>> {
        let Some(before) = &mut self.before else {
            return Ok(None);
        };
        let mut line = Vec::new();
        before
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| cannot_read(&self.path))?;
        // A line is unfinished if it has no end or if its bytes never reached the disk. So are all lines after it.
        let finished = line
            .ends_with(b"\n")
            .then(|| serde_json::from_slice(&line).ok())
            .flatten();
        match finished {
            Some(finished) => {
                let begin = self.end;
                self.end += line.len() as u64;
                Ok(Some((begin, finished)))
            }
            // An interruption leaves half a line, or zeros instead of bytes. Anything else was written by somebody.
            None if line.ends_with(b"\n") && !line.contains(&0) => bail!(
                "`{}` has something other than results from byte {} on, and an interrupted run does not leave that; \
                 repair it, {REMEDY}",
                printable(&self.path.to_string_lossy()),
                self.end
            ),
            None => {
                self.before = None;
                self.lines.set_len(self.end).with_context(|| cannot_write(&self.path))?;
                self.lines
                    .seek(SeekFrom::End(0))
                    .with_context(|| cannot_write(&self.path))?;
                Ok(None)
            }
        }
    }

    /// Adds a line, given without its end, and returns its place.
    ///
    /// # Errors
    /// If there is no room for it.
    pub fn add(&mut self, mut line: Vec<u8>) -> anyhow::Result<u64> {
        let begin = self.end;
        line.push(b'\n');
        self.lines.write_all(&line).with_context(|| cannot_write(&self.path))?;
        self.end += line.len() as u64;
        if self.synced.elapsed() > SYNC_EVERY {
            self.sync()?;
        }
        Ok(begin)
    }

    /// The line at a place that [`Self::add`] or [`Self::next_finished`] returned, without its end.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn line_at(&self, place: u64) -> anyhow::Result<String> {
        let mut line = String::new();
        let mut file = File::open(&self.path).with_context(|| cannot_read(&self.path))?;
        file.seek(SeekFrom::Start(place))
            .with_context(|| cannot_read(&self.path))?;
        BufReader::new(file)
            .read_line(&mut line)
            .with_context(|| cannot_read(&self.path))?;
        line.pop();
        Ok(line)
    }

    /// Waits until all lines are on the disk.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn sync(&mut self) -> anyhow::Result<()> {
        self.lines.sync_data().with_context(|| cannot_write(&self.path))?;
        self.synced = Instant::now();
        Ok(())
    }
}

/// What to do if results do not belong to this run.
const REMEDY: &str = "name another file with -o, or start again with --overwrite";

/// Refuses results that were written with other settings.
fn agree(name: &str, state: &str, begun: &[u8], settings: &Value) -> anyhow::Result<()> {
    let Ok(Value::Object(begun)) = serde_json::from_slice(begun) else {
        bail!("`{name}` exists, but `{state}`, which has its settings, is damaged; {REMEDY}");
    };
    let empty = serde_json::Map::new();
    let now = settings.as_object().unwrap_or(&empty);
    let mut keys: Vec<&String> = begun.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|&key| begun.get(key) != now.get(key));
    let differ: Vec<String> = differ
        .map(|key| {
            let shown = |value: Option<&Value>| {
                let value = value.filter(|value| !value.is_null());
                printable(&value.map_or("nothing".to_owned(), Value::to_string))
            };
            let (before, after) = (shown(begun.get(key)), shown(now.get(key)));
            if before.len() + after.len() > 200 {
                key.clone()
            } else {
                format!("{key}: {before} then, {after} now")
            }
        })
        .collect();
    if !differ.is_empty() {
        bail!(
            "`{name}` was written with other settings ({}); use those, {REMEDY}",
            differ.join("; ")
        );
    }
    Ok(())
}

fn cannot_read(path: &Path) -> String {
    format!(
        "cannot read `{}` again; check its disk",
        printable(&path.to_string_lossy())
    )
}

fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write `{}`; make room and run the same command again (without --overwrite) to resume",
        printable(&path.to_string_lossy())
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(name: &str) -> Vec<u8> {
        json!({"input": {"name": name, "sha256": ""}, "verdict": "unable", "authors": []})
            .to_string()
            .into_bytes()
    }

    fn names(journal: &mut Journal) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((place, finished)) = journal.next_finished().unwrap() {
            assert!(journal.line_at(place).unwrap().contains(&finished.input.name));
            names.push(finished.input.name);
        }
        names
    }

    #[test]
    fn finished_lines_survive_wherever_the_file_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut journal = Journal::open(&path, &json!({"a": 1}), false).unwrap();
        assert_eq!(names(&mut journal), [""; 0]);
        for name in ["one", "two", "three"] {
            journal.add(line(name)).unwrap();
        }
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        let ends: Vec<usize> = (0..whole.len()).filter(|&i| whole[i] == b'\n').map(|i| i + 1).collect();
        for cut in 0..=whole.len() {
            // Cut short, and with what a loss of power can leave after the cut.
            for rest in [&b""[..], b"\0\0\0", b"\0\n{}\n"] {
                std::fs::write(&path, [&whole[..cut], rest].concat()).unwrap();
                let mut journal = Journal::open(&path, &json!({"a": 1}), false).unwrap();
                let kept = names(&mut journal).len();
                assert_eq!(kept, ends.iter().filter(|&&end| end <= cut).count(), "{cut}");
                for name in ["one", "two", "three"].into_iter().skip(kept) {
                    journal.add(line(name)).unwrap();
                }
                drop(journal);
                assert_eq!(std::fs::read(&path).unwrap(), whole);
            }
        }
    }

    #[test]
    fn other_settings_other_files_and_a_second_writer_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let refused = |settings: Value, anew: bool| Journal::open(&path, &settings, anew).err().map(|e| e.to_string());
        let mut journal = Journal::open(&path, &json!({"alpha": 0.05}), false).unwrap();
        names(&mut journal);
        journal.add(line("one")).unwrap();
        assert!(
            refused(json!({"alpha": 0.05}), true)
                .unwrap()
                .contains("another whowrote")
        );
        drop(journal);
        let said = refused(json!({"alpha": 0.01}), false).unwrap();
        assert!(
            said.contains("alpha: 0.05 then, 0.01 now") && said.contains("--overwrite"),
            "{said}"
        );
        assert_eq!(refused(json!({"alpha": 0.05}), false), None);
        std::fs::write(beside(&path, ".state"), b"{\xFF").unwrap();
        assert!(refused(json!({"alpha": 0.05}), false).unwrap().contains("is damaged"));
        std::fs::remove_file(beside(&path, ".state")).unwrap();
        assert!(refused(json!({"alpha": 0.05}), false).unwrap().contains("does not;"));
        assert!(!beside(&path, ".state").exists());
        assert_eq!(refused(json!({"alpha": 0.01}), true), None);
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        assert!(
            Journal::open(folder.path(), &json!({}), false)
                .err()
                .unwrap()
                .to_string()
                .contains("folder")
        );
        #[cfg(unix)]
        assert!(Journal::open(Path::new("/dev/null"), &json!({}), false).is_err());
    }

    #[test]
    fn what_an_interrupted_run_does_not_leave_is_never_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.jsonl");
        let mut journal = Journal::open(&path, &json!({}), false).unwrap();
        names(&mut journal);
        journal.add(line("one")).unwrap();
        drop(journal);
        let edited = [&std::fs::read(&path).unwrap()[..], b"xx\n", &line("two"), b"\n"].concat();
        std::fs::write(&path, &edited).unwrap();
        let mut journal = Journal::open(&path, &json!({}), false).unwrap();
        journal.next_finished().unwrap();
        let said = journal.next_finished().unwrap_err().to_string();
        assert!(
            said.contains("has something other than results") && said.contains("--overwrite"),
            "{said}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), edited);
    }
}
