//! Parquet tables: what all tables of a store share, whatever their columns are.

pub mod columns;
mod page_header;
pub mod pages;
pub mod reader;
pub mod schema;
pub mod values;
pub mod writer;
