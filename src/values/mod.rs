//! Plain values that every other floor uses: pure code without files, clocks or terminals.

pub mod catch_panic;
pub mod decimal;
pub mod deep_stack;
pub mod digest;
pub mod error_chain;
pub mod file_name;
pub mod id;
pub mod lock;
pub mod number_text;
pub mod parallel;
pub mod prefix;
pub mod progress;
pub mod random;
pub mod relpath;
pub mod rows_text;
pub mod units;
pub mod url;
pub mod value;
pub mod yaml;
