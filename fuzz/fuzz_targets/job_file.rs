//! Feeds `ckpt_fuzz::job_file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ckpt_fuzz::job_file::check(data));
