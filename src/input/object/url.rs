//! Addresses of objects, and globs over them: `s3://bucket/clicks/*.jsonl`.

use std::path::Path;

use crate::input::globs::{Part, has_wildcard, matches_name};
use crate::values::url;

const SCHEME: &str = "s3://";
/// The longest name of an object, in bytes.
const MAX_KEY_BYTES: usize = 1024;

/// The address of an object, or a glob over some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ObjectUrl<'a> {
    pub(crate) bucket: &'a str,
    /// The name in the bucket, or a glob.
    pub(crate) key: &'a str,
}

/// Returns whether a path of the job file is an address rather than the path of a file.
pub(crate) fn is_url(text: &str) -> bool {
    url::is_url(Path::new(text))
}

impl<'a> ObjectUrl<'a> {
    /// Parses an address. The error is a message that does not repeat it.
    pub(crate) fn parse(text: &'a str) -> Result<ObjectUrl<'a>, String> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            let scheme = text.split("://").next().unwrap_or_default();
            return Err(format!("ckpt reads s3://BUCKET/OBJECT, not {scheme}://"));
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        if !url::is_bucket_name(bucket) {
            return Err(format!("`{bucket}` cannot be the name of a bucket; expected s3://BUCKET/OBJECT"));
        }
        if key.is_empty() || key.ends_with('/') {
            return Err(format!("it names no object; for all objects below it, write `{SCHEME}{bucket}/{key}*`"));
        }
        let is_odd = |part: &str| matches!(part, "" | "." | "..") || part.chars().any(|c| c.is_ascii_control());
        if key.len() > MAX_KEY_BYTES || key.split('/').any(is_odd) {
            let reason = "the name of an object cannot have an empty part, `.`, `..`, a control character or more than";
            return Err(format!("{reason} {MAX_KEY_BYTES} bytes"));
        }
        Ok(ObjectUrl { bucket, key })
    }

    /// Returns the address of another object in the bucket.
    pub(crate) fn with_key(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.bucket)
    }

    /// Returns whether it may be a glob.
    pub(crate) fn has_wildcard(&self) -> bool {
        has_wildcard(self.key)
    }
}

/// Returns whether `pattern`, an address or a glob, matches the address `url`. Neither need be valid.
pub(crate) fn matches(pattern: &str, url: &str) -> bool {
    let (Ok(of), Ok(object)) = (ObjectUrl::parse(pattern), ObjectUrl::parse(url)) else { return false };
    let glob = || ObjectGlob::new(of.key).is_ok_and(|glob| glob.matches(object.key));
    pattern == url || (of.bucket == object.bucket && of.has_wildcard() && glob())
}

/// A glob over the names in a bucket, which matches as a glob over files does.
#[derive(Debug)]
pub(crate) struct ObjectGlob<'a> {
    glob: &'a str,
    parts: Vec<Part>,
}

impl<'a> ObjectGlob<'a> {
    /// Parses a glob; the error is a message.
    pub(crate) fn new(glob: &'a str) -> Result<ObjectGlob<'a>, String> {
        Ok(ObjectGlob { glob, parts: Part::split(glob)? })
    }

    /// Returns what every name that it matches begins with.
    pub(crate) fn prefix(&self) -> &'a str {
        let wildcard = self.glob.find(['*', '?', '[']).unwrap_or(self.glob.len());
        &self.glob[..wildcard]
    }

    /// Returns whether every name that it matches has no `/` after the prefix.
    pub(crate) fn is_flat(&self) -> bool {
        !self.glob[self.prefix().len()..].contains('/')
    }

    pub(crate) fn matches(&self, key: &str) -> bool {
        let names: Vec<&str> = key.split('/').collect();
        parts_match(&self.parts, &names)
    }
}

fn parts_match(parts: &[Part], names: &[&str]) -> bool {
    let (Some((part, more_parts)), Some((name, more_names))) = (parts.split_first(), names.split_first()) else {
        return parts.is_empty() && names.is_empty();
    };
    match part {
        Part::Literal(literal) => literal == name && parts_match(more_parts, more_names),
        Part::Wildcard(pattern) => matches_name(pattern, name) && parts_match(more_parts, more_names),
        Part::Directories => {
            parts_match(more_parts, names) || (!name.starts_with('.') && parts_match(parts, more_names))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_the_name_of_an_object() {
        let url = ObjectUrl::parse("s3://data/clicks/a b+c%20ü.jsonl").unwrap();
        assert_eq!((url.bucket, url.key), ("data", "clicks/a b+c%20ü.jsonl"));
        assert!(is_url("gs://b/x") && !is_url("./s3://b") && !is_url("/a://b") && !is_url("a:b"));
        for (wrong, reason) in [
            ("gs://data/x", "ckpt reads s3://BUCKET/OBJECT, not gs://"),
            ("s3://d*/x", "`d*` cannot be the name of a bucket; expected s3://BUCKET/OBJECT"),
            ("s3://data", "it names no object; for all objects below it, write `s3://data/*`"),
            ("s3://data/x/", "it names no object; for all objects below it, write `s3://data/x/*`"),
        ] {
            assert_eq!(ObjectUrl::parse(wrong), Err(reason.to_owned()), "{wrong}");
        }
        for odd in ["s3://data/a//b", "s3://data/../b", "s3://data/a/./b", "s3://data/a\nb"] {
            assert!(ObjectUrl::parse(odd).unwrap_err().starts_with("the name of an object cannot have"), "{odd}");
        }
    }

    #[test]
    fn globs_match_objects_as_they_match_files() {
        for (glob, matching, others) in [
            ("in/*.jsonl", &["in/a.jsonl", "in/ü.jsonl"][..], &["in/.a.jsonl", "in/b/a.jsonl", "in/a.json"][..]),
            ("in/**/*.gz", &["in/a.gz", "in/b/c/a.gz"], &["in/.b/a.gz", "in/b/.a.gz", "x/a.gz"]),
            ("in/[a-c]?/x", &["in/a1/x"], &["in/d1/x", "in/a/x", "in/a1/y"]),
            ("**/x", &["x", "a/b/x"], &["a/xx"]),
            ("in/**", &[], &["in/a"]),
        ] {
            let parsed = ObjectGlob::new(glob).unwrap();
            assert!(matching.iter().all(|key| parsed.matches(key) && key.starts_with(parsed.prefix())), "{glob}");
            assert!(!others.iter().any(|key| parsed.matches(key)), "{glob}");
        }
        let flat = |glob: &str| ObjectGlob::new(glob).unwrap().is_flat();
        assert!(flat("in/2026-*.gz") && !flat("in/*/a") && !flat("**/a"));
        assert!(matches("s3://data/in/*", "s3://data/in/a") && !matches("s3://data/in/*", "s3://other/in/a"));
        assert!(matches("s3://data/a[1]", "s3://data/a[1]") && !matches("in/*", "s3://data/in/a"));
    }
}
