//! The two halves of scoring, measured separately: the decoder, and the head with its statistics.
//!
//!     cargo bench --bench scoring

#[path = "../tests/common/model_file.rs"]
mod common;

use candle_core::Device;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use whowrote::model::LanguageModel;
use whowrote::scoring::reduce;

const WINDOW: usize = 256;

fn scoring(criterion: &mut Criterion) {
    let name = "smollm2-135m-instruct";
    let model = LanguageModel::load(name, &common::model_file(name), &Device::Cpu, u64::MAX).unwrap();
    let mut ids = model
        .tokenizer()
        .encode(include_str!("../samples/letter.txt"))
        .unwrap()
        .ids;
    ids.truncate(WINDOW);
    let hidden = model.decoder().forward(&ids, 1, None).unwrap();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).throughput(Throughput::Elements(ids.len() as u64));
    group.bench_function("decoder", |b| {
        b.iter(|| black_box(model.decoder().forward(&ids, 1, None).unwrap()));
    });
    for betas in [vec![1.0], vec![1.0, 1.4]] {
        group.bench_function(format!("head and statistics at {} temperatures", betas.len()), |b| {
            b.iter(|| black_box(reduce(&model, &hidden, &ids, &betas, None).unwrap()));
        });
    }
    group.finish();
}

criterion_group!(benches, scoring);
criterion_main!(benches);
