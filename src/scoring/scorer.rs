//! The figures of texts under one model.

use super::probe::probe_logits;
use super::reduce::{Penalty, reduce};
use crate::model::LanguageModel;
use crate::model::decoder::KvCache;
use crate::model::error::{ModelError, Result};
use crate::model::tokenizer::Tokens;
use candle_core::Tensor;
use std::cell::OnceCell;
use whowrote_stats::calibration::CalibratedModel;
use whowrote_stats::calibration::probe::Probe;
use whowrote_stats::sampling_params::SamplingParams;
use whowrote_stats::token_stats::{DecodingStats, LOGITS, Reduced, TextScores};

/// The least number of a text's tokens that must fit beside a prompt.
const LEAST_ROOM: usize = 32;

/// The figures for decodings are kept for this many scored tokens from the beginning of a text: 40 MiB. No evidence
/// needs more.
const DECODING_TOKENS: usize = 1 << 16;

/// Hidden states are kept for this many scored tokens from the beginning of a text: 100 MiB for a width of 1,536. The
/// e-process stops there, which is a stopping time fixed in advance.
const HIDDEN_TOKENS: usize = 1 << 14;

/// Tokens of short texts in one pass: enough to keep the multiplications efficient.
const PACK: usize = 1024;

/// How a text is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Scoring {
    /// The inverse temperatures of the figures.
    pub betas: Vec<f64>,
    /// Repetition penalties. Each gives one more set of figures, and costs one more pass over the vocabulary.
    pub penalties: Vec<f64>,
    /// Tokens in one pass, if the model's context allows as many.
    pub window: usize,
    /// Tokens that a window shares with the one before it. After the first window, a token has at least this much
    /// context.
    pub overlap: usize,
    /// The probe that reads the hidden states of one of the models; none if no figures of it are wanted.
    pub probe: Option<&'static Probe>,
}

impl Scoring {
    /// Windows of 2,048 tokens that overlap by 512. A token far into a book has 512 to 2,047 tokens of context, at the
    /// cost of a third more work than without overlap.
    pub fn at(betas: Vec<f64>) -> Self {
        Self {
            betas,
            penalties: Vec::new(),
            window: 2048,
            overlap: 512,
            probe: None,
        }
    }

    /// Adds the repetition penalties of these decodings.
    pub fn with_penalties_of<'a>(mut self, decodings: impl IntoIterator<Item = &'a SamplingParams>) -> Self {
        for decoding in decodings {
            let penalty = decoding.repetition_penalty;
            if penalty != 1.0 && !self.penalties.contains(&penalty) {
                self.penalties.push(penalty);
            }
        }
        self
    }

    /// Adds the probe, if it reads the states of this model.
    pub fn with_probe_of(mut self, model: &CalibratedModel) -> Self {
        self.probe = Some(Probe::built_in()).filter(|probe| probe.model == *model);
        self
    }

    /// The number of a text's tokens that fit into one pass beside the context.
    pub fn room(&self, model: &LanguageModel, context: &[u32]) -> usize {
        // A long prompt makes the window longer, up to the model's limit.
        let window = self.window.max(context.len() + self.window / 2);
        let window = window.min(model.decoder().max_window());
        window.saturating_sub(context.len()).max(2)
    }
}

/// The context before every text: a prompt ([`crate::model::chat::prompt_ids`]), or the model's own beginning-of-text
/// token ([`crate::model::tokenizer::Tokenizer::context`]). If it is empty, the first token of a text is not scored.
///
/// The model reads it once for all texts.
#[derive(Default)]
pub struct Prefix {
    ids: Vec<u32>,
    /// Keys and values of all its tokens but the last.
    read: OnceCell<KvCache>,
}

impl Prefix {
    /// A prefix of these token ids.
    pub fn new(ids: impl Into<Vec<u32>>) -> Self {
        Self {
            ids: ids.into(),
            read: OnceCell::new(),
        }
    }

    /// Its token ids.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The last token. Its row predicts the first token of a text.
    fn last(&self) -> &[u32] {
        &self.ids[self.ids.len().saturating_sub(1)..]
    }

    fn read(&self, model: &LanguageModel) -> Result<Option<&KvCache>> {
        let before = &self.ids[..self.ids.len().saturating_sub(1)];
        if before.is_empty() {
            return Ok(None);
        }
        if self.read.get().is_none() {
            let mut cache = KvCache::with_room(1, before.len());
            model.decoder().forward(before, 1, Some(&mut cache))?;
            return Ok(Some(self.read.get_or_init(|| cache)));
        }
        Ok(self.read.get())
    }
}

/// Scores a text without a prompt: see [`score_all`].
///
/// # Errors
/// When the tokeniser or the tensor library fails.
pub fn score(model: &LanguageModel, text: &str, scoring: &Scoring) -> Result<TextScores> {
    score_after(model, model.tokenizer().context(), text, scoring)
}

/// Scores one text: see [`score_all`].
///
/// # Errors
/// Those of [`score_all`].
pub fn score_after(model: &LanguageModel, context: &[u32], text: &str, scoring: &Scoring) -> Result<TextScores> {
    let tokens = model.tokenizer().encode(text)?;
    let mut scores = score_all(model, &Prefix::new(context), vec![tokens], scoring)?;
    // One text in, one out.
    Ok(scores.swap_remove(0))
}

/// Scores every token of each text ([`crate::model::tokenizer::Tokenizer::encode`]) once, at each inverse temperature.
///
/// Short texts share passes, but none attends to another. A text longer than the window is scored in overlapping
/// windows, and each window begins with the context.
///
/// # Errors
/// When the tensor library fails, the logits are NaN, or the context leaves no room for a text.
pub fn score_all(
    model: &LanguageModel,
    prefix: &Prefix,
    texts: Vec<Tokens>,
    scoring: &Scoring,
) -> Result<Vec<TextScores>> {
    score_showing(model, prefix, texts, scoring, |_, _| ())
}

/// The hidden states from which the model predicted a text's tokens.
#[derive(Clone, Debug, Default)]
pub struct Hidden {
    /// Token ids of the whole text.
    pub ids: Vec<u32>,
    /// The index of the first scored token.
    pub first_scored: usize,
    /// `(rows, hidden)`, one row per scored token from the first on. None if no token was scored.
    pub states: Option<Tensor>,
}

/// [`score_all`], with the hidden states of the first 16,384 scored tokens of each text.
///
/// # Errors
/// Those of [`score_all`].
pub fn score_keeping(
    model: &LanguageModel,
    prefix: &Prefix,
    texts: Vec<Tokens>,
    scoring: &Scoring,
) -> Result<Vec<(TextScores, Hidden)>> {
    let mut kept: Vec<(usize, Vec<Tensor>)> = vec![(0, Vec::new()); texts.len()];
    let scores = score_showing(model, prefix, texts, scoring, |text, hidden| {
        let (rows, parts) = &mut kept[text];
        if *rows < HIDDEN_TOKENS {
            *rows += hidden.dims()[0];
            parts.push(hidden.clone());
        }
    })?;
    let with_states = |(scores, (rows, parts)): (TextScores, (usize, Vec<Tensor>))| {
        let states = if parts.is_empty() {
            None
        } else {
            // The copy lets the memory of prompts, overlaps and other texts be freed.
            Some(Tensor::cat(&parts, 0)?.narrow(0, 0, rows.min(HIDDEN_TOKENS))?.copy()?)
        };
        let hidden = Hidden {
            ids: scores.ids.clone(),
            first_scored: scores.first_scored,
            states,
        };
        Ok((scores, hidden))
    };
    scores.into_iter().zip(kept).map(with_states).collect()
}

/// The figures of a text while its windows are being scored.
struct Draft {
    tokens: Tokens,
    plain: Reduced,
    penalised: Vec<Reduced>,
    probed: Vec<[f32; LOGITS]>,
    /// [`first_places`], if there are repetition penalties.
    places: Vec<(u32, usize)>,
}

/// Tokens of a text that one pass reads after the context.
struct Window {
    /// The index of the text.
    text: usize,
    /// The first token that is read.
    start: usize,
    /// The first token that is scored.
    next: usize,
    /// The first token after the window.
    end: usize,
}

/// Scores texts pass by pass. For every window, calls `show` with the text's index and the hidden states
/// `(rows, hidden)` of the window's new tokens.
fn score_showing(
    model: &LanguageModel,
    prefix: &Prefix,
    texts: Vec<Tokens>,
    scoring: &Scoring,
    mut show: impl FnMut(usize, &Tensor),
) -> Result<Vec<TextScores>> {
    let first_scored = usize::from(prefix.ids.is_empty());
    let room = scoring.room(model, &prefix.ids);
    let is_prompt = prefix.ids.len() > model.tokenizer().context().len();
    if is_prompt && prefix.ids.len() + LEAST_ROOM > model.decoder().max_window() {
        return Err(ModelError::PromptTooLong {
            model: model.name().to_owned(),
            tokens: prefix.ids.len(),
            most: model.decoder().max_window().saturating_sub(LEAST_ROOM),
        });
    }
    let mut drafts = Vec::with_capacity(texts.len());
    let mut windows = Vec::with_capacity(texts.len());
    for (text, tokens) in texts.into_iter().enumerate() {
        let overlap = scoring.overlap.min(room / 2).max(1);
        let mut next = first_scored;
        while next < tokens.ids.len() {
            // The first window starts at the beginning of the text.
            let start = if next <= first_scored { 0 } else { next - overlap };
            let end = (start + room).min(tokens.ids.len());
            windows.push(Window { text, start, next, end });
            next = end;
        }
        drafts.push(Draft {
            plain: Reduced::default(),
            probed: Vec::new(),
            penalised: vec![Reduced::default(); scoring.penalties.len()],
            places: if scoring.penalties.is_empty() {
                Vec::new()
            } else {
                first_places(&prefix.ids, &tokens.ids)
            },
            tokens,
        });
    }
    let mut rest = windows.as_slice();
    while !rest.is_empty() {
        let mut tokens = 0;
        let fits = |window: &&Window| {
            tokens += window.end - window.start;
            tokens <= PACK
        };
        let (pack, others) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        score_pack(model, prefix, pack, &mut drafts, scoring, &mut show)?;
        rest = others;
    }
    let finished = |draft: Draft| {
        if !draft.plain.decoding.iter().all(DecodingStats::is_number) {
            return Err(ModelError::NoNumbers(model.name().to_owned()));
        }
        Ok(TextScores {
            model: model.name().to_owned(),
            vocab: model.decoder().vocab(),
            symbols: model.symbols(),
            first_scored: first_scored.min(draft.tokens.ids.len()),
            ids: draft.tokens.ids,
            spans: draft.tokens.spans,
            betas: scoring.betas.clone(),
            ranks: draft.plain.ranks,
            stats: draft.plain.stats,
            decoding: draft.plain.decoding,
            penalised: scoring.penalties.iter().copied().zip(draft.penalised).collect(),
            cross: Vec::new(),
            probed: draft.probed,
        })
    };
    drafts.into_iter().map(finished).collect()
}

/// Reads windows in one pass and adds the figures of their new tokens to their texts.
fn score_pack(
    model: &LanguageModel,
    prefix: &Prefix,
    pack: &[Window],
    drafts: &mut [Draft],
    scoring: &Scoring,
    show: &mut impl FnMut(usize, &Tensor),
) -> Result<()> {
    let (mut ids, mut lengths, mut seen) = (Vec::new(), Vec::new(), Vec::new());
    for window in pack {
        let tokens = &drafts[window.text].tokens.ids;
        let begin = ids.len();
        ids.extend_from_slice(prefix.last());
        // Each row predicts the next token, so the last token is not read.
        ids.extend_from_slice(&tokens[window.start..window.end - 1]);
        lengths.push(ids.len() - begin);
        seen.extend_from_slice(&tokens[window.next..window.end]);
    }
    // Pad single rows: matrix-vector and matrix-matrix kernels round differently, and a text's figures must not depend
    // on the texts beside it.
    if let [alone] = ids[..] {
        ids.push(alone);
        lengths.push(1);
    }
    let mut probed = Vec::new();
    let hidden = model
        .decoder()
        .forward_packed(&ids, &lengths, prefix.read(model)?, |layer, states| {
            if let Some(probe) = scoring.probe.filter(|probe| probe.layer == layer) {
                probed = probe_logits(probe, states)?;
            }
            Ok(())
        })?;
    let mut states = Vec::with_capacity(pack.len());
    let mut end = 0;
    for (window, length) in pack.iter().zip(lengths) {
        end += length;
        let rows = window.end - window.next;
        states.push(hidden.narrow(0, end - rows, rows)?);
        if !probed.is_empty() {
            drafts[window.text].probed.extend_from_slice(&probed[end - rows..end]);
        }
    }
    let together = match states.as_slice() {
        [alone] => alone.clone(),
        _ => Tensor::cat(&states, 0)?,
    };
    let mut figures = reduce(model, &together, &seen, &scoring.betas, None)?;
    for (window, states) in pack.iter().zip(&states) {
        show(window.text, states);
        let draft = &mut drafts[window.text];
        let rows = window.end - window.next;
        draft.plain.extend(figures.take(rows, scoring.betas.len()));
        let seen = &draft.tokens.ids[window.next..window.end];
        for (&factor, figures) in scoring.penalties.iter().zip(&mut draft.penalised) {
            let penalty = Penalty {
                factor: factor as f32,
                places: &draft.places,
                begin: prefix.ids.len() + window.next,
            };
            figures.extend(reduce(model, states, seen, &scoring.betas, Some(penalty))?);
        }
        for figures in draft.penalised.iter_mut().chain([&mut draft.plain]) {
            figures.decoding.truncate(DECODING_TOKENS);
        }
    }
    Ok(())
}

/// Every symbol of the context and the text with the position of its first occurrence, sorted by symbol.
fn first_places(context: &[u32], ids: &[u32]) -> Vec<(u32, usize)> {
    let mut places: Vec<(u32, usize)> = context.iter().chain(ids).copied().zip(0..).collect();
    places.sort_unstable();
    places.dedup_by_key(|(symbol, _)| *symbol);
    places
}
