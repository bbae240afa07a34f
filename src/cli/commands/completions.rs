//! `ckpt completions`: prints the completion script of a shell.

use clap::{Arg, ValueHint};
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
pub fn script(shell: Shell, program: clap::Command) -> Vec<u8> {
    let mut program = program.mut_subcommands(|verb| verb.mut_args(|arg| hinted(shell, arg)));
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut program, "ckpt", &mut script);
    match shell {
        Shell::Bash => with_joined_values(&script),
        Shell::Fish => [&script[..], fish_values(&program).as_bytes()].concat(),
        _ => script,
    }
}

/// Says which arguments are paths: besides those of that type, all positional ones, which name stores, checkpoints and
/// jobs.
fn hinted(shell: Shell, arg: Arg) -> Arg {
    let is_path = arg.get_value_hint() == ValueHint::AnyPath || arg.is_positional();
    if !is_path || !arg.get_possible_values().is_empty() {
        return arg;
    }
    let is_directory = arg.get_value_names().is_some_and(|names| names.iter().any(|name| name == "DIR"));
    arg.value_hint(match shell {
        // Its script keeps names with spaces together only for this hint.
        Shell::Bash => ValueHint::FilePath,
        _ if is_directory => ValueHint::DirPath,
        _ => ValueHint::AnyPath,
    })
}

/// Makes the script for bash, which takes `--option=value` for three words, complete the value.
fn with_joined_values(script: &[u8]) -> Vec<u8> {
    const START: &str = "    prev=\"$3\"\n";
    const JOINED: &str = r#"    if [[ "${COMP_WORDS[COMP_CWORD]}" == "=" ]]; then
        cur=""
        prev="${COMP_WORDS[COMP_CWORD-1]}"
    elif [[ "${prev}" == "=" && "${COMP_CWORD}" -ge 2 ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
"#;
    String::from_utf8_lossy(script).replacen(START, &format!("{START}{JOINED}"), 1).into_bytes()
}

/// Returns what the script for fish lacks: the values of positional arguments.
fn fish_values(program: &clap::Command) -> String {
    let mut lines = String::new();
    for verb in program.get_subcommands() {
        for arg in verb.get_positionals() {
            let values = arg.get_possible_values();
            let names: Vec<&str> = values.iter().map(clap::builder::PossibleValue::get_name).collect();
            if !names.is_empty() {
                let (verb, names) = (verb.get_name(), names.join(" "));
                lines += &format!("complete -c ckpt -n \"__fish_ckpt_using_subcommand {verb}\" -f -a \"{names}\"\n");
            }
        }
    }
    lines
}
