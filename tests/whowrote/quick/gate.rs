//! `whowrote gate` as a whole, on real git repositories: what is judged of a change, what fails, and how each format
//! says so. Neither of the two tiny random models can have written English.

use crate::common::tiny::two_models;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const POLICY: &str = r#"
alpha = 0.05
least-words = 20
undecided = "warn"

[[rule]]
paths = ["*.md", "*.txt"]
allow = ["a", "human"]

[[rule]]
paths = ["vendor/"]
judge = false
"#;

/// A git repository in a folder of its own.
pub struct Repository(tempfile::TempDir);

impl Repository {
    /// With one commit of these files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let repository = Self(tempfile::tempdir().unwrap());
        repository.git(&["init", "-q", "-b", "main"]);
        repository.commit(files);
        repository
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn git(&self, arguments: &[&str]) -> Output {
        let identity = ["-c", "user.name=A", "-c", "user.email=a@example.com"];
        let output = Command::new("git")
            .current_dir(self.path())
            .args(identity)
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    pub fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    pub fn commit(&self, files: &[(&str, &str)]) {
        self.write(files);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "m"]);
    }

    /// The gate with the tiny models, which knows that there was no prompt: without one nothing is calibrated for them.
    fn gate(&self, arguments: &[&str]) -> Command {
        let [one, two] = two_models();
        let mut command = self.gate_of_defaults(&["--offline", "--decoding", "temperature=1", "--no-prompt"]);
        command.arg("--a").arg(one).arg("--b").arg(two).args(arguments);
        command
    }

    pub fn gate_of_defaults(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
        command.current_dir(self.path()).arg("gate").args(arguments);
        command
    }
}

/// What a command that should end with `code` says on standard output and standard error.
pub fn said(command: &mut Command, code: i32) -> (String, String) {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(output.stdout), text(output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}{err}");
    (out, err)
}

/// A text of four lines that no tiny model can have written. Texts on two topics share no five words in a row.
pub fn fresh(topic: &str) -> String {
    format!(
        "The {topic} was older than any {topic} of that village.\nIts {topic} gate was painted green, {topic} and red again,\nevery \
         {topic} autumn when the {topic} paint came off in\n{topic} strips that children kept {topic} in their jars.\n"
    )
}

/// A policy by which nobody but the first model may write, so that any real text fails.
fn strict() -> String {
    POLICY.replace(r#"allow = ["a", "human"]"#, r#"allow = ["a"]"#)
}

/// A repository with a page, and a change that adds two passages to it and a file beside it.
fn changed(policy: &str) -> Repository {
    let page = format!("# Page\n\n{}\n\n{}\n", fresh("bridge"), fresh("orchard"));
    let repository = Repository::of(&[
        ("whowrote.toml", policy),
        ("docs/page.md", &page),
        ("vendor/x.md", "Old.\n"),
    ]);
    let page = format!(
        "# Page\n\n{}\n\n{}\n\n{}\n\n{}\n",
        fresh("bridge"),
        fresh("lighthouse"),
        fresh("orchard"),
        fresh("railway")
    );
    repository.commit(&[
        ("docs/page.md", &page),
        ("a, b%: c.txt", &fresh("mill")),
        ("vendor/x.md", &fresh("pump")),
        ("src/main.rs", "fn main() {}\n"),
        ("short.md", "Three words only.\n"),
    ]);
    repository
}

#[test]
fn a_merge_is_judged_by_what_no_parent_has() {
    let repository = Repository::of(&[
        ("whowrote.toml", &strict()),
        ("page.md", "# Page\n"),
        ("old.md", &fresh("bridge")),
    ]);
    repository.git(&["checkout", "-q", "-b", "hers"]);
    repository.git(&["mv", "old.md", "new.md"]);
    repository.commit(&[("hers.md", &fresh("orchard"))]);
    repository.git(&["checkout", "-q", "main"]);
    let policy = strict() + "\n# Edited.\n";
    let old = format!("{}\n{}", fresh("bridge"), fresh("lighthouse"));
    repository.commit(&[
        ("page.md", &fresh("railway")),
        ("old.md", &old),
        ("whowrote.toml", &policy),
    ]);
    repository.git(&["checkout", "-q", "hers"]);
    repository.git(&[
        "-c",
        "merge.renames=true",
        "merge",
        "-q",
        "--no-commit",
        "--no-ff",
        "main",
    ]);
    let staged = String::from_utf8(repository.git(&["diff", "--cached", "HEAD"]).stdout).unwrap();
    assert!(
        staged.contains("+The railway") && staged.contains("+The lighthouse"),
        "{staged}"
    );
    let report = json(&said(&mut repository.gate(&["--staged", "--format", "json"]), 0).0);
    assert_eq!(
        (report["texts"].as_array().unwrap().len(), &report["passed"]),
        (0, &true.into())
    );
    assert_eq!(report["notes"].as_array().unwrap().len(), 0, "{report}");
    // What is written during the merge is judged.
    repository.write(&[("page.md", &format!("{}\n{}", fresh("railway"), fresh("mill")))]);
    repository.git(&["add", "-A"]);
    let report = json(&said(&mut repository.gate(&["--staged", "--format", "json"]), 1).0);
    let texts = report["texts"].as_array().unwrap();
    assert_eq!(
        (texts.len(), &texts[0]["path"], &texts[0]["lines"]),
        (1, &"page.md".into(), &serde_json::json!([[6, 9]]))
    );
}

/// A report for reading as one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn what_is_new_is_judged_and_fails_on_its_lines() {
    let repository = changed(&strict());
    let (out, err) = said(&mut repository.gate(&["--diff", "HEAD~1..HEAD", "--format", "json"]), 1);
    assert_eq!(err, "");
    let report = json(&out);
    assert_eq!(
        (report["schema"].clone(), report["passed"].clone()),
        (1.into(), false.into())
    );
    let texts = report["texts"].as_array().unwrap();
    let places: Vec<(String, Value)> = texts
        .iter()
        .map(|text| (text["path"].as_str().unwrap().to_owned(), text["lines"].clone()))
        .collect();
    assert_eq!(
        places,
        [
            ("a, b%: c.txt".to_owned(), serde_json::json!([[1, 4]])),
            ("docs/page.md".to_owned(), serde_json::json!([[9, 12]])),
            ("docs/page.md".to_owned(), serde_json::json!([[21, 24]])),
        ]
    );
    for text in texts {
        assert_eq!(text["outcome"], "fail");
        assert!(text["p_value"].as_f64().unwrap() <= text["level"].as_f64().unwrap());
        // Each tells texts of the other file that more than one will fail.
        let together = if text["path"] == "docs/page.md" { 2 } else { 3 };
        assert_eq!(text["together"], together);
        // A third of alpha for each of three.
        assert!((text["level"].as_f64().unwrap() - f64::from(together) * 0.05 / 3.0).abs() < 1e-12);
        let own = &text["report"]["hypotheses"][0];
        assert_eq!(
            (own["author"].clone(), own["retained"].clone()),
            ("one".into(), false.into())
        );
    }
    assert_eq!(report["skipped"]["unnamed"], 2);
    assert_eq!(report["skipped"]["too_short"], 1);
    assert_eq!(report["skipped"]["short_words"], 3);
}

#[test]
fn sarif_keeps_to_its_schema_and_names_the_lines() {
    let repository = changed(&strict());
    repository.write(&[("broken.md", "a\0b")]);
    let (out, _) = said(
        &mut repository.gate(&["docs", "broken.md", "a, b%: c.txt", "--format", "sarif"]),
        1,
    );
    let sarif = json(&out);
    // The schema is that of the standard, which this crate carries.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // Only what this machine builds has been fetched.
    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--filter-platform",
            host,
            "--manifest-path",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let manifest = packages
        .iter()
        .find(|package| package["name"] == "serde-sarif")
        .unwrap()["manifest_path"]
        .clone();
    let schema = Path::new(manifest.as_str().unwrap()).with_file_name("src/schema.json");
    let schema = json(&fs::read_to_string(schema).unwrap());
    assert!(
        schema["title"].as_str().unwrap().contains("2.1.0"),
        "{}",
        schema["title"]
    );
    let mut compiler = boon::Compiler::new();
    compiler.add_resource("sarif.json", schema).unwrap();
    let mut schemas = boon::Schemas::new();
    let schema = compiler.compile("sarif.json", &mut schemas).unwrap();
    if let Err(wrong) = schemas.validate(&sarif, schema) {
        panic!("{wrong:#}");
    }
    let mut bad = sarif.clone();
    bad["runs"][0]["results"][0]["level"] = "grave".into();
    assert!(schemas.validate(&bad, schema).is_err(), "the schema lets anything pass");

    let run = &sarif["runs"][0];
    let results = run["results"].as_array().unwrap();
    let region = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(results.len(), 2);
    assert_eq!(region["artifactLocation"]["uri"], "docs/page.md");
    let page = fs::read_to_string(repository.path().join("docs/page.md")).unwrap();
    let last = page.trim_end().lines().count();
    assert_eq!(region["region"], serde_json::json!({"startLine": 1, "endLine": last}));
    let odd = &results[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(odd, "a%2C%20b%25%3A%20c.txt");
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert!(out.contains("broken.md"));
}

#[test]
fn every_format_says_what_failed() {
    let repository = changed(&strict());
    let reports = ["text", "junit", "github", "gitlab"].map(|format| format!("{format}=out.{format}"));
    let mut command = repository.gate(&["--diff", "HEAD~1..HEAD", "-q"]);
    for report in &reports {
        command.args(["--report", report]);
    }
    let (out, _) = said(&mut command, 1);
    let written = |name: &str| fs::read_to_string(repository.path().join(name)).unwrap();
    assert!(
        out.contains("FAILED docs/page.md:9-12")
            && out.contains("What you can do")
            && out.contains("Rule 1 (*.md, *.txt) allows"),
        "{out}"
    );
    assert_eq!(out, written("out.text"));

    let github = written("out.github");
    let errors: Vec<&str> = github.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(errors.len(), 3, "{github}");
    assert!(
        errors[0].starts_with("::error file=a%2C b%25%3A c.txt,line=1,endLine=4,title=whowrote::"),
        "{github}"
    );
    assert!(
        errors[1].starts_with("::error file=docs/page.md,line=9,endLine=12,"),
        "{github}"
    );

    let gitlab = json(&written("out.gitlab"));
    let issues = gitlab.as_array().unwrap();
    assert_eq!(issues.len(), 3);
    assert_eq!(
        issues[2]["location"]["lines"],
        serde_json::json!({"begin": 21, "end": 24})
    );
    let fingerprints: std::collections::BTreeSet<&str> = issues
        .iter()
        .map(|issue| issue["fingerprint"].as_str().unwrap())
        .collect();
    assert_eq!(fingerprints.len(), 3);

    let junit = quick_junit::Report::deserialize_from_str(&written("out.junit")).unwrap();
    let suite = &junit.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (3, 3, 0));
    assert_eq!(suite.test_cases[1].classname.as_ref().unwrap().as_str(), "docs/page.md");
}

#[test]
fn text_that_was_moved_or_wrapped_anew_passes() {
    let page = format!("# Page\n\n{}\n\n{}\n", fresh("bridge"), fresh("orchard"));
    let repository = Repository::of(&[("whowrote.toml", &strict()), ("page.md", &page)]);
    // One passage goes to another file, the other to other lines, and a word is mended.
    repository.write(&[
        ("page.md", "# Page\n"),
        (
            "moved.md",
            &format!("## Moved\n\n{}", fresh("orchard").replace('\n', " ")),
        ),
        (
            "other.txt",
            &fresh("bridge").replace(' ', "\n").replace("green", "blue"),
        ),
    ]);
    repository.git(&["add", "-A"]);
    let (out, _) = said(&mut repository.gate(&["--staged"]), 0);
    assert!(out.contains("No text to judge"), "{out}");
    // The same files without their past are new.
    let (out, _) = said(&mut repository.gate(&["moved.md", "other.txt"]), 1);
    assert!(
        out.contains("FAILED moved.md:1-3") && out.contains("FAILED other.txt:"),
        "{out}"
    );
    // So is what lies there and is not staged yet.
    repository.write(&[("more.md", &fresh("castle"))]);
    said(&mut repository.gate(&["--staged"]), 0);
    repository.git(&["add", "-A"]);
    said(&mut repository.gate(&["--diff", "HEAD"]), 1);
    said(&mut repository.gate(&["--diff", "HEAD", "page.md"]), 0);
}

#[test]
fn exceptions_and_marks_let_a_text_pass_and_are_told() {
    let repository = changed(&strict());
    let (out, _) = said(&mut repository.gate(&["docs/page.md", "--format", "json"]), 1);
    let digest = json(&out)["texts"][0]["sha256"].as_str().unwrap().to_owned();
    let with = |expires: &str| {
        format!(
            "{}\n[[exception]]\nsha256 = \"{digest}\"\nreason = \"quoted\"\nexpires = {expires}\n",
            strict()
        )
    };
    repository.write(&[("whowrote.toml", &with("9999-12-31"))]);
    let (out, _) = said(&mut repository.gate(&["docs/page.md", "-v"]), 0);
    assert!(
        out.contains("texts that pass by an exception in the policy: 1")
            && out.contains("The policy lets this text pass: quoted"),
        "{out}"
    );
    repository.write(&[("whowrote.toml", &with("2020-12-31"))]);
    let (out, _) = said(&mut repository.gate(&["docs/page.md"]), 1);
    assert!(out.contains("The exception for this text ended on 2020-12-31"), "{out}");
    // A policy that changes together with what it judges is reported.
    let (out, _) = said(&mut repository.gate(&["--diff", "HEAD", "--format", "github"]), 0);
    assert!(
        out.contains("::warning file=whowrote.toml,title=whowrote::This change edits a file that the gate decides by"),
        "{out}"
    );

    let marked = format!("<!-- whowrote: ignore-start -->\n\n{}\n", fresh("cellar"));
    repository.write(&[("whowrote.toml", &strict()), ("marked.md", &marked)]);
    let (out, _) = said(&mut repository.gate(&["marked.md", "-v"]), 0);
    let words = fresh("cellar").split_whitespace().count();
    assert!(
        out.contains(&format!("words exempted by marks in the files: {words}")),
        "{out}"
    );
    assert!(out.contains("marked.md:1") && out.contains("has no end"), "{out}");
    // Whoever looks at the run sees what was let pass, without asking for more.
    let (out, _) = said(&mut repository.gate(&["marked.md"]), 0);
    let out = flat(&out);
    assert!(
        out.contains(&format!("Marks in this file exempt {words} of its new words.")),
        "{out}"
    );
    assert!(out.contains(&format!("No text to judge (files without a new text that is long enough: 1; words exempted by marks in the files: {words}): passed.")), "{out}");
}

#[test]
fn a_policy_from_elsewhere_holds_and_one_that_goes_is_told() {
    let repository = changed(&strict());
    let elsewhere = tempfile::tempdir().unwrap();
    let policy = elsewhere.path().join("firm.toml");
    fs::write(&policy, strict()).unwrap();
    repository.git(&["rm", "-q", "--cached", "whowrote.toml"]);
    fs::remove_file(repository.path().join("whowrote.toml")).unwrap();
    let mut command = repository.gate(&["--diff", "HEAD~1", "--format", "github"]);
    let (out, _) = said(command.arg("--policy").arg(&policy), 1);
    assert!(out.contains("::error file=docs/page.md,line=9,"), "{out}");
    assert!(
        out.contains(
            "::warning file=whowrote.toml,title=whowrote::This change removes a file that the gate decides by"
        ),
        "{out}"
    );
}

#[test]
fn what_the_evidence_does_not_tell_is_as_the_policy_says() {
    // With the prompt unknown nothing tests the tiny models, so that all are left.
    let [one, two] = two_models();
    for (undecided, code, shown) in [
        ("pass", 0, "1 text judged"),
        ("warn", 0, "open "),
        ("fail", 1, "FAILED"),
    ] {
        let repository = changed(&POLICY.replace("\"warn\"", &format!("\"{undecided}\"")));
        let mut command = repository.gate_of_defaults(&["docs/page.md", "--offline"]);
        let (out, _) = said(command.arg("--a").arg(one).arg("--b").arg(two), code);
        assert!(out.starts_with(shown), "{undecided}: {out}");
        let may = "two (not sanctioned) may have written this, and so may one (in-house) or a person";
        assert_eq!(flat(&out).contains(may), undecided != "pass", "{out}");
    }
}

#[test]
fn a_policy_is_explained_and_begun() {
    let repository = changed(POLICY);
    let (out, _) = said(
        &mut repository.gate(&["--explain", "docs/page.md", "vendor/x.md", "x.png", "none.txt"]),
        0,
    );
    assert!(
        out.contains("rule 1: *.md, *.txt\n  judged as Markdown\n  allowed: one, a person\n  not allowed: two\n"),
        "{out}"
    );
    assert!(
        out.contains("vendor/x.md") && out.contains("not judged: the rule says so"),
        "{out}"
    );
    assert!(out.contains("not judged: no rule names it"), "{out}");

    let elsewhere = tempfile::tempdir().unwrap();
    let init = || {
        let mut command = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
        command.current_dir(elsewhere.path()).args(["gate", "init"]);
        command
    };
    said(&mut init(), 0);
    let written = fs::read_to_string(elsewhere.path().join("whowrote.toml")).unwrap();
    assert!(written.contains("[[rule]]"));
    fs::write(elsewhere.path().join("whowrote.toml"), "mine").unwrap();
    let (_, err) = said(&mut init(), 2);
    assert!(err.contains("already exists"), "{err}");
    assert_eq!(
        fs::read_to_string(elsewhere.path().join("whowrote.toml")).unwrap(),
        "mine"
    );
}

#[test]
fn what_cannot_be_done_is_said_and_the_rest_is_judged() {
    let repository = changed(&strict());
    let refused = |arguments: &[&str], part: &str| {
        let (_, err) = said(&mut repository.gate(arguments), 2);
        assert!(err.contains(part), "{arguments:?}: {err}");
    };
    refused(&[], "nothing to judge");
    refused(&["--diff", "nowhere..HEAD"], "fetch-depth: 0");
    refused(&["--diff=--output=x"], "not a range");
    refused(&["docs", "--policy", "none.toml"], "none.toml");
    refused(&["docs", "--report", "sarif"], "a report is a format and a file");
    refused(&["docs", "--report", "pdf=x"], "is not a format");
    refused(&["docs", "--report", "sarif=none/x"], "none/x");
    refused(&["none.md"], "`none.md` does not exist");
    repository.write(&[("bad.toml", "[[rule]]\npaths = [\"*\"]\nallow = [\"gpt\"]")]);
    refused(&["docs", "--policy", "bad.toml"], "`gpt`, which is not an author");
    // A file that cannot be read keeps no other from being judged, and a failure counts for more.
    repository.write(&[("broken.md", "a\0b"), ("empty.md", "")]);
    let (out, err) = said(&mut repository.gate(&["broken.md", "empty.md", "docs"]), 1);
    assert!(
        err.contains("broken.md") && out.contains("FAILED docs/page.md"),
        "{out}{err}"
    );
    let (out, _) = said(&mut repository.gate(&["broken.md", "empty.md"]), 2);
    let out = flat(&out);
    assert!(
        out.contains("No text to judge") && out.contains("1 file could not be read.") && !out.contains("passed"),
        "{out}"
    );
    let elsewhere = tempfile::tempdir().unwrap();
    let mut outside = repository.gate(&["--diff", "HEAD"]);
    let (_, err) = said(outside.current_dir(elsewhere.path()), 2);
    assert!(err.contains("not in a git repository"), "{err}");
}

/// The program's folder before all others on the path.
pub fn path_with_program() -> std::ffi::OsString {
    let folder = assert_cmd::cargo::cargo_bin("whowrote").parent().unwrap().to_owned();
    let others = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths([folder].into_iter().chain(std::env::split_paths(&others))).unwrap()
}

/// A policy that has the tiny models write.
pub fn policy_with_two_models() -> String {
    let [one, two] = two_models();
    format!("a = [{one:?}]\nb = [{two:?}]\n{}", strict())
}

pub const ARGUMENTS: [&str; 4] = ["--no-prompt", "--decoding", "temperature=1", "--offline"];

/// The steps of action.yml, run as the shell commands that they are, with what a runner would put in their place.
#[cfg(unix)]
#[test]
fn the_steps_of_the_action_judge_a_pull_request() {
    let action: Value = serde_norway::from_str(include_str!("../../../action.yml")).unwrap();
    assert_eq!(action["runs"]["using"], "composite");
    let steps = action["runs"]["steps"].as_array().unwrap();
    let repository = changed(&policy_with_two_models());
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD~1"]);
    let runner = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = runner.path().join(name);
        fs::write(&path, "").unwrap();
        path
    };
    let (output, environment, path) = (file("output"), file("env"), file("path"));
    let mut codes = Vec::new();
    let mut said = String::new();
    for step in steps.iter().filter(|step| step["run"].is_string()) {
        assert_eq!(step["shell"], "bash");
        let mut command = Command::new("bash");
        command
            .args([
                "--noprofile",
                "--norc",
                "-e",
                "-o",
                "pipefail",
                "-c",
                step["run"].as_str().unwrap(),
            ])
            .current_dir(repository.path())
            .env("PATH", path_with_program())
            .env("GITHUB_ACTION_PATH", env!("CARGO_MANIFEST_DIR"))
            .env("GITHUB_BASE_REF", "main")
            .env("GITHUB_OUTPUT", &output)
            .env("GITHUB_ENV", &environment)
            .env("GITHUB_PATH", &path)
            .env("RUNNER_TEMP", runner.path())
            .env_remove("WHOWROTE_CACHE")
            .env_remove("ImageOS");
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            let value = match value.as_str().unwrap() {
                "${{ inputs.range }}" => String::new(),
                "${{ inputs.arguments }}" => ARGUMENTS.join(" "),
                "${{ github.event.before }}" => "0".repeat(40),
                "${{ github.event.merge_group.base_sha }}" => String::new(),
                set if !set.contains("${{") => set.to_owned(),
                other => panic!("{name} is {other}"),
            };
            command.env(name, value);
        }
        let done = command.output().unwrap();
        codes.push(done.status.code());
        said = [done.stdout, done.stderr]
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .concat();
    }
    assert_eq!(codes, [Some(0), Some(0), Some(1)], "{said}");
    assert!(
        said.contains("::error file=docs/page.md,line=9,endLine=12,title=whowrote::"),
        "{said}"
    );
    assert!(runner.path().join("whowrote.sarif").is_file());
    let output = fs::read_to_string(output).unwrap();
    let digest = |key: &str| {
        let line = output
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default();
        assert!(
            line.len() == 64 && line.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{output}"
        );
    };
    digest("program=system-");
    digest("models=");
    assert!(output.contains("sarif="));
}
