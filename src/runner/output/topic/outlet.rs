//! Sending the messages of checkpoints, and finding out which the topic has.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::format::manifest::{Manifest, StagedMessages};
use crate::format::messages;
use crate::input::{InputNote, topic_settings};
use crate::job::JobSpec;
use crate::kafka::{KafkaError, Mark, Marks, Outgoing, Settings, Writer, look_at_mark};
use crate::runner::output::error::OutputError;
use crate::runner::output::topic::search::{Found, STAMP_HEADER, search};
use crate::runner::output::topic::standing::{Sent, Standing, standing};
use crate::store::Store;
use crate::values::id::Sequence;

/// How long to wait before another try.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What to assume of the messages of the latest checkpoint if it is unknown whether the topic has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssumedOutput {
    Sent,
    Missing,
}

/// Where messages go. While that of a run alone exists, no other run of the job can send any. Several workers take turns.
#[derive(Debug)]
pub struct Outlet {
    pub(super) settings: Settings,
    pub(super) timeout: Duration,
    /// The name of the writer and of the group with the mark.
    pub(super) name: String,
    /// Whether it is that of one of several workers.
    pub(super) is_shared: bool,
    /// Nothing after a failure, and between the turns of a worker.
    pub(super) writer: Option<Writer>,
    /// What a worker sees of the turns of others, once it has looked.
    pub(super) marks: Option<Marks>,
    /// The mark as it was last read or set.
    known: Option<Mark>,
    /// What it says, once that is settled.
    pub(super) sent: Option<Sent>,
}

/// What people should know about an outlet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutletNote {
    /// About its brokers.
    Brokers(InputNote),
    /// The topic has messages of this checkpoint, from which the state does not descend anymore.
    Abandoned { topic: String, sequence: Sequence },
    /// Messages that were missing are in the topic.
    Sent(StagedMessages),
}

/// What a topic lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsent {
    pub topic: String,
    /// The checkpoints whose messages a run would send at its start.
    pub missing: Vec<Sequence>,
    /// Why a run would stop, because it cannot tell.
    pub unclear: Option<String>,
}

impl Outlet {
    /// Opens the topic of the output of `job`, if it has one. Other runs of the job cannot send messages from then on, unless
    /// it `is_shared` by several workers.
    pub fn open(job: &JobSpec, is_shared: bool) -> Result<Option<Outlet>, OutputError> {
        let Some((settings, name, timeout)) = connection(job)? else { return Ok(None) };
        let writer = if is_shared { None } else { Some(Writer::open(&settings, &name)?) };
        Ok(Some(Outlet { settings, timeout, name, is_shared, writer, marks: None, known: None, sent: None }))
    }

    /// Returns whether `other` writes to the same topic.
    pub fn is_of(&self, other: &JobSpec) -> bool {
        let topic = other.output.as_ref().and_then(|output| output.topic.as_ref());
        topic.is_some_and(|topic| topic.topic == self.settings.topic && self.settings.has_one_of(&topic.brokers))
    }

    pub fn topic(&self) -> &str {
        &self.settings.topic
    }

    /// Returns the checkpoint whose messages the topic got last; 0 if there is none.
    pub fn sent_number(&self) -> u64 {
        self.sent.as_ref().map_or(0, Sent::number)
    }

    /// Finds out what the topic has, and sends what it lacks. `last` is the checkpoint that the run resumes from, and
    /// `newest` is the highest number in use.
    ///
    /// Fails with [`OutputError::Unclear`] if it is unknown what the topic has and nothing is `assumed`.
    pub(super) fn settle(
        &mut self,
        store: &Store,
        last: Option<&Manifest>,
        newest: Option<Sequence>,
        assumed: Option<AssumedOutput>,
        note: &mut dyn FnMut(OutletNote),
    ) -> Result<(), OutputError> {
        self.known = self.writer.as_ref().map_or(Ok(None), Writer::mark)?;
        let (id, topic) = (&store.file.store, self.settings.topic.clone());
        let latest = latest_messages(last, &topic);
        let at_latest = latest.map_or_else(|| Sent::nothing_at(id, newest), |latest| Sent::all_of(id, latest));
        let found = self.find(store, latest, newest)?;
        let missing = match (found, assumed) {
            (Standing::Complete { abandoned }, _) => {
                if let Some(sequence) = abandoned {
                    note(OutletNote::Abandoned { topic: topic.clone(), sequence });
                }
                // Brokers forget an offset that is not set for a week.
                let sent = self.known.as_ref().and_then(Sent::of_mark).unwrap_or(at_latest);
                return self.send(store, None, sent, &mut |about| note(OutletNote::Brokers(about)));
            }
            (Standing::Unmarked, _) if latest.is_none() => Vec::new(),
            (Standing::Missing(missing), _) => missing,
            (_, Some(AssumedOutput::Sent)) => Vec::new(),
            (_, Some(AssumedOutput::Missing)) => latest.into_iter().cloned().collect(),
            (unclear, None) => {
                let (checkpoint, reason) = (latest.map(|latest| latest.checkpoint), self.reason(&unclear));
                return Err(OutputError::Unclear { topic, checkpoint, reason });
            }
        };
        if missing.is_empty() {
            return self.send(store, None, at_latest, &mut |about| note(OutletNote::Brokers(about)));
        }
        for messages in missing {
            let sent = Sent::all_of(id, &messages);
            self.send(store, Some(&messages), sent, &mut |about| note(OutletNote::Brokers(about)))?;
            note(OutletNote::Sent(messages));
        }
        Ok(())
    }

    /// Compares the mark with the chain, and if there is none, searches the topic.
    fn find(
        &self,
        store: &Store,
        latest: Option<&StagedMessages>,
        newest: Option<Sequence>,
    ) -> Result<Standing, OutputError> {
        let found = standing_in(store, latest, newest, self.known.as_ref());
        let (Standing::Unmarked, Some(latest)) = (&found, latest) else { return Ok(found) };
        let stamp = Sent::all_of(&store.file.store, latest).stamp();
        Ok(match search(&self.settings, &stamp, staged_at(store, latest))? {
            Found::Stamp => Standing::Complete { abandoned: None },
            // A topic that is compacted forgets tombstones.
            Found::Nothing if has_values(store, latest)? => Standing::Missing(vec![latest.clone()]),
            Found::Nothing | Found::Unknown => Standing::Unmarked,
        })
    }

    /// Says why it is unknown what the topic has.
    fn reason(&self, found: &Standing) -> String {
        reason(found, &self.settings.topic, &self.name)
    }

    /// Sends the messages of a checkpoint that is committed, unless the topic has them. Calls `note` if it has to wait.
    pub(super) fn publish_alone(
        &mut self,
        store: &Store,
        manifest: &Manifest,
        note: &mut dyn FnMut(InputNote),
    ) -> Result<(), OutputError> {
        let Some(messages) = latest_messages(Some(manifest), &self.settings.topic) else { return Ok(()) };
        let sent = Sent::all_of(&store.file.store, messages);
        if self.sent.as_ref() == Some(&sent) {
            return Ok(());
        }
        self.send(store, Some(messages), sent, note)
    }

    /// Sends messages, if there are any, and sets the mark to `sent`, all in one transaction. Tries until the mark shows
    /// that it was committed, or no broker has answered for too long.
    fn send(
        &mut self,
        store: &Store,
        messages: Option<&StagedMessages>,
        sent: Sent,
        note: &mut dyn FnMut(InputNote),
    ) -> Result<(), OutputError> {
        let (mark, begun) = (sent.mark(), Instant::now());
        let (brokers, patience) = (self.settings.brokers.clone(), self.timeout);
        let mut is_away = false;
        loop {
            let error = match self.try_to_send(store, messages, &sent) {
                Ok(found) if found.as_ref() == Some(&mark) => {
                    (self.known, self.sent) = (found, Some(sent));
                    if is_away {
                        note(InputNote::BrokersBack { brokers });
                    }
                    return Ok(());
                }
                // The transaction was aborted.
                Ok(found) if found == self.known => {
                    let reason = "the transaction was aborted".to_owned();
                    KafkaError::Unsent { topic: self.settings.topic.clone(), reason }.into()
                }
                Ok(_) => {
                    let (topic, name) = (self.settings.topic.clone(), self.name.clone());
                    return Err(KafkaError::Fenced { topic, name }.into());
                }
                Err(error) => error,
            };
            self.writer = None;
            // A worker looks at the store again, too.
            if self.is_shared || !error.may_pass() || begun.elapsed() >= patience {
                return Err(error);
            }
            if !is_away {
                note(InputNote::BrokersAway { brokers: brokers.clone(), patience });
                is_away = true;
            }
            std::thread::sleep(PAUSE.min(patience));
        }
    }

    /// Tries once. Returns the mark as it is afterwards; only that says what has happened.
    fn try_to_send(
        &mut self,
        store: &Store,
        messages: Option<&StagedMessages>,
        sent: &Sent,
    ) -> Result<Option<Mark>, OutputError> {
        let mark = sent.mark();
        let writer = match &self.writer {
            Some(writer) => writer,
            None => {
                let writer = self.writer.insert(Writer::open(&self.settings, &self.name)?);
                // The answer to the transaction before may have been lost.
                let found = writer.mark()?;
                if found.as_ref() == Some(&mark) || found != self.known {
                    return Ok(found);
                }
                writer
            }
        };
        writer.begin()?;
        if let Some(messages) = messages {
            let (stamp, time) = (sent.stamp(), staged_at(store, messages));
            let send = |key: Option<&str>, value: Option<&str>| -> Result<(), OutputError> {
                Ok(writer.send(&Outgoing { key, value, header: (STAMP_HEADER, &stamp), time })?)
            };
            read(store, messages, send)?;
        }
        writer.commit(&mark)?;
        Ok(writer.mark()?)
    }
}

/// Returns what a run of `job` would find at its start, if its output is a topic, without writing. `chain` is the store with
/// its latest checkpoint, if they exist.
pub fn look(job: &JobSpec, chain: Option<(&Store, Option<&Manifest>)>) -> Result<Option<Unsent>, OutputError> {
    let Some((settings, name, _)) = connection(job)? else { return Ok(None) };
    let mark = look_at_mark(&settings, &name)?;
    let found = match chain {
        Some((store, last)) => {
            let latest = latest_messages(last, &settings.topic);
            standing_in(store, latest, last.map(|last| last.sequence), mark.as_ref())
        }
        None => mark.as_ref().map_or(Standing::Unmarked, Standing::without_store),
    };
    let (missing, unclear) = match found {
        Standing::Complete { .. } | Standing::Unmarked => (Vec::new(), None),
        Standing::Missing(missing) => (missing.iter().map(|messages| messages.checkpoint).collect(), None),
        unclear => (Vec::new(), Some(reason(&unclear, &settings.topic, &name))),
    };
    Ok(Some(Unsent { topic: settings.topic, missing, unclear }))
}

/// Returns how the topic of the output of `job` is reached, the name of its writer, and how long brokers are waited for.
fn connection(job: &JobSpec) -> Result<Option<(Settings, String, Duration)>, OutputError> {
    let Some(topic) = job.output.as_ref().and_then(|output| output.topic.as_ref()) else { return Ok(None) };
    let settings = topic_settings(topic, &job.base).map_err(|source| OutputError::TopicSettings(Box::new(source)))?;
    Ok(Some((settings, format!("{}.output", job.job), topic.timeout)))
}

pub(super) fn latest_messages<'a>(last: Option<&'a Manifest>, topic: &str) -> Option<&'a StagedMessages> {
    last.and_then(|last| last.messages.as_ref()).filter(|messages| messages.topic == topic)
}

pub(super) fn standing_in(
    store: &Store,
    latest: Option<&StagedMessages>,
    newest: Option<Sequence>,
    mark: Option<&Mark>,
) -> Standing {
    let staged_by = |number| {
        let messages = store.manifest(Sequence(number)).ok()?.manifest.messages?;
        let is_own = messages.checkpoint.0 == number && latest.is_none_or(|latest| latest.topic == messages.topic);
        is_own.then_some(messages)
    };
    standing(&store.file.store, latest, newest, mark, staged_by)
}

/// Returns when the checkpoint was made that has staged `messages`, in milliseconds since 1970-01-01T00:00:00Z; 0 if that is
/// not known.
fn staged_at(store: &Store, messages: &StagedMessages) -> i64 {
    let made = store.manifest(messages.checkpoint);
    made.map_or(0, |made| made.manifest.created.as_millisecond())
}

fn has_values(store: &Store, messages: &StagedMessages) -> Result<bool, OutputError> {
    let has_values = Cell::new(false);
    read(store, messages, |_, value| {
        has_values.set(has_values.get() || value.is_some());
        Ok(())
    })?;
    Ok(has_values.get())
}

/// Passes the key and the value of each message to `visit`.
fn read(
    store: &Store,
    messages: &StagedMessages,
    visit: impl FnMut(Option<&str>, Option<&str>) -> Result<(), OutputError>,
) -> Result<(), OutputError> {
    let bytes = store.object(messages.object_ref()).map_err(|source| OutputError::Staged(Box::new(source)))?;
    messages::read(bytes, visit)
}

fn reason(found: &Standing, topic: &str, group: &str) -> String {
    match found {
        Standing::Foreign { .. } => {
            format!("somebody else has set the offset of group `{group}` in partition 0 of topic `{topic}`")
        }
        Standing::OtherStore { store } => format!("topic `{topic}` has the output of another store, `{store}`"),
        Standing::Ahead { sequence } => {
            format!("topic `{topic}` has the output of checkpoint {}, which the store does not have", sequence.0)
        }
        Standing::Behind { sequence } => format!(
            "the offset of group `{group}` in topic `{topic}` is that of checkpoint {}, and those that followed are gone",
            sequence.0
        ),
        Standing::Unmarked | Standing::Complete { .. } | Standing::Missing(_) => {
            format!("the offset of group `{group}` in topic `{topic}` is gone, and so may be messages")
        }
    }
}
