//! Turns text into token ids, and knows the bytes of each token.
//!
//! A tokeniser comes from a `tokenizer.json`, or is rebuilt from a GGUF file's metadata with the pre-tokeniser that
//! the file names. Both use the BPE of the `tokenizers` crate. A special token inside a text is always plain text.

use super::error::{ModelError, Refusal, Result};
use super::gguf::Gguf;
use super::recognise;
use ahash::AHashMap;
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::Replace;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, PreTokenizerWrapper, SplitDelimiterBehavior};
use whowrote_input::catch_panic;

/// Words as GPT-2 cuts them: `add_prefix_space` off, `trim_offsets` off, its own pattern on.
const GPT2_PATTERN: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
/// Qwen 2: each digit is a piece, and punctuation includes the line ends after it.
const QWEN2_PATTERN: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// Llama 3: as Qwen 2, but with up to three digits in a piece.
const LLAMA3_PATTERN: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|",
    r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
);

/// SentencePiece's mark for a space.
const SPACE_MARK: char = '▁';

/// GGUF token types.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;
const UNUSED: u32 = 5;

/// The tokens of a text: their ids, and byte spans that cover the text without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// Ids in the model's vocabulary.
    pub ids: Vec<u32>,
    /// The byte span of each token in the text.
    pub spans: Vec<Range<usize>>,
}

/// A part of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Written by a chat template. A name of a control token stands for that token.
    Template(&'a str),
    /// Written by someone else. All of it is text.
    Plain(&'a str),
}

/// A model's tokeniser.
pub struct Tokenizer {
    model: String,
    inner: tokenizers::Tokenizer,
    bytes: TokenBytes,
    context: Vec<u32>,
    /// The control tokens, by name. They steer the model and are not text.
    control: AHashMap<String, u32>,
    /// For each token, whether a text ends before it.
    ends: Vec<bool>,
}

/// The bytes of every token, one after another.
struct TokenBytes {
    all: Vec<u8>,
    ends: Vec<usize>,
}

impl TokenBytes {
    fn new(pieces: impl Iterator<Item = Vec<u8>>) -> Self {
        let (mut all, mut ends) = (Vec::new(), Vec::new());
        for piece in pieces {
            all.extend_from_slice(&piece);
            ends.push(all.len());
        }
        Self { all, ends }
    }

    fn get(&self, id: u32) -> &[u8] {
        let id = id as usize;
        let start = if id == 0 {
            0
        } else {
            self.ends.get(id - 1).copied().unwrap_or(0)
        };
        self.ends
            .get(id)
            .and_then(|&end| self.all.get(start..end))
            .unwrap_or_default()
    }
}

/// The byte for each character of byte-level BPE, which writes every byte as one character.
fn byte_of_char() -> HashMap<char, u8> {
    let printable = |b: u32| matches!(b, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let mut table = HashMap::new();
    for b in 0u32..256 {
        let c = if printable(b) {
            b
        } else {
            next += 1;
            next - 1
        };
        if let Some(c) = char::from_u32(c) {
            table.insert(c, b as u8);
        }
    }
    table
}

fn byte_level_bytes(piece: &str, table: &HashMap<char, u8>) -> Vec<u8> {
    match piece
        .chars()
        .map(|c| table.get(&c).copied())
        .collect::<Option<Vec<u8>>>()
    {
        Some(bytes) => bytes,
        // The piece has a character outside of the byte alphabet, so it stands for itself.
        None => piece.as_bytes().to_vec(),
    }
}

fn sentencepiece_bytes(piece: &str) -> Vec<u8> {
    let byte = piece.strip_prefix("<0x").and_then(|p| p.strip_suffix('>'));
    match byte
        .filter(|hex| hex.len() == 2)
        .and_then(|hex| u8::from_str_radix(hex, 16).ok())
    {
        Some(byte) => vec![byte],
        None => piece.replace(SPACE_MARK, " ").into_bytes(),
    }
}

impl Tokenizer {
    /// Rebuilds the tokeniser from a GGUF file's metadata.
    ///
    /// # Errors
    /// When parts are missing or contradict one another, or the file names a tokeniser or pre-tokeniser that is not
    /// covered. It is never replaced by another one.
    pub fn from_gguf(file: &Gguf, model: &str) -> Result<Self> {
        let path = file.path();
        let malformed = |reason: &str| ModelError::malformed(path, reason.to_owned());
        let tokens = file
            .strings("tokenizer.ggml.tokens")
            .ok_or_else(|| malformed("it holds no vocabulary"))?;
        let mut types: Vec<u32> = match file.numbers("tokenizer.ggml.token_type") {
            Some(types) => types.into_iter().map(|t| t as u32).collect(),
            None => vec![1; tokens.len()],
        };
        if types.len() != tokens.len() || tokens.is_empty() || tokens.len() > u32::MAX as usize {
            return Err(malformed("its vocabulary and token types differ in length"));
        }
        // Some files mark control tokens as user-defined.
        for (kind, token) in types.iter_mut().zip(&tokens) {
            if *kind == USER_DEFINED && is_mark(token) {
                *kind = CONTROL;
            }
        }
        let kind = file.string("tokenizer.ggml.model").unwrap_or_default();
        let (inner, bytes) = match kind {
            "gpt2" => byte_level_from_gguf(file, &tokens, &types)?,
            "llama" => sentencepiece_from_gguf(file, &tokens, &types)?,
            other => {
                return Err(ModelError::unsupported(
                    path,
                    format!(
                        "the tokeniser {other:?} is not covered; gpt2 (byte-level BPE) and llama (SentencePiece) are; \
                         name the model's folder with its tokenizer.json instead"
                    ),
                ));
            }
        };
        // llama.cpp's defaults: without a word in the file, SentencePiece and Llama 3's BPE put a beginning-of-text
        // token before a text, and any other BPE does not. SentencePiece's token is the second.
        let sentencepiece = kind == "llama";
        let add_bos = file.flag("tokenizer.ggml.add_bos_token");
        let add_bos = add_bos.unwrap_or(sentencepiece || is_llama3(pre_tokenizer(file)));
        let bos = file
            .integer("tokenizer.ggml.bos_token_id")
            .or(sentencepiece.then_some(1))
            .filter(|&id| id < tokens.len());
        let context = match (add_bos, bos) {
            (false, _) => Vec::new(),
            (true, Some(bos)) => vec![bos as u32],
            (true, None) => return Err(malformed("it asks for a beginning-of-text token but does not name it")),
        };
        let control = tokens
            .iter()
            .zip(&types)
            .enumerate()
            .filter(|(_, (token, kind))| **kind == CONTROL && !token.is_empty())
            .map(|(id, (token, _))| ((*token).to_owned(), id as u32))
            .collect();
        let mut ends: Vec<bool> = types
            .iter()
            .map(|kind| matches!(*kind, CONTROL | UNUSED | UNKNOWN))
            .collect();
        for key in ["eos", "eot", "eom"] {
            let id = file.integer(&format!("tokenizer.ggml.{key}_token_id"));
            if let Some(end) = id.and_then(|id| ends.get_mut(id)) {
                *end = true;
            }
        }
        Ok(Self {
            model: model.to_owned(),
            inner,
            bytes,
            context,
            control,
            ends,
        })
    }

    /// Loads a `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is not a BPE tokeniser, or its parts contradict one another.
    pub fn from_json(path: &Path, model: &str) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| ModelError::io(path, e))?;
        if let Some(pointer) = recognise::pointer(&text) {
            return Err(pointer.at(path));
        }
        let malformed = |reason: String| ModelError::malformed(path, reason);
        let refused = |refusal: Refusal| refusal.at(path);
        let mut json: serde_json::Value =
            serde_json::from_slice(&text).map_err(|e| malformed(format!("it is not JSON: {e}")))?;
        check_bpe(&json).map_err(refused)?;
        check_steps(&json).map_err(refused)?;
        let context = context_from_json(&json["post_processor"]).map_err(refused)?;
        let byte_level = ["pre_tokenizer", "decoder"]
            .iter()
            .any(|part| json.get(part).is_some_and(|v| v.to_string().contains("ByteLevel")));
        // Truncation and padding are for training batches, but a text is scored whole. The context before a text was
        // read above, because the library's post-processor trusts the names in the file. This type has its own decoder.
        if let Some(parts) = json.as_object_mut() {
            for part in ["truncation", "padding", "post_processor", "decoder"] {
                parts.remove(part);
            }
        }
        let highest = json["model"]["vocab"]
            .as_object()
            .and_then(|vocab| vocab.values().filter_map(|id| id.as_u64()).max());
        let control: AHashMap<String, u32> = json["added_tokens"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|token| token["special"] == true)
            .filter_map(|token| {
                let id = token["id"].as_u64().and_then(|id| u32::try_from(id).ok())?;
                Some((token["content"].as_str().filter(|c| !c.is_empty())?.to_owned(), id))
            })
            .collect();
        let mut inner: tokenizers::Tokenizer =
            serde_json::from_value(json).map_err(|e| malformed(format!("its tokeniser is damaged: {e}")))?;
        inner.set_encode_special_tokens(true);
        let added_ids = inner.get_added_vocabulary().get_vocab().values().copied();
        let count = added_ids.fold(highest.map_or(0, |id| id as u32 + 1), |most, id| most.max(id + 1));
        // Some vocabularies have gaps, but no known one needs a table far larger than its file.
        if count as usize > 4 * inner.get_vocab_size(true) + (1 << 16) {
            return Err(malformed("the ids of its vocabulary lie far apart".into()));
        }
        let table = byte_of_char();
        let added = inner.get_added_vocabulary().get_vocab().clone();
        let pieces = (0..count).map(|id| match inner.id_to_token(id) {
            Some(piece) if added.contains_key(&piece) => piece.into_bytes(),
            Some(piece) if byte_level => byte_level_bytes(&piece, &table),
            Some(piece) => sentencepiece_bytes(&piece),
            None => Vec::new(),
        });
        let bytes = TokenBytes::new(pieces);
        let mut ends = vec![false; count as usize];
        for &id in control.values() {
            if let Some(end) = ends.get_mut(id as usize) {
                *end = true;
            }
        }
        Ok(Self {
            model: model.to_owned(),
            inner,
            bytes,
            context,
            control,
            ends,
        })
    }

    /// The ids before every text: the beginning-of-text token, or none.
    pub fn context(&self) -> &[u32] {
        &self.context
    }

    /// Whether a text ends before this token: it ends a text or a turn, or is not text for another reason.
    pub fn ends(&self, id: u32) -> bool {
        self.ends.get(id as usize).copied().unwrap_or(true)
    }

    /// Adds tokens before which a text ends. Ids outside the vocabulary are ignored.
    pub fn add_ends(&mut self, ids: &[u32]) {
        for &id in ids {
            if let Some(end) = self.ends.get_mut(id as usize) {
                *end = true;
            }
        }
    }

    /// The tokens of a prompt of several parts. In [`Part::Template`] the names of control tokens become those tokens;
    /// [`Part::Plain`] is plain text. Text across adjacent parts is tokenised as one.
    ///
    /// # Errors
    /// When the tokeniser cannot read a part.
    pub fn encode_with_control(&self, parts: &[Part]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        let mut text = String::new();
        for part in parts {
            let mut rest = match part {
                Part::Plain(plain) => {
                    text.push_str(plain);
                    continue;
                }
                Part::Template(template) => *template,
            };
            // The first name in the rest; at one position, the longest name.
            let next = |rest: &str| {
                let found = self
                    .control
                    .iter()
                    .filter_map(|(name, &id)| Some((rest.find(name.as_str())?, name, id)));
                found.min_by_key(|&(at, name, _)| (at, std::cmp::Reverse(name.len())))
            };
            while let Some((at, name, id)) = next(rest) {
                text.push_str(&rest[..at]);
                if !text.is_empty() {
                    ids.extend(self.encode(&text)?.ids);
                    text.clear();
                }
                ids.push(id);
                rest = &rest[at + name.len()..];
            }
            text.push_str(rest);
        }
        if !text.is_empty() {
            ids.extend(self.encode(&text)?.ids);
        }
        Ok(ids)
    }

    /// The number of tokens. The model's vocabulary may be padded beyond them.
    pub fn len(&self) -> usize {
        self.bytes.ends.len()
    }

    /// Whether the vocabulary is empty.
    pub fn is_empty(&self) -> bool {
        self.bytes.ends.is_empty()
    }

    /// The bytes of a token.
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id)
    }

    /// SHA-256 of the bytes of every token. Two tokenisers of one vocabulary have equal digests.
    pub fn digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for id in 0..self.len() as u32 {
            let bytes = self.bytes(id);
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        hasher.finalize().into()
    }

    /// The text of a sequence of ids. Bytes that are not UTF-8 are replaced.
    pub fn decode(&self, ids: &[u32]) -> String {
        let bytes: Vec<u8> = ids.iter().flat_map(|&id| self.bytes(id)).copied().collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// For each of `vocab` symbols, whether it begins with a space. A word ends before such a symbol.
    pub fn begins_with_space(&self, vocab: usize) -> Vec<bool> {
        (0..vocab as u32)
            .map(|id| self.bytes(id).first() == Some(&b' '))
            .collect()
    }

    /// The tokens of a text. Special tokens in it are plain text. No token is put before it.
    ///
    /// # Errors
    /// When the tokeniser cannot read the text.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let refused = |e: tokenizers::Error| ModelError::Tokenise {
            model: self.model.clone(),
            reason: e.to_string(),
        };
        // The regular expressions come from the tokeniser's file, and the library panics if one fails on a text.
        let encoded = catch_panic(|| self.inner.encode(text, false));
        let encoding = encoded.unwrap_or_else(|why| Err(why.into())).map_err(refused)?;
        let ids = encoding.get_ids().to_vec();
        let spans = match self.spans_from_bytes(text, &ids) {
            Some(spans) => spans,
            None => spans_from_offsets(text, encoding.get_offsets()),
        };
        Ok(Tokens { ids, spans })
    }

    /// Spans from the bytes of the tokens, end to end. None if the bytes are not the text, as after a normaliser.
    fn spans_from_bytes(&self, text: &str, ids: &[u32]) -> Option<Vec<Range<usize>>> {
        let mut at = 0usize;
        let mut spans = Vec::with_capacity(ids.len());
        for (i, &id) in ids.iter().enumerate() {
            let mut piece = self.bytes(id);
            let rest = text.as_bytes().get(at..)?;
            // Some SentencePiece models add a space before the text.
            if i == 0 && !rest.starts_with(piece) {
                piece = piece.strip_prefix(b" ")?;
            }
            if !rest.starts_with(piece) {
                return None;
            }
            spans.push(at..at + piece.len());
            at += piece.len();
        }
        (at == text.len()).then_some(spans)
    }
}

/// Spans from the library's offsets. Each token extends to the beginning of the next, so the spans cover the text.
fn spans_from_offsets(text: &str, offsets: &[(usize, usize)]) -> Vec<Range<usize>> {
    let mut starts: Vec<usize> = offsets.iter().map(|o| o.0.min(text.len())).collect();
    let mut floor = 0;
    for (i, start) in starts.iter_mut().enumerate() {
        *start = if i == 0 { 0 } else { (*start).max(floor) };
        floor = *start;
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(&start, end)| start..end).collect()
}

/// The ids that a `tokenizer.json` puts before a text.
fn context_from_json(step: &serde_json::Value) -> std::result::Result<Vec<u32>, Refusal> {
    let id = |value: &serde_json::Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| "its post-processor names a token without an id".to_owned())
    };
    let list = |value: &serde_json::Value| {
        let list = value.as_array().cloned();
        list.ok_or_else(|| "its post-processor is damaged".to_owned())
    };
    match step["type"].as_str() {
        None if step.is_null() => Ok(Vec::new()),
        Some("ByteLevel") => Ok(Vec::new()),
        Some("BertProcessing" | "RobertaProcessing") => Ok(vec![id(&step["cls"][1])?]),
        Some("Sequence") => {
            let steps = list(&step["processors"])?;
            let steps = steps.iter().filter(|step| step["type"] != "Sequence");
            let contexts = steps
                .map(context_from_json)
                .collect::<std::result::Result<Vec<_>, _>>()?;
            Ok(contexts.concat())
        }
        Some("TemplateProcessing") => {
            let mut context = Vec::new();
            for piece in list(&step["single"])? {
                let Some(name) = piece["SpecialToken"]["id"].as_str() else {
                    break;
                };
                for token in list(&step["special_tokens"][name]["ids"])? {
                    context.push(id(&token)?);
                }
            }
            Ok(context)
        }
        other => Err(not_covered(format!(
            "its post-processor {:?} is not covered",
            other.unwrap_or_default()
        ))),
    }
}

/// The refusal of a sound tokeniser that this program does not run.
fn not_covered(what: String) -> Refusal {
    Refusal::Unsupported(format!("{what}; name another model"))
}

/// Refuses normalisers and pre-tokenisers that are not covered. Also refuses those that could make the library panic,
/// or make a short text grow without bound.
fn check_steps(json: &serde_json::Value) -> std::result::Result<(), Refusal> {
    const NORMALIZERS: &[&str] = &[
        "Replace",
        "Prepend",
        "NFC",
        "NFD",
        "NFKC",
        "NFKD",
        "Lowercase",
        "Strip",
        "StripAccents",
        "Nmt",
        "ByteLevel",
    ];
    const PRE_TOKENIZERS: &[&str] = &[
        "Split",
        "ByteLevel",
        "Metaspace",
        "Digits",
        "Punctuation",
        "Whitespace",
        "WhitespaceSplit",
        "BertPreTokenizer",
    ];
    /// No tokeniser has more steps or longer replacements.
    const MOST: usize = 16;
    for (part, list, covered) in [
        ("normalizer", "normalizers", NORMALIZERS),
        ("pre_tokenizer", "pretokenizers", PRE_TOKENIZERS),
    ] {
        let whole = &json[part];
        let steps = match whole["type"].as_str() {
            None if whole.is_null() => Vec::new(),
            Some("Sequence") => whole[list]
                .as_array()
                .map(|steps| steps.iter().collect())
                .unwrap_or_default(),
            _ => vec![whole],
        };
        if steps.len() > MOST {
            return Err(format!("its {part} has {} steps, more than any tokeniser", steps.len()).into());
        }
        let mut growth = 0;
        for step in steps {
            let kind = step["type"].as_str().unwrap_or_default();
            if !covered.contains(&kind) {
                return Err(not_covered(format!("its {part} {kind:?} is not covered")));
            }
            if let Some(pattern) = step["pattern"]["Regex"].as_str() {
                if kind == "Replace" {
                    // A pattern that can match the empty string makes the library read beyond the text.
                    return Err(not_covered(format!(
                        "its {part} replaces by the pattern {pattern:?}, which is not covered"
                    )));
                }
                check_regex(pattern)?;
            }
            if step["pattern"]["String"] == "" || step["prepend"] == "" {
                return Err(format!("its {part} searches for an empty string, or puts one before the text").into());
            }
            growth += ["content", "prepend"]
                .map(|key| step[key].as_str().map_or(0, str::len))
                .iter()
                .sum::<usize>();
        }
        if growth > MOST {
            return Err(format!("its {part} replaces one byte by up to {growth}").into());
        }
    }
    Ok(())
}

/// Refuses repeated groups and back-references in a pattern. With them the regular-expression engine could exceed its
/// own limit of steps, and then the library panics. No covered tokeniser needs either.
fn check_regex(pattern: &str) -> std::result::Result<(), String> {
    let refused = || Err(format!("its pattern {pattern:?} is not one that a tokeniser needs"));
    if pattern.len() > 4096 {
        return refused();
    }
    let (mut escaped, mut in_class, mut after_group) = (false, false, false);
    for c in pattern.chars() {
        if escaped {
            if matches!(c, '1'..='9' | 'k' | 'g') {
                return refused();
            }
            (escaped, after_group) = (false, false);
            continue;
        }
        if after_group && matches!(c, '*' | '+' | '{') {
            return refused();
        }
        after_group = c == ')' && !in_class;
        match c {
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            _ => {}
        }
    }
    Ok(())
}

/// Refuses a BPE with merges that do not lead to tokens, because the library trusts the merges.
fn check_bpe(json: &serde_json::Value) -> std::result::Result<(), Refusal> {
    let model = json.get("model").ok_or("it has no model part")?;
    let kind = model.get("type").and_then(|t| t.as_str()).unwrap_or("BPE");
    if kind != "BPE" {
        return Err(not_covered(format!(
            "its tokeniser has the type {kind:?}, but only BPE is covered"
        )));
    }
    if model
        .get("continuing_subword_prefix")
        .and_then(|p| p.as_str())
        .is_some_and(|p| !p.is_empty())
    {
        return Err(not_covered(
            "its tokeniser marks the insides of words, which is not covered".into(),
        ));
    }
    if model.get("dropout").and_then(|d| d.as_f64()).is_some_and(|d| d != 0.0) {
        return Err(not_covered(
            "its tokeniser leaves out merges by chance, but a text must be cut the same way each time".into(),
        ));
    }
    let vocab = model
        .get("vocab")
        .and_then(|v| v.as_object())
        .ok_or("its tokeniser has no vocabulary")?;
    if vocab.values().any(|id| id.as_u64().is_none_or(|id| id > 1 << 24)) {
        return Err("its vocabulary has an id that is not a small number".into());
    }
    let merges = model
        .get("merges")
        .and_then(|m| m.as_array())
        .ok_or("its tokeniser has no merges")?;
    for merge in merges {
        let pair = match merge {
            serde_json::Value::String(text) => text.split_once(' '),
            serde_json::Value::Array(pair) if pair.len() == 2 => pair[0].as_str().zip(pair[1].as_str()),
            _ => None,
        };
        let fits = pair.is_some_and(|(a, b)| {
            vocab.contains_key(a) && vocab.contains_key(b) && vocab.contains_key(&format!("{a}{b}"))
        });
        if !fits {
            return Err(format!("its merge {merge} does not lead to a token of the vocabulary").into());
        }
    }
    Ok(())
}

/// The ids by piece. Of two tokens with the same piece, text can only give the first.
fn vocabulary<'a>(tokens: &[&'a str], usable: impl Fn(usize) -> bool) -> AHashMap<&'a str, u32> {
    let mut vocab = AHashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate().filter(|(id, _)| usable(*id)) {
        vocab.entry(*token).or_insert(id as u32);
    }
    vocab
}

/// The vocabulary in the library's type.
fn owned(vocab: &AHashMap<&str, u32>) -> AHashMap<String, u32> {
    vocab.iter().map(|(&token, &id)| (token.to_owned(), id)).collect()
}

fn library(path: &Path, error: tokenizers::Error) -> ModelError {
    ModelError::malformed(path, format!("its tokeniser cannot be built: {error}"))
}

/// Whether a token has the name of a control token, such as `<|end|>`, `<start_of_image>` or `[multimodal]`. `<table>`
/// and `</b>` are text.
fn is_mark(token: &str) -> bool {
    let within = |open: &str, close: &str| token.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
    let named = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_/-".contains(c));
    within("<|", "|>").is_some()
        || within("<", ">").is_some_and(|name| named(name) && name.contains('_'))
        || within("[", "]").is_some_and(named)
}

/// Adds the user-defined tokens. They are cut out of a text before any other step, as in llama.cpp. Control tokens
/// never are.
fn add_user_defined(inner: &mut tokenizers::Tokenizer, path: &Path, tokens: &[&str], types: &[u32]) -> Result<()> {
    let added: Vec<AddedToken> = tokens
        .iter()
        .zip(types)
        .filter(|(token, kind)| **kind == USER_DEFINED && !token.is_empty())
        .map(|(token, _)| AddedToken::from(token.to_string(), false).normalized(false))
        .collect();
    inner.add_tokens(added).map_err(|e| library(path, e))?;
    inner.set_encode_special_tokens(true);
    Ok(())
}

/// The name of a GGUF file's pre-tokeniser; empty if the file names none.
fn pre_tokenizer(file: &Gguf) -> &str {
    file.string("tokenizer.ggml.pre").unwrap_or_default()
}

/// Whether a pre-tokeniser is Llama 3's: these are llama.cpp's names for it.
fn is_llama3(pre: &str) -> bool {
    matches!(
        pre,
        "llama-bpe" | "llama3" | "llama-v3" | "falcon3" | "falcon-h1" | "pixtral" | "midm-2.0" | "lfm2"
    )
}

fn byte_level_from_gguf(file: &Gguf, tokens: &[&str], types: &[u32]) -> Result<(tokenizers::Tokenizer, TokenBytes)> {
    let path = file.path();
    let split = |pattern: &str| -> Result<PreTokenizerWrapper> {
        let pattern = SplitPattern::Regex(pattern.to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(|e| library(path, e))?;
        Ok(split.into())
    };
    let (mut steps, ignore_merges) = match pre_tokenizer(file) {
        "smollm" => (vec![split(r"\p{N}")?, split(GPT2_PATTERN)?], false),
        "gpt-2" => (vec![split(GPT2_PATTERN)?], false),
        "qwen2" | "deepseek-r1-qwen" => (vec![split(QWEN2_PATTERN)?], false),
        pre if is_llama3(pre) => (vec![split(LLAMA3_PATTERN)?], true),
        "smaug-bpe" => (vec![split(LLAMA3_PATTERN)?], false),
        other => {
            return Err(ModelError::unsupported(
                path,
                format!(
                    "the pre-tokeniser {other:?} is not covered; smollm, gpt-2, qwen2, llama-bpe and smaug-bpe are; \
                     name the model's folder with its tokenizer.json instead"
                ),
            ));
        }
    };
    steps.push(ByteLevel::new(false, false, false).into());
    // In a sound file no merge leads to a control token. Leave these tokens out, so that no file can make one from
    // text.
    let vocab = vocabulary(tokens, |id| types[id] != CONTROL && types[id] != UNUSED);
    let merges = file.strings("tokenizer.ggml.merges");
    let merges = merges.ok_or_else(|| ModelError::malformed(path, "it holds no merges"))?;
    let mut pairs = Vec::with_capacity(merges.len());
    let mut merged = String::new();
    for merge in merges {
        // No piece of a byte-level vocabulary contains a space, so the first space separates the two pieces.
        let pair = merge.split_once(' ').filter(|(a, b)| {
            merged.clear();
            merged.push_str(a);
            merged.push_str(b);
            vocab.contains_key(*a) && vocab.contains_key(*b) && vocab.contains_key(merged.as_str())
        });
        let (a, b) = pair.ok_or_else(|| {
            ModelError::malformed(
                path,
                format!("its merge {merge:?} does not lead to a token of the vocabulary"),
            )
        })?;
        pairs.push((a.to_owned(), b.to_owned()));
    }
    let bpe = BPE::builder().vocab_and_merges(owned(&vocab), pairs);
    let bpe = bpe.ignore_merges(ignore_merges).build().map_err(|e| library(path, e))?;
    let mut inner = tokenizers::Tokenizer::new(bpe);
    inner.with_pre_tokenizer(Some(Sequence::new(steps)));
    add_user_defined(&mut inner, path, tokens, types)?;
    let table = byte_of_char();
    let pieces = tokens.iter().zip(types).map(|(token, kind)| match *kind {
        CONTROL | USER_DEFINED | UNUSED => token.as_bytes().to_vec(),
        _ => byte_level_bytes(token, &table),
    });
    Ok((inner, TokenBytes::new(pieces)))
}

/// SentencePiece's BPE always merges the pair whose result has the highest score. To write this as BPE merges, every
/// split of every piece into two pieces becomes a merge, sorted by the score of the piece.
fn sentencepiece_from_gguf(file: &Gguf, tokens: &[&str], types: &[u32]) -> Result<(tokenizers::Tokenizer, TokenBytes)> {
    let path = file.path();
    let scores = file
        .numbers("tokenizer.ggml.scores")
        .filter(|s| s.len() == tokens.len());
    let scores = scores.ok_or_else(|| ModelError::malformed(path, "its vocabulary has no scores"))?;
    let vocab = vocabulary(tokens, |id| types[id] != CONTROL && types[id] != UNUSED);
    // Merging never makes a byte token, which stands for a byte that no piece covers, or a user-defined token, which is
    // cut out of the text before.
    let splits = |(id, token): (usize, &&str)| {
        let made = types[id] == 1 && vocab.get(*token) == Some(&(id as u32));
        let ends = token
            .char_indices()
            .skip(if made { 1 } else { usize::MAX })
            .map(|(at, _)| at);
        let ends = ends.filter(|&at| vocab.contains_key(&token[..at]) && vocab.contains_key(&token[at..]));
        ends.map(|at| (scores[id], id as u32, at)).collect::<Vec<_>>()
    };
    let mut merges: Vec<(f64, u32, usize)> = tokens.par_iter().enumerate().flat_map_iter(splits).collect();
    // Models have about two merges per token, of a few bytes each. Pieces that split in every possible way would take
    // memory proportional to the cube of the file's size.
    let bytes: usize = merges.iter().map(|&(_, id, _)| tokens[id as usize].len()).sum();
    let pieces: usize = tokens.iter().map(|token| token.len()).sum();
    if merges.len() > 4 * tokens.len() + 4096 || bytes > 16 * pieces + (1 << 20) {
        return Err(ModelError::malformed(
            path,
            "its pieces can be split into one another in too many ways",
        ));
    }
    merges.par_sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(b.2.cmp(&a.2)));
    let pairs = merges.par_iter().map(|&(_, id, at)| {
        let token = tokens[id as usize];
        (token[..at].to_owned(), token[at..].to_owned())
    });
    let pairs = pairs.collect();
    let unknown = file
        .integer("tokenizer.ggml.unknown_token_id")
        .and_then(|id| tokens.get(id));
    let mut vocab = owned(&vocab);
    let mut bpe = BPE::builder().byte_fallback(true).fuse_unk(true);
    if let Some(unknown) = unknown {
        let id = file.integer("tokenizer.ggml.unknown_token_id").unwrap_or_default() as u32;
        vocab.entry((*unknown).to_owned()).or_insert(id);
        bpe = bpe.unk_token((*unknown).to_owned());
    }
    let bpe = bpe
        .vocab_and_merges(vocab, pairs)
        .build()
        .map_err(|e| library(path, e))?;
    let mut inner = tokenizers::Tokenizer::new(bpe);
    let mark = SPACE_MARK.to_string();
    let spaces = Replace::new(" ", mark.as_str()).map_err(|e| library(path, e))?;
    if file.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true) {
        let prefix = tokenizers::normalizers::Prepend::new(mark);
        let steps = vec![prefix.into(), spaces.into()];
        let steps = tokenizers::normalizers::Sequence::new(steps);
        inner.with_normalizer(Some(steps)).map_err(|e| library(path, e))?;
    } else {
        inner.with_normalizer(Some(spaces)).map_err(|e| library(path, e))?;
    }
    add_user_defined(&mut inner, path, tokens, types)?;
    let pieces = tokens.iter().zip(types).map(|(token, kind)| match *kind {
        CONTROL | USER_DEFINED | UNUSED => token.as_bytes().to_vec(),
        _ => sentencepiece_bytes(token),
    });
    Ok((inner, TokenBytes::new(pieces)))
}
