//! The metrics of a run, for Prometheus.
//!
//! Names follow its conventions: base units, the unit in the name, `_total` for counters.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::format::manifest::{Manifest, Trigger};
use crate::runner::observer::{Observer, RunEvent, Status};
use crate::store::StoreNote;

type Number = Gauge<u64, AtomicU64>;
type Seconds = Gauge<f64, AtomicU64>;

/// The cause and the outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    cause: String,
    outcome: &'static str,
}

/// A phase of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Phase {
    phase: &'static str,
}

/// The metrics of one run.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    records: Counter,
    skipped: Counter,
    late: Counter,
    watermark: Seconds,
    input_bytes: Counter,
    input_size_bytes: Number,
    input_lag_bytes: Number,
    keys: Number,
    state_bytes: Number,
    changed_bytes: Number,
    checkpoints: Family<Attempt, Counter>,
    phases: Family<Phase, Histogram, fn() -> Histogram>,
    written_bytes: Counter,
    last_sequence: Number,
    last_created: Seconds,
    last_bytes: Number,
    published_files: Counter,
    published_rows: Counter,
    failures_in_a_row: Number,
    replica_warnings: Counter,
}

/// The buckets for the phases of a checkpoint: 10 µs to 5 min.
fn phase_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-5, 4.0, 13))
}

impl Metrics {
    /// Makes the metrics of `job`, whose name is a label of each.
    pub(super) fn new(job: &str) -> Metrics {
        let labels = std::iter::once(("job".into(), job.to_owned().into()));
        let mut registry = Registry::with_prefix_and_labels("ckpt", labels);
        let mut metrics = Metrics {
            registry: Registry::default(),
            records: Counter::default(),
            skipped: Counter::default(),
            late: Counter::default(),
            watermark: Seconds::default(),
            input_bytes: Counter::default(),
            input_size_bytes: Number::default(),
            input_lag_bytes: Number::default(),
            keys: Number::default(),
            state_bytes: Number::default(),
            changed_bytes: Number::default(),
            checkpoints: Family::default(),
            phases: Family::new_with_constructor(phase_histogram),
            written_bytes: Counter::default(),
            last_sequence: Number::default(),
            last_created: Seconds::default(),
            last_bytes: Number::default(),
            published_files: Counter::default(),
            published_rows: Counter::default(),
            failures_in_a_row: Number::default(),
            replica_warnings: Counter::default(),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of ckpt", build);
        let m = &metrics;
        registry.register("records", "Records applied by this run, including bad ones", m.records.clone());
        registry.register(
            "records_late",
            "Records of this run that arrived after all their windows had closed",
            m.late.clone(),
        );
        let help = "The time before which no more records are expected; 0 for a job without event time";
        registry.register("watermark_timestamp_seconds", help, m.watermark.clone());
        registry.register("records_skipped", "Bad records skipped by this run", m.skipped.clone());
        let mut bytes = |name: &str, help: &str, metric: &Counter| {
            registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
        };
        bytes("input", "Input applied by this run, after decompression", &m.input_bytes);
        bytes("checkpoint_written", "New objects in the checkpoints of this run", &m.written_bytes);
        let mut gauge = |name: &str, help: &str, metric: &Number| registry.register(name, help, metric.clone());
        gauge("input_size_bytes", "The size of all input; 0 if unknown", &m.input_size_bytes);
        gauge("input_lag_bytes", "Available input that is not applied yet; 0 if unknown", &m.input_lag_bytes);
        gauge("state_keys", "Keys in the state", &m.keys);
        gauge("state_memory_bytes", "Memory used by the state, without text and sketches", &m.state_bytes);
        gauge("state_changed_bytes", "State that changed since the last cut", &m.changed_bytes);
        gauge("last_checkpoint_sequence", "The number of the latest checkpoint; 0 if there is none", &m.last_sequence);
        gauge("last_checkpoint_bytes", "The size of the latest checkpoint of this run", &m.last_bytes);
        let help = "Failed attempts at a checkpoint since the last successful one";
        registry.register("checkpoint_failures_in_a_row", help, m.failures_in_a_row.clone());
        let help = "The time of the cut of the latest checkpoint; its age is time() minus this";
        registry.register("last_checkpoint_timestamp_seconds", help, m.last_created.clone());
        registry.register("checkpoints", "Attempts at a checkpoint in this run", m.checkpoints.clone());
        let help = "The duration of the phases of committed checkpoints";
        registry.register_with_unit("checkpoint_phase", help, Unit::Seconds, m.phases.clone());
        registry.register("published_files", "Output files put in place by this run", m.published_files.clone());
        registry.register("published_rows", "Rows in the published files", m.published_rows.clone());
        registry.register("replica_warnings", "Warnings about replicas in this run", m.replica_warnings.clone());
        metrics.registry = registry;
        metrics
    }

    /// Returns the metrics in the text format of OpenMetrics.
    pub(super) fn encode(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string succeeds");
        text
    }

    fn latest(&self, manifest: &Manifest) {
        self.last_sequence.set(manifest.sequence.0);
        self.last_created.set(manifest.created.as_millisecond() as f64 / 1e3);
        self.last_bytes.set(manifest.totals.bytes);
    }

    fn committed(&self, manifest: &Manifest, total_micros: u64) {
        self.latest(manifest);
        self.failures_in_a_row.set(0);
        self.attempt(manifest.trigger, "committed");
        self.written_bytes.inc_by(manifest.totals.new_bytes);
        let timings = &manifest.timings;
        let commit_micros = total_micros.saturating_sub(timings.snapshot_micros + timings.write_micros);
        for (phase, micros) in [
            ("pause", timings.pause_micros),
            ("snapshot", timings.snapshot_micros),
            ("write", timings.write_micros),
            ("commit", commit_micros),
            ("total", total_micros),
        ] {
            self.phases.get_or_create(&Phase { phase }).observe(micros as f64 / 1e6);
        }
    }

    fn attempt(&self, trigger: Trigger, outcome: &'static str) {
        let cause =
            serde_json::to_value(trigger).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default();
        self.checkpoints.get_or_create(&Attempt { cause, outcome }).inc();
    }
}

impl Observer for Metrics {
    fn event(&self, event: &RunEvent) {
        match event {
            RunEvent::Resumed { sequence, created, .. } => {
                self.last_sequence.set(sequence.0);
                self.last_created.set(created.as_millisecond() as f64 / 1e3);
            }
            RunEvent::CheckpointElided { cause } => {
                self.failures_in_a_row.set(0);
                self.attempt(*cause, "elided");
            }
            RunEvent::CheckpointFailed { cause, failures, .. } => {
                self.failures_in_a_row.set(u64::from(*failures));
                self.attempt(*cause, "failed");
            }
            RunEvent::Committed(done) => self.committed(&done.committed.manifest, done.total_micros),
            RunEvent::Published { rows, .. } => {
                self.published_files.inc();
                self.published_rows.inc_by(*rows);
            }
            RunEvent::Replica(StoreNote::CaughtUp { .. }) => {}
            RunEvent::Replica(_) => {
                self.replica_warnings.inc();
            }
            _ => {}
        }
    }

    fn status(&self, status: &Status) {
        let raise = |counter: &Counter, to: u64| {
            counter.inc_by(to.saturating_sub(counter.get()));
        };
        raise(&self.records, status.records_of_run);
        raise(&self.skipped, status.skipped_of_run);
        raise(&self.late, status.late_of_run);
        self.watermark.set(status.watermark.unwrap_or(0) as f64 / 1e3);
        raise(&self.input_bytes, status.input_bytes_of_run);
        self.input_size_bytes.set(status.total_bytes.unwrap_or(0));
        let lag_bytes = status.total_bytes.map(|total| total.saturating_sub(status.input_bytes));
        self.input_lag_bytes.set(status.lag_bytes.or(lag_bytes).unwrap_or(0));
        self.keys.set(status.keys);
        self.state_bytes.set(status.memory_bytes);
        self.changed_bytes.set(status.changed_bytes);
    }
}
