//! Logfmt: `level=info msg="request done" secure`.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::input::record::text::line::{Expected, Line};

/// Passes the pairs of `text` to `take`. The value of a name by itself is `true`. A line without any pair is not
/// logfmt.
pub(super) fn split<'a>(text: &'a str, mut take: impl FnMut(&'a str, Cow<'a, str>)) -> Result<(), Expected> {
    let mut line = Line::new(text);
    let mut has_pair = false;
    loop {
        line.until(|rest| rest.iter().position(|byte| !is_space(*byte)));
        if line.rest().trim_ascii_start().is_empty() {
            break;
        }
        let expected = line.expected("a name");
        let name = line.until(|rest| Some(rest.iter().position(|byte| is_end_of_name(*byte)).unwrap_or(rest.len())));
        let name = name.filter(|name| !name.is_empty() && !line.rest().starts_with('"')).ok_or(expected)?;
        if line.skip("=").is_err() {
            take(name, Cow::Borrowed("true"));
            continue;
        }
        has_pair = true;
        if line.rest().starts_with('"') {
            let value = quoted(&mut line)?;
            take(name, value);
            if !line.rest().is_empty() && !line.rest().starts_with([' ', '\t']) {
                return Err(line.expected("a space"));
            }
        } else {
            let value = line.until(|rest| Some(memchr2(b' ', b'\t', rest).unwrap_or(rest.len())));
            take(name, Cow::Borrowed(value.unwrap_or_default()));
        }
    }
    if has_pair { Ok(()) } else { Err(line.expected("a pair such as `level=info`")) }
}

/// Returns the pairs of a line that `split` accepts.
pub(crate) fn pairs(text: &str) -> Vec<(&str, Cow<'_, str>)> {
    let mut pairs = Vec::new();
    let _ = split(text, |name, value| pairs.push((name, value)));
    pairs
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_end_of_name(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'=' | b'"')
}

/// Takes a text in quotes, which is escaped as in JSON.
fn quoted<'a>(line: &mut Line<'a>) -> Result<Cow<'a, str>, Expected> {
    let expected = line.expected("a text in quotes, escaped as in JSON");
    let closing = |rest: &[u8]| {
        let mut at = 1;
        loop {
            at += memchr2(b'"', b'\\', rest.get(at..)?)?;
            if rest[at] == b'"' {
                return Some(at + 1);
            }
            at += 2;
        }
    };
    let text = line.until(closing).ok_or(expected)?;
    let inside = &text[1..text.len() - 1];
    if memchr(b'\\', inside.as_bytes()).is_none() {
        return Ok(Cow::Borrowed(inside));
    }
    serde_json::from_str(text).map(Cow::Owned).map_err(|_| expected)
}
