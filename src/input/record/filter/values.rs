//! The values that an expression computes with.

use std::collections::HashMap;

use cel::common::types::{CelBool, CelList, CelMap, CelMapKey, CelNull, CelString};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use crate::input::record::field::Field;
use crate::input::record::filter::exact::value_of_number;
use crate::input::record::filter::pattern::Pattern;
use crate::input::record::json::scan::is_number;
use crate::input::record::json::tree::Tree;

/// The values of one record's fields.
pub(super) struct Values<'a> {
    pub(super) fields: &'a [Field<'a>],
    /// The objects and arrays, with the index of their field.
    pub(super) trees: Vec<(usize, Box<dyn Val>)>,
    pub(super) patterns: &'a [Pattern],
    pub(super) has_numbers_in_text: bool,
    /// Whether numbers are exact.
    pub(super) is_exact: bool,
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
            Field::Text(text) if is_typed && self.has_numbers_in_text && is_number(text) => {
                value_of_number(text, self.is_exact)
                    .map_or_else(|| CowVal::owned(CelString::from(text.as_ref())), CowVal::Owned)
            }
            Field::Text(text) => CowVal::owned(CelString::from(text.as_ref())),
            Field::Number(text) => CowVal::Owned(value_of_number(text, self.is_exact)?),
            Field::Bool(yes) => CowVal::owned(CelBool::from(*yes)),
            Field::Json(_) => {
                let (_, tree) = self.trees.iter().find(|(known, _)| *known == index)?;
                CowVal::Owned(tree.clone())
            }
        })
    }
}

/// Returns the value of `tree`. Returns `None` if one of its numbers is too large.
pub(super) fn value_of(tree: Tree<'_>, is_exact: bool) -> Option<Box<dyn Val>> {
    Some(match tree {
        Tree::Null => Box::new(CelNull),
        Tree::Bool(yes) => Box::new(CelBool::from(yes)),
        Tree::Number(text) => value_of_number(text, is_exact)?,
        Tree::Text(text) => Box::new(CelString::from(text.into_owned())),
        Tree::List(values) => {
            let values = values.into_iter().map(|value| value_of(value, is_exact));
            Box::new(CelList::from(values.collect::<Option<Vec<_>>>()?))
        }
        Tree::Object(members) => {
            let mut map: HashMap<CelMapKey<'static>, Box<dyn Val>> = HashMap::with_capacity(members.len());
            for (name, value) in members {
                map.insert(CelMapKey::from(name.into_owned()), value_of(value, is_exact)?);
            }
            Box::new(CelMap::from(map))
        }
    })
}
