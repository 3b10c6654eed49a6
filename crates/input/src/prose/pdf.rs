//! PDF files (ISO 32000-2).
//!
//! A PDF file has no paragraphs: it says where each letter stands. `file` finds its objects, `fonts` says which letters
//! the codes of a font are, `text` carries out a page's operators and gets lines of letters, and here lines become
//! paragraphs.
//!
//! All of it comes from outside. Whatever is read, unpacked or carried out is paid for out of [`MAX_WORK`], and what is
//! held grows no faster than that, so a file that unpacks without end, or draws the same form a million times, ends in
//! a sentence. Nothing here recurses deeper than a bound. The one library that gets to see any of it is `hayro-font`,
//! and what it sees is a font that was written anew within these bounds; should it panic all the same, that is a
//! sentence as well.
//!
//! What is read is what a reader of the page sees, as far as that is simple to say: not text off the page, nor smaller
//! than a point, turned, or on a layer that is not shown; text that is placed but not drawn only where a page has no
//! other, as behind a scan. White letters on white paper are read.

mod file;
mod fonts;
mod lines;
mod paragraphs;
mod text;

use super::Prose;
use crate::catch_panic;
use file::{Failure, File, Work};
use fonts::{Files, Fonts};
use text::{PageText, Reader};

/// The most pages. The longest novels have 4,000, and the work of reading one page is at least that of finding it.
pub const MAX_PAGES: usize = 10_000;

/// The most bytes that are read, unpacked and carried out, without pictures. A book of 1,000 pages takes 10 to 30 MiB,
/// and one full of drawings 100 MiB.
pub const MAX_WORK: usize = 256 << 20;

/// Why a PDF file cannot be read. The names of files are already safe to print.
#[derive(Debug, thiserror::Error)]
pub enum PdfError {
    /// Protected by a password, or by rights that need a key.
    #[error(
        "`{name}` is encrypted; save it without a password or restrictions, e.g. with `qpdf --decrypt`, or print it to \
         a new PDF file"
    )]
    Encrypted {
        /// The file.
        name: String,
    },
    /// No PDF file, or a damaged one.
    #[error(
        "`{name}` is not a PDF file, or it is cut off or damaged ({reason}); get the whole file, or save it as PDF again"
    )]
    Damaged {
        /// The file.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Pictures of pages.
    #[error("`{name}` is a scan: it has pages but no text; run it through OCR first, e.g. with `ocrmypdf`")]
    Scan {
        /// The file.
        name: String,
    },
    /// Neither text nor pictures.
    #[error(
        "`{name}` has no text on its pages, or draws its letters as shapes; if it shows text, run it through OCR first, \
         e.g. with `ocrmypdf --force-ocr`"
    )]
    NoText {
        /// The file.
        name: String,
    },
    /// Letters that only the eye can read.
    #[error(
        "`{name}` has fonts that do not say which letters they draw; run it through OCR first, e.g. with \
         `ocrmypdf --force-ocr`"
    )]
    NoLetters {
        /// The file.
        name: String,
    },
    /// More pages than are ever read.
    #[error("`{name}` has more than {limit} pages, the most that are read; split it into parts")]
    TooManyPages {
        /// The file.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// More to unpack or to carry out than is ever done.
    #[error("`{name}` takes more than {limit_mib} MiB unpacked, the most that is read; split it into parts")]
    TooLarge {
        /// The file.
        name: String,
        /// The limit.
        limit_mib: usize,
    },
}

/// The prose of a PDF file.
///
/// The line of a piece is the number of its paragraph, as in a word processor's file: a PDF file has no lines that
/// anybody could count. `name` stands in errors and must be safe to print.
pub fn extract(name: &str, bytes: &[u8]) -> Result<Prose, PdfError> {
    bounded(name, bytes, MAX_PAGES, MAX_WORK)
}

fn bounded(name: &str, bytes: &[u8], pages: usize, work: usize) -> Result<Prose, PdfError> {
    let name = name.to_owned();
    let read = catch_panic(|| read(bytes, pages, work)).unwrap_or(Err(Failure::Broken("its fonts cannot be read")));
    let pages = match read {
        Ok(pages) => pages,
        Err(Failure::Encrypted) => return Err(PdfError::Encrypted { name }),
        Err(Failure::TooManyPages) => return Err(PdfError::TooManyPages { name, limit: pages }),
        Err(Failure::TooMuchWork) => {
            let limit_mib = work >> 20;
            return Err(PdfError::TooLarge { name, limit_mib });
        }
        Err(Failure::Broken(reason)) => {
            let reason = reason.to_owned();
            return Err(PdfError::Damaged { name, reason });
        }
    };
    let sum = |count: fn(&PageText) -> usize| pages.iter().map(count).sum::<usize>();
    let (known, unknown) = (sum(|page| page.known), sum(|page| page.unknown));
    let prose = paragraphs::prose(pages_as_seen(&pages), known, unknown);
    if unknown > known {
        return Err(PdfError::NoLetters { name });
    }
    if prose.blocks.is_empty() {
        let has_pictures = pages.iter().any(|page| page.has_pictures);
        return Err(if has_pictures {
            PdfError::Scan { name }
        } else {
            PdfError::NoText { name }
        });
    }
    Ok(prose)
}

fn read(bytes: &[u8], limit: usize, work: usize) -> Result<Vec<PageText>, Failure> {
    let file = File::open(bytes, Work::new(work))?;
    let pages = text::pages(&file, limit)?;
    if pages.is_empty() {
        return Err(Failure::Broken("it has no pages"));
    }
    let files = Files::new();
    let mut reader = Reader::new(&file, Fonts::new(&files))?;
    pages.iter().map(|page| reader.page(page)).collect()
}

/// Pages with what is drawn on them; where that is nothing but a picture, with the text that lies behind it.
fn pages_as_seen(pages: &[PageText]) -> Vec<PageText> {
    let mut seen = pages.to_vec();
    for page in &mut seen {
        if page.lines.iter().any(|line| !line.place.is_invisible) {
            page.lines.retain(|line| !line.place.is_invisible);
        }
    }
    seen
}

#[cfg(test)]
mod tests;
