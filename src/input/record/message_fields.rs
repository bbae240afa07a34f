//! The fields that messages have beside those of their values.

use std::borrow::Cow;

use crate::input::messages::Messages;
use crate::input::record::bad_record::BadRecord;
use crate::input::record::field::Field;
use crate::job::field::FieldPath;
use crate::job::message_field::MessageField;

/// Which of the requested fields are those of messages.
#[derive(Debug, Clone, Default)]
pub(super) struct MessageFields {
    /// Each with its index among the requested fields.
    fields: Vec<(usize, MessageField)>,
    takes_tombstones: bool,
}

/// The numbers of one message, as text.
#[derive(Debug, Default)]
pub(super) struct NumberTexts {
    time: String,
    partition: String,
    offset: String,
}

impl NumberTexts {
    pub(super) fn of(messages: &Messages, index: usize) -> NumberTexts {
        NumberTexts {
            time: messages.time(index).map_or_else(String::new, |time| time.to_string()),
            partition: messages.partition.to_string(),
            offset: messages.offset(index).to_string(),
        }
    }
}

impl MessageFields {
    pub(super) fn new(fields: &[FieldPath]) -> MessageFields {
        let of_message = |(index, field)| MessageField::of(field).map(|field| (index, field));
        let fields: Vec<(usize, MessageField)> = fields.iter().enumerate().filter_map(of_message).collect();
        let takes_tombstones = fields.iter().any(|(_, field)| *field == MessageField::Tombstone);
        MessageFields { fields, takes_tombstones }
    }

    /// Returns whether one of the fields is a number.
    pub(super) fn has_numbers(&self) -> bool {
        let is_number =
            |field: &MessageField| matches!(field, MessageField::Time | MessageField::Partition | MessageField::Offset);
        self.fields.iter().any(|(_, field)| is_number(field))
    }

    /// Fails for a message without a value, unless the job asks which messages have none.
    pub(super) fn check_tombstone(&self, messages: &Messages, index: usize) -> Result<(), BadRecord> {
        if self.takes_tombstones || !messages.is_tombstone(index) {
            return Ok(());
        }
        let reason = "has no value: use `delete: _tombstone` or `where: \"!_tombstone\"`".to_owned();
        Err(BadRecord { reason })
    }

    /// Sets the fields of message `index`.
    pub(super) fn fill<'a>(
        &self,
        messages: &'a Messages,
        index: usize,
        numbers: &'a NumberTexts,
        fields: &mut [Field<'a>],
    ) -> Result<(), BadRecord> {
        for (at, field) in &self.fields {
            fields[*at] = match field {
                MessageField::Key => text(messages.key(index), || "key".to_owned())?,
                MessageField::Header(name) => text(messages.header(index, name), || format!("header `{name}`"))?,
                MessageField::Tombstone => Field::Bool(messages.is_tombstone(index)),
                MessageField::Time if numbers.time.is_empty() => Field::Missing,
                MessageField::Time => Field::Number(&numbers.time),
                MessageField::Partition => Field::Number(&numbers.partition),
                MessageField::Offset => Field::Number(&numbers.offset),
            };
        }
        Ok(())
    }
}

fn text(bytes: Option<&[u8]>, what: impl Fn() -> String) -> Result<Field<'_>, BadRecord> {
    let Some(bytes) = bytes else { return Ok(Field::Missing) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Field::Text(Cow::Borrowed(text))),
        Err(error) => {
            let reason = format!("the {} of the message is not UTF-8 at byte {}", what(), error.valid_up_to());
            Err(BadRecord { reason })
        }
    }
}
