//! The probe that is compiled into the program, fitted anew. It needs texts that are not part of the project
//! (`calibration/make WORK DATA` gathers them), so it runs only on demand:
//!
//!     VALIDITY_TEXTS=WORK cargo test --release --test whowrote probe -- --ignored --nocapture
//!
//! With UPDATE_VALIDITY=1 beside it, the probe goes into `calibration/probe.json`, and what probes make of texts whose
//! sources they were not fitted to into `crates/stats/tests/validity/left-out.json`.

use crate::common;
use crate::common::held_out::{Defaults, cut};
use candle_core::Device;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use whowrote::model::LanguageModel;
use whowrote::scoring::scaled_states;
use whowrote::stats::calibration::{
    ANOTHER_MODEL, CalibratedModel, Calibration, HUMAN, KnownText, Place, built_in, is_for_fit,
};
use whowrote::stats::conformal_scores::{LENGTHS, PIECE, beginning, word_ends};
use whowrote::stats::logistic_regression::{Example, fit_linear};
use whowrote::stats::probe::{LOGITS, Probe, SKIPPED_TOKENS};
use whowrote::stats::verdict::DomainCheck;

const READER: &str = "gemma-3-270m";
const CLASSES: [&str; LOGITS + 1] = [HUMAN, ANOTHER_MODEL, "smollm2-135m-instruct", READER];
/// 5/8 of the depth of 18. Nearer to either end, states tell authors apart less well.
const LAYER: usize = 11;
/// Between 0.02 and 0.2 the figures of texts from other sources hardly change.
const RIDGE: f64 = 0.05;
/// Models that continue texts and follow no instructions. They read like people, and the probe is not fitted to them.
const BASE: [&str; 1] = ["davinci"];
/// Where texts from left-out sources are read; the fit takes each text at the longest length that it reaches.
const WORDS: [usize; 3] = [40, 80, 150];
/// Of how many parts the fit leaves out one, to read it by what it learnt from the others.
const FOLDS: usize = 5;
/// Tokens in one pass, and texts that are read together.
const PACK: usize = 1024;
const READ: usize = 256;
/// The bytes of a text's name in the file of states.
const KEY: usize = 8;

/// A text whose author is known.
struct Text {
    id: String,
    document: String,
    label: String,
    /// The genre, the model or the way of sampling.
    group: String,
    domain: String,
    /// The data set; none for texts of the calibrations.
    source: Option<String>,
    text: String,
}

impl Text {
    fn class(&self) -> Option<usize> {
        match CLASSES.iter().position(|class| *class == self.label) {
            None if BASE.contains(&self.label.as_str()) => None,
            known => Some(known.unwrap_or(1)),
        }
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// People's texts of the calibration, texts of the benchmarks, and those texts of the default models' calibrations that are
/// part of the fit.
fn texts(folder: &Path) -> Vec<Text> {
    let string = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let people = lines(&folder.join("people.jsonl"));
    let people = people
        .iter()
        .filter(|line| line["part"] == "calibrate")
        .map(|line| Text {
            id: string(&line["id"]),
            document: string(&line["document"]),
            label: HUMAN.to_owned(),
            group: string(&line["genre"]),
            domain: string(&line["genre"]),
            source: None,
            text: string(&line["text"]),
        });
    let others = lines(&folder.join("other-models.jsonl"));
    let others = others.iter().map(|line| {
        let (label, domain, source) = (string(&line["label"]), string(&line["domain"]), string(&line["source"]));
        Text {
            id: string(&line["id"]),
            document: string(&line["document"]),
            group: if label == HUMAN {
                format!("{domain} ({source})")
            } else {
                label.clone()
            },
            label,
            domain,
            source: Some(source),
            text: string(&line["text"]),
        }
    });
    let own = CLASSES[2..].iter().flat_map(|model| {
        let lines = lines(&folder.join(format!("{model}.probe.jsonl"))).into_iter();
        lines
            .filter(|line| line["copied"].as_f64().unwrap_or(0.0) <= 0.2)
            .filter(|line| is_for_fit(line["prompt"]["id"].as_str().unwrap()))
            .map(|line| Text {
                id: string(&line["id"]),
                document: string(&line["prompt"]["id"]),
                label: (*model).to_owned(),
                group: string(&line["decoding"]),
                domain: "prompts".to_owned(),
                source: None,
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
fn states(folder: &Path, texts: &[Text]) -> Vec<States> {
    let path = common::model_file(READER);
    let model = LanguageModel::load(READER, &path, &Device::Cpu, u64::MAX)
        .unwrap()
        .without_chat();
    let width = model.decoder().architecture().hidden;
    let kept = folder.join("probe-states.f32");
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
    let new: Vec<&str> = texts.iter().map(|text| text.text.as_str()).collect();
    let new: Vec<&str> = new.into_iter().filter(|text| !known.contains_key(&key(text))).collect();
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

/// The probe fitted to these texts. Each class counts the same, and so does each of its groups, and each document of a
/// group.
fn fit(texts: &[(&Text, &Vec<f32>)], model: &CalibratedModel) -> Probe {
    let mut documents: BTreeMap<(usize, &str), BTreeMap<&str, f64>> = BTreeMap::new();
    for (text, _) in texts {
        let of_group = documents.entry((text.class().unwrap(), &text.group)).or_default();
        *of_group.entry(&text.document).or_default() += 1.0;
    }
    let groups = |class: usize| documents.keys().filter(|(of, _)| *of == class).count() as f64;
    let example = |(text, states): &(&Text, &Vec<f32>)| {
        let class = text.class().unwrap();
        let of_group = &documents[&(class, text.group.as_str())];
        Example {
            figures: states.iter().copied().map(f64::from).collect(),
            author: class,
            weight: 1.0 / (groups(class) * of_group.len() as f64 * of_group[text.document.as_str()]),
        }
    };
    let examples: Vec<Example> = texts.iter().map(example).collect();
    let weights = fit_linear(&examples, CLASSES.len(), RIDGE).unwrap();
    let against_people = |class: usize, i: usize| (weights[class + 1][i] - weights[0][i]) as f32;
    let width = weights[0].len() - 1;
    Probe {
        model: model.clone(),
        layer: LAYER,
        classes: CLASSES.map(str::to_owned).to_vec(),
        constants: std::array::from_fn(|class| against_people(class, width)),
        weights: std::array::from_fn(|class| (0..width).map(|i| against_people(class, i)).collect()),
        sha256: String::new(),
    }
}

/// The texts of the fit that are not left out, each with its states at the longest length that it reaches.
fn known<'a>(
    texts: &'a [Text],
    states: &'a [States],
    left_out: impl Fn(&Text) -> bool,
) -> Vec<(&'a Text, &'a Vec<f32>)> {
    let is_known = |text: &Text| text.class().is_some() && is_for_fit(&text.document) && !left_out(text);
    let known = texts.iter().zip(states).filter(|(text, _)| is_known(text));
    known
        .filter_map(|(text, states)| Some((text, states.last()?)))
        .collect()
}

/// The folder of the texts.
fn folder() -> PathBuf {
    PathBuf::from(std::env::var("VALIDITY_TEXTS").expect("VALIDITY_TEXTS names the folder of the texts"))
}

fn is_update() -> bool {
    std::env::var_os("UPDATE_VALIDITY").is_some()
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

fn fold(document: &str) -> usize {
    usize::from(Sha256::digest(document)[0]) % FOLDS
}

/// For each fold the probe that is fitted to the others, and last the one that is fitted to all.
fn probes_by_fold(texts: &[Text], states: &[States], left_out: impl Fn(&Text) -> bool) -> Vec<Probe> {
    let model = &Probe::built_in().model;
    let of_fold = |fold_out: usize| {
        let is_left_out = |text: &Text| left_out(text) || fold(&text.document) == fold_out;
        fit(&known(texts, states, is_left_out), model)
    };
    (0..=FOLDS).map(of_fold).collect()
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
    let texts = texts(&folder());
    let states = states(&folder(), &texts);
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

/// What the probe makes of the texts that it was fitted to looks better than what it makes of others, and a score that is
/// fitted to these logits would trust them too much. So the calibrations have, for these texts, the logits of probes that
/// were fitted to the other documents.
#[test]
#[ignore = "needs the texts that calibration/make gathers, in the folder VALIDITY_TEXTS"]
fn logits_of_the_fit() {
    let texts = texts(&folder());
    let states = states(&folder(), &texts);
    let model = &Probe::built_in().model;
    let probes = probes_by_fold(&texts, &states, |_| false);
    let mut of_fit: HashMap<(&str, &str), Vec<[f64; LOGITS]>> = HashMap::new();
    for (text, states) in texts.iter().zip(&states) {
        if let Some(class) = text.class().filter(|_| is_for_fit(&text.document)) {
            let probe = &probes[fold(&text.document)];
            let logits = states.iter().map(|states| logits(probe, states)).collect();
            of_fit.insert((CLASSES[class], &text.id), logits);
        }
    }
    for author in CLASSES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("calibration/{author}.json"));
        let mut calibration = Calibration::from_file(&path, author).unwrap();
        let column = calibration.models.iter().position(|known| known == model).unwrap();
        let mut replaced = 0;
        for text in calibration.groups.iter_mut().flat_map(|group| &mut group.texts) {
            if let Some(logits) = of_fit.get(&(author, text.id.as_str())) {
                for (features, logits) in text.features.iter_mut().zip(logits) {
                    features[column].probe = Some(logits.map(kept));
                }
                replaced += 1;
            }
        }
        println!("{author}: logits of {replaced} texts replaced");
        if is_update() {
            std::fs::write(&path, calibration.to_json()).unwrap();
        }
    }
}

/// What the program would decide of texts by models that it does not know, in domains that it does not know: the probe and the
/// score are fitted without the source's domain, models and documents, and the source's models are no groups of "another
/// model".
#[test]
#[ignore = "needs the texts that calibration/make gathers, in the folder VALIDITY_TEXTS"]
fn verdicts_on_sources_left_out() {
    let texts = texts(&folder());
    let states = states(&folder(), &texts);
    let by_id: HashMap<(&str, &str), usize> = texts
        .iter()
        .enumerate()
        .filter_map(|(i, text)| Some(((CLASSES[text.class()?], text.id.as_str()), i)))
        .collect();
    let column = |calibration: &Calibration| {
        let model = &Probe::built_in().model;
        calibration.models.iter().position(|known| known == model).unwrap()
    };
    let known: HashMap<&str, &KnownText> = built_in()
        .iter()
        .filter(|calibration| calibration.author == ANOTHER_MODEL)
        .flat_map(|calibration| &calibration.groups)
        .flat_map(|group| &group.texts)
        .map(|text| (text.id.as_str(), text))
        .collect();
    let mut found = Vec::new();
    for source in sources(&texts) {
        let probes = probes_by_fold(&texts, &states, |text| source.leaves_out(text));
        let probed = |text: &KnownText, i: Option<usize>, column: usize, probe: &Probe| {
            let mut text = text.clone();
            for (class, features) in text.features.iter_mut().enumerate() {
                let states = i.and_then(|i| states[i].get(class));
                features[column].probe = states.map(|states| logits(probe, states).map(kept));
            }
            text
        };
        let mut calibrations = built_in().to_vec();
        for calibration in &mut calibrations {
            let (author, column) = (calibration.author.clone(), column(calibration));
            if author == ANOTHER_MODEL {
                calibration.groups.retain(|group| !source.models.contains(&group.name));
            }
            for text in calibration.groups.iter_mut().flat_map(|group| &mut group.texts) {
                let i = by_id.get(&(author.as_str(), text.id.as_str())).copied();
                let is_of_fit = is_for_fit(&text.document);
                let probe = if is_of_fit { fold(&text.document) } else { FOLDS };
                *text = probed(text, i, column, &probes[probe]);
                if is_of_fit && i.is_some_and(|i| source.leaves_out(&texts[i])) {
                    // It reaches no length, so it is not in the fit.
                    text.features.clear();
                }
            }
        }
        let another = calibrations
            .iter()
            .find(|calibration| calibration.author == ANOTHER_MODEL);
        let column = column(another.unwrap());
        let defaults = Defaults::new(calibrations);
        let mut rows = Vec::new();
        for &i in &source.texts {
            let Some(text) = known.get(texts[i].id.as_str()) else {
                continue;
            };
            let text = probed(text, Some(i), column, &probes[FOLDS]);
            let at = |words: &usize| {
                let place = if *words < PIECE { Place::Whole } else { Place::Beginning };
                let decision = defaults.decide_piece(cut(&text, *words)?, place, 1);
                let p_value = |author: &str| {
                    let mut hypotheses = decision.hypotheses.iter();
                    hypotheses.find(|hypothesis| hypothesis.author == author)?.p_value
                };
                Some(json!([p_value(HUMAN), p_value(ANOTHER_MODEL), decision.authors]))
            };
            let decisions: Vec<Option<Value>> = WORDS.iter().map(at).collect();
            rows.push(json!([texts[i].label, texts[i].document, decisions]));
        }
        println!("{}: {} texts judged", source.name, rows.len());
        found.push(json!({"source": source.name, "texts": rows}));
    }
    if is_update() {
        write_sources("left-out-verdicts.json", &found);
    }
}
