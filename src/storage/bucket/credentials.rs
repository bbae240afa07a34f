//! Where credentials come from.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::storage::bucket::profile;
use crate::storage::bucket::settings::Settings;

/// How long the metadata service of a machine may take to accept a connection, when nothing else names credentials.
const METADATA_PATIENCE: Duration = Duration::from_secs(1);
const METADATA_ADDRESS: &str = "169.254.169.254:80";

/// The variables that lead to credentials.
const NAMES: [&str; 5] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
];

/// What gives credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// Keys in variables, or a service or a file that variables name.
    Environment,
    /// A profile in `~/.aws`.
    Profile,
    /// The metadata service of a machine in the cloud.
    Machine,
}

/// Returns what gives credentials, the first that exists.
pub(super) fn find(settings: &Settings) -> Option<Source> {
    let names = NAMES.iter().any(|name| settings.get(name).is_some());
    if names || settings.get("AWS_SKIP_SIGNATURE").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Some(Source::Environment);
    }
    if profile::keys(settings).is_some() {
        return Some(Source::Profile);
    }
    machine_answers(settings).then_some(Source::Machine)
}

/// Returns whether this machine has a metadata service, which gives credentials to the roles of machines in the cloud.
fn machine_answers(settings: &Settings) -> bool {
    if settings.get("AWS_EC2_METADATA_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return false;
    }
    if settings.get("AWS_METADATA_ENDPOINT").is_some() {
        return true;
    }
    let address = METADATA_ADDRESS.to_socket_addrs().ok().and_then(|mut found| found.next());
    address.is_some_and(|address| TcpStream::connect_timeout(&address, METADATA_PATIENCE).is_ok())
}
