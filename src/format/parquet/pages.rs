//! The pages of a row group, checked before the Parquet reader gets them.
//!
//! The reader allocates what page headers and length lists claim. So every header is read here first and compared with
//! the actual bytes, and so is every list of packed integers once its page is decompressed.

use std::sync::Arc;

use bytes::Bytes;
use parquet::arrow::arrow_reader::RowGroups;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::serialized_reader::SerializedPageReader;

use crate::format::parquet::page_header::{PageHeader, read_varint};

/// The largest page before compression, in bytes.
const MAX_PAGE_BYTES: i32 = 64 << 20;
/// The only page type of the format: data, version 2.
const DATA_PAGE_V2: i32 = 3;

/// A row group whose page headers are as the format requires.
pub(crate) struct CheckedGroup {
    bytes: Arc<Bytes>,
    metadata: Arc<ParquetMetaData>,
    group: usize,
    row_bytes: RowBytes,
}

/// The memory that a decoded row takes, in bytes: the average over a batch that is longer than a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RowBytes {
    /// The upper bound.
    pub(crate) most: usize,
    /// When keys have little in common.
    pub(crate) usual: usize,
}

impl CheckedGroup {
    /// Checks all page headers of row group `group`, whose columns must have `encodings`.
    pub(crate) fn check(
        bytes: Bytes,
        metadata: Arc<ParquetMetaData>,
        group: usize,
        encodings: Vec<Encoding>,
    ) -> Result<CheckedGroup, String> {
        let described = metadata.row_group(group);
        if described.num_columns() != encodings.len() {
            return Err(format!("a row group of {} columns, expected {}", described.num_columns(), encodings.len()));
        }
        let mut row_bytes = RowBytes { most: 0, usual: 0 };
        for (column, encoding) in described.columns().iter().zip(encodings) {
            if !matches!(column.compression(), Compression::ZSTD(_)) {
                return Err(format!("compression {}, expected zstd", column.compression()));
            }
            if column.dictionary_page_offset().is_some() {
                return Err("a dictionary, expected none".to_owned());
            }
            let (start, length) = column.byte_range();
            let range = usize::try_from(start).ok().zip(start.checked_add(length).and_then(|end| end.try_into().ok()));
            let chunk = range.and_then(|(start, end)| bytes.get(start..end));
            let chunk = chunk.ok_or_else(|| format!("a column of {length} bytes at byte {start}, past the end"))?;
            let of_column = check_headers(chunk, encoding, described.num_rows())?;
            row_bytes.most += of_column.most;
            row_bytes.usual += of_column.usual;
        }
        Ok(CheckedGroup { bytes: Arc::new(bytes), metadata, group, row_bytes })
    }

    pub(crate) fn row_bytes(&self) -> RowBytes {
        self.row_bytes
    }
}

impl RowGroups for CheckedGroup {
    fn num_rows(&self) -> usize {
        self.metadata.row_group(self.group).num_rows() as usize
    }

    fn column_chunks(&self, column: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let described = self.metadata.row_group(self.group).column(column);
        let pages = SerializedPageReader::new(self.bytes.clone(), described, self.num_rows(), None)?;
        Ok(Box::new(OneChunk(Some(CheckedPages { pages }))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// The pages of one column in one row group.
struct OneChunk(Option<CheckedPages>);

impl Iterator for OneChunk {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(|pages| Ok(Box::new(pages) as Box<dyn PageReader>))
    }
}

impl PageIterator for OneChunk {}

/// Returns decompressed pages that have as many packed integers as their header claims.
struct CheckedPages {
    pages: SerializedPageReader<Bytes>,
}

impl Iterator for CheckedPages {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        let page = self.pages.get_next_page()?;
        if let Some(page) = &page {
            check_content(page).map_err(ParquetError::General)?;
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        self.pages.skip_next_page()
    }
}

/// Checks the headers of all pages of a column, and returns the memory that a decoded row takes.
fn check_headers(chunk: &[u8], encoding: Encoding, rows: i64) -> Result<RowBytes, String> {
    let mut row_bytes = RowBytes { most: 16, usual: 16 };
    let mut found_rows = 0i64;
    let mut rest = chunk;
    while !rest.is_empty() {
        let header = PageHeader::read(&mut rest).ok_or("a page header that cannot be read")?;
        let compressed = usize::try_from(header.compressed_bytes).ok().filter(|bytes| *bytes <= rest.len());
        let Some(compressed) = compressed else {
            return Err(format!("a page of {} bytes where {} are left", header.compressed_bytes, rest.len()));
        };
        if !(0..=MAX_PAGE_BYTES).contains(&header.page_bytes) {
            return Err(format!("a page of {} bytes, expected at most {MAX_PAGE_BYTES}", header.page_bytes));
        }
        if header.page_type != DATA_PAGE_V2 {
            return Err(format!("a page of type {}, expected {DATA_PAGE_V2}", header.page_type));
        }
        if Some(header.encoding) != encoding_code(encoding) {
            return Err(format!("a page of encoding {}, expected {encoding}", header.encoding));
        }
        let levels_fit = header.definition_bytes >= 0
            && header.definition_bytes <= header.compressed_bytes.min(header.page_bytes)
            && header.repetition_bytes == 0;
        let counts_fit = header.values >= 0
            && header.values == header.rows
            && (0..=header.values).contains(&header.nulls)
            && (header.is_compressed || header.page_bytes == header.compressed_bytes);
        if !levels_fit || !counts_fit {
            return Err(format!("a page header that contradicts itself: {header:?}"));
        }
        let page_bytes = header.page_bytes as usize;
        let share = page_bytes.div_ceil(header.values.max(1) as usize);
        row_bytes.usual = row_bytes.usual.max(share);
        row_bytes.most = row_bytes.most.max(match encoding {
            // A value may repeat everything before it in the page.
            Encoding::DELTA_BYTE_ARRAY => page_bytes,
            _ => share,
        });
        found_rows += i64::from(header.values);
        rest = &rest[compressed..];
    }
    if found_rows != rows {
        return Err(format!("{rows} rows are claimed, the pages have {found_rows}"));
    }
    Ok(row_bytes)
}

fn encoding_code(encoding: Encoding) -> Option<i32> {
    match encoding {
        Encoding::PLAIN => Some(0),
        Encoding::RLE => Some(3),
        Encoding::DELTA_BINARY_PACKED => Some(5),
        Encoding::DELTA_BYTE_ARRAY => Some(7),
        _ => None,
    }
}

/// Checks that a decompressed page has as many packed integers as its header claims.
fn check_content(page: &Page) -> Result<(), String> {
    let Page::DataPageV2 { buf, num_values, num_nulls, encoding, def_levels_byte_len, .. } = page else {
        return Err("a page that is not a data page of version 2".to_owned());
    };
    let lists = match encoding {
        Encoding::DELTA_BINARY_PACKED => 1,
        // The lengths of the repeated prefixes, then those of the suffixes.
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => 0,
    };
    let values = num_values.saturating_sub(*num_nulls) as usize;
    let mut rest = buf.get(*def_levels_byte_len as usize..).ok_or("levels that are longer than their page")?;
    for _ in 0..lists {
        if values == 0 && rest.is_empty() {
            break;
        }
        skip_packed_integers(&mut rest, values)
            .ok_or_else(|| format!("a page of {values} values with another number of packed integers"))?;
    }
    Ok(())
}

/// Skips a list of exactly `values` integers in `DELTA_BINARY_PACKED`.
fn skip_packed_integers(bytes: &mut &[u8], values: usize) -> Option<()> {
    let block_values = usize::try_from(read_varint(bytes)?).ok()?;
    let parts = usize::try_from(read_varint(bytes)?).ok()?;
    let claimed = read_varint(bytes)?;
    read_varint(bytes)?;
    let sizes_fit = (128..=4096).contains(&block_values) && (1..=128).contains(&parts) && block_values % parts == 0;
    if !sizes_fit || claimed != values as u64 {
        return None;
    }
    let part_values = block_values / parts;
    // The first value is in the header.
    let mut left = values.saturating_sub(1);
    while left > 0 {
        read_varint(bytes)?;
        let (widths, mut rest) = bytes.split_at_checked(parts)?;
        for &width in widths {
            if left == 0 {
                break;
            }
            if width > 64 {
                return None;
            }
            rest = rest.get(usize::from(width) * part_values / 8..)?;
            left = left.saturating_sub(part_values);
        }
        *bytes = rest;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of a data page, version 2, of 8 bytes and 3 rows, and the page.
    fn page() -> Vec<u8> {
        #[rustfmt::skip]
        let mut page = vec![
            0x15, 6, // type: 3
            0x15, 16, // page bytes: 8
            0x15, 16, // compressed bytes: 8
            0x5c, // field 8, a struct:
            0x15, 6, 0x15, 0, 0x15, 6, // 3 values, no nulls, 3 rows
            0x15, 0, 0x15, 0, 0x15, 0, // plain, no levels
            0x12, // not compressed
            0, 0,
        ];
        page.extend([0; 8]);
        page
    }

    #[test]
    fn a_header_that_fits_its_page_is_taken() {
        assert_eq!(check_headers(&page(), Encoding::PLAIN, 3), Ok(RowBytes { most: 16, usual: 16 }));
        assert_eq!(check_headers(&[page(), page()].concat(), Encoding::PLAIN, 6), Ok(RowBytes { most: 16, usual: 16 }));
        assert_eq!(check_headers(&[], Encoding::PLAIN, 0), Ok(RowBytes { most: 16, usual: 16 }));
    }

    #[test]
    fn claims_that_the_bytes_do_not_hold_are_refused() {
        for (name, at, bytes) in [
            ("page type", 1, 0),
            ("page bytes", 3, 18),
            ("negative page bytes", 3, 1),
            ("compressed bytes", 5, 18),
            ("negative compressed bytes", 5, 1),
            ("values", 8, 8),
            ("negative values", 8, 1),
            ("nulls", 10, 8),
            ("rows", 12, 8),
            ("encoding", 14, 4),
            ("definition levels", 16, 18),
            ("repetition levels", 18, 2),
        ] {
            let mut page = page();
            page[at] = bytes;
            assert!(check_headers(&page, Encoding::PLAIN, 3).is_err(), "{name}");
        }
        assert!(check_headers(&page(), Encoding::PLAIN, 4).is_err());
        for end in 1..page().len() {
            assert!(check_headers(&page()[..end], Encoding::PLAIN, 3).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_page_above_the_bound_is_refused() {
        let mut page = page();
        // 2^27 bytes, which is zigzag 2^28, and compressed pages may claim that.
        page.splice(3..4, [0x80, 0x80, 0x80, 0x80, 0x01]);
        let compressed = page.iter().position(|byte| *byte == 0x12).unwrap();
        page[compressed] = 0x11;
        let error = check_headers(&page, Encoding::PLAIN, 3).unwrap_err();
        assert_eq!(error, "a page of 134217728 bytes, expected at most 67108864");
    }

    #[test]
    fn a_header_with_fields_of_later_versions_is_read() {
        let mut page = page();
        // Field 9, a binary of two bytes, then field 10, a struct with a double and a struct.
        let end = page.len() - 9;
        page.splice(end..end, [0x18, 2, 1, 2, 0x1c, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0x1c, 0, 0]);
        assert_eq!(check_headers(&page, Encoding::PLAIN, 3), Ok(RowBytes { most: 16, usual: 16 }));
        // And structs in structs without end are not.
        let mut deep = vec![0x1c; 100_000];
        deep.extend([0; 100_000]);
        assert!(PageHeader::read(&mut deep.as_slice()).is_none());
    }

    #[test]
    fn packed_integers_are_as_many_as_they_claim() {
        // Blocks of 128 in 4 parts; 34 values: the first, 32 deltas in one bit each, and one more in two bits.
        let mut list = vec![0x80, 1, 4, 34, 0, 0, 1, 2, 9, 9];
        list.extend([0; 4 + 8]);
        let full = |mut list: &[u8], values| skip_packed_integers(&mut list, values).map(|()| list.len());
        assert_eq!(full(&list, 34), Some(0));
        assert_eq!(full(&[list.clone(), vec![7]].concat(), 34), Some(1));
        assert_eq!(full(&list, 35), None);
        assert_eq!(full(&list[..list.len() - 1], 34), None);
        assert_eq!(full(&[0x80, 1, 4, 0, 0], 0), Some(0));
        // A trillion values in no bits at all.
        assert_eq!(full(&[0x80, 1, 4, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0, 0, 0, 0, 0, 0], 3), None);
        for (block, parts) in [(0, 4), (64, 4), (0x7f, 0), (0x7f, 5)] {
            assert_eq!(full(&[block, parts, 34, 0, 0, 0, 0, 0, 0], 34), None);
        }
    }
}
