//! A linear probe on the hidden states of a model: how likely a text's author is of one kind or another, from what the
//! model makes of each token before it predicts the next.
//!
//! Let h_t be the residual stream `(hidden)` after a fixed layer at the token before token t, and r_t its root mean
//! square. With the weights w_c and the constant b_c of class c, token t and the text, which has n tokens, have the logits
//!
//! ```text
//! l_c(t) = b_c + w_c'h_t/r_t          l_c = mean of l_c(t) over t from SKIPPED_TOKENS to n - 1
//! ```
//!
//! so that l_c is the logit of a logistic regression on the mean of the scaled states (G. Alain, Y. Bengio, *Understanding
//! intermediate layers using linear classifier probes*, ICLR workshop 2017; docs/THEORY.md 12.1). Each class has its own,
//! against the first class, people. The states at the first tokens have a length and a direction of their own, whatever the text
//! says, and are left out.
//!
//! The logits are figures like any others. No guarantee without [`crate::conformal`].

use super::CalibratedModel;
use crate::token_stats::{LOGITS, SKIPPED_TOKENS};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The probe's class of models that are not loaded.
pub const ANOTHER_MODEL: &str = "another-model";

/// The version of the file format.
const SCHEMA: u32 = 1;

/// The probe that is compiled into the program.
const BUILT_IN: &str = include_str!("../../../../calibration/probe.json");

/// A fitted probe.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The model whose states it reads.
    pub model: CalibratedModel,
    /// After this many layers of the model.
    pub layer: usize,
    /// The kinds of authors; the logits are those of the second, third and fourth against the first.
    pub classes: Vec<String>,
    /// b of each logit.
    pub constants: [f32; LOGITS],
    /// w of each logit, `(hidden)`.
    pub weights: [Vec<f32>; LOGITS],
    /// SHA-256 of the file, lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Serialize, Deserialize)]
struct FileForm {
    schema: u32,
    model: CalibratedModel,
    layer: usize,
    skipped_tokens: usize,
    classes: Vec<String>,
    constants: [f32; LOGITS],
    weights: [Vec<f32>; LOGITS],
}

impl Probe {
    /// The probe that is compiled into the program.
    pub fn built_in() -> &'static Self {
        static PROBE: LazyLock<Probe> =
            // The file is part of the program, and a unit test checks that it parses.
            LazyLock::new(|| Probe::from_json(BUILT_IN).expect("the built-in probe is valid"));
        &PROBE
    }

    fn from_json(json: &str) -> Result<Self, String> {
        let form: FileForm = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let width = form.weights[0].len();
        let numbers = form.weights.iter().flatten().chain(&form.constants);
        if form.schema != SCHEMA
            || form.skipped_tokens != SKIPPED_TOKENS
            || form.classes.len() != LOGITS + 1
            || form.weights.iter().any(|weights| weights.len() != width)
            || !numbers.into_iter().all(|number| number.is_finite())
        {
            return Err("it is not a probe of this version".to_owned());
        }
        let digest = Sha256::digest(json);
        Ok(Self {
            model: form.model,
            layer: form.layer,
            classes: form.classes,
            constants: form.constants,
            weights: form.weights,
            sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        })
    }

    /// The file's text.
    pub fn to_json(&self) -> String {
        let form = FileForm {
            schema: SCHEMA,
            model: self.model.clone(),
            layer: self.layer,
            skipped_tokens: SKIPPED_TOKENS,
            classes: self.classes.clone(),
            constants: self.constants,
            weights: self.weights.clone(),
        };
        // Strings and numbers can always be written.
        serde_json::to_string(&form).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_probe_is_written_as_it_is_read() {
        let probe = Probe::built_in();
        assert!(probe.to_json() == BUILT_IN);
        assert_eq!(probe.classes.len(), LOGITS + 1);
        assert_eq!(probe.sha256.len(), 64);
    }

    #[test]
    fn a_file_that_is_no_probe_is_refused() {
        let probe = Probe::built_in();
        let refused = |change: &dyn Fn(&mut Probe)| {
            let mut changed = probe.clone();
            change(&mut changed);
            Probe::from_json(&changed.to_json()).is_err()
        };
        assert!(!refused(&|_| ()));
        assert!(refused(&|probe| probe.weights[1].truncate(9)));
        assert!(refused(&|probe| probe.constants[0] = f32::NAN));
        assert!(refused(&|probe| probe.classes.truncate(2)));
        let other = BUILT_IN.replace("\"skipped_tokens\":3", "\"skipped_tokens\":4");
        assert!(Probe::from_json(&other).is_err() && Probe::from_json("{}").is_err());
    }
}
