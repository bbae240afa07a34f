//! What a changed job file means for the state of the previous job.

use std::fmt;

use crate::input::record::computed_fields;
use crate::job::aggregate::AggregateSpec;
use crate::job::field::FieldPath;
use crate::job::model::{ComputedField, ExecSpec, InputFormat, JobSpec, KeyField, TtlSpec, WindowSpec};
use crate::values::units::shown;
use crate::values::value::{Column, ColumnType};

/// Something in a job that the state of its checkpoint depends on, and that has changed: `old` made the state, `new` is
/// in the job file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// `key:` was changed, added or removed.
    Key { old: Vec<KeyField>, new: Vec<KeyField> },
    /// `tasks:` was changed.
    Tasks { old: u32, new: u32 },
    /// `tasks:` was changed, and only the program that made the state knows the task of a key.
    ProgramTasks { old: u32, new: u32 },
    /// `tasks: partitions` was added or removed: the numbers of tasks, which partitions have none of.
    TaskPartitions { old: Option<u32>, new: Option<u32> },
    /// `exec`, `native` or `aggregate` was replaced by another of them. Both are descriptions for messages.
    Process { old: String, new: String },
    /// The program that made the state had other columns. Both are descriptions for messages.
    ProgramColumns { old: String, new: String },
    /// The state does not have this aggregate.
    AggregateAdded { new: AggregateSpec },
    /// The job file does not have this aggregate.
    AggregateRemoved { old: AggregateSpec },
    /// An aggregate of the same name is computed differently.
    AggregateChanged { old: AggregateSpec, new: AggregateSpec },
    /// The aggregates that both have, by name, are in another order.
    AggregateOrder { old: Vec<String>, new: Vec<String> },
    /// `window:` was added or removed, or has other bounds or another time.
    Window { old: Option<WindowSpec>, new: Option<WindowSpec> },
    /// `ttl:` was added or removed, or goes by another time.
    Ttl { old: Option<TtlSpec>, new: Option<TtlSpec> },
    /// `format:`, `delimiter:`, `split:` or `pattern:` was changed.
    InputFormat { old: InputFormat, new: InputFormat },
    /// `encoding:`, `nulls:` or `numbers:` was changed. The key.
    Cleaning { key: &'static str },
    /// A computed field that the state depends on was added, removed or changed: its expressions.
    Computed { name: String, old: Option<String>, new: Option<String> },
    /// A field has another type in `types:`.
    FieldType { field: FieldPath, old: ColumnType, new: ColumnType },
}

/// What a [`Difference`] means for a run that resumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The state is routed to other tasks.
    Reroutes,
    /// A column is added, which is empty for every key.
    StartsEmpty,
    /// A column is dropped.
    Drops,
    /// The columns change places.
    Reorders,
    /// The run cannot resume from this state.
    Unfit,
}

/// Returns the differences between the job `old` that made the state and the job `new`. A run can resume unless one is
/// [`Effect::Unfit`].
///
/// Left out is what state does not depend on, and what only affects the records still to come: input files, `where:`,
/// `delete:`, the command of `exec:`, `on_error:`, `late:`, `on_late:`, the length of `ttl:`, the schedule, the store and the
/// output.
pub fn differences(old: &JobSpec, new: &JobSpec) -> Vec<Difference> {
    let mut found = Vec::new();
    if old.input.format != new.input.format {
        let (old, new) = (old.input.format.clone(), new.input.format.clone());
        found.push(Difference::InputFormat { old, new });
    }
    let is_changed = [
        ("encoding", old.input.encoding != new.input.encoding),
        ("nulls", old.input.nulls != new.input.nulls),
        ("numbers", old.input.numbers != new.input.numbers),
    ];
    found.extend(is_changed.iter().filter(|(_, changed)| *changed).map(|(key, _)| Difference::Cleaning { key }));
    found.extend(routing(old, new));
    found.extend(window(old, new));
    found.extend(ttl(old, new));
    found.extend(field_types(old, new));
    found.extend(computed(old, new));
    let (old_owner, new_owner) = (state_owner(old), state_owner(new));
    if old_owner == new_owner {
        found.extend(aggregates(old, new));
        found.extend(program_columns(old, new));
    } else {
        found.push(Difference::Process { old: old_owner, new: new_owner });
    }
    found
}

fn routing(old: &JobSpec, new: &JobSpec) -> Option<Difference> {
    if old.key != new.key {
        return Some(Difference::Key { old: old.key.clone(), new: new.key.clone() });
    }
    if old.is_partitioned != new.is_partitioned {
        let number = |job: &JobSpec| (!job.is_partitioned).then_some(job.tasks);
        return Some(Difference::TaskPartitions { old: number(old), new: number(new) });
    }
    let is_program = old.exec.is_some() && new.exec.is_some();
    let (old, new) = (old.tasks, new.tasks);
    if old == new {
        None
    } else if is_program {
        Some(Difference::ProgramTasks { old, new })
    } else {
        Some(Difference::Tasks { old, new })
    }
}

fn window(old: &JobSpec, new: &JobSpec) -> Option<Difference> {
    let is_same = match (&old.window, &new.window) {
        (Some(old), Some(new)) => old.has_rows_of(new),
        (old, new) => old.is_none() && new.is_none(),
    };
    (!is_same).then(|| Difference::Window { old: old.window.clone(), new: new.window.clone() })
}

fn ttl(old: &JobSpec, new: &JobSpec) -> Option<Difference> {
    let time = |job: &JobSpec| job.ttl.as_ref().map(|ttl| ttl.time.clone());
    (time(old) != time(new)).then(|| Difference::Ttl { old: old.ttl.clone(), new: new.ttl.clone() })
}

/// Returns the fields of aggregates in both jobs that have another type.
fn field_types(old: &JobSpec, new: &JobSpec) -> Vec<Difference> {
    let is_kept = |field: &FieldPath| {
        let of_field = |a: &&AggregateSpec| a.field.as_ref() == Some(field) || a.by.as_ref() == Some(field);
        old.aggregates.iter().filter(of_field).any(|aggregate| aggregate.continues_one_of(&new.aggregates))
    };
    let mut found = Vec::new();
    for (field, old_type) in old.input.types.iter().filter(|(field, _)| is_kept(field)) {
        let new_type = new.input.types.iter().find(|(name, _)| name == field).map(|(_, new_type)| new_type);
        if let Some(new_type) = new_type.filter(|new_type| *new_type != old_type) {
            found.push(Difference::FieldType { field: field.clone(), old: *old_type, new: *new_type });
        }
    }
    found
}

/// Returns the computed fields on which the state depends and that are not the same in both jobs.
fn computed(old: &JobSpec, new: &JobSpec) -> Vec<Difference> {
    let mut fields: Vec<FieldPath> = new.key_fields().cloned().collect();
    let window = new.window.as_ref().map(|window| &window.time);
    fields.extend(window.or(new.ttl.as_ref().map(|ttl| &ttl.time)).map(|time| time.field.clone()));
    let in_both = new.aggregates.iter().filter(|aggregate| aggregate.continues_one_of(&old.aggregates));
    fields.extend(in_both.flat_map(|aggregate| aggregate.fields().cloned()));
    let (of_old, of_new) = (computed_fields(&old.input, &fields), computed_fields(&new.input, &fields));
    if of_old == of_new {
        return Vec::new();
    }
    let find = |list: &[&ComputedField], name: &str| {
        list.iter().find(|field| field.name == name).map(|field| field.expression.clone())
    };
    let mut names: Vec<&String> = of_old.iter().chain(&of_new).map(|field| &field.name).collect();
    names.sort_unstable();
    names.dedup();
    let all = names.into_iter().map(|name| {
        let (old, new) = (find(&of_old, name), find(&of_new, name));
        Difference::Computed { name: name.clone(), old, new }
    });
    let (same, changed): (Vec<_>, Vec<_>) =
        all.partition(|found| matches!(found, Difference::Computed { old, new, .. } if old == new));
    if changed.is_empty() { same } else { changed }
}

/// Returns the difference between the columns that the programs of both jobs declare.
fn program_columns(old: &JobSpec, new: &JobSpec) -> Option<Difference> {
    let columns = |job: &JobSpec| job.exec.as_ref().map(ExecSpec::state_columns).unwrap_or_default();
    let described = |columns: &[Column]| {
        let one = |column: &Column| format!("{} {}", column.name, column.column_type.name());
        shown(&columns.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    let (old, new) = (columns(old), columns(new));
    (old != new).then(|| Difference::ProgramColumns { old: described(&old), new: described(&new) })
}

/// Describes what makes the state of `job`.
fn state_owner(job: &JobSpec) -> String {
    match (&job.exec, &job.native) {
        (Some(_), _) => "a program (`exec`)".to_owned(),
        (None, Some(native)) => format!("the built-in processor `{native}`"),
        (None, None) => "aggregates".to_owned(),
    }
}

fn aggregates(old: &JobSpec, new: &JobSpec) -> Vec<Difference> {
    let mut found = Vec::new();
    for old in &old.aggregates {
        match new.aggregates.iter().find(|new| new.name == old.name) {
            None => found.push(Difference::AggregateRemoved { old: old.clone() }),
            Some(new) if new != old && !new.shares_sketch(old) => {
                found.push(Difference::AggregateChanged { old: old.clone(), new: new.clone() });
            }
            Some(_) => {}
        }
    }
    for new in &new.aggregates {
        if !old.aggregates.iter().any(|old| old.name == new.name || old.shares_sketch(new)) {
            found.push(Difference::AggregateAdded { new: new.clone() });
        }
    }
    let in_both = |of: &JobSpec, other: &JobSpec| -> Vec<String> {
        let names = of.aggregates.iter().map(|aggregate| &aggregate.name);
        names.filter(|name| other.aggregates.iter().any(|other| other.name == **name)).cloned().collect()
    };
    let (old_order, new_order) = (in_both(old, new), in_both(new, old));
    if old_order != new_order {
        found.push(Difference::AggregateOrder { old: old_order, new: new_order });
    }
    found
}

impl Difference {
    /// Returns what it means for a run that resumes.
    pub fn effect(&self) -> Effect {
        match self {
            Difference::Tasks { .. } => Effect::Reroutes,
            Difference::AggregateAdded { .. } => Effect::StartsEmpty,
            Difference::AggregateRemoved { .. } => Effect::Drops,
            Difference::AggregateOrder { .. } => Effect::Reorders,
            Difference::Key { .. }
            | Difference::ProgramTasks { .. }
            | Difference::TaskPartitions { .. }
            | Difference::ProgramColumns { .. }
            | Difference::Process { .. }
            | Difference::AggregateChanged { .. }
            | Difference::Window { .. }
            | Difference::Ttl { .. }
            | Difference::InputFormat { .. }
            | Difference::Computed { .. }
            | Difference::Cleaning { .. }
            | Difference::FieldType { .. } => Effect::Unfit,
        }
    }
}

impl fmt::Display for Difference {
    /// Says what was and what is now: ``aggregate `spent` was sum(amount), is now avg(amount)``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Key { old, new } => match (&old[..], &new[..]) {
                ([], []) => write!(f, "there is no key"),
                (old, []) => write!(f, "the key `{}` was removed", key(old)),
                ([], new) => write!(f, "the key `{}` was added", key(new)),
                (old, new) => write!(f, "the key was `{}`, is now `{}`", key(old), key(new)),
            },
            Difference::Tasks { old, new } => write!(f, "`tasks` was {old}, is now {new}"),
            Difference::ProgramTasks { old, new } => {
                write!(f, "`tasks` was {old}, is now {new}: the keys of a program cannot move to other tasks")
            }
            Difference::TaskPartitions { old, new } => {
                let tasks = |number: &Option<u32>| number.map_or("`partitions`".to_owned(), |tasks| tasks.to_string());
                write!(f, "`tasks` was {}, is now {}: keys cannot move to other tasks", tasks(old), tasks(new))
            }
            Difference::ProgramColumns { old, new } => {
                write!(f, "the columns of the program's state were {old}, are now {new}")
            }
            Difference::Process { old, new } => write!(f, "the state was made by {old}, {new} cannot use it"),
            Difference::AggregateAdded { new } => write!(f, "aggregate `{}` is new: {new}", new.name),
            Difference::AggregateRemoved { old } => write!(f, "aggregate `{}` ({old}) was removed", old.name),
            Difference::AggregateChanged { old, new } => {
                write!(f, "aggregate `{}` was {old}, is now {new}", old.name)
            }
            Difference::AggregateOrder { old, new } => {
                write!(f, "the order of the aggregates was {}, is now {}", old.join(", "), new.join(", "))
            }
            Difference::Window { old: Some(old), new: Some(new) } => write!(f, "`window` was {old}, is now {new}"),
            Difference::Window { old: Some(old), .. } => write!(f, "`window` ({old}) was removed"),
            Difference::Window { new: Some(new), .. } => write!(f, "`window` was added: {new}"),
            Difference::Window { .. } => write!(f, "there is no `window`"),
            Difference::Ttl { old: Some(old), new: Some(new) } => {
                write!(f, "`ttl` used the time {}, now uses {}", old.time, new.time)
            }
            Difference::Ttl { old: Some(_), .. } => write!(f, "`ttl` was removed"),
            Difference::Ttl { .. } => write!(f, "`ttl` was added"),
            Difference::InputFormat { old, new } => {
                write!(f, "the input format was {}, is now {}", described(old), described(new))
            }
            Difference::Cleaning { key } => write!(f, "`{key}` in `input` was changed"),
            Difference::Computed { name, old: Some(old), new: Some(new) } if old == new => {
                write!(f, "the computed field `{name}` comes in another order in `let`")
            }
            Difference::Computed { name, old: Some(old), new: Some(new) } => {
                write!(f, "the computed field `{name}` was `{}`, is now `{}`", shown(old), shown(new))
            }
            Difference::Computed { name, new: Some(new), .. } => {
                write!(f, "the computed field `{name}` was added: `{}`", shown(new))
            }
            Difference::Computed { name, .. } => write!(f, "the computed field `{name}` was removed"),
            Difference::FieldType { field, old, new } => {
                write!(f, "the type of `{field}` was {}, is now {}", old.name(), new.name())
            }
        }
    }
}

fn key(fields: &[KeyField]) -> String {
    match fields {
        [only] => only.to_string(),
        fields => format!("[{}]", fields.iter().map(KeyField::to_string).collect::<Vec<_>>().join(", ")),
    }
}

fn described(format: &InputFormat) -> String {
    match format {
        InputFormat::Csv { delimiter: b',' } => "csv".to_owned(),
        InputFormat::Csv { delimiter: b'\t' } => "csv separated by tabs".to_owned(),
        InputFormat::Csv { delimiter } => format!("csv separated by `{}`", char::from(*delimiter)),
        InputFormat::Words => "text split into words".to_owned(),
        InputFormat::Pattern(pattern) => format!("text with the pattern `{}`", shown(pattern.text())),
        InputFormat::Json | InputFormat::Text => format.name().to_owned(),
    }
}
