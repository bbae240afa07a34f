//! The largest and the fastest-growing tasks and keys.

use maud::{Markup, html};

use super::page::{Page, part, section};
use super::table::{Cell, Kind, Table};
use super::timeline::size;
use crate::cli::text::counted;
use crate::ops::report::{Changes, State};
use crate::values::units::{Bytes, Count, Percent};

const LEFT_OUT: &str = "Left out by --quick.";

impl Page<'_> {
    /// Returns the section about tasks and keys.
    pub(super) fn state(&self) -> Markup {
        section(
            "state",
            html! {
                h3 { "Largest" }
                (part(&self.report.state, LEFT_OUT, "There is no checkpoint yet.", largest))
                h3 { "Growing fastest" }
                (part(&self.report.growth, LEFT_OUT, "There are not yet two checkpoints.", |growth| self.growing(growth)))
            },
        )
    }

    fn growing(&self, growth: &Changes) -> Markup {
        let (old, new) = (&growth.old, &growth.new);
        let tasks = Table {
            caption: "Tasks that grew most",
            columns: vec![
                ("Task", Kind::Number),
                ("Bytes more", Kind::Number),
                ("Keys more", Kind::Number),
                ("Keys that differ", Kind::Number),
            ],
            rows: growth
                .tasks
                .iter()
                .map(|task| {
                    vec![
                        Cell::number(task.task, task.task.into()),
                        signed_size(task.bytes),
                        Cell::number(format!("{:+}", task.keys), task.keys as f64),
                        Cell::number(Count(task.changed_keys), task.changed_keys as f64),
                    ]
                })
                .collect(),
        };
        let keys = Table {
            caption: "Keys that grew most",
            columns: vec![
                ("Key", Kind::Wide),
                ("Task", Kind::Number),
                ("Bytes more", Kind::Number),
                ("New", Kind::Text),
            ],
            rows: growth
                .keys
                .iter()
                .map(|key| {
                    vec![
                        Cell::text(&key.key),
                        Cell::number(key.task, key.task.into()),
                        signed_size(key.bytes),
                        Cell::text(if key.is_new { "yes" } else { "no" }),
                    ]
                })
                .collect(),
        };
        html! {
            p {
                "From checkpoint " (old.sequence.0) " (" (self.times.show(old.created)) ") to " (new.sequence.0) " ("
                (self.times.show(new.created)) "). Bytes are those of keys and values before encoding."
            }
            (tasks.html("growing-tasks", at_most(tasks.rows.len(), 100, "tasks")))
            (keys.html("growing-keys", at_most(keys.rows.len(), 50, "keys")))
        }
    }
}

fn largest(state: &State) -> Markup {
    let tasks = Table {
        caption: "Largest tasks",
        columns: vec![
            ("Task", Kind::Number),
            ("Shard", Kind::Number),
            ("Keys", Kind::Number),
            ("Bytes", Kind::Number),
            ("Part of all", Kind::Number),
        ],
        rows: state
            .largest_tasks
            .iter()
            .map(|task| {
                vec![
                    Cell::number(task.task, task.task.into()),
                    Cell::number(task.shard, task.shard.into()),
                    Cell::number(Count(task.keys), task.keys as f64),
                    size(task.state_bytes),
                    Cell::number(Percent { part: task.state_bytes, whole: state.bytes }, task.state_bytes as f64),
                ]
            })
            .collect(),
    };
    let keys = Table {
        caption: "Largest keys",
        columns: vec![("Key", Kind::Wide), ("Task", Kind::Number), ("Bytes", Kind::Number)],
        rows: state
            .largest_keys
            .iter()
            .map(|key| vec![Cell::text(&key.key), Cell::number(key.task, key.task.into()), size(key.bytes)])
            .collect(),
    };
    html! {
        p {
            (counted(state.keys, "key")) " in " (counted(state.tasks, "task")) " with keys, "
            (Bytes(state.bytes)) " before encoding."
        }
        (tasks.html("largest-tasks", super::page::left_out(tasks.rows.len(), state.tasks as usize, "largest")))
        (keys.html("largest-keys", super::page::left_out(keys.rows.len(), state.keys as usize, "largest")))
    }
}

/// Says that a table may not have all rows.
fn at_most(rows: usize, limit: usize, what: &str) -> Option<String> {
    (rows >= limit).then(|| format!("Shown are at most {limit} {what}."))
}

fn signed_size(bytes: i64) -> Cell {
    let sign = if bytes < 0 { "-" } else { "+" };
    Cell::number(format!("{sign}{}", Bytes(bytes.unsigned_abs())), bytes as f64)
}
