//! A text's figures under one model.

use super::reduce::{Penalty, reduce};
use super::token_stats::{DecodingStats, Reduced, TextScores};
use crate::model::error::{ModelError, Result};
use crate::model::{Decoding, LanguageModel};
use candle_core::Tensor;

/// Tokens of a text that must fit beside a prompt.
const LEAST_ROOM: usize = 32;

/// Scored tokens, from the beginning, whose figures for decodings are kept: 40 MiB of them. No evidence needs more.
const DECODING_TOKENS: usize = 1 << 16;

/// Scored tokens, from the beginning, whose hidden states are kept: 100 MiB of them for a width of 1,536. A process that
/// stops there is one that stopped at a time fixed beforehand.
const HIDDEN_TOKENS: usize = 1 << 14;

/// How a text is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scoring {
    /// The inverse temperatures at which figures are made.
    pub betas: Vec<f64>,
    /// The repetition penalties under which figures are made beside those without one. Each costs one more pass over the
    /// vocabulary.
    pub penalties: Vec<f64>,
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
            penalties: Vec::new(),
            window: 2048,
            overlap: 512,
        }
    }

    /// With the repetition penalties of these decodings.
    pub fn with_penalties_of<'a>(mut self, decodings: impl IntoIterator<Item = &'a Decoding>) -> Self {
        for decoding in decodings {
            let penalty = decoding.repetition_penalty;
            if penalty != 1.0 && !self.penalties.contains(&penalty) {
                self.penalties.push(penalty);
            }
        }
        self
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
    score_windows(model, context, text, scoring, |_| ())
}

/// The hidden states that a text's tokens were predicted from.
#[derive(Clone, Debug)]
pub struct Hidden {
    /// Token ids of the whole text.
    pub ids: Vec<u32>,
    /// Index of the first token that was scored.
    pub first_scored: usize,
    /// `(rows, hidden)`, one a scored token from the first on; none where no token was scored.
    pub states: Option<Tensor>,
}

/// [`score_after`], with the hidden states of the first 16,384 tokens scored.
///
/// # Errors
/// Those of [`score_after`].
pub fn score_keeping(
    model: &LanguageModel,
    context: &[u32],
    text: &str,
    scoring: &Scoring,
) -> Result<(TextScores, Hidden)> {
    let (mut parts, mut rows) = (Vec::new(), 0);
    let scores = score_windows(model, context, text, scoring, |hidden| {
        if rows < HIDDEN_TOKENS {
            rows += hidden.dims()[0];
            parts.push(hidden.clone());
        }
    })?;
    let states = match parts.is_empty() {
        true => None,
        // A copy, so that the states of the prompt and of overlaps can go.
        false => Some(Tensor::cat(&parts, 0)?.narrow(0, 0, rows.min(HIDDEN_TOKENS))?.copy()?),
    };
    let hidden = Hidden {
        ids: scores.ids.clone(),
        first_scored: scores.first_scored,
        states,
    };
    Ok((scores, hidden))
}

/// Scores a text window by window, and shows the hidden states `(rows, hidden)` of every window's new tokens.
fn score_windows(
    model: &LanguageModel,
    context: &[u32],
    text: &str,
    scoring: &Scoring,
    mut show: impl FnMut(&Tensor),
) -> Result<TextScores> {
    let tokens = model.tokenizer().encode(text)?;
    let first_scored = usize::from(context.is_empty());
    let mut plain = Reduced::default();
    let mut penalised = vec![Reduced::default(); scoring.penalties.len()];
    let places = match scoring.penalties.is_empty() {
        true => Vec::new(),
        false => first_places(context, &tokens.ids),
    };
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
        show(&hidden);
        let seen = &tokens.ids[next..end];
        plain.extend(reduce(model, &hidden, seen, &scoring.betas, None)?);
        for (&factor, figures) in scoring.penalties.iter().zip(&mut penalised) {
            let penalty = Penalty {
                factor: factor as f32,
                places: &places,
                begin: context.len() + next,
            };
            figures.extend(reduce(model, &hidden, seen, &scoring.betas, Some(penalty))?);
        }
        for figures in penalised.iter_mut().chain([&mut plain]) {
            figures.decoding.truncate(DECODING_TOKENS);
        }
        next = end;
    }
    if !plain.decoding.iter().all(DecodingStats::is_number) {
        return Err(ModelError::NoNumbers(model.name().to_owned()));
    }
    Ok(TextScores {
        model: model.name().to_owned(),
        vocab: model.decoder().vocab(),
        symbols: model.symbols(),
        first_scored: first_scored.min(tokens.ids.len()),
        ids: tokens.ids,
        spans: tokens.spans,
        betas: scoring.betas.clone(),
        ranks: plain.ranks,
        stats: plain.stats,
        decoding: plain.decoding,
        penalised: scoring.penalties.iter().copied().zip(penalised).collect(),
        cross: Vec::new(),
    })
}

/// Every symbol of the context and the text with the place at which it comes first, in the order of the symbols.
fn first_places(context: &[u32], ids: &[u32]) -> Vec<(u32, usize)> {
    let mut places: Vec<(u32, usize)> = context.iter().chain(ids).copied().zip(0..).collect();
    places.sort_unstable();
    places.dedup_by_key(|(symbol, _)| *symbol);
    places
}
