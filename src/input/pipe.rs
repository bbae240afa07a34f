//! Standard input, which may pause.

use std::io::{self, Read};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded};

/// The most bytes that are read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// How many chunks may wait to be taken.
const CHUNKS: usize = 4;

/// The bytes of standard input. A thread reads them, because a read that has begun cannot be given up.
pub(super) struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    /// What has arrived and was not looked at.
    next: Option<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    at: usize,
    has_ended: bool,
}

impl Pipe {
    /// Reads `source` from now on.
    pub(super) fn new(mut source: impl Read + Send + 'static) -> io::Result<Pipe> {
        let (sender, chunks) = bounded(CHUNKS);
        let read = move || {
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let result = source.read(&mut chunk);
                if result.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {
                    continue;
                }
                let is_last = !matches!(result, Ok(1..));
                let chunk = result.map(|length| {
                    chunk.truncate(length);
                    chunk
                });
                if sender.send(chunk).is_err() || is_last {
                    return;
                }
            }
        };
        std::thread::Builder::new().name("standard input".to_owned()).spawn(read)?;
        Ok(Pipe { chunks, next: None, chunk: Vec::new(), at: 0, has_ended: false })
    }

    /// Reads what has arrived, or waits for more. Returns 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.chunk.len() && !self.has_ended {
            let next = self.next.take().or_else(|| self.chunks.recv().ok());
            self.chunk = next.unwrap_or(Ok(Vec::new()))?;
            self.at = 0;
            self.has_ended = self.chunk.is_empty();
        }
        let length = buffer.len().min(self.chunk.len() - self.at);
        buffer[..length].copy_from_slice(&self.chunk[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }

    /// Returns whether bytes, the end or an error arrive within `patience`.
    pub(super) fn arrives_within(&mut self, patience: Duration) -> bool {
        if self.at < self.chunk.len() || self.has_ended || self.next.is_some() {
            return true;
        }
        match self.chunks.recv_timeout(patience) {
            Ok(next) => self.next = Some(next),
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => self.has_ended = true,
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_arrive() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pipe = Pipe::new(reader).unwrap();
        assert!(!pipe.arrives_within(Duration::from_millis(20)));
        io::Write::write_all(&mut writer, b"abc").unwrap();
        assert!(pipe.arrives_within(Duration::from_secs(60)));
        let mut buffer = [0; 2];
        assert_eq!((pipe.read(&mut buffer).unwrap(), buffer), (2, *b"ab"));
        assert!(pipe.arrives_within(Duration::ZERO));
        assert_eq!((pipe.read(&mut buffer).unwrap(), buffer[0]), (1, b'c'));
        assert!(!pipe.arrives_within(Duration::from_millis(20)));
        drop(writer);
        assert_eq!(pipe.read(&mut buffer).unwrap(), 0);
        assert!(pipe.arrives_within(Duration::ZERO));
        assert_eq!(pipe.read(&mut buffer).unwrap(), 0);
    }
}
