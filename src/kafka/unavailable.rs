//! The client of a build without the feature `kafka`, which reads and writes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::kafka::error::KafkaError;
use crate::kafka::message::{AtEnd, Bounds, Division, Mark, Message, Outgoing, Polled};
use crate::kafka::settings::Settings;

/// A topic that cannot be opened.
#[derive(Debug)]
pub enum Topic {}

impl Topic {
    pub fn open(_: &Settings) -> Result<Topic, KafkaError> {
        Err(KafkaError::Unavailable)
    }

    pub fn leave_out_headers(&mut self) {
        match *self {}
    }

    pub fn partition_count(&self) -> Result<u32, KafkaError> {
        match *self {}
    }

    pub fn members_of(&self, _: &str) -> Result<Vec<String>, KafkaError> {
        match *self {}
    }

    pub fn id(&self) -> Result<Option<String>, KafkaError> {
        match *self {}
    }

    pub fn bounds(&self, _: u32) -> Result<Bounds, KafkaError> {
        match *self {}
    }

    pub fn ends(&self) -> BTreeMap<u32, u64> {
        match *self {}
    }

    pub fn offset_at(&self, _: u32, _: i64) -> Result<u64, KafkaError> {
        match *self {}
    }

    pub fn assign(&self, _: &[(u32, u64)]) -> Result<(), KafkaError> {
        match *self {}
    }

    pub fn poll(&self, _: Duration, _: impl FnOnce(Message<'_>)) -> Result<Polled, KafkaError> {
        match *self {}
    }

    pub fn answers(&self) -> Result<bool, KafkaError> {
        match *self {}
    }
}

/// A member of a group that cannot be joined.
#[derive(Debug)]
pub enum Member {}

impl Member {
    pub fn join(_: &Settings, _: &str, _: &str, _: AtEnd) -> Result<Member, KafkaError> {
        Err(KafkaError::Unavailable)
    }

    pub fn poll(&self, _: Duration) -> Result<Vec<Division>, KafkaError> {
        match *self {}
    }

    pub fn release(&self) -> Result<(), KafkaError> {
        match *self {}
    }
}

/// A topic that cannot be written.
#[derive(Debug)]
pub enum Writer {}

impl Writer {
    pub fn open(_: &Settings, _: &str) -> Result<Writer, KafkaError> {
        Err(KafkaError::Unavailable)
    }

    pub fn mark(&self) -> Result<Option<Mark>, KafkaError> {
        match *self {}
    }

    pub fn begin(&self) -> Result<(), KafkaError> {
        match *self {}
    }

    pub fn send(&self, _: &Outgoing<'_>) -> Result<(), KafkaError> {
        match *self {}
    }

    pub fn commit(&self, _: &Mark) -> Result<(), KafkaError> {
        match *self {}
    }
}

/// The marks of a topic that cannot be opened.
#[derive(Debug)]
pub enum Marks {}

impl Marks {
    pub fn open(_: &Settings, _: &str) -> Result<Marks, KafkaError> {
        Err(KafkaError::Unavailable)
    }

    pub fn read(&self, _: Duration) -> Result<Option<Mark>, KafkaError> {
        match *self {}
    }
}

/// Fails.
pub fn look_at_mark(_: &Settings, _: &str) -> Result<Option<Mark>, KafkaError> {
    Err(KafkaError::Unavailable)
}
