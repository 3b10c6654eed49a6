//! Extracts the prose of a file, with the line of each word.
//!
//! People submit text in many formats: Markdown, HTML, LaTeX, a word processor's file, the comments of a program. The
//! program judges the text that a reader reads, without markup, code, addresses of links or formulas. Reports then
//! point to the lines of the file. Each markup has a module that extracts the text, and `Builder` turns it into blocks.

mod builder;
mod comments;
mod html;
mod latex;
mod lexical;
mod mail;
mod markdown;
mod office;
mod pdf;
mod plain;
mod rst;
mod subtitles;

pub use comments::Language;
pub use office::OfficeError;
pub use pdf::PdfError;

use super::{InputError, printable};
use builder::{Builder, Lines};
use serde::Serialize;
use std::ops::Range;
use std::path::Path;

/// The format that surrounds the text.
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
    /// Plain text.
    Plain,
    /// A word processor's file in Office Open XML.
    Docx,
    /// A word processor's file in OpenDocument.
    Odt,
    /// Pages as they are printed.
    Pdf,
    /// Mail: a message or a mailbox.
    Mail,
    /// Subtitles of a film.
    Subtitles,
    /// The comments of a program.
    Comments(Language),
}

/// Where the prose of a format comes from.
enum Extractor {
    /// The decoded text.
    Text(fn(&str) -> Prose),
    /// The bytes of the file. The name is for the messages.
    Bytes(fn(&str, &[u8]) -> Result<Prose, InputError>),
}

/// Everything that is known of a format beside the code that reads it.
struct Format {
    markup: Markup,
    /// Its name in JSON.
    id: &'static str,
    /// Its name in reports.
    name: &'static str,
    /// The endings of its files' names, in small letters.
    endings: &'static [&'static str],
    /// What is left out of such a file, in words.
    leaves_out: &'static str,
    extractor: Extractor,
}

/// Every format but source code, which has one for each [`Language`].
static FORMATS: [Format; 10] = [
    Format {
        markup: Markup::Markdown,
        id: "markdown",
        name: "Markdown",
        endings: &["md", "markdown", "mdown", "mkd", "mdx"],
        leaves_out: "markup, code and the addresses of links",
        extractor: Extractor::Text(markdown::extract),
    },
    Format {
        markup: Markup::ReStructuredText,
        id: "restructuredtext",
        name: "reStructuredText",
        endings: &["rst", "rest"],
        leaves_out: "markup, code and the addresses of links",
        extractor: Extractor::Text(rst::extract),
    },
    Format {
        markup: Markup::Html,
        id: "html",
        name: "HTML",
        endings: &["html", "htm", "xhtml"],
        leaves_out: "tags, scripts, code and the addresses of links",
        extractor: Extractor::Text(html::extract),
    },
    Format {
        markup: Markup::Latex,
        id: "latex",
        name: "LaTeX",
        endings: &["tex", "latex", "ltx"],
        leaves_out: "commands, formulas, code and comments",
        extractor: Extractor::Text(latex::extract),
    },
    Format {
        markup: Markup::Plain,
        id: "plain",
        name: "plain text",
        endings: &["txt", "text"],
        leaves_out: "nothing",
        extractor: Extractor::Text(plain::extract),
    },
    Format {
        markup: Markup::Docx,
        id: "docx",
        name: "a word processor's file (DOCX)",
        endings: &["docx", "docm"],
        leaves_out: "formatting, pictures, headers, footers and deleted text",
        extractor: Extractor::Bytes(|name, bytes| Ok(office::extract(name, office::OfficeFormat::Docx, bytes)?)),
    },
    Format {
        markup: Markup::Odt,
        id: "odt",
        name: "a word processor's file (ODT)",
        endings: &["odt", "ott"],
        leaves_out: "formatting, pictures, headers, footers and deleted text",
        extractor: Extractor::Bytes(|name, bytes| Ok(office::extract(name, office::OfficeFormat::Odt, bytes)?)),
    },
    Format {
        markup: Markup::Pdf,
        id: "pdf",
        name: "a PDF file",
        endings: &["pdf"],
        leaves_out: "layout, pictures, and what repeats on every page",
        extractor: Extractor::Bytes(|name, bytes| Ok(pdf::extract(name, bytes)?)),
    },
    Format {
        markup: Markup::Mail,
        id: "mail",
        name: "mail",
        endings: &["eml", "mbox"],
        leaves_out: "headers, attachments, quoted mail and signatures",
        extractor: Extractor::Bytes(mail::extract),
    },
    Format {
        markup: Markup::Subtitles,
        id: "subtitles",
        name: "subtitles",
        endings: &["srt", "vtt"],
        leaves_out: "times, numbers and formatting",
        extractor: Extractor::Text(subtitles::extract),
    },
];

impl Markup {
    /// The markup that the name of a file shows. `None` for a file without prose.
    pub fn of_path(path: &Path) -> Option<Self> {
        let Some(ending) = path.extension() else {
            return Self::of_name(path.file_name()?.to_str()?);
        };
        let ending = ending.to_str()?.to_lowercase();
        match FORMATS.iter().find(|format| format.endings.contains(&ending.as_str())) {
            Some(format) => Some(format.markup),
            None => Language::of_extension(&ending).map(Self::Comments),
        }
    }

    /// The format of a document that a person hands in, by the file's ending; none for a file that is judged as it is.
    /// Source code is judged as it is: its comments alone are not what was handed in.
    pub fn of_document(path: &Path) -> Option<Self> {
        Self::of_path(path).filter(|markup| !matches!(markup, Self::Plain | Self::Comments(_)))
    }

    /// The usual markup of a file whose name has no ending.
    fn of_name(name: &str) -> Option<Self> {
        match name.to_uppercase().as_str() {
            "CHANGELOG" | "CHANGES" | "CONTRIBUTING" | "HACKING" | "INSTALL" | "NEWS" | "README" | "TODO" => {
                Some(Self::Plain)
            }
            "GEMFILE" | "RAKEFILE" | "VAGRANTFILE" => Some(Self::Comments(Language::Ruby)),
            _ => None,
        }
    }

    /// Its row in [`FORMATS`]; source code has none.
    fn format(self) -> Option<&'static Format> {
        FORMATS.iter().find(|format| format.markup == self)
    }

    /// Its name in JSON.
    pub fn id(self) -> &'static str {
        self.format().map_or("source", |format| format.id)
    }

    /// What is left out of such a file, in words.
    pub fn leaves_out(self) -> &'static str {
        self.format()
            .map_or("everything except comments", |format| format.leaves_out)
    }

    /// The name for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Comments(language) => language.name(),
            markup => markup.format().map_or("text", |format| format.name),
        }
    }
}

/// Extracts the prose of a file.
///
/// # Errors
/// When the bytes are not text, or not a valid file of the word processor or a valid PDF file.
pub fn of_file(name: &str, markup: Markup, bytes: &[u8]) -> Result<Prose, InputError> {
    let text = || crate::document::decoded(name, bytes);
    match markup {
        Markup::Comments(language) => Ok(comments::extract(&text()?, language)),
        markup => match markup.format().map(|format| &format.extractor) {
            Some(Extractor::Bytes(extract)) => extract(&printable(name), bytes),
            Some(Extractor::Text(extract)) => Ok(extract(&text()?)),
            None => Ok(plain::extract(&text()?)),
        },
    }
}

/// A paragraph, a heading, an item of a list, a cell of a table, or a comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The words, with single spaces between them.
    pub text: String,
    /// The pieces of the text in order. Each line has one piece or several.
    pub pieces: Vec<Piece>,
    /// The kind of block.
    pub kind: BlockKind,
    /// Whether a mark in the file exempts the block.
    pub ignored: bool,
}

/// A piece of a block's text that stands on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The range of bytes in [`Block::text`].
    pub span: Range<usize>,
    /// The line of the file, counted from 1. In a word processor's file or a PDF file, the paragraph.
    pub line: usize,
}

/// The kind of a block.
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

/// What line numbers count.
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
    /// The blocks in the order of the file.
    pub blocks: Vec<Block>,
    /// The unit of [`Piece::line`].
    pub line_unit: LineUnit,
    /// Notes about the file for the person who reads the results, each with its line.
    pub notes: Vec<(usize, String)>,
}

impl Prose {
    /// The text alone: an empty line between paragraphs, and a line for each item of a list. Stretches that a mark in the
    /// file exempts are part of it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut before = None;
        for block in self.blocks.iter().filter(|block| !block.text.trim().is_empty()) {
            match before {
                None => {}
                Some(BlockKind::Item) if block.kind == BlockKind::Item => text.push('\n'),
                Some(_) => text.push_str("\n\n"),
            }
            text.push_str(&block.text);
            before = Some(block.kind);
        }
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    #[test]
    fn names_of_files_say_what_they_are() {
        let of = |name: &str| Markup::of_path(Path::new(name));
        assert_eq!(of("docs/README"), Some(Markup::Plain));
        assert_eq!(of("a/README.MD"), Some(Markup::Markdown));
        assert_eq!(of("Rakefile"), Some(Markup::Comments(Language::Ruby)));
        assert_eq!(of("a.docx"), Some(Markup::Docx));
        assert_eq!(of("x.SH"), Some(Markup::Comments(Language::Bash)));
        assert_eq!(
            (of("LICENSE"), of(".gitignore"), of("a.png"), of("..")),
            (None, None, None, None)
        );
    }

    /// The text of each block.
    pub fn texts(prose: Prose) -> Vec<String> {
        prose.blocks.into_iter().map(|block| block.text).collect()
    }

    /// The text and the kind of each block.
    pub fn kinds(prose: Prose) -> Vec<(String, BlockKind)> {
        let blocks = prose.blocks.into_iter();
        blocks.map(|block| (block.text, block.kind)).collect()
    }

    /// Each block as one line: its kind, its lines and its text.
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

    /// Like [`check`], and also checks that every word stands on its line unchanged.
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

    /// Checks what holds for all prose. If the file is given, also checks that the words stand on their lines.
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
                // The order is the same, but markup may stand between any two letters.
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
