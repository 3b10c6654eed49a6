//! `whowrote gate` with the default models.

use crate::quick::gate::{Repository, json, said};
use std::fs;

/// Texts that the default models wrote (test prompts, temperature 0.7 with top-p 0.9), and one by a person.
const OWN: &str = include_str!("../../gate/own.txt");
const OTHER: &str = include_str!("../../gate/other.txt");
const PERSON: &str = include_str!("../../../samples/letter.txt");

/// The default models, policy and calibrations: the model that may write, the one that may not, and a person.
#[test]
fn a_change_by_a_forbidden_model_fails_and_by_an_allowed_author_passes() {
    let repository = Repository::of(&[("README.md", "# Notes\n")]);
    for (name, text, code) in [("own.md", OWN, 0), ("person.md", PERSON, 0), ("other.md", OTHER, 1)] {
        repository.commit(&[(name, text)]);
        let mut command = repository.gate_of_defaults(&["--diff", "HEAD~1..HEAD", "--format", "github"]);
        command.args(["--report", "sarif=../gate.sarif"]);
        let (out, _) = said(&mut command, code);
        let sarif = json(&fs::read_to_string(repository.path().join("../gate.sarif")).unwrap());
        let results = sarif["runs"][0]["results"].as_array().unwrap();
        assert_eq!(
            (out.contains("::error file=other.md,line=1,"), results.len()),
            (code == 1, code as usize),
            "{out}"
        );
    }
    // Zero-width spaces and look-alikes do not save it, and the report names them.
    let sown: String = OTHER.replace('e', "\u{435}").replace(" the ", " t\u{200b}he ");
    repository.commit(&[("sown.md", &sown)]);
    let (out, _) = said(&mut repository.gate_of_defaults(&["--diff", "HEAD~1..HEAD"]), 1);
    assert!(
        out.contains("FAILED sown.md:1-") && out.contains("look-alike letters"),
        "{out}"
    );
}
