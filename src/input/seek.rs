//! Positions in a partition that a user chooses.

use std::sync::Arc;

use crate::input::block_reader::BlockReader;
use crate::input::error::InputError;
use crate::input::partition::{Partition, Source};
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::extractor::Extractor;
use crate::job::model::InputSpec;
use crate::values::digest::Digest;

/// A position that a user names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeekTo {
    /// The beginning.
    Start,
    /// After the last record.
    End,
    /// The record that begins at this offset in bytes, after decompression, or after the record that ends there.
    Offset(u64),
    /// The record with this number, counted from 0.
    Record(u64),
}

/// The position that was found. A record begins there, or the partition ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPosition {
    /// The bytes before it, after decompression.
    pub offset: u64,
    /// The records before it.
    pub record: u64,
    /// Whether it is the end.
    pub ended: bool,
    /// The size of the file as stored; `None` for standard input.
    pub file_bytes: Option<u64>,
    /// The digest of the bytes before it.
    pub fingerprint: Digest,
}

/// Why there is no such position.
#[derive(Debug, thiserror::Error)]
pub enum SeekError {
    #[error(transparent)]
    Input(#[from] InputError),
    /// Standard input is read only once.
    #[error("cannot seek in `-`, standard input, except to `start`")]
    Stdin,
    /// No record begins or ends at `offset`. One begins at `before`, and one begins or the last one ends at `after`.
    #[error(
        "input `{partition}` has no record that begins at byte {offset}: the nearest begin at {before} and {after}"
    )]
    NoBoundary { partition: String, offset: u64, before: u64, after: u64 },
    /// The partition is shorter: it has this many records, and bytes after decompression.
    #[error("input `{partition}` has only {records} records in {bytes} bytes")]
    Short { partition: String, records: u64, bytes: u64 },
}

/// Finds a position in `partition` by reading and counting the records before it, as a run does.
pub fn seek(input: &InputSpec, partition: &Partition, to: SeekTo) -> Result<FoundPosition, SeekError> {
    if to == SeekTo::Start || to == SeekTo::Offset(0) || to == SeekTo::Record(0) {
        return Ok(found(partition, PrefixDigest::new(partition), 0, 0, false));
    }
    if partition.source == Source::Stdin {
        return Err(SeekError::Stdin);
    }
    let alone: Arc<[Partition]> = Arc::new([partition.clone()]);
    let mut reader = BlockReader::new(input, alone, &[], 0)?;
    let mut extractor = Extractor::new(&input.format, &[], input.max_record_bytes);
    let mut records = 0;
    let mut last_begin = 0;
    let mut buffer = Vec::new();
    while let Some(block) = reader.next(buffer)? {
        // The offset and the number of the record at which the search ends, if it is in this block.
        let mut hit: Option<(u64, u64)> = None;
        let mut count = 0;
        extractor.each(&block, |place, _| {
            let begin = block.offset + place.at as u64;
            count = place.index + 1;
            hit = match to {
                SeekTo::Record(number) => (records + place.index == number).then_some((begin, number)),
                SeekTo::Offset(offset) => (begin >= offset).then_some((begin, records + place.index)),
                SeekTo::Start | SeekTo::End => None,
            };
            if hit.is_none() {
                last_begin = begin;
            }
            hit.is_none()
        });
        if let Some((begin, record)) = hit {
            let offset = match to {
                SeekTo::Offset(offset) if begin != offset && block.offset != offset => {
                    return Err(no_boundary(partition, offset, last_begin, begin));
                }
                // A record has ended where a block begins, even if empty lines come before the next record.
                SeekTo::Offset(offset) => offset,
                _ => begin,
            };
            return Ok(found(partition, PrefixDigest::of(partition, offset)?, offset, record, false));
        }
        records += count;
        buffer = block.bytes;
    }
    let end = reader.positions().pop().expect("there is one partition");
    let bytes = end.offset;
    match to {
        SeekTo::Offset(offset) if offset < bytes => Err(no_boundary(partition, offset, last_begin, bytes)),
        SeekTo::Offset(offset) if offset > bytes => Err(short(partition, records, bytes)),
        SeekTo::Record(number) if number != records => Err(short(partition, records, bytes)),
        _ => Ok(found(partition, end.prefix, bytes, records, end.ended)),
    }
}

fn no_boundary(partition: &Partition, offset: u64, before: u64, after: u64) -> SeekError {
    SeekError::NoBoundary { partition: partition.name.clone(), offset, before, after }
}

fn short(partition: &Partition, records: u64, bytes: u64) -> SeekError {
    SeekError::Short { partition: partition.name.clone(), records, bytes }
}

fn found(partition: &Partition, prefix: PrefixDigest, offset: u64, record: u64, ended: bool) -> FoundPosition {
    FoundPosition { offset, record, ended, file_bytes: partition.file_bytes, fingerprint: prefix.finish() }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::*;
    use crate::format::positions::PositionRow;
    use crate::input::{partition, partitions};
    use crate::job::model::{InputFormat, OnError, OnGone};

    fn spec(format: InputFormat) -> InputSpec {
        let files = vec!["*".to_owned()];
        InputSpec {
            files,
            topic: None,
            format,
            types: vec![],
            on_error: OnError::Fail,
            max_bad: None,
            on_gone: OnGone::Stop,
            max_record_bytes: 1 << 20,
            follow: false,
            computed: vec![],
            nulls: vec![],
            numbers: None,
            encoding: crate::job::model::Encoding::Utf8,
        }
    }

    /// The first bytes that a run reads when it resumes from there.
    fn rest(input: &InputSpec, base: &Path, sought: &FoundPosition) -> String {
        let row = PositionRow {
            cut: 7,
            offset: sought.offset,
            record: sought.record,
            ended: sought.ended,
            file_bytes: sought.file_bytes,
            ..PositionRow::at_start(partitions(input, base).unwrap()[0].name.clone(), sought.fingerprint)
        };
        let listed: Arc<[Partition]> = partitions(input, base).unwrap().into();
        let mut reader = BlockReader::new(input, listed, &[row], 7).unwrap();
        let block = reader.next(Vec::new()).unwrap();
        block.map_or_else(String::new, |block| String::from_utf8(block.bytes).unwrap())
    }

    #[test]
    fn a_run_accepts_every_position_and_resumes_there() {
        let lines = "{\"a\":1}\n\n{\"a\":2}\n{\"a\":3}";
        let csv = "a,b\n1,\"x\ny\"\n2,z\n";
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(lines.as_bytes()).unwrap();
        let packed = packed.finish().unwrap();
        let csv_format = || InputFormat::Csv { delimiter: b',' };
        type Case<'a> = (&'a str, &'a [u8], InputFormat, &'a [(u64, &'a str)]);
        let cases: [Case<'_>; 3] = [
            ("x.jsonl", lines.as_bytes(), InputFormat::Json, &[(1, "{\"a\":2}\n{\"a\":3}"), (2, "{\"a\":3}"), (3, "")]),
            ("x.jsonl.gz", &packed, InputFormat::Json, &[(1, "{\"a\":2}\n{\"a\":3}"), (2, "{\"a\":3}"), (3, "")]),
            ("x.csv", csv.as_bytes(), csv_format(), &[(0, "1,\"x\ny\"\n2,z\n"), (1, "2,z\n"), (2, "")]),
        ];
        for (name, bytes, format, records) in cases {
            let base = tempfile::tempdir().unwrap();
            std::fs::write(base.path().join(name), bytes).unwrap();
            let input = spec(format);
            let partition = partition(name, base.path()).unwrap();
            for (record, expected) in records {
                let sought = seek(&input, &partition, SeekTo::Record(*record)).unwrap();
                assert_eq!(sought.record, *record, "{name}");
                assert_eq!(rest(&input, base.path(), &sought), *expected, "{name} {record}");
                assert_eq!(seek(&input, &partition, SeekTo::Offset(sought.offset)).unwrap(), sought, "{name} {record}");
            }
            let (count, _) = records.last().unwrap();
            let end = seek(&input, &partition, SeekTo::End).unwrap();
            assert_eq!((end.record, end.ended), (*count, true));
            assert_eq!(seek(&input, &partition, SeekTo::Start).unwrap().offset, 0);
            assert!(matches!(seek(&input, &partition, SeekTo::Record(9)), Err(SeekError::Short { .. })));
            assert!(matches!(seek(&input, &partition, SeekTo::Offset(1000)), Err(SeekError::Short { .. })));
        }
    }

    #[test]
    fn a_position_inside_a_record_is_refused_with_the_nearest_that_are_not() {
        let base = tempfile::tempdir().unwrap();
        std::fs::write(base.path().join("x.csv"), "a,b\n1,\"x\ny\"\n2,z\n").unwrap();
        let input = spec(InputFormat::Csv { delimiter: b',' });
        let partition = partition("x.csv", base.path()).unwrap();
        // Byte 9 follows a line end inside quotes.
        for (offset, nearest) in [(9, "4 and 12"), (13, "12 and 16")] {
            let error = seek(&input, &partition, SeekTo::Offset(offset)).unwrap_err().to_string();
            assert!(error.ends_with(&format!("the nearest begin at {nearest}")), "{error}");
        }
    }

    #[test]
    fn a_large_file_is_counted_over_all_its_blocks() {
        let base = tempfile::tempdir().unwrap();
        let line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(91));
        std::fs::write(base.path().join("x.jsonl"), line.repeat(10_000)).unwrap();
        let input = spec(InputFormat::Json);
        let partition = partition("x.jsonl", base.path()).unwrap();
        let sought = seek(&input, &partition, SeekTo::Record(7_777)).unwrap();
        assert_eq!(sought.offset, 7_777 * line.len() as u64);
        assert_eq!(seek(&input, &partition, SeekTo::Offset(sought.offset)).unwrap().record, 7_777);
        assert!(rest(&input, base.path(), &sought).starts_with(&line));
    }
}
