//! How the topic of a job is reached, and how long its brokers may be away.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::input::error::InputError;
use crate::input::note::InputNote;
use crate::job::model::{InputSpec, TopicSpec};
use crate::kafka::{AtEnd, KafkaError, Member, Settings, Topic, parse_properties};

/// The longest time that a topic may take to open.
const OPEN_PATIENCE: Duration = Duration::from_secs(30);

/// How often a run looks whether the brokers answer.
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Returns how the topic is reached. Paths are relative to `base`.
pub fn settings(topic: &TopicSpec, base: &Path) -> Result<Settings, InputError> {
    let mut properties = topic.settings.clone();
    if let Some(file) = &topic.settings_file {
        let unfit = |reason: String| InputError::SettingsFile { path: file.display().to_string(), reason };
        let text = fs::read_to_string(base.join(file)).map_err(|error| unfit(error.to_string()))?;
        let parsed = parse_properties(&text);
        properties.extend(parsed.map_err(|line| unfit(format!("line {line} is not `name=value`")))?);
    }
    Ok(Settings {
        brokers: topic.brokers.clone(),
        topic: topic.topic.clone(),
        properties,
        patience: topic.timeout.min(OPEN_PATIENCE),
    })
}

/// Joins the group `group` of workers that share the topic of `input`, as `worker`. Paths are relative to `base`.
/// `at_end` says what becomes of the partitions of this worker when it ends.
///
/// # Panics
///
/// Panics if the input is not a topic.
pub fn join(input: &InputSpec, base: &Path, group: &str, worker: &str, at_end: AtEnd) -> Result<Member, InputError> {
    let topic = input.topic.as_ref().expect("the input is a topic");
    Ok(Member::join(&settings(topic, base)?, group, worker, at_end)?)
}

/// Watches whether the brokers answer.
#[derive(Debug)]
pub(super) struct Watch {
    brokers: String,
    timeout: Duration,
    next_look: Instant,
    away_since: Option<Instant>,
}

impl Watch {
    pub(super) fn new(topic: &TopicSpec) -> Watch {
        let (brokers, timeout) = (topic.brokers.clone(), topic.timeout);
        Watch { brokers, timeout, next_look: Instant::now() + LOOK_PAUSE, away_since: None }
    }

    /// Looks, if it is time to. Returns what people should know. Fails if no broker has answered for too long.
    pub(super) fn look(&mut self, topic: &Topic) -> Result<Option<InputNote>, KafkaError> {
        let now = Instant::now();
        if now < self.next_look {
            return Ok(None);
        }
        let answers = topic.answers()?;
        self.next_look = Instant::now() + LOOK_PAUSE;
        if answers {
            return Ok(self.away_since.take().map(|_| InputNote::BrokersBack { brokers: self.brokers.clone() }));
        }
        match self.away_since {
            None => {
                self.away_since = Some(now);
                Ok(Some(InputNote::BrokersAway { brokers: self.brokers.clone(), patience: self.timeout }))
            }
            Some(since) if since.elapsed() >= self.timeout => {
                Err(KafkaError::Away { brokers: self.brokers.clone(), seconds: since.elapsed().as_secs() })
            }
            Some(_) => Ok(None),
        }
    }
}
