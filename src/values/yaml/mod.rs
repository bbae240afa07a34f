//! YAML: documents of untrusted origin, with the line and column of everything in them.
//!
//! Only this directory knows the two YAML crates. [`parse`] returns a tree with positions, for files that people write;
//! [`from_str`] and [`to_string`] use serde, for files that programs write.
//!
//! The language is a subset of YAML 1.2: one document, UTF-8, only the tags of the core schema, no duplicate keys.
//! Anchors, aliases and merge keys (`<<`) work within limits, so that no small document can grow large.

mod error;
mod limits;
mod node;
mod place;
mod quote;
mod tag;
mod tree;
mod typed;

pub use error::{Mark, Problem, YamlError};
pub use limits::{MAX_BYTES, MAX_DEPTH};
pub use node::{Entry, Kind, Node, Scalar};
pub use place::place;
pub use quote::quote;
pub use tree::{decode, parse};
pub use typed::{from_str, to_string};

#[cfg(test)]
mod tests;
