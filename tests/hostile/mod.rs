//! Stores, inputs, job files and command lines made by someone malicious.
//!
//! Every command runs as the real binary, with limits on memory and time. Whatever it is given, it ends with one of the
//! documented exit codes, does not panic, prints nothing that a terminal would act on, and changes nothing outside what
//! it was told to write.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Env, Output, binary, code};

mod places;

/// How long a command may take. What is refused is refused in milliseconds, but a busy machine is slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How much memory a command may use, in KiB, for its data and that of its threads.
///
/// The largest batch of rows that a table may make a reader decode is 256 MiB.
const MEMORY_KIB: u64 = 768 << 10;

/// The exit codes that `docs/scripting.md` lists.
const CODES: [i32; 10] = [0, 1, 2, 3, 4, 10, 11, 12, 130, 143];

/// Runs `ckpt` in `env` with limited memory and time, and checks what must hold for any input.
#[track_caller]
fn bounded(env: &Env, arguments: &[&str]) -> Output {
    within(env, arguments, MEMORY_KIB)
}

/// Does the same with a different memory limit.
#[track_caller]
fn within(env: &Env, arguments: &[&str], memory_kib: u64) -> Output {
    let output = ended(env, limited(env, arguments, memory_kib), arguments);
    assert!(CODES.contains(&output.status), "{arguments:?}\n{output}");
    assert!(!output.stderr.contains("panicked"), "{arguments:?}\n{output}");
    let acts =
        |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!output.stderr.contains(acts), "{arguments:?}\n{output}");
    let is_data = arguments.iter().any(|argument| matches!(*argument, "--job"));
    assert!(is_data || !output.stdout.contains(acts), "{arguments:?}\n{output}");
    output
}

/// Returns the binary with its arguments and a memory limit.
fn limited(env: &Env, arguments: &[&str], memory_kib: u64) -> Command {
    let limit = format!("ulimit -d {memory_kib} && exec \"$0\" \"$@\"");
    let environment = env.command(&[]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &limit]).arg(binary()).args(arguments).current_dir(env.dir()).env_clear();
    for (name, value) in environment.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command
}

/// Runs a command without input, and kills it if it does not end.
#[track_caller]
fn ended(env: &Env, mut command: Command, arguments: &[&str]) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("started");
    let read = |stream: Option<Box<dyn std::io::Read + Send>>| {
        let mut stream = stream.expect("piped");
        thread::spawn(move || {
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).map(|_| bytes).expect("read")
        })
    };
    let stdout = read(child.stdout.take().map(|stream| Box::new(stream) as _));
    let stderr = read(child.stderr.take().map(|stream| Box::new(stream) as _));
    let status = until_ended(&mut child);
    let text = |reader: thread::JoinHandle<Vec<u8>>| {
        let text = String::from_utf8_lossy(&reader.join().expect("no panic")).into_owned();
        text.replace(&env.dir().display().to_string(), "$DIR")
    };
    let (stdout, stderr) = (text(stdout), text(stderr));
    let status = status.unwrap_or_else(|| panic!("{arguments:?} did not end\n{stdout}\n{stderr}"));
    Output { stdout, stderr, status }
}

/// Waits for the end of `child`; returns nothing when it had to be killed.
fn until_ended(child: &mut Child) -> Option<i32> {
    let begun = Instant::now();
    let mut pause = Duration::from_micros(500);
    loop {
        if let Some(status) = child.try_wait().expect("waited") {
            return Some(code(status));
        }
        if begun.elapsed() > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("waited");
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// Everything below `dir`, without following links, in enough detail to show a change: kind, size, content, times and
/// links.
fn picture(dir: &Path) -> BTreeMap<String, String> {
    let entries = walkdir::WalkDir::new(dir).min_depth(1).into_iter().map(|entry| entry.expect("listed"));
    let shown = entries.map(|entry| {
        let metadata = fs::symlink_metadata(entry.path()).expect("there");
        let kind = metadata.file_type();
        let content = match kind {
            _ if kind.is_file() && metadata.len() < 1 << 20 => {
                ckpt::values::digest::Digest::of(&fs::read(entry.path()).expect("read")).to_string()
            }
            _ if kind.is_symlink() => fs::read_link(entry.path()).expect("read").display().to_string(),
            _ => String::new(),
        };
        let size = if kind.is_dir() || kind.is_fifo() { 0 } else { metadata.len() };
        let what =
            format!("{kind:?} {:o} {size} {} {} {content}", metadata.mode(), metadata.mtime(), metadata.mtime_nsec());
        (entry.path().strip_prefix(dir).expect("below").display().to_string(), what)
    });
    shown.collect()
}

/// Copies a tree and preserves its links, times and modes.
fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp");
    assert!(status.success());
}

/// Returns `CKPT_HOSTILE`, which is `all` to try everything; otherwise as much is tried as fits in a minute.
fn tries_all() -> bool {
    std::env::var("CKPT_HOSTILE").is_ok_and(|value| value == "all")
}
