//! What the cross-entropy test adds to a decision, on artificial figures.

use std::collections::BTreeMap;
use whowrote_stats::calibration::Place;
use whowrote_stats::token_stats::{CrossScores, CrossTokenStats, TILTS, TextScores, TokenStats};
use whowrote_stats::verdict::{
    ALPHA, AuthorSet, Candidate, Decision, DecisionSettings, HUMAN_DIVISOR, Observation, PromptKnowledge, Test,
    Unprompted, decide,
};

/// A decision on gaps of nothing, and on a cross-entropy of `tokens`, of author a only.
fn decided(tokens: Vec<CrossTokenStats>, decoding: &str) -> Decision {
    let candidates = [("a", AuthorSet::A), ("b", AuthorSet::B)].map(|(name, set)| Candidate {
        author: name.to_owned(),
        set,
        model: Some(name.to_owned()),
        decoding: decoding.parse().unwrap(),
    });
    let scores = |model: &str, cross: Vec<CrossScores>| {
        let token = TokenStats {
            surprisal: 2.0,
            entropy: 2.0,
            varentropy: 1.0,
            ln_space_mass: -1.0,
            cgf: TILTS.map(|s| s * s / 2.0),
        };
        let scores = TextScores {
            model: model.into(),
            vocab: 100,
            symbols: [0; 32],
            ids: vec![0; 100],
            spans: (0..100).map(|i| i..i + 1).collect(),
            first_scored: 0,
            betas: vec![1.0],
            ranks: vec![1; 100],
            stats: vec![token; 100],
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross,
            probed: Vec::new(),
        };
        (model.to_owned(), scores)
    };
    let crossed = CrossScores {
        other: "b".into(),
        betas: (1.0, 1.0),
        tokens,
    };
    let scores = BTreeMap::from([scores("a", vec![crossed]), scores("b", Vec::new())]);
    let settings = DecisionSettings {
        alpha: ALPHA,
        alpha_human: ALPHA / HUMAN_DIVISOR,
        alpha_together: None,
        tests: vec![Test::EntropyGap, Test::CrossEntropy],
        prompt: PromptKnowledge::Known,
        calibrations: Vec::new().into(),
    };
    let unread = BTreeMap::new();
    let unprompted = Unprompted {
        text: "",
        models: &[],
        scores: &unread,
        place: Place::Beginning,
        pieces: 1,
    };
    let text = "a".repeat(100);
    let observation = Observation::new(&text, &scores, unprompted, &candidates, &settings);
    decide(&observation, &candidates, &settings)
}

#[test]
fn the_cross_entropy_alone_can_rule_an_author_out_and_says_nothing_where_nothing_is_compared() {
    let token = |surprisal: f64| CrossTokenStats {
        surprisal,
        cross_entropy: 3.0,
        cgf: TILTS.map(|s| s * s / 2.0),
        range: 10.0,
    };
    for (surprisal, retained) in [(3.0, true), (3.6, false), (2.4, false)] {
        let decision = decided(vec![token(surprisal); 100], "temperature=1");
        let [a, b] = [0, 1].map(|i| &decision.hypotheses[i]);
        assert_eq!((a.retained, b.retained), (retained, true), "{surprisal}");
        assert_eq!((a.evidence.len(), b.evidence.len()), (2, 1));
        assert_eq!(a.evidence[1].against, ["b"]);
        assert_eq!(
            a.evidence[0].threshold,
            decided(Vec::new(), "temperature=1").hypotheses[0].evidence[0].threshold
        );
    }
    // The two cut the text differently: the test keeps its share of the level and has an e-value of 1.
    let silent = decided(Vec::new(), "temperature=1");
    assert!(silent.hypotheses[0].retained);
    assert!(silent.hypotheses[0].evidence[1].ln_e_value.abs() < 1e-12);
    assert_eq!(silent.hypotheses[0].evidence[1].closed_form_threshold, None);
    // Sampled at another temperature than what was compared, or in a family of ways: no such evidence.
    for decoding in ["temperature=0.5", "deployed"] {
        let decision = decided(vec![token(9.0); 100], decoding);
        assert!(
            decision.hypotheses[0]
                .evidence
                .iter()
                .all(|e| e.test != Test::CrossEntropy)
        );
    }
}
