//! Membership in a consumer group, which divides the partitions of a topic between workers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError as ClientError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};

use crate::kafka::client::{create, is_final, refused, set_all};
use crate::kafka::error::KafkaError;
use crate::kafka::message::{AtEnd, Division};
use crate::kafka::settings::Settings;
use crate::values::lock::lock;

/// A member of a group. It reads no messages: it only learns which partitions are its own.
pub struct Member {
    settings: Settings,
    group: String,
    consumer: BaseConsumer<Divisions>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member").field("topic", &self.settings.topic).finish_non_exhaustive()
    }
}

/// What the group has decided since the last poll.
#[derive(Debug, Default)]
struct Divisions {
    news: Mutex<Vec<Division>>,
    is_closing: AtomicBool,
}

impl ClientContext for Divisions {
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn error(&self, _: ClientError, _: &str) {}
}

impl ConsumerContext for Divisions {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions: Vec<u32> =
            list.elements().iter().map(|partition| partition.partition().unsigned_abs()).collect();
        // The member fetches nothing, so it never has anything assigned; the group counts what it has given by itself. An
        // empty list says that the member has heard of it.
        let nothing = TopicPartitionList::new();
        if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let _ = consumer.incremental_assign(&nothing);
            lock(&self.news).push(Division::Given(partitions));
        } else if self.is_closing.load(Ordering::Relaxed) || consumer.assignment_lost() {
            let _ = consumer.incremental_unassign(&nothing);
            lock(&self.news).push(Division::Lost(partitions));
        } else {
            // The group waits for `Member::release`.
            lock(&self.news).push(Division::Taken(partitions));
        }
    }
}

impl Member {
    /// Joins the group `group`. With [`AtEnd::Keep`], no other member may have the name `name`, and one that has died is
    /// succeeded. Otherwise the group knows the name as a `client.id` only: it keeps the places of all members with names.
    pub fn join(settings: &Settings, group: &str, name: &str, at_end: AtEnd) -> Result<Member, KafkaError> {
        let mut config = ClientConfig::new();
        config.set("client.id", name).set("session.timeout.ms", "10000").set("heartbeat.interval.ms", "2000");
        set_all(&mut config, settings)?;
        config
            .set("group.id", group)
            .set("group.protocol", "classic")
            .set("partition.assignment.strategy", "cooperative-sticky");
        if at_end == AtEnd::Keep {
            config.set("group.instance.id", name);
        }
        let consumer = create(&config, Divisions::default())?;
        let member = Member { settings: settings.clone(), group: group.to_owned(), consumer };
        member.consumer.subscribe(&[&settings.topic]).map_err(|error| member.refused(&error))?;
        Ok(member)
    }

    /// Waits for news for at most `patience`. It has to be called every few seconds for the group to know that the member
    /// is alive.
    ///
    /// Fails with [`KafkaError::Replaced`] if the brokers say that another member has its name.
    pub fn poll(&self, patience: Duration) -> Result<Vec<Division>, KafkaError> {
        if let Some(Err(error)) = self.consumer.poll(patience)
            && is_final(error.rdkafka_error_code())
        {
            return Err(self.refused(&error));
        }
        match self.consumer.client().fatal_error() {
            None => Ok(std::mem::take(&mut lock(&self.consumer.context().news))),
            Some((RDKafkaErrorCode::FencedInstanceId, _)) => Err(KafkaError::Replaced { group: self.group.clone() }),
            Some((_, reason)) => Err(KafkaError::Refused { topic: self.settings.topic.clone(), reason }),
        }
    }

    /// Lets go of the partitions that were taken.
    pub fn release(&self) -> Result<(), KafkaError> {
        let released = self.consumer.incremental_unassign(&TopicPartitionList::new());
        released.map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &ClientError) -> KafkaError {
        refused(&self.settings.topic, error)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let context = self.consumer.context();
        context.is_closing.store(true, Ordering::Relaxed);
        let news = std::mem::take(&mut *lock(&context.news));
        if news.iter().any(|division| matches!(division, Division::Taken(_))) {
            let _ = self.release();
        }
    }
}
