//! Whether a stream is colored, and the colors.

use std::env;

use crate::cli::options::ColorChoice;

/// The color of a line of a comparison. The first character of the line says the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// Red: the old value.
    Old,
    /// Green: the new value.
    New,
    /// Yellow: a key with both.
    Changed,
}

impl Paint {
    pub(super) fn code(self) -> &'static str {
        match self {
            Paint::Old => "31",
            Paint::New => "32",
            Paint::Changed => "33",
        }
    }
}

/// What is known about standard output or standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stream {
    pub(super) terminal: bool,
    /// Whether the environment asks for no color: NO_COLOR, or a terminal without colors.
    pub(super) plain: bool,
}

impl Stream {
    pub(super) fn new(terminal: bool) -> Stream {
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Stream { terminal, plain: no_color || is_dumb() }
    }

    /// Decides whether to use color. An explicit option overrides the environment.
    pub(super) fn is_colored(self, choice: ColorChoice) -> bool {
        match choice {
            ColorChoice::Auto => self.terminal && !self.plain,
            ColorChoice::Always => true,
            ColorChoice::Never => false,
        }
    }
}

/// Tells whether the terminal can only print text.
pub(super) fn is_dumb() -> bool {
    env::var_os("TERM").is_some_and(|term| term == "dumb")
}

pub(super) const BOLD: &str = "1";
pub(super) const RED: &str = "1;31";
pub(super) const YELLOW: &str = "1;33";

/// Returns `text` in a color, if `color` is set.
pub(super) fn paint(color: bool, code: &str, text: &str) -> String {
    if color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// Colors the text up to the first colon, and the colon.
pub(super) fn paint_prefix(color: bool, code: &str, line: &str) -> String {
    match line.split_once(':') {
        Some((prefix, rest)) => format!("{}{rest}", paint(color, code, &format!("{prefix}:"))),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_is_stronger_than_the_environment_and_that_than_the_terminal() {
        let decide = |choice, terminal, plain| Stream { terminal, plain }.is_colored(choice);
        assert!(decide(ColorChoice::Auto, true, false));
        assert!(!decide(ColorChoice::Auto, true, true) && !decide(ColorChoice::Auto, false, false));
        assert!(decide(ColorChoice::Always, false, true) && !decide(ColorChoice::Never, true, false));
    }

    #[test]
    fn only_what_stands_before_the_colon_is_colored() {
        assert_eq!(paint_prefix(true, RED, "error: a: b"), "\u{1b}[1;31merror:\u{1b}[0m a: b");
        assert_eq!(paint_prefix(false, RED, "error: a: b"), "error: a: b");
    }
}
