//! The turns of several workers, each of which sends messages of its own checkpoints to one topic.
//!
//! A worker commits on top of a checkpoint only once the topic has the messages of that one, which may be another worker's. To send
//! them, it becomes the writer of the topic. From then on nobody else is: a transaction of the writer before is
//! committed or never will be, the mark says which, and no checkpoint can follow the latest one before its messages
//! are sent. A worker that slept through that finds that another one is the writer, looks again, and sends nothing twice.

use std::time::{Duration, Instant};

use crate::input::InputNote;
use crate::kafka::{KafkaError, Marks, Writer};
use crate::runner::output::error::OutputError;
use crate::runner::output::topic::outlet::{AssumedOutput, Outlet, OutletNote, PAUSE, latest_messages, standing_in};
use crate::runner::output::topic::standing::{Sent, Standing};
use crate::store::{Committed, Store, StoreError};
use crate::values::id::Sequence;

/// How long the worker that has made the latest checkpoint is waited for before another one sends its messages.
const COURTESY: Duration = Duration::from_secs(3);

/// The time between two looks at what another worker has sent.
const LOOK: Duration = Duration::from_millis(50);

/// Why a worker takes a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It starts, and has been told what to assume. The mark is set again, because brokers forget it.
    First(Option<AssumedOutput>),
    /// It is about to commit a checkpoint on top of the latest.
    Next,
    /// It has made the latest checkpoint.
    Own,
}

impl Outlet {
    /// Finds out what the topic has when a run or a worker starts, and sends what it lacks. `last` is the checkpoint
    /// that it resumes from, and `newest` is the highest number in use.
    ///
    /// Fails with [`OutputError::Unclear`] if it is unknown what the topic has and nothing is `assumed`.
    pub fn begin(
        &mut self,
        store: &Store,
        last: Option<&Committed>,
        newest: Option<Sequence>,
        assumed: Option<AssumedOutput>,
        note: &mut dyn FnMut(OutletNote),
    ) -> Result<(), OutputError> {
        if self.is_shared {
            // If `last` is not the latest anymore, the worker that has committed on top of it has done this.
            return self.take_turn(store, last, Turn::First(assumed), note).map(drop);
        }
        self.settle(store, last.map(|last| &last.manifest), newest, assumed, note)
    }

    /// Sends the messages of the checkpoint `last`, which was just committed, unless the topic has them. Calls `note` if it
    /// has to wait.
    pub fn publish(
        &mut self,
        store: &Store,
        last: &Committed,
        note: &mut dyn FnMut(InputNote),
    ) -> Result<(), OutputError> {
        if !self.is_shared {
            return self.publish_alone(store, &last.manifest, note);
        }
        let messages = latest_messages(Some(&last.manifest), &self.settings.topic);
        match messages.map(|messages| Sent::all_of(&store.file.store, messages)) {
            Some(sent) if self.sent.as_ref() != Some(&sent) => {
                // If `last` is not the latest anymore, the worker that has committed on top of it has sent them.
                self.take_turn(store, Some(last), Turn::Own, &mut brokers_only(note)).map(drop)
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that the topic has the messages of `last`, the latest checkpoint, before the worker commits on top of it.
    /// Returns false if it is not the latest anymore. Calls `note` if it has to wait.
    pub fn follow(
        &mut self,
        store: &Store,
        last: Option<&Committed>,
        note: &mut dyn FnMut(InputNote),
    ) -> Result<bool, OutputError> {
        if !self.is_shared {
            return Ok(true);
        }
        self.take_turn(store, last, Turn::Next, &mut brokers_only(note))
    }

    /// Makes sure that the topic has the messages of `last`, the latest checkpoint of all workers. Returns false if it is not
    /// the latest anymore.
    ///
    /// Fails with [`OutputError::Unclear`] if it is unknown what the topic has, and with the last error if brokers are away for
    /// longer than the time-out of the job. A worker that others interrupt tries until one of them is done.
    fn take_turn(
        &mut self,
        store: &Store,
        last: Option<&Committed>,
        turn: Turn,
        note: &mut dyn FnMut(OutletNote),
    ) -> Result<bool, OutputError> {
        let (mut away_since, mut interrupted) = (None, None);
        let (brokers, patience) = (self.settings.brokers.clone(), self.timeout);
        loop {
            let tried = Instant::now();
            let outcome = self.try_turn(store, last, turn, interrupted, note);
            // The next one may be that of another worker.
            self.writer = None;
            let error = match outcome {
                Ok(is_latest) => {
                    if away_since.is_some() {
                        note(OutletNote::Brokers(InputNote::BrokersBack { brokers }));
                    }
                    return Ok(is_latest);
                }
                Err(error) => error,
            };
            let is_interrupted = matches!(error, OutputError::Topic(KafkaError::Fenced { .. }));
            if is_interrupted {
                interrupted = Some(courtesy_after(tried.elapsed()));
                continue;
            }
            let since = away_since.unwrap_or(tried);
            if !error.may_pass() || since.elapsed() >= patience {
                return Err(error);
            }
            if away_since.replace(since).is_none() {
                note(OutletNote::Brokers(InputNote::BrokersAway { brokers: brokers.clone(), patience }));
            }
            std::thread::sleep(PAUSE.min(patience));
        }
    }

    /// Tries once. If another worker has `interrupted` the try before, that one is given as long as this.
    fn try_turn(
        &mut self,
        store: &Store,
        last: Option<&Committed>,
        turn: Turn,
        interrupted: Option<Duration>,
        note: &mut dyn FnMut(OutletNote),
    ) -> Result<bool, OutputError> {
        // A restore does not wait for the messages of the checkpoint before: a worker may be about to send them.
        let is_restored = last.is_some_and(|last| last.manifest.restored_from.is_some());
        let waits = interrupted.is_some() || (turn != Turn::Own && !is_restored);
        if waits && self.sees_all(store, last, interrupted)? && !matches!(turn, Turn::First(_)) {
            return Ok(true);
        }
        let is_latest = || Ok::<_, OutputError>(store.latest_after(last).map_err(staged)?.is_none());
        // The first look spares the worker that is sending the messages of a later one. The second one counts: what is
        // committed from there on waits for the messages of this one.
        if !is_latest()? {
            return Ok(false);
        }
        self.writer = Some(Writer::open(&self.settings, &self.name)?);
        if !is_latest()? {
            return Ok(false);
        }
        let newest = store.sequences().map_err(staged)?.pop();
        let assumed = if let Turn::First(assumed) = turn { assumed } else { None };
        self.settle(store, last.map(|last| &last.manifest), newest, assumed, note)?;
        Ok(true)
    }

    /// Returns whether the topic has the messages of `last`, the latest checkpoint as far as this worker knows. Gives the
    /// worker that has made it the time to send them, or the one that has `interrupted` this one as long as that says.
    fn sees_all(
        &mut self,
        store: &Store,
        last: Option<&Committed>,
        interrupted: Option<Duration>,
    ) -> Result<bool, OutputError> {
        let (begun, courtesy) = (Instant::now(), interrupted.unwrap_or(COURTESY));
        let marks = match &self.marks {
            Some(marks) => marks,
            None => self.marks.insert(Marks::open(&self.settings, &self.name)?),
        };
        loop {
            // A transaction that nobody ends hides the mark. The next writer ends it.
            let Ok(mark) = marks.read(courtesy) else { return Ok(false) };
            let messages = latest_messages(last.map(|last| &last.manifest), &self.settings.topic);
            let newest = last.map(|last| last.manifest.sequence);
            let may_change = match standing_in(store, messages, newest, mark.as_ref()) {
                Standing::Complete { abandoned: None } => {
                    self.sent = mark.as_ref().and_then(Sent::of_mark);
                    return Ok(true);
                }
                Standing::Missing(_) => true,
                Standing::Unmarked | Standing::Complete { .. } => interrupted.is_some(),
                _ => false,
            };
            if !may_change || begun.elapsed() >= courtesy {
                return Ok(false);
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// Returns how long a worker gives way to one that has interrupted its try, which had taken `tried`, to send the same messages.
/// Two that interrupt each other give way for longer and longer, until one is done, however long sending takes.
fn courtesy_after(tried: Duration) -> Duration {
    (tried * 2).max(PAUSE)
}

/// Passes on what is about brokers.
fn brokers_only(note: &mut dyn FnMut(InputNote)) -> impl FnMut(OutletNote) {
    |about| {
        if let OutletNote::Brokers(about) = about {
            note(about);
        }
    }
}

fn staged(source: StoreError) -> OutputError {
    OutputError::Staged(Box::new(source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_that_interrupt_each_other_are_soon_done_however_long_sending_takes() {
        for millis in [50, 500, 2_900, 3_100, 12_000, 60_000, 1_000_000] {
            let needed = Duration::from_millis(millis);
            // The first one sends since `sends`. The second one, whose try began at `waits`, interrupts it at `until`.
            let (mut sends, mut waits, mut until) = (Duration::ZERO, Duration::ZERO, COURTESY);
            let mut tried = Duration::ZERO;
            while sends + needed > until {
                // They change places. What the one tried began at `tried`.
                let gives_way = courtesy_after(until - tried);
                (sends, tried, waits, until) = (until, waits, until, until + gives_way);
            }
            assert!(sends + needed < needed * 4 + COURTESY, "{needed:?} of sending end after {:?}", sends + needed);
        }
    }
}
