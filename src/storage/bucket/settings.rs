//! Where the servers of buckets are, and the keys to them.

use std::collections::BTreeMap;
use std::time::Duration;
use std::{env, fmt};

use crate::values::units::{parse_bytes, parse_duration};

/// How the names of the variables begin that concern buckets.
const PREFIXES: [&str; 2] = ["AWS_", "CKPT_BUCKET_"];

/// The variables of an environment that concern buckets.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Settings {
    variables: BTreeMap<String, String>,
}

/// How long a client waits, and how much it sends at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// How long a server may take to begin an answer, and between two pieces of it.
    pub timeout: Duration,
    /// How long a request is repeated that failed in a way that may pass.
    pub patience: Duration,
    /// Larger objects are uploaded in parts of this size, in bytes.
    pub part_bytes: usize,
}

impl Settings {
    /// Returns those of this process.
    pub fn from_env() -> Settings {
        let texts = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Settings::new(env::vars_os().filter_map(texts))
    }

    /// Returns the settings in an environment of `variables`.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Settings {
        let concerns = |name: &str| name == "HOME" || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let variables = variables.into_iter().filter(|(name, value)| concerns(name) && !value.is_empty());
        Settings { variables: variables.collect() }
    }

    /// Returns the value of a variable that is set and not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the limits, or which variable is not a duration or a size.
    pub(super) fn limits(&self) -> Result<Limits, String> {
        let duration = |name: &'static str, default| match self.get(name) {
            Some(text) => parse_duration(text).map_err(|_| format!("{name} is not a duration such as `30s`")),
            None => Ok(Duration::from_secs(default)),
        };
        let part_bytes = match self.get("CKPT_BUCKET_PART") {
            Some(text) => {
                let size = parse_bytes(text).ok().filter(|bytes| *bytes > 0);
                size.ok_or_else(|| "CKPT_BUCKET_PART is not a size such as `32MiB`".to_owned())?
            }
            None => 32 << 20,
        };
        Ok(Limits {
            timeout: duration("CKPT_BUCKET_TIMEOUT", 30)?,
            patience: duration("CKPT_BUCKET_PATIENCE", 60)?,
            part_bytes: usize::try_from(part_bytes).unwrap_or(usize::MAX),
        })
    }
}

/// Shows names only: values are secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(variables: &[(&str, &str)]) -> Settings {
        Settings::new(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn other_and_empty_variables_are_left_out_and_values_are_not_shown() {
        let settings = settings(&[("AWS_REGION", ""), ("AWS_SECRET_ACCESS_KEY", "hidden"), ("PATH", "/bin")]);
        assert_eq!(format!("{settings:?}"), r#"{"AWS_SECRET_ACCESS_KEY"}"#);
        assert_eq!((settings.get("AWS_SECRET_ACCESS_KEY"), settings.get("AWS_REGION")), (Some("hidden"), None));
    }

    #[test]
    fn limits_have_defaults_and_are_refused_when_they_are_not_numbers() {
        let limits = settings(&[("CKPT_BUCKET_TIMEOUT", "250ms")]).limits().unwrap();
        assert_eq!((limits.timeout, limits.patience), (Duration::from_millis(250), Duration::from_secs(60)));
        for (name, value) in [("CKPT_BUCKET_PART", "0"), ("CKPT_BUCKET_PATIENCE", "long")] {
            assert!(settings(&[(name, value)]).limits().unwrap_err().starts_with(name));
        }
    }
}
