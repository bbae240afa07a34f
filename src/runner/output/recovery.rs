//! Publication of what a run that was killed, or another worker, has staged for a committed checkpoint.

use crate::format::manifest::Output;
use crate::runner::output::error::OutputError;
use crate::runner::output::place::{Found, PlaceError};
use crate::runner::output::plan::{OutputPlan, StagedName};
use crate::values::id::Sequence;

/// What has the name of a published file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InPlace {
    Nothing,
    /// What its checkpoint says.
    Output,
    Other,
}

impl OutputPlan {
    /// Publishes the staged file of checkpoint `sequence`, which is committed, if a crash has prevented that and the
    /// file is `output`. Takes its name out of `staged`.
    ///
    /// Returns whether it did. Fails with [`OutputError::Altered`], and keeps the staged file, if that has other bytes now.
    pub fn recover(
        &self,
        output: &Output,
        sequence: Sequence,
        staged: &mut Vec<StagedName>,
    ) -> Result<bool, OutputError> {
        let error = self.at(sequence);
        let name = self.file_name(sequence);
        if output.path != self.name(sequence) {
            return Ok(false);
        }
        let mut altered = None;
        for place in 0..staged.len() {
            let StagedName { name: staged_name, file_name, sequence: number, id } = &staged[place];
            // A manifest of several workers says which it is. Another worker may have staged the same bytes.
            let is_for_it =
                *file_name == name && *number == sequence && (output.staged.is_none() || output.staged == *id);
            if !is_for_it {
                continue;
            }
            if !self.place.holds(staged_name, output).map_err(&error)? {
                // In a bucket, a run alone may have staged it in an attempt whose checkpoint was not committed.
                if output.staged == *id {
                    altered = Some(staged_name.clone());
                }
                continue;
            }
            if self.place.is_shared() {
                match self.in_place(&name, output).map_err(&error)? {
                    // Only the staged file was not removed.
                    InPlace::Output => return Ok(false),
                    InPlace::Other if self.emit.is_by_checkpoint() => {
                        return Err(OutputError::Taken { path: self.shown(sequence) });
                    }
                    InPlace::Other | InPlace::Nothing => {}
                }
            }
            let StagedName { name, .. } = staged.swap_remove(place);
            self.staged(sequence, name, output.clone()).publish()?;
            return Ok(true);
        }
        match altered {
            // Another worker may have published it between the two looks.
            Some(staged)
                if self.in_place(&name, output).map_err(&error)? != InPlace::Output
                    && self.place.look(&staged).map_err(&error)? != Found::Nothing =>
            {
                Err(OutputError::Altered { path: self.shown(sequence), staged: self.place.shown(&staged) })
            }
            _ => Ok(false),
        }
    }

    /// Returns what has the name of a published file, which should be `output`.
    fn in_place(&self, name: &str, output: &Output) -> Result<InPlace, PlaceError> {
        if self.place.look(name)? == Found::Nothing {
            return Ok(InPlace::Nothing);
        }
        if self.place.holds(name, output)? {
            return Ok(InPlace::Output);
        }
        // A reader may have taken it away between the two looks.
        Ok(if self.place.look(name)? == Found::Nothing { InPlace::Nothing } else { InPlace::Other })
    }
}
