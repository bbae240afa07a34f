//! Tags: what they make of a value.

use saphyr_parser::Tag;

use crate::values::units::shown;
use crate::values::yaml::error::{Mark, Problem, YamlError};

/// The tags of the core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CoreTag {
    Text,
    Int,
    Float,
    Bool,
    Null,
    List,
    Map,
}

const PREFIX: &str = "tag:yaml.org,2002:";

impl CoreTag {
    /// Reads a tag, in its short or verbatim form. Refuses one outside the core schema.
    pub(super) fn read(tag: Option<&Tag>, mark: Mark) -> Result<Option<CoreTag>, YamlError> {
        let Some(tag) = tag else { return Ok(None) };
        let full = format!("{}{}", tag.handle, tag.suffix);
        let known = match full.strip_prefix(PREFIX) {
            // A lone `!` means that the node is text, as if it were in quotes.
            None => (full == "!").then_some(CoreTag::Text),
            Some("str") => Some(CoreTag::Text),
            Some("int") => Some(CoreTag::Int),
            Some("float") => Some(CoreTag::Float),
            Some("bool") => Some(CoreTag::Bool),
            Some("null") => Some(CoreTag::Null),
            Some("seq") => Some(CoreTag::List),
            Some("map") => Some(CoreTag::Map),
            Some(_) => None,
        };
        known.map(Some).ok_or_else(|| {
            let shown = match full.strip_prefix(PREFIX) {
                Some(name) => format!("!!{name}"),
                None if tag.handle.is_empty() => format!("!<{full}>"),
                None => full,
            };
            YamlError { mark, problem: Problem::Tag { tag: shown.chars().take(60).collect() } }
        })
    }

    /// Tells whether a scalar with this tag can be something else than text. Fails if its text is not what the tag
    /// says.
    pub(super) fn types(self, text: &str, mark: Mark) -> Result<bool, YamlError> {
        let fits = match self {
            CoreTag::Text => return Ok(false),
            CoreTag::Int => is_integer(text),
            CoreTag::Float => is_number(text),
            CoreTag::Bool => ["true", "True", "TRUE", "false", "False", "FALSE"].contains(&text),
            CoreTag::Null => ["", "~", "null", "Null", "NULL"].contains(&text),
            CoreTag::List | CoreTag::Map => false,
        };
        if fits { Ok(true) } else { Err(wrong(mark, self.expected(), &format!("`{}`", shown(text)))) }
    }

    /// Fails if the tag says that a list is something else.
    pub(super) fn check_list(self, mark: Mark) -> Result<(), YamlError> {
        if self == CoreTag::List { Ok(()) } else { Err(wrong(mark, self.expected(), "a list")) }
    }

    /// Fails if the tag says that a map is something else.
    pub(super) fn check_map(self, mark: Mark) -> Result<(), YamlError> {
        if self == CoreTag::Map { Ok(()) } else { Err(wrong(mark, self.expected(), "a map")) }
    }

    fn expected(self) -> &'static str {
        match self {
            CoreTag::Text => "text after `!!str` or `!`",
            CoreTag::Int => "a whole number after `!!int`",
            CoreTag::Float => "a number after `!!float`",
            CoreTag::Bool => "`true` or `false` after `!!bool`",
            CoreTag::Null => "nothing after `!!null`",
            CoreTag::List => "a list after `!!seq`",
            CoreTag::Map => "a map after `!!map`",
        }
    }
}

fn wrong(mark: Mark, expected: &str, found: &str) -> YamlError {
    YamlError { mark, problem: Problem::Type { expected: expected.to_owned(), found: found.to_owned() } }
}

fn is_integer(text: &str) -> bool {
    let all = |digits: &str, base: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(base));
    match text.get(..2) {
        Some("0x") => all(&text[2..], 16),
        Some("0o") => all(&text[2..], 8),
        _ => all(text.strip_prefix(['+', '-']).unwrap_or(text), 10),
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let is_special = [".inf", ".Inf", ".INF"].contains(&unsigned) || [".nan", ".NaN", ".NAN"].contains(&text);
    is_special || unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') && unsigned.parse::<f64>().is_ok()
}
