//! How a worker parses a block and hands its records to the owners of their shards.

use std::sync::Arc;

use crate::input::Block;
use crate::runner::bad_reasons::BadReasons;
use crate::runner::messages::{BlockAccount, BlockTime, BlockUpdates, ThreadEvent, WorkerMessage};
use crate::runner::pipeline::route::BlockKeys;
use crate::runner::pipeline::worker::thread::Worker;
use crate::runner::process::event_clock::Times;
use crate::runner::process::exec::sources::Sources;
use crate::runner::ticket::Ticket;

impl Worker<'_> {
    /// Parses a block, sends every worker the records for its shards, and the director the account.
    ///
    /// A packed record is a [`Head`], the key, and what [`Processor::pack`] made.
    ///
    /// [`Head`]: crate::runner::pipeline::worker::head::Head
    /// [`Processor::pack`]: crate::runner::process::processor::Processor::pack
    pub(super) fn parse(&mut self, mut block: Block, ticket: Arc<Ticket>) {
        let mut updates: Vec<Vec<u8>> = (0..self.plan.workers).map(|_| self.spare.pop().unwrap_or_default()).collect();
        let mut sources: Vec<Sources> = (0..self.plan.workers).map(|_| Sources::default()).collect();
        let (mut account, times) = self.take_records(&block, &mut updates, &mut sources);
        if let Some(times) = times {
            let (stream, records) = (block.stream, account.records);
            let released = std::mem::take(&mut block.released);
            account.time = Some(Arc::new(BlockTime { stream, records, times, released }));
        }
        let (time, ends_run) = (account.time.clone(), account.fatal.is_some());
        if !ends_run {
            account.unanswered = sources.iter().filter(|sources| sources.count() > 0).count();
        }
        let _ = self.channels.events.send(ThreadEvent::Parsed(account));
        for ((peer, bytes), sources) in self.channels.peers.iter().zip(updates).zip(sources) {
            let (number, time, ticket) = (block.number, time.clone(), Arc::clone(&ticket));
            let _ = peer.send(WorkerMessage::Updates(BlockUpdates { number, bytes, sources, ends_run, time, ticket }));
        }
        self.channels.buffers.put(block.bytes);
    }

    /// Packs the records of a block into `updates`, one buffer per worker, and notes in `sources` where those that go to
    /// programs come from. Returns the account and, for a job with event time, the times.
    fn take_records(
        &mut self,
        block: &Block,
        updates: &mut [Vec<u8>],
        sources: &mut [Sources],
    ) -> (BlockAccount, Option<Times>) {
        let plan = self.plan;
        let mut account = BlockAccount {
            number: block.number,
            stream: block.stream,
            end_offset: block.end_offset,
            records: 0,
            skipped: 0,
            dead: Vec::new(),
            reasons: BadReasons::default(),
            fatal: None,
            bad_indices: Vec::new(),
            unanswered: 0,
            answered: Vec::new(),
            time: None,
        };
        let timed = plan.timing.as_ref().zip(self.timed.as_ref());
        let mut times = timed.map(|(timing, timed)| timed.clock.times(timing.ahead_millis));
        let mut last_bad = None;
        let replay = plan.replay.as_ref().filter(|replay| !replay.is_over(block.stream, block.offset));
        let mut keys = BlockKeys::new(&plan.route, block.partition);
        account.records = self.extractor.each(block, |place, fields| {
            let result = fields.and_then(|fields| match &mut self.timed {
                Some(timed) => {
                    if let Some(time) = plan.route_timed(timed, &mut keys, place, fields, updates)? {
                        times.iter_mut().for_each(|times| times.add(time));
                    }
                    Ok(())
                }
                None => {
                    if let Some(worker) = plan.route(&mut keys, block, place, fields, replay, updates)? {
                        sources[worker].push(place);
                    }
                    Ok(())
                }
            });
            let Err(bad) = result else { return true };
            // A line of text with several words gives several records, but is counted as bad only once.
            if last_bad.replace(place.index) == Some(place.index) {
                return true;
            }
            if replay.is_some_and(|replay| !replay.is_over(block.partition, block.offset + place.at as u64)) {
                // It was counted when the newest cut was taken.
                return true;
            }
            account.reject(&plan.on_error, place, bad)
        });
        (account, times)
    }
}
