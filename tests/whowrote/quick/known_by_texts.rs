//! Authors that are known by their texts alone, from the calibration to the verdict, on tiny models through the program.

use crate::common::tiny;
use assert_cmd::Command;
use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::path::Path;

/// The words of people, of the two models, and of a model that nobody here can load.
const WORDS: [(&str, [&str; 12]); 4] = [
    (
        "human",
        [
            "the", "old", "garden", "was", "full", "of", "roses", "and", "we", "walked", "there", "again",
        ],
    ),
    (
        "one",
        [
            "the", "buzzing", "queue", "was", "jazzy", "of", "quizzes", "and", "we", "puzzled", "over", "oxen",
        ],
    ),
    (
        "two",
        [
            "the", "tall", "tree", "was", "little", "of", "letters", "and", "we", "rattled", "it", "title",
        ],
    ),
    (
        "gpt-9",
        [
            "the", "hymn", "by", "my", "gym", "rhythm", "why", "and", "shyly", "crypt", "myth", "flyby",
        ],
    ),
];

fn text(author: &str, rng: &mut StdRng) -> String {
    let (_, words) = WORDS.iter().find(|(name, _)| *name == author).unwrap();
    let words: Vec<&str> = (0..40).map(|_| *words.choose(rng).unwrap()).collect();
    format!("{}.", words.join(" "))
}

/// A folder with a catalogue of the tiny models and of an author that is known by texts, and calibrations of all.
fn folder() -> tempfile::TempDir {
    let mut rng = StdRng::seed_from_u64(21);
    let folder = tempfile::tempdir().unwrap();
    let [one, two] = tiny::two_models();
    let model = |name: &str, path: &Path| {
        format!(
            "[[model]]\nname = \"{name}\"\n[[model.source]]\npath = '{}'\n\n",
            path.display()
        )
    };
    let authors = "[[author]]\nname = \"one\"\nset = \"a\"\nmodel = \"one\"\ncalibration = \"one.json\"\n\n\
                   [[author]]\nname = \"two\"\nset = \"b\"\nmodel = \"two\"\ncalibration = \"two.json\"\n\n\
                   [[author]]\nname = \"gpt-9\"\nset = \"b\"\ncalibration = \"gpt-9.json\"\n";
    let catalogue = format!("{}{}{authors}", model("one", one), model("two", two));
    std::fs::write(folder.path().join("models.toml"), catalogue).unwrap();
    for (author, _) in WORDS {
        let line = |i: usize| json!({"text": text(author, &mut rng), "document": format!("{author} {i}")}).to_string();
        let lines: Vec<String> = (0..60).map(line).collect();
        std::fs::write(folder.path().join("texts.jsonl"), lines.join("\n")).unwrap();
        whowrote(folder.path())
            .args([
                "calibrate",
                "texts.jsonl",
                "--models",
                "models.toml",
                "--author",
                author,
            ])
            .args(["-o", &format!("{author}.json")])
            .assert()
            .code(0);
    }
    folder
}

fn whowrote(folder: &Path) -> Command {
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command.current_dir(folder);
    command
}

const CATALOGUE: [&str; 4] = ["--models", "models.toml", "--calibration", "human.json"];

fn detect(folder: &Path, arguments: &[&str], text: &str) -> Value {
    let mut command = whowrote(folder);
    command.args([
        "detect",
        "--offline",
        "--format",
        "json",
        "--alpha",
        "0.1",
        "--alpha-human",
        "0.1",
    ]);
    let output = command.args(arguments).write_stdin(text).assert().code(0);
    serde_json::from_slice(&output.get_output().stdout).unwrap()
}

#[test]
fn a_calibration_by_fewer_models_is_told() {
    let folder = folder();
    let mut rng = StdRng::seed_from_u64(27);
    let own = text("gpt-9", &mut rng);
    let told = |report: &Value| -> Vec<String> {
        let warnings = report["warnings"].as_array().unwrap().iter();
        let of_code = warnings.filter(|warning| warning["code"] == "uncalibrated");
        of_code
            .map(|warning| warning["message"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(told(&detect(folder.path(), &CATALOGUE, &own)).is_empty());
    let line = |i: usize| json!({"text": text("gpt-9", &mut rng), "document": format!("gpt-9 {i}")}).to_string();
    let lines: Vec<String> = (0..60).map(line).collect();
    std::fs::write(folder.path().join("texts.jsonl"), lines.join("\n")).unwrap();
    whowrote(folder.path())
        .args(["calibrate", "texts.jsonl", "--models", "models.toml", "--model", "one"])
        .args(["--author", "gpt-9", "-o", "gpt-9.json"])
        .assert()
        .code(0);
    let report = detect(folder.path(), &CATALOGUE, &own);
    let told = told(&report);
    assert!(
        told.len() == 1 && told[0].contains("the calibration of gpt-9 lacks a model"),
        "{report:#}"
    );
}

#[test]
fn an_author_without_a_model_is_tested_by_its_texts() {
    let folder = folder();
    let mut rng = StdRng::seed_from_u64(25);
    for (author, _) in WORDS {
        let report = detect(folder.path(), &CATALOGUE, &text(author, &mut rng));
        assert_eq!(report["authors"], json!([author]), "{report:#}");
        let known_by_texts = &report["hypotheses"][2];
        assert_eq!(
            (
                &known_by_texts["author"],
                &known_by_texts["set"],
                &known_by_texts["basis"]
            ),
            (&json!("gpt-9"), &json!("b"), &json!("calibration"))
        );
        assert!(known_by_texts["model"].is_null() && known_by_texts["decoding"].is_null());
        assert_eq!(known_by_texts["evidence"][0]["against"], json!(["one", "two", "human"]));
    }
    // If the prompt is known, models are tested by the theorems, and the others as they are without it.
    let own = text("gpt-9", &mut rng);
    let report = detect(folder.path(), &[&CATALOGUE[..], &["--no-prompt"]].concat(), &own);
    assert_eq!(
        (&report["hypotheses"][0]["basis"], &report["hypotheses"][2]["basis"]),
        (&json!("prompt"), &json!("calibration"))
    );
    let told = |text: &str| {
        let mut command = whowrote(folder.path());
        command
            .args(["detect", "--offline", "--alpha", "0.1", "--alpha-human", "0.1"])
            .args(CATALOGUE);
        let output = command.write_stdin(text).assert().code(0);
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    };
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let verdict = "Not sanctioned: of the authors considered here, only gpt-9 can have written this.";
    assert!(words(&told(&own)).contains(verdict), "{}", told(&own));
    let of_person = told(&text("human", &mut rng));
    let verdict = "one, two (as such models are usually deployed) and gpt-9 did not write this; a person may have, or an \
                   author who is not considered here.";
    assert!(words(&of_person).contains(verdict), "{of_person}");
}

#[test]
fn a_calibration_on_the_command_line_is_enough() {
    let folder = folder();
    let mut rng = StdRng::seed_from_u64(23);
    let own = text("gpt-9", &mut rng);
    let catalogue = std::fs::read_to_string(folder.path().join("models.toml")).unwrap();
    let without = catalogue.split("[[author]]\nname = \"gpt-9\"").next().unwrap();
    std::fs::write(folder.path().join("models.toml"), without).unwrap();
    let arguments = [
        &CATALOGUE[..],
        &["--calibration", "gpt-9.json", "--b", "two", "--b", "gpt-9"],
    ]
    .concat();
    let report = detect(folder.path(), &arguments, &own);
    assert_eq!(report["authors"], json!(["gpt-9"]), "{report:#}");
    // It alone is enough: the models of its calibration read the text.
    std::fs::write(
        folder.path().join("models.toml"),
        without.replace("set = \"a\"", "set = \"b\""),
    )
    .unwrap();
    let arguments = [&CATALOGUE[..], &["--calibration", "gpt-9.json", "--b", "gpt-9"]].concat();
    let report = detect(folder.path(), &arguments, &own);
    assert_eq!(report["models"].as_object().unwrap().len(), 2);
    assert_eq!(report["authors"], json!(["gpt-9"]), "{report:#}");
}

#[test]
fn what_cannot_be_done_with_such_an_author_is_told() {
    let folder = folder();
    let told = |arguments: &[&str]| {
        let refused = whowrote(folder.path()).args(arguments).assert().code(2);
        String::from_utf8(refused.get_output().stderr.clone()).unwrap()
    };
    let generate = [
        "generate",
        "--models",
        "models.toml",
        "--model",
        "gpt-9",
        "--prompt",
        "Write.",
    ];
    assert!(told(&generate).contains("gpt-9 is known by its texts alone"));
    let calibrate = [
        "calibrate",
        "texts.jsonl",
        "--author",
        "x",
        "--models",
        "models.toml",
        "--model",
        "gpt-9",
    ];
    assert!(told(&calibrate).contains("gpt-9 is known by its texts alone, so it cannot read others"));
    // Whoever is known by texts needs the models that read them, even if these are no authors.
    let catalogue = std::fs::read_to_string(folder.path().join("models.toml")).unwrap();
    let (models, authors) = catalogue.split_at(catalogue.find("[[author]]").unwrap());
    let gpt = authors.find("[[author]]\nname = \"gpt-9\"").unwrap();
    std::fs::write(folder.path().join("texts.toml"), format!("{models}{}", &authors[gpt..])).unwrap();
    let pull = ["models", "--models", "texts.toml", "--offline", "pull"];
    let pulled = whowrote(folder.path()).args(pull).assert().code(0);
    let pulled = String::from_utf8(pulled.get_output().stdout.clone()).unwrap();
    let pulled: Vec<&str> = pulled
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(pulled, ["one", "two"]);
    let pull = ["models", "--models", "models.toml", "path", "gpt-9"];
    assert!(told(&pull).contains("gpt-9"), "{}", told(&pull));
    std::fs::copy(folder.path().join("one.json"), folder.path().join("gpt-9.json")).unwrap();
    let detect = ["detect", "--models", "models.toml", "models.toml"];
    assert!(told(&detect).contains("is a calibration of one, and the catalogue names it for gpt-9"));
    std::fs::remove_file(folder.path().join("gpt-9.json")).unwrap();
    assert!(
        told(&detect).contains("cannot read the calibration gpt-9.json"),
        "{}",
        told(&detect)
    );
    let catalogue = std::fs::read_to_string(folder.path().join("models.toml")).unwrap();
    for (from, to, part) in [
        ("calibration = \"gpt-9.json\"", "", "neither a model nor a calibration"),
        (
            "calibration = \"gpt-9.json\"",
            "calibration = \"\"",
            "an empty calibration",
        ),
        (
            "calibration = \"gpt-9.json\"",
            "calibration = \"gpt-9.json\"\ndecoding = \"any\"",
            "no model that could sample so",
        ),
    ] {
        std::fs::write(folder.path().join("models.toml"), catalogue.replace(from, to)).unwrap();
        let told = told(&detect);
        assert!(told.contains(part) && told.contains("models.toml, line"), "{told}");
    }
}
