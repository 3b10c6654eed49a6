//! A text longer than the window is scored once, in parts that see what came before.

use crate::common;
use candle_core::Device;
use whowrote::model::LanguageModel;
use whowrote::model::chat::unknown_prompt_ids;
use whowrote::scoring::{Prefix, Scoring, score, score_after, score_all};

#[test]
fn every_token_of_a_long_text_is_scored_once_and_the_first_window_as_without_windows() {
    let name = "smollm2-135m-instruct";
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
    let text = include_str!("../../../samples/letter.txt");
    let whole = score(&model, text, &Scoring::at(vec![1.0])).unwrap();
    let (window, overlap) = (96, 32);
    let windows = Scoring {
        penalties: Vec::new(),
        betas: vec![1.0],
        window,
        overlap,
        probe: None,
    };
    let parts = score(&model, text, &windows).unwrap();
    assert_eq!((&parts.ids, &parts.spans), (&whole.ids, &whole.spans));
    assert_eq!(parts.scored(), whole.ids.len() - 1);
    let surprisal = |scores: &whowrote::stats::token_stats::TextScores| -> Vec<f64> {
        scores.at(0).map(|stats| stats.surprisal).collect()
    };
    let (whole, parts) = (surprisal(&whole), surprisal(&parts));
    for i in 0..window - 1 {
        assert!((whole[i] - parts[i]).abs() < 1e-3, "token {i}");
    }
    // Less context costs something, and not much: the mean over the rest is near, and a little higher.
    let mean = |v: &[f64]| v[window - 1..].iter().sum::<f64>() / (v.len() - window + 1) as f64;
    let cost = mean(&parts) - mean(&whole);
    assert!((0.0..0.5).contains(&cost), "{cost} nat a token");
}

#[test]
fn figures_do_not_depend_on_the_window_where_the_text_fits() {
    let name = "gemma-3-270m";
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
    let text = "Nobody had told the ferryman, so he waited until dark with the lamp lit.";
    let wide = score(&model, text, &Scoring::at(vec![1.0])).unwrap();
    let fitting = Scoring {
        penalties: Vec::new(),
        betas: vec![1.0],
        window: wide.ids.len() + 1,
        overlap: 4,
        probe: None,
    };
    let narrow = score(&model, text, &fitting).unwrap();
    assert_eq!(narrow.ranks, wide.ranks);
    for (a, b) in narrow.at(0).zip(wide.at(0)) {
        assert!((a.surprisal - b.surprisal).abs() < 1e-4);
    }
}

/// The worst difference of surprisals, entropies and kept masses between texts scored together and each alone.
fn worst_difference(model: &LanguageModel, prefix: &[u32], texts: &[&str], scoring: &Scoring) -> f64 {
    let tokens = texts
        .iter()
        .map(|text| model.tokenizer().encode(text).unwrap())
        .collect();
    let together = score_all(model, &Prefix::new(prefix), tokens, scoring).unwrap();
    assert_eq!(together.len(), texts.len());
    let mut worst = 0f64;
    for (text, together) in texts.iter().zip(together) {
        let alone = score_after(model, prefix, text, scoring).unwrap();
        assert_eq!(
            (&alone.ids, &alone.spans, alone.scored()),
            (&together.ids, &together.spans, together.scored())
        );
        assert_eq!(alone.decoding.len(), together.decoding.len());
        for (a, b) in alone.stats.iter().zip(&together.stats) {
            worst = worst
                .max((a.surprisal - b.surprisal).abs())
                .max((a.entropy - b.entropy).abs());
        }
        for (a, b) in alone.decoding.iter().zip(&together.decoding) {
            let pairs = a.ln_z.iter().zip(&b.ln_z).chain([(&a.seen, &b.seen)]);
            worst = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(worst, f64::max);
        }
        for ((_, a), (_, b)) in alone.penalised.iter().zip(&together.penalised) {
            for (a, b) in a.stats.iter().zip(&b.stats) {
                worst = worst.max((a.surprisal - b.surprisal).abs());
            }
        }
    }
    worst
}

#[test]
fn texts_that_share_passes_do_not_see_one_another() {
    let letter = include_str!("../../../samples/letter.txt");
    let texts = [
        "A",
        "Nobody had told the ferryman, so he waited until dark with the lamp lit.",
        "",
        // Longer than the window.
        &letter[..700],
        "It rained.",
        &letter[900..1200],
    ];
    for name in ["smollm2-135m-instruct", "gemma-3-270m"] {
        let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
        let asked = unknown_prompt_ids(&model).unwrap();
        // One model has no turns: it is asked nothing, and sees its beginning of a text.
        for prefix in [asked, Vec::new()] {
            let scoring = Scoring {
                window: 96,
                overlap: 16,
                penalties: vec![1.2],
                ..Scoring::at(vec![1.0])
            };
            let worst = worst_difference(&model, &prefix, &texts, &scoring);
            assert_eq!(worst, 0.0, "{name}");
        }
    }
}
