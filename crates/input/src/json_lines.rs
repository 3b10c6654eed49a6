//! JSON lines: files with one JSON object per line. `batch`, `calibrate` and `generate` all read them here.
//!
//! The reader takes these files as common tools write them:
//!
//! - A file can be one JSON array, on one line or on many. Each of its items is then read as if it stood on a line of
//!   its own, one after another, so the array may be of any length.
//! - PowerShell and Excel put a byte order mark before the first line, or write UTF-16. The mark is not part of the
//!   line.
//! - Python's `json` writes `NaN`, `Infinity` and `-Infinity`, which JSON does not have. They are read as `null`.
//! - JavaScript can cut a string in the middle of an emoji and leave half of it, such as `\ud83d`. The half becomes
//!   U+FFFD.
//!
//! Every line and every item has a bound, so a file without line ends cannot fill the memory.

use super::records::{MAX_RECORD, shortened};
use super::unpack::{Limited, open_stream};
use super::{InputError, MAX_BYTES, printable};
use encoding_rs_io::{DecodeReaderBytes, DecodeReaderBytesBuilder};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// How many bytes of one endless line are skipped before the rest of the file is given up. A small compressed file can
/// unpack to a line without end.
const MAX_SKIPPED: u64 = 1 << 30;

/// Reads `reader` as UTF-8. Its byte order mark is dropped, and UTF-16 with a mark is converted.
pub(super) fn as_utf8<R: Read>(reader: R) -> DecodeReaderBytes<R, Vec<u8>> {
    let mut builder = DecodeReaderBytesBuilder::new();
    builder.bom_sniffing(true).utf8_passthru(true).strip_bom(true);
    builder.build(reader)
}

/// The lines of a file of JSON objects, or the items of its array. Blank lines are skipped, but counted.
pub struct JsonLines<R> {
    name: String,
    reader: BufReader<DecodeReaderBytes<R, Vec<u8>>>,
    /// Unknown until the first byte that is not blank is read.
    layout: Option<Layout>,
    /// The number of the current line or item, counted from 1.
    number: u64,
    /// The bytes of the current line or item.
    line: Vec<u8>,
    ended: bool,
}

/// How the objects of a file lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    Lines,
    /// In one array, as its items. What follows the array is read as lines.
    Array,
}

/// An object and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonLine<T> {
    /// The number of the line, counted from 1. In an array, the number of the item.
    pub number: u64,
    /// What the line holds.
    pub object: T,
}

impl JsonLines<Limited<File>> {
    /// Opens a file of at most [`MAX_BYTES`].
    ///
    /// # Errors
    /// When the file does not exist or cannot be opened.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let file = Limited::new(open_stream(path)?, MAX_BYTES);
        Ok(Self::new(path.to_string_lossy(), file))
    }
}

impl<R: Read> JsonLines<R> {
    /// Reads lines from `reader`. Errors call the file `name`.
    pub fn new(name: impl Into<String>, reader: R) -> Self {
        Self {
            name: name.into(),
            reader: BufReader::new(as_utf8(reader)),
            layout: None,
            number: 0,
            line: Vec::new(),
            ended: false,
        }
    }

    /// The object on each line, or why there is none. Reading stops at the first error that concerns the whole file.
    pub fn objects<T: DeserializeOwned>(mut self) -> impl Iterator<Item = Result<JsonLine<T>, InputError>> {
        std::iter::from_fn(move || {
            let line = self.next_line()?;
            let object = line.and_then(|()| self.parse(|bytes| serde_json::from_slice(bytes)));
            let number = self.number;
            Some(object.map(|object| JsonLine { number, object }))
        })
    }

    /// The name of the current line, such as `texts.jsonl:3`.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.name, self.number)
    }

    /// Moves on to the next line that is not blank, or to the next item. Returns `None` at the end of the file.
    pub(super) fn next_line(&mut self) -> Option<Result<(), InputError>> {
        let is_first = self.layout.is_none();
        while !self.ended {
            let layout = match self.layout {
                Some(layout) => Ok(layout),
                None => self.find_layout(),
            };
            self.number += 1;
            let read = layout.and_then(|layout| match layout {
                Layout::Lines => self.read_line(),
                Layout::Array => self.read_item(),
            });
            match read {
                Ok(ReadLine::End) => self.ended = true,
                Ok(ReadLine::ArrayWithoutEnd) => {
                    self.ended = true;
                    let name = printable(&self.name);
                    return Some(Err(InputError::ArrayWithoutEnd { name }));
                }
                Ok(ReadLine::Whole) if self.line.iter().all(u8::is_ascii_whitespace) => {}
                Ok(ReadLine::Whole) => {
                    if is_first && self.layout == Some(Layout::Lines) && self.line.trim_ascii() == b"{" {
                        // Every other line of the file is a fragment too.
                        self.ended = true;
                        let name = printable(&self.name);
                        return Some(Err(InputError::JsonOverLines { name }));
                    }
                    return Some(Ok(()));
                }
                Ok(ReadLine::TooLong) => {
                    return Some(Err(InputError::LongRecord {
                        name: printable(&self.place()),
                        limit_mib: MAX_RECORD >> 20,
                        rest: self.ended,
                    }));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(InputError::from_io(&self.name, error)));
                }
            }
        }
        None
    }

    /// Parses the current line. A line that is not JSON is parsed once more with its common faults repaired.
    pub(super) fn parse<T>(&self, parse: impl Fn(&[u8]) -> serde_json::Result<T>) -> Result<T, InputError> {
        let error = match parse(&self.line) {
            Ok(object) => return Ok(object),
            Err(error) => error,
        };
        let error = match repaired(&self.line).map(|line| parse(&line)) {
            Some(Ok(object)) => return Ok(object),
            Some(Err(error)) => error,
            None => error,
        };
        let reason = if self.line.trim_ascii_start().starts_with(b"[") {
            "it is an array; `jq -c '.[]'` puts each of its objects on a line of its own".to_owned()
        } else {
            shortened(&without_place(&error))
        };
        Err(InputError::NotJson {
            name: printable(&self.place()),
            reason,
        })
    }

    /// Skips the blank lines before the first byte that is not blank. That byte decides how the file is read, and the
    /// bracket that opens an array is skipped too.
    fn find_layout(&mut self) -> io::Result<Layout> {
        let mut skipped = 0;
        let layout = loop {
            let held = self.reader.fill_buf()?;
            let blank = held.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let line_ends = held[..blank].iter().filter(|&&byte| byte == b'\n').count() as u64;
            let (next, at_end) = (held.get(blank).copied(), held.is_empty());
            self.reader.consume(blank);
            self.number += line_ends;
            skipped += blank as u64;
            if next == Some(b'[') {
                self.reader.consume(1);
                self.number = 0;
                break Layout::Array;
            }
            if next.is_some() || at_end || skipped > MAX_SKIPPED {
                break Layout::Lines;
            }
        };
        self.layout = Some(layout);
        Ok(layout)
    }

    /// Reads one line. A line that is too long is skipped to its end, or the file is given up.
    fn read_line(&mut self) -> io::Result<ReadLine> {
        self.line.clear();
        let mut limited = (&mut self.reader).take(MAX_RECORD + 1);
        if limited.read_until(b'\n', &mut self.line)? == 0 {
            return Ok(ReadLine::End);
        }
        if self.line.last() == Some(&b'\n') || (self.line.len() as u64) <= MAX_RECORD {
            return Ok(ReadLine::Whole);
        }
        self.line = Vec::new();
        let mut skipped = 0;
        while skipped < MAX_SKIPPED {
            let held = self.reader.fill_buf()?;
            if held.is_empty() {
                return Ok(ReadLine::TooLong);
            }
            let end = held.iter().position(|&byte| byte == b'\n');
            let used = end.map_or(held.len(), |at| at + 1);
            self.reader.consume(used);
            skipped += used as u64;
            if end.is_some() {
                return Ok(ReadLine::TooLong);
            }
        }
        self.ended = true;
        Ok(ReadLine::TooLong)
    }

    /// Reads one item of an array, without the comma or bracket after it. An item that is too long is skipped to its
    /// end, or the file is given up.
    fn read_item(&mut self) -> io::Result<ReadLine> {
        self.line.clear();
        let mut item = Item::default();
        let mut read = 0;
        while read <= MAX_RECORD + MAX_SKIPPED {
            let held = self.reader.fill_buf()?;
            if held.is_empty() {
                return Ok(ReadLine::ArrayWithoutEnd);
            }
            let end = item.end(held);
            let used = end.unwrap_or(held.len());
            read += used as u64;
            let is_long = read > MAX_RECORD;
            if is_long {
                self.line = Vec::new();
            } else {
                self.line.extend(&held[..used]);
            }
            if end.is_some_and(|end| held[end] == b']') {
                self.layout = Some(Layout::Lines);
            }
            self.reader.consume(used + usize::from(end.is_some()));
            match end {
                Some(_) if is_long => return Ok(ReadLine::TooLong),
                Some(_) => return Ok(ReadLine::Whole),
                None => {}
            }
        }
        self.ended = true;
        Ok(ReadLine::TooLong)
    }
}

enum ReadLine {
    Whole,
    TooLong,
    End,
    ArrayWithoutEnd,
}

/// Where the reader is in an item of an array.
#[derive(Default)]
struct Item {
    /// How many brackets and braces are open.
    depth: u64,
    in_string: bool,
    is_escaped: bool,
}

impl Item {
    /// The place of the comma or the bracket that ends the item.
    fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        bytes.iter().position(|&byte| {
            if self.in_string {
                let is_plain = !std::mem::take(&mut self.is_escaped);
                self.is_escaped = is_plain && byte == b'\\';
                self.in_string = !(is_plain && byte == b'"');
                return false;
            }
            match byte {
                b',' | b']' if self.depth == 0 => return true,
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            false
        })
    }
}

/// What the parser said, without the number of the line: it only ever saw one. In an item that runs over many lines,
/// the column is left out too.
fn without_place(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" at line ") {
        None => said,
        Some((said, place)) => match place.strip_prefix("1 column ") {
            Some(column) => format!("{said} at column {column}"),
            None => said.to_owned(),
        },
    }
}

/// The line with `null` for Python's NaN and infinities, and U+FFFD for half of a surrogate pair. `None` if it has
/// neither.
fn repaired(line: &[u8]) -> Option<Vec<u8>> {
    const NOT_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let mut repaired = Vec::with_capacity(line.len());
    let (mut at, mut in_string, mut changed) = (0, false, false);
    while let Some(&byte) = line.get(at) {
        let rest = &line[at..];
        let mut kept = 1;
        if in_string && byte == b'\\' {
            match surrogate(rest) {
                None => kept = 2,
                Some(Surrogate::Pair) => kept = 12,
                Some(Surrogate::Half) => {
                    repaired.extend("\u{fffd}".as_bytes());
                    at += 6;
                    changed = true;
                    continue;
                }
            }
        } else if byte == b'"' {
            in_string = !in_string;
        } else if !in_string && let Some(found) = NOT_NUMBERS.iter().find(|found| rest.starts_with(found)) {
            repaired.extend(b"null");
            at += found.len();
            changed = true;
            continue;
        }
        let end = (at + kept).min(line.len());
        repaired.extend(&line[at..end]);
        at = end;
    }
    changed.then_some(repaired)
}

enum Surrogate {
    Pair,
    Half,
}

/// Whether an escape such as `\ud83d` opens this text, and whether its other half follows.
fn surrogate(text: &[u8]) -> Option<Surrogate> {
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_hex)?;
        u16::from_str_radix(digits, 16).ok()
    };
    match unit(text)? {
        0xD800..=0xDBFF if matches!(text.get(6..).and_then(unit), Some(0xDC00..=0xDFFF)) => Some(Surrogate::Pair),
        0xD800..=0xDFFF => Some(Surrogate::Half),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    fn objects(lines: impl AsRef<[u8]>) -> Vec<Result<(u64, Value), String>> {
        let lines = JsonLines::new("f.jsonl", lines.as_ref());
        let found = lines.objects::<Map<String, Value>>();
        let found = found.map(|line| line.map(|line| (line.number, Value::Object(line.object))));
        found.map(|line| line.map_err(|error| error.to_string())).collect()
    }

    #[test]
    fn lines_keep_their_numbers_and_a_bad_one_does_not_hide_the_next() {
        let found = objects("\n{\"a\": 1}\r\n \nhello\n{\"a\": 2}");
        assert_eq!(found[0], Ok((2, json!({"a": 1}))));
        let sentence = found[1].as_ref().unwrap_err();
        assert!(
            sentence.contains("`f.jsonl:4`") && sentence.contains("at column 1"),
            "{sentence}"
        );
        assert_eq!(found[2], Ok((5, json!({"a": 2}))));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn a_byte_order_mark_and_utf_16_do_not_change_the_objects() {
        let text = "{\"a\": \"ü\"}\n{\"a\": \"😀\"}\n";
        let expected = [Ok((1, json!({"a": "ü"}))), Ok((2, json!({"a": "😀"})))];
        assert_eq!(objects(text), expected);
        assert_eq!(objects(format!("\u{feff}{text}")), expected);
        let units = || "\u{feff}".encode_utf16().chain(text.encode_utf16());
        assert_eq!(
            objects(units().flat_map(u16::to_le_bytes).collect::<Vec<u8>>()),
            expected
        );
        assert_eq!(
            objects(units().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()),
            expected
        );
    }

    #[test]
    fn pythons_numbers_are_null_and_half_an_emoji_is_replaced() {
        let found = objects(concat!(
            "{\"a\": NaN, \"b\": [-Infinity, Infinity], \"text\": \"NaN \\\" \\\\\"}\n",
            "{\"text\": \"cut \\ud83d\", \"b\": \"\\ude00\"}\n",
            "{\"text\": \"\\ud83d\\ude00\\ud83d \\\\ud83d\"}\n",
        ));
        assert_eq!(
            found[0],
            Ok((1, json!({"a": null, "b": [null, null], "text": "NaN \" \\"})))
        );
        assert_eq!(found[1], Ok((2, json!({"text": "cut \u{fffd}", "b": "\u{fffd}"}))));
        assert_eq!(found[2], Ok((3, json!({"text": "😀\u{fffd} \\ud83d"}))));
    }

    #[test]
    fn the_items_of_an_array_are_objects_one_after_another() {
        let expected = [
            Ok((1, json!({"a": "x, ]\"} {"}))),
            Ok((2, json!({"a": [[1], {"b": 2}]}))),
        ];
        for array in [
            "[{\"a\": \"x, ]\\\"} {\"}, {\"a\": [[1], {\"b\": 2}]}]",
            "\u{feff}\n \n[\n {\n  \"a\": \"x, ]\\\"} {\"\n },\n {\"a\": [[1],\n{\"b\": 2}]}\r\n]\n\n",
            "[{\"a\":\"x, ]\\\"} {\"},{\"a\":[[1],{\"b\":2}]},]",
        ] {
            assert_eq!(objects(array), expected, "{array}");
        }
        assert_eq!(objects("[]"), []);
        // A broken item does not hide the next one, and lines may follow the array.
        let found = objects("[{\"a\": \n\nno},\n NaN, \"b\", {\"a\": NaN}]\n{\"a\": 2}\n");
        for (at, said) in [(0, "f.jsonl:1"), (1, "invalid type: null"), (2, "invalid type: string")] {
            let sentence = found[at].as_ref().unwrap_err();
            assert!(sentence.contains(said) && !sentence.contains("line 3"), "{sentence}");
        }
        assert_eq!(found[3], Ok((4, json!({"a": null}))));
        assert_eq!(found.last(), Some(&Ok((6, json!({"a": 2})))));
        assert_eq!(found.len(), 5);
    }

    #[test]
    fn an_array_is_read_with_a_bound_and_without_its_end_it_is_reported() {
        for (cut, items) in [("[", 0), ("[{\"a\": 1}", 0), ("[{\"a\": 1}, {\"a\": \"x]", 1)] {
            let found = objects(cut);
            let sentence = found.last().unwrap().as_ref().unwrap_err();
            assert!(sentence.contains("ends before its JSON array"), "{sentence}");
            assert_eq!(found.len(), items + 1, "{cut}");
        }
        let long = format!("[{{\"a\": \"{}\"}}, {{\"a\": 2}}]", "x".repeat(MAX_RECORD as usize));
        let found = objects(&long);
        assert!(found[0].as_ref().unwrap_err().contains("65 MiB"));
        assert_eq!(found[1], Ok((2, json!({"a": 2}))));
        // An item without end is given up, and its bytes are not kept.
        let endless = JsonLines::new("f.jsonl", "[\"".as_bytes().chain(io::repeat(b'x')));
        let found: Vec<_> = endless.objects::<Value>().collect();
        assert_eq!(found.len(), 1);
        let sentence = found[0].as_ref().unwrap_err().to_string();
        assert!(sentence.contains("the rest of the file is not read"), "{sentence}");
    }

    #[test]
    fn json_of_another_shape_ends_in_one_sentence_that_names_the_way_out() {
        let object = objects("{\n \"text\": \"one\"\n}\n");
        assert_eq!(object.len(), 1);
        assert!(object[0].as_ref().unwrap_err().contains("`jq -c .`"), "{object:?}");
        let lines = objects("{\"text\": \"one\"}\n[{\"text\": \"two\"}]\n{\"text\": \"three\"}\n");
        assert!(lines[1].as_ref().unwrap_err().contains("jq -c '.[]'"), "{lines:?}");
        assert!(lines[0].is_ok() && lines[2].is_ok());
    }

    #[test]
    fn a_file_beyond_the_limit_and_one_that_is_missing_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big.jsonl");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let mut found = JsonLines::open(&path).unwrap().objects::<Value>();
        let error = found.next().unwrap().unwrap_err();
        assert!(matches!(error, InputError::TooLarge { .. }), "{error}");
        assert!(found.next().is_none());
        let error = JsonLines::open(&folder.path().join("nothing")).err().unwrap();
        assert!(matches!(error, InputError::Missing { .. }), "{error}");
        let error = JsonLines::open(folder.path()).err().unwrap();
        assert!(matches!(error, InputError::Directory { .. }), "{error}");
    }

    proptest! {
        #[test]
        fn any_bytes_give_objects_or_sentences(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            for found in objects(bytes) {
                if let Err(sentence) = found {
                    prop_assert!(sentence.contains("f.jsonl"), "{}", sentence);
                }
            }
        }

        #[test]
        fn an_array_holds_what_its_lines_would(
            texts in proptest::collection::vec("[a-z\"\\\\,\\[\\]{}\n ]{0,12}", 0..8),
            pretty in any::<bool>(),
        ) {
            let object = |text| json!({"text": text, "other": [text, {"x": text}]});
            let all: Vec<Value> = texts.iter().map(object).collect();
            let array = if pretty { serde_json::to_string_pretty(&all) } else { serde_json::to_string(&all) }.unwrap();
            let expected: Vec<_> = (1..).zip(all).map(Ok).collect();
            prop_assert_eq!(objects(array), expected);
        }

        #[test]
        fn what_is_json_already_is_not_repaired(text in any::<String>(), number in any::<f64>()) {
            let line = json!({"text": text, "number": number}).to_string();
            prop_assert_eq!(repaired(line.as_bytes()), None);
        }

        #[test]
        fn a_repair_touches_nothing_else(text in "[a-z\"\\\\😀 ]{0,20}") {
            let line = json!({"text": text}).to_string();
            let broken = line.replace('{', "{\"nan\": NaN, \"cut\": \"\\udc00\", ");
            let repaired: Value = serde_json::from_slice(&repaired(broken.as_bytes()).unwrap()).unwrap();
            prop_assert_eq!(repaired, json!({"nan": null, "cut": "\u{fffd}", "text": text}));
        }
    }
}
