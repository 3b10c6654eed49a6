//! Files of the Hugging Face hub. hf-hub fetches them into the hub's own cache, where other programs find them too.
//!
//! hf-hub 0.5 has no timeout setting, and its own retry can append at the wrong offset. So every call of it runs in its
//! own thread, and this module gives up on a thread that makes no progress for too long. This module also restarts a
//! transfer that broke off; hf-hub then continues its `.part` file with a Range request.

use super::Timeouts;
use super::error::SourceError;
use super::place::{check_space, remove};
use super::progress::{FetchProgress, Meter};
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, Metadata};
use hf_hub::{Cache, Repo, RepoType};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The number of attempts in a row, without a single new byte, after which a transfer fails.
const BARREN_TRIES: u32 = 3;

/// The hub's address and the user's token. The hub's own programs read the same environment variables.
#[derive(Clone)]
pub struct HubSettings {
    /// `https://huggingface.co`, or a mirror.
    pub endpoint: String,
    /// The hub's file cache, shared with the hub's other programs.
    pub cache_dir: PathBuf,
    /// The user's access token.
    pub token: Option<String>,
    /// Whether connections are forbidden.
    pub offline: bool,
}

impl HubSettings {
    /// Reads HF_ENDPOINT, HF_HUB_CACHE, HF_HOME, HF_TOKEN (else the token file that `hf auth login` leaves in HF_HOME)
    /// and HF_HUB_OFFLINE. The hub's files go into `fallback` if there is no home folder.
    pub fn from_env(fallback: &Path) -> Self {
        let set = |name: &str| {
            std::env::var(name)
                .ok()
                .map(|v| v.trim().to_owned())
                .filter(|v| !v.is_empty())
        };
        let home = set("HF_HOME")
            .map(PathBuf::from)
            .unwrap_or_else(|| match directories::BaseDirs::new() {
                Some(dirs) => dirs.home_dir().join(".cache").join("huggingface"),
                None => fallback.join("huggingface"),
            });
        let cache_dir = set("HF_HUB_CACHE").map_or_else(|| home.join("hub"), PathBuf::from);
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: set("HF_TOKEN").or_else(|| Cache::new(home.join("hub")).token()),
            cache_dir,
            // The values that the hub's own programs take as yes.
            offline: set("HF_HUB_OFFLINE")
                .is_some_and(|v| matches!(v.to_ascii_uppercase().as_str(), "1" | "ON" | "YES" | "TRUE")),
        }
    }
}

/// One file of one repository.
pub(super) struct HubFile<'a> {
    pub(super) settings: &'a HubSettings,
    pub(super) repo: &'a str,
    pub(super) file: &'a str,
    pub(super) revision: &'a str,
}

impl HubFile<'_> {
    /// The file's name in messages.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} of {} ({}) at {}",
            self.file, self.repo, self.revision, self.settings.endpoint
        )
    }

    /// The server's name in messages.
    pub(super) fn server(&self) -> String {
        format!("the hub {}", self.settings.endpoint)
    }

    fn hub_repo(&self) -> Repo {
        Repo::with_revision(self.repo.to_owned(), RepoType::Model, self.revision.to_owned())
    }

    fn cache(&self) -> Cache {
        Cache::new(self.settings.cache_dir.clone())
    }

    /// The file in the hub's cache, if a program has fetched it before. Opens no connection.
    pub(super) fn cached(&self) -> Option<PathBuf> {
        let cache = self.cache().repo(self.hub_repo());
        // A commit has its own folder in the cache, and needs no reference file.
        let by_commit = cache.pointer_path(self.revision).join(self.file);
        cache.get(self.file).or(Some(by_commit)).filter(|path| path.is_file())
    }

    /// Fetches the file into the hub's cache.
    pub(super) fn fetch(
        &self,
        label: &str,
        size: Option<u64>,
        timeouts: &Timeouts,
        progress: &dyn FetchProgress,
    ) -> Result<PathBuf, SourceError> {
        let api = ApiBuilder::from_cache(self.cache())
            .with_endpoint(self.settings.endpoint.clone())
            .with_token(self.settings.token.clone())
            .with_progress(false)
            .with_retries(0)
            .with_user_agent("whowrote", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|error| self.refusal(error, timeouts))?;

        let metadata = self.metadata(&api, timeouts)?;
        let announced = metadata.size() as u64;
        if let Some(expected) = size.filter(|&size| size != announced) {
            return Err(SourceError::Size {
                what: self.describe(),
                expected,
                found: announced,
            });
        }
        // hf-hub builds paths from these two.
        if !is_clean_path(metadata.etag()) || !is_clean_path(metadata.commit_hash()) {
            let reason = "its ETag or X-Repo-Commit is not one that the hub sends; check HF_ENDPOINT".to_owned();
            return Err(SourceError::Answer {
                what: self.describe(),
                reason,
            });
        }

        let cache = self.cache().repo(self.hub_repo());
        let part = cache.blob_path(metadata.etag()).with_extension("part");
        let pointer = cache.pointer_path(metadata.commit_hash()).join(self.file);
        // hf-hub cannot replace a dangling link.
        if pointer.symlink_metadata().is_ok() && !pointer.exists() {
            remove(&pointer).map_err(|error| SourceError::io("delete", &pointer, error))?;
        }
        let there = length(&part);
        let folder = &self.settings.cache_dir;
        std::fs::create_dir_all(folder).map_err(|error| SourceError::io("create the folder", folder, error))?;
        check_space(folder, announced.saturating_sub(there))?;

        let mut meter = progress.begin(label, Some(announced));
        let mut barren = 0;
        let mut restarted = false;
        loop {
            let before = length(&part);
            match self.download(&api, announced, timeouts, meter.as_mut()) {
                Ok(path) if length(&path) == announced => return Ok(path),
                Ok(path) => {
                    self.discard(&path);
                    barren += 1;
                    if barren == BARREN_TRIES {
                        return Err(self.cut("the server closed the connection early"));
                    }
                }
                Err(Broken::Unusable) if !restarted => {
                    restarted = true;
                    remove(&part).map_err(|error| SourceError::io("delete", &part, error))?;
                }
                Err(Broken::Unusable) => return Err(self.cut("the server cannot continue it")),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Cut(reason)) => {
                    barren = if length(&part) > before { 0 } else { barren + 1 };
                    if barren == BARREN_TRIES {
                        return Err(self.cut(&reason));
                    }
                    std::thread::sleep(Duration::from_millis(200) * (1 << barren));
                }
            }
        }
    }

    /// Deletes a file of the hub's cache whose digest is not the catalogue's.
    pub(super) fn discard(&self, path: &Path) {
        let inside = |path: &Path| {
            let root = self.settings.cache_dir.canonicalize();
            root.is_ok_and(|root| path.canonicalize().is_ok_and(|path| path.starts_with(root)))
        };
        if inside(path) {
            if let Ok(blob) = path.canonicalize() {
                let _ = remove(&blob);
            }
            let _ = remove(path);
        }
    }

    fn metadata(&self, api: &Api, timeouts: &Timeouts) -> Result<Metadata, SourceError> {
        let url = api.repo(self.hub_repo()).url(self.file);
        let (sender, receiver) = channel();
        let api = api.clone();
        std::thread::spawn(move || {
            // If the answer comes too late, the receiver is gone.
            let _ = sender.send(api.metadata(&url));
        });
        match receiver.recv_timeout(timeouts.connect) {
            Ok(Ok(metadata)) => Ok(metadata),
            Ok(Err(error)) => Err(self.refusal(error, timeouts)),
            Err(RecvTimeoutError::Timeout) => Err(self.unreachable(timeouts.no_answer(), timeouts)),
            Err(RecvTimeoutError::Disconnected) => Err(self.garbled()),
        }
    }

    fn download(&self, api: &Api, size: u64, timeouts: &Timeouts, meter: &mut dyn Meter) -> Result<PathBuf, Broken> {
        let (sender, receiver) = channel();
        let watch = Arc::new(Watch::default());
        let (repo, file) = (api.repo(self.hub_repo()), self.file.to_owned());
        let counter = Counter {
            watch: watch.clone(),
            size,
        };
        std::thread::spawn(move || {
            let _ = sender.send(repo.download_with_progress(&file, counter));
        });

        let mut last = (0, Instant::now());
        loop {
            match receiver.recv_timeout(Duration::from_millis(100)) {
                Ok(result) => return result.map_err(|error| self.broken(error)),
                Err(RecvTimeoutError::Disconnected) if watch.stop.load(Ordering::Relaxed) => {
                    return Err(Broken::Unusable);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(Broken::Final(self.garbled())),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let bytes = watch.bytes.load(Ordering::Relaxed);
            meter.at(bytes);
            if bytes != last.0 {
                last = (bytes, Instant::now());
            } else if last.1.elapsed() > timeouts.stall {
                // The thread holds hf-hub's lock on the file until the system closes the connection. A second attempt
                // in this process would only wait for that lock.
                watch.stop.store(true, Ordering::Relaxed);
                let reason = format!("nothing arrived for {:.0} s", timeouts.stall.as_secs_f64());
                return Err(Broken::Final(self.cut(&reason)));
            }
        }
    }

    fn broken(&self, error: ApiError) -> Broken {
        match error {
            ApiError::InvalidResume => Broken::Unusable,
            ApiError::RequestError(error) => match *error {
                // The partial file is already as long as the whole file, or longer.
                ureq::Error::StatusCode(416) => Broken::Unusable,
                ureq::Error::StatusCode(code) => Broken::Final(self.status(code)),
                error => Broken::Cut(error.to_string()),
            },
            ApiError::IoError(error) => match error.kind() {
                std::io::ErrorKind::StorageFull
                | std::io::ErrorKind::QuotaExceeded
                | std::io::ErrorKind::PermissionDenied
                | std::io::ErrorKind::ReadOnlyFilesystem => {
                    Broken::Final(SourceError::io("write into", &self.settings.cache_dir, error))
                }
                _ => Broken::Cut(error.to_string()),
            },
            ApiError::LockAcquisition(_) => Broken::Final(self.cut("another program is fetching the same file")),
            error => Broken::Cut(error.to_string()),
        }
    }

    /// The error if the server gives no useful first answer.
    fn refusal(&self, error: ApiError, timeouts: &Timeouts) -> SourceError {
        match error {
            ApiError::RequestError(error) => match *error {
                ureq::Error::StatusCode(code) => self.status(code),
                error => self.unreachable(error.to_string(), timeouts),
            },
            error => SourceError::Answer {
                what: self.describe(),
                reason: error.to_string(),
            },
        }
    }

    fn status(&self, code: u16) -> SourceError {
        let what = self.describe();
        match code {
            401 | 403 => {
                let remedy = match self.settings.token {
                    None => "accept the model's terms on its page, then set HF_TOKEN to an access token",
                    Some(_) => {
                        "the access token (HF_TOKEN) does not allow it; accept the model's terms on its page with the \
                         same account"
                    }
                };
                SourceError::Forbidden {
                    what,
                    code,
                    remedy: remedy.to_owned(),
                }
            }
            // Without a token the hub answers 401 for missing files too, so that names cannot be guessed.
            404 => {
                let hint = "; correct repo, file or revision in the models file".to_owned();
                SourceError::NotFound { what, hint }
            }
            code => {
                let reason = format!("the server answered with status {code}; try again later");
                SourceError::Answer { what, reason }
            }
        }
    }

    fn unreachable(&self, reason: String, timeouts: &Timeouts) -> SourceError {
        let seconds = timeouts.connect.as_secs_f64();
        SourceError::Unreachable {
            what: format!("the hub {}", self.settings.endpoint),
            seconds,
            reason,
        }
    }

    fn cut(&self, reason: &str) -> SourceError {
        SourceError::Cut {
            what: self.describe(),
            reason: reason.to_owned(),
        }
    }

    fn garbled(&self) -> SourceError {
        let reason = "the server does not speak the hub's protocol; check HF_ENDPOINT".to_owned();
        SourceError::Answer {
            what: self.describe(),
            reason,
        }
    }
}

/// How a transfer ended early.
enum Broken {
    /// It can be continued.
    Cut(String),
    /// It can be restarted, but only without the partial file.
    Unusable,
    /// A new attempt would not help.
    Final(SourceError),
}

/// What the waiting thread sees of a transfer.
#[derive(Default)]
struct Watch {
    bytes: AtomicU64,
    stop: AtomicBool,
}

/// Reports hf-hub's progress to a [`Watch`].
struct Counter {
    watch: Arc<Watch>,
    size: u64,
}

impl hf_hub::api::Progress for Counter {
    fn init(&mut self, _size: usize, _filename: &str) {
        self.watch.bytes.store(0, Ordering::Relaxed);
    }

    fn update(&mut self, size: usize) {
        let bytes = self.watch.bytes.fetch_add(size as u64, Ordering::Relaxed) + size as u64;
        // More bytes than announced: the server ignores Range requests, or tries to fill the disk.
        if bytes > self.size {
            self.watch.stop.store(true, Ordering::Relaxed);
        }
        if self.watch.stop.load(Ordering::Relaxed) {
            // hf-hub has no way to stop a transfer. This unwinds its thread without running the panic hook.
            std::panic::resume_unwind(Box::new("stopped"));
        }
    }

    fn finish(&mut self) {}
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn is_clean_path(text: &str) -> bool {
    let clean = |part: &str| {
        !part.is_empty()
            && !part.starts_with('.')
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    text.len() <= 200 && text.split('/').all(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etag_cannot_leave_the_cache() {
        for good in ["b179c9523d0e6a0f", "W/abc", "a-b_c.d"] {
            assert!(is_clean_path(good), "{good}");
        }
        for bad in ["", "/etc/passwd", "../x", "a/../b", ".", "a\\b", "C:x", "a b"] {
            assert!(!is_clean_path(bad), "{bad}");
        }
    }
}
