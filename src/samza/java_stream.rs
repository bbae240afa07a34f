//! The framing of the small files that Samza writes with Java's `ObjectOutputStream`: a CRC-32 and a text.

use super::error::FormatError;

const HEADER: [u8; 4] = [0xac, 0xed, 0x00, 0x05];
/// Begins a block whose length is one byte.
const SHORT_BLOCK: u8 = 0x77;
/// Begins a block whose length is four bytes.
const LONG_BLOCK: u8 = 0x7a;

/// Returns the text of a file, if it agrees with the CRC-32 before it.
///
/// The text is in segments of up to 65,534 characters, in blocks that have nothing to do with the segments.
pub fn parse_text(bytes: &[u8]) -> Result<String, FormatError> {
    let payload = Payload::parse(bytes)?;
    let mut rest = Cursor { payload: &payload, at: 0 };
    let stored = u64::from_be_bytes(rest.take_array("the CRC-32")?);
    let mut units: Vec<u16> = Vec::new();
    loop {
        let length = u16::from_be_bytes(rest.take_array("the length of the text")?);
        let begin = rest.at;
        let segment = rest.take(usize::from(length), "the text")?;
        decode_modified_utf8(segment, &mut units).map_err(|at| payload.error(begin + at, "expected modified UTF-8"))?;
        if rest.at == payload.bytes.len() {
            break;
        }
    }
    let text = String::from_utf16(&units).map_err(|_| payload.error(8, "expected Unicode text"))?;
    let found = encodings(&text).map(|bytes| u64::from(crc32fast::hash(&bytes)));
    if !found.contains(&stored) {
        return Err(payload.error(0, format!("expected CRC-32 {stored:08x}, found {:08x}", found[0])));
    }
    Ok(text)
}

/// Returns the bytes of which Samza may have taken the CRC-32: it uses the default encoding of the JVM.
fn encodings(text: &str) -> [Vec<u8>; 3] {
    let replaced =
        |most: u32| text.chars().map(|c| if u32::from(c) <= most { u32::from(c) as u8 } else { b'?' }).collect();
    [text.as_bytes().to_vec(), replaced(0xff), replaced(0x7f)]
}

/// The joined contents of the blocks.
struct Payload {
    bytes: Vec<u8>,
    /// Where each block begins, in the payload and in the file.
    blocks: Vec<(usize, usize)>,
}

impl Payload {
    fn parse(file: &[u8]) -> Result<Payload, FormatError> {
        if !file.starts_with(&HEADER) {
            return Err(FormatError::new(0, "expected a Java object stream (ac ed 00 05)"));
        }
        let mut payload = Payload { bytes: Vec::new(), blocks: Vec::new() };
        let mut at = HEADER.len();
        while at < file.len() {
            let (length, head) = match (file[at], &file[at + 1..]) {
                (SHORT_BLOCK, [length, ..]) => (usize::from(*length), 2),
                (LONG_BLOCK, [a, b, c, d, ..]) => (u32::from_be_bytes([*a, *b, *c, *d]) as usize, 5),
                (SHORT_BLOCK | LONG_BLOCK, _) => return Err(FormatError::new(at, "the file ends within a block")),
                (other, _) => return Err(FormatError::new(at, format!("expected a block, found {other:02x}"))),
            };
            let begin = at + head;
            let Some(block) = file.get(begin..begin.saturating_add(length)) else {
                let found = file.len() - begin;
                return Err(FormatError::new(at, format!("expected a block of {length} bytes, found {found}")));
            };
            payload.blocks.push((payload.bytes.len(), begin));
            payload.bytes.extend_from_slice(block);
            at = begin + length;
        }
        Ok(payload)
    }

    /// Makes an error at `at` in the payload.
    fn error(&self, at: usize, reason: impl Into<String>) -> FormatError {
        let block = self.blocks.iter().rev().find(|(begin, _)| *begin <= at);
        FormatError::new(block.map_or(HEADER.len(), |(begin, file)| file + (at - begin)), reason)
    }
}

struct Cursor<'a> {
    payload: &'a Payload,
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize, what: &str) -> Result<&'a [u8], FormatError> {
        let end = self.at.saturating_add(length);
        let taken = self.payload.bytes.get(self.at..end);
        let taken = taken.ok_or_else(|| self.payload.error(self.at, format!("the file ends within {what}")))?;
        self.at = end;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], FormatError> {
        Ok(self.take(N, what)?.try_into().expect("as long as asked for"))
    }
}

/// Appends the UTF-16 code units of Java's encoding of strings: NUL has two bytes, and each surrogate three. Fails with
/// the position of the first byte that does not fit.
fn decode_modified_utf8(bytes: &[u8], units: &mut Vec<u16>) -> Result<(), usize> {
    let mut at = 0;
    while let Some(&first) = bytes.get(at) {
        let continuation = |place: usize| match bytes.get(at + place) {
            Some(byte) if byte & 0xc0 == 0x80 => Ok(u16::from(byte & 0x3f)),
            _ => Err(at),
        };
        let (unit, length) = match first {
            0x00..=0x7f => (u16::from(first), 1),
            0xc0..=0xdf => (u16::from(first & 0x1f) << 6 | continuation(1)?, 2),
            0xe0..=0xef => (u16::from(first & 0x0f) << 12 | continuation(1)? << 6 | continuation(2)?, 3),
            _ => return Err(at),
        };
        units.push(unit);
        at += length;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"kafka.page-views.0":"41"}`, written by Samza 1.8.0.
    const OFFSETS: &[u8] =
        b"\xac\xed\x00\x05\x77\x25\x00\x00\x00\x00\x82\x8b\x4b\x7b\x00\x1b{\"kafka.page-views.0\":\"41\"}";

    #[test]
    fn a_text_is_read_and_compared_with_its_checksum() {
        assert_eq!(parse_text(OFFSETS).expect("intact"), "{\"kafka.page-views.0\":\"41\"}");
        for at in 0..OFFSETS.len() {
            assert!(parse_text(&OFFSETS[..at]).is_err(), "cut short at {at}");
            for bit in 0..8 {
                let mut bytes = OFFSETS.to_vec();
                bytes[at] ^= 1 << bit;
                assert!(parse_text(&bytes).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn errors_have_a_place() {
        let error = |bytes: &[u8]| parse_text(bytes).expect_err("damaged").to_string();
        assert_eq!(error(b""), "expected a Java object stream (ac ed 00 05) at byte 0");
        assert_eq!(error(&OFFSETS[..40]), "expected a block of 37 bytes, found 34 at byte 4");
        assert_eq!(error(b"\xac\xed\x00\x05\x70"), "expected a block, found 70 at byte 4");
        assert_eq!(error(b"\xac\xed\x00\x05\x77\x02ab"), "the file ends within the CRC-32 at byte 6");
        let mut bytes = OFFSETS.to_vec();
        bytes[40] = b'2';
        assert_eq!(error(&bytes), "expected CRC-32 828b4b7b, found 80cdf522 at byte 6");
    }

    #[test]
    fn the_checksum_may_be_that_of_another_encoding() {
        let file = |crc: u32| {
            let text = "\u{e9}".as_bytes();
            [&HEADER[..], &[SHORT_BLOCK, 12, 0, 0, 0, 0], &crc.to_be_bytes(), &[0, 2], text].concat()
        };
        for bytes in ["\u{e9}".as_bytes(), b"\xe9", b"?"] {
            assert_eq!(parse_text(&file(crc32fast::hash(bytes))), Ok("\u{e9}".to_owned()));
        }
        assert!(parse_text(&file(crc32fast::hash(b"e"))).is_err());
    }
}
