//! What is wrong with an expression, and where.

use std::fmt;

use cel::ParseErrors;

use crate::input::record::bad_record::in_one_line;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The line and the column in the expression, both from 1; `None` if it is about the whole expression.
    pub place: Option<(usize, usize)>,
    pub reason: String,
    /// What else is wrong with it.
    pub others: Vec<FilterError>,
}

impl FilterError {
    /// Makes an error about the whole expression.
    pub(super) fn whole(reason: impl Into<String>) -> FilterError {
        FilterError { place: None, reason: reason.into(), others: vec![] }
    }

    /// Fails with all `mistakes`, in the order of their places, if there are any.
    pub(super) fn of_several(mut mistakes: Vec<FilterError>) -> Result<(), FilterError> {
        mistakes.sort_by_key(|mistake| mistake.place);
        let mut mistakes = mistakes.into_iter();
        mistakes.next().map_or(Ok(()), |first| Err(FilterError { others: mistakes.collect(), ..first }))
    }

    /// Returns the mistakes that this one consists of, usually only itself.
    pub(crate) fn each(mut self) -> Vec<FilterError> {
        let mut others = std::mem::take(&mut self.others);
        others.insert(0, self);
        others
    }

    /// Makes an error about character `index` of `expression`.
    pub(super) fn at(expression: &str, index: usize, reason: impl Into<String>) -> FilterError {
        let before: String = expression.chars().take(index).collect();
        let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
        FilterError { place: Some((before.matches('\n').count() + 1, column)), reason: reason.into(), others: vec![] }
    }

    /// Makes an error from the first one of the parser.
    pub(super) fn of_parser(errors: &ParseErrors) -> FilterError {
        let Some(error) = errors.errors.first() else { return FilterError::whole("not an expression") };
        let said = in_one_line(error.msg.lines().next().unwrap_or_default());
        let (line, column) = error.pos;
        let place = |number| usize::try_from(number).unwrap_or(1).max(1);
        FilterError { place: Some((place(line), place(column))), reason: in_words(&said), others: vec![] }
    }

    /// Returns which character of `expression` it is about.
    pub fn index_in(&self, expression: &str) -> Option<usize> {
        let (line, column) = self.place?;
        let before: usize = expression.split('\n').take(line - 1).map(|line| line.chars().count() + 1).sum();
        Some(before + column - 1)
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            None => {}
            Some((1, column)) => write!(f, "column {column}: ")?,
            Some((line, column)) => write!(f, "line {line}, column {column}: ")?,
        }
        f.write_str(&self.reason)?;
        self.others.iter().try_for_each(|other| write!(f, "; {other}"))
    }
}

impl std::error::Error for FilterError {}

/// Rewords the parser's message, which lists every token that it knows.
fn in_words(said: &str) -> String {
    if said.starts_with("invalid int literal") {
        return "the integer does not fit 64 bits with a sign; write `u` after it, or compare text: \
                `string(id) == \"…\"`"
            .to_owned();
    } else if said.starts_with("invalid uint literal") {
        return "the integer does not fit 64 bits; compare text instead: `string(id) == \"…\"`".to_owned();
    }
    let Some(error) = said.strip_prefix("Syntax error: ") else { return said.to_owned() };
    let between = |start: &str, end: &str| error.split_once(start)?.1.split_once(end).map(|(found, _)| found);
    if let Some(token) = between("missing ", " at ") {
        let at = between(" at '", "'").filter(|at| *at != "<EOF>");
        return at.map_or(format!("expected {token} at the end"), |at| format!("expected {token} before `{at}`"));
    }
    let found = between(" input '", "'").or_else(|| between("token recognition error at: '", "'"));
    match found {
        Some(found) if found.ends_with("<EOF>") => "the expression is incomplete".to_owned(),
        Some(found) => format!("unexpected `{}`", found.trim()),
        None => error.to_owned(),
    }
}
