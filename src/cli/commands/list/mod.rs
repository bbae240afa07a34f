//! `ckpt list`: lists the checkpoints of a store.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use jiff::Timestamp;

use crate::cli::args::StoreArg;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::sparkline::sparkline;
use crate::cli::table::{Column, Table};
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::list::{Listed, Listing, list};
use crate::ops::stats::{Counted, Stats, stats};
use crate::store::records::pins::Pin;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count};

mod views;

/// List the checkpoints of a store, newest last
///
/// Each line shows what caused a checkpoint, how many keys it has, how large it
/// is, how much of it is new since the previous one, and how many records were
/// applied. Below the table are the size trend, the age of the last good
/// checkpoint, and replicas that are behind. A checkpoint whose manifest is
/// damaged is listed too, and the exit code is then 1. Objects are not checked;
/// `ckpt verify` and `ckpt latest --verified` do that.
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

    /// Show only the newest N checkpoints
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

/// Prints the list.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let all = args.store.open_with(&args.replica, ui)?;
    let store = all.branch();
    ui.opened(&store);
    let mut listing = list(&store, args.limit)?;
    let last_good = listing.last_good().map(|(sequence, manifest)| (sequence, manifest.created));
    let growth = growth(&listing);
    let sizes =
        if args.sizes { Some(stats(&store, &ui.progress("reading", Unit::Count("checkpoints")))?) } else { None };
    if args.reverse {
        listing.checkpoints.reverse();
    }
    let now = ui.now().timestamp();
    let pins = store.pins()?;
    let lags = all.lags();
    if ui.is_json() {
        let view = views::ListView::new(&store, &listing, &pins, sizes.as_ref(), last_good, now);
        ui.json(&view.with_replicas(&lags))?;
    } else {
        show(&listing, &pins, sizes.as_ref(), now, ui)?;
        foot(growth, last_good, &listing, now, ui)?;
        lags.iter().filter_map(text::lag).for_each(|warning| ui.warn(warning));
    }
    Ok(if listing.is_clean() { Exit::Clean } else { Exit::No })
}

fn show(listing: &Listing, pins: &Pins, sizes: Option<&Stats>, now: Timestamp, ui: &mut Ui) -> Result<(), CliError> {
    match sizes {
        None => ui.table(&table(listing, pins, now))?,
        Some(stats) => {
            let sizes = stats_by_sequence(stats);
            let shown = listing.checkpoints.iter().filter_map(|listed| sizes.get(&listed.sequence).copied());
            ui.table(&crate::cli::commands::stats::table(shown, now))?;
        }
    }
    for listed in &listing.checkpoints {
        if let Err(error) = &listed.manifest {
            ui.warn(format!("checkpoint {}: {}", listed.sequence.0, in_one_line(error)));
        }
    }
    if listing.checkpoints.is_empty() {
        ui.note("no checkpoint yet");
    } else if listing.older > 0 {
        ui.note(format!("{} not shown", text::counted(listing.older as u64, "older checkpoint")));
    }
    Ok(())
}

fn table(listing: &Listing, pins: &Pins, now: Timestamp) -> Table {
    let mut columns = vec![
        Column::number("NUMBER"),
        Column::number("AGE"),
        Column::text("CAUSE"),
        Column::text("MODE"),
        Column::number("KEYS"),
        Column::number("SIZE"),
        Column::number("NEW"),
        Column::number("RECORDS"),
    ];
    let is_pinned = |listed: &Listed| pins.contains_key(&listed.sequence);
    let any_pinned = listing.checkpoints.iter().any(is_pinned);
    columns.extend(any_pinned.then(|| Column::text("PIN")));
    let mut table = Table::new(columns);
    for listed in &listing.checkpoints {
        let pin = if is_pinned(listed) { "pin" } else { "" };
        table.row(cells(listed, now).into_iter().chain(any_pinned.then(|| pin.to_owned())));
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

/// Prints the lines below the table: none if there is a single checkpoint and it is good.
fn foot(
    growth: Option<String>,
    last_good: Option<(Sequence, Timestamp)>,
    listing: &Listing,
    now: Timestamp,
    ui: &mut Ui,
) -> Result<(), CliError> {
    let newest = listing.checkpoints.iter().map(|listed| listed.sequence).max();
    let is_newest = last_good.map(|(sequence, _)| sequence) == newest;
    if growth.is_none() && is_newest {
        return Ok(());
    }
    ui.out("")?;
    if let Some(growth) = growth {
        ui.out(format!("sizes      {growth}"))?;
    }
    let good = match last_good {
        Some((sequence, created)) => format!("checkpoint {}, {}", sequence.0, Age::between(created, now)),
        None => "none".to_owned(),
    };
    let damaged = if is_newest { "" } else { "; newer ones are damaged" };
    ui.out(format!("last good  {good}{damaged}"))
}

type Pins = BTreeMap<Sequence, Pin>;

fn cells(listed: &Listed, now: Timestamp) -> [String; 8] {
    let number = listed.sequence.0.to_string();
    let Ok(manifest) = &listed.manifest else {
        let none = || "-".to_owned();
        return [number, none(), "damaged".to_owned(), none(), none(), none(), none(), none()];
    };
    [
        number,
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
