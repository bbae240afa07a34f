//! Checkpoints for stateful jobs: run them, resume them, and look after what they leave behind.
//!
//! Two entrances are promised to other programs, and change only with a version:
//!
//! - [`cli::main_with`] is the `ckpt` command, with processors of your own.
//! - [`runner::process::processor`] is the interface of a processor: what a job with `process: {native: NAME}` does with
//!   each record. `examples/runner.rs` has one, and `docs/runner.md` explains it.
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use ckpt::cli;
//! use ckpt::runner::process::processor::Processors;
//!
//! fn main() -> ExitCode {
//!     cli::main_with(&Processors::default())
//! }
//! ```
//!
//! Everything else is public for the tests, benches and examples of the project itself, and may change at any time.
//!
//! The crate is built in floors: a file knows its own floor and those below it. `docs/architecture.md` is the map.
//!
//! | floor | where |
//! | --- | --- |
//! | 1 values | [`values`] |
//! | 2 format, samza | [`mod@format`] [`samza`] |
//! | 3 storage, Kafka | [`storage`] [`kafka`] |
//! | 4 store | [`store`] |
//! | 5 job, input, shape | [`job`] [`input`] [`shape`] |
//! | 6 operations, runner | [`ops`] [`runner`] |
//! | 7 command line | [`cli`] |

#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::todo, clippy::unimplemented, clippy::dbg_macro))]

pub mod cli;
pub mod format;
pub mod input;
pub mod job;
pub mod kafka;
pub mod ops;
pub mod runner;
pub mod samza;
pub mod shape;
pub mod storage;
pub mod store;
pub mod values;
