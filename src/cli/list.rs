//! `ckpt list`: a line a checkpoint.

use std::error::Error as _;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::table::{Column, Table};
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words;
use crate::format::manifest::{Manifest, Mode, Trigger};
use crate::ops::list::{Listed, Listing, list};
use crate::store::{Lag, Store, StoreError};
use crate::units::{Age, Bytes, Count};

/// List the checkpoints of a store, the newest last
///
/// Each line says what caused a checkpoint, how many keys it holds, how large
/// it is, how much of that it does not share with the one before it, and how
/// many records had been applied. A manifest that can not be read is a line
/// too, and makes the exit code 1. Replicas that are behind are named below.
///
/// Examples:
///   ckpt list checkpoints/clicks
///   ckpt list checkpoints/clicks --limit 10 --reverse
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
    if args.reverse {
        listing.checkpoints.reverse();
    }
    let now = ui.now().timestamp();
    let lags = store.lags();
    if ui.is_json() {
        ui.json(&ListView::new(&store, &listing, &lags, now))?;
    } else {
        show(&listing, now, ui)?;
        lags.iter().filter_map(words::lag).for_each(|warning| ui.warn(warning));
    }
    Ok(if listing.is_clean() { Exit::Clean } else { Exit::No })
}

fn show(listing: &Listing, now: Timestamp, ui: &mut Ui) -> Result<(), CliError> {
    let mut table = Table::new([
        Column::number("NUMBER"),
        Column::number("AGE"),
        Column::text("CAUSE"),
        Column::text("MODE"),
        Column::number("KEYS"),
        Column::number("SIZE"),
        Column::number("NEW"),
        Column::number("RECORDS"),
    ]);
    for listed in &listing.checkpoints {
        table.row(cells(listed, now));
    }
    ui.table(&table)?;
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
        words::mode(manifest.mode).to_owned(),
        Count(manifest.totals.keys).to_string(),
        Bytes(manifest.totals.bytes).to_string(),
        Bytes(manifest.totals.new_bytes).to_string(),
        Count(manifest.totals.records).to_string(),
    ]
}

fn in_one_line(error: &StoreError) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

#[derive(Debug, Serialize)]
struct ListView<'a> {
    version: u32,
    store: String,
    job: &'a str,
    /// How many older checkpoints the limit left out.
    older: usize,
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
}

impl<'a> ListView<'a> {
    fn new(store: &'a Store, listing: &Listing, lags: &[Lag], now: Timestamp) -> ListView<'a> {
        let checkpoints = listing.checkpoints.iter().map(|listed| CheckpointView {
            sequence: listed.sequence.0,
            error: listed.manifest.as_ref().err().map(in_one_line),
            content: listed.manifest.as_ref().ok().map(|manifest| ContentView::new(manifest, now)),
        });
        ListView {
            version: 1,
            store: store.place(),
            job: &store.file.job,
            older: listing.older,
            checkpoints: checkpoints.collect(),
            replicas: lags.iter().map(LagView::new).collect(),
        }
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
    fn new(manifest: &Manifest, now: Timestamp) -> ContentView {
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
        }
    }
}
