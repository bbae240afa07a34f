//! Files of zstd frames.

use std::io::{self, BufRead, BufReader, Read};

use zstd::stream::read::Decoder;

use crate::input::object::fault::ObjectFault;

/// How large a window may be, in bytes: what `zstd` accepts without `--long`.
const MAX_WINDOW: &str = "128 MiB";

/// Decompresses the frames of a file one after another. Anything else after the last one is an error, as for `zstd`.
pub(super) struct Zstandard<R: BufRead> {
    decoder: Decoder<'static, R>,
    has_read: bool,
}

impl<R: Read> Zstandard<BufReader<R>> {
    pub(super) fn new(packed: R) -> io::Result<Zstandard<BufReader<R>>> {
        let mut packed = BufReader::with_capacity(64 * 1024, packed);
        if packed.fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is empty, expected a zstd frame"));
        }
        Ok(Zstandard { decoder: Decoder::with_buffer(packed)?, has_read: false })
    }
}

impl<R: BufRead> Read for Zstandard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.decoder.read(buffer).map_err(|error| explain(error, self.has_read))?;
        self.has_read |= length > 0;
        Ok(length)
    }
}

/// Says what to do about an error of the decoder, which only has a message.
fn explain(error: io::Error, has_read: bool) -> io::Error {
    if error.get_ref().is_some_and(|inner| inner.is::<ObjectFault>()) {
        return error;
    }
    let message = error.to_string();
    let reason = if message.contains("ictionary") {
        "it was compressed with a dictionary; decompress it first".to_owned()
    } else if message.contains("too much memory") {
        format!("it needs a window of more than {MAX_WINDOW}; decompress it first, or compress it without `--long`")
    } else if message.contains("Unknown frame descriptor") && has_read {
        "what follows the last zstd frame is not a frame".to_owned()
    } else if message.contains("Unknown frame descriptor") {
        "it is not a zstd file".to_owned()
    } else {
        return error;
    };
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &[u8]) -> Result<String, String> {
        let mut bytes = String::new();
        let read = Zstandard::new(packed).and_then(|mut unpacked| unpacked.read_to_string(&mut bytes));
        read.map(|_| bytes).map_err(|error| error.to_string())
    }

    fn packed(text: &str) -> Vec<u8> {
        zstd::encode_all(text.as_bytes(), 1).unwrap()
    }

    #[test]
    fn frames_are_read_and_what_cannot_be_read_is_named() {
        let (a, b) = (packed("a"), packed("b"));
        assert_eq!(unpacked(&[a.clone(), b].concat()), Ok("ab".to_owned()));
        let after = "what follows the last zstd frame is not a frame";
        for rest in [&[0; 512][..], b"garbage"] {
            assert_eq!(unpacked(&[&a, rest].concat()), Err(after.to_owned()));
        }
        assert_eq!(unpacked(b""), Err("the file is empty, expected a zstd frame".to_owned()));
        assert_eq!(unpacked(b"not zstd"), Err("it is not a zstd file".to_owned()));
        assert!(unpacked(&a[..a.len() - 1]).is_err());
    }

    #[test]
    fn a_dictionary_and_a_large_window_are_named() {
        // The magic number, a frame of one segment that names dictionary 7, its size, and a raw block.
        let error = unpacked(&[0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 1, 9, 0, 0, b'a']).unwrap_err();
        assert_eq!(error, "it was compressed with a dictionary; decompress it first");
        // A frame that asks for a window of 2 GiB: the magic number, no flags, the window descriptor.
        let error = unpacked(&[0x28, 0xb5, 0x2f, 0xfd, 0, 21 << 3, 1, 0, 0]).unwrap_err();
        assert!(error.starts_with("it needs a window of more than 128 MiB"), "{error}");
    }
}
