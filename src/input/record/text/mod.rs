//! Lines of text that have fields: named formats and regular expressions.

mod access;
mod fields;
mod line;
mod logfmt;
mod syslog;

pub(super) use fields::LineFields;
pub(crate) use logfmt::pairs as logfmt_pairs;
