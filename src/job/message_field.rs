//! The fields that every message of a topic has, beside those of its value.

use crate::job::field::FieldPath;

/// A field of a message. It comes before a field of the value that has the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageField {
    /// `_key`: text, or missing.
    Key,
    /// `_time`: a number of milliseconds since 1970-01-01T00:00:00Z.
    Time,
    /// `_partition`: a number.
    Partition,
    /// `_offset`: a number.
    Offset,
    /// `_tombstone`: whether the message has no value.
    Tombstone,
    /// `_headers.NAME`: the text of the last header with this name, or missing.
    Header(String),
}

impl MessageField {
    /// The fields with a name of their own.
    pub const NAMED: [(&str, MessageField); 5] = [
        ("_key", MessageField::Key),
        ("_time", MessageField::Time),
        ("_partition", MessageField::Partition),
        ("_offset", MessageField::Offset),
        ("_tombstone", MessageField::Tombstone),
    ];

    /// Returns the field of a message that `path` names, if it is one.
    pub fn of(path: &FieldPath) -> Option<MessageField> {
        match &path.names[..] {
            [name] => MessageField::NAMED.into_iter().find(|(known, _)| known == name).map(|(_, field)| field),
            [first, name] if first == "_headers" => Some(MessageField::Header(name.clone())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_messages_are_fields_of_messages() {
        let field = |text: &str| MessageField::of(&FieldPath::parse(text).unwrap());
        assert_eq!(field("_key"), Some(MessageField::Key));
        assert_eq!(field("_headers.trace"), Some(MessageField::Header("trace".to_owned())));
        for other in ["key", "_headers", "_headers.a.b", "_key.a", "_value"] {
            assert_eq!(field(other), None, "{other}");
        }
    }
}
