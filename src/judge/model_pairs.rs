//! Comparisons of models with one vocabulary. Each model is kept, with its hidden states of a round's texts, until
//! the last model that it is compared with has scored them.

use super::error::JudgeError;
use super::model_pool::ModelPool;
use super::round::Job;
use crate::model::LanguageModel;
use crate::scoring::{Hidden, cross_entropy_pass};
use std::sync::Arc;
use std::time::Instant;
use whowrote_stats::token_stats::CrossScores;
use whowrote_stats::verdict::{Candidate, DecisionSettings, PromptKnowledge, Test};

/// Two models with one vocabulary, the one that scores first in front, and the pairs of inverse temperatures.
struct Pair {
    models: [String; 2],
    betas: Vec<(f64, f64)>,
}

/// A model that has scored a round's texts and is still needed.
struct Kept {
    model: Arc<LanguageModel>,
    /// One for each text.
    hidden: Vec<Hidden>,
}

/// The comparisons of a run, and what they still need.
pub struct ModelPairs {
    pairs: Vec<Pair>,
    kept: Vec<Kept>,
}

impl ModelPairs {
    /// The comparisons that the cross-entropy test needs. Vocabularies are read only if candidates could be tested.
    pub fn plan(pool: &ModelPool, candidates: &[Candidate], settings: &DecisionSettings) -> Result<Self, JudgeError> {
        let names: Vec<&str> = pool.models.iter().map(|model| model.name.as_str()).collect();
        let betas = |(i, j): (usize, usize)| cross_betas(candidates, [names[i], names[j]]);
        let mut places = Vec::new();
        if settings.prompt == PromptKnowledge::Known && settings.tests.contains(&Test::CrossEntropy) {
            let all = (0..names.len()).flat_map(|i| (i + 1..names.len()).map(move |j| (i, j)));
            places.extend(all.filter(|&pair| !betas(pair).is_empty()));
        }
        let pair = |(i, j): (usize, usize)| Pair {
            models: [names[i].to_owned(), names[j].to_owned()],
            betas: betas((i, j)),
        };
        let pairs = pool.of_one_vocabulary(&places)?.into_iter().map(pair).collect();
        Ok(Self {
            pairs,
            kept: Vec::new(),
        })
    }

    /// Whether nothing is compared.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether this model's hidden states are needed.
    pub fn keeps(&self, model: &LanguageModel) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.models.iter().any(|name| name == model.name()))
    }

    /// Compares a model that has just scored a round's jobs with the models before it. `hidden` has one entry for
    /// each job.
    pub fn add(&mut self, model: &Arc<LanguageModel>, hidden: Vec<Hidden>, jobs: &mut [Job]) -> Result<(), JudgeError> {
        for pair in self.pairs.iter().filter(|pair| pair.models[1] == model.name()) {
            let Some(first) = self.kept.iter().find(|kept| kept.model.name() == pair.models[0]) else {
                continue;
            };
            for ((one, other), job) in first.hidden.iter().zip(&hidden).zip(&mut *jobs) {
                let start = Instant::now();
                let failed = || format!("{} and {} could not be compared", pair.models[0], pair.models[1]);
                let figures = cross_entropy_pass([&first.model, model], [one, other], &pair.betas)
                    .map_err(JudgeError::model(failed()))?
                    .unwrap_or_else(|| vec![Default::default(); pair.betas.len()]);
                for ([of_first, of_second], &(a, b)) in figures.into_iter().zip(&pair.betas) {
                    let directions = [(0, 1, (a, b), of_first), (1, 0, (b, a), of_second)];
                    for (author, other, betas, tokens) in directions {
                        if let Some(scores) = job.scores.get_mut(&pair.models[author]) {
                            let other = pair.models[other].clone();
                            scores.cross.push(CrossScores { other, betas, tokens });
                        }
                    }
                }
                job.elapsed_ms += start.elapsed().as_secs_f64() * 1e3;
            }
        }
        self.kept.push(Kept {
            model: Arc::clone(model),
            hidden,
        });
        let pairs = &self.pairs;
        let scored = |name: &str| jobs.iter().any(|job| job.scores.contains_key(name));
        self.kept.retain(|kept| {
            let mut comes = pairs.iter().filter(|pair| pair.models[0] == kept.model.name());
            comes.any(|pair| !jobs.is_empty() && !scored(&pair.models[1]))
        });
        Ok(())
    }
}

/// The pairs of inverse temperatures at which the cross-entropy test compares two models. At least one is the inverse
/// temperature of a candidate that is assumed to sample without truncation. The other is a candidate's, or 1.
fn cross_betas(candidates: &[Candidate], models: [&str; 2]) -> Vec<(f64, f64)> {
    let betas = |model: &str| {
        let mut betas: Vec<(f64, bool)> = Vec::new();
        for candidate in candidates
            .iter()
            .filter(|candidate| candidate.model.as_deref() == Some(model))
        {
            let tested = candidate.untruncated_beta();
            let beta = tested.unwrap_or(1.0);
            match betas.iter_mut().find(|(known, _)| *known == beta) {
                Some((_, known)) => *known |= tested.is_some(),
                None => betas.push((beta, tested.is_some())),
            }
        }
        betas
    };
    let second = betas(models[1]);
    let pairs = betas(models[0])
        .into_iter()
        .flat_map(|(a, tested)| second.iter().map(move |&(b, other)| (a, b, tested || other)));
    pairs.filter(|(_, _, tested)| *tested).map(|(a, b, _)| (a, b)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::round::scoring_for;
    use super::*;
    use whowrote_stats::verdict::AuthorSet;

    #[test]
    fn models_are_compared_at_the_temperatures_of_the_candidates() {
        let candidates = |a: &str, b: &str| {
            let sampled = [("a", AuthorSet::A, a), ("b", AuthorSet::B, b)];
            let candidates = sampled.map(|(name, set, decoding)| Candidate {
                author: name.to_owned(),
                set,
                model: Some(name.to_owned()),
                decoding: decoding.parse().unwrap(),
            });
            candidates.to_vec()
        };
        let betas = |a: &str, b: &str| cross_betas(&candidates(a, b), ["a", "b"]);
        assert_eq!(betas("temperature=0.5", "temperature=0.8"), [(2.0, 1.25)]);
        assert_eq!(betas("temperature=0.5", "deployed"), [(2.0, 1.0)]);
        assert_eq!(betas("temperature=1,top-p=0.9", "temperature=0.5"), [(1.0, 2.0)]);
        assert_eq!(betas("deployed", "any"), []);
        let mut many = candidates("deployed", "deployed");
        many.extend(candidates("temperature=0.5", "temperature=1"));
        assert_eq!(cross_betas(&many, ["a", "b"]), [(1.0, 1.0), (2.0, 1.0)]);
        assert_eq!(scoring_for(&many).betas, [1.0, 2.0]);
    }
}
