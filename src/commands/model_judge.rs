//! The judge of `detect`: real models.

use super::crossing::Crossing;
use super::detect::Judge;
use super::lineup::{Lineup, add_model, authors, use_threads};
use super::{DetectConfig, PromptChoice};
use crate::calibration::{self, CalibratedModel, Calibration};
use crate::input::{Document, Source};
use crate::model::LanguageModel;
use crate::model::catalogue::{Catalogue, ModelEntry};
use crate::model::chat::{Prompt, prompt_ids, unknown_prompt_ids};
use crate::output::Detail;
use crate::scoring::{Scoring, TextScores, score_after, score_keeping};
use crate::stats::attribution::beginning;
use crate::verdict::{self, AuthorSet, Candidate, Policy, PromptKnowledge, ProvenanceReport, Reading, SCHEMA, Timing};
use anyhow::{Context, bail};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

/// Documents that every model scores before the next model takes its turn, so that a round costs one loading of each;
/// a round's figures are kept until its last model has scored.
const ROUND: usize = 256;
/// Bytes of text at which a round ends early: a token's figures take about two hundred times its text.
const ROUND_BYTES: usize = 1 << 20;

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
                let decoding = self.config.decoding.clone().or(author.decoding).unwrap_or_default();
                candidates.push(Candidate {
                    author: author.name,
                    set,
                    model: model.name.clone(),
                    decoding,
                });
                add_model(&mut models, model)?;
            }
        }
        if candidates.is_empty() {
            bail!("there is no author to consider; name one with --a or --b");
        }
        Ok((candidates, models))
    }
}

impl ModelJudge<'_> {
    /// The user's own calibrations, then those that are compiled in.
    fn calibrations(&self) -> anyhow::Result<Vec<Calibration>> {
        let own = self.config.calibrations.iter();
        let mut all = own
            .map(|path| Calibration::from_file(path))
            .collect::<Result<Vec<_>, _>>()?;
        all.extend(calibration::built_in());
        Ok(all)
    }

    /// The prompt that the user gave.
    fn prompt(&self) -> anyhow::Result<Option<GivenPrompt>> {
        let PromptChoice::Given { user, system } = &self.config.prompt else {
            return Ok(None);
        };
        let read = |path: &PathBuf| Document::read(&Source::File(path.clone())).map(|document| document.text);
        Ok(Some(GivenPrompt {
            system: system.as_ref().map(read).transpose()?,
            user: read(user)?,
        }))
    }
}

/// What came before the text.
struct GivenPrompt {
    system: Option<String>,
    user: String,
}

impl GivenPrompt {
    /// A model that holds conversations gets turns; any other continues the text.
    fn ids(&self, model: &LanguageModel) -> crate::model::Result<Vec<u32>> {
        let prompt = match (model.chat_template(), &self.system) {
            (Some(_), system) => Prompt::Chat {
                system: system.clone(),
                user: self.user.clone(),
            },
            (None, Some(system)) => Prompt::Text(format!("{system}\n\n{}", self.user)),
            (None, None) => Prompt::Text(self.user.clone()),
        };
        prompt_ids(model, &prompt)
    }
}

impl Judge for ModelJudge<'_> {
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        use_threads(self.config.threads);
        let (candidates, models) = self.candidates()?;
        let quiet = self.config.detail == Detail::Quiet;
        let lineup = Lineup::fetch(models, self.config.device, self.config.offline, quiet)?;
        let prompt = self.prompt()?;
        let scoring = verdict::scoring(&candidates);
        let policy = Policy {
            alpha: self.config.alpha,
            alpha_human: self.config.alpha_human,
            tests: self.config.tests.clone(),
            prompt: match self.config.prompt {
                PromptChoice::Unknown => PromptKnowledge::Unknown,
                PromptChoice::None | PromptChoice::Given { .. } => PromptKnowledge::Known,
            },
            calibrations: self.calibrations()?,
        };
        let mut crossing = Crossing::plan(&lineup, &candidates, &policy)?;
        // Hidden states take thirty times a token's figures.
        let round_bytes = if crossing.is_empty() {
            ROUND_BYTES
        } else {
            ROUND_BYTES / 16
        };
        let mut begin = 0;
        while begin < documents.len() {
            let mut bytes = 0;
            let round = documents[begin..]
                .iter()
                .take(ROUND)
                .take_while(|document| {
                    bytes += document.text.len();
                    bytes <= round_bytes
                })
                .count()
                .max(1);
            let texts = &documents[begin..begin + round];
            let mut scores: Vec<BTreeMap<String, TextScores>> = vec![BTreeMap::new(); round];
            // The texts as the calibrations' were read, where that is another reading.
            let mut unprompted = scores.clone();
            let mut elapsed = vec![0.0; round];
            let mut long = vec![Vec::new(); round];
            let identities = lineup.in_turn(|model| {
                let context = match (&prompt, policy.prompt) {
                    (Some(prompt), _) => prompt
                        .ids(model)
                        .with_context(|| format!("the prompt could not be given to {}", model.name()))?,
                    (None, PromptKnowledge::Known) => model.tokenizer().context().to_vec(),
                    (None, PromptKnowledge::Unknown) => unknown_prompt_ids(model)?,
                };
                let keeps = crossing.keeps(model);
                let mut hidden = Vec::new();
                for (i, document) in texts.iter().enumerate() {
                    let start = Instant::now();
                    let figures = match keeps {
                        false => score_after(model, &context, &document.text, &scoring),
                        true => score_keeping(model, &context, &document.text, &scoring).map(|(figures, states)| {
                            hidden.push(states);
                            figures
                        }),
                    };
                    let figures = figures
                        .with_context(|| format!("{} could not be scored with {}", document.name, model.name()))?;
                    let (tokens, room) = (figures.ids.len(), scoring.room(model, &context));
                    if tokens > room {
                        long[i].push(verdict::long_text_warning(model.name(), tokens, room));
                    }
                    scores[i].insert(model.name().to_owned(), figures);
                    if policy.prompt == PromptKnowledge::Known {
                        let text = beginning(&document.text);
                        let figures = score_after(model, &unknown_prompt_ids(model)?, text, &Scoring::at(vec![1.0]));
                        let figures = figures
                            .with_context(|| format!("{} could not be scored with {}", document.name, model.name()))?;
                        unprompted[i].insert(model.name().to_owned(), figures);
                    }
                    elapsed[i] += start.elapsed().as_secs_f64() * 1e3;
                }
                if keeps {
                    crossing.add(model, hidden, &mut scores, &mut elapsed)?;
                }
                Ok(())
            })?;
            for (i, (document, scores)) in texts.iter().zip(&scores).enumerate() {
                let unprompted = Reading {
                    models: &identities,
                    scores: match policy.prompt {
                        PromptKnowledge::Unknown => scores,
                        PromptKnowledge::Known => &unprompted[i],
                    },
                };
                let decision = verdict::decide(&document.text, &candidates, scores, unprompted, &policy);
                // The figures are those of the reading with the prompt.
                let as_scored = identities.iter().cloned().map(|model| match policy.prompt {
                    PromptKnowledge::Unknown => model,
                    PromptKnowledge::Known => CalibratedModel { request: None, ..model },
                });
                let figures = as_scored.filter_map(|model| {
                    let name = model.name.clone();
                    let figures = verdict::figures(scores.get(&name)?, model, self.config.tokens)?;
                    Some((name, figures))
                });
                let report = ProvenanceReport {
                    schema: SCHEMA,
                    input: document.summary(),
                    verdict: decision.verdict,
                    authors: decision.authors,
                    alpha: policy.alpha,
                    alpha_human: policy.alpha_human,
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
