//! The authors that are considered, and their models.

use super::error::JudgeError;
use super::settings::{AuthorChoice, JudgeSettings};
use crate::model::catalogue::{AuthorEntry, Catalogue, ModelEntry};
use whowrote_stats::calibration::HUMAN;
use whowrote_stats::verdict::{AuthorSet, Candidate};

/// The candidates, and their models, each once.
pub(super) fn candidates(settings: &JudgeSettings) -> Result<(Vec<Candidate>, Vec<ModelEntry>), JudgeError> {
    let catalogue = Catalogue::load(settings.catalogue.as_deref())?;
    let (mut candidates, mut models) = (Vec::<Candidate>::new(), Vec::<ModelEntry>::new());
    let mut chosen = authors(&catalogue, AuthorSet::A, &settings.a)?;
    chosen.extend(authors(&catalogue, AuthorSet::B, &settings.b)?);
    catalogue.tell_apart(&mut chosen);
    for (model, author) in chosen {
        if candidates.iter().any(|c| c.author == author.name) {
            return Err(JudgeError::AuthorTwice(author.name));
        }
        let decoding = settings.decoding.clone().or(author.decoding).unwrap_or_default();
        candidates.push(Candidate {
            author: author.name,
            set: author.set,
            model: model.name.clone(),
            decoding,
        });
        add_model(&mut models, model)?;
    }
    continue_texts(&catalogue, &mut models, &settings.no_chat)?;
    if candidates.is_empty() {
        return Err(JudgeError::NoAuthor);
    }
    Ok((candidates, models))
}

/// The authors that are considered, including a person.
///
/// # Errors
/// If the catalogue cannot be used, or does not have an author that was named.
pub fn considered(settings: &JudgeSettings) -> Result<Vec<(String, AuthorSet)>, JudgeError> {
    let (candidates, _) = candidates(settings)?;
    let models = candidates
        .into_iter()
        .map(|candidate| (candidate.author, candidate.set));
    Ok(models.chain([(HUMAN.to_owned(), AuthorSet::Human)]).collect())
}

/// The authors of one set: those that the user chose, or those of the catalogue.
pub fn authors(
    catalogue: &Catalogue,
    set: AuthorSet,
    chosen: &[AuthorChoice],
) -> Result<Vec<(ModelEntry, AuthorEntry)>, JudgeError> {
    if chosen.is_empty() {
        let entries = catalogue.authors_in(set);
        return entries
            .map(|author| Ok((catalogue.model(&author.model)?.clone(), author.clone())))
            .collect();
    }
    chosen.iter().map(|choice| resolve(catalogue, choice, set)).collect()
}

/// The author that the user chose, with its model.
pub fn resolve(
    catalogue: &Catalogue,
    choice: &AuthorChoice,
    set: AuthorSet,
) -> Result<(ModelEntry, AuthorEntry), JudgeError> {
    Ok(match choice {
        AuthorChoice::Named(name) => catalogue.resolve_author(name, set)?,
        AuthorChoice::Path(path) => Catalogue::author_from_path(path, set)?,
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
        let same = |model: &&mut ModelEntry| model.sources == wanted.sources;
        let mut found = models.iter_mut().filter(same).peekable();
        if found.peek().is_none() {
            return Err(JudgeError::NoChatUnused(choice.to_string()));
        }
        found.for_each(|model| model.chat = false);
    }
    Ok(())
}
