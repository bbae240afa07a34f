//! Paths inside a store that cannot lead out of it.

use std::fmt;

/// A path of one or more names joined by `/`, relative to the root of a store.
///
/// No name is empty, `.` or `..`, or contains `/`, `\`, NUL or another control character. So a root joined with the
/// path is always below that root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(String);

/// A text is not a [`RelPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a relative path of plain names, found {path:?}")]
pub struct RelPathError {
    /// The text, cut to 200 characters.
    pub path: String,
}

impl RelPath {
    /// The longest path, in bytes.
    pub const MAX_BYTES: usize = 1024;

    /// Checks that `text` is such a path.
    pub fn new(text: impl Into<String>) -> Result<RelPath, RelPathError> {
        let text = text.into();
        let plain = |name: &str| !matches!(name, "" | "." | "..") && !name.chars().any(|c| c.is_control() || c == '\\');
        if text.len() <= Self::MAX_BYTES && text.split('/').all(plain) {
            Ok(RelPath(text))
        } else {
            Err(RelPathError { path: text.chars().take(200).collect() })
        }
    }

    /// Appends one `name`.
    pub fn join(&self, name: &str) -> Result<RelPath, RelPathError> {
        RelPath::new(format!("{}/{name}", self.0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the last name.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().expect("a path has at least one name")
    }

    /// Returns the path without its last name, or nothing if it has only one.
    pub fn parent(&self) -> Option<RelPath> {
        self.0.rsplit_once('/').map(|(parent, _)| RelPath(parent.to_owned()))
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_cannot_lead_out_of_its_root() {
        for text in
            ["", "/", "/etc/passwd", "a//b", "a/", "..", "a/../b", "./a", "a/.", "a\\b", "a\0b", "a\nb", "a\u{1b}[2Jb"]
        {
            assert!(RelPath::new(text).is_err(), "{text:?}");
        }
        assert!(RelPath::new("a/".repeat(600) + "b").is_err());
        let path = RelPath::new("checkpoints/00000042").unwrap();
        assert_eq!(path.join("manifest.yaml").unwrap().as_str(), "checkpoints/00000042/manifest.yaml");
        assert_eq!(path.name(), "00000042");
        assert_eq!(path.parent().unwrap().as_str(), "checkpoints");
        assert!(path.join("..").is_err());
    }
}
