//! Seals: how a small file that no other file vouches for shows that it is as it was written.
//!
//! A sealed document ends with a comment, the SHA-256 of everything before it; a sealed line of JSON ends with a field.
//! Files without a seal were written before there were seals.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values::digest::Digest;
use crate::values::yaml;

/// What comes before the SHA-256 in the last line of a sealed document.
const COMMENT: &str = "# sha256: ";

/// What comes before the digits in a sealed line.
const FIELD: &str = ",\"check\":\"";

/// How many digits of a SHA-256 seal a line.
const LINE_DIGITS: usize = 16;

/// A value that was read from a sealed document or line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed<T> {
    pub value: T,
    /// Whether it is as it was written: its seal fits or, without one, it has the form that this program gives it. The
    /// latter reveals only some changes.
    pub is_whole: bool,
}

impl<T: Serialize> Sealed<T> {
    /// Writes `value` as a YAML document with its seal.
    pub fn write(value: &T) -> String {
        let document = yaml::to_string(value);
        let sha256 = Digest::of(document.as_bytes());
        format!("{document}{COMMENT}{sha256}\n")
    }

    /// Takes `value`, which was read from the YAML document `bytes`.
    pub fn of(value: T, bytes: &[u8]) -> Sealed<T> {
        let is_whole = is_sealed(bytes) || yaml::to_string(&value).as_bytes() == bytes;
        Sealed { value, is_whole }
    }

    /// Writes `value`, a JSON object, as a line with its seal, without the line end.
    pub fn write_line(value: &T) -> String {
        let line = serde_json::to_string(value).expect("numbers and text are JSON");
        let open = line.strip_suffix('}').unwrap_or(&line);
        format!("{open}{FIELD}{}\"}}", line_digits(open.as_bytes()))
    }
}

impl<T: Serialize + DeserializeOwned> Sealed<T> {
    /// Reads a YAML document, sealed or not; nothing if it cannot be read.
    pub fn read(bytes: &[u8]) -> Option<Sealed<T>> {
        Some(Sealed::of(yaml::from_str(yaml::decode(bytes).ok()?).ok()?, bytes))
    }

    /// Reads a line of JSON, sealed or not, without its line end; nothing if it cannot be read.
    pub fn read_line(line: &[u8]) -> Option<Sealed<T>> {
        let value: T = serde_json::from_slice(line).ok()?;
        let is_whole = is_sealed_line(line) || serde_json::to_vec(&value).is_ok_and(|written| written == line);
        Some(Sealed { value, is_whole })
    }
}

/// Tells whether `bytes` are a sealed document, as it was written.
fn is_sealed(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let parts = text.and_then(|text| text.strip_suffix('\n')?.rsplit_once('\n'));
    parts.is_some_and(|(document, last)| {
        let sha256 = last.strip_prefix(COMMENT).and_then(|digits| digits.parse::<Digest>().ok());
        // With its line end, which is part of what was sealed.
        sha256.is_some_and(|sha256| sha256 == Digest::of(&bytes[..document.len() + 1]))
    })
}

/// Tells whether `line` is a sealed line, as it was written.
fn is_sealed_line(line: &[u8]) -> bool {
    let text = std::str::from_utf8(line).ok();
    let parts = text.and_then(|text| text.strip_suffix("\"}")?.rsplit_once(FIELD));
    parts.is_some_and(|(open, digits)| digits == line_digits(open.as_bytes()))
}

fn line_digits(open: &[u8]) -> String {
    let mut digits = Digest::of(open).to_string();
    digits.truncate(LINE_DIGITS);
    digits
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Record {
        number: u32,
        job: String,
    }

    fn record() -> Record {
        Record { number: 7, job: "a".to_owned() }
    }

    #[test]
    fn a_seal_breaks_with_any_bit() {
        let (document, line) = (Sealed::write(&record()), Sealed::write_line(&record()));
        assert!(is_sealed(document.as_bytes()) && is_sealed_line(line.as_bytes()));
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
        for (bytes, is_whole) in [(document, is_sealed as fn(&[u8]) -> bool), (line, is_sealed_line)] {
            let bytes = bytes.into_bytes();
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut flipped = bytes.clone();
                    flipped[at] ^= 1 << bit;
                    assert!(!is_whole(&flipped), "byte {at} bit {bit}");
                }
                assert!(!is_whole(&bytes[..at]), "cut at {at}");
            }
        }
        assert!(!is_sealed(b"") && !is_sealed(b"\n") && !is_sealed(b"format: 1\n") && !is_sealed_line(b"{}"));
    }

    #[test]
    fn what_is_read_says_whether_it_is_as_it_was_written() {
        let whole = Some(Sealed { value: record(), is_whole: true });
        let changed = Some(Sealed { value: record(), is_whole: false });
        let document = Sealed::write(&record());
        assert_eq!(Sealed::read(document.as_bytes()), whole);
        assert_eq!(Sealed::read(document.replace("job: a", "job:  a").as_bytes()), changed);
        // From before there were seals.
        assert_eq!(Sealed::read(b"number: 7\njob: a\n"), whole);
        assert_eq!(Sealed::read(b"number:  7\njob: a\n"), changed);
        assert_eq!(Sealed::<Record>::read(b"number: x\n"), None);
        let line = Sealed::write_line(&record());
        assert_eq!(Sealed::read_line(line.as_bytes()), whole);
        assert_eq!(Sealed::read_line(line.replace(":7", ": 7").as_bytes()), changed);
        assert_eq!(Sealed::read_line(br#"{"number":7,"job":"a"}"#), whole);
        assert_eq!(Sealed::<Record>::read_line(b"{"), None);
    }
}
