//! Why records of a run were bad: how often each reason occurred, with an example.

use crate::runner::rejected::{RecordOffset, Rejected};

/// The most reasons that are told apart. The others are counted together.
const MAX_REASONS: usize = 20;

/// The most bytes of an example that are kept.
const EXAMPLE_BYTES: usize = 200;

/// A reason why records are bad.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadReason {
    pub count: u64,
    /// The first such record, in the order of the input.
    pub example: BadExample,
}

/// A bad record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadExample {
    pub partition: String,
    pub offset: RecordOffset,
    /// The number of the record in the partition, from 0.
    pub record: u64,
    pub reason: String,
    /// Its first bytes.
    pub beginning: String,
}

/// Counts what is bad by reason. `E` is the first example of each reason.
#[derive(Debug)]
pub struct BadReasons<E> {
    reasons: Vec<Counted<E>>,
}

/// Records that are bad for one reason. The last reason stands for all others.
#[derive(Debug)]
struct Counted<E> {
    kind: String,
    count: u64,
    example: E,
}

impl<E> Default for BadReasons<E> {
    fn default() -> BadReasons<E> {
        BadReasons { reasons: Vec::new() }
    }
}

impl<E> BadReasons<E> {
    /// Counts `count` records. `example` is asked for if the reason is new.
    fn add(&mut self, kind: &str, count: u64, example: impl FnOnce() -> E) {
        let is_full = self.reasons.len() == MAX_REASONS;
        let known = self.reasons.iter().position(|known| known.kind == kind);
        match known.or_else(|| is_full.then_some(MAX_REASONS - 1)) {
            Some(at) => self.reasons[at].count += count,
            None => self.reasons.push(Counted { kind: kind.to_owned(), count, example: example() }),
        }
    }
}

impl BadReasons<Rejected> {
    /// Counts a bad record of a block.
    pub fn count(&mut self, reason: &str, rejected: impl Fn(usize) -> Rejected) {
        self.add(&kind_of(reason), 1, || rejected(EXAMPLE_BYTES));
    }
}

impl BadReasons<BadExample> {
    /// Adds the bad records of a block of `partition`, whose first record has the number `first_record`.
    pub fn extend(
        &mut self,
        block: BadReasons<Rejected>,
        partition: &str,
        first_record: u64,
        offset_of: impl Fn(u64) -> RecordOffset,
    ) {
        for Counted { kind, count, example } in block.reasons {
            self.add(&kind, count, || BadExample {
                partition: partition.to_owned(),
                offset: offset_of(example.offset),
                record: first_record + example.index,
                reason: example.reason,
                beginning: String::from_utf8_lossy(&example.bytes).into_owned(),
            });
        }
    }

    /// Returns the reasons, the most frequent first.
    pub fn sorted(&self) -> Vec<BadReason> {
        let mut reasons: Vec<BadReason> =
            self.reasons.iter().map(|one| BadReason { count: one.count, example: one.example.clone() }).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        reasons
    }
}

/// Returns a reason without its numbers and without what is in backquotes beside a name in front, so that the same
/// mistake in two records is one reason.
fn kind_of(reason: &str) -> String {
    let mut kind = String::new();
    // The first name in backquotes is that of the field.
    for (index, part) in reason.split('`').enumerate() {
        match index {
            1 => kind += part,
            index if index % 2 == 1 => kind.push('`'),
            _ => kind.extend(part.chars().filter(|c| !c.is_ascii_digit())),
        }
    }
    kind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_the_same_whatever_the_value_is() {
        for (one, other, is_same) in [
            ("malformed JSON at byte 1: expected `{`", "malformed JSON at byte 27: expected `{`", true),
            (
                "field `a` is text, expected a number, found `x`",
                "field `a` is text, expected a number, found `y`",
                true,
            ),
            ("field `a` is text", "field `b` is text", false),
            ("invalid UTF-8 at byte 3", "is longer than 3 bytes", false),
        ] {
            assert_eq!(kind_of(one) == kind_of(other), is_same, "{one} {other}");
        }
    }

    #[test]
    fn reasons_beyond_the_limit_are_counted_together() {
        let mut reasons = BadReasons::default();
        for number in 0..30 {
            let rejected = Rejected { index: number, offset: 0, reason: String::new(), bytes: Vec::new() };
            let letter = char::from(b'a' + (number % 26) as u8);
            reasons.count(&format!("field `{letter}`"), |_| rejected.clone());
        }
        let mut all = BadReasons::default();
        all.extend(reasons, "p", 100, RecordOffset::Byte);
        let sorted = all.sorted();
        assert_eq!(sorted.iter().map(|reason| reason.count).sum::<u64>(), 30);
        assert_eq!((sorted.len(), sorted[0].count, sorted[0].example.record), (20, 7, 119));
        assert_eq!((sorted[1].count, sorted[1].example.record), (2, 100));
    }
}
