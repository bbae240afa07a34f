//! A job as its file describes it: one type per section.

mod checkpoint;
mod input;
mod job;
mod key;
mod number_form;
mod output;
mod pattern;
mod process;
mod topic;

pub use checkpoint::{CheckpointSpec, KeepSpec, PriorityClass, PrioritySpec, Schedule, Selector};
pub use input::{ComputedField, Encoding, InputFormat, InputSpec, MaxBad, OnError, OnGone};
pub use job::JobSpec;
pub use key::KeyField;
pub use number_form::NumberForm;
pub use output::{Emit, OutputFormat, OutputSpec};
pub use pattern::LinePattern;
pub use process::{AHEAD_MILLIS, EventTime, ExecSpec, MAX_WINDOWS, OnLate, TimeUnit, TtlSpec, WindowSpec};
pub use topic::{TopicSpec, TopicStart};

pub(crate) use pattern::{ACCESS_FIELDS, SYSLOG_FIELDS, whole_line};
pub(super) use process::exact_millis;
