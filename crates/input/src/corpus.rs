//! Many texts, one after the other: of folders, of lists of paths, and of files that hold several.

use super::parquet::Parquet;
use super::records::{Columns, Csv, JsonLines, Record, Records};
use super::unpack::{Wrapping, open, unpacked, wrapping};
use super::{Document, InputError, printable};
use ignore::overrides::OverrideBuilder;
use ignore::{Walk, WalkBuilder};
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// One text.
    Text,
    /// A JSON object a line, each with a text in it.
    Jsonl,
    /// Comma-separated values under a row of names.
    Csv,
    /// The same with tabs.
    Tsv,
    /// Rows and typed columns.
    Parquet,
}

impl Holding {
    /// All kinds, each with its name and what it is.
    pub const NAMED: [(Self, &'static str, &'static str); 5] = [
        (Self::Text, "text", "One text"),
        (Self::Jsonl, "jsonl", "A JSON object a line, each with a text in it"),
        (Self::Csv, "csv", "Comma-separated values under a row of names"),
        (Self::Tsv, "tsv", "The same with tabs"),
        (Self::Parquet, "parquet", "Rows and typed columns"),
    ];

    /// What a name says.
    fn of(path: &Path) -> Self {
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.as_deref() {
            Some("jsonl" | "ndjson") => Self::Jsonl,
            Some("csv") => Self::Csv,
            Some("tsv") => Self::Tsv,
            Some("parquet") => Self::Parquet,
            _ => Self::Text,
        }
    }
}

/// A part of the texts: those whose places leave `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Counted from 0, less than `of`.
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
        parse().ok_or_else(|| "a shard is its number and how many there are, such as 1/8 to 8/8".to_owned())
    }
}

/// Where texts come from.
#[derive(Debug)]
pub enum Root {
    /// A file, or a folder that is walked.
    Path(PathBuf),
    /// Standard input, as a file of many texts.
    Stdin(Holding),
    /// A list of paths, one a line or, where `null`, one before each NUL.
    List {
        /// The file of the list; none for standard input.
        path: Option<PathBuf>,
        /// What paths are told apart by.
        null: bool,
    },
}

/// How texts are found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Where in a record the text is.
    pub columns: Columns,
    /// What all files hold, whatever their names say.
    pub holding: Option<Holding>,
    /// Which files of folders are taken, as patterns of a .gitignore the other way round.
    pub globs: Vec<String>,
    /// Whether hidden files are.
    pub hidden: bool,
    /// Whether those are that a .gitignore or .ignore names.
    pub ignored: bool,
    /// The part of the texts that is taken.
    pub shard: Shard,
    /// Files that are never taken: those that results go to.
    pub except: Vec<PathBuf>,
}

/// The texts, in an order that is always the same: of roots as they are named, of folders by name, of files of many as they lie.
pub struct Corpus {
    roots: std::vec::IntoIter<Root>,
    finding: Finding,
    except: Vec<PathBuf>,
    /// The place of the next text among all.
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

/// A path of a list is not longer.
const MAX_PATH: u64 = 1 << 16;

impl Corpus {
    /// Of these roots.
    pub fn new(roots: Vec<Root>, finding: Finding) -> Self {
        let except = finding.except.iter();
        Self {
            roots: roots.into_iter(),
            except: except.map(|path| full_path(path)).collect(),
            finding,
            place: 0,
            files: None,
            records: None,
        }
    }

    /// How many texts a shard has. Files of many are read for it, those of one are not.
    pub fn count(roots: Vec<Root>, finding: Finding) -> u64 {
        let Shard { index, of } = finding.shard;
        // A shard that no text belongs to.
        let shard = Shard {
            index: u64::MAX,
            of: u64::MAX,
        };
        let mut all = Self::new(roots, Finding { shard, ..finding });
        while all.next().is_some() {}
        (all.place + of - 1 - index) / of
    }

    /// Whether the text that comes next belongs to the shard; it has then come.
    fn takes(&mut self) -> bool {
        let Shard { index, of } = self.finding.shard;
        let takes = self.place % of == index;
        self.place += 1;
        takes
    }

    /// Whether results go to this file, or went to it while a table was made.
    fn is_ours(&self, path: &Path) -> bool {
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned());
        let Some(found) = name(path) else { return false };
        // Names first: the system need not be asked of every file.
        self.except.iter().any(|ours| {
            let rest = name(ours).and_then(|ours| Some(found.strip_prefix(&ours)?.to_owned()));
            let alike = |rest: String| rest.is_empty() || rest.starts_with('.') && rest.ends_with(".part");
            rest.is_some_and(alike) && folder_of(path).as_deref() == ours.parent()
        })
    }

    /// The next file, or why there is none where one should be.
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
                    // A list that cannot be read fails again and again.
                    if let Some(Files::List { .. }) = self.files {
                        self.files = None;
                    }
                    return Some(Err(failed));
                }
                None => self.files = None,
            }
            self.files = match self.roots.next()? {
                Root::Stdin(holding) => {
                    self.records = records("-", holding, Box::new(io::stdin()), &self.finding.columns);
                    return None;
                }
                Root::List { path: None, null } => Some(Files::List {
                    reader: Box::new(io::stdin().lock()),
                    name: "-".to_owned(),
                    end: if null { 0 } else { b'\n' },
                }),
                Root::List { path: Some(path), null } => match open(&path) {
                    Err(error) => return Some(Err((path.to_string_lossy().into_owned(), error))),
                    Ok(file) => Some(Files::List {
                        reader: Box::new(io::BufReader::new(file)),
                        name: path.to_string_lossy().into_owned(),
                        end: if null { 0 } else { b'\n' },
                    }),
                },
                Root::Path(path) if path.is_dir() => match walk(&path, &self.finding) {
                    Ok(walk) => Some(Files::Walk(Box::new(walk))),
                    Err(error) => return Some(Err((path.to_string_lossy().into_owned(), error))),
                },
                Root::Path(path) => Some(Files::One(Some(path))),
            };
        }
    }
}

/// The folder that a file lies in, from the root.
fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).canonicalize().ok()
}

/// A path from the root, of a file that need not be there yet.
fn full_path(path: &Path) -> PathBuf {
    let beside = || Some(folder_of(path)?.join(path.file_name()?));
    let full = path.canonicalize().ok().or_else(beside);
    full.unwrap_or_else(|| path.to_owned())
}

/// A file, or those of a folder, each folder's by name; hidden files, and those that a .gitignore or .ignore names, are left out.
pub fn files_of(root: &Path) -> impl Iterator<Item = Result<PathBuf, (String, InputError)>> {
    let mut files = match root.is_dir() {
        false => Some(Files::One(Some(root.to_owned()))),
        // One run of one machine: what lies above the folder counts too.
        true => Some(Files::Walk(Box::new(walker(root).parents(true).build()))),
    };
    std::iter::from_fn(move || match files.as_mut()? {
        Files::One(path) => path.take().map(Ok),
        Files::Walk(walk) => next_of_walk(walk),
        Files::List { .. } => None,
    })
}

/// The files of a folder, those of each folder by name.
fn walk(folder: &Path, finding: &Finding) -> Result<Walk, InputError> {
    let bad_glob = |error: ignore::Error| InputError::Unreadable {
        name: printable(&folder.to_string_lossy()),
        source: io::Error::other(error.to_string()),
    };
    let mut globs = OverrideBuilder::new(folder);
    for glob in &finding.globs {
        globs.add(glob).map_err(bad_glob)?;
    }
    let mut builder = walker(folder);
    if finding.ignored {
        builder.ignore(false).git_ignore(false);
    }
    builder
        .hidden(!finding.hidden)
        .overrides(globs.build().map_err(bad_glob)?);
    Ok(builder.build())
}

/// What a user or a machine has set up elsewhere does not count: shards must agree on which texts there are.
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
            // A link to a folder is no text, and not followed: it may lead back.
            Ok(entry) if entry.path_is_symlink() && entry.path().is_dir() => {}
            Ok(entry) => return Some(Ok(entry.into_path())),
            Err(error) => {
                let name = match &error {
                    ignore::Error::WithPath { path, .. } => path.to_string_lossy().into_owned(),
                    _ => "-".to_owned(),
                };
                let source = error
                    .into_io_error()
                    .unwrap_or_else(|| io::Error::other("it cannot be walked"));
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

/// A path that came as bytes.
#[cfg(unix)]
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
pub(super) fn path_of(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

/// The texts of a stream that holds several; none where it is one text.
fn records(name: &str, holding: Holding, reader: Box<dyn Read>, columns: &Columns) -> Option<Box<dyn Records>> {
    Some(match holding {
        Holding::Jsonl => Box::new(JsonLines::new(name, reader, columns.clone())),
        Holding::Csv => Box::new(Csv::new(name, reader, b',', columns.clone())),
        Holding::Tsv => Box::new(Csv::new(name, reader, b'\t', columns.clone())),
        Holding::Text | Holding::Parquet => return None,
    })
}

impl Iterator for Corpus {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        loop {
            if let Some(mut records) = self.records.take() {
                let wanted = self.takes();
                match records.next(wanted) {
                    None => self.place -= 1,
                    Some(record) => {
                        self.records = Some(records);
                        match record {
                            // What a file ends with for want of more is told by one shard.
                            Some(record) if wanted => return Some(record),
                            _ => {}
                        }
                    }
                }
                continue;
            }
            let path = match self.next_file() {
                Some(Ok(path)) => path,
                Some(Err((name, error))) => match self.takes() {
                    true => return Some(Record::failed(name, error)),
                    false => continue,
                },
                None if self.records.is_some() => continue,
                None => return None,
            };
            let name = path.to_string_lossy().into_owned();
            let (wrapping, inner) = wrapping(&path);
            let holding = self.finding.holding.unwrap_or_else(|| Holding::of(&inner));
            let opened = match holding {
                Holding::Text => {
                    if !self.takes() {
                        continue;
                    }
                    let document = unpacked(&path, wrapping).and_then(|reader| Document::from_reader(&name, reader));
                    return Some(Record {
                        name,
                        id: None,
                        document,
                    });
                }
                Holding::Parquet if wrapping != Wrapping::Plain => {
                    Err(InputError::PackedParquet { name: printable(&name) })
                }
                Holding::Parquet => open(&path).map(|file| {
                    let parquet = Parquet::new(name.as_str(), file, self.finding.columns.clone());
                    Some(Box::new(parquet) as Box<dyn Records>)
                }),
                _ => unpacked(&path, wrapping).map(|reader| records(&name, holding, reader, &self.finding.columns)),
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
