//! The job file: its keys, the job it describes, and what a changed job means for existing state.

mod aggregate;
pub mod calendar;
mod condition;
pub mod definition;
mod difference;
mod error;
pub(crate) mod field;
mod fill;
mod given;
mod key_filter;
pub(crate) mod keys;
pub(crate) mod known_fields;
pub(crate) mod model;
mod parse;
mod read;
mod schema;
mod setting;
pub(crate) mod state_columns;
mod windows;
mod write;

pub use aggregate::{AggregateFunction, AggregateSpec};
pub use condition::Condition;
pub use difference::{Difference, Effect, differences};
pub use error::JobFileError;
pub use field::{ExpressionError, FieldPath};
pub use fill::Variables;
pub use given::{GivenInput, Overrides};
pub use key_filter::key_filter;
pub use keys::KEYS;
pub use known_fields::KnownFields;
pub use model::{
    CheckpointSpec, ComputedField, Emit, EventTime, ExecSpec, InputFormat, InputSpec, JobSpec, KeepSpec, KeyField,
    LinePattern, MaxBad, OnError, OnGone, OnLate, OutputFormat, OutputSpec, PriorityClass, PrioritySpec, Schedule,
    Selector, TimeUnit, TtlSpec, WindowSpec,
};
pub use schema::schema;
pub use windows::Windows;

#[cfg(test)]
mod tests;
