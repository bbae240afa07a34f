//! Rows of an output as the bytes of a file.

use crate::format::parquet::values::ValuesWriter;
use crate::job::OutputFormat;
use crate::values::rows_text::{JsonLines, push_csv, push_csv_header};
use crate::values::value::{Column, Value};

/// Encodes rows in the format of an output.
#[derive(Debug)]
pub struct Encoder {
    bytes: Vec<u8>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Json(JsonLines),
    Csv,
    Parquet(Box<ValuesWriter>),
}

impl Encoder {
    pub fn new(format: OutputFormat, columns: &[Column]) -> Encoder {
        let mut bytes = Vec::new();
        let kind = match format {
            OutputFormat::Json => Kind::Json(JsonLines::new(columns.iter().map(|column| column.name.as_str()))),
            OutputFormat::Csv => {
                push_csv_header(columns.iter().map(|column| column.name.as_str()), &mut bytes);
                Kind::Csv
            }
            OutputFormat::Parquet => Kind::Parquet(Box::new(ValuesWriter::new(columns))),
        };
        Encoder { bytes, kind }
    }

    /// Appends a row, one value per column.
    pub fn push(&mut self, values: &[Value]) {
        match &mut self.kind {
            Kind::Json(lines) => lines.push(values, &mut self.bytes),
            Kind::Csv => push_csv(values, &mut self.bytes),
            Kind::Parquet(table) => {
                table.push(values);
                self.bytes.append(&mut table.take_bytes());
            }
        }
    }

    /// Returns the bytes that are complete.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Takes the bytes that are complete; later ones follow them in the file.
    pub fn take_bytes(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Returns the last bytes of the file.
    pub fn finish(mut self) -> Vec<u8> {
        if let Kind::Parquet(table) = self.kind {
            self.bytes.append(&mut table.finish());
        }
        self.bytes
    }
}
