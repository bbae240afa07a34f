//! How large a document may be.

/// The largest document that is read, in bytes.
pub const MAX_BYTES: usize = 1024 * 1024;

/// How deep lists and maps may be nested.
pub const MAX_DEPTH: usize = 64;

/// The most memory that a document's tree may take once its aliases are expanded, in bytes.
pub(super) const MAX_TREE_BYTES: usize = 64 * 1024 * 1024;
