//! What is known of one replica while it is verified.

use std::collections::HashSet;

use crate::format::layout::{self, ObjectName};
use crate::format::manifest::Parent;
use crate::ops::finding::{FindingCode, Findings};
use crate::ops::verify::needs::Needs;
use crate::ops::verify::options::Options;
use crate::ops::verify::places::Place;
use crate::ops::verify::report::Report;
use crate::ops::verify::roots::check_roots;
use crate::store::records::history::Departures;
use crate::store::{Replica, RootRead, Store, StoreError};
use crate::values::error_chain::in_one_line;
use crate::values::id::Sequence;
use crate::values::parallel;

/// What is known of one replica while it is verified.
pub(super) struct ReplicaCheck {
    pub(super) replica: Replica,
    /// The store reduced to this replica.
    pub(super) store: Store,
    /// Whether it has the checkpoint that is verified; always if all are.
    pub(super) exists: bool,
    /// Every number that had a directory at first, verified or not.
    pub(super) all: Vec<Sequence>,
    /// Every number that has a directory now.
    pub(super) now: Vec<Sequence>,
    pub(super) only: Option<Sequence>,
    /// What was deliberately removed from it.
    pub(super) departures: Departures,
    pub(super) roots: Vec<RootRead>,
    /// Checkpoints whose parent was not found.
    pub(super) gaps: Vec<(Sequence, Parent)>,
    pub(super) needs: Needs,
    pub(super) findings: Findings,
    pub(super) read_bytes: u64,
    pub(super) unread: u64,
    pub(super) intact: Vec<ObjectName>,
    pub(super) left: Vec<ObjectName>,
    /// If rows are verified, the objects whose bytes were all read and are right.
    pub(super) proven: HashSet<ObjectName>,
}

impl ReplicaCheck {
    /// Reads everything but the objects.
    pub(super) fn begin(
        place: Place,
        options: &Options<'_>,
        departures: Departures,
    ) -> Result<ReplicaCheck, StoreError> {
        let Place { replica, store, store_file } = place;
        let mut findings = Findings::default();
        let all = replica.sequences()?;
        let sequences = match options.only {
            Some(sequence) => all.iter().copied().filter(|&found| found == sequence).collect(),
            None => all.clone(),
        };
        if let Some(error) = store_file {
            let code = match *error {
                StoreError::NoStore { .. } => FindingCode::StoreFileMissing,
                _ => FindingCode::StoreFileDamaged,
            };
            let found = if code == FindingCode::StoreFileMissing { "nothing".to_owned() } else { in_one_line(&*error) };
            findings.add(code, layout::STORE_FILE, format!("store {}", store.file.store), found, []);
        }
        let roots = parallel::map_on(store.readers(), &sequences, |&sequence| replica.read_root(&store.file, sequence));
        let gaps = check_roots(&store, &sequences, &roots, &mut findings);
        let needs = Needs::read(&store, &roots, options.depth, &mut findings);
        Ok(ReplicaCheck {
            exists: options.only.is_none() || !sequences.is_empty(),
            replica,
            store,
            now: all.clone(),
            all,
            gaps,
            only: options.only,
            departures,
            roots,
            needs,
            findings,
            read_bytes: 0,
            unread: 0,
            intact: Vec::new(),
            left: Vec::new(),
            proven: HashSet::new(),
        })
    }

    pub(super) fn finish(self) -> Report {
        let refused = self.findings.refused().cloned();
        let mut findings = self.findings.finish();
        for finding in &mut findings {
            finding.lost = self.needs.objects.lost(finding);
        }
        Report {
            place: self.replica.place(),
            checkpoints: self.roots.iter().map(|root| root.sequence).collect(),
            objects: self.needs.objects.uses.len() as u64,
            read_bytes: self.read_bytes,
            unread: self.unread,
            intact: self.intact,
            left: self.left,
            uncompared: self.needs.uncompared,
            refused,
            findings,
        }
    }
}
