//! Reports as a Parquet file: one row for each text, with typed columns for each author and model.

use super::{Format, TableNames};
use anyhow::{Context, bail};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;
use serde_json::{Map, Value};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Arc;
use whowrote_input::printable;

/// The format.
pub(super) const FORMAT: Format = Format {
    name: "parquet",
    help: "a Parquet file with typed columns; docs/BATCH.md describes them",
    is_styled: false,
    reports: None,
    run: None,
    evaluation: None,
    table: Some(("parquet", |lines, out, names, name| {
        write_table(lines, out, names, name)
    })),
};

/// The number of rows in memory, and in a row group of the file.
const ROWS: usize = 1 << 12;

/// A column with its values in the current row group. Every value may be null.
enum Column {
    Boolean(Leaf<BoolType>),
    Whole(Leaf<Int64Type>),
    Float(Leaf<DoubleType>),
    Text(Leaf<ByteArrayType>),
    Group(Vec<(String, Column)>),
    /// A list of values that are not lists themselves.
    List(Box<Column>),
}

/// The values of a column that are not null, and their places, as in Dremel.
///
/// Reference: Melnik et al., "Dremel: Interactive Analysis of Web-Scale Datasets", PVLDB 3(1), 2010, section 4.1.
struct Leaf<T: DataType> {
    values: Vec<T::T>,
    /// For each value: how many of it and of the groups and lists around it are not null.
    definitions: Vec<i16>,
    /// For each value: 1 if it continues the list of the value before it, else 0.
    repetitions: Vec<i16>,
}

/// The levels of a place in a row.
#[derive(Clone, Copy)]
struct Levels {
    definition: i16,
    repetition: i16,
}

impl Levels {
    /// One step further in.
    fn inside(self) -> Self {
        Self {
            definition: self.definition + 1,
            ..self
        }
    }
}

impl<T: DataType> Leaf<T> {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    fn push(&mut self, value: T::T, at: Levels) {
        self.values.push(value);
        self.push_null(at.inside());
    }

    fn push_null(&mut self, at: Levels) {
        self.definitions.push(at.definition);
        self.repetitions.push(at.repetition);
    }

    /// Writes the values to the next column of a row group.
    fn write<W: Write + Send>(&mut self, group: &mut SerializedRowGroupWriter<W>) -> Result<(), ParquetError> {
        let next = group.next_column()?;
        let mut column = next.ok_or_else(|| ParquetError::General("a row group has too few columns".to_owned()))?;
        column
            .typed::<T>()
            .write_batch(&self.values, Some(&self.definitions), Some(&self.repetitions))?;
        *self = Self::new();
        column.close()
    }
}

fn float(name: &str) -> (String, Column) {
    (name.to_owned(), Column::Float(Leaf::new()))
}

fn whole(name: &str) -> (String, Column) {
    (name.to_owned(), Column::Whole(Leaf::new()))
}

fn text(name: &str) -> (String, Column) {
    (name.to_owned(), Column::Text(Leaf::new()))
}

fn group(name: &str, columns: Vec<(String, Column)>) -> (String, Column) {
    (name.to_owned(), Column::Group(columns))
}

fn list(name: &str, item: Column) -> (String, Column) {
    (name.to_owned(), Column::List(Box::new(item)))
}

impl Column {
    /// The columns for reports with these names. A text that could not be judged has no figures.
    fn of_reports(names: &TableNames) -> Vec<(String, Self)> {
        let hypothesis = |author: &String| {
            let retained = ("retained".to_owned(), Self::Boolean(Leaf::new()));
            let columns = vec![
                text("set"),
                text("basis"),
                retained,
                float("p_value"),
                float("ln_e_value"),
            ];
            group(author, columns)
        };
        let figures = |model: &String| {
            let means = [
                "log_perplexity",
                "entropy",
                "varentropy",
                "mean_log_rank",
                "bits_per_byte",
            ];
            let columns = [whole("tokens"), whole("scored_tokens")].into_iter();
            group(model, columns.chain(means.map(float)).collect())
        };
        let mut columns = vec![
            text("name"),
            text("id"),
            text("sha256"),
            whole("bytes"),
            whole("chars"),
            whole("words"),
            text("verdict"),
            list("authors", Self::Text(Leaf::new())),
            float("alpha"),
            float("alpha_human"),
            group("hypotheses", names.authors.iter().map(hypothesis).collect()),
            group("models", names.models.iter().map(figures).collect()),
            list("warnings", Self::Group(vec![text("code"), text("message")])),
            float("score_ms"),
        ];
        // Parquet has no groups without columns.
        if !names.kept.is_empty() {
            columns.push(group("kept", names.kept.iter().map(|name| text(name)).collect()));
        }
        columns
    }

    /// The types of a group's columns.
    fn types(columns: &[(String, Self)]) -> Result<Vec<Arc<Type>>, ParquetError> {
        columns.iter().map(|(name, column)| column.type_named(name)).collect()
    }

    fn type_named(&self, name: &str) -> Result<Arc<Type>, ParquetError> {
        let value = |physical| Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        let group = Type::group_type_builder(name).with_repetition(Repetition::OPTIONAL);
        let described = match self {
            Self::Boolean(_) => value(Physical::BOOLEAN).build(),
            Self::Whole(_) => value(Physical::INT64).build(),
            Self::Float(_) => value(Physical::DOUBLE).build(),
            Self::Text(_) => value(Physical::BYTE_ARRAY)
                .with_logical_type(Some(LogicalType::String))
                .build(),
            Self::Group(columns) => group.with_fields(Self::types(columns)?).build(),
            Self::List(item) => {
                let items = Type::group_type_builder("list")
                    .with_repetition(Repetition::REPEATED)
                    .with_fields(vec![item.type_named("item")?])
                    .build()?;
                group
                    .with_logical_type(Some(LogicalType::List))
                    .with_fields(vec![Arc::new(items)])
                    .build()
            }
        };
        described.map(Arc::new)
    }

    /// Adds a value.
    fn push(&mut self, value: Value, at: Levels) -> anyhow::Result<()> {
        match (self, value) {
            (column, Value::Null) => column.push_null(at),
            (Self::Boolean(leaf), Value::Bool(value)) => leaf.push(value, at),
            (Self::Whole(leaf), Value::Number(value)) => {
                let value = value
                    .as_i64()
                    .with_context(|| format!("{value} is not a whole number"))?;
                leaf.push(value, at);
            }
            (Self::Float(leaf), Value::Number(value)) => {
                let value = value.as_f64().with_context(|| format!("{value} is too large"))?;
                leaf.push(value, at);
            }
            (Self::Text(leaf), Value::String(value)) => leaf.push(value.into_bytes().into(), at),
            (Self::Group(columns), Value::Object(fields)) => Self::push_fields(columns, fields, at.inside())?,
            (Self::List(item), Value::Array(values)) => {
                if values.is_empty() {
                    item.push_null(at.inside());
                }
                let mut at = at.inside().inside();
                for value in values {
                    item.push(value, at)?;
                    at.repetition = 1;
                }
            }
            _ => bail!("the value is of another type"),
        }
        Ok(())
    }

    /// Adds the fields of an object to the columns of their names.
    fn push_fields(columns: &mut [(String, Self)], mut fields: Map<String, Value>, at: Levels) -> anyhow::Result<()> {
        for (name, column) in columns {
            let value = fields.remove(name.as_str()).unwrap_or_default();
            column
                .push(value, at)
                .with_context(|| format!("in `{}`", printable(name)))?;
        }
        Ok(())
    }

    /// Adds a null to every column inside.
    fn push_null(&mut self, at: Levels) {
        match self {
            Self::Boolean(leaf) => leaf.push_null(at),
            Self::Whole(leaf) => leaf.push_null(at),
            Self::Float(leaf) => leaf.push_null(at),
            Self::Text(leaf) => leaf.push_null(at),
            Self::Group(columns) => columns.iter_mut().for_each(|(_, column)| column.push_null(at)),
            Self::List(item) => item.push_null(at),
        }
    }

    /// Writes the values to the next columns of a row group.
    fn write<W: Write + Send>(&mut self, group: &mut SerializedRowGroupWriter<W>) -> Result<(), ParquetError> {
        match self {
            Self::Boolean(leaf) => leaf.write(group),
            Self::Whole(leaf) => leaf.write(group),
            Self::Float(leaf) => leaf.write(group),
            Self::Text(leaf) => leaf.write(group),
            Self::Group(columns) => columns.iter_mut().try_for_each(|(_, column)| column.write(group)),
            Self::List(item) => item.write(group),
        }
    }
}

/// A report's JSON, with its fields in the places of the columns.
fn row(mut report: Map<String, Value>) -> Map<String, Value> {
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
    report
}

/// Writes the reports of `lines`, one JSON object each, as a Parquet file.
///
/// # Errors
/// If a line is not a report, or a file cannot be read or written.
fn write_table(lines: impl BufRead, out: impl Write + Send, names: &TableNames, name: &Path) -> anyhow::Result<()> {
    let failed = || {
        format!(
            "cannot write `{}`; make room and run the same command again",
            printable(&name.to_string_lossy())
        )
    };
    let mut columns = Column::of_reports(names);
    let schema = Type::group_type_builder("schema")
        .with_fields(Column::types(&columns)?)
        .build()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .build();
    let mut writer = SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties)).with_context(failed)?;
    let mut lines = lines.lines();
    loop {
        let mut rows = 0;
        for line in lines.by_ref().take(ROWS) {
            let line = line.with_context(failed)?;
            let start = Levels {
                definition: 0,
                repetition: 0,
            };
            serde_json::from_str(&line)
                .map_err(anyhow::Error::from)
                .and_then(|report| Column::push_fields(&mut columns, row(report), start))
                .context("a line of the results cannot be read again")?;
            rows += 1;
        }
        if rows == 0 {
            break;
        }
        let mut group = writer.next_row_group().with_context(failed)?;
        for (_, column) in &mut columns {
            column.write(&mut group).with_context(failed)?;
        }
        group.close().with_context(failed)?;
    }
    writer.close().with_context(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::ReportWriter;
    use crate::output::json::JsonWriter;
    use crate::sentences::verdicts::tests::{attributed_to_a_model, undecided, unreadable};
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::{Field, Row};
    use parquet::schema::parser::parse_message_type;

    /// The table of these lines.
    fn table(lines: &[u8], authors: &[&str], models: &[&str]) -> anyhow::Result<SerializedFileReader<std::fs::File>> {
        let file = tempfile::NamedTempFile::new()?;
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let names = TableNames {
            authors: owned(authors),
            models: owned(models),
            kept: vec!["label".to_owned()],
        };
        write_table(lines, file.reopen()?, &names, file.path())?;
        Ok(SerializedFileReader::new(file.reopen()?)?)
    }

    fn rows(table: &SerializedFileReader<std::fs::File>) -> Vec<Row> {
        table.get_row_iter(None).unwrap().map(Result::unwrap).collect()
    }

    fn at<'a>(row: &'a Row, path: &[&str]) -> &'a Field {
        let (first, rest) = path.split_first().unwrap();
        let (_, field) = row.get_column_iter().find(|(name, _)| name == first).unwrap();
        match field {
            Field::Group(inside) if !rest.is_empty() => at(inside, rest),
            field => field,
        }
    }

    fn items(field: &Field) -> &[Field] {
        match field {
            Field::ListInternal(list) => list.elements(),
            other => panic!("{other} is not a list"),
        }
    }

    #[test]
    fn every_report_is_a_row_of_typed_columns() {
        let reports = [undecided(), unreadable(), attributed_to_a_model()];
        let mut lines = Vec::new();
        for report in &reports {
            JsonWriter.write(report, &mut lines).unwrap();
        }
        let names = ["smollm2-135m-instruct", "gemma-3-270m", "human"];
        let rows = rows(&table(&lines, &names, &names[..2]).unwrap());
        assert_eq!(rows.len(), 3);
        let verdicts: Vec<&Field> = rows.iter().map(|row| at(row, &["verdict"])).collect();
        assert_eq!(
            verdicts,
            ["undecided", "unable", "attributed"]
                .map(|verdict| Field::Str(verdict.to_owned()))
                .each_ref()
        );
        let p_value = |i: usize| at(&rows[i], &["hypotheses", "gemma-3-270m", "p_value"]);
        let of = |i: usize| {
            let hypothesis = reports[i].hypotheses.iter().find(|h| h.author == "gemma-3-270m");
            Field::Double(hypothesis.unwrap().p_value.unwrap())
        };
        assert_eq!((p_value(0), p_value(2)), (&of(0), &of(2)));
        assert_eq!(at(&rows[1], &["hypotheses", "gemma-3-270m"]), &Field::Null);
        let figures = &reports[0].models["smollm2-135m-instruct"];
        let figure = |name: &str| at(&rows[0], &["models", "smollm2-135m-instruct", name]);
        assert_eq!(figure("entropy"), &Field::Double(figures.entropy));
        assert_eq!(figure("tokens"), &Field::Long(figures.tokens as i64));
        let warnings = items(at(&rows[1], &["warnings"]));
        let Field::Group(warning) = &warnings[0] else { panic!() };
        assert!(matches!(at(warning, &["message"]), Field::Str(message) if message.contains("pdftotext")));
        assert_eq!(items(at(&rows[0], &["authors"]))[1], Field::Str("human".to_owned()));
    }

    #[test]
    fn the_columns_are_those_of_the_documentation() {
        let table = table(b"", &["m"], &["m"]).unwrap();
        assert_eq!(table.num_row_groups(), 0);
        let expected = "message schema {
            OPTIONAL BYTE_ARRAY name (STRING); OPTIONAL BYTE_ARRAY id (STRING); OPTIONAL BYTE_ARRAY sha256 (STRING);
            OPTIONAL INT64 bytes; OPTIONAL INT64 chars; OPTIONAL INT64 words; OPTIONAL BYTE_ARRAY verdict (STRING);
            OPTIONAL GROUP authors (LIST) { REPEATED GROUP list { OPTIONAL BYTE_ARRAY item (STRING); } }
            OPTIONAL DOUBLE alpha; OPTIONAL DOUBLE alpha_human;
            OPTIONAL GROUP hypotheses { OPTIONAL GROUP m {
                OPTIONAL BYTE_ARRAY set (STRING); OPTIONAL BYTE_ARRAY basis (STRING); OPTIONAL BOOLEAN retained;
                OPTIONAL DOUBLE p_value; OPTIONAL DOUBLE ln_e_value;
            } }
            OPTIONAL GROUP models { OPTIONAL GROUP m {
                OPTIONAL INT64 tokens; OPTIONAL INT64 scored_tokens; OPTIONAL DOUBLE log_perplexity;
                OPTIONAL DOUBLE entropy; OPTIONAL DOUBLE varentropy; OPTIONAL DOUBLE mean_log_rank;
                OPTIONAL DOUBLE bits_per_byte;
            } }
            OPTIONAL GROUP warnings (LIST) { REPEATED GROUP list { OPTIONAL GROUP item {
                OPTIONAL BYTE_ARRAY code (STRING); OPTIONAL BYTE_ARRAY message (STRING);
            } } }
            OPTIONAL DOUBLE score_ms; OPTIONAL GROUP kept { OPTIONAL BYTE_ARRAY label (STRING); }
        }";
        let found = table.metadata().file_metadata().schema();
        assert_eq!(found, &parse_message_type(expected).unwrap());
    }

    #[test]
    fn nulls_empty_lists_and_what_is_missing_stay_apart() {
        let lines = r#"{"authors":["m",null,"human"],"warnings":[{"code":"c"},null],"models":{"m":{"tokens":7}}}
{"authors":[],"warnings":null,"models":{"m":null}}
{"models":null,"hypotheses":[{"author":"m","retained":false},{"author":"stranger"}],"alpha":1}
{"input":{"name":"n","bytes":3},"authors":["human"],"timing":{"score_ms":1.5}}
"#;
        let rows = rows(&table(lines.as_bytes(), &["m"], &["m"]).unwrap());
        let text = |text: &str| Field::Str(text.to_owned());
        assert_eq!(
            items(at(&rows[0], &["authors"])),
            [text("m"), Field::Null, text("human")]
        );
        assert_eq!(items(at(&rows[1], &["authors"])), []);
        assert_eq!(at(&rows[2], &["authors"]), &Field::Null);
        assert_eq!(items(at(&rows[3], &["authors"])), [text("human")]);
        let warnings = items(at(&rows[0], &["warnings"]));
        let Field::Group(warning) = &warnings[0] else { panic!() };
        assert_eq!(
            (at(warning, &["code"]), at(warning, &["message"])),
            (&text("c"), &Field::Null)
        );
        assert_eq!(warnings[1..], [Field::Null]);
        assert_eq!(at(&rows[1], &["warnings"]), &Field::Null);
        assert_eq!(at(&rows[0], &["models", "m", "tokens"]), &Field::Long(7));
        assert_eq!(at(&rows[0], &["models", "m", "entropy"]), &Field::Null);
        assert_eq!(at(&rows[1], &["models", "m"]), &Field::Null);
        assert_eq!(at(&rows[2], &["models"]), &Field::Null);
        assert_eq!(at(&rows[2], &["hypotheses", "m", "retained"]), &Field::Bool(false));
        assert_eq!(at(&rows[2], &["alpha"]), &Field::Double(1.0));
        assert_eq!(
            (at(&rows[3], &["name"]), at(&rows[3], &["bytes"])),
            (&text("n"), &Field::Long(3))
        );
        assert_eq!(at(&rows[3], &["score_ms"]), &Field::Double(1.5));
    }

    #[test]
    fn rows_beyond_a_row_group_keep_their_order() {
        let line = |i: usize| {
            format!(
                "{{\"chars\":{i},\"authors\":{}}}\n",
                if i.is_multiple_of(3) { "[\"m\",\"n\"]" } else { "[]" }
            )
        };
        let lines: String = (0..ROWS + 3).map(line).collect();
        let table = table(lines.as_bytes(), &["m"], &["m"]).unwrap();
        assert_eq!(table.num_row_groups(), 2);
        let rows = rows(&table);
        assert_eq!(rows.len(), ROWS + 3);
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(at(row, &["chars"]), &Field::Long(i as i64));
            assert_eq!(items(at(row, &["authors"])).len(), if i % 3 == 0 { 2 } else { 0 });
        }
    }

    #[test]
    fn a_line_that_is_not_a_report_is_refused_in_one_sentence() {
        for (line, reason) in [
            ("{", "EOF"),
            ("[]", "expected a map"),
            (r#"{"alpha":"high"}"#, "in `alpha`: the value is of another type"),
            (r#"{"input":{"bytes":1.5}}"#, "in `bytes`: 1.5 is not a whole number"),
            (
                r#"{"models":{"m":{"tokens":[]}}}"#,
                "in `models`: in `m`: in `tokens`: the value is of",
            ),
        ] {
            let error = table(line.as_bytes(), &["m"], &["m"]).err().unwrap();
            let said = format!("{error:#}");
            assert!(
                said.starts_with("a line of the results cannot be read again") && said.contains(reason),
                "{said}"
            );
        }
    }
}
