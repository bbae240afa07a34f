//! The bytes of a followed file: in the file itself, or in the compressed file that was made of it.

use std::cell::RefCell;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};

use crate::input::error::InputError;
use crate::input::partition::Partition;
use crate::input::stream::{self, Stream};

/// How many bytes before the last read are kept of a compressed file, so that reading them again is cheap.
const KEPT_BYTES: usize = 64 * 1024;
/// How many bytes of a compressed file are unpacked at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// The bytes of a followed file, which can be read at any offset.
pub(super) enum Content {
    Plain(File),
    Packed(Box<RefCell<Unpacked>>),
}

/// A compressed file, which does not change, and some of its bytes.
pub(super) struct Unpacked {
    partition: Partition,
    file: File,
    stream: Stream,
    /// The offset of the first byte in `window`.
    start: u64,
    window: Vec<u8>,
}

impl Content {
    /// Returns the content of a compressed file.
    pub(super) fn packed(partition: &Partition, file: File) -> Result<Content, InputError> {
        let stream = begin(partition, &file)?;
        let unpacked = Unpacked { partition: partition.clone(), file, stream, start: 0, window: Vec::new() };
        Ok(Content::Packed(Box::new(RefCell::new(unpacked))))
    }

    /// Returns the size as of now, or `None` for a compressed file.
    pub(super) fn size(&self) -> io::Result<Option<u64>> {
        match self {
            Content::Plain(file) => Ok(Some(file.metadata()?.size())),
            Content::Packed(_) => Ok(None),
        }
    }

    /// Returns up to `length` bytes from `begin`, fewer only at the end.
    pub(super) fn read(&self, partition: &Partition, begin: u64, length: u64) -> Result<Vec<u8>, InputError> {
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        let mut filled = 0;
        while filled < bytes.len() {
            let (rest, at) = (&mut bytes[filled..], begin + filled as u64);
            let read = match self {
                Content::Plain(file) => {
                    file.read_at(rest, at).map_err(|source| InputError::read(&partition.name, begin, source))
                }
                Content::Packed(unpacked) => unpacked.borrow_mut().read_at(rest, at),
            };
            match read {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(InputError::Read { source, .. }) if source.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Content::Plain(_) => "Plain",
            Content::Packed(_) => "Packed",
        })
    }
}

impl Unpacked {
    /// Reads at most as many bytes as `buffer` has, none only at the end. Reading backward may start from the beginning.
    fn read_at(&mut self, buffer: &mut [u8], at: u64) -> Result<usize, InputError> {
        if at < self.start {
            self.stream = begin(&self.partition, &self.file)?;
            (self.start, self.window) = (0, Vec::new());
        }
        let mut chunk = vec![0; CHUNK_BYTES];
        while self.end() <= at {
            let read = self.stream.read_some(&mut chunk);
            let length = read.map_err(|source| InputError::read(&self.partition.name, self.end(), source))?;
            if length == 0 {
                return Ok(0);
            }
            self.window.extend_from_slice(&chunk[..length]);
            self.forget_before(at);
        }
        let from = usize::try_from(at - self.start).unwrap_or(usize::MAX);
        let length = buffer.len().min(self.window.len() - from);
        buffer[..length].copy_from_slice(&self.window[from..from + length]);
        Ok(length)
    }

    fn end(&self) -> u64 {
        self.start + self.window.len() as u64
    }

    /// Forgets most of what is before `at`, once it is worth the effort.
    fn forget_before(&mut self, at: u64) {
        let before = usize::try_from(at - self.start).unwrap_or(usize::MAX).min(self.window.len());
        if before > 16 * KEPT_BYTES {
            self.window.drain(..before - KEPT_BYTES);
            self.start += (before - KEPT_BYTES) as u64;
        }
    }
}

/// Starts to unpack `file` at its beginning.
fn begin(partition: &Partition, file: &File) -> Result<Stream, InputError> {
    let read = |source| InputError::read(&partition.name, 0, source);
    let mut again = file.try_clone().map_err(read)?;
    again.seek(SeekFrom::Start(0)).map_err(read)?;
    stream::unpacked(partition, partition.compression, again)
}
