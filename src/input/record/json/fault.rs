//! What is wrong with a JSON record.

use crate::input::record::bad_record::{BadRecord, in_one_line};

/// What is wrong, and at which byte.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: FaultKind,
}

pub(super) enum FaultKind {
    Expected(&'static str),
    Wrong(&'static str),
    NotAnObject,
    Duplicate(String),
}

pub(super) type Scanned<T> = Result<T, Fault>;

impl Fault {
    /// Describes what is wrong with the record `text`.
    #[cold]
    pub(super) fn explain(self, text: &str) -> BadRecord {
        let reason = match self.kind {
            FaultKind::Duplicate(name) => format!("field `{}` appears twice", in_one_line(&name)),
            FaultKind::Wrong(what) => format!("malformed JSON at byte {}: {what}", self.at),
            FaultKind::NotAnObject => match text.as_bytes().get(self.at) {
                Some(b'[') => "is a JSON array, expected an object".to_owned(),
                Some(b'"') => "is a JSON string, expected an object".to_owned(),
                Some(b'-' | b'0'..=b'9') => "is a JSON number, expected an object".to_owned(),
                _ => match text.trim_ascii() {
                    literal @ ("true" | "false" | "null") => format!("is JSON `{literal}`, expected an object"),
                    _ => Fault { at: self.at, kind: FaultKind::Expected("`{`") }.explain(text).reason,
                },
            },
            FaultKind::Expected(what) => match text.get(self.at..).and_then(|rest| rest.chars().next()) {
                None => format!("malformed JSON at byte {}: expected {what}, found the end of the record", self.at),
                Some(found) => {
                    let found = if found.is_control() { found.escape_default().to_string() } else { found.to_string() };
                    format!("malformed JSON at byte {}: expected {what}, found `{found}`", self.at)
                }
            },
        };
        BadRecord { reason }
    }
}
