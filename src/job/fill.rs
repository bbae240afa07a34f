//! `${VAR}`, `${VAR:-default}` and `~` in the values of a job file.

use crate::job::read::section::{Mistakes, Result, unfit};
use crate::values::yaml::{Kind, MAX_BYTES, Node, YamlError};

/// Returns the value of a variable of the environment, if it is set.
pub type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The keys whose values are paths, which may start with `~/`. Those of the input may be globs.
const PATHS: [&str; 10] = [
    "input",
    "input.files",
    "input.kafka.settings_file",
    "input.on_error.dead_letter",
    "process.window.on_late.dead_letter",
    "checkpoint.store",
    "checkpoint.replicas",
    "output",
    "output.files",
    "output.kafka.settings_file",
];

/// Fills in the variables and the home directory in the values below `root`. Keys stay as they are.
pub(super) fn fill(root: &mut Node, variables: Variables<'_>) -> Result<()> {
    let mut filling = Filling { variables, mistakes: Mistakes::default(), bytes_left: MAX_BYTES };
    for key in PATHS {
        let is_glob = matches!(key, "input" | "input.files");
        if let Some(node) = at(root, key) {
            each_item(node, &mut |node| filling.expand_home(node, is_glob));
        }
    }
    filling.fill(root);
    filling.mistakes.none()
}

/// Returns the value of the dotted `key`.
fn at<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    key.split('.').try_fold(node, |node, name| match &mut node.kind {
        Kind::Map(entries) => entries.iter_mut().find(|entry| entry.key == name).map(|entry| &mut entry.value),
        _ => None,
    })
}

fn each_item(node: &mut Node, visit: &mut dyn FnMut(&mut Node)) {
    match &mut node.kind {
        Kind::Scalar(_) => visit(node),
        Kind::List(items) => items.iter_mut().for_each(visit),
        Kind::Map(_) => {}
    }
}

struct Filling<'a> {
    variables: Variables<'a>,
    mistakes: Mistakes,
    /// How much text the variables may add.
    bytes_left: usize,
}

impl Filling<'_> {
    fn expand_home(&mut self, node: &mut Node, is_glob: bool) {
        let Some(rest) = node.scalar().and_then(|scalar| scalar.text.strip_prefix('~')) else { return };
        if node.is_null() || !(rest.is_empty() || rest.starts_with('/')) {
            return;
        }
        match (self.variables)("HOME") {
            Some(home) => {
                let home = if is_glob { without_globs(&home) } else { home };
                let text = format!("{}{rest}", home.trim_end_matches('/')).replace("${", "$${");
                node.set_text(text);
            }
            None => self.mistakes.add(node.unfit("`~` is the home directory, but `HOME` is not set")),
        }
    }

    fn fill(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::List(items) => items.iter_mut().for_each(|item| self.fill(item)),
            Kind::Map(entries) => entries.iter_mut().for_each(|entry| self.fill(&mut entry.value)),
            Kind::Scalar(scalar) if scalar.text.contains("${") => match self.filled(node) {
                Ok(text) => node.set_text(text),
                Err(error) => self.mistakes.add(error),
            },
            Kind::Scalar(_) => {}
        }
    }

    /// Returns the text of a scalar with the variables filled in.
    fn filled(&mut self, node: &Node) -> Result<String> {
        let text = node.scalar().map_or("", |scalar| scalar.text.as_str());
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                // `$${` is `${`.
                filled += &rest[..at];
                filled.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            filled += &rest[..at];
            let start = text.len() - rest.len() + at;
            let wrong = |reason: String| unfit(node.mark_within(text[..start].chars().count()), reason);
            let Some((inside, after)) = rest[at + 2..].split_once('}') else {
                return Err(wrong(
                    "this `${` is never closed; write `$${` for a `${` that is not a variable".to_owned(),
                ));
            };
            filled += &self.value(inside).map_err(wrong)?;
            if filled.len() > self.bytes_left {
                return Err(wrong(format!("the variables of this file expand to more than {MAX_BYTES} bytes")));
            }
            rest = after;
        }
        filled += rest;
        self.bytes_left = self.bytes_left.saturating_sub(filled.len());
        Ok(filled)
    }

    /// Returns the value of `NAME` or `NAME:-default`. The error is a message.
    fn value(&self, inside: &str) -> Result<String, String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(format!(
                "expected `${{NAME}}` or `${{NAME:-default}}`, found `${{{}}}`; write `$${{` for a `${{` that is not a \
                 variable",
                crate::values::units::shown(inside)
            ));
        }
        match ((self.variables)(name), default) {
            // As in a shell, an empty variable gets the default.
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(format!(
                "the environment variable `{name}` is not set; set it, or give it a default: `${{{name}:-default}}`"
            )),
        }
    }
}

/// Returns a pattern that only matches `path`.
fn without_globs(path: &str) -> String {
    path.chars().fold(String::new(), |pattern, c| match c {
        '*' | '?' | '[' | ']' => format!("{pattern}[{c}]"),
        c => format!("{pattern}{c}"),
    })
}

impl Mistakes {
    fn add(&mut self, error: YamlError) {
        self.take::<()>(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::yaml;

    fn filled(text: &str) -> Result<String, String> {
        let variables = |name: &str| match name {
            "HOME" => Some("/home/a[1]/".to_owned()),
            "STORE" => Some("/data/${NOT_AGAIN}".to_owned()),
            "TASKS" => Some("8".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut root = yaml::parse(text).unwrap();
        let result = fill(&mut root, &variables);
        let texts = |errors: Vec<YamlError>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        result.map_err(|error| texts(error.each()))?;
        let value = root.map("").unwrap()[0].value.clone();
        Ok(value.scalar().map_or_else(|| format!("{:?}", value.kind), |scalar| scalar.text.clone()))
    }

    #[test]
    fn variables_and_the_home_directory_are_filled_in_once() {
        for (text, expected) in [
            ("output: ${STORE}/x", "/data/${NOT_AGAIN}/x"),
            ("tasks: ${TASKS}", "8"),
            ("a: ${TASKS}-${TASKS}${EMPTY}", "8-8"),
            ("a: '${NONE:-x y}${EMPTY:-e}${TASKS:-9}'", "x ye8"),
            ("a: '${NONE:-}|'", "|"),
            ("a: '$${TASKS} $TASKS $'", "${TASKS} $TASKS $"),
            ("input: ~/x/*.csv", "/home/a[[]1[]]/x/*.csv"),
            ("output: '~'", "/home/a[1]"),
            ("output: ~user/x", "~user/x"),
            ("where: ~/x", "~/x"),
        ] {
            assert_eq!(filled(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(filled("input: [~/a, b]").unwrap().contains("/home/a[[]1[]]/a"));
    }

    #[test]
    fn a_variable_that_is_not_set_is_an_error_at_its_place() {
        assert_eq!(
            filled("a: x${NONE}\nb: [\"${1}\", '${']").unwrap_err(),
            "line 1, column 5: the environment variable `NONE` is not set; set it, or give it a default: \
             `${NONE:-default}`\n\
             line 2, column 6: expected `${NAME}` or `${NAME:-default}`, found `${1}`; write `$${` for a `${` that is \
             not a variable\n\
             line 2, column 14: this `${` is never closed; write `$${` for a `${` that is not a variable"
        );
    }
}
