//! The functions of the expressions that are not CEL's own.

use cel::common::types::{CelBool, CelInt, CelList, CelString, DYN_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{Env, ExecutionError};

use crate::input::record::filter::arguments::{int_of, is_null, missing, owned, text_of};
use crate::input::record::filter::exact::{one_number, to_number};
use crate::input::record::filter::numbers::{Answer, equals, no_overload};
use crate::input::record::filter::pattern::Pattern;
use crate::input::record::filter::times;
use crate::values::decimal::Decimal;

type Call = for<'b, 'v> fn(Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v>;

/// A function, called as `f(x, y)` or `x.f(y)`.
pub(super) struct Function {
    pub(super) name: &'static str,
    /// How many arguments it takes.
    pub(super) least: usize,
    pub(super) most: usize,
    /// Whether its arguments are text, and a number in CSV is needed as it is written.
    pub(super) takes_text: bool,
    pub(super) gives_text: bool,
    call: Call,
}

const MOST: usize = 12;

/// All functions, in the order of docs/expressions.md. `case` is not among them: the conditions that do not hold are
/// not computed.
pub(super) const FUNCTIONS: [Function; 21] = [
    text("length", 1, 1, |args| with_text("length", &args, |text| int(text.chars().count()))).giving_other(),
    text("lower", 1, 1, |args| with_text("lower", &args, |text| owned(text.to_lowercase()))),
    text("upper", 1, 1, |args| with_text("upper", &args, |text| owned(text.to_uppercase()))),
    text("trim", 1, 1, |args| with_text("trim", &args, |text| owned(text.trim().to_owned()))),
    text("substring", 2, 3, substring),
    text("split", 2, 3, split),
    text("replace", 3, 3, replace),
    text("extract", 2, 2, extract),
    text("concat", 1, MOST, concat),
    other("number", 1, 1, to_number),
    other("round", 1, 2, round),
    other("floor", 1, 1, |args| one_number("floor", &args, Decimal::floor)),
    other("ceil", 1, 1, |args| one_number("ceil", &args, Decimal::ceil)),
    other("abs", 1, 1, |args| one_number("abs", &args, |number| Some(number.abs()))),
    text("parseTime", 2, 3, |args| times::parse(&args)),
    other("formatTime", 2, 3, |args| times::format(&args)).giving_text(),
    other("truncate", 2, 3, |args| times::truncate(&args)).giving_text(),
    other("seconds", 1, 1, |args| times::seconds(&args)),
    other("coalesce", 1, MOST, coalesce),
    other("isNull", 1, 1, |args| Ok(CowVal::owned(CelBool::from(is_null(args[0].as_ref()))))),
    other("nullIf", 2, 2, null_if),
];

const fn text(name: &'static str, least: usize, most: usize, call: Call) -> Function {
    Function { name, least, most, takes_text: true, gives_text: true, call }
}

const fn other(name: &'static str, least: usize, most: usize, call: Call) -> Function {
    Function { name, least, most, takes_text: false, gives_text: false, call }
}

impl Function {
    const fn giving_other(self) -> Function {
        Function { gives_text: false, ..self }
    }

    const fn giving_text(self) -> Function {
        Function { gives_text: true, ..self }
    }

    /// Returns the function `name`.
    pub(super) fn named(name: &str) -> Option<&'static Function> {
        static ALL: [Function; 21] = FUNCTIONS;
        ALL.iter().find(|function| function.name == name)
    }
}

/// Returns the names of the functions that are not CEL's own, for documents.
pub fn function_names() -> Vec<&'static str> {
    FUNCTIONS.iter().map(|function| function.name).chain(["case"]).collect()
}

/// Adds the functions to `environment`.
pub(super) fn declare(environment: &mut Env) {
    for Function { name, least, most, call, .. } in FUNCTIONS {
        for count in least..=most {
            let (own, id) = (format!("@{name}"), format!("@{name}{count}"));
            environment
                .add_overload(&own, &id, (0..count).map(|_| DYN_TYPE).collect(), call)
                .expect("no other function has this name");
        }
    }
}

fn int<'b, 'v>(number: usize) -> CowVal<'b, 'v> {
    CowVal::owned(CelInt::from(number as i64))
}

fn with_text<'b, 'v>(
    name: &str,
    args: &[CowVal<'b, 'v>],
    apply: impl FnOnce(String) -> CowVal<'b, 'v>,
) -> Answer<'b, 'v> {
    Ok(text_of(name, args, 0)?.map_or_else(missing, apply))
}

/// `substring(text, start, end)`: characters are counted from 0. What is beyond the text is left out.
fn substring<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let Some(text) = text_of("substring", &args, 0)? else { return Ok(missing()) };
    let start = int_of("substring", &args, 1)?;
    let end = if args.len() == 3 { int_of("substring", &args, 2)? } else { i64::MAX };
    if start < 0 || end < 0 {
        return Err(ExecutionError::function_error("substring", "a position is negative"));
    }
    let count = usize::try_from(end.saturating_sub(start)).unwrap_or_default();
    Ok(owned(text.chars().skip(usize::try_from(start).unwrap_or(usize::MAX)).take(count).collect()))
}

/// `split(text, separator)` gives a list, `split(text, separator, index)` one of its items, or null. A negative index
/// counts from the end.
fn split<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let (Some(text), Some(separator)) = (text_of("split", &args, 0)?, text_of("split", &args, 1)?) else {
        return Ok(missing());
    };
    if separator.is_empty() {
        return Err(ExecutionError::function_error("split", "the separator is empty"));
    }
    if args.len() == 2 {
        let items = text.split(&separator).map(|item| -> Box<dyn Val> { Box::new(CelString::from(item.to_owned())) });
        return Ok(CowVal::owned(CelList::from(items.collect::<Vec<_>>())));
    }
    let index = int_of("split", &args, 2)?;
    let from_end = |index: i64| usize::try_from(index.unsigned_abs() - 1).unwrap_or(usize::MAX);
    let item = match index {
        0.. => text.split(&separator).nth(usize::try_from(index).unwrap_or(usize::MAX)),
        _ => text.rsplit(&separator).nth(from_end(index)),
    };
    Ok(item.map_or_else(missing, |item| owned(item.to_owned())))
}

fn replace<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let part = |index| text_of("replace", &args, index);
    let (Some(text), Some(from), Some(to)) = (part(0)?, part(1)?, part(2)?) else { return Ok(missing()) };
    if from.is_empty() {
        return Err(ExecutionError::function_error("replace", "the text to replace is empty"));
    }
    Ok(owned(text.replace(&from, &to)))
}

/// `extract(text, pattern)`: the first group of the first match, or the match if there are no groups, or null.
fn extract<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let Some(text) = text_of("extract", &args, 0)? else { return Ok(missing()) };
    let Pattern(pattern) = args[1].downcast_ref().ok_or_else(|| no_overload("extract", &args))?;
    let group = usize::from(pattern.captures_len() > 1);
    let found = pattern.captures(&text).and_then(|captures| captures.get(group));
    Ok(found.map_or_else(missing, |found| owned(found.as_str().to_owned())))
}

fn concat<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let parts = (0..args.len()).map(|index| text_of("concat", &args, index)).collect::<Result<Option<Vec<_>>, _>>()?;
    Ok(parts.map_or_else(missing, |parts| owned(parts.concat())))
}

/// `round(number, places)`: half to even.
fn round<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    let places = if args.len() == 2 { int_of("round", &args, 1)? } else { 0 };
    let places = u8::try_from(places).ok().filter(|places| *places <= 18);
    let places =
        places.ok_or_else(|| ExecutionError::function_error("round", "the decimal places must be from 0 to 18"))?;
    one_number("round", &args, |number| number.round(places))
}

fn coalesce<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    Ok(args.into_iter().find(|arg| !is_null(arg.as_ref())).unwrap_or_else(missing))
}

fn null_if<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Answer<'b, 'v> {
    if equals(args[0].as_ref(), args[1].as_ref()) {
        return Ok(missing());
    }
    Ok(args.into_iter().next().unwrap_or_else(missing))
}
