//! Texts that calibrate nothing, by their figures, and what the program decides of them.

use whowrote_stats::calibration::{Calibration, HUMAN, KnownText, Place};
use whowrote_stats::conformal_scores::{LENGTHS, TextFeatures};
use whowrote_stats::sampling_params::SamplingFamily;
use whowrote_stats::verdict::{
    ALPHA, AuthorSet, Candidate, Decision, DecisionSettings, HUMAN_DIVISOR, Observation, PromptKnowledge, decide,
};

/// The level at which a person is excluded.
pub const ALPHA_HUMAN: f64 = ALPHA / HUMAN_DIVISOR;

/// Test prompts that ask for what a prompt of the calibrations also asks for.
pub const NEAR_TWINS: [&str; 4] = ["answer-47", "email-44", "news-44", "review-45"];

/// Scores of texts that calibrate nothing.
pub fn held_out() -> Vec<Calibration> {
    [
        ("smollm2", include_str!("../validity/smollm2-135m-instruct.json")),
        ("gemma", include_str!("../validity/gemma-3-270m.json")),
        ("people", include_str!("../validity/human.json")),
    ]
    .iter()
    .map(|(name, json)| {
        let mut held_out = Calibration::from_json(json, name).unwrap();
        for group in &mut held_out.groups {
            group.texts.retain(|text| !NEAR_TWINS.contains(&text.document.as_str()));
        }
        held_out
    })
    .collect()
}

/// The text cut to a length of [`LENGTHS`]; none where it is shorter.
pub fn cut(text: &KnownText, words: usize) -> Option<&[Vec<TextFeatures>]> {
    let class = LENGTHS.iter().position(|length| *length == words).unwrap();
    text.features.get(..=class)
}

/// The authors and levels of the default settings, with an unknown prompt and these calibrations.
pub struct Defaults {
    candidates: Vec<Candidate>,
    pub settings: DecisionSettings,
}

impl Defaults {
    pub fn new(calibrations: Vec<Calibration>) -> Self {
        let models = calibrations.iter().filter(|calibration| calibration.author != HUMAN);
        let candidate = |(calibration, set): (&Calibration, AuthorSet)| Candidate {
            author: calibration.author.clone(),
            set,
            model: Some(calibration.author.clone()),
            decoding: SamplingFamily::Deployed,
        };
        Self {
            candidates: models.zip([AuthorSet::A, AuthorSet::B]).map(candidate).collect(),
            settings: DecisionSettings {
                alpha: ALPHA,
                alpha_human: ALPHA_HUMAN,
                alpha_together: None,
                tests: Vec::new(),
                prompt: PromptKnowledge::Unknown,
                calibrations: calibrations.into(),
            },
        }
    }

    /// What the program decides of a piece with these figures at every length that it reaches, of a text with so many pieces.
    pub fn decide_piece(&self, text: &[Vec<TextFeatures>], place: Place, pieces: usize) -> Decision {
        let words = text.len().checked_sub(1).map_or(0, |class| LENGTHS[class]);
        let observation = Observation {
            words,
            // A word has a token or more. How many there are has no part where the prompt is unknown.
            scored_tokens: words,
            // `calibrate` wrote the figures of texts whose first 150 words pass the check of domain, and of no others.
            outside: None,
            readers: &self.settings.calibrations[0].models,
            features: vec![(SamplingFamily::Deployed, text.to_vec())],
            // The figures do not tell these.
            memorised: Vec::new(),
            repeats: false,
            place,
            pieces,
            prompted: None,
        };
        decide(&observation, &self.candidates, &self.settings)
    }
}
