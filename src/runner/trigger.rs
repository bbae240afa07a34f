//! When a checkpoint is due.

use std::time::Duration;

use crate::format::manifest::Trigger;

/// What the job file says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So long after the last one.
    pub schedule: Option<Duration>,
    /// When so many bytes of rows have changed.
    pub state_bytes: Option<u64>,
}

/// What the run has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The time since the last cut, or since the start.
    pub since_last: Duration,
    /// Bytes of rows that changed since then.
    pub changed_bytes: u64,
    /// Whether somebody asked for one.
    pub requested: bool,
}

/// Returns what makes a checkpoint due now, if anything does.
pub fn due(policy: &Policy, seen: &Seen) -> Option<Trigger> {
    if seen.requested {
        return Some(Trigger::Signal);
    }
    if policy.state_bytes.is_some_and(|bytes| seen.changed_bytes >= bytes) {
        return Some(Trigger::StateBytes);
    }
    policy.schedule.is_some_and(|interval| seen.since_last >= interval).then_some(Trigger::Schedule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_trigger_makes_a_checkpoint_due_and_nothing_else_does() {
        let policy = Policy { schedule: Some(Duration::from_secs(10)), state_bytes: Some(1000) };
        let quiet = Seen { since_last: Duration::from_secs(9), changed_bytes: 999, requested: false };
        assert_eq!(due(&policy, &quiet), None);
        assert_eq!(due(&policy, &Seen { since_last: Duration::from_secs(10), ..quiet }), Some(Trigger::Schedule));
        assert_eq!(due(&policy, &Seen { changed_bytes: 1000, ..quiet }), Some(Trigger::StateBytes));
        assert_eq!(due(&policy, &Seen { requested: true, ..quiet }), Some(Trigger::Signal));
        let never = Policy { schedule: None, state_bytes: None };
        assert_eq!(
            due(&never, &Seen { since_last: Duration::from_secs(1 << 40), changed_bytes: 1 << 60, requested: false }),
            None
        );
    }
}
