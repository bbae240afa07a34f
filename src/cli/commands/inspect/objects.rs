//! `ckpt inspect --objects`: the objects of a checkpoint.

use schemars::JsonSchema;
use serde::Serialize;

use super::head::Head;
use crate::cli::error::CliError;
use crate::cli::json::path_in;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::inspect::{ObjectUse, Role};
use crate::values::units::{Bytes, Count};

/// Prints the objects.
pub(super) fn show(head: Head, objects: &[ObjectUse], ui: &mut Ui) -> Result<(), CliError> {
    if ui.is_json() {
        let objects = objects.iter().map(|object| ObjectView::new(head.store(), object)).collect();
        return ui.json(&ObjectsView { head, objects });
    }
    let mut table = Table::new([
        Column::text("ROLE"),
        Column::number("SHARD"),
        Column::number("ROWS"),
        Column::number("SIZE"),
        Column::text("PARENT"),
        Column::name("OBJECT"),
    ]);
    for object in objects {
        let view = ObjectView::new(head.store(), object);
        table.row([
            view.role.to_owned(),
            text::or_dash(view.shard),
            text::or_dash(view.rows.map(Count)),
            Bytes(view.bytes).to_string(),
            text::or_dash(object.shared.map(|shared| if shared { "shared" } else { "new" })),
            view.object,
        ]);
    }
    ui.table(&table)
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ObjectsView {
    #[serde(flatten)]
    head: Head,
    objects: Vec<ObjectView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ObjectView {
    object: String,
    path: String,
    bytes: u64,
    #[schemars(extend("enum" = ["index", "positions", "job", "messages", "base", "delta"]))]
    role: &'static str,
    shard: Option<u32>,
    level: Option<u32>,
    rows: Option<u64>,
    /// Whether the parent has it too; null if the parent cannot be read.
    shared: Option<bool>,
}

impl ObjectView {
    fn new(store: &str, object: &ObjectUse) -> ObjectView {
        let (role, place, rows) = match object.role {
            Role::Index => ("index", None, None),
            Role::Positions => ("positions", None, None),
            Role::Job => ("job", None, None),
            Role::Messages { rows } => ("messages", None, Some(rows)),
            Role::Segment { shard, level, kind, rows } => (kind.name(), Some((shard, level)), Some(rows)),
        };
        ObjectView {
            object: object.object.object.to_string(),
            path: path_in(store, object.object.object.path().as_str()),
            bytes: object.object.bytes,
            role,
            shard: place.map(|(shard, _)| shard),
            level: place.map(|(_, level)| level),
            rows,
            shared: object.shared,
        }
    }
}
