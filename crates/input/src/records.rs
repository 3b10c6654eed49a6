//! Files of many texts: JSONL and CSV, a record at a time.

use super::{Document, InputError, MAX_BYTES, printable};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

/// Bytes of one record beyond which it is not read: as many as one text may have, with some room for its fields.
const MAX_RECORD: u64 = MAX_BYTES + (1 << 20);
/// Bytes without a line end after which nothing more of a file is read: a small file may unpack to one that has no end.
const MAX_SKIPPED: u64 = 1 << 30;

/// Characters of a name.
const MAX_ID: usize = 1 << 12;
/// Values of one CSV record; each takes eight bytes beside itself.
const MAX_VALUES: u64 = 1 << 22;

/// Where in a record its text and its name are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    /// The field or column of the text.
    pub text: String,
    /// That of a name; none to call records by their numbers alone.
    pub id: Option<String>,
}

/// One text of a file of many, or the reason why there is none.
#[derive(Debug)]
pub struct Record {
    /// The file, and the number of the line or row, counted from 1.
    pub name: String,
    /// What the file calls it.
    pub id: Option<String>,
    /// The text.
    pub document: Result<Document, InputError>,
}

impl Record {
    /// Of a text that is in memory already.
    pub(super) fn new(name: String, id: Option<String>, text: Result<&str, InputError>) -> Self {
        let document = text.and_then(|text| Document::from_bytes(&name, text.as_bytes()));
        Self::named(name, id, document)
    }

    /// With what its file calls it, of which the rest is dropped where it is no name any more.
    fn named(name: String, id: Option<String>, document: Result<Document, InputError>) -> Self {
        let id = id.map(|mut id| {
            if let Some((at, _)) = id.char_indices().nth(MAX_ID) {
                id.truncate(at);
            }
            id
        });
        Self { name, id, document }
    }

    /// Of something that is no text.
    pub(super) fn failed(name: String, error: InputError) -> Self {
        Self {
            name,
            id: None,
            document: Err(error),
        }
    }
}

/// Reads the records of a file, one after the other.
pub trait Records {
    /// The next record; `Some(None)` for one that is not wanted and so was not looked into.
    fn next(&mut self, wanted: bool) -> Option<Option<Record>>;
}

/// A JSON object a line. Blank lines are none.
pub struct JsonLines<R> {
    name: String,
    columns: Columns,
    reader: BufReader<R>,
    line: u64,
    buffer: Vec<u8>,
    ended: bool,
}

impl<R: Read> JsonLines<R> {
    /// Of a file of this name.
    pub fn new(name: impl Into<String>, reader: R, columns: Columns) -> Self {
        Self {
            name: name.into(),
            columns,
            reader: BufReader::new(reader),
            line: 0,
            buffer: Vec::new(),
            ended: false,
        }
    }

    /// Reads a line without its end into the buffer; none at the end of the file.
    fn read_line(&mut self) -> io::Result<Option<Line>> {
        self.buffer.clear();
        let mut limited = (&mut self.reader).take(MAX_RECORD + 1);
        if limited.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        if self.buffer.last() == Some(&b'\n') || (self.buffer.len() as u64) <= MAX_RECORD {
            return Ok(Some(Line::Whole));
        }
        self.buffer = Vec::new();
        let mut skipped = 0;
        while skipped < MAX_SKIPPED {
            let held = self.reader.fill_buf()?;
            if held.is_empty() {
                return Ok(Some(Line::TooLong));
            }
            let end = held.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(held.len(), |at| at + 1);
            self.reader.consume(used);
            skipped += used as u64;
            if end.is_some() {
                return Ok(Some(Line::TooLong));
            }
        }
        self.ended = true;
        Ok(Some(Line::TooLong))
    }

    /// The text and the name that a line holds.
    fn parse(&self, name: String) -> Record {
        // Whatever is no JSON or no UTF-8 in it, the parser says where.
        let mut parser = serde_json::Deserializer::from_slice(&self.buffer);
        let parsed = Wanted(&self.columns)
            .deserialize(&mut parser)
            .and_then(|found| parser.end().map(|()| found));
        let (text, id) = match parsed {
            Ok(found) => found,
            Err(error) => {
                let error = InputError::NotJson {
                    name: printable(&name),
                    reason: shortened(&error.to_string()),
                };
                return Record::failed(name, error);
            }
        };
        let text = text.as_deref().ok_or_else(|| InputError::NoText {
            name: printable(&name),
            column: printable(&self.columns.text),
        });
        Record::new(name, id, text)
    }
}

/// The text and the name of an object; whatever else it holds is passed over, however much it is.
struct Wanted<'a>(&'a Columns);

impl<'de> DeserializeSeed<'de> for Wanted<'_> {
    type Value = (Option<String>, Option<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = (Option<String>, Option<String>);

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut text, mut id) = (None, None);
        while let Some(field) = object.next_key::<String>()? {
            let (is_text, is_id) = (field == self.0.text, self.0.id.as_ref() == Some(&field));
            if !is_text && !is_id {
                object.next_value::<IgnoredAny>()?;
                continue;
            }
            // As it is written: nothing is built of what is no text, however deep it goes.
            let value = object.next_value::<&RawValue>()?.get();
            let string = match value.starts_with('"') {
                true => Some(serde_json::from_str::<String>(value).map_err(Error::custom)?),
                false => None,
            };
            if is_id {
                let is_scalar = !value.starts_with(['{', '[', 'n']);
                id = string.clone().or_else(|| is_scalar.then(|| value.to_owned()));
            }
            if is_text {
                text = string;
            }
        }
        Ok((text, id))
    }
}

/// The beginning of what may be long, and comes from outside.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 300;
    let text = printable(text);
    match text.char_indices().nth(MOST) {
        None => text,
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

enum Line {
    Whole,
    TooLong,
}

impl<R: Read> Records for JsonLines<R> {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        loop {
            if self.ended {
                return None;
            }
            let read = self.read_line();
            self.line += 1;
            let name = format!("{}:{}", self.name, self.line);
            let line = match read {
                Ok(None) => return None,
                Ok(Some(line)) => line,
                Err(error) => {
                    self.ended = true;
                    return Some(Some(Record::failed(name, InputError::from_io(&self.name, error))));
                }
            };
            let is_blank = matches!(line, Line::Whole) && self.buffer.iter().all(u8::is_ascii_whitespace);
            match line {
                _ if is_blank => continue,
                _ if !wanted => return Some(None),
                Line::TooLong => {
                    let error = InputError::LongRecord {
                        name: printable(&name),
                        limit_mib: MAX_RECORD >> 20,
                        rest: self.ended,
                    };
                    return Some(Some(Record::failed(name, error)));
                }
                Line::Whole => return Some(Some(self.parse(name))),
            }
        }
    }
}

/// Rows of comma- or tab-separated values (RFC 4180) under a row of names.
pub struct Csv<R> {
    name: String,
    reader: csv::Reader<Metered<R>>,
    meter: Rc<Cell<(u64, u64)>>,
    columns: Columns,
    /// The places of the text and of the name; none before the first row is read.
    places: Option<(usize, Option<usize>)>,
    row: u64,
    record: csv::ByteRecord,
    ended: bool,
}

/// Fails where one record takes too many bytes: a quote that is never closed makes one of all that follows.
struct Metered<R> {
    inner: R,
    /// Bytes since the last record, and how many of them could part values.
    meter: Rc<Cell<(u64, u64)>>,
    delimiter: u8,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let (bytes, parts) = self.meter.get();
        let more = buffer[..read].iter().filter(|&&byte| byte == self.delimiter).count();
        let (bytes, parts) = (bytes + read as u64, parts + more as u64);
        self.meter.set((bytes, parts));
        match bytes > MAX_RECORD || parts > MAX_VALUES {
            true => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
            false => Ok(read),
        }
    }
}

impl<R: Read> Csv<R> {
    /// Of a file of this name, whose values have `delimiter` between them.
    pub fn new(name: impl Into<String>, reader: R, delimiter: u8, columns: Columns) -> Self {
        let meter = Rc::new(Cell::new((0, 0)));
        let metered = Metered {
            inner: reader,
            meter: meter.clone(),
            delimiter,
        };
        Self {
            name: name.into(),
            reader: csv::ReaderBuilder::new()
                .delimiter(delimiter)
                .flexible(true)
                .from_reader(metered),
            meter,
            columns,
            places: None,
            row: 0,
            record: csv::ByteRecord::new(),
            ended: false,
        }
    }

    /// Where the columns are.
    fn places(&mut self) -> Result<(usize, Option<usize>), InputError> {
        let name = self.name.clone();
        let header = match self.reader.byte_headers() {
            Ok(header) => header.clone(),
            Err(error) => return Err(broken(&name, &name, error)),
        };
        let place = |column: &str| {
            let found = header.iter().enumerate().find(|(i, field)| {
                // What marks a file as UTF-8 stands before the first name.
                let field = if *i == 0 {
                    field.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(field)
                } else {
                    field
                };
                field == column.as_bytes()
            });
            found.map(|(i, _)| i).ok_or_else(|| {
                let known: Vec<_> = header.iter().take(20).map(String::from_utf8_lossy).collect();
                InputError::NoColumn {
                    name: printable(&name),
                    column: printable(column),
                    known: shortened(&known.join(", ")),
                }
            })
        };
        Ok((
            place(&self.columns.text)?,
            self.columns.id.as_deref().map(place).transpose()?,
        ))
    }
}

/// What an error of the CSV library means for a file or one of its rows.
fn broken(file: &str, name: &str, error: csv::Error) -> InputError {
    let reason = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => InputError::LongRecord {
            name: printable(name),
            limit_mib: MAX_RECORD >> 20,
            rest: true,
        },
        csv::ErrorKind::Io(error) => InputError::from_io(file, error),
        _ => InputError::NotCsv {
            name: printable(name),
            reason,
        },
    }
}

impl<R: Read> Records for Csv<R> {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        if self.ended {
            return None;
        }
        let (text, id) = match self.places {
            Some(places) => places,
            None => match self.places() {
                Ok(places) => *self.places.insert(places),
                Err(error) => {
                    self.ended = true;
                    return Some(Some(Record::failed(self.name.clone(), error)));
                }
            },
        };
        self.row += 1;
        let name = format!("{}:{}", self.name, self.row);
        // The reader is ahead by what its buffer holds, which the next record may be made of.
        self.meter.set((0, 0));
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => return None,
            Ok(true) if !wanted => return Some(None),
            Ok(true) => {}
            Err(error) => {
                self.ended = true;
                let error = broken(&self.name, &name, error);
                return Some(Some(Record::failed(name, error)));
            }
        }
        let id = id.and_then(|id| self.record.get(id));
        let id = id.map(|id| String::from_utf8_lossy(id).into_owned());
        let text = self.record.get(text).ok_or_else(|| InputError::NoText {
            name: printable(&name),
            column: printable(&self.columns.text),
        });
        let document = text.and_then(|text| Document::from_bytes(&name, text));
        Some(Some(Record::named(name, id, document)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(id: Option<&str>) -> Columns {
        Columns {
            text: "text".to_owned(),
            id: id.map(str::to_owned),
        }
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
        let found = all(JsonLines::new("f.jsonl", lines.as_bytes(), columns(Some("id"))));
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
        for (i, said) in [(2, "`text`"), (3, "JSON"), (4, "empty"), (5, "binary"), (6, "JSON")] {
            let sentence = found[i].2.as_ref().unwrap_err();
            assert!(sentence.contains(said) && sentence.contains("f.jsonl:"), "{sentence}");
        }
        assert_eq!(found[7].2, Ok("last".to_owned()));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_and_one_without_end_given_up() {
        let long = vec![b'x'; MAX_RECORD as usize + 5];
        let bytes = [&long, "\n{\"text\": \"after\"}\n".as_bytes()].concat();
        let found = all(JsonLines::new("f", bytes.as_slice(), columns(None)));
        assert!(found[0].2.as_ref().unwrap_err().contains("65 MiB"));
        assert_eq!(found[1].2, Ok("after".to_owned()));
        let found = all(JsonLines::new("f", io::repeat(b'x'), columns(None)));
        assert_eq!(found.len(), 1);
        assert!(found[0].2.as_ref().unwrap_err().contains("nothing behind it"));
    }

    #[test]
    fn what_else_a_line_holds_is_passed_over() {
        let lines = concat!(
            "{\"x\": [{\"\": [[0]]}], \"text\": \"one\", \"id\": true}\n",
            "{\"text\": {\"text\": \"inner\"}, \"id\": [1, 2]}\n",
            "{\"text\": \"old\", \"text\": \"new\", \"id\": null}\n",
            "{\"text\": \"two\", \"id\": 1e3} trailing\n",
            "[\"text\"]\n",
            "{\"te\\u0078t\": \"named in code\", \"id\": -1.50}\n",
        );
        let found = all(JsonLines::new("f", lines.as_bytes(), columns(Some("id"))));
        let ids: Vec<Option<&str>> = found.iter().map(|(_, id, _)| id.as_deref()).collect();
        assert_eq!(ids, [Some("true"), None, None, None, None, Some("-1.50")]);
        assert_eq!(found[0].2, Ok("one".to_owned()));
        assert!(found[1].2.as_ref().unwrap_err().contains("`text`"));
        assert_eq!(found[2].2, Ok("new".to_owned()));
        assert!(found[3].2.as_ref().unwrap_err().contains("trailing characters"));
        assert!(found[4].2.as_ref().unwrap_err().contains("an object"));
        assert_eq!(found[5].2, Ok("named in code".to_owned()));
    }

    #[test]
    fn rows_are_texts_under_their_columns() {
        let rows = "\u{feff}id,text\n1,\"one, with\na comma\"\n2,two\n3\n4,\"\"\n";
        let found = all(Csv::new("f.csv", rows.as_bytes(), b',', columns(Some("id"))));
        assert_eq!(found.len(), 4);
        assert_eq!(found[0].2, Ok("one, with\na comma".to_owned()));
        assert_eq!((found[1].0.as_str(), found[1].1.as_deref()), ("f.csv:2", Some("2")));
        assert!(found[2].2.as_ref().unwrap_err().contains("`text`"));
        assert!(found[3].2.as_ref().unwrap_err().contains("empty"));
        let found = all(Csv::new("f.tsv", "text\tx\nü\t1\n".as_bytes(), b'\t', columns(None)));
        assert_eq!(found[0].2, Ok("ü".to_owned()));
        let latin = all(Csv::new(
            "f.csv",
            b"text\n\xfc\n\xc3\xbc\n".as_slice(),
            b',',
            columns(None),
        ));
        assert!(latin[0].2.as_ref().unwrap_err().contains("UTF-8"));
        assert_eq!(latin[1].2, Ok("ü".to_owned()));
    }

    #[test]
    fn a_column_that_is_not_there_is_told_with_those_that_are() {
        let found = all(Csv::new("f.csv", "a,body\n1,2\n".as_bytes(), b',', columns(None)));
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
        let found = all(Csv::new("f.csv", bytes, b',', columns(None)));
        assert_eq!(found[0].2, Ok("fine".to_owned()));
        assert_eq!(found.len(), 2);
        assert!(found[1].2.as_ref().unwrap_err().contains("65 MiB"), "{found:?}");
    }

    #[test]
    fn what_is_not_wanted_counts_and_is_not_read() {
        let mut records = JsonLines::new("f", "nonsense\n{\"text\":\"b\"}\n".as_bytes(), columns(None));
        assert!(matches!(records.next(false), Some(None)));
        assert_eq!(records.next(true).unwrap().unwrap().document.unwrap().text, "b");
        assert!(records.next(true).is_none());
    }
}
