//! `input: encoding:`, `nulls:` and `numbers:`

use crate::job::model::{Encoding, InputFormat, NumberForm};
use crate::job::read::scalar::choose;
use crate::job::read::section::{Result, Section};
use crate::values::yaml::{Kind, Node};

const MAX_NULLS: usize = 100;

/// Reads what the bytes of text stand for.
pub(super) fn encoding(node: Option<&Node>, format: &InputFormat) -> Result<Encoding> {
    match node {
        None => Ok(Encoding::Utf8),
        Some(node) if *format == InputFormat::Json => Err(node.unfit("JSON is always UTF-8; remove `encoding`")),
        Some(node) => choose(node, "encoding", &Encoding::NAMED),
    }
}

/// Reads the texts that stand for missing values.
pub(super) fn nulls(node: Option<&Node>, format: &InputFormat) -> Result<Vec<String>> {
    let Some(node) = node else { return Ok(Vec::new()) };
    check_format(node, "nulls", format)?;
    let expected = "a list of texts such as `[\"NA\", \"-\"]`";
    let Kind::List(items) = &node.kind else { return Err(node.wrong(expected)) };
    if items.len() > MAX_NULLS {
        return Err(node.wrong(&format!("a list of at most {MAX_NULLS} texts")));
    }
    items.iter().map(|item| item.text("a text in quotes").map(str::to_owned)).collect()
}

/// Reads how numbers are written.
pub(super) fn numbers(node: Option<&Node>, format: &InputFormat) -> Result<Option<NumberForm>> {
    let Some(node) = node else { return Ok(None) };
    check_format(node, "numbers", format)?;
    let section = Section::new("input.numbers", node, "a map such as `{thousands: \".\", decimal: \",\"}`")?;
    let decimal = section.get("decimal").map_or(Ok('.'), mark)?;
    let thousands = section.get("thousands").map(mark).transpose()?;
    if let (Some(node), true) = (section.get("thousands"), thousands == Some(decimal)) {
        return Err(node.unfit("`thousands` and `decimal` are the same character"));
    }
    let strip = match section.get("strip") {
        None => String::new(),
        Some(node) => {
            let expected = "characters that are not part of a number, such as `\"€$ \"`";
            let strip = node.text(expected)?;
            let is_mark = |c: char| c.is_ascii_digit() || c == '-' || c == decimal;
            if strip.contains(is_mark) {
                return Err(node.wrong(expected));
            }
            strip.to_owned()
        }
    };
    Ok(Some(NumberForm { thousands, decimal, strip }))
}

fn mark(node: &Node) -> Result<char> {
    let expected = "one character that is not a digit, a letter or a sign";
    let mut chars = node.text(expected)?.chars();
    match (chars.next(), chars.next()) {
        (Some(mark), None) if !mark.is_alphanumeric() && !"+-".contains(mark) => Ok(mark),
        _ => Err(node.wrong(expected)),
    }
}

fn check_format(node: &Node, key: &str, format: &InputFormat) -> Result<()> {
    if format.has_numbers_in_text() {
        return Ok(());
    }
    Err(node.unfit(format!("`{key}` needs `format: csv` or a `pattern`, whose fields are all text")))
}
