//! `having`: which rows are output.

use crate::input::record::{Field, Filter};
use crate::values::value::{Column, Value};

/// A condition on the rows of the output.
#[derive(Debug, Clone)]
pub struct Having {
    filter: Filter,
    /// Where its columns are among those of the output.
    columns: Vec<usize>,
}

impl Having {
    /// Compiles `expression`, which was checked, over rows with `columns`.
    pub fn new(expression: &str, columns: &[Column]) -> Having {
        let names: Vec<String> = columns.iter().map(|column| column.name.clone()).collect();
        let filter = Filter::on_columns(expression, &names).expect("the job file was checked");
        let place = |name: &str| columns.iter().position(|column| column.name == name).expect("only columns are known");
        let columns = filter.fields().iter().map(|field| place(&field.names.join("."))).collect();
        Having { filter, columns }
    }

    /// Returns whether a row with these values is output. A row for which a missing value keeps the expression from
    /// being computed is not. The error says what else does.
    pub fn keeps(&self, values: &[Value]) -> Result<bool, String> {
        let texts: Vec<String> = self.columns.iter().map(|column| text_of(&values[*column])).collect();
        let values = self.columns.iter().map(|column| &values[*column]);
        let fields: Vec<Field<'_>> = values.zip(&texts).map(|(value, text)| field_of(value, text)).collect();
        match self.filter.is_true(&fields, "`having`") {
            Ok(keeps) => Ok(keeps),
            Err(_) if fields.iter().any(|field| matches!(field, Field::Missing)) => Ok(false),
            Err(bad) => Err(bad.reason),
        }
    }
}

/// Returns the text of a number, which its field borrows.
fn text_of(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

fn field_of<'f>(value: &'f Value, text: &'f str) -> Field<'f> {
    match value {
        Value::Null | Value::Sketch(_) => Field::Missing,
        Value::Int(_) | Value::Number(_) => Field::Number(text),
        Value::Text(text) => Field::Text(text.as_str().into()),
        Value::Bool(truth) => Field::Bool(*truth),
        Value::Json(text) => Field::Json(text),
    }
}
