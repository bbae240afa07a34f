//! Feeds `ckpt_fuzz::samza`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ckpt_fuzz::samza::check(data));
