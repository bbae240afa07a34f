//! The job's output: all rows at the end, sorted by key, in place only once the checkpoint that names it is committed.
//!
//! It is written aside first ([`stage`]), named with its SHA-256 by the checkpoint, and renamed into place after the commit ([`publish`]). A crash in
//! between is made good at the next start ([`recover`]).

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::digest::{Digest, Hasher};
use crate::format::manifest::Output;
use crate::id::Sequence;
use crate::runner::error::RunError;
use crate::runner::spec::OutputFormat;
use crate::runner::state::Shard;
use crate::runner::worker::Plan;
use crate::value::Value;

/// Where an output file goes.
#[derive(Debug, Clone)]
pub struct OutputPlan {
    /// The path, as a checkpoint names it.
    pub name: String,
    /// The path.
    pub path: PathBuf,
    /// The format.
    pub format: OutputFormat,
    /// The name of the first column, which holds the key.
    pub key_name: String,
}

impl OutputPlan {
    /// Returns where the file is written before checkpoint `sequence` is committed: hidden, beside its place.
    pub fn staged(&self, sequence: Sequence) -> PathBuf {
        staged(&self.path, sequence)
    }

    fn error(&self) -> impl Fn(io::Error) -> RunError {
        output_error(&self.path)
    }
}

fn staged(path: &Path, sequence: Sequence) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    path.with_file_name(format!(".{name}.ckpt-{sequence}"))
}

fn output_error(path: &Path) -> impl Fn(io::Error) -> RunError {
    let path = path.display().to_string();
    move |source| RunError::Output { path: path.clone(), source }
}

/// Writes the rows of `shards`, sorted by the bytes of their keys, aside for checkpoint `sequence`, and flushes them.
pub fn stage(
    output: &OutputPlan,
    sequence: Sequence,
    shards: &[(u32, Shard)],
    plan: &Plan,
) -> Result<Output, RunError> {
    let error = output.error();
    if let Some(dir) = output.path.parent() {
        fs::create_dir_all(dir).map_err(&error)?;
    }
    let mut order: Vec<(u32, u32)> = Vec::new();
    for (place, (_, shard)) in shards.iter().enumerate() {
        order.extend(shard.indices().map(|row| (place as u32, row as u32)));
    }
    let key = |&(place, row): &(u32, u32)| shards[place as usize].1.key(row as usize);
    order.sort_unstable_by(|a, b| key(a).cmp(key(b)));

    let file = File::create(output.staged(sequence)).map_err(&error)?;
    let mut writer = Counted { inner: BufWriter::with_capacity(1 << 20, file), hasher: Hasher::new(), bytes: 0 };
    let mut line = Vec::new();
    let names = plan.processor.output_names();
    if output.format == OutputFormat::Csv {
        let names = names.iter().map(String::as_str);
        push_csv(&mut line, std::iter::once(output.key_name.as_str()).chain(names));
    }
    let mut packed = Vec::new();
    for place in &order {
        packed.clear();
        shards[place.0 as usize].1.pack_row(place.1 as usize, &mut packed);
        let values = plan.processor.output(&plan.codec.unpack(&packed));
        let key = std::str::from_utf8(key(place)).expect("keys are UTF-8");
        match output.format {
            OutputFormat::Json => {
                push_json(&mut line, &output.key_name, key, names.iter().map(String::as_str).zip(values));
            }
            OutputFormat::Csv => {
                let texts: Vec<String> = values.iter().map(Value::to_string).collect();
                push_csv(&mut line, std::iter::once(key).chain(texts.iter().map(String::as_str)));
            }
        }
        if line.len() >= 1 << 16 {
            writer.put(&line).map_err(&error)?;
            line.clear();
        }
    }
    writer.put(&line).map_err(&error)?;
    let Counted { inner, hasher, bytes } = writer;
    let file = inner.into_inner().map_err(|failed| error(failed.into_error()))?;
    file.sync_all().map_err(&error)?;
    Ok(Output { path: output.name.clone(), sha256: hasher.finish(), bytes, rows: order.len() as u64 })
}

/// Puts the file that was staged for checkpoint `sequence` in place, for good.
pub fn publish(path: &Path, sequence: Sequence) -> Result<(), RunError> {
    let error = output_error(path);
    fs::rename(staged(path, sequence), path).map_err(&error)?;
    flush_directory_of(path).map_err(&error)
}

/// Finishes what a crash after the commit of checkpoint `sequence` has cut short: puts the staged file in place if it is what the checkpoint names.
///
/// Returns whether it did. Other files that were staged for the same output and never named are removed.
pub fn recover(output: Option<&Output>, path: &Path, sequence: Option<Sequence>) -> Result<bool, RunError> {
    let error = output_error(path);
    let mut published = false;
    if let (Some(output), Some(sequence)) = (output, sequence) {
        let aside = staged(path, sequence);
        if is_file_with(&aside, output).map_err(&error)? {
            publish(path, sequence)?;
            published = true;
        }
    }
    let Some((dir, name)) = path.parent().zip(path.file_name()) else { return Ok(published) };
    let prefix = format!(".{}.ckpt-", name.to_string_lossy());
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(published),
        Err(other) => return Err(error(other)),
    };
    for entry in entries {
        let entry = entry.map_err(&error)?;
        let name = entry.file_name();
        let is_ours = name
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .is_some_and(|rest| rest.parse::<Sequence>().is_ok());
        if is_ours {
            fs::remove_file(entry.path()).map_err(&error)?;
        }
    }
    Ok(published)
}

/// Moves what is at `path` aside, if it is what checkpoint `sequence` has published as `output`: to
/// `NAME.withdrawn-NUMBER` beside it. Returns where it is now.
pub fn withdraw(output: &Output, path: &Path, sequence: Sequence) -> Result<Option<PathBuf>, RunError> {
    let error = output_error(path);
    let is_regular = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    if !is_regular || !is_file_with(path, output).map_err(&error)? {
        return Ok(None);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let names = std::iter::once(format!("{name}.withdrawn-{sequence}"))
        .chain((2..).map(|number: u32| format!("{name}.withdrawn-{sequence}.{number}")));
    let mut free = names.map(|name| path.with_file_name(name)).filter(|aside| fs::symlink_metadata(aside).is_err());
    let aside = free.next().expect("there are more names than files");
    fs::rename(path, &aside).map_err(&error)?;
    flush_directory_of(path).map_err(&error)?;
    Ok(Some(aside))
}

fn flush_directory_of(path: &Path) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all())
}

fn is_file_with(path: &Path, output: &Output) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) if found.len() == output.bytes => {}
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    }
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match io::Read::read(&mut file, &mut buffer)? {
            0 => break,
            length => hasher.update(&buffer[..length]),
        }
    }
    let found: Digest = hasher.finish();
    Ok(found == output.sha256)
}

struct Counted {
    inner: BufWriter<File>,
    hasher: Hasher,
    bytes: u64,
}

impl Counted {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.inner.write_all(bytes)
    }
}

fn push_json<'a>(line: &mut Vec<u8>, key_name: &str, key: &str, values: impl Iterator<Item = (&'a str, Value)>) {
    let quoted = |text: &str| serde_json::to_string(text).expect("text is always JSON");
    line.extend_from_slice(format!("{{{}:{}", quoted(key_name), quoted(key)).as_bytes());
    for (name, value) in values {
        line.extend_from_slice(format!(",{}:{}", quoted(name), value.to_json()).as_bytes());
    }
    line.extend_from_slice(b"}\n");
}

fn push_csv<'a>(line: &mut Vec<u8>, fields: impl Iterator<Item = &'a str>) {
    for (i, field) in fields.enumerate() {
        if i > 0 {
            line.push(b',');
        }
        if field.contains(['"', ',', '\n', '\r']) {
            line.extend_from_slice(format!("\"{}\"", field.replace('"', "\"\"")).as_bytes());
        } else {
            line.extend_from_slice(field.as_bytes());
        }
    }
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_that_was_cut_short_is_finished_and_strays_are_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.jsonl");
        let output = Output { path: "job.jsonl".into(), sha256: Digest::of(b"new"), bytes: 3, rows: 1 };
        fs::write(&path, "old").unwrap();
        fs::write(staged(&path, Sequence(7)), "new").unwrap();
        fs::write(staged(&path, Sequence(8)), "torn").unwrap();
        fs::write(dir.path().join(".job.jsonl.ckpt-mine"), "not ours").unwrap();
        assert!(recover(Some(&output), &path, Some(Sequence(7))).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert!(!staged(&path, Sequence(8)).exists());
        assert!(dir.path().join(".job.jsonl.ckpt-mine").exists());
        fs::write(staged(&path, Sequence(7)), "neW").unwrap();
        assert!(!recover(Some(&output), &path, Some(Sequence(7))).unwrap(), "other bytes are never published");
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn only_what_a_checkpoint_has_published_is_withdrawn_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("job.jsonl");
        let output = Output { path: "job.jsonl".into(), sha256: Digest::of(b"new"), bytes: 3, rows: 1 };
        assert_eq!(withdraw(&output, &path, Sequence(7)).unwrap(), None);
        fs::write(&path, "old").unwrap();
        assert_eq!(withdraw(&output, &path, Sequence(7)).unwrap(), None);
        for name in ["job.jsonl.withdrawn-00000007", "job.jsonl.withdrawn-00000007.2"] {
            fs::write(&path, "new").unwrap();
            assert_eq!(withdraw(&output, &path, Sequence(7)).unwrap(), Some(dir.path().join(name)));
            assert!(!path.exists());
            assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), "new");
        }
    }

    #[test]
    fn csv_fields_are_quoted_where_they_must_be() {
        let mut line = Vec::new();
        push_csv(&mut line, ["a", "b,c", "d\"e", "", "f\ng"].into_iter());
        assert_eq!(String::from_utf8(line).unwrap(), "a,\"b,c\",\"d\"\"e\",,\"f\ng\"\n");
    }
}
