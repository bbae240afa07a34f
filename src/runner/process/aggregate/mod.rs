//! The built-in aggregates: from the fields of a record to the columns of its key's row.
//!
//! A [`Program`] is made once per run. It is the [`Processor`](crate::runner::process::processor::Processor) of jobs
//! with `process: aggregate:`.

mod argument;
mod conditions;
mod program;
mod step;

pub use program::Program;
