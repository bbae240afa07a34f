//! The clock, which only this floor reads; those below are told the time.

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::cli::error::CliError;

/// The environment variable that stands in for the clock, for tests: a time in RFC 3339.
pub const NOW_VARIABLE: &str = "CKPT_NOW";

/// Tells the time in the zone of the person who asks.
#[derive(Debug, Clone)]
pub struct Clock {
    fixed: Option<Timestamp>,
    zone: TimeZone,
}

impl Clock {
    /// Makes the system's clock, or one that stands still at `fixed`, the value of [`NOW_VARIABLE`].
    ///
    /// Times are shown in the system's zone, in UTC when it is unknown.
    pub fn new(fixed: Option<&str>) -> Result<Clock, CliError> {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        let parse = |text: &str| {
            text.parse().map_err(|error| {
                CliError::usage(format!("{NOW_VARIABLE} is `{text}`, expected a time in RFC 3339")).caused_by(&error)
            })
        };
        Ok(Clock { fixed: fixed.map(parse).transpose()?, zone })
    }

    /// Returns the time.
    pub fn now(&self) -> Zoned {
        self.fixed.unwrap_or_else(Timestamp::now).to_zoned(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_still() {
        let clock = Clock::new(Some("2026-11-22T14:00:00Z")).expect("a time");
        assert_eq!(clock.now().timestamp().to_string(), "2026-11-22T14:00:00Z");
        assert_eq!(clock.now(), clock.now());
    }

    #[test]
    fn a_clock_can_not_be_fixed_at_nonsense() {
        let error = Clock::new(Some("tomorrow")).expect_err("no time");
        assert_eq!(error.exit, crate::cli::exit::Exit::Usage);
    }
}
