//! `let:`

use crate::input::record::Computation;
use crate::job::known_fields::KnownFields;
use crate::job::model::{ComputedField, InputFormat};
use crate::job::read::field::within_expression;
use crate::job::read::section::{Result, unfit};
use crate::values::units::shown;
use crate::values::yaml::{Entry, Node};

const MAX_COMPUTED: usize = 100;
const MAX_NAME_CHARS: usize = 100;

/// Words that expressions use for other things.
const RESERVED: [&str; 21] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
    "while",
];

/// Reads the computed fields of records of `format`, if there are any.
pub(super) fn read(node: Option<&Node>, format: &InputFormat, is_topic: bool) -> Result<Vec<ComputedField>> {
    let Some(node) = node else { return Ok(Vec::new()) };
    let entries = node.map("a map from names to expressions such as `total: price * quantity`")?;
    if entries.len() > MAX_COMPUTED {
        return Err(node.unfit(format!("expected at most {MAX_COMPUTED} computed fields, found {}", entries.len())));
    }
    let mut computed: Vec<ComputedField> = Vec::new();
    for entry in entries {
        let field = field(entry, format, is_topic, &computed)?;
        computed.push(field);
    }
    Ok(computed)
}

fn field(entry: &Entry, format: &InputFormat, is_topic: bool, before: &[ComputedField]) -> Result<ComputedField> {
    let Entry { key: name, key_mark, value: node } = entry;
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.len() <= MAX_NAME_CHARS;
    if !fits {
        let expected =
            "a name of at most 100 letters (`A` to `Z`, `a` to `z`), digits and `_` that does not start with a digit";
        return Err(unfit(*key_mark, format!("expected {expected}, found `{}`", shown(name))));
    }
    if RESERVED.contains(&name.as_str()) {
        return Err(unfit(*key_mark, format!("`{name}` is a word of expressions; choose another name")));
    }
    let expected = "an expression such as `price * quantity`";
    let expression = node.text(expected)?;
    if expression.trim().is_empty() {
        return Err(node.wrong(expected));
    }
    let known = KnownFields::OfRecords { format, is_topic, computed: before };
    let computation =
        Computation::new(name, expression, known).map_err(|error| within_expression(node, 0, expression, error))?;
    let fields = computation.fields().to_vec();
    Ok(ComputedField { name: name.clone(), fields, expression: expression.to_owned() })
}
