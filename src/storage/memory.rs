//! A storage in memory, for tests.

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;

use crate::storage::error::StorageError;
use crate::storage::{Entry, EntryKind, FileSystem, LockGuard, Storage};
use crate::values::lock::lock;
use crate::values::relpath::RelPath;

/// Keeps bytes in memory. A clone shares the same bytes, as another process would.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage {
    content: Arc<Mutex<Content>>,
}

#[derive(Debug, Default)]
struct Content {
    nodes: BTreeMap<String, Node>,
    /// The holder of each lock.
    held: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
enum Node {
    File(Bytes),
    Directory,
}

impl MemoryStorage {
    /// Returns an empty storage.
    pub fn new() -> MemoryStorage {
        MemoryStorage::default()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        lock(&self.content)
    }
}

impl Content {
    fn node(&self, path: &RelPath) -> Result<&Node, StorageError> {
        if let Some(way) = ways(path).find(|way| matches!(self.nodes.get(*way), Some(Node::File(_)))) {
            return Err(StorageError::NotADirectory { path: shown(way) });
        }
        self.nodes.get(path.as_str()).ok_or_else(|| StorageError::NotFound { path: shown(path.as_str()) })
    }

    fn file(&self, path: &RelPath) -> Result<&Bytes, StorageError> {
        match self.node(path)? {
            Node::File(bytes) => Ok(bytes),
            Node::Directory => Err(StorageError::NotAFile { path: shown(path.as_str()) }),
        }
    }

    /// Fails if `path` is taken, or if something on the way to it is a file.
    fn check_free(&self, path: &RelPath) -> Result<(), StorageError> {
        match self.node(path) {
            Ok(_) => Err(StorageError::Exists { path: shown(path.as_str()) }),
            Err(StorageError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn put(&mut self, path: &str, node: Node) {
        for (at, _) in path.match_indices('/') {
            self.nodes.entry(path[..at].to_owned()).or_insert(Node::Directory);
        }
        self.nodes.insert(path.to_owned(), node);
    }

    /// Returns the paths below the directory `dir`, or below the root if it is empty.
    fn below(&self, dir: &str) -> Vec<String> {
        let prefix = if dir.is_empty() { String::new() } else { format!("{dir}/") };
        let from = self.nodes.range(prefix.clone()..);
        from.map(|(path, _)| path).take_while(|path| path.starts_with(&prefix)).cloned().collect()
    }
}

impl Storage for MemoryStorage {
    fn place(&self) -> String {
        "memory".to_owned()
    }

    fn get(&self, path: &RelPath, limit: u64) -> Result<Bytes, StorageError> {
        let bytes = self.content().file(path)?.clone();
        let found = bytes.len() as u64;
        if found > limit {
            return Err(StorageError::TooLarge { path: shown(path.as_str()), limit, found });
        }
        Ok(bytes)
    }

    fn get_range(&self, path: &RelPath, range: Range<u64>) -> Result<Bytes, StorageError> {
        let bytes = self.content().file(path)?.clone();
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(bytes.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(bytes.slice(start..end))
    }

    fn size(&self, path: &RelPath) -> Result<u64, StorageError> {
        Ok(self.content().file(path)?.len() as u64)
    }

    fn create(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut content = self.content();
        content.check_free(path)?;
        content.put(path.as_str(), Node::File(Bytes::copy_from_slice(bytes)));
        Ok(())
    }

    fn create_dir(&self, path: &RelPath, files: &[(&str, &[u8])]) -> Result<(), StorageError> {
        let mut content = self.content();
        content.check_free(path)?;
        if files.iter().any(|(name, _)| name.contains('/') || path.join(name).is_err()) {
            let source = io::ErrorKind::InvalidInput.into();
            return Err(StorageError::Io { action: "write", path: shown(path.as_str()), source });
        }
        content.put(path.as_str(), Node::Directory);
        for (name, bytes) in files {
            content.put(&format!("{path}/{name}"), Node::File(Bytes::copy_from_slice(bytes)));
        }
        Ok(())
    }

    fn replace(&self, path: &RelPath, bytes: &[u8]) -> Result<(), StorageError> {
        let mut content = self.content();
        match content.file(path) {
            Ok(_) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        content.put(path.as_str(), Node::File(Bytes::copy_from_slice(bytes)));
        Ok(())
    }

    fn list(&self, dir: Option<&RelPath>) -> Result<Vec<Entry>, StorageError> {
        let content = self.content();
        if let Some(dir) = dir {
            match content.node(dir) {
                Ok(Node::Directory) => {}
                Ok(Node::File(_)) => return Err(StorageError::NotADirectory { path: shown(dir.as_str()) }),
                Err(StorageError::NotFound { .. }) => return Ok(Vec::new()),
                Err(error) => return Err(error),
            }
        }
        let dir = dir.map_or("", RelPath::as_str);
        let mut entries = Vec::new();
        for path in content.below(dir) {
            let name = &path[if dir.is_empty() { 0 } else { dir.len() + 1 }..];
            if name.contains('/') {
                continue;
            }
            let (kind, bytes) = match &content.nodes[&path] {
                Node::File(bytes) => (EntryKind::File, bytes.len() as u64),
                Node::Directory => (EntryKind::Directory, 0),
            };
            entries.push(Entry { name: name.to_owned(), kind, bytes, modified_seconds: None });
        }
        entries.sort();
        Ok(entries)
    }

    fn delete(&self, path: &RelPath) -> Result<(), StorageError> {
        let mut content = self.content();
        content.file(path)?;
        content.nodes.remove(path.as_str());
        Ok(())
    }

    fn delete_dir(&self, path: &RelPath) -> Result<(), StorageError> {
        let mut content = self.content();
        if let Node::File(_) = content.node(path)? {
            return Err(StorageError::NotADirectory { path: shown(path.as_str()) });
        }
        let below = content.below(path.as_str());
        if let Some(inner) = below.iter().find(|inner| matches!(content.nodes[*inner], Node::Directory)) {
            return Err(StorageError::NotAFile { path: shown(inner) });
        }
        for inner in below {
            content.nodes.remove(&inner);
        }
        content.nodes.remove(path.as_str());
        Ok(())
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn file_system(&self) -> Option<&dyn FileSystem> {
        Some(self)
    }
}

impl FileSystem for MemoryStorage {
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let mut content = self.content();
        let node = content.node(from)?.clone();
        content.check_free(to)?;
        if to.as_str().strip_prefix(from.as_str()).is_some_and(|rest| rest.starts_with('/')) {
            let source = io::ErrorKind::InvalidInput.into();
            return Err(StorageError::Io { action: "rename", path: shown(from.as_str()), source });
        }
        for path in content.below(from.as_str()) {
            if let Some(node) = content.nodes.remove(&path) {
                content.put(&format!("{to}{}", &path[from.as_str().len()..]), node);
            }
        }
        content.nodes.remove(from.as_str());
        content.put(to.as_str(), node);
        Ok(())
    }

    fn lock(&self, path: &RelPath, holder: &str) -> Result<Box<dyn LockGuard>, StorageError> {
        let mut content = self.content();
        match content.file(path) {
            Ok(_) | Err(StorageError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
        if let Some(holder) = content.held.get(path.as_str()) {
            return Err(StorageError::Held { path: shown(path.as_str()), holder: holder.clone() });
        }
        content.held.insert(path.as_str().to_owned(), holder.to_owned());
        content.put(path.as_str(), Node::File(Bytes::copy_from_slice(holder.as_bytes())));
        Ok(Box::new(MemoryLock { storage: self.clone(), path: path.as_str().to_owned() }))
    }
}

/// Releases a lock when it is dropped.
#[derive(Debug)]
struct MemoryLock {
    storage: MemoryStorage,
    path: String,
}

impl LockGuard for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.storage.content().held.remove(&self.path);
    }
}

fn shown(path: &str) -> String {
    format!("memory/{path}")
}

/// Returns the directories that lead to `path`.
fn ways(path: &RelPath) -> impl Iterator<Item = &str> {
    path.as_str().match_indices('/').map(|(at, _)| &path.as_str()[..at])
}
