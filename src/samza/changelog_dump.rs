//! A dump of a changelog: one message per line, as `kcat -J` prints it.

use serde::{Deserialize, Deserializer};

use super::error::FormatError;

/// A message of a changelog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PrintedMessage {
    pub topic: String,
    pub partition: u32,
    pub offset: u64,
    pub key: String,
    /// Nothing if the message deletes its key.
    #[serde(alias = "value", deserialize_with = "present")]
    pub payload: Option<String>,
}

/// Reads a field that must be there, though it may be null.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(from)
}

impl PrintedMessage {
    /// Parses a line. kcat prints the bytes of a key or a value as they are, so only those that are UTF-8 can be read.
    pub fn parse(line: &[u8]) -> Result<PrintedMessage, FormatError> {
        serde_json::from_slice(line).map_err(|error| FormatError::json(line, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_place_of_a_message_its_key_and_its_value() {
        let line = br#"{"topic":"t","partition":1,"offset":57,"ts":1,"broker":1,"key":"a\u0000\"","payload":"{}"}"#;
        let message = PrintedMessage::parse(line).expect("a message");
        assert_eq!((&*message.topic, message.partition, message.offset), ("t", 1, 57));
        assert_eq!((&*message.key, message.payload.as_deref()), ("a\0\"", Some("{}")));
        let deleted = PrintedMessage::parse(br#"{"topic":"t","partition":1,"offset":0,"key":"a","payload":null}"#);
        assert_eq!(deleted.map(|message| message.payload), Ok(None));
    }

    #[test]
    fn what_is_missing_is_not_taken_for_something() {
        for line in [
            &br#"{"topic":"t","partition":1,"offset":0,"key":"a"}"#[..],
            br#"{"topic":"t","partition":1,"offset":0,"key":null,"payload":"1"}"#,
            br#"{"topic":"t","partition":1,"key":"a","payload":"1"}"#,
            br#"{"topic":"t","partition":-1,"offset":0,"key":"a","payload":"1"}"#,
            b"{\"topic\":\"t\",\"partition\":1,\"offset\":0,\"key\":\"a\",\"payload\":\"\xff\"}",
            b"",
        ] {
            assert!(PrintedMessage::parse(line).is_err(), "{}", String::from_utf8_lossy(line));
        }
    }
}
