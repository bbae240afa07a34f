//! The columns of a table: their types, their encodings, and how Parquet and Arrow describe them.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use parquet::basic::{Encoding, LogicalType, Repetition, Type as PhysicalType};
use parquet::schema::types::{SchemaDescriptor, Type};

use crate::format::error::TableError;
use crate::values::decimal::Decimal;

/// The most rows of a row group that is written. A lookup of few keys skips whole groups.
pub(crate) const GROUP_ROWS: usize = 1 << 17;
/// The most rows of a batch.
pub(crate) const BATCH_ROWS: usize = 8192;
/// What one batch may take when decoded, in bytes, whatever the file claims.
pub(crate) const BATCH_BYTES: usize = 256 << 20;

/// The type of a column, which also decides its encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    UInt32,
    UInt64,
    Int,
    Number,
    Bool,
    /// Text that mostly shares a prefix with the row before it.
    Key,
    Text,
    Json,
    Bytes,
}

impl ColumnKind {
    fn arrow_type(self) -> DataType {
        match self {
            ColumnKind::UInt32 => DataType::UInt32,
            ColumnKind::UInt64 => DataType::UInt64,
            ColumnKind::Int => DataType::Int64,
            ColumnKind::Number => DataType::Decimal128(Decimal::PRECISION, Decimal::SCALE),
            ColumnKind::Bool => DataType::Boolean,
            ColumnKind::Key | ColumnKind::Text | ColumnKind::Json => DataType::Utf8,
            ColumnKind::Bytes => DataType::Binary,
        }
    }

    /// Returns the only encoding that pages of this kind may have.
    pub(crate) fn encoding(self) -> Encoding {
        match self {
            ColumnKind::UInt32 | ColumnKind::UInt64 | ColumnKind::Int => Encoding::DELTA_BINARY_PACKED,
            ColumnKind::Bool => Encoding::RLE,
            ColumnKind::Key => Encoding::DELTA_BYTE_ARRAY,
            ColumnKind::Number | ColumnKind::Text | ColumnKind::Json | ColumnKind::Bytes => Encoding::PLAIN,
        }
    }

    fn parquet_type(self, name: &str, repetition: Repetition) -> Type {
        let integer = |bit_width, is_signed| Some(LogicalType::integer(bit_width, is_signed));
        let (physical, logical) = match self {
            ColumnKind::UInt32 => (PhysicalType::INT32, integer(32, false)),
            ColumnKind::UInt64 => (PhysicalType::INT64, integer(64, false)),
            ColumnKind::Int => (PhysicalType::INT64, None),
            ColumnKind::Number => {
                let (precision, scale) = (Decimal::PRECISION.into(), Decimal::SCALE.into());
                (PhysicalType::FIXED_LEN_BYTE_ARRAY, Some(LogicalType::decimal(scale, precision)))
            }
            ColumnKind::Bool => (PhysicalType::BOOLEAN, None),
            ColumnKind::Key | ColumnKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            ColumnKind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
            ColumnKind::Bytes => (PhysicalType::BYTE_ARRAY, None),
        };
        let mut builder =
            Type::primitive_type_builder(name, physical).with_repetition(repetition).with_logical_type(logical);
        if self == ColumnKind::Number {
            builder =
                builder.with_length(16).with_precision(Decimal::PRECISION.into()).with_scale(Decimal::SCALE.into());
        }
        builder.build().expect("the types of the format are valid")
    }
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableColumn {
    pub(crate) name: String,
    pub(crate) kind: ColumnKind,
    pub(crate) required: bool,
}

impl TableColumn {
    pub(crate) fn required(name: impl Into<String>, kind: ColumnKind) -> TableColumn {
        TableColumn { name: name.into(), kind, required: true }
    }

    pub(crate) fn nullable(name: impl Into<String>, kind: ColumnKind) -> TableColumn {
        TableColumn { name: name.into(), kind, required: false }
    }
}

pub(crate) fn arrow_schema(columns: &[TableColumn]) -> Arc<Schema> {
    let field = |column: &TableColumn| Field::new(&column.name, column.kind.arrow_type(), !column.required);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

pub(crate) fn parquet_schema(columns: &[TableColumn]) -> SchemaDescriptor {
    let fields = columns
        .iter()
        .map(|column| {
            let repetition = if column.required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
            Arc::new(column.kind.parquet_type(&column.name, repetition))
        })
        .collect();
    let root = Type::group_type_builder("ckpt").with_fields(fields).build().expect("a group of columns is valid");
    SchemaDescriptor::new(Arc::new(root))
}

/// Checks that a file has exactly `columns`.
pub(crate) fn check_columns(found: &SchemaDescriptor, columns: &[TableColumn]) -> Result<(), TableError> {
    let expected = parquet_schema(columns);
    let (found, expected) = (found.root_schema(), expected.root_schema());
    if found.get_fields() == expected.get_fields() {
        return Ok(());
    }
    Err(TableError::Columns { expected: describe(expected), found: describe(found) })
}

/// Writes the columns as SQL does, in at most 1,000 characters.
fn describe(schema: &Type) -> String {
    let columns: Vec<String> = schema
        .get_fields()
        .iter()
        .map(|field| {
            let info = field.get_basic_info();
            let required = info.has_repetition() && info.repetition() == Repetition::REQUIRED;
            format!("{} {}{}", field.name(), sql_type(field), if required { " NOT NULL" } else { "" })
        })
        .collect();
    let text = columns.join(", ");
    match text.char_indices().nth(1000) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text,
    }
}

fn sql_type(field: &Type) -> String {
    if field.is_group() {
        return "STRUCT".to_owned();
    }
    let logical = field.get_basic_info().logical_type_ref().cloned();
    match (field.get_physical_type(), logical) {
        (_, Some(LogicalType::Decimal(decimal))) => format!("DECIMAL({},{})", decimal.precision, decimal.scale),
        (_, Some(LogicalType::Integer(integer))) => {
            format!("{}INT{}", if integer.is_signed { "" } else { "U" }, integer.bit_width)
        }
        (_, Some(LogicalType::String)) => "VARCHAR".to_owned(),
        (_, Some(LogicalType::Json)) => "JSON".to_owned(),
        (PhysicalType::BOOLEAN, None) => "BOOLEAN".to_owned(),
        (PhysicalType::INT32, None) => "INT32".to_owned(),
        (PhysicalType::INT64, None) => "INT64".to_owned(),
        (PhysicalType::BYTE_ARRAY, None) => "BLOB".to_owned(),
        (physical, None) => physical.to_string(),
        (physical, Some(logical)) => format!("{physical} {logical:?}"),
    }
}
