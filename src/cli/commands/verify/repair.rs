//! `ckpt verify --repair`: replaces damaged files.

use super::outcome::{Outcome, RepairView};
use crate::cli::error::CliError;
use crate::cli::progress::Unit;
use crate::cli::text;
use crate::cli::ui::Ui;
use crate::ops::finding::FindingCode;
use crate::ops::repair::{self, Origin, RepairPlan, Step};
use crate::ops::verify::Report;
use crate::store::Store;
use crate::store::records::operations::{OperationKind, OperationLog};
use crate::values::error_chain::in_one_line;

/// Plans the repair of a store, carries it out unless it is a dry run, and reports the result.
pub(super) fn repair(
    dry_run: bool,
    store: &Store,
    reports: &[Report],
    outcome: &mut Outcome,
    ui: &mut Ui,
) -> Result<(), CliError> {
    // A prune must not remove what is about to be written.
    let holder = text::holder("`ckpt verify --repair`", &ui.now());
    let _lock = if dry_run { None } else { Some(store.lock_prune(&holder)?) };
    let plan = repair::plan(store, reports);
    let outcomes =
        if dry_run { Vec::new() } else { repair::apply(store, &plan, &ui.progress("repairing", Unit::Bytes)) };
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let repaired = outcomes.len() - failed;
    if repaired > 0 {
        let files = OperationKind::Repaired { files: repaired as u64 };
        OperationLog::open(store, None, 0).add(ui.now().timestamp(), files);
    }
    outcome.repaired &= plan.hopeless.is_empty() && failed == 0;
    // A replica that was only behind has caught up.
    let is_available = |report: &Report| report.findings.iter().all(|f| f.code != FindingCode::ReplicaUnavailable);
    outcome.complete |= !dry_run && outcome.repaired && reports.iter().all(is_available);
    let view = outcome.repair.get_or_insert_with(|| RepairView::new(dry_run));
    view.add(&plan, &outcomes);
    if ui.is_json() { Ok(()) } else { show(dry_run, &plan, &outcomes, ui) }
}

fn show(dry_run: bool, plan: &RepairPlan, outcomes: &[repair::Outcome], ui: &mut Ui) -> Result<(), CliError> {
    let from = |step: &Step| match &step.origin {
        Origin::Copy(place) => format!("from `{place}`"),
        Origin::Made => "from the manifest and the index".to_owned(),
    };
    for step in plan.steps.iter().filter(|_| dry_run) {
        ui.out(format!("would repair `{}/{}` {}", step.place, step.path, from(step)))?;
    }
    for repair::Outcome { step, result } in outcomes {
        let file = format!("`{}/{}`", step.place, step.path);
        match result {
            Ok(()) => ui.out(format!("repaired {file} {}", from(step)))?,
            Err(error) => ui.out(format!("could NOT repair {file}: {}", in_one_line(error)))?,
        }
    }
    for (place, finding) in &plan.hopeless {
        ui.out(format!("cannot be repaired: {}: `{place}/{}`", finding.code, finding.path))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
    let (verb, repaired) =
        if dry_run { ("would repair", plan.steps.len()) } else { ("repaired", outcomes.len() - failed) };
    let files = text::counted(repaired as u64, "file");
    ui.out(format!("{verb} {files}; {} cannot be repaired", plan.hopeless.len() + failed))
}
