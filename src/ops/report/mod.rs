//! `ckpt report`: what somebody on duty wants to know about a store, in one value.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::format::manifest::Manifest;
use crate::format::positions::PositionRow;
use crate::job::JobSpec;
use crate::job::definition::{DefinitionError, definition};
use crate::ops::diff::{Comparison, Scope, Side};
use crate::ops::inspect::latest_positions;
use crate::ops::list::{Listing, list};
use crate::ops::log::{Log, Selection, log};
use crate::ops::read::{ReadError, Snapshot};
use crate::ops::stats::{Sizes, Stats, stats};
use crate::ops::verify;
use crate::store::prune::{Plan, Request, plan};
use crate::store::records::pins::Pin;
use crate::store::{Lag, Store};
use crate::values::id::Sequence;
use crate::values::progress::{Progress, Silent};

mod changes;
mod health;
mod part;
mod ranges;
mod state;
mod top;

pub use changes::{Changes, KeyChange, KeyGrowth, TaskGrowth};
pub use health::{Concern, Health, Level};
pub use part::{Missing, Part};
pub use ranges::{Ranges, TaskRange};
pub use state::{KeyUse, State};

use part::{failed, part, trouble, unread};

/// How many of the newest checkpoints are looked at for the last good one, before all are.
const LISTED: usize = 50;

/// How much older the checkpoint is that the growth is measured from, if there is one.
const GROWTH_SECONDS: i64 = 24 * 60 * 60;

/// What is read for a report.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Whether the rows of the state are read.
    pub reads_rows: bool,
    /// Whether the store is verified.
    pub verifies: bool,
    pub now: Timestamp,
}

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The manifests and the indexes; progress counts checkpoints.
    Checkpoints,
    /// The state of the newest checkpoint; progress counts bytes.
    State,
    /// What differs between two checkpoints; progress counts bytes.
    Changes,
    /// Everything; progress counts bytes.
    Verification,
}

/// What somebody on duty wants to know about a store.
#[derive(Debug)]
pub struct Report {
    pub health: Health,
    pub listing: Listing,
    pub stats: Stats,
    pub log: Log,
    pub pins: BTreeMap<Sequence, Pin>,
    pub lags: Vec<Lag>,
    /// The definition of the job in the newest checkpoint that can be read.
    pub job: Part<JobSpec>,
    /// The newest position of each partition in that checkpoint.
    pub positions: Part<Vec<PositionRow>>,
    /// What the keep rules of the job would remove now.
    pub pruning: Part<Plan>,
    pub ranges: Part<Ranges>,
    pub state: Part<State>,
    /// What changed between the two newest checkpoints that can be read.
    pub changes: Part<Changes>,
    /// What changed in about a day.
    pub growth: Part<Changes>,
    pub verified: Part<Vec<verify::Report>>,
}

impl Report {
    /// Returns the checkpoints that can be read, the oldest first.
    pub fn readable(&self) -> impl DoubleEndedIterator<Item = &Sizes> {
        self.stats.checkpoints.iter().filter_map(|counted| counted.sizes.as_ref().ok())
    }

    /// Returns the manifest of a checkpoint that can be read.
    pub fn manifest(&self, sequence: Sequence) -> Option<&Manifest> {
        let place = self.stats.checkpoints.binary_search_by_key(&sequence, |counted| counted.sequence).ok()?;
        self.stats.checkpoints[place].sizes.as_ref().ok().map(|sizes| &sizes.manifest)
    }
}

/// Gathers everything about `store`, the branch that is read of `all`.
///
/// What cannot be read is missing in the report. Fails if the checkpoints cannot be listed, or if the system refuses to
/// read one.
pub fn report<P: Progress>(
    all: &Store,
    store: &Store,
    options: &Options,
    progress: impl Fn(Step) -> P,
) -> Result<Report, ReadError> {
    let stats = stats(store, &progress(Step::Checkpoints))?;
    let listing = match list(store, Some(LISTED))? {
        listing if listing.last_good.is_some() || listing.older == 0 => listing,
        _ => list(store, None)?,
    };
    let readable: Vec<&Sizes> = stats.checkpoints.iter().filter_map(|counted| counted.sizes.as_ref().ok()).collect();
    let latest = readable.last().map(|sizes| sizes.manifest.sequence);
    let snapshot = part(latest, |latest| Snapshot::open(store, latest));
    let job = snapshot.as_ref().map_err(Missing::clone).and_then(|snapshot| {
        definition(store, &snapshot.committed).map_err(|error| match error {
            DefinitionError::Store(error) => unread(ReadError::Store(error)),
            error => Missing::damaged(error),
        })
    });
    let positions = snapshot.as_ref().map_err(Missing::clone).and_then(|snapshot| {
        let rows = snapshot.positions(store).map_err(unread)?;
        Ok(latest_positions(&rows).cloned().collect())
    });
    let rows_of = |snapshot: &Part<Snapshot>| -> Part<State> {
        if !options.reads_rows {
            return Err(Missing::LeftOut);
        }
        let snapshot = snapshot.as_ref().map_err(Missing::clone)?;
        State::read(store, snapshot, &progress(Step::State)).map_err(unread)
    };
    let compare = |old: Option<Sequence>| -> Part<Changes> {
        if !options.reads_rows {
            return Err(Missing::LeftOut);
        }
        part(old.zip(latest), |(old, new)| compare_with(store, old, new, &progress(Step::Changes)))
    };
    let before = readable.iter().rev().nth(1).map(|sizes| sizes.manifest.sequence);
    let base = base(&readable);
    let changes = compare(before);
    let growth = if base == before { changes.clone() } else { compare(base) };
    let verified = if options.verifies {
        verify::verify_with(all, &verify::Options::default(), &progress(Step::Verification)).map_err(failed)
    } else {
        Err(Missing::LeftOut)
    };
    let state = rows_of(&snapshot);
    let log = log(store, &Selection::default())?;
    let lags = all.lags();
    let health = Health::of(&health::Facts {
        listing: &listing,
        stats: &stats,
        log: &log,
        lags: &lags,
        diverged: &store.not_read,
        fell_back: store.read_elsewhere(),
        job: job.as_ref().ok(),
        verified: verified.as_deref().ok(),
        unread: [trouble(&job), trouble(&positions), trouble(&state), trouble(&changes), trouble(&growth)],
        now: options.now,
    });
    Ok(Report {
        health,
        pins: store.pins()?,
        pruning: pruning(store, job.as_ref(), options),
        ranges: ranges::read(store, &readable),
        state,
        listing,
        log,
        lags,
        job,
        positions,
        changes,
        growth,
        verified,
        stats,
    })
}

/// Returns the checkpoint that the growth is measured from: the newest that is at least a day older than the latest, or
/// else the oldest.
fn base(readable: &[&Sizes]) -> Option<Sequence> {
    let (latest, older) = readable.split_last()?;
    let is_old = |sizes: &&&Sizes| {
        latest.manifest.created.as_second().saturating_sub(sizes.manifest.created.as_second()) >= GROWTH_SECONDS
    };
    older.iter().rev().find(is_old).or(older.first()).map(|sizes| sizes.manifest.sequence)
}

fn compare_with(store: &Store, old: Sequence, new: Sequence, progress: &dyn Progress) -> Result<Changes, ReadError> {
    let (old, new) = (Side::open(store.clone(), old)?, Side::open(store.clone(), new)?);
    Changes::read(&Comparison::new(old, new, Scope::default()), progress)
}

fn pruning(store: &Store, job: Result<&JobSpec, &Missing>, options: &Options) -> Part<Plan> {
    let keep = job.map_err(Missing::clone)?.checkpoint.keep.as_ref().ok_or(Missing::Nothing)?;
    let request = Request { policy: keep.policy.clone(), grace: keep.grace, zone: TimeZone::UTC };
    plan(store, &request, options.now, &Silent).map_err(failed)
}
