//! The objects that an address or a glob of the job file matches.

use std::path::Path;

use crate::input::error::InputError;
use crate::input::object::url::{ObjectGlob, ObjectUrl};
use crate::input::partition::{Compression, Partition, Source};
use crate::storage::bucket::reader::{BucketReader, ObjectEntry};
use crate::storage::{BucketFault, StorageError};

/// Adds the objects that `pattern` matches, which may be none.
///
/// A glob takes one listing of what begins like it. A name that exists as written is not a glob. What an interface of
/// the cloud shows as a folder, an empty object whose name ends in `/`, is left out.
pub(crate) fn find(pattern: &str, found: &mut Vec<Partition>) -> Result<(), InputError> {
    let url =
        ObjectUrl::parse(pattern).map_err(|reason| InputError::Address { address: pattern.to_owned(), reason })?;
    let objects = BucketReader::of(url.bucket).map_err(InputError::Storage)?;
    let entries = if url.has_wildcard() { list(&objects, pattern, url)? } else { named(&objects, url)? };
    for entry in entries {
        found.push(partition(url, entry)?);
    }
    Ok(())
}

fn named(objects: &BucketReader, url: ObjectUrl<'_>) -> Result<Vec<ObjectEntry>, InputError> {
    let described = objects.describe(&[url.key.to_owned()]).map_err(InputError::Storage)?;
    let found: Vec<ObjectEntry> = described.into_iter().flatten().collect();
    // The answer about an object is the same whether it is missing or its bucket.
    if found.is_empty()
        && let Err(error @ StorageError::Bucket { fault: BucketFault::NoBucket, .. }) =
            objects.list(url.key, true, |_| {})
    {
        return Err(InputError::Storage(error));
    }
    Ok(found)
}

fn list(objects: &BucketReader, pattern: &str, url: ObjectUrl<'_>) -> Result<Vec<ObjectEntry>, InputError> {
    let glob = ObjectGlob::new(url.key).map_err(|reason| InputError::Glob { pattern: pattern.to_owned(), reason })?;
    let mut entries = Vec::new();
    let mut is_name = false;
    objects
        .list(glob.prefix(), glob.is_flat(), |entry| {
            is_name |= entry.key == url.key;
            if glob.matches(&entry.key) || entry.key == url.key {
                entries.push(entry);
            }
        })
        .map_err(InputError::Storage)?;
    if is_name {
        return named(objects, url);
    }
    // An empty object may be the folder of that name, without its slash.
    let (empty, mut entries): (Vec<ObjectEntry>, Vec<ObjectEntry>) =
        entries.into_iter().partition(|entry| entry.bytes == 0);
    let keys: Vec<String> = empty.into_iter().map(|entry| entry.key).collect();
    entries.extend(objects.describe(&keys).map_err(InputError::Storage)?.into_iter().flatten());
    Ok(entries)
}

fn partition(url: ObjectUrl<'_>, entry: ObjectEntry) -> Result<Partition, InputError> {
    let name = url.with_key(&entry.key);
    let Some(etag) = entry.etag else { return Err(InputError::NoEtag { partition: name }) };
    let compression = Compression::of(Path::new(&entry.key));
    let source = Source::Object(name.clone());
    Ok(Partition { name, source, compression, file_bytes: Some(entry.bytes), etag: Some(etag) })
}
