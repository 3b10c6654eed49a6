//! `eval`, from files of labelled texts to the figures, on tiny models through the program.

use crate::common::tiny;
use assert_cmd::Command;
use rand::{SeedableRng, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};
use std::path::Path;

const WORDS: [[&str; 12]; 2] = [
    [
        "the", "old", "garden", "was", "full", "of", "roses", "and", "we", "walked", "there", "again",
    ],
    [
        "the", "buzzing", "queue", "was", "jazzy", "of", "quizzes", "and", "we", "puzzled", "over", "oxen",
    ],
];

/// A text of 30 words, by a person or by somebody else.
fn text(words: usize, rng: &mut StdRng) -> String {
    let words: Vec<&str> = (0..30).map(|_| *WORDS[words].choose(rng).unwrap()).collect();
    format!("{}.", words.join(" "))
}

fn whowrote(arguments: &[&str], folder: &Path) -> Command {
    let [one, two] = tiny::two_models();
    let mut command = Command::cargo_bin("whowrote").unwrap();
    command.current_dir(folder).args(arguments).arg("--offline");
    let flags = if arguments[0] == "calibrate" {
        ["--model"; 2]
    } else {
        ["--a", "--b"]
    };
    command.arg(flags[0]).arg(one).arg(flags[1]).arg(two);
    command
}

/// Thirty texts of twelve documents, and a calibration of people that holds three others.
fn folder() -> tempfile::TempDir {
    let mut rng = StdRng::seed_from_u64(1);
    let folder = tempfile::tempdir().unwrap();
    let line = |i: usize, rng: &mut StdRng| {
        let by = ["Human", "gpt-4", "one"][i % 3];
        let domain = if i.is_multiple_of(2) { "news" } else { "mail" };
        json!({"body": text(usize::from(by != "Human"), rng), "by": by, "page": format!("page {}", i / 3), "domain": domain})
    };
    let texts: Vec<Value> = (0..30).map(|i| line(i, &mut rng)).collect();
    let lines = |texts: &[Value]| texts.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    std::fs::write(folder.path().join("texts.jsonl"), lines(&texts)).unwrap();
    let known = (0..25).map(|i| json!({"text": text(0, &mut rng), "document": format!("book {i}")}));
    let known: Vec<Value> = known.collect();
    std::fs::write(folder.path().join("people.jsonl"), lines(&known)).unwrap();
    let people = ["calibrate", "people.jsonl", "--author", "human", "-o", "people.json"];
    whowrote(&people, folder.path()).assert().code(0);
    folder
}

const EVAL: [&str; 15] = [
    "eval",
    "texts.jsonl",
    "--text",
    "body",
    "--label",
    "by",
    "--document",
    "page",
    "--by",
    "domain",
    "--calibration",
    "people.json",
    "-o",
    "verdicts.jsonl",
    "--format=json",
];

fn figures(command: &mut Command) -> Value {
    serde_json::from_slice(&command.assert().code(0).get_output().stdout).unwrap()
}

#[test]
fn the_figures_are_those_of_the_texts_and_are_the_same_again() {
    let folder = folder();
    let found = figures(&mut whowrote(&EVAL, folder.path()));
    assert_eq!(
        (&found["texts"], &found["documents"], &found["unable"]),
        (&json!(30), &json!(10), &json!(0))
    );
    let scores = found["scores"].as_array().unwrap();
    let row = |score: &str, model: Value, by: Value, value: Value| {
        let is_it =
            |row: &&Value| row["score"] == score && row["model"] == model && row["by"] == by && row["value"] == value;
        scores
            .iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{score} {by} {value}"))
            .clone()
    };
    let all = row("log-perplexity", json!("one"), Value::Null, Value::Null);
    assert_eq!((&all["by_models"], &all["by_people"]), (&json!(20), &json!(10)));
    // Both kinds are made of other words.
    assert!(scores.iter().any(|row| {
        row["auroc"]["value"]
            .as_f64()
            .is_some_and(|area| !(0.1..0.9).contains(&area))
    }));
    let gpt = row("curvature", json!("two"), json!("label"), json!("gpt-4"));
    assert_eq!((&gpt["by_models"], &gpt["by_people"]), (&json!(10), &json!(10)));
    row("person-p-value", Value::Null, json!("domain"), json!("mail"));
    let verdicts = found["verdicts"].as_array().unwrap();
    let people = verdicts
        .iter()
        .find(|row| row["label"] == "Human" && row["by"].is_null())
        .unwrap();
    assert_eq!((&people["texts"], &people["author"]), (&json!(10), &json!("human")));
    let p_values = found["p_values"].as_array().unwrap();
    assert_eq!(p_values[0]["author"], "human");

    // The verdicts are there, and nothing is judged again.
    let again = figures(&mut whowrote(&EVAL, folder.path()));
    assert_eq!(again, found);
    let mut stored = Command::cargo_bin("whowrote").unwrap();
    stored.current_dir(folder.path()).args([
        "eval",
        "--results",
        "verdicts.jsonl",
        "--label",
        "by",
        "--document",
        "page",
        "--by",
        "domain",
        "--format=json",
        "--plots",
        "plots",
    ]);
    assert_eq!(figures(&mut stored), found);
    for name in ["roc", "found", "p-values"] {
        let plot = |ending: &str| std::fs::read(folder.path().join(format!("plots/{name}.{ending}"))).unwrap();
        assert!(plot("png").starts_with(b"\x89PNG"));
        let svg = String::from_utf8(plot("svg")).unwrap();
        assert!(
            svg.starts_with("<svg") && svg.contains("</svg>") && svg.len() < 100_000,
            "{name}: {}",
            svg.len()
        );
    }
    let read = Command::cargo_bin("whowrote")
        .unwrap()
        .current_dir(folder.path())
        .args(["eval", "--results", "verdicts.jsonl", "--label", "by"])
        .assert()
        .code(0);
    let read = String::from_utf8(read.get_output().stdout.clone()).unwrap();
    assert!(
        read.contains("30 texts from 30 documents") && read.contains("log-perplexity (one)"),
        "{read}"
    );
    let other = Command::cargo_bin("whowrote")
        .unwrap()
        .current_dir(folder.path())
        .args(["eval", "--results", "verdicts.jsonl"])
        .assert()
        .code(2);
    let told = String::from_utf8(other.get_output().stderr.clone()).unwrap();
    assert!(
        told.contains("line 1 of `verdicts.jsonl` has no value of the field `label`"),
        "{told}"
    );
}

#[test]
fn texts_of_a_calibration_are_refused() {
    let folder = folder();
    let path = folder.path().join("texts.jsonl");
    let texts = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, texts.replacen("page 0", "book 7", 1)).unwrap();
    let refused = whowrote(&EVAL, folder.path()).assert().code(2);
    let told = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(
        told.contains("1 of the texts") && told.contains("`texts.jsonl:1`") && told.contains("human"),
        "{told}"
    );
    assert!(!folder.path().join("verdicts.jsonl").exists());
    let mut command = whowrote(&EVAL, folder.path());
    assert_eq!(figures(command.arg("--leave-out-known"))["texts"], 29);
    let lines = std::fs::read_to_string(folder.path().join("verdicts.jsonl")).unwrap();
    assert_eq!((lines.lines().count(), lines.contains("book 7")), (29, false));
    // A list of paths is looked at too.
    std::fs::write(folder.path().join("list.txt"), "texts.jsonl\n").unwrap();
    let mut arguments = EVAL.to_vec();
    arguments.splice(1..2, ["--files-from", "list.txt"]);
    whowrote(&arguments, folder.path()).assert().code(2);
    // Without a name, a text is known by its digest.
    let people = ["calibrate", "own.jsonl", "--author", "human", "-o", "people.json"];
    let own = texts
        .lines()
        .next()
        .unwrap()
        .replace("\"body\"", "\"text\"")
        .replace("\"page\"", "\"leaf\"");
    std::fs::write(folder.path().join("own.jsonl"), own).unwrap();
    whowrote(&people, folder.path()).assert().code(0);
    std::fs::write(&path, texts).unwrap();
    let mut arguments = EVAL;
    arguments[13] = "others.jsonl";
    let refused = whowrote(&arguments, folder.path()).assert().code(2);
    let told = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
    assert!(told.contains("1 of the texts"), "{told}");
}

#[test]
fn pairs_and_the_columns_of_raid_are_read() {
    let folder = folder();
    let mut rng = StdRng::seed_from_u64(2);
    let mut texts = |words: usize| {
        (0..4)
            .map(|_| format!("We went {}", text(words, &mut rng)))
            .collect::<Vec<_>>()
    };
    let pairs = json!({"original": texts(0), "sampled": texts(1)});
    std::fs::write(folder.path().join("news_gpt-4.raw_data.json"), pairs.to_string()).unwrap();
    let arguments = [
        "eval",
        "news_gpt-4.raw_data.json",
        "--input-format",
        "pairs",
        "-o",
        "pairs.jsonl",
        "--format",
        "json",
    ];
    let found = figures(&mut whowrote(&arguments, folder.path()));
    assert_eq!((&found["texts"], &found["documents"]), (&json!(8), &json!(4)));
    assert!(
        found["verdicts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["label"] == "news_gpt-4")
    );

    let mut csv = "id,source_id,model,decoding,attack,domain,generation\n".to_owned();
    for (i, text) in texts(0).iter().chain(&texts(1)).enumerate() {
        let model = if i < 4 { "human" } else { "gpt4" };
        csv += &format!("{i},{},{model},greedy,none,books,\"{text}\"\n", i % 4);
    }
    std::fs::write(folder.path().join("raid.csv"), csv).unwrap();
    let arguments = ["eval", "raid.csv", "--raid", "-o", "raid.jsonl", "--format", "json"];
    let found = figures(&mut whowrote(&arguments, folder.path()));
    assert_eq!((&found["texts"], &found["documents"]), (&json!(8), &json!(4)));
    let by = found["scores"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["by"] == "domain");
    assert!(by.count() > 5);
}

#[test]
fn what_is_missing_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("texts.jsonl"), "{}").unwrap();
    let line = |name: &str, p_value: f64, label: &str| {
        json!({"schema": 1, "input": {"name": name, "sha256": "", "kept": {"label": label, "id": name}}, "verdict": "unknown",
               "authors": [], "hypotheses": [{"author": "human", "p_value": p_value}]})
        .to_string()
    };
    let many: Vec<String> = (0..300).map(|i| line(&i.to_string(), 0.5, "a")).collect();
    let files = [
        ("twice", vec![line("x", 0.5, "a"), line("x", 0.5, "a")]),
        ("odd", vec![line("x", 5.0, "a")]),
        ("many", many),
        (
            "unlabelled",
            vec![
                json!({"text": "We walked.", "label": 7}).to_string(),
                json!({"text": "We ran."}).to_string(),
            ],
        ),
        (
            "unread",
            vec![
                json!({"schema": 1, "input": {"name": "x", "sha256": ""}, "verdict": "unable", "authors": []})
                    .to_string(),
            ],
        ),
    ];
    for (name, lines) in files {
        std::fs::write(folder.path().join(name).with_extension("jsonl"), lines.join("\n")).unwrap();
    }
    for (arguments, part) in [
        (&["eval", "--results", "twice.jsonl"][..], "`x` stands twice"),
        (
            &["eval", "--results", "odd.jsonl"],
            "line 1 of `odd.jsonl` is not a line",
        ),
        (&["eval", "--results", "many.jsonl", "--label", "id"], "has 300 values"),
        (
            &["eval", "--results", "many.jsonl", "--by", "nope"],
            "no text has a value of the field `nope`",
        ),
        (
            &["eval", "--results", "many.jsonl", "--by", "words"],
            "are always given",
        ),
        (&["eval", "--results", "unread.jsonl"], "no text was judged"),
        (&["eval", "--results", "."], "`.` is not a file"),
        (&["eval", "texts.jsonl"], "name a file for the verdicts with -o"),
        (&["eval", "texts.jsonl", "-o", "x.parquet"], "should end in .jsonl"),
        (&["eval", "--results"], "name the results"),
        (&["eval", "--results", "none.jsonl"], "`none.jsonl` is not a file"),
        (
            &["eval", "--results", "texts.jsonl"],
            "line 1 of `texts.jsonl` is not a line",
        ),
        (
            &["eval", "unlabelled.jsonl", "-o", "x.jsonl"],
            "`unlabelled.jsonl:2` has no value of the field `label`",
        ),
    ] {
        let refused = Command::cargo_bin("whowrote")
            .unwrap()
            .current_dir(folder.path())
            .args(arguments)
            .assert()
            .code(2);
        let told = String::from_utf8(refused.get_output().stderr.clone()).unwrap();
        assert!(told.contains(part), "{arguments:?}: {told}");
    }
}
