//! `input: types:`

use crate::job::aggregate::AggregateSpec;
use crate::job::field::FieldPath;
use crate::job::keys::nearest;
use crate::job::known_fields::KnownFields;
use crate::job::model::InputFormat;
use crate::job::read::field::check_field;
use crate::job::read::scalar::choose;
use crate::job::read::section::{Result, all, unfit};
use crate::values::units;
use crate::values::value::ColumnType;
use crate::values::yaml::{Entry, Mark, Node};

/// The types that a field can have.
pub(super) const TYPES: [ColumnType; 5] =
    [ColumnType::Number, ColumnType::Text, ColumnType::Bool, ColumnType::Int, ColumnType::Json];

/// An entry of `types:`.
pub(super) struct TypedField {
    pub(super) field: FieldPath,
    pub(super) column_type: ColumnType,
    mark: Mark,
}

/// Reads `types:`, if there is one.
pub(super) fn read(node: Option<&Node>, known: KnownFields<'_>) -> Result<Vec<TypedField>> {
    let mut types: Vec<TypedField> = Vec::new();
    let entries = node.map_or(Ok(&[][..]), |node| node.map("a map from fields to types"))?;
    for typed in all(entries.iter().map(|entry| typed_field(entry, known)))? {
        let TypedField { field, mark, .. } = &typed;
        if types.iter().any(|before| before.field == *field) {
            return Err(unfit(*mark, format!("the type of `{field}` is given twice")));
        }
        types.push(typed);
    }
    Ok(types)
}

fn typed_field(entry: &Entry, known: KnownFields<'_>) -> Result<TypedField> {
    let mark = entry.key_mark;
    let field = FieldPath::parse(&entry.key).map_err(|error| unfit(mark, error.reason))?;
    check_field(&field, known, mark)?;
    let column_type = choose(&entry.value, "type", &TYPES.map(|one| (one.name(), one)))?;
    Ok(TypedField { field, column_type, mark })
}

/// Rejects types of fields that no aggregate uses, and types that an aggregate cannot use.
///
/// The fields of CSV and of plain text have no types of their own, so a number in them may be kept as text.
pub(super) fn check_use(types: &[TypedField], aggregates: &[AggregateSpec], format: &InputFormat) -> Result<()> {
    let is_text_fine = !matches!(format, InputFormat::Json);
    for TypedField { field, column_type, mark } in types {
        let is_ordered = !matches!(column_type, ColumnType::Bool | ColumnType::Json);
        let is_numeric = matches!(column_type, ColumnType::Number | ColumnType::Int)
            || is_text_fine && *column_type == ColumnType::Text;
        let mut is_used = false;
        for aggregate in aggregates {
            is_used |= [&aggregate.field, &aggregate.by].into_iter().any(|used| used.as_ref() == Some(field));
            let name = column_type.name();
            if aggregate.needs_numbers(field) && !is_numeric {
                let reason = format!("`{aggregate}` needs numbers, but the type of `{field}` is {name}");
                return Err(unfit(*mark, reason));
            }
            if aggregate.needs_order(field) && !is_ordered {
                let reason = format!("`{aggregate}` needs ordered values, but the type of `{field}` is {name}");
                return Err(unfit(*mark, reason));
            }
        }
        if !is_used {
            let used = aggregates.iter().flat_map(|aggregate| [&aggregate.field, &aggregate.by]).flatten();
            let used: Vec<String> = used.map(FieldPath::to_string).collect();
            let used: Vec<&str> = used.iter().map(String::as_str).collect();
            let name = field.to_string();
            let near = nearest(&name, &used).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
            return Err(unfit(*mark, format!("no aggregate uses the field `{}`{near}", units::shown(&name))));
        }
    }
    Ok(())
}
