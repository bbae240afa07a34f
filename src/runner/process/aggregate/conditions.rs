//! The conditions of aggregates.

use crate::input::record::{BadRecord, Field, Filter};
use crate::job::Condition;

/// The conditions of a job's aggregates. Aggregates that have the same condition share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions(Vec<Compiled>);

#[derive(Debug, Clone)]
struct Compiled {
    expression: String,
    filter: Filter,
    /// Where its fields are among those of the arguments.
    fields: Vec<usize>,
    /// What messages call it.
    name: String,
}

impl Conditions {
    /// Returns the number of the condition of the aggregate `name`, after adding it if it is new.
    pub(super) fn add(&mut self, name: &str, condition: &Condition, filter: Filter, fields: Vec<usize>) -> usize {
        let expression = &condition.expression;
        self.0.iter().position(|known| known.expression == *expression).unwrap_or_else(|| {
            let name = format!("the condition of `{name}`");
            self.0.push(Compiled { expression: expression.clone(), filter, fields, name });
            self.0.len() - 1
        })
    }

    /// Returns for each condition whether it is true of a record.
    #[inline]
    pub(super) fn hold(&self, fields: &[Field<'_>]) -> Result<Vec<bool>, BadRecord> {
        let holds = |condition: &Compiled| {
            let used: Vec<Field<'_>> = condition.fields.iter().map(|index| fields[*index].borrowed()).collect();
            condition.filter.is_true(&used, &condition.name)
        };
        self.0.iter().map(holds).collect()
    }
}
