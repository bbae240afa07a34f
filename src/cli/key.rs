//! The keys that `--key` and `--prefix` name, in the same way for every command.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::format::key_shape::KeyShape;
use crate::ops::key_filter::KeyFilter;
use crate::values::value::Value;

/// Returns the filter for the arguments of `--key` and `--prefix`. `shape` is that of the checkpoint's keys.
pub fn filter(shape: Option<&KeyShape>, key: &[String], prefix: Option<&str>) -> Result<KeyFilter, CliError> {
    match (key, prefix) {
        ([], None) => Ok(KeyFilter::All),
        ([], Some(prefix)) => Ok(KeyFilter::StartsWith(prefix.to_owned())),
        (key, _) => Ok(KeyFilter::Only(keys(shape, key)?)),
    }
}

/// Returns the keys that `given` may mean. A part without a declared type may be text or a number.
fn keys(shape: Option<&KeyShape>, given: &[String]) -> Result<Vec<String>, CliError> {
    match (shape, given) {
        (None, [key]) => Ok(vec![key.clone()]),
        (None, _) => Err(CliError::new(Exit::Usage, "the key is one field: give `--key` once")),
        (Some(shape), [key]) if key.trim_start().starts_with('[') => {
            match shape.parse(key) {
                Some(key) => Ok(vec![key]),
                None => Err(CliError::new(Exit::Usage, format!("`{key}` is not a list of the parts of a key"))
                    .hint(hint(shape))),
            }
        }
        (Some(shape), parts) => keys_of_parts(shape, parts),
    }
}

/// Returns the keys with these parts, each written as `NAME=VALUE`.
fn keys_of_parts(shape: &KeyShape, given: &[String]) -> Result<Vec<String>, CliError> {
    let wrong = |reason: String| CliError::new(Exit::Usage, reason).hint(hint(shape));
    let columns = shape.columns();
    let mut parts: Vec<Option<Vec<Value>>> = vec![None; columns.len()];
    for part in given {
        let named =
            columns.iter().position(|column| part.strip_prefix(&column.name).is_some_and(|p| p.starts_with('=')));
        let Some(column) = named else { return Err(wrong(format!("`{part}` is not a part of the key and its value"))) };
        let values = shape.values_of(column, &part[columns[column].name.len() + 1..]);
        if parts[column].replace(values).is_some() {
            return Err(wrong(format!("`{}` is given twice", columns[column].name)));
        }
    }
    let mut keys: Vec<Vec<Value>> = vec![Vec::new()];
    for (values, column) in parts.into_iter().zip(&columns) {
        let Some(values) = values else { return Err(wrong(format!("the key also has the part `{}`", column.name))) };
        keys = keys
            .iter()
            .flat_map(|key| values.iter().map(|value| [&key[..], std::slice::from_ref(value)].concat()))
            .collect();
    }
    Ok(keys.iter().map(|key| shape.key(key)).collect())
}

fn hint(shape: &KeyShape) -> String {
    let parts: Vec<String> = shape.columns().iter().map(|column| format!("--key {}=VALUE", column.name)).collect();
    format!("name each part: `{}`", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::key_shape::KeyPart;
    use crate::values::value::ColumnType;

    #[test]
    fn a_key_is_named_by_its_parts_or_as_a_list() {
        let part = |name: &str, column_type| KeyPart { name: name.to_owned(), column_type };
        let shape = KeyShape { parts: vec![part("path", None), part("status", Some(ColumnType::Int))], window: false };
        let found = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
            keys(Some(&shape), &given).map_err(|error| error.exit)
        };
        assert_eq!(found(&[r#"["/a", 200]"#]), Ok(vec![r#"["/a",200]"#.to_owned()]));
        assert_eq!(found(&["status=200", "path=/a=b"]), Ok(vec![r#"["/a=b",200]"#.to_owned()]));
        assert_eq!(found(&["path=7", "status=7"]), Ok(vec![r#"["7",7]"#.to_owned(), "[7,7]".to_owned()]));
        assert_eq!(found(&["path=7", "status=x"]), Ok(Vec::new()));
        for wrong in [&[][..], &["/a"], &["path=/a"], &["path=/a", "path=/a"], &["paths=/a", "status=2"], &["[1]"]] {
            assert!(found(wrong).is_err(), "{wrong:?}");
        }
    }
}
