//! How the checkpointer takes the frozen shards of an attempt: several threads sort and encode, and it writes.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::AtomicU32;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, never, select, unbounded};

use crate::format::layout::ObjectKind;
use crate::runner::checkpoint::attempt::AttemptTimes;
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::checkpoint::draft::Draft;
use crate::runner::checkpoint::encode::{EncodedShard, Encoder};
use crate::runner::error::RunError;
use crate::runner::messages::FrozenShard;

/// In one checkpoint, one of this many shards may be folded into a new base: no checkpoint pays for all.
const SHARDS_PER_REBASE: u32 = 8;

/// A shard to encode, and whether the checkpoint is still wanted.
type Work = (Draft, FrozenShard, bool);

/// An encoded shard, or the panic that ended its encoding.
type Encoded = std::thread::Result<EncodedShard>;

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
        let columns = self.facts.columns.clone();
        let encoder = Encoder {
            store: &store,
            columns: &columns,
            owner: self.owner(),
            wants_rows: self.publisher.wants_rows(),
            tasks: self.facts.tasks,
            shards: self.facts.shards,
            rebases_left: AtomicU32::new(self.facts.shards.div_ceil(SHARDS_PER_REBASE)),
        };
        std::thread::scope(|scope| {
            // Dropped when this returns, whatever the reason: then the threads end.
            let (work_sender, work) = unbounded::<Work>();
            let (encoded_sender, encoded) = unbounded::<Encoded>();
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
                            recv(encoded) -> encoded => {
                                let encoded = encoded.ok()?.unwrap_or_else(|panic| resume_unwind(panic));
                                self.write_shard(encoded, times, failure);
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
                    *failure = self.check_time(times.begun).err();
                }
                let draft = std::mem::take(&mut self.drafts[next.shard as usize]);
                let _ = work_sender.send((draft, next, failure.is_none()));
            }
            Some(())
        })
    }

    /// Writes the segment of an encoded shard.
    fn write_shard(&mut self, encoded: EncodedShard, times: &AttemptTimes, failure: &mut Option<RunError>) {
        let EncodedShard { shard, mut draft, segment, slot } = encoded;
        let written = segment.and_then(|segment| {
            let Some(segment) = segment else { return Ok(()) };
            if failure.is_some() {
                return Ok(());
            }
            self.check_time(times.begun)?;
            let object = match segment.stats.rows {
                0 => None,
                _ => Some(self.put(&segment.bytes, ObjectKind::Parquet)?),
            };
            self.changed_keys += draft.write(segment, object);
            Ok(())
        });
        self.drafts[shard as usize] = draft;
        drop(slot);
        if let (Err(error), None) = (written, &failure) {
            *failure = Some(error);
        }
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
