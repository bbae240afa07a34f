//! The one test binary: each module is one promise.

mod format_tables;
