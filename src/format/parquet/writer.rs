//! Writing a table.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder, WriterVersion};
use parquet::schema::types::ColumnPath;

use crate::format::owner::Owner;
use crate::format::parquet::schema::{ColumnKind, GROUP_ROWS, TableColumn, arrow_schema, parquet_schema};

/// Where a page of keys ends, in bytes.
///
/// A key may repeat all of the key before it, so a small page can decode to many times its size. Pages of at most
/// [`BATCH_BYTES`](super::schema::BATCH_BYTES) / [`BATCH_ROWS`](super::schema::BATCH_ROWS) bytes keep a full batch
/// within its bound.
const KEY_PAGE_BYTES: usize = 24 << 10;
/// What the files name as their writer: without a version, so that equal rows stay equal bytes.
const CREATED_BY: &str = "ckpt format 1";

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
            ColumnKind::Key => builder = builder.set_column_data_page_size_limit(path, KEY_PAGE_BYTES),
            ColumnKind::Json | ColumnKind::Bytes => {
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
    /// Starts a table whose rows are sorted by the first `sorted_columns` columns.
    pub(crate) fn new(columns: &[TableColumn], sorted_columns: usize) -> TableWriter {
        TableWriter::with_properties(columns, writer_properties(columns, sorted_columns).build())
    }

    /// Does the same for a table of `owner`, whom the file names.
    pub(crate) fn new_of(columns: &[TableColumn], sorted_columns: usize, owner: &Owner) -> TableWriter {
        let pairs: Vec<KeyValue> =
            owner.pairs().into_iter().map(|(key, value)| KeyValue::new(key.to_owned(), value)).collect();
        let pairs = Some(pairs).filter(|pairs| !pairs.is_empty());
        let properties = writer_properties(columns, sorted_columns).set_key_value_metadata(pairs);
        TableWriter::with_properties(columns, properties.build())
    }

    /// Starts a table whose pages are not compressed.
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

    /// Appends rows, given as one array per column.
    pub(crate) fn write(&mut self, arrays: Vec<ArrayRef>) {
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).expect("one array of the right type per column");
        self.writer.write(&batch).expect("writing to memory does not fail");
    }

    /// Takes the bytes that are complete; later ones follow them in the file.
    pub(crate) fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(self.writer.inner_mut())
    }

    /// Returns the bytes of the file, without those that were already taken.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.writer.into_inner().expect("writing to memory does not fail")
    }
}
