//! The judge of `detect`: real models.

use super::detect::Judge;
use super::{AuthorChoice, DetectConfig, DeviceChoice};
use crate::input::Document;
use crate::model::catalogue::{AuthorEntry, Catalogue, ModelEntry};
use crate::model::store::{Progress, Silent, Store, StoredModel};
use crate::model::{LanguageModel, device};
use crate::output::Detail;
use crate::scoring::{Scoring, TextScores, score};
use crate::verdict::{self, AuthorSet, Candidate, Policy, ProvenanceReport, SCHEMA, Timing};
use anyhow::{Context, bail};
use candle_core::Device;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Documents that every model scores before the next model takes its turn, so that a round costs one loading of each;
/// a round's figures are kept until its last model has scored.
const ROUND: usize = 256;
/// Bytes of text at which a round ends early: a token's figures take about fifty times its text.
const ROUND_BYTES: usize = 4 << 20;

/// Judges documents with the models of a configuration.
pub struct ModelJudge<'a> {
    config: &'a DetectConfig,
}

impl<'a> ModelJudge<'a> {
    /// A judge; nothing is loaded before there is a text.
    pub fn new(config: &'a DetectConfig) -> Self {
        Self { config }
    }

    /// Who may have written the texts, and the models that stand for them, each once.
    fn candidates(&self) -> anyhow::Result<(Vec<Candidate>, Vec<ModelEntry>)> {
        let catalogue = Catalogue::load(self.config.catalogue.as_deref())?;
        let (mut candidates, mut models) = (Vec::<Candidate>::new(), Vec::<ModelEntry>::new());
        for (set, chosen) in [(AuthorSet::A, &self.config.a), (AuthorSet::B, &self.config.b)] {
            for (model, author) in authors(&catalogue, set, chosen)? {
                if candidates.iter().any(|c| c.author == author.name) {
                    bail!(
                        "the author {} is named twice; an author belongs to one set",
                        author.name
                    );
                }
                candidates.push(Candidate {
                    author: author.name,
                    set,
                    model: model.name.clone(),
                    temperature: self.config.temperature.or(author.temperature).unwrap_or(1.0),
                });
                match models.iter().find(|m| m.name == model.name) {
                    Some(same) if same.sources != model.sources => {
                        bail!("two different models are called {}; rename one of them", model.name)
                    }
                    Some(_) => {}
                    None => models.push(model),
                }
            }
        }
        if candidates.is_empty() {
            bail!("there is no author to consider; name one with --a or --b");
        }
        Ok((candidates, models))
    }
}

/// The authors of one set: those that the user chose, or those of the catalogue.
fn authors(
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
    let resolve = |choice: &AuthorChoice| match choice {
        AuthorChoice::Named(name) => catalogue.resolve_author(name, set),
        AuthorChoice::Path(path) => Catalogue::author_from_path(path, set),
    };
    chosen.iter().map(|choice| Ok(resolve(choice)?)).collect()
}

/// Loads the models one after another and hands each to `work`. While one works the next is loaded, where memory holds
/// both: building a tokeniser keeps one thread busy, and multiplying does not fill two.
fn in_turn(
    models: &[ModelEntry],
    stored: &[StoredModel],
    device: &Device,
    mut work: impl FnMut(&LanguageModel) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let load = |i: usize| {
        let (name, path): (&str, &Path) = (&models[i].name, &stored[i].path);
        LanguageModel::load(name, path, device, device::memory_for_weights(device))
            .with_context(|| format!("the model {name} could not be loaded"))
    };
    // A file of four-bit weights grows eightfold.
    let fits = |i: usize| {
        let size = std::fs::metadata(&stored[i].path).ok().filter(|file| file.is_file());
        size.is_some_and(|file| file.len().saturating_mul(8) <= device::memory_for_weights(device))
    };
    std::thread::scope(|scope| {
        let mut next = None;
        for i in 0..models.len() {
            let model = match next.take() {
                None => load(i)?,
                Some(thread) => {
                    let thread: std::thread::ScopedJoinHandle<_> = thread;
                    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?
                }
            };
            if i + 1 < models.len() && fits(i + 1) {
                let load = &load;
                next = Some(scope.spawn(move || load(i + 1)));
            }
            work(&model)?;
        }
        Ok(())
    })
}

impl DeviceChoice {
    pub(super) fn open(self) -> crate::model::Result<Device> {
        match self {
            Self::Auto => Ok(device::best()),
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(index) => device::cuda(index),
            Self::Metal => device::metal(),
        }
    }
}

impl Judge for ModelJudge<'_> {
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if let Some(threads) = self.config.threads {
            // Fails where the pool is already there, as in a test; it then has its size.
            let _ = rayon::ThreadPoolBuilder::new()
                .num_threads(threads.get())
                .build_global();
        }
        let (candidates, models) = self.candidates()?;
        let device = self.config.device.open()?;
        let progress: Arc<dyn Progress> = match self.config.detail {
            Detail::Quiet => Arc::new(Silent),
            _ => Arc::new(crate::model::store::Terminal),
        };
        let store = Store::new(Store::default_cache_dir()?, self.config.offline, progress);
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
        let scoring = Scoring::at(verdict::betas(&candidates));
        let policy = Policy {
            alpha: self.config.alpha,
            tests: self.config.tests.clone(),
        };
        let mut begin = 0;
        while begin < documents.len() {
            let mut bytes = 0;
            let round = documents[begin..]
                .iter()
                .take(ROUND)
                .take_while(|document| {
                    bytes += document.text.len();
                    bytes <= ROUND_BYTES
                })
                .count()
                .max(1);
            let texts = &documents[begin..begin + round];
            let mut scores: Vec<BTreeMap<String, TextScores>> = vec![BTreeMap::new(); round];
            let mut elapsed = vec![0.0; round];
            let mut long = vec![Vec::new(); round];
            in_turn(&models, &stored, &device, |model| {
                for (i, document) in texts.iter().enumerate() {
                    let start = Instant::now();
                    let figures = score(model, &document.text, &scoring)
                        .with_context(|| format!("{} could not be scored with {}", document.name, model.name()))?;
                    let (tokens, room) = (figures.ids.len(), scoring.room(model));
                    if tokens > room {
                        long[i].push(verdict::long_text_warning(model.name(), tokens, room));
                    }
                    elapsed[i] += start.elapsed().as_secs_f64() * 1e3;
                    scores[i].insert(model.name().to_owned(), figures);
                }
                Ok(())
            })?;
            for (i, (document, scores)) in texts.iter().zip(&scores).enumerate() {
                let decision = verdict::decide(&document.text, &candidates, scores, &policy);
                let figures = models.iter().zip(&stored).filter_map(|(model, stored)| {
                    let scores = scores.get(&model.name)?;
                    let figures = verdict::figures(scores, Some(stored.sha256.clone()), self.config.tokens)?;
                    Some((model.name.clone(), figures))
                });
                let report = ProvenanceReport {
                    schema: SCHEMA,
                    input: document.summary(),
                    verdict: decision.verdict,
                    authors: decision.authors,
                    alpha: policy.alpha,
                    hypotheses: decision.hypotheses,
                    models: figures.collect(),
                    warnings: [decision.warnings, std::mem::take(&mut long[i])].concat(),
                    timing: Timing { score_ms: elapsed[i] },
                };
                each(begin + i, report)?;
            }
            begin += round;
        }
        Ok(())
    }
}
