//! The plan and the outcome of a prune, for people.

use super::leftovers;
use crate::cli::error::CliError;
use crate::cli::table::{Column, Table};
use crate::cli::text::counted;
use crate::cli::ui::Ui;
use crate::store::prune::{Outcome, Plan, PlannedCheckpoint};
use crate::values::units::{Age, Bytes, Count, Span, exact_duration};

/// Prints what a prune would do.
pub(super) fn show(plan: &Plan, ui: &mut Ui) -> Result<(), CliError> {
    let times = ui.times(plan.checkpoints.iter().map(|checkpoint| checkpoint.created));
    let mut table = Table::new([
        Column::number("NUMBER"),
        Column::text("TIME"),
        Column::number("AGE"),
        Column::number("KEYS"),
        Column::number("FREES"),
        Column::long("KEPT BY"),
    ]);
    for checkpoint in &plan.checkpoints {
        table.row([
            checkpoint.sequence.0.to_string(),
            times.show(checkpoint.created),
            Age::between(checkpoint.created, plan.now).to_string(),
            Count(checkpoint.keys).to_string(),
            if checkpoint.is_removed() { Bytes(checkpoint.frees_bytes).to_string() } else { "-".to_owned() },
            kept_by(checkpoint),
        ]);
    }
    ui.table(&table)?;
    for torn in plan.checkpoints.iter().filter(|checkpoint| !checkpoint.is_whole) {
        ui.warn(format!("checkpoint {} is missing objects; `ckpt verify` lists them", torn.sequence.0));
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
        ui.out(format!("delete {} pruned earlier", counted(due as u64, "checkpoint")))?;
    }
    if due < plan.pruned.len() {
        let waiting = counted((plan.pruned.len() - due) as u64, "checkpoint");
        ui.out(format!("keep {waiting} pruned earlier until the grace period is over"))?;
    }
    leftovers::show(plan, ui)
}

/// Prints what a prune did.
pub(super) fn show_outcome(plan: &Plan, outcome: &Outcome, ui: &mut Ui) -> Result<(), CliError> {
    let mut done = Vec::new();
    if outcome.checkpoints > 0 {
        done.push(format!("pruned {}", counted(outcome.checkpoints, "checkpoint")));
    }
    if outcome.expired > 0 {
        done.push(format!("deleted {} pruned earlier", counted(outcome.expired, "checkpoint")));
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
            "`ckpt prune --undo` can bring them back for {}; the next prune after that frees {}, `--grace 0s` at once",
            Span(plan.request.grace),
            Bytes(plan.removed_bytes())
        ));
    }
    if outcome.spared > 0 {
        ui.note(format!("kept {} that a running checkpoint may still need", counted(outcome.spared, "new file")));
    }
    Ok(())
}

fn kept_by(checkpoint: &PlannedCheckpoint) -> String {
    match checkpoint.kept_by.as_slice() {
        [] => "remove".to_owned(),
        rules => rules.iter().map(|rule| rule.as_str()).collect::<Vec<_>>().join(", "),
    }
}
