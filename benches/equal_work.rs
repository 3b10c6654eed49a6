//! Prefill of 512-token windows with logits at every position, compared with llama.cpp on the same file and text.
//!
//!     cargo bench --bench equal_work
//!
//! `equal_work_peer.py` runs llama.cpp, in the Python that `WHOWROTE_BENCH_PYTHON` names (default `python3`). That
//! Python needs llama-cpp-python; without it only our own speed is printed. The two programs take turns, round by
//! round, on two threads each. llama.cpp computes logits; we compute logits and all statistics. Every round also
//! measures the peak speed of multiplication on the machine, on shapes from the models.

#[path = "../tests/common/model_file.rs"]
mod common;

use candle_core::{Device, Tensor};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;
use whowrote::model::LanguageModel;
use whowrote::scoring::reduce;

const WINDOW: usize = 512;
const WINDOWS: usize = 8;
const ROUNDS: usize = 7;

struct Peer {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Peer {
    /// Starts the peer and waits until it has loaded the model. None if it cannot run.
    fn start(model: &Path, ids: &[u32]) -> Option<Self> {
        let python = std::env::var("WHOWROTE_BENCH_PYTHON").unwrap_or("python3".into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/equal_work_peer.py");
        let mut child = Command::new(python)
            .args([script.as_ref(), model.as_os_str()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let out = BufReader::new(child.stdout.take()?);
        let mut peer = Self { child, out };
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        peer.ask(&ids.join(" ")).map(|_| peer)
    }

    fn ask(&mut self, line: &str) -> Option<f64> {
        writeln!(self.child.stdin.as_mut()?, "{line}").ok()?;
        let mut answer = String::new();
        self.out.read_line(&mut answer).ok()?;
        answer.trim().parse().ok()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours(model: &LanguageModel, ids: &[u32]) -> f64 {
    let start = Instant::now();
    for window in ids.chunks_exact(WINDOW) {
        let hidden = model.decoder().forward(window, 1, None).unwrap();
        // The logits of every position, as in the peer. The last position has no next token, so any token will do.
        let seen: Vec<u32> = window.iter().skip(1).copied().chain([0]).collect();
        std::hint::black_box(reduce(model, &hidden, &seen, &[1.0], None).unwrap());
    }
    ids.len() as f64 / start.elapsed().as_secs_f64()
}

/// GFLOP/s of candle's f32 multiplication with 512 rows: the best over the shapes of the models.
fn peak() -> f64 {
    let shape = |k: usize, n: usize| {
        let a = Tensor::rand(-1f32, 1f32, (WINDOW, k), &Device::Cpu).unwrap();
        let b = Tensor::rand(-1f32, 1f32, (n, k), &Device::Cpu).unwrap().t().unwrap();
        let best = (0..4)
            .map(|_| {
                let start = Instant::now();
                std::hint::black_box(a.matmul(&b).unwrap());
                start.elapsed().as_secs_f64()
            })
            .fold(f64::INFINITY, f64::min);
        2.0 * (WINDOW * k * n) as f64 / best / 1e9
    };
    [(576, 3072), (1536, 576), (640, 4096), (2048, 640), (1024, 4096)]
        .map(|(k, n)| shape(k, n))
        .into_iter()
        .fold(0.0, f64::max)
}

/// Multiplications and additions per token with the weight matrices.
fn flop(model: &LanguageModel) -> f64 {
    let a = model.decoder().architecture();
    let layer = a.hidden * (a.heads + 2 * a.kv_heads) * a.head_dim
        + a.heads * a.head_dim * a.hidden
        + 3 * a.hidden * a.intermediate;
    2.0 * (a.layers.len() * layer + a.hidden * model.decoder().vocab()) as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let _ = rayon::ThreadPoolBuilder::new().num_threads(2).build_global();
    let letter = include_str!("../samples/letter.txt");
    for name in ["smollm2-135m-instruct", "gemma-3-270m"] {
        let path = common::model_file(name);
        let model = LanguageModel::load(name, &path, &Device::Cpu, u64::MAX).unwrap();
        let mut ids = Vec::new();
        while ids.len() < WINDOW * WINDOWS {
            ids.extend(model.tokenizer().encode(letter).unwrap().ids);
        }
        ids.truncate(WINDOW * WINDOWS);
        let mut peer = Peer::start(&path, &ids);
        if peer.is_none() {
            println!("{name}: no peer (llama-cpp-python is not in WHOWROTE_BENCH_PYTHON)");
        }
        let (mut own, mut other, mut peaks, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        ours(&model, &ids[..WINDOW]);
        for round in 1..=ROUNDS {
            peaks.push(peak());
            own.push(ours(&model, &ids));
            let theirs = peer
                .as_mut()
                .and_then(|p| p.ask("go"))
                .map(|seconds| ids.len() as f64 / seconds);
            if let Some(theirs) = theirs {
                other.push(theirs);
                ratios.push(own[own.len() - 1] / theirs);
            }
            println!(
                "{name} round {round}: ours {:.0} tokens/s, llama.cpp {:.0}, multiplication peak {:.0} GFLOP/s",
                own[own.len() - 1],
                theirs.unwrap_or(f64::NAN),
                peaks[peaks.len() - 1]
            );
        }
        // Compare each round with its own peak, because the machine's speed differs from round to round.
        let shares = own
            .iter()
            .zip(&peaks)
            .map(|(own, peak)| own * flop(&model) / 1e9 / peak);
        let share = median(&mut shares.collect::<Vec<f64>>());
        println!(
            "{name}: median {:.0} tokens/s, median {:.0}% of the round's multiplication peak (median {:.0} GFLOP/s)",
            median(&mut own),
            100.0 * share,
            median(&mut peaks)
        );
        if !ratios.is_empty() {
            let theirs = median(&mut other);
            println!(
                "{name}: llama.cpp median {theirs:.0} tokens/s, median ratio {:.2}",
                median(&mut ratios)
            );
        }
    }
}
