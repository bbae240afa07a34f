//! Seals: how a small file that no other file speaks for shows that it is as it was written.
//!
//! A sealed document ends with a comment, the SHA-256 of all that stands before it; a sealed line of JSON ends with a
//! field. Files without a seal were written before there were seals.

use crate::values::digest::Digest;

/// What stands before the SHA-256 in the last line of a sealed document.
const COMMENT: &str = "# sha256: ";

/// What stands before the digits in a sealed line.
const FIELD: &str = ",\"check\":\"";

/// The digits of a SHA-256 that seal a line.
const LINE_DIGITS: usize = 16;

/// Returns `document`, which ends with a new line, with its seal.
pub fn seal(document: String) -> String {
    let sha256 = Digest::of(document.as_bytes());
    format!("{document}{COMMENT}{sha256}\n")
}

/// Tells whether `bytes` are a sealed document, as it was written.
pub fn is_sealed(bytes: &[u8]) -> bool {
    let text = std::str::from_utf8(bytes).ok();
    let parts = text.and_then(|text| text.strip_suffix('\n')?.rsplit_once('\n'));
    parts.is_some_and(|(document, last)| {
        let sha256 = last.strip_prefix(COMMENT).and_then(|digits| digits.parse::<Digest>().ok());
        // With its new line, which is part of what was sealed.
        sha256.is_some_and(|sha256| sha256 == Digest::of(&bytes[..document.len() + 1]))
    })
}

/// Returns `line`, a JSON object without a new line, with its seal.
pub fn seal_line(line: &str) -> String {
    let open = line.strip_suffix('}').unwrap_or(line);
    format!("{open}{FIELD}{}\"}}", line_digits(open.as_bytes()))
}

/// Tells whether `line` is a sealed one, as it was written.
pub fn is_sealed_line(line: &[u8]) -> bool {
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
    use super::*;

    #[test]
    fn a_seal_breaks_with_any_bit() {
        let document = seal("format: 1\njob: a\n".to_owned());
        let line = seal_line("{\"number\":7,\"run\":\"x\"}");
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
}
