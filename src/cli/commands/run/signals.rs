//! The signals that stop a run or ask for a checkpoint.

use std::sync::Arc;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::runner::options::Control;

/// Installs the signal handlers of a run.
pub(super) fn listen() -> Result<Control, CliError> {
    let control = Control::default();
    let register = || {
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated), (SIGHUP, Exit::HungUp)] {
            // In this order: the first signal sets the flag, and only a second one finds it set and exits.
            flag::register_conditional_shutdown(signal, i32::from(exit.code()), Arc::clone(&control.stop))?;
            flag::register(signal, Arc::clone(&control.stop))?;
        }
        flag::register(SIGUSR1, Arc::clone(&control.checkpoint))?;
        // With a handler, a write beyond the limit of the file size fails, as on a full disk.
        flag::register(SIGXFSZ, Arc::default()).map(|_| ())
    };
    register().map_err(|error: std::io::Error| {
        CliError::new(Exit::Failed, "cannot install signal handlers").caused_by(&error)
    })?;
    Ok(control)
}
