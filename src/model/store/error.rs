//! What can go wrong between a catalogue entry and a file that may be parsed. Each message says what to do.

use std::io;
use std::path::{Path, PathBuf};

/// Why a model is not there to be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not cached, and connections are forbidden.
    #[error(
        "the model {model} is not in the cache and --offline (or HF_HUB_OFFLINE) forbids fetching it; \
         run `whowrote models pull {model}` once with a network"
    )]
    Offline {
        /// The model.
        model: String,
    },
    /// No source gave the model.
    #[error("the model {model} could not be had: {}", list(failures))]
    NoSource {
        /// The model.
        model: String,
        /// Source by source, in the order in which they were tried.
        failures: Vec<SourceError>,
    },
    /// The folder of the cache, or a file in it, cannot be used.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Io {
        /// A verb.
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nowhere to keep models.
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
    /// Nobody answered.
    #[error(
        "{what} cannot be reached ({reason}); check the network and its proxy, or, if it is slow, set \
         WHOWROTE_CONNECT_TIMEOUT to more than {seconds} seconds"
    )]
    Unreachable {
        /// Who should have answered.
        what: String,
        /// How long would have been waited.
        seconds: f64,
        /// What was seen.
        reason: String,
    },
    /// The place answers, and has no such thing.
    #[error("{what} was not found{hint}")]
    NotFound {
        /// What was asked for.
        what: String,
        /// Where to look for the mistake.
        hint: String,
    },
    /// The place wants to know who asks.
    #[error("{what} may not be read ({code}): {remedy}")]
    Forbidden {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// What to do.
        remedy: String,
    },
    /// The place answers something that is of no use.
    #[error("{what} could not be fetched: {reason}")]
    Answer {
        /// What was asked for.
        what: String,
        /// What came back.
        reason: String,
    },
    /// The transfer broke off, and did so again.
    #[error("the transfer of {what} broke off ({reason}); run the command again, what has arrived is kept")]
    Cut {
        /// What was being fetched.
        what: String,
        /// What was seen.
        reason: String,
    },
    /// No Python.
    #[error("there is no python3 on the PATH, which fetches the wheel {requirement}; install Python 3 with pip")]
    NoPython {
        /// The wheel.
        requirement: String,
    },
    /// Python, but no pip.
    #[error(
        "python3 has no pip, which fetches the wheel {requirement}; install it with `python3 -m ensurepip` or your \
         system's python3-pip package"
    )]
    NoPip {
        /// The wheel.
        requirement: String,
    },
    /// pip ran and failed otherwise.
    #[error("pip could not fetch the wheel {requirement}: {reason}")]
    Pip {
        /// The wheel.
        requirement: String,
        /// pip's own words.
        reason: String,
    },
    /// The wheel is no archive, or a damaged one.
    #[error("the wheel {wheel} is damaged ({reason}) and was deleted")]
    Wheel {
        /// The file's name.
        wheel: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The wheel has no such file in it.
    #[error("the wheel {wheel} has no file {member} in it; correct `member` in the models file")]
    NoMember {
        /// The file's name.
        wheel: String,
        /// The file that should be in it.
        member: String,
    },
    /// The file is another one, or a damaged one.
    #[error(
        "{what} has sha256 {found}, not {expected} as the models file says, {}",
        if *deleted { "and was deleted: the transfer was faulty, or the source or the models file was changed" }
        else { "and was left where it is: correct sha256 in the models file if this file is meant" }
    )]
    Checksum {
        /// What was fetched, or the local path.
        what: String,
        /// The digest in the catalogue.
        expected: String,
        /// The digest of the file.
        found: String,
        /// Whether the store has deleted the file; it never deletes the user's own.
        deleted: bool,
    },
    /// The file cannot be the right one: its length is wrong.
    #[error("{what} has {found} bytes, not {expected} as the models file says")]
    Size {
        /// What was to be fetched.
        what: String,
        /// The size in the catalogue.
        expected: u64,
        /// The size that was announced or found.
        found: u64,
    },
    /// A local path with something else behind it.
    #[error("{} is no model: {reason}", path.display())]
    NotAModel {
        /// The path.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// The disk is full, or will be.
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
        /// What would have been fetched.
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

    /// Whether what arrived is wrong, so that fetching it once more from scratch may help.
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
