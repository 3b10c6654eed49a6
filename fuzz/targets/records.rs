//! Files of many texts: JSONL, CSV, Parquet, plain or compressed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use whowrote_input::{Columns, Corpus, CorpusOptions, CorpusSource, Shard};

const NAMES: [&str; 8] = [
    "x.json",
    "x.csv",
    "x.tsv",
    "x.parquet",
    "x.jsonl.gz",
    "x.csv.zst",
    "x.txt.gz",
    "x.zst",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAMES[usize::from(*first) % NAMES.len()]);
    std::fs::write(&path, bytes).unwrap();
    let options = CorpusOptions {
        columns: Columns {
            text: "text".to_owned(),
            id: Some("id".to_owned()),
            keep: vec!["label".to_owned()],
        },
        format: None,
        globs: Vec::new(),
        hidden: false,
        ignored: false,
        plain: false,
        shard: Shard::ALL,
        except: Vec::new(),
        leave_out: Default::default(),
    };
    let found = Corpus::new(vec![CorpusSource::Path(path.clone())], options.clone()).count() as u64;
    assert_eq!(found, Corpus::count(vec![CorpusSource::Path(path)], options));
});
