//! YAML: documents of untrusted origin, with the line and column of everything in them.
//!
//! Only this file knows the two YAML crates. [`parse`] gives a tree with positions, for files that people write; [`from_str`] and
//! [`to_string`] go through serde, for files that programs write.
//!
//! What is taken is a subset of YAML 1.2: one document, UTF-8, no tags but those of the core schema, no key twice in a map. Anchors, aliases and
//! merge keys (`<<`) work within bounds, so that no small document grows large.

use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values::units::shown;

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// How many lists and maps may lie inside each other.
pub const MAX_DEPTH: usize = 64;

/// The most memory that a document's tree may take once its aliases are replaced, in bytes.
const MAX_TREE_BYTES: usize = 64 * 1024 * 1024;

/// A place in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", mark.line, mark.column)]
pub struct YamlError {
    /// Where.
    pub mark: Mark,
    /// What.
    pub problem: Problem,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has more bytes than [`MAX_BYTES`].
    #[error("expected at most {MAX_BYTES} bytes of YAML, found {found}")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// A byte is not part of UTF-8 text.
    #[error("expected UTF-8 text, found the byte 0x{byte:02x}")]
    NotUtf8 {
        /// The byte.
        byte: u8,
    },
    /// It is not YAML.
    #[error("is not YAML: {reason}")]
    Syntax {
        /// What the parser said.
        reason: String,
    },
    /// Lists and maps lie inside each other more than [`MAX_DEPTH`] deep.
    #[error("lists and maps lie more than {MAX_DEPTH} deep inside each other")]
    TooDeep,
    /// Its aliases stand for too much.
    #[error("the aliases of this document stand for too much text")]
    TooMuch,
    /// An alias stands inside the node that it stands for.
    #[error("this alias stands for something that contains it")]
    Cycle,
    /// An anchor or alias, in a document that may have none.
    #[error("anchors and aliases are not allowed here")]
    Alias,
    /// A tag other than those of the core schema.
    #[error("the tag `{tag}` is not known")]
    Tag {
        /// The tag.
        tag: String,
    },
    /// `<<` has a value that can not be merged.
    #[error("expected a map or a list of maps to merge, found {found}")]
    Merge {
        /// What is there.
        found: String,
    },
    /// A map has a key twice.
    #[error("`{key}` is here a second time, the first is in line {}, column {}", first.line, first.column)]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it is first.
        first: Mark,
    },
    /// A key is a list or a map.
    #[error("expected a name before `:`, found {found}")]
    Key {
        /// What is there.
        found: String,
    },
    /// There is nothing in it.
    #[error("the document is empty")]
    Empty,
    /// A second document begins.
    #[error("expected one document, found a second one")]
    SecondDocument,
    /// A value has another type than it should.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What was expected, with an example where that helps.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It is YAML, but not what such a file holds.
    #[error("{reason}")]
    Unfit {
        /// What is wrong.
        reason: String,
    },
}

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it begins.
    pub mark: Mark,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text, a number, true, false or nothing: which of them depends on who asks.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the document. No key is there twice.
    Map(Vec<Entry>),
}

/// A value that is not made of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and escapes.
    pub text: String,
    /// Whether it stands there without quotes, so that it may be a number, true, false or nothing.
    pub plain: bool,
    /// Where its first character stands, if it is in the document character for character; see [`Node::mark_within`].
    verbatim: Option<Mark>,
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub key_mark: Mark,
    /// The value.
    pub value: Node,
}

/// Parses one document.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    Builder::new(true).build(text)
}

/// Returns the text of a file, or where it is no UTF-8.
pub fn decode(bytes: &[u8]) -> Result<&str, YamlError> {
    check_size(bytes)?;
    std::str::from_utf8(bytes).map_err(|error| {
        let (before, rest) = bytes.split_at(error.valid_up_to());
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        let mark = Mark {
            line: before.iter().filter(|&&byte| byte == b'\n').count() + 1,
            column: String::from_utf8_lossy(&before[line_start..]).chars().count() + 1,
        };
        YamlError { mark, problem: Problem::NotUtf8 { byte: rest.first().copied().unwrap_or_default() } }
    })
}

/// Reads a value that a program wrote. Anchors and aliases are refused.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let root = Builder::new(false).build(text)?;
    serde_yaml::from_str(text).map_err(|error| {
        let mark = error.location().map(|at| Mark { line: at.line(), column: at.column() });
        // The crate repeats the place in its message.
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason).to_owned();
        YamlError { mark: mark.unwrap_or(root.mark), problem: Problem::Unfit { reason } }
    })
}

/// Writes a value, the same bytes each time for the same value.
///
/// # Panics
///
/// When `value` can not be written as YAML: a map with a list as its key, or an implementation of `Serialize` that fails.
pub fn to_string<T: Serialize>(value: &T) -> String {
    serde_yaml::to_string(value).expect("only values that have a YAML form are written")
}

/// Returns `text` as a scalar that every YAML reader takes as text: plain where that is safe, else in double quotes.
pub fn quote(text: &str) -> String {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    let begins_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    // What older readers take for a bool or nothing.
    let special = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if begins_plain && text.bytes().all(plain_byte) && !special.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted += "\\\"",
            '\\' => quoted += "\\\\",
            '\n' => quoted += "\\n",
            '\t' => quoted += "\\t",
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') => {
                quoted += &format!("\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

impl Node {
    /// Returns the scalar's text, whether it looks like a number or not. `expected` completes "expected …" when it is something else, or nothing.
    pub fn text(&self, expected: &str) -> Result<&str, YamlError> {
        match &self.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Ok(&scalar.text),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Returns a whole number that is not negative; one in quotes is text.
    pub fn integer(&self, expected: &str) -> Result<u64, YamlError> {
        let digits = |scalar: &&Scalar| scalar.plain && scalar.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = self.scalar().filter(digits).and_then(|scalar| scalar.text.parse().ok());
        number.ok_or_else(|| self.wrong(expected))
    }

    /// Returns true or false; `yes`, `no`, `on` and `off` are text.
    pub fn boolean(&self) -> Result<bool, YamlError> {
        match self.scalar().filter(|scalar| scalar.plain).map(|scalar| scalar.text.as_str()) {
            Some("true" | "True" | "TRUE") => Ok(true),
            Some("false" | "False" | "FALSE") => Ok(false),
            _ => Err(self.wrong("`true` or `false`")),
        }
    }

    /// Returns the items of a list.
    pub fn list(&self, expected: &str) -> Result<&[Node], YamlError> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Returns the entries of a map.
    pub fn map(&self, expected: &str) -> Result<&[Entry], YamlError> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Returns the scalar, if it is one.
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Tells whether nothing is there: no value after `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// Returns where the character number `index` of a scalar's text stands, or the node's beginning when escapes or line breaks hide it.
    pub fn mark_within(&self, index: usize) -> Mark {
        match self.scalar().and_then(|scalar| scalar.verbatim) {
            Some(first) => Mark { column: first.column + index, ..first },
            None => self.mark,
        }
    }

    /// Makes the error that something else was expected here.
    pub fn wrong(&self, expected: &str) -> YamlError {
        let problem = Problem::Type { expected: expected.to_owned(), found: self.to_string() };
        YamlError { mark: self.mark, problem }
    }

    /// Makes the error that this value can not be used, for a reason.
    pub fn unfit(&self, reason: impl Into<String>) -> YamlError {
        YamlError { mark: self.mark, problem: Problem::Unfit { reason: reason.into() } }
    }
}

impl fmt::Display for Node {
    /// Says what the value is, for "found …" in messages.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::List(_) => f.write_str("a list"),
            Kind::Map(_) => f.write_str("a map"),
            Kind::Scalar(scalar) if scalar.is_null() => f.write_str("nothing"),
            Kind::Scalar(scalar) => write!(f, "`{}`", shown(&scalar.text)),
        }
    }
}

impl Scalar {
    fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

fn check_size(bytes: &[u8]) -> Result<(), YamlError> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(YamlError { mark: Mark { line: 1, column: 1 }, problem: Problem::TooLarge { found: bytes.len() } })
}

/// A list or map whose end has not come yet.
struct Open {
    mark: Mark,
    anchor: usize,
    /// What the tree took before it.
    tree_bytes_before: usize,
    /// How deep the deepest node in it lies, counted from here.
    height: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, merges: Vec<Node>, key: Option<Key>, marks: HashMap<String, Mark> },
}

struct Key {
    name: String,
    mark: Mark,
    merge: bool,
}

/// A node that an alias may stand for.
struct Anchored {
    node: Node,
    tree_bytes: usize,
    height: usize,
}

/// Makes a tree of the parser's events, without recursion.
struct Builder {
    aliases_allowed: bool,
    open: Vec<Open>,
    anchored: HashMap<usize, Anchored>,
    tree_bytes: usize,
    root: Option<Node>,
}

impl Builder {
    fn new(aliases_allowed: bool) -> Builder {
        Builder { aliases_allowed, open: Vec::new(), anchored: HashMap::new(), tree_bytes: 0, root: None }
    }

    fn build(mut self, text: &str) -> Result<Node, YamlError> {
        check_size(text.as_bytes())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut end = Mark { line: 1, column: 1 };
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| {
                let mark = mark_of(error.marker());
                YamlError { mark, problem: Problem::Syntax { reason: plain_reason(error.info()) } }
            })?;
            let mark = mark_of(&span.start);
            end = mark;
            match event {
                Event::DocumentStart(_) if self.root.is_some() => {
                    return Err(YamlError { mark, problem: Problem::SecondDocument });
                }
                Event::Scalar(value, style, anchor, tag) => {
                    let quotes = match style {
                        ScalarStyle::Plain => 0,
                        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
                        ScalarStyle::Literal | ScalarStyle::Folded => usize::MAX,
                    };
                    let is_verbatim = span.start.line() == span.end.line()
                        && quotes.checked_mul(2).is_some_and(|both| span.len() == value.chars().count() + both);
                    let plain = style == ScalarStyle::Plain && !is_string_tag(tag.as_deref(), mark)?;
                    let verbatim = is_verbatim.then(|| Mark { column: mark.column + quotes, ..mark });
                    self.tree_bytes += size_of::<Entry>() + value.len();
                    let scalar = Scalar { text: value.into_owned(), plain, verbatim };
                    self.complete(Node { mark, kind: Kind::Scalar(scalar) }, anchor, 0)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    is_string_tag(tag.as_deref(), mark)?;
                    self.begin(mark, anchor, Content::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    is_string_tag(tag.as_deref(), mark)?;
                    let (entries, merges, marks) = (Vec::new(), Vec::new(), HashMap::new());
                    self.begin(mark, anchor, Content::Map { entries, merges, key: None, marks })?;
                }
                Event::SequenceEnd | Event::MappingEnd => self.end()?,
                Event::Alias(anchor) => self.alias(mark, anchor)?,
                Event::DocumentStart(_)
                | Event::DocumentEnd
                | Event::StreamStart
                | Event::StreamEnd
                | Event::Nothing => {}
            }
        }
        self.root.ok_or(YamlError { mark: end, problem: Problem::Empty })
    }

    fn begin(&mut self, mark: Mark, anchor: usize, content: Content) -> Result<(), YamlError> {
        if self.open.len() == MAX_DEPTH {
            return Err(YamlError { mark, problem: Problem::TooDeep });
        }
        let tree_bytes_before = self.tree_bytes;
        self.tree_bytes += size_of::<Entry>();
        self.open.push(Open { mark, anchor, tree_bytes_before, height: 0, content });
        Ok(())
    }

    fn end(&mut self) -> Result<(), YamlError> {
        let open = self.open.pop().expect("the parser ends only what it has begun");
        let kind = match open.content {
            Content::List(items) => Kind::List(items),
            Content::Map { entries, merges, .. } => Kind::Map(merge(entries, merges)?),
        };
        let own_bytes = self.tree_bytes - open.tree_bytes_before;
        self.complete_sized(Node { mark: open.mark, kind }, open.anchor, open.height + 1, own_bytes)
    }

    fn alias(&mut self, mark: Mark, anchor: usize) -> Result<(), YamlError> {
        let fail = |problem| Err(YamlError { mark, problem });
        if !self.aliases_allowed {
            return fail(Problem::Alias);
        }
        let Some(target) = self.anchored.get(&anchor) else {
            return fail(Problem::Cycle);
        };
        self.tree_bytes = self.tree_bytes.saturating_add(target.tree_bytes);
        if self.tree_bytes > MAX_TREE_BYTES {
            return fail(Problem::TooMuch);
        }
        if self.open.len() + target.height > MAX_DEPTH {
            return fail(Problem::TooDeep);
        }
        let (node, height) = (target.node.clone(), target.height);
        self.complete(node, 0, height)
    }

    /// Puts a node that is whole where it belongs; `height` is how many levels of lists and maps it has.
    fn complete(&mut self, node: Node, anchor: usize, height: usize) -> Result<(), YamlError> {
        let own_bytes = size_of::<Entry>() + node.scalar().map_or(0, |scalar| scalar.text.len());
        self.complete_sized(node, anchor, height, own_bytes)
    }

    fn complete_sized(&mut self, node: Node, anchor: usize, height: usize, own_bytes: usize) -> Result<(), YamlError> {
        if anchor > 0 {
            if !self.aliases_allowed {
                return Err(YamlError { mark: node.mark, problem: Problem::Alias });
            }
            // The copy is memory as well.
            self.tree_bytes = self.tree_bytes.saturating_add(own_bytes);
            if self.tree_bytes > MAX_TREE_BYTES {
                return Err(YamlError { mark: node.mark, problem: Problem::TooMuch });
            }
            self.anchored.insert(anchor, Anchored { node: node.clone(), tree_bytes: own_bytes, height });
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.height = parent.height.max(height);
        match &mut parent.content {
            Content::List(items) => items.push(node),
            Content::Map { entries, merges, key, marks } => match key.take() {
                None => *key = Some(key_of(node, marks)?),
                Some(Key { merge: true, .. }) => merges.push(node),
                Some(Key { name, mark, .. }) => entries.push(Entry { key: name, key_mark: mark, value: node }),
            },
        }
        Ok(())
    }
}

/// Takes a node as a map's key, and refuses one that is there already.
fn key_of(node: Node, marks: &mut HashMap<String, Mark>) -> Result<Key, YamlError> {
    let mark = node.mark;
    let found = node.to_string();
    let Kind::Scalar(scalar) = node.kind else {
        return Err(YamlError { mark, problem: Problem::Key { found } });
    };
    if scalar.is_null() {
        return Err(YamlError { mark, problem: Problem::Key { found } });
    }
    let key = scalar.text;
    match marks.insert(key.clone(), mark) {
        Some(first) => Err(YamlError { mark, problem: Problem::DuplicateKey { key, first } }),
        None => Ok(Key { merge: scalar.plain && key == "<<", name: key, mark }),
    }
}

/// Adds what `<<` names: the map's own keys go first, then the maps in their order.
fn merge(mut entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, YamlError> {
    if merges.is_empty() {
        return Ok(entries);
    }
    let mut known: std::collections::HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
    for merged in merges {
        let maps = match merged.kind {
            Kind::List(maps) => maps,
            _ => vec![merged],
        };
        for map in maps {
            let (mark, found) = (map.mark, map.to_string());
            let Kind::Map(more) = map.kind else {
                return Err(YamlError { mark, problem: Problem::Merge { found } });
            };
            entries.extend(more.into_iter().filter(|entry| known.insert(entry.key.clone())));
        }
    }
    Ok(entries)
}

/// Tells whether a tag makes its node text; refuses tags outside the core schema.
fn is_string_tag(tag: Option<&Tag>, mark: Mark) -> Result<bool, YamlError> {
    let Some(tag) = tag else {
        return Ok(false);
    };
    let suffixes = ["str", "int", "float", "bool", "null", "seq", "map"];
    let known = tag.is_yaml_core_schema() && suffixes.contains(&tag.suffix.as_str());
    // A lone `!` says that the node is what it looks like in quotes: text.
    let lone = tag.handle.is_empty() && tag.suffix == "!";
    if !known && !lone {
        let shown = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let tag = shown.chars().take(60).collect();
        return Err(YamlError { mark, problem: Problem::Tag { tag } });
    }
    Ok(lone || tag.suffix == "str")
}

fn mark_of(marker: &saphyr_parser::Marker) -> Mark {
    Mark { line: marker.line(), column: marker.col() + 1 }
}

/// Says the most common mistakes in words that help the person who made them.
fn plain_reason(info: &str) -> String {
    let reason = match info {
        "mapping values are not allowed in this context" => {
            "a `:` is not allowed here; text with `: ` in it needs quotes"
        }
        "block sequence entries are not allowed in this context" => {
            "a list can not begin here; text that begins with `-` needs quotes"
        }
        "simple key expected" => "expected a `:` after the name",
        "while parsing a block mapping, did not find expected key" => {
            "expected a key here; the indentation may be wrong, or a quoted text may go on after its end"
        }
        "while parsing node, found unknown anchor" => "this alias has no anchor",
        "while scanning a quoted scalar, found unexpected end of stream" => "a quote is never closed",
        "recursion limit exceeded" => "lists and maps lie too deep inside each other",
        "unexpected eof" => "the document ends too early",
        other => other,
    };
    reason.to_owned()
}

#[cfg(test)]
mod tests;
