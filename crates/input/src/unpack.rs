//! Files, compressed or not, as streams of their content.

use super::{InputError, printable};
use flate2::read::MultiGzDecoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// How a file's content is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrapping {
    /// As it is.
    Plain,
    /// gzip (RFC 1952), of one member or several.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// How a path says that its file is wrapped, and the path without that ending.
pub fn wrapping(path: &Path) -> (Wrapping, std::path::PathBuf) {
    let is = |ending: &str| {
        path.extension()
            .is_some_and(|found| found.eq_ignore_ascii_case(OsStr::new(ending)))
    };
    match () {
        () if is("gz") => (Wrapping::Gzip, path.with_extension("")),
        () if is("zst") || is("zstd") => (Wrapping::Zstd, path.with_extension("")),
        () => (Wrapping::Plain, path.to_owned()),
    }
}

/// Opens a file that is one: what a pipe or a device holds could not be read a second time, or never ends.
///
/// # Errors
/// When it is not there, is no file, or may not be read.
pub fn open(path: &Path) -> Result<File, InputError> {
    let name = path.to_string_lossy();
    let failed = |error| InputError::from_io(&name, error);
    // Asked before it is opened: opening a pipe waits for somebody who writes.
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.is_dir() {
        return Err(InputError::Directory { name: printable(&name) });
    }
    if !found.is_file() {
        return Err(InputError::Special { name: printable(&name) });
    }
    File::open(path).map_err(failed)
}

/// Opens a file and unwraps its content as it is read. Nothing is held but the windows of the decompressors, of 128 MiB at most:
/// whoever reads decides how much of a small file that grows is too much.
///
/// # Errors
/// Those of [`open`], or when a decompressor cannot be made.
pub fn unpacked(path: &Path, wrapping: Wrapping) -> Result<Box<dyn Read>, InputError> {
    let file = open(path)?;
    Ok(match wrapping {
        // Whoever reads has a buffer.
        Wrapping::Plain => Box::new(file),
        Wrapping::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Wrapping::Zstd => {
            let name = path.to_string_lossy();
            let decoder = zstd::Decoder::new(file);
            Box::new(decoder.map_err(|error| InputError::from_io(&name, error))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_was_packed_comes_out() {
        let folder = tempfile::tempdir().unwrap();
        let text = "one\ntwo\n".repeat(1000);
        let (head, tail) = text.split_at(3000);
        let mut gzip = Vec::new();
        // Members one behind the other, as of logs that are appended to.
        for part in [head, tail] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            gzip.extend(encoder.finish().unwrap());
        }
        let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (name, bytes, expected) in [
            ("a.jsonl.gz", &gzip, Wrapping::Gzip),
            ("a.jsonl.ZST", &zst, Wrapping::Zstd),
            ("a.jsonl", &text.clone().into_bytes(), Wrapping::Plain),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let (wrapping, inner) = wrapping(&path);
            assert_eq!(wrapping, expected);
            assert_eq!(inner.file_name().unwrap(), "a.jsonl");
            let mut read = String::new();
            unpacked(&path, wrapping).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_not_opened() {
        let error = open(Path::new("/dev/zero")).unwrap_err();
        assert!(matches!(error, InputError::Special { .. }), "{error}");
        assert!(matches!(
            open(Path::new("/")).unwrap_err(),
            InputError::Directory { .. }
        ));
    }
}
