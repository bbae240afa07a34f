//! `ckpt log`: what happened to a store.

mod follow;
mod happening;
mod read;

pub use follow::Follower;
pub use happening::{Happening, Origin, Start, Unended};
pub use read::{Log, Selection, log};
