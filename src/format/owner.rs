//! Whom a table belongs to.

use crate::values::id::Sequence;

/// What makes the bytes of a table different from those of all others with the same rows. By default nothing does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owner {
    /// The only checkpoint that the table belongs to.
    pub checkpoint: Option<Sequence>,
    /// The attempt that wrote the table, in a store without locks. An attempt that finds an object there cannot keep
    /// others from deleting it, so no attempt ever uses the object of another.
    pub attempt: Option<String>,
}

impl Owner {
    /// Returns the key-value pairs of the table's metadata.
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let checkpoint = self.checkpoint.map(|checkpoint| (CHECKPOINT_KEY, checkpoint.0.to_string()));
        let attempt = self.attempt.clone().map(|attempt| (ATTEMPT_KEY, attempt));
        checkpoint.into_iter().chain(attempt).collect()
    }

    /// Returns the lines that say the same at the end of a YAML file.
    pub fn comment(&self) -> String {
        let checkpoint = self.checkpoint.map(|checkpoint| format!("# of checkpoint {}\n", checkpoint.0));
        let attempt = self.attempt.as_ref().map(|attempt| format!("# of attempt {attempt}\n"));
        checkpoint.into_iter().chain(attempt).collect()
    }
}

/// The key of the number of the only checkpoint that a table belongs to.
pub(crate) const CHECKPOINT_KEY: &str = "ckpt.checkpoint";

/// The key of the attempt that wrote a table.
const ATTEMPT_KEY: &str = "ckpt.attempt";
