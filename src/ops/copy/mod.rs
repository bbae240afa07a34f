//! `ckpt copy`: copies checkpoints into another copy of the store, unchanged.
//!
//! Checkpoints are copied one after another by number, each with its objects first. Whatever stops the copy leaves the
//! target intact, and the next one continues.

mod apply;
mod compare;
mod error;
mod plan;
mod planning;

pub use apply::{Copied, apply};
pub use error::CopyError;
pub use plan::{CopyPlan, Step};
pub use planning::{plan, target};
