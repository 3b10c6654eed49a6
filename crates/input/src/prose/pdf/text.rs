//! The lines of a page: its operators are carried out as far as they place letters.

use super::file::{Dict, Failure, File, Lexer, Object, Token, is_space};
use super::fonts::Fonts;
use super::lines::{Glyph, Line, Lines};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// The most forms within each other. Real ones have three or four.
const MAX_FORMS: usize = 16;

/// The most states that are saved within each other, and stretches marked within each other.
const MAX_SAVED: usize = 1_000;

/// The most values before an operator.
const MAX_OPERANDS: usize = 1_000;

/// The most resources that are kept at hand.
const MAX_KEPT: usize = 100;

/// A change of place, as the standard writes it: x becomes a x + c y + e, and y becomes b x + d y + f.
type Matrix = [f64; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

/// First one, then the other.
fn times(first: Matrix, then: Matrix) -> Matrix {
    let [a, b, c, d, e, f] = first;
    let [g, h, i, j, k, l] = then;
    [
        a * g + b * i,
        a * h + b * j,
        c * g + d * i,
        c * h + d * j,
        e * g + f * i + k,
        e * h + f * j + l,
    ]
}

/// What a page holds.
#[derive(Clone, Debug, Default)]
pub struct PageText {
    /// In the order in which they are drawn.
    pub lines: Vec<Line>,
    /// Letters that the page's fonts do not name.
    pub unknown: usize,
    /// Letters that they name.
    pub known: usize,
    /// Whether it shows pictures.
    pub has_pictures: bool,
    /// From the bottom to the top.
    pub height: f64,
}

#[derive(Clone, Debug)]
struct State {
    matrix: Matrix,
    font: Option<usize>,
    size: f64,
    letter_space: f64,
    word_space: f64,
    stretch: f64,
    leading: f64,
    rise: f64,
    mode: i64,
}

impl State {
    fn new(matrix: Matrix) -> Self {
        Self {
            matrix,
            font: None,
            size: 0.0,
            letter_space: 0.0,
            word_space: 0.0,
            stretch: 1.0,
            leading: 0.0,
            rise: 0.0,
            mode: 0,
        }
    }
}

/// A stretch of a page that the file marks.
#[derive(Clone, Debug, Default)]
struct Mark {
    is_hidden: bool,
    is_artifact: bool,
    /// What the file says that it reads, and where it began.
    reading: Option<String>,
    /// The letters that it has shown by then.
    known_before: usize,
    /// Where its first letter stands whose font does not say what it is.
    place: Option<Glyph>,
}

/// Reads the pages of a file.
pub struct Reader<'f, 'a> {
    file: &'f File<'a>,
    fonts: Fonts<'f>,
    /// Layers that are not shown.
    hidden: HashSet<u32>,
    resources: HashMap<u32, Rc<Dict>>,
    page: PageText,
    lines: Lines,
    width: f64,
    state: State,
    saved: Vec<State>,
    marks: Vec<Mark>,
    line_matrix: Matrix,
    text_matrix: Matrix,
}

impl<'f, 'a> Reader<'f, 'a> {
    /// Reads a file, with these fonts.
    pub fn new(file: &'f File<'a>, fonts: Fonts<'f>) -> Result<Self, Failure> {
        let layers = file.dict(&file.dict(&file.root()?, b"OCProperties")?, b"D")?;
        let mut hidden = HashSet::new();
        for layer in file.array(&layers, b"OFF")? {
            if let Object::Ref(id) = layer {
                hidden.insert(id);
            }
        }
        Ok(Self {
            file,
            fonts,
            hidden,
            resources: HashMap::new(),
            page: PageText::default(),
            lines: Lines::default(),
            width: 0.0,
            state: State::new(IDENTITY),
            saved: Vec::new(),
            marks: Vec::new(),
            line_matrix: IDENTITY,
            text_matrix: IDENTITY,
        })
    }

    /// What a page holds.
    pub fn page(&mut self, page: &Page) -> Result<PageText, Failure> {
        let [x0, y0, x1, y1] = page.shown;
        let (width, height) = (x1 - x0, y1 - y0);
        let to_corner = [1.0, 0.0, 0.0, 1.0, -x0, -y0];
        let (matrix, turned) = match page.turn {
            90 => (times(to_corner, [0.0, -1.0, 1.0, 0.0, 0.0, width]), true),
            180 => (times(to_corner, [-1.0, 0.0, 0.0, -1.0, width, height]), false),
            270 => (times(to_corner, [0.0, 1.0, -1.0, 0.0, height, 0.0]), true),
            _ => (to_corner, false),
        };
        let (width, height) = if turned { (height, width) } else { (width, height) };
        (self.page, self.width) = (PageText::default(), width);
        self.page.height = height;
        self.state = State::new(matrix);
        self.saved.clear();
        self.marks.clear();
        let mut content = Vec::new();
        for part in &page.contents {
            if let Some((_, bytes)) = self.file.stream(*part)? {
                content.extend(bytes);
                content.push(b'\n');
            }
        }
        let resources = self.kept(&page.resources)?;
        self.run(&content, &resources, 0)?;
        self.page.lines = self.lines.finish();
        Ok(std::mem::take(&mut self.page))
    }

    /// Resources, which many pages share.
    fn kept(&mut self, resources: &Object) -> Result<Rc<Dict>, Failure> {
        if let Object::Ref(id) = resources
            && let Some(kept) = self.resources.get(id)
        {
            return Ok(Rc::clone(kept));
        }
        let mut read = match self.file.resolved(resources)? {
            Object::Dict(dict) => dict,
            _ => Dict::new(),
        };
        for key in [&b"Font"[..], b"XObject", b"Properties"] {
            let inner = self.file.dict(&read, key)?;
            read.insert(key.to_vec(), Object::Dict(inner));
        }
        let read = Rc::new(read);
        if let Object::Ref(id) = resources {
            if self.resources.len() >= MAX_KEPT {
                self.resources.clear();
            }
            self.resources.insert(*id, Rc::clone(&read));
        }
        Ok(read)
    }

    /// Carries out what a stream says.
    fn run(&mut self, content: &[u8], resources: &Dict, depth: usize) -> Result<(), Failure> {
        self.file.work.spend(64 + content.len())?;
        let mut lexer = Lexer::new(content, 0);
        let mut operands: Vec<Object> = Vec::new();
        while let Some(token) = lexer.token() {
            match token {
                Token::Word(b"BI") => {
                    skip_picture(content, &mut lexer);
                    self.page.has_pictures = true;
                    operands.clear();
                }
                Token::Word(word) if !matches!(word, b"true" | b"false" | b"null") => {
                    self.carry_out(word, &operands, resources, depth)?;
                    operands.clear();
                }
                token => match lexer.operand(token) {
                    Ok(value) if operands.len() < MAX_OPERANDS => operands.push(value),
                    // A broken value is passed over, and with it what belongs to its operator.
                    _ => operands.clear(),
                },
            }
        }
        Ok(())
    }

    fn carry_out(
        &mut self,
        operator: &[u8],
        operands: &[Object],
        resources: &Dict,
        depth: usize,
    ) -> Result<(), Failure> {
        let number = |at: usize| operands.get(at).and_then(Object::number).unwrap_or(0.0);
        let matrix = || std::array::from_fn(number);
        match operator {
            b"q" if self.saved.len() < MAX_SAVED => self.saved.push(self.state.clone()),
            b"Q" => {
                if let Some(state) = self.saved.pop() {
                    self.state = state;
                }
            }
            b"cm" => self.state.matrix = times(matrix(), self.state.matrix),
            b"BT" => (self.line_matrix, self.text_matrix) = (IDENTITY, IDENTITY),
            b"Tc" => self.state.letter_space = number(0),
            b"Tw" => self.state.word_space = number(0),
            b"Tz" => self.state.stretch = number(0) / 100.0,
            b"TL" => self.state.leading = number(0),
            b"Ts" => self.state.rise = number(0),
            // Modes are 0 to 7; another one is none.
            b"Tr" => self.state.mode = number(0) as i64,
            b"Tf" => {
                self.state.size = number(1);
                self.state.font = None;
                if let (Some(Object::Name(name)), Some(Object::Dict(fonts))) =
                    (operands.first(), resources.get(&b"Font"[..]))
                    && let Some(font) = fonts.get(name)
                {
                    self.state.font = Some(self.fonts.number(self.file, font)?);
                }
            }
            b"Td" => self.next_line(number(0), number(1)),
            b"TD" => {
                self.state.leading = -number(1);
                self.next_line(number(0), number(1));
            }
            b"Tm" => {
                self.line_matrix = matrix();
                self.text_matrix = self.line_matrix;
            }
            b"T*" => self.next_line(0.0, -self.state.leading),
            b"Tj" => self.show(operands.first())?,
            b"'" => {
                self.next_line(0.0, -self.state.leading);
                self.show(operands.first())?;
            }
            b"\"" => {
                (self.state.word_space, self.state.letter_space) = (number(0), number(1));
                self.next_line(0.0, -self.state.leading);
                self.show(operands.get(2))?;
            }
            b"TJ" => {
                let Some(Object::Array(parts)) = operands.first() else {
                    return Ok(());
                };
                for part in parts {
                    if let Object::Number(number) = part {
                        let shift = -number / 1000.0 * self.state.size * self.state.stretch;
                        self.text_matrix = times([1.0, 0.0, 0.0, 1.0, shift, 0.0], self.text_matrix);
                    } else {
                        self.show(Some(part))?;
                    }
                }
            }
            b"BMC" | b"BDC" => self.begin_mark(operands, resources)?,
            b"EMC" => self.end_mark(),
            b"Do" => self.draw(operands.first(), resources, depth)?,
            _ => {}
        }
        Ok(())
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line_matrix = times([1.0, 0.0, 0.0, 1.0, x, y], self.line_matrix);
        self.text_matrix = self.line_matrix;
    }

    fn begin_mark(&mut self, operands: &[Object], resources: &Dict) -> Result<(), Failure> {
        if self.marks.len() >= MAX_SAVED {
            return Ok(());
        }
        let outer = self.marks.last();
        let mut mark = Mark {
            is_hidden: outer.is_some_and(|outer| outer.is_hidden),
            is_artifact: outer.is_some_and(|outer| outer.is_artifact),
            known_before: self.page.known,
            ..Mark::default()
        };
        let tag = operands.first().and_then(Object::name);
        mark.is_artifact |= tag == Some(b"Artifact");
        let named = match (operands.get(1), resources.get(&b"Properties"[..])) {
            (Some(Object::Name(name)), Some(Object::Dict(properties))) => properties.get(name),
            (inline, _) => inline,
        };
        if tag == Some(b"OC")
            && let Some(Object::Ref(layer)) = named
        {
            mark.is_hidden |= self.hidden.contains(layer);
        }
        if let Some(properties) = named
            && let Object::Dict(properties) = self.file.resolved(properties)?
            && let Object::String(reading) = self.file.get(&properties, b"ActualText")?
        {
            mark.reading = Some(text_string(&reading));
        }
        self.marks.push(mark);
        Ok(())
    }

    /// Where no font says what the letters of a stretch are, the file may. Where one does, that counts: it is what a
    /// reader sees.
    fn end_mark(&mut self) {
        if let Some(mark) = self.marks.pop()
            && let Some(reading) = mark.reading
            && mark.known_before == self.page.known
            && let Some(place) = mark.place
            && !reading.is_empty()
        {
            self.page.known += 1;
            self.lines.add(&place, &reading);
        }
    }

    fn draw(&mut self, name: Option<&Object>, resources: &Dict, depth: usize) -> Result<(), Failure> {
        let (Some(Object::Name(name)), Some(Object::Dict(drawn))) = (name, resources.get(&b"XObject"[..])) else {
            return Ok(());
        };
        let Some(Object::Ref(id)) = drawn.get(name) else {
            return Ok(());
        };
        let Object::Dict(dict) = self.file.object(*id)? else {
            return Ok(());
        };
        match self.file.get(&dict, b"Subtype")?.name() {
            Some(b"Image") => self.page.has_pictures = true,
            Some(b"Form") if depth < MAX_FORMS => {
                if let Some(Object::Ref(layer)) = dict.get(&b"OC"[..])
                    && self.hidden.contains(layer)
                {
                    return Ok(());
                }
                let Some((dict, content)) = self.file.stream(*id)? else {
                    return Ok(());
                };
                let inner = match dict.get(&b"Resources"[..]) {
                    Some(inner) => self.kept(inner)?,
                    None => Rc::new(resources.clone()),
                };
                let (state, saved) = (self.state.clone(), std::mem::take(&mut self.saved));
                let matrices = (self.line_matrix, self.text_matrix);
                if let Some(matrix) = self.file.numbers(&dict, b"Matrix")? {
                    self.state.matrix = times(matrix, self.state.matrix);
                }
                let marks = self.marks.len();
                self.run(&content, &inner, depth + 1)?;
                while self.marks.len() > marks {
                    self.end_mark();
                }
                (self.state, self.saved) = (state, saved);
                (self.line_matrix, self.text_matrix) = matrices;
            }
            _ => {}
        }
        Ok(())
    }

    fn show(&mut self, string: Option<&Object>) -> Result<(), Failure> {
        let (Some(Object::String(bytes)), Some(font)) = (string, self.state.font) else {
            return Ok(());
        };
        let mut at = 0;
        while at < bytes.len() {
            let Some(font) = self.fonts.font(font) else {
                self.page.unknown += bytes.len();
                return Ok(());
            };
            let (code, length) = font.code(bytes, at);
            let is_horizontal = font.is_horizontal();
            let letter = font.letter(code);
            let state = &self.state;
            let width = letter.advance / 1000.0 * state.size;
            let mut advance = width + state.letter_space;
            if length == 1 && bytes[at] == b' ' {
                advance += state.word_space;
            }
            at += length;
            let step = [1.0, 0.0, 0.0, 1.0, advance * state.stretch, 0.0];
            let from = times(self.text_matrix, state.matrix);
            self.text_matrix = times(step, self.text_matrix);
            let shape = times(
                [state.size * state.stretch, 0.0, 0.0, state.size, 0.0, state.rise],
                from,
            );
            let glyph = Glyph {
                x0: shape[4],
                // The space behind a letter is none of it: some programs part words by nothing else.
                x1: shape[4] + width * state.stretch * from[0],
                y: shape[5],
                size: shape[2].hypot(shape[3]),
                is_invisible: state.mode == 3,
                is_artifact: self.marks.last().is_some_and(|mark| mark.is_artifact),
            };
            // Across the page from left to right: what is turned is a mark at the margin or behind the text.
            let is_upright = is_horizontal && shape[0] > 0.0 && shape[1].abs() < 0.1 * shape[0] && shape[3] > 0.0;
            let is_hidden = self.marks.last().is_some_and(|mark| mark.is_hidden);
            if !is_upright || is_hidden || !is_on_page(&glyph, self.width, self.page.height) {
                continue;
            }
            match &letter.text {
                Some(text) => {
                    self.file.work.spend(text.len())?;
                    self.page.known += 1;
                    self.lines.add(&glyph, text);
                }
                None => {
                    self.page.unknown += 1;
                    let open = self.marks.iter_mut().rev().find(|mark| mark.reading.is_some());
                    if let Some(mark) = open {
                        mark.place.get_or_insert(glyph);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a reader sees a letter: on the page, and larger than a point.
fn is_on_page(glyph: &Glyph, width: f64, height: f64) -> bool {
    let is_within = |value: f64, end: f64| value > -1.0 && value < end + 1.0;
    is_within(glyph.x0, width) && is_within(glyph.y, height) && glyph.size >= 1.0
}

impl<'a> Lexer<'a> {
    /// A value before an operator; here numbers are never references.
    fn operand(&mut self, token: Token<'a>) -> Result<Object, Failure> {
        if let Token::Number(number) = token {
            return Ok(Object::Number(number));
        }
        self.values = 0;
        self.value(token, 0)
    }
}

/// Passes over a picture that stands within the content.
fn skip_picture(content: &[u8], lexer: &mut Lexer<'_>) {
    // Its bytes begin behind `ID` and end before an `EI` that stands alone and has no bytes of a picture behind it.
    let is_end = |at: usize| {
        let (before, behind) = (content[at - 1], &content[at + 2..]);
        let next = &behind[..behind.len().min(16)];
        content[at..].starts_with(b"EI")
            && is_space(before)
            && next.first().is_none_or(|byte| is_space(*byte))
            && next.iter().all(|byte| is_space(*byte) || byte.is_ascii_graphic())
    };
    let last = content.len().saturating_sub(1);
    let end = (lexer.at.max(1)..last).find(|at| content[*at] == b'E' && is_end(*at));
    lexer.at = end.map_or(content.len(), |end| end + 2);
}

/// A text that is not part of a page: in UTF-16 or UTF-8 with a mark, or in a code much like Latin 1.
fn text_string(bytes: &[u8]) -> String {
    match bytes {
        [0xfe, 0xff, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).flatten().collect()
        }
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => bytes.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// A page before it is read.
#[derive(Clone, Debug)]
pub struct Page {
    contents: Vec<u32>,
    resources: Object,
    /// The part of it that is shown.
    shown: [f64; 4],
    /// In degrees, clockwise.
    turn: i64,
}

/// What pages have from those above them.
#[derive(Clone, Debug)]
struct Inherited {
    resources: Object,
    media: Option<[f64; 4]>,
    crop: Option<[f64; 4]>,
    turn: i64,
}

/// The pages of a file, in their order.
pub fn pages(file: &File<'_>, limit: usize) -> Result<Vec<Page>, Failure> {
    let root = file.root()?;
    let above = Inherited {
        resources: Object::Null,
        media: None,
        crop: None,
        turn: 0,
    };
    let mut pages = Vec::new();
    let mut seen = HashSet::new();
    let mut open = vec![(vec![root.get(&b"Pages"[..]).cloned().unwrap_or(Object::Null)], above)];
    while let Some((kids, above)) = open.last_mut() {
        let Some(kid) = kids.pop() else {
            open.pop();
            continue;
        };
        // Each stands in the tree once, or there would be no end.
        if let Object::Ref(id) = kid
            && !seen.insert(id)
        {
            continue;
        }
        let Object::Dict(dict) = file.resolved(&kid)? else {
            continue;
        };
        let mut own = above.clone();
        if let Some(resources) = dict.get(&b"Resources"[..]) {
            own.resources = resources.clone();
        }
        own.media = file.numbers(&dict, b"MediaBox")?.or(own.media);
        own.crop = file.numbers(&dict, b"CropBox")?.or(own.crop);
        if let Some(turn) = file.get(&dict, b"Rotate")?.number() {
            own.turn = (turn as i64).rem_euclid(360);
        }
        if dict.contains_key(&b"Kids"[..]) {
            let mut kids = file.array(&dict, b"Kids")?;
            kids.reverse();
            open.push((kids, own));
            continue;
        }
        if pages.len() == limit {
            return Err(Failure::TooManyPages);
        }
        let contents = match dict.get(&b"Contents"[..]) {
            Some(Object::Ref(id)) if file.is_stream(*id) => vec![*id],
            Some(contents) => match file.resolved(contents)? {
                Object::Array(parts) => parts.iter().filter_map(reference).collect(),
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        pages.push(Page {
            contents,
            resources: own.resources,
            shown: shown(own.media, own.crop),
            turn: own.turn,
        });
    }
    Ok(pages)
}

fn reference(object: &Object) -> Option<u32> {
    if let Object::Ref(id) = object { Some(*id) } else { None }
}

/// The part of a page that is shown: its crop box as far as it has paper.
fn shown(media: Option<[f64; 4]>, crop: Option<[f64; 4]>) -> [f64; 4] {
    let sorted = |[a, b, c, d]: [f64; 4]| [a.min(c), b.min(d), a.max(c), b.max(d)];
    let media = sorted(media.unwrap_or([0.0, 0.0, 595.0, 842.0]));
    let crop = sorted(crop.unwrap_or(media));
    let both = [
        media[0].max(crop[0]),
        media[1].max(crop[1]),
        media[2].min(crop[2]),
        media[3].min(crop[3]),
    ];
    if both[0] < both[2] && both[1] < both[3] {
        both
    } else {
        media
    }
}
