//! `ckpt log`: shows what happened to a store.

use jiff::{Timestamp, Zoned};

use schemars::SchemaGenerator;

use crate::cli::args::{StoreArg, most};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::log::{Selection, log};
use crate::values::units;
use crate::values::units::Count;

mod follow;
pub(super) mod rows;
mod views;

use rows::table;
use views::{EntryLine, LogView};

/// Show what happened to a job and its store, newest last
///
/// Prints a line for each run that started, with what it resumed from, and one
/// for its end: the input was read to its end, it was stopped, or it failed, with
/// the reason. In between is one line per attempt to make a checkpoint: when it
/// was made, what caused it, how long it took, how many bytes were new, and the
/// outcome, which is a committed checkpoint, no checkpoint because nothing had
/// changed, or an error. Restores, prunes and repairs are listed, too.
///
/// Successive attempts and successive runs that found nothing new share a line.
/// A time that is shown can be given back to --since, or as STORE@TIME. A run
/// that was killed has no end; nor has one that could not write to its store any
/// more.
///
/// The job may be running. In a very long log, the oldest attempts are dropped; a
/// note says how many.
///
/// Examples:
///   ckpt log checkpoints/clicks
///   ckpt log checkpoints/clicks --failed --since 7d
///   ckpt log checkpoints/clicks -n 20
///   ckpt log checkpoints/clicks --json | jq '.log[] | select(.event == "failed")'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Show only the newest N entries; 0 means all
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<usize>,

    /// Show only entries since this time, such as `2026-11-22T14:00`, or since so long ago, such as `2h`
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,

    /// Show only attempts and runs that failed, and runs that were killed
    #[arg(long)]
    pub failed: bool,

    /// Keep printing what happens, until interrupted
    #[arg(long, short)]
    pub follow: bool,
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] =
    &[SchemaGenerator::subschema_for::<LogView<'static>>, SchemaGenerator::subschema_for::<EntryLine<'static>>];

/// Prints the log.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let since = args.since.as_deref().map(|text| time(text, &ui.now())).transpose()?;
    let store = args.store.open_to_show(ui)?;
    let selection = Selection { since, failed: args.failed, limit: most(args.limit) };
    if args.follow {
        return follow::follow(&store, &selection, ui);
    }
    let log = log(&store, &selection)?;
    if ui.is_json() {
        ui.json(&LogView::new(&store, &log))?;
        return Ok(Exit::Clean);
    }
    if log.happenings.is_empty() {
        ui.note(if args.failed { "nothing has failed" } else { "nothing has happened yet" });
    } else {
        ui.table(&table(&log.happenings, false, ui))?;
    }
    if log.older > 0 {
        let entries = if log.older == 1 { "entry" } else { "entries" };
        ui.note(format!("{} older {entries} not shown", Count(log.older as u64)));
    }
    if log.dropped > 0 {
        ui.note(format!("the log no longer has the first {}", text::counted(log.dropped, "attempt")));
    }
    if log.unreadable > 0 {
        ui.warn(format!("{} of the history cannot be read", text::counted(log.unreadable, "line")));
    }
    Ok(Exit::Clean)
}

fn time(text: &str, now: &Zoned) -> Result<Timestamp, CliError> {
    // `1h` alone says the same as `1h ago`.
    let ago = units::parse_duration(text).is_ok().then(|| format!("{text} ago"));
    units::parse_time(ago.as_deref().unwrap_or(text), now)
        .map_err(|error| CliError::usage(format!("`--since`: {error}")))
}
