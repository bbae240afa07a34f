//! The topic of a job: it gets the rows of each checkpoint exactly once.
//!
//! The rows are staged in the store, and the manifest names them. After the commit they are sent in one transaction, which
//! also sets a mark: the offset of a group, whose metadata names them. So the mark says what the topic has. It is read back
//! after each transaction and when a run starts, and what is missing by it is sent before anything else is committed.

mod outlet;
mod search;
mod staged;
mod standing;
mod turns;

pub use outlet::{AssumedOutput, Outlet, OutletNote, Unsent, look};
pub use staged::MessageRows;
