//! The exit codes, for all commands and all documents.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done, and there is nothing to complain about.
    Clean = 0,
    /// The work was done, and what was asked is not so.
    No = 1,
    /// The arguments or the job file are wrong; nothing was done.
    Usage = 2,
    /// The work was done, except for a part that is told.
    Incomplete = 3,
    /// The work could not be done: the system said no, or something that is none of the other codes.
    Failed = 4,
    /// The store or the checkpoint is not there.
    NotFound = 10,
    /// Somebody else is writing to the store.
    Busy = 11,
    /// The store is damaged in a place that the command needs.
    Damaged = 12,
    /// SIGINT, and no last checkpoint.
    Interrupted = 130,
    /// SIGTERM, and no last checkpoint.
    Terminated = 143,
}

impl Exit {
    /// Every code, ascending.
    pub const ALL: [Exit; 10] = [
        Exit::Clean,
        Exit::No,
        Exit::Usage,
        Exit::Incomplete,
        Exit::Failed,
        Exit::NotFound,
        Exit::Busy,
        Exit::Damaged,
        Exit::Interrupted,
        Exit::Terminated,
    ];

    /// Returns the number that the shell sees.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// Returns what the code means, as the help and the documents say it.
    pub fn meaning(self) -> &'static str {
        match self {
            Exit::Clean => "done and clean",
            Exit::No => "done, and the answer is no: damage found, checkpoints differ, too old",
            Exit::Usage => "wrong usage or job file",
            Exit::Incomplete => "finished but incomplete: records skipped, a replica behind",
            Exit::Failed => "could not be done for another reason: an I/O error, a full disk",
            Exit::NotFound => "no such store or checkpoint",
            Exit::Busy => "busy: somebody else is writing to the store",
            Exit::Damaged => "the store is damaged and the command could not go on",
            Exit::Interrupted => "stopped by SIGINT before a last checkpoint could be made",
            Exit::Terminated => "stopped by SIGTERM before a last checkpoint could be made",
        }
    }

    /// Returns the table of all codes for the end of a help text.
    pub fn help() -> String {
        let rows = Exit::ALL.map(|exit| format!("\n  {:>3}  {}", exit.code(), exit.meaning()));
        format!("Exit codes:{}", rows.concat())
    }

    /// Returns the table of all codes in Markdown, as `docs/scripting.md` has it.
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
        assert_eq!(Exit::ALL.map(Exit::code), [0, 1, 2, 3, 4, 10, 11, 12, 130, 143]);
    }

    #[test]
    fn both_tables_have_every_code_with_its_meaning() {
        for exit in Exit::ALL {
            assert!(Exit::help().contains(&format!(" {}  {}", exit.code(), exit.meaning())));
            assert!(Exit::markdown().contains(&format!("| {} | {} |\n", exit.code(), exit.meaning())));
        }
    }
}
