//! The keys and values of stores, from their RocksDB directories.

use std::path::Path;

use schemars::JsonSchema;
use serde::Serialize;

use super::changelogs::explain_state;
use super::rows::RowView;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::table::{Column, Table};
use crate::cli::text::or_dash;
use crate::cli::ui::Ui;
use crate::ops::samza::directory::{DirectoryError, SnapshotError, read};
use crate::ops::samza::found::{Found, LocalStore};
use crate::ops::samza::state::{Serdes, StateRow};
use crate::samza::offset_file::{OffsetFile, OffsetFileKind};

/// What is shown of a directory.
struct Shown<'a> {
    store: &'a LocalStore,
    keys: u64,
    rows: Vec<StateRow>,
    expires: bool,
    unused: Vec<String>,
}

/// Prints at most `limit` rows of each directory, or only of those of the store `name`. The rows of one directory are in
/// memory at a time, and what is shown.
pub(super) fn show(
    found: &Found,
    name: Option<&str>,
    serdes: Serdes,
    limit: Option<usize>,
    ui: &mut Ui,
) -> Result<Exit, CliError> {
    let is_chosen = |store: &&LocalStore| store.has_database && name.is_none_or(|name| store.store == name);
    let mut shown = Vec::new();
    for store in found.stores.iter().filter(is_chosen) {
        let contents = read(Path::new(&store.place)).map_err(explain_directory)?;
        // All are decoded, so that one that cannot be read is found whatever the limit is.
        let mut rows = Vec::new();
        for (key, value) in &contents.rows {
            let row = serdes.read(&store.task, &store.store, key, value).map_err(explain_state)?;
            if limit.is_none_or(|limit| rows.len() < limit) {
                rows.push(row);
            }
        }
        let keys = contents.rows.len() as u64;
        shown.push(Shown { store, keys, rows, expires: contents.expires, unused: contents.unused });
    }
    if shown.is_empty() {
        let of = name.map_or_else(String::new, |name| format!(" of a store `{name}`"));
        return Err(CliError::not_found(format!("found no RocksDB directory{of}")).hint(
            "the PATH is a directory with the file `CURRENT`, or one above it, such as `job.logged.store.base.dir`",
        ));
    }
    for of in shown.iter().filter(|of| !of.unused.is_empty()) {
        ui.warn(format!(
            "`{}`: rows may be missing, because the manifest does not name all tables, such as `{}`",
            of.store.place, of.unused[0]
        ));
    }
    if ui.is_json() {
        ui.json(&View::new(&shown, serdes))?;
    } else {
        ui.table(&table(&shown))?;
        if shown.iter().any(|of| of.store.snapshot.is_none()) {
            ui.note("files in use may be ahead of the checkpoint that they name");
        }
        if shown.iter().any(|of| (of.rows.len() as u64) < of.keys) {
            ui.note("there are more rows: `--limit 0` shows all");
        }
    }
    Ok(if shown.iter().all(|of| of.unused.is_empty()) { Exit::Clean } else { Exit::Incomplete })
}

/// Adds the exit code and hints to an error.
pub(super) fn explain_directory(error: DirectoryError) -> CliError {
    match error {
        DirectoryError::Unavailable => CliError::of(Exit::Usage, &error).hint(
            "build one with `cargo build --release --features rocksdb`, or leave out `--rocksdb` to read changelogs",
        ),
        DirectoryError::Io { path, source } => CliError::io("read", &path, &source),
        DirectoryError::Missing { .. }
        | DirectoryError::Damaged { .. }
        | DirectoryError::Rows { .. }
        | DirectoryError::NoTime { .. } => CliError::of(Exit::Failed, &error)
            .hint("if the job is running, read a snapshot or try again; otherwise read the changelog of the store"),
        DirectoryError::Families { .. } => CliError::of(Exit::Failed, &error),
    }
}

/// Does the same where a directory is not known to be the state at a checkpoint.
pub(super) fn explain_snapshot(error: SnapshotError) -> CliError {
    let explained = CliError::of(Exit::Failed, &error);
    match error {
        SnapshotError::Several { .. } => explained.hint("`--store` names the one to import"),
        SnapshotError::Expires { .. } => explained.hint("nothing was imported"),
        _ => explained.hint("nothing was imported; leave out `--rocksdb` to import the state from the changelog"),
    }
}

fn table(shown: &[Shown<'_>]) -> Table {
    let mut table = Table::new([
        Column::name("TASK"),
        Column::name("STORE"),
        Column::text("CHECKPOINT"),
        Column::text("COPY"),
        Column::name("KEY"),
        Column::long("VALUE"),
    ]);
    for of in shown {
        let copy = if of.store.snapshot.is_some() { "snapshot" } else { "in use" };
        for row in &of.rows {
            let checkpoint = or_dash(checkpoint(of.store));
            let (task, store) = (of.store.task.clone(), of.store.store.clone());
            table.row([task, store, checkpoint, copy.to_owned(), row.key.to_string(), row.value.to_string()]);
        }
    }
    table
}

/// Returns the checkpoint that the CHECKPOINT-V2 in the directory names.
fn checkpoint(store: &LocalStore) -> Option<String> {
    match store.files.get(&OffsetFileKind::Checkpoint) {
        Some(OffsetFile::Checkpoint(checkpoint)) => checkpoint.id.map(|id| id.to_string()),
        _ => None,
    }
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DirectoriesView")]
pub(super) struct View<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    key_serde: &'static str,
    value_serde: &'static str,
    directories: Vec<DirectoryView<'a>>,
}

/// What is in the RocksDB directory of a store of a task.
#[derive(Debug, Serialize, JsonSchema)]
struct DirectoryView<'a> {
    path: &'a str,
    task: &'a str,
    store: &'a str,
    /// The checkpoint in the name of the directory; null for the files in use.
    snapshot: Option<String>,
    /// The checkpoint that its file CHECKPOINT-V2 names.
    checkpoint: Option<String>,
    /// Whether Samza expires rows.
    expires: bool,
    keys: u64,
    /// Tables that the manifest does not name.
    unused_tables: &'a [String],
    /// Whether the limit left rows out.
    cut: bool,
    rows: Vec<RowView>,
}

impl<'a> View<'a> {
    fn new(shown: &'a [Shown<'a>], serdes: Serdes) -> View<'a> {
        let view = |of: &'a Shown<'a>| DirectoryView {
            path: &of.store.place,
            task: &of.store.task,
            store: &of.store.store,
            snapshot: of.store.snapshot.map(|id| id.to_string()),
            checkpoint: checkpoint(of.store),
            expires: of.expires,
            keys: of.keys,
            unused_tables: &of.unused,
            cut: (of.rows.len() as u64) < of.keys,
            rows: of.rows.iter().map(RowView::from).collect(),
        };
        View {
            version: VERSION,
            key_serde: serdes.key.name(),
            value_serde: serdes.value.name(),
            directories: shown.iter().map(view).collect(),
        }
    }
}
