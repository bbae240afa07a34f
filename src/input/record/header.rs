//! The header line of a CSV file.

use crate::input::record::csv::split::split;
use crate::input::record::line::{BYTE_ORDER_MARK, trim_line_end};

/// The names of a CSV file's fields, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub names: Vec<String>,
}

impl Header {
    /// Parses the header line, with or without a byte order mark and a line end. The error is a message.
    pub(crate) fn parse(line: &[u8], delimiter: u8) -> Result<Header, String> {
        let line = trim_line_end(line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line));
        let line = std::str::from_utf8(line).map_err(|_| "the header line is not UTF-8".to_owned())?;
        // Without this, a file whose lines end with CR alone is a header line without records.
        if has_bare_return(line) {
            return Err("the header line has a carriage return in it; convert the line ends of the file to LF or CRLF"
                .to_owned());
        }
        let mut names: Vec<String> = Vec::new();
        split(line, delimiter, |_, name| names.push(name.into_owned()))
            .map_err(|bad| format!("the header line is {bad}"))?;
        if line.is_empty() {
            return Err("the header line is empty".to_owned());
        }
        Ok(Header { names })
    }
}

/// Returns whether there is a carriage return outside of quotes.
fn has_bare_return(line: &str) -> bool {
    let mut is_quoted = false;
    line.bytes().any(|byte| {
        is_quoted ^= byte == b'"';
        byte == b'\r' && !is_quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_must_be_a_csv_record_of_text() {
        let parse = |line: &str| Header::parse(line.as_bytes(), b',').map(|header| header.names.join("|"));
        assert_eq!(parse("\u{feff}\"a \"\"b\"\"\",c\r\n").as_deref(), Ok("a \"b\"|c"));
        assert_eq!(parse("a,,a").as_deref(), Ok("a||a"));
        assert_eq!(parse("\"a\r\n\"\"b\",c\r").as_deref(), Ok("a\r\n\"b|c"));
        for bare in ["a,b\r1,2\r", "a,b\r1,2", "a,b\r\r\n", "\"a\",b\r\"c\",d\r\n"] {
            assert!(parse(bare).unwrap_err().contains("carriage return"), "{bare:?}");
        }
        assert_eq!(parse("").unwrap_err(), "the header line is empty");
        assert!(parse("\"a").unwrap_err().contains("no closing quote"));
        assert!(Header::parse(b"\xff,b", b',').unwrap_err().contains("UTF-8"));
    }
}
