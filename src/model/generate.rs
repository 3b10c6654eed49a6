//! Writes many texts at once with one model.
//!
//! All texts that are under way take one step together, and where one ends the next begins in its place, so that the
//! batch stays full to the end of the work. Texts of one prompt that follow one another share the reading of it. What
//! is drawn depends on each text's own seed and not on the company that it has in the batch, up to rounding.

use super::decoder::KvCache;
use super::device::memory_for_weights;
use super::error::{ModelError, Result};
use super::language_model::LanguageModel;
use super::sampler::{Sampler, Scratch};
use candle_core::Tensor;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::Arc;
use whowrote_stats::sampling_params::SamplingParams;

/// One text to write.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the model reads first; at least one token.
    pub prompt: Arc<Vec<u32>>,
    /// How it draws.
    pub decoding: SamplingParams,
    /// Where its random numbers begin.
    pub seed: u64,
}

/// Where texts are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Words, parted by white space; at least one.
    pub words: usize,
    /// Tokens; at least one.
    pub tokens: usize,
}

/// Why a text ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it.
    End,
    /// It was cut behind the last word of [`Limits::words`].
    Words,
    /// It was cut at [`Limits::tokens`], or where the model can read no further.
    Tokens,
}

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The text, without its prompt.
    pub text: String,
    /// Tokens drawn, without the one that ended it.
    pub tokens: usize,
    /// Words of the text, parted by white space.
    pub words: usize,
    /// Why it ends.
    pub finish: Finish,
}

/// Who is told of the texts. An error ends the work.
pub trait Listener {
    /// What can go wrong with telling.
    type Error: From<ModelError>;

    /// A text is finished; `job` is the place of its job. Short texts come before long ones.
    fn finished(&mut self, job: usize, text: Generated) -> std::result::Result<(), Self::Error>;

    /// A step is done, in which so many tokens were drawn.
    fn step(&mut self, tokens: usize) {
        let _ = tokens;
    }
}

/// A text that is under way.
struct Sequence {
    job: usize,
    /// Its prompt and what was drawn.
    ids: Vec<u32>,
    /// Tokens drawn.
    drawn: usize,
    sampler: Sampler,
    bytes: Vec<u8>,
    /// The hidden state that the next token is drawn from, `(1, hidden)`.
    hidden: Tensor,
}

/// Writes the text of every job, up to `batch` at a time.
///
/// # Errors
/// When a prompt is empty, not of this model or too long for it, the computation fails, or the listener says so.
pub fn generate<L: Listener>(
    model: &LanguageModel,
    jobs: &[Job],
    limits: Limits,
    batch: usize,
    listener: &mut L,
) -> std::result::Result<(), L::Error> {
    let decoder = model.decoder();
    let longest = jobs.iter().map(|job| job.prompt.len()).max().unwrap_or(0);
    let window = decoder.max_window();
    let tokens = longest.saturating_add(limits.tokens).min(window);
    // A text's seed does not depend on its company, so that a smaller batch writes the same.
    let room = memory_for_weights(decoder.device()) / decoder.bytes_of_row(tokens).max(1);
    let batch = batch
        .min(usize::try_from(room).unwrap_or(usize::MAX))
        .min(jobs.len())
        .max(1);
    let mut cache = KvCache::with_room(batch, tokens);
    let mut read: Option<ReadPrompt> = None;
    let mut under_way: Vec<Sequence> = Vec::with_capacity(batch);
    let mut next = 0;
    loop {
        while under_way.len() < batch && next < jobs.len() {
            let job = &jobs[next];
            let sequence = begin(model, next, job, &mut read)?;
            if let Some(read) = &read {
                cache.set_row(under_way.len(), &read.cache)?;
            }
            under_way.push(sequence);
            next += 1;
        }
        if under_way.is_empty() {
            return Ok(());
        }
        let ended = draw(model, &mut under_way, limits, window)?;
        listener.step(under_way.len());
        // From the last on, so that the places of those before stay what they are.
        for (place, finish) in ended.into_iter().enumerate().rev() {
            if let Some(finish) = finish {
                let sequence = under_way.swap_remove(place);
                cache.swap_remove(place)?;
                listener.finished(sequence.job, conclude(&sequence.bytes, sequence.drawn, limits, finish))?;
            }
        }
        if under_way.is_empty() {
            continue;
        }
        let last: Vec<u32> = under_way.iter().filter_map(|s| s.ids.last().copied()).collect();
        let hidden = decoder.forward(&last, under_way.len(), Some(&mut cache))?;
        for (row, sequence) in under_way.iter_mut().enumerate() {
            sequence.hidden = hidden.narrow(0, row, 1).map_err(ModelError::from)?;
        }
    }
}

/// A prompt that was read.
struct ReadPrompt {
    ids: Arc<Vec<u32>>,
    cache: KvCache,
    hidden: Tensor,
}

/// Reads a job's prompt, unless it is the one that was read before.
fn begin(model: &LanguageModel, index: usize, job: &Job, read: &mut Option<ReadPrompt>) -> Result<Sequence> {
    let known = match read.take() {
        Some(known) if known.ids == job.prompt => known,
        _ => {
            let mut cache = KvCache::with_room(1, job.prompt.len());
            let hidden = model.decoder().forward(&job.prompt, 1, Some(&mut cache))?;
            ReadPrompt {
                ids: job.prompt.clone(),
                hidden: model.decoder().last(&hidden, 1)?,
                cache,
            }
        }
    };
    let hidden = known.hidden.clone();
    *read = Some(known);
    Ok(Sequence {
        job: index,
        ids: job.prompt.to_vec(),
        sampler: Sampler::new(job.decoding.clone(), job.seed),
        drawn: 0,
        bytes: Vec::new(),
        hidden,
    })
}

/// Draws one token for every text, and says which of them end.
fn draw(
    model: &LanguageModel,
    under_way: &mut [Sequence],
    limits: Limits,
    window: usize,
) -> Result<Vec<Option<Finish>>> {
    let decoder = model.decoder();
    let hidden: Vec<&Tensor> = under_way.iter().map(|sequence| &sequence.hidden).collect();
    let logits = decoder.logits(&Tensor::cat(&hidden, 0)?)?;
    let mut logits = logits.flatten_all()?.to_vec1::<f32>()?;
    if logits.iter().any(|logit| logit.is_nan()) {
        return Err(ModelError::NoNumbers(model.name().to_owned()));
    }
    let tokenizer = model.tokenizer();
    let ended = under_way
        .par_iter_mut()
        .zip(logits.par_chunks_mut(decoder.vocab()))
        .map_init(Scratch::default, |scratch, (sequence, logits)| {
            // Vocabularies are padded beyond what the tokeniser knows.
            let known = logits.len().min(tokenizer.len());
            let id = sequence.sampler.draw(&mut logits[..known], &sequence.ids, scratch);
            if tokenizer.ends(id) {
                return Some(Finish::End);
            }
            sequence.ids.push(id);
            sequence.bytes.extend_from_slice(tokenizer.bytes(id));
            sequence.drawn += 1;
            let words = String::from_utf8_lossy(&sequence.bytes).split_whitespace().count();
            if words > limits.words {
                Some(Finish::Words)
            } else if sequence.drawn >= limits.tokens || sequence.ids.len() >= window {
                Some(Finish::Tokens)
            } else {
                None
            }
        });
    Ok(ended.collect())
}

/// The text as it is handed on.
fn conclude(bytes: &[u8], tokens: usize, limits: Limits, finish: Finish) -> Generated {
    let mut text = match std::str::from_utf8(bytes) {
        // Cut inside a character: its first bytes are no text.
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(&bytes[..error.valid_up_to()]).into_owned()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    };
    let mut words = text.split_whitespace();
    if let Some(last) = words.by_ref().take(limits.words).last()
        && words.next().is_some()
    {
        let end = last.as_ptr() as usize - text.as_ptr() as usize + last.len();
        text.truncate(end);
    }
    Generated {
        words: text.split_whitespace().count(),
        text,
        tokens,
        finish,
    }
}
