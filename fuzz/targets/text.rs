//! Bytes become a document: decoding, removing layout and disguises, and finding misspelt words.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whowrote_input::Document;
use whowrote_input::disguise::{BLOCK, undisguise};
use whowrote_input::spelling::{corrected, misspellings};
use whowrote_stats::conformal_scores::beginning;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::from_bytes("fuzz", bytes) else {
        return;
    };
    let came = document
        .disguised
        .as_ref()
        .map_or(&document.text, |disguised| &disguised.text);
    if came.len() <= BLOCK {
        let again = undisguise(&document.text);
        assert!(again.kinds.is_empty(), "a text without disguises still has one");
    }
    let wrong = misspellings(&document.text);
    assert_eq!(corrected(&document.text, &wrong) == document.text, wrong.is_empty());
    if let (Some(disguised), None) = (&document.disguised, &document.layout) {
        for disguise in &disguised.disguises {
            assert!(disguised.text.get(disguise.start..disguise.end).is_some());
        }
    }
    let original = document.original_offsets();
    let mut before = 0;
    for (at, _) in document.text.char_indices() {
        let there = original(at);
        assert!(there >= before, "the map of offsets descends");
        before = there;
    }
    assert!(document.text.starts_with(beginning(&document.text)));
});
