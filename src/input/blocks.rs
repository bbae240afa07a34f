//! The one order of the input's blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use super::fingerprint::{Running, is_plain_file, sampled};
use super::lane::{Lane, Rules, open_regular};
use super::{BLOCK_BYTES, Block, InputError, LANES, Partition, Place, Source, Stand};
use crate::format::positions::PositionRow;
use crate::job::InputSpec;

/// Hands out the blocks of the partitions in the one order.
///
/// A block is the records that begin in one cell of a grid of [`BLOCK_BYTES`], and a partition's cells come one after
/// another. The partitions, in their order, are taken in groups of [`LANES`]; a group is read to its end before the
/// next begins. Within a group the next block is always that of the lowest cell, and of two partitions in the same cell
/// that of the first. So the order is that of (group, cell, partition): a function of the input alone, and what comes
/// next follows from the positions alone. A cell in which no record begins gives no block and takes no number.
pub struct BlockReader {
    partitions: Arc<[Partition]>,
    rules: Rules,
    lane_count: usize,
    states: Vec<State>,
    /// The group that is being read, or the one before, when it has ended.
    group: usize,
    next_number: u64,
    /// The partitions that may stand elsewhere since [`BlockReader::take_moved`] was called.
    moved: Vec<usize>,
    /// Partitions that have ended since the last block was handed out.
    released: Vec<u32>,
    /// The partitions, each for itself.
    shared: Vec<Arc<Partition>>,
    /// Records before the position of each at the start, and their largest time.
    records: Vec<(u64, Option<i64>)>,
}

/// How far one partition was read.
struct State {
    /// As [`Place::offset`].
    offset: u64,
    ended: bool,
    /// As [`Place::running`], when there is no lane.
    running: Option<Running>,
    /// While its group is read.
    lane: Option<Lane>,
}

/// The shape of the order, which tests make small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) block_bytes: u64,
    pub(super) lane_count: usize,
}

impl std::fmt::Debug for BlockReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let next_number = self.next_number;
        f.debug_struct("BlockReader").field("next_number", &next_number).finish_non_exhaustive()
    }
}

impl BlockReader {
    /// Begins where `start` says, a row a partition or fewer: a partition without a row is read from its beginning.
    ///
    /// `next_number` is the number of the first block. Proves that what lies before each position is what the
    /// checkpoint has read, and fails when it is not. A file that has grown since it had ended is read on, but only if
    /// its last line had an end: else that line was counted before it was whole, and the file has
    /// [`InputError::Changed`]. The order goes on as if the run had not stopped.
    pub fn new(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
    ) -> Result<BlockReader, InputError> {
        let grid = Grid { block_bytes: BLOCK_BYTES, lane_count: LANES };
        BlockReader::with_grid(input, partitions, start, next_number, grid)
    }

    pub(super) fn with_grid(
        input: &InputSpec,
        partitions: Arc<[Partition]>,
        start: &[PositionRow],
        next_number: u64,
        grid: Grid,
    ) -> Result<BlockReader, InputError> {
        let rules = Rules {
            format: input.format.clone(),
            max_record_bytes: input.max_record_bytes,
            block_bytes: grid.block_bytes,
        };
        let by_name: HashMap<&str, usize> =
            partitions.iter().enumerate().map(|(index, partition)| (partition.name.as_str(), index)).collect();
        let mut states: Vec<State> =
            partitions.iter().map(|_| State { offset: 0, ended: false, running: None, lane: None }).collect();
        let mut records = vec![(0, None); partitions.len()];
        for row in start {
            let Some(&index) = by_name.get(row.partition.as_str()) else {
                // A rotated file that was read to its end may go.
                if row.ended && row.generation_of.is_some() {
                    continue;
                }
                return Err(InputError::Gone { partition: row.partition.clone(), offset: row.offset });
            };
            states[index] = State::proven(&partitions[index], &rules, row)?;
            records[index] = (row.record, row.event_time);
        }
        let shared = partitions.iter().cloned().map(Arc::new).collect();
        Ok(BlockReader {
            partitions,
            rules,
            lane_count: grid.lane_count,
            states,
            group: 0,
            next_number,
            moved: Vec::new(),
            released: Vec::new(),
            shared,
            records,
        })
    }

    /// Returns the next block, in `buffer` if it is large enough, or nothing at the end of the input.
    ///
    /// It is quickest when `buffer` is an earlier block's bytes as they were.
    pub fn next(&mut self, buffer: Vec<u8>) -> Result<Option<Block>, InputError> {
        loop {
            let first = self.group * self.lane_count;
            if first >= self.states.len() {
                return Ok(None);
            }
            let after = self.states.len().min(first + self.lane_count);
            let mut lowest: Option<(u64, usize)> = None;
            for index in first..after {
                if !self.states[index].ended && self.states[index].lane.is_none() {
                    self.moved.push(index);
                }
                let had_ended = self.states[index].ended;
                let lane = self.states[index].open(&self.partitions[index], &self.rules)?;
                if lane.is_none() && !had_ended {
                    self.released.push(index as u32);
                }
                if let Some(lane) = lane
                    && lowest.is_none_or(|(cell, _)| lane.cell() < cell)
                {
                    lowest = Some((lane.cell(), index));
                }
            }
            match lowest {
                None => self.group += 1,
                Some((_, index)) => return self.next_of(index, buffer).map(Some),
            }
        }
    }

    fn next_of(&mut self, index: usize, buffer: Vec<u8>) -> Result<Block, InputError> {
        let state = &mut self.states[index];
        let lane = state.lane.as_mut().expect("the lane was opened when the partition was chosen");
        let piece = lane.next_piece(buffer)?;
        let header = lane.header();
        let has_more = lane.has_more()?;
        state.offset = piece.end_offset;
        if !has_more {
            state.close();
            self.released.push(index as u32);
        }
        self.moved.push(index);
        let number = self.next_number;
        self.next_number += 1;
        Ok(Block {
            number,
            partition: u32::try_from(index).expect("there are fewer partitions than 2^32"),
            stream: u32::try_from(index).expect("there are fewer partitions than 2^32"),
            offset: piece.offset,
            bytes: piece.bytes,
            end_offset: piece.end_offset,
            header,
            released: std::mem::take(&mut self.released),
        })
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns where each partition stands before the next block.
    pub fn places(&self) -> Vec<Place> {
        (0..self.states.len()).map(|index| self.place(index)).collect()
    }

    /// As [`BlockReader::places`], with all that a position says.
    pub fn stands(&self) -> Vec<Stand> {
        (0..self.states.len()).map(|index| self.stand(index)).collect()
    }

    /// Hands to `visit` where those partitions stand before the next block that have moved since the last call.
    pub fn take_moved(&mut self, mut visit: impl FnMut(usize, Stand)) {
        for index in std::mem::take(&mut self.moved) {
            visit(index, self.stand(index));
        }
    }

    fn stand(&self, index: usize) -> Stand {
        let partition = Arc::clone(&self.shared[index]);
        let (record, event_time) = self.records[index];
        Stand { partition, generation_of: None, inode: None, place: self.place(index), record, event_time }
    }

    fn place(&self, index: usize) -> Place {
        let state = &self.states[index];
        // A header that was read, but with no record behind it handed out, is not yet before the offset.
        let running = match &state.lane {
            _ if state.offset == 0 => None,
            Some(lane) => Some(lane.running().clone()),
            None => state.running.clone(),
        };
        let running = Some(running.unwrap_or_else(|| Running::new(&self.partitions[index])));
        Place { offset: state.offset, ended: state.ended, running }
    }
}

impl State {
    /// Takes up where `row` says, after it was proven that the bytes before it are the same.
    fn proven(partition: &Partition, rules: &Rules, row: &PositionRow) -> Result<State, InputError> {
        let changed = || InputError::Changed { partition: partition.name.clone(), offset: row.offset };
        let mut state = State { offset: row.offset, ended: false, running: None, lane: None };
        if row.offset == 0 && !row.ended {
            // Nothing was read: nothing is to be proven, and the file need not be opened yet.
            return Ok(state);
        }
        let (has_more, last_byte, next_byte) = match &partition.source {
            Source::File(path) if is_plain_file(partition) => {
                let read = |source| InputError::Read { partition: partition.name.clone(), offset: row.offset, source };
                let mut file = open_regular(partition, path)?;
                let found = file.metadata().map_err(read)?.len();
                if found < row.offset {
                    return Err(InputError::Shrunk { partition: partition.name.clone(), offset: row.offset, found });
                }
                let running = sampled(&mut file, row.offset).map_err(read)?;
                if running.clone().finish() != row.fingerprint {
                    return Err(changed());
                }
                state.running = Some(running);
                let last_byte = match row.offset.checked_sub(1) {
                    None => None,
                    Some(before) => byte_at(&mut file, before).map_err(read)?,
                };
                (found > row.offset, last_byte, byte_at(&mut file, row.offset).map_err(read)?)
            }
            _ => {
                let mut lane = Lane::open(partition, rules, row.offset)?;
                let running = if row.offset == 0 { Running::new(partition) } else { lane.running().clone() };
                if running.finish() != row.fingerprint {
                    return Err(changed());
                }
                let (has_more, last_byte, next_byte) = (lane.has_more()?, lane.last_byte(), lane.next_byte());
                // What can only be read from its beginning is not opened twice.
                state.lane = Some(lane);
                (has_more, last_byte, next_byte)
            }
        };
        // The last line was counted when it had no end. It was whole only if what came behind it is its end.
        let was_whole = last_byte.is_none_or(|byte| byte == b'\n') || matches!(next_byte, Some(b'\n' | b'\r'));
        if row.ended && has_more && !was_whole {
            return Err(InputError::Lengthened { partition: partition.name.clone(), offset: row.offset });
        }
        if !has_more {
            state.close();
        }
        Ok(state)
    }

    /// Returns the lane, which is opened if need be; nothing when the partition has ended.
    fn open(&mut self, partition: &Partition, rules: &Rules) -> Result<Option<&Lane>, InputError> {
        if self.ended {
            return Ok(None);
        }
        if self.lane.is_none() {
            let mut lane = Lane::open(partition, rules, self.offset)?;
            if let Some(running) = self.running.take() {
                lane.set_running(running);
            }
            let has_more = lane.has_more()?;
            self.lane = Some(lane);
            if !has_more {
                self.close();
            }
        }
        Ok(self.lane.as_ref())
    }

    /// Ends the partition.
    fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.offset = lane.offset();
            self.running = Some(lane.running().clone());
        }
        self.ended = true;
    }
}

/// Returns the byte at `offset`, unless the file ends there.
fn byte_at(file: &mut File, offset: u64) -> io::Result<Option<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut byte = [0];
    Ok((file.read(&mut byte)? == 1).then_some(byte[0]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;
    use crate::input::{fingerprint, partitions};
    use crate::job::{InputFormat, OnError};
    use crate::values::digest::Digest;

    /// What a block is to a test: number, partition, offset, end and bytes.
    type Seen = (u64, u32, u64, u64, Vec<u8>);

    pub(crate) fn spec(format: InputFormat, files: &[&str], max_record_bytes: u64) -> InputSpec {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        InputSpec { files, format, types: vec![], on_error: OnError::Fail, max_record_bytes, follow: false }
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
        let mut places = reader.places();
        while seen.len() < limit
            && let Some(block) = reader.next(buffer).unwrap()
        {
            seen.push((block.number, block.partition, block.offset, block.end_offset, block.bytes.clone()));
            buffer = block.bytes;
            reader.take_moved(|partition, stand| places[partition] = stand.place);
            assert_eq!(shown(&places), shown(&reader.places()), "every partition that has moved is told");
        }
        seen
    }

    fn rows(partitions: &[Partition], places: &[Place]) -> Vec<PositionRow> {
        partitions
            .iter()
            .zip(places)
            .map(|(partition, place)| PositionRow {
                partition: partition.name.clone(),
                task: None,
                cut: 0,
                offset: place.offset,
                record: 0,
                ended: place.ended,
                file_bytes: partition.file_bytes,
                fingerprint: fingerprint(partition, place).unwrap(),
                event_time: None,
                watermark: None,
                generation_of: None,
                inode: None,
            })
            .collect()
    }

    fn shown(places: &[Place]) -> Vec<(u64, bool, Option<Digest>)> {
        places.iter().map(|place| (place.offset, place.ended, place.running.clone().map(Running::finish))).collect()
    }

    /// The order as its definition says, told from the whole content.
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
            BlockReader::with_grid(&input, partitions.clone(), start, number, grid).unwrap()
        };
        let whole = drain(&mut open(&[], 0), usize::MAX);
        assert_eq!(whole, expected(contents, &format, grid, max_record_bytes));
        for stop in 0..=whole.len() {
            let mut first = open(&[], 0);
            assert_eq!(drain(&mut first, stop), whole[..stop]);
            let places = first.places();
            let mut second = open(&rows(&partitions, &places), stop as u64);
            assert_eq!(second.next_number(), stop as u64);
            let again = rows(&partitions, &second.places());
            let between = 2.min(whole.len() - stop);
            assert_eq!(drain(&mut second, between), whole[stop..stop + between], "stopped after {stop}");
            drain(&mut first, between);
            if between > 0 {
                assert_eq!(shown(&second.places()), shown(&first.places()));
            }
            let mut third = open(&rows(&partitions, &second.places()), (stop + between) as u64);
            assert_eq!(drain(&mut third, usize::MAX), whole[stop + between..]);
            assert!(third.places().iter().all(|place| place.ended));
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
        fn a_resumed_reader_goes_on_exactly_as_an_undisturbed_one(
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
        let mut reader = BlockReader::with_grid(&input, listed.clone(), &[], 0, grid).unwrap();
        drain(&mut reader, stop);
        let rows = rows(&listed, &reader.places());
        match after {
            Some(after) => {
                write(directory.path(), name, after);
                let listed: Arc<[Partition]> = partitions(&input, directory.path())?.into();
                let mut reader = BlockReader::with_grid(&input, listed, &rows, stop as u64, grid)?;
                Ok(drain(&mut reader, usize::MAX))
            }
            None => BlockReader::with_grid(&input, Arc::new([]), &rows, stop as u64, grid).map(|_| vec![]),
        }
    }

    #[test]
    fn an_input_that_is_not_the_one_that_was_read_is_refused() {
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
            // All that was read is there, and what was not read is not.
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
            assert_eq!(whole.iter().flat_map(|seen| seen.4.clone()).collect::<Vec<_>>(), b"\nccc\n", "{name}");
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
        let rows = rows(&listed, &reader.places());
        write(directory.path(), "a.jsonl", b"[]\n");
        let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
        let mut reader = BlockReader::new(&input, listed, &rows, 1).unwrap();
        assert_eq!(drain(&mut reader, usize::MAX), [(1, 0, 0, 3, b"[]\n".to_vec())]);
    }

    #[test]
    fn a_giant_record_takes_no_memory_and_is_passed_over_exactly() {
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
            let mut extractor = crate::input::record::Extractor::new(&input.format, &[], 1000);
            extractor.each(&block, |place, record| {
                seen.push((place.at, record.err().map(|bad| bad.reason)));
                true
            });
            assert_eq!(seen, [(0, None), (3, Some("is longer than 1000 bytes".to_owned()))]);
            let rows = rows(&listed, &reader.places());
            let mut reader = BlockReader::new(&input, listed, &rows, 1).unwrap();
            let rest = drain(&mut reader, usize::MAX);
            assert_eq!(rest, [(1, 0, block.end_offset, content.len() as u64, b"{\"a\":1}\n".to_vec())]);
        }
    }

    #[test]
    fn what_can_not_be_unpacked_is_an_error_with_its_place() {
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
    fn a_header_that_can_not_be_used_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let endless = format!("\"{}", "a".repeat(5000));
        for (content, reason) in [
            ("a,a\n1,2\n", "`a` is there twice in the header line"),
            ("a,,c\n", "column 2 has no name in the header line"),
            ("\n1\n", "column 1 has no name in the header line"),
            (endless.as_str(), "the header line is longer than 1000 bytes"),
        ] {
            write(directory.path(), "x.csv", content.as_bytes());
            let input = spec(InputFormat::Csv { delimiter: b',' }, &["x.csv"], 1000);
            let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
            let grid = Grid { block_bytes: 1000, lane_count: 1 };
            let error = BlockReader::with_grid(&input, listed, &[], 0, grid).unwrap().next(Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), format!("input `x.csv`: {reason}"));
        }
        write(directory.path(), "x.csv", b"\xEF\xBB\xBF\"a\nb\",c\r\n1,2\r\n");
        let input = spec(InputFormat::Csv { delimiter: b',' }, &["x.csv"], 1000);
        let listed: Arc<[Partition]> = partitions(&input, directory.path()).unwrap().into();
        let block = BlockReader::new(&input, listed, &[], 0).unwrap().next(Vec::new()).unwrap().unwrap();
        assert_eq!(block.header.unwrap().names, ["a\nb", "c"]);
        assert_eq!((block.offset, block.bytes.as_slice()), (12, &b"1,2\r\n"[..]));
    }
}
