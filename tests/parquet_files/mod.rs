//! Parquet files of pictures, as the Hugging Face hub has them.

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

/// The columns of the hub's image data sets.
const COLUMNS: &str = "message schema {
    OPTIONAL GROUP image { OPTIONAL BYTE_ARRAY bytes; OPTIONAL BYTE_ARRAY path (UTF8); }
    OPTIONAL INT64 label;
}";

/// The content of a picture file.
pub type Picture = ByteArray;

/// A file with a row for each picture, no path, and the label; with what the labels stand for, if that is to be known;
/// and packed, if it is to be.
pub fn of_pictures(rows: &[(Picture, i64)], names: Option<&str>, packed: bool) -> Vec<u8> {
    let (pictures, labels): (Vec<Picture>, Vec<i64>) = rows.iter().cloned().unzip();
    let count = rows.len();
    let columns = parse_message_type(COLUMNS).unwrap();
    let metadata = names.map(|names| {
        let features = format!(r#"{{"info": {{"features": {{"label": {{"names": {names}}}}}}}}}"#);
        vec![KeyValue::new("huggingface".to_string(), features)]
    });
    let compression = match packed {
        true => Compression::SNAPPY,
        false => Compression::UNCOMPRESSED,
    };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(packed)
        .set_key_value_metadata(metadata)
        .build();
    let mut file =
        SerializedFileWriter::new(Vec::new(), columns.into(), properties.into()).unwrap();
    let mut rows = file.next_row_group().unwrap();
    write_column::<ByteArrayType>(&mut rows, &pictures, &vec![2; count]);
    write_column::<ByteArrayType>(&mut rows, &[], &vec![1; count]);
    write_column::<Int64Type>(&mut rows, &labels, &vec![1; count]);
    rows.close().unwrap();
    file.into_inner().unwrap()
}

/// A row's level says how much of a path of optional things is there. All of `image.bytes` is 2, of `image.path` only the
/// first part is, and all of `label` is 1.
fn write_column<T: DataType>(
    rows: &mut SerializedRowGroupWriter<Vec<u8>>,
    values: &[T::T],
    levels: &[i16],
) {
    let mut column = rows.next_column().unwrap().unwrap();
    let writer = column.typed::<T>();
    writer.write_batch(values, Some(levels), None).unwrap();
    column.close().unwrap();
}
