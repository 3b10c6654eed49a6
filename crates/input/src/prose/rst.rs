//! reStructuredText: the running text that docutils and Sphinx would show.
//!
//! No crate was suitable. `rst_parser` reads only part of the language and fails on the rest, `docutils-core` is at its
//! first release, and the grammar of tree-sitter is C code, which should not read untrusted input. So this module scans
//! lines. It needs the indentation only to leave something out, and reads each line once.
//!
//! It leaves out adornments, literal and doctest blocks, comments, targets, definitions of substitutions, fields at the
//! head of the document, types of parameters, references to footnotes, formulas, and tables drawn in characters (grid
//! and simple). The cells of a `list-table` stay. Directives stay if their name is known: admonitions, Sphinx's
//! descriptions of functions, classes and options, figures, and directives that only arrange text. Any other directive
//! is left out with its body, because most hold code or data.
//!
//! Limits: substitutions and labels are not resolved, so `|name|` and `` :ref:`label` `` stay as written. As in
//! docutils, interpreted text is not searched for more markup. The head of a PEP has no colons before its names, so it
//! is read as a paragraph. A continuation line of an item may be indented less than its text, because people write so.

use super::{BlockKind, Builder, LineUnit, Prose};

/// How many lines of a directive's body are searched for its indentation.
const BODY_LOOKAHEAD: usize = 1000;

/// The longest label of a footnote, in bytes.
const LONGEST_LABEL: usize = 80;

/// Extracts the prose of a reStructuredText document.
pub fn extract(text: &str) -> Prose {
    let lines: Vec<Line<'_>> = text.split('\n').map(Line::of).collect();
    let mut scanner = Scanner {
        lines,
        at: 0,
        builder: Builder::default(),
        literal: None,
        definition: false,
        in_head: true,
    };
    while scanner.at < scanner.lines.len() {
        scanner.block();
    }
    scanner.builder.finish(LineUnit::Line)
}

/// A line without the white space around it.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    /// The column in which its text begins.
    indent: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(raw: &'a str) -> Self {
        let text = raw.trim_start();
        let indent = raw[..raw.len() - text.len()].chars().fold(0, |column, c| match c {
            '\t' => (column / 8 + 1) * 8,
            _ => column + 1,
        });
        Self {
            indent,
            text: text.trim_end(),
        }
    }

    /// The rest of the line, from a byte of its text on.
    fn after(self, bytes: usize) -> Self {
        let text = self.text[bytes..].trim_start();
        let skipped = &self.text[..self.text.len() - text.len()];
        Self {
            indent: self.indent + skipped.chars().count(),
            text,
        }
    }
}

/// What the markers on the first line of a paragraph mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lead {
    kind: BlockKind,
    /// The column of the marker, if there is one. Lines with a deeper indentation continue its text.
    hang: Option<usize>,
    /// Whether the body is aligned with the text of the first line, as in a list. In a directive it is not.
    aligned: bool,
    /// Whether fields after the text are options of a directive.
    options: bool,
}

const PLAIN: Lead = Lead {
    kind: BlockKind::Paragraph,
    hang: None,
    aligned: true,
    options: false,
};

struct Scanner<'a> {
    lines: Vec<Line<'a>>,
    at: usize,
    builder: Builder,
    /// The indentation of a paragraph that ended in `::`.
    literal: Option<usize>,
    /// Whether the previous line was the term of a definition.
    definition: bool,
    /// Whether there were only titles and fields so far.
    in_head: bool,
}

impl<'a> Scanner<'a> {
    /// The line at an index, if it has text.
    fn filled(&self, index: usize) -> Option<Line<'a>> {
        self.lines.get(index).copied().filter(|line| !line.text.is_empty())
    }

    /// Whether a line belongs to the body of a construct in column `base`.
    fn is_inside(&self, index: usize, base: usize) -> bool {
        self.filled(index).is_some_and(|line| line.indent > base)
    }

    /// Skips indented lines, and empty lines between them.
    fn skip_body(&mut self, base: usize) {
        while self.at < self.lines.len() && (self.filled(self.at).is_none() || self.is_inside(self.at, base)) {
            self.at += 1;
        }
    }

    /// Skips indented lines up to an empty one.
    fn skip_inside(&mut self, base: usize) {
        while self.is_inside(self.at, base) {
            self.at += 1;
        }
    }

    /// Reads the block that begins on the current line.
    fn block(&mut self) {
        let Some(mut line) = self.filled(self.at) else {
            self.at += 1;
            return;
        };
        if let Some(base) = self.literal.take()
            && self.skip_literal(base, line)
        {
            return;
        }
        let mut lead = PLAIN;
        if std::mem::take(&mut self.definition) {
            lead.kind = BlockKind::Item;
        }
        // A line may have several markers: `* - cell`, `- .. note:: text`.
        loop {
            if line.text.is_empty() {
                self.at += 1;
                return;
            }
            if lead.hang.is_none() && (self.title(line) || self.table(line)) {
                return;
            }
            if line.text.starts_with(">>>") {
                while self.filled(self.at).is_some() {
                    self.at += 1;
                }
                return;
            }
            if let Some(length) = bullet(line.text).or_else(|| self.enumerator(line)) {
                lead = Lead {
                    kind: BlockKind::Item,
                    hang: Some(line.indent),
                    ..PLAIN
                };
                line = line.after(length);
            } else if line.text == ".." || line.text.starts_with(".. ") {
                match self.explicit(line) {
                    Some(next) => (line, lead) = next,
                    None => return,
                }
            } else if let Some(length) = field(line.text) {
                let base = line.indent;
                if self.is_silent(&line.text[1..length - 1]) {
                    self.at += 1;
                    self.skip_inside(base);
                    return;
                }
                lead = Lead {
                    kind: BlockKind::Item,
                    hang: Some(base),
                    aligned: false,
                    options: false,
                };
                line = line.after(length);
            } else if line.text.starts_with("__ ") {
                self.at += 1;
                return;
            } else if line.text == "|" || line.text.starts_with("| ") {
                self.line_block(line);
                return;
            } else if let Some(length) = option(line.text, self.is_inside(self.at + 1, line.indent)) {
                lead = Lead {
                    kind: BlockKind::Item,
                    hang: Some(line.indent),
                    aligned: false,
                    options: false,
                };
                line = line.after(length);
            } else {
                self.paragraph(line, lead);
                return;
            }
        }
    }

    /// Leaves out a literal block after a paragraph in column `base`. Returns whether there was one.
    fn skip_literal(&mut self, base: usize, line: Line<'a>) -> bool {
        if line.indent > base {
            self.skip_body(base);
            return true;
        }
        // A literal block may be quoted instead of indented: each line begins with the same character.
        let Some(quote) = line.text.chars().next().filter(char::is_ascii_punctuation) else {
            return false;
        };
        let is_markup = bullet(line.text).is_some() || line.text.starts_with("..") || field(line.text).is_some();
        if line.indent != base || is_markup || matches!(quote, '`' | '*' | '|' | '+' | '"' | '\'' | '(' | '[') {
            return false;
        }
        if self
            .filled(self.at + 1)
            .is_some_and(|next| !next.text.starts_with(quote))
        {
            return false;
        }
        while self.filled(self.at).is_some_and(|next| next.text.starts_with(quote)) {
            self.at += 1;
        }
        true
    }

    /// Reads a title with its adornments, or a transition. Returns whether there was one.
    fn title(&mut self, line: Line<'a>) -> bool {
        if matches!(line.text, "::" | "..") {
            return false;
        }
        if let Some((mark, length)) = adornment(line.text) {
            let over = self.filled(self.at + 1).filter(|title| adornment(title.text).is_none());
            let under = self.filled(self.at + 2).and_then(|under| adornment(under.text));
            if let (Some(title), Some((other, _))) = (over, under)
                && mark == other
            {
                self.heading(title, self.at + 1);
                self.at += 3;
                return true;
            }
            if length >= 4 {
                self.at += 1;
                return true;
            }
            return false;
        }
        let Some(next) = self.filled(self.at + 1).filter(|next| next.indent == line.indent) else {
            return false;
        };
        let Some((_, length)) = adornment(next.text) else {
            return false;
        };
        // A short line may be text. A long one is an underline, even if it is shorter than its title.
        if length < 4 && length < line.text.chars().count() || matches!(next.text, "::" | "..") {
            return false;
        }
        self.heading(line, self.at);
        self.at += 2;
        true
    }

    fn heading(&mut self, title: Line<'a>, index: usize) {
        self.builder.begin(BlockKind::Heading);
        inline(title.text, index + 1, &mut self.builder);
        self.builder.end();
    }

    /// Leaves out a grid table or a simple table. Returns whether there was one.
    fn table(&mut self, line: Line<'a>) -> bool {
        if is_grid_border(line.text) {
            while self.filled(self.at).is_some_and(|row| row.text.starts_with(['+', '|'])) {
                self.at += 1;
            }
            return true;
        }
        if !is_simple_border(line.text) {
            return false;
        }
        let mut borders = 0;
        let mut end = self.at;
        for index in self.at + 1..self.lines.len() {
            let Some(row) = self.filled(index) else {
                continue;
            };
            if row.indent < line.indent {
                break;
            }
            if is_simple_border(row.text) {
                borders += 1;
                end = index;
                if borders == 2 || self.filled(index + 1).is_none() {
                    break;
                }
            }
        }
        self.at = end + 1;
        true
    }

    /// The length of an item's number. Text such as `A. Einstein` looks similar, but its next line is not indented.
    fn enumerator(&self, line: Line<'a>) -> Option<usize> {
        let length = enumerator(line.text)?;
        let goes_on = self
            .filled(self.at + 1)
            .is_none_or(|next| next.indent != self.lines[self.at].indent || enumerator(next.text).is_some());
        goes_on.then_some(length)
    }

    /// Reads explicit markup, which begins with two dots. Returns the text to continue with on the same line, if any.
    fn explicit(&mut self, line: Line<'a>) -> Option<(Line<'a>, Lead)> {
        let base = line.indent;
        let rest = line.after(2);
        let footnote = Lead {
            hang: Some(base),
            aligned: false,
            ..PLAIN
        };
        if rest.text.starts_with('_') && rest.text.contains(':') {
            self.at += 1;
            self.skip_inside(base);
            return None;
        }
        if rest.text.starts_with('[')
            && let Some(close) = rest.text.find(']')
            && close > 1
            && (close + 1 == rest.text.len() || rest.text[close + 1..].starts_with(' '))
        {
            return Some((rest.after(close + 1), footnote));
        }
        if rest.text.starts_with('|')
            && let Some(close) = rest.text[1..].find('|')
            && rest.text[close + 2..].contains("::")
        {
            self.at += 1;
            self.skip_body(base);
            return None;
        }
        match directive(rest.text) {
            Some((name, length)) => self.directive(name, rest.after(length), base),
            None => {
                self.comment(rest, base);
                None
            }
        }
    }

    fn directive(&mut self, name: &str, argument: Line<'a>, base: usize) -> Option<(Line<'a>, Lead)> {
        let lead = |kind| Lead {
            kind,
            hang: Some(base),
            aligned: false,
            options: true,
        };
        match Directive::of(name) {
            Directive::Dropped => {
                self.at += 1;
                self.skip_body(base);
                None
            }
            _ if argument.text.is_empty() => {
                self.at += 1;
                self.skip_options(base);
                None
            }
            Directive::Body => {
                self.at += 1;
                self.skip_inside(base);
                None
            }
            Directive::Title => Some((argument, lead(BlockKind::Heading))),
            Directive::Text { words } => {
                let dropped = argument.text.split_whitespace().take(words);
                let text = dropped.fold(argument, |line, word| line.after(word.len()));
                if text.text.is_empty() {
                    self.at += 1;
                    return None;
                }
                Some((text, lead(BlockKind::Paragraph)))
            }
        }
    }

    /// Skips the options of a directive.
    fn skip_options(&mut self, base: usize) {
        if self.is_inside(self.at, base) && self.filled(self.at).is_some_and(|line| field(line.text).is_some()) {
            self.skip_inside(base);
        }
    }

    /// Leaves out a comment, and looks for marks in it.
    fn comment(&mut self, first: Line<'a>, base: usize) {
        self.builder.mark(first.text, self.at + 1);
        self.at += 1;
        // Two dots before an empty line are a complete comment. Indented text after it is a quotation.
        if first.text.is_empty() && self.filled(self.at).is_none() {
            return;
        }
        while self.at < self.lines.len() {
            match self.filled(self.at) {
                Some(line) if line.indent > base => {
                    self.builder.mark(line.text, self.at + 1);
                }
                Some(_) => return,
                None => {}
            }
            self.at += 1;
        }
    }

    /// Whether the text of a field is left out.
    fn is_silent(&self, name: &str) -> bool {
        let first = name.split_whitespace().next().unwrap_or("").to_ascii_lowercase();
        let is_type = matches!(first.as_str(), "type" | "rtype" | "vartype" | "meta");
        let is_head = matches!(
            first.as_str(),
            "author"
                | "authors"
                | "organization"
                | "contact"
                | "address"
                | "version"
                | "revision"
                | "status"
                | "date"
                | "copyright"
                | "orphan"
                | "tocdepth"
                | "nocomments"
                | "nosearch"
        );
        is_type || is_head && self.in_head
    }

    /// Reads a line block: lines that keep their ends, each after a bar.
    fn line_block(&mut self, first: Line<'a>) {
        self.in_head = false;
        self.builder.begin(BlockKind::Paragraph);
        let start = self.at;
        while let Some(line) = self.filled(self.at) {
            // The first line may follow another marker.
            let text = if self.at == start { first.text } else { line.text };
            let text = text.strip_prefix('|').unwrap_or(text);
            inline(text.trim_start(), self.at + 1, &mut self.builder);
            self.builder.space();
            self.at += 1;
        }
        self.builder.end();
    }

    /// Reads a paragraph. Its first line is the rest of the current one.
    fn paragraph(&mut self, first: Line<'a>, mut lead: Lead) {
        let start = self.at;
        let mut indent = first.indent;
        let mut text = first.text.to_owned();
        self.at += 1;
        while let Some(line) = self.filled(self.at) {
            let hangs = self.at == start + 1 && lead.hang.is_some_and(|column| line.indent > column);
            if !hangs && line.indent != indent || line.text == ".." || line.text.starts_with(".. ") {
                break;
            }
            if lead.options && field(line.text).is_some() {
                self.skip_inside(lead.hang.unwrap_or(indent));
                break;
            }
            indent = line.indent;
            text.push('\n');
            text.push_str(line.text);
            self.at += 1;
        }
        let is_literal = text.ends_with("::");
        if is_literal {
            self.literal = Some(self.literal_base(indent, self.at == start + 1, lead));
            // One of the two colons is shown, unless they stand alone.
            text.pop();
            let before = text[..text.len() - 1].chars().next_back();
            if before.is_none_or(char::is_whitespace) {
                text.pop();
            }
        } else if lead.hang.is_none() && self.at == start + 1 && self.is_inside(self.at, indent) {
            lead.kind = BlockKind::Item;
            self.definition = true;
        }
        // Fields do not end the head, even if their text is kept.
        let is_field = lead.kind == BlockKind::Item && !lead.aligned;
        if lead.kind != BlockKind::Heading && !is_field {
            self.in_head = false;
        }
        self.builder.begin(lead.kind);
        inline(&text, start + 1, &mut self.builder);
        self.builder.end();
    }

    /// The column that a literal block is indented from. After the first line of a directive, it is the column of the
    /// body.
    fn literal_base(&self, indent: usize, is_one_line: bool, lead: Lead) -> usize {
        let (Some(hang), false, true) = (lead.hang, lead.aligned, is_one_line) else {
            return indent;
        };
        let body = self.lines[self.at..]
            .iter()
            .take(BODY_LOOKAHEAD)
            .filter(|line| !line.text.is_empty());
        let indents: Vec<usize> = body
            .map(|line| line.indent)
            .take_while(|column| *column > hang)
            .collect();
        match (indents.first(), indents.iter().min()) {
            (Some(first), Some(least)) if least < first => *least,
            _ => hang,
        }
    }
}

/// How a directive is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Directive {
    /// The argument is text, except for a number of words before it. The body is text too.
    Text { words: usize },
    /// The argument is a title, and the body is text.
    Title,
    /// The argument is left out, and the body is text.
    Body,
    /// Everything is left out.
    Dropped,
}

impl Directive {
    fn of(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        match name.rsplit(':').next().unwrap_or("") {
            "note" | "warning" | "tip" | "important" | "seealso" | "hint" | "caution" | "danger" | "attention"
            | "error" | "todo" | "header" | "footer" | "centered" | "impl-detail" => Self::Text { words: 0 },
            "versionadded" | "versionchanged" | "deprecated" | "versionremoved" => Self::Text { words: 1 },
            "deprecated-removed" => Self::Text { words: 2 },
            "admonition" | "topic" | "sidebar" | "rubric" | "table" | "list-table" | "dropdown" | "details"
            | "collapse" | "tab" | "tab-item" | "card" | "grid-item-card" => Self::Title,
            "figure"
            | "container"
            | "class"
            | "rst-class"
            | "cssclass"
            | "only"
            | "epigraph"
            | "highlights"
            | "pull-quote"
            | "compound"
            | "glossary"
            | "hlist"
            | "tabs"
            | "tab-set"
            | "grid"
            | "grid-item"
            | "function"
            | "method"
            | "classmethod"
            | "staticmethod"
            | "attribute"
            | "property"
            | "data"
            | "exception"
            | "module"
            | "decorator"
            | "decoratormethod"
            | "option"
            | "cmdoption"
            | "program"
            | "envvar"
            | "confval"
            | "describe"
            | "object"
            | "macro"
            | "type"
            | "struct"
            | "union"
            | "enum"
            | "enumerator"
            | "var"
            | "member"
            | "concept"
            | "directive"
            | "role"
            | "opcode"
            | "pdbcommand"
            | "setting"
            | "signal"
            | "templatetag"
            | "templatefilter"
            | "fieldlookup"
            | "django-admin"
            | "django-admin-option" => Self::Body,
            _ => Self::Dropped,
        }
    }
}

/// The name of a directive, and its length in bytes with the colons.
fn directive(text: &str) -> Option<(&str, usize)> {
    let end = text.find("::")?;
    let name = text[..end].trim_end();
    let is_name = name.starts_with(|c: char| c.is_alphanumeric())
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '+' | ':' | '.'));
    let behind = &text[end + 2..];
    (is_name && (behind.is_empty() || behind.starts_with(char::is_whitespace))).then_some((name, end + 2))
}

/// The character and the length of a line that repeats one punctuation character.
fn adornment(text: &str) -> Option<(char, usize)> {
    let mark = text.chars().next().filter(char::is_ascii_punctuation)?;
    (text.len() >= 2 && text.chars().all(|c| c == mark)).then_some((mark, text.len()))
}

fn is_grid_border(text: &str) -> bool {
    text.len() > 2
        && (text.starts_with("+-") || text.starts_with("+="))
        && text.ends_with('+')
        && text.bytes().all(|byte| matches!(byte, b'+' | b'-' | b'='))
}

fn is_simple_border(text: &str) -> bool {
    text.starts_with('=') && text.contains(' ') && text.bytes().all(|byte| matches!(byte, b'=' | b' '))
}

/// The length of a bullet.
fn bullet(text: &str) -> Option<usize> {
    let mark = text
        .chars()
        .next()
        .filter(|c| matches!(c, '*' | '+' | '-' | '•' | '‣' | '⁃'))?;
    let rest = &text[mark.len_utf8()..];
    (rest.is_empty() || rest.starts_with(char::is_whitespace)).then_some(mark.len_utf8())
}

/// The length of the number of an item: `1.`, `(a)`, `iv)`, `#.`.
fn enumerator(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('(');
    let body = inner.unwrap_or(text);
    let length = body
        .bytes()
        .take(10)
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'#')
        .count();
    let number = &body[..length];
    let is_number = number == "#"
        || (1..10).contains(&length) && number.bytes().all(|byte| byte.is_ascii_digit())
        || length == 1 && number.bytes().all(|byte| byte.is_ascii_alphabetic())
        || (1..7).contains(&length) && number.bytes().all(|byte| matches!(byte, b'i' | b'v' | b'x'))
        || (1..7).contains(&length) && number.bytes().all(|byte| matches!(byte, b'I' | b'V' | b'X'));
    let rest = &body[length..];
    let closes = rest.starts_with(')') || rest.starts_with('.') && inner.is_none();
    if !is_number || !closes {
        return None;
    }
    let behind = &rest[1..];
    let total = usize::from(inner.is_some()) + length + 1;
    (behind.is_empty() || behind.starts_with(char::is_whitespace)).then_some(total)
}

/// The length of a field's name with its colons. A role looks similar, but has a backtick after its colon.
fn field(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b':') || bytes.get(1).is_none_or(|byte| matches!(byte, b':' | b' ')) {
        return None;
    }
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b':' => match bytes.get(at + 1) {
                None | Some(b' ' | b'\t') => return (bytes[at - 1] != b' ').then_some(at + 1),
                Some(b'`') => return None,
                Some(_) => {}
            },
            _ => {}
        }
        at += 1;
    }
    None
}

/// The length of a program's options before their description: `-a, --all  text`.
fn option(text: &str, has_body: bool) -> Option<usize> {
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    match text.find("  ") {
        Some(end) => Some(end),
        None if has_body => Some(text.len()),
        None => None,
    }
}

/// Adds the text of a paragraph without its inline markup.
fn inline(text: &str, line: usize, builder: &mut Builder) {
    let mut scanner = Inline {
        text,
        builder,
        line,
        counted: 0,
        from: 0,
        gap: false,
        dropped: false,
        missing: [usize::MAX; 4],
    };
    scanner.run();
}

struct Inline<'a, 'b> {
    text: &'a str,
    builder: &'b mut Builder,
    /// The line of the byte `counted`.
    line: usize,
    counted: usize,
    /// The start of the text that is not added yet.
    from: usize,
    /// Whether white space follows the last text.
    gap: bool,
    /// Whether something was left out after the last text.
    dropped: bool,
    /// For each kind of end, the position from which a search found none, so that it is not repeated.
    missing: [usize; 4],
}

/// The kinds of end of an inline markup. The value is an index into [`Inline::missing`].
#[derive(Clone, Copy, Debug)]
enum Ending {
    Literal = 0,
    Interpreted = 1,
    Emphasis = 2,
    Strong = 3,
}

impl Ending {
    fn mark(self) -> &'static str {
        match self {
            Self::Literal => "``",
            Self::Interpreted => "`",
            Self::Emphasis => "*",
            Self::Strong => "**",
        }
    }
}

impl Inline<'_, '_> {
    fn run(&mut self) {
        let bytes = self.text.as_bytes();
        let mut at = 0;
        // Whether the current word may be the name of a target.
        let mut is_name = false;
        while at < bytes.len() {
            let next = match bytes[at] {
                b'\\' => self.escape(at),
                b'`' => self.quoted(at),
                b'*' => self.starred(at),
                b':' => self.role(at),
                b'[' => self.footnote(at),
                b'_' => self.reference(at, is_name),
                _ => None,
            };
            if let Some(next) = next {
                at = next;
                is_name = false;
                continue;
            }
            let c = self.text[at..].chars().next().unwrap_or(' ');
            let inside = matches!(c, '_' | '-' | '.' | '+' | ':') && is_name;
            is_name = inside || c.is_alphanumeric() && (is_name || self.may_open(at));
            at += c.len_utf8();
        }
        self.flush(self.text.len());
    }

    /// Adds the text up to a byte.
    fn flush(&mut self, to: usize) {
        self.add(self.from, to);
        self.from = to;
    }

    fn add(&mut self, from: usize, to: usize) {
        let text = &self.text[from..to];
        let trimmed = text.trim_start();
        self.gap |= trimmed.len() < text.len();
        if trimmed.is_empty() {
            return;
        }
        // No space stays before punctuation where a reference was left out.
        if self.gap && !(self.dropped && trimmed.starts_with(['.', ',', ';', ':', '!', '?', ')'])) {
            self.builder.space();
        }
        let begins = to - trimmed.len();
        let before = &self.text.as_bytes()[self.counted..begins];
        self.line += before.iter().filter(|byte| **byte == b'\n').count();
        self.counted = begins;
        let words = trimmed.trim_end();
        self.builder.add(words, self.line);
        self.gap = words.len() < trimmed.len();
        self.dropped = false;
    }

    /// Leaves out the text between two bytes.
    fn drop(&mut self, start: usize, end: usize) {
        self.flush(start);
        self.from = end;
        self.gap = true;
        self.dropped = true;
    }

    fn before(&self, at: usize) -> Option<char> {
        self.text[..at].chars().next_back()
    }

    fn behind(&self, at: usize) -> Option<char> {
        self.text[at..].chars().next()
    }

    /// Whether markup may begin at a byte, judged by the character before it.
    fn may_open(&self, at: usize) -> bool {
        self.before(at).is_none_or(|c| {
            c.is_whitespace()
                || matches!(c, '\'' | '"' | '(' | '[' | '{' | '<' | '-' | '/' | ':')
                || !c.is_ascii() && !c.is_alphanumeric()
        })
    }

    /// Whether markup may end before a byte.
    fn may_close(&self, at: usize) -> bool {
        self.behind(at).is_none_or(|c| {
            c.is_whitespace()
                || c.is_ascii_punctuation() && !matches!(c, '*' | '`' | '_' | '|')
                || !c.is_ascii() && !c.is_alphanumeric()
        })
    }

    /// Whether text begins at a byte: not white space, not the end, and not the closing half of what encloses the
    /// markup.
    fn has_text(&self, start: usize, at: usize) -> bool {
        let Some(next) = self.behind(at).filter(|c| !c.is_whitespace()) else {
            return false;
        };
        let enclosed = matches!(
            (self.before(start), next),
            (Some('\''), '\'')
                | (Some('"'), '"')
                | (Some('('), ')')
                | (Some('['), ']')
                | (Some('{'), '}')
                | (Some('<'), '>')
        );
        !enclosed
    }

    /// The end mark of a markup whose text begins at `from`.
    fn ending(&mut self, ending: Ending, from: usize) -> Option<usize> {
        if from >= self.missing[ending as usize] {
            return None;
        }
        let mark = ending.mark();
        let mut at = from;
        while let Some(found) = self.text[at..].find(mark) {
            let place = at + found;
            let before = self.before(place);
            let is_apart = match ending {
                Ending::Interpreted => self.may_close(place + 1 + suffix(&self.text[place + 1..])),
                Ending::Literal | Ending::Emphasis | Ending::Strong => self.may_close(place + mark.len()),
            };
            let is_text = before.is_some_and(|c| !c.is_whitespace());
            let is_escaped = before == Some('\\') && !matches!(ending, Ending::Literal);
            if place > from && is_apart && is_text && !is_escaped {
                return Some(place);
            }
            at = place + 1;
        }
        self.missing[ending as usize] = from;
        None
    }

    fn escape(&mut self, at: usize) -> Option<usize> {
        self.flush(at);
        let length = self.behind(at + 1).map_or(0, char::len_utf8);
        // White space after a backslash is not shown, so that markup can stand within a word. A line end still
        // separates words.
        let is_joint = self.behind(at + 1).is_some_and(|c| c.is_whitespace() && c != '\n');
        self.from = at + 1 + if is_joint { length } else { 0 };
        Some(at + 1 + length)
    }

    /// Reads what begins with a backtick: literal text, a reference, or interpreted text with or without a role after
    /// it.
    fn quoted(&mut self, at: usize) -> Option<usize> {
        let may_open = self.may_open(at);
        if self.text[at..].starts_with("``") {
            if may_open
                && self.has_text(at, at + 2)
                && let Some(end) = self.ending(Ending::Literal, at + 2)
            {
                self.flush(at);
                self.add(at + 2, end);
                self.from = end + 2;
                return Some(end + 2);
            }
            let run = self.text[at..].bytes().take_while(|byte| *byte == b'`').count();
            return Some(at + run);
        }
        if !may_open {
            return None;
        }
        self.interpreted(at, at, "")
    }

    /// Reads text in single backticks at `at`. Its markup begins at `start`, perhaps with a role.
    fn interpreted(&mut self, start: usize, at: usize, role: &str) -> Option<usize> {
        if !self.has_text(start, at + 1) {
            return None;
        }
        let close = self.ending(Ending::Interpreted, at + 1)?;
        let text = self.text;
        let mut end = close + 1;
        let mut role = role;
        let behind = &text[end..];
        if behind.starts_with('_') {
            end += behind.bytes().take(2).take_while(|byte| *byte == b'_').count();
        } else if role.is_empty()
            && let Some((name, length)) = role_name(behind)
        {
            role = name;
            end += length;
        }
        let (from, to) = shown(text, at + 1, close, !role.is_empty() || behind.starts_with('_'));
        if is_hidden_role(role) || from >= to {
            self.drop(start, end);
        } else {
            self.flush(start);
            self.add(from, to);
            self.from = end;
        }
        Some(end)
    }

    /// Reads a role before its text.
    fn role(&mut self, at: usize) -> Option<usize> {
        if !self.may_open(at) {
            return None;
        }
        let text = self.text;
        let (name, length) = role_name(&text[at..])?;
        if !text[at + length..].starts_with('`') || text[at + length..].starts_with("``") {
            return None;
        }
        self.interpreted(at, at + length, name)
    }

    fn starred(&mut self, at: usize) -> Option<usize> {
        let run = self.text[at..].bytes().take_while(|byte| *byte == b'*').count();
        let ending = match run {
            1 => Ending::Emphasis,
            2 | 3 => Ending::Strong,
            _ => return Some(at + run),
        };
        let from = at + ending.mark().len();
        if !self.may_open(at) || !self.has_text(at, from) {
            return Some(at + run);
        }
        let Some(end) = self.ending(ending, from) else {
            return Some(at + run);
        };
        self.flush(at);
        self.add(from, end);
        self.from = end + ending.mark().len();
        Some(self.from)
    }

    /// Reads a reference to a footnote or a citation.
    fn footnote(&mut self, at: usize) -> Option<usize> {
        let rest = self.text[at + 1..].bytes().take(LONGEST_LABEL);
        let length = rest
            .take_while(|byte| !matches!(byte, b']' | b'[' | b' ' | b'\n'))
            .count();
        let close = at + 1 + length;
        let is_reference = length > 0 && self.text.as_bytes()[close..].starts_with(b"]_") && self.may_close(close + 2);
        if !is_reference {
            return None;
        }
        self.drop(at, close + 2);
        Some(close + 2)
    }

    /// Reads the underscore after a name that refers to a target, or before a target within the text.
    fn reference(&mut self, at: usize, is_name: bool) -> Option<usize> {
        if self.text[at..].starts_with("_`") && self.may_open(at) {
            return self.interpreted(at, at + 1, "");
        }
        let run = self.text[at..].bytes().take(2).take_while(|byte| *byte == b'_').count();
        let before = self.before(at)?;
        if (is_name && before.is_alphanumeric() || before == '|') && self.may_close(at + run) {
            self.flush(at);
            self.from = at + run;
            return Some(at + run);
        }
        None
    }
}

/// The length of what follows interpreted text: the underscores of a reference, or a role.
fn suffix(text: &str) -> usize {
    match text.bytes().take(2).take_while(|byte| *byte == b'_').count() {
        0 => role_name(text).map_or(0, |(_, length)| length),
        underscores => underscores,
    }
}

/// The name of a role at the beginning of a text, and its length with the colons.
fn role_name(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix(':')?;
    let length = inner
        .bytes()
        .take(LONGEST_LABEL)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b':' | b'.'))
        .count();
    let name = inner[..length].strip_suffix(':').filter(|name| !name.is_empty())?;
    Some((name, length + 1))
}

/// Whether the text of a role is a formula or a citation key.
fn is_hidden_role(role: &str) -> bool {
    let name = role.rsplit(':').next().unwrap_or("");
    matches!(name, "math" | "eq" | "raw")
        || name.starts_with("raw-")
        || role.split(':').any(|part| part.ends_with("cite"))
}

/// The part of interpreted text that is shown: without a target after it, and only the last part of a dotted name after
/// `~`.
fn shown(text: &str, from: usize, to: usize, has_target: bool) -> (usize, usize) {
    let inner = &text[from..to];
    if has_target
        && inner.ends_with('>')
        && let Some(open) = inner.rfind('<')
        && inner[..open].chars().next_back().is_none_or(char::is_whitespace)
    {
        return (from, from + inner[..open].trim_end().len());
    }
    if has_target && inner.starts_with('~') {
        return (from + inner.rfind('.').map_or(1, |dot| dot + 1), to);
    }
    (from + usize::from(has_target && inner.starts_with('!')), to)
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

    /// The extracted text of a paragraph with inline markup.
    fn shown_of(text: &str) -> String {
        texts(text).join(" / ")
    }

    #[test]
    fn titles_are_headings_without_their_adornments() {
        let text = "=====\nBirds\n=====\n\nHens\n----\n\nThey lay.\n\n-----\n\nTen\n~~~\nEggs.\n";
        let expected = [
            ("Birds", BlockKind::Heading),
            ("Hens", BlockKind::Heading),
            ("They lay.", BlockKind::Paragraph),
            ("Ten", BlockKind::Heading),
            ("Eggs.", BlockKind::Paragraph),
        ];
        assert_eq!(kinds(text), expected.map(|(text, kind)| (text.to_owned(), kind)));
    }

    #[test]
    fn items_keep_their_text_and_lose_their_markers() {
        let text =
            "- one\n  goes on\n- two\n\n  More of two.\n\n  * inner\n\n1. first\n#. second\n(c) third\niv) fourth\n";
        let found = kinds(text);
        let items: Vec<&str> = found
            .iter()
            .filter(|(_, kind)| *kind == BlockKind::Item)
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(
            items,
            ["one goes on", "two", "inner", "first", "second", "third", "fourth"]
        );
        assert_eq!(found[2], ("More of two.".to_owned(), BlockKind::Paragraph));
    }

    #[test]
    fn initials_and_years_are_not_lists() {
        assert_eq!(
            texts("A. Einstein was a\nphysicist.\n"),
            ["A. Einstein was a physicist."]
        );
        assert_eq!(texts("1986. What a year\nit was.\n"), ["1986. What a year it was."]);
    }

    #[test]
    fn terms_and_their_definitions_are_items() {
        let found = kinds("hen\n   A bird.\n\n   It lays.\n\ncock : bird\n   Another.\n");
        let expected = ["hen", "A bird.", "It lays.", "cock : bird", "Another."];
        assert_eq!(
            found.iter().map(|(text, _)| text.as_str()).collect::<Vec<_>>(),
            expected
        );
        assert_eq!(
            (found[0].1, found[1].1, found[2].1),
            (BlockKind::Item, BlockKind::Item, BlockKind::Paragraph)
        );
    }

    #[test]
    fn literal_and_doctest_blocks_are_left_out() {
        let text = "Type this::\n\n    let x = 1;\n\n      deeper\n\n    let y\n\nAfter ::\n\n> quoted\n> more\n\nThen\n\n::\n\n  code\n\n\
                    >>> 1 + 1\n2\n\n- item::\n\n      code\n\n  rest\n";
        assert_eq!(texts(text), ["Type this:", "After", "Then", "item:", "rest"]);
    }

    #[test]
    fn code_pictures_and_unknown_directives_are_left_out_with_their_bodies() {
        for name in [
            "code-block",
            "code",
            "math",
            "raw",
            "image",
            "toctree",
            "include",
            "mermaid",
            "csv-table",
            "c:autodoc",
        ] {
            let text =
                format!("Before.\n\n.. {name}:: thing\n   :option: value\n\n   body text\n\n   more\n\nAfter.\n");
            assert_eq!(texts(&text), ["Before.", "After."], "{name}");
        }
    }

    #[test]
    fn admonitions_keep_their_text() {
        for name in ["note", "warning", "tip", "important", "seealso"] {
            let text =
                format!(".. {name}:: Mind\n   the gap.\n\n   And more.\n\n.. {name}::\n   :class: x\n\n   Here.\n");
            assert_eq!(texts(&text), ["Mind the gap.", "And more.", "Here."], "{name}");
        }
        assert_eq!(
            texts(".. versionadded:: 3.2\n   The hen.\n\n.. deprecated:: 1.0 Use eggs.\n"),
            ["The hen.", "Use eggs."]
        );
        let found = kinds(".. admonition:: A title\n   :class: x\n\n   Its text::\n\n      code\n");
        assert_eq!(found[0], ("A title".to_owned(), BlockKind::Heading));
        assert_eq!(found[1].0, "Its text:");
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn code_after_the_first_line_of_a_note_is_left_out() {
        assert_eq!(
            texts(".. note:: Like this::\n\n       code\n\n   Rest.\n"),
            ["Like this:", "Rest."]
        );
    }

    #[test]
    fn figures_keep_their_captions_and_functions_their_descriptions() {
        assert_eq!(
            texts(".. figure:: a.png\n   :alt: none\n\n   The *caption*.\n\n   The legend.\n"),
            ["The caption.", "The legend."]
        );
        let text = ".. py:function:: lay(egg)\n   :noindex:\n\n   Lays an egg.\n\n   :param egg: which egg\n      it is\n   :type egg: Egg\n   :returns: none\n";
        assert_eq!(texts(text), ["Lays an egg.", "which egg it is", "none"]);
    }

    #[test]
    fn the_cells_of_a_list_table_are_items() {
        let text = ".. list-table:: Birds\n   :header-rows: 1\n\n   * - Name\n     - Sound\n   * - hen\n     - it clucks\n       aloud\n";
        assert_eq!(texts(text), ["Birds", "Name", "Sound", "hen", "it clucks aloud"]);
    }

    #[test]
    fn tables_in_characters_are_left_out() {
        let grid = "Before.\n\n+----+----+\n| a  | b  |\n+====+====+\n| c  | d  |\n+----+----+\n\nAfter.\n";
        let simple = "Before.\n\n====  ====\na     b\n====  ====\nc     d\n\ne     f\n====  ====\n\nAfter.\n";
        let bare = "Before.\n\n====  ====\nc     d\n====  ====\n\nAfter.\n";
        for text in [grid, simple, bare] {
            assert_eq!(texts(text), ["Before.", "After."], "{text}");
        }
    }

    #[test]
    fn comments_and_definitions_are_left_out_and_footnotes_kept() {
        let text = ".. a comment\n   goes on\n\n..\n   another\n\n.. _target: https://a.b/c\n.. |sub| image:: x.png\n   :alt: y\n\n\
                    __ https://d.e\n\n.. [1] The footnote\n   goes on.\n.. [Tom02] A book.\n\nText.\n";
        assert_eq!(texts(text), ["The footnote goes on.", "A book.", "Text."]);
    }

    #[test]
    fn marks_in_comments_exempt_blocks() {
        let text = "One.\n\n.. whowrote: ignore\n\nTwo.\n\nThree.\n\n..\n   whowrote: ignore-start\n\nFour.\n\n.. whowrote: ignore-end\n\nFive.\n";
        let ignored: Vec<bool> = extract(text).blocks.iter().map(|block| block.ignored).collect();
        assert_eq!(ignored, [false, true, false, true, false]);
        assert!(extract(text).notes.is_empty());
    }

    #[test]
    fn the_fields_of_the_head_are_dropped_and_the_fields_of_the_text_kept() {
        let text = "Title\n=====\n\n:Author: A. Hen\n:Abstract: On eggs.\n:Date: today\n\nText.\n\n:Date: a day\n";
        assert_eq!(texts(text), ["Title", "On eggs.", "Text.", "a day"]);
    }

    #[test]
    fn inline_markup_goes_and_its_text_stays() {
        for (written, expected) in [
            ("Use ``a_b *c*`` now.", "Use a_b *c* now."),
            ("See `the docs <https://a.b>`_ and `more`__.", "See the docs and more."),
            (
                "A :ref:`long text <target>` and :py:func:`~os.path.join`.",
                "A long text and join.",
            ),
            (
                "A `name`:sub: and :abbr:`LIFO (last in)`.",
                "A name and LIFO (last in).",
            ),
            (
                "An *em* and **strong** word, 2*3*4, *not closed.",
                "An em and strong word, 2*3*4, *not closed.",
            ),
            (
                "A reference_ and anonymous__, but snake_case_ and __init__.",
                "A reference and anonymous, but snake_case and __init__.",
            ),
            ("As said [1]_, and [#note]_ [Tom02]_.", "As said, and."),
            (
                "The |version| stays, an _`inline target` too.",
                "The |version| stays, an inline target too.",
            ),
            (
                "No ``markup``s or `text`_s, but ``it``, is.",
                "No markup``s or `text`_s, but ``it, is.",
            ),
            ("*Re*\\ structured \\*text\\*", "Restructured *text*"),
            ("Where :math:`x^2`, it ends.", "Where, it ends."),
            ("It costs (\"*\") or '*' stars.", "It costs (\"*\") or '*' stars."),
            ("über *größer*, „*zitiert*“.", "über größer, „zitiert“."),
        ] {
            assert_eq!(shown_of(written), expected);
        }
    }

    #[test]
    fn markup_over_lines_keeps_the_lines_of_its_words() {
        let prose = extract("- A :ref:`text that\n  is long <u>`\n  ends.\r\n");
        let pieces: Vec<(&str, usize)> = prose.blocks[0]
            .pieces
            .iter()
            .map(|piece| (&prose.blocks[0].text[piece.span.clone()], piece.line))
            .collect();
        assert_eq!(pieces, [("A text that", 1), ("is long", 2), ("ends.", 3)]);
    }

    #[test]
    fn line_blocks_and_options_keep_their_text() {
        assert_eq!(
            texts("| One line\n| and another\n\n-a, --all  Show all\n           of them.\n--quiet\n    Say nothing.\n"),
            ["One line and another", "Show all of them.", "Say nothing."]
        );
    }

    #[test]
    fn a_megabyte_of_anything_takes_no_time() {
        // Each takes about a tenth of a second. Quadratic time would take minutes.
        let limit = Duration::from_secs(20);
        for part in [
            "{",
            "\\",
            "$",
            "[",
            "`",
            "``",
            "*",
            "**",
            ":",
            "::",
            "..",
            ".. ",
            "_",
            "|",
            "- ",
            "* ",
            "1. ",
            ":a: ",
            ":a:`",
            "[a",
            ".. note:: ",
            ".. note:: a::\n\n",
            ".. [a] ",
            "a::\n\n",
            "== ==\n",
            "==\n",
            "=",
            "a\n b\n",
            "`a ",
            " *a",
            " **a",
            " ``a",
            "\n",
            " ",
            "\t",
            "-a  ",
            "+-",
            "| ",
            "é",
            "..\n   a\n",
            "a_ ",
            ":a:`b <c>` ",
            "a\n==\n",
        ] {
            let text = part.repeat(1_000_000 / part.len());
            let start = Instant::now();
            let prose = extract(&text);
            let taken = start.elapsed();
            eprintln!("{part:?}: {taken:?}, {} blocks", prose.blocks.len());
            assert!(taken < limit, "{part:?} took {taken:?}");
        }
    }

    const FRAGMENTS: [&str; 44] = [
        "word",
        "hen egg",
        "größe",
        " ",
        "  ",
        "    ",
        "\n",
        "\n\n",
        "\n   ",
        "*",
        "**",
        "`",
        "``",
        "_",
        "__",
        ":",
        "::",
        "..",
        ".. ",
        "- ",
        "1. ",
        ">>> ",
        ".. note:: ",
        ".. code:: ",
        ".. figure:: ",
        ":ref:`",
        "`_",
        " <target>",
        "[1]_",
        ".. [1] ",
        "|",
        "| ",
        "====",
        "== ==",
        "+--+",
        ":param x: ",
        "\t",
        "-a  ",
        ".. _t: ",
        ".. whowrote: ignore",
        "\r\n",
        "\u{3000}",
        "(",
        "'",
    ];

    proptest! {
        #[test]
        fn any_text_has_its_words_on_the_lines_that_are_named(text in "\\PC*(\n\\PC*){0,5}") {
            check(&text, &extract(&text));
        }

        #[test]
        fn any_markup_has_its_words_on_the_lines_that_are_named(parts in prop::collection::vec(prop::sample::select(&FRAGMENTS[..]), 0..60)) {
            let text = parts.concat();
            check_words(&text, &extract(&text));
        }
    }
}
