//! Records: the bytes of a block, split into the fields that a job needs.

pub(super) mod bad_record;
mod computation;
pub(crate) mod csv;
pub(super) mod decoding;
pub(super) mod extractor;
mod field;
pub(crate) mod filter;
pub(super) mod header;
mod json;
pub(super) mod line;
mod message_fields;
mod sample;
mod sightings;
mod steps;
mod text;

pub use bad_record::BadRecord;
pub use computation::{Computation, Computed};
pub use extractor::{Extractor, RecordPlace};
pub use field::Field;
pub use filter::{Filter, FilterError, function_names};
pub use header::Header;
pub(crate) use json::scan::is_number;
pub(crate) use json::tree::Tree;
pub use sample::sample;
pub use sightings::Sightings;
pub use steps::{computed_fields, record_fields};
pub(crate) use text::logfmt_pairs;
