//! Evidence from texts by known authors: conformal p-values (docs/THEORY.md 11 and 12).

use super::caveats::Outside;
use super::decide::{DecisionContext, TestedHypothesis};
use super::hypothesis::{Basis, CalibrationFigures, Candidate, Evidence, Test};
use crate::calibration::{CalibratedModel, Calibration, HUMAN, OtherAuthor, least_documents, least_p_value};
use crate::conformal_scores::TextFeatures;
use crate::sampling_params::SamplingFamily;

/// A calibration, and the readers of the text that it also has.
struct Calibrated<'a> {
    calibration: &'a Calibration,
    /// The index of each among the readers, and among the calibration's models.
    shared: Vec<(usize, usize)>,
}

impl Calibrated<'_> {
    /// The index of a reader among the shared readers.
    fn place(&self, reader: usize) -> Option<usize> {
        self.shared.iter().position(|(known, _)| *known == reader)
    }

    /// The index of a reader among the calibration's models.
    fn column(&self, reader: usize) -> Option<usize> {
        self.place(reader).map(|place| self.shared[place].1)
    }
}

impl<'a> DecisionContext<'a> {
    /// The calibrations for this family: first those of the first name, then those of the next.
    fn calibrations(&self, names: &[&str], family: &str) -> Vec<&'a Calibration> {
        let calibrations: &'a [Calibration] = &self.settings.calibrations;
        let of = |name: &str| {
            let fits = move |calibration: &&Calibration| calibration.author == name && calibration.family == family;
            calibrations.iter().filter(fits).collect::<Vec<_>>()
        };
        names.iter().flat_map(|name| of(name)).collect()
    }

    /// The first calibration for one of these names and this family that has the author's own model (`own`), or any
    /// reader if `own` is none. Readers that it does not have are left out of the scores. Which ones these are does not
    /// depend on the text.
    fn calibration(&self, names: &[&str], family: &SamplingFamily, own: Option<usize>) -> Option<Calibrated<'a>> {
        let fitting = self.calibrations(names, &family.to_string()).into_iter();
        let mut with_models = fitting.map(|calibration| Calibrated {
            calibration,
            shared: calibration.shared(self.observation.readers),
        });
        with_models.find(|found| match own {
            Some(own) => found.place(own).is_some(),
            None => !found.shared.is_empty(),
        })
    }

    /// The index of a candidate's model among the readers.
    pub(super) fn place(&self, candidate: &Candidate) -> Option<usize> {
        self.observation.reader(&candidate.model)
    }

    /// Why the text lies outside the range of all calibrations together: it is easier, or harder, to predict for one of
    /// the models than all of their texts. Among n + 1 exchangeable texts, at most two are.
    pub(super) fn out_of_range(&self) -> Option<Outside> {
        let settings = self.settings;
        let of_models = self
            .candidates
            .iter()
            .map(|candidate| self.calibration(&candidate.names(), &candidate.decoding, self.place(candidate)));
        let of_people = self.calibration(&[HUMAN], &SamplingFamily::Deployed, None);
        let found: Vec<Calibrated> = of_models.chain([of_people]).flatten().collect();
        let text = self.observation.features_under(&SamplingFamily::Deployed);
        let of_length = |found: &Calibrated| {
            let level = settings.level_of_length(&found.calibration.author);
            found.calibration.length_class(text.len(), level)
        };
        let classes = found.iter().map(of_length);
        let class = classes.min()??;
        let readers = text[class].iter().zip(self.observation.readers).enumerate();
        for (reader, (own, known)) in readers {
            let own = own.untruncated;
            let columns = found
                .iter()
                .filter_map(|found| Some((found.calibration, found.column(reader)?)));
            let others: Vec<f64> = columns
                .flat_map(|(calibration, column)| {
                    let features = calibration.features_at(class);
                    features.map(move |features| features[column].untruncated)
                })
                .collect();
            let model = known.name.clone();
            if others.is_empty() {
                continue;
            }
            if others.iter().all(|other| own > *other) {
                return Some(Outside::Easier { model });
            }
            if others.iter().all(|other| own < *other) {
                return Some(Outside::Harder { model });
            }
        }
        None
    }

    /// Ranks the text's score among the scores of the author's own texts under this family: texts of the reader `own`,
    /// or human-written texts if `own` is none.
    pub(super) fn by_calibration(
        &self,
        names: &[&str],
        family: &SamplingFamily,
        own: Option<usize>,
        tested: &mut TestedHypothesis,
    ) {
        let Some(found) = self.calibration(names, family, own) else {
            tested.uncalibrated = true;
            return;
        };
        if self.outside.is_some() {
            return;
        }
        let columns: Vec<usize> = found.shared.iter().map(|(_, column)| *column).collect();
        let text: Vec<Vec<TextFeatures>> = self
            .observation
            .features_under(family)
            .iter()
            .map(|models| found.shared.iter().map(|(model, _)| models[*model]).collect())
            .collect();
        let others = self.others_known(&found).unwrap_or_default();
        let own = own.and_then(|own| found.place(own));
        let level = self.settings.level(&tested.hypothesis.author);
        let of_length = self.settings.level_of_length(&tested.hypothesis.author);
        let Some(found) = found.calibration.judge(&columns, &text, own, &others, level, of_length) else {
            // If the text has fewer words than any calibration text, another caveat says that it is too short.
            tested.fewest_documents = text.len().checked_sub(1).map(|class| found.calibration.fewest(class));
            return;
        };
        tested.fewest_documents = Some(found.fewest).filter(|&fewest| fewest < least_documents(level));
        let against = if found.compared { others.as_slice() } else { &[] };
        let hypothesis = &mut tested.hypothesis;
        hypothesis.basis = Basis::Calibration;
        hypothesis.p_value = Some(found.p_value);
        hypothesis.retained = found.p_value > level;
        hypothesis.evidence.push(Evidence {
            test: Test::Conformal,
            ln_e_value: f64::NEG_INFINITY,
            statistic: found.score,
            threshold: found.threshold,
            closed_form_threshold: None,
            against: against.iter().map(|other| other.calibration.author.clone()).collect(),
            calibration: Some(CalibrationFigures {
                texts: found.texts,
                least_p_value: least_p_value(found.fewest),
                words: found.words,
                group: found.group,
            }),
        });
    }

    /// All authors except the author of this calibration, as read by the models that the calibration and this text
    /// share. None if an author has no calibration that covers all of these models under the same family.
    fn others_known(&self, of: &Calibrated) -> Option<Vec<OtherAuthor<'a>>> {
        let models: Vec<&CalibratedModel> = of
            .shared
            .iter()
            .map(|(model, _)| &self.observation.readers[*model])
            .collect();
        let known = |names: &[&str]| {
            let fitting = self.calibrations(names, &of.calibration.family);
            fitting.into_iter().find_map(|calibration| {
                let column = |model: &&CalibratedModel| calibration.models.iter().position(|known| known == *model);
                let columns = models.iter().map(column).collect::<Option<Vec<_>>>()?;
                Some(OtherAuthor { calibration, columns })
            })
        };
        let of_models = self.candidates.iter().map(|candidate| known(&candidate.names()));
        let mut others: Vec<OtherAuthor> = Vec::new();
        for other in of_models.chain([known(&[HUMAN])]) {
            let other = other?;
            let taken = others.iter().map(|known| known.calibration).chain([of.calibration]);
            // Authors of one model may share a calibration.
            if taken.into_iter().all(|known| !std::ptr::eq(known, other.calibration)) {
                others.push(other);
            }
        }
        Some(others)
    }
}
