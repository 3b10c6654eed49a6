//! The scores that are compared: each is greater for texts by models than for texts by people, as its source has it.
//!
//! None has a guarantee but the p-values. They come from one pass and are computed here from the stored means over a text:
//! L is the log-perplexity, h the entropy, V the varentropy, r the mean log-rank, n the number of scored tokens.
//!
//! # References
//!
//! - Log-rank: S. Gehrmann, H. Strobelt, A. Rush, *GLTR: statistical detection and visualization of generated text*, ACL 2019.
//! - LRR: J. Su, T. Zhuo, D. Wang, P. Nakov, *DetectLLM: leveraging log rank information for zero-shot detection of
//!   machine-generated text*, EMNLP 2023, equation 1.
//! - Conditional probability curvature: G. Bao and others, *Fast-DetectGPT: efficient zero-shot detection of
//!   machine-generated text via conditional probability curvature*, ICLR 2024, equation 3 with the moments of the text in
//!   closed form, and one model both sampling and scoring.

use crate::texts::{Figures, LabelledText};
use serde::Serialize;
use whowrote_stats::calibration::HUMAN;
use whowrote_stats::calibration::probe::ANOTHER_MODEL;

/// A score of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Score {
    /// Its name.
    pub score: &'static str,
    /// The model that it is computed from; none if it is the program's own.
    pub model: Option<String>,
}

type OfModel = fn(&Figures) -> Option<f64>;

/// The scores of one model.
const OF_MODELS: [(&str, OfModel); 8] = [
    ("log-perplexity", |f| Some(-f.log_perplexity?)),
    ("bits-per-byte", |f| Some(-f.bits_per_byte?)),
    ("entropy", |f| Some(-f.entropy?)),
    ("entropy-gap", |f| Some(-gap(f)?)),
    ("absolute-entropy-gap", |f| Some(-gap(f)?.abs())),
    ("log-rank", |f| Some(-f.mean_log_rank?)),
    ("lrr", |f| Some(f.log_perplexity? / f.mean_log_rank?)),
    ("curvature", |f| {
        Some(-gap(f)? * (f.scored_tokens as f64 / f.varentropy?).sqrt())
    }),
];

/// The scores of the program itself.
const OWN: [&str; 3] = ["person-p-value", "person-score", "probe"];

fn gap(figures: &Figures) -> Option<f64> {
    Some(figures.log_perplexity? - figures.entropy?)
}

impl Score {
    /// All scores that these texts can have: the program's own, and those of every model that read any of them.
    pub fn of(texts: &[&LabelledText]) -> Vec<Self> {
        let mut models: Vec<&String> = texts.iter().flat_map(|text| text.models.keys()).collect();
        models.sort_unstable();
        models.dedup();
        let own = OWN.iter().map(|score| Self { score, model: None });
        let of_models = models.into_iter().flat_map(|model| {
            OF_MODELS.iter().map(|(score, _)| Self {
                score,
                model: Some(model.clone()),
            })
        });
        own.chain(of_models).collect()
    }

    /// All names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        OWN.into_iter().chain(OF_MODELS.iter().map(|(name, _)| *name))
    }

    /// The score of a text: the greater, the less it looks like a person's. None if it was not computed.
    pub fn value(&self, text: &LabelledText) -> Option<f64> {
        match &self.model {
            Some(model) => {
                let (_, of) = OF_MODELS.iter().find(|(name, _)| *name == self.score)?;
                of(text.models.get(model)?).filter(|score| !score.is_nan())
            }
            None if self.score == "probe" => {
                let mut probes = text.models.values().filter_map(|figures| figures.probe.as_ref());
                probes.find_map(|probe| *probe.logits.get(ANOTHER_MODEL)?)
            }
            None => {
                let person = text.considered(HUMAN)?;
                match self.score {
                    "person-p-value" => Some(-person.p_value?),
                    _ => {
                        let conformal = person.evidence.iter().find(|evidence| evidence.test == "conformal")?;
                        Some(-conformal.statistic?)
                    }
                }
            }
        }
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.score)?;
        match &self.model {
            Some(model) => write!(f, " ({model})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::{Considered, Evidence, ProbeFigures};
    use std::collections::BTreeMap;

    #[test]
    fn the_scores_are_those_of_their_formulas() {
        let text = LabelledText {
            name: String::new(),
            sha256: String::new(),
            has_document: true,
            label: "gpt-4".to_owned(),
            is_human: false,
            document: "1".to_owned(),
            words: 100,
            values: BTreeMap::new(),
            is_judged: true,
            authors: Vec::new(),
            hypotheses: vec![Considered {
                author: HUMAN.to_owned(),
                p_value: Some(0.25),
                evidence: vec![Evidence {
                    test: "conformal".to_owned(),
                    statistic: Some(1.5),
                    calibration: None,
                }],
            }],
            models: BTreeMap::from([(
                "m".to_owned(),
                Figures {
                    scored_tokens: 100,
                    log_perplexity: Some(3.0),
                    entropy: Some(2.5),
                    varentropy: Some(4.0),
                    mean_log_rank: Some(1.5),
                    bits_per_byte: Some(0.9),
                    probe: Some(ProbeFigures {
                        logits: BTreeMap::from([(ANOTHER_MODEL.to_owned(), Some(0.75))]),
                    }),
                },
            )]),
        };
        let scores = Score::of(&[&text]);
        let values: Vec<f64> = scores.iter().map(|score| score.value(&text).unwrap()).collect();
        // The curvature is (sum of log-probabilities less what is expected) over its standard deviation:
        // (-300 + 250) / sqrt(400).
        assert_eq!(
            values,
            [-0.25, -1.5, 0.75, -3.0, -0.9, -2.5, -0.5, -0.5, -1.5, 2.0, -2.5]
        );
        assert_eq!(Score::names().count(), scores.len());
        assert_eq!(scores[3].to_string(), "log-perplexity (m)");
        let unread = LabelledText {
            models: BTreeMap::new(),
            hypotheses: Vec::new(),
            ..text
        };
        assert!(scores.iter().all(|score| score.value(&unread).is_none()));
    }
}
