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
    Text(TextFormat),
    Parquet(Box<ValuesWriter>),
}

/// How rows are encoded in a file of text.
#[derive(Debug, Clone)]
pub enum TextFormat {
    Json(JsonLines),
    Csv,
}

impl TextFormat {
    /// Appends a row, one value per column.
    pub fn push(&self, values: &[Value], bytes: &mut Vec<u8>) {
        match self {
            TextFormat::Json(lines) => lines.push(values, bytes),
            TextFormat::Csv => push_csv(values, bytes),
        }
    }
}

impl Encoder {
    pub fn new(format: OutputFormat, columns: &[Column]) -> Encoder {
        let mut bytes = Vec::new();
        let kind = match format {
            OutputFormat::Json => {
                let lines = JsonLines::new(columns.iter().map(|column| column.name.as_str()));
                Kind::Text(TextFormat::Json(lines))
            }
            OutputFormat::Csv => {
                push_csv_header(columns.iter().map(|column| column.name.as_str()), &mut bytes);
                Kind::Text(TextFormat::Csv)
            }
            OutputFormat::Parquet => Kind::Parquet(Box::new(ValuesWriter::new(columns))),
        };
        Encoder { bytes, kind }
    }

    /// Appends a row, one value per column.
    pub fn push(&mut self, values: &[Value]) {
        match &mut self.kind {
            Kind::Text(format) => format.push(values, &mut self.bytes),
            Kind::Parquet(table) => {
                table.push(values);
                self.bytes.append(&mut table.take_bytes());
            }
        }
    }

    /// Returns how rows are encoded, if each is encoded by itself.
    pub fn text_format(&self) -> Option<&TextFormat> {
        match &self.kind {
            Kind::Text(format) => Some(format),
            Kind::Parquet(_) => None,
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
