//! How far one partition of an input that ends was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use crate::format::positions::PositionRow;
use crate::input::error::InputError;
use crate::input::lane::Lane;
use crate::input::object::ObjectReader;
use crate::input::partition::{Partition, Source};
use crate::input::position::Position;
use crate::input::prefix_digest::PrefixDigest;
use crate::input::record::line::{is_line_end, late_line_end};
use crate::input::resumed::kept_position;
use crate::input::rules::BlockRules;
use crate::input::stream::open_regular;
use crate::job::model::InputFormat;
use crate::values::digest::Digest;

/// How far one partition was read.
pub(super) struct Progress {
    pub(super) partition: Arc<Partition>,
    /// As in [`Position`].
    pub(super) offset: u64,
    pub(super) ended: bool,
    /// As in [`Position`].
    stored: Option<Digest>,
    /// As in [`Position`], if there is no lane.
    prefix: Option<PrefixDigest>,
    /// Open while its group is read.
    pub(super) lane: Option<Lane>,
    /// An object of which reading has begun, before its lane is opened.
    prepared: Option<Box<ObjectReader>>,
    /// Whether its columns were checked.
    pub(super) has_columns: bool,
    /// As in [`Position`].
    record: u64,
    event_time: Option<i64>,
    /// The position of a file that is gone.
    kept: Option<Position>,
}

impl Progress {
    /// Starts at the beginning of `partition`.
    pub(super) fn new(partition: &Partition) -> Progress {
        let partition = Arc::new(partition.clone());
        Progress {
            partition,
            offset: 0,
            ended: false,
            stored: None,
            prefix: None,
            lane: None,
            prepared: None,
            has_columns: false,
            record: 0,
            event_time: None,
            kept: None,
        }
    }

    /// Moves to the position `row`. Verifies that the bytes before it are the same.
    pub(super) fn resume(
        &mut self,
        rules: &BlockRules,
        row: &PositionRow,
        had_bad_records: bool,
    ) -> Result<(), InputError> {
        (self.offset, self.record, self.event_time) = (row.offset, row.record, row.event_time);
        if self.partition.source == Source::Gone {
            self.ended = true;
            self.kept = Some(kept_position(Arc::clone(&self.partition), row));
            return Ok(());
        }
        if row.offset == 0 && !row.ended {
            // Nothing was read, so there is nothing to verify, and the file need not be opened yet.
            return Ok(());
        }
        let partition = Arc::clone(&self.partition);
        if self.is_same_object(row)? && (row.ended || partition.is_seekable()) {
            return self.resume_object(row);
        }
        if self.is_same_packed_file(row)? {
            (self.ended, self.stored) = (true, row.stored_fingerprint);
            self.prefix = Some(PrefixDigest::Finished(row.fingerprint));
            return Ok(());
        }
        let found = match &partition.source {
            Source::File(path) if partition.is_seekable() => self.verify_file(path, row)?,
            _ => self.verify_by_reading(rules, row)?,
        };
        let may_be_in_quotes =
            had_bad_records && row.ended && found.has_more && matches!(rules.format, InputFormat::Csv { .. });
        let read = || Lane::ends_in_quotes(&partition, rules, row.offset);
        if may_be_in_quotes && found.is_in_quotes.map_or_else(read, Ok)? {
            return Err(InputError::Unquoted { partition: partition.name.clone(), offset: row.offset });
        }
        // If the last line was counted without a line end, it was complete only if one follows.
        let has_line_end = found.last_byte.is_none_or(|byte| byte == b'\n');
        let was_complete = has_line_end || is_line_end(&found.next_bytes);
        let is_in_header = self.lane.as_ref().is_some_and(Lane::is_in_header);
        if is_in_header && !row.ended {
            return Err(InputError::Changed { partition: partition.name.clone(), offset: row.offset });
        }
        if row.ended && found.has_more && !was_complete {
            return Err(InputError::Lengthened { partition: partition.name.clone(), offset: row.offset });
        }
        if !found.has_more {
            self.close();
        } else if row.ended && !has_line_end {
            self.skip_line_end(&found.next_bytes);
        }
        Ok(())
    }

    /// Returns whether the ETag in `row` proves that the partition is the object that was read. Fails if it proves the
    /// opposite.
    fn is_same_object(&self, row: &PositionRow) -> Result<bool, InputError> {
        let partition = &self.partition;
        let (Some(expected), Source::Object(url)) = (&row.etag, &partition.source) else { return Ok(false) };
        // A compressed copy under the name of the original is proven by its content.
        if row.offset == 0 || *url != row.partition {
            return Ok(false);
        }
        if (Some(expected), row.file_bytes) == (partition.etag.as_ref(), partition.file_bytes) {
            return Ok(true);
        }
        Err(InputError::Replaced {
            partition: partition.name.clone(),
            offset: row.offset,
            expected: expected.clone(),
            found: partition.etag.clone().unwrap_or_default(),
        })
    }

    /// Returns whether the partition is the compressed file that was read to its end, as far as samples of what is stored
    /// prove it, so that it need not be decompressed.
    fn is_same_packed_file(&self, row: &PositionRow) -> Result<bool, InputError> {
        let (Source::File(path), Some(stored), Some(bytes)) =
            (&self.partition.source, row.stored_fingerprint, row.file_bytes)
        else {
            return Ok(false);
        };
        if !row.ended || self.partition.is_seekable() || self.partition.file_bytes != Some(bytes) {
            return Ok(false);
        }
        match PrefixDigest::of_file(&mut open_regular(&self.partition, path)?, bytes) {
            Ok(found) => Ok(found.finish() == stored),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(source) => Err(InputError::read(&self.partition.name, row.offset, source)),
        }
    }

    /// Moves to the position `row` of an object that is the one that was read. One that was read to its end takes no
    /// request.
    fn resume_object(&mut self, row: &PositionRow) -> Result<(), InputError> {
        if row.ended {
            self.prefix = Some(PrefixDigest::Finished(row.fingerprint));
            self.ended = true;
            return Ok(());
        }
        let prefix = PrefixDigest::of(&self.partition, row.offset)?;
        if prefix.clone().finish() != row.fingerprint {
            return Err(InputError::Changed { partition: row.partition.clone(), offset: row.offset });
        }
        self.prefix = Some(prefix);
        if self.partition.file_bytes == Some(row.offset) {
            self.close();
        }
        Ok(())
    }

    /// Starts to read an object from its beginning. Returns false if too much is being read ahead already.
    pub(super) fn prepare(&mut self) -> Result<bool, InputError> {
        match &self.partition.source {
            Source::Object(url) if self.offset == 0 && !self.ended && self.lane.is_none() => {
                self.prepared = ObjectReader::prepare(&self.partition, url)?.map(Box::new);
                Ok(self.prepared.is_some())
            }
            _ => Ok(true),
        }
    }

    /// Skips the line end of a line that was read without it.
    fn skip_line_end(&mut self, next: &[u8]) {
        let count = late_line_end(next);
        self.offset += count as u64;
        if let Some(lane) = &mut self.lane {
            lane.skip(count);
        }
        if let Some(prefix) = &mut self.prefix {
            prefix.update(&next[..count]);
        }
    }

    /// Verifies the bytes before `row` by samples of the file at `path`.
    fn verify_file(&mut self, path: &Path, row: &PositionRow) -> Result<BoundaryBytes, InputError> {
        let name = &self.partition.name;
        let read = |source| InputError::read(name, row.offset, source);
        let mut file = open_regular(&self.partition, path)?;
        let found = file.metadata().map_err(read)?.len();
        if found < row.offset {
            return Err(InputError::Shrunk { partition: name.clone(), offset: row.offset, found });
        }
        let prefix = PrefixDigest::of_file(&mut file, row.offset).map_err(read)?;
        if prefix.clone().finish() != row.fingerprint {
            return Err(InputError::Changed { partition: name.clone(), offset: row.offset });
        }
        let last_byte = match row.offset.checked_sub(1) {
            None => None,
            Some(before) => bytes_at(&mut file, before, 1).map_err(read)?.pop(),
        };
        let next_bytes = bytes_at(&mut file, row.offset, 2).map_err(read)?;
        self.prefix = Some(prefix);
        Ok(BoundaryBytes { has_more: found > row.offset, last_byte, next_bytes, is_in_quotes: None })
    }

    /// Verifies the bytes before `row` by reading all of them.
    fn verify_by_reading(&mut self, rules: &BlockRules, row: &PositionRow) -> Result<BoundaryBytes, InputError> {
        let partition = &self.partition;
        let mut lane = Lane::open(partition, rules, row.offset)?;
        let prefix = if row.offset == 0 { PrefixDigest::new(partition) } else { lane.prefix().clone() };
        if prefix.finish() != row.fingerprint {
            return Err(InputError::Changed { partition: partition.name.clone(), offset: row.offset });
        }
        let next_bytes = lane.peek(2)?.to_vec();
        let (has_more, last_byte, is_in_quotes) = (!next_bytes.is_empty(), lane.last_byte(), Some(lane.is_in_quotes()));
        // Kept open, because a partition that can only be read from its beginning would have to be read again.
        self.lane = Some(lane);
        Ok(BoundaryBytes { has_more, last_byte, next_bytes, is_in_quotes })
    }

    /// Returns the lane, which is opened if needed, or `None` if the partition has ended.
    pub(super) fn open(&mut self, rules: &BlockRules) -> Result<Option<&Lane>, InputError> {
        if self.ended {
            return Ok(None);
        }
        if self.lane.is_none() {
            let mut lane = match self.prepared.take() {
                Some(object) => Lane::open_prepared(&self.partition, rules, *object)?,
                None => Lane::open(&self.partition, rules, self.offset)?,
            };
            // A header that was written after the checkpoint is in the lane's digest, but not in the verified one.
            if let Some(prefix) = self.prefix.take().filter(|_| lane.offset() == self.offset) {
                lane.set_prefix(prefix);
            }
            if lane.is_in_header() {
                return Err(InputError::Changed { partition: self.partition.name.clone(), offset: self.offset });
            }
            let has_more = lane.has_more()?;
            self.lane = Some(lane);
            if !has_more {
                self.close();
            }
        }
        // After a pause it may turn out that nothing follows.
        if let Some(lane) = self.lane.as_mut().filter(|lane| lane.is_paused())
            && !lane.has_more()?
        {
            self.close();
        }
        Ok(self.lane.as_ref())
    }

    /// Ends the partition.
    pub(super) fn close(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.offset = lane.offset();
            self.prefix = Some(lane.prefix().clone());
            self.stored = lane.stored();
        }
        self.ended = true;
    }

    pub(super) fn position(&self) -> Position {
        if let Some(kept) = &self.kept {
            return kept.clone();
        }
        let prefix = match &self.lane {
            // The lane may have read a header, which is not before the offset until the first record is handed out.
            _ if self.offset == 0 => None,
            Some(lane) => Some(lane.prefix().clone()),
            None => self.prefix.clone(),
        };
        Position {
            partition: Arc::clone(&self.partition),
            message: None,
            generation_of: None,
            inode: None,
            offset: self.offset,
            ended: self.ended,
            stored: self.stored,
            prefix: prefix.unwrap_or_else(|| PrefixDigest::new(&self.partition)),
            record: self.record,
            event_time: self.event_time,
        }
    }
}

/// The bytes at a position of a file.
struct BoundaryBytes {
    /// Whether any bytes follow.
    has_more: bool,
    last_byte: Option<u8>,
    /// Up to two.
    next_bytes: Vec<u8>,
    /// Whether the position is inside quotes, if everything before it was read.
    is_in_quotes: Option<bool>,
}

/// Returns up to `count` bytes from `offset`, fewer only at the end of the file.
fn bytes_at(file: &mut File, offset: u64, count: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(count).read_to_end(&mut bytes)?;
    Ok(bytes)
}
