//! Damaged and hostile model files: each loads or is refused with an error, without a panic, and never takes more
//! memory than a multiple of its size.
//!
//! These tests are a binary of their own: its allocator counts what the whole process has in use.

#[allow(dead_code, reason = "each test takes what it needs")]
#[path = "common/tiny.rs"]
mod tiny;

use candle_core::quantized::gguf_file::Value;
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use proptest::prelude::*;
use serde_json::json;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard};
use tiny::{ArchitectureFamily, FAMILIES, Tiny};
use whowrote::model::LanguageModel;
use whowrote::model::chat::unknown_prompt_ids;
use whowrote::scoring::{Scoring, score};

/// The system's allocator, with the bytes in use counted.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn grown(by: usize) {
    let now = IN_USE.fetch_add(by, Ordering::Relaxed) + by;
    PEAK.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // Counted in full, although the system hands out zeroed pages only when they are touched.
        grown(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        grown(size);
        IN_USE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// One case at a time, so that what is counted is its own.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// Room that any model may take whatever its size: rotary tables and a tile of logits.
const ROOM: usize = 64 << 20;
const TEXT: &str = "the thing <bos> and <|im_start|> the other\n\n  12 \u{1f980} aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0 \
                    end of the story and the   rest";

fn size(path: &Path) -> usize {
    if path.is_dir() {
        let files = std::fs::read_dir(path).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len() as usize).sum()
    } else {
        std::fs::metadata(path).unwrap().len() as usize
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Scored,
    Refused,
}

/// Loads and scores, both with weights unpacked and with weights left as they are.
fn attempt(path: &Path) -> Result<End, String> {
    let mut end = End::Refused;
    for memory in [u64::MAX, 0] {
        let before = IN_USE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let run = || {
            let model = LanguageModel::load("hostile", path, &Device::Cpu, memory).map_err(|e| e.to_string())?;
            score(&model, TEXT, &Scoring::at(vec![0.5, 1.0, 2.0])).map_err(|e| e.to_string())
        };
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok(Ok(_)) => end = End::Scored,
            Ok(Err(message)) if message.trim().is_empty() => return Err("an error without a word".into()),
            Ok(Err(_)) => {}
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| s.to_string()));
                return Err(format!("panic: {}", text.unwrap_or_default()));
            }
        }
        let taken = PEAK.load(Ordering::Relaxed).saturating_sub(before);
        let allowed = ROOM + 40 * size(path);
        if taken > allowed {
            return Err(format!("{taken} bytes in use at once; allowed are {allowed}"));
        }
    }
    Ok(end)
}

/// A sound model as GGUF and as a folder: file names with their bytes.
struct Sound {
    gguf: Vec<u8>,
    folder: BTreeMap<String, Vec<u8>>,
}

static SOUND: LazyLock<Vec<Sound>> = LazyLock::new(|| {
    let kinds = [
        (GgmlDType::F32, DType::F32, 1),
        (GgmlDType::Q4_0, DType::F16, 2),
        (GgmlDType::Q8_0, DType::BF16, 1),
        (GgmlDType::F16, DType::F32, 2),
        (GgmlDType::BF16, DType::F16, 1),
        (GgmlDType::Q5_1, DType::BF16, 2),
    ];
    FAMILIES
        .into_iter()
        .zip(kinds)
        .map(|(family, (packed, dtype, shards))| {
            let folder = tempfile::tempdir().unwrap();
            let tiny = Tiny::new(family, 20);
            tiny.write_folder(folder.path(), dtype, shards);
            let files = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
            let files = files.map(|file| {
                let name = file.file_name().into_string().unwrap();
                (name, std::fs::read(file.path()).unwrap())
            });
            let files = files.collect();
            let path = folder.path().join("tiny.gguf");
            tiny.write_gguf(&path, packed);
            Sound {
                gguf: std::fs::read(path).unwrap(),
                folder: files,
            }
        })
        .collect()
});

fn attempt_gguf(bytes: &[u8]) -> Result<End, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hostile.gguf");
    std::fs::write(&path, bytes).unwrap();
    attempt(&path)
}

fn folder_of(files: &BTreeMap<String, Vec<u8>>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn attempt_folder(files: &BTreeMap<String, Vec<u8>>) -> Result<End, String> {
    attempt(folder_of(files).path())
}

/// Damage to a file's bytes. Places are fractions of the header or of the whole.
#[derive(Clone, Debug)]
enum Damage {
    Cut(f64),
    Flip(Vec<(bool, f64, u8)>),
    Number(bool, f64, u64, bool),
    Insert(f64, Vec<u8>),
    Remove(f64, usize),
}

const ODD: [u64; 16] = [
    0,
    1,
    2,
    3,
    7,
    0xff,
    0x100,
    0xffff,
    1 << 20,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    1 << 40,
    1 << 60,
    u64::MAX / 2 + 1,
    u64::MAX,
];

fn damage() -> impl Strategy<Value = Damage> {
    let place = || 0.0..1.0f64;
    prop_oneof![
        place().prop_map(Damage::Cut),
        prop::collection::vec((any::<bool>(), place(), 1u8..), 1..12).prop_map(Damage::Flip),
        (
            any::<bool>(),
            place(),
            prop::sample::select(ODD.to_vec()),
            any::<bool>()
        )
            .prop_map(|(header, at, number, wide)| Damage::Number(header, at, number, wide)),
        (place(), prop::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (place(), 1..200usize).prop_map(|(at, n)| Damage::Remove(at, n)),
    ]
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, header: usize) {
        let at = |in_header: bool, place: f64, length: usize| {
            let end = if in_header { header.min(length) } else { length };
            ((place * end as f64) as usize).min(length.saturating_sub(1))
        };
        match self {
            Self::Cut(place) => bytes.truncate(at(false, *place, bytes.len())),
            Self::Flip(flips) => {
                for (in_header, place, mask) in flips {
                    let i = at(*in_header, *place, bytes.len());
                    bytes[i] ^= mask;
                }
            }
            Self::Number(in_header, place, number, wide) => {
                let i = at(*in_header, *place, bytes.len());
                let number = number.to_le_bytes();
                let width = if *wide { 8 } else { 4 };
                for (byte, new) in bytes[i..].iter_mut().zip(&number[..width]) {
                    *byte = *new;
                }
            }
            Self::Insert(place, new) => {
                let i = at(true, *place, bytes.len());
                bytes.splice(i..i, new.iter().copied());
            }
            Self::Remove(place, n) => {
                let i = at(true, *place, bytes.len());
                let end = (i + n).min(bytes.len());
                bytes.drain(i..end);
            }
        }
    }
}

/// Bytes before the weights of a tiny GGUF file: its vocabulary takes most of them.
fn gguf_header(bytes: &[u8]) -> usize {
    bytes.len().min(24 << 10)
}

fn odd_values() -> Vec<Value> {
    let nested = Value::Array(vec![Value::Array(vec![Value::U8(1)])]);
    vec![
        Value::U32(0),
        Value::U32(1),
        Value::U32(3),
        Value::U32(5),
        Value::U32(1 << 20),
        Value::U32(u32::MAX),
        Value::U64(1 << 33),
        Value::U64(1 << 60),
        Value::U64(u64::MAX),
        Value::I32(-1),
        Value::I64(i64::MIN),
        Value::F32(f32::NAN),
        Value::F32(-1.0),
        Value::F32(0.0),
        Value::F32(f32::INFINITY),
        Value::F64(1e308),
        Value::Bool(true),
        Value::String(String::new()),
        Value::String("gpt2".into()),
        Value::String("llama".into()),
        Value::String("none".into()),
        Value::String("x".repeat(5000)),
        Value::Array(Vec::new()),
        Value::Array(vec![Value::Array(vec![nested.clone()])]),
        nested,
        Value::Array(vec![Value::F32(f32::NAN); 270]),
        Value::Array(vec![Value::I32(4); 270]),
        Value::Array(vec![Value::I32(3); 270]),
        Value::Array(vec![Value::I32(1); 270]),
        Value::Array((1..=270).map(|n| Value::String("a".repeat(n))).collect()),
        Value::Array(vec![Value::String("a a".into()), Value::String("Ġ t".into())]),
        Value::Array(vec![Value::String(String::new()); 270]),
    ]
}

/// Keys beside those that the file has.
const MORE_KEYS: [&str; 9] = [
    "general.alignment",
    "llama.expert_count",
    "llama.rope.scaling.type",
    "llama.rope.scaling.factor",
    "gemma3.final_logit_softcapping",
    "gemma3.attn_logit_softcapping",
    "tokenizer.ggml.add_space_prefix",
    "split.count",
    "general.type",
];

/// A change to a GGUF file that is well-formed otherwise.
#[derive(Clone, Debug)]
enum Edit {
    Set(usize, usize),
    Drop(usize),
    Twice(usize),
    DropTensor(usize),
    Reshape(usize, usize),
    Repack(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let any = || any::<usize>();
    prop_oneof![
        6 => (any(), any()).prop_map(|(a, b)| Edit::Set(a, b)),
        1 => any().prop_map(Edit::Drop),
        1 => any().prop_map(Edit::Twice),
        1 => any().prop_map(Edit::DropTensor),
        1 => (any(), any()).prop_map(|(a, b)| Edit::Reshape(a, b)),
        1 => (any(), any()).prop_map(|(a, b)| Edit::Repack(a, b)),
    ]
}

impl Edit {
    fn apply(&self, metadata: &mut Vec<(String, Value)>, tensors: &mut Vec<(String, QTensor)>) {
        let unpacked = |tensor: &QTensor| tensor.dequantize(&Device::Cpu).unwrap();
        match *self {
            Self::Set(key, value) => {
                let values = odd_values();
                let value = values[value % values.len()].clone();
                let key = key % (metadata.len() + MORE_KEYS.len());
                match metadata.get_mut(key) {
                    Some(entry) => entry.1 = value,
                    None => metadata.push((MORE_KEYS[(key - metadata.len()) % MORE_KEYS.len()].into(), value)),
                }
            }
            Self::Drop(key) => drop(metadata.remove(key % metadata.len())),
            Self::Twice(key) => metadata.push(metadata[key % metadata.len()].clone()),
            Self::DropTensor(i) => drop(tensors.remove(i % tensors.len())),
            Self::Reshape(i, how) => {
                let i = i % tensors.len();
                let tensor = unpacked(&tensors[i].1);
                let n = tensor.elem_count();
                let shape: Vec<usize> = match how % 4 {
                    0 => vec![n],
                    1 => vec![1, n],
                    2 => vec![n / 32, 32],
                    _ => vec![1, 1, n / 32, 32],
                };
                let count: usize = shape.iter().product();
                let flat = tensor.flatten_all().unwrap().narrow(0, 0, count).unwrap();
                tensors[i].1 = QTensor::quantize(&flat.reshape(shape).unwrap(), GgmlDType::F32).unwrap();
            }
            Self::Repack(i, how) => {
                let i = i % tensors.len();
                let dtype = [GgmlDType::F16, GgmlDType::Q8_0, GgmlDType::Q4_1, GgmlDType::BF16][how % 4];
                let tensor = unpacked(&tensors[i].1);
                if tensor.dims().last().is_some_and(|n| n % dtype.block_size() == 0) {
                    tensors[i].1 = QTensor::quantize(&tensor, dtype).unwrap();
                }
            }
        }
    }
}

/// What may stand anywhere in a JSON file.
fn odd_json() -> Vec<serde_json::Value> {
    vec![
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(3),
        json!(-1),
        json!(0.5),
        json!(-1e300),
        json!(4096),
        json!(1u64 << 24),
        json!(u32::MAX),
        json!(1u64 << 60),
        json!(u64::MAX),
        json!(""),
        json!("x"),
        json!("\u{0}"),
        json!("▁".repeat(3000)),
        json!([]),
        json!({}),
        json!([[[[]]]]),
        json!([["a", "b"], ["zzz", "a"]]),
        json!(["a b", "a  b", "#version", "x y z"]),
        json!({"a": 0, "b": 0}),
        json!({"a": 16_000_000, "b": 5}),
        json!({"a": 1u64 << 40}),
        json!({"a": -1}),
        json!({"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 7}),
        json!({"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "b"}),
        json!({"type": "Precompiled", "precompiled_charsmap": "AAAAAAAAAAA="}),
        json!({"type": "FixedLength", "length": 0}),
        json!({"type": "Metaspace", "replacement": "ab"}),
        json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true}),
        json!({"type": "Replace", "pattern": {"Regex": "(a*)*b"}, "content": "x"}),
        json!({"type": "Replace", "pattern": {"Regex": "["}, "content": "x"}),
        json!({"type": "Replace", "pattern": {"Regex": "a|"}, "content": "aaaa"}),
        json!({"type": "Replace", "pattern": {"String": ""}, "content": "aaaa"}),
        json!({"type": "Replace", "pattern": {"String": "a"}, "content": ""}),
        json!({"type": "Replace", "pattern": {"String": "t"}, "content": "\u{1f980}\u{301}"}),
        json!({"type": "Prepend", "prepend": ""}),
        json!({"type": "Prepend", "prepend": "\u{1f980}"}),
        json!({"type": "ByteLevel"}),
        json!({"type": "Split", "pattern": {"Regex": "a|"}, "behavior": "Isolated", "invert": false}),
        json!({"type": "Split", "pattern": {"Regex": "(?=a)"}, "behavior": "MergedWithNext", "invert": true}),
        json!({"type": "Split", "pattern": {"String": "\n"}, "behavior": "Contiguous", "invert": true}),
        json!({"type": "Split", "pattern": {"Regex": "(?:a+)+$"}, "behavior": "Removed", "invert": true}),
        json!({"type": "Split", "pattern": {"Regex": "(a)\\1"}, "behavior": "Isolated", "invert": false}),
        json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip",
            "strip_left": true, "strip_right": true}, {"type": "StripAccents"}]}),
        json!({"type": "Sequence", "normalizers": vec![json!({"type": "Replace", "pattern": {"String": "a"},
            "content": "aaaaaaaaaa"}); 12]}),
        json!({"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "Isolated"},
            {"type": "Digits", "individual_digits": true}, {"type": "BertPreTokenizer"}]}),
        json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<none>", "type_id": 0}}],
            "pair": [], "special_tokens": {}}),
        json!({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "a", "type_id": 0}}],
            "pair": [], "special_tokens": {"a": {"id": "a", "ids": [4_000_000_000u32], "tokens": ["a"]}}}),
        json!({"type": "BertProcessing", "sep": ["x", 9], "cls": ["y"]}),
        json!({"direction": "Right", "max_length": 0, "strategy": "LongestFirst", "stride": 9}),
        json!({"strategy": {"Fixed": 1u64 << 40}, "direction": "Left", "pad_id": 0, "pad_type_id": 0, "pad_token": ""}),
        json!([{"id": 4_000_000_000u32, "content": "the", "single_word": true, "lstrip": true, "rstrip": true,
            "normalized": true, "special": false}, {"id": 2, "content": "the", "single_word": false, "lstrip": true,
            "rstrip": true, "normalized": true, "special": false}, {"id": 3, "content": " ", "single_word": false,
            "lstrip": true, "rstrip": true, "normalized": false, "special": false}]),
        json!([{"id": 999, "content": "a".repeat(4000), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true}]),
    ]
}

/// Replaces or removes one node: a step down at random at each level.
fn damage_json(value: &mut serde_json::Value, steps: &[usize], odd: usize) {
    use serde_json::Value as Json;
    let replacements = odd_json();
    // One odd value more than there are stands for removal.
    let odd = odd % (replacements.len() + 4);
    let children = match value {
        Json::Object(map) => map.len(),
        Json::Array(list) => list.len(),
        _ => 0,
    };
    let Some((&step, rest)) = steps.split_first().filter(|_| children > 0) else {
        *value = replacements.get(odd).cloned().unwrap_or_default();
        return;
    };
    let step = step % children;
    let remove = rest.is_empty() && odd >= replacements.len();
    match value {
        Json::Object(map) => {
            let key = map.keys().nth(step).cloned().unwrap_or_default();
            if remove {
                map.remove(&key);
            } else if let Some(child) = map.get_mut(&key) {
                damage_json(child, rest, odd);
            }
        }
        Json::Array(list) if remove => drop(list.remove(step)),
        Json::Array(list) => damage_json(&mut list[step], rest, odd),
        _ => {}
    }
}

/// As JSON, or damaged bytes where it is none.
fn edit_json(bytes: &mut Vec<u8>, edits: &[(Vec<usize>, usize)]) {
    let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
    for (steps, odd) in edits {
        damage_json(&mut json, steps, *odd);
    }
    *bytes = json.to_string().into_bytes();
}

fn json_edits(depth: usize) -> impl Strategy<Value = Vec<(Vec<usize>, usize)>> {
    let steps = prop::collection::vec(any::<usize>(), 1..=depth);
    prop::collection::vec((steps, any::<usize>()), 1..3)
}

const INDEX: &str = "model.safetensors.index.json";

/// The sound folder of Gemma 3 in two files, as a model that also reads pictures, with an index.
fn with_text_config() -> BTreeMap<String, Vec<u8>> {
    let mut files = SOUND[5].folder.clone();
    let text: serde_json::Value = serde_json::from_slice(&files["config.json"]).unwrap();
    let config = json!({"model_type": "gemma3", "text_config": text, "eos_token_id": [1]});
    files.insert("config.json".to_owned(), config.to_string().into_bytes());
    let mut file_of = serde_json::Map::new();
    for (file, bytes) in files.iter().filter(|(file, _)| file.ends_with(".safetensors")) {
        let directory = safetensors::SafeTensors::deserialize(bytes).unwrap();
        file_of.extend(
            directory
                .names()
                .into_iter()
                .map(|name| (name.to_string(), file.as_str().into())),
        );
    }
    let index = json!({"metadata": {}, "weight_map": file_of});
    files.insert(INDEX.to_owned(), index.to_string().into_bytes());
    files
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    }
}

#[test]
fn sound_files_load_and_score() {
    let _alone = alone();
    for sound in SOUND.iter() {
        assert_eq!(attempt_gguf(&sound.gguf), Ok(End::Scored));
        assert_eq!(attempt_folder(&sound.folder), Ok(End::Scored));
    }
    assert_eq!(attempt_folder(&with_text_config()), Ok(End::Scored));
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn damaged_gguf_files_are_refused_or_scored(which in 0..6usize, damages in prop::collection::vec(damage(), 1..3)) {
        let _alone = alone();
        let mut bytes = SOUND[which].gguf.clone();
        let header = gguf_header(&bytes);
        for damage in &damages {
            if !bytes.is_empty() {
                damage.apply(&mut bytes, header);
            }
        }
        prop_assert!(attempt_gguf(&bytes).is_ok(), "{:?}", attempt_gguf(&bytes));
    }

    #[test]
    fn odd_gguf_files_are_refused_or_scored(which in 0..6usize, edits in prop::collection::vec(edit(), 1..3)) {
        let _alone = alone();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.gguf");
        Tiny::new(FAMILIES[which], 21).write_gguf_with(&path, GgmlDType::F32, |metadata, tensors| {
            for edit in &edits {
                edit.apply(metadata, tensors);
            }
        });
        let end = attempt(&path);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn damaged_safetensors_are_refused_or_scored(
        which in 0..6usize,
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let _alone = alone();
        let mut files = SOUND[which].folder.clone();
        let (_, bytes) = files.iter_mut().find(|(name, _)| name.ends_with(".safetensors")).unwrap();
        let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        for damage in &damages {
            if !bytes.is_empty() {
                damage.apply(bytes, header);
            }
        }
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn safetensors_with_odd_directories_are_refused_or_scored(which in 0..6usize, edits in json_edits(4)) {
        let _alone = alone();
        let mut files = SOUND[which].folder.clone();
        let (_, bytes) = files.iter_mut().find(|(name, _)| name.ends_with(".safetensors")).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let mut header = bytes[8..8 + length].to_vec();
        edit_json(&mut header, &edits);
        let data = bytes[8 + length..].to_vec();
        *bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat();
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn odd_configurations_are_refused_or_scored(which in 0..6usize, edits in json_edits(1)) {
        let _alone = alone();
        let mut files = SOUND[which].folder.clone();
        edit_json(files.get_mut("config.json").unwrap(), &edits);
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn odd_configurations_with_a_text_config_are_refused_or_scored(edits in json_edits(3)) {
        let _alone = alone();
        let mut files = with_text_config();
        edit_json(files.get_mut("config.json").unwrap(), &edits);
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn odd_indexes_are_refused_or_scored(edits in json_edits(3)) {
        let _alone = alone();
        let mut files = with_text_config();
        edit_json(files.get_mut(INDEX).unwrap(), &edits);
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }

    #[test]
    fn odd_tokenisers_are_refused_or_scored(which in 0..6usize, edits in json_edits(5)) {
        let _alone = alone();
        let mut files = SOUND[which].folder.clone();
        let json = files.get_mut("tokenizer.json").unwrap();
        edit_json(json, &edits);
        let json = String::from_utf8_lossy(json).into_owned();
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}: {json}");
    }

    #[test]
    fn damaged_json_files_are_refused_or_scored(
        which in 0..6usize,
        tokenizer in any::<bool>(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let _alone = alone();
        let mut files = SOUND[which].folder.clone();
        let name = if tokenizer { "tokenizer.json" } else { "config.json" };
        let bytes = files.get_mut(name).unwrap();
        for damage in &damages {
            if !bytes.is_empty() {
                let all = bytes.len();
                damage.apply(bytes, all);
            }
        }
        let end = attempt_folder(&files);
        prop_assert!(end.is_ok(), "{end:?}");
    }
}

/// The refusals that a person will meet say what is wrong.
#[test]
fn named_attacks_are_refused() {
    let _alone = alone();
    let sound = &SOUND[0].folder;
    let refused = |file: &str, edit: &dyn Fn(&mut serde_json::Value), wanted: &str| {
        let mut files = sound.clone();
        let bytes = files.get_mut(file).unwrap();
        let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        edit(&mut json);
        *bytes = json.to_string().into_bytes();
        let folder = folder_of(&files);
        let before = IN_USE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let error = match LanguageModel::load("hostile", folder.path(), &Device::Cpu, u64::MAX) {
            Ok(_) => panic!("{wanted}: loaded"),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(wanted), "{wanted}: {error}");
        assert!(PEAK.load(Ordering::Relaxed) - before < ROOM, "{wanted}");
    };
    let config = "config.json";
    refused(config, &|c| c["num_attention_heads"] = json!(0), "number of heads");
    refused(
        config,
        &|c| c["num_hidden_layers"] = json!(1u64 << 60),
        "number of layers",
    );
    refused(config, &|c| c["head_dim"] = json!(15), "cannot be grouped or rotated");
    refused(config, &|c| c["head_dim"] = json!(1 << 20), "head width");
    refused(config, &|c| c["rms_norm_eps"] = json!(-1.0), "not a positive number");
    refused(config, &|c| c["hidden_act"] = json!("relu"), "activation");
    refused(config, &|c| c["mlp_bias"] = json!(true), "biases");
    let tokenizer = "tokenizer.json";
    refused(
        tokenizer,
        &|t| t["model"]["vocab"] = json!({}),
        "does not lead to a token",
    );
    refused(
        tokenizer,
        &|t| t["model"]["vocab"]["zzz"] = json!(16_000_000),
        "lie far apart",
    );
    refused(
        tokenizer,
        &|t| t["model"]["vocab"]["zzz"] = json!(300),
        "its tokeniser has 301",
    );
    refused(tokenizer, &|t| t["model"]["dropout"] = json!(0.1), "by chance");
    refused(
        tokenizer,
        &|t| t["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("(?:a+)+$"),
        "is not one that a tokeniser needs",
    );
    refused(
        tokenizer,
        &|t| t["normalizer"] = json!({"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        "is not covered",
    );
}

#[test]
fn tensors_that_share_bytes_are_refused() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shared.gguf");
    let numbers = Tensor::zeros((64, 64), DType::F32, &Device::Cpu).unwrap();
    let packed = QTensor::quantize(&numbers, GgmlDType::F32).unwrap();
    Tiny::new(ArchitectureFamily::Llama, 22).write_gguf_with(&path, GgmlDType::F32, |_, tensors| {
        tensors.push(("zzzz.one".into(), packed));
    });
    let mut bytes = std::fs::read(&path).unwrap();
    let name = b"zzzz.one";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap() + name.len();
    // Behind the name: rank, two dimensions, format, offset.
    let offset = at + 4 + 16 + 4;
    bytes[offset..offset + 8].copy_from_slice(&0u64.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let error = LanguageModel::load("hostile", &path, &Device::Cpu, u64::MAX)
        .err()
        .unwrap();
    assert!(error.to_string().contains("overlap"), "{error}");
}

/// The sound folder with one change; what is said of it when it is loaded and scores the text.
fn said_of(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>), text: &str) -> String {
    let mut files = SOUND[0].folder.clone();
    change(&mut files);
    let folder = folder_of(&files);
    let scored = LanguageModel::load("hostile", folder.path(), &Device::Cpu, u64::MAX).and_then(|model| {
        unknown_prompt_ids(&model)?;
        score(&model, text, &Scoring::at(vec![1.0]))
    });
    scored.err().map(|error| error.to_string()).unwrap_or_default()
}

/// Each star tries every length, so that the engine gives up, at which the library panics.
#[test]
fn a_pattern_that_gives_up_on_a_text_is_an_error() {
    let _alone = alone();
    let said = said_of(
        |files| {
            let bytes = files.get_mut("tokenizer.json").unwrap();
            let mut json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            json["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = json!("a*a*a*a*a*a*a*a*[^a]b");
            *bytes = json.to_string().into_bytes();
        },
        // The end keeps the engine from seeing at once that nothing can match.
        &format!("{} xb", "a".repeat(400)),
    );
    assert!(said.starts_with("the tokeniser of hostile failed"), "{said}");
}

#[test]
fn templates_that_call_themselves_without_end_are_errors() {
    let _alone = alone();
    let with_template = |template: String| {
        let insert = |files: &mut BTreeMap<String, Vec<u8>>| {
            files.insert("chat_template.jinja".to_owned(), template.into_bytes());
        };
        said_of(insert, TEXT)
    };
    let said = with_template("{{ strftime_now('%d' * 100000) }}{{ messages[0].content }}".to_owned());
    assert!(
        said.starts_with("the chat template of hostile cannot be used"),
        "{said}"
    );
    for open in [
        "{% generation %}".repeat(3000),
        "{% generation".to_owned(),
        "{% raw %}{% endgeneration %}".repeat(2000),
    ] {
        let said = with_template(format!("{open}{{% endgeneration %}}{{{{ messages[0].content }}}}"));
        assert!(
            said.starts_with("the chat template of hostile cannot be used"),
            "{said}"
        );
    }
    for (deep, count) in [
        ("-", 30_000),
        ("not ", 15_000),
        ("1 and ", 10_000),
        ("(", 30_000),
        ("[", 30_000),
    ] {
        let said = with_template(format!(
            "{{{{ {}1 }}}}{{{{ messages[0].content }}}}",
            deep.repeat(count)
        ));
        assert!(
            said.is_empty() || said.starts_with("the chat template of hostile cannot be used"),
            "{said}"
        );
    }
    let said = with_template("x".repeat(1 << 17));
    assert!(said.contains("longer than any template"), "{said}");
    let said = with_template("{{ messages[0].content }}".to_owned());
    assert_eq!(said, "");
}

#[test]
fn weights_that_are_no_numbers_are_told() {
    let _alone = alone();
    let said = said_of(
        |files| {
            let (_, weights) = files
                .iter_mut()
                .find(|(name, _)| name.ends_with(".safetensors"))
                .unwrap();
            let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
            weights[header..].fill(0xff);
        },
        TEXT,
    );
    assert!(said.contains("computes no numbers"), "{said}");
}
