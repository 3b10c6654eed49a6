//! Texts that the models really wrote: the true author stays, the other is excluded.
//!
//! Each text is sampled at temperature 1, without truncation, by the weighted index of the crate rand and not by our own
//! sampler; the first token is drawn at random from those that begin a word, so that every later token is the model's
//! own given what the test sees.

use crate::common;
use candle_core::Device;
use candle_nn::ops::softmax_last_dim;
use rand::SeedableRng;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::rngs::StdRng;
use whowrote::input::Document;
use whowrote::judge::{AuthorChoice, PromptChoice};
use whowrote::model::LanguageModel;
use whowrote::model::decoder::KvCache;
use whowrote::report::ProvenanceReport;
use whowrote::stats::clopper_pearson;
use whowrote::stats::sampling_params::{SamplingFamily, SamplingParams};
use whowrote::stats::verdict::Test;
use whowrote::{Judge, JudgeSettings};

/// A model may end a text early, so that fewer than these reach [`LEAST`] tokens.
const TEXTS: usize = 60;
/// Scored tokens that a text must have to count.
const LEAST: usize = 100;
const SEED: u64 = 20_261_124;
/// Lengths differ, as texts' do.
const LENGTHS: std::ops::RangeInclusive<usize> = 104..=150;
const NAMES: [&str; 2] = ["smollm2-135m-instruct", "gemma-3-270m"];

/// Samples all texts in one batch, each to its own length.
fn sample(model: &LanguageModel) -> Vec<String> {
    let decoder = model.decoder();
    let tokenizer = model.tokenizer();
    let begins_word = |id: &u32| {
        let bytes = tokenizer.bytes(*id);
        bytes.len() > 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_lowercase)
    };
    let starts: Vec<u32> = (0..tokenizer.len() as u32).filter(begins_word).collect();
    let mut generators: Vec<StdRng> = (0..TEXTS as u64).map(|i| StdRng::seed_from_u64(SEED + i)).collect();
    let firsts: Vec<u32> = (0..TEXTS).map(|i| starts[(i * 7919 + 11) % starts.len()]).collect();
    let lengths: Vec<usize> = (0..TEXTS)
        .map(|i| LENGTHS.start() + i * (LENGTHS.end() - LENGTHS.start()) / (TEXTS - 1))
        .collect();
    let mut cache = KvCache::default();
    let mut texts: Vec<Vec<u32>> = firsts.iter().map(|&id| vec![id]).collect();
    // A control token ends a text: what follows it is another.
    let mut ended = [false; TEXTS];
    let mut next: Vec<u32> = Vec::new();
    for &first in &firsts {
        next.extend(tokenizer.context().iter().copied().chain([first]));
    }
    while texts
        .iter()
        .zip(&lengths)
        .zip(&ended)
        .any(|((text, length), ended)| text.len() < *length && !ended)
    {
        let hidden = decoder.forward(&next, TEXTS, Some(&mut cache)).unwrap();
        let logits = decoder.logits(&decoder.last(&hidden, TEXTS).unwrap()).unwrap();
        let probabilities: Vec<Vec<f32>> = softmax_last_dim(&logits).unwrap().to_vec2().unwrap();
        next.clear();
        for (i, generator) in generators.iter_mut().enumerate() {
            let id = WeightedIndex::new(&probabilities[i]).unwrap().sample(generator) as u32;
            let control = tokenizer.bytes(id).starts_with(b"<") && tokenizer.bytes(id).ends_with(b">");
            ended[i] |= control || texts[i].len() >= lengths[i];
            if !ended[i] {
                texts[i].push(id);
            }
            next.push(id);
        }
    }
    texts.iter().map(|ids| tokenizer.decode(ids)).collect()
}

#[test]
fn own_samples_keep_their_author_and_rule_out_the_other() {
    let mut documents: Vec<(usize, Document)> = Vec::new();
    // One model in memory at a time: both write before both score.
    for (author, name) in NAMES.iter().enumerate() {
        let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
        let texts = sample(&model).into_iter();
        documents.extend(texts.map(|text| (author, Document::from_text((*name).to_owned(), text))));
    }
    let settings = JudgeSettings {
        a: vec![AuthorChoice::Named(NAMES[0].to_owned())],
        b: vec![AuthorChoice::Named(NAMES[1].to_owned())],
        tests: vec![Test::EntropyGap, Test::LikelihoodRatio],
        decoding: Some(SamplingFamily::Stated(SamplingParams::untruncated(1.0), 1.0)),
        prompt: PromptChoice::None,
        ..JudgeSettings::default()
    };
    let (authors, documents): (Vec<usize>, Vec<Document>) = documents.into_iter().unzip();
    let reports = Judge::new(settings).unwrap().judge(&documents).unwrap();
    for (author, name) in NAMES.iter().enumerate() {
        let scored = |report: &ProvenanceReport| report.models[*name].scored_tokens;
        let own: Vec<&ProvenanceReport> = authors
            .iter()
            .zip(&reports)
            .filter(|(a, report)| **a == author && scored(report) >= LEAST)
            .map(|(_, report)| report)
            .collect();
        let retained = own.iter().filter(|report| report.hypotheses[author].retained).count();
        let other_out = own
            .iter()
            .filter(|report| !report.hypotheses[1 - author].retained)
            .count();
        let mut lengths: Vec<usize> = own.iter().map(|report| scored(report)).collect();
        lengths.sort_unstable();
        let interval = |k| clopper_pearson(k, own.len() as u64, 0.95);
        println!(
            "{name}: {} texts of {} to {} tokens; author retained {retained} {:?}, other excluded {other_out} {:?}",
            own.len(),
            lengths[0],
            lengths[lengths.len() - 1],
            interval(retained as u64),
            interval(other_out as u64),
        );
        for report in &own {
            let evidence: Vec<String> = report.hypotheses[..NAMES.len()]
                .iter()
                .flat_map(|h| h.evidence.iter().map(|e| format!("{:.1}", e.ln_e_value)))
                .collect();
            println!(
                "  {} tokens, ln e of gap and ratio by author: {}",
                scored(report),
                evidence.join(" ")
            );
        }
        assert!(own.len() >= 40, "only {} texts were long enough", own.len());
        assert!(
            retained as f64 >= 0.95 * own.len() as f64,
            "{name} was excluded for its own texts"
        );
        assert!(
            other_out as f64 >= 0.95 * own.len() as f64,
            "the other was not excluded for {name}'s texts"
        );
    }
}
