//! URLs in the place of paths.

use std::path::Path;

/// Returns whether `path` names a place by a URL rather than in the file system: `SCHEME://REST`.
pub fn is_url(path: &Path) -> bool {
    let scheme = path.to_str().and_then(|text| text.split_once("://")).map(|(scheme, _)| scheme);
    scheme.is_some_and(|scheme| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    })
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
