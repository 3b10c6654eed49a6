//! The objects of a PDF file (ISO 32000-2), read within a bound on the work.
//!
//! The table of a file that says where its objects lie is not asked: it is often wrong, and a hostile one costs a
//! reader as much time as it likes. The file is searched for its objects once, from front to back, and the last object
//! of a number counts. That is what a table says too, because whoever changes a PDF file adds to its end.
//!
//! Nothing is held but where objects begin: an object is read when it is asked for, and each byte that is read or
//! unpacked is work that is paid for.

use flate2::read::{DeflateDecoder, ZlibDecoder};
use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::ops::Range;

/// The most objects of a file. The PDF standard itself, 1,000 tagged pages, has 200,000.
const MAX_OBJECTS: usize = 2_000_000;

/// The most values in one object. The largest ones of real files, of a font's widths, have 65,536.
const MAX_VALUES: usize = 2_000_000;

/// The most arrays and dictionaries within each other. Real files have fewer than ten.
const MAX_DEPTH: usize = 100;

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It needs a password, or at least a key.
    Encrypted,
    /// There is more to do than is ever done.
    TooMuchWork,
    /// There are more pages than are ever read.
    TooManyPages,
    /// It is no PDF file, or a damaged one.
    Broken(&'static str),
}

/// What may still be done, in bytes.
#[derive(Debug)]
pub struct Work(Cell<usize>);

impl Work {
    /// As much as this.
    pub fn new(bytes: usize) -> Self {
        Self(Cell::new(bytes))
    }

    /// Pays for some.
    pub fn spend(&self, bytes: usize) -> Result<(), Failure> {
        let left = self.0.get().checked_sub(bytes).ok_or(Failure::TooMuchWork)?;
        self.0.set(left);
        Ok(())
    }

    fn left(&self) -> usize {
        self.0.get()
    }
}

/// A value of a PDF file.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    Null,
    Bool(bool),
    Number(f64),
    String(Vec<u8>),
    Name(Vec<u8>),
    Array(Vec<Object>),
    Dict(Dict),
    /// The object of this number.
    Ref(u32),
}

/// A dictionary of a PDF file.
pub type Dict = BTreeMap<Vec<u8>, Object>;

impl Object {
    /// A number.
    pub fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    /// A name.
    pub fn name(&self) -> Option<&[u8]> {
        if let Self::Name(name) = self { Some(name) } else { None }
    }
}

/// A piece of a file's syntax.
#[derive(Clone, Debug, PartialEq)]
pub enum Token<'a> {
    Number(f64),
    String(Vec<u8>),
    Name(Vec<u8>),
    ArrayStart,
    ArrayEnd,
    DictStart,
    DictEnd,
    /// A keyword or an operator.
    Word(&'a [u8]),
}

/// Reads syntax.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    bytes: &'a [u8],
    /// The next byte.
    pub at: usize,
    /// The values of the object so far.
    pub values: usize,
}

/// Whether a byte is white space.
pub fn is_space(byte: u8) -> bool {
    matches!(byte, b'\0' | b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn is_delimiter(byte: u8) -> bool {
    matches!(
        byte,
        b'(' | b')' | b'<' | b'>' | b'[' | b']' | b'{' | b'}' | b'/' | b'%'
    )
}

fn is_regular(byte: u8) -> bool {
    !is_space(byte) && !is_delimiter(byte)
}

impl<'a> Lexer<'a> {
    /// Reads from a byte on.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, values: 0 }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(byte) = self.peek() {
            if byte == b'%' {
                while self.peek().is_some_and(|byte| byte != b'\n' && byte != b'\r') {
                    self.at += 1;
                }
            } else if is_space(byte) {
                self.at += 1;
            } else {
                return;
            }
        }
    }

    /// The next token, or nothing at the end.
    pub fn token(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        let first = self.peek()?;
        let second = self.bytes.get(self.at + 1).copied();
        let (token, length) = match (first, second) {
            (b'<', Some(b'<')) => (Token::DictStart, 2),
            (b'>', Some(b'>')) => (Token::DictEnd, 2),
            (b'[', _) => (Token::ArrayStart, 1),
            (b']', _) => (Token::ArrayEnd, 1),
            (b'(', _) => return Some(Token::String(self.literal())),
            (b'<', _) => return Some(Token::String(self.hexadecimal())),
            (b'/', _) => return Some(Token::Name(self.name())),
            (b')' | b'>' | b'{' | b'}', _) => (Token::Word(&self.bytes[self.at..=self.at]), 1),
            _ => return Some(self.word()),
        };
        self.at += length;
        Some(token)
    }

    fn regular(&mut self) -> &'a [u8] {
        let start = self.at;
        while self.peek().is_some_and(is_regular) {
            self.at += 1;
        }
        &self.bytes[start..self.at]
    }

    fn word(&mut self) -> Token<'a> {
        let word = self.regular();
        match number(word) {
            Some(number) => Token::Number(number),
            None => Token::Word(word),
        }
    }

    fn name(&mut self) -> Vec<u8> {
        self.at += 1;
        let raw = self.regular();
        let mut name = Vec::with_capacity(raw.len());
        let mut rest = raw;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'#'
                && let [high, low, after @ ..] = after
                && let (Some(high), Some(low)) = (hex(*high), hex(*low))
            {
                name.push(high << 4 | low);
                rest = after;
            } else {
                name.push(byte);
            }
        }
        name
    }

    fn literal(&mut self) -> Vec<u8> {
        self.at += 1;
        let (mut string, mut depth) = (Vec::new(), 1);
        while let Some(byte) = self.peek() {
            self.at += 1;
            match byte {
                b'(' => depth += 1,
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut string);
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
            string.push(byte);
        }
        string
    }

    fn escape(&mut self, string: &mut Vec<u8>) {
        let Some(byte) = self.peek() else { return };
        self.at += 1;
        match byte {
            b'n' => string.push(b'\n'),
            b'r' => string.push(b'\r'),
            b't' => string.push(b'\t'),
            b'b' => string.push(8),
            b'f' => string.push(12),
            b'\n' => {}
            b'\r' => {
                if self.peek() == Some(b'\n') {
                    self.at += 1;
                }
            }
            b'0'..=b'7' => {
                let mut code = u32::from(byte - b'0');
                for _ in 0..2 {
                    let Some(digit @ b'0'..=b'7') = self.peek() else { break };
                    code = code * 8 + u32::from(digit - b'0');
                    self.at += 1;
                }
                // Digits that make more than a byte lose what is too much, as the standard says.
                string.push(code as u8);
            }
            other => string.push(other),
        }
    }

    fn hexadecimal(&mut self) -> Vec<u8> {
        self.at += 1;
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'>');
        self.at += length.map_or(rest.len(), |length| length + 1);
        unhex(rest)
    }

    /// The next value.
    pub fn object(&mut self) -> Result<Object, Failure> {
        let token = self.token().ok_or(Failure::Broken("it ends within an object"))?;
        self.value(token, 0)
    }

    /// The value that begins with a token.
    pub fn value(&mut self, token: Token<'a>, depth: usize) -> Result<Object, Failure> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(Failure::TooMuchWork);
        }
        if depth > MAX_DEPTH {
            return Err(Failure::Broken("an object is too deep"));
        }
        let ended = Failure::Broken("it ends within an object");
        Ok(match token {
            Token::Number(number) => self.reference(number).unwrap_or(Object::Number(number)),
            Token::String(string) => Object::String(string),
            Token::Name(name) => Object::Name(name),
            Token::Word(b"true") => Object::Bool(true),
            Token::Word(b"false") => Object::Bool(false),
            Token::Word(b"null") => Object::Null,
            Token::ArrayStart => {
                let mut values = Vec::new();
                loop {
                    match self.token().ok_or(ended.clone())? {
                        Token::ArrayEnd => break Object::Array(values),
                        token => values.push(self.value(token, depth + 1)?),
                    }
                }
            }
            Token::DictStart => {
                let mut dict = Dict::new();
                loop {
                    match self.token().ok_or(ended.clone())? {
                        Token::DictEnd => break Object::Dict(dict),
                        Token::Name(key) => {
                            let token = self.token().ok_or(ended.clone())?;
                            if token == Token::DictEnd {
                                break Object::Dict(dict);
                            }
                            let value = self.value(token, depth + 1)?;
                            dict.insert(key, value);
                        }
                        _ => return Err(Failure::Broken("a dictionary has a key that is not a name")),
                    }
                }
            }
            Token::ArrayEnd
            | Token::DictEnd
            | Token::Word(b"obj" | b"endobj" | b"stream" | b"endstream" | b"trailer") => {
                return Err(Failure::Broken("a value is missing"));
            }
            // What nobody knows is nothing.
            Token::Word(_) => Object::Null,
        })
    }

    /// A reference that begins with this number.
    fn reference(&mut self, number: f64) -> Option<Object> {
        let start = self.at;
        if let Some(object) = whole(number)
            && let Some(Token::Number(generation)) = self.short_token()
            && whole(generation).is_some()
            && let Some(Token::Word(b"R")) = self.short_token()
        {
            return Some(Object::Ref(object));
        }
        self.at = start;
        None
    }

    /// The next token where it is no string, which would be read twice.
    fn short_token(&mut self) -> Option<Token<'a>> {
        self.skip_space();
        if self.peek().is_some_and(is_regular) {
            Some(self.word())
        } else {
            None
        }
    }
}

fn hex(byte: u8) -> Option<u8> {
    // A digit is at most 15.
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

fn number(word: &[u8]) -> Option<f64> {
    if word.len() > 40 || !word.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.')) {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// A number of an object.
fn whole(number: f64) -> Option<u32> {
    // The cast is of a whole number in its range.
    (number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
}

/// Where an object lies.
#[derive(Clone, Debug)]
enum Place {
    /// In the file; with the bytes behind it where it is a stream.
    File(usize, Option<Range<usize>>),
    /// In an unpacked stream of objects.
    Packed(usize, usize),
}

/// A PDF file.
#[derive(Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    places: HashMap<u32, Place>,
    packed: Vec<Vec<u8>>,
    /// What trailers call the catalog, and what looks like one.
    root: Option<Object>,
    catalog: Option<u32>,
    /// What may still be done.
    pub work: Work,
}

impl<'a> File<'a> {
    /// Finds the objects of a file.
    pub fn open(bytes: &'a [u8], work: Work) -> Result<Self, Failure> {
        let head = &bytes[..bytes.len().min(1024)];
        if find(head, b"%PDF-", 0).is_none() {
            return Err(Failure::Broken("it does not begin like one"));
        }
        let mut file = Self {
            bytes,
            places: HashMap::new(),
            packed: Vec::new(),
            root: None,
            catalog: None,
            work,
        };
        let mut at = 0;
        while let Some(found) = next_landmark(bytes, at) {
            at = match found {
                Landmark::Trailer(behind) => {
                    let mut lexer = Lexer::new(bytes, behind);
                    let trailer = lexer.object();
                    file.work.spend(lexer.at - behind)?;
                    if let Ok(Object::Dict(trailer)) = trailer {
                        file.trailer(&trailer)?;
                        lexer.at
                    } else {
                        behind
                    }
                }
                Landmark::Object(id, behind) => file.found(id, behind)?,
            };
        }
        Ok(file)
    }

    fn trailer(&mut self, trailer: &Dict) -> Result<(), Failure> {
        if trailer.contains_key(&b"Encrypt"[..]) {
            return Err(Failure::Encrypted);
        }
        if let Some(root) = trailer.get(&b"Root"[..]) {
            self.root = Some(root.clone());
        }
        Ok(())
    }

    /// Notes where an object lies, and where to look for the next.
    fn found(&mut self, id: u32, behind: usize) -> Result<usize, Failure> {
        let mut lexer = Lexer::new(self.bytes, behind);
        let object = lexer.object();
        self.work.spend(lexer.at - behind)?;
        let object = match object {
            Ok(object) => object,
            Err(Failure::Broken(_)) => return Ok(behind),
            Err(failure) => return Err(failure),
        };
        let mut end = lexer.at;
        let mut data = None;
        if let Object::Dict(dict) = &object {
            let kind = dict.get(&b"Type"[..]).and_then(Object::name);
            if lexer.short_token() == Some(Token::Word(b"stream")) {
                let range = self.stream_data(dict, lexer.at);
                end = range.end;
                data = Some(range.clone());
                if kind == Some(b"XRef") {
                    self.trailer(dict)?;
                } else if kind == Some(b"ObjStm") {
                    self.unpack(dict, range)?;
                }
            } else if kind == Some(b"Catalog") {
                self.catalog = Some(id);
            }
        }
        self.place(id, Place::File(behind, data))?;
        Ok(end)
    }

    fn place(&mut self, id: u32, place: Place) -> Result<(), Failure> {
        if self.places.len() >= MAX_OBJECTS && !self.places.contains_key(&id) {
            return Err(Failure::TooMuchWork);
        }
        self.places.insert(id, place);
        Ok(())
    }

    /// The bytes of a stream, whose keyword ends here.
    fn stream_data(&self, dict: &Dict, keyword: usize) -> Range<usize> {
        let mut start = keyword;
        if self.bytes.get(start) == Some(&b'\r') {
            start += 1;
        }
        if self.bytes.get(start) == Some(&b'\n') {
            start += 1;
        }
        let length = dict.get(&b"Length"[..]).and_then(Object::number).and_then(whole);
        if let Some(end) = length.and_then(|length| start.checked_add(length as usize))
            && let Some(behind) = self.bytes.get(end..)
        {
            let spaces = behind.iter().take(8).take_while(|byte| is_space(**byte)).count();
            if behind[spaces..].starts_with(b"endstream") {
                return start..end;
            }
        }
        // The length may stand in another object, or be wrong.
        start..find(self.bytes, b"endstream", start).unwrap_or(self.bytes.len())
    }

    /// Notes the objects of a stream of objects.
    fn unpack(&mut self, dict: &Dict, range: Range<usize>) -> Result<(), Failure> {
        let Some(bytes) = self.decoded(dict, range)? else {
            return Ok(());
        };
        let count = dict.get(&b"N"[..]).and_then(Object::number).and_then(whole);
        let first = dict.get(&b"First"[..]).and_then(Object::number).and_then(whole);
        let (Some(count), Some(first)) = (count, first) else {
            return Ok(());
        };
        let mut lexer = Lexer::new(&bytes, 0);
        let stream = self.packed.len();
        for _ in 0..count {
            let (Some(Token::Number(id)), Some(Token::Number(offset))) = (lexer.short_token(), lexer.short_token())
            else {
                break;
            };
            if let (Some(id), Some(offset)) = (whole(id), whole(offset)) {
                self.place(id, Place::Packed(stream, first as usize + offset as usize))?;
            }
        }
        self.packed.push(bytes);
        Ok(())
    }

    /// The object of a number; of a stream its dictionary. What is not there or broken is null.
    pub fn object(&self, id: u32) -> Result<Object, Failure> {
        let (bytes, at) = match self.places.get(&id) {
            None => return Ok(Object::Null),
            Some(Place::File(at, _)) => (self.bytes, *at),
            Some(Place::Packed(stream, at)) => (self.packed[*stream].as_slice(), *at),
        };
        let mut lexer = Lexer::new(bytes, at.min(bytes.len()));
        let object = lexer.object();
        self.work.spend(16 + lexer.at.saturating_sub(at))?;
        Ok(object.unwrap_or(Object::Null))
    }

    /// A value, looked up where it is a reference. One reference leads to another only in broken files.
    pub fn resolved(&self, object: &Object) -> Result<Object, Failure> {
        match object {
            Object::Ref(id) => match self.object(*id)? {
                Object::Ref(_) => Ok(Object::Null),
                object => Ok(object),
            },
            object => Ok(object.clone()),
        }
    }

    /// What a dictionary says of a key.
    pub fn get(&self, dict: &Dict, key: &[u8]) -> Result<Object, Failure> {
        dict.get(key).map_or(Ok(Object::Null), |object| self.resolved(object))
    }

    /// The same where it is a dictionary, or an empty one.
    pub fn dict(&self, dict: &Dict, key: &[u8]) -> Result<Dict, Failure> {
        Ok(match self.get(dict, key)? {
            Object::Dict(dict) => dict,
            _ => Dict::new(),
        })
    }

    /// The same where it is a list, or an empty one.
    pub fn array(&self, dict: &Dict, key: &[u8]) -> Result<Vec<Object>, Failure> {
        Ok(match self.get(dict, key)? {
            Object::Array(values) => values,
            _ => Vec::new(),
        })
    }

    /// The same where it is a list of so many numbers.
    pub fn numbers<const N: usize>(&self, dict: &Dict, key: &[u8]) -> Result<Option<[f64; N]>, Failure> {
        let mut numbers = Vec::new();
        for value in self.array(dict, key)?.iter().take(N + 1) {
            numbers.extend(self.resolved(value)?.number());
        }
        Ok(numbers.try_into().ok())
    }

    /// The catalog.
    pub fn root(&self) -> Result<Dict, Failure> {
        let guess = self.catalog.map(Object::Ref);
        for root in [&self.root, &guess].into_iter().flatten() {
            if let Object::Dict(root) = self.resolved(root)? {
                return Ok(root);
            }
        }
        Err(Failure::Broken("its catalog is missing"))
    }

    /// Whether there is a stream of this number.
    pub fn is_stream(&self, id: u32) -> bool {
        matches!(self.places.get(&id), Some(Place::File(_, Some(_))))
    }

    /// The dictionary of a stream and its bytes, unpacked. None where it is no stream, or one of a picture.
    pub fn stream(&self, id: u32) -> Result<Option<(Dict, Vec<u8>)>, Failure> {
        let Some(Place::File(_, Some(data))) = self.places.get(&id) else {
            return Ok(None);
        };
        let data = data.clone();
        let Object::Dict(dict) = self.object(id)? else {
            return Ok(None);
        };
        let decoded = self.decoded(&dict, data)?;
        Ok(decoded.map(|bytes| (dict, bytes)))
    }

    fn decoded(&self, dict: &Dict, data: Range<usize>) -> Result<Option<Vec<u8>>, Failure> {
        let filters = match self.get(dict, b"Filter")? {
            Object::Null => Vec::new(),
            Object::Array(filters) => filters,
            filter => vec![filter],
        };
        // What a predictor made is a picture, or a table of objects, which is not asked.
        let parameters = match self.get(dict, b"DecodeParms")? {
            Object::Array(values) => values,
            value => vec![value],
        };
        for value in parameters {
            if let Object::Dict(parameters) = self.resolved(&value)?
                && self.get(&parameters, b"Predictor")?.number().is_some_and(|p| p > 1.0)
            {
                return Ok(None);
            }
        }
        let mut bytes = self.bytes[data].to_vec();
        self.work.spend(bytes.len())?;
        for filter in filters {
            let limit = self.work.left();
            let unpacked = match self.resolved(&filter)?.name() {
                Some(b"FlateDecode" | b"Fl") => inflated(&bytes, limit),
                Some(b"LZWDecode" | b"LZW") => unlzw(&bytes, limit),
                Some(b"RunLengthDecode" | b"RL") => unrun(&bytes, limit),
                Some(b"ASCIIHexDecode" | b"AHx") => unhex(&bytes),
                Some(b"ASCII85Decode" | b"A85") => unascii85(&bytes),
                _ => return Ok(None),
            };
            self.work.spend(unpacked.len())?;
            bytes = unpacked;
        }
        Ok(Some(bytes))
    }
}

enum Landmark {
    /// An object of this number, and the byte behind its keyword.
    Object(u32, usize),
    /// The byte behind the keyword of a trailer.
    Trailer(usize),
}

fn next_landmark(bytes: &[u8], mut at: usize) -> Option<Landmark> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| matches!(byte, b'o' | b't'))?;
        let rest = &bytes[at..];
        if rest.starts_with(b"obj")
            && let Some(id) = id_before(bytes, at)
        {
            return Some(Landmark::Object(id, at + 3));
        }
        if rest.starts_with(b"trailer") {
            return Some(Landmark::Trailer(at + 7));
        }
        at += 1;
    }
}

/// The number of an object whose keyword stands here.
fn id_before(bytes: &[u8], keyword: usize) -> Option<u32> {
    // Numbers have ten digits at most.
    let before = &bytes[keyword.saturating_sub(40)..keyword];
    let before = before.trim_ascii_end();
    let digits = |text: &[u8]| text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let generation = digits(before);
    let rest = &before[..before.len() - generation];
    let id = rest.trim_ascii_end();
    let length = digits(id);
    if generation == 0 || length == 0 || id.len() == rest.len() {
        return None;
    }
    std::str::from_utf8(&id[id.len() - length..]).ok()?.parse().ok()
}

fn find(bytes: &[u8], needle: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += bytes.get(at..)?.iter().position(|byte| *byte == needle[0])?;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

/// What can be unpacked, up to one byte more than the limit. The end of a damaged stream is lost.
fn inflated(bytes: &[u8], limit: usize) -> Vec<u8> {
    let limit = limit as u64 + 1;
    let mut unpacked = Vec::new();
    let whole = ZlibDecoder::new(bytes).take(limit).read_to_end(&mut unpacked);
    if whole.is_err() && unpacked.is_empty() {
        // Some programs leave out the head, or write a wrong one.
        let _ = DeflateDecoder::new(bytes).take(limit).read_to_end(&mut unpacked);
        if unpacked.is_empty() {
            let _ = DeflateDecoder::new(bytes.get(2..).unwrap_or_default())
                .take(limit)
                .read_to_end(&mut unpacked);
        }
    }
    unpacked
}

fn unlzw(bytes: &[u8], limit: usize) -> Vec<u8> {
    const CLEAR: usize = 256;
    const END: usize = 257;
    let mut unpacked: Vec<u8> = Vec::new();
    // Each entry is a stretch of what was unpacked.
    let mut table: Vec<Range<usize>> = Vec::new();
    let mut last: Option<Range<usize>> = None;
    let (mut bits, mut held, mut width) = (0_u32, 0, 9);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        if held < width {
            continue;
        }
        held -= width;
        let code = (bits >> held) as usize & ((1 << width) - 1);
        let start = unpacked.len();
        match code {
            CLEAR => {
                table.clear();
                (last, width) = (None, 9);
                continue;
            }
            END => break,
            0..=255 => unpacked.push(code as u8),
            _ => match (table.get(code - 258).cloned(), &last) {
                (Some(range), _) => unpacked.extend_from_within(range),
                (None, Some(range)) if code - 258 == table.len() => {
                    let first = range.start;
                    unpacked.extend_from_within(range.clone());
                    unpacked.push(unpacked[first]);
                }
                _ => break,
            },
        }
        if let Some(last) = last
            && table.len() < 4096 - 258
        {
            // The last one and the first byte of this one stand behind each other.
            table.push(last.start..last.end + 1);
        }
        last = Some(start..unpacked.len());
        width = match table.len() + 258 + 1 {
            0..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        };
        if unpacked.len() > limit {
            break;
        }
    }
    unpacked
}

/// The bytes of hexadecimal digits, up to their end sign.
fn unhex(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| hex(*byte));
    let digits: Vec<u8> = digits.collect();
    let pairs = digits.chunks(2);
    pairs.map(|pair| pair[0] << 4 | pair.get(1).unwrap_or(&0)).collect()
}

fn unrun(bytes: &[u8], limit: usize) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let mut rest = bytes;
    while let Some((&length, after)) = rest.split_first() {
        if length == 128 || unpacked.len() > limit {
            break;
        }
        if length < 128 {
            let (run, behind) = after.split_at(after.len().min(usize::from(length) + 1));
            unpacked.extend_from_slice(run);
            rest = behind;
        } else {
            let Some((&byte, behind)) = after.split_first() else {
                break;
            };
            unpacked.extend(std::iter::repeat_n(byte, 257 - usize::from(length)));
            rest = behind;
        }
    }
    unpacked
}

fn unascii85(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let mut group = Vec::with_capacity(5);
    let start = if bytes.starts_with(b"<~") { 2 } else { 0 };
    for byte in &bytes[start..] {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => unpacked.extend([0; 4]),
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            _ => {}
        }
        if group.len() == 5 {
            unpacked.extend(base85(&group).to_be_bytes());
            group.clear();
        }
    }
    if group.len() > 1 {
        let length = group.len() - 1;
        group.resize(5, 84);
        unpacked.extend(&base85(&group).to_be_bytes()[..length]);
    }
    unpacked
}

fn base85(group: &[u32]) -> u32 {
    group
        .iter()
        .fold(0_u32, |sum, digit| sum.wrapping_mul(85).wrapping_add(*digit))
}
