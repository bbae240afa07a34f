//! `ckpt stats`: what a store takes, and what removing checkpoints would free.

use std::ffi::OsString;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::table::{Column, Table};
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::{counted, or_dash};
use crate::ops::stats::{Counted, Sizes, Stats, stats};
use crate::store::Store;
use crate::values::error_chain::in_one_line;
use crate::values::units::{Age, Bytes, Percent};

/// Show what a store takes, and what removing checkpoints would free
///
/// SIZE is what a checkpoint holds, NEW what its parent did not have, SHARED
/// what another checkpoint needs too. FREES is the rest: what removing only this
/// one would free. Checkpoints that are removed together free more, because what
/// they share goes with the last of them.
///
/// Reads the manifest and the index of every checkpoint. One that can not be
/// read is a line too, and makes the exit code 1; what it needs is not known
/// then, and FREES may be too much.
///
/// Examples:
///   ckpt stats checkpoints/clicks
///   ckpt stats checkpoints/clicks --limit 0
///   ckpt stats checkpoints/clicks --json | jq .stored_bytes
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: OsString,

    /// Show only the newest N checkpoints; the totals are of all
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,
}

/// Prints the sizes of each checkpoint, then the totals.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.store)?;
    if target.reference.is_some() {
        return Err(CliError::usage("expected a store, found a checkpoint").hint("`ckpt inspect` shows one checkpoint"));
    }
    let store = target.open(ui)?;
    let stats = stats(&store, &ui.progress("reading", Unit::Count("checkpoints")))?;
    let now = ui.now().timestamp();
    let from = stats.checkpoints.len().saturating_sub(args.limit.unwrap_or(usize::MAX));
    if ui.is_json() {
        ui.json(&StatsView::new(&store, &stats, from))?;
    } else {
        let table = table(&stats.checkpoints[from..], now);
        if !table.is_empty() {
            ui.table(&table)?;
            ui.out("")?;
        }
        totals(&stats, ui)?;
    }
    warn(&stats.checkpoints, ui);
    Ok(if stats.is_clean() { Exit::Clean } else { Exit::No })
}

/// Makes the table of the sizes of `checkpoints`.
pub(super) fn table<'a>(checkpoints: impl IntoIterator<Item = &'a Counted>, now: Timestamp) -> Table {
    let mut table = Table::new([
        Column::number("NUMBER"),
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
            sizes.map_or("damaged".to_owned(), |sizes| Age::between(sizes.manifest.created, now).to_string()),
            bytes(|sizes| sizes.manifest.totals.bytes),
            bytes(|sizes| sizes.manifest.totals.new_bytes),
            bytes(|sizes| sizes.shared_bytes),
            bytes(|sizes| sizes.reclaimable_bytes),
        ]);
    }
    table
}

/// Warns about the checkpoints that can not be read.
pub(super) fn warn(checkpoints: &[Counted], ui: &Ui) {
    for counted in checkpoints {
        if let Err(error) = &counted.sizes {
            ui.warn(format!("checkpoint {}: {}", counted.sequence.0, in_one_line(error)));
        }
    }
}

fn totals(stats: &Stats, ui: &mut Ui) -> Result<(), CliError> {
    let all = counted(stats.checkpoints.len() as u64, "checkpoint");
    ui.out(format!("logical  {}  {all}, each by itself", cell(stats.logical_bytes)))?;
    let saved = Percent { part: stats.logical_bytes.saturating_sub(stats.stored_bytes), whole: stats.logical_bytes };
    let objects = counted(stats.objects, "object");
    ui.out(format!("stored   {}  {objects}; sharing saves {saved}", cell(stats.stored_bytes)))?;
    ui.out(format!("older    {}  what removing all but the newest would free", cell(stats.older_bytes())))?;
    match stats.unused {
        Some(unused) => {
            let objects = counted(unused.objects, "object");
            ui.out(format!("unused   {}  {objects} that no checkpoint needs", cell(unused.bytes)))
        }
        None => ui.out(format!("unused   {:>9}  not known while a checkpoint can not be read", "-")),
    }
}

fn cell(bytes: u64) -> String {
    format!("{:>9}", Bytes(bytes))
}

#[derive(Debug, Serialize)]
struct StatsView {
    version: u32,
    store: String,
    job: String,
    logical_bytes: u64,
    objects: u64,
    stored_bytes: u64,
    /// What removing all but the newest would free.
    older_bytes: u64,
    unused_objects: Option<u64>,
    unused_bytes: Option<u64>,
    /// How many older checkpoints the limit left out.
    older: usize,
    checkpoints: Vec<CheckpointView>,
}

/// A checkpoint; only its number and the error when it can not be read.
#[derive(Debug, Serialize)]
struct CheckpointView {
    sequence: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    sizes: Option<SizesView>,
}

/// The sizes of a checkpoint, in bytes.
#[derive(Debug, Serialize)]
struct SizesView {
    created: Timestamp,
    bytes: u64,
    new_bytes: u64,
    shared_bytes: u64,
    reclaimable_bytes: u64,
    /// How much larger it is than the readable checkpoint before it.
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
            checkpoints.push(CheckpointView {
                sequence: counted.sequence.0,
                error: counted.sizes.as_ref().err().map(|error| in_one_line(error)),
                sizes: counted.sizes.as_ref().ok().map(|sizes| SizesView {
                    created: sizes.manifest.created,
                    bytes: sizes.manifest.totals.bytes,
                    new_bytes: sizes.manifest.totals.new_bytes,
                    shared_bytes: sizes.shared_bytes,
                    reclaimable_bytes: sizes.reclaimable_bytes,
                    growth_bytes: growth,
                }),
            });
        }
        StatsView {
            version: 1,
            store: store.place(),
            job: store.file.job.clone(),
            logical_bytes: stats.logical_bytes,
            objects: stats.objects,
            stored_bytes: stats.stored_bytes,
            older_bytes: stats.older_bytes(),
            unused_objects: stats.unused.map(|unused| unused.objects),
            unused_bytes: stats.unused.map(|unused| unused.bytes),
            older: from,
            checkpoints: checkpoints.split_off(from),
        }
    }
}

fn difference(before: u64, after: u64) -> i64 {
    let difference = i128::from(after) - i128::from(before);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX })
}
