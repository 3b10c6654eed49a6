//! The cross-entropy test on real models of one vocabulary.

use crate::common;
use crate::quick::cross_entropy::kept;
use candle_core::Device;
use std::sync::Arc;
use std::time::Instant;
use whowrote::model::generate::{Generated, Job, Limits, Listener, generate};
use whowrote::model::{LanguageModel, ModelError, Vocabulary};
use whowrote::scoring::{Hidden, Scoring, cross_entropy_pass};
use whowrote::stats::cross_entropy::tilt;
use whowrote::stats::sampling_params::SamplingParams;
use whowrote::stats::token_stats::{CrossTokenStats, TextScores};
use whowrote::stats::{CrossProcess, GapProcess, clopper_pearson, rejects};

const SMALL: &str = "qwen2.5-coder-0.5b-instruct";
const ALPHA: f64 = 0.05;
const PROMPTS: [&str; 4] = [
    "The history of the city begins with",
    "My grandmother used to say that",
    "In this report we show how",
    "// Reads a configuration file and returns\n",
];

#[derive(Default)]
struct Kept(Vec<(usize, Generated)>);

impl Listener for Kept {
    type Error = ModelError;

    fn finished(&mut self, job: usize, text: Generated) -> Result<(), ModelError> {
        self.0.push((job, text));
        Ok(())
    }
}

/// Texts of up to `tokens` tokens at temperature 1, untruncated, each with the prompt that it continues.
fn written(model: &LanguageModel, texts: usize, tokens: usize) -> Vec<(Vec<u32>, String)> {
    let jobs: Vec<Job> = (0..texts)
        .map(|i| Job {
            prompt: Arc::new(model.tokenizer().encode(PROMPTS[i % PROMPTS.len()]).unwrap().ids),
            decoding: SamplingParams::untruncated(1.0),
            seed: 20_261_125 + i as u64,
        })
        .collect();
    let limits = Limits { words: 10_000, tokens };
    let mut kept = Kept::default();
    generate(model, &jobs, limits, texts, &mut kept).unwrap();
    let texts = kept.0.into_iter();
    texts
        .map(|(job, text)| (jobs[job].prompt.to_vec(), text.text))
        .collect()
}

fn scored(model: &LanguageModel, texts: &[(Vec<u32>, String)]) -> Vec<(TextScores, Hidden)> {
    let at = Scoring::at(vec![1.0]);
    let texts = texts.iter();
    texts.map(|(prompt, text)| kept(model, prompt, text, &at)).collect()
}

/// In how many of the texts, each token by token, an e-process ever refutes its author at [`ALPHA`], and after how many
/// tokens in the median, no refutation counting as infinitely many; the mean statistic, and the closed form's
/// refutations.
fn refuted(what: &str, texts: &[Vec<CrossTokenStats>], vocab: usize) -> usize {
    let mut first: Vec<usize> = Vec::new();
    let (mut statistic, mut closed, mut ranges, mut tokens) = (0.0, 0, 0.0, 0);
    for text in texts {
        let mut process = CrossProcess::new();
        let mut at = usize::MAX;
        for token in text {
            process.push(token);
            if at == usize::MAX && rejects(process.ln_e_value(), ALPHA) {
                at = process.tokens();
            }
            ranges += token.range * token.range;
        }
        tokens += text.len();
        first.push(at);
        statistic += process.statistic() / texts.len() as f64;
        let threshold = process.closed_form(tilt(text.len(), vocab, ALPHA), ALPHA);
        closed += usize::from(process.statistic().abs() >= threshold);
    }
    first.sort_unstable();
    let ever = first.iter().filter(|&&at| at < usize::MAX).count();
    let median = match first[first.len() / 2] {
        usize::MAX => "more than the text has".to_owned(),
        at => at.to_string(),
    };
    println!(
        "  {what}: refuted in {ever} of {}, median tokens {median}; mean {statistic:+.3} nat a token; closed form {closed}; \
         range {:.1} nats in the quadratic mean, 2 ln K = {:.1}",
        texts.len(),
        (ranges / tokens as f64).sqrt(),
        2.0 * (vocab as f64).ln(),
    );
    ever
}

/// An author is refuted wrongly no more often than chance allows.
fn assert_kept(what: &str, refuted: usize, texts: usize) {
    let (low, _) = clopper_pearson(refuted as u64, texts as u64, 0.999);
    assert!(low <= ALPHA, "{what}: {refuted} of {texts} refuted");
}

#[test]
#[ignore = "fetches a model of 400 MB, and writes for a minute"]
fn a_real_model_is_told_from_copies_whose_head_is_scaled() {
    let model = LanguageModel::load(SMALL, &common::model_file(SMALL), &Device::Cpu, u64::MAX).unwrap();
    let texts = written(&model, 16, 200);
    let scored = scored(&model, &texts);
    let vocab = model.decoder().vocab();
    // Logits times 1 + eps: the same model at another temperature.
    let factors = [1.0, 1.02, 1.05, 1.1, 1.25, 1.5, 0.9, 0.8];
    let pairs = factors.map(|factor| (1.0, factor));
    let (mut own, mut copies) = (vec![Vec::new(); pairs.len()], vec![Vec::new(); pairs.len()]);
    let (start, mut tokens) = (Instant::now(), 0);
    for (_, hidden) in &scored {
        let found = cross_entropy_pass([&model, &model], [hidden, hidden], &pairs)
            .unwrap()
            .unwrap();
        tokens += found[0][0].len();
        for (k, [author, copy]) in found.into_iter().enumerate() {
            own[k].push(author);
            copies[k].push(copy);
        }
    }
    println!(
        "{tokens} tokens, {} pairs of temperatures: {:.2} ms a token",
        pairs.len(),
        start.elapsed().as_secs_f64() * 1e3 / tokens as f64
    );
    // Against itself: the entropy gap.
    for (text, (scores, _)) in own[0].iter().zip(&scored) {
        let (mut crossed, mut gap) = (CrossProcess::new(), GapProcess::exact());
        crossed.extend(text);
        gap.extend(scores.at(0));
        assert_eq!(crossed.tokens(), gap.tokens());
        assert!((crossed.statistic() - gap.statistic()).abs() < 1e-4);
        assert!((crossed.ln_e_value() - gap.ln_e_value()).abs() < 0.02 * (1.0 + gap.ln_e_value().abs()));
    }
    for (k, factor) in factors.iter().enumerate() {
        let kept = refuted(
            &format!("the writer, against a copy scaled by {factor}"),
            &own[k],
            vocab,
        );
        assert_kept("the writer", kept, texts.len());
        let out = refuted(
            &format!("a copy scaled by {factor}, against the writer"),
            &copies[k],
            vocab,
        );
        if *factor == 1.5 {
            assert!(out * 10 >= texts.len() * 9, "only {out} refuted");
        }
    }
}

#[test]
#[ignore = "wants the GGUF file of a larger model of the same vocabulary in WHOWROTE_TEST_SIBLING, and writes for minutes"]
fn two_real_siblings_are_told_apart() {
    let sibling = std::env::var_os("WHOWROTE_TEST_SIBLING").expect("WHOWROTE_TEST_SIBLING names a GGUF file");
    let files = [common::model_file(SMALL), sibling.into()];
    assert_eq!(
        Vocabulary::read("small", &files[0]).unwrap(),
        Vocabulary::read("large", &files[1]).unwrap()
    );
    let models = files.map(|file| LanguageModel::load("qwen", &file, &Device::Cpu, u64::MAX).unwrap());
    let vocab = models[0].decoder().vocab();
    for writer in 0..2 {
        let texts = written(&models[writer], 6, 120);
        let [small, large] = [0, 1].map(|i| scored(&models[i], &texts));
        let (mut by_author, mut gaps, mut ratio) = ([Vec::new(), Vec::new()], [0, 0], 0.0);
        let (start, mut tokens) = (Instant::now(), 0);
        for (a, b) in small.iter().zip(&large) {
            let found = cross_entropy_pass([&models[0], &models[1]], [&a.1, &b.1], &[(1.0, 1.0)]).unwrap();
            let [of_small, of_large] = found.unwrap().remove(0);
            tokens += of_small.len();
            by_author[0].push(of_small);
            by_author[1].push(of_large);
            for (gaps, scores) in gaps.iter_mut().zip([&a.0, &b.0]) {
                let mut gap = GapProcess::exact();
                let ever = scores.at(0).any(|token| {
                    gap.push(token);
                    rejects(gap.ln_e_value(), ALPHA)
                });
                *gaps += usize::from(ever);
            }
            let total = |scores: &TextScores| scores.at(0).map(|token| token.surprisal).sum::<f64>();
            ratio += (total(&a.0) - total(&b.0)).abs();
        }
        let names = ["small", "large"];
        println!(
            "written by the {} one: {tokens} tokens compared in {:.2} ms each; likelihood ratio {:.3} nat a token; gaps \
             refute the small in {}, the large in {} texts",
            names[writer],
            start.elapsed().as_secs_f64() * 1e3 / tokens as f64,
            ratio / tokens as f64,
            gaps[0],
            gaps[1],
        );
        for author in 0..2 {
            let out = refuted(
                &format!("the {} one as the author", names[author]),
                &by_author[author],
                vocab,
            );
            if author == writer {
                assert_kept(names[author], out, texts.len());
            }
        }
    }
}
