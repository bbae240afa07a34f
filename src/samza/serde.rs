//! What the bytes of a key or a value in a store say.
//!
//! Nothing in a store names the serde that wrote it, and the bytes of one are often valid for another: the properties of
//! the job, such as `stores.NAME.key.serde`, say which one it was.

use std::fmt;

use serde_json::value::RawValue;

/// How Samza turned a key or a value into bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Serde {
    /// Anything: the bytes are not interpreted.
    #[default]
    Bytes,
    /// `StringSerde`, in UTF-8.
    Text,
    /// `LongSerde`: 8 bytes, the highest first.
    Long,
    /// `IntegerSerde`: 4 bytes, the highest first.
    Integer,
    /// `JsonSerde` and `JsonSerdeV2`.
    Json,
}

/// A key or a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateValue {
    Bytes(Vec<u8>),
    Text(String),
    Integer(i64),
    /// The text of a JSON value, as it is in the store.
    Json(String),
}

impl Serde {
    /// All serdes, in the order of `docs/samza.md`.
    pub const ALL: [Serde; 5] = [Serde::Bytes, Serde::Text, Serde::Long, Serde::Integer, Serde::Json];

    /// Returns the name that options use.
    pub const fn name(self) -> &'static str {
        match self {
            Serde::Bytes => "bytes",
            Serde::Text => "string",
            Serde::Long => "long",
            Serde::Integer => "integer",
            Serde::Json => "json",
        }
    }

    /// Reads what the serde wrote. Fails with what is wrong with the bytes.
    ///
    /// `StringSerde` of Samza replaces what is not UTF-8 by U+FFFD. Here it is an error: two keys could become one.
    pub fn read(self, bytes: &[u8]) -> Result<StateValue, String> {
        let wrong_size = |size: usize| format!("expected {size} bytes, found {}", bytes.len());
        match self {
            Serde::Bytes => Ok(StateValue::Bytes(bytes.to_vec())),
            Serde::Text => Ok(StateValue::Text(text(bytes)?.to_owned())),
            Serde::Long => {
                let number = bytes.try_into().map_err(|_| wrong_size(8))?;
                Ok(StateValue::Integer(i64::from_be_bytes(number)))
            }
            Serde::Integer => {
                let number = bytes.try_into().map_err(|_| wrong_size(4))?;
                Ok(StateValue::Integer(i32::from_be_bytes(number).into()))
            }
            Serde::Json => {
                let text = text(bytes)?;
                serde_json::from_str::<&RawValue>(text).map_err(|error| format!("not JSON: {error}"))?;
                Ok(StateValue::Json(text.trim().to_owned()))
            }
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8 after byte {}", error.valid_up_to()))
}

impl StateValue {
    /// Returns the value as JSON: bytes as hexadecimal digits, everything else as what it is.
    pub fn to_json(&self) -> Box<RawValue> {
        let json = match self {
            StateValue::Bytes(_) | StateValue::Text(_) => serde_json::to_string(&self.to_string()).expect("text"),
            StateValue::Integer(_) | StateValue::Json(_) => self.to_string(),
        };
        RawValue::from_string(json).expect("it is JSON")
    }
}

impl fmt::Display for StateValue {
    /// Writes bytes as hexadecimal digits, and text without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateValue::Bytes(bytes) => f.write_str(&hex(bytes)),
            StateValue::Text(text) => f.write_str(text),
            StateValue::Integer(number) => write!(f, "{number}"),
            StateValue::Json(json) => f.write_str(json),
        }
    }
}

/// Returns bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_serde_reads_what_it_writes_and_nothing_else() {
        for (serde, bytes, shown) in [
            (Serde::Bytes, &b"\x00\xff"[..], "00ff"),
            (Serde::Text, "Zürich".as_bytes(), "Zürich"),
            (Serde::Text, b"", ""),
            (Serde::Long, &[0, 0, 0, 0, 0, 0, 1, 0], "256"),
            (Serde::Long, &[0xff; 8], "-1"),
            (Serde::Integer, &[0x80, 0, 0, 0], "-2147483648"),
            (Serde::Json, b" {\"a\": 1.10} ", "{\"a\": 1.10}"),
            (Serde::Json, b"null", "null"),
        ] {
            assert_eq!(serde.read(bytes).map(|value| value.to_string()), Ok(shown.to_owned()), "{serde:?}");
        }
        for (serde, bytes, reason) in [
            (Serde::Text, &b"ab\xff"[..], "not UTF-8 after byte 2"),
            (Serde::Long, &[0; 4], "expected 8 bytes, found 4"),
            (Serde::Integer, &[0; 8], "expected 4 bytes, found 8"),
            (Serde::Json, b"{", "not JSON: "),
            (Serde::Json, b"1 2", "not JSON: "),
            (Serde::Json, b"", "not JSON: "),
        ] {
            let error = serde.read(bytes).expect_err("refused");
            assert!(error.starts_with(reason), "{serde:?} {error}");
        }
    }

    #[test]
    fn json_keeps_numbers_and_quotes_bytes() {
        let json = |serde: Serde, bytes: &[u8]| serde.read(bytes).expect("readable").to_json().get().to_owned();
        assert_eq!(json(Serde::Bytes, b"1"), "\"31\"");
        assert_eq!(json(Serde::Text, b"a\"b"), r#""a\"b""#);
        assert_eq!(json(Serde::Long, &[0, 0, 0, 0, 0, 0, 0, 7]), "7");
        assert_eq!(json(Serde::Json, b"{\"n\":12345678901234567890.10}"), "{\"n\":12345678901234567890.10}");
    }
}
