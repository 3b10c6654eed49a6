//! The ratio at word borders, checked by exact enumeration on toy tokenisers over the alphabet {space, a, b}.
//!
//! Tokens have at most two characters and a text is cut by the longest match, so a sequence of tokens is the canonical
//! one exactly when every pair of neighbours is. Models are first-order Markov chains over their tokens, with fixed
//! pseudo-random rows; docs/THEORY.md 6 and 7 refer to these tests by name.

use rand::{Rng, SeedableRng, rngs::StdRng};
use whowrote_stats::likelihood_ratio::likelihood_ratio;
use whowrote_stats::token_stats::{TILT_COUNT, TextScores, TokenStats};
use whowrote_stats::word_boundaries::{borders, ln_word_probabilities, word_figures};
use whowrote_stats::{RatioUnit, RatioVoid, clopper_pearson};

const CHARACTERS: &[&str] = &[" ", "a", "b"];
const NESTED: &[&str] = &[" ", "a", "b", " a", "ab"];
const OTHER: &[&str] = &[" ", "a", "b", " b", "ba", "aa", "  "];
/// "b " holds a border inside.
const STRADDLING: &[&str] = &[" ", "a", "b", " a", "ba", "b "];

#[derive(Clone)]
struct Toy {
    tokens: Vec<&'static str>,
    /// `rows[0]` predicts the first token, `rows[1 + i]` the one after token i.
    rows: Vec<Vec<f64>>,
}

impl Toy {
    /// A chain whose rows are exponentials of uniform noise in (-1.5, 1.5), `lean` added to tokens that begin with a
    /// space.
    fn new(tokens: &[&'static str], seed: u64, lean: f64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let rows = (0..=tokens.len())
            .map(|_| {
                normalised(
                    tokens
                        .iter()
                        .map(|token| {
                            (rng.random_range(-1.5..1.5) + if token.starts_with(' ') { lean } else { 0.0f64 }).exp()
                        })
                        .collect(),
                )
            })
            .collect();
        Self {
            tokens: tokens.to_vec(),
            rows,
        }
    }

    /// The chain that emits canonical sequences only: forbidden neighbours removed, rows renormalised.
    fn canonical(mut self) -> Self {
        for previous in 0..self.tokens.len() {
            for next in 0..self.tokens.len() {
                if !self.may_follow(previous, next) {
                    self.rows[1 + previous][next] = 0.0;
                }
            }
            self.rows[1 + previous] = normalised(self.rows[1 + previous].clone());
        }
        self
    }

    fn may_follow(&self, previous: usize, next: usize) -> bool {
        let joined = format!("{}{}", self.tokens[previous], &self.tokens[next][..1]);
        !self.tokens.contains(&joined.as_str())
    }

    fn tokenise(&self, text: &str) -> Vec<usize> {
        let mut ids = Vec::new();
        let mut at = 0;
        while at < text.len() {
            let longest = (0..self.tokens.len())
                .filter(|&i| text[at..].starts_with(self.tokens[i]))
                .max_by_key(|&i| self.tokens[i].len())
                .expect("every character is a token");
            at += self.tokens[longest].len();
            ids.push(longest);
        }
        ids
    }

    fn ln_probability(&self, ids: &[usize]) -> f64 {
        let mut row = 0;
        ids.iter()
            .map(|&id| {
                let p = self.rows[row][id];
                row = 1 + id;
                p.ln()
            })
            .sum()
    }

    /// The mass on tokens that begin with a space.
    fn space_mass_after(&self, ids: &[usize]) -> f64 {
        let row = &self.rows[ids.last().map_or(0, |&id| 1 + id)];
        row.iter()
            .zip(&self.tokens)
            .filter(|(_, token)| token.starts_with(' '))
            .map(|(p, _)| p)
            .sum()
    }

    /// What tells this vocabulary from another.
    fn symbols(&self) -> [u8; 32] {
        let mut symbols = [0u8; 32];
        for (i, byte) in self.tokens.join("\n").bytes().enumerate() {
            symbols[i % 32] = symbols[i % 32].wrapping_mul(31).wrapping_add(byte);
        }
        symbols
    }

    fn score(&self, text: &str) -> TextScores {
        let ids = self.tokenise(text);
        let (mut row, mut at) = (0, 0);
        let (mut spans, mut stats) = (Vec::new(), Vec::new());
        for &id in &ids {
            let p = &self.rows[row];
            let space: f64 = (0..p.len())
                .filter(|&i| self.tokens[i].starts_with(' '))
                .map(|i| p[i])
                .sum();
            stats.push(TokenStats {
                surprisal: -p[id].ln(),
                entropy: 1.0,
                varentropy: 1.0,
                ln_space_mass: space.ln(),
                cgf: [0.0; TILT_COUNT],
            });
            spans.push(at..at + self.tokens[id].len());
            at += self.tokens[id].len();
            row = 1 + id;
        }
        TextScores {
            model: "toy".into(),
            vocab: self.tokens.len(),
            symbols: self.symbols(),
            ids: ids.iter().map(|&id| id as u32).collect(),
            decoding: Vec::new(),
            penalised: Vec::new(),
            cross: Vec::new(),
            probed: Vec::new(),
            ranks: vec![1; ids.len()],
            spans,
            first_scored: 0,
            betas: vec![1.0],
            stats,
        }
    }

    /// Every sequence of `length` tokens with positive probability: `visit(ids, text, probability)`.
    fn enumerate(&self, length: usize, visit: &mut impl FnMut(&[usize], &str, f64)) {
        self.until(length, &|ids, _| ids.len() == length, &mut |ids, text, p, _| {
            visit(ids, text, p)
        });
    }

    /// Walks all sequences until `stop`, or until `limit` tokens: `visit(ids, text, probability, stopped)`.
    fn until(
        &self,
        limit: usize,
        stop: &dyn Fn(&[usize], &str) -> bool,
        visit: &mut impl FnMut(&[usize], &str, f64, bool),
    ) {
        fn walk(
            toy: &Toy,
            state: (&mut Vec<usize>, &mut String, f64),
            limit: usize,
            stop: &dyn Fn(&[usize], &str) -> bool,
            visit: &mut impl FnMut(&[usize], &str, f64, bool),
        ) {
            let (ids, text, p) = state;
            let stopped = !ids.is_empty() && stop(ids, text);
            if stopped || ids.len() == limit {
                return visit(ids, text, p, stopped);
            }
            let row = ids.last().map_or(0, |&id| 1 + id);
            for next in 0..toy.tokens.len() {
                if toy.rows[row][next] > 0.0 {
                    let length = text.len();
                    ids.push(next);
                    text.push_str(toy.tokens[next]);
                    walk(toy, (ids, text, p * toy.rows[row][next]), limit, stop, visit);
                    ids.pop();
                    text.truncate(length);
                }
            }
        }
        walk(self, (&mut Vec::new(), &mut String::new(), 1.0), limit, stop, visit);
    }
}

fn normalised(row: Vec<f64>) -> Vec<f64> {
    let total: f64 = row.iter().sum();
    row.into_iter().map(|x| x / total).collect()
}

/// The e-value, where a text without a complete word says nothing yet.
fn ln_e(text: &str, null: &Toy, numerators: &[&Toy]) -> f64 {
    let scores: Vec<TextScores> = numerators.iter().map(|toy| toy.score(text)).collect();
    let experts: Vec<_> = scores.iter().map(|s| (s, 0)).collect();
    let evidence = likelihood_ratio(text, (&null.score(text), 0), &experts);
    match evidence.void {
        Some(RatioVoid::NoOutcome) => 0.0,
        _ => {
            assert_eq!(evidence.unit, RatioUnit::Word);
            evidence.ln_e_value
        }
    }
}

#[test]
fn the_plain_ratio_of_token_products_is_no_e_value() {
    let null = Toy::new(NESTED, 1, 0.0).canonical();
    let numerator = Toy::new(CHARACTERS, 2, 0.0);
    let mut means = Vec::new();
    for length in 1..=5 {
        let mut mean = 0.0;
        null.enumerate(length, &mut |ids, text, p| {
            assert_eq!(null.tokenise(text), ids, "the chain emits canonical sequences");
            mean += p * (numerator.ln_probability(&numerator.tokenise(text)) - null.ln_probability(ids)).exp();
        });
        means.push(mean);
    }
    println!("plain ratio of token products: mean after 1..5 tokens {means:.4?}");
    assert!(means.iter().all(|&mean| mean > 1.05), "{means:?}");
}

/// All words of up to `longest` characters: i >= 1 spaces and then j >= 1 letters.
fn words_up_to(longest: usize) -> Vec<String> {
    let mut words = Vec::new();
    for spaces in 1..longest {
        for letters in 1..=(longest - spaces) {
            for code in 0..1u32 << letters {
                let letters: String = (0..letters)
                    .map(|i| if code >> i & 1 == 0 { 'a' } else { 'b' })
                    .collect();
                words.push(format!("{}{letters}", " ".repeat(spaces)));
            }
        }
    }
    words
}

/// The same words as above under a canonical null, with their probabilities summed here by hand: the mean of the ratio
/// comes to 1 from below when the numerator reads characters, and passes 1 when the end factors are left out.
#[test]
fn the_mean_over_all_words_comes_to_one_from_below() {
    let probability = |null: &Toy, past: &str, words: &[&String]| {
        let text = words.iter().fold(past.to_string(), |text, word| text + word);
        let (begin, all) = (null.tokenise(past), null.tokenise(&text));
        (null.ln_probability(&all) - null.ln_probability(&begin)).exp() * null.space_mass_after(&all)
            / null.space_mass_after(&begin)
    };
    let mut largest = 0.0f64;
    for (null, past) in [(NESTED, "a"), (NESTED, "ab"), (OTHER, "a"), (OTHER, "ab")] {
        let null = Toy::new(null, 4, 0.5).canonical();
        for numerator in [Toy::new(CHARACTERS, 21, 0.5), Toy::new(STRADDLING, 15, 0.5)] {
            let ratio = |text: &str| ln_e(text, &null, &[&numerator]).exp();
            let (mut one, mut two, mut plain) = (0.0, 0.0, 0.0);
            for word in &words_up_to(13) {
                let p = probability(&null, past, &[word]);
                one += p * ratio(&format!("{past}{word} b"));
                let of_tokens = |toy: &Toy| {
                    toy.ln_probability(&toy.tokenise(&format!("{past}{word}")))
                        - toy.ln_probability(&toy.tokenise(past))
                };
                plain += p * (of_tokens(&numerator) - of_tokens(&null)).exp();
            }
            let short = words_up_to(7);
            for first in &short {
                for second in &short {
                    two += probability(&null, past, &[first, second]) * ratio(&format!("{past}{first}{second} b"));
                }
            }
            let sizes = (null.tokens.len(), numerator.tokens.len());
            println!(
                "null of {} tokens, numerator of {}, after {past:?}: mean after one word {one:.6}, after two {two:.4}; \
                 without end factors {plain:.4}",
                sizes.0, sizes.1
            );
            assert!(one <= 1.0 + 1e-9 && two <= 1.0 + 1e-9);
            if numerator.tokens == CHARACTERS {
                assert!(one > 0.99 && two > 0.95);
            }
            largest = largest.max(plain);
        }
    }
    assert!(largest > 1.1, "no pair shows what the end factors are for");
}

#[test]
fn with_the_end_factor_the_mean_at_a_border_is_at_most_one() {
    let nulls = [
        Toy::new(NESTED, 1, 0.5).canonical(),
        Toy::new(OTHER, 4, 0.5).canonical(),
        Toy::new(STRADDLING, 5, 0.5).canonical(),
        Toy::new(CHARACTERS, 6, 0.5),
    ];
    let numerators = [
        Toy::new(CHARACTERS, 12, 0.8),
        Toy::new(NESTED, 13, 0.8).canonical(),
        Toy::new(OTHER, 14, 0.8),
        Toy::new(STRADDLING, 15, 0.8),
    ];
    for null in &nulls {
        let others: Vec<&Toy> = numerators.iter().filter(|toy| toy.tokens != null.tokens).collect();
        for words in [1usize, 2] {
            let limit = if null.tokens.len() > 5 { 7 } else { 8 };
            let alone: Vec<Vec<&Toy>> = others.iter().map(|&toy| vec![toy]).collect();
            for experts in alone.into_iter().chain([others.clone()]) {
                let (mut mean, mut reached) = (0.0, 0.0);
                null.until(
                    limit,
                    &|_, text| borders(text).len() > words,
                    &mut |ids, text, p, stopped| {
                        if stopped {
                            assert_eq!(null.tokenise(text), ids);
                            reached += p;
                            mean += p * ln_e(text, null, &experts).exp();
                        }
                    },
                );
                let sizes: Vec<usize> = experts.iter().map(|toy| toy.tokens.len()).collect();
                println!(
                    "null of {} tokens, numerators {sizes:?}, {words} words: mean {mean:.4} over {reached:.4} of the mass",
                    null.tokens.len()
                );
                assert!(mean <= 1.0 + 1e-9, "{mean}");
            }
        }
    }
}

#[test]
fn the_probabilities_of_words_sum_to_at_most_one() {
    let words = words_up_to(12);
    for (tokens, seed) in [(CHARACTERS, 21), (NESTED, 22), (OTHER, 23), (STRADDLING, 24)] {
        for toy in [Toy::new(tokens, seed, 0.5), Toy::new(tokens, seed, 0.5).canonical()] {
            for past in ["a", "ab", "a b", "  bb", "b a  ab"] {
                for future in ["", "a", "b", " b"] {
                    let (mut sum, mut without_end) = (0.0, 0.0);
                    for word in &words {
                        let text = format!("{past}{word} {future}");
                        let scores = toy.score(&text);
                        let pair = [past.len(), past.len() + word.len()];
                        assert!(borders(&text).windows(2).any(|b| b == pair));
                        if let Ok(ln_p) = ln_word_probabilities(&scores, &word_figures(&scores, 0), &pair)[0] {
                            sum += ln_p.exp();
                            let end = scores.spans.iter().position(|span| span.start == pair[1]).unwrap();
                            without_end += (ln_p - scores.stats[end].ln_space_mass).exp();
                        }
                    }
                    assert!(sum <= 1.0 + 1e-9, "{tokens:?} after {past:?} before {future:?}: {sum}");
                    if tokens == CHARACTERS {
                        assert!(sum > 0.9 && without_end > 1.05, "{sum} {without_end}");
                    }
                }
            }
        }
    }
}

/// A null that likes long words, a numerator that likes short ones, and a text cut at a fixed number of tokens.
///
/// The last border is not a stopping time: whether the word in hand ends before the cut lies in the future. The mean
/// there exceeds 1, so the value must not be averaged as an e-value; by Ville's inequality it is still at least 1/alpha
/// with probability at most alpha (docs/THEORY.md 7.4).
#[test]
fn the_value_at_the_last_border_of_a_cut_text_is_no_e_value_and_still_a_p_value() {
    // After a space usually "a", after "a" usually more of it; "b" ends its word.
    let mut null = Toy::new(CHARACTERS, 31, 0.0);
    null.rows = vec![
        vec![0.0, 0.1, 0.9],
        vec![0.02, 0.96, 0.02],
        vec![0.1, 0.88, 0.02],
        vec![0.96, 0.02, 0.02],
    ];
    let numerator = Toy::new(NESTED, 32, 2.5);
    let mut mean = 0.0;
    let mut tails = [(2.0, 0.0), (3.0, 0.0), (5.0, 0.0), (10.0, 0.0), (20.0, 0.0)];
    null.enumerate(9, &mut |_, text, p| {
        let e = ln_e(text, &null, &[&numerator]).exp();
        mean += p * e;
        for (level, tail) in &mut tails {
            if e >= *level {
                *tail += p;
            }
        }
    });
    println!("at the last border of 9 tokens: mean {mean:.4}, tails {tails:.4?}");
    assert!(mean > 1.05, "{mean}");
    for (level, tail) in tails {
        assert!(tail <= 1.0 / level, "P(E >= {level}) = {tail}");
    }
}

/// A chain that also emits sequences which are not canonical: on the event that it did not, the mean is at most 1, so
/// that scoring by canonical tokens costs at most the probability of the other event (docs/THEORY.md 7.3).
#[test]
fn sequences_that_are_not_canonical_cost_at_most_their_probability() {
    let null = Toy::new(NESTED, 41, 0.5);
    let numerator = Toy::new(OTHER, 42, 0.8);
    let (mut on_canonical, mut over_all, mut not_canonical) = (0.0, 0.0, 0.0);
    let mut tail = 0.0;
    null.until(8, &|_, text| borders(text).len() > 1, &mut |ids, text, p, stopped| {
        if stopped {
            let e = ln_e(text, &null, &[&numerator]).exp();
            over_all += p * e;
            tail += if e >= 4.0 { p } else { 0.0 };
            if null.tokenise(text) == ids {
                on_canonical += p * e;
            } else {
                not_canonical += p;
            }
        }
    });
    println!(
        "mean {over_all:.4}, on canonical sequences {on_canonical:.4}; not canonical {not_canonical:.4}; P(E >= 4) {tail:.4}"
    );
    assert!(on_canonical <= 1.0 + 1e-9);
    assert!(tail <= 0.25 + not_canonical);
}

/// 20,000 texts of 60 tokens a null, seeds 1000 + null: the largest value at any border.
#[test]
fn the_word_ratio_rejects_its_own_author_no_more_often_than_alpha() {
    const STREAMS: u64 = 20_000;
    let nulls = [
        Toy::new(NESTED, 51, 0.5).canonical(),
        Toy::new(OTHER, 52, 0.5).canonical(),
        Toy::new(CHARACTERS, 53, 0.5),
    ];
    println!(
        "word ratio, null true, {STREAMS} texts of 60 tokens: rejected at the end, and at any border [99.9% interval]"
    );
    for (i, null) in nulls.iter().enumerate() {
        // A numerator close to the null bets hard: the null's own law over characters is not available, so one of the
        // numerators is trained on the null's samples.
        let mut rng = StdRng::seed_from_u64(1000 + i as u64);
        let sample = |rng: &mut StdRng| {
            let (mut row, mut text) = (0, String::new());
            for _ in 0..60 {
                let mut left: f64 = rng.random();
                let id = null.rows[row].iter().position(|p| {
                    left -= p;
                    left < 0.0
                });
                let id = id.unwrap_or_else(|| null.rows[row].iter().rposition(|&p| p > 0.0).expect("a likely token"));
                text.push_str(null.tokens[id]);
                row = 1 + id;
            }
            text
        };
        let mut experts: Vec<Toy> = [CHARACTERS, NESTED, OTHER, STRADDLING]
            .iter()
            .filter(|tokens| ***tokens != null.tokens)
            .map(|tokens| Toy::new(tokens, 60 + i as u64, 0.0))
            .collect();
        for toy in &mut experts {
            let mut counts = vec![vec![0.5; toy.tokens.len()]; toy.rows.len()];
            for _ in 0..30 {
                let mut row = 0;
                for id in toy.tokenise(&sample(&mut rng)) {
                    counts[row][id] += 1.0;
                    row = 1 + id;
                }
            }
            toy.rows = counts.into_iter().map(normalised).collect();
        }
        let (mut at_end, mut ever) = ([0u64; 2], [0u64; 2]);
        for _ in 0..STREAMS {
            let text = sample(&mut rng);
            let scores: Vec<TextScores> = experts.iter().map(|toy| toy.score(&text)).collect();
            let numerators: Vec<_> = scores.iter().map(|s| (s, 0)).collect();
            let evidence = likelihood_ratio(&text, (&null.score(&text), 0), &numerators);
            let highest = evidence.path.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            for (k, alpha) in [0.05f64, 0.01].into_iter().enumerate() {
                at_end[k] += u64::from(evidence.ln_e_value >= -alpha.ln());
                ever[k] += u64::from(highest >= -alpha.ln());
            }
        }
        for (k, alpha) in [0.05, 0.01].into_iter().enumerate() {
            let (low, high) = clopper_pearson(ever[k], STREAMS, 0.999);
            println!(
                "  null of {} tokens, alpha {alpha}: {:.5}, {:.5} [{low:.5}, {high:.5}]",
                null.tokens.len(),
                at_end[k] as f64 / STREAMS as f64,
                ever[k] as f64 / STREAMS as f64
            );
            assert!(low <= alpha);
        }
    }
}
