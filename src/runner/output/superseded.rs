//! Output files of abandoned history: moved out of the way, and back.

use std::collections::HashSet;

use crate::format::manifest::Output;
use crate::runner::output::error::OutputError;
use crate::runner::output::place::Found;
use crate::runner::output::plan::{OutputPlan, StagedName};
use crate::values::id::Sequence;

impl OutputPlan {
    /// Returns whether a file has the name of that of checkpoint `sequence`.
    pub fn is_in_place(&self, sequence: Sequence) -> Result<bool, OutputError> {
        let found = self.place.look(&self.file_name(sequence)).map_err(self.at(sequence))?;
        Ok(found != Found::Nothing)
    }

    /// Moves the file of checkpoint `sequence` out of the way, to `NAME.withdrawn-NUMBER` beside it. Returns its new
    /// path, or `None` if there is no file or it is not `output`.
    pub fn supersede(&self, output: Option<&Output>, sequence: Sequence) -> Result<Option<String>, OutputError> {
        let name = &self.file_name(sequence);
        let error = self.at(sequence);
        let is_regular = self.place.look(name).map_err(&error)? == Found::File;
        if !is_regular || !output.map_or(Ok(true), |output| self.place.holds(name, output)).map_err(&error)? {
            return Ok(None);
        }
        for moved_to in self.superseded_names(sequence) {
            if self.place.look(&moved_to).map_err(&error)? == Found::Nothing
                || self.place.is_copy(name, &moved_to).map_err(&error)?
            {
                // Another worker may have been faster.
                let is_moved = self.place.rename(name, &moved_to).map_err(&error)?;
                return Ok(is_moved.then(|| self.place.shown(&moved_to)));
            }
        }
        unreachable!("there are more names than files")
    }

    /// Does the same with the file that is staged for checkpoint `sequence` and is `output`, if there is no other copy of
    /// it. Takes its name out of `staged`.
    pub fn supersede_staged(
        &self,
        output: &Output,
        sequence: Sequence,
        staged: &mut Vec<StagedName>,
    ) -> Result<Option<String>, OutputError> {
        let error = self.at(sequence);
        if !self.emit.is_by_checkpoint() || output.path != self.name(sequence) {
            return Ok(None);
        }
        let mut free = None;
        for name in self.superseded_names(sequence) {
            if self.place.look(&name).map_err(&error)? == Found::Nothing {
                free = Some(name);
                break;
            }
            if self.place.holds(&name, output).map_err(&error)? {
                return Ok(None);
            }
        }
        let moved_to = free.expect("there are more names than files");
        for at in 0..staged.len() {
            let is_named = output.staged.is_none() || output.staged == staged[at].id;
            if is_named
                && staged[at].sequence == sequence
                && self.place.holds(&staged[at].name, output).map_err(&error)?
            {
                let is_moved = self.place.rename(&staged.swap_remove(at).name, &moved_to).map_err(&error)?;
                return Ok(is_moved.then(|| self.place.shown(&moved_to)));
            }
        }
        Ok(None)
    }

    /// Moves the superseded file of checkpoint `sequence` back into place if it is `output`. `existing` are the names
    /// in the place. Returns whether it did.
    pub fn reinstate(
        &self,
        output: &Output,
        sequence: Sequence,
        existing: &HashSet<String>,
    ) -> Result<bool, OutputError> {
        let name = &self.file_name(sequence);
        let error = self.at(sequence);
        if existing.contains(name) {
            return Ok(false);
        }
        for superseded in self.superseded_names(sequence).take_while(|name| existing.contains(name)) {
            if self.place.holds(&superseded, output).map_err(&error)? {
                return self.place.rename(&superseded, name).map_err(&error);
            }
        }
        Ok(false)
    }

    /// Returns the names that a superseded file may have.
    fn superseded_names(&self, sequence: Sequence) -> impl Iterator<Item = String> + use<> {
        let name = self.file_name(sequence);
        std::iter::once(format!("{name}.withdrawn-{sequence}"))
            .chain((2..).map(move |number: u32| format!("{name}.withdrawn-{sequence}.{number}")))
    }
}
