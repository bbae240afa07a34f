//! The threads of a run: one reads, the workers apply, one directs.

pub mod attempt;
pub mod director;
pub mod gate;
pub mod gauges;
pub mod plan;
pub mod prepare;
pub mod restart;
pub mod run;
pub mod worker;
