//! The tree of a document: values that know where they are, and what they can be taken as.

use std::fmt;

use saphyr_parser::ScalarStyle;

use crate::values::units::shown;
use crate::values::yaml::error::{Mark, Problem, YamlError};

/// A value in a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub mark: Mark,
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Text, a number, true, false or nothing: the reader decides which.
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the document, without duplicate keys.
    Map(Vec<Entry>),
}

/// A value that is neither a list nor a map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    /// The text, without quotes and escapes.
    pub text: String,
    /// Whether it is written without quotes, so that it may be a number, true, false or nothing.
    pub plain: bool,
    /// How it is written.
    pub(super) style: Style,
    /// Where its first character is, if the document has the text character for character; see [`Node::mark_within`].
    pub(super) verbatim: Option<Mark>,
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    /// After `|` or `>`.
    Block,
}

impl Style {
    pub(super) fn of(style: ScalarStyle) -> Style {
        match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted => Style::SingleQuoted,
            ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
            ScalarStyle::Literal | ScalarStyle::Folded => Style::Block,
        }
    }
}

/// A key of a map and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub key: String,
    pub key_mark: Mark,
    pub value: Node,
}

impl Node {
    /// Returns the text of a scalar, even one that looks like a number.
    ///
    /// `expected` completes the "expected …" of the error for a list, a map or nothing.
    pub fn text(&self, expected: &str) -> Result<&str, YamlError> {
        match &self.kind {
            Kind::Scalar(scalar) if !scalar.is_null() => Ok(&scalar.text),
            _ => Err(self.wrong(expected)),
        }
    }

    /// Returns a whole number that is not negative. A number in quotes is text.
    pub fn integer(&self, expected: &str) -> Result<u64, YamlError> {
        let digits = |scalar: &&Scalar| scalar.text.bytes().all(|byte| byte.is_ascii_digit());
        let number = self.scalar().filter(digits).and_then(|scalar| scalar.text.parse().ok());
        number.ok_or_else(|| self.wrong(expected)).and_then(|number| self.unquoted(number, expected))
    }

    /// Returns `true` or `false`. `yes`, `no`, `on` and `off` are text.
    pub fn boolean(&self) -> Result<bool, YamlError> {
        let expected = "`true` or `false`";
        let value = match self.scalar().map(|scalar| scalar.text.as_str()) {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => return Err(self.wrong(expected)),
        };
        self.unquoted(value, expected)
    }

    /// Returns `value`, unless the document says that this scalar is text.
    fn unquoted<T>(&self, value: T, expected: &str) -> Result<T, YamlError> {
        let Some(text) = self.scalar().filter(|scalar| !scalar.plain) else { return Ok(value) };
        let how = if text.style == Style::Plain { "its tag" } else { "the quotes" };
        let found = format!("{self}, which is text: remove {how}");
        Err(YamlError { mark: self.mark, problem: Problem::Type { expected: expected.to_owned(), found } })
    }

    /// Makes a scalar that is written without quotes.
    pub fn plain(text: &str, mark: Mark) -> Node {
        let scalar = Scalar { text: text.to_owned(), plain: true, style: Style::Plain, verbatim: None };
        Node { mark, kind: Kind::Scalar(scalar) }
    }

    /// Replaces the text of a scalar. Whether it is in quotes stays.
    pub fn set_text(&mut self, text: String) {
        if let Kind::Scalar(scalar) = &mut self.kind {
            (scalar.text, scalar.verbatim) = (text, None);
        }
    }

    /// Gives the node and everything in it the place `mark`.
    pub fn move_to(&mut self, mark: Mark) {
        self.mark = mark;
        match &mut self.kind {
            Kind::Scalar(scalar) => scalar.verbatim = None,
            Kind::List(items) => items.iter_mut().for_each(|item| item.move_to(mark)),
            Kind::Map(entries) => entries.iter_mut().for_each(|entry| {
                entry.key_mark = mark;
                entry.value.move_to(mark);
            }),
        }
    }

    pub fn list(&self, expected: &str) -> Result<&[Node], YamlError> {
        match &self.kind {
            Kind::List(items) => Ok(items),
            _ => Err(self.wrong(expected)),
        }
    }

    pub fn map(&self, expected: &str) -> Result<&[Entry], YamlError> {
        match &self.kind {
            Kind::Map(entries) => Ok(entries),
            _ => Err(self.wrong(expected)),
        }
    }

    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Returns whether there is no value: nothing after `key:`, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.scalar().is_some_and(Scalar::is_null)
    }

    /// Returns where character `index` of a scalar's text is, or where the node begins if escapes or line breaks hide
    /// it.
    pub fn mark_within(&self, index: usize) -> Mark {
        self.exact_mark_within(index).unwrap_or(self.mark)
    }

    /// Returns where character `index` of a scalar's text is; `None` if escapes or line breaks hide it. [`place`] finds
    /// it with the document's help.
    ///
    /// [`place`]: crate::values::yaml::place
    pub fn exact_mark_within(&self, index: usize) -> Option<Mark> {
        let first = self.scalar().and_then(|scalar| scalar.verbatim)?;
        Some(Mark { column: first.column + index, ..first })
    }

    /// Returns the error that something else was expected here.
    pub fn wrong(&self, expected: &str) -> YamlError {
        let problem = Problem::Type { expected: expected.to_owned(), found: self.to_string() };
        YamlError { mark: self.mark, problem }
    }

    /// Returns the error that this value cannot be used, with the reason.
    pub fn unfit(&self, reason: impl Into<String>) -> YamlError {
        YamlError { mark: self.mark, problem: Problem::Unfit { reason: reason.into() } }
    }
}

impl fmt::Display for Node {
    /// Describes the value, to complete "found …" in messages.
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
    pub(super) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}
