//! Sizes, durations and times as people write and read them.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, DateTime};
use jiff::{Timestamp, Zoned};

/// What [`parse_bytes`] accepts, to complete "expected …" in messages.
pub const SIZE_FORM: &str = "a size such as `64MiB`, `10GB` or `4096`";
/// What [`parse_duration`] accepts, to complete "expected …" in messages.
pub const DURATION_FORM: &str = "a duration such as `10m`, `1h30m` or `250ms`";
/// What [`parse_time`] accepts, to complete "expected …" in messages.
pub const TIME_FORM: &str = "a time such as `2026-11-22T14:00`, `2026-11-22`, `yesterday` or `2h ago`";

/// A text is not the size, duration or time that was expected. `expected` includes examples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// It has another form.
    #[error("expected {expected}, found `{found}`")]
    Malformed { expected: &'static str, found: String },
    /// The number needs one of `units`.
    #[error("expected {expected}, found `{found}` without a unit ({units})")]
    NoUnit { expected: &'static str, found: String, units: &'static str },
    /// The unit is not one of `units`.
    #[error("expected {expected}, found unknown unit `{unit}` (known: {units})")]
    Unit { expected: &'static str, unit: String, units: &'static str },
    /// The number does not fit into 64 bits.
    #[error("`{found}` is too large")]
    TooLarge { found: String },
    /// It is not a whole number of the smallest unit, which is named in the plural.
    #[error("`{found}` is not a whole number of {smallest}")]
    TooFine { found: String, smallest: &'static str },
}

const SIZE_UNITS: &str = "kB, MB, GB, TB, KiB, MiB, GiB, TiB";
const DURATION_UNITS: &str = "ms, s, m, h, d, w";

/// The units in which sizes are printed, in bytes.
const BINARY: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Units of duration in milliseconds, the longest first.
const SPANS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Parses a number of bytes: `4096`, `64MiB`, `1.5GiB`, `10GB`. Case does not matter.
pub fn parse_bytes(text: &str) -> Result<u64, UnitError> {
    let trimmed = text.trim();
    let (number, unit) = split_number(trimmed).ok_or_else(|| malformed(SIZE_FORM, text))?;
    let scale = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => {
            return Err(UnitError::Unit { expected: SIZE_FORM, unit: shown(unit.trim()), units: SIZE_UNITS });
        }
    };
    scaled(number, scale, trimmed, "bytes")
}

/// Parses a duration, to the millisecond: `10m`, `1h30m`, `1h 30m`, `250ms`, `1.5h`, `7d`. Longer units come first.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let trimmed = text.trim();
    if trimmed == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = trimmed;
    let mut total_millis = 0u64;
    let mut units = SPANS.as_slice();
    loop {
        let (number, tail) = split_number(rest).ok_or_else(|| malformed(DURATION_FORM, text))?;
        let tail = tail.trim_start();
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c.is_whitespace()).unwrap_or(tail.len());
        let (unit, after) = tail.split_at(unit_end);
        if unit.is_empty() {
            return Err(UnitError::NoUnit { expected: DURATION_FORM, found: shown(trimmed), units: DURATION_UNITS });
        }
        let Some(&(_, scale)) = SPANS.iter().find(|(name, _)| *name == unit) else {
            return Err(UnitError::Unit { expected: DURATION_FORM, unit: shown(unit), units: DURATION_UNITS });
        };
        let place = units.iter().position(|(name, _)| *name == unit).ok_or_else(|| malformed(DURATION_FORM, text))?;
        units = &units[place + 1..];
        let millis = scaled(number, scale, trimmed, "milliseconds")?;
        total_millis = total_millis.checked_add(millis).ok_or_else(|| too_large(trimmed))?;
        rest = after.trim_start();
        if rest.is_empty() {
            return Ok(Duration::from_millis(total_millis));
        }
    }
}

/// Parses a moment, in the time zone of `now` unless the text names one.
///
/// Accepts a date with a time (`2026-11-22T14:00`, with a space instead of the `T`, with seconds, with `Z` or an offset
/// at the end), a date (its first moment), `now`, `today` and `yesterday` (their first moments), and a duration before
/// now (`2h ago`).
pub fn parse_time(text: &str, now: &Zoned) -> Result<Timestamp, UnitError> {
    let trimmed = text.trim();
    if let Some(duration) = trimmed.strip_suffix("ago").filter(|rest| !rest.is_empty()) {
        let before = parse_duration(duration)?;
        return now.timestamp().checked_sub(before).map_err(|_| too_large(trimmed));
    }
    let first_moment = |date: Date| date.to_zoned(now.time_zone().clone()).map(|zoned| zoned.timestamp());
    let moment = match trimmed {
        "now" => Ok(now.timestamp()),
        "today" => first_moment(now.date()),
        "yesterday" => now.date().yesterday().and_then(first_moment),
        // Only forms that begin with a date: `20261122`, which looks like the number of a checkpoint, and `T14:00` are
        // not times.
        _ if !trimmed.get(..5).is_some_and(|year| year.ends_with('-')) => return Err(malformed(TIME_FORM, text)),
        _ => trimmed.parse::<Timestamp>().or_else(|_| {
            let local: DateTime = trimmed.parse()?;
            local.to_zoned(now.time_zone().clone()).map(|zoned| zoned.timestamp())
        }),
    };
    moment.map_err(|_| malformed(TIME_FORM, text))
}

/// Returns a size exactly, as [`parse_bytes`] reads it: `64MiB`, `4097`.
pub fn exact_bytes(bytes: u64) -> String {
    let unit = BINARY.iter().find(|(_, scale)| bytes >= *scale && bytes.is_multiple_of(*scale));
    unit.map_or_else(|| bytes.to_string(), |(name, scale)| format!("{}{name}", bytes / scale))
}

/// Returns a duration exactly, as [`parse_duration`] reads it, to the millisecond: `1h30m`, `250ms`.
pub fn exact_duration(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut text = String::new();
    for (name, scale) in SPANS.iter().filter(|(name, _)| *name != "w") {
        if rest >= *scale {
            text += &format!("{}{name}", rest / scale);
            rest %= scale;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number of bytes, for people: `512 B`, `1.5 MiB`, `64 MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A unit is used as soon as the number would round to 1 of it: 1023.96 KiB is 1 MiB.
        let unit = BINARY.iter().find(|(_, scale)| self.0 >= scale - scale / 2048);
        match unit {
            None => f.pad(&format!("{} B", self.0)),
            Some((name, scale)) => f.pad(&format!("{} {name}", one_decimal(self.0 as f64 / *scale as f64))),
        }
    }
}

/// A duration, for people: `35 ms`, `4.2 s`, `12m 5s`, `1h 30m`, `3d 4h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0.as_secs_f64(), self.0.as_micros());
        let whole = self.0.as_secs();
        let text = match whole {
            _ if micros == 0 => "0 s".to_owned(),
            _ if micros < 1_000 => format!("{micros} µs"),
            0 if micros < 10_000 => format!("{} ms", one_decimal(seconds * 1e3)),
            0 if micros < 999_500 => format!("{:.0} ms", seconds * 1e3),
            _ if seconds < 59.95 => format!("{} s", one_decimal(seconds)),
            _ => {
                let (first, second, first_name, second_name) = match whole.max(60) {
                    rounded @ ..3_600 => (rounded / 60, rounded % 60, "m", "s"),
                    ..86_400 => (whole / 3_600, whole % 3_600 / 60, "h", "m"),
                    _ => (whole / 86_400, whole % 86_400 / 3_600, "d", "h"),
                };
                if second == 0 {
                    format!("{first}{first_name}")
                } else {
                    format!("{first}{first_name} {second}{second_name}")
                }
            }
        };
        f.pad(&text)
    }
}

/// A number of things, for people: `1,234,567`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A number of things per time, for people: `1,234,567/s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub count: u64,
    pub elapsed: Duration,
}

impl Rate {
    /// Returns the number per second, rounded, or zero if no time has passed.
    pub fn per_second(self) -> u64 {
        let nanos = self.elapsed.as_nanos();
        let per_second = (u128::from(self.count) * 1_000_000_000 + nanos / 2).checked_div(nanos).unwrap_or(0);
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}/s", Count(self.per_second())))
    }
}

/// How long ago something was, for people, in one unit: `just now`, `3m ago`, `5d ago`; `in 3m (clock?)` if a clock is
/// wrong. Clocks of two machines may well differ by some seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Seconds before now, negative for the future.
    pub seconds: i64,
}

impl Age {
    /// Returns the time from `then` to `now`.
    pub fn between(then: Timestamp, now: Timestamp) -> Age {
        Age { seconds: now.as_second().saturating_sub(then.as_second()) }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = match self.seconds.unsigned_abs() {
            0 => return f.pad("just now"),
            seconds @ ..60 => format!("{seconds}s"),
            seconds @ ..3_600 => format!("{}m", seconds / 60),
            seconds @ ..86_400 => format!("{}h", seconds / 3_600),
            seconds => format!("{}d", seconds / 86_400),
        };
        f.pad(&match self.seconds {
            ..=-60 => format!("in {amount} (clock?)"),
            -59..0 => format!("in {amount}"),
            _ => format!("{amount} ago"),
        })
    }
}

/// A part of a whole, for people: `12.5%`. `100%` only if the part is the whole, `0%` only if it is zero; `-` if the
/// whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percent {
    pub part: u64,
    pub whole: u64,
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole == 0 {
            return f.pad("-");
        }
        let tenths = (u128::from(self.part) * 1_000 + u128::from(self.whole / 2)) / u128::from(self.whole);
        let text = match tenths {
            0 if self.part > 0 => "<0.1%".to_owned(),
            1_000.. if self.part < self.whole => "99.9%".to_owned(),
            _ if tenths.is_multiple_of(10) => format!("{}%", tenths / 10),
            _ => format!("{}.{}%", tenths / 10, tenths % 10),
        };
        f.pad(&text)
    }
}

/// Returns a text as messages quote it: at most 60 characters, with control characters escaped.
pub fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (i, c) in text.chars().enumerate() {
        match c {
            _ if i == 60 => {
                shown.push('…');
                break;
            }
            '"' | '\'' | '\\' => shown.push(c),
            c => shown.extend(c.escape_debug()),
        }
    }
    shown
}

/// Splits a text that begins with a decimal number.
fn split_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let fits = !whole.is_empty() && !fraction.is_empty() && !fraction.contains('.');
    fits.then_some((number, rest))
}

/// Multiplies a decimal number, as [`split_number`] returns it, exactly.
fn scaled(number: &str, scale: u64, text: &str, smallest: &'static str) -> Result<u64, UnitError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = fraction.trim_end_matches('0');
    let too_fine = || UnitError::TooFine { found: shown(text), smallest };
    let whole: u64 = whole.parse().map_err(|_| too_large(text))?;
    let whole = whole.checked_mul(scale).ok_or_else(|| too_large(text))?;
    if fraction.is_empty() {
        return Ok(whole);
    }
    if fraction.len() > 18 {
        return Err(too_fine());
    }
    let numerator = u128::from(fraction.parse::<u64>().map_err(|_| too_fine())?) * u128::from(scale);
    let denominator = 10u128.pow(fraction.len() as u32);
    // A size such as 1.3GiB is not a whole number of bytes. No one means that as an error, so it is rounded down.
    if smallest != "bytes" && !numerator.is_multiple_of(denominator) || numerator < denominator {
        return Err(too_fine());
    }
    let part = u64::try_from(numerator / denominator).map_err(|_| too_large(text))?;
    whole.checked_add(part).ok_or_else(|| too_large(text))
}

/// Writes a number with one decimal place, or none if that is zero.
fn one_decimal(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

fn malformed(expected: &'static str, found: &str) -> UnitError {
    UnitError::Malformed { expected, found: shown(found.trim()) }
}

fn too_large(found: &str) -> UnitError {
    UnitError::TooLarge { found: shown(found) }
}

#[cfg(test)]
mod tests;
