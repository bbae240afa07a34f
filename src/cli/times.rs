//! Times for people: RFC 3339 in one zone, as `STORE@TIME` and `--since` read them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Shows times in a zone, with the offset, or with `Z` in UTC.
#[derive(Debug, Clone)]
pub struct Times {
    zone: TimeZone,
    /// Whether fractions of a second are shown.
    is_exact: bool,
}

impl Times {
    /// Shows each time in full.
    pub(super) fn exact(zone: TimeZone) -> Times {
        Times { zone, is_exact: true }
    }

    /// Shows a column of times to the second, or in full if two of them would look alike.
    pub(super) fn column(zone: TimeZone, times: impl IntoIterator<Item = Timestamp>) -> Times {
        let different: BTreeSet<Timestamp> = times.into_iter().collect();
        let seconds: BTreeSet<i64> = different.iter().map(|time| time.as_second()).collect();
        Times { zone, is_exact: seconds.len() < different.len() }
    }

    /// Returns `time` as text, such as `2026-11-22T14:00:00+01:00`.
    pub fn show(&self, time: Timestamp) -> String {
        let whole = if self.is_exact { None } else { Timestamp::from_second(time.as_second()).ok() };
        let time = whole.unwrap_or(time);
        if matches!(self.zone.iana_name(), Some("UTC" | "Etc/UTC")) {
            return time.to_string();
        }
        time.display_with_offset(self.zone.to_offset(time)).to_string()
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
        assert_eq!(Times::column(TimeZone::UTC, [a, b, c]).show(a), "2026-11-22T14:00:00.25Z");
    }
}
