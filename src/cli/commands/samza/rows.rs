//! `ckpt samza inspect --state`: the keys and values of stores.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::changelogs::explain_state;
use super::views::OffsetView;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::VERSION;
use crate::cli::table::{Column, Table};
use crate::cli::text::counted;
use crate::cli::ui::Ui;
use crate::ops::samza::state::{Changelogs, Serdes, StateRow, TaskStore, read};
use crate::samza::checkpoint::Offset;

/// What is shown of a store.
struct Shown<'a> {
    store: &'a TaskStore,
    last: Offset,
    keys: u64,
    rows: Vec<StateRow>,
    /// The keys whose values at the checkpoint are not known.
    doubtful: Vec<String>,
}

/// Prints at most `limit` rows of each store. The contents of one store of one task are in memory at a time, and what is
/// shown.
pub(super) fn show(
    stores: &[TaskStore],
    changelogs: &Changelogs,
    serdes: Serdes,
    limit: Option<usize>,
    ui: &mut Ui,
) -> Result<Exit, CliError> {
    let mut shown = Vec::new();
    for store in stores {
        let contents = read(store, changelogs).map_err(explain_state)?;
        let keys = contents.rows.len() as u64;
        // All are read, so that one that cannot be read is found whatever the limit is.
        let mut rows = Vec::new();
        for (key, value) in &contents.rows {
            let row = serdes.read(&store.task, &store.store, key, value).map_err(explain_state)?;
            if limit.is_none_or(|limit| rows.len() < limit) {
                rows.push(row);
            }
        }
        let doubtful = contents.doubtful.iter().map(|key| serdes.show_key(key)).collect();
        shown.push(Shown { store, last: store.last.map(|last| last.to_string()), keys, rows, doubtful });
    }
    for of in shown.iter().filter(|of| !of.doubtful.is_empty()) {
        let (task, store, keys) = (&of.store.task, &of.store.store, counted(of.doubtful.len() as u64, "key"));
        ui.warn(format!(
            "task `{task}`: {keys} of store `{store}` may be missing, such as `{}`: newer messages came after the \
             checkpoint, and the changelog has been compacted",
            of.doubtful[0]
        ));
    }
    if ui.is_json() {
        ui.json(&RowsView::new(&shown, serdes))?;
    } else {
        ui.table(&table(&shown))?;
        if shown.iter().any(|of| (of.rows.len() as u64) < of.keys) {
            ui.note("there are more rows: `--limit 0` shows all");
        }
    }
    Ok(if shown.iter().all(|of| of.doubtful.is_empty()) { Exit::Clean } else { Exit::Incomplete })
}

fn table(shown: &[Shown<'_>]) -> Table {
    let mut table =
        Table::new([Column::name("TASK"), Column::name("STORE"), Column::name("KEY"), Column::long("VALUE")]);
    for of in shown {
        for row in &of.rows {
            table.row([of.store.task.clone(), of.store.store.clone(), row.key.to_string(), row.value.to_string()]);
        }
    }
    table
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RowsView<'a> {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    key_serde: &'static str,
    value_serde: &'static str,
    contents: Vec<ContentsView<'a>>,
}

/// The contents of a store of a task.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StoreContentsView")]
struct ContentsView<'a> {
    job: Option<&'a str>,
    task: &'a str,
    store: &'a str,
    checkpoint: Option<String>,
    changelog: OffsetView<'a>,
    keys: u64,
    doubtful_keys: &'a [String],
    /// Whether the limit left rows out.
    cut: bool,
    rows: Vec<RowView>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RowView {
    key: Box<RawValue>,
    value: Box<RawValue>,
}

impl From<&StateRow> for RowView {
    fn from(row: &StateRow) -> RowView {
        RowView { key: row.key.to_json(), value: row.value.to_json() }
    }
}

impl<'a> RowsView<'a> {
    fn new(shown: &'a [Shown<'a>], serdes: Serdes) -> RowsView<'a> {
        let view = |of: &'a Shown<'a>| ContentsView {
            job: of.store.job.as_deref(),
            task: &of.store.task,
            store: &of.store.store,
            checkpoint: of.store.checkpoint.map(|id| id.to_string()),
            changelog: OffsetView::new(&of.store.changelog, &of.last),
            keys: of.keys,
            doubtful_keys: &of.doubtful,
            cut: (of.rows.len() as u64) < of.keys,
            rows: of.rows.iter().map(RowView::from).collect(),
        };
        RowsView {
            version: VERSION,
            key_serde: serdes.key.name(),
            value_serde: serdes.value.name(),
            contents: shown.iter().map(view).collect(),
        }
    }
}
