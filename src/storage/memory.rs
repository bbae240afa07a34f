//! Memory, for tests.
