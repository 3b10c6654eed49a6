//! The prompt before the text.

use super::error::JudgeError;
use super::settings::PromptChoice;
use crate::model::LanguageModel;
use crate::model::chat::{Prompt, prompt_ids};
use std::path::Path;
use whowrote_input::{Document, Source};

/// The prompt that the user gave.
pub(super) struct GivenPrompt {
    pub(super) system: Option<String>,
    pub(super) user: String,
}

impl GivenPrompt {
    /// Reads the prompt; none if the user gave none.
    pub(super) fn read(choice: &PromptChoice) -> Result<Option<Self>, JudgeError> {
        let PromptChoice::Given { user, system } = choice else {
            return Ok(None);
        };
        let read = |path: &Path| Document::read_plain(&Source::File(path.to_owned())).map(|document| document.text);
        Ok(Some(Self {
            system: system.as_deref().map(read).transpose()?,
            user: read(user)?,
        }))
    }

    /// The prompt's tokens. A chat model gets turns; any other model continues the prompt.
    pub(super) fn ids(&self, model: &LanguageModel) -> crate::model::Result<Vec<u32>> {
        let prompt = match (model.chat_template(), &self.system) {
            (Some(_), system) => Prompt::Chat {
                system: system.clone(),
                user: self.user.clone(),
            },
            (None, Some(system)) => Prompt::Text(format!("{system}\n\n{}", self.user)),
            (None, None) => Prompt::Text(self.user.clone()),
        };
        prompt_ids(model, &prompt)
    }
}
