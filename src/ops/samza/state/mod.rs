//! The keys and values of the stores of tasks, from their changelogs.

mod error;
mod stores;
mod topics;

pub use error::StateError;
pub use stores::{TaskStore, task_stores};
pub use topics::{Changelogs, Serdes, StateRow, read};
