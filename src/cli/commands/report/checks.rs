//! The replicas, and what a verification found.

use maud::{Markup, html};

use super::page::{Page, left_out, part, section};
use super::table::{Cell, Kind, Table, shorten};
use crate::cli::text::counted;
use crate::ops::finding::{Finding, Severity};
use crate::ops::verify;
use crate::values::units::{Bytes, Count};

/// How many findings the table has.
const MAX_FINDINGS: usize = 300;

impl Page<'_> {
    /// Returns the section about replicas.
    pub(super) fn replicas(&self) -> Markup {
        let rows = self.report.lags.iter().map(|lag| {
            vec![
                Cell::text(&lag.place),
                lag.newest.map_or(Cell::none(), |newest| Cell::number(newest.0, newest.0 as f64)),
                lag.behind.map_or(Cell::none(), |behind| Cell::number(Count(behind), behind as f64)),
                Cell::text(match (&lag.error, lag.behind) {
                    (Some(error), _) => format!("cannot be used: {error}"),
                    (None, Some(0)) => "up to date".to_owned(),
                    (None, _) => "behind".to_owned(),
                }),
            ]
        });
        let table = Table {
            caption: "Copies of the store",
            columns: vec![
                ("Place", Kind::Wide),
                ("Newest", Kind::Number),
                ("Behind", Kind::Number),
                ("State", Kind::Wide),
            ],
            rows: rows.collect(),
        };
        section("replicas", table.html("replicas-table", None))
    }

    /// Returns the section about the verification.
    pub(super) fn verification(&self) -> Markup {
        let left_out = "Not known: this report was written without --verify, and a store does not record when it was \
            verified. `ckpt verify` checks every byte.";
        section("verification", part(&self.report.verified, left_out, "", |reports| self.verified(reports)))
    }

    fn verified(&self, reports: &[verify::Report]) -> Markup {
        html! {
            ul {
                @for report in reports {
                    li {
                        span.name { (shorten(&report.place)) } ": "
                        @if report.is_damaged() {
                            span.word.damaged { "damaged" }
                        } @else if report.refused.is_some() {
                            span.word.attention { "not all of it could be read" }
                        } @else {
                            span.word { "intact" }
                        }
                        ", " (counted(report.checkpoints.len() as u64, "checkpoint")) ", "
                        (Bytes(report.read_bytes)) " read."
                    }
                }
            }
            (findings(reports))
        }
    }
}

fn findings(reports: &[verify::Report]) -> Markup {
    let all: Vec<(&str, &Finding)> = reports
        .iter()
        .flat_map(|report| report.findings.iter().map(|finding| (report.place.as_str(), finding)))
        .collect();
    let shown = &all[..all.len().min(MAX_FINDINGS)];
    let rows = shown.iter().map(|(place, finding)| {
        let checkpoints: Vec<u64> = finding.checkpoints.iter().map(|sequence| sequence.0).collect();
        vec![
            Cell::text(if finding.severity() == Severity::Damage { "damage" } else { "note" }),
            Cell::text(finding.code.as_str()),
            Cell::text(*place),
            Cell::text(&finding.path),
            Cell::text(&finding.expected),
            Cell::text(&finding.found),
            Cell::text(crate::cli::text::ranges(&checkpoints)),
            Cell::text(finding.code.next_step()),
        ]
    });
    let table = Table {
        caption: "Findings",
        columns: vec![
            ("Severity", Kind::Text),
            ("Code", Kind::Text),
            ("Replica", Kind::Wide),
            ("File", Kind::Wide),
            ("Expected", Kind::Wide),
            ("Found", Kind::Wide),
            ("Checkpoints", Kind::Wide),
            ("Next step", Kind::Wide),
        ],
        rows: rows.collect(),
    };
    table.html("findings-table", left_out(shown.len(), all.len(), "first"))
}
