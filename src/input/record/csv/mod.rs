//! CSV: where records end, and where fields do.
//!
//! RFC 4180, read the way csv-core does: a quote opens a quoted field only at the beginning of the field; elsewhere it
//! is an ordinary character. The reader of the input (`ends`) and the splitting of records (`split`) must agree on that
//! to the byte, so they are side by side.

pub(crate) mod ends;
pub(super) mod fields;
pub(super) mod split;

pub(crate) use split::split;
