//! LaTeX: the running text of the typeset document.
//!
//! Only TeX itself can read a document exactly, because it must run the macros. This module scans characters and knows
//! the usual commands by name. The first pass pairs braces and environments, and the second extracts the text. Neither
//! goes back, so the time is linear in the length of the file.
//!
//! If there is a `\begin{document}`, only the title and the text after it count. Comments, formulas, code, tables,
//! pictures, bibliographies, algorithms, citations, labels, references to labels, addresses, lengths, authors and
//! definitions are left out. An unknown command is removed with the options in brackets right after it, but its
//! arguments in braces stay as text. A footnote becomes a block after its paragraph. A footnote within a footnote stays
//! in it.
//!
//! Limits: macros of the document are not expanded, and `\input` is not followed. `\iffalse` reaches to the first
//! `\fi`. A formula must end before an empty line, which TeX forbids in formulas. Text within a formula (`\text`) is
//! left out. TeX joins the words around a comment at the end of a line; here they stay separate. Lengths of plain TeX
//! (`\vskip 2pt`) stay as text.

use super::{BlockKind, Builder, LineUnit, Lines, Prose};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How far the search for the end of `\verb` or of an address goes on its line, in bytes.
const LONGEST_INSIDE: usize = 1000;

/// The longest name of an environment, in bytes.
const LONGEST_NAME: usize = 60;

/// Extracts the prose of a LaTeX document.
pub fn extract(text: &str) -> Prose {
    let body = body(text);
    let mut scanner = Scanner {
        text,
        lines: Lines::of(text),
        pairs: Pairs::of(text),
        builder: Builder::default(),
        kind: BlockKind::Paragraph,
        gap: false,
        dropped: false,
        footnotes: Vec::new(),
        in_footnote: false,
        missing: [(0, 0); 4],
        has_fi: true,
    };
    scanner.preamble(body.start);
    scanner.scan(body);
    scanner.break_block(BlockKind::Paragraph);
    scanner.builder.finish(LineUnit::Line)
}

/// The part of a line before its comment.
fn without_comment(line: &str) -> &str {
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => return &line[..at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    line
}

/// The body of the document, or the whole document if it does not mark its body.
fn body(text: &str) -> Range<usize> {
    let place = |mark: &str, from: usize| {
        let mut start = from;
        for line in text[from..].split_inclusive('\n') {
            if let Some(at) = without_comment(line).find(mark) {
                return Some(start + at);
            }
            start += line.len();
        }
        None
    };
    match place(r"\begin{document}", 0) {
        Some(at) => {
            let start = at + r"\begin{document}".len();
            start..place(r"\end{document}", start).unwrap_or(text.len())
        }
        None => 0..text.len(),
    }
}

/// The pairs of braces, brackets and environments in a text, so that no search is repeated.
#[derive(Debug, Default)]
struct Pairs {
    /// Pairs of an opening brace and its closing one, or an opening bracket and its closing one, in order.
    closing: Vec<(usize, usize)>,
    /// For each `\begin`, the range of its `\end`.
    environments: HashMap<usize, Range<usize>>,
}

impl Pairs {
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut pairs = Self::default();
        let mut braces: Vec<usize> = Vec::new();
        // The open brackets, each with the number of braces around it. An option ends at the first closing bracket
        // within the same braces.
        let mut brackets: Vec<(usize, usize)> = Vec::new();
        let mut environments: Vec<(&str, usize)> = Vec::new();
        // How many environments of each name are open, so that a stray end closes nothing.
        let mut open: HashMap<&str, usize> = HashMap::new();
        let mut endless: HashSet<&str> = HashSet::new();
        let mut at = 0;
        while at < bytes.len() {
            match bytes[at] {
                b'%' => at = line_end(text, at),
                b'{' => {
                    braces.push(at);
                    at += 1;
                }
                b'}' => {
                    if let Some(start) = braces.pop() {
                        pairs.closing.push((start, at));
                        while brackets.pop_if(|(level, _)| *level > braces.len()).is_some() {}
                    }
                    at += 1;
                }
                b'[' => {
                    brackets.push((braces.len(), at));
                    at += 1;
                }
                b']' => {
                    while let Some((_, start)) = brackets.pop_if(|(level, _)| *level == braces.len()) {
                        pairs.closing.push((start, at));
                    }
                    at += 1;
                }
                b'\n' => {
                    at += 1;
                    let blank = bytes[at..].iter().take_while(|byte| byte.is_ascii_whitespace());
                    let (length, lines) = blank.fold((0, 0), |(length, lines), byte| {
                        (length + 1, lines + usize::from(*byte == b'\n'))
                    });
                    at += length;
                    if lines > 0 {
                        while brackets.pop_if(|(level, _)| *level == braces.len()).is_some() {}
                    }
                }
                b'\\' => {
                    if let Some((name, end)) = environment(text, at, r"\begin") {
                        if is_verbatim(name) && !endless.contains(name) {
                            match verbatim_end(text, end, name) {
                                Some(range) => {
                                    pairs.environments.insert(at, range.clone());
                                    at = range.end;
                                    continue;
                                }
                                None => {
                                    endless.insert(name);
                                }
                            }
                        }
                        environments.push((name, at));
                        *open.entry(name).or_default() += 1;
                        at = end;
                    } else if let Some((name, end)) = environment(text, at, r"\end") {
                        if open.get(name).is_some_and(|count| *count > 0) {
                            while let Some((other, start)) = environments.pop() {
                                *open.entry(other).or_default() -= 1;
                                if other == name {
                                    pairs.environments.insert(start, at..end);
                                    break;
                                }
                            }
                        }
                        at = end;
                    } else if let Some((_, behind)) = verb(text, at) {
                        at = behind;
                    } else if let Some((open, close)) = address(text, at) {
                        pairs.closing.push((open, close));
                        at = close + 1;
                    } else {
                        at += 1 + text[at + 1..].chars().next().map_or(0, char::len_utf8);
                    }
                }
                _ => at += 1,
            }
        }
        pairs.closing.sort_unstable();
        pairs
    }

    /// The end of the brace or the bracket that opens at a byte.
    fn close_of(&self, open: usize) -> Option<usize> {
        let index = self.closing.binary_search_by_key(&open, |(start, _)| *start).ok()?;
        Some(self.closing[index].1)
    }
}

/// The braces of an address. A percent sign in an address begins no comment.
fn address(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = &text[at + 1..];
    let name = command_name(rest);
    if !matches!(name, "url" | "href" | "path" | "nolinkurl") || !rest[name.len()..].starts_with('{') {
        return None;
    }
    let open = at + 1 + name.len();
    Some((open, open + bounded_find(&text[open..], '}')?))
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |length| at + length)
}

/// The name of the environment that a command at a byte begins or ends, and the end of the command.
fn environment<'a>(text: &'a str, at: usize, command: &str) -> Option<(&'a str, usize)> {
    let rest = text[at..].strip_prefix(command)?;
    let inner = rest.trim_start_matches([' ', '\t']).strip_prefix('{')?;
    let length = inner
        .bytes()
        .take(LONGEST_NAME)
        .take_while(|byte| !matches!(byte, b'{' | b'}' | b'\\' | b'\n'))
        .count();
    if inner.as_bytes().get(length) != Some(&b'}') {
        return None;
    }
    let start = text.len() - inner.len();
    Some((inner[..length].trim(), start + length + 1))
}

/// The range of the `\end` of an environment that holds raw text.
fn verbatim_end(text: &str, from: usize, name: &str) -> Option<Range<usize>> {
    let end = format!(r"\end{{{name}}}");
    let start = from + text[from..].find(&end)?;
    Some(start..start + end.len())
}

/// The text of a command such as `\verb` at a byte, and the end of the command.
fn verb(text: &str, at: usize) -> Option<(Range<usize>, usize)> {
    let rest = &text[at..];
    let mut from = at
        + [r"\verb*", r"\verb", r"\Verb", r"\lstinline", r"\mintinline"]
            .iter()
            .find(|name| rest.starts_with(**name))?
            .len();
    if rest.starts_with(r"\lstinline") || rest.starts_with(r"\mintinline") {
        if text[from..].starts_with('[') {
            from += 1 + bounded_find(&text[from..], ']')?;
        }
        // The braces hold the language of the code.
        if rest.starts_with(r"\mintinline") && text[from..].starts_with('{') {
            from += 1 + bounded_find(&text[from..], '}')?;
        }
    }
    let mark = text[from..].chars().next()?;
    // `\verbatiminput` is another command.
    if mark.is_ascii_alphabetic() || mark.is_whitespace() {
        return None;
    }
    let start = from + mark.len_utf8();
    let close = if mark == '{' { '}' } else { mark };
    let end = start + bounded_find(&text[start..], close)?;
    Some((start..end, end + close.len_utf8()))
}

/// The position of a character on the rest of a line, if it is not too far.
fn bounded_find(text: &str, mark: char) -> Option<usize> {
    for (at, c) in text.char_indices() {
        if c == mark {
            return Some(at);
        }
        if c == '\n' || at > LONGEST_INSIDE {
            return None;
        }
    }
    None
}

fn is_verbatim(name: &str) -> bool {
    matches!(
        name.strip_suffix('*').unwrap_or(name),
        "verbatim"
            | "Verbatim"
            | "BVerbatim"
            | "LVerbatim"
            | "lstlisting"
            | "minted"
            | "filecontents"
            | "comment"
            | "alltt"
    )
}

/// The kinds of a formula's end. The value is an index into [`Scanner::missing`].
#[derive(Clone, Copy, Debug)]
enum Close {
    Dollar = 0,
    Dollars = 1,
    Inline = 2,
    Display = 3,
}

impl Close {
    fn mark(self) -> &'static str {
        match self {
            Self::Dollar => "$",
            Self::Dollars => "$$",
            Self::Inline => r"\)",
            Self::Display => r"\]",
        }
    }
}

/// How a command is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    /// Remove it with this many arguments.
    Drop(usize),
    /// It stands for letters, and the white space after it does not count.
    Letter(&'static str),
    /// It stands for a sign or a word, and the white space after it counts.
    Sign(&'static str),
    /// It separates words.
    Space,
    /// It puts an accent on the next letter.
    Accent(char),
    /// Remove this many arguments. The next one is a block of its own.
    Block(BlockKind, usize),
    /// It begins an item.
    Item,
    /// It ends the paragraph.
    Paragraph,
    /// Remove it with this many arguments, and keep the ones after them.
    Keep(usize),
    Footnote,
    Definition,
    Let,
    Macro,
    IfFalse,
}

impl Command {
    fn of(name: &str) -> Self {
        if let Some(sign) = sign(name) {
            return sign;
        }
        match name {
            "c" => Self::Accent(','),
            "v" | "u" | "H" | "k" | "r" | "d" | "b" => Self::Accent(name.chars().next().unwrap_or(' ')),
            "section" | "subsection" | "subsubsection" | "chapter" | "part" | "paragraph" | "subparagraph"
            | "title" | "subtitle" | "frametitle" | "framesubtitle" | "minisec" | "addchap" | "addsec" | "addpart" => {
                Self::Block(BlockKind::Heading, 0)
            }
            "caption" | "subcaption" => Self::Block(BlockKind::Paragraph, 0),
            "captionof" => Self::Block(BlockKind::Paragraph, 1),
            "footnote" | "footnotetext" => Self::Footnote,
            "item" => Self::Item,
            "par" | "maketitle" => Self::Paragraph,
            "newcommand"
            | "renewcommand"
            | "providecommand"
            | "DeclareRobustCommand"
            | "NewDocumentCommand"
            | "RenewDocumentCommand"
            | "DeclareMathOperator"
            | "DeclarePairedDelimiter" => Self::Macro,
            "def" | "gdef" | "edef" | "xdef" => Self::Definition,
            "let" => Self::Let,
            "iffalse" => Self::IfFalse,
            "quad" | "qquad" | "space" | "enspace" | "thinspace" | "newline" | "linebreak" | "hfill" | "tab"
            | "and" | "tabularnewline" | "break" => Self::Space,
            "ref" | "eqref" | "autoref" | "cref" | "Cref" | "cpageref" | "pageref" | "nameref" | "vref" | "Vref"
            | "autopageref" | "subref" | "label" | "includegraphics" | "input" | "include" | "subfile"
            | "includeonly" | "includepdf" | "usepackage" | "RequirePackage" | "documentclass" | "bibliography"
            | "bibliographystyle" | "addbibresource" | "url" | "path" | "nolinkurl" | "vspace" | "hspace"
            | "pagestyle" | "thispagestyle" | "pagenumbering" | "hypersetup" | "graphicspath" | "author" | "date"
            | "thanks" | "affil" | "email" | "affiliation" | "institute" | "orcid" | "color" | "pagecolor"
            | "theoremstyle" | "lstset" | "tikzset" | "usetikzlibrary" | "index" | "hyphenation"
            | "lstinputlisting" | "verbatiminput" | "phantom" | "hphantom" | "vphantom" | "ensuremath" | "cline"
            | "cmidrule" | "captionsetup" | "geometry" | "newif" | "usetheme" | "tikz" | "stepcounter"
            | "refstepcounter" | "newcounter" | "newlength" | "ce" | "pgfplotsset" => Self::Drop(1),
            "setlength" | "addtolength" | "setcounter" | "addtocounter" | "rule" | "fontsize" | "newtheorem"
            | "import" | "inputminted" | "hyperlink" | "hypertarget" | "numberwithin" | "crefname" | "Crefname"
            | "settowidth" => match name {
                "hyperlink" | "hypertarget" => Self::Keep(1),
                _ => Self::Drop(2),
            },
            "definecolor" | "newenvironment" | "renewenvironment" | "newacronym" | "addcontentsline" => Self::Drop(3),
            "href" | "textcolor" | "colorbox" | "raisebox" | "scalebox" | "parbox" | "rotatebox"
            | "foreignlanguage" | "selectlanguage" | "texorpdfstring" => Self::Keep(1),
            "resizebox" | "fcolorbox" | "multicolumn" | "multirow" => Self::Keep(2),
            _ if is_citation(name) => Self::Drop(1),
            _ => Self::Keep(0),
        }
    }
}

/// Whether a command cites: `\citep`, `\parencite`, `\footcites`.
fn is_citation(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("cite")
        || name.ends_with("cite")
        || name.ends_with("cites")
        || name.ends_with("citet")
        || name.ends_with("citep")
}

/// Letters and signs that have a command.
fn sign(name: &str) -> Option<Command> {
    let letter = match name {
        "ss" => "ß",
        "ae" => "æ",
        "AE" => "Æ",
        "oe" => "œ",
        "OE" => "Œ",
        "o" => "ø",
        "O" => "Ø",
        "aa" => "å",
        "AA" => "Å",
        "l" => "ł",
        "L" => "Ł",
        "i" => "ı",
        "j" => "ȷ",
        "dh" => "ð",
        "DH" => "Ð",
        "th" => "þ",
        "TH" => "Þ",
        "dj" => "đ",
        "DJ" => "Đ",
        "ng" => "ŋ",
        "NG" => "Ŋ",
        _ => "",
    };
    if !letter.is_empty() {
        return Some(Command::Letter(letter));
    }
    let sign = match name {
        "textendash" => "–",
        "textemdash" => "—",
        "ldots" | "dots" | "textellipsis" => "…",
        "textquoteleft" | "lq" => "‘",
        "textquoteright" | "rq" => "’",
        "textquotedblleft" => "“",
        "textquotedblright" => "”",
        "quotedblbase" | "glqq" => "„",
        "grqq" => "“",
        "guillemotleft" | "og" | "flqq" => "«",
        "guillemotright" | "fg" | "frqq" => "»",
        "textquotesingle" => "'",
        "LaTeX" => "LaTeX",
        "LaTeXe" => "LaTeX2e",
        "TeX" => "TeX",
        "BibTeX" => "BibTeX",
        "S" | "textsection" => "§",
        "P" | "textparagraph" => "¶",
        "copyright" | "textcopyright" => "©",
        "textregistered" => "®",
        "texttrademark" => "™",
        "pounds" | "textsterling" => "£",
        "euro" | "texteuro" | "EUR" => "€",
        "textdegree" | "degree" => "°",
        "textbullet" => "•",
        "textbackslash" => "\\",
        "textasciitilde" => "~",
        "textasciicircum" => "^",
        "textunderscore" => "_",
        "textdollar" => "$",
        "textless" => "<",
        "textgreater" => ">",
        "textbar" => "|",
        "slash" => "/",
        "textquestiondown" => "¿",
        "textexclamdown" => "¡",
        _ => return None,
    };
    Some(Command::Sign(sign))
}

/// How an environment is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Environment {
    /// It is a formula within a sentence. Remove it.
    Formula,
    /// Remove it, and end the paragraph.
    Dropped,
    /// Remove this many arguments, and keep the text.
    Kept(usize),
}

impl Environment {
    fn of(name: &str) -> Self {
        match name.strip_suffix('*').unwrap_or(name) {
            "equation" | "align" | "alignat" | "aligned" | "flalign" | "gather" | "multline" | "eqnarray"
            | "displaymath" | "math" | "dmath" | "IEEEeqnarray" | "tikzcd" | "split" | "array" => Self::Formula,
            "tikzpicture" | "pgfpicture" | "pspicture" | "picture" | "forest" | "tabular" | "tabularx" | "tabulary"
            | "tabularray" | "tblr" | "tabbing" | "longtable" | "supertabular" | "thebibliography" | "algorithm"
            | "algorithmic" | "algorithm2e" | "CCSXML" => Self::Dropped,
            name if is_verbatim(name) => Self::Dropped,
            "minipage" | "multicols" | "subfigure" | "subtable" | "spacing" | "otherlanguage" => Self::Kept(1),
            "wrapfigure" | "wraptable" | "adjustwidth" | "list" => Self::Kept(2),
            _ => Self::Kept(0),
        }
    }
}

struct Scanner<'a> {
    text: &'a str,
    lines: Lines,
    pairs: Pairs,
    builder: Builder,
    /// The kind of the current block.
    kind: BlockKind,
    /// Whether white space follows the last text.
    gap: bool,
    /// Whether something was left out after the last text.
    dropped: bool,
    /// The footnotes of the current block.
    footnotes: Vec<Range<usize>>,
    in_footnote: bool,
    /// Ranges in which a search for the end of a formula failed, so that it is not repeated.
    missing: [(usize, usize); 4],
    has_fi: bool,
}

impl Scanner<'_> {
    /// Ends the block, adds its footnotes, and begins a block of a kind.
    fn break_block(&mut self, kind: BlockKind) {
        self.begin(BlockKind::Paragraph);
        if !self.in_footnote {
            self.in_footnote = true;
            for range in std::mem::take(&mut self.footnotes) {
                self.begin(BlockKind::Paragraph);
                self.scan(range);
            }
            self.in_footnote = false;
        }
        self.begin(kind);
    }

    fn begin(&mut self, kind: BlockKind) {
        self.builder.begin(kind);
        self.kind = kind;
        self.gap = false;
        self.dropped = false;
    }

    /// Adds text from the file.
    fn flush(&mut self, from: usize, to: usize) {
        if from < to {
            let text = self.text;
            let mut at = from;
            for part in text[from..to].split_inclusive('\n') {
                self.add(part, at);
                at += part.len();
            }
        }
    }

    /// Adds text of one line. It stands at a byte of the file, or replaces what stands there.
    fn add(&mut self, text: &str, at: usize) {
        let trimmed = text.trim_start();
        self.gap |= trimmed.len() < text.len();
        if trimmed.is_empty() {
            return;
        }
        // No space stays before punctuation where a citation was left out.
        if self.gap && !(self.dropped && trimmed.starts_with(['.', ',', ';', ':', '!', '?', ')'])) {
            self.builder.space();
        }
        let words = trimmed.trim_end();
        self.builder.add(words, self.lines.at(at));
        self.gap = words.len() < trimmed.len();
        self.dropped = false;
    }

    /// Notes that something is left out here.
    fn left_out(&mut self) {
        self.gap = true;
        self.dropped = true;
    }

    /// Looks for marks and the title before the body.
    fn preamble(&mut self, end: usize) {
        let mut at = 0;
        let text = self.text;
        let mut title = None;
        for line in text[..end].split_inclusive('\n') {
            let code = without_comment(line);
            let mut places = code
                .match_indices(r"\title")
                .map(|(place, command)| place + command.len());
            if title.is_none()
                && let Some(place) = places.find(|place| command_name(&code[*place..]).is_empty())
            {
                let open = self.skip_options(at + place);
                if let Some(close) = self.pairs.close_of(open).filter(|close| *close < end) {
                    title = Some(close);
                    self.begin(BlockKind::Heading);
                    self.scan(open + 1..close);
                    self.break_block(BlockKind::Paragraph);
                }
            }
            // Comments within the title were read with it.
            if code.len() < line.len() && title.is_none_or(|close| close < at + code.len()) {
                self.builder.mark(&line[code.len() + 1..], self.lines.at(at));
            }
            at += line.len();
        }
    }

    /// Extracts the text of a range.
    fn scan(&mut self, range: Range<usize>) {
        let bytes = self.text.as_bytes();
        let Range { start: mut at, end } = range;
        let mut from = at;
        // The ends of arguments that are blocks of their own, and the kind of block that continues after each.
        let mut blocks: Vec<(usize, BlockKind)> = Vec::new();
        while at < end {
            let byte = bytes[at];
            if !matches!(
                byte,
                b'\\' | b'{' | b'}' | b'$' | b'%' | b'~' | b'-' | b'`' | b'\'' | b'&' | b'#' | b'\n'
            ) {
                at += 1;
                continue;
            }
            self.flush(from, at);
            // A formula or an environment may have run past the end of the argument that it began in.
            while let Some((_, kind)) = blocks.pop_if(|(close, _)| *close < at) {
                self.break_block(kind);
            }
            at = match byte {
                b'\\' => self.command(at, end, &mut blocks),
                b'{' => at + 1,
                b'}' => {
                    if let Some((_, kind)) = blocks.pop_if(|(close, _)| *close == at) {
                        self.break_block(kind);
                    }
                    // Two adjacent arguments are not one word.
                    self.gap |= bytes.get(at + 1) == Some(&b'{');
                    at + 1
                }
                b'$' => self.dollar(at, end),
                b'%' => self.comment(at, end),
                b'\n' => self.line_break(at, end),
                b'#' => {
                    let digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
                    if !digit {
                        self.add("#", at);
                    }
                    at + 1 + usize::from(digit)
                }
                b'~' | b'&' => {
                    self.gap = true;
                    at + 1
                }
                _ => self.ligature(at),
            };
            from = at;
        }
        self.flush(from, end.max(from));
    }

    fn ligature(&mut self, at: usize) -> usize {
        let rest = &self.text[at..];
        let (written, shown) = [
            ("---", "—"),
            ("--", "–"),
            ("``", "“"),
            ("''", "”"),
            ("`", "‘"),
            ("-", "-"),
            ("'", "'"),
        ]
        .into_iter()
        .find(|(written, _)| rest.starts_with(written))
        .unwrap_or(("-", "-"));
        self.add(shown, at);
        at + written.len()
    }

    /// Leaves out a comment. The end of its line separates words, like any line end.
    fn comment(&mut self, at: usize, end: usize) -> usize {
        let stop = line_end(self.text, at).min(end);
        let comment = &self.text[at + 1..stop];
        if comment.trim_start().starts_with("whowrote:") {
            let kind = self.kind;
            self.break_block(kind);
            self.builder.mark(comment, self.lines.at(at));
            self.begin(kind);
        }
        self.gap = true;
        stop
    }

    /// Reads the end of a line. Empty lines after it end the paragraph.
    fn line_break(&mut self, at: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        let mut next = at + 1;
        let mut lines = 1;
        while next < end && bytes[next].is_ascii_whitespace() {
            lines += usize::from(bytes[next] == b'\n');
            next += 1;
        }
        self.gap = true;
        if lines > 1 {
            let kind = if self.kind == BlockKind::Item {
                BlockKind::Paragraph
            } else {
                self.kind
            };
            self.break_block(kind);
        }
        next
    }

    /// Leaves out a formula between dollar signs.
    fn dollar(&mut self, at: usize, end: usize) -> usize {
        let is_double = self.text[at + 1..end].starts_with('$');
        let close = if is_double { Close::Dollars } else { Close::Dollar };
        self.formula(at + 1 + usize::from(is_double), end, close)
    }

    /// Skips a formula whose content begins at `from`. Returns `from` if it has no end.
    fn formula(&mut self, from: usize, end: usize, close: Close) -> usize {
        self.left_out();
        self.close(from, end, close).map_or(from, |at| at + close.mark().len())
    }

    /// The end of a formula before an empty line.
    fn close(&mut self, from: usize, end: usize, close: Close) -> Option<usize> {
        let (begun, given_up) = self.missing[close as usize];
        if (begun..given_up).contains(&from) {
            return None;
        }
        let bytes = self.text.as_bytes();
        let mut at = from;
        while at < end {
            if bytes[at..end].starts_with(close.mark().as_bytes()) {
                return Some(at);
            }
            match bytes[at] {
                b'\\' => at += 1 + self.text[at + 1..].chars().next().map_or(0, char::len_utf8),
                b'%' => at = line_end(self.text, at),
                b'\n' => {
                    let begins = at;
                    at += 1;
                    while at < end && bytes[at].is_ascii_whitespace() {
                        if bytes[at] == b'\n' {
                            self.missing[close as usize] = (from, begins);
                            return None;
                        }
                        at += 1;
                    }
                }
                _ => at += 1,
            }
        }
        self.missing[close as usize] = (from, at.min(end));
        None
    }

    /// Skips spaces and the end of one line.
    fn skip_space(&self, at: usize) -> usize {
        let rest = &self.text.as_bytes()[at..];
        let mut lines = 0;
        let length = rest
            .iter()
            .take_while(|byte| {
                lines += usize::from(**byte == b'\n');
                byte.is_ascii_whitespace() && lines < 2
            })
            .count();
        if lines < 2 { at + length } else { at }
    }

    /// Skips a star and optional arguments.
    fn skip_options(&mut self, at: usize) -> usize {
        let mut at = at + usize::from(self.text[at..].starts_with('*'));
        while self.text[at..].starts_with('[') {
            match self.pairs.close_of(at) {
                Some(close) => at = close + 1,
                None => return at,
            }
        }
        at
    }

    /// Skips a number of arguments and the options between them.
    fn skip_arguments(&mut self, at: usize, count: usize) -> usize {
        let mut at = self.skip_options(at);
        for _ in 0..count {
            let next = self.skip_space(at);
            let next = self.skip_options(next);
            match self.pairs.close_of(next) {
                Some(close) => at = close + 1,
                None => return at,
            }
            at = self.skip_options(at);
        }
        at
    }

    /// Reads a command. Returns where to continue.
    fn command(&mut self, at: usize, end: usize, blocks: &mut Vec<(usize, BlockKind)>) -> usize {
        let text = self.text;
        let name = command_name(&text[at + 1..end]);
        if name.is_empty() {
            return self.symbol(at, end);
        }
        if let Some((inner, behind)) = verb(text, at).filter(|(_, behind)| *behind <= end) {
            self.flush(inner.start, inner.end);
            return behind;
        }
        if name == "begin"
            && let Some((name, behind)) = environment(text, at, r"\begin")
        {
            return self.environment(at..behind, end, name, blocks);
        }
        if name == "end"
            && let Some((_, behind)) = environment(text, at, r"\end")
        {
            self.break_block(BlockKind::Paragraph);
            return behind.min(end);
        }
        let behind = at + 1 + name.len();
        let next = match Command::of(name) {
            Command::Drop(count) => {
                self.left_out();
                self.skip_arguments(behind, count)
            }
            Command::Keep(0) => self.skip_options(behind),
            Command::Keep(count) => self.skip_arguments(behind, count),
            Command::Letter(letter) => {
                self.add(letter, at);
                text.len() - text[behind..].trim_start_matches([' ', '\t']).len()
            }
            Command::Sign(sign) => {
                self.add(sign, at);
                behind
            }
            Command::Space => {
                self.gap = true;
                self.skip_options(behind)
            }
            Command::Accent(accent) => self.accent(accent, at, behind, end),
            Command::Block(kind, count) => {
                let behind = if count > 0 {
                    self.skip_arguments(behind, count)
                } else {
                    behind
                };
                let open = self.skip_options(behind);
                let open = self.skip_space(open);
                match self.pairs.close_of(open).filter(|close| *close < end) {
                    Some(close) => {
                        blocks.push((close, self.kind));
                        self.break_block(kind);
                        open + 1
                    }
                    None => behind,
                }
            }
            Command::Item => {
                self.break_block(BlockKind::Item);
                self.item_label(behind, end)
            }
            Command::Paragraph => {
                self.break_block(BlockKind::Paragraph);
                behind
            }
            Command::Footnote => {
                let open = self.skip_options(behind);
                match self.pairs.close_of(open).filter(|close| *close < end) {
                    Some(close) if !self.in_footnote => {
                        self.footnotes.push(open + 1..close);
                        close + 1
                    }
                    _ => {
                        self.gap = true;
                        open
                    }
                }
            }
            Command::Macro => self.macro_definition(behind),
            Command::Definition => self.definition(behind),
            Command::Let => {
                let next = self.skip_control(behind);
                let next = next + usize::from(text[next..].starts_with('='));
                self.skip_control(next)
            }
            Command::IfFalse => self.if_false(behind),
        };
        next.min(end)
    }

    /// Reads a command whose name is not a letter.
    fn symbol(&mut self, at: usize, end: usize) -> usize {
        let Some(c) = self.text[at + 1..end].chars().next() else {
            return end;
        };
        let behind = at + 1 + c.len_utf8();
        match c {
            '%' | '&' | '$' | '#' | '_' | '{' | '}' => {
                self.add(&self.text[at + 1..behind], at);
                behind
            }
            '\'' | '`' | '^' | '"' | '~' | '=' | '.' => self.accent(c, at, behind, end),
            '(' => self.formula(behind, end, Close::Inline),
            '[' => self.formula(behind, end, Close::Display),
            '\\' => {
                self.gap = true;
                self.skip_options(behind).min(end)
            }
            // The end of the line stays, because an empty line may follow.
            '\n' => at + 1,
            // These include the end of a formula without a beginning.
            ',' | ';' | ':' | '>' | ' ' | '\t' | '\r' | ')' | ']' => {
                self.gap = true;
                behind
            }
            _ => behind,
        }
    }

    /// Reads the letter after an accent.
    fn accent(&mut self, accent: char, at: usize, behind: usize, end: usize) -> usize {
        let text = self.text;
        let start = behind + text[behind..end].len() - text[behind..end].trim_start_matches([' ', '\t']).len();
        let is_braced = text[start..end].starts_with('{');
        let inner = start + usize::from(is_braced);
        let (letter, after) = match text[inner..end].chars().next() {
            Some('\\') if matches!(text[inner + 1..end].chars().next(), Some('i' | 'j')) => {
                (text[inner + 1..].chars().next(), inner + 2)
            }
            Some(c) if c.is_alphabetic() => (Some(c), inner + c.len_utf8()),
            _ => (None, inner),
        };
        let Some(letter) = letter else {
            return behind;
        };
        let spaced = text[after..end].trim_start_matches([' ', '\t']);
        let after = match (is_braced, spaced.starts_with('}')) {
            (true, true) => end - spaced.len() + 1,
            // The braces hold more than a letter, so they are an ordinary group.
            _ => after,
        };
        let mut shown = [0; 8];
        self.add(accented(accent, letter, &mut shown), at);
        after
    }

    /// Reads the label of an item as part of its text.
    fn item_label(&mut self, at: usize, end: usize) -> usize {
        if !self.text[at..end].starts_with('[') {
            return at;
        }
        match self.pairs.close_of(at).filter(|close| *close < end) {
            Some(close) => {
                self.scan_label(at + 1, close);
                self.gap = true;
                close + 1
            }
            None => at,
        }
    }

    /// Adds a label without its commands and braces.
    fn scan_label(&mut self, from: usize, to: usize) {
        let text = self.text;
        let bytes = text.as_bytes();
        let mut at = from;
        let mut start = from;
        while at < to {
            match bytes[at] {
                b'\\' => {
                    self.flush(start, at);
                    let name = command_name(&text[at + 1..to]);
                    at += 1 + if name.is_empty() {
                        usize::from(at + 1 < to && bytes[at + 1].is_ascii())
                    } else {
                        name.len()
                    };
                    start = at;
                }
                b'{' | b'}' | b'$' | b'~' => {
                    self.flush(start, at);
                    self.gap |= bytes[at] == b'~';
                    at += 1;
                    start = at;
                }
                _ => at += 1,
            }
        }
        self.flush(start, to);
    }

    /// Reads the beginning of an environment, or leaves the whole environment out.
    fn environment(
        &mut self,
        begin: Range<usize>,
        end: usize,
        name: &str,
        blocks: &mut Vec<(usize, BlockKind)>,
    ) -> usize {
        let Range { start: at, end: behind } = begin;
        let range = self
            .pairs
            .environments
            .get(&at)
            .cloned()
            .filter(|range| range.end <= end);
        match (Environment::of(name), range) {
            // The title of a slide stands in braces.
            (Environment::Kept(0), _) if name == "frame" => {
                let open = self.skip_options(behind);
                match self.pairs.close_of(open).filter(|close| *close < end) {
                    Some(close) => {
                        self.break_block(BlockKind::Heading);
                        blocks.push((close, BlockKind::Paragraph));
                        open + 1
                    }
                    None => {
                        self.break_block(BlockKind::Paragraph);
                        open.min(end)
                    }
                }
            }
            (Environment::Formula, Some(range)) => {
                self.left_out();
                range.end
            }
            (Environment::Dropped, Some(range)) => {
                self.break_block(BlockKind::Paragraph);
                range.end
            }
            (Environment::Kept(count), _) => {
                self.break_block(BlockKind::Paragraph);
                let next = self.skip_options(behind);
                self.skip_arguments(next, count).min(end)
            }
            // Without an end, only the command itself is left out.
            (_, None) => {
                self.break_block(BlockKind::Paragraph);
                behind.min(end)
            }
        }
    }

    /// Skips the definition of a macro by a command such as `\newcommand`.
    fn macro_definition(&mut self, at: usize) -> usize {
        let at = at + usize::from(self.text[at..].starts_with('*'));
        let at = self.skip_space(at);
        let mut at = if self.text[at..].starts_with('\\') {
            self.skip_control(at)
        } else {
            self.skip_arguments(at, 1)
        };
        // Brackets or braces of their own describe the arguments.
        for _ in 0..2 {
            at = self.skip_arguments(at, 1);
            if !self.text[at..].starts_with('{') {
                break;
            }
        }
        at
    }

    /// Skips a definition of TeX: everything up to a brace on the same line, and the content of the braces.
    fn definition(&mut self, at: usize) -> usize {
        let Some(open) = bounded_find(&self.text[at..], '{') else {
            return self.skip_control(at);
        };
        self.pairs.close_of(at + open).map_or(at, |close| close + 1)
    }

    /// Skips a command.
    fn skip_control(&self, at: usize) -> usize {
        let at = at + self.text[at..].len() - self.text[at..].trim_start_matches([' ', '\t']).len();
        match self.text[at..].strip_prefix('\\') {
            Some(rest) => {
                at + 1
                    + command_name(rest)
                        .len()
                        .max(rest.chars().next().map_or(0, char::len_utf8))
            }
            None => at,
        }
    }

    /// Skips the text after `\iffalse`.
    fn if_false(&mut self, at: usize) -> usize {
        let found = if self.has_fi {
            self.text[at..].find(r"\fi")
        } else {
            None
        };
        self.has_fi = found.is_some();
        self.left_out();
        found.map_or(at, |length| at + length + r"\fi".len())
    }
}

/// The letters that a text begins with. An at sign counts as a letter, as in the code of packages.
fn command_name(text: &str) -> &str {
    let length = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'@')
        .count();
    &text[..length]
}

/// For each accent, pairs of the plain letter and the accented one.
const ACCENTED: [(char, &str); 14] = [
    ('\'', "AÁEÉIÍOÓUÚYÝaáeéiíoóuúyýCĆcćLĹlĺNŃnńRŔrŕSŚsśZŹzźGǴgǵ"),
    ('`', "AÀEÈIÌOÒUÙaàeèiìoòuùNǸnǹ"),
    ('^', "AÂEÊIÎOÔUÛaâeêiîoôuûCĈcĉGĜgĝHĤhĥJĴjĵSŜsŝWŴwŵYŶyŷ"),
    ('"', "AÄEËIÏOÖUÜaäeëiïoöuüyÿYŸ"),
    ('~', "AÃNÑOÕaãnñoõIĨiĩUŨuũ"),
    ('=', "AĀaāEĒeēIĪiīOŌoōUŪuūYȲyȳ"),
    ('.', "CĊcċEĖeėGĠgġIİZŻzżAȦaȧOȮoȯ"),
    (',', "CÇcçGĢgģKĶkķLĻlļNŅnņRŖrŗSŞsşTŢtţEȨeȩ"),
    ('v', "CČcčDĎdďEĚeěNŇnňRŘrřSŠsšTŤtťZŽzžLĽlľAǍaǎIǏiǐOǑoǒUǓuǔGǦgǧ"),
    ('u', "AĂaăEĔeĕGĞgğIĬiĭOŎoŏUŬuŭ"),
    ('H', "OŐoőUŰuű"),
    ('k', "AĄaąEĘeęIĮiįUŲuųOǪoǫ"),
    ('r', "AÅaåUŮuů"),
    ('d', "AẠaạEẸeẹIỊiịOỌoọUỤuụYỴyỵSṢsṣTṬtṭHḤhḥNṆnṇRṚrṛDḌdḍLḶlḷ"),
];

/// A letter with an accent: one character if Unicode has it, or else the letter and a combining mark.
fn accented(accent: char, letter: char, room: &mut [u8; 8]) -> &str {
    let pairs = ACCENTED
        .iter()
        .find(|(mark, _)| *mark == accent)
        .map_or("", |(_, pairs)| pairs);
    let mut chars = pairs.chars();
    while let (Some(plain), Some(composed)) = (chars.next(), chars.next()) {
        if plain == letter {
            return composed.encode_utf8(room);
        }
    }
    let mark = match accent {
        '\'' => '\u{301}',
        '`' => '\u{300}',
        '^' => '\u{302}',
        '"' => '\u{308}',
        '~' => '\u{303}',
        '=' => '\u{304}',
        '.' => '\u{307}',
        ',' => '\u{327}',
        'v' => '\u{30c}',
        'u' => '\u{306}',
        'H' => '\u{30b}',
        'k' => '\u{328}',
        'r' => '\u{30a}',
        'd' => '\u{323}',
        _ => '\u{331}',
    };
    let length = letter.encode_utf8(room).len();
    let total = length + mark.encode_utf8(&mut room[length..]).len();
    std::str::from_utf8(&room[..total]).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::super::tests::{self, check, check_words};
    use super::*;
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn texts(text: &str) -> Vec<String> {
        tests::texts(extract(text))
    }

    fn kinds(text: &str) -> Vec<(String, BlockKind)> {
        tests::kinds(extract(text))
    }

    /// The extracted text of an input without paragraphs.
    fn shown_of(text: &str) -> String {
        texts(text).join(" / ")
    }

    #[test]
    fn only_the_body_of_a_document_counts_and_its_title() {
        let text = "\\documentclass{article}\n\\titleformat{x}{y}\nstray\n\\title[Short]{On\n  \\emph{hens}} % \\begin{document}\n\\author{A. Hen}\n\
                    \\newcommand{\\x}{$}\n\\begin{document}\n\\maketitle\nText.\n\\end{document}\nbehind\n";
        let expected = [("On hens", BlockKind::Heading), ("Text.", BlockKind::Paragraph)];
        assert_eq!(kinds(text), expected.map(|(text, kind)| (text.to_owned(), kind)));
        let prose = extract(text);
        let lines: Vec<usize> = prose
            .blocks
            .iter()
            .flat_map(|block| block.pieces.iter().map(|piece| piece.line))
            .collect();
        assert_eq!(lines, [4, 5, 10]);
    }

    #[test]
    fn a_part_of_a_document_counts_from_its_first_line() {
        assert_eq!(texts("One\ntwo.\n\nThree.\n"), ["One two.", "Three."]);
    }

    #[test]
    fn comments_are_left_out_and_escaped_signs_stay() {
        assert_eq!(
            texts("A rise of 5\\% \\& more % a comment\nhere.\n% all of it\nand on\n% one\n\nNext\\\\% gone\nline.\n"),
            ["A rise of 5% & more here. and on", "Next line."]
        );
    }

    #[test]
    fn marks_in_comments_exempt_blocks() {
        let text = "One.\n\n% whowrote: ignore\nTwo.\n\nThree.\n%whowrote: ignore-start\nFour.\n\nFive.\n% whowrote: ignore-end\nSix.\n";
        let found: Vec<(String, bool)> = extract(text)
            .blocks
            .into_iter()
            .map(|block| (block.text, block.ignored))
            .collect();
        let expected = [
            ("One.", false),
            ("Two.", true),
            ("Three.", false),
            ("Four.", true),
            ("Five.", true),
            ("Six.", false),
        ];
        assert_eq!(found, expected.map(|(text, ignored)| (text.to_owned(), ignored)));
        let in_front =
            "% whowrote: ignore-start\n\\title{A % whowrote: forget\nb}\n\\begin{document}\nText.\n\\end{document}\n";
        let prose = extract(in_front);
        assert!(prose.blocks.iter().all(|block| block.ignored));
        assert_eq!(prose.notes.len(), 2, "{:?}", prose.notes);
    }

    #[test]
    fn headings_and_captions_are_blocks_of_their_own() {
        let text = "\\section*{On \\textbf{hens}}\\label{s}\nThey lay.\n\\begin{figure}[ht]\n\\centering\n\\includegraphics[width=3cm]{hen.png}\n\
                    \\caption[Short]{A hen\\footnote{It lays.} here.}\n\\end{figure}\nMore.\n";
        let expected = [
            ("On hens", BlockKind::Heading),
            ("They lay.", BlockKind::Paragraph),
            ("A hen here.", BlockKind::Paragraph),
            ("It lays.", BlockKind::Paragraph),
            ("More.", BlockKind::Paragraph),
        ];
        assert_eq!(kinds(text), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn footnotes_follow_their_paragraph() {
        let text = "The hen\\footnote{A bird.\\footnote{Or not.}} lays\\footnotemark[2].\n\nNext.\n";
        assert_eq!(texts(text), ["The hen lays.", "A bird. Or not.", "Next."]);
    }

    #[test]
    fn items_of_lists_are_items() {
        let text = "We say:\n\\begin{itemize}[noitemsep]\n\\item One\n  goes on.\n\n  More.\n\\item[\\textbf{Two}] is\n\\begin{enumerate}\n\\item inner\n\
                    \\end{enumerate}\n\\end{itemize}\nRest.\n";
        let expected = [
            ("We say:", BlockKind::Paragraph),
            ("One goes on.", BlockKind::Item),
            ("More.", BlockKind::Paragraph),
            ("Two is", BlockKind::Item),
            ("inner", BlockKind::Item),
            ("Rest.", BlockKind::Paragraph),
        ];
        assert_eq!(kinds(text), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn formulas_code_tables_and_bibliographies_are_left_out() {
        for name in [
            "equation",
            "align*",
            "gather",
            "multline",
            "eqnarray",
            "displaymath",
            "math",
            "verbatim",
            "lstlisting",
            "minted",
            "tikzpicture",
            "tabular",
            "thebibliography",
            "filecontents*",
            "algorithm",
            "algorithmic",
        ] {
            let text = format!("Before\n\\begin{{{name}}}{{x}}\ninside % more\n\n{{ body\n\\end{{{name}}}\nafter.\n");
            assert_eq!(shown_of(&text).replace(" /", ""), "Before after.", "{name}");
        }
        let nested = "A\\begin{tabular}{c}x\\begin{tabular}{c}y\\end{tabular}z\\end{tabular} b";
        assert_eq!(texts(nested), ["A", "b"]);
        assert_eq!(texts("A\n\\begin{equation}x\\end{equation}\nb"), ["A b"]);
    }

    #[test]
    fn the_text_of_quotations_and_frames_stays() {
        assert_eq!(
            texts(
                "\\begin{quote}Words.\\end{quote}\\begin{abstract}\nMore.\n\\end{abstract}\n\\begin{center}{\\large Last}\\end{center}"
            ),
            ["Words.", "More.", "Last"]
        );
        let found = kinds("\\begin{frame}[t]{A slide}\nIts text.\n\\end{frame}\n");
        assert_eq!(
            found,
            [
                ("A slide".to_owned(), BlockKind::Heading),
                ("Its text.".to_owned(), BlockKind::Paragraph)
            ]
        );
    }

    #[test]
    fn inline_commands_leave_what_is_read() {
        for (written, expected) in [
            (
                r"As shown~\cite[p.~3]{a,b}, in Section~\ref{s}.",
                "As shown, in Section.",
            ),
            (r"See \citep{a}\label{x} there \parencite{b}.", "See there."),
            (
                r"An \emph{em \textbf{and} more} word, {\it old} style.",
                "An em and more word, old style.",
            ),
            (r"A \href{https://a.b/%20c}{link} and \url{https://x}.", "A link and."),
            (
                r"A \textcolor{red}{red} word, \foo[opt]{kept}{apart}.",
                "A red word, kept apart.",
            ),
            (
                r"Where $x^2$ is \(y\), and \[z\] or $$w \$ v$$ ends.",
                "Where is, and or ends.",
            ),
            (r"non$k$joined", "non joined"),
            (r"It costs \$5 and \#3.", "It costs $5 and #3."),
            (
                r"``Quoted'' 'text' -- a dash---and well-known `so'.",
                "“Quoted” 'text' – a dash—and well-known ‘so'.",
            ),
            (
                r#"caf\'e, na\"ive, na\"{\i}ve, \c{c}a, \c ca, \v{s}, \'{E}, \^o, \~n, \H{o}"#,
                "café, naïve, naïve, ça, ça, š, É, ô, ñ, ő",
            ),
            (
                r"Stra\ss e, \ae on, \O re, {\o}l, \L\'od\'z, \aa",
                "Straße, æon, Øre, øl, Łódź, å",
            ),
            (r"\'q", "q\u{301}"),
            (r"One\\two\\[2pt]three\newline four\,m", "One two three four m"),
            (
                r"Use \verb|a_b %{ c| and \lstinline[x=y]{code} now.",
                "Use a_b %{ c and code now.",
            ),
            (
                r"\LaTeX{} and \LaTeX\ are \ldots{} the same.",
                "LaTeX and LaTeX are … the same.",
            ),
            (
                r"A\newcommand{\x}[2][d]{y #1}\renewcommand*\y{z}\def\z#1{w}\let\a=\b\NewDocumentCommand{\q}{m}{v} b",
                "A b",
            ),
            (r"A \iffalse hidden \fi b \vspace{2pt}\hspace*{1em}c", "A b c"),
            (r"\verb„a b„c", "a bc"),
            (r"\unknown and \also* this", "and this"),
            (r"An unclosed $ sign, \( and { brace", "An unclosed sign, and brace"),
        ] {
            assert_eq!(shown_of(written), expected, "{written}");
        }
    }

    #[test]
    fn words_keep_their_lines_after_what_is_left_out() {
        let prose = extract("One $a\n+ b$ two\n\\cite{c,\nd} three\n\\begin{align}\nx\n\\end{align}\nfour\r\nfive.\n");
        let block = &prose.blocks[0];
        let pieces: Vec<(&str, usize)> = block
            .pieces
            .iter()
            .map(|piece| (block.text[piece.span.clone()].trim(), piece.line))
            .collect();
        assert_eq!(
            pieces,
            [("One", 1), ("two", 2), ("three", 4), ("four", 8), ("five.", 9)]
        );
    }

    #[test]
    fn a_formula_without_an_end_hides_no_other_paragraph() {
        assert_eq!(
            texts("It costs $5.\n\nA rise of $6.\n\n\\[ x\n\nEnd."),
            ["It costs 5.", "A rise of 6.", "x", "End."]
        );
    }

    #[test]
    fn a_megabyte_of_anything_takes_no_time() {
        // Each takes about a tenth of a second. Quadratic time would take minutes.
        let limit = Duration::from_secs(20);
        for part in [
            "{",
            "}",
            "{}",
            "\\",
            "$",
            "$$",
            "\\begin{a}",
            "\\end{a}",
            "\\begin{a}\\end{a}",
            "[",
            "`",
            "*",
            ":",
            "..",
            "%",
            "~",
            "\\[",
            "\\(",
            "\\a[",
            "\\a[{",
            "\\a[{}",
            "\\a[]",
            "[]",
            "\\url{",
            "\\a[{x}\n",
            "\\footnote{",
            "\\footnote{a}",
            "\\section{",
            "\\section{a}",
            "\\item[",
            "\\item[a]",
            "\\verb|",
            "\\verb",
            "\\begin{verbatim}",
            "\\begin{verbatim*}",
            "\\begin{equation}",
            "\\iffalse ",
            "\\iffalse \\fi",
            "\\def\\a",
            "\\newcommand",
            "\\newcommand{a}",
            "\\'",
            "\\'{",
            "\\c ",
            "\\cite{",
            "\\cite[",
            "\\cite{a}",
            "\n",
            "\\\n",
            "\\title",
            "%\\begin{document}",
            "\\title\n",
            "-",
            "\\\\[",
            "\\begin {",
            "\\lstinline[",
            "\\mintinline{",
            "% whowrote: ignore\na\n",
            "é",
            "\\é",
            "a\n%\n",
            "\\begin{frame}{a}",
        ] {
            for tail in ["", "\n\\begin{document}\n", "}]$"] {
                let text = part.repeat(1_000_000 / part.len()) + tail;
                let start = Instant::now();
                let prose = extract(&text);
                let taken = start.elapsed();
                eprintln!("{part:?} {tail:?}: {taken:?}, {} blocks", prose.blocks.len());
                assert!(taken < limit, "{part:?} {tail:?} took {taken:?}");
            }
        }
        for (open, close) in [
            ("{", "}"),
            ("\\a[{", "}]"),
            ("\\footnote{", "}"),
            ("\\section{", "}"),
            ("\\begin{a}", "\\end{a}"),
            ("\\item[{", "}]"),
        ] {
            let count = 1_000_000 / (open.len() + close.len());
            let text = open.repeat(count) + "word" + &close.repeat(count);
            let start = Instant::now();
            let _ = extract(&text);
            let taken = start.elapsed();
            eprintln!("{open:?} {close:?}: {taken:?}");
            assert!(taken < limit, "{open:?} {close:?} took {taken:?}");
        }
    }

    const WORDS: [&str; 28] = [
        "word",
        "hen egg",
        "größe",
        " ",
        "  ",
        "\n",
        "\n\n",
        "$",
        "$$",
        "\\(",
        "\\)",
        "\\[",
        "\\]",
        "%",
        "% whowrote: ignore\n",
        "\\cite{a}",
        "\\ref{b}",
        "\\begin{equation}",
        "\\end{equation}",
        "\\begin{itemize}",
        "\\end{itemize}",
        "\\item ",
        "~",
        "--",
        "``",
        "''",
        "\\\\",
        "\r\n",
    ];

    const FRAGMENTS: [&str; 44] = [
        "word",
        "größe",
        " ",
        "\n",
        "\n\n",
        "{",
        "}",
        "[",
        "]",
        "\\",
        "\\'",
        "\\'e",
        "\\c",
        "\\ss",
        "\\o ",
        "\\LaTeX",
        "$",
        "%",
        "\\begin{document}",
        "\\end{document}",
        "\\title{",
        "\\section{",
        "\\footnote{",
        "\\caption[",
        "\\verb|",
        "|",
        "\\begin{verbatim}",
        "\\end{verbatim}",
        "\\begin{",
        "\\end{",
        "\\newcommand",
        "\\def\\x",
        "\\let",
        "\\iffalse",
        "\\fi",
        "\\href{",
        "\\lstinline[",
        "\\mintinline{",
        "#1",
        "&",
        "\\é",
        "\\item[",
        "\\begin{frame}",
        "\u{3000}",
    ];

    proptest! {
        #[test]
        fn any_text_has_its_words_on_the_lines_that_are_named(text in "[^\\\\]*(\n[^\\\\]*){0,5}") {
            check(&text, &extract(&text));
        }

        #[test]
        fn any_markup_has_its_words_on_the_lines_that_are_named(parts in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..60)) {
            let text = parts.concat();
            check_words(&text, &extract(&text));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), parts in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..60)) {
            let prose = extract(&(parts.concat() + &text));
            for block in prose.blocks {
                prop_assert!(block.pieces.iter().all(|piece| block.text.get(piece.span.clone()).is_some()));
            }
            extract(&text);
        }
    }
}
