//! A file for results.

use anyhow::{Context, bail};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;
use whowrote_input::printable;

/// A file that is written under a temporary name and renamed when it is complete. So an older file is never lost, and
/// half a file is never mistaken for the whole. A device or a pipe is written directly.
pub struct OutFile {
    target: PathBuf,
    to: To,
}

enum To {
    Beside(NamedTempFile),
    Through(File),
}

impl OutFile {
    /// A file called `path`, or the target of a link of that name. Nothing has that name before [`Self::finish`].
    ///
    /// # Errors
    /// If it is a folder, is one of the `inputs`, is inside one of them, or cannot be written.
    pub fn create<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> anyhow::Result<Self> {
        let name = printable(&path.to_string_lossy());
        let cannot = || format!("cannot write `{name}`; check the path, or name another file");
        if path.is_dir() {
            bail!("cannot write `{name}`: it is a folder; name a file in it");
        }
        // A file that does not exist yet is not an input, and is not a link.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let read = inputs.into_iter().filter_map(|input| input.canonicalize().ok());
        if path.exists() && read.into_iter().any(|input| target.starts_with(input)) {
            bail!("`{name}` is an input of this command; name another file to write");
        }
        if path.exists() && !path.is_file() {
            let through = File::options().write(true).open(path).with_context(cannot)?;
            return Ok(Self {
                target,
                to: To::Through(through),
            });
        }
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        let file = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut builder = tempfile::Builder::new();
        let prefix = format!("{file}.");
        builder.prefix(&prefix).suffix(".part");
        let permissions = std::fs::metadata(&target).ok().map(|held| held.permissions());
        if let Some(permissions) = permissions.or_else(usual_permissions) {
            builder.permissions(permissions);
        }
        let beside = builder
            .tempfile_in(folder.unwrap_or(Path::new(".")))
            .with_context(cannot)?;
        Ok(Self {
            target,
            to: To::Beside(beside),
        })
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn finish(self) -> anyhow::Result<()> {
        match self.to {
            To::Through(mut file) => file.flush().with_context(|| cannot_write(&self.target)),
            To::Beside(file) => {
                // After a loss of power, a file of this name must be complete.
                let synced = file.as_file().sync_all();
                synced.with_context(|| cannot_write(&self.target))?;
                file.persist(&self.target).with_context(|| cannot_write(&self.target))?;
                Ok(())
            }
        }
    }

    /// Keeps what was written so far under the temporary name, and returns that name. None for a device, or if it
    /// cannot be kept.
    pub fn leave(self) -> Option<PathBuf> {
        match self.to {
            To::Through(_) => None,
            To::Beside(file) => Some(file.keep().ok()?.1),
        }
    }

    /// The message if writing fails.
    pub fn cannot_write(&self) -> String {
        cannot_write(&self.target)
    }
}

fn cannot_write(target: &Path) -> String {
    format!(
        "cannot write `{}`; make room or name another file",
        printable(&target.to_string_lossy())
    )
}

/// The permissions of a new file. Those of a temporary file are for its owner only.
#[cfg(unix)]
fn usual_permissions() -> Option<std::fs::Permissions> {
    use std::os::unix::fs::PermissionsExt;
    // The system removes the bits of the user's umask.
    Some(std::fs::Permissions::from_mode(0o666))
}

#[cfg(not(unix))]
fn usual_permissions() -> Option<std::fs::Permissions> {
    None
}

impl Write for OutFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.to {
            To::Beside(file) => file.write(bytes),
            To::Through(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.to {
            To::Beside(file) => file.flush(),
            To::Through(file) => file.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_has_its_old_content_until_the_new_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.json");
        std::fs::write(&path, "old").unwrap();
        let mut file = OutFile::create(&path, []).unwrap();
        file.write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        let mut file = OutFile::create(&path, []).unwrap();
        file.write_all(b"half").unwrap();
        let left = file.leave().unwrap();
        assert_eq!(
            (std::fs::read(&path).unwrap(), std::fs::read(&left).unwrap()),
            (b"new".to_vec(), b"half".to_vec())
        );
        let left = left.file_name().unwrap().to_string_lossy().into_owned();
        assert!(left.starts_with("out.json.") && left.ends_with(".part"), "{left}");
        drop(OutFile::create(&path, []).unwrap());
        assert_eq!(names(folder.path()), ["out.json".to_owned(), left]);
    }

    #[test]
    fn what_is_read_is_never_written() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("texts").join("a.txt");
        std::fs::create_dir(folder.path().join("texts")).unwrap();
        std::fs::write(&inside, "text").unwrap();
        let refused = |path: &Path, input: &Path| OutFile::create(path, [input]).err().map(|e| e.to_string());
        let says =
            |said: Option<String>, what: &str| assert!(said.as_ref().is_some_and(|s| s.contains(what)), "{said:?}");
        says(refused(&inside, &inside), "is an input of this command");
        says(
            refused(&inside, &folder.path().join("texts/../texts")),
            "is an input of this command",
        );
        says(refused(folder.path(), &inside), "is a folder");
        says(refused(&inside.join("x"), folder.path()), "cannot write");
        // New files may lie beside what is read.
        assert_eq!(
            refused(&folder.path().join("texts/new.json"), &folder.path().join("texts")),
            None
        );
        assert_eq!(std::fs::read(&inside).unwrap(), b"text");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&path, "old").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mut file = OutFile::create(&link, []).unwrap();
        file.write_all(b"new").unwrap();
        file.finish().unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        let mut null = OutFile::create(Path::new("/dev/null"), []).unwrap();
        null.write_all(b"gone").unwrap();
        null.finish().unwrap();
        assert!(!Path::new("/dev/null").is_file());
    }
}
