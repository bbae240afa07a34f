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
        let mut names: Vec<String> = Vec::new();
        split(line, delimiter, |_, name| names.push(name.into_owned()))
            .map_err(|bad| format!("the header line is {bad}"))?;
        if line.is_empty() {
            return Err("the header line is empty".to_owned());
        }
        Ok(Header { names })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_must_be_a_csv_record_of_text() {
        let parse = |line: &str| Header::parse(line.as_bytes(), b',').map(|header| header.names.join("|"));
        assert_eq!(parse("\u{feff}\"a \"\"b\"\"\",c\r\n").as_deref(), Ok("a \"b\"|c"));
        assert_eq!(parse("a,,a").as_deref(), Ok("a||a"));
        assert_eq!(parse("").unwrap_err(), "the header line is empty");
        assert!(parse("\"a").unwrap_err().contains("no closing quote"));
        assert!(Header::parse(b"\xff,b", b',').unwrap_err().contains("UTF-8"));
    }
}
