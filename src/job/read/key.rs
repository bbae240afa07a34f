//! `key:`

use crate::format::key_shape::KeyShape;
use crate::job::field::FieldPath;
use crate::job::keys::list;
use crate::job::known_fields::KnownFields;
use crate::job::model::KeyField;
use crate::job::read::aggregates::RESERVED_COLUMNS;
use crate::job::read::field::{check_field, field};
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::job::{Difference, JobFileError, JobSpec, differences};

    fn parse(key: &str, process: &str) -> Result<JobSpec, JobFileError> {
        let text = format!("job: j\ninput: a.jsonl\nkey: {key}\nprocess: {process}\n");
        JobSpec::parse(&text, Path::new("j.yaml"))
    }

    const COUNT: &str = "{aggregate: {n: count}}";

    #[test]
    fn a_key_has_one_field_or_several_with_types() {
        for (key, names, definition) in [
            ("user.id", vec!["id"], "key: user.id\n"),
            ("[user.id]", vec!["id"], "key: user.id\n"),
            ("[path, {status: int}]", vec!["path", "status"], "key:\n  - path\n  - {status: int}\n"),
            ("[path, http.status: int]", vec!["path", "status"], "key:\n  - path\n  - {http.status: int}\n"),
            ("['\"a b\"': text, c]", vec!["a b", "c"], "key:\n  - {'\"a b\"': text}\n  - c\n"),
            ("\n- a\n- b: bool\n", vec!["a", "b"], "key:\n  - a\n  - {b: bool}\n"),
        ] {
            let job = parse(key, COUNT).unwrap();
            assert_eq!(job.key_names(), names);
            let text = job.definition();
            let quotes = |text: &str| text.replace('\'', "").replace(['\\', '"'], "");
            assert!(quotes(&text).contains(&quotes(definition)), "{text}");
            assert_eq!(JobSpec::parse_definition(&text).unwrap().key, job.key);
        }
    }

    #[test]
    fn a_key_that_cannot_be_columns_is_refused() {
        let window = "{aggregate: {n: count}, window: {time: t, every: 1m}}";
        let ttl = "{aggregate: {n: count}, ttl: 1h, time: t}";
        for (key, process, reason) in [
            ("[]", COUNT, "expected a key of 1 to 8 fields, found 0"),
            ("[a, b, c, d, e, f, g, h, i]", COUNT, "expected a key of 1 to 8 fields, found 9"),
            ("{a: int}", COUNT, "a field such as `user`"),
            ("[a, [b]]", COUNT, "a field such as `user`"),
            ("[a, {b: int, c: int}]", COUNT, "or with a type `status: int`"),
            ("[a, b: json]", COUNT, "unknown type `json`"),
            ("[a: int]", COUNT, "a key of one field is text"),
            ("[a.x, b.X]", COUNT, "two parts of the key have the name `X`"),
            ("[a, Task]", COUNT, "`task`, `key`, `deleted`; rename `Task` with `let`"),
            ("[a, n]", COUNT, "the column `n` is the key; rename the aggregate"),
            ("[a, n_sum]", "{aggregate: {n: avg(x)}}", "`n` needs the column `n_sum`, which is the key"),
            ("[a, window_start]", window, "`window` adds a column `window_start`"),
            ("[a, event_time]", ttl, "`ttl` adds a column `event_time`; rename the job's own"),
        ] {
            let error = parse(key, process).expect_err(key).to_string();
            assert!(error.contains(reason), "{key}: {error}");
        }
        assert!(parse("event_time", ttl).is_ok(), "a key of one field is not a column of the state");
    }

    #[test]
    fn another_order_or_type_of_the_parts_is_another_key() {
        let job = |key: &str| parse(key, COUNT).unwrap();
        for (old, new, shown) in [
            ("[a, b]", "[b, a]", "the key was `[a, b]`, is now `[b, a]`"),
            ("[a, b]", "[a, b: text]", "the key was `[a, b]`, is now `[a, b: text]`"),
            ("a", "[a, b]", "the key was `a`, is now `[a, b]`"),
        ] {
            let found = differences(&job(old), &job(new));
            assert_eq!(found.iter().map(Difference::to_string).collect::<Vec<_>>(), [shown]);
        }
        assert_eq!(differences(&job("a"), &job("[a]")), []);
    }
}
