//! Windows of time: the windows of a record, and the keys of their rows.
//!
//! Windows start at multiples of `every` since 1970-01-01T00:00:00Z. A job with windows has one row for each key and
//! window that has a record. The key of the row is the key, `@`, and the start of the window in UTC as in RFC 3339:
//! `DE@2026-11-22T14:00:00Z`. It has milliseconds if windows can start within a second. A row's key is parsed from its
//! end, so the key itself may contain `@`.

use jiff::Timestamp;

use crate::job::model::WindowSpec;

/// How a job divides time into windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    every_millis: i64,
    length_millis: i64,
    has_fraction: bool,
}

impl Windows {
    pub fn new(spec: &WindowSpec) -> Windows {
        Windows::of(spec.every_millis, spec.length_millis)
    }

    pub(crate) fn of(every_millis: i64, length_millis: i64) -> Windows {
        Windows { every_millis, length_millis, has_fraction: every_millis % 1_000 != 0 }
    }

    pub(crate) fn every_millis(&self) -> i64 {
        self.every_millis
    }

    /// Returns the start of the latest window that holds `time`, in milliseconds.
    #[inline]
    pub fn latest_start(&self, time: i64) -> i64 {
        time.saturating_sub(time.rem_euclid(self.every_millis))
    }

    /// Returns the starts of all windows that hold `time`, the latest first.
    #[inline]
    pub fn starts(&self, time: i64) -> impl Iterator<Item = i64> {
        let (latest, every) = (self.latest_start(time), self.every_millis);
        (0..self.length_millis / every).map(move |back| latest - back * every)
    }

    /// Returns the end of the window that starts at `start`. The end is not in the window.
    #[inline]
    pub fn end(&self, start: i64) -> i64 {
        start.saturating_add(self.length_millis)
    }

    /// Formats the start or end of a window for row keys and outputs.
    pub fn stamp(&self, millis: i64) -> String {
        match Timestamp::from_millisecond(millis) {
            Ok(moment) if self.has_fraction => format!("{moment:.3}"),
            Ok(moment) => format!("{moment:.0}"),
            Err(_) => millis.to_string(),
        }
    }

    /// Formats any time for messages.
    pub fn moment(&self, millis: i64) -> String {
        Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |moment| moment.to_string())
    }

    /// Splits the key of a row into the key and the start of its window. Returns `None` if it is not the key of a row.
    pub fn split<'a>(&self, row_key: &'a [u8]) -> Option<(&'a [u8], i64)> {
        let at = memchr::memrchr(b'@', row_key)?;
        let stamp = std::str::from_utf8(&row_key[at + 1..]).ok()?;
        let start = stamp.parse::<Timestamp>().ok()?.as_millisecond();
        let has_end = Timestamp::from_millisecond(self.end(start)).is_ok();
        let fits = has_end && start % self.every_millis == 0 && self.stamp(start) == stamp;
        fits.then_some((&row_key[..at], start))
    }
}
