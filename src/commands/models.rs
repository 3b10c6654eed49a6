//! `whowrote models`: lists, fetches and checks the models.

use super::choices::choices;
use super::{ExitStatus, fetch_progress};
use crate::model::catalogue::{AuthorEntry, Catalogue, ModelEntry};
use crate::model::store::{Store, Verification, megabytes};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use whowrote_input::printable;
use whowrote_stats::calibration::Calibration;
use whowrote_stats::verdict::AuthorSet;

/// The version of the JSON of `models list`.
const SCHEMA: u32 = 1;

/// The arguments of `models`.
#[derive(Args, Clone, Debug)]
pub struct ModelsArgs {
    /// The task; `list` if there is none.
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,

    /// Catalogue of models and authors [default: yours, or else the built-in one]
    ///
    /// Yours is the one in your configuration folder.
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub models: Option<PathBuf>,

    /// Format of the list
    #[arg(long, global = true, value_name = "FORMAT", value_parser = choices(FORMATS), default_value = "text")]
    pub format: ListFormat,

    /// Open no connection; a model that is not on this machine is an error
    #[arg(long, global = true)]
    pub offline: bool,

    /// Print no progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// The tasks of `models`.
#[derive(Subcommand, Clone, Debug)]
pub enum ModelsCommand {
    /// List the models, their authors, and whether they are on this machine
    List,
    /// Fetch models into the cache
    Pull {
        /// Models or authors [default: all that the authors need]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Check the models on this machine against their SHA-256
    Verify {
        /// Models or authors [default: all on this machine]
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print the path of a model
    Path {
        /// Model or author
        name: String,
    },
}

/// The format of the list of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For reading.
    Text,
    /// For programs.
    Json,
}

const FORMATS: [(ListFormat, &str, &str); 2] = [
    (ListFormat::Text, "text", "For reading: one line for each model"),
    (ListFormat::Json, "json", "For programs: one JSON object"),
];

/// Runs `whowrote models`; results go to `out`.
pub fn run(args: &ModelsArgs, out: &mut dyn Write) -> Result<ExitStatus> {
    let catalogue = Catalogue::load(args.models.as_deref())?;
    let store = Store::new(Store::default_cache_dir()?, args.offline, fetch_progress(args.quiet));
    match args.command.as_ref().unwrap_or(&ModelsCommand::List) {
        ModelsCommand::List => list(&catalogue, &store, args.format == ListFormat::Json, out)?,
        ModelsCommand::Pull { names } => pull(&catalogue, &store, names, out)?,
        ModelsCommand::Verify { names } => verify(&catalogue, &store, names, out)?,
        ModelsCommand::Path { name } => {
            let model = find(&catalogue, name)?;
            let Some(path) = store.path(model) else {
                bail!(
                    "the model {} is not on this machine; run `whowrote models pull {}`",
                    model.name,
                    model.name
                );
            };
            writeln!(out, "{}", path.display())?;
        }
    }
    Ok(ExitStatus::Done)
}

/// One model in the list.
#[derive(Serialize)]
struct ListedModel<'a> {
    name: &'a str,
    authors: Vec<ListedAuthor<'a>>,
    size_bytes: Option<u64>,
    sha256: Option<&'a str>,
    licence: &'a str,
    /// Its path on this machine; the file is not verified.
    path: Option<String>,
}

#[derive(Serialize)]
struct ListedAuthor<'a> {
    name: &'a str,
    set: AuthorSet,
}

#[derive(Serialize)]
struct Listing<'a> {
    schema: u32,
    models_file: String,
    cache_dir: String,
    models: Vec<ListedModel<'a>>,
}

fn list(catalogue: &Catalogue, store: &Store, json: bool, out: &mut dyn Write) -> Result<()> {
    let rows: Vec<ListedModel> = catalogue
        .models()
        .iter()
        .map(|model| listed(catalogue, store, model))
        .collect();
    if json {
        let listing = Listing {
            schema: SCHEMA,
            models_file: catalogue.origin().display().to_string(),
            cache_dir: store.cache_dir().display().to_string(),
            models: rows,
        };
        return Ok(writeln!(out, "{}", serde_json::to_string(&listing)?)?);
    }

    let mut table = vec![["MODEL", "AUTHOR", "SIZE", "HERE", "LICENCE"].map(str::to_owned)];
    for row in rows {
        let authors: Vec<_> = row.authors.iter().map(|author| author.in_words(row.name)).collect();
        table.push([
            row.name.to_owned(),
            if authors.is_empty() {
                "-".to_owned()
            } else {
                authors.join(", ")
            },
            row.size_bytes.map_or_else(|| "?".to_owned(), megabytes),
            if row.path.is_some() { "yes" } else { "no" }.to_owned(),
            printable(row.licence),
        ]);
    }
    let width = |column: usize| table.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let [model, author, size, here] = [0, 1, 2, 3].map(width);
    for [a, b, c, d, e] in &table {
        writeln!(out, "{a:model$}  {b:author$}  {c:>size$}  {d:here$}  {e}")?;
    }
    Ok(())
}

fn listed<'a>(catalogue: &'a Catalogue, store: &Store, model: &'a ModelEntry) -> ListedModel<'a> {
    let of_model = |author: &&AuthorEntry| author.model.as_ref() == Some(&model.name);
    let authors = catalogue.authors().iter().filter(of_model);
    let path = store.path(model);
    // The size of a local model is that of its file. Measuring a folder is not worth the time.
    let on_disk = || {
        path.as_ref()
            .and_then(|path| path.metadata().ok())
            .filter(|m| m.is_file())
            .map(|m| m.len())
    };
    ListedModel {
        name: &model.name,
        authors: authors
            .map(|author| ListedAuthor {
                name: &author.name,
                set: author.set,
            })
            .collect(),
        size_bytes: model.size.or_else(on_disk),
        sha256: model.sha256.as_deref(),
        licence: &model.licence,
        path: path.map(|path| path.display().to_string()),
    }
}

impl ListedAuthor<'_> {
    /// The set, and the author's name if it differs from the model's.
    fn in_words(&self, model: &str) -> String {
        let set = match self.set {
            AuthorSet::A => "A",
            AuthorSet::B => "B",
            AuthorSet::Human => "human",
        };
        if self.name == model {
            format!("in set {set}")
        } else {
            format!("{} in set {set}", self.name)
        }
    }
}

fn pull(catalogue: &Catalogue, store: &Store, names: &[String], out: &mut dyn Write) -> Result<()> {
    let mut failed = Vec::new();
    let models = if names.is_empty() {
        let (used, unreadable) = used_by_authors(catalogue);
        failed.extend(unreadable);
        catalogue
            .models()
            .iter()
            .filter(|model| used.contains(&model.name))
            .collect()
    } else {
        find_all(catalogue, names)?
    };
    for model in models {
        match store.ensure(model) {
            Ok(stored) => writeln!(out, "{}  {}", model.name, stored.path.display())?,
            // Other models may still be fetched.
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("{}", failed.join("\n"))
    }
}

/// The models of the authors, and those that read the texts of authors without a model; and why a calibration cannot tell.
fn used_by_authors(catalogue: &Catalogue) -> (BTreeSet<String>, Vec<String>) {
    let (mut used, mut unreadable) = (BTreeSet::new(), Vec::new());
    for author in catalogue.authors() {
        match (&author.model, &author.calibration) {
            (Some(model), _) => {
                used.insert(model.clone());
            }
            (None, Some(path)) => match Calibration::from_file(path, &printable(&path.to_string_lossy())) {
                Ok(known) => used.extend(known.models.into_iter().map(|reader| reader.name)),
                Err(error) => unreadable.push(error.to_string()),
            },
            (None, None) => {}
        }
    }
    (used, unreadable)
}

fn verify(catalogue: &Catalogue, store: &Store, names: &[String], out: &mut dyn Write) -> Result<()> {
    let models = if names.is_empty() {
        catalogue
            .models()
            .iter()
            .filter(|model| store.path(model).is_some())
            .collect()
    } else {
        find_all(catalogue, names)?
    };
    let mut bad = Vec::new();
    for model in models {
        let name = &model.name;
        match store.verify(model).with_context(|| format!("cannot verify {name}"))? {
            Verification::Good(stored) if model.sha256.is_some() => writeln!(out, "{name}  good  {}", stored.sha256)?,
            Verification::Good(stored) => {
                writeln!(out, "{name}  {}  (the catalogue has no sha256 for it)", stored.sha256)?;
            }
            Verification::Damaged { path, expected, found } => {
                writeln!(out, "{name}  DAMAGED")?;
                bad.push(format!(
                    "{} has sha256 {found}, not {expected}; run `whowrote models pull {name}` to replace it, or \
                     correct the path in the catalogue",
                    path.display()
                ));
            }
            Verification::Missing => {
                writeln!(out, "{name}  not on this machine")?;
                bad.push(format!(
                    "{name} is not on this machine; run `whowrote models pull {name}`"
                ));
            }
        }
    }
    if bad.is_empty() {
        Ok(())
    } else {
        bail!("{}", bad.join("\n"))
    }
}

/// A model by its own name, or by the name of its author.
fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ModelEntry> {
    let name = match (catalogue.model(name), catalogue.author(name)) {
        (Err(_), Some(AuthorEntry { model: Some(model), .. })) => model,
        _ => name,
    };
    Ok(catalogue.model(name)?)
}

fn find_all<'a>(catalogue: &'a Catalogue, names: &[String]) -> Result<Vec<&'a ModelEntry>> {
    let mut models: Vec<&ModelEntry> = Vec::new();
    for name in names {
        let model = find(catalogue, name)?;
        if !models.iter().any(|other| other.name == model.name) {
            models.push(model);
        }
    }
    Ok(models)
}
