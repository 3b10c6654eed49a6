//! Several texts, scored by one model.

use super::error::JudgeError;
use crate::model::LanguageModel;
use crate::scoring::{Hidden, Prefix, Scoring, score_all, score_keeping};
use std::time::Instant;
use whowrote_stats::token_stats::TextScores;

/// A text as one model read it.
pub struct Read {
    /// The scores, or why the model's tokeniser refused the text.
    pub scores: Result<TextScores, String>,
    /// The hidden states behind the scores, if they were kept.
    pub hidden: Hidden,
    /// The text's share of the scoring time, milliseconds.
    pub elapsed_ms: f64,
}

/// Scores texts with a model, each after the prefix.
///
/// # Errors
/// If the model fails. If its tokeniser refuses a text, the others are still scored.
pub fn read(
    model: &LanguageModel,
    prefix: &Prefix,
    texts: &[&str],
    scoring: &Scoring,
    keep_hidden: bool,
) -> Result<Vec<Read>, JudgeError> {
    let start = Instant::now();
    let encoded = texts
        .iter()
        .map(|text| model.tokenizer().encode(text).map_err(|error| error.to_string()));
    let (mut refusals, mut tokens) = (Vec::new(), Vec::new());
    for encoded in encoded {
        match encoded {
            Ok(encoded) => {
                refusals.push(None);
                tokens.push(encoded);
            }
            Err(refusal) => refusals.push(Some(refusal)),
        }
    }
    let failed = || JudgeError::model(format!("the texts could not be scored with {}", model.name()));
    let scored: Vec<(TextScores, Hidden)> = if keep_hidden {
        score_keeping(model, prefix, tokens, scoring).map_err(failed())?
    } else {
        let scores = score_all(model, prefix, tokens, scoring).map_err(failed())?;
        scores.into_iter().map(|scores| (scores, Hidden::default())).collect()
    };
    let all: usize = scored.iter().map(|(scores, _)| scores.ids.len()).sum();
    let a_token = start.elapsed().as_secs_f64() * 1e3 / all.max(1) as f64;
    let mut scored = scored.into_iter();
    let mut read = |refusal: Option<String>| {
        if let Some(refusal) = refusal {
            return Read {
                scores: Err(refusal),
                hidden: Hidden::default(),
                elapsed_ms: 0.0,
            };
        }
        let (scores, hidden) = scored.next().expect("each text that was encoded is scored");
        Read {
            elapsed_ms: a_token * scores.ids.len() as f64,
            scores: Ok(scores),
            hidden,
        }
    };
    Ok(refusals.into_iter().map(&mut read).collect())
}
