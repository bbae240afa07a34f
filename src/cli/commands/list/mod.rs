//! `ckpt list`: lists the checkpoints of a store.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use jiff::Timestamp;

use schemars::SchemaGenerator;

use crate::cli::args::{StoreArg, most};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::sparkline::sparkline;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::times::Times;
use crate::cli::ui::Ui;
use crate::ops::list::{Listed, Listing, list};
use crate::ops::stats::{Counted, Stats, stats};
use crate::store::StoreError;
use crate::store::prune::trace;
use crate::store::records::pins::Pin;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count};

mod views;

/// List the checkpoints of a store, newest last
///
/// Each line shows when a checkpoint was made and what caused it, how many keys it
/// has, how large it is, how much of it is new since the previous one, and how
/// many records were applied. A narrow terminal shows only the first of these.
/// Below the table are the size trend, how many pruned checkpoints can be brought
/// back, the age of the last good checkpoint, and replicas that are behind. A
/// checkpoint whose manifest is damaged is listed too, and the exit code is then
/// 1, as it is if the newest checkpoint lacks objects or replicas diverged. The
/// bytes of objects are not checked; `ckpt verify` and `ckpt latest --verified`
/// do that.
///
/// With --sizes, the table shows how much of each checkpoint is new, how much
/// others need too, and what removing only it would free. That reads the index
/// of every checkpoint instead of only the manifests.
///
/// Examples:
///   ckpt list checkpoints/clicks
///   ckpt list checkpoints/clicks --limit 10 --reverse
///   ckpt list checkpoints/clicks --sizes
///   ckpt list checkpoints/clicks --json | jq '.checkpoints[-1].sequence'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Show only the newest N checkpoints; 0 means all
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,

    /// Show the newest first
    #[arg(long, short)]
    pub reverse: bool,

    /// Show what each checkpoint shares, and what removing it would free
    #[arg(long)]
    pub sizes: bool,

    /// Also use a replica that the store does not know; can be repeated
    #[arg(long, value_name = "DIR")]
    pub replica: Vec<PathBuf>,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[SchemaGenerator::subschema_for::<views::ListView>];

/// Prints the list.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let all = args.store.open_all_to_show(&args.replica, ui)?;
    let store = all.branch();
    ui.opened(&store);
    let is_divided = store.replicas().len() < all.replicas().len();
    let mut listing = list(&store, most(args.limit))?;
    let growth = growth(&listing);
    let sizes =
        if args.sizes { Some(stats(&store, &ui.progress("reading", Unit::Count("checkpoints")))?) } else { None };
    if args.reverse {
        listing.checkpoints.reverse();
    }
    let now = ui.now().timestamp();
    let pins = store.pins()?;
    let is_alone = all.replicas().len() == 1 && all.unavailable.is_empty();
    // A single place is not behind another.
    let lags = if is_alone && !ui.is_json() { Vec::new() } else { all.lags() };
    let pruned = trace::pruned(&store).len() as u64;
    if ui.is_json() {
        let view = views::ListView::new(&store, &listing, &pins, sizes.as_ref(), now);
        ui.json(&view.with_replicas(&lags).with_pruned(pruned))?;
    } else {
        show(&listing, &store.place(), &pins, sizes.as_ref(), now, ui)?;
        foot(growth, &listing, pruned, ui)?;
        lags.iter().filter_map(text::lag).for_each(|warning| ui.warn(warning));
    }
    Ok(if listing.is_clean() && !is_divided { Exit::Clean } else { Exit::No })
}

fn show(
    listing: &Listing,
    place: &str,
    pins: &Pins,
    sizes: Option<&Stats>,
    now: Timestamp,
    ui: &mut Ui,
) -> Result<(), CliError> {
    match sizes {
        None => ui.table(&table(listing, pins, now, ui))?,
        Some(stats) => {
            let sizes = stats_by_sequence(stats);
            let shown = listing.checkpoints.iter().filter_map(|listed| sizes.get(&listed.sequence).copied());
            ui.table(&crate::cli::commands::stats::table(&shown.collect::<Vec<_>>(), ui))?;
        }
    }
    for listed in &listing.checkpoints {
        if let Err(error) = &listed.manifest {
            ui.warn(format!("checkpoint {}: {}", listed.sequence.0, in_one_line(error)));
        }
    }
    for (sequence, error) in &listing.incomplete {
        ui.warn(format!("checkpoint {}: {}", sequence.0, in_one_line(error)));
    }
    if listing.checkpoints.is_empty() {
        match listing.lost {
            Some(sequence) => {
                let lost = CliError::from(StoreError::CheckpointsLost { place: place.to_owned(), sequence });
                ui.warn(lost.message);
                lost.hints.into_iter().for_each(|hint| ui.note(format!("hint: {hint}")));
            }
            None => ui.note("no checkpoint yet"),
        }
    } else if listing.older > 0 {
        ui.note(format!("{} not shown", text::counted(listing.older as u64, "older checkpoint")));
    }
    Ok(())
}

fn table(listing: &Listing, pins: &Pins, now: Timestamp, ui: &Ui) -> Table {
    let manifests = || listing.checkpoints.iter().filter_map(|listed| listed.manifest.as_ref().ok());
    let modes: BTreeSet<&str> = manifests().map(|manifest| manifest.mode.name()).collect();
    let has_workers = manifests().any(|manifest| manifest.worker.is_some());
    let is_pinned = |listed: &Listed| pins.contains_key(&listed.sequence);
    let (has_modes, any_pinned) = (modes.len() > 1, listing.checkpoints.iter().any(is_pinned));
    let mut columns =
        vec![Column::number("NUMBER"), Column::text("TIME"), Column::number("AGE"), Column::text("CAUSE")];
    // A job usually has one mode.
    columns.extend(has_modes.then(|| Column::text("MODE").optional()));
    columns.extend([
        Column::number("KEYS"),
        Column::number("SIZE"),
        Column::number("NEW").optional(),
        Column::number("RECORDS").optional(),
    ]);
    columns.extend(has_workers.then(|| Column::name("WORKER").optional()));
    columns.extend(any_pinned.then(|| Column::text("PIN")));
    let mut table = Table::new(columns);
    let times = ui.times(manifests().map(|manifest| manifest.created));
    for listed in &listing.checkpoints {
        let mut cells = cells(listed, &times, now);
        let worker = listed.manifest.as_ref().ok().and_then(|manifest| manifest.worker.as_ref());
        cells.extend(has_workers.then(|| text::or_dash(worker)));
        cells.extend(any_pinned.then(|| if is_pinned(listed) { "pin" } else { "" }.to_owned()));
        if !has_modes {
            cells.remove(MODE);
        }
        table.row(cells);
    }
    table
}

fn stats_by_sequence(stats: &Stats) -> HashMap<Sequence, &Counted> {
    stats.checkpoints.iter().map(|counted| (counted.sequence, counted)).collect()
}

/// Draws the trend of the sizes; `None` for fewer than two. The checkpoints ascend.
fn growth(listing: &Listing) -> Option<String> {
    let sizes: Vec<u64> = listing
        .checkpoints
        .iter()
        .filter_map(|listed| listed.manifest.as_ref().ok())
        .map(|manifest| manifest.totals.bytes)
        .collect();
    let line = sparkline(&sizes, GROWTH_CHARS)?;
    let (least, most) = (sizes.iter().min()?, sizes.iter().max()?);
    Some(format!("{line}  {} to {}", Bytes(*least), Bytes(*most)))
}

/// Prints the lines below the table: none if there is a single checkpoint, it is good, and none was pruned.
fn foot(growth: Option<String>, listing: &Listing, pruned: u64, ui: &mut Ui) -> Result<(), CliError> {
    let now = ui.now().timestamp();
    let newest = listing.checkpoints.iter().map(|listed| listed.sequence).max();
    let is_newest = listing.last_good.map(|(sequence, _)| sequence) == newest;
    if growth.is_none() && is_newest && pruned == 0 {
        return Ok(());
    }
    ui.out("")?;
    if let Some(growth) = growth {
        ui.out(format!("sizes      {growth}"))?;
    }
    if pruned > 0 {
        let pruned = text::counted(pruned, "checkpoint");
        ui.out(format!("pruned     {pruned} that `ckpt prune --undo` can bring back"))?;
    }
    let good = match listing.last_good {
        Some((sequence, created)) => format!("checkpoint {}, {}", sequence.0, Age::between(created, now)),
        None => "none".to_owned(),
    };
    let damaged = if is_newest { "" } else { "; newer ones are damaged" };
    ui.out(format!("last good  {good}{damaged}"))
}

type Pins = BTreeMap<Sequence, Pin>;

/// The place of the mode among [`cells`].
const MODE: usize = 4;

/// Returns the cells of a line, including the mode.
fn cells(listed: &Listed, times: &Times, now: Timestamp) -> Vec<String> {
    let number = listed.sequence.0.to_string();
    let Ok(manifest) = &listed.manifest else {
        let none = || "-".to_owned();
        return vec![number, none(), none(), "damaged".to_owned(), none(), none(), none(), none(), none()];
    };
    vec![
        number,
        times.show(manifest.created),
        Age::between(manifest.created, now).to_string(),
        text::cause(manifest),
        manifest.mode.name().to_owned(),
        Count(manifest.totals.keys).to_string(),
        Bytes(manifest.totals.bytes).to_string(),
        Bytes(manifest.totals.new_bytes).to_string(),
        Count(manifest.totals.records).to_string(),
    ]
}

/// The most characters in the trend of sizes, so that the line fits into 80 columns.
const GROWTH_CHARS: usize = 40;
