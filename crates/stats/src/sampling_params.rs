//! How text is sampled from a model: the temperature, and the truncation of the next token's distribution.

use crate::token_stats::TEMPERATURE_GRID;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the next token is sampled from a row of logits. Hugging Face transformers and vLLM apply the steps in this
/// order: repetition penalty, temperature, top-k, top-p, min-p. Then they renormalise the remaining symbols.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SamplingParams {
    /// T, at least 0. At 0 the decoding is greedy: it takes the likeliest symbol every time.
    pub temperature: f64,
    /// Keeps the k likeliest symbols only.
    pub top_k: Option<u32>,
    /// Keeps the nucleus only: the likeliest symbols whose probabilities sum to p (Holtzman and others 2020, *The
    /// Curious Case of Neural Text Degeneration*). The symbol that reaches p belongs to it.
    pub top_p: Option<f64>,
    /// Keeps the symbols whose probability is at least this share of the likeliest symbol's.
    pub min_p: Option<f64>,
    /// Applies to symbols that the text already has: divides positive logits and multiplies negative ones (Keskar and
    /// others 2019, *CTRL*). A penalty of 1 changes nothing.
    pub repetition_penalty: f64,
}

impl SamplingParams {
    /// The model's own distribution at a temperature, without truncation.
    pub fn untruncated(temperature: f64) -> Self {
        Self {
            temperature,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
        }
    }

    /// A nucleus at a temperature.
    pub fn nucleus(temperature: f64, top_p: f64) -> Self {
        Self {
            top_p: Some(top_p),
            ..Self::untruncated(temperature)
        }
    }

    /// The k likeliest symbols at a temperature.
    pub fn likeliest(temperature: f64, top_k: u32) -> Self {
        Self {
            top_k: Some(top_k),
            ..Self::untruncated(temperature)
        }
    }

    /// Whether some symbols can never be sampled.
    pub fn truncates(&self) -> bool {
        self.temperature == 0.0 || self.top_k.is_some() || self.top_p.is_some() || self.min_p.is_some()
    }

    /// 1/T. Greedy decoding has 1: its one symbol is the likeliest at every temperature.
    pub fn beta(&self) -> f64 {
        if self.temperature == 0.0 {
            1.0
        } else {
            1.0 / self.temperature
        }
    }
}

/// Why a decoding could not be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a decoding reads like `temperature=0.7,top-p=0.9`, with any of temperature, top-k, top-p, min-p and \
     repetition-penalty"
)]
pub struct SamplingParamsError(String);

impl FromStr for SamplingParams {
    type Err = SamplingParamsError;

    fn from_str(text: &str) -> Result<Self, SamplingParamsError> {
        let mut decoding = Self::untruncated(1.0);
        let mut named = Vec::new();
        for part in text.split(',') {
            let Some((name, value)) = part.split_once('=') else {
                return Err(SamplingParamsError(format!("`{}` has no `=`", part.trim())));
            };
            let (name, value) = (name.trim().replace('_', "-"), value.trim());
            if named.contains(&name) {
                return Err(SamplingParamsError(format!("`{name}` is given twice")));
            }
            let number = || value.parse::<f64>().ok().filter(|number| number.is_finite());
            let share = || number().filter(|&share| share > 0.0 && share <= 1.0);
            let set = match name.as_str() {
                "temperature" | "t" | "T" => number()
                    .filter(|&t| t == 0.0 || (MIN_TEMPERATURE..=MAX_TEMPERATURE).contains(&t))
                    .map(|t| decoding.temperature = t)
                    .ok_or(format!("0 or a number from {MIN_TEMPERATURE} to {MAX_TEMPERATURE}")),
                "top-k" => value
                    .parse()
                    .ok()
                    .filter(|&k: &u32| k > 0)
                    .map(|k| decoding.top_k = Some(k))
                    .ok_or("a whole number above 0".to_owned()),
                // A top-p of 1 truncates nothing.
                "top-p" => share()
                    .map(|p| decoding.top_p = (p < 1.0).then_some(p))
                    .ok_or("a share above 0 and at most 1".to_owned()),
                "min-p" => share()
                    .map(|p| decoding.min_p = Some(p))
                    .ok_or("a share above 0 and at most 1".to_owned()),
                "repetition-penalty" => number()
                    .filter(|penalty| (MIN_PENALTY..=MAX_PENALTY).contains(penalty))
                    .map(|penalty| decoding.repetition_penalty = penalty)
                    .ok_or(format!("a number from {MIN_PENALTY} to {MAX_PENALTY}")),
                _ => return Err(SamplingParamsError(format!("there is no setting called `{name}`"))),
            };
            set.map_err(|wanted| SamplingParamsError(format!("{name} is {wanted}, not `{value}`")))?;
            named.push(name);
        }
        Ok(decoding)
    }
}

/// Nobody deploys temperatures outside these limits, and their powers overflow.
const MIN_TEMPERATURE: f64 = 0.05;
const MAX_TEMPERATURE: f64 = 10.0;

/// Nobody deploys repetition penalties outside these limits.
const MIN_PENALTY: f64 = 0.1;
const MAX_PENALTY: f64 = 10.0;

impl TryFrom<String> for SamplingParams {
    type Error = SamplingParamsError;

    fn try_from(text: String) -> Result<Self, SamplingParamsError> {
        text.parse()
    }
}

impl From<SamplingParams> for String {
    fn from(decoding: SamplingParams) -> Self {
        decoding.to_string()
    }
}

impl fmt::Display for SamplingParams {
    /// In the form that [`FromStr`] parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "temperature={}", self.temperature)?;
        if let Some(k) = self.top_k {
            write!(f, ",top-k={k}")?;
        }
        if let Some(p) = self.top_p {
            write!(f, ",top-p={p}")?;
        }
        if let Some(p) = self.min_p {
            write!(f, ",min-p={p}")?;
        }
        if self.repetition_penalty != 1.0 {
            write!(f, ",repetition-penalty={}", self.repetition_penalty)?;
        }
        Ok(())
    }
}

/// The decodings that an author may have used. An author is excluded only if every one of them is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SamplingFamily {
    /// What services run: [`DEPLOYED`].
    #[default]
    Deployed,
    /// [`DEPLOYED`], and hotter without truncation: [`ANY`]. To the model itself, such text reads like a person's.
    Any,
    /// One decoding, or one truncation at a range of temperatures: from the decoding's temperature up to this one.
    Stated(SamplingParams, f64),
}

/// What a named family holds.
///
/// Nothing else in the code says so. From it derive the decodings that stand for the family ([`Self::members`]), the
/// bound on the likelihood between them ([`crate::max_likelihood`]), the name that is parsed and printed, and the words
/// of reports and help.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FamilyLimits {
    /// The family's name on the command line, in catalogues and in calibrations.
    pub name: &'static str,
    /// The lowest temperature, with truncation and without.
    pub coldest: f64,
    /// The highest temperature with truncation by top-p, top-k or both.
    pub hottest_truncated: f64,
    /// The highest temperature without truncation.
    pub hottest_untruncated: f64,
    /// Values of top-p, ascending. Each is a member of the grid; the family holds every top-p up to the last.
    pub top_p: &'static [f64],
    /// Values of top-k, ascending. Each is a member of the grid; the family holds every top-k up to the last.
    pub top_k: &'static [u32],
    /// Pairs of top-k and top-p that are members of the grid; the family holds all pairs of what it holds alone.
    pub top_k_and_p: &'static [(u32, f64)],
}

/// What services run.
pub const DEPLOYED: FamilyLimits = FamilyLimits {
    name: "deployed",
    coldest: 0.2,
    hottest_truncated: 1.0,
    hottest_untruncated: 0.85,
    top_p: &[0.5, 0.7, 0.8, 0.9, 0.95],
    top_k: &[10, 20, 40, 64],
    top_k_and_p: &[(40, 0.9), (64, 0.95)],
};

/// What services run, and also without truncation up to the hottest point of the [`TEMPERATURE_GRID`], 4/3.
pub const ANY: FamilyLimits = FamilyLimits {
    name: "any",
    hottest_untruncated: 1.0 / TEMPERATURE_GRID[0],
    ..DEPLOYED
};

const _: () = assert!(DEPLOYED.is_consistent() && ANY.is_consistent());

impl FamilyLimits {
    /// The greatest top-p.
    pub const fn greatest_top_p(&self) -> f64 {
        self.top_p[self.top_p.len() - 1]
    }

    /// The greatest top-k.
    pub const fn greatest_top_k(&self) -> u32 {
        self.top_k[self.top_k.len() - 1]
    }

    /// Whether all temperatures lie in the range of the [`TEMPERATURE_GRID`], outside which nothing bounds a
    /// likelihood, and every pair lies within the limits of its parts.
    const fn is_consistent(&self) -> bool {
        let mut consistent = 1.0 / self.coldest <= TEMPERATURE_GRID[TEMPERATURE_GRID.len() - 1]
            && 1.0 / self.hottest_truncated >= TEMPERATURE_GRID[0]
            && 1.0 / self.hottest_untruncated >= TEMPERATURE_GRID[0]
            && self.greatest_top_p() < 1.0;
        let mut i = 0;
        while i < self.top_k_and_p.len() {
            let (k, p) = self.top_k_and_p[i];
            consistent &= k <= self.greatest_top_k() && p <= self.greatest_top_p();
            i += 1;
        }
        consistent
    }

    /// Whether the family holds a decoding.
    pub fn contains(&self, decoding: &SamplingParams) -> bool {
        let hottest = if decoding.truncates() {
            self.hottest_truncated
        } else {
            self.hottest_untruncated
        };
        (self.coldest..=hottest).contains(&decoding.temperature)
            && decoding.top_p.is_none_or(|p| p <= self.greatest_top_p())
            && decoding.top_k.is_none_or(|k| k <= self.greatest_top_k())
            && decoding.min_p.is_none()
            && decoding.repetition_penalty == 1.0
    }

    /// The decodings that stand for the family. At every point of the [`TEMPERATURE_GRID`] within the limits, they are
    /// the truncations listed here and the model without truncation.
    pub fn members(&self) -> Vec<SamplingParams> {
        let mut members = Vec::new();
        for temperature in TEMPERATURE_GRID.into_iter().map(|beta| 1.0 / beta) {
            let nuclei = self.top_p.iter().map(|&p| SamplingParams::nucleus(temperature, p));
            let likeliest = self.top_k.iter().map(|&k| SamplingParams::likeliest(temperature, k));
            let both = self.top_k_and_p.iter().map(|&(k, p)| SamplingParams {
                top_k: Some(k),
                ..SamplingParams::nucleus(temperature, p)
            });
            let untruncated = [SamplingParams::untruncated(temperature)];
            let all = nuclei.chain(likeliest).chain(both).chain(untruncated);
            members.extend(all.filter(|decoding| self.contains(decoding)));
        }
        members
    }

    /// [`Self::hottest_untruncated`] as reports state it: two digits, rounded down so as not to overstate it.
    pub fn stated_hottest(&self) -> f64 {
        let scale = if self.hottest_untruncated < 1.0 { 100.0 } else { 10.0 };
        (self.hottest_untruncated * scale + 1e-9).floor() / scale
    }
}

impl fmt::Display for FamilyLimits {
    /// In words, for reports and help.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "temperature {} to {} with top-p up to {}, top-k up to {} or both, and untruncated up to temperature {}",
            self.coldest,
            self.hottest_truncated,
            self.greatest_top_p(),
            self.greatest_top_k(),
            self.stated_hottest(),
        )
    }
}

impl SamplingFamily {
    /// The families that have a name.
    pub const NAMED: [Self; 2] = [Self::Deployed, Self::Any];

    /// What a named family holds; none if the family is stated.
    pub const fn limits(&self) -> Option<&'static FamilyLimits> {
        match self {
            Self::Deployed => Some(&DEPLOYED),
            Self::Any => Some(&ANY),
            Self::Stated(..) => None,
        }
    }

    /// Whether it holds one decoding only.
    pub fn is_one(&self) -> bool {
        matches!(self, Self::Stated(coldest, hottest) if coldest.temperature == *hottest)
    }
}

impl FromStr for SamplingFamily {
    type Err = SamplingParamsError;

    fn from_str(text: &str) -> Result<Self, SamplingParamsError> {
        let called = |family: &Self| family.limits().is_some_and(|limits| limits.name == text.trim());
        if let Some(named) = Self::NAMED.into_iter().find(called) {
            return Ok(named);
        }
        // `temperature=0.5..1` is read twice: as the decoding at 0.5, then as the decoding at 1.
        let end = |last: bool| -> String {
            let parts = text.split(',').map(|part| match part.split_once("..") {
                Some((first, hottest)) if last => {
                    format!("{}={hottest}", first.split('=').next().unwrap_or_default())
                }
                Some((first, _)) => first.to_owned(),
                None => part.to_owned(),
            });
            parts.collect::<Vec<_>>().join(",")
        };
        let coldest: SamplingParams = end(false).parse()?;
        let hottest: SamplingParams = end(true).parse()?;
        let same = SamplingParams {
            temperature: coldest.temperature,
            ..hottest.clone()
        } == coldest;
        if !same || hottest.temperature < coldest.temperature {
            return Err(SamplingParamsError(
                "only the temperature can be a range, such as `temperature=0.5..1`".to_owned(),
            ));
        }
        Ok(Self::Stated(coldest, hottest.temperature))
    }
}

impl TryFrom<String> for SamplingFamily {
    type Error = SamplingParamsError;

    fn try_from(text: String) -> Result<Self, SamplingParamsError> {
        text.parse()
    }
}

impl From<SamplingFamily> for String {
    fn from(family: SamplingFamily) -> Self {
        family.to_string()
    }
}

impl fmt::Display for SamplingFamily {
    /// In the form that [`FromStr`] parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployed | Self::Any => f.write_str(self.limits().map_or("", |limits| limits.name)),
            Self::Stated(decoding, hottest) if *hottest == decoding.temperature => decoding.fmt(f),
            Self::Stated(decoding, hottest) => {
                let text = decoding.to_string();
                let cold = format!("temperature={}", decoding.temperature);
                f.write_str(&text.replacen(&cold, &format!("{cold}..{hottest}"), 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decoding_reads_what_it_writes() {
        for text in [
            "temperature=1",
            "temperature=0",
            "temperature=0.7,top-p=0.9",
            "temperature=1,top-k=64,top-p=0.95,min-p=0.05,repetition-penalty=1.1",
        ] {
            assert_eq!(text.parse::<SamplingParams>().unwrap().to_string(), text);
        }
        assert_eq!("T=0.2, top_p=0.9".parse(), Ok(SamplingParams::nucleus(0.2, 0.9)));
        assert_eq!("top-k=40".parse(), Ok(SamplingParams::likeliest(1.0, 40)));
        assert_eq!("top-p=1".parse(), Ok(SamplingParams::untruncated(1.0)));
        assert!(SamplingParams::untruncated(0.0).truncates() && !SamplingParams::untruncated(0.5).truncates());
    }

    #[test]
    fn a_family_reads_what_it_writes() {
        for text in [
            "deployed",
            "any",
            "temperature=0.7,top-p=0.9",
            "temperature=0.5..1,top-k=40",
        ] {
            assert_eq!(text.parse::<SamplingFamily>().unwrap().to_string(), text);
        }
        for text in ["temperature=1..0.5", "top-p=0.5..0.9", "temperature=1..", "sane"] {
            text.parse::<SamplingFamily>().unwrap_err();
        }
    }

    #[test]
    fn every_member_of_a_family_lies_within_its_limits_and_some_reach_them() {
        for family in SamplingFamily::NAMED {
            let limits = family.limits().unwrap();
            let members = limits.members();
            assert!(!members.is_empty() && members.iter().all(|decoding| limits.contains(decoding)));
            let reached = |of: fn(&SamplingParams) -> f64| members.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
            assert_eq!(reached(|d| -d.temperature), -limits.coldest);
            assert_eq!(reached(|d| d.top_p.unwrap_or(0.0)), limits.greatest_top_p());
            assert_eq!(
                reached(|d| d.top_k.map_or(0.0, f64::from)),
                f64::from(limits.greatest_top_k())
            );
            let truncated = |d: &SamplingParams| if d.truncates() { d.temperature } else { 0.0 };
            assert_eq!(reached(truncated), limits.hottest_truncated);
        }
        assert_eq!((DEPLOYED.members().len(), ANY.members().len()), (118, 122));
    }

    #[test]
    fn a_family_says_its_limits_in_words() {
        assert_eq!(
            DEPLOYED.to_string(),
            "temperature 0.2 to 1 with top-p up to 0.95, top-k up to 64 or both, and untruncated up to temperature 0.85"
        );
        assert!(ANY.to_string().ends_with("untruncated up to temperature 1.3"));
    }

    #[test]
    fn text_that_is_not_a_decoding_is_refused_with_a_reason() {
        for (text, said) in [
            ("", "`` has no `=`"),
            ("hot", "`hot` has no `=`"),
            (
                "temperature=-1",
                "temperature is 0 or a number from 0.05 to 10, not `-1`",
            ),
            ("temperature=0.001", "temperature is 0 or"),
            ("temperature=NaN", "temperature is 0 or"),
            ("top-k=0", "top-k is a whole number above 0"),
            ("top-p=1.5", "top-p is a share"),
            ("min-p=0", "min-p is a share"),
            ("typical=0.9", "no setting called `typical`"),
            ("t=1,t=2", "`t` is given twice"),
        ] {
            let message = text.parse::<SamplingParams>().unwrap_err().to_string();
            assert!(message.starts_with(said) || message.contains(said), "{text}: {message}");
        }
    }
}
