//! Programs: their comments and docstrings.
//!
//! [`lexical`](super::lexical) finds the comments; a `//` in a string does not mislead it. Comments mix Markdown, Javadoc,
//! reStructuredText and personal habits. This module understands only what separates prose from the rest: fences,
//! indented code, doctests, bullets, headings, tags and rulers. It leaves out whole lines, and each of them ends the
//! paragraph.
//!
//! Nobody marks the code that they comment out. A line of a comment counts as code if
//!
//! - it ends with `{` or `}` and has no `{@` of an inline tag,
//! - it ends with `;` and either has fewer than four words or a symbol that is rare in prose, such as `(` or `=`,
//! - it has more symbols than letters, like a ruler or a table,
//! - it is an assignment to one name, or a single call.

use super::lexical::{Found, comments_of};
use super::{BlockKind, Builder, LineUnit, Lines, Prose};

/// The longest tag of HTML or XML, in bytes.
const LONGEST_TAG: usize = 400;

/// A programming language whose comments can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names explain themselves")]
pub enum Language {
    Bash,
    C,
    Cpp,
    CSharp,
    Go,
    Java,
    JavaScript,
    Php,
    Python,
    Ruby,
    Rust,
    Tsx,
    TypeScript,
}

impl Language {
    /// All languages.
    pub const ALL: [Self; 13] = [
        Self::Bash,
        Self::C,
        Self::Cpp,
        Self::CSharp,
        Self::Go,
        Self::Java,
        Self::JavaScript,
        Self::Php,
        Self::Python,
        Self::Ruby,
        Self::Rust,
        Self::Tsx,
        Self::TypeScript,
    ];

    /// The language of files with this ending, without the dot and in either case.
    pub fn of_extension(ending: &str) -> Option<Self> {
        Some(match ending.to_ascii_lowercase().as_str() {
            "bash" | "bats" | "ksh" | "sh" | "zsh" => Self::Bash,
            "c" => Self::C,
            // A header may be C or C++. C has no raw strings, so reading it as C++ is right for both.
            "h" | "cc" | "cpp" | "cxx" | "hh" | "hpp" | "hxx" | "inl" | "ipp" | "tpp" => Self::Cpp,
            "cs" => Self::CSharp,
            "go" => Self::Go,
            "java" => Self::Java,
            "cjs" | "js" | "jsx" | "mjs" => Self::JavaScript,
            "php" | "phtml" => Self::Php,
            "py" | "pyi" | "pyw" => Self::Python,
            "gemspec" | "rake" | "rb" | "ru" => Self::Ruby,
            "rs" => Self::Rust,
            "tsx" => Self::Tsx,
            "cts" | "mts" | "ts" => Self::TypeScript,
            _ => return None,
        })
    }

    /// The name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bash => "Bash",
            Self::C => "C",
            Self::Cpp => "C++",
            Self::CSharp => "C#",
            Self::Go => "Go",
            Self::Java => "Java",
            Self::JavaScript => "JavaScript",
            Self::Php => "PHP",
            Self::Python => "Python",
            Self::Ruby => "Ruby",
            Self::Rust => "Rust",
            Self::Tsx => "TSX",
            Self::TypeScript => "TypeScript",
        }
    }

    /// Whether the language has here-documents.
    pub(super) fn has_here_documents(self) -> bool {
        matches!(self, Self::Bash | Self::Php | Self::Ruby)
    }

    /// Whether a slash can begin a regular expression.
    pub(super) fn has_regular_expressions(self) -> bool {
        matches!(self, Self::JavaScript | Self::Tsx | Self::TypeScript)
    }

    /// Whether its documentation uses tags of HTML or XML.
    fn documents_with_tags(self) -> bool {
        !matches!(self, Self::Bash | Self::Go | Self::Python | Self::Ruby | Self::Rust)
    }
}

/// Extracts the prose of a program: its comments, and the docstrings of Python.
pub fn extract(text: &str, language: Language) -> Prose {
    let lines = Lines::of(text);
    let mut writer = Writer::new(Builder::default(), language);
    let mut before: Option<Comment> = None;
    for found in comments_of(text, language) {
        let Some(comment) = Comment::of(text, &lines, &found, language) else {
            continue;
        };
        match &mut before {
            Some(group) if group.continues_with(&comment) => group.lines.extend(comment.lines),
            _ => {
                if let Some(group) = before.replace(comment) {
                    writer.write(group);
                }
            }
        }
    }
    if let Some(group) = before {
        writer.write(group);
    }
    writer.builder.finish(LineUnit::Line)
}

/// A line of a comment without its marker.
#[derive(Clone, Copy, Debug)]
struct Line<'a> {
    number: usize,
    /// The number of columns before the text.
    indent: usize,
    /// The text without white space around it.
    text: &'a str,
}

impl<'a> Line<'a> {
    fn of(text: &'a str, number: usize) -> Self {
        let trimmed = text.trim_start();
        let indent = text[..text.len() - trimmed.len()].chars().fold(0, |columns, c| {
            if c == '\t' { (columns / 8 + 1) * 8 } else { columns + 1 }
        });
        Self {
            number,
            indent,
            text: trimmed.trim_end(),
        }
    }
}

/// The form of a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form<'a> {
    /// From a marker to the end of the line.
    Line(&'a str),
    /// Between two markers.
    Block,
    Docstring,
}

/// A comment, or several line comments in a row.
#[derive(Debug)]
struct Comment<'a> {
    form: Form<'a>,
    lines: Vec<Line<'a>>,
    /// Whether it is the first thing on its line.
    alone: bool,
    /// Whether its marker makes it documentation.
    documentation: bool,
}

impl<'a> Comment<'a> {
    fn of(text: &'a str, lines: &Lines, found: &Found, language: Language) -> Option<Self> {
        let whole = text.get(found.span.clone())?;
        let first = lines.at(found.span.start);
        // The search goes backwards from the comment and stops early. The line may be as long as the file.
        let stands_before = text[..found.span.start]
            .chars()
            .rev()
            .find(|c| *c == '\n' || !(c.is_whitespace() || *c == '\u{feff}'));
        let alone = stands_before.is_none_or(|c| c == '\n');
        if first == 1 && alone && whole.starts_with("#!") {
            return None;
        }
        let (form, inside, documentation) = if found.docstring {
            (Form::Docstring, docstring(whole)?, false)
        } else {
            stripped(whole, language)
        };
        let mut lines: Vec<Line> = inside
            .split('\n')
            .zip(first..)
            .map(|(line, number)| Line::of(line, number))
            .collect();
        if form == Form::Block {
            unstar(&mut lines);
        }
        if !matches!(form, Form::Line(_)) {
            // On the first line, the text begins right after the marker.
            lines[0].indent = 0;
            dedent(&mut lines[1..]);
        }
        Some(Self {
            form,
            lines,
            alone,
            documentation,
        })
    }

    /// Whether the next comment continues this one on the next line.
    fn continues_with(&self, next: &Self) -> bool {
        let last = self.lines.last().map_or(0, |line| line.number);
        matches!(self.form, Form::Line(_))
            && self.form == next.form
            && self.alone
            && next.alone
            && next.lines.first().is_some_and(|line| line.number == last + 1)
    }
}

/// The form of a comment, its text without markers, and whether it is documentation.
fn stripped(whole: &str, language: Language) -> (Form<'_>, &str, bool) {
    if let Some(inside) = whole.strip_prefix("/*") {
        let inside = inside.strip_suffix("*/").unwrap_or(inside);
        let documentation = inside.starts_with(['*', '!']);
        let inside = inside
            .trim_start_matches('*')
            .trim_start_matches('!')
            .trim_start_matches('<');
        return (Form::Block, inside.trim_end_matches('*'), documentation);
    }
    if let Some(inside) = whole.strip_prefix("=begin") {
        let inside = inside.trim_end();
        return (Form::Block, inside.strip_suffix("=end").unwrap_or(inside), true);
    }
    if let Some(inside) = whole.strip_prefix("<!--") {
        return (
            Form::Block,
            inside.trim_end().strip_suffix("-->").unwrap_or(inside),
            false,
        );
    }
    let whole = whole.trim_end();
    let rest = whole.trim_start_matches(['/', '#', '-']);
    let run = whole.len() - rest.len();
    let rest = if run > 0 {
        rest.strip_prefix(['!', ':']).unwrap_or(rest)
    } else {
        rest
    };
    let marker = &whole[..whole.len() - rest.len()];
    let documentation = matches!(marker, "///" | "//!") || language == Language::Go;
    let rest = if documentation {
        rest.strip_prefix('<').unwrap_or(rest)
    } else {
        rest
    };
    // In C, a backslash joins lines.
    (
        if rest.contains('\n') {
            Form::Block
        } else {
            Form::Line(marker)
        },
        rest,
        documentation,
    )
}

/// A string of Python without its quotation marks. `None` if Python does not accept it as a docstring.
fn docstring(whole: &str) -> Option<&str> {
    let quoted = whole.trim_start_matches(['r', 'R', 'u', 'U']);
    let quote = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|quote| quoted.starts_with(quote))?;
    let inside = &quoted[quote.len()..];
    Some(inside.strip_suffix(quote).unwrap_or(inside))
}

/// Removes the column of stars from a comment if each line has one. Otherwise the stars are bullets.
fn unstar(lines: &mut [Line]) {
    let behind_first = &mut lines[1..];
    if behind_first
        .iter()
        .all(|line| line.text.is_empty() || line.text.starts_with('*'))
    {
        for line in behind_first.iter_mut().filter(|line| !line.text.is_empty()) {
            *line = Line::of(&line.text[1..], line.number);
        }
    }
}

/// Removes the common indentation of all lines.
fn dedent(lines: &mut [Line]) {
    let common = lines
        .iter()
        .filter(|line| !line.text.is_empty())
        .map(|line| line.indent)
        .min()
        .unwrap_or(0);
    for line in lines {
        line.indent = line.indent.saturating_sub(common);
    }
}

/// What is being left out, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Skipping {
    Nothing,
    /// Until a line that begins with this.
    Fence(&'static str),
    /// Until a line that contains this.
    Until(&'static str),
    /// As long as lines are indented deeper than this.
    DeeperThan(usize),
    /// Until an empty line.
    Doctest,
    /// Until the next tag.
    Example,
}

/// Writes comments into blocks.
struct Writer {
    builder: Builder,
    language: Language,
    skipping: Skipping,
    /// Whether the next line belongs to an open block.
    open: bool,
    /// Whether the next line may begin indented code.
    fresh: bool,
    /// Whether the lines belong to a list. Indented text is then not code.
    in_list: bool,
}

impl Writer {
    fn new(builder: Builder, language: Language) -> Self {
        Self {
            builder,
            language,
            skipping: Skipping::Nothing,
            open: false,
            fresh: true,
            in_list: false,
        }
    }

    fn write(&mut self, mut comment: Comment) {
        if matches!(comment.form, Form::Line(_)) {
            dedent(&mut comment.lines);
        }
        self.end();
        self.skipping = Skipping::Nothing;
        self.fresh = true;
        self.in_list = false;
        for at in 0..comment.lines.len() {
            self.line(&comment, at);
        }
        self.end();
    }

    fn end(&mut self) {
        self.builder.end();
        self.open = false;
    }

    fn begin(&mut self, kind: BlockKind) {
        self.builder.begin(kind);
        self.open = true;
    }

    fn add(&mut self, text: &str, number: usize) {
        self.builder.add(text, number);
        self.builder.space();
    }

    /// Starts to leave lines out.
    fn skip(&mut self, what: Skipping) {
        self.end();
        self.skipping = what;
    }

    fn line(&mut self, comment: &Comment, at: usize) {
        let line = comment.lines[at];
        if self.skips(line) {
            return;
        }
        let text = line.text;
        if text.is_empty() {
            self.end();
            self.fresh = true;
            return;
        }
        let fresh = std::mem::replace(&mut self.fresh, false);
        if let Some(fence) = ["```", "~~~"].into_iter().find(|fence| text.starts_with(fence)) {
            // A line that also closes the fence is code on one line.
            if text[3..].contains(fence) {
                self.end();
            } else {
                self.skip(Skipping::Fence(fence));
            }
            return;
        }
        if self.builder.mark(text, line.number) {
            self.open = false;
            return;
        }
        if text.starts_with(">>>") {
            return self.skip(Skipping::Doctest);
        }
        if comment.documentation && fresh && line.indent >= 4 && !self.in_list {
            self.end();
            // The next line may be code too.
            self.fresh = true;
            return;
        }
        if is_directive(text) || is_reference(text) {
            return self.end();
        }
        if let Some(tag) = tag_of(text) {
            return self.tagged(tag, line);
        }
        if comment.form == Form::Docstring && self.structured(comment, at) {
            return;
        }
        let (text, ruled) = unruled(without_directive(text));
        if is_code(text) {
            return self.end();
        }
        if ruled {
            self.heading(text, line.number);
        } else if let Some(heading) = heading_of(text).filter(|_| comment.documentation) {
            self.heading(heading, line.number);
        } else if let Some(item) = self.item_of(text) {
            self.begin(BlockKind::Item);
            self.in_list = true;
            self.add(item, line.number);
        } else {
            if !self.open {
                self.begin(BlockKind::Comment);
                self.in_list &= line.indent >= 2;
            }
            if comment.documentation && self.language.documents_with_tags() {
                self.add_tagged(text, line.number);
            } else {
                self.add(text, line.number);
            }
        }
    }

    /// Whether an earlier line causes this line to be left out.
    fn skips(&mut self, line: Line) -> bool {
        let ends = match self.skipping {
            Skipping::Nothing => return false,
            Skipping::DeeperThan(indent) if !line.text.is_empty() && line.indent <= indent => {
                self.skipping = Skipping::Nothing;
                return false;
            }
            Skipping::Example if tag_of(line.text).is_some() => {
                self.skipping = Skipping::Nothing;
                return false;
            }
            Skipping::Fence(fence) => line.text.starts_with(fence),
            Skipping::Until(end) => line.text.contains(end),
            Skipping::Doctest => line.text.is_empty(),
            Skipping::DeeperThan(_) | Skipping::Example => false,
        };
        if ends {
            self.skipping = Skipping::Nothing;
            self.fresh = true;
        }
        true
    }

    fn heading(&mut self, text: &str, number: usize) {
        self.begin(BlockKind::Heading);
        self.in_list = false;
        self.add(text, number);
        self.end();
        self.fresh = true;
    }

    /// The text after a bullet or a number. Within a paragraph, only the number one begins a list: a sentence may end
    /// with a year at the start of a line.
    fn item_of<'a>(&self, text: &'a str) -> Option<&'a str> {
        if let Some(item) = ["- ", "* ", "+ ", "• "]
            .iter()
            .find_map(|bullet| text.strip_prefix(bullet))
        {
            return Some(item);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let item = text[digits..].strip_prefix(['.', ')'])?.strip_prefix(' ')?;
        ((1..=3).contains(&digits) && (!self.open || self.in_list || &text[..digits] == "1")).then_some(item)
    }

    /// Begins a block with the text of a tag of Javadoc, JSDoc, Doxygen or reStructuredText.
    fn tagged(&mut self, tag: Tag, line: Line) {
        self.in_list = false;
        match tag.name {
            "code" | "startcode" => return self.skip(Skipping::Until("endcode")),
            "verbatim" => return self.skip(Skipping::Until("endverbatim")),
            "example" => return self.skip(Skipping::Example),
            "author" | "authors" | "copyright" | "date" | "file" | "license" | "link" | "module" | "package"
            | "see" | "since" | "type" | "typedef" | "version" => return self.end(),
            _ if tag.said.is_empty() => return self.end(),
            _ => {}
        }
        self.begin(BlockKind::Comment);
        self.add(line.text, line.number);
    }

    /// Handles the structure of docstrings. Returns whether the line was part of it.
    fn structured(&mut self, comment: &Comment, at: usize) -> bool {
        let line = comment.lines[at];
        let text = line.text;
        if let Some((name, said)) = text
            .strip_prefix(".. ")
            .and_then(|directive| directive.split_once("::"))
        {
            if ["code", "doctest", "literalinclude", "math", "sourcecode", "testcode"]
                .iter()
                .any(|code| name.starts_with(code))
            {
                self.skip(Skipping::DeeperThan(line.indent));
            } else {
                self.begin(BlockKind::Comment);
                self.add(said, line.number);
            }
            return true;
        }
        let underlined = comment.lines.get(at + 1).is_some_and(|next| {
            next.text.len() >= 3
                && ["-", "=", "~"]
                    .iter()
                    .any(|rule| next.text.trim_matches(|c| rule.contains(c)).is_empty())
        });
        let section = text
            .strip_suffix(':')
            .is_some_and(|name| name.starts_with(char::is_uppercase) && name.chars().all(char::is_alphabetic));
        if underlined || (section && comment.lines.get(at + 1).is_some_and(|next| next.indent > line.indent)) {
            self.heading(text, line.number);
            return true;
        }
        if text.ends_with("::") && !is_code(text) {
            if !self.open {
                self.begin(BlockKind::Comment);
            }
            self.add(text, line.number);
            self.skip(Skipping::DeeperThan(line.indent));
            return true;
        }
        if line.indent > 0 && is_entry(text) {
            self.begin(BlockKind::Comment);
            self.add(text, line.number);
            return true;
        }
        false
    }

    /// Adds a line that may have tags of HTML or XML. Tags of blocks end the paragraph. `<see cref="Name"/>` is read as
    /// its name.
    fn add_tagged(&mut self, text: &str, number: usize) {
        let mut rest = text;
        let mut searched = 0;
        while let Some(start) = rest[searched..].find('<').map(|found| found + searched) {
            let Some(length) = rest[start..].bytes().take(LONGEST_TAG).position(|byte| byte == b'>') else {
                searched = start + 1;
                continue;
            };
            let tag = &rest[start + 1..start + length];
            let name = tag.trim_start_matches('/');
            let name = &name[..name.bytes().take_while(u8::is_ascii_alphanumeric).count()];
            if !INLINE_TAGS.contains(&name) && !BLOCK_TAGS.contains(&name) {
                searched = start + 1;
                continue;
            }
            self.builder.add(&rest[..start], number);
            let behind = &rest[start + length + 1..];
            if name == "pre" || (name == "code" && self.language == Language::CSharp) {
                let end = if name == "pre" { "</pre>" } else { "</code>" };
                self.end();
                match (tag.starts_with('/'), behind.split_once(end)) {
                    (true, _) => rest = behind,
                    (false, Some((_, outside))) => rest = outside,
                    (false, None) => return self.skip(Skipping::Until(end)),
                }
                self.begin(BlockKind::Comment);
                searched = 0;
                continue;
            }
            if BLOCK_TAGS.contains(&name) {
                self.begin(if name == "li" {
                    BlockKind::Item
                } else {
                    BlockKind::Comment
                });
            } else if tag.ends_with('/')
                && let Some(named) = tag.split('"').nth(1)
            {
                self.builder.add(named, number);
            }
            rest = behind;
            searched = 0;
        }
        self.add(rest, number);
    }
}

/// Tags within a sentence.
#[rustfmt::skip]
const INLINE_TAGS: [&str; 17] = [
    "a", "b", "c", "code", "em", "i", "kbd", "paramref", "see", "seealso", "small", "span", "strong", "sub", "sup",
    "tt", "typeparamref",
];

/// Tags that end a paragraph.
#[rustfmt::skip]
const BLOCK_TAGS: [&str; 27] = [
    "br", "blockquote", "dd", "div", "dl", "dt", "example", "exception", "h1", "h2", "h3", "h4", "hr", "inheritdoc",
    "item", "li", "list", "ol", "p", "para", "param", "pre", "remarks", "returns", "summary", "typeparam", "ul",
];

/// A tag at the beginning of a line.
#[derive(Clone, Copy, Debug)]
struct Tag<'a> {
    name: &'a str,
    said: &'a str,
}

/// `@param x text`, `\param x text` or `:param x: text`.
fn tag_of(text: &str) -> Option<Tag<'_>> {
    let behind = text.strip_prefix(['@', '\\', ':'])?;
    let (name, said) = behind.split_at(behind.bytes().take_while(u8::is_ascii_alphabetic).count());
    let field = text.starts_with(':');
    // A role such as `:class:` with a backtick after it is part of a sentence.
    if name.is_empty() || (field && (said.starts_with(":`") || !said.contains(':'))) {
        return None;
    }
    let said = if field { said.split_once(':')?.1 } else { said };
    Some(Tag {
        name,
        said: said.trim(),
    })
}

/// `# Heading`.
fn heading_of(text: &str) -> Option<&str> {
    let heading = text.trim_start_matches('#');
    ((1..=6).contains(&(text.len() - heading.len())) && heading.starts_with(' ')).then_some(heading)
}

/// `name: text` or `name (type): text`, as the sections of docstrings list arguments.
fn is_entry(text: &str) -> bool {
    let Some((name, _)) = text.split_once(": ") else {
        return false;
    };
    let name = name
        .split_once(" (")
        .filter(|(_, kind)| kind.ends_with(')'))
        .map_or(name, |(name, _)| name);
    name.trim_start_matches('*')
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_')
}

/// The beginnings of lines that are for a tool or about rights, in small letters.
#[rustfmt::skip]
const DIRECTIVES: [&str; 70] = [
    "#endregion", "#region", "$id", "(c) ", "+build", "-*-", "<amd-", "<reference", "@flow", "@jest-environment",
    "@jsx", "@phpstan-", "@preserve", "@psalm-", "@ts-", "biome-ignore", "c8 ignore", "checkstyle:", "clang-format o",
    "clippy::", "codespell:", "coding:", "coding=", "copyright", "cspell:", "deno-fmt-", "deno-lint-", "encoding:",
    "eslint-", "eslint no-", "flake8:", "fmt:", "frozen_string_literal:", "go:", "isort:", "istanbul ignore",
    "iwyu pragma", "jscs:", "jshint", "jslint", "mypy:", "nolint", "noinspection", "noqa", "nosec", "nosonar",
    "phpcs:", "phpstan-", "pragma:", "prettier-ignore", "psalm-", "pylint:", "pyright:", "rubocop:", "ruff:",
    "rustfmt::", "shellcheck disable", "shellcheck shell", "shellcheck source", "sourcemappingurl", "spdx-",
    "spell-checker:", "swiftlint:", "tslint:", "type: ignore", "v8 ignore", "vi:", "vim:", "webpackchunkname",
    "yapf:",
];

/// Whether a line is for a tool, or about copyright.
fn is_directive(text: &str) -> bool {
    let small = text.to_lowercase();
    let begins = small.trim_start_matches(['©', ' ', '#', '/']);
    DIRECTIVES
        .iter()
        .any(|directive| small.starts_with(directive) || begins.starts_with(directive))
        || [
            "spdx-license-identifier",
            "all rights reserved",
            "copyright (c)",
            "copyright ©",
            "-*- coding",
        ]
        .iter()
        .any(|rights| small.contains(rights))
        || small.starts_with('©')
}

/// A line without the directive at its end.
fn without_directive(text: &str) -> &str {
    let ends = [
        "# noqa",
        "# type: ignore",
        "# pylint:",
        "# pragma:",
        "# nosec",
        "// eslint-disable",
        "//nolint",
        "// nolint",
    ];
    let end = ends.iter().filter_map(|directive| text.find(directive)).min();
    text[..end.unwrap_or(text.len())].trim_end()
}

/// Whether a line is only an address, or defines a link of Markdown.
fn is_reference(text: &str) -> bool {
    let address = |word: &str| word.trim_start_matches('<').starts_with("http");
    (address(text) && !text.contains(' '))
        || text
            .strip_prefix('[')
            .and_then(|link| link.split_once("]: "))
            .is_some_and(|(_, to)| !to.trim().contains(' '))
}

/// A title without the ruler around it, and whether there was one.
fn unruled(text: &str) -> (&str, bool) {
    let rule = |c: char| "-=*#~_+/─═━".contains(c);
    let before = text.len() - text.trim_start_matches(rule).len();
    let after = text.len() - text.trim_end_matches(rule).len();
    if before.max(after) < 3 {
        return (text, false);
    }
    (text.trim_matches(rule).trim(), true)
}

/// Whether a line looks like code, by the rules at the top of this module.
fn is_code(text: &str) -> bool {
    if text.ends_with(['{', '}']) && !text.contains("{@") {
        return true;
    }
    let symbols = |c: char| "()=[]{}<>&|*+$".contains(c);
    if text.ends_with(';')
        && (text.contains(symbols) || text.contains("::") || text.contains("->") || text.split_whitespace().count() < 4)
    {
        return true;
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let signs = text
        .chars()
        .filter(|c| !c.is_alphanumeric() && !c.is_whitespace())
        .count();
    let name = |name: &str| {
        name.starts_with(|c: char| c.is_alphabetic() || "_$".contains(c))
            && name.chars().all(|c| c.is_alphanumeric() || "_.$:".contains(c))
    };
    signs > letters
        || text.split_once(" = ").is_some_and(|(to, _)| name(to))
        || (text.ends_with(')')
            && text.matches('(').count() == 1
            && text.split_once('(').is_some_and(|(called, _)| name(called)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use BlockKind::{Comment as C, Heading as H, Item as I};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    /// The text, the kind and the first line of each block.
    fn blocks(text: &str, language: Language) -> Vec<(String, BlockKind, usize)> {
        let prose = extract(text, language);
        assert_eq!(prose.notes, []);
        prose
            .blocks
            .into_iter()
            .map(|block| (block.text, block.kind, block.pieces[0].line))
            .collect()
    }

    fn assert_blocks(text: &str, language: Language, expected: &[(&str, BlockKind, usize)]) {
        let found = blocks(text, language);
        let found: Vec<(&str, BlockKind, usize)> = found
            .iter()
            .map(|(text, kind, line)| (text.as_str(), *kind, *line))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rust_comments_are_joined_by_marker_and_separated_by_empty_lines() {
        assert_blocks(
            r#"//! The module
//! of hens.
//!
//! # Why hens
//!
//! They lay.

// One, and
// the same.
/// Another marker.
fn lay() {
    let text = "// no comment"; // Behind code.
    // Below it.
    /* A block, */ /* and another. */
}
/** Documents
 *  a hen /* nested */.
 */
struct Hen;
"#,
            Language::Rust,
            &[
                ("The module of hens.", C, 1),
                ("Why hens", H, 4),
                ("They lay.", C, 6),
                ("One, and the same.", C, 8),
                ("Another marker.", C, 10),
                ("Behind code.", C, 12),
                ("Below it.", C, 13),
                ("A block,", C, 14),
                ("and another.", C, 14),
                ("Documents a hen /* nested */.", C, 16),
            ],
        );
    }

    #[test]
    fn code_in_rust_documentation_is_left_out_and_lists_are_kept() {
        assert_blocks(
            "/// Before:\n/// ```\n/// let x = 1;\n/// whowrote: ignore\n/// words within\n/// ```\n/// After.\n///\n///     four spaces of code\n///\n///     \
             and more\n///\n/// - one\n///   goes on\n/// - two\n///\n///     of two\n/// 1. number\n///\n/// In the year\n/// 1984. And on.\nfn f() {}\n",
            Language::Rust,
            &[
                ("Before:", C, 1),
                ("After.", C, 7),
                ("one goes on", I, 13),
                ("two", I, 15),
                ("of two", C, 17),
                ("number", I, 18),
                ("In the year 1984. And on.", C, 20),
            ],
        );
    }

    #[test]
    fn python_docstrings_are_the_first_statements_of_bodies() {
        assert_blocks(
            r#"#!/usr/bin/env python3
# A comment comes first.
"""The module.

Its second paragraph
goes on.
"""
NAME = "no docstring"

class Hen:
    # Before it.
    r'''Hens lay.'''
    """Not this one."""

    def lay(self, n):
        """Lay eggs.

        >>> Hen().lay(2)
        2 eggs printed

        Args:
            n: how many of them
                there are.
            self (Hen): the hen.

        Returns
        -------
        Something like::

            code that is left out

        :param n: the number
        :returns: eggs
        """
        return f"""no docstring"""

    async def no(self):
        f"""Nor this."""

if NAME:
    "Nor that."
"#,
            Language::Python,
            &[
                ("A comment comes first.", C, 2),
                ("The module.", C, 3),
                ("Its second paragraph goes on.", C, 5),
                ("Before it.", C, 11),
                ("Hens lay.", C, 12),
                ("Lay eggs.", C, 16),
                ("Args:", H, 21),
                ("n: how many of them there are.", C, 22),
                ("self (Hen): the hen.", C, 24),
                ("Returns", H, 26),
                ("Something like::", C, 28),
                (":param n: the number", C, 32),
                (":returns: eggs", C, 33),
            ],
        );
    }

    #[test]
    fn javascript_blocks_lose_their_stars_and_tags_begin_blocks() {
        assert_blocks(
            "/**\n * Feeds the <b>hens</b>.\n * <p>Twice.\n *\n * @param {Array<string>} corn what they\n *   like\n * @returns nothing at all\n * @since 1.2\n \
             * @example\n * feed(corn)\n */\nfunction feed(corn) {}\n/* eslint-disable */\n/*\n  Without stars:\n  * a bullet\n  * another\n*/\n",
            Language::JavaScript,
            &[
                ("Feeds the hens.", C, 2),
                ("Twice.", C, 3),
                ("@param {Array<string>} corn what they like", C, 5),
                ("@returns nothing at all", C, 7),
                ("Without stars:", C, 15),
                ("a bullet", I, 16),
                ("another", I, 17),
            ],
        );
    }

    #[test]
    fn c_comments_lose_rulers_rights_and_code() {
        assert_blocks(
            "/* SPDX-License-Identifier: MIT */\n/*\n * Copyright (c) 2020 Somebody\n * All rights reserved.\n *\n * What it does.\n */\n#include <x.h>\n\
             /***************/\n/* ---- Helpers ---- */\nint x; /**< how many */\n// int y = 3;\n// if (x) {\n// }\n// x = y\n// call(me)\n// TODO: not yet;\n\
             // because of (all) that.\n// clang-format off\nchar *s = \"/* no */\";\n",
            Language::C,
            &[
                ("What it does.", C, 6),
                ("Helpers", H, 10),
                ("how many", C, 11),
                ("because of (all) that.", C, 18),
            ],
        );
    }

    #[test]
    fn every_other_language_has_its_comments() {
        assert_blocks("<!-- An old one\nx()\n", Language::JavaScript, &[("An old one", C, 1)]);
        let slashes = "// One line\n// and two.\n\n/* A block. */\n";
        let expected = [("One line and two.", C, 1), ("A block.", C, 4)];
        for language in [
            Language::Cpp,
            Language::Go,
            Language::Java,
            Language::TypeScript,
            Language::Tsx,
            Language::CSharp,
        ] {
            assert_blocks(slashes, language, &expected);
        }
        assert_blocks(
            "/// <summary>\n/// Feeds <see cref=\"Hen\"/>.\n/// <code>\n/// feed hens\n/// </code>\n/// </summary>\n/// <param name=\"n\">The number.</param>\nclass A {}\n",
            Language::CSharp,
            &[("Feeds Hen.", C, 2), ("The number.", C, 7)],
        );
        assert_blocks(
            "//go:build linux\n\n// Lay lays:\n//\n//\tcode in here\n//\n// More.\nfunc Lay() {}\n",
            Language::Go,
            &[("Lay lays:", C, 3), ("More.", C, 7)],
        );
    }

    #[test]
    fn characters_in_quotes_are_not_strings() {
        let text = "fn f() { g('é', '\"', '鶏', '/'); } // One\n\n// two\n";
        assert_blocks(text, Language::Rust, &[("One", C, 1), ("two", C, 3)]);
    }

    #[test]
    fn marks_exempt_comments() {
        let text = "// whowrote: ignore-start\n// One\n\n/* two */\n# [x]\n// whowrote: ignore-end\n// Three\n/* whowrote: ignore */\n// Four\n//\n// Five\n";
        let prose = extract(text, Language::Rust);
        let found: Vec<(&str, bool)> = prose
            .blocks
            .iter()
            .map(|block| (block.text.as_str(), block.ignored))
            .collect();
        assert_eq!(
            found,
            [
                ("One", true),
                ("two", true),
                ("Three", false),
                ("Four", true),
                ("Five", false)
            ]
        );
    }

    #[test]
    fn directives_after_words_are_cut_and_todos_stay() {
        assert_blocks(
            "x = 1  # the first  # noqa: E501\ny = 2  # type: ignore\n# TODO: write more\n# pylint: disable=all\n",
            Language::Python,
            &[("the first", C, 1), ("TODO: write more", C, 3)],
        );
    }

    #[test]
    fn prose_that_ends_with_a_semicolon_is_not_code() {
        for code in [
            "return x;",
            "int main(void) {",
            "}",
            "a.b = c",
            "assert_eq(a, b)",
            "x = f(y);",
            "==== | ===",
            "&a[i] += *b",
        ] {
            assert!(is_code(code), "{code}");
        }
        for prose in [
            "the hens are fed first; then come the goats;",
            "see the notes (below)",
            "Ø 鶏は卵を産む。",
            "{@link Hen} and {@code egg}",
        ] {
            assert!(!is_code(prose), "{prose}");
        }
    }

    #[test]
    fn extensions_name_languages() {
        assert_eq!(Language::of_extension("RS"), Some(Language::Rust));
        assert_eq!(Language::of_extension("tsx"), Some(Language::Tsx));
        assert_eq!(Language::of_extension("md"), None);
        let names: std::collections::HashSet<&str> = Language::ALL.iter().map(|language| language.name()).collect();
        assert_eq!(names.len(), Language::ALL.len());
    }

    #[test]
    fn a_megabyte_of_anything_takes_no_time() {
        // Each takes at most a tenth of a second when optimised, and seconds on a busy machine. Quadratic time would take
        // minutes.
        let limit = Duration::from_secs(20);
        for language in Language::ALL {
            for what in PARTS.iter().chain(&[
                "r#\"",
                "R\"a(",
                "<<A\n",
                "<<<A\nA\n",
                "\\\"",
                "/",
                "[/",
                "@\"",
                ".. a::\n",
                "'\\",
                "<p",
            ]) {
                let text = what.repeat((1 << 20) / what.len());
                let begun = Instant::now();
                extract(&text, language);
                let took = begun.elapsed();
                assert!(took < limit, "{} {what:?} took {took:?}", language.name());
            }
        }
    }

    /// Checks that each word stands on its line. Tags within a word are removed.
    fn assert_lines(text: &str, language: Language) {
        let lines: Vec<&str> = text.split('\n').collect();
        for block in extract(text, language).blocks {
            for piece in block.pieces {
                let line = lines[piece.line - 1];
                for word in block.text[piece.span].split_whitespace() {
                    assert!(
                        line.contains(word) || line.contains('<'),
                        "{word:?} is not on line {}: {line:?}",
                        piece.line
                    );
                }
            }
        }
    }

    /// Parts of comments, and of code that confuses a scanner.
    #[rustfmt::skip]
    const PARTS: [&str; 68] = [
        "// ", "/// ", "//! ", "/*", "*/", "/**", "\n", "\n", "\n * ", "# ", "\"\"\"", "'''", "\"", "'", "=begin",
        "=end", "```", ">>> ", "    ", "\t", "- ", "1. ", "@param x ", "@example", "@code", "<p>", "<pre>",
        "</pre>", "<see cref=\"é\"/>", "</", ".. code::", "::", ":param a: ", "Args:", "---", "word", "Ünï", "鶏",
        "\r\n", "\r", "\u{feff}", "\0", "\u{2028}", "{", "}", "(", ")", ";", "def f():", "class A:", "fn f",
        "<?php ", "?>", "<<E\n", "${", "$(", "`", "whowrote: ignore-start", "whowrote: x", "<!--", "-->", "\\",
        "r#\"", "x = 1 ", "©", "#!", "--", "[a]: ",
    ];

    #[test]
    fn characters_of_high_numbers_crash_no_scanner() {
        for language in Language::ALL {
            assert_lines("echo {\u{10ffff}..3}\n${\u{f0000}}\n", language);
        }
    }

    /// Texts made of these parts.
    fn texts() -> impl Strategy<Value = String> {
        prop::collection::vec(prop::sample::select(&PARTS[..]), 0..60).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn words_stand_on_the_lines_they_are_said_to(text in texts()) {
            for language in Language::ALL {
                assert_lines(&text, language);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            for language in Language::ALL {
                assert_lines(&text, language);
            }
        }

        #[test]
        fn words_in_comments_are_all_found(words in prop::collection::vec("[a-z]{2,9}( [a-z]{2,9}){3,9}", 1..9)) {
            for language in Language::ALL {
                let marker = match language {
                    Language::Bash | Language::Python | Language::Ruby => "#",
                    _ => "//",
                };
                let begins = if language == Language::Php { "<?php\n" } else { "" };
                let text = words.iter().fold(begins.to_owned(), |text, line| format!("{text}{marker} {line}\n"));
                let prose = extract(&text, language);
                prop_assert_eq!(prose.blocks.len(), 1);
                prop_assert_eq!(&prose.blocks[0].text, &words.join(" "));
                prop_assert_eq!(prose.blocks[0].pieces.len(), words.len());
            }
        }
    }
}
