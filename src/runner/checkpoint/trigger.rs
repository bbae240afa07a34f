//! When a checkpoint is due.

use std::time::Duration;

use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::format::manifest::Trigger;
use crate::job::calendar::Calendar;

/// What the job file says about it.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The schedule.
    pub timing: Timing,
    /// When so many bytes of rows have changed.
    pub state_bytes: Option<u64>,
    /// When so many records were applied.
    pub records: Option<u64>,
    /// So long after an attempt has ended the next may begin, unless somebody asks for it.
    pub min_pause: Duration,
    /// Scheduled ones come up to so much later.
    pub jitter: Duration,
    /// Chooses how much later.
    pub seed: u64,
}

/// When a checkpoint is due by time.
#[derive(Debug, Clone)]
pub enum Timing {
    /// Never.
    None,
    /// So long after the last one was begun.
    After(Duration),
    /// At times of the clock.
    At(Calendar),
}

/// What the run has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The time.
    pub now: Timestamp,
    /// The next time of the calendar that was not served; the last one that was missed counts.
    pub next_at: Option<Timestamp>,
    /// The time since the last cut, or since the start.
    pub since_last: Duration,
    /// The time since the last attempt ended; nothing when there was none.
    pub since_end: Option<Duration>,
    /// How many cuts there were, which makes the delays of scheduled ones differ.
    pub cuts: u64,
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: u64,
    /// Whether something has waited as long as it may, in mode priority.
    pub is_stale: bool,
    /// Records applied since then.
    pub records: u64,
    /// Whether a signal asked for one.
    pub signalled: bool,
    /// Whether somebody asked for one through the store.
    pub requested: bool,
}

/// Returns what makes a checkpoint due now, if anything does.
pub fn due(policy: &Policy, seen: &Seen) -> Option<Trigger> {
    // A person does not wait.
    if seen.requested {
        return Some(Trigger::Request);
    }
    if seen.signalled {
        return Some(Trigger::Signal);
    }
    if seen.since_end.is_some_and(|since| since < policy.min_pause) {
        return None;
    }
    if seen.is_stale {
        return Some(Trigger::Schedule);
    }
    if policy.state_bytes.is_some_and(|bytes| seen.changed_bytes >= bytes) {
        return Some(Trigger::StateBytes);
    }
    if policy.records.is_some_and(|records| seen.records >= records) {
        return Some(Trigger::Records);
    }
    let delay = policy.delay(seen.cuts);
    let is_time = match &policy.timing {
        Timing::None => false,
        Timing::After(interval) => seen.since_last >= interval.saturating_add(delay),
        Timing::At(_) => seen.next_at.is_some_and(|at| at.checked_add(delay).is_ok_and(|at| seen.now >= at)),
    };
    is_time.then_some(Trigger::Schedule)
}

impl Policy {
    /// Returns how much later the next scheduled checkpoint comes, after `cuts` cuts: below [`Policy::jitter`].
    fn delay(&self, cuts: u64) -> Duration {
        match u64::try_from(self.jitter.as_micros()) {
            Ok(0) | Err(_) => Duration::ZERO,
            Ok(most) => Duration::from_micros(xxh3_64_with_seed(&cuts.to_le_bytes(), self.seed) % most),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEVER: Policy = Policy {
        timing: Timing::None,
        state_bytes: None,
        records: None,
        min_pause: Duration::ZERO,
        jitter: Duration::ZERO,
        seed: 7,
    };

    fn quiet() -> Seen {
        Seen {
            now: Timestamp::UNIX_EPOCH,
            next_at: None,
            since_last: Duration::ZERO,
            since_end: None,
            cuts: 0,
            changed_bytes: 0,
            is_stale: false,
            records: 0,
            signalled: false,
            requested: false,
        }
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn each_trigger_makes_a_checkpoint_due_and_nothing_else_does() {
        let policy = Policy { timing: Timing::After(seconds(10)), state_bytes: Some(1000), records: Some(50), ..NEVER };
        let almost = Seen { since_last: seconds(9), changed_bytes: 999, records: 49, ..quiet() };
        for (seen, expected) in [
            (almost, None),
            (Seen { since_last: seconds(10), ..almost }, Some(Trigger::Schedule)),
            (Seen { changed_bytes: 1000, ..almost }, Some(Trigger::StateBytes)),
            (Seen { records: 50, ..almost }, Some(Trigger::Records)),
            (Seen { is_stale: true, ..almost }, Some(Trigger::Schedule)),
            (Seen { signalled: true, ..almost }, Some(Trigger::Signal)),
            (Seen { requested: true, ..almost }, Some(Trigger::Request)),
            (Seen { requested: true, signalled: true, records: 50, ..almost }, Some(Trigger::Request)),
        ] {
            assert_eq!(due(&policy, &seen), expected, "{seen:?}");
        }
        let much = Seen { since_last: seconds(1 << 40), changed_bytes: 1 << 60, records: 1 << 60, ..quiet() };
        assert_eq!(due(&NEVER, &much), None);
    }

    #[test]
    fn only_who_asks_does_not_wait_for_the_pause_to_end() {
        let timing = Timing::After(seconds(1));
        let policy = Policy { timing, state_bytes: Some(1), records: Some(1), min_pause: seconds(5), ..NEVER };
        let all = Seen { since_last: seconds(9), changed_bytes: 1, records: 1, since_end: Some(seconds(4)), ..quiet() };
        assert_eq!(due(&policy, &all), None);
        assert_eq!(due(&policy, &Seen { signalled: true, ..all }), Some(Trigger::Signal));
        assert_eq!(due(&policy, &Seen { since_end: Some(seconds(5)), ..all }), Some(Trigger::StateBytes));
        assert_eq!(due(&policy, &Seen { since_end: None, ..all }), Some(Trigger::StateBytes));
    }

    #[test]
    fn a_time_of_the_clock_is_due_once_it_has_come() {
        let policy = Policy { timing: Timing::At(Calendar::cron("0 */6 * * *").unwrap()), ..NEVER };
        let at = |now: &str| Seen {
            now: now.parse().unwrap(),
            next_at: Some("2026-11-22T06:00:00Z".parse().unwrap()),
            since_last: seconds(1 << 30),
            ..quiet()
        };
        assert_eq!(due(&policy, &at("2026-11-22T05:59:59Z")), None);
        assert_eq!(due(&policy, &at("2026-11-22T06:00:00Z")), Some(Trigger::Schedule));
        assert_eq!(due(&policy, &at("2026-11-25T01:00:00Z")), Some(Trigger::Schedule));
        assert_eq!(due(&policy, &Seen { next_at: None, ..at("2026-11-25T01:00:00Z") }), None);
    }

    #[test]
    fn jitter_delays_scheduled_ones_by_different_times_below_it() {
        let policy = Policy { timing: Timing::After(seconds(10)), jitter: seconds(2), ..NEVER };
        let delays: Vec<Duration> = (0..100).map(|cuts| policy.delay(cuts)).collect();
        assert!(delays.iter().all(|delay| *delay < seconds(2)));
        assert!(delays.iter().any(|delay| *delay > seconds(1)) && delays.iter().any(|delay| *delay < seconds(1)));
        assert_ne!(Policy { seed: 8, ..policy.clone() }.delay(0), delays[0]);
        for (cuts, delay) in delays.into_iter().enumerate() {
            let seen = Seen { since_last: seconds(10) + delay, cuts: cuts as u64, ..quiet() };
            assert_eq!(due(&policy, &seen), Some(Trigger::Schedule));
            let before = Seen { since_last: seen.since_last - Duration::from_micros(1), ..seen };
            assert_eq!(due(&policy, &before), None);
        }
    }
}
