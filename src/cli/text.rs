//! Text for people: words, counts, ranges of numbers, and escapes.

use std::borrow::Cow;
use std::fmt::{self, Display, Write as _};

use jiff::Zoned;

use crate::format::manifest::{Manifest, Routing, Trigger};
use crate::store::Lag;
use crate::values::digest::Digest;
use crate::values::units::Count;

/// Names what caused a checkpoint.
pub fn cause(manifest: &Manifest) -> String {
    let word = trigger(manifest.trigger);
    match manifest.restored_from {
        Some(sequence) => format!("{word} of {}", sequence.0),
        None => word.to_owned(),
    }
}

/// Names a trigger.
pub fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::StateBytes => "state bytes",
        Trigger::Records => "records",
        Trigger::Signal => "signal",
        Trigger::Request => "request",
        Trigger::EndOfInput => "end of input",
        Trigger::Shutdown => "shutdown",
        Trigger::Restore => "restore",
    }
}

/// Says how keys are assigned to tasks.
pub fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::KeyHash => "by key hash",
        Routing::Partition => "one per partition",
        Routing::KeyedPartition => "one per partition with its keys",
        Routing::Program => "by the program",
    }
}

/// Describes a sketch by its size.
pub fn sketch(bytes: &[u8]) -> String {
    format!("sketch of {} bytes", bytes.len())
}

/// Describes a sketch by its size and digest, so that two sketches of one size can be told apart.
pub fn sketch_with_digest(bytes: &[u8]) -> String {
    format!("{}, SHA-256 {}", sketch(bytes), Digest::of(bytes).short())
}

/// Says how far behind a replica is; `None` if it is up to date.
pub fn lag(lag: &Lag) -> Option<String> {
    let place = &lag.place;
    match (&lag.error, lag.behind) {
        (Some(error), _) => Some(format!("replica `{place}` cannot be used: {error}")),
        (None, Some(behind)) if behind > 0 => {
            Some(format!("replica `{place}` is {} behind", counted(behind, "checkpoint")))
        }
        _ => None,
    }
}

/// Describes this process, which holds a store while `doing` something, for another one that finds it locked.
pub fn holder(doing: &str, now: &Zoned) -> String {
    let uname = rustix::system::uname();
    let since = now.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
    format!("{doing}, process {} on {}, since {since}", std::process::id(), uname.nodename().to_string_lossy())
}

/// Returns `yes` or an empty cell.
pub fn yes(yes: bool) -> &'static str {
    if yes { "yes" } else { "" }
}

/// Returns a number with its noun: `1 key`, `1,234 keys`.
pub fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", Count(number), if number == 1 { "" } else { "s" })
}

/// Returns a cell, or `-` if there is no value.
pub fn or_dash(cell: Option<impl Display>) -> String {
    cell.map_or_else(|| "-".to_owned(), |cell| cell.to_string())
}

/// Lists ascending numbers. Three or more in a row become a range: `1 to 4, 7, and 9`.
pub fn ranges(numbers: &[u64]) -> String {
    let mut items = Vec::new();
    for run in numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        match run {
            [first, _, .., last] => items.push(format!("{first} to {last}")),
            short => items.extend(short.iter().map(u64::to_string)),
        }
    }
    listed(&items)
}

/// Lists items in a sentence: `a, b, and c`.
pub fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [one, other] => format!("{one} and {other}"),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

/// Returns `text` with everything that a terminal would act on written as an escape: `\n`, `\u{1b}`.
///
/// Those are control characters, line and paragraph separators, and characters that are invisible or change the
/// direction of the text.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_where(text, acts_on_a_terminal, write_escape)
}

/// Returns `text` as [`escape`] does, but keeps its line breaks and tabs.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| acts_on_a_terminal(c) && !matches!(c, '\n' | '\t'), write_escape)
}

/// Returns a JSON document in which everything that a terminal would act on is written as `\uXXXX`. It has the same
/// meaning: outside of texts, JSON has no such characters.
pub fn escape_json(document: &str) -> Cow<'_, str> {
    escape_where(document, acts_on_a_terminal, |safe, c| {
        c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(safe, "\\u{unit:04x}"))
    })
}

/// Returns `text` with what `write` writes in place of each character that `acts`.
fn escape_where(
    text: &str,
    acts: impl Fn(char) -> bool,
    write: impl Fn(&mut String, char) -> fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acts(c) {
            write(&mut safe, c).expect("writing to a string succeeds");
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn write_escape(safe: &mut String, c: char) -> fmt::Result {
    match c {
        '\n' => safe.write_str("\\n"),
        '\r' => safe.write_str("\\r"),
        '\t' => safe.write_str("\\t"),
        _ => write!(safe, "\\u{{{:x}}}", u32::from(c)),
    }
}

fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_escaped_in_json_and_means_the_same() {
        let text = "\u{9b}31m \u{7f}\u{202e}\u{2028}\u{e0041} \u{1b}\n 東京 é 🦀 \\\"";
        let document = serde_json::to_string(text).unwrap();
        let safe = escape_json(&document);
        assert_eq!(safe, r#""\u009b31m \u007f\u202e\u2028\udb40\udc41 \u001b\n 東京 é 🦀 \\\"""#);
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn plain_text_of_any_language_stays_as_it_is() {
        for text in ["", "spend-per-user", "naïve 東京 🦀 `\\`"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn nothing_that_a_terminal_acts_on_gets_through() {
        assert_eq!(escape("a\u{1b}[31mb\nc\r\td\u{7f}"), "a\\u{1b}[31mb\\nc\\r\\td\\u{7f}");
        assert_eq!(escape("\u{9b}2J \u{202e}gpj.exe \u{2028}"), "\\u{9b}2J \\u{202e}gpj.exe \\u{2028}");
        for code in 0..=0x10ffff {
            let Some(c) = char::from_u32(code) else { continue };
            assert!(!escape(&c.to_string()).contains(char::is_control), "{code:x}");
        }
    }

    #[test]
    fn lines_are_kept_where_they_are_wanted() {
        assert_eq!(escape_lines("a:\n\tb\u{1b}[2J\r\n"), "a:\n\tb\\u{1b}[2J\\r\n");
    }

    #[test]
    fn three_numbers_in_a_row_are_a_range() {
        assert_eq!(ranges(&[]), "");
        assert_eq!(ranges(&[7]), "7");
        assert_eq!(ranges(&[9, 10]), "9 and 10");
        assert_eq!(ranges(&[1, 2, 3]), "1 to 3");
        assert_eq!(ranges(&[1, 2, 3, 4, 7]), "1 to 4 and 7");
        assert_eq!(ranges(&[1, 2, 3, 4, 7, 9, 10]), "1 to 4, 7, 9, and 10");
        assert_eq!(ranges(&[u64::MAX]), u64::MAX.to_string());
        assert_eq!(ranges(&[u64::MAX - 1, u64::MAX]), format!("{} and {}", u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn a_digest_tells_sketches_of_one_size_apart() {
        assert_eq!(sketch(&[1]), sketch(&[2]));
        assert_ne!(sketch_with_digest(&[1]), sketch_with_digest(&[2]));
    }
}
