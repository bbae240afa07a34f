//! Parquet tables: what every table of a store shares, whatever its columns are.

pub mod columns;
pub mod pages;
pub mod table;
pub mod values;
