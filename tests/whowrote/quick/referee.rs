//! The decoder against an independent implementation: candle-transformers' own models, on the same weights.

use crate::common::tiny::{ArchitectureFamily, FAMILIES, Tiny};
use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{gemma3, llama, mistral, qwen2, qwen3, smol::smollm3};
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::path::Path;
use whowrote::model::LanguageModel;
use whowrote::model::decoder::{Decoder, KvCache};

/// Both sum a few hundred f32 products in different orders; logits here are of the order of 5.
const TOLERANCE: f32 = 1e-4;

/// Lengths on both sides of the window of 8 and of the kernel's block of 64 queries.
const PREFIXES: [usize; 7] = [1, 2, 7, 8, 9, 24, 100];

fn ids(seed: u32, n: usize, vocab: usize) -> Vec<u32> {
    let mut state = seed;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % vocab as u32
        })
        .collect()
}

/// Logits of the last position of each row of ids, `(batch, vocab)`, by candle-transformers.
///
/// Two of its habits differ from the reference, transformers: its windows let a query see one key more (it hides
/// `j + window < i`, where transformers keeps `i - j < window`), so it is given the window less one; and its qwen2
/// applies the window even where `use_sliding_window` is false, so there the window is longer than the text. It is
/// run on whole prefixes only, because its masks for later passes hide nothing of the past.
fn referee(family: ArchitectureFamily, folder: &Path, config: &serde_json::Value, ids: &[u32], batch: usize) -> Tensor {
    let device = Device::Cpu;
    let mut tensors = HashMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            tensors.extend(candle_core::safetensors::load(path, &device).unwrap());
        }
    }
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &device);
    let mut config = config.clone();
    if let Some(window) = config["sliding_window"]
        .as_u64()
        .filter(|_| family != ArchitectureFamily::Qwen2)
    {
        config["sliding_window"] = (window - 1).into();
    }
    fn parse<T: DeserializeOwned>(config: &serde_json::Value) -> T {
        serde_json::from_value(config.clone()).unwrap()
    }
    let x = Tensor::new(ids, &device)
        .unwrap()
        .reshape((batch, ids.len() / batch))
        .unwrap();
    let logits = match family {
        ArchitectureFamily::Llama => {
            let config = parse::<llama::LlamaConfig>(&config).into_config(false);
            let mut cache = llama::Cache::new(false, DType::F32, &config, &device).unwrap();
            llama::Llama::load(weights, &config).unwrap().forward(&x, 0, &mut cache)
        }
        ArchitectureFamily::Mistral => mistral::Model::new(&parse(&config), weights).unwrap().forward(&x, 0),
        ArchitectureFamily::SmolLm3 => smollm3::ModelForCausalLM::new(&parse(&config), weights)
            .unwrap()
            .forward(&x, 0),
        ArchitectureFamily::Qwen2 => qwen2::ModelForCausalLM::new(&parse(&config), weights)
            .unwrap()
            .forward(&x, 0),
        ArchitectureFamily::Qwen3 => qwen3::ModelForCausalLM::new(&parse(&config), weights)
            .unwrap()
            .forward(&x, 0),
        ArchitectureFamily::Gemma3 => gemma3::Model::new(false, &parse(&config), weights)
            .unwrap()
            .forward(&x, 0),
    };
    logits.unwrap().reshape((batch, ())).unwrap()
}

pub fn ours(decoder: &Decoder, ids: &[u32], batch: usize, cache: Option<&mut KvCache>) -> Tensor {
    let hidden = decoder.forward(ids, batch, cache).unwrap();
    decoder.logits(&decoder.last(&hidden, batch).unwrap()).unwrap()
}

/// The greatest absolute difference.
pub fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let all = (a - b).unwrap().abs().unwrap().flatten_all().unwrap();
    let all = all.to_vec1::<f32>().unwrap();
    assert!(all.iter().all(|d| d.is_finite()));
    all.into_iter().fold(0.0, f32::max)
}

fn equals_the_referee(tiny: &Tiny, dtype: DType, shards: usize, what: &str) {
    let folder = tempfile::tempdir().unwrap();
    tiny.write_folder(folder.path(), dtype, shards);
    for memory in [u64::MAX, 0] {
        let model = LanguageModel::load("tiny", folder.path(), &Device::Cpu, memory).unwrap();
        let decoder = model.decoder();
        let mut worst = 0f32;
        let text = ids(7, 100, tiny.vocab);
        let mut cache = KvCache::default();
        for n in PREFIXES {
            let wanted = referee(tiny.family, folder.path(), &tiny.config, &text[..n], 1);
            worst = worst.max(difference(&ours(decoder, &text[..n], 1, None), &wanted));
            // The same prefix in pieces of growing length, each continuing the one before.
            let grown = ours(
                decoder,
                &text[cache.lengths().first().map_or(0, |&held| held)..n],
                1,
                Some(&mut cache),
            );
            worst = worst.max(difference(&grown, &wanted));
        }
        let two = [&text[..40], &ids(8, 40, tiny.vocab)].concat();
        let wanted = referee(tiny.family, folder.path(), &tiny.config, &two, 2);
        worst = worst.max(difference(&ours(decoder, &two, 2, None), &wanted));
        println!("{what} {:?} {dtype:?} memory {memory}: worst {worst:.1e}", tiny.family);
        assert!(worst < TOLERANCE, "{what} {:?} {dtype:?}: {worst}", tiny.family);
    }
}

#[test]
fn every_family_equals_candle_transformers() {
    for family in FAMILIES {
        equals_the_referee(&Tiny::new(family, 1), DType::F32, 1, "one file");
    }
}

#[test]
fn half_precision_and_shards_equal_candle_transformers() {
    for family in FAMILIES {
        for dtype in [DType::F16, DType::BF16] {
            equals_the_referee(&Tiny::with_vocab(family, 2, 512), dtype, 2, "two files");
        }
    }
}

#[test]
fn soft_caps_and_llama3_scaling_equal_candle_transformers() {
    let mut gemma = Tiny::new(ArchitectureFamily::Gemma3, 3);
    gemma.config["final_logit_softcapping"] = 3.0.into();
    gemma.config["attn_logit_softcapping"] = 2.0.into();
    equals_the_referee(&gemma, DType::F32, 1, "soft caps");
    let mut llama = Tiny::new(ArchitectureFamily::Llama, 4);
    llama.config["rope_scaling"] = serde_json::json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32});
    equals_the_referee(&llama, DType::F32, 1, "llama3 scaling");
}

/// Logits of a file and a folder of the same weights. GGUF keeps constants as f32, hence not bit for bit.
#[test]
fn a_gguf_file_equals_the_folder_of_the_same_weights() {
    for family in FAMILIES {
        let tiny = Tiny::new(family, 5);
        let folder = tempfile::tempdir().unwrap();
        tiny.write_folder(folder.path(), DType::F32, 1);
        let file = folder.path().join("tiny.gguf");
        tiny.write_gguf(&file, GgmlDType::F32);
        let load = |path: &Path, memory| LanguageModel::load("tiny", path, &Device::Cpu, memory).unwrap();
        let wanted = load(folder.path(), u64::MAX);
        let text = ids(9, 60, tiny.vocab);
        let wanted = ours(wanted.decoder(), &text, 1, None);
        for memory in [u64::MAX, 0] {
            let found = ours(load(&file, memory).decoder(), &text, 1, None);
            let worst = difference(&found, &wanted);
            println!("{family:?} file against folder: {worst:.1e}");
            assert!(worst < TOLERANCE, "{family:?}: {worst}");
        }
    }
}

#[test]
fn the_tokenisers_of_a_file_and_a_folder_are_the_same() {
    let tiny = Tiny::new(ArchitectureFamily::Llama, 6);
    let folder = tempfile::tempdir().unwrap();
    tiny.write_folder(folder.path(), DType::F32, 1);
    let file = folder.path().join("tiny.gguf");
    tiny.write_gguf(&file, GgmlDType::F32);
    let load = |path: &Path| LanguageModel::load("tiny", path, &Device::Cpu, u64::MAX).unwrap();
    let (from_folder, from_file) = (load(folder.path()), load(&file));
    assert_eq!(from_folder.tokenizer().context(), [0]);
    assert_eq!(from_file.tokenizer().context(), [0]);
    assert_eq!(from_folder.space_mask(), from_file.space_mask());
    for text in [
        "the thing and the other",
        "<bos> Äpfel\n\n\n the 12 🦀 <eos>",
        "",
        " \t ",
        "\0",
    ] {
        let (a, b) = (from_folder.tokenizer(), from_file.tokenizer());
        assert_eq!(a.encode(text).unwrap(), b.encode(text).unwrap());
        assert!(a.encode(text).unwrap().ids.iter().all(|&id| id > 1));
    }
}
