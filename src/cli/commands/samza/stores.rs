//! Local stores, and snapshots in blob stores.

use jiff::Timestamp;

use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text::or_dash;
use crate::cli::ui::Ui;
use crate::ops::samza::found::{LocalStore, Snapshot};
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};
use crate::values::units::{Age, Bytes, Count};

/// Prints the directories of local stores with their positions.
pub(super) fn show_local(stores: &[LocalStore], ui: &mut Ui) -> Result<(), CliError> {
    let mut table = Table::new([
        Column::name("STORE"),
        Column::name("TASK"),
        Column::text("CHECKPOINT"),
        Column::text("COPY"),
        Column::name("POSITIONS"),
        Column::text("AGE"),
        Column::name("PLACE").optional(),
    ]);
    for store in stores {
        let id = match store.files.get(&OffsetFileKind::Checkpoint) {
            Some(OffsetFile::Checkpoint(checkpoint)) => checkpoint.id,
            _ => store.snapshot,
        };
        table.row([
            store.store.clone(),
            store.task.clone(),
            or_dash(id),
            if store.snapshot.is_some() { "snapshot" } else { "in use" }.to_owned(),
            positions(store),
            or_dash(store.written.map(|time| Age::between(time, ui.now().timestamp()))),
            store.place.clone(),
        ]);
    }
    ui.table(&table)
}

/// Lists the positions of the newest file that has some.
fn positions(store: &LocalStore) -> String {
    let kinds = [OffsetFileKind::Offset, OffsetFileKind::SideInputs, OffsetFileKind::OldOffset];
    let mut all = kinds.iter().filter_map(|kind| match store.files.get(kind)? {
        OffsetFile::Offsets(offsets) => {
            let one = |(partition, offset)| format!("{partition} {}", or_dash(Option::as_ref(offset)));
            Some(offsets.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        OffsetFile::Bare(offset) => Some(offset.clone()),
        OffsetFile::Checkpoint(_) => None,
    });
    or_dash(all.next())
}

/// Prints the snapshots with their sizes.
pub(super) fn show_snapshots(snapshots: &[Snapshot], ui: &mut Ui) -> Result<(), CliError> {
    let mut table = Table::new([
        Column::name("STORE"),
        Column::name("TASK"),
        Column::text("CHECKPOINT"),
        Column::number("FILES"),
        Column::number("SIZE"),
        Column::text("AGE"),
        Column::name("PLACE").optional(),
    ]);
    for Snapshot { index, place, .. } in snapshots {
        let files = index.files();
        let created = Timestamp::from_millisecond(index.creation_time_millis).ok();
        table.row([
            index.owner.store_name.clone(),
            index.owner.task_name.clone(),
            index.owner.checkpoint_id.to_string(),
            Count(files.len() as u64).to_string(),
            Bytes(files.iter().map(|(_, file)| file.size()).fold(0, u64::saturating_add)).to_string(),
            or_dash(created.map(|time| Age::between(time, ui.now().timestamp()))),
            place.clone(),
        ]);
    }
    ui.table(&table)
}
