//! Models of one vocabulary, compared head by head: each is kept, with its hidden states of a round's texts, until the last
//! that it is compared with has scored them.

use super::lineup::Lineup;
use crate::model::LanguageModel;
use crate::scoring::{CrossScores, Hidden, TextScores, cross};
use crate::verdict::{Candidate, Policy, PromptKnowledge, Test, cross_betas};
use anyhow::Context;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Two models of one vocabulary, the one that scores first in front, and the pairs of inverse temperatures.
struct Pair {
    models: [String; 2],
    betas: Vec<(f64, f64)>,
}

/// A model that has scored a round's texts and is still needed.
struct Kept {
    model: Arc<LanguageModel>,
    /// One a text.
    hidden: Vec<Hidden>,
}

/// The comparisons of a run, and what they still need.
pub struct Crossing {
    pairs: Vec<Pair>,
    kept: Vec<Kept>,
}

impl Crossing {
    /// The comparisons that the cross-entropy test asks for. Vocabularies are read only where candidates could be tested.
    pub fn plan(lineup: &Lineup, candidates: &[Candidate], policy: &Policy) -> anyhow::Result<Self> {
        let names: Vec<&str> = lineup.models.iter().map(|model| model.name.as_str()).collect();
        let betas = |(i, j): (usize, usize)| cross_betas(candidates, [names[i], names[j]]);
        let mut places = Vec::new();
        if policy.prompt == PromptKnowledge::Known && policy.tests.contains(&Test::CrossEntropy) {
            let all = (0..names.len()).flat_map(|i| (i + 1..names.len()).map(move |j| (i, j)));
            places.extend(all.filter(|&pair| !betas(pair).is_empty()));
        }
        let pair = |(i, j): (usize, usize)| Pair {
            models: [names[i].to_owned(), names[j].to_owned()],
            betas: betas((i, j)),
        };
        let pairs = lineup.of_one_vocabulary(&places)?.into_iter().map(pair).collect();
        Ok(Self {
            pairs,
            kept: Vec::new(),
        })
    }

    /// Whether nothing is compared.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Whether this model's hidden states are wanted.
    pub fn keeps(&self, model: &LanguageModel) -> bool {
        self.pairs
            .iter()
            .any(|pair| pair.models.iter().any(|name| name == model.name()))
    }

    /// Compares a model that has just scored a round's texts with those before it. `hidden`, `scores` and `elapsed`, in
    /// milliseconds, are one a text.
    pub fn add(
        &mut self,
        model: &Arc<LanguageModel>,
        hidden: Vec<Hidden>,
        scores: &mut [BTreeMap<String, TextScores>],
        elapsed: &mut [f64],
    ) -> anyhow::Result<()> {
        for pair in self.pairs.iter().filter(|pair| pair.models[1] == model.name()) {
            let Some(first) = self.kept.iter().find(|kept| kept.model.name() == pair.models[0]) else {
                continue;
            };
            for (i, (one, other)) in first.hidden.iter().zip(&hidden).enumerate() {
                let start = Instant::now();
                let figures = cross([&first.model, model], [one, other], &pair.betas)
                    .with_context(|| format!("{} and {} could not be compared", pair.models[0], pair.models[1]))?
                    .unwrap_or_else(|| vec![Default::default(); pair.betas.len()]);
                for ([of_first, of_second], &(a, b)) in figures.into_iter().zip(&pair.betas) {
                    let directions = [(0, 1, (a, b), of_first), (1, 0, (b, a), of_second)];
                    for (author, other, betas, tokens) in directions {
                        if let Some(scores) = scores[i].get_mut(&pair.models[author]) {
                            let other = pair.models[other].clone();
                            scores.cross.push(CrossScores { other, betas, tokens });
                        }
                    }
                }
                elapsed[i] += start.elapsed().as_secs_f64() * 1e3;
            }
        }
        self.kept.push(Kept {
            model: Arc::clone(model),
            hidden,
        });
        let scored = |scores: &BTreeMap<String, TextScores>, name: &str| scores.contains_key(name);
        let pairs = &self.pairs;
        self.kept.retain(|kept| {
            let mut comes = pairs.iter().filter(|pair| pair.models[0] == kept.model.name());
            comes.any(|pair| scores.first().is_some_and(|scores| !scored(scores, &pair.models[1])))
        });
        Ok(())
    }
}
