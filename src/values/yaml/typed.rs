//! Documents that programs write: from values of the program and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::values::yaml::error::{Mark, Problem, YamlError};
use crate::values::yaml::tree::check_without_aliases;

/// Reads a value that a program wrote. Refuses anchors and aliases.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    let start = check_without_aliases(text)?;
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
