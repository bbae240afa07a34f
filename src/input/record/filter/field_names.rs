//! The fields in an expression.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use regex::Regex;

use crate::input::record::bad_record::in_one_line;
use crate::input::record::filter::error::FilterError;
use crate::input::record::filter::functions::Function;
use crate::input::record::filter::pattern::Pattern;
use crate::input::record::filter::{exact, functions, numbers, times};
use crate::job::field::FieldPath;
use crate::job::keys::{nearest, unknown};
use crate::job::known_fields::KnownFields;

/// The functions that an expression may call. The parser has expanded macros by then.
const FUNCTIONS: [&str; 13] = [
    "bool",
    "bytes",
    "contains",
    "double",
    "dyn",
    "endsWith",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "type",
    "uint",
];

/// The operators that compare by order, with their names in a parsed expression.
const ORDERS: [(&str, &str); 4] = [
    (operators::LESS, "<"),
    (operators::LESS_EQUALS, "<="),
    (operators::GREATER, ">"),
    (operators::GREATER_EQUALS, ">="),
];

/// The most arguments of `case`, each two of which are nested one deeper.
const MAX_CASE_ARGUMENTS: usize = 81;

/// The names of types, which are not fields next to `type(x) ==`.
const TYPES: [&str; 10] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// Finds the fields in an expression and replaces them by names that `Values` resolves: `#3` is field 3, `$3` is field
/// 3 as text, `~3` is pattern 3.
pub(super) struct FieldNames<'a> {
    pub(super) source: &'a SourceInfo,
    pub(super) fields: Vec<FieldPath>,
    pub(super) patterns: Vec<Pattern>,
    /// The variables of macros, the innermost last.
    pub(super) scope: Vec<String>,
    pub(super) known: KnownFields<'a>,
    /// Whether its numbers are exact.
    pub(super) is_exact: bool,
    pub(super) mistakes: Vec<FilterError>,
}

impl FieldNames<'_> {
    /// Rewrites `part`, and keeps the mistakes in it. If it is a field, it is needed `as_text` or with its own type.
    pub(super) fn rewrite(&mut self, part: &mut IdedExpr, as_text: bool) {
        let rewritten = self.rewrite_one(part, as_text);
        self.mistakes.extend(rewritten.err());
    }

    fn rewrite_one(&mut self, part: &mut IdedExpr, as_text: bool) -> Result<(), FilterError> {
        if let Some(names) = path(&part.expr) {
            if !self.is_own(&names) {
                part.expr = self.field(part.id, names, as_text)?;
            }
            return Ok(());
        }
        match &mut part.expr {
            Expr::Call(_) => self.rewrite_call(part),
            Expr::Select(select) if select.test => match path(&select.operand.expr) {
                Some(names) if self.is_own(&names) => Ok(()),
                Some(mut names) => {
                    names.push(std::mem::take(&mut select.field));
                    let field = IdedExpr { id: part.id, expr: self.field(part.id, names, false)? };
                    let null = IdedExpr { id: part.id, expr: Expr::Literal(LiteralValue::Null) };
                    let func_name = operators::NOT_EQUALS.to_owned();
                    part.expr = Expr::Call(CallExpr { func_name, target: None, args: vec![field, null] });
                    Ok(())
                }
                None => {
                    self.rewrite(&mut select.operand, false);
                    Ok(())
                }
            },
            Expr::Select(select) => {
                self.rewrite(&mut select.operand, false);
                Ok(())
            }
            Expr::Comprehension(all) => {
                self.rewrite(&mut all.iter_range, false);
                self.rewrite(&mut all.accu_init, false);
                let outside = self.scope.len();
                self.scope.extend([all.iter_var.clone(), all.accu_var.clone()]);
                self.scope.extend(all.iter_var2.clone());
                for inner in [&mut all.loop_cond, &mut all.loop_step, &mut all.result] {
                    self.rewrite(inner, false);
                }
                self.scope.truncate(outside);
                Ok(())
            }
            Expr::List(list) => {
                list.elements.iter_mut().for_each(|element| self.rewrite(element, false));
                Ok(())
            }
            Expr::Map(map) => {
                map.entries.iter_mut().for_each(|entry| match &mut entry.expr {
                    EntryExpr::MapEntry(entry) => {
                        self.rewrite(&mut entry.key, false);
                        self.rewrite(&mut entry.value, false);
                    }
                    EntryExpr::StructField(field) => self.rewrite(&mut field.value, false),
                });
                Ok(())
            }
            Expr::Struct(made) => {
                let what = format!("unknown type `{}`", in_one_line(&made.type_name));
                Err(self.at(part.id, &what))
            }
            Expr::Unspecified => Err(self.at(part.id, "not an expression")),
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    fn rewrite_call(&mut self, part: &mut IdedExpr) -> Result<(), FilterError> {
        let Expr::Call(call) = &mut part.expr else { return Ok(()) };
        let name = call.func_name.as_str();
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if let Some(function) = Function::named(name) {
            return self.rewrite_function(part, function);
        }
        if name == "case" && call.target.is_none() {
            return self.rewrite_case(part);
        }
        if !is_operator && !FUNCTIONS.contains(&name) {
            return Err(self.at(part.id, &unknown_function(name)));
        }
        let is_null = |part: &IdedExpr| matches!(&part.expr, Expr::Literal(LiteralValue::Null));
        if let Some((_, shown)) = ORDERS.iter().find(|(order, _)| *order == name)
            && call.args.iter().any(is_null)
        {
            let reason = format!("`{shown}` cannot compare null; to test for a missing value, use `isNull(x)`");
            return Err(self.at(part.id, &reason));
        }
        let is_test = [operators::EQUALS, operators::NOT_EQUALS].contains(&name);
        let asks_type = |part: &IdedExpr| matches!(&part.expr, Expr::Call(call) if call.func_name == "type");
        let is_replaced = !is_operator || !call.args.iter().any(has_no_number);
        let replacement = numbers::replacement(name).filter(|_| is_replaced && call.target.is_none());
        // The lists that macros build are added to by the library.
        let adds_list = call.args.iter().any(|arg| matches!(&arg.expr, Expr::List(_)));
        let replacement = replacement.or_else(|| exact::replacement(name).filter(|_| self.is_exact && !adds_list));
        if is_test && call.args.iter().any(asks_type) {
            let is_type = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if TYPES.contains(&name.as_str()));
            call.args.iter_mut().filter(|arg| !is_type(arg)).for_each(|arg| self.rewrite(arg, false));
            return Ok(());
        }
        // What is next to text, or an argument of a text function, is text.
        let takes_text = ["size", "string", "contains", "endsWith", "matches", "startsWith"].contains(&name);
        let is_beside_text = (is_operator && call.args.iter().any(is_text))
            || (name == operators::IN && call.args.get(1).is_some_and(is_list_of_text));
        if name == "matches"
            && let Some(last) = call.args.last_mut()
            && self.take_pattern("matches", part.id, last)?
        {
            // `matches(text, pattern)` is `text.matches(pattern)`.
            if call.target.is_none() && call.args.len() == 2 {
                call.target = Some(Box::new(call.args.remove(0)));
            }
        }
        if let Some(target) = &mut call.target {
            self.rewrite(target, takes_text);
        }
        let is_pattern = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name.starts_with('~'));
        call.args
            .iter_mut()
            .filter(|arg| !is_pattern(arg))
            .for_each(|arg| self.rewrite(arg, takes_text || is_beside_text));
        if let Some(replacement) = replacement {
            call.func_name = replacement.to_owned();
        }
        Ok(())
    }

    /// Compiles the regular expression `arg`, if it is one in quotes, and replaces it by its name.
    fn take_pattern(&mut self, function: &str, id: u64, arg: &mut IdedExpr) -> Result<bool, FilterError> {
        let Expr::Literal(LiteralValue::String(text)) = &arg.expr else { return Ok(false) };
        let pattern = Regex::new(text.inner()).map_err(|error| {
            let reason = error.to_string();
            self.at(id, &format!("`{function}`: {}", in_one_line(reason.lines().last().unwrap_or_default())))
        })?;
        arg.expr = Expr::Ident(format!("~{}", self.patterns.len()));
        self.patterns.push(Pattern(pattern));
        Ok(true)
    }

    /// Rewrites a call of one of the functions that are not CEL's own. `x.f(y)` is `f(x, y)`.
    fn rewrite_function(&mut self, part: &mut IdedExpr, function: &Function) -> Result<(), FilterError> {
        let id = part.id;
        let Expr::Call(call) = &mut part.expr else { return Ok(()) };
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        let Function { name, least, most, .. } = *function;
        if !(least..=most).contains(&call.args.len()) {
            let count = if least == most { least.to_string() } else { format!("{least} to {most}") };
            let noun = if most == 1 { "argument" } else { "arguments" };
            return Err(self.at(id, &format!("`{name}` takes {count} {noun}, found {}", call.args.len())));
        }
        self.check_names(name, &call.args)?;
        if name == "extract" && !self.take_pattern(name, id, &mut call.args[1])? {
            return Err(self.at(id, "`extract` needs a regular expression in quotes"));
        }
        let is_pattern = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name.starts_with('~'));
        let args = call.args.iter_mut().filter(|arg| !is_pattern(arg));
        args.for_each(|arg| self.rewrite(arg, function.takes_text));
        call.func_name = format!("@{name}");
        Ok(())
    }

    /// Checks the names of units and zones, which must be in quotes.
    fn check_names(&self, function: &str, args: &[IdedExpr]) -> Result<(), FilterError> {
        let (has_unit, has_zone) =
            (function == "truncate", ["truncate", "parseTime", "formatTime"].contains(&function));
        for (index, arg) in args.iter().enumerate().skip(1) {
            let what = match index {
                1 if has_unit => "unit",
                2 if has_zone => "time zone",
                _ => continue,
            };
            let Expr::Literal(LiteralValue::String(name)) = &arg.expr else {
                return Err(self.at(arg.id, &format!("`{function}` needs the name of a {what} in quotes")));
            };
            let name = name.inner();
            let fault = match what {
                "unit" => (!times::UNITS.contains(&name)).then(|| unknown("unit", name, "", &times::UNITS)),
                _ => times::zone_fault(name),
            };
            if let Some(reason) = fault {
                return Err(self.at(arg.id, &reason));
            }
        }
        Ok(())
    }

    /// Rewrites `case(condition, value, …, other)` to `condition ? value : other`.
    fn rewrite_case(&mut self, part: &mut IdedExpr) -> Result<(), FilterError> {
        let id = part.id;
        let Expr::Call(call) = &mut part.expr else { return Ok(()) };
        if call.args.len() > MAX_CASE_ARGUMENTS {
            return Err(self.at(id, &format!("`case` takes at most {MAX_CASE_ARGUMENTS} arguments")));
        }
        if call.args.len() < 2 {
            return Err(self.at(id, "`case` takes pairs of a condition and a value, and a value for all others"));
        }
        let mut args = std::mem::take(&mut call.args);
        let null = || IdedExpr { id, expr: Expr::Literal(LiteralValue::Null) };
        let mut whole = if args.len() % 2 == 1 { args.pop().unwrap_or_else(null) } else { null() };
        while let (Some(value), Some(condition)) = (args.pop(), args.pop()) {
            let func_name = operators::CONDITIONAL.to_owned();
            let call = CallExpr { func_name, target: None, args: vec![condition, value, whole] };
            whole = IdedExpr { id, expr: Expr::Call(call) };
        }
        part.expr = whole.expr;
        self.rewrite(part, false);
        Ok(())
    }

    /// Returns whether the first name is a variable of a macro, not a field.
    fn is_own(&self, names: &[String]) -> bool {
        names[0].starts_with('@') || self.scope.contains(&names[0])
    }

    fn field(&mut self, id: u64, names: Vec<String>, as_text: bool) -> Result<Expr, FilterError> {
        let field = FieldPath { names };
        if let Some(reason) = self.known.fault(&field) {
            return Err(self.at(id, &reason));
        }
        let index = self.fields.iter().position(|known| *known == field).unwrap_or_else(|| {
            self.fields.push(field);
            self.fields.len() - 1
        });
        Ok(Expr::Ident(format!("{}{index}", if as_text { '$' } else { '#' })))
    }

    fn at(&self, id: u64, what: &str) -> FilterError {
        match self.source.offset_for(id) {
            Some((start, _)) => FilterError::at(&self.source.source, start as usize, what),
            None => FilterError::whole(what),
        }
    }
}

/// Returns the names of `a.b.c`.
fn path(expression: &Expr) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut part = expression;
    loop {
        match part {
            Expr::Ident(name) => {
                names.push(name.strip_prefix('.').unwrap_or(name).to_owned());
                names.reverse();
                return Some(names);
            }
            Expr::Select(SelectExpr { operand, field, test: false }) => {
                names.push(field.clone());
                part = &operand.expr;
            }
            _ => return None,
        }
    }
}

/// Returns whether `part` is always text or null.
fn is_text(part: &IdedExpr) -> bool {
    match &part.expr {
        Expr::Literal(LiteralValue::String(_)) => true,
        Expr::Call(call) if call.func_name == operators::ADD => call.args.iter().any(is_text),
        Expr::Call(call) => {
            let name = call.func_name.trim_start_matches('@');
            name == "string" || Function::named(name).is_some_and(|function| function.gives_text)
        }
        _ => false,
    }
}

/// Returns what is wrong with a call of `name`, which is not a function.
fn unknown_function(name: &str) -> String {
    let own = functions::FUNCTIONS.map(|function| function.name);
    let all: Vec<&str> = own.into_iter().chain(FUNCTIONS).chain(["case"]).collect();
    match nearest(name, &all).filter(|near| *near != name) {
        Some(near) => format!("unknown function `{}`, did you mean `{near}`?", in_one_line(name)),
        None => format!("unknown function `{}`, or the wrong number of arguments", in_one_line(name)),
    }
}

/// Returns whether a comparison with `part` never compares numbers. The library's own is faster then.
fn has_no_number(part: &IdedExpr) -> bool {
    use LiteralValue::{Boolean, Bytes, Null, String};
    matches!(&part.expr, Expr::Literal(String(_) | Boolean(_) | Null | Bytes(_))) || is_list_of_text(part)
}

fn is_list_of_text(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::List(list) if !list.elements.is_empty() && list.elements.iter().all(is_text))
}
