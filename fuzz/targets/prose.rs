//! Prose is extracted from files of every markup, and cut into texts to judge.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use whowrote::gate::{Before, passages};
use whowrote_input::prose::{Markup, of_file};

const NAMES: [&str; 23] = [
    "x.md", "x.rst", "x.html", "x.tex", "x.txt", "x.docx", "x.odt", "x.rs", "x.py", "x.js", "x.ts", "x.tsx", "x.c",
    "x.cpp", "x.java", "x.go", "x.cs", "x.sh", "x.rb", "x.php", "x.eml", "x.mbox", "x.vtt",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let name = if bytes.starts_with(b"%PDF") {
        "x.pdf"
    } else {
        NAMES[usize::from(*first) % NAMES.len()]
    };
    let markup = Markup::of_path(Path::new(name)).unwrap();
    let Ok(prose) = of_file(name, markup, bytes) else {
        return;
    };
    for block in &prose.blocks {
        let mut line = 1;
        for piece in &block.pieces {
            assert!(block.text.get(piece.span.clone()).is_some());
            assert!(piece.line >= line, "lines go back");
            line = piece.line;
        }
    }
    let all = passages(&prose, &Before::default(), 5);
    for passage in &all.judged {
        assert!(passage.words >= 5 && !passage.lines.is_empty());
    }
    let mut before = Before::default();
    before.add(&prose);
    assert!(
        passages(&prose, &before, 5).judged.is_empty(),
        "a file is new against itself"
    );
});
