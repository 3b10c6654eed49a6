//! Every architecture is held to per-token figures of the reference implementation (transformers, float32).

mod common;

use candle_core::Device;
use serde::Deserialize;
use std::collections::BTreeMap;
use whowrote::model::LanguageModel;
use whowrote::scoring::{Scoring, score};

#[derive(Deserialize)]
struct Golden {
    texts: Vec<GoldenText>,
}

#[derive(Deserialize)]
struct GoldenText {
    id: String,
    text: String,
    token_ids: Vec<u32>,
    context_ids: Vec<u32>,
    rank: Vec<u32>,
    beta: BTreeMap<String, GoldenFigures>,
}

#[derive(Deserialize)]
struct GoldenFigures {
    nll: Vec<f64>,
    entropy: Vec<f64>,
    varentropy: Vec<f64>,
}

fn golden(name: &str) -> Golden {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Median and worst absolute difference.
fn spread(mut differences: Vec<f64>) -> (f64, f64) {
    assert!(differences.iter().all(|d| d.is_finite()));
    differences.sort_by(f64::total_cmp);
    (differences[differences.len() / 2], differences[differences.len() - 1])
}

/// Ids equal; figures within 2e-3 nat at the median and 2e-2 at the worst token; 99% of ranks equal.
fn check(model: &LanguageModel, golden: &Golden) {
    let mut ranks = (0, 0);
    let mut differences: BTreeMap<(String, &str), Vec<f64>> = BTreeMap::new();
    for text in &golden.texts {
        let betas: Vec<f64> = text.beta.keys().map(|b| b.parse().unwrap()).collect();
        let scores = score(model, &text.text, &Scoring::at(betas)).unwrap();
        assert_eq!(scores.ids, text.token_ids, "ids of {}", text.id);
        assert_eq!(model.tokenizer().context(), text.context_ids, "context of {}", text.id);
        assert_eq!(scores.scored(), text.rank.len(), "scored tokens of {}", text.id);
        assert_eq!(scores.spans.first().unwrap().start, 0);
        assert_eq!(scores.spans.last().unwrap().end, text.text.len());
        assert!(
            scores.spans.windows(2).all(|w| w[0].end == w[1].start),
            "gap in {}",
            text.id
        );
        ranks.0 += scores.ranks.iter().zip(&text.rank).filter(|(a, b)| a == b).count();
        ranks.1 += text.rank.len();
        for (i, (beta, wanted)) in text.beta.iter().enumerate() {
            for (j, found) in scores.at(i).enumerate() {
                for (what, a, b) in [
                    ("surprisal", found.surprisal, wanted.nll[j]),
                    ("entropy", found.entropy, wanted.entropy[j]),
                    ("varentropy", found.varentropy, wanted.varentropy[j]),
                ] {
                    differences.entry((beta.clone(), what)).or_default().push((a - b).abs());
                }
            }
        }
    }
    for ((beta, what), differences) in differences {
        let (median, worst) = spread(differences);
        println!(
            "{} beta {beta} {what}: median {median:.1e}, worst {worst:.1e}",
            model.name()
        );
        assert!(
            median < 2e-3 && worst < 2e-2,
            "{} beta {beta} {what}: {median:.1e} {worst:.1e}",
            model.name()
        );
    }
    println!("{}: {} of {} ranks equal", model.name(), ranks.0, ranks.1);
    assert!(ranks.0 as f64 >= 0.99 * ranks.1 as f64);
}

fn golden_figures_hold(name: &str, file: &str, device: &Device) {
    let model = LanguageModel::load(name, &common::model_file(name), device, u64::MAX).unwrap();
    check(&model, &golden(file));
}

#[test]
fn smollm2_equals_the_reference() {
    golden_figures_hold("smollm2-135m-instruct", "smollm2", &Device::Cpu);
}

#[test]
fn gemma3_equals_the_reference() {
    golden_figures_hold("gemma-3-270m", "gemma3", &Device::Cpu);
}

#[test]
fn qwen2_equals_the_reference() {
    golden_figures_hold("qwen2.5-coder-0.5b-instruct", "qwen05", &Device::Cpu);
}
