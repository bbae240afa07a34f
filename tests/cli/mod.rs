//! The binary: words, streams and exit codes. A file for every verb, and for what all have in common.

mod completions;
mod exit_codes;
mod help;
mod inspect;
mod list;
mod restore;
mod run;
mod streams;
mod verify;
