//! JSON lines: one pass over a record that checks all of it and keeps the fields that are asked for.
//!
//! A scan of our own, because no parser at hand does that well. At its best on one core it takes two of the five fields
//! of 11.7 million records/s of 110 bytes. serde_json with `RawValue` takes 6.8, and leaves text to be unescaped and
//! repeated names to be found. The lazy iterator of sonic-rs takes 5.3, leaves `\u` escapes and what follows the object
//! unchecked, and follows `[[[[` until the stack is full.

use std::borrow::Cow;
use std::ops::Range;

use super::{BadRecord, Field};
use crate::job::field::FieldPath;

/// How deep objects and arrays may lie in each other.
const DEPTH_LIMIT: u32 = 128;

/// The fields that are asked for, as a tree of names.
#[derive(Debug, Clone)]
pub(super) struct JsonFields {
    /// Siblings lie side by side; the first `top_count` are the names of the record itself.
    nodes: Vec<Node>,
    top_count: usize,
    /// For each field asked for: the slot that holds it. Two that are the same share one.
    slots: Vec<usize>,
    slot_count: usize,
    /// Counts records, so that [`Node::seen`] needs no clearing.
    record: u64,
    layout: Layout,
}

/// The names of the record before, in their order.
///
/// Most files have the same names in the same order in every line, so that each is first looked for where it was: two comparisons of 16 bytes
/// stand for a scan and a search.
#[derive(Debug, Clone, Default)]
struct Layout(Vec<Known>);

/// A name with its quotes and the colon behind it, as bytes that a record may go on with.
#[derive(Debug, Clone, Copy)]
struct Known {
    bytes: u128,
    mask: u128,
    length: usize,
    /// Which of the names that are asked for it is.
    node: Option<usize>,
}

impl Layout {
    /// The most names that are known.
    const MOST: usize = 64;

    /// Makes `name`, with quotes and colon, what is expected at `place`, if it is short enough.
    #[cold]
    fn learn(&mut self, place: usize, name: &[u8], node: Option<usize>) {
        // What was behind another name is not expected behind this one.
        self.0.truncate(place);
        let length = name.len();
        if place < Layout::MOST && self.0.len() == place {
            // A long name is never found so: no masked bytes are the one that it has.
            let mask = u128::MAX.checked_shr(8 * (16 - length.min(16)) as u32).filter(|_| length <= 16);
            let (bytes, mask) = mask.map_or((1, 0), |mask| (first_bytes(name) & mask, mask));
            self.0.push(Known { bytes, mask, length, node });
        }
    }
}

/// Returns the first 16 of `bytes`, the first lowest, and zeros for those that are missing.
#[inline]
fn first_bytes(bytes: &[u8]) -> u128 {
    match bytes.first_chunk() {
        Some(chunk) => u128::from_le_bytes(*chunk),
        None => bytes.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
    }
}

/// A name that a field path goes through or ends at.
#[derive(Debug, Clone)]
struct Node {
    name: String,
    slot: Option<usize>,
    children: Range<usize>,
    /// The last record that had this name.
    seen: u64,
}

impl JsonFields {
    pub(super) fn new(fields: &[FieldPath]) -> JsonFields {
        let mut distinct: Vec<&[String]> = fields.iter().map(|field| field.names.as_slice()).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let slots = fields
            .iter()
            .map(|field| distinct.binary_search(&field.names.as_slice()).expect("each field is among the distinct"))
            .collect();
        let mut tree = JsonFields {
            nodes: Vec::new(),
            top_count: 0,
            slots,
            slot_count: distinct.len(),
            record: 0,
            layout: Layout::default(),
        };
        // Breadth first, so that siblings lie side by side: (parent, depth, the paths below it).
        let mut queue = vec![(None, 0, 0..distinct.len())];
        let mut next = 0;
        while let Some((parent, depth, paths)) = queue.get(next).cloned() {
            next += 1;
            let first = tree.nodes.len();
            let mut at = paths.start;
            while at < paths.end {
                let Some(name) = distinct[at].get(depth) else {
                    at += 1;
                    continue;
                };
                let same = distinct[at..paths.end].iter().take_while(|path| path.get(depth) == Some(name)).count();
                let slot = (distinct[at].len() == depth + 1).then_some(at);
                queue.push((Some(tree.nodes.len()), depth + 1, at..at + same));
                tree.nodes.push(Node { name: name.clone(), slot, children: 0..0, seen: 0 });
                at += same;
            }
            match parent {
                None => tree.top_count = tree.nodes.len(),
                Some(parent) => {
                    let parent: usize = parent;
                    tree.nodes[parent].children = first..tree.nodes.len();
                }
            }
        }
        tree
    }

    /// Returns how many slots [`JsonFields::extract`] fills.
    pub(super) fn slot_count(&self) -> usize {
        self.slot_count
    }

    /// Returns for each field that was asked for the slot that holds it.
    pub(super) fn slots(&self) -> &[usize] {
        &self.slots
    }

    /// Tells whether slots and fields are the same.
    pub(super) fn is_direct(&self) -> bool {
        self.slots.iter().enumerate().all(|(i, slot)| i == *slot)
    }

    /// Fills `slots`, all of them [`Field::Missing`], from the record `text`.
    ///
    /// A field that is asked for and is there twice makes the record bad: which of the two counts is nowhere said.
    #[inline]
    pub(super) fn extract<'a>(&mut self, text: &'a str, slots: &mut [Field<'a>]) -> Result<(), BadRecord> {
        self.record += 1;
        let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
        let record = self.record;
        let tree = (self.nodes.as_mut_slice(), 0..self.top_count);
        scan.record(tree, &mut self.layout, record, slots).map_err(|fault| fault.explain(text))
    }
}

/// Tells whether `text` is a number as JSON writes them.
pub(super) fn is_number(text: &str) -> bool {
    let mut scan = Scan { text, bytes: text.as_bytes(), at: 0 };
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9')) && scan.number().is_ok() && scan.at == text.len()
}

/// What is wrong, and at which byte.
struct Fault {
    at: usize,
    kind: FaultKind,
}

enum FaultKind {
    Expected(&'static str),
    Wrong(&'static str),
    NotAnObject,
    Twice(String),
}

type Scanned<T> = Result<T, Fault>;

impl Fault {
    #[cold]
    fn explain(self, text: &str) -> BadRecord {
        let reason = match self.kind {
            FaultKind::Twice(name) => format!("field `{}` is there twice", super::shown(&name)),
            FaultKind::Wrong(what) => format!("malformed JSON at byte {}: {what}", self.at),
            FaultKind::NotAnObject => match text.as_bytes().get(self.at) {
                Some(b'[') => "is a JSON array, expected an object".to_owned(),
                Some(b'"') => "is a JSON string, expected an object".to_owned(),
                Some(b'-' | b'0'..=b'9') => "is a JSON number, expected an object".to_owned(),
                _ => match text.trim_ascii() {
                    literal @ ("true" | "false" | "null") => format!("is JSON `{literal}`, expected an object"),
                    _ => Fault { at: self.at, kind: FaultKind::Expected("`{`") }.explain(text).reason,
                },
            },
            FaultKind::Expected(what) => match text.get(self.at..).and_then(|rest| rest.chars().next()) {
                None => format!("malformed JSON at byte {}: expected {what}, found the end of the record", self.at),
                Some(found) => {
                    let found = if found.is_control() { found.escape_default().to_string() } else { found.to_string() };
                    format!("malformed JSON at byte {}: expected {what}, found `{found}`", self.at)
                }
            },
        };
        BadRecord { reason }
    }
}

/// All names that are asked for, and which of them an object may have.
type Tree<'n> = (&'n mut [Node], Range<usize>);

/// A place in a record.
struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

/// The inside of a string.
struct Quoted {
    inside: Range<usize>,
    escaped: bool,
}

impl<'a> Scan<'a> {
    #[inline]
    fn record(&mut self, tree: Tree<'_>, layout: &mut Layout, record: u64, slots: &mut [Field<'a>]) -> Scanned<()> {
        if self.after_space() != Some(b'{') {
            return Err(self.fault(FaultKind::NotAnObject));
        }
        self.at += 1;
        self.object(tree, Some(layout), record, slots, 1)?;
        match self.after_space() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the record")),
        }
    }

    /// Takes an object from behind its `{` to behind its `}`. With a `layout` its names are first looked for as that has them.
    #[inline(always)]
    fn object(
        &mut self,
        (nodes, siblings): Tree<'_>,
        mut layout: Option<&mut Layout>,
        record: u64,
        slots: &mut [Field<'a>],
        depth: u32,
    ) -> Scanned<()> {
        match self.after_space() {
            Some(b'}') => {
                self.at += 1;
                return Ok(());
            }
            Some(b'"') => {}
            _ => return Err(self.expected("a name or `}`")),
        }
        let mut place = 0;
        loop {
            let name_at = self.at;
            let found = match layout.as_deref().and_then(|layout| self.known(layout, place)) {
                Some(known) => {
                    self.at += known.length;
                    known.node
                }
                None => {
                    let found = self.searched_name(nodes, siblings.clone())?;
                    if let Some(layout) = &mut layout {
                        layout.learn(place, &self.bytes[name_at..self.at], found);
                    }
                    found
                }
            };
            place += 1;
            match found {
                None => {
                    self.value(depth)?;
                }
                Some(found) => {
                    let node = &mut nodes[found];
                    if node.seen == record {
                        return Err(Fault { at: name_at, kind: FaultKind::Twice(node.name.clone()) });
                    }
                    node.seen = record;
                    if node.children.is_empty() || self.after_space() != Some(b'{') {
                        let slot = node.slot;
                        let value = self.value(depth)?;
                        if let Some(slot) = slot {
                            slots[slot] = value.field(self);
                        }
                    } else {
                        self.object_below(nodes, found, record, slots, depth)?;
                    }
                }
            }
            match self.after_space() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("`,` or `}`")),
            }
            if self.after_space() != Some(b'"') {
                return Err(self.expected("a name"));
            }
        }
    }

    /// Takes the object that is the value of `nodes[found]`, for the rare case that fields inside an object are asked for.
    #[inline(never)]
    fn object_below(
        &mut self,
        nodes: &mut [Node],
        found: usize,
        record: u64,
        slots: &mut [Field<'a>],
        depth: u32,
    ) -> Scanned<()> {
        let start = self.at;
        if depth >= DEPTH_LIMIT {
            return Err(self.too_deep());
        }
        self.at += 1;
        let Node { slot, children, .. } = nodes[found].clone();
        self.object((nodes, children), None, record, slots, depth + 1)?;
        if let Some(slot) = slot {
            slots[slot] = Field::Json(&self.text[start..self.at]);
        }
        Ok(())
    }

    /// Returns the name that `layout` has at `place`, if the record goes on with it.
    #[inline(always)]
    fn known(&self, layout: &Layout, place: usize) -> Option<Known> {
        let known = layout.0.get(place)?;
        let here = first_bytes(&self.bytes[self.at..]);
        (here & known.mask == known.bytes).then_some(*known)
    }

    /// Takes a name and its colon, and returns which of `siblings` it is.
    #[inline]
    fn searched_name(&mut self, nodes: &[Node], siblings: Range<usize>) -> Scanned<Option<usize>> {
        self.at += 1;
        let name = self.string()?;
        if self.after_space() != Some(b':') {
            return Err(self.expected("`:`"));
        }
        self.at += 1;
        Ok(self.find(&name, nodes, siblings))
    }

    #[inline]
    fn find(&self, name: &Quoted, nodes: &[Node], siblings: Range<usize>) -> Option<usize> {
        if name.escaped {
            let name = self.unescaped(name);
            return nodes[siblings.clone()].iter().position(|node| node.name == name).map(|i| siblings.start + i);
        }
        let name = &self.bytes[name.inside.clone()];
        nodes[siblings.clone()].iter().position(|node| node.name.as_bytes() == name).map(|i| siblings.start + i)
    }

    /// Takes a value of any kind, with the white space before it. `depth` containers are open.
    #[inline]
    fn value(&mut self, depth: u32) -> Scanned<Span> {
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

    /// Takes an object or array whole, without recursion. `depth` containers are open around it.
    fn container(&mut self, depth: u32) -> Scanned<()> {
        // A bit for each open container, the innermost lowest: whether it is an object.
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

    /// Goes on behind a value inside containers, up to where the next begins; tells whether the outermost was closed.
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

    /// Takes a name and its colon.
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

    /// Goes to the next byte that is no white space, and returns it without taking it.
    #[inline(always)]
    fn after_space(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes a string from behind its first quote to behind its last.
    #[inline(always)]
    fn string(&mut self) -> Scanned<Quoted> {
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at += plain_length(&self.bytes[self.at..]);
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

    /// Takes an escape sequence.
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
            _ => Err(self.wrong("no escape sequence of JSON")),
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

    #[inline]
    fn number(&mut self) -> Scanned<()> {
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

    #[inline]
    fn some_digits(&mut self) -> Scanned<()> {
        let start = self.at;
        self.digits();
        if self.at == start { Err(self.expected("a digit")) } else { Ok(()) }
    }

    #[inline]
    fn digits(&mut self) {
        self.at += digit_length(&self.bytes[self.at..]);
    }

    #[inline]
    fn literal<T>(&mut self, literal: &'static [u8], value: T) -> Scanned<T> {
        if self.bytes[self.at..].starts_with(literal) {
            self.at += literal.len();
            return Ok(value);
        }
        Err(self.expected("a value"))
    }

    fn unescaped(&self, quoted: &Quoted) -> Cow<'a, str> {
        let inside = &self.text[quoted.inside.clone()];
        if quoted.escaped { Cow::Owned(unescape(inside)) } else { Cow::Borrowed(inside) }
    }

    #[cold]
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { at: self.at, kind }
    }

    #[cold]
    fn expected(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Expected(what))
    }

    #[cold]
    fn wrong(&self, what: &'static str) -> Fault {
        self.fault(FaultKind::Wrong(what))
    }

    #[cold]
    fn too_deep(&self) -> Fault {
        self.wrong("objects and arrays lie more than 128 deep")
    }
}

/// A value that was checked.
enum Span {
    Text(Quoted),
    Number(Range<usize>),
    Bool(bool),
    Null,
    Json(Range<usize>),
}

impl Span {
    #[inline]
    fn field<'a>(self, scan: &Scan<'a>) -> Field<'a> {
        match self {
            Span::Text(quoted) => Field::Text(scan.unescaped(&quoted)),
            Span::Number(range) => Field::Number(&scan.text[range]),
            Span::Bool(yes) => Field::Bool(yes),
            Span::Null => Field::Missing,
            Span::Json(range) => Field::Json(&scan.text[range]),
        }
    }
}

/// Returns how many bytes of `bytes` come before the first quote, backslash or control character.
#[inline(always)]
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    // Eight bytes at a time; the lowest of the marked bytes is exact.
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let marks = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count()
}

/// Returns how many digits `bytes` begin with.
#[inline(always)]
fn digit_length(bytes: &[u8]) -> usize {
    let mut at = 0;
    // Eight bytes at a time; the lowest of the marked bytes is exact. A digit becomes 0 to 9, to which 0x76 can be added without a mark.
    while let Some(eight) = bytes[at..].first_chunk::<8>() {
        let word = u64::from_le_bytes(*eight) ^ 0x3030_3030_3030_3030;
        let marks = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Resolves the escapes of a string that was checked.
fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let (length, char) = match rest.as_bytes().get(at + 1) {
            Some(b'u') => {
                let unit = |at: usize| {
                    rest.get(at + 2..at + 6).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
                };
                match unit(at) {
                    high @ 0xD800..=0xDBFF => {
                        (12, char::from_u32(0x10000 + ((high - 0xD800) << 10) + (unit(at + 6) & 0x3FF)))
                    }
                    unit => (6, char::from_u32(unit)),
                }
            }
            Some(b'b') => (2, Some('\u{8}')),
            Some(b'f') => (2, Some('\u{c}')),
            Some(b'n') => (2, Some('\n')),
            Some(b'r') => (2, Some('\r')),
            Some(b't') => (2, Some('\t')),
            Some(other) => (2, Some(char::from(*other))),
            None => (1, None),
        };
        text.push(char.unwrap_or(char::REPLACEMENT_CHARACTER));
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}
