//! The tags by which a server tells the versions of a file apart.

use object_store::ObjectMeta;

/// Which version of a file a server has. A file that is replaced gets another tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    pub(super) etag: String,
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// How much of a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Whole,
    /// The last bytes, up to this many.
    End(u64),
}

impl Tag {
    /// Returns the tag of a file, unless the server has none or says that different bytes may have the same.
    pub(super) fn of(meta: &ObjectMeta) -> Option<Tag> {
        let etag = meta.e_tag.as_deref().filter(|etag| !etag.starts_with("W/"))?;
        let etag = etag.trim_matches('"').to_owned();
        (!etag.is_empty()).then_some(Tag { etag, bytes: meta.size })
    }
}

impl Part {
    /// Returns how many bytes of a file this is.
    pub fn bytes(self, tag: &Tag) -> u64 {
        match self {
            Part::Whole => tag.bytes,
            Part::End(bytes) => bytes.min(tag.bytes),
        }
    }
}
