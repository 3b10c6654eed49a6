//! From a text's figures to a confidence set of authors.

use super::report::*;
use crate::scoring::TextScores;
use crate::stats::likelihood_ratio::{Outcome, RatioVoid, Scored, likelihood_ratio};
use crate::stats::{entropy_gap, ln_average, ln_union, p_value, rejects};
use std::collections::BTreeMap;

/// An author that may have written the text: a model, sampled without truncation at one temperature.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The author's name.
    pub author: String,
    /// A or B.
    pub set: AuthorSet,
    /// The name of the model that stands for the author.
    pub model: String,
    /// The temperature that the author is supposed to have sampled at.
    pub temperature: f64,
}

impl Candidate {
    /// Inverse temperature.
    pub fn beta(&self) -> f64 {
        1.0 / self.temperature
    }
}

/// How verdicts are reached.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The level of the confidence set.
    pub alpha: f64,
    /// The tests that may speak against a model, each once.
    pub tests: Vec<Test>,
}

/// The inverse temperatures that a model must be scored at: 1, at which its figures are reported, and those of the
/// candidates.
pub fn betas(candidates: &[Candidate]) -> Vec<f64> {
    let mut betas = vec![1.0];
    for candidate in candidates {
        if !betas.contains(&candidate.beta()) {
            betas.push(candidate.beta());
        }
    }
    betas
}

/// What the tests say of a text.
#[derive(Debug)]
pub struct Decision {
    /// The answer.
    pub verdict: Verdict,
    /// The authors that are left.
    pub authors: Vec<String>,
    /// Every author that was considered.
    pub hypotheses: Vec<Hypothesis>,
    /// What the reader must know.
    pub warnings: Vec<Warning>,
}

/// The confidence set of authors at level `policy.alpha`: every author that the evidence has not ruled out.
///
/// An author's own evidence alone can remove it, and does so wrongly with probability at most alpha; so the true
/// author, if it is among the candidates and sampled as they say, is in the set with probability at least 1 - alpha,
/// however many others are considered (docs/THEORY.md, coverage of the confidence set). A person is listed, and
/// nothing speaks against one. `scores` holds each candidate's model at [`betas`]; a candidate whose model is missing
/// from it stays in the set.
pub fn decide(
    text: &str,
    candidates: &[Candidate],
    scores: &BTreeMap<String, TextScores>,
    policy: &Policy,
) -> Decision {
    let judged: Vec<Judged> = candidates
        .iter()
        .map(|c| judge(text, c, candidates, scores, policy))
        .collect();
    let mut warnings = vec![decoding_warning(candidates)];
    if let Some(reason) = judged.iter().find_map(|j| j.ratio_void) {
        warnings.push(Warning {
            code: WarningCode::RatioVoid,
            message: format!("The models could not be compared with one another on this text: {reason}."),
        });
    }
    warnings.push(Warning {
        code: WarningCode::HumanUntested,
        message: "Nothing here tests whether a person wrote the text, so a person is never ruled out.".to_owned(),
    });
    let scored = scores.values().map(TextScores::scored).max().unwrap_or(0);
    if judged.iter().any(|j| j.hypothesis.retained)
        && let Some(message) = few_tokens(&judged, scored)
    {
        warnings.push(Warning {
            code: WarningCode::FewTokens,
            message,
        });
    }
    let mut hypotheses: Vec<Hypothesis> = judged.into_iter().map(|j| j.hypothesis).collect();
    hypotheses.push(Hypothesis {
        author: "human".to_owned(),
        set: AuthorSet::Human,
        model: None,
        temperature: None,
        retained: true,
        p_value: None,
        ln_e_value: None,
        evidence: Vec::new(),
    });
    let left = hypotheses.iter().filter(|h| h.retained).map(|h| h.author.clone());
    let authors: Vec<String> = if scored == 0 { Vec::new() } else { left.collect() };
    let verdict = match authors.len() {
        _ if scored == 0 => Verdict::Unable,
        0 => Verdict::Unknown,
        1 => Verdict::Attributed,
        _ => Verdict::Undecided,
    };
    Decision {
        verdict,
        authors,
        hypotheses,
        warnings,
    }
}

/// A hypothesis with what the warnings need.
struct Judged {
    hypothesis: Hypothesis,
    ratio_void: Option<RatioVoid>,
    /// Tokens that the entropy gap would need on a text like this one, at least.
    fewest_tokens: Option<usize>,
}

fn judge(
    text: &str,
    candidate: &Candidate,
    candidates: &[Candidate],
    scores: &BTreeMap<String, TextScores>,
    policy: &Policy,
) -> Judged {
    // Each of k tests has a k-th of the level.
    let level = policy.alpha / policy.tests.len().max(1) as f64;
    let mut judged = Judged {
        hypothesis: Hypothesis {
            author: candidate.author.clone(),
            set: candidate.set,
            model: Some(candidate.model.clone()),
            temperature: Some(candidate.temperature),
            retained: true,
            p_value: Some(1.0),
            ln_e_value: None,
            evidence: Vec::new(),
        },
        ratio_void: None,
        fewest_tokens: None,
    };
    let Some(own) = scored(candidate, scores) else {
        return judged;
    };
    let mut on_words = false;
    for &test in &policy.tests {
        let evidence = match test {
            Test::EntropyGap | Test::EntropyGapVocab => {
                let tokens = own.0.at(own.1);
                let gap = match test {
                    Test::EntropyGapVocab => entropy_gap::vocab(tokens, own.0.vocab, level),
                    _ => entropy_gap::exact(tokens, level),
                };
                judged.fewest_tokens = judged.fewest_tokens.into_iter().chain(gap.fewest_tokens).min();
                Evidence {
                    test,
                    ln_e_value: gap.ln_e_value,
                    statistic: gap.statistic,
                    threshold: gap.threshold(),
                    against: Vec::new(),
                }
            }
            Test::LikelihoodRatio => {
                let mut against: Vec<&Candidate> = Vec::new();
                for other in candidates.iter().filter(|other| other.model != candidate.model) {
                    if !against
                        .iter()
                        .any(|o| o.model == other.model && o.temperature == other.temperature)
                    {
                        against.push(other);
                    }
                }
                let numerators: Vec<Scored> = against.iter().filter_map(|other| scored(other, scores)).collect();
                let ratio = likelihood_ratio(text, own, &numerators);
                on_words |= ratio.outcome == Outcome::Word;
                // With one model there is nothing to compare, and a text of no word is told to be too short.
                let told = |reason: &RatioVoid| !matches!(reason, RatioVoid::NoNumerator | RatioVoid::NoOutcome);
                judged.ratio_void = ratio.void.filter(told);
                Evidence {
                    test,
                    ln_e_value: ratio.ln_e_value,
                    statistic: ratio.ln_e_value,
                    threshold: -level.ln(),
                    against: against.iter().map(|other| other.author.clone()).collect(),
                }
            }
        };
        judged.hypothesis.evidence.push(evidence);
    }
    let weighted: Vec<(f64, f64)> = judged.hypothesis.evidence.iter().map(|e| (e.ln_e_value, 1.0)).collect();
    // An average of e-values is one only where they stop together: a ratio by words and a gap by tokens do not
    // (docs/THEORY.md 9).
    let ln_e = if on_words {
        ln_union(&weighted)
    } else {
        ln_average(&weighted)
    };
    judged.hypothesis.ln_e_value = Some(ln_e);
    judged.hypothesis.p_value = Some(p_value(ln_e));
    judged.hypothesis.retained = !rejects(ln_e, policy.alpha);
    judged
}

fn scored<'a>(candidate: &Candidate, scores: &'a BTreeMap<String, TextScores>) -> Option<Scored<'a>> {
    let scores = scores.get(&candidate.model)?;
    Some((scores, scores.beta_index(candidate.beta())?))
}

fn decoding_warning(candidates: &[Candidate]) -> Warning {
    let mut temperatures: Vec<f64> = candidates.iter().map(|c| c.temperature).collect();
    temperatures.sort_by(f64::total_cmp);
    temperatures.dedup();
    let temperatures: Vec<String> = temperatures.iter().map(f64::to_string).collect();
    Warning {
        code: WarningCode::Decoding,
        message: format!(
            "Each model is judged as sampled without truncation at temperature {} and without a prompt. Text that was \
             sampled otherwise (top-k, top-p, another temperature) or answers a prompt is not covered: a model that \
             is ruled out here may have written it that way.",
            temperatures.join(", ")
        ),
    }
}

/// Says that a text was longer than the `room` tokens that a model sees at once.
pub fn long_text_warning(model: &str, tokens: usize, room: usize) -> Warning {
    Warning {
        code: WarningCode::LongText,
        message: format!(
            "The text has {tokens} tokens and {model} was given {room} at a time, each part with the end of the one \
             before it. An author that saw more of its text while writing is judged a little too strictly."
        ),
    }
}

/// Says that no test could have decided, and how many tokens it would take.
fn few_tokens(judged: &[Judged], scored: usize) -> Option<String> {
    if scored == 0 {
        return Some("The text is too short: no model could score a token of it.".to_owned());
    }
    let needed = judged.iter().filter_map(|j| j.fewest_tokens).max()?;
    (scored < needed).then(|| {
        format!(
            "The text has {scored} scored tokens. The entropy gap decides on no text like it of fewer than {needed}, \
             and the likelihood ratio seldom does: take a longer text."
        )
    })
}

/// A model's figures of a text, for the report.
pub fn figures(scores: &TextScores, sha256: Option<String>, per_token: bool) -> Option<ModelFigures> {
    let beta = scores.beta_index(1.0)?;
    let n = scores.scored();
    let mean = |f: &dyn Fn(usize, &crate::scoring::TokenStats) -> f64| {
        scores.at(beta).enumerate().map(|(i, stats)| f(i, stats)).sum::<f64>() / n as f64
    };
    let scored_spans = scores.spans.get(scores.first_scored..).unwrap_or_default();
    let bytes = match (scored_spans.first(), scored_spans.last()) {
        (Some(first), Some(last)) => last.end - first.start,
        _ => 0,
    };
    let log_perplexity = mean(&|_, stats| stats.surprisal);
    let token = |i: usize| {
        let row = i.checked_sub(scores.first_scored);
        let stats = row.and_then(|row| scores.at(beta).nth(row));
        TokenFigures {
            start: scores.spans[i].start,
            end: scores.spans[i].end,
            id: scores.ids[i],
            surprisal: stats.map(|s| s.surprisal),
            entropy: stats.map(|s| s.entropy),
            varentropy: stats.map(|s| s.varentropy),
            rank: row.and_then(|row| scores.ranks.get(row).copied()),
        }
    };
    Some(ModelFigures {
        tokens: scores.ids.len(),
        scored_tokens: n,
        log_perplexity,
        entropy: mean(&|_, stats| stats.entropy),
        varentropy: mean(&|_, stats| stats.varentropy),
        mean_log_rank: mean(&|i, _| f64::from(scores.ranks[i]).ln()),
        bits_per_byte: log_perplexity * n as f64 / std::f64::consts::LN_2 / bytes as f64,
        sha256,
        per_token: per_token.then(|| (0..scores.ids.len()).map(token).collect()),
    })
}
