//! One JSON object on each line. The fields are those of [`ProvenanceReport`]; docs/OUTPUT.md gives the unit of each.

use super::{Format, ReportWriter};
use crate::report::ProvenanceReport;
use serde::Serialize;
use std::io::{self, Write};

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "json",
    help: "for programs; docs/OUTPUT.md and docs/GATE.md describe the fields",
    is_styled: false,
    reports: Some(|_| Box::new(JsonWriter)),
    run: Some(|report, _, out| write_object(report, out)),
    evaluation: Some(|evaluation, _, out| write_object(evaluation, out)),
    table: None,
};

/// Prints a whole run, or an evaluation, as one object.
fn write_object(report: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, report)?;
    writeln!(out)
}

/// Prints each report as one line of JSON. Numbers that are not finite become null.
#[derive(Clone, Copy, Debug, Default)]
pub struct JsonWriter;

impl ReportWriter for JsonWriter {
    fn write(&mut self, report: &ProvenanceReport, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, report)?;
        out.write_all(b"\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::WarningCode;
    use crate::sentences::verdicts::tests::{attributed_to_a_model, undecided, unreadable};

    fn line(report: &ProvenanceReport) -> String {
        let mut out = Vec::new();
        JsonWriter.write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_names_are_those_of_the_contract() {
        insta::assert_snapshot!(line(&undecided()), @r#"{"schema":1,"input":{"name":"essay.txt","sha256":"abababababababababababababababababababababababababababababababab","bytes":1834,"chars":1821,"words":301},"verdict":"undecided","authors":["smollm2-135m-instruct","human"],"alpha":0.05,"alpha_human":0.01,"hypotheses":[{"author":"smollm2-135m-instruct","set":"a","model":"smollm2-135m-instruct","decoding":"temperature=1","basis":"prompt","retained":true,"p_value":1.0,"ln_e_value":-9.4,"evidence":[{"test":"likelihood-ratio","ln_e_value":-9.4,"statistic":-9.4,"threshold":3.0,"against":["gemma-3-270m"]}]},{"author":"gemma-3-270m","set":"b","model":"gemma-3-270m","decoding":"temperature=1","basis":"prompt","retained":false,"p_value":1.1973824502035734e-31,"ln_e_value":71.2,"evidence":[{"test":"likelihood-ratio","ln_e_value":71.2,"statistic":71.2,"threshold":3.0,"against":["smollm2-135m-instruct"]}]},{"author":"human","set":"human","basis":"untested","retained":true,"p_value":null,"ln_e_value":null,"evidence":[]}],"models":{"gemma-3-270m":{"tokens":1207,"scored_tokens":1206,"log_perplexity":3.02,"entropy":3.517,"varentropy":6.4,"mean_log_rank":1.9,"bits_per_byte":1.18},"smollm2-135m-instruct":{"tokens":213,"scored_tokens":212,"log_perplexity":3.71,"entropy":3.69,"varentropy":6.4,"mean_log_rank":1.9,"bits_per_byte":1.18}},"warnings":[{"code":"human-untested","message":"Nothing tests whether a person wrote the text, so a person is never excluded: there is no calibration of human-written texts with the models that are loaded. `whowrote calibrate --author human` makes one."}],"timing":{"score_ms":431.0}}"#);
    }

    #[test]
    fn what_could_not_be_judged_is_an_object_too() {
        insta::assert_snapshot!(line(&unreadable()), @r#"{"schema":1,"input":{"name":"essay.pdf","sha256":"","bytes":0,"chars":0,"words":0},"verdict":"unable","authors":[],"alpha":0.05,"alpha_human":0.01,"hypotheses":[],"models":{},"warnings":[{"code":"unreadable","message":"`essay.pdf` is a PDF, not plain text; extract the text first, e.g. with `pdftotext`"}],"timing":{"score_ms":0.0}}"#);
    }

    #[test]
    fn numbers_that_are_not_finite_are_null() {
        let mut report = attributed_to_a_model();
        report.hypotheses[0].ln_e_value = Some(f64::NEG_INFINITY);
        report.hypotheses[0].evidence[0].ln_e_value = f64::NEG_INFINITY;
        report.hypotheses[0].evidence[0].threshold = f64::INFINITY;
        for figures in report.models.values_mut() {
            figures.bits_per_byte = f64::NAN;
        }
        let parsed: serde_json::Value = serde_json::from_str(&line(&report)).unwrap();
        assert!(parsed["hypotheses"][0]["ln_e_value"].is_null());
        assert!(parsed["hypotheses"][0]["evidence"][0]["ln_e_value"].is_null());
        assert!(parsed["hypotheses"][0]["evidence"][0]["threshold"].is_null());
        assert!(parsed["models"]["smollm2-135m-instruct"]["bits_per_byte"].is_null());
    }

    #[test]
    fn a_report_is_one_line_whatever_its_name_holds() {
        let mut report = undecided();
        report.input.name = "a\nb\u{1b}[2J.txt".to_owned();
        let line = line(&report);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("}\n") && !line.contains('\u{1b}'));
    }

    #[test]
    fn every_field_is_described() {
        const DESCRIPTION: &str = include_str!("../../docs/OUTPUT.md");
        fn check(value: &serde_json::Value, path: &str) {
            match value {
                serde_json::Value::Array(items) => items.iter().for_each(|item| check(item, path)),
                serde_json::Value::Object(fields) => {
                    for (name, value) in fields {
                        // The names of models are data, not fields.
                        assert!(
                            path == "models" || DESCRIPTION.contains(&format!("`{name}`")),
                            "{path}.{name}"
                        );
                        check(value, name);
                    }
                }
                _ => {}
            }
        }
        let mut report = undecided();
        for figures in report.models.values_mut() {
            figures.sha256 = Some(String::new());
            figures.per_token = Some(vec![crate::report::TokenFigures {
                start: 0,
                end: 1,
                id: 7,
                surprisal: None,
                entropy: Some(1.0),
                varentropy: Some(1.0),
                rank: Some(1),
            }]);
        }
        check(&serde_json::to_value(&report).unwrap(), "");
        for code in [
            WarningCode::FewTokens,
            WarningCode::Uncalibrated,
            WarningCode::Untested,
            WarningCode::OutsideCalibration,
            WarningCode::Memorised,
            WarningCode::Repeats,
            WarningCode::Disguised,
            WarningCode::Misspelt,
            WarningCode::RatioVoid,
            WarningCode::HumanUntested,
            WarningCode::LongText,
            WarningCode::Unreadable,
            WarningCode::Unscored,
        ] {
            let name = serde_json::to_value(code).unwrap();
            assert!(DESCRIPTION.contains(&format!("`{}`", name.as_str().unwrap())), "{name}");
        }
    }
}
