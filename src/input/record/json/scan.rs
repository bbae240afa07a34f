//! One pass over the values of a JSON record.

use std::borrow::Cow;
use std::ops::Range;

use crate::input::record::field::Field;
use crate::input::record::json::fault::{Fault, FaultKind, Scanned};
use crate::input::record::json::unescape::unescape;
use crate::input::record::json::words::eight_bytes;

/// How deep objects and arrays may be nested.
pub(super) const DEPTH_LIMIT: u32 = 128;

/// Returns whether `text` is a JSON number.
pub(crate) fn is_number(text: &str) -> bool {
    let mut scan = Scan::new(text);
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')) && scan.number().is_ok() && scan.at == text.len()
}

/// A scan of a record. Its methods check a part of the record and move past it.
pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

/// A string that was checked.
pub(super) struct Quoted {
    /// What is between its quotes.
    pub(super) inside: Range<usize>,
    pub(super) escaped: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Scan<'a> {
        Scan { text, bytes: text.as_bytes(), at: 0 }
    }

    /// Scans any value and the white space before it. `depth` containers are open.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: u32) -> Scanned<Span> {
        let first = self.after_space();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.at += 1;
                self.string().map(Span::Text)
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(Span::Number(start..self.at))
            }
            Some(b't') => self.literal(b"true", Span::Bool(true)),
            Some(b'f') => self.literal(b"false", Span::Bool(false)),
            Some(b'n') => self.literal(b"null", Span::Null),
            Some(b'{' | b'[') => {
                self.container(depth)?;
                Ok(Span::Json(start..self.at))
            }
            _ => Err(self.expected("a value")),
        }
    }

    /// Scans a whole object or array, without recursion. `depth` containers are open around it.
    #[inline(never)]
    fn container(&mut self, depth: u32) -> Scanned<()> {
        // One bit per open container, the innermost lowest: whether it is an object.
        let mut objects = 0u128;
        let mut open = 0;
        loop {
            // A value begins here.
            let is_object = match self.after_space() {
                Some(b'{') => true,
                Some(b'[') => false,
                _ => {
                    self.scalar()?;
                    if self.close(&mut objects, &mut open)? {
                        return Ok(());
                    }
                    continue;
                }
            };
            if depth + open >= DEPTH_LIMIT {
                return Err(self.too_deep());
            }
            self.at += 1;
            objects = objects << 1 | u128::from(is_object);
            open += 1;
            match (is_object, self.after_space()) {
                (true, Some(b'}')) | (false, Some(b']')) => {
                    self.at += 1;
                    objects >>= 1;
                    open -= 1;
                    if open == 0 || self.close(&mut objects, &mut open)? {
                        return Ok(());
                    }
                }
                (true, Some(b'"')) => self.name()?,
                (true, _) => return Err(self.expected("a name or `}`")),
                (false, _) => {}
            }
        }
    }

    /// Scans from the end of a value inside containers to the next value. Returns whether the outermost container was
    /// closed.
    fn close(&mut self, objects: &mut u128, open: &mut u32) -> Scanned<bool> {
        loop {
            let is_object = *objects & 1 == 1;
            match self.after_space() {
                Some(b',') => {
                    self.at += 1;
                    if is_object {
                        match self.after_space() {
                            Some(b'"') => self.name()?,
                            _ => return Err(self.expected("a name")),
                        }
                    }
                    return Ok(false);
                }
                Some(b'}') if is_object => {}
                Some(b']') if !is_object => {}
                _ => return Err(self.expected(if is_object { "`,` or `}`" } else { "`,` or `]`" })),
            }
            self.at += 1;
            *objects >>= 1;
            *open -= 1;
            if *open == 0 {
                return Ok(true);
            }
        }
    }

    /// Scans a name and its colon.
    fn name(&mut self) -> Scanned<()> {
        self.at += 1;
        self.string()?;
        match self.after_space() {
            Some(b':') => {
                self.at += 1;
                Ok(())
            }
            _ => Err(self.expected("`:`")),
        }
    }

    fn scalar(&mut self) -> Scanned<()> {
        match self.bytes.get(self.at) {
            Some(b'"') => {
                self.at += 1;
                self.string().map(drop)
            }
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", ()),
            Some(b'f') => self.literal(b"false", ()),
            Some(b'n') => self.literal(b"null", ()),
            _ => Err(self.expected("a value")),
        }
    }

    /// Skips white space, and returns the next byte without taking it.
    #[inline(always)]
    pub(super) fn after_space(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Scans a string after its opening quote.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Scanned<Quoted> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = plain_end(self.bytes, self.at);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Quoted { inside: start..self.at - 1, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                Some(_) => return Err(self.wrong("a control character in a string must be escaped")),
                None => return Err(self.expected("the closing `\"` of a string")),
            }
        }
    }

    /// Scans an escape sequence.
    #[cold]
    fn escape(&mut self) -> Scanned<()> {
        match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 2;
                Ok(())
            }
            Some(b'u') => {
                let unit = self.code_unit(self.at)?;
                match unit {
                    0xD800..=0xDBFF => {
                        let is_pair = self.bytes.get(self.at + 6..self.at + 8) == Some(b"\\u")
                            && matches!(self.code_unit(self.at + 6)?, 0xDC00..=0xDFFF);
                        if !is_pair {
                            return Err(self.wrong("half of a surrogate pair"));
                        }
                        self.at += 12;
                    }
                    0xDC00..=0xDFFF => return Err(self.wrong("half of a surrogate pair")),
                    _ => self.at += 6,
                }
                Ok(())
            }
            _ => Err(self.wrong("invalid JSON escape")),
        }
    }

    /// Reads the four digits of the `\u` at `at`.
    fn code_unit(&self, at: usize) -> Scanned<u32> {
        let digits = self.bytes.get(at + 2..at + 6).unwrap_or_default();
        if digits.len() < 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(Fault { at, kind: FaultKind::Wrong("`\\u` needs four hexadecimal digits") });
        }
        Ok(digits.iter().fold(0, |unit, digit| unit << 4 | char::from(*digit).to_digit(16).unwrap_or(0)))
    }

    #[inline(always)]
    pub(super) fn number(&mut self) -> Scanned<()> {
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => {
                self.at += 1;
                if matches!(self.bytes.get(self.at), Some(b'0'..=b'9')) {
                    return Err(self.wrong("a number must not begin with a zero"));
                }
            }
            Some(b'1'..=b'9') => self.digits(),
            _ => return Err(self.expected("a digit")),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn some_digits(&mut self) -> Scanned<()> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    #[inline(always)]
    fn digits(&mut self) {
        self.at = digits_end(self.bytes, self.at);
    }

    #[inline]
    fn literal<T>(&mut self, literal: &'static [u8], value: T) -> Scanned<T> {
        if self.bytes[self.at..].starts_with(literal) {
            self.at += literal.len();
            return Ok(value);
        }
        Err(self.expected("a value"))
    }

    pub(super) fn unescaped(&self, quoted: &Quoted) -> Cow<'a, str> {
        let inside = &self.text[quoted.inside.clone()];
        if quoted.escaped { Cow::Owned(unescape(inside)) } else { Cow::Borrowed(inside) }
    }

    #[cold]
    pub(super) fn fault(&self, kind: FaultKind) -> Fault {
        Fault { at: self.at, kind }
    }

    #[cold]
    pub(super) fn expected(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Expected(what))
    }

    #[cold]
    pub(super) fn wrong(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Wrong(what))
    }

    #[cold]
    pub(super) fn too_deep(&self) -> Fault {
        self.wrong("objects and arrays are nested more than 128 deep")
    }
}

/// A value that was checked.
pub(super) enum Span {
    Text(Quoted),
    Number(Range<usize>),
    Bool(bool),
    Null,
    Json(Range<usize>),
}

impl Span {
    #[inline(always)]
    pub(super) fn field<'a>(self, scan: &Scan<'a>) -> Field<'a> {
        match self {
            Span::Text(quoted) => Field::Text(scan.unescaped(&quoted)),
            Span::Number(range) => Field::Number(&scan.text[range]),
            Span::Bool(yes) => Field::Bool(yes),
            Span::Null => Field::Missing,
            Span::Json(range) => Field::Json(&scan.text[range]),
        }
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Returns the index from `at` on of the first quote, backslash or control character, or the end.
#[inline(always)]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        let word = eight_bytes(bytes, at);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        // Of the marked bytes, the lowest is exact. Those after the end are zeros, which are marked.
        let marks = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at
}

/// Returns the index from `at` on of the first byte that is not a digit, or the end.
#[inline(always)]
fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        let word = eight_bytes(bytes, at) ^ (ONES * u64::from(b'0'));
        // Of the marked bytes, the lowest is exact. A digit has become 0 to 9, to which 0x76 can be added without a mark.
        let marks = (word.wrapping_add(ONES * 0x76) | word) & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at
}
