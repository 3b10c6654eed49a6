//! Asks the git program what changed between two states of a repository.
//!
//! Only plumbing commands run, and everything is switched off that a repository could use to run a program: diff
//! drivers, text converters, the file system monitor. Renames are not detected: a renamed file counts as one deleted
//! and one added.

use super::corpus::path_of;
use super::{InputError, MAX_BYTES, printable, read_file};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// Which two states to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Two revisions in the notation of `git diff` (`main...HEAD`, `A..B`), or one revision and the working tree
    /// (`HEAD`).
    Range(String),
    /// The last commit and the index. During a merge, all commits that the merge has as parents and the index.
    Staged,
}

/// Why the changes cannot be read. Everything in it is already safe to print.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The git program cannot be started.
    #[error("the program git could not be started ({0}); install it, or name the files to judge instead of --diff")]
    NoGit(io::Error),
    /// The folder is not inside a repository.
    #[error(
        "`{folder}` is not in a git repository ({reason}); run the gate in one, or name the files to judge instead"
    )]
    NoRepository {
        /// The folder.
        folder: String,
        /// What git said.
        reason: String,
    },
    /// The range is empty, or git would read it as a flag.
    #[error("`{0}` is not a range of revisions; write one such as main...HEAD, or a revision such as HEAD")]
    NoRange(String),
    /// git does not know these revisions.
    #[error(
        "git cannot compare `{range}` ({reason}); name revisions that this clone has, or fetch its whole history \
         (`git fetch --unshallow`, or fetch-depth: 0 in a workflow)"
    )]
    Range {
        /// The range as the user typed it.
        range: String,
        /// What git said.
        reason: String,
    },
    /// git gave an unexpected answer.
    #[error("git could not read what changed ({0}); check the repository with `git fsck`")]
    Broken(String),
}

/// A file that was added, deleted or changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path from the top of the repository.
    pub path: PathBuf,
    /// Where its old bytes are. Empty for an added file; in a merge, it can have one version for each parent.
    pub old: Vec<Version>,
    /// Where its new bytes are. `None` for a deleted file.
    pub new: Option<Version>,
    /// Whether a parent of the merge has the file as it is now, so that the merge adds nothing to it. Then its bytes are
    /// among the old ones, and there are no new ones.
    pub is_merged: bool,
    /// Whether it is or was a link or a submodule, which has no text of its own.
    pub is_link: bool,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// In the repository, as the object of this name.
    Stored(String),
    /// In the working tree.
    OnDisk,
}

/// A git repository.
#[derive(Debug)]
pub struct Repository {
    top: PathBuf,
    reader: Option<ObjectReader>,
}

impl Repository {
    /// The repository that contains a folder.
    ///
    /// # Errors
    /// When no repository contains it, or git cannot be started.
    pub fn find(folder: &Path) -> Result<Self, RevisionError> {
        let mut command = git(folder);
        let output = command.args(["rev-parse", "--show-toplevel"]).output();
        let output = output.map_err(RevisionError::NoGit)?;
        if !output.status.success() {
            return Err(RevisionError::NoRepository {
                folder: printable(&folder.to_string_lossy()),
                reason: said(&output.stderr),
            });
        }
        let mut line = output.stdout;
        line.pop_if(|last| *last == b'\n');
        let top = path_of(line);
        Ok(Self {
            top: top.canonicalize().unwrap_or(top),
            reader: None,
        })
    }

    /// The full path of the top folder. Paths of changes are relative to it.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The files that changed, sorted by path. `paths` are full paths that limit the search; an empty list means all
    /// files.
    ///
    /// # Errors
    /// When git does not know these revisions.
    pub fn changes(&self, comparison: &Comparison, paths: &[PathBuf]) -> Result<Vec<Change>, RevisionError> {
        match comparison {
            Comparison::Range(range) if range.starts_with('-') || range.trim().is_empty() => {
                Err(RevisionError::NoRange(printable(range)))
            }
            Comparison::Range(range) => self.diff(&[range], range, paths),
            Comparison::Staged => {
                let first = self.diff(&["--cached"], "the last commit", paths)?;
                let heads = self.merge_heads()?;
                let others = heads.iter().map(|head| self.diff(&["--cached", head], head, paths));
                let others = others.collect::<Result<Vec<_>, _>>()?;
                Ok(if others.is_empty() {
                    first
                } else {
                    against_all(others.into_iter().chain([first]).collect())
                })
            }
        }
    }

    /// The commits that are being merged into the last one. Empty outside of a merge.
    fn merge_heads(&self) -> Result<Vec<String>, RevisionError> {
        let mut command = git(&self.top);
        let output = command.args(["rev-parse", "--git-path", "MERGE_HEAD"]).output();
        let mut line = output.map_err(RevisionError::NoGit)?.stdout;
        line.pop_if(|last| *last == b'\n');
        match std::fs::read_to_string(self.top.join(path_of(line))) {
            Ok(heads) => {
                let is_name = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
                Ok(heads.lines().filter(is_name).map(str::to_owned).collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(RevisionError::Broken(format!("MERGE_HEAD: {error}"))),
        }
    }

    /// What `git diff` lists with these arguments. `range` is for the message.
    fn diff(&self, arguments: &[&str], range: &str, paths: &[PathBuf]) -> Result<Vec<Change>, RevisionError> {
        let mut command = git(&self.top);
        command.args([
            "diff",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
        ]);
        command.args(["--ignore-submodules=all", "--no-color"]).args(arguments);
        let output = command.arg("--").args(paths).output().map_err(RevisionError::NoGit)?;
        if !output.status.success() {
            return Err(RevisionError::Range {
                range: printable(range),
                reason: said(&output.stderr),
            });
        }
        parse(&output.stdout).ok_or_else(|| RevisionError::Broken("its list of files was cut off".to_owned()))
    }

    /// The bytes of one version of a file.
    ///
    /// # Errors
    /// When the bytes cannot be read, or there are more than [`MAX_BYTES`].
    pub fn read(&mut self, path: &Path, version: &Version) -> Result<Vec<u8>, InputError> {
        let name = path.to_string_lossy();
        match version {
            Version::OnDisk => read_file(&self.top.join(path)),
            Version::Stored(object) => {
                let reader = match &mut self.reader {
                    Some(reader) => reader,
                    none => {
                        let started = ObjectReader::start(&self.top);
                        none.insert(started.map_err(|error| InputError::from_io(&name, error))?)
                    }
                };
                let read = reader.read(object).map_err(|error| InputError::from_io(&name, error))?;
                read.ok_or_else(|| InputError::too_large(&name))
            }
        }
    }
}

/// The git program in a folder. It speaks English, takes paths literally and changes nothing.
fn git(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .args(["-c", "core.fsmonitor=false"])
        .env("LC_ALL", "C")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("GIT_LITERAL_PATHSPECS", "1")
        .env("GIT_NO_LAZY_FETCH", "1")
        .stdin(Stdio::null());
    command
}

/// The first line of git's message, without `fatal: `.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it said nothing");
    printable(line.trim_start_matches("fatal: ").trim())
}

/// The changes from all parents of a merge, given those from each of them.
fn against_all(each: Vec<Vec<Change>>) -> Vec<Change> {
    let parents = each.len();
    let mut found: BTreeMap<PathBuf, (usize, Change)> = BTreeMap::new();
    for change in each.into_iter().flatten() {
        match found.entry(change.path.clone()) {
            Entry::Vacant(entry) => {
                entry.insert((1, change));
            }
            Entry::Occupied(mut entry) => {
                let (count, known) = entry.get_mut();
                *count += 1;
                known.is_link |= change.is_link;
                known.old.extend(change.old);
            }
        }
    }
    let changes = found.into_values().map(|(count, mut change)| {
        change.is_merged = count < parents;
        if change.is_merged {
            change.old.extend(change.new.take());
        }
        change
    });
    changes.collect()
}

/// Parses the output of `git diff --raw -z`: `:mode mode name name status NUL path NUL` for each file.
fn parse(listing: &[u8]) -> Option<Vec<Change>> {
    let mut fields = listing.split(|byte| *byte == 0);
    let mut changes = Vec::new();
    loop {
        let head = fields.next()?;
        // The list ends after the last NUL.
        if head.is_empty() {
            return Some(changes);
        }
        let path = path_of(fields.next()?.to_vec());
        let head = std::str::from_utf8(head).ok()?.strip_prefix(':')?;
        let [old_mode, new_mode, old, new, status] = head.split(' ').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_file = |mode: &str| mode.starts_with("100");
        let version = |name: &str| {
            if name.bytes().all(|byte| byte == b'0') {
                Version::OnDisk
            } else {
                Version::Stored(name.to_owned())
            }
        };
        // An unmerged file has no version to judge yet.
        if status != "U" {
            let change = Change {
                old: is_file(old_mode).then(|| version(old)).into_iter().collect(),
                new: is_file(new_mode).then(|| version(new)),
                is_link: [old_mode, new_mode]
                    .iter()
                    .any(|mode| !is_file(mode) && *mode != "000000"),
                is_merged: false,
                path,
            };
            changes.push(change);
        }
    }
}

/// A running `git cat-file --batch`, which answers one object after another.
#[derive(Debug)]
struct ObjectReader {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl ObjectReader {
    fn start(top: &Path) -> io::Result<Self> {
        let mut command = git(top);
        command.args(["cat-file", "--batch"]);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let (Some(stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(io::Error::other("git has no pipes"));
        };
        Ok(Self {
            child,
            stdin,
            stdout: BufReader::new(stdout),
        })
    }

    /// The bytes of an object. `None` if there are more than [`MAX_BYTES`].
    fn read(&mut self, object: &str) -> io::Result<Option<Vec<u8>>> {
        writeln!(self.stdin, "{object}").and_then(|()| self.stdin.flush())?;
        let mut head = String::new();
        self.stdout.by_ref().take(1024).read_line(&mut head)?;
        let missing = || io::Error::other(format!("the repository lacks its object {object}"));
        let size = head
            .trim_end()
            .rsplit_once(' ')
            .and_then(|(_, size)| size.parse::<u64>().ok());
        let size = size.ok_or_else(missing)?;
        if size > MAX_BYTES {
            io::copy(&mut self.stdout.by_ref().take(size + 1), &mut io::sink())?;
            return Ok(None);
        }
        let mut bytes = vec![0; size as usize];
        self.stdout.read_exact(&mut bytes)?;
        self.stdout.read_exact(&mut [0])?;
        Ok(Some(bytes))
    }
}

impl Drop for ObjectReader {
    fn drop(&mut self) {
        // git may be in the middle of an answer that nobody reads.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit of these files.
    fn repository(files: &[(&str, &str)]) -> (tempfile::TempDir, Repository) {
        let folder = tempfile::tempdir().unwrap();
        run(folder.path(), &["init", "-q", "-b", "main"]);
        commit(folder.path(), files);
        let repository = Repository::find(folder.path()).unwrap();
        (folder, repository)
    }

    fn run(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let status = git(folder).args(identity).args(arguments).output().unwrap();
        assert!(status.status.success(), "{arguments:?}: {}", said(&status.stderr));
    }

    fn commit(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            std::fs::write(folder.join(name), text).unwrap();
        }
        run(folder, &["add", "-A"]);
        run(folder, &["commit", "-q", "-m", "m"]);
    }

    #[test]
    fn added_deleted_and_changed_files_have_their_old_and_new_bytes() {
        let (folder, mut repository) = repository(&[("a.md", "one"), ("b.md", "two"), ("c.md", "three")]);
        std::fs::remove_file(folder.path().join("b.md")).unwrap();
        commit(
            folder.path(),
            &[("a.md", "one and a half"), ("sp ace\n\u{e9}.md", "new")],
        );
        let range = Comparison::Range("HEAD~1..HEAD".to_owned());
        let changes = repository.changes(&range, &[]).unwrap();
        let mut texts = Vec::new();
        for change in &changes {
            let mut text = |version: Option<&Version>| {
                let bytes = version.map(|version| repository.read(&change.path, version).unwrap());
                bytes.map(|bytes| String::from_utf8(bytes).unwrap())
            };
            let (old, new) = (text(change.old.first()), text(change.new.as_ref()));
            texts.push((change.path.to_str().unwrap(), old, new));
        }
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            texts,
            [
                ("a.md", text("one"), text("one and a half")),
                ("b.md", text("two"), None),
                ("sp ace\n\u{e9}.md", None, text("new")),
            ]
        );
        let only = repository.changes(&range, &[repository.top().join("a.md")]).unwrap();
        assert_eq!(only.len(), 1);
    }

    #[test]
    fn the_working_tree_and_the_index_are_told_apart() {
        let (folder, mut repository) = repository(&[("a.md", "one")]);
        std::fs::write(folder.path().join("a.md"), "staged").unwrap();
        run(folder.path(), &["add", "a.md"]);
        std::fs::write(folder.path().join("a.md"), "lying").unwrap();
        let mut new = |comparison| {
            let changes = repository.changes(&comparison, &[]).unwrap();
            let bytes = repository
                .read(&changes[0].path, changes[0].new.as_ref().unwrap())
                .unwrap();
            String::from_utf8(bytes).unwrap()
        };
        assert_eq!(new(Comparison::Staged), "staged");
        assert_eq!(new(Comparison::Range("HEAD".to_owned())), "lying");
    }

    #[test]
    fn a_merge_changes_only_what_no_parent_has() {
        let (folder, mut repository) =
            repository(&[("a.md", "a"), ("both.md", "both"), ("moved.md", "m\nm\nm\nm\nm\n")]);
        run(folder.path(), &["checkout", "-q", "-b", "hers"]);
        run(folder.path(), &["mv", "moved.md", "here.md"]);
        commit(folder.path(), &[("both.md", "hers"), ("own.md", "own")]);
        run(folder.path(), &["checkout", "-q", "main"]);
        commit(
            folder.path(),
            &[
                ("a.md", "theirs"),
                ("both.md", "theirs too"),
                ("new.md", "new"),
                ("moved.md", "m\nm\nm\nm\nm\nmore\n"),
            ],
        );
        run(folder.path(), &["checkout", "-q", "hers"]);
        let merge = git(folder.path())
            .args([
                "-c",
                "user.name=A",
                "-c",
                "user.email=a@example.com",
                "merge",
                "-q",
                "--no-commit",
                "main",
            ])
            .output()
            .unwrap();
        assert!(!merge.status.success(), "the merge has a conflict");
        std::fs::write(folder.path().join("both.md"), "solved").unwrap();
        run(folder.path(), &["add", "-A"]);
        let mut found = Vec::new();
        for change in repository.changes(&Comparison::Staged, &[]).unwrap() {
            let mut text =
                |version: &Version| String::from_utf8(repository.read(&change.path, version).unwrap()).unwrap();
            let mut old: Vec<String> = change.old.iter().map(&mut text).collect();
            old.sort();
            let new = change.new.as_ref().map(text);
            found.push((
                change.path.to_str().unwrap().to_owned(),
                old.join("|"),
                new,
                change.is_merged,
            ));
        }
        let found: Vec<_> = found
            .iter()
            .map(|(path, old, new, merged)| (&**path, &**old, new.as_deref(), *merged))
            .collect();
        assert_eq!(
            found,
            [
                ("a.md", "a|theirs", None, true),
                ("both.md", "hers|theirs too", Some("solved"), false),
                // git has followed the file to its new name. Both versions of its text are old.
                ("here.md", "m\nm\nm\nm\nm\n", Some("m\nm\nm\nm\nm\nmore\n"), false),
                ("moved.md", "m\nm\nm\nm\nm\nmore\n", None, true),
                ("new.md", "new", None, true),
                ("own.md", "own", None, true),
            ]
        );
        run(folder.path(), &["commit", "-q", "-m", "m"]);
        assert!(repository.changes(&Comparison::Staged, &[]).unwrap().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn links_have_no_bytes_and_no_program_of_a_repository_runs() {
        let (folder, repository) = repository(&[("a.md", "one"), (".gitattributes", "*.md diff=evil\n")]);
        let touched = folder.path().join("touched");
        let evil = format!("touch {}; cat", touched.display());
        for key in [
            "diff.evil.textconv",
            "diff.evil.command",
            "diff.external",
            "core.fsmonitor",
        ] {
            run(folder.path(), &["config", key, &evil]);
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link.md")).unwrap();
        std::fs::write(folder.path().join("a.md"), "two").unwrap();
        run(folder.path(), &["add", "-A"]);
        let _ = std::fs::remove_file(&touched);
        let changes = repository.changes(&Comparison::Staged, &[]).unwrap();
        let shape = |change: &Change| (change.is_link, !change.old.is_empty(), change.new.is_some());
        assert_eq!(
            changes.iter().map(shape).collect::<Vec<_>>(),
            [(false, true, true), (true, false, false)]
        );
        assert!(!touched.exists());
    }

    #[test]
    fn a_wrong_range_and_a_missing_repository_have_their_sentences() {
        let (_folder, repository) = repository(&[("a.md", "one")]);
        let failed = |range: &str| {
            let range = Comparison::Range(range.to_owned());
            repository.changes(&range, &[]).unwrap_err().to_string()
        };
        assert!(failed("--output=x").contains("is not a range"));
        assert!(failed(" ").contains("is not a range"));
        assert!(failed("main...nowhere").contains("fetch-depth"));
        let elsewhere = tempfile::tempdir().unwrap();
        let error = Repository::find(elsewhere.path()).unwrap_err().to_string();
        assert!(error.contains("not in a git repository"), "{error}");
    }

    #[test]
    fn a_listing_that_is_cut_off_is_refused() {
        let line = b":100644 100644 aa bb M\0a.md\0";
        assert_eq!(parse(line).unwrap().len(), 1);
        assert_eq!(parse(b"").map(|changes| changes.len()), Some(0));
        for cut in [&line[..5], &line[..24], b"no\0a\0", b":1 2 3\0a\0"] {
            assert_eq!(parse(cut), None);
        }
    }
}
