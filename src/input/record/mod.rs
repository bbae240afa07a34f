//! Records: the bytes of a block, split into the fields that a job needs.

pub(super) mod bad_record;
pub(crate) mod csv;
pub(super) mod extractor;
mod field;
pub(crate) mod filter;
pub(super) mod header;
mod json;
pub(super) mod line;
mod sample;
mod sightings;
mod text;

pub use bad_record::BadRecord;
pub use extractor::{Extractor, RecordPlace};
pub use field::Field;
pub use filter::{Filter, FilterError};
pub use header::Header;
pub(crate) use json::scan::is_number;
pub(crate) use json::tree::Tree;
pub use sample::sample;
pub use sightings::Sightings;
pub(crate) use text::logfmt_pairs;
