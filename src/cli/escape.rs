//! Text of unknown origin, made safe to show.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns `text` with everything that a terminal would act on written as an escape: `\n`, `\u{1b}`.
///
/// That is control characters, line and paragraph separators, and what is invisible or turns the direction of writing.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_where(text, acts_on_a_terminal)
}

/// Returns `text` as [`escape`] does, but keeps its lines and tabs.
pub fn escape_lines(text: &str) -> Cow<'_, str> {
    escape_where(text, |c| acts_on_a_terminal(c) && !matches!(c, '\n' | '\t'))
}

fn escape_where(text: &str, acts: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&acts) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            _ if !acts(c) => safe.push(c),
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            _ => write!(safe, "\\u{{{:x}}}", u32::from(c)).expect("writing to a string succeeds"),
        }
    }
    Cow::Owned(safe)
}

fn acts_on_a_terminal(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
