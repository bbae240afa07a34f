//! The types of fields, told from the first records.

use std::sync::Arc;

use super::{Extractor, Field, json};
use crate::decimal::Decimal;
use crate::runner::input::{BlockReader, InputError, Partition, Source};
use crate::runner::spec::{FieldPath, InputFormat, InputSpec};
use crate::value::ColumnType;

/// Tells the types of `fields` from the first `max_records` records of the input; nothing for a field that none of them has.
///
/// Only numbers are a number, only bools a bool, only text is text; anything else is JSON. In CSV, text that JSON would take as a number is one, so that
/// `007` stays text. Bad records are passed over. Standard input is not touched, and gives nothing for each field.
pub fn sample(
    input: &InputSpec,
    partitions: &Arc<[Partition]>,
    fields: &[FieldPath],
    max_records: u64,
) -> Result<Vec<Option<ColumnType>>, InputError> {
    let mut types = vec![None; fields.len()];
    if fields.is_empty() || partitions.iter().any(|partition| partition.source == Source::Stdin) {
        return Ok(types);
    }
    let has_text_only = matches!(input.format, InputFormat::Csv { .. });
    let mut reader = BlockReader::new(input, partitions.clone(), &[], 0)?;
    let mut extractor = Extractor::new(&input.format, fields, input.max_record_bytes);
    let mut seen_count = 0;
    let mut buffer = Vec::new();
    while seen_count < max_records
        && let Some(block) = reader.next(buffer)?
    {
        extractor.each(&block, |_, record| {
            seen_count += 1;
            for (known, field) in types.iter_mut().zip(record.unwrap_or_default()) {
                *known = join(*known, type_of(field, has_text_only));
            }
            seen_count < max_records
        });
        buffer = block.bytes;
    }
    // Numbers and other text in one CSV column are text.
    if has_text_only {
        types
            .iter_mut()
            .filter(|known| **known == Some(ColumnType::Json))
            .for_each(|known| *known = Some(ColumnType::Text));
    }
    Ok(types)
}

fn type_of(field: &Field<'_>, has_text_only: bool) -> Option<ColumnType> {
    match field {
        Field::Missing => None,
        Field::Text(text) if has_text_only && json::is_number(text) && Decimal::parse(text.as_bytes()).is_ok() => {
            Some(ColumnType::Number)
        }
        Field::Text(_) => Some(ColumnType::Text),
        Field::Number(_) => Some(ColumnType::Number),
        Field::Bool(_) => Some(ColumnType::Bool),
        Field::Json(_) => Some(ColumnType::Json),
    }
}

fn join(known: Option<ColumnType>, found: Option<ColumnType>) -> Option<ColumnType> {
    match (known, found) {
        (None, one) | (one, None) => one,
        (Some(known), Some(found)) if known == found => Some(known),
        _ => Some(ColumnType::Json),
    }
}
