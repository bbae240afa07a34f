//! The one test binary, so that it links once. Each module is a suite.

mod architecture;
mod assets;
mod away;
#[cfg(feature = "s3")]
mod bucket;
mod checkpointer;
mod cli;
mod crash;
mod damage;
mod dependencies;
mod deploy;
mod diff;
mod divergence;
mod docs;
mod expressions;
mod format_tables;
mod fuzz_corpus;
mod golden;
mod group;
mod growth;
mod hostile;
mod job_file;
mod kafka;
mod lost;
mod model;
mod monitoring;
mod objects;
mod prose;
mod prune;
mod races;
mod repair;
mod replicas;
mod report;
mod reunion;
mod samza;
#[cfg(feature = "rocksdb")]
mod samza_directories;
mod storage;
mod store;
mod support;
mod verify;
