//! The growth of the state and of the store, and what pruning would free.

use maud::{Markup, html};

use super::axis::Scale;
use super::chart::{Chart, Series};
use super::page::{Page, left_out, part, section};
use super::table::{Cell, Kind, Table, shorten};
use super::timeline::{bytes, size};
use crate::cli::text::{cause, counted};
use crate::ops::report::{Ranges, TaskRange};
use crate::ops::stats::{Counted, Sizes};
use crate::values::error_chain::in_one_line;
use crate::values::units::{Bytes, Count};

/// How many of the newest checkpoints the table has.
const MAX_ROWS: usize = 300;

impl Page<'_> {
    /// Returns the section about growth.
    pub(super) fn growth(&self) -> Markup {
        let checkpoints = &self.report.stats.checkpoints;
        let shown = &checkpoints[checkpoints.len().saturating_sub(MAX_ROWS)..];
        let table = Table {
            caption: "Checkpoints, newest first",
            columns: vec![
                ("Number", Kind::Number),
                ("When", Kind::Text),
                ("Cause", Kind::Wide),
                ("Keys", Kind::Number),
                ("Changed keys", Kind::Number),
                ("Records", Kind::Number),
                ("Size", Kind::Number),
                ("New", Kind::Number),
                ("Frees", Kind::Number),
                ("Pin", Kind::Wide),
            ],
            rows: shown.iter().rev().map(|counted| self.checkpoint(counted)).collect(),
        };
        section(
            "growth",
            html! {
                div.charts {
                    @for chart in self.growth_charts() { (chart.html(&self.zone)) }
                    @if let Ok(ranges) = &self.report.ranges { (ranges_chart(ranges).html(&self.zone)) }
                }
                p.soft {
                    "The second-to-last column is what removing only that checkpoint would free. A chart of many points shows "
                    "the largest value of each stretch; the chart by range of tasks has at most 60 checkpoints."
                }
                (table.html("checkpoints-table", left_out(shown.len(), checkpoints.len(), "newest")))
            },
        )
    }

    fn growth_charts(&self) -> Vec<Chart> {
        let chart = |title, scale, unit, name: &str, value: &mut dyn FnMut(&Sizes) -> u64| Chart {
            title,
            scale,
            unit,
            series: vec![Series {
                name: name.to_owned(),
                points: self.report.readable().map(|one| (one.manifest.created, value(one) as f64)).collect(),
            }],
            failures: Vec::new(),
        };
        let mut stored = 0u64;
        vec![
            chart("Size of the state", Scale::Bytes, bytes, "size", &mut |one| one.manifest.totals.bytes),
            chart("Keys in the state", Scale::Decimal, count, "keys", &mut |one| one.manifest.totals.keys),
            chart("Size of the store", Scale::Bytes, bytes, "all checkpoints up to then", &mut |one| {
                stored = stored.saturating_add(one.added_bytes);
                stored
            }),
            chart("Records applied", Scale::Decimal, count, "records", &mut |one| one.manifest.totals.records),
        ]
    }

    fn checkpoint(&self, counted: &Counted) -> Vec<Cell> {
        let number = Cell::number(counted.sequence.0, counted.sequence.0 as f64);
        let pin = match self.report.pins.get(&counted.sequence) {
            Some(pin) => Cell::text(pin.reason.as_deref().unwrap_or("pinned")),
            None => Cell::text(""),
        };
        let sizes = match &counted.sizes {
            Ok(sizes) => sizes,
            Err(error) => {
                let none = Cell::none;
                let reason = Cell::text(format!("damaged: {}", in_one_line(error)));
                return vec![number, none(), reason, none(), none(), none(), none(), none(), none(), pin];
            }
        };
        let totals = sizes.manifest.totals;
        let number_of = |n: u64| Cell::number(Count(n), n as f64);
        vec![
            number,
            self.when(sizes.manifest.created),
            Cell::text(cause(&sizes.manifest)),
            number_of(totals.keys),
            number_of(totals.changed_keys),
            number_of(totals.records),
            size(totals.bytes),
            size(totals.new_bytes),
            size(sizes.reclaimable_bytes),
            pin,
        ]
    }

    /// Returns the section about space.
    pub(super) fn space(&self) -> Markup {
        let stats = &self.report.stats;
        let unused = match stats.unused {
            Some(unused) => format!("{} in {}", Bytes(unused.bytes), counted(unused.objects, "object")),
            None => "not known, because a checkpoint cannot be read".to_owned(),
        };
        let pruned = match (stats.pruned.checkpoints, stats.pruned.bytes) {
            (0, _) => "none".to_owned(),
            (count, Some(bytes)) => format!("{}, which keep {}", counted(count, "checkpoint"), Bytes(bytes)),
            (count, None) => format!("{}; what they keep is not known", counted(count, "checkpoint")),
        };
        let facts = [
            ("Stored", format!("{} in {}", Bytes(stats.stored_bytes), counted(stats.objects, "object"))),
            ("Without sharing", Bytes(stats.logical_bytes).to_string()),
            ("Freed by removing all but the newest", Bytes(stats.older_bytes()).to_string()),
            ("Not needed by any checkpoint", unused),
            ("Pruned, can be brought back", pruned),
        ];
        section(
            "space",
            html! {
                dl.facts {
                    @for (name, fact) in &facts {
                        dt { (name) }
                        dd { (fact) }
                    }
                    dt { "Freed by the job's keep rules now" }
                    dd {
                        (part(&self.report.pruning, "", "The job file has no keep rules.", |plan| html! {
                            (Bytes(plan.removed_bytes())) " in " (counted(plan.removed().count() as u64, "checkpoint"))
                            " by " code { (shorten(&plan.request.policy.to_string())) }
                        }))
                    }
                }
            },
        )
    }
}

fn ranges_chart(ranges: &Ranges) -> Chart {
    let series = |range: &TaskRange| Series {
        name: if range.first_task == range.last_task {
            format!("task {}", range.first_task)
        } else {
            format!("tasks {} to {}", range.first_task, range.last_task)
        },
        points: ranges
            .checkpoints
            .iter()
            .zip(&range.bytes)
            .map(|((_, created), bytes)| (*created, *bytes as f64))
            .collect(),
    };
    Chart {
        title: "Segments by range of tasks",
        scale: Scale::Bytes,
        unit: bytes,
        series: ranges.ranges.iter().map(series).collect(),
        failures: Vec::new(),
    }
}

/// Writes a count on an axis.
fn count(value: f64) -> String {
    Count(value as u64).to_string()
}
