//! The watermark: how far the input has come in event time.
//!
//! No more records are expected before the watermark. It is the smallest, over the partitions that hold it back, of the
//! largest time seen in each, minus the lateness that the job allows. It never moves back. A partition holds the
//! watermark back from the start, even before it is read, until it has ended, so the records of a file that is read
//! later are not late. Once no partition holds the watermark back, it follows the largest time of all.
//!
//! Every thread has its own clock and advances it by the same blocks in the same order. So the time at which a record
//! is applied, and the set of windows that are closed by then, depend on the input alone.

/// The event time after some number of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    late_millis: i64,
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
    holds: bool,
}

/// Earlier than all times.
pub const NEVER: i64 = i64::MIN;

impl Clock {
    /// Makes the clock of `partitions` partitions, all of which hold the watermark back.
    pub fn new(partitions: usize, late_millis: i64) -> Clock {
        let found = PartitionTime { time: NEVER, holds: true };
        Clock { late_millis, partitions: vec![found; partitions], unknown: partitions, watermark: NEVER }
    }

    /// Restores a partition from a checkpoint.
    pub fn resume(&mut self, partition: usize, time: Option<i64>, ended: bool, watermark: Option<i64>) {
        self.set(partition, PartitionTime { time: time.unwrap_or(NEVER), holds: !ended });
        self.watermark = self.watermark.max(watermark.unwrap_or(NEVER));
    }

    /// Applies a block of `partition`. `time` is the largest time of its records. The partitions in `released` no
    /// longer hold the watermark back, until their next block. Returns whether the watermark has moved.
    pub fn advance(&mut self, partition: usize, time: Option<i64>, released: &[u32]) -> bool {
        let before = *self.partition(partition);
        let after = PartitionTime { time: before.time.max(time.unwrap_or(NEVER)), holds: true };
        // If another partition holds the watermark back, this block does not move it.
        let mut may_move = before != after;
        self.set(partition, after);
        for &partition in released {
            let found = *self.partition(partition as usize);
            may_move |= found.holds;
            self.set(partition as usize, PartitionTime { holds: false, ..found });
        }
        may_move && self.unknown == 0 && self.advance_watermark()
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

    fn advance_watermark(&mut self) -> bool {
        let held = self.partitions.iter().filter(|found| found.holds).map(|found| found.time).min();
        match held.or_else(|| self.largest()) {
            Some(time) => self.move_to(time.saturating_sub(self.late_millis)),
            None => false,
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
            self.partitions.resize(partition + 1, PartitionTime { time: NEVER, holds: false });
        }
        &mut self.partitions[partition]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_partition_that_has_not_ended_holds_the_watermark_back() {
        let mut clock = Clock::new(3, 10);
        assert!(!clock.advance(0, Some(100), &[]) && !clock.advance(1, Some(50), &[]));
        assert_eq!(clock.watermark(), NEVER, "the third has given nothing yet");
        assert!(clock.advance(2, Some(70), &[]));
        assert_eq!(clock.watermark(), 40);
        assert!(!clock.advance(0, Some(200), &[]), "it is not the slowest");
        assert!(clock.advance(1, Some(90), &[]));
        assert_eq!(clock.watermark(), 60);
        assert!(!clock.advance(2, Some(60), &[]), "nothing goes back");
        assert!(clock.advance(2, None, &[2]));
        assert_eq!(clock.watermark(), 80, "the first two are left");
        assert!(clock.advance(1, None, &[1]) && clock.watermark() == 190);
        assert!(!clock.advance(0, None, &[0]) && clock.watermark() == 190, "none is left: the largest of all");
        assert!(clock.move_to(500) && !clock.move_to(400) && clock.watermark() == 500);
    }

    #[test]
    fn a_partition_that_ends_without_a_time_is_not_waited_for() {
        let mut clock = Clock::new(3, 0);
        assert!(!clock.advance(0, Some(5), &[1]));
        assert!(!clock.advance(2, None, &[]));
        assert!(clock.advance(2, None, &[2]) && clock.watermark() == 5);
        assert_eq!((clock.time(0), clock.time(1), clock.largest()), (Some(5), None, Some(5)));
    }

    #[test]
    fn a_clock_resumes_from_a_checkpoint() {
        let mut clock = Clock::new(2, 0);
        clock.advance(0, Some(30), &[]);
        clock.advance(1, Some(20), &[1]);
        let mut resumed = Clock::new(2, 0);
        resumed.resume(0, Some(30), false, Some(clock.watermark()));
        resumed.resume(1, Some(20), true, Some(clock.watermark()));
        assert_eq!(resumed, clock);
        let mut with_another = Clock::new(3, 0);
        with_another.resume(0, Some(30), false, Some(30));
        with_another.resume(1, Some(20), true, Some(30));
        assert!(!with_another.advance(2, Some(10), &[]) && with_another.watermark() == 30);
        assert!(!with_another.advance(5, Some(10), &[5]), "one that arrived during the run");
    }
}
