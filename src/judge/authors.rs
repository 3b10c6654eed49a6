//! The authors that are considered, their models, and the user's calibrations.

use super::calibrations::own_calibrations;
use super::error::JudgeError;
use super::settings::{AuthorChoice, JudgeSettings};
use crate::model::catalogue::{AuthorEntry, Catalogue, ModelEntry};
use whowrote_input::printable;
use whowrote_stats::calibration::{Calibration, HUMAN};
use whowrote_stats::verdict::{AuthorSet, Candidate};

/// Who is considered, and what that takes.
pub(super) struct Considered {
    /// The authors, without a person.
    pub(super) candidates: Vec<Candidate>,
    /// The models that read texts, each once: those of authors, and those that authors without a model are known by.
    pub(super) models: Vec<ModelEntry>,
    /// The calibrations that the user named, on the command line or in the catalogue, each with the name of its file.
    pub(super) own: Vec<(String, Calibration)>,
}

impl Considered {
    /// The authors of the settings.
    ///
    /// # Errors
    /// If the catalogue or a calibration cannot be used, or an author is not known.
    pub(super) fn new(settings: &JudgeSettings) -> Result<Self, JudgeError> {
        let catalogue = Catalogue::load(settings.catalogue.as_deref())?;
        let mut own = own_calibrations(settings)?;
        let (mut candidates, mut models) = (Vec::<Candidate>::new(), Vec::<ModelEntry>::new());
        let mut all = chosen(&catalogue, AuthorSet::A, &settings.a, &own)?;
        all.extend(chosen(&catalogue, AuthorSet::B, &settings.b, &own)?);
        catalogue.tell_apart(&mut all);
        for (model, author) in all {
            if candidates.iter().any(|c| c.author == author.name) {
                return Err(JudgeError::AuthorTwice(author.name));
            }
            if let Some(path) = &author.calibration {
                let file = printable(&path.to_string_lossy());
                let calibration = Calibration::from_file(path, &file)?;
                if calibration.author != author.name && author.model.as_ref() != Some(&calibration.author) {
                    return Err(JudgeError::OtherAuthor {
                        file,
                        of: printable(&calibration.author),
                        author: author.name,
                    });
                }
                own.push((file, calibration));
            }
            let of_model = settings.decoding.clone().or(author.decoding);
            candidates.push(Candidate {
                author: author.name,
                set: author.set,
                decoding: model.as_ref().and(of_model).unwrap_or_default(),
                model: model.as_ref().map(|model| model.name.clone()),
            });
            if let Some(model) = model {
                add_model(&mut models, model)?;
            }
        }
        for candidate in candidates.iter().filter(|candidate| candidate.model.is_none()) {
            let known = own.iter().filter(|(_, known)| known.author == candidate.author);
            for reader in known.flat_map(|(_, known)| &known.models) {
                // A model of the same name in another version is not the reader, and a warning says so.
                let is_there = models.iter().any(|model| model.name == reader.name);
                if let (false, Ok(model)) = (is_there, catalogue.model(&reader.name)) {
                    models.push(model.clone());
                }
            }
        }
        continue_texts(&catalogue, &mut models, &settings.no_chat)?;
        if candidates.is_empty() {
            return Err(JudgeError::NoAuthor);
        }
        if models.is_empty() {
            return Err(JudgeError::NoReader);
        }
        Ok(Self {
            candidates,
            models,
            own,
        })
    }
}

/// The authors that are considered, including a person.
///
/// # Errors
/// If the catalogue cannot be used, or does not have an author that was named.
pub fn considered(settings: &JudgeSettings) -> Result<Vec<(String, AuthorSet)>, JudgeError> {
    let authors = Considered::new(settings)?.candidates.into_iter();
    let authors = authors.map(|candidate| (candidate.author, candidate.set));
    Ok(authors.chain([(HUMAN.to_owned(), AuthorSet::Human)]).collect())
}

/// An author, and its model if it has one.
type Chosen = (Option<ModelEntry>, AuthorEntry);

/// The authors of one set that have a model: those that the user chose, or those of the catalogue.
///
/// # Errors
/// If the catalogue does not have an author that was named, or it has no model.
pub fn authors(catalogue: &Catalogue, set: AuthorSet, choices: &[AuthorChoice]) -> Result<Vec<Chosen>, JudgeError> {
    let mut authors = chosen(catalogue, set, choices, &[])?;
    if let Some((_, author)) = authors.iter().find(|(model, _)| model.is_none() && !choices.is_empty()) {
        return Err(JudgeError::NoModelOf(author.name.clone()));
    }
    authors.retain(|(model, _)| model.is_some());
    Ok(authors)
}

/// The authors of one set. A name may also be that of a calibration among `own`.
fn chosen(
    catalogue: &Catalogue,
    set: AuthorSet,
    choices: &[AuthorChoice],
    own: &[(String, Calibration)],
) -> Result<Vec<Chosen>, JudgeError> {
    if choices.is_empty() {
        let entries = catalogue.authors_in(set);
        return entries
            .map(|author| Ok((catalogue.model_of(author)?, author.clone())))
            .collect();
    }
    let is_known_by_texts = |name: &str| {
        let is_listed = catalogue.author(name).is_some() || catalogue.model(name).is_ok();
        !is_listed && name != HUMAN && own.iter().any(|(_, known)| known.author == name)
    };
    let choose = |choice: &AuthorChoice| match choice {
        // A folder of the author's texts often has its name.
        AuthorChoice::Named(name) if is_known_by_texts(name) => {
            let author = AuthorEntry {
                name: name.clone(),
                set,
                model: None,
                decoding: None,
                calibration: None,
            };
            Ok((None, author))
        }
        choice => resolve(catalogue, choice, set),
    };
    choices.iter().map(choose).collect()
}

/// The author that the user chose, with its model.
///
/// # Errors
/// If the catalogue does not have it.
pub fn resolve(catalogue: &Catalogue, choice: &AuthorChoice, set: AuthorSet) -> Result<Chosen, JudgeError> {
    Ok(match choice {
        AuthorChoice::Named(name) => catalogue.resolve_author(name, set)?,
        AuthorChoice::Path(path) => {
            let (model, author) = Catalogue::author_from_path(path, set)?;
            (Some(model), author)
        }
    })
}

/// Adds a model to those of a run, each once.
pub fn add_model(models: &mut Vec<ModelEntry>, model: ModelEntry) -> Result<(), JudgeError> {
    match models.iter().find(|m| m.name == model.name) {
        Some(same) if same.sources != model.sources => Err(JudgeError::ModelTwice(model.name)),
        Some(_) => Ok(()),
        None => {
            models.push(model);
            Ok(())
        }
    }
}

/// Lets the chosen models of a run continue texts, even if their files have chat templates.
pub fn continue_texts(
    catalogue: &Catalogue,
    models: &mut [ModelEntry],
    chosen: &[AuthorChoice],
) -> Result<(), JudgeError> {
    for choice in chosen {
        let (wanted, _) = resolve(catalogue, choice, AuthorSet::A)?;
        let same = |model: &&mut ModelEntry| wanted.as_ref().is_some_and(|wanted| model.sources == wanted.sources);
        let mut found = models.iter_mut().filter(same).peekable();
        if found.peek().is_none() {
            return Err(JudgeError::NoChatUnused(choice.to_string()));
        }
        found.for_each(|model| model.chat = false);
    }
    Ok(())
}
