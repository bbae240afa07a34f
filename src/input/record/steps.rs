//! What is done with the fields of a record before the job uses them.

use crate::input::record::bad_record::{BadRecord, in_one_line};
use crate::input::record::computation::{Computation, Computed};
use crate::input::record::field::Field;
use crate::input::record::json::scan::is_number;
use crate::job::field::FieldPath;
use crate::job::known_fields::KnownFields;
use crate::job::model::{ComputedField, InputSpec, NumberForm};

/// The computed fields that a job uses, and where each requested field comes from.
#[derive(Debug, Clone)]
pub(super) struct Steps {
    /// In order. A computed field uses those before it.
    computed: Vec<ComputedStep>,
    /// Of each requested field.
    sources: Vec<Source>,
    nulls: Vec<String>,
    numbers: Option<NumberForm>,
}

#[derive(Debug, Clone)]
struct ComputedStep {
    computation: Computation,
    sources: Vec<Source>,
}

/// Where a field comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// From the record: the field with this index.
    Record(usize),
    /// The computed field with this index.
    Computed(usize),
}

/// The computed fields that requested ones need, and where each value comes from.
struct Plan {
    /// The indexes of the computed fields, ascending.
    needed: Vec<usize>,
    /// Of the fields that each of these uses.
    of_computed: Vec<Vec<Source>>,
    /// Of each requested field.
    of_requested: Vec<Source>,
    /// The fields of the record, each once.
    of_record: Vec<FieldPath>,
}

impl Plan {
    /// Plans for the fields of `input`. Returns nothing if the fields are those of the record.
    fn new(input: &InputSpec, fields: &[FieldPath]) -> Option<Plan> {
        let needed = needed(input, fields);
        if needed.is_empty() && input.nulls.is_empty() && input.numbers.is_none() {
            return None;
        }
        let mut of_record: Vec<FieldPath> = Vec::new();
        let mut place = |field: &FieldPath, before: &[usize]| {
            let computed = before.iter().rposition(|index| is_named(field, &input.computed[*index].name));
            computed.map_or_else(|| Source::Record(place_in(&mut of_record, field)), Source::Computed)
        };
        let mut of_computed = Vec::new();
        for (count, index) in needed.iter().enumerate() {
            let uses = &input.computed[*index].fields;
            of_computed.push(uses.iter().map(|field| place(field, &needed[..count])).collect());
        }
        let of_requested = fields.iter().map(|field| place(field, &needed)).collect();
        Some(Plan { needed, of_computed, of_requested, of_record })
    }
}

impl Steps {
    /// Returns the steps for the fields of `input`, and the fields that they need of the record. Returns nothing if the
    /// fields are those of the record.
    pub(super) fn new(input: &InputSpec, fields: &[FieldPath]) -> Option<(Steps, Vec<FieldPath>)> {
        let Plan { needed, of_computed, of_requested, of_record } = Plan::new(input, fields)?;
        let step = |(index, sources)| ComputedStep { computation: computation(input, index), sources };
        let computed = needed.into_iter().zip(of_computed).map(step).collect();
        let (nulls, numbers) = (input.nulls.clone(), input.numbers.clone());
        Some((Steps { computed, sources: of_requested, nulls, numbers }, of_record))
    }

    /// Computes the fields of a record that has `of_record`, and passes the requested ones to `take`.
    pub(super) fn apply<T>(
        &self,
        of_record: &[Field<'_>],
        take: impl FnOnce(Result<&[Field<'_>], BadRecord>) -> T,
    ) -> T {
        if self.nulls.is_empty() && self.numbers.is_none() {
            return self.compute(of_record, take);
        }
        match of_record.iter().map(|field| self.cleaned(field)).collect::<Result<Vec<_>, _>>() {
            Ok(cleaned) => self.compute(&cleaned, take),
            Err(bad) => take(Err(bad)),
        }
    }

    /// Returns `field` without texts for missing values, and with numbers as JSON writes them.
    fn cleaned<'f>(&self, field: &'f Field<'_>) -> Result<Field<'f>, BadRecord> {
        let Field::Text(text) = field else { return Ok(field.borrowed()) };
        if self.nulls.iter().any(|null| null == text) {
            return Ok(Field::Missing);
        }
        let Some(form) = &self.numbers else { return Ok(field.borrowed()) };
        match form.read(text) {
            Some(number) => Ok(Field::Text(number.into())),
            None if is_number(text) => {
                let text = in_one_line(text);
                Err(BadRecord { reason: format!("`{text}` is a number, but not as `numbers` says they are written") })
            }
            None => Ok(field.borrowed()),
        }
    }

    fn compute<T>(&self, of_record: &[Field<'_>], take: impl FnOnce(Result<&[Field<'_>], BadRecord>) -> T) -> T {
        let mut values: Vec<Computed> = Vec::with_capacity(self.computed.len());
        for step in &self.computed {
            match step.computation.compute(&gather(&step.sources, of_record, &values)) {
                Ok(value) => values.push(value),
                Err(bad) => return take(Err(bad)),
            }
        }
        take(Ok(&gather(&self.sources, of_record, &values)))
    }
}

/// Returns the fields of the records themselves that `fields` are, or are computed from.
pub fn record_fields(input: &InputSpec, fields: &[FieldPath]) -> Vec<FieldPath> {
    Plan::new(input, fields).map_or_else(|| fields.to_vec(), |plan| plan.of_record)
}

/// Returns the computed fields that `fields` are, or are computed from.
pub fn computed_fields<'a>(input: &'a InputSpec, fields: &[FieldPath]) -> Vec<&'a ComputedField> {
    needed(input, fields).into_iter().map(|index| &input.computed[index]).collect()
}

/// Compiles the computed field `index` of `input`. The job file was checked.
fn computation(input: &InputSpec, index: usize) -> Computation {
    let ComputedField { name, expression, .. } = &input.computed[index];
    let known = KnownFields::OfRecords { format: &input.format, computed: &input.computed[..index] };
    Computation::new(name, expression, known).expect("the job file was checked")
}

/// Returns the indexes of the computed fields that `fields` are, or need.
fn needed(input: &InputSpec, fields: &[FieldPath]) -> Vec<usize> {
    let count = input.computed.len();
    let mut is_needed = vec![false; count];
    let mut asked: Vec<(&FieldPath, usize)> = fields.iter().map(|field| (field, count)).collect();
    while let Some((field, before)) = asked.pop() {
        let found = (0..before).rev().find(|index| is_named(field, &input.computed[*index].name));
        if let Some(index) = found.filter(|index| !std::mem::replace(&mut is_needed[*index], true)) {
            asked.extend(input.computed[index].fields.iter().map(|field| (field, index)));
        }
    }
    (0..count).filter(|index| is_needed[*index]).collect()
}

fn is_named(field: &FieldPath, name: &str) -> bool {
    field.names == [name]
}

/// Returns the index of `field` in `list`, after adding it if it is new.
fn place_in(list: &mut Vec<FieldPath>, field: &FieldPath) -> usize {
    list.iter().position(|known| known == field).unwrap_or_else(|| {
        list.push(field.clone());
        list.len() - 1
    })
}

fn gather<'f>(sources: &[Source], of_record: &'f [Field<'_>], values: &'f [Computed]) -> Vec<Field<'f>> {
    let field = |source: &Source| match source {
        Source::Record(index) => of_record[*index].borrowed(),
        Source::Computed(index) => values[*index].field(),
    };
    sources.iter().map(field).collect()
}
