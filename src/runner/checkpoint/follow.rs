//! What one of several workers does before it commits on top of the checkpoint of another one.

use crossbeam_channel::Sender;

use crate::format::manifest::Manifest;
use crate::runner::checkpoint::checkpointer::Checkpointer;
use crate::runner::error::RunError;
use crate::runner::messages::ThreadEvent;

impl Checkpointer {
    /// Makes sure that the topic of the output, if there is one, has the messages of the latest checkpoint. Returns false if
    /// another worker has committed one since.
    pub(super) fn follows_messages(&mut self, events: &Sender<ThreadEvent>) -> Result<bool, RunError> {
        let Some((outlet, _)) = &mut self.publisher.topic else { return Ok(true) };
        let note = &mut |note| drop(events.send(ThreadEvent::InputNote(note)));
        Ok(outlet.follow(&self.store, self.lineage.last.as_ref(), note)?)
    }

    /// Makes sure that the files of the latest checkpoint are in place.
    pub(super) fn follow_files(&mut self, events: &Sender<ThreadEvent>) -> Result<(), RunError> {
        let Some(last) = self.lineage.last.as_ref().filter(|last| self.published != Some(last.sha256)) else {
            return Ok(());
        };
        for (path, output) in self.publisher.follow(&self.store.file.store, &last.manifest)? {
            let _ = events.send(ThreadEvent::Published { path, output });
        }
        self.published = Some(last.sha256);
        Ok(())
    }

    /// Returns whether another worker has committed on top of the latest checkpoint that this one knows.
    pub(super) fn is_overtaken(&self) -> Result<bool, RunError> {
        Ok(self.store.latest_after(self.lineage.last.as_ref())?.is_some())
    }

    /// Makes `manifest` count the lines in files of a run alone as the checkpoint before did: a worker adds none to them.
    pub(super) fn keep_lines_of_run_alone(&self, manifest: &mut Manifest) {
        if let (Some(_), Some(last)) = (&self.group, &self.lineage.last) {
            manifest.dead_letter.clone_from(&last.manifest.dead_letter);
            manifest.late_records.clone_from(&last.manifest.late_records);
        }
    }
}
