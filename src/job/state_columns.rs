//! The columns of state that aggregates need, as `docs/format.md` lists them.

use crate::job::aggregate::{AggregateFunction, AggregateSpec};
use crate::job::field::FieldPath;
use crate::values::value::{Column, ColumnType, Estimate};

use AggregateFunction::{ApproxDistinct, ApproxQuantile, Avg, Count, First, Last, Max, Min, Sum};

impl AggregateSpec {
    /// Returns the names of the state columns that the aggregate needs. Of the quantiles that share a sketch, only the
    /// first has the column of the sketch; the others reserve its name.
    pub fn column_names(&self) -> Vec<String> {
        let name = &self.name;
        match (self.function, &self.by) {
            (Avg, _) => vec![format!("{name}_sum"), format!("{name}_count")],
            (ApproxDistinct | ApproxQuantile, _) => vec![name.clone(), sketch_name(name)],
            (_, Some(_)) => vec![name.clone(), format!("{name}_by")],
            (_, None) => vec![name.clone()],
        }
    }

    /// Returns whether both aggregates estimate something of the same sketch.
    pub fn shares_sketch(&self, other: &AggregateSpec) -> bool {
        let values =
            |aggregate: &AggregateSpec| (aggregate.field.clone(), aggregate.round, aggregate.condition.clone());
        match (self.function, other.function) {
            (ApproxQuantile, ApproxQuantile) => values(self) == values(other),
            (ApproxDistinct, ApproxDistinct) => self == other,
            _ => false,
        }
    }

    /// Returns whether the state of a job with the aggregates `old` has what this one needs.
    pub fn continues_one_of(&self, old: &[AggregateSpec]) -> bool {
        old.iter().any(|old| old == self || old.shares_sketch(self))
    }

    /// Returns the column of a job with `aggregates` that has the sketch of this one.
    pub fn sketch_column(&self, aggregates: &[AggregateSpec]) -> Option<String> {
        aggregates.iter().find(|first| first.shares_sketch(self)).map(|first| sketch_name(&first.name))
    }

    /// Returns the columns of a job with `aggregates` that are for this one. `type_of` returns the type of a field
    /// whose values it keeps.
    fn columns(&self, aggregates: &[AggregateSpec], type_of: &mut dyn FnMut(&FieldPath) -> ColumnType) -> Vec<Column> {
        let mut kept = |field: &Option<FieldPath>| type_of(field.as_ref().expect("only `count` may have no field"));
        let types = match (self.function, &self.by) {
            (Count, _) => vec![ColumnType::Int],
            (Sum, _) => vec![ColumnType::Number],
            (Avg, _) => vec![ColumnType::Number, ColumnType::Int],
            (ApproxDistinct | ApproxQuantile, _) => return self.estimate_columns(aggregates),
            (Min | Max, _) if self.round.is_some() => vec![ColumnType::Number],
            (Min | Max | First | Last, None) => vec![kept(&self.field)],
            (Min | Max | First | Last, by) => vec![kept(&self.field), kept(by)],
        };
        self.column_names().into_iter().zip(types).map(|(name, column_type)| Column::new(name, column_type)).collect()
    }

    fn estimate_columns(&self, aggregates: &[AggregateSpec]) -> Vec<Column> {
        let sketch = self.sketch_column(aggregates).expect("the aggregate is one of them");
        let (column_type, sketch_type) = match self.function {
            ApproxQuantile => (ColumnType::Number, ColumnType::Quantiles),
            _ => (ColumnType::Int, ColumnType::Sketch),
        };
        let mut columns = vec![Column::new(&self.name, column_type)];
        if sketch == sketch_name(&self.name) {
            columns.push(Column::new(&sketch, sketch_type));
        }
        columns[0].estimate = Some(Estimate { sketch, quantile: self.quantile });
        columns
    }
}

fn sketch_name(aggregate: &str) -> String {
    format!("{aggregate}_sketch")
}

/// Returns the state columns of each of `aggregates`. `type_of` returns the type of a field whose values one of them
/// keeps.
pub fn state_columns(
    aggregates: &[AggregateSpec],
    mut type_of: impl FnMut(&FieldPath) -> ColumnType,
) -> Vec<Vec<Column>> {
    aggregates.iter().map(|aggregate| aggregate.columns(aggregates, &mut type_of)).collect()
}

/// Returns the columns that a version without estimates gave to a job whose state has `columns` now: its sketch of
/// `approx_distinct` had the name of the aggregate.
pub fn without_estimates(columns: &[Column]) -> Vec<Column> {
    let estimate_of = |sketch: &Column| {
        let is_it = |column: &&Column| column.estimate.as_ref().is_some_and(|of| of.sketch == sketch.name);
        columns.iter().find(is_it)
    };
    let kept = columns.iter().filter(|column| column.estimate.is_none());
    kept.map(|column| match estimate_of(column) {
        Some(estimate) => Column::new(&estimate.name, column.column_type),
        None => column.clone(),
    })
    .collect()
}
