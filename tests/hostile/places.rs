//! Something other than a file where a file is expected: at every place of a store and of a job.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{bounded, copy, picture, tries_all};
use crate::support::Env;

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Planted {
    /// A symbolic link to a file outside with the same content.
    LinkToFile,
    /// A symbolic link to a directory outside with the same content.
    LinkToDirectory,
    /// A symbolic link to a device that yields endless zeros.
    LinkToDevice,
    /// A symbolic link to itself.
    LinkToItself,
    /// A symbolic link to a name outside that does not exist.
    LinkToNothing,
    /// A hard link to a file outside.
    HardLink,
    /// A pipe that has no writer.
    Fifo,
    /// A directory with a file in it.
    Directory,
    /// A 10 GB file of zeros that takes up no space.
    Huge,
    /// An empty file.
    Empty,
    /// Bytes that are not text.
    Binary,
}

use Planted::*;

const ALL: [Planted; 11] = [
    LinkToFile,
    LinkToDirectory,
    LinkToDevice,
    LinkToItself,
    LinkToNothing,
    HardLink,
    Fifo,
    Directory,
    Huge,
    Empty,
    Binary,
];

/// The places, below `inside`.
const PLACES: [&str; 31] = [
    "store",
    "store/store.yaml",
    "store/replicas.yaml",
    "store/lock",
    "store/prune.lock",
    "store/objects.lock",
    "store/checkpoints",
    "store/checkpoints/LATEST",
    "store/checkpoints/LATEST/manifest.yaml",
    "store/checkpoints/LATEST/SHA256SUMS",
    "store/checkpoints/00000009",
    "store/objects",
    "store/objects/sha256",
    "store/objects/INDEX",
    "store/objects/POSITIONS",
    "store/objects/JOB",
    "store/pins",
    "store/pins/00000002.yaml",
    "store/history",
    "store/history/00000001.yaml",
    "store/history/attempts-00000001.jsonl",
    "store/pruned",
    "store/pruned/00000001",
    "store/requests",
    "store/requests/000102030405060708090a0b0c0d0e0f.yaml",
    "store/damaged",
    "store/.tmp-0123456789abcdef",
    "out",
    "out/counting-00000003.jsonl",
    "bad.jsonl",
    "data-0.jsonl",
];

/// All commands, each with what makes it read or write most.
const COMMANDS: [&str; 26] = [
    "list store --sizes",
    "stats store",
    "log store",
    "latest store --verified",
    "inspect store",
    "inspect store --state --limit 0",
    "inspect store --positions",
    "inspect store --tasks",
    "inspect store --objects",
    "inspect store --job",
    "verify store",
    "verify store --deep",
    "verify store --repair",
    "verify store --for 1s --state verified.json",
    "diff store@2 store --keys",
    "restore store@2 --dry-run",
    "restore store --to state --format jsonl",
    "restore store@2",
    "restore store --seek data-0.jsonl=record:1",
    "pin store@2 --reason why",
    "unpin store@2",
    "copy store --to copied",
    "checkpoint store --wait 50ms",
    "check job.yaml",
    "run job.yaml",
    "prune store --keep-last 1 --grace 0s --yes",
];

const JOB: &str = "job: counting
input: {files: data-0.jsonl, on_error: {dead_letter: bad.jsonl}}
key: k
tasks: 8
process: {aggregate: {n: count, s: last(s)}}
checkpoint: {store: store, replicas: [replica], min_copies: 1, records: 300}
output: {files: out/, emit: changes}
";

/// Builds a store below `inside` that has every file a store may have, using the regular writers.
fn genuine(env: &Env) {
    env.write("inside/job.yaml", JOB);
    let record = |i: usize| match i % 50 {
        7 => "nonsense\n".to_owned(),
        _ => format!("{{\"k\":\"k{}\",\"s\":\"text {i}\"}}\n", i % 17),
    };
    for (records, command) in [
        (400, "run job.yaml"),
        (800, "run job.yaml"),
        (800, "pin store@2"),
        (800, "prune store --keep-last 2 --yes"),
        (1_200, "run job.yaml"),
    ] {
        env.write("inside/data-0.jsonl", (0..records).map(record).collect::<String>());
        let status = env.shell(&format!("cd inside && ckpt {command}"));
        assert!(matches!(status.status, 0 | 3), "{status}");
    }
    let request = "format: 1\ntime: 2026-11-22T14:00:00Z\nholder: somebody\n";
    env.write("inside/store/requests/000102030405060708090a0b0c0d0e0f.yaml", request);
    env.write("inside/store/damaged/store.yaml.1", "old");
    env.write("inside/store/.tmp-0123456789abcdef", "left behind");
    env.write("outside/secret", "nobody's business\n");
}

/// Finds the name that a place stands for.
fn resolve(inside: &Path, place: &str) -> String {
    let names = fs::read_dir(inside.join("store/checkpoints")).expect("listed");
    let latest = names.map(|entry| entry.expect("listed").file_name().into_string().expect("UTF-8")).max();
    let latest = latest.expect("a checkpoint");
    let manifest = fs::read_to_string(inside.join(format!("store/checkpoints/{latest}/manifest.yaml"))).expect("read");
    let object = |table: &str| {
        let at = manifest.find(&format!("  {table}:\n")).expect("a table");
        let name = manifest[at..].lines().nth(1).and_then(|line| line.trim().strip_prefix("object: ")).expect("a name");
        format!("sha256/{}/{name}", &name[..2])
    };
    place
        .replace("LATEST", &latest)
        .replace("INDEX", &object("index"))
        .replace("POSITIONS", &object("positions"))
        .replace("JOB", &object("job"))
}

/// Puts `planted` at `path` and replaces what was there, which may move to `aside` outside the tree.
fn plant(planted: Planted, path: &Path, aside: &Path) {
    let was = aside.join("was");
    fs::create_dir_all(path.parent().expect("a directory")).expect("made");
    match fs::symlink_metadata(path) {
        Ok(_) => fs::rename(path, &was).expect("moved"),
        Err(_) => fs::write(&was, "format: 1\n").expect("written"),
    }
    match planted {
        LinkToFile | LinkToDirectory => symlink(&was, path).expect("linked"),
        LinkToDevice => symlink("/dev/zero", path).expect("linked"),
        LinkToItself => symlink(path.file_name().expect("a name"), path).expect("linked"),
        LinkToNothing => symlink(aside.join("nothing"), path).expect("linked"),
        HardLink => fs::hard_link(&was, path).expect("linked"),
        Fifo => {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o666));
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).expect("made");
        }
        Directory => {
            fs::create_dir(path).expect("made");
            fs::write(path.join("x"), "x").expect("written");
        }
        Huge => fs::File::create(path).expect("made").set_len(10_000_000_000).expect("set"),
        Empty => fs::write(path, "").expect("written"),
        Binary => fs::write(path, [0xff, 0xfe, 0, 0x1b, b'[', b'2', b'J', b'\n', 0x80]).expect("written"),
    }
}

#[test]
fn whatever_is_planted_nothing_hangs_panics_or_writes_outside() {
    let template = Env::in_memory();
    genuine(&template);
    let mut cases = Vec::new();
    for place in PLACES {
        let place = resolve(&template.path("inside"), place);
        let is_directory = template.path("inside").join(&place).is_dir();
        for planted in ALL {
            let fits = match planted {
                LinkToFile | HardLink => !is_directory,
                LinkToDirectory => is_directory,
                _ => true,
            };
            // Endless zeros, and 10 GB of them, are a record that is too long: legitimate input, which takes its time.
            let is_long = place == "data-0.jsonl" && matches!(planted, Huge);
            if fits && !is_long {
                cases.push((place.clone(), planted));
            }
        }
    }
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
    let cases = &cases;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let template = &template;
            scope.spawn(move || {
                for (number, (place, planted)) in cases.iter().enumerate().skip(thread).step_by(threads) {
                    try_place(template, place, *planted, number);
                }
            });
        }
    });
}

fn try_place(template: &Env, place: &str, planted: Planted, number: usize) {
    let env = Env::in_memory();
    for (i, command) in COMMANDS.iter().enumerate() {
        if !tries_all() && !(i + number).is_multiple_of(13) {
            continue;
        }
        let _ = (fs::remove_dir_all(env.path("inside")), fs::remove_dir_all(env.path("outside")));
        copy(&template.path("inside"), &env.path("inside"));
        copy(&template.path("outside"), &env.path("outside"));
        plant(planted, &env.path("inside").join(place), &env.path("outside"));
        let before = picture(&env.path("outside"));
        let words: Vec<String> = command
            .split(' ')
            .map(|word| match word.split_once('@').map_or(word, |(name, _)| name) {
                "store" | "job.yaml" | "state" | "copied" | "verified.json" => format!("inside/{word}"),
                _ => word.to_owned(),
            })
            .collect();
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        if command.contains("--seek") {
            arguments.extend(["--input-base", "inside"]);
        }
        let output = bounded(&env, &arguments);
        // What the user names may be a link: that is where they want it.
        let is_named = matches!(place, "store" | "out" | "bad.jsonl");
        if is_named && matches!(planted, LinkToFile | LinkToDirectory | LinkToNothing | HardLink) {
            continue;
        }
        assert_eq!(picture(&env.path("outside")), before, "{planted:?} at {place}: {command}\n{output}");
    }
}
