//! Whether a run is alive and ready, for what starts and stops it, such as Kubernetes.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::cli::text::counted;
use crate::runner::observer::{Observer, RunEvent, Stage, Status};
use crate::values::lock::lock;
use crate::values::units::{Bytes, Span};

/// The main loop reports many times a second. If it has not for this long, it is stuck.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known about a run, without asking anybody.
#[derive(Debug)]
pub(super) struct Health(Mutex<Seen>);

#[derive(Debug)]
struct Seen {
    stage: Stage,
    /// When the run reported last.
    heard: Instant,
}

/// The answer to a question about the run: yes or no, and a line for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) is_yes: bool,
    pub(super) text: String,
}

impl Health {
    pub(super) fn new() -> Health {
        Health(Mutex::new(Seen { stage: Stage::Opening, heard: Instant::now() }))
    }

    /// Answers whether the main loop turns. Before and after it, waiting for a store or for brokers is nothing that a
    /// restart would help against.
    pub(super) fn live(&self, now: Instant) -> Answer {
        let seen = lock(&self.0);
        let silent = now.saturating_duration_since(seen.heard);
        if seen.stage == Stage::Reading && silent > PATIENCE {
            return Answer { is_yes: false, text: format!("the main loop has been silent for {}", Span(silent)) };
        }
        Answer { is_yes: true, text: describe(seen.stage) }
    }

    /// Answers whether the state of everything that the run has is restored.
    pub(super) fn ready(&self) -> Answer {
        let stage = lock(&self.0).stage;
        let is_yes = match stage {
            Stage::Idle | Stage::Waiting | Stage::Reading | Stage::Ending => true,
            Stage::Joining | Stage::Opening | Stage::Restoring { .. } => false,
        };
        Answer { is_yes, text: describe(stage) }
    }

    fn hear(&self, stage: Option<Stage>) {
        let mut seen = lock(&self.0);
        seen.heard = Instant::now();
        seen.stage = stage.unwrap_or(seen.stage);
    }
}

fn describe(stage: Stage) -> String {
    match stage {
        Stage::Joining => "waiting for the other workers".to_owned(),
        Stage::Idle => "has no partitions".to_owned(),
        Stage::Waiting => "waiting for the other workers to complete the batch".to_owned(),
        Stage::Opening => "opening the store and the input".to_owned(),
        Stage::Restoring { shards, bytes } => {
            format!("restoring: {} left, {} to read", counted(shards, "shard"), Bytes(bytes))
        }
        Stage::Reading => "running".to_owned(),
        Stage::Ending => "ending".to_owned(),
    }
}

impl Observer for Health {
    fn event(&self, event: &RunEvent) {
        self.hear(match event {
            RunEvent::Stage(stage) => Some(*stage),
            RunEvent::Restarting { .. } => Some(Stage::Opening),
            _ => None,
        });
    }

    fn status(&self, _: &Status) {
        self.hear(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_ready_once_everything_is_restored() {
        let health = Health::new();
        let ready = |stage| {
            health.event(&RunEvent::Stage(stage));
            (health.ready().is_yes, health.ready().text)
        };
        assert_eq!(ready(Stage::Joining), (false, "waiting for the other workers".to_owned()));
        assert_eq!(ready(Stage::Idle), (true, "has no partitions".to_owned()));
        assert_eq!(ready(Stage::Waiting), (true, "waiting for the other workers to complete the batch".to_owned()));
        assert!(!ready(Stage::Opening).0);
        let restoring = Stage::Restoring { shards: 2, bytes: 3 << 20 };
        assert_eq!(ready(restoring), (false, "restoring: 2 shards left, 3 MiB to read".to_owned()));
        assert_eq!(ready(Stage::Reading), (true, "running".to_owned()));
        assert_eq!(ready(Stage::Ending), (true, "ending".to_owned()));
    }

    #[test]
    fn only_a_main_loop_that_is_stuck_makes_a_run_dead() {
        let health = Health::new();
        let late = Instant::now() + PATIENCE + Duration::from_secs(1);
        for stage in [Stage::Joining, Stage::Opening, Stage::Restoring { shards: 1, bytes: 1 }, Stage::Ending] {
            health.event(&RunEvent::Stage(stage));
            assert!(health.live(late).is_yes, "{stage:?}");
        }
        health.event(&RunEvent::Stage(Stage::Reading));
        assert!(health.live(Instant::now()).is_yes);
        assert!(!health.live(late).is_yes);
        let restarting = RunEvent::Restarting { reason: String::new(), wait: Duration::ZERO, restart: 1, of: 2 };
        health.event(&restarting);
        assert!(health.live(late).is_yes && !health.ready().is_yes);
    }
}
