//! Random bytes from the operating system.

use std::fmt::Write as _;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::cli::error::CliError;
use crate::cli::exit::Exit;

/// Returns 16 random bytes.
pub fn random() -> Result<[u8; 16], CliError> {
    let mut bytes = [0; 16];
    let cannot = || CliError::new(Exit::Failed, "cannot get random bytes");
    match getrandom(&mut bytes, GetRandomFlags::empty()) {
        Ok(length) if length == bytes.len() => Ok(bytes),
        Ok(_) => Err(cannot()),
        Err(error) => Err(cannot().caused_by(&error)),
    }
}

/// Returns a random id of 32 hexadecimal digits.
pub fn random_id() -> Result<String, CliError> {
    Ok(random()?.iter().fold(String::new(), |mut id, byte| {
        let _ = write!(id, "{byte:02x}");
        id
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_32_digits_and_differ() {
        let (one, other) = (random_id().expect("random"), random_id().expect("random"));
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
