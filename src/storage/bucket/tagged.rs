//! Reading and listing files together with their tags.

use bytes::Bytes;
use object_store::GetRange;

use crate::storage::bucket::BucketStorage;
use crate::storage::bucket::client::wait;
use crate::storage::bucket::fault::{Fault, fault};
use crate::storage::bucket::list::Depth;
use crate::storage::bucket::read::Pieces;
use crate::storage::bucket::tag::{Part, Tag};
use crate::storage::{Entry, StorageError};
use crate::values::relpath::RelPath;

impl BucketStorage {
    /// Reads `part` of the file at `path`, at most `limit` bytes, and returns the tag that the file had then.
    pub fn get_tagged(&self, path: &RelPath, part: Part, limit: u64) -> Result<(Bytes, Option<Tag>), StorageError> {
        let key = self.key(path)?;
        let range = match part {
            Part::Whole => None,
            Part::End(bytes) => Some(GetRange::Suffix(bytes)),
        };
        let read = wait(async {
            let pieces = Pieces::open(&self.client, &key, range).await?;
            let (tag, found) = (Tag::of(&pieces.meta), pieces.left());
            if found > limit {
                return Ok(Err(found));
            }
            Ok(Ok((pieces.rest().await?, tag)))
        });
        match read {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(found)) => Err(StorageError::TooLarge { path: self.shown(path), limit, found }),
            // An empty file has no last bytes.
            Err(error) if fault(&error) == Fault::PastEnd => Ok((Bytes::new(), None)),
            Err(error) => Err(self.failed("read", path, &error)),
        }
    }

    /// Hands what is below `dir`, or below the prefix, to `visit` with the tags of files: with `is_deep` every file, and
    /// otherwise the names directly below.
    pub fn list_tagged(
        &self,
        dir: Option<&RelPath>,
        is_deep: bool,
        visit: &mut dyn FnMut(Entry, Option<Tag>),
    ) -> Result<(), StorageError> {
        self.visit(dir, None, if is_deep { Depth::All } else { Depth::One }, visit)
    }

    /// Returns what tells this version of the file at `path` from all others of all servers.
    pub fn version(&self, path: &RelPath, tag: &Tag) -> String {
        let (server, url) = (self.client.server(), &self.url);
        format!("{server}\n{}\n{}\n{}\n{}", url.bucket, url.key(path), tag.etag, tag.bytes)
    }
}
