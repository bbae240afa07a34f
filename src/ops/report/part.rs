//! Parts of a report, and why they are missing.

use crate::ops::read::ReadError;
use crate::values::error_chain::in_one_line;

/// Why a part of a report is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// The options leave it out.
    LeftOut,
    /// There is nothing that it could be about.
    Nothing,
    /// It is damaged, and why.
    Damaged(String),
    /// Why it is not known, although it may be intact.
    Failed(String),
}

/// A part of a report, or why it is missing.
pub type Part<T> = Result<T, Missing>;

impl Missing {
    pub(super) fn damaged(error: impl std::error::Error) -> Missing {
        Missing::Damaged(in_one_line(&error))
    }
}

/// Reads a part of something that may not exist.
pub(super) fn part<A, T>(of: Option<A>, read: impl FnOnce(A) -> Result<T, ReadError>) -> Part<T> {
    read(of.ok_or(Missing::Nothing)?).map_err(unread)
}

/// Tells damage from what the system refuses to read, and from what was pruned meanwhile.
pub(super) fn unread(error: ReadError) -> Missing {
    let is_damage = !error.is_inconclusive() && !error.is_removed();
    if is_damage { Missing::Damaged(in_one_line(&error)) } else { failed(error) }
}

/// Returns why a part is missing, if that is a reason to look at the store.
pub(super) fn trouble<T>(part: &Part<T>) -> Option<&Missing> {
    part.as_ref().err().filter(|missing| matches!(missing, Missing::Damaged(_) | Missing::Failed(_)))
}

pub(super) fn failed(error: impl std::error::Error) -> Missing {
    Missing::Failed(in_one_line(&error))
}
