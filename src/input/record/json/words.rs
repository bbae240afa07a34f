//! Several bytes of a record as one number.

/// Returns the 8 bytes from `at` on in little-endian order, padded with zeros.
#[inline(always)]
pub(super) fn eight_bytes(bytes: &[u8], at: usize) -> u64 {
    let rest = &bytes[at..];
    match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(first), _) => u64::from_le_bytes(*first),
        // The last bytes are read together with those before them.
        (None, Some(last)) => u64::from_le_bytes(*last).checked_shr(8 * (8 - rest.len()) as u32).unwrap_or(0),
        (None, None) => rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Returns the 16 bytes from `at` on in little-endian order, padded with zeros.
#[inline(always)]
pub(super) fn sixteen_bytes(bytes: &[u8], at: usize) -> u128 {
    let rest = &bytes[at..];
    match (rest.first_chunk(), bytes.last_chunk()) {
        (Some(first), _) => u128::from_le_bytes(*first),
        (None, Some(last)) => u128::from_le_bytes(*last).checked_shr(8 * (16 - rest.len()) as u32).unwrap_or(0),
        (None, None) => rest.iter().rev().fold(0, |word, byte| word << 8 | u128::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_the_end_are_zeros() {
        let text: Vec<u8> = (1..=40).collect();
        for length in 0..text.len() {
            let bytes = &text[..length];
            for at in 0..=length {
                let byte = |i: usize| bytes.get(at + i).copied().unwrap_or(0);
                assert_eq!(eight_bytes(bytes, at).to_le_bytes(), std::array::from_fn(byte), "{length} {at}");
                assert_eq!(sixteen_bytes(bytes, at).to_le_bytes(), std::array::from_fn(byte), "{length} {at}");
            }
        }
    }
}
