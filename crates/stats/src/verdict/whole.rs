//! From the decisions on the pieces of a text to the decision on all of it (docs/THEORY.md 14.2).

use super::caveats::{Caveat, HumanUntested};
use super::decide::{Decision, answer};
use super::hypothesis::{AuthorSet, Basis, Hypothesis, Verdict};
use super::settings::DecisionSettings;
use crate::calibration::{Place, least_documents};
use crate::e_bh::{counting_e_value, e_bh, least_rejections};
use std::ops::Range;

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
/// `pieces` are the decisions on its pieces, in their order. An author whose later pieces are known is judged by all of them,
/// and any other by the first piece. A piece without hypotheses counts against nobody.
pub fn decide_whole(pieces: &[Decision], settings: &DecisionSettings) -> WholeDecision {
    let mut unlike = vec![Vec::new(); pieces.len()];
    let first = pieces.first();
    let mut hypotheses: Vec<Hypothesis> = first.map_or_else(Vec::new, |first| first.hypotheses.clone());
    let mut caveats = first.map_or_else(Vec::new, |first| first.caveats.clone());
    if pieces.len() > 1 {
        caveats = joined(pieces);
        // A known text looks machine-made, and its pieces are known one by one.
        let is_known = caveats.iter().any(|caveat| matches!(caveat, Caveat::Memorised { .. }));
        for (number, hypothesis) in hypotheses.iter_mut().enumerate() {
            let Some(evidence) = AuthorEvidence::of(pieces, number, hypothesis.set) else {
                continue;
            };
            let is_human = hypothesis.set == AuthorSet::Human;
            let level = settings.level(&hypothesis.author);
            let Deciding { p_value, piece } = evidence.deciding();
            if is_human {
                caveats.retain(|caveat| !matches!(caveat, Caveat::HumanUntested(HumanUntested::OutsideCalibration)));
            }
            let author = &hypothesis.author;
            caveats.retain(|caveat| !matches!(caveat, Caveat::SmallCalibration { author: told, .. } if told == author));
            caveats.extend(evidence.too_small(author, level, settings.calibrations.confidence()));
            *hypothesis = Hypothesis {
                basis: Basis::Calibration,
                p_value: Some(p_value),
                retained: p_value > level || (is_human && is_known),
                pieces: pieces.len(),
                ..pieces[piece].hypotheses.get(number).unwrap_or(hypothesis).clone()
            };
            for (authors, is_unlike) in unlike.iter_mut().zip(evidence.unlike(settings.alpha)) {
                if is_unlike {
                    authors.push(hypothesis.author.clone());
                }
            }
        }
    }
    let able = pieces.iter().any(|piece| piece.verdict != Verdict::Unable);
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

/// What a p-value of a piece at this place counts for, if it decides on a text of so many pieces by an author whose later
/// pieces are known: it excludes the author if it is at most the level divided by this.
pub(super) fn factor(set: AuthorSet, place: Place, pieces: usize) -> f64 {
    let later = pieces.saturating_sub(1);
    match (set, place) {
        _ if later == 0 => 1.0,
        (AuthorSet::Human, _) => of_stretch(pieces, 1),
        (_, Place::Beginning | Place::Whole) => of_stretch(1, 2),
        (_, Place::Later) => of_stretch(later, 2),
    }
}

/// The same for a stretch of so many pieces, one of so many stretches: within the stretch by Rüger (1978), and once for each
/// stretch.
fn of_stretch(pieces: usize, stretches: usize) -> f64 {
    stretches as f64 * pieces as f64 / most(pieces) as f64
}

/// How many pieces of so many must be unusual for the author to be excluded: two of three. Fewer need stronger evidence each,
/// more than a calibration of a few hundred documents has at the level for a person.
fn most(pieces: usize) -> usize {
    (2 * pieces).div_ceil(3)
}

/// The p-value of a whole text, and the piece that it comes from.
struct Deciding {
    p_value: f64,
    piece: usize,
}

/// The evidence of one piece against an author.
#[derive(Clone, Copy)]
struct PieceEvidence {
    p_value: f64,
    /// The least that it can be.
    least: f64,
    /// How many documents of the smallest group it is compared with.
    documents: usize,
}

/// The evidence of all pieces against one author.
struct AuthorEvidence {
    /// For each piece that counts against the author, its p-value. The p-value of any other is 1.
    pieces: Vec<Option<PieceEvidence>>,
    /// The stretches that are judged by themselves.
    stretches: Vec<Range<usize>>,
}

impl AuthorEvidence {
    /// None if later pieces do not test the author, or if no piece does. The choice between the first piece and all of them
    /// does not depend on the text: otherwise the level would be spent twice.
    ///
    /// All pieces of a person are compared with the same texts, and make one stretch. The first piece of a model is compared
    /// with other texts than the later ones, and with more of them. So it is a stretch by itself.
    fn of(pieces: &[Decision], number: usize, set: AuthorSet) -> Option<Self> {
        let is_human = set == AuthorSet::Human;
        let of_author = |piece: &Decision| {
            let hypothesis = piece.hypotheses.get(number)?;
            Some(PieceEvidence {
                p_value: hypothesis.p_value?,
                least: hypothesis.least_p_value(),
                documents: hypothesis.places().map(|place| place.documents).min().unwrap_or(0),
            })
        };
        let later_known = pieces.first()?.hypotheses.get(number)?.later_known;
        if !later_known || pieces.iter().all(|piece| of_author(piece).is_none()) {
            return None;
        }
        let from = usize::from(!is_human);
        let counts = |at: usize, piece: &Decision| at < from || piece.caveats.iter().all(Caveat::is_telling);
        let count = |(at, piece)| of_author(piece).filter(|_| counts(at, piece));
        let stretches = [0..from, from..pieces.len()];
        Some(Self {
            pieces: pieces.iter().enumerate().map(count).collect(),
            stretches: stretches.into_iter().filter(|stretch| !stretch.is_empty()).collect(),
        })
    }

    fn p_value(&self, piece: usize) -> f64 {
        self.pieces[piece].map_or(1.0, |piece| piece.p_value)
    }

    /// What a p-value counts for if it is the last of [`most`] in a stretch.
    fn factor(&self, stretch: &Range<usize>) -> f64 {
        of_stretch(stretch.len(), self.stretches.len())
    }

    /// If the author wrote all pieces, this p-value is at most u with probability at most u, however the pieces depend on
    /// each other.
    fn deciding(&self) -> Deciding {
        let of_stretch = |stretch: &Range<usize>| {
            let mut order: Vec<usize> = stretch.clone().collect();
            order.sort_by(|&a, &b| self.p_value(a).total_cmp(&self.p_value(b)));
            let piece = order[most(order.len()) - 1];
            let p_value = (self.p_value(piece) * self.factor(stretch)).min(1.0);
            Deciding { p_value, piece }
        };
        let stretches = self.stretches.iter().map(of_stretch);
        stretches
            .min_by(|a, b| a.p_value.total_cmp(&b.p_value))
            .unwrap_or(Deciding { p_value: 1.0, piece: 0 })
    }

    /// That no text of so many pieces can exclude the author, if the calibration is too small for it.
    fn too_small(&self, author: &str, level: f64, confidence: Option<f64>) -> Option<Caveat> {
        let weakest = |stretch: &Range<usize>| {
            let tested = self.pieces[stretch.clone()].iter().flatten();
            let weakest = tested.max_by(|a, b| a.least.total_cmp(&b.least))?;
            Some((weakest, self.factor(stretch)))
        };
        let stretches = self.stretches.iter().filter_map(weakest);
        let (weakest, factor) = stretches.min_by(|a, b| (a.0.least * a.1).total_cmp(&(b.0.least * b.1)))?;
        (weakest.least * factor > level).then(|| Caveat::SmallCalibration {
            author: author.to_owned(),
            level,
            confidence,
            needed: least_documents(level / factor, confidence),
            fewest: weakest.documents,
        })
    }

    /// Which pieces are unlike the author's writing, at this level for all of them together: e-BH, where so many must count
    /// as the calibration needs to show anything.
    fn unlike(&self, alpha: f64) -> Vec<bool> {
        let single = alpha / self.pieces.len() as f64;
        let e_value = |piece: &Option<PieceEvidence>| {
            piece.map_or(0.0, |PieceEvidence { p_value, least, .. }| {
                counting_e_value(p_value, single * least_rejections(least, single) as f64)
            })
        };
        e_bh(&self.pieces.iter().map(e_value).collect::<Vec<f64>>(), alpha)
    }
}

/// What the reader must know of the text as a whole. What the first piece says of its authors holds for the text, if the text
/// is judged by it.
fn joined(pieces: &[Decision]) -> Vec<Caveat> {
    let count = |is_it: fn(&Caveat) -> bool| pieces.iter().filter(|piece| piece.caveats.iter().any(is_it)).count();
    let outside = count(|caveat| matches!(caveat, Caveat::Outside(_)));
    let repeats = count(|caveat| matches!(caveat, Caveat::Repeats));
    let mut models: Vec<String> = Vec::new();
    for caveat in pieces.iter().flat_map(|piece| &piece.caveats) {
        if let Caveat::Memorised { models: known } = caveat {
            models.extend(
                known
                    .iter()
                    .filter(|model| !models.contains(model))
                    .cloned()
                    .collect::<Vec<_>>(),
            );
        }
    }
    let of_first = pieces.iter().take(1).flat_map(|piece| &piece.caveats);
    let mut caveats: Vec<Caveat> = of_first
        .filter(|caveat| match caveat {
            Caveat::Outside(_) => outside == pieces.len(),
            Caveat::Memorised { .. } | Caveat::Repeats => false,
            _ => true,
        })
        .cloned()
        .collect();
    if (1..pieces.len()).contains(&outside) {
        caveats.push(Caveat::PiecesOutside {
            outside,
            pieces: pieces.len(),
            models_untested: pieces
                .iter()
                .flat_map(|piece| &piece.hypotheses)
                .all(|hypothesis| hypothesis.set == AuthorSet::Human || hypothesis.p_value.is_none()),
        });
    }
    if !models.is_empty() {
        caveats.push(Caveat::Memorised { models });
    }
    if 2 * repeats > pieces.len() {
        caveats.push(Caveat::Repeats);
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ROUNDING;
    use crate::calibration::HUMAN;
    use crate::clopper_pearson;
    use crate::conformal::p_of_low;
    use crate::verdict::{CalibrationFigures, Evidence, Outside, OutsideDomain, PromptKnowledge, Test};
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
        tested.later_known = set == AuthorSet::Human;
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
                    documents: 399,
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

    /// The same of a model whose later pieces are known.
    fn known(model: Option<f64>, person: Option<f64>) -> Decision {
        let mut known = piece(model, person);
        known.hypotheses[0].later_known = true;
        known
    }

    #[test]
    fn the_factor_of_a_place_is_that_of_its_stretch() {
        for pieces in 2..20 {
            let decisions: Vec<Decision> = (0..pieces).map(|_| known(Some(0.5), Some(0.5))).collect();
            for (number, set) in [AuthorSet::B, AuthorSet::Human].into_iter().enumerate() {
                let evidence = AuthorEvidence::of(&decisions, number, set).unwrap();
                for stretch in &evidence.stretches {
                    let place = if stretch.start > 0 {
                        Place::Later
                    } else {
                        Place::Beginning
                    };
                    assert_eq!(
                        factor(set, place, pieces),
                        evidence.factor(stretch),
                        "{pieces} pieces, {place:?}"
                    );
                }
            }
        }
        assert_eq!(factor(AuthorSet::A, Place::Beginning, 1), 1.0);
    }

    #[test]
    fn one_piece_is_decided_as_it_is() {
        let whole = decide_whole(&[piece(Some(0.3), Some(0.004))], &settings());
        assert_eq!(whole.decision.authors, ["model"]);
        assert_eq!(whole.decision.hypotheses[1].pieces, 1);
        assert_eq!(whole.unlike, [[""; 0]]);
    }

    #[test]
    fn a_model_without_later_pieces_is_judged_by_the_first_and_a_person_by_all() {
        let later = [None, None].map(|model| piece(model, Some(0.005)));
        let [second, third] = later;
        let whole = decide_whole(&[piece(Some(0.3), Some(0.4)), second, third], &settings());
        // Two of three pieces are unusual: 0.005 * 3/2.
        let [model, person] = &whole.decision.hypotheses[..] else {
            panic!()
        };
        assert_eq!((model.p_value, model.pieces), (Some(0.3), 1));
        assert!((person.p_value.unwrap() - 0.0075).abs() < 1e-12 && !person.retained && person.pieces == 3);
        assert_eq!(whole.decision.authors, ["model"]);
        assert_eq!(whole.unlike, [vec![], vec![HUMAN.to_owned()], vec![HUMAN.to_owned()]]);
    }

    /// The first piece and the later ones share the level.
    #[test]
    fn a_model_is_excluded_by_the_first_piece_or_by_most_of_the_later_ones() {
        let judged = |first: f64, later: [f64; 3]| {
            let pieces = [first].into_iter().chain(later).map(|p| known(Some(p), Some(0.4)));
            let whole = decide_whole(&pieces.collect::<Vec<_>>(), &settings());
            let model = &whole.decision.hypotheses[0];
            assert_eq!((model.pieces, whole.decision.hypotheses[1].retained), (4, true));
            (model.p_value.unwrap(), model.retained, whole.unlike)
        };
        let (p_value, retained, _) = judged(0.03, [0.4; 3]);
        assert!((p_value - 0.06).abs() < 1e-12 && retained);
        let (p_value, retained, _) = judged(0.02, [0.4; 3]);
        assert!((p_value - 0.04).abs() < 1e-12 && !retained);
        // Two of three, and one of two stretches: 0.01 * 3/2 * 2.
        let (p_value, retained, _) = judged(0.4, [0.01, 0.4, 0.005]);
        assert!((p_value - 0.03).abs() < 1e-12 && !retained);
        let (_, retained, unlike) = judged(0.4, [0.4, 0.4, 0.005]);
        assert!(retained);
        assert_eq!(unlike, [vec![], vec![], vec![], vec!["model".to_owned()]]);
        // Pieces that are not tested take nothing back: whether they are depends on the text.
        let pieces = [known(Some(0.03), None), known(None, None), known(None, None)];
        let whole = decide_whole(&pieces, &settings());
        assert_eq!(
            (
                whole.decision.hypotheses[0].p_value,
                whole.decision.hypotheses[0].retained
            ),
            (Some(0.06), true)
        );
    }

    #[test]
    fn a_piece_that_a_model_may_know_by_heart_does_not_count() {
        let known = |caveat: Option<Caveat>| {
            let mut pieces = vec![piece(Some(0.3), Some(0.003)), piece(None, Some(0.003))];
            pieces[1].caveats.extend(caveat);
            decide_whole(&pieces, &settings())
        };
        assert_eq!(known(None).decision.authors, ["model"]);
        let models = vec!["model".to_owned()];
        let whole = known(Some(Caveat::Memorised { models }));
        assert_eq!(whole.decision.authors, ["model", HUMAN]);
        assert!(whole.unlike[1].is_empty() && whole.unlike[0] == [HUMAN]);
        assert!(matches!(whole.decision.caveats[..], [Caveat::Memorised { .. }]));
        assert_eq!(known(Some(Caveat::Repeats)).decision.authors, ["model", HUMAN]);
        // Not even if all pieces repeat.
        let mut pieces = vec![piece(Some(0.3), Some(0.003)), piece(None, Some(0.003))];
        pieces.iter_mut().for_each(|piece| piece.caveats.push(Caveat::Repeats));
        let whole = decide_whole(&pieces, &settings());
        assert_eq!(whole.decision.authors, ["model", HUMAN]);
        assert_eq!(whole.decision.hypotheses[1].p_value, Some(1.0));
    }

    #[test]
    fn a_piece_outside_the_calibrations_counts_against_nobody() {
        let outside = |piece: &mut Decision| {
            piece
                .caveats
                .push(Caveat::Outside(Outside::Domain(OutsideDomain::Code)))
        };
        let mut pieces = vec![piece(None, None), piece(None, Some(0.003)), piece(None, Some(0.003))];
        outside(&mut pieces[0]);
        let whole = decide_whole(&pieces, &settings());
        assert_eq!(whole.decision.authors, ["model"]);
        let told = Caveat::PiecesOutside {
            outside: 1,
            pieces: 3,
            models_untested: true,
        };
        assert_eq!(whole.decision.caveats, [told]);
        pieces[1..].iter_mut().for_each(outside);
        assert!(matches!(
            decide_whole(&pieces, &settings()).decision.caveats[..],
            [Caveat::Outside(_)]
        ));
    }

    #[test]
    fn a_calibration_that_is_too_small_for_so_many_pieces_is_told() {
        let small = |alpha_human: f64| {
            let settings = DecisionSettings {
                alpha_human,
                ..settings()
            };
            let pieces = [0.5, 0.5, 0.5].map(|p| piece(Some(0.3), Some(p)));
            decide_whole(&pieces, &settings).decision.caveats
        };
        assert!(small(0.01).is_empty());
        // Two of three pieces: 0.0025 * 3/2.
        let [Caveat::SmallCalibration { needed, fewest, .. }] = small(0.003)[..] else {
            panic!()
        };
        assert_eq!((needed, fewest), (499, 399));
    }

    #[test]
    fn a_person_whom_nothing_tests_remains() {
        let whole = decide_whole(&[piece(Some(0.3), None), piece(None, None)], &settings());
        assert_eq!(whole.decision.hypotheses[1].p_value, None);
        assert_eq!(whole.decision.authors, ["model", HUMAN]);
        assert!(decide_whole(&[], &settings()).decision.authors.is_empty());
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
                let score = alike.sqrt() * of_document + (1.0 - alike).sqrt() * own - shift;
                Some(PieceEvidence {
                    p_value: p_of_low(&known, score),
                    least: 1.0 / (documents + 1) as f64,
                    documents,
                })
            });
            AuthorEvidence {
                pieces: p_values.collect(),
                stretches: std::iter::once(0..pieces).collect(),
            }
        };
        for (documents, pieces) in [(99, 2), (99, 6), (400, 3), (400, 6), (400, 20), (60, 40)] {
            for alike in [0.0, 0.5, 0.9, 1.0] {
                let (mut excluded, mut marked) = ([0, 0], 0);
                for _ in 0..RUNS {
                    let evidence = by_author(documents, pieces, alike, 0, &mut rng);
                    let p = evidence.deciding().p_value;
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
            found[0] += usize::from(by_author(400, 6, 0.5, 4, &mut rng).deciding().p_value <= 0.01);
            found[1] += usize::from(by_author(400, 6, 0.5, 1, &mut rng).unlike(0.05)[0]);
        }
        assert!(found[0] > 700 && found[1] > 800, "{found:?}");
    }

    /// The first piece is ranked among more documents than the later ones, and resembles them.
    #[test]
    fn of_texts_by_a_model_with_known_later_pieces_few_are_excluded() {
        const RUNS: u64 = 10_000;
        let mut rng = StdRng::seed_from_u64(143);
        for pieces in [2, 3, 6, 20] {
            for alike in [0.0, 0.5, 0.9, 1.0] {
                let (mut excluded, mut marked) = (0, 0);
                for _ in 0..RUNS {
                    let mut known =
                        |documents: usize| -> Vec<f64> { (0..documents).map(|_| rng.sample(StandardNormal)).collect() };
                    let known = [known(150), known(80)];
                    let of_document: f64 = rng.sample(StandardNormal);
                    let of_piece = |piece: usize| {
                        let own: f64 = rng.sample(StandardNormal);
                        let known = &known[piece.min(1)];
                        Some(PieceEvidence {
                            p_value: p_of_low(known, f64::sqrt(alike) * of_document + f64::sqrt(1.0 - alike) * own),
                            least: 1.0 / (known.len() + 1) as f64,
                            documents: known.len(),
                        })
                    };
                    let evidence = AuthorEvidence {
                        pieces: (0..pieces).map(of_piece).collect(),
                        stretches: vec![0..1, 1..pieces],
                    };
                    excluded += u64::from(evidence.deciding().p_value <= 0.05 * (1.0 + ROUNDING));
                    marked += u64::from(evidence.unlike(0.05).contains(&true));
                }
                println!("{pieces} pieces, {alike}: {excluded} excluded, {marked} marked");
                for count in [excluded, marked] {
                    assert!(clopper_pearson(count, RUNS, 0.999).0 <= 0.05);
                }
            }
        }
    }
}
