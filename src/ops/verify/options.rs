//! What is verified, and how closely.

use crate::ops::verify::choice::Choice;
use crate::values::id::Sequence;

/// How closely a store is verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Depth {
    /// That every object exists and has its size; only manifests and their tables are read.
    Quick,
    /// Every byte.
    #[default]
    Full,
    /// Every byte and every row.
    Deep,
}

/// What is verified, and how closely.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Only this checkpoint; otherwise all, and everything else in the store.
    pub only: Option<Sequence>,
    pub depth: Depth,
    /// Which objects are read; of the others only existence and size are checked.
    pub choice: Choice<'a>,
}
