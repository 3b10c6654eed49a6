//! Weights that the user keeps. They are used in place, and never copied or deleted.

use super::StoredModel;
use super::digest;
use super::error::SourceError;
use crate::model::catalogue::ModelEntry;
use std::path::Path;

/// Checks the model at `path`. Its digest must equal the catalogue's, if the catalogue states one.
pub(super) fn open(path: &Path, entry: &ModelEntry) -> Result<StoredModel, SourceError> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(SourceError::NotFound {
                what: format!("the file or folder {}", path.display()),
                hint: "; correct `path` in the models file, or put the model there".to_owned(),
            });
        }
        Err(error) => return Err(SourceError::io("read", path, error)),
    };
    let found = if metadata.is_dir() {
        digest::of_folder(path)?
    } else if metadata.is_file() {
        if let Some(expected) = entry.size.filter(|&size| size != metadata.len()) {
            return Err(SourceError::Size {
                what: path.display().to_string(),
                expected,
                found: metadata.len(),
            });
        }
        digest::of_file(path).map_err(|error| SourceError::io("read", path, error))?
    } else {
        let reason = "it is neither a file nor a folder".to_owned();
        return Err(SourceError::NotAModel {
            path: path.to_owned(),
            reason,
        });
    };
    match &entry.sha256 {
        Some(expected) if *expected != found => Err(SourceError::Checksum {
            what: path.display().to_string(),
            expected: expected.clone(),
            found,
            deleted: false,
        }),
        _ => Ok(StoredModel {
            path: path.to_owned(),
            sha256: found,
        }),
    }
}
