//! The bound on the number of blocks in memory.

use crossbeam_channel::Sender;

/// The permission to hold one block in memory. It is returned when the last worker has applied its part of the block.
#[derive(Debug)]
pub struct Ticket(Sender<()>);

impl Ticket {
    /// Makes a ticket that sends its permission back to `permits` when it is dropped.
    pub fn new(permits: Sender<()>) -> Ticket {
        Ticket(permits)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // The reader may be gone already; then the permission is not needed anymore.
        let _ = self.0.send(());
    }
}
