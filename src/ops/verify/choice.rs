//! Which objects are read, if not all.

use std::collections::BTreeMap;
use std::fmt;

use crate::format::layout::ObjectName;

/// Which objects are read.
#[derive(Clone, Copy, Default)]
pub enum Choice<'a> {
    #[default]
    All,
    Sample(Sample),
    /// Those that have not been read for the longest time, one after another, until it is enough. Objects that were
    /// never read come first.
    Turn {
        read_times: &'a ReadTimes,
        /// Tells that no more objects are to be read.
        enough: &'a (dyn Fn() -> bool + Sync),
    },
}

impl fmt::Debug for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::All => f.write_str("All"),
            Choice::Sample(sample) => sample.fmt(f),
            Choice::Turn { .. } => f.write_str("Turn"),
        }
    }
}

/// One of `parts` equal parts of all objects, a different one each day: after that many days in a row all have been
/// read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// The number of parts, at least 1.
    pub parts: u64,
    /// The day, in days since 1970-01-01 UTC.
    pub day: u64,
}

impl Sample {
    /// Tells whether `object` is in the part: the first 8 bytes of its SHA-256, as a big-endian number, and the day
    /// have the same remainder.
    pub fn includes(&self, object: ObjectName) -> bool {
        let first: [u8; 8] = object.digest.as_bytes()[..8].try_into().expect("a digest is longer");
        u64::from_be_bytes(first) % self.parts == self.day % self.parts
    }
}

/// When objects were last read and found intact, in seconds since 1970, by replica.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadTimes {
    /// By the replica's place.
    pub places: BTreeMap<String, BTreeMap<ObjectName, i64>>,
}

impl ReadTimes {
    /// Returns when `object` was last read at `place`.
    pub fn at(&self, place: &str, object: ObjectName) -> Option<i64> {
        self.places.get(place)?.get(&object).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::layout::ObjectKind;
    use crate::values::digest::Digest;

    #[test]
    fn on_days_in_a_row_every_object_is_in_exactly_one_part() {
        for number in 0..500u32 {
            let object = ObjectName { digest: Digest::of(&number.to_le_bytes()), kind: ObjectKind::Parquet };
            for (parts, first_day) in [(1, 0), (2, 20_000), (7, 20_415), (30, 3)] {
                let days = first_day..first_day + parts;
                let included = days.filter(|&day| Sample { parts, day }.includes(object)).count();
                assert_eq!(included, 1, "{number} {parts}");
            }
        }
    }

    #[test]
    fn the_part_follows_from_the_digest_and_the_day_alone() {
        // The SHA-256 of "abc" begins with ba7816bf8f01cfea, which is 2 more than a multiple of 7.
        let object = ObjectName { digest: Digest::of(b"abc"), kind: ObjectKind::Yaml };
        assert_eq!(0xba78_16bf_8f01_cfea_u64 % 7, 2);
        let days = (0..14).filter(|&day| Sample { parts: 7, day }.includes(object));
        assert_eq!(days.collect::<Vec<_>>(), [2, 9]);
    }
}
