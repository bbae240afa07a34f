//! Checkpoints in one storage or several replicas: what is committed, and how more is committed.
//!
//! Reading takes no lock and writes nothing. Everything returned has been verified against its SHA-256 and comes from
//! the first replica that has it intact. If that is not the first of all, a [`StoreNote`] says so.

mod catch_up;
mod directory;
mod divergence;
pub mod enclosing;
mod error;
mod fetch;
mod health;
mod hold;
mod known;
mod lag;
mod lease;
mod lock;
mod lost;
mod objects_lock;
mod open;
mod places;
pub mod prune;
mod publish;
pub mod records;
mod replica;
mod replica_objects;
mod root;
#[expect(clippy::module_inception, reason = "the floor has the name of its main type")]
mod store;

pub use directory::{Directory, LOST_AND_FOUND};
pub use divergence::{Branch, Fork, forks};
pub use error::StoreError;
pub use health::StoreNote;
pub use lag::Lag;
pub use lock::StoreLock;
pub use publish::{Created, Put};
pub use replica::Replica;
pub use root::{CheckpointFiles, Committed, ManifestRead, Misplaced, RootRead};
pub use store::{Store, Unavailable};
