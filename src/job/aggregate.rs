//! Aggregates: `count`, `sum(round(amount, 2))`, `first(city by ts)`.

use std::fmt;

use crate::job::condition::Condition;
use crate::job::field::{Cursor, ExpressionError, FieldPath, fail};
use crate::job::keys::unknown;
use crate::values::decimal::Decimal;
use crate::values::units::shown;

/// One aggregate: `spent: sum(amount)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AggregateSpec {
    /// The column's name in state and output.
    pub name: String,
    pub function: AggregateFunction,
    /// The field in parentheses; `None` for a plain `count`. `count(field)` counts the records in which the field
    /// exists and is not null.
    pub field: Option<FieldPath>,
    /// `first(city by ts)`: the field that decides which value is first; otherwise the order of the input does.
    pub by: Option<FieldPath>,
    /// `sum(round(amount, 2))`: rounds each value half to even to this many decimal places before it is used. For sum,
    /// avg, min and max.
    pub round: Option<u8>,
    /// `approx_quantile(ms, 0.99)`: the fraction, from 0 to 1.
    pub quantile: Option<Decimal>,
    /// `count where status >= 500`: which records it is computed of.
    pub condition: Option<Condition>,
}

/// What an aggregate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AggregateFunction {
    /// The number of records.
    Count,
    /// The exact sum.
    Sum,
    Min,
    Max,
    /// The exact mean.
    Avg,
    First,
    Last,
    /// About how many distinct values, from a HyperLogLog sketch.
    ApproxDistinct,
    /// About the smallest value that a share of the values do not exceed, from a DDSketch.
    ApproxQuantile,
}

use AggregateFunction::*;

impl AggregateFunction {
    /// All functions, in the order of `docs/job-file.md`.
    pub const ALL: [AggregateFunction; 9] = [Count, Sum, Min, Max, Avg, First, Last, ApproxDistinct, ApproxQuantile];

    /// Returns the function's name in a job file.
    pub fn name(self) -> &'static str {
        match self {
            Count => "count",
            Sum => "sum",
            Min => "min",
            Max => "max",
            Avg => "avg",
            First => "first",
            Last => "last",
            ApproxDistinct => "approx_distinct",
            ApproxQuantile => "approx_quantile",
        }
    }

    fn takes_round(self) -> bool {
        matches!(self, Sum | Avg | Min | Max | ApproxQuantile)
    }

    fn takes_by(self) -> bool {
        matches!(self, First | Last)
    }
}

impl fmt::Display for AggregateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl AggregateSpec {
    /// Parses the expression of the aggregate `name`. What follows `where` is not parsed: the fields of its condition
    /// are left empty.
    pub fn parse(name: &str, expression: &str) -> Result<AggregateSpec, ExpressionError> {
        let mut cursor = Cursor::new(expression);
        cursor.skip_space();
        let start = cursor.at();
        let word = cursor.word();
        if word.is_empty() {
            return Err(cursor.wrong("an aggregate such as `count` or `sum(amount)`"));
        }
        let Some(function) = AggregateFunction::ALL.into_iter().find(|function| function.name() == word) else {
            let names = AggregateFunction::ALL.map(AggregateFunction::name);
            return Err(fail(start, unknown("aggregate", &word, "", &names)));
        };
        let mut aggregate = AggregateSpec {
            name: name.to_owned(),
            function,
            field: None,
            by: None,
            round: None,
            quantile: None,
            condition: None,
        };
        if cursor.take('(') {
            aggregate.read_arguments(&mut cursor)?;
        }
        if cursor.take_word("where") {
            let expression = cursor.rest();
            if expression.is_empty() {
                return Err(cursor.wrong("a condition such as `status >= 500`"));
            }
            aggregate.condition = Some(Condition { expression, fields: Vec::new() });
        }
        cursor.end()?;
        if aggregate.field.is_none() && function != Count {
            let example = if function == ApproxQuantile { "ms, 0.99" } else { "amount" };
            let reason = format!("`{function}` needs a field: `{function}({example})`");
            return Err(fail(start, reason));
        }
        Ok(aggregate)
    }

    /// Returns the fields that the aggregate uses.
    pub fn fields(&self) -> impl Iterator<Item = &FieldPath> {
        let of_condition = self.condition.iter().flat_map(|condition| &condition.fields);
        self.field.iter().chain(&self.by).chain(of_condition)
    }

    /// Returns the fields whose values the aggregate keeps or compares, which therefore need a type.
    pub fn kept_fields(&self) -> impl Iterator<Item = &FieldPath> {
        let keeps = matches!(self.function, Min | Max | First | Last);
        self.field.iter().chain(&self.by).filter(move |_| keeps)
    }

    /// Returns whether the values of `field` must be numbers.
    pub fn needs_numbers(&self, field: &FieldPath) -> bool {
        self.field.as_ref() == Some(field)
            && (matches!(self.function, Sum | Avg | ApproxQuantile) || self.round.is_some())
    }

    /// Returns whether the values of `field` must have an order.
    pub fn needs_order(&self, field: &FieldPath) -> bool {
        self.by.as_ref() == Some(field) || self.field.as_ref() == Some(field) && matches!(self.function, Min | Max)
    }

    /// Reads the text in the parentheses and the closing one.
    fn read_arguments(&mut self, cursor: &mut Cursor) -> Result<(), ExpressionError> {
        let function = self.function;
        if cursor.take(')') {
            return Ok(());
        }
        if function == Count && cursor.sees('*') {
            return Err(fail(cursor.at(), "expected a field, found `*`; plain `count` counts all records"));
        }
        cursor.skip_space();
        let argument_at = cursor.at();
        let first = cursor.path()?;
        if first == FieldPath::of("round") && cursor.take('(') {
            if !function.takes_round() {
                return Err(fail(
                    argument_at,
                    "`round` only works in `sum`, `avg`, `min`, `max` and `approx_quantile`",
                ));
            }
            self.field = Some(cursor.path()?);
            cursor.expect(',')?;
            cursor.skip_space();
            let places_at = cursor.at();
            let places = cursor.word();
            let in_range = places.parse().ok().filter(|places| *places <= 18);
            let reason = || format!("expected a number of decimal places from 0 to 18, found `{places}`");
            self.round = Some(in_range.ok_or_else(|| fail(places_at, reason()))?);
            cursor.expect(')')?;
        } else {
            self.field = Some(first);
        }
        cursor.skip_space();
        let by_at = cursor.at();
        if cursor.take_word("by") {
            if !function.takes_by() {
                return Err(fail(by_at, "`by` only works in `first` and `last`"));
            }
            self.by = Some(cursor.path()?);
        }
        if function == ApproxQuantile {
            self.quantile = Some(read_fraction(cursor)?);
        }
        cursor.expect(')')
    }
}

/// Reads the second argument of a quantile: a fraction.
fn read_fraction(cursor: &mut Cursor) -> Result<Decimal, ExpressionError> {
    if !cursor.take(',') {
        return Err(cursor.wrong("`,` and a fraction such as `0.99`"));
    }
    cursor.skip_space();
    let at = cursor.at();
    let mut text = cursor.word();
    if cursor.take('.') {
        text = format!("{text}.{}", cursor.word());
    }
    let fraction = Decimal::parse(text.as_bytes()).ok();
    fraction
        .filter(|fraction| (Decimal::ZERO..=Decimal::ONE).contains(fraction))
        .ok_or_else(|| fail(at, format!("expected a fraction from 0 to 1 such as `0.99`, found `{}`", shown(&text))))
}

impl fmt::Display for AggregateSpec {
    /// Writes the expression without the name. [`AggregateSpec::parse`] reads it back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.function.name().to_owned();
        if let Some(field) = &self.field {
            let value = self.round.map_or(field.to_string(), |places| format!("round({field}, {places})"));
            text += &match (self.quantile, &self.by) {
                (Some(quantile), _) => format!("({value}, {quantile})"),
                (None, Some(by)) => format!("({value} by {by})"),
                (None, None) => format!("({value})"),
            };
        }
        if let Some(condition) = &self.condition {
            text += &format!(" where {}", condition.expression);
        }
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_parse_and_print_in_one_form() {
        for (text, printed) in [
            ("count", "count"),
            ("count()", "count"),
            (" count ( user.id ) ", "count(user.id)"),
            ("sum(amount)", "sum(amount)"),
            ("sum(round(amount,2))", "sum(round(amount, 2))"),
            ("avg( round( \"unit price\" , 18 ) )", "avg(round(\"unit price\", 18))"),
            ("min(round)", "min(round)"),
            ("max(a.b)", "max(a.b)"),
            ("first(city)", "first(city)"),
            ("first(city  by ts)", "first(city by ts)"),
            ("last(by by by)", "last(by by by)"),
            ("approx_distinct(page)", "approx_distinct(page)"),
            ("approx_quantile( ms , 0.990) where ok", "approx_quantile(ms, 0.99) where ok"),
            ("approx_quantile(round(took.ms, 3), 1)", "approx_quantile(round(took.ms, 3), 1)"),
            ("count where  a == \"x y\" ", "count where a == \"x y\""),
            ("sum(a)where b>0", "sum(a) where b>0"),
            ("first(a by where) where where > 0", "first(a by where) where where > 0"),
        ] {
            let aggregate = AggregateSpec::parse("x", text).unwrap();
            assert_eq!(aggregate.to_string(), printed);
            assert_eq!(AggregateSpec::parse("x", printed), Ok(aggregate));
        }
    }

    #[test]
    fn the_parts_end_up_where_they_belong() {
        let aggregate = AggregateSpec::parse("home", "first(address.city by ts)").unwrap();
        assert_eq!(aggregate.function, First);
        assert_eq!(aggregate.field, Some(FieldPath { names: vec!["address".to_owned(), "city".to_owned()] }));
        assert_eq!((aggregate.by, aggregate.round), (Some(FieldPath::of("ts")), None));
        assert_eq!(AggregateSpec::parse("x", "sum(round(a, 2))").unwrap().round, Some(2));
    }

    #[test]
    fn wrong_expressions_say_what_and_where() {
        for (text, at, reason) in [
            ("", 0, "expected an aggregate such as `count` or `sum(amount)`, found the end"),
            ("(x)", 0, "expected an aggregate such as `count` or `sum(amount)`, found `(`"),
            ("summ(x)", 0, "unknown aggregate `summ`, did you mean `sum`?"),
            ("COUNT", 0, "unknown aggregate `COUNT`, did you mean `count`?"),
            (
                "median(x)",
                0,
                "unknown aggregate `median`, expected one of `count`, `sum`, `min`, `max`, `avg`, `first`, `last`, \
                 `approx_distinct`, `approx_quantile`",
            ),
            ("sum", 0, "`sum` needs a field: `sum(amount)`"),
            ("sum()", 0, "`sum` needs a field: `sum(amount)`"),
            ("sum(x", 5, "expected `)`, found the end"),
            ("sum(x))", 6, "expected the end, found `)`"),
            ("sum(x y)", 6, "expected `)`, found `y`"),
            ("sum(x by y)", 6, "`by` only works in `first` and `last`"),
            ("first(x by)", 10, "expected the name of a field, found `)`"),
            ("first(round(x, 2))", 6, "`round` only works in `sum`, `avg`, `min`, `max` and `approx_quantile`"),
            ("sum(round(x))", 11, "expected `,`, found `)`"),
            ("sum(round(x, 19))", 13, "expected a number of decimal places from 0 to 18, found `19`"),
            ("sum(round(x, -1))", 13, "expected a number of decimal places from 0 to 18, found `-1`"),
            ("count(*)", 6, "expected a field, found `*`; plain `count` counts all records"),
            ("count(distinct x)", 15, "expected `)`, found `x`"),
            ("count where ", 12, "expected a condition such as `status >= 500`, found the end"),
            ("count if a > 0", 6, "expected the end, found `if`"),
            ("sum where a > 0", 0, "`sum` needs a field: `sum(amount)`"),
            ("approx_quantile", 0, "`approx_quantile` needs a field: `approx_quantile(ms, 0.99)`"),
            ("approx_quantile(ms)", 18, "expected `,` and a fraction such as `0.99`, found `)`"),
            ("approx_quantile(ms, 99)", 20, "expected a fraction from 0 to 1 such as `0.99`, found `99`"),
            ("approx_quantile(ms, 1.5)", 20, "expected a fraction from 0 to 1 such as `0.99`, found `1.5`"),
            ("approx_quantile(ms, p)", 20, "expected a fraction from 0 to 1 such as `0.99`, found `p`"),
            ("sum(a + b)", 6, "expected `)`, found `+`"),
        ] {
            assert_eq!(AggregateSpec::parse("x", text).unwrap_err(), fail(at, reason), "{text:?}");
        }
    }
}
