//! The shape of a job's output: its columns, its rows and their order, and how they are encoded.

mod aggregate_rows;
mod encoder;
mod having;
mod row_shape;
mod state_rows;
pub mod task_key;

pub use aggregate_rows::AggregateRows;
pub use encoder::{Encoder, TextFormat};
pub use having::Having;
pub use row_shape::{CHANGE_COLUMN, HavingError, RowOutput, RowShape};
pub use state_rows::StateRows;
