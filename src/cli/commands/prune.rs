//! `ckpt prune`: remove checkpoints that no rule keeps, and leftovers.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::progress::Unit;
use crate::cli::table::{Column, Table};
use crate::cli::target::Target;
use crate::cli::ui::Ui;
use crate::cli::words::{self, counted};
use crate::store::Store;
use crate::store::prune::policy::{Policy, Rule};
use crate::store::prune::{
    Fate, LeftoverKind, Outcome, Plan, PlannedCheckpoint, PruneError, Request, UndoPlan, apply, apply_undo, plan,
    plan_undo,
};
use crate::values::units::{Age, Bytes, Count, Span, exact_duration, parse_bytes, parse_duration};

/// Remove checkpoints that no rule keeps, and what crashed runs left behind
///
/// Shows first what goes, why the rest stays, and what that frees; then asks,
/// unless --yes is given. A checkpoint stays when any rule keeps it. The
/// latest and the pinned ones always stay. Hours, days, weeks and months are
/// those of UTC; the order is that of the numbers, whatever the clocks said.
///
/// What is removed can be brought back with --undo until the grace time is
/// over; its objects are deleted by the first prune after that. With
/// `--grace 0s` they are deleted at once. Objects that no checkpoint needs and
/// temporary files go when they are older than the grace time. Files that are
/// no part of a store are shown, and stay.
///
/// A job may be running meanwhile. When any checkpoint can not be read,
/// nothing is deleted. A prune that was stopped is finished by the next one.
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
    pub store: OsString,

    /// Keep the newest N
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Rules")]
    pub keep_last: u64,

    /// Keep the newest of each of the last N hours that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Rules")]
    pub keep_hourly: u64,

    /// Keep the newest of each of the last N days that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Rules")]
    pub keep_daily: u64,

    /// Keep the newest of each of the last N weeks that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Rules")]
    pub keep_weekly: u64,

    /// Keep the newest of each of the last N months that have any
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true, help_heading = "Rules")]
    pub keep_monthly: u64,

    /// Keep those that are at most so much older than the newest, as in `36h` or `7d`
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, help_heading = "Rules")]
    pub keep_within: Option<Duration>,

    /// Keep the newest, as long as all that they need has at most so many bytes, as in `10GiB`
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes, help_heading = "Rules")]
    pub keep_bytes: Option<u64>,

    /// Keep every checkpoint: remove only leftovers, and what was pruned before the grace time
    #[arg(long, help_heading = "Rules")]
    pub keep_all: bool,

    /// How long what is removed can be brought back, and how old leftovers have to be
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = parse_duration)]
    pub grace: Duration,

    /// Bring back what the last prune removed
    #[arg(long, conflicts_with_all = ["keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_within", "keep_bytes", "keep_all", "grace"])]
    pub undo: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Do it without asking
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

/// Plans, asks and prunes, or brings back.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    let target = Target::parse(&args.store)?;
    if target.reference.is_some() {
        return Err(CliError::usage("expected a store, found a checkpoint")
            .hint("rules choose the checkpoints; `ckpt pin` keeps one that they would not"));
    }
    let store = target.open(ui)?;
    if args.undo { undo(args, &store, ui) } else { prune(args, &store, ui) }
}

fn prune(args: &Args, store: &Store, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let plan = plan(store, &args.request(), now.timestamp(), &ui.progress("reading", Unit::Count("checkpoints")))?;
    if !ui.is_json() {
        show(&plan, ui)?;
    }
    let agreed = args.dry_run || !plan.has_work() || agreed(args.yes, "Prune?", ui)?;
    let outcome = if agreed && !args.dry_run && plan.has_work() {
        let holder = words::holder("`ckpt prune`", &now);
        Some(apply(store, &plan, &holder, &ui.progress("deleting", Unit::Count("objects")))?)
    } else {
        None
    };
    if ui.is_json() {
        ui.json(&PruneView::new(args, store, &plan, outcome.as_ref()))?;
    } else if let Some(outcome) = &outcome {
        tell(&plan, outcome, ui)?;
    }
    for path in outcome.iter().flat_map(|outcome| &outcome.left) {
        ui.warn(format!("`{path}` is no part of a checkpoint: it stays, and the directory that it lies in"));
    }
    finish(agreed)
}

fn undo(args: &Args, store: &Store, ui: &mut Ui) -> Result<Exit, CliError> {
    let now = ui.now();
    let plan = plan_undo(store, &ui.progress("reading", Unit::Count("checkpoints")))?;
    let numbers: Vec<u64> = plan.checkpoints.iter().map(|(sequence, _)| sequence.0).collect();
    let checkpoints = counted(numbers.len() as u64, "checkpoint");
    let pruned = Age::between(plan.pruned, now.timestamp());
    if !ui.is_json() {
        ui.out(format!("the last prune was {pruned}; it removed {checkpoints}: {}", ranges(&numbers)))?;
    }
    let agreed = args.dry_run || agreed(args.yes, "Bring them back?", ui)?;
    let done = agreed && !args.dry_run;
    if done {
        let holder = words::holder("`ckpt prune --undo`", &now);
        let progress = ui.progress("reading", Unit::Count("checkpoints"));
        apply_undo(store, &plan, &holder, now.timestamp(), &progress)?;
    }
    if ui.is_json() {
        ui.json(&UndoView::new(args, store, &plan, done))?;
    } else if done {
        ui.out(format!("brought back {checkpoints}"))?;
    }
    finish(agreed)
}

/// Asks, unless the answer is given already.
fn agreed(yes: bool, question: &str, ui: &mut Ui) -> Result<bool, CliError> {
    if yes { Ok(true) } else { Ok(ui.ask(question)?.unwrap_or(false)) }
}

fn finish(agreed: bool) -> Result<Exit, CliError> {
    if agreed {
        return Ok(Exit::Clean);
    }
    Err(CliError::usage("nothing was done: nobody agreed")
        .hint("`--yes` does it without asking, `--dry-run` only shows what would be done"))
}

fn show(plan: &Plan, ui: &mut Ui) -> Result<(), CliError> {
    let mut table = Table::new([
        Column::number("NUMBER"),
        Column::number("AGE"),
        Column::number("KEYS"),
        Column::number("FREES"),
        Column::long("KEPT BY"),
    ]);
    for checkpoint in &plan.checkpoints {
        table.row([
            checkpoint.sequence.0.to_string(),
            Age::between(checkpoint.created, plan.now).to_string(),
            Count(checkpoint.keys).to_string(),
            if checkpoint.is_removed() { Bytes(checkpoint.frees_bytes).to_string() } else { "-".to_owned() },
            kept_by(checkpoint),
        ]);
    }
    ui.table(&table)?;
    for torn in plan.checkpoints.iter().filter(|checkpoint| !checkpoint.is_whole) {
        ui.warn(format!("checkpoint {} lacks objects; `ckpt verify` says which", torn.sequence.0));
    }
    let removed = plan.removed().count() as u64;
    let kept = plan.checkpoints.len() as u64 - removed;
    let bytes = Bytes(plan.removed_bytes());
    let when = match (removed, plan.has_grace()) {
        (0, _) => String::new(),
        (_, true) => format!(", which frees {bytes} after {}", exact_duration(plan.request.grace)),
        (_, false) => format!(", which frees {bytes}"),
    };
    ui.out(format!("keep {}, remove {removed}{when}", counted(kept, "checkpoint")))?;
    let due = plan.pruned.iter().filter(|earlier| earlier.is_due).count();
    if due > 0 {
        ui.out(format!("delete {}, pruned before", counted(due as u64, "checkpoint")))?;
    }
    if due < plan.pruned.len() {
        let waiting = counted((plan.pruned.len() - due) as u64, "checkpoint");
        ui.out(format!("keep {}, pruned before, until the grace time is over", waiting))?;
    }
    show_leftovers(plan, ui)
}

/// Leftovers of one kind that are named one by one; of more, only the number is said.
const MOST_NAMED: usize = 20;

fn show_leftovers(plan: &Plan, ui: &mut Ui) -> Result<(), CliError> {
    let groups = [
        (
            LeftoverKind::Object,
            Fate::Remove,
            "remove",
            "object that no checkpoint needs",
            "objects that no checkpoint needs",
        ),
        (
            LeftoverKind::Object,
            Fate::Wait,
            "leave",
            "object that no checkpoint needs yet",
            "objects that no checkpoint needs yet",
        ),
        (LeftoverKind::Temporary, Fate::Remove, "remove", "temporary file", "temporary files"),
        (LeftoverKind::Temporary, Fate::Wait, "leave", "temporary file that is new", "temporary files that are new"),
        (
            LeftoverKind::SetAside,
            Fate::Leave,
            "leave",
            "damaged object that was replaced",
            "damaged objects that were replaced",
        ),
        (
            LeftoverKind::Foreign,
            Fate::Leave,
            "leave",
            "file that is no part of a store",
            "files that are no part of a store",
        ),
    ];
    for (kind, fate, verb, one, many) in groups {
        let some: Vec<_> = plan.leftovers.iter().filter(|found| (found.kind, found.fate) == (kind, fate)).collect();
        let bytes = some.iter().fold(0u64, |sum, leftover| sum.saturating_add(leftover.bytes));
        if some.is_empty() {
            continue;
        }
        let noun = if some.len() == 1 { one } else { many };
        ui.out(format!("{verb} {} {noun}, {}", Count(some.len() as u64), Bytes(bytes)))?;
        let places: BTreeSet<&str> = plan.leftovers.iter().map(|leftover| leftover.place.as_str()).collect();
        for leftover in some.iter().take(MOST_NAMED) {
            let place = if places.len() > 1 { format!("{}/", leftover.place) } else { String::new() };
            let age = leftover.age_seconds.map_or_else(String::new, |seconds| format!(", {}", Age { seconds }));
            ui.out(format!("  {place}{} ({}{age})", leftover.path, Bytes(leftover.bytes)))?;
        }
        if some.len() > MOST_NAMED {
            ui.out(format!("  and {} more", Count((some.len() - MOST_NAMED) as u64)))?;
        }
    }
    Ok(())
}

fn tell(plan: &Plan, outcome: &Outcome, ui: &mut Ui) -> Result<(), CliError> {
    let mut done = Vec::new();
    if outcome.checkpoints > 0 {
        done.push(format!("pruned {}", counted(outcome.checkpoints, "checkpoint")));
    }
    if outcome.expired > 0 {
        done.push(format!("deleted {}, pruned before", counted(outcome.expired, "checkpoint")));
    }
    if outcome.objects + outcome.temporary > 0 {
        done.push(format!("deleted {}", counted(outcome.objects + outcome.temporary, "file")));
    }
    if done.is_empty() {
        done.push("nothing was pruned".to_owned());
    }
    ui.out(format!("{}; freed {}", done.join(", "), Bytes(outcome.freed_bytes)))?;
    if outcome.checkpoints > 0 && plan.has_grace() {
        ui.note(format!(
            "for {} `ckpt prune --undo` brings them back; a prune after that frees {}, `--grace 0s` frees at once",
            Span(plan.request.grace),
            Bytes(plan.removed_bytes())
        ));
    }
    if outcome.spared > 0 {
        ui.note(format!(
            "{} may be for the checkpoint that a job is writing, and stay",
            counted(outcome.spared, "new file")
        ));
    }
    Ok(())
}

fn kept_by(checkpoint: &PlannedCheckpoint) -> String {
    match checkpoint.kept_by.as_slice() {
        [] => "remove".to_owned(),
        rules => rules.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", "),
    }
}

/// Names ascending numbers, those that follow each other as a range: `1 to 4, 7`.
fn ranges(numbers: &[u64]) -> String {
    let ranges = numbers.chunk_by(|a, b| a.checked_add(1) == Some(*b)).map(|run| match run {
        [first, .., last] => format!("{first} to {last}"),
        [one] => one.to_string(),
        [] => String::new(),
    });
    ranges.collect::<Vec<_>>().join(", ")
}

impl From<PruneError> for CliError {
    fn from(error: PruneError) -> CliError {
        match error {
            PruneError::Policy(_) => CliError::of(Exit::Usage, &error).hint(
                "give a rule such as `--keep-last 10` or `--keep-daily 7`; `--keep-all` removes only leftovers",
            ),
            PruneError::Unreadable { .. } => CliError::of(Exit::Damaged, &error).hint(
                "`ckpt verify STORE` lists everything that is damaged; a checkpoint that can not be mended may be moved out of the store by hand",
            ),
            PruneError::Moved { .. } => CliError::of(Exit::Busy, &error).hint("nothing was deleted; prune again"),
            PruneError::NothingToUndo { .. } => {
                CliError::of(Exit::NotFound, &error).hint("what was pruned is deleted when its grace time is over")
            }
            PruneError::ObjectsGone { .. } => {
                CliError::of(Exit::NotFound, &error).hint("its grace time is over, or somebody deleted them")
            }
            PruneError::NoRoom { .. } => CliError::of(Exit::Failed, &error)
                .hint("`--grace 0s` deletes at once, which needs no room; it can not be undone"),
            PruneError::Store(error) => error.into(),
        }
    }
}

#[derive(Debug, Serialize)]
struct PruneView<'a> {
    version: u32,
    store: String,
    dry_run: bool,
    /// Whether it was done.
    done: bool,
    policy: String,
    grace_seconds: u64,
    checkpoints: Vec<CheckpointView>,
    removed: usize,
    removed_bytes: u64,
    earlier: Vec<EarlierView>,
    leftovers: Vec<LeftoverView<'a>>,
    leftover_bytes: u64,
    outcome: Option<OutcomeView<'a>>,
}

#[derive(Debug, Serialize)]
struct CheckpointView {
    sequence: u64,
    created: Timestamp,
    keys: u64,
    /// The rules that keep it; empty when it goes.
    kept_by: Vec<&'static str>,
    frees_bytes: u64,
    whole: bool,
}

#[derive(Debug, Serialize)]
struct EarlierView {
    sequence: u64,
    pruned: Option<Timestamp>,
    due: bool,
}

#[derive(Debug, Serialize)]
struct LeftoverView<'a> {
    place: &'a str,
    path: &'a str,
    kind: &'static str,
    bytes: u64,
    age_seconds: Option<i64>,
    fate: &'static str,
}

#[derive(Debug, Serialize)]
struct OutcomeView<'a> {
    checkpoints: u64,
    expired: u64,
    objects: u64,
    temporary: u64,
    freed_bytes: u64,
    spared: u64,
    left: &'a [String],
}

impl<'a> PruneView<'a> {
    fn new(args: &Args, store: &Store, plan: &'a Plan, outcome: Option<&'a Outcome>) -> PruneView<'a> {
        let checkpoint = |checkpoint: &PlannedCheckpoint| CheckpointView {
            sequence: checkpoint.sequence.0,
            created: checkpoint.created,
            keys: checkpoint.keys,
            kept_by: checkpoint.kept_by.iter().copied().map(Rule::as_str).collect(),
            frees_bytes: checkpoint.frees_bytes,
            whole: checkpoint.is_whole,
        };
        let leftovers = plan.leftovers.iter().map(|leftover| LeftoverView {
            place: &leftover.place,
            path: &leftover.path,
            kind: match leftover.kind {
                LeftoverKind::Object => "object",
                LeftoverKind::Temporary => "temporary",
                LeftoverKind::SetAside => "set_aside",
                LeftoverKind::Foreign => "foreign",
            },
            bytes: leftover.bytes,
            age_seconds: leftover.age_seconds,
            fate: match leftover.fate {
                Fate::Remove => "remove",
                Fate::Wait => "wait",
                Fate::Leave => "leave",
            },
        });
        let earlier = plan.pruned.iter().map(|earlier| EarlierView {
            sequence: earlier.sequence.0,
            pruned: earlier.pruned,
            due: earlier.is_due,
        });
        PruneView {
            version: 1,
            store: store.place(),
            dry_run: args.dry_run,
            done: outcome.is_some(),
            policy: plan.request.policy.to_string(),
            grace_seconds: plan.request.grace.as_secs(),
            checkpoints: plan.checkpoints.iter().map(checkpoint).collect(),
            removed: plan.removed().count(),
            removed_bytes: plan.removed_bytes(),
            earlier: earlier.collect(),
            leftovers: leftovers.collect(),
            leftover_bytes: plan.leftover_bytes(),
            outcome: outcome.map(|outcome| OutcomeView {
                checkpoints: outcome.checkpoints,
                expired: outcome.expired,
                objects: outcome.objects,
                temporary: outcome.temporary,
                freed_bytes: outcome.freed_bytes,
                spared: outcome.spared,
                left: &outcome.left,
            }),
        }
    }
}

#[derive(Debug, Serialize)]
struct UndoView {
    version: u32,
    store: String,
    dry_run: bool,
    done: bool,
    pruned: Timestamp,
    checkpoints: Vec<u64>,
}

impl UndoView {
    fn new(args: &Args, store: &Store, plan: &UndoPlan, done: bool) -> UndoView {
        UndoView {
            version: 1,
            store: store.place(),
            dry_run: args.dry_run,
            done,
            pruned: plan.pruned,
            checkpoints: plan.checkpoints.iter().map(|(sequence, _)| sequence.0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_follow_each_other_are_a_range() {
        assert_eq!(ranges(&[1, 2, 3, 4, 7, 9, 10]), "1 to 4, 7, 9 to 10");
        assert_eq!(ranges(&[u64::MAX]), u64::MAX.to_string());
        assert_eq!(ranges(&[]), "");
    }
}
