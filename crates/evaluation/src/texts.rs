//! A line of results as a text whose author is known.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use whowrote_input::printable;
use whowrote_stats::calibration::HUMAN;

/// The version of the lines that can be read.
const SCHEMA_OF_RESULTS: u32 = 1;

/// Which of the kept fields of a line mean what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The field that says who wrote the text.
    pub label: String,
    /// The values of that field that mean a person, in lower case.
    pub people: Vec<String>,
    /// The field that names the text's document; without it, every text is a document of its own.
    pub document: Option<String>,
    /// The fields by whose values the texts are parted.
    pub by: Vec<String>,
}

/// A text whose author is known, and what the program found.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledText {
    /// Its name in the results.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Who wrote it, as the field says.
    pub label: String,
    /// Whether a person wrote it.
    pub is_human: bool,
    /// The document that it is from.
    pub document: String,
    /// Whether the document has a name of its own.
    pub has_document: bool,
    /// The number of its words.
    pub words: usize,
    /// For each field of [`Labels::by`] that it has, the value.
    pub values: BTreeMap<String, String>,
    /// Whether the program could judge it.
    pub is_judged: bool,
    /// The authors that are left.
    pub authors: Vec<String>,
    /// The authors that were considered.
    pub hypotheses: Vec<Considered>,
    /// The figures under each model.
    pub models: BTreeMap<String, Figures>,
}

/// An author that was considered.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Considered {
    /// The author's name.
    pub author: String,
    /// Its p-value; none if nothing tests it.
    pub p_value: Option<f64>,
    /// The evidence of each test; of a calibration, one.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
}

/// The evidence of one test.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Evidence {
    /// The test's name.
    pub test: String,
    /// Its statistic.
    pub statistic: Option<f64>,
    /// The calibration behind a conformal p-value.
    #[serde(default)]
    pub calibration: Option<Calibration>,
}

/// The calibration behind a conformal p-value.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Calibration {
    /// The least p-value that it allows: one of its documents and one more.
    pub least_p_value: f64,
}

/// A model's figures for a text, as docs/OUTPUT.md describes them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Figures {
    /// The number of scored tokens.
    pub scored_tokens: usize,
    /// Mean surprisal, nat a token.
    pub log_perplexity: Option<f64>,
    /// Mean entropy, nat a token.
    pub entropy: Option<f64>,
    /// Mean varentropy, nat² a token.
    pub varentropy: Option<f64>,
    /// Mean of the natural logarithm of the rank.
    pub mean_log_rank: Option<f64>,
    /// Surprisal in bits, a byte.
    pub bits_per_byte: Option<f64>,
    /// What the probe makes of the model's states, if it reads them.
    #[serde(default)]
    pub probe: Option<ProbeFigures>,
}

/// What the probe makes of a text.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct ProbeFigures {
    /// For each kind of author but a person, its logit against a person.
    pub logits: BTreeMap<String, Option<f64>>,
}

/// Why a line is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is no line of results.
    #[error("is not a line that `whowrote batch` or `whowrote eval` wrote ({0}); name a file of their results")]
    NotResults(String),
    /// Nobody says who wrote the text.
    #[error(
        "has no value of the field `{}`, so nobody knows who wrote the text; name the field with --label, as the results \
         keep it",
        printable(.0)
    )]
    NoLabel(String),
}

/// The fields of a line that count here.
#[derive(Deserialize)]
struct Line {
    schema: u32,
    input: Input,
    verdict: String,
    authors: Vec<String>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    hypotheses: Vec<Considered>,
    #[serde(default)]
    models: BTreeMap<String, Figures>,
}

#[derive(Deserialize)]
struct Input {
    name: String,
    sha256: String,
    #[serde(default)]
    words: usize,
    #[serde(default)]
    kept: BTreeMap<String, String>,
}

impl LabelledText {
    /// Reads a line. A text that could not be judged needs no label: it may be a file that could not be read.
    ///
    /// # Errors
    /// If it is no line of results, or does not say who wrote the text.
    pub fn from_line(line: Map<String, Value>, labels: &Labels) -> Result<Self, Unusable> {
        let not_results = |why: &str| Unusable::NotResults(printable(why));
        let mut line: Line = serde_json::from_value(line.into()).map_err(|error| not_results(&error.to_string()))?;
        if line.schema != SCHEMA_OF_RESULTS {
            return Err(not_results(&format!("its schema is {}", line.schema)));
        }
        let is_share = |p_value: f64| (0.0..=1.0).contains(&p_value);
        if !line
            .hypotheses
            .iter()
            .filter_map(|considered| considered.p_value)
            .all(is_share)
        {
            return Err(not_results("a p-value is not between 0 and 1"));
        }
        if line.confidence.is_some() {
            // With a confidence, the promise is made for the calibration at hand.
            let evidence = line
                .hypotheses
                .iter_mut()
                .flat_map(|considered| &mut considered.evidence);
            evidence.for_each(|evidence| evidence.calibration = None);
        }
        let is_judged = line.verdict != "unable";
        let kept = line.input.kept;
        let label = kept.get(&labels.label).cloned();
        let label = label
            .or_else(|| (!is_judged).then(String::new))
            .ok_or_else(|| Unusable::NoLabel(labels.label.clone()))?;
        let document = labels.document.as_ref().and_then(|field| kept.get(field).cloned());
        let value = |field: &String| Some((field.clone(), kept.get(field)?.clone()));
        Ok(Self {
            is_human: labels.people.contains(&label.to_lowercase()),
            label,
            has_document: document.is_some(),
            document: document.unwrap_or_else(|| line.input.name.clone()),
            sha256: line.input.sha256,
            name: line.input.name,
            words: line.input.words,
            values: labels.by.iter().filter_map(value).collect(),
            is_judged,
            authors: line.authors,
            hypotheses: line.hypotheses,
            models: line.models,
        })
    }

    /// What the author is called in verdicts, if it was considered.
    pub fn true_author(&self) -> Option<&str> {
        let name = if self.is_human { HUMAN } else { &self.label };
        let considered = self.hypotheses.iter().find(|considered| considered.author == name);
        considered.map(|considered| considered.author.as_str())
    }

    /// What was found about an author.
    pub fn considered(&self, author: &str) -> Option<&Considered> {
        self.hypotheses.iter().find(|considered| considered.author == author)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> Labels {
        Labels {
            label: "by".to_owned(),
            people: vec!["human".to_owned()],
            document: Some("page".to_owned()),
            by: vec!["domain".to_owned(), "attack".to_owned()],
        }
    }

    const LINE: &str = r#"{"schema":1,"input":{"name":"x.jsonl:3","sha256":"","bytes":9,"chars":9,"words":120,
        "kept":{"by":"Human","page":"7","domain":"news"}},"verdict":"attributed","authors":["human"],"alpha":0.05,
        "hypotheses":[{"author":"human","set":"human","retained":true,"p_value":0.4,"ln_e_value":null,
        "evidence":[{"test":"conformal","statistic":2.5,"threshold":null}]}],
        "models":{"m":{"tokens":3,"scored_tokens":2,"log_perplexity":3.0,"entropy":2.5,"varentropy":4.0,
        "mean_log_rank":1.5,"bits_per_byte":null}},"warnings":[],"timing":{"score_ms":1.0}}"#;

    fn line() -> Map<String, Value> {
        serde_json::from_str(LINE).unwrap()
    }

    #[test]
    fn a_line_of_results_is_read() {
        let text = LabelledText::from_line(line(), &labels()).unwrap();
        assert_eq!((text.is_human, text.document.as_str(), text.words), (true, "7", 120));
        assert_eq!(text.values, BTreeMap::from([("domain".to_owned(), "news".to_owned())]));
        assert_eq!(text.true_author(), Some("human"));
        assert_eq!(text.models["m"].bits_per_byte, None);
        let without_documents = Labels {
            document: None,
            ..labels()
        };
        let text = LabelledText::from_line(line(), &without_documents).unwrap();
        assert_eq!(text.document, "x.jsonl:3");
    }

    #[test]
    fn a_line_without_a_label_is_refused() {
        let other = Labels {
            label: "model".to_owned(),
            ..labels()
        };
        let error = LabelledText::from_line(line(), &other).unwrap_err();
        assert_eq!(error, Unusable::NoLabel("model".to_owned()));
        let mut unable = line();
        unable["verdict"] = "unable".into();
        assert!(!LabelledText::from_line(unable, &other).unwrap().is_judged);
        let refused = |change: &dyn Fn(&mut Map<String, Value>)| {
            let mut changed = line();
            change(&mut changed);
            assert!(matches!(
                LabelledText::from_line(changed, &labels()),
                Err(Unusable::NotResults(_))
            ));
        };
        refused(&|line| drop(line.remove("input")));
        refused(&|line| line["schema"] = 2.into());
        refused(&|line| line["hypotheses"][0]["p_value"] = 1.5.into());
        refused(&|line| line["models"]["m"]["scored_tokens"] = (-1).into());
    }
}
