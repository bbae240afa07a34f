//! What is done with each record: the built-in aggregates, programs, windows and expiry.

pub mod aggregate;
pub mod event_clock;
pub mod event_time;
pub mod exec;
pub mod processor;
pub mod processor_rows;
pub mod task_time;
pub mod time_plan;
pub mod time_spans;
pub mod watermark;
pub mod window;
