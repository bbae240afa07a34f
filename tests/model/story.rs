//! The steps of a story.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::crash::Aftermath;
use crate::model::Story;
use crate::support::simulated::{Moment, Survival};

/// What happens in a story. Numbers are taken modulo the number of things to choose from.
#[derive(Clone, Copy)]
pub enum Step {
    /// This many new input files arrive, and the job runs to its end.
    Run {
        files: u8,
    },
    /// The same, and someone asks for a checkpoint right away.
    Checkpoint {
        files: u8,
    },
    /// The run dies at a change to its storage.
    Kill {
        files: u8,
        change: u8,
        moment: u8,
        aftermath: u8,
    },
    /// A file of a checkpoint is damaged or deleted in one replica.
    Damage {
        place: u8,
        file: u16,
        delete: bool,
    },
    Verify,
    Repair,
    Prune {
        keep: u8,
    },
    Undo,
    Pin {
        which: u8,
    },
    Unpin {
        which: u8,
    },
    Copy,
    /// The job is rolled back to a checkpoint.
    Restore {
        which: u8,
    },
    /// The same, and one input restarts at another record.
    Seek {
        which: u8,
        input: u8,
        record: u8,
    },
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Run { files } => write!(f, "run with {files} more files"),
            Step::Checkpoint { files } => write!(f, "run with {files} more files, and ask for a checkpoint"),
            Step::Kill { files, change, moment, aftermath } => {
                let moment = Moment::ALL[*moment as usize % Moment::ALL.len()];
                write!(
                    f,
                    "run with {files} more files, die {moment:?} change {change}, then {:?}",
                    aftermath_of(*aftermath)
                )
            }
            Step::Damage { place, file, delete } => {
                let how = if *delete { "delete" } else { "flip a bit of" };
                write!(f, "{how} file {file} in place {}", place % 2)
            }
            Step::Prune { keep } => write!(f, "prune all but the last {keep}"),
            Step::Pin { which } => write!(f, "pin number {which} of those that exist"),
            Step::Unpin { which } => write!(f, "unpin number {which} of the pinned ones"),
            Step::Restore { which } => write!(f, "restore number {which} of those that exist"),
            Step::Seek { which, input, record } => {
                write!(f, "restore number {which} of those that exist, with input {input} at record {record}")
            }
            Step::Verify => f.write_str("verify"),
            Step::Repair => f.write_str("repair"),
            Step::Undo => f.write_str("undo the last prune"),
            Step::Copy => f.write_str("copy"),
        }
    }
}

pub fn aftermath_of(number: u8) -> Aftermath {
    match number % 4 {
        0 | 1 => Aftermath::Death,
        2 => Aftermath::PowerFailure(Survival::None),
        _ => Aftermath::PowerFailure(Survival::Some(u64::from(number))),
    }
}

pub(super) fn stories() -> impl Strategy<Value = Story<Step>> {
    let files = 0..4_u8;
    let step = prop_oneof![
        4 => files.clone().prop_map(|files| Step::Run { files }),
        1 => files.clone().prop_map(|files| Step::Checkpoint { files }),
        5 => (files, 0..60_u8, 0..3_u8, any::<u8>())
            .prop_map(|(files, change, moment, aftermath)| Step::Kill { files, change, moment, aftermath }),
        2 => (0..2_u8, any::<u16>(), any::<bool>()).prop_map(|(place, file, delete)| Step::Damage { place, file, delete }),
        1 => Just(Step::Verify),
        2 => Just(Step::Repair),
        2 => (1..4_u8).prop_map(|keep| Step::Prune { keep }),
        1 => Just(Step::Undo),
        1 => any::<u8>().prop_map(|which| Step::Pin { which }),
        1 => any::<u8>().prop_map(|which| Step::Unpin { which }),
        1 => Just(Step::Copy),
        2 => any::<u8>().prop_map(|which| Step::Restore { which }),
        1 => (any::<u8>(), any::<u8>(), any::<u8>()).prop_map(|(which, input, record)| Step::Seek { which, input, record }),
    ];
    vec(step, 1..14).prop_map(Story)
}
