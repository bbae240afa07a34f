//! CSV: where records end, and where fields do.
//!
//! RFC 4180, and as csv-core reads it: a quote opens a quoted field only at the field's beginning, elsewhere it is a
//! character like any other. The reader of the input and the taking apart of records must agree on that to the byte,
//! which is why both are here.

use std::borrow::Cow;
use std::sync::Arc;

use memchr::{memchr, memchr2};

use super::{BadRecord, Field, Header, trim_line_end};
use crate::job::field::FieldPath;

/// Finds the ends of records in bytes that come piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct CsvEnds {
    delimiter: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A field begins here.
    FieldStart,
    /// In a field that has no quotes, or behind the quotes of one that has.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote between quotes: the closing one, or the first of a pair.
    QuoteInQuoted,
}

impl CsvEnds {
    /// Begins where a record does.
    pub(crate) fn new(delimiter: u8) -> CsvEnds {
        CsvEnds { delimiter, state: State::FieldStart }
    }

    /// Returns the index behind the `\n` that ends the record in which `bytes[from]` lies; nothing when all was taken
    /// without finding it.
    pub(crate) fn next_end(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        loop {
            match self.state {
                State::Quoted => {
                    at += memchr(b'"', &bytes[at..])? + 1;
                    self.state = State::QuoteInQuoted;
                }
                State::FieldStart | State::QuoteInQuoted => {
                    if *bytes.get(at)? == b'"' {
                        self.state = State::Quoted;
                        at += 1;
                    } else {
                        self.state = State::Plain;
                    }
                }
                State::Plain => match memchr2(b'\n', b'"', &bytes[at..]) {
                    Some(length) if bytes[at + length] == b'\n' => {
                        self.state = State::FieldStart;
                        return Some(at + length + 1);
                    }
                    Some(length) => {
                        // A quote right behind a delimiter opens a quoted field.
                        if length > 0 && bytes[at + length - 1] == self.delimiter {
                            self.state = State::Quoted;
                        }
                        at += length + 1;
                    }
                    None => {
                        if at < bytes.len() && bytes.last() == Some(&self.delimiter) {
                            self.state = State::FieldStart;
                        }
                        return None;
                    }
                },
            }
        }
    }
}

/// Hands the fields of `record`, which has no line end, to `take` with their index. Returns how many there are.
pub(crate) fn split<'a>(
    record: &'a str,
    delimiter: u8,
    mut take: impl FnMut(usize, Cow<'a, str>),
) -> Result<usize, BadRecord> {
    let bytes = record.as_bytes();
    let malformed = |at: usize, what: &str| BadRecord { reason: format!("malformed CSV at byte {at}: {what}") };
    let text =
        |from: usize, to: usize| record.get(from..to).ok_or_else(|| malformed(from, "a delimiter inside a character"));
    let mut at = 0;
    let mut index = 0;
    loop {
        let end;
        if bytes.get(at) == Some(&b'"') {
            let mut doubled = false;
            let mut from = at + 1;
            let close = loop {
                let Some(length) = memchr(b'"', &bytes[from..]) else {
                    return Err(malformed(at, "a quoted field has no closing quote"));
                };
                if bytes.get(from + length + 1) != Some(&b'"') {
                    break from + length;
                }
                doubled = true;
                from += length + 2;
            };
            end = close + 1;
            if bytes.get(end).is_some_and(|byte| *byte != delimiter) {
                return Err(malformed(end, "a quoted field goes on behind its closing quote"));
            }
            let inside = text(at + 1, close)?;
            take(index, if doubled { Cow::Owned(inside.replace("\"\"", "\"")) } else { Cow::Borrowed(inside) });
        } else {
            end = memchr(delimiter, &bytes[at..]).map_or(bytes.len(), |length| at + length);
            take(index, Cow::Borrowed(text(at, end)?));
        }
        index += 1;
        if end == bytes.len() {
            return Ok(index);
        }
        at = end + 1;
    }
}

impl Header {
    /// Reads the header line `line`, with or without its line end and a byte order mark. The error says what is wrong
    /// with it.
    pub(crate) fn parse(line: &[u8], delimiter: u8) -> Result<Header, String> {
        let line = trim_line_end(line.strip_prefix(super::BYTE_ORDER_MARK).unwrap_or(line));
        let line = std::str::from_utf8(line).map_err(|_| "the header line is not UTF-8".to_owned())?;
        let mut names: Vec<String> = Vec::new();
        split(line, delimiter, |_, name| names.push(name.into_owned()))
            .map_err(|bad| format!("the header line is {bad}"))?;
        if let Some(index) = names.iter().position(String::is_empty) {
            return Err(format!("column {} has no name in the header line", index + 1));
        }
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("`{}` is there twice in the header line", super::shown(pair[0])));
        }
        Ok(Header { names })
    }
}

/// The columns that are asked for.
#[derive(Debug, Clone)]
pub(super) struct CsvFields {
    pub(super) delimiter: u8,
    /// The names that are asked for; a path of several is the name with dots.
    names: Vec<String>,
    /// The header that `columns` belongs to.
    header: Option<Arc<Header>>,
    /// Column and slot of what the header has, sorted.
    columns: Vec<(usize, usize)>,
}

impl CsvFields {
    pub(super) fn new(delimiter: u8, fields: &[FieldPath]) -> CsvFields {
        let names = fields.iter().map(|field| field.names.join(".")).collect();
        CsvFields { delimiter, names, header: None, columns: Vec::new() }
    }

    /// Gets ready for the records below `header`.
    pub(super) fn select(&mut self, header: &Arc<Header>) {
        if self.header.as_ref().is_some_and(|known| Arc::ptr_eq(known, header)) {
            return;
        }
        self.columns.clear();
        for (slot, name) in self.names.iter().enumerate() {
            if let Some(column) = header.names.iter().position(|other| other == name) {
                self.columns.push((column, slot));
            }
        }
        self.columns.sort_unstable();
        self.header = Some(header.clone());
    }

    /// Fills `slots`, all of them [`Field::Missing`], from `record`, which has no line end.
    pub(super) fn extract<'a>(&self, record: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
        let mut wanted = self.columns.iter().peekable();
        let found = split(record, self.delimiter, |index, text| {
            while let Some((_, slot)) = wanted.next_if(|(column, _)| *column == index) {
                if !text.is_empty() {
                    slots[*slot] = Field::Text(text.clone());
                }
            }
        })?;
        let expected = self.header.as_ref().map_or(0, |header| header.names.len());
        if found == expected {
            return Ok(());
        }
        let fields = |count: usize| if count == 1 { "1 field".to_owned() } else { format!("{count} fields") };
        Err(BadRecord { reason: format!("has {}, the header line has {}", fields(found), fields(expected)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What csv-core makes of `bytes`: the fields of each record.
    fn oracle(bytes: &[u8]) -> Vec<Vec<Vec<u8>>> {
        let mut reader = csv_core::ReaderBuilder::new().terminator(csv_core::Terminator::Any(b'\n')).build();
        let (mut records, mut fields, mut field) = (Vec::new(), Vec::new(), Vec::new());
        let mut input = bytes;
        loop {
            let mut output = [0; 64];
            let (result, taken, made) = reader.read_field(input, &mut output);
            input = &input[taken..];
            field.extend_from_slice(&output[..made]);
            match result {
                csv_core::ReadFieldResult::Field { record_end } => {
                    fields.push(std::mem::take(&mut field));
                    if record_end {
                        records.push(std::mem::take(&mut fields));
                    }
                }
                csv_core::ReadFieldResult::End => return records,
                csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
            }
        }
    }

    fn ends(bytes: &[u8], piece: usize) -> Vec<usize> {
        let mut scan = CsvEnds::new(b',');
        let mut ends = Vec::new();
        for (i, piece_bytes) in bytes.chunks(piece).enumerate() {
            let mut from = 0;
            while let Some(end) = scan.next_end(piece_bytes, from) {
                ends.push(i * piece + end);
                from = end;
            }
        }
        if ends.last() != Some(&bytes.len()) && !bytes.is_empty() {
            ends.push(bytes.len());
        }
        ends
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn records_and_fields_are_those_of_csv_core(text in "[a\",\n]{0,40}", piece in 1usize..8) {
            let bytes = text.as_bytes();
            let ends = ends(bytes, piece);
            let starts = std::iter::once(0).chain(ends.iter().copied());
            let records: Vec<&str> = starts.zip(&ends).map(|(start, end)| &text[start..*end]).collect();
            let records: Vec<&str> = records
                .into_iter()
                .map(|record| record.strip_suffix('\n').unwrap_or(record))
                .filter(|record| !record.is_empty())
                .collect();
            let expected = oracle(bytes);
            prop_assert_eq!(records.len(), expected.len());
            for (record, expected) in records.iter().zip(expected) {
                let mut fields = Vec::new();
                if let Ok(count) = split(record, b',', |_, field| fields.push(field.into_owned().into_bytes())) {
                    prop_assert_eq!(count, fields.len());
                    prop_assert_eq!(fields, expected);
                }
            }
        }
    }

    #[test]
    fn a_header_that_names_nothing_or_the_same_twice_is_refused() {
        let parse = |line: &str| Header::parse(line.as_bytes(), b',').map(|header| header.names.join("|"));
        assert_eq!(parse("\u{feff}\"a \"\"b\"\"\",c\r\n").as_deref(), Ok("a \"b\"|c"));
        assert_eq!(parse("a,,b").unwrap_err(), "column 2 has no name in the header line");
        assert_eq!(parse("").unwrap_err(), "column 1 has no name in the header line");
        assert_eq!(parse("a,b,a").unwrap_err(), "`a` is there twice in the header line");
        assert!(parse("\"a").unwrap_err().contains("no closing quote"));
        assert!(Header::parse(b"\xff,b", b',').unwrap_err().contains("UTF-8"));
    }
}
