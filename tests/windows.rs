//! A text longer than the window is scored once, in parts that see what came before.

mod common;

use candle_core::Device;
use whowrote::model::LanguageModel;
use whowrote::scoring::{Scoring, score};

#[test]
fn every_token_of_a_long_text_is_scored_once_and_the_first_window_as_without_windows() {
    let name = "smollm2-135m-instruct";
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
    let text = include_str!("../samples/letter.txt");
    let whole = score(&model, text, &Scoring::at(vec![1.0])).unwrap();
    let (window, overlap) = (96, 32);
    let windows = Scoring {
        penalties: Vec::new(),
        betas: vec![1.0],
        window,
        overlap,
    };
    let parts = score(&model, text, &windows).unwrap();
    assert_eq!((&parts.ids, &parts.spans), (&whole.ids, &whole.spans));
    assert_eq!(parts.scored(), whole.ids.len() - 1);
    let surprisal =
        |scores: &whowrote::scoring::TextScores| -> Vec<f64> { scores.at(0).map(|stats| stats.surprisal).collect() };
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
    };
    let narrow = score(&model, text, &fitting).unwrap();
    assert_eq!(narrow.ranks, wide.ranks);
    for (a, b) in narrow.at(0).zip(wide.at(0)) {
        assert!((a.surprisal - b.surprisal).abs() < 1e-4);
    }
}
