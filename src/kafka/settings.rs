//! How a client reaches the brokers.

use std::time::Duration;

/// How a client reaches the brokers and the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The first brokers to ask, as `HOST:PORT,…`.
    pub brokers: String,
    pub topic: String,
    /// Properties of librdkafka. They may be secret, so no message shows their values.
    pub properties: Vec<(String, String)>,
    /// How long to wait for an answer when the topic is opened.
    pub patience: Duration,
}

impl Settings {
    /// Returns whether one of `brokers`, as `HOST:PORT,…`, is among those to ask. Lists of the same brokers differ between
    /// machines, and change as brokers come and go.
    pub fn has_one_of(&self, brokers: &str) -> bool {
        let mut others = brokers.split(',').map(str::trim);
        others.any(|other| self.brokers.split(',').any(|own| own.trim() == other))
    }
}

/// The properties that the client sets itself: the proof that no message is lost or read twice depends on them.
pub const OWN_PROPERTIES: [&str; 10] = [
    "allow.auto.create.topics",
    "auto.offset.reset",
    "bootstrap.servers",
    "check.crcs",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
];

/// The properties that a writer sets itself as well: its transactions depend on them.
pub const WRITER_PROPERTIES: [&str; 6] =
    ["acks", "enable.idempotence", "group.id", "group.instance.id", "request.required.acks", "transactional.id"];

/// Returns whether the value of a property is a secret, which must not be in a job file.
pub fn is_secret(property: &str) -> bool {
    ["password", "secret", "jaas", "key.pem", "oauthbearer.config", "token"].iter().any(|part| property.contains(part))
}

/// Parses a file of properties: one `name=value` per line; empty lines and lines that begin with `#` are skipped.
/// The error has the number of the line, from 1.
pub fn parse_properties(text: &str) -> Result<Vec<(String, String)>, usize> {
    let mut properties = Vec::new();
    for (line, number) in text.lines().map(str::trim).zip(1..) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(number)?;
        let (name, value) = (name.trim(), value.trim());
        if name.is_empty() {
            return Err(number);
        }
        properties.push((name.to_owned(), value.to_owned()));
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_with_an_address_in_common_are_of_the_same_brokers() {
        let settings = Settings {
            brokers: "a:9092, b:9092".to_owned(),
            topic: "t".to_owned(),
            properties: Vec::new(),
            patience: Duration::ZERO,
        };
        for (brokers, expected) in [("b:9092,c:9092", true), ("a:9092", true), ("a:9093,c:9092", false), ("", false)] {
            assert_eq!(settings.has_one_of(brokers), expected, "{brokers}");
        }
    }

    #[test]
    fn a_file_of_properties_has_one_per_line() {
        let text = "# login\nsasl.username = ckpt\n\nsasl.password=a=b c \r\n";
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = vec![property("sasl.username", "ckpt"), property("sasl.password", "a=b c")];
        assert_eq!(parse_properties(text), Ok(expected));
        assert_eq!(parse_properties("a=b\n=c\n"), Err(2));
        assert_eq!(parse_properties("a\n"), Err(1));
    }

    #[test]
    fn passwords_and_keys_are_secret_and_paths_of_certificates_are_not() {
        for secret in ["sasl.password", "ssl.key.password", "ssl.key.pem", "sasl.oauthbearer.client.secret"] {
            assert!(is_secret(secret), "{secret}");
        }
        for open in ["security.protocol", "ssl.ca.location", "sasl.username", "sasl.mechanism", "ssl.key.location"] {
            assert!(!is_secret(open), "{open}");
        }
    }
}
