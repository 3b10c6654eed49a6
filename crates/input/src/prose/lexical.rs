//! Finds comments by scanning from left to right, without a grammar.
//!
//! To find comments, it is enough to know where strings begin and end. A parser would cost more than it gives: it would
//! be C code that reads untrusted input, and some files would take it minutes or overflow its stack.
//!
//! A quotation mark opens a string on one line only if another one closes it on the same line. So a misread character,
//! such as an apostrophe or a slash, spoils one line at most. Strings over several lines need the marks that a language
//! has for them (`"""`, backticks, `r#"`, here-documents) and an end. In Rust, ordinary strings may run over several
//! lines too.
//!
//! Each byte is visited a bounded number of times: a search that failed is never repeated.
//!
//! Limits: where another language lets an ordinary string run over several lines, the scanner reads comments in it.
//! Code within a string (`${…}`) counts as part of the string. In PHP, the HTML around the code is not read.

use super::comments::Language;
use std::collections::HashMap;
use std::ops::Range;

/// The most number signs (Rust) or letters (C++) before the quotation mark of a raw string. People write one or two;
/// C++ allows 16.
const MOST_SIGNS: usize = 16;

/// The longest character literal in Rust, in bytes: `'\u{10ffff}'`. Any other apostrophe begins a lifetime.
const LONGEST_LETTER: usize = 12;

/// A comment that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its range of bytes in the file, with the markers.
    pub span: Range<usize>,
    /// Whether it is a docstring of Python.
    pub docstring: bool,
}

/// The comments of a program in order, and the docstrings of Python.
pub fn comments_of(text: &str, language: Language) -> Vec<Found> {
    let mut lexer = Lexer {
        text,
        bytes: text.as_bytes(),
        language,
        found: Vec::new(),
        missing: HashMap::new(),
        ends: HashMap::new(),
        documents: Vec::new(),
        last: None,
        last_word: 0..0,
        brackets: 0,
        first: true,
        statement: 0..0,
    };
    if language.has_here_documents() {
        lexer.find_ends();
    }
    lexer.run();
    lexer.found
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    language: Language,
    found: Vec<Found>,
    /// For each mark, the position from which a search found none.
    missing: HashMap<String, usize>,
    /// For each word, the starts of the lines that may end a here-document.
    ends: HashMap<&'a str, Vec<usize>>,
    /// The end words of the here-documents that begin after this line.
    documents: Vec<&'a str>,
    /// The last byte outside of white space and comments.
    last: Option<u8>,
    /// The last name or number.
    last_word: Range<usize>,
    /// How many brackets are open.
    brackets: usize,
    /// Whether the line has had nothing but white space so far.
    first: bool,
    /// The first name of the current statement.
    statement: Range<usize>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) {
        let mut at = match self.language {
            Language::Php => self.behind_html(0),
            _ => self.line_begins(0),
        };
        while at < self.bytes.len() {
            at = self.step(at);
        }
    }

    /// Reads what stands at a byte. Returns where to continue.
    fn step(&mut self, at: usize) -> usize {
        let byte = self.bytes[at];
        if byte == b'\n' {
            return self.line_begins(at + 1);
        }
        if byte.is_ascii_whitespace() {
            return at + 1;
        }
        if let Some(end) = self.comment(at) {
            return end;
        }
        if self.language == Language::Php && self.rest(at).starts_with(b"?>") {
            return self.behind_html(at + 2);
        }
        let end = match byte {
            b'\\' => at + 2,
            b'"' | b'\'' | b'`' => self.string(at).unwrap_or(at + 1),
            b'<' => self.document(at).unwrap_or(at + 1),
            b'/' if self.language.has_regular_expressions() => self.regular_expression(at).unwrap_or(at + 1),
            b'@' | b'$' if self.language == Language::CSharp => self.verbatim(at).unwrap_or(at + 1),
            _ if is_word(byte) => self.word(at),
            _ => at + 1,
        };
        if std::mem::take(&mut self.first) && self.brackets == 0 {
            self.statement = if is_word(byte) { self.last_word.clone() } else { 0..0 };
        }
        match byte {
            b'(' | b'[' | b'{' => self.brackets += 1,
            b')' | b']' | b'}' => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.last = Some(byte);
        end.min(self.bytes.len())
    }

    fn rest(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    fn before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).map(|before| self.bytes[before])
    }

    fn line_end(&self, at: usize) -> usize {
        let length = self.rest(at).iter().position(|byte| *byte == b'\n');
        length.map_or(self.bytes.len(), |length| at + length)
    }

    /// The next occurrence of a mark, from a byte on.
    fn find(&mut self, mark: &str, from: usize) -> Option<usize> {
        if self.missing.get(mark).is_some_and(|missing| from >= *missing) {
            return None;
        }
        // Marks are ASCII, but the search may start inside a character.
        let from = (from..=self.text.len()).find(|at| self.text.is_char_boundary(*at))?;
        let found = self.text[from..].find(mark).map(|length| from + length);
        if found.is_none() {
            self.missing.insert(mark.to_owned(), from);
        }
        found
    }

    /// The next occurrence of a mark without a backslash before it.
    fn find_unescaped(&mut self, mark: &str, from: usize) -> Option<usize> {
        // A mark without an end is searched for only once.
        let unescaped = format!("unescaped {mark}");
        if self.missing.get(&unescaped).is_some_and(|missing| from >= *missing) {
            return None;
        }
        let mut at = from;
        while let Some(found) = self.find(mark, at) {
            let slashes = self.bytes[from..found].iter().rev().take_while(|byte| **byte == b'\\');
            if slashes.count() % 2 == 0 {
                return Some(found);
            }
            at = found + 1;
        }
        self.missing.insert(unescaped, from);
        None
    }

    /// The end of the comment that begins at a byte.
    fn comment(&mut self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        let slashes = !matches!(self.language, Language::Bash | Language::Python | Language::Ruby);
        let signs = match self.language {
            Language::Python => true,
            // A number sign within a word begins no comment, as in `$#` and `${a#b}`.
            Language::Bash | Language::Ruby => self.before(at).is_none_or(|byte| {
                byte.is_ascii_whitespace() || matches!(byte, b';' | b'(' | b')' | b'}' | b'&' | b'|')
            }),
            Language::Php => !rest.starts_with(b"#["),
            _ => false,
        };
        let strokes = slashes && rest.starts_with(b"//");
        // In the text of JSX, two slashes after a colon are part of an address.
        let address = self.language.has_regular_expressions() && self.before(at) == Some(b':');
        let end = if (signs && rest.starts_with(b"#")) || (strokes && !address) {
            let end = self.comment_line_end(at);
            match self.language {
                Language::Php => self.text[at..end].find("?>").map_or(end, |length| at + length),
                _ => end,
            }
        } else if slashes && rest.starts_with(b"/*") {
            self.block_end(at)
        } else {
            return None;
        };
        self.found.push(Found {
            span: at..end,
            docstring: false,
        });
        Some(end)
    }

    /// The end of a line comment. In C, a backslash at the end of a line continues the comment on the next one.
    fn comment_line_end(&self, at: usize) -> usize {
        let mut end = self.line_end(at);
        while matches!(self.language, Language::C | Language::Cpp)
            && end < self.bytes.len()
            && self.bytes[at..end].ends_with(b"\\")
        {
            end = self.line_end(end + 1);
        }
        end
    }

    /// The end of a comment between `/*` and `*/`. An open comment ends with the file.
    fn block_end(&mut self, at: usize) -> usize {
        if self.language != Language::Rust {
            return self.find("*/", at + 2).map_or(self.bytes.len(), |end| end + 2);
        }
        let mut depth = 1;
        let mut at = at + 2;
        while at < self.bytes.len() {
            let rest = self.rest(at);
            if rest.starts_with(b"/*") {
                depth += 1;
                at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            } else {
                at += 1;
            }
        }
        at
    }

    /// The end of the string that begins at a byte.
    fn string(&mut self, at: usize) -> Option<usize> {
        let rest = self.rest(at);
        let (quote, escapes) = match (self.language, rest[0]) {
            (Language::Python | Language::Java | Language::CSharp, b'"') if rest.starts_with(b"\"\"\"") => {
                ("\"\"\"", true)
            }
            (Language::Python, b'\'') if rest.starts_with(b"'''") => ("'''", true),
            (Language::JavaScript | Language::TypeScript | Language::Tsx, b'`') => ("`", true),
            (Language::Go, b'`') => ("`", false),
            (Language::Rust, b'"') => ("\"", true),
            (_, b'`') => return None,
            _ => return self.string_of_line(at),
        };
        let from = at + quote.len();
        let end = if escapes {
            self.find_unescaped(quote, from)
        } else {
            self.find(quote, from)
        }? + quote.len();
        self.docstring(at, end);
        Some(end)
    }

    fn string_of_line(&mut self, at: usize) -> Option<usize> {
        let quote = self.bytes[at];
        // C++ has numbers such as 1'000.
        if self.language == Language::Cpp
            && quote == b'\''
            && self.before(at).is_some_and(|byte| byte.is_ascii_hexdigit())
        {
            return None;
        }
        if self.language == Language::Rust && quote == b'\'' {
            return self.letter(at);
        }
        let raw = self.language == Language::Bash && quote == b'\'';
        // If one quotation mark finds no end on its line, the ones after it on the line find none either.
        let given_up = format!("line {quote}");
        if self.missing.get(&given_up).is_some_and(|line_end| at < *line_end) {
            return None;
        }
        let mut end = at + 1;
        while end < self.bytes.len() {
            match self.bytes[end] {
                b'\n' => break,
                // The string continues on the next line, as in macros.
                b'\\' if !raw => end += 1,
                byte if byte == quote => {
                    self.docstring(at, end + 1);
                    return Some(end + 1);
                }
                _ => {}
            }
            end += 1;
        }
        self.missing.insert(given_up, end.min(self.bytes.len()));
        None
    }

    /// The end of a character literal of Rust. Any other apostrophe begins a lifetime.
    fn letter(&self, at: usize) -> Option<usize> {
        let letter = self.text[at + 1..].chars().next()?;
        let behind = at + 1 + letter.len_utf8();
        if letter != '\\' {
            return (self.rest(behind).first() == Some(&b'\'')).then_some(behind + 1);
        }
        let rest = self.rest(behind + 1).iter().take(LONGEST_LETTER);
        Some(
            behind
                + 2
                + rest
                    .take_while(|byte| **byte != b'\n')
                    .position(|byte| *byte == b'\'')?,
        )
    }

    /// Keeps a string of Python if it is the first statement of a module, a class or a function.
    fn docstring(&mut self, at: usize, end: usize) {
        if self.language != Language::Python || self.brackets > 0 || !self.first {
            return;
        }
        let documents = match self.last {
            None => true,
            Some(last) => last == b':' && matches!(&self.bytes[self.statement.clone()], b"class" | b"def" | b"async"),
        };
        if !documents {
            return;
        }
        let behind = self.rest(end).iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'));
        if matches!(behind, None | Some(b'\n' | b'#' | b';')) {
            self.found.push(Found {
                span: at..end,
                docstring: true,
            });
        }
    }

    /// Skips a name or a number, or the string that it is the prefix of.
    fn word(&mut self, at: usize) -> usize {
        let length = self.rest(at).iter().take_while(|byte| is_word(**byte)).count();
        let end = at + length;
        let word = &self.bytes[at..end];
        let behind = self.rest(end).first().copied();
        self.last_word = at..end;
        let string = match (self.language, behind) {
            (Language::Rust, Some(b'"' | b'#')) if matches!(word, b"r" | b"br" | b"cr") => self.raw_string(end),
            (Language::Cpp, Some(b'"')) if matches!(word, b"R" | b"u8R" | b"uR" | b"UR" | b"LR") => self.delimited(end),
            (Language::Python, Some(b'"' | b'\'')) if matches!(word, b"r" | b"R" | b"u" | b"U") => self.string(end),
            (Language::Python, Some(b'"' | b'\'')) if length <= 2 => {
                // Byte strings and formatted strings are not docstrings.
                self.first = false;
                self.string(end)
            }
            _ => None,
        };
        string.unwrap_or(end)
    }

    fn raw_string(&mut self, at: usize) -> Option<usize> {
        let signs = self
            .rest(at)
            .iter()
            .take(MOST_SIGNS)
            .take_while(|byte| **byte == b'#')
            .count();
        if self.rest(at + signs).first() != Some(&b'"') {
            return None;
        }
        let close = format!("\"{}", "#".repeat(signs));
        Some(self.find(&close, at + signs + 1)? + close.len())
    }

    /// The end of a raw string of C++, `R"name(…)name"`.
    fn delimited(&mut self, at: usize) -> Option<usize> {
        let name = self
            .rest(at + 1)
            .iter()
            .take(MOST_SIGNS)
            .take_while(|byte| is_word(**byte))
            .count();
        if self.rest(at + 1 + name).first() != Some(&b'(') {
            return None;
        }
        // Each missing end costs a search through the rest of the file, so the first one stops all further searches.
        if self.missing.contains_key("delimited") {
            return None;
        }
        let close = format!("){}\"", self.text.get(at + 1..at + 1 + name)?);
        let end = self.find(&close, at + 1);
        if end.is_none() {
            self.missing.insert("delimited".to_owned(), at);
        }
        Some(end? + close.len())
    }

    /// The end of a verbatim string of C#, `@"…"`, in which a backslash is an ordinary character.
    fn verbatim(&mut self, at: usize) -> Option<usize> {
        let signs = self
            .rest(at)
            .iter()
            .take(2)
            .take_while(|byte| matches!(byte, b'@' | b'$'))
            .count();
        let is_verbatim = self.bytes[at..at + signs].contains(&b'@');
        if !is_verbatim || self.rest(at + signs).first() != Some(&b'"') {
            return None;
        }
        let mut end = self.find("\"", at + signs + 1)? + 1;
        while self.rest(end).first() == Some(&b'"') {
            end = self.find("\"", end + 1)? + 1;
        }
        Some(end)
    }

    /// The end of a regular expression of JavaScript that begins at a byte. It must be on the same line.
    fn regular_expression(&mut self, at: usize) -> Option<usize> {
        let is_expected = match self.last {
            None => true,
            Some(last) if is_word(last) => {
                matches!(
                    &self.bytes[self.last_word.clone()],
                    b"return" | b"typeof" | b"case" | b"in" | b"of" | b"do" | b"else" | b"void" | b"yield" | b"await"
                )
            }
            Some(last) => b"(,=:[!&|?{};+-*%~^>".contains(&last),
        };
        if !is_expected || self.missing.get("expression").is_some_and(|line_end| at < *line_end) {
            return None;
        }
        let mut in_class = false;
        let mut end = at + 1;
        while end < self.bytes.len() {
            match self.bytes[end] {
                b'\n' => break,
                b'\\' => end += 1,
                b'[' => in_class = true,
                b']' => in_class = false,
                b'/' if !in_class => return Some(end + 1),
                _ => {}
            }
            end += 1;
        }
        self.missing.insert("expression".to_owned(), end);
        None
    }

    /// Remembers a here-document that a line announces: `<<END`, `<<-'END'`, `<<~END`, `<<<END`.
    fn document(&mut self, at: usize) -> Option<usize> {
        let rest = match self.language {
            Language::Bash | Language::Ruby => self.text[at..].strip_prefix("<<")?.trim_start_matches(['-', '~']),
            Language::Php => self.text[at..].strip_prefix("<<<")?,
            _ => return None,
        };
        let rest = rest.trim_start_matches([' ', '\'', '"', '\\']);
        let length = name_length(rest);
        let from = self.text.len() - rest.len();
        let word = &rest[..length];
        if self.ends.contains_key(word) {
            self.documents.push(word);
        }
        Some(from + length)
    }

    /// Finds the lines that may end a here-document: lines of one word, or in PHP, lines that begin with a word.
    fn find_ends(&mut self) {
        let mut begins = 0;
        for line in self.text.split_inclusive('\n') {
            let trimmed = line.trim();
            let length = name_length(trimmed);
            if length > 0 && (length == trimmed.len() || self.language == Language::Php) {
                self.ends.entry(&trimmed[..length]).or_default().push(begins);
            }
            begins += line.len();
        }
    }

    /// Skips what begins at the start of a line: here-documents, block comments of Ruby, and the end of a Ruby program.
    fn line_begins(&mut self, at: usize) -> usize {
        self.first = true;
        let mut at = at;
        for word in std::mem::take(&mut self.documents) {
            let lines = self.ends.get(word).map(Vec::as_slice).unwrap_or_default();
            // Without an end, it is not a here-document.
            if let Some(end) = lines.get(lines.partition_point(|line| *line < at)) {
                at = match self.language {
                    // The statement continues after the word.
                    Language::Php => {
                        let line = &self.text[*end..];
                        end + line.len() - line.trim_start().len() + word.len()
                    }
                    _ => self.line_end(*end),
                };
            }
        }
        let rest = self.rest(at);
        if self.language == Language::Ruby {
            if rest.starts_with(b"__END__") && self.line_end(at) - at == b"__END__".len() {
                return self.bytes.len();
            }
            if rest.starts_with(b"=begin") {
                let end = self.find("\n=end", at);
                let end = end.map_or(self.bytes.len(), |end| end + b"\n=end".len());
                self.found.push(Found {
                    span: at..end,
                    docstring: false,
                });
                return self.line_end(end);
            }
        }
        // Browsers read this as a comment up to the end of the line.
        if self.language == Language::JavaScript && rest.starts_with(b"<!--") {
            let end = self.line_end(at);
            self.found.push(Found {
                span: at..end,
                docstring: false,
            });
            return end;
        }
        at
    }

    /// The start of the PHP code after the HTML at a byte.
    fn behind_html(&mut self, at: usize) -> usize {
        let open = self.find("<?", at);
        open.map_or(self.bytes.len(), |open| {
            let behind = &self.text[open + 2..];
            open + 2 + if behind.starts_with("php") { 3 } else { 0 }
        })
    }
}

/// Whether a byte is part of a name or a number.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 128
}

/// The length of the ASCII name that a text begins with.
fn name_length(text: &str) -> usize {
    let length = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    length.unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, language: Language) -> Vec<&str> {
        comments_of(text, language)
            .into_iter()
            .map(|found| &text[found.span])
            .collect()
    }

    #[test]
    fn strings_hold_no_comments() {
        for (language, text) in [
            (
                Language::C,
                "a = \"/* no */ \\\" // no\"; b = '\\''; c = '\"'; // yes\n",
            ),
            (
                Language::Cpp,
                "a = R\"x(\" // no\n)\" /* no */ )x\"; b = 1'000; // yes\n",
            ),
            (Language::CSharp, "a = @\"c:\\\"; b = $@\"\"\"// no\"\"\n\"; // yes\n"),
            (Language::Go, "a := `// no\n \\`; b := '\"' // yes\n"),
            (
                Language::Java,
                "a = \"\"\"\n // no \\\"\"\"\n /* no */ \"\"\"; // yes\n",
            ),
            (
                Language::JavaScript,
                "a = `// no\n${b}`; c = /[/\"]\\/\\/ no/.test(d) / 2; return /'/; // yes\n",
            ),
            (Language::Tsx, "<a href=\"x\">http://no, isn't it</a>; // yes\n"),
            (
                Language::Rust,
                "let a: &'a str = r#\"// \"no\"#; f::<'b>('\"', '\\'', \"no\n// no\"); // yes\n",
            ),
            (
                Language::Php,
                "// no\n<?php $a = '// no'; #[No]\n$b = <<<'E'\n// no\n  E . '// no'; // yes ?> // no <?= $c",
            ),
        ] {
            let expected = if language == Language::Php { "// yes " } else { "// yes" };
            assert_eq!(found(text, language), [expected], "{}", language.name());
        }
        for (language, text) in [
            (
                Language::Bash,
                "a=$# b=${a#b} c='# no \\' d=\"# no\"\ncat <<-'E' <<F\n# no\n\tE\n# no\nF\nfi # yes\n",
            ),
            (
                Language::Python,
                "a = '''\n# no\n''' + \"# no\" + f\"{b['#']}\" # yes\n",
            ),
            (
                Language::Ruby,
                "a = \"#{b} # no\"; c << d\ne = <<~E\n  # no\nE\nf # yes\n__END__\n# no\n",
            ),
        ] {
            assert_eq!(found(text, language), ["# yes"], "{}", language.name());
        }
    }

    #[test]
    fn a_quotation_mark_without_an_end_spoils_only_its_line() {
        for language in Language::ALL {
            let (marker, begins) = match language {
                Language::Bash | Language::Python | Language::Ruby => ("#", ""),
                Language::Php => ("//", "<?php\n"),
                _ => ("//", ""),
            };
            let text = format!("{begins}a ' b\n{marker} one\nc \" d\n{marker} two\n<<E e\n{marker} three\n");
            let expected = ["one", "two", "three"].map(|word| format!("{marker} {word}"));
            assert_eq!(found(&text, language), expected, "{}", language.name());
        }
    }

    #[test]
    fn comments_without_an_end_reach_to_the_end_of_the_file() {
        assert_eq!(found("a /* b\n\"c", Language::C), ["/* b\n\"c"]);
        assert_eq!(found("/* a /* b */ c", Language::Rust), ["/* a /* b */ c"]);
        assert_eq!(found("=begin\na", Language::Ruby), ["=begin\na"]);
        assert_eq!(found("// a \\\nb\nc", Language::C), ["// a \\\nb"]);
    }

    #[test]
    fn only_the_first_string_of_a_body_is_a_docstring() {
        let text = "'a'\n'no'\nclass A:  # b\n    \"c\"\n    d: 'no'\n    e = {'no':\n 'no'}\n    async def f(self, g=':'):\n        r'''h'''\nif i:\n    'no'\n\
                    def j(): return {\n'no'}\ndef k():\n    b'no'\ndef l():\n    'no' + m\n";
        assert_eq!(found(text, Language::Python), ["'a'", "# b", "\"c\"", "'''h'''"]);
    }

    proptest! {
        #[test]
        fn comments_stand_in_order_and_on_letters(
            text in "(/\\*|\\*/|//|#|\"|'|`|\"\"\"|\\\\|<<[A-C]|[A-C]|\n|r#|R\"|\\(|\\)|@|<\\?|\\?>|=begin|=end| |é|鶏|/){0,40}",
        ) {
            for language in Language::ALL {
                let mut end = 0;
                for found in comments_of(&text, language) {
                    prop_assert!(found.span.start >= end && found.span.end > found.span.start);
                    prop_assert!(text.get(found.span.clone()).is_some());
                    end = found.span.end;
                }
            }
        }
    }
}
