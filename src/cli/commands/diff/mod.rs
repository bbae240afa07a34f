//! `ckpt diff`: shows what changed between two checkpoints.

use schemars::SchemaGenerator;

use crate::cli::args::{TARGET_HELP, TargetArg, check_task};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::key;
use crate::cli::progress::Unit;
use crate::cli::ui::Ui;
use crate::ops::diff::{Comparison, Scope, Side};

mod keys;
mod report;
mod summary;
mod tables;
mod views;

use report::Report;

/// Show what changed between two checkpoints
///
/// Compares the keys and values of the state, the positions in the input, and
/// the columns of two checkpoints, which may be in different stores. Without
/// options, shows how much changed, and where the most changes are. The exit code
/// is 0 if the checkpoints are equal and 1 if they differ.
///
/// Only the contents count. When and why a checkpoint was made, how its rows
/// are spread over segments, and which outputs it published make no difference;
/// a changed job definition is only noted. With --task, --key or --prefix, only
/// those keys count.
///
/// Segments that both checkpoints share are read only to look up keys in them.
/// If the two have different numbers of tasks or shards, everything is read.
///
/// Examples:
///   ckpt diff checkpoints/clicks@41 checkpoints/clicks@42
///   ckpt diff checkpoints/clicks@latest~1 checkpoints/clicks --keys --prefix us-
///   ckpt diff checkpoints/clicks 'checkpoints/clicks@2h ago' --stat
///   ckpt diff a/store b/store --quiet > /dev/null && echo 'both runs agree'
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[arg(value_name = "A", help = TARGET_HELP)]
    pub old: TargetArg,

    /// The checkpoint to compare with A, in the same forms
    #[arg(value_name = "B")]
    pub new: TargetArg,

    /// List every changed key with its old and new values, by task and key
    #[arg(long, conflicts_with = "stat")]
    pub keys: bool,

    /// Show how many keys changed in each task
    #[arg(long)]
    pub stat: bool,

    /// Compare only keys of task N
    #[arg(long, value_name = "N")]
    pub task: Option<u32>,

    /// Compare only key K. A key of several fields is `--key path=/cart --key status=500` or `--key '["/cart",500]'`
    #[arg(long, value_name = "K", conflicts_with = "prefix", allow_hyphen_values = true)]
    pub key: Vec<String>,

    /// Compare only keys that start with PREFIX; a key of several fields is a list such as `["/cart",500]`
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    pub prefix: Option<String>,

    /// Show at most N keys, or tasks and partitions; 0 means all, and totals always cover all [default: all keys, 10
    /// tasks and partitions]
    #[arg(long, short = 'n', value_name = "N")]
    pub limit: Option<u64>,
}

impl Args {
    fn limit_or(&self, default: u64) -> u64 {
        match self.limit.unwrap_or(default) {
            0 => u64::MAX,
            limit => limit,
        }
    }
}

/// The rows of each table of the summary, unless a limit is given.
const SUMMARY_ROWS: u64 = 10;

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] = &[
    SchemaGenerator::subschema_for::<views::KeyView<'static>>,
    SchemaGenerator::subschema_for::<views::TaskChangeView>,
    SchemaGenerator::subschema_for::<views::PositionChangeView<'static>>,
    SchemaGenerator::subschema_for::<views::TotalView<'static>>,
];

/// Compares the two checkpoints and prints the requested part of the result.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let (old, new) = (open(&args.old, ui)?, open(&args.new, ui)?);
    check_task(args.task, new.manifest())?;
    let shape = new.manifest().key.as_ref().or(old.manifest().key.as_ref());
    let scope = Scope::of_keys(args.task, key::filter(shape, &args.key, args.prefix.as_deref())?, &old, &new);
    let comparison = Comparison::new(old, new, scope);
    let positions = if comparison.scope.is_all() { comparison.positions() } else { Vec::new() };
    let lists_keys = (args.keys || ui.is_json()) && !args.stat;
    if args.keys && !ui.is_json() {
        keys::show_sides(&comparison, ui)?;
    }
    let progress = ui.progress("comparing", Unit::Bytes);
    let mut left = args.limit_or(0);
    let mut outcome = Ok(());
    let totals = comparison.changes(&progress, |change| {
        if lists_keys && left > 0 {
            left -= 1;
            outcome = if ui.is_json() {
                ui.json(&views::KeyView::new(&comparison, &change))
            } else {
                keys::show(&comparison, &change, ui)
            };
        }
        // If the reader of the list is gone, the exit code is known: there is a difference.
        outcome.is_ok() && !ui.is_closed()
    })?;
    drop(progress);
    outcome?;
    let report = Report { comparison: &comparison, totals: &totals, positions: &positions };
    if ui.is_json() {
        views::print(&report, args.stat.then(|| args.limit_or(0)), ui)?;
        return Ok(report.exit());
    }
    if args.keys {
        tables::note_left_out(totals.keys.all(), args.limit_or(0), "key", ui);
    } else if args.stat {
        tables::show_tasks(&totals, args.limit_or(0), false, ui)?;
    } else {
        summary::show(&report, args.limit_or(SUMMARY_ROWS), ui)?;
    }
    summary::show_notes(&comparison, ui);
    Ok(report.exit())
}

fn open(target: &TargetArg, ui: &Ui) -> Result<Side, CliError> {
    let target = target.parse()?;
    let store = target.open_to_show(ui)?;
    target.read(&store, &ui.now(), |sequence| Ok(Side::open(store.clone(), sequence)?))
}
