//! The watermark: how far the input has come in event time.
//!
//! No more records are expected before the watermark. It is the smallest, over the partitions that hold it back, of the
//! largest time seen in each, minus the lateness that the job allows. It never moves back. A partition holds the
//! watermark back from the start, even before it is read, until it has ended, so the records of a file that is read
//! later are not late. Once no partition holds the watermark back, it follows the largest time of all.
//!
//! A clock that is wrong must not move the watermark far into the future. So it never moves by more than `ahead` past
//! all known times. A record with a time beyond that is early: it is applied, but counts as if it had the largest known
//! time, so that it neither moves the watermark nor holds it back. What is known first may be wrong itself. So a
//! partition whose time is far past that of the partition with the most records does not count either.
//!
//! Every thread has its own clock and advances it by the same blocks in the same order. So the time at which a record
//! is applied, and the set of windows that are closed by then, depend on the input alone.

use std::cmp::Reverse;

use crate::runner::process::time_spans::TimeSpans;

/// The event time after some number of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    late_millis: i64,
    /// How far the watermark may move past all known times.
    ahead_millis: i64,
    partitions: Vec<PartitionTime>,
    /// The number of partitions that hold the watermark back and have no time yet.
    unknown: usize,
    watermark: i64,
}

/// The event time of one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct PartitionTime {
    /// The largest time so far, or [`NEVER`].
    time: i64,
    /// Bad records included.
    records: u64,
    holds: bool,
}

/// What a block did to the event time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advance {
    /// Whether the watermark has moved.
    pub moved: bool,
    /// The number of early records.
    pub early: u64,
}

/// Earlier than all times.
pub const NEVER: i64 = i64::MIN;

impl Clock {
    /// Makes the clock of `partitions` partitions, all of which hold the watermark back.
    pub fn new(partitions: usize, late_millis: i64, ahead_millis: i64) -> Clock {
        let found = PartitionTime { time: NEVER, records: 0, holds: true };
        let partitions = vec![found; partitions];
        Clock { late_millis, ahead_millis, unknown: partitions.len(), partitions, watermark: NEVER }
    }

    /// Restores a partition from a checkpoint.
    pub fn resume(&mut self, partition: usize, time: Option<i64>, records: u64, ended: bool, watermark: Option<i64>) {
        self.set(partition, PartitionTime { time: time.unwrap_or(NEVER), records, holds: !ended });
        self.watermark = self.watermark.max(watermark.unwrap_or(NEVER));
    }

    /// Applies a block of `partition`, whose `records` have these times. The partitions in `released` no longer hold the
    /// watermark back, until their next block.
    pub fn advance(&mut self, partition: usize, records: u64, times: &TimeSpans, released: &[u32]) -> Advance {
        let before = *self.partition(partition);
        let (time, early) = self.accept(before.time, times);
        let after = PartitionTime { time: before.time.max(time), records: before.records + records, holds: true };
        // If another partition holds the watermark back, this block does not move it.
        let mut may_move = (before.time, before.holds) != (after.time, after.holds);
        self.set(partition, after);
        for &partition in released {
            let found = *self.partition(partition as usize);
            may_move |= found.holds;
            self.set(partition as usize, PartitionTime { holds: false, ..found });
        }
        Advance { moved: may_move && self.unknown == 0 && self.advance_watermark(), early }
    }

    /// Returns the time to which a block moves its partition, which is at `own`, and the number of early records.
    fn accept(&self, own: i64, times: &TimeSpans) -> (i64, u64) {
        match times.largest() {
            None => return (NEVER, 0),
            Some(largest) if own != NEVER && largest <= own.saturating_add(self.ahead_millis) => return (largest, 0),
            Some(_) => {}
        }
        let known = self.reached().max(Some(own).filter(|own| *own != NEVER));
        let (time, early) = times.largest_until(known);
        (time.or(known).unwrap_or(NEVER), early)
    }

    /// Moves the watermark to at least `time`, as at the end of the input. Returns whether it has moved.
    pub fn move_to(&mut self, time: i64) -> bool {
        let moves = time > self.watermark;
        self.watermark = self.watermark.max(time);
        moves
    }

    /// Returns the watermark, or [`NEVER`] if there is none yet.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Returns the largest time of `partition` so far.
    pub fn time(&self, partition: usize) -> Option<i64> {
        self.partitions.get(partition).map(|found| found.time).filter(|time| *time != NEVER)
    }

    /// Returns the largest time so far.
    pub fn largest(&self) -> Option<i64> {
        self.partitions.iter().map(|found| found.time).max().filter(|time| *time != NEVER)
    }

    /// Returns the largest time that is known: of the partition with the most records, and of those that can be reached
    /// from it, or from the watermark, in steps of at most `ahead`.
    pub fn reached(&self) -> Option<i64> {
        let known = || self.partitions.iter().filter(|found| found.time != NEVER);
        let main = known().max_by_key(|found| (found.records, Reverse(found.time)))?;
        let watermark = self.watermark.saturating_add(if self.watermark == NEVER { 0 } else { self.late_millis });
        let mut reached = main.time.max(watermark);
        let ahead = self.ahead_millis;
        let mut further: Vec<i64> = known().map(|found| found.time).filter(|time| *time > reached).collect();
        further.sort_unstable();
        for time in further {
            if time > reached.saturating_add(ahead) {
                break;
            }
            reached = time;
        }
        Some(reached)
    }

    fn advance_watermark(&mut self) -> bool {
        let held = self.partitions.iter().filter(|found| found.holds).map(|found| found.time).min();
        let Some(reached) = self.reached() else { return false };
        match held.unwrap_or(reached) {
            time if time <= reached => self.move_to(time.saturating_sub(self.late_millis)),
            _ => false,
        }
    }

    fn set(&mut self, partition: usize, after: PartitionTime) {
        let found = self.partition(partition);
        let is_unknown = |found: &PartitionTime| found.holds && found.time == NEVER;
        let (was, is) = (is_unknown(found), is_unknown(&after));
        *found = after;
        self.unknown = self.unknown + usize::from(is) - usize::from(was);
    }

    /// Returns a partition. One that appeared during the run does not hold the watermark back before its first block.
    fn partition(&mut self, partition: usize) -> &mut PartitionTime {
        if partition >= self.partitions.len() {
            self.partitions.resize(partition + 1, PartitionTime { time: NEVER, records: 0, holds: false });
        }
        &mut self.partitions[partition]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AHEAD: i64 = 1_000;

    /// Applies a block with one record, or with none. Returns whether the watermark has moved.
    fn advance(clock: &mut Clock, partition: usize, time: Option<i64>, released: &[u32]) -> bool {
        let mut times = TimeSpans::new(AHEAD);
        time.iter().for_each(|time| times.add(*time));
        clock.advance(partition, 1, &times, released).moved
    }

    #[test]
    fn the_slowest_partition_that_has_not_ended_holds_the_watermark_back() {
        let mut clock = Clock::new(3, 10, AHEAD);
        assert!(!advance(&mut clock, 0, Some(100), &[]) && !advance(&mut clock, 1, Some(50), &[]));
        assert_eq!(clock.watermark(), NEVER, "the third has given nothing yet");
        assert!(advance(&mut clock, 2, Some(70), &[]));
        assert_eq!(clock.watermark(), 40);
        assert!(!advance(&mut clock, 0, Some(200), &[]), "it is not the slowest");
        assert!(advance(&mut clock, 1, Some(90), &[]));
        assert_eq!(clock.watermark(), 60);
        assert!(!advance(&mut clock, 2, Some(60), &[]), "nothing goes back");
        assert!(advance(&mut clock, 2, None, &[2]));
        assert_eq!(clock.watermark(), 80, "the first two are left");
        assert!(advance(&mut clock, 1, None, &[1]) && clock.watermark() == 190);
        assert!(!advance(&mut clock, 0, None, &[0]) && clock.watermark() == 190, "none is left: the largest of all");
        assert!(clock.move_to(500) && !clock.move_to(400) && clock.watermark() == 500);
    }

    #[test]
    fn a_partition_that_ends_without_a_time_is_not_waited_for() {
        let mut clock = Clock::new(3, 0, AHEAD);
        assert!(!advance(&mut clock, 0, Some(5), &[1]));
        assert!(!advance(&mut clock, 2, None, &[]));
        assert!(advance(&mut clock, 2, None, &[2]) && clock.watermark() == 5);
        assert_eq!((clock.time(0), clock.time(1), clock.largest()), (Some(5), None, Some(5)));
    }

    #[test]
    fn a_clock_resumes_from_a_checkpoint() {
        let mut clock = Clock::new(2, 0, AHEAD);
        advance(&mut clock, 0, Some(30), &[]);
        advance(&mut clock, 1, Some(20), &[1]);
        let mut resumed = Clock::new(2, 0, AHEAD);
        resumed.resume(0, Some(30), 1, false, Some(clock.watermark()));
        resumed.resume(1, Some(20), 1, true, Some(clock.watermark()));
        assert_eq!(resumed, clock);
        let mut with_another = Clock::new(3, 0, AHEAD);
        with_another.resume(0, Some(30), 1, false, Some(30));
        with_another.resume(1, Some(20), 1, true, Some(30));
        assert!(!advance(&mut with_another, 2, Some(10), &[]) && with_another.watermark() == 30);
        assert!(!advance(&mut with_another, 5, Some(10), &[5]), "one that appeared during the run");
    }

    #[test]
    fn an_early_record_does_not_move_the_watermark_nor_hold_it_back() {
        let block = |times: &[i64]| {
            let mut spans = TimeSpans::new(AHEAD);
            times.iter().for_each(|time| spans.add(*time));
            spans
        };
        let mut clock = Clock::new(2, 0, AHEAD);
        assert_eq!(clock.advance(0, 3, &block(&[10, 90_000, 20]), &[]), Advance { moved: false, early: 1 });
        assert_eq!(clock.advance(1, 1, &block(&[15]), &[]), Advance { moved: true, early: 0 });
        assert_eq!(clock.watermark(), 15);
        assert_eq!(clock.advance(0, 1, &block(&[1_020]), &[]), Advance { moved: false, early: 0 });
        assert_eq!(clock.advance(1, 1, &block(&[90_000]), &[]), Advance { moved: true, early: 1 });
        assert_eq!(clock.watermark(), 1_020, "the second has only an early record now");
        assert_eq!(clock.advance(1, 1, &block(&[2_000]), &[]), Advance { moved: false, early: 0 });
        assert!(clock.advance(0, 0, &block(&[]), &[0, 1]).moved && clock.watermark() == 2_000);
    }

    #[test]
    fn a_partition_with_a_wrong_clock_from_the_start_does_not_take_the_watermark_with_it() {
        for first in [0, 1] {
            let mut clock = Clock::new(2, 0, AHEAD);
            for partition in [first, 1 - first] {
                let (time, records) = if partition == 0 { (90_000, 1) } else { (500, 9) };
                let mut times = TimeSpans::new(AHEAD);
                times.add(time);
                clock.advance(partition, records, &times, &[partition as u32]);
            }
            assert_eq!((clock.watermark(), clock.reached()), (500, Some(500)), "{first} first");
        }
    }

    #[test]
    fn a_partition_that_was_read_step_by_step_is_not_early_however_far_behind_the_others_are() {
        let mut clock = Clock::new(2, 0, AHEAD);
        for time in (0..10).map(|step| step * 900) {
            advance(&mut clock, 0, Some(time), &[]);
        }
        assert!(advance(&mut clock, 1, Some(20), &[0]) && clock.watermark() == 20);
        assert!(advance(&mut clock, 1, None, &[1]) && clock.watermark() == 8_100);
    }
}
