//! The output of a row of aggregates, computed from the columns of the state.

use crate::job::{AggregateFunction, AggregateSpec};
use crate::shape::row_shape::RowOutput;
use crate::values::value::{Column, ColumnType, Value};

/// The columns of the output of aggregates, each with the name of its aggregate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AggregateRows(Vec<(Column, Source)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The value of this column of the state.
    Plain(usize),
    /// One column divided by another.
    Mean { sum: usize, count: usize },
}

impl AggregateRows {
    /// Makes the columns for `aggregates`, each with its columns of the state.
    pub fn new(aggregates: &[AggregateSpec], state_columns: &[Vec<Column>]) -> AggregateRows {
        let mut place = 0;
        let mut output = |(aggregate, columns): (&AggregateSpec, &Vec<Column>)| {
            let (sum, count) = (place, place + 1);
            place += columns.len();
            let (column_type, source) = match aggregate.function {
                AggregateFunction::Avg => (ColumnType::Number, Source::Mean { sum, count }),
                _ => (columns[0].column_type, Source::Plain(sum)),
            };
            (Column::new(&aggregate.name, column_type), source)
        };
        AggregateRows(aggregates.iter().zip(state_columns).map(&mut output).collect())
    }
}

impl RowOutput for AggregateRows {
    fn columns(&self) -> Vec<Column> {
        self.0.iter().map(|(column, _)| column.clone()).collect()
    }

    fn values(&self, row: &[Value]) -> Vec<Value> {
        self.0.iter().map(|(_, source)| source.value(row)).collect()
    }
}

impl Source {
    /// Computes the value from the values of a row.
    fn value(self, row: &[Value]) -> Value {
        match self {
            Source::Plain(column) => row[column].clone(),
            Source::Mean { sum, count } => match (&row[sum], &row[count]) {
                (Value::Number(sum), Value::Int(count)) => {
                    u64::try_from(*count).ok().and_then(|count| sum.mean(count)).map_or(Value::Null, Value::Number)
                }
                _ => Value::Null,
            },
        }
    }
}
