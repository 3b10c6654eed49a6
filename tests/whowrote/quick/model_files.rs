//! Model files and folders as people have them: each is read as the reference does, or refused with a sentence that
//! names the cause and the remedy.

use crate::common::tiny::{ArchitectureFamily, Tiny};
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
fn without_add_bos(family: ArchitectureFamily, pre: &str, edit: impl FnOnce(&mut Vec<(String, Value)>)) -> LanguageModel {
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
