//! Documents that programs write: from values of the program and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values::yaml::error::{Mark, Problem, YamlError};
use crate::values::yaml::tree::check_without_aliases;

/// The largest document that is read without checking its tree first, in bytes.
///
/// The parser of serde_yaml takes time that grows with the square of how deep lists are nested. Within this size that
/// is bearable.
const DIRECT_BYTES: usize = 64 * 1024;

/// Reads a value that a program wrote, usually a struct. Refuses anchors, aliases and duplicate fields.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    // Without an anchor there is nothing that an alias could expand. Checking the tree would more than double the time
    // that a manifest takes, and `ckpt list` reads all of them.
    let has_no_anchor = memchr::memchr(b'&', text.as_bytes()).is_none();
    let start = if has_no_anchor && text.len() <= DIRECT_BYTES {
        Mark { line: 1, column: 1 }
    } else {
        check_without_aliases(text)?
    };
    serde_yaml::from_str(text).map_err(|error| {
        let mark = error.location().map(|at| Mark { line: at.line(), column: at.column() });
        // The message of the crate repeats the position.
        let message = error.to_string();
        let reason = message.rsplit_once(" at line ").map_or(message.as_str(), |(reason, _)| reason).to_owned();
        YamlError { mark: mark.unwrap_or(start), problem: Problem::Unfit { reason } }
    })
}

/// Writes a value. Equal values give equal bytes.
///
/// # Panics
///
/// Panics if `value` has no YAML form: a map has a list as a key, or its `Serialize` fails.
pub fn to_string<T: Serialize>(value: &T) -> String {
    serde_yaml::to_string(value).expect("only values that have a YAML form are written")
}
