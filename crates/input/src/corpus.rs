//! Many texts, one after another: from folders, from lists of paths, and from files that hold many.

use super::pairs::PairRecords;
use super::parquet::Parquet;
use super::records::{Columns, CsvRecords, JsonRecords, Kept, Record, Records};
use super::unpack::{Compression, compression, open, unpacked};
use super::{Document, InputError, printable};
use ignore::overrides::OverrideBuilder;
use ignore::{Walk, WalkBuilder};
use std::collections::BTreeSet;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The format of a file of one or many texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// One text.
    Text,
    /// One JSON object per line, each with a text in it, or one array of such objects.
    Jsonl,
    /// Comma-separated values; the first row names the columns.
    Csv,
    /// Tab-separated values; the first row names the columns.
    Tsv,
    /// Parquet: rows of typed columns.
    Parquet,
    /// One JSON object with a person's texts and a model's continuations of their beginnings, without these beginnings.
    Pairs,
    /// The same, with the beginnings.
    WholePairs,
}

impl FileFormat {
    /// All formats, each with its name on the command line and its description.
    pub const NAMED: [(Self, &'static str, &'static str); 7] = [
        (Self::Text, "text", "One text"),
        (
            Self::Jsonl,
            "jsonl",
            "One JSON object per line, each with a text in it, or one array of such objects",
        ),
        (
            Self::Csv,
            "csv",
            "Comma-separated values; the first row names the columns",
        ),
        (
            Self::Tsv,
            "tsv",
            "Tab-separated values; the first row names the columns",
        ),
        (Self::Parquet, "parquet", "Rows of typed columns"),
        (
            Self::Pairs,
            "pairs",
            "One JSON object with two lists, `original` and `sampled`: the texts from where those of a pair part",
        ),
        (
            Self::WholePairs,
            "whole-pairs",
            "The same, with the beginnings that the texts of a pair share",
        ),
    ];

    /// The format that the ending of a path names.
    fn of_path(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            // A file of JSON lines is often called .json, and an array of objects .jsonl. One reader reads both.
            Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            Some("parquet") => Self::Parquet,
            _ => Self::Text,
        }
    }
}

/// One of several equal shares of the texts: those whose places leave the remainder `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// The number of this shard, counted from 0.
    pub index: u64,
    /// The number of shards.
    pub of: u64,
}

impl Shard {
    /// All texts.
    pub const ALL: Self = Self { index: 0, of: 1 };
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (index, of) = text.split_once('/')?;
            let (index, of): (u64, u64) = (index.parse().ok()?, of.parse().ok()?);
            (1 <= index && index <= of).then_some(Self { index: index - 1, of })
        };
        parse().ok_or_else(|| "a shard is a number and how many shards there are, such as 1/8 or 8/8".to_owned())
    }
}

/// Where many texts come from.
#[derive(Debug)]
pub enum CorpusSource {
    /// A file, or a folder with everything in it.
    Path(PathBuf),
    /// Standard input, as a file of many texts.
    Stdin(FileFormat),
    /// A list of paths.
    List {
        /// The file of the list. Without it, standard input.
        path: Option<PathBuf>,
        /// Whether a NUL ends each path, instead of a line end.
        null: bool,
    },
}

/// Which texts a corpus has.
#[derive(Clone, Debug)]
pub struct CorpusOptions {
    /// The fields of a record that are read.
    pub columns: Columns,
    /// The format of all files. Without it, the ending of each name decides.
    pub format: Option<FileFormat>,
    /// Patterns for the files in folders, as in a .gitignore but selecting files instead of ignoring them.
    pub globs: Vec<String>,
    /// Whether hidden files are included.
    pub hidden: bool,
    /// Whether files are included that a .gitignore or .ignore names.
    pub ignored: bool,
    /// Whether files of one text are read as they are, whatever their names say.
    pub plain: bool,
    /// The share of the texts to take.
    pub shard: Shard,
    /// Files that are never texts: the results are written to them.
    pub except: Vec<PathBuf>,
    /// The names of records that are passed over.
    pub leave_out: BTreeSet<String>,
}

impl CorpusSource {
    /// The same source, if it can be read again.
    pub fn again(&self) -> Option<Self> {
        match self {
            Self::Path(path) => Some(Self::Path(path.clone())),
            Self::List { path: Some(path), null } => Some(Self::List {
                path: Some(path.clone()),
                null: *null,
            }),
            Self::List { path: None, .. } | Self::Stdin(_) => None,
        }
    }
}

/// An iterator over many texts. Their order is always the same: sources in the order given, the files of a folder by
/// name, and the records of a file as they stand in it.
pub struct Corpus {
    sources: std::vec::IntoIter<CorpusSource>,
    options: CorpusOptions,
    except: Vec<PathBuf>,
    /// The number of the next text, counted over all shards.
    place: u64,
    files: Option<Files>,
    records: Option<Box<dyn Records>>,
}

enum Files {
    Walk(Box<Walk>),
    List {
        reader: Box<dyn BufRead>,
        name: String,
        end: u8,
    },
    One(Option<PathBuf>),
}

/// The longest path in a list, in bytes.
const MAX_PATH: u64 = 1 << 16;

impl Corpus {
    /// The texts of these sources.
    pub fn new(sources: Vec<CorpusSource>, options: CorpusOptions) -> Self {
        let except = options.except.iter();
        Self {
            sources: sources.into_iter(),
            except: except.map(|path| full_path(path)).collect(),
            options,
            place: 0,
            files: None,
            records: None,
        }
    }

    /// How many texts the shard has. This reads files of many texts to their ends, but opens no file of one text.
    pub fn count(sources: Vec<CorpusSource>, options: CorpusOptions) -> u64 {
        let Shard { index, of } = options.shard;
        // No text belongs to this shard, so none is read.
        let shard = Shard {
            index: u64::MAX,
            of: u64::MAX,
        };
        let mut all = Self::new(sources, CorpusOptions { shard, ..options });
        while all.next().is_some() {}
        (all.place + of - 1 - index) / of
    }

    /// Whether the next text belongs to the shard. Each call counts one text.
    fn takes(&mut self) -> bool {
        let Shard { index, of } = self.options.shard;
        let takes = self.place % of == index;
        self.place += 1;
        takes
    }

    /// Whether this is a file of results, or a part of one that an earlier run left.
    fn is_ours(&self, path: &Path) -> bool {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(found) = name(path) else { return false };
        // The names are compared first, which saves a system call for most files.
        self.except.iter().any(|ours| {
            let rest = name(ours).and_then(|ours| Some(found.strip_prefix(&ours)?.to_owned()));
            let is_same = |rest: String| rest.is_empty() || rest.starts_with('.') && rest.ends_with(".part");
            rest.is_some_and(is_same) && folder_of(path).as_deref() == ours.parent()
        })
    }

    /// The next file, or the name of one that cannot be read and why.
    fn next_file(&mut self) -> Option<Result<PathBuf, (String, InputError)>> {
        loop {
            let found = match &mut self.files {
                None => None,
                Some(Files::One(path)) => path.take().map(Ok),
                Some(Files::List { reader, name, end }) => next_of_list(reader, name, *end),
                Some(Files::Walk(walk)) => next_of_walk(walk),
            };
            match found {
                Some(Ok(path)) if self.is_ours(&path) => continue,
                Some(Ok(path)) => return Some(Ok(path)),
                Some(Err(failed)) => {
                    // A list that failed once would fail forever.
                    if let Some(Files::List { .. }) = self.files {
                        self.files = None;
                    }
                    return Some(Err(failed));
                }
                None => self.files = None,
            }
            self.files = match self.sources.next()? {
                CorpusSource::Stdin(format) => {
                    self.records = records("-", format, Box::new(io::stdin()), &self.options.columns);
                    return None;
                }
                CorpusSource::List { path: None, null } => Some(Files::List {
                    reader: Box::new(io::stdin().lock()),
                    name: "-".to_owned(),
                    end: if null { 0 } else { b'\n' },
                }),
                CorpusSource::List { path: Some(path), null } => match open(&path) {
                    Err(error) => return Some(Err((path.to_string_lossy().into_owned(), error))),
                    Ok(file) => Some(Files::List {
                        reader: Box::new(io::BufReader::new(file)),
                        name: path.to_string_lossy().into_owned(),
                        end: if null { 0 } else { b'\n' },
                    }),
                },
                CorpusSource::Path(path) if path.is_dir() => match walk(&path, &self.options) {
                    Ok(walk) => Some(Files::Walk(Box::new(walk))),
                    Err(error) => return Some(Err((path.to_string_lossy().into_owned(), error))),
                },
                CorpusSource::Path(path) => Some(Files::One(Some(path))),
            };
        }
    }
}

/// The full path of the folder of a file.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).canonicalize().ok()
}

/// The full path of a file, which may not exist yet.
fn full_path(path: &Path) -> PathBuf {
    let beside = || Some(folder_of(path)?.join(path.file_name()?));
    let full = path.canonicalize().ok().or_else(beside);
    full.unwrap_or_else(|| path.to_owned())
}

/// The file at this path, or all files of the folder, sorted by name. Hidden files and those that a .gitignore or
/// .ignore names are left out.
pub fn files_of(path: &Path) -> impl Iterator<Item = Result<PathBuf, (String, InputError)>> {
    let mut files = if path.is_dir() {
        // This run has no other shards to agree with, so the ignore files above the folder count too.
        Files::Walk(Box::new(walker(path).parents(true).build()))
    } else {
        Files::One(Some(path.to_owned()))
    };
    std::iter::from_fn(move || match &mut files {
        Files::One(path) => path.take().map(Ok),
        Files::Walk(walk) => next_of_walk(walk),
        Files::List { .. } => None,
    })
}

/// The files of a folder, with the patterns of the user.
fn walk(folder: &Path, options: &CorpusOptions) -> Result<Walk, InputError> {
    let bad_glob = |error: ignore::Error| InputError::Unreadable {
        name: printable(&folder.to_string_lossy()),
        source: io::Error::other(error.to_string()),
    };
    let mut globs = OverrideBuilder::new(folder);
    for glob in &options.globs {
        globs.add(glob).map_err(bad_glob)?;
    }
    let mut builder = walker(folder);
    if options.ignored {
        builder.ignore(false).git_ignore(false);
    }
    builder
        .hidden(!options.hidden)
        .overrides(globs.build().map_err(bad_glob)?);
    Ok(builder.build())
}

/// Walks a folder by name. Settings outside of it do not count: shards on different machines must find the same texts.
fn walker(folder: &Path) -> WalkBuilder {
    let mut builder = WalkBuilder::new(folder);
    builder
        .git_global(false)
        .git_exclude(false)
        .parents(false)
        .require_git(false)
        .sort_by_file_name(|a, b| a.cmp(b));
    builder
}

fn next_of_walk(walk: &mut Walk) -> Option<Result<PathBuf, (String, InputError)>> {
    for entry in walk {
        match entry {
            Ok(entry) if entry.file_type().is_some_and(|kind| kind.is_dir()) => {}
            // A link to a folder is not followed: it may lead back here.
            Ok(entry) if entry.path_is_symlink() && entry.path().is_dir() => {}
            Ok(entry) => return Some(Ok(entry.into_path())),
            Err(error) => {
                let name = match &error {
                    ignore::Error::WithPath { path, .. } => path.to_string_lossy().into_owned(),
                    _ => "-".to_owned(),
                };
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("the folder cannot be searched"));
                let failed = InputError::from_io(&name, source);
                return Some(Err((name, failed)));
            }
        }
    }
    None
}

fn next_of_list(reader: &mut dyn BufRead, name: &str, end: u8) -> Option<Result<PathBuf, (String, InputError)>> {
    loop {
        let mut bytes = Vec::new();
        match reader.take(MAX_PATH).read_until(end, &mut bytes) {
            Err(error) => return Some(Err((name.to_owned(), InputError::from_io(name, error)))),
            Ok(0) => return None,
            Ok(_) => {}
        }
        bytes.pop_if(|last| *last == end);
        if end == b'\n' {
            bytes.pop_if(|last| *last == b'\r');
        }
        if !bytes.is_empty() {
            return Some(Ok(path_of(bytes)));
        }
    }
}

/// The path of these bytes.
#[cfg(unix)]
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// A reader for a format of many texts that can be streamed. `None` for the other formats.
fn records(name: &str, format: FileFormat, reader: Box<dyn Read>, columns: &Columns) -> Option<Box<dyn Records>> {
    Some(match format {
        FileFormat::Jsonl => Box::new(JsonRecords::new(name, reader, columns.clone())),
        FileFormat::Csv => Box::new(CsvRecords::new(name, reader, b',', columns.clone())),
        FileFormat::Tsv => Box::new(CsvRecords::new(name, reader, b'\t', columns.clone())),
        FileFormat::Pairs => Box::new(PairRecords::new(name, reader, false, columns.keep.clone())),
        FileFormat::WholePairs => Box::new(PairRecords::new(name, reader, true, columns.keep.clone())),
        FileFormat::Text | FileFormat::Parquet => return None,
    })
}

impl Iterator for Corpus {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            let record = self.next_record()?;
            if !self.options.leave_out.contains(&record.name) {
                return Some(record);
            }
        }
    }
}

impl Corpus {
    fn next_record(&mut self) -> Option<Record> {
        loop {
            if let Some(mut records) = self.records.take() {
                let wanted = self.takes();
                match records.next(wanted) {
                    None => self.place -= 1,
                    Some(record) => {
                        self.records = Some(records);
                        match record {
                            // An error that ends a file is reported by one shard only.
                            Some(record) if wanted => return Some(record),
                            _ => {}
                        }
                    }
                }
                continue;
            }
            let path = match self.next_file() {
                Some(Ok(path)) => path,
                Some(Err((name, error))) => {
                    if self.takes() {
                        return Some(Record::failed(name, error));
                    }
                    continue;
                }
                None if self.records.is_some() => continue,
                None => return None,
            };
            let name = path.to_string_lossy().into_owned();
            let (compression, inner) = compression(&path);
            let format = self.options.format.unwrap_or_else(|| FileFormat::of_path(&inner));
            let opened = match format {
                FileFormat::Text => {
                    if !self.takes() {
                        continue;
                    }
                    let ending = (!self.options.plain).then_some(inner.as_path());
                    let document =
                        unpacked(&path, compression).and_then(|reader| Document::from_reader(&name, reader, ending));
                    return Some(Record {
                        name,
                        id: None,
                        kept: Kept::new(),
                        document,
                    });
                }
                FileFormat::Parquet if compression != Compression::None => {
                    Err(InputError::PackedParquet { name: printable(&name) })
                }
                FileFormat::Parquet => open(&path).map(|file| {
                    let parquet = Parquet::new(name.as_str(), file, self.options.columns.clone());
                    Some(Box::new(parquet) as Box<dyn Records>)
                }),
                _ => unpacked(&path, compression).map(|reader| records(&name, format, reader, &self.options.columns)),
            };
            match opened {
                Ok(records) => self.records = records,
                Err(error) => {
                    if self.takes() {
                        return Some(Record::failed(name, error));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(shard: Shard) -> CorpusOptions {
        CorpusOptions {
            columns: Columns {
                text: "text".to_owned(),
                id: None,
                keep: Vec::new(),
            },
            format: None,
            globs: Vec::new(),
            hidden: false,
            ignored: false,
            plain: false,
            shard,
            except: Vec::new(),
            leave_out: BTreeSet::new(),
        }
    }

    #[test]
    fn every_shard_counts_the_same_texts_whatever_shape_the_json_has() {
        let folder = tempfile::tempdir().unwrap();
        let array = "[\n {\n  \"text\": \"one\"\n },\n {\n  \"text\": \"two\"\n }\n]\n";
        for (name, text, texts) in [
            ("array.json", array, 2),
            ("cut.json", &array[..array.len() - 3], 2),
            ("object.json", "{\n \"text\": \"one\"\n}\n", 1),
            ("lines.json", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n", 2),
            ("nan.jsonl", "{\"score\": NaN, \"text\": \"one\"}\n{}\n\n[]\n", 3),
            ("text.txt", array, 1),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            let sources = || vec![CorpusSource::Path(path.clone())];
            let mut found = 0;
            for index in 0..2 {
                let shard = Shard { index, of: 2 };
                let records = Corpus::new(sources(), options(shard)).count() as u64;
                assert_eq!(records, Corpus::count(sources(), options(shard)), "{name}");
                found += records;
            }
            assert_eq!(found, texts, "{name}");
        }
        let path = folder.path().join("array.json");
        let records = Corpus::new(vec![CorpusSource::Path(path)], options(Shard::ALL));
        let texts: Vec<String> = records.map(|record| record.document.unwrap().text).collect();
        assert_eq!(texts, ["one", "two"]);
    }
}
