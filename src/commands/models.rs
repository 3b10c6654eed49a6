//! `whowrote models`: what models there are, fetching them, checking them, and where they lie.

use super::choices::choices;
use super::{ExitStatus, fetch_progress};
use crate::model::catalogue::{Catalogue, ModelEntry};
use crate::model::store::{Store, Verification, megabytes};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use whowrote_input::printable;
use whowrote_stats::verdict::AuthorSet;

/// The version of the JSON that `models list --format json` prints.
const SCHEMA: u32 = 1;

/// `whowrote models`.
#[derive(Args, Clone, Debug)]
pub struct ModelsArgs {
    /// What to do; `list` if nothing is said.
    #[command(subcommand)]
    pub command: Option<ModelsCommand>,

    /// A catalogue of models and authors, instead of the one of your configuration folder or the default
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub models: Option<PathBuf>,

    /// How the list is printed
    #[arg(long, global = true, value_name = "FORMAT", value_parser = choices(FORMATS), default_value = "text")]
    pub format: ListFormat,

    /// Opens no connection: a model that is not on this machine is an error
    #[arg(long, global = true)]
    pub offline: bool,

    /// Prints no progress
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// What can be done with models.
#[derive(Subcommand, Clone, Debug)]
pub enum ModelsCommand {
    /// List the models, the authors they stand for, and whether they are in the cache
    List,
    /// Fetch models into the cache
    Pull {
        /// Models or authors; without any, the models of all authors
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Compare the models on this machine with their SHA-256
    Verify {
        /// Models or authors; without any, all that are on this machine
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// Print where a model lies
    Path {
        /// A model or an author
        name: String,
    },
}

/// How the list of models is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// For reading.
    Text,
    /// For programs.
    Json,
}

const FORMATS: [(ListFormat, &str, &str); 2] = [
    (ListFormat::Text, "text", "For reading: one line a model"),
    (ListFormat::Json, "json", "For programs: one JSON object a model"),
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

/// One model, as `list` shows it.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    authors: Vec<RowAuthor<'a>>,
    size_bytes: Option<u64>,
    sha256: Option<&'a str>,
    licence: &'a str,
    /// Where it lies on this machine, unverified.
    path: Option<String>,
}

#[derive(Serialize)]
struct RowAuthor<'a> {
    name: &'a str,
    set: AuthorSet,
}

#[derive(Serialize)]
struct Listing<'a> {
    schema: u32,
    models_file: String,
    cache_dir: String,
    models: Vec<Row<'a>>,
}

fn list(catalogue: &Catalogue, store: &Store, json: bool, out: &mut dyn Write) -> Result<()> {
    let rows: Vec<Row> = catalogue
        .models()
        .iter()
        .map(|model| row(catalogue, store, model))
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

fn row<'a>(catalogue: &'a Catalogue, store: &Store, model: &'a ModelEntry) -> Row<'a> {
    let authors = catalogue.authors().iter().filter(|author| author.model == model.name);
    let path = store.path(model);
    // A local model's size is that of its file; a folder's is not worth walking through.
    let on_disk = || {
        path.as_ref()
            .and_then(|path| path.metadata().ok())
            .filter(|m| m.is_file())
            .map(|m| m.len())
    };
    Row {
        name: &model.name,
        authors: authors
            .map(|author| RowAuthor {
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

impl RowAuthor<'_> {
    /// The set, and the author's name where it is not the model's.
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
    let models = if names.is_empty() {
        let used = |model: &&ModelEntry| catalogue.authors().iter().any(|author| author.model == model.name);
        catalogue.models().iter().filter(used).collect()
    } else {
        find_all(catalogue, names)?
    };
    let mut failed = Vec::new();
    for model in models {
        match store.ensure(model) {
            Ok(stored) => writeln!(out, "{}  {}", model.name, stored.path.display())?,
            // The others may still be had.
            Err(error) => failed.push(error.to_string()),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("{}", failed.join("\n"))
    }
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
                writeln!(out, "{name}  {}  (the models file has no sha256 for it)", stored.sha256)?;
            }
            Verification::Damaged { path, expected, found } => {
                writeln!(out, "{name}  DAMAGED")?;
                bad.push(format!(
                    "{} has sha256 {found}, not {expected}; run `whowrote models pull {name}` to replace it, or correct \
                     the path in the models file",
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

/// A model by its own name, or by the name of an author that it stands for.
fn find<'a>(catalogue: &'a Catalogue, name: &str) -> Result<&'a ModelEntry> {
    let name = match (catalogue.model(name), catalogue.author(name)) {
        (Err(_), Some(author)) => &author.model,
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
