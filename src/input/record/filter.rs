//! `where:` expressions.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, STRING_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, ParseErrors, Value};
use regex::Regex;

use super::{BadRecord, Field, json, shown};
use crate::job::field::FieldPath;
use crate::values::catch_panic::catch_panic;

/// The longest expression, in bytes.
const EXPRESSION_BYTES: usize = 4096;
/// How deep the parts of an expression may lie in each other.
const DEPTH_LIMIT: usize = 100;
/// A stack on which the longest expression can be parsed, whatever it says.
const PARSER_STACK_BYTES: usize = 256 << 20;

/// The functions that an expression may call. Macros are expanded before.
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

/// The names of types, which are no fields beside `type(x) ==`.
const TYPES: [&str; 10] = ["bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"];

/// A `where:` expression, in the Common Expression Language.
///
/// `a` and `user.id` are fields, unless a macro such as `tags.exists(t, t == "x")` says what `t` is. A name with
/// special characters can not be written. A field that is missing is `null`, also one inside an object that is missing;
/// `has(user.id)` is `user.id != null`.
///
/// An integer of JSON within 64 bits is an `int`, any other number a `double`; the two compare with each other, but to
/// be added or multiplied they must be converted: `double(amount) * 1.5`. Objects and arrays are maps and lists.
#[derive(Clone)]
pub struct Filter {
    expression: Arc<IdedExpr>,
    fields: Arc<[FieldPath]>,
    patterns: Arc<[Pattern]>,
    environment: Arc<Env>,
    has_numbers_in_text: bool,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("fields", &self.fields).finish_non_exhaustive()
    }
}

impl Filter {
    /// Compiles `expression`; the error says what is wrong with it and at which column.
    pub fn new(expression: &str) -> Result<Filter, String> {
        if expression.len() > EXPRESSION_BYTES {
            return Err(format!("the expression is longer than {EXPRESSION_BYTES} bytes"));
        }
        // The parser goes as deep as the expression does, before its depth is known.
        let compile = || catch_panic(|| Filter::compile(expression));
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(PARSER_STACK_BYTES).spawn_scoped(scope, compile);
            match thread.map(|thread| thread.join()) {
                Ok(Ok(Ok(result))) => result,
                Ok(Ok(Err(_)) | Err(_)) => Err("the expression can not be parsed".to_owned()),
                Err(error) => Err(format!("no thread to parse the expression: {error}")),
            }
        })
    }

    fn compile(expression: &str) -> Result<Filter, String> {
        let mut environment = Env::stdlib().with_optional_support(false);
        environment
            .add_member_overload("matches", "string_matches_pattern", STRING_TYPE, vec![pattern_type()], matches)
            .expect("no other overload takes a pattern");
        let program = environment.compile(expression).map_err(|errors| explain(&errors))?;
        let mut rewritten = program.expression().clone();
        if is_deeper(&rewritten, DEPTH_LIMIT) {
            return Err(format!("the parts of the expression lie more than {DEPTH_LIMIT} deep in each other"));
        }
        let mut names = Names { source: program.source_info(), fields: vec![], patterns: vec![], scope: vec![] };
        names.rewrite(&mut rewritten, false)?;
        Ok(Filter {
            fields: names.fields.into(),
            patterns: names.patterns.into(),
            expression: Arc::new(rewritten),
            environment: Arc::new(environment),
            has_numbers_in_text: false,
        })
    }

    /// Takes text that JSON would take as a number as a number, for CSV. Beside text, and where text is needed, it
    /// stays text: `zip == "12345"`, `zip.startsWith("12")`, `size(zip)`.
    pub fn with_numbers_in_text(self) -> Filter {
        Filter { has_numbers_in_text: true, ..self }
    }

    /// Returns the fields that the expression names.
    pub fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    /// Tells whether the record with these fields, in the order of [`Filter::fields`], is kept.
    ///
    /// A field that is missing is `null`. A result that is not a bool, or an operation on unfit types, makes the record
    /// bad.
    pub fn keeps(&self, fields: &[Field<'_>]) -> Result<bool, BadRecord> {
        let bad = |reason: String| BadRecord { reason: format!("`where` fails: {reason}") };
        let mut trees = Vec::new();
        for (index, field) in fields.iter().enumerate() {
            if let Field::Json(text) = field {
                let tree: serde_json::Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
                trees.push((index, value_of(&tree)));
            }
        }
        let values = Values { fields, trees, patterns: &self.patterns, has_numbers_in_text: self.has_numbers_in_text };
        let mut context = Context::with_env(self.environment.clone());
        context.set_variable_resolver(&values);
        let result = Value::resolve_val(&self.expression, &context);
        match result {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(keeps) => Ok(*keeps.inner()),
                None => Err(bad(format!("the result is of type {}, not bool", value.get_type().name()))),
            },
            Err(error) => Err(bad(shown(&in_words(&error)))),
        }
    }
}

/// Says what went wrong in a few words, without the values.
fn in_words(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchOverload(overload) => {
            let sign = overload.function().trim_matches('_').trim_start_matches('@');
            format!("`{sign}` can not be applied to {}", overload.argument_types().join(" and "))
        }
        ExecutionError::ValuesNotComparable(a, b) => format!("{} and {} can not be compared", a.type_of(), b.type_of()),
        ExecutionError::UnsupportedBinaryOperator(name, a, b) => {
            format!("`{name}` can not be applied to {} and {}", a.type_of(), b.type_of())
        }
        ExecutionError::Overflow(..) => "a number is too large".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "division by zero".to_owned(),
        other => other.to_string(),
    }
}

/// Says where and why `errors` came about.
fn explain(errors: &ParseErrors) -> String {
    let Some(error) = errors.errors.first() else { return "it is no expression".to_owned() };
    let what = shown(error.msg.lines().next().unwrap_or_default());
    match error.pos {
        (line @ 2.., column) => format!("line {line}, column {}: {what}", column.max(1)),
        (_, column) => format!("column {}: {what}", column.max(1)),
    }
}

/// Tells whether the parts of `expression` lie more than `limit` deep in each other.
fn is_deeper(expression: &IdedExpr, limit: usize) -> bool {
    let Some(limit) = limit.checked_sub(1) else { return true };
    let deeper = |part: &IdedExpr| is_deeper(part, limit);
    match &expression.expr {
        Expr::Call(call) => call.target.as_deref().is_some_and(deeper) || call.args.iter().any(deeper),
        Expr::Comprehension(all) => {
            [&all.iter_range, &all.accu_init, &all.loop_cond, &all.loop_step, &all.result].into_iter().any(deeper)
        }
        Expr::List(list) => list.elements.iter().any(deeper),
        Expr::Map(map) => map.entries.iter().any(|entry| entry_parts(&entry.expr).into_iter().flatten().any(deeper)),
        Expr::Struct(made) => {
            made.entries.iter().any(|entry| entry_parts(&entry.expr).into_iter().flatten().any(deeper))
        }
        Expr::Select(select) => deeper(&select.operand),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => false,
    }
}

fn entry_parts(entry: &EntryExpr) -> [Option<&IdedExpr>; 2] {
    match entry {
        EntryExpr::StructField(field) => [Some(&field.value), None],
        EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
    }
}

/// Finds the fields in an expression and puts names in their place that [`Values`] knows: `#3` is field 3, `$3` is it
/// as text, `~3` is pattern 3.
struct Names<'a> {
    source: &'a SourceInfo,
    fields: Vec<FieldPath>,
    patterns: Vec<Pattern>,
    /// What macros have named, the innermost last.
    scope: Vec<String>,
}

impl Names<'_> {
    /// Rewrites `part`; a field that is all of it is wanted `as_text` or as what it is.
    fn rewrite(&mut self, part: &mut IdedExpr, as_text: bool) -> Result<(), String> {
        if let Some(names) = path(&part.expr) {
            if !self.is_own(&names) {
                part.expr = self.field(names, as_text);
            }
            return Ok(());
        }
        match &mut part.expr {
            Expr::Call(_) => self.rewrite_call(part),
            Expr::Select(select) if select.test => match path(&select.operand.expr) {
                Some(names) if self.is_own(&names) => Ok(()),
                Some(mut names) => {
                    names.push(std::mem::take(&mut select.field));
                    let field = IdedExpr { id: part.id, expr: self.field(names, false) };
                    let null = IdedExpr { id: part.id, expr: Expr::Literal(LiteralValue::Null) };
                    let func_name = operators::NOT_EQUALS.to_owned();
                    part.expr = Expr::Call(CallExpr { func_name, target: None, args: vec![field, null] });
                    Ok(())
                }
                None => self.rewrite(&mut select.operand, false),
            },
            Expr::Select(select) => self.rewrite(&mut select.operand, false),
            Expr::Comprehension(all) => {
                self.rewrite(&mut all.iter_range, false)?;
                self.rewrite(&mut all.accu_init, false)?;
                let outside = self.scope.len();
                self.scope.extend([all.iter_var.clone(), all.accu_var.clone()]);
                self.scope.extend(all.iter_var2.clone());
                for inner in [&mut all.loop_cond, &mut all.loop_step, &mut all.result] {
                    self.rewrite(inner, false)?;
                }
                self.scope.truncate(outside);
                Ok(())
            }
            Expr::List(list) => list.elements.iter_mut().try_for_each(|element| self.rewrite(element, false)),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.rewrite(&mut entry.key, false)?;
                    self.rewrite(&mut entry.value, false)
                }
                EntryExpr::StructField(field) => self.rewrite(&mut field.value, false),
            }),
            Expr::Struct(made) => {
                let what = format!("unknown type `{}`", shown(&made.type_name));
                Err(self.at(part.id, &what))
            }
            Expr::Unspecified => Err(self.at(part.id, "it is no expression")),
            Expr::Ident(_) | Expr::Literal(_) => Ok(()),
        }
    }

    fn rewrite_call(&mut self, part: &mut IdedExpr) -> Result<(), String> {
        let Expr::Call(call) = &mut part.expr else { return Ok(()) };
        let name = call.func_name.as_str();
        let is_operator = !name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !is_operator && !FUNCTIONS.contains(&name) {
            return Err(
                self.at(part.id, &format!("unknown function `{}`, or the wrong number of arguments", shown(name)))
            );
        }
        let is_test = [operators::EQUALS, operators::NOT_EQUALS].contains(&name);
        let asks_type = |part: &IdedExpr| matches!(&part.expr, Expr::Call(call) if call.func_name == "type");
        if is_test && call.args.iter().any(asks_type) {
            let is_type = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if TYPES.contains(&name.as_str()));
            return call.args.iter_mut().filter(|arg| !is_type(arg)).try_for_each(|arg| self.rewrite(arg, false));
        }
        // What stands beside text, or what a function of text is applied to, is text.
        let takes_text = ["size", "string", "contains", "endsWith", "matches", "startsWith"].contains(&name);
        let is_beside_text = (is_operator && call.args.iter().any(is_text))
            || (name == operators::IN && call.args.get(1).is_some_and(is_list_of_text));
        if name == "matches"
            && let Some(Expr::Literal(LiteralValue::String(text))) = call.args.last().map(|pattern| &pattern.expr)
        {
            let pattern = Regex::new(text.inner()).map_err(|error| {
                let reason = error.to_string();
                self.at(part.id, &format!("`matches`: {}", shown(reason.lines().last().unwrap_or_default())))
            })?;
            let expr = Expr::Ident(format!("~{}", self.patterns.len()));
            self.patterns.push(Pattern(pattern));
            let last = call.args.len() - 1;
            call.args[last].expr = expr;
            // `matches(text, pattern)` is `text.matches(pattern)`.
            if call.target.is_none() && call.args.len() == 2 {
                call.target = Some(Box::new(call.args.remove(0)));
            }
        }
        if let Some(target) = &mut call.target {
            self.rewrite(target, takes_text)?;
        }
        let is_pattern = |part: &IdedExpr| matches!(&part.expr, Expr::Ident(name) if name.starts_with('~'));
        call.args
            .iter_mut()
            .filter(|arg| !is_pattern(arg))
            .try_for_each(|arg| self.rewrite(arg, takes_text || is_beside_text))
    }

    /// Tells whether the first name is not a field's but a macro's.
    fn is_own(&self, names: &[String]) -> bool {
        names[0].starts_with('@') || self.scope.contains(&names[0])
    }

    fn field(&mut self, names: Vec<String>, as_text: bool) -> Expr {
        let field = FieldPath { names };
        let index = self.fields.iter().position(|known| *known == field).unwrap_or_else(|| {
            self.fields.push(field);
            self.fields.len() - 1
        });
        Expr::Ident(format!("{}{index}", if as_text { '$' } else { '#' }))
    }

    fn at(&self, id: u64, what: &str) -> String {
        let Some((start, _)) = self.source.offset_for(id) else { return what.to_owned() };
        let before: String = self.source.source.chars().take(start as usize).collect();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        match before.matches('\n').count() {
            0 => format!("column {column}: {what}"),
            lines => format!("line {}, column {column}: {what}", lines + 1),
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

fn is_text(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::Literal(LiteralValue::String(_)))
}

fn is_list_of_text(part: &IdedExpr) -> bool {
    matches!(&part.expr, Expr::List(list) if !list.elements.is_empty() && list.elements.iter().all(is_text))
}

/// The values of one record's fields.
struct Values<'a> {
    fields: &'a [Field<'a>],
    /// Those that are objects or arrays.
    trees: Vec<(usize, Box<dyn Val>)>,
    patterns: &'a [Pattern],
    has_numbers_in_text: bool,
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
            Field::Text(text) if is_typed && self.has_numbers_in_text && json::is_number(text) => number(text),
            Field::Text(text) => CowVal::owned(CelString::from(text.as_ref())),
            Field::Number(text) => number(text),
            Field::Bool(yes) => CowVal::owned(CelBool::from(*yes)),
            Field::Json(_) => {
                let (_, tree) = self.trees.iter().find(|(known, _)| *known == index)?;
                CowVal::Owned(tree.clone())
            }
        })
    }
}

fn number<'b, 'v>(text: &str) -> CowVal<'b, 'v> {
    match text.parse::<i64>() {
        Ok(int) => CowVal::owned(CelInt::from(int)),
        // A number of JSON is one of Rust, perhaps rounded.
        Err(_) => CowVal::owned(CelDouble::from(text.parse::<f64>().unwrap_or(f64::NAN))),
    }
}

fn value_of(tree: &serde_json::Value) -> Box<dyn Val> {
    match tree {
        serde_json::Value::Null => Box::new(CelNull),
        serde_json::Value::Bool(yes) => Box::new(CelBool::from(*yes)),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(int) => Box::new(CelInt::from(int)),
            None => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        serde_json::Value::String(text) => Box::new(CelString::from(text.clone())),
        serde_json::Value::Array(values) => Box::new(CelList::from(values.iter().map(value_of).collect::<Vec<_>>())),
        serde_json::Value::Object(values) => {
            let map: HashMap<CelMapKey<'static>, Box<dyn Val>> =
                values.iter().map(|(name, value)| (CelMapKey::from(name.clone()), value_of(value))).collect();
            Box::new(CelMap::from(map))
        }
    }
}

/// A regular expression of `matches`, compiled once: the library compiles it for each record.
#[derive(Debug, Clone)]
struct Pattern(Regex);

fn pattern_type() -> Type {
    Type::new_opaque_type("pattern")
}

impl Val for Pattern {
    fn get_type(&self) -> &Type {
        Self::cel_type()
    }

    fn cel_type() -> &'static Type {
        static TYPE: LazyLock<Type> = LazyLock::new(pattern_type);
        &TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Pattern {}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    match (args.first().and_then(|arg| arg.downcast_ref()), args.get(1).and_then(|arg| arg.downcast_ref())) {
        (Some(text), Some(Pattern(pattern))) => {
            let text: &CelString<'_> = text;
            Ok(CowVal::owned(CelBool::from(pattern.is_match(text.inner()))))
        }
        _ => Err(ExecutionError::missing_argument_or_target()),
    }
}

#[cfg(test)]
mod tests;
