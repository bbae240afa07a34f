//! The reader of a topic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::format::positions::{BatchEnds, PositionRow};
use crate::input::block::Block;
use crate::input::columns::Columns;
use crate::input::error::InputError;
use crate::input::note::InputNote;
use crate::input::partition_tasks::PartitionTasks;
use crate::input::position::{Position, PositionChange};
use crate::input::record::header::Header;
use crate::input::topic::connection::{Watch, settings};
use crate::input::topic::lane::{Lane, PartitionLag};
use crate::input::topic::listing::{number, partition};
use crate::input::topic::proof::{Resumed, prove, resume_at};
use crate::job::message_field::MessageField;
use crate::job::model::{InputSpec, OnGone, TopicSpec, TopicStart};
use crate::kafka::{Bounds, Message, Polled, Topic};

/// How long messages are gathered before a block is handed out that is not full.
const GATHERING: Duration = Duration::from_millis(10);

/// How long one poll waits while messages are gathered.
const POLL: Duration = Duration::from_millis(5);

/// How many messages that need no wait are taken between two looks at the clock.
const UNTIMED_MESSAGES: u32 = 64;

/// How often a topic that is followed is checked for new partitions.
const COUNT_PAUSE: Duration = Duration::from_secs(30);

/// How long a broker may say that a partition ends before the messages that are to be read.
const SHORT_PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked how far the partitions are behind.
const LAG_PAUSE: Duration = Duration::from_secs(1);

/// Hands out the messages of a topic as they arrive.
pub struct TopicReader {
    topic: Topic,
    spec: TopicSpec,
    on_gone: OnGone,
    follow: bool,
    /// In the order of their numbers.
    lanes: Vec<Lane>,
    tasks: Option<Arc<PartitionTasks>>,
    /// The only partitions that are read, by their numbers. Others keep the positions that they had.
    share: Option<BTreeSet<u32>>,
    /// The offset that each partition is read up to, if that is known before it is opened.
    ends: Option<BatchEnds>,
    /// The names of the fields, for CSV.
    header: Option<Arc<Header>>,
    next_number: u64,
    /// The lane that is tried first.
    turn: usize,
    /// The lanes whose positions have changed since they were last taken.
    moved: Vec<usize>,
    notes: Vec<InputNote>,
    watch: Watch,
    next_count: Instant,
    next_lags: Instant,
}

impl std::fmt::Debug for TopicReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TopicReader").field("next_number", &self.next_number).finish_non_exhaustive()
    }
}

impl TopicReader {
    /// Resumes from `start`, the positions of a checkpoint. `next_number` is the number of the first block.
    ///
    /// Fails if the topic is not the one that was read, or if messages that were not read are gone. A partition without a
    /// position starts where the job says, or at its beginning if other partitions have positions. With a `share`, only these
    /// partitions are read, and each that has no position starts where the job says. An input that is read until its latest
    /// message ends before the offsets in `ends`, or where it ends now.
    pub fn new(
        input: &InputSpec,
        base: &Path,
        start: &[PositionRow],
        next_number: u64,
        tasks: Option<Arc<PartitionTasks>>,
        share: Option<BTreeSet<u32>>,
        ends: Option<BatchEnds>,
    ) -> Result<TopicReader, InputError> {
        let spec = input.topic.clone().expect("the job reads a topic");
        let topic = Topic::open(&settings(&spec, base)?)?;
        let header = (!spec.columns.is_empty()).then(|| Arc::new(Header { names: spec.columns.clone() }));
        let mut reader = TopicReader {
            topic,
            watch: Watch::new(&spec),
            spec,
            on_gone: input.on_gone,
            follow: input.follow,
            lanes: Vec::new(),
            tasks,
            share,
            ends,
            header,
            next_number,
            turn: 0,
            moved: Vec::new(),
            notes: Vec::new(),
            next_count: Instant::now() + COUNT_PAUSE,
            next_lags: Instant::now(),
        };
        reader.open_lanes(start)?;
        reader.assign()?;
        Ok(reader)
    }

    /// Leaves out the headers of messages.
    #[must_use]
    pub fn without_headers(mut self) -> TopicReader {
        self.topic.leave_out_headers();
        self
    }

    /// Fails if the messages of a CSV topic lack one of `columns`.
    pub fn with_columns(self, mut columns: Columns) -> Result<TopicReader, InputError> {
        if let Some(header) = &self.header {
            columns.required.retain(|field| MessageField::of(field).is_none());
            columns.optional.retain(|field| MessageField::of(field).is_none());
            columns.check(&self.spec.topic, header)?;
        }
        Ok(self)
    }

    /// Opens the lanes of all partitions, at the positions `start`.
    fn open_lanes(&mut self, start: &[PositionRow]) -> Result<(), InputError> {
        let (count, id) = (self.topic.partition_count()?, self.topic.id()?);
        let mut rows: BTreeMap<u32, &PositionRow> = BTreeMap::new();
        let mut others: BTreeMap<u32, &PositionRow> = BTreeMap::new();
        for row in start {
            let number = number(&self.spec.topic, &row.partition).filter(|number| *number < count);
            let gone = || InputError::Gone { partition: row.partition.clone(), offset: row.offset };
            let number = number.ok_or_else(gone)?;
            if self.owns(number) {
                rows.insert(number, row)
            } else {
                others.insert(number, row)
            };
        }
        for number in 0..count {
            let end = self.ends.as_ref().and_then(|ends| ends.get(&number)).copied();
            if !self.owns(number) && (end.is_none() || others.contains_key(&number)) {
                let mut lane = Lane::new(partition(&self.spec.topic, number), number, id.clone(), 0);
                if let Some(row) = others.get(&number) {
                    lane.resume(row, row.message.as_ref().map_or(0, |message| message.offset));
                }
                self.add(lane)?;
                continue;
            }
            let Bounds(range) = self.topic.bounds(number)?;
            if let Some(end) = end.filter(|end| *end > range.end) {
                let partition = partition(&self.spec.topic, number).name;
                return Err(InputError::TopicShrunk { partition, offset: end, found: range.end });
            }
            let end = end.unwrap_or(range.end);
            // What is after the end need not be there.
            let range = if self.follow { range } else { range.start.min(end)..range.end };
            let bounds = Bounds(range.clone());
            let is_latest = (start.is_empty() || self.share.is_some()) && self.spec.start == TopicStart::Latest;
            let first = if !is_latest {
                range.start
            } else if self.follow {
                range.end
            } else {
                end
            };
            let mut lane = Lane::new(partition(&self.spec.topic, number), number, id.clone(), first);
            if let Some(row) = rows.get(&number) {
                let Resumed { next, lost_from } = match &row.message {
                    Some(position) => resume_at(&row.partition, position, id.as_ref(), &bounds, self.on_gone)?,
                    None => Resumed { next: range.start, lost_from: None },
                };
                if let Some(from) = lost_from {
                    self.notes.push(InputNote::MessagesLost { partition: row.partition.clone(), from, until: next });
                }
                lane.resume(row, next);
            }
            if !self.follow {
                lane.end_at(end);
            }
            self.add(lane)?;
        }
        self.notes.extend(prove(&self.topic, &rows, &mut self.watch)?);
        Ok(())
    }

    /// Returns whether partition `number` is read.
    fn owns(&self, number: u32) -> bool {
        owns(self.share.as_ref(), number)
    }

    fn add(&mut self, mut lane: Lane) -> Result<(), InputError> {
        if let Some(tasks) = &self.tasks {
            let name = &lane.partition.name;
            let refused = || match tasks.is_fixed() {
                true => InputError::PartitionAdded { partition: name.clone(), tasks: tasks.tasks() },
                false => InputError::TooMany { partition: name.clone(), tasks: tasks.tasks() },
            };
            lane.block_partition = tasks.number(name).ok_or_else(refused)?;
        }
        self.lanes.push(lane);
        Ok(())
    }

    /// Makes the brokers send what comes next in each lane.
    fn assign(&mut self) -> Result<(), InputError> {
        let owned = self.lanes.iter().filter(|lane| self.owns(lane.number));
        let open = owned.filter(|lane| lane.end.is_none_or(|end| lane.next < end));
        let starts: Vec<(u32, u64)> = open.map(|lane| (lane.number, lane.next)).collect();
        Ok(self.topic.assign(&starts)?)
    }

    /// Returns the next block, or `None` if nothing has arrived.
    pub fn next_block(&mut self) -> Result<Option<Block>, InputError> {
        self.notes.extend(self.watch.look(&self.topic)?);
        if self.follow && Instant::now() >= self.next_count {
            self.find_new_partitions()?;
            self.next_count = Instant::now() + COUNT_PAUSE;
        }
        self.check_short()?;
        let begun = Instant::now();
        let (mut taken, mut has_next) = (0_u32, true);
        let full = loop {
            if let Some(lane) = self.lanes.iter().position(Lane::is_full) {
                break Some(lane);
            }
            let lanes = &mut self.lanes;
            let take = |message: Message<'_>| {
                if let Some(lane) = lanes.get_mut(message.partition as usize) {
                    lane.take(&message);
                }
            };
            match self.topic.poll(if has_next { Duration::ZERO } else { POLL }, take)? {
                Polled::Message => {
                    has_next = true;
                    taken += 1;
                    if taken % UNTIMED_MESSAGES > 0 {
                        continue;
                    }
                }
                Polled::End { partition, offset } => self.reach_end(partition, offset),
                Polled::OutOfRange => self.find_place()?,
                Polled::Nothing if begun.elapsed() >= GATHERING => break None,
                Polled::Nothing => has_next = false,
            }
            if begun.elapsed() >= 2 * GATHERING && self.lanes.iter().any(Lane::has_messages) {
                break None;
            }
        };
        let count = self.lanes.len();
        let waiting = || (0..count).map(|step| (self.turn + step) % count).find(|at| self.lanes[*at].has_messages());
        Ok(full.or_else(waiting).map(|lane| self.take_block(lane)))
    }

    /// Returns whether everything was handed out of a topic that is read until its latest message.
    pub fn has_ended(&mut self) -> bool {
        let mut own = self.lanes.iter().filter(|lane| self.owns(lane.number));
        let has_ended = !self.follow && own.all(Lane::has_ended);
        if has_ended {
            // Behind the last message there may be offsets without one.
            self.moved.extend(0..self.lanes.len());
        }
        has_ended
    }

    /// Returns the position of each partition, and how many offsets are unread.
    pub fn look(&self) -> Result<Vec<(Position, u64)>, InputError> {
        let look = |lane: &Lane| {
            let Bounds(range) = self.topic.bounds(lane.number)?;
            Ok((lane.position(), range.end.saturating_sub(lane.next)))
        };
        self.lanes.iter().map(look).collect()
    }

    fn take_block(&mut self, index: usize) -> Block {
        let stream = u32::try_from(index).expect("there are fewer partitions than 2^32");
        let mut block = self.lanes[index].next_block(self.next_number, stream, self.header.clone());
        self.next_number += 1;
        self.moved.push(index);
        self.turn = index + 1;
        for (stream, lane) in (0..).zip(&mut self.lanes) {
            if lane.is_at_end && !lane.is_released && !lane.has_messages() {
                lane.is_released = true;
                block.released.push(stream);
            }
        }
        block
    }

    /// Notes that a partition has no more messages for now, and ends at `offset`.
    fn reach_end(&mut self, number: u32, offset: u64) {
        let index = number as usize;
        if let Some(lane) = self.lanes.get_mut(index)
            && lane.reach(offset)
            && lane.end.is_some()
        {
            self.moved.push(index);
        }
    }

    /// Fails if a partition has lost messages that are to be read: for a while, its leader says that it ends before them.
    fn check_short(&mut self) -> Result<(), InputError> {
        let is_due = |lane: &Lane| lane.short_since.is_some_and(|since| since.elapsed() >= SHORT_PATIENCE);
        if !self.lanes.iter().any(is_due) || !self.topic.answers()? {
            return Ok(());
        }
        for lane in self.lanes.iter_mut().filter(|lane| is_due(lane)) {
            let Bounds(range) = self.topic.bounds(lane.number)?;
            if let Some(end) = lane.end.filter(|end| range.end < *end) {
                let partition = lane.partition.name.clone();
                return Err(InputError::TopicShrunk { partition, offset: end, found: range.end });
            }
            lane.short_since = Some(Instant::now());
        }
        Ok(())
    }

    /// Finds the place of the partition that has no message at the offset that is to be read next.
    fn find_place(&mut self) -> Result<(), InputError> {
        let id = self.topic.id()?;
        for lane in &mut self.lanes {
            if !owns(self.share.as_ref(), lane.number) || (lane.end.is_some() && lane.is_at_end) {
                continue;
            }
            let Bounds(range) = self.topic.bounds(lane.number)?;
            // What is after the end need not be there.
            let bounds = Bounds(range.start.min(lane.end.unwrap_or(range.start))..range.end);
            let Some(mut position) = lane.position().message else { continue };
            position.offset = lane.next;
            let name = &lane.partition.name;
            let Resumed { next, lost_from } = resume_at(name, &position, id.as_ref(), &bounds, self.on_gone)?;
            if let Some(from) = lost_from {
                self.notes.push(InputNote::MessagesLost { partition: name.clone(), from, until: next });
                lane.next = next;
                if lane.end.is_some_and(|end| next >= end) {
                    lane.is_at_end = true;
                    self.moved.push(lane.number as usize);
                }
            }
        }
        self.assign()
    }

    /// Adds the partitions that the topic got since it was last looked at. Fails if it is another topic by now.
    fn find_new_partitions(&mut self) -> Result<(), InputError> {
        if !self.topic.answers()? {
            return Ok(());
        }
        let (count, id) = (self.topic.partition_count()?, self.topic.id()?);
        let known = u32::try_from(self.lanes.len()).unwrap_or(u32::MAX);
        if let Some(message) = self.lanes.first().and_then(|lane| lane.position().message)
            && let (Some(expected), Some(found)) = (message.topic_id, id.clone())
            && expected != found
        {
            let partition = self.lanes[0].partition.name.clone();
            return Err(InputError::TopicMadeAgain { partition, expected, found });
        }
        for number in known..count {
            let Bounds(range) = self.topic.bounds(number)?;
            self.moved.push(self.lanes.len());
            self.add(Lane::new(partition(&self.spec.topic, number), number, id.clone(), range.start))?;
        }
        if count > known { self.assign() } else { Ok(()) }
    }

    /// Returns how far each partition that is read is behind, as far as is known. Returns nothing if it has just done so.
    pub fn take_lags(&mut self) -> Option<Vec<PartitionLag>> {
        let now = Instant::now();
        if now < self.next_lags {
            return None;
        }
        self.next_lags = now + LAG_PAUSE;
        let ends = self.topic.ends();
        let lanes = self.lanes.iter().filter(|lane| self.owns(lane.number));
        Some(lanes.filter_map(|lane| Some(lane.lag(*ends.get(&lane.number)?))).collect())
    }

    /// Returns what people should know since the last call.
    pub fn take_notes(&mut self) -> Vec<InputNote> {
        std::mem::take(&mut self.notes)
    }

    /// Returns the number that the next block will have.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Returns the position of each partition before the next block.
    pub fn positions(&self) -> Vec<Position> {
        self.lanes.iter().map(Lane::position).collect()
    }

    /// Passes to `visit` the positions that have changed since the last call. New partitions come in the order of their
    /// numbers.
    pub fn take_changes(&mut self, mut visit: impl FnMut(PositionChange)) {
        let mut moved = std::mem::take(&mut self.moved);
        moved.sort_unstable();
        moved.dedup();
        for index in moved {
            visit(PositionChange::Moved(index, Box::new(self.lanes[index].position())));
        }
    }
}

/// Returns whether partition `number` is in `share`; without one, all are.
fn owns(share: Option<&BTreeSet<u32>>, number: u32) -> bool {
    share.is_none_or(|share| share.contains(&number))
}
