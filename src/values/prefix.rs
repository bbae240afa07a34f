//! Numbers that sort as keys do, so that sorting touches the keys themselves only where these numbers are equal.

/// Returns the first eight `bytes` as a number that sorts as they do; missing ones count as zero.
///
/// If the numbers of two texts differ, the texts have the same order. If they are equal, the texts may differ.
pub fn first_bytes(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(chunk) => u64::from_be_bytes(*chunk),
        None => (0..8).fold(0, |number, at| number << 8 | bytes.get(at).map_or(0, |byte| u64::from(*byte))),
    }
}

/// Returns the length of the prefix that all keys share.
pub fn shared_bytes<'k>(mut keys: impl Iterator<Item = &'k [u8]>) -> usize {
    let Some(first) = keys.next() else { return 0 };
    keys.fold(first.len(), |shared, key| {
        if key.starts_with(&first[..shared]) {
            return shared;
        }
        first.iter().zip(key).take_while(|(a, b)| a == b).count()
    })
}
