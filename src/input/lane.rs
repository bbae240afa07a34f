//! One partition while it is read: from bytes to whole records.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::partition::not_regular;
use super::{Compression, InputError, Partition, Source};
use crate::input::fingerprint::Running;
use crate::input::record::csv::CsvEnds;
use crate::input::record::{BYTE_ORDER_MARK, Header};
use crate::job::model::InputFormat;

/// The bytes of a partition, unpacked.
pub(super) enum Stream {
    /// A plain file, in which any place can be gone to.
    Plain(File),
    /// What can only be read from its beginning.
    Forward(Box<dyn Read + Send>),
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(file) => file.read(buffer),
            Stream::Forward(stream) => stream.read(buffer),
        }
    }
}

/// Opens `partition` at its beginning.
pub(super) fn open(partition: &Partition) -> Result<Stream, InputError> {
    let Source::File(path) = &partition.source else {
        return Ok(Stream::Forward(Box::new(io::stdin())));
    };
    let file = open_regular(partition, path)?;
    Ok(match partition.compression {
        Compression::None => Stream::Plain(file),
        Compression::Gzip => {
            let packed = BufReader::with_capacity(64 * 1024, file);
            Stream::Forward(Box::new(flate2::bufread::MultiGzDecoder::new(packed)))
        }
        Compression::Zstd => {
            let unpacked = zstd::stream::read::Decoder::new(file).map_err(|source| InputError::Read {
                partition: partition.name.clone(),
                offset: 0,
                source,
            })?;
            Stream::Forward(Box::new(unpacked))
        }
    })
}

/// Opens the regular file `path` of `partition`. To open a pipe would wait for its writer, so it is looked at first.
pub(super) fn open_regular(partition: &Partition, path: &Path) -> Result<File, InputError> {
    let read = |source| InputError::Read { partition: partition.name.clone(), offset: 0, source };
    let metadata = std::fs::metadata(path).map_err(read)?;
    if !metadata.is_file() {
        return Err(read(not_regular(&metadata)));
    }
    File::open(path).map_err(read)
}

/// Reads `stream` from offset `from` to offset `to`, and lets `hasher` see it. Returns the last byte.
pub(super) fn skip(
    partition: &Partition,
    stream: &mut Stream,
    from: u64,
    to: u64,
    running: &mut Running,
) -> Result<Option<u8>, InputError> {
    let mut chunk = vec![0; 64 * 1024];
    let mut at = from;
    let mut last = None;
    while at < to {
        let wanted = usize::try_from(to - at).unwrap_or(usize::MAX).min(chunk.len());
        let length = read_some(stream, &mut chunk[..wanted]).map_err(|source| InputError::Read {
            partition: partition.name.clone(),
            offset: at,
            source,
        })?;
        if length == 0 {
            return Err(InputError::Shrunk { partition: partition.name.clone(), offset: to, found: at });
        }
        running.update(&chunk[..length]);
        last = Some(chunk[length - 1]);
        at += length as u64;
    }
    Ok(last)
}

fn read_some(stream: &mut Stream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Finds where records end.
enum Ends {
    /// At each `\n`.
    Lines,
    /// At each `\n` that is not within quotes.
    Csv(CsvEnds),
}

/// What the reading of each partition depends on.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) format: InputFormat,
    pub(super) max_record_bytes: u64,
    /// The size of the grid's cells.
    pub(super) block_bytes: u64,
}

impl Rules {
    /// The bytes that are read at once when it is not known how many are needed.
    fn chunk_bytes(&self) -> usize {
        usize::try_from(self.block_bytes / 4).unwrap_or(usize::MAX).clamp(1, 1 << 20)
    }

    /// The bytes that are read beyond a cell, in the hope of its last record's end.
    pub(super) fn beyond_bytes(&self) -> usize {
        usize::try_from(self.block_bytes / 64).unwrap_or(usize::MAX).clamp(1, 1 << 20)
    }

    /// A record that is longer than this with its line end is longer than a record may be without it.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.max_record_bytes.saturating_add(2)
    }
}

/// A partition that is being read. Its state between blocks follows from its bytes and its offset alone.
pub(super) struct Lane {
    partition: Partition,
    rules: Rules,
    stream: Stream,
    /// Whether the stream has said that there is no more.
    is_drained: bool,
    /// What was read and not handed out; begins at `offset`.
    carry: Vec<u8>,
    /// Where the next record begins.
    offset: u64,
    ends: Ends,
    header: Option<Arc<Header>>,
    /// The digest of what lies before `offset`.
    running: Running,
    /// The byte before `offset`, when it was read on the way there.
    last_byte: Option<u8>,
}

/// Where the records of a block begin: the last, if there is anything behind the one before, and the one before.
#[derive(Debug, Clone, Copy, Default)]
struct Starts {
    last: usize,
    before: usize,
}

/// Whole records.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) offset: u64,
    pub(super) end_offset: u64,
}

impl Lane {
    /// Opens `partition` to go on at `offset`, where a record begins; 0 is the beginning, before the header.
    pub(super) fn open(partition: &Partition, rules: &Rules, offset: u64) -> Result<Lane, InputError> {
        Lane::over(partition, rules, open(partition)?, offset)
    }

    /// As [`Lane::open`], with a stream that is at its beginning.
    fn over(partition: &Partition, rules: &Rules, stream: Stream, offset: u64) -> Result<Lane, InputError> {
        let running = Running::new(partition);
        let mut lane = Lane {
            partition: partition.clone(),
            rules: rules.clone(),
            stream,
            is_drained: false,
            carry: Vec::new(),
            offset: 0,
            ends: Ends::Lines,
            header: None,
            running,
            last_byte: None,
        };
        if let InputFormat::Csv { delimiter } = rules.format {
            lane.take_header(delimiter)?;
            lane.ends = Ends::Csv(CsvEnds::new(delimiter));
        }
        if offset > 0 {
            lane.go_to(offset)?;
        }
        Ok(lane)
    }

    /// Reads the header line, if there is one.
    fn take_header(&mut self, delimiter: u8) -> Result<(), InputError> {
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
                Header::parse(&self.carry[..end], delimiter).map_err(|reason| refuse(&self.partition, reason))?;
            self.header = Some(Arc::new(header));
            self.take(end);
        }
        Ok(())
    }

    /// Goes to `offset`, which is not before the header's end.
    fn go_to(&mut self, offset: u64) -> Result<(), InputError> {
        if offset < self.offset {
            return Err(InputError::Changed { partition: self.partition.name.clone(), offset });
        }
        match &mut self.stream {
            Stream::Plain(file) => {
                file.seek(SeekFrom::Start(offset)).map_err(|source| self.read_error(offset, source))?;
                self.carry.clear();
                self.is_drained = false;
            }
            stream @ Stream::Forward(_) => {
                let carried = usize::try_from(offset - self.offset).unwrap_or(usize::MAX).min(self.carry.len());
                let from = self.offset + carried as u64;
                self.running.update(&self.carry[..carried]);
                self.last_byte = carried.checked_sub(1).map(|at| self.carry[at]).or(self.last_byte);
                self.carry.drain(..carried);
                self.last_byte = skip(&self.partition, stream, from, offset, &mut self.running)?.or(self.last_byte);
            }
        }
        self.offset = offset;
        Ok(())
    }

    /// Tells whether there is anything left.
    pub(super) fn has_more(&mut self) -> Result<bool, InputError> {
        Ok(!self.carry.is_empty() || self.read_chunk()?)
    }

    /// Returns where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the digest of what lies before the offset.
    pub(super) fn running(&self) -> &Running {
        &self.running
    }

    /// Takes the digest of what lies before the offset from whoever has proven it: a plain file is not read again up to there.
    pub(super) fn set_running(&mut self, running: Running) {
        self.running = running;
    }

    /// Returns the byte behind the offset. [`Lane::has_more`] has told that there is one.
    pub(super) fn next_byte(&self) -> Option<u8> {
        self.carry.first().copied()
    }

    /// Returns the byte before the offset, when it was read on the way there.
    pub(super) fn last_byte(&self) -> Option<u8> {
        self.last_byte
    }

    /// Returns the names of the fields, for CSV.
    pub(super) fn header(&self) -> Option<Arc<Header>> {
        self.header.clone()
    }

    /// Returns the number of the cell in which the next record begins.
    pub(super) fn cell(&self) -> u64 {
        self.offset / self.rules.block_bytes
    }

    /// Returns all records that begin in the cell in which the next one does, in `buffer`. There must be more.
    pub(super) fn next_piece(&mut self, mut buffer: Vec<u8>) -> Result<Piece, InputError> {
        // The bytes up to the cell's end: the record in which the last of them lies is the last of the block.
        let cell_bytes = (self.cell() + 1).saturating_mul(self.rules.block_bytes) - self.offset;
        let cell_bytes = usize::try_from(cell_bytes).unwrap_or(usize::MAX);
        let mut filled = self.carry.len();
        let mut target = cell_bytes.saturating_add(self.rules.beyond_bytes()).max(filled);
        let mut scanned = 0;
        let mut starts = Starts::default();
        // A buffer that comes back keeps its old bytes, so that nothing has to be zeroed before it is read over.
        if buffer.len() < target {
            buffer.resize(target, 0);
        }
        buffer[..filled].copy_from_slice(&self.carry);
        self.carry.clear();
        let end = loop {
            self.fill(&mut buffer[..target], &mut filled)?;
            if let Some(end) = self.find_end(&buffer[..filled], scanned, cell_bytes, &mut starts) {
                break end;
            }
            if self.is_drained {
                break filled;
            }
            scanned = filled;
            if (filled - starts.last) as u64 > self.rules.kept_bytes() {
                return self.cut_piece(buffer, filled, starts);
            }
            target = filled + filled.clamp(self.rules.chunk_bytes(), 1 << 20);
            if buffer.len() < target {
                buffer.resize(target, 0);
            }
        };
        self.carry.extend_from_slice(&buffer[end..filled]);
        buffer.truncate(end);
        self.running.update(&buffer);
        let offset = self.offset;
        self.offset += end as u64;
        self.cut(&mut buffer, starts);
        Ok(Piece { bytes: buffer, offset, end_offset: self.offset })
    }

    /// Cuts the last record of `bytes` when it is longer than a record may be.
    fn cut(&self, bytes: &mut Vec<u8>, starts: Starts) {
        let last_start = if starts.last < bytes.len() { starts.last } else { starts.before };
        if (bytes.len() - last_start) as u64 > self.rules.kept_bytes() {
            bytes.truncate(last_start + usize::try_from(self.rules.kept_bytes()).unwrap_or(usize::MAX - last_start));
        }
    }

    /// Finishes a block whose last record is too long to be kept: reads on to the record's end, and cuts it.
    fn cut_piece(&mut self, mut buffer: Vec<u8>, filled: usize, starts: Starts) -> Result<Piece, InputError> {
        buffer.truncate(filled);
        let offset = self.offset;
        self.offset += filled as u64;
        self.running.update(&buffer);
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
        Ok(Piece { bytes: buffer, offset, end_offset: self.offset })
    }

    /// Finds the end of the last record that begins before `cell_bytes`. The bytes before `scanned` were looked at.
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

    /// Reads until `buffer` is full or the stream is drained.
    fn fill(&mut self, buffer: &mut [u8], filled: &mut usize) -> Result<(), InputError> {
        while *filled < buffer.len() && !self.is_drained {
            match read_some(&mut self.stream, &mut buffer[*filled..]) {
                Ok(0) => self.is_drained = true,
                Ok(length) => *filled += length,
                Err(source) => return Err(self.read_error(self.offset + *filled as u64, source)),
            }
        }
        Ok(())
    }

    /// Reads a little more into the carry. Tells whether there was more.
    fn read_chunk(&mut self) -> Result<bool, InputError> {
        if self.is_drained {
            return Ok(false);
        }
        let before = self.carry.len();
        self.carry.resize(before + self.rules.chunk_bytes(), 0);
        let result = read_some(&mut self.stream, &mut self.carry[before..]);
        self.carry.truncate(before + *result.as_ref().unwrap_or(&0));
        match result {
            Ok(0) => self.is_drained = true,
            Ok(_) => {}
            Err(source) => return Err(self.read_error(self.offset + before as u64, source)),
        }
        Ok(!self.is_drained)
    }

    /// Takes `length` bytes of the carry without handing them out.
    fn take(&mut self, length: usize) {
        self.running.update(&self.carry[..length]);
        self.last_byte = length.checked_sub(1).map(|at| self.carry[at]).or(self.last_byte);
        self.carry.drain(..length);
        self.offset += length as u64;
    }

    fn read_error(&self, offset: u64, source: io::Error) -> InputError {
        InputError::Read { partition: self.partition.name.clone(), offset, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `step` bytes at a time and is interrupted before each.
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
    fn standard_input_gives_the_same_blocks_however_it_comes() {
        let partition =
            Partition { name: "-".to_owned(), source: Source::Stdin, compression: Compression::None, file_bytes: None };
        let bytes = b"\"a\",b\n1,2\n33,\"4\n4\"\n5,6\n77777777777777777777,8\n9,10";
        let rules = Rules { format: InputFormat::Csv { delimiter: b',' }, max_record_bytes: 12, block_bytes: 16 };
        let read = |step: usize, offset: u64| {
            let stream = Stream::Forward(Box::new(Slow { bytes, step, is_interrupted: false }));
            let mut lane = Lane::over(&partition, &rules, stream, offset).unwrap();
            let mut pieces = Vec::new();
            while lane.has_more().unwrap() {
                let piece = lane.next_piece(Vec::new()).unwrap();
                let hash = lane.running().clone().finish();
                assert_eq!(hash, crate::values::digest::Digest::of(&bytes[..piece.end_offset as usize]));
                pieces.push((piece.offset, piece.end_offset, piece.bytes));
            }
            pieces
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
