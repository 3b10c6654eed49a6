//! Evidence from texts by known authors: conformal p-values (docs/THEORY.md 11 and 12).

use super::caveats::Outside;
use super::decide::{DecisionContext, TestedHypothesis};
use super::hypothesis::{AuthorSet, Basis, CalibrationFigures, Candidate, Evidence, Test};
use super::whole::factor;
use crate::calibration::{Calibration, Comparison, HUMAN, Member, Place, least_documents, least_p_value};
use crate::conformal_scores::{LENGTHS, TextFeatures};
use crate::sampling_params::SamplingFamily;

/// An author's calibration, and the readers of the text that it also has.
struct Calibrated {
    /// The calibration, with the readers that it has.
    member: Member,
    /// The index of each of them among the readers.
    readers: Vec<usize>,
    /// All other authors, as these readers read their texts; none if one of them has no such calibration.
    others: Vec<Member>,
}

impl Calibrated {
    /// The index of a reader among the shared readers.
    fn place(&self, reader: usize) -> Option<usize> {
        self.readers.iter().position(|known| *known == reader)
    }
}

impl DecisionContext<'_> {
    /// The indices of the calibrations for this family: first those of the first name, then those of the next.
    fn calibrations(&self, names: &[&str], family: &str) -> Vec<usize> {
        let known = &self.settings.calibrations;
        let of = |name: &str| {
            let fits = |&index: &usize| known[index].author == name && known[index].family == family;
            (0..known.len()).filter(fits).collect::<Vec<_>>()
        };
        names.iter().flat_map(|name| of(name)).collect()
    }

    /// The first calibration for one of these names and this family that has the author's own model (`own`), or any
    /// reader if `own` is none. Readers that it does not have are left out of the scores. Which ones these are does not
    /// depend on the text.
    fn calibration(&self, names: &[&str], family: &SamplingFamily, own: Option<usize>) -> Option<Calibrated> {
        let family = family.to_string();
        let mut known = self.calibrations(names, &family).into_iter();
        let (member, readers) = known.find_map(|calibration| {
            let shared = self.settings.calibrations[calibration].shared(self.observation.readers);
            let (readers, columns): (Vec<usize>, Vec<usize>) = shared.into_iter().unzip();
            let fits = match own {
                Some(own) => readers.contains(&own),
                None => !readers.is_empty(),
            };
            fits.then_some((Member { calibration, columns }, readers))
        })?;
        let others = self.others_known(&member, &readers, &family).unwrap_or_default();
        Some(Calibrated {
            member,
            readers,
            others,
        })
    }

    /// All authors except the author of this calibration, as read by the models that the calibration and this text
    /// share. None if an author has no calibration that covers all of these models under the same family.
    fn others_known(&self, of: &Member, readers: &[usize], family: &str) -> Option<Vec<Member>> {
        let known = |names: &[&str]| self.covering(names, family, readers);
        let of_models = self
            .candidates
            .iter()
            .map(|candidate| known(&candidate.names().collect::<Vec<_>>()));
        let mut others: Vec<Member> = Vec::new();
        for other in of_models.chain([known(&[HUMAN])]) {
            let other = other?;
            // Authors of one model may share a calibration.
            if others
                .iter()
                .chain([of])
                .all(|member| member.calibration != other.calibration)
            {
                others.push(other);
            }
        }
        Some(others)
    }

    /// The first calibration for one of these names and this family that covers all of these readers.
    fn covering(&self, names: &[&str], family: &str, readers: &[usize]) -> Option<Member> {
        self.calibrations(names, family).into_iter().find_map(|calibration| {
            let models = &self.settings.calibrations[calibration].models;
            let column = |reader: &usize| {
                models
                    .iter()
                    .position(|known| *known == self.observation.readers[*reader])
            };
            let columns = readers.iter().map(column).collect::<Option<Vec<_>>>()?;
            Some(Member { calibration, columns })
        })
    }

    /// The calibrations that the authors are compared with, people's last.
    fn found(&self) -> Vec<Calibrated> {
        let of_models = self.candidates.iter().map(|candidate| {
            let names: Vec<&str> = candidate.names().collect();
            self.calibration(&names, &candidate.decoding, self.place(candidate))
        });
        let of_people = self.calibration(&[HUMAN], &SamplingFamily::Deployed, None);
        of_models.chain([of_people]).flatten().collect()
    }

    /// The authors who have calibrations, but none by all of the models that another author's texts were read by.
    pub(super) fn read_by_fewer(&self) -> Vec<String> {
        let unfitted: Vec<Calibrated> = self
            .found()
            .into_iter()
            .filter(|found| found.others.is_empty())
            .collect();
        let is_one = |author: &str, names: &[&str]| {
            unfitted.iter().any(|found| {
                let known = self.known(found);
                let lacks = || self.covering(names, &known.family, &found.readers).is_none();
                author != known.author && !self.calibrations(names, &known.family).is_empty() && lacks()
            })
        };
        let models = self.candidates.iter().filter(|candidate| {
            let names: Vec<&str> = candidate.names().collect();
            is_one(&candidate.author, &names)
        });
        let models = models.map(|candidate| candidate.author.clone());
        let people = is_one(HUMAN, &[HUMAN]).then(|| HUMAN.to_owned());
        models.chain(people).collect()
    }

    fn known(&self, found: &Calibrated) -> &Calibration {
        &self.settings.calibrations[found.member.calibration]
    }

    /// How a text at a place that reaches this many lengths is compared with an author's texts.
    fn comparison(&self, author: &str, found: &Calibrated, place: Place, reached: usize) -> Option<Comparison> {
        let level = self.settings.level(author);
        let set = if author == HUMAN {
            AuthorSet::Human
        } else {
            AuthorSet::A
        };
        let calibrations = &self.settings.calibrations;
        let factor = if calibrations.knows_later_pieces(&found.member) {
            factor(set, place, self.observation.pieces)
        } else {
            1.0
        };
        let of_length = self.settings.level_of_length(author) / factor;
        let comparison = calibrations.comparison(&found.member, &found.others, place, reached, level, of_length)?;
        Some(Comparison {
            probed: comparison.probed && self.observation.is_probed(),
            ..comparison
        })
    }

    /// The index of a candidate's model among the readers.
    pub(super) fn place(&self, candidate: &Candidate) -> Option<usize> {
        self.observation.reader(candidate.model.as_ref()?)
    }

    /// Why the text lies outside the range of all calibrations together: it is easier, or harder, to predict for one of
    /// the models than all of their texts. Among n + 1 exchangeable texts, at most two are.
    pub(super) fn out_of_range(&self) -> Option<Outside> {
        let found = self.found();
        let text = self.observation.features_under(&SamplingFamily::Deployed);
        // An author with too few texts to compare with does not extend the range.
        let compared = found.iter().filter_map(|found| {
            let known = self.known(found);
            // An author who is not tested by later pieces has beginnings, and they show the range well enough.
            let place = match self.observation.place {
                Place::Later if !known.covers(Place::Later) => Place::Beginning,
                place => place,
            };
            Some((found, self.comparison(&known.author, found, place, text.len())?))
        });
        let compared: Vec<(&Calibrated, Comparison)> = compared.collect();
        let class = compared.iter().map(|(_, comparison)| comparison.class).min()?;
        // In a run of texts, the range must not depend on what fitted scores are ranked among (docs/THEORY.md 14.1).
        let fitted = compared.iter().any(|(_, comparison)| comparison.fitted);
        let readers = text[class].iter().zip(self.observation.readers).enumerate();
        for (reader, (own, known)) in readers {
            let own = own.untruncated;
            let columns = compared.iter().filter_map(|(found, comparison)| {
                let column = found.member.columns[found.place(reader)?];
                Some((self.known(found), column, comparison.place))
            });
            let others: Vec<f64> = columns
                .flat_map(|(calibration, column, place)| {
                    let features = calibration.features_at(class, place, fitted);
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
        tested.hypothesis.later_known = self.settings.calibrations.knows_later_pieces(&found.member);
        let place = self.observation.place;
        if !self.known(&found).covers(place) {
            tested.uncalibrated = place != Place::Later;
            return;
        }
        if self.outside.is_some() {
            return;
        }
        let author = tested.hypothesis.author.as_str();
        let text = self.observation.features_under(family);
        let level = self.settings.level(author);
        let Some(comparison) = self.comparison(author, &found, place, text.len()) else {
            // If the text has fewer words than any calibration text, another caveat says that it is too short.
            tested.fewest_documents = text
                .len()
                .checked_sub(1)
                .map(|class| self.known(&found).fewest(class, place));
            return;
        };
        let confidence = self.settings.calibrations.confidence();
        tested.fewest_documents = Some(comparison.documents).filter(|_| confidence.is_some());
        let text: Vec<TextFeatures> = found
            .readers
            .iter()
            .map(|reader| text[comparison.class][*reader])
            .collect();
        let own = own.and_then(|own| found.place(own));
        let (calibrations, others) = (&self.settings.calibrations, &found.others);
        let Some(judged) = calibrations.judge(&found.member, others, comparison, &text, own, level) else {
            return;
        };
        tested.fewest_documents =
            Some(comparison.documents).filter(|&fewest| fewest < least_documents(level, confidence));
        let against = if judged.by_fit.is_some() {
            others.as_slice()
        } else {
            &[]
        };
        let against = against
            .iter()
            .map(|other| calibrations[other.calibration].author.clone());
        let hypothesis = &mut tested.hypothesis;
        hypothesis.basis = Basis::Calibration;
        hypothesis.p_value = Some(judged.p_value);
        hypothesis.retained = judged.p_value > level;
        hypothesis.evidence.push(Evidence {
            test: Test::Conformal,
            ln_e_value: f64::NEG_INFINITY,
            statistic: judged.score,
            threshold: judged.threshold,
            closed_form_threshold: None,
            against: against.collect(),
            calibration: Some(CalibrationFigures {
                texts: judged.texts,
                least_p_value: least_p_value(comparison.documents, confidence),
                documents: comparison.documents,
                words: LENGTHS[comparison.class],
                group: judged.group,
                by_fit: judged.by_fit,
            }),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::built_in;
    use crate::verdict::{ALPHA, Caveat, DecisionSettings, HUMAN_DIVISOR, Observation, PromptKnowledge, decide};

    /// A text that both models predict better than all known texts, beside an author with five texts a group.
    #[test]
    fn an_author_with_few_texts_does_not_hide_that_a_text_is_out_of_range() {
        let mut calibrations = built_in();
        let mut few = calibrations[2].clone();
        few.author = "few".to_owned();
        few.groups.iter_mut().for_each(|group| group.texts.truncate(5));
        calibrations.push(few);
        let readers = calibrations[0].models.clone();
        let candidate = |author: &str, model: Option<&str>| Candidate {
            author: author.to_owned(),
            set: AuthorSet::B,
            model: model.map(str::to_owned),
            decoding: SamplingFamily::Deployed,
        };
        let settings = DecisionSettings {
            alpha: ALPHA,
            alpha_human: ALPHA / HUMAN_DIVISOR,
            alpha_together: None,
            tests: Vec::new(),
            prompt: PromptKnowledge::Unknown,
            calibrations: calibrations.into(),
        };
        let certain = TextFeatures {
            deployed: -1.0,
            untruncated: -1.0,
            entropy: 1.0,
            varentropy: 1.0,
            probe: None,
        };
        let observation = Observation {
            words: 150,
            scored_tokens: 150,
            outside: None,
            readers: &readers,
            features: vec![(
                SamplingFamily::Deployed,
                vec![vec![certain; readers.len()]; LENGTHS.len()],
            )],
            memorised: Vec::new(),
            repeats: false,
            place: Place::Beginning,
            pieces: 1,
            prompted: None,
        };
        let own = readers[0].name.as_str();
        for candidates in [
            vec![candidate(own, Some(own))],
            vec![candidate(own, Some(own)), candidate("few", None)],
        ] {
            let decision = decide(&observation, &candidates, &settings);
            let is_easier = |caveat: &Caveat| matches!(caveat, Caveat::Outside(Outside::Easier { .. }));
            assert!(decision.caveats.iter().any(is_easier), "{:?}", decision.caveats);
            assert!(decision.hypotheses.iter().all(|hypothesis| hypothesis.retained));
        }
    }
}
