//! The pre-commit hook, run by pre-commit.

use crate::quick::gate::{ARGUMENTS, Repository, fresh, path_with_program, policy_with_two_models};
use std::process::Command;

#[test]
#[ignore = "takes the pre-commit that WHOWROTE_PRE_COMMIT names"]
fn the_pre_commit_hook_stops_a_commit() {
    let pre_commit = std::env::var_os("WHOWROTE_PRE_COMMIT").expect("WHOWROTE_PRE_COMMIT names pre-commit");
    // The hooks as they come, in a repository of their own: the whole one would be cloned.
    let hooks = Repository::of(&[(
        ".pre-commit-hooks.yaml",
        include_str!("../../../.pre-commit-hooks.yaml"),
    )]);
    let revision = String::from_utf8(hooks.git(&["rev-parse", "HEAD"]).stdout).unwrap();
    let config = format!(
        "repos:\n- repo: {}\n  rev: {}\n  hooks:\n  - id: whowrote-system\n    args: {ARGUMENTS:?}\n",
        hooks.path().display(),
        revision.trim()
    );
    let repository = Repository::of(&[
        ("whowrote.toml", &policy_with_two_models()),
        (".pre-commit-config.yaml", &config),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let run = |program: &std::ffi::OsStr, arguments: &[&str]| {
        let mut command = Command::new(program);
        command
            .current_dir(repository.path())
            .args(arguments)
            .env("PATH", path_with_program());
        let output = command.env("PRE_COMMIT_HOME", cache.path()).output().unwrap();
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), said.concat())
    };
    let (installed, said) = run(&pre_commit, &["install"]);
    assert!(installed, "{said}");
    let commit = [
        "-c",
        "user.name=A",
        "-c",
        "user.email=a@example.com",
        "commit",
        "-m",
        "m",
    ];
    repository.write(&[("page.md", &fresh("tower"))]);
    repository.git(&["add", "-A"]);
    let (committed, said) = run("git".as_ref(), &commit);
    assert!(!committed && said.contains("FAILED page.md:1-4"), "{said}");
    repository.write(&[("page.md", "Short.\n")]);
    repository.git(&["add", "-A"]);
    let (committed, said) = run("git".as_ref(), &commit);
    assert!(committed && said.contains("Passed"), "{said}");
}
