//! The static keys of a profile in `~/.aws`.

use std::fs;
use std::path::PathBuf;

use crate::storage::bucket::settings::Settings;

/// Keys as they are in a file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Returns the keys of the profile that `AWS_PROFILE` names, or of `default`, if it has any.
pub(super) fn keys(settings: &Settings) -> Option<Keys> {
    let path = settings.get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let path = path.or_else(|| Some(PathBuf::from(settings.get("HOME")?).join(".aws/credentials")))?;
    keys_in(&fs::read_to_string(path).ok()?, settings.get("AWS_PROFILE").unwrap_or("default"))
}

fn keys_in(text: &str, profile: &str) -> Option<Keys> {
    let mut keys = Keys { id: String::new(), secret: String::new(), token: None };
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = name.trim() == profile;
        } else if let Some((name, value)) = line.split_once('=').filter(|_| inside) {
            let value = value.trim().to_owned();
            match name.trim() {
                "aws_access_key_id" => keys.id = value,
                "aws_secret_access_key" => keys.secret = value,
                "aws_session_token" => keys.token = Some(value),
                _ => {}
            }
        }
    }
    (!keys.id.is_empty() && !keys.secret.is_empty()).then_some(keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_one_profile_are_found() {
        let text = "[other]\naws_access_key_id=O\n[default]\naws_access_key_id = A\naws_secret_access_key= s=/ \n";
        let keys = keys_in(text, "default").unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), keys.token), ("A", "s=/", None));
        assert!(keys_in(text, "other").is_none() && keys_in(text, "missing").is_none());
    }
}
