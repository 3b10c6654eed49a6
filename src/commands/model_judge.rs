//! The judge of `detect`: real models.

use super::crossing::Crossing;
use super::detect::Judge;
use super::lineup::{Lineup, add_model, authors, use_threads};
use super::{DetectConfig, PromptChoice};
use crate::calibration::{self, CalibratedModel, Calibration, HUMAN};
use crate::input::{Document, Source, printable};
use crate::model::catalogue::{Catalogue, ModelEntry};
use crate::model::chat::{Prompt, prompt_ids, unknown_prompt_ids};
use crate::model::{Family, LanguageModel};
use crate::output::Detail;
use crate::scoring::{Scoring, TextScores, score_after, score_keeping};
use crate::stats::attribution::beginning;
use crate::verdict::{
    self, AuthorSet, Candidate, Policy, PromptKnowledge, ProvenanceReport, Reading, SCHEMA, Timing, Warning,
    WarningCode,
};
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
    /// The user's own calibrations, each with the name of its file.
    fn own_calibrations(&self) -> anyhow::Result<Vec<(String, Calibration)>> {
        let files = self.config.calibrations.iter();
        let read = |path: &PathBuf| Ok((printable(&path.to_string_lossy()), Calibration::from_file(path)?));
        files.map(read).collect()
    }

    /// These calibrations, then those that are compiled in; of people's texts only the genre that the user knows.
    fn calibrations(&self, own: &[(String, Calibration)]) -> anyhow::Result<Vec<Calibration>> {
        let mut all: Vec<Calibration> = own.iter().map(|(_, calibration)| calibration.clone()).collect();
        all.extend(calibration::built_in());
        let Some(genre) = &self.config.genre else {
            return Ok(all);
        };
        let (people, mut known): (Vec<_>, Vec<_>) = all.into_iter().partition(|known| known.author == HUMAN);
        let of_genre: Vec<Calibration> = people.iter().filter_map(|people| people.only(genre)).collect();
        if of_genre.is_empty() {
            let groups = people.iter().flat_map(|people| &people.groups);
            let names: Vec<String> = groups.map(|group| format!("\"{}\"", printable(&group.name))).collect();
            bail!(
                "no people's texts of the genre \"{}\" are known; take one of {}, or leave out --genre",
                printable(genre),
                names.join(", ")
            );
        }
        known.extend(of_genre);
        Ok(known)
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

/// What the user must know of calibrations of their own that no author is held against: a mistake that would otherwise look like
/// an author that is not calibrated, or like the built-in calibration.
fn passed_over(
    own: &[(String, Calibration)],
    candidates: &[Candidate],
    models: &[CalibratedModel],
    prompt: PromptKnowledge,
) -> Vec<Warning> {
    let why = |calibration: &Calibration| {
        let author = calibration.author.as_str();
        let of_author: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| [candidate.author.as_str(), candidate.model.as_str()].contains(&author))
            .collect();
        let shared: Vec<&str> = calibration
            .shared(models)
            .iter()
            .map(|(i, _)| models[*i].name.as_str())
            .collect();
        let (families, has_model): (Vec<String>, bool) = match author {
            HUMAN => (vec![Family::Deployed.to_string()], !shared.is_empty()),
            // Theorems speak of models whose prompt is known.
            _ if prompt == PromptKnowledge::Known => return None,
            _ if of_author.is_empty() => return Some(format!("{} is not considered here", printable(author))),
            _ => (
                of_author
                    .iter()
                    .map(|candidate| candidate.decoding.to_string())
                    .collect(),
                of_author
                    .iter()
                    .any(|candidate| shared.contains(&candidate.model.as_str())),
            ),
        };
        if !families.contains(&calibration.family) {
            return Some(format!(
                "it was made for `{}`, and {} is judged as `{}`",
                printable(&calibration.family),
                printable(author),
                families.join("`, `")
            ));
        }
        (!has_model).then(|| {
            "the models that scored its texts are not those that are loaded, or were asked something else".to_owned()
        })
    };
    let warning = |(file, calibration): &(String, Calibration)| {
        Some(Warning {
            code: WarningCode::Uncalibrated,
            message: format!(
                "The calibration `{file}` has no part in this verdict: {}.",
                why(calibration)?
            ),
        })
    };
    own.iter().filter_map(warning).collect()
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
        use_threads(self.config.threads)?;
        let (candidates, models) = self.candidates()?;
        // What the user gave is read before models are fetched for it.
        let prompt = self.prompt()?;
        let own = self.own_calibrations()?;
        let calibrations = self.calibrations(&own)?;
        let quiet = self.config.detail == Detail::Quiet;
        let lineup = Lineup::fetch(models, self.config.device, self.config.offline, quiet)?;
        let scoring = verdict::scoring(&candidates);
        let policy = Policy {
            alpha: self.config.alpha,
            alpha_human: self.config.alpha_human,
            tests: self.config.tests.clone(),
            prompt: match self.config.prompt {
                PromptChoice::Unknown => PromptKnowledge::Unknown,
                PromptChoice::None | PromptChoice::Given { .. } => PromptKnowledge::Known,
            },
            calibrations,
        };
        // Calibrations speak of beginnings, so that the rest of a text is scored only for those who want its figures.
        let whole = policy.prompt == PromptKnowledge::Known || self.config.tokens;
        let beginnings = match policy.prompt {
            PromptKnowledge::Unknown => scoring.clone(),
            PromptKnowledge::Known => Scoring::at(vec![1.0]),
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
            // Their beginnings as those of the calibrations were read, where that is another reading.
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
                    let failed = || format!("{} could not be scored with {}", document.name, model.name());
                    let text = if whole {
                        &document.text
                    } else {
                        beginning(&document.text)
                    };
                    let figures = match keeps {
                        false => score_after(model, &context, text, &scoring),
                        true => score_keeping(model, &context, text, &scoring).map(|(figures, states)| {
                            hidden.push(states);
                            figures
                        }),
                    };
                    let figures = figures.with_context(failed)?;
                    let (tokens, room) = (figures.ids.len(), scoring.room(model, &context));
                    if tokens > room {
                        long[i].push(verdict::long_text_warning(model.name(), tokens, room));
                    }
                    if whole {
                        let text = beginning(&document.text);
                        let figures = score_after(model, &unknown_prompt_ids(model)?, text, &beginnings);
                        unprompted[i].insert(model.name().to_owned(), figures.with_context(failed)?);
                    }
                    scores[i].insert(model.name().to_owned(), figures);
                    elapsed[i] += start.elapsed().as_secs_f64() * 1e3;
                }
                if keeps {
                    crossing.add(model, hidden, &mut scores, &mut elapsed)?;
                }
                Ok(())
            })?;
            let passed_over = passed_over(&own, &candidates, &identities, policy.prompt);
            for (i, (document, scores)) in texts.iter().zip(&scores).enumerate() {
                let unprompted = Reading {
                    models: &identities,
                    scores: if whole { &unprompted[i] } else { scores },
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
                    warnings: [decision.warnings, std::mem::take(&mut long[i]), passed_over.clone()].concat(),
                    timing: Timing { score_ms: elapsed[i] },
                };
                each(begin + i, report)?;
            }
            begin += round;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibrations_that_serve_no_author_are_told() {
        let model = |name: &str| CalibratedModel {
            name: name.to_owned(),
            sha256: "00".to_owned(),
            request: None,
        };
        let calibration = |author: &str, family: &str, by: &str| Calibration {
            author: author.to_owned(),
            family: family.to_owned(),
            models: vec![model(by)],
            groups: Vec::new(),
        };
        let candidates = [Candidate {
            author: "bot".to_owned(),
            set: AuthorSet::A,
            model: "base".to_owned(),
            decoding: Family::Deployed,
        }];
        let told = |calibration: Calibration, prompt| {
            let own = [("own.json".to_owned(), calibration)];
            let warnings = passed_over(&own, &candidates, &[model("base"), model("other")], prompt);
            warnings
                .first()
                .map(|warning| warning.message.clone())
                .unwrap_or_default()
        };
        for (calibration, said) in [
            (calibration("bot", "deployed", "base"), ""),
            (calibration("base", "deployed", "base"), ""),
            (calibration(HUMAN, "deployed", "other"), ""),
            (calibration("bot", "deployed", "other"), "are not those that are loaded"),
            (calibration(HUMAN, "deployed", "third"), "are not those that are loaded"),
            (
                calibration("bot", "any", "base"),
                "made for `any`, and bot is judged as `deployed`",
            ),
            (
                calibration("bat", "deployed", "base"),
                "`own.json` has no part in this verdict: bat is not considered here",
            ),
        ] {
            let found = told(calibration.clone(), PromptKnowledge::Unknown);
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found}");
            if calibration.author != HUMAN {
                assert_eq!(told(calibration, PromptKnowledge::Known), "");
            }
        }
    }
}
