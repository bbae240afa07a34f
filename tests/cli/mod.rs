//! The binary: words, streams and exit codes. One file per verb, and files for what all verbs share.

mod check;
mod checkpoint;
mod completions;
mod copy;
mod diff;
mod exit_codes;
mod help;
mod init;
mod inspect;
mod latest;
mod list;
mod log;
mod odd_names;
mod pin;
mod places;
mod prune;
mod pruned;
mod refused;
mod restore;
mod restore_to;
mod run;
mod schema;
mod stats;
mod streams;
mod times;
mod verify;
