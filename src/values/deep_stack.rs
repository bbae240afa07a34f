//! A stack that is large enough for expressions.

use std::io;
use std::thread::{self, Builder};

/// The size of a stack that is large enough to evaluate any expression of a job file, also in a build without
/// optimization.
pub const DEEP_STACK_BYTES: usize = 16 << 20;

/// Does `work`, which evaluates expressions, in a thread that can. Fails if the thread cannot be started.
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = Builder::new().stack_size(DEEP_STACK_BYTES).spawn_scoped(scope, work)?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}
