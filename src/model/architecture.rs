//! The architecture of a decoder: one description for every covered family.
//!
//! Families differ in data and not in code: where norms stand, how positions are encoded, and which layers have a
//! sliding window. The description is read from a GGUF file's metadata or from a Hugging Face `config.json`. Both give
//! the same value for the same model.

use super::error::{ModelError, Result};
use super::gguf::Gguf;
use super::recognise;
use super::weights::Role;
use candle_transformers::models::{gemma3, llama, mistral, qwen2, qwen3, smol::smollm3};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::path::Path;

/// The architectures that are covered, as GGUF and `config.json` name them.
pub const COVERED: &str = "llama, mistral, smollm3, qwen2, qwen3, gemma3";

/// The most layers that a file may state.
const MAX_LAYERS: usize = 1 << 10;

/// The widest head that a file may state. The size of the rotary tables depends on it, and not on the weights.
const MAX_HEAD_DIM: usize = 512;

/// The activation of the feed-forward block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x·sigmoid(x)`.
    Silu,
    /// The tanh form of GELU.
    GeluTanh,
}

/// How rotary frequencies are scaled for contexts longer than the first training's.
#[derive(Clone, Debug, PartialEq)]
pub enum RotaryScaling {
    /// No scaling.
    None,
    /// All positions are divided by a factor.
    Linear(f64),
    /// Llama 3: low frequencies are divided by `factor`, high ones stay, with a ramp between.
    Llama3 {
        /// The divisor of the low frequencies.
        factor: f64,
        /// Wavelengths above `original_context / low` have low frequencies.
        low: f64,
        /// Wavelengths below `original_context / high` have high frequencies.
        high: f64,
        /// The context of the first training.
        original_context: f64,
    },
    /// A divisor for each frequency. GGUF stores the Llama 3 rule in this form, as `rope_freqs.weight`.
    Factors(Vec<f64>),
}

/// One rotary position encoding.
#[derive(Clone, Debug, PartialEq)]
pub struct Rotary {
    /// The base of the geometric series of wavelengths.
    pub base: f64,
    /// The scaling of the frequencies.
    pub scaling: RotaryScaling,
}

impl Rotary {
    /// The angular frequency of each pair of dimensions, in radians per token: `(head_dim / 2)`.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        let plain = (0..head_dim / 2).map(|i| self.base.powf(-2.0 * i as f64 / head_dim as f64));
        match &self.scaling {
            RotaryScaling::None => plain.collect(),
            RotaryScaling::Linear(factor) => plain.map(|f| f / factor).collect(),
            RotaryScaling::Factors(factors) => plain.zip(factors).map(|(f, d)| f / d).collect(),
            RotaryScaling::Llama3 {
                factor,
                low,
                high,
                original_context,
            } => plain
                .map(|f| {
                    let turns = original_context * f / (2.0 * std::f64::consts::PI);
                    let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    f * ((1.0 - smooth) / factor + smooth)
                })
                .collect(),
        }
    }
}

/// The properties in which layers of a model differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKind {
    /// Index into [`Architecture::rotary`]. None for a layer without positions (SmolLM3).
    pub rotary: Option<usize>,
    /// The number of positions that a query sees, including its own. None: all positions before it.
    pub window: Option<usize>,
}

/// A decoder-only transformer with gated feed-forward blocks and RMS norms.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// The family, as the file names it.
    pub family: String,
    /// The width of the residual stream.
    pub hidden: usize,
    /// The width of the feed-forward block.
    pub intermediate: usize,
    /// The number of query heads.
    pub heads: usize,
    /// The number of key and value heads.
    pub kv_heads: usize,
    /// The width of a head.
    pub head_dim: usize,
    /// The longest context that the model was trained for, in tokens.
    pub context_length: usize,
    /// Added to the mean square in every norm.
    pub norm_epsilon: f64,
    /// Added to every norm weight: 1 if the file stores the weight less one (Gemma in safetensors).
    pub norm_offset: f64,
    /// The activation of the feed-forward block.
    pub activation: Activation,
    /// Whether each query and key head has a norm (Qwen 3, Gemma 3).
    pub head_norms: bool,
    /// Whether each block has a norm after it, beside the norm before it (Gemma).
    pub sandwich_norms: bool,
    /// The factor on token embeddings.
    pub embedding_scale: Option<f64>,
    /// The factor on query-key products.
    pub attention_scale: f64,
    /// `cap·tanh(x/cap)` on query-key products.
    pub attention_softcap: Option<f64>,
    /// `cap·tanh(x/cap)` on logits.
    pub final_softcap: Option<f64>,
    /// The distinct position encodings.
    pub rotary: Vec<Rotary>,
    /// The layers, in order.
    pub layers: Vec<LayerKind>,
    /// Whether the embedding is the output projection too.
    pub tied_head: bool,
    /// Whether the file interleaves the two halves of each query and key head, as GGUF does for llama.
    pub interleaved_rows: bool,
}

/// Checks that a number from a file is from 1 to `most`.
fn bounded(path: &Path, what: &str, value: Option<usize>, most: usize) -> Result<usize> {
    match value {
        Some(v) if (1..=most).contains(&v) => Ok(v),
        Some(v) => Err(ModelError::malformed(
            path,
            format!("{what} is {v}, which no model has"),
        )),
        None => Err(ModelError::malformed(path, format!("it does not state its {what}"))),
    }
}

impl Architecture {
    /// Equal layers with one position encoding.
    fn uniform(rotary: Rotary, layers: usize, window: Option<usize>) -> (Vec<Rotary>, Vec<LayerKind>) {
        (
            vec![rotary],
            vec![
                LayerKind {
                    rotary: Some(0),
                    window
                };
                layers
            ],
        )
    }

    /// Gemma 3: every `pattern`-th layer sees all positions, with the `global` encoding. The other layers see a window,
    /// with the `local` encoding.
    fn gemma_layers(
        global: Rotary,
        local: Rotary,
        layers: usize,
        window: usize,
        pattern: usize,
    ) -> (Vec<Rotary>, Vec<LayerKind>) {
        let kinds = (1..=layers).map(|i| gemma_layer(i % pattern == 0, window));
        (vec![global, local], kinds.collect())
    }

    /// Reads the description from a GGUF file's metadata.
    ///
    /// # Errors
    /// When the architecture is not covered (the error lists those that are), or when a number is missing or impossible
    /// (the error names it).
    pub fn from_gguf(file: &Gguf) -> Result<Self> {
        let path = file.path();
        let family = file.string("general.architecture").unwrap_or_default().to_owned();
        if !["llama", "smollm3", "qwen2", "qwen3", "gemma3"].contains(&family.as_str()) {
            return Err(not_covered(path, &family));
        }
        let integer = |key: &str| file.integer(&format!("{family}.{key}"));
        let float = |key: &str| file.float(&format!("{family}.{key}"));
        if integer("expert_count").is_some_and(|n| n > 0) {
            return Err(not_covered(path, &format!("{family} with experts")));
        }
        let hidden = bounded(path, "width", integer("embedding_length"), 1 << 17)?;
        let heads = bounded(path, "number of heads", integer("attention.head_count"), 1 << 12)?;
        let kv_heads = bounded(
            path,
            "number of key heads",
            integer("attention.head_count_kv").or(Some(heads)),
            heads,
        )?;
        let head_dim = bounded(
            path,
            "head width",
            integer("attention.key_length").or(Some(hidden / heads)),
            MAX_HEAD_DIM,
        )?;
        let depth = bounded(path, "number of layers", integer("block_count"), MAX_LAYERS)?;
        let base = float("rope.freq_base").unwrap_or(10_000.0);
        let scaling = match (
            file.string(&format!("{family}.rope.scaling.type")),
            float("rope.scaling.factor"),
        ) {
            (None | Some("none"), _) => RotaryScaling::None,
            (Some("linear"), Some(factor)) => RotaryScaling::Linear(factor),
            (Some(other), _) => return Err(scaling_not_covered(path, other)),
        };
        let rotary = Rotary { base, scaling };
        let (rotary, layers) = match family.as_str() {
            "gemma3" => {
                let window = bounded(path, "sliding window", integer("attention.sliding_window"), 1 << 24)?;
                // GGUF does not store the local base and the pattern. These are the values of every Gemma 3.
                let local = Rotary {
                    base: 10_000.0,
                    scaling: RotaryScaling::None,
                };
                Self::gemma_layers(rotary, local, depth, window, 6)
            }
            "smollm3" => smollm3_layers(rotary, depth, |i| (i + 1) % 4 == 0),
            _ => Self::uniform(rotary, depth, integer("attention.sliding_window").filter(|&w| w > 0)),
        };
        let gemma = family == "gemma3";
        let this = Self {
            hidden,
            intermediate: bounded(path, "feed-forward width", integer("feed_forward_length"), 1 << 20)?,
            heads,
            kv_heads,
            head_dim,
            context_length: bounded(path, "context length", integer("context_length"), 1 << 32)?,
            norm_epsilon: float("attention.layer_norm_rms_epsilon").unwrap_or(1e-6),
            norm_offset: 0.0,
            activation: if gemma { Activation::GeluTanh } else { Activation::Silu },
            head_norms: gemma || family == "qwen3",
            sandwich_norms: gemma,
            embedding_scale: gemma.then(|| (hidden as f64).sqrt()),
            // The scale of the largest Gemma 3 comes from the width over the number of heads. The scale of every other
            // model comes from the width of a head.
            attention_scale: if gemma && depth == 62 {
                ((hidden / heads) as f64).powf(-0.5)
            } else {
                (head_dim as f64).powf(-0.5)
            },
            attention_softcap: float("attn_logit_softcapping").filter(|&c| c > 0.0),
            final_softcap: float("final_logit_softcapping").filter(|&c| c > 0.0),
            rotary,
            layers,
            // As in llama.cpp, the projection is used if the file holds it.
            tied_head: file.info(&Role::Head.gguf_name()).is_none(),
            interleaved_rows: matches!(family.as_str(), "llama" | "smollm3"),
            family,
        };
        this.checked(path)
    }

    /// Reads the description from a Hugging Face `config.json`.
    ///
    /// # Errors
    /// As [`Self::from_gguf`].
    pub fn from_config(path: &Path, json: &str) -> Result<Self> {
        let json: serde_json::Value = serde_json::from_str(json)
            .map_err(|e| ModelError::malformed(path, format!("its configuration is not JSON: {e}")))?;
        if let Some(refusal) = recognise::quantised(&json) {
            return Err(refusal.at(path));
        }
        let mut json = of_text(json);
        let extras: Extras = parse(path, &json)?;
        extras.complete(&mut json);
        let json = &json;
        let family = extras.model_type.clone().unwrap_or_default();
        extras.check_activation(path, &family)?;
        let rotary = |base: f64| -> Result<Rotary> {
            Ok(Rotary {
                base,
                scaling: extras.scaling(path)?,
            })
        };
        // The numbers of every family. It is a macro because each family's configuration is another type with the same
        // field names.
        macro_rules! described {
            ($c:ident, $kv_heads:expr, $head_dim:expr, $layers:expr) => {{
                let (head_dim, (rotary, layers)): (usize, (Vec<Rotary>, Vec<LayerKind>)) = ($head_dim, $layers);
                Self {
                    family: family.clone(),
                    hidden: $c.hidden_size,
                    intermediate: $c.intermediate_size,
                    heads: $c.num_attention_heads,
                    kv_heads: $kv_heads,
                    head_dim,
                    context_length: $c.max_position_embeddings,
                    norm_epsilon: $c.rms_norm_eps,
                    norm_offset: 0.0,
                    activation: Activation::Silu,
                    head_norms: false,
                    sandwich_norms: false,
                    embedding_scale: None,
                    attention_scale: (head_dim as f64).powf(-0.5),
                    attention_softcap: None,
                    final_softcap: None,
                    rotary,
                    layers,
                    tied_head: extras.tied_head(&family),
                    interleaved_rows: false,
                }
            }};
        }
        // One more than allowed, so that the check below refuses it.
        let depth = |layers: usize| layers.min(MAX_LAYERS + 1);
        let this = match family.as_str() {
            "llama" => {
                let c: llama::LlamaConfig = parse(path, json)?;
                let head_dim = extras.head_dim(c.hidden_size, c.num_attention_heads);
                let layers = Self::uniform(rotary(c.rope_theta.into())?, depth(c.num_hidden_layers), None);
                described!(c, c.num_key_value_heads(), head_dim, layers)
            }
            "mistral" => {
                let c: mistral::Config = parse(path, json)?;
                let head_dim = extras.head_dim(c.hidden_size, c.num_attention_heads);
                let layers = Self::uniform(rotary(c.rope_theta)?, depth(c.num_hidden_layers), c.sliding_window);
                described!(c, c.num_key_value_heads, head_dim, layers)
            }
            "smollm3" => {
                let c: smollm3::Config = parse(path, json)?;
                let head_dim = extras.head_dim(c.hidden_size, c.num_attention_heads);
                let skip = |i| c.should_skip_rope(i);
                let layers = smollm3_layers(rotary(c.rope_theta)?, depth(c.num_hidden_layers), skip);
                described!(c, c.num_key_value_heads, head_dim, layers)
            }
            "qwen2" => {
                let c: qwen2::Config = parse(path, json)?;
                let head_dim = extras.head_dim(c.hidden_size, c.num_attention_heads);
                let mut layers = Self::uniform(rotary(c.rope_theta)?, depth(c.num_hidden_layers), None);
                let window = (c.use_sliding_window && c.sliding_window > 0).then_some(c.sliding_window);
                qwen_windows(&mut layers.1, window, c.max_window_layers);
                described!(c, c.num_key_value_heads, head_dim, layers)
            }
            "qwen3" => {
                let c: qwen3::Config = parse(path, json)?;
                let mut layers = Self::uniform(rotary(c.rope_theta)?, depth(c.num_hidden_layers), None);
                let window = c.sliding_window.filter(|_| c.use_sliding_window);
                qwen_windows(&mut layers.1, window, c.max_window_layers);
                Self {
                    head_norms: true,
                    ..described!(c, c.num_key_value_heads, c.head_dim, layers)
                }
            }
            "gemma3_text" => {
                let c: gemma3::Config = parse(path, json)?;
                let local = Rotary {
                    base: c.rope_local_base_freq,
                    scaling: RotaryScaling::None,
                };
                let (window, pattern) = (c.sliding_window, c.sliding_window_pattern.max(1));
                let mut layers = Self::gemma_layers(
                    rotary(c.rope_theta)?,
                    local,
                    depth(c.num_hidden_layers),
                    window,
                    pattern,
                );
                if let Some(types) = &extras.layer_types {
                    layers.1 = gemma_layers_of_types(path, types, layers.1.len(), window)?;
                }
                Self {
                    norm_offset: 1.0,
                    activation: Activation::GeluTanh,
                    head_norms: true,
                    sandwich_norms: true,
                    embedding_scale: Some((c.hidden_size as f64).sqrt()),
                    attention_scale: (c.query_pre_attn_scalar as f64).powf(-0.5),
                    attention_softcap: c.attn_logit_softcapping.filter(|&cap| cap != 0.0),
                    final_softcap: c.final_logit_softcapping.filter(|&cap| cap != 0.0),
                    ..described!(c, c.num_key_value_heads, c.head_dim, layers)
                }
            }
            other => return Err(not_covered(path, other)),
        };
        this.checked(path)
    }

    /// Refuses numbers with which a later step would divide by zero or allocate without bound.
    fn checked(self, path: &Path) -> Result<Self> {
        bounded(path, "width", Some(self.hidden), 1 << 17)?;
        bounded(path, "feed-forward width", Some(self.intermediate), 1 << 20)?;
        bounded(path, "number of heads", Some(self.heads), 1 << 12)?;
        bounded(path, "number of key heads", Some(self.kv_heads), self.heads)?;
        bounded(path, "head width", Some(self.head_dim), MAX_HEAD_DIM)?;
        bounded(path, "number of layers", Some(self.layers.len()), MAX_LAYERS)?;
        bounded(path, "context length", Some(self.context_length), 1 << 32)?;
        if !self.heads.is_multiple_of(self.kv_heads) || !self.head_dim.is_multiple_of(2) {
            return Err(ModelError::malformed(path, "its heads cannot be grouped or rotated"));
        }
        if self.layers.iter().any(|layer| layer.window == Some(0)) {
            return Err(ModelError::malformed(
                path,
                "its sliding window is 0, which no model has",
            ));
        }
        let mut numbers = vec![self.norm_epsilon, self.attention_scale];
        numbers.extend(self.attention_softcap.iter().chain(&self.final_softcap));
        for rotary in &self.rotary {
            numbers.push(rotary.base);
            if let RotaryScaling::Linear(factor) = rotary.scaling {
                numbers.push(factor);
            }
        }
        if numbers.iter().any(|x| !x.is_finite() || *x <= 0.0) {
            return Err(ModelError::malformed(
                path,
                "one of its constants is not a positive number",
            ));
        }
        Ok(self)
    }
}

/// A layer of Gemma 3: one that sees all positions, or one with a window.
fn gemma_layer(sees_all: bool, window: usize) -> LayerKind {
    if sees_all {
        LayerKind {
            rotary: Some(0),
            window: None,
        }
    } else {
        LayerKind {
            rotary: Some(1),
            window: Some(window),
        }
    }
}

/// The layers of Gemma 3 by the list in newer configurations.
fn gemma_layers_of_types(path: &Path, types: &[String], depth: usize, window: usize) -> Result<Vec<LayerKind>> {
    if types.len() != depth {
        let reason = format!(
            "it states the types of {} layers, but the number of layers is {depth}",
            types.len()
        );
        return Err(ModelError::malformed(path, reason));
    }
    let kind = |kind: &String| match kind.as_str() {
        "full_attention" => Ok(gemma_layer(true, window)),
        "sliding_attention" => Ok(gemma_layer(false, window)),
        other => {
            let reason = format!("its layer type {other:?} is not covered; name another model");
            Err(ModelError::unsupported(path, reason))
        }
    };
    types.iter().map(kind).collect()
}

/// The configuration of the language model. A model that also reads pictures has it under `text_config`.
fn of_text(mut json: serde_json::Value) -> serde_json::Value {
    let family = match json["model_type"].as_str() {
        Some("gemma3") => "gemma3_text",
        Some("mistral3") => "mistral",
        _ => return json,
    };
    let tied = json["tie_word_embeddings"].take();
    match json["text_config"].take() {
        serde_json::Value::Object(mut text) => {
            text.entry("model_type").or_insert(family.into());
            text.entry("tie_word_embeddings").or_insert(tied);
            text.into()
        }
        _ => json,
    }
}

/// The values of transformers' Gemma3TextConfig. The files of the larger models leave out what equals them.
fn gemma3_defaults() -> serde_json::Value {
    serde_json::json!({
        "attention_bias": false,
        "head_dim": 256,
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": 2304,
        "intermediate_size": 9216,
        "max_position_embeddings": 131_072,
        "num_attention_heads": 8,
        "num_hidden_layers": 26,
        "num_key_value_heads": 4,
        "query_pre_attn_scalar": 256,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e6,
        "sliding_window": 4096,
        "vocab_size": 262_208,
    })
}

fn smollm3_layers(rotary: Rotary, depth: usize, skip: impl Fn(usize) -> bool) -> (Vec<Rotary>, Vec<LayerKind>) {
    let kinds = (0..depth).map(|i| LayerKind {
        rotary: (!skip(i)).then_some(0),
        window: None,
    });
    (vec![rotary], kinds.collect())
}

/// Qwen's window, if it is on, applies from layer `first` on.
fn qwen_windows(layers: &mut [LayerKind], window: Option<usize>, first: usize) {
    for layer in layers.iter_mut().skip(first) {
        layer.window = window;
    }
}

fn not_covered(path: &Path, family: &str) -> ModelError {
    let family = if family.is_empty() { "unnamed" } else { family };
    ModelError::unsupported(
        path,
        format!("the architecture {family:?} is not covered; name a model of one of these: {COVERED}"),
    )
}

fn scaling_not_covered(path: &Path, kind: &str) -> ModelError {
    ModelError::unsupported(
        path,
        format!("the rotary scaling {kind:?} is not covered; name a model with none, linear or llama3"),
    )
}

fn parse<T: DeserializeOwned>(path: &Path, json: &serde_json::Value) -> Result<T> {
    T::deserialize(json).map_err(|e| ModelError::malformed(path, format!("its configuration says {e}")))
}

/// The fields that candle-transformers' configurations leave out.
#[derive(Deserialize)]
struct Extras {
    model_type: Option<String>,
    head_dim: Option<usize>,
    rope_scaling: Option<serde_json::Value>,
    /// Newer files state base and scaling together here.
    rope_parameters: Option<serde_json::Value>,
    layer_types: Option<Vec<String>>,
    hidden_act: Option<String>,
    hidden_activation: Option<String>,
    mlp_bias: Option<bool>,
    tie_word_embeddings: Option<bool>,
}

impl Extras {
    /// Refuses what the decoder would silently ignore: another activation, or biases in the feed-forward block.
    fn check_activation(&self, path: &Path, family: &str) -> Result<()> {
        let (given, covered): (_, &[&str]) = match family {
            "gemma3_text" => (&self.hidden_activation, &["gelu_pytorch_tanh"]),
            _ => (&self.hidden_act, &["silu", "swish"]),
        };
        if let Some(other) = given.as_deref().filter(|name| !covered.contains(name)) {
            let reason = format!("its activation {other:?} is not covered for {family}; name another model");
            return Err(ModelError::unsupported(path, reason));
        }
        if self.mlp_bias == Some(true) {
            let reason = "biases in the feed-forward block are not covered; name another model";
            return Err(ModelError::unsupported(path, reason));
        }
        Ok(())
    }

    /// What the configuration says wins over the tensors in the files, as in transformers. Without a word it has the
    /// default of the family there.
    fn tied_head(&self, family: &str) -> bool {
        let default = matches!(family, "gemma3_text" | "smollm3");
        self.tie_word_embeddings.unwrap_or(default)
    }

    fn head_dim(&self, hidden: usize, heads: usize) -> usize {
        self.head_dim.unwrap_or(hidden / heads.max(1))
    }

    /// Moves values to where candle's configurations look for them. Newer files state the rotary base elsewhere, leave
    /// out Gemma's pattern, and write null for a window that is off.
    fn complete(&self, json: &mut serde_json::Value) {
        let Some(fields) = json.as_object_mut() else { return };
        fields.remove("rope_scaling");
        let parameters = self.rope_parameters.as_ref();
        let base = |group: &str| {
            let parameters = parameters?;
            parameters
                .get(group)
                .unwrap_or(parameters)
                .get("rope_theta")
                .filter(|v| v.is_number())
                .cloned()
        };
        if let Some(theta) = base("full_attention") {
            fields.entry("rope_theta").or_insert(theta);
        }
        let local = base("sliding_attention").unwrap_or(10_000.0.into());
        fields.entry("rope_local_base_freq").or_insert(local);
        let pattern = fields.get("_sliding_window_pattern").cloned().unwrap_or(6.into());
        fields.entry("sliding_window_pattern").or_insert(pattern);
        if let (Some("gemma3_text"), serde_json::Value::Object(defaults)) =
            (self.model_type.as_deref(), gemma3_defaults())
        {
            for (key, value) in defaults {
                fields.entry(key).or_insert(value);
            }
        }
        if self.model_type.as_deref() == Some("qwen2") && fields.get("sliding_window").is_none_or(|w| w.is_null()) {
            fields.insert("sliding_window".into(), 0.into());
        }
    }

    fn scaling(&self, path: &Path) -> Result<RotaryScaling> {
        let parameters = self
            .rope_parameters
            .as_ref()
            .map(|p| p.get("full_attention").unwrap_or(p));
        let Some(given) = self.rope_scaling.as_ref().or(parameters).filter(|v| v.is_object()) else {
            return Ok(RotaryScaling::None);
        };
        let kind = given
            .get("rope_type")
            .or(given.get("type"))
            .and_then(|v| v.as_str())
            .unwrap_or("default");
        let number = |key: &str| {
            let value = given
                .get(key)
                .and_then(|v| v.as_f64())
                .filter(|v| v.is_finite() && *v > 0.0);
            value.ok_or_else(|| ModelError::malformed(path, format!("its rotary scaling does not state {key}")))
        };
        match kind {
            "default" => Ok(RotaryScaling::None),
            "linear" => Ok(RotaryScaling::Linear(number("factor")?)),
            "llama3" => Ok(RotaryScaling::Llama3 {
                factor: number("factor")?,
                low: number("low_freq_factor")?,
                high: number("high_freq_factor")?,
                original_context: number("original_max_position_embeddings")?,
            }),
            other => Err(scaling_not_covered(path, other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn llama3_scaling_keeps_high_frequencies_and_divides_low_ones() {
        let scaling = RotaryScaling::Llama3 {
            factor: 8.0,
            low: 1.0,
            high: 4.0,
            original_context: 8192.0,
        };
        let scaled = Rotary {
            base: 500_000.0,
            scaling,
        }
        .frequencies(128);
        let plain = Rotary {
            base: 500_000.0,
            scaling: RotaryScaling::None,
        }
        .frequencies(128);
        assert_eq!(scaled[0], plain[0]);
        assert!((scaled[63] * 8.0 - plain[63]).abs() < 1e-15);
        assert!(scaled.windows(2).all(|w| w[1] < w[0]));
    }

    #[test]
    fn a_folder_that_also_reads_pictures_is_described_by_its_text_config() {
        // As the folder of Gemma 3's second smallest model has it: what equals the defaults is left out.
        let config = r#"{"architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
            "text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text",
                "num_hidden_layers": 34, "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
                "sliding_window": 1024},
            "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27}}"#;
        let found = Architecture::from_config(Path::new("config.json"), config).unwrap();
        assert_eq!(
            (found.hidden, found.intermediate, found.layers.len()),
            (2560, 10240, 34)
        );
        assert_eq!((found.heads, found.kv_heads, found.head_dim), (8, 4, 256));
        assert!(found.tied_head && found.head_norms);
        assert_eq!(found.attention_scale, 1.0 / 16.0);
        let global = Rotary {
            base: 1e6,
            scaling: RotaryScaling::Linear(8.0),
        };
        let local = Rotary {
            base: 1e4,
            scaling: RotaryScaling::None,
        };
        assert_eq!(found.rotary, [global, local]);
        let windows: Vec<_> = found.layers[..12].iter().map(|layer| layer.window).collect();
        let sixth = [Some(1024), Some(1024), Some(1024), Some(1024), Some(1024), None];
        assert_eq!(windows, [sixth, sixth].concat());
    }

    #[test]
    fn layer_types_are_taken_as_they_stand() {
        let config = |types: &str| {
            let config = format!(
                r#"{{"model_type": "gemma3_text", "num_hidden_layers": 3, "sliding_window": 512,
                    "layer_types": [{types}]}}"#
            );
            Architecture::from_config(Path::new("config.json"), &config).map_err(|error| error.to_string())
        };
        let (full, sliding) = (r#""full_attention""#, r#""sliding_attention""#);
        let found = config(&format!("{full}, {sliding}, {full}")).unwrap();
        let windows: Vec<_> = found.layers.iter().map(|layer| layer.window).collect();
        assert_eq!(windows, [None, Some(512), None]);
        assert!(config(full).unwrap_err().contains("types of 1 layers"));
        assert!(
            config(&format!(r#"{full}, {sliding}, "linear_attention""#))
                .unwrap_err()
                .contains("linear_attention")
        );
    }

    #[test]
    fn an_architecture_that_is_not_covered_is_named_with_those_that_are() {
        let error = Architecture::from_config(Path::new("config.json"), r#"{"model_type": "mamba"}"#).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("mamba") && text.contains("gemma3"), "{text}");
    }
}
