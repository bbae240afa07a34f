//! `ckpt stats`: shows how much space a store uses, and what removing checkpoints would free.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;

use crate::cli::args::{StoreArg, most};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::exposition::{self, Known};
use crate::cli::json::{JobHead, SharingView};
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::table::{Column, Table};
use crate::cli::text::{counted, or_dash};
use crate::cli::ui::Ui;
use crate::ops::stats::{Counted, Sizes, Stats, stats};
use crate::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::units::{Age, Bytes, Percent};

/// Show how much space a store uses, and what removing checkpoints would free
///
/// SIZE is everything that a checkpoint needs, NEW the part that its parent did
/// not have, and SHARED the part that other checkpoints need too. FREES is the
/// rest: what removing only this checkpoint would free. Removing several at once
/// frees more, because it also frees what only they share.
///
/// Reads the manifest and the index of every checkpoint. A checkpoint that cannot
/// be read is listed too, and the exit code is then 1. What it needs is unknown,
/// so FREES may be too high for the others.
///
/// Examples:
///   ckpt stats checkpoints/clicks
///   ckpt stats checkpoints/clicks --totals
///   ckpt stats checkpoints/clicks --json | jq .stored_bytes
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Show only the newest N checkpoints; 0 means all, and totals always cover all
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,

    /// Show only the totals
    #[arg(long, conflicts_with = "limit")]
    pub totals: bool,

    /// Write the totals as metrics to this file, for the textfile collector of Prometheus's node exporter
    #[arg(long, value_name = "FILE")]
    pub metrics_file: Option<PathBuf>,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<StatsView>];

/// Prints the sizes of each checkpoint, then the totals.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let store = args.store.open_to_show(ui)?;
    let stats = stats(&store, &ui.progress("reading", Unit::Count("checkpoints")))?;
    if let Some(path) = &args.metrics_file {
        write_metrics(&store, &stats, path)?;
    }
    let from =
        stats.checkpoints.len().saturating_sub(if args.totals { 0 } else { most(args.limit).unwrap_or(usize::MAX) });
    if ui.is_json() {
        ui.json(&StatsView::new(&store, &stats, from))?;
    } else {
        let table = table(&stats.checkpoints[from..].iter().collect::<Vec<_>>(), ui);
        if !table.is_empty() {
            ui.table(&table)?;
            ui.out("")?;
        }
        totals(&stats, ui)?;
    }
    warn(&stats.checkpoints, ui);
    Ok(if stats.is_clean() { Exit::Clean } else { Exit::No })
}

/// Writes the totals for Prometheus.
fn write_metrics(store: &Store, stats: &Stats, path: &Path) -> Result<(), CliError> {
    let mut registry = Registry::with_prefix_and_labels(
        "ckpt_store",
        [("job_name".into(), store.file.job.clone().into()), ("store".into(), store.place().into())].into_iter(),
    );
    let mut gauge = |name: &str, help: &str, value: Option<u64>| {
        let gauge = Known::default();
        gauge.set(value);
        gauge.register(&mut registry, name, help);
    };
    gauge("checkpoints", "Checkpoints in the store", Some(stats.checkpoints.len() as u64));
    gauge("bytes", "Objects that checkpoints need", Some(stats.stored_bytes));
    gauge("unused_bytes", "Objects that no checkpoint needs", stats.unused.map(|unused| unused.bytes));
    exposition::write_file(&registry, path)
}

/// Returns the table of the sizes of `checkpoints`.
pub(super) fn table(checkpoints: &[&Counted], ui: &Ui) -> Table {
    let created = checkpoints.iter().filter_map(|counted| Some(counted.sizes.as_ref().ok()?.manifest.created));
    let (times, now) = (ui.times(created), ui.now().timestamp());
    let mut table = Table::new([
        Column::number("NUMBER"),
        Column::text("TIME"),
        Column::number("AGE"),
        Column::number("SIZE"),
        Column::number("NEW"),
        Column::number("SHARED"),
        Column::number("FREES"),
    ]);
    for counted in checkpoints {
        let number = counted.sequence.0.to_string();
        let sizes = counted.sizes.as_ref().ok();
        let bytes = |of: fn(&Sizes) -> u64| or_dash(sizes.map(|sizes| Bytes(of(sizes))));
        table.row([
            number,
            or_dash(sizes.map(|sizes| times.show(sizes.manifest.created))),
            sizes.map_or("damaged".to_owned(), |sizes| Age::between(sizes.manifest.created, now).to_string()),
            bytes(|sizes| sizes.manifest.totals.bytes),
            bytes(|sizes| sizes.manifest.totals.new_bytes),
            bytes(|sizes| sizes.shared_bytes),
            bytes(|sizes| sizes.reclaimable_bytes),
        ]);
    }
    table
}

/// Warns about checkpoints that cannot be read.
pub(super) fn warn(checkpoints: &[Counted], ui: &Ui) {
    for counted in checkpoints {
        if let Err(error) = &counted.sizes {
            ui.warn(format!("checkpoint {}: {}", counted.sequence.0, in_one_line(error)));
        }
    }
}

fn totals(stats: &Stats, ui: &mut Ui) -> Result<(), CliError> {
    let all = counted(stats.checkpoints.len() as u64, "checkpoint");
    ui.out(format!("logical  {}  {all}, without sharing", cell(stats.logical_bytes)))?;
    let saved = Percent { part: stats.logical_bytes.saturating_sub(stats.stored_bytes), whole: stats.logical_bytes };
    let objects = counted(stats.objects, "object");
    ui.out(format!("stored   {}  {objects}; sharing saves {saved}", cell(stats.stored_bytes)))?;
    ui.out(format!("older    {}  freed by removing all but the newest", cell(stats.older_bytes())))?;
    match stats.unused {
        Some(unused) => {
            let objects = counted(unused.objects, "object");
            ui.out(format!("unused   {}  {objects} that no checkpoint needs", cell(unused.bytes)))?;
        }
        None => ui.out(format!("unused   {:>9}  unknown, because a checkpoint cannot be read", "-"))?,
    }
    if stats.pruned.checkpoints > 0 {
        let bytes = stats.pruned.bytes.map_or_else(|| format!("{:>9}", "-"), cell);
        let pruned = counted(stats.pruned.checkpoints, "pruned checkpoint");
        ui.out(format!("pruned   {bytes}  of it for {pruned}, which `ckpt prune --undo` brings back"))?;
    }
    Ok(())
}

fn cell(bytes: u64) -> String {
    format!("{:>9}", Bytes(bytes))
}

#[derive(Debug, Serialize, JsonSchema)]
struct StatsView {
    #[serde(flatten)]
    head: JobHead,
    logical_bytes: u64,
    objects: u64,
    stored_bytes: u64,
    older_bytes: u64,
    unused_objects: Option<u64>,
    unused_bytes: Option<u64>,
    pruned_checkpoints: u64,
    /// Null if a pruned checkpoint cannot be read.
    pruned_bytes: Option<u64>,
    /// Older checkpoints that the limit left out.
    older: usize,
    checkpoints: Vec<SizedView>,
}

/// A checkpoint: its number, and its sizes or the error that prevented reading them.
#[derive(Debug, Serialize, JsonSchema)]
struct SizedView {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    sizes: Option<SizesView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct SizesView {
    created: Timestamp,
    bytes: u64,
    new_bytes: u64,
    #[serde(flatten)]
    sharing: SharingView,
    /// The difference to the previous readable checkpoint.
    growth_bytes: Option<i64>,
}

impl StatsView {
    fn new(store: &Store, stats: &Stats, from: usize) -> StatsView {
        let mut before = None;
        let mut checkpoints = Vec::new();
        for counted in &stats.checkpoints {
            let bytes = counted.sizes.as_ref().ok().map(|sizes| sizes.manifest.totals.bytes);
            let growth = before.zip(bytes).map(|(before, bytes)| difference(before, bytes));
            before = bytes.or(before);
            checkpoints.push(SizedView {
                sequence: counted.sequence.0,
                error: counted.sizes.as_ref().err().map(|error| in_one_line(error)),
                sizes: counted.sizes.as_ref().ok().map(|sizes| SizesView {
                    created: sizes.manifest.created,
                    bytes: sizes.manifest.totals.bytes,
                    new_bytes: sizes.manifest.totals.new_bytes,
                    sharing: sizes.into(),
                    growth_bytes: growth,
                }),
            });
        }
        StatsView {
            head: JobHead::new(store),
            logical_bytes: stats.logical_bytes,
            objects: stats.objects,
            stored_bytes: stats.stored_bytes,
            older_bytes: stats.older_bytes(),
            unused_objects: stats.unused.map(|unused| unused.objects),
            unused_bytes: stats.unused.map(|unused| unused.bytes),
            pruned_checkpoints: stats.pruned.checkpoints,
            pruned_bytes: stats.pruned.bytes,
            older: from,
            checkpoints: checkpoints.split_off(from),
        }
    }
}

fn difference(before: u64, after: u64) -> i64 {
    let difference = i128::from(after) - i128::from(before);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
