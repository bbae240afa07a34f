//! Line charts over time, as SVG that takes its colors from the style of the page.

use std::error::Error;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use maud::{Markup, PreEscaped, html};
use plotters::prelude::*;

use super::axis::{Axis, Scale};

/// The size of a chart. It is scaled to its place, from a narrow phone to half of a wide screen.
const SIZE: (u32, u32) = (360, 210);

/// How many points a line has at most.
const MAX_POINTS: usize = 240;

/// Text and axes, the grid, and failures. The style of the page replaces these colors by those of its theme.
const INK: RGBColor = RGBColor(1, 1, 1);
const GRID: RGBColor = RGBColor(2, 2, 2);
const FAILURE: RGBColor = RGBColor(0xa4, 0x0e, 0x26);

/// The colors of the lines. The style of the page also gives each its own pattern of dashes.
const SERIES: [RGBColor; 5] = [
    RGBColor(0x0b, 0x5c, 0xad),
    RGBColor(0xb3, 0x47, 0x00),
    RGBColor(0x1a, 0x7f, 0x4b),
    RGBColor(0x8a, 0x3f, 0xfc),
    RGBColor(0xa1, 0x1d, 0x5b),
];

/// A line: its name, and its points by time.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(Timestamp, f64)>,
}

/// A chart.
pub(super) struct Chart {
    pub(super) title: &'static str,
    pub(super) scale: Scale,
    /// Writes a number of the vertical axis.
    pub(super) unit: fn(f64) -> String,
    pub(super) series: Vec<Series>,
    /// When something failed: crosses at the foot of the chart.
    pub(super) failures: Vec<Timestamp>,
}

impl Chart {
    /// Returns the chart as HTML, or a sentence if there are too few points for a line.
    pub(super) fn html(&self, zone: &TimeZone) -> Markup {
        let counts = self.series.iter().map(|series| series.points.len());
        if counts.max().unwrap_or(0) < 2 {
            return html! { figure { figcaption { (self.title) ": too few points for a chart." } } };
        }
        // Writing to a string fails only if the chart is smaller than its margins.
        let Ok(lines) = self.svg(zone) else { return html! {} };
        html! {
            figure {
                figcaption { strong { (self.title) } }
                svg.chart viewBox=(format!("0 0 {} {}", SIZE.0, SIZE.1)) role="img" aria-label=(self.summary()) {
                    (PreEscaped(lines))
                }
                @if self.series.len() > 1 || !self.failures.is_empty() {
                    ul.legend { (self.legend()) }
                }
            }
        }
    }

    /// Says in words what the chart shows.
    fn summary(&self) -> String {
        let line = |series: &Series| {
            let values = series.points.iter().map(|(_, value)| *value);
            let (least, most) = values.fold((f64::MAX, 0.0f64), |(a, b), value| (a.min(value), b.max(value)));
            let last = series.points.last().map_or(0.0, |(_, value)| *value);
            let unit = self.unit;
            format!("{}: {} to {}, at the end {}", series.name, unit(least), unit(most), unit(last))
        };
        let mut parts: Vec<String> = self.series.iter().filter(|series| !series.points.is_empty()).map(line).collect();
        if !self.failures.is_empty() {
            parts.push(format!("failed attempts: {}", self.failures.len()));
        }
        format!("Line chart. {}. {}.", self.title, parts.join("; "))
    }

    fn legend(&self) -> Markup {
        html! {
            @for (series, color) in self.series.iter().zip(SERIES) {
                li {
                    svg viewBox="0 0 28 12" aria-hidden="true" {
                        line x1="0" y1="6" x2="28" y2="6" stroke=(hex(color)) stroke-width="2" {}
                    }
                    (series.name)
                }
            }
            @if !self.failures.is_empty() {
                li {
                    svg viewBox="0 0 28 12" aria-hidden="true" {
                        path d="M10 2l8 8M10 10l8-8" stroke=(hex(FAILURE)) stroke-width="2" {}
                    }
                    "failed attempt"
                }
            }
        }
    }

    /// Draws the chart, and returns what is inside the `svg` element.
    fn svg(&self, zone: &TimeZone) -> Result<String, Box<dyn Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let seconds = |time: &Timestamp| time.as_millisecond() as f64 / 1e3;
        let times = || points().map(|(time, _)| seconds(time)).chain(self.failures.iter().map(seconds));
        let (first, last) = times().fold((f64::MAX, f64::MIN), |(a, b), time| (a.min(time), b.max(time)));
        let most = points().map(|(_, value)| *value).fold(0.0, f64::max);
        let (x, y) = (Axis::of_times(first, last, 4.0, zone), Axis::from_zero(most, self.scale, 5.0));
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let mut chart = ChartBuilder::on(&area)
                .margin_top(8)
                .margin_right(24)
                .x_label_area_size(24)
                .y_label_area_size(62)
                .build_cartesian_2d(x.clone(), y)?;
            chart
                .configure_mesh()
                .axis_style(INK)
                .bold_line_style(GRID)
                .label_style(("sans-serif", 14).into_font().color(&INK))
                .x_label_formatter(&|time| x.time(*time, zone))
                .y_label_formatter(&|value| (self.unit)(*value))
                .draw()?;
            for (series, color) in self.series.iter().zip(SERIES) {
                let points = thin(&series.points);
                let points = points.iter().map(|(time, value)| (seconds(time), *value));
                chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
            }
            let failures = thin(&self.failures.iter().map(|time| (*time, 0.0)).collect::<Vec<_>>());
            let crosses = failures.iter().map(|(time, _)| Cross::new((seconds(time), 0.0), 4, FAILURE.stroke_width(2)));
            chart.draw_series(crosses)?;
            area.present()?;
        }
        // The page has its own `svg` element, with a description for those who do not see it.
        let inner = svg.split_once('>').map_or("", |(_, inner)| inner);
        Ok(inner.trim_end().trim_end_matches("</svg>").to_owned())
    }
}

fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

/// Returns the points, or if they are many, the largest of each of equal parts of them.
fn thin(points: &[(Timestamp, f64)]) -> Vec<(Timestamp, f64)> {
    let part = points.len().div_ceil(MAX_POINTS).max(1);
    let largest = |points: &[(Timestamp, f64)]| points.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1));
    points.chunks(part).filter_map(largest).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(count: i64) -> Vec<(Timestamp, f64)> {
        (0..count).map(|n| (Timestamp::from_second(n * 60).unwrap(), (n % 7) as f64)).collect()
    }

    #[test]
    fn many_points_are_thinned_and_peaks_stay() {
        let mut many = points(10_000);
        many[777].1 = 99.0;
        let thin = thin(&many);
        assert!(thin.len() <= MAX_POINTS && thin.iter().any(|(_, value)| *value == 99.0));
        assert_eq!(super::thin(&many[..3]), many[..3]);
    }

    #[test]
    fn a_chart_has_a_line_for_each_series_and_words_for_those_who_do_not_see_it() {
        let series = |name: &str| Series { name: name.to_owned(), points: points(30) };
        let chart = Chart {
            title: "Duration",
            scale: Scale::Decimal,
            unit: |value| format!("{value} s"),
            series: vec![series("all"), series("pause")],
            failures: vec![Timestamp::from_second(120).unwrap()],
        };
        let html = chart.html(&TimeZone::UTC).into_string();
        assert_eq!(html.matches("<polyline").count() - html.matches("stroke=\"#010101\"").count(), 2, "{html}");
        assert!(html.contains("Duration. all: 0 s to 6 s, at the end 1 s; pause: "), "{html}");
        assert!(!html.contains("style="), "the content security policy refuses inline styles");
    }
}
