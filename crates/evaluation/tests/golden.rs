//! The figures against those of other people's evaluations of the same scores.

use serde::Deserialize;
use std::collections::BTreeMap;
use whowrote_stats::roc::{Area, ScoredText, found_at};

#[derive(Deserialize)]
struct FastDetectGpt {
    results: Vec<Published>,
}

/// Scores that a paper's authors published, and what they made of them.
#[derive(Deserialize)]
struct Published {
    file: String,
    score: String,
    roc_auc: f64,
    real: Vec<f64>,
    samples: Vec<f64>,
}

/// Texts with these scores; the first are by people.
fn scored<'a>(people: &[f64], models: &[f64], names: &'a [String]) -> Vec<ScoredText<'a>> {
    let people = people.iter().map(|score| (*score, false));
    let all = people.chain(models.iter().map(|score| (*score, true)));
    let text = |((score, is_sought), document): ((f64, bool), &'a String)| ScoredText {
        score,
        is_sought,
        document,
    };
    all.zip(names).map(text).collect()
}

fn names() -> Vec<String> {
    (0..1_000).map(|i| i.to_string()).collect()
}

/// The published areas, and the shares that are found at 5% and 1% of false alarms, read off the published curves.
#[test]
fn published_scores_of_fast_detect_gpt_have_their_published_area() {
    let golden: FastDetectGpt = serde_json::from_str(include_str!("golden/fast-detect-gpt.json")).unwrap();
    assert_eq!(golden.results.len(), 5);
    let found: BTreeMap<(&str, &str), [u64; 2]> = BTreeMap::from([
        (("xsum_davinci", "curvature"), [113, 62]),
        (("xsum_gpt-3.5-turbo", "curvature"), [143, 123]),
        (("writing_davinci", "curvature"), [125, 65]),
        (("writing_gpt-3.5-turbo", "curvature"), [146, 131]),
        (("writing_davinci", "likelihood"), [65, 34]),
    ]);
    let names = names();
    for Published {
        file,
        score,
        roc_auc,
        real,
        samples,
    } in &golden.results
    {
        let texts = scored(real, samples, &names);
        let area = Area::of(&texts).unwrap();
        assert!((area.value - roc_auc).abs() < 1e-12, "{file}: {} {roc_auc}", area.value);
        let score = if score.ends_with("likelihood") {
            "likelihood"
        } else {
            "curvature"
        };
        let at = [0.05, 0.01].map(|false_alarms| found_at(&texts, false_alarms).0);
        assert_eq!(at, found[&(file.as_str(), score)], "{file} {score}");
    }
}

#[derive(Deserialize)]
struct RaidBench {
    texts: Vec<RaidText>,
    results: Vec<RaidResult>,
}

#[derive(Deserialize)]
struct RaidText {
    domain: String,
    model: String,
    score: f64,
}

#[derive(Deserialize)]
struct RaidResult {
    domain: String,
    model: String,
    auroc: f64,
    found: BTreeMap<String, u64>,
}

/// RAID's own evaluator has a threshold for each domain, as the rows by domain have.
#[test]
fn the_figures_are_those_of_raid_bench() {
    let golden: RaidBench = serde_json::from_str(include_str!("golden/raid-bench.json")).unwrap();
    let names = names();
    assert_eq!(golden.results.len(), 6);
    for result in &golden.results {
        let of = |is_it: &dyn Fn(&str) -> bool| -> Vec<f64> {
            let texts = golden
                .texts
                .iter()
                .filter(|text| text.domain == result.domain && is_it(&text.model));
            texts.map(|text| text.score).collect()
        };
        let people = of(&|model| model == "human");
        let models = of(&|model| model != "human" && (result.model == "all" || model == result.model));
        let texts = scored(&people, &models, &names);
        assert!(
            (Area::of(&texts).unwrap().value - result.auroc).abs() < 1e-12,
            "{}",
            result.model
        );
        for (false_alarms, found) in &result.found {
            assert_eq!(
                found_at(&texts, false_alarms.parse().unwrap()).0,
                *found,
                "{} {false_alarms}",
                result.model
            );
        }
    }
}
