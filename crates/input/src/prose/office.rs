//! Word processors' files: DOCX (ECMA-376, ISO/IEC 29500) and ODT (OASIS OpenDocument 1.3).
//!
//! Both are zip archives with the text in one XML member, `word/document.xml` or `content.xml`. Only that member is
//! read. (If an ODT file cannot be read, its manifest shows whether it is encrypted.) So comments, footnotes, headers
//! and footers of DOCX are not read. ODT has them within the text; there they are left out, so that a text saved in
//! both formats gives the same blocks. The first reference to a note or to another file gets a note in the report.
//!
//! Elements are recognised by namespace, not by prefix. Any prefix is allowed, some libraries write `ns0:p`, and a file
//! must not escape its test by an unusual prefix. The bindings are kept here in a map: [`quick_xml::NsReader`] searches
//! all bindings in scope, which takes quadratic time for a malicious file.
//!
//! Styles are recognised by their identifiers. DOCX defines its styles in another part, which is not read. So a heading
//! with an unusual style name (`berschrift1` in a German Word) is a paragraph, and text that a style hides counts as
//! visible. ODT defines automatic styles in the member that is read, and they follow their parent.
//!
//! Only members of these names are read. A DOCX file whose `_rels/.rels` names another main part is refused.
//!
//! The input is untrusted: nothing here recurses, the XML is streamed, and the limits below bound the memory.

use super::{BlockKind, Builder, LineUnit, Prose};
use crate::printable;
use crate::unpack::Limited;
use quick_xml::XmlVersion;
use quick_xml::encoding::EncodingError;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::QName;
use quick_xml::reader::Reader;
use std::collections::HashMap;
use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// The most bytes of XML. A novel of 200,000 words has about 5 MiB, or 30 MiB with many tracked changes.
pub const MAX_UNPACKED: u64 = 64 << 20;

/// The most paragraphs. A thick book has 20,000. A paragraph of 16 bytes of XML takes up to 200 bytes of memory.
pub const MAX_PARAGRAPHS: usize = 1_000_000;

/// The deepest nesting of elements. Word nests fewer than a hundred.
const MAX_DEPTH: usize = 10_000;

/// The most declarations in scope that change a namespace. Word declares forty.
const MAX_DECLARED: usize = 10_000;

/// The most bytes of a manifest or of a list of relations.
const MAX_MANIFEST: u64 = 1 << 20;

/// The first bytes of an OLE compound file: a `.doc` from before 2007, or an encrypted DOCX file.
const COMPOUND_FILE: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// The format of a word processor's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfficeFormat {
    /// Office Open XML, as Word writes it.
    Docx,
    /// OpenDocument text, as LibreOffice writes it.
    Odt,
}

impl OfficeFormat {
    fn name(self) -> &'static str {
        match self {
            OfficeFormat::Docx => "DOCX",
            OfficeFormat::Odt => "ODT",
        }
    }

    /// The member of the archive that holds the text.
    fn member(self) -> &'static str {
        match self {
            OfficeFormat::Docx => "word/document.xml",
            OfficeFormat::Odt => "content.xml",
        }
    }
}

/// Why a word processor's file cannot be read. The names of files are already safe to print.
#[derive(Debug, thiserror::Error)]
pub enum OfficeError {
    /// A binary file of an older word processor.
    #[error(
        "`{name}` is in an old binary format such as .doc, despite its name; \
         open it in a word processor and save it as {format}"
    )]
    OldBinary {
        /// The file.
        name: String,
        /// The format to save it in.
        format: &'static str,
    },
    /// The text is in an unusual part of the file.
    #[error(
        "`{name}` does not keep its text in `word/document.xml`, as usual; \
         open it in a word processor and save it again"
    )]
    OtherPart {
        /// The file.
        name: String,
    },
    /// The file is protected by a password.
    #[error("`{name}` is protected by a password; open it in a word processor and save it without one")]
    Encrypted {
        /// The file.
        name: String,
    },
    /// The file is not a zip archive, or is damaged.
    #[error(
        "`{name}` is not a {format} file, or it is damaged ({reason}); \
         open it in a word processor and save it as {format} again"
    )]
    NotZip {
        /// The file.
        name: String,
        /// The expected format.
        format: &'static str,
        /// What the library said.
        reason: String,
    },
    /// The file is an archive of something else.
    #[error(
        "`{name}` is not a {format} file, because it lacks `{member}`; \
         open it in a word processor and save it as {format}"
    )]
    NoText {
        /// The file.
        name: String,
        /// The expected format.
        format: &'static str,
        /// The missing member.
        member: &'static str,
    },
    /// Two members have the same name, so programs may read different ones.
    #[error(
        "`{name}` holds two parts of the same name, so programs may show different texts; \
         open it in a word processor and save it again"
    )]
    Ambiguous {
        /// The file.
        name: String,
    },
    /// The compression is one that no word processor uses.
    #[error(
        "`{name}` uses an unusual compression for `{member}` ({reason}); open it in a word processor and save it again"
    )]
    Compression {
        /// The file.
        name: String,
        /// The member.
        member: &'static str,
        /// What the library said.
        reason: String,
    },
    /// The text exceeds the size limit.
    #[error(
        "`{name}` unpacks to more than {limit_mib} MiB of `{member}`, the largest size allowed; split it into parts"
    )]
    TooLarge {
        /// The file.
        name: String,
        /// The member.
        member: &'static str,
        /// The limit.
        limit_mib: u64,
    },
    /// The text has too many paragraphs.
    #[error("`{name}` has more than {limit} paragraphs, the largest number allowed; split it into parts")]
    TooManyParagraphs {
        /// The file.
        name: String,
        /// The limit.
        limit: usize,
    },
    /// The text is not XML, or not in its format.
    #[error(
        "`{name}` cannot be read, because its `{member}` is broken ({reason}); \
         open it in a word processor and save it again"
    )]
    Broken {
        /// The file.
        name: String,
        /// The member.
        member: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

/// Extracts the prose of a word processor's file.
///
/// The line of a piece is the number of its paragraph in the document, counted from 1. Empty paragraphs and code count
/// too. Errors call the file `name`, which must be safe to print.
pub fn extract(name: &str, format: OfficeFormat, bytes: &[u8]) -> Result<Prose, OfficeError> {
    let file = File { name, format };
    if bytes.starts_with(COMPOUND_FILE) {
        return Err(file.compound(bytes));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| file.not_zip(error))?;
    if archive.has_duplicate_names() {
        return Err(OfficeError::Ambiguous { name: name.to_owned() });
    }
    // LibreOffice can encrypt the whole package. The archive then holds only that and a manifest.
    if format == OfficeFormat::Odt && archive.index_for_name("encrypted-package").is_some() {
        return Err(file.encrypted());
    }
    if format == OfficeFormat::Docx && names_another_part(&mut archive).unwrap_or(true) {
        return Err(OfficeError::OtherPart { name: name.to_owned() });
    }
    let read = match archive.by_name(format.member()) {
        Ok(member) => {
            // The library would report this only while reading, and as if the file were damaged.
            if !matches!(
                member.compression(),
                CompressionMethod::Stored | CompressionMethod::Deflated
            ) {
                return Err(file.compression(member.compression()));
            }
            let member = BufReader::with_capacity(1 << 16, Limited::new(member, MAX_UNPACKED));
            read(format, member, MAX_PARAGRAPHS)
        }
        Err(error) => return Err(file.no_member(error)),
    };
    read.map_err(|failure| match failure {
        // An encrypted member looks like noise. Only the manifest shows that it is encrypted.
        Failure::Broken(_) if format == OfficeFormat::Odt && manifest_tells_of_encryption(&mut archive) => {
            file.encrypted()
        }
        failure => file.failed(failure),
    })
}

/// What errors need to know of a file.
struct File<'a> {
    name: &'a str,
    format: OfficeFormat,
}

impl File<'_> {
    fn compound(&self, bytes: &[u8]) -> OfficeError {
        // The directory of a compound file holds the names of streams in UTF-16.
        let stream: Vec<u8> = "EncryptedPackage".bytes().flat_map(|byte| [byte, 0]).collect();
        if bytes.windows(stream.len()).any(|window| window == stream) {
            return self.encrypted();
        }
        OfficeError::OldBinary {
            name: self.name.to_owned(),
            format: self.format.name(),
        }
    }

    fn encrypted(&self) -> OfficeError {
        OfficeError::Encrypted {
            name: self.name.to_owned(),
        }
    }

    fn not_zip(&self, error: ZipError) -> OfficeError {
        OfficeError::NotZip {
            name: self.name.to_owned(),
            format: self.format.name(),
            reason: reason(error),
        }
    }

    fn no_member(&self, error: ZipError) -> OfficeError {
        let (name, member) = (self.name.to_owned(), self.format.member());
        match error {
            ZipError::FileNotFound => OfficeError::NoText {
                name,
                format: self.format.name(),
                member,
            },
            ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => self.encrypted(),
            ZipError::CompressionMethodNotSupported(_) | ZipError::UnsupportedArchive(_) => self.compression(error),
            error => self.not_zip(error),
        }
    }

    fn compression(&self, said: impl Display) -> OfficeError {
        OfficeError::Compression {
            name: self.name.to_owned(),
            member: self.format.member(),
            reason: reason(said),
        }
    }

    fn failed(&self, failure: Failure) -> OfficeError {
        let (name, member) = (self.name.to_owned(), self.format.member());
        match failure {
            Failure::TooLarge => OfficeError::TooLarge {
                name,
                member,
                limit_mib: MAX_UNPACKED >> 20,
            },
            Failure::TooManyParagraphs => OfficeError::TooManyParagraphs {
                name,
                limit: MAX_PARAGRAPHS,
            },
            Failure::Broken(reason) => OfficeError::Broken { name, member, reason },
        }
    }
}

/// A library's message, made safe to print because it may quote the file.
fn reason(said: impl Display) -> String {
    printable(&said.to_string().chars().take(160).collect::<String>())
}

fn manifest_tells_of_encryption(archive: &mut ZipArchive<Cursor<&[u8]>>) -> bool {
    let mut manifest = Vec::new();
    let Ok(member) = archive.by_name("META-INF/manifest.xml") else {
        return false;
    };
    // The part before an error is enough, because the answer only chooses the sentence.
    let _ = member.take(MAX_MANIFEST).read_to_end(&mut manifest);
    let sign = b"encryption-data";
    manifest.windows(sign.len()).any(|window| window == sign)
}

/// Whether the relations of a package name an unusual main part. A word processor opens the part that they name.
fn names_another_part(archive: &mut ZipArchive<Cursor<&[u8]>>) -> Result<bool, Failure> {
    let mut relations = Vec::new();
    let Ok(member) = archive.by_name("_rels/.rels") else {
        return Ok(false);
    };
    // If the list is broken, the part before the break counts.
    let _ = member.take(MAX_MANIFEST).read_to_end(&mut relations);
    let mut reader = Reader::from_reader(relations.as_slice());
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag) | Event::Empty(tag)) => {
                let (mut is_main, mut is_usual) = (false, false);
                for attribute in tag.attributes().with_checks(false).flatten() {
                    let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, 1, resolve_xml_entity)?;
                    match attribute.key.as_ref() {
                        b"Type" => is_main = value.ends_with("/officeDocument"),
                        b"Target" => {
                            is_usual =
                                value.trim_start_matches("./").trim_start_matches('/') == OfficeFormat::Docx.member()
                        }
                        _ => {}
                    }
                }
                if is_main && !is_usual {
                    return Ok(true);
                }
            }
            Ok(Event::Eof) | Err(_) => return Ok(false),
            Ok(_) => {}
        }
    }
}

/// Why the XML could not be read.
#[derive(Debug)]
enum Failure {
    TooLarge,
    TooManyParagraphs,
    Broken(String),
}

impl From<quick_xml::Error> for Failure {
    fn from(error: quick_xml::Error) -> Self {
        match error {
            quick_xml::Error::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => Failure::TooLarge,
            error => Failure::Broken(reason(error)),
        }
    }
}

impl From<EncodingError> for Failure {
    fn from(_: EncodingError) -> Self {
        Failure::Broken("it is not in UTF-8".to_owned())
    }
}

/// The namespaces that this module knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namespace {
    /// Any other namespace, or none.
    Other,
    /// WordprocessingML.
    Word,
    /// Formulas of DOCX.
    WordMath,
    /// Markup compatibility: alternatives for older programs.
    Compatibility,
    /// `office:` of ODT.
    Office,
    /// `text:` of ODT.
    Text,
    /// `style:` of ODT.
    Style,
    /// Another namespace of OpenDocument, or MathML. Its text is outside the running text: descriptions of pictures,
    /// data, formulas.
    Foreign,
}

impl Namespace {
    fn of(name: &str) -> Self {
        // DOCX has two names for each, one of the transitional and one of the strict variant.
        match name {
            "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
            | "http://purl.oclc.org/ooxml/wordprocessingml/main" => Namespace::Word,
            "http://schemas.openxmlformats.org/officeDocument/2006/math"
            | "http://purl.oclc.org/ooxml/officeDocument/math" => Namespace::WordMath,
            "http://schemas.openxmlformats.org/markup-compatibility/2006" => Namespace::Compatibility,
            "http://www.w3.org/1998/Math/MathML" => Namespace::Foreign,
            name => match name.strip_prefix("urn:oasis:names:tc:opendocument:xmlns:") {
                Some("office:1.0") => Namespace::Office,
                Some("text:1.0") => Namespace::Text,
                Some("style:1.0") => Namespace::Style,
                Some(_) => Namespace::Foreign,
                None => Namespace::Other,
            },
        }
    }
}

/// The prefixes in scope.
#[derive(Default)]
struct Prefixes {
    bound: HashMap<Vec<u8>, Namespace>,
    /// The bindings to restore, each with the depth of the element that replaced it.
    shadowed: Vec<(usize, Vec<u8>, Option<Namespace>)>,
}

impl Prefixes {
    /// Binds the prefixes that an element declares.
    fn enter(&mut self, tag: &BytesStart, depth: usize) -> Result<(), Failure> {
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            let prefix = match attribute.key.as_ref() {
                b"xmlns" => &[][..],
                key => match key.strip_prefix(b"xmlns:") {
                    Some(prefix) => prefix,
                    None => continue,
                },
            };
            let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, 1, resolve_xml_entity)?;
            let before = self.bound.get(prefix).copied();
            let namespace = Namespace::of(&value);
            // A prefix that is not in the map counts as `Other`.
            if before.unwrap_or(Namespace::Other) == namespace {
                continue;
            }
            if self.shadowed.len() == MAX_DECLARED {
                return Err(Failure::Broken("it declares too many namespaces".to_owned()));
            }
            self.bound.insert(prefix.to_vec(), namespace);
            self.shadowed.push((depth, prefix.to_vec(), before));
        }
        Ok(())
    }

    /// Removes the declarations of elements at this depth or deeper.
    fn leave(&mut self, depth: usize) {
        while let Some((_, prefix, before)) = self.shadowed.pop_if(|(declared, ..)| *declared >= depth) {
            match before {
                Some(namespace) => self.bound.insert(prefix, namespace),
                None => self.bound.remove(&prefix),
            };
        }
    }

    fn of_element(&self, name: QName) -> Namespace {
        let prefix = name.prefix().map_or(&[][..], |prefix| prefix.into_inner());
        self.bound.get(prefix).copied().unwrap_or(Namespace::Other)
    }

    /// The value of an attribute. An attribute without a prefix has no namespace, even if there is a default one.
    fn attribute(&self, tag: &BytesStart, namespace: Namespace, local: &[u8]) -> Result<Option<String>, Failure> {
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(quick_xml::Error::from)?;
            let (name, prefix) = attribute.key.decompose();
            if name.as_ref() == local
                && prefix.is_some_and(|prefix| self.bound.get(prefix.into_inner()) == Some(&namespace))
            {
                let value = attribute.normalized_value_with(XmlVersion::Implicit1_0, 1, resolve_xml_entity)?;
                return Ok(Some(value.into_owned()));
            }
        }
        Ok(None)
    }
}

/// The role of an open element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Element {
    /// No role of its own, but its content counts.
    Plain,
    /// The root of the document.
    Root,
    /// A paragraph or a heading.
    Paragraph,
    /// The properties of a paragraph of DOCX.
    ParagraphProperties,
    /// The numbering in the properties of a paragraph.
    Numbering,
    /// A run of DOCX.
    Run,
    /// The properties of a run.
    RunProperties,
    /// An element that holds text directly.
    Text,
    /// An item of a list in ODT.
    Item,
    /// An element that is ignored with its content.
    Skipped,
}

/// A paragraph that is being read.
#[derive(Debug, Default)]
struct Paragraph {
    number: usize,
    text: String,
    heading: bool,
    item: bool,
    code: bool,
    /// Whether the open run is hidden.
    hidden: bool,
}

/// What a style says about its paragraphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Heading,
    Code,
}

impl Role {
    fn of(style: &str) -> Option<Self> {
        let style = style.to_ascii_lowercase();
        if style.contains("code") || style.contains("preformatted") {
            Some(Role::Code)
        } else if style.starts_with("heading") || style.starts_with("title") {
            Some(Role::Heading)
        } else {
            None
        }
    }
}

/// The state while a document is read.
struct Walk {
    format: OfficeFormat,
    prefixes: Prefixes,
    /// The open elements. Elements within a skipped one are not listed.
    open: Vec<Element>,
    /// How many elements are open within the skipped one.
    skipped: usize,
    /// The open paragraphs. A paragraph in a text box lies within another one.
    paragraphs: Vec<Paragraph>,
    /// The finished paragraphs within an unfinished one.
    finished: Vec<Paragraph>,
    count: usize,
    /// The most paragraphs allowed.
    most: usize,
    /// How many list items are open.
    items: usize,
    /// The automatic styles of ODT that have a role.
    styles: HashMap<String, Role>,
    told_of_notes: bool,
    told_of_parts: bool,
    rooted: bool,
    builder: Builder,
}

/// Reads the XML of a document with at most `most` paragraphs.
fn read(format: OfficeFormat, source: impl BufRead, most: usize) -> Result<Prose, Failure> {
    let mut reader = Reader::from_reader(source);
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk {
        format,
        prefixes: Prefixes::default(),
        open: Vec::new(),
        skipped: 0,
        paragraphs: Vec::new(),
        finished: Vec::new(),
        count: 0,
        most,
        items: 0,
        styles: HashMap::new(),
        told_of_notes: false,
        told_of_parts: false,
        rooted: false,
        builder: Builder::default(),
    };
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        match reader.read_event_into(&mut buffer)? {
            Event::Start(tag) | Event::Empty(tag) => walk.start(&tag)?,
            Event::End(_) => walk.end(),
            Event::Text(text) if walk.open.is_empty() && !text.decode()?.trim().is_empty() => {
                return Err(Failure::Broken("text stands outside of the root element".to_owned()));
            }
            Event::Text(text) if walk.takes_text() => walk.text(&text.decode()?),
            Event::CData(text) if walk.takes_text() => walk.text(&text.decode()?),
            Event::GeneralRef(reference) if walk.takes_text() => match reference.resolve_char_ref()? {
                Some(character) => walk.text(character.encode_utf8(&mut [0; 4])),
                None => {
                    let entity = reference.decode()?;
                    let unknown = || Failure::Broken(reason(format!("the entity `{entity}` is not defined in XML")));
                    walk.text(resolve_xml_entity(&entity).ok_or_else(unknown)?);
                }
            },
            Event::Eof => break,
            // A document type is skipped, so its entities do not exist.
            _ => {}
        }
    }
    if !walk.rooted || !walk.open.is_empty() {
        return Err(Failure::Broken("it ends too early".to_owned()));
    }
    Ok(walk.builder.finish(LineUnit::Paragraph))
}

impl Walk {
    fn start(&mut self, tag: &BytesStart) -> Result<(), Failure> {
        if self.open.len() + self.skipped == MAX_DEPTH {
            return Err(Failure::Broken(
                "its elements lie too deep within each other".to_owned(),
            ));
        }
        if self.open.last() == Some(&Element::Skipped) {
            self.skipped += 1;
            return Ok(());
        }
        self.prefixes.enter(tag, self.open.len())?;
        let namespace = self.prefixes.of_element(tag.name());
        let local = tag.local_name();
        let element = match self.format {
            OfficeFormat::Docx => self.start_docx(tag, namespace, local.as_ref())?,
            OfficeFormat::Odt => self.start_odt(tag, namespace, local.as_ref())?,
        };
        if self.open.is_empty() {
            // Without this check, a document in another namespace would look empty.
            if element != Element::Root || self.rooted {
                return Err(Failure::Broken(format!(
                    "its root is not that of a {} document",
                    self.format.name()
                )));
            }
            self.rooted = true;
        }
        if element == Element::Item {
            self.items += 1;
        }
        self.open.push(element);
        Ok(())
    }

    fn start_docx(&mut self, tag: &BytesStart, namespace: Namespace, local: &[u8]) -> Result<Element, Failure> {
        match (namespace, local) {
            (Namespace::Compatibility, b"Fallback") => return Ok(Element::Skipped),
            (Namespace::WordMath, b"oMath" | b"oMathPara") => return Ok(Element::Skipped),
            (Namespace::Word, _) => {}
            _ => return Ok(Element::Plain),
        }
        let parent = self.open.last().copied();
        let in_run = parent == Some(Element::Run);
        Ok(match local {
            b"document" => Element::Root,
            b"p" => {
                self.begin_paragraph()?;
                Element::Paragraph
            }
            b"r" => {
                if let Some(paragraph) = self.paragraphs.last_mut() {
                    paragraph.hidden = false;
                }
                Element::Run
            }
            b"t" => Element::Text,
            // Deleted or moved text, old properties, and the reading aid above a word.
            b"del" | b"moveFrom" | b"pPrChange" | b"rPrChange" | b"rt" => Element::Skipped,
            b"tab" | b"ptab" | b"br" | b"cr" if in_run => {
                self.text(" ");
                Element::Plain
            }
            b"noBreakHyphen" if in_run => {
                self.text("-");
                Element::Plain
            }
            b"pPr" if parent == Some(Element::Paragraph) => Element::ParagraphProperties,
            b"rPr" if in_run => Element::RunProperties,
            b"numPr" if parent == Some(Element::ParagraphProperties) => {
                self.change(|paragraph| paragraph.item = true);
                Element::Numbering
            }
            // The number 0 removes the numbering of a style.
            b"numId" if parent == Some(Element::Numbering) => {
                let none = self.prefixes.attribute(tag, Namespace::Word, b"val")?.as_deref() == Some("0");
                self.change(|paragraph| paragraph.item = !none);
                Element::Plain
            }
            b"pStyle" if parent == Some(Element::ParagraphProperties) => {
                let style = self.prefixes.attribute(tag, Namespace::Word, b"val")?;
                let role = style.as_deref().and_then(Role::of);
                self.change(|paragraph| paragraph.play(role));
                Element::Plain
            }
            b"vanish" if parent == Some(Element::RunProperties) => {
                let off = self.prefixes.attribute(tag, Namespace::Word, b"val")?;
                let off = matches!(off.as_deref(), Some("0" | "false" | "off"));
                self.change(|paragraph| paragraph.hidden = !off);
                Element::Plain
            }
            b"footnoteReference" | b"endnoteReference" => {
                self.tell_of_notes();
                Element::Plain
            }
            b"altChunk" | b"subDoc" => {
                self.tell_of_parts();
                Element::Plain
            }
            _ => Element::Plain,
        })
    }

    fn start_odt(&mut self, tag: &BytesStart, namespace: Namespace, local: &[u8]) -> Result<Element, Failure> {
        Ok(match (namespace, local) {
            (Namespace::Office, b"document-content") => Element::Root,
            (Namespace::Office, b"annotation") => Element::Skipped,
            (Namespace::Text, b"p" | b"h") => {
                let style = self.prefixes.attribute(tag, Namespace::Text, b"style-name")?;
                let role = style.and_then(|style| self.styles.get(&style).copied().or_else(|| Role::of(&style)));
                let item = self.items > 0;
                self.begin_paragraph()?;
                self.change(|paragraph| {
                    paragraph.play(role);
                    paragraph.heading |= local == b"h";
                    paragraph.item = item;
                });
                Element::Paragraph
            }
            (Namespace::Text, b"list-item" | b"list-header") => Element::Item,
            // Deleted text, scripts, hidden text, and the reading aid above a word.
            (Namespace::Text, b"tracked-changes" | b"script" | b"hidden-text" | b"ruby-text") => Element::Skipped,
            (Namespace::Text, b"note") => {
                self.tell_of_notes();
                Element::Skipped
            }
            (Namespace::Text, b"section") => {
                match self.prefixes.attribute(tag, Namespace::Text, b"display")?.as_deref() {
                    Some("none") => Element::Skipped,
                    _ => Element::Plain,
                }
            }
            (Namespace::Text, b"section-source") => {
                self.tell_of_parts();
                Element::Plain
            }
            // `text:s` may stand for billions of spaces. Between words, all of them count as one.
            (Namespace::Text, b"s" | b"tab" | b"line-break") => {
                self.text(" ");
                Element::Plain
            }
            (Namespace::Style, b"style") => {
                self.remember_style(tag)?;
                Element::Plain
            }
            // Foreign elements within a paragraph keep their text, such as the content controls of LibreOffice.
            (Namespace::Text | Namespace::Other, _) if !self.paragraphs.is_empty() => Element::Text,
            _ => Element::Plain,
        })
    }

    fn remember_style(&mut self, tag: &BytesStart) -> Result<(), Failure> {
        let Some(style) = self.prefixes.attribute(tag, Namespace::Style, b"name")? else {
            return Ok(());
        };
        let parent = self.prefixes.attribute(tag, Namespace::Style, b"parent-style-name")?;
        let role = parent.and_then(|parent| self.styles.get(&parent).copied().or_else(|| Role::of(&parent)));
        if let Some(role) = role {
            self.styles.insert(style, role);
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped -= 1;
            return;
        }
        match self.open.pop() {
            Some(Element::Paragraph) => self.end_paragraph(),
            Some(Element::Item) => self.items -= 1,
            Some(Element::Run) => self.change(|paragraph| paragraph.hidden = false),
            _ => {}
        }
        self.prefixes.leave(self.open.len());
    }

    /// Whether characters at this point are prose.
    fn takes_text(&self) -> bool {
        match self.format {
            OfficeFormat::Docx => self.open.last() == Some(&Element::Text),
            OfficeFormat::Odt => matches!(self.open.last(), Some(Element::Paragraph | Element::Text)),
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(paragraph) = self.paragraphs.last_mut().filter(|paragraph| !paragraph.hidden) {
            // For the builder, a line end starts a new line. Here a whole paragraph is one line.
            paragraph
                .text
                .extend(text.chars().map(|c| if c == '\n' { ' ' } else { c }));
        }
    }

    fn change(&mut self, change: impl FnOnce(&mut Paragraph)) {
        if let Some(paragraph) = self.paragraphs.last_mut() {
            change(paragraph);
        }
    }

    fn begin_paragraph(&mut self) -> Result<(), Failure> {
        if self.count == self.most {
            return Err(Failure::TooManyParagraphs);
        }
        self.count += 1;
        self.paragraphs.push(Paragraph {
            number: self.count,
            ..Paragraph::default()
        });
        Ok(())
    }

    fn end_paragraph(&mut self) {
        self.finished.extend(self.paragraphs.pop());
        if self.paragraphs.is_empty() {
            // The paragraph around a text box begins before the box and ends after it.
            self.finished.sort_unstable_by_key(|paragraph| paragraph.number);
            for paragraph in self.finished.drain(..) {
                paragraph.give_to(&mut self.builder);
            }
        }
    }

    /// The number of the open paragraph, or of the last one.
    fn here(&self) -> usize {
        self.paragraphs
            .last()
            .map_or(self.count.max(1), |paragraph| paragraph.number)
    }

    fn tell_of_notes(&mut self) {
        if !self.told_of_notes {
            self.told_of_notes = true;
            let message = "Footnotes and endnotes are not read; this is the first.";
            self.builder.note(self.here(), message.to_owned());
        }
    }

    fn tell_of_parts(&mut self) {
        if !self.told_of_parts {
            self.told_of_parts = true;
            let message = "The content shown here comes from another file, which is not read.";
            self.builder.note(self.here(), message.to_owned());
        }
    }
}

impl Paragraph {
    fn play(&mut self, role: Option<Role>) {
        self.code = role == Some(Role::Code);
        self.heading = role == Some(Role::Heading);
    }

    fn give_to(self, builder: &mut Builder) {
        if builder.mark(&self.text, self.number) || self.code {
            return;
        }
        builder.begin(match self {
            Paragraph { heading: true, .. } => BlockKind::Heading,
            Paragraph { item: true, .. } => BlockKind::Item,
            _ => BlockKind::Paragraph,
        });
        builder.add(&self.text, self.number);
        builder.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write;
    use zip::write::{SimpleFileOptions, ZipWriter};

    const WORD: &str = "http://schemas.openxmlformats.org/wordprocessingml/2006/main";

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    fn docx_xml(body: &str) -> String {
        format!(
            r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<w:document xmlns:w="{WORD}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"
 xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"><w:body>{body}</w:body></w:document>"#
        )
    }

    fn docx(body: &str) -> Vec<u8> {
        archive(&[
            ("[Content_Types].xml", b"<Types/>"),
            ("word/document.xml", docx_xml(body).as_bytes()),
        ])
    }

    #[test]
    fn a_package_whose_text_is_in_another_part_is_refused() {
        let body = docx_xml("<w:p><w:r><w:t>Decoy.</w:t></w:r></w:p>");
        let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        for (target, is_read) in [
            ("word/document.xml", true),
            ("/word/document.xml", true),
            ("word/real.xml", false),
            ("word/re&#97;l.xml", false),
            ("&broken;", false),
        ] {
            let relations = format!(
                r#"<Relationships><Relationship Id="a" Type="{kind}/officeDocument" Target="{target}"/></Relationships>"#
            );
            let package = archive(&[
                ("_rels/.rels", relations.as_bytes()),
                ("word/document.xml", body.as_bytes()),
            ]);
            assert_eq!(
                extract("a.docx", OfficeFormat::Docx, &package).is_ok(),
                is_read,
                "{target}"
            );
        }
    }

    fn odt_xml(styles: &str, body: &str) -> String {
        let names: String = ["office", "text", "style", "table", "drawing"]
            .iter()
            .map(|name| format!(r#" xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0""#))
            .collect();
        format!(
            "<office:document-content{names}><office:automatic-styles>{styles}</office:automatic-styles>\
             <office:body><office:text>{body}</office:text></office:body></office:document-content>"
        )
    }

    fn odt(styles: &str, body: &str) -> Vec<u8> {
        archive(&[
            ("mimetype", b"application/vnd.oasis.opendocument.text"),
            ("content.xml", odt_xml(styles, body).as_bytes()),
        ])
    }

    /// The blocks, each with its paragraph. `!` marks the exempt ones.
    fn blocks(prose: &Prose) -> Vec<(usize, BlockKind, String)> {
        prose
            .blocks
            .iter()
            .map(|block| {
                assert_eq!(block.pieces.len(), 1, "a paragraph is one piece: {block:?}");
                assert_eq!(block.pieces[0].span, 0..block.text.len());
                let exempt = if block.ignored { "!" } else { "" };
                (block.pieces[0].line, block.kind, format!("{exempt}{}", block.text))
            })
            .collect()
    }

    fn read_docx(body: &str) -> Vec<(usize, BlockKind, String)> {
        let prose = extract("a.docx", OfficeFormat::Docx, &docx(body)).unwrap();
        assert_eq!(prose.line_unit, LineUnit::Paragraph);
        blocks(&prose)
    }

    fn read_odt(styles: &str, body: &str) -> Vec<(usize, BlockKind, String)> {
        let prose = extract("a.odt", OfficeFormat::Odt, &odt(styles, body)).unwrap();
        assert_eq!(prose.line_unit, LineUnit::Paragraph);
        blocks(&prose)
    }

    fn expected(blocks: &[(usize, BlockKind, &str)]) -> Vec<(usize, BlockKind, String)> {
        blocks
            .iter()
            .map(|(line, kind, text)| (*line, *kind, (*text).to_owned()))
            .collect()
    }

    fn texts(blocks: Vec<(usize, BlockKind, String)>) -> Vec<String> {
        blocks.into_iter().map(|(.., text)| text).collect()
    }

    fn refused(format: OfficeFormat, bytes: &[u8]) -> OfficeError {
        let error = extract("a file", format, bytes).unwrap_err();
        let said = error.to_string();
        assert!(
            said.starts_with("`a file` ") && said.contains("; "),
            "names the file and the remedy: {said}"
        );
        assert!(!said.contains(char::is_control), "{said}");
        error
    }

    fn broken(format: OfficeFormat, bytes: &[u8]) -> String {
        match refused(format, bytes) {
            OfficeError::Broken { reason, .. } => reason,
            error => panic!("{error}"),
        }
    }

    use BlockKind::{Heading, Item, Paragraph as Plain};

    #[test]
    fn docx_paragraphs_keep_their_kinds_and_numbers() {
        let body = r#"<w:p><w:pPr><w:pStyle w:val="heading1"/></w:pPr><w:r><w:t>On hens</w:t></w:r></w:p>
            <w:p/><w:p><w:r><w:t xml:space="preserve">They lay &lt;eggs&gt; &amp; </w:t></w:r><w:r><w:t>cac</w:t></w:r><w:r><w:t>kle&#8217;.</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="3"/></w:numPr></w:pPr><w:r><w:t>first</w:t></w:r></w:p>
            <w:p><w:pPr><w:numPr><w:numId w:val="0"/></w:numPr></w:pPr><w:r><w:t>none</w:t></w:r></w:p>
            <w:tbl><w:tr><w:tc><w:p><w:r><w:t>cell</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t><![CDATA[other <cell>]]></w:t></w:r></w:p></w:tc></w:tr></w:tbl>
            <w:p><w:pPr><w:pStyle w:val="SourceCode"/></w:pPr><w:r><w:t>let hens = 3;</w:t></w:r></w:p>
            <w:p><w:pPr><w:pStyle w:val="Title"/><w:pPrChange><w:pPr><w:pStyle w:val="HTMLPreformatted"/></w:pPr></w:pPrChange></w:pPr><w:r><w:t>End</w:t></w:r></w:p>"#;
        assert_eq!(
            read_docx(body),
            expected(&[
                (1, Heading, "On hens"),
                (3, Plain, "They lay <eggs> & cackle\u{2019}."),
                (4, Item, "first"),
                (5, Plain, "none"),
                (6, Plain, "cell"),
                (7, Plain, "other <cell>"),
                (9, Heading, "End"),
            ])
        );
    }

    #[test]
    fn docx_tabs_and_breaks_separate_words_and_hyphens_join_them() {
        let body = r#"<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr><w:r><w:t>a</w:t><w:tab/><w:t>b</w:t><w:br/><w:t>c</w:t><w:cr/><w:t>d</w:t>
            <w:noBreakHyphen/><w:t>e</w:t><w:sym w:char="F04A"/><w:t>f
g</w:t></w:r></w:p>"#;
        assert_eq!(read_docx(body), expected(&[(1, Plain, "a b c d-ef g")]));
    }

    #[test]
    fn docx_text_that_no_reader_sees_is_left_out() {
        let body = r#"<w:p><w:r><w:t>kept</w:t></w:r><w:del><w:r><w:delText>gone</w:delText><w:t>gone</w:t></w:r></w:del>
            <w:ins><w:r><w:t> new</w:t></w:r></w:ins><w:moveFrom><w:r><w:t>away</w:t></w:r></w:moveFrom>
            <w:r><w:instrText>PAGE</w:instrText></w:r><m:oMath><m:r><w:t>x</w:t><m:t>y</m:t></m:r></m:oMath>
            <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:rPr><w:vanish w:val="0"/></w:rPr><w:t> shown</w:t></w:r></w:p>
            <w:p><w:pPr><w:rPr><w:vanish/></w:rPr></w:pPr><w:r><w:t>seen</w:t></w:r></w:p>"#;
        assert_eq!(
            read_docx(body),
            expected(&[(1, Plain, "kept new shown"), (2, Plain, "seen")])
        );
    }

    #[test]
    fn docx_text_boxes_are_read_once_after_the_paragraph_around_them() {
        let inner = |text: &str| format!("<w:txbxContent><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:txbxContent>");
        let body = format!(
            "<w:p><w:r><w:t>before </w:t></w:r><w:r><mc:AlternateContent><mc:Choice>{}</mc:Choice><mc:Fallback>{}</mc:Fallback>\
             </mc:AlternateContent></w:r><w:r><w:t>after</w:t></w:r></w:p><w:p><w:r><w:t>next</w:t></w:r></w:p>",
            inner("box"),
            inner("box")
        );
        let expected = expected(&[(1, Plain, "before after"), (2, Plain, "box"), (3, Plain, "next")]);
        assert_eq!(read_docx(&body), expected);
    }

    #[test]
    fn elements_are_told_by_namespace_whatever_the_prefix() {
        for (declared, prefix) in [(":ns0", "ns0:"), ("", "")] {
            let xml = format!(
                r#"<{prefix}document xmlns{declared}="http://purl.oclc.org/ooxml/wordprocessingml/main" xmlns:a="{WORD}"><{prefix}body>
                <{prefix}p><a:pPr><a:pStyle a:val="Heading2"/></a:pPr><{prefix}r><{prefix}t>hens</{prefix}t></{prefix}r></{prefix}p>
                <w:p xmlns:w="urn:x"><w:t>stranger</w:t></w:p><a:p xmlns:a="urn:x"/><a:p><a:t>own</a:t></a:p></{prefix}body></{prefix}document>"#
            );
            let bytes = archive(&[("word/document.xml", xml.as_bytes())]);
            let prose = extract("a", OfficeFormat::Docx, &bytes).unwrap();
            assert_eq!(blocks(&prose), expected(&[(1, Heading, "hens"), (2, Plain, "own")]));
        }
        let xml = docx_xml("").replace(WORD, "urn:another");
        assert!(broken(OfficeFormat::Docx, &archive(&[("word/document.xml", xml.as_bytes())])).contains("root"));
    }

    #[test]
    fn odt_paragraphs_keep_their_kinds_and_numbers() {
        let styles = r#"<style:style style:name="P1" style:parent-style-name="Preformatted_20_Text"/>
            <style:style style:name="P2" style:parent-style-name="Title"/><style:style style:name="P3" style:parent-style-name="P1"/>"#;
        let body = r#"<text:p text:style-name="P2">Of hens</text:p><text:h text:outline-level="1">One</text:h><text:p/>
            <text:p>They<text:s text:c="4000000000"/>lay<text:tab/>eggs<text:line-break/>and <text:span>cac</text:span>kle &amp; &#x41;.</text:p>
            <text:list><text:list-item><text:p>first</text:p><text:list><text:list-item><text:p>inner</text:p></text:list-item></text:list></text:list-item></text:list>
            <text:p text:style-name="P1">let hens = 3;</text:p><text:p text:style-name="P3">let eggs;</text:p>
            <text:p text:style-name="Preformatted_20_Text">code</text:p>
            <table:table><table:table-row><table:table-cell><text:p>cell</text:p></table:table-cell></table:table-row></table:table>"#;
        assert_eq!(
            read_odt(styles, body),
            expected(&[
                (1, Heading, "Of hens"),
                (2, Heading, "One"),
                (4, Plain, "They lay eggs and cackle & A."),
                (5, Item, "first"),
                (6, Item, "inner"),
                (10, Plain, "cell"),
            ])
        );
    }

    #[test]
    fn odt_text_that_no_reader_sees_is_left_out() {
        let body = r#"<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion></text:changed-region></text:tracked-changes>
            <text:p>one<office:annotation><text:p>remark</text:p></office:annotation><text:note><text:note-citation>1</text:note-citation>
            <text:note-body><text:p>note</text:p></text:note-body></text:note> two<drawing:frame><drawing:image><office:binary-data>QUJD</office:binary-data></drawing:image>
            <drawing:text-box><text:p>box</text:p></drawing:text-box></drawing:frame><x:control xmlns:x="urn:x"> three</x:control></text:p>
            <text:section text:display="none"><text:p>hidden</text:p></text:section>"#;
        let prose = extract("a", OfficeFormat::Odt, &odt("", body)).unwrap();
        assert_eq!(
            blocks(&prose),
            expected(&[(1, Plain, "one two three"), (2, Plain, "box")])
        );
        assert_eq!(
            prose.notes.len(),
            1,
            "that notes are not read is said: {:?}",
            prose.notes
        );
        assert_eq!(prose.notes[0].0, 1);
    }

    #[test]
    fn what_stands_elsewhere_is_named_once() {
        let note = r#"<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id="1"/></w:r></w:p>"#;
        let bytes = docx(&format!(r#"<w:p/>{note}{note}<w:altChunk r="x"/>"#));
        let prose = extract("a", OfficeFormat::Docx, &bytes).unwrap();
        let lines: Vec<usize> = prose.notes.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3]);
    }

    #[test]
    fn marks_exempt_paragraphs() {
        let texts_in = [
            "one",
            "whowrote: ignore-start",
            "two",
            "whowrote: ignore-end",
            "three",
            "say whowrote: ignore",
            "whowrote: ignore",
            "four",
        ];
        let expected = ["one", "!two", "three", "say whowrote: ignore", "!four"];
        let body: String = texts_in
            .iter()
            .map(|text| format!("<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"))
            .collect();
        assert_eq!(texts(read_docx(&body)), expected);
        let body: String = texts_in.iter().map(|text| format!("<text:p>{text}</text:p>")).collect();
        assert_eq!(texts(read_odt("", &body)), expected);
    }

    #[test]
    fn files_of_another_kind_are_told_apart() {
        let mut old = COMPOUND_FILE.to_vec();
        old.extend([0; 1000]);
        let error = refused(OfficeFormat::Docx, &old);
        assert!(matches!(error, OfficeError::OldBinary { .. }) && error.to_string().contains("save it as DOCX"));
        old.extend("EncryptedPackage".bytes().flat_map(|byte| [byte, 0]));
        assert!(matches!(
            refused(OfficeFormat::Docx, &old),
            OfficeError::Encrypted { .. }
        ));
        for bytes in [&b""[..], b"Some text.", b"PK\x03\x04", b"{\\rtf1 hens}"] {
            assert!(matches!(refused(OfficeFormat::Docx, bytes), OfficeError::NotZip { .. }));
        }
        assert!(matches!(
            refused(OfficeFormat::Docx, &odt("", "")),
            OfficeError::NoText { .. }
        ));
        assert!(matches!(
            refused(OfficeFormat::Odt, &docx("")),
            OfficeError::NoText { .. }
        ));
    }

    #[test]
    fn encrypted_files_are_told_apart() {
        let manifest = b"<manifest><file-entry><encryption-data/></file-entry></manifest>";
        let bytes = archive(&[
            ("content.xml", b"\x8f\x01\xff<\x00"),
            ("META-INF/manifest.xml", manifest),
        ]);
        assert!(matches!(
            refused(OfficeFormat::Odt, &bytes),
            OfficeError::Encrypted { .. }
        ));
        let bytes = archive(&[("encrypted-package", b"\x8f\x01")]);
        assert!(matches!(
            refused(OfficeFormat::Odt, &bytes),
            OfficeError::Encrypted { .. }
        ));
        // A member's first flag, in its header and in the directory, marks it as encrypted.
        let mut bytes = archive(&[("word/document.xml", docx_xml("").as_bytes())]);
        flag(&mut bytes, 6, 8, 1);
        assert!(matches!(
            refused(OfficeFormat::Docx, &bytes),
            OfficeError::Encrypted { .. }
        ));
    }

    #[test]
    fn another_compression_is_named() {
        let mut bytes = archive(&[("word/document.xml", docx_xml("").as_bytes())]);
        // Method 14 is LZMA.
        flag(&mut bytes, 8, 10, 14);
        assert!(matches!(
            refused(OfficeFormat::Docx, &bytes),
            OfficeError::Compression { .. }
        ));
    }

    /// Sets a byte in the header of the only member and in its entry of the directory.
    fn flag(bytes: &mut [u8], local: usize, central: usize, value: u8) {
        let entry = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        bytes[local] = value;
        bytes[entry + central] = value;
    }

    #[test]
    fn two_members_of_one_name_are_refused() {
        let mut bytes = archive(&[
            ("word/document.xml", docx_xml("").as_bytes()),
            ("word/documenu.xml", docx_xml("").as_bytes()),
        ]);
        while let Some(at) = bytes.windows(8).position(|window| window == b"documenu") {
            bytes[at + 7] = b't';
        }
        assert!(matches!(
            refused(OfficeFormat::Docx, &bytes),
            OfficeError::Ambiguous { .. }
        ));
    }

    #[test]
    fn broken_xml_is_refused_with_its_reason() {
        for body in [
            "<w:p>",
            "</w:p>",
            "<w:p></w:r></w:p>",
            "<w:p",
            "<w:p w:a=1/>",
            "</w:body></w:document>",
            "&",
        ] {
            broken(OfficeFormat::Docx, &docx(body));
        }
        let t = |text: &str| docx(&format!("<w:p><w:t>{text}</w:t></w:p>"));
        assert!(broken(OfficeFormat::Docx, &t("a&nbsp;b")).contains("`nbsp`"));
        broken(OfficeFormat::Docx, &t("&#0;"));
        broken(OfficeFormat::Docx, &t("&#x110000;"));
        let latin = docx_xml("<w:p><w:t>caf?</w:t></w:p>")
            .replace("caf?", "caf\u{1}")
            .into_bytes();
        let latin: Vec<u8> = latin
            .into_iter()
            .map(|byte| if byte == 1 { 0xe9 } else { byte })
            .collect();
        assert!(broken(OfficeFormat::Docx, &archive(&[("word/document.xml", &latin)])).contains("UTF-8"));
        let utf_16: Vec<u8> = [0xfeff]
            .into_iter()
            .chain(docx_xml("").encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        assert!(broken(OfficeFormat::Docx, &archive(&[("word/document.xml", &utf_16)])).contains("UTF-8"));
        for xml in ["", "hens", "<a\u{1b}[2J></b\u{202e}>"] {
            broken(OfficeFormat::Docx, &archive(&[("word/document.xml", xml.as_bytes())]));
        }
    }

    #[test]
    fn entities_of_a_document_type_are_not_expanded() {
        let laughs = r#"<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]><w:document"#;
        for text in ["&b;", "&c;"] {
            let xml = docx_xml(&format!("<w:p><w:t>{text}</w:t></w:p>")).replace("<w:document", laughs);
            assert!(broken(OfficeFormat::Docx, &archive(&[("word/document.xml", xml.as_bytes())])).contains("entity"));
        }
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_whatever_its_header_says() {
        let zeros = vec![0; MAX_UNPACKED as usize + 1];
        let bytes = archive(&[("word/document.xml", &zeros)]);
        assert!(bytes.len() < 1 << 20);
        assert!(matches!(
            refused(OfficeFormat::Docx, &bytes),
            OfficeError::TooLarge { .. }
        ));
        // The unpacked sizes are at 22 and 24. With a size of 0, the library stops at the first byte.
        let mut bytes = bytes;
        for i in 0..4 {
            flag(&mut bytes, 22 + i, 24 + i, 0);
        }
        let reason = broken(OfficeFormat::Docx, &bytes);
        assert!(reason.contains("I/O"), "{reason}");
    }

    #[test]
    fn a_limited_reader_gives_what_fits_and_then_fails() {
        let mut read = Vec::new();
        Limited::new(&[7; 100][..], 100).read_to_end(&mut read).unwrap();
        assert_eq!(read.len(), 100);
        let error = Limited::new(&[7; 101][..], 100)
            .read_to_end(&mut Vec::new())
            .unwrap_err();
        assert!(matches!(
            Failure::from(quick_xml::Error::from(error)),
            Failure::TooLarge
        ));
    }

    #[test]
    fn paragraphs_beyond_the_limit_are_refused() {
        let xml = docx_xml(&"<w:p><w:t>a</w:t></w:p>".repeat(100));
        assert_eq!(read(OfficeFormat::Docx, xml.as_bytes(), 100).unwrap().blocks.len(), 100);
        assert!(matches!(
            read(OfficeFormat::Docx, xml.as_bytes(), 99),
            Err(Failure::TooManyParagraphs)
        ));
        let file = File {
            name: "a",
            format: OfficeFormat::Docx,
        };
        assert!(
            file.failed(Failure::TooManyParagraphs)
                .to_string()
                .contains("1000000 paragraphs")
        );
    }

    #[test]
    fn deep_nesting_is_read_to_a_limit_and_refused_beyond_it() {
        let nested = |tag: &str, depth: usize| {
            let body = format!(
                "{}{}",
                format!("<{tag}>").repeat(depth),
                format!("</{tag}>").repeat(depth)
            );
            docx(&format!("{body}<w:p><w:t>end</w:t></w:p>"))
        };
        for tag in ["w:p", "w:r", "w:del", "x"] {
            let prose = extract("a", OfficeFormat::Docx, &nested(tag, MAX_DEPTH - 2)).unwrap();
            assert_eq!(prose.blocks[0].text, "end");
            assert!(broken(OfficeFormat::Docx, &nested(tag, 100_000)).contains("too deep"));
        }
        // The same without end tags.
        assert!(broken(OfficeFormat::Docx, &docx(&"<w:p>".repeat(100_000))).contains("too deep"));
    }

    #[test]
    fn namespaces_without_number_are_refused_and_repeated_ones_cost_nothing() {
        let many: String = (0..20_000).map(|i| format!(r#" xmlns:a{i}="{WORD}""#)).collect();
        assert!(broken(OfficeFormat::Docx, &docx(&format!("<w:p{many}/>"))).contains("too many namespaces"));
        let same = format!(r#"<w:p xmlns:w="{WORD}"><w:t>a</w:t></w:p>"#).repeat(20_000);
        assert_eq!(read_docx(&same).len(), 20_000);
    }

    #[test]
    fn files_cut_off_anywhere_are_refused() {
        let paragraphs: String = (0..200)
            .map(|i| format!("<w:p><w:r><w:t>hen {} {i}</w:t></w:r></w:p>", i * 7919))
            .collect();
        let docx = docx(&paragraphs);
        let odt = odt("", &paragraphs.replace("w:p", "text:p").replace("w:", "text:"));
        for (format, bytes) in [(OfficeFormat::Docx, &docx), (OfficeFormat::Odt, &odt)] {
            assert_eq!(extract("a", format, bytes).unwrap().blocks.len(), 200);
            for end in (0..bytes.len()).step_by(50) {
                refused(format, &bytes[..end]);
            }
        }
        // The XML is cut off, but the archive is whole.
        let xml = docx_xml(&paragraphs[..2000]);
        for end in (0..xml.len()).step_by(50) {
            refused(
                OfficeFormat::Docx,
                &archive(&[("word/document.xml", &xml.as_bytes()[..end])]),
            );
        }
    }

    /// A scrap of XML: mostly known elements, in any order.
    fn scrap() -> impl Strategy<Value = String> {
        let names = [
            "w:p",
            "w:r",
            "w:t",
            "w:pPr",
            "w:rPr",
            "w:numPr",
            "w:numId",
            "w:pStyle",
            "w:vanish",
            "w:del",
            "mc:Fallback",
            "m:oMath",
            "w:tab",
            "w:document",
            "text:p",
            "text:h",
            "text:list-item",
            "text:note",
            "text:s",
            "text:section",
            "style:style",
            "office:annotation",
            "x",
        ];
        let name = prop::sample::select(names.to_vec());
        prop_oneof![
            4 => name.clone().prop_map(|name| format!("<{name}>")),
            4 => name.clone().prop_map(|name| format!("</{name}>")),
            2 => (name, "[a-z:]{0,12}", "[ -~é\u{202e}]{0,8}").prop_map(|(name, key, value)| format!("<{name} {key}=\"{value}\"/>")),
            2 => "[ -~äß\n\t]{0,12}",
            1 => prop::sample::select(vec!["<![CDATA[", "]]>", "<!--", "-->", "<?x ?>", "<!DOCTYPE x [", "&amp;", "&#9;", "&#xd800;", "&x;"])
                .prop_map(str::to_owned),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_body_makes_it_panic(scraps in prop::collection::vec(scrap(), 0..40)) {
            let body = scraps.concat();
            let _ = extract("a", OfficeFormat::Docx, &docx(&body));
            let _ = extract("a", OfficeFormat::Odt, &odt("", &body));
        }

        #[test]
        fn balanced_bodies_are_read_with_rising_paragraphs(
            parts in prop::collection::vec((0usize..6, "[a-z ]{0,6}"), 0..40),
        ) {
            let tags = ["w:p", "w:r", "w:t", "w:del", "mc:Fallback", "w:pPr"];
            let mut body = String::new();
            for (tag, text) in &parts {
                body += &format!("<{}>{text}", tags[*tag]);
            }
            for (tag, text) in parts.iter().rev() {
                body += &format!("{text}</{}>", tags[*tag]);
            }
            let prose = extract("a", OfficeFormat::Docx, &docx(&body)).unwrap();
            let lines: Vec<usize> = prose.blocks.iter().map(|block| block.pieces[0].line).collect();
            prop_assert!(lines.is_sorted_by(|a, b| a < b));
            prop_assert!(lines.iter().all(|line| (1..=40).contains(line)));
        }

        #[test]
        fn no_bytes_make_it_panic(at in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8), odf: bool) {
            let (format, mut bytes) = if odf {
                (OfficeFormat::Odt, odt("", "<text:p>The hen had ten-gallon hats.</text:p>"))
            } else {
                (OfficeFormat::Docx, docx("<w:p><w:t>The hen had ten-gallon hats.</w:t></w:p>"))
            };
            for (index, byte) in at {
                let length = bytes.len();
                bytes[index.index(length)] = byte;
            }
            let _ = extract("a", format, &bytes);
        }
    }
}
