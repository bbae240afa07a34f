//! Wall clock times: those of a cron expression, or the multiples of an interval.

use std::time::Duration;

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::Timestamp;

/// Recurring times, in UTC.
#[derive(Debug, Clone)]
pub enum Calendar {
    /// The multiples of an interval since 1970-01-01T00:00:00Z. The interval is at least a millisecond.
    Aligned(Duration),
    /// The minutes that a cron expression matches.
    Cron(Box<Crontab>),
}

impl Calendar {
    /// Parses a cron expression: minute, hour, day of the month, month and day of the week. The error is a message.
    pub fn cron(expression: &str) -> Result<Calendar, String> {
        let fields = expression.split_whitespace().count();
        if fields != 5 && !expression.trim_start().starts_with('@') {
            return Err(format!(
                "expected five fields (minute, hour, day of the month, month, day of the week), found {fields}"
            ));
        }
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let crontab = cronexpr::parse_crontab_with(expression, options).map_err(|error| {
            let text = error.to_string();
            // The last line is a caret that points into the expression, and the reason.
            let last = text.lines().last().unwrap_or_default();
            last.trim_start().trim_start_matches("^ ").to_owned()
        })?;
        let calendar = Calendar::Cron(Box::new(crontab));
        match calendar.next_after(Timestamp::UNIX_EPOCH) {
            Some(_) => Ok(calendar),
            None => Err("it matches no day that ever occurs".to_owned()),
        }
    }

    /// Returns the first time after `time`, or `None` if there is none within four years.
    pub fn next_after(&self, time: Timestamp) -> Option<Timestamp> {
        match self {
            Calendar::Aligned(interval) => {
                let interval = i64::try_from(interval.as_millis()).ok()?.max(1);
                let next = (time.as_millisecond().div_euclid(interval)).checked_add(1)?.checked_mul(interval)?;
                Timestamp::from_millisecond(next).ok()
            }
            Calendar::Cron(crontab) => Some(crontab.find_next(MakeTimestamp(time)).ok()?.timestamp()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(calendar: &Calendar, time: &str) -> String {
        calendar.next_after(time.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn the_next_time_is_always_later() {
        for (expression, time, expected) in [
            ("0 */6 * * *", "2026-11-22T05:59:59.999Z", "2026-11-22T06:00:00Z"),
            ("0 */6 * * *", "2026-11-22T06:00:00Z", "2026-11-22T12:00:00Z"),
            ("30 4 1 * *", "2026-12-31T00:00:00Z", "2027-01-01T04:30:00Z"),
            ("0 0 * * MON", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"),
            ("0 0 29 2 *", "2026-11-22T00:00:00Z", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(&Calendar::cron(expression).unwrap(), time), expected, "{expression}");
        }
        let six_hours = Calendar::Aligned(Duration::from_secs(6 * 3600));
        assert_eq!(next(&six_hours, "2026-11-22T05:59:59.999Z"), "2026-11-22T06:00:00Z");
        assert_eq!(next(&six_hours, "2026-11-22T06:00:00Z"), "2026-11-22T12:00:00Z");
        assert_eq!(next(&six_hours, "1969-12-31T23:00:00Z"), "1970-01-01T00:00:00Z");
        assert_eq!(six_hours.next_after(Timestamp::MAX), None);
    }

    #[test]
    fn an_invalid_cron_expression_is_rejected_with_a_reason() {
        for expression in
            ["", "* * * *", "* * * * * *", "61 * * * *", "x * * * *", "0 0 30 2 *", "* * * * * Mars/Base", "@never"]
        {
            let reason = Calendar::cron(expression).unwrap_err();
            assert!(!reason.is_empty() && !reason.contains('\n'), "{expression}: {reason}");
            println!("{expression}: {reason}");
        }
    }
}
