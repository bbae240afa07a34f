//! The one test binary: it links once. A module is a suite.

mod architecture;
mod assets;
mod checkpointer;
mod cli;
mod crash;
mod damage;
mod dependencies;
mod diff;
mod docs;
mod format_tables;
mod fuzz_corpus;
mod golden;
mod hostile;
mod job_file;
mod model;
mod prune;
mod repair;
mod replicas;
mod storage;
mod store;
mod support;
