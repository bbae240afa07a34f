//! The steps of a story about places that are cut off from each other.

use std::fmt;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::crash::Aftermath;
use crate::model::Story;
use crate::model::story::aftermath_of;
use crate::support::simulated::Moment;

/// How many places there are.
pub const PLACES: usize = 3;

/// Something that happens where only some places can be reached.
#[derive(Clone, Copy)]
pub struct Step {
    /// One bit per place, at least one.
    pub reach: u8,
    pub deed: Deed,
}

/// What happens. Numbers are taken modulo the number of things to choose from.
#[derive(Debug, Clone, Copy)]
pub enum Deed {
    /// New input files arrive, and the job runs to its end. Zero keeps all checkpoints.
    Run {
        files: u8,
        keep: u8,
        grace: bool,
        knows_all: bool,
    },
    /// The newest checkpoint is damaged, and the job runs with `--latest-good`. Then the damage turns out to be
    /// temporary.
    LatestGood {
        files: u8,
    },
    /// The run dies at a change to its storage.
    Kill {
        files: u8,
        change: u8,
        moment: u8,
        aftermath: u8,
    },
    Prune {
        keep: u8,
        grace: bool,
    },
    Undo,
    Pin {
        which: u8,
    },
    Unpin {
        which: u8,
    },
    /// The job is rolled back to a checkpoint.
    Restore {
        which: u8,
    },
    /// The first place's branch is copied to a place.
    Copy {
        to: u8,
    },
    /// A file of the first place is damaged or deleted, and the store is repaired.
    Repair {
        file: u16,
        delete: bool,
    },
    /// The first place is backed up.
    BackUp,
    /// The first place is put back as it was when it was last backed up.
    PutBack,
    /// The first place is moved away, and an empty directory is left.
    MoveAway,
}

impl Step {
    /// Returns the places that can be reached.
    pub fn places(&self) -> Vec<usize> {
        (0..PLACES).filter(|place| self.reach & (1 << place) != 0).collect()
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let places: Vec<&str> = self.places().into_iter().map(|place| ["a", "b", "c"][place]).collect();
        write!(f, "with {}: ", places.join(" and "))?;
        match self.deed {
            Deed::Run { files, keep, grace, knows_all } => {
                let others = if knows_all { ", the other places being lost" } else { "" };
                write!(f, "run with {files} more files{others}")?;
                match (keep, grace) {
                    (0, _) => Ok(()),
                    (keep, false) => write!(f, ", and keep the last {keep}"),
                    (keep, true) => write!(f, ", and keep the last {keep}, with a grace period"),
                }
            }
            Deed::LatestGood { files } => write!(f, "run with {files} more files, past a damaged checkpoint"),
            Deed::Kill { files, change, moment, aftermath } => {
                let (moment, aftermath) = (moment_of(moment), aftermath_of(aftermath));
                write!(f, "run with {files} more files, die {moment:?} change {change}, then {aftermath:?}")
            }
            Deed::Prune { keep, grace } => {
                write!(f, "prune all but the last {keep}{}", if grace { ", with a grace period" } else { "" })
            }
            Deed::Undo => f.write_str("undo the last prune"),
            Deed::Pin { which } => write!(f, "pin number {which}"),
            Deed::Unpin { which } => write!(f, "unpin number {which}"),
            Deed::Restore { which } => write!(f, "restore number {which}"),
            Deed::Copy { to } => write!(f, "copy to {}", ["a", "b", "c"][usize::from(to) % PLACES]),
            Deed::Repair { file, delete } => {
                write!(f, "{} file {file}, and repair", if delete { "delete" } else { "flip a bit of" })
            }
            Deed::BackUp => f.write_str("back up the first"),
            Deed::PutBack => f.write_str("put the first back from its backup"),
            Deed::MoveAway => f.write_str("move the first away"),
        }
    }
}

pub fn moment_of(number: u8) -> Moment {
    Moment::ALL[usize::from(number) % Moment::ALL.len()]
}

/// Returns what follows a death.
pub fn after(number: u8) -> Aftermath {
    aftermath_of(number)
}

pub(super) fn stories() -> impl Strategy<Value = Story<Step>> {
    let files = 0..3_u8;
    let run = (files.clone(), 0..4_u8, any::<bool>(), any::<bool>())
        .prop_map(|(files, keep, grace, knows_all)| Deed::Run { files, keep, grace, knows_all });
    let deed = prop_oneof![
        7 => run,
        1 => files.clone().prop_map(|files| Deed::LatestGood { files }),
        2 => (files, 0..60_u8, 0..3_u8, any::<u8>())
            .prop_map(|(files, change, moment, aftermath)| Deed::Kill { files, change, moment, aftermath }),
        4 => (1..4_u8, any::<bool>()).prop_map(|(keep, grace)| Deed::Prune { keep, grace }),
        2 => Just(Deed::Undo),
        1 => any::<u8>().prop_map(|which| Deed::Pin { which }),
        1 => any::<u8>().prop_map(|which| Deed::Unpin { which }),
        2 => any::<u8>().prop_map(|which| Deed::Restore { which }),
        2 => (0..3_u8).prop_map(|to| Deed::Copy { to }),
        2 => (any::<u16>(), any::<bool>()).prop_map(|(file, delete)| Deed::Repair { file, delete }),
        1 => Just(Deed::BackUp),
        1 => Just(Deed::PutBack),
        1 => Just(Deed::MoveAway),
    ];
    // Most often one place is alone, or all meet.
    let reach = prop_oneof![
        3 => prop_oneof![Just(1_u8), Just(2), Just(4)],
        1 => prop_oneof![Just(3_u8), Just(5), Just(6)],
        1 => Just(7_u8),
    ];
    vec((reach, deed).prop_map(|(reach, deed)| Step { reach, deed }), 1..14).prop_map(Story)
}
