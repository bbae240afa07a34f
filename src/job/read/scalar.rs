//! Scalars: names, numbers, sizes, durations and paths.

use std::path::PathBuf;
use std::time::Duration;

use crate::job::keys::{list, unknown};
use crate::job::read::section::Result;
use crate::values::units;
use crate::values::units::UnitError;
use crate::values::url::is_url;
use crate::values::yaml::{Node, YamlError};

/// Reads a whole number from `least` to `most`.
pub(super) fn within_range(node: &Node, least: u32, most: u32) -> Result<u32> {
    let expected = format!("a whole number from {least} to {most}");
    let number = node.integer(&expected)?;
    let number = u32::try_from(number).ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| node.wrong(&expected))
}

/// Reads one of the names in `choices` and returns its value. `what` is named in the error.
pub(super) fn choose<T: Clone>(node: &Node, what: &str, choices: &[(&str, T)]) -> Result<T> {
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let name = node.text(&format!("one of {}", list(&names)))?;
    let chosen = choices.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
    chosen.ok_or_else(|| node.unfit(unknown(what, name, "", &names)))
}

pub(super) fn bytes(node: &Node) -> Result<u64> {
    units::parse_bytes(node.text(units::SIZE_FORM)?).map_err(|error| unit(node, error))
}

pub(super) fn bytes_above_zero(node: &Node) -> Result<u64> {
    match bytes(node)? {
        0 => Err(node.wrong("a size larger than zero")),
        bytes => Ok(bytes),
    }
}

pub(super) fn duration(node: &Node) -> Result<Duration> {
    units::parse_duration(node.text(units::DURATION_FORM)?).map_err(|error| unit(node, error))
}

pub(super) fn longer_than_zero(node: &Node) -> Result<Duration> {
    match duration(node)? {
        Duration::ZERO => Err(node.wrong("a duration longer than zero")),
        duration => Ok(duration),
    }
}

pub(super) fn path(node: &Node) -> Result<PathBuf> {
    path_text(node, "a path").map(PathBuf::from)
}

pub(super) fn path_text<'a>(node: &'a Node, expected: &str) -> Result<&'a str> {
    let text = node.text(expected)?;
    if text.is_empty() || text.contains('\0') { Err(node.wrong(expected)) } else { Ok(text) }
}

/// Reads a path, or the URL of a prefix in a bucket.
pub(super) fn path_or_url(node: &Node) -> Result<PathBuf> {
    let path = path(node)?;
    if is_url(&path) {
        check_url(&path.to_string_lossy()).map_err(|reason| node.unfit(reason))?;
    }
    Ok(path)
}

/// Reads the path of a file, or the URL that objects are named after.
pub(super) fn object_or_path(node: &Node) -> Result<PathBuf> {
    let path = path_or_url(node)?;
    // `s3://bucket` alone names no object.
    let has_name = path.components().count() > 2 && !node.text("")?.ends_with('/');
    if !is_url(&path) || has_name { Ok(path) } else { Err(node.wrong("the URL of an object: s3://BUCKET/PREFIX/NAME")) }
}

#[cfg(feature = "s3")]
fn check_url(url: &str) -> std::result::Result<(), String> {
    use crate::storage::bucket::{BucketUrl, BucketUrlError};
    url.parse::<BucketUrl>().map(drop).map_err(|error: BucketUrlError| error.to_string())
}

#[cfg(not(feature = "s3"))]
fn check_url(url: &str) -> std::result::Result<(), String> {
    use crate::values::url::WITHOUT_S3;
    Err(format!("`{url}`: {WITHOUT_S3}, so it reads and writes no buckets"))
}

fn unit(node: &Node, error: UnitError) -> YamlError {
    node.unfit(error.to_string())
}
