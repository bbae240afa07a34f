//! `input: types:`

use crate::job::aggregate::{AggregateFunction, AggregateSpec};
use crate::job::field::FieldPath;
use crate::job::model::InputFormat;
use crate::job::read::field::check_field;
use crate::job::read::scalar::choose;
use crate::job::read::section::{Result, unfit};
use crate::values::units;
use crate::values::value::ColumnType;
use crate::values::yaml::{Mark, Node};

/// The types that a field can have.
const TYPES: [ColumnType; 5] =
    [ColumnType::Number, ColumnType::Text, ColumnType::Bool, ColumnType::Int, ColumnType::Json];

/// An entry of `types:`.
pub(super) struct TypedField {
    pub(super) field: FieldPath,
    pub(super) column_type: ColumnType,
    mark: Mark,
}

/// Reads `types:`, if there is one.
pub(super) fn read(node: Option<&Node>, format: &InputFormat) -> Result<Vec<TypedField>> {
    let mut types: Vec<TypedField> = Vec::new();
    let entries = node.map_or(Ok(&[][..]), |node| node.map("a map from fields to types"))?;
    for entry in entries {
        let mark = entry.key_mark;
        let field = FieldPath::parse(&entry.key).map_err(|error| unfit(mark, error.reason))?;
        check_field(&field, format, mark)?;
        if types.iter().any(|before| before.field == field) {
            return Err(unfit(mark, format!("the type of `{field}` is given twice")));
        }
        let column_type = choose(&entry.value, "type", &TYPES.map(|one| (one.name(), one)))?;
        types.push(TypedField { field, column_type, mark });
    }
    Ok(types)
}

/// Rejects types of fields that no aggregate uses, and types that an aggregate cannot use.
pub(super) fn check_use(types: &[TypedField], aggregates: &[AggregateSpec]) -> Result<()> {
    use AggregateFunction::{Avg, Max, Min, Sum};
    for TypedField { field, column_type, mark } in types {
        let is_ordered = !matches!(column_type, ColumnType::Bool | ColumnType::Json);
        let is_numeric = matches!(column_type, ColumnType::Number | ColumnType::Int);
        let mut is_used = false;
        for aggregate in aggregates {
            let is_field = aggregate.field.as_ref() == Some(field);
            let is_by = aggregate.by.as_ref() == Some(field);
            is_used |= is_field || is_by;
            let needs_number = is_field && (matches!(aggregate.function, Sum | Avg) || aggregate.round.is_some());
            let needs_order = is_by || is_field && matches!(aggregate.function, Min | Max);
            let name = column_type.name();
            if needs_number && !is_numeric {
                let reason = format!("`{aggregate}` needs numbers, but the type of `{field}` is {name}");
                return Err(unfit(*mark, reason));
            }
            if needs_order && !is_ordered {
                let reason = format!("`{aggregate}` needs ordered values, but the type of `{field}` is {name}");
                return Err(unfit(*mark, reason));
            }
        }
        if !is_used {
            return Err(unfit(*mark, format!("no aggregate uses the field `{}`", units::shown(&field.to_string()))));
        }
    }
    Ok(())
}
