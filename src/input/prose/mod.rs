//! The prose of a file, with the line that each word stands on.
//!
//! People submit text inside of other things: Markdown, HTML, LaTeX, a word processor's file, the comments of a program. What is
//! judged is the text that a reader reads, without markup, code, links' addresses or formulas; and what is said of it has to name
//! the lines of the file that it came from. One module a markup takes the text out; `Builder` puts it together.

mod builder;
mod html;
mod latex;
mod lexical;
mod markdown;
mod office;
mod pdf;
mod plain;
mod rst;
mod source;

pub use office::OfficeError;
pub use pdf::PdfError;
pub use source::Language;

use super::{InputError, printable};
use builder::{Builder, Lines};
use serde::Serialize;
use std::ops::Range;
use std::path::Path;

/// What text is submitted inside of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Markup {
    /// Markdown.
    Markdown,
    /// reStructuredText.
    ReStructuredText,
    /// HTML.
    Html,
    /// LaTeX.
    Latex,
    /// Nothing.
    Plain,
    /// A word processor's file in Office Open XML.
    Docx,
    /// One in OpenDocument.
    Odt,
    /// Pages as they are printed.
    Pdf,
    /// Comments of a program.
    Source(Language),
}

impl Markup {
    /// What the name of a file says; none for a file that no prose is taken from.
    pub fn of_path(path: &Path) -> Option<Self> {
        let Some(ending) = path.extension() else {
            return Self::of_name(path.file_name()?.to_str()?);
        };
        let ending = ending.to_str()?.to_lowercase();
        Some(match ending.as_str() {
            "md" | "markdown" | "mdown" | "mkd" | "mdx" => Self::Markdown,
            "rst" | "rest" => Self::ReStructuredText,
            "html" | "htm" | "xhtml" => Self::Html,
            "tex" | "latex" | "ltx" => Self::Latex,
            "txt" | "text" => Self::Plain,
            "docx" | "docm" => Self::Docx,
            "odt" | "ott" => Self::Odt,
            "pdf" => Self::Pdf,
            ending => Self::Source(Language::of_extension(ending)?),
        })
    }

    /// What a name without an ending says, by custom.
    fn of_name(name: &str) -> Option<Self> {
        match name.to_uppercase().as_str() {
            "CHANGELOG" | "CHANGES" | "CONTRIBUTING" | "HACKING" | "INSTALL" | "NEWS" | "README" | "TODO" => {
                Some(Self::Plain)
            }
            "GEMFILE" | "RAKEFILE" | "VAGRANTFILE" => Some(Self::Source(Language::Ruby)),
            _ => None,
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markdown => "Markdown",
            Self::ReStructuredText => "reStructuredText",
            Self::Html => "HTML",
            Self::Latex => "LaTeX",
            Self::Plain => "plain text",
            Self::Docx => "a word processor's file (DOCX)",
            Self::Odt => "a word processor's file (ODT)",
            Self::Pdf => "a PDF file",
            Self::Source(language) => language.name(),
        }
    }
}

/// The prose of a file.
///
/// # Errors
/// When its bytes are no text, or no file of a word processor or PDF file where they should be one.
pub fn of_file(name: &str, markup: Markup, bytes: &[u8]) -> Result<Prose, InputError> {
    let text = || super::decoded(name, bytes);
    let office = |format| Ok(office::extract(&printable(name), format, bytes)?);
    match markup {
        Markup::Markdown => Ok(markdown::extract(&text()?)),
        Markup::ReStructuredText => Ok(rst::extract(&text()?)),
        Markup::Html => Ok(html::extract(&text()?)),
        Markup::Latex => Ok(latex::extract(&text()?)),
        Markup::Plain => Ok(plain::extract(&text()?)),
        Markup::Source(language) => Ok(source::extract(&text()?, language)),
        Markup::Docx => office(office::Format::Docx),
        Markup::Odt => office(office::Format::Odt),
        Markup::Pdf => Ok(pdf::extract(&printable(name), bytes)?),
    }
}

/// A paragraph, a heading, an item of a list, a cell of a table, or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The text: words with single spaces between them.
    pub text: String,
    /// Where it stands, in the order of the text: one piece for each line, or for each run of text of one.
    pub pieces: Vec<Piece>,
    /// What it is.
    pub kind: BlockKind,
    /// Whether a mark in the file exempts it.
    pub ignored: bool,
}

/// A stretch of a block's text, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Bytes of [`Block::text`].
    pub span: Range<usize>,
    /// The line of the file, counted from 1; in a word processor's file or a PDF file the paragraph.
    pub line: usize,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    /// A paragraph, or a cell of a table.
    Paragraph,
    /// A heading or a title.
    Heading,
    /// An item of a list.
    Item,
    /// A comment or a docstring of a source file.
    Comment,
}

/// What the numbers of lines count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineUnit {
    /// Lines of a text file.
    Line,
    /// Paragraphs of a word processor's file or a PDF file, which has no lines.
    Paragraph,
}

/// The prose of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prose {
    /// In the order of the file.
    pub blocks: Vec<Block>,
    /// What [`Piece::line`] counts.
    pub line_unit: LineUnit,
    /// What a reader of the results must know of the file, each with its line.
    pub notes: Vec<(usize, String)>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_what_they_are() {
        let of = |name: &str| Markup::of_path(Path::new(name));
        assert_eq!(of("docs/README"), Some(Markup::Plain));
        assert_eq!(of("a/README.MD"), Some(Markup::Markdown));
        assert_eq!(of("Rakefile"), Some(Markup::Source(Language::Ruby)));
        assert_eq!(of("a.docx"), Some(Markup::Docx));
        assert_eq!(of("a.PDF"), Some(Markup::Pdf));
        assert_eq!(of("x.SH"), Some(Markup::Source(Language::Bash)));
        assert_eq!(
            (of("LICENSE"), of(".gitignore"), of("a.png"), of("..")),
            (None, None, None, None)
        );
    }

    /// The text of each block.
    pub fn texts(prose: Prose) -> Vec<String> {
        prose.blocks.into_iter().map(|block| block.text).collect()
    }

    /// The same, with what each is.
    pub fn kinds(prose: Prose) -> Vec<(String, BlockKind)> {
        let blocks = prose.blocks.into_iter();
        blocks.map(|block| (block.text, block.kind)).collect()
    }

    /// Each block in one line: what it is, its lines, and its text.
    pub fn shown(prose: &Prose) -> Vec<String> {
        let block = |block: &Block| {
            let (first, last) = (block.pieces[0].line, block.pieces[block.pieces.len() - 1].line);
            let lines = if first == last {
                first.to_string()
            } else {
                format!("{first}-{last}")
            };
            format!("{:?} {lines}: {}", block.kind, block.text)
        };
        prose.blocks.iter().map(block).collect()
    }

    /// The same, and that words stand on their lines as they are.
    pub fn check_words(file: &str, prose: &Prose) {
        check(file, prose);
        let lines: Vec<&str> = file.lines().collect();
        for block in &prose.blocks {
            for piece in &block.pieces {
                for word in block.text[piece.span.clone()].split(|c: char| !c.is_alphabetic()) {
                    assert!(
                        lines[piece.line - 1].contains(word),
                        "{word} is not on line {}",
                        piece.line
                    );
                }
            }
        }
    }

    /// Holds what is true of all prose; where the file is given also that its words stand on the lines that are said.
    pub fn check(file: &str, prose: &Prose) {
        let lines: Vec<&str> = file.lines().collect();
        for block in &prose.blocks {
            assert!(!block.pieces.is_empty());
            assert!(block.text.contains(char::is_alphanumeric));
            assert_eq!(block.text.trim(), block.text);
            assert!(
                !block.text.contains("  ") && !block.text.contains('\n'),
                "{:?}",
                block.text
            );
            let mut end = 0;
            let mut before = 1;
            for piece in &block.pieces {
                assert!(piece.span.start >= end && piece.line >= before, "{block:?}");
                (end, before) = (piece.span.end, piece.line);
                // In this order; markup may stand between any two.
                if let Some(line) = lines.get(piece.line - 1) {
                    let mut signs = line.chars();
                    let mut letters = block.text[piece.span.clone()].chars().filter(|c| c.is_alphanumeric());
                    assert!(
                        letters.all(|letter| signs.any(|sign| sign == letter)),
                        "{block:?} in {line:?}"
                    );
                }
            }
            assert_eq!(end, block.text.len(), "{block:?}");
        }
    }
}
