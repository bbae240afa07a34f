//! How large things in a store may be.

/// The longest key, and the longest text, JSON or sketch value, in bytes.
pub const MAX_VALUE_BYTES: usize = 32 << 20;

/// The largest `SHA256SUMS` that is read, in bytes. A line takes about 160 bytes.
pub const MAX_SUMS_BYTES: u64 = 1 << 30;
