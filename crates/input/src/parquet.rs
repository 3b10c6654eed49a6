//! Parquet files of many texts, a row at a time.

use super::records::{Columns, MAX_NAMES, Record, Records, shortened};
use super::{InputError, lower_hex, printable};
use crate::catch_panic;
use chrono::{DateTime, NaiveTime};
use parquet::basic::{ConvertedType, LogicalType, TimeUnit, Type as Physical};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, Decimal, Int96};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use parquet::schema::types::Type;
use std::fs::File;
use std::vec::IntoIter;

/// Rows that are unpacked at a time.
const BATCH: usize = 64;

/// The rows of a Parquet file.
pub struct Parquet {
    name: String,
    columns: Columns,
    table: Option<Table>,
    /// The rows that are unpacked.
    batch: IntoIter<Row>,
    /// The number of the last row, counted from 1.
    row: u64,
    /// The error that ended the file, until a record reports it.
    failed: Option<InputError>,
}

impl Parquet {
    /// Of a file of this name. Its first record reports what is wrong with the file.
    pub fn new(name: impl Into<String>, file: File, columns: Columns) -> Self {
        let name = name.into();
        // A damaged file makes the library panic in places.
        let opened = catch_panic(|| Table::open(&name, file, &columns)).unwrap_or_else(|why| Err(damaged(&name, why)));
        let (table, failed) = match opened {
            Ok(table) => (Some(table), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            name,
            columns,
            table,
            batch: Vec::new().into_iter(),
            row: 0,
            failed,
        }
    }

    /// The next row; none at the end, or where the file cannot be read.
    fn advance(&mut self) -> Option<Row> {
        if self.batch.len() == 0 {
            let table = self.table.as_mut()?;
            let why = match catch_panic(|| table.rows()) {
                Ok(Ok(rows)) => {
                    self.batch = rows.into_iter();
                    None
                }
                Ok(Err(error)) => Some(error.to_string()),
                Err(panic) => Some(panic),
            };
            if self.batch.len() == 0 {
                self.table = None;
                self.failed = why.map(|why| damaged(&self.name, why));
            }
        }
        self.batch.next()
    }
}

impl Records for Parquet {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        let Some(row) = self.advance() else {
            let error = self.failed.take()?;
            return Some(Some(Record::failed(self.name.clone(), error)));
        };
        self.row += 1;
        if !wanted {
            return Some(None);
        }
        let name = format!("{}:{}", self.name, self.row);
        let text = row
            .text
            .as_ref()
            .and_then(Value::bytes)
            .ok_or_else(|| InputError::NoText {
                name: printable(&name),
                column: printable(&self.columns.text),
            });
        let mut others = row.others.into_iter().map(|value| value.and_then(Id::printed));
        let id = self.columns.id.as_ref().and_then(|_| others.next().flatten());
        let kept = self.columns.keep.iter().zip(others);
        let kept = kept.filter_map(|(column, value)| Some((column.clone(), value?)));
        Some(Some(Record::new(name, id, kept.collect(), text)))
    }
}

fn damaged(name: &str, reason: impl ToString) -> InputError {
    InputError::NotParquet {
        name: printable(name),
        reason: shortened(&reason.to_string()),
    }
}

/// A file with the column of its texts, that of their names, and those that are kept.
struct Table {
    file: SerializedFileReader<File>,
    text: Column,
    others: Vec<Column>,
    /// The number of row groups whose columns were opened.
    groups: usize,
    /// Rows of the last of them that are still to come.
    left: i64,
}

/// The values of a row, where they are not null.
struct Row {
    text: Option<Value>,
    others: Vec<Option<Id>>,
}

impl Table {
    fn open(name: &str, file: File, columns: &Columns) -> Result<Self, InputError> {
        let file = SerializedFileReader::new(file).map_err(|error| damaged(name, error))?;
        let schema = file.metadata().file_metadata().schema_descr_ptr();
        let fields = schema.root_schema().get_fields();
        let leaves = || (0..schema.num_columns()).map(|leaf| (leaf, schema.column(leaf)));
        // The columns of a group have a name for each level, such as `doc.text`.
        let names = |root: usize| -> Vec<String> {
            let inside = leaves()
                .filter(|(leaf, column)| schema.get_column_root_idx(*leaf) == root && column.max_rep_level() == 0);
            inside.map(|(_, column)| column.path().string()).collect()
        };
        let column = |wanted: &str| -> Result<(Column, String), InputError> {
            let root = fields.iter().position(|field| field.name() == wanted);
            let leaf = leaves().find(|(leaf, column)| match root {
                Some(root) => schema.get_column_root_idx(*leaf) == root,
                None => column.path().string() == wanted,
            });
            let Some((leaf, found)) = leaf else {
                if root.is_some() {
                    return Err(damaged(name, "a group has no columns"));
                }
                let known = (0..fields.len()).flat_map(|root| match names(root) {
                    names if names.is_empty() => vec![fields[root].name().to_owned()],
                    names => names,
                });
                return Err(InputError::NoColumn {
                    name: printable(name),
                    column: printable(wanted),
                    known: shortened(&known.take(MAX_NAMES).collect::<Vec<_>>().join(", ")),
                });
            };
            let group = root.filter(|&root| fields[root].is_group());
            let kind = match group {
                Some(_) => Kind::Other("lists or groups of values"),
                None if found.max_rep_level() > 0 => Kind::Other("lists of values"),
                None => Kind::of(found.self_type()),
            };
            let words = match group.map(names) {
                Some(names) if !names.is_empty() => {
                    let names = names.into_iter().take(MAX_NAMES).collect::<Vec<_>>().join(", ");
                    format!("a group of columns ({})", shortened(&names))
                }
                _ => kind.to_string(),
            };
            let column = Column {
                leaf,
                present: found.max_def_level(),
                kind,
                reader: None,
            };
            Ok((column, words))
        };
        let (text, words) = column(&columns.text)?;
        // Older programs do not mark texts as such, so bytes may be texts. Each row is checked.
        if !matches!(text.kind, Kind::Text | Kind::Bytes) {
            return Err(InputError::NotText {
                name: printable(name),
                column: printable(&columns.text),
                kind: words,
            });
        }
        let other = |wanted: &String| match column(wanted)? {
            (
                Column {
                    kind: Kind::Other(_), ..
                },
                kind,
            ) => Err(InputError::NotId {
                name: printable(name),
                column: printable(wanted),
                kind,
            }),
            (column, _) => Ok(column),
        };
        let others = columns.id.iter().chain(&columns.keep).map(other);
        let others = others.collect::<Result<Vec<Column>, InputError>>()?;
        Ok(Self {
            file,
            text,
            others,
            groups: 0,
            left: 0,
        })
    }

    /// The next rows; none at the end.
    fn rows(&mut self) -> Result<Vec<Row>, ParquetError> {
        loop {
            let texts = self.text.read()?;
            let row = |text| Row {
                text,
                others: Vec::with_capacity(self.others.len()),
            };
            let mut rows: Vec<Row> = texts.into_iter().map(row).collect();
            for column in &mut self.others {
                let kind = column.kind;
                let values = column.read()?;
                if values.len() != rows.len() {
                    return Err(ParquetError::General("one column is longer than the other".to_owned()));
                }
                for (row, value) in rows.iter_mut().zip(values) {
                    row.others.push(value.map(|value| Id { kind, value }));
                }
            }
            if !rows.is_empty() {
                self.left = self.left.saturating_sub(rows.len() as i64);
                return Ok(rows);
            }
            if self.left != 0 {
                return Err(ParquetError::General(
                    "a row group ends at another row than it says".to_owned(),
                ));
            }
            if self.groups == self.file.num_row_groups() {
                return Ok(Vec::new());
            }
            let group = self.file.get_row_group(self.groups)?;
            self.groups += 1;
            self.left = group.metadata().num_rows();
            for column in [&mut self.text].into_iter().chain(&mut self.others) {
                column.reader = Some(group.get_column_reader(column.leaf)?);
            }
        }
    }
}

/// A column that has one value a row.
struct Column {
    /// Its place among the columns that are not groups.
    leaf: usize,
    /// The definition level of a value. Where the level is lower, the value or a group around it is null.
    present: i16,
    kind: Kind,
    /// Its part of the row group under way.
    reader: Option<ColumnReader>,
}

impl Column {
    /// The next values; none at the end of the row group.
    fn read(&mut self) -> Result<Vec<Option<Value>>, ParquetError> {
        let present = self.present;
        let values = match &mut self.reader {
            None => Vec::new(),
            Some(ColumnReader::BoolColumnReader(reader)) => values(reader, present, Value::Boolean)?,
            Some(ColumnReader::Int32ColumnReader(reader)) => values(reader, present, Value::Int32)?,
            Some(ColumnReader::Int64ColumnReader(reader)) => values(reader, present, Value::Int64)?,
            Some(ColumnReader::Int96ColumnReader(reader)) => values(reader, present, Value::Int96)?,
            Some(ColumnReader::FloatColumnReader(reader)) => values(reader, present, Value::Float)?,
            Some(ColumnReader::DoubleColumnReader(reader)) => values(reader, present, Value::Double)?,
            Some(ColumnReader::ByteArrayColumnReader(reader)) => values(reader, present, Value::Bytes)?,
            Some(ColumnReader::FixedLenByteArrayColumnReader(reader)) => {
                values(reader, present, |value| Value::Bytes(value.into()))?
            }
        };
        if self.kind == Kind::Text {
            for value in values.iter().flatten() {
                value.check_text()?;
            }
        }
        Ok(values)
    }
}

/// The next values of a column, null where it has none; nothing at the end of the row group. `present` is the level of
/// a value.
fn values<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    present: i16,
    value: impl Fn(T::T) -> Value,
) -> Result<Vec<Option<Value>>, ParquetError> {
    let (mut levels, mut values) = (Vec::new(), Vec::new());
    reader.read_records(BATCH, Some(&mut levels), None, &mut values)?;
    let mut values = values.into_iter().map(value);
    // A column without nulls has no levels either.
    if levels.is_empty() {
        return Ok(values.map(Some).collect());
    }
    let value = |&level: &i16| if level == present { values.next() } else { None };
    Ok(levels.iter().map(value).collect())
}

/// A value as it lies in the file. Bytes share the memory of their page.
enum Value {
    Boolean(bool),
    Int32(i32),
    Int64(i64),
    Int96(Int96),
    Float(f32),
    Double(f64),
    Bytes(ByteArray),
}

impl Value {
    fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes.data()),
            _ => None,
        }
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => bytes.as_utf8().ok(),
            _ => None,
        }
    }

    fn check_text(&self) -> Result<(), ParquetError> {
        if let Self::Bytes(bytes) = self {
            std::str::from_utf8(bytes.data())
                .map_err(|error| ParquetError::General(format!("a text is not valid UTF-8: {error}")))?;
        }
        Ok(())
    }
}

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Boolean,
    Signed,
    Unsigned,
    Float,
    Decimal {
        precision: i32,
        scale: i32,
    },
    /// Days since 1970.
    Date,
    /// The time since midnight, in units of which a second has this many.
    Time(i64),
    /// The time since 1970, by UTC or by a clock of an unknown place.
    Timestamp {
        per_second: i64,
        utc: bool,
    },
    Bytes,
    Null,
    /// Values that cannot be ids, in words.
    Other(&'static str),
}

impl Kind {
    fn of(column: &Type) -> Self {
        let info = column.get_basic_info();
        match (
            info.logical_type_ref(),
            info.converted_type(),
            column.get_physical_type(),
        ) {
            (Some(LogicalType::Unknown), ..) => Self::Null,
            (Some(LogicalType::Float16), ..) => Self::Other("16-bit numbers"),
            (Some(LogicalType::Time(time)), ..) => Self::Time(per_second(time.unit)),
            (Some(LogicalType::Timestamp(timestamp)), ..) => Self::Timestamp {
                per_second: per_second(timestamp.unit),
                utc: timestamp.is_adjusted_to_u_t_c,
            },
            (_, ConvertedType::UTF8 | ConvertedType::JSON, _) => Self::Text,
            (_, ConvertedType::DECIMAL, _) => Self::Decimal {
                precision: column.get_precision(),
                scale: column.get_scale(),
            },
            (_, ConvertedType::DATE, _) => Self::Date,
            (_, ConvertedType::TIME_MILLIS, _) => Self::Time(1_000),
            (_, ConvertedType::TIME_MICROS, _) => Self::Time(1_000_000),
            (_, ConvertedType::TIMESTAMP_MILLIS, _) => Self::Timestamp {
                per_second: 1_000,
                utc: true,
            },
            (_, ConvertedType::TIMESTAMP_MICROS, _) => Self::Timestamp {
                per_second: 1_000_000,
                utc: true,
            },
            (_, ConvertedType::INTERVAL, _) => Self::Other("spans of time"),
            (
                _,
                ConvertedType::UINT_8 | ConvertedType::UINT_16 | ConvertedType::UINT_32 | ConvertedType::UINT_64,
                _,
            ) => Self::Unsigned,
            (_, _, Physical::BOOLEAN) => Self::Boolean,
            (_, _, Physical::INT32 | Physical::INT64) => Self::Signed,
            (_, _, Physical::INT96) => Self::Timestamp {
                per_second: 1_000_000_000,
                utc: false,
            },
            (_, _, Physical::FLOAT | Physical::DOUBLE) => Self::Float,
            (_, _, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => Self::Bytes,
        }
    }
}

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::MILLIS => 1_000,
        TimeUnit::MICROS => 1_000_000,
        TimeUnit::NANOS => 1_000_000_000,
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Boolean => "truth values",
            Self::Signed | Self::Unsigned => "whole numbers",
            Self::Float => "floating-point numbers",
            Self::Decimal { .. } => "decimal numbers",
            Self::Date => "dates",
            Self::Time(_) => "times of day",
            Self::Timestamp { .. } => "timestamps",
            Self::Bytes => "raw bytes",
            Self::Null => "nothing but nulls",
            Self::Other(kind) => kind,
        })
    }
}

/// What a file calls a text.
struct Id {
    kind: Kind,
    value: Value,
}

impl Id {
    /// As it is written; none where the value lies outside what its kind allows.
    fn printed(self) -> Option<String> {
        match (self.kind, self.value) {
            (Kind::Text, value) => value.text().map(str::to_owned),
            (Kind::Boolean, Value::Boolean(value)) => Some(value.to_string()),
            (Kind::Signed, Value::Int32(value)) => Some(value.to_string()),
            (Kind::Signed, Value::Int64(value)) => Some(value.to_string()),
            (Kind::Unsigned, Value::Int32(value)) => Some(value.cast_unsigned().to_string()),
            (Kind::Unsigned, Value::Int64(value)) => Some(value.cast_unsigned().to_string()),
            (Kind::Float, Value::Float(value)) => Some(ryu::Buffer::new().format(value).to_owned()),
            (Kind::Float, Value::Double(value)) => Some(ryu::Buffer::new().format(value).to_owned()),
            (Kind::Decimal { precision, scale }, value) => decimal(value, precision, scale),
            (Kind::Date, Value::Int32(days)) => {
                let midnight = DateTime::from_timestamp(i64::from(days) * 86_400, 0)?;
                Some(midnight.date_naive().to_string())
            }
            (Kind::Time(per_second), Value::Int32(time)) => time_of_day(time.into(), per_second),
            (Kind::Time(per_second), Value::Int64(time)) => time_of_day(time, per_second),
            (Kind::Timestamp { per_second, utc }, Value::Int64(time)) => {
                let nanoseconds = time.rem_euclid(per_second) * (1_000_000_000 / per_second);
                timestamp(time.div_euclid(per_second), nanoseconds, utc)
            }
            (Kind::Timestamp { utc, .. }, Value::Int96(time)) => {
                let nanoseconds = i64::from(time.data()[1]) << 32 | i64::from(time.data()[0]);
                timestamp(time.to_seconds(), nanoseconds % 1_000_000_000, utc)
            }
            (Kind::Bytes, Value::Bytes(value)) => Some(lower_hex(value.data())),
            _ => None,
        }
    }
}

fn decimal(value: Value, precision: i32, scale: i32) -> Option<String> {
    /// Bytes and digits of the longest decimal numbers that programs write.
    const LONGEST: (usize, i32) = (32, 76);
    if precision > LONGEST.1 || !(0..=precision).contains(&scale) {
        return None;
    }
    let value = match value {
        Value::Int32(value) => Decimal::from_i32(value, precision, scale),
        Value::Int64(value) => Decimal::from_i64(value, precision, scale),
        Value::Bytes(value) if value.len() <= LONGEST.0 => Decimal::from_bytes(value, precision, scale),
        _ => return None,
    };
    let printed = Field::Decimal(value).to_string();
    // The library ends a whole number with a point.
    Some(printed.strip_suffix('.').unwrap_or(&printed).to_owned())
}

fn time_of_day(time: i64, per_second: i64) -> Option<String> {
    let nanoseconds = time.rem_euclid(per_second) * (1_000_000_000 / per_second);
    let seconds = u32::try_from(time.div_euclid(per_second)).ok()?;
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, u32::try_from(nanoseconds).ok()?)?;
    Some(time.to_string())
}

/// As ISO 8601 has it, with a Z behind the time in UTC.
fn timestamp(seconds: i64, nanoseconds: i64, utc: bool) -> Option<String> {
    let time = DateTime::from_timestamp(seconds, u32::try_from(nanoseconds).ok()?)?;
    if utc {
        Some(format!("{time:?}"))
    } else {
        Some(format!("{:?}", time.naive_utc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::data_type::{
        BoolType, ByteArrayType, DoubleType, FixedLenByteArrayType, FloatType, Int32Type, Int64Type, Int96Type,
    };
    use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
    use parquet::schema::parser::parse_message_type;
    use std::sync::Arc;

    /// Writes the values of one column.
    type Cells = Box<dyn Fn(&mut SerializedColumnWriter)>;

    fn cells<T: DataType>(values: Vec<Option<T::T>>) -> Cells {
        Box::new(move |column| {
            let levels: Vec<i16> = values.iter().map(|value| value.is_some().into()).collect();
            let values: Vec<T::T> = values.iter().flatten().cloned().collect();
            column.typed::<T>().write_batch(&values, Some(&levels), None).unwrap();
        })
    }

    fn texts(texts: &[&str]) -> Cells {
        cells::<ByteArrayType>(texts.iter().map(|&text| Some(text.into())).collect())
    }

    /// A file with these columns in each of its row groups.
    fn written(columns: &str, groups: Vec<Vec<Cells>>) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let schema = parse_message_type(&format!("message rows {{ {columns} }}")).unwrap();
        let mut writer = SerializedFileWriter::new(file.reopen().unwrap(), Arc::new(schema), Arc::default()).unwrap();
        for columns in groups {
            let mut group = writer.next_row_group().unwrap();
            for cells in columns {
                let mut column = group.next_column().unwrap().unwrap();
                cells(&mut column);
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.close().unwrap();
        file
    }

    fn columns(text: &str, id: Option<&str>) -> Columns {
        Columns {
            text: text.to_owned(),
            id: id.map(str::to_owned),
            keep: Vec::new(),
        }
    }

    fn opened(file: &tempfile::NamedTempFile, columns: Columns) -> Parquet {
        Parquet::new("f.parquet", file.reopen().unwrap(), columns)
    }

    /// The error that such a file is.
    fn said(file: &tempfile::NamedTempFile, columns: Columns) -> String {
        let mut parquet = opened(file, columns);
        let record = parquet.next(true).unwrap().unwrap();
        assert!(parquet.next(true).is_none());
        assert_eq!(record.name, "f.parquet");
        record.document.unwrap_err().to_string()
    }

    const USUAL: &str = "OPTIONAL INT64 id; OPTIONAL BYTE_ARRAY text (STRING);";

    /// A file of row groups of this length.
    fn usual(rows: usize, group: usize) -> tempfile::NamedTempFile {
        let rows: Vec<usize> = (0..rows).collect();
        let groups = rows.chunks(group).map(|rows| {
            let id = |&i: &usize| Some(i as i64 * 10);
            let text = |&i: &usize| (i % 7 != 3).then(|| format!("text {i}").as_str().into());
            vec![
                cells::<Int64Type>(rows.iter().map(id).collect()),
                cells::<ByteArrayType>(rows.iter().map(text).collect()),
            ]
        });
        written(USUAL, groups.collect())
    }

    #[test]
    fn every_row_is_a_text_or_a_sentence() {
        for group in [150, 64, 13] {
            let file = usual(150, group);
            let mut parquet = opened(&file, columns("text", Some("id")));
            for i in 0..150 {
                let record = parquet.next(i != 5).unwrap();
                assert_eq!(record.is_none(), i == 5);
                let Some(record) = record else { continue };
                assert_eq!(
                    (record.name, record.id),
                    (format!("f.parquet:{}", i + 1), Some((i * 10).to_string()))
                );
                match record.document {
                    Ok(document) => assert_eq!(document.text, format!("text {i}")),
                    Err(error) => assert!(i % 7 == 3 && matches!(error, InputError::NoText { .. })),
                }
            }
            assert!(parquet.next(true).is_none());
        }
    }

    #[test]
    fn a_file_that_is_not_parquet_or_has_no_texts_is_reported_once() {
        let file = usual(3, 3);
        assert!(said(&file, columns("body", None)).contains("id, text"));
        assert!(said(&file, columns("text", Some("key"))).contains("no column `key`, but id, text"));
        assert!(said(&file, columns("id", None)).contains("whole numbers in `id`"));
        let bytes = std::fs::read(file.path()).unwrap();
        for (at, byte) in [(0, 0), (bytes.len() - 1, 0), (bytes.len() - 20, 0xFF), (4, 0xFF)] {
            let damaged = tempfile::NamedTempFile::new().unwrap();
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            std::fs::write(damaged.path(), &bytes[..]).unwrap();
            // Any record or sentence will do: nothing may panic.
            let mut parquet = opened(&damaged, columns("text", Some("id")));
            while parquet.next(true).is_some() {}
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(said(&empty, columns("text", Some("id"))).contains("Parquet"));
    }

    #[test]
    fn a_column_whose_values_are_not_texts_or_ids_is_refused_by_name() {
        let id = |column: &str, id: Cells| {
            let file = written(
                &format!("OPTIONAL BYTE_ARRAY text (STRING); {column}"),
                vec![vec![texts(&["a hat"]), id]],
            );
            (
                said(&file, columns("x", Some("text"))),
                opened(&file, columns("text", Some("x"))).next(true).unwrap().unwrap(),
            )
        };
        for (column, kind) in [
            ("REPEATED BYTE_ARRAY x (STRING);", "lists of values"),
            (
                "OPTIONAL GROUP x { REQUIRED BYTE_ARRAY y (STRING); }",
                "a group of columns (x.y)",
            ),
            (
                "OPTIONAL GROUP x { REPEATED BYTE_ARRAY y (STRING); }",
                "lists or groups of values",
            ),
        ] {
            let repeated: Cells = Box::new(|column| {
                let values = ["bytes".into()];
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&values, Some(&[1]), Some(&[0]))
                    .unwrap();
            });
            let (text, record) = id(column, repeated);
            assert!(
                text.contains(&format!("holds {kind} in `x`")) && text.contains("not text"),
                "{text}"
            );
            let error = record.document.unwrap_err().to_string();
            assert!(error.contains(kind) && error.contains("--id"), "{error}");
        }
        let float = cells::<FixedLenByteArrayType>(vec![Some(ByteArray::from(vec![0, 60]).into())]);
        let (text, record) = id("OPTIONAL FIXED_LEN_BYTE_ARRAY (2) x (FLOAT16);", float);
        assert!(text.contains("16-bit numbers"), "{text}");
        assert!(matches!(record.document, Err(InputError::NotId { .. })));
    }

    #[test]
    fn a_column_of_a_group_is_named_by_its_path() {
        /// The values of a column with these levels; null where there is none.
        fn leveled(values: &[&str], levels: &[i16]) -> Cells {
            let values: Vec<ByteArray> = values.iter().map(|&value| value.into()).collect();
            let levels = levels.to_vec();
            Box::new(move |column| {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&values, Some(&levels), None)
                    .unwrap();
            })
        }
        let file = written(
            "OPTIONAL BYTE_ARRAY text (STRING); \
             OPTIONAL GROUP doc { OPTIONAL GROUP body { OPTIONAL BYTE_ARRAY text (STRING); } \
             OPTIONAL BYTE_ARRAY key (STRING); } \
             REQUIRED GROUP tags (LIST) { REPEATED GROUP list { OPTIONAL BYTE_ARRAY element (STRING); } }",
            vec![vec![
                texts(&["no", "no", "no", "no"]),
                // The text, the body and the document are null in turn.
                leveled(&["one"], &[3, 2, 1, 0]),
                leveled(&["a", "b", "c"], &[2, 2, 2, 0]),
                Box::new(|column| {
                    column
                        .typed::<ByteArrayType>()
                        .write_batch(&[], Some(&[0; 4]), Some(&[0; 4]))
                        .unwrap();
                }),
            ]],
        );
        let mut parquet = opened(&file, columns("doc.body.text", Some("doc.key")));
        for (text, id) in [
            (Some("one"), Some("a")),
            (None, Some("b")),
            (None, Some("c")),
            (None, None),
        ] {
            let record = parquet.next(true).unwrap().unwrap();
            assert_eq!(record.id.as_deref(), id);
            match (record.document, text) {
                (Ok(document), Some(text)) => assert_eq!(document.text, text),
                (Err(InputError::NoText { .. }), None) => {}
                (other, _) => panic!("{other:?}"),
            }
        }
        assert!(parquet.next(true).is_none());
        let sentence = said(&file, columns("doc", None));
        assert!(
            sentence.contains("a group of columns (doc.body.text, doc.key)"),
            "{sentence}"
        );
        let sentence = said(&file, columns("doc.text", None));
        assert!(
            sentence.contains("but text, doc.body.text, doc.key, tags;"),
            "{sentence}"
        );
        let sentence = said(&file, columns("tags.list.element", None));
        assert!(sentence.contains("holds lists of values"), "{sentence}");
    }

    #[test]
    fn bytes_that_are_not_marked_as_text_are_read_where_they_are_text() {
        let file = written(
            "OPTIONAL BYTE_ARRAY text; OPTIONAL BYTE_ARRAY id;",
            vec![vec![
                cells::<ByteArrayType>(vec![
                    Some("ärger".into()),
                    Some(b"\xe4rger".as_slice().into()),
                    None,
                    Some("last".into()),
                ]),
                texts(&["bytes", "b", "c", "d"]),
            ]],
        );
        let mut parquet = opened(&file, columns("text", Some("id")));
        let mut next = || parquet.next(true).unwrap().unwrap();
        let (first, latin, null, last) = (next(), next(), next(), next());
        assert_eq!(first.document.unwrap().text, "ärger");
        assert_eq!(first.id.as_deref(), Some("6279746573"));
        let sentence = latin.document.unwrap_err().to_string();
        assert!(
            sentence.contains("`f.parquet:2` is not valid UTF-8") && sentence.contains("iconv"),
            "{sentence}"
        );
        assert!(matches!(null.document, Err(InputError::NoText { .. })));
        assert_eq!(last.document.unwrap().text, "last");
    }

    #[test]
    fn json_and_columns_without_nulls_are_read_and_the_first_of_two_of_a_name() {
        let required = |values: &[&str]| -> Cells {
            let values: Vec<ByteArray> = values.iter().map(|&value| value.into()).collect();
            Box::new(move |column| {
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&values, None, None)
                    .unwrap();
            })
        };
        let file = written(
            "REQUIRED GROUP other { REQUIRED BYTE_ARRAY text (STRING); } REQUIRED BYTE_ARRAY text (JSON); \
             REQUIRED BYTE_ARRAY text (STRING); REQUIRED BYTE_ARRAY id (UTF8);",
            vec![vec![
                required(&["inside", "inside"]),
                required(&["[1]", "[2]"]),
                required(&["second", "second"]),
                required(&["a", ""]),
            ]],
        );
        let mut parquet = opened(&file, columns("text", Some("id")));
        for (text, id) in [("[1]", "a"), ("[2]", "")] {
            let record = parquet.next(true).unwrap().unwrap();
            assert_eq!(
                (record.document.unwrap().text.as_str(), record.id.as_deref()),
                (text, Some(id))
            );
        }
        assert!(parquet.next(true).is_none());
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_damage() {
        for (text, id) in [(b"\xff", b"a"), (b"a", b"\xff")] {
            let cell = |bytes: &[u8]| cells::<ByteArrayType>(vec![Some(bytes.into())]);
            let file = written(
                "OPTIONAL BYTE_ARRAY text (STRING); OPTIONAL BYTE_ARRAY id (STRING);",
                vec![vec![cell(text), cell(id)]],
            );
            let error = said(&file, columns("text", Some("id")));
            assert!(
                error.contains("cannot be read as Parquet") && error.contains("UTF-8"),
                "{error}"
            );
        }
    }

    #[test]
    fn columns_that_do_not_end_together_or_where_they_should_are_damage() {
        // The library writes no such file, so the texts are taken from another one.
        let (long, short) = (usual(100, 100), usual(70, 70));
        let with_texts_of = |other: &tempfile::NamedTempFile, id: Option<&str>| {
            let open = |file: &tempfile::NamedTempFile| Table::open("f", file.reopen().unwrap(), &columns("text", id));
            let (mut table, other) = (open(&long).unwrap(), open(other).unwrap());
            assert_eq!(table.rows().unwrap().len(), 64);
            let group = other.file.get_row_group(0).unwrap();
            table.text.reader = Some(group.get_column_reader(1).unwrap());
            table.text.read().unwrap();
            table
        };
        let error = with_texts_of(&short, Some("id")).rows().err().unwrap();
        assert!(error.to_string().contains("longer than the other"), "{error}");
        for (other, sound) in [(&short, false), (&long, true)] {
            let mut table = with_texts_of(other, None);
            assert_eq!(table.rows().unwrap().len(), if sound { 36 } else { 6 });
            assert_eq!(table.rows().is_ok_and(|rows| rows.is_empty()), sound);
        }
    }

    #[test]
    fn an_id_is_printed_as_it_is_written() {
        fn printed<T: DataType>(column: &str, value: T::T) -> Option<String> {
            let file = written(
                &format!("OPTIONAL {column}; OPTIONAL BYTE_ARRAY text (STRING);"),
                vec![vec![cells::<T>(vec![Some(value), None]), texts(&["a", "b"])]],
            );
            let mut parquet = opened(&file, columns("text", Some("id")));
            let mut next = || parquet.next(true).unwrap().unwrap();
            let record = next();
            assert!(record.document.is_ok() && next().id.is_none());
            record.id
        }
        let int32 = |column: &str, value| printed::<Int32Type>(column, value);
        let int64 = |column: &str, value| printed::<Int64Type>(column, value);
        let bytes = |column: &str, value: &[u8]| printed::<ByteArrayType>(column, value.into());
        let fixed =
            |column: &str, value: &[u8]| printed::<FixedLenByteArrayType>(column, ByteArray::from(value).into());
        let double = |value| printed::<DoubleType>("DOUBLE id", value);
        // 2020-01-01 is day 2,458,850 of the Julian calendar.
        let int96 = printed::<Int96Type>("INT96 id", vec![1_000, 0, 2_458_850].into());
        for (found, expected) in [
            (int32("INT32 id", -7), "-7"),
            (int32("INT32 id (INTEGER (8, true))", -7), "-7"),
            (int32("INT32 id (INTEGER (32, false))", -1), "4294967295"),
            (int64("INT64 id", i64::MIN), "-9223372036854775808"),
            (int64("INT64 id (UINT_64)", -1), "18446744073709551615"),
            (printed::<BoolType>("BOOLEAN id", true), "true"),
            (printed::<FloatType>("FLOAT id", 0.1), "0.1"),
            (double(7.0), "7.0"),
            (double(1e16), "1e16"),
            (double(0.00001), "0.00001"),
            (double(f64::NAN), "NaN"),
            (bytes("BYTE_ARRAY id (STRING)", "ä".as_bytes()), "ä"),
            (bytes("BYTE_ARRAY id", b"\x00\xff"), "00ff"),
            (
                fixed("FIXED_LEN_BYTE_ARRAY (16) id (UUID)", &[16; 16]),
                "10101010101010101010101010101010",
            ),
            (int32("INT32 id (DATE)", 18_262), "2020-01-01"),
            (int32("INT32 id (DATE)", -719_529), "-0001-12-31"),
            (int32("INT32 id (TIME (MILLIS, true))", 3_723_004), "01:02:03.004"),
            (int64("INT64 id (TIME (MICROS, false))", 3_723_000_000), "01:02:03"),
            (int64("INT64 id (TIME (NANOS, false))", 1), "00:00:00.000000001"),
            (
                int64("INT64 id (TIMESTAMP (MILLIS, true))", 1_577_836_800_123),
                "2020-01-01T00:00:00.123Z",
            ),
            (
                int64("INT64 id (TIMESTAMP_MICROS)", 1_577_836_800_000_000),
                "2020-01-01T00:00:00Z",
            ),
            (
                int64("INT64 id (TIMESTAMP (NANOS, false))", -1),
                "1969-12-31T23:59:59.999999999",
            ),
            (int96, "2020-01-01T00:00:00.000001"),
            (int32("INT32 id (DECIMAL (9, 2))", -5), "-0.05"),
            (int64("INT64 id (DECIMAL (18, 0))", 12), "12"),
            (
                fixed("FIXED_LEN_BYTE_ARRAY (3) id (DECIMAL (6, 1))", &[1, 0, 0]),
                "6553.6",
            ),
            (bytes("BYTE_ARRAY id (DECIMAL (6, 6))", &[0xFF]), "-0.000001"),
        ] {
            assert_eq!(found.as_deref(), Some(expected));
        }
        // No calendar goes so far, and no number is so long.
        assert_eq!(int32("INT32 id (DATE)", i32::MAX), None);
        assert_eq!(int64("INT64 id (TIMESTAMP (MILLIS, true))", i64::MAX), None);
        assert_eq!(int64("INT64 id (TIME (MICROS, true))", -1), None);
        assert_eq!(bytes("BYTE_ARRAY id (DECIMAL (6, 1))", &[1; 33]), None);
        assert_eq!(bytes("BYTE_ARRAY id (DECIMAL (2147483647, 2147483646))", &[1]), None);
    }
}
