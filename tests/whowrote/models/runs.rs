//! Runs of `whowrote gate`: the built-in calibrations against scores of texts that calibrate nothing, judged together.
//! Makes the last tables of that part of docs/VALIDITY.md that `crates/stats/tests/validity.rs` makes: with
//! UPDATE_VALIDITY=1 in the environment it writes them there.

use crate::common::document::{documented, share};
use crate::common::held_out::{ALPHA_HUMAN, Defaults, cut, held_out};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use whowrote::gate::{GatePolicy, GateReport, GateText, JudgedText, TEMPLATE, apply_rules};
use whowrote::input::InputSummary;
use whowrote::input::prose::LineUnit;
use whowrote::report::{ProvenanceReport, SCHEMA, Timing, Warning};
use whowrote::stats::calibration::{Calibration, Group, HUMAN, Place, built_in};
use whowrote::stats::clopper_pearson;
use whowrote::stats::verdict::{ALPHA, Decision};

/// The verdict on a text without the figures of models, which no gate looks at.
fn report(decision: Decision) -> ProvenanceReport {
    ProvenanceReport {
        schema: SCHEMA,
        input: InputSummary {
            name: String::new(),
            id: None,
            kept: Default::default(),
            sha256: String::new(),
            bytes: 0,
            chars: 0,
            words: 0,
            extraction: None,
        },
        verdict: decision.verdict,
        authors: decision.authors,
        alpha: ALPHA,
        alpha_human: ALPHA_HUMAN,
        confidence: None,
        hypotheses: decision.hypotheses,
        pieces: Vec::new(),
        models: BTreeMap::new(),
        disguises: None,
        misspellings: None,
        warnings: decision.caveats.into_iter().map(Warning::Decision).collect(),
        timing: Timing::default(),
    }
}

/// The gate's decision on these texts under the default policy, each in a file of its own.
fn gated<'a>(policy: &GatePolicy, texts: impl IntoIterator<Item = &'a ProvenanceReport>) -> GateReport {
    gated_in(policy, texts, |text| format!("{text}.md"))
}

/// The same, with the name of each text's file.
fn gated_in<'a>(
    policy: &GatePolicy,
    texts: impl IntoIterator<Item = &'a ProvenanceReport>,
    file: impl Fn(usize) -> String,
) -> GateReport {
    let judged = texts.into_iter().enumerate().map(|(text, report)| JudgedText {
        path: file(text),
        unit: LineUnit::Line,
        lines: Vec::new(),
        words: 150,
        // The same scores may come twice, the same text does not.
        sha256: text.to_string(),
        is_later: false,
        rule: (1, &policy.rules[0]),
        report: report.clone(),
    });
    apply_rules(judged.collect(), policy.alpha)
}

/// The texts of each author that calibrate nothing, cut to a length, as the gate judges them in a run of `many`, each
/// with its group.
fn submissions(words: usize, many: usize) -> BTreeMap<String, Vec<(String, ProvenanceReport)>> {
    let mut defaults = Defaults::new(built_in());
    defaults.settings.alpha_together = Some(ALPHA / many as f64);
    let reports = |held_out: Calibration| {
        let of_group = |group: &Group| {
            let texts = group.texts.iter().filter_map(|text| cut(text, words));
            // In a run, a short text is a passage of a longer one.
            let decide = |text| defaults.decide_piece(text, Place::Beginning, 1);
            let reports = texts.map(|text| (group.name.clone(), report(decide(text))));
            reports.collect::<Vec<_>>()
        };
        (
            held_out.author.clone(),
            held_out.groups.iter().flat_map(of_group).collect(),
        )
    };
    held_out().into_iter().map(reports).collect()
}

/// Runs of `gate` with the default policy: how often one fails although allowed authors wrote all its texts, and what
/// one error for all of them costs.
#[test]
fn runs_of_many_texts() {
    const RUNS: u64 = 300;
    let policy = GatePolicy::parse(TEMPLATE, None, std::path::Path::new("/")).unwrap();
    let mut alarms = String::from(
        "\n| texts of a run | words | texts that must count | texts that count | runs that fail |\n|---|---|---|---|---|\n",
    );
    let mut power = String::from(
        "\n| texts of a run | words | texts that must count | one by gemma-3-270m: it fails | half by gemma-3-270m: the run fails | of \
         these texts fail |\n|---|---|---|---|---|---|\n",
    );
    for words in [80, 150] {
        for many in [1, 2, 4, 8, 20, 50] {
            let by_author = submissions(words, many);
            let (people, own) = (&by_author[HUMAN], &by_author["smollm2-135m-instruct"]);
            let other = &by_author["gemma-3-270m"];
            let mut rng = StdRng::seed_from_u64((1000 * words + many) as u64);
            let allowed = |share_of_people: f64, rng: &mut StdRng| match rng.random_bool(share_of_people) {
                true => &people.choose(rng).unwrap().1,
                false => &own.choose(rng).unwrap().1,
            };
            if many == 20 {
                let genres: BTreeSet<&String> = people.iter().map(|(genre, _)| genre).collect();
                let of_genre = |genre: &String| people.iter().filter(|(of, _)| of == genre).collect::<Vec<_>>();
                let either = people.iter().chain(own).collect();
                let mut kinds = vec![
                    ("people".to_owned(), people.iter().collect()),
                    ("smollm2-135m-instruct".to_owned(), own.iter().collect()),
                    ("either".to_owned(), either),
                ];
                let of_all = kinds.len();
                kinds.extend(
                    genres
                        .into_iter()
                        .map(|genre| (format!("people: {genre}"), of_genre(genre))),
                );
                for (i, (name, texts)) in kinds.into_iter().enumerate() {
                    // In one file, where no text tells what to expect of another.
                    let in_one_file = |report| {
                        let texts = std::iter::repeat_n(report, many);
                        gated_in(&policy, texts, |_| String::new()).texts.swap_remove(0)
                    };
                    let judged: Vec<GateText> = texts.iter().map(|(_, report)| in_one_file(report)).collect();
                    let counting = judged
                        .iter()
                        .filter(|text| text.p_value.is_some_and(|p| p <= text.level))
                        .count();
                    let failed = (0..RUNS).filter(|_| {
                        let run: Vec<_> = (0..many).map(|_| &texts.choose(&mut rng).unwrap().1).collect();
                        !gated(&policy, run).passed
                    });
                    let failed = failed.count() as u64;
                    writeln!(
                        alarms,
                        "| 20 by {name} | {words} | {} | {counting} of {} | {} |",
                        judged[0].together,
                        texts.len(),
                        share(failed, RUNS)
                    )
                    .unwrap();
                    // The promise is over calibrations as well, and of one genre there is none; this calibration keeps
                    // it for the authors within what the runs tell.
                    let (low, _) = clopper_pearson(failed, RUNS, 0.999);
                    assert!(
                        i >= of_all || low <= policy.alpha,
                        "{name}, {words} words: {failed} of {RUNS} runs fail"
                    );
                }
            }
            let (mut together, mut alone, mut half, mut of_half) = (0, 0, 0, (0, 0));
            for _ in 0..RUNS {
                let mut texts = vec![&other.choose(&mut rng).unwrap().1];
                texts.extend((1..many).map(|_| allowed(0.5, &mut rng)));
                let decided = gated(&policy, texts);
                together = decided.texts.iter().map(|text| text.together).min().unwrap_or(0);
                alone += u64::from(decided.texts[0].ruled_out);
                let forbidden = many.div_ceil(2);
                let mut texts: Vec<_> = (0..forbidden).map(|_| &other.choose(&mut rng).unwrap().1).collect();
                texts.extend((forbidden..many).map(|_| allowed(0.5, &mut rng)));
                let decided = gated(&policy, texts);
                half += u64::from(!decided.passed);
                let found = decided.texts[..forbidden].iter().filter(|text| text.ruled_out).count();
                of_half = (of_half.0 + found as u64, of_half.1 + forbidden as u64);
            }
            writeln!(
                power,
                "| {many} | {words} | {together} | {} | {} | {:.0}% |",
                share(alone, RUNS),
                share(half, RUNS),
                100.0 * of_half.0 as f64 / of_half.1 as f64
            )
            .unwrap();
        }
    }
    documented("false alarms of runs", &alarms);
    documented("power of runs", &power);
}
