//! Looking at the directories: which files are there, which were renamed, which are new.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use super::resume::{Proof, prove};
use super::tail::Tail;
use super::{FileId, FollowReader, Followed, MAX_ROTATED, QUIET, ROTATION, Rotation, Slot};
use crate::input::partition::{present, regular};
use crate::input::{Compression, InputError, Partition, Source};
use crate::job::model::InputSpec;

/// A file that was seen in its directory.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) partition: Partition,
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    pub(super) size: u64,
    pub(super) age: Age,
}

/// What tells the generations of a partition apart: the older was written to earlier. Where that says nothing, the number behind the name does, which is
/// larger for older files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Age {
    modified: (i64, i64),
    /// The number at the end of the name, or 0.
    rotation: u64,
}

impl Age {
    fn of(name: &str, metadata: &Metadata) -> Age {
        let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
        let rotation = name[name.len() - digits..].parse().unwrap_or(0);
        Age { modified: (metadata.mtime(), metadata.mtime_nsec()), rotation }
    }
}

impl PartialOrd for Age {
    fn partial_cmp(&self, other: &Age) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Age {
    /// The older is less.
    fn cmp(&self, other: &Age) -> Ordering {
        self.modified.cmp(&other.modified).then(other.rotation.cmp(&self.rotation))
    }
}

impl Seen {
    fn new(partition: Partition, path: PathBuf, metadata: &Metadata) -> Seen {
        let (id, size, age) = (FileId::of(metadata), metadata.len(), Age::of(&partition.name, metadata));
        Seen { partition, path, id, size, age }
    }
}

/// Lists the files of the input that are there, by name. Compressed files that a glob names are not followed.
pub(super) fn listed(input: &InputSpec, base: &Path) -> Result<Vec<Seen>, InputError> {
    let mut seen = Vec::new();
    for partition in present(input, base)? {
        let (Source::File(path), Compression::None) = (&partition.source, partition.compression) else { continue };
        let path = path.clone();
        match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(InputError::Read { partition: partition.name, offset: 0, source }),
            Ok(metadata) => seen.push(Seen::new(partition, path, &metadata)),
        }
    }
    Ok(seen)
}

/// Lists the plain files in the directory in which the partition `name` is.
///
/// A file that is renamed while a directory is read may be missed. So it is read until it is the same twice.
pub(super) fn siblings(name: &str, base: &Path) -> Result<Vec<Seen>, InputError> {
    let mut before = read_directory(name, base)?;
    for _ in 0..MAX_READS {
        let now = read_directory(name, base)?;
        let is_same =
            before.len() == now.len() && before.iter().zip(&now).all(|(a, b)| (a.id, &a.path) == (b.id, &b.path));
        before = now;
        if is_same {
            break;
        }
    }
    Ok(before)
}

/// So often a directory is read again in which files are renamed all the time.
const MAX_READS: usize = 50;

fn read_directory(name: &str, base: &Path) -> Result<Vec<Seen>, InputError> {
    let above = name.rfind('/').map_or("", |at| &name[..=at]);
    let directory = base.join(above);
    let read = |source| InputError::Read { partition: name.to_owned(), offset: 0, source };
    let entries = match fs::read_dir(if directory.as_os_str().is_empty() { Path::new(".") } else { &directory }) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(read)?,
    };
    let mut seen = Vec::new();
    for entry in entries {
        let entry = entry.map_err(read)?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        // One that goes just now is not there.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let Ok(partition) = regular(format!("{above}{file_name}"), &path, &metadata) else { continue };
        if partition.compression == Compression::None {
            seen.push(Seen::new(partition, path, &metadata));
        }
    }
    seen.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(seen)
}

/// Tells whether `name` is what a rotation calls an older file of `of`: `app.log.1`, `app.log-20261122`.
pub(super) fn is_rotated_name(name: &str, of: &str) -> bool {
    let rest = name.strip_prefix(of).unwrap_or("");
    rest.len() > 1 && rest.starts_with(['.', '-', '_', '~'])
}

/// Tells the same with a wider eye, for files that the input does not name: also `app-20261122.log` and `app.1.log`.
pub(super) fn may_be_generation(name: &str, of: &str) -> bool {
    if is_rotated_name(name, of) {
        return true;
    }
    let Some((stem, ending)) = of.rsplit_once('.').filter(|(_, ending)| !ending.contains('/')) else { return false };
    let middle = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(ending)?.strip_suffix('.'));
    middle.is_some_and(|middle| {
        middle.starts_with(['.', '-', '_'])
            && middle[1..].starts_with(|c: char| c.is_ascii_digit())
            && !middle.contains('/')
    })
}

impl FollowReader {
    /// Looks at the directories, and gives up what is over.
    pub(super) fn scan(&mut self) -> Result<(), InputError> {
        let now = Instant::now();
        self.find_files(now)?;
        self.settle(now);
        Ok(())
    }

    /// Looks at the directories: finds files that are new or were renamed.
    pub(super) fn find_files(&mut self, now: Instant) -> Result<(), InputError> {
        let listed = listed(&self.input, &self.base)?;
        let known: HashMap<FileId, &Seen> = listed.iter().map(|seen| (seen.id, seen)).collect();
        let mut lost = Vec::new();
        for stream in 0..self.slots.len() {
            let Slot::File(file) = &mut self.slots[stream] else { continue };
            match known.get(&file.id).map(|seen| Ok((seen, file.is(seen)?))).transpose()? {
                Some((seen, Proof::Same(_))) => self.moved.extend(file.see(seen, true, now)?.then_some(stream)),
                // The next look will find it.
                Some((_, Proof::Moved)) => {}
                Some((_, Proof::Other)) | None => lost.push(stream),
            }
        }
        let mut directories: HashMap<Arc<str>, Vec<Seen>> = HashMap::new();
        for &stream in &lost {
            self.find_lost(stream, &mut directories, now)?;
        }
        let mut new = Vec::new();
        let bases: Vec<&str> = self
            .generations
            .keys()
            .map(|of| &**of)
            .chain(listed.iter().map(|seen| seen.partition.name.as_str()))
            .collect();
        for seen in &listed {
            if self.by_id.contains_key(&seen.id) || self.strangers.contains(&seen.id) {
                continue;
            }
            let name = seen.partition.name.as_str();
            let of = bases.iter().filter(|base| is_rotated_name(name, base)).min_by_key(|base| base.len());
            new.push((seen.clone(), of.map_or(name, |of| of).to_owned(), true));
        }
        self.look_after_rotations(now);
        for (of, Rotation { age, .. }) in &self.rotations {
            if !directories.contains_key(of) {
                directories.insert(Arc::clone(of), siblings(of, &self.base)?);
            }
            for seen in &directories[of] {
                let is_known = self.by_id.contains_key(&seen.id)
                    || self.strangers.contains(&seen.id)
                    || new.iter().any(|(new, _, _)| new.id == seen.id);
                if !is_known && seen.age > *age && may_be_generation(&seen.partition.name, of) {
                    new.push((seen.clone(), of.to_string(), false));
                }
            }
        }
        new.sort_by(|(a, _, _), (b, _, _)| a.age.cmp(&b.age).then_with(|| a.partition.name.cmp(&b.partition.name)));
        for (seen, of, is_listed) in new {
            // One file may have two names.
            if self.by_id.contains_key(&seen.id) {
                continue;
            }
            let mut tail = Tail::new(&self.rules, &seen.partition);
            tail.set_size(&seen.partition, seen.size)?;
            self.add(seen, &of, tail, (0, None), is_listed)?;
        }
        self.part_names();
        Ok(())
    }

    /// Gives up rotations that are long over, and takes over how old their files are by now.
    fn look_after_rotations(&mut self, now: Instant) {
        let (slots, generations) = (&self.slots, &self.generations);
        let has_current = |of: &Arc<str>| {
            let mut files = generations.get(of).into_iter().flatten().filter_map(|stream| slots[*stream].file());
            files.any(Followed::is_current)
        };
        self.rotations.retain(|of, rotation| {
            if let Some(file) = slots[rotation.stream].file() {
                rotation.age = file.age;
            }
            if rotation.until.is_none() && has_current(of) {
                rotation.until = Some(now + ROTATION);
            }
            rotation.until.is_none_or(|until| until > now)
        });
    }

    /// Looks for a file that the input does not name any more, among those beside the one that it was.
    fn find_lost(
        &mut self,
        stream: usize,
        directories: &mut HashMap<Arc<str>, Vec<Seen>>,
        now: Instant,
    ) -> Result<(), InputError> {
        let Slot::File(file) = &mut self.slots[stream] else { return Ok(()) };
        let of = Arc::clone(&file.of);
        if !directories.contains_key(&of) {
            directories.insert(Arc::clone(&of), siblings(&of, &self.base)?);
        }
        let was_current = file.is_current();
        let found = match directories[&of].iter().find(|seen| seen.id == file.id) {
            Some(seen) => match file.is(seen)? {
                Proof::Same(_) => Some(seen),
                Proof::Moved => return Ok(()),
                Proof::Other => None,
            },
            None => None,
        };
        match found {
            Some(seen) => self.moved.extend(file.see(seen, false, now)?.then_some(stream)),
            None if file.is_gone => {}
            None => {
                if !file.tail.is_open() && !file.tail.is_read() {
                    let (partition, offset) = (file.partition.name.clone(), file.tail.offset());
                    return Err(InputError::Gone { partition, offset });
                }
                file.is_gone = true;
                file.is_listed = false;
                self.moved.push(stream);
            }
        }
        if was_current && !file.is_current() {
            // When one rotation follows another, what came between the first two is still looked for.
            let rotation = Rotation { stream, age: file.age, until: None };
            self.rotations.entry(of).and_modify(|known| known.until = None).or_insert(rotation);
        }
        Ok(())
    }

    /// Sees to it that no two files have one name: of two that had it, the one that was seen later has it now.
    fn part_names(&mut self) {
        let mut owners: HashMap<String, (Instant, usize)> = HashMap::new();
        let mut astray = Vec::new();
        for (stream, slot) in self.slots.iter().enumerate() {
            let Some(file) = slot.file().filter(|file| !file.is_gone && !file.is_astray) else { continue };
            let owner = (file.seen_at, stream);
            match owners.get_mut(&file.partition.name) {
                None => drop(owners.insert(file.partition.name.clone(), owner)),
                Some(other) => {
                    astray.push(owner.min(*other).1);
                    *other = owner.max(*other);
                }
            }
        }
        for stream in astray {
            if let Slot::File(file) = &mut self.slots[stream] {
                file.is_astray = true;
                self.moved.push(stream);
            }
        }
    }

    /// Gives up what is read and gone, and takes the last lines of what will not grow.
    fn settle(&mut self, now: Instant) {
        for stream in 0..self.slots.len() {
            let Slot::File(file) = &mut self.slots[stream] else { continue };
            let is_quiet = now.duration_since(file.grown_at) >= QUIET;
            if file.is_current() || !is_quiet {
                continue;
            }
            if !file.tail.is_read() {
                if !file.is_complete {
                    file.is_complete = true;
                    file.tail.retry();
                }
            } else if file.is_gone {
                self.give_up(stream);
            }
        }
        let crowded: Vec<Vec<usize>> =
            self.generations.values().filter(|all| all.len() > MAX_ROTATED).cloned().collect();
        for generations in crowded {
            let is_done = |stream: &usize| {
                let file = self.slots[*stream].file();
                file.is_some_and(|file| !file.is_current() && !file.is_listed && file.tail.is_read())
            };
            let done: Vec<usize> = generations.into_iter().filter(is_done).collect();
            for stream in &done[..done.len().saturating_sub(MAX_ROTATED)] {
                self.strangers.extend(self.slots[*stream].file().map(|file| file.id));
                self.give_up(*stream);
            }
        }
    }

    /// Forgets a file that is read. Of a job without a key one position of each partition stays, which has its task.
    fn give_up(&mut self, stream: usize) {
        let Slot::File(file) = &self.slots[stream] else { return };
        if !file.is_released {
            self.freed.extend(u32::try_from(stream));
        }
        self.by_id.remove(&file.id);
        let generations = self.generations.entry(Arc::clone(&file.of)).or_default();
        let is_last = generations.len() == 1;
        self.slots[stream] = if self.roster.is_some() && is_last {
            Slot::Kept(Box::new(file.stand()))
        } else {
            generations.retain(|other| *other != stream);
            Slot::Over
        };
        self.moved.push(stream);
    }
}

impl Followed {
    /// Tells whether `seen`, which has this file's number, is this file: a number may be given to another file when the first is gone.
    fn is(&self, seen: &Seen) -> Result<Proof, InputError> {
        // The number of a file that is open is not given to another.
        let is_same =
            self.tail.is_open() || (seen.partition.name == self.partition.name && seen.size >= self.tail.size());
        if is_same || self.tail.offset() == 0 {
            return Ok(Proof::Same(None));
        }
        prove(seen, self.tail.offset(), &self.tail.fingerprint())
    }

    /// Takes over what was seen of it. Returns whether its position is to be written otherwise.
    fn see(&mut self, seen: &Seen, is_listed: bool, now: Instant) -> Result<bool, InputError> {
        self.seen_at = now;
        let is_renamed = self.partition.name != seen.partition.name || self.is_gone || self.is_astray;
        if is_renamed {
            self.partition = Arc::new(seen.partition.clone());
            self.path = seen.path.clone();
            self.is_gone = false;
            self.is_astray = false;
        }
        self.is_listed = is_listed;
        self.age = seen.age;
        if seen.size != self.tail.size() {
            self.tail.set_size(&self.partition, seen.size)?;
            self.grown_at = now;
            self.is_complete = false;
        }
        Ok(is_renamed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_are_told_from_others() {
        for (name, rotated, may_be) in [
            ("a/app.log.1", true, true),
            ("a/app.log-20261122", true, true),
            ("a/app.log.2026-11-22.7", true, true),
            ("a/app-20261122.log", false, true),
            ("a/app.1.log", false, true),
            ("a/app-errors.log", false, false),
            ("a/app.log", false, false),
            ("a/app.log.", false, false),
            ("a/other.log.1", false, false),
            ("b/app.log.1", false, false),
        ] {
            assert_eq!(
                (is_rotated_name(name, "a/app.log"), may_be_generation(name, "a/app.log")),
                (rotated, may_be),
                "{name}"
            );
        }
        assert!(may_be_generation("log.1", "log") && !may_be_generation("b", "a.b/log"));
    }

    #[test]
    fn the_older_file_is_less_and_numbers_settle_ties() {
        let age = |modified: i64, rotation| Age { modified: (modified, 0), rotation };
        assert!(age(1, 0) < age(2, 9) && age(1, 2) < age(1, 1) && age(1, 1) < age(1, 0));
    }
}
