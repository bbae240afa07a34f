//! What was verified, and how.

use crate::ops::finding::Severity;
use crate::ops::samza::blobs::BlobMap;
use crate::ops::samza::finding::{SamzaCode, SamzaFinding};

/// How to verify.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options<'a> {
    /// Whether only the sizes of blobs are checked.
    pub quick: bool,
    /// The files of blobs, if ids are not paths.
    pub blobs: Option<&'a BlobMap>,
}

/// What was checked, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Damage first, then by path.
    pub findings: Vec<SamzaFinding>,
    /// Files that the system refused to read, with its reasons.
    pub refused: Vec<(String, String)>,
    pub checkpoints: u64,
    pub stores: u64,
    pub snapshots: u64,
    pub blobs: u64,
    /// State markers that name a blob of a blob store that was not given.
    pub unchecked_markers: u64,
    pub read_bytes: u64,
}

impl Report {
    /// Tells whether something is damaged.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.code.severity() == Severity::Damage)
    }

    /// Tells whether everything was read and nothing is damaged.
    pub fn is_intact(&self) -> bool {
        !self.is_damaged() && self.refused.is_empty()
    }
}

/// Adds a finding.
pub(super) fn add(
    findings: &mut Vec<SamzaFinding>,
    code: SamzaCode,
    (path, task): (&str, &str),
    expected: impl Into<String>,
    found: impl Into<String>,
) {
    findings.push(SamzaFinding::new(code, path, expected, found).of(task));
}
