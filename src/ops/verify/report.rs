//! What `verify` learned about one replica.

use std::collections::BTreeSet;

use crate::format::layout::ObjectName;
use crate::ops::finding::{Finding, FindingCode, Findings, Severity};
use crate::storage::StorageError;
use crate::store::StoreError;
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;

/// What `verify` learned about one replica of a store.
#[derive(Debug, Clone)]
pub struct Report {
    pub place: String,
    /// The checkpoints that were verified, ascending.
    pub checkpoints: Vec<Sequence>,
    /// How many different objects they need.
    pub objects: u64,
    /// The bytes of objects that were read and hashed. If rows are read too, a shared object counts each time it was
    /// read.
    pub read_bytes: u64,
    /// How many objects were not read because of a [`Choice`](super::Choice).
    pub unread: u64,
    /// If objects take turns, those that were read and are intact.
    pub intact: Vec<ObjectName>,
    /// If objects take turns, those whose turn did not come.
    pub left: Vec<ObjectName>,
    /// The checkpoints whose `SHA256SUMS` was not compared with their objects, because the index cannot be read.
    pub uncompared: Vec<Sequence>,
    /// The first file that the system refused to read, if any. Then nothing is known about what depends on it, and the
    /// findings are only about the rest.
    pub refused: Option<StorageError>,
    /// Damage first, then by path.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Makes the report of a place that cannot be verified.
    pub(super) fn unavailable(place: String, error: &StoreError) -> Report {
        let mut findings = Findings::default();
        findings.add(FindingCode::ReplicaUnavailable, ".", "a replica", in_one_line(error), []);
        Report {
            place,
            checkpoints: Vec::new(),
            objects: 0,
            read_bytes: 0,
            unread: 0,
            intact: Vec::new(),
            left: Vec::new(),
            uncompared: Vec::new(),
            refused: None,
            findings: findings.finish(),
        }
    }

    /// Tells whether everything was read that was to be read, and nothing is damaged.
    pub fn is_intact(&self) -> bool {
        self.refused.is_none() && !self.is_damaged()
    }

    /// Tells whether something is damaged.
    pub fn is_damaged(&self) -> bool {
        !self.findings.iter().all(|finding| finding.severity() < Severity::Damage)
    }

    /// Tells whether the replica has every checkpoint that the others have.
    pub fn is_complete(&self) -> bool {
        let absent = [FindingCode::ReplicaBehind, FindingCode::ReplicaUnavailable];
        self.findings.iter().all(|finding| !absent.contains(&finding.code))
    }

    /// Returns the damaged checkpoints, ascending.
    pub fn damaged(&self) -> BTreeSet<Sequence> {
        let damage = self.findings.iter().filter(|finding| finding.severity() == Severity::Damage);
        damage.flat_map(|finding| finding.checkpoints.iter().copied()).collect()
    }

    /// Returns the newest checkpoint that is not damaged.
    pub fn newest_intact(&self) -> Option<Sequence> {
        let damaged = self.damaged();
        self.checkpoints.iter().copied().rev().find(|sequence| !damaged.contains(sequence))
    }
}
