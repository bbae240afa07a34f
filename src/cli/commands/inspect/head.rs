//! What the views of `ckpt inspect` share.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::json::JobHead;
use crate::cli::ui::Ui;
use crate::format::manifest::Manifest;
use crate::store::Store;
use crate::values::id::Sequence;
use crate::values::value::ColumnType;

/// The start of every document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Head {
    #[serde(flatten)]
    head: JobHead,
    sequence: u64,
}

impl Head {
    /// Makes the head for checkpoint `sequence` of `store`.
    pub(super) fn new(store: &Store, sequence: Sequence) -> Head {
        Head { head: JobHead::new(store), sequence: sequence.0 }
    }

    /// Returns the path of the store.
    pub(super) fn store(&self) -> &str {
        self.head.store()
    }
}

/// A column of the state.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ColumnView<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    column_type: ColumnType,
}

/// Returns the columns of a checkpoint.
pub(super) fn column_views(manifest: &Manifest) -> Vec<ColumnView<'_>> {
    let columns = manifest.columns.iter();
    columns.map(|column| ColumnView { name: &column.name, column_type: column.column_type }).collect()
}

/// Converts a time in milliseconds, which a damaged table may put out of range.
pub(super) fn moment(millis: Option<i64>) -> Option<Timestamp> {
    Timestamp::from_millisecond(millis?).ok()
}

/// Says that the limit left out some rows.
pub(super) fn note_cut(cut: bool, what: &str, ui: &Ui) {
    if cut {
        ui.note(format!("there are more {what}: `--limit 0` shows all"));
    }
}
