//! The weights of a model's folder, with a configuration and a tokeniser that are whole.
#![no_main]

use candle_core::Device;
use libfuzzer_sys::fuzz_target;
use whowrote::model::LanguageModel;

/// Bytes for weights.
const MEMORY: u64 = 64 << 20;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("config.json", include_bytes!("../seeds/config.json"));
    write("tokenizer.json", include_bytes!("../seeds/tokenizer.json"));
    write("model.safetensors", bytes);
    let _ = LanguageModel::load("fuzz", folder.path(), &Device::Cpu, MEMORY);
});
