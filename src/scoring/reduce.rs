//! Turns hidden states into figures, one tile of the head at a time.

use crate::model::error::Result;
use crate::model::sampler::penalised;
use crate::model::{LanguageModel, multiply_into, with_values};
use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;
use whowrote_kernels::{GridSums, Row, RowSums};
use whowrote_stats::token_stats::{ABOVE, Reduced, SPACE, TEMPERATURE_GRID, TILT_COUNT, TILTS, TOP};

/// Rows of hidden states that are multiplied by a tile at a time, and symbols in a tile. 512 × 4,096 logits take 8 MiB:
/// enough for the multiplication to run at its peak speed, and few enough to stay in the cache.
pub(super) const TILE_ROWS: usize = 512;
pub(super) const TILE_SYMBOLS: usize = 4096;

/// A repetition penalty, as samplers use it: it changes the logit of every symbol that occurs before the row's token.
#[derive(Clone, Copy, Debug)]
pub struct Penalty<'a> {
    /// Divides positive logits and multiplies negative ones.
    pub factor: f32,
    /// Every symbol of prompt and text with the position of its first occurrence, sorted by symbol.
    pub places: &'a [(u32, usize)],
    /// The position of the first row's token.
    pub begin: usize,
}

impl Penalty<'_> {
    /// The penalised symbols of a row among the `symbols` symbols from `first` on.
    fn symbols(&self, first: u32, symbols: usize, row: usize) -> impl Iterator<Item = usize> {
        let from = self.places.partition_point(|(symbol, _)| *symbol < first);
        let inside = self.places[from..]
            .iter()
            .map(move |(symbol, place)| ((symbol - first) as usize, *place));
        inside
            .take_while(move |(symbol, _)| *symbol < symbols)
            .filter(move |(_, place)| *place < self.begin + row)
            .map(|(symbol, _)| symbol)
    }

    /// Penalises the logits `(rows, symbols)` of the symbols from `first` on.
    fn apply(&self, logits: &mut [f32], first: usize, symbols: usize) {
        for (row, logits) in logits.chunks_mut(symbols).enumerate() {
            for symbol in self.symbols(first as u32, symbols, row) {
                logits[symbol] = penalised(logits[symbol], self.factor);
            }
        }
    }

    /// Penalises the logits of the seen tokens, `(rows)`.
    fn apply_to_seen(&self, logits: &mut [f32], seen: &[u32]) {
        for (row, (logit, &symbol)) in logits.iter_mut().zip(seen).enumerate() {
            if self.symbols(symbol, 1, row).next().is_some() {
                *logit = penalised(*logit, self.factor);
            }
        }
    }
}

/// Multiplies hidden states `(rows, hidden)` by the head and reduces the logits to the figures of the tokens `seen`,
/// one token per row. At most 512 × 4,096 logits exist at a time.
///
/// # Errors
/// When the tensor library fails.
pub fn reduce(
    model: &LanguageModel,
    hidden: &Tensor,
    seen: &[u32],
    betas: &[f64],
    penalty: Option<Penalty<'_>>,
) -> Result<Reduced> {
    let mut out = Reduced::default();
    // Pad single rows: matrix-vector and matrix-matrix kernels round differently, and a row's figures must not depend
    // on the number of rows beside it.
    if let (&[alone], None) = (seen, penalty) {
        let twice = Tensor::cat(&[hidden, hidden], 0)?;
        return Ok(reduce(model, &twice, &[alone, alone], betas, None)?.take(1, betas.len()));
    }
    let mut start = 0;
    while start < seen.len() {
        // Never leave a single row for the last tile.
        let rows = match seen.len() - start {
            left if left == TILE_ROWS + 1 => TILE_ROWS - 1,
            left => left.min(TILE_ROWS),
        };
        let hidden = hidden.narrow(0, start, rows)?.contiguous()?;
        let seen = &seen[start..start + rows];
        let penalty = penalty.map(|penalty| Penalty {
            begin: penalty.begin + start,
            ..penalty
        });
        let part = match hidden.device() {
            Device::Cpu => on_cpu(model, &hidden, seen, betas, penalty)?,
            _ => on_device(model, &hidden, seen, betas, penalty)?,
        };
        out.extend(part);
        start += rows;
    }
    Ok(out)
}

/// Logits of the seen tokens, `(rows)`. They are computed before the tiles, so that one pass can count the ranks.
fn seen_logits(model: &LanguageModel, hidden: &Tensor, seen: &[u32]) -> candle_core::Result<Tensor> {
    let decoder = model.decoder();
    let rows = decoder.head().select(seen, hidden.device())?;
    decoder.cap((hidden * rows)?.sum(D::Minus1)?)
}

/// The first symbol and the number of symbols of each tile of the head.
pub(super) fn tiles(vocab: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..vocab)
        .step_by(TILE_SYMBOLS)
        .map(move |first| (first, (vocab - first).min(TILE_SYMBOLS)))
}

/// Writes the logits `(rows, symbols)` of a tile of the head into `buffer`, on any device. `unpacked` holds the
/// unpacked tile of packed weights. Both buffers are reused from tile to tile.
pub(super) fn tile_logits(
    model: &LanguageModel,
    hidden: &Tensor,
    first: usize,
    symbols: usize,
    unpacked: &mut Vec<f32>,
    buffer: &mut Vec<f32>,
) -> Result<()> {
    let (decoder, range) = (model.decoder(), first..first + symbols);
    if !matches!(hidden.device(), Device::Cpu) {
        let weight = decoder.head().tile(range, hidden.device())?;
        let logits = decoder.cap(hidden.matmul(&weight.t()?)?)?;
        *buffer = logits.flatten_all()?.to_vec1::<f32>()?;
        return Ok(());
    }
    let (rows, width) = (hidden.dim(0)?, decoder.architecture().hidden);
    decoder.head().with_rows(range, width, unpacked, |weight| {
        with_values(hidden, |x| multiply_into(x, rows, weight, symbols, buffer))
    })?;
    if let Some(cap) = decoder.architecture().final_softcap {
        let cap = cap as f32;
        buffer
            .par_iter_mut()
            .with_min_len(1 << 14)
            .for_each(|l| *l = cap * (*l / cap).tanh());
    }
    Ok(())
}

fn on_cpu(
    model: &LanguageModel,
    hidden: &Tensor,
    seen: &[u32],
    betas: &[f64],
    penalty: Option<Penalty<'_>>,
) -> Result<Reduced> {
    let decoder = model.decoder();
    let mut seen_logits = seen_logits(model, hidden, seen)?.to_vec1::<f32>()?;
    if let Some(penalty) = penalty {
        penalty.apply_to_seen(&mut seen_logits, seen);
    }
    let mut rows = vec![Row::new(betas.len()); seen.len()];
    let (mut unpacked, mut buffer) = (Vec::new(), Vec::new());
    for (first, symbols) in tiles(decoder.vocab()) {
        tile_logits(model, hidden, first, symbols, &mut unpacked, &mut buffer)?;
        if let Some(penalty) = penalty {
            penalty.apply(&mut buffer, first, symbols);
        }
        let space = &model.space_mask()[first..first + symbols];
        let tile = rows
            .par_iter_mut()
            .zip(buffer.par_chunks(symbols))
            .enumerate()
            .with_min_len(4);
        tile.for_each(|(i, (row, logits))| row.add(logits, space, first, betas, seen[i], seen_logits[i]));
    }
    let ranks = rows.iter().map(Row::rank).collect();
    let stats = rows.iter().flat_map(|row| row.stats(betas)).collect();
    let decoding = rows.par_iter().map(Row::decoding).collect();
    Ok(Reduced { ranks, stats, decoding })
}

/// The same sums in candle's own operations, for devices on which [`Row`] does not run. The device reduces each tile,
/// and only `4 + TILT_COUNT` numbers per row and temperature come back, with the sums and logits that decodings need.
fn on_device(
    model: &LanguageModel,
    hidden: &Tensor,
    seen: &[u32],
    betas: &[f64],
    penalty: Option<Penalty<'_>>,
) -> Result<Reduced> {
    let (decoder, device) = (model.decoder(), hidden.device());
    let mut seen_logits = seen_logits(model, hidden, seen)?;
    if let Some(penalty) = penalty {
        let mut moved = seen_logits.to_vec1::<f32>()?;
        penalty.apply_to_seen(&mut moved, seen);
        seen_logits = Tensor::new(moved, device)?;
    }
    let seen_logits = seen_logits.unsqueeze(1)?;
    let rows = seen.len();
    let mut max: Option<Tensor> = None;
    // The count leaves out the seen token itself: its logit may differ in the last bit between the two products.
    let mut above = Tensor::zeros((rows, 1), DType::F32, device)?;
    // For each temperature: weight, first, second, space and the tilted sums, each `(rows, 1)`.
    let mut sums: Vec<Vec<Tensor>> = Vec::new();
    let mut grid: Vec<Tensor> = Vec::new();
    let mut top = Tensor::full(f32::NEG_INFINITY, (rows, TOP), device)?;
    let ids = Tensor::new(seen, device)?.unsqueeze(1)?;
    for (first, symbols) in tiles(decoder.vocab()) {
        let weight = decoder.head().tile(first..first + symbols, device)?;
        let mut logits = decoder.cap(hidden.matmul(&weight.t()?)?)?;
        if let Some(penalty) = penalty {
            let mut moved = logits.flatten_all()?.to_vec1::<f32>()?;
            penalty.apply(&mut moved, first, symbols);
            logits = Tensor::from_vec(moved, (rows, symbols), device)?;
        }
        let index = Tensor::arange(first as u32, (first + symbols) as u32, device)?.unsqueeze(0)?;
        let others = ids.broadcast_ne(&index)?.to_dtype(DType::F32)?;
        let greater = (logits.broadcast_gt(&seen_logits)?.to_dtype(DType::F32)? * others)?;
        above = (above + greater.sum_keepdim(1)?)?;
        top = greatest(&top, &logits)?;
        let tile_max = logits.max_keepdim(1)?;
        let reference = match &max {
            Some(max) => max.maximum(&tile_max)?,
            None => tile_max,
        };
        let space = Tensor::new(&model.space_mask()[first..first + symbols], device)?.unsqueeze(0)?;
        let x = logits.broadcast_sub(&reference)?;
        for (i, &beta) in betas.iter().enumerate() {
            let e = (&x * beta)?.exp()?;
            let xe = (&x * &e)?;
            let mut tile_sums = vec![
                e.sum_keepdim(1)?,
                xe.sum_keepdim(1)?,
                (&x * &xe)?.sum_keepdim(1)?,
                e.broadcast_mul(&space)?.sum_keepdim(1)?,
            ];
            for s in TILTS {
                tile_sums.push((&x * ((1.0 - s) * beta))?.exp()?.sum_keepdim(1)?);
            }
            match (sums.get_mut(i), &max) {
                (Some(old), Some(max)) => {
                    let d = (max - &reference)?;
                    let factor = (&d * beta)?.exp()?;
                    let (weight, moment) = (old[0].clone(), old[1].clone());
                    let second = ((&old[2] + ((&d * 2.0)? * &moment)?)? + ((&d * &d)? * &weight)?)?;
                    old[2] = (&factor * second)?;
                    old[1] = (&factor * (moment + (&d * &weight)?)?)?;
                    old[0] = (&factor * weight)?;
                    old[3] = (&factor * &old[3])?;
                    for (sum, s) in old[4..].iter_mut().zip(TILTS) {
                        *sum = ((&d * ((1.0 - s) * beta))?.exp()? * &*sum)?;
                    }
                    for (sum, part) in old.iter_mut().zip(tile_sums) {
                        *sum = (&*sum + part)?;
                    }
                }
                _ => sums.push(tile_sums),
            }
        }
        let mut parts = Vec::with_capacity(TEMPERATURE_GRID.len() + ABOVE.len() + SPACE.len());
        for beta in TEMPERATURE_GRID {
            parts.push((&x * beta)?.exp()?.sum_keepdim(1)?);
        }
        for i in ABOVE {
            parts.push(((&x * TEMPERATURE_GRID[i])?.exp()? * &greater)?.sum_keepdim(1)?);
        }
        for i in SPACE {
            parts.push(
                (&x * TEMPERATURE_GRID[i])?
                    .exp()?
                    .broadcast_mul(&space)?
                    .sum_keepdim(1)?,
            );
        }
        if let Some(max) = &max {
            let d = (max - &reference)?;
            let betas = TEMPERATURE_GRID
                .into_iter()
                .chain(ABOVE.iter().chain(&SPACE).map(|&i| TEMPERATURE_GRID[i]));
            for ((part, old), beta) in parts.iter_mut().zip(&grid).zip(betas) {
                *part = (&*part + ((&d * beta)?.exp()? * old)?)?;
            }
        }
        grid = parts;
        max = Some(reference);
    }
    let Some(max) = max else { return Ok(Reduced::default()) };
    let top = top.broadcast_sub(&max)?.to_vec2::<f32>()?;
    let grid = Tensor::cat(&grid, 1)?.to_vec2::<f32>()?;
    let below = (max - seen_logits)?.flatten_all()?.to_vec1::<f32>()?;
    let decoding = grid.iter().zip(&top).zip(&below).map(|((sums, top), below)| {
        GridSums::from_sums(sums.iter().map(|&sum| f64::from(sum))).stats(-below, std::array::from_fn(|i| top[i]))
    });
    let decoding = decoding.collect();
    let ranks = above
        .flatten_all()?
        .to_vec1::<f32>()?
        .into_iter()
        .map(|n| n as u32 + 1)
        .collect();
    let tables = sums
        .iter()
        .map(|s| Tensor::cat(s, 1)?.to_vec2::<f32>())
        .collect::<candle_core::Result<Vec<_>>>()?;
    let mut stats = Vec::with_capacity(rows * betas.len());
    for (row, &below) in below.iter().enumerate() {
        for (table, &beta) in tables.iter().zip(betas) {
            let numbers = &table[row];
            let mut tilted = [0.0; TILT_COUNT];
            for (sum, number) in tilted.iter_mut().zip(&numbers[4..]) {
                *sum = f64::from(*number);
            }
            let [weight, first, second, space] = [0, 1, 2, 3].map(|i| f64::from(numbers[i]));
            stats.push(
                RowSums {
                    weight,
                    first,
                    second,
                    space,
                    tilted,
                }
                .stats(beta, f64::from(below)),
            );
        }
    }
    Ok(Reduced { ranks, stats, decoding })
}

/// The [`TOP`] greatest of `logits` `(rows, symbols)` and `before` `(rows, TOP)`, in descending order.
fn greatest(before: &Tensor, logits: &Tensor) -> candle_core::Result<Tensor> {
    // As many numbers as one block of GPU threads can sort.
    const SORTED: usize = 1024;
    let (rows, symbols) = logits.dims2()?;
    let padded = symbols.next_multiple_of(SORTED);
    let parts = padded / SORTED;
    let logits = match padded - symbols {
        0 => logits.clone(),
        missing => {
            let none = Tensor::full(f32::NEG_INFINITY, (rows, missing), logits.device())?;
            Tensor::cat(&[logits, &none], 1)?
        }
    };
    let (logits, _) = logits
        .reshape((rows * parts, SORTED))?
        .contiguous()?
        .sort_last_dim(false)?;
    let best = logits.narrow(1, 0, TOP)?.reshape((rows, parts * TOP))?;
    let (sorted, _) = Tensor::cat(&[before, &best], 1)?.contiguous()?.sort_last_dim(false)?;
    sorted.narrow(1, 0, TOP)
}

#[cfg(test)]
mod tests {
    use super::super::tiny::{ArchitectureFamily, Tiny};
    use super::*;
    use whowrote_stats::token_stats::DecodingStats;

    /// Two tiles of the head, the second one short, with logits up to about ±8.
    fn check(family: ArchitectureFamily, softcap: Option<f64>, factor: Option<f32>) {
        let mut tiny = Tiny::with_vocab(family, 11, TILE_SYMBOLS + 300);
        if let Some(cap) = softcap {
            tiny.config["final_logit_softcapping"] = cap.into();
        }
        let folder = tempfile::tempdir().unwrap();
        tiny.write_folder(folder.path(), DType::F32, 1);
        for memory in [u64::MAX, 0] {
            let model = LanguageModel::load("tiny", folder.path(), &Device::Cpu, memory).unwrap();
            let ids: Vec<u32> = (0..40u32).map(|i| i * 109 % (TILE_SYMBOLS as u32 + 300)).collect();
            let hidden = model.decoder().forward(&ids, 1, None).unwrap();
            let seen: Vec<u32> = ids
                .iter()
                .map(|&id| (id + 4000) % (TILE_SYMBOLS as u32 + 300))
                .collect();
            let betas = [0.5, 0.8, 1.0, 1.25, 2.0];
            // Symbols of both tiles, among them the seen tokens of half of the rows.
            let mut places: Vec<(u32, usize)> = ids.iter().chain(&seen[..20]).copied().zip(0..).collect();
            places.sort_unstable();
            places.dedup_by_key(|(symbol, _)| *symbol);
            let penalty = factor.map(|factor| Penalty {
                factor,
                places: &places,
                begin: 25,
            });
            let cpu = on_cpu(&model, &hidden, &seen, &betas, penalty).unwrap();
            let device = on_device(&model, &hidden, &seen, &betas, penalty).unwrap();
            assert_eq!(cpu.ranks, device.ranks);
            assert_eq!(cpu.stats.len(), device.stats.len());
            let mut worst = 0f64;
            for (a, b) in cpu.stats.iter().zip(&device.stats) {
                let near = |a: f64, b: f64| (a - b).abs() / (1.0 + a.abs());
                worst = worst
                    .max(near(a.surprisal, b.surprisal))
                    .max(near(a.entropy, b.entropy))
                    .max(near(a.varentropy, b.varentropy))
                    .max(near(a.ln_space_mass, b.ln_space_mass));
                for (a, b) in a.cgf.iter().zip(b.cgf) {
                    worst = worst.max(near(*a, b));
                }
            }
            assert_eq!(cpu.decoding.len(), device.decoding.len());
            for (a, b) in cpu.decoding.iter().zip(&device.decoding) {
                let pairs = |s: &DecodingStats| -> Vec<f32> {
                    let sums = s.ln_z.iter().chain(&s.ln_above).chain(&s.ln_space);
                    s.top.iter().chain([&s.seen]).chain(sums).copied().collect()
                };
                for (a, b) in pairs(a).into_iter().zip(pairs(b)) {
                    worst = worst.max(if a == b {
                        0.0
                    } else {
                        f64::from((a - b).abs() / (1.0 + a.abs()))
                    });
                }
            }
            println!("{family:?} {softcap:?} memory {memory}: worst {worst:.1e}");
            assert!(worst < 5e-5, "{family:?} {softcap:?}: {worst}");
        }
    }

    #[test]
    fn the_figures_of_a_device_equal_those_of_the_cpu() {
        check(ArchitectureFamily::Llama, None, None);
        check(ArchitectureFamily::Gemma3, None, None);
        check(ArchitectureFamily::Gemma3, Some(4.0), None);
        check(ArchitectureFamily::Llama, None, Some(1.3));
        check(ArchitectureFamily::Gemma3, Some(4.0), Some(0.8));
    }
}
