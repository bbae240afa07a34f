//! Reading ahead in a thread of its own.

use std::io::{self, Read};
use std::thread::Builder;

use crossbeam_channel::{Receiver, Sender, bounded};

/// The size of a chunk in bytes.
const CHUNK_BYTES: usize = 128 * 1024;
/// How many chunks are read ahead: together two blocks, so that a thread has work while another partition has its turn.
const CHUNKS: usize = 4;

/// Reads a source ahead, in a thread that ends with the source or when this is dropped.
///
/// What was read before an error comes before the error.
pub(super) struct ReadAhead {
    /// An empty chunk is the end. Without it, the thread has died.
    full: Receiver<io::Result<Vec<u8>>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    /// How much of the chunk was taken.
    taken: usize,
    has_ended: bool,
}

impl ReadAhead {
    pub(super) fn start(source: impl Read + Send + 'static) -> io::Result<ReadAhead> {
        let (full_sender, full) = bounded(CHUNKS);
        let (empty, empty_receiver) = bounded(CHUNKS);
        for _ in 0..CHUNKS {
            empty.send(Vec::new()).expect("the receiver is here");
        }
        Builder::new().spawn(move || fill_all(source, &empty_receiver, &full_sender))?;
        Ok(ReadAhead { full, empty, chunk: Vec::new(), taken: 0, has_ended: false })
    }

    /// Exchanges the chunk for the next one, which is empty at the end.
    fn next_chunk(&mut self) -> io::Result<()> {
        let died = || io::Error::other("the thread that reads ahead has ended early");
        let next = self.full.recv().map_err(|_| died())??;
        self.has_ended = next.is_empty();
        let spent = std::mem::replace(&mut self.chunk, next);
        self.taken = 0;
        // At the end the thread needs no more of them.
        let _ = self.empty.send(spent);
        Ok(())
    }
}

impl Read for ReadAhead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.chunk.len() && !self.has_ended && !buffer.is_empty() {
            self.next_chunk()?;
        }
        let length = (&self.chunk[self.taken..]).read(buffer)?;
        self.taken += length;
        Ok(length)
    }
}

/// Reads `source` to its end or its first error, as long as chunks come back.
fn fill_all(mut source: impl Read, empty: &Receiver<Vec<u8>>, full: &Sender<io::Result<Vec<u8>>>) {
    for mut chunk in empty {
        let result = fill(&mut source, &mut chunk);
        let is_last = result.is_err() || chunk.is_empty();
        if (!chunk.is_empty() || result.is_ok()) && full.send(Ok(chunk)).is_err() {
            return;
        }
        if let Err(error) = result {
            let _ = full.send(Err(error));
        }
        if is_last {
            return;
        }
    }
}

/// Reads until `chunk` is full or the source ends.
fn fill(source: &mut impl Read, chunk: &mut Vec<u8>) -> io::Result<()> {
    chunk.resize(CHUNK_BYTES, 0);
    let mut filled = 0;
    let result = loop {
        match source.read(&mut chunk[filled..]) {
            Ok(0) => break Ok(()),
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    chunk.truncate(filled);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `left` bytes in pieces, then an error or the end.
    struct Source {
        left: usize,
        fails: bool,
    }

    impl Read for Source {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 && self.fails {
                return Err(io::Error::other("broken"));
            }
            let length = buffer.len().min(self.left).min(10_007);
            for (at, byte) in buffer[..length].iter_mut().enumerate() {
                *byte = ((self.left - at) % 251) as u8;
            }
            self.left -= length;
            Ok(length)
        }
    }

    #[test]
    fn everything_before_the_end_or_an_error_is_read() {
        for left in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 10 * CHUNK_BYTES] {
            for fails in [false, true] {
                let mut plain = Vec::new();
                let of_plain = Source { left, fails }.read_to_end(&mut plain).map_err(|error| error.to_string());
                let (mut ahead, mut bytes) = (ReadAhead::start(Source { left, fails }).unwrap(), Vec::new());
                let of_ahead = ahead.read_to_end(&mut bytes).map_err(|error| error.to_string());
                assert_eq!((&of_ahead, bytes == plain), (&of_plain, true), "{left} {fails}");
                // Once more: still the end, or still an error.
                assert_eq!(ahead.read(&mut [0]).is_err(), fails, "{left} {fails}");
            }
        }
    }

    #[test]
    fn a_thread_that_dies_is_not_the_end() {
        struct Panics;
        impl Read for Panics {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                panic!("as a decoder with a fault does");
            }
        }
        assert!(ReadAhead::start(Panics).unwrap().read(&mut [0]).is_err());
    }

    #[test]
    fn the_thread_ends_when_nobody_reads_any_more() {
        struct Endless(#[expect(dead_code, reason = "it is dropped with the source")] Sender<()>);
        impl Read for Endless {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                buffer.fill(7);
                Ok(buffer.len())
            }
        }
        let (sender, receiver) = bounded(0);
        let mut ahead = ReadAhead::start(Endless(sender)).unwrap();
        assert_eq!(ahead.read(&mut [0; 3]).unwrap(), 3);
        drop(ahead);
        // Fails once the source is dropped.
        assert!(receiver.recv().is_err());
    }
}
