//! The metrics of a run, for Prometheus.
//!
//! Names follow its conventions: base units, the unit in the name, `_total` for counters.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::topic_metrics::TopicMetrics;
use crate::cli::error::CliError;
use crate::cli::exposition::{self, Known, Number};
use crate::format::manifest::{Manifest, Trigger};
use crate::runner::observer::{Observer, RunEvent, Status};
use crate::runner::wall_clock::WallClock;
use crate::store::StoreNote;
use crate::values::lock::lock;

/// How often the file is written.
const FILE_EVERY: Duration = Duration::from_secs(15);

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
    clock: WallClock,
    records: Counter,
    skipped: Counter,
    late: Counter,
    watermark: Known<f64>,
    input_bytes: Counter,
    input_size_bytes: Known<u64>,
    input_lag_bytes: Known<u64>,
    keys: Number,
    state_bytes: Number,
    changed_bytes: Number,
    checkpoints: Family<Attempt, Counter>,
    phases: Family<Phase, Histogram, fn() -> Histogram>,
    written_bytes: Counter,
    last_sequence: Known<u64>,
    last_created: Known<f64>,
    last_success: Known<f64>,
    last_bytes: Known<u64>,
    published_files: Counter,
    published_rows: Counter,
    failures_in_a_row: Number,
    replica_warnings: Counter,
    replicas_behind: Number,
    behind: Mutex<BTreeSet<String>>,
    end: Known<f64>,
    exit_code: Known<u64>,
    topic: TopicMetrics,
}

/// The buckets for the phases of a checkpoint: 10 µs to 5 min.
fn phase_histogram() -> Histogram {
    Histogram::new(exponential_buckets(1e-5, 4.0, 13))
}

impl Metrics {
    /// Makes the metrics of `job`, whose name is a label of each. Prometheus has a label `job` of its own.
    pub(super) fn new(job: &str, clock: WallClock) -> Metrics {
        let labels = std::iter::once(("job_name".into(), job.to_owned().into()));
        let mut registry = Registry::with_prefix_and_labels("ckpt", labels);
        let mut metrics = Metrics {
            registry: Registry::default(),
            clock,
            records: Counter::default(),
            skipped: Counter::default(),
            late: Counter::default(),
            watermark: Known::default(),
            input_bytes: Counter::default(),
            input_size_bytes: Known::default(),
            input_lag_bytes: Known::default(),
            keys: Number::default(),
            state_bytes: Number::default(),
            changed_bytes: Number::default(),
            checkpoints: Family::default(),
            phases: Family::new_with_constructor(phase_histogram),
            written_bytes: Counter::default(),
            last_sequence: Known::default(),
            last_created: Known::default(),
            last_success: Known::default(),
            last_bytes: Known::default(),
            published_files: Counter::default(),
            published_rows: Counter::default(),
            failures_in_a_row: Number::default(),
            replica_warnings: Counter::default(),
            replicas_behind: Number::default(),
            behind: Mutex::default(),
            end: Known::default(),
            exit_code: Known::default(),
            topic: TopicMetrics::default(),
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
        let help = "The time before which no more records are expected";
        m.watermark.register(&mut registry, "watermark_timestamp_seconds", help);
        registry.register("records_skipped", "Bad records skipped by this run", m.skipped.clone());
        let mut bytes = |name: &str, help: &str, metric: &Counter| {
            registry.register_with_unit(name, help, Unit::Bytes, metric.clone());
        };
        bytes("input", "Input applied by this run, after decompression", &m.input_bytes);
        bytes("checkpoint_written", "New objects in the checkpoints of this run", &m.written_bytes);
        let mut gauge = |name: &str, help: &str, metric: &Number| registry.register(name, help, metric.clone());
        gauge("state_keys", "Keys in the state", &m.keys);
        gauge("state_memory_bytes", "Memory used by the state, without text and sketches", &m.state_bytes);
        gauge("state_changed_bytes", "State that changed since the last cut", &m.changed_bytes);
        gauge("replicas_behind", "Replicas that do not have the latest checkpoint", &m.replicas_behind);
        let mut known = |name: &str, help: &str, metric: &Known<u64>| metric.register(&mut registry, name, help);
        known("input_size_bytes", "The size of all input", &m.input_size_bytes);
        known("input_lag_bytes", "Available input that is not applied yet", &m.input_lag_bytes);
        known("last_checkpoint_sequence", "The number of the latest checkpoint", &m.last_sequence);
        known("last_checkpoint_bytes", "The size of the latest checkpoint of this run", &m.last_bytes);
        known("run_exit_code", "The exit code of the run, once it has ended", &m.exit_code);
        let mut time = |name: &str, help: &str, metric: &Known<f64>| metric.register(&mut registry, name, help);
        let help = "The time of the cut of the latest checkpoint; its age is time() minus this";
        time("last_checkpoint_timestamp_seconds", help, &m.last_created);
        let help = "When an attempt at a checkpoint last succeeded, even if it found nothing new";
        time("last_success_timestamp_seconds", help, &m.last_success);
        time("run_end_timestamp_seconds", "When the run ended", &m.end);
        let help = "Failed attempts at a checkpoint since the last successful one";
        registry.register("checkpoint_failures_in_a_row", help, m.failures_in_a_row.clone());
        registry.register("checkpoints", "Attempts at a checkpoint in this run", m.checkpoints.clone());
        let help = "The duration of the phases of committed checkpoints";
        registry.register_with_unit("checkpoint_phase", help, Unit::Seconds, m.phases.clone());
        registry.register("published_files", "Output files put in place by this run", m.published_files.clone());
        registry.register("published_rows", "Rows in the published files", m.published_rows.clone());
        registry.register("replica_warnings", "Warnings about replicas in this run", m.replica_warnings.clone());
        metrics.topic.register(&mut registry);
        metrics.registry = registry;
        metrics
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Notes that the run has ended.
    pub(super) fn ended(&self, exit_code: u8) {
        self.end.set(Some(seconds(self.clock.now())));
        self.exit_code.set(Some(u64::from(exit_code)));
    }

    fn latest(&self, sequence: u64, created: Timestamp) {
        self.last_sequence.set(Some(sequence));
        self.last_created.set(Some(seconds(created)));
    }

    fn succeeded(&self) {
        self.failures_in_a_row.set(0);
        self.last_success.set(Some(seconds(self.clock.now())));
    }

    fn replica(&self, note: &StoreNote) {
        let mut behind = lock(&self.behind);
        match note {
            StoreNote::CaughtUp { place, .. } => drop(behind.remove(place)),
            StoreNote::Lost { place, .. } | StoreNote::NotRead { place, .. } => drop(behind.insert(place.clone())),
            _ => {}
        }
        self.replicas_behind.set(behind.len() as u64);
        if !matches!(note, StoreNote::CaughtUp { .. } | StoreNote::Waits { .. }) {
            self.replica_warnings.inc();
        }
    }

    fn committed(&self, manifest: &Manifest, total_micros: u64) {
        self.latest(manifest.sequence.0, manifest.created);
        self.last_bytes.set(Some(manifest.totals.bytes));
        self.succeeded();
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
        self.topic.event(event);
        match event {
            RunEvent::Resumed { sequence, created, .. } => {
                self.latest(sequence.0, *created);
                self.last_success.set(Some(seconds(*created)));
            }
            RunEvent::CheckpointElided { cause } => {
                self.succeeded();
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
            RunEvent::Replica(note) => self.replica(note),
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
        self.watermark.set(status.watermark.map(|millis| millis as f64 / 1e3));
        raise(&self.input_bytes, status.input_bytes_of_run);
        self.input_size_bytes.set(status.total_bytes);
        let lag_bytes = status.total_bytes.map(|total| total.saturating_sub(status.input_bytes));
        self.input_lag_bytes.set(status.lag_bytes.or(lag_bytes));
        self.topic.status(&status.partition_lags);
        self.keys.set(status.keys);
        self.state_bytes.set(status.memory_bytes);
        self.changed_bytes.set(status.changed_bytes);
    }
}

fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1e3
}

/// Keeps the metrics of a run in a file.
pub(super) struct MetricsFile {
    metrics: Arc<Metrics>,
    path: PathBuf,
    written: Mutex<Instant>,
}

impl MetricsFile {
    /// Writes the file for the first time.
    pub(super) fn start(metrics: &Arc<Metrics>, path: &Path) -> Result<MetricsFile, CliError> {
        exposition::write_file(metrics.registry(), path)?;
        let metrics = Arc::clone(metrics);
        Ok(MetricsFile { metrics, path: path.to_owned(), written: Mutex::new(Instant::now()) })
    }

    /// Writes the file.
    pub(super) fn write(&self) -> Result<(), CliError> {
        exposition::write_file(self.metrics.registry(), &self.path)
    }
}

impl Observer for MetricsFile {
    fn event(&self, _: &RunEvent) {}

    fn status(&self, _: &Status) {
        let mut written = lock(&self.written);
        if written.elapsed() >= FILE_EVERY {
            // The last try is the one that reports an error.
            let _ = self.write();
            *written = Instant::now();
        }
    }
}
