//! The judge of real models.

use super::crossing::Crossing;
use super::detect::Judge;
use super::lineup::{Lineup, add_model, authors, use_threads};
use super::{JudgeConfig, PromptChoice};
use crate::calibration::{self, CalibratedModel, Calibration, HUMAN};
use crate::input::spelling::{Misspelling, corrected, misspellings};
use crate::input::{Document, Source, lower_hex, printable};
use crate::model::catalogue::{Catalogue, ModelEntry};
use crate::model::chat::{Prompt, prompt_ids, unknown_prompt_ids};
use crate::model::{Family, LanguageModel};
use crate::scoring::{Hidden, Prefix, Scoring, TextScores, score_all, score_keeping};
use crate::stats::attribution::beginning;
use crate::verdict::{
    self, AuthorSet, Candidate, Policy, PromptKnowledge, ProvenanceReport, Reading, SCHEMA, Timing, Warning,
    WarningCode,
};
use anyhow::{Context, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Documents that every model scores before the next model takes its turn, so that a round costs one loading of each;
/// a round's figures are kept until its last model has scored.
const ROUND: usize = 256;
/// Bytes of text at which a round ends early: a token's figures take about two hundred times its text.
const ROUND_BYTES: usize = 1 << 20;
/// The same where the models stay loaded, so that nothing is gained by waiting: about a pass.
const STAYING_BYTES: usize = 4 << 10;

/// Judges documents with the models of a configuration.
pub struct ModelJudge<'a> {
    config: &'a JudgeConfig,
    quiet: bool,
    /// Whether reports carry every token's figures.
    tokens: bool,
    /// Where calls follow one another.
    staying: Option<Staying>,
    bench: Option<Bench>,
}

/// What a judge of many calls does otherwise.
struct Staying {
    /// Bytes for the models, which stay loaded from one call to the next where these hold them; none for what is free.
    memory: Option<u64>,
    /// When it is set, rounds under way are finished and no more begun.
    stop: Arc<AtomicBool>,
}

impl<'a> ModelJudge<'a> {
    /// A judge of one call; nothing is loaded before there is a text.
    pub fn new(config: &'a JudgeConfig, quiet: bool, tokens: bool) -> Self {
        Self {
            config,
            quiet,
            tokens,
            staying: None,
            bench: None,
        }
    }

    /// A judge of many calls, whose models take so much memory. Once `stop` is set it judges no more texts than those that it
    /// is at, and leaves the others out.
    pub fn staying(config: &'a JudgeConfig, quiet: bool, memory: Option<u64>, stop: Arc<AtomicBool>) -> Self {
        Self {
            staying: Some(Staying { memory, stop }),
            ..Self::new(config, quiet, false)
        }
    }

    fn bench(&mut self) -> anyhow::Result<&mut Bench> {
        Ok(match &mut self.bench {
            Some(bench) => bench,
            none => none.insert(Bench::new(self.config, self.quiet, self.tokens, self.staying.as_ref())?),
        })
    }

    /// All that verdicts depend on but the texts, as an object. Models are fetched for it.
    ///
    /// # Errors
    /// When a model cannot be had, or something that the user gave cannot be read.
    pub fn settings(&mut self) -> anyhow::Result<Value> {
        let config = self.config;
        let genre = config.genre.clone();
        let bench = self.bench()?;
        let digest = |text: &str| lower_hex(&Sha256::digest(text));
        let authors = bench.candidates.iter().map(|candidate| {
            let Candidate {
                author,
                set,
                model,
                decoding,
            } = candidate;
            serde_json::json!({"author": author, "set": set, "model": model, "decoding": decoding.to_string()})
        });
        let models = bench.lineup.models.iter().zip(&bench.lineup.stored);
        let models = models.map(|(model, stored)| {
            let is = serde_json::json!({"sha256": stored.sha256, "chat": model.chat});
            (model.name.clone(), is)
        });
        let prompt = match (&bench.prompt, bench.policy.prompt) {
            (Some(GivenPrompt { system, user }), _) => serde_json::json!({
                "system": system.as_deref().map(digest),
                "user": digest(user),
            }),
            (None, PromptKnowledge::Known) => "none".into(),
            (None, PromptKnowledge::Unknown) => "unknown".into(),
        };
        let calibrations = bench.own.iter().map(|(_, own)| digest(&own.to_json()));
        Ok(serde_json::json!({
            "whowrote": env!("CARGO_PKG_VERSION"),
            "alpha": bench.policy.alpha,
            "alpha_human": bench.policy.alpha_human,
            "authors": authors.collect::<Vec<_>>(),
            "models": models.collect::<serde_json::Map<_, _>>(),
            "device": format!("{:?}", bench.lineup.device.location()),
            "tests": bench.policy.tests,
            "prompt": prompt,
            "genre": genre,
            "calibrations": calibrations.collect::<Vec<_>>(),
        }))
    }
}

impl Judge for ModelJudge<'_> {
    fn judge(
        &mut self,
        documents: &[Document],
        each: &mut dyn FnMut(usize, ProvenanceReport) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let stop = self.staying.as_ref().map(|staying| Arc::clone(&staying.stop));
        let bench = self.bench()?;
        let mut begin = 0;
        while begin < documents.len() && !stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            let mut bytes = 0;
            let fits = |document: &&Document| {
                bytes += bench.read_of(document).len();
                bytes <= bench.round_bytes
            };
            let round = documents[begin..].iter().take(ROUND).take_while(fits).count().max(1);
            let reports = bench.judge(&documents[begin..begin + round])?;
            for (i, report) in reports.into_iter().enumerate() {
                each(begin + i, report)?;
            }
            begin += round;
        }
        Ok(())
    }
}

/// Everything that verdicts take, but the texts.
struct Bench {
    candidates: Vec<Candidate>,
    policy: Policy,
    scoring: Scoring,
    prompt: Option<GivenPrompt>,
    /// The user's own calibrations, each with the name of its file.
    own: Vec<(String, Calibration)>,
    lineup: Lineup,
    crossing: Crossing,
    /// What each model sees before a text, and before a beginning that is read without a prompt.
    prefixes: BTreeMap<String, [Prefix; 2]>,
    round_bytes: usize,
    /// Whether reports carry every token's figures.
    tokens: bool,
}

impl Bench {
    fn new(config: &JudgeConfig, quiet: bool, tokens: bool, staying: Option<&Staying>) -> anyhow::Result<Self> {
        use_threads(config.threads)?;
        let (candidates, models) = candidates(config)?;
        // What the user gave is read before models are fetched for it.
        let prompt = given_prompt(config)?;
        let own = own_calibrations(config)?;
        let policy = Policy {
            alpha: config.alpha,
            alpha_human: config.alpha_human,
            alpha_together: config.alpha_together,
            tests: config.tests.clone(),
            prompt: match config.prompt {
                PromptChoice::Unknown => PromptKnowledge::Unknown,
                PromptChoice::None | PromptChoice::Given { .. } => PromptKnowledge::Known,
            },
            calibrations: calibrations(config, &own)?,
        };
        let mut lineup = Lineup::fetch(models, config.device, config.offline, quiet)?;
        let crossing = Crossing::plan(&lineup, &candidates, &policy)?;
        let round_bytes = match staying {
            Some(staying) if lineup.stay(staying.memory) => STAYING_BYTES,
            // Hidden states take thirty times a token's figures.
            _ if !crossing.is_empty() => ROUND_BYTES / 16,
            _ => ROUND_BYTES,
        };
        Ok(Self {
            scoring: verdict::scoring(&candidates),
            candidates,
            policy,
            prompt,
            own,
            lineup,
            crossing,
            prefixes: BTreeMap::new(),
            round_bytes,
            tokens,
        })
    }

    /// Whether texts are read to their end: calibrations speak of beginnings, so that the rest of a text is scored only for
    /// those who want its figures, or know its prompt.
    fn reads_all(&self) -> bool {
        self.policy.prompt == PromptKnowledge::Known || self.tokens
    }

    /// What is read of a text.
    fn read_of<'a>(&self, document: &'a Document) -> &'a str {
        match self.reads_all() {
            true => &document.text,
            false => beginning(&document.text),
        }
    }

    /// Reports on documents in their order: on each without its disguises and as it is spelt; where disguises tell of somebody who
    /// put them there, or many words are misspelt, also on what it would be taken for with the ones or without the others.
    fn judge(&mut self, documents: &[Document]) -> anyhow::Result<Vec<ProvenanceReport>> {
        let with_text = |document: &Document, text: String| Document {
            name: document.name.clone(),
            id: document.id.clone(),
            text,
            disguised: None,
            sha256: document.sha256.clone(),
            bytes: document.bytes,
            chars: document.chars,
        };
        let as_it_came = |document: &Document| {
            let disguised = document.disguised.as_ref()?;
            let words = document.text.split_whitespace().count();
            verdict::is_telling(&disguised.kinds, words).then(|| with_text(document, disguised.text.clone()))
        };
        let misspelt: Vec<Vec<Misspelling>> = documents
            .iter()
            .map(|document| {
                let read = self.read_of(document);
                Some(misspellings(read))
                    .filter(|wrong| verdict::has_many(wrong, read))
                    .unwrap_or_default()
            })
            .collect();
        let put_right = |(document, wrong): (&Document, &Vec<Misspelling>)| {
            (!wrong.is_empty()).then(|| with_text(document, corrected(&document.text, wrong)))
        };
        let raw: Vec<Option<Document>> = documents.iter().map(as_it_came).collect();
        let right: Vec<Option<Document>> = documents.iter().zip(&misspelt).map(put_right).collect();
        let all: Vec<&Document> = documents
            .iter()
            .chain(raw.iter().flatten())
            .chain(right.iter().flatten())
            .collect();
        let mut reports = self.judge_as_they_are(&all)?;
        let mut of_others = reports.split_off(documents.len()).into_iter();
        let mut reports_on = |others: &[Option<Document>]| -> Vec<Option<ProvenanceReport>> {
            others
                .iter()
                .map(|other| other.as_ref().and_then(|_| of_others.next()))
                .collect()
        };
        let (raw, right) = (reports_on(&raw), reports_on(&right));
        for ((((report, document), wrong), raw), right) in
            reports.iter_mut().zip(documents).zip(&misspelt).zip(raw).zip(right)
        {
            if let Some(right) = right {
                verdict::add_misspellings(report, wrong, right);
            }
            if let Some(disguised) = &document.disguised {
                verdict::add_disguises(report, disguised, raw);
            }
        }
        Ok(reports)
    }

    /// Scores documents with every model, and reports on them in their order.
    fn judge_as_they_are(&mut self, documents: &[&Document]) -> anyhow::Result<Vec<ProvenanceReport>> {
        let whole = self.reads_all();
        let texts: Vec<&str> = documents.iter().map(|document| self.read_of(document)).collect();
        let beginnings: Vec<&str> = documents.iter().map(|document| beginning(&document.text)).collect();
        let unprompted_scoring = match self.policy.prompt {
            PromptKnowledge::Unknown => self.scoring.clone(),
            PromptKnowledge::Known => Scoring::at(vec![1.0]),
        };
        let mut scores: Vec<BTreeMap<String, TextScores>> = vec![BTreeMap::new(); documents.len()];
        // Their beginnings as those of the calibrations were read, where that is another reading.
        let mut unprompted = scores.clone();
        let mut long = vec![Vec::new(); documents.len()];
        let mut progress = Progress {
            elapsed: vec![0.0; documents.len()],
            refused: vec![None; documents.len()],
        };
        let Self {
            scoring,
            prefixes,
            crossing,
            prompt,
            policy,
            lineup,
            ..
        } = &mut *self;
        let identities = lineup.in_turn(|model| {
            let name = model.name();
            if !prefixes.contains_key(name) {
                let ids = match (&prompt, policy.prompt) {
                    (Some(prompt), _) => prompt
                        .ids(model)
                        .with_context(|| format!("the prompt could not be given to {name}"))?,
                    (None, PromptKnowledge::Known) => model.tokenizer().context().to_vec(),
                    (None, PromptKnowledge::Unknown) => unknown_prompt_ids(model)?,
                };
                let unknown = Prefix::new(unknown_prompt_ids(model)?);
                prefixes.insert(name.to_owned(), [Prefix::new(ids), unknown]);
            }
            let [prefix, unknown] = &prefixes[name];
            let keeps = crossing.keeps(model);
            let mut hidden = Vec::new();
            let read = progress.read(model, prefix, &texts, scoring, keeps)?;
            for (i, (figures, states)) in read.into_iter().enumerate() {
                hidden.push(states);
                let Some(figures) = figures else { continue };
                let (tokens, room) = (figures.ids.len(), scoring.room(model, prefix.ids()));
                if tokens > room {
                    long[i].push(verdict::long_text_warning(name, tokens, room));
                }
                scores[i].insert(name.to_owned(), figures);
            }
            if whole {
                let read = progress.read(model, unknown, &beginnings, &unprompted_scoring, false)?;
                for (unprompted, (figures, _)) in unprompted.iter_mut().zip(read) {
                    unprompted.extend(figures.map(|figures| (name.to_owned(), figures)));
                }
            }
            if keeps {
                crossing.add(model, hidden, &mut scores, &mut progress.elapsed)?;
            }
            Ok(())
        })?;
        let passed_over = passed_over(&self.own, &self.candidates, &identities, self.policy.prompt);
        let levels = (self.policy.alpha, self.policy.alpha_human);
        let report = |(i, document): (usize, &&Document)| {
            let unprompted = Reading {
                models: &identities,
                scores: if whole { &unprompted[i] } else { &scores[i] },
            };
            let mut report = match progress.refused[i].take() {
                Some(why) => ProvenanceReport::unable(document.summary(), levels, WarningCode::Unscored, why),
                None => self.report(document, &scores[i], unprompted),
            };
            report.warnings.append(&mut long[i]);
            report.warnings.extend_from_slice(&passed_over);
            report.timing.score_ms = progress.elapsed[i];
            report
        };
        Ok(documents.iter().enumerate().map(report).collect())
    }

    /// The verdict on a document, with the figures that it rests on.
    fn report(
        &self,
        document: &Document,
        scores: &BTreeMap<String, TextScores>,
        unprompted: Reading,
    ) -> ProvenanceReport {
        let decision = verdict::decide(&document.text, &self.candidates, scores, unprompted, &self.policy);
        // The figures are those of the reading with the prompt.
        let as_scored = unprompted.models.iter().cloned().map(|model| match self.policy.prompt {
            PromptKnowledge::Unknown => model,
            PromptKnowledge::Known => CalibratedModel { request: None, ..model },
        });
        let figures = as_scored.filter_map(|model| {
            let name = model.name.clone();
            let figures = verdict::figures(scores.get(&name)?, model, self.tokens)?;
            Some((name, figures))
        });
        ProvenanceReport {
            schema: SCHEMA,
            input: document.summary(),
            verdict: decision.verdict,
            authors: decision.authors,
            alpha: self.policy.alpha,
            alpha_human: self.policy.alpha_human,
            hypotheses: decision.hypotheses,
            models: figures.collect(),
            disguises: None,
            misspellings: None,
            warnings: decision.warnings,
            timing: Timing::default(),
        }
    }
}

/// What reading a round's texts has taken, and which of them cannot be read.
struct Progress {
    /// Milliseconds, one a text.
    elapsed: Vec<f64>,
    /// Why a model's tokeniser refused a text.
    refused: Vec<Option<String>>,
}

impl Progress {
    /// What a model says of each text, and the hidden states that it said it from where they are kept; nothing of a text that its
    /// tokeniser, or that of a model before it, refuses.
    fn read(
        &mut self,
        model: &LanguageModel,
        prefix: &Prefix,
        texts: &[&str],
        scoring: &Scoring,
        keeps: bool,
    ) -> anyhow::Result<Vec<(Option<TextScores>, Hidden)>> {
        let start = Instant::now();
        let (mut places, mut tokens) = (Vec::new(), Vec::new());
        for (i, (text, refused)) in texts.iter().zip(&mut self.refused).enumerate() {
            if refused.is_some() {
                continue;
            }
            match model.tokenizer().encode(text) {
                Err(error) => *refused = Some(format!("The text could not be scored: {error}.")),
                Ok(encoded) => {
                    places.push(i);
                    tokens.push(encoded);
                }
            }
        }
        let failed = || format!("the texts could not be scored with {}", model.name());
        let scored: Vec<(TextScores, Hidden)> = match keeps {
            true => score_keeping(model, prefix, tokens, scoring).with_context(failed)?,
            false => {
                let scores = score_all(model, prefix, tokens, scoring).with_context(failed)?;
                scores.into_iter().map(|scores| (scores, Hidden::default())).collect()
            }
        };
        let all: usize = scored.iter().map(|(scores, _)| scores.ids.len()).sum();
        let took = start.elapsed().as_secs_f64() * 1e3;
        let mut read: Vec<(Option<TextScores>, Hidden)> = texts.iter().map(|_| Default::default()).collect();
        for (i, (scores, hidden)) in places.into_iter().zip(scored) {
            self.elapsed[i] += took * scores.ids.len() as f64 / all.max(1) as f64;
            read[i] = (Some(scores), hidden);
        }
        Ok(read)
    }
}

/// Who may have written the texts, and the models that stand for them, each once.
fn candidates(config: &JudgeConfig) -> anyhow::Result<(Vec<Candidate>, Vec<ModelEntry>)> {
    let catalogue = Catalogue::load(config.catalogue.as_deref())?;
    let (mut candidates, mut models) = (Vec::<Candidate>::new(), Vec::<ModelEntry>::new());
    for (set, chosen) in [(AuthorSet::A, &config.a), (AuthorSet::B, &config.b)] {
        for (model, author) in authors(&catalogue, set, chosen)? {
            if candidates.iter().any(|c| c.author == author.name) {
                bail!(
                    "the author {} is named twice; an author belongs to one set",
                    author.name
                );
            }
            let decoding = config.decoding.clone().or(author.decoding).unwrap_or_default();
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

/// The authors that come into question, a person among them.
///
/// # Errors
/// When the catalogue cannot be used, or lacks an author that was named.
pub fn considered(config: &JudgeConfig) -> anyhow::Result<Vec<(String, AuthorSet)>> {
    let (candidates, _) = candidates(config)?;
    let models = candidates
        .into_iter()
        .map(|candidate| (candidate.author, candidate.set));
    Ok(models.chain([(HUMAN.to_owned(), AuthorSet::Human)]).collect())
}

/// The user's own calibrations, each with the name of its file.
fn own_calibrations(config: &JudgeConfig) -> anyhow::Result<Vec<(String, Calibration)>> {
    let files = config.calibrations.iter();
    let read = |path: &PathBuf| Ok((printable(&path.to_string_lossy()), Calibration::from_file(path)?));
    files.map(read).collect()
}

/// These calibrations, then those that are compiled in; of people's texts only the genre that the user knows.
fn calibrations(config: &JudgeConfig, own: &[(String, Calibration)]) -> anyhow::Result<Vec<Calibration>> {
    let mut all: Vec<Calibration> = own.iter().map(|(_, calibration)| calibration.clone()).collect();
    all.extend(calibration::built_in());
    let Some(genre) = &config.genre else {
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
fn given_prompt(config: &JudgeConfig) -> anyhow::Result<Option<GivenPrompt>> {
    let PromptChoice::Given { user, system } = &config.prompt else {
        return Ok(None);
    };
    let read = |path: &PathBuf| Document::read(&Source::File(path.clone())).map(|document| document.text);
    Ok(Some(GivenPrompt {
        system: system.as_ref().map(read).transpose()?,
        user: read(user)?,
    }))
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
