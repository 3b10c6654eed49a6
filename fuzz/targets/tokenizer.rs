//! A model's tokenizer.json.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whowrote::model::tokenizer::Tokenizer;

const TEXT: &str = "the hen had ten hats, \u{e9}t\u{e9} <bos> <|im_end|>\n\n 1234";

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, bytes).unwrap();
    let Ok(tokenizer) = Tokenizer::from_json(&path, "fuzz") else {
        return;
    };
    if let Ok(tokens) = tokenizer.encode(TEXT) {
        assert_eq!(tokens.ids.len(), tokens.spans.len());
        let mut end = 0;
        for span in &tokens.spans {
            assert!(span.start <= span.end && span.end <= TEXT.len() && span.start >= end.min(span.start));
            end = span.end;
        }
        let _ = tokenizer.decode(&tokens.ids);
    }
});
