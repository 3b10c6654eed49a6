//! Bytes become a document: decoding, and taking disguises off.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whowrote::input::Document;
use whowrote::input::disguise::undisguise;
use whowrote::stats::attribution::beginning;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::from_bytes("fuzz", bytes) else { return };
    let again = undisguise(&document.text);
    assert!(again.disguises.is_empty(), "what has no disguise any more has one");
    if let Some(disguised) = &document.disguised {
        for disguise in &disguised.disguises {
            assert!(disguised.text.get(disguise.start..disguise.end).is_some());
        }
        let plain = undisguise(&disguised.text);
        let mut before = 0;
        for (at, _) in plain.text.char_indices() {
            let there = plain.original_offset(at);
            assert!(there >= before && there <= disguised.text.len());
            before = there;
        }
    }
    assert!(document.text.starts_with(beginning(&document.text)));
});
