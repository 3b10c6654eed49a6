//! From the decisions on the pieces of a text to the decision on all of it (docs/THEORY.md 14.2).

use super::caveats::Caveat;
use super::decide::{Decision, answer};
use super::hypothesis::{AuthorSet, Basis, Hypothesis, Verdict};
use super::settings::DecisionSettings;
use crate::ROUNDING;
use crate::e_bh::{e_bh, least_rejections};

/// The decision on a text that was read in pieces.
#[derive(Clone, Debug)]
pub struct WholeDecision {
    /// Who may have written all of it.
    pub decision: Decision,
    /// For each piece, the authors whose writing it is unlike, judged together with all other pieces. Of a text that an
    /// author wrote throughout, any piece is found unlike the author's with probability at most `settings.alpha`.
    pub unlike: Vec<Vec<String>>,
}

/// Who may have written all of a text, and which pieces look as if somebody else had written them.
///
/// `pieces` are the decisions on its pieces, in their order, and there is at least one. An author whose texts are known
/// from any place in a document is judged by all pieces; today this is a person. Any other is judged by the first piece,
/// as the calibrations of models hold beginnings of texts.
pub fn decide_whole(pieces: Vec<Decision>, settings: &DecisionSettings) -> WholeDecision {
    let able = pieces.iter().any(|piece| piece.verdict != Verdict::Unable);
    let mut unlike = vec![Vec::new(); pieces.len()];
    let first = pieces.first();
    let mut hypotheses: Vec<Hypothesis> = first.map_or_else(Vec::new, |first| first.hypotheses.clone());
    let mut caveats = first.map_or_else(Vec::new, |first| first.caveats.clone());
    if pieces.len() > 1 {
        for (place, hypothesis) in hypotheses.iter_mut().enumerate() {
            if hypothesis.set != AuthorSet::Human {
                continue;
            }
            let evidence = AuthorEvidence::of(&pieces, place);
            let Some(p_value) = evidence.of_most() else { continue };
            *hypothesis = Hypothesis {
                basis: Basis::Calibration,
                p_value: Some(p_value),
                retained: p_value > settings.level(&hypothesis.author),
                pieces: pieces.len(),
                ..pieces[evidence.deciding()].hypotheses[place].clone()
            };
            for (authors, is_unlike) in unlike.iter_mut().zip(evidence.unlike(settings.alpha)) {
                if is_unlike {
                    authors.push(hypothesis.author.clone());
                }
            }
        }
        join_caveats(&mut caveats, &pieces);
    }
    let (verdict, authors) = answer(&hypotheses, able);
    WholeDecision {
        decision: Decision {
            verdict,
            authors,
            hypotheses,
            caveats,
        },
        unlike,
    }
}

/// The evidence of all pieces against one author.
struct AuthorEvidence {
    /// None for a piece that does not count against the author: its p-value is 1.
    p_values: Vec<Option<f64>>,
    /// The least p-value that each piece can have.
    least: Vec<f64>,
}

impl AuthorEvidence {
    fn of(pieces: &[Decision], place: usize) -> Self {
        let of_piece = |piece: &Decision| {
            // What a model knows by heart, or what repeats, looks machine-made whoever wrote it.
            let is_telling = |caveat: &Caveat| !matches!(caveat, Caveat::Memorised { .. } | Caveat::Repeats);
            let hypothesis = piece.hypotheses.get(place)?;
            let p_value = hypothesis.p_value.filter(|_| piece.caveats.iter().all(is_telling))?;
            Some((p_value, hypothesis.least_p_value()))
        };
        let found: Vec<Option<(f64, f64)>> = pieces.iter().map(of_piece).collect();
        Self {
            p_values: found.iter().map(|found| found.map(|(p_value, _)| p_value)).collect(),
            least: found
                .iter()
                .map(|found| found.map_or(1.0, |(_, least)| least))
                .collect(),
        }
    }

    /// The places of the pieces, those with the strongest evidence first.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.p_values.len()).collect();
        let p_value = |place: usize| self.p_values[place].unwrap_or(1.0);
        order.sort_by(|&a, &b| p_value(a).total_cmp(&p_value(b)));
        order
    }

    /// How many pieces must be unusual for the author to be excluded: two of three. Fewer need stronger evidence each,
    /// more than a calibration of a few hundred documents has at the level for a person.
    fn most(&self) -> usize {
        (2 * self.p_values.len()).div_ceil(3)
    }

    /// The piece that decides whether the author wrote all of the text.
    fn deciding(&self) -> usize {
        self.order()[self.most() - 1]
    }

    /// If the author wrote all pieces, so many of them have p-values as low as the deciding piece with at most this
    /// probability, however they depend on each other (Rüger 1978). None if no piece is tested.
    fn of_most(&self) -> Option<f64> {
        self.p_values.iter().any(Option::is_some).then(|| {
            let deciding = self.p_values[self.deciding()].unwrap_or(1.0);
            (deciding * self.p_values.len() as f64 / self.most() as f64).min(1.0)
        })
    }

    /// Which pieces are unlike the author's writing, at this level for all of them together: e-BH, where so many must count
    /// as the calibration needs to show anything.
    fn unlike(&self, alpha: f64) -> Vec<bool> {
        let single = alpha / self.p_values.len() as f64;
        let e_values = self.p_values.iter().zip(&self.least).map(|(p_value, least)| {
            let level = single * least_rejections(*least, single) as f64;
            match p_value {
                Some(p) if *p <= level * (1.0 + ROUNDING) => 1.0 / level,
                _ => 0.0,
            }
        });
        e_bh(&e_values.collect::<Vec<f64>>(), alpha)
    }
}

/// Adds what later pieces have to say about the whole text.
fn join_caveats(caveats: &mut Vec<Caveat>, pieces: &[Decision]) {
    let known = pieces
        .iter()
        .flat_map(|piece| &piece.caveats)
        .filter_map(|caveat| match caveat {
            Caveat::Memorised { models } => Some(models),
            _ => None,
        });
    let mut models: Vec<String> = known.flatten().cloned().collect();
    models.sort_unstable();
    models.dedup();
    let place = caveats
        .iter()
        .position(|caveat| matches!(caveat, Caveat::Memorised { .. }));
    match place {
        Some(place) => caveats[place] = Caveat::Memorised { models },
        None if !models.is_empty() => caveats.push(Caveat::Memorised { models }),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::HUMAN;
    use crate::clopper_pearson;
    use crate::conformal::p_of_low;
    use crate::verdict::{CalibrationFigures, Evidence, PromptKnowledge, Test};
    use rand::{Rng, SeedableRng, rngs::StdRng};
    use rand_distr::StandardNormal;

    fn settings() -> DecisionSettings {
        DecisionSettings {
            alpha: 0.05,
            alpha_human: 0.01,
            alpha_together: None,
            tests: Vec::new(),
            prompt: PromptKnowledge::Unknown,
            calibrations: Vec::new().into(),
        }
    }

    fn hypothesis(author: &str, set: AuthorSet, p_value: Option<f64>) -> Hypothesis {
        let mut tested = Hypothesis::untested(author, set);
        tested.p_value = p_value;
        tested.retained = p_value.is_none_or(|p| p > 0.01);
        if let Some(p) = p_value {
            tested.basis = Basis::Calibration;
            tested.evidence = vec![Evidence {
                test: Test::Conformal,
                ln_e_value: f64::NEG_INFINITY,
                statistic: p,
                threshold: 0.0,
                closed_form_threshold: None,
                against: Vec::new(),
                calibration: Some(CalibrationFigures {
                    texts: 500,
                    least_p_value: 0.0025,
                    words: 150,
                    group: String::new(),
                    by_fit: None,
                }),
            }];
        }
        tested
    }

    /// A piece with these p-values of a model and of a person.
    fn piece(model: Option<f64>, person: Option<f64>) -> Decision {
        let hypotheses = vec![
            hypothesis("model", AuthorSet::B, model),
            hypothesis(HUMAN, AuthorSet::Human, person),
        ];
        let (verdict, authors) = answer(&hypotheses, true);
        Decision {
            verdict,
            authors,
            hypotheses,
            caveats: Vec::new(),
        }
    }

    #[test]
    fn one_piece_is_decided_as_it_is() {
        let whole = decide_whole(vec![piece(Some(0.3), Some(0.004))], &settings());
        assert_eq!(whole.decision.authors, ["model"]);
        assert_eq!(whole.decision.hypotheses[1].pieces, 1);
        assert_eq!(whole.unlike, [[""; 0]]);
    }

    #[test]
    fn a_model_is_judged_by_the_first_piece_and_a_person_by_all() {
        let later = [None, None].map(|model| piece(model, Some(0.005)));
        let whole = decide_whole(
            [vec![piece(Some(0.3), Some(0.4))], later.to_vec()].concat(),
            &settings(),
        );
        // Two of three pieces are unusual: 0.005 * 3/2.
        let [model, person] = &whole.decision.hypotheses[..] else {
            panic!()
        };
        assert_eq!((model.p_value, model.pieces), (Some(0.3), 1));
        assert!((person.p_value.unwrap() - 0.0075).abs() < 1e-12 && !person.retained && person.pieces == 3);
        assert_eq!(whole.decision.authors, ["model"]);
        assert_eq!(whole.unlike, [vec![], vec![HUMAN.to_owned()], vec![HUMAN.to_owned()]]);
    }

    #[test]
    fn a_piece_that_a_model_may_know_by_heart_does_not_count() {
        let known = |caveat: Option<Caveat>| {
            let mut pieces = vec![piece(Some(0.3), Some(0.003)), piece(None, Some(0.003))];
            pieces[1].caveats.extend(caveat);
            decide_whole(pieces, &settings())
        };
        assert_eq!(known(None).decision.authors, ["model"]);
        let models = vec!["model".to_owned()];
        let whole = known(Some(Caveat::Memorised { models }));
        assert_eq!(whole.decision.authors, ["model", HUMAN]);
        assert!(whole.unlike[1].is_empty() && whole.unlike[0] == [HUMAN]);
        assert!(matches!(whole.decision.caveats[..], [Caveat::Memorised { .. }]));
        assert_eq!(known(Some(Caveat::Repeats)).decision.authors, ["model", HUMAN]);
    }

    #[test]
    fn a_person_whom_nothing_tests_remains() {
        let whole = decide_whole(vec![piece(Some(0.3), None), piece(None, None)], &settings());
        assert_eq!(whole.decision.hypotheses[1].p_value, None);
        assert_eq!(whole.decision.authors, ["model", HUMAN]);
        assert!(decide_whole(Vec::new(), &settings()).decision.authors.is_empty());
    }

    /// The pieces of a text by an author of the calibration resemble each other, and are ranked among the same documents.
    #[test]
    fn of_texts_by_one_author_few_are_excluded_and_few_have_an_unlike_piece() {
        const RUNS: u64 = 10_000;
        let mut rng = StdRng::seed_from_u64(142);
        let by_author = |documents: usize, pieces: usize, alike: f64, foreign: usize, rng: &mut StdRng| {
            let known: Vec<f64> = (0..documents).map(|_| rng.sample(StandardNormal)).collect();
            let of_document: f64 = rng.sample(StandardNormal);
            let p_values = (0..pieces).map(|piece| {
                let own: f64 = rng.sample(StandardNormal);
                let shift = if piece < foreign { 4.0 } else { 0.0 };
                Some(p_of_low(
                    &known,
                    alike.sqrt() * of_document + (1.0 - alike).sqrt() * own - shift,
                ))
            });
            AuthorEvidence {
                p_values: p_values.collect(),
                least: vec![1.0 / (documents + 1) as f64; pieces],
            }
        };
        for (documents, pieces) in [(99, 2), (99, 6), (400, 3), (400, 6), (400, 20), (60, 40)] {
            for alike in [0.0, 0.5, 0.9, 1.0] {
                let (mut excluded, mut marked) = ([0, 0], 0);
                for _ in 0..RUNS {
                    let evidence = by_author(documents, pieces, alike, 0, &mut rng);
                    let p = evidence.of_most().unwrap();
                    excluded[0] += u64::from(p <= 0.05 * (1.0 + ROUNDING));
                    excluded[1] += u64::from(p <= 0.01 * (1.0 + ROUNDING));
                    marked += u64::from(evidence.unlike(0.05).contains(&true));
                }
                println!("{documents} documents, {pieces} pieces, {alike}: {excluded:?} excluded, {marked} marked");
                let at_most = |count: u64, alpha: f64| clopper_pearson(count, RUNS, 0.999).0 <= alpha;
                assert!(at_most(excluded[0], 0.05) && at_most(excluded[1], 0.01) && at_most(marked, 0.05));
            }
        }
        // Of six pieces four are foreign, or one is.
        let mut found = [0, 0];
        for _ in 0..1_000 {
            found[0] += usize::from(by_author(400, 6, 0.5, 4, &mut rng).of_most().unwrap() <= 0.01);
            found[1] += usize::from(by_author(400, 6, 0.5, 1, &mut rng).unlike(0.05)[0]);
        }
        assert!(found[0] > 700 && found[1] > 800, "{found:?}");
    }
}
