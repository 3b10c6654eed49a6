//! What the theorems' tests decide where the prompt is known: on texts that the default models wrote, each after its
//! own prompt, and on human-written texts after none. It needs hours of sampling first (`calibration/make WORK`), so it
//! runs only on demand:
//!
//!     VALIDITY_TEXTS=WORK cargo test --release --test whowrote known_prompt -- --ignored --nocapture
//!
//! With UPDATE_VALIDITY=1 beside it the tables go into docs/VALIDITY.md.

use crate::common;
use crate::common::document::{documented, share};
use crate::common::known::lines;
use candle_core::Device;
use std::collections::BTreeMap;
use std::fmt::Write;
use whowrote::judge::scoring_for;
use whowrote::model::LanguageModel;
use whowrote::model::chat::{Prompt, prompt_ids};
use whowrote::scoring::score_after;
use whowrote::stats::calibration::Place;
use whowrote::stats::conformal_scores::ln_p_at;
use whowrote::stats::mixture::Mixture;
use whowrote::stats::sampling_params::SamplingFamily;
use whowrote::stats::token_stats::{SPACE, TextScores};
use whowrote::stats::verdict::{
    ALPHA, AuthorSet, Candidate, DecisionSettings, HUMAN_DIVISOR, Observation, PromptKnowledge, Test, Unprompted,
    decide,
};
use whowrote::stats::word_boundaries::{WordFigures, borders, ln_word_probabilities};

const NAMES: [&str; 2] = ["smollm2-135m-instruct", "gemma-3-270m"];
const PROMPTS: &str = include_str!("../../../calibration/prompts.jsonl");
/// The author's tokens that are judged.
const TOKENS: [usize; 3] = [50, 100, 200];
/// The decodings of `calibration/make`, each a hypothesis by itself.
const DECODINGS: [&str; 6] = [
    "temperature=0.2,top-p=0.9",
    "temperature=0.7,top-p=0.9",
    "temperature=1,top-p=0.9",
    "temperature=1,top-p=0.95",
    "temperature=1,top-k=64,top-p=0.95",
    "temperature=0.85",
];
const GENRES: [&str; 3] = ["news", "stories", "student essays"];
/// The tokens that are judged of texts of up to 1,000, which the models wrote at temperature 1 without truncation.
const LONG_TOKENS: [usize; 6] = [50, 100, 200, 400, 700, 1000];

struct Sample {
    text: String,
    /// The model that wrote it; none for a person.
    author: Option<usize>,
    /// How, or the genre.
    manner: String,
    /// What each model is given before it.
    prompts: [Option<Prompt>; 2],
}

/// The models' texts of the files `MODEL.KIND.jsonl`, and human-written ones of another file: up to `per_genre` of each
/// of these genres, or of every genre if none is named.
fn samples(kind: &str, people: &str, genres: &[&str], per_genre: usize) -> Vec<Sample> {
    let prompts: BTreeMap<String, serde_json::Value> = PROMPTS
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|prompt| (prompt["id"].as_str().unwrap().to_owned(), prompt))
        .collect();
    let mut samples = Vec::new();
    for (author, name) in NAMES.iter().enumerate() {
        for line in lines(&format!("{name}.{kind}.jsonl")) {
            let prompt = &prompts[line["prompt"]["id"].as_str().unwrap()];
            // As `detect --prompt` gives it: one text, a turn for the one and an opening for the other.
            let given = prompt[if author == 0 { "instruction" } else { "opening" }]
                .as_str()
                .unwrap();
            samples.push(Sample {
                text: line["text"].as_str().unwrap().to_owned(),
                author: Some(author),
                manner: line["decoding"].as_str().unwrap().to_owned(),
                prompts: [
                    Some(Prompt::Chat {
                        system: None,
                        user: given.to_owned(),
                    }),
                    Some(Prompt::Text(given.to_owned())),
                ],
            });
        }
    }
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines(people) {
        let genre = line["genre"].as_str().unwrap();
        let count = taken.entry(genre.to_owned()).or_default();
        *count += 1;
        if *count <= per_genre && (genres.is_empty() || genres.contains(&genre)) {
            samples.push(Sample {
                text: line["text"].as_str().unwrap().to_owned(),
                author: None,
                manner: genre.to_owned(),
                prompts: [None, None],
            });
        }
    }
    samples
}

/// The scores of the tokens that end within the first `end` bytes.
fn cut(scores: &TextScores, end: usize) -> TextScores {
    let mut cut = scores.clone();
    let tokens = scores.spans.partition_point(|span| span.end <= end);
    let scored = tokens.saturating_sub(scores.first_scored);
    cut.ids.truncate(tokens);
    cut.spans.truncate(tokens);
    cut.ranks.truncate(scored);
    cut.stats.truncate(scored * scores.betas.len());
    cut.decoding.truncate(scored);
    cut
}

/// By how many nats the mixture of all models at three temperatures, word by word, explains a text better than the best
/// of them alone; none where a text has no two borders that all of them see.
fn mixture_over_best(text: &str, scores: &BTreeMap<String, TextScores>) -> Option<f64> {
    let borders = borders(text);
    let mut experts: Vec<Vec<f64>> = Vec::new();
    for scores in scores.values() {
        for (i, &rung) in SPACE.iter().enumerate() {
            let figures: Vec<WordFigures> = scores
                .decoding
                .iter()
                .map(|stats| WordFigures {
                    surprisal: -ln_p_at(stats, rung),
                    ln_space_mass: f64::from(stats.ln_space[i]),
                })
                .collect();
            let words = ln_word_probabilities(scores, &figures, &borders);
            experts.push(words.into_iter().collect::<Result<_, _>>().ok()?);
        }
    }
    let words = experts.first().map(Vec::len).filter(|&words| words > 0)?;
    let mut mixture = Mixture::new(experts.len());
    for word in 0..words {
        let row: Vec<f64> = experts.iter().map(|expert| expert[word]).collect();
        mixture.push(&row);
    }
    let totals = experts.iter().map(|expert| expert.iter().sum::<f64>());
    Some(mixture.ln_total() - totals.fold(f64::NEG_INFINITY, f64::max))
}

/// What both default models make of each text, by name.
fn scored(samples: &[Sample], candidates: &[Vec<Candidate>]) -> Vec<BTreeMap<String, TextScores>> {
    let scoring = scoring_for(&candidates.concat());
    let mut scores: Vec<BTreeMap<String, TextScores>> = vec![BTreeMap::new(); samples.len()];
    for (place, name) in NAMES.iter().enumerate() {
        let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
        for (sample, scores) in samples.iter().zip(&mut scores) {
            let context = match &sample.prompts[place] {
                Some(prompt) => prompt_ids(&model, prompt).unwrap(),
                None => model.tokenizer().context().to_vec(),
            };
            let figures = score_after(&model, &context, &sample.text, &scoring).unwrap();
            scores.insert((*name).to_owned(), figures);
        }
    }
    scores
}

/// Of the texts of a row: how many there are, of how many each model was excluded, and both, and what the likelihood
/// ratio has against each model, nats a token in all.
#[derive(Default)]
struct Row {
    texts: u64,
    /// Of these, how many end before the tokens that are judged.
    ended: u64,
    ruled_out: [u64; 2],
    both: u64,
    rate: [f64; 2],
}

/// The rows of a table: by hypothesis, the author's tokens that are judged, and writer.
type Rows = BTreeMap<(String, usize, String), Row>;

/// By how many nats the mixture explains each text better than the best of its members, by writer and tokens.
type Mixtures = BTreeMap<(String, usize), Vec<f64>>;

/// Whether texts count that end before the tokens that are judged. The evidence holds at any time, so also at their
/// end; and a table of only those texts that reach a length would select texts by their content.
#[derive(Clone, Copy, PartialEq)]
enum Ended {
    Counted,
    LeftOut,
}

/// Texts from several nuclei, each compared with its own, are also counted together.
fn kind(family: &SamplingFamily) -> Option<String> {
    let SamplingFamily::Stated(decoding, _) = family else {
        return None;
    };
    let nucleus = decoding.top_p.is_some() && decoding.top_k.is_none();
    nucleus.then(|| "each nucleus".to_owned())
}

/// Each model as an author of its own name, the first in set A and the second in set B.
fn candidates(decoding: &SamplingFamily) -> Vec<Candidate> {
    let with_sets = NAMES.iter().zip([AuthorSet::A, AuthorSet::B]);
    with_sets
        .map(|(name, set)| Candidate {
            author: (*name).to_owned(),
            set,
            model: Some((*name).to_owned()),
            decoding: decoding.clone(),
        })
        .collect()
}

/// What is decided of the beginnings of the texts under each family, and the leads of the mixture, by writer and
/// tokens. A stated family is compared with the texts that were sampled so.
fn judged(samples: &[Sample], families: &[SamplingFamily], lengths: &[usize], ended: Ended) -> (Rows, Mixtures) {
    let candidates: Vec<Vec<Candidate>> = families.iter().map(candidates).collect();
    let settings = DecisionSettings {
        alpha: ALPHA,
        alpha_human: ALPHA / HUMAN_DIVISOR,
        alpha_together: None,
        tests: vec![Test::EntropyGap, Test::LikelihoodRatio],
        prompt: PromptKnowledge::Known,
        calibrations: Vec::new().into(),
    };
    let unread = BTreeMap::new();
    let unprompted = Unprompted {
        text: "",
        models: &[],
        scores: &unread,
        place: Place::Beginning,
        pieces: 1,
    };
    let mut rows = Rows::new();
    let mut mixtures = Mixtures::new();
    for (sample, scores) in samples.iter().zip(&scored(samples, &candidates)) {
        for &tokens in lengths {
            let judge = &scores[NAMES[sample.author.unwrap_or(0)]];
            let end = judge.spans.get(tokens - 1).map(|span| span.end);
            if end.is_none() && ended == Ended::LeftOut {
                continue;
            }
            let reached = end.is_some();
            let end = end.unwrap_or(sample.text.len());
            // A character that the last token begins and another ends is not judged.
            let Some(text) = sample.text.get(..end) else { continue };
            let scores: BTreeMap<String, TextScores> = scores
                .iter()
                .map(|(name, scores)| (name.clone(), cut(scores, end)))
                .collect();
            let writer = match sample.author {
                Some(author) => NAMES[author].to_owned(),
                None => format!("people: {}", sample.manner),
            };
            if let Some(lead) = mixture_over_best(text, &scores) {
                mixtures.entry((writer.clone(), tokens)).or_default().push(lead);
            }
            for (family, candidates) in families.iter().zip(&candidates) {
                // Each way of sampling is true of its own texts only.
                let stated = matches!(family, SamplingFamily::Stated(..));
                if stated && sample.author.is_some() && sample.manner != family.to_string() {
                    continue;
                }
                let observation = Observation::new(text, &scores, unprompted, candidates, &settings);
                let decision = decide(&observation, candidates, &settings);
                let mut out = [false; 2];
                let mut rate = [0.0; 2];
                // The last hypothesis is the person's.
                for (i, hypothesis) in decision.hypotheses.iter().take(NAMES.len()).enumerate() {
                    out[i] = !hypothesis.retained;
                    let ratio = hypothesis.evidence.iter().find(|e| e.test == Test::LikelihoodRatio);
                    rate[i] = ratio.map_or(0.0, |ratio| ratio.statistic) / tokens as f64;
                }
                for hypothesis in [Some(family.to_string()), kind(family)].into_iter().flatten() {
                    let row = rows.entry((hypothesis, tokens, writer.clone())).or_default();
                    for i in 0..NAMES.len() {
                        row.ruled_out[i] += u64::from(out[i]);
                        row.rate[i] += rate[i];
                    }
                    row.texts += 1;
                    row.ended += u64::from(!reached);
                    row.both += u64::from(out[0] && out[1]);
                }
            }
        }
    }
    (rows, mixtures)
}

#[test]
#[ignore = "takes the texts that calibration/make writes, in the folder VALIDITY_TEXTS"]
fn what_is_decided_where_the_prompt_is_known() {
    let samples = samples("known", "people.jsonl", &GENRES, 100);
    let stated = DECODINGS.iter().map(|decoding| decoding.parse().unwrap());
    let families: Vec<SamplingFamily> = stated.chain([SamplingFamily::Deployed, SamplingFamily::Any]).collect();
    let (rows, _) = judged(&samples, &families, &TOKENS, Ended::Counted);
    let mut table = String::from(
        "\n| hypothesis | tokens | texts by | n | shorter | smollm2-135m-instruct excluded | gemma-3-270m excluded | both |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    // People's texts say nothing of a stated decoding that they do not of `deployed`.
    let families = |family: &str, writer: &str| !writer.starts_with("people") || ["any", "deployed"].contains(&family);
    for ((family, tokens, writer), row) in rows.iter().filter(|((family, _, writer), _)| families(family, writer)) {
        writeln!(
            table,
            "| {family} | {tokens} | {writer} | {} | {} | {} | {} | {} |",
            row.texts,
            row.ended,
            share(row.ruled_out[0], row.texts),
            share(row.ruled_out[1], row.texts),
            share(row.both, row.texts)
        )
        .unwrap();
    }
    documented("known prompts", &table);
}

/// By how much the mixture explains the texts of each writer better than the best of its members.
fn mixture_table(mixtures: &Mixtures) -> String {
    let mut table = String::from(
        "\n| texts by | tokens | n | mixture over the best model alone, nats: least | mean | ahead |\n|---|---|---|---|---|---|\n",
    );
    for ((writer, tokens), leads) in mixtures {
        let least = leads.iter().copied().fold(f64::INFINITY, f64::min);
        let ahead = leads.iter().filter(|lead| **lead > 0.0).count() as u64;
        writeln!(
            table,
            "| {writer} | {tokens} | {} | {least:.1} | {:.1} | {} |",
            leads.len(),
            leads.iter().sum::<f64>() / leads.len() as f64,
            share(ahead, leads.len() as u64)
        )
        .unwrap();
    }
    table
}

#[test]
#[ignore = "takes the texts that calibration/make writes, in the folder VALIDITY_TEXTS"]
fn what_length_adds_where_any_decoding_is_possible() {
    let samples = samples("long", "people.long.jsonl", &[], usize::MAX);
    let families: Vec<SamplingFamily> = ["temperature=1", "any"].map(|family| family.parse().unwrap()).into();
    let (rows, mixtures) = judged(&samples, &families, &LONG_TOKENS, Ended::LeftOut);
    let mut table = String::from(
        "\n| hypothesis | texts by | tokens | n | smollm2-135m-instruct excluded | nats a token | gemma-3-270m excluded | nats a token |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    let by_writer = rows
        .iter()
        .map(|((family, tokens, writer), row)| (family, writer, tokens, row));
    let mut by_writer: Vec<_> = by_writer.collect();
    by_writer.sort_by_key(|(family, writer, tokens, _)| (*family, *writer, *tokens));
    for (family, writer, tokens, row) in by_writer {
        // A text may have no ratio.
        let rate = row.rate.map(|rate| match rate.is_finite() {
            true => format!("{:.3}", rate / row.texts as f64),
            false => "–".to_owned(),
        });
        writeln!(
            table,
            "| {family} | {writer} | {tokens} | {} | {} | {} | {} | {} |",
            row.texts,
            share(row.ruled_out[0], row.texts),
            rate[0],
            share(row.ruled_out[1], row.texts),
            rate[1]
        )
        .unwrap();
    }
    documented("long texts", &table);
    documented("mixture", &mixture_table(&mixtures));
}
