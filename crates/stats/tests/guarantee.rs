//! The guarantees, simulated: while the supposed author writes, no test rejects it more often than alpha.
//!
//! Streams are drawn from chains of known rows; the figures of every row are computed by plain sums, so what is tested
//! is the statistics alone. Each rate is printed with its Clopper-Pearson interval at 99.9%, and the lower limit of
//! that must not lie above alpha. Seeds are fixed: 100 + kind for the null, 200 + kind for power, 300 and 400 for
//! ratios, 500 + kind for the cross-entropy.

use rand::{Rng, SeedableRng, rngs::StdRng};
use whowrote_stats::cross_entropy::tilt;
use whowrote_stats::likelihood_ratio::likelihood_ratio;
use whowrote_stats::token_stats::{CrossTokenStats, TILTS, TextScores, TokenStats};
use whowrote_stats::varentropy_bound::{max_varentropy, threshold};
use whowrote_stats::{CrossProcess, GapProcess, clopper_pearson, ln_average, ln_union, rejects};

const STREAMS: u64 = 20_000;
const LENGTHS: [usize; 3] = [25, 100, 400];
const ALPHAS: [f64; 2] = [0.05, 0.01];

/// A source whose next row is chosen by the row and the token before, so that the law of a token depends on the past.
struct Source {
    name: &'static str,
    rows: Vec<Vec<f64>>,
    /// Figures of each row's symbols.
    figures: Vec<Vec<TokenStats>>,
}

impl Source {
    fn new(name: &'static str, rows: Vec<Vec<f64>>) -> Self {
        let figures = rows.iter().map(|p| figures(p)).collect();
        Self { name, rows, figures }
    }

    fn symbols(&self) -> usize {
        self.rows[0].len()
    }

    /// The row after `symbol` was drawn from `row`.
    fn next(&self, row: usize, symbol: usize) -> usize {
        (row * 7 + symbol * 3 + 1) % self.rows.len()
    }

    /// Alias tables of the rows at temperature `t`.
    fn samplers(&self, t: f64) -> Vec<Alias> {
        self.rows.iter().map(|p| Alias::new(&tempered(p, t))).collect()
    }
}

fn tempered(p: &[f64], t: f64) -> Vec<f64> {
    let powers: Vec<f64> = p.iter().map(|x| x.powf(1.0 / t)).collect();
    let total: f64 = powers.iter().sum();
    powers.into_iter().map(|x| x / total).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    tempered(&logits.iter().map(|l| l.exp()).collect::<Vec<_>>(), 1.0)
}

fn figures(p: &[f64]) -> Vec<TokenStats> {
    let entropy: f64 = p.iter().map(|q| -q * q.ln()).sum();
    let varentropy = p.iter().map(|q| q * (-q.ln() - entropy).powi(2)).sum();
    let cgf = TILTS.map(|s| p.iter().map(|q| q * (s * (-q.ln() - entropy)).exp()).sum::<f64>().ln());
    p.iter()
        .map(|q| TokenStats {
            surprisal: -q.ln(),
            entropy,
            varentropy,
            ln_space_mass: -1.0,
            cgf,
        })
        .collect()
}

/// Walker's alias method.
struct Alias {
    keep: Vec<f64>,
    other: Vec<usize>,
}

impl Alias {
    fn new(p: &[f64]) -> Self {
        let n = p.len();
        let mut keep: Vec<f64> = p.iter().map(|x| x * n as f64).collect();
        let mut other: Vec<usize> = (0..n).collect();
        let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..n).partition(|&i| keep[i] < 1.0);
        while let (Some(s), Some(&l)) = (small.pop(), large.last()) {
            other[s] = l;
            keep[l] -= 1.0 - keep[s];
            if keep[l] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        Self { keep, other }
    }

    fn draw(&self, rng: &mut StdRng) -> usize {
        let i = rng.random_range(0..self.keep.len());
        if rng.random::<f64>() < self.keep[i] {
            i
        } else {
            self.other[i]
        }
    }
}

/// Flat, peaked, mixed and near-deterministic rows, and the two-level row of the greatest varentropy there is.
fn sources() -> Vec<Source> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut noise = |n: usize, width: f64| -> Vec<f64> { (0..n).map(|_| rng.random_range(-width..width)).collect() };
    let zipf = |jitter: Vec<f64>, power: f64| {
        softmax(
            &jitter
                .iter()
                .enumerate()
                .map(|(i, j)| j - power * (i as f64 + 1.7).ln())
                .collect::<Vec<_>>(),
        )
    };
    let sure = |jitter: Vec<f64>, top: f64| {
        softmax(
            &jitter
                .iter()
                .enumerate()
                .map(|(i, j)| if i == 0 { top } else { *j })
                .collect::<Vec<_>>(),
        )
    };
    let flat = (0..8).map(|_| softmax(&noise(64, 0.4))).collect();
    let peaked = (0..8).map(|_| zipf(noise(512, 1.0), 1.5)).collect();
    let sure_few = (0..8).map(|i| sure(noise(32, 2.5), 6.0 + 0.5 * i as f64)).collect();
    let sure_many = (0..8).map(|i| sure(noise(512, 2.5), 8.5 + 0.5 * i as f64)).collect();
    let mixed = (0..12)
        .map(|i| match i % 3 {
            0 => softmax(&noise(128, 0.5)),
            1 => zipf(noise(128, 1.0), 1.6),
            _ => sure(noise(128, 2.0), 9.0),
        })
        .collect();
    vec![
        Source::new("flat", flat),
        Source::new("peaked", peaked),
        Source::new("mixed", mixed),
        Source::new("near-deterministic", sure_many),
        Source::new("near-determ., 32", sure_few),
        Source::new("two-level", vec![two_level(8)]),
    ]
}

/// The distribution on `vocab` symbols whose varentropy is the largest: for it the closed form is tight at s = 0.
fn two_level(vocab: usize) -> Vec<f64> {
    let varentropy = |r: f64| r * (1.0 - r) * ((1.0 - r) * (vocab as f64 - 1.0) / r).ln().powi(2);
    let r = (1..50_000)
        .map(|i| i as f64 / 1e5)
        .max_by(|a, b| varentropy(*a).total_cmp(&varentropy(*b)))
        .expect("a grid");
    assert!((varentropy(r) - max_varentropy(vocab)).abs() < 1e-6);
    let mut p = vec![r / (vocab as f64 - 1.0); vocab];
    p[0] = 1.0 - r;
    p
}

/// Counts of rejections by test, length and alpha.
#[derive(Default)]
struct Counts {
    exact: [[u64; 2]; 3],
    vocab: [[u64; 2]; 3],
    closed: [[u64; 2]; 3],
    /// Whether the process crossed anywhere up to the length.
    exact_ever: [[u64; 2]; 3],
    vocab_ever: [[u64; 2]; 3],
}

fn simulate(source: &Source, temperature: f64, streams: u64, seed: u64, watch: bool) -> Counts {
    let mut rng = StdRng::seed_from_u64(seed);
    let samplers = source.samplers(temperature);
    let closed: Vec<[f64; 2]> = LENGTHS
        .iter()
        .map(|&n| ALPHAS.map(|alpha| threshold(n, source.symbols(), alpha)))
        .collect();
    let mut counts = Counts::default();
    for _ in 0..streams {
        let mut row = rng.random_range(0..source.rows.len());
        let (mut exact, mut vocab) = (GapProcess::exact(), GapProcess::vocab(source.symbols()));
        let (mut exact_top, mut vocab_top) = (0.0f64, 0.0f64);
        for (l, &length) in LENGTHS.iter().enumerate() {
            while exact.tokens() < length {
                let symbol = samplers[row].draw(&mut rng);
                exact.push(&source.figures[row][symbol]);
                vocab.push(&source.figures[row][symbol]);
                row = source.next(row, symbol);
                if watch {
                    exact_top = exact_top.max(exact.ln_e_value());
                    vocab_top = vocab_top.max(vocab.ln_e_value());
                }
            }
            for (k, &alpha) in ALPHAS.iter().enumerate() {
                counts.exact[l][k] += u64::from(rejects(exact.ln_e_value(), alpha));
                counts.vocab[l][k] += u64::from(rejects(vocab.ln_e_value(), alpha));
                counts.closed[l][k] += u64::from(exact.statistic().abs() >= closed[l][k]);
                counts.exact_ever[l][k] += u64::from(rejects(exact_top, alpha));
                counts.vocab_ever[l][k] += u64::from(rejects(vocab_top, alpha));
            }
        }
    }
    counts
}

fn assert_within(what: &str, count: u64, alpha: f64) {
    let (low, high) = clopper_pearson(count, STREAMS, 0.999);
    println!(
        "  {what:<52} alpha {alpha:<4}  {:.5}  [{low:.5}, {high:.5}]",
        count as f64 / STREAMS as f64
    );
    assert!(low <= alpha, "{what}: at least {low} > {alpha}");
}

#[test]
fn the_entropy_gap_rejects_its_own_author_no_more_often_than_alpha() {
    println!("null true, {STREAMS} streams: rate of rejection [Clopper-Pearson, 99.9%]");
    for (kind, source) in sources().iter().enumerate() {
        let counts = simulate(source, 1.0, STREAMS, 100 + kind as u64, true);
        for (l, length) in LENGTHS.iter().enumerate() {
            for (k, &alpha) in ALPHAS.iter().enumerate() {
                for (test, table) in [
                    ("exact, at the end", &counts.exact),
                    ("exact, stopped at will", &counts.exact_ever),
                    ("vocab e-value, at the end", &counts.vocab),
                    ("vocab e-value, stopped at will", &counts.vocab_ever),
                    ("vocab closed form", &counts.closed),
                ] {
                    assert_within(&format!("{} {length}: {test}", source.name), table[l][k], alpha);
                }
            }
        }
    }
}

#[test]
fn the_models_own_cumulants_are_sharper_than_the_vocabularys() {
    const TEXTS: u64 = 2_000;
    println!("power at alpha 0.05 and 0.01, {TEXTS} streams: exact, vocab e-value, vocab closed form");
    for (kind, source) in sources().iter().enumerate() {
        for temperature in [0.7, 1.3] {
            let counts = simulate(source, temperature, TEXTS, 200 + kind as u64, false);
            for (l, length) in LENGTHS.iter().enumerate() {
                let share = |count: u64| count as f64 / TEXTS as f64;
                let cell = |k: usize| [counts.exact[l][k], counts.vocab[l][k], counts.closed[l][k]].map(share);
                let (five, one) = (cell(0), cell(1));
                println!(
                    "  {:<19} T {temperature}  N {length:<4} {:.3} {:.3} {:.3}   {:.3} {:.3} {:.3}",
                    source.name, five[0], five[1], five[2], one[0], one[1], one[2]
                );
                for [exact, vocab, closed] in [five, one] {
                    // Like with like: the same mixture, with and without the model's cumulants.
                    assert!(exact >= vocab, "{exact} against {vocab}");
                    // The closed form holds at one length and pays for no mixture, so with a few dozen symbols, where
                    // its bound is within a small factor of the truth, it can be the sharper one for a short text; on
                    // the two-level row, where it is tight, all are equal. Vocabularies of models are a thousand times
                    // larger.
                    if source.symbols() >= 64 {
                        for other in [vocab, closed] {
                            assert!(exact > other || exact == 0.0 || exact == 1.0, "{exact} against {other}");
                            assert!(exact >= other, "{exact} against {other}");
                        }
                    }
                }
            }
        }
    }
}

/// Two chains over 16 symbols of one tokeniser, the numerator at two temperatures: token by token.
#[test]
fn the_token_ratio_and_its_combinations_reject_their_own_author_no_more_often_than_alpha() {
    const SYMBOLS: usize = 16;
    const LENGTH: usize = 100;
    let mut rng = StdRng::seed_from_u64(300);
    let chain = |rng: &mut StdRng, around: Option<&Vec<Vec<f64>>>, width: f64| -> Vec<Vec<f64>> {
        (0..SYMBOLS)
            .map(|row| {
                let base = |v: usize| around.map_or(0.0, |p: &Vec<Vec<f64>>| p[row][v].ln());
                softmax(
                    &(0..SYMBOLS)
                        .map(|v| base(v) + rng.random_range(-width..width))
                        .collect::<Vec<_>>(),
                )
            })
            .collect()
    };
    let null = chain(&mut rng, None, 2.0);
    let near = chain(&mut rng, Some(&null), 0.9);
    let far = chain(&mut rng, None, 2.0);
    let tables: Vec<Vec<Vec<TokenStats>>> = [&null, &near, &far]
        .into_iter()
        .map(|rows| rows.iter().map(|p| figures(p)).collect())
        .collect();
    let scores = |model: usize, ids: &[usize]| {
        let table = &tables[model];
        let stats: Vec<TokenStats> = ids.windows(2).map(|pair| table[pair[0]][pair[1]]).collect();
        TextScores {
            model: model.to_string(),
            vocab: SYMBOLS,
            symbols: [0; 32],
            ids: ids.iter().map(|&i| i as u32).collect(),
            spans: (0..ids.len()).map(|i| i..i + 1).collect(),
            first_scored: 1,
            betas: vec![1.0],
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
            ranks: vec![1; stats.len()],
            stats,
        }
    };
    let text = "x".repeat(LENGTH + 1);
    let mut rng = StdRng::seed_from_u64(400);
    for (writer, rows) in [("null", &null), ("near", &near), ("far", &far)] {
        let samplers: Vec<Alias> = rows.iter().map(|p| Alias::new(p)).collect();
        let streams = if writer == "null" { STREAMS } else { 1_000 };
        let names = [
            "ratio to near",
            "ratio to far",
            "ratio to both",
            "ratio stopped at will",
            "union",
            "average",
        ];
        let mut counts = [[0u64; 2]; 6];
        for _ in 0..streams {
            let mut ids = vec![rng.random_range(0..SYMBOLS)];
            for i in 0..LENGTH {
                ids.push(samplers[ids[i]].draw(&mut rng));
            }
            let [p, q, r] = [0, 1, 2].map(|model| scores(model, &ids));
            let to_near = likelihood_ratio(&text, (&p, 0), &[(&q, 0)]);
            let to_far = likelihood_ratio(&text, (&p, 0), &[(&r, 0)]);
            let both = likelihood_ratio(&text, (&p, 0), &[(&q, 0), (&r, 0)]);
            assert_eq!(both.outcomes, LENGTH);
            let mut gap = GapProcess::exact();
            gap.extend(p.at(0));
            let joined = [(gap.ln_e_value(), 1.0), (both.ln_e_value, 1.0)];
            let highest = both.path.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let values = [
                to_near.ln_e_value,
                to_far.ln_e_value,
                both.ln_e_value,
                highest,
                ln_union(&joined),
                ln_average(&joined),
            ];
            for (count, value) in counts.iter_mut().zip(values) {
                for (k, &alpha) in ALPHAS.iter().enumerate() {
                    count[k] += u64::from(rejects(value, alpha));
                }
            }
        }
        println!("written by {writer}, {streams} streams of {LENGTH} tokens");
        for (name, count) in names.iter().zip(counts) {
            for (k, &alpha) in ALPHAS.iter().enumerate() {
                if writer == "null" {
                    assert_within(name, count[k], alpha);
                } else {
                    println!("  {name:<52} alpha {alpha:<4}  {:.3}", count[k] as f64 / streams as f64);
                }
            }
        }
        if writer != "null" {
            let own = counts[if writer == "near" { 0 } else { 1 }][0];
            assert!(
                own as f64 > 0.8 * streams as f64,
                "the ratio to its own author has power"
            );
            assert!(counts[2][0] as f64 > 0.8 * streams as f64, "and the mixture keeps it");
        }
    }
}

/// The figures of every symbol of an author's row p against another model's row q.
fn cross_figures(p: &[f64], q: &[f64]) -> Vec<CrossTokenStats> {
    let surprisals: Vec<f64> = q.iter().map(|q| -q.ln()).collect();
    let mean = |f: &dyn Fn(f64) -> f64| -> f64 { p.iter().zip(&surprisals).map(|(p, y)| p * f(*y)).sum() };
    let cross_entropy = mean(&|y| y);
    let cgf = TILTS.map(|s| mean(&|y| (s * (y - cross_entropy)).exp()).ln());
    let greatest = surprisals.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let least = surprisals.iter().copied().fold(f64::INFINITY, f64::min);
    surprisals
        .iter()
        .map(|&surprisal| CrossTokenStats {
            surprisal,
            cross_entropy,
            cgf,
            range: greatest - least,
        })
        .collect()
}

/// Rates at which texts of 25, 100 and 400 tokens rule a supposed author out, by test, length and alpha: its e-process
/// at the end, stopped at will, and the closed form at the end and stopped at will, its tilt that of 400 tokens.
fn cross_rejections(
    chain: &Source,
    writer: &[Vec<f64>],
    author: &[Vec<f64>],
    other: &[Vec<f64>],
    streams: u64,
    seed: u64,
) -> [[[u64; 2]; 3]; 4] {
    let mut rng = StdRng::seed_from_u64(seed);
    let samplers: Vec<Alias> = writer.iter().map(|p| Alias::new(p)).collect();
    let figures: Vec<Vec<CrossTokenStats>> = author.iter().zip(other).map(|(p, q)| cross_figures(p, q)).collect();
    let tilts = ALPHAS.map(|alpha| tilt(LENGTHS[2], chain.symbols(), alpha));
    let mut counts = [[[0; 2]; 3]; 4];
    for _ in 0..streams {
        let mut row = rng.random_range(0..author.len());
        let mut process = CrossProcess::new();
        let (mut top, mut crossed) = (0.0f64, [false; 2]);
        for (l, &length) in LENGTHS.iter().enumerate() {
            while process.tokens() < length {
                let symbol = samplers[row].draw(&mut rng);
                process.push(&figures[row][symbol]);
                row = chain.next(row, symbol);
                top = top.max(process.ln_e_value());
                for ((crossed, tilt), alpha) in crossed.iter_mut().zip(tilts).zip(ALPHAS) {
                    *crossed |= process.statistic().abs() >= process.closed_form(tilt, alpha);
                }
            }
            for (k, &alpha) in ALPHAS.iter().enumerate() {
                counts[0][l][k] += u64::from(rejects(process.ln_e_value(), alpha));
                counts[1][l][k] += u64::from(rejects(top, alpha));
                counts[2][l][k] += u64::from(process.statistic().abs() >= process.closed_form(tilts[k], alpha));
                counts[3][l][k] += u64::from(crossed[k]);
            }
        }
    }
    counts
}

#[test]
fn the_cross_entropy_rejects_its_own_author_no_more_often_than_alpha() {
    const TESTS: [&str; 4] = [
        "e-process, at the end",
        "e-process, stopped at will",
        "closed form, at the end",
        "closed form, stopped at will",
    ];
    let mut rng = StdRng::seed_from_u64(500);
    println!("{STREAMS} streams under each of two models, and 1,000 under the other one: rates of rejection");
    let mut power = [0u64; 4];
    for (kind, source) in sources().iter().enumerate() {
        // A sibling: the same rows, somewhat flatter, with noise.
        let sibling: Vec<Vec<f64>> = source
            .rows
            .iter()
            .map(|p| {
                softmax(
                    &p.iter()
                        .map(|p| 0.9 * p.ln() + rng.random_range(-1.0..1.0))
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        for (direction, author, other) in [("first", &source.rows, &sibling), ("second", &sibling, &source.rows)] {
            let seed = 500 + kind as u64;
            let null = cross_rejections(source, author, author, other, STREAMS, seed);
            let strange = cross_rejections(source, other, author, other, 1_000, seed);
            for (t, test) in TESTS.iter().enumerate() {
                for (l, length) in LENGTHS.iter().enumerate() {
                    for (k, &alpha) in ALPHAS.iter().enumerate() {
                        let what = format!("{}, {direction} {length}: {test}", source.name);
                        assert_within(&what, null[t][l][k], alpha);
                    }
                }
                power[t] += strange[t][2][0];
                println!(
                    "    excluded for the other's text of 400 at 0.05: {:.3}",
                    strange[t][2][0] as f64 / 1e3
                );
            }
        }
    }
    // The tests do speak: by far the most where the cumulants are the author's own.
    assert!(power[0] > 3_000 && power[1] >= power[0], "{power:?}");
    assert!(power[0] >= power[2], "{power:?}");
}
