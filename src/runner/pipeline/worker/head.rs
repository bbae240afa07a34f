//! The head of a packed record, with which parsing workers hand it to the workers that apply it.

/// What precedes the key and the arguments of a packed record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    /// The XXH3-64 of the key.
    pub(crate) hash: u64,
    /// The index of the shard among those of its owner.
    pub(crate) place: u32,
    pub(crate) key_bytes: u32,
    /// The length of the whole record: head, key and arguments.
    pub(crate) record_bytes: u32,
}

/// The size of a packed head.
pub(crate) const HEAD_BYTES: usize = 20;

impl Head {
    #[inline]
    pub(crate) fn pack(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..8].copy_from_slice(&self.hash.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.place.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.key_bytes.to_le_bytes());
        bytes[16..].copy_from_slice(&self.record_bytes.to_le_bytes());
        bytes
    }

    #[inline]
    pub(crate) fn unpack(packed: &[u8]) -> Head {
        let head: &[u8; HEAD_BYTES] = packed.first_chunk().expect("a record has a head");
        let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        Head {
            hash: u64::from_le_bytes(head[..8].try_into().expect("eight bytes")),
            place: number(8),
            key_bytes: number(12),
            record_bytes: number(16),
        }
    }

    /// Splits the record of this head off `bytes`. Returns its key, what follows the key, and the records after it.
    #[inline]
    pub(crate) fn split<'a>(&self, bytes: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
        let (record, rest) = bytes.split_at(self.record_bytes as usize);
        let (key, packed) = record[HEAD_BYTES..].split_at(self.key_bytes as usize);
        (key, packed, rest)
    }
}
