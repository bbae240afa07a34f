//! The metrics of what a run has of a topic.

use std::sync::{Arc, Mutex};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::cli::exposition::{Known, Number};
use crate::runner::observer::{PartitionLag, RunEvent, Stage};
use crate::values::lock::lock;

/// The number of a partition.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Partition {
    partition: u32,
}

/// The metrics of what a run has of a topic, and of how it comes to have it.
#[derive(Debug, Default)]
pub(super) struct TopicMetrics {
    partitions: Known<u64>,
    lags: Family<Partition, Number>,
    shown: Mutex<Arc<[PartitionLag]>>,
    rebalances: Counter,
    restore_left_bytes: Known<u64>,
}

impl TopicMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "Partitions that this worker has";
        self.partitions.register(registry, "partitions", help);
        let help = "Offsets of a partition that are not read yet";
        registry.register("partition_lag_messages", help, self.lags.clone());
        let help = "How often the group of workers has given this one other partitions";
        registry.register("rebalances", help, self.rebalances.clone());
        let help = "State of the latest checkpoint that is still to be loaded";
        self.restore_left_bytes.register(registry, "restore_left_bytes", help);
    }

    pub(super) fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Assigned { partitions } => {
                self.partitions.set(Some(partitions.len() as u64));
                self.rebalances.inc();
                self.lags.clear();
            }
            RunEvent::Stage(Stage::Idle) => {
                self.partitions.set(Some(0));
                self.lags.clear();
            }
            RunEvent::Stage(Stage::Restoring { bytes, .. }) => self.restore_left_bytes.set(Some(*bytes)),
            RunEvent::Stage(Stage::Reading) => self.restore_left_bytes.set(Some(0)),
            _ => {}
        }
    }

    pub(super) fn status(&self, lags: &Arc<[PartitionLag]>) {
        let mut shown = lock(&self.shown);
        if Arc::ptr_eq(&shown, lags) {
            return;
        }
        for lag in lags.iter() {
            self.lags.get_or_create(&Partition { partition: lag.partition }).set(lag.messages);
        }
        *shown = Arc::clone(lags);
    }
}
