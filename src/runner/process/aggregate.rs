//! The built-in aggregates: from the fields of a record to the columns of a key's row.
//!
//! A [`Program`] is made once for a run. It is the [`Processor`] of jobs with `process: aggregate:`.

use std::cmp::Ordering;

use crate::format::limits::MAX_VALUE_BYTES;
use crate::format::rows::{RowCodec, int_at, number_at};
use crate::input::record::{BadRecord, Field};
use crate::job::{AggregateFunction, AggregateSpec, FieldPath, InputFormat};
use crate::runner::process::processor::{Context, ProcessError, Processor};
use crate::runner::state::shard::{RowMut, Variable};
use crate::runner::state::sketch::Sketch;
use crate::values::decimal::{Decimal, DecimalError};
use crate::values::value::{Column, ColumnType, Value};

/// What a run does with each record, as aggregates say it.
#[derive(Debug, Clone)]
pub struct Program {
    fields: Vec<FieldPath>,
    arguments: Vec<Argument>,
    steps: Vec<Step>,
    codec: RowCodec,
    outputs: Vec<OutputColumn>,
    /// CSV and plain text have no types: there a text that reads as a number is one.
    untyped: bool,
}

/// One value that the steps need of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Argument {
    /// An index into the program's fields.
    field: usize,
    kind: ArgumentKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArgumentKind {
    /// Only whether it is there.
    Presence,
    /// An exact number, rounded to so many places.
    Number { round: Option<u8> },
    /// A value of a column of this type.
    Value(ColumnType),
    /// The text of any value, for a sketch.
    Text,
}

/// One change to a row.
#[derive(Debug, Clone)]
enum Step {
    Count { column: usize, argument: Option<usize> },
    Sum { column: usize, argument: usize, name: String },
    Mean { sum: usize, count: usize, argument: usize, name: String },
    Keep { column: usize, argument: usize, column_type: ColumnType, when: Keep },
    Distinct { column: usize, argument: usize },
}

/// When a step replaces the value that a column has.
#[derive(Debug, Clone)]
enum Keep {
    Smaller,
    Larger,
    First,
    Last,
    /// By another column and argument: the earlier one if `first`, else the later.
    By {
        column: usize,
        argument: usize,
        column_type: ColumnType,
        first: bool,
    },
}

/// A column of the job's output, computed from the columns of its state.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OutputColumn {
    /// Its name: the aggregate's.
    name: String,
    source: OutputSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OutputSource {
    Plain(usize),
    Mean { sum: usize, count: usize },
    Estimate(usize),
}

impl OutputColumn {
    /// Computes the value out of a row's values.
    fn value(&self, row: &[Value]) -> Value {
        match self.source {
            OutputSource::Plain(column) => row[column].clone(),
            OutputSource::Mean { sum, count } => match (&row[sum], &row[count]) {
                (Value::Number(sum), Value::Int(count)) => {
                    u64::try_from(*count).ok().and_then(|count| sum.mean(count)).map_or(Value::Null, Value::Number)
                }
                _ => Value::Null,
            },
            OutputSource::Estimate(column) => match &row[column] {
                Value::Sketch(bytes) => Sketch::from_bytes(bytes).map_or(Value::Null, |s| Value::Int(s.estimate())),
                _ => Value::Int(0),
            },
        }
    }
}

impl Program {
    /// Makes the program of `aggregates`. `type_of` gives the type of a field that `min`, `max`, `first` or `last` keeps.
    pub fn new(
        aggregates: &[AggregateSpec],
        format: &InputFormat,
        mut type_of: impl FnMut(&FieldPath) -> ColumnType,
    ) -> Program {
        let mut program = Program {
            fields: Vec::new(),
            arguments: Vec::new(),
            steps: Vec::new(),
            codec: RowCodec::new(Vec::new()),
            outputs: Vec::new(),
            untyped: !matches!(format, InputFormat::Json),
        };
        let mut columns = Vec::new();
        for aggregate in aggregates {
            program.add(aggregate, &mut columns, &mut type_of);
        }
        program.codec = RowCodec::new(columns);
        program
    }

    fn add(
        &mut self,
        aggregate: &AggregateSpec,
        columns: &mut Vec<Column>,
        type_of: &mut impl FnMut(&FieldPath) -> ColumnType,
    ) {
        let name = &aggregate.name;
        let mut column = |name: String, column_type| {
            columns.push(Column::new(name, column_type));
            columns.len() - 1
        };
        let field =
            || aggregate.field.as_ref().expect("only `count` has no field, the parser of the job file saw to it");
        let number = ArgumentKind::Number { round: aggregate.round };
        let source = match aggregate.function {
            AggregateFunction::Count => {
                let argument = aggregate.field.as_ref().map(|field| self.argument(field, ArgumentKind::Presence));
                let column = column(name.clone(), ColumnType::Int);
                self.steps.push(Step::Count { column, argument });
                OutputSource::Plain(column)
            }
            AggregateFunction::Sum => {
                let argument = self.argument(field(), number);
                let column = column(name.clone(), ColumnType::Number);
                self.steps.push(Step::Sum { column, argument, name: name.clone() });
                OutputSource::Plain(column)
            }
            AggregateFunction::Avg => {
                let argument = self.argument(field(), number);
                let sum = column(format!("{name}_sum"), ColumnType::Number);
                let count = column(format!("{name}_count"), ColumnType::Int);
                self.steps.push(Step::Mean { sum, count, argument, name: name.clone() });
                OutputSource::Mean { sum, count }
            }
            AggregateFunction::ApproxDistinct => {
                let argument = self.argument(field(), ArgumentKind::Text);
                let column = column(name.clone(), ColumnType::Sketch);
                self.steps.push(Step::Distinct { column, argument });
                OutputSource::Estimate(column)
            }
            AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::First | AggregateFunction::Last => {
                let column_type = if aggregate.round.is_some() { ColumnType::Number } else { type_of(field()) };
                let kind = match column_type {
                    ColumnType::Number => number,
                    other => ArgumentKind::Value(other),
                };
                let argument = self.argument(field(), kind);
                let kept = column(name.clone(), column_type);
                let first = aggregate.function == AggregateFunction::First;
                let when = match (&aggregate.by, aggregate.function) {
                    (Some(by), _) => {
                        let by_type = type_of(by);
                        let kind = match by_type {
                            ColumnType::Number => ArgumentKind::Number { round: None },
                            other => ArgumentKind::Value(other),
                        };
                        let argument = self.argument(by, kind);
                        let column = column(format!("{name}_by"), by_type);
                        Keep::By { column, argument, column_type: by_type, first }
                    }
                    (None, AggregateFunction::Min) => Keep::Smaller,
                    (None, AggregateFunction::Max) => Keep::Larger,
                    (None, _) if first => Keep::First,
                    (None, _) => Keep::Last,
                };
                self.steps.push(Step::Keep { column: kept, argument, column_type, when });
                OutputSource::Plain(kept)
            }
        };
        self.outputs.push(OutputColumn { name: name.clone(), source });
    }

    fn argument(&mut self, field: &FieldPath, kind: ArgumentKind) -> usize {
        let field = self.fields.iter().position(|known| known == field).unwrap_or_else(|| {
            self.fields.push(field.clone());
            self.fields.len() - 1
        });
        let argument = Argument { field, kind };
        self.arguments.iter().position(|known| *known == argument).unwrap_or_else(|| {
            self.arguments.push(argument);
            self.arguments.len() - 1
        })
    }

    #[inline]
    fn pack_arguments(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        for argument in &self.arguments {
            let field = &fields[argument.field];
            if matches!(field, Field::Missing) {
                packed.push(0);
                continue;
            }
            packed.push(1);
            let refuse =
                |reason: &str| BadRecord { reason: format!("field `{}` {reason}", self.fields[argument.field]) };
            match argument.kind {
                ArgumentKind::Presence => {}
                ArgumentKind::Number { round } => {
                    let number = self.number(field).map_err(|reason| refuse(&reason))?;
                    let number = match round {
                        None => number,
                        Some(places) => {
                            number.round(places).ok_or_else(|| refuse(&DecimalError::TooLarge.to_string()))?
                        }
                    };
                    packed.extend_from_slice(&number.units().to_le_bytes());
                }
                ArgumentKind::Value(column_type) => {
                    self.pack_value(field, column_type, packed).map_err(|r| refuse(&r))?
                }
                ArgumentKind::Text => match field {
                    Field::Text(text) => put_text(packed, text),
                    Field::Number(text) => match Decimal::parse(text.as_bytes()) {
                        Ok(number) => put_text(packed, &number.to_string()),
                        Err(_) => put_text(packed, text),
                    },
                    Field::Bool(yes) => put_text(packed, if *yes { "true" } else { "false" }),
                    Field::Json(text) => put_text(packed, text),
                    Field::Missing => unreachable!("a missing field has no text"),
                },
            }
        }
        Ok(())
    }

    #[inline]
    fn number(&self, field: &Field<'_>) -> Result<Decimal, String> {
        let text = match field {
            Field::Number(text) => text,
            Field::Text(text) if self.untyped => text.as_ref().trim(),
            other => return Err(format!("is {}, expected a number", kind_of(other))),
        };
        Decimal::parse(text.as_bytes()).map_err(|error| format!("{error}: `{}`", shorten(text)))
    }

    fn pack_value(&self, field: &Field<'_>, column_type: ColumnType, packed: &mut Vec<u8>) -> Result<(), String> {
        match (column_type, field) {
            (ColumnType::Text, Field::Text(text)) => put_text(packed, text),
            (ColumnType::Bool, Field::Bool(yes)) => packed.push(u8::from(*yes)),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "true" => packed.push(1),
            (ColumnType::Bool, Field::Text(text)) if self.untyped && text == "false" => packed.push(0),
            (ColumnType::Int, Field::Number(_) | Field::Text(_)) => {
                let number = self.number(field)?;
                let whole = number.units() / Decimal::ONE.units();
                match i64::try_from(whole) {
                    Ok(whole) if i128::from(whole) * Decimal::ONE.units() == number.units() => {
                        packed.extend_from_slice(&whole.to_le_bytes());
                    }
                    _ => return Err(format!("is {number}, expected an integer of 64 bits")),
                }
            }
            (ColumnType::Json, Field::Json(text) | Field::Number(text)) => put_text(packed, text),
            (ColumnType::Json, Field::Bool(yes)) => put_text(packed, if *yes { "true" } else { "false" }),
            (ColumnType::Json, Field::Text(text)) => {
                // Control characters grow when they are escaped, past what a segment takes.
                let quoted = Value::Text(text.to_string()).to_json();
                if quoted.len() > MAX_VALUE_BYTES {
                    return Err(format!("has {} bytes as JSON, expected at most {MAX_VALUE_BYTES}", quoted.len()));
                }
                put_text(packed, &quoted);
            }
            (expected, found) => return Err(format!("is {}, expected {}", kind_of(found), name_of(expected))),
        }
        Ok(())
    }

    #[inline]
    fn apply_arguments(&self, packed: &[u8], row: &mut RowMut<'_>) -> Result<(), ProcessError> {
        if self.arguments.len() <= MAX_INLINE {
            let mut values: [Option<&[u8]>; MAX_INLINE] = [None; MAX_INLINE];
            self.split(packed, &mut values);
            self.steps(&values, row)
        } else {
            let mut values = vec![None; self.arguments.len()];
            self.split(packed, &mut values);
            self.steps(&values, row)
        }
    }

    #[inline]
    fn split<'a>(&self, mut packed: &'a [u8], values: &mut [Option<&'a [u8]>]) {
        for (argument, value) in self.arguments.iter().zip(values) {
            let (present, rest) = (packed[0] != 0, &packed[1..]);
            packed = rest;
            if present {
                let length = match argument.kind {
                    ArgumentKind::Presence => 0,
                    ArgumentKind::Number { .. } | ArgumentKind::Value(ColumnType::Number) => 16,
                    ArgumentKind::Value(ColumnType::Int) => 8,
                    ArgumentKind::Value(ColumnType::Bool) => 1,
                    ArgumentKind::Text | ArgumentKind::Value(_) => {
                        let length = u32::from_le_bytes(packed[..4].try_into().expect("four bytes"));
                        packed = &packed[4..];
                        length as usize
                    }
                };
                let (bytes, rest) = packed.split_at(length);
                *value = Some(bytes);
                packed = rest;
            }
        }
    }

    #[inline]
    fn steps(&self, values: &[Option<&[u8]>], row: &mut RowMut<'_>) -> Result<(), ProcessError> {
        for step in &self.steps {
            match step {
                Step::Count { column, argument } => {
                    let counts = argument.is_none_or(|argument| values[argument].is_some());
                    self.add_int(row, *column, i64::from(counts));
                }
                Step::Sum { column, argument, name } => {
                    if let Some(bytes) = values[*argument] {
                        self.add_number(row, *column, bytes, name)?;
                    }
                }
                Step::Mean { sum, count, argument, name } => {
                    if let Some(bytes) = values[*argument] {
                        self.add_number(row, *sum, bytes, name)?;
                        self.add_int(row, *count, 1);
                    }
                }
                Step::Keep { column, argument, column_type, when } => {
                    if let Some(new) = values[*argument] {
                        self.keep(row, values, *column, new, *column_type, when);
                    }
                }
                Step::Distinct { column, argument } => {
                    if let Some(text) = values[*argument] {
                        let at = row.offset(*column);
                        row.sketch(*column, at).update(text);
                    }
                }
            }
        }
        Ok(())
    }

    #[inline]
    fn add_int(&self, row: &mut RowMut<'_>, column: usize, number: i64) {
        let at = row.offset(column);
        // A missing integer is packed as zero. A count of 2^63 records is out of any machine's reach.
        let sum = int_at(row.packed, at).wrapping_add(number);
        row.packed[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        row.mark(column);
    }

    #[inline]
    fn add_number(&self, row: &mut RowMut<'_>, column: usize, bytes: &[u8], name: &str) -> Result<(), ProcessError> {
        let at = row.offset(column);
        let sum = number_at(row.packed, at).checked_add(number_at(bytes, 0));
        let sum = sum.ok_or_else(|| overflow(name))?;
        row.packed[at..at + 16].copy_from_slice(&sum.units().to_le_bytes());
        row.mark(column);
        Ok(())
    }

    fn keep(
        &self,
        row: &mut RowMut<'_>,
        values: &[Option<&[u8]>],
        column: usize,
        new: &[u8],
        column_type: ColumnType,
        when: &Keep,
    ) {
        let at = row.offset(column);
        let replaces = match when {
            Keep::Last => true,
            Keep::First => !row.has(column),
            Keep::Smaller => row.get(column, at, column_type).is_none_or(|old| compare(column_type, new, old).is_lt()),
            Keep::Larger => row.get(column, at, column_type).is_none_or(|old| compare(column_type, new, old).is_gt()),
            Keep::By { column: by, argument, column_type: by_type, first } => {
                let Some(new_by) = values[*argument] else { return };
                let by_at = row.offset(*by);
                let replaces = row.get(*by, by_at, *by_type).is_none_or(|old| match compare(*by_type, new_by, old) {
                    Ordering::Less => *first,
                    Ordering::Equal | Ordering::Greater if *first => false,
                    Ordering::Equal | Ordering::Greater => true,
                });
                if replaces {
                    row.set(*by, by_at, *by_type, new_by);
                }
                replaces
            }
        };
        if replaces {
            row.set(column, at, column_type, new);
        }
    }
}

impl Processor for Program {
    fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    fn columns(&self) -> &[Column] {
        self.codec.columns()
    }

    fn output_columns(&self) -> Vec<Column> {
        let type_of = |source: OutputSource| match source {
            OutputSource::Plain(column) => self.codec.columns()[column].column_type,
            OutputSource::Mean { .. } => ColumnType::Number,
            OutputSource::Estimate(_) => ColumnType::Int,
        };
        self.outputs.iter().map(|column| Column::new(&column.name, type_of(column.source))).collect()
    }

    fn output(&self, row: &[Value]) -> Vec<Value> {
        self.outputs.iter().map(|column| column.value(row)).collect()
    }

    fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        self.pack_arguments(fields, packed)
    }

    fn apply(&self, arguments: &[u8], row: &mut RowMut<'_>, _: &mut Context<'_>) -> Result<(), ProcessError> {
        self.apply_arguments(arguments, row)
    }
}

/// Says that a sum left the bounds of a [`Decimal`].
#[cold]
fn overflow(aggregate: &str) -> ProcessError {
    ProcessError { reason: format!("`{aggregate}` overflows: its sum reaches 10^20") }
}

/// So many arguments need no allocation for each record.
const MAX_INLINE: usize = 8;

/// Compares two values of a column's type, packed without their length.
fn compare(column_type: ColumnType, a: &[u8], b: &[u8]) -> Ordering {
    match column_type {
        ColumnType::Int => int_at(a, 0).cmp(&int_at(b, 0)),
        ColumnType::Number => number_at(a, 0).cmp(&number_at(b, 0)),
        ColumnType::Bool | ColumnType::Text | ColumnType::Json | ColumnType::Sketch => a.cmp(b),
    }
}

fn put_text(packed: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).expect("a field is below 4 GiB");
    packed.extend_from_slice(&length.to_le_bytes());
    packed.extend_from_slice(text.as_bytes());
}

fn kind_of(field: &Field<'_>) -> &'static str {
    match field {
        Field::Missing => "missing",
        Field::Text(_) => "text",
        Field::Number(_) => "a number",
        Field::Bool(_) => "a bool",
        Field::Json(text) if text.starts_with('[') => "a list",
        Field::Json(_) => "an object",
    }
}

fn name_of(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Int => "an integer",
        ColumnType::Number => "a number",
        ColumnType::Text => "text",
        ColumnType::Bool => "a bool",
        ColumnType::Json => "JSON",
        ColumnType::Sketch => "a sketch",
    }
}

fn shorten(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl Variable {
    /// Makes the value of a variable column out of its bytes in a checkpoint.
    pub fn from_bytes(column_type: ColumnType, bytes: &[u8]) -> Option<Variable> {
        match column_type {
            ColumnType::Sketch => Sketch::from_bytes(bytes).map(|sketch| Variable::Sketch(Box::new(sketch))),
            _ => Some(Variable::Bytes(bytes.into())),
        }
    }
}
