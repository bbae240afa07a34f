//! One file while it grows: from the bytes that have arrived to whole records.

use std::path::Path;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use crate::input::block::{Block, BlockNumbers};
use crate::input::columns::Columns;
use crate::input::error::InputError;
use crate::input::follow::content::Content;
use crate::input::follow::file_id::{FileId, open_if};
use crate::input::partition::Partition;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::csv::ends::CsvEnds;
use crate::input::record::header::Header;
use crate::input::record::line::{BYTE_ORDER_MARK, is_line_end, late_line_end};
use crate::input::rules::BlockRules;
use crate::job::model::InputFormat;

/// How many bytes before the offset are read again with the bytes after it, to notice a file that was truncated and
/// rewritten.
const OVERLAP_BYTES: usize = 64;
/// How many bytes past a cell are read at once to find the end of a record.
const CHUNK_BYTES: u64 = 1 << 20;

/// The header of a CSV file, and its line.
type HeaderLine = (Arc<Header>, Vec<u8>);

/// A file whose records are read as they arrive.
#[derive(Debug)]
pub(super) struct Tail {
    rules: BlockRules,
    /// `None` while it is closed.
    file: Option<Content>,
    /// Where the next record begins.
    offset: u64,
    before: Before,
    /// The size of the file when it was last checked, in bytes.
    size: u64,
    /// The size at which no whole record was found after the offset.
    tried_size: u64,
    header: Option<Arc<Header>>,
    /// Whether its columns were checked.
    has_columns: bool,
    /// A record that is longer than allowed, and whose end has not arrived.
    long: Option<Long>,
}

/// The bytes before an offset in the file.
#[derive(Debug, Clone)]
struct Before {
    prefix: PrefixDigest,
    /// The last of them.
    overlap: Vec<u8>,
}

/// How far a record was scanned whose end has not arrived.
#[derive(Debug)]
struct Long {
    scanned: u64,
    before: Before,
    ends: CsvEnds,
}

impl Before {
    fn take(&mut self, bytes: &[u8]) {
        self.prefix.update(bytes);
        self.overlap.extend_from_slice(&bytes[bytes.len().saturating_sub(OVERLAP_BYTES)..]);
        self.overlap.drain(..self.overlap.len().saturating_sub(OVERLAP_BYTES));
    }
}

impl Tail {
    /// Starts at the beginning of a file.
    pub(super) fn new(rules: &BlockRules, partition: &Partition) -> Tail {
        Tail {
            rules: rules.clone(),
            file: None,
            offset: 0,
            before: Before { prefix: PrefixDigest::new(partition), overlap: Vec::new() },
            size: 0,
            tried_size: 0,
            header: None,
            has_columns: false,
            long: None,
        }
    }

    /// Resumes in `file` at `offset`, which is not 0, and where a record begins or the last one has ended. `prefix` is
    /// the digest of the bytes before it.
    pub(super) fn resume(
        rules: &BlockRules,
        partition: &Partition,
        file: Content,
        offset: u64,
        prefix: PrefixDigest,
    ) -> Result<Tail, InputError> {
        let mut tail = Tail::new(rules, partition);
        if let InputFormat::Csv { delimiter } = rules.format {
            tail.header = tail.find_header(partition, &file, delimiter, offset)?.map(|(header, _)| header);
        }
        let length = OVERLAP_BYTES.min(usize::try_from(offset).unwrap_or(usize::MAX));
        let overlap = file.read(partition, offset - length as u64, length as u64)?;
        tail.before = Before { prefix, overlap };
        (tail.offset, tail.size) = (offset, offset);
        tail.file = Some(file);
        Ok(tail)
    }

    /// Returns the offset at which the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the size of the file when it was last checked, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns whether bytes have arrived that were not scanned.
    pub(super) fn is_ready(&self) -> bool {
        self.size > self.offset && self.size != self.tried_size
    }

    /// Returns whether all bytes were handed out.
    pub(super) fn is_read(&self) -> bool {
        self.offset >= self.size
    }

    /// Lets the rest be scanned again, because the file will not grow any more.
    pub(super) fn retry(&mut self) {
        self.tried_size = 0;
    }

    /// Forgets what was not read, because the file is gone.
    pub(super) fn give_up_rest(&mut self) {
        self.size = self.offset;
    }

    /// Continues in `content`, which begins with the bytes before the offset and has `bytes` in all.
    pub(super) fn continue_in(&mut self, content: Content, bytes: u64) {
        (self.file, self.size, self.tried_size) = (Some(content), bytes, 0);
    }

    /// Returns whether it is read in a compressed file.
    pub(super) fn is_packed(&self) -> bool {
        matches!(self.file, Some(Content::Packed(_)))
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    pub(super) fn close(&mut self) {
        self.file = None;
    }

    /// Opens the file at `path` unless it is open. Returns false if the file there is not `id`.
    pub(super) fn open(&mut self, partition: &Partition, path: &Path, id: FileId) -> Result<bool, InputError> {
        if self.file.is_none() {
            self.file = open_if(partition, path, id)?.map(Content::Plain);
        }
        Ok(self.file.is_some())
    }

    /// Sets the size of the file. Fails if it is smaller than what was read.
    pub(super) fn set_size(&mut self, partition: &Partition, size: u64) -> Result<(), InputError> {
        if size < self.offset {
            return Err(self.truncated(partition));
        }
        self.size = size;
        Ok(())
    }

    /// Checks the size of the file, if it is open. Returns whether it has changed.
    pub(super) fn poll(&mut self, partition: &Partition) -> Result<bool, InputError> {
        let Some(file) = &self.file else { return Ok(false) };
        let size = file.size().map_err(|source| InputError::read(&partition.name, self.offset, source))?;
        let Some(size) = size else { return Ok(false) };
        let before = self.size;
        self.set_size(partition, size)?;
        Ok(size != before)
    }

    /// Returns whether `copy` has the bytes that were not handed out yet, at the same offset. Those of a file that is
    /// closed are not known.
    pub(super) fn rest_is_in(&self, partition: &Partition, copy: &Content) -> Result<bool, InputError> {
        let Some(file) = &self.file else { return Ok(self.is_read()) };
        let mut at = self.offset;
        loop {
            let rest = file.read(partition, at, CHUNK_BYTES)?;
            if rest != copy.read(partition, at, rest.len() as u64)? {
                return Ok(false);
            }
            at += rest.len() as u64;
            if (rest.len() as u64) < CHUNK_BYTES {
                return Ok(true);
            }
        }
    }

    /// Returns whether the bytes from the offset to `end` are those of `copy`. Those of a file that is closed are not
    /// known.
    pub(super) fn agrees_with(&self, partition: &Partition, copy: &Content, end: u64) -> Result<bool, InputError> {
        let Some(file) = &self.file else { return Ok(true) };
        let mut at = self.offset;
        while at < end {
            let length = CHUNK_BYTES.min(end - at);
            if file.read(partition, at, length)? != copy.read(partition, at, length)? {
                return Ok(false);
            }
            at += length;
        }
        Ok(true)
    }

    /// Returns the digest of the bytes before the offset.
    pub(super) fn prefix(&self) -> &PrefixDigest {
        &self.before.prefix
    }

    /// Checks the columns of a CSV file, once its header has arrived. The file must be open.
    pub(super) fn check_columns(&mut self, partition: &Partition, columns: &Columns) -> Result<(), InputError> {
        let InputFormat::Csv { delimiter } = self.rules.format else { return Ok(()) };
        if self.has_columns {
            return Ok(());
        }
        let file = self.file.as_ref().expect("the caller has opened the file");
        if let Some((header, _)) = self.find_header(partition, file, delimiter, self.size)? {
            columns.check(&partition.name, &header)?;
            self.has_columns = true;
        }
        Ok(())
    }

    /// Returns the next block: whole records that begin in the same cell as the next one, or `None` if there are none
    /// yet.
    ///
    /// With `is_complete` the file will not grow, and its last line needs no line end. The file must be open.
    pub(super) fn next_block(
        &mut self,
        partition: &Partition,
        numbers: BlockNumbers,
        is_complete: bool,
    ) -> Result<Option<Block>, InputError> {
        let file = self.file.take().expect("the caller has opened the file");
        let continues_line = self.before.overlap.last().is_some_and(|byte| *byte != b'\n');
        let found = self.find_records(partition, &file, is_complete);
        self.file = Some(file);
        let found = found?;
        if found.is_none() {
            self.tried_size = self.size;
        }
        let block = |(offset, bytes)| numbers.block(offset, self.offset, bytes, self.header.clone());
        Ok(found.map(|found| Block { continues_line, ..block(found) }))
    }

    /// Returns the offset and the bytes of the next whole records, and moves past them.
    fn find_records(
        &mut self,
        partition: &Partition,
        file: &Content,
        is_complete: bool,
    ) -> Result<Option<(u64, Vec<u8>)>, InputError> {
        self.check_overlap(partition, file)?;
        let mut header = Vec::new();
        if let InputFormat::Csv { delimiter } = self.rules.format
            && (self.offset == 0 || self.header.is_none())
        {
            let Some(found) = self.find_header(partition, file, delimiter, self.size)? else { return Ok(None) };
            self.header = Some(found.0);
            // If the file ended within its header when it was read, only the line end follows.
            if self.offset == 0 {
                header = found.1;
            }
        }
        self.skip_line_end(partition, file, is_complete)?;
        let begin = self.offset + header.len() as u64;
        let cell_bytes = self.rules.block_bytes - begin % self.rules.block_bytes;
        let mut length = cell_bytes + self.rules.beyond_bytes() as u64;
        loop {
            let mut bytes = file.read(partition, begin, length)?;
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
                    return Ok(Some((begin, bytes)));
                }
                None if is_long => return self.find_long(partition, file, &header, is_complete, bytes),
                None if is_all => return Ok(None),
                None => length += length.clamp(64 * 1024, CHUNK_BYTES),
            }
        }
    }

    /// Returns a record that is longer than allowed, once its end has arrived. `bytes` has enough of it to show that.
    fn find_long(
        &mut self,
        partition: &Partition,
        file: &Content,
        header: &[u8],
        is_complete: bool,
        mut bytes: Vec<u8>,
    ) -> Result<Option<(u64, Vec<u8>)>, InputError> {
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
            let chunk = file.read(partition, long.scanned, CHUNK_BYTES)?;
            let end = if is_csv { long.ends.next_end(&chunk, 0) } else { memchr(b'\n', &chunk).map(|at| at + 1) };
            let taken = &chunk[..end.unwrap_or(chunk.len())];
            long.before.take(taken);
            long.scanned += taken.len() as u64;
            let is_all = (chunk.len() as u64) < CHUNK_BYTES;
            if end.is_some() || (is_all && is_complete) {
                (self.before, self.offset) = (long.before, long.scanned);
                return Ok(Some((offset, bytes)));
            }
            if is_all {
                self.long = Some(long);
                return Ok(None);
            }
        }
    }

    /// Returns the end of the record that reaches past `cell_bytes`, or else of the last whole record.
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

    /// Returns the header line, if it ends before `limit`.
    fn find_header(
        &self,
        partition: &Partition,
        file: &Content,
        delimiter: u8,
        limit: u64,
    ) -> Result<Option<HeaderLine>, InputError> {
        let refuse = |reason| InputError::Header { partition: partition.name.clone(), reason };
        let mut length = 4 * 1024;
        loop {
            let mut bytes = file.read(partition, 0, length)?;
            let from = if bytes.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            if let Some(end) = CsvEnds::new(delimiter).next_end(&bytes, from) {
                bytes.truncate(end);
                let header = self.rules.header(&bytes, delimiter).map_err(refuse)?;
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

    /// Verifies that the last bytes before the offset are those that were read.
    fn check_overlap(&self, partition: &Partition, file: &Content) -> Result<(), InputError> {
        let overlap = &self.before.overlap;
        let again = file.read(partition, self.offset - overlap.len() as u64, overlap.len() as u64)?;
        if again == *overlap { Ok(()) } else { Err(self.truncated(partition)) }
    }

    /// Skips the line end of a line that was taken without it. A `\r` may still become half of one.
    fn skip_line_end(&mut self, partition: &Partition, file: &Content, is_complete: bool) -> Result<(), InputError> {
        if self.before.overlap.last().is_none_or(|byte| *byte == b'\n') {
            return Ok(());
        }
        let next = file.read(partition, self.offset, 2)?;
        if next != b"\r" || is_complete {
            let skipped = &next[..late_line_end(&next)];
            self.before.take(skipped);
            self.offset += skipped.len() as u64;
        }
        Ok(())
    }

    /// Fails if the last line was taken without a line end, and something else than a line end follows.
    fn check_end(&self, partition: &Partition, begin: u64, bytes: &[u8]) -> Result<(), InputError> {
        let was_whole = begin > self.offset || self.before.overlap.last().is_none_or(|byte| *byte == b'\n');
        if was_whole || is_line_end(bytes) {
            return Ok(());
        }
        Err(InputError::Lengthened { partition: partition.name.clone(), offset: self.offset })
    }

    fn truncated(&self, partition: &Partition) -> InputError {
        InputError::Truncated { partition: partition.name.clone(), offset: self.offset }
    }
}

#[cfg(test)]
mod tests;
