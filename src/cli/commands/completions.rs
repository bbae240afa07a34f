//! `ckpt completions`: prints the completion script of a shell.

use clap_complete::Shell;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Print a completion script for a shell
///
/// Save it where your shell looks for completions; for bash, that is
/// ~/.local/share/bash-completion/completions/ckpt.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Prints the script. `--json` does not change it: it is for the shell.
pub fn run(args: &Args, program: clap::Command, ui: &mut Ui) -> Result<Exit, CliError> {
    ui.out_bytes(&script(args.shell, program))?;
    Ok(Exit::Clean)
}

/// Returns the completion script of `program` for `shell`.
pub fn script(shell: Shell, mut program: clap::Command) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "ckpt", &mut script);
    script
}
