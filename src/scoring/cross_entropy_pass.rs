//! What an author expects of another model's surprisal. The heads of the two models have one vocabulary, and the pass
//! takes the same tile of both at a time.

use super::reduce::{TILE_ROWS, tile_logits, tiles};
use super::scorer::Hidden;
use crate::model::LanguageModel;
use crate::model::error::Result;
use rayon::prelude::*;
use whowrote_kernels::PairRow;
use whowrote_stats::token_stats::CrossTokenStats;

/// What each of two models expects, as the author, of the other's surprisal. One entry for each pair of inverse
/// temperatures, the first model's and the second's: the figures with the first model as the author, then with the
/// second.
pub type CrossFigures = Vec<[Vec<CrossTokenStats>; 2]>;

/// Compares two models of one vocabulary on a text that both have scored, over the tokens whose hidden states both
/// kept.
///
/// None if the vocabularies differ in size or the text was cut into different tokens: then the two models share no
/// outcomes.
///
/// # Errors
/// When the tensor library fails.
pub fn cross_entropy_pass(
    models: [&LanguageModel; 2],
    hidden: [&Hidden; 2],
    betas: &[(f64, f64)],
) -> Result<Option<CrossFigures>> {
    let vocab = models[0].decoder().vocab();
    if vocab != models[1].decoder().vocab() || hidden[0].ids != hidden[1].ids {
        return Ok(None);
    }
    let mut figures: CrossFigures = vec![Default::default(); betas.len()];
    let [Some(a), Some(b)] = [0, 1].map(|side| hidden[side].states.as_ref()) else {
        return Ok(Some(figures));
    };
    let states = [a, b];
    // Leave out a token for which one model has no context. Which tokens these are does not depend on the text.
    let begin = hidden[0].first_scored.max(hidden[1].first_scored);
    let skipped = [0, 1].map(|side| begin - hidden[side].first_scored);
    let rows = [0, 1].map(|side| states[side].dims()[0].saturating_sub(skipped[side]));
    let rows = rows[0].min(rows[1]);
    let seen = hidden[0].ids.get(begin..begin + rows).unwrap_or_default();
    let mut unpacked = Vec::new();
    let mut logits = [Vec::new(), Vec::new()];
    for (part, seen) in seen.chunks(TILE_ROWS).enumerate() {
        let mut rows = vec![PairRow::new(betas.len()); seen.len()];
        let mut at = Vec::with_capacity(2);
        for side in 0..2 {
            let start = skipped[side] + part * TILE_ROWS;
            at.push(states[side].narrow(0, start, seen.len())?.contiguous()?);
        }
        for (first, symbols) in tiles(vocab) {
            for side in 0..2 {
                tile_logits(
                    models[side],
                    &at[side],
                    first,
                    symbols,
                    &mut unpacked,
                    &mut logits[side],
                )?;
            }
            let tile = rows
                .par_iter_mut()
                .zip(logits[0].par_chunks(symbols).zip(logits[1].par_chunks(symbols)))
                .zip(seen)
                .with_min_len(4);
            tile.for_each(|((row, (a, b)), &seen)| row.add([a, b], first, betas, seen));
        }
        for (i, (figures, &betas)) in figures.iter_mut().zip(betas).enumerate() {
            for row in &rows {
                for (figures, stats) in figures.iter_mut().zip(row.stats(i, betas)) {
                    figures.push(stats);
                }
            }
        }
    }
    Ok(Some(figures))
}

#[cfg(test)]
mod tests {
    use super::super::reduce::TILE_SYMBOLS;
    use super::super::tiny::{ArchitectureFamily, Tiny};
    use super::super::{Prefix, Scoring, reduce, score_keeping};
    use super::*;
    use candle_core::{DType, Device};

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 2e-4 + 1e-5 * b.abs()
    }

    const VOCAB: usize = TILE_SYMBOLS + 300;

    fn load(seed: u64, edit: impl Fn(&mut Tiny)) -> LanguageModel {
        let mut tiny = Tiny::with_vocab(ArchitectureFamily::Qwen3, seed, VOCAB);
        edit(&mut tiny);
        let folder = tempfile::tempdir().unwrap();
        tiny.write_folder(folder.path(), DType::F32, 1);
        LanguageModel::load("tiny", folder.path(), &Device::Cpu, u64::MAX).unwrap()
    }

    fn hidden(model: &LanguageModel, ids: &[u32], first_scored: usize) -> Hidden {
        let states = model.decoder().forward(&ids[..ids.len() - 1], 1, None).unwrap();
        let rows = ids.len() - first_scored;
        Hidden {
            ids: ids.to_vec(),
            first_scored,
            states: Some(states.narrow(0, states.dims()[0] - rows, rows).unwrap()),
        }
    }

    #[test]
    fn two_models_are_compared_token_by_token_over_the_whole_vocabulary() {
        let models = [
            load(5, |_| ()),
            load(6, |tiny| tiny.config["final_logit_softcapping"] = 5.0.into()),
        ];
        let ids: Vec<u32> = (0..30u32).map(|i| i * 1087 % VOCAB as u32).collect();
        // The second model's scores begin a token later.
        let hidden = [hidden(&models[0], &ids, 1), hidden(&models[1], &ids, 2)];
        let betas = [(1.0, 1.0), (0.8, 1.25)];
        let found = cross_entropy_pass([&models[0], &models[1]], [&hidden[0], &hidden[1]], &betas)
            .unwrap()
            .unwrap();
        let logits: Vec<Vec<Vec<f32>>> = [0, 1]
            .map(|side| {
                let states = hidden[side].states.as_ref().unwrap();
                models[side].decoder().logits(states).unwrap().to_vec2().unwrap()
            })
            .to_vec();
        for (figures, (a, b)) in found.iter().zip(betas) {
            assert_eq!([figures[0].len(), figures[1].len()], [28, 28]);
            for i in 0..28 {
                let (p, q, seen) = (&logits[0][i + 1], &logits[1][i], ids[i + 2]);
                // The whole vocabulary at once, and no tiles.
                let mut row = PairRow::new(1);
                row.add([p, q], 0, &[(a, b)], seen);
                for (found, wanted) in [figures[0][i], figures[1][i]].into_iter().zip(row.stats(0, (a, b))) {
                    assert!(near(found.surprisal, wanted.surprisal), "{found:?} {wanted:?}");
                    assert!(near(found.cross_entropy, wanted.cross_entropy), "{found:?} {wanted:?}");
                    assert!(near(found.range, wanted.range), "{found:?} {wanted:?}");
                    assert!(
                        found.cgf.iter().zip(wanted.cgf).all(|(a, b)| near(*a, b)),
                        "{found:?} {wanted:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_model_against_itself_has_the_figures_of_the_entropy_gap() {
        let model = load(7, |_| ());
        let ids: Vec<u32> = (0..40u32).map(|i| i * 709 % VOCAB as u32).collect();
        let hidden = hidden(&model, &ids, 1);
        let betas = [0.7, 1.0, 1.5];
        let pairs = betas.map(|beta| (beta, beta));
        let found = cross_entropy_pass([&model, &model], [&hidden, &hidden], &pairs)
            .unwrap()
            .unwrap();
        let own = reduce(&model, hidden.states.as_ref().unwrap(), &ids[1..], &betas, None).unwrap();
        for (k, figures) in found.iter().enumerate() {
            assert_eq!(figures[0], figures[1]);
            assert_eq!(figures[0].len(), 39);
            for (i, found) in figures[0].iter().enumerate() {
                let own = own.stats[i * betas.len() + k];
                assert!((found.surprisal - own.surprisal).abs() < 1e-4);
                assert!((found.cross_entropy - own.entropy).abs() < 1e-4);
                for (a, b) in found.cgf.iter().zip(own.cgf) {
                    assert!((a - b).abs() < 3e-6 + 2e-4 * b, "{a} {b}");
                }
            }
        }
    }

    #[test]
    fn a_text_has_its_figures_from_the_states_that_scoring_kept() {
        let model = load(8, |_| ());
        let text = "the hat and the tin that the hen had";
        // Windows of a few tokens, so that the states come from several windows.
        let scoring = Scoring {
            window: 6,
            overlap: 2,
            ..Scoring::at(vec![1.0])
        };
        let context = Prefix::new(model.tokenizer().context());
        let mut kept = score_keeping(
            &model,
            &context,
            vec![model.tokenizer().encode(text).unwrap()],
            &scoring,
        )
        .unwrap();
        let (scores, hidden) = kept.remove(0);
        assert!(scores.scored() > 6, "{}", scores.scored());
        let found = cross_entropy_pass([&model, &model], [&hidden, &hidden], &[(1.0, 1.0)])
            .unwrap()
            .unwrap();
        assert_eq!(found[0][0].len(), scores.scored());
        for (found, own) in found[0][0].iter().zip(&scores.stats) {
            assert!((found.surprisal - own.surprisal).abs() < 1e-4);
            assert!((found.cross_entropy - own.entropy).abs() < 1e-4);
        }
    }

    #[test]
    fn models_that_read_different_tokens_are_not_compared() {
        let model = load(9, |_| ());
        let ids: Vec<u32> = (0..10).collect();
        let one = hidden(&model, &ids, 1);
        let mut other = one.clone();
        other.ids[4] += 1;
        assert!(
            cross_entropy_pass([&model, &model], [&one, &other], &[(1.0, 1.0)])
                .unwrap()
                .is_none()
        );
        let smaller = {
            let folder = tempfile::tempdir().unwrap();
            Tiny::with_vocab(ArchitectureFamily::Qwen3, 9, VOCAB - 1).write_folder(folder.path(), DType::F32, 1);
            LanguageModel::load("tiny", folder.path(), &Device::Cpu, u64::MAX).unwrap()
        };
        assert!(
            cross_entropy_pass([&model, &smaller], [&one, &one], &[(1.0, 1.0)])
                .unwrap()
                .is_none()
        );
        // Nothing was scored, so nothing is compared.
        let none = Hidden {
            states: None,
            ..one.clone()
        };
        assert_eq!(
            cross_entropy_pass([&model, &model], [&one, &none], &[(1.0, 1.0)]).unwrap(),
            Some(vec![[vec![], vec![]]])
        );
    }
}
