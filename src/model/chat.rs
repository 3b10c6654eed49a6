//! The prompt of a model: a text to continue, or a turn of a conversation in the form of the model's chat template.
//!
//! A template is a program in the template language Jinja. It comes with the model's file, and so from outside. It
//! never sees what people write: it renders marks, and this module then replaces the marks by the writing as plain text.
//! So `<|im_end|>` in an instruction does not end a turn.

use super::error::{ModelError, Result};
use super::gguf::Gguf;
use super::jinja;
use super::language_model::LanguageModel;
use super::recognise;
use super::tokenizer::Part;
use chrono::{DateTime, Utc};
use minijinja::context;
use std::io::Read;
use std::path::Path;

/// Marks in place of what people wrote. They consist of private-use characters, which no template writes.
const SYSTEM: &str = "\u{F8FE}\u{F8F0}\u{F8FF}";
const USER: &str = "\u{F8FE}\u{F8F1}\u{F8FF}";

/// The request that stands in for an unknown prompt, if the model holds conversations.
///
/// Such a model has seen almost no text without a request before it, so its own answers look unusual to it there. After
/// a minimal request they do not (docs/VALIDITY.md has the difference). Texts are scored after this request only if the
/// evidence is conformal, with calibration texts scored in the same way. Then any request keeps the guarantee.
pub const GENERIC_REQUEST: &str = "Write a text.";

/// The day of [`GENERIC_REQUEST`], for templates that state the date. It is the same for every text, so that a text
/// scores as on the day of the calibration.
const GENERIC_DAY: DateTime<Utc> = DateTime::from_timestamp_nanos(1_767_268_800_000_000_000);

/// What a model reads before it writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// A text that the model continues.
    Text(String),
    /// A user's turn that the model answers.
    Chat {
        /// The system's turn. None: the template's default.
        system: Option<String>,
        /// What the user wrote.
        user: String,
    },
}

/// The form of a conversation, from a model's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatTemplate {
    source: String,
    bos: String,
    eos: String,
}

impl ChatTemplate {
    /// A template in Jinja, and the names of the tokens that begin and end a text.
    pub fn new(source: impl Into<String>, bos: impl Into<String>, eos: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            bos: bos.into(),
            eos: eos.into(),
        }
    }

    /// The template of a GGUF file.
    pub fn from_gguf(file: &Gguf) -> Option<Self> {
        let source = file.string("tokenizer.chat_template")?;
        let tokens = file.strings("tokenizer.ggml.tokens")?;
        let name = |key: &str| {
            let id = file.integer(&format!("tokenizer.ggml.{key}_token_id"));
            id.and_then(|id| tokens.get(id).copied()).unwrap_or_default()
        };
        Some(Self::new(source, name("bos"), name("eos")))
    }

    /// The template of a folder: `chat_template.jinja`, or the one in `tokenizer_config.json`.
    ///
    /// # Errors
    /// When one of these files exists but cannot be read or is damaged.
    pub fn from_folder(path: &Path) -> Result<Option<Self>> {
        let config_path = path.join("tokenizer_config.json");
        let config: serde_json::Value = match read_if_there(&config_path)? {
            None => serde_json::Value::Null,
            Some(json) => serde_json::from_str(&json)
                .map_err(|e| ModelError::malformed(&config_path, format!("it is not JSON: {e}")))?,
        };
        // A token is written as its name, or as an object that contains its name.
        let name = |key: &str| {
            let token = &config[key];
            token.as_str().or(token["content"].as_str()).unwrap_or_default()
        };
        let in_config = || match &config["chat_template"] {
            serde_json::Value::String(source) => Some(source.clone()),
            serde_json::Value::Array(named) => {
                let default = named.iter().find(|template| template["name"] == "default");
                Some(default?["template"].as_str()?.to_owned())
            }
            _ => None,
        };
        let source = read_if_there(&path.join("chat_template.jinja"))?.or_else(in_config);
        Ok(source.map(|source| Self::new(source, name("bos_token"), name("eos_token"))))
    }

    /// Renders the prompt of the model's answer, with marks in place of what people wrote.
    fn render(&self, has_system: bool, now: DateTime<Utc>) -> std::result::Result<String, minijinja::Error> {
        let user = context! { role => "user", content => USER };
        let messages = if has_system {
            vec![context! { role => "system", content => SYSTEM }, user]
        } else {
            vec![user]
        };
        let variables = context! {
            messages,
            // transformers passes these even if there are none.
            tools => (),
            documents => (),
            add_generation_prompt => true,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        jinja::render(&self.source, variables, now)
    }
}

/// The largest configuration file of a model's folder, in bytes. The configuration of a tokeniser is the largest,
/// because it lists the added tokens.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The text of a configuration file of a model's folder. None if the file does not exist.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>> {
    if !path.exists() {
        return Ok(None);
    }
    if !path.is_file() {
        return Err(ModelError::malformed(path, "it is not a regular file".to_owned()));
    }
    let file = std::fs::File::open(path).map_err(|e| ModelError::io(path, e))?;
    let mut text = String::new();
    let read = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    match read.map_err(|e| ModelError::io(path, e))? as u64 {
        MAX_FILE_BYTES.. => Err(ModelError::malformed(
            path,
            "it is longer than any such file".to_owned(),
        )),
        _ => match recognise::pointer(text.as_bytes()) {
            Some(pointer) => Err(pointer.at(path)),
            None => Ok(Some(text)),
        },
    }
}

/// The token ids of a prompt. A chat template that states the date states today's.
///
/// # Errors
/// When the model has no chat template for a turn, the template fails or leaves out what was written, or the tokeniser
/// cannot read the text.
pub fn prompt_ids(model: &LanguageModel, prompt: &Prompt) -> Result<Vec<u32>> {
    let tokenizer = model.tokenizer();
    match prompt {
        Prompt::Text(text) => Ok([tokenizer.context(), &tokenizer.encode(text)?.ids].concat()),
        Prompt::Chat { system, user } => turn_ids(model, system.as_deref(), user, Utc::now()),
    }
}

/// The token ids of a user's turn.
fn turn_ids(model: &LanguageModel, system: Option<&str>, user: &str, now: DateTime<Utc>) -> Result<Vec<u32>> {
    let tokenizer = model.tokenizer();
    let refused = |reason: String| ModelError::Template {
        model: model.name().to_owned(),
        reason,
    };
    let template = model
        .chat_template()
        .ok_or_else(|| refused("its file has none".to_owned()))?;
    let rendered = template
        .render(system.is_some(), now)
        .map_err(|e| refused(e.to_string()))?;
    for (mark, what) in [(USER, "the user's turn"), (SYSTEM, "the system's turn")] {
        if !rendered.contains(mark) && (mark == USER || system.is_some()) {
            return Err(refused(format!("it leaves out {what}")));
        }
    }
    let ids = tokenizer.encode_with_control(&parts(&rendered, system.unwrap_or_default(), user))?;
    // Most templates write the token that begins a text, and the others imply it.
    if ids.starts_with(tokenizer.context()) {
        Ok(ids)
    } else {
        Ok([tokenizer.context(), &ids].concat())
    }
}

/// The token ids before a text whose prompt is not known: [`GENERIC_REQUEST`] if the model holds conversations, else
/// only the model's own beginning-of-text token.
///
/// # Errors
/// When the chat template refuses the request.
pub fn unknown_prompt_ids(model: &LanguageModel) -> Result<Vec<u32>> {
    match model.chat_template() {
        None => Ok(model.tokenizer().context().to_vec()),
        Some(_) => turn_ids(model, None, GENERIC_REQUEST, GENERIC_DAY),
    }
}

/// The rendered prompt, with what people wrote in place of the marks.
fn parts<'a>(rendered: &'a str, system: &'a str, user: &'a str) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    for (i, piece) in rendered.split(USER).enumerate() {
        if i > 0 {
            parts.push(Part::Plain(user));
        }
        for (j, piece) in piece.split(SYSTEM).enumerate() {
            if j > 0 {
                parts.push(Part::Plain(system));
            }
            parts.push(Part::Template(piece));
        }
    }
    parts
}
