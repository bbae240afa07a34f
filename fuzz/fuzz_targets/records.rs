//! Feeds `ckpt_fuzz::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ckpt_fuzz::records::check(data));
