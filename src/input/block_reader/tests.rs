use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::input::partitions;
use crate::job::field::FieldPath;
use crate::job::model::{InputFormat, OnError, OnGone};
use crate::values::digest::Digest;

/// What a block is to a test: number, partition, offset, end and bytes.
type Seen = (u64, u32, u64, u64, Vec<u8>);

pub(crate) fn spec(format: InputFormat, files: &[&str], max_record_bytes: u64) -> InputSpec {
    let files = files.iter().map(|file| (*file).to_owned()).collect();
    InputSpec {
        files,
        topic: None,
        format,
        types: vec![],
        on_error: OnError::Fail,
        max_bad: None,
        on_gone: OnGone::Stop,
        max_record_bytes,
        follow: false,
        computed: vec![],
        nulls: vec![],
        numbers: None,
        encoding: crate::job::model::Encoding::Utf8,
    }
}

fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    // Two members, or two frames.
    let (first, second) = bytes.split_at(bytes.len() / 2);
    match name.rsplit('.').next() {
        Some("gz") => [first, second]
            .iter()
            .flat_map(|part| {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap()
            })
            .collect(),
        Some("zst") => [first, second]
            .iter()
            .flat_map(|part| {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(part).unwrap();
                encoder.finish().unwrap()
            })
            .collect(),
        _ => bytes.to_vec(),
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) {
    std::fs::write(directory.join(name), packed(name, bytes)).unwrap();
}

fn drain(reader: &mut BlockReader, limit: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut buffer = Vec::new();
    let mut positions = reader.positions();
    while seen.len() < limit
        && let Some(block) = reader.next(buffer).unwrap()
    {
        seen.push((block.number, block.partition, block.offset, block.end_offset, block.bytes.clone()));
        buffer = block.bytes;
        reader.take_moved(|partition, position| positions[partition] = position);
        assert_eq!(shown(&positions), shown(&reader.positions()), "every partition that has moved is reported");
    }
    seen
}

fn rows(partitions: &[Partition], positions: &[Position]) -> Vec<PositionRow> {
    partitions
        .iter()
        .zip(positions)
        .map(|(partition, position)| PositionRow {
            offset: position.offset,
            ended: position.ended,
            file_bytes: partition.file_bytes,
            ..PositionRow::at_start(partition.name.clone(), position.fingerprint())
        })
        .collect()
}

fn shown(positions: &[Position]) -> Vec<(u64, bool, Digest)> {
    positions.iter().map(|position| (position.offset, position.ended, position.fingerprint())).collect()
}

/// The order according to its definition, computed from the whole content.
fn expected(contents: &[Vec<u8>], format: &InputFormat, grid: Grid, max_record_bytes: u64) -> Vec<Seen> {
    let mut blocks = BTreeMap::new();
    for (index, content) in contents.iter().enumerate() {
        let mut ends = Vec::new();
        let (mut quoted, mut field_start) = (false, true);
        for (at, byte) in content.iter().enumerate() {
            let is_csv = matches!(format, InputFormat::Csv { .. });
            if is_csv && *byte == b'"' && (quoted || field_start || content[at - 1] == b'"') {
                quoted = !quoted;
            }
            if *byte == b'\n' && !quoted {
                ends.push(at + 1);
            }
            field_start = *byte == b'\n' || *byte == b',';
        }
        if ends.last().copied().unwrap_or(0) < content.len() {
            ends.push(content.len());
        }
        let mut start = 0;
        for (record, end) in ends.iter().enumerate() {
            let is_header = matches!(format, InputFormat::Csv { .. }) && record == 0;
            if !is_header {
                let cell = start as u64 / grid.block_bytes;
                let block: &mut Vec<std::ops::Range<usize>> =
                    blocks.entry((index / grid.lane_count, cell, index)).or_default();
                block.push(start..*end);
            }
            start = *end;
        }
    }
    let seen = blocks.into_iter().enumerate().map(|(number, ((_, _, index), records))| {
        let (start, end) = (records[0].start, records[records.len() - 1].end);
        let last = &records[records.len() - 1];
        let kept = last.end.min(last.start + max_record_bytes as usize + 2);
        (number as u64, index as u32, start as u64, end as u64, contents[index][start..kept].to_vec())
    });
    seen.collect()
}

/// Reads `contents` whole, then stops after each number of blocks in turn and resumes, also twice.
fn check(contents: &[Vec<u8>], ending: &str, format: InputFormat, grid: Grid, max_record_bytes: u64) {
    let directory = tempfile::tempdir().unwrap();
    for (index, content) in contents.iter().enumerate() {
        write(directory.path(), &format!("{index:02}{ending}"), content);
    }
    let pattern = format!("*{ending}");
    let input = spec(format.clone(), &[&pattern], max_record_bytes);
    let partitions: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let open = |start: &[PositionRow], number| {
        BlockReader::with_grid(&input, partitions.clone(), start, number, grid, true).unwrap()
    };
    let whole = drain(&mut open(&[], 0), usize::MAX);
    assert_eq!(whole, expected(contents, &format, grid, max_record_bytes));
    for stop in 0..=whole.len() {
        let mut first = open(&[], 0);
        assert_eq!(drain(&mut first, stop), whole[..stop]);
        let positions = first.positions();
        let mut second = open(&rows(&partitions, &positions), stop as u64);
        assert_eq!(second.next_number(), stop as u64);
        let again = rows(&partitions, &second.positions());
        let between = 2.min(whole.len() - stop);
        assert_eq!(drain(&mut second, between), whole[stop..stop + between], "stopped after {stop}");
        drain(&mut first, between);
        if between > 0 {
            assert_eq!(shown(&second.positions()), shown(&first.positions()));
        }
        let mut third = open(&rows(&partitions, &second.positions()), (stop + between) as u64);
        assert_eq!(drain(&mut third, usize::MAX), whole[stop + between..]);
        assert!(third.positions().iter().all(|position| position.ended));
        assert_eq!(drain(&mut open(&again, stop as u64), usize::MAX), whole[stop..]);
    }
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![5 => 0usize..12, 1 => 0usize..90].prop_map(|length| vec![b'x'; length]);
    (proptest::collection::vec(line, 0..12), any::<bool>()).prop_map(|(lines, has_end)| {
        let mut bytes = lines.join(&b'\n');
        if has_end && !bytes.is_empty() {
            bytes.push(b'\n');
        }
        bytes
    })
}

fn csv() -> impl Strategy<Value = Vec<u8>> {
    let field = proptest::sample::select(vec!["", "x", "abcdefgh", "\"a\nb\"", "\"\n\n\"\"\n,\"", "\"q\"", "y\"z"]);
    let row = (field.clone(), field).prop_map(|(a, b)| format!("{a},{b}\n"));
    (proptest::collection::vec(row, 0..10), any::<bool>()).prop_map(|(rows, has_header)| {
        let header = if has_header || !rows.is_empty() { "\"a\n1\",b\n" } else { "" };
        format!("{header}{}", rows.concat()).into_bytes()
    })
}

fn grids() -> impl Strategy<Value = Grid> {
    (1u64..40, 1usize..4).prop_map(|(block_bytes, lane_count)| Grid { block_bytes, lane_count })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_resumed_reader_continues_exactly_like_an_undisturbed_one(
        contents in proptest::collection::vec(lines(), 1..6),
        grid in grids(),
        max_record_bytes in prop_oneof![Just(1u64 << 20), 1u64..30],
        ending in proptest::sample::select(vec![".jsonl", ".jsonl.gz", ".jsonl.zst"]),
    ) {
        check(&contents, ending, InputFormat::Json, grid, max_record_bytes);
    }

    #[test]
    fn that_holds_for_csv_with_line_ends_in_quotes(
        contents in proptest::collection::vec(csv(), 1..5),
        grid in grids(),
        max_record_bytes in prop_oneof![Just(1u64 << 20), 8u64..20],
        ending in proptest::sample::select(vec![".csv", ".csv.gz", ".csv.zst"]),
    ) {
        check(&contents, ending, InputFormat::Csv { delimiter: b',' }, grid, max_record_bytes);
    }
}

/// Reads `stop` blocks of `name` with the content `before`, makes its content `after`, and resumes.
fn resume_over(name: &str, before: &[u8], stop: usize, after: Option<&[u8]>) -> Result<Vec<Seen>, InputError> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), name, before);
    let format = if name.contains(".csv") { InputFormat::Csv { delimiter: b',' } } else { InputFormat::Json };
    let input = spec(format, &[name], 1 << 20);
    let grid = Grid { block_bytes: 8, lane_count: 2 };
    let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let mut reader = BlockReader::with_grid(&input, listed.clone(), &[], 0, grid, true).unwrap();
    drain(&mut reader, stop);
    let rows = rows(&listed, &reader.positions());
    match after {
        Some(after) => {
            write(directory.path(), name, after);
            let listed: Arc<[Partition]> = partitions(&input, directory.path())?.into();
            let mut reader = BlockReader::with_grid(&input, listed, &rows, stop as u64, grid, true)?;
            Ok(drain(&mut reader, usize::MAX))
        }
        None => BlockReader::with_grid(&input, Arc::new([]), &rows, stop as u64, grid, true).map(|_| vec![]),
    }
}

#[test]
fn an_input_that_is_not_the_one_that_was_read_is_rejected() {
    let before = b"aaaaaaa\nbbbbbbb\nccccccc\n";
    for name in ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.csv", "x.csv.gz"] {
        for stop in [1, 2, 3] {
            let same = resume_over(name, before, stop, Some(before)).unwrap();
            assert_eq!(
                same.first().map(|seen| seen.0),
                resume_over(name, before, 0, Some(before)).unwrap().get(stop).map(|seen| seen.0)
            );
            let changed = resume_over(name, before, stop, Some(b"aaaaaaa\nbbXbbbb\nccccccc\n"));
            let changes_what_was_read = stop >= 2 || name.contains(".csv");
            assert_eq!(matches!(changed, Err(InputError::Changed { .. })), changes_what_was_read, "{name} {stop}");
            let gone = resume_over(name, before, stop, None);
            assert!(matches!(gone, Err(InputError::Gone { offset: 8.., .. })), "{name} {stop}");
        }
        let shrunk = resume_over(name, before, 2, Some(b"aaaaaaa\n"));
        assert!(matches!(shrunk, Err(InputError::Shrunk { offset: 16.., found: 8, .. })), "{name}: {shrunk:?}");
        // The file still has all bytes that were read, and nothing else.
        let cut = if name.contains(".csv") { &before[..] } else { &before[..16] };
        assert_eq!(resume_over(name, before, 2, Some(cut)).unwrap(), [], "{name}");
    }
}

#[test]
fn what_has_grown_since_it_ended_is_read_on_if_its_last_line_was_whole() {
    for name in ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"] {
        let seen = resume_over(name, b"aaaaaaa\nbbb\n", 2, Some(b"aaaaaaa\nbbb\nccc\nddd\n")).unwrap();
        let bytes: Vec<_> = seen.iter().map(|seen| (seen.0, seen.2, seen.4.as_slice())).collect();
        assert_eq!(bytes, [(2, 12, &b"ccc\n"[..]), (3, 16, &b"ddd\n"[..])], "{name}");
        let torn = resume_over(name, b"aaaaaaa\nbbb", 2, Some(b"aaaaaaa\nbbbb\n"));
        assert!(matches!(torn, Err(InputError::Lengthened { offset: 11, .. })), "{name}: {torn:?}");
        let whole = resume_over(name, b"aaaaaaa\nbbb", 2, Some(b"aaaaaaa\nbbb\nccc\n")).unwrap();
        // The line end belongs to the line that was read: by itself it would be an empty line.
        assert_eq!(whole.iter().flat_map(|seen| seen.4.clone()).collect::<Vec<_>>(), b"ccc\n", "{name}");
    }
    // A header alone, and an empty file.
    assert_eq!(resume_over("x.csv", b"a,b\n", 9, Some(b"a,b\n1,2\n")).unwrap().len(), 1);
    assert_eq!(resume_over("x.csv", b"", 9, Some(b"a,b\n1,2\n")).unwrap().len(), 1);
    assert_eq!(resume_over("x.jsonl", b"", 9, Some(b"{}\n")).unwrap().len(), 1);
}

#[test]
fn a_new_partition_is_read_from_its_beginning() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "b.jsonl", b"{}\n");
    let input = spec(InputFormat::Json, &["*.jsonl"], 100);
    let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let mut reader = BlockReader::new(&input, listed.clone(), &[], 0).unwrap();
    assert_eq!(drain(&mut reader, usize::MAX).len(), 1);
    let rows = rows(&listed, &reader.positions());
    write(directory.path(), "a.jsonl", b"[]\n");
    let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let mut reader = BlockReader::new(&input, listed, &rows, 1).unwrap();
    assert_eq!(drain(&mut reader, usize::MAX), [(1, 0, 0, 3, b"[]\n".to_vec())]);
}

#[test]
fn blocks_have_the_number_of_their_task_partition_and_of_their_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.jsonl", b"{}\n");
    write(directory.path(), "b.jsonl", b"{}\n");
    let input = spec(InputFormat::Json, &["*.jsonl"], 100);
    let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let numbers = |task_numbers: Option<Vec<u32>>| {
        let reader = BlockReader::new(&input, listed.clone(), &[], 0).unwrap();
        let mut reader = reader.with_task_numbers(task_numbers);
        let mut numbers = Vec::new();
        while let Some(block) = reader.next(Vec::new()).unwrap() {
            numbers.push((block.partition, block.stream));
        }
        numbers
    };
    assert_eq!(numbers(None), [(0, 0), (1, 1)]);
    assert_eq!(numbers(Some(vec![7, 5])), [(7, 0), (5, 1)]);
}

#[test]
fn a_giant_record_takes_no_memory_and_is_skipped_exactly() {
    let directory = tempfile::tempdir().unwrap();
    let giant = vec![b'x'; 40 << 20];
    let content = [b"{}\n", giant.as_slice(), b"\n{\"a\":1}\n"].concat();
    for name in ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"] {
        write(directory.path(), name, &content);
        let input = spec(InputFormat::Json, &[name], 1000);
        let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
        let mut reader = BlockReader::new(&input, listed.clone(), &[], 0).unwrap();
        let block = reader.next(Vec::new()).unwrap().unwrap();
        assert_eq!((block.bytes.len(), block.end_offset), (3 + 1002, 3 + giant.len() as u64 + 1));
        assert!(block.bytes.capacity() < 2 << 20);
        let mut seen = Vec::new();
        let mut extractor = crate::input::record::extractor::Extractor::new(&input.format, &[], 1000);
        extractor.each(&block, |place, record| {
            seen.push((place.at, record.err().map(|bad| bad.reason)));
            true
        });
        assert_eq!(seen, [(0, None), (3, Some("is longer than 1000 bytes".to_owned()))]);
        let rows = rows(&listed, &reader.positions());
        let mut reader = BlockReader::new(&input, listed, &rows, 1).unwrap();
        let rest = drain(&mut reader, usize::MAX);
        assert_eq!(rest, [(1, 0, block.end_offset, content.len() as u64, b"{\"a\":1}\n".to_vec())]);
    }
}

#[test]
fn what_cannot_be_unpacked_is_an_error_with_its_offset() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["x.jsonl.gz", "x.jsonl.zst"] {
        let content: Vec<u8> = (0..100_000u32).flat_map(|i| format!("{{\"a\":{i}}}\n").into_bytes()).collect();
        let whole = packed(name, &content);
        let input = spec(InputFormat::Json, &[name], 1000);
        let mut flipped = whole.clone();
        let middle = whole.len() / 3;
        flipped[middle] ^= 0x55;
        for broken in
            [&whole[..whole.len() - 3], &whole[..whole.len() / 4], &flipped, &[&whole[..], b"garbage"].concat()]
        {
            std::fs::write(directory.path().join(name), broken).unwrap();
            let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
            let mut reader = BlockReader::new(&input, listed, &[], 0).unwrap();
            let error = loop {
                match reader.next(Vec::new()) {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("{name}: {} bytes were read to their end", broken.len()),
                    Err(error) => break error,
                }
            };
            assert!(matches!(&error, InputError::Read { partition, .. } if partition == name), "{error:?}");
        }
    }
}

#[test]
fn an_unusable_header_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let endless = format!("\"{}", "a".repeat(5000));
    for (content, reason) in [
        ("a,a\n1,2\n", "column `a` appears twice in the header line"),
        ("b\n1\n", "the header line has no column `a`, it has `b`"),
        ("\n1\n", "the header line is empty"),
        (endless.as_str(), "the header line is longer than 1000 bytes"),
    ] {
        write(directory.path(), "x.csv", content.as_bytes());
        let input = spec(InputFormat::Csv { delimiter: b',' }, &["x.csv"], 1000);
        let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
        let grid = Grid { block_bytes: 1000, lane_count: 1 };
        let columns = Columns { required: vec![FieldPath::of("a")], ..Columns::default() };
        let reader = BlockReader::with_grid(&input, listed, &[], 0, grid, true).unwrap();
        let error = reader.with_columns(columns).next(Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), format!("input `x.csv`: {reason}"));
    }
    write(directory.path(), "x.csv", b"\xEF\xBB\xBF\"a\nb\",c\r\n1,2\r\n");
    let input = spec(InputFormat::Csv { delimiter: b',' }, &["x.csv"], 1000);
    let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
    let block = BlockReader::new(&input, listed, &[], 0).unwrap().next(Vec::new()).unwrap().unwrap();
    assert_eq!(block.header.unwrap().names, ["a\nb", "c"]);
    assert_eq!((block.offset, block.bytes.as_slice()), (12, &b"1,2\r\n"[..]));
}
