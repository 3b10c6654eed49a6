//! A calibration as a file: JSON, with likelihoods in tenths of a nat.

use super::{CalibratedModel, Calibration, Group};
use crate::stats::attribution::{LENGTHS, Likelihoods};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The version of the file.
const SCHEMA: u32 = 1;
/// Longer files are no calibration.
const MAX_BYTES: u64 = 256 << 20;
/// Units to a nat.
const SCALE: f64 = 10.0;

/// Why a calibration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file could not be read.
    #[error("cannot read the calibration {file}: {reason}")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The file is no calibration.
    #[error("{file} is not a calibration that this version can use: {reason}; make it again with `whowrote calibrate`")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Serialize, Deserialize)]
struct FileForm {
    schema: u32,
    author: String,
    family: String,
    lengths: Vec<usize>,
    models: Vec<CalibratedModel>,
    groups: Vec<GroupForm>,
}

#[derive(Serialize, Deserialize)]
struct GroupForm {
    name: String,
    source: String,
    licence: String,
    date: String,
    /// One list a text: for each length that it reaches, for each model, `deployed` and `untruncated`, in tenths of a
    /// nat.
    texts: Vec<Vec<i64>>,
}

impl Calibration {
    /// Reads a calibration from a file.
    ///
    /// # Errors
    /// When the file cannot be read, or is no calibration of this version.
    pub fn from_file(path: &Path) -> Result<Self, CalibrationError> {
        let file = crate::input::printable(&path.to_string_lossy());
        let read_error = |reason: String| CalibrationError::Read {
            file: file.clone(),
            reason,
        };
        let metadata = std::fs::metadata(path).map_err(|e| read_error(e.to_string()))?;
        if metadata.len() > MAX_BYTES {
            return Err(read_error(format!(
                "it has {} bytes, which no calibration has",
                metadata.len()
            )));
        }
        let json = std::fs::read_to_string(path).map_err(|e| read_error(e.to_string()))?;
        Self::from_json(&json, &file)
    }

    /// Reads a calibration; `name` is what messages call it.
    ///
    /// # Errors
    /// When it is no calibration of this version.
    pub fn from_json(json: &str, name: &str) -> Result<Self, CalibrationError> {
        let malformed = |reason: String| CalibrationError::Malformed {
            file: name.to_owned(),
            reason,
        };
        let form: FileForm = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        if form.schema != SCHEMA {
            return Err(malformed(format!("its schema is {} and not {SCHEMA}", form.schema)));
        }
        if form.lengths != LENGTHS {
            return Err(malformed("it was made for other lengths of text".to_owned()));
        }
        if form.models.is_empty() {
            return Err(malformed("it names no model".to_owned()));
        }
        let width = 2 * form.models.len();
        let text = |numbers: Vec<i64>| -> Result<Vec<Vec<Likelihoods>>, CalibrationError> {
            let reached = numbers.len() / width;
            if !numbers.len().is_multiple_of(width) || reached > LENGTHS.len() {
                return Err(malformed(
                    "the number of figures of a text does not fit its models".to_owned(),
                ));
            }
            let likelihoods = |pair: &[i64]| Likelihoods {
                deployed: pair[0] as f64 / SCALE,
                untruncated: pair[1] as f64 / SCALE,
            };
            Ok(numbers
                .chunks_exact(width)
                .map(|row| row.chunks_exact(2).map(likelihoods).collect())
                .collect())
        };
        let group = |form: GroupForm| -> Result<Group, CalibrationError> {
            Ok(Group {
                name: form.name,
                source: form.source,
                licence: form.licence,
                date: form.date,
                texts: form.texts.into_iter().map(text).collect::<Result<_, _>>()?,
            })
        };
        Ok(Self {
            author: form.author,
            family: form.family,
            models: form.models,
            groups: form.groups.into_iter().map(group).collect::<Result<_, _>>()?,
        })
    }

    /// The file's text, one line a group.
    pub fn to_json(&self) -> String {
        let text = |text: &Vec<Vec<Likelihoods>>| -> Vec<i64> {
            let numbers = text.iter().flatten().flat_map(|l| [l.deployed, l.untruncated]);
            numbers.map(|nats| (nats * SCALE).round() as i64).collect()
        };
        let form = FileForm {
            schema: SCHEMA,
            author: self.author.clone(),
            family: self.family.clone(),
            lengths: LENGTHS.to_vec(),
            models: self.models.clone(),
            groups: Vec::new(),
        };
        let groups: Vec<String> = self
            .groups
            .iter()
            .map(|group| {
                let form = GroupForm {
                    name: group.name.clone(),
                    source: group.source.clone(),
                    licence: group.licence.clone(),
                    date: group.date.clone(),
                    texts: group.texts.iter().map(text).collect(),
                };
                serde_json::to_string(&form).unwrap_or_default()
            })
            .collect();
        let head = serde_json::to_string(&form).unwrap_or_default();
        let head = head.strip_suffix("[]}").unwrap_or(&head);
        format!("{head}[\n{}\n]}}\n", groups.join(",\n"))
    }
}
