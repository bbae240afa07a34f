//! The names of checkpoints, stores and staged files.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The number of a checkpoint in its store, from 1. Prints as at least eight digits, which is the name of its
/// directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    pub const FIRST: Sequence = Sequence(1);

    /// Returns the next number. The largest number returns itself.
    pub fn next(self) -> Sequence {
        Sequence(self.0.saturating_add(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:08}", self.0))
    }
}

/// A text is not the name of a checkpoint directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected the number of a checkpoint")]
pub struct SequenceError;

impl FromStr for Sequence {
    type Err = SequenceError;

    /// Parses the name of a checkpoint directory: eight digits, or more without a leading zero, but never zero.
    fn from_str(text: &str) -> Result<Sequence, SequenceError> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || text.len() < 8 || (text.len() > 8 && text.starts_with('0')) {
            return Err(SequenceError);
        }
        match text.parse() {
            Ok(0) | Err(_) => Err(SequenceError),
            Ok(number) => Ok(Sequence(number)),
        }
    }
}

/// Tells whether a text is this many lower-case hexadecimal digits.
fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The identity of a store and its replicas: 32 hexadecimal digits, chosen at random when the store is created.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StoreId(String);

/// A text is not the identity of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 32 lower-case hexadecimal digits")]
pub struct StoreIdError;

impl StoreId {
    /// Makes an identity from sixteen random bytes.
    pub fn new(random: [u8; 16]) -> StoreId {
        StoreId(random.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for StoreId {
    type Error = StoreIdError;

    fn try_from(text: String) -> Result<StoreId, StoreIdError> {
        if is_hex(&text, 32) { Ok(StoreId(text)) } else { Err(StoreIdError) }
    }
}

impl From<StoreId> for String {
    fn from(id: StoreId) -> String {
        id.0
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What the name of a staged file ends with: 16 hexadecimal digits, drawn for each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct StagingId(pub u64);

/// A text does not tell staged files apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 16 lower-case hexadecimal digits")]
pub struct StagingIdError;

impl FromStr for StagingId {
    type Err = StagingIdError;

    fn from_str(text: &str) -> Result<StagingId, StagingIdError> {
        let number = u64::from_str_radix(text, 16).ok().filter(|_| is_hex(text, 16));
        number.map(StagingId).ok_or(StagingIdError)
    }
}

impl TryFrom<String> for StagingId {
    type Error = StagingIdError;

    fn try_from(text: String) -> Result<StagingId, StagingIdError> {
        text.parse()
    }
}

impl From<StagingId> for String {
    fn from(id: StagingId) -> String {
        id.to_string()
    }
}

impl fmt::Display for StagingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_staging_id_parses_only_as_it_prints() {
        for number in [0, 0x9f86_d081_884c_7d65, u64::MAX] {
            assert_eq!(StagingId(number).to_string().parse(), Ok(StagingId(number)));
        }
        for text in ["", "9f86", "9F86D081884C7D65", "+f86d081884c7d65", "../9f86d081884c7d", "9f86d081884c7d650"] {
            assert!(text.parse::<StagingId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_sequence_parses_only_as_it_prints() {
        for number in [1, 42, 99_999_999, 100_000_000, u64::MAX] {
            assert_eq!(Sequence(number).to_string().parse(), Ok(Sequence(number)));
        }
        for text in ["", "42", "00000000", "0000042a", "000000042", "+0000042", "99999999999999999999"] {
            assert!(text.parse::<Sequence>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_store_id_is_32_hexadecimal_digits() {
        let id = StoreId::new([0xab; 16]);
        assert_eq!(StoreId::try_from(id.to_string()), Ok(id));
        assert!(StoreId::try_from("abc".to_owned()).is_err());
        assert!(StoreId::try_from("AB".repeat(16)).is_err());
    }
}
