//! What can be wrong with a document, and where.

use crate::values::yaml::limits::{MAX_BYTES, MAX_DEPTH};

/// A position in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {}, column {}: {problem}", mark.line, mark.column)]
pub struct YamlError {
    pub mark: Mark,
    pub problem: Problem,
}

/// What is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It has more than [`MAX_BYTES`].
    #[error("expected at most {MAX_BYTES} bytes of YAML, found {found}")]
    TooLarge { found: usize },
    /// A byte is not part of UTF-8 text.
    #[error("expected UTF-8 text, found the byte 0x{byte:02x}")]
    NotUtf8 { byte: u8 },
    /// The parser refuses it.
    #[error("invalid YAML: {reason}")]
    Syntax { reason: String },
    /// Lists and maps are nested more than [`MAX_DEPTH`] levels deep.
    #[error("lists and maps are nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// Its aliases expand to more than fits into the limits.
    #[error("the aliases of this document expand to too much text")]
    TooMuch,
    /// An alias is inside the node that it refers to.
    #[error("this alias is recursive: it refers to something that contains it")]
    Cycle,
    /// An anchor or alias in a document that must not have any.
    #[error("anchors and aliases are not allowed here")]
    Alias,
    /// A tag outside the core schema.
    #[error("unknown tag `{tag}`")]
    Tag { tag: String },
    /// The value of `<<` cannot be merged.
    #[error("expected a map or a list of maps to merge, found {found}")]
    Merge { found: String },
    /// A map has the same key twice.
    #[error("duplicate key `{key}`, first used in line {}, column {}", first.line, first.column)]
    DuplicateKey { key: String, first: Mark },
    /// A key is a list, a map or nothing.
    #[error("expected a name before `:`, found {found}")]
    Key { found: String },
    /// There is no document.
    #[error("the document is empty")]
    Empty,
    /// A second document begins.
    #[error("expected one document, found a second one")]
    SecondDocument,
    /// A value has the wrong type. `expected` may include an example.
    #[error("expected {expected}, found {found}")]
    Type { expected: String, found: String },
    /// Several things are wrong, each at its place. The error as a whole is at the first of them.
    #[error("{}", .errors.iter().map(|error| error.to_string()).collect::<Vec<_>>().join("; "))]
    Several { errors: Vec<YamlError> },
    /// It is YAML, but not what such a file holds.
    #[error("{reason}")]
    Unfit { reason: String },
}

impl YamlError {
    /// Makes one error of several, by place. Returns `None` if there are none.
    pub fn of_several(errors: impl IntoIterator<Item = YamlError>) -> Option<YamlError> {
        let mut errors: Vec<YamlError> = errors.into_iter().flat_map(YamlError::each).collect();
        errors.sort_by_key(|error| error.mark);
        match errors.as_slice() {
            [] | [_] => errors.pop(),
            [first, ..] => Some(YamlError { mark: first.mark, problem: Problem::Several { errors } }),
        }
    }

    /// Returns the errors that this one consists of, by place; usually only itself.
    pub fn each(self) -> Vec<YamlError> {
        match self.problem {
            Problem::Several { errors } => errors,
            _ => vec![self],
        }
    }
}
