//! A file of results that grows line by line and survives whatever ends the program.
//!
//! Beside the file of results, `OUT`, lies `OUT.state` with the settings of the run; as long as the program runs it holds a lock on that
//! file. A line of the results is finished when its line end is there. Whoever goes on cuts what comes after the last finished
//! line, and holds the others against the inputs before it adds more.

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use whowrote_input::printable;

/// How often lines are made to outlast a loss of power.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Bytes of a line beyond which it is none of ours.
const MAX_LINE: u64 = 1 << 30;

/// What is known of a finished line without its figures.
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
    /// What its file calls it.
    pub id: Option<String>,
    /// SHA-256 of its bytes; empty where they could not be read.
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
    /// Reads the lines that are there already; none when all are read.
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
    /// Opens the results, of this run or of one that was ended before its time. `settings` is an object of all that the results
    /// depend on but the inputs; `anew` throws away what is there.
    ///
    /// # Errors
    /// When another process writes them, they were begun with other settings or by somebody else, or the system refuses.
    pub fn open(path: &Path, settings: &Value, anew: bool) -> anyhow::Result<Self> {
        let name = printable(&path.to_string_lossy());
        let cannot = || format!("cannot write `{name}`; check the path, or name another file");
        if path.is_dir() {
            bail!("cannot write `{name}`: it is a folder; name a file in it");
        }
        if path.exists() && !path.is_file() {
            bail!("`{name}` is no file, so that nothing could go on from it; leave out -o to write to standard output");
        }
        // One file, whatever link leads to it, has one state.
        let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let state_path = beside(path, ".state");
        let state_name = printable(&state_path.to_string_lossy());
        let has_lines = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
        if !anew && has_lines && !state_path.exists() {
            bail!("`{name}` is there already, and `{state_name}`, which would tell how it was made, is not; {REMEDY}");
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
                    format!("`{state_name}` cannot be locked against a second writer; put the results on a file system that knows locks")
                });
            }
        }
        let mut begun = Vec::new();
        state.read_to_end(&mut begun).with_context(cannot)?;
        // Asked again under the lock.
        let has_lines = std::fs::metadata(path).is_ok_and(|found| found.len() > 0);
        if !anew && has_lines {
            agree(&name, &state_name, &begun, settings)?;
        }
        let mut lines = options.open(path).with_context(cannot)?;
        if anew || !has_lines {
            lines.set_len(0).with_context(cannot)?;
            // Old lines must never be found under new settings.
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

    /// The next line that is there already, with its place. After the last whole one the rest is cut off and lines can be written.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn next_finished(&mut self) -> anyhow::Result<Option<(u64, Finished)>> {
        let Some(before) = &mut self.before else {
            return Ok(None);
        };
        let mut line = Vec::new();
        before
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .with_context(|| cannot_read(&self.path))?;
        // A line without its end, or whose bytes never reached the disk, was not finished, and neither were those after it.
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
            // Nobody but the system leaves half a line, or zeros where bytes should be.
            None if line.ends_with(b"\n") && !line.contains(&0) => bail!(
                "`{}` holds something else than results from its byte {} on, which is not what a stopped run leaves; mend it, {REMEDY}",
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

    /// Adds a line, without its end; returns its place.
    ///
    /// # Errors
    /// When there is no room for it.
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

    /// The line at a place that [`Self::add`] or [`Self::next_finished`] has returned, without its end.
    ///
    /// # Errors
    /// When the system refuses.
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
    /// When the system refuses.
    pub fn sync(&mut self) -> anyhow::Result<()> {
        self.lines.sync_data().with_context(|| cannot_write(&self.path))?;
        self.synced = Instant::now();
        Ok(())
    }
}

/// What can be done where results do not belong to this run.
const REMEDY: &str = "name another file with -o, or begin anew with --overwrite";

/// Refuses results that were begun in another way.
fn agree(name: &str, state: &str, begun: &[u8], settings: &Value) -> anyhow::Result<()> {
    let Ok(Value::Object(begun)) = serde_json::from_slice(begun) else {
        bail!("`{name}` is there already, and `{state}`, which should tell how it was made, is damaged; {REMEDY}");
    };
    let empty = serde_json::Map::new();
    let now = settings.as_object().unwrap_or(&empty);
    let mut keys: Vec<&String> = begun.keys().chain(now.keys()).collect();
    keys.sort();
    keys.dedup();
    let differ = keys.into_iter().filter(|&key| begun.get(key) != now.get(key));
    let differ: Vec<String> = differ
        .map(|key| {
            let shown = |value: Option<&Value>| printable(&value.map_or("nothing".to_owned(), Value::to_string));
            let (before, after) = (shown(begun.get(key)), shown(now.get(key)));
            match before.len() + after.len() > 200 {
                true => key.clone(),
                false => format!("{key}, then {before} and now {after}"),
            }
        })
        .collect();
    if !differ.is_empty() {
        bail!(
            "`{name}` was begun with other settings ({}); repeat those, {REMEDY}",
            differ.join("; ")
        );
    }
    Ok(())
}

fn cannot_read(path: &Path) -> String {
    format!(
        "cannot read `{}` again; check the disk that it lies on",
        printable(&path.to_string_lossy())
    )
}

fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write `{}`; make room and run the same command again (without --overwrite): it goes on where this one stopped",
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
    fn whatever_the_file_is_cut_to_whole_lines_stay_and_half_ones_go() {
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
            // Cut short, and with what a loss of power leaves of the rest.
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
            said.contains("alpha, then 0.05 and now 0.01") && said.contains("--overwrite"),
            "{said}"
        );
        assert_eq!(refused(json!({"alpha": 0.05}), false), None);
        std::fs::write(beside(&path, ".state"), b"{\xFF").unwrap();
        assert!(refused(json!({"alpha": 0.05}), false).unwrap().contains("is damaged"));
        std::fs::remove_file(beside(&path, ".state")).unwrap();
        assert!(refused(json!({"alpha": 0.05}), false).unwrap().contains("is not;"));
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
    fn what_no_stopped_run_leaves_is_never_cut_away() {
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
            said.contains("holds something else") && said.contains("--overwrite"),
            "{said}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), edited);
    }
}
