//! The binary: words, streams and exit codes. A file for every verb, and for what all have in common.

mod completions;
mod exit_codes;
mod help;
mod run;
mod streams;
