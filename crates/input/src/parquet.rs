//! Parquet files of many texts, a row at a time.

use super::records::{Columns, Record, Records, shortened};
use super::{InputError, printable};
use crate::catch_panic;
use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use arrow_cast::display::array_value_to_string;
use arrow_schema::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::fs::File;

/// Rows that are unpacked at a time.
const BATCH: usize = 64;

/// The rows of a Parquet file.
pub struct Parquet {
    name: String,
    columns: Columns,
    reader: Option<ParquetRecordBatchReader>,
    batch: Option<RecordBatch>,
    /// The next row of the batch.
    next: usize,
    /// Rows before it, over all batches.
    row: u64,
    /// Why there are no more, not told yet.
    failed: Option<InputError>,
}

impl Parquet {
    /// Of a file of this name. What is wrong with it is told as its first record.
    pub fn new(name: impl Into<String>, file: File, columns: Columns) -> Self {
        let name = name.into();
        // A damaged file makes the library panic in places.
        let opened = catch_panic(|| open(&name, file, &columns)).unwrap_or_else(|why| Err(damaged(&name, why)));
        let (reader, failed) = match opened {
            Ok(reader) => (Some(reader), None),
            Err(error) => (None, Some(error)),
        };
        Self {
            name,
            columns,
            reader,
            batch: None,
            next: 0,
            row: 0,
            failed,
        }
    }

    /// Takes the next batch that has rows; false at the end, or where there is none.
    fn advance(&mut self) -> bool {
        loop {
            if self.batch.as_ref().is_some_and(|batch| self.next < batch.num_rows()) {
                return true;
            }
            let Some(reader) = &mut self.reader else { return false };
            let read = catch_panic(|| reader.next());
            let why = match read {
                Ok(Some(Ok(batch))) => {
                    (self.batch, self.next) = (Some(batch), 0);
                    continue;
                }
                Ok(None) => None,
                Ok(Some(Err(error))) => Some(error.to_string()),
                Err(panic) => Some(panic),
            };
            (self.reader, self.batch) = (None, None);
            self.failed = why.map(|why| damaged(&self.name, why));
            return false;
        }
    }
}

fn damaged(name: &str, reason: impl ToString) -> InputError {
    InputError::NotParquet {
        name: printable(name),
        reason: shortened(&reason.to_string()),
    }
}

/// A reader of the two columns alone.
fn open(name: &str, file: File, columns: &Columns) -> Result<ParquetRecordBatchReader, InputError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(name, error))?;
    let schema = builder.schema().clone();
    let known: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .take(20)
        .collect();
    let no_column = |column: &str| InputError::NoColumn {
        name: printable(name),
        column: printable(column),
        known: shortened(&known.join(", ")),
    };
    let mut places = Vec::new();
    for column in [Some(&columns.text), columns.id.as_ref()].into_iter().flatten() {
        let (place, _) = schema.column_with_name(column).ok_or_else(|| no_column(column))?;
        places.push(place);
    }
    let kind = schema.field(places[0]).data_type();
    if !matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return Err(InputError::NotText {
            name: printable(name),
            column: printable(&columns.text),
            kind: shortened(&kind.to_string()),
        });
    }
    let mask = ProjectionMask::roots(builder.parquet_schema(), places);
    let reader = builder.with_projection(mask).with_batch_size(BATCH).build();
    reader.map_err(|error| damaged(name, error))
}

/// The text in a row of a column of one of the string types.
fn text_at(column: &dyn Array, row: usize) -> Option<&str> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => Some(column.as_string::<i64>().value(row)),
        DataType::Utf8View => Some(column.as_string_view().value(row)),
        _ => None,
    }
}

impl Records for Parquet {
    fn next(&mut self, wanted: bool) -> Option<Option<Record>> {
        if !self.advance() {
            let error = self.failed.take()?;
            return Some(Some(Record::failed(self.name.clone(), error)));
        }
        let batch = self.batch.as_ref()?;
        let place = self.next;
        self.next += 1;
        self.row += 1;
        if !wanted {
            return Some(None);
        }
        let name = format!("{}:{}", self.name, self.row);
        let column = batch.column_by_name(&self.columns.text);
        let text = column
            .and_then(|column| text_at(column, place))
            .ok_or_else(|| InputError::NoText {
                name: printable(&name),
                column: printable(&self.columns.text),
            });
        let id = self.columns.id.as_ref().and_then(|id| batch.column_by_name(id));
        let id = id
            .filter(|column| !column.is_null(place))
            .and_then(|column| array_value_to_string(column, place).ok());
        Some(Some(Record::new(name, id, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;
    use std::sync::Arc;

    fn columns() -> Columns {
        Columns {
            text: "text".to_owned(),
            id: Some("id".to_owned()),
        }
    }

    fn written(rows: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let texts: StringArray = (0..rows).map(|i| (i % 7 != 3).then(|| format!("text {i}"))).collect();
        let ids = Int64Array::from_iter_values((0..rows).map(|i| i as i64 * 10));
        let batch =
            RecordBatch::try_from_iter([("id", Arc::new(ids) as Arc<dyn Array>), ("text", Arc::new(texts))]).unwrap();
        let mut writer = ArrowWriter::try_new(file.reopen().unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        file
    }

    #[test]
    fn every_row_is_a_text_or_a_sentence() {
        let file = written(150);
        let mut parquet = Parquet::new("f.parquet", file.reopen().unwrap(), columns());
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

    #[test]
    fn what_is_no_parquet_or_has_no_texts_is_told_once() {
        let said = |file: File, columns: Columns| {
            let mut parquet = Parquet::new("f.parquet", file, columns);
            let record = parquet.next(true).unwrap().unwrap();
            assert!(parquet.next(true).is_none());
            record.document.unwrap_err().to_string()
        };
        let other = |text: &str| Columns {
            text: text.to_owned(),
            id: None,
        };
        let file = written(3);
        assert!(said(file.reopen().unwrap(), other("body")).contains("id, text"));
        assert!(said(file.reopen().unwrap(), other("id")).contains("Int64"));
        let bytes = std::fs::read(file.path()).unwrap();
        for (at, byte) in [(0, 0), (bytes.len() - 1, 0), (bytes.len() - 20, 0xFF), (4, 0xFF)] {
            let damaged = tempfile::NamedTempFile::new().unwrap();
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            std::fs::write(damaged.path(), &bytes[..]).unwrap();
            // Any record or sentence will do: nothing may panic.
            let mut parquet = Parquet::new("f.parquet", damaged.reopen().unwrap(), columns());
            while parquet.next(true).is_some() {}
        }
        let empty = tempfile::NamedTempFile::new().unwrap();
        assert!(said(empty.reopen().unwrap(), columns()).contains("Parquet"));
    }
}
