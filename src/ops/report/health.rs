//! Whether a store and its job are well, and if not, why.

use std::time::Duration;

use jiff::Timestamp;

use crate::job::JobSpec;
use crate::job::model::Schedule;
use crate::ops::finding::Severity;
use crate::ops::latest;
use crate::ops::list::Listing;
use crate::ops::log::Log;
use crate::ops::report::part::Missing;
use crate::ops::stats::Stats;
use crate::ops::verify;
use crate::store::records::attempts::AttemptOutcome;
use crate::store::{Lag, StoreNote};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// A checkpoint is overdue after that many intervals of the schedule.
const OVERDUE_INTERVALS: u32 = 3;

/// No checkpoint is overdue sooner, however short the interval is.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);

/// How bad things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is known to be wrong.
    Good,
    /// Somebody should look at it.
    Attention,
    /// Something is damaged or lost.
    Damaged,
}

/// Something that somebody on duty should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// The newest checkpoint cannot be read, or lacks objects.
    NewestDamaged {
        sequence: Sequence,
        reason: String,
    },
    /// That many older checkpoints cannot be read.
    OlderDamaged {
        checkpoints: u64,
    },
    /// A part of the newest checkpoints cannot be read: it is damaged, or that is not known.
    Unread {
        is_damage: bool,
        reason: String,
    },
    /// A replica has another history.
    Diverged {
        place: String,
        reason: String,
    },
    /// `ckpt verify` found damage in a replica.
    Findings {
        place: String,
        damage: u64,
    },
    /// The last attempts failed.
    Failing {
        attempts: u64,
        since: Timestamp,
        reason: Option<String>,
    },
    /// The newest checkpoint is older than the schedule of the job lets expect, and the input was not read to its end.
    Overdue {
        schedule: Duration,
    },
    ReplicaUnusable {
        place: String,
        reason: String,
    },
    /// That many files could not be read from one replica and were read from another; `first` says which was the first.
    FellBack {
        files: u64,
        first: String,
    },
    ReplicaBehind {
        place: String,
        checkpoints: u64,
    },
    NoCheckpoint,
    /// The checkpoints are missing: the history names this one.
    CheckpointsLost {
        sequence: Sequence,
    },
}

impl Concern {
    pub fn level(&self) -> Level {
        match self {
            Concern::NewestDamaged { .. }
            | Concern::OlderDamaged { .. }
            | Concern::Diverged { .. }
            | Concern::CheckpointsLost { .. }
            | Concern::Unread { is_damage: true, .. }
            | Concern::Findings { .. } => Level::Damaged,
            Concern::Failing { .. }
            | Concern::Unread { is_damage: false, .. }
            | Concern::Overdue { .. }
            | Concern::ReplicaUnusable { .. }
            | Concern::FellBack { .. }
            | Concern::ReplicaBehind { .. }
            | Concern::NoCheckpoint => Level::Attention,
        }
    }
}

/// What is known about the health of a store and its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The worst first.
    pub concerns: Vec<Concern>,
    /// When the newest checkpoint was made, or an attempt or a run last found nothing new.
    pub confirmed: Option<Timestamp>,
}

/// Everything that the health depends on.
pub(super) struct Facts<'a> {
    pub(super) listing: &'a Listing,
    pub(super) stats: &'a Stats,
    pub(super) log: &'a Log,
    pub(super) lags: &'a [Lag],
    pub(super) diverged: &'a [(String, String)],
    /// The first note about a file that was read from another replica, and how many there were.
    pub(super) fell_back: Option<(StoreNote, u64)>,
    pub(super) job: Option<&'a JobSpec>,
    pub(super) verified: Option<&'a [verify::Report]>,
    /// Why parts of the report are missing.
    pub(super) unread: [Option<&'a Missing>; 5],
    pub(super) now: Timestamp,
}

impl Health {
    pub(super) fn of(facts: &Facts<'_>) -> Health {
        let confirmed = facts.confirmed();
        let mut concerns: Vec<Concern> = Vec::new();
        concerns.extend(facts.damaged());
        concerns.extend(facts.unread());
        concerns.extend(facts.diverged.iter().cloned().map(|(place, reason)| Concern::Diverged { place, reason }));
        concerns.extend(facts.findings());
        concerns.extend(facts.failing());
        concerns.extend(confirmed.and_then(|confirmed| facts.overdue(confirmed)));
        concerns.extend(facts.lags.iter().filter_map(|lag| replica(lag, facts.diverged)));
        let fell_back =
            |(first, files): &(StoreNote, u64)| Concern::FellBack { files: *files, first: first.to_string() };
        concerns.extend(facts.fell_back.as_ref().map(fell_back));
        match facts.listing.lost {
            Some(sequence) => concerns.push(Concern::CheckpointsLost { sequence }),
            None if facts.stats.checkpoints.is_empty() => concerns.push(Concern::NoCheckpoint),
            None => {}
        }
        concerns.sort_by_key(|concern| std::cmp::Reverse(concern.level()));
        Health { concerns, confirmed }
    }

    pub fn level(&self) -> Level {
        self.concerns.iter().map(Concern::level).max().unwrap_or(Level::Good)
    }
}

impl Facts<'_> {
    fn confirmed(&self) -> Option<Timestamp> {
        Some(latest::confirmed(self.listing.last_good?, self.log.attempts(), self.log.operations()))
    }

    fn damaged(&self) -> Vec<Concern> {
        let mut concerns = Vec::new();
        let newest = self.stats.checkpoints.last().map(|counted| counted.sequence);
        let listed = self.listing.checkpoints.last().and_then(|listed| {
            let error = self.listing.error(listed)?;
            Some((listed.sequence, in_one_line(error)))
        });
        let unreadable = |sequence: Sequence| {
            let counted = self.stats.checkpoints.iter().find(|counted| counted.sequence == sequence)?;
            Some((sequence, in_one_line(counted.sizes.as_ref().err()?)))
        };
        if let Some((sequence, reason)) = listed.or_else(|| unreadable(newest?)) {
            concerns.push(Concern::NewestDamaged { sequence, reason });
        }
        let older = self.stats.checkpoints.iter().filter(|counted| counted.sizes.is_err());
        let checkpoints = older.filter(|counted| Some(counted.sequence) != newest).count() as u64;
        concerns.extend((checkpoints > 0).then_some(Concern::OlderDamaged { checkpoints }));
        concerns
    }

    /// Returns each reason once: several parts may need the same file.
    fn unread(&self) -> Vec<Concern> {
        let concern = |missing: &Missing| match missing {
            Missing::Damaged(reason) => Some(Concern::Unread { is_damage: true, reason: reason.clone() }),
            Missing::Failed(reason) => Some(Concern::Unread { is_damage: false, reason: reason.clone() }),
            Missing::LeftOut | Missing::Nothing => None,
        };
        let mut concerns: Vec<Concern> = Vec::new();
        for concern in self.unread.iter().copied().flatten().filter_map(concern) {
            if !concerns.contains(&concern) {
                concerns.push(concern);
            }
        }
        concerns
    }

    fn findings(&self) -> impl Iterator<Item = Concern> {
        self.verified.unwrap_or_default().iter().filter_map(|report| {
            let damage = report.findings.iter().filter(|finding| finding.severity() == Severity::Damage).count() as u64;
            (damage > 0).then(|| Concern::Findings { place: report.place.clone(), damage })
        })
    }

    fn failing(&self) -> Option<Concern> {
        let failed: Vec<_> =
            self.log.attempts().rev().take_while(|attempt| attempt.outcome == AttemptOutcome::Failed).collect();
        let (last, first) = (failed.first()?, failed.last()?);
        Some(Concern::Failing { attempts: failed.len() as u64, since: first.time, reason: last.error.clone() })
    }

    fn overdue(&self, confirmed: Timestamp) -> Option<Concern> {
        let newest = self.stats.checkpoints.last()?.sizes.as_ref().ok()?;
        let Some(Schedule::Every(every)) = self.job?.checkpoint.schedule else { return None };
        let most = every.saturating_mul(OVERDUE_INTERVALS).max(OVERDUE_AFTER);
        let age = Duration::try_from(self.now.duration_since(confirmed)).ok()?;
        (!newest.manifest.ended && age > most).then_some(Concern::Overdue { schedule: every })
    }
}

fn replica(lag: &Lag, diverged: &[(String, String)]) -> Option<Concern> {
    let place = lag.place.clone();
    match (&lag.error, lag.behind) {
        _ if diverged.iter().any(|(other, _)| *other == place) => None,
        (Some(reason), _) => Some(Concern::ReplicaUnusable { place, reason: reason.clone() }),
        (None, Some(checkpoints)) if checkpoints > 0 => Some(Concern::ReplicaBehind { place, checkpoints }),
        _ => None,
    }
}
