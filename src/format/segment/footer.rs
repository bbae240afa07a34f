//! What a segment says about itself, without its rows.

use bytes::Bytes;

use crate::format::error::TableError;
use crate::format::parquet::columns::table_columns;
use crate::format::parquet::reader::TableReader;
use crate::values::value::Column;

/// How many of a segment's last bytes hold its footer, unless it has very many rows or columns.
pub const FOOTER_BYTES: u64 = 64 << 10;

/// What a segment says about itself, without its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFooter {
    /// The number of rows that the file claims.
    pub rows: u64,
    /// The number of the only checkpoint that the segment belongs to, as the file has it.
    pub owner: Option<String>,
}

impl SegmentFooter {
    /// Reads the footer from `end`, the last bytes of a segment whose values have `columns`.
    ///
    /// Fails if the segment has other columns, and if `end` does not have all of the footer.
    pub fn read(end: Bytes, columns: &[Column]) -> Result<SegmentFooter, TableError> {
        let table = TableReader::open(end, table_columns(columns))?;
        Ok(SegmentFooter { rows: table.rows(), owner: table.owner().map(str::to_owned) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::owner::Owner;
    use crate::format::rows::Row;
    use crate::format::segment::SegmentWriter;
    use crate::values::id::Sequence;
    use crate::values::value::ColumnType;

    #[test]
    fn the_end_of_a_segment_is_enough() {
        for owner in [None, Some(Sequence(7))] {
            let mut writer = SegmentWriter::new_of(&[], &Owner { checkpoint: owner, attempt: None });
            let keys: Vec<String> = (0..50_000u64)
                .map(|n| format!("{n:05} {:016x}", n.wrapping_mul(n).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
                .collect();
            for key in &keys {
                writer.push(Row { task: 0, key: key.as_bytes(), value: None });
            }
            let bytes = Bytes::from(writer.finish().0);
            assert!(bytes.len() as u64 > 2 * FOOTER_BYTES, "{} bytes", bytes.len());
            let footer = SegmentFooter { rows: 50_000, owner: owner.map(|number| number.0.to_string()) };
            let end = bytes.slice(bytes.len() - FOOTER_BYTES as usize..);
            assert_eq!(SegmentFooter::read(end, &[]), Ok(footer.clone()));
            assert_eq!(SegmentFooter::read(bytes.clone(), &[]), Ok(footer));
            assert!(SegmentFooter::read(bytes.slice(bytes.len() - 100..), &[]).is_err());
            assert!(SegmentFooter::read(bytes, &[Column::new("n", ColumnType::Int)]).is_err());
        }
    }
}
