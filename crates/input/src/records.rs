//! Files of many texts: JSON and CSV. Each object or row is one [`Record`].

mod rows;

use super::json_lines::{JsonLines, as_utf8};
use super::{Document, InputError, MAX_BYTES, printable};
use encoding_rs_io::DecodeReaderBytes;
use rows::{Row, Rows};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// The longest record, in bytes: the longest text and some room for other fields.
pub(super) const MAX_RECORD: u64 = MAX_BYTES + (1 << 20);
/// The longest name of a record, in characters.
const MAX_ID: usize = 1 << 12;
/// The most names of fields that a message lists.
pub(super) const MAX_NAMES: usize = 20;
/// Fields of chats, each with the field of a message's text.
const CHATS: [(&str, &str); 3] = [
    ("messages", "content"),
    ("conversations", "value"),
    ("conversation", "value"),
];
/// The most values in one CSV row. Each takes eight bytes besides its own.
const MAX_VALUES: u64 = 1 << 22;

/// Which fields of a record are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The field or column of the text.
    pub text: String,
    /// The field or column of the record's name. Without it, records are known by their numbers.
    pub id: Option<String>,
    /// Other fields or columns whose values results repeat.
    pub keep: Vec<String>,
}

/// The values of the fields in [`Columns::keep`], by their names. One that is null or missing has none.
pub type Kept = BTreeMap<String, String>;

/// One text of a file of many, or the reason why it cannot be judged.
#[derive(Debug)]
pub struct Record {
    /// The file and the number of the line or row, counted from 1.
    pub name: String,
    /// The name that the file gives the text.
    pub id: Option<String>,
    /// The values that results repeat.
    pub kept: Kept,
    /// The text.
    pub document: Result<Document, InputError>,
}

impl Record {
    /// A record whose text is already in memory.
    ///
    /// An overlong id or value is cut.
    pub(super) fn new(name: String, id: Option<String>, kept: Kept, text: Result<&[u8], InputError>) -> Self {
        let document = text.and_then(|text| Document::from_bytes(&name, text));
        let cut = |mut value: String| {
            if let Some((at, _)) = value.char_indices().nth(MAX_ID) {
                value.truncate(at);
            }
            value
        };
        Self {
            name,
            id: id.map(cut),
            kept: kept.into_iter().map(|(field, value)| (field, cut(value))).collect(),
            document,
        }
    }

    /// A record that cannot be judged.
    pub(super) fn failed(name: String, error: InputError) -> Self {
        Self {
            name,
            id: None,
            kept: Kept::new(),
            document: Err(error),
        }
    }
}

/// A reader of records, one after another.
pub trait Records {
    /// The next record. A record that is not wanted is skipped without parsing and gives `Some(None)`.
    fn next(&mut self, wanted: bool) -> Option<Option<Record>>;
}

/// The texts of a file with one JSON object per line.
pub struct JsonRecords<R> {
    lines: JsonLines<R>,
    columns: Columns,
}

impl<R: Read> JsonRecords<R> {
    /// Reads texts from `reader`. Records are named after `name`.
    pub fn new(name: impl Into<String>, reader: R, columns: Columns) -> Self {
        Self {
            lines: JsonLines::new(name, reader),
            columns,
        }
    }

    /// The text and the name on the current line.
    fn parse(&mut self) -> Record {
        let columns = &self.columns;
        let parsed = self.lines.parse(|line| {
            // The parser checks that the line is UTF-8, and says where it is not.
            let mut parser = serde_json::Deserializer::from_slice(line);
            let found = Wanted(columns).deserialize(&mut parser)?;
            parser.end()?;
            Ok(found)
        });
        let place = self.lines.place();
        let (text, id, kept) = match parsed {
            Ok(found) => found,
            Err(error) => return Record::failed(place, error),
        };
        let name = printable(&place);
        let column = printable(&columns.text);
        let text = match &text {
            Found::Text(text) => Ok(text.as_bytes()),
            Found::Null => Err(InputError::NoText { name, column }),
            Found::Other(kind) => Err(InputError::NotText {
                name,
                column,
                kind: (*kind).to_owned(),
            }),
            Found::Nothing(fields) => Err(no_field(name, column, fields)),
        };
        Record::new(place, id, kept, text)
    }
}

impl<R: Read> Records for JsonRecords<R> {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        let line = self.lines.next_line()?;
        Some(wanted.then(|| match line {
            Ok(()) => self.parse(),
            Err(error) => Record::failed(self.lines.place(), error),
        }))
    }
}

/// Why a text is missing whose field is not in its object.
fn no_field(name: String, field: String, fields: &[String]) -> InputError {
    let chat = CHATS.iter().find(|(chat, _)| fields.iter().any(|field| field == chat));
    match chat {
        Some(&(chat, message)) => InputError::Chat {
            name,
            field,
            chat,
            message,
        },
        None if fields.is_empty() => InputError::NoText { name, column: field },
        None => InputError::NoField {
            name,
            field,
            known: shortened(&fields.join(", ")),
        },
    }
}

/// What the field of the text holds.
enum Found {
    Text(String),
    Null,
    /// Something else, in words.
    Other(&'static str),
    /// There is no such field, but these. The list is cut.
    Nothing(Vec<String>),
}

/// Parses an object for its text, its name and the values that are kept. All other fields are skipped without being built.
struct Wanted<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = (Found, Option<String>, Kept);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = (Found, Option<String>, Kept);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut text, mut id, mut kept, mut others) = (None, None, Kept::new(), Vec::new());
        while let Some(field) = object.next_key::<String>()? {
            let (is_text, is_id) = (field == self.0.text, self.0.id.as_ref() == Some(&field));
            let is_kept = self.0.keep.contains(&field);
            if !is_text && !is_id && !is_kept {
                object.next_value::<IgnoredAny>()?;
                if others.len() < MAX_NAMES {
                    others.push(field);
                }
                continue;
            }
            // Kept as written, so that a deeply nested value costs nothing.
            let value = object.next_value::<&RawValue>()?.get();
            let found = match value.as_bytes().first() {
                Some(b'"') => Found::Text(serde_json::from_str(value).map_err(Error::custom)?),
                Some(b'n') | None => Found::Null,
                Some(b'{') => Found::Other("an object"),
                Some(b'[') => Found::Other("an array"),
                Some(b't' | b'f') => Found::Other("a truth value"),
                Some(_) => Found::Other("a number"),
            };
            let printed = || match &found {
                Found::Text(text) => Some(text.clone()),
                Found::Other(_) if !value.starts_with(['{', '[']) => Some(value.to_owned()),
                _ => None,
            };
            if is_id {
                id = printed();
            }
            if is_kept {
                match printed() {
                    Some(value) => kept.insert(field, value),
                    None => kept.remove(&field),
                };
            }
            if is_text {
                text = Some(found);
            }
        }
        Ok((text.unwrap_or(Found::Nothing(others)), id, kept))
    }
}

/// The beginning of a message that may be long or quote the input.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let text = printable(text);
    match text.char_indices().nth(MOST) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// What may stand between the values of a row.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The texts of a file of comma-separated values (RFC 4180). The first row names the columns.
///
/// Semicolons, tabs and vertical bars between the values are recognised in the first row: it has the columns that are
/// asked for if it is divided at the right sign. A line such as `sep=;` before it says the same.
pub struct CsvRecords<R> {
    name: String,
    rows: Rows<DecodeReaderBytes<R, Vec<u8>>>,
    delimiter: u8,
    columns: Columns,
    /// Known once the first row is read.
    header: Option<Arc<Header>>,
    row: u64,
    /// Whether the last row has a quotation mark that is left open. The lines after it may belong to it.
    is_broken: bool,
    record: csv::ByteRecord,
    ended: bool,
}

/// What the first row says.
struct Header {
    text: usize,
    id: Option<usize>,
    /// In the order of [`Columns::keep`].
    keep: Vec<usize>,
    /// The number of columns.
    columns: usize,
}

impl<R: Read> CsvRecords<R> {
    /// Reads texts from `reader`. `delimiter` stands between values, unless the first row shows that another sign does.
    /// Records are named after `name`.
    pub fn new(name: impl Into<String>, reader: R, delimiter: u8, columns: Columns) -> Self {
        Self {
            name: name.into(),
            rows: Rows::new(as_utf8(reader)),
            delimiter,
            columns,
            header: None,
            row: 0,
            is_broken: false,
            record: csv::ByteRecord::new(),
            ended: false,
        }
    }

    /// Finds the columns in the first row, and the sign between them.
    fn read_header(&mut self) -> Result<Header, InputError> {
        let name = printable(&self.name);
        let stated = self.stated_delimiter()?;
        let others = DELIMITERS.into_iter().filter(|&delimiter| delimiter != self.delimiter);
        let delimiters: Vec<u8> = match stated {
            Some(delimiter) => vec![delimiter],
            None => [self.delimiter].into_iter().chain(others).collect(),
        };
        let mut known = Vec::new();
        let mut is_open = false;
        for delimiter in delimiters {
            self.rows.again();
            let row = match self.next_row(delimiter)? {
                None => return Err(InputError::Empty { name }),
                Some(Row::TooLong) => return Err(self.too_long(&self.name)),
                Some(Row::Open(row)) => {
                    is_open = true;
                    row
                }
                Some(Row::Whole(row)) => row,
            };
            self.parse(row, delimiter)?;
            let place = |column: &str| self.record.iter().position(|field| field == column.as_bytes());
            let text = place(&self.columns.text);
            let id = self.columns.id.as_deref().map(place);
            let keep: Option<Vec<usize>> = self.columns.keep.iter().map(|column| place(column)).collect();
            if let Some(text) = text
                && id != Some(None)
                && let Some(keep) = keep
            {
                self.delimiter = delimiter;
                return Ok(Header {
                    text,
                    id: id.flatten(),
                    keep,
                    columns: self.record.len(),
                });
            }
            if self.record.len() > known.len() {
                let fields = self.record.iter();
                known = fields
                    .map(|field| String::from_utf8_lossy(field).into_owned())
                    .collect();
            }
        }
        if is_open {
            return Err(InputError::OpenQuote { name });
        }
        let Columns { text, id, keep } = &self.columns;
        let mut wanted = [text].into_iter().chain(id).chain(keep);
        let column = wanted.find(|column| !known.contains(column)).unwrap_or(text);
        known.truncate(MAX_NAMES);
        Err(InputError::NoColumn {
            name,
            column: printable(column),
            known: shortened(&known.join(", ")),
        })
    }

    /// The sign that a first line such as `sep=;` names. Excel writes and reads it. The next row is the one after it.
    fn stated_delimiter(&mut self) -> Result<Option<u8>, InputError> {
        // No sign that a row can have divides it, so the row is the line.
        let Some(Row::Whole(row)) = self.next_row(b'\n')? else {
            return Ok(None);
        };
        let line = self.rows.bytes(row).trim_ascii_end();
        let line = line
            .strip_prefix(b"\"")
            .and_then(|line| line.strip_suffix(b"\""))
            .unwrap_or(line);
        let stated = match line {
            [name @ .., b'=', delimiter] if name.eq_ignore_ascii_case(b"sep") => Some(*delimiter),
            // The tab was trimmed.
            [name @ .., b'='] if name.eq_ignore_ascii_case(b"sep") => Some(b'\t'),
            _ => None,
        };
        if stated.is_some() {
            self.rows.next_is_first();
        }
        Ok(stated.filter(|delimiter| !delimiter.is_ascii_alphanumeric() && *delimiter != b'"'))
    }

    fn next_row(&mut self, delimiter: u8) -> Result<Option<Row>, InputError> {
        self.rows
            .next(delimiter)
            .map_err(|error| InputError::from_io(&self.name, error))
    }

    /// Divides a row into its values.
    fn parse(&mut self, row: Range<usize>, delimiter: u8) -> Result<(), InputError> {
        let bytes = self.rows.bytes(row);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .buffer_capacity(bytes.len().clamp(1, 1 << 16))
            .from_reader(bytes);
        match reader.read_byte_record(&mut self.record) {
            Ok(_) => Ok(()),
            Err(error) => Err(InputError::from_io(&self.name, io::Error::other(error))),
        }
    }

    fn too_long(&self, name: &str) -> InputError {
        InputError::LongRecord {
            name: printable(name),
            limit_mib: MAX_RECORD >> 20,
            rest: self.rows.given_up,
        }
    }

    /// A record with an error that ends the file.
    fn last(&mut self, error: InputError) -> Option<Option<Record>> {
        self.ended = true;
        Some(Some(Record::failed(self.name.clone(), error)))
    }
}

impl<R: Read> Records for CsvRecords<R> {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        if self.ended {
            return None;
        }
        let header = match &self.header {
            Some(header) => Arc::clone(header),
            None => match self.read_header() {
                Ok(header) => Arc::clone(self.header.insert(Arc::new(header))),
                Err(error) => return self.last(error),
            },
        };
        loop {
            let row = match self.next_row(self.delimiter) {
                Ok(row) => row?,
                Err(error) => return self.last(error),
            };
            let is_open = matches!(row, Row::Open(_));
            let (Row::Whole(range) | Row::Open(range)) = row else {
                self.row += 1;
                self.is_broken = false;
                let name = format!("{}:{}", self.name, self.row);
                let error = self.too_long(&name);
                return Some(wanted.then(|| Record::failed(name, error)));
            };
            if (wanted || self.is_broken)
                && let Err(error) = self.parse(range, self.delimiter)
            {
                return self.last(error);
            }
            // After a quotation mark left open, a line that is no row of this file belongs to the value that it opens.
            if self.is_broken && self.record.len() != header.columns {
                continue;
            }
            self.is_broken = is_open;
            self.row += 1;
            return Some(wanted.then(|| self.record(&header, is_open)));
        }
    }
}

impl<R: Read> CsvRecords<R> {
    /// The record of the row that was parsed last.
    fn record(&self, header: &Header, is_open: bool) -> Record {
        let name = format!("{}:{}", self.name, self.row);
        // Of the value that is left open only the beginning is known.
        let known = self.record.len() - usize::from(is_open).min(self.record.len());
        let value = |place: usize| {
            let value = self.record.get(place).filter(|_| place < known);
            value.map(|value| String::from_utf8_lossy(value).into_owned())
        };
        let id = header.id.and_then(value);
        let kept = self.columns.keep.iter().zip(&header.keep);
        let kept = kept.filter_map(|(column, &place)| Some((column.clone(), value(place)?)));
        let text = match self.record.get(header.text) {
            _ if is_open => Err(InputError::OpenQuote { name: printable(&name) }),
            Some(text) => Ok(text),
            None => Err(InputError::NoText {
                name: printable(&name),
                column: printable(&self.columns.text),
            }),
        };
        Record::new(name, id, kept.collect(), text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(id: Option<&str>) -> Columns {
        Columns {
            text: "text".to_owned(),
            id: id.map(str::to_owned),
            keep: Vec::new(),
        }
    }

    #[test]
    fn values_of_other_fields_are_kept() {
        let keep = Columns {
            keep: vec!["by".to_owned(), "n".to_owned()],
            ..columns(None)
        };
        let kept = |mut records: Box<dyn Records>| -> Vec<Kept> {
            std::iter::from_fn(|| records.next(true))
                .map(|record| record.unwrap().kept)
                .collect()
        };
        let known = |by: &str, n: &str| Kept::from([("by", by), ("n", n)].map(|(k, v)| (k.to_owned(), v.to_owned())));
        let lines = concat!(
            "{\"by\": \"a\", \"text\": \"one\", \"n\": 1.50, \"x\": 3}\n",
            "{\"by\": null, \"text\": \"two\", \"n\": {\"x\": 1}}\n",
        );
        let found = kept(Box::new(JsonRecords::new("f", lines.as_bytes(), keep.clone())));
        assert_eq!(found, [known("a", "1.50"), Kept::new()]);
        let rows = "n,text,by\n1,one,a\n2,two,\n";
        let found = kept(Box::new(CsvRecords::new("f", rows.as_bytes(), b',', keep.clone())));
        assert_eq!(found, [known("a", "1"), known("", "2")]);
        let missing = all(CsvRecords::new("f", "n,text\n1,one\n".as_bytes(), b',', keep));
        assert!(missing[0].2.as_ref().unwrap_err().contains("`by`"), "{missing:?}");
    }

    /// Name, id, and text or sentence of each record.
    fn all(mut records: impl Records) -> Vec<(String, Option<String>, Result<String, String>)> {
        let mut all = Vec::new();
        while let Some(record) = records.next(true) {
            let record = record.unwrap();
            let text = record.document.map(|d| d.text).map_err(|e| e.to_string());
            all.push((record.name, record.id, text));
        }
        all
    }

    #[test]
    fn lines_are_texts_or_sentences_and_none_is_lost() {
        let lines = concat!(
            "{\"text\": \"one\", \"id\": 7}\n\n",
            "{\"text\": \"two\", \"id\": \"b\"}\r\n",
            "{\"text\": 3, \"id\": \"c\"}\n",
            "not json\n",
            "{\"text\": \"\"}\n",
            "{\"text\": \"some words\\u0000 and more\"}\n",
            "{\"text\": \"\\ud800\"}\n",
            "{\"text\": \"last\"}"
        );
        let found = all(JsonRecords::new("f.jsonl", lines.as_bytes(), columns(Some("id"))));
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "f.jsonl:1",
                "f.jsonl:3",
                "f.jsonl:4",
                "f.jsonl:5",
                "f.jsonl:6",
                "f.jsonl:7",
                "f.jsonl:8",
                "f.jsonl:9"
            ]
        );
        assert_eq!(
            (&found[0].1, &found[0].2),
            (&Some("7".to_owned()), &Ok("one".to_owned()))
        );
        assert_eq!(
            (&found[1].1, &found[1].2),
            (&Some("b".to_owned()), &Ok("two".to_owned()))
        );
        assert_eq!(found[2].1.as_deref(), Some("c"));
        for (i, said) in [(2, "`text`"), (3, "JSON"), (4, "empty"), (5, "binary")] {
            let sentence = found[i].2.as_ref().unwrap_err();
            assert!(sentence.contains(said) && sentence.contains("f.jsonl:"), "{sentence}");
        }
        assert_eq!(found[6].2, Ok("\u{fffd}".to_owned()));
        assert_eq!(found[7].2, Ok("last".to_owned()));
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped_and_one_without_end_is_given_up() {
        let long = vec![b'x'; MAX_RECORD as usize + 5];
        let bytes = [&long, "\n{\"text\": \"after\"}\n".as_bytes()].concat();
        let found = all(JsonRecords::new("f", bytes.as_slice(), columns(None)));
        assert!(found[0].2.as_ref().unwrap_err().contains("65 MiB"));
        assert_eq!(found[1].2, Ok("after".to_owned()));
        let found = all(JsonRecords::new("f", io::repeat(b'x'), columns(None)));
        assert_eq!(found.len(), 1);
        assert!(
            found[0]
                .2
                .as_ref()
                .unwrap_err()
                .contains("the rest of the file is not read")
        );
    }

    #[test]
    fn faults_of_common_tools_do_not_cost_a_text() {
        let lines = concat!(
            "\u{feff}{\"id\": 1, \"text\": \"one\"}\n",
            "{\"id\": NaN, \"score\": -Infinity, \"text\": \"two\"}\n",
            "{\"id\": 3, \"title\": \"cut \\ud83d\", \"text\": \"three\"}\n",
            "{\"id\": 4, \"text\": \"four \\ud83d\"}\n",
        );
        let found = all(JsonRecords::new("f", lines.as_bytes(), columns(Some("id"))));
        let texts: Vec<&str> = found.iter().map(|(_, _, text)| text.as_deref().unwrap()).collect();
        assert_eq!(texts, ["one", "two", "three", "four \u{fffd}"]);
        let ids: Vec<Option<&str>> = found.iter().map(|(_, id, _)| id.as_deref()).collect();
        assert_eq!(ids, [Some("1"), None, Some("3"), Some("4")]);
    }

    #[test]
    fn other_fields_of_a_line_are_skipped() {
        let lines = concat!(
            "{\"x\": [{\"\": [[0]]}], \"text\": \"one\", \"id\": true}\n",
            "{\"text\": {\"text\": \"inner\"}, \"id\": [1, 2]}\n",
            "{\"text\": \"old\", \"text\": \"new\", \"id\": null}\n",
            "{\"text\": \"two\", \"id\": 1e3} trailing\n",
            "[\"text\"]\n",
            "{\"te\\u0078t\": \"named in code\", \"id\": -1.50}\n",
        );
        let found = all(JsonRecords::new("f", lines.as_bytes(), columns(Some("id"))));
        let ids: Vec<Option<&str>> = found.iter().map(|(_, id, _)| id.as_deref()).collect();
        assert_eq!(ids, [Some("true"), None, None, None, None, Some("-1.50")]);
        assert_eq!(found[0].2, Ok("one".to_owned()));
        assert!(found[1].2.as_ref().unwrap_err().contains("`text`"));
        assert_eq!(found[2].2, Ok("new".to_owned()));
        assert!(found[3].2.as_ref().unwrap_err().contains("trailing characters"));
        assert!(found[4].2.as_ref().unwrap_err().contains("an array"));
        assert_eq!(found[5].2, Ok("named in code".to_owned()));
    }

    #[test]
    fn an_object_without_a_text_says_what_it_has_instead() {
        for (object, said) in [
            (r#"{"text": null}"#, "no text in `text`"),
            (r#"{}"#, "no text in `text`"),
            (r#"{"text": ["a", "b"]}"#, "holds an array in `text`, not text"),
            (r#"{"text": {"text": "inner"}}"#, "holds an object in `text`, not text"),
            (r#"{"text": false}"#, "holds a truth value in `text`"),
            (r#"{"text": -3}"#, "holds a number in `text`"),
            (r#"{"body": "a", "key": 1}"#, "has no field `text`, but body, key"),
            (
                r#"{"n": 1, "messages": [{"role": "user", "content": "Hi"}]}"#,
                "`jq -c '.text = .messages[-1].content'`",
            ),
            (
                r#"{"conversations": [{"from": "gpt", "value": "Hi"}]}"#,
                "`jq -c '.text = .conversations[-1].value'`",
            ),
        ] {
            let found = all(JsonRecords::new("f.jsonl", object.as_bytes(), columns(None)));
            let sentence = found[0].2.as_ref().unwrap_err();
            assert!(
                sentence.contains(said) && sentence.contains("`f.jsonl:1`"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn an_array_of_objects_is_many_texts_with_their_numbers() {
        let array =
            "[\n {\n  \"id\": 5,\n  \"text\": \"one\"\n },\n {\n  \"text\": null\n },\n {\"text\": \"three\"}\n]\n";
        let found = all(JsonRecords::new("f.json", array.as_bytes(), columns(Some("id"))));
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["f.json:1", "f.json:2", "f.json:3"]);
        assert_eq!((found[0].1.as_deref(), &found[0].2), (Some("5"), &Ok("one".to_owned())));
        assert!(found[1].2.as_ref().unwrap_err().contains("`f.json:2` has no text"));
        assert_eq!(found[2].2, Ok("three".to_owned()));
    }

    #[test]
    fn rows_are_texts_under_their_columns() {
        let rows = "\u{feff}id,text\n1,\"one, with\na comma\"\n2,two\n3\n4,\"\"\n";
        let found = all(CsvRecords::new("f.csv", rows.as_bytes(), b',', columns(Some("id"))));
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].2, Ok("one, with\na comma".to_owned()));
        assert_eq!((found[1].0.as_str(), found[1].1.as_deref()), ("f.csv:2", Some("2")));
        assert!(found[2].2.as_ref().unwrap_err().contains("`text`"));
        assert!(found[3].2.as_ref().unwrap_err().contains("empty"));
        let found = all(CsvRecords::new(
            "f.tsv",
            "text\tx\nü\t1\n".as_bytes(),
            b'\t',
            columns(None),
        ));
        assert_eq!(found[0].2, Ok("ü".to_owned()));
        let latin = all(CsvRecords::new(
            "f.csv",
            b"text\n\xfc\n\xc3\xbc\n".as_slice(),
            b',',
            columns(None),
        ));
        assert!(latin[0].2.as_ref().unwrap_err().contains("UTF-8"));
        assert_eq!(latin[1].2, Ok("ü".to_owned()));
    }

    #[test]
    fn a_missing_column_is_named_with_those_that_exist() {
        let found = all(CsvRecords::new(
            "f.csv",
            "a,body\n1,2\n".as_bytes(),
            b',',
            columns(None),
        ));
        assert_eq!(found.len(), 1);
        let sentence = found[0].2.as_ref().unwrap_err();
        assert!(
            sentence.contains("`text`") && sentence.contains("a, body") && sentence.contains("--text"),
            "{sentence}"
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_ends_in_a_sentence() {
        let bytes = "text\nfine\n\"".as_bytes().chain(io::repeat(b'x'));
        let found = all(CsvRecords::new("f.csv", bytes, b',', columns(None)));
        assert_eq!(found[0].2, Ok("fine".to_owned()));
        assert_eq!(found.len(), 2);
        assert!(found[1].2.as_ref().unwrap_err().contains("65 MiB"), "{found:?}");
    }

    #[test]
    fn a_quote_left_open_costs_its_row_and_no_other() {
        let rows = "id,text\n1,\"one\"\n2,\"two, which a curly mark closes.\u{201d}\n3,\"three\nlines\"\n4,four\n\
                    5,\"a mark\nthat \"nobody\" doubled\nand, so, on\n6,\"six\"\n7,\"the last";
        let found = all(CsvRecords::new("f.csv", rows.as_bytes(), b',', columns(Some("id"))));
        let expected = [
            Some("one"),
            None,
            Some("three\nlines"),
            Some("four"),
            None,
            Some("six"),
            None,
        ];
        for (at, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(
                (found.0.as_str(), found.1.as_deref()),
                (&*format!("f.csv:{}", at + 1), Some(&*(at + 1).to_string()))
            );
            assert_eq!(found.2.as_deref().ok(), expected);
            if let Err(sentence) = &found.2 {
                assert!(sentence.contains("quotation mark"), "{sentence}");
            }
        }
        assert_eq!(found.len(), expected.len());
        // All shards count the same rows.
        let mut records = CsvRecords::new("f.csv", rows.as_bytes(), b',', columns(Some("id")));
        let counted = std::iter::from_fn(|| records.next(false)).count();
        assert_eq!(counted, expected.len());
    }

    #[test]
    fn the_sign_between_values_is_found_in_the_first_row() {
        for (sign, before) in [
            (";", ""),
            ("\t", ""),
            ("|", ""),
            (";", "sep=;\r\n"),
            (":", "\"SEP=:\"\n"),
            ("\t", "sep=\t\n"),
        ] {
            let rows = format!("{before}\"id\"{sign}text{sign}x,y\r\n1{sign}\"one, {sign} two\"{sign}a\r\n");
            for delimiter in [b',', b'\t'] {
                let found = all(CsvRecords::new(
                    "f.csv",
                    rows.as_bytes(),
                    delimiter,
                    columns(Some("id")),
                ));
                assert_eq!(found.len(), 1, "{rows}");
                assert_eq!(
                    (found[0].1.as_deref(), &found[0].2),
                    (Some("1"), &Ok(format!("one, {sign} two"))),
                    "{rows}"
                );
            }
        }
        let found = all(CsvRecords::new(
            "f.csv",
            "a;body;c\n1;2;3\n".as_bytes(),
            b',',
            columns(None),
        ));
        assert!(found[0].2.as_ref().unwrap_err().contains("a, body, c"), "{found:?}");
        let found = all(CsvRecords::new("f.csv", "\n".as_bytes(), b',', columns(None)));
        assert!(found[0].2.as_ref().unwrap_err().contains("empty"), "{found:?}");
        let found = all(CsvRecords::new(
            "f.csv",
            "text\nsep=;\n".as_bytes(),
            b',',
            columns(None),
        ));
        assert_eq!(found[0].2, Ok("sep=;".to_owned()));
    }

    #[test]
    fn a_row_that_is_too_long_is_skipped() {
        let long = format!("text\none\n{}\ntwo\n", "x".repeat(MAX_RECORD as usize + 5));
        let found = all(CsvRecords::new("f.csv", long.as_bytes(), b',', columns(None)));
        assert_eq!(found.len(), 3);
        assert!(found[1].2.as_ref().unwrap_err().contains("65 MiB"));
        assert_eq!(
            (&found[0].2, &found[2].2),
            (&Ok("one".to_owned()), &Ok("two".to_owned()))
        );
    }

    #[test]
    fn what_is_not_wanted_counts_and_is_not_read() {
        let mut records = JsonRecords::new("f", "nonsense\n{\"text\":\"b\"}\n".as_bytes(), columns(None));
        assert!(matches!(records.next(false), Some(None)));
        assert_eq!(records.next(true).unwrap().unwrap().document.unwrap().text, "b");
        assert!(records.next(true).is_none());
    }
}
