//! Recognises what people have in the place of a model that can be read, and says what to do about it.

use super::chat::read_if_there;
use super::error::Refusal;
use super::shards::NumberedFile;
use std::path::Path;
use whowrote_input::printable;

/// The longest name that a message repeats, in bytes.
const MAX_NAME: usize = 200;

/// The files that peft writes for an adapter.
const ADAPTER_FILES: [&str; 3] = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];

/// Why a folder is refused that holds an adapter. transformers would add the adapter to the base model beside it, so
/// the weights of the base model alone are another author.
pub(super) fn adapter_in(folder: &Path) -> Option<String> {
    let file = ADAPTER_FILES.into_iter().find(|file| folder.join(file).exists())?;
    let config = read_if_there(&folder.join(ADAPTER_FILES[0])).ok().flatten();
    let config: serde_json::Value = serde_json::from_str(&config.unwrap_or_default()).unwrap_or_default();
    let base = match config["base_model_name_or_path"].as_str() {
        Some(base) if (1..=MAX_NAME).contains(&base.len()) => printable(base),
        _ => "a base model".to_owned(),
    };
    Some(format!(
        "the folder holds an adapter ({file}), which changes {base}; merge the two with peft's merge_and_unload() and \
         save_pretrained(), and name the folder of the merged model; if the weights in this folder are merged already, \
         move the adapter's files out of it"
    ))
}

/// The first line of the files that git keeps in the place of large files.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// Why a file is refused that only says where git keeps the real one.
pub(super) fn pointer(bytes: &[u8]) -> Option<Refusal> {
    let pointer = bytes.starts_with(LFS_POINTER);
    pointer.then(|| {
        let reason = "it is not the file itself but a pointer of Git LFS, because the repository was cloned without \
                      git-lfs; run `git lfs install` and `git lfs pull` in the repository";
        Refusal::Unsupported(reason.to_owned())
    })
}

/// Why a file is refused that does not begin with the GGUF signature.
pub(super) fn not_gguf(path: &Path, bytes: &[u8]) -> Refusal {
    if let Some(refusal) = pointer(bytes).or_else(|| piece_of_gguf(path)) {
        return refusal;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let unsupported = |reason: &str| Refusal::Unsupported(reason.to_owned());
    if ends(&[".safetensors", ".json"]) {
        unsupported("it is only one file of a model; name the folder that holds it with config.json and tokenizer.json")
    } else if ends(&[".bin", ".pt", ".pth", ".ckpt"]) {
        unsupported(
            "weights in PyTorch's format are not read; save the model as safetensors with save_pretrained(), and name \
             that folder",
        )
    } else if ends(&[".onnx", ".h5", ".msgpack", ".tflite"]) {
        unsupported("its format is not read; name a GGUF file, or a folder with safetensors")
    } else if [b"ggml", b"tjgg", b"fmgg", b"algg"]
        .iter()
        .any(|old| bytes.starts_with(*old))
    {
        // GGML, GGJT, GGMF and GGLA, little-endian.
        unsupported("its format is older than GGUF; take a GGUF file of the model")
    } else {
        "it does not begin with the GGUF signature".into()
    }
}

/// Why a GGUF file is refused that is not the whole of a model.
pub(super) fn part_of_gguf(path: &Path, kind: Option<&str>, parts: Option<usize>) -> Option<Refusal> {
    if kind == Some("adapter") {
        let reason = "it is an adapter (LoRA), which changes a base model; merge the two with llama.cpp's \
                      `llama-export-lora`, and name the merged file";
        return Some(Refusal::Unsupported(reason.to_owned()));
    }
    let parts = parts.filter(|&parts| parts > 1)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = first_part(&name).map_or_else(|| "FIRST-PART".to_owned(), |name| printable(&name));
    Some(Refusal::Unsupported(format!(
        "it is one of the {parts} parts of a split file, which is not read in parts; merge them with llama.cpp's \
         `llama-gguf-split --merge {first} whole.gguf`, and name the merged file"
    )))
}

/// The name of the first part of a split GGUF file: `m-00001-of-00003.gguf` for `m-00002-of-00003.gguf`.
fn first_part(name: &str) -> Option<String> {
    Some(NumberedFile::of(name, ".gguf")?.name(1))
}

/// Why a file is refused whose name says that it is a piece of a GGUF file, cut at any byte.
pub(super) fn piece_of_gguf(path: &Path) -> Option<Refusal> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let at = name.find(".gguf.part").or_else(|| name.find(".gguf-split-"))?;
    let whole = printable(&name[..at + ".gguf".len()]);
    Some(Refusal::Unsupported(format!(
        "it is only a piece of {whole}; join the pieces in order with `cat`, and name the whole file"
    )))
}

/// The names of GGML's tensor formats, by number. Some were withdrawn.
const GGML_FORMATS: [&str; 41] = [
    "F32",
    "F16",
    "Q4_0",
    "Q4_1",
    "Q4_2",
    "Q4_3",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q8_1",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "Q8_K",
    "IQ2_XXS",
    "IQ2_XS",
    "IQ3_XXS",
    "IQ1_S",
    "IQ4_NL",
    "IQ3_S",
    "IQ2_S",
    "IQ4_XS",
    "I8",
    "I16",
    "I32",
    "I64",
    "F64",
    "IQ1_M",
    "BF16",
    "Q4_0_4_4",
    "Q4_0_4_8",
    "Q4_0_8_8",
    "TQ1_0",
    "TQ2_0",
    "IQ4_NL_4_4",
    "IQ4_NL_4_8",
    "IQ4_NL_8_8",
    "MXFP4",
    "NVFP4",
];

/// Why a tensor is refused whose GGML format is not read.
pub(super) fn format_not_read(tensor: &str, code: u32) -> Refusal {
    let name = usize::try_from(code).ok().and_then(|code| GGML_FORMATS.get(code));
    let format = match name {
        Some(name) => format!("the format {name}, which is not read"),
        None => format!("the format {code}, which is newer than this program, or damaged"),
    };
    Refusal::Unsupported(format!(
        "the tensor {} has {format}; take a file of the model in F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 or Q2_K \
         to Q6_K, such as a Q4_K_M file",
        printable(tensor)
    ))
}

/// Why a folder is refused whose weights are quantised. `config` is its `config.json`.
pub(super) fn quantised(config: &serde_json::Value) -> Option<Refusal> {
    let inner = [config, &config["text_config"]];
    let given = inner.iter().find_map(|config| {
        let keys = ["quantization_config", "quantization"];
        keys.iter().map(|key| &config[*key]).find(|value| value.is_object())
    })?;
    let method = match given["quant_method"].as_str() {
        Some(method) if (1..=MAX_NAME).contains(&method.len()) => printable(&method.to_uppercase()),
        _ if config["quantization"].is_object() => "MLX".to_owned(),
        _ => "a method that config.json does not name".to_owned(),
    };
    Some(quantised_by(&method))
}

/// [`quantised`], by the names of the tensors.
pub(super) fn quantised_tensor(name: &str) -> Option<Refusal> {
    let packed = [".qweight", ".qzeros", ".weight_packed", ".weight.absmax"];
    let packed = packed.iter().any(|ending| name.ends_with(ending));
    packed.then(|| quantised_by("GPTQ, AWQ or the like"))
}

fn quantised_by(method: &str) -> Refusal {
    Refusal::Unsupported(format!(
        "its weights are quantised by {method}, which is not read; name a GGUF file of the model, or the folder of the \
         model that is not quantised"
    ))
}
