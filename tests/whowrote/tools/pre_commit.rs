//! The pre-commit hooks, run by pre-commit.

use crate::quick::gate::{ARGUMENTS, Repository, fresh, path_with_program, policy_with_two_models};
use std::process::Command;

/// Installs a hook of this repository with pre-commit, and commits a text that it must stop and one that it must not.
fn a_hook_stops_a_commit(hook: &str, environment: &[(&str, std::ffi::OsString)]) {
    let pre_commit = std::env::var_os("WHOWROTE_PRE_COMMIT").expect("WHOWROTE_PRE_COMMIT names pre-commit");
    // The hooks as they come, in a repository of their own: the whole one would be cloned.
    let hooks = Repository::of(&[
        (
            ".pre-commit-hooks.yaml",
            include_str!("../../../.pre-commit-hooks.yaml"),
        ),
        ("pyproject.toml", include_str!("../../../pyproject.toml")),
    ]);
    let revision = String::from_utf8(hooks.git(&["rev-parse", "HEAD"]).stdout).unwrap();
    let config = format!(
        "repos:\n- repo: {}\n  rev: {}\n  hooks:\n  - id: {hook}\n    args: {ARGUMENTS:?}\n",
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
            .envs(environment.iter().map(|(name, value)| (name, value)));
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

#[test]
#[ignore = "needs pre-commit, which WHOWROTE_PRE_COMMIT names; .ci/run has it"]
fn the_pre_commit_hook_of_the_system_stops_a_commit() {
    a_hook_stops_a_commit("whowrote-system", &[("PATH", path_with_program())]);
}

/// The hook that people name: pip finds the program's wheel, and nothing is built.
#[test]
#[ignore = "needs pre-commit, and the wheels of whowrote and setuptools in the folder WHOWROTE_WHEELS; .ci/run has them"]
fn the_pre_commit_hook_that_is_released_stops_a_commit() {
    let wheels = std::env::var_os("WHOWROTE_WHEELS").expect("WHOWROTE_WHEELS names the folder with the wheel");
    let here = std::env::var_os("PATH").unwrap_or_default();
    let elsewhere = std::env::split_paths(&here).filter(|folder| !folder.join("whowrote").exists());
    let path = std::env::join_paths(elsewhere).unwrap();
    let environment = [("PATH", path), ("PIP_FIND_LINKS", wheels), ("PIP_NO_INDEX", "1".into())];
    a_hook_stops_a_commit("whowrote", &environment);
}
