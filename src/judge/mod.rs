//! The judge makes reports on texts.
//!
//! A [`Judge`] loads the models of its [`JudgeSettings`] when it first has a text to judge. `detect`, `batch` and
//! `gate` all judge through it.

mod authors;
mod calibrations;
mod error;
mod model_pairs;
mod model_pool;
mod pieces;
mod prompt;
mod reading;
mod round;
mod settings;
mod variants;

pub use authors::{add_model, authors, considered, continue_texts, resolve};
pub use error::JudgeError;
pub use model_pool::{ModelPool, use_threads};
pub use reading::{Read, read};
pub use round::scoring_for;
pub use settings::{AuthorChoice, JudgeSettings, PromptChoice};

use crate::model::catalogue::ModelEntry;
use crate::model::store::{FetchProgress, NoProgress};
use crate::report::ProvenanceReport;
use authors::Considered;
use calibrations::{calibrations, unused};
use model_pairs::ModelPairs;
use pieces::Reading;
use prompt::GivenPrompt;
use round::{Job, Readers};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use variants::Variants;
use whowrote_input::{Document, lower_hex};
use whowrote_stats::calibration::{Calibration, Calibrations, Place};
use whowrote_stats::verdict::{Candidate, DecisionSettings, PromptKnowledge};

/// The largest number of documents in a round: each model scores all of them before the next model takes its turn. The
/// figures of a round are kept until its last model has scored.
const ROUND: usize = 256;
/// The bytes of text at which a round ends early. A token's figures take about two hundred times its text.
const ROUND_BYTES: usize = 1 << 20;
/// The same if the models stay loaded: about one pass, because a longer round would gain nothing.
const STAYING_BYTES: usize = 4 << 10;
/// A longer text is read in rounds of so many bytes, a minute or two each: it shows progress and needs no more memory.
const LONG_BYTES: usize = 64 << 10;

/// Is told how many pieces have been read, and how many there are.
type PiecesRead = Box<dyn Fn(usize, usize)>;

/// Judges documents with the models of its settings.
pub struct Judge {
    settings: JudgeSettings,
    candidates: Vec<Candidate>,
    models: Vec<ModelEntry>,
    decision: DecisionSettings,
    /// The prompt that the user gave; the readers take it.
    prompt: Option<GivenPrompt>,
    /// The user's own calibrations, each with the name of its file.
    own: Vec<(String, Calibration)>,
    progress: Arc<dyn FetchProgress>,
    /// The memory budget if models stay loaded between calls. The inner none stands for what is free.
    staying: Option<Option<u64>>,
    /// Once it is set, no further round begins.
    stop: Option<Arc<AtomicBool>>,
    /// Is told how many of the pieces of a round have been read, and how many there are.
    watch: Option<PiecesRead>,
    /// None before the models are fetched.
    readers: Option<Readers>,
    /// The bytes of text at which a round ends early.
    round_bytes: usize,
}

impl Judge {
    /// A judge with these settings. Reads the catalogue and the user's files. Models are fetched and loaded later,
    /// when there is a text.
    ///
    /// # Errors
    /// If a file cannot be read, or an author or genre is not known.
    pub fn new(settings: JudgeSettings) -> Result<Self, JudgeError> {
        use_threads(settings.threads)?;
        let Considered {
            candidates,
            models,
            own,
        } = Considered::new(&settings)?;
        let prompt = GivenPrompt::read(&settings.prompt)?;
        let decision = DecisionSettings {
            alpha: settings.alpha,
            alpha_human: settings.alpha_human,
            alpha_together: settings.alpha_together,
            tests: settings.tests.clone(),
            prompt: match settings.prompt {
                PromptChoice::Unknown => PromptKnowledge::Unknown,
                PromptChoice::None | PromptChoice::Given { .. } => PromptKnowledge::Known,
            },
            calibrations: Calibrations::with_confidence(calibrations(&settings, &own)?, settings.confidence),
        };
        Ok(Self {
            settings,
            candidates,
            models,
            decision,
            prompt,
            own,
            progress: Arc::new(NoProgress),
            staying: None,
            stop: None,
            watch: None,
            readers: None,
            round_bytes: ROUND_BYTES,
        })
    }

    /// Shows the progress of downloads. Without it they are silent.
    pub fn with_progress(mut self, progress: Arc<dyn FetchProgress>) -> Self {
        self.progress = progress;
        self
    }

    /// Sets the memory budget, in bytes; none for what is free. Models stay loaded between calls if all of them fit.
    pub fn keep_models(mut self, memory: Option<u64>) -> Self {
        self.staying = Some(memory);
        self
    }

    /// Once `stop` is set, no further round begins, and the remaining texts get no report.
    pub fn stop_when(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Tells `watch`, while a long text is read, how many of its pieces have been read, and how many there are.
    pub fn watched_by(mut self, watch: impl Fn(usize, usize) + 'static) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// The calibrations that verdicts may rest on.
    pub fn calibrations(&self) -> &[Calibration] {
        &self.decision.calibrations
    }

    /// Judges texts. The reports have the order of the texts.
    ///
    /// # Errors
    /// If a model cannot be fetched, loaded or run. A text that cannot be judged is not an error: its report says so.
    pub fn judge(&mut self, texts: &[Document]) -> Result<Vec<ProvenanceReport>, JudgeError> {
        let mut reports = Vec::with_capacity(texts.len());
        self.judge_each(texts, |_, report| -> Result<(), JudgeError> {
            reports.push(report);
            Ok(())
        })?;
        Ok(reports)
    }

    /// Judges texts, and hands each report to `each` as soon as it is known, with the index of its text. The reports
    /// have the order of the texts.
    ///
    /// # Errors
    /// As [`Self::judge`], and the first error of `each`.
    pub fn judge_each<E: From<JudgeError>>(
        &mut self,
        texts: &[Document],
        mut each: impl FnMut(usize, ProvenanceReport) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut begin = 0;
        while begin < texts.len() && !self.is_stopped() {
            self.fetch()?;
            let mut bytes = 0;
            let fits = |text: &&Document| {
                bytes += self.part_read(&text.text).len();
                bytes <= self.round_bytes
            };
            let round = texts[begin..].iter().take(ROUND).take_while(fits).count().max(1);
            let reports = self.judge_round(&texts[begin..begin + round])?;
            for (i, report) in reports.into_iter().enumerate() {
                each(begin + i, report)?;
            }
            begin += round;
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Everything that verdicts depend on except the texts, as an object. Fetches the models.
    ///
    /// # Errors
    /// If a model cannot be fetched.
    pub fn fingerprint(&mut self) -> Result<Value, JudgeError> {
        let digest = |text: &str| lower_hex(&Sha256::digest(text));
        let authors = self.candidates.iter().map(|candidate| {
            let Candidate {
                author,
                set,
                model,
                decoding,
            } = candidate;
            serde_json::json!({"author": author, "set": set, "model": model, "decoding": decoding.to_string()})
        });
        let calibrations = self.own.iter().map(|(_, own)| digest(&own.to_json()));
        let mut fingerprint = serde_json::json!({
            "whowrote": env!("CARGO_PKG_VERSION"),
            "alpha": self.decision.alpha,
            "alpha_human": self.decision.alpha_human,
            "confidence": self.settings.confidence,
            "authors": authors.collect::<Vec<_>>(),
            "tests": self.decision.tests,
            "genre": self.settings.genre,
            "first": self.settings.first,
            "calibrations": calibrations.collect::<Vec<_>>(),
        });
        let readers = self.fetch()?;
        let models = readers.pool.models.iter().zip(&readers.pool.stored);
        let models = models.map(|(model, stored)| {
            let is = serde_json::json!({"sha256": stored.sha256, "chat": model.chat});
            (model.name.clone(), is)
        });
        fingerprint["models"] = models.collect::<serde_json::Map<_, _>>().into();
        fingerprint["device"] = format!("{:?}", readers.pool.device.location()).into();
        fingerprint["prompt"] = match (&readers.prompt, readers.knowledge) {
            (Some(GivenPrompt { system, user }), _) => serde_json::json!({
                "system": system.as_deref().map(digest),
                "user": digest(user),
            }),
            (None, PromptKnowledge::Known) => "none".into(),
            (None, PromptKnowledge::Unknown) => "unknown".into(),
        };
        Ok(fingerprint)
    }

    /// The models. They are fetched when they are first needed.
    fn fetch(&mut self) -> Result<&mut Readers, JudgeError> {
        let readers = match self.readers.take() {
            Some(readers) => readers,
            None => self.fetched()?,
        };
        Ok(self.readers.insert(readers))
    }

    fn fetched(&mut self) -> Result<Readers, JudgeError> {
        let (device, offline) = (self.settings.device, self.settings.offline);
        let mut pool = ModelPool::fetch(self.models.clone(), device, offline, Arc::clone(&self.progress))?;
        let pairs = ModelPairs::plan(&pool, &self.candidates, &self.decision)?;
        self.round_bytes = match self.staying {
            Some(memory) if pool.stay(memory) => STAYING_BYTES,
            // Hidden states take thirty times a token's figures.
            _ if !pairs.is_empty() => ROUND_BYTES / 16,
            _ => ROUND_BYTES,
        };
        Ok(Readers {
            pool,
            pairs,
            scoring: scoring_for(&self.candidates),
            prompt: self.prompt.take(),
            knowledge: self.decision.prompt,
            whole: self.decision.prompt == PromptKnowledge::Known || self.settings.tokens,
            prefixes: BTreeMap::new(),
        })
    }

    /// Reports on documents, in their order. Each is judged without its disguises and with its own spelling. If
    /// disguises or misspelt words may be meant to mislead, the report also has the verdict on that variant.
    fn judge_round(&mut self, documents: &[Document]) -> Result<Vec<ProvenanceReport>, JudgeError> {
        let variants = documents
            .iter()
            .map(|text| Variants::of(text, |text| self.part_read(text)));
        let variants: Vec<Variants> = variants.collect();
        let all: Vec<&Document> = variants.iter().flat_map(Variants::documents).collect();
        let mut reports = self.judge_as_they_are(&all)?.into_iter();
        Ok(variants
            .iter()
            .filter_map(|variants| variants.report(&mut reports))
            .collect())
    }

    /// Scores the documents with every model, and reports on them in their order. If the judge is stopped, the last
    /// documents have no report.
    fn judge_as_they_are(&mut self, documents: &[&Document]) -> Result<Vec<ProvenanceReport>, JudgeError> {
        let whole = self.fetch()?.whole;
        let cuts: Vec<Vec<Range<usize>>> = documents.iter().map(|document| self.cut(&document.text)).collect();
        let pieces = documents.iter().zip(&cuts).flat_map(|(document, cuts)| {
            let piece = |(number, cut): (usize, &Range<usize>)| {
                // If the prompt is known, a text is read after it, whatever it continues.
                let is_later = number > 0 || (document.continues && !whole);
                // In a run, most short texts are passages of longer ones. And so many texts are put to the test that no
                // calibration has as many texts that end early as it would need.
                let is_whole = self.decision.alpha_together.is_none()
                    && document.text[cut.clone()].trim().len() == document.text.trim().len();
                let place = match (is_later, is_whole) {
                    (true, _) => Place::Later,
                    (false, true) => Place::Whole,
                    (false, false) => Place::Beginning,
                };
                Job::new(&document.text, &document.text[cut.clone()], place, cuts.len())
            };
            cuts.iter().enumerate().map(piece)
        });
        let mut pieces: VecDeque<Job> = pieces.collect();
        let all = pieces.len();
        let is_long = documents
            .iter()
            .any(|document| self.part_read(&document.text).len() > LONG_BYTES);
        let round_bytes = if is_long {
            self.round_bytes.min(LONG_BYTES)
        } else {
            self.round_bytes
        };
        let (mut readings, mut identities) = (Vec::with_capacity(all), Vec::new());
        // Documents that were begun before a stop have no report, but a round was begun for one at least.
        while !pieces.is_empty() && (readings.is_empty() || !self.is_stopped()) {
            if let Some(watch) = self.watch.as_ref().filter(|_| all > documents.len()) {
                watch(readings.len(), all);
            }
            let mut bytes = 0;
            let fits = |job: &&Job| {
                bytes += if whole && !job.is_later() {
                    job.text.len()
                } else {
                    job.piece.len()
                };
                bytes <= round_bytes
            };
            let round = pieces.iter().take_while(fits).count().max(1);
            let mut jobs: Vec<Job> = pieces.drain(..round).collect();
            identities = self.fetch()?.read(&mut jobs)?;
            readings.extend(jobs.into_iter().map(|job| self.reading(job, &identities, whole)));
        }
        let unused = unused(&self.own, &self.candidates, &identities, self.decision.prompt);
        let mut readings = readings.into_iter();
        let reports = documents.iter().zip(cuts).map_while(|(document, cuts)| {
            let of_document: Vec<Reading> = readings.by_ref().take(cuts.len()).collect();
            (of_document.len() == cuts.len()).then(|| {
                let mut report = self.report(document, &cuts, of_document);
                report.warnings.extend_from_slice(&unused);
                report
            })
        });
        Ok(reports.collect())
    }
}
