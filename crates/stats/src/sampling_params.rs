//! How text is drawn from a model: temperature and truncation of the next token's distribution.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the next token is drawn from a row of logits, in the order in which Hugging Face transformers and vLLM apply
/// it: repetition penalty, temperature, top-k, top-p, min-p; then the symbols that are left are renormalised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SamplingParams {
    /// T, at least 0; 0 is greedy decoding, the likeliest symbol every time.
    pub temperature: f64,
    /// Only the k likeliest symbols.
    pub top_k: Option<u32>,
    /// Only the likeliest symbols whose probabilities sum to p: the nucleus (Holtzman and others 2020, *The Curious
    /// Case of Neural Text Degeneration*). The symbol that reaches p belongs to it.
    pub top_p: Option<f64>,
    /// Only symbols at least so likely as this share of the likeliest.
    pub min_p: Option<f64>,
    /// Divides the positive logits, and multiplies the negative ones, of symbols that the text already has (Keskar and
    /// others 2019, *CTRL*); 1 changes nothing.
    pub repetition_penalty: f64,
}

impl SamplingParams {
    /// The model's own distribution at a temperature, nothing cut off.
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

    /// Whether some symbols can never be drawn.
    pub fn truncates(&self) -> bool {
        self.temperature == 0.0 || self.top_k.is_some() || self.top_p.is_some() || self.min_p.is_some()
    }

    /// 1/T, and 1 for greedy decoding, whose one symbol is the likeliest at every temperature.
    pub fn beta(&self) -> f64 {
        if self.temperature == 0.0 {
            1.0
        } else {
            1.0 / self.temperature
        }
    }
}

/// Why a decoding could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0}; a decoding reads like `temperature=0.7,top-p=0.9`, with any of temperature, top-k, top-p, min-p and repetition-penalty"
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
                    .ok_or("0 or a number from 0.05 to 10"),
                "top-k" => value
                    .parse()
                    .ok()
                    .filter(|&k: &u32| k > 0)
                    .map(|k| decoding.top_k = Some(k))
                    .ok_or("a whole number above 0"),
                // Nothing is cut off at 1.
                "top-p" => share()
                    .map(|p| decoding.top_p = (p < 1.0).then_some(p))
                    .ok_or("a share above 0 and at most 1"),
                "min-p" => share()
                    .map(|p| decoding.min_p = Some(p))
                    .ok_or("a share above 0 and at most 1"),
                "repetition-penalty" => number()
                    .filter(|penalty| (0.1..=10.0).contains(penalty))
                    .map(|penalty| decoding.repetition_penalty = penalty)
                    .ok_or("a number from 0.1 to 10"),
                _ => return Err(SamplingParamsError(format!("there is no setting called `{name}`"))),
            };
            set.map_err(|wanted| SamplingParamsError(format!("{name} is {wanted}, not `{value}`")))?;
            named.push(name);
        }
        Ok(decoding)
    }
}

/// Temperatures outside these are no sampling that anybody deploys, and their powers overflow.
const MIN_TEMPERATURE: f64 = 0.05;
const MAX_TEMPERATURE: f64 = 10.0;

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
    /// As [`FromStr`] reads it.
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

/// The decodings that an author may have used: an author is ruled out only if it is under every one of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SamplingFamily {
    /// What services run: temperature 0.2 to 1 with top-p up to 0.95 or top-k up to 64, and untruncated up to
    /// temperature 0.85.
    #[default]
    Deployed,
    /// Also untruncated up to temperature 1.3, which reads like a person's text to the model itself.
    Any,
    /// One decoding, or one truncation at a range of temperatures: from that of the decoding to this one.
    Stated(SamplingParams, f64),
}

impl SamplingFamily {
    /// Whether it holds one decoding only.
    pub fn is_one(&self) -> bool {
        matches!(self, Self::Stated(coldest, hottest) if coldest.temperature == *hottest)
    }
}

impl FromStr for SamplingFamily {
    type Err = SamplingParamsError;

    fn from_str(text: &str) -> Result<Self, SamplingParamsError> {
        match text.trim() {
            "deployed" => return Ok(Self::Deployed),
            "any" => return Ok(Self::Any),
            _ => {}
        }
        // `temperature=0.5..1` is the decoding at 0.5 and, once more, at 1.
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
    /// As [`FromStr`] reads it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployed => f.write_str("deployed"),
            Self::Any => f.write_str("any"),
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
    fn what_is_no_decoding_is_refused_in_words() {
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
