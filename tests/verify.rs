//! `verify` and the other readers: what the system refuses to read, and writers at the same time.

use std::sync::Arc;
use std::time::Duration;

use ckpt::format::manifest::Routing;
use ckpt::ops::pin::pin;
use ckpt::storage::Storage;
use ckpt::store::Store;
use ckpt::store::prune::policy::Policy;
use ckpt::store::prune::{Request, apply, plan};
use ckpt::store::records::attempts::AttemptLog;
use ckpt::values::id::Sequence;
use ckpt::values::progress::Silent;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::support::simulated::Disk;
use crate::support::store_builder::{StoreBuilder, attempt};

mod beside;
mod line_ends;
mod paced;
mod refused;
mod refused_rows;

const DAY: Duration = Duration::from_secs(86_400);
const HOLDER: &str = "a test";

fn now() -> Timestamp {
    "2026-11-23T12:00:00Z".parse().expect("a time")
}

fn calm(disks: &[Disk]) -> Vec<Arc<dyn Storage>> {
    disks.iter().map(|disk| Arc::new(disk.calm()) as Arc<dyn Storage>).collect()
}

fn open(disks: &[Disk]) -> Store {
    Store::open(calm(disks)).expect("a store")
}

/// Keeps the newest `count` checkpoints.
fn prune(store: &Store, count: u64, grace: Duration, now: Timestamp) -> Result<(), String> {
    let policy = Policy { last: count, ..Policy::default() };
    let request = Request { policy, grace, zone: TimeZone::UTC };
    let plan = plan(store, &request, now, &Silent).map_err(|error| error.to_string())?;
    apply(store, &plan, HOLDER, &Silent).map(drop).map_err(|error| error.to_string())
}

/// Makes a store with one replica per disk that has a file of every kind: six checkpoints, two of which were pruned and
/// can be brought back, a pin, the history, the log of attempts and `replicas.yaml`.
fn built(disks: usize) -> (StoreBuilder, Vec<Disk>) {
    let disks: Vec<Disk> = (0..disks).map(|_| Disk::new()).collect();
    let mut builder = StoreBuilder::on(calm(&disks), 8, 3, Routing::KeyHash);
    builder.commit(&[("ann", Some(1)), ("bob", Some(2)), ("cyd", Some(3)), ("dan", Some(4)), ("xan", Some(9))]);
    builder.commit(&[("cyd", Some(30)), ("eve", Some(5))]);
    builder.commit(&[("dan", None), ("fay", Some(6))]);
    builder.restart();
    builder.commit(&[("ann", Some(8)), ("gus", Some(1))]);
    builder.commit(&[("bob", Some(8))]);
    builder.commit(&[("eve", Some(9))]);
    let store = open(&disks);
    prune(&store, 4, DAY, now()).expect("pruned");
    pin(&store, Sequence(4), Some("why not"), now(), HOLDER).expect("pinned");
    store.set_places(vec!["a".to_owned(), "b".to_owned()]).expect("written");
    AttemptLog::open(&store, "0123456789abcdef").add(&store, attempt(now()));
    (builder, disks)
}
