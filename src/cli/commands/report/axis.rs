//! The axes of charts: lines at round times and round numbers.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};

/// Steps between times, in seconds.
const TIME_STEPS: [f64; 19] = [
    1.0,
    5.0,
    15.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
    10_800.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_536_000.0,
    157_680_000.0,
    788_400_000.0,
];

/// What the numbers on an axis are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Steps are powers of 1024 and their simple parts.
    Bytes,
    /// Steps are powers of 10 and their simple parts.
    Decimal,
}

/// One axis, with marks at multiples of a step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    range: Range<f64>,
    step: f64,
    /// What the multiples are shifted by.
    shift: f64,
}

impl Axis {
    /// Returns an axis from `first` to `last`, in seconds since 1970, with marks at times that are round in `zone`.
    pub(super) fn of_times(first: f64, last: f64, marks: f64, zone: &TimeZone) -> Axis {
        let last = if last > first { last } else { first + 1.0 };
        let step = TIME_STEPS.into_iter().find(|step| (last - first) / step <= marks).unwrap_or(last - first);
        let offset = Timestamp::from_second(last as i64).map_or(0, |time| zone.to_offset(time).seconds());
        Axis { range: first..last, step, shift: -f64::from(offset) }
    }

    /// Returns an axis from 0 to at least `most`.
    pub(super) fn from_zero(most: f64, scale: Scale, marks: f64) -> Axis {
        let most = if most > 0.0 { most } else { 1.0 };
        let (base, parts): (f64, &[f64]) = match scale {
            Scale::Bytes => (1024.0, &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            Scale::Decimal => (10.0, &[1.0, 2.0, 5.0]),
        };
        let power = (most / marks).log(base).floor().max(-6.0);
        let steps = (0..2).flat_map(|more| parts.iter().map(move |part| part * base.powf(power + f64::from(more))));
        let step = steps.into_iter().find(|step| most / step <= marks).unwrap_or(most);
        Axis { range: 0.0..(most / step).ceil() * step, step, shift: 0.0 }
    }

    /// Returns the marks.
    fn marks(&self) -> Vec<f64> {
        let first = ((self.range.start - self.shift) / self.step).ceil();
        let last = ((self.range.end - self.shift) / self.step).floor();
        (0..)
            .map(|n| first + f64::from(n))
            .take_while(|n| *n <= last)
            .take(50)
            .map(|n| n * self.step + self.shift)
            .collect()
    }

    /// Returns how a time on this axis is written.
    pub(super) fn time(&self, seconds: f64, zone: &TimeZone) -> String {
        let Ok(time) = Timestamp::from_second(seconds as i64) else { return String::new() };
        let format = match self.step {
            step if step < 60.0 => "%H:%M:%S",
            step if step < 86_400.0 && self.range.end - self.range.start < 86_400.0 => "%H:%M",
            step if step < 86_400.0 => "%d %b %H:%M",
            step if step < 2_592_000.0 => "%d %b",
            _ => "%b %Y",
        };
        time.to_zoned(zone.clone()).strftime(format).to_string()
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        let part = (value - self.range.start) / (self.range.end - self.range.start);
        limit.0 + (f64::from(limit.1 - limit.0) * part.clamp(0.0, 1.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks() }
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_and_few() {
        let kib = Axis::from_zero(5000.0, Scale::Bytes, 5.0);
        assert_eq!(kib.marks(), [0.0, 1024.0, 2048.0, 3072.0, 4096.0, 5120.0]);
        assert_eq!(Axis::from_zero(0.07, Scale::Decimal, 5.0).marks().len(), 5);
        assert_eq!(Axis::from_zero(0.0, Scale::Decimal, 5.0).range, 0.0..1.0);
        for most in [1.0, 3.0, 999.0, 1e6, 1e15, 1e19] {
            for scale in [Scale::Bytes, Scale::Decimal] {
                let axis = Axis::from_zero(most, scale, 5.0);
                assert!((2..=6).contains(&axis.marks().len()) && axis.range.end >= most, "{most} {axis:?}");
            }
        }
    }

    #[test]
    fn times_are_marked_at_round_local_times() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        // 2026-11-22 from 14:05 to 16:20 UTC.
        let axis = Axis::of_times(1_795_356_300.0, 1_795_364_400.0, 4.0, &zone);
        let marks: Vec<String> = axis.marks().iter().map(|mark| axis.time(*mark, &zone)).collect();
        assert_eq!(marks, ["16:00", "17:00"]);
        assert!(!Axis::of_times(5.0, 5.0, 4.0, &zone).marks().is_empty());
        assert!(Axis::of_times(0.0, 1e11, 4.0, &zone).marks().len() <= 5);
    }
}
