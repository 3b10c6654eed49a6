//! The figures of a scored text: plain numbers, no tensors. The statistics see nothing else of a model.

use std::ops::Range;

/// The number of the probe's logits: one for each class but people.
pub const LOGITS: usize = 3;

/// How many tokens at the beginning of a text the probe leaves out.
pub const SKIPPED_TOKENS: usize = 3;

/// The tilts s at which the cumulant generating function of every token's surprisal is evaluated.
///
/// Against a gap of `g` nat a token at a varentropy of `v` nat² a token, the best tilt is about `g/v`. So for a text
/// with total varentropy V the best tilt is `s ≈ sqrt(2 ln(1/alpha) / V)`: 0.8 for V = 10 and 0.008 for V = 10⁵. Powers
/// of two between 1/128 and 1/2, of both signs, with 3/4 at the ends, cover that range. Between two tilts a factor 2
/// apart, the better one reaches at least 8/9 of the best exponent for Gaussian increments (docs/THEORY.md 5.3). With
/// these tilts, one exponential and some multiplications give every `exp((1-s)·b·l)`.
pub const TILTS: [f64; 16] = [
    0.75, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125, -0.0078125, -0.015625, -0.03125, -0.0625, -0.125,
    -0.25, -0.5, -0.75,
];

/// How many [`TILTS`] there are.
pub const TILT_COUNT: usize = TILTS.len();

/// What one row of logits says about the token seen, at one inverse temperature b. All figures are in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenStats {
    /// `Z(b) - b·l(x)`, in nats.
    pub surprisal: f64,
    /// `Z(b) - b·Z'(b)`: the mean of the surprisal under the model, in nats.
    pub entropy: f64,
    /// `b²·Z''(b)`: the variance of the surprisal under the model, in nats².
    pub varentropy: f64,
    /// Logarithm of the model's mass on tokens that begin with a space: how likely the model thinks it that a word ends
    /// here.
    pub ln_space_mass: f64,
    /// `ψ(s) = ln E exp(s·(surprisal - entropy))` under the model, at each of [`TILTS`], in nats.
    pub cgf: [f64; TILT_COUNT],
}

/// The inverse temperatures at which every token has its [`DecodingStats`], ascending: the temperature grid. It spans
/// all temperatures of the named families ([`FamilyLimits`](crate::sampling_params::FamilyLimits)). All entries are
/// multiples of 1/16 or whole numbers, so that one exponential gives all their powers.
pub const TEMPERATURE_GRID: [f64; 12] = [
    0.75, 0.875, 1.0, 1.125, 1.1875, 1.3125, 1.4375, 1.75, 2.0, 3.0, 4.0, 5.0,
];

/// The entries of [`TEMPERATURE_GRID`] at which the mass above the seen token is summed. Between them it is bounded. It
/// is needed only if the seen token is not among the [`TOP`] likeliest; at temperatures below the last entry, such a
/// token lies outside every nucleus.
pub const ABOVE: [usize; 4] = [0, 2, 4, 6];

/// The entries of [`TEMPERATURE_GRID`] at which the mass on tokens that begin with a space is summed: T = 1.14, 1 and
/// 0.89.
pub const SPACE: [usize; 3] = [1, 2, 3];

/// How many of the likeliest symbols have their logits kept.
///
/// A nucleus that is wider than these symbols is flat: each symbol outside them has less than 1/128 of its mass. So the
/// mass of the nucleus is known to within 1/128.
pub const TOP: usize = 128;

/// What one row of logits says about the token seen, at any temperature of the [`TEMPERATURE_GRID`] and under any
/// truncation. Logits are relative to the greatest of the row, so none is above 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DecodingStats {
    /// The seen token's logit.
    pub seen: f32,
    /// The greatest logits, descending. Places beyond the vocabulary hold minus infinity.
    pub top: [f32; TOP],
    /// `ln sum_v exp(b·l(v))` at each b of [`TEMPERATURE_GRID`], nats.
    pub ln_z: [f32; TEMPERATURE_GRID.len()],
    /// Logarithm of the mass of the symbols likelier than the seen token, at each entry of [`ABOVE`], nats.
    pub ln_above: [f32; ABOVE.len()],
    /// Logarithm of the mass on tokens that begin with a space, at each entry of [`SPACE`], nats.
    pub ln_space: [f32; SPACE.len()],
}

impl DecodingStats {
    /// Whether the figures are numbers. They are not if the model's logits are not.
    pub fn is_number(&self) -> bool {
        !self.seen.is_nan() && self.ln_z.iter().all(|ln_z| ln_z.is_finite())
    }

    /// Whether the seen token's likelihood is a number above 0 at every temperature.
    pub fn is_sound(&self) -> bool {
        self.is_number() && self.seen.is_finite()
    }
}

/// The figures of the tokens seen, reduced from the rows of logits: ranks, and statistics at every inverse temperature.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reduced {
    /// One per row; 1 is the likeliest.
    pub ranks: Vec<u32>,
    /// `(rows, betas)`, row-major.
    pub stats: Vec<TokenStats>,
    /// One per row.
    pub decoding: Vec<DecodingStats>,
}

impl Reduced {
    /// Appends the rows that follow.
    pub fn extend(&mut self, next: Self) {
        self.ranks.extend(next.ranks);
        self.stats.extend(next.stats);
        self.decoding.extend(next.decoding);
    }

    /// Removes the first rows and returns them.
    pub fn take(&mut self, rows: usize, betas: usize) -> Self {
        Self {
            ranks: self.ranks.drain(..rows).collect(),
            stats: self.stats.drain(..rows * betas).collect(),
            decoding: self.decoding.drain(..rows).collect(),
        }
    }
}

/// What an author expects of another model's surprisal at one token, and what it turned out to be. All figures are in
/// nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossTokenStats {
    /// The other model's surprisal at the token seen.
    pub surprisal: f64,
    /// `-sum_v p(v) ln q(v)`: the mean of the other model's surprisal, -ln q, under the author's distribution p.
    pub cross_entropy: f64,
    /// `ln E exp(s·(surprisal - cross-entropy))` under the author, at each of [`TILTS`].
    pub cgf: [f64; TILT_COUNT],
    /// The other model's greatest surprisal over all symbols, less its least.
    pub range: f64,
}

/// What an author at one inverse temperature expects of another model's surprisal at one of that model's.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossScores {
    /// The other model's name.
    pub other: String,
    /// The inverse temperatures of the author and of the other model.
    pub betas: (f64, f64),
    /// The tokens that both models scored, from the first on. Empty if the two cut the text into different tokens.
    pub tokens: Vec<CrossTokenStats>,
}

/// What one model says about one text.
///
/// `spans` covers the text from its first byte to its last without gaps. `ranks` has one entry per scored token.
/// `stats` has one per scored token and inverse temperature; all temperatures of a token stand side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct TextScores {
    /// The name of the model that scored the text.
    pub model: String,
    /// The number of symbols in the model's vocabulary (K of the closed-form bound).
    pub vocab: usize,
    /// Digest of the strings that the symbols stand for: equal for two models of one vocabulary.
    pub symbols: [u8; 32],
    /// Token ids of the whole text.
    pub ids: Vec<u32>,
    /// Byte span of every token in the text.
    pub spans: Vec<Range<usize>>,
    /// Index of the first token that was scored: 0 if the model has a beginning-of-text token, else 1.
    pub first_scored: usize,
    /// The inverse temperatures of `stats`.
    pub betas: Vec<f64>,
    /// Rank of every scored token; 1 is the likeliest.
    pub ranks: Vec<u32>,
    /// `(scored tokens, betas)`, row-major.
    pub stats: Vec<TokenStats>,
    /// One per scored token, for at most the first 65,536.
    pub decoding: Vec<DecodingStats>,
    /// The same figures under repetition penalties, each with its penalty.
    pub penalised: Vec<(f64, Reduced)>,
    /// What this model, as the author, expects of other models of its vocabulary; empty unless requested.
    pub cross: Vec<CrossScores>,
    /// The logits of the [probe](crate::calibration::probe), one row per scored token; empty if the probe reads another model's states.
    pub probed: Vec<[f32; LOGITS]>,
}

impl TextScores {
    /// The number of scored tokens.
    pub fn scored(&self) -> usize {
        self.ranks.len()
    }

    /// The figures of every scored token at the inverse temperature `betas[beta]`, in text order.
    pub fn at(&self, beta: usize) -> impl ExactSizeIterator<Item = &TokenStats> + Clone {
        self.stats.iter().skip(beta).step_by(self.betas.len().max(1))
    }

    /// The probe's logits of the first `scored` scored tokens: the means over those that count. None if the probe has not read
    /// the text, or none of them counts.
    pub fn logits(&self, scored: usize) -> Option<[f64; LOGITS]> {
        let skipped = SKIPPED_TOKENS.saturating_sub(self.first_scored);
        let tokens = self.probed.get(skipped..scored.min(self.probed.len()))?;
        let sum = |class: usize| tokens.iter().map(|logits| f64::from(logits[class])).sum::<f64>();
        (!tokens.is_empty()).then(|| std::array::from_fn(|class| sum(class) / tokens.len() as f64))
    }

    /// The index of an inverse temperature in `betas`; none if it is not there.
    pub fn beta_index(&self, beta: f64) -> Option<usize> {
        self.betas.iter().position(|b| (b - beta).abs() < 1e-12)
    }
}
