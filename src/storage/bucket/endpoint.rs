//! The server that the settings name.

use std::net::Ipv4Addr;

use crate::storage::bucket::settings::Settings;

/// The variables that name a server in place of the cloud's own, the most specific first.
const NAMES: [&str; 3] = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"];

/// Which way requests take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// Whether the server is this machine: no proxy leads there.
    pub is_this_machine: bool,
    /// Whether requests may travel unencrypted: to this machine, or where somebody asked for it.
    pub may_be_plain: bool,
}

impl Endpoint {
    /// Returns the address that `settings` name, as it is written there.
    pub fn address(settings: &Settings) -> Option<&str> {
        NAMES.into_iter().find_map(|name| settings.get(name))
    }

    /// Returns the endpoint of `settings`, or what is wrong with it.
    pub fn of(settings: &Settings) -> Result<Endpoint, String> {
        let allowed = settings.get("AWS_ALLOW_HTTP").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let found = NAMES.into_iter().find_map(|name| Some((name, settings.get(name)?)));
        let Some((name, url)) = found else { return Ok(Endpoint { is_this_machine: false, may_be_plain: allowed }) };
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_odd = |c: char| c.is_whitespace() || c.is_control();
        if !matches!(scheme, "http" | "https") || authority.is_empty() || url.contains(is_odd) {
            return Err(format!("{name} is not a URL such as `https://host:port`"));
        }
        if authority.contains('@') {
            return Err(format!("{name} contains a user name; keys belong in AWS_ACCESS_KEY_ID and the like"));
        }
        let is_this_machine = is_loopback(authority);
        let may_be_plain = allowed || is_this_machine;
        if scheme == "http" && !may_be_plain {
            return Err(format!(
                "{name} leads to another machine without encryption; use https://, or set AWS_ALLOW_HTTP=true"
            ));
        }
        Ok(Endpoint { is_this_machine, may_be_plain })
    }
}

fn is_loopback(authority: &str) -> bool {
    let port = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let host = port.map_or(authority, |(host, _)| host);
    matches!(host, "localhost" | "[::1]") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, allow: &str) -> Result<Endpoint, String> {
        let variables = [("AWS_ENDPOINT_URL", url), ("AWS_ALLOW_HTTP", allow)];
        Endpoint::of(&Settings::new(variables.map(|(name, value)| (name.to_owned(), value.to_owned()))))
    }

    #[test]
    fn only_this_machine_is_reached_without_encryption() {
        for url in ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:9/", "https://127.0.0.1"] {
            assert_eq!(endpoint(url, ""), Ok(Endpoint { is_this_machine: true, may_be_plain: true }), "{url}");
        }
        assert!(endpoint("http://10.0.0.1:9000", "").unwrap_err().contains("AWS_ALLOW_HTTP=true"));
        assert!(endpoint("http://127.evil.example/", "").is_err());
        let asked = Endpoint { is_this_machine: false, may_be_plain: true };
        assert_eq!(endpoint("http://10.0.0.1:9000", "true"), Ok(asked));
        assert_eq!(endpoint("", ""), Ok(Endpoint { is_this_machine: false, may_be_plain: false }));
    }

    #[test]
    fn what_is_not_an_address_is_refused_without_repeating_it() {
        for url in ["host:9000", "ftp://host", "http://", "https://a b", "https://key:hidden@host"] {
            let error = endpoint(url, "").unwrap_err();
            assert!(error.starts_with("AWS_ENDPOINT_URL ") && !error.contains("hidden"), "{error}");
        }
    }
}
