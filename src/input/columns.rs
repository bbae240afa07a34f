//! The columns that a job asks of its CSV files.

use crate::input::error::InputError;
use crate::input::record::bad_record::in_one_line;
use crate::input::record::header::Header;
use crate::job::field::FieldPath;
use crate::job::keys::nearest;

/// The most columns that a message lists.
const MAX_LISTED: usize = 20;

/// The columns that a job asks of its CSV files.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    /// Every header must have these.
    pub required: Vec<FieldPath>,
    /// In a file that does not have these, they are null.
    pub optional: Vec<FieldPath>,
    /// Whether all columns are asked for, so that each needs a name of its own.
    pub all: bool,
}

impl Columns {
    /// Requires `absent`, optional columns that no file has.
    pub fn require(&mut self, mut absent: Vec<FieldPath>) {
        self.optional.retain(|field| !absent.contains(field));
        self.required.append(&mut absent);
    }

    /// Fails if the header of `partition` lacks a required column, or has a requested one twice.
    pub(super) fn check(&self, partition: &str, header: &Header) -> Result<(), InputError> {
        let problems = self.problems(&header.names);
        if problems.is_empty() {
            return Ok(());
        }
        let (partition, reason) = (partition.to_owned(), problems.join("; "));
        Err(match self.is_one_missing(&header.names) {
            true => InputError::NoColumn { partition, reason },
            false => InputError::Header { partition, reason },
        })
    }

    /// Returns whether the header lacks a column that is required or was probably meant.
    fn is_one_missing(&self, names: &[String]) -> bool {
        let is_missing = |field: &FieldPath| !names.contains(&field.names.join("."));
        let is_meant = |field: &&FieldPath| is_mistake(&field.names.join("."), names);
        self.required.iter().any(is_missing) || self.optional.iter().filter(is_meant).any(is_missing)
    }

    fn problems(&self, names: &[String]) -> Vec<String> {
        let mut problems: Vec<String> = Vec::new();
        let twice = |name: &str| format!("column `{}` appears twice in the header line", in_one_line(name));
        for (fields, is_required) in [(&self.required, true), (&self.optional, false)] {
            for name in fields.iter().map(|field| field.names.join(".")) {
                let problem = match names.iter().filter(|other| **other == name).count() {
                    0 if is_required || is_mistake(&name, names) => missing(&name, names),
                    0 | 1 => continue,
                    _ => twice(&name),
                };
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
        if !problems.is_empty() {
            return problems;
        }
        if self.all {
            if let Some(index) = names.iter().position(String::is_empty) {
                return vec![format!("column {} has no name in the header line", index + 1)];
            }
            let mut sorted: Vec<&String> = names.iter().collect();
            sorted.sort_unstable();
            problems.extend(sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| twice(pair[0])));
        }
        problems
    }
}

/// Returns whether a header without the optional column `name` shows a mistake: another case or space around it, or a
/// delimiter that is not the job's.
fn is_mistake(name: &str, names: &[String]) -> bool {
    let is_undivided = matches!(names, [only] if only.contains([',', ';', '\t', '|']));
    is_undivided || names.iter().any(|other| is_alike(name, other))
}

/// Returns whether two names only differ in case and in space around them.
fn is_alike(name: &str, other: &str) -> bool {
    name.trim().to_lowercase() == other.trim().to_lowercase()
}

fn missing(name: &str, names: &[String]) -> String {
    let beginning = format!("the header line has no column `{}`", in_one_line(name));
    let known: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let same_letters = known.iter().copied().find(|other| is_alike(name, other));
    if let Some(near) = same_letters.or_else(|| nearest(name, &known)) {
        return format!("{beginning}, did you mean `{}`?", in_one_line(near));
    }
    let listed: Vec<String> = known.iter().take(MAX_LISTED).map(|name| format!("`{}`", in_one_line(name))).collect();
    let more = if known.len() > MAX_LISTED { ", …" } else { "" };
    format!("{beginning}, it has {}{more}", listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(columns: &Columns, header: &[&str]) -> String {
        let names: Vec<String> = header.iter().map(|name| (*name).to_owned()).collect();
        columns.problems(&names).join("; ")
    }

    #[test]
    fn only_columns_that_are_asked_for_must_be_unique() {
        let columns =
            Columns { required: vec![FieldPath::of("k")], optional: vec![FieldPath::of("w")], ..Columns::default() };
        for (header, expected) in [
            (&["", "k", "", "v", "v"][..], ""),
            (&["k", "v", "k"], "column `k` appears twice in the header line"),
            (&["k", "w", "w"], "column `w` appears twice in the header line"),
        ] {
            assert_eq!(problem(&columns, header), expected);
        }
        let all = Columns { all: true, ..Columns::default() };
        assert_eq!(problem(&all, &["k", "v"]), "");
        assert_eq!(problem(&all, &["k", "v", "v"]), "column `v` appears twice in the header line");
        assert_eq!(problem(&all, &["k", "", "v"]), "column 2 has no name in the header line");
    }

    #[test]
    fn all_missing_columns_are_reported_at_once() {
        let required = ["amout", "user", "ts", "amout"].map(FieldPath::of).to_vec();
        let columns = Columns { required, ..Columns::default() };
        assert_eq!(
            problem(&columns, &["amount", "user", "at"]),
            "the header line has no column `amout`, did you mean `amount`?; the header line has no column `ts`, it has \
             `amount`, `user`, `at`"
        );
    }

    #[test]
    fn a_missing_column_of_where_is_null_unless_the_header_shows_a_mistake() {
        let columns = Columns { optional: vec![FieldPath::of("value")], ..Columns::default() };
        for (header, expected) in [
            (&["k", "values"][..], ""),
            (&["k"], ""),
            (&["k", " value"], "the header line has no column `value`, did you mean ` value`?"),
            (&["k", "Value"], "the header line has no column `value`, did you mean `Value`?"),
            (&["k;value"], "the header line has no column `value`, it has `k;value`"),
        ] {
            assert_eq!(problem(&columns, header), expected);
        }
    }

    #[test]
    fn a_missing_column_is_reported_with_the_one_that_was_probably_meant() {
        let columns = Columns { required: vec![FieldPath::of("value")], ..Columns::default() };
        for (header, expected) in [
            (&["k", " value"][..], ", did you mean ` value`?"),
            (&["k", "VALUE"], ", did you mean `VALUE`?"),
            (&["k", "valeu"], ", did you mean `valeu`?"),
            (&["k", "Valeu"], ", did you mean `Valeu`?"),
            (&["k;value"], ", it has `k;value`"),
        ] {
            assert_eq!(problem(&columns, header), format!("the header line has no column `value`{expected}"));
        }
    }
}
