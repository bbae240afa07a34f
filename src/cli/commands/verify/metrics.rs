//! The metrics of a verification.

use std::path::Path;

use jiff::Timestamp;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::exposition::{self, Number, Seconds};
use crate::ops::finding::Severity;
use crate::ops::verify::Report;

/// How bad the findings in a replica are.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Found {
    store: String,
    severity: &'static str,
}

/// What a verification found.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    findings: Family<Found, Number>,
}

impl Metrics {
    /// Adds the report on a replica.
    pub(super) fn add(&self, report: &Report) {
        for (severity, name) in [(Severity::Damage, "damage"), (Severity::Note, "note")] {
            let count = report.findings.iter().filter(|finding| finding.severity() == severity).count();
            let found = Found { store: report.place.clone(), severity: name };
            self.findings.get_or_create(&found).inc_by(count as u64);
        }
    }

    /// Writes the file.
    pub(super) fn write(&self, exit: Exit, now: Timestamp, path: &Path) -> Result<(), CliError> {
        let mut registry = Registry::with_prefix("ckpt_verify");
        registry.register("findings", "Findings of the last verification", self.findings.clone());
        let (code, time) = (Number::default(), Seconds::default());
        code.set(u64::from(exit.code()));
        time.set(now.as_millisecond() as f64 / 1e3);
        registry.register("exit_code", "The exit code of the last verification", code);
        registry.register("timestamp_seconds", "When the last verification ended", time);
        exposition::write_file(&registry, path)
    }
}
