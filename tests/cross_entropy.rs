//! The cross-entropy test from weights to verdict: on tiny models through the program, and on real siblings.

mod common;
#[path = "common/tiny.rs"]
mod tiny;
#[path = "common/writers.rs"]
mod writers;

use assert_cmd::Command;
use candle_core::{DType, Device};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tiny::{SamplingFamily, Tiny};
use whowrote::model::generate::{Generated, Job, Limits, Listener, generate};
use whowrote::model::{LanguageModel, ModelError, Vocabulary};
use whowrote::scoring::{Hidden, Prefix, Scoring, cross, score_keeping};
use whowrote::stats::cross_entropy::{exact, tilt};
use whowrote::stats::sampling_params::SamplingParams;
use whowrote::stats::token_stats::{CrossScores, CrossTokenStats, TILTS, TextScores};
use whowrote::stats::verdict::{Decision, PromptKnowledge, Reading, Test, cross_betas, decide, scoring};
use whowrote::stats::{CrossProcess, GapProcess, clopper_pearson, ln_average, rejects};

const TEXT: &str = "the hat that the hen had at the heat of the day, and then the thing";

/// What `detect` says of [`TEXT`], without a prompt, of authors in the folders `a` and `b`.
fn verdict(a: &Path, b: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command
        .args(["detect", "--format", "json", "--offline", "--no-prompt", "--a"])
        .arg(a)
        .arg("--b")
        .arg(b)
        .args(arguments)
        .write_stdin(TEXT);
    let output = command.assert().code(0).get_output().stdout.clone();
    serde_json::from_slice(&output).unwrap()
}

fn near(json: &serde_json::Value, value: f64) -> bool {
    (json.as_f64().unwrap() - value).abs() < 1e-6
}

fn test_names(hypothesis: &serde_json::Value) -> Vec<&str> {
    let evidence = hypothesis["evidence"].as_array().unwrap();
    evidence.iter().map(|e| e["test"].as_str().unwrap()).collect()
}

#[test]
fn models_of_one_vocabulary_are_compared_and_nothing_changes_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let folder_of = |name: &str, family: SamplingFamily, seed: u64, more: usize| {
        let path = folder.path().join(name);
        let vocab = tiny::pieces().len() + more;
        Tiny::with_vocab(family, seed, vocab).write_folder(&path, DType::F32, 1);
        path
    };
    let one = folder_of("one", SamplingFamily::Qwen2, 1, 0);
    let two = folder_of("two", SamplingFamily::Llama, 2, 0);
    let padded = folder_of("padded", SamplingFamily::Llama, 2, 8);
    let vocabulary = |path: &Path| Vocabulary::read("tiny", path).unwrap();
    assert_eq!(vocabulary(&one), vocabulary(&two));
    assert_ne!(vocabulary(&one), vocabulary(&padded));
    assert_eq!(vocabulary(&one).digest, vocabulary(&padded).digest);

    let untruncated = ["--decoding", "temperature=0.8"];
    let report = verdict(&one, &two, &untruncated);
    let models = [&one, &two].map(|path| LanguageModel::load("tiny", path, &Device::Cpu, u64::MAX).unwrap());
    let at = Scoring::at(vec![1.0, 1.25]);
    let [first, second] = [0, 1].map(|i| kept(&models[i], models[i].tokenizer().context(), TEXT, &at));
    let pair = [(1.25, 1.25)];
    let figures = cross([&models[0], &models[1]], [&first.1, &second.1], &pair)
        .unwrap()
        .unwrap();
    for (author, other) in [(0, "two"), (1, "one")] {
        let hypothesis = &report["hypotheses"][author];
        assert_eq!(
            test_names(hypothesis),
            ["entropy-gap", "likelihood-ratio", "cross-entropy"]
        );
        let wanted = exact(&figures[0][author], models[0].decoder().vocab(), 0.05 / 3.0);
        let evidence = &hypothesis["evidence"][2];
        assert_eq!(evidence["against"], serde_json::json!([other]));
        assert!(
            near(&evidence["ln_e_value"], wanted.gap.ln_e_value),
            "{evidence} {wanted:?}"
        );
        assert!(near(&evidence["statistic"], wanted.gap.statistic));
        assert!(near(&evidence["threshold"], wanted.gap.threshold()));
        assert!(near(&evidence["closed_form_threshold"], wanted.closed_form));
        // All move by tokens: the mean of the three.
        let ln_e: Vec<(f64, f64)> = (0..3)
            .map(|i| (hypothesis["evidence"][i]["ln_e_value"].as_f64().unwrap(), 1.0))
            .collect();
        assert!(near(&hypothesis["ln_e_value"], ln_average(&ln_e)), "{hypothesis}");
    }
    assert_ne!(figures[0][0], figures[0][1]);

    // Three of one vocabulary: each is compared with both others, and each comparison counts as a test.
    let three = folder_of("three", SamplingFamily::Qwen3, 3, 0);
    let mut with_third = untruncated.to_vec();
    with_third.extend(["--a", three.to_str().unwrap()]);
    let report = verdict(&one, &two, &with_third);
    let authors: Vec<&str> = (0..3)
        .map(|i| report["hypotheses"][i]["author"].as_str().unwrap())
        .collect();
    assert_eq!(authors, ["one", "three", "two"]);
    for (place, others) in [["three", "two"], ["one", "two"], ["one", "three"]].iter().enumerate() {
        let hypothesis = &report["hypotheses"][place];
        let evidence = &hypothesis["evidence"].as_array().unwrap()[2..];
        let mut against: Vec<&str> = evidence.iter().map(|e| e["against"][0].as_str().unwrap()).collect();
        against.sort_unstable();
        assert_eq!(against, *others);
        assert!(near(&hypothesis["evidence"][1]["threshold"], (4f64 / 0.05).ln()));
    }

    // Two tests share the level where there is no pair.
    let report = verdict(&one, &padded, &untruncated);
    for author in 0..2 {
        let hypothesis = &report["hypotheses"][author];
        assert_eq!(test_names(hypothesis), ["entropy-gap", "likelihood-ratio"]);
        assert!(near(&hypothesis["evidence"][1]["threshold"], (2f64 / 0.05).ln()));
    }
    // Asked for alone it leaves untested what it cannot test.
    let alone = ["--decoding", "temperature=0.8", "--test", "cross-entropy"];
    let report = verdict(&one, &padded, &alone);
    assert_eq!(report["hypotheses"][0]["basis"], "untested");
    assert_eq!(verdict(&one, &two, &alone)["hypotheses"][0]["basis"], "prompt");
    // A family of decodings has no cross-entropy.
    let report = verdict(&one, &two, &["--decoding", "deployed"]);
    assert_eq!(test_names(&report["hypotheses"][0]), ["likelihood-ratio"]);
}

/// A decision on artificial figures: gaps of nothing, and a cross-entropy of `tokens`, of author a only.
fn decided(tokens: Vec<CrossTokenStats>, decoding: &str) -> Decision {
    let candidates = writers::candidates(["a", "b"], &decoding.parse().unwrap());
    let scores = |model: &str, cross: Vec<CrossScores>| {
        let scores = TextScores {
            model: model.into(),
            vocab: 100,
            symbols: [0; 32],
            ids: vec![0; 100],
            spans: (0..100).map(|i| i..i + 1).collect(),
            first_scored: 0,
            betas: vec![1.0],
            ranks: vec![1; 100],
            stats: vec![
                whowrote::scoring::TokenStats {
                    surprisal: 2.0,
                    entropy: 2.0,
                    varentropy: 1.0,
                    ln_space_mass: -1.0,
                    cgf: TILTS.map(|s| s * s / 2.0),
                };
                100
            ],
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross,
        };
        (model.to_owned(), scores)
    };
    let crossed = CrossScores {
        other: "b".into(),
        betas: (1.0, 1.0),
        tokens,
    };
    let scores = BTreeMap::from([scores("a", vec![crossed]), scores("b", Vec::new())]);
    let policy = writers::policy(
        PromptKnowledge::Known,
        &[Test::EntropyGap, Test::CrossEntropy],
        Vec::new(),
    );
    let unread = BTreeMap::new();
    let unprompted = Reading {
        models: &[],
        scores: &unread,
    };
    decide(&"a".repeat(100), &candidates, &scores, unprompted, &policy)
}

#[test]
fn the_cross_entropy_alone_can_rule_an_author_out_and_says_nothing_where_nothing_is_compared() {
    let token = |surprisal: f64| CrossTokenStats {
        surprisal,
        cross_entropy: 3.0,
        cgf: TILTS.map(|s| s * s / 2.0),
        range: 10.0,
    };
    for (surprisal, retained) in [(3.0, true), (3.6, false), (2.4, false)] {
        let decision = decided(vec![token(surprisal); 100], "temperature=1");
        let [a, b] = [0, 1].map(|i| &decision.hypotheses[i]);
        assert_eq!((a.retained, b.retained), (retained, true), "{surprisal}");
        assert_eq!((a.evidence.len(), b.evidence.len()), (2, 1));
        assert_eq!(a.evidence[1].against, ["b"]);
        assert_eq!(
            a.evidence[0].threshold,
            decided(Vec::new(), "temperature=1").hypotheses[0].evidence[0].threshold
        );
    }
    // The two cut the text differently: the test keeps its share of the level and has an e-value of 1.
    let silent = decided(Vec::new(), "temperature=1");
    assert!(silent.hypotheses[0].retained);
    assert!(silent.hypotheses[0].evidence[1].ln_e_value.abs() < 1e-12);
    assert_eq!(silent.hypotheses[0].evidence[1].closed_form_threshold, None);
    // Sampled at another temperature than what was compared, or in a family of ways: no such evidence.
    for decoding in ["temperature=0.5", "deployed"] {
        let decision = decided(vec![token(9.0); 100], decoding);
        assert!(
            decision.hypotheses[0]
                .evidence
                .iter()
                .all(|e| e.test != Test::CrossEntropy)
        );
    }
}

#[test]
fn models_are_compared_at_the_temperatures_of_the_candidates() {
    let candidates = |a: &str, b: &str| {
        let mut candidates = writers::candidates(["a", "b"], &a.parse().unwrap());
        candidates[1].decoding = b.parse().unwrap();
        candidates
    };
    let betas = |a: &str, b: &str| cross_betas(&candidates(a, b), ["a", "b"]);
    assert_eq!(betas("temperature=0.5", "temperature=0.8"), [(2.0, 1.25)]);
    assert_eq!(betas("temperature=0.5", "deployed"), [(2.0, 1.0)]);
    assert_eq!(betas("temperature=1,top-p=0.9", "temperature=0.5"), [(1.0, 2.0)]);
    assert_eq!(betas("deployed", "any"), []);
    let mut many = candidates("deployed", "deployed");
    many.extend(candidates("temperature=0.5", "temperature=1"));
    assert_eq!(cross_betas(&many, ["a", "b"]), [(1.0, 1.0), (2.0, 1.0)]);
    assert_eq!(scoring(&many).betas, [1.0, 2.0]);
}

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

/// So many texts of so many tokens at temperature 1, untruncated, each with the prompt that it goes on from.
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

/// One text's figures and hidden states.
fn kept(model: &LanguageModel, context: &[u32], text: &str, at: &Scoring) -> (TextScores, Hidden) {
    let tokens = model.tokenizer().encode(text).unwrap();
    score_keeping(model, &Prefix::new(context), vec![tokens], at)
        .unwrap()
        .remove(0)
}

fn scored(model: &LanguageModel, texts: &[(Vec<u32>, String)]) -> Vec<(TextScores, Hidden)> {
    let at = Scoring::at(vec![1.0]);
    let texts = texts.iter();
    texts.map(|(prompt, text)| kept(model, prompt, text, &at)).collect()
}

/// In how many of the texts, each token by token, an e-process ever refutes its author at [`ALPHA`], and after how many tokens
/// in the median, no refutation counting as infinitely many; the mean statistic, and the closed form's refutations.
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
        let found = cross([&model, &model], [hidden, hidden], &pairs).unwrap().unwrap();
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
            let found = cross([&models[0], &models[1]], [&a.1, &b.1], &[(1.0, 1.0)]).unwrap();
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
