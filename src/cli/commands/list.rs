//! `ckpt list`: a line a checkpoint.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::sparkline::sparkline;
use crate::cli::table::{Column, Table};
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::format::manifest::{Manifest, Mode, Trigger};
use crate::ops::list::{Listed, Listing, list};
use crate::ops::stats::{Counted, Sizes, Stats, stats};
use crate::store::records::pins::Pin;
use crate::store::{Lag, Store};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::{Age, Bytes, Count};

/// List the checkpoints of a store, the newest last
///
/// Each line says what caused a checkpoint, how many keys it holds, how large
/// it is, how much of that it does not share with the one before it, and how
/// many records had been applied. Below the table is how the sizes went, from the
/// smallest to the largest, how old the last good checkpoint is, and which
/// replicas are behind. A manifest that can not be read is a line too, and makes
/// the exit code 1; whether the objects are intact is for `ckpt verify` and
/// `ckpt latest --verified` to say.
///
/// With --sizes the table shows how much of each checkpoint is new, how much
/// others need too, and what removing it alone would free; that reads an index a
/// checkpoint, where else only the manifests are read.
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
    pub store: std::ffi::OsString,

    /// Show only the newest N
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,

    /// Show the newest first
    #[arg(long, short)]
    pub reverse: bool,

    /// Show what each shares, and what removing it would free
    #[arg(long)]
    pub sizes: bool,

    /// A replica that the store does not know; may be repeated
    #[arg(long, value_name = "DIR")]
    pub replica: Vec<PathBuf>,
}

/// Prints the checkpoints.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.store)?;
    if target.reference.is_some() {
        return Err(CliError::usage("expected a store, found a checkpoint").hint("`ckpt inspect` shows one checkpoint"));
    }
    let store = target.open_with(&args.replica, ui)?;
    let mut listing = list(&store, args.limit)?;
    let last_good = listing.last_good().map(|(sequence, manifest)| (sequence, manifest.created));
    let growth = growth(&listing);
    let sizes = match args.sizes {
        true => Some(stats(&store, &ui.progress("reading", Unit::Count("checkpoints")))?),
        false => None,
    };
    if args.reverse {
        listing.checkpoints.reverse();
    }
    let now = ui.now().timestamp();
    let pins = store.pins()?;
    let lags = store.lags();
    if ui.is_json() {
        let view = ListView::new(&store, &listing, &pins, sizes.as_ref(), last_good, now);
        ui.json(&view.with_replicas(&lags))?;
    } else {
        show(&listing, &pins, sizes.as_ref(), now, ui)?;
        foot(growth, last_good, &listing, now, ui)?;
        lags.iter().filter_map(words::lag).for_each(|warning| ui.warn(warning));
    }
    Ok(if listing.is_clean() { Exit::Clean } else { Exit::No })
}

fn show(listing: &Listing, pins: &Pins, sizes: Option<&Stats>, now: Timestamp, ui: &mut Ui) -> Result<(), CliError> {
    match sizes {
        None => ui.table(&table(listing, pins, now))?,
        Some(stats) => {
            let sizes = by_sequence(stats);
            let shown = listing.checkpoints.iter().filter_map(|listed| sizes.get(&listed.sequence).copied());
            ui.table(&super::stats::table(shown, now))?;
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
        ui.note(format!("{} not shown", words::counted(listing.older as u64, "older checkpoint")));
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

fn by_sequence(stats: &Stats) -> HashMap<Sequence, &Counted> {
    stats.checkpoints.iter().map(|counted| (counted.sequence, counted)).collect()
}

/// Draws how the sizes went; nothing when there are fewer than two. The checkpoints ascend.
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

/// Prints what is to be said of all checkpoints together: nothing when there is one, and it is good.
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
        let nothing = || "-".to_owned();
        return [number, nothing(), "damaged".to_owned(), nothing(), nothing(), nothing(), nothing(), nothing()];
    };
    [
        number,
        Age::between(manifest.created, now).to_string(),
        words::cause(manifest),
        manifest.mode.name().to_owned(),
        Count(manifest.totals.keys).to_string(),
        Bytes(manifest.totals.bytes).to_string(),
        Bytes(manifest.totals.new_bytes).to_string(),
        Count(manifest.totals.records).to_string(),
    ]
}

/// The most characters of the line of sizes, so that it and its words fit 80 columns.
const GROWTH_CHARS: usize = 40;

#[derive(Debug, Serialize)]
struct ListView<'a> {
    version: u32,
    store: String,
    job: &'a str,
    /// How many older checkpoints the limit left out.
    older: usize,
    /// The newest checkpoint whose manifest is intact.
    last_good: Option<u64>,
    last_good_age_seconds: Option<i64>,
    checkpoints: Vec<CheckpointView>,
    /// Every place of the store, the one that is read first too.
    replicas: Vec<LagView>,
}

/// How far a replica is behind.
#[derive(Debug, Serialize)]
struct LagView {
    store: String,
    newest: Option<u64>,
    /// Checkpoints that it lacks; nothing when the replica can not be used.
    behind: Option<u64>,
    error: Option<String>,
}

/// A checkpoint; only its number and the error when its manifest can not be read.
#[derive(Debug, Serialize)]
struct CheckpointView {
    sequence: u64,
    pinned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    content: Option<ContentView>,
}

#[derive(Debug, Serialize)]
struct ContentView {
    created: Timestamp,
    age_seconds: i64,
    trigger: Trigger,
    mode: Mode,
    ended: bool,
    restored_from: Option<u64>,
    keys: u64,
    changed_keys: u64,
    bytes: u64,
    new_bytes: u64,
    records: u64,
    /// With `--sizes`: bytes that other checkpoints need too.
    #[serde(skip_serializing_if = "Option::is_none")]
    shared_bytes: Option<u64>,
    /// With `--sizes`: bytes that removing only this one would free.
    #[serde(skip_serializing_if = "Option::is_none")]
    reclaimable_bytes: Option<u64>,
}

impl<'a> ListView<'a> {
    fn new(
        store: &'a Store,
        listing: &Listing,
        pins: &Pins,
        stats: Option<&Stats>,
        last_good: Option<(Sequence, Timestamp)>,
        now: Timestamp,
    ) -> ListView<'a> {
        let counted = stats.map(by_sequence).unwrap_or_default();
        let sizes = |sequence| counted.get(&sequence).and_then(|counted| counted.sizes.as_ref().ok());
        let checkpoints = listing.checkpoints.iter().map(|listed| CheckpointView {
            sequence: listed.sequence.0,
            pinned: pins.contains_key(&listed.sequence),
            error: listed.manifest.as_ref().err().map(|error| in_one_line(error)),
            content: listed
                .manifest
                .as_ref()
                .ok()
                .map(|manifest| ContentView::new(manifest, sizes(listed.sequence), now)),
        });
        ListView {
            version: 1,
            store: store.place(),
            job: &store.file.job,
            older: listing.older,
            last_good: last_good.map(|(sequence, _)| sequence.0),
            last_good_age_seconds: last_good.map(|(_, created)| Age::between(created, now).seconds),
            checkpoints: checkpoints.collect(),
            replicas: Vec::new(),
        }
    }

    fn with_replicas(mut self, lags: &[Lag]) -> ListView<'a> {
        self.replicas = lags.iter().map(LagView::new).collect();
        self
    }
}

impl LagView {
    fn new(lag: &Lag) -> LagView {
        LagView {
            store: lag.place.clone(),
            newest: lag.newest.map(|sequence| sequence.0),
            behind: lag.behind,
            error: lag.error.clone(),
        }
    }
}

impl ContentView {
    fn new(manifest: &Manifest, sizes: Option<&Sizes>, now: Timestamp) -> ContentView {
        let totals = manifest.totals;
        ContentView {
            created: manifest.created,
            age_seconds: Age::between(manifest.created, now).seconds,
            trigger: manifest.trigger,
            mode: manifest.mode,
            ended: manifest.ended,
            restored_from: manifest.restored_from.map(|sequence| sequence.0),
            keys: totals.keys,
            changed_keys: totals.changed_keys,
            bytes: totals.bytes,
            new_bytes: totals.new_bytes,
            records: totals.records,
            shared_bytes: sizes.map(|sizes| sizes.shared_bytes),
            reclaimable_bytes: sizes.map(|sizes| sizes.reclaimable_bytes),
        }
    }
}
