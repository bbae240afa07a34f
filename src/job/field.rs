//! The names of fields: `user`, `user.id`, `"unit price"`.

use std::fmt;

use crate::values::units::shown;

/// A field, possibly nested in others: `user.id`. A name that contains a dot or another special character is quoted:
/// `"user.id"`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    /// The names from the outermost to the innermost, at least one.
    pub names: Vec<String>,
}

/// What is wrong with a field or an aggregate in a job file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ExpressionError {
    /// The index of the wrong character, from 0.
    pub at: usize,
    pub reason: String,
}

impl FieldPath {
    /// Returns the path of a field that is not nested.
    pub fn of(name: impl Into<String>) -> FieldPath {
        FieldPath { names: vec![name.into()] }
    }

    /// Parses a path. Names are separated by dots; letters, digits, `_`, `-`, `$` and `@` need no quotes.
    pub fn parse(text: &str) -> Result<FieldPath, ExpressionError> {
        let mut cursor = Cursor::new(text);
        let path = cursor.path()?;
        cursor.end()?;
        Ok(path)
    }

    /// Returns the innermost name.
    pub fn last_name(&self) -> &str {
        self.names.last().expect("a path has at least one name")
    }

    /// Returns whether the field is inside another.
    pub fn is_nested(&self) -> bool {
        self.names.len() > 1
    }
}

impl fmt::Display for FieldPath {
    /// Writes the path. [`FieldPath::parse`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (i, name) in self.names.iter().enumerate() {
            if i > 0 {
                text.push('.');
            }
            if !name.is_empty() && name.chars().all(is_plain) {
                text += name;
            } else {
                text.push('"');
                for c in name.chars() {
                    if matches!(c, '"' | '\\') {
                        text.push('\\');
                    }
                    text.push(c);
                }
                text.push('"');
            }
        }
        f.pad(&text)
    }
}

/// Returns whether a name with this character needs no quotes.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '@')
}

/// Reads a text from left to right.
pub(super) struct Cursor {
    chars: Vec<char>,
    at: usize,
}

impl Cursor {
    pub(super) fn new(text: &str) -> Cursor {
        Cursor { chars: text.chars().collect(), at: 0 }
    }

    /// Returns the index of the next character.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn skip_space(&mut self) {
        while self.chars.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
    }

    /// Takes `c`, if it comes next after white space.
    pub(super) fn take(&mut self, c: char) -> bool {
        self.skip_space();
        let found = self.chars.get(self.at) == Some(&c);
        self.at += usize::from(found);
        found
    }

    /// Returns whether `c` comes next after white space.
    pub(super) fn sees(&mut self, c: char) -> bool {
        self.skip_space();
        self.chars.get(self.at) == Some(&c)
    }

    /// Takes `c` or fails.
    pub(super) fn expect(&mut self, c: char) -> Result<(), ExpressionError> {
        if self.take(c) { Ok(()) } else { Err(self.wrong(&format!("`{c}`"))) }
    }

    /// Fails unless only white space is left.
    pub(super) fn end(&mut self) -> Result<(), ExpressionError> {
        self.skip_space();
        if self.at == self.chars.len() { Ok(()) } else { Err(self.wrong("the end")) }
    }

    /// Takes a word without quotes, which may be empty.
    pub(super) fn word(&mut self) -> String {
        self.skip_space();
        let word: String = self.chars[self.at..].iter().take_while(|c| is_plain(**c)).collect();
        self.at += word.chars().count();
        word
    }

    /// Takes the next word, if it is exactly `word`.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let before = self.at;
        let found = self.word() == word;
        if !found {
            self.at = before;
        }
        found
    }

    /// Takes everything that is left, without white space around it.
    pub(super) fn rest(&mut self) -> String {
        let rest: String = self.chars[self.at..].iter().collect();
        self.at = self.chars.len();
        rest.trim().to_owned()
    }

    /// Takes the path of a field.
    pub(super) fn path(&mut self) -> Result<FieldPath, ExpressionError> {
        let mut names = Vec::new();
        loop {
            self.skip_space();
            names.push(match self.chars.get(self.at) {
                Some('"') => self.quoted()?,
                Some(c) if is_plain(*c) => self.word(),
                _ => return Err(self.wrong("the name of a field")),
            });
            if self.chars.get(self.at) != Some(&'.') {
                return Ok(FieldPath { names });
            }
            self.at += 1;
        }
    }

    /// Takes a quoted name, in which `\` escapes the next character.
    fn quoted(&mut self) -> Result<String, ExpressionError> {
        let start = self.at;
        let mut name = String::new();
        loop {
            self.at += 1;
            match self.chars.get(self.at) {
                Some('"') if name.is_empty() => return Err(fail(start, "a field must have a name, found `\"\"`")),
                Some('"') => break,
                Some('\\') => {
                    self.at += 1;
                    name.extend(self.chars.get(self.at));
                }
                Some(c) => name.push(*c),
                None => return Err(fail(start, "this quote is never closed")),
            }
        }
        self.at += 1;
        Ok(name)
    }

    /// Returns an error that something else was expected here.
    pub(super) fn wrong(&mut self, expected: &str) -> ExpressionError {
        self.skip_space();
        let found = match self.chars.get(self.at) {
            None => "the end".to_owned(),
            Some(c) if is_plain(*c) => {
                let word: String = self.chars[self.at..].iter().take_while(|c| is_plain(**c)).take(60).collect();
                format!("`{word}`")
            }
            Some(c) => format!("`{}`", shown(&c.to_string())),
        };
        fail(self.at, format!("expected {expected}, found {found}"))
    }
}

pub(super) fn fail(at: usize, reason: impl Into<String>) -> ExpressionError {
    ExpressionError { at, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_parse_and_print_back() {
        for (text, names) in [
            ("user", vec!["user"]),
            ("user.id", vec!["user", "id"]),
            ("\"user.id\"", vec!["user.id"]),
            ("\"unit price\".\"a\\\"b\\\\\".c", vec!["unit price", "a\"b\\", "c"]),
            ("größe.$ref.@type.x-y_1", vec!["größe", "$ref", "@type", "x-y_1"]),
            ("42", vec!["42"]),
        ] {
            let path = FieldPath::parse(text).unwrap();
            assert_eq!(path.names, names);
            assert_eq!(path.to_string(), text);
        }
        assert_eq!(FieldPath::parse(" a ").unwrap(), FieldPath::of("a"));
        assert_eq!(FieldPath::parse("\"a\"").unwrap().to_string(), "a");
    }

    #[test]
    fn an_invalid_path_is_an_error_with_its_place() {
        for (text, at, reason) in [
            ("", 0, "expected the name of a field, found the end"),
            ("a.", 2, "expected the name of a field, found the end"),
            (".a", 0, "expected the name of a field, found `.`"),
            ("a b", 2, "expected the end, found `b`"),
            ("a[0]", 1, "expected the end, found `[`"),
            ("\"a", 0, "this quote is never closed"),
            ("\"a\\\"", 0, "this quote is never closed"),
            ("a.\"\"", 2, "a field must have a name, found `\"\"`"),
            ("a\n(", 2, "expected the end, found `(`"),
        ] {
            assert_eq!(FieldPath::parse(text).unwrap_err(), fail(at, reason), "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_names_survive_printing(names in proptest::collection::vec(".{1,12}", 1..4)) {
            let path = FieldPath { names };
            proptest::prop_assert_eq!(FieldPath::parse(&path.to_string()), Ok(path));
        }
    }
}
