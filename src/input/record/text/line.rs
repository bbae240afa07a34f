//! A line, read from left to right.

use memchr::memchr;

use crate::input::record::bad_record::BadRecord;

/// A line, and how far it was read.
pub(super) struct Line<'a> {
    text: &'a str,
    at: usize,
}

/// What was expected, and at which byte.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    at: usize,
    what: &'static str,
    /// Whether `what` is to be quoted.
    is_literal: bool,
}

impl Expected {
    /// Returns the error for a line that should have been `form`.
    #[cold]
    pub(super) fn explain(self, form: &str) -> BadRecord {
        let Expected { at, what, is_literal } = self;
        let what = if is_literal { format!("`{what}`") } else { what.to_owned() };
        BadRecord { reason: format!("is not a line of {form}: expected {what} at byte {at}") }
    }
}

/// The names of months in logs.
pub(super) const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Returns whether `text` begins like `form`, in which `0` stands for any digit, `_` for a digit or a space, `M` for a
/// letter, and `+` for a sign. Everything else stands for itself.
pub(super) fn begins_like(text: &[u8], form: &[u8]) -> bool {
    text.len() >= form.len()
        && text.iter().zip(form).all(|(byte, form)| match form {
            b'0' => byte.is_ascii_digit(),
            b'_' => byte.is_ascii_digit() || *byte == b' ',
            b'M' => byte.is_ascii_alphabetic(),
            b'+' => matches!(byte, b'+' | b'-'),
            _ => byte == form,
        })
}

impl<'a> Line<'a> {
    pub(super) fn new(text: &'a str) -> Line<'a> {
        Line { text, at: 0 }
    }

    /// Returns the rest of the line.
    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Makes an error that `what` was expected here.
    pub(super) fn expected(&self, what: &'static str) -> Expected {
        Expected { at: self.at, what, is_literal: false }
    }

    /// Takes the text before the index in the rest that `find` returns, which must be that of an ASCII character or the
    /// end.
    #[inline]
    pub(super) fn until(&mut self, find: impl FnOnce(&[u8]) -> Option<usize>) -> Option<&'a str> {
        let rest = self.rest();
        let found = rest.get(..find(rest.as_bytes())?)?;
        self.at += found.len();
        Some(found)
    }

    /// Takes a word and the space behind it.
    #[inline]
    pub(super) fn word(&mut self, what: &'static str) -> Result<&'a str, Expected> {
        let before = self.expected(what);
        let word = self.until(|rest| memchr(b' ', rest)).filter(|word| !word.is_empty()).ok_or(before)?;
        self.at += 1;
        Ok(word)
    }

    /// Takes `text`.
    #[inline]
    pub(super) fn skip(&mut self, text: &'static str) -> Result<(), Expected> {
        if !self.rest().starts_with(text) {
            return Err(Expected { at: self.at, what: text, is_literal: true });
        }
        self.at += text.len();
        Ok(())
    }

    /// Fails unless the line ends here.
    pub(super) fn end(&self) -> Result<(), Expected> {
        if self.at == self.text.len() { Ok(()) } else { Err(self.expected("the end")) }
    }
}
