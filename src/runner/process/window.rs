//! The keys of the rows of windows, see [`Windows`].

use crate::job::Windows;

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
        let slot = (start / self.windows.every_millis()).rem_euclid(STAMPS as i64) as usize;
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
        Windows::of(every_millis, length_millis)
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
                keys.write(key.as_bytes(), start + 64 * windows.every_millis(), &mut row_key);
                assert_eq!(windows.split(&row_key), Some((key.as_bytes(), start + 64 * windows.every_millis())));
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
