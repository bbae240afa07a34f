//! All of `ckpt`, with an extra processor that jobs name as `process: {native: sessions}`.
//!
//!     cargo run --example runner -- run examples/sessions.yaml
//!     cargo run --example runner -- inspect examples/checkpoints/sessions --state
//!
//! It cuts the clicks of each user into sessions, which end after half an hour without a click. It keeps the number of
//! sessions, and the number of clicks in the longest one.

use std::process::ExitCode;
use std::sync::Arc;

use ckpt::input::record::{BadRecord, Field};
use ckpt::job::{FieldPath, JobSpec};
use ckpt::runner::process::processor::{Context, ProcessError, Processor, Processors};
use ckpt::runner::state::row_mut::RowMut;
use ckpt::values::value::{Column, ColumnType, Value};

/// A session ends after this much time without a click.
const GAP_MILLIS: i64 = 30 * 60 * 1000;

// The columns of the state, in order.
const SESSIONS: usize = 0;
const CLICKS: usize = 1;
const LONGEST: usize = 2;
const LAST_MILLIS: usize = 3;

#[derive(Debug)]
struct Sessions {
    fields: Vec<FieldPath>,
    columns: Vec<Column>,
}

impl Sessions {
    fn make(_: &JobSpec) -> Result<Arc<dyn Processor>, String> {
        let columns = ["sessions", "clicks", "longest", "last_millis"];
        let columns = columns.map(|name| Column::new(name, ColumnType::Int)).to_vec();
        Ok(Arc::new(Sessions { fields: vec![FieldPath::of("ts")], columns }))
    }
}

impl Processor for Sessions {
    fn fields(&self) -> &[FieldPath] {
        &self.fields
    }

    fn columns(&self) -> &[Column] {
        &self.columns
    }

    fn output_columns(&self) -> Vec<Column> {
        ["sessions", "longest"].map(|name| Column::new(name, ColumnType::Int)).to_vec()
    }

    fn output(&self, row: &[Value]) -> Vec<Value> {
        vec![row[SESSIONS].clone(), row[LONGEST].clone()]
    }

    fn pack(&self, fields: &[Field<'_>], packed: &mut Vec<u8>) -> Result<(), BadRecord> {
        let millis = match &fields[0] {
            Field::Number(text) => text.parse::<i64>().ok(),
            _ => None,
        };
        let millis =
            millis.ok_or_else(|| BadRecord { reason: "field `ts` is not a time in milliseconds".to_owned() })?;
        packed.extend_from_slice(&millis.to_le_bytes());
        Ok(())
    }

    fn apply(&self, arguments: &[u8], row: &mut RowMut<'_>, context: &mut Context<'_>) -> Result<(), ProcessError> {
        let too_short =
            || ProcessError { reason: format!("a record of `{}` was packed by something else", context.key()) };
        let millis = i64::from_le_bytes(arguments.try_into().map_err(|_| too_short())?);
        if row.int(SESSIONS) == 0 || millis - row.int(LAST_MILLIS) > GAP_MILLIS {
            row.set_int(SESSIONS, row.int(SESSIONS) + 1);
            row.set_int(CLICKS, 0);
        }
        row.set_int(CLICKS, row.int(CLICKS) + 1);
        row.set_int(LONGEST, row.int(LONGEST).max(row.int(CLICKS)));
        row.set_int(LAST_MILLIS, millis);
        Ok(())
    }
}

fn main() -> ExitCode {
    ckpt::cli::main_with(&Processors::default().with("sessions", Sessions::make))
}
