//! Feeds `ckpt_fuzz::store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ckpt_fuzz::store::check(data));
