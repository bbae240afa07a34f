//! Syslog: RFC 3164 and RFC 5424.

use memchr::memchr;

use crate::input::record::text::line::{Expected, Line, MONTHS, begins_like};

// The places of the fields in `SYSLOG_FIELDS`.
const PRIORITY: usize = 0;
pub(super) const FACILITY: usize = 1;
pub(super) const SEVERITY: usize = 2;
const TIME: usize = 3;
const HOST: usize = 4;
const APP: usize = 5;
const PID: usize = 6;
pub(super) const MESSAGE: usize = 7;
const ID: usize = 8;
const DATA: usize = 9;

const MAX_PRIORITY: u16 = 191;

/// Passes the fields of `text`, a line as in RFC 3164, to `take`, with their place in `SYSLOG_FIELDS`.
///
/// Daemons write files without the priority, and often with a time as in RFC 3339. Both are accepted.
pub(super) fn split_old<'a>(text: &'a str, take: &mut impl FnMut(usize, &'a str)) -> Result<(), Expected> {
    let mut line = Line::new(text);
    if text.starts_with('<') {
        priority(&mut line, take)?;
    }
    let expected = line.expected("a time such as `Oct 11 22:14:15`");
    let is_rfc_3339 = line.rest().starts_with(|first: char| first.is_ascii_digit());
    let time = match is_rfc_3339 {
        true => line.until(|rest| memchr(b' ', rest)).filter(|time| is_new_time(time.as_bytes())),
        false => line.until(|_| Some(OLD_TIME.len())).filter(|time| is_old_time(time.as_bytes())),
    };
    take(TIME, time.ok_or(expected)?);
    line.skip(" ")?;
    // Some daemons leave out the host; then the tag comes first.
    let first = line.rest().split(' ').next().unwrap_or_default();
    if !first.ends_with(':') && !first.contains('[') {
        take(HOST, line.word("the host and a message")?);
    }
    let (tag, message) = split_tag(line.rest());
    if let Some((app, pid)) = tag {
        take(APP, app);
        take(PID, pid);
    }
    take(MESSAGE, message);
    Ok(())
}

/// Passes the fields of `text`, a line as in RFC 5424, to `take`, with their place in `SYSLOG_FIELDS`.
pub(super) fn split_new<'a>(text: &'a str, take: &mut impl FnMut(usize, &'a str)) -> Result<(), Expected> {
    let mut line = Line::new(text);
    priority(&mut line, take)?;
    line.skip("1 ")?;
    let expected = line.expected("a time such as `2026-10-11T22:14:15.003Z`, or `-`");
    let time = line.word("a time")?;
    if time != "-" && !is_new_time(time.as_bytes()) {
        return Err(expected);
    }
    take(TIME, time);
    take(HOST, line.word("the host")?);
    take(APP, line.word("the name of the application")?);
    take(PID, line.word("the number of the process")?);
    take(ID, line.word("the kind of message")?);
    let data = line.expected("structured data, or `-`");
    take(DATA, line.until(data_end).ok_or(data)?);
    if !line.rest().is_empty() {
        line.skip(" ")?;
        take(MESSAGE, line.rest().trim_start_matches('\u{feff}'));
    }
    Ok(())
}

/// Returns the facility or the severity of `priority`, which `split_old` or `split_new` has found.
pub(super) fn part_of_priority(priority: &str, field: usize) -> String {
    let priority: u16 = priority.parse().unwrap_or_default();
    if field == FACILITY { priority / 8 } else { priority % 8 }.to_string()
}

fn priority<'a>(line: &mut Line<'a>, take: &mut impl FnMut(usize, &'a str)) -> Result<(), Expected> {
    line.skip("<")?;
    let expected = line.expected("a priority from 0 to 191");
    let fits = |digits: &&str| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && digits.parse().is_ok_and(|number: u16| number <= MAX_PRIORITY)
    };
    let digits = line.until(|rest| memchr(b'>', rest)).filter(fits).ok_or(expected)?;
    for field in [PRIORITY, FACILITY, SEVERITY] {
        take(field, digits);
    }
    line.skip(">")
}

/// Splits `app[pid]: message`. Returns no application if the text does not begin with one.
fn split_tag(text: &str) -> (Option<(&str, &str)>, &str) {
    let word = text.split(' ').next().unwrap_or_default();
    let Some((tag, _)) = word.split_once(':') else { return (None, text) };
    let message = text[tag.len() + 1..].trim_start_matches(' ');
    let tag = match tag.strip_suffix(']').and_then(|tag| tag.split_once('[')) {
        Some((app, pid)) => (app, pid),
        None => (tag, ""),
    };
    if tag.0.is_empty() { (None, text) } else { (Some(tag), message) }
}

/// A day of one digit has a space before it.
const OLD_TIME: &[u8] = b"MMM _0 00:00:00";

fn is_old_time(time: &[u8]) -> bool {
    time.len() == OLD_TIME.len() && begins_like(time, OLD_TIME) && MONTHS.contains(&&time[..3])
}

/// Returns whether `time` begins as RFC 3339 says. What reads it checks the rest.
fn is_new_time(time: &[u8]) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    time.len() > FORM.len() && begins_like(time, FORM)
}

/// Returns the length of the structured data at the beginning of `rest`.
fn data_end(rest: &[u8]) -> Option<usize> {
    if rest.first() == Some(&b'-') {
        return Some(1);
    }
    let mut at = 0;
    while rest.get(at) == Some(&b'[') {
        let mut is_quoted = false;
        at += 1;
        loop {
            match rest.get(at)? {
                b'"' => is_quoted = !is_quoted,
                b'\\' if is_quoted => at += 1,
                b']' if !is_quoted => break,
                _ => {}
            }
            at += 1;
        }
        at += 1;
    }
    (at > 0).then_some(at)
}
