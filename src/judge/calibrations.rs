//! The calibrations: the user's own, and those built into the program.

use super::error::JudgeError;
use super::settings::JudgeSettings;
use crate::report::{CalibrationUnused, Warning};
use whowrote_input::printable;
use whowrote_stats::calibration::{CalibratedModel, Calibration, HUMAN, built_in};
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::verdict::{Candidate, PromptKnowledge};

/// The user's own calibrations, each with the name of its file.
pub(super) fn own_calibrations(settings: &JudgeSettings) -> Result<Vec<(String, Calibration)>, JudgeError> {
    let read = |path: &std::path::PathBuf| {
        let name = printable(&path.to_string_lossy());
        let calibration = Calibration::from_file(path, &name)?;
        Ok((name, calibration))
    };
    settings.calibrations.iter().map(read).collect()
}

/// The user's own calibrations, then the built-in ones. If the user knows the genre, human-written texts of other
/// genres are left out.
pub(super) fn calibrations(
    settings: &JudgeSettings,
    own: &[(String, Calibration)],
) -> Result<Vec<Calibration>, JudgeError> {
    let mut all: Vec<Calibration> = own.iter().map(|(_, calibration)| calibration.clone()).collect();
    all.extend(built_in());
    let Some(genre) = &settings.genre else {
        return Ok(all);
    };
    let (people, mut known): (Vec<_>, Vec<_>) = all.into_iter().partition(|known| known.author == HUMAN);
    let of_genre: Vec<Calibration> = people.iter().filter_map(|people| people.only(genre)).collect();
    if of_genre.is_empty() {
        let groups = people.iter().flat_map(|people| &people.groups);
        return Err(JudgeError::NoGenre {
            genre: printable(genre),
            known: groups.map(|group| format!("\"{}\"", printable(&group.name))).collect(),
        });
    }
    known.extend(of_genre);
    Ok(known)
}

/// Warnings about the user's own calibrations that no author is tested with. Without them, the mistake would look
/// like an author without a calibration, or like the built-in calibration.
pub(super) fn unused(
    own: &[(String, Calibration)],
    candidates: &[Candidate],
    models: &[CalibratedModel],
    prompt: PromptKnowledge,
) -> Vec<Warning> {
    let why = |calibration: &Calibration| {
        let author = calibration.author.as_str();
        let of_author: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| candidate.names().any(|name| name == author))
            .collect();
        let shared: Vec<&str> = calibration
            .shared(models)
            .iter()
            .map(|(i, _)| models[*i].name.as_str())
            .collect();
        let (families, has_model): (Vec<String>, bool) = if author == HUMAN {
            (vec![SamplingFamily::Deployed.to_string()], !shared.is_empty())
        } else if prompt == PromptKnowledge::Known && of_author.iter().all(|candidate| candidate.model.is_some()) {
            // With a known prompt, models are tested without calibrations.
            return None;
        } else if of_author.is_empty() {
            let author = author.to_owned();
            return Some(CalibrationUnused::AuthorNotConsidered { author });
        } else {
            let families = of_author.iter().map(|candidate| candidate.decoding.to_string());
            let has_model = of_author.iter().any(|candidate| match &candidate.model {
                Some(model) => shared.contains(&model.as_str()),
                None => !shared.is_empty(),
            });
            (families.collect(), has_model)
        };
        if !families.contains(&calibration.family) {
            return Some(CalibrationUnused::OtherFamily {
                made_for: calibration.family.clone(),
                author: author.to_owned(),
                judged_as: families,
            });
        }
        (!has_model).then_some(CalibrationUnused::OtherModels)
    };
    let warning = |(file, calibration): &(String, Calibration)| {
        Some(Warning::CalibrationUnused {
            file: file.clone(),
            why: why(calibration)?,
        })
    };
    own.iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentences::warning;
    use whowrote_stats::verdict::AuthorSet;

    #[test]
    fn calibrations_that_are_not_used_have_a_warning() {
        let model = |name: &str| CalibratedModel {
            name: name.to_owned(),
            sha256: "00".to_owned(),
            request: None,
        };
        let calibration = |author: &str, family: &str, by: &str| Calibration {
            author: author.to_owned(),
            family: family.to_owned(),
            models: vec![model(by)],
            groups: Vec::new(),
        };
        let candidates = [Candidate {
            author: "bot".to_owned(),
            set: AuthorSet::A,
            model: Some("base".to_owned()),
            decoding: SamplingFamily::Deployed,
        }];
        let told = |calibration: Calibration, prompt| {
            let own = [("own.json".to_owned(), calibration)];
            let warnings = unused(&own, &candidates, &[model("base"), model("other")], prompt);
            warnings.first().map(warning).unwrap_or_default()
        };
        for (calibration, said) in [
            (calibration("bot", "deployed", "base"), ""),
            (calibration("base", "deployed", "base"), ""),
            (calibration(HUMAN, "deployed", "other"), ""),
            (
                calibration("bot", "deployed", "other"),
                "other models than the loaded ones",
            ),
            (
                calibration(HUMAN, "deployed", "third"),
                "other models than the loaded ones",
            ),
            (
                calibration("bot", "any", "base"),
                "made for `any`, and bot is judged as `deployed`",
            ),
            (
                calibration("bat", "deployed", "base"),
                "`own.json` is not used for this verdict: bat is not among the authors considered here",
            ),
        ] {
            let found = told(calibration.clone(), PromptKnowledge::Unknown);
            assert!(found.contains(said) && found.is_empty() == said.is_empty(), "{found}");
            if calibration.author != HUMAN {
                assert_eq!(told(calibration, PromptKnowledge::Known), "");
            }
        }
    }
}
