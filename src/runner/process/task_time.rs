//! Event time by task, for jobs whose tasks are the partitions of a topic.
//!
//! Each task has a clock that only its own records move, one after another, in their order. So what is late, when a window
//! closes and when a key expires depend on the records of the partition alone: not on who reads it, on how the
//! partitions take turns, on where blocks end, or on where a run was resumed.
//!
//! The watermark of a task is the largest time of its records, minus the lateness that the job allows. A record whose time is
//! more than `ahead` past that largest time is early: it does not move the clock. The first one is always believed.

use crate::runner::process::watermark::NEVER;

/// The event time of one task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskClock {
    late_millis: i64,
    /// How far a record may move the clock.
    ahead_millis: i64,
    /// The largest time of a record that is not early, or [`NEVER`].
    time: i64,
    watermark: i64,
}

impl TaskClock {
    /// Makes the clock of a task without records.
    pub fn new(late_millis: i64, ahead_millis: i64) -> TaskClock {
        TaskClock { late_millis, ahead_millis, time: NEVER, watermark: NEVER }
    }

    /// Restores the clock from a checkpoint.
    pub fn resume(&mut self, time: Option<i64>, watermark: Option<i64>) {
        (self.time, self.watermark) = (time.unwrap_or(NEVER), watermark.unwrap_or(NEVER));
    }

    /// Takes in the time of the next record. Returns whether the watermark has moved.
    #[inline]
    pub fn take(&mut self, time: i64) -> bool {
        if self.accepts(time) {
            self.time = self.time.max(time);
        }
        self.move_to(self.time.saturating_sub(self.late_millis))
    }

    /// Takes in the times of the next records. Returns the number of early ones.
    pub fn take_all(&mut self, times: &TimeSteps) -> u64 {
        let mut early = 0;
        for step in &times.steps {
            if self.accepts(step.first) {
                self.time = self.time.max(step.last);
            } else {
                early += step.records;
            }
            self.move_to(self.time.saturating_sub(self.late_millis));
        }
        early
    }

    /// Moves the watermark to at least `time`, as at the end of the input. Returns whether it has moved.
    pub fn move_to(&mut self, time: i64) -> bool {
        let moves = time > self.watermark;
        self.watermark = self.watermark.max(time);
        moves
    }

    /// Returns the largest time of a record that is not early.
    pub fn time(&self) -> Option<i64> {
        Some(self.time).filter(|time| *time != NEVER)
    }

    /// Returns the watermark, or [`NEVER`] if there is none yet.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    fn accepts(&self, time: i64) -> bool {
        self.time == NEVER || time <= self.time.saturating_add(self.ahead_millis)
    }
}

/// The times of records in their order, as far as a clock needs them.
///
/// Records that follow one another are one step if all of them are early whenever the first one is, and none of them
/// otherwise. So a step needs only its first time and its largest one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSteps {
    ahead_millis: i64,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Step {
    /// The smallest time as well.
    first: i64,
    last: i64,
    records: u64,
}

impl TimeSteps {
    pub fn new(ahead_millis: i64) -> TimeSteps {
        TimeSteps { ahead_millis, steps: Vec::new() }
    }

    /// Adds the time of the next record.
    #[inline]
    pub fn add(&mut self, time: i64) {
        let ahead = self.ahead_millis;
        match self.steps.last_mut() {
            Some(step) if step.first <= time && time <= step.last.saturating_add(ahead) => {
                step.last = step.last.max(time);
                step.records += 1;
            }
            _ => self.steps.push(Step { first: time, last: time, records: 1 }),
        }
    }

    /// Returns the largest time of all.
    pub fn largest(&self) -> Option<i64> {
        self.steps.iter().map(|step| step.last).max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clock_follows_the_largest_time_and_never_goes_back() {
        let mut clock = TaskClock::new(10, 1_000);
        assert_eq!((clock.time(), clock.watermark()), (None, NEVER));
        assert!(clock.take(100) && clock.watermark() == 90);
        assert!(!clock.take(95) && clock.watermark() == 90);
        assert!(!clock.take(1_101), "it is early");
        assert!(clock.take(1_100) && clock.take(1_101), "step by step, it is not");
        assert_eq!((clock.time(), clock.watermark()), (Some(1_101), 1_091));
        assert!(clock.move_to(5_000) && !clock.take(2_000) && clock.watermark() == 5_000);
        let mut resumed = TaskClock::new(10, 1_000);
        resumed.resume(clock.time(), Some(clock.watermark()));
        assert_eq!(resumed, clock);
    }

    #[test]
    fn a_clock_with_less_lateness_than_before_catches_up_with_the_next_record() {
        let mut clock = TaskClock::new(10, 1_000);
        clock.resume(Some(500), Some(400));
        assert!(clock.take(3) && clock.watermark() == 490);
    }

    proptest! {
        /// However the records are divided into blocks, the clock is the same, and it is that of one record after another.
        #[test]
        fn a_clock_does_not_depend_on_where_blocks_end(
            blocks in proptest::collection::vec(proptest::collection::vec(0..60i64, 0..12), 0..8),
            known in proptest::option::of(0..60i64),
        ) {
            let mut by_block = TaskClock::new(3, 7);
            by_block.resume(known, known);
            let mut one_by_one = by_block;
            for block in &blocks {
                let mut steps = TimeSteps::new(7);
                let mut early = 0;
                for &time in block {
                    steps.add(time);
                    early += u64::from(one_by_one.time().is_some_and(|known| time > known + 7));
                    one_by_one.take(time);
                }
                prop_assert_eq!(by_block.take_all(&steps), early);
                prop_assert_eq!(by_block, one_by_one);
                prop_assert_eq!(steps.largest(), block.iter().copied().max());
            }
        }
    }
}
