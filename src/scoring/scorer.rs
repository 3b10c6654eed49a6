//! A text's figures under one model.

use super::reduce::reduce;
use super::token_stats::TextScores;
use crate::model::LanguageModel;
use crate::model::error::{ModelError, Result};

/// Tokens of a text that must fit beside a prompt.
const LEAST_ROOM: usize = 32;

/// Scored tokens, from the beginning, whose figures for decodings are kept: 40 MiB of them. No evidence needs more.
const DECODING_TOKENS: usize = 1 << 16;

/// How a text is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scoring {
    /// The inverse temperatures at which figures are made.
    pub betas: Vec<f64>,
    /// Tokens that one pass sees, the model's context allowing.
    pub window: usize,
    /// Tokens that a window shares with the one before it: the least context of a token after the first window.
    pub overlap: usize,
}

impl Scoring {
    /// Windows of 2,048 tokens that overlap by 512: a token far into a book is scored with 512 to 2,047 tokens of
    /// context, for a third more work than without overlap.
    pub fn at(betas: Vec<f64>) -> Self {
        Self {
            betas,
            window: 2048,
            overlap: 512,
        }
    }

    /// Tokens of a text, beside its context, that one pass of a model sees.
    pub fn room(&self, model: &LanguageModel, context: &[u32]) -> usize {
        // A long prompt makes the window longer, as far as the model can see.
        let window = self.window.max(context.len() + self.window / 2);
        let window = window.min(model.decoder().max_window());
        window.saturating_sub(context.len()).max(2)
    }
}

/// Scores a text that no prompt came before: see [`score_after`].
///
/// # Errors
/// When the tokeniser or the tensor library fails.
pub fn score(model: &LanguageModel, text: &str, scoring: &Scoring) -> Result<TextScores> {
    score_after(model, model.tokenizer().context(), text, scoring)
}

/// Scores every token of a text once, with its figures at each inverse temperature.
///
/// `context` is what the model saw before the text: a prompt ([`crate::model::chat::prompt_ids`]), or the model's own
/// beginning-of-text token ([`crate::model::tokenizer::Tokenizer::context`]). Where it is empty the first token of the
/// text is not scored.
///
/// A text longer than the window is scored in windows that overlap; each begins with the context.
///
/// # Errors
/// When the tokeniser or the tensor library fails, or the context leaves no room for the text.
pub fn score_after(model: &LanguageModel, context: &[u32], text: &str, scoring: &Scoring) -> Result<TextScores> {
    let tokens = model.tokenizer().encode(text)?;
    let first_scored = usize::from(context.is_empty());
    let mut ranks = Vec::with_capacity(tokens.ids.len());
    let mut stats = Vec::with_capacity(tokens.ids.len() * scoring.betas.len());
    let mut decoding = Vec::with_capacity(tokens.ids.len());
    let room = scoring.room(model, context);
    let is_prompt = context.len() > model.tokenizer().context().len();
    if is_prompt && context.len() + LEAST_ROOM > model.decoder().max_window() {
        return Err(ModelError::PromptTooLong {
            model: model.name().to_owned(),
            tokens: context.len(),
            most: model.decoder().max_window().saturating_sub(LEAST_ROOM),
        });
    }
    let overlap = scoring.overlap.min(room / 2).max(1);
    let mut next = first_scored;
    while next < tokens.ids.len() {
        // The window's first token; the first window begins with the text.
        let start = if next <= first_scored { 0 } else { next - overlap };
        let end = (start + room).min(tokens.ids.len());
        let ids = [context, &tokens.ids[start..end]].concat();
        let hidden = model.decoder().forward(&ids[..ids.len() - 1], 1, None)?;
        // Row i predicts id i + 1.
        let row = context.len() + (next - start) - 1;
        let hidden = hidden.narrow(0, row, end - next)?;
        let part = reduce(model, &hidden, &tokens.ids[next..end], &scoring.betas)?;
        ranks.extend(part.ranks);
        stats.extend(part.stats);
        decoding.extend(part.decoding);
        decoding.truncate(DECODING_TOKENS);
        next = end;
    }
    Ok(TextScores {
        model: model.name().to_owned(),
        vocab: model.decoder().vocab(),
        first_scored: first_scored.min(tokens.ids.len()),
        ids: tokens.ids,
        spans: tokens.spans,
        betas: scoring.betas.clone(),
        ranks,
        stats,
        decoding,
    })
}
