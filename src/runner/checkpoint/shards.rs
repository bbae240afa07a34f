//! How the checkpointer takes the frozen shards of an attempt: several threads sort and encode them, and others write.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};

use crate::format::layout::ObjectKind;
use crate::runner::checkpoint::attempt::AttemptTimes;
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::checkpoint::draft::{Draft, EncodedSegment};
use crate::runner::checkpoint::encode::{EncodedShard, Encoder};
use crate::runner::checkpoint::job_facts::JobFacts;
use crate::runner::error::RunError;
use crate::runner::messages::FrozenShard;
use crate::store::{Created, Store};
use crate::values::lock::lock;

/// In one checkpoint, one of this many shards may be folded into a new base: no checkpoint pays for all.
const SHARDS_PER_REBASE: u32 = 8;

/// A shard to encode, and whether the checkpoint is still wanted.
type Work = (Draft, FrozenShard, bool);

/// An encoded shard, or the panic that ended its encoding.
type Encoded = std::thread::Result<EncodedShard>;

/// The same of a shard whose segment is written.
type Put = std::thread::Result<PutShard>;

impl Checkpointer {
    /// Takes all frozen shards, and writes the rows that are not in a segment yet.
    ///
    /// After a failure the remaining shards are only taken, so that no worker waits for a checkpoint that cannot be
    /// made. Returns nothing if the frozen shards end.
    pub(super) fn take_shards(
        &mut self,
        first: FrozenShard,
        frozen: &Receiver<FrozenShard>,
        times: &mut AttemptTimes,
        failure: &mut Option<RunError>,
    ) -> Option<()> {
        let store = self.store.clone();
        let facts = self.facts.clone();
        let encoder = Encoder {
            store: &store,
            columns: &facts.columns,
            owner: self.owner(),
            wants_rows: self.publisher.wants_rows(),
            tasks: self.facts.tasks,
            shards: self.facts.shards,
            rebases_left: AtomicU32::new(self.facts.shards.div_ceil(SHARDS_PER_REBASE)),
        };
        let writer = SegmentPut {
            store: &store,
            facts: &facts,
            begun: times.begun,
            is_over: AtomicBool::new(failure.is_some()),
            created: Mutex::default(),
        };
        let taken = std::thread::scope(|scope| {
            // Dropped when this returns, whatever the reason: then the threads end.
            let (work_sender, work) = unbounded::<Work>();
            let (encoded_sender, encoded) = unbounded::<Encoded>();
            let (put_sender, put) = unbounded::<Put>();
            for _ in 0..store.writers() {
                let (writer, encoded, put) = (&writer, encoded.clone(), put_sender.clone());
                scope.spawn(move || put_all(writer, &encoded, &put));
            }
            for _ in 0..self.facts.encoders.max(1) {
                let (encoder, work, encoded) = (&encoder, work.clone(), encoded_sender.clone());
                scope.spawn(move || encode_all(encoder, &work, &encoded));
            }
            let nothing = never();
            let mut first = Some(first);
            let (mut taken, mut written) = (0, 0);
            while written < self.facts.shards {
                let next = match first.take() {
                    Some(first) => first,
                    None => {
                        let more = if taken < self.facts.shards { frozen } else { &nothing };
                        select! {
                            recv(more) -> next => next.ok()?,
                            recv(put) -> put => {
                                let put = put.ok()?.unwrap_or_else(|panic| resume_unwind(panic));
                                self.add_shard(put, failure);
                                written += 1;
                                continue;
                            }
                        }
                    }
                };
                taken += 1;
                times.taken = Some(Instant::now());
                times.pause_micros = times.pause_micros.max(next.pause_micros);
                if failure.is_none() {
                    *failure = self.facts.check_time(times.begun).err();
                }
                if failure.is_some() {
                    writer.is_over.store(true, Ordering::Relaxed);
                }
                let draft = std::mem::take(&mut self.drafts[next.shard as usize]);
                let _ = work_sender.send((draft, next, failure.is_none()));
            }
            Some(())
        });
        self.unnamed.merge(writer.created.into_inner().unwrap_or_else(PoisonError::into_inner));
        taken
    }

    /// Takes a shard back whose segment is written.
    fn add_shard(&mut self, put: PutShard, failure: &mut Option<RunError>) {
        self.drafts[put.shard as usize] = put.draft;
        match put.changed_keys {
            Ok(changed_keys) => self.changed_keys += changed_keys,
            Err(error) => drop(failure.get_or_insert(error)),
        }
    }
}

/// Writes the segments of encoded shards; the threads share it.
struct SegmentPut<'a> {
    store: &'a Store,
    facts: &'a JobFacts,
    begun: Instant,
    /// Whether the attempt has failed: nothing more is written then.
    is_over: AtomicBool,
    created: Mutex<Created>,
}

/// A shard whose segment is written, if it has one.
struct PutShard {
    shard: u32,
    draft: Draft,
    /// How many keys the segment changed.
    changed_keys: Result<u64, RunError>,
}

impl SegmentPut<'_> {
    fn put(&self, encoded: EncodedShard) -> PutShard {
        // The slot is returned at the end.
        let EncodedShard { shard, mut draft, segment, slot: _slot } = encoded;
        let changed_keys = segment.and_then(|segment| self.put_segment(segment, &mut draft));
        if changed_keys.is_err() {
            self.is_over.store(true, Ordering::Relaxed);
        }
        PutShard { shard, draft, changed_keys }
    }

    fn put_segment(&self, segment: Option<EncodedSegment>, draft: &mut Draft) -> Result<u64, RunError> {
        let Some(segment) = segment.filter(|_| !self.is_over.load(Ordering::Relaxed)) else { return Ok(0) };
        self.facts.check_time(self.begun)?;
        let object = match segment.stats.rows {
            0 => None,
            _ => {
                let mut created = Created::default();
                let put = self.store.put_noted(&segment.bytes, ObjectKind::Parquet, &mut created);
                lock(&self.created).merge(created);
                Some(put?)
            }
        };
        Ok(draft.write(segment, object))
    }
}

/// Writes the segments of encoded shards until there are no more.
fn put_all(writer: &SegmentPut<'_>, encoded: &Receiver<Encoded>, put: &Sender<Put>) {
    for shard in encoded {
        let shard = shard.and_then(|shard| catch_unwind(AssertUnwindSafe(|| writer.put(shard))));
        let _ = put.send(shard);
    }
}

/// Encodes shards until there are no more.
fn encode_all(encoder: &Encoder<'_>, work: &Receiver<Work>, encoded: &Sender<Encoded>) {
    for (draft, frozen, wanted) in work {
        let shard = catch_unwind(AssertUnwindSafe(|| encoder.take(draft, frozen, wanted)));
        // If the attempt is over, nobody waits for it.
        let _ = encoded.send(shard);
    }
}
