//! An output file while it is written. Rows are encoded and hashed on their way to the staged file.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use crate::format::manifest::Output;
use crate::format::parquet::values::ValuesWriter;
use crate::job::OutputFormat;
use crate::runner::output::error::OutputError;
use crate::runner::output::plan::OutputPlan;
use crate::storage::durable::{create_anew, flush_directory, make_directory};
use crate::values::digest::Hasher;
use crate::values::id::Sequence;
use crate::values::value::{Column, Value};

/// The number of bytes that are written to the file at once.
const BUFFER_BYTES: usize = 1 << 16;

/// Writes a staged output file.
pub(crate) struct StagedFile<'a> {
    plan: &'a OutputPlan,
    sequence: Sequence,
    file: BufWriter<File>,
    hasher: Hasher,
    bytes: u64,
    rows: u64,
    encoder: Encoder,
}

impl<'a> StagedFile<'a> {
    /// Creates the file that checkpoint `sequence` will publish.
    pub(crate) fn create(
        plan: &'a OutputPlan,
        sequence: Sequence,
        columns: &[Column],
    ) -> Result<StagedFile<'a>, OutputError> {
        let error = plan.error(sequence);
        make_directory(&plan.dir).map_err(&error)?;
        let file = create_anew(&plan.staged(sequence)).map_err(&error)?;
        Ok(StagedFile {
            plan,
            sequence,
            file: BufWriter::with_capacity(1 << 20, file),
            hasher: Hasher::new(),
            bytes: 0,
            rows: 0,
            encoder: Encoder::new(plan.format, columns),
        })
    }

    /// Appends a row, given one value per column.
    pub(crate) fn push(&mut self, values: &[Value]) -> Result<(), OutputError> {
        self.encoder.push(values);
        self.rows += 1;
        if self.encoder.bytes.len() >= BUFFER_BYTES {
            let bytes = std::mem::take(&mut self.encoder.bytes);
            self.put(&bytes)?;
            self.encoder.bytes = bytes;
            self.encoder.bytes.clear();
        }
        Ok(())
    }

    /// Appends `rows` lines as they are. The format must be JSON.
    pub(crate) fn push_lines(&mut self, lines: &[u8], rows: u64) -> Result<(), OutputError> {
        let bytes = std::mem::take(&mut self.encoder.bytes);
        self.put(&bytes)?;
        self.rows += rows;
        self.put(lines)
    }

    /// Flushes the file and describes it.
    pub(crate) fn finish(mut self) -> Result<Output, OutputError> {
        let error = self.plan.error(self.sequence);
        let encoder = std::mem::replace(&mut self.encoder, Encoder::new(OutputFormat::Json, &[]));
        let bytes = encoder.finish();
        self.put(&bytes)?;
        let file = self.file.into_inner().map_err(|failed| error(failed.into_error()))?;
        file.sync_all().map_err(&error)?;
        // The name must be durable too: the checkpoint relies on it.
        flush_directory(&self.plan.dir).map_err(&error)?;
        let path = self.plan.name(self.sequence);
        Ok(Output { path, sha256: self.hasher.finish(), bytes: self.bytes, rows: self.rows })
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        let written: io::Result<()> = self.file.write_all(bytes);
        written.map_err(self.plan.error(self.sequence))?;
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

/// Encodes rows.
struct Encoder {
    bytes: Vec<u8>,
    kind: Kind,
}

enum Kind {
    /// The text before each value: `{"key":`, then `,"name":`.
    Json(Vec<String>),
    Csv,
    Parquet(Box<ValuesWriter>),
}

impl Encoder {
    fn new(format: OutputFormat, columns: &[Column]) -> Encoder {
        let mut bytes = Vec::new();
        let kind = match format {
            OutputFormat::Json => {
                let quoted = |name: &str| serde_json::to_string(name).expect("text is always JSON");
                let before = |(i, column): (usize, &Column)| {
                    format!("{}{}:", if i == 0 { '{' } else { ',' }, quoted(&column.name))
                };
                Kind::Json(columns.iter().enumerate().map(before).collect())
            }
            OutputFormat::Csv => {
                push_csv(&mut bytes, columns.iter().map(|column| column.name.as_str()));
                Kind::Csv
            }
            OutputFormat::Parquet => Kind::Parquet(Box::new(ValuesWriter::new(columns))),
        };
        Encoder { bytes, kind }
    }

    fn push(&mut self, values: &[Value]) {
        match &mut self.kind {
            Kind::Json(names) => {
                for (name, value) in names.iter().zip(values) {
                    self.bytes.extend_from_slice(name.as_bytes());
                    self.bytes.extend_from_slice(value.to_json().as_bytes());
                }
                self.bytes.extend_from_slice(b"}\n");
            }
            Kind::Csv => {
                let texts: Vec<String> = values.iter().map(Value::to_string).collect();
                push_csv(&mut self.bytes, texts.iter().map(String::as_str));
            }
            Kind::Parquet(table) => {
                table.push(values);
                self.bytes.append(&mut table.take_bytes());
            }
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if let Kind::Parquet(table) = self.kind {
            self.bytes.append(&mut table.finish());
        }
        self.bytes
    }
}

fn push_csv<'a>(line: &mut Vec<u8>, fields: impl Iterator<Item = &'a str>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            line.push(b',');
        }
        if field.contains(['"', ',', '\n', '\r']) {
            line.extend_from_slice(format!("\"{}\"", field.replace('"', "\"\"")).as_bytes());
        } else {
            line.extend_from_slice(field.as_bytes());
        }
    }
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        let mut line = Vec::new();
        push_csv(&mut line, ["a", "b,c", "d\"e", "", "f\ng"].into_iter());
        assert_eq!(line, b"a,\"b,c\",\"d\"\"e\",,\"f\ng\"\n");
    }
}
