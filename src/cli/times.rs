//! Times for people: RFC 3339 in one zone, as `STORE@TIME` and `--since` read them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Shows times in a zone, with the offset, or with `Z` in UTC.
#[derive(Debug, Clone)]
pub struct Times {
    zone: TimeZone,
    precision: Precision,
}

/// How many digits a fraction of a second has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Seconds,
    Milliseconds,
    /// As many as the time has.
    Full,
}

impl Times {
    /// Shows each time in full.
    pub(super) fn exact(zone: TimeZone) -> Times {
        Times { zone, precision: Precision::Full }
    }

    /// Shows a column of times to the second, or in full if two of them would look alike.
    pub(super) fn column(zone: TimeZone, times: impl IntoIterator<Item = Timestamp>) -> Times {
        let different: BTreeSet<Timestamp> = times.into_iter().collect();
        let seconds: BTreeSet<i64> = different.iter().map(|time| time.as_second()).collect();
        let are_milliseconds = different.iter().all(|time| time.subsec_nanosecond() % 1_000_000 == 0);
        let precision = match seconds.len() < different.len() {
            false => Precision::Seconds,
            true if are_milliseconds => Precision::Milliseconds,
            true => Precision::Full,
        };
        Times { zone, precision }
    }

    /// Returns `time` as text, such as `2026-11-22T14:00:00+01:00`.
    pub fn show(&self, time: Timestamp) -> String {
        let digits = match self.precision {
            Precision::Seconds => Some(0),
            Precision::Milliseconds => Some(3),
            Precision::Full => None,
        };
        if matches!(self.zone.iana_name(), Some("UTC" | "Etc/UTC")) {
            return digits.map_or_else(|| time.to_string(), |digits| format!("{time:.digits$}"));
        }
        let local = time.display_with_offset(self.zone.to_offset(time));
        digits.map_or_else(|| local.to_string(), |digits| format!("{local:.digits$}"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;

    use super::*;

    #[test]
    fn a_time_has_its_offset_and_can_be_read_again() {
        let time: Timestamp = "2026-11-22T14:00:00.25Z".parse().unwrap();
        let zone = TimeZone::fixed(Offset::constant(-5));
        assert_eq!(Times::exact(zone.clone()).show(time), "2026-11-22T09:00:00.25-05:00");
        assert_eq!(Times::exact(TimeZone::UTC).show(time), "2026-11-22T14:00:00.25Z");
        assert_eq!(Times::exact(zone).show(time).parse::<Timestamp>().unwrap(), time);
    }

    #[test]
    fn a_column_shows_fractions_only_where_two_times_would_look_alike() {
        let [a, b, c] = ["14:00:00.25Z", "14:00:00.75Z", "14:00:01.5Z"]
            .map(|time| format!("2026-11-22T{time}").parse::<Timestamp>().unwrap());
        assert_eq!(Times::column(TimeZone::UTC, [a, c, a]).show(a), "2026-11-22T14:00:00Z");
        let column = Times::column(TimeZone::UTC, [a, b, c]);
        assert_eq!([a, c].map(|time| column.show(time)), ["2026-11-22T14:00:00.250Z", "2026-11-22T14:00:01.500Z"]);
        let fine = "2026-11-22T14:00:00.000001Z".parse().unwrap();
        assert_eq!(Times::column(TimeZone::UTC, [a, fine]).show(a), "2026-11-22T14:00:00.25Z");
        assert_eq!(
            Times::column(TimeZone::fixed(Offset::constant(1)), [a, b]).show(b),
            "2026-11-22T15:00:00.750+01:00"
        );
    }
}
