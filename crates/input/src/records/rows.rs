//! Finds where the rows of a CSV file end.
//!
//! The rules are those of RFC 4180 and of the `csv` library: a quotation mark counts at the beginning of a value, and
//! inside a quoted value it is written twice. A mark that is left open makes a single row of everything up to the next
//! one, where other text follows directly. Such a row is recognised by that, and ends at the end of its first line.

use super::{MAX_RECORD, MAX_VALUES};
use std::io::{self, Read};
use std::ops::Range;

/// How many bytes are read at a time.
const CHUNK: usize = 1 << 16;
/// How many bytes of one endless line are skipped before the rest of the file is given up.
const MAX_SKIPPED: u64 = 1 << 30;

/// The rows of a file, as ranges of the bytes in memory.
pub struct Rows<R> {
    reader: R,
    /// What has been read since some earlier row.
    held: Vec<u8>,
    /// Where the last row begins.
    begins: usize,
    /// Where the next row begins.
    next: usize,
    /// Whether the rest of the file is given up.
    pub given_up: bool,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// All of it, without its line end.
    Whole(Range<usize>),
    /// The first line of a row with a quotation mark that is not closed. The next row begins on the line after it.
    Open(Range<usize>),
    /// A row that is too long. It has been skipped.
    TooLong,
}

/// Where the reader is in a row.
#[derive(Clone, Copy)]
enum State {
    Begin,
    Plain,
    /// Inside quotation marks; and whether a line has ended there.
    Quoted(bool),
    /// Behind a quotation mark inside of a quoted value.
    Mark(bool),
}

impl<R: Read> Rows<R> {
    pub fn new(reader: R) -> Self {
        Self {
            reader,
            held: Vec::new(),
            begins: 0,
            next: 0,
            given_up: false,
        }
    }

    /// The bytes of a row. They stay until the next call of [`Self::next`].
    pub fn bytes(&self, row: Range<usize>) -> &[u8] {
        &self.held[row]
    }

    /// Goes back to the beginning of the last row.
    pub fn again(&mut self) {
        self.next = self.begins;
    }

    /// Makes the row after the last one the row that [`Self::again`] goes back to.
    pub fn next_is_first(&mut self) {
        self.begins = self.next;
    }

    /// The next row that is not blank, with `delimiter` between its values.
    pub fn next(&mut self, delimiter: u8) -> io::Result<Option<Row>> {
        if self.next > CHUNK && self.next > self.held.len() / 2 {
            self.held.drain(..self.next);
            self.next = 0;
        }
        while matches!(self.byte(self.next)?, Some(b'\r' | b'\n')) {
            self.next += 1;
            // Blank lines alone must not fill the memory.
            if self.next > CHUNK {
                self.held.drain(..self.next);
                self.next = 0;
            }
        }
        self.begins = self.next;
        if self.given_up || self.byte(self.begins)?.is_none() {
            return Ok(None);
        }
        let (mut at, mut values, mut state) = (self.begins, 1, State::Begin);
        let mut first_line = None;
        loop {
            let byte = self.byte(at)?;
            let is_line_end = matches!(byte, Some(b'\r' | b'\n'));
            state = match (state, byte) {
                (State::Quoted(_), None) | (State::Mark(true), Some(_))
                    if !(byte.is_some_and(|byte| byte == b'"' || byte == delimiter) || is_line_end) =>
                {
                    return Ok(Some(self.open(first_line.unwrap_or(at))));
                }
                (State::Quoted(has_lines), Some(b'"')) => State::Mark(has_lines),
                (State::Quoted(has_lines), _) => {
                    if is_line_end {
                        first_line.get_or_insert(at);
                    }
                    State::Quoted(has_lines || is_line_end)
                }
                (State::Mark(has_lines), Some(b'"')) => State::Quoted(has_lines),
                (_, None) => {
                    self.next = at;
                    return Ok(Some(Row::Whole(self.begins..at)));
                }
                _ if is_line_end => {
                    self.next = at + 1;
                    return Ok(Some(Row::Whole(self.begins..at)));
                }
                (_, Some(byte)) if byte == delimiter => {
                    values += 1;
                    State::Begin
                }
                (State::Begin, Some(b'"')) => State::Quoted(false),
                _ => State::Plain,
            };
            at += 1;
            if (at - self.begins) as u64 > MAX_RECORD || values > MAX_VALUES {
                return match (state, first_line) {
                    (State::Quoted(_) | State::Mark(_), Some(first_line)) => Ok(Some(self.open(first_line))),
                    _ => self.skip_line(at),
                };
            }
        }
    }

    /// The byte at a place. `None` at the end of the file.
    fn byte(&mut self, at: usize) -> io::Result<Option<u8>> {
        while at >= self.held.len() {
            let before = self.held.len();
            self.held.resize(before + CHUNK, 0);
            let read = match self.reader.read(&mut self.held[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
                Ok(0) => {
                    self.held.truncate(before);
                    return Ok(None);
                }
                read => read,
            };
            self.held.truncate(before + *read.as_ref().unwrap_or(&0));
            read?;
        }
        Ok(self.held.get(at).copied())
    }

    fn open(&mut self, line_end: usize) -> Row {
        self.next = line_end;
        Row::Open(self.begins..line_end)
    }

    /// Skips the rest of a line that is too long, from `at` on.
    fn skip_line(&mut self, at: usize) -> io::Result<Option<Row>> {
        self.held.drain(..at);
        (self.begins, self.next) = (0, 0);
        let mut skipped = 0;
        while skipped < MAX_SKIPPED && self.byte(0)?.is_some() {
            let end = self.held.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
            let used = end.unwrap_or(self.held.len());
            self.held.drain(..used);
            skipped += used as u64;
            if end.is_some() {
                return Ok(Some(Row::TooLong));
            }
        }
        self.given_up = skipped >= MAX_SKIPPED;
        Ok(Some(Row::TooLong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each row as text, with `!` before one whose quotation mark is open.
    fn rows(text: &str, delimiter: u8) -> Vec<String> {
        let mut rows = Rows::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(row) = rows.next(delimiter).unwrap() {
            let (mark, range) = match row {
                Row::Whole(range) => ("", range),
                Row::Open(range) => ("!", range),
                Row::TooLong => unreachable!(),
            };
            found.push(format!("{mark}{}", std::str::from_utf8(rows.bytes(range)).unwrap()));
        }
        found
    }

    #[test]
    fn a_mark_left_open_ends_with_its_line_and_others_where_they_are_closed() {
        for (text, expected) in [
            ("a,b\r\n1,\"2\n3\"\n\n4,5", vec!["a,b", "1,\"2\n3\"", "4,5"]),
            ("1,\"two \"\"2\"\" \n2\"\rx", vec!["1,\"two \"\"2\"\" \n2\"", "x"]),
            (
                "1,\"two\n3,\"four\"\n5,\"six\"\n",
                vec!["!1,\"two", "3,\"four\"", "5,\"six\""],
            ),
            ("1,\"two\n3,four\n", vec!["!1,\"two", "3,four"]),
            ("1,two\n3,\"four", vec!["1,two", "!3,\"four"]),
            // On one line, a mark in the wrong place is read as the library reads it.
            (
                "1,\"two\" three \"four\"\n5,6\" pipe\n",
                vec!["1,\"two\" three \"four\"", "5,6\" pipe"],
            ),
        ] {
            assert_eq!(rows(text, b','), expected, "{text:?}");
        }
        assert_eq!(rows("a;\"b\n;\"\n1,\"2;\n", b';'), ["a;\"b\n;\"", "1,\"2;"]);
    }

    #[test]
    fn a_hundred_thousand_marks_left_open_take_no_time() {
        let begin = std::time::Instant::now();
        for line in ["1,\"two\n", "1,\"\"\"\"\"two\n", "\"\"\",\"\"\"\n", "1,\"two\"\"\n"] {
            let text = line.repeat(100_000) + "1,\"two \n" + &"3,four\n".repeat(100_000);
            assert!(rows(&text, b',').len() >= 100_000, "{line:?}");
        }
        let took = begin.elapsed();
        assert!(took.as_secs() < 20, "{took:?}");
    }

    proptest! {
        #[test]
        fn rows_end_where_the_library_ends_them(
            table in prop::collection::vec(prop::collection::vec("[a\", \r\n;]{0,6}", 2..4), 0..6),
            semicolon in any::<bool>(),
        ) {
            let delimiter = if semicolon { b';' } else { b',' };
            let mut writer = csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new());
            for row in &table {
                writer.write_record(row).unwrap();
            }
            let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
            let found = rows(&text, delimiter);
            prop_assert_eq!(found.len(), table.len(), "{:?}", text);
            for (found, row) in found.iter().zip(&table) {
                let mut reader = csv::ReaderBuilder::new()
                    .delimiter(delimiter)
                    .has_headers(false)
                    .from_reader(found.as_bytes());
                let mut read = csv::ByteRecord::new();
                prop_assert!(reader.read_byte_record(&mut read).unwrap());
                prop_assert!(read.iter().eq(row.iter().map(String::as_bytes)));
            }
        }

        #[test]
        fn no_bytes_make_it_fail(text in "[a\",\r\n]{0,40}") {
            // Nothing but line ends is lost, so the rows are the text.
            let found = rows(&text, b',').concat().replace(['!', '\r', '\n'], "");
            prop_assert_eq!(found, text.replace(['\r', '\n'], ""));
        }
    }
}
