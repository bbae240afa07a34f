//! Plans the repair of the small files beside the checkpoints, and of pruned checkpoints.

use bytes::Bytes;

use crate::format::layout;
use crate::ops::finding::FindingCode;
use crate::ops::repair::planner::Planner;
use crate::ops::repair::step::{Cure, Origin};
use crate::ops::verify::records::is_whole;
use crate::store::records::history::{self, Event};
use crate::values::id::Sequence;
use crate::values::relpath::RelPath;
use crate::values::yaml;

/// An event that a replica lacks, as another one has it.
struct GoodEvent {
    event: Event,
    from: usize,
    bytes: Bytes,
}

impl Planner<'_> {
    /// Repairs the small files that another replica has as they were written, and pruned checkpoints.
    pub(super) fn heal_records(&mut self) {
        use FindingCode::*;
        let codes = [
            ReplicasFileDamaged,
            ReplicasFileDiffers,
            PinDamaged,
            PinMissing,
            EventDamaged,
            EventMissing,
            PrunedDamaged,
        ];
        let reports = self.sources.reports;
        for (index, report) in reports.iter().enumerate() {
            let mut events = Vec::new();
            for finding in report.findings.iter().filter(|finding| codes.contains(&finding.code)) {
                if let Some(object) = finding.subject.object() {
                    self.heal_object(index, object);
                    continue;
                }
                let is_of_branch = !matches!(finding.code, ReplicasFileDamaged | ReplicasFileDiffers);
                if is_of_branch && self.sources.forks.as_ref().is_none_or(|forks| !forks.is_empty()) {
                    continue;
                }
                let Ok(path) = RelPath::new(&finding.path) else { continue };
                let Some((from, bytes)) = self.find_record(index, &path) else { continue };
                match history::whole_event(&path, &bytes) {
                    Some(event) => events.push(GoodEvent { event, from, bytes }),
                    None => {
                        let origin = Origin::Copy(self.sources.place(from));
                        self.add(index, path, origin, bytes.len() as u64, Cure::File(bytes));
                    }
                }
            }
            self.heal_events(index, events);
        }
    }

    /// Returns a small file as a replica other than `index` has it, and the index of that replica.
    fn find_record(&self, index: usize, path: &RelPath) -> Option<(usize, Bytes)> {
        self.sources.readable().find_map(|(other, source)| {
            let bytes = source.replica.get(path, yaml::MAX_BYTES as u64).ok()?;
            let is_good = other != index && !self.sources.has_finding(other, path);
            (is_good && is_whole(path, &bytes) != Some(false)).then_some((other, bytes))
        })
    }

    /// Copies events to a replica. One that says that checkpoints were brought back takes away what explains why they
    /// are missing there, so it is copied only together with them.
    fn heal_events(&mut self, index: usize, events: Vec<GoodEvent>) {
        // Without it, nobody knows which checkpoints were pruned again.
        let Some(mut history) = self.sources.own_history(index) else { return };
        history.events.extend(events.iter().map(|good| good.event.clone()));
        history.events.sort_by_key(|event| event.number);
        let departures = history.departures();
        for GoodEvent { event, from, bytes } in events {
            let back = event.brought_back().filter(|&sequence| departures.of(sequence).is_none());
            let back: Vec<Sequence> = back.collect();
            if back.iter().all(|&sequence| self.bring(index, sequence)) {
                let (path, origin) = (layout::event(event.number), Origin::Copy(self.sources.place(from)));
                let size = bytes.len() as u64;
                self.add(index, path, origin, size, Cure::Event { number: event.number, bytes, back });
            }
        }
    }
}
