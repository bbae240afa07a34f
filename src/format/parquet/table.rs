//! What the three kinds of Parquet table share: the schema, the writer, and a reader that trusts nothing.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowSelection};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::{ColumnPath, SchemaDescriptor, Type};

use crate::format::parquet::pages::CheckedGroup;
use crate::format::segment::TableError;
use crate::values::catch_panic::guarded;
use crate::values::decimal::Decimal;
use crate::values::id::Sequence;

/// The most rows of a row group that is written: what is passed over when few keys are looked up is whole groups.
pub(crate) const GROUP_ROWS: usize = 1 << 17;
/// The most rows of a row group that is read.
const MAX_GROUP_ROWS: i64 = 1 << 20;
/// The most rows of a batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// The largest footer that is read, in bytes.
const MAX_FOOTER_BYTES: usize = 8 << 20;
/// What one batch may take when decoded, in bytes, whatever the file claims.
const BATCH_BYTES: usize = 256 << 20;
/// What one batch takes as a rule: little enough that its memory is used again for the next one.
const USUAL_BATCH_BYTES: usize = 1 << 20;
/// Where a page of keys ends, in bytes.
///
/// A key may repeat all of the key before it, so that a small page can decode to many times its size. Pages of at most `BATCH_BYTES / BATCH_ROWS` keep a
/// full batch within its bound.
const KEY_PAGE_BYTES: usize = 24 << 10;
/// Who the files say wrote them: no version, so that equal rows stay equal bytes.
const CREATED_BY: &str = "ckpt format 1";
/// The key of the files' metadata that names the one checkpoint that a table belongs to.
const OWNER_KEY: &str = "ckpt.checkpoint";

/// The type of a column, and with it the encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    UInt32,
    UInt64,
    Int,
    Number,
    Bool,
    /// Text that mostly shares a beginning with the row before it.
    Key,
    Text,
    Json,
    Bytes,
}

impl Kind {
    fn arrow_type(self) -> DataType {
        match self {
            Kind::UInt32 => DataType::UInt32,
            Kind::UInt64 => DataType::UInt64,
            Kind::Int => DataType::Int64,
            Kind::Number => DataType::Decimal128(Decimal::PRECISION, Decimal::SCALE),
            Kind::Bool => DataType::Boolean,
            Kind::Key | Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
        }
    }

    /// Returns the one encoding that pages of this kind have.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            Kind::UInt32 | Kind::UInt64 | Kind::Int => Encoding::DELTA_BINARY_PACKED,
            Kind::Bool => Encoding::RLE,
            Kind::Key => Encoding::DELTA_BYTE_ARRAY,
            Kind::Number | Kind::Text | Kind::Json | Kind::Bytes => Encoding::PLAIN,
        }
    }

    fn parquet_type(self, name: &str, repetition: Repetition) -> Type {
        let integer = |bit_width, is_signed| Some(LogicalType::integer(bit_width, is_signed));
        let (physical, logical) = match self {
            Kind::UInt32 => (PhysicalType::INT32, integer(32, false)),
            Kind::UInt64 => (PhysicalType::INT64, integer(64, false)),
            Kind::Int => (PhysicalType::INT64, None),
            Kind::Number => {
                let (precision, scale) = (Decimal::PRECISION.into(), Decimal::SCALE.into());
                (PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(scale, precision)))
            }
            Kind::Bool => (PhysicalType::BOOLEAN, None),
            Kind::Key | Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            Kind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
            Kind::Bytes => (PhysicalType::BYTE_ARRAY, None),
        };
        let mut builder =
            Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical);
        if self == Kind::Number {
            builder =
                builder.with_length(16).with_precision(Decimal::PRECISION.into()).with_scale(Decimal::SCALE.into());
        }
        builder.build().expect("the types of the format are valid")
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
}

impl TableColumn {
    pub(crate) fn required(name: impl Into<String>, kind: Kind) -> TableColumn {
        TableColumn { name: name.into(), kind, required: true }
    }

    pub(crate) fn nullable(name: impl Into<String>, kind: Kind) -> TableColumn {
        TableColumn { name: name.into(), kind, required: false }
    }
}

fn arrow_schema(columns: &[TableColumn]) -> Arc<Schema> {
    let field = |column: &TableColumn| Field::new(&column.name, column.kind.arrow_type(), !column.required);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

fn parquet_schema(columns: &[TableColumn]) -> SchemaDescriptor {
    let fields = columns
        .iter()
        .map(|column| {
            let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
            Arc::new(column.kind.parquet_type(&column.name, repetition))
        })
        .collect();
    let root = Type::group_type_builder("ckpt").with_fields(fields).build().expect("a group of columns is valid");
    SchemaDescriptor::new(Arc::new(root))
}

fn writer_properties(columns: &[TableColumn], sorted_columns: usize) -> WriterPropertiesBuilder {
    let sorting = (0..sorted_columns as i32)
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .collect();
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_2_0)
        .set_created_by(CREATED_BY.to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).expect("zstd has a level 1")))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_sorting_columns(Some(sorting));
    for column in columns {
        let path = ColumnPath::new(vec![column.name.clone()]);
        builder = builder.set_column_encoding(path.clone(), column.kind.encoding());
        match column.kind {
            Kind::Key => builder = builder.set_column_data_page_size_limit(path, KEY_PAGE_BYTES),
            Kind::Json | Kind::Bytes => {
                builder = builder.set_column_statistics_enabled(path, EnabledStatistics::None);
            }
            _ => {}
        }
    }
    builder
}

/// Writes batches into one Parquet file in memory.
#[derive(Debug)]
pub(crate) struct TableWriter {
    schema: Arc<Schema>,
    writer: ArrowWriter<Vec<u8>>,
}

impl TableWriter {
    /// Starts a table whose rows ascend by the first `sorted_columns` columns.
    pub(crate) fn new(columns: &[TableColumn], sorted_columns: usize) -> TableWriter {
        TableWriter::with_properties(columns, writer_properties(columns, sorted_columns).build())
    }

    /// Starts a table that belongs to one checkpoint alone: it says so, and has other bytes than a table of the same rows in any other.
    pub(crate) fn new_of(columns: &[TableColumn], sorted_columns: usize, checkpoint: Option<Sequence>) -> TableWriter {
        let Some(checkpoint) = checkpoint else { return TableWriter::new(columns, sorted_columns) };
        let owner = KeyValue::new(OWNER_KEY.to_owned(), checkpoint.0.to_string());
        let properties = writer_properties(columns, sorted_columns).set_key_value_metadata(Some(vec![owner]));
        TableWriter::with_properties(columns, properties.build())
    }

    /// Starts a table whose pages stay as they are encoded.
    #[cfg(test)]
    pub(crate) fn new_uncompressed(columns: &[TableColumn], sorted_columns: usize) -> TableWriter {
        let properties = writer_properties(columns, sorted_columns).set_data_page_v2_compression_ratio_threshold(1e-9);
        TableWriter::with_properties(columns, properties.build())
    }

    fn with_properties(columns: &[TableColumn], properties: WriterProperties) -> TableWriter {
        let schema = arrow_schema(columns);
        let options = ArrowWriterOptions::new()
            .with_properties(properties)
            .with_skip_arrow_metadata(true)
            .with_parquet_schema(parquet_schema(columns));
        let writer = ArrowWriter::try_new_with_options(Vec::new(), schema.clone(), options)
            .expect("the columns of the format can be written");
        TableWriter { schema, writer }
    }

    /// Appends rows, an array for each column.
    pub(crate) fn write(&mut self, arrays: Vec<ArrayRef>) {
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).expect("an array of its type for each column");
        self.writer.write(&batch).expect("writing to memory does not fail");
    }

    /// Returns the bytes that are ready, which the next ones follow.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Returns the bytes of the file, without those that were taken before.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.writer.into_inner().expect("writing to memory does not fail")
    }
}

/// Reads a table in batches, a row group after the other.
pub(crate) struct TableReader {
    bytes: Bytes,
    metadata: Arc<ParquetMetaData>,
    columns: Vec<TableColumn>,
    levels: FieldLevels,
    /// The row groups to come, last first, each with the number of its first row.
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
    /// Opens a table of exactly `columns`.
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

    /// Returns how many rows the footer claims; the row groups claim as many.
    pub(crate) fn rows(&self) -> u64 {
        self.metadata.file_metadata().num_rows() as u64
    }

    /// Returns the value beside [`OWNER_KEY`] in the metadata.
    pub(crate) fn owner(&self) -> Option<&str> {
        let pairs = self.metadata.file_metadata().key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == OWNER_KEY)?.value.as_deref()
    }

    /// Leaves out the row groups that `wanted` does not want.
    pub(crate) fn retain_groups(&mut self, wanted: impl Fn(&RowGroupMetaData) -> bool) {
        self.groups.retain(|(group, _)| wanted(self.metadata.row_group(*group)));
    }

    /// Returns the next rows and the number of the first of them, or nothing at the end.
    pub(crate) fn next_batch(&mut self) -> Result<Option<(u64, RecordBatch)>, TableError> {
        guard(|| {
            loop {
                if let Some(group) = &mut self.current {
                    if let Some(batch) = group.batches.next().transpose().map_err(unreadable)? {
                        let first_row = group.next_row;
                        group.next_row += batch.num_rows() as u64;
                        if batch.num_rows() == 0 || group.next_row > group.end_row {
                            return Err(unreadable("a row group does not hold the rows that it claims"));
                        }
                        return Ok(Some((first_row, batch)));
                    }
                    if group.next_row != group.end_row {
                        return Err(unreadable("a row group does not hold the rows that it claims"));
                    }
                    self.current = None;
                }
                let Some((group, first_row)) = self.groups.pop() else { return Ok(None) };
                self.current = Some(self.open_group(group, first_row)?);
            }
        })
    }

    /// Reads the first `leading` columns of all rows, and all columns of those rows that `choose` adds to its list.
    ///
    /// `choose` is given the number of a batch's first row, the batch, and the list of rows within the batch. `take` is given the numbers of
    /// the rows that were chosen, and as many rows. A page that holds no chosen row is passed over.
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
                    return Err(unreadable("a row group does not hold the rows that it claims"));
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
                    return Err(unreadable("a row group does not hold the rows that it claims"));
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

impl std::fmt::Debug for TableReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableReader").field("bytes", &self.bytes.len()).field("columns", &self.columns).finish()
    }
}

fn read_footer(bytes: &Bytes) -> Result<ParquetMetaData, TableError> {
    let Some(&tail) = bytes.last_chunk::<8>() else {
        return Err(unreadable(format!("{} bytes are too few", bytes.len())));
    };
    let footer_bytes = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]) as usize;
    if footer_bytes > MAX_FOOTER_BYTES || footer_bytes + 12 > bytes.len() {
        return Err(unreadable(format!("a footer of {footer_bytes} bytes in a file of {}", bytes.len())));
    }
    ParquetMetaDataReader::new().parse_and_finish(bytes).map_err(unreadable)
}

/// Returns the row groups, last first, with the number of the first row of each.
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

fn check_columns(found: &SchemaDescriptor, columns: &[TableColumn]) -> Result<(), TableError> {
    let expected = parquet_schema(columns);
    let (found, expected) = (found.root_schema(), expected.root_schema());
    if found.get_fields() == expected.get_fields() {
        return Ok(());
    }
    Err(TableError::Columns { expected: describe(expected), found: describe(found) })
}

/// Writes the columns as SQL does, at most 1,000 characters.
fn describe(schema: &Type) -> String {
    let columns: Vec<String> = schema
        .get_fields()
        .iter()
        .map(|field| {
            let info = field.get_basic_info();
            let required = info.has_repetition() && info.repetition() == Repetition::REQUIRED;
            format!("{} {}{}", field.name(), sql_type(field), if required { " NOT NULL" } else { "" })
        })
        .collect();
    let text = columns.join(", ");
    match text.char_indices().nth(1000) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

fn sql_type(field: &Type) -> String {
    if field.is_group() {
        return "STRUCT".to_owned();
    }
    let logical = field.get_basic_info().logical_type_ref().cloned();
    match (field.get_physical_type(), logical) {
        (_, Some(LogicalType::Decimal(decimal))) => format!("DECIMAL({},{})", decimal.precision, decimal.scale),
        (_, Some(LogicalType::Integer(integer))) => {
            format!("{}INT{}", if integer.is_signed { "" } else { "U" }, integer.bit_width)
        }
        (_, Some(LogicalType::String)) => "VARCHAR".to_owned(),
        (_, Some(LogicalType::Json)) => "JSON".to_owned(),
        (PhysicalType::BOOLEAN, None) => "BOOLEAN".to_owned(),
        (PhysicalType::INT32, None) => "INT32".to_owned(),
        (PhysicalType::INT64, None) => "INT64".to_owned(),
        (PhysicalType::BYTE_ARRAY, None) => "BLOB".to_owned(),
        (physical, None) => physical.to_string(),
        (physical, Some(logical)) => format!("{physical} {logical:?}"),
    }
}

/// Calls into the Parquet reader, and turns a panic inside it into an error: the file is at fault, and may be hostile.
fn guard<T>(read: impl FnOnce() -> Result<T, TableError>) -> Result<T, TableError> {
    guarded(read).unwrap_or_else(|text| Err(unreadable(format!("the reader gave up: {text}"))))
}

pub(crate) fn unreadable(reason: impl std::fmt::Display) -> TableError {
    TableError::Unreadable { reason: reason.to_string().chars().take(500).collect() }
}
