//! The exit codes of all commands.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Done, without problems.
    Clean = 0,
    /// Done, and the answer to the question is no.
    No = 1,
    /// The arguments or the job file are invalid; nothing was done.
    Usage = 2,
    /// Done, except for a part that is reported.
    Incomplete = 3,
    /// Not done, for a reason without its own code, such as an I/O error.
    Failed = 4,
    /// A record of the input ended the run.
    BadRecord = 5,
    /// The store or the checkpoint does not exist.
    NotFound = 10,
    /// Another process is writing to the store.
    Busy = 11,
    /// The store is damaged where the command needs it.
    Damaged = 12,
    /// SIGHUP, without a last checkpoint.
    HungUp = 129,
    /// SIGINT, without a last checkpoint.
    Interrupted = 130,
    /// SIGTERM, without a last checkpoint.
    Terminated = 143,
}

impl Exit {
    /// All codes, ascending.
    pub const ALL: [Exit; 12] = [
        Exit::Clean,
        Exit::No,
        Exit::Usage,
        Exit::Incomplete,
        Exit::Failed,
        Exit::BadRecord,
        Exit::NotFound,
        Exit::Busy,
        Exit::Damaged,
        Exit::HungUp,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// Returns the number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Returns the meaning of the code, as the help and the documents state it.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Clean => "success",
            Exit::No => "completed, but the answer is no: damaged, different, too old",
            Exit::Usage => "invalid arguments or job file",
            Exit::Incomplete => "completed with omissions: records skipped, a replica behind",
            Exit::Failed => "failed for another reason: an I/O error, a full disk",
            Exit::BadRecord => "stopped by a record of the input that is bad, late, or cannot be applied",
            Exit::NotFound => "no such store or checkpoint",
            Exit::Busy => "busy: another process is writing to the store",
            Exit::Damaged => "failed because the store is damaged",
            Exit::HungUp => "stopped by SIGHUP without a last checkpoint",
            Exit::Interrupted => "stopped by SIGINT without a last checkpoint",
            Exit::Terminated => "stopped by SIGTERM without a last checkpoint",
        }
    }

    /// Returns the table of codes for the end of a help text.
    pub fn help() -> String {
        let rows = Exit::ALL.map(|exit| format!("\n  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:{}", rows.concat())
    }

    /// Returns the table of codes in Markdown, for `docs/scripting.md`.
    pub fn markdown() -> String {
        let rows = Exit::ALL.map(|exit| format!("| {} | {} |\n", exit.code(), exit.meaning()));
        format!("| code | meaning |\n| --- | --- |\n{}", rows.concat())
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_those_that_scripts_rely_on() {
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 5, 10, 11, 12, 129, 130, 143]);
    }

    #[test]
    fn both_tables_have_every_code_with_its_meaning() {
        for exit in Exit::ALL {
            assert!(Exit::help().contains(&format!(" {}  {}", exit.code(), exit.meaning())));
            assert!(Exit::markdown().contains(&format!("| {} | {} |\n", exit.code(), exit.meaning())));
        }
    }
}
