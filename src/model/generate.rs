//! Writes many texts at once with one model.
//!
//! All texts of a batch take one step together. When a text ends, the next one takes its place, so the batch stays full
//! to the end of the work. Consecutive texts with one prompt share the reading of it. Up to rounding, the tokens of a
//! text depend only on its own seed, and not on the other texts in the batch.

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
    /// The tokens that the model reads first; at least one.
    pub prompt: Arc<Vec<u32>>,
    /// The settings of sampling.
    pub decoding: SamplingParams,
    /// The seed of its random numbers.
    pub seed: u64,
}

/// The greatest length of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Words, separated by white space; at least one.
    pub words: usize,
    /// Tokens; at least one.
    pub tokens: usize,
}

/// Why a text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Finish {
    /// The model ended it.
    End,
    /// It was cut after [`Limits::words`] words.
    Words,
    /// It was cut at [`Limits::tokens`], or at the end of the model's window.
    Tokens,
}

/// A text that a model wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The text, without its prompt.
    pub text: String,
    /// The number of tokens drawn, without the one that ended the text.
    pub tokens: usize,
    /// The number of words, separated by white space.
    pub words: usize,
    /// Why it ended.
    pub finish: Finish,
}

/// Receives the texts. An error ends the work.
pub trait Listener {
    /// The listener's error.
    type Error: From<ModelError>;

    /// A text is finished. `job` is the index of its job. Short texts come before long ones.
    fn finished(&mut self, job: usize, text: Generated) -> std::result::Result<(), Self::Error>;

    /// A step is done, and `tokens` tokens were drawn in it.
    fn step(&mut self, tokens: usize) {
        let _ = tokens;
    }
}

/// A text in the batch.
struct Sequence {
    job: usize,
    /// The tokens of the prompt and the drawn tokens.
    ids: Vec<u32>,
    /// The number of drawn tokens.
    drawn: usize,
    sampler: Sampler,
    bytes: Vec<u8>,
    /// The hidden state for the next token, `(1, hidden)`.
    hidden: Tensor,
}

/// Writes the text of every job, up to `batch` at a time.
///
/// # Errors
/// When a prompt is empty, too long, or has ids outside the vocabulary; when the computation or the listener fails.
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
    // A text's seed does not depend on the batch, so a smaller batch writes the same texts.
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
        // Remove from the last place to the first, so that the other places stay valid.
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

/// A prompt that the model has read.
struct ReadPrompt {
    ids: Arc<Vec<u32>>,
    cache: KvCache,
    hidden: Tensor,
}

/// Reads a job's prompt, unless it equals the previous one.
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

/// Draws one token for every text, and says which texts end.
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
            // A vocabulary may be padded beyond the tokens of the tokeniser.
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

/// The text of these bytes, cut to whole characters and to the limit of words.
fn conclude(bytes: &[u8], tokens: usize, limits: Limits, finish: Finish) -> Generated {
    let mut text = match std::str::from_utf8(bytes) {
        // The bytes end inside a character. Leave out its first bytes.
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
