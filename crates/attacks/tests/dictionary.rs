//! The dictionary of misspellings in `crates/input/data` is that of the crate typos-dict. With UPDATE_DICTIONARY=1 in the
//! environment the file is written again.

use whowrote_input::spelling::DICTIONARY;

#[test]
fn the_dictionary_is_that_of_typos() {
    let entries = typos_dict::WORD.map.entries().filter_map(|(word, meant)| {
        let word = word.into_inner();
        let is_plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase());
        let meant = meant.first()?;
        is_plain.then(|| format!("{word} {meant}\n"))
    });
    let mut lines: Vec<String> = entries.collect();
    lines.sort_unstable();
    let lines = lines.concat();
    if std::env::var_os("UPDATE_DICTIONARY").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../input/data/misspellings.txt");
        std::fs::write(path, &lines).unwrap();
    }
    assert!(lines == DICTIONARY, "run this test with UPDATE_DICTIONARY=1");
}
