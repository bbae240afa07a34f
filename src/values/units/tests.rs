use jiff::tz::{Offset, TimeZone};

use super::*;

#[test]
fn sizes_parse_as_people_write_them() {
    for (text, bytes) in [
        ("0", 0),
        ("4096", 4096),
        ("4096B", 4096),
        ("64MiB", 64 << 20),
        ("64 mib", 64 << 20),
        ("1.5GiB", 3 << 29),
        ("10GB", 10_000_000_000),
        ("2kB", 2_000),
        ("2KiB", 2_048),
        ("1.3KiB", 1_331),
        ("1TiB", 1 << 40),
        ("1TB", 1_000_000_000_000),
    ] {
        assert_eq!(parse_bytes(text), Ok(bytes), "{text}");
    }
}

#[test]
fn a_size_that_is_none_says_what_was_expected() {
    for (text, message) in [
        ("", "expected a size such as `64MiB`, `10GB` or `4096`, found ``"),
        ("MiB", "expected a size such as `64MiB`, `10GB` or `4096`, found `MiB`"),
        ("-1", "expected a size such as `64MiB`, `10GB` or `4096`, found `-1`"),
        ("1.2.3MiB", "expected a size such as `64MiB`, `10GB` or `4096`, found `1.2.3MiB`"),
        (
            "64M",
            "expected a size such as `64MiB`, `10GB` or `4096`, found unknown unit `M` (known: kB, MB, GB, TB, KiB, MiB, GiB, TiB)",
        ),
        ("99999999TiB", "`99999999TiB` is too large"),
        ("99999999999999999999999", "`99999999999999999999999` is too large"),
        ("0.5", "`0.5` is not a whole number of bytes"),
    ] {
        assert_eq!(parse_bytes(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn durations_parse_as_people_write_them() {
    for (text, millis) in [
        ("0", 0),
        ("0s", 0),
        ("10m", 600_000),
        ("1h30m", 5_400_000),
        ("1h 30m", 5_400_000),
        ("250ms", 250),
        ("1m5ms", 60_005),
        ("36h", 129_600_000),
        ("7d", 604_800_000),
        ("2w", 1_209_600_000),
        ("1.5h", 5_400_000),
        ("0.25 s", 250),
    ] {
        assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
    }
}

#[test]
fn a_duration_that_is_none_says_what_was_expected() {
    for (text, message) in [
        ("", "expected a duration such as `10m`, `1h30m` or `250ms`, found ``"),
        ("soon", "expected a duration such as `10m`, `1h30m` or `250ms`, found `soon`"),
        ("30m1h", "expected a duration such as `10m`, `1h30m` or `250ms`, found `30m1h`"),
        ("1m1m", "expected a duration such as `10m`, `1h30m` or `250ms`, found `1m1m`"),
        ("10", "expected a duration such as `10m`, `1h30m` or `250ms`, found `10` without a unit (ms, s, m, h, d, w)"),
        (
            "10min",
            "expected a duration such as `10m`, `1h30m` or `250ms`, found unknown unit `min` (known: ms, s, m, h, d, w)",
        ),
        ("0.1ms", "`0.1ms` is not a whole number of milliseconds"),
        ("99999999999999w", "`99999999999999w` is too large"),
    ] {
        assert_eq!(parse_duration(text).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn exact_forms_parse_back() {
    for bytes in [0, 1, 1023, 1024, 4097, 64 << 20, 3 << 29, 1 << 50, u64::MAX] {
        assert_eq!(parse_bytes(&exact_bytes(bytes)), Ok(bytes));
    }
    assert_eq!(exact_bytes(64 << 20), "64MiB");
    for millis in [0, 1, 999, 60_000, 5_400_000, 90_061_001, 604_800_000] {
        let duration = Duration::from_millis(millis);
        assert_eq!(parse_duration(&exact_duration(duration)), Ok(duration));
    }
    assert_eq!(exact_duration(Duration::from_secs(5_400)), "1h30m");
}

#[test]
fn amounts_print_as_people_expect() {
    for (bytes, text) in [
        (0, "0 B"),
        (1_000, "1000 B"),
        (1_024, "1 KiB"),
        (1_536, "1.5 KiB"),
        (1_048_550, "1 MiB"),
        (64 << 20, "64 MiB"),
        (3 << 29, "1.5 GiB"),
        (u64::MAX, "16777216 TiB"),
    ] {
        assert_eq!(Bytes(bytes).to_string(), text);
    }
    for (micros, text) in [
        (0, "0 s"),
        (350, "350 µs"),
        (1_250, "1.2 ms"),
        (35_000, "35 ms"),
        (999_400, "999 ms"),
        (999_900, "1 s"),
        (4_200_000, "4.2 s"),
        (59_940_000, "59.9 s"),
        (59_990_000, "1m"),
        (725_000_000, "12m 5s"),
        (5_400_000_000, "1h 30m"),
        (3_600_000_000, "1h"),
        (273_600_000_000, "3d 4h"),
    ] {
        assert_eq!(Span(Duration::from_micros(micros)).to_string(), text);
    }
    for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
        assert_eq!(Count(count).to_string(), text);
    }
    assert_eq!(format!("{:>8}|{:<8}|", Count(1_000), Bytes(5)), "   1,000|5 B     |");
}

#[test]
fn rates_ages_and_percentages_survive_their_edges() {
    let rate = |count, millis| Rate { count, elapsed: Duration::from_millis(millis) }.to_string();
    assert_eq!(rate(3_000_000, 1_500), "2,000,000/s");
    assert_eq!(rate(5, 0), "0/s");
    for (seconds, text) in [
        (0, "just now"),
        (42, "42s ago"),
        (180, "3m ago"),
        (7_300, "2h ago"),
        (900_000, "10d ago"),
        (-42, "in 42s"),
        (-200, "in 3m (clock?)"),
    ] {
        assert_eq!(Age { seconds }.to_string(), text);
    }
    for (part, whole, text) in [
        (0, 0, "-"),
        (0, 9, "0%"),
        (1, 100_000, "<0.1%"),
        (1, 8, "12.5%"),
        (1, 2, "50%"),
        (99_999, 100_000, "99.9%"),
        (9, 9, "100%"),
        (u64::MAX, u64::MAX, "100%"),
    ] {
        assert_eq!(Percent { part, whole }.to_string(), text);
    }
}

#[test]
fn times_parse_in_the_zone_of_now() {
    let now = "2026-11-22T15:30:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::fixed(Offset::constant(2)));
    for (text, expected) in [
        ("2026-11-22T14:00", "2026-11-22T12:00:00Z"),
        ("2026-11-22 14:00:30", "2026-11-22T12:00:30Z"),
        ("2026-11-22T14:00:00Z", "2026-11-22T14:00:00Z"),
        ("2026-11-22T14:00Z", "2026-11-22T14:00:00Z"),
        ("2026-11-22T14:00:00+05:00", "2026-11-22T09:00:00Z"),
        ("2026-11-22", "2026-11-21T22:00:00Z"),
        ("today", "2026-11-21T22:00:00Z"),
        ("yesterday", "2026-11-20T22:00:00Z"),
        ("now", "2026-11-22T15:30:00Z"),
        ("2h ago", "2026-11-22T13:30:00Z"),
        ("1h30m ago", "2026-11-22T14:00:00Z"),
        ("7d ago", "2026-11-15T15:30:00Z"),
    ] {
        assert_eq!(parse_time(text, &now), Ok(expected.parse().unwrap()), "{text}");
    }
    for text in ["", "ago", "tomorrow", "42", "20261122", "2026-13-01", "2026-11-22T25:00", "99999999d ago", "é-11"] {
        assert!(parse_time(text, &now).is_err(), "{text}");
    }
    assert_eq!(
        parse_time("tuesday", &now).unwrap_err().to_string(),
        "expected a time such as `2026-11-22T14:00`, `2026-11-22`, `yesterday` or `2h ago`, found `tuesday`"
    );
}
