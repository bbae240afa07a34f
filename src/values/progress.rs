//! How long work tells how far it is, without knowing who listens.

/// Is told of progress; shared between threads.
pub trait Progress: Sync {
    /// The work has `total` units in all, bytes unless the operation says otherwise.
    fn start(&self, total: u64) {
        let _ = total;
    }

    /// `units` more are done.
    fn advance(&self, units: u64) {
        let _ = units;
    }
}

/// Nobody listens.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
