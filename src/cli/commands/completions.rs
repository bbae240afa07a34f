//! `ckpt completions`: the shell's knowledge of the commands and options.

use clap_complete::Shell;

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::Ui;

/// Print the completion script of a shell
///
/// Put it where your shell looks for completions; for bash that is
/// ~/.local/share/bash-completion/completions/ckpt.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Prints the script. It is the same with `--json`: it is for the shell.
pub fn run(args: &Args, ui: &mut Ui) -> Result<Exit, CliError> {
    ui.out_bytes(&script(args.shell))?;
    Ok(Exit::Clean)
}

/// Returns the completion script of `shell`.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::command(), "ckpt", &mut script);
    script
}
