//! Files of gzip members.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Decompresses the members of a file one after another. Zeros after the last one are padding, as for `gzip`; anything
/// else there is an error.
pub(super) struct Gzip<R> {
    state: State<R>,
}

enum State<R> {
    Member(Box<GzDecoder<R>>),
    /// All members were read, or reading failed.
    Ended,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(packed: R) -> Gzip<R> {
        Gzip { state: State::Member(Box::new(GzDecoder::new(packed))) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let State::Member(member) = &mut self.state else { return Ok(0) };
            let length = member.read(buffer)?;
            if length > 0 {
                return Ok(length);
            }
            let packed = member.get_mut();
            let next = peek(packed)?;
            if next == Some(0) {
                skip_zeros(packed)?;
                self.state = State::Ended;
                return Ok(0);
            }
            let State::Member(member) = std::mem::replace(&mut self.state, State::Ended) else { return Ok(0) };
            if next.is_some() {
                self.state = State::Member(Box::new(GzDecoder::new(member.into_inner())));
            }
        }
    }
}

/// Reads zeros up to the end. Fails if anything else is there.
fn skip_zeros(packed: &mut impl BufRead) -> io::Result<()> {
    while let Some(byte) = peek(packed)? {
        if byte != 0 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data after the padding of the last gzip member"));
        }
        packed.consume(1);
    }
    Ok(())
}

fn peek(packed: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        match packed.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            filled => return Ok(filled?.first().copied()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn unpacked(packed: &[u8]) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        Gzip::new(io::BufReader::with_capacity(3, packed)).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn zeros_after_the_last_member_are_padding_and_anything_else_is_an_error() {
        let member = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let two = [member("ab"), member(""), member("c")].concat();
        for zeros in [0, 1, 512] {
            assert_eq!(unpacked(&[two.as_slice(), &vec![0; zeros]].concat()).unwrap(), b"abc");
        }
        for after in [&b"x"[..], b"\0x", &[&[0; 512][..], &member("d")].concat()] {
            assert!(unpacked(&[two.as_slice(), after].concat()).is_err());
        }
        for length in 1..member("ab").len() {
            assert!(unpacked(&member("ab")[..length]).is_err(), "{length}");
        }
        assert!(unpacked(&[0; 512]).is_err());
        assert!(unpacked(b"").is_err());
    }
}
