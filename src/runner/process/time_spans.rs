//! The times of a block's records, as spans that are far apart.

/// The times of some records. Two times are in the same span if no step from one to the other, over the times between
/// them, is longer than `ahead`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeSpans {
    ahead_millis: i64,
    /// In ascending order. Mostly a single one.
    spans: Vec<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    first: i64,
    last: i64,
    records: u64,
}

impl TimeSpans {
    pub fn new(ahead_millis: i64) -> TimeSpans {
        TimeSpans { ahead_millis, spans: Vec::new() }
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Adds the time of a record.
    #[inline]
    pub fn add(&mut self, time: i64) {
        match self.spans.as_mut_slice() {
            [span] if span.first <= time && time <= span.last => span.records += 1,
            _ => self.add_outside(time),
        }
    }

    fn add_outside(&mut self, time: i64) {
        let ahead = self.ahead_millis;
        let place = self.spans.partition_point(|span| span.last.saturating_add(ahead) < time);
        let Some(span) = self.spans.get_mut(place).filter(|span| span.first <= time.saturating_add(ahead)) else {
            self.spans.insert(place, Span { first: time, last: time, records: 1 });
            return;
        };
        *span = Span { first: span.first.min(time), last: span.last.max(time), records: span.records + 1 };
        let span = *span;
        if let Some(next) = self.spans.get(place + 1).copied()
            && next.first <= span.last.saturating_add(ahead)
        {
            self.spans[place] = Span { first: span.first, last: next.last, records: span.records + next.records };
            self.spans.remove(place + 1);
        }
    }

    /// Returns the largest time that is not early, and the number of records that are.
    ///
    /// A record is early if its time is more than `ahead` past `known`, the largest time before this block, and past all
    /// other times that are not early. Without such a time, the span with the most records is not early; of two with as
    /// many, the first.
    pub fn largest_until(&self, known: Option<i64>) -> (Option<i64>, u64) {
        let bulk = self.spans.iter().rev().max_by_key(|span| span.records).map(|span| span.last);
        let Some(mut reached) = known.or(bulk) else { return (None, 0) };
        let mut largest = None;
        let mut early = 0;
        for span in &self.spans {
            if span.first <= reached.saturating_add(self.ahead_millis) {
                reached = reached.max(span.last);
                largest = Some(span.last);
            } else {
                early += span.records;
            }
        }
        (largest, early)
    }

    /// Returns the largest time of all.
    pub fn largest(&self) -> Option<i64> {
        self.spans.last().map(|span| span.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn spans(times: &[i64]) -> TimeSpans {
        let mut spans = TimeSpans::new(10);
        times.iter().for_each(|time| spans.add(*time));
        spans
    }

    #[test]
    fn a_time_that_is_far_past_the_others_is_early() {
        assert_eq!(spans(&[]).largest_until(Some(5)), (None, 0));
        assert_eq!(spans(&[5, 7, 900, 6]).largest_until(None), (Some(7), 1));
        assert_eq!(spans(&[900, 5, 7, 6]).largest_until(None), (Some(7), 1), "the order does not matter");
        assert_eq!(spans(&[900, 5]).largest_until(None), (Some(5), 1), "the first of two");
        assert_eq!(spans(&[1, 900, 901]).largest_until(None), (Some(901), 0), "the others are behind");
        assert_eq!(spans(&[900, 901]).largest_until(Some(5)), (None, 2));
        assert_eq!(spans(&[900, 901]).largest_until(Some(890)), (Some(901), 0));
        assert_eq!(spans(&[900, 901]).largest_until(Some(889)), (None, 2));
        assert_eq!(spans(&[15, 25, 35, 46]).largest_until(Some(5)), (Some(35), 1), "step by step");
        assert_eq!(spans(&[3, 2, 1]).largest_until(Some(500)), (Some(3), 0));
    }

    proptest! {
        #[test]
        fn spans_do_not_depend_on_the_order_of_the_records(
            mut times in proptest::collection::vec(0..200i64, 0..40), known in proptest::option::of(0..200i64),
        ) {
            let found = spans(&times);
            times.sort_unstable();
            prop_assert_eq!(&found, &spans(&times));
            let (largest, early) = found.largest_until(known);
            let mut reached = known.unwrap_or_else(|| largest.unwrap_or(0));
            for time in &times {
                reached = if *time <= reached + 10 { reached.max(*time) } else { reached };
            }
            let expected = times.iter().filter(|time| **time > reached).count() as u64;
            prop_assert_eq!(early, expected);
            prop_assert_eq!(largest, times.iter().copied().filter(|time| *time <= reached).max());
        }
    }
}
