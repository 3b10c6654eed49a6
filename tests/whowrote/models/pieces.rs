//! How the gate judges long texts in Markdown: without their markup, and in pieces. Later pieces are not beginnings of
//! texts. The measurement takes texts whose authors are known, and is run on demand: `VALIDITY_TEXTS=FOLDER
//! UPDATE_VALIDITY=1 cargo test --release --test whowrote pieces -- --ignored`, with a line `{"author": …, "text": …}`
//! for each text in FOLDER/pieces.jsonl.

use crate::common::document::{documented, share};
use crate::common::known::{known_texts, reports};
use std::collections::BTreeMap;
use std::fmt::Write;
use whowrote::gate::{Before, passages};
use whowrote::input::prose::{Markup, of_file};

/// Pieces of fewer words are left out: they can tell little, wherever they stand.
const LEAST_WORDS: usize = 80;
const ALPHA: f64 = 0.05;

#[derive(Default)]
struct Row {
    texts: u64,
    kept: u64,
    fail: u64,
}

#[test]
#[ignore = "takes texts of known authors in the folder VALIDITY_TEXTS, and ten minutes"]
fn later_pieces_and_text_out_of_markup() {
    let mut texts = Vec::new();
    for (i, (author, text)) in known_texts("pieces.jsonl").into_iter().enumerate() {
        let prose = of_file("text.md", Markup::Markdown, text.as_bytes()).unwrap();
        let judged = passages(&prose, &Before::default(), 40).judged;
        let pieces = judged.into_iter().enumerate();
        let pieces = pieces
            .filter(|(_, piece)| piece.words >= LEAST_WORDS)
            .map(|(number, piece)| {
                let part = ["2 beginning, out of Markdown", "3 later piece, out of Markdown"][number.min(1)];
                (format!("{part}/{author}/{i}"), piece.text)
            });
        texts.extend(pieces);
        texts.push((format!("1 beginning, as it is/{author}/{i}"), text));
    }
    let mut rows: BTreeMap<(String, String), Row> = BTreeMap::new();
    for report in reports(&texts) {
        let id: Vec<&str> = report["input"]["id"].as_str().unwrap().split('/').collect();
        let hypotheses = report["hypotheses"].as_array().unwrap();
        let p_value = |of: &dyn Fn(&str, &str) -> bool| {
            let of = hypotheses
                .iter()
                .filter(|h| of(h["author"].as_str().unwrap(), h["set"].as_str().unwrap()));
            of.map(|h| h["p_value"].as_f64().unwrap_or(1.0)).fold(0.0, f64::max)
        };
        let row = rows.entry((id[0].to_owned(), id[1].to_owned())).or_default();
        row.texts += 1;
        row.kept += u64::from(p_value(&|author, _| author == id[1]) > ALPHA);
        row.fail += u64::from(p_value(&|_, set| set != "b") <= ALPHA);
    }
    let mut table = String::from(
        "\n| part | texts by | n | p-value of the author above 0.05 | fails, judged alone |\n|---|---|---|---|---|\n",
    );
    for ((part, author), row) in &rows {
        let (kept, fail) = (share(row.kept, row.texts), share(row.fail, row.texts));
        writeln!(table, "| {} | {author} | {} | {kept} | {fail} |", &part[2..], row.texts).unwrap();
    }
    documented("pieces", &table);
}
