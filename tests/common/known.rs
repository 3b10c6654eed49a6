//! Texts of known authors, which are not kept here: measurements that take them are run on demand.

use serde_json::{Value, json};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// The authors and texts of a file of lines `{"author": …, "text": …}` in the folder of `VALIDITY_TEXTS`.
pub fn known_texts(file: &str) -> Vec<(String, String)> {
    let folder = std::env::var_os("VALIDITY_TEXTS").expect("VALIDITY_TEXTS names no folder");
    let lines = std::fs::read_to_string(Path::new(&folder).join(file)).unwrap();
    let text = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap().to_owned();
        (field("author"), field("text"))
    };
    lines.lines().map(text).collect()
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
