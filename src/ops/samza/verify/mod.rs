//! Checks that what Samza wrote is whole.

use super::blobs::Blobs;
use super::found::Found;
use crate::values::progress::Progress;

mod report;
mod snapshots;
mod stores;
mod tasks;

pub use report::{Options, Report};

/// Verifies everything that was found.
pub fn verify(found: &Found, options: Options<'_>, progress: &dyn Progress) -> Report {
    let mut report = Report {
        findings: found.findings.clone(),
        refused: found.refused.clone(),
        checkpoints: found.tasks.iter().flat_map(|task| task.checkpoints()).count() as u64,
        stores: found.stores.len() as u64,
        snapshots: found.snapshots.len() as u64,
        blobs: 0,
        unchecked_markers: 0,
        read_bytes: found.read_bytes,
    };
    tasks::check(found, &mut report.findings);
    stores::check(&found.stores, &mut report.findings);
    let blobs = Blobs::new(&found.listing, options.blobs);
    snapshots::check(found, &blobs, options.quick, &mut report, progress);
    report.findings.sort_by_cached_key(|finding| {
        (std::cmp::Reverse(finding.code.severity()), finding.path.clone(), finding.code, finding.found.clone())
    });
    report.findings.dedup();
    report
}
