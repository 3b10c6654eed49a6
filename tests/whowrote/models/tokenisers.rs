//! The real tokenisers on texts that nobody would write.

use crate::common;
use proptest::prelude::*;
use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Instant;
use whowrote::model::gguf::Gguf;
use whowrote::model::tokenizer::Tokenizer;
use whowrote::stats::word_boundaries::borders;

struct Real {
    name: &'static str,
    tokenizer: Tokenizer,
    /// Tokens that no text may become: control and unused ones, and those that the file calls text and are none.
    forbidden: HashSet<u32>,
    /// The bytes that have a token of their own.
    bytes: [bool; 256],
}

static REAL: LazyLock<Vec<Real>> = LazyLock::new(|| {
    let names = ["smollm2-135m-instruct", "gemma-3-270m", "qwen2.5-coder-0.5b-instruct"];
    names
        .into_iter()
        .map(|name| {
            let file = Gguf::open(&common::model_file(name)).unwrap();
            let started = Instant::now();
            let tokenizer = Tokenizer::from_gguf(&file, name).unwrap();
            println!("{name}: tokeniser built in {:.2} s", started.elapsed().as_secs_f64());
            let types = file.numbers("tokenizer.ggml.token_type").unwrap();
            let called_text = ["[multimodal]", "<start_of_image>", "<end_of_image>"];
            let tokens = file.strings("tokenizer.ggml.tokens").unwrap();
            let forbidden = (0..).zip(types.iter().zip(&tokens));
            let forbidden =
                forbidden.filter(|(_, (kind, token))| [3.0, 5.0].contains(*kind) || called_text.contains(token));
            let mut bytes = [false; 256];
            for id in 0..tokenizer.len() as u32 {
                if let [byte] = tokenizer.bytes(id) {
                    bytes[usize::from(*byte)] = true;
                }
            }
            let lacking: Vec<usize> = (0..256).filter(|&byte| !bytes[byte]).collect();
            println!("{name} has no token for the bytes {lacking:02x?}");
            Real {
                name,
                bytes,
                tokenizer,
                forbidden: forbidden.map(|(id, _)| id).collect(),
            }
        })
        .collect()
});

/// Whether the tokens of a text must spell it. SentencePiece's own mark in a text is the same token as a space. And
/// whether every byte of the text is one that the tokeniser can write. SmolLM2's vocabulary lacks tokens for 21 bytes
/// that it never met, and leaves such bytes out without a word, as its own tokeniser and llama.cpp do: its tokens then
/// cover the text with the bytes left out, and do not stand for it.
fn can_write(real: &Real, text: &str) -> bool {
    let marked = real.name.starts_with("gemma") && text.contains('▁');
    !marked && text.bytes().all(|byte| real.bytes[usize::from(byte)])
}

/// What is wrong with how a tokeniser cuts a text, if anything is.
fn fault(real: &Real, text: &str) -> Option<String> {
    let tokens = real.tokenizer.encode(text).unwrap();
    let exact = can_write(real, text);
    let mut at = 0;
    for (&id, span) in tokens.ids.iter().zip(&tokens.spans) {
        if span.start != at || span.end < span.start {
            return Some(format!("gap at byte {at}"));
        }
        if exact && real.tokenizer.bytes(id) != &text.as_bytes()[span.clone()] {
            return Some(format!("token {id} does not stand for bytes {span:?}"));
        }
        if real.forbidden.contains(&id) {
            return Some(format!("control token {id}"));
        }
        at = span.end;
    }
    if tokens.ids.is_empty() && !exact {
        return None;
    }
    if at != text.len() || tokens.ids.len() != tokens.spans.len() {
        return Some(format!("the spans end at byte {at} of {}", text.len()));
    }
    let starts: Vec<usize> = tokens.spans.iter().map(|span| span.start).collect();
    for border in borders(text) {
        let Ok(index) = starts.binary_search(&border) else {
            continue;
        };
        let cut = real.tokenizer.encode(&text[..border]).unwrap();
        if cut.ids != tokens.ids[..index] {
            return Some(format!(
                "cut at byte {border} the tokens are {:?}, not {:?}",
                cut.ids,
                &tokens.ids[..index]
            ));
        }
    }
    None
}

/// Texts of pieces that are hard on tokenisers.
fn texts() -> impl Strategy<Value = String> {
    let special = prop::sample::select(vec![
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<|im_start|>",
        "<|im_end|>",
        "<|endoftext|>",
        "<end_of_turn>",
        "<start_of_turn>",
        "<unused0>",
        "<0x0A>",
        "▁",
        "▁▁",
        "Ġ",
        "Ċ",
        "\u{fffd}",
        "\u{feff}",
        "[multimodal]",
        "<start_of_image>",
        "<end_of_image>",
        "<|fim_prefix|>",
        "<table>",
        "</h1>",
        "'s",
        "'LL",
        "1234567",
        "e\u{301}",
        "👩‍👩‍👧",
        "🦀",
        "ﬁ",
        "ß",
        "ǆ",
    ]);
    let piece = prop_oneof![
        3 => special.prop_map(str::to_owned),
        2 => (1..40usize).prop_map(|n| " ".repeat(n)),
        2 => (1..20usize).prop_map(|n| "\n".repeat(n)),
        1 => "[ \t\r\n\u{a0}\u{3000}\u{2028}]{1,12}",
        3 => "[a-z]{1,9}( [a-z]{1,9}){0,4}",
        1 => "[A-Za-z0-9'.,;:!?-]{1,12}",
        1 => "[а-яα-ωא-ת一-龥ぁ-んก-ฮ]{1,8}",
        1 => "[\u{0}-\u{1f}\u{7f}-\u{9f}]{1,4}",
        2 => "\\PC{1,10}",
        1 => prop::collection::vec(any::<char>(), 1..8).prop_map(|c| c.into_iter().collect()),
        2 => Just(" ".to_owned()),
    ];
    prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_cover_the_text_and_a_cut_at_a_word_border_changes_nothing_before_it(text in texts()) {
        for real in REAL.iter() {
            if let Some(fault) = fault(real, &text) {
                prop_assert!(false, "{}: {fault}", real.name);
            }
        }
    }
}

#[test]
fn very_long_runs_are_tokenised() {
    for real in REAL.iter() {
        for run in [" ", "\n", "a", "=", "\t", "é", "1"] {
            let started = Instant::now();
            let text = format!("a{}b c", run.repeat(20_000));
            assert_eq!(fault(real, &text), None, "{} {run:?}", real.name);
            let seconds = started.elapsed().as_secs_f64();
            if seconds > 1.0 {
                println!("{}: a run of {run:?} took {seconds:.1} s", real.name);
            }
        }
    }
}
