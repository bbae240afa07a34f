//! tests

mod job_file;
