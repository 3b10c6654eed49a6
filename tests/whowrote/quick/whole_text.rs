//! Texts that are read in pieces, from the file to the verdict, on tiny models through the program.

use crate::common::tiny;
use assert_cmd::Command;
use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::ops::Range;
use std::path::PathBuf;

/// The words of the people of this test, and those of its models.
const WORDS: [&str; 16] = [
    "the", "old", "garden", "was", "full", "of", "roses", "and", "we", "walked", "there", "with", "our", "mother",
    "every", "evening",
];
const WORDS_OF_MODELS: [[&str; 16]; 2] = [
    [
        "the", "buzzing", "queue", "was", "jazzy", "of", "quizzes", "and", "we", "puzzled", "over", "with", "fuzzy",
        "oxen", "every", "vixen",
    ],
    [
        "the", "tall", "tree", "was", "little", "of", "letters", "and", "we", "rattled", "it", "with", "tattle",
        "till", "every", "title",
    ],
];

/// Sentences of ten words.
fn text(words: &[&str], sentences: usize, rng: &mut StdRng) -> String {
    let sentence = |_| {
        let words: Vec<&str> = (0..10).map(|_| *words.choose(rng).unwrap()).collect();
        format!("{}.", words.join(" "))
    };
    let sentences: Vec<String> = (0..sentences).map(sentence).collect();
    sentences.join(" ")
}

/// `detect` with the tiny models, and with calibrations of them and of people.
struct Detector {
    folder: tempfile::TempDir,
    calibrations: Vec<PathBuf>,
}

impl Detector {
    /// Calibrations of 80 words: two thirds of 66 documents are enough for the levels of this test.
    fn new(rng: &mut StdRng) -> Self {
        Self::calibrated(8, &[], rng)
    }

    /// Calibrations of texts of so many sentences.
    fn calibrated(sentences: usize, arguments: &[&str], rng: &mut StdRng) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let texts = folder.path().join("texts.jsonl");
        let calibrations = [
            ("human", &WORDS),
            ("one", &WORDS_OF_MODELS[0]),
            ("two", &WORDS_OF_MODELS[1]),
        ]
        .map(|(author, words)| {
            let line = |i: usize| {
                json!({"text": text(words, sentences, rng), "document": i.to_string(), "genre": "all"}).to_string()
            };
            std::fs::write(&texts, (0..66).map(line).collect::<Vec<_>>().join("\n")).unwrap();
            let path = folder.path().join(author);
            calibrate(author)
                .arg("-o")
                .args([&path, &texts])
                .args(arguments)
                .assert()
                .code(0);
            path
        });
        Self {
            calibrations: calibrations.to_vec(),
            folder,
        }
    }

    /// The report on a text. People's and models' levels are such that all of them can be excluded.
    fn report(&self, text: &str, arguments: &[&str]) -> Value {
        let [one, two] = tiny::two_models();
        let mut command = Command::cargo_bin("whowrote").unwrap();
        command
            .args(["detect", "--format", "json", "--offline", "--alpha", "0.2"])
            .current_dir(&self.folder);
        for calibration in &self.calibrations {
            command.arg("--calibration").arg(calibration);
        }
        command
            .arg("--a")
            .arg(one)
            .arg("--b")
            .arg(two)
            .args(arguments)
            .write_stdin(text);
        serde_json::from_slice(&command.assert().code(0).get_output().stdout).unwrap()
    }
}

/// `calibrate` for an author, as read by the tiny models.
fn calibrate(author: &str) -> Command {
    let [one, two] = tiny::two_models();
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command
        .args(["calibrate", "--offline", "--group", "genre", "--author", author])
        .arg("--model")
        .arg(one)
        .arg("--model")
        .arg(two);
    command
}

fn spans(report: &Value) -> Vec<Range<usize>> {
    let pieces = report["pieces"].as_array().unwrap().iter();
    let at = |piece: &Value, field: &str| piece[field].as_u64().unwrap() as usize;
    pieces.map(|piece| at(piece, "start")..at(piece, "end")).collect()
}

fn person(report: &Value) -> &Value {
    &report["hypotheses"][2]
}

#[test]
fn a_person_is_judged_by_all_pieces_and_an_odd_piece_is_named() {
    let mut rng = StdRng::seed_from_u64(5);
    let detector = Detector::new(&mut rng);
    let mut own = |sentences: usize| text(&WORDS, sentences, &mut rng);
    let parts = [own(15), own(15), own(15), own(15), own(12)];

    // Five pieces, and the third is somebody else's.
    let mut mixed = parts.clone();
    mixed[2] = text(&WORDS_OF_MODELS[0], 15, &mut StdRng::seed_from_u64(1));
    let text = mixed.join("\n\n");
    let report_of_all = detector.report(&text, &[]);
    let report = &report_of_all;
    let found = spans(report);
    assert_eq!(found.iter().map(|span| &text[span.clone()]).collect::<Vec<_>>(), mixed);
    let pieces = report["pieces"].as_array().unwrap();
    let unlike: Vec<bool> = pieces.iter().map(|piece| piece["unlike"] == json!(["human"])).collect();
    assert_eq!(unlike, [false, false, true, false, false], "{pieces:?}");
    assert_eq!(
        (&person(report)["retained"], &person(report)["pieces"]),
        (&json!(true), &json!(5))
    );
    let piece = &pieces[2];
    assert_eq!(piece["words"], 150);
    assert!(mixed[2].starts_with(piece["begins"].as_str().unwrap()));
    // Each piece is judged as it is by itself, and models are judged by the first.
    let alone = detector.report(&mixed[2], &[]);
    assert_eq!(person(&alone)["p_value"], piece["p_values"]["human"]);
    assert!(alone["pieces"].is_null() && person(&alone)["pieces"].is_null());
    let first = detector.report(&text, &["--first", "150"]);
    assert!(first["pieces"].is_null());
    assert_eq!(person(&first)["p_value"], pieces[0]["p_values"]["human"]);
    assert_eq!(first["hypotheses"][0], report["hypotheses"][0]);
    assert_eq!(spans(&detector.report(&text, &["--first", "300"])), found[..2]);

    // Somebody else wrote two of three pieces.
    let report = detector.report(&[&parts[0], &mixed[2], &mixed[2]].map(String::as_str).join("\n\n"), &[]);
    assert_eq!(
        (&person(&report)["retained"], &report["verdict"]),
        (&json!(false), &json!("unknown"))
    );

    // With a known prompt the models read all of the text in one go, and a person is judged by the same pieces.
    let prompted = detector.report(&text, &["--no-prompt"]);
    assert_eq!(spans(&prompted), found);
    assert_eq!(prompted["pieces"][2]["p_values"]["human"], piece["p_values"]["human"]);
    assert_eq!(prompted["hypotheses"][0]["basis"], "prompt");
    let words = |report: &Value| -> Vec<Value> {
        let pieces = report["pieces"].as_array().unwrap().iter();
        pieces.map(|piece| piece["words"].clone()).collect()
    };
    assert_eq!(words(&prompted), words(&report_of_all));
    let tokens = detector.report(&text, &["--tokens"]);
    assert_eq!(tokens["pieces"], report_of_all["pieces"]);
    let few = detector.report(&text, &["--tokens", "--first", "50"]);
    assert_eq!(person(&few)["evidence"][0]["calibration"]["words"], 50);
    let last = tokens["models"]["one"]["per_token"].as_array().unwrap().last().unwrap();
    assert_eq!(last["end"], text.len());
}

#[test]
fn a_model_whose_later_pieces_are_known_is_judged_by_all_pieces() {
    let mut rng = StdRng::seed_from_u64(7);
    let detector = Detector::calibrated(23, &["--pieces"], &mut rng);
    let by = |words: &[&str], pieces: usize, rng: &mut StdRng| text(words, 15 * pieces, rng);
    let [own, other] = [&WORDS_OF_MODELS[0], &WORDS].map(|words| by(words, 4, &mut rng));

    let one = |report: &Value| report["hypotheses"][0].clone();
    let report = detector.report(&own, &[]);
    assert_eq!(
        (
            &one(&report)["retained"],
            &one(&report)["pieces"],
            &report["pieces"][3]["authors"]
        ),
        (&json!(true), &json!(4), &json!(["one"]))
    );
    // It wrote the first piece only.
    let begun = format!("{} {other}", by(&WORDS_OF_MODELS[0], 1, &mut rng));
    let report = detector.report(&begun, &[]);
    assert_eq!(one(&report)["retained"], false);
    let pieces = report["pieces"].as_array().unwrap().iter();
    let may_be_of_one = pieces.map(|piece| piece["authors"].as_array().unwrap().contains(&json!("one")));
    assert_eq!(may_be_of_one.collect::<Vec<_>>(), [true, false, false, false, false]);
    assert_eq!(one(&detector.report(&begun, &["--first", "150"]))["retained"], true);
    // It wrote all pieces but the first.
    let ended = format!("{} {own}", by(&WORDS, 1, &mut rng));
    assert_eq!(one(&detector.report(&ended, &[]))["retained"], false);
    // If the prompt is known, it is judged by what it wrote after it, in one go.
    let prompted = detector.report(&own, &["--no-prompt"]);
    assert_eq!(
        (&one(&prompted)["basis"], &one(&prompted)["pieces"]),
        (&json!("prompt"), &Value::Null)
    );
    assert!(prompted["pieces"][3]["p_values"]["one"].is_null());
}

#[test]
fn a_text_that_ends_early_is_also_compared_with_such_texts() {
    let mut rng = StdRng::seed_from_u64(11);
    let mut detector = Detector::calibrated(16, &[], &mut rng);
    let path = |name: &str| detector.folder.path().join(name);
    let (long, early, calibration) = (path("long.jsonl"), path("early.jsonl"), path("one-early"));
    let line = |words: &[&str], sentences: usize, i: usize, finish: &str, rng: &mut StdRng| {
        let text = text(words, sentences, rng);
        json!({"text": text, "document": i.to_string(), "genre": "all", "finish": finish}).to_string()
    };
    let lines: Vec<String> = (0..66)
        .map(|i| line(&WORDS_OF_MODELS[0], 16, i, "words", &mut rng))
        .collect();
    std::fs::write(&long, lines.join("\n")).unwrap();
    // Where it ends early, it writes like a person. Texts that were cut did not end, and those of 150 words not early.
    let ended = (0..66).map(|i| line(&WORDS, 8, i, "end", &mut rng)).collect::<Vec<_>>();
    let cut = (0..5)
        .map(|i| line(&WORDS_OF_MODELS[1], 8, i, "words", &mut rng))
        .collect();
    let longer = (0..7)
        .map(|i| line(&WORDS_OF_MODELS[1], 16, i, "end", &mut rng))
        .collect();
    std::fs::write(&early, [ended, cut, longer].concat().join("\n")).unwrap();
    let told = calibrate("one")
        .args([
            &long,
            &PathBuf::from("--whole"),
            &early,
            &PathBuf::from("-o"),
            &calibration,
        ])
        .assert()
        .code(0);
    let told = String::from_utf8_lossy(&told.get_output().stderr).into_owned();
    assert!(
        told.contains("12 texts of --whole that were cut or have 150 words or more"),
        "{told}"
    );
    assert!(told.contains("66 texts that end early"), "{told}");

    let may_be_of_one = |detector: &Detector, text: &str, arguments: &[&str]| {
        detector.report(text, arguments)["hypotheses"][0]["retained"].clone()
    };
    let short = text(&WORDS, 8, &mut rng);
    assert_eq!(may_be_of_one(&detector, &short, &[]), false);
    detector.calibrations.insert(0, calibration);
    assert_eq!(may_be_of_one(&detector, &short, &[]), true);
    assert_eq!(
        may_be_of_one(&detector, &text(&WORDS_OF_MODELS[0], 8, &mut rng), &[]),
        true
    );
    // The beginning of a longer text did not end.
    let longer = format!("{short} {short}");
    assert_eq!(may_be_of_one(&detector, &longer, &["--first", "80"]), false);
    assert_eq!(may_be_of_one(&detector, &longer, &[]), false);
}

#[test]
fn places_of_pieces_are_those_in_the_text_as_it_came() {
    let mut rng = StdRng::seed_from_u64(3);
    let [one, two] = tiny::two_models();
    let (first, second) = (text(&WORDS, 15, &mut rng), text(&WORDS, 15, &mut rng));
    // Hard line breaks and zero-width spaces are undone before the text is read.
    let broken = textwrap::fill(&format!("{} {second}", first.replacen("old", "o\u{200b}ld", 3)), 60);
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command
        .args(["detect", "--format", "json", "--offline", "--a"])
        .arg(one)
        .arg("--b")
        .arg(two);
    let output = command
        .write_stdin(broken.clone())
        .assert()
        .code(0)
        .get_output()
        .stdout
        .clone();
    let spans = spans(&serde_json::from_slice(&output).unwrap());
    let words = |text: &str| {
        let text = text.replace('\u{200b}', "");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let read: Vec<String> = spans.iter().map(|span| words(&broken[span.clone()])).collect();
    assert_eq!(read, [first, second]);
}
