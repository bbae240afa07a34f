//! Output files of several workers, which share a directory or a prefix of a bucket.
//!
//! A worker commits on top of a checkpoint only once the files of that one are in place, also those of another worker. The manifest says
//! under which name each file was staged, and no two files are staged under one name. So the first one that tries publishes it, and it
//! is published once: after that, there is nothing left under that name, also for a worker that wakes up late.

use std::time::{Duration, Instant};

use crate::format::manifest::Output;
use crate::runner::output::error::OutputError;
use crate::runner::output::place::Found;
use crate::runner::output::plan::{OutputPlan, StagedName, staging_name};
use crate::values::digest::Digest;
use crate::values::id::{Sequence, StoreId};

/// How long the worker that has made a checkpoint is waited for where publishing takes more than one step.
const COURTESY: Duration = Duration::from_secs(3);

/// The time between two looks at what it has done.
const LOOK: Duration = Duration::from_millis(100);

impl OutputPlan {
    /// Makes sure that the file `output` of checkpoint `sequence`, which is committed, is published and that nobody can publish
    /// it again. The worker that has made the checkpoint is given time for that, counted from `begun`, where it takes more than
    /// one step. Returns whether the file had to be published.
    pub fn follow(&self, output: &Output, sequence: Sequence, begun: Instant) -> Result<bool, OutputError> {
        if output.path != self.name(sequence) {
            return Ok(false);
        }
        let Some(id) = output.staged else {
            // A run alone has made it.
            return self.recover(output, sequence, &mut self.staged_names()?);
        };
        let (error, file_name) = (self.at(sequence), self.file_name(sequence));
        let name = staging_name(&file_name, sequence, Some(id));
        let is_staged = || Ok::<_, OutputError>(self.place.look(&name).map_err(&error)? != Found::Nothing);
        while is_staged()? {
            // A file is renamed in one step, and a second worker that tries finds that it is gone.
            if self.place.directory().is_none() && begun.elapsed() < COURTESY {
                std::thread::sleep(LOOK);
                continue;
            }
            let staged = StagedName { name: name.clone(), file_name, sequence, id: Some(id) };
            let is_published = self.recover(output, sequence, &mut vec![staged])?;
            self.place.remove_strays(&[(name.clone(), sequence)], Some(sequence)).map_err(&error)?;
            return Ok(is_published);
        }
        // The worker that has published it may have died before that was durable.
        self.place.remove_strays(&[], None).map_err(&error)?;
        Ok(false)
    }

    /// Gives workers that have committed what they have staged for checkpoints that `are_meant` the time to publish it, where that
    /// takes more than one step. Returns what is staged then.
    pub fn wait_for_authors(&self, are_meant: &dyn Fn(&Sequence) -> bool) -> Result<Vec<StagedName>, OutputError> {
        let begun = Instant::now();
        loop {
            let staged = self.staged_names()?;
            let waits = self.place.directory().is_none() && staged.iter().any(|staged| are_meant(&staged.sequence));
            if !waits || begun.elapsed() >= COURTESY {
                return Ok(staged);
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Leaves a sign that `worker` of the job with this store writes here.
    pub fn sign(&self, store: &StoreId, worker: &str) -> Result<(), OutputError> {
        self.place.mark(&self.sign_of(store, worker)).map_err(self.at(Sequence::FIRST))
    }

    /// Fails unless `worker`, which has made checkpoint `sequence`, writes here too.
    pub fn check_sign(&self, store: &StoreId, worker: &str, sequence: Sequence) -> Result<(), OutputError> {
        let sign = self.sign_of(store, worker);
        match self.place.look(&sign).map_err(self.at(sequence))? {
            Found::Nothing => {
                let (worker, sign) = (worker.to_owned(), self.place.shown(&sign));
                Err(OutputError::NotShared { worker, sequence, sign })
            }
            _ => Ok(()),
        }
    }

    /// Returns the name of the empty file that shows that a worker writes here.
    fn sign_of(&self, store: &StoreId, worker: &str) -> String {
        let digest = Digest::of(format!("{store} {worker}").as_bytes()).to_string();
        format!(".{}.ckpt-worker-{}", self.stem, &digest[..16])
    }
}
