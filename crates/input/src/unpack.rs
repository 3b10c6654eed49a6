//! Opens files, compressed or not, and reads no further than a limit.

use super::{InputError, printable};
use flate2::read::MultiGzDecoder;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), of one member or several.
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// The compression that the ending of a path names, and the path without that ending.
pub fn compression(path: &Path) -> (Compression, PathBuf) {
    let ends_in = |ending: &str| {
        path.extension()
            .is_some_and(|found| found.eq_ignore_ascii_case(OsStr::new(ending)))
    };
    if ends_in("gz") {
        (Compression::Gzip, path.with_extension(""))
    } else if ends_in("zst") || ends_in("zstd") {
        (Compression::Zstd, path.with_extension(""))
    } else {
        (Compression::None, path.to_owned())
    }
}

/// Opens a file, a pipe or a device, for a reader that reads it once and stops at a limit.
///
/// # Errors
/// When it does not exist, is a directory, or may not be read.
pub fn open_stream(path: &Path) -> Result<File, InputError> {
    let name = path.to_string_lossy();
    // Unix opens a directory and fails at the first read. Windows refuses to open it, as if permission were missing.
    // This check gives both the same sentence.
    if path.is_dir() {
        return Err(InputError::Directory { name: printable(&name) });
    }
    File::open(path).map_err(|error| InputError::from_io(&name, error))
}

/// Opens a regular file only. A pipe cannot be read twice, and a device may never end.
///
/// # Errors
/// When it does not exist, is not a regular file, or may not be read.
pub fn open(path: &Path) -> Result<File, InputError> {
    let name = path.to_string_lossy();
    let failed = |error| InputError::from_io(&name, error);
    // This check comes first, because opening a pipe waits until another process writes to it.
    let found = std::fs::metadata(path).map_err(failed)?;
    if found.is_dir() {
        return Err(InputError::Directory { name: printable(&name) });
    }
    if !found.is_file() {
        return Err(InputError::Special { name: printable(&name) });
    }
    File::open(path).map_err(failed)
}

/// Opens a file and decompresses it as it is read.
///
/// This takes at most 128 MiB of memory, the largest window of the decompressors. A small file can grow without bound,
/// so the caller must stop at a limit.
///
/// # Errors
/// Those of [`open`], or when the decompressor cannot start.
pub fn unpacked(path: &Path, compression: Compression) -> Result<Box<dyn Read>, InputError> {
    let file = open(path)?;
    Ok(match compression {
        // The caller buffers.
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        Compression::Zstd => {
            let name = path.to_string_lossy();
            let decoder = zstd::Decoder::new(file);
            Box::new(decoder.map_err(|error| InputError::from_io(&name, error))?)
        }
    })
}

/// A reader that fails with [`io::ErrorKind::FileTooLarge`] beyond a limit. It counts what it reads: a file's own claim
/// about its size may be false.
pub struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R> Limited<R> {
    /// Allows `limit` bytes.
    pub fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
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
        // Several members one after another, as in a log that grows.
        for part in [head, tail] {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(part.as_bytes()).unwrap();
            gzip.extend(encoder.finish().unwrap());
        }
        let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
        for (name, bytes, expected) in [
            ("a.jsonl.gz", &gzip, Compression::Gzip),
            ("a.jsonl.ZST", &zst, Compression::Zstd),
            ("a.jsonl", &text.clone().into_bytes(), Compression::None),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let (found, inner) = compression(&path);
            assert_eq!(found, expected);
            assert_eq!(inner.file_name().unwrap(), "a.jsonl");
            let mut read = String::new();
            unpacked(&path, found).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
    }

    #[test]
    fn a_limit_lets_all_of_it_through_and_not_a_byte_more() {
        let read = |bytes: &[u8]| {
            let mut read = Vec::new();
            Limited::new(bytes, 3).read_to_end(&mut read).map(|_| read)
        };
        assert_eq!(read(b"abc").unwrap(), b"abc");
        assert_eq!(read(b"abcd").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
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
