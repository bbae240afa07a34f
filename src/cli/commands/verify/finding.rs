//! One finding of a verification.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::json::path_in;
use crate::cli::text::counted;
use crate::ops::finding::{Finding, Lost, Severity};

/// Says what the damage of a file costs, and since which checkpoint.
pub(super) fn loss(finding: &Finding, lost: &Lost) -> String {
    let lost_here = if finding.good_copy.is_some() { "lost in this replica" } else { "lost" };
    let since = finding.checkpoints.first().map(|first| format!(", since checkpoint {}", first.0)).unwrap_or_default();
    match lost {
        Lost::State => format!("{lost_here}: the whole state{since}"),
        Lost::Positions => format!("{lost_here}: the positions in the input{since}"),
        Lost::Definition => format!("{lost_here}: the job definition{since}"),
        Lost::Messages { topic, rows } => {
            format!("{lost_here}: {} for the topic {topic}{since}", counted(*rows, "message"))
        }
        Lost::Rows { first_task, last_task, rows, smallest_key, largest_key } => {
            let tasks = if first_task == last_task {
                format!("task {first_task}")
            } else {
                format!("tasks {first_task} to {last_task}")
            };
            let shorten = |key: &str| key.chars().take(40).collect::<String>();
            let keys = format!("keys {:?} to {:?}", shorten(smallest_key), shorten(largest_key));
            format!("{lost_here}: {} of {tasks}, {keys}{since}", counted(*rows, "row"))
        }
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct FindingView {
    code: &'static str,
    #[schemars(extend("enum" = ["note", "damage"]))]
    severity: &'static str,
    /// The replica.
    store: String,
    path: String,
    expected: String,
    found: String,
    checkpoints: Vec<u64>,
    /// The first affected checkpoint.
    since: Option<u64>,
    lost: Option<LostView>,
    good_copy: Option<String>,
    next_step: &'static str,
}

/// What is lost.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct LostView {
    #[schemars(extend("enum" = ["state", "positions", "definition", "messages", "rows"]))]
    what: &'static str,
    #[serde(flatten)]
    rows: Option<RowsView>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct RowsView {
    first_task: u32,
    last_task: u32,
    rows: u64,
    smallest_key: String,
    largest_key: String,
}

impl LostView {
    fn new(lost: &Lost) -> LostView {
        let plain = |what| LostView { what, rows: None };
        match lost {
            Lost::State => plain("state"),
            Lost::Positions => plain("positions"),
            Lost::Definition => plain("definition"),
            Lost::Messages { .. } => plain("messages"),
            Lost::Rows { first_task, last_task, rows, smallest_key, largest_key } => LostView {
                what: "rows",
                rows: Some(RowsView {
                    first_task: *first_task,
                    last_task: *last_task,
                    rows: *rows,
                    smallest_key: smallest_key.clone(),
                    largest_key: largest_key.clone(),
                }),
            },
        }
    }
}

impl FindingView {
    /// Makes the view of a finding in the replica at `place`.
    pub(super) fn new(place: &str, finding: &Finding) -> FindingView {
        let severity: Severity = finding.severity();
        FindingView {
            code: finding.code.as_str(),
            severity: severity.as_str(),
            store: place.to_owned(),
            path: path_in(place, &finding.path),
            expected: finding.expected.clone(),
            found: finding.found.clone(),
            checkpoints: finding.checkpoints.iter().map(|sequence| sequence.0).collect(),
            since: finding.checkpoints.first().map(|first| first.0),
            lost: finding.lost.as_ref().map(LostView::new),
            good_copy: finding.good_copy.clone(),
            next_step: finding.code.next_step(),
        }
    }
}
