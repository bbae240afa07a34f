//! The outcome of a verification of all targets.

use schemars::JsonSchema;
use serde::Serialize;

use super::read_times::Unread;
use super::report::ReportView;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::json::{VERSION, path_in};
use crate::cli::ui::Ui;
use crate::ops::repair::{self, Origin, RepairPlan};
use crate::ops::verify::Report;
use crate::values::error_chain::in_one_line;

/// The outcome for all targets together.
pub(super) struct Outcome {
    /// Whether everything was verified and nothing is damaged.
    intact: bool,
    damaged: bool,
    /// Whether there was no checkpoint at all, so that nothing was verified.
    empty: bool,
    /// Whether no replica is behind or unavailable.
    pub(super) complete: bool,
    /// Whether everything that was damaged was repaired.
    pub(super) repaired: bool,
    pub(super) repair: Option<RepairView>,
    targets: Vec<ReportView>,
    failures: Vec<FailureView>,
    /// The exit codes of the failures.
    failed: Vec<Exit>,
}

/// A target that could not be verified, or not as a whole.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct FailureView {
    target: String,
    error: String,
    exit_code: u8,
}

impl Default for Outcome {
    fn default() -> Outcome {
        Outcome {
            intact: true,
            damaged: false,
            empty: true,
            complete: true,
            repaired: true,
            repair: None,
            targets: Vec::new(),
            failures: Vec::new(),
            failed: Vec::new(),
        }
    }
}

impl Outcome {
    /// Adds the report on one replica of `target`.
    pub(super) fn add(&mut self, target: &str, report: &Report, unread: &Unread) {
        self.targets.push(ReportView::new(target, report, unread));
        self.intact &= report.is_intact();
        self.damaged |= report.is_damaged();
        self.empty &= report.checkpoints.is_empty();
        self.complete &= report.is_complete();
    }

    /// Adds an error because of which `target` was not verified, or not as a whole, and reports it.
    pub(super) fn fail(&mut self, target: &str, error: CliError, ui: &Ui) {
        ui.error(&error);
        self.intact = false;
        self.failed.push(error.exit);
        let words: Vec<String> = std::iter::once(error.message).chain(error.causes).collect();
        let (target, exit_code) = (target.to_owned(), error.exit.code());
        self.failures.push(FailureView { target, error: words.join(": "), exit_code });
    }

    /// Returns the exit code: the worst of all targets. `repairs` tells whether damage was to be repaired.
    pub(super) fn exit(&self, repairs: bool) -> Exit {
        let is_whole = !self.damaged || (repairs && self.repaired);
        let worst = [Exit::Damaged, Exit::Failed, Exit::Busy, Exit::Usage, Exit::NotFound];
        match worst.into_iter().find(|exit| self.failed.contains(exit)) {
            _ if !is_whole => Exit::No,
            Some(failed) => failed,
            None if self.empty => Exit::NotFound,
            None if self.complete => Exit::Clean,
            None => Exit::Incomplete,
        }
    }

    pub(super) fn into_view(self) -> VerifyView {
        let Outcome { intact, targets, repair, failures, .. } = self;
        VerifyView { version: VERSION, intact, targets, repair, failures }
    }
}

/// The whole document.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct VerifyView {
    #[schemars(extend("const" = VERSION))]
    version: u32,
    intact: bool,
    targets: Vec<ReportView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repair: Option<RepairView>,
    #[serde(rename = "errors", skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailureView>,
}

/// What `--repair` did, or would do.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(super) struct RepairView {
    dry_run: bool,
    steps: Vec<StepView>,
    hopeless: Vec<HopelessView>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct StepView {
    store: String,
    path: String,
    /// The replica with the good copy; null if the file is derived from others.
    from: Option<String>,
    bytes: u64,
    done: bool,
    error: Option<String>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct HopelessView {
    store: String,
    code: &'static str,
    path: String,
}

impl RepairView {
    /// Makes a view without steps.
    pub(super) fn new(dry_run: bool) -> RepairView {
        RepairView { dry_run, ..RepairView::default() }
    }

    /// Adds the repair of one store.
    pub(super) fn add(&mut self, plan: &RepairPlan, outcomes: &[repair::Outcome]) {
        for (number, step) in plan.steps.iter().enumerate() {
            let result = outcomes.get(number).map(|outcome| &outcome.result);
            self.steps.push(StepView {
                store: step.place.clone(),
                path: path_in(&step.place, step.path.as_str()),
                from: match &step.origin {
                    Origin::Copy(place) => Some(place.clone()),
                    Origin::Made => None,
                },
                bytes: step.bytes,
                done: matches!(result, Some(Ok(()))),
                error: result.and_then(|result| result.as_ref().err()).map(|error| in_one_line(error)),
            });
        }
        self.hopeless.extend(plan.hopeless.iter().map(|(place, finding)| HopelessView {
            store: place.clone(),
            code: finding.code.as_str(),
            path: path_in(place, &finding.path),
        }));
    }
}
