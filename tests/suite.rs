//! tests

mod storage;
mod store;
