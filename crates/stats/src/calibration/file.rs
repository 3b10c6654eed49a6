//! A calibration as a file: JSON, with figures in tenths of a nat.

use super::probe::Probe;
use super::{CalibratedModel, Calibration, Group, HUMAN, KnownText, Place};
use crate::conformal_scores::{LENGTHS, SKIPPED_WORDS, TextFeatures, is_probed};
use crate::token_stats::LOGITS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

/// The version of the file format.
const SCHEMA: u32 = 6;
/// The oldest version that can still be read. It has no places, version 4 no place "whole", and version 5 no probe.
const OLDEST_SCHEMA: u32 = 3;
/// A longer file is not a calibration.
const MAX_BYTES: u64 = 256 << 20;
/// Units per nat.
const SCALE: f64 = 10.0;
/// Units per logit.
const LOGIT_SCALE: f64 = 100.0;
/// How many numbers [`TextFeatures`] has, without the logits.
const NUMBERS: usize = 4;
/// The greatest figure that 150 words can have, in units.
const GREATEST: u64 = 100_000_000;

/// Why a calibration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CalibrationError {
    /// The file could not be read.
    #[error("cannot read the calibration {file}: {reason}; check the path")]
    Read {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The file is not a calibration.
    #[error("{file} is not a calibration that this version can use: {reason}; make it again with `whowrote calibrate`")]
    Malformed {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

/// The field that every version of the file has.
#[derive(Deserialize)]
struct Version {
    schema: u32,
}

#[derive(Serialize, Deserialize)]
struct FileForm {
    schema: u32,
    author: String,
    family: String,
    lengths: Vec<usize>,
    /// How many words at the beginning no score looks at.
    #[serde(rename = "passed_over")]
    skipped_words: usize,
    models: Vec<CalibratedModel>,
    /// SHA-256 of the probe that read the texts; none if its model did not score them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probe: Option<String>,
    groups: Vec<GroupForm>,
}

#[derive(Serialize, Deserialize)]
struct GroupForm {
    name: String,
    /// Without it, texts by people are from anywhere and all others are beginnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<Place>,
    source: String,
    licence: String,
    date: String,
    /// The name of each text.
    ids: Vec<String>,
    /// The name of each text's document or prompt.
    documents: Vec<String>,
    /// One list per text. For each length that it reaches and each model, it has the log-likelihoods `deployed` and
    /// `untruncated` and the entropy, in tenths of a nat, and the varentropy, in tenths of a nat².
    texts: Vec<Vec<i64>>,
    /// One list per text: for each length that it reaches the probe's logits, in hundredths. The list is empty for a text
    /// that the probe has not read. Without lists it has read none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    probed: Vec<Vec<i64>>,
}

impl Calibration {
    /// Reads a calibration from a file. Messages call it `name`.
    ///
    /// # Errors
    /// If the file cannot be read, or is not a calibration of this version.
    pub fn from_file(path: &Path, name: &str) -> Result<Self, CalibrationError> {
        let read_error = |reason: String| CalibrationError::Read {
            file: name.to_owned(),
            reason,
        };
        // A device or a pipe has no known length.
        let mut json = String::new();
        let opened = std::fs::File::open(path).map_err(|e| read_error(e.to_string()))?;
        let read = opened.take(MAX_BYTES + 1).read_to_string(&mut json);
        read.map_err(|e| read_error(e.to_string()))?;
        if json.len() as u64 > MAX_BYTES {
            return Err(read_error(format!(
                "it has more than {MAX_BYTES} bytes; no calibration is that long"
            )));
        }
        Self::from_json(&json, name)
    }

    /// Reads a calibration. Messages call it `name`.
    ///
    /// # Errors
    /// If it is not a calibration of this version.
    pub fn from_json(json: &str, name: &str) -> Result<Self, CalibrationError> {
        let malformed = |reason: String| CalibrationError::Malformed {
            file: name.to_owned(),
            reason,
        };
        let version: Version = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        if !(OLDEST_SCHEMA..=SCHEMA).contains(&version.schema) {
            return Err(malformed(format!(
                "its schema is {}, not {OLDEST_SCHEMA} to {SCHEMA}",
                version.schema
            )));
        }
        let form: FileForm = serde_json::from_str(json).map_err(|e| malformed(e.to_string()))?;
        if form.lengths != LENGTHS || form.skipped_words != SKIPPED_WORDS {
            return Err(malformed("it was made with other lengths of text".to_owned()));
        }
        if form.models.is_empty() {
            return Err(malformed("it names no model".to_owned()));
        }
        let names = form.models.iter().map(|model| &model.name);
        if names.collect::<BTreeSet<_>>().len() < form.models.len() {
            return Err(malformed("it names a model twice".to_owned()));
        }
        if form.groups.is_empty() || form.groups.iter().any(|group| group.texts.is_empty()) {
            return Err(malformed("it has no texts, or a group without texts".to_owned()));
        }
        let author = form.author.clone();
        let width = NUMBERS * form.models.len();
        let text = |numbers: Vec<i64>| -> Result<Vec<Vec<TextFeatures>>, CalibrationError> {
            let reached = numbers.len() / width;
            if !numbers.len().is_multiple_of(width) || reached > LENGTHS.len() {
                return Err(malformed(
                    "a text's number of figures does not fit the models".to_owned(),
                ));
            }
            let spread = |numbers: &[i64]| numbers.iter().any(|number| number.is_negative());
            if numbers.iter().any(|number| number.unsigned_abs() > GREATEST)
                || numbers.chunks_exact(NUMBERS).any(|features| spread(&features[2..]))
            {
                return Err(malformed("a text has impossible figures".to_owned()));
            }
            let features = |numbers: &[i64]| TextFeatures {
                deployed: numbers[0] as f64 / SCALE,
                untruncated: numbers[1] as f64 / SCALE,
                entropy: numbers[2] as f64 / SCALE,
                varentropy: numbers[3] as f64 / SCALE,
                probe: None,
            };
            Ok(numbers
                .chunks_exact(width)
                .map(|row| row.chunks_exact(NUMBERS).map(features).collect())
                .collect())
        };
        // The logits of another probe are other figures.
        let probe = Probe::built_in();
        let is_ours = form.probe.as_ref() == Some(&probe.sha256);
        let probed_model = form.models.iter().position(|model| *model == probe.model);
        let with_logits = |mut features: Vec<Vec<TextFeatures>>, logits: &[i64]| {
            let Some(model) = probed_model.filter(|_| is_ours) else {
                return Ok(features);
            };
            if !logits.is_empty() && logits.len() != LOGITS * features.len() {
                return Err(malformed(
                    "a text's number of logits does not fit its lengths".to_owned(),
                ));
            }
            if logits.iter().any(|logit| logit.unsigned_abs() > GREATEST) {
                return Err(malformed("a text has impossible figures".to_owned()));
            }
            for (models, logits) in features.iter_mut().zip(logits.chunks_exact(LOGITS)) {
                models[model].probe = Some(std::array::from_fn(|i| logits[i] as f64 / LOGIT_SCALE));
            }
            Ok(features)
        };
        let group = |form: GroupForm| -> Result<Group, CalibrationError> {
            if form.ids.len() != form.texts.len() {
                return Err(malformed("a group has more or fewer names than texts".to_owned()));
            }
            if form.documents.len() != form.texts.len() {
                return Err(malformed("a group has more or fewer documents than texts".to_owned()));
            }
            if !form.probed.is_empty() && form.probed.len() != form.texts.len() {
                return Err(malformed(
                    "a group has more or fewer lists of logits than texts".to_owned(),
                ));
            }
            let logits = form.probed.into_iter().chain(std::iter::repeat(Vec::new()));
            let texts = form.ids.into_iter().zip(form.documents).zip(form.texts).zip(logits);
            Ok(Group {
                name: form.name,
                place: form.place.or((author != HUMAN).then_some(Place::Beginning)),
                source: form.source,
                licence: form.licence,
                date: form.date,
                texts: texts
                    .map(|(((id, document), numbers), logits)| {
                        Ok(KnownText {
                            id,
                            document,
                            features: with_logits(text(numbers)?, &logits)?,
                        })
                    })
                    .collect::<Result<_, CalibrationError>>()?,
            })
        };
        Ok(Self {
            author: form.author,
            family: form.family,
            models: form.models,
            groups: form.groups.into_iter().map(group).collect::<Result<_, _>>()?,
        })
    }

    /// The file's text, one line per group.
    pub fn to_json(&self) -> String {
        let text = |text: &KnownText| -> Vec<i64> {
            let features = text.features.iter().flatten();
            let numbers = features.flat_map(|a| [a.deployed, a.untruncated, a.entropy, a.varentropy]);
            numbers.map(|figure| (figure * SCALE).round() as i64).collect()
        };
        let logits = |text: &KnownText| -> Vec<i64> {
            let features = text.features.iter().flatten();
            let logits = features.filter_map(|features| features.probe).flatten();
            logits.map(|logit| (logit * LOGIT_SCALE).round() as i64).collect()
        };
        let mut texts = self.groups.iter().flat_map(|group| &group.texts);
        let is_probed = texts.any(|text| text.features.iter().any(|models| is_probed(models)));
        let form = FileForm {
            schema: SCHEMA,
            author: self.author.clone(),
            family: self.family.clone(),
            lengths: LENGTHS.to_vec(),
            skipped_words: SKIPPED_WORDS,
            models: self.models.clone(),
            probe: is_probed.then(|| Probe::built_in().sha256.clone()),
            groups: Vec::new(),
        };
        let groups: Vec<String> = self
            .groups
            .iter()
            .map(|group| {
                let form = GroupForm {
                    name: group.name.clone(),
                    place: group.place,
                    source: group.source.clone(),
                    licence: group.licence.clone(),
                    date: group.date.clone(),
                    ids: group.texts.iter().map(|text| text.id.clone()).collect(),
                    documents: group.texts.iter().map(|text| text.document.clone()).collect(),
                    texts: group.texts.iter().map(text).collect(),
                    probed: if is_probed {
                        group.texts.iter().map(logits).collect()
                    } else {
                        Vec::new()
                    },
                };
                serde_json::to_string(&form).unwrap_or_default()
            })
            .collect();
        let head = serde_json::to_string(&form).unwrap_or_default();
        let head = head.strip_suffix("[]}").unwrap_or(&head);
        format!("{head}[\n{}\n]}}\n", groups.join(",\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::HUMAN;
    use proptest::prelude::*;

    fn features() -> impl Strategy<Value = TextFeatures> {
        let tenths = |least: i64| (least..90_000).prop_map(|n| n as f64 / SCALE);
        (tenths(-90_000), tenths(-90_000), tenths(0), tenths(0)).prop_map(
            |(deployed, untruncated, entropy, varentropy)| TextFeatures {
                deployed,
                untruncated,
                entropy,
                varentropy,
                probe: None,
            },
        )
    }

    fn calibration() -> impl Strategy<Value = Calibration> {
        let models = |n: usize| {
            (0..n)
                .map(|i| CalibratedModel {
                    name: format!("model {i}"),
                    sha256: "ab".repeat(32),
                    request: (i % 2 == 0).then(|| "Write \"a\" text.".to_owned()),
                })
                .collect::<Vec<_>>()
        };
        (1usize..3).prop_flat_map(move |n| {
            let text = (
                "[a-z/ü\"]{0,8}",
                "[a-c]",
                prop::collection::vec(prop::collection::vec(features(), n), 0..LENGTHS.len()),
            );
            let texts = prop::collection::vec(
                text.prop_map(|(id, document, features)| KnownText { id, document, features }),
                1..4,
            );
            let place = prop::sample::select(vec![
                None,
                Some(Place::Beginning),
                Some(Place::Later),
                Some(Place::Whole),
            ]);
            let group = (texts, place, "[a-z \n]{0,6}").prop_map(|(texts, place, name)| Group {
                name,
                place,
                source: "a source".to_owned(),
                licence: String::new(),
                date: "2020".to_owned(),
                texts,
            });
            prop::collection::vec(group, 1..3).prop_map(move |groups| Calibration {
                author: HUMAN.to_owned(),
                family: "deployed".to_owned(),
                models: models(n),
                groups,
            })
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(calibration in calibration()) {
            let read = Calibration::from_json(&calibration.to_json(), "it").unwrap();
            prop_assert_eq!(read, calibration);
        }

        /// A file is read or refused, whatever it holds.
        #[test]
        fn damaged_files_are_refused_with_their_name(calibration in calibration(), at: prop::sample::Index, with: u8) {
            let mut bytes = calibration.to_json().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok(json) = String::from_utf8(bytes)
                && let Err(error) = Calibration::from_json(&json, "`it.json`")
            {
                prop_assert!(error.to_string().contains("`it.json`"));
            }
        }
    }

    /// Two texts, of which the probe has read one.
    fn probed() -> Calibration {
        let features = |probe| TextFeatures {
            deployed: -60.0,
            untruncated: -61.5,
            entropy: 58.2,
            varentropy: 90.0,
            probe,
        };
        let text = |id: &str, logits: &[Option<[f64; LOGITS]>]| KnownText {
            id: id.to_owned(),
            document: id.to_owned(),
            features: logits.iter().map(|logits| vec![features(*logits)]).collect(),
        };
        let logits = [Some([1.25, -0.5, 0.0]), Some([1.5, -12.34, 0.01])];
        Calibration {
            author: "own".to_owned(),
            family: "deployed".to_owned(),
            models: vec![Probe::built_in().model.clone()],
            groups: vec![Group {
                name: "group".to_owned(),
                place: Some(Place::Beginning),
                source: String::new(),
                licence: String::new(),
                date: String::new(),
                texts: vec![text("read", &logits), text("unread", &[None, None])],
            }],
        }
    }

    #[test]
    fn logits_are_those_of_the_probe_that_the_file_names() {
        let calibration = probed();
        let json = calibration.to_json();
        assert_eq!(Calibration::from_json(&json, "it").unwrap(), calibration);
        let other = json.replace(&Probe::built_in().sha256, &"0".repeat(64));
        let mut unread = calibration;
        for features in unread.groups[0].texts[0].features.iter_mut().flatten() {
            features.probe = None;
        }
        assert_eq!(Calibration::from_json(&other, "it").unwrap(), unread);
        let refused = |from: &str, to: &str| {
            assert!(json.contains(from), "{json}");
            Calibration::from_json(&json.replace(from, to), "it")
                .unwrap_err()
                .to_string()
        };
        assert!(refused("[125,-50,0,150,", "[125,-50,0,").contains("does not fit its lengths"));
        assert!(refused("[125,-50,", "[900000000,-50,").contains("impossible figures"));
        assert!(refused(",[]]", "]").contains("fewer lists of logits than texts"));
    }

    #[test]
    fn a_file_that_does_not_fit_is_refused_with_the_reason() {
        let json = |schema: u32, skipped_words: usize, ids: &str, texts: &str| {
            format!(
                r#"{{"schema":{schema},"author":"human","family":"deployed","lengths":{LENGTHS:?},
                "passed_over":{skipped_words},"models":[{{"name":"m","sha256":""}}],
                "groups":[{{"name":"","source":"","licence":"","date":"","ids":{ids},"documents":{ids},"texts":{texts}}}]}}"#
            )
        };
        let error = |json: String| Calibration::from_json(&json, "it").unwrap_err().to_string();
        assert!(Calibration::from_json(&json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, "[[1,2,3,4]]"), "it").is_ok());
        let documents = |names: &str| {
            let text = json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, "[[1,2,3,4]]");
            text.replace(r#""documents":["a"]"#, &format!(r#""documents":{names}"#))
        };
        let read = Calibration::from_json(&documents(r#"["b"]"#), "it").unwrap();
        assert_eq!(read.groups[0].texts[0].document, "b");
        assert!(error(documents(r#"["a","b"]"#)).contains("fewer documents than texts"));
        assert!(error(documents("[1]")).contains("make it again"));
        assert!(error(json(1, SKIPPED_WORDS, "[]", "[]")).contains("its schema is 1"));
        assert!(error(json(SCHEMA, 9, "[]", "[]")).contains("other lengths of text"));
        assert!(error(json(SCHEMA, SKIPPED_WORDS, "[]", "[[1,2,3,4]]")).contains("fewer names than texts"));
        assert!(error(json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, "[[1,2,3]]")).contains("does not fit the models"));
        assert!(
            error(json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, &format!("[{:?}]", vec![1; 40]))).contains("does not fit")
        );
        assert!(error("{}".to_owned()).contains("make it again"));
        assert!(error(json(SCHEMA, SKIPPED_WORDS, "[]", "[]")).contains("a group without texts"));
        for figures in [
            "[1,2,3,-4]",
            "[1,2,-3,4]",
            "[-9000000000,2,3,4]",
            "[1,9223372036854775807,3,4]",
        ] {
            let text = json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, &format!("[{figures}]"));
            assert!(error(text).contains("impossible figures"), "{figures}");
        }
        let twice = json(SCHEMA, SKIPPED_WORDS, r#"["a"]"#, "[[1,2,3,4,1,2,3,4]]");
        let model = r#"{"name":"m","sha256":""}"#;
        let twice = twice.replace(model, &format!("{model},{model}"));
        assert!(error(twice).contains("names a model twice"));
    }
}
