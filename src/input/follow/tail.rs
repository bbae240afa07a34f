//! One file while it grows: from what has arrived to whole records.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::FileId;
use crate::input::fingerprint::Running;
use crate::input::lane::{Piece, Rules};
use crate::input::record::csv::CsvEnds;
use crate::input::record::{BYTE_ORDER_MARK, Header};
use crate::input::{InputError, Partition, Place};
use crate::job::model::InputFormat;
use crate::values::digest::Digest;

/// So many bytes before the offset are read again with what comes behind it: a file that was cut and written anew is noticed.
const OVERLAP_BYTES: usize = 64;
/// So many bytes are read at once beyond a cell, in search of a record's end.
const CHUNK_BYTES: u64 = 1 << 20;

/// The names of a CSV file's fields, and the line that has them.
type HeaderLine = (Arc<Header>, Vec<u8>);

/// A file of which whole records are read as they arrive.
#[derive(Debug)]
pub(super) struct Tail {
    rules: Rules,
    /// Open while it is read.
    file: Option<File>,
    /// Where the next record begins.
    offset: u64,
    before: Before,
    /// The size of the file in bytes when it was last looked at.
    size: u64,
    /// The size at which there was no whole record behind the offset.
    tried_size: u64,
    header: Option<Arc<Header>>,
    /// A record without an end that is already longer than a record may be.
    long: Option<Long>,
}

/// What lies before a place in the file.
#[derive(Debug, Clone)]
struct Before {
    running: Running,
    /// The last bytes.
    overlap: Vec<u8>,
}

/// How far a record was looked through whose end has not come yet.
#[derive(Debug)]
struct Long {
    scanned: u64,
    before: Before,
    ends: CsvEnds,
}

impl Before {
    fn take(&mut self, bytes: &[u8]) {
        self.running.update(bytes);
        self.overlap.extend_from_slice(&bytes[bytes.len().saturating_sub(OVERLAP_BYTES)..]);
        self.overlap.drain(..self.overlap.len().saturating_sub(OVERLAP_BYTES));
    }
}

impl Tail {
    /// Begins at the beginning of a file.
    pub(super) fn new(rules: &Rules, partition: &Partition) -> Tail {
        Tail {
            rules: rules.clone(),
            file: None,
            offset: 0,
            before: Before { running: Running::new(partition), overlap: Vec::new() },
            size: 0,
            tried_size: 0,
            header: None,
            long: None,
        }
    }

    /// Goes on in `file` at `offset`, which is not 0 and where a record begins or the last one had ended. `running` is the digest of what
    /// lies before.
    pub(super) fn resume(
        rules: &Rules,
        partition: &Partition,
        file: File,
        offset: u64,
        running: Running,
    ) -> Result<Tail, InputError> {
        let mut tail = Tail::new(rules, partition);
        if let InputFormat::Csv { delimiter } = rules.format {
            tail.header = tail.find_header(partition, &file, delimiter, offset)?.map(|(header, _)| header);
        }
        let length = OVERLAP_BYTES.min(usize::try_from(offset).unwrap_or(usize::MAX));
        let mut overlap = vec![0; length];
        let read = file.read_exact_at(&mut overlap, offset - length as u64);
        read.map_err(|source| read_error(partition, offset, source))?;
        tail.before = Before { running, overlap };
        (tail.offset, tail.size) = (offset, offset);
        tail.file = Some(file);
        Ok(tail)
    }

    /// Returns where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the size of the file in bytes, when it was last looked at.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Tells whether something has arrived that was not looked at.
    pub(super) fn is_ready(&self) -> bool {
        self.size > self.offset && self.size != self.tried_size
    }

    /// Tells whether everything was handed out.
    pub(super) fn is_read(&self) -> bool {
        self.offset >= self.size
    }

    /// Lets what is there be looked at again: the file will not grow any more.
    pub(super) fn retry(&mut self) {
        self.tried_size = 0;
    }

    /// Tells whether the file is open.
    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Closes the file.
    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Opens the file at `path` unless it is open. Returns false when the one that is there is not `id`.
    pub(super) fn open(&mut self, partition: &Partition, path: &Path, id: FileId) -> Result<bool, InputError> {
        if self.file.is_none() {
            self.file = super::open_if(partition, path, id)?;
        }
        Ok(self.file.is_some())
    }

    /// Takes over the size of the file. Fails when it has become shorter than what was read of it.
    pub(super) fn set_size(&mut self, partition: &Partition, size: u64) -> Result<(), InputError> {
        if size < self.offset {
            return Err(self.truncated(partition));
        }
        self.size = size;
        Ok(())
    }

    /// Looks at the size of the file, if it is open. Tells whether it has changed.
    pub(super) fn poll(&mut self, partition: &Partition) -> Result<bool, InputError> {
        let Some(file) = &self.file else { return Ok(false) };
        let size = file.metadata().map_err(|source| read_error(partition, self.offset, source))?.size();
        let before = self.size;
        self.set_size(partition, size)?;
        Ok(size != before)
    }

    /// Returns where the file stands.
    pub(super) fn place(&self, ended: bool) -> Place {
        Place { offset: self.offset, ended, running: Some(self.before.running.clone()) }
    }

    /// Returns the digest of what lies before the offset.
    pub(super) fn fingerprint(&self) -> Digest {
        self.before.running.clone().finish()
    }

    /// Returns the names of the fields, for CSV.
    pub(super) fn header(&self) -> Option<Arc<Header>> {
        self.header.clone()
    }

    /// Returns whole records that begin in the cell in which the next one does; nothing when none is there yet.
    ///
    /// With `is_complete` the file will not grow, and its last line needs no end. The file must be open.
    pub(super) fn next_piece(&mut self, partition: &Partition, is_complete: bool) -> Result<Option<Piece>, InputError> {
        let file = self.file.take().expect("the caller has opened the file");
        let found = self.find_piece(partition, &file, is_complete);
        self.file = Some(file);
        let found = found?;
        if found.is_none() {
            self.tried_size = self.size;
        }
        Ok(found)
    }

    fn find_piece(
        &mut self,
        partition: &Partition,
        file: &File,
        is_complete: bool,
    ) -> Result<Option<Piece>, InputError> {
        self.check_overlap(partition, file)?;
        let mut header = Vec::new();
        if self.offset == 0
            && let InputFormat::Csv { delimiter } = self.rules.format
        {
            let Some(found) = self.find_header(partition, file, delimiter, self.size)? else { return Ok(None) };
            (self.header, header) = (Some(found.0), found.1);
        }
        let begin = self.offset + header.len() as u64;
        let cell_bytes = self.rules.block_bytes - begin % self.rules.block_bytes;
        let mut length = cell_bytes + self.rules.beyond_bytes() as u64;
        loop {
            let mut bytes = self.read(partition, file, begin, length)?;
            self.check_end(partition, begin, &bytes)?;
            let is_all = (bytes.len() as u64) < length || begin + length >= self.size;
            let is_long = bytes.len() as u64 > self.rules.kept_bytes();
            let end = match self.whole_bytes(&bytes, cell_bytes) {
                None if is_all && is_complete && !is_long && !bytes.is_empty() => Some(bytes.len()),
                whole => whole,
            };
            match end {
                Some(end) => {
                    bytes.truncate(end);
                    self.before.take(&header);
                    self.before.take(&bytes);
                    self.offset = begin + end as u64;
                    self.long = None;
                    return Ok(Some(Piece { bytes, offset: begin, end_offset: self.offset }));
                }
                None if is_long => return self.find_long(partition, file, &header, is_complete, bytes),
                None if is_all => return Ok(None),
                None => length += length.clamp(64 * 1024, CHUNK_BYTES),
            }
        }
    }

    /// Returns a record that is longer than a record may be, once its end is there: as much of it as shows that, which is in `bytes`.
    fn find_long(
        &mut self,
        partition: &Partition,
        file: &File,
        header: &[u8],
        is_complete: bool,
        mut bytes: Vec<u8>,
    ) -> Result<Option<Piece>, InputError> {
        let (delimiter, is_csv) = match self.rules.format {
            InputFormat::Csv { delimiter } => (delimiter, true),
            _ => (b',', false),
        };
        let offset = self.offset + header.len() as u64;
        bytes.truncate(usize::try_from(self.rules.kept_bytes()).unwrap_or(usize::MAX));
        let mut long = self.long.take().unwrap_or_else(|| {
            let mut before = self.before.clone();
            before.take(header);
            Long { scanned: offset, before, ends: CsvEnds::new(delimiter) }
        });
        loop {
            let chunk = self.read(partition, file, long.scanned, CHUNK_BYTES)?;
            let end = match is_csv {
                true => long.ends.next_end(&chunk, 0),
                false => memchr(b'\n', &chunk).map(|at| at + 1),
            };
            let taken = &chunk[..end.unwrap_or(chunk.len())];
            long.before.take(taken);
            long.scanned += taken.len() as u64;
            let is_all = (chunk.len() as u64) < CHUNK_BYTES;
            if end.is_some() || (is_all && is_complete) {
                (self.before, self.offset) = (long.before, long.scanned);
                return Ok(Some(Piece { bytes, offset, end_offset: self.offset }));
            }
            if is_all {
                self.long = Some(long);
                return Ok(None);
            }
        }
    }

    /// Returns the end of the record that reaches beyond `cell_bytes`, or of the last whole one before.
    fn whole_bytes(&self, bytes: &[u8], cell_bytes: u64) -> Option<usize> {
        let cell_bytes = usize::try_from(cell_bytes).unwrap_or(usize::MAX);
        if let InputFormat::Csv { delimiter } = self.rules.format {
            let mut ends = CsvEnds::new(delimiter);
            let mut last = None;
            while last.is_none_or(|end| end < cell_bytes)
                && let Some(end) = ends.next_end(bytes, last.unwrap_or(0))
            {
                last = Some(end);
            }
            return last;
        }
        let beyond = bytes.get(cell_bytes - 1..).and_then(|rest| memchr(b'\n', rest)).map(|at| cell_bytes + at);
        beyond.or_else(|| memrchr(b'\n', bytes).map(|at| at + 1))
    }

    /// Returns the header line and its bytes, if it ends before `limit`.
    fn find_header(
        &self,
        partition: &Partition,
        file: &File,
        delimiter: u8,
        limit: u64,
    ) -> Result<Option<HeaderLine>, InputError> {
        let refuse = |reason| InputError::Header { partition: partition.name.clone(), reason };
        let mut length = 4 * 1024;
        loop {
            let mut bytes = self.read(partition, file, 0, length)?;
            let from = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            if let Some(end) = CsvEnds::new(delimiter).next_end(&bytes, from) {
                bytes.truncate(end);
                let header = Header::parse(&bytes, delimiter).map_err(refuse)?;
                return Ok(Some((Arc::new(header), bytes)));
            }
            if bytes.len() as u64 > self.rules.kept_bytes() {
                return Err(refuse(format!("the header line is longer than {} bytes", self.rules.max_record_bytes)));
            }
            if (bytes.len() as u64) < length || length >= limit {
                return Ok(None);
            }
            length *= 2;
        }
    }

    /// Returns `length` bytes from `begin` on, or as many as there are.
    fn read(&self, partition: &Partition, file: &File, begin: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            match file.read_at(&mut bytes[filled..], begin + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(read_error(partition, begin, source)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    /// Proves that what lies before the offset is what was read.
    fn check_overlap(&self, partition: &Partition, file: &File) -> Result<(), InputError> {
        let overlap = &self.before.overlap;
        let again = self.read(partition, file, self.offset - overlap.len() as u64, overlap.len() as u64)?;
        if again == *overlap { Ok(()) } else { Err(self.truncated(partition)) }
    }

    /// Fails when the last line was taken without an end, and what came behind it is not its end.
    fn check_end(&self, partition: &Partition, begin: u64, bytes: &[u8]) -> Result<(), InputError> {
        let was_whole = begin > self.offset || self.before.overlap.last().is_none_or(|byte| *byte == b'\n');
        if was_whole || bytes.first().is_none_or(|byte| matches!(byte, b'\n' | b'\r')) {
            return Ok(());
        }
        Err(InputError::Lengthened { partition: partition.name.clone(), offset: self.offset })
    }

    fn truncated(&self, partition: &Partition) -> InputError {
        InputError::Truncated { partition: partition.name.clone(), offset: self.offset }
    }
}

fn read_error(partition: &Partition, offset: u64, source: io::Error) -> InputError {
    InputError::Read { partition: partition.name.clone(), offset, source }
}

#[cfg(test)]
mod tests;
