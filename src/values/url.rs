//! URLs in the place of paths.

use std::path::Path;

/// Why no URL can be used in a build without the feature `s3`.
#[cfg(not(feature = "s3"))]
pub const WITHOUT_S3: &str = "this ckpt was built without the feature `s3`";

/// Returns whether `path` names a place by a URL rather than in the file system: `SCHEME://REST`.
pub fn is_url(path: &Path) -> bool {
    let scheme = path.to_str().and_then(|text| text.split_once("://")).map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
}

/// Returns whether a bucket can have this name: 3 to 63 lower-case letters, digits, dots and hyphens; older buckets also
/// have capitals and underscores, and up to 255 characters.
pub fn is_bucket_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    (3..=255).contains(&name.len())
        && name.chars().all(is_plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_scheme_makes_a_url() {
        let url = |text: &str| is_url(Path::new(text));
        assert!(url("s3://b/x") && url("gs://b/x"));
        assert!(!url("a:b") && !url("./s3://x") && !url("/data/s3") && !url("://x"));
    }
}
