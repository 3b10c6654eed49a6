//! Files of pairs, as research on detectors keeps them: one JSON object with two lists, a person's texts (`original`) and, for
//! each, what a model made of its beginning (`sampled`).

use super::records::{Kept, Record, Records};
use super::{InputError, printable};
use serde::Deserialize;
use std::io::Read;

/// The longest file, in bytes: it is read as a whole.
const MAX_FILE: u64 = 1 << 30;

/// The texts of a file of pairs, each of a pair after the other.
pub struct PairRecords {
    /// What the records are named after.
    name: String,
    /// The name of the data set: the file's, to its first full stop.
    source: String,
    keep: Vec<String>,
    texts: std::vec::IntoIter<PairText>,
    /// Why the file cannot be read, until it is told.
    error: Option<InputError>,
}

struct PairText {
    text: String,
    number: usize,
    is_sampled: bool,
}

#[derive(Deserialize)]
struct Lists {
    original: Vec<String>,
    sampled: Vec<String>,
}

impl PairRecords {
    /// Reads the texts of `reader`. If `whole` is false, the words that both texts of a pair begin with are left out of
    /// both: a person wrote them, and the model continues them.
    pub fn new(name: &str, reader: impl Read, whole: bool, keep: Vec<String>) -> Self {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let (texts, error) = match lists(name, reader) {
            Ok(lists) => (texts(lists, whole), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        Self {
            source: file.split('.').next().unwrap_or(file).to_owned(),
            name: name.to_owned(),
            keep,
            texts: texts.into_iter(),
            error,
        }
    }

    fn field(&self, field: &str, text: &PairText) -> Option<String> {
        match field {
            "label" if text.is_sampled => Some(self.source.clone()),
            "label" => Some("human".to_owned()),
            "document" => Some(format!("{}/{}", self.source, text.number)),
            "source" => Some(self.source.clone()),
            _ => None,
        }
    }
}

impl Records for PairRecords {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        if let Some(error) = self.error.take() {
            return Some(wanted.then(|| Record::failed(self.name.clone(), error)));
        }
        let text = self.texts.next()?;
        Some(wanted.then(|| {
            let list = if text.is_sampled { "sampled" } else { "original" };
            let name = format!("{}:{} ({list})", self.name, text.number + 1);
            let kept: Kept = self
                .keep
                .iter()
                .filter_map(|field| Some((field.clone(), self.field(field, &text)?)))
                .collect();
            Record::new(name, None, kept, Ok(text.text.as_bytes()))
        }))
    }
}

fn lists(name: &str, reader: impl Read) -> Result<Lists, InputError> {
    let mut json = Vec::new();
    let read = reader.take(MAX_FILE + 1).read_to_end(&mut json);
    read.map_err(|error| InputError::from_io(name, error))?;
    let name = printable(name);
    if json.len() as u64 > MAX_FILE {
        return Err(InputError::TooLarge {
            name,
            limit_mib: MAX_FILE >> 20,
        });
    }
    let lists: Lists = serde_json::from_slice(&json).map_err(|error| InputError::NotPairs {
        name: name.clone(),
        reason: error.to_string(),
    })?;
    if lists.original.len() != lists.sampled.len() {
        return Err(InputError::NotPairs {
            name,
            reason: format!(
                "{} originals, but {} samples",
                lists.original.len(),
                lists.sampled.len()
            ),
        });
    }
    Ok(lists)
}

fn texts(lists: Lists, whole: bool) -> Vec<PairText> {
    let pairs = lists.original.into_iter().zip(lists.sampled).enumerate();
    let of_pair = |(number, (original, sampled)): (usize, (String, String))| {
        let shared = if whole {
            (0, 0)
        } else {
            shared_words(&original, &sampled)
        };
        [(&original[shared.0..], false), (&sampled[shared.1..], true)].map(|(text, is_sampled)| PairText {
            text: text.trim_start().to_owned(),
            number,
            is_sampled,
        })
    };
    pairs.flat_map(of_pair).collect()
}

/// Where the words end that both texts begin with, in each.
fn shared_words(one: &str, other: &str) -> (usize, usize) {
    let ends = |text: &'_ str| -> Vec<(String, usize)> {
        let words = text.split_whitespace();
        words
            .map(|word| {
                (
                    word.to_owned(),
                    word.as_ptr().addr() - text.as_ptr().addr() + word.len(),
                )
            })
            .collect()
    };
    let both = ends(one).into_iter().zip(ends(other));
    let shared = both.take_while(|((word, _), (other, _))| word == other);
    shared
        .last()
        .map_or((0, 0), |((_, end), (_, other_end))| (end, other_end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = r#"{"original": ["We went home early that day.", "Ünder the\n old bridge"],
                           "sampled": ["We went home and slept.", "Ünder the   old tree"]}"#;

    fn read(json: &str, whole: bool) -> Vec<Record> {
        let keep = ["label", "document", "source"].map(str::to_owned).to_vec();
        let mut records = PairRecords::new("data/xsum_gpt-4.raw_data.json", json.as_bytes(), whole, keep);
        std::iter::from_fn(|| records.next(true)).flatten().collect()
    }

    #[test]
    fn each_text_of_a_pair_is_told_from_the_other_and_begins_where_they_part() {
        let records = read(FILE, false);
        let texts: Vec<&str> = records
            .iter()
            .map(|r| r.document.as_ref().unwrap().text.trim())
            .collect();
        assert_eq!(texts, ["early that day.", "and slept.", "bridge", "tree"]);
        let value = |record: &Record, field: &str| record.kept[field].clone();
        assert_eq!(value(&records[0], "label"), "human");
        assert_eq!(value(&records[3], "label"), "xsum_gpt-4");
        assert_eq!(value(&records[2], "document"), "xsum_gpt-4/1");
        assert_eq!(records[3].name, "data/xsum_gpt-4.raw_data.json:2 (sampled)");
        let whole = read(FILE, true);
        assert_eq!(
            whole[1].document.as_ref().unwrap().text.trim(),
            "We went home and slept."
        );
    }

    #[test]
    fn a_file_of_another_form_is_refused_with_its_name() {
        for json in ["", "[1]", r#"{"original":["a"]}"#, r#"{"original":["a"],"sampled":[]}"#] {
            let records = read(json, false);
            let error = records[0].document.as_ref().unwrap_err().to_string();
            assert!(
                error.contains("xsum_gpt-4.raw_data.json") && records.len() == 1,
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_is_shared_is_a_beginning_of_both(one in "[ab \n]{0,12}", other in "[ab \n]{0,12}") {
            let (end, other_end) = shared_words(&one, &other);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&one[..end]), words(&other[..other_end]));
            let (rest, of_other) = (words(&one[end..]), words(&other[other_end..]));
            prop_assert!(rest.is_empty() || of_other.is_empty() || rest[0] != of_other[0]);
        }
    }
}
