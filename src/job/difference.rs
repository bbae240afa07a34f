//! What a changed job file means for the state that the job before has left.

use std::fmt;

use crate::job::{AggregateSpec, FieldPath, InputFormat, JobSpec, TtlSpec, WindowSpec};
use crate::values::value::ColumnType;

/// Something in a job that the state of its checkpoint depends on, and that is no longer as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// `key:` is another field, is new, or is gone.
    Key {
        /// The key of the state.
        old: Option<FieldPath>,
        /// The key of the job file.
        new: Option<FieldPath>,
    },
    /// `tasks:` is another number.
    Tasks {
        /// The number of the state.
        old: u32,
        /// The number of the job file.
        new: u32,
    },
    /// `tasks:` is another number, and the state is a program's, which alone knows the task of a key.
    ProgramTasks {
        /// The number of the state.
        old: u32,
        /// The number of the job file.
        new: u32,
    },
    /// `exec`, `native` or `aggregate` took the place of another of them.
    Process {
        /// Whose state it is.
        old: String,
        /// Who would go on with it.
        new: String,
    },
    /// An aggregate is there that the state does not have.
    AggregateAdded {
        /// The aggregate of the job file.
        new: AggregateSpec,
    },
    /// The state has an aggregate that is gone.
    AggregateRemoved {
        /// The aggregate of the state.
        old: AggregateSpec,
    },
    /// An aggregate of the same name is computed in another way.
    AggregateChanged {
        /// The aggregate of the state.
        old: AggregateSpec,
        /// The aggregate of the job file.
        new: AggregateSpec,
    },
    /// The aggregates are the same, in another order.
    AggregateOrder {
        /// The names in the order of the state.
        old: Vec<String>,
        /// The names in the order of the job file.
        new: Vec<String>,
    },
    /// `window:` has other bounds or another time, is new, or is gone.
    Window {
        /// The windows of the state.
        old: Option<WindowSpec>,
        /// Those of the job file.
        new: Option<WindowSpec>,
    },
    /// `ttl:` is new, is gone, or goes by another time.
    Ttl {
        /// What the state has.
        old: Option<TtlSpec>,
        /// What the job file says.
        new: Option<TtlSpec>,
    },
    /// `format:`, `delimiter:` or `split:` is another.
    InputFormat {
        /// How the input was read.
        old: InputFormat,
        /// How the job file reads it.
        new: InputFormat,
    },
    /// A field has another type in `types:`.
    FieldType {
        /// The field.
        field: FieldPath,
        /// The type that the state has.
        old: ColumnType,
        /// The type of the job file.
        new: ColumnType,
    },
}

/// What a [`Difference`] means for a run that goes on.
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
    /// The run can not go on from this state.
    Unfit,
}

/// Returns what differs between `new` and the job `old` that has left the state. The run can go on when none is [`Effect::Unfit`].
///
/// Not listed, because state does not depend on it: input files, `where:`, the command of `exec:`, `on_error:`, `late:`, `on_late:`, how long `ttl:` is, the
/// schedule, the store and the output. They hold for the records that are still to come.
pub fn differences(old: &JobSpec, new: &JobSpec) -> Vec<Difference> {
    let mut found = Vec::new();
    if old.input.format != new.input.format {
        let (old, new) = (old.input.format.clone(), new.input.format.clone());
        found.push(Difference::InputFormat { old, new });
    }
    if old.key != new.key {
        found.push(Difference::Key { old: old.key.clone(), new: new.key.clone() });
    } else if old.tasks != new.tasks && old.exec.is_some() && new.exec.is_some() {
        found.push(Difference::ProgramTasks { old: old.tasks, new: new.tasks });
    } else if old.tasks != new.tasks {
        found.push(Difference::Tasks { old: old.tasks, new: new.tasks });
    }
    let same_windows = match (&old.window, &new.window) {
        (Some(old), Some(new)) => old.has_rows_of(new),
        (old, new) => old.is_none() && new.is_none(),
    };
    if !same_windows {
        found.push(Difference::Window { old: old.window.clone(), new: new.window.clone() });
    }
    let time = |job: &JobSpec| job.ttl.as_ref().map(|ttl| ttl.time.clone());
    if time(old) != time(new) {
        found.push(Difference::Ttl { old: old.ttl.clone(), new: new.ttl.clone() });
    }
    let kept = |field: &FieldPath| {
        let of_field = |a: &&AggregateSpec| a.field.as_ref() == Some(field) || a.by.as_ref() == Some(field);
        old.aggregates.iter().filter(of_field).any(|aggregate| new.aggregates.contains(aggregate))
    };
    for (field, old_type) in old.input.types.iter().filter(|(field, _)| kept(field)) {
        let new_type = new.input.types.iter().find(|(name, _)| name == field).map(|(_, new_type)| new_type);
        if let Some(new_type) = new_type.filter(|new_type| *new_type != old_type) {
            found.push(Difference::FieldType { field: field.clone(), old: *old_type, new: *new_type });
        }
    }
    let owner = |job: &JobSpec| match (&job.exec, &job.native) {
        (Some(_), _) => "a program (`exec`)".to_owned(),
        (None, Some(native)) => format!("the built-in processor `{native}`"),
        (None, None) => "aggregates".to_owned(),
    };
    let (old_owner, new_owner) = (owner(old), owner(new));
    if old_owner != new_owner {
        found.push(Difference::Process { old: old_owner, new: new_owner });
        return found;
    }
    for old in &old.aggregates {
        match new.aggregates.iter().find(|new| new.name == old.name) {
            None => found.push(Difference::AggregateRemoved { old: old.clone() }),
            Some(new) if new != old => {
                found.push(Difference::AggregateChanged { old: old.clone(), new: new.clone() });
            }
            Some(_) => {}
        }
    }
    for new in &new.aggregates {
        if !old.aggregates.iter().any(|old| old.name == new.name) {
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
    /// Returns what it means for a run that goes on.
    pub fn effect(&self) -> Effect {
        match self {
            Difference::Tasks { .. } => Effect::Reroutes,
            Difference::AggregateAdded { .. } => Effect::StartsEmpty,
            Difference::AggregateRemoved { .. } => Effect::Drops,
            Difference::AggregateOrder { .. } => Effect::Reorders,
            Difference::Key { .. }
            | Difference::ProgramTasks { .. }
            | Difference::Process { .. }
            | Difference::AggregateChanged { .. }
            | Difference::Window { .. }
            | Difference::Ttl { .. }
            | Difference::InputFormat { .. }
            | Difference::FieldType { .. } => Effect::Unfit,
        }
    }
}

impl fmt::Display for Difference {
    /// Says what was and what is: `aggregate `spent` was sum(amount), is avg(amount)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Key { old: Some(old), new: Some(new) } => write!(f, "the key was `{old}`, is `{new}`"),
            Difference::Key { old: Some(old), .. } => write!(f, "the key was `{old}`, is gone"),
            Difference::Key { new: Some(new), .. } => write!(f, "there was no key, it is `{new}`"),
            Difference::Key { .. } => write!(f, "there is no key"),
            Difference::Tasks { old, new } => write!(f, "`tasks` was {old}, is {new}"),
            Difference::ProgramTasks { old, new } => {
                write!(f, "`tasks` was {old}, is {new}: the keys of a program can not be put into other tasks")
            }
            Difference::Process { old, new } => write!(f, "the state is that of {old}, {new} can not go on with it"),
            Difference::AggregateAdded { new } => write!(f, "aggregate `{}` is new: {new}", new.name),
            Difference::AggregateRemoved { old } => write!(f, "aggregate `{}` was {old}, is gone", old.name),
            Difference::AggregateChanged { old, new } => {
                write!(f, "aggregate `{}` was {old}, is {new}", old.name)
            }
            Difference::AggregateOrder { old, new } => {
                write!(f, "the aggregates were in the order {}, are in the order {}", old.join(", "), new.join(", "))
            }
            Difference::Window { old: Some(old), new: Some(new) } => write!(f, "`window` was {old}, is {new}"),
            Difference::Window { old: Some(old), .. } => write!(f, "`window` was {old}, is gone"),
            Difference::Window { new: Some(new), .. } => write!(f, "there was no `window`, it is {new}"),
            Difference::Window { .. } => write!(f, "there is no `window`"),
            Difference::Ttl { old: Some(old), new: Some(new) } => {
                write!(f, "`ttl` went by the time {}, goes by {}", old.time, new.time)
            }
            Difference::Ttl { old: Some(_), .. } => write!(f, "there was a `ttl`, it is gone"),
            Difference::Ttl { .. } => write!(f, "there was no `ttl`"),
            Difference::InputFormat { old, new } => {
                write!(f, "the input format was {}, is {}", describe(old), describe(new))
            }
            Difference::FieldType { field, old, new } => {
                write!(f, "the type of `{field}` was {}, is {}", old.name(), new.name())
            }
        }
    }
}

fn describe(format: &InputFormat) -> String {
    match format {
        InputFormat::Csv { delimiter: b',' } => "csv".to_owned(),
        InputFormat::Csv { delimiter: b'\t' } => "csv separated by tabs".to_owned(),
        InputFormat::Csv { delimiter } => format!("csv separated by `{}`", char::from(*delimiter)),
        InputFormat::Words => "text split into words".to_owned(),
        InputFormat::Json | InputFormat::Text => format.name().to_owned(),
    }
}
