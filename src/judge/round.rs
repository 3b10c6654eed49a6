//! A round of texts. Each model reads all of them before the next model takes its turn, so each model is loaded once
//! in a round.

use super::error::JudgeError;
use super::model_pairs::ModelPairs;
use super::model_pool::ModelPool;
use super::prompt::GivenPrompt;
use super::reading::{Read, read};
use crate::model::LanguageModel;
use crate::model::chat::unknown_prompt_ids;
use crate::report::Warning;
use crate::scoring::{Hidden, Prefix, Scoring};
use std::collections::BTreeMap;
use whowrote_stats::calibration::{CalibratedModel, Place};
use whowrote_stats::conformal_scores::beginning;
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::token_stats::{TEMPERATURE_GRID, TextScores};
use whowrote_stats::truncated_likelihood::members;
use whowrote_stats::verdict::{Candidate, PromptKnowledge};

/// One text of a round, or a piece of one, with its scores so far.
pub(super) struct Job<'a> {
    /// The text.
    pub(super) text: &'a str,
    /// The piece of it that is read without the prompt.
    pub(super) piece: &'a str,
    /// Where the piece stands in the text. A later piece is only read without the prompt.
    pub(super) place: Place,
    /// The number of pieces of the text.
    pub(super) pieces: usize,
    /// Each model's scores of the part that is read, after the prompt if it is known.
    pub(super) scores: BTreeMap<String, TextScores>,
    /// Each model's scores of its beginning without the prompt, if that needs another reading.
    unprompted: BTreeMap<String, TextScores>,
    /// Warnings for the models whose context the text exceeds.
    pub(super) long: Vec<Warning>,
    /// Why a model's tokeniser refused the text. Later models do not read it.
    pub(super) refused: Option<String>,
    /// The scoring time of all models, milliseconds.
    pub(super) elapsed_ms: f64,
}

impl<'a> Job<'a> {
    pub(super) fn new(text: &'a str, piece: &'a str, place: Place, pieces: usize) -> Self {
        Self {
            text,
            piece,
            place,
            pieces,
            scores: BTreeMap::new(),
            unprompted: BTreeMap::new(),
            long: Vec::new(),
            refused: None,
            elapsed_ms: 0.0,
        }
    }

    /// Whether the piece continues another one.
    pub(super) fn is_later(&self) -> bool {
        self.place == Place::Later
    }

    /// Takes the scores of a reading; none if the tokeniser refused the text.
    fn take(&mut self, read: Read) -> Option<(TextScores, Hidden)> {
        self.elapsed_ms += read.elapsed_ms;
        match read.scores {
            Ok(scores) => Some((scores, read.hidden)),
            Err(refusal) => {
                self.refused = Some(refusal);
                None
            }
        }
    }

    /// The scores that the figures of the report come from.
    pub(super) fn reported(&self) -> &BTreeMap<String, TextScores> {
        if self.scores.is_empty() {
            &self.unprompted
        } else {
            &self.scores
        }
    }

    /// The scores that calibrations are compared with.
    pub(super) fn unprompted(&self, reads_whole_texts: bool) -> &BTreeMap<String, TextScores> {
        if reads_whole_texts {
            &self.unprompted
        } else {
            &self.scores
        }
    }
}

/// The models that read texts, and how they read them.
pub(super) struct Readers {
    pub(super) pool: ModelPool,
    pub(super) pairs: ModelPairs,
    pub(super) scoring: Scoring,
    pub(super) prompt: Option<GivenPrompt>,
    pub(super) knowledge: PromptKnowledge,
    /// Whether texts are also read in one go, from beginning to end: if the figures of all tokens were requested, or if
    /// the prompt is known.
    pub(super) whole: bool,
    /// For each model, the tokens before a text, and before a piece that is read without a prompt.
    pub(super) prefixes: BTreeMap<String, [Prefix; 2]>,
}

impl Readers {
    /// Has every model read all jobs; returns the models as calibrations know them.
    pub(super) fn read<'a>(&mut self, jobs: &mut [Job<'a>]) -> Result<Vec<CalibratedModel>, JudgeError> {
        let Self {
            whole,
            pool,
            pairs,
            scoring,
            prompt,
            knowledge,
            prefixes,
            ..
        } = self;
        let unprompted_scoring = match knowledge {
            PromptKnowledge::Unknown => scoring.clone(),
            PromptKnowledge::Known => Scoring::at(vec![1.0]),
        };
        pool.in_turn(|model, identity| {
            let name = model.name();
            if !prefixes.contains_key(name) {
                prefixes.insert(name.to_owned(), prefixes_of(model, prompt.as_ref(), *knowledge)?);
            }
            let [prefix, unknown] = &prefixes[name];
            let keeps = pairs.keeps(model) && jobs.iter().any(|job| !job.is_later());
            let mut hidden: Vec<_> = jobs.iter().map(|_| Default::default()).collect();
            let part = |job: &Job<'a>| match (*whole, job.is_later()) {
                (true, true) => None,
                (true, false) => Some(job.text),
                (false, _) => Some(beginning(job.piece)),
            };
            // The probe reads what is read without a prompt.
            let unprompted_scoring = unprompted_scoring.clone().with_probe_of(identity);
            let scoring = if *whole { &*scoring } else { &unprompted_scoring };
            for (place, read) in read_unrefused(model, prefix, jobs, part, scoring, keeps)? {
                let job = &mut jobs[place];
                let Some((scores, states)) = job.take(read) else {
                    continue;
                };
                hidden[place] = states;
                let (tokens, room) = (scores.ids.len(), scoring.room(model, prefix.ids()));
                if tokens > room {
                    let model = name.to_owned();
                    job.long.push(Warning::LongText { model, tokens, room });
                }
                job.scores.insert(name.to_owned(), scores);
            }
            if *whole {
                let part = |job: &Job<'a>| Some(beginning(job.piece));
                for (place, read) in read_unrefused(model, unknown, jobs, part, &unprompted_scoring, false)? {
                    let job = &mut jobs[place];
                    if let Some((scores, _)) = job.take(read) {
                        job.unprompted.insert(name.to_owned(), scores);
                    }
                }
            }
            if keeps {
                pairs.add(model, hidden, jobs)?;
            }
            Ok(())
        })
    }
}

/// Reads the jobs that no model has refused: of each the part that `part` returns, if any. Each reading has the place of
/// its job.
fn read_unrefused<'a>(
    model: &LanguageModel,
    prefix: &Prefix,
    jobs: &[Job<'a>],
    part: impl Fn(&Job<'a>) -> Option<&'a str>,
    scoring: &Scoring,
    keep_hidden: bool,
) -> Result<Vec<(usize, Read)>, JudgeError> {
    let unrefused = jobs.iter().enumerate().filter(|(_, job)| job.refused.is_none());
    let parts = unrefused.filter_map(|(place, job)| Some((place, part(job)?)));
    let (places, texts): (Vec<usize>, Vec<&str>) = parts.unzip();
    let reads = read(model, prefix, &texts, scoring, keep_hidden)?;
    Ok(places.into_iter().zip(reads).collect())
}

/// The tokens before a text, and before a piece that is read without a prompt.
fn prefixes_of(
    model: &LanguageModel,
    prompt: Option<&GivenPrompt>,
    knowledge: PromptKnowledge,
) -> Result<[Prefix; 2], JudgeError> {
    let failed = || JudgeError::model(format!("the prompt could not be given to {}", model.name()));
    let unknown = unknown_prompt_ids(model).map_err(failed())?;
    let ids = match (prompt, knowledge) {
        (Some(prompt), _) => prompt.ids(model).map_err(failed())?,
        (None, PromptKnowledge::Known) => model.tokenizer().context().to_vec(),
        (None, PromptKnowledge::Unknown) => unknown.clone(),
    };
    Ok([Prefix::new(ids), Prefix::new(unknown)])
}

/// How a model must score texts for these candidates. The inverse temperatures are 1, for the reported figures; those
/// that the grid does not have; and those of entropy gaps that are tested. The repetition penalties are those of the
/// candidates.
pub fn scoring_for(candidates: &[Candidate]) -> Scoring {
    let mut betas = vec![1.0];
    let mut penalised = Vec::new();
    for candidate in candidates {
        let stated = match &candidate.decoding {
            SamplingFamily::Stated(..) => members(&candidate.decoding),
            _ => Vec::new(),
        };
        let of_stated = stated.iter().map(|decoding| decoding.beta());
        for beta in of_stated
            .filter(|beta| !TEMPERATURE_GRID.contains(beta))
            .chain(candidate.untruncated_beta())
        {
            if !betas.contains(&beta) {
                betas.push(beta);
            }
        }
        penalised.extend(stated);
    }
    Scoring::at(betas).with_penalties_of(&penalised)
}
