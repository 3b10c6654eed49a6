//! The confidence set with the prompt unknown: texts that the default models write, to prompts that no calibration has
//! seen, keep their author.

use crate::common;
use assert_cmd::Command;
use candle_core::Device;
use std::sync::Arc;
use whowrote::input::Document;
use whowrote::model::LanguageModel;
use whowrote::model::chat::{Prompt, prompt_ids};
use whowrote::model::generate::{Generated, Job, Limits, Listener, generate};
use whowrote::report::{ProvenanceReport, Warning};
use whowrote::stats::calibration::HUMAN;
use whowrote::stats::clopper_pearson;
use whowrote::stats::verdict::{ALPHA, Caveat, Outside, Verdict};
use whowrote::{Judge, JudgeSettings};

const WRITER: &str = "smollm2-135m-instruct";
const NAMES: [&str; 2] = [WRITER, "gemma-3-270m"];
const PROMPTS: &str = include_str!("../../../calibration/prompts.jsonl");
/// Every way of sampling that is calibrated; one after the other, prompt by prompt.
const DECODINGS: [&str; 6] = [
    "temperature=0.2,top-p=0.9",
    "temperature=0.7,top-p=0.9",
    "temperature=1,top-p=0.9",
    "temperature=1,top-p=0.95",
    "temperature=1,top-k=64,top-p=0.95",
    "temperature=0.85",
];
const WORDS: usize = 50;
/// The texts that each model writes, one a prompt.
const TEXTS: u64 = 190;
/// Of the interval whose lower limit must not lie above the promised rate.
const CONFIDENCE: f64 = 0.99;

#[derive(Default)]
struct Texts(Vec<(usize, String)>);

impl Listener for Texts {
    type Error = whowrote::model::ModelError;

    fn finished(&mut self, job: usize, generated: Generated) -> Result<(), Self::Error> {
        self.0.push((job, generated.text));
        Ok(())
    }
}

/// What a default model answers to each prompt that no calibration has seen. A model that holds no conversations
/// continues the opening. Each text has the name of its decoding.
fn write(name: &str) -> Vec<Document> {
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
    let prompts = PROMPTS
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|prompt| prompt["part"] == "test");
    let jobs: Vec<Job> = prompts
        .enumerate()
        .map(|(i, prompt)| {
            let field = |name: &str| prompt[name].as_str().unwrap().to_owned();
            let prompt = if name == WRITER {
                Prompt::Chat {
                    system: None,
                    user: field("instruction"),
                }
            } else {
                Prompt::Text(field("opening"))
            };
            Job {
                prompt: Arc::new(prompt_ids(&model, &prompt).unwrap()),
                decoding: DECODINGS[i % DECODINGS.len()].parse().unwrap(),
                seed: i as u64,
            }
        })
        .collect();
    let limits = Limits {
        words: WORDS,
        tokens: 3 * WORDS,
    };
    let mut texts = Texts::default();
    generate(&model, &jobs, limits, 64, &mut texts).unwrap();
    let texts = texts.0.into_iter();
    texts
        .map(|(job, text)| Document::from_text(DECODINGS[job % DECODINGS.len()].to_owned(), text))
        .collect()
}

/// What this finds: were a model wrongly excluded at a rate of 0.15, its own 190 texts would show it with probability
/// 0.98, at 0.2 or more with 0.9999; were both at 0.1, all 380 texts would with 0.87, at 0.12 with 0.99. A rate of just
/// 0.05 fails with 0.003 of one model's texts (19 or more excluded) and 0.003 of all (32 or more).
#[test]
fn a_model_keeps_what_it_wrote_to_prompts_that_nobody_knows() {
    let mut judge = Judge::new(JudgeSettings::default()).unwrap();
    let (mut all, mut lost) = (0, 0);
    for (author, name) in NAMES.iter().enumerate() {
        let texts = write(name);
        let reports = judge.judge(&texts).unwrap();
        let retained = |report: &ProvenanceReport| report.hypotheses[author].retained;
        let attributed = |report: &&ProvenanceReport| report.verdict == Verdict::Attributed;
        for report in &reports {
            assert_eq!(report.hypotheses[author].author, *name);
        }
        let ruled_out: Vec<&ProvenanceReport> = reports.iter().filter(|report| !retained(report)).collect();
        for report in &ruled_out {
            let p = report.hypotheses[author].p_value.unwrap();
            println!(
                "{name} was excluded (p {p:.3}) for a text at {}: {:?}",
                report.input.name, report.authors
            );
        }
        let n = reports.len() as u64;
        let alone = reports
            .iter()
            .filter(attributed)
            .filter(|report| retained(report))
            .count() as u64;
        let wrong = ruled_out.iter().copied().filter(attributed).count();
        println!(
            "{name}: {n} texts, excluded {}, alone {alone}, somebody else alone {wrong}",
            ruled_out.len()
        );
        assert_eq!(n, TEXTS);
        assert_within_alpha(name, ruled_out.len() as u64, n);
        assert!(2 * alone >= n, "only {alone} of {n} texts were attributed to {name}");
        all += n;
        lost += ruled_out.len() as u64;
    }
    assert_within_alpha("their author", lost, all);
}

/// The guarantee is that a model is wrongly excluded at most at a rate of alpha.
fn assert_within_alpha(name: &str, ruled_out: u64, n: u64) {
    let (low, _) = clopper_pearson(ruled_out, n, CONFIDENCE);
    assert!(low <= ALPHA, "{name} was excluded for {ruled_out} of {n} own texts");
}

/// What the program says of a text by default.
fn judged(text: String) -> ProvenanceReport {
    let document = Document::from_text("text".to_owned(), text);
    let mut judge = Judge::new(JudgeSettings::default()).unwrap();
    judge.judge(&[document]).unwrap().remove(0)
}

#[test]
fn what_is_easier_than_every_calibration_text_is_outside() {
    let report = judged("work ".repeat(200));
    assert_eq!(report.verdict, Verdict::Undecided);
    assert!(report.hypotheses.iter().all(|h| h.retained && h.p_value.is_none()));
    let is_easier = |warning: &Warning| matches!(warning, Warning::Decision(Caveat::Outside(Outside::Easier { .. })));
    assert!(report.warnings.iter().any(is_easier), "{:?}", report.warnings);
}

/// Anybody can copy a sentence, and to every model the copies look machine-made.
#[test]
fn a_sentence_many_times_names_no_author_alone() {
    let report = judged("I will not talk in class again. ".repeat(30));
    assert!(
        report.authors.iter().any(|author| author == HUMAN),
        "{:?}",
        report.hypotheses
    );
    let repeats = |warning: &Warning| matches!(warning, Warning::Decision(Caveat::Repeats));
    assert!(report.warnings.iter().any(repeats), "{:?}", report.warnings);
}

/// The human-written calibration texts were read without a prompt. After a prompt that gives the text away, every model
/// finds it predictable, and that does not show who wrote it.
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
                "Nothing can exclude {name} at the level of 0.001. Each group of its calibration would need texts this long from 999 \
                 documents or prompts"
            )),
            "{message}"
        );
    }
}

/// `detect` reads what `calibrate` writes: the same models give a text the same figures for both.
#[test]
fn a_text_is_an_ordinary_one_among_copies_of_itself() {
    for name in NAMES {
        common::model_file(name);
    }
    let folder = tempfile::tempdir().unwrap();
    let texts = folder.path().join("people.jsonl");
    let calibration = folder.path().join("people.json");
    // The user's own goes before the built-in one, though that may know more of the models. Too few texts for a fitted
    // score are all compared.
    for (count, models) in [(50, &[][..]), (50, &["--model", WRITER]), (19, &[])] {
        let lines: Vec<String> = (0..count)
            .map(|i| serde_json::json!({ "text": SHORT, "id": i.to_string(), "document": i.to_string() }).to_string())
            .collect();
        std::fs::write(&texts, lines.join("\n")).unwrap();
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
        let evidence = &person["evidence"][0];
        assert_eq!(evidence["calibration"]["group"], "texts");
        let compared = evidence["calibration"]["texts"].as_u64().unwrap();
        if count == 19 {
            assert!(compared == 19 && evidence["against"].is_null(), "{evidence}");
        } else {
            assert!((19..50).contains(&compared), "{compared}");
            assert_eq!(evidence["against"], serde_json::json!(NAMES));
        }
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
