//! What the header lines of CSV files say before any record is read.

use std::sync::Arc;

use crate::input::block_reader::BlockReader;
use crate::input::error::InputError;
use crate::input::partition::{Partition, Source};
use crate::job::field::FieldPath;
use crate::job::model::{InputFormat, InputSpec};

/// Returns which of `columns` none of the CSV files `partitions` has, as far as these have records.
///
/// Reads the beginnings of no more files than it takes to find each column. Standard input cannot be read twice, so it
/// may have any.
pub fn absent_columns(
    input: &InputSpec,
    partitions: &[Partition],
    columns: &[FieldPath],
) -> Result<Vec<FieldPath>, InputError> {
    let is_csv = matches!(input.format, InputFormat::Csv { .. });
    let is_stored = |partition: &Partition| matches!(partition.source, Source::File(_) | Source::Object(_));
    if !is_csv || !partitions.iter().all(is_stored) {
        return Ok(Vec::new());
    }
    let mut absent = columns.to_vec();
    let mut has_records = false;
    for partition in partitions {
        if absent.is_empty() {
            break;
        }
        let mut reader = BlockReader::new(input, Arc::new([partition.clone()]), &[], 0)?;
        if let Some(header) = reader.next(Vec::new())?.and_then(|block| block.header) {
            absent.retain(|field| !header.names.contains(&field.names.join(".")));
            has_records = true;
        }
    }
    Ok(if has_records { absent } else { Vec::new() })
}
