//! The names that the fields and expressions of a job may use.

use crate::job::field::FieldPath;
use crate::job::keys::unknown;
use crate::job::message_field::MessageField;
use crate::job::model::{ComputedField, InputFormat, InputSpec};

/// The fields that exist, as far as that is known.
#[derive(Debug, Clone, Copy)]
pub enum KnownFields<'a> {
    /// Those of records of a format, and those that `let` adds. Messages of a topic have a few more.
    OfRecords { format: &'a InputFormat, is_topic: bool, computed: &'a [ComputedField] },
    /// The columns of a table, and no others.
    Columns(&'a [String]),
}

impl<'a> KnownFields<'a> {
    /// Any field may exist.
    pub const ANY: KnownFields<'static> =
        KnownFields::OfRecords { format: &InputFormat::Json, is_topic: false, computed: &[] };

    pub fn of(input: &'a InputSpec) -> KnownFields<'a> {
        KnownFields::OfRecords { format: &input.format, is_topic: input.topic.is_some(), computed: &input.computed }
    }

    /// Returns the format of the records. The values of a table have types, as in JSON.
    pub fn format(self) -> &'a InputFormat {
        match self {
            KnownFields::OfRecords { format, .. } => format,
            KnownFields::Columns(_) => &InputFormat::Json,
        }
    }

    /// Returns whether `let` computes `field`, or something that it would be a member of.
    pub fn is_computed(self, field: &FieldPath) -> bool {
        self.computed().any(|name| name == field.names[0])
    }

    /// Returns whether each message has `field` beside its value.
    pub fn is_of_message(self, field: &FieldPath) -> bool {
        matches!(self, KnownFields::OfRecords { is_topic: true, .. }) && MessageField::of(field).is_some()
    }

    /// Returns why `field` never exists, if that is known.
    pub fn fault(self, field: &FieldPath) -> Option<String> {
        let names = &field.names;
        if self.is_computed(field) {
            let reason = || format!("`{}` is computed, so it has no member `{}`", names[0], names[1..].join("."));
            return field.is_nested().then(reason);
        }
        if self.is_of_message(field) {
            return None;
        }
        let known = match self {
            KnownFields::Columns(columns) => columns.to_vec(),
            KnownFields::OfRecords { format, .. } => format.field_names()?,
        };
        let name = names.join(".");
        let all: Vec<&str> = known.iter().map(String::as_str).chain(self.computed()).collect();
        (!known.contains(&name)).then(|| unknown("field", &name, "", &all))
    }

    fn computed(self) -> impl Iterator<Item = &'a str> {
        let computed = match self {
            KnownFields::OfRecords { computed, .. } => computed,
            KnownFields::Columns(_) => &[],
        };
        computed.iter().map(|field| field.name.as_str())
    }
}
