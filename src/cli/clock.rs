//! The clock. Only this floor reads it; the floors below are given the time.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::cli::error::CliError;

/// The environment variable that replaces the clock in tests: a time in RFC 3339.
pub const NOW_VARIABLE: &str = "CKPT_NOW";

/// Tells the time in the user's time zone.
#[derive(Debug, Clone)]
pub struct Clock {
    fixed: Option<Timestamp>,
    zone: TimeZone,
}

impl Clock {
    /// Makes the system clock, or a clock that always shows `fixed`, the value of [`NOW_VARIABLE`].
    ///
    /// Its zone is the system's, or UTC if that is unknown or `utc` is set.
    pub fn new(fixed: Option<&str>, utc: bool) -> Result<Clock, CliError> {
        let system = if utc { None } else { TimeZone::try_system().ok() };
        let zone = system.unwrap_or(TimeZone::UTC);
        let parse = |text: &str| {
            text.parse().map_err(|error| {
                CliError::usage(format!("{NOW_VARIABLE} is `{text}`, expected a time in RFC 3339")).caused_by(&error)
            })
        };
        Ok(Clock { fixed: fixed.map(parse).transpose()?, zone })
    }

    /// Returns the current time.
    pub fn now(&self) -> Zoned {
        self.timestamp().to_zoned(self.zone.clone())
    }

    /// Returns the current time in whole milliseconds, as checkpoints and log lines record it.
    pub fn now_in_millis(&self) -> Timestamp {
        let now = self.timestamp();
        Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
    }

    /// Returns the zone in which times are shown and read.
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    fn timestamp(&self) -> Timestamp {
        self.fixed.unwrap_or_else(Timestamp::now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still() {
        let clock = Clock::new(Some("2026-11-22T14:00:00.123456Z"), true).expect("a time");
        assert_eq!(clock.now().timestamp().to_string(), "2026-11-22T14:00:00.123456Z");
        assert_eq!(clock.now(), clock.now());
        assert_eq!(clock.now_in_millis().to_string(), "2026-11-22T14:00:00.123Z");
    }

    #[test]
    fn a_clock_cannot_be_fixed_at_nonsense() {
        let error = Clock::new(Some("tomorrow"), true).expect_err("no time");
        assert_eq!(error.exit, crate::cli::exit::Exit::Usage);
    }
}
