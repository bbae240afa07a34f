//! When a checkpoint is due.

use std::time::Duration;

use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::format::manifest::Trigger;
use crate::job::calendar::Calendar;

/// What the job file says about when a checkpoint is due.
#[derive(Debug, Clone)]
pub struct TriggerPolicy {
    pub times: DueTimes,
    /// Due when this many bytes of rows have changed.
    pub state_bytes: Option<u64>,
    /// Due when this many records were applied.
    pub records: Option<u64>,
    /// How long after an attempt has ended the next one may begin, unless it is requested.
    pub min_pause: Duration,
    /// Scheduled checkpoints are delayed by less than this.
    pub jitter: Duration,
    /// Determines the delays.
    pub seed: u64,
}

/// The schedule.
#[derive(Debug, Clone)]
pub enum DueTimes {
    /// Never.
    None,
    /// This long after the last one began.
    After(Duration),
    /// At calendar times.
    At(Calendar),
}

/// What the policy looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerInputs {
    pub now: Timestamp,
    /// The next calendar time that was not served, or the last one that was missed.
    pub next_at: Option<Timestamp>,
    /// Time since the last cut, or since the start.
    pub since_last: Duration,
    /// Time since the last attempt ended; nothing if there was none.
    pub since_end: Option<Duration>,
    /// Cuts so far, which makes the delays of scheduled checkpoints differ.
    pub cuts: u64,
    /// Bytes of rows that changed since the last cut.
    pub changed_bytes: u64,
    /// Whether a changed shard has waited as long as it may, in mode priority.
    pub is_stale: bool,
    /// Records applied since the last cut.
    pub records: u64,
    /// Whether a signal requested one.
    pub signalled: bool,
    /// Whether one was requested through the store.
    pub requested: bool,
}

/// Returns what makes a checkpoint due now, if anything does.
pub fn due(policy: &TriggerPolicy, inputs: &TriggerInputs) -> Option<Trigger> {
    // A request does not wait.
    if inputs.requested {
        return Some(Trigger::Request);
    }
    if inputs.signalled {
        return Some(Trigger::Signal);
    }
    if inputs.since_end.is_some_and(|since| since < policy.min_pause) {
        return None;
    }
    if inputs.is_stale {
        return Some(Trigger::Schedule);
    }
    if policy.state_bytes.is_some_and(|bytes| inputs.changed_bytes >= bytes) {
        return Some(Trigger::StateBytes);
    }
    if policy.records.is_some_and(|records| inputs.records >= records) {
        return Some(Trigger::Records);
    }
    let delay = policy.delay(inputs.cuts);
    let is_time = match &policy.times {
        DueTimes::None => false,
        DueTimes::After(interval) => inputs.since_last >= interval.saturating_add(delay),
        DueTimes::At(_) => inputs.next_at.is_some_and(|at| at.checked_add(delay).is_ok_and(|at| inputs.now >= at)),
    };
    is_time.then_some(Trigger::Schedule)
}

impl TriggerPolicy {
    /// Returns the delay of the next scheduled checkpoint after `cuts` cuts, which is less than
    /// [`TriggerPolicy::jitter`].
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

    const NEVER: TriggerPolicy = TriggerPolicy {
        times: DueTimes::None,
        state_bytes: None,
        records: None,
        min_pause: Duration::ZERO,
        jitter: Duration::ZERO,
        seed: 7,
    };

    fn quiet() -> TriggerInputs {
        TriggerInputs {
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
        let policy =
            TriggerPolicy { times: DueTimes::After(seconds(10)), state_bytes: Some(1000), records: Some(50), ..NEVER };
        let almost = TriggerInputs { since_last: seconds(9), changed_bytes: 999, records: 49, ..quiet() };
        for (inputs, expected) in [
            (almost, None),
            (TriggerInputs { since_last: seconds(10), ..almost }, Some(Trigger::Schedule)),
            (TriggerInputs { changed_bytes: 1000, ..almost }, Some(Trigger::StateBytes)),
            (TriggerInputs { records: 50, ..almost }, Some(Trigger::Records)),
            (TriggerInputs { is_stale: true, ..almost }, Some(Trigger::Schedule)),
            (TriggerInputs { signalled: true, ..almost }, Some(Trigger::Signal)),
            (TriggerInputs { requested: true, ..almost }, Some(Trigger::Request)),
            (TriggerInputs { requested: true, signalled: true, records: 50, ..almost }, Some(Trigger::Request)),
        ] {
            assert_eq!(due(&policy, &inputs), expected, "{inputs:?}");
        }
        let much = TriggerInputs { since_last: seconds(1 << 40), changed_bytes: 1 << 60, records: 1 << 60, ..quiet() };
        assert_eq!(due(&NEVER, &much), None);
    }

    #[test]
    fn only_a_request_does_not_wait_for_the_pause_to_end() {
        let times = DueTimes::After(seconds(1));
        let policy = TriggerPolicy { times, state_bytes: Some(1), records: Some(1), min_pause: seconds(5), ..NEVER };
        let all = TriggerInputs {
            since_last: seconds(9),
            changed_bytes: 1,
            records: 1,
            since_end: Some(seconds(4)),
            ..quiet()
        };
        assert_eq!(due(&policy, &all), None);
        assert_eq!(due(&policy, &TriggerInputs { signalled: true, ..all }), Some(Trigger::Signal));
        assert_eq!(due(&policy, &TriggerInputs { since_end: Some(seconds(5)), ..all }), Some(Trigger::StateBytes));
        assert_eq!(due(&policy, &TriggerInputs { since_end: None, ..all }), Some(Trigger::StateBytes));
    }

    #[test]
    fn a_calendar_time_is_due_once_it_has_come() {
        let policy = TriggerPolicy { times: DueTimes::At(Calendar::cron("0 */6 * * *").unwrap()), ..NEVER };
        let at = |now: &str| TriggerInputs {
            now: now.parse().unwrap(),
            next_at: Some("2026-11-22T06:00:00Z".parse().unwrap()),
            since_last: seconds(1 << 30),
            ..quiet()
        };
        assert_eq!(due(&policy, &at("2026-11-22T05:59:59Z")), None);
        assert_eq!(due(&policy, &at("2026-11-22T06:00:00Z")), Some(Trigger::Schedule));
        assert_eq!(due(&policy, &at("2026-11-25T01:00:00Z")), Some(Trigger::Schedule));
        assert_eq!(due(&policy, &TriggerInputs { next_at: None, ..at("2026-11-25T01:00:00Z") }), None);
    }

    #[test]
    fn jitter_delays_scheduled_checkpoints_by_different_times_below_it() {
        let policy = TriggerPolicy { times: DueTimes::After(seconds(10)), jitter: seconds(2), ..NEVER };
        let delays: Vec<Duration> = (0..100).map(|cuts| policy.delay(cuts)).collect();
        assert!(delays.iter().all(|delay| *delay < seconds(2)));
        assert!(delays.iter().any(|delay| *delay > seconds(1)) && delays.iter().any(|delay| *delay < seconds(1)));
        assert_ne!(TriggerPolicy { seed: 8, ..policy.clone() }.delay(0), delays[0]);
        for (cuts, delay) in delays.into_iter().enumerate() {
            let inputs = TriggerInputs { since_last: seconds(10) + delay, cuts: cuts as u64, ..quiet() };
            assert_eq!(due(&policy, &inputs), Some(Trigger::Schedule));
            let before = TriggerInputs { since_last: inputs.since_last - Duration::from_micros(1), ..inputs };
            assert_eq!(due(&policy, &before), None);
        }
    }
}
