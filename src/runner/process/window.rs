//! Windows of time: the windows of a record, and the keys of their rows.
//!
//! Windows start at multiples of `every` since 1970-01-01T00:00:00Z. A job with windows has one row for each key and
//! window that has a record. The key of the row is the key, `@`, and the start of the window in UTC as in RFC 3339:
//! `DE@2026-11-22T14:00:00Z`. It has milliseconds if windows can start within a second. A row's key is parsed from its
//! end, so the key itself may contain `@`.

use jiff::Timestamp;

use crate::job::WindowSpec;

/// How a job divides time into windows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    every_millis: i64,
    length_millis: i64,
    has_fraction: bool,
}

impl Windows {
    pub fn new(spec: &WindowSpec) -> Windows {
        let (every_millis, length_millis) = (spec.every_millis, spec.length_millis);
        Windows { every_millis, length_millis, has_fraction: every_millis % 1_000 != 0 }
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

/// Writes the keys of rows. It caches the window starts that it has formatted, because most records are in few windows.
#[derive(Debug, Clone)]
pub struct RowKeys {
    windows: Windows,
    stamps: Vec<Option<(i64, String)>>,
}

const STAMPS: usize = 64;

impl RowKeys {
    pub fn new(windows: &Windows) -> RowKeys {
        RowKeys { windows: windows.clone(), stamps: vec![None; STAMPS] }
    }

    /// Sets `row_key` to the key of the row for `key` in the window that starts at `start`.
    #[inline]
    pub fn write(&mut self, key: &[u8], start: i64, row_key: &mut Vec<u8>) {
        let slot = (start / self.windows.every_millis).rem_euclid(STAMPS as i64) as usize;
        let stamp = match &mut self.stamps[slot] {
            Some((known, stamp)) if *known == start => stamp,
            other => &mut other.insert((start, self.windows.stamp(start))).1,
        };
        row_key.clear();
        row_key.extend_from_slice(key);
        row_key.push(b'@');
        row_key.extend_from_slice(stamp.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(every_millis: i64, length_millis: i64) -> Windows {
        Windows { every_millis, length_millis, has_fraction: every_millis % 1_000 != 0 }
    }

    #[test]
    fn a_record_is_in_the_windows_that_hold_its_time() {
        let tumbling = windows(60_000, 60_000);
        for (time, start) in [(0, 0), (59_999, 0), (60_000, 60_000), (-1, -60_000)] {
            assert_eq!(tumbling.starts(time).collect::<Vec<_>>(), [start]);
            assert_eq!(tumbling.end(start), start + 60_000);
        }
        let sliding = windows(20_000, 60_000);
        assert_eq!(sliding.starts(65_000).collect::<Vec<_>>(), [60_000, 40_000, 20_000]);
        for start in sliding.starts(65_000) {
            assert!((start..sliding.end(start)).contains(&65_000));
        }
    }

    #[test]
    fn the_key_of_a_row_is_parsed_from_its_end() {
        for (windows, stamp) in
            [(windows(60_000, 60_000), "2026-11-22T14:00:00Z"), (windows(250, 250), "2026-11-22T14:00:00.000Z")]
        {
            let start = 1_795_356_000_000;
            let mut keys = RowKeys::new(&windows);
            let mut row_key = b"before".to_vec();
            for key in ["DE", "a@b", "a@2026-11-22T14:00:00Z", ""] {
                keys.write(key.as_bytes(), start, &mut row_key);
                assert_eq!(String::from_utf8_lossy(&row_key), format!("{key}@{stamp}"));
                assert_eq!(windows.split(&row_key), Some((key.as_bytes(), start)));
                keys.write(key.as_bytes(), start + 64 * windows.every_millis, &mut row_key);
                assert_eq!(windows.split(&row_key), Some((key.as_bytes(), start + 64 * windows.every_millis)));
            }
        }
        let windows = windows(60_000, 60_000);
        for no_row_key in [
            "DE",
            "DE@",
            "DE@x",
            "DE@2026-11-22T14:00:30Z",
            "DE@2026-11-22T14:00:00.000Z",
            "DE@2026-11-22T15:00:00+01:00",
            "DE@9999-12-30T22:00:00Z",
        ] {
            assert_eq!(windows.split(no_row_key.as_bytes()), None, "{no_row_key}");
        }
        assert_eq!(windows.split(b"x\xff@2026-11-22T14:00:00Z").map(|(key, _)| key), Some(&b"x\xff"[..]));
    }
}
