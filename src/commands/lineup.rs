//! The models of a run: named by the user, fetched, and loaded one after another.

use super::{AuthorChoice, DeviceChoice};
use crate::calibration::CalibratedModel;
use crate::model::catalogue::{AuthorEntry, Catalogue, ModelEntry};
use crate::model::store::{Progress, Silent, Store, StoredModel, Terminal};
use crate::model::{LanguageModel, Vocabulary, device};
use crate::verdict::AuthorSet;
use anyhow::{Context, anyhow, bail};
use candle_core::Device;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// Models that are on this machine, each once.
pub struct Lineup {
    /// What the catalogue says of them.
    pub models: Vec<ModelEntry>,
    /// Where their files are, in the same order.
    pub stored: Vec<StoredModel>,
    /// Where they run.
    pub device: Device,
    /// Those that stay loaded from one turn to the next.
    staying: Option<Vec<Arc<LanguageModel>>>,
    /// The memory that they may take, at most.
    most_memory: Option<u64>,
}

impl Lineup {
    /// Fetches models that are not here, and checks those that are.
    pub fn fetch(models: Vec<ModelEntry>, device: DeviceChoice, offline: bool, quiet: bool) -> anyhow::Result<Self> {
        let device = device.open()?;
        let progress: Arc<dyn Progress> = match quiet {
            true => Arc::new(Silent),
            false => Arc::new(Terminal),
        };
        let store = Store::new(Store::default_cache_dir()?, offline, progress);
        // Models that are here are only hashed, which threads share; fetches show their progress one by one.
        let here = models.iter().all(|model| store.path(model).is_some());
        let stored: Vec<StoredModel> = match here {
            true => models
                .par_iter()
                .map(|model| store.ensure(model))
                .collect::<Result<_, _>>()?,
            false => models
                .iter()
                .map(|model| store.ensure(model))
                .collect::<Result<_, _>>()?,
        };
        Ok(Self {
            models,
            stored,
            device,
            staying: None,
            most_memory: None,
        })
    }

    /// Gives the models so many bytes, or what is free, and lets them stay loaded after their turn where these hold all of
    /// them; returns whether they do.
    pub fn stay(&mut self, memory: Option<u64>) -> bool {
        self.most_memory = memory;
        let memory = self.memory();
        let sizes = (0..self.models.len()).map(|i| self.unpacked_bytes(i));
        let all = sizes.into_iter().try_fold(0u64, |sum, size| sum.checked_add(size?));
        self.staying = all.filter(|&all| all <= memory).map(|_| Vec::new());
        self.staying.is_some()
    }

    /// The memory that there is for weights.
    fn memory(&self) -> u64 {
        device::memory_for_weights(&self.device).min(self.most_memory.unwrap_or(u64::MAX))
    }

    /// The memory that a model takes, at most; none where its files cannot be asked.
    fn unpacked_bytes(&self, i: usize) -> Option<u64> {
        let path = &self.stored[i].path;
        let found = std::fs::metadata(path).ok()?;
        if found.is_file() {
            // Weights of four bits grow eightfold.
            return Some(found.len().saturating_mul(8));
        }
        let sizes = std::fs::read_dir(path)
            .ok()?
            .map(|entry| Some(entry.ok()?.metadata().ok()?.len()));
        // Those of folders have 16 bits.
        let files = sizes.into_iter().try_fold(0u64, |sum, size| sum.checked_add(size?))?;
        Some(files.saturating_mul(2))
    }

    /// Loads one of the models.
    pub fn load(&self, i: usize) -> anyhow::Result<LanguageModel> {
        let (name, path): (&str, &Path) = (&self.models[i].name, &self.stored[i].path);
        let model = LanguageModel::load(name, path, &self.device, self.memory())
            .with_context(|| format!("the model {name} could not be loaded"))?;
        Ok(match self.models[i].chat {
            true => model,
            false => model.without_chat(),
        })
    }

    /// Of these pairs of models, those that have one vocabulary. Nothing but sizes is read of models whose vocabulary has
    /// another size than all others.
    pub fn of_one_vocabulary(&self, pairs: &[(usize, usize)]) -> anyhow::Result<Vec<(usize, usize)>> {
        let place = |&(i, j): &(usize, usize)| [i, j];
        let read = |i: usize| (&self.models[i].name, self.stored[i].path.as_path());
        let unreadable = |name: &str| format!("the vocabulary of {name} could not be read");
        let mut symbols = BTreeMap::new();
        for i in pairs.iter().flat_map(place) {
            let (name, path) = read(i);
            symbols.insert(i, Vocabulary::read_symbols(path).with_context(|| unreadable(name))?);
        }
        let of_one_size = || pairs.iter().filter(|(i, j)| symbols[i] == symbols[j]);
        let wanted: BTreeSet<usize> = of_one_size().flat_map(place).collect();
        let vocabularies: BTreeMap<usize, Vocabulary> = wanted
            .into_par_iter()
            .map(|i| {
                let (name, path) = read(i);
                Ok((i, Vocabulary::read(name, path).with_context(|| unreadable(name))?))
            })
            .collect::<anyhow::Result<_>>()?;
        Ok(of_one_size()
            .filter(|(i, j)| vocabularies[i] == vocabularies[j])
            .copied()
            .collect())
    }

    /// Loads the models one after another and hands each to `work`. While one works the next is loaded, where memory
    /// holds both: building a tokeniser keeps one thread busy, and multiplying does not fill two. Returns what the models
    /// are known by in a calibration.
    pub fn in_turn(
        &mut self,
        mut work: impl FnMut(&Arc<LanguageModel>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Vec<CalibratedModel>> {
        let lineup: &Self = self;
        let identity = |model: &LanguageModel, i: usize| CalibratedModel::new(model, &lineup.stored[i].sha256);
        if let Some(staying) = lineup.staying.as_deref().filter(|staying| !staying.is_empty()) {
            staying.iter().try_for_each(&mut work)?;
            return Ok(staying.iter().zip(0..).map(|(model, i)| identity(model, i)).collect());
        }
        let fits = |i: usize| {
            // Beside the one before it, which is loaded already: what is free tells of that, and what the user allows does not.
            let before = lineup.most_memory.and(lineup.unpacked_bytes(i - 1)).unwrap_or(0);
            let size = lineup.unpacked_bytes(i).and_then(|size| size.checked_add(before));
            size.is_some_and(|size| size <= lineup.memory())
        };
        let mut loaded = Vec::new();
        let identities = std::thread::scope(|scope| {
            let mut next = None;
            let mut identities = Vec::with_capacity(self.models.len());
            for i in 0..lineup.models.len() {
                let model = match next.take() {
                    None => lineup.load(i)?,
                    Some(thread) => {
                        let thread: std::thread::ScopedJoinHandle<_> = thread;
                        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
                    }
                };
                if i + 1 < lineup.models.len() && fits(i + 1) {
                    next = Some(scope.spawn(move || lineup.load(i + 1)));
                }
                identities.push(identity(&model, i));
                let model = Arc::new(model);
                work(&model)?;
                if lineup.staying.is_some() {
                    loaded.push(model);
                }
            }
            anyhow::Ok(identities)
        })?;
        if let Some(staying) = &mut self.staying {
            *staying = loaded;
        }
        Ok(identities)
    }
}

/// The authors of one set: those that the user chose, or those of the catalogue.
pub fn authors(
    catalogue: &Catalogue,
    set: AuthorSet,
    chosen: &[AuthorChoice],
) -> anyhow::Result<Vec<(ModelEntry, AuthorEntry)>> {
    if chosen.is_empty() {
        let entries = catalogue.authors_in(set);
        return entries
            .map(|author| Ok((catalogue.model(&author.model)?.clone(), author.clone())))
            .collect();
    }
    chosen.iter().map(|choice| resolve(catalogue, choice, set)).collect()
}

/// The author that the user chose, with its model.
pub fn resolve(
    catalogue: &Catalogue,
    choice: &AuthorChoice,
    set: AuthorSet,
) -> anyhow::Result<(ModelEntry, AuthorEntry)> {
    Ok(match choice {
        AuthorChoice::Named(name) => catalogue.resolve_author(name, set)?,
        AuthorChoice::Path(path) => Catalogue::author_from_path(path, set)?,
    })
}

/// Adds a model to those of a run, each once.
pub fn add_model(models: &mut Vec<ModelEntry>, model: ModelEntry) -> anyhow::Result<()> {
    match models.iter().find(|m| m.name == model.name) {
        Some(same) if same.sources != model.sources => {
            bail!("two different models are called {}; rename one of them", model.name)
        }
        Some(_) => {}
        None => models.push(model),
    }
    Ok(())
}

/// Computes with so many threads; without a number, with one a core.
///
/// # Errors
/// When the system does not give as many.
pub fn use_threads(threads: Option<NonZeroUsize>) -> anyhow::Result<()> {
    static BUILT: OnceLock<Result<(), String>> = OnceLock::new();
    let Some(threads) = threads else { return Ok(()) };
    // There is one pool in a process, and it keeps its size.
    let built = BUILT.get_or_init(|| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get());
        pool.build_global().map_err(|error| error.to_string())
    });
    built
        .clone()
        .map_err(|why| anyhow!("{threads} threads cannot be started: {why}; ask for fewer with --threads"))
}
