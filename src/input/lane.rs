//! One partition while it is read: from bytes to whole records.

use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use memchr::{memchr, memrchr};

use crate::input::block::{Block, BlockNumbers};
use crate::input::error::InputError;
use crate::input::object::ObjectReader;
use crate::input::partition::Partition;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::csv::ends::CsvEnds;
use crate::input::record::header::Header;
use crate::input::record::line::{BYTE_ORDER_MARK, trim_line_end};
use crate::input::rules::BlockRules;
use crate::input::stream;
use crate::input::stream::Stream;
use crate::job::model::InputFormat;
use crate::values::digest::Digest;

/// What finds the ends of records.
enum Ends {
    /// At each `\n`.
    Lines,
    /// At each `\n` outside of quotes.
    Csv(CsvEnds),
}

/// A partition that is being read. Its state between blocks is a function of its bytes and the offset.
pub(super) struct Lane {
    partition: Partition,
    rules: BlockRules,
    stream: Stream,
    /// Whether the end of the stream was reached.
    is_drained: bool,
    /// The bytes that were read and not handed out, from `offset`.
    carry: Vec<u8>,
    /// Where the next record begins.
    offset: u64,
    ends: Ends,
    header: Option<Arc<Header>>,
    /// The digest of the bytes before `offset`.
    prefix: PrefixDigest,
    /// The byte before `offset`, if it was read on the way there.
    last_byte: Option<u8>,
    /// The size of an uncompressed file or object when it was opened.
    opened_bytes: u64,
    /// Whether `offset` is in the text of the header line.
    is_in_header: bool,
    /// Whether `offset` is inside quotes, as far as the bytes on the way there were read.
    is_in_quotes: bool,
    /// Whether a block may end before its cell does, when standard input pauses.
    may_pause: bool,
    /// Whether standard input paused after the last block, so that it is not known whether more follows.
    is_paused: bool,
}

/// How long a block of whole records waits for more of standard input.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the last two records of a block begin. `last` is the end of the bytes if no further record has begun yet.
#[derive(Debug, Clone, Copy, Default)]
struct Starts {
    last: usize,
    before: usize,
}

impl Lane {
    /// Opens `partition` at `offset`, where a record begins. At 0 the header line comes first.
    pub(super) fn open(partition: &Partition, rules: &BlockRules, offset: u64) -> Result<Lane, InputError> {
        Lane::over(partition, rules, stream::open(partition)?, offset)
    }

    /// Opens an object of which reading has begun, at its beginning.
    pub(super) fn open_prepared(
        partition: &Partition,
        rules: &BlockRules,
        object: ObjectReader,
    ) -> Result<Lane, InputError> {
        Lane::over(partition, rules, stream::of_object(partition, object)?, 0)
    }

    /// Returns whether `offset` of the CSV file `partition` is inside quotes. Reads everything before it.
    pub(super) fn ends_in_quotes(partition: &Partition, rules: &BlockRules, offset: u64) -> Result<bool, InputError> {
        let mut lane = Lane::open(partition, rules, 0)?;
        if lane.offset < offset {
            lane.read_to(offset)?;
        }
        Ok(lane.is_in_quotes)
    }

    /// Opens the partition like [`Lane::open`], with a stream that is at its beginning.
    fn over(partition: &Partition, rules: &BlockRules, stream: Stream, offset: u64) -> Result<Lane, InputError> {
        let mut lane = Lane {
            partition: partition.clone(),
            rules: rules.clone(),
            stream,
            is_drained: false,
            carry: Vec::new(),
            offset: 0,
            ends: Ends::Lines,
            header: None,
            prefix: PrefixDigest::new(partition),
            last_byte: None,
            opened_bytes: 0,
            is_in_header: false,
            is_in_quotes: false,
            may_pause: false,
            is_paused: false,
        };
        lane.opened_bytes = match &lane.stream {
            Stream::Plain(file) => file.metadata().map_err(|source| lane.read_error(0, source))?.len(),
            Stream::Object(object) => object.bytes(),
            Stream::Pipe(_) | Stream::Packed(..) | Stream::Forward(_) => 0,
        };
        if let InputFormat::Csv { delimiter } = rules.format {
            lane.take_header(delimiter, offset)?;
            lane.ends = Ends::Csv(CsvEnds::new(delimiter));
        }
        if offset > 0 {
            lane.seek(offset)?;
        }
        Ok(lane)
    }

    /// Takes the header line, unless the partition is empty. If `offset` is in it, takes it only up to there: it was the
    /// whole partition when it was read, and the rest was appended later.
    fn take_header(&mut self, delimiter: u8, offset: u64) -> Result<(), InputError> {
        let refuse = |partition: &Partition, reason| InputError::Header { partition: partition.name.clone(), reason };
        while self.carry.len() < BYTE_ORDER_MARK.len() && self.read_chunk()? {}
        let mut from = if self.carry.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
        let mut ends = CsvEnds::new(delimiter);
        let end = loop {
            if let Some(end) = ends.next_end(&self.carry, from) {
                break end;
            }
            from = self.carry.len();
            if from as u64 > self.rules.kept_bytes() {
                let reason = format!("the header line is longer than {} bytes", self.rules.max_record_bytes);
                return Err(refuse(&self.partition, reason));
            }
            if !self.read_chunk()? {
                break from;
            }
        };
        if end > 0 {
            let header =
                self.rules.header(&self.carry[..end], delimiter).map_err(|reason| refuse(&self.partition, reason))?;
            self.header = Some(Arc::new(header));
            let text_end = trim_line_end(&self.carry[..end]).len();
            let reached = usize::try_from(offset).ok().filter(|offset| (1..end).contains(offset));
            self.is_in_header = reached.is_some_and(|reached| reached < text_end);
            self.take(reached.unwrap_or(end));
        }
        Ok(())
    }

    /// Moves to `offset`, which is not before the header line.
    fn seek(&mut self, offset: u64) -> Result<(), InputError> {
        match &mut self.stream {
            Stream::Plain(file) => {
                let mut before = [0];
                let found = file.seek(SeekFrom::Start(offset - 1)).and_then(|_| file.read(&mut before));
                let sought = found.and_then(|length| Ok((length, file.seek(SeekFrom::Start(offset))?)));
                let (length, _) = sought.map_err(|source| self.read_error(offset, source))?;
                self.last_byte = before[..length].first().copied();
                self.carry.clear();
                self.is_drained = false;
            }
            Stream::Object(object) => {
                object.seek_to(offset - 1);
                let mut before = [0];
                let length = object.read(&mut before).map_err(|source| self.read_error(offset - 1, source))?;
                self.last_byte = before[..length].first().copied();
                self.carry.clear();
                self.is_drained = false;
            }
            Stream::Pipe(_) | Stream::Packed(..) | Stream::Forward(_) => self.read_to(offset)?,
        }
        self.offset = offset;
        Ok(())
    }

    /// Reads up to `offset`.
    fn read_to(&mut self, offset: u64) -> Result<(), InputError> {
        let mut ends = match self.rules.format {
            InputFormat::Csv { delimiter } => Some(CsvEnds::new(delimiter)),
            _ => None,
        };
        let mut scan = |bytes: &[u8]| ends.iter_mut().for_each(|ends| ends.scan(bytes));
        let carried = usize::try_from(offset - self.offset).unwrap_or(usize::MAX).min(self.carry.len());
        scan(&self.carry[..carried]);
        self.take(carried);
        let last_byte = self.prefix.read_through(&self.partition, &mut self.stream, self.offset, offset, &mut scan)?;
        self.last_byte = last_byte.or(self.last_byte);
        self.offset = offset;
        self.is_in_quotes = ends.is_some_and(|ends| ends.is_in_quotes());
        Ok(())
    }

    /// Returns whether any bytes are left. Waits if standard input pauses.
    pub(super) fn has_more(&mut self) -> Result<bool, InputError> {
        self.is_paused = false;
        Ok(!self.carry.is_empty() || self.read_chunk()?)
    }

    /// Returns whether any bytes are left after a block, or may be left because standard input pauses.
    pub(super) fn may_have_more(&mut self) -> Result<bool, InputError> {
        self.is_paused = self.may_pause && self.carry.is_empty() && !self.stream.arrives_within(PATIENCE);
        if self.is_paused { Ok(true) } else { self.has_more() }
    }

    /// Lets a block end before its cell does, when standard input pauses.
    pub(super) fn set_may_pause(&mut self, may_pause: bool) {
        self.may_pause = may_pause;
    }

    /// Returns whether standard input paused after the last block.
    pub(super) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Returns the offset at which the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the header of a CSV file.
    pub(super) fn header(&self) -> Option<&Header> {
        self.header.as_deref()
    }

    /// Returns the digest of the bytes before the offset.
    pub(super) fn prefix(&self) -> &PrefixDigest {
        &self.prefix
    }

    /// Returns the digest of a compressed file as it is stored, if all of it was read, as it was when it was listed.
    pub(super) fn stored(&self) -> Option<Digest> {
        match &self.stream {
            Stream::Packed(_, stored) => stored.of_all(self.partition.file_bytes?),
            _ => None,
        }
    }

    /// Sets the digest of the bytes before the offset, which the caller has verified. [`Lane::open`] does not read
    /// those of an uncompressed file.
    pub(super) fn set_prefix(&mut self, prefix: PrefixDigest) {
        self.prefix = prefix;
    }

    /// Returns the next `count` bytes without taking them, fewer only at the end.
    pub(super) fn peek(&mut self, count: usize) -> Result<&[u8], InputError> {
        while self.carry.len() < count && self.read_chunk()? {}
        Ok(&self.carry[..count.min(self.carry.len())])
    }

    /// Skips the next `count` bytes, which were peeked at.
    pub(super) fn skip(&mut self, count: usize) {
        self.take(count);
    }

    /// Returns the byte before the offset, if it was read on the way there.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.last_byte
    }

    /// Returns whether the offset is in the text of the header line.
    pub(super) fn is_in_header(&self) -> bool {
        self.is_in_header
    }

    /// Returns whether the offset is inside quotes, as far as the bytes on the way there were read.
    pub(super) fn is_in_quotes(&self) -> bool {
        self.is_in_quotes
    }

    /// Returns the number of the cell in which the next record begins.
    pub(super) fn cell(&self) -> u64 {
        self.offset / self.rules.block_bytes
    }

    /// Returns the block of all records that begin in the same cell as the next one, in `buffer`, or of those that
    /// arrived before standard input paused. [`Lane::has_more`] must have returned true.
    pub(super) fn next_block(&mut self, numbers: BlockNumbers, mut buffer: Vec<u8>) -> Result<Block, InputError> {
        // The record that has the last byte of the cell is the last one of the block.
        let cell_bytes = (self.cell() + 1).saturating_mul(self.rules.block_bytes) - self.offset;
        let cell_bytes = usize::try_from(cell_bytes).unwrap_or(usize::MAX);
        let mut filled = self.carry.len();
        let mut target = cell_bytes.saturating_add(self.rules.beyond_bytes()).max(filled);
        let mut scanned = 0;
        let mut starts = Starts::default();
        // A reused buffer keeps its old bytes, so that only new space has to be zeroed before it is overwritten.
        if buffer.len() < target {
            buffer.resize(target, 0);
        }
        buffer[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let continues_line = self.is_in_line();
        let end = loop {
            let pauses = self.fill(&mut buffer[..target], &mut filled)?;
            if let Some(end) = self.find_end(&buffer[..filled], scanned, cell_bytes, &mut starts) {
                break end;
            }
            if self.is_drained {
                break filled;
            }
            scanned = filled;
            if (filled - starts.last) as u64 > self.rules.kept_bytes() {
                return self.cut_block(numbers, buffer, filled, starts);
            }
            if pauses {
                match self.whole_records(&buffer[..filled], &mut starts) {
                    0 => continue,
                    end => break end,
                }
            }
            target = filled + filled.clamp(self.rules.chunk_bytes(), 1 << 20);
            if buffer.len() < target {
                buffer.resize(target, 0);
            }
        };
        self.carry.extend_from_slice(&buffer[end..filled]);
        buffer.truncate(end);
        self.prefix.update(&buffer);
        let offset = self.offset;
        self.offset += end as u64;
        self.last_byte = buffer.last().copied().or(self.last_byte);
        self.cut(&mut buffer, starts);
        Ok(Block { continues_line, ..numbers.block(offset, self.offset, buffer, self.header.clone()) })
    }

    /// Returns whether the last byte that was taken does not end a line.
    fn is_in_line(&self) -> bool {
        self.last_byte.is_some_and(|byte| byte != b'\n')
    }

    /// Cuts the last record of `bytes` if it is longer than allowed.
    fn cut(&self, bytes: &mut Vec<u8>, starts: Starts) {
        let last_start = if starts.last < bytes.len() { starts.last } else { starts.before };
        if (bytes.len() - last_start) as u64 > self.rules.kept_bytes() {
            bytes.truncate(last_start + usize::try_from(self.rules.kept_bytes()).unwrap_or(usize::MAX - last_start));
        }
    }

    /// Finishes a block whose last record is too long to keep: reads up to its end, and cuts it.
    fn cut_block(
        &mut self,
        numbers: BlockNumbers,
        mut buffer: Vec<u8>,
        filled: usize,
        starts: Starts,
    ) -> Result<Block, InputError> {
        buffer.truncate(filled);
        let continues_line = self.is_in_line();
        let offset = self.offset;
        self.offset += filled as u64;
        self.last_byte = buffer.last().copied().or(self.last_byte);
        self.prefix.update(&buffer);
        while self.has_more()? {
            let end = match &mut self.ends {
                Ends::Lines => memchr(b'\n', &self.carry).map(|at| at + 1),
                Ends::Csv(ends) => ends.next_end(&self.carry, 0),
            };
            self.take(end.unwrap_or(self.carry.len()));
            if end.is_some() {
                break;
            }
        }
        self.cut(&mut buffer, starts);
        Ok(Block { continues_line, ..numbers.block(offset, self.offset, buffer, self.header.clone()) })
    }

    /// Finds the end of the last record that begins before `cell_bytes`. The bytes before `scanned` were scanned by an
    /// earlier call.
    fn find_end(&mut self, bytes: &[u8], scanned: usize, cell_bytes: usize, starts: &mut Starts) -> Option<usize> {
        match &mut self.ends {
            Ends::Lines => {
                starts.last =
                    memrchr(b'\n', &bytes[..bytes.len().min(cell_bytes).saturating_sub(1)]).map_or(0, |at| at + 1);
                let from = scanned.max(cell_bytes - 1);
                bytes.get(from..).and_then(|rest| memchr(b'\n', rest)).map(|length| from + length + 1)
            }
            Ends::Csv(ends) => {
                let mut from = scanned;
                loop {
                    let end = ends.next_end(bytes, from)?;
                    if end >= cell_bytes {
                        return Some(end);
                    }
                    *starts = Starts { last: end, before: starts.last };
                    from = end;
                }
            }
        }
    }

    /// Returns the length of the whole records in `bytes`, of which [`Lane::find_end`] has found no end of the block, and
    /// where the last one begins. What follows them is scanned again.
    fn whole_records(&mut self, bytes: &[u8], starts: &mut Starts) -> usize {
        match &mut self.ends {
            Ends::Lines => {
                let end = memrchr(b'\n', bytes).map_or(0, |at| at + 1);
                let last = memrchr(b'\n', &bytes[..end.saturating_sub(1)]).map_or(0, |at| at + 1);
                if end > 0 {
                    *starts = Starts { last, before: last };
                }
                end
            }
            Ends::Csv(ends) => {
                if let (true, InputFormat::Csv { delimiter }) = (starts.last > 0, &self.rules.format) {
                    *ends = CsvEnds::new(*delimiter);
                }
                starts.last
            }
        }
    }

    /// Reads until `buffer` is full or the stream ends. Returns true if it pauses before, and that matters.
    fn fill(&mut self, buffer: &mut [u8], filled: &mut usize) -> Result<bool, InputError> {
        while *filled < buffer.len() && !self.is_drained {
            if self.may_pause && *filled > 0 && !self.stream.arrives_within(PATIENCE) {
                return Ok(true);
            }
            match self.stream.read_some(&mut buffer[*filled..]) {
                Ok(0) => self.drain(self.offset + *filled as u64)?,
                Ok(length) => *filled += length,
                Err(source) => return Err(self.read_error(self.offset + *filled as u64, source)),
            }
        }
        Ok(false)
    }

    /// Reads a chunk into the carry. Returns false at the end of the stream.
    fn read_chunk(&mut self) -> Result<bool, InputError> {
        if self.is_drained {
            return Ok(false);
        }
        let before = self.carry.len();
        self.carry.resize(before + self.rules.chunk_bytes(), 0);
        let result = self.stream.read_some(&mut self.carry[before..]);
        self.carry.truncate(before + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => self.drain(self.offset + before as u64)?,
            Ok(_) => {}
            Err(source) => return Err(self.read_error(self.offset + before as u64, source)),
        }
        Ok(!self.is_drained)
    }

    /// Records that the stream has ended at `end`. Fails if the file was longer when it was opened: its last line may have
    /// been cut, even where the end looks like that of a line.
    fn drain(&mut self, end: u64) -> Result<(), InputError> {
        self.is_drained = true;
        if end >= self.opened_bytes {
            return Ok(());
        }
        Err(InputError::CutShort { partition: self.partition.name.clone(), expected: self.opened_bytes, found: end })
    }

    /// Skips `length` bytes of the carry.
    fn take(&mut self, length: usize) {
        self.prefix.update(&self.carry[..length]);
        self.last_byte = length.checked_sub(1).map(|at| self.carry[at]).or(self.last_byte);
        self.carry.drain(..length);
        self.offset += length as u64;
    }

    fn read_error(&self, offset: u64, source: io::Error) -> InputError {
        InputError::read(&self.partition.name, offset, source)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// Returns `step` bytes at a time, and is interrupted before each read.
    struct Slow {
        bytes: &'static [u8],
        step: usize,
        is_interrupted: bool,
    }

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.is_interrupted = !self.is_interrupted;
            if self.is_interrupted {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let step = self.step.min(buffer.len());
            self.bytes.read(&mut buffer[..step])
        }
    }

    #[test]
    fn a_file_that_is_truncated_at_the_end_of_a_line_is_not_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.jsonl");
        std::fs::write(&path, "{\"a\":1}\n".repeat(100)).unwrap();
        let partition = crate::input::partition("x.jsonl", directory.path()).unwrap();
        let rules = BlockRules {
            format: InputFormat::Json,
            encoding: crate::job::model::Encoding::Utf8,
            max_record_bytes: 100,
            block_bytes: 16,
        };
        let mut lane = Lane::open(&partition, &rules, 0).unwrap();
        assert!(lane.has_more().unwrap());
        lane.next_block(BlockNumbers::default(), Vec::new()).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(80).unwrap();
        let mut read = || -> Result<(), InputError> {
            while lane.has_more()? {
                lane.next_block(BlockNumbers::default(), Vec::new())?;
            }
            Ok(())
        };
        assert!(matches!(read(), Err(InputError::CutShort { expected: 800, found: 80, .. })));
    }

    #[test]
    fn standard_input_gives_the_same_blocks_however_it_comes() {
        let partition = Partition::stdin();
        let bytes = b"\"a\",b\n1,2\n33,\"4\n4\"\n5,6\n77777777777777777777,8\n9,10";
        let rules = BlockRules {
            format: InputFormat::Csv { delimiter: b',' },
            encoding: crate::job::model::Encoding::Utf8,
            max_record_bytes: 12,
            block_bytes: 16,
        };
        let read = |step: usize, offset: u64| {
            let stream = Stream::Forward(Box::new(Slow { bytes, step, is_interrupted: false }));
            let mut lane = Lane::over(&partition, &rules, stream, offset).unwrap();
            let mut blocks = Vec::new();
            while lane.has_more().unwrap() {
                let block = lane.next_block(BlockNumbers::default(), Vec::new()).unwrap();
                let hash = lane.prefix().clone().finish();
                assert_eq!(hash, crate::values::digest::Digest::of(&bytes[..block.end_offset as usize]));
                blocks.push((block.offset, block.end_offset, block.bytes));
            }
            blocks
        };
        let whole = read(1000, 0);
        assert_eq!(whole[0], (6, 19, b"1,2\n33,\"4\n4\"\n"[..].to_vec()));
        assert_eq!(whole.last().unwrap().1, bytes.len() as u64);
        for step in 1..20 {
            assert_eq!(read(step, 0), whole);
            for (index, (offset, _, _)) in whole.iter().enumerate() {
                assert_eq!(read(step, *offset), whole[index..]);
            }
        }
    }
}
