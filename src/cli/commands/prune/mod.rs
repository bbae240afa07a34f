//! `ckpt prune`: removes checkpoints that no rule keeps, and leftover files.

use std::time::Duration;

use jiff::tz::TimeZone;

use schemars::SchemaGenerator;

use crate::cli::args::StoreArg;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json_schema::Document;
use crate::cli::progress::Unit;
use crate::cli::text::{self, counted, ranges};
use crate::cli::ui::Ui;
use crate::store::Store;
use crate::store::prune::policy::Policy;
use crate::store::prune::{PruneError, Request, apply, apply_undo, plan, plan_undo, settle_undo};
use crate::values::units::{Age, parse_bytes, parse_duration};

mod leftovers;
mod summary;
mod views;

/// Remove checkpoints that no rule keeps, and leftovers of crashed runs
///
/// First shows which checkpoints go, why the others stay, and how much space
/// that frees. Then asks for confirmation, unless --yes is given. A checkpoint
/// stays if any rule keeps it; the latest one and pinned ones always stay, and
/// after a rollback those that the next run needs for its output files. Hours,
/// days, weeks and months are in UTC; with --utc, the plan shows its times in UTC
/// too. Checkpoints are ordered by number, regardless of their times.
///
/// Removed checkpoints can be brought back with --undo until the grace period is
/// over. The first prune after that deletes their objects. With `--grace 0s`,
/// they are deleted at once. Objects that no checkpoint needs, and temporary
/// files, are deleted if they are older than the grace period. Files that are not
/// part of the store are listed and stay.
///
/// The job may be running. If any checkpoint cannot be read, nothing is deleted.
/// An interrupted prune is finished by the next one.
///
/// Examples:
///   ckpt prune checkpoints/clicks --keep-last 10 --dry-run
///   ckpt prune checkpoints/clicks --keep-last 3 --keep-daily 7 --yes
///   ckpt prune checkpoints/clicks --undo --yes
///   ckpt prune checkpoints/clicks --keep-within 36h --grace 0s --yes
///   ckpt prune checkpoints/clicks --keep-all --yes
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The store
    pub store: StoreArg,

    /// Keep the newest N
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Keep rules")]
    pub keep_last: u64,

    /// Keep the newest one of each of the last N hours that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Keep rules")]
    pub keep_hourly: u64,

    /// Keep the newest one of each of the last N days that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Keep rules")]
    pub keep_daily: u64,

    /// Keep the newest one of each of the last N weeks that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Keep rules")]
    pub keep_weekly: u64,

    /// Keep the newest one of each of the last N months that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Keep rules")]
    pub keep_monthly: u64,

    /// Keep those made at most DURATION before the newest, such as `36h` or `7d`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Keep rules")]
    pub keep_within: Option<Duration>,

    /// Keep the newest ones that together need at most SIZE bytes, such as `10GiB`
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Keep rules")]
    pub keep_bytes: Option<u64>,

    /// Keep all checkpoints; remove only leftovers, and pruned checkpoints whose grace period is over
    #[arg(long, help_heading = "Keep rules")]
    pub keep_all: bool,

    /// How long removed checkpoints can be brought back, and how old leftovers must be
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    pub grace: Duration,

    /// Bring back the checkpoints that the last prune removed
    #[arg(long, conflicts_with_all = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly",
        "keep_within", "keep_bytes", "keep_all", "grace"])]
    pub undo: bool,

    /// Show the plan without carrying it out
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask for confirmation
    #[arg(long, short, conflicts_with = "dry_run")]
    pub yes: bool,
}

impl Args {
    fn request(&self) -> Request {
        let policy = Policy {
            all: self.keep_all,
            last: self.keep_last,
            hourly: self.keep_hourly,
            daily: self.keep_daily,
            weekly: self.keep_weekly,
            monthly: self.keep_monthly,
            within: self.keep_within,
            bytes: self.keep_bytes,
        };
        Request { policy, grace: self.grace, zone: TimeZone::UTC }
    }
}

/// What it prints with `--json`.
pub const DOCUMENTS: &[Document] =
    &[SchemaGenerator::subschema_for::<views::PruneView<'static>>, SchemaGenerator::subschema_for::<views::UndoView>];

/// Prunes, or undoes the last prune.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let store = args.store.open_to_change(ui)?;
    if args.undo { undo(args, &store, ui) } else { prune(args, &store, ui) }
}

fn prune(args: &Args, store: &Store, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let plan = plan(store, &args.request(), now.timestamp(), &ui.progress("reading", Unit::Count("checkpoints")))?;
    if !ui.is_json() {
        summary::show(&plan, ui)?;
    }
    let confirmed = args.dry_run || !plan.has_work() || is_confirmed(args.yes, "Prune?", ui)?;
    let outcome = if confirmed && !args.dry_run && plan.has_work() {
        let holder = text::holder("`ckpt prune`", &now);
        Some(apply(store, &plan, &holder, &ui.progress("deleting", Unit::Count("objects")))?)
    } else {
        None
    };
    if ui.is_json() {
        ui.json(&views::PruneView::new(args.dry_run, store, &plan, outcome.as_ref()))?;
    } else if let Some(outcome) = &outcome {
        summary::show_outcome(&plan, outcome, ui)?;
    }
    ui.warn_of_away(store, "keeps what is pruned elsewhere");
    for path in outcome.iter().flat_map(|outcome| &outcome.left) {
        ui.warn(format!("kept `{path}` and its directory: it is not part of a checkpoint"));
    }
    finish(confirmed)
}

fn undo(args: &Args, store: &Store, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let holder = text::holder("`ckpt prune --undo`", &now);
    let plan = match plan_undo(store, &ui.progress("reading", Unit::Count("checkpoints"))) {
        Err(nothing @ PruneError::NothingToUndo { .. }) if !args.dry_run => {
            settle_undo(store, &holder)?;
            return Err(nothing.into());
        }
        plan => plan?,
    };
    let numbers: Vec<u64> = plan.checkpoints.iter().map(|(sequence, _)| sequence.0).collect();
    let checkpoints = counted(numbers.len() as u64, "checkpoint");
    let pruned = Age::between(plan.pruned, now.timestamp());
    if !ui.is_json() {
        ui.out(format!("the last prune was {pruned}; it removed {checkpoints}: {}", ranges(&numbers)))?;
    }
    let confirmed = args.dry_run || is_confirmed(args.yes, "Bring them back?", ui)?;
    let done = confirmed && !args.dry_run;
    if done {
        let progress = ui.progress("reading", Unit::Count("checkpoints"));
        apply_undo(store, &plan, &holder, now.timestamp(), &progress)?;
    }
    if ui.is_json() {
        ui.json(&views::UndoView::new(args.dry_run, store, &plan, done))?;
    } else if done {
        ui.out(format!("brought back {checkpoints}"))?;
    }
    ui.warn_of_away(store, "does not get the checkpoints back");
    finish(confirmed)
}

/// Asks for confirmation, unless it was given with `--yes`.
fn is_confirmed(yes: bool, question: &str, ui: &mut Ui) -> Result<bool, CliError> {
    if yes { Ok(true) } else { Ok(ui.ask(question)?.unwrap_or(false)) }
}

fn finish(confirmed: bool) -> Result<Exit, CliError> {
    if confirmed {
        return Ok(Exit::Clean);
    }
    Err(CliError::usage("aborted: not confirmed")
        .hint("use `--yes` to skip the question, or `--dry-run` to only show the plan"))
}

impl From<PruneError> for CliError {
    fn from(error: PruneError) -> CliError {
        match error {
            PruneError::Policy(_) => CliError::of(Exit::Usage, &error)
                .hint("give a rule such as `--keep-last 10` or `--keep-daily 7`; `--keep-all` removes only leftovers"),
            PruneError::Unreadable { .. } => CliError::of(Exit::Damaged, &error).hint(
                "`ckpt verify STORE` lists all damage; if a checkpoint cannot be repaired, you can move it out of the store",
            ),
            PruneError::Moved { .. } => CliError::of(Exit::Busy, &error).hint("nothing was deleted; try again"),
            PruneError::NothingToUndo { .. } => CliError::of(Exit::NotFound, &error)
                .hint("pruned checkpoints are deleted after their grace period"),
            PruneError::ObjectsGone { .. } => CliError::of(Exit::NotFound, &error)
                .hint("the grace period is over, or the objects were deleted by hand"),
            PruneError::NoRoom { .. } => CliError::of(Exit::Failed, &error)
                .hint("`--grace 0s` deletes at once, which needs no space but cannot be undone"),
            PruneError::Store(error) => error.into(),
        }
    }
}
