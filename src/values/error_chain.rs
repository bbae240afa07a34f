//! An error with its causes, on one line.

use std::error::Error;

/// Returns the messages of `error` and of its causes, the nearest first, separated by colons.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read `a`")]
    struct Unreadable(#[source] std::io::Error);

    #[test]
    fn an_error_is_followed_by_its_causes() {
        let error = Unreadable(std::io::Error::other("disk on fire"));
        assert_eq!(in_one_line(&error), "cannot read `a`: disk on fire");
    }
}
