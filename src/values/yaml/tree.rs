//! From text to a tree, within the limits.

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use crate::values::yaml::error::{Mark, Problem, YamlError};
use crate::values::yaml::limits::{MAX_BYTES, MAX_DEPTH, MAX_TREE_BYTES};
use crate::values::yaml::node::{Entry, Kind, Node, Scalar, Style};
use crate::values::yaml::tag::CoreTag;

/// Parses one document.
pub fn parse(text: &str) -> Result<Node, YamlError> {
    Builder::new(true).build(text)
}

/// Checks that `text` is one document without anchors and aliases, and returns where its root begins.
pub(super) fn check_without_aliases(text: &str) -> Result<Mark, YamlError> {
    Builder::new(false).build(text).map(|root| root.mark)
}

/// Returns the bytes of a file as text. Fails at the first byte that is not UTF-8.
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

fn check_size(bytes: &[u8]) -> Result<(), YamlError> {
    if bytes.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(YamlError { mark: Mark { line: 1, column: 1 }, problem: Problem::TooLarge { found: bytes.len() } })
}

/// A list or map that is not complete yet.
struct Open {
    mark: Mark,
    anchor: usize,
    /// The size of the tree before it.
    tree_bytes_before: usize,
    /// How many levels it has below it so far.
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

/// A node that an alias may refer to.
struct Anchored {
    node: Node,
    tree_bytes: usize,
    height: usize,
}

/// Builds a tree from the parser's events, without recursion.
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
                    let plain = match CoreTag::read(tag.as_deref(), mark)? {
                        Some(tag) => tag.types(&value, mark)?,
                        None => style == ScalarStyle::Plain,
                    };
                    let verbatim = first_character(&value, style, &span);
                    self.tree_bytes += size_of::<Entry>() + value.len();
                    let scalar = Scalar { text: value.into_owned(), plain, style: Style::of(style), verbatim };
                    self.complete(Node { mark, kind: Kind::Scalar(scalar) }, anchor, 0)?;
                }
                Event::SequenceStart(anchor, tag) => {
                    CoreTag::read(tag.as_deref(), mark)?.map_or(Ok(()), |tag| tag.check_list(mark))?;
                    self.begin(mark, anchor, Content::List(Vec::new()))?;
                }
                Event::MappingStart(anchor, tag) => {
                    CoreTag::read(tag.as_deref(), mark)?.map_or(Ok(()), |tag| tag.check_map(mark))?;
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
        let open = self.open.pop().expect("the parser ends only what it began");
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

    /// Adds a complete node to its parent; `height` is how many levels of lists and maps it has.
    fn complete(&mut self, node: Node, anchor: usize, height: usize) -> Result<(), YamlError> {
        let own_bytes = size_of::<Entry>() + node.scalar().map_or(0, |scalar| scalar.text.len());
        self.complete_sized(node, anchor, height, own_bytes)
    }

    fn complete_sized(&mut self, node: Node, anchor: usize, height: usize, own_bytes: usize) -> Result<(), YamlError> {
        if anchor > 0 {
            if !self.aliases_allowed {
                return Err(YamlError { mark: node.mark, problem: Problem::Alias });
            }
            // The copy takes memory too.
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

/// Returns where the first character of a scalar is, if the document has the text character for character.
fn first_character(text: &str, style: ScalarStyle, span: &Span) -> Option<Mark> {
    let quotes = match style {
        ScalarStyle::Plain => 0,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => 1,
        ScalarStyle::Literal | ScalarStyle::Folded => return None,
    };
    let is_verbatim = span.start.line() == span.end.line() && span.len() == text.chars().count() + 2 * quotes;
    let mark = mark_of(&span.start);
    is_verbatim.then(|| Mark { column: mark.column + quotes, ..mark })
}

/// Takes a node as a map's key. Refuses a duplicate.
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

/// Merges what `<<` names. The map's own keys win, then those of the merged maps in their order.
fn merge(mut entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>, YamlError> {
    if merges.is_empty() {
        return Ok(entries);
    }
    let mut known: HashSet<String> = entries.iter().map(|entry| entry.key.clone()).collect();
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

fn mark_of(marker: &Marker) -> Mark {
    Mark { line: marker.line(), column: marker.col() + 1 }
}

/// Rewords the parser's message for the most common mistakes.
fn plain_reason(info: &str) -> String {
    let reason = match info {
        "mapping values are not allowed in this context" => {
            "a `:` is not allowed here; text with `: ` in it needs quotes"
        }
        "block sequence entries are not allowed in this context" => {
            "a list cannot begin here; text that begins with `-` needs quotes"
        }
        "simple key expected" => "expected a `:` after the name",
        "while parsing a block mapping, did not find expected key" => {
            "expected a key here; the indentation may be wrong, or there may be text after a closing quote"
        }
        "while parsing node, found unknown anchor" => "this alias has no anchor",
        "while scanning a quoted scalar, found unexpected end of stream" => "a quote is never closed",
        "recursion limit exceeded" => "lists and maps are nested too deeply",
        "unexpected eof" => "the document ends too early",
        other => other,
    };
    reason.to_owned()
}
