//! Writing objects: creates whose answer may be lost, and uploads in parts.

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use object_store::multipart::{MultipartStore as _, PartId};
use object_store::path::Path;
use object_store::{Error, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, Result};

use crate::storage::bucket::client::{Client, interrupted};
use crate::storage::bucket::fault::{Fault, fault};
use crate::storage::bucket::read::Pieces;
use crate::storage::bucket::wire::ONLY_IF_FREE;
use crate::storage::error::BucketFault;

/// How many parts of one object are sent at once.
const PARTS_AT_ONCE: usize = 4;

/// Up to this size, an object is created in one request. Whatever is not named by its content is smaller: not every server
/// knows the condition at the end of an upload in parts.
const MAX_WHOLE_CREATE_BYTES: usize = 5 << 20;

/// What became of a create.
pub(super) enum Created {
    Ours,
    /// The name has other bytes.
    Taken,
    /// The server refused, before anything may have been created.
    Refused(Error),
    /// Nobody knows. The object may still appear.
    Unknown(Error),
}

/// Creates an object if the name is free.
///
/// An answer that is lost, or says that the server failed, leaves open whether the object was created, and whether it
/// will be. So the name is read back: with equal bytes it is ours, and while it is free the same request is sent again.
pub(super) async fn create(client: &Client, key: &Path, bytes: &Bytes) -> Created {
    let mut patience = client.patience();
    // Whether an earlier request may have created it, or may still do so.
    let mut is_sent = false;
    loop {
        let error = match put_if_free(client, key, bytes).await {
            Ok(()) => return Created::Ours,
            Err(error) => error,
        };
        let why = match fault(&error) {
            Fault::Taken => settle(client, key, bytes, interrupted()).await,
            // The parts were made into the object by a request without an answer, or given up.
            Fault::NoUpload => {
                is_sent = true;
                settle(client, key, bytes, interrupted()).await
            }
            Fault::Other(BucketFault::Unreachable) => Err(error),
            fault if fault.may_pass() => {
                is_sent = true;
                settle(client, key, bytes, error).await
            }
            _ if is_sent => return Created::Unknown(error),
            _ => return Created::Refused(error),
        };
        let why = match why {
            Ok(true) => return Created::Ours,
            Ok(false) => return Created::Taken,
            Err(why) => why,
        };
        if let Err(error) = patience.wait(why).await {
            return if is_sent { Created::Unknown(error) } else { Created::Refused(error) };
        }
    }
}

/// Sends an object that must not replace another one, in parts if it is large.
async fn put_if_free(client: &Client, key: &Path, bytes: &Bytes) -> Result<()> {
    if bytes.len() <= client.limits.part_bytes.max(MAX_WHOLE_CREATE_BYTES) {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        return client.once(bytes.len(), client.store().put_opts(key, payload(bytes), options)).await.map(drop);
    }
    let id = client.repeat(0, async |store| store.create_multipart(key).await).await?;
    let sent = ONLY_IF_FREE.scope((), upload(client, key, &id, bytes)).await;
    if sent.as_ref().is_err_and(|error| fault(error) != Fault::NoUpload) {
        let _ = client.once(0, client.store().abort_multipart(key, &id)).await;
    }
    sent
}

/// Returns whether the name has the bytes `expected`, or why that is not known: `free` if there is no such name.
async fn settle(client: &Client, key: &Path, expected: &Bytes, free: Error) -> Result<bool> {
    match equals(client, key, expected).await {
        Err(error) if fault(&error) == Fault::Missing => Err(free),
        settled => settled,
    }
}

/// Returns whether the object has the bytes `expected`.
async fn equals(client: &Client, key: &Path, expected: &Bytes) -> Result<bool> {
    let pieces = Pieces::open(client, key, None).await?;
    if pieces.meta.size != expected.len() as u64 {
        return Ok(false);
    }
    Ok(pieces.rest().await? == expected)
}

/// Writes an object, in parts if it is large, replacing the one of that name.
pub(super) async fn replace(client: &Client, key: &Path, bytes: &Bytes) -> Result<()> {
    if bytes.len() <= client.limits.part_bytes {
        return client.repeat(bytes.len(), async |store| store.put(key, payload(bytes)).await.map(drop)).await;
    }
    let mut patience = client.patience();
    loop {
        let id = client.repeat(0, async |store| store.create_multipart(key).await).await?;
        match upload(client, key, &id, bytes).await {
            Ok(()) => return Ok(()),
            // The answer that said so was lost, or somebody gave the parts up: only the whole is proof.
            Err(error) if fault(&error) == Fault::NoUpload => patience.wait(interrupted()).await?,
            Err(error) => {
                let _ = client.once(0, client.store().abort_multipart(key, &id)).await;
                return Err(error);
            }
        }
    }
}

async fn upload(client: &Client, key: &Path, id: &String, bytes: &Bytes) -> Result<()> {
    let size = client.limits.part_bytes;
    let parts =
        (0..bytes.len().div_ceil(size)).map(|number| {
            let part = bytes.slice(number * size..bytes.len().min((number + 1) * size));
            async move {
                client.repeat(part.len(), async |store| store.put_part(key, id, number, payload(&part)).await).await
            }
        });
    let parts: Vec<PartId> = stream::iter(parts).buffered(PARTS_AT_ONCE).try_collect().await?;
    client.repeat(0, async |store| store.complete_multipart(key, id, parts.clone()).await.map(drop)).await
}

/// Returns what is sent. The bytes are shared, not copied.
fn payload(bytes: &Bytes) -> PutPayload {
    PutPayload::from(bytes.clone())
}
