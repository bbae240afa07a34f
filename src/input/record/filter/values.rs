//! The values that an expression computes with.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use crate::input::record::field::Field;
use crate::input::record::filter::pattern::Pattern;
use crate::input::record::json::scan::is_number;

/// The values of one record's fields.
pub(super) struct Values<'a> {
    pub(super) fields: &'a [Field<'a>],
    /// The objects and arrays, with the index of their field.
    pub(super) trees: Vec<(usize, Box<dyn Val>)>,
    pub(super) patterns: &'a [Pattern],
    pub(super) has_numbers_in_text: bool,
}

impl VariableResolver for Values<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let kind = variable.chars().next().filter(char::is_ascii)?;
        let index: usize = variable.get(1..)?.parse().ok()?;
        if kind == '~' {
            return self.patterns.get(index).map(|pattern| CowVal::Borrowed(pattern as &dyn Val));
        }
        let is_typed = match kind {
            '#' => true,
            '$' => false,
            _ => return None,
        };
        Some(match self.fields.get(index)? {
            Field::Missing => CowVal::Borrowed(&CelNull),
            Field::Text(text) if is_typed && self.has_numbers_in_text && is_number(text) => number(text),
            Field::Text(text) => CowVal::owned(CelString::from(text.as_ref())),
            Field::Number(text) => number(text),
            Field::Bool(yes) => CowVal::owned(CelBool::from(*yes)),
            Field::Json(_) => {
                let (_, tree) = self.trees.iter().find(|(known, _)| *known == index)?;
                CowVal::Owned(tree.clone())
            }
        })
    }
}

fn number<'b, 'v>(text: &str) -> CowVal<'b, 'v> {
    match text.parse::<i64>() {
        Ok(int) => CowVal::owned(CelInt::from(int)),
        // Rust parses every JSON number, but may round it.
        Err(_) => CowVal::owned(CelDouble::from(text.parse::<f64>().unwrap_or(f64::NAN))),
    }
}

pub(super) fn value_of(tree: &serde_json::Value) -> Box<dyn Val> {
    match tree {
        serde_json::Value::Null => Box::new(CelNull),
        serde_json::Value::Bool(yes) => Box::new(CelBool::from(*yes)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Box::new(CelInt::from(int)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        serde_json::Value::String(text) => Box::new(CelString::from(text.clone())),
        serde_json::Value::Array(values) => Box::new(CelList::from(values.iter().map(value_of).collect::<Vec<_>>())),
        serde_json::Value::Object(values) => {
            let map: HashMap<CelMapKey<'static>, Box<dyn Val>> =
                values.iter().map(|(name, value)| (CelMapKey::from(name.clone()), value_of(value))).collect();
            Box::new(CelMap::from(map))
        }
    }
}
