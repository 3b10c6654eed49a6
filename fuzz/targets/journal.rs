//! The results and the state from which a batch resumes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whowrote::output::Journal;

fuzz_target!(|bytes: &[u8]| {
    // The bytes before the first NUL are the state, and the rest are the lines.
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (state, lines) = (&bytes[..end], bytes.get(end + 1..).unwrap_or_default());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.jsonl");
    std::fs::write(&path, lines).unwrap();
    std::fs::write(folder.path().join("out.jsonl.state"), state).unwrap();
    let settings = serde_json::json!({"whowrote": "0.1.0"});
    let Ok(mut journal) = Journal::open(&path, &settings, false) else {
        return;
    };
    while let Ok(Some(_)) = journal.next_finished() {}
    drop(journal);
    let left = std::fs::read(&path).unwrap();
    assert!(lines.starts_with(&left), "existing lines have changed");
});
