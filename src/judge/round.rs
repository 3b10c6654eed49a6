//! A round of texts: every model reads all of them before the next model takes its turn, so that a round costs one loading
//! of each.

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
use whowrote_stats::calibration::CalibratedModel;
use whowrote_stats::conformal_scores::beginning;
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::token_stats::{TEMPERATURE_GRID, TextScores};
use whowrote_stats::truncated_likelihood::members;
use whowrote_stats::verdict::{Candidate, PromptKnowledge};

/// One text of a round, and what the models have said of it so far.
pub(super) struct Job<'a> {
    /// The text.
    text: &'a str,
    /// Each model's scores of what is read of it, after the prompt as far as it is known.
    pub(super) scores: BTreeMap<String, TextScores>,
    /// Each model's scores of its beginning without the prompt, if the round reads it once more for that.
    unprompted: BTreeMap<String, TextScores>,
    /// Models whose context the text overflows.
    pub(super) long: Vec<Warning>,
    /// Why a model's tokeniser refused the text; no model after it reads the text.
    pub(super) refused: Option<String>,
    /// The time that all models took for it, milliseconds.
    pub(super) elapsed_ms: f64,
}

impl<'a> Job<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            scores: BTreeMap::new(),
            unprompted: BTreeMap::new(),
            long: Vec::new(),
            refused: None,
            elapsed_ms: 0.0,
        }
    }

    /// Takes in what a model said; none if its tokeniser refused the text.
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

    /// The scores that calibrations are compared with.
    pub(super) fn unprompted(&self, reads_whole_texts: bool) -> &BTreeMap<String, TextScores> {
        if reads_whole_texts {
            &self.unprompted
        } else {
            &self.scores
        }
    }
}

/// The models that read texts, and how they do.
pub(super) struct Readers {
    pub(super) pool: ModelPool,
    pub(super) pairs: ModelPairs,
    pub(super) scoring: Scoring,
    pub(super) prompt: Option<GivenPrompt>,
    pub(super) knowledge: PromptKnowledge,
    /// Whether texts are read to their end. Calibrations are about beginnings, so the rest of a text is scored only if its
    /// figures were asked for, or its prompt is known.
    pub(super) whole: bool,
    /// What each model sees before a text, and before a beginning that is read without a prompt.
    pub(super) prefixes: BTreeMap<String, [Prefix; 2]>,
}

impl Readers {
    /// What is read of a text: its beginning, or all of it.
    pub(super) fn part_read(&self) -> fn(&str) -> &str {
        if self.whole { |text| text } else { beginning }
    }

    /// Has every model read all jobs; returns the models as calibrations know them.
    pub(super) fn read(&mut self, jobs: &mut [Job]) -> Result<Vec<CalibratedModel>, JudgeError> {
        let (whole, part) = (self.whole, self.part_read());
        let Self {
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
        pool.in_turn(|model| {
            let name = model.name();
            if !prefixes.contains_key(name) {
                prefixes.insert(name.to_owned(), prefixes_of(model, prompt.as_ref(), *knowledge)?);
            }
            let [prefix, unknown] = &prefixes[name];
            let keeps = pairs.keeps(model);
            let mut hidden: Vec<_> = jobs.iter().map(|_| Default::default()).collect();
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
            if whole {
                for (place, read) in read_unrefused(model, unknown, jobs, beginning, &unprompted_scoring, false)? {
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

/// What a model says of the jobs that no model has refused, each with its place.
fn read_unrefused(
    model: &LanguageModel,
    prefix: &Prefix,
    jobs: &[Job],
    part: fn(&str) -> &str,
    scoring: &Scoring,
    keep_hidden: bool,
) -> Result<Vec<(usize, Read)>, JudgeError> {
    let unrefused = jobs.iter().enumerate().filter(|(_, job)| job.refused.is_none());
    let (places, texts): (Vec<usize>, Vec<&str>) = unrefused.map(|(place, job)| (place, part(job.text))).unzip();
    let reads = read(model, prefix, &texts, scoring, keep_hidden)?;
    Ok(places.into_iter().zip(reads).collect())
}

/// What a model sees before a text, and before a beginning that is read without a prompt.
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

/// How a model must score texts for these candidates: at an inverse temperature of 1, at which its figures are reported;
/// at those of the candidates that the grid does not have, or whose entropy gap is tested; and under their repetition
/// penalties.
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
