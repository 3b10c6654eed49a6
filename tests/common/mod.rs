use std::path::PathBuf;

pub fn model_file(name: &str) -> PathBuf {
    PathBuf::from(std::env::var("WW_MODELS").unwrap()).join(format!("{name}.gguf"))
}
