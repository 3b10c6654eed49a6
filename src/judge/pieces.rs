//! The pieces of a text: how it is cut, what is kept of each piece, and the report on all of them.

use super::Judge;
use super::round::Job;
use crate::report::{ModelFigures, PieceReport, ProbeFigures, ProvenanceReport, SCHEMA, Timing, Warning};
use std::collections::BTreeMap;
use std::ops::Range;
use whowrote_input::{Document, pieces};
use whowrote_stats::calibration::CalibratedModel;
use whowrote_stats::conformal_scores::{LEAST_PIECE, PIECE, word_ends};
use whowrote_stats::verdict::{
    Decision, Observation, PromptKnowledge, Unprompted, WholeDecision, decide, decide_whole,
};

/// The number of words that show where a piece begins, and the most letters of them.
const WORDS_SHOWN: usize = 8;
const LETTERS_SHOWN: usize = 80;

impl Judge {
    /// The pieces in which a text is read without its prompt; at least one.
    pub(super) fn cut(&self, text: &str) -> Vec<Range<usize>> {
        let mut cuts = pieces(self.part_read(text), PIECE, LEAST_PIECE);
        if cuts.is_empty() {
            cuts.push(0..0);
        }
        cuts
    }

    /// The part of a text that is read without its prompt.
    pub(super) fn part_read<'a>(&self, text: &'a str) -> &'a str {
        let last = self
            .settings
            .first
            .and_then(|words| word_ends(text).get(words.get() - 1).copied());
        last.map_or(text, |end| &text[..end])
    }

    /// What is kept of a piece that all models have read.
    pub(super) fn reading(&self, job: Job, identities: &[CalibratedModel], whole: bool) -> Reading {
        let decision = job.refused.is_none().then(|| {
            let unprompted = Unprompted {
                text: job.piece,
                models: identities,
                scores: job.unprompted(whole),
                place: job.place,
                pieces: job.pieces,
            };
            let text = if whole { job.text } else { job.piece };
            let observation = Observation::new(text, job.reported(), unprompted, &self.candidates, &self.decision);
            decide(&observation, &self.candidates, &self.decision)
        });
        // The figures are those of the reading with the prompt.
        let of_report = identities.iter().filter(|_| !(whole && job.is_later()));
        let figures = of_report.filter_map(|model| {
            let as_scored = match self.decision.prompt {
                PromptKnowledge::Unknown => model.clone(),
                PromptKnowledge::Known => CalibratedModel {
                    request: None,
                    ..model.clone()
                },
            };
            let mut figures = ModelFigures::new(job.reported().get(&model.name)?, as_scored, self.settings.tokens)?;
            figures.probe = job.unprompted(whole).get(&model.name).and_then(ProbeFigures::new);
            Some((model.name.clone(), figures))
        });
        Reading {
            words: word_ends(job.piece).len(),
            decision: decision.ok_or_else(|| job.refused.clone().unwrap_or_default()),
            figures: figures.collect(),
            warnings: job.long,
            elapsed_ms: job.elapsed_ms,
        }
    }

    /// The verdict on a document, with the figures behind it.
    pub(super) fn report(
        &self,
        document: &Document,
        cuts: &[Range<usize>],
        readings: Vec<Reading>,
    ) -> ProvenanceReport {
        let levels = (self.decision.alpha, self.decision.alpha_human);
        let mut models: BTreeMap<String, ModelFigures> = BTreeMap::new();
        let (mut warnings, mut score_ms, mut decisions) = (Vec::new(), 0.0, Vec::new());
        let mut words = Vec::new();
        for reading in readings {
            for (name, figures) in reading.figures {
                match models.get_mut(&name) {
                    Some(known) => known.add(&figures),
                    None => {
                        models.insert(name, figures);
                    }
                }
            }
            // A piece that is longer than a model's context has no words to tell pieces by.
            warnings.extend(reading.warnings.into_iter().filter(|_| words.is_empty()));
            score_ms += reading.elapsed_ms;
            decisions.push(match reading.decision {
                Ok(decision) => decision,
                Err(why) if words.is_empty() => {
                    return ProvenanceReport {
                        timing: Timing { score_ms },
                        ..ProvenanceReport::unable(document.summary(), levels, Warning::Unscored(why))
                    };
                }
                // The piece counts against nobody.
                Err(why) => {
                    warnings.push(Warning::Unscored(why));
                    Decision::unable()
                }
            });
            words.push(reading.words);
        }
        let p_values = |piece: &Decision| -> BTreeMap<String, f64> {
            let tested = piece.hypotheses.iter();
            tested.filter_map(|h| Some((h.author.clone(), h.p_value?))).collect()
        };
        let WholeDecision { decision, unlike } = decide_whole(&decisions, &self.decision);
        let places = cuts.iter().zip(words).zip(&decisions).zip(unlike);
        let all = decision.hypotheses.iter().map(|hypothesis| &hypothesis.author);
        let pieces = places.map(|(((cut, words), decision), unlike)| PieceReport {
            start: cut.start,
            end: cut.end,
            words,
            begins: first_words(&document.text[cut.clone()]),
            p_values: p_values(decision),
            authors: all.clone().filter(|author| !unlike.contains(author)).cloned().collect(),
            unlike,
        });
        let pieces: Vec<PieceReport> = pieces.collect();
        let caveats = decision.caveats.into_iter().map(Warning::Decision);
        ProvenanceReport {
            schema: SCHEMA,
            input: document.summary(),
            verdict: decision.verdict,
            authors: decision.authors,
            alpha: self.decision.alpha,
            alpha_human: self.decision.alpha_human,
            confidence: self.settings.confidence,
            hypotheses: decision.hypotheses,
            pieces: if pieces.len() > 1 { pieces } else { Vec::new() },
            models,
            disguises: None,
            misspellings: None,
            warnings: caveats.chain(warnings).collect(),
            timing: Timing { score_ms },
        }
    }
}

/// What is kept of a piece that all models have read.
pub(super) struct Reading {
    words: usize,
    /// The decision, or why a model's tokeniser refused the piece.
    decision: Result<Decision, String>,
    figures: BTreeMap<String, ModelFigures>,
    warnings: Vec<Warning>,
    elapsed_ms: f64,
}

/// The first words of a piece, by which a reader finds it.
fn first_words(piece: &str) -> String {
    let words: Vec<&str> = piece.split_whitespace().take(WORDS_SHOWN).collect();
    words.join(" ").chars().take(LETTERS_SHOWN).collect()
}
