//! The cross-entropy test from weights to verdict, on tiny models through the program.

use crate::common::tiny::{self, ArchitectureFamily, Tiny};
use assert_cmd::Command;
use candle_core::{DType, Device};
use std::path::Path;
use whowrote::model::{LanguageModel, Vocabulary};
use whowrote::scoring::{Hidden, Prefix, Scoring, cross_entropy_pass, score_keeping};
use whowrote::stats::cross_entropy::exact;
use whowrote::stats::ln_average;
use whowrote::stats::token_stats::TextScores;

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

/// One text's figures and hidden states.
pub fn kept(model: &LanguageModel, context: &[u32], text: &str, at: &Scoring) -> (TextScores, Hidden) {
    let tokens = model.tokenizer().encode(text).unwrap();
    score_keeping(model, &Prefix::new(context), vec![tokens], at)
        .unwrap()
        .remove(0)
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
    let folder_of = |name: &str, family: ArchitectureFamily, seed: u64, more: usize| {
        let path = folder.path().join(name);
        let vocab = tiny::pieces().len() + more;
        Tiny::with_vocab(family, seed, vocab).write_folder(&path, DType::F32, 1);
        path
    };
    let one = folder_of("one", ArchitectureFamily::Qwen2, 1, 0);
    let two = folder_of("two", ArchitectureFamily::Llama, 2, 0);
    let padded = folder_of("padded", ArchitectureFamily::Llama, 2, 8);
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
    let figures = cross_entropy_pass([&models[0], &models[1]], [&first.1, &second.1], &pair)
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
    let three = folder_of("three", ArchitectureFamily::Qwen3, 3, 0);
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

    // Without a pair, two tests share the level.
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
