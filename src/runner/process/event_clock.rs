//! The event time of a run: one clock for all partitions, or one for each task.

use crate::runner::process::task_time::{TaskClock, TimeSteps};
use crate::runner::process::time_spans::TimeSpans;
use crate::runner::process::watermark::{Advance, Clock, NEVER};

/// The event time after some number of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventClock {
    /// All partitions together decide.
    Shared(Clock),
    /// Each partition is a task with a clock of its own. By stream, which is the number of the task.
    ByTask(Vec<TaskClock>),
}

/// The times of a block's records, as a clock needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// For [`EventClock::Shared`].
    Spans(TimeSpans),
    /// For [`EventClock::ByTask`].
    Steps(TimeSteps),
}

impl Times {
    /// Adds the time of the next record.
    #[inline]
    pub fn add(&mut self, time: i64) {
        match self {
            Times::Spans(spans) => spans.add(time),
            Times::Steps(steps) => steps.add(time),
        }
    }

    /// Returns the largest time of all.
    pub fn largest(&self) -> Option<i64> {
        match self {
            Times::Spans(spans) => spans.largest(),
            Times::Steps(steps) => steps.largest(),
        }
    }
}

impl EventClock {
    /// Applies a block of `stream`, whose `records` have these times. The streams in `released` no longer hold a shared clock
    /// back.
    pub fn advance(&mut self, stream: usize, records: u64, times: &Times, released: &[u32]) -> Advance {
        match (self, times) {
            (EventClock::Shared(clock), Times::Spans(spans)) => clock.advance(stream, records, spans, released),
            (EventClock::ByTask(clocks), Times::Steps(steps)) => {
                let Some(clock) = clocks.get_mut(stream) else { return Advance::default() };
                let before = clock.watermark();
                let early = clock.take_all(steps);
                Advance { moved: clock.watermark() != before, early }
            }
            _ => unreachable!("the times are those that the clock needs"),
        }
    }

    /// Takes in the time of a record of `stream`. Returns the watermark of its task if that has one and it has moved.
    #[inline]
    pub fn take(&mut self, stream: usize, time: i64) -> Option<i64> {
        let EventClock::ByTask(clocks) = self else { return None };
        let clock = clocks.get_mut(stream)?;
        clock.take(time).then(|| clock.watermark())
    }

    /// Returns the watermark that counts for the records of `stream`, or [`NEVER`] if there is none yet.
    pub fn watermark_of(&self, stream: usize) -> i64 {
        match self {
            EventClock::Shared(clock) => clock.watermark(),
            EventClock::ByTask(clocks) => clocks.get(stream).map_or(NEVER, TaskClock::watermark),
        }
    }

    /// Returns the watermark: of the task that is furthest behind, if there are several. Those without one do not count.
    pub fn watermark(&self) -> Option<i64> {
        let watermark = match self {
            EventClock::Shared(clock) => Some(clock.watermark()),
            EventClock::ByTask(clocks) => clocks.iter().map(TaskClock::watermark).filter(|at| *at != NEVER).min(),
        };
        watermark.filter(|watermark| *watermark != NEVER)
    }

    /// Returns the largest time of `stream` so far.
    pub fn time(&self, stream: usize) -> Option<i64> {
        match self {
            EventClock::Shared(clock) => clock.time(stream),
            EventClock::ByTask(clocks) => clocks.get(stream).and_then(TaskClock::time),
        }
    }

    /// Returns what takes the times of a block.
    pub fn times(&self, ahead_millis: i64) -> Times {
        match self {
            EventClock::Shared(_) => Times::Spans(TimeSpans::new(ahead_millis)),
            EventClock::ByTask(_) => Times::Steps(TimeSteps::new(ahead_millis)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_without_records_has_no_watermark_and_holds_none_back() {
        let mut clock = EventClock::ByTask(vec![TaskClock::new(10, 1_000); 3]);
        assert_eq!((clock.watermark(), clock.watermark_of(0), clock.time(0)), (None, NEVER, None));
        assert_eq!(clock.take(1, 500), Some(490));
        assert_eq!(clock.take(2, 300), Some(290));
        assert_eq!(clock.take(2, 299), None);
        assert_eq!((clock.watermark(), clock.watermark_of(1), clock.time(2)), (Some(290), 490, Some(300)));
        let mut times = clock.times(1_000);
        [600, 900, 5_000].iter().for_each(|time| times.add(*time));
        assert_eq!(
            (clock.advance(2, 3, &times, &[]), times.largest()),
            (Advance { moved: true, early: 1 }, Some(5_000))
        );
        assert_eq!((clock.watermark(), clock.watermark_of(2)), (Some(490), 890));
    }
}
