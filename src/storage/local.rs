//! A directory of the local file system.
