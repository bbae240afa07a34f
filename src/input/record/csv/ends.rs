//! Where CSV records end.

use memchr::{memchr, memchr2};

/// Finds the ends of records in bytes that arrive piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct CsvEnds {
    delimiter: u8,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A field begins here.
    FieldStart,
    /// In a field without quotes, or after the closing quote of a field.
    Plain,
    /// Inside quotes.
    Quoted,
    /// After a quote inside quotes: the closing one, or the first of a pair.
    QuoteInQuoted,
}

impl CsvEnds {
    /// Starts where a record begins.
    pub(crate) fn new(delimiter: u8) -> CsvEnds {
        CsvEnds { delimiter, state: State::FieldStart }
    }

    /// Scans further bytes.
    pub(crate) fn scan(&mut self, bytes: &[u8]) {
        let mut from = 0;
        while let Some(end) = self.next_end(bytes, from) {
            from = end;
        }
    }

    /// Returns whether the bytes so far end inside quotes.
    pub(crate) fn is_in_quotes(&self) -> bool {
        self.state == State::Quoted
    }

    /// Returns the index after the `\n` that ends the record of `bytes[from]`, or `None` if all bytes were scanned
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
                        // A quote right after a delimiter opens a quoted field.
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
