//! Texts of known authors, which are not kept here: measurements that take them are run on demand.

use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

/// The folder that `calibration/make` wrote.
pub fn folder() -> PathBuf {
    std::env::var_os("VALIDITY_TEXTS")
        .expect("VALIDITY_TEXTS names the folder of the texts")
        .into()
}

/// The JSON lines of a file in that folder.
pub fn lines(file: &str) -> Vec<Value> {
    let path = folder().join(file);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The authors and texts of a file of lines `{"author": …, "text": …}` in that folder.
pub fn known_texts(file: &str) -> Vec<(String, String)> {
    let text = |line: &Value| {
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        (field("author"), field("text"))
    };
    lines(file).iter().map(text).collect()
}

/// The program's reports on texts of these names, in their order.
pub fn reports(texts: &[(String, String)]) -> Vec<Value> {
    let work = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for (id, text) in texts {
        writeln!(lines, "{}", json!({"id": id, "text": text})).unwrap();
    }
    let (input, output) = (work.path().join("texts.jsonl"), work.path().join("verdicts.jsonl"));
    std::fs::write(&input, lines).unwrap();
    let mut batch = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
    batch.arg("batch").arg(&input).args(["--id", "id", "-o"]).arg(&output);
    assert!(batch.status().unwrap().success());
    let reports = std::fs::read_to_string(output).unwrap();
    reports
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
