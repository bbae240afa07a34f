//! Globs over files, and over the names of partitions.

use glob::{MatchOptions, Pattern};

/// How the globs of `input: files:` match: `*` stays within a directory, and only a dot matches the dot of a hidden
/// file.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// The glob of a priority class, whose `*` matches any part of a partition's name.
#[derive(Debug, Clone)]
pub struct PartitionGlob(Pattern);

impl PartitionGlob {
    /// Parses a glob; the error is a message.
    pub fn new(glob: &str) -> Result<PartitionGlob, String> {
        Pattern::new(glob).map(PartitionGlob).map_err(|error| error.msg.to_owned())
    }

    pub fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

/// Returns a glob that matches only the file `name`.
pub fn literal(name: &str) -> String {
    if has_wildcard(name) { Pattern::escape(name) } else { name.to_owned() }
}

/// Returns whether a path of the job file may be a glob.
pub(super) fn has_wildcard(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// Returns whether `path` matches `glob`, which may be invalid.
pub(super) fn matches(glob: &str, path: &str) -> bool {
    Pattern::new(glob).is_ok_and(|glob| glob.matches_with(path, OPTIONS))
}

/// One part of a glob, between slashes.
#[derive(Debug, Clone)]
pub(super) enum Part {
    /// A name without wildcards.
    Literal(String),
    /// A pattern for one name.
    Wildcard(Pattern),
    /// `**`: any number of directories.
    Directories,
}

impl Part {
    /// Splits `glob` into its parts, without empty ones and `.`; the error is a message.
    pub(super) fn split(glob: &str) -> Result<Vec<Part>, String> {
        let parse = |glob: &str| Pattern::new(glob).map_err(|error| error.to_string());
        // What spans several parts, such as `[a/b]`, is an error of its part.
        parse(glob)?;
        let mut names: Vec<&str> = glob.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
        names.dedup_by(|a, b| *a == "**" && *b == "**");
        let part = |name: &str| match name {
            "**" => Ok(Part::Directories),
            name if has_wildcard(name) => parse(name).map(Part::Wildcard),
            name => Ok(Part::Literal(name.to_owned())),
        };
        names.into_iter().map(part).collect()
    }
}

/// Returns whether a single name matches one part of a glob.
pub(super) fn matches_name(part: &Pattern, name: &str) -> bool {
    part.matches_with(name, OPTIONS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_looks_like_a_glob_stands_for_itself() {
        assert_eq!(literal("a[1]*.csv"), "a[[]1[]][*].csv");
        assert_eq!(literal("a b.csv"), "a b.csv");
        assert!(matches(&literal("a[1]*.csv"), "a[1]*.csv"));
    }

    #[test]
    fn only_the_glob_of_a_class_crosses_directories() {
        assert!(PartitionGlob::new("data/*.jsonl").unwrap().matches("data/eu/a.jsonl"));
        assert!(!matches("data/*.jsonl", "data/eu/a.jsonl") && matches("data/*.jsonl", "data/a.jsonl"));
        assert!(PartitionGlob::new("a**").is_err() && !matches("a**", "a"));
    }
}
