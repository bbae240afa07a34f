//! `ckpt list` as JSON.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::cli::json::{JobHead, SharingView};
use crate::format::manifest::{Manifest, Mode, Trigger};
use crate::ops::list::Listing;
use crate::ops::stats::{Sizes, Stats};
use crate::store::records::pins::Pin;
use crate::store::{Lag, Store};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::units::Age;

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ListView {
    #[serde(flatten)]
    head: JobHead,
    /// Older checkpoints that the limit left out.
    older: usize,
    /// The newest checkpoint whose manifest is intact and whose objects exist.
    last_good: Option<u64>,
    last_good_age_seconds: Option<i64>,
    /// If the checkpoints are missing, the newest that the history names.
    lost: Option<u64>,
    checkpoints: Vec<ListedView>,
    /// All replicas, including the one that is read first.
    replicas: Vec<LagView>,
    /// Checkpoints that were pruned and can be brought back.
    pruned: u64,
}

/// How far a replica is behind.
#[derive(Debug, Serialize, JsonSchema)]
struct LagView {
    store: String,
    newest: Option<u64>,
    /// Checkpoints that it is missing; null if the replica cannot be used.
    behind: Option<u64>,
    error: Option<String>,
}

/// A checkpoint: its number, and its content or the error that prevented reading its manifest.
#[derive(Debug, Serialize, JsonSchema)]
struct ListedView {
    sequence: u64,
    pinned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    content: Option<ContentView>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ContentView {
    created: Timestamp,
    age_seconds: i64,
    trigger: Trigger,
    mode: Mode,
    ended: bool,
    restored_from: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<String>,
    keys: u64,
    changed_keys: u64,
    bytes: u64,
    new_bytes: u64,
    records: u64,
    /// With `--sizes`.
    #[serde(flatten)]
    sharing: Option<SharingView>,
}

impl ListView {
    /// Makes the document, without replicas and pruned checkpoints.
    pub(super) fn new(
        store: &Store,
        listing: &Listing,
        pins: &BTreeMap<Sequence, Pin>,
        stats: Option<&Stats>,
        now: Timestamp,
    ) -> ListView {
        let sizes: HashMap<Sequence, &Sizes> = stats
            .iter()
            .flat_map(|stats| &stats.checkpoints)
            .filter_map(|counted| Some((counted.sequence, counted.sizes.as_ref().ok()?)))
            .collect();
        let checkpoints = listing.checkpoints.iter().map(|listed| ListedView {
            sequence: listed.sequence.0,
            pinned: pins.contains_key(&listed.sequence),
            error: listing.error(listed).map(|error| in_one_line(error)),
            content: listed
                .manifest
                .as_ref()
                .ok()
                .map(|manifest| ContentView::new(manifest, sizes.get(&listed.sequence).copied(), now)),
        });
        ListView {
            head: JobHead::new(store),
            older: listing.older,
            last_good: listing.last_good.map(|(sequence, _)| sequence.0),
            last_good_age_seconds: listing.last_good.map(|(_, created)| Age::between(created, now).seconds),
            lost: listing.lost.map(|sequence| sequence.0),
            checkpoints: checkpoints.collect(),
            replicas: Vec::new(),
            pruned: 0,
        }
    }

    /// Adds the replicas.
    pub(super) fn with_replicas(mut self, lags: &[Lag]) -> ListView {
        self.replicas = lags.iter().map(LagView::new).collect();
        self
    }

    /// Adds the number of pruned checkpoints.
    pub(super) fn with_pruned(mut self, pruned: u64) -> ListView {
        self.pruned = pruned;
        self
    }
}

impl LagView {
    fn new(lag: &Lag) -> LagView {
        LagView {
            store: lag.place.clone(),
            newest: lag.newest.map(|sequence| sequence.0),
            behind: lag.behind,
            error: lag.error.clone(),
        }
    }
}

impl ContentView {
    fn new(manifest: &Manifest, sizes: Option<&Sizes>, now: Timestamp) -> ContentView {
        let totals = manifest.totals;
        ContentView {
            created: manifest.created,
            age_seconds: Age::between(manifest.created, now).seconds,
            trigger: manifest.trigger,
            mode: manifest.mode,
            ended: manifest.ended,
            restored_from: manifest.restored_from.map(|sequence| sequence.0),
            worker: manifest.worker.clone(),
            keys: totals.keys,
            changed_keys: totals.changed_keys,
            bytes: totals.bytes,
            new_bytes: totals.new_bytes,
            records: totals.records,
            sharing: sizes.map(SharingView::from),
        }
    }
}
