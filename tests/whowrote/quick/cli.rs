//! The program as a user meets it: what it says, where it says it, and how it ends. No test here needs a model or a
//! network.

use assert_cmd::Command;
use predicates::prelude::*;
use predicates::str::{contains, is_empty, starts_with};
use std::path::PathBuf;

fn whowrote() -> Command {
    let mut command = Command::cargo_bin("whowrote").expect("the program is built");
    // What the developer's own shell sets must not change what is tested.
    command
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .env_remove("RUST_BACKTRACE");
    command
}

#[test]
fn the_help_lists_the_commands_and_the_exit_codes() {
    whowrote()
        .arg("--help")
        .assert()
        .success()
        .stdout(
            contains("detect")
                .and(contains("generate"))
                .and(contains("models"))
                .and(contains("completions"))
                .and(contains("Exit codes")),
        )
        .stderr(is_empty());
    let options = [
        "--format",
        "--alpha",
        "--a ",
        "--b ",
        "--models",
        "--test",
        "--decoding",
        "--tokens",
    ];
    let more = ["--threads", "--device", "--offline", "--color", "--quiet", "--verbose"];
    for option in options.into_iter().chain(more) {
        whowrote()
            .args(["detect", "--help"])
            .assert()
            .success()
            .stdout(contains(option));
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = format!("whowrote {}\n", env!("CARGO_PKG_VERSION"));
    whowrote().arg("--version").assert().success().stdout(version);
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        whowrote()
            .args(["completions", shell])
            .assert()
            .success()
            .stdout(contains("detect"));
    }
    whowrote()
        .args(["completions", "cobol"])
        .assert()
        .code(2)
        .stderr(contains("bash"));
}

#[test]
fn man_pages_are_roff() {
    whowrote()
        .arg("man")
        .assert()
        .success()
        .stdout(contains(".TH").and(contains("whowrote")));
    whowrote()
        .args(["man", "detect"])
        .assert()
        .success()
        .stdout(contains("alpha"));
    whowrote()
        .args(["man", "paint"])
        .assert()
        .code(2)
        .stderr(contains("there is no subcommand `paint`"));
}

#[test]
fn without_a_command_the_help_is_shown_as_a_usage_error() {
    whowrote().assert().code(2).stderr(contains("Usage"));
}

#[test]
fn a_missing_file_has_its_sentence_and_exit_code_2() {
    whowrote()
        .args(["detect", "no-such-file.txt"])
        .assert()
        .code(2)
        .stdout(is_empty())
        .stderr("Error: `no-such-file.txt` does not exist; check the path\n");
}

#[test]
fn prompts_that_cannot_be_used_have_their_sentence_before_any_model_is_loaded() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prompts = folder.path().join("prompts.jsonl");
    let good = r#"{"id": "a", "kind": "essay", "part": "one", "opening": "Once", "title": "passed over"}"#;
    for (lines, more, said) in [
        (
            format!("{good}\n\nhello\n"),
            &[][..],
            "prompts.jsonl:3` cannot be read as a JSON object",
        ),
        (
            format!("{good}\n{{\"id\": \"b\"}}\n"),
            &[],
            "line 2 has neither an instruction nor an opening",
        ),
        (
            format!("{good}\n{good}\n"),
            &[],
            "line 2 has the id `a`, which another prompt has too",
        ),
        (good.to_owned(), &["--part", "two"], "no prompt has this part"),
        (
            good.to_owned(),
            &["--decodings-per-prompt", "2"],
            "more than the 1 decodings",
        ),
        (
            good.to_owned(),
            &["--decoding", "top-k=5", "--decoding", "top_k=5"],
            "named twice",
        ),
        (good.to_owned(), &["--prompt", "-", "--prompt", "-"], "more than once"),
    ] {
        std::fs::write(&prompts, lines).expect("a file");
        whowrote()
            .args(["generate", "--model", "none", "--offline", "--prompts"])
            .arg(&prompts)
            .args(more)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains(said).and(starts_with("Error: ")));
    }
    for (arguments, said) in [
        (
            &["--model", "none"][..],
            "there is no prompt; name a file of prompts with --prompts",
        ),
        (
            &["--prompt", "Hello", "--model", "none"],
            "there is no author, model or file called 'none'",
        ),
        (&["--prompt", "Hello", "--model", ""], "--model needs the name"),
        (&["--prompt", "Hello"], "--model"),
        (
            &["--prompt", "Hello", "--model", "none", "--decoding", "hot"],
            "a decoding reads like",
        ),
        (
            &["--prompts", "no-such.jsonl", "--model", "none"],
            "`no-such.jsonl` does not exist",
        ),
    ] {
        whowrote()
            .arg("generate")
            .args(arguments)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains(said));
    }
}

#[test]
fn a_genre_that_no_calibration_has_is_told_before_any_model_is_loaded() {
    whowrote()
        .args(["detect", "--genre", "poetry", "--offline"])
        .write_stdin("Tyger Tyger, burning bright")
        .assert()
        .code(2)
        .stdout(is_empty())
        .stderr(
            "Error: no calibration has human-written texts of the genre \"poetry\"; choose one of \"essays and fiction\", \
             \"informative\", or leave out --genre\n",
        );
}

#[test]
fn what_is_read_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let prompts = folder.path().join("prompts.jsonl");
    std::fs::write(&prompts, "{\"opening\": \"Once\"}\n").expect("a file");
    whowrote()
        .args(["generate", "--model", "gemma-3-270m", "--offline", "--prompts"])
        .args([&prompts, &PathBuf::from("-o"), &prompts])
        .assert()
        .code(2)
        .stdout(is_empty())
        .stderr(contains("is an input of this command"));
    assert_eq!(std::fs::read(&prompts).expect("the file"), b"{\"opening\": \"Once\"}\n");
}

#[cfg(unix)]
#[test]
fn a_catalogue_that_does_not_end_is_refused() {
    whowrote()
        .args(["models", "list", "--models", "/dev/zero"])
        .assert()
        .code(2)
        .stderr(contains("which no models file has"));
}

#[test]
fn in_json_a_missing_file_is_an_object_too() {
    let assert = whowrote()
        .args(["detect", "--format", "json", "no-such-file.txt"])
        .assert()
        .code(2);
    let object: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).expect("one object");
    assert_eq!(object["schema"], 1);
    assert_eq!(object["input"]["name"], "no-such-file.txt");
    assert_eq!(object["verdict"], "unable");
    assert_eq!(object["authors"], serde_json::json!([]));
    assert_eq!(object["warnings"][0]["code"], "unreadable");
    assert_eq!(
        object["warnings"][0]["message"],
        "`no-such-file.txt` does not exist; check the path"
    );
}

#[test]
fn each_kind_of_bad_input_has_its_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let inputs: [(&str, &[u8], &str); 4] = [
        ("empty.txt", b"", "is empty or holds only white space"),
        (
            "essay.pdf",
            b"%PDF-1.7\n",
            "is not a PDF file, or it is cut off or damaged",
        ),
        ("photo.jpg", b"\xFF\xD8\xFF\xE0\x00\x10JFIF", "is binary"),
        ("latin1.txt", b"na\xEFve", "iconv"),
    ];
    let mut command = whowrote();
    command.arg("detect").arg(folder.path());
    let mut said = contains("is a directory").and(contains("Error: `")).boxed();
    for (name, bytes, sentence) in inputs {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        command.arg(path);
        said = said.and(contains(name)).and(contains(sentence)).boxed();
    }
    command.assert().code(2).stdout(is_empty()).stderr(said);
}

/// The program as a user without rights; the superuser may read everything.
#[cfg(unix)]
fn whowrote_as_nobody(folder: &std::path::Path) -> Command {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    const NOBODY: u32 = 65534;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).expect("permissions are changed");
    // Where it was built, that user may not go.
    let program = folder.join("whowrote");
    let built = assert_cmd::cargo::cargo_bin("whowrote");
    let copied = std::process::Command::new("cp").arg(built).arg(&program).status();
    assert!(copied.expect("cp runs").success());
    let mut command = std::process::Command::new(&program);
    command.uid(NOBODY).gid(NOBODY).current_dir(folder);
    command.env_remove("XDG_CONFIG_HOME").env("HOME", folder.join("home"));
    Command::from_std(command)
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("essay.txt");
    std::fs::write(&file, "some text").expect("is written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).expect("permissions are changed");
    let mut command = if std::fs::read(&file).is_ok() {
        whowrote_as_nobody(folder.path())
    } else {
        whowrote()
    };
    command
        .arg("detect")
        .arg(&file)
        .assert()
        .code(2)
        .stderr(contains("permission"));
}

/// Hours of scoring would come before it.
#[test]
fn a_calibration_that_could_not_be_written_is_told_at_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let texts = folder.path().join("essay.txt");
    std::fs::write(
        &texts,
        "We walked down to the river in the morning, and nobody said a word. ".repeat(4),
    )
    .expect("a file");
    for (output, sentence) in [
        (folder.path().to_owned(), "is a folder"),
        (texts.join("x.json"), "cannot write"),
    ] {
        let mut command = whowrote();
        command
            .args(["calibrate", "--author", "human", "--offline"])
            .arg(&texts);
        let said = contains(sentence).and(contains(output.to_str().expect("UTF-8")));
        command
            .arg("-o")
            .arg(&output)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(said);
    }
}

#[test]
fn standard_input_is_read_where_no_file_is_named() {
    whowrote()
        .arg("detect")
        .write_stdin("")
        .assert()
        .code(2)
        .stderr(contains("`-` is empty"));
    whowrote()
        .args(["detect", "-"])
        .write_stdin("\u{feff}\r\n")
        .assert()
        .code(2)
        .stderr(contains("`-` is empty"));
}

#[test]
fn values_out_of_range_are_usage_errors() {
    for alpha in ["0", "1", "1.5", "-0.1", "NaN", "often"] {
        whowrote()
            .args(["detect", "--alpha", alpha, "x.txt"])
            .assert()
            .code(2)
            .stderr(contains("a share above 0 and below 1 is needed"));
    }
    for decoding in ["temperature=-1", "temperature=inf", "warm"] {
        whowrote()
            .args(["detect", "--decoding", decoding, "x.txt"])
            .assert()
            .code(2)
            .stderr(contains("a decoding reads like `temperature=0.7,top-p=0.9`"));
    }
    whowrote().args(["detect", "--threads", "0"]).assert().code(2);
    whowrote()
        .args(["detect", "--device", "abacus"])
        .assert()
        .code(2)
        .stderr(contains("cuda:N"));
    whowrote()
        .args(["detect", "--test", "tea-leaves"])
        .assert()
        .code(2)
        .stderr(contains("entropy-gap-vocab"));
}

#[test]
fn contradictions_are_refused_before_any_work() {
    let contradictions: [(&[&str], &str); 7] = [
        (&["-", "-"], "can be read only once"),
        (&["--tokens", "x.txt"], "--format json"),
        (&["--a", "x", "--b", "x", "x.txt"], "belongs to one set"),
        (&["--a", "x", "--a", "x", "x.txt"], "name it once"),
        (
            &["--a", "./no-such-model.gguf", "x.txt"],
            "the model `./no-such-model.gguf` does not exist",
        ),
        (
            &["--models", "no-such.toml", "x.txt"],
            "the catalogue `no-such.toml` does not exist",
        ),
        (&["-q", "-v", "x.txt"], "cannot be used with"),
    ];
    for (arguments, sentence) in contradictions {
        // Had any work begun, the missing text would have been named.
        whowrote()
            .arg("detect")
            .args(arguments)
            .assert()
            .code(2)
            .stdout(is_empty())
            .stderr(contains(sentence).and(contains("`x.txt`").not()));
    }
}

#[test]
fn colours_follow_the_flag_and_the_environment() {
    let coloured = contains("\u{1b}[");
    let run = |arguments: &[&str]| whowrote().args(["detect", "no-such-file.txt"]).args(arguments).assert();
    // Output that is captured does not go to a terminal.
    run(&[]).stderr(starts_with("Error: "));
    run(&["--color", "never"]).stderr(starts_with("Error: "));
    run(&["--color", "always"]).stderr(coloured);
    whowrote()
        .env("NO_COLOR", "1")
        .args(["detect", "no-such-file.txt"])
        .assert()
        .stderr(starts_with("Error: "));
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_ends_quietly() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("whowrote"))
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // The reader goes away before anything is read; what does not fit in the pipe meets its end.
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert!(output.status.success(), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}
