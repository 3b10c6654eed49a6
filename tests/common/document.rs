//! Tables of docs/VALIDITY.md, which tests make and hold to be true.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use whowrote_stats::clopper_pearson;

/// The document, from the folder of the package that runs the tests or of one inside it.
fn path() -> PathBuf {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut found = folders.map(|folder| folder.join("docs/VALIDITY.md"));
    found.find(|path| path.exists()).expect("docs/VALIDITY.md is there")
}

/// A share in percent with its 95% Clopper-Pearson interval.
pub fn share(k: u64, n: u64) -> String {
    let (low, high) = clopper_pearson(k, n, 0.95);
    let percent = |share: f64| format!("{:.1}", 100.0 * share);
    match n {
        0 => "–".to_owned(),
        _ => format!("{}% ({}–{})", percent(k as f64 / n as f64), percent(low), percent(high)),
    }
}

/// Tests run side by side, and each writes the whole document.
static WRITING: Mutex<()> = Mutex::new(());

/// Whether files are to be written anew rather than checked.
pub fn is_update() -> bool {
    std::env::var_os("UPDATE_VALIDITY").is_some()
}

/// Holds that the document has this table between its marks, or puts it there.
pub fn documented(mark: &str, table: &str) {
    let _writing = WRITING.lock();
    let document = std::fs::read_to_string(path()).unwrap();
    let (begin, end) = (format!("<!-- {mark} -->\n"), format!("<!-- end of {mark} -->"));
    let from = document.find(&begin).unwrap_or_else(|| panic!("no mark {mark}")) + begin.len();
    let to = from + document[from..].find(&end).unwrap();
    println!("{table}");
    if is_update() {
        std::fs::write(path(), format!("{}{table}{}", &document[..from], &document[to..])).unwrap();
    } else {
        assert!(
            document[from..to] == *table,
            "docs/VALIDITY.md is not true any more; run this test with UPDATE_VALIDITY=1"
        );
    }
}
