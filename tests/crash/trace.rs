//! What a real process did to its files, as recorded by `strace`, and what a disk may hold of that.
//!
//! # The fault model
//!
//! POSIX promises little, and this model takes away the rest. When only the process dies, the effect of every completed
//! call is seen. When the power fails:
//!
//! - The bytes of a file are durable as of its latest `fsync` or `fdatasync`. What was written since survives, is lost,
//!   or is torn at any byte, with or without zeros up to the size that it would have had. A file that was never flushed
//!   may be empty.
//! - The names in a directory are durable as of its latest `fsync`. Of what was created, renamed or removed since, any
//!   subset survives, in any order, whatever was done to other directories. Flushing a file does not make its name
//!   durable.
//! - A rename leaves the old name, the new one or both. Otherwise it is one step: the old name is never gone without
//!   the new one, as on every file system with a journal.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::random::Random;
use crate::support::simulated::Survival;

/// The calls that change something, or make it durable.
pub const CALLS: &str = "openat,creat,write,pwrite64,lseek,ftruncate,truncate,fsync,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat";

/// A call that succeeded, with paths relative to the directory under observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// A file was opened that did not exist, or was truncated.
    Create { path: String, truncate: bool },
    /// Bytes were written at an offset, or at the end.
    Write { path: String, offset: Option<u64>, bytes: Vec<u8> },
    /// The file was given this size.
    Resize { path: String, bytes: u64 },
    /// A file or directory was flushed.
    Flush { path: String },
    /// A directory was created.
    MakeDirectory { path: String },
    /// Something was renamed.
    Rename { from: String, to: String },
    /// A file was given a second name.
    Link { from: String, to: String },
    /// A name was removed.
    Remove { path: String },
}

/// An argument of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Argument {
    Descriptor(i64, Vec<u8>),
    Text(Vec<u8>),
    Other(String),
}

/// Reads the log of `strace -f -y -xx` and returns the calls that concern files below `root`, where the process was
/// started.
pub fn parse(log: &str, root: &Path) -> Vec<Call> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut offsets: BTreeMap<i64, Option<u64>> = BTreeMap::new();
    let mut calls = Vec::new();
    for line in log.lines() {
        let Some((process, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(part) = rest.strip_suffix("<unfinished ...>") {
            begun.insert(process, part);
            continue;
        }
        let whole = match rest.strip_prefix("<... ") {
            None => rest.to_owned(),
            Some(resumed) => {
                let (_, end) = resumed.split_once(" resumed>").expect("a resumed call");
                format!("{}{end}", begun.remove(process).expect("the call was begun"))
            }
        };
        let Some((name, arguments)) = whole.split_once('(') else { continue };
        let Some((arguments, answer)) = read_arguments(arguments) else { continue };
        let Ok(answer) = answer.split([' ', '<']).next().unwrap_or_default().parse::<i64>() else { continue };
        if answer >= 0 {
            calls.extend(call(name, &arguments, answer, &mut offsets, root));
        }
    }
    calls
}

/// Returns the arguments and what follows ` = `.
fn read_arguments(text: &str) -> Option<(Vec<Argument>, &str)> {
    let mut arguments = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix(')') {
            return Some((arguments, after.trim_start().strip_prefix("= ")?));
        }
        if let Some(after) = rest.strip_prefix('"') {
            let (hex, after) = after.split_once('"')?;
            assert!(!after.starts_with("..."), "strace truncated a string");
            arguments.push(Argument::Text(unhex(hex)));
            rest = after;
            continue;
        }
        let end = rest.find([',', ')', '<'])?;
        let word = &rest[..end];
        rest = &rest[end..];
        if let Some(after) = rest.strip_prefix('<') {
            let (hex, after) = after.split_once('>')?;
            let number = if word == "AT_FDCWD" { -100 } else { word.parse().ok()? };
            arguments.push(Argument::Descriptor(number, unhex(hex)));
            rest = after;
        } else {
            arguments.push(Argument::Other(word.to_owned()));
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut rest = text;
    while !rest.is_empty() {
        match rest.strip_prefix("\\x") {
            Some(hex) => {
                bytes.push(u8::from_str_radix(&hex[..2], 16).expect("two digits"));
                rest = &hex[2..];
            }
            None => {
                bytes.push(rest.as_bytes()[0]);
                rest = &rest[1..];
            }
        }
    }
    bytes
}

fn call(
    name: &str,
    arguments: &[Argument],
    answer: i64,
    offsets: &mut BTreeMap<i64, Option<u64>>,
    root: &Path,
) -> Option<Call> {
    // A path is a name in an open directory, or in the directory where the process was started.
    let path_at = |place: usize| -> Option<String> {
        let (directory, name) = match (arguments.get(place)?, arguments.get(place + 1)) {
            (Argument::Descriptor(_, directory), Some(Argument::Text(name))) => (as_path(directory), as_path(name)),
            (Argument::Text(name), _) => (root.to_owned(), as_path(name)),
            _ => return None,
        };
        relative(&directory.join(name), root)
    };
    let number = |place: usize| match arguments.get(place) {
        Some(Argument::Other(text)) => text.parse::<u64>().ok(),
        _ => None,
    };
    let open = || match arguments.first()? {
        Argument::Descriptor(number, path) => Some((*number, relative(&as_path(path), root)?)),
        _ => None,
    };
    let text = |place: usize| match arguments.get(place) {
        Some(Argument::Text(bytes)) => Some(bytes.clone()),
        _ => None,
    };
    match name {
        "openat" => {
            let Argument::Other(flags) = arguments.get(2)? else { return None };
            offsets.insert(answer, if flags.contains("O_APPEND") { None } else { Some(0) });
            let path = path_at(0)?;
            let truncate = flags.contains("O_TRUNC");
            (flags.contains("O_CREAT") || truncate).then_some(Call::Create { path, truncate })
        }
        "lseek" => {
            let (descriptor, _) = open()?;
            offsets.insert(descriptor, Some(answer as u64));
            None
        }
        "write" => {
            let (descriptor, path) = open()?;
            let mut bytes = text(1)?;
            bytes.truncate(answer as usize);
            let offset = offsets.get(&descriptor).copied().unwrap_or(Some(0));
            offsets.insert(descriptor, offset.map(|offset| offset + bytes.len() as u64));
            Some(Call::Write { path, offset, bytes })
        }
        "pwrite64" => Some(Call::Write { path: open()?.1, offset: Some(number(3)?), bytes: text(1)? }),
        "ftruncate" => Some(Call::Resize { path: open()?.1, bytes: number(1)? }),
        "fsync" | "fdatasync" => Some(Call::Flush { path: open()?.1 }),
        "mkdir" | "mkdirat" => Some(Call::MakeDirectory { path: path_at(0)? }),
        "rename" => Some(Call::Rename { from: path_at(0)?, to: path_at(1)? }),
        "renameat" | "renameat2" => Some(Call::Rename { from: path_at(0)?, to: path_at(2)? }),
        "linkat" => Some(Call::Link { from: path_at(0)?, to: path_at(2)? }),
        "unlink" | "unlinkat" | "rmdir" => Some(Call::Remove { path: path_at(0)? }),
        _ => panic!("what does `{name}` do to a disk?"),
    }
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes.to_vec()).expect("paths of this test are UTF-8"))
}

fn relative(path: &Path, root: &Path) -> Option<String> {
    Some(path.strip_prefix(root).ok()?.to_str().expect("UTF-8").to_owned())
}

/// A file system in memory: what processes see of it, and what is durable.
#[derive(Debug, Clone, Default)]
pub struct FileSystem {
    inodes: Vec<Inode>,
    /// Changes to names that are not durable yet, in order.
    pending: Vec<Vec<Edit>>,
}

#[derive(Debug, Clone)]
enum Inode {
    Directory { seen: BTreeMap<String, usize>, lasting: BTreeMap<String, usize> },
    File { seen: Vec<u8>, lasting: Vec<u8> },
}

/// A change to a name in a directory.
#[derive(Debug, Clone)]
struct Edit {
    directory: usize,
    name: String,
    inode: Option<usize>,
}

const ROOT: usize = 0;

impl FileSystem {
    /// Reads the contents of `root`, all of which are durable.
    pub fn load(root: &Path) -> FileSystem {
        let mut system = FileSystem { inodes: vec![empty_directory()], pending: Vec::new() };
        for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
            let entry = entry.expect("listed");
            let path = relative(entry.path(), root).expect("below");
            let inode = if entry.file_type().is_dir() {
                empty_directory()
            } else {
                let bytes = fs::read(entry.path()).expect("readable");
                Inode::File { seen: bytes.clone(), lasting: bytes }
            };
            system.add(&path, inode);
        }
        system.flush_all();
        system
    }

    fn flush_all(&mut self) {
        self.pending.clear();
        for inode in &mut self.inodes {
            match inode {
                Inode::Directory { seen, lasting } => lasting.clone_from(seen),
                Inode::File { seen, lasting } => lasting.clone_from(seen),
            }
        }
    }

    fn find(&self, path: &str) -> Option<usize> {
        let mut at = ROOT;
        for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
            let Inode::Directory { seen, .. } = &self.inodes[at] else { return None };
            at = *seen.get(name)?;
        }
        Some(at)
    }

    fn edit(&self, path: &str, inode: Option<usize>) -> Edit {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let directory = self.find(parent).unwrap_or_else(|| panic!("`{parent}` does not exist"));
        Edit { directory, name: name.to_owned(), inode }
    }

    fn change(&mut self, edits: Vec<Edit>) {
        for edit in &edits {
            if let Inode::Directory { seen, .. } = &mut self.inodes[edit.directory] {
                set(seen, edit);
            }
        }
        self.pending.push(edits);
    }

    fn add(&mut self, path: &str, inode: Inode) {
        self.inodes.push(inode);
        let edit = self.edit(path, Some(self.inodes.len() - 1));
        self.change(vec![edit]);
    }

    fn file(&mut self, path: &str) -> &mut Vec<u8> {
        let inode = self.find(path).unwrap_or_else(|| panic!("`{path}` does not exist"));
        match &mut self.inodes[inode] {
            Inode::File { seen, .. } => seen,
            Inode::Directory { .. } => panic!("`{path}` is a directory"),
        }
    }

    /// Applies `call`.
    pub fn apply(&mut self, call: &Call) {
        match call {
            Call::Create { path, truncate } => match self.find(path) {
                None => self.add(path, Inode::File { seen: Vec::new(), lasting: Vec::new() }),
                Some(_) if *truncate => self.file(path).clear(),
                Some(_) => {}
            },
            Call::Write { path, offset, bytes } => {
                let file = self.file(path);
                let offset = offset.map_or(file.len(), |offset| offset as usize);
                let end = offset + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[offset..end].copy_from_slice(bytes);
            }
            Call::Resize { path, bytes } => self.file(path).resize(*bytes as usize, 0),
            Call::Flush { path } => self.flush(path),
            Call::MakeDirectory { path } => self.add(path, empty_directory()),
            Call::Rename { from, to } => {
                let inode = self.find(from);
                self.change(vec![self.edit(to, inode), self.edit(from, None)]);
            }
            Call::Link { from, to } => self.change(vec![self.edit(to, self.find(from))]),
            Call::Remove { path } => self.change(vec![self.edit(path, None)]),
        }
    }

    fn flush(&mut self, path: &str) {
        let Some(flushed) = self.find(path) else { return };
        if let Inode::File { seen, lasting } = &mut self.inodes[flushed] {
            lasting.clone_from(seen);
            return;
        }
        for edits in std::mem::take(&mut self.pending) {
            // Where the old name is gone for good, the new one exists.
            let takes_away = edits.iter().any(|edit| edit.directory == flushed && edit.inode.is_none());
            let (now, later): (Vec<_>, Vec<_>) =
                edits.into_iter().partition(|edit| takes_away || edit.directory == flushed);
            for edit in now {
                if let Inode::Directory { lasting, .. } = &mut self.inodes[edit.directory] {
                    set(lasting, &edit);
                }
            }
            if !later.is_empty() {
                self.pending.push(later);
            }
        }
    }

    /// Puts what a crash leaves into the directory `root`, and nothing else: everything that is seen when the process
    /// dies, or as much as `survival` says when the power fails.
    pub fn write(&self, root: &Path, survival: Survival) {
        let mut random = Random(match survival {
            Survival::Some(seed) => seed,
            _ => 0,
        });
        let mut directories: Vec<Option<BTreeMap<String, usize>>> = self
            .inodes
            .iter()
            .map(|inode| match inode {
                Inode::Directory { seen, lasting } => {
                    Some(if survival == Survival::All { seen } else { lasting }.clone())
                }
                Inode::File { .. } => None,
            })
            .collect();
        if let Survival::Some(_) = survival {
            let lost = *random.choose(&[20, 50, 80]);
            for edits in &self.pending {
                if random.below(100) < lost {
                    continue;
                }
                let count = if random.below(3) == 0 { 1 } else { edits.len() };
                for edit in &edits[..count] {
                    set(directories[edit.directory].as_mut().expect("a directory"), edit);
                }
            }
        }
        for entry in fs::read_dir(root).expect("a directory") {
            let path = entry.expect("listed").path();
            if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.expect("removed");
        }
        let mut left = vec![(ROOT, root.to_owned())];
        while let Some((directory, path)) = left.pop() {
            for (name, &inode) in directories[directory].as_ref().expect("a directory") {
                let path = path.join(name);
                match &self.inodes[inode] {
                    Inode::Directory { .. } => {
                        fs::create_dir(&path).expect("created");
                        left.push((inode, path));
                    }
                    Inode::File { seen, lasting } => {
                        fs::write(&path, content(seen, lasting, survival, &mut random)).expect("written");
                    }
                }
            }
        }
    }
}

fn empty_directory() -> Inode {
    Inode::Directory { seen: BTreeMap::new(), lasting: BTreeMap::new() }
}

fn set(names: &mut BTreeMap<String, usize>, edit: &Edit) {
    match edit.inode {
        Some(inode) => drop(names.insert(edit.name.clone(), inode)),
        None => drop(names.remove(&edit.name)),
    }
}

/// Returns the bytes that a crash leaves of a file.
fn content(seen: &[u8], lasting: &[u8], survival: Survival, random: &mut Random) -> Vec<u8> {
    match survival {
        Survival::All => seen.to_vec(),
        Survival::None => lasting.to_vec(),
        Survival::Some(_) if seen == lasting => seen.to_vec(),
        Survival::Some(_) => {
            let same = seen.iter().zip(lasting).take_while(|(a, b)| a == b).count();
            let cut = same + random.below((seen.len() - same) as u64 + 1) as usize;
            match random.below(4) {
                0 => seen.to_vec(),
                1 => lasting.to_vec(),
                2 => [&seen[..cut], lasting.get(cut..).unwrap_or_default()].concat(),
                _ => [&seen[..cut], &vec![0; seen.len() - cut][..]].concat(),
            }
        }
    }
}

#[test]
fn a_log_is_read_and_what_is_not_flushed_may_be_lost() {
    let hex = |text: &str| text.bytes().map(|byte| format!("\\x{byte:02x}")).collect::<String>();
    let lines = [
        format!("7 mkdir(\"{}\", 0777) = 0", hex("d")),
        format!(
            "7 openat(AT_FDCWD<{}>, \"{}\", O_WRONLY|O_CREAT|O_CLOEXEC, 0666) = 3<{}>",
            hex("/r"),
            hex("d/f"),
            hex("/r/d/f")
        ),
        format!("7 write(3<{}>, \"{}\", 3 <unfinished ...>", hex("/r/d/f"), hex("abc")),
        "8 fsync(9</x>) = 0".to_owned(),
        "7 <... write resumed>) = 3".to_owned(),
        format!("7 fsync(3<{}>) = 0", hex("/r/d/f")),
        format!("7 write(3<{}>, \"{}\", 3) = 2", hex("/r/d/f"), hex("def")),
        format!("7 rename(\"{}\", \"{}\") = 0", hex("d/f"), hex("g")),
        format!("7 unlink(\"{}\") = -1 ENOENT (No such file or directory)", hex("h")),
        format!("7 fsync(4<{}>) = 0", hex("/r")),
    ];
    let calls = parse(&lines.join("\n"), Path::new("/r"));
    let write =
        |offset, bytes: &[u8]| Call::Write { path: "d/f".to_owned(), offset: Some(offset), bytes: bytes.to_vec() };
    assert_eq!(
        calls,
        [
            Call::MakeDirectory { path: "d".to_owned() },
            Call::Create { path: "d/f".to_owned(), truncate: false },
            write(0, b"abc"),
            Call::Flush { path: "d/f".to_owned() },
            write(3, b"de"),
            Call::Rename { from: "d/f".to_owned(), to: "g".to_owned() },
            Call::Flush { path: String::new() },
        ]
    );
    let root = tempfile::tempdir().expect("a directory");
    let mut system = FileSystem::load(root.path());
    let left = |system: &FileSystem, survival| {
        system.write(root.path(), survival);
        crate::support::tree(root.path())
            .into_iter()
            .map(|(name, bytes)| (name, String::from_utf8(bytes).expect("UTF-8")))
            .collect::<Vec<_>>()
    };
    let owned = |name: &str, bytes: &str| (name.to_owned(), bytes.to_owned());
    calls[..5].iter().for_each(|call| system.apply(call));
    assert_eq!(left(&system, Survival::None), []);
    assert_eq!(left(&system, Survival::All), [owned("d/f", "abcde")]);
    calls[5..].iter().for_each(|call| system.apply(call));
    assert_eq!(left(&system, Survival::None), [owned("g", "abc")]);
    let parts: std::collections::BTreeSet<_> = (0..200).map(|seed| left(&system, Survival::Some(seed))).collect();
    for expected in [vec![owned("g", "abcd\0")], vec![owned("g", "abcd")], vec![owned("g", "abcde")]] {
        assert!(parts.contains(&expected), "{parts:?}");
    }
}
