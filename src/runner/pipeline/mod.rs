//! The threads of a run: one reads, the workers apply, one directs.
//!
//! ```text
//!  reader ──blocks──► gate ──blocks──► workers ──frozen shards──► checkpointer ──► store
//!                      ▲                 │                          ▲      │
//!                     cut             accounts                     cut  outcomes
//!                      │                 ▼                          │      ▼
//!                      └───────────── director ─────────────────────┘   director ──► observer
//! ```
//!
//! A worker parses any block, and hands its packed records to the workers that own their shards.

pub mod attempt;
pub mod batch;
mod batch_watch;
pub mod director;
pub mod field_types;
pub mod gate;
pub mod gauges;
pub mod group;
mod key_parts;
mod last_state;
mod open_reader;
pub(crate) mod operation;
pub mod paths;
pub mod plan;
pub mod prepare;
mod read_thread;
mod recent;
pub mod restart;
mod route;
pub mod run;
mod spawn;
mod start;
mod threads;
pub mod worker;
