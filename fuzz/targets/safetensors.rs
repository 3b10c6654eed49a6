//! The weights in a model's folder, beside a valid configuration and a valid tokeniser.
#![no_main]

use candle_core::Device;
use libfuzzer_sys::fuzz_target;
use whowrote::model::LanguageModel;

/// Bytes that weights may take.
const MEMORY: u64 = 64 << 20;

fuzz_target!(|bytes: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("config.json", include_bytes!("../seeds/config.json"));
    write("tokenizer.json", include_bytes!("../seeds/tokenizer.json"));
    write("model.safetensors", bytes);
    let _ = LanguageModel::load("fuzz", folder.path(), &Device::Cpu, MEMORY);
});
