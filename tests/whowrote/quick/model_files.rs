//! Model files and folders as people have them: each is read as the reference does, or refused with a sentence that
//! names the cause and the remedy.

use crate::common::tiny::{ArchitectureFamily, Tiny, pieces, two_models};
use crate::quick::referee::{difference, ours};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::gguf_file::Value;
use candle_core::{DType, Device, Tensor};
use std::path::Path;
use std::process::{Command, Output};
use whowrote::model::LanguageModel;

fn load(path: &Path) -> Result<LanguageModel, String> {
    LanguageModel::load("tiny", path, &Device::Cpu, u64::MAX).map_err(|error| error.to_string())
}

fn refusal(path: &Path) -> String {
    match load(path) {
        Ok(_) => panic!("{} was loaded", path.display()),
        Err(said) => said,
    }
}

/// `whowrote detect` on a text, with these arguments.
fn detect(folder: &Path, arguments: &[&str]) -> Output {
    let text = folder.join("text.txt");
    std::fs::write(
        &text,
        "The bridge was closed for two days while the engineers looked at its piers. ".repeat(3),
    )
    .unwrap();
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("whowrote"));
    command
        .current_dir(folder)
        .args(["detect", "--offline"])
        .args(arguments);
    command.arg("text.txt").output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder in a temporary folder, with a sound model.
fn sound(family: ArchitectureFamily) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Tiny::new(family, 31).write_folder(folder.path(), DType::F32, 1);
    folder
}

#[test]
fn an_adapter_is_refused_alone_and_beside_its_base_model() {
    let config = r#"{"peft_type": "LORA", "base_model_name_or_path": "/models/our-base"}"#;
    let alone = tempfile::tempdir().unwrap();
    let beside = sound(ArchitectureFamily::Llama);
    for folder in [alone.path(), beside.path()] {
        std::fs::write(folder.join("adapter_config.json"), config).unwrap();
        let sentence = "holds an adapter (adapter_config.json), which changes /models/our-base; merge";
        let from_library = refusal(folder);
        assert!(from_library.contains(sentence), "{from_library}");
        let output = detect(folder, &["--a", "."]);
        assert_eq!(output.status.code(), Some(2));
        assert!(said(&output).contains(sentence), "{}", said(&output));
        assert!(!said(&output).contains("fetch it again"), "{}", said(&output));
    }
    std::fs::remove_file(beside.path().join("adapter_config.json")).unwrap();
    assert!(load(beside.path()).is_ok());
}

/// The logits after a few tokens.
fn logits(folder: &Path) -> Tensor {
    let model = load(folder).unwrap();
    ours(model.decoder(), &[0, 40, 90, 41, 250], 1, None)
}

#[test]
fn the_configuration_says_whether_the_embedding_is_the_head() {
    let mut tiny = Tiny::new(ArchitectureFamily::Llama, 32);
    let folder = tempfile::tempdir().unwrap();
    let written = |tie: Option<bool>, tiny: &mut Tiny| {
        match tie {
            Some(tie) => tiny.config["tie_word_embeddings"] = tie.into(),
            None => drop(tiny.config.as_object_mut().unwrap().remove("tie_word_embeddings")),
        }
        tiny.write_folder(folder.path(), DType::F32, 1);
    };
    written(Some(false), &mut tiny);
    let own_head = logits(folder.path());
    // Llama's default.
    written(None, &mut tiny);
    assert_eq!(difference(&logits(folder.path()), &own_head), 0.0);
    written(Some(true), &mut tiny);
    let beside_a_stale_head = logits(folder.path());
    assert!(difference(&beside_a_stale_head, &own_head) > 0.1);
    tiny.tensors.remove("lm_head.weight");
    written(Some(true), &mut tiny);
    assert_eq!(difference(&logits(folder.path()), &beside_a_stale_head), 0.0);
    written(Some(false), &mut tiny);
    let said = refusal(folder.path());
    assert!(said.contains("no file holds lm_head.weight"), "{said}");
}

/// A GGUF file without `add_bos_token`, with another pre-tokeniser.
fn without_add_bos(
    family: ArchitectureFamily,
    pre: &str,
    edit: impl FnOnce(&mut Vec<(String, Value)>),
) -> LanguageModel {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    Tiny::new(family, 33).write_gguf_with(&path, GgmlDType::F32, |metadata, _| {
        metadata.retain(|(key, _)| key != "tokenizer.ggml.add_bos_token");
        for (_, value) in metadata.iter_mut().filter(|(key, _)| key == "tokenizer.ggml.pre") {
            *value = Value::String(pre.into());
        }
        edit(metadata);
    });
    load(&path).unwrap()
}

#[test]
fn a_gguf_file_that_does_not_say_so_gets_the_bos_that_llama_cpp_gives_it() {
    let llama = ArchitectureFamily::Llama;
    for pre in ["llama-bpe", "llama3", "llama-v3", "falcon3"] {
        let model = without_add_bos(llama, pre, |_| {});
        assert_eq!(model.tokenizer().context(), [0], "{pre}");
    }
    for pre in ["smollm", "gpt-2", "qwen2", "deepseek-r1-qwen", "smaug-bpe"] {
        let model = without_add_bos(llama, pre, |_| {});
        assert!(model.tokenizer().context().is_empty(), "{pre}");
    }
    let says_no = without_add_bos(llama, "llama-bpe", |metadata| {
        metadata.push(("tokenizer.ggml.add_bos_token".into(), Value::Bool(false)));
    });
    assert!(says_no.tokenizer().context().is_empty());
    let sentencepiece = without_add_bos(ArchitectureFamily::Gemma3, "", |metadata| {
        metadata.retain(|(key, _)| key != "tokenizer.ggml.bos_token_id");
    });
    assert_eq!(sentencepiece.tokenizer().context(), [1]);
}

/// What is said of a GGUF file after its bytes have been changed.
fn refusal_of_gguf(name: &str, change: impl FnOnce(&mut Vec<u8>), metadata: &[(&str, Value)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    Tiny::new(ArchitectureFamily::Qwen2, 34).write_gguf_with(&path, GgmlDType::F32, |all, _| {
        all.extend(metadata.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    });
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    refusal(&path)
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b12\
                       58daaa5e2ca24d17e2393\nsize 12345\n";

/// A file that is whole is never called damaged.
#[track_caller]
fn names(said: &str, wanted: &[&str]) {
    assert!(!said.contains("damaged") && !said.contains("fetch it again"), "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "{wanted}: {said}");
    }
}

#[test]
fn a_pointer_of_git_lfs_is_named_wherever_it_stands() {
    let said = refusal_of_gguf("m.gguf", |bytes| *bytes = POINTER.into(), &[]);
    names(&said, &["m.gguf", "Git LFS", "git lfs pull"]);
    for file in ["model.safetensors", "tokenizer.json", "config.json"] {
        let folder = sound(ArchitectureFamily::Llama);
        std::fs::write(folder.path().join(file), POINTER).unwrap();
        names(&refusal(folder.path()), &[file, "Git LFS", "git lfs pull"]);
    }
}

#[test]
fn quantised_folders_are_refused_with_the_name_of_the_method() {
    let mut tiny = Tiny::new(ArchitectureFamily::Llama, 35);
    let folder = tempfile::tempdir().unwrap();
    let refused_with = |tiny: &Tiny| {
        tiny.write_folder(folder.path(), DType::F32, 1);
        refusal(folder.path())
    };
    for (method, shown) in [
        ("gptq", "GPTQ"),
        ("awq", "AWQ"),
        ("compressed-tensors", "COMPRESSED-TENSORS"),
    ] {
        tiny.config["quantization_config"] = serde_json::json!({"quant_method": method, "bits": 4});
        names(&refused_with(&tiny), &[shown, "not read", "GGUF", "not quantised"]);
    }
    tiny.config["quantization_config"] = serde_json::Value::Null;
    tiny.config["quantization"] = serde_json::json!({"group_size": 64, "bits": 4});
    names(&refused_with(&tiny), &["MLX", "GGUF"]);
    // Older files say nothing in config.json.
    tiny.config["quantization"] = serde_json::Value::Null;
    let packed = Tensor::zeros((8, 8), DType::U32, &Device::Cpu).unwrap();
    tiny.tensors.insert("model.layers.0.mlp.up_proj.qweight".into(), packed);
    names(&refused_with(&tiny), &["GPTQ", "GGUF"]);
    tiny.tensors.remove("model.layers.0.mlp.up_proj.qweight");
    tiny.write_folder(folder.path(), DType::F32, 1);
    assert!(load(folder.path()).is_ok());
}

#[test]
fn a_tensor_in_a_format_that_is_not_read_is_named_with_those_that_are() {
    for (code, shown) in [
        (20u32, "IQ4_NL"),
        (23, "IQ4_XS"),
        (39, "MXFP4"),
        (34, "TQ1_0"),
        (4, "Q4_2"),
    ] {
        let change = |bytes: &mut Vec<u8>| {
            let name = b"blk.0.ffn_up.weight";
            let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
            // Behind the name: rank, two dimensions, format.
            bytes[at + 20..at + 24].copy_from_slice(&code.to_le_bytes());
        };
        let said = refusal_of_gguf("m.gguf", change, &[]);
        names(
            &said,
            &["blk.0.ffn_up.weight", &format!("format {shown},"), "Q8_0", "Q4_K_M"],
        );
    }
}

#[test]
fn files_that_are_only_a_part_are_refused_with_what_makes_them_whole() {
    let parts = [("split.count", Value::U16(3)), ("split.no", Value::U16(1))];
    let said = refusal_of_gguf("m-00002-of-00003.gguf", |_| {}, &parts);
    let merge = "llama-gguf-split --merge m-00001-of-00003.gguf whole.gguf";
    names(&said, &["one of the 3 parts of a split file", merge]);
    let said = refusal_of_gguf("m.gguf.part1of2", |bytes| bytes.truncate(bytes.len() / 2), &[]);
    names(&said, &["piece of m.gguf", "`cat`"]);
    let said = refusal_of_gguf("m.gguf.part2of2", |bytes| drop(bytes.drain(..100)), &[]);
    names(&said, &["piece of m.gguf", "`cat`"]);
    let said = refusal_of_gguf("m.gguf", |_| {}, &[("general.type", Value::String("adapter".into()))]);
    names(&said, &["adapter", "llama-export-lora"]);
    // A file that was cut while it was fetched is damaged.
    let said = refusal_of_gguf("m.gguf", |bytes| bytes.truncate(bytes.len() / 2), &[]);
    assert!(said.contains("damaged") && said.contains("fetch it again"), "{said}");
}

#[test]
fn files_that_are_no_gguf_file_are_told_apart_by_their_endings() {
    for (name, wanted) in [
        ("model.safetensors", "name the folder"),
        ("pytorch_model.bin", "save_pretrained"),
        ("model.onnx", "its format is not read"),
    ] {
        names(
            &refusal_of_gguf(name, |bytes| *bytes = b"PK anything".to_vec(), &[]),
            &[wanted],
        );
    }
    names(
        &refusal_of_gguf("m.gguf", |bytes| bytes[..4].copy_from_slice(b"tjgg"), &[]),
        &["older than GGUF"],
    );
    names(
        &refusal_of_gguf("m.gguf", |bytes| bytes[4..8].reverse(), &[]),
        &["big-endian"],
    );
}

/// Writes the index of a folder with several safetensors files.
fn write_index(tiny: &Tiny, folder: &Path, shards: usize) {
    let names = tiny.tensors.keys().enumerate();
    let map: serde_json::Map<String, serde_json::Value> = names
        .map(|(i, name)| {
            let file = format!("model-{:05}-of-{shards:05}.safetensors", i % shards + 1);
            (name.clone(), file.into())
        })
        .collect();
    let index = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
    std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
}

#[test]
fn a_missing_or_stale_shard_is_named() {
    let mut tiny = Tiny::new(ArchitectureFamily::Qwen2, 36);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    tiny.write_folder(path, DType::F32, 3);
    write_index(&tiny, path, 3);
    assert!(load(path).is_ok());
    let second = "model-00002-of-00003.safetensors";
    let kept = std::fs::read(path.join(second)).unwrap();
    std::fs::remove_file(path.join(second)).unwrap();
    let index = "model.safetensors.index.json";
    names(
        &refusal(path),
        &[&format!("{index} asks for {second}"), "put that file"],
    );
    std::fs::remove_file(path.join(index)).unwrap();
    names(&refusal(path), &[&format!("ask for {second}"), "put that file"]);
    // A bias is optional, so without the index nothing would be missing.
    std::fs::write(path.join(second), kept).unwrap();
    write_index(&tiny, path, 3);
    let bias = tiny
        .tensors
        .keys()
        .position(|name| name.ends_with("q_proj.bias"))
        .unwrap();
    let (bias, shard) = (tiny.tensors.keys().nth(bias).unwrap().clone(), bias % 3);
    let holder = format!("model-{:05}-of-00003.safetensors", shard + 1);
    let mut stale = candle_core::safetensors::load(path.join(&holder), &Device::Cpu).unwrap();
    stale.remove(&bias).unwrap();
    candle_core::safetensors::save(&stale, path.join(&holder)).unwrap();
    let said = refusal(path);
    assert!(
        said.contains(index) && said.contains(&format!("{holder} holds the tensor {bias}")),
        "{said}"
    );
    // The file of an older version, beside the new ones.
    tiny.write_folder(path, DType::F32, 3);
    tiny.tensors.retain(|name, _| name.contains("norm"));
    candle_core::safetensors::save(
        &tiny
            .tensors
            .clone()
            .into_iter()
            .collect::<std::collections::HashMap<_, _>>(),
        path.join("old.safetensors"),
    )
    .unwrap();
    names(
        &refusal(path),
        &[&format!("{index} does not name old.safetensors"), "remove that file"],
    );
}

#[test]
fn a_tokeniser_with_one_token_too_many_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let tiny = Tiny::with_vocab(ArchitectureFamily::Llama, 37, pieces().len() - 1);
    tiny.write_folder(folder.path(), DType::F32, 1);
    let said = refusal(folder.path());
    names(
        &said,
        &[
            "its tokeniser has 270 tokens",
            "rows for only 269",
            "resize_token_embeddings",
        ],
    );
}

#[test]
fn a_tokeniser_that_is_not_covered_is_not_called_damaged() {
    let folder = sound(ArchitectureFamily::Llama);
    let path = folder.path().join("tokenizer.json");
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    json["model"]["type"] = "Unigram".into();
    std::fs::write(&path, json.to_string()).unwrap();
    names(&refusal(folder.path()), &["Unigram", "only BPE is covered"]);
}

#[test]
fn models_of_one_folder_name_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    for (run, seed) in [("run1", 38), ("run2", 39)] {
        let path = folder.path().join(run).join("checkpoint-500");
        Tiny::new(ArchitectureFamily::Llama, seed).write_folder(&path, DType::F32, 1);
    }
    let arguments = [
        "--a",
        "run1/checkpoint-500",
        "--b",
        "run2/checkpoint-500",
        "--no-prompt",
        "--format",
        "json",
    ];
    let output = detect(folder.path(), &arguments);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    let names: Vec<&String> = report["models"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["run1/checkpoint-500", "run2/checkpoint-500"]);
}

#[test]
fn a_folder_that_also_reads_pictures_is_read_as_its_language_model() {
    let tiny = Tiny::new(ArchitectureFamily::Gemma3, 40);
    let folder = tempfile::tempdir().unwrap();
    tiny.write_folder(folder.path(), DType::F32, 1);
    let alone = logits(folder.path());
    // Older and newer names.
    for (body, head) in [
        ("language_model.model.", "language_model."),
        ("model.language_model.", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut both = Tiny::new(ArchitectureFamily::Gemma3, 40);
        let named = |name: &str| match name.strip_prefix("model.") {
            Some(rest) => format!("{body}{rest}"),
            None => format!("{head}{name}"),
        };
        both.tensors = both
            .tensors
            .iter()
            .map(|(name, tensor)| (named(name), tensor.clone()))
            .collect();
        let picture = Tensor::zeros((8, 8), DType::F32, &Device::Cpu).unwrap();
        both.tensors.insert(
            "vision_tower.vision_model.encoder.layers.0.mlp.fc1.weight".into(),
            picture,
        );
        let mut text = both.config.clone();
        let kinds = (0..7).map(|i| if i == 5 { "full_attention" } else { "sliding_attention" });
        text["layer_types"] = kinds.collect::<Vec<_>>().into();
        for left_out in [
            "hidden_activation",
            "sliding_window_pattern",
            "tie_word_embeddings",
            "rope_theta",
        ] {
            text.as_object_mut().unwrap().remove(left_out);
        }
        both.config = serde_json::json!({
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "text_config": text,
            "vision_config": {"hidden_size": 8, "num_hidden_layers": 1}, "eos_token_id": [1, 106],
        });
        both.write_folder(folder.path(), DType::F32, 3);
        write_index(&both, folder.path(), 3);
        assert_eq!(difference(&logits(folder.path()), &alone), 0.0, "{body}");
    }
}

#[test]
fn no_chat_lets_a_model_with_a_template_continue_texts() {
    let folder = sound(ArchitectureFamily::Llama);
    let template = "{% generation %}{% endgeneration %}{{ strftime_now('%Y') }} {{ messages[0].content }}";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let request = |arguments: &[&str]| {
        let output = detect(folder.path(), &[&["--a", "./", "--format", "json"], arguments].concat());
        let report: Result<serde_json::Value, _> = serde_json::from_slice(&output.stdout);
        let report = report.unwrap_or_else(|_| panic!("{}", said(&output)));
        let (_, ours) = report["models"]
            .as_object()
            .unwrap()
            .iter()
            .find(|(name, _)| *name != "two")
            .unwrap();
        ours["request"].clone()
    };
    let other = ["--b", &two_models()[1].to_string_lossy()].map(String::from);
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    assert_eq!(request(&other), "Write a text.");
    assert!(request(&[&other[..], &["--no-chat", "."]].concat()).is_null());
    let output = detect(folder.path(), &["--a", "./", "--no-chat", other[1]]);
    assert!(
        said(&output).contains("is not a model of this run"),
        "{}",
        said(&output)
    );
}
