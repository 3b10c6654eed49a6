//! Which letters the codes of a font stand for, and how wide they are.
//!
//! The library `hayro-font` knows this: it reads encodings, tables of Unicode, the names that fonts give their letters,
//! and the widths of the fonts that every reader has. It is not handed the file. It would unpack without a bound, and a
//! range of widths from 0 to 4,294,967,295 or a first letter of that number keeps it busy until memory ends. So each
//! font is written anew as a small PDF file of its own, out of what was read within the bounds: only what says
//! something of letters, unpacked, and with widths that make sense.

use super::file::{Dict, Failure, File, Object};
use hayro_font::hayro_cmap::BfString;
use hayro_font::hayro_syntax::Pdf;
use hayro_font::hayro_syntax::object::Dict as LibraryDict;
use hayro_font::{CMapResolverFn, Font, FontCache, FontGlyph, FontQuery, FontResolverFn, GlyphId, StandardFont};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

/// The most fonts of a file. A volume of 100 papers has 2,000.
const MAX_FONTS: usize = 10_000;

/// The most codes of a font.
const CODES: f64 = 65_536.0;

/// The most letters that one code stands for. Arabic ligatures have up to 18.
const MAX_LETTERS: usize = 20;

/// The most bytes that are kept of one stream of a font: tables of Unicode have 1 MiB at most, and so have most fonts.
const MAX_STREAM: usize = 16 << 20;

/// The files that were written for fonts. They outlive the fonts.
#[derive(Default)]
pub struct Files(Vec<OnceCell<Pdf>>);

impl Files {
    /// Room for all.
    pub fn new() -> Self {
        Self((0..MAX_FONTS).map(|_| OnceCell::new()).collect())
    }
}

/// What a code means.
#[derive(Clone, Debug, Default)]
pub struct Letter {
    /// Its letters; none where the font does not say.
    pub text: Option<String>,
    /// How far it moves the next one, in thousandths of the font's size.
    pub advance: f64,
}

/// A font of the file.
pub struct LoadedFont<'a> {
    font: Font<'a>,
    known: HashMap<u32, Letter>,
}

impl LoadedFont<'_> {
    /// The next code of a string and its bytes.
    pub fn code(&self, bytes: &[u8], at: usize) -> (u32, usize) {
        let (code, length) = self.font.read_code(bytes, at);
        (code, length.max(1))
    }

    /// What a code means.
    pub fn letter(&mut self, code: u32) -> &Letter {
        self.known.entry(code).or_insert_with(|| Letter {
            text: unicode(&self.font, code),
            advance: self.font.code_advance(code).x,
        })
    }

    /// Whether it is written from left to right or from right to left, and not downwards.
    pub fn is_horizontal(&self) -> bool {
        self.font.is_horizontal()
    }
}

fn unicode(font: &Font<'_>, code: u32) -> Option<String> {
    let unicode = match font.glyph(GlyphId::NOTDEF, code) {
        FontGlyph::Outline(glyph) => glyph.as_unicode(),
        FontGlyph::Type3(glyph) => glyph.as_unicode(),
    };
    let text = match unicode? {
        BfString::Char(letter) => letter.to_string(),
        BfString::String(letters) => unswapped(letters),
    };
    // Letters of private use are what a program writes that does not know.
    let is_letter = |c: char| !matches!(c, '\0' | '\u{fffd}' | '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..);
    (text.chars().count() <= MAX_LETTERS && text.chars().all(is_letter)).then_some(text)
}

/// Ghostscript writes the two bytes of each letter of a ligature the wrong way round: Chinese signs for `ffi`.
fn unswapped(letters: String) -> String {
    let swapped = |c: char| match u32::from(c) {
        code if code & 0xff == 0 => u8::try_from(code >> 8).ok().map(char::from),
        _ => None,
    };
    let right: Option<String> = letters.chars().map(swapped).collect();
    match right {
        Some(right) if right.chars().all(|c| c.is_ascii_alphabetic()) => right,
        _ => letters,
    }
}

/// The fonts of a file, each loaded when it is first used.
pub struct Fonts<'a> {
    files: &'a Files,
    loaded: Vec<Option<LoadedFont<'a>>>,
    by_id: HashMap<u32, usize>,
    by_text: HashMap<Vec<u8>, usize>,
}

impl<'a> Fonts<'a> {
    /// None yet.
    pub fn new(files: &'a Files) -> Self {
        Self {
            files,
            loaded: Vec::new(),
            by_id: HashMap::new(),
            by_text: HashMap::new(),
        }
    }

    /// The number of a font that resources name.
    pub fn number(&mut self, file: &File<'_>, font: &Object) -> Result<usize, Failure> {
        if let Object::Ref(id) = font
            && let Some(number) = self.by_id.get(id)
        {
            return Ok(*number);
        }
        let text = match file.resolved(font)? {
            Object::Dict(dict) => Writer::font(file, &dict)?,
            _ => Vec::new(),
        };
        let number = match self.by_text.get(&text) {
            Some(number) => *number,
            None => {
                let number = self.loaded.len();
                let cell = self.files.0.get(number).ok_or(Failure::TooMuchWork)?;
                self.loaded.push(load(cell, text.clone()));
                self.by_text.insert(text, number);
                number
            }
        };
        if let Object::Ref(id) = font {
            self.by_id.insert(*id, number);
        }
        Ok(number)
    }

    /// A font by its number. None where it cannot be read.
    pub fn font(&mut self, number: usize) -> Option<&mut LoadedFont<'a>> {
        self.loaded.get_mut(number)?.as_mut()
    }
}

fn load(cell: &OnceCell<Pdf>, text: Vec<u8>) -> Option<LoadedFont<'_>> {
    let pdf = Pdf::new(text).ok()?;
    let pdf = cell.get_or_init(|| pdf);
    let dict: LibraryDict<'_> = pdf.pages().first()?.resources().fonts.get("F")?;
    let programs: FontResolverFn = Arc::new(|query| Some(standard(query).get_font_data()));
    let maps: CMapResolverFn = Arc::new(|_| None);
    let font = FontCache::new().font(&dict, &programs, &maps)?;
    Some(LoadedFont {
        font,
        known: HashMap::new(),
    })
}

fn standard(query: &FontQuery) -> StandardFont {
    match query {
        FontQuery::Standard(font) => *font,
        FontQuery::Fallback(query) => query.pick_standard_font(),
    }
}

/// Whether what stands under a key says something of letters. Shapes of letters that are drawn by the page's own means
/// do not.
fn is_of_letters(key: &[u8]) -> bool {
    const KEYS: [&[u8]; 34] = [
        b"Type",
        b"Subtype",
        b"BaseFont",
        b"Encoding",
        b"BaseEncoding",
        b"Differences",
        b"FirstChar",
        b"LastChar",
        b"Widths",
        b"MissingWidth",
        b"FontDescriptor",
        b"FontName",
        b"FontFamily",
        b"Flags",
        b"ItalicAngle",
        b"FontWeight",
        b"FontFile",
        b"FontFile2",
        b"FontFile3",
        b"Length1",
        b"Length2",
        b"Length3",
        b"ToUnicode",
        b"DescendantFonts",
        b"CIDSystemInfo",
        b"Registry",
        b"Ordering",
        b"Supplement",
        b"DW",
        b"W",
        b"CMapName",
        b"WMode",
        b"FontMatrix",
        b"FontBBox",
    ];
    KEYS.contains(&key)
}

/// Writes a font as a PDF file.
struct Writer<'f, 'a> {
    file: &'f File<'a>,
    text: Vec<u8>,
    /// Where each object begins.
    starts: Vec<usize>,
    /// The objects of the file that are written, by their number there.
    written: HashMap<u32, usize>,
}

impl<'f, 'a> Writer<'f, 'a> {
    fn font(file: &'f File<'a>, font: &Dict) -> Result<Vec<u8>, Failure> {
        let mut writer = Self {
            file,
            text: b"%PDF-1.7\n".to_vec(),
            starts: Vec::new(),
            written: HashMap::new(),
        };
        let body = writer.dict(font, 0)?;
        let page = [
            b"<</Type/Page/Parent 2 0 R/Resources<</Font<</F ",
            body.as_slice(),
            b">>>>>>",
        ]
        .concat();
        let pages = writer.starts.len() + 1;
        let kids = format!("<</Type/Pages/Count 1/Kids[{} 0 R]>>", pages + 1);
        writer.add(kids.as_bytes());
        writer.add(&page);
        let catalog = format!("<</Type/Catalog/Pages {pages} 0 R>>");
        let root = writer.add(catalog.as_bytes());
        let (table, size) = (writer.text.len(), writer.starts.len() + 1);
        let mut tail = format!("xref\n0 {size}\n0000000000 65535 f \n");
        for start in &writer.starts {
            // Writing to a String cannot fail.
            let _ = writeln!(tail, "{start:010} 00000 n ");
        }
        let _ = write!(
            tail,
            "trailer\n<</Size {size}/Root {root} 0 R>>\nstartxref\n{table}\n%%EOF"
        );
        writer.text.extend_from_slice(tail.as_bytes());
        Ok(writer.text)
    }

    /// Writes an object, and says its number.
    fn add(&mut self, body: &[u8]) -> usize {
        self.starts.push(self.text.len());
        let number = self.starts.len();
        self.text.extend_from_slice(format!("{number} 0 obj\n").as_bytes());
        self.text.extend_from_slice(body);
        self.text.extend_from_slice(b"\nendobj\n");
        number
    }

    fn dict(&mut self, dict: &Dict, depth: usize) -> Result<Vec<u8>, Failure> {
        let mut body = b"<<".to_vec();
        let ends = [self.file.get(dict, b"FirstChar")?, self.file.get(dict, b"LastChar")?];
        let has_range = match ends.map(|end| end.number()) {
            [Some(first), Some(last)] => first >= 0.0 && first <= last && last < 256.0,
            _ => false,
        };
        let is_drawn = dict.get(&b"Subtype"[..]).and_then(Object::name) == Some(b"Type3");
        for (key, value) in dict.iter().filter(|(key, _)| is_of_letters(key)) {
            let value = match key.as_slice() {
                b"W" => self.widths(value)?,
                b"Encoding" if is_drawn => {
                    let encoding = with_names_of_tex(self.file, value)?;
                    self.value(&encoding, depth)?
                }
                b"FirstChar" | b"LastChar" | b"Widths" if !has_range => continue,
                _ => self.value(value, depth)?,
            };
            write_name(&mut body, key);
            body.push(b' ');
            body.extend(value);
        }
        body.extend_from_slice(b">>");
        Ok(body)
    }

    fn value(&mut self, value: &Object, depth: usize) -> Result<Vec<u8>, Failure> {
        // A font is at most six deep.
        if depth > 12 {
            return Ok(b"null".to_vec());
        }
        let mut body = Vec::new();
        match value {
            Object::Null => body.extend_from_slice(b"null"),
            Object::Bool(value) => body.extend_from_slice(value.to_string().as_bytes()),
            Object::Number(number) => body.extend_from_slice(number.clamp(-1e9, 1e9).to_string().as_bytes()),
            Object::String(string) => {
                body.push(b'<');
                let hex: String = string.iter().map(|byte| format!("{byte:02x}")).collect();
                body.extend_from_slice(hex.as_bytes());
                body.push(b'>');
            }
            Object::Name(name) => write_name(&mut body, name),
            Object::Array(values) => {
                body.push(b'[');
                for value in values {
                    body.extend(self.value(value, depth + 1)?);
                    body.push(b' ');
                }
                body.push(b']');
            }
            Object::Dict(dict) => body = self.dict(dict, depth + 1)?,
            Object::Ref(id) if self.file.is_stream(*id) => {
                let number = match self.written.get(id) {
                    Some(number) => *number,
                    None => self.stream(*id, depth)?,
                };
                body.extend_from_slice(format!("{number} 0 R").as_bytes());
            }
            Object::Ref(id) => body = self.value(&not_a_reference(self.file.object(*id)?), depth + 1)?,
        }
        self.file.work.spend(body.len())?;
        Ok(body)
    }

    fn stream(&mut self, id: u32, depth: usize) -> Result<usize, Failure> {
        let (dict, bytes) = self.file.stream(id)?.unwrap_or_default();
        let bytes = if bytes.len() > MAX_STREAM { Vec::new() } else { bytes };
        let mut body = self.dict(&dict, depth + 1)?;
        body.truncate(body.len() - 2);
        body.extend_from_slice(format!("/Length {}>>stream\n", bytes.len()).as_bytes());
        body.extend_from_slice(&bytes);
        body.extend_from_slice(b"\nendstream");
        let number = self.add(&body);
        self.written.insert(id, number);
        Ok(number)
    }

    /// Widths by code, `first [w w w]` or `first last w`. Only codes that there are get one.
    fn widths(&mut self, value: &Object) -> Result<Vec<u8>, Failure> {
        let mut body = b"[".to_vec();
        let Object::Array(values) = self.file.resolved(value)? else {
            return Ok(b"[]".to_vec());
        };
        // Each code has its width once; a few more are no matter.
        let (mut rest, mut left) = (values.as_slice(), 2.0 * CODES);
        while let [first, second, after @ ..] = rest {
            let (first, second) = (self.file.resolved(first)?, self.file.resolved(second)?);
            let Some(first) = first.number() else { break };
            rest = after;
            let (last, widths) = match second {
                Object::Array(widths) => {
                    // There are at most a million.
                    (first + widths.len() as f64 - 1.0, widths)
                }
                Object::Number(last) => {
                    let Some((width, after)) = after.split_first() else {
                        break;
                    };
                    rest = after;
                    (last, vec![width.clone()])
                }
                _ => break,
            };
            let codes = last - first + 1.0;
            let is_sensible = first.fract() == 0.0 && last.fract() == 0.0 && first >= 0.0 && codes >= 1.0;
            if !is_sensible || last >= CODES || codes > left {
                continue;
            }
            left -= codes;
            let mut numbers = Vec::new();
            for width in &widths {
                let width = self.file.resolved(width)?.number().unwrap_or(0.0);
                numbers.push(width.clamp(-1e6, 1e6).to_string());
            }
            let run = if widths.len() == 1 {
                format!("{first} {last} {} ", numbers[0])
            } else {
                format!("{first} [{}] ", numbers.join(" "))
            };
            body.extend_from_slice(run.as_bytes());
        }
        body.push(b']');
        self.file.work.spend(body.len())?;
        Ok(body)
    }
}

/// TeX names the letters of a font of dots by their codes alone, `a` and a number. Fonts that it has no others for are
/// in the encoding T1, in which the letters of English have the codes of ASCII.
fn with_names_of_tex(file: &File<'_>, encoding: &Object) -> Result<Object, Failure> {
    let Object::Dict(mut encoding) = file.resolved(encoding)? else {
        return Ok(Object::Null);
    };
    let mut code = 0.0;
    let mut differences = file.array(&encoding, b"Differences")?;
    for value in &mut differences {
        match value {
            Object::Number(number) => code = *number,
            Object::Name(name) => {
                if *name == format!("a{code}").as_bytes()
                    && let Some(letter) = t1(code as u8)
                {
                    *name = format!("uni{:04X}", u32::from(letter)).into_bytes();
                }
                code += 1.0;
            }
            _ => {}
        }
    }
    encoding.insert(b"Differences".to_vec(), Object::Array(differences));
    Ok(Object::Dict(encoding))
}

/// The letter of a code in T1, where it is one of Western Europe.
fn t1(code: u8) -> Option<char> {
    Some(match code {
        16 => '“',
        17 => '”',
        21 => '–',
        22 => '—',
        27 => 'ﬀ',
        28 => 'ﬁ',
        29 => 'ﬂ',
        30 => 'ﬃ',
        31 => 'ﬄ',
        39 => '’',
        96 => '‘',
        127 => '-',
        215 => 'Œ',
        223 => 'ẞ',
        247 => 'œ',
        255 => 'ß',
        33..=126 | 192..=254 => char::from(code),
        _ => return None,
    })
}

fn not_a_reference(object: Object) -> Object {
    if matches!(object, Object::Ref(_)) {
        Object::Null
    } else {
        object
    }
}

fn write_name(body: &mut Vec<u8>, name: &[u8]) {
    body.push(b'/');
    for byte in name {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+') {
            body.push(*byte);
        } else {
            body.extend_from_slice(format!("#{byte:02x}").as_bytes());
        }
    }
}
