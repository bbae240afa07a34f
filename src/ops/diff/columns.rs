//! The columns of two checkpoints, side by side.

use crate::format::rows::RowCodec;
use crate::input::record::Tree;
use crate::ops::diff::change::Change;
use crate::values::value::{ColumnType, Value};

/// A column, matched by name, in one checkpoint or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnPair {
    pub name: String,
    /// Its type in the old checkpoint, if it has the column.
    pub old: Option<ColumnType>,
    /// Its type in the new checkpoint, if it has the column.
    pub new: Option<ColumnType>,
}

impl ColumnPair {
    /// Tells whether both have it with the same type, so that its values can be compared.
    pub fn is_common(&self) -> bool {
        self.old == self.new
    }
}

/// The values of one column for a changed key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueChange<'a> {
    pub column: &'a str,
    /// The old value; nothing if the old checkpoint does not have the key.
    pub old: Option<Value>,
    /// The new value; nothing if the new checkpoint does not have the key.
    pub new: Option<Value>,
}

/// The columns of two checkpoints: those of the new one in their order, then those that only the old one has.
#[derive(Debug, Clone)]
pub struct Columns {
    old: RowCodec,
    new: RowCodec,
    pairs: Vec<ColumnPair>,
    /// The index of each pair in the old and in the new checkpoint.
    places: Vec<(Option<usize>, Option<usize>)>,
    /// Whether equal packed values are equal values.
    same: bool,
    /// Whether different packed values may be equal values.
    has_json: bool,
}

impl Columns {
    /// Matches the columns of two checkpoints.
    pub fn new(old: RowCodec, new: RowCodec) -> Columns {
        let place = |codec: &RowCodec, name: &str| codec.columns().iter().position(|column| column.name == name);
        let names =
            new.columns().iter().chain(old.columns().iter().filter(|column| place(&new, &column.name).is_none()));
        let names: Vec<String> = names.map(|column| column.name.clone()).collect();
        let places: Vec<_> = names.iter().map(|name| (place(&old, name), place(&new, name))).collect();
        let pairs = names.into_iter().zip(&places).map(|(name, (old_place, new_place))| ColumnPair {
            name,
            old: old_place.map(|place| old.columns()[place].column_type),
            new: new_place.map(|place| new.columns()[place].column_type),
        });
        let same = old.columns() == new.columns();
        let has_json = new.columns().iter().any(|column| column.column_type == ColumnType::Json);
        Columns { pairs: pairs.collect(), places, same, has_json, old, new }
    }

    pub fn pairs(&self) -> &[ColumnPair] {
        &self.pairs
    }

    /// Tells whether both checkpoints have the same columns, in any order.
    pub fn are_equal(&self) -> bool {
        self.pairs.iter().all(ColumnPair::is_common)
    }

    /// Tells whether both checkpoints have the same columns in the same order.
    pub(super) fn are_same(&self) -> bool {
        self.same
    }

    /// Tells whether two packed values differ in a column that both checkpoints have.
    pub(super) fn differ(&self, old: &[u8], new: &[u8]) -> bool {
        if self.same && (old == new || !self.has_json) {
            return old != new;
        }
        let (old, new) = (self.old.unpack(old), self.new.unpack(new));
        self.common().any(|(_, old_place, new_place)| !are_equal(&old[old_place], &new[new_place]))
    }

    /// Returns the values of a key: all of them if the key is new or gone, otherwise those that differ. Columns that
    /// only one checkpoint has are not compared.
    pub fn values(&self, change: &Change<'_>) -> Vec<ValueChange<'_>> {
        let mut old = change.old.map(|packed| self.old.unpack(packed)).unwrap_or_default();
        let mut new = change.new.map(|packed| self.new.unpack(packed)).unwrap_or_default();
        let mut value = |column, old_place: Option<usize>, new_place: Option<usize>| ValueChange {
            column,
            old: old_place.and_then(|place| old.get_mut(place)).map(std::mem::take),
            new: new_place.and_then(|place| new.get_mut(place)).map(std::mem::take),
        };
        if change.old.is_some() && change.new.is_some() {
            let all = self.common().map(|(pair, old, new)| value(&pair.name, Some(old), Some(new)));
            let is_changed = |value: &ValueChange<'_>| match (&value.old, &value.new) {
                (Some(old), Some(new)) => !are_equal(old, new),
                (old, new) => old != new,
            };
            return all.filter(is_changed).collect();
        }
        let all = self.pairs.iter().zip(&self.places).map(|(pair, (old, new))| value(&pair.name, *old, *new));
        all.filter(|value| value.old.is_some() || value.new.is_some()).collect()
    }

    fn common(&self) -> impl Iterator<Item = (&ColumnPair, usize, usize)> {
        let pairs = self.pairs.iter().zip(&self.places).filter(|(pair, _)| pair.is_common());
        pairs.filter_map(|(pair, (old, new))| Some((pair, (*old)?, (*new)?)))
    }
}

/// Compares JSON values by what they say, not by how they are written.
fn are_equal(old: &Value, new: &Value) -> bool {
    let canonical = |text: &str| Tree::of_any(text).map(|tree| tree.canonical());
    match (old, new) {
        (Value::Json(old), Value::Json(new)) => {
            old == new || canonical(old).is_some_and(|old| Some(old) == canonical(new))
        }
        (old, new) => old == new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::value::Column;

    fn codec(columns: &[(&str, ColumnType)]) -> RowCodec {
        RowCodec::new(columns.iter().map(|(name, column_type)| Column::new(*name, *column_type)).collect())
    }

    fn packed(codec: &RowCodec, values: &[Value]) -> Vec<u8> {
        let mut packed = Vec::new();
        codec.pack(values, &mut packed);
        packed
    }

    #[test]
    fn columns_are_matched_by_name_and_type() {
        let old = codec(&[("a", ColumnType::Int), ("gone", ColumnType::Bool), ("t", ColumnType::Int)]);
        let new = codec(&[("t", ColumnType::Number), ("fresh", ColumnType::Text), ("a", ColumnType::Int)]);
        let columns = Columns::new(old.clone(), new.clone());
        let names: Vec<&str> = columns.pairs().iter().map(|pair| pair.name.as_str()).collect();
        assert_eq!(names, ["t", "fresh", "a", "gone"]);
        assert!(!columns.are_equal() && !columns.are_same());
        let was = packed(&old, &[Value::Int(1), Value::Bool(true), Value::Int(5)]);
        let equal = packed(&new, &[Value::Null, Value::Text("x".to_owned()), Value::Int(1)]);
        let other = packed(&new, &[Value::Null, Value::Null, Value::Int(2)]);
        assert!(!columns.differ(&was, &equal) && columns.differ(&was, &other));
        let change = Change { task: 0, key: b"k", old: Some(&was), new: Some(&other) };
        let expected = ValueChange { column: "a", old: Some(Value::Int(1)), new: Some(Value::Int(2)) };
        assert_eq!(columns.values(&change), [expected]);
        let gone: Vec<&str> =
            columns.values(&Change { new: None, ..change }).iter().map(|value| value.column).collect();
        assert_eq!(gone, ["t", "a", "gone"]);
    }

    #[test]
    fn objects_and_arrays_are_compared_by_value() {
        let codec = codec(&[("v", ColumnType::Json), ("n", ColumnType::Int)]);
        let columns = Columns::new(codec.clone(), codec.clone());
        let packed = |json: &str| packed(&codec, &[Value::Json(json.to_owned()), Value::Int(1)]);
        for (old, new, differ) in [
            (r#"{"a":1,"b":[1,2]}"#, r#"{ "b": [1.0, 2], "a": 1 }"#, false),
            (r#"{"a":1}"#, r#"{"a":"1"}"#, true),
            ("[1,2]", "[2,1]", true),
            ("{not", "{not", false),
            ("{not", "{ not", true),
            ("{} x", "{}  x", true),
        ] {
            assert_eq!(columns.differ(&packed(old), &packed(new)), differ, "{old} {new}");
            let change = Change { task: 0, key: b"k", old: Some(&packed(old)), new: Some(&packed(new)) };
            assert_eq!(columns.values(&change).len(), usize::from(differ), "{old} {new}");
        }
    }

    #[test]
    fn columns_in_another_order_are_equal_and_values_are_found_by_name() {
        let old = codec(&[("a", ColumnType::Int), ("b", ColumnType::Text)]);
        let new = codec(&[("b", ColumnType::Text), ("a", ColumnType::Int)]);
        let columns = Columns::new(old.clone(), new.clone());
        assert!(columns.are_equal() && !columns.are_same());
        let text = || Value::Text("x".to_owned());
        assert!(!columns.differ(&packed(&old, &[Value::Int(1), text()]), &packed(&new, &[text(), Value::Int(1)])));
        assert!(columns.differ(&packed(&old, &[Value::Int(1), text()]), &packed(&new, &[text(), Value::Null])));
    }
}
