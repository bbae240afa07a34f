//! The static keys of a profile in `~/.aws`.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, fs, io};

use object_store::CredentialProvider;
use object_store::aws::AwsCredential;

use crate::storage::bucket::settings::Settings;

/// Keys as they are in a file.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Reads the keys for each request, so that new ones are used once they are in the file.
pub(super) struct Profile {
    settings: Settings,
}

impl Profile {
    pub fn of(settings: &Settings) -> Arc<Profile> {
        Arc::new(Profile { settings: settings.clone() })
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Profile")
    }
}

type Found<'a> = Pin<Box<dyn Future<Output = object_store::Result<Arc<AwsCredential>>> + Send + 'a>>;

impl CredentialProvider for Profile {
    type Credential = AwsCredential;

    fn get_credential<'a, 'b>(&'a self) -> Found<'b>
    where
        'a: 'b,
        Self: 'b,
    {
        let gone = || {
            let source = Box::new(io::Error::other("the profile in `~/.aws` no longer has keys"));
            object_store::Error::Generic { store: "S3", source }
        };
        let found = keys(&self.settings).ok_or_else(gone);
        let found = found.map(|keys| AwsCredential { key_id: keys.id, secret_key: keys.secret, token: keys.token });
        Box::pin(async move { found.map(Arc::new) })
    }
}

/// Returns the keys of the profile that `AWS_PROFILE` names, or of `default`, if it has any.
pub(super) fn keys(settings: &Settings) -> Option<Keys> {
    let text = text(settings, "AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
    let profile = name(settings);
    let value = |key| value(&text, &[profile], key);
    let token = value("aws_session_token");
    Some(Keys { id: value("aws_access_key_id")?, secret: value("aws_secret_access_key")?, token })
}

/// Returns the region of the profile, unless the environment names one.
pub(super) fn region(settings: &Settings) -> Option<String> {
    if ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| settings.get(name).is_some()) {
        return None;
    }
    let text = text(settings, "AWS_CONFIG_FILE", "config")?;
    let profile = name(settings);
    value(&text, &[profile, &format!("profile {profile}")], "region")
}

fn name(settings: &Settings) -> &str {
    settings.get("AWS_PROFILE").unwrap_or("default")
}

fn text(settings: &Settings, variable: &str, name: &str) -> Option<String> {
    let path = settings.get(variable).map(PathBuf::from);
    let path = path.or_else(|| Some(PathBuf::from(settings.get("HOME")?).join(".aws").join(name)))?;
    fs::read_to_string(path).ok()
}

/// Returns the value of `key` in one of `sections`.
fn value(text: &str, sections: &[&str], key: &str) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = sections.contains(&name.trim());
        } else if let Some((_, value)) =
            line.split_once('=').filter(|(name, value)| inside && name.trim() == key && !value.trim().is_empty())
        {
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(dir: &std::path::Path, profile: &str) -> Settings {
        let home = ("HOME".to_owned(), dir.display().to_string());
        Settings::new([home, ("AWS_PROFILE".to_owned(), profile.to_owned())])
    }

    #[test]
    fn the_keys_and_the_region_of_one_profile_are_found() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(".aws")).unwrap();
        let text = "[other]\naws_access_key_id=O\n[default]\naws_access_key_id = A\naws_secret_access_key= s=/ \n";
        fs::write(dir.path().join(".aws/credentials"), text).unwrap();
        fs::write(dir.path().join(".aws/config"), "[default]\nregion = x\n[profile other]\nregion=y\n").unwrap();
        let (plain, other) = (settings(dir.path(), ""), settings(dir.path(), "other"));
        let keys = keys(&plain).unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), keys.token), ("A", "s=/", None));
        assert!(super::keys(&other).is_none() && super::keys(&settings(dir.path(), "missing")).is_none());
        assert_eq!((region(&plain).as_deref(), region(&other).as_deref()), (Some("x"), Some("y")));
    }
}
