//! A terminal for a command to write to.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// What was written to a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The full text, escape sequences included; lines end with `\r\n`.
    pub text: String,
    /// The exit code, as a shell shows it.
    pub status: i32,
}

/// Runs `command` with a terminal as its standard output and standard error.
pub fn run(command: Command, columns: u16) -> Seen {
    run_with(command, columns, None)
}

/// Runs `command` with a terminal as its standard input, output and error, where `typed` is typed.
pub fn type_and_run(command: Command, columns: u16, typed: &str) -> Seen {
    run_with(command, columns, Some(typed))
}

fn run_with(mut command: Command, columns: u16, typed: Option<&str>) -> Seen {
    let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&screen).expect("granted");
    unlockpt(&screen).expect("unlocked");
    tcsetwinsize(&screen, Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).expect("sized");
    let name = ptsname(&screen, Vec::new()).expect("named");
    // It must not become the controlling terminal of the tests.
    let program = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("opened");
    let second = program.try_clone().expect("cloned");
    let stdin = match typed {
        Some(_) => Stdio::from(program.try_clone().expect("cloned")),
        None => Stdio::null(),
    };
    let mut child = command.stdin(stdin).stdout(program).stderr(second).spawn().expect("started");
    // Reading ends when the last program closes its end, and `command` holds two.
    drop(command);
    let mut bytes = Vec::new();
    let mut screen = File::from(screen);
    // A terminal keeps what is typed until it is read.
    screen.write_all(typed.unwrap_or_default().as_bytes()).expect("typed");
    let mut buffer = [0; 4096];
    // Linux reports the end of a terminal as an error, other systems as an empty read.
    while let Ok(read @ 1..) = screen.read(&mut buffer) {
        bytes.extend_from_slice(&buffer[..read]);
    }
    let status = super::code(child.wait().expect("waited"));
    Seen { text: String::from_utf8_lossy(&bytes).into_owned(), status }
}

#[test]
fn a_command_on_a_terminal_knows_that_it_is_and_how_wide() {
    let mut command = Command::new("sh");
    command.args(["-c", "test -t 1 && test -t 2 && ! test -t 0 && echo yes; exit 3"]);
    assert_eq!(run(command, 80), Seen { text: "yes\r\n".to_owned(), status: 3 });
}
