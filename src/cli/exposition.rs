//! Metrics as text: in OpenMetrics, in the older format of Prometheus, and in a file for its node exporter.

use std::path::Path;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{Atomic, Gauge};
use prometheus_client::registry::{Metric, Registry};

use crate::cli::error::CliError;
use crate::cli::replace_file::replace_file;

pub(super) type Number = Gauge<u64, AtomicU64>;
pub(super) type Seconds = Gauge<f64, AtomicU64>;

/// A gauge that is absent until it has a value.
#[derive(Debug, Clone)]
pub(super) struct Known<N>(Family<[(&'static str, &'static str); 0], Gauge<N, AtomicU64>>);

impl<N> Default for Known<N>
where
    Gauge<N, AtomicU64>: Default,
{
    fn default() -> Known<N> {
        Known(Family::default())
    }
}

impl<N> Known<N>
where
    Gauge<N, AtomicU64>: Default + Clone + Metric,
    AtomicU64: Atomic<N>,
{
    /// Sets the gauge, or makes it absent.
    pub(super) fn set(&self, value: Option<N>) {
        match value {
            Some(value) => drop(self.0.get_or_create(&[]).set(value)),
            None => drop(self.0.remove(&[])),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry, name: &str, help: &str)
    where
        N: std::fmt::Debug + Send + Sync + 'static,
    {
        registry.register(name, help, self.0.clone());
    }
}

/// Returns the metrics in the text format of OpenMetrics 1.0.
pub(super) fn open_metrics(registry: &Registry) -> String {
    let mut text = String::new();
    encode(&mut text, registry).expect("writing to a string succeeds");
    text
}

/// Returns the metrics in the text format of Prometheus, version 0.0.4.
///
/// There, the metadata of a counter has the name of its samples, with `_total`; information is a gauge; and there are
/// no units.
pub(super) fn prometheus_text(registry: &Registry) -> String {
    let mut text = String::new();
    let mut help = "";
    for line in open_metrics(registry).lines() {
        if let Some(line) = line.strip_prefix("# HELP ") {
            help = line;
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                kind => ("", kind),
            };
            let meaning = help.strip_prefix(name).unwrap_or_default();
            text += &format!("# HELP {name}{suffix}{meaning}\n# TYPE {name}{suffix} {kind}\n");
        } else if !line.starts_with('#') {
            text += line;
            text.push('\n');
        }
    }
    text
}

/// Writes the metrics to a file that the textfile collector of the node exporter reads. It never sees a part of it.
pub(super) fn write_file(registry: &Registry, path: &Path) -> Result<(), CliError> {
    replace_file(path, prometheus_text(registry).as_bytes())
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;

    #[test]
    fn both_formats_have_the_same_samples() {
        let mut registry = Registry::with_prefix("ckpt");
        let (counter, known, unknown) = (Counter::<u64>::default(), Known::<u64>::default(), Known::<f64>::default());
        counter.inc_by(3);
        known.set(Some(4));
        unknown.set(Some(1.5));
        unknown.set(None);
        registry.register("build", "The version", Info::new([("version", "1")]));
        registry.register_with_unit("input", "All input", Unit::Bytes, counter);
        known.register(&mut registry, "known", "A number");
        unknown.register(&mut registry, "unknown", "No number");
        assert_eq!(
            open_metrics(&registry),
            "# HELP ckpt_build The version.\n# TYPE ckpt_build info\nckpt_build_info{version=\"1\"} 1\n\
             # HELP ckpt_input_bytes All input.\n# TYPE ckpt_input_bytes counter\n# UNIT ckpt_input_bytes bytes\n\
             ckpt_input_bytes_total 3\n\
             # HELP ckpt_known A number.\n# TYPE ckpt_known gauge\nckpt_known{} 4\n# EOF\n"
        );
        assert_eq!(
            prometheus_text(&registry),
            "# HELP ckpt_build_info The version.\n# TYPE ckpt_build_info gauge\nckpt_build_info{version=\"1\"} 1\n\
             # HELP ckpt_input_bytes_total All input.\n# TYPE ckpt_input_bytes_total counter\n\
             ckpt_input_bytes_total 3\n\
             # HELP ckpt_known A number.\n# TYPE ckpt_known gauge\nckpt_known{} 4\n"
        );
    }
}
