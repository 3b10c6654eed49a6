//! What people install without Rust: names and versions that stand in several files agree, and a released program is
//! taken only if it is the right one. The wheel itself is tried by packaging/check-wheel.

use crate::common::program::write_program;
use sha2::{Digest, Sha256};
use std::env::consts::{ARCH, OS};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use toml::Table;

const TOP: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn table(path: &str) -> Table {
    fs::read_to_string(Path::new(TOP).join(path)).unwrap().parse().unwrap()
}

/// What a command says, and whether it succeeded.
fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.success(), said.concat())
}

/// This machine's target, of those that are released.
fn target() -> String {
    let system = match OS {
        "linux" => "unknown-linux-gnu",
        "macos" => "apple-darwin",
        other => panic!("nothing is released for {other}"),
    };
    format!("{ARCH}-{system}")
}

/// A folder of releases with one in it, as release.yml makes it, of a stand-in for the program.
struct Releases(tempfile::TempDir);

impl Releases {
    fn new() -> Self {
        let releases = Self(tempfile::tempdir().unwrap());
        let program = releases.0.path().join("program");
        let answers = "case $1 in --version) echo whowrote ";
        write_program(
            &program,
            &format!("#!/bin/sh\n{answers}{VERSION} ;; man) echo 'whowrote\\-detect(1)' ;; *) echo \"$@\" ;; esac\n"),
        );
        let mut archive = Command::new(Path::new(TOP).join("packaging/archive"));
        let (packed, said) = run(archive.arg(target()).arg(&program).arg(releases.folder()));
        assert!(packed, "{said}");
        let (counted, digests) = run(&mut Command::new(Path::new(TOP).join("packaging/digests")));
        assert!(counted, "{digests}");
        let sources = digests.lines().find_map(|line| line.strip_prefix("program=")).unwrap();
        releases.write("SOURCES", &format!("{sources}\n"));
        let digest = Sha256::digest(fs::read(releases.archive()).unwrap());
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let name = releases.archive().file_name().unwrap().to_owned();
        releases.write("SHA256SUMS", &format!("{digest}  {}\n", name.display()));
        releases
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join(format!("v{VERSION}"))
    }

    fn archive(&self) -> PathBuf {
        self.folder().join(format!("whowrote-{VERSION}-{}.tar.gz", target()))
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder().join(name), text).unwrap();
    }

    /// Whether packaging/get-program succeeded, what it said, the program that it left, and how it called cargo.
    fn get(&self) -> (bool, String, Option<PathBuf>, Option<String>) {
        let scratch = self.0.path().join("scratch");
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir(&scratch).unwrap();
        let called = scratch.join("called");
        write_program(
            &scratch.join("cargo"),
            &format!("#!/bin/sh\necho \"$@\" > '{}'\n", called.display()),
        );
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([scratch.clone()].into_iter().chain(std::env::split_paths(&path))).unwrap();
        let mut command = Command::new(Path::new(TOP).join("packaging/get-program"));
        command
            .arg(scratch.join("into"))
            .env("PATH", path)
            .env("WHOWROTE_RELEASES", format!("file://{}", self.0.path().display()));
        let (succeeded, said) = run(&mut command);
        let program = scratch.join("into/bin/whowrote");
        (
            succeeded,
            said,
            program.exists().then_some(program),
            fs::read_to_string(called).ok(),
        )
    }

    fn is_built_here(&self, why: &str) {
        let (succeeded, said, program, cargo) = self.get();
        assert!(succeeded && said.contains(why), "{said}");
        assert_eq!(program, None);
        let cargo = cargo.unwrap();
        assert!(
            cargo.starts_with("install --locked --path . --root ") && cargo.ends_with("/into\n"),
            "{cargo}"
        );
    }
}

#[test]
fn a_program_that_was_released_from_these_sources_is_taken() {
    let (succeeded, said, program, cargo) = Releases::new().get();
    assert!(succeeded && said.contains("as released"), "{said}");
    assert!(program.is_some());
    assert_eq!(cargo, None);
}

#[test]
fn a_program_is_built_where_none_was_released_from_these_sources() {
    let releases = Releases::new();
    releases.write("SOURCES", &format!("{}\n", "0".repeat(64)));
    releases.is_built_here("was released from other sources");
    fs::remove_file(releases.folder().join("SOURCES")).unwrap();
    releases.is_built_here(&format!("no release of version {VERSION}"));

    let releases = Releases::new();
    fs::remove_file(releases.archive()).unwrap();
    releases.is_built_here(&format!("has no whowrote-{VERSION}-{}.tar.gz", target()));
}

#[test]
fn an_archive_that_is_not_the_one_that_was_released_is_refused() {
    let releases = Releases::new();
    let mut archive = fs::read(releases.archive()).unwrap();
    *archive.last_mut().unwrap() ^= 1;
    fs::write(releases.archive(), archive).unwrap();
    let refused = |releases: &Releases| {
        let (succeeded, said, program, cargo) = releases.get();
        assert!(!succeeded && said.contains("nothing is installed"), "{said}");
        assert_eq!((program, cargo), (None, None));
    };
    refused(&releases);
    // Nor is one that has no digest.
    let releases = Releases::new();
    releases.write("SHA256SUMS", "");
    refused(&releases);
}

/// `cargo binstall` finds the archive by its address, and the program by its place in it.
#[test]
fn cargo_binstall_finds_what_is_released() {
    let package = table("Cargo.toml")["package"].as_table().unwrap().clone();
    let binstall = package["metadata"]["binstall"].as_table().unwrap();
    let repository = env!("CARGO_PKG_REPOSITORY");
    let filled = |template: &str, ending: &str| {
        template
            .replace("{ repo }", repository)
            .replace("{ name }", "whowrote")
            .replace("{ version }", VERSION)
            .replace("{ target }", &target())
            .replace("{ archive-suffix }", ending)
            .replace("{ bin }", "whowrote")
            .replace("{ binary-ext }", "")
    };
    assert_eq!(binstall["pkg-fmt"].as_str(), Some("tgz"));
    let windows = &binstall["overrides"]["x86_64-pc-windows-msvc"];
    assert_eq!(windows["pkg-fmt"].as_str(), Some("zip"));

    let releases = Releases::new();
    let address = filled(binstall["pkg-url"].as_str().unwrap(), ".tar.gz");
    let below = address
        .strip_prefix(&format!("{repository}/releases/download/"))
        .unwrap();
    assert_eq!(releases.0.path().join(below), releases.archive());
    let mut tar = Command::new("tar");
    let (listed, members) = run(tar.arg("-tzf").arg(releases.archive()));
    let program = filled(binstall["bin-dir"].as_str().unwrap(), ".tar.gz");
    assert!(
        listed && members.lines().any(|member| member == program),
        "{program} is not among\n{members}"
    );
}

#[test]
fn the_pre_commit_hook_brings_the_wheel_of_this_version() {
    let project = table("pyproject.toml")["project"].as_table().unwrap().clone();
    assert_eq!(project["version"].as_str(), Some(VERSION));
    let dependencies = project["dependencies"].as_array().unwrap();
    let dependencies: Vec<_> = dependencies.iter().map(|one| one.as_str().unwrap()).collect();
    assert_eq!(dependencies, [format!("whowrote=={VERSION}")]);
}
