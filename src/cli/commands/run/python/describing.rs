//! Runs a script until it has described its job.

use std::io::{self, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

/// The most that is read of what a script prints, in bytes.
const MAX_PRINTED_BYTES: usize = 16 << 20;
/// How often to check whether the script has ended.
const TICK: Duration = Duration::from_millis(2);

/// Runs `command`, and returns what it printed to its standard output, and how it ended.
///
/// What the script has started in the background may keep the output open. It does not delay the end, and is killed,
/// because it would keep the standard error of `ckpt` open as well.
pub(super) fn run(mut command: Command) -> io::Result<(Vec<u8>, ExitStatus)> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    let mut script = Script { process: command.spawn()?, status: None };
    let mut stdout = script.process.stdout.take().ok_or_else(|| io::Error::other("standard output is missing"))?;
    let flags = rustix::fs::fcntl_getfl(&stdout)?;
    rustix::fs::fcntl_setfl(&stdout, flags | OFlags::NONBLOCK)?;
    let mut printed = Vec::new();
    loop {
        // In this order: what a script printed before its end is read.
        let has_ended = script.has_ended();
        read_available(&mut stdout, &mut printed)?;
        if has_ended {
            return Ok((printed, script.reap()?));
        }
        if printed.len() > MAX_PRINTED_BYTES {
            return Err(io::Error::other(format!("it printed more than {MAX_PRINTED_BYTES} bytes")));
        }
        std::thread::sleep(TICK);
    }
}

/// Reads what the pipe has now, at most a little more than the limit.
fn read_available(stdout: &mut impl Read, printed: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 64 * 1024];
    while printed.len() <= MAX_PRINTED_BYTES {
        match stdout.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => printed.extend_from_slice(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A running script. Dropping this kills it with all that it has started.
struct Script {
    process: Child,
    status: Option<ExitStatus>,
}

impl Script {
    /// Tells whether it has ended. It stays a zombie, so its process group is not reused yet.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        self.pid().is_some_and(|pid| matches!(waitid(WaitId::Pid(pid), options), Ok(Some(_)) | Err(_)))
    }

    /// Kills what is left of it and of what it has started.
    fn reap(&mut self) -> io::Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        if let Some(group) = self.pid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let status = self.process.wait()?;
        self.status = Some(status);
        Ok(status)
    }

    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(self.process.id().cast_signed())
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = self.reap();
    }
}
