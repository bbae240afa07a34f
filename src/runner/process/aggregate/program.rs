//! The aggregates of a job as a [`Processor`].

use crate::format::rows::RowCodec;
use crate::input::record::{BadRecord, Field, Filter};
use crate::job::state_columns::state_columns;
use crate::job::{AggregateFunction, AggregateSpec, FieldPath, InputFormat, InputSpec};
use crate::runner::process::aggregate::argument::{ArgumentKind, Arguments};
use crate::runner::process::aggregate::step::{Keep, Step};
use crate::runner::process::processor::{Context, ProcessError, Processor};
use crate::runner::state::row_mut::RowMut;
use crate::shape::{AggregateRows, RowOutput};
use crate::values::value::{Column, ColumnType, Value};

/// The aggregates of a job, compiled to steps.
#[derive(Debug, Clone)]
pub struct Program {
    arguments: Arguments,
    steps: Vec<Step>,
    codec: RowCodec,
    rows: AggregateRows,
}

/// Up to this number of arguments, a record needs no allocation.
const MAX_INLINE: usize = 8;

impl Program {
    /// Makes the program for `aggregates` of the records of `input`. `type_of` returns the type of a field that `min`, `max`, `first` or `last`
    /// keeps.
    pub fn new(
        aggregates: &[AggregateSpec],
        input: &InputSpec,
        type_of: impl FnMut(&FieldPath) -> ColumnType,
    ) -> Program {
        let mut program = Program {
            arguments: Arguments::new(!matches!(input.format, InputFormat::Json)),
            steps: Vec::new(),
            codec: RowCodec::new(Vec::new()),
            rows: AggregateRows::default(),
        };
        let state_columns = state_columns(aggregates, type_of);
        program.rows = AggregateRows::new(aggregates, &state_columns);
        let mut columns = Vec::new();
        for (aggregate, added) in aggregates.iter().zip(state_columns) {
            let condition = aggregate.condition.as_ref().map(|condition| {
                let filter = Filter::of_input(&condition.expression, input).expect("the job file was checked");
                program.arguments.add_condition(&aggregate.name, condition, filter)
            });
            program.add(aggregate, condition, added, &mut columns);
        }
        program.codec = RowCodec::new(columns);
        program
    }

    /// Takes note of the fields whose type is only known from the first records: neither declared nor needed.
    pub fn with_inferred(mut self, is_inferred: impl Fn(&FieldPath) -> bool) -> Program {
        self.arguments.infer(is_inferred);
        self
    }

    fn add(
        &mut self,
        aggregate: &AggregateSpec,
        condition: Option<usize>,
        added: Vec<Column>,
        columns: &mut Vec<Column>,
    ) {
        let name = &aggregate.name;
        let column = columns.len();
        let has_sketch = added.len() == 2;
        columns.extend(added);
        let field = || aggregate.field.as_ref().expect("the job file was checked: only `count` may have no field");
        let number = ArgumentKind::Number { round: aggregate.round };
        match aggregate.function {
            AggregateFunction::Count => {
                let argument = match &aggregate.field {
                    Some(field) => Some(self.arguments.add(field, ArgumentKind::Presence, condition)),
                    None => condition.map(|condition| self.arguments.add_truth(condition)),
                };
                self.steps.push(Step::Count { column, argument });
            }
            AggregateFunction::Sum => {
                let argument = self.arguments.add(field(), number, condition);
                self.steps.push(Step::Sum { column, argument, name: name.clone() });
            }
            AggregateFunction::Avg => {
                let argument = self.arguments.add(field(), number, condition);
                let (sum, count) = (column, column + 1);
                self.steps.push(Step::Mean { sum, count, argument, name: name.clone() });
            }
            AggregateFunction::ApproxDistinct => {
                let argument = self.arguments.add(field(), ArgumentKind::Identity, condition);
                self.steps.push(Step::Distinct { column: column + 1, argument });
            }
            AggregateFunction::ApproxQuantile => {
                // Another quantile of the same values fills the sketch otherwise.
                if has_sketch {
                    let argument = self.arguments.add(field(), number, condition);
                    self.steps.push(Step::Quantiles { column: column + 1, argument });
                }
            }
            AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::First | AggregateFunction::Last => {
                self.add_keep(aggregate, condition, column, columns);
            }
        }
    }

    /// Adds an aggregate that keeps one of the values of its field in `column`.
    fn add_keep(&mut self, aggregate: &AggregateSpec, condition: Option<usize>, column: usize, columns: &[Column]) {
        let column_type = columns[column].column_type;
        let field = aggregate.field.as_ref().expect("the job file was checked: only `count` may have no field");
        let argument = self.arguments.add(field, ArgumentKind::of(column_type, aggregate.round), condition);
        let when = match (&aggregate.by, aggregate.function) {
            (Some(by), function) => {
                let column = column + 1;
                let by_type = columns[column].column_type;
                let argument = self.arguments.add(by, ArgumentKind::of(by_type, None), condition);
                Keep::By { column, argument, column_type: by_type, first: function == AggregateFunction::First }
            }
            (None, AggregateFunction::Min) => Keep::Smaller,
            (None, AggregateFunction::Max) => Keep::Larger,
            (None, AggregateFunction::First) => Keep::First,
            (None, _) => Keep::Last,
        };
        self.steps.push(Step::Keep { column, argument, column_type, when });
    }

    #[inline]
    fn apply_arguments(&self, packed: &[u8], row: &mut RowMut<'_>) -> Result<(), ProcessError> {
        if self.arguments.len() <= MAX_INLINE {
            let mut values: [Option<&[u8]>; MAX_INLINE] = [None; MAX_INLINE];
            self.arguments.split(packed, &mut values);
            self.steps.iter().try_for_each(|step| step.apply(&values, row))
        } else {
            let mut values = vec![None; self.arguments.len()];
            self.arguments.split(packed, &mut values);
            self.steps.iter().try_for_each(|step| step.apply(&values, row))
        }
    }
}

impl Processor for Program {
    fn fields(&self) -> &[FieldPath] {
        &self.arguments.fields
    }

    fn columns(&self) -> &[Column] {
        self.codec.columns()
    }

    fn output_columns(&self) -> Vec<Column> {
        self.rows.columns()
    }

    fn output(&self, row: &[Value]) -> Vec<Value> {
        self.rows.values(row)
    }

    fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        self.arguments.pack(fields, packed)
    }

    fn apply(&self, arguments: &[u8], row: &mut RowMut<'_>, _: &mut Context<'_>) -> Result<(), ProcessError> {
        self.apply_arguments(arguments, row)
    }
}
