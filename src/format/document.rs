//! Reading the YAML documents of a store, which may be of another format or damaged.

use serde::de::DeserializeOwned;

use crate::format::FORMAT;
use crate::format::error::ManifestError;
use crate::values::yaml::{self, YamlError};

/// The largest document that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 64 * 1024;

/// The longest message of the parser that is passed on, in characters: it may quote the document.
pub(crate) const MAX_REASON_CHARS: usize = 300;

/// Reads one document without aliases.
///
/// A document of another format fails with [`ManifestError::Format`], whatever else in it this version does not know.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ManifestError> {
    let found = bytes.len() as u64;
    if found > MAX_BYTES {
        return Err(ManifestError::TooLarge { limit: MAX_BYTES, found });
    }
    let text = yaml::decode(bytes).map_err(|error| malformed(&error))?;
    yaml::from_str(text).map_err(|error| match format_of(text) {
        Some(found) if found != u64::from(FORMAT) => ManifestError::Format { found },
        _ => malformed(&error),
    })
}

/// Checks the `format` of a document that was read.
pub(crate) fn check_format(format: u32) -> Result<(), ManifestError> {
    if format == FORMAT { Ok(()) } else { Err(ManifestError::Format { found: format.into() }) }
}

/// Returns the `format` that a document names; those of all versions have one.
fn format_of(text: &str) -> Option<u64> {
    let root = yaml::parse(text).ok()?;
    let entry = root.map("").ok()?.iter().find(|entry| entry.key == "format")?;
    entry.value.integer("").ok()
}

fn malformed(error: &YamlError) -> ManifestError {
    let printable = |c: char| if c.is_control() { '?' } else { c };
    ManifestError::Malformed { reason: error.to_string().chars().take(MAX_REASON_CHARS).map(printable).collect() }
}
