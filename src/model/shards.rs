//! Whether the safetensors files of a folder belong together and are all there.
//!
//! Large models are saved in several files, with an index that says which file holds which tensor. If a file is missing
//! or left over from another version, optional tensors could silently be absent, so each such folder is refused.

use super::chat::read_if_there;
use super::error::{ModelError, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use whowrote_input::printable;

/// The file that lists the tensors of a model in several files.
const INDEX: &str = "model.safetensors.index.json";
/// The file of a model in one file. transformers does not read the index beside it.
const WHOLE: &str = "model.safetensors";

/// What a folder's index says.
pub(super) struct Shards {
    index: PathBuf,
    /// The file of each tensor; empty without an index.
    file_of: BTreeMap<String, String>,
}

impl Shards {
    /// Reads the index of a folder with these safetensors files.
    ///
    /// # Errors
    /// When the index is damaged, or a file is missing.
    pub(super) fn of(folder: &Path, files: &[PathBuf]) -> Result<Self> {
        let index = folder.join(INDEX);
        let names: Vec<&str> = files.iter().filter_map(|file| file.file_name()?.to_str()).collect();
        let mut this = Self {
            index,
            file_of: BTreeMap::new(),
        };
        if names.contains(&WHOLE) {
            return Ok(this);
        }
        let damaged = |reason: String| ModelError::malformed(&this.index, reason);
        let Some(json) = read_if_there(&this.index)? else {
            return match missing_number(&names) {
                Some(name) => Err(missing(folder, &format!("the names of its files ask for {name}"))),
                None => Ok(this),
            };
        };
        let json: serde_json::Value =
            serde_json::from_str(&json).map_err(|e| damaged(format!("it is not JSON: {e}")))?;
        let map = json["weight_map"].as_object();
        let map = map.ok_or_else(|| damaged("it has no weight_map".to_owned()))?;
        let mut file_of = BTreeMap::new();
        for (tensor, file) in map {
            let file = file
                .as_str()
                .ok_or_else(|| damaged("its weight_map is damaged".to_owned()))?;
            if !names.contains(&file) {
                return Err(missing(folder, &format!("{INDEX} asks for {}", printable(file))));
            }
            file_of.insert(tensor.clone(), file.to_owned());
        }
        this.file_of = file_of;
        Ok(this)
    }

    /// Checks the index against the files: `found` gives the file that holds a tensor.
    ///
    /// # Errors
    /// When a file does not hold what the index says.
    pub(super) fn check<'a>(&self, found: impl Fn(&str) -> Option<&'a Path>) -> Result<()> {
        for (tensor, file) in &self.file_of {
            let holder = found(tensor).and_then(|path| path.file_name());
            if holder.is_none_or(|holder| holder != file.as_str()) {
                let reason = format!(
                    "it says that {} holds the tensor {}, but it does not; the two are from different versions of the \
                     model: fetch both from one version",
                    printable(file),
                    printable(tensor)
                );
                return Err(ModelError::unsupported(&self.index, reason));
            }
        }
        Ok(())
    }

    /// The error for a tensor that two files hold.
    pub(super) fn twice(&self, tensor: &str, one: &Path, other: &Path) -> ModelError {
        let name = |path: &Path| printable(&path.file_name().unwrap_or_default().to_string_lossy());
        let listed = |path: &&Path| {
            self.file_of
                .values()
                .any(|file| path.file_name().is_some_and(|f| f == file.as_str()))
        };
        let left_over = [one, other]
            .into_iter()
            .find(|path| !self.file_of.is_empty() && !listed(path));
        let remedy = match left_over {
            Some(path) => format!("{INDEX} does not name {}, so remove that file", name(path)),
            None => "one of them is left from another version of the model, so remove that file".to_owned(),
        };
        let reason = format!(
            "it and {} both hold the tensor {}; {remedy}",
            name(one),
            printable(tensor)
        );
        ModelError::unsupported(other, reason)
    }
}

fn missing(folder: &Path, asks: &str) -> ModelError {
    let reason = format!("{asks}, which is not in the folder; put that file beside the others");
    ModelError::unsupported(folder, reason)
}

/// The first file that is missing, if the files are numbered.
fn missing_number(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| {
        let file = NumberedFile::of(name, ".safetensors")?;
        (1..=file.count.parse().ok()?)
            .map(|number| file.name(number))
            .find(|wanted| !names.contains(&wanted.as_str()))
    })
}

/// The name of one of several files that belong together, such as `model-00001-of-00003.safetensors`.
pub(super) struct NumberedFile<'a> {
    stem: &'a str,
    /// The number of files, in five digits.
    count: &'a str,
    ending: &'a str,
}

impl<'a> NumberedFile<'a> {
    /// None if the name has no number or another ending.
    pub(super) fn of(name: &'a str, ending: &'a str) -> Option<Self> {
        let (stem, count) = name.strip_suffix(ending)?.rsplit_once("-of-")?;
        let (stem, number) = stem.rsplit_once('-')?;
        let digits = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        (digits(count) && digits(number)).then_some(Self { stem, count, ending })
    }

    /// The name of the file with this number.
    pub(super) fn name(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{}{}", self.stem, self.count, self.ending)
    }
}
