//! The confidence set with the prompt unknown: texts that a default model writes, to prompts that no calibration has
//! seen, keep their author.

mod common;
#[path = "common/writers.rs"]
mod writers;

use assert_cmd::Command;
use candle_core::Device;
use std::collections::BTreeMap;
use std::sync::Arc;
use whowrote::model::LanguageModel;
use whowrote::model::chat::{Prompt, prompt_ids, unknown_prompt_ids};
use whowrote::model::generate::{Generated, Job, Limits, Listener, generate};
use whowrote::report::WarningCode;
use whowrote::scoring::score_after;
use whowrote::stats::calibration::{CalibratedModel, built_in};
use whowrote::stats::clopper_pearson;
use whowrote::stats::sampling_params::SamplingFamily;
use whowrote::stats::token_stats::TextScores;
use whowrote::stats::verdict::{PromptKnowledge, Reading, Verdict, decide, scoring};

const WRITER: &str = "smollm2-135m-instruct";
const NAMES: [&str; 2] = [WRITER, "gemma-3-270m"];
const PROMPTS: &str = include_str!("../calibration/prompts.jsonl");
/// Of the prompts that are kept for tests, every so many.
const EVERY: usize = 6;
const WORDS: usize = 100;

#[derive(Default)]
struct Texts(Vec<String>);

impl Listener for Texts {
    type Error = whowrote::model::ModelError;

    fn finished(&mut self, _: usize, generated: Generated) -> Result<(), Self::Error> {
        self.0.push(generated.text);
        Ok(())
    }
}

/// What the model answers to prompts of every kind, at temperature 0.7 with top-p 0.9.
fn write(model: &LanguageModel) -> Vec<String> {
    let prompts = PROMPTS
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|prompt| prompt["part"] == "test")
        .step_by(EVERY);
    let jobs: Vec<Job> = prompts
        .enumerate()
        .map(|(i, prompt)| {
            let user = prompt["instruction"].as_str().unwrap().to_owned();
            Job {
                prompt: Arc::new(prompt_ids(model, &Prompt::Chat { system: None, user }).unwrap()),
                decoding: "temperature=0.7,top-p=0.9".parse().unwrap(),
                seed: i as u64,
            }
        })
        .collect();
    let limits = Limits {
        words: WORDS,
        tokens: 2 * WORDS,
    };
    let mut texts = Texts::default();
    generate(model, &jobs, limits, jobs.len(), &mut texts).unwrap();
    texts.0
}

#[test]
fn a_model_keeps_what_it_wrote_to_prompts_that_nobody_knows() {
    let candidates = writers::candidates(NAMES, &SamplingFamily::Deployed);
    let policy = writers::policy(PromptKnowledge::Unknown, &[], built_in());
    let models: Vec<CalibratedModel> = policy.calibrations[0].models.clone();
    assert_eq!(
        models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(),
        NAMES
    );
    let mut texts = Vec::new();
    let mut scores: Vec<BTreeMap<String, TextScores>> = Vec::new();
    for name in NAMES {
        let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
        if name == WRITER {
            texts = write(&model);
            scores.resize(texts.len(), BTreeMap::new());
        }
        let context = unknown_prompt_ids(&model).unwrap();
        for (text, scores) in texts.iter().zip(&mut scores) {
            let figures = score_after(&model, &context, text, &scoring(&candidates)).unwrap();
            scores.insert(name.to_owned(), figures);
        }
    }
    let (mut retained, mut alone, mut wrong) = (0u64, 0u64, 0u64);
    for (text, scores) in texts.iter().zip(&scores) {
        let decision = decide(
            text,
            &candidates,
            scores,
            Reading {
                models: &models,
                scores,
            },
            &policy,
        );
        let own = decision.hypotheses[0].retained;
        retained += u64::from(own);
        alone += u64::from(own && decision.verdict == Verdict::Attributed);
        wrong += u64::from(!own && decision.verdict == Verdict::Attributed);
        let p: Vec<String> = decision
            .hypotheses
            .iter()
            .map(|h| format!("{:.3?}", h.p_value))
            .collect();
        println!(
            "{:3} words, {:?}: {}",
            text.split_whitespace().count(),
            decision.verdict,
            p.join(" ")
        );
    }
    let n = texts.len() as u64;
    println!("{n} texts: author retained {retained}, alone {alone}, somebody else alone {wrong}");
    assert!(n >= 20, "only {n} texts");
    // The guarantee is a rate of at least 0.95.
    assert!(
        clopper_pearson(retained, n, 0.999).1 >= 0.95,
        "the author was ruled out of {} of {n}",
        n - retained
    );
    assert!(2 * alone >= n, "only {alone} of {n} were attributed");
}

#[test]
fn what_is_easier_than_every_calibration_text_is_outside() {
    let text = "all work and no play makes Jack a dull boy\n".repeat(20);
    let candidates = writers::candidates(NAMES, &SamplingFamily::Deployed);
    let policy = writers::policy(PromptKnowledge::Unknown, &[], built_in());
    let mut scores = BTreeMap::new();
    for name in NAMES {
        let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
        let context = unknown_prompt_ids(&model).unwrap();
        let figures = score_after(&model, &context, &text, &scoring(&candidates)).unwrap();
        scores.insert(name.to_owned(), figures);
    }
    let models = policy.calibrations[0].models.clone();
    let decision = decide(
        &text,
        &candidates,
        &scores,
        Reading {
            models: &models,
            scores: &scores,
        },
        &policy,
    );
    assert_eq!(decision.verdict, Verdict::Undecided);
    assert!(decision.hypotheses.iter().all(|h| h.retained && h.p_value.is_none()));
    let told = decision
        .warnings
        .iter()
        .find(|w| w.code == WarningCode::OutsideCalibration);
    assert!(
        told.is_some_and(|w| w.message.contains("easier to predict")),
        "{:?}",
        decision.warnings
    );
}

/// People's calibration was read without a prompt. A text that its prompt gives away is predictable to every model after it,
/// and says no more of who wrote it than before.
#[test]
fn a_person_is_judged_as_if_there_were_no_prompt() {
    let text = "On the second morning the wind had dropped, and we could see from the kitchen how the whole slope behind \
                the barn had slid down to the road, with the fence still standing in it as if nobody had told it. My \
                uncle walked out in his slippers. He looked for a while, then said that it had been too steep to mow \
                anyway, and went to telephone the parish.";
    let folder = tempfile::tempdir().unwrap();
    let prompt = folder.path().join("prompt.txt");
    std::fs::write(&prompt, format!("Correct the spelling of the following text. {text}")).unwrap();
    for name in NAMES {
        common::model_file(name);
    }
    let judged = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("whowrote").unwrap();
        command
            .args(["detect", "--format", "json"])
            .args(arguments)
            .write_stdin(text);
        let output = command.assert().code(0).get_output().stdout.clone();
        let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
        let hypotheses = report["hypotheses"].as_array().unwrap().clone();
        let figures = |author: &str, field: &str| {
            let hypothesis = hypotheses.iter().find(|h| h["author"] == author).unwrap();
            hypothesis[field].clone()
        };
        assert_eq!(figures("human", "basis"), "calibration");
        assert_eq!(figures("human", "retained"), true);
        (figures("human", "p_value"), figures(WRITER, "basis"))
    };
    let (p_value, basis) = judged(&[]);
    assert_eq!(basis, "calibration");
    for arguments in [&["--prompt", prompt.to_str().unwrap()][..], &["--no-prompt"]] {
        assert_eq!(judged(arguments), (p_value.clone(), "prompt".into()), "{arguments:?}");
    }
}

/// A text of 24 words.
const SHORT: &str = "He looked for a while, then said that it had been too steep to mow anyway, and went to telephone the parish \
                     about the fence.";

/// What `detect` reports of [`SHORT`], and of a person.
fn detected(arguments: &[&str]) -> (serde_json::Value, serde_json::Value) {
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command.args(["detect", "--format", "json"]).args(arguments);
    let output = command.write_stdin(SHORT).assert().code(0).get_output().stdout.clone();
    let report: serde_json::Value = serde_json::from_slice(&output).unwrap();
    let hypotheses = report["hypotheses"].as_array().unwrap();
    let person = hypotheses.iter().find(|h| h["author"] == "human").unwrap().clone();
    (report, person)
}

#[test]
fn a_level_that_no_calibration_reaches_is_told() {
    for name in NAMES {
        common::model_file(name);
    }
    let (report, _) = detected(&["--alpha", "0.001", "--alpha-human", "0.01"]);
    let told: Vec<&str> = report["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|warning| warning["code"] == "uncalibrated")
        .map(|warning| warning["message"].as_str().unwrap())
        .collect();
    assert_eq!(told.len(), 2, "{told:?}");
    for (message, name) in told.iter().zip(NAMES) {
        assert!(
            message.contains(&format!(
                "Nothing can rule out {name} at the level of 0.001: that takes texts as long as this one of 999 documents or prompts"
            )),
            "{message}"
        );
    }
}

/// What `calibrate` writes, `detect` reads: people's texts as the same models see them, with figures equal to a hair.
#[test]
fn a_text_is_an_ordinary_one_among_copies_of_itself() {
    for name in NAMES {
        common::model_file(name);
    }
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("people.jsonl");
    let lines: Vec<String> = (0..19)
        .map(|i| serde_json::json!({ "text": SHORT, "id": i.to_string() }).to_string())
        .collect();
    std::fs::write(&texts, lines.join("\n")).unwrap();
    let calibration = folder.path().join("people.json");
    // The user's own goes before the built-in one, though that may know more of the models.
    for models in [&[][..], &["--model", WRITER]] {
        let mut command = Command::cargo_bin("whowrote").unwrap();
        command
            .args(["calibrate", "--author", "human", "-o"])
            .args([&calibration, &texts])
            .args(models);
        command.assert().code(0);
        let calibration = calibration.to_str().unwrap();
        let (_, person) = detected(&[
            "--alpha-human",
            "0.05",
            "--genre",
            "texts",
            "--calibration",
            calibration,
        ]);
        assert_eq!(person["p_value"], 1.0, "{person}");
        assert_eq!(person["evidence"][0]["calibration"]["texts"], 19);
        assert_eq!(person["evidence"][0]["calibration"]["group"], "texts");
        assert_eq!(person["evidence"][0]["against"], serde_json::json!(NAMES));
    }
}

#[test]
fn a_person_can_be_held_against_one_genre() {
    for name in NAMES {
        common::model_file(name);
    }
    let judged = |arguments: &[&str]| {
        let (_, person) = detected(arguments);
        let calibration = &person["evidence"][0]["calibration"];
        let group = calibration["group"].as_str().unwrap().to_owned();
        (group, calibration["texts"].as_u64().unwrap())
    };
    let all = judged(&[]).1;
    let of = |genre: &str| {
        let (group, texts) = judged(&["--genre", genre]);
        assert_eq!(group, genre);
        texts
    };
    assert_eq!(of("informative") + of("essays and fiction"), all);
}
