//! Staged files that have to be removed once they cannot be published anymore.

use std::sync::Mutex;

use crate::runner::output::place::error::PlaceError;
use crate::values::id::Sequence;
use crate::values::lock::lock;

/// The names of such files, with their numbers.
#[derive(Debug, Default)]
pub(super) struct Strays(Mutex<Vec<(String, Sequence)>>);

impl Strays {
    pub(super) fn add(&self, name: &str, sequence: Sequence) {
        let name = (name.to_owned(), sequence);
        let mut known = lock(&self.0);
        if !known.contains(&name) {
            known.push(name);
        }
    }

    /// Forgets a file that is staged no longer.
    pub(super) fn forget(&self, name: &str) {
        lock(&self.0).retain(|(known, _)| known != name);
    }

    /// Removes those with numbers up to `sequence`.
    pub(super) fn remove_up_to(
        &self,
        sequence: Sequence,
        remove: impl Fn(&str) -> Result<(), PlaceError>,
    ) -> Result<(), PlaceError> {
        let mut known = lock(&self.0);
        while let Some(stray) = known.iter().position(|(_, number)| *number <= sequence) {
            remove(&known[stray].0)?;
            known.swap_remove(stray);
        }
        Ok(())
    }
}
