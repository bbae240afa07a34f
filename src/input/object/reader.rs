//! The bytes of an object, read in ranges ahead of their use.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Buf as _, Bytes};

use crate::input::error::InputError;
use crate::input::object::fault::ObjectFault;
use crate::input::object::url::ObjectUrl;
use crate::input::partition::Partition;
use crate::storage::bucket::reader::{BucketReader, Fetch, ReadError};

/// How much one request asks for.
const RANGE_BYTES: u64 = 1 << 20;
/// The most ranges of one object that are read at once.
const MAX_RANGES: usize = 16;
/// The most ranges that the process holds ahead of their use. Each object that is being read may hold one more, so that
/// none waits for another.
const MAX_AHEAD: usize = 64;

/// How many ranges are held ahead of their use.
static AHEAD: AtomicUsize = AtomicUsize::new(0);

/// Reads an object from any offset. The first range comes alone; the further reading goes, the more are read at once.
pub(crate) struct ObjectReader {
    objects: Arc<BucketReader>,
    key: String,
    etag: String,
    bytes: u64,
    /// The bytes that follow what was read.
    current: Bytes,
    /// The offset after `current`.
    at: u64,
    /// The ranges from `at`, in their order.
    ahead: VecDeque<Ahead>,
    /// Where the next range that is asked for begins.
    next: u64,
    /// How many ranges to read at once.
    window: usize,
}

struct Ahead {
    fetch: Fetch,
    end: u64,
    /// Nothing for the range that every object may hold.
    _permit: Option<Permit>,
}

/// Permission to hold one range.
struct Permit;

impl Permit {
    fn take() -> Option<Permit> {
        let more = |held: usize| (held < MAX_AHEAD).then_some(held + 1);
        AHEAD.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        AHEAD.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ObjectReader {
    /// Opens the object at `url`, whose size and ETag `partition` has. Sends no request yet.
    pub(crate) fn open(partition: &Partition, url: &str) -> Result<ObjectReader, InputError> {
        let parsed = ObjectUrl::parse(url).map_err(|reason| InputError::Address { address: url.to_owned(), reason })?;
        let no_etag = || InputError::NoEtag { partition: partition.name.clone() };
        Ok(ObjectReader {
            objects: BucketReader::of(parsed.bucket).map_err(InputError::Storage)?,
            key: parsed.key.to_owned(),
            etag: partition.etag.clone().ok_or_else(no_etag)?,
            bytes: partition.file_bytes.unwrap_or(0),
            current: Bytes::new(),
            at: 0,
            ahead: VecDeque::new(),
            next: 0,
            window: 1,
        })
    }

    /// Opens the object at `url` and starts to read it, or returns nothing if too much is being read ahead already.
    pub(crate) fn prepare(partition: &Partition, url: &str) -> Result<Option<ObjectReader>, InputError> {
        let Some(permit) = Permit::take() else { return Ok(None) };
        let mut reader = ObjectReader::open(partition, url)?;
        if reader.bytes > 0 {
            reader.request(Some(permit));
        }
        Ok(Some(reader))
    }

    /// Returns the size of the object.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the first `bytes` for the whole object.
    pub(crate) fn end_at(&mut self, bytes: u64) {
        self.bytes = self.bytes.min(bytes);
    }

    /// Continues at `offset`.
    pub(crate) fn seek_to(&mut self, offset: u64) {
        let begin = self.at - self.current.len() as u64;
        if (begin..=self.at).contains(&offset) {
            self.current.advance((offset - begin) as usize);
        } else {
            self.current = Bytes::new();
            self.ahead.clear();
            (self.at, self.next, self.window) = (offset, offset, 1);
        }
    }

    /// Asks for the next range.
    fn request(&mut self, permit: Option<Permit>) {
        let end = self.bytes.min(self.next + RANGE_BYTES);
        let fetch = self.objects.fetch(&self.key, &self.etag, self.next..end);
        self.ahead.push_back(Ahead { fetch, end, _permit: permit });
        self.next = end;
    }

    /// Waits for the next range, and asks for those after it.
    fn advance(&mut self) -> io::Result<()> {
        if self.ahead.is_empty() {
            self.request(None);
        }
        while self.ahead.len() < self.window && self.next < self.bytes {
            let Some(permit) = Permit::take() else { break };
            self.request(Some(permit));
        }
        self.window = (self.window * 2).min(MAX_RANGES);
        let Some(Ahead { fetch, end, _permit }) = self.ahead.pop_front() else { return Ok(()) };
        self.current = fetch.wait().map_err(|error| {
            io::Error::other(match error {
                ReadError::Replaced => ObjectFault::Replaced,
                ReadError::Storage(error) => ObjectFault::Storage(error),
            })
        })?;
        self.at = end;
        Ok(())
    }
}

impl Read for ObjectReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() && self.at < self.bytes && !buffer.is_empty() {
            self.advance()?;
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
