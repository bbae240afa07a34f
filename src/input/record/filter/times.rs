//! Times in expressions: text as in RFC 3339, or seconds since 1970.

use cel::ExecutionError;
use cel::common::value::CowVal;
use jiff::civil::Weekday;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use jiff::{RoundMode, Timestamp, ToSpan, Unit, Zoned, ZonedRound};

use crate::input::record::filter::arguments::{missing, owned, text_of};
use crate::input::record::filter::exact::{decimal_of, of_decimal};
use crate::input::record::filter::numbers::Answer;
use crate::values::decimal::Decimal;

/// What a time can be truncated to.
pub(super) const UNITS: [&str; 6] = ["minute", "hour", "day", "week", "month", "year"];

/// `parseTime(text, format, zone)`: the zone is for times without an offset.
pub(super) fn parse<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Answer<'b, 'v> {
    let name = "parseTime";
    let (Some(text), Some(format)) = (text_of(name, args, 0)?, text_of(name, args, 1)?) else { return Ok(missing()) };
    let shown: String = text.chars().take(40).collect();
    let wrong = |_| ExecutionError::function_error(name, format!("`{shown}` is not a time like `{format}`"));
    let parsed = strtime::parse(&format, text.trim()).map_err(wrong)?;
    let moment = match parsed.offset() {
        Some(_) => parsed.to_timestamp().map_err(wrong)?,
        None => {
            let date = parsed.to_date().map_err(wrong)?;
            let time = parsed.to_time().unwrap_or_default();
            zone_of(name, args)?.to_timestamp(date.to_datetime(time)).map_err(wrong)?
        }
    };
    Ok(owned(moment.to_string()))
}

/// `formatTime(time, format, zone)`.
pub(super) fn format<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Answer<'b, 'v> {
    let name = "formatTime";
    let (Some(zoned), Some(format)) = (zoned_of(name, args)?, text_of(name, args, 1)?) else { return Ok(missing()) };
    let text = strtime::format(&format, &zoned);
    text.map(owned).map_err(|error| ExecutionError::function_error(name, error.to_string()))
}

/// `truncate(time, unit, zone)`: when the unit began, in the zone.
pub(super) fn truncate<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Answer<'b, 'v> {
    let name = "truncate";
    let (Some(zoned), Some(unit)) = (zoned_of(name, args)?, text_of(name, args, 1)?) else { return Ok(missing()) };
    let begun = begin(&zoned, &unit).map_err(|error| ExecutionError::function_error(name, error.to_string()))?;
    let moment = begun.timestamp();
    Ok(owned(match args.len() {
        2 => moment.to_string(),
        _ => moment.display_with_offset(begun.offset()).to_string(),
    }))
}

/// `seconds(time)`: since 1970-01-01T00:00:00Z.
pub(super) fn seconds<'b, 'v>(args: &[CowVal<'b, 'v>]) -> Answer<'b, 'v> {
    let Some(moment) = moment_of("seconds", args)? else { return Ok(missing()) };
    let number = Decimal::from_units(moment.as_nanosecond() * 1_000_000_000);
    number.map(of_decimal).ok_or_else(|| ExecutionError::function_error("seconds", "the time is out of range"))
}

/// Returns what is wrong with the name of a zone.
pub(super) fn zone_fault(name: &str) -> Option<String> {
    TimeZone::get(name).err().map(|_| format!("unknown time zone `{name}`, expected a name such as `Europe/Berlin`"))
}

fn begin(zoned: &Zoned, unit: &str) -> Result<Zoned, jiff::Error> {
    let cut = |unit| zoned.round(ZonedRound::new().smallest(unit).mode(RoundMode::Trunc));
    match unit {
        "minute" => cut(Unit::Minute),
        "hour" => cut(Unit::Hour),
        "week" => {
            let days = i64::from(zoned.weekday().since(Weekday::Monday));
            zoned.date().checked_sub(days.days())?.to_zoned(zoned.time_zone().clone())
        }
        "month" => zoned.date().first_of_month().to_zoned(zoned.time_zone().clone()),
        "year" => zoned.date().first_of_year().to_zoned(zoned.time_zone().clone()),
        _ => zoned.start_of_day(),
    }
}

fn zoned_of(name: &str, args: &[CowVal<'_, '_>]) -> Result<Option<Zoned>, ExecutionError> {
    let zone = zone_of(name, args)?;
    Ok(moment_of(name, args)?.map(|moment| moment.to_zoned(zone)))
}

/// Returns the zone that the third argument names.
fn zone_of(name: &str, args: &[CowVal<'_, '_>]) -> Result<TimeZone, ExecutionError> {
    let zone = if args.len() == 3 { text_of(name, args, 2)? } else { None };
    let Some(zone) = zone else { return Ok(TimeZone::UTC) };
    TimeZone::get(&zone).map_err(|_| ExecutionError::function_error(name, format!("unknown time zone `{zone}`")))
}

/// Returns the time that the first argument is.
fn moment_of(name: &str, args: &[CowVal<'_, '_>]) -> Result<Option<Timestamp>, ExecutionError> {
    let wrong = |shown: &str| {
        let shown: String = shown.chars().take(40).collect();
        ExecutionError::function_error(
            name,
            format!("`{shown}` is not a time as in RFC 3339, nor in seconds since 1970"),
        )
    };
    let Some(text) = text_of(name, args, 0)? else { return Ok(None) };
    let moment = match decimal_of(args[0].as_ref()) {
        Some(Ok(seconds)) => Timestamp::from_nanosecond(seconds.units() / 1_000_000_000),
        Some(Err(_)) => return Err(wrong(&text)),
        None => text.trim().parse(),
    };
    moment.map(Some).map_err(|_| wrong(&text))
}
