//! Reading a table, without trusting any byte of it.

use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};

use crate::format::error::TableError;
use crate::format::owner::CHECKPOINT_KEY;
use crate::format::parquet::pages::CheckedGroup;
use crate::format::parquet::schema::{BATCH_BYTES, BATCH_ROWS, TableColumn, check_columns};
use crate::values::catch_panic::catch_panic;

/// The most rows of a row group that is read.
const MAX_GROUP_ROWS: i64 = 1 << 20;
/// The largest footer that is read, in bytes.
const MAX_FOOTER_BYTES: usize = 8 << 20;
/// What one batch usually takes when decoded, in bytes: little enough that the next batch reuses its memory.
const USUAL_BATCH_BYTES: usize = 1 << 20;
/// What the error says of a row group whose pages do not add up.
const WRONG_ROW_COUNT: &str = "a row group does not hold the rows that it claims";

/// Reads a table in batches, one row group after another.
pub(crate) struct TableReader {
    bytes: Bytes,
    metadata: Arc<ParquetMetaData>,
    columns: Vec<TableColumn>,
    levels: FieldLevels,
    /// The row groups still to read, last first, each with the number of its first row.
    groups: Vec<(usize, u64)>,
    current: Option<Group>,
}

/// The row group that is being read.
struct Group {
    batches: ParquetRecordBatchReader,
    /// The number of its next row.
    next_row: u64,
    /// The number of the row after its last.
    end_row: u64,
}

impl TableReader {
    /// Opens a table that has exactly `columns`.
    pub(crate) fn open(bytes: Bytes, columns: Vec<TableColumn>) -> Result<TableReader, TableError> {
        guard(|| {
            let metadata = read_footer(&bytes)?;
            check_columns(metadata.file_metadata().schema_descr(), &columns)?;
            let groups = number_groups(&metadata)?;
            let schema = metadata.file_metadata().schema_descr();
            let levels = parquet_to_arrow_field_levels(schema, ProjectionMask::all(), None).map_err(unreadable)?;
            Ok(TableReader { bytes, metadata: Arc::new(metadata), columns, levels, groups, current: None })
        })
    }

    /// Returns the number of rows that the footer claims, which is the sum of what the row groups claim.
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.file_metadata().num_rows() as u64
    }

    /// Returns the number of the only checkpoint that the table belongs to, if its metadata names one.
    pub(crate) fn owner(&self) -> Option<&str> {
        let pairs = self.metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == CHECKPOINT_KEY)?.value.as_deref()
    }

    /// Skips the row groups that are not `wanted`.
    pub(crate) fn retain_groups(&mut self, wanted: impl Fn(&RowGroupMetaData) -> bool) {
        self.groups.retain(|(group, _)| wanted(self.metadata.row_group(*group)));
    }

    /// Returns the next rows and the number of the first one, or nothing at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, TableError> {
        guard(|| {
            loop {
                if let Some(group) = &mut self.current {
                    if let Some(batch) = group.batches.next().transpose().map_err(unreadable)? {
                        let first_row = group.next_row;
                        group.next_row += batch.num_rows() as u64;
                        if batch.num_rows() == 0 || group.next_row > group.end_row {
                            return Err(unreadable(WRONG_ROW_COUNT));
                        }
                        return Ok(Some((first_row, batch)));
                    }
                    if group.next_row != group.end_row {
                        return Err(unreadable(WRONG_ROW_COUNT));
                    }
                    self.current = None;
                }
                let Some((group, first_row)) = self.groups.pop() else { return Ok(None) };
                self.current = Some(self.open_group(group, first_row)?);
            }
        })
    }

    /// Reads the first `leading` columns of all rows, and all columns of the rows that `choose` adds to its list.
    ///
    /// `choose` gets the number of a batch's first row, the batch, and a list for rows within the batch. `take` gets
    /// the numbers of chosen rows and these rows. Pages without a chosen row are not decoded.
    pub(crate) fn select(
        &mut self,
        leading: usize,
        mut choose: impl FnMut(u64, &RecordBatch, &mut Vec<usize>) -> Result<(), TableError>,
        mut take: impl FnMut(&[u64], &RecordBatch) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        guard(|| {
            let schema = self.metadata.file_metadata().schema_descr();
            let leading = ProjectionMask::leaves(schema, 0..leading);
            let leading = parquet_to_arrow_field_levels(schema, leading, None).map_err(unreadable)?;
            while let Some((group, first_row)) = self.groups.pop() {
                let checked = self.check_group(group)?;
                let group_rows = self.metadata.row_group(group).num_rows() as usize;
                let mut chosen: Vec<usize> = Vec::new();
                let mut next_row = 0;
                for batch in read_group(&leading, &checked, None)? {
                    let batch = batch.map_err(unreadable)?;
                    let known = chosen.len();
                    choose(first_row + next_row as u64, &batch, &mut chosen)?;
                    chosen[known..].iter_mut().for_each(|row| *row += next_row);
                    next_row += batch.num_rows();
                }
                if next_row != group_rows {
                    return Err(unreadable(WRONG_ROW_COUNT));
                }
                if chosen.is_empty() {
                    continue;
                }
                let ranges = chosen.iter().map(|&row| row..row + 1);
                let selection = RowSelection::from_consecutive_ranges(ranges, group_rows);
                let numbers: Vec<u64> = chosen.iter().map(|&row| first_row + row as u64).collect();
                let mut rest = numbers.as_slice();
                for batch in read_group(&self.levels, &checked, Some(selection))? {
                    let batch = batch.map_err(unreadable)?;
                    let (these, others) = rest
                        .split_at_checked(batch.num_rows())
                        .ok_or_else(|| unreadable("a row group holds more rows than were asked for"))?;
                    take(these, &batch)?;
                    rest = others;
                }
                if !rest.is_empty() {
                    return Err(unreadable(WRONG_ROW_COUNT));
                }
            }
            Ok(())
        })
    }

    fn open_group(&self, group: usize, first_row: u64) -> Result<Group, TableError> {
        let batches = read_group(&self.levels, &self.check_group(group)?, None)?;
        let end_row = first_row + self.metadata.row_group(group).num_rows() as u64;
        Ok(Group { batches, next_row: first_row, end_row })
    }

    fn check_group(&self, group: usize) -> Result<CheckedGroup, TableError> {
        let encodings = self.columns.iter().map(|column| column.kind.encoding()).collect();
        CheckedGroup::check(self.bytes.clone(), self.metadata.clone(), group, encodings)
            .map_err(|reason| TableError::Unreadable { reason })
    }
}

fn read_group(
    levels: &FieldLevels,
    group: &CheckedGroup,
    selection: Option<RowSelection>,
) -> Result<ParquetRecordBatchReader, TableError> {
    let row_bytes = group.row_bytes();
    let rows = (BATCH_BYTES / row_bytes.most.max(1)).min(USUAL_BATCH_BYTES / row_bytes.usual.max(1));
    let batch_rows = rows.clamp(1, BATCH_ROWS);
    ParquetRecordBatchReader::try_new_with_row_groups(levels, group, batch_rows, selection).map_err(unreadable)
}

impl Debug for TableReader {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("TableReader").field("bytes", &self.bytes.len()).field("columns", &self.columns).finish()
    }
}

fn read_footer(bytes: &Bytes) -> Result<ParquetMetaData, TableError> {
    let Some(&tail) = bytes.last_chunk::<8>() else {
        return Err(unreadable(format!("{} bytes are too few for a file", bytes.len())));
    };
    let footer_bytes = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    if footer_bytes > MAX_FOOTER_BYTES || footer_bytes + 12 > bytes.len() {
        return Err(unreadable(format!("a footer of {footer_bytes} bytes in a file of {}", bytes.len())));
    }
    ParquetMetaDataReader::new().parse_and_finish(bytes).map_err(unreadable)
}

/// Returns the row groups, last first, each with the number of its first row.
fn number_groups(metadata: &ParquetMetaData) -> Result<Vec<(usize, u64)>, TableError> {
    let mut next_row = 0;
    let mut groups = Vec::new();
    for (group, described) in metadata.row_groups().iter().enumerate() {
        let rows = described.num_rows();
        if !(0..=MAX_GROUP_ROWS).contains(&rows) {
            return Err(unreadable(format!("a row group of {rows} rows")));
        }
        groups.push((group, next_row));
        next_row += rows as u64;
    }
    if i64::try_from(next_row) != Ok(metadata.file_metadata().num_rows()) {
        let claimed = metadata.file_metadata().num_rows();
        return Err(unreadable(format!("{claimed} rows are claimed, the row groups have {next_row}")));
    }
    groups.reverse();
    Ok(groups)
}

/// Calls the Parquet reader and turns a panic in it into an error: the file is at fault, and may be hostile.
fn guard<T>(read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    catch_panic(read).unwrap_or_else(|text| Err(unreadable(format!("the reader panicked: {text}"))))
}

fn unreadable(reason: impl Display) -> TableError {
    TableError::Unreadable { reason: reason.to_string().chars().take(500).collect() }
}
