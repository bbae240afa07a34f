//! The time of a record, read from one of its fields.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::input::record::{BadRecord, Field};
use crate::job::{EventTime, InputFormat, TimeUnit};
use crate::values::decimal::{Decimal, DecimalError};

/// Reads the times of records.
#[derive(Debug, Clone)]
pub struct TimeReader {
    time: EventTime,
    /// Whether a text that reads as a number is a number, as in CSV and plain text, which have no types.
    untyped: bool,
}

/// The times that a record may have, in milliseconds: the years 100 to 9900, both in full, so that every window has a
/// date.
const BOUNDS: std::ops::Range<i64> = -59_011_459_200_000..250_278_163_200_000;
/// The most digits of a second that a time is parsed with. What follows is less than a nanosecond.
const SECOND_DIGITS: usize = 9;

impl TimeReader {
    /// Makes a reader for `time` in records of `format`.
    pub fn new(time: &EventTime, format: &InputFormat) -> TimeReader {
        TimeReader { time: time.clone(), untyped: !matches!(format, InputFormat::Json) }
    }

    /// Returns the time in milliseconds since 1970-01-01T00:00:00Z, rounded down.
    #[inline]
    pub fn millis(&self, field: &Field<'_>) -> Result<i64, BadRecord> {
        let read = match field {
            Field::Number(text) => self.number(text),
            Field::Text(text) if self.untyped && is_number(text) => self.number(text.trim()),
            Field::Text(text) => rfc_3339(text),
            Field::Missing => Err("is missing".to_owned()),
            Field::Bool(_) => Err("is a bool, expected a time".to_owned()),
            Field::Json(_) => Err("is an object or a list, expected a time".to_owned()),
        };
        read.map_err(|reason| BadRecord { reason: format!("the time field `{}` {reason}", self.time.field) })
    }

    #[inline]
    fn number(&self, text: &str) -> Result<i64, String> {
        let millis = match whole(text) {
            Some(number) => self.time.unit.millis(number),
            None => {
                let per_second = i128::from(self.time.unit.per_second());
                let number = Decimal::read(text, Some(Decimal::SCALE.unsigned_abs()));
                let number = number.map_err(|error| format!("{error}: `{}`", shown(text)))?;
                // A decimal is below 10^38 in its own units, so multiplying it by 1,000 needs care.
                let (units, one) = (number.units(), Decimal::ONE.units());
                let (whole, rest) = (units.div_euclid(one), units.rem_euclid(one));
                i64::try_from((whole * 1_000 + rest * 1_000 / one).div_euclid(per_second)).ok()
            }
        };
        match millis.filter(|millis| BOUNDS.contains(millis)) {
            Some(millis) => Ok(millis),
            None => Err(self.out_of_bounds(text)),
        }
    }

    /// Returns the message for a number that is not a time in its unit. Suggests the unit in which it would be one.
    #[cold]
    fn out_of_bounds(&self, text: &str) -> String {
        let unit = self.time.unit;
        let found = format!("is {} in {}, which is not between the years 100 and 9900", shown(text), unit.name());
        let smaller = [TimeUnit::Milliseconds, TimeUnit::Microseconds, TimeUnit::Nanoseconds];
        let fitting = smaller.into_iter().filter(|other| other.per_second() > unit.per_second()).find(|&other| {
            whole(text).and_then(|number| other.millis(number)).is_some_and(|millis| BOUNDS.contains(&millis))
        });
        match fitting {
            Some(other) => format!("{found}; did you mean `unit: {}`?", other.name()),
            None => found,
        }
    }
}

/// Reads an integer of at most 18 digits.
#[inline]
fn whole(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.is_empty() || digits.len() > 18 {
        return text.parse().ok();
    }
    let mut number = 0_i64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(digit - b'0');
    }
    Some(if digits.len() < text.len() { -number } else { number })
}

fn is_number(text: &str) -> bool {
    !matches!(Decimal::read(text, Some(0)), Err(DecimalError::NotANumber))
}

fn rfc_3339(text: &str) -> Result<i64, String> {
    let expected = "expected a time as in RFC 3339, such as `2026-11-22T14:00:00Z`";
    let parsed = without_finer_digits(text.trim()).parse::<Timestamp>();
    let moment = parsed.map_err(|_| format!("is `{}`, {expected}", shown(text)))?;
    let millis = moment.as_nanosecond().div_euclid(1_000_000);
    let bounded = i64::try_from(millis).ok().filter(|millis| BOUNDS.contains(millis));
    bounded.ok_or_else(|| format!("is `{}`, which is not between the years 100 and 9900", shown(text)))
}

/// Cuts the fraction of a second to nanoseconds. RFC 3339 allows any number of digits.
fn without_finer_digits(text: &str) -> Cow<'_, str> {
    let Some((before, fraction)) = text.split_once('.') else { return Cow::Borrowed(text) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits <= SECOND_DIGITS {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{before}.{}{}", &fraction[..SECOND_DIGITS], &fraction[digits..]))
}

fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FieldPath;

    fn reader(unit: TimeUnit, format: &InputFormat) -> TimeReader {
        TimeReader::new(&EventTime { field: FieldPath::of("ts"), unit }, format)
    }

    #[test]
    fn a_time_is_a_number_in_its_unit_or_a_text_with_an_offset() {
        let json = |unit, text| reader(unit, &InputFormat::Json).millis(&Field::Number(text)).unwrap();
        assert_eq!(json(TimeUnit::Seconds, "1795356000"), 1_795_356_000_000);
        assert_eq!(json(TimeUnit::Seconds, "1795356000.1239"), 1_795_356_000_123);
        assert_eq!(json(TimeUnit::Seconds, "1.795356e9"), 1_795_356_000_000);
        assert_eq!(json(TimeUnit::Milliseconds, "1795356000123"), 1_795_356_000_123);
        assert_eq!(json(TimeUnit::Microseconds, "1795356000123999"), 1_795_356_000_123);
        assert_eq!(json(TimeUnit::Nanoseconds, "1795356000123999999"), 1_795_356_000_123);
        assert_eq!(json(TimeUnit::Milliseconds, "-1"), -1);
        assert_eq!(json(TimeUnit::Microseconds, "-1"), -1, "rounded down");
        assert_eq!(json(TimeUnit::Seconds, "-0.0005"), -1);
        let text = |text: &'static str| {
            reader(TimeUnit::Seconds, &InputFormat::Json).millis(&Field::Text(text.into())).unwrap()
        };
        assert_eq!(text("2026-11-22T14:00:00Z"), 1_795_356_000_000);
        assert_eq!(text("2026-11-22T15:00:00.5+01:00"), 1_795_356_000_500);
        assert_eq!(text("1969-12-31T23:59:59.9995Z"), -1);
        let csv = reader(TimeUnit::Milliseconds, &InputFormat::Csv { delimiter: b',' });
        assert_eq!(csv.millis(&Field::Text(" 1795356000123 ".into())).unwrap(), 1_795_356_000_123);
        assert_eq!(csv.millis(&Field::Text("2026-11-22T14:00:00Z".into())).unwrap(), 1_795_356_000_000);
    }

    #[test]
    fn a_time_may_be_spelled_in_every_way_of_rfc_3339() {
        let read = |text: &'static str| reader(TimeUnit::Seconds, &InputFormat::Json).millis(&Field::Text(text.into()));
        for (text, millis) in [
            ("2026-11-22T14:00:00.123456789123456789Z", 1_795_356_000_123),
            ("2026-11-22T14:00:00.9999999999999999999999+00:00", 1_795_356_000_999),
            ("1969-12-31T23:59:59.99999999999999Z", -1),
            ("2026-11-22t14:00:00z", 1_795_356_000_000),
            ("2026-11-22 14:00:00Z", 1_795_356_000_000),
            ("2026-11-22T19:30:00.5+05:30", 1_795_356_000_500),
            ("2026-11-22T14:00:00-00:00", 1_795_356_000_000),
            // A leap second counts as the second before it.
            ("2016-12-31T23:59:60Z", 1_483_228_799_000),
            ("0100-01-01T00:00:00Z", BOUNDS.start),
            ("9899-12-31T12:00:00Z", 250_246_584_000_000),
            ("9900-12-31T23:59:59.999Z", BOUNDS.end - 1),
        ] {
            assert_eq!(read(text).map_err(|bad| bad.reason), Ok(millis), "{text}");
        }
        for text in ["0099-12-31T23:59:59.999Z", "9901-01-01T00:00:00Z"] {
            assert!(read(text).unwrap_err().reason.ends_with("is not between the years 100 and 9900"), "{text}");
        }
        for text in ["2026-11-22", "2026-11-22T14:00:00", "2026-11-22T14:00:00.Z", "2026-13-01T00:00:00Z", "", "now"] {
            assert!(read(text).unwrap_err().reason.contains("expected a time as in RFC 3339"), "{text}");
        }
        let csv = |text: &'static str| {
            reader(TimeUnit::Seconds, &InputFormat::Csv { delimiter: b',' }).millis(&Field::Text(text.into()))
        };
        for text in ["1795356000", " +1795356000 ", "01795356000.", "1795356000.00000000000000000000001", "1.795356e9"]
        {
            assert_eq!(csv(text), Ok(1_795_356_000_000), "{text}");
        }
    }

    #[test]
    fn invalid_times_are_explained_and_a_unit_is_suggested() {
        let bad = |unit, field: Field<'static>| reader(unit, &InputFormat::Json).millis(&field).unwrap_err().reason;
        assert_eq!(
            bad(TimeUnit::Seconds, Field::Number("1795356000123")),
            "the time field `ts` is 1795356000123 in s, which is not between the years 100 and 9900; did you mean `unit: ms`?"
        );
        assert!(bad(TimeUnit::Seconds, Field::Number("1795356000123999")).ends_with("did you mean `unit: us`?"));
        assert!(
            bad(TimeUnit::Milliseconds, Field::Number("1795356000123999999")).ends_with("did you mean `unit: ns`?")
        );
        assert!(bad(TimeUnit::Microseconds, Field::Number("99e18")).ends_with("and 9900"));
        assert!(bad(TimeUnit::Seconds, Field::Number("1e400")).starts_with("the time field `ts` "));
        assert!(bad(TimeUnit::Seconds, Field::Text("1795356000".into())).contains("expected a time as in RFC 3339"));
        assert!(
            bad(TimeUnit::Seconds, Field::Text("2026-11-22T14:00:00".into()))
                .contains("expected a time as in RFC 3339")
        );
        assert!(bad(TimeUnit::Seconds, Field::Missing).ends_with("is missing"));
        assert!(bad(TimeUnit::Seconds, Field::Bool(true)).ends_with("is a bool, expected a time"));
    }
}
