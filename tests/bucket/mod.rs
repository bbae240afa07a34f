//! Buckets on real servers: what the client does with names, contents, conditions and faults.

mod requests;
