//! The probe that is compiled into the program, fitted anew. It needs texts that are not part of the project
//! (`calibration/make WORK DATA` gathers them), so it runs only on demand:
//!
//!     VALIDITY_TEXTS=WORK cargo test --release --test whowrote probe -- --ignored --nocapture
//!
//! With UPDATE_VALIDITY=1 beside it, the probe goes into `calibration/probe.json`, and what probes make of texts whose
//! sources they were not fitted to into `crates/stats/tests/validity/left-out.json`.

use crate::common;
use crate::common::document::is_update;
use crate::common::known::{folder, lines};
use candle_core::Device;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use whowrote::model::LanguageModel;
use whowrote::scoring::{Scoring, scaled_states, score};
use whowrote::stats::calibration::probe::{ANOTHER_MODEL, Probe};
use whowrote::stats::calibration::{CalibratedModel, HUMAN, is_for_fit};
use whowrote::stats::conformal_scores::{LENGTHS, beginning, text_features, word_ends};
use whowrote::stats::logistic_regression::{Example, fit_linear};
use whowrote::stats::sampling_params::SamplingFamily;
use whowrote::stats::token_stats::{LOGITS, SKIPPED_TOKENS};
use whowrote::stats::truncated_likelihood::members;
use whowrote::stats::verdict::DomainCheck;

const READER: &str = "gemma-3-270m";
const CLASSES: [&str; LOGITS + 1] = [HUMAN, ANOTHER_MODEL, "smollm2-135m-instruct", READER];
/// 5/8 of the depth of 18. Nearer to either end, states tell authors apart less well.
const LAYER: usize = 11;
/// Between 0.1 and 1 the figures of texts from other sources hardly change.
const RIDGE: f64 = 0.3;
/// Where texts from left-out sources are read; the fit takes each text at the longest length that it reaches.
const WORDS: [usize; 3] = [40, 80, 150];
/// Tokens in one pass, and texts that are read together.
const PACK: usize = 1024;
const READ: usize = 256;
/// The bytes of a text's name in the file of states.
const KEY: usize = 8;

/// A text whose author is known.
struct Text {
    document: String,
    label: String,
    /// The genre, the model or the way of sampling.
    group: String,
    domain: String,
    /// The data set; none for texts of the calibrations.
    source: Option<String>,
    /// Whether it may be part of the fit: not if people's texts of its document are kept for tests, nor if a base model wrote
    /// it, which continues texts, follows no instructions and reads like people.
    is_open: bool,
    text: String,
}

impl Text {
    fn class(&self) -> usize {
        CLASSES.iter().position(|class| *class == self.label).unwrap_or(1)
    }
}

/// People's texts of the calibration, texts of the benchmarks, and those texts of the default models' calibrations that are
/// part of the fit.
fn texts() -> Vec<Text> {
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let people = lines("people.jsonl");
    let of_tests = people.iter().filter(|line| line["part"] != "calibrate");
    let of_tests: BTreeSet<String> = of_tests.map(|line| string(&line["document"])).collect();
    let people = people
        .iter()
        .filter(|line| line["part"] == "calibrate")
        .map(|line| Text {
            document: string(&line["document"]),
            label: HUMAN.to_owned(),
            group: string(&line["genre"]),
            domain: string(&line["genre"]),
            source: None,
            is_open: true,
            text: string(&line["text"]),
        });
    let others = lines("other-models.jsonl");
    let others = others.iter().map(|line| {
        let (label, domain, source) = (string(&line["label"]), string(&line["domain"]), string(&line["source"]));
        Text {
            document: string(&line["document"]),
            group: if label == HUMAN {
                format!("{domain} ({source})")
            } else {
                label.clone()
            },
            label,
            domain,
            source: Some(source),
            is_open: line["part"] != "base" && !of_tests.contains(line["document"].as_str().unwrap()),
            text: string(&line["text"]),
        }
    });
    let own = CLASSES[2..].iter().flat_map(|model| {
        let lines = lines(&format!("{model}.probe.jsonl")).into_iter();
        lines
            .filter(|line| line["copied"].as_f64().unwrap_or(0.0) <= 0.2)
            .filter(|line| is_for_fit(line["prompt"]["id"].as_str().unwrap()))
            .map(|line| Text {
                document: string(&line["prompt"]["id"]),
                label: (*model).to_owned(),
                group: string(&line["decoding"]),
                domain: "prompts".to_owned(),
                source: None,
                is_open: true,
                text: string(&line["text"]),
            })
    });
    let all = people.chain(others).chain(own);
    all.filter(|text| {
        let beginning = beginning(&text.text);
        word_ends(beginning).len() >= LENGTHS[0] && DomainCheck::of(beginning).outside().is_none()
    })
    .collect()
}

/// For each of [`LENGTHS`] that a text reaches, the mean of its scaled states, `(hidden)`.
type States = Vec<Vec<f32>>;

/// The states of each text. What was found is kept beside the texts, because it takes minutes: for each text the first
/// bytes of its SHA-256, and its states at every length, not numbers where it is shorter.
fn states(texts: &[Text]) -> Vec<States> {
    let path = common::model_file(READER);
    let model = LanguageModel::load(READER, &path, &Device::Cpu, u64::MAX)
        .unwrap()
        .without_chat();
    let width = model.decoder().architecture().hidden;
    let kept = folder().join(format!("{READER}.{LAYER}.f32"));
    let key = |text: &str| -> [u8; KEY] { Sha256::digest(text)[..KEY].try_into().unwrap() };
    let row = 4 * width;
    let mut known: HashMap<[u8; KEY], States> = HashMap::new();
    for record in std::fs::read(&kept)
        .unwrap_or_default()
        .chunks_exact(KEY + LENGTHS.len() * row)
    {
        let (key, numbers) = record.split_at(KEY);
        let numbers = numbers.chunks_exact(row).map(|row| -> Vec<f32> {
            row.chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
                .collect()
        });
        known.insert(
            key.try_into().unwrap(),
            numbers.take_while(|row| !row[0].is_nan()).collect(),
        );
    }
    let new = texts.iter().map(|text| text.text.as_str());
    let new: Vec<&str> = new.filter(|text| !known.contains_key(&key(text))).collect();
    let mut file = OpenOptions::new().create(true).append(true).open(&kept).unwrap();
    for (at, texts) in new.chunks(READ).enumerate() {
        for (text, states) in texts.iter().zip(read_states(&model, texts)) {
            let missing = vec![f32::NAN; (LENGTHS.len() - states.len()) * width];
            let numbers = states
                .iter()
                .flatten()
                .chain(&missing)
                .flat_map(|number| number.to_le_bytes());
            let record: Vec<u8> = key(text).into_iter().chain(numbers).collect();
            file.write_all(&record).unwrap();
            known.insert(key(text), states);
        }
        println!("{} of {} texts read", at * READ + texts.len(), new.len());
    }
    texts.iter().map(|text| known[&key(&text.text)].clone()).collect()
}

fn read_states(model: &LanguageModel, texts: &[&str]) -> Vec<States> {
    let context = model.tokenizer().context();
    let encoded: Vec<_> = texts
        .iter()
        .map(|text| model.tokenizer().encode(beginning(text)).unwrap())
        .collect();
    let mut all = Vec::new();
    while all.len() < texts.len() {
        let (mut ids, mut lengths) = (Vec::new(), Vec::new());
        for tokens in &encoded[all.len()..] {
            if !ids.is_empty() && ids.len() + tokens.ids.len() > PACK {
                break;
            }
            let start = ids.len();
            ids.extend_from_slice(context);
            ids.extend_from_slice(&tokens.ids[..tokens.ids.len() - 1]);
            lengths.push(ids.len() - start);
        }
        let mut found = Vec::new();
        let show = |layer, states: &candle_core::Tensor| {
            if layer == LAYER {
                found = scaled_states(states)?.to_vec2::<f32>()?;
            }
            Ok(())
        };
        model.decoder().forward_packed(&ids, &lengths, None, show).unwrap();
        let mut found = found.into_iter();
        for length in lengths {
            let rows: Vec<Vec<f32>> = found.by_ref().take(length).collect();
            let spans = &encoded[all.len()].spans;
            let ends = word_ends(beginning(texts[all.len()]));
            let cuts = LENGTHS.iter().map_while(|words| ends.get(words - 1));
            let mean = |cut: &usize| {
                let within = spans.partition_point(|span| span.end <= *cut).min(length);
                let tokens = &rows[SKIPPED_TOKENS.min(within)..within];
                let sum = |i: usize| tokens.iter().map(|row| f64::from(row[i])).sum::<f64>();
                (0..rows[0].len())
                    .map(|i| (sum(i) / tokens.len() as f64) as f32)
                    .collect()
            };
            all.push(cuts.map(mean).collect());
        }
    }
    all
}

/// The probe fitted to these texts: for each class a regression of it against people. Both count the same, and so does each
/// of their groups, and each document of a group.
fn fit(texts: &[(&Text, &Vec<f32>)], model: &CalibratedModel) -> Probe {
    let mut documents: BTreeMap<(usize, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    for (text, _) in texts {
        let of_group = documents.entry((text.class(), &text.group)).or_default();
        *of_group.entry(&text.document).or_default() += 1.0;
    }
    let groups = |class: usize| documents.keys().filter(|(of, _)| *of == class).count() as f64;
    let example = |(text, states): &(&Text, &Vec<f32>)| {
        let class = text.class();
        let of_group = &documents[&(class, text.group.as_str())];
        Example {
            figures: states.iter().copied().map(f64::from).collect(),
            author: class,
            weight: 1.0 / (groups(class) * of_group.len() as f64 * of_group[text.document.as_str()]),
        }
    };
    let examples: Vec<Example> = texts.iter().map(example).collect();
    let against_people = |class: usize| -> Vec<f32> {
        let of_both = examples
            .iter()
            .filter(|example| example.author == 0 || example.author == class);
        let of_both = of_both.map(|example| Example {
            author: usize::from(example.author == class),
            ..example.clone()
        });
        let weights = fit_linear(&of_both.collect::<Vec<_>>(), 2, RIDGE).unwrap();
        weights[1]
            .iter()
            .zip(&weights[0])
            .map(|(own, people)| (own - people) as f32)
            .collect()
    };
    let mut weights: [Vec<f32>; LOGITS] = std::array::from_fn(|class| against_people(class + 1));
    Probe {
        model: model.clone(),
        layer: LAYER,
        classes: CLASSES.map(str::to_owned).to_vec(),
        constants: std::array::from_fn(|class| weights[class].pop().unwrap()),
        weights,
        sha256: String::new(),
    }
}

/// The texts of the fit that are not left out, each with its states at the longest length that it reaches.
fn known<'a>(
    texts: &'a [Text],
    states: &'a [States],
    left_out: impl Fn(&Text) -> bool,
) -> Vec<(&'a Text, &'a Vec<f32>)> {
    let is_known = |text: &Text| text.is_open && is_for_fit(&text.document) && !left_out(text);
    let known = texts.iter().zip(states).filter(|(text, _)| is_known(text));
    known
        .filter_map(|(text, states)| Some((text, states.last()?)))
        .collect()
}

/// Texts of a data set and, where it has several, of a domain.
struct Source {
    name: String,
    /// The places of its texts.
    texts: Vec<usize>,
    domains: BTreeSet<String>,
    documents: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Source {
    /// Whether a probe that reads this source must not know a text: it is of a domain, a model or a document of the source.
    fn leaves_out(&self, text: &Text) -> bool {
        self.domains.contains(&text.domain)
            || self.models.contains(&text.label)
            || self.documents.contains(&text.document)
    }
}

fn sources(texts: &[Text]) -> Vec<Source> {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (i, text) in texts.iter().enumerate() {
        if let Some(source) = &text.source {
            let name = if source == "detectrl" {
                format!("detectrl {}", text.domain)
            } else {
                source.clone()
            };
            places.entry(name).or_default().push(i);
        }
    }
    let source = |(name, own): (String, Vec<usize>)| {
        let set = |of: &dyn Fn(&Text) -> &String| own.iter().map(|&i| of(&texts[i]).clone()).collect::<BTreeSet<_>>();
        let mut models = set(&|text| &text.label);
        models.remove(HUMAN);
        Source {
            domains: set(&|text| &text.domain),
            documents: set(&|text| &text.document),
            models,
            name,
            texts: own,
        }
    };
    places.into_iter().map(source).collect()
}

/// What was found of each source, for the tables of docs/VALIDITY.md.
fn write_sources(name: &str, sources: &[Value]) {
    let lines: Vec<String> = sources.iter().map(Value::to_string).collect();
    let json = format!("{{\"words\":{WORDS:?},\"sources\":[\n{}\n]}}\n", lines.join(",\n"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/stats/tests/validity");
    std::fs::write(folder.join(name), json).unwrap();
}

/// A logit as calibrations keep it.
fn kept(logit: f64) -> f64 {
    (logit * 100.0).round() / 100.0
}

/// The logits of a text.
fn logits(probe: &Probe, states: &[f32]) -> [f64; LOGITS] {
    std::array::from_fn(|class| {
        let products = probe.weights[class].iter().zip(states);
        let sum: f64 = products.map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
        sum + f64::from(probe.constants[class])
    })
}

#[test]
#[ignore = "needs the texts that calibration/make gathers, in the folder VALIDITY_TEXTS"]
fn probe() {
    let texts = texts();
    let states = states(&texts);
    let model = &Probe::built_in().model;
    let all = known(&texts, &states, |_| false);
    let built_in = fit(&all, model);
    println!("{} texts in the fit", all.len());

    let mut left_out = Vec::new();
    for source in sources(&texts) {
        let known = known(&texts, &states, |text| source.leaves_out(text));
        let probe = fit(&known, model);
        println!("{}: {} texts in the fit", source.name, known.len());
        let mut rows = Vec::new();
        for i in source.texts {
            let at = |words: &usize| {
                let states = states[i].get(LENGTHS.iter().position(|length| length == words)?)?;
                Some(kept(logits(&probe, states)[0]))
            };
            let scores: Vec<Option<f64>> = WORDS.iter().map(at).collect();
            rows.push(json!([texts[i].label, texts[i].document, scores]));
        }
        left_out.push(json!({"source": source.name, "texts": rows}));
    }
    if is_update() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::write(root.join("calibration/probe.json"), built_in.to_json()).unwrap();
        write_sources("left-out.json", &left_out);
    } else {
        let kept = Probe::built_in();
        let near = |a: &f32, b: &f32| (a - b).abs() < 1e-3;
        let fitted = built_in.weights.iter().flatten().chain(&built_in.constants);
        assert!(
            fitted
                .zip(kept.weights.iter().flatten().chain(&kept.constants))
                .all(|(a, b)| near(a, b))
        );
    }
}

/// The scoring pass keeps three numbers a token and no state. Their means are the logits of the mean states.
#[test]
fn the_pass_gives_the_logits_of_the_mean_states() {
    let path = common::model_file(READER);
    let model = LanguageModel::load(READER, &path, &Device::Cpu, u64::MAX)
        .unwrap()
        .without_chat();
    let probe = Probe::built_in();
    let letter = include_str!("../../../samples/letter.txt");
    let short =
        "Nobody had told the ferryman, so he waited until dark with the lamp lit, and rowed home alone across the bay.";
    let scoring = Scoring::at(vec![1.0]).with_probe_of(&probe.model);
    for (text, states) in [letter, short].into_iter().zip(read_states(&model, &[letter, short])) {
        let scores = score(&model, beginning(text), &scoring).unwrap();
        let features = text_features(beginning(text), &scores, &members(&SamplingFamily::Deployed));
        assert!(!states.is_empty() && features.len() == states.len());
        for (features, states) in features.iter().zip(&states) {
            for (found, expected) in features.probe.unwrap().iter().zip(logits(probe, states)) {
                assert!((found - expected).abs() < 0.02, "{found} {expected}");
            }
        }
    }
    // Another model's states are not read.
    let other = CalibratedModel {
        sha256: String::new(),
        ..probe.model.clone()
    };
    let unread = score(&model, short, &Scoring::at(vec![1.0]).with_probe_of(&other)).unwrap();
    assert!(unread.probed.is_empty());
}
