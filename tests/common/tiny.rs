// Tiny random models of every covered family, written as a Hugging Face folder or as a GGUF file.
//
// It knows nothing of the crate under test, so that unit tests and the example of the library can include this file.

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Distribution, Normal};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The covered families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the families say it")]
pub enum ArchitectureFamily {
    Llama,
    Mistral,
    SmolLm3,
    Qwen2,
    Qwen3,
    Gemma3,
}

/// Every [`ArchitectureFamily`].
pub const FAMILIES: [ArchitectureFamily; 6] = [
    ArchitectureFamily::Llama,
    ArchitectureFamily::Mistral,
    ArchitectureFamily::SmolLm3,
    ArchitectureFamily::Qwen2,
    ArchitectureFamily::Qwen3,
    ArchitectureFamily::Gemma3,
];

pub const HIDDEN: usize = 64;
pub const INTERMEDIATE: usize = 96;
pub const HEADS: usize = 4;
/// A query of a layer with a window sees this many tokens, itself included; the tests' texts are longer.
pub const WINDOW: usize = 8;
pub const CONTEXT: usize = 256;

/// A model's weights under their hub names, and its `config.json`.
pub struct Tiny {
    pub family: ArchitectureFamily,
    pub config: serde_json::Value,
    pub tensors: BTreeMap<String, Tensor>,
    pub vocab: usize,
}

/// Two tiny models in folders, which last as long as the process.
pub fn two_models() -> &'static [PathBuf; 2] {
    static MODELS: OnceLock<(tempfile::TempDir, [PathBuf; 2])> = OnceLock::new();
    let (_, models) = MODELS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let models = [
            ("one", ArchitectureFamily::Llama, 1),
            ("two", ArchitectureFamily::Gemma3, 2),
        ]
        .map(|(name, family, seed)| {
            let path = folder.path().join(name);
            Tiny::new(family, seed).write_folder(&path, DType::F32, 1);
            path
        });
        (folder, models)
    });
    models
}

impl ArchitectureFamily {
    pub fn layers(self) -> usize {
        match self {
            // The fourth layer of SmolLM3 has no positions, the sixth of Gemma 3 no window.
            Self::SmolLm3 => 5,
            Self::Gemma3 => 7,
            _ => 2,
        }
    }

    /// Where the width of a head may differ from the width over the heads, it does.
    pub fn head_dim(self) -> usize {
        match self {
            Self::Mistral | Self::Qwen3 | Self::Gemma3 => 32,
            _ => HIDDEN / HEADS,
        }
    }

    /// One for Gemma, as its small models have: candle-transformers' gemma3 puts values into its cache that are
    /// contiguous with one head only, and its cache refuses others.
    pub fn kv_heads(self) -> usize {
        if self == Self::Gemma3 { 1 } else { 2 }
    }

    fn tied(self) -> bool {
        matches!(self, Self::SmolLm3 | Self::Qwen3 | Self::Gemma3)
    }

    fn head_norms(self) -> bool {
        matches!(self, Self::Qwen3 | Self::Gemma3)
    }

    fn gguf_name(self) -> &'static str {
        match self {
            Self::Llama | Self::Mistral => "llama",
            Self::SmolLm3 => "smollm3",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Gemma3 => "gemma3",
        }
    }

    fn config(self, vocab: usize) -> serde_json::Value {
        let mut config = json!({
            "vocab_size": vocab,
            "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE,
            "num_hidden_layers": self.layers(),
            "num_attention_heads": HEADS,
            "num_key_value_heads": self.kv_heads(),
            "head_dim": self.head_dim(),
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "tie_word_embeddings": self.tied(),
            "hidden_act": "silu",
            "attention_bias": false,
        });
        let extra = match self {
            Self::Llama => json!({"model_type": "llama", "rope_theta": 500_000.0}),
            Self::Mistral => json!({"model_type": "mistral", "sliding_window": WINDOW}),
            Self::SmolLm3 => json!({"model_type": "smollm3", "no_rope_layer_interval": 4}),
            Self::Qwen2 => json!({"model_type": "qwen2", "sliding_window": 4096, "max_window_layers": 2,
                "use_sliding_window": false}),
            Self::Qwen3 => json!({"model_type": "qwen3", "sliding_window": null, "max_window_layers": 2,
                "use_sliding_window": false}),
            Self::Gemma3 => json!({"model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh",
                "rope_theta": 1_000_000.0, "rope_local_base_freq": 10_000.0, "query_pre_attn_scalar": 32,
                "sliding_window": WINDOW, "sliding_window_pattern": 6,
                "final_logit_softcapping": null, "attn_logit_softcapping": null}),
        };
        if let (Some(config), serde_json::Value::Object(extra)) = (config.as_object_mut(), extra) {
            config.extend(extra);
        }
        config
    }
}

impl Tiny {
    /// Random weights with as many embedding rows as the tokeniser has tokens.
    pub fn new(family: ArchitectureFamily, seed: u64) -> Self {
        Self::with_vocab(family, seed, pieces().len())
    }

    /// As [`Self::new`], with embeddings padded to `vocab` rows.
    pub fn with_vocab(family: ArchitectureFamily, seed: u64, vocab: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut tensors = BTreeMap::new();
        let mut add = |name: String, shape: &[usize], mean: f32, deviation: f32| {
            let normal = Normal::new(mean, deviation).unwrap();
            let numbers: Vec<f32> = (0..shape.iter().product()).map(|_| normal.sample(&mut rng)).collect();
            tensors.insert(name, Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap());
        };
        let spread = |columns: usize| 1.5 / (columns as f32).sqrt();
        // The hub stores Gemma's norms less one.
        let norm = if family == ArchitectureFamily::Gemma3 { 0.0 } else { 1.0 };
        add("model.embed_tokens.weight".into(), &[vocab, HIDDEN], 0.0, 0.3);
        if !family.tied() {
            add("lm_head.weight".into(), &[vocab, HIDDEN], 0.0, spread(HIDDEN));
        }
        add("model.norm.weight".into(), &[HIDDEN], norm, 0.2);
        let head_dim = family.head_dim();
        for i in 0..family.layers() {
            let mut norms = vec!["input_layernorm", "post_attention_layernorm"];
            if family == ArchitectureFamily::Gemma3 {
                norms.extend(["pre_feedforward_layernorm", "post_feedforward_layernorm"]);
            }
            for part in norms {
                add(format!("model.layers.{i}.{part}.weight"), &[HIDDEN], norm, 0.2);
            }
            for (part, rows, columns) in [
                ("self_attn.q_proj", HEADS * head_dim, HIDDEN),
                ("self_attn.k_proj", family.kv_heads() * head_dim, HIDDEN),
                ("self_attn.v_proj", family.kv_heads() * head_dim, HIDDEN),
                ("self_attn.o_proj", HIDDEN, HEADS * head_dim),
                ("mlp.gate_proj", INTERMEDIATE, HIDDEN),
                ("mlp.up_proj", INTERMEDIATE, HIDDEN),
                ("mlp.down_proj", HIDDEN, INTERMEDIATE),
            ] {
                add(
                    format!("model.layers.{i}.{part}.weight"),
                    &[rows, columns],
                    0.0,
                    spread(columns),
                );
                let qkv = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"].contains(&part);
                if family == ArchitectureFamily::Qwen2 && qkv {
                    add(format!("model.layers.{i}.{part}.bias"), &[rows], 0.0, 0.5);
                }
            }
            if family.head_norms() {
                for part in ["q_norm", "k_norm"] {
                    add(
                        format!("model.layers.{i}.self_attn.{part}.weight"),
                        &[head_dim],
                        norm,
                        0.2,
                    );
                }
            }
        }
        Self {
            family,
            config: family.config(vocab),
            tensors,
            vocab,
        }
    }

    /// Writes `config.json`, `tokenizer.json` and the weights, in this number of safetensors files.
    pub fn write_folder(&self, folder: &Path, dtype: DType, shards: usize) {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join("config.json"), self.config.to_string()).unwrap();
        std::fs::write(folder.join("tokenizer.json"), tokenizer_json().to_string()).unwrap();
        for shard in 0..shards {
            let part: HashMap<String, Tensor> = self
                .tensors
                .iter()
                .skip(shard)
                .step_by(shards)
                .map(|(name, tensor)| (name.clone(), tensor.to_dtype(dtype).unwrap()))
                .collect();
            let name = match shards {
                1 => "model.safetensors".to_owned(),
                _ => format!("model-{:05}-of-{shards:05}.safetensors", shard + 1),
            };
            candle_core::safetensors::save(&part, folder.join(name)).unwrap();
        }
    }

    /// Writes a GGUF file with the matrices packed as `dtype`: llama's query and key rows interleaved, Gemma's norms
    /// whole, and the vocabulary of [`pieces`], for Gemma as SentencePiece.
    pub fn write_gguf(&self, path: &Path, dtype: GgmlDType) {
        self.write_gguf_with(path, dtype, |_, _| {});
    }

    /// As [`Self::write_gguf`], after `edit` has changed metadata and tensors.
    pub fn write_gguf_with(
        &self,
        path: &Path,
        dtype: GgmlDType,
        edit: impl FnOnce(&mut Vec<(String, Value)>, &mut Vec<(String, QTensor)>),
    ) {
        let interleaved = matches!(
            self.family,
            ArchitectureFamily::Llama | ArchitectureFamily::Mistral | ArchitectureFamily::SmolLm3
        );
        let mut tensors: Vec<(String, QTensor)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let mut tensor = tensor.clone();
                if self.family == ArchitectureFamily::Gemma3 && name.contains("norm") {
                    tensor = (tensor + 1.0).unwrap();
                }
                if interleaved && (name.contains("q_proj") || name.contains("k_proj")) {
                    let (rows, columns) = tensor.dims2().unwrap();
                    let head_dim = self.family.head_dim();
                    tensor = tensor
                        .reshape((rows / head_dim, 2, head_dim / 2, columns))
                        .and_then(|t| t.transpose(1, 2)?.reshape((rows, columns)))
                        .unwrap();
                }
                let dtype = if tensor.rank() == 2 { dtype } else { GgmlDType::F32 };
                let packed = QTensor::quantize(&tensor.contiguous().unwrap(), dtype).unwrap();
                (gguf_tensor_name(name, self.family), packed)
            })
            .collect();
        let mut metadata = self.gguf_metadata();
        edit(&mut metadata, &mut tensors);
        let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        let mut file = std::fs::File::create(path).unwrap();
        gguf_file::write(&mut file, &metadata, &tensors).unwrap();
    }

    fn gguf_metadata(&self) -> Vec<(String, Value)> {
        let family = self.family.gguf_name();
        let number = |key: &str| self.config[key].as_f64().unwrap();
        let mut metadata = vec![("general.architecture".to_owned(), Value::String(family.into()))];
        for (key, value) in [
            ("embedding_length", HIDDEN),
            ("block_count", self.family.layers()),
            ("feed_forward_length", INTERMEDIATE),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", self.family.kv_heads()),
            ("attention.key_length", self.family.head_dim()),
            ("context_length", CONTEXT),
        ] {
            metadata.push((format!("{family}.{key}"), Value::U32(value as u32)));
        }
        if matches!(self.family, ArchitectureFamily::Mistral | ArchitectureFamily::Gemma3) {
            let key = format!("{family}.attention.sliding_window");
            metadata.push((key, Value::U32(WINDOW as u32)));
        }
        for (key, from) in [
            ("attention.layer_norm_rms_epsilon", "rms_norm_eps"),
            ("rope.freq_base", "rope_theta"),
        ] {
            metadata.push((format!("{family}.{key}"), Value::F32(number(from) as f32)));
        }
        let strings = |items: Vec<String>| Value::Array(items.into_iter().map(Value::String).collect());
        let mut tokenizer = |key: &str, value| metadata.push((format!("tokenizer.ggml.{key}"), value));
        if self.family == ArchitectureFamily::Gemma3 {
            let pieces = sentencepiece_pieces();
            tokenizer("model", Value::String("llama".into()));
            tokenizer(
                "token_type",
                Value::Array(pieces.iter().map(|p| Value::I32(p.1)).collect()),
            );
            tokenizer("scores", Value::Array(pieces.iter().map(|p| Value::F32(p.2)).collect()));
            tokenizer("tokens", strings(pieces.into_iter().map(|p| p.0).collect()));
            tokenizer("bos_token_id", Value::U32(1));
            tokenizer("unknown_token_id", Value::U32(2));
            tokenizer("add_bos_token", Value::Bool(true));
            tokenizer("add_space_prefix", Value::Bool(false));
        } else {
            let pieces = pieces();
            let kinds = (0..pieces.len()).map(|id| Value::I32(if id < SPECIAL.len() { 3 } else { 1 }));
            tokenizer("model", Value::String("gpt2".into()));
            tokenizer("pre", Value::String("qwen2".into()));
            tokenizer("token_type", Value::Array(kinds.collect()));
            tokenizer("tokens", strings(pieces));
            let merges = MERGES.iter().map(|(a, b)| format!("{a} {b}")).collect();
            tokenizer("merges", strings(merges));
            tokenizer("bos_token_id", Value::U32(0));
            tokenizer("add_bos_token", Value::Bool(true));
        }
        metadata
    }
}

fn gguf_tensor_name(hub: &str, family: ArchitectureFamily) -> String {
    let whole = match hub {
        "model.embed_tokens.weight" => "token_embd.weight",
        "lm_head.weight" => "output.weight",
        "model.norm.weight" => "output_norm.weight",
        _ => "",
    };
    if !whole.is_empty() {
        return whole.into();
    }
    let (layer, part) = hub.strip_prefix("model.layers.").unwrap().split_once('.').unwrap();
    let (part, kind) = part.rsplit_once('.').unwrap();
    let part = match part {
        "input_layernorm" => "attn_norm",
        "post_attention_layernorm" if family == ArchitectureFamily::Gemma3 => "post_attention_norm",
        "post_attention_layernorm" | "pre_feedforward_layernorm" => "ffn_norm",
        "post_feedforward_layernorm" => "post_ffw_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "self_attn.q_norm" => "attn_q_norm",
        "self_attn.k_norm" => "attn_k_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        other => panic!("{other}"),
    };
    format!("blk.{layer}.{part}.{kind}")
}

/// The special tokens, ids 0 and 1; 0 begins a text.
pub const SPECIAL: [&str; 2] = ["<bos>", "<eos>"];

const MERGES: [(&str, &str); 12] = [
    ("Ġ", "t"),
    ("h", "e"),
    ("Ġt", "he"),
    ("i", "n"),
    ("a", "n"),
    ("an", "d"),
    ("Ġ", "and"),
    ("e", "r"),
    ("Ġ", "a"),
    ("o", "n"),
    ("in", "g"),
    ("Ċ", "Ċ"),
];

/// GPT-2's character for each byte.
fn byte_characters() -> Vec<char> {
    let mut next = 0x100;
    (0u32..256)
        .map(|b| {
            let printable = matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
            let c = if printable {
                b
            } else {
                next += 1;
                next - 1
            };
            char::from_u32(c).unwrap()
        })
        .collect()
}

/// A byte-level vocabulary: specials, bytes, and what the merges make.
pub fn pieces() -> Vec<String> {
    let special = SPECIAL.iter().map(|s| s.to_string());
    let bytes = byte_characters().into_iter().map(String::from);
    let merged = MERGES.iter().map(|(a, b)| format!("{a}{b}"));
    special.chain(bytes).chain(merged).collect()
}

/// As many SentencePiece pieces: text, GGUF token type, score.
pub fn sentencepiece_pieces() -> Vec<(String, i32, f32)> {
    let mut pieces: Vec<(String, i32, f32)> = ["<eos>", "<bos>"].map(|s| (s.to_owned(), 3, 0.0)).into();
    pieces.push(("<unk>".into(), 2, 0.0));
    pieces.push(("\n\n".into(), 4, 0.0));
    pieces.extend((0..=255).map(|b: u8| (format!("<0x{b:02X}>"), 6, 0.0)));
    for piece in ["▁", "t", "h", "e", "a", "▁t", "he", "▁the", "▁a", "th"] {
        let score = -(pieces.len() as f32);
        pieces.push((piece.to_owned(), 1, score));
    }
    pieces
}

/// A `tokenizer.json` of [`pieces`].
pub fn tokenizer_json() -> serde_json::Value {
    let vocab: serde_json::Map<String, serde_json::Value> = pieces()
        .into_iter()
        .enumerate()
        .map(|(id, piece)| (piece, id.into()))
        .collect();
    let added: Vec<_> = SPECIAL
        .iter()
        .enumerate()
        .map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        })
        .collect();
    let pattern = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
    let merges: Vec<[&str; 2]> = MERGES.iter().map(|&(a, b)| [a, b]).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false}]},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<bos>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"<bos>": {"id": "<bos>", "ids": [0], "tokens": ["<bos>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": vocab, "merges": merges},
    })
}
