//! The models of a run: they are fetched, and loaded one after another.

use super::error::JudgeError;
use crate::model::catalogue::ModelEntry;
use crate::model::chat::GENERIC_REQUEST;
use crate::model::store::{FetchProgress, Store, StoreError, StoredModel};
use crate::model::{DeviceChoice, LanguageModel, Vocabulary, device};
use candle_core::Device;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use whowrote_stats::calibration::CalibratedModel;

/// Models on this machine, each once.
pub struct ModelPool {
    /// Their entries in the catalogue.
    pub models: Vec<ModelEntry>,
    /// Their files, in the same order.
    pub stored: Vec<StoredModel>,
    /// The device they run on.
    pub device: Device,
    /// The models that stay loaded from one turn to the next; none if models do not stay.
    staying: Option<Vec<Arc<LanguageModel>>>,
    /// The memory budget in bytes; none for what is free.
    most_memory: Option<u64>,
}

impl ModelPool {
    /// Fetches models that are not on this machine, and checks those that are.
    pub fn fetch(
        models: Vec<ModelEntry>,
        device: DeviceChoice,
        offline: bool,
        progress: Arc<dyn FetchProgress>,
    ) -> Result<Self, JudgeError> {
        let device = device.open().map_err(JudgeError::Device)?;
        let store = Store::new(Store::default_cache_dir()?, offline, progress);
        // Local models are only hashed, which threads can share. Downloads show their progress one by one.
        let here = models.iter().all(|model| store.path(model).is_some());
        let stored: Result<Vec<StoredModel>, StoreError> = if here {
            models.par_iter().map(|model| store.ensure(model)).collect()
        } else {
            models.iter().map(|model| store.ensure(model)).collect()
        };
        let stored = stored?;
        Ok(Self {
            models,
            stored,
            device,
            staying: None,
            most_memory: None,
        })
    }

    /// Sets the memory budget; models stay loaded if all of them fit. Returns whether they do.
    pub fn stay(&mut self, memory: Option<u64>) -> bool {
        self.most_memory = memory;
        let memory = self.memory();
        let sizes = (0..self.models.len()).map(|i| self.unpacked_bytes(i));
        let all = sizes.into_iter().try_fold(0u64, |sum, size| sum.checked_add(size?));
        self.staying = all.filter(|&all| all <= memory).map(|_| Vec::new());
        self.staying.is_some()
    }

    /// The memory for weights, in bytes.
    fn memory(&self) -> u64 {
        device::memory_for_weights(&self.device).min(self.most_memory.unwrap_or(u64::MAX))
    }

    /// The most memory that a model takes, in bytes; none if its files cannot be read.
    fn unpacked_bytes(&self, i: usize) -> Option<u64> {
        let path = &self.stored[i].path;
        let found = std::fs::metadata(path).ok()?;
        if found.is_file() {
            // Four-bit weights become eight times as large.
            return Some(found.len().saturating_mul(8));
        }
        let sizes = std::fs::read_dir(path)
            .ok()?
            .map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        // Folders have 16-bit weights.
        let files = sizes.into_iter().try_fold(0u64, |sum, size| sum.checked_add(size?))?;
        Some(files.saturating_mul(2))
    }

    /// Loads one of the models.
    pub fn load(&self, i: usize) -> Result<LanguageModel, JudgeError> {
        let (name, path): (&str, &Path) = (&self.models[i].name, &self.stored[i].path);
        let model = LanguageModel::load(name, path, &self.device, self.memory())
            .map_err(JudgeError::model(format!("the model {name} could not be loaded")))?;
        Ok(if self.models[i].chat {
            model
        } else {
            model.without_chat()
        })
    }

    /// The pairs whose models have the same vocabulary. If no other model's vocabulary has the same size, only the
    /// size is read.
    pub fn of_one_vocabulary(&self, pairs: &[(usize, usize)]) -> Result<Vec<(usize, usize)>, JudgeError> {
        let place = |&(i, j): &(usize, usize)| [i, j];
        let read = |i: usize| (&self.models[i].name, self.stored[i].path.as_path());
        let unreadable = |name: &str| JudgeError::model(format!("the vocabulary of {name} could not be read"));
        let mut symbols = BTreeMap::new();
        for i in pairs.iter().flat_map(place) {
            let (name, path) = read(i);
            symbols.insert(i, Vocabulary::read_symbols(path).map_err(unreadable(name))?);
        }
        let of_one_size = || pairs.iter().filter(|(i, j)| symbols[i] == symbols[j]);
        let wanted: BTreeSet<usize> = of_one_size().flat_map(place).collect();
        let vocabularies: BTreeMap<usize, Vocabulary> = wanted
            .into_par_iter()
            .map(|i| {
                let (name, path) = read(i);
                Ok((i, Vocabulary::read(name, path).map_err(unreadable(name))?))
            })
            .collect::<Result<_, JudgeError>>()?;
        Ok(of_one_size()
            .filter(|(i, j)| vocabularies[i] == vocabularies[j])
            .copied()
            .collect())
    }

    /// Loads the models one after another and hands each to `work`. While one works, the next is loaded if both fit
    /// in memory: building a tokeniser takes one thread, and matrix products leave some of the threads idle. `work` also gets
    /// the model as calibrations know it, and so does the caller.
    pub fn in_turn(
        &mut self,
        mut work: impl FnMut(&Arc<LanguageModel>, &CalibratedModel) -> Result<(), JudgeError>,
    ) -> Result<Vec<CalibratedModel>, JudgeError> {
        let pool: &Self = self;
        let of_place = |model: &LanguageModel, i: usize| identity(model, &pool.stored[i].sha256);
        if let Some(staying) = pool.staying.as_deref().filter(|staying| !staying.is_empty()) {
            let identities: Vec<CalibratedModel> =
                staying.iter().zip(0..).map(|(model, i)| of_place(model, i)).collect();
            staying
                .iter()
                .zip(&identities)
                .try_for_each(|(model, identity)| work(model, identity))?;
            return Ok(identities);
        }
        let fits = |i: usize| {
            // The model before it is already loaded. The free memory accounts for it, but the user's budget does not.
            let before = pool.most_memory.and(pool.unpacked_bytes(i - 1)).unwrap_or(0);
            let size = pool.unpacked_bytes(i).and_then(|size| size.checked_add(before));
            size.is_some_and(|size| size <= pool.memory())
        };
        let mut loaded = Vec::new();
        let identities = std::thread::scope(|scope| {
            let mut next = None;
            let mut identities = Vec::with_capacity(self.models.len());
            for i in 0..pool.models.len() {
                let model = match next.take() {
                    None => pool.load(i)?,
                    Some(thread) => {
                        let thread: std::thread::ScopedJoinHandle<_> = thread;
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
                    }
                };
                if i + 1 < pool.models.len() && fits(i + 1) {
                    next = Some(scope.spawn(move || pool.load(i + 1)));
                }
                let identity = of_place(&model, i);
                let model = Arc::new(model);
                work(&model, &identity)?;
                identities.push(identity);
                if pool.staying.is_some() {
                    loaded.push(model);
                }
            }
            Ok::<_, JudgeError>(identities)
        })?;
        if let Some(staying) = &mut self.staying {
            *staying = loaded;
        }
        Ok(identities)
    }
}

/// Sets the number of threads; without one, there is a thread for each core.
///
/// # Errors
/// If the system does not start this many threads.
pub fn use_threads(threads: Option<NonZeroUsize>) -> Result<(), JudgeError> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let Some(threads) = threads else { return Ok(()) };
    // A process has one thread pool, and its size cannot change.
    let built = BUILT.get_or_init(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
        pool.build_global().map_err(|error| error.to_string())
    });
    let failed = |reason: String| JudgeError::Threads { threads, reason };
    built.clone().map_err(failed)
}

/// A loaded model as calibrations know it: as it scores a text with an unknown prompt.
fn identity(model: &LanguageModel, sha256: &str) -> CalibratedModel {
    CalibratedModel {
        name: model.name().to_owned(),
        sha256: sha256.to_owned(),
        request: model.chat_template().map(|_| GENERIC_REQUEST.to_owned()),
    }
}
