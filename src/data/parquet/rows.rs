//! The rows of a Parquet file: pictures, and labels where there are some.
//!
//! The hub's form has a column `image` (or `img`), a group with the `bytes` of a picture file, and a column `label` (or
//! `labels`) of whole numbers. What those stand for is in the file's own metadata, as JSON:
//! <https://huggingface.co/docs/hub/datasets-image>.

use super::pages;
use crate::patience::{patiently, quietly};
use crate::{Error, Result};
use parquet::basic::Type as Physical;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;
use std::fs::File;
use std::path::Path;

/// What the columns are called.
const IMAGE: [&str; 2] = ["image", "img"];
const BYTES: &str = "bytes";
const LABEL: [&str; 2] = ["label", "labels"];
/// The fewest bytes of a file that a picture takes.
const LEAST_PICTURE: u64 = 16;
/// Bytes of pictures that a byte of a file can hold: picture files are packed themselves, but may be alike.
const MOST_PACKED: u64 = 64;
/// For so many seconds nothing may happen.
const SILENCE: u64 = 60;

/// What a file holds.
#[derive(Debug, Default)]
pub struct Rows {
    /// The content of each picture file, and its label, or 0.
    pub pictures: Vec<(Vec<u8>, i64)>,
    /// What the labels stand for, if that is known.
    pub labels: Vec<String>,
}

/// What there is in a file, or why it cannot be used.
type Found<T> = std::result::Result<T, String>;

/// Reads a file.
///
/// # Errors
///
/// If it cannot be read, is damaged, or is none of pictures.
pub fn read(path: &Path) -> Result<Rows> {
    let file = File::open(path).map_err(|error| Error::failed(path.display(), error))?;
    // The reader panics at some damages, and repeats what it says of others.
    let found = quietly(|| {
        patiently(
            SILENCE,
            move |pulse| rows(file, &|done| pulse.beat(done, 0)),
            |_, _| (),
        )
    });
    let found = found.unwrap_or_else(|_| Err("it is damaged, and cannot be decoded".into()));
    found.map_err(|why| Error::input(path.display(), why))
}

/// The rows; `beat` is told how many there are by now.
fn rows(file: File, beat: &dyn Fn(u64)) -> Found<Rows> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let copy = file.try_clone().map_err(|error| error.to_string())?;
    let reader = SerializedFileReader::new(file).map_err(in_words)?;
    let metadata = reader.metadata();
    let Columns {
        projection,
        image,
        label,
    } = columns(metadata.file_metadata().schema())?;
    let promised = promised_rows(metadata, length)?;
    pages::check(&copy, length, metadata, |path| {
        *path == [image.as_str(), BYTES]
            || label
                .as_ref()
                .is_some_and(|label| *path == [label.as_str()])
    })?;
    let keys = metadata.file_metadata().key_value_metadata();
    let labels = label.and_then(|label| names(keys?, &label));
    let labels = labels.unwrap_or_default();
    let mut found = Rows {
        pictures: Vec::new(),
        labels,
    };
    let mut size = 0;
    let all = RowIter::from_file(Some(projection), &reader).map_err(in_words)?;
    for (number, row) in (1..).zip(all) {
        let (picture, label) = picture(row.map_err(in_words)?);
        size += picture.len() as u64;
        if size > length.saturating_mul(MOST_PACKED) || number > promised {
            return Err("it holds more pictures than fit into a file of its size".into());
        }
        found.pictures.push((picture, label));
        beat(number);
    }
    match found.pictures.len() as u64 == promised {
        true => Ok(found),
        false => Err(format!(
            "it promises {promised} rows, and has {}",
            found.pictures.len()
        )),
    }
}

/// The columns that are read.
struct Columns {
    projection: Type,
    image: String,
    label: Option<String>,
}

fn columns(schema: &Type) -> Found<Columns> {
    let fields = schema.get_fields();
    let named = |names: &[&str], is: &dyn Fn(&TypePtr) -> bool| {
        let found = fields
            .iter()
            .find(|field| names.contains(&field.name()) && is(field));
        found.cloned()
    };
    let bytes = |field: &TypePtr| -> Option<TypePtr> {
        let inner = if field.is_group() {
            field.get_fields()
        } else {
            &[]
        };
        let is_bytes = |inner: &&TypePtr| {
            inner.name() == BYTES
                && inner.is_primitive()
                && inner.get_physical_type() == Physical::BYTE_ARRAY
        };
        inner.iter().find(is_bytes).cloned()
    };
    let whole = |field: &TypePtr| {
        field.is_primitive()
            && [Physical::INT32, Physical::INT64].contains(&field.get_physical_type())
    };
    let image = named(&IMAGE, &|field| bytes(field).is_some());
    let Some((image, inner)) = image.and_then(|image| Some((image.clone(), bytes(&image)?))) else {
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        return Err(format!(
            "it has no column `image` with the `bytes` of pictures, but: {}",
            names.join(", ")
        ));
    };
    let label = named(&LABEL, &whole);
    let mut group = Type::group_type_builder(image.name()).with_fields(vec![inner]);
    let info = image.get_basic_info();
    if info.has_repetition() {
        group = group.with_repetition(info.repetition());
    }
    let group = group.build().map_err(in_words)?;
    let mut fields = vec![TypePtr::new(group)];
    fields.extend(label.clone());
    let projection = Type::group_type_builder(schema.name()).with_fields(fields);
    Ok(Columns {
        projection: projection.build().map_err(in_words)?,
        image: image.name().into(),
        label: label.map(|label| label.name().into()),
    })
}

/// The number of rows that all groups promise, if so many pictures can be in a file of a length.
fn promised_rows(metadata: &ParquetMetaData, length: u64) -> Found<u64> {
    let groups = metadata.row_groups().iter();
    let mut rows = groups.map(|group| u64::try_from(group.num_rows()).ok());
    let rows = rows.try_fold(0u64, |sum, rows| sum.checked_add(rows?));
    let rows = rows.filter(|&rows| rows <= length / LEAST_PICTURE);
    rows.ok_or_else(|| "it promises more rows than fit into a file of its size".into())
}

/// The content of a row's picture, and its label; of what is not there, nothing and 0.
fn picture(row: Row) -> (Vec<u8>, i64) {
    let (mut picture, mut label) = (Vec::new(), 0);
    for (_, field) in row.into_columns() {
        match field {
            Field::Group(inner) => {
                for (_, field) in inner.into_columns() {
                    if let Field::Bytes(bytes) = field {
                        picture = bytes.data().to_vec();
                    }
                }
            }
            field => label = whole(&field).unwrap_or_default(),
        }
    }
    // The hub's label of a picture that has none.
    (picture, if label == -1 { 0 } else { label })
}

/// A whole number.
fn whole(field: &Field) -> Option<i64> {
    match *field {
        Field::Byte(number) => Some(number.into()),
        Field::Short(number) => Some(number.into()),
        Field::Int(number) => Some(number.into()),
        Field::Long(number) => Some(number),
        Field::UByte(number) => Some(number.into()),
        Field::UShort(number) => Some(number.into()),
        Field::UInt(number) => Some(number.into()),
        _ => None,
    }
}

/// What the labels stand for, as the hub's own data sets have it in their metadata.
fn names(keys: &[KeyValue], label: &str) -> Option<Vec<String>> {
    let entry = keys.iter().find(|entry| entry.key == "huggingface")?;
    let value: Value = serde_json::from_str(entry.value.as_deref()?).ok()?;
    let names = value.pointer(&format!("/info/features/{label}/names"))?;
    let names = names.as_array()?.iter();
    names
        .map(|name| name.as_str().map(str::to_string))
        .collect()
}

/// An error's message in one line.
fn in_words(error: ParquetError) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().into()
}
