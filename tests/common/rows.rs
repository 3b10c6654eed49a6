//! Parquet files of two columns, for what reads such files.

use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use std::path::Path;
use std::sync::Arc;

/// The ids of the rows.
#[allow(dead_code, reason = "each test takes one of them")]
pub enum Keys {
    Whole(Vec<i64>),
    Text(Vec<String>),
}

fn write<T: DataType>(mut column: SerializedColumnWriter, values: impl Iterator<Item = Option<T::T>>) {
    let (mut levels, mut present) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(value.is_some().into());
        present.extend(value);
    }
    column.typed::<T>().write_batch(&present, Some(&levels), None).unwrap();
    column.close().unwrap();
}

/// Writes the columns `key` and `body` as a Parquet file.
pub fn write_parquet(path: &Path, keys: Keys, bodies: &[Option<String>]) {
    let key = match keys {
        Keys::Whole(_) => "OPTIONAL INT64 key",
        Keys::Text(_) => "OPTIONAL BYTE_ARRAY key (STRING)",
    };
    let schema = format!("message rows {{ {key}; OPTIONAL BYTE_ARRAY body (STRING); }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let file = std::fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let text = |text: &String| ByteArray::from(text.as_str());
    let column = group.next_column().unwrap().unwrap();
    match keys {
        Keys::Whole(keys) => write::<Int64Type>(column, keys.into_iter().map(Some)),
        Keys::Text(keys) => write::<ByteArrayType>(column, keys.iter().map(|key| Some(text(key)))),
    }
    let column = group.next_column().unwrap().unwrap();
    write::<ByteArrayType>(column, bodies.iter().map(|body| body.as_ref().map(text)));
    group.close().unwrap();
    writer.close().unwrap();
}
