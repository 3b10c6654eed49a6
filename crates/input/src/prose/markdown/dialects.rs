//! Takes out of a Markdown file what is not Markdown: the imports and components of MDX, the tags of Liquid and Hugo,
//! and the marks of admonitions, MyST's included. The text inside components and admonitions stays.
//!
//! Every line of the file stays one line, so lines keep their numbers. Code keeps its tags.
//!
//! Limits: fences are found line by line, and code between backticks within a line. What has no end is left as it is.

use std::collections::{HashMap, HashSet};

/// Stands for a tag that was left out of a sentence. Unicode reserves it for the inside of programs.
pub const LEFT_OUT: char = '\u{fdd0}';

/// The longest tag, in bytes. A longer one is taken for text.
const LONGEST_TAG: usize = 1 << 14;

/// The most components and admonitions inside one another whose indentation is taken off.
const DEEPEST: usize = 100;

/// Tags of Liquid and Hugo whose content is not prose.
const NOT_PROSE: &[&str] = &["comment", "highlight", "katex", "math", "mermaid"];

/// Directives of MyST whose content is prose.
const MYST_PROSE: &[&str] = &[
    "admonition",
    "attention",
    "caution",
    "danger",
    "dropdown",
    "epigraph",
    "error",
    "hint",
    "important",
    "margin",
    "note",
    "seealso",
    "sidebar",
    "tip",
    "topic",
    "warning",
];

/// The text of a file as plain Markdown, with the same lines.
pub fn plain_markdown(text: &str) -> String {
    let mut reader = Reader {
        text,
        at: 0,
        out: String::with_capacity(text.len()),
        fence: None,
        directives: Vec::new(),
        has_options: false,
        may_import: true,
        around: Vec::new(),
        closed: HashMap::new(),
        without_end: HashMap::new(),
        never_ends: HashSet::new(),
    };
    // Where the last end tag of each component is.
    for (at, _) in text.match_indices("</") {
        reader.closed.insert(name_at(&text[at + 2..]), at);
    }
    while reader.at < text.len() {
        reader.line();
    }
    reader.out
}

/// What indents the lines inside it.
enum Around<'a> {
    /// A component, and the indentation of its first line, once that is known.
    Component(&'a str, Option<usize>),
    /// An admonition whose lines are indented by this much.
    Admonition(usize),
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    out: String,
    /// The sign and the length of the fence around the lines at hand.
    fence: Option<(u8, usize)>,
    /// The signs and the lengths of the fences of MyST's directives around it.
    directives: Vec<(u8, usize)>,
    /// Whether options of a directive may stand here.
    has_options: bool,
    /// Whether an import may stand here: at the beginning, and after blank lines and other imports.
    may_import: bool,
    around: Vec<Around<'a>>,
    closed: HashMap<&'a str, usize>,
    /// Up to where it is known that a tag with such a beginning has no end.
    without_end: HashMap<&'static str, usize>,
    /// Blocks that have no end in the rest of the file.
    never_ends: HashSet<String>,
}

impl<'a> Reader<'a> {
    /// The rest of the text.
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Where the line ends at a place.
    fn line_end(&self, from: usize) -> usize {
        self.text[from..].find('\n').map_or(self.text.len(), |at| from + at)
    }

    /// Leaves out everything up to a place but its line ends.
    fn skip_to(&mut self, end: usize) {
        let lines = self.text[self.at..end].matches('\n').count();
        self.out.extend(std::iter::repeat_n('\n', lines));
        self.at = end;
    }

    /// Keeps everything up to a place.
    fn keep_to(&mut self, end: usize) {
        self.out.push_str(&self.text[self.at..end]);
        self.at = end;
    }

    /// Reads a line, and the lines that a tag on it reaches to.
    fn line(&mut self) {
        let end = self.line_end(self.at);
        let line = &self.text[self.at..end];
        let content = line.trim_start();
        let is_blank = content.is_empty();
        self.at += if is_blank { 0 } else { self.taken_off(line) };
        let line = &self.text[self.at..end];
        if let Some((sign, length)) = self.fence {
            let (found, rest) = fence(content).unwrap_or_default();
            if found.0 == sign && found.1 >= length && rest.trim().is_empty() {
                self.fence = None;
            }
            self.keep_to(end);
        } else if is_blank {
            self.keep_to(end);
            self.may_import = true;
        } else if std::mem::take(&mut self.has_options) && is_option(content) {
            self.has_options = true;
            self.at = end;
        } else if let Some((found, title)) = fence(content)
            .and_then(directive)
            .filter(|_| self.directives.len() < DEEPEST)
        {
            self.heading(title);
            self.directives.push(found);
            self.has_options = true;
            self.at = end;
        } else if fence(content).is_some_and(|(found, rest)| self.ends_directive(found, rest)) {
            self.directives.pop();
            self.at = end;
        } else if let Some((found, _)) = fence(opened(content)) {
            self.fence = Some(found);
            self.keep_to(end);
        } else if self.may_import && is_statement(line) {
            let end = self.statement_end();
            self.skip_to(end);
        } else if let Some((title, inside)) = self.admonition(line) {
            self.heading(title);
            let is_deep = self.around.len() >= DEEPEST;
            self.around.extend(inside.filter(|_| !is_deep).map(Around::Admonition));
            self.at = end;
            self.may_import = false;
        } else {
            self.may_import = false;
            if let Some((quote, title)) = alert(line) {
                self.out.push_str(quote);
                self.heading(title);
                self.at = end;
            } else {
                self.content();
            }
        }
        if self.at < self.text.len() {
            self.keep_to(self.at + 1);
        }
    }

    /// Writes the title of an admonition, if it has one.
    fn heading(&mut self, title: &str) {
        if !title.is_empty() {
            self.out.push_str("###### ");
            self.out.push_str(title);
        }
    }

    /// Whether this fence ends the innermost directive.
    fn ends_directive(&self, (sign, length): (u8, usize), rest: &str) -> bool {
        let innermost = self.directives.last();
        innermost.is_some_and(|&(own, least)| sign == own && length >= least && rest.trim().is_empty())
    }

    /// How many bytes of indentation the components and admonitions around a line take off it. Admonitions end before a
    /// line that is not indented.
    fn taken_off(&mut self, line: &str) -> usize {
        let indented = indentation(line);
        while let Some(Around::Admonition(least)) = self.around.last()
            && indented < *least
        {
            self.around.pop();
        }
        match self.around.last_mut() {
            None => 0,
            Some(Around::Admonition(least)) => bytes_of(line, *least),
            Some(Around::Component(_, first)) => {
                // A tag that ends a component may be less indented than its content.
                let least = if line.trim_start().starts_with("</") {
                    indented
                } else {
                    *first.get_or_insert(indented)
                };
                bytes_of(line, least)
            }
        }
    }

    /// Reads the content of a line up to its end, or up to the end of the line on which its last tag ends.
    fn content(&mut self) {
        let begins = self.out.len();
        let indented = indentation(self.rest());
        let mut has_words = false;
        let mut has_tags = false;
        let mut line = self.line_end(self.at);
        let mut code = code_spans(&self.text[self.at..line], self.at).into_iter().peekable();
        while self.at < line {
            let plain = self.text[self.at..line].find(['\\', '{', '<', '`']);
            let next = plain.map_or(line, |plain| self.at + plain);
            has_words |= !self.text[self.at..next].trim().is_empty();
            self.keep_to(next);
            while code.next_if(|(from, _)| *from < self.at).is_some() {}
            let kept = match self.text.as_bytes().get(self.at).filter(|_| next < line) {
                None => break,
                Some(b'`') => match code.next_if(|(from, _)| *from == self.at) {
                    Some((_, end)) => end,
                    None => self.at + 1,
                },
                // A backslash before a line end stays alone.
                Some(b'\\') => match self.text[self.at + 1..line].chars().next() {
                    Some(escaped) => self.at + 1 + escaped.len_utf8(),
                    None => line,
                },
                Some(sign) => {
                    let found = match sign {
                        b'{' => self.brace(line),
                        _ => self.element(!has_words, indented),
                    };
                    if let Some(Found { end, shown }) = found {
                        has_tags = true;
                        self.out.push_str(&shown);
                        self.skip_to(end);
                        if end > line {
                            line = self.line_end(end);
                            code = code_spans(&self.text[end..line], end).into_iter().peekable();
                        }
                        continue;
                    }
                    self.at + 1
                }
            };
            has_words = true;
            self.keep_to(kept);
        }
        // A line of nothing but tags is blank.
        if has_tags && self.out[begins..].chars().all(|c| c == LEFT_OUT || c.is_whitespace()) {
            let lines = self.out[begins..].matches('\n').count();
            self.out.truncate(begins);
            self.out.extend(std::iter::repeat_n('\n', lines));
        }
    }

    /// The end of a tag that begins here with `begin` and ends with `end`, before `limit`.
    fn end_of(&mut self, begin: &'static str, end: &str, limit: usize) -> Option<usize> {
        if self.without_end.get(begin).is_some_and(|until| self.at < *until) {
            return None;
        }
        let from = self.at + begin.len();
        let found = self.text.get(from..limit).and_then(|text| text.find(end));
        if found.is_none() {
            self.without_end.insert(begin, limit);
        }
        found.map(|at| from + at + end.len())
    }

    /// A tag of Liquid or Hugo, a comment of MDX, or a list of attributes.
    fn brace(&mut self, line: usize) -> Option<Found> {
        let rest = self.rest();
        let limit = (self.at + LONGEST_TAG).min(self.text.len());
        let limit = self.text.floor_char_boundary(limit);
        let left_out = |end| Found {
            end,
            shown: LEFT_OUT.to_string(),
        };
        if rest.starts_with("{/*") {
            let end = self.end_of("{/*", "*/}", self.text.len())?;
            return Some(Found::nothing(end));
        }
        if rest.starts_with("{:") {
            return self.end_of("{:", "}", line).map(Found::nothing);
        }
        let tags = [("{%", "%}"), ("{{<", ">}}"), ("{{%", "%}}")];
        let Some((begin, end)) = tags.into_iter().find(|(begin, _)| rest.starts_with(begin)) else {
            if !rest.starts_with("{{") {
                return None;
            }
            return self.end_of("{{", "}}", line).map(left_out);
        };
        let end = self.end_of(begin, end, limit)?;
        let tag = &self.text[self.at..end];
        // A tag does not reach over a blank line.
        if tag.split('\n').skip(1).any(|line| line.trim().is_empty()) {
            self.without_end.insert(begin, end);
            return None;
        }
        let name = name_at(tag.trim_start_matches(['{', '%', '<', '-']).trim_start());
        let is_hugo = tag.starts_with("{{");
        if NOT_PROSE.contains(&name) {
            let closing = if is_hugo {
                format!("/{name}")
            } else {
                format!("end{name}")
            };
            if let Some(closed) = self.end_of_block(end, &closing, if is_hugo { "}}" } else { "%}" }) {
                return Some(left_out(closed));
            }
        }
        Some(left_out(end))
    }

    /// The end of the tag that closes a block. `None` if the file has no such tag.
    fn end_of_block(&mut self, from: usize, closing: &str, end: &str) -> Option<usize> {
        if self.never_ends.contains(closing) {
            return None;
        }
        let found = self.text[from..].find(closing).and_then(|at| {
            let at = from + at;
            Some(at + self.text[at..].find(end)? + end.len())
        });
        if found.is_none() {
            self.never_ends.insert(closing.to_owned());
        }
        found
    }

    /// The tag of a component, which is left out, or of an element with expressions in its attributes, which loses
    /// them. Names of components begin with a capital letter. `is_first` says that nothing stands before it on its line.
    fn element(&mut self, is_first: bool, indented: usize) -> Option<Found> {
        let rest = self.rest();
        if rest.starts_with("<>") || rest.starts_with("</>") {
            return Some(Found::nothing(self.at + if rest.starts_with("<>") { 2 } else { 3 }));
        }
        let is_end = rest.starts_with("</");
        let name = name_at(&rest[1 + usize::from(is_end)..]);
        let is_component = name.starts_with(|c: char| c.is_ascii_uppercase());
        if name.is_empty() || self.without_end.get("<").is_some_and(|until| self.at < *until) {
            return None;
        }
        let from = self.at + 1 + usize::from(is_end) + name.len();
        let tag = match tag_end(self.text, from) {
            Ok(tag) => tag,
            Err(read) => {
                if read > from + LONGEST_TAG / 2 {
                    self.without_end.insert("<", read);
                }
                return None;
            }
        };
        if !is_component {
            let shown = format!(
                "<{}{name}{}>",
                if is_end { "/" } else { "" },
                if tag.is_closed { "/" } else { "" }
            );
            return tag.has_braces.then_some(Found { end: tag.end, shown });
        }
        // Where the content is indented four columns or more by itself, the tag stands in code.
        let may_indent = (indented < 4 || !self.around.is_empty()) && self.around.len() < DEEPEST;
        if is_end {
            let same = |around: &Around| matches!(around, Around::Component(open, _) if *open == name);
            if let Some(open) = self.around.iter().rposition(same) {
                self.around.truncate(open);
            }
        } else if is_first && may_indent && !tag.is_closed && self.closed.get(name).is_some_and(|end| *end > tag.end) {
            self.around.push(Around::Component(name, None));
        }
        Some(Found::nothing(tag.end))
    }

    /// The title of an admonition on a line, and the indentation of its lines where that shows what belongs to it.
    fn admonition(&self, line: &'a str) -> Option<(&'a str, Option<usize>)> {
        let content = line.trim();
        let colons = content.trim_start_matches(':');
        if content.len() - colons.len() >= 3 {
            let named = colons.trim_start().trim_start_matches('{');
            let name = name_at(named);
            if name.is_empty() {
                return colons.is_empty().then_some(("", None));
            }
            let title = named[name.len()..].trim_start_matches('}').trim();
            let title = match title.strip_prefix('[').and_then(|title| title.rsplit_once(']')) {
                Some((title, _)) => title,
                None => title.split_once('{').map_or(title, |(title, _)| title),
            };
            return Some((title.trim(), None));
        }
        let (rest, is_tab) = match content.strip_prefix("=== ") {
            Some(rest) => (rest, true),
            None => {
                let rest = content.strip_prefix("!!!").or_else(|| content.strip_prefix("???"))?;
                (rest.trim_start_matches('+').strip_prefix(' ')?, false)
            }
        };
        let (names, title) = match rest.split_once('"') {
            Some((names, title)) => (names, title.strip_suffix('"')?),
            None => (rest, ""),
        };
        let are_names = names
            .split_whitespace()
            .all(|name| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        if !are_names || names.trim().is_empty() != is_tab || is_tab && title.is_empty() {
            return None;
        }
        // Without lines of its own it is text.
        let own = self.around.iter().rev().find_map(|around| match around {
            Around::Admonition(least) => Some(*least),
            Around::Component(_, first) => *first,
        });
        let least = indentation(line) + own.unwrap_or(0) + 4;
        let after = self.text[self.line_end(self.at)..]
            .lines()
            .find(|line| !line.trim().is_empty())?;
        (indentation(after) >= least).then_some((title, Some(least)))
    }

    /// Where an import or export ends that begins here. Its brackets may reach over blank lines.
    fn statement_end(&mut self) -> usize {
        let first = self.line_end(self.at);
        if self.never_ends.contains("import") {
            return first;
        }
        let (mut depth, mut quote, mut is_escaped) = (0_i64, None, false);
        for (at, byte) in self.rest().bytes().enumerate() {
            match (quote, byte) {
                _ if std::mem::take(&mut is_escaped) => {}
                (Some(_), b'\\') => is_escaped = true,
                (Some(open), _) if open == byte => quote = None,
                (Some(b'\'' | b'"'), b'\n') => quote = None,
                (None, b'\'' | b'"' | b'`') => quote = Some(byte),
                (None, b'(' | b'[' | b'{') => depth += 1,
                (None, b')' | b']' | b'}') => depth -= 1,
                _ => {}
            }
            if byte == b'\n' && quote.is_none() && depth <= 0 {
                return self.at + at;
            }
        }
        if depth > 0 || quote.is_some() {
            self.never_ends.insert("import".to_owned());
            return first;
        }
        self.text.len()
    }
}

/// A tag, and what is shown instead of it.
struct Found {
    end: usize,
    shown: String,
}

impl Found {
    fn nothing(end: usize) -> Self {
        let shown = String::new();
        Self { end, shown }
    }
}

/// The tag of an element.
struct Tag {
    end: usize,
    /// Whether it ends in `/>`.
    is_closed: bool,
    /// Whether an expression stands in it.
    has_braces: bool,
}

/// The end of a tag whose attributes begin here. If it has none, how far it was looked for.
fn tag_end(text: &str, from: usize) -> Result<Tag, usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quote, mut has_braces) = (0_usize, None, false);
    let limit = bytes.len().min(from + LONGEST_TAG);
    for at in from..limit {
        match (quote, bytes[at]) {
            (Some(open), byte) if open == byte => quote = None,
            (Some(_), _) => {}
            (None, b'"' | b'\'' | b'`') => quote = Some(bytes[at]),
            (None, b'{') => {
                depth += 1;
                has_braces = true;
            }
            (None, b'}') => depth = depth.checked_sub(1).ok_or(at)?,
            (None, b'>') if depth == 0 => {
                return Ok(Tag {
                    end: at + 1,
                    is_closed: bytes[at - 1] == b'/',
                    has_braces,
                });
            }
            (None, b'<') if depth == 0 => return Err(at),
            // No blank line stands in a tag outside of expressions.
            (None, b'\n') if depth == 0 && bytes.get(at + 1) == Some(&b'\n') => return Err(at),
            _ => {}
        }
    }
    Err(limit)
}

/// The name that a text begins with. Parts of a component's name have points between them.
fn name_at(text: &str) -> &str {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return "";
    }
    let end = text.bytes().position(|byte| !is_part(byte)).unwrap_or(text.len());
    &text[..end]
}

/// The columns that a line is indented by.
fn indentation(line: &str) -> usize {
    let signs = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
    signs.fold(0, |columns, byte| {
        if byte == b'\t' {
            columns / 4 * 4 + 4
        } else {
            columns + 1
        }
    })
}

/// How many bytes the indentation by this many columns takes.
fn bytes_of(line: &str, columns: usize) -> usize {
    let signs = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (0..=signs)
        .rev()
        .find(|&bytes| indentation(&line[..bytes]) <= columns)
        .unwrap_or(0)
}

/// The sign and the length of the fence that a line begins with, and the rest of the line.
fn fence(content: &str) -> Option<((u8, usize), &str)> {
    let sign = *content.as_bytes().first().filter(|sign| matches!(sign, b'`' | b'~'))?;
    let rest = content.trim_start_matches(char::from(sign));
    let length = content.len() - rest.len();
    let is_code = sign == b'`' && rest.contains('`');
    (length >= 3 && !is_code).then_some(((sign, length), rest))
}

/// The fence of a MyST directive with prose inside, and its title, from a fence and the rest of its line.
fn directive((fence, rest): ((u8, usize), &str)) -> Option<((u8, usize), &str)> {
    let (name, title) = rest.trim().strip_prefix('{')?.split_once('}')?;
    MYST_PROSE.contains(&name).then_some((fence, title.trim()))
}

/// Whether a line is an option of a MyST directive, such as `:class: tip`.
fn is_option(content: &str) -> bool {
    let name = content.strip_prefix(':').and_then(|rest| rest.split_once(':'));
    name.is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// A line without the marks of quotations and lists before its content.
fn opened(content: &str) -> &str {
    let mut content = content;
    loop {
        let number = content.trim_start_matches(|c: char| c.is_ascii_digit());
        let inner = match content.strip_prefix(['>', '-', '*', '+']) {
            Some(inner) => inner,
            None if number.len() < content.len() => match number.strip_prefix(['.', ')']) {
                Some(inner) => inner,
                None => return content,
            },
            None => return content,
        };
        content = inner.trim_start();
    }
}

/// A quotation that is an admonition, such as `> [!NOTE] Title`: the marks of the quotation, and the title.
fn alert(line: &str) -> Option<(&str, &str)> {
    let content = line.trim_start_matches(['>', ' ', '\t']);
    let quote = &line[..line.len() - content.len()];
    let (kind, title) = content.strip_prefix("[!")?.split_once(']')?;
    let is_kind = !kind.is_empty()
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_|".contains(&byte));
    let title = title.trim_start_matches(['+', '-']);
    // A bracket or parenthesis directly behind it makes it a link.
    (quote.contains('>') && is_kind && !title.starts_with(['(', '['])).then_some((quote, title.trim()))
}

/// Whether a line begins an import or an export of MDX, and not a sentence that begins with such a word.
fn is_statement(line: &str) -> bool {
    let quoted = |text: &str| text.starts_with(['"', '\'']);
    if let Some(rest) = line.strip_prefix("import") {
        let rest = match rest.strip_prefix(' ') {
            Some(rest) => rest.trim_start(),
            None => return quoted(rest) || rest.starts_with('{'),
        };
        let rest = rest.strip_prefix("type ").unwrap_or(rest);
        let name = name_at(rest);
        let after = rest[name.len()..].trim_start();
        let from = |text: &str| text.strip_prefix("from").is_some_and(|text| quoted(text.trim_start()));
        return match name {
            "" => quoted(rest) || rest.starts_with(['{', '*']),
            _ => {
                from(after)
                    || after
                        .strip_prefix(',')
                        .is_some_and(|after| after.trim_start().starts_with(['{', '*']))
            }
        };
    }
    let Some(rest) = line.strip_prefix("export ") else {
        return false;
    };
    let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    match word {
        "const" | "let" | "var" => rest.contains('='),
        "function" | "async" | "class" | "interface" | "type" => rest.contains(['(', '{', '=']),
        "default" => rest.ends_with([';', '{', '(', ')', '}', '[']) || !rest.is_empty() && rest == name_at(rest),
        word => word.starts_with(['{', '*']),
    }
}

/// The code between backticks on a line that begins at `begins`.
fn code_spans(line: &str, begins: usize) -> Vec<(usize, usize)> {
    let bytes = line.as_bytes();
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(found) = line[at..].find('`') {
        let from = at + found;
        let length = bytes[from..].iter().take_while(|&&byte| byte == b'`').count();
        runs.push((from, length));
        at = from + length;
    }
    // Where the last run of each length is.
    let last: HashMap<usize, usize> = runs.iter().enumerate().map(|(at, run)| (run.1, at)).collect();
    let mut spans = Vec::new();
    let mut open = 0;
    while let Some(&(from, length)) = runs.get(open) {
        if last[&length] > open
            && let Some(close) = (open + 1..runs.len()).find(|&close| runs[close].1 == length)
        {
            spans.push((begins + from, begins + runs[close].0 + length));
            open = close;
        }
        open += 1;
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_told_from_sentences() {
        for line in [
            "import a from 'b'",
            "import {",
            "import{ a } from \"b\";",
            "import A, { b } from 'c'",
            "import * as a from 'b'",
            "import './a.css'",
            "import type { A } from 'b'",
            "export const a = 1",
            "export default function A() {",
            "export default Layout",
            "export * from 'a'",
            "export { a }",
        ] {
            assert!(is_statement(line), "{line}");
        }
        for line in [
            "import taxes rose",
            "import from Spain, \"they\" said",
            "importantly, 'they' left",
            "export const is a keyword",
            "export default settings are fine.",
            "export duties fell",
            "exports fell",
            " import a from 'b'",
        ] {
            assert!(!is_statement(line), "{line}");
        }
    }

    #[test]
    fn lines_keep_their_numbers_and_code_its_tags() {
        for (text, expected) in [
            ("a {{ b }} c\n{% d\ne %}\nf\n", "a \u{fdd0} c\n\n\nf\n"),
            (
                "`{{ a }}` {{ b }} ``{% c`d %}``\n",
                "`{{ a }}` \u{fdd0} ``{% c`d %}``\n",
            ),
            ("```\n{{ a }}\n```\n{{ b }}\n", "```\n{{ a }}\n```\n\n"),
            (
                "- ~~~\n  {{ a }}\n  ~~~\n  b {{ c }}\n",
                "- ~~~\n  {{ a }}\n  ~~~\n  b \u{fdd0}\n",
            ),
            ("{% a\n\n%} b {{ c\n}}\n", "{% a\n\n%} b {{ c\n}}\n"),
            ("\\{{ a }}{: .b }\n", "\\{{ a }}\n"),
            (
                "{% highlight a %}\nb\n\nc\n{% endhighlight %} d\n",
                "\u{fdd0}\n\n\n\n d\n",
            ),
            ("import {\n  a,\n\n  b\n} from 'c'\nd\n", "\n\n\n\n\nd\n"),
            ("export const a = {\n\nb\n", "\n\nb\n"),
            ("<A>\n    b\n\n      c\n  </A>\n    d\n", "\nb\n\n  c\n\n    d\n"),
            ("    <A>\n        b\n    </A>\n", "    \n        b\n    \n"),
            ("<A b={{ c: '>' }}\n  d=\"e>\"\n>f</A>\n", "\n\nf\n"),
            ("<div a={() => b}>c</div>\n", "<div>c</div>\n"),
            ("Vec<String> a\n\n    b\n", "Vec a\n\n    b\n"),
            ("<A b={\n\nc\n", "<A b={\n\nc\n"),
            ("{/* a\n\nb */}c\n", "\n\nc\n"),
        ] {
            let lines = |text: &str| text.split('\n').map(str::trim_end).collect::<Vec<_>>().join("\n");
            assert_eq!(lines(&plain_markdown(text)), lines(expected), "{text:?}");
        }
    }

    #[test]
    fn marks_of_admonitions_go_and_their_text_stays() {
        for (text, expected) in [
            (
                "!!! note \"A title\"\n    b\n\n    - c\nd\n",
                "###### A title\nb\n\n- c\nd\n",
            ),
            ("??? note\n    b\n    !!! tip\n        c\n    d\n", "\nb\n\nc\nd\n"),
            ("=== \"A\"\n\n    b\n", "###### A\n\nb\n"),
            ("!!! note\n\nb\n", "!!! note\n\nb\n"),
            ("??? what was it\n    b\n", "\nb\n"),
            ("??? What was it\n    b\n", "??? What was it\n    b\n"),
            (":::tip A title {.b}\nc\n:::\n", "###### A title\nc\n\n"),
            (":::note[A title]\n::::{warning}\n", "###### A title\n\n"),
            ("```{note}\n:class: a\n\nb\n```\nc\n", "\n\n\nb\n\nc\n"),
            (
                "````{tip} A title\nb\n```python\nx = 1\n```\nc\n````\n",
                "###### A title\nb\n```python\nx = 1\n```\nc\n\n",
            ),
            ("~~~~{note}\n~~~{tip}\na\n~~~\nb\n~~~~\n", "\n\na\n\nb\n\n"),
            (
                "```{code-block} python\n:a: b\n```\n",
                "```{code-block} python\n:a: b\n```\n",
            ),
            ("> [!NOTE]\n> a\n", "> \n> a\n"),
            ("> [!info]- A title\n> b\n", "> ###### A title\n> b\n"),
            ("> [!a](b)\n[!NOTE]\n", "> [!a](b)\n[!NOTE]\n"),
        ] {
            assert_eq!(plain_markdown(text), expected, "{text:?}");
        }
    }
}
