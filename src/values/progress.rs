//! How long-running work reports its progress, without knowing who listens.

/// Receives progress, from several threads.
pub trait Progress: Sync {
    /// The work has `total` units, which are bytes unless the operation says otherwise.
    fn start(&self, total: u64) {
        let _ = total;
    }

    /// Another `units` are done.
    fn advance(&self, units: u64) {
        let _ = units;
    }
}

/// Ignores all progress.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
