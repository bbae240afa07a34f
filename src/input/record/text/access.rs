//! The access logs of web servers: the common and the combined log format.

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::input::record::text::line::{Expected, Line, MONTHS, begins_like};

// The places of the fields in `ACCESS_FIELDS`.
const HOST: usize = 0;
const IDENT: usize = 1;
const USER: usize = 2;
pub(super) const TIME: usize = 3;
const REQUEST: usize = 4;
const METHOD: usize = 5;
const PATH: usize = 6;
const PROTOCOL: usize = 7;
const STATUS: usize = 8;
const BYTES: usize = 9;
const REFERER: usize = 10;
const AGENT: usize = 11;

/// Passes the fields of `text` to `take`, with their place in `ACCESS_FIELDS`.
pub(super) fn split<'a>(
    text: &'a str,
    is_combined: bool,
    take: &mut impl FnMut(usize, &'a str),
) -> Result<(), Expected> {
    let mut line = Line::new(text);
    take(HOST, line.word("the host")?);
    take(IDENT, line.word("the identity")?);
    // A user name may contain spaces.
    let user = line.until(|rest| {
        memchr(b'[', rest).filter(|at| *at > 1 && rest[at - 1] == b' ' && memchr(b']', rest).is_some()).map(|at| at - 1)
    });
    take(USER, user.ok_or(line.expected("the user and a time in brackets"))?);
    line.skip(" [")?;
    let expected = line.expected("a time such as `10/Oct/2026:13:55:36 +0000`");
    let time = line.until(|rest| memchr(b']', rest)).filter(|time| is_time(time.as_bytes()));
    take(TIME, time.ok_or(expected)?);
    line.skip("] ")?;
    let request = quoted(&mut line)?;
    take(REQUEST, request);
    if let Some((method, path, protocol)) = split_request(request) {
        take(METHOD, method);
        take(PATH, path);
        take(PROTOCOL, protocol);
    }
    line.skip(" ")?;
    take(STATUS, number(&mut line, "a status")?);
    line.skip(" ")?;
    take(BYTES, number(&mut line, "a number of bytes")?);
    if is_combined {
        line.skip(" ")?;
        take(REFERER, quoted(&mut line)?);
        line.skip(" ")?;
        take(AGENT, quoted(&mut line)?);
    }
    line.end()
}

/// Returns a time that `is_time` accepts as RFC 3339 writes it.
pub(super) fn time(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let month = MONTHS.iter().position(|name| *name == &bytes[3..6]).map_or(0, |index| index + 1);
    let part = |range: std::ops::Range<usize>| &text[range];
    Cow::Owned(format!("{}-{month:02}-{}T{}{}:{}", part(7..11), part(0..2), part(12..20), part(21..24), part(24..26)))
}

fn is_time(time: &[u8]) -> bool {
    const FORM: &[u8] = b"00/MMM/0000:00:00:00 +0000";
    time.len() == FORM.len() && begins_like(time, FORM) && MONTHS.contains(&&time[3..6])
}

/// Takes a text in quotes, in which a backslash protects the next character. The text stays as it is written.
fn quoted<'a>(line: &mut Line<'a>) -> Result<&'a str, Expected> {
    line.skip("\"")?;
    let closing = line.until(|rest| {
        let mut at = 0;
        loop {
            at += memchr2(b'"', b'\\', &rest[at..])?;
            if rest[at] == b'"' {
                return Some(at);
            }
            at += 2;
            if at > rest.len() {
                return None;
            }
        }
    });
    let text = closing.ok_or(line.expected("a closing quote"))?;
    line.skip("\"")?;
    Ok(text)
}

/// Takes digits, or `-`.
fn number<'a>(line: &mut Line<'a>, what: &'static str) -> Result<&'a str, Expected> {
    let end = |rest: &[u8]| Some(memchr(b' ', rest).unwrap_or(rest.len()));
    let expected = line.expected(what);
    let fits = |text: &&str| *text == "-" || !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    line.until(end).filter(fits).ok_or(expected)
}

/// Returns the method, the path and the protocol of a request. Servers log what clients sent, so there may be none.
fn split_request(request: &str) -> Option<(&str, &str, &str)> {
    let (method, rest) = request.split_once(' ')?;
    let is_method = method.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'_' | b'-'));
    if method.is_empty() || !is_method {
        return None;
    }
    match rest.rsplit_once(' ') {
        Some((path, protocol)) if protocol.starts_with("HTTP/") => Some((method, path, protocol)),
        _ => Some((method, rest, "")),
    }
}
