//! The binary: words, streams and exit codes. A file for every verb, and for what all have in common.

mod check;
mod checkpoint;
mod completions;
mod copy;
mod diff;
mod exit_codes;
mod help;
mod inspect;
mod latest;
mod list;
mod log;
mod pin;
mod prune;
mod refused;
mod restore;
mod run;
mod stats;
mod streams;
mod verify;
