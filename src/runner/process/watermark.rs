//! Event time: how far the input has come, by what its records say of when they happened.
//!
//! The watermark is the time before which no more records are expected: the smallest, over the partitions that hold it back, of the largest time that each
//! has given, less the lateness that the job allows. It never goes back. A partition holds the watermark back from the start on, also before it is read, and
//! until it has ended: so records of a file that is read later are not late. Once none holds it back, the watermark follows the largest time of all.
//!
//! Every thread has a clock of its own and moves it by the same blocks in the same order. So the time at which a record is applied, and with it which windows are
//! closed then, is a function of the input alone.

/// The clock after some number of blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    late_millis: i64,
    partitions: Vec<Hand>,
    /// Partitions that hold the watermark back and have given no time yet.
    unknown: usize,
    watermark: i64,
}

/// What one partition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hand {
    /// The largest time, [`NEVER`] when there is none yet.
    time: i64,
    holds: bool,
}

/// Before all times.
pub const NEVER: i64 = i64::MIN;

impl Clock {
    /// Makes the clock of `partitions` partitions, all of which hold it back.
    pub fn new(partitions: usize, late_millis: i64) -> Clock {
        let hand = Hand { time: NEVER, holds: true };
        Clock { late_millis, partitions: vec![hand; partitions], unknown: partitions, watermark: NEVER }
    }

    /// Sets a partition to what a checkpoint says of it.
    pub fn resume(&mut self, partition: usize, time: Option<i64>, ended: bool, watermark: Option<i64>) {
        self.set(partition, Hand { time: time.unwrap_or(NEVER), holds: !ended });
        self.watermark = self.watermark.max(watermark.unwrap_or(NEVER));
    }

    /// Takes in a block of `partition` whose records have `time` as their largest. `released` are the partitions that do not hold the
    /// watermark back any more, until they give another block. Returns whether the watermark has moved.
    pub fn advance(&mut self, partition: usize, time: Option<i64>, released: &[u32]) -> bool {
        let before = *self.hand(partition);
        let after = Hand { time: before.time.max(time.unwrap_or(NEVER)), holds: true };
        // What another partition holds back, this one does not move.
        let mut may_move = before != after;
        self.set(partition, after);
        for &partition in released {
            let hand = *self.hand(partition as usize);
            may_move |= hand.holds;
            self.set(partition as usize, Hand { holds: false, ..hand });
        }
        may_move && self.unknown == 0 && self.move_on()
    }

    /// Moves the watermark to `time` at least, as at the end of the input. Returns whether it has moved.
    pub fn move_to(&mut self, time: i64) -> bool {
        let moves = time > self.watermark;
        self.watermark = self.watermark.max(time);
        moves
    }

    /// Returns the watermark; [`NEVER`] before there is one.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// Returns the largest time that `partition` has given.
    pub fn time(&self, partition: usize) -> Option<i64> {
        self.partitions.get(partition).map(|hand| hand.time).filter(|time| *time != NEVER)
    }

    /// Returns the largest time of all.
    pub fn largest(&self) -> Option<i64> {
        self.partitions.iter().map(|hand| hand.time).max().filter(|time| *time != NEVER)
    }

    fn move_on(&mut self) -> bool {
        let held = self.partitions.iter().filter(|hand| hand.holds).map(|hand| hand.time).min();
        match held.or_else(|| self.largest()) {
            Some(time) => self.move_to(time.saturating_sub(self.late_millis)),
            None => false,
        }
    }

    fn set(&mut self, partition: usize, after: Hand) {
        let hand = self.hand(partition);
        let is_unknown = |hand: &Hand| hand.holds && hand.time == NEVER;
        let (was, is) = (is_unknown(hand), is_unknown(&after));
        *hand = after;
        self.unknown = self.unknown + usize::from(is) - usize::from(was);
    }

    /// Returns what a partition says. One that came while the run went on does not hold the watermark back before its first block.
    fn hand(&mut self, partition: usize) -> &mut Hand {
        if partition >= self.partitions.len() {
            self.partitions.resize(partition + 1, Hand { time: NEVER, holds: false });
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
    fn a_clock_goes_on_from_a_checkpoint() {
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
        assert!(!with_another.advance(5, Some(10), &[5]), "one that came while the run went on");
    }
}
