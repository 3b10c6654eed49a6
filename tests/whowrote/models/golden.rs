//! Every architecture is held to per-token figures of the reference implementation (transformers, float32).

use crate::common;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};
use serde::Deserialize;
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Mutex, MutexGuard};
use whowrote::model::LanguageModel;
use whowrote::scoring::{Scoring, score};

/// One model in memory at a time: the largest takes 2.5 GB.
static TURN: Mutex<()> = Mutex::new(());

fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

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
    let _turn = turn();
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

#[test]
fn smollm2_left_packed_equals_the_reference() {
    let _turn = turn();
    let name = "smollm2-135m-instruct";
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, 0).unwrap();
    check(&model, &golden("smollm2"));
}

/// The same figures from a Hugging Face folder of the same weights, in turn: a folder is up to 2.5 GB.
#[test]
fn safetensors_folders_equal_the_reference() {
    let _turn = turn();
    for (name, file) in [
        ("smollm2-135m-instruct", "smollm2"),
        ("gemma-3-270m", "gemma3"),
        ("qwen2.5-coder-0.5b-instruct", "qwen05"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write_as_folder(&common::model_file(name), folder.path());
        let model = LanguageModel::load(name, folder.path(), &Device::Cpu, u64::MAX).unwrap();
        check(&model, &golden(file));
    }
}

/// Writes a GGUF model as a Hugging Face folder, by candle's reader: weights unpacked to f32, a file a layer so that
/// one layer is in memory at a time, and the same vocabulary.
fn write_as_folder(gguf: &Path, folder: &Path) {
    let mut file = std::fs::File::open(gguf).unwrap();
    let content = Content::read(&mut file).unwrap();
    let family = content.metadata["general.architecture"].to_string().unwrap().clone();
    let mut shards: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in content.tensor_infos.keys() {
        let shard = name.split('.').take(2).collect::<Vec<_>>().join("-");
        shards.entry(shard).or_default().push(name);
    }
    let heads = |key: &str| integer(&content, &format!("{family}.attention.{key}"));
    for (shard, names) in &shards {
        let mut tensors = HashMap::new();
        for name in names {
            let tensor = content.tensor(&mut file, name, &Device::Cpu).unwrap();
            let mut tensor = tensor.dequantize(&Device::Cpu).unwrap();
            if family == "gemma3" && name.contains("norm") {
                tensor = (tensor - 1.0).unwrap();
            }
            if family == "llama" && name.ends_with("attn_q.weight") {
                tensor = in_order(&tensor, heads("head_count"));
            }
            if family == "llama" && name.ends_with("attn_k.weight") {
                tensor = in_order(&tensor, heads("head_count_kv"));
            }
            tensors.insert(hub_name(name, &family), tensor);
        }
        candle_core::safetensors::save(&tensors, folder.join(format!("{shard}.safetensors"))).unwrap();
    }
    let config = config(&content, &family);
    std::fs::write(folder.join("config.json"), config.to_string()).unwrap();
    let tokenizer = tokenizer(&content, &family);
    std::fs::write(folder.join("tokenizer.json"), tokenizer.to_string()).unwrap();
}

fn integer(content: &Content, key: &str) -> usize {
    content.metadata[key].to_u32().unwrap() as usize
}

/// GGUF holds the rows of a llama head as (pair, half), the hub as (half, pair).
fn in_order(tensor: &Tensor, heads: usize) -> Tensor {
    let (rows, columns) = tensor.dims2().unwrap();
    let tensor = tensor.reshape((heads, rows / heads / 2, 2, columns)).unwrap();
    tensor.transpose(1, 2).unwrap().reshape((rows, columns)).unwrap()
}

fn hub_name(name: &str, family: &str) -> String {
    match name {
        "token_embd.weight" => return "model.embed_tokens.weight".into(),
        "output.weight" => return "lm_head.weight".into(),
        "output_norm.weight" => return "model.norm.weight".into(),
        _ => {}
    }
    let (layer, part) = name.strip_prefix("blk.").unwrap().split_once('.').unwrap();
    let (part, kind) = part.rsplit_once('.').unwrap();
    let part = match part {
        "attn_norm" => "input_layernorm",
        "post_attention_norm" => "post_attention_layernorm",
        "ffn_norm" if family == "gemma3" => "pre_feedforward_layernorm",
        "ffn_norm" => "post_attention_layernorm",
        "post_ffw_norm" => "post_feedforward_layernorm",
        "attn_q" => "self_attn.q_proj",
        "attn_k" => "self_attn.k_proj",
        "attn_v" => "self_attn.v_proj",
        "attn_output" => "self_attn.o_proj",
        "attn_q_norm" => "self_attn.q_norm",
        "attn_k_norm" => "self_attn.k_norm",
        "ffn_gate" => "mlp.gate_proj",
        "ffn_up" => "mlp.up_proj",
        "ffn_down" => "mlp.down_proj",
        other => panic!("{other}"),
    };
    format!("model.layers.{layer}.{part}.{kind}")
}

fn config(content: &Content, family: &str) -> serde_json::Value {
    let number = |key: &str| integer(content, &format!("{family}.{key}"));
    let float = |key: &str| f64::from(content.metadata[&format!("{family}.{key}")].to_f32().unwrap());
    let (hidden, heads) = (number("embedding_length"), number("attention.head_count"));
    let head_dim = content.metadata.get(&format!("{family}.attention.key_length"));
    let head_dim = head_dim.map_or(hidden / heads, |v| v.to_u32().unwrap() as usize);
    let mut config = json!({
        "vocab_size": content.tensor_infos["token_embd.weight"].shape.dims()[0],
        "hidden_size": hidden,
        "intermediate_size": number("feed_forward_length"),
        "num_hidden_layers": number("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": number("attention.head_count_kv"),
        "head_dim": head_dim,
        "max_position_embeddings": number("context_length"),
        "rms_norm_eps": float("attention.layer_norm_rms_epsilon"),
        "rope_theta": float("rope.freq_base"),
        "tie_word_embeddings": !content.tensor_infos.contains_key("output.weight"),
        "hidden_act": "silu",
    });
    let extra = match family {
        "llama" => json!({"model_type": "llama"}),
        "qwen2" => json!({"model_type": "qwen2", "sliding_window": 32768, "max_window_layers": number("block_count"),
            "use_sliding_window": false}),
        "gemma3" => json!({"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh",
            "attention_bias": false, "query_pre_attn_scalar": head_dim, "rope_local_base_freq": 10_000.0,
            "sliding_window": number("attention.sliding_window"), "_sliding_window_pattern": 6,
            "attn_logit_softcapping": null, "final_logit_softcapping": null}),
        other => panic!("{other}"),
    };
    for (key, value) in extra.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// The tokeniser as the hub writes it: the pre-tokenisers of SmolLM2 and Qwen 2.5, Gemma's normaliser.
fn tokenizer(content: &Content, family: &str) -> serde_json::Value {
    let strings = |key: &str| -> Vec<String> {
        let items = content.metadata[key].to_vec().unwrap();
        items.iter().map(|s| s.to_string().unwrap().clone()).collect()
    };
    let tokens = strings("tokenizer.ggml.tokens");
    let kind = |value: &Value| match value {
        Value::I32(kind) => *kind,
        Value::U32(kind) => *kind as i32,
        other => panic!("{other:?}"),
    };
    let kinds = content.metadata["tokenizer.ggml.token_type"].to_vec().unwrap();
    let kinds: Vec<i32> = kinds.iter().map(kind).collect();
    // Padding beyond the real vocabulary is in no tokenizer.json.
    let vocab: serde_json::Map<String, serde_json::Value> = tokens
        .iter()
        .zip(&kinds)
        .enumerate()
        .filter(|(_, (_, kind))| **kind != 5)
        .map(|(id, (token, _))| (token.clone(), id.into()))
        .collect();
    let added: Vec<_> = tokens
        .iter()
        .zip(&kinds)
        .enumerate()
        .filter(|(_, (_, kind))| matches!(kind, 3 | 4))
        .map(|(id, (token, kind))| {
            json!({"id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": *kind == 3})
        })
        .collect();
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": family == "llama"});
    let split = |pattern: &str| json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
    let (normalizer, pre, merges) = match family {
        "llama" => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (
                serde_json::Value::Null,
                json!([digits, byte_level]),
                strings("tokenizer.ggml.merges"),
            )
        }
        "qwen2" => {
            let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
            (
                json!({"type": "NFC"}),
                json!([split(pattern), byte_level]),
                strings("tokenizer.ggml.merges"),
            )
        }
        _ => (
            json!({"type": "Replace", "pattern": {"String": " "}, "content": "▁"}),
            json!([{"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": false}]),
            Vec::new(),
        ),
    };
    let merges: Vec<[String; 2]> = match family {
        "gemma3" => sentencepiece_merges(content, &tokens, &kinds),
        _ => merges
            .iter()
            .map(|merge| {
                merge
                    .split_once(' ')
                    .map(|(a, b)| [a.to_owned(), b.to_owned()])
                    .unwrap()
            })
            .collect(),
    };
    let post = match family {
        "gemma3" => json!({"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}}}),
        _ => byte_level.clone(),
    };
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": pre}, "post_processor": post, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": if family == "gemma3" { Some("<unk>") } else { None },
            "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": family == "gemma3",
            "byte_fallback": family == "gemma3", "ignore_merges": false, "vocab": vocab, "merges": merges},
    })
}

/// Merges as the hub's converter makes them: every way to make a piece of two, best score first.
fn sentencepiece_merges(content: &Content, tokens: &[String], kinds: &[i32]) -> Vec<[String; 2]> {
    let scores = content.metadata["tokenizer.ggml.scores"].to_vec().unwrap();
    let scores: Vec<f32> = scores.iter().map(|s| s.to_f32().unwrap()).collect();
    let known: HashMap<&str, usize> = tokens.iter().enumerate().map(|(id, t)| (t.as_str(), id)).collect();
    let mut merges = Vec::new();
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| kinds[*id] == 1) {
        for (at, _) in token.char_indices().skip(1) {
            let (a, b) = token.split_at(at);
            if known.contains_key(a) && known.contains_key(b) {
                merges.push((scores[id], [a.to_owned(), b.to_owned()]));
            }
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0));
    merges.into_iter().map(|(_, pair)| pair).collect()
}
