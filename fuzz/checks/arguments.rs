//! Values on a command line: targets, times, durations, sizes.

use ckpt::cli::target::{Reference, Target};
use ckpt::values::units;

/// Every parsed value prints as text that parses to the same value.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(bytes) = units::parse_bytes(text) {
        assert_eq!(units::parse_bytes(&units::exact_bytes(bytes)).expect("printed"), bytes);
    }
    if let Ok(duration) = units::parse_duration(text) {
        assert_eq!(units::parse_duration(&units::exact_duration(duration)).expect("printed"), duration);
    }
    for now in ["2026-11-22T15:00:00Z[UTC]", "-009999-01-10T00:00:00Z[UTC]", "9999-12-20T22:00:00Z[UTC]"] {
        let _ = units::parse_time(text, &now.parse().expect("a time"));
    }
    let _ = Reference::parse(text);
    if let Ok(target) = Target::parse(text) {
        assert!(!target.store.as_os_str().is_empty());
    }
    assert!(!units::shown(text).contains(char::is_control));
}
