//! Reports as a Parquet file: one row a text, with typed columns for each author and model.

use super::Format;
use anyhow::Context;
use arrow_json::ReaderBuilder;
use arrow_schema::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::{Map, Value};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use whowrote_input::printable;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "parquet",
    help: "A Parquet file with typed columns, as docs/BATCH.md says",
    is_styled: false,
    reports: None,
    run: None,
    table: Some(("parquet", |lines, out, authors, models, name| {
        write_table(lines, out, authors, models, name)
    })),
};

/// Rows that are in memory at a time, and in a row group of the file.
const ROWS: usize = 1 << 12;

fn float(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

fn whole(name: &str) -> Field {
    Field::new(name, DataType::Int64, true)
}

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

fn group(name: &str, fields: Vec<Field>) -> Field {
    Field::new(name, DataType::Struct(Fields::from(fields)), true)
}

fn list(name: &str, item: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", item, true))), true)
}

/// The columns for reports on these authors by these models. All may be null: what could not be judged has no figures.
fn schema(authors: &[String], models: &[String]) -> Schema {
    let hypothesis = |author: &String| {
        let fields = vec![
            text("set"),
            text("basis"),
            Field::new("retained", DataType::Boolean, true),
            float("p_value"),
            float("ln_e_value"),
        ];
        group(author, fields)
    };
    let figures = |model: &String| {
        let means = [
            "log_perplexity",
            "entropy",
            "varentropy",
            "mean_log_rank",
            "bits_per_byte",
        ];
        let fields = [whole("tokens"), whole("scored_tokens")].into_iter();
        group(model, fields.chain(means.map(float)).collect())
    };
    let warning = DataType::Struct(Fields::from(vec![text("code"), text("message")]));
    Schema::new(vec![
        text("name"),
        text("id"),
        text("sha256"),
        whole("bytes"),
        whole("chars"),
        text("verdict"),
        list("authors", DataType::Utf8),
        float("alpha"),
        float("alpha_human"),
        group("hypotheses", authors.iter().map(hypothesis).collect()),
        group("models", models.iter().map(figures).collect()),
        list("warnings", warning),
        float("score_ms"),
    ])
}

/// A report's JSON, with its fields where the columns are.
fn row(mut report: Map<String, Value>) -> Value {
    if let Some(Value::Object(input)) = report.remove("input") {
        report.extend(input);
    }
    if let Some(Value::Object(timing)) = report.remove("timing") {
        report.extend(timing);
    }
    let hypotheses = match report.remove("hypotheses") {
        Some(Value::Array(hypotheses)) => hypotheses,
        _ => Vec::new(),
    };
    let by_author = hypotheses.into_iter().filter_map(|hypothesis| {
        let author = hypothesis.get("author")?.as_str()?.to_owned();
        Some((author, hypothesis))
    });
    let by_author: Map<String, Value> = by_author.collect();
    report.insert("hypotheses".to_owned(), by_author.into());
    report.into()
}

/// Writes the reports of `lines`, one JSON object each, as a Parquet file.
///
/// # Errors
/// When a line is no report, or one of the files fails.
fn write_table(
    lines: impl BufRead,
    out: impl Write + Send,
    authors: &[String],
    models: &[String],
    name: &Path,
) -> anyhow::Result<()> {
    let failed = || {
        format!(
            "cannot write `{}`; make room and run the same command again",
            printable(&name.to_string_lossy())
        )
    };
    let schema = Arc::new(schema(authors, models));
    let mut decoder = ReaderBuilder::new(schema.clone())
        .with_batch_size(ROWS)
        .build_decoder()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(out, schema, Some(properties)).with_context(failed)?;
    let mut lines = lines.lines();
    loop {
        let mut rows = Vec::with_capacity(ROWS);
        for line in lines.by_ref().take(ROWS) {
            let line = line.with_context(failed)?;
            rows.push(row(
                serde_json::from_str(&line).context("a line of the results cannot be read again")?
            ));
        }
        if rows.is_empty() {
            break;
        }
        decoder.serialize(&rows)?;
        while let Some(batch) = decoder.flush()? {
            writer.write(&batch).with_context(failed)?;
        }
    }
    writer.close().with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::{JsonWriter, ReportWriter};
    use crate::sentences::verdicts::tests::{attributed_to_a_model, undecided, unreadable};
    use arrow_array::cast::AsArray;
    use arrow_array::types::Float64Type;
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    #[test]
    fn every_report_is_a_row_of_typed_columns() {
        let reports = [undecided(), unreadable(), attributed_to_a_model()];
        let mut lines = Vec::new();
        for report in &reports {
            JsonWriter.write(report, &mut lines).unwrap();
        }
        let names = ["smollm2-135m-instruct", "gemma-3-270m", "human"].map(str::to_owned);
        let file = tempfile::NamedTempFile::new().unwrap();
        write_table(
            lines.as_slice(),
            file.reopen().unwrap(),
            &names,
            &names[..2],
            file.path(),
        )
        .unwrap();
        let mut reader = ParquetRecordBatchReaderBuilder::try_new(file.reopen().unwrap())
            .unwrap()
            .build()
            .unwrap();
        let batch = reader.next().unwrap().unwrap();
        assert_eq!(batch.num_rows(), 3);
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let verdicts: Vec<_> = column("verdict")
            .as_string::<i32>()
            .iter()
            .map(Option::unwrap)
            .collect();
        assert_eq!(verdicts, ["undecided", "unable", "attributed"]);
        let gemma = column("hypotheses")
            .as_struct()
            .column_by_name("gemma-3-270m")
            .unwrap()
            .as_struct();
        let p_values = gemma.column_by_name("p_value").unwrap().as_primitive::<Float64Type>();
        let of = |i: usize| {
            reports[i]
                .hypotheses
                .iter()
                .find(|h| h.author == "gemma-3-270m")
                .unwrap()
                .p_value
                .unwrap()
        };
        assert_eq!((p_values.value(0), p_values.value(2)), (of(0), of(2)));
        assert!(arrow_array::Array::is_null(p_values, 1));
        let figures = column("models")
            .as_struct()
            .column_by_name("smollm2-135m-instruct")
            .unwrap()
            .as_struct();
        let entropy = figures.column_by_name("entropy").unwrap().as_primitive::<Float64Type>();
        assert_eq!(entropy.value(0), reports[0].models["smollm2-135m-instruct"].entropy);
        let warnings = column("warnings").as_list::<i32>().value(1);
        let messages = warnings.as_struct().column_by_name("message").unwrap().clone();
        assert!(messages.as_string::<i32>().value(0).contains("pdftotext"));
        let authors = column("authors").as_list::<i32>().value(0);
        assert_eq!(authors.as_string::<i32>().value(1), "human");
    }
}
