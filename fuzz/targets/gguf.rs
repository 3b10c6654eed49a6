//! A model in a GGUF file: its header, its tokeniser and its weights.
#![no_main]

use candle_core::Device;
use libfuzzer_sys::fuzz_target;
use whowrote::model::LanguageModel;

/// Bytes that weights may take.
const MEMORY: u64 = 64 << 20;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    std::fs::write(&path, bytes).unwrap();
    if let Ok(model) = LanguageModel::load("fuzz", &path, &Device::Cpu, MEMORY) {
        let _ = model.tokenizer().encode("the hen had ten hats <bos>");
    }
});
