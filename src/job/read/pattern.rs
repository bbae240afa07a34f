//! `input: pattern:`

use crate::job::keys::unknown;
use crate::job::model::{LinePattern, whole_line};
use crate::job::read::section::{Result, unfit};
use crate::values::units::shown;
use crate::values::yaml::Node;

/// The longest regular expression, in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// Reads the name of a format, or a regular expression with named groups.
pub(super) fn pattern(node: &Node) -> Result<LinePattern> {
    let text = node.text("the name of a format such as `combined`, or a regular expression with named groups")?;
    if let Some((_, pattern)) = LinePattern::NAMED.into_iter().find(|(name, _)| *name == text) {
        return Ok(pattern);
    }
    if text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        let reason = unknown("pattern", text, "", &LinePattern::NAMED.map(|(name, _)| name));
        return Err(node.unfit(reason));
    }
    if text.len() > MAX_BYTES {
        return Err(node.unfit(format!("the regular expression is longer than {MAX_BYTES} bytes")));
    }
    // What the parser says where, the compiler does not know.
    if let Err(error) = regex_syntax::parse(text) {
        let (at, reason) = fault(&error, text);
        return Err(unfit(node.mark_within(at), format!("not a regular expression: {reason}")));
    }
    let regex = whole_line(text).map_err(|error| {
        let reason = error.to_string();
        node.unfit(format!("not a regular expression: {}", reason.lines().last().unwrap_or_default()))
    })?;
    if regex.capture_names().flatten().next().is_none() {
        let example = "write what is to be a field as `(?<user>\\S+)`";
        return Err(node.unfit(format!("the pattern `{}` has no named groups; {example}", shown(text))));
    }
    Ok(LinePattern::Regex(text.to_owned()))
}

/// Returns the character that an error is about, and what is wrong there.
fn fault(error: &regex_syntax::Error, text: &str) -> (usize, String) {
    let (offset, reason) = match error {
        regex_syntax::Error::Parse(error) => (error.span().start.offset, error.kind().to_string()),
        regex_syntax::Error::Translate(error) => (error.span().start.offset, error.kind().to_string()),
        other => (0, other.to_string()),
    };
    (text.get(..offset).map_or(0, |before| before.chars().count()), reason)
}
