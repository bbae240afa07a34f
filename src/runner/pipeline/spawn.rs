//! How the threads of a run are started. One that cannot be started is an error.

use std::io;
use std::thread::{Builder, Scope, ScopedJoinHandle};

use rayon::ThreadPoolBuilder;

use crate::runner::error::RunError;
use crate::values::deep_stack::{self, DEEP_STACK_BYTES};

/// Starts a thread.
pub(super) fn spawn<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, RunError> {
    start(Builder::new(), scope, work)
}

/// Starts a thread that can evaluate expressions.
pub(super) fn spawn_deep<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, RunError> {
    start(Builder::new().stack_size(DEEP_STACK_BYTES), scope, work)
}

/// Does `work`, which evaluates expressions, in a thread that can.
pub(super) fn on_deep_stack<T: Send, E: Send + Into<RunError>>(
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, RunError> {
    deep_stack::on_deep_stack(work).map_err(|source| RunError::Thread { source })?.map_err(Into::into)
}

/// Does `work` in a pool of `threads` threads that can evaluate expressions.
pub(super) fn in_deep_pool<T: Send, E: Send + Into<RunError>>(
    threads: usize,
    work: impl FnOnce() -> Result<T, E> + Send,
) -> Result<T, RunError> {
    let pool = ThreadPoolBuilder::new().num_threads(threads).stack_size(DEEP_STACK_BYTES).build();
    let pool = pool.map_err(|error| RunError::Thread { source: io::Error::other(error) })?;
    pool.install(work).map_err(Into::into)
}

fn start<'scope, T: Send + 'scope>(
    builder: Builder,
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, RunError> {
    builder.spawn_scoped(scope, work).map_err(|source| RunError::Thread { source })
}
