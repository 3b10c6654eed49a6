//! `integrations/spark` on a Spark of its own: four workers, one killed half way. It takes Java, and the Python that
//! `WHOWROTE_SPARK_PYTHON` names, with pyspark, pandas and pyarrow (`.ci/run` installs them).

use crate::common::rows::{Keys, write_parquet};
use crate::common::tiny::{ArchitectureFamily, Tiny};
use candle_core::DType;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

const TEXTS: usize = 3000;

/// Verdict, authors and report of a text, by its id. The report is without its name and its timing: a worker counts the
/// lines that it got itself.
type Rows = BTreeMap<String, (serde_json::Value, serde_json::Value, serde_json::Value)>;

fn add(rows: &mut Rows, id: &str, mut report: serde_json::Value) {
    report["timing"] = serde_json::Value::Null;
    report["input"]["name"] = serde_json::Value::Null;
    for warning in report["warnings"].as_array_mut().unwrap() {
        if warning["code"] == "unreadable" {
            warning["message"] = serde_json::Value::Null;
        }
    }
    let row = (report["verdict"].clone(), report["authors"].clone(), report);
    assert!(rows.insert(id.to_owned(), row).is_none(), "{id} comes twice");
}

#[test]
#[ignore = "takes Java, and the Python with pyspark that WHOWROTE_SPARK_PYTHON names"]
fn a_killed_worker_neither_loses_nor_doubles_a_text() {
    let python = std::env::var_os("WHOWROTE_SPARK_PYTHON").expect("WHOWROTE_SPARK_PYTHON names a Python");
    let folder = tempfile::tempdir().unwrap();
    let inside = |name: &str| folder.path().join(name);
    for (name, family, seed) in [
        ("one", ArchitectureFamily::Llama, 1),
        ("two", ArchitectureFamily::Gemma3, 2),
    ] {
        Tiny::new(family, seed).write_folder(&inside(name), DType::F32, 1);
    }
    let text = |i: usize| {
        format!(
            "the hen had {i} hats, and then ten tin hats in the heat of the day {}",
            i * i
        )
    };
    let input = inside("in.parquet");
    let keys = (0..TEXTS).map(|i| format!("k{i}")).collect();
    let bodies: Vec<Option<String>> = (0..TEXTS).map(|i| (i % 100 != 7).then(|| text(i))).collect();
    write_parquet(&input, Keys::Text(keys), &bodies);
    let program = assert_cmd::cargo::cargo_bin("whowrote");
    let (one, two) = (inside("one"), inside("two"));
    let arguments = [
        "--offline",
        "--threads",
        "1",
        "--a",
        one.to_str().unwrap(),
        "--b",
        two.to_str().unwrap(),
    ];

    let mut alone = Command::new(&program);
    alone
        .args(["batch", "--text", "body", "--id", "key", "-q"])
        .arg(&input)
        .args(arguments);
    let output = alone.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut expected = Rows::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let report: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = report["input"]["id"].as_str().unwrap().to_owned();
        add(&mut expected, &id, report);
    }
    assert_eq!(expected.len(), TEXTS);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/spark/killed_worker.py");
    let target = inside("out.jsonl");
    let mut spark = Command::new(python);
    spark
        .current_dir(folder.path())
        .arg(script)
        .args([&input, &target])
        .arg(&program)
        .args(arguments);
    let output = spark.output().unwrap();
    let (said, told) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{said}\n{told}");
    assert!(said.contains("killed worker"), "{said}");
    let mut found = Rows::new();
    for line in std::fs::read_to_string(&target).unwrap().lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        let report: serde_json::Value = serde_json::from_str(row["report"].as_str().unwrap()).unwrap();
        assert_eq!(
            (&row["verdict"], &row["authors"]),
            (&report["verdict"], &report["authors"])
        );
        add(&mut found, row["id"].as_str().unwrap(), report);
    }
    assert_eq!(found, expected);
}
