//! Recognises what people have in the place of a model that can be read, and says what to do about it.

use super::chat::read_if_there;
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
