//! `key:`

use crate::format::key_shape::KeyShape;
use crate::job::field::FieldPath;
use crate::job::keys::list;
use crate::job::model::KeyField;
use crate::job::read::aggregates::RESERVED_COLUMNS;
use crate::job::read::field::{KnownFields, check_field, field};
use crate::job::read::scalar::choose;
use crate::job::read::section::{Result, all, unfit};
use crate::values::yaml::{Kind, Node};

/// Reads a field, or a list of fields.
pub(super) fn read(node: &Node, known: KnownFields<'_>) -> Result<Vec<KeyField>> {
    let Kind::List(items) = &node.kind else {
        return Ok(vec![KeyField { field: field(node, known)?, column_type: None }]);
    };
    let most = KeyShape::MAX_PARTS;
    if items.is_empty() || items.len() > most {
        return Err(node.unfit(format!("expected a key of 1 to {most} fields, found {}", items.len())));
    }
    let fields: Vec<KeyField> = all(items.iter().map(|item| part(item, known)))?;
    if let [KeyField { column_type: Some(_), .. }] = &fields[..] {
        return Err(items[0].unfit("a key of one field is text and has no other type"));
    }
    if fields.len() > 1 {
        all((0..fields.len()).map(|index| check_name(&fields, index, &items[index])))?;
    }
    Ok(fields)
}

/// Reads a field, or a map from a field to its type.
fn part(node: &Node, known: KnownFields<'_>) -> Result<KeyField> {
    let Kind::Map(entries) = &node.kind else {
        return Ok(KeyField { field: field(node, known)?, column_type: None });
    };
    let [entry] = &entries[..] else { return Err(node.wrong("a field such as `path`, or with a type `status: int`")) };
    let field = FieldPath::parse(&entry.key).map_err(|error| unfit(entry.key_mark, error.reason))?;
    check_field(&field, known, entry.key_mark)?;
    let column_type = choose(&entry.value, "type", &KeyField::TYPES.map(|one| (one.name(), one)))?;
    Ok(KeyField { field, column_type: Some(column_type) })
}

/// Rejects a part whose name cannot be that of a column beside the others.
fn check_name(fields: &[KeyField], index: usize, node: &Node) -> Result<()> {
    let name = fields[index].field.last_name();
    if fields[..index].iter().any(|other| other.field.last_name().to_lowercase() == name.to_lowercase()) {
        let reason = format!("two parts of the key have the name `{name}`; rename one with `let`");
        return Err(node.unfit(reason));
    }
    if RESERVED_COLUMNS.contains(&name.to_lowercase().as_str()) {
        let reserved = list(&RESERVED_COLUMNS);
        let reason = format!(
            "a part of a key cannot have the name of a column of every state table, {reserved}; \
                              rename `{name}` with `let`"
        );
        return Err(node.unfit(reason));
    }
    Ok(())
}
