//! The maps of a job file, and the places in it that errors point at.

use crate::job::keys;
use crate::values::yaml::{Entry, Kind, Mark, Node, Problem, YamlError};

pub(crate) type Result<T, E = YamlError> = std::result::Result<T, E>;

/// A map of the job file that has only known keys.
pub(super) struct Section<'a> {
    name: &'static str,
    pub(super) mark: Mark,
    entries: &'a [Entry],
}

impl<'a> Section<'a> {
    /// Reads the section that [`keys::KEYS`] lists as `name`. Fails when `node` is not a map, or has an unknown key.
    pub(super) fn new(name: &'static str, node: &'a Node, expected: &str) -> Result<Section<'a>> {
        let entries = node.map(expected)?;
        for entry in entries {
            if let Some(reason) = keys::check(name, &entry.key) {
                return Err(unfit(entry.key_mark, reason));
            }
        }
        Ok(Section { name, mark: node.mark, entries })
    }

    /// Returns a section without keys, for the short form of a section.
    pub(super) fn empty(name: &'static str, node: &Node) -> Section<'a> {
        Section { name, mark: node.mark, entries: &[] }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Returns the value of `key`, or an error that says what the key is for.
    pub(super) fn require(&self, key: &str, meaning: &str) -> Result<&'a Node> {
        let place = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
        self.get(key).ok_or_else(|| unfit(self.mark, format!("missing key `{key}`{place}: {meaning}")))
    }

    /// Returns an error about the value of `key`, or about the whole section when it does not have the key.
    pub(super) fn unfit(&self, key: &str, reason: &str) -> YamlError {
        self.get(key).map_or_else(|| unfit(self.mark, reason), |node| node.unfit(reason))
    }
}

/// The mistakes that were found so far. What does not depend on a wrong value is still read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(Vec<YamlError>);

impl Mistakes {
    /// Returns the value, or keeps the error and returns a default.
    pub(crate) fn take<T: Default>(&mut self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.0.push(error);
            T::default()
        })
    }

    /// Returns the value, or keeps the error.
    pub(crate) fn get<T>(&mut self, result: Result<T>) -> Option<T> {
        self.take(result.map(Some))
    }

    /// Fails with all mistakes if there are any.
    pub(crate) fn none(self) -> Result<()> {
        YamlError::of_several(self.0).map_or(Ok(()), Err)
    }
}

/// Returns all values, or all errors.
pub(super) fn all<T>(results: impl IntoIterator<Item = Result<T>>) -> Result<Vec<T>> {
    let mut mistakes = Mistakes::default();
    let values = results.into_iter().filter_map(|result| mistakes.get(result)).collect();
    mistakes.none().map(|()| values)
}

/// Returns the place of what [`node_of`] returns.
pub(crate) fn mark_of(root: &Node, key: &str, value: Option<&str>) -> Option<Mark> {
    node_of(root, key, value).map(|node| node.mark)
}

/// Returns the scalar `value` below the dotted `key`, or else the key's value.
pub(crate) fn node_of<'a>(root: &'a Node, key: &str, value: Option<&str>) -> Option<&'a Node> {
    let mut node = root;
    for name in key.split('.') {
        // The short forms are not maps: `input: data.csv` is `input.files` too.
        let Kind::Map(entries) = &node.kind else { break };
        node = entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)?;
    }
    let is_value = |node: &&Node| node.scalar().is_some_and(|scalar| Some(scalar.text.as_str()) == value);
    let items = if let Kind::List(items) = &node.kind { items.as_slice() } else { &[] };
    Some(items.iter().find(is_value).unwrap_or(node))
}

pub(crate) fn unfit(mark: Mark, reason: impl Into<String>) -> YamlError {
    YamlError { mark, problem: Problem::Unfit { reason: reason.into() } }
}
