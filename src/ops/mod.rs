//! What the commands do, without words: values in, values out.
//!
//! Nothing here prints, knows a terminal, or reads the clock. Whatever changes something is two functions, a plan and
//! its application.

pub mod copy;
pub mod diff;
pub mod finding;
pub mod inspect;
pub mod key_filter;
pub mod latest;
pub mod list;
pub mod log;
pub mod pin;
pub mod read;
pub mod repair;
pub mod report;
pub mod restore;
pub mod samza;
pub mod seek;
pub mod stats;
pub mod verify;
pub mod workers;
