//! Reads objects whose bytes may have been verified already.

use std::collections::HashSet;
use std::sync::Mutex;

use bytes::{Bytes, BytesMut};

use crate::format::layout::ObjectName;
use crate::format::manifest::ObjectRef;
use crate::store::{Replica, Store, StoreError};
use crate::values::lock::lock;

/// Memory of objects that are not needed any more, for the next ones: new memory is slow to fill.
#[derive(Debug, Default)]
pub(super) struct Buffers(Mutex<Vec<BytesMut>>);

impl Buffers {
    /// Returns memory that is empty.
    fn take(&self) -> BytesMut {
        let mut bytes = lock(&self.0).pop().unwrap_or_default();
        bytes.clear();
        bytes
    }

    /// Takes the memory of `objects` back, as far as nothing else uses it.
    pub(super) fn put(&self, objects: Vec<Bytes>) {
        let free = objects.into_iter().filter_map(|bytes| bytes.try_into_mut().ok());
        lock(&self.0).extend(free);
    }
}

/// Reads an object, and does not verify it again if it is one of `intact`.
pub(super) fn read_object(
    store: &Store,
    object: ObjectRef,
    intact: &HashSet<ObjectName>,
    buffers: &Buffers,
) -> Result<Bytes, StoreError> {
    if intact.contains(&object.object)
        && let [replica] = store.replicas()
        && let Some(bytes) = read_again(replica, object, buffers)
    {
        return Ok(bytes);
    }
    store.object(object)
}

fn read_again(replica: &Replica, object: ObjectRef, buffers: &Buffers) -> Option<Bytes> {
    if replica.is_remote() {
        let read = replica.get(&object.object.path(), object.bytes).ok()?;
        return (read.len() as u64 == object.bytes).then_some(read);
    }
    let mut bytes = buffers.take();
    // The file may have grown.
    let limit = object.bytes.saturating_add(1);
    replica.storage().scan(&object.object.path(), limit, &mut |piece| bytes.extend_from_slice(piece)).ok()?;
    (bytes.len() as u64 == object.bytes).then(|| bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_memory_that_nothing_uses_is_taken_again() {
        let buffers = Buffers::default();
        let object = Bytes::from(vec![1; 1000]);
        let user = object.clone();
        buffers.put(vec![object.clone()]);
        drop(user);
        assert_eq!(buffers.take().capacity(), 0);
        let place = object.as_ptr();
        buffers.put(vec![object]);
        let again = buffers.take();
        assert_eq!((again.len(), again.as_ptr()), (0, place));
    }
}
